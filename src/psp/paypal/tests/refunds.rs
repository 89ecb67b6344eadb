//! Paying back: what leaves, under which ids, and what the answers are taken for.
//! Nothing here is sent anywhere.

use super::*;
use crate::core::payment::{Progress, RefundState};
use crate::core::time::Span;
use crate::wire::{CallError, Method};
use proptest::prelude::*;
use serde_json::{Value, json};

fn void() -> PspAsk {
    PspAsk::Void {
        payment: id(AUTHORIZATION),
        key: key(),
        why: Reason::OrderUnknown,
    }
}

#[test]
fn a_refund_names_its_amount_and_carries_the_key_three_times() {
    let request = sent(&refund(CAPTURE, eur(14_995)), &[]);
    assert_eq!(request.method, Method::Post);
    assert_eq!(
        address(&request),
        "/v2/payments/captures/0MA00000UP000001X/refund"
    );
    assert_eq!(request.headers.single("paypal-request-id"), Some(KEY));
    assert_eq!(
        request.headers.single("prefer"),
        Some("return=representation")
    );
    assert_eq!(
        request.headers.single("content-type"),
        Some("application/json")
    );
    let body: Value = serde_json::from_slice(&request.body).unwrap();
    assert_eq!(
        body,
        json!({"amount": {"currency_code": "EUR", "value": "149.95"},
               "custom_id": KEY, "invoice_id": KEY})
    );
    let again = sent(&refund(CAPTURE, eur(14_995)), &[]);
    assert_eq!(
        request, again,
        "a repeated refund is the same request to the byte"
    );
}

#[test]
fn an_amount_that_paypal_cannot_take_is_refused_before_it_leaves() {
    let money = |minor, code| Money::new(minor, Currency::parse(code).unwrap());
    for amount in [
        eur(0),
        eur(-1),
        money(50, "HUF"),
        money(1, "KWD"),
        money(1, "ISK"),
    ] {
        assert_eq!(
            failed(&refund(CAPTURE, amount), &[]),
            Failure::Refused("amount_not_expressible".to_owned())
        );
    }
    for text in ["confirm-x", "refund-a:b", "refund-a/b"] {
        let ask = PspAsk::Refund {
            payment: id(CAPTURE),
            amount: eur(1),
            key: ActionKey::parse(text).unwrap(),
            why: Reason::OrderUnknown,
        };
        assert_eq!(
            failed(&ask, &[]),
            Failure::Refused("mark_not_expressible".to_owned()),
            "{text}"
        );
    }
}

#[test]
fn the_answer_shows_the_refund_and_is_no_fresh_look_at_the_money() {
    for (name, state) in [
        ("refund_created", RefundState::Succeeded),
        ("refund_pending", RefundState::Pending),
        ("refund_minimal", RefundState::Succeeded),
    ] {
        let found = seen(&refund(CAPTURE, eur(14_995)), &[api(name)]);
        assert_eq!(found.source, Source::Signed);
        assert_eq!(found.payment.id, id(CAPTURE));
        assert_eq!((found.captured, found.ownership), (None, None));
        assert!(!found.is_refund_list_whole);
        let entry = &found.refunds[&id("7MA00000UP000002Z")];
        assert_eq!((entry.amount, entry.state), (eur(14_995), state), "{name}");
        assert_eq!(entry.mark, Some(key()));
    }
}

#[test]
fn an_answer_about_another_refund_is_not_ours() {
    let ask = refund(CAPTURE, eur(14_995));
    let error = |name: &str| answered(422, fixture(&format!("api/{name}.json")));
    for (reply, failure) in [
        (api("refund_of_other_amount"), malformed("other_refund")),
        (api("refund_of_other_capture"), malformed("other_payment")),
        (api("refund_of_other_key"), malformed("other_refund")),
        (answered(200, b"<html>".to_vec()), malformed("not_json")),
        (
            error("error_fully_refunded"),
            Failure::Refused("CAPTURE_FULLY_REFUNDED".to_owned()),
        ),
        (
            error("error_too_old"),
            Failure::Refused("REFUND_TIME_LIMIT_EXCEEDED".to_owned()),
        ),
        (
            Err(CallError::NotSent("dns")),
            Failure::NotSent("dns".to_owned()),
        ),
        (
            Err(CallError::Unclear("timeout")),
            Failure::Unclear("timeout".to_owned()),
        ),
        (
            answered(500, Vec::new()),
            Failure::Unclear("status_500".to_owned()),
        ),
    ] {
        assert_eq!(failed(&ask, &[reply]), failure);
    }
}

#[test]
fn a_lack_of_balance_waits_and_takes_a_new_id_only_after_that_very_answer() {
    let paypal = paypal();
    let ask = refund(CAPTURE, eur(14_995));
    let request_id = |at: Time| match paypal.step(&ask, at, &[]) {
        Step::Send(request) => request
            .headers
            .single("paypal-request-id")
            .unwrap()
            .to_owned(),
        Step::Done(answer) => panic!("nothing was sent: {answer:?}"),
    };
    let at = |seconds| now().plus(Span::from_seconds(seconds));
    let no_balance = answered(422, fixture("api/error_no_balance.json"));
    assert_eq!(request_id(at(0)), KEY);
    // No answer, or any other one, never changes the id.
    for reply in [
        Err(CallError::Unclear("timeout")),
        answered(500, Vec::new()),
    ] {
        paypal.step(&ask, at(0), &[reply]);
        assert_eq!(request_id(at(0)), KEY);
    }
    for _ in 0..2 {
        assert_eq!(
            paypal.step(&ask, at(10), std::slice::from_ref(&no_balance)),
            Step::Done(PspAnswer::Failed(Failure::NotSent(
                "REFUND_FAILED_INSUFFICIENT_FUNDS".to_owned()
            )))
        );
        assert_eq!(
            request_id(at(10)),
            format!("{KEY}.1"),
            "said twice, it counts once"
        );
    }
    paypal.step(&ask, at(600), &[no_balance]);
    assert_eq!(request_id(at(600)), format!("{KEY}.2"));
    let other = PspAsk::Refund {
        payment: id(OTHER),
        amount: eur(1),
        key: ActionKey::parse("refund-paypal_nl.x-1").unwrap(),
        why: Reason::OrderUnknown,
    };
    let Step::Send(request) = paypal.step(&other, at(600), &[]) else {
        panic!("nothing was sent");
    };
    assert_eq!(
        request.headers.single("paypal-request-id"),
        Some("refund-paypal_nl.x-1")
    );
}

#[test]
fn a_void_releases_the_authorisation_and_reads_it_where_the_answer_is_empty() {
    let ask = void();
    let request = sent(&ask, &[]);
    assert_eq!(request.method, Method::Post);
    assert_eq!(
        address(&request),
        "/v2/payments/authorizations/3MA00000UP000001A/void"
    );
    assert_eq!(request.headers.single("paypal-request-id"), None);
    assert!(request.body.is_empty());
    let found = seen(&ask, &[api("authorization_voided")]);
    assert_eq!(found.progress, Some(Progress::Dead));
    let silent = answered(204, Vec::new());
    let read = sent(&ask, std::slice::from_ref(&silent));
    assert_eq!(
        address(&read),
        "/v2/payments/authorizations/3MA00000UP000001A"
    );
    let found = seen(&ask, &[silent, api("authorization_voided")]);
    assert_eq!(found.authorised, Some(eur(0)));
    let body = br#"{"name":"UNPROCESSABLE_ENTITY","details":[{"issue":"PREVIOUSLY_CAPTURED"}]}"#;
    assert_eq!(
        failed(&ask, &[answered(422, body.to_vec())]),
        Failure::Refused("PREVIOUSLY_CAPTURED".to_owned())
    );
}

proptest! {
    #[test]
    fn no_refund_leaves_without_an_explicit_amount_above_zero(
        minor in prop_oneof![any::<i64>(), -10..1_000_000_i64],
        code in prop::sample::select(vec!["EUR", "USD", "JPY", "HUF", "TWD", "KWD", "ISK"]),
    ) {
        let amount = Money::new(minor, Currency::parse(code).unwrap());
        match step(&refund(CAPTURE, amount), &[]) {
            Step::Send(request) => {
                let body: Value = serde_json::from_slice(&request.body).unwrap();
                prop_assert_eq!(&body["amount"]["currency_code"], code);
                let value = body["amount"]["value"].as_str().unwrap();
                prop_assert!(minor > 0);
                prop_assert_eq!(super::super::amount::read(value, code), Ok(amount));
            }
            Step::Done(answer) => {
                let refused = PspAnswer::Failed(Failure::Refused("amount_not_expressible".to_owned()));
                prop_assert_eq!(answer, refused);
            }
        }
    }
}
