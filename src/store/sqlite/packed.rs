//! Many rows that come back as one: their short columns as JSON, their long values end to end.
//!
//! Each row wakes its reader, and is taken apart and copied value by value by the driver; a batch of
//! the engine would be woken a thousand times. Knows no table.

use crate::store::StoreError;
use crate::store::rows::Reading;
use serde::de::DeserializeOwned;
use sqlx::SqliteConnection;
use sqlx::query::{QueryAs, QueryScalar};
use sqlx::sqlite::SqliteArguments;

type Short<'q> = QueryScalar<'q, sqlx::Sqlite, String, SqliteArguments>;
type WithLong<'q> = QueryAs<'q, sqlx::Sqlite, (String, Option<Vec<u8>>), SqliteArguments>;

/// The rows of a statement that gives them as one JSON array with one array per row.
pub(super) async fn short<R: DeserializeOwned>(
    connection: &mut SqliteConnection,
    table: &'static str,
    query: Short<'_>,
) -> Result<Vec<R>, StoreError> {
    rows(table, &query.fetch_one(connection).await?)
}

/// The same of rows that have long values, too: in the JSON array each row is the bytes of its long
/// value and the array of its short columns; the long values are the second column.
pub(super) async fn with_long<R: DeserializeOwned, T>(
    connection: &mut SqliteConnection,
    table: &'static str,
    query: WithLong<'_>,
    read: impl Fn(R, &[u8]) -> Result<T, StoreError>,
) -> Result<Vec<T>, StoreError> {
    let (short, long) = query.fetch_one(connection).await?;
    let other_length = || Reading::of(table, "packed").corrupt("packed", "another length");
    let mut rest = long.as_deref().unwrap_or_default();
    let mut found = Vec::new();
    for (bytes, columns) in rows::<(usize, R)>(table, &short)? {
        let Some((value, next)) = rest.split_at_checked(bytes) else {
            return Err(other_length());
        };
        rest = next;
        found.push(read(columns, value)?);
    }
    // What is left over belongs to a row that nobody counted.
    if rest.is_empty() {
        Ok(found)
    } else {
        Err(other_length())
    }
}

/// What is wrong is said of the row that it is wrong with.
fn rows<R: DeserializeOwned>(table: &'static str, array: &str) -> Result<Vec<R>, StoreError> {
    serde_json::from_str(array).or_else(|error| {
        let all = Reading::of(table, "packed");
        let values: Vec<serde_json::Value> = all.parsed("packed", serde_json::from_str(array))?;
        for value in values {
            let row = R::deserialize(&value);
            Reading::of(table, &value).parsed("packed", row)?;
        }
        Err(all.corrupt("packed", error))
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use sqlx::Connection;

    type Row = (i64, String);

    async fn read(statement: &'static str) -> Result<Vec<(Row, Vec<u8>)>, StoreError> {
        let mut connection = SqliteConnection::connect("sqlite::memory:").await.unwrap();
        let read = |row: Row, long: &[u8]| Ok((row, long.to_vec()));
        with_long(&mut connection, "t", sqlx::query_as(statement), read).await
    }

    #[tokio::test]
    async fn long_values_come_back_as_they_are_whatever_their_bytes() {
        let found = read(
            "SELECT json_group_array(json_array(octet_length(l), json_array(n, t))), \
               group_concat(l, '') \
             FROM (SELECT 1 AS n, 'a' AS t, x'00ff00' AS l UNION ALL SELECT 2, 'b', x'' \
             UNION ALL SELECT 3, char(0, 34, 233), 'Stra' || char(223, 0) || 'e')",
        );
        let rows = [
            ((1, "a".to_owned()), vec![0, 0xff, 0]),
            ((2, "b".to_owned()), Vec::new()),
            (
                (3, "\0\"\u{e9}".to_owned()),
                "Stra\u{df}\0e".as_bytes().to_vec(),
            ),
        ];
        assert_eq!(found.await.unwrap(), rows);
    }

    #[tokio::test]
    async fn no_rows_are_none() {
        let found = read("SELECT json_group_array(1), group_concat('x', '') WHERE false");
        assert!(found.await.unwrap().is_empty());
    }

    #[tokio::test]
    async fn a_row_that_is_not_as_it_should_be_is_named() {
        let wrong = read("SELECT '[[1,[1,\"a\"]],[1,[null,\"b\"]]]', 'xy'");
        let wrong = wrong.await.unwrap_err().to_string();
        assert!(wrong.contains("t.packed at [1,[null,\"b\"]]: "), "{wrong}");
        for cut in [
            "SELECT '[[3,[1,\"a\"]]]', 'xy'",
            "SELECT '[[3,[1,\"a\"]]]', NULL",
            "SELECT '[[1,[1,\"a\"]]]', 'xy'",
            "SELECT '[]', 'x'",
        ] {
            let error = read(cut).await.unwrap_err().to_string();
            assert!(error.contains("another length"), "{error}");
        }
        let broken = read("SELECT '[[1,[1,\"a\"', 'x'").await.unwrap_err();
        assert!(
            broken.to_string().contains(" t.packed at packed: "),
            "{broken}"
        );
    }
}
