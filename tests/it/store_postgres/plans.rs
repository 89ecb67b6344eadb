//! Every statement on the real schema: it is prepared there, and it finds an index for each table
//! that grows with history.
//!
//! The plans are those for any value, made with the settings that the store gives its connections,
//! which make all ways dear that need no index, on tables that are still empty.
#![expect(
    clippy::disallowed_methods,
    clippy::disallowed_types,
    reason = "the text built here is a constant of ours behind PREPARE and EXPLAIN"
)]

use crate::support::cluster::Database;
use serde_json::Value;
use sqlx::{AssertSqlSafe, Executor, PgConnection, Row};

#[path = "../../../src/store/postgres/sql.rs"]
mod sql;

/// Tables that grow with history or, as actions do, with the open work.
const GROWING: [&str; 8] = [
    "actions",
    "bodies",
    "checkouts",
    "delivery_keys",
    "inbox",
    "journal",
    "payments",
    "sightings",
];
/// Goes through all actions by design.
const COUNTS_ACTIONS: &str = "COUNT_ACTIONS";
/// Indexes over what is pending, parked or woken: reading one of them whole is no more than the
/// work there is.
const OF_OPEN_WORK: [&str; 3] = ["inbox_turns", "inbox_parked", "checkouts_turns"];

/// Indexes by which rows are found that are named otherwise than by their keys.
const OF_NAMES: [&str; 4] = [
    "checkouts_order",
    "payments_checkout",
    "sightings_alike",
    "sightings_twins",
];
/// A statement that is told which rows it is about looks for nothing else.
const NAME_ROWS: [&str; 2] = ["= ANY($1)", "AS r ("];

/// In a quiet time all actions are done, and all bodies and deliveries past their retention.
const TIDY_EMPTIED: &str = "VACUUM ANALYZE actions, bodies, inbox, delivery_keys";

const FOR_ANY_VALUE: &str = "SET plan_cache_mode = force_generic_plan";

fn parameters(statement: &str) -> usize {
    let numbers = statement.split('$').skip(1).map(|rest| {
        let digits: String = rest.chars().take_while(char::is_ascii_digit).collect();
        digits.parse::<usize>().unwrap_or(0)
    });
    numbers.max().unwrap_or(0)
}

async fn plan(connection: &mut PgConnection, name: &str, statement: &str) -> Value {
    let prepare = format!("PREPARE {name} AS {statement}");
    let prepared = connection
        .execute(sqlx::raw_sql(AssertSqlSafe(prepare)))
        .await;
    prepared.unwrap_or_else(|error| panic!("{name}: {error}"));
    let nothing = vec!["NULL"; parameters(statement)].join(", ");
    let values = if nothing.is_empty() {
        String::new()
    } else {
        format!("({nothing})")
    };
    let explain = format!("EXPLAIN (FORMAT JSON) EXECUTE {name}{values}");
    let found = connection
        .fetch_one(sqlx::raw_sql(AssertSqlSafe(explain)))
        .await;
    let found = found.unwrap_or_else(|error| panic!("{name}: {error}"));
    let text: String = found.try_get_unchecked(0).unwrap();
    serde_json::from_str(&text).unwrap()
}

/// The nodes that read a growing table without saying where.
fn whole_reads(plan: &Value, found: &mut Vec<String>) {
    if let Value::Array(parts) = plan {
        parts.iter().for_each(|part| whole_reads(part, found));
    }
    let Value::Object(node) = plan else { return };
    let text = |key| node.get(key).and_then(Value::as_str).unwrap_or("");
    let is_scan = text("Node Type").contains("Scan") && text("Node Type") != "Bitmap Heap Scan";
    let is_growing = GROWING.contains(&text("Relation Name"))
        || GROWING
            .iter()
            .any(|table| text("Index Name").starts_with(table));
    let is_told = node.contains_key("Index Cond") || node.contains_key("TID Cond");
    if is_scan && is_growing && !is_told && !OF_OPEN_WORK.contains(&text("Index Name")) {
        found.push(plan.to_string());
    }
    if text("Node Type") == "Limit" && is_first_of_index(&node["Plans"]) {
        return;
    }
    node.values().for_each(|part| whole_reads(part, found));
}

/// The nodes that find rows which were named through an index that holds more than their names.
fn ways_round(plan: &Value, found: &mut Vec<String>) {
    if let Value::Array(parts) = plan {
        parts.iter().for_each(|part| ways_round(part, found));
    }
    let Value::Object(node) = plan else { return };
    let index = node.get("Index Name").and_then(Value::as_str);
    if index.is_some_and(|index| !index.ends_with("_pkey") && !OF_NAMES.contains(&index)) {
        found.push(plan.to_string());
    }
    node.values().for_each(|part| ways_round(part, found));
}

/// An index read from its beginning, none of whose rows is passed over, ends at the limit.
fn is_first_of_index(parts: &Value) -> bool {
    let scan = &parts[0];
    scan["Node Type"] == "Index Only Scan" && scan["Filter"].is_null()
}

#[tokio::test]
async fn no_statement_reads_a_growing_table_from_end_to_end() {
    let database = Database::fresh().await;
    hold_all_plans_to_it(&database).await;
    // The server now takes those that may have become empty for empty, and not for new.
    database.tamper(TIDY_EMPTIED).await;
    hold_all_plans_to_it(&database).await;
}

async fn hold_all_plans_to_it(database: &Database) {
    let mut connection = database.connection().await;
    let any = sqlx::raw_sql(FOR_ANY_VALUE);
    connection.execute(any).await.unwrap();
    let settings = sqlx::query(sql::SETTINGS);
    let settings = settings.bind("60000").bind(false).bind("off");
    settings.execute(&mut connection).await.unwrap();
    let (mut planned, mut naming) = (0, 0);
    for (name, statement) in sql::ALL {
        let is_plain = ["BEGIN", "COMMIT", "ROLLBACK", "DEALLOCATE"]
            .iter()
            .any(|word| statement.starts_with(word));
        if is_plain {
            continue;
        }
        let mut found = Vec::new();
        let chosen = plan(&mut connection, name, statement).await;
        whole_reads(&chosen, &mut found);
        let may_read_all = *name == COUNTS_ACTIONS;
        assert_eq!(found.is_empty(), !may_read_all, "{name}: {found:#?}");
        if NAME_ROWS.iter().any(|how| statement.contains(how)) {
            ways_round(&chosen, &mut found);
            assert!(found.is_empty(), "{name}: {found:#?}");
            naming += 1;
        }
        planned += 1;
    }
    assert!(planned > 60, "{planned}");
    assert!(naming > 20, "{naming}");
    let mut found = Vec::new();
    let careless = "SELECT * FROM checkouts WHERE created_at < $1";
    whole_reads(
        &plan(&mut connection, "careless", careless).await,
        &mut found,
    );
    assert_eq!(found.len(), 1);
}
