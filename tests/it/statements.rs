//! Daily statements with the real daemon: from the command, from the admin listener and in the
//! log, held against the sandbox's own books.

#![expect(
    clippy::arithmetic_side_effects,
    reason = "a story adds up its own columns"
)]

use crate::support::Rig;
use reconciled::audit::{self, day::Day};
use reconciled::clock::Clock;
use reconciled::core::checkout::Checkout;
use reconciled::core::fact::Fact;
use reconciled::core::ids::{CheckoutId, PaymentRef, ShopId};
use reconciled::core::payment::{Ownership, PaymentSnapshot, Progress, Source};
use reconciled::core::plan::{Decision, Reason, Verdict};
use reconciled::core::time::{Span, Time};
use reconciled::sandbox::rig::eur;
use reconciled::sandbox::shop::Standing;
use reconciled::store::memory::MemoryStore;
use reconciled::store::sqlite::SqliteStore;
use reconciled::store::{CheckoutCommit, CheckoutRow, CommitUnit, JournalEntry, Store};
use serde_json::Value;
use std::collections::BTreeSet;

const PRICE: i64 = 5_995;

fn minor(money: &Value) -> i64 {
    money["value"]
        .as_str()
        .unwrap()
        .replace('.', "")
        .parse()
        .unwrap()
}

/// Each column summed over the days that the story may have taken, checked line by line.
fn summed(days: &[Value]) -> [i64; 5] {
    let mut sums = [0; 5];
    for line in days
        .iter()
        .flat_map(|day| day["statements"].as_array().unwrap())
    {
        assert_eq!(
            (line["shop"].as_str(), line["currency"].as_str()),
            (Some("klompen"), Some("EUR"))
        );
        let of = |name: &str| minor(&line[name]);
        let left = of("opening_suspense") + of("captured");
        let gone = of("settled") + of("refunded") + of("charged_back");
        assert_eq!(left, gone + of("closing_suspense"), "{line}");
        assert_eq!(of("unexplained"), 0, "{line}");
        for (sum, name) in sums
            .iter_mut()
            .zip(["captured", "settled", "refunded", "charged_back"])
        {
            *sum += of(name);
        }
        sums[4] = of("closing_suspense");
    }
    sums
}

#[tokio::test]
async fn a_days_statement_agrees_with_the_books_of_the_psp() {
    let begun = Day::of(Clock::System.now());
    let mut rig = Rig::raise().await;
    rig.place("1001", eur(PRICE));
    rig.pay("1001", eur(PRICE));
    rig.until_verdict("1001", "settled").await;
    rig.shop(|shop| {
        shop.place_quietly("1002", eur(700));
        shop.change("1002", |order| order.standing = Standing::Cancelled);
    });
    rig.pay("1002", eur(700));
    rig.until_verdict("1002", "returned").await;
    rig.place("1003", eur(PRICE));
    rig.pay("1003", eur(1_000));
    rig.until_verdict("1003", "held").await;
    let ended = Day::of(Clock::System.now());
    let mut days = vec![begun];
    if ended != begun {
        days.push(ended);
    }
    let mut said = Vec::new();
    let mut told = Vec::new();
    for day in days {
        let day = day.to_string();
        let words = ["audit", "--statement", "--day", &day, "--json"];
        let command = rig.command(&words).await;
        assert_eq!(command.code, Some(0), "{command:?}");
        said.push(command.json());
        let path = format!("/api/v1/statements?shop=klompen&day={day}");
        told.push(rig.until_json(&path, |_| true).await);
    }
    assert_eq!(summed(&said), [PRICE + 700 + 1_000, PRICE, 700, 0, 1_000]);
    assert_eq!(
        said.last().map(|one| &one["statements"]),
        told.last().map(|one| &one["statements"])
    );
    let customers: i64 = ["1001", "1002", "1003"]
        .iter()
        .map(|one| rig.customer(one).charged)
        .sum();
    assert_eq!(summed(&said)[0], customers);
    let text = rig.command(&["audit", "--statement"]).await;
    assert_eq!(text.code, Some(0), "{text:?}");
    assert!(text.out.ends_with("The day adds up.\n"), "{text:?}");
    for bad in ["2999-01-01", "2026-02-30", "today"] {
        let words = ["audit", "--statement", "--day", bad];
        assert_eq!(rig.command(&words).await.code, Some(64), "{bad}");
    }
    assert_eq!(
        rig.command(&["audit", "--day", "2026-01-01"]).await.code,
        Some(64)
    );
    rig.sigterm().await.unwrap();
    rig.close().await;
}

/// A payment that nobody claims an order for, captured at this moment, as the store keeps it.
fn waiting(name: &str, at: Time) -> CheckoutCommit {
    let payment = PaymentRef::parse("stripe_nl", &format!("pi_{name}")).unwrap();
    let mut seen = PaymentSnapshot::new(payment.clone(), at, at, Source::Signed);
    seen.ownership = Some(Ownership::Ours);
    seen.progress = Some(Progress::Taken);
    seen.captured = Some(eur(PRICE));
    let fact = Fact::PaymentSeen(Box::new(seen));
    let id = CheckoutId::parse(&format!("ck_{name}")).unwrap();
    let mut checkout = Checkout::new(id.clone(), ShopId::parse("klompen").unwrap(), None);
    checkout.observe(&fact);
    let decision = Decision {
        verdict: Verdict::Held,
        reason: Reason::UnreferencedHeld,
        actions: Vec::new(),
        withheld: Vec::new(),
        wake_at: None,
        in_suspense: vec![eur(PRICE)],
    };
    let facts = serde_json::to_string(&[fact]).unwrap();
    let decision = serde_json::to_string(&decision).unwrap();
    let entry = JournalEntry::chained("", &id, 1, at, facts, decision);
    CheckoutCommit {
        row: CheckoutRow {
            id,
            shop: checkout.shop.clone(),
            reference: None,
            verdict: Verdict::Held,
            reason: Reason::UnreferencedHeld,
            since: at,
            created_at: at,
            in_suspense: Some(eur(PRICE)),
            wake_at: None,
            version: 1,
            head: entry.hash.clone(),
            document: serde_json::to_string(&checkout).unwrap(),
        },
        entry,
        actions: Vec::new(),
        released: Vec::new(),
        under_way: BTreeSet::new(),
        payments: vec![payment],
    }
}

#[tokio::test]
async fn an_audit_on_all_processors_finds_what_one_alone_finds() {
    const COUNT: u64 = 2_345;
    let store = MemoryStore::new();
    let at = Clock::System.now();
    let whole = waiting("0000", at).row.document;
    for number in 0..COUNT {
        let mut one = waiting(&format!("{number:04}"), at);
        if [7, 1_400, 2_344].contains(&number) {
            // What the journal does not say.
            one.row.document = whole.clone();
        }
        let unit = CommitUnit {
            checkouts: vec![one],
            ..CommitUnit::default()
        };
        store.commit(&[unit]).await.unwrap();
    }
    let alone = audit::run(&store).await.unwrap();
    assert_eq!((alone.checkouts, alone.entries), (COUNT, COUNT));
    assert_eq!((alone.differences_found, alone.differences.len()), (3, 3));
    let sound = i64::try_from(COUNT - 3).unwrap();
    assert_eq!(alone.statements[0].captured, eur(PRICE * sound));
    assert_eq!(alone.statements[0].in_suspense, eur(PRICE * sound));
    let together = audit::run_on_all_processors(&store).await.unwrap();
    assert_eq!(together, alone);
}

#[tokio::test]
async fn an_audit_knows_a_document_that_an_earlier_version_wrote_with_every_field() {
    let store = MemoryStore::new();
    let at = Clock::System.now();
    let earlier = |document: &str| document.replacen('{', "{\"brake\":null,\"parked\":null, ", 1);
    let mut sound = waiting("0001", at);
    sound.row.document = earlier(&sound.row.document);
    let mut another = waiting("0002", at);
    another.row.document = earlier(&waiting("0003", at).row.document);
    for one in [sound, another] {
        let unit = CommitUnit {
            checkouts: vec![one],
            ..CommitUnit::default()
        };
        store.commit(&[unit]).await.unwrap();
    }
    let report = audit::run(&store).await.unwrap();
    assert_eq!((report.checkouts, report.differences_found), (2, 1));
    let found = &report.differences[0];
    assert!(found.contains("state_differs from its journal"), "{found}");
    assert_eq!(report.statements[0].captured, eur(PRICE));
}

#[tokio::test]
async fn the_daemon_says_the_statement_of_the_day_that_closed_last() {
    let mut rig = Rig::prepare_with(|setup| setup).await;
    let path = rig.config_path().with_file_name("reconciled.db");
    let store = SqliteStore::open(&path).await.unwrap();
    let at = Clock::System.now().minus(Span::from_days(7));
    let unit = CommitUnit {
        checkouts: vec![waiting("of_last_week", at)],
        ..CommitUnit::default()
    };
    store.commit(&[unit]).await.unwrap();
    store.close().await;
    drop(store);
    rig.restart().await.unwrap();
    rig.until_log("the day has closed", 1).await;
    let log = std::fs::read_to_string(rig.log_path()).unwrap();
    let line = log.lines().find(|line| line.contains("the day has closed"));
    let line = line.unwrap();
    for words in ["opening_suspense", "closing_suspense", "59.95", "klompen"] {
        assert!(line.contains(words), "{words}: {line}");
    }
    let day = Day::of(at).to_string();
    let words = ["audit", "--statement", "--day", &day];
    let then = rig.command(&words).await;
    assert!(
        then.out.contains("captured 59.95 = settled 0.00"),
        "{then:?}"
    );
    rig.close().await;
}
