//! Tests of reading a shop's events: the documented ones, and every way to be unreadable.
//!
//! Signatures are not looked at here; what is read was verified before.

use super::*;
use crate::core::ids::PaymentRef;
use crate::core::money::{Currency, Money};
use std::collections::BTreeSet;

const PENDING: &str = include_str!("../../../../fixtures/shop/events/order.pending.json");
const UPDATED: &str = include_str!("../../../../fixtures/shop/events/order.updated.json");
const CANCELLED: &str = include_str!("../../../../fixtures/shop/events/order.cancelled.json");
const CONFIRMED: &str = include_str!("../../../../fixtures/shop/events/order.confirmed.json");
/// 2026-11-21T10:00:00Z.
const TEN: i64 = 1_795_255_200;
const MINUTE: i64 = 60;

fn at(seconds: i64) -> Time {
    Time::from_seconds(seconds)
}

/// Received an hour after ten.
fn received() -> Time {
    at(TEN + 60 * MINUTE)
}

fn payments(ids: &[&str]) -> BTreeSet<PaymentRef> {
    let named = |id: &&str| PaymentRef::parse("stripe_nl", id).unwrap();
    ids.iter().map(named).collect()
}

fn euros(minor: i64) -> Option<Money> {
    Some(Money::new(minor, Currency::EUR))
}

fn said(status: OrderStatus, as_of: Time) -> Statement {
    Statement {
        as_of,
        asked_at: None,
        via: Via::Event,
        status,
        paid_by: BTreeSet::new(),
        is_fulfilled: None,
        reason: None,
        retry_after: None,
        look: None,
    }
}

fn read(body: &[u8], received_at: Time) -> Result<OrderSnapshot, Unreadable> {
    super::read(&ShopId::parse("klompen").unwrap(), body, received_at)
}

fn code(body: &str) -> &'static str {
    read(body.as_bytes(), received()).unwrap_err().code
}

#[test]
fn a_pending_order_brings_amount_expiry_payments_and_language() {
    let expected = OrderSnapshot {
        reference: Reference::parse("1000042").unwrap(),
        as_of: at(TEN),
        observed_at: received(),
        statement: Some(said(OrderStatus::Pending, at(TEN))),
        amount: euros(5995),
        terms: crate::core::order::Terms::default(),
        expires_at: Some(at(TEN + 30 * MINUTE)),
        created_at: None,
        claims: payments(&["pi_123"]),
        locale: Some("nl-NL".to_owned()),
        customer: None,
    };
    assert_eq!(read(PENDING.as_bytes(), received()), Ok(expected));
}

#[test]
fn an_update_changes_what_is_owed_and_says_nothing_of_how_the_order_stands() {
    let snapshot = read(UPDATED.as_bytes(), received()).unwrap();
    assert_eq!(snapshot.statement, None);
    assert_eq!(snapshot.amount, euros(4995));
    assert_eq!(snapshot.claims, payments(&["pi_123", "pi_124"]));
    assert_eq!(
        snapshot.as_of.micros(),
        at(TEN + 5 * MINUTE).micros() + 250_000
    );
}

#[test]
fn an_update_with_a_status_says_how_the_order_stands() {
    for (word, status) in [
        ("pending", OrderStatus::Pending),
        ("cancelled", OrderStatus::Cancelled),
        ("confirmed", OrderStatus::Confirmed),
    ] {
        let body = UPDATED.replace(
            r#""reference""#,
            &format!(r#""status": "{word}", "reference""#),
        );
        let snapshot = read(body.as_bytes(), received()).unwrap();
        assert_eq!(snapshot.statement, Some(said(status, snapshot.as_of)));
    }
}

#[test]
fn a_cancellation_brings_its_reason_and_whether_goods_left() {
    let snapshot = read(CANCELLED.as_bytes(), received()).unwrap();
    let mut expected = said(OrderStatus::Cancelled, at(TEN + 31 * MINUTE));
    expected.is_fulfilled = Some(false);
    expected.reason = Some("not paid in time".to_owned());
    assert_eq!(snapshot.statement, Some(expected));
}

#[test]
fn an_order_confirmed_by_the_shop_names_what_paid_it_in_paid_by_alone() {
    let snapshot = read(CONFIRMED.as_bytes(), received()).unwrap();
    let mut expected = said(OrderStatus::Confirmed, at(TEN + 2 * MINUTE));
    expected.paid_by = payments(&["pi_123"]);
    assert_eq!(snapshot.statement, Some(expected));
    assert!(snapshot.claims.is_empty());
    let claimed = CONFIRMED.replace("paid_by", "payments");
    let snapshot = read(claimed.as_bytes(), received()).unwrap();
    assert!(snapshot.statement.unwrap().paid_by.is_empty());
    assert_eq!(snapshot.claims, payments(&["pi_123"]));
}

#[test]
fn a_shop_whose_clock_is_ahead_cannot_speak_from_our_future() {
    let early = at(TEN - MINUTE);
    let snapshot = read(PENDING.as_bytes(), early).unwrap();
    assert_eq!(snapshot.as_of, early);
    assert_eq!(snapshot.statement.unwrap().as_of, early);
}

#[test]
fn only_a_pending_order_must_name_its_amount() {
    let amount = r#""amount": {"value": "59.95", "currency": "EUR"},"#;
    assert_eq!(code(&PENDING.replace(amount, "")), "missing_field");
    for body in [CANCELLED, CONFIRMED] {
        let snapshot = read(body.replace(amount, "").as_bytes(), received()).unwrap();
        assert_eq!(snapshot.amount, None);
        assert!(snapshot.statement.is_some());
    }
}

#[test]
fn optional_fields_may_be_absent_or_null_and_unknown_ones_are_tolerated() {
    let body = r#"{"type": "order.pending", "timestamp": "2026-11-21T10:00:00Z", "version": [2],
        "data": {"reference": "1000042", "amount": {"value": "59.95", "currency": "EUR", "vat": 1},
                 "expires_at": null, "payments": null, "locale": null, "cart": {"lines": [[]]}}}"#;
    let snapshot = read(body.as_bytes(), received()).unwrap();
    assert_eq!(snapshot.amount, euros(5995));
    assert_eq!(snapshot.expires_at, None);
    assert!(snapshot.claims.is_empty());
    assert_eq!(snapshot.locale, None);
}

#[test]
fn a_language_that_is_none_is_not_kept_and_does_not_lose_the_order() {
    for (text, kept) in [
        ("nl", true),
        ("nl_NL", true),
        ("zh-Hant-TW", true),
        ("n", false),
        ("nl-NL,nl;q=0.9", false),
        ("nl\\u0000", false),
        ("", false),
        (&"x".repeat(36), false),
    ] {
        let body = PENDING.replace("nl-NL", text);
        let snapshot = read(body.as_bytes(), received()).unwrap();
        assert_eq!(snapshot.locale.is_some(), kept, "{text}");
    }
}

#[test]
fn bodies_out_of_shape_are_unreadable() {
    for body in ["", " ", "{", "<html>", "\u{feff}{}", "{} {}"] {
        assert_eq!(code(body), "not_json", "{body}");
    }
    for body in [
        "[]",
        "null",
        "1",
        r#"["order.pending", "2026-11-21T10:00:00Z", {}]"#,
    ] {
        assert_eq!(code(body), "bad_shape", "{body}");
    }
    for (from, to) in [
        (r#""type""#, r#""type": "order.pending", "type""#),
        (r#""reference""#, r#""reference": "1000042", "reference""#),
        (r#""value""#, r#""value": "59.95", "value""#),
        (r#""reference": "1000042""#, r#""reference": 1000042"#),
        (r#""value": "59.95""#, r#""value": 59.95"#),
        (
            r#"{"value": "59.95", "currency": "EUR"}"#,
            r#"["59.95", "EUR"]"#,
        ),
        (
            r#"{"account": "stripe_nl", "id": "pi_123"}"#,
            r#"["stripe_nl", "pi_123"]"#,
        ),
        (
            r#"{"account": "stripe_nl", "id": "pi_123"}"#,
            r#"{"account": "stripe_nl"}"#,
        ),
        (r#"[{"account""#, r#"{"account""#),
    ] {
        let changed = PENDING.replacen(from, to, 1);
        assert_ne!(changed, PENDING, "{from}");
        let found = code(&changed);
        assert!(["bad_shape", "not_json"].contains(&found), "{to}: {found}");
    }
    let positional = r#"{"type": "order.pending", "timestamp": "2026-11-21T10:00:00Z",
        "data": ["1000042", {"value": "59.95", "currency": "EUR"}]}"#;
    assert_eq!(code(positional), "bad_shape");
}

#[test]
fn every_agreed_field_that_is_wrong_has_a_word_of_its_own() {
    for (from, to, expected) in [
        ("order.pending", "order.shipped", "unknown_event_type"),
        ("order.pending", "ORDER.PENDING", "unknown_event_type"),
        (r#""type": "order.pending", "#, "", "missing_field"),
        (
            r#""timestamp": "2026-11-21T10:00:00Z","#,
            "",
            "missing_field",
        ),
        (r#""reference": "1000042", "#, "", "missing_field"),
        ("10:00:00Z", "10:00:00", "bad_time"),
        ("10:30:00Z", "half past ten", "bad_time"),
        ("1000042", "", "bad_reference"),
        ("1000042", "10\\u000042", "bad_reference"),
        ("1000042", "10\\n42", "bad_reference"),
        ("1000042", "10\u{202e}42", "bad_reference"),
        ("59.95", "59.950", "bad_amount"),
        ("59.95", "59.9", "bad_amount"),
        ("59.95", "59,95", "bad_amount"),
        ("59.95", "-59.95", "bad_amount"),
        ("59.95", "92233720368547758.08", "bad_amount"),
        ("EUR", "eur", "bad_amount"),
        ("EUR", "XXX", "bad_amount"),
        ("stripe_nl", "stripe nl", "bad_payment"),
        ("pi_123", "pi/../123", "bad_payment"),
        ("pi_123", "pi\\u0000", "bad_payment"),
        (
            r#""locale""#,
            r#""status": "shipped", "locale""#,
            "unknown_status",
        ),
        (
            r#""locale""#,
            r#""status": "unknown", "locale""#,
            "unknown_status",
        ),
        (
            r#""locale""#,
            r#""status": "cancelled", "locale""#,
            "status_contradicts_type",
        ),
    ] {
        let changed = PENDING.replace(from, to);
        assert_ne!(changed, PENDING, "{from}");
        assert_eq!(code(&changed), expected, "{to}");
    }
    assert_eq!(
        code(r#"{"type":"order.pending","timestamp":"2026-11-21T10:00:00Z"}"#),
        "missing_field"
    );
}

#[test]
fn sixteen_payments_may_be_named_and_not_one_more() {
    let with = |count: usize| {
        let named = |n| format!(r#"{{"account": "stripe_nl", "id": "pi_{n}"}}"#);
        let list: Vec<String> = (0..count).map(named).collect();
        PENDING.replace(
            r#"{"account": "stripe_nl", "id": "pi_123"}"#,
            &list.join(","),
        )
    };
    let snapshot = read(with(16).as_bytes(), received()).unwrap();
    assert_eq!(snapshot.claims.len(), 16);
    assert_eq!(code(&with(17)), "too_many_payments");
}

#[test]
fn the_detail_names_places_and_never_shows_content() {
    for body in [
        PENDING.replace("1000042", "s3cret\\u0000"),
        PENDING.replace("order.pending", "s3cret"),
        PENDING.replace("59.95", "s3cret"),
        PENDING.replace("pi_123", "s3cret "),
        PENDING.replace(r#""payments": ["#, r#""payments": ["s3cret", "#),
        PENDING.replace("10:30", "s3cret"),
    ] {
        let found = read(body.as_bytes(), received()).unwrap_err();
        assert!(!found.detail.is_empty());
        assert!(!found.detail.contains("s3cret"), "{found:?}");
    }
}

#[test]
fn x01_the_hour_that_comes_twice_is_told_apart_by_its_offset() {
    let at = |written: &str| {
        let mut event: serde_json::Value = serde_json::from_str(PENDING).unwrap();
        event["timestamp"] = written.into();
        let text = event.to_string();
        let received = Time::from_seconds(1_893_456_000);
        read(text.as_bytes(), received).unwrap().as_of
    };
    let (summer, winter) = (
        at("2026-10-25T02:30:00+02:00"),
        at("2026-10-25T02:30:00+01:00"),
    );
    assert_eq!(winter.since(summer), hour());
    assert_eq!(winter, at("2026-10-25T01:30:00Z"));
}

/// One hour.
fn hour() -> crate::core::time::Span {
    crate::core::time::Span::from_hours(1)
}

#[test]
fn a_customer_is_kept_as_a_mark_of_shop_and_word_and_a_bad_word_is_refused() {
    let body =
        |word: &str| PENDING.replace(r#""locale""#, &format!(r#""customer": {word}, "locale""#));
    let mark = |shop: &str, word: &str| {
        let shop = ShopId::parse(shop).unwrap();
        let body = body(&format!("\"{word}\""));
        super::read(&shop, body.as_bytes(), received())
            .unwrap()
            .customer
    };
    let known = mark("klompen", "k-81c3").unwrap();
    assert_eq!(known.len(), 24);
    assert!(!known.contains("81c3"), "{known}");
    assert_eq!(mark("klompen", "k-81c3"), Some(known.clone()));
    assert_ne!(mark("klompen", "k-81c4"), Some(known.clone()));
    assert_ne!(mark("kaas", "k-81c3"), Some(known));
    assert!(mark("klompen", &"k".repeat(128)).is_some());
    let long = format!("\"{}\"", "k".repeat(129));
    for word in ["\"\"", "\"a\\nb\"", &long] {
        assert_eq!(code(&body(word)), "bad_customer", "{word}");
    }
}

#[test]
fn an_event_has_its_own_time_whenever_it_comes_and_nonsense_has_none() {
    assert_eq!(sent_at(PENDING.as_bytes()), Some(at(TEN)));
    for odd in ["", "{}", r#"{"timestamp":"now"}"#, r#"{"timestamp":5}"#] {
        assert_eq!(sent_at(odd.as_bytes()), None, "{odd}");
    }
}
