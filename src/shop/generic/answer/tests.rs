//! Tests of reading replies: what is an answer, and all the things that look like one.
//!
//! Bodies and header fields are plain values; there is no network here.

use super::*;
use crate::core::ids::PaymentRef;
use crate::core::money::{Currency, Money};
use crate::core::order::OrderStatus;
use crate::core::plan::{Notice, Reason};

const CONFIRMED: &str = include_str!("../../../../fixtures/shop/answers/confirmed.json");
const PENDING: &str = include_str!("../../../../fixtures/shop/answers/pending.json");
const CANCELLED: &str = include_str!("../../../../fixtures/shop/answers/cancelled.json");
const UNKNOWN: &str = include_str!("../../../../fixtures/shop/answers/unknown.json");
const HTML: &str = include_str!("../../../../fixtures/shop/answers/maintenance.html");

fn asked() -> Time {
    Time::from_seconds(1_795_255_200)
}

/// 2026-11-21T10:00:02Z.
fn now() -> Time {
    Time::from_seconds(1_795_255_202)
}

fn order() -> Reference {
    Reference::parse("1000042").unwrap()
}

fn lookup() -> ShopAsk {
    ShopAsk::LookUp { reference: order() }
}

fn confirm() -> ShopAsk {
    ShopAsk::Confirm {
        reference: order(),
        payments: Vec::new(),
        amount: Money::new(5995, Currency::EUR),
        late: false,
        decision: 1,
    }
}

fn release() -> ShopAsk {
    ShopAsk::Release {
        reference: order(),
        payments: Vec::new(),
        decision: 2,
        paid_otherwise: None,
    }
}

fn notice() -> ShopAsk {
    ShopAsk::Notify {
        notice: Notice::Refunded,
        reference: Some(order()),
        payment: PaymentRef::parse("stripe_nl", "pi_123").unwrap(),
        amount: Money::new(5995, Currency::EUR),
        reason: Reason::OrderCancelled,
        at: asked(),
    }
}

fn reply(status: u16, headers: &[(&str, &str)], body: &str) -> Reply {
    let mut fields = Headers::new();
    for (name, value) in headers {
        fields.push(name, *value);
    }
    Ok(Response {
        status,
        headers: fields,
        body: body.as_bytes().to_vec(),
    })
}

fn json(body: &str) -> Reply {
    reply(200, &[("content-type", "application/json")], body)
}

fn heard(ask: &ShopAsk, reply: &Reply) -> ShopAnswer {
    read(ask, asked(), now(), reply)
}

fn said(ask: &ShopAsk, reply: &Reply) -> (OrderSnapshot, Option<u64>) {
    let heard = heard(ask, reply);
    let ShopAnswer::Said { order, epoch } = heard else {
        panic!("{heard:?}")
    };
    (*order, epoch)
}

fn failed(ask: &ShopAsk, reply: &Reply) -> Failure {
    let heard = heard(ask, reply);
    let ShopAnswer::Failed(failure) = heard else {
        panic!("{heard:?}")
    };
    failure
}

fn malformed(word: &str) -> Failure {
    Failure::Malformed(word.to_owned())
}

#[test]
fn a_full_answer_is_understood_whole() {
    let (snapshot, epoch) = said(&confirm(), &json(CONFIRMED));
    assert_eq!(epoch, Some(1_000_042));
    assert_eq!(snapshot.reference, order());
    assert_eq!(snapshot.as_of, now());
    assert_eq!(snapshot.observed_at, now());
    assert_eq!(snapshot.amount, Some(Money::new(5995, Currency::EUR)));
    assert_eq!(
        snapshot.statement,
        Some(Statement {
            as_of: now(),
            asked_at: Some(asked()),
            via: Via::Confirm,
            status: OrderStatus::Confirmed,
            paid_by: [PaymentRef::parse("stripe_nl", "pi_123").unwrap()].into(),
            is_fulfilled: Some(true),
            reason: None,
            retry_after: None,
            look: None,
        })
    );
}

#[test]
fn each_status_answers_each_question() {
    for (body, status) in [
        (CONFIRMED, OrderStatus::Confirmed),
        (PENDING, OrderStatus::Pending),
        (CANCELLED, OrderStatus::Cancelled),
        (UNKNOWN, OrderStatus::Unknown),
    ] {
        for (ask, via) in [
            (confirm(), Via::Confirm),
            (lookup(), Via::LookUp),
            (release(), Via::Release),
        ] {
            let statement = said(&ask, &json(body)).0.statement.unwrap();
            assert_eq!((statement.status, statement.via), (status, via));
        }
    }
}

#[test]
fn not_yet_may_say_why_and_when_to_ask_again() {
    let statement = said(&confirm(), &json(PENDING)).0.statement.unwrap();
    assert_eq!(statement.reason.as_deref(), Some("stock is being checked"));
    assert_eq!(statement.retry_after, Some(Span::from_seconds(60)));
}

#[test]
fn an_answer_may_go_without_content_type_epoch_and_echo() {
    let (snapshot, epoch) = said(&lookup(), &reply(200, &[], UNKNOWN));
    assert_eq!(epoch, None);
    assert_eq!(snapshot.amount, None);
    for content_type in [
        "Application/JSON; charset=utf-8",
        "application/vnd.shop+json",
    ] {
        let fields = [("content-type", content_type)];
        assert_eq!(said(&lookup(), &reply(201, &fields, UNKNOWN)).1, None);
    }
}

fn each_is_malformed(cases: &[(&str, &str)]) {
    for (body, expected) in cases {
        for ask in [confirm(), lookup(), release()] {
            let found = failed(&ask, &json(body));
            assert_eq!(found, malformed(expected), "{body:.80}");
        }
    }
}

#[test]
fn a_2xx_that_is_no_json_object_of_ours_is_malformed_by_name() {
    let deep = format!(r#"{{"order": {}"#, "[".repeat(300));
    let large = format!(
        r#"{{"order": {{"status": "unknown", "note": "{}"}}}}"#,
        "x".repeat(ANSWER_BYTES_MAX)
    );
    each_is_malformed(&[
        ("", "empty"),
        (" \r\n", "empty"),
        ("OK", "not_json"),
        (HTML, "not_json"),
        (&deep, "bad_shape"),
        (&large, "answer_too_large"),
        (r#"{"order": {"status": "confirmed"}"#, "not_json"),
        (r#"{"order": {"status": "confirmed"}} {}"#, "not_json"),
        ("[]", "bad_shape"),
        ("true", "bad_shape"),
        (r#"[{"status": "confirmed"}, 1]"#, "bad_shape"),
        (r#"{"order": ["1000042", "confirmed"]}"#, "bad_shape"),
        (r#"{"order": "confirmed"}"#, "bad_shape"),
        (r#"{"order": {"status": true}}"#, "bad_shape"),
        (
            r#"{"order": {"status": "unknown", "status": "confirmed"}}"#,
            "bad_shape",
        ),
        (
            r#"{"order": {"status": "unknown"}, "order": {"status": "unknown"}}"#,
            "bad_shape",
        ),
        (
            r#"{"order": {"status": "confirmed"}, "epoch": -1}"#,
            "bad_shape",
        ),
        (
            r#"{"order": {"status": "confirmed"}, "epoch": 1.5}"#,
            "bad_shape",
        ),
        (
            r#"{"order": {"status": "confirmed"}, "epoch": "7"}"#,
            "bad_shape",
        ),
        (
            r#"{"order": {"status": "confirmed"}, "epoch": 18446744073709551616}"#,
            "bad_shape",
        ),
        (
            r#"{"order": {"status": "confirmed", "fulfilled": "no"}}"#,
            "bad_shape",
        ),
    ]);
}

#[test]
fn a_2xx_without_one_explicit_known_status_for_this_order_is_malformed_by_name() {
    each_is_malformed(&[
        ("{}", "missing_order"),
        (r#"{"status": "confirmed"}"#, "missing_order"),
        (r#"{"order": null}"#, "missing_order"),
        (r#"{"order": {}}"#, "missing_status"),
        (r#"{"order": {"Status": "confirmed"}}"#, "missing_status"),
        (r#"{"order": {"status": null}}"#, "missing_status"),
        (r#"{"order": {"status": ""}}"#, "unknown_status"),
        (r#"{"order": {"status": "paid"}}"#, "unknown_status"),
        (r#"{"order": {"status": "Confirmed"}}"#, "unknown_status"),
        (r#"{"order": {"status": "confirmed "}}"#, "unknown_status"),
        (
            r#"{"order": {"status": "confirmed", "reference": "1000043"}}"#,
            "other_order",
        ),
        (
            r#"{"order": {"status": "confirmed", "retry_after": "soon"}}"#,
            "bad_retry_after",
        ),
        (
            r#"{"order": {"status": "confirmed", "amount": {"value": "1", "currency": "EUR"}}}"#,
            "bad_amount",
        ),
        (
            r#"{"order": {"status": "confirmed", "paid_by": [{"account": "a", "id": "b c"}]}}"#,
            "bad_payment",
        ),
    ]);
}

#[test]
fn s067_a_2xx_in_another_content_type_is_not_an_answer_whatever_it_holds() {
    for (content_type, expected) in [
        ("text/html", "html"),
        ("text/html; charset=utf-8", "html"),
        ("application/xhtml+xml", "html"),
        ("text/plain", "content_type"),
        ("application/octet-stream", "content_type"),
        ("application/json-seq", "content_type"),
        ("", "content_type"),
    ] {
        let reply = reply(200, &[("content-type", content_type)], CONFIRMED);
        assert_eq!(
            failed(&confirm(), &reply),
            malformed(expected),
            "{content_type}"
        );
    }
}

#[test]
fn s068_no_other_status_is_ever_an_answer_even_with_an_answer_in_it() {
    let unclear = |word: &str| Failure::Unclear(word.to_owned());
    let unauthorized = |word: &str| Failure::Unauthorized(word.to_owned());
    for (status, expected) in [
        (301, malformed("redirect")),
        (302, malformed("redirect")),
        (304, malformed("redirect")),
        (308, malformed("redirect")),
        (400, unclear("status_400")),
        (401, unauthorized("status_401")),
        (403, unauthorized("status_403")),
        (404, unclear("status_404")),
        (409, unclear("status_409")),
        (410, unclear("status_410")),
        (422, unclear("status_422")),
        (500, unclear("status_500")),
        (502, unclear("status_502")),
        (503, unclear("status_503")),
        (504, unclear("status_504")),
        (520, unclear("status_520")),
        (100, unclear("status_100")),
        (999, unclear("status_999")),
    ] {
        for ask in [confirm(), lookup(), release(), notice()] {
            let reply = reply(status, &[("content-type", "application/json")], UNKNOWN);
            assert_eq!(failed(&ask, &reply), expected, "{status}");
        }
    }
}

#[test]
fn a_shop_that_asks_for_patience_gets_it_within_bounds() {
    let throttled = |seconds| Failure::Throttled {
        wait: Span::from_seconds(seconds),
    };
    for (status, retry_after, expected) in [
        (429, "120", throttled(120)),
        (503, "120", throttled(120)),
        (429, "0", throttled(1)),
        (429, "99999999999999999999999", throttled(86_400)),
        (503, "Sat, 21 Nov 2026 10:01:02 GMT", throttled(60)),
        (503, "Sat, 21 Nov 2026 09:00:00 GMT", throttled(1)),
        (503, "Sun, 21 Nov 2027 10:00:00 GMT", throttled(86_400)),
        (429, "soon", throttled(30)),
        (429, "-5", throttled(30)),
        (429, "", throttled(30)),
        (503, "soon", Failure::Unclear("status_503".to_owned())),
        (503, "1.5", Failure::Unclear("status_503".to_owned())),
        (502, "120", Failure::Unclear("status_502".to_owned())),
    ] {
        let reply = reply(status, &[("retry-after", retry_after)], "");
        assert_eq!(
            failed(&confirm(), &reply),
            expected,
            "{status} {retry_after}"
        );
    }
    assert_eq!(failed(&confirm(), &reply(429, &[], "")), throttled(30));
    let twice = [("retry-after", "5"), ("retry-after", "500")];
    assert_eq!(failed(&confirm(), &reply(429, &twice, "")), throttled(30));
}

#[test]
fn a_call_without_an_answer_keeps_its_word() {
    assert_eq!(
        failed(&confirm(), &Err(CallError::NotSent("connection_refused"))),
        Failure::NotSent("connection_refused".to_owned())
    );
    assert_eq!(
        failed(&notice(), &Err(CallError::Unclear("timeout"))),
        Failure::Unclear("timeout".to_owned())
    );
}

#[test]
fn a_notice_needs_a_2xx_and_nothing_else() {
    for (status, body) in [(200, HTML), (202, ""), (204, ""), (299, "no")] {
        let reply = reply(status, &[("content-type", "text/html")], body);
        assert_eq!(heard(&notice(), &reply), ShopAnswer::Accepted);
    }
}
