//! Migrations on data left by the schema before: each seed is loaded at its own schema, the rest
//! is applied, and the store must stand on it.
//!
//! A migration NNNN comes with `fixtures/migrations/NNNN.sql`, data as that schema holds it.

use super::{Place, tamper};
use crate::store_laws::drafts::{Draft, at, delivery, done, lease, lost, payment};
use crate::store_laws::views::recount;
use reconciled::store::journal::verify;
use reconciled::store::{Appended, Store, Wanted};
use sqlx::migrate::Migrator;
use sqlx::sqlite::SqliteConnectOptions;
use sqlx::{ConnectOptions, Connection};
use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

fn here(relative: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join(relative)
}

/// File names by number, ascending.
fn numbered(folder: &str) -> Vec<(String, PathBuf)> {
    let files = std::fs::read_dir(here(folder)).unwrap();
    let mut found: Vec<_> = files
        .map(|file| file.unwrap().path())
        .map(|path| {
            (
                path.file_name()
                    .unwrap()
                    .to_str()
                    .unwrap()
                    .chars()
                    .take(4)
                    .collect::<String>(),
                path,
            )
        })
        .collect();
    found.sort();
    found
}

/// A database at the schema of this number, holding its seed.
async fn seeded(place: &Place, number: &str) {
    let folder = tempfile::tempdir().unwrap();
    for (its, path) in numbered("migrations/sqlite") {
        if *its <= *number {
            std::fs::copy(&path, folder.path().join(path.file_name().unwrap())).unwrap();
        }
    }
    let options = SqliteConnectOptions::new()
        .filename(place.path())
        .create_if_missing(true);
    let mut connection = options.connect().await.unwrap();
    let migrator = Migrator::new(folder.path().to_owned()).await.unwrap();
    migrator.run(&mut connection).await.unwrap();
    connection.close().await.unwrap();
    let seed = std::fs::read_to_string(here(&format!("fixtures/migrations/{number}.sql"))).unwrap();
    tamper(&place.path(), &seed).await;
}

#[test]
fn every_migration_has_a_seed_and_a_reason() {
    let numbers = |folder| -> BTreeSet<String> {
        numbered(folder)
            .into_iter()
            .map(|(number, _)| number)
            .collect()
    };
    assert_eq!(numbers("migrations/sqlite"), numbers("fixtures/migrations"));
    for (_, path) in numbered("migrations/sqlite") {
        let text = std::fs::read_to_string(&path).unwrap();
        assert!(
            text.starts_with("-- "),
            "{} does not open with why",
            path.display()
        );
    }
}

#[tokio::test]
async fn the_store_stands_on_data_of_every_earlier_schema() {
    for (number, _) in numbered("fixtures/migrations") {
        let place = Place::new();
        seeded(&place, &number).await;
        let store = place.open().await;

        let books = store.audit_page(None, 100).await.unwrap();
        assert_eq!(books.len(), 5, "seed {number}");
        for (row, journal) in &books {
            assert_eq!(verify(row, journal), Ok(()), "seed {number}, {}", row.id);
        }
        assert_eq!(
            store.overview().await.unwrap(),
            recount(&store).await,
            "seed {number}"
        );
        assert_eq!(store.pending(9).await.unwrap().len(), 1);
        assert_eq!(store.parked(9).await.unwrap().len(), 1);
        assert_eq!(store.quarantined(9).await.unwrap().len(), 1);
        assert_eq!(
            store.append(&[delivery("evt_1", "one")]).await.unwrap(),
            [Appended::Duplicate]
        );
        assert_eq!(lost(&lease(&store, at(86_400)).await), ["confirm/1"]);
        let wanted = Wanted {
            payments: vec![payment("pi_1")],
            ..Wanted::default()
        };
        let found = store.load(&wanted).await.unwrap();
        assert_eq!(found.checkouts.len(), 1);
        for loaded in found.checkouts.values() {
            done(&store, Draft::after(&loaded.row).under_way("confirm/1")).await;
        }
        assert_eq!(
            store.overview().await.unwrap(),
            recount(&store).await,
            "seed {number}"
        );
    }
}
