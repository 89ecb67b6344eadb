//! A store whose tables were partitioned as `docs/partitioning.sql` does it: nothing is lost by that,
//! and what names its shop is looked for in one partition of each table.
//!
//! That it keeps the laws of every store is shown in `store_laws`.

use super::*;
use crate::store_laws::drafts::{order, payment};
use reconciled::core::ids::ShopId;
use reconciled::core::time::Span;
use reconciled::store::{CheckoutRow, Disposition, JournalEntry};
use sqlx::Connection;

/// More than the server makes plans of their own for.
const ROUNDS: i64 = 8;

/// A checkout that is made by one delivery, and settled by the next, which ends a call to its shop.
async fn settle_one(store: &dyn Store, name: &str, now: i64) {
    let first = [delivery(&format!("{name}/1"), "1")];
    assert_eq!(store.append(&first).await.unwrap(), [Appended::New]);
    let ask = look_up(&format!("ask/{name}"), at(now));
    let made = Draft::new(name)
        .reference(name)
        .payment(name)
        .action(ask.clone());
    let row = made.0.row.clone();
    commit_with(store, made, None).await;
    let leased = lease(store, at(now)).await;
    let second = [delivery(&format!("{name}/2"), "2")];
    assert_eq!(store.append(&second).await.unwrap(), [Appended::New]);
    let wanted = Wanted {
        checkouts: vec![named(name)],
        orders: vec![order(name)],
        payments: vec![payment(name)],
        ..Wanted::default()
    };
    let found = store.load(&wanted).await.unwrap();
    assert_eq!(found.checkouts.len(), 1);
    assert_eq!(found.checkouts[&row.id].actions.len(), 1);
    let settled = Draft::after(&row)
        .verdict(Verdict::Settled)
        .release(ask.key.as_str(), &token(&leased[0]));
    commit_with(store, settled, Some(seen(&shop(), "m"))).await;
    assert_eq!(store.books(&[id(name)]).await.unwrap().len(), 1);
}

/// Commits it together with the delivery that waits.
async fn commit_with(store: &dyn Store, draft: Draft, sighting: Option<Sighting>) {
    let waiting = store.pending(9).await.unwrap();
    let named = draft.0.row.named();
    let unit = CommitUnit {
        deliveries: vec![(waiting[0].id, Disposition::Taken)],
        sightings: vec![(named, sighting)],
        ..draft.unit()
    };
    assert_eq!(commit(store, unit).await, Committed::Done);
}

async fn books(store: &dyn Store) -> Vec<(CheckoutRow, Vec<JournalEntry>)> {
    store.audit_page(None, 99).await.unwrap()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_store_that_is_partitioned_keeps_everything_and_goes_on() {
    let database = Database::fresh().await;
    let store = database.open().await;
    for name in ["c1", "c2"] {
        settle_one(&store, name, 0).await;
    }
    store.append(&[delivery("waits", "x")]).await.unwrap();
    done(&store, Draft::new("c3").action(refund("r", at(0)))).await;
    lease(&store, at(0)).await;
    let known = books(&store).await;
    let waiting = store.pending(9).await.unwrap();
    let overview = store.overview().await.unwrap();
    let twins = store.twins(&["c1", "c2"].map(named)).await.unwrap();
    assert_eq!((known.len(), waiting.len(), twins.len()), (3, 1, 2));
    store.close().await;
    database.partition().await.unwrap();

    let store = database.open().await;
    assert_eq!(books(&store).await, known);
    assert_eq!(store.pending(9).await.unwrap(), waiting);
    assert_eq!(store.overview().await.unwrap(), overview);
    assert_eq!(recount(&store).await, overview);
    let kept = store.twins(&["c1", "c2"].map(named)).await.unwrap();
    assert_eq!(kept, twins);
    assert_eq!(lost(&lease(&store, at(100)).await), ["r"]);
    let again = [
        delivery("c1/1", "1"),
        delivery("waits", "x"),
        delivery("new", "y"),
    ];
    assert_eq!(
        store.append(&again).await.unwrap(),
        [Appended::Duplicate, Appended::Duplicate, Appended::New]
    );
    let now = store.pending(9).await.unwrap();
    assert!(now[1].id > now[0].id, "{now:?}");
    let same = Draft::new("x1").reference("c1").payment("c9");
    assert_eq!(commit(&store, same.unit()).await, Committed::Conflict);
    let same = Draft::new("x1").reference("c9").payment("c1");
    assert_eq!(commit(&store, same.unit()).await, Committed::Conflict);
    let old = Retention {
        bodies: Span::from_days(1),
        checkouts: Span::from_days(1),
        rows_max: 100,
    };
    while store.prune(at(10 * 86_400), old).await.unwrap() > 0 {}
    let left = books(&store).await;
    assert_eq!(
        left.iter().map(|(row, _)| &row.id).collect::<Vec<_>>(),
        [&id("c3")]
    );
    store.close().await;
    // Once is enough, and says so.
    let refused = database.partition().await.unwrap_err();
    assert!(refused.contains("partitioned already"), "{refused}");
}

const OTHERS: &str = "SELECT count(*) FROM pg_stat_activity \
         WHERE datname = current_database() AND pid <> pg_backend_pid()";

/// By table, how many of its partitions were looked into since the last time.
async fn looked_into(database: &Database) -> Vec<(String, i64)> {
    let mut connection = database.connection().await;
    let left = async |connection: &mut _| -> i64 {
        let query = sqlx::query_scalar(OTHERS);
        query.fetch_one(connection).await.unwrap()
    };
    // A connection counts until it is gone.
    while left(&mut connection).await > 0 {
        tokio::task::yield_now().await;
    }
    let found = sqlx::query_as(
        "SELECT substring(relname::text FROM '^(.*)_[0-9]+$'), \
           count(*) FILTER (WHERE seq_scan + idx_scan > 0) \
         FROM pg_stat_user_tables WHERE relname ~ '_[0-9]+$' GROUP BY 1 ORDER BY 1",
    );
    let found = found.fetch_all(&mut connection).await.unwrap();
    connection.close().await.unwrap();
    found
}

/// Checkouts of many shops, each with an action and a sighting, so that a look into all is dear.
async fn fill(store: &dyn Store) {
    let mut units = Vec::new();
    for number in 0..600 {
        let name = format!("f{number}");
        let owner = ShopId::parse(&format!("shop-{}", number % 12)).unwrap();
        let draft = Draft::new(&name)
            .reference(&name)
            .payment(&name)
            .action(look_up("a", at(number)))
            .with(|one| one.row.shop = owner.clone());
        let named = draft.0.row.named();
        units.push(CommitUnit {
            sightings: vec![(named, Some(seen(&owner, &name)))],
            ..draft.unit()
        });
    }
    let done = store.commit(&units).await.unwrap();
    assert!(done.iter().all(|one| *one == Committed::Done));
}

fn seen(owner: &ShopId, mark: &str) -> Sighting {
    Sighting {
        shop: owner.clone(),
        mark: mark.to_owned(),
        amount: eur(100),
        paid_at: at(0),
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_names_its_shop_is_looked_for_in_one_partition() {
    let database = Database::partitioned().await;
    let store = database.open().await;
    fill(&store).await;
    let mut rows = Vec::new();
    for round in 0..ROUNDS {
        let name = format!("c{round}");
        let draft = Draft::new(&name)
            .reference(&name)
            .payment(&name)
            .action(look_up("a", at(0)));
        rows.push(done(&store, draft).await);
    }
    let many: Vec<_> = (0..200).map(|nr| delivery(&nr.to_string(), "1")).collect();
    store.append(&many).await.unwrap();
    let waiting = store.pending(1).await.unwrap();
    store.close().await;
    database.tamper("ANALYZE; SELECT pg_stat_reset()").await;

    let store = database.open().await;
    for (round, row) in rows.iter().enumerate() {
        let name = row.id.as_str();
        let wanted = Wanted {
            checkouts: vec![row.named()],
            orders: vec![order(name)],
            payments: vec![payment(name)],
            ..Wanted::default()
        };
        assert_eq!(store.load(&wanted).await.unwrap().checkouts.len(), 1);
        let draft = Draft::after(row)
            .payment(name)
            .release("a", "nobody's")
            .action(look_up("b", at(0)));
        let dealt_with = waiting.first().filter(|_| round == 0);
        let dealt_with = dealt_with.map(|one| (one.id, Disposition::Taken));
        let unit = CommitUnit {
            deliveries: dealt_with.into_iter().collect(),
            sightings: vec![(row.named(), Some(seen(&shop(), "m")))],
            ..draft.unit()
        };
        assert_eq!(commit(&store, unit).await, Committed::Done);
        let twins = store.twins(&[row.named()]).await.unwrap();
        assert_eq!(twins.len(), usize::from(round > 0));
    }
    store.close().await;
    let looked = looked_into(&database).await;
    let expected = [
        ("actions", 1),
        ("bodies", 0),
        ("checkouts", 1),
        ("delivery_keys", 0),
        ("inbox", 1),
        ("journal", 0),
        ("payments", 1),
        ("sightings", 1),
    ];
    let expected = expected.map(|(table, count)| (table.to_owned(), count));
    assert_eq!(looked, expected.to_vec());
    // The count sees who looks into all.
    let store = database.open().await;
    let wanted = Wanted {
        ids: vec![id("c1")],
        ..Wanted::default()
    };
    assert_eq!(store.load(&wanted).await.unwrap().checkouts.len(), 1);
    store.close().await;
    let looked = looked_into(&database).await;
    assert_eq!(looked[2], ("checkouts".to_owned(), 4));
}
