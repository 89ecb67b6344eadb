//! Which schemas this program works on: the newest it knows, and a newer one that says so.
//!
//! A migration says in its own name how old a program may be that goes on working after it:
//! `0007_add_note_since_0005` is for programs that know 0005. One that says nothing is for those
//! that know it alone. Knows versions and names, no database.

use super::StoreError;
use super::copy::HALF_COPIED;
use super::failure::{half_copied, newer};
use sqlx::migrate::Migrator;

/// Before the oldest version whose programs may work on the schema.
const SINCE: &str = " since ";

/// How a store stands to the program.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Standing {
    /// Known as far as it goes.
    Known,
    /// Newer up to this version, and made so that this program may work on it.
    Newer(i64),
}

/// Compares a store with what the program knows. Refused when a migration that the program does
/// not know is not for it.
pub(super) fn standing(
    applied: &[(i64, String)],
    migrations: &Migrator,
) -> Result<Standing, StoreError> {
    let newest = migrations.iter().map(|one| one.version).max().unwrap_or(0);
    let mut standing = Standing::Known;
    for (version, name) in applied {
        if migrations.version_exists(*version) {
            continue;
        }
        if *version == HALF_COPIED {
            return Err(half_copied());
        }
        if since(name).is_none_or(|since| since > newest) {
            return Err(newer(*version));
        }
        standing = Standing::Newer(*version);
    }
    Ok(standing)
}

/// As `standing`, for whoever does not migrate: nothing that the program knows may be missing.
pub(super) fn check(applied: &[(i64, String)], migrations: &Migrator) -> Result<(), StoreError> {
    standing(applied, migrations)?;
    let is_applied = |wanted: i64| applied.iter().any(|(version, _)| *version == wanted);
    match migrations.iter().find(|one| !is_applied(one.version)) {
        None => Ok(()),
        Some(missing) => Err(StoreError::Schema(format!(
            "the database has schema {}, this program needs {}",
            applied.last().map_or(0, |(version, _)| *version),
            missing.version
        ))),
    }
}

/// The same migrations, for a store that is newer and may be worked on.
pub(super) fn tolerant(migrations: &Migrator) -> Migrator {
    Migrator {
        migrations: migrations.migrations.clone(),
        ignore_missing: true,
        locking: migrations.locking,
        ..Migrator::DEFAULT
    }
}

/// The oldest version whose programs may work on the schema, as the migration's name says; the
/// driver keeps names with spaces.
fn since(name: &str) -> Option<i64> {
    let (_, since) = name.rsplit_once(SINCE)?;
    let is_number = since.len() == 4 && since.bytes().all(|byte| byte.is_ascii_digit());
    since.parse().ok().filter(|_| is_number)
}

#[cfg(test)]
mod tests {
    use super::*;
    use sqlx::SqlSafeStr;
    use sqlx::migrate::{Migration, MigrationType};

    fn knows(versions: &[i64]) -> Migrator {
        let one = |version: &i64| {
            let sql = "SELECT 1".into_sql_str();
            let name = "create tables".into();
            Migration::new(*version, name, MigrationType::Simple, sql, false)
        };
        Migrator {
            migrations: versions.iter().map(one).collect(),
            ..Migrator::DEFAULT
        }
    }

    fn applied(names: &[(i64, &str)]) -> Vec<(i64, String)> {
        let names = names.iter();
        names
            .map(|(version, name)| (*version, (*name).to_owned()))
            .collect()
    }

    #[test]
    fn a_newer_schema_is_worked_on_by_programs_that_know_what_each_new_migration_asks_for() {
        let base = [(1, "create tables"), (2, "create instance")];
        let with = |more: &[(i64, &str)]| applied(&[&base[..], more].concat());
        let program = knows(&[1, 2]);
        for (more, stands) in [
            (&[][..], Some(Standing::Known)),
            (&[(3, "add note since 0002")], Some(Standing::Newer(3))),
            (&[(3, "add note since 0001")], Some(Standing::Newer(3))),
            (&[(3, "add note since 0003")], None),
            (&[(3, "add note")], None),
            (&[(3, "add since 2")], None),
            (&[(3, "since 0002")], None),
            (&[(3, "a since 0002"), (4, "b since 0003")], None),
            (&[(3, "a"), (4, "b since 0002")], None),
            (
                &[(3, "a since 0002"), (4, "b since 0002")],
                Some(Standing::Newer(4)),
            ),
            (&[(HALF_COPIED, "half since 0002")], None),
        ] {
            let found = standing(&with(more), &program);
            assert_eq!(found.ok(), stands, "{more:?}");
            assert_eq!(check(&with(more), &program).is_ok(), stands.is_some());
        }
    }

    #[test]
    fn whoever_does_not_migrate_refuses_an_older_schema() {
        let program = knows(&[1, 2]);
        let old = applied(&[(1, "create tables")]);
        assert_eq!(standing(&old, &program).ok(), Some(Standing::Known));
        let refused = check(&old, &program).unwrap_err().to_string();
        assert!(refused.contains("schema 1"), "{refused}");
        assert!(refused.contains("needs 2"), "{refused}");
        assert!(check(&[], &program).is_err());
    }
}
