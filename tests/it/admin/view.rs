//! The checkout as everyone sees it, field by field.

use super::world::{Made, ago, captured, confirm, eur, now, payment};
use reconciled::core::fact::Fact;
use reconciled::core::ids::ExternalRef;
use reconciled::core::money::Money;
use reconciled::core::payment::{Refund, RefundState};
use reconciled::core::plan::{Reason, Verdict};
use reconciled::core::time::Span;
use reconciled::http::view;
use reconciled::store::{Lease, StoreError};
use serde_json::json;

#[test]
fn a_checkout_under_way_shows_every_field_of_the_contract() {
    let shown = view::checkout(&Made::confirming("ck_1").row()).unwrap();
    assert_eq!(
        serde_json::to_value(shown).unwrap(),
        json!({
            "id": "ck_1",
            "shop": "klompen",
            "reference": "1000042",
            "verdict": "confirming",
            "reason": "confirm_unclear",
            "order": {
                "status": "pending",
                "amount": {"value": "59.95", "currency": "EUR"},
                "expires_at": "2026-11-21T10:15:00Z",
            },
            "payments": [{
                "account": "stripe_nl",
                "id": "pi_1",
                "status": "captured",
                "method": "ideal",
                "captured": {"value": "59.95", "currency": "EUR"},
                "refunded": {"value": "0.00", "currency": "EUR"},
                "refund_pending": {"value": "0.00", "currency": "EUR"},
                "disputed": false,
            }],
            "in_suspense": {"value": "59.95", "currency": "EUR"},
            "since": "2026-11-21T09:50:00Z",
            "safe_to_retry": false,
            "next_step": {
                "action": "confirm",
                "at": "2026-11-21T10:00:40Z",
                "attempt": 3,
                "last_error": "timeout",
            },
            "version": 5,
        })
    );
}

#[test]
fn at_rest_there_is_no_next_step_and_no_money_in_suspense() {
    let shown = view::checkout(&Made::settled("ck_1").row()).unwrap();
    assert_eq!(shown.next_step, None);
    assert_eq!(shown.in_suspense, None);
    assert_eq!(shown.order.unwrap().status.as_deref(), Some("confirmed"));
}

#[test]
fn the_next_step_is_whatever_comes_first() {
    let step = |made: Made| view::checkout(&made.row()).unwrap().next_step.unwrap();
    let mut early_wake = Made::confirming("ck_1");
    early_wake.wake_at = Some(now());
    let shown = step(early_wake);
    assert_eq!((shown.action.as_str(), shown.attempt), ("look_again", None));
    let mut together = Made::confirming("ck_1");
    together.wake_at = Some(together.actions[0].0.due);
    assert_eq!(step(together).action, "confirm");
    let mut two = Made::confirming("ck_1");
    let mut later = confirm(now().plus(Span::from_seconds(90)));
    later.key = reconciled::core::ids::ActionKey::parse("other").unwrap();
    two.actions.insert(0, (later, 7));
    assert_eq!(step(two).at, "2026-11-21T10:00:40Z");
}

#[test]
fn an_attempt_that_is_out_keeps_its_number() {
    let mut row = Made::confirming("ck_1").row();
    row.actions[0].lease = Some(Lease {
        token: "a".to_owned(),
        until: now(),
    });
    let shown = view::checkout(&row).unwrap();
    assert_eq!(shown.next_step.unwrap().attempt, Some(2));
}

#[test]
fn refunds_that_are_done_and_refunds_under_way_are_told_apart() {
    let mut snapshot = captured("pi_1", 5995, ago(60));
    let refund = |minor, state| Refund {
        amount: eur(minor),
        state,
        mark: None,
        waits_for_balance: None,
        may_be_cancelled: None,
        failed_at: None,
    };
    for (id, refund) in [
        ("re_1", refund(1000, RefundState::Succeeded)),
        ("re_2", refund(500, RefundState::Pending)),
        ("re_3", refund(300, RefundState::Failed)),
    ] {
        snapshot
            .refunds
            .insert(ExternalRef::parse(id).unwrap(), refund);
    }
    let made = Made {
        facts: vec![Fact::PaymentSeen(Box::new(snapshot))],
        ..Made::confirming("ck_1")
    };
    let shown = view::checkout(&made.row()).unwrap();
    assert_eq!(shown.payments[0].refunded, Some(eur(1000)));
    assert_eq!(shown.payments[0].refund_pending, Some(eur(500)));
}

#[test]
fn a_payment_in_two_currencies_shows_no_amount_at_all() {
    let mut second = captured("pi_1", 100, ago(60));
    let yen = reconciled::core::money::Currency::parse("JPY").unwrap();
    second.captured = Some(Money::new(100, yen));
    let made = Made {
        facts: vec![
            Fact::PaymentSeen(Box::new(captured("pi_1", 5995, ago(60)))),
            Fact::PaymentSeen(Box::new(second)),
        ],
        ..Made::confirming("ck_1")
    };
    let shown = view::checkout(&made.row()).unwrap();
    assert_eq!(shown.payments[0].captured, None);
    assert_eq!(shown.payments[0].refunded, None);
}

#[test]
fn a_payment_that_moved_away_is_not_shown_here() {
    let to = reconciled::core::ids::CheckoutId::parse("ck_2").unwrap();
    let mut made = Made::confirming("ck_1");
    made.verdict = Verdict::Closed;
    made.reason = Reason::Moved;
    made.facts.push(Fact::PaymentLeft {
        payment: payment("pi_1"),
        to,
    });
    assert_eq!(view::checkout(&made.row()).unwrap().payments, []);
}

#[test]
fn a_document_that_cannot_be_read_names_its_row() {
    let mut row = Made::confirming("ck_1").row();
    row.row.document = "[]".to_owned();
    let error = view::checkout(&row).unwrap_err();
    let StoreError::Corrupt {
        table, column, row, ..
    } = error
    else {
        panic!("{error}");
    };
    assert_eq!(
        (table, column, row.as_str()),
        ("checkouts", "document", "ck_1")
    );
}
