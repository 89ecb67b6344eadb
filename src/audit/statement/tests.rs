//! Statements over hand-made journals: whole ones add up to the cent, day after day; a changed
//! one is named and enters no sum.

use super::*;
use crate::core::fact::Fact;
use crate::core::order::Via;
use crate::core::payment::{DisputeState, Ownership, RefundState};
use crate::core::plan::ActionKind;
use crate::core::policy::{HoldOrRefund, Policy};
use crate::store::memory::MemoryStore;
use crate::store::sample::{
    captured, done, eur, minute, pay, policy, read as looked, said, seen, shop, with_dispute,
    with_refund, write,
};

const PRICE: i64 = 5_995;
const DAY_MINUTES: i64 = 1_440;

fn first() -> Day {
    Day::of(minute(0))
}

/// All statements of so many days, each checked to the cent and against the day before.
async fn days(store: &MemoryStore, count: i64) -> Vec<DayStatement> {
    let mut all: Vec<DayStatement> = Vec::new();
    let mut day = first();
    for _ in 0..count {
        let made = of_day(store, day, None, minute(30 * DAY_MINUTES)).await;
        let made = made.unwrap();
        for line in &made.statements {
            assert!(line.rest().unwrap().is_zero(), "{line:?}");
            let before = all.last().and_then(|one| same_line(one, line));
            let closed_with = before.map_or(eur(0), |one| one.closing_suspense);
            if line.currency == Currency::EUR {
                assert_eq!(line.opening_suspense, closed_with, "{day}");
            }
        }
        all.push(made);
        day = day.next();
    }
    all
}

fn same_line<'a>(made: &'a DayStatement, line: &Line) -> Option<&'a Line> {
    let mut lines = made.statements.iter();
    lines.find(|one| (&one.shop, one.currency) == (&line.shop, line.currency))
}

/// Opening, captured, settled, refunded, charged back, closing of the only line.
fn figures(made: &DayStatement) -> [i64; 6] {
    let [line] = made.statements.as_slice() else {
        panic!("{made:?}");
    };
    [
        line.opening_suspense,
        line.captured,
        line.settled,
        line.refunded,
        line.charged_back,
        line.closing_suspense,
    ]
    .map(Money::minor)
}

/// An order that is paid on the first day and confirmed on the second.
fn settles_overnight() -> Vec<(Time, Vec<Fact>)> {
    let late = minute(DAY_MINUTES - 1);
    let early = minute(DAY_MINUTES + 1);
    vec![
        (
            minute(600),
            vec![said(
                Via::Event,
                OrderStatus::Pending,
                eur(PRICE),
                minute(600),
            )],
        ),
        (late, vec![seen(captured("pi_1", eur(PRICE), late))]),
        (
            early,
            vec![said(
                Via::Confirm,
                OrderStatus::Confirmed,
                eur(PRICE),
                early,
            )],
        ),
    ]
}

#[tokio::test]
async fn money_that_settles_overnight_is_in_suspense_at_midnight() {
    let store = MemoryStore::new();
    write(&store, "c1", Some("1001"), &settles_overnight(), &policy()).await;
    let made = days(&store, 3).await;
    assert_eq!(figures(&made[0]), [0, PRICE, 0, 0, 0, PRICE]);
    assert_eq!(figures(&made[1]), [PRICE, 0, PRICE, 0, 0, 0]);
    assert_eq!(made[2].statements, []);
    assert!(made.iter().all(|one| one.is_clean() && one.closed));
    assert!(made[1].text().contains("= settled 59.95 + refunded 0.00"));
}

#[tokio::test]
async fn a_refund_a_chargeback_and_money_that_waits_each_have_their_column() {
    let store = MemoryStore::new();
    let refunds = Policy {
        unreferenced: HoldOrRefund::Refund,
        ..policy()
    };
    let key = "refund-stripe_nl.pi_2-1";
    let asked = done(
        key,
        ActionKind::Refund,
        Some(("pi_2", eur(700))),
        minute(1_500),
    );
    let gone = with_refund(
        looked("pi_2", eur(700), minute(1_501)),
        key,
        eur(700),
        RefundState::Succeeded,
    );
    let back = [
        (
            minute(10),
            vec![seen(captured("pi_2", eur(700), minute(10)))],
        ),
        (minute(1_501), [asked.to_vec(), vec![seen(gone)]].concat()),
    ];
    write(&store, "c2", None, &back, &refunds).await;
    let lost = with_dispute(
        looked("pi_3", eur(900), minute(3_000)),
        eur(900),
        DisputeState::Lost,
    );
    let lost = [
        (
            minute(20),
            vec![seen(captured("pi_3", eur(900), minute(20)))],
        ),
        (minute(3_000), vec![seen(lost)]),
    ];
    write(&store, "c3", None, &lost, &policy()).await;
    let waits = [(
        minute(30),
        vec![seen(captured("pi_4", eur(50), minute(30)))],
    )];
    write(&store, "c4", None, &waits, &policy()).await;
    let made = days(&store, 4).await;
    assert_eq!(figures(&made[0]), [0, 1_650, 0, 0, 0, 1_650]);
    assert_eq!(figures(&made[1]), [1_650, 0, 0, 700, 0, 950]);
    assert_eq!(figures(&made[2]), [950, 0, 0, 0, 900, 50]);
    assert_eq!(figures(&made[3]), [50, 0, 0, 0, 0, 50]);
    assert!(made.iter().all(DayStatement::is_clean), "{made:?}");
}

#[tokio::test]
async fn what_was_settled_and_then_refunded_is_taken_back_from_the_one_for_the_other() {
    let store = MemoryStore::new();
    let mut moments = settles_overnight();
    let at = minute(3 * DAY_MINUTES);
    let gone = with_refund(
        looked("pi_1", eur(PRICE), at),
        "staff",
        eur(1_000),
        RefundState::Succeeded,
    );
    moments.push((at, vec![seen(gone)]));
    write(&store, "c1", Some("1001"), &moments, &policy()).await;
    let made = days(&store, 4).await;
    assert_eq!(figures(&made[3])[2..4], [-1_000, 1_000]);
    assert!(made[3].is_clean(), "{:?}", made[3]);
}

#[tokio::test]
async fn what_is_not_ours_stands_apart_and_another_currency_has_its_own_line() {
    let store = MemoryStore::new();
    let mut strange = captured("pi_5", eur(4_000), minute(5));
    strange.ownership = Some(Ownership::Unclaimed);
    write(
        &store,
        "c5",
        None,
        &[(minute(5), vec![seen(strange)])],
        &policy(),
    )
    .await;
    let yen = Money::new(800, Currency::parse("JPY").unwrap());
    let yen = seen(captured("pi_6", yen, minute(6)));
    write(&store, "c6", None, &[(minute(6), vec![yen])], &policy()).await;
    let made = days(&store, 1).await;
    let lines: Vec<_> = made[0]
        .statements
        .iter()
        .map(|one| {
            (
                one.currency.code(),
                one.captured.minor(),
                one.foreign.minor(),
            )
        })
        .collect();
    assert_eq!(lines, [("EUR", 0, 4_000), ("JPY", 800, 0)]);
    assert!(
        made[0].text().contains("not ours 40.00"),
        "{}",
        made[0].text()
    );
    assert!(made[0].is_clean());
}

#[tokio::test]
async fn a_payment_that_moves_to_its_order_moves_no_sum() {
    let store = MemoryStore::new();
    let paid = captured("pi_1", eur(PRICE), minute(1));
    let moved = Fact::PaymentLeft {
        payment: pay("pi_1"),
        to: CheckoutId::parse("c2").unwrap(),
    };
    let alone = [
        (minute(1), vec![seen(paid.clone())]),
        (minute(2_000), vec![moved]),
    ];
    write(&store, "c1", None, &alone, &policy()).await;
    let arrived = Fact::PaymentArrived {
        payment: pay("pi_1"),
        state: Box::new(Payment::from_snapshot(&paid)),
    };
    let order = said(Via::Event, OrderStatus::Pending, eur(PRICE), minute(2_000));
    let home = [(minute(2_000), vec![order, arrived])];
    write(&store, "c2", Some("1001"), &home, &policy()).await;
    let made = days(&store, 2).await;
    assert_eq!(figures(&made[0]), [0, PRICE, 0, 0, 0, PRICE]);
    assert_eq!(figures(&made[1]), [PRICE, 0, 0, 0, 0, PRICE]);
}

#[tokio::test]
async fn a_clock_that_stepped_back_books_nothing_on_a_day_that_was_over() {
    let store = MemoryStore::new();
    let mut moments = settles_overnight();
    // The confirm is written after midnight by a clock that stands before it.
    let early = minute(DAY_MINUTES + 1);
    let stepped = minute(DAY_MINUTES - 5);
    moments[2].0 = early;
    moments.push((stepped, vec![seen(looked("pi_1", eur(PRICE + 5), stepped))]));
    write(&store, "c1", Some("1001"), &moments, &policy()).await;
    let made = days(&store, 2).await;
    assert_eq!(figures(&made[0]), [0, PRICE, 0, 0, 0, PRICE]);
    assert_eq!(figures(&made[1])[..2], [PRICE, 5]);
}

#[tokio::test]
async fn a_changed_journal_is_named_and_enters_no_sum() {
    let store = MemoryStore::new();
    write(&store, "c1", Some("1001"), &settles_overnight(), &policy()).await;
    let (row, whole) = store.audit_page(None, 1).await.unwrap().remove(0);
    let larger = whole[1]
        .facts
        .replace("59.95", "59.96")
        .replace("5995", "5996");
    assert_ne!(larger, whole[1].facts);
    let mut forged = whole.clone();
    forged[1].facts = larger;
    let mut lost = whole.clone();
    lost.remove(1);
    for (entries, words) in [(&forged, "hash_differs"), (&lost, "entry_missing")] {
        let mut books = Books::new(first());
        books.enter(&row, entries);
        assert_eq!((books.lines.len(), books.differences_found), (0, 1));
        let one = &books.differences[0];
        assert!(one.checkout == row.id && one.why.contains(words), "{one:?}");
    }
    let mut books = Books::new(first());
    books.enter(&row, &whole);
    assert_eq!((books.lines.len(), books.differences_found), (1, 0));
}

#[tokio::test]
async fn money_that_nobody_accounts_for_is_listed_and_the_line_still_adds_up() {
    // A decision that leaves money out, properly chained: a fault of ours, not of a forger.
    let store = MemoryStore::new();
    let paid = seen(captured("pi_1", eur(PRICE), minute(1)));
    write(&store, "c1", None, &[(minute(1), vec![paid])], &policy()).await;
    let (mut row, mut entries) = store.audit_page(None, 1).await.unwrap().remove(0);
    let decision = entries[0].decision.replace("59.95", "59.94");
    assert_ne!(decision, entries[0].decision);
    let (at, facts) = (entries[0].at, entries[0].facts.clone());
    entries[0] = JournalEntry::chained("", &row.id, 1, at, facts, decision);
    row.head = entries[0].hash.clone();
    let mut books = Books::new(first());
    books.enter(&row, &entries);
    let line = books.lines.values().next().unwrap();
    assert_eq!(line.unexplained, eur(1));
    assert!(line.rest().unwrap().is_zero());
    assert_eq!(books.differences[0].amount, Some(eur(1)));
    assert!(books.differences[0].why.contains("captured 59.95 EUR but"));
}

#[tokio::test]
async fn sums_past_the_range_are_refused_and_never_wrap() {
    let store = MemoryStore::new();
    for (id, name) in [("c1", "pi_1"), ("c2", "pi_2")] {
        let huge = seen(captured(name, eur(i64::MAX - 1), minute(1)));
        write(&store, id, None, &[(minute(1), vec![huge])], &policy()).await;
    }
    let made = of_day(&store, first(), None, minute(0)).await.unwrap();
    assert_eq!(made.statements[0].captured, eur(i64::MAX - 1));
    assert_eq!(made.differences_found, 1);
    assert_eq!(
        made.differences[0].why,
        "amounts: the amount is out of range"
    );
    assert!(!made.closed);
}

#[tokio::test]
async fn one_shop_alone_can_be_asked_for() {
    let store = MemoryStore::new();
    write(&store, "c1", Some("1001"), &settles_overnight(), &policy()).await;
    let other = ShopId::parse("other").unwrap();
    let now = minute(0);
    let none = of_day(&store, first(), Some(&other), now).await.unwrap();
    let some = of_day(&store, first(), Some(&shop()), now).await.unwrap();
    assert_eq!((none.statements.len(), some.statements.len()), (0, 1));
}
