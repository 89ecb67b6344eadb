//! Asking: what is sent, and what the answers are taken for.
//! Pure over made-up answers; nothing here is sent anywhere.

use super::*;
use crate::core::payment::{
    DisputeState, Ownership, PaymentSnapshot, Progress, RefundState, Source,
};
use crate::core::plan::Reason;
use crate::psp::Psp;
use crate::wire::{CallError, Method};

const ASKED_AT: i64 = 1_795_200_000;

fn step(ask: &PspAsk, replies: &[Reply]) -> Step {
    stripe().step(ask, Time::from_seconds(ASKED_AT), replies)
}

fn sent(ask: &PspAsk, replies: &[Reply]) -> Request {
    match step(ask, replies) {
        Step::Send(request) => request,
        Step::Done(answer) => panic!("nothing was sent: {answer:?}"),
    }
}

fn done(ask: &PspAsk, replies: &[Reply]) -> PspAnswer {
    match step(ask, replies) {
        Step::Done(answer) => answer,
        Step::Send(request) => panic!("still asking: {}", request.url),
    }
}

fn seen(ask: &PspAsk, replies: &[Reply]) -> PaymentSnapshot {
    let answer = done(ask, replies);
    let PspAnswer::Seen(mut payments) = answer else {
        panic!("nothing seen: {answer:?}");
    };
    assert_eq!(payments.len(), 1);
    payments.remove(0)
}

fn failed(ask: &PspAsk, replies: &[Reply]) -> Failure {
    let answer = done(ask, replies);
    let PspAnswer::Failed(failure) = answer else {
        panic!("not failed: {answer:?}");
    };
    failure
}

fn fetch(payment: &str) -> PspAsk {
    PspAsk::Fetch {
        payment: id(payment),
    }
}

fn refund(payment: &str, amount: Money, why: Reason) -> PspAsk {
    PspAsk::Refund {
        payment: id(payment),
        amount,
        key: key(),
        why,
    }
}

fn void(payment: &str, why: Reason) -> PspAsk {
    PspAsk::Void {
        payment: id(payment),
        key: key(),
        why,
    }
}

fn list(listing: u8) -> PspAsk {
    PspAsk::List {
        listing,
        from: Time::from_seconds(1_795_000_000),
        to: Time::from_micros(1_795_000_300_000_001),
        cursor: None,
    }
}

fn address(request: &Request) -> &str {
    let prefix = "https://api.stripe.test";
    request.url.strip_prefix(prefix).expect("our api_base")
}

fn header<'a>(request: &'a Request, name: &'a str) -> Option<&'a str> {
    request.headers.single(name)
}

fn malformed(code: &str) -> Failure {
    Failure::Malformed(code.to_owned())
}

#[test]
fn every_call_carries_the_key_and_the_version_and_only_orders_an_idempotency_key() {
    let orders = [
        refund(INTENT, eur(1), Reason::OrderUnknown),
        void(INTENT, Reason::OrderUnknown),
    ];
    for ask in orders
        .iter()
        .chain(&[fetch(INTENT), list(0), list(1), list(2)])
    {
        let request = sent(ask, &[]);
        assert_eq!(
            header(&request, "authorization"),
            Some("Bearer rk_test_made_up")
        );
        assert_eq!(
            header(&request, "stripe-version"),
            Some("2026-07-29.dahlia")
        );
        let is_order = orders.contains(ask);
        assert_eq!(header(&request, "idempotency-key"), is_order.then_some(KEY));
        assert_eq!(request.method == Method::Post, is_order);
        assert_eq!(request.body.is_empty(), !is_order);
        assert!(!format!("{request:?}").contains("rk_test"));
    }
    assert!(!format!("{:?}", stripe()).contains("rk_test"));
}

#[test]
fn a_fetch_reads_the_intent_then_its_whole_list_of_refunds() {
    let ask = fetch(INTENT);
    let first = sent(&ask, &[]);
    assert_eq!(
        address(&first),
        "/v1/payment_intents/pi_3QxMadeUp000001?expand%5B%5D=latest_charge"
    );
    let mut replies = vec![ok("api/intent_succeeded.json")];
    assert_eq!(
        address(&sent(&ask, &replies)),
        "/v1/refunds?payment_intent=pi_3QxMadeUp000001&limit=100"
    );
    replies.push(ok("api/refunds_first_page.json"));
    assert_eq!(
        address(&sent(&ask, &replies)),
        "/v1/refunds?payment_intent=pi_3QxMadeUp000001&limit=100&starting_after=re_3QxMadeUp000002"
    );
    replies.push(ok("api/refunds_last_page.json"));
    let found = seen(&ask, &replies);
    let asked_at = Time::from_seconds(ASKED_AT);
    assert_eq!(found.source, Source::Read { asked_at });
    assert_eq!(found.as_of, asked_at);
    assert_eq!(found.ownership, Some(Ownership::Ours));
    assert_eq!(
        found.reference.as_ref().map(|r| r.as_str()),
        Some("W-20417")
    );
    assert_eq!(found.progress, Some(Progress::Taken));
    assert_eq!(found.method.as_deref(), Some("ideal"));
    assert_eq!(found.captured, Some(eur(14995)));
    assert_eq!(found.refunded, Some(eur(0)));
    assert_eq!(found.is_disputed, Some(false));
    assert!(found.is_refund_list_whole);
    let ours = &found.refunds[&id("re_3QxMadeUp000002")];
    assert_eq!(ours.amount, eur(5000));
    assert_eq!(ours.state, RefundState::Pending);
    assert_eq!(ours.mark, Some(key()));
    assert!(ours.waits_for_balance.as_ref().unwrap().value);
    let other = &found.refunds[&id("re_3QxMadeUp000001")];
    assert_eq!(other.state, RefundState::Failed);
    assert_eq!(other.mark, None);
    assert!(!other.waits_for_balance.as_ref().unwrap().value);
}

#[test]
fn disputes_are_read_whenever_the_charge_does_not_deny_them() {
    for intent in [
        "api/intent_disputed.json",
        "api/intent_succeeded_charge_only_named.json",
    ] {
        let ask = fetch(INTENT);
        let mut replies = vec![ok(intent), ok("api/refunds_none.json")];
        assert_eq!(
            address(&sent(&ask, &replies)),
            "/v1/disputes?payment_intent=pi_3QxMadeUp000001&limit=100",
            "{intent}"
        );
        replies.push(ok("api/disputes.json"));
        let found = seen(&ask, &replies);
        assert_eq!(
            found.disputes[&id("dp_1QxMadeUp000001")].state,
            DisputeState::Open
        );
        assert!(found.is_refund_list_whole);
        replies[2] = ok("api/disputes_none.json");
        assert!(seen(&ask, &replies).disputes.is_empty());
        replies[2] = answered(403, Vec::new());
        assert_eq!(
            failed(&ask, &replies),
            Failure::Unauthorized("status_403".to_owned())
        );
    }
}

#[test]
fn a_charge_that_does_not_speak_of_disputes_denies_none() {
    let intent = String::from_utf8(fixture("api/intent_succeeded.json")).unwrap();
    for (told, untold) in [
        ("\"disputed\": false,", ""),
        ("\"captured\": true", "\"captured\": false"),
    ] {
        let changed = intent.replace(told, untold);
        assert_ne!(changed, intent);
        let replies = [
            answered(200, changed.into_bytes()),
            ok("api/refunds_none.json"),
        ];
        assert!(address(&sent(&fetch(INTENT), &replies)).starts_with("/v1/disputes?"));
    }
}

#[test]
fn a_list_of_disputes_that_goes_on_is_not_taken_for_all() {
    let disputes = String::from_utf8(fixture("api/disputes.json")).unwrap();
    let more = disputes.replace("\"has_more\": false", "\"has_more\": true");
    let replies = [
        ok("api/intent_disputed.json"),
        ok("api/refunds_none.json"),
        answered(200, more.into_bytes()),
    ];
    assert_eq!(
        failed(&fetch(INTENT), &replies),
        malformed("too_many_disputes")
    );
}

#[test]
fn a_payment_without_money_is_read_in_one_call() {
    let waiting = seen(&fetch(INTENT), &[ok("api/intent_waiting.json")]);
    assert_eq!(waiting.progress, Some(Progress::Waiting));
    assert_eq!(waiting.captured, Some(eur(0)));
    assert!(!waiting.is_refund_list_whole);
    let held = seen(&fetch(INTENT), &[ok("api/intent_requires_capture.json")]);
    assert_eq!(held.progress, Some(Progress::Authorised));
    assert_eq!(held.authorised, Some(eur(14995)));
    assert_eq!(
        held.authorised_until,
        Some(Time::from_seconds(1_795_604_800))
    );
    assert_eq!(held.refunded, None);
}

#[test]
fn the_released_remainder_of_a_partial_capture_is_no_refund() {
    let replies = [
        ok("api/intent_captured_in_part.json"),
        ok("api/refunds_with_release.json"),
    ];
    let found = seen(&fetch(INTENT), &replies);
    assert_eq!(found.captured, Some(eur(9995)));
    assert_eq!(found.refunded, None);
    let ids: Vec<&str> = found.refunds.keys().map(ExternalRef::as_str).collect();
    assert_eq!(ids, ["re_3QxMadeUp000002"]);
    assert!(found.is_refund_list_whole);
    // The same list under a payment that was captured in full: everything counts.
    let replies = [
        ok("api/intent_succeeded.json"),
        ok("api/refunds_with_release.json"),
    ];
    assert_eq!(seen(&fetch(INTENT), &replies).refunds.len(), 2);
}

#[test]
fn a_remainder_is_left_out_once_and_only_at_its_exact_amount() {
    let list = String::from_utf8(fixture("api/refunds_with_release.json")).unwrap();
    let count = |list: &str| {
        let page = answered(200, list.as_bytes().to_vec());
        let replies = [ok("api/intent_captured_in_part.json"), page];
        seen(&fetch(INTENT), &replies).refunds.len()
    };
    assert_eq!(count(&list), 1);
    let other_amount = list.replace("\"amount\": 5000", "\"amount\": 4999");
    assert_ne!(list, other_amount);
    assert_eq!(count(&other_amount), 2);
    let twice = list
        .replace("\"amount\": 2000", "\"amount\": 5000")
        .replace("\"txn_3QxMadeUp000012\"", "null");
    assert_ne!(list, twice);
    assert_eq!(count(&twice), 1);
}

#[test]
fn a_charge_without_intent_is_read_by_its_own_id() {
    let ask = fetch("ch_3QxMadeUp000001");
    assert_eq!(address(&sent(&ask, &[])), "/v1/charges/ch_3QxMadeUp000001");
    let mut replies = vec![ok("api/charge_alone.json")];
    assert_eq!(
        address(&sent(&ask, &replies)),
        "/v1/refunds?charge=ch_3QxMadeUp000001&limit=100"
    );
    replies.push(ok("api/refunds_of_charge.json"));
    let found = seen(&ask, &replies);
    assert_eq!(found.payment.id, id("ch_3QxMadeUp000001"));
    assert_eq!(found.ownership, Some(Ownership::Ours));
    assert_eq!(found.captured, Some(eur(14995)));
    assert_eq!(found.refunds.len(), 1);
    assert!(found.is_refund_list_whole);
}

#[test]
fn a_list_that_never_ends_is_not_whole() {
    let mut replies = vec![ok("api/intent_succeeded.json")];
    for _ in 0..10 {
        replies.push(ok("api/refunds_first_page.json"));
    }
    let found = seen(&fetch(INTENT), &replies);
    assert!(!found.is_refund_list_whole);
    assert_eq!(found.refunds.len(), 1);
}

#[test]
fn s022_an_answer_that_is_no_answer_is_never_a_no() {
    let ask = fetch(INTENT);
    let page = br#"{"object":"list","data":[],"has_more":true}"#.to_vec();
    for (replies, failure) in [
        (
            vec![answered(404, fixture("api/error_resource_missing.json"))],
            Failure::Refused("resource_missing".to_owned()),
        ),
        (
            vec![answered(200, b"<html>".to_vec())],
            malformed("not_json"),
        ),
        (vec![answered(200, Vec::new())], malformed("not_json")),
        (
            vec![answered(200, b"[]".to_vec())],
            malformed("wrong_shape"),
        ),
        (vec![ok("api/charge_alone.json")], malformed("wrong_object")),
        (
            vec![ok("api/intent_other.json")],
            malformed("other_payment"),
        ),
        (
            vec![answered(503, b"<html>".to_vec())],
            Failure::Unclear("status_503".to_owned()),
        ),
        (
            vec![Err(CallError::Unclear("timeout"))],
            Failure::Unclear("timeout".to_owned()),
        ),
        (
            vec![Err(CallError::NotSent("dns"))],
            Failure::Unclear("dns".to_owned()),
        ),
        (
            vec![
                ok("api/intent_succeeded.json"),
                ok("api/refunds_of_other_payment.json"),
            ],
            malformed("other_payment"),
        ),
        (
            vec![ok("api/intent_succeeded.json"), answered(200, page)],
            malformed("wrong_shape"),
        ),
        (
            vec![
                ok("api/intent_succeeded.json"),
                Err(CallError::Unclear("reset")),
            ],
            Failure::Unclear("reset".to_owned()),
        ),
    ] {
        assert_eq!(failed(&ask, &replies), failure);
    }
}

#[test]
fn a_refund_names_its_amount_its_reason_and_our_mark() {
    let request = sent(&refund(INTENT, eur(14995), Reason::OrderCancelled), &[]);
    assert_eq!(address(&request), "/v1/refunds");
    assert_eq!(
        header(&request, "content-type"),
        Some("application/x-www-form-urlencoded")
    );
    assert_eq!(
        String::from_utf8(request.body).unwrap(),
        "payment_intent=pi_3QxMadeUp000001&amount=14995&reason=requested_by_customer\
         &metadata%5Breconciled_key%5D=refund%3Astripe_nl%2Fpi_3QxMadeUp000001%3A1\
         &metadata%5Breconciled_reason%5D=order_cancelled"
    );
    let by_charge = sent(&refund("py_1", eur(1), Reason::Duplicate), &[]);
    let body = String::from_utf8(by_charge.body).unwrap();
    assert!(
        body.starts_with("charge=py_1&amount=1&reason=duplicate&"),
        "{body}"
    );
    let isk = Money::new(2790, Currency::parse("ISK").unwrap());
    let body = sent(&refund(INTENT, isk, Reason::Overpaid), &[]).body;
    assert!(String::from_utf8(body).unwrap().contains("&amount=279000&"));
}

#[test]
fn s094_a_repeated_refund_is_the_same_request_to_the_byte() {
    let ask = refund(INTENT, eur(14995), Reason::OrderCancelled);
    let later = stripe().step(&ask, Time::from_seconds(ASKED_AT + 90_000), &[]);
    assert_eq!(step(&ask, &[]), later);
}

#[test]
fn a_refund_that_cannot_be_written_exactly_is_never_sent() {
    let ugx = Currency::parse("UGX").unwrap();
    let mga = Currency::parse("MGA").unwrap();
    for amount in [eur(0), eur(-1), Money::new(100, ugx), Money::new(101, mga)] {
        assert_eq!(
            failed(&refund(INTENT, amount, Reason::Overpaid), &[]),
            Failure::Refused("amount_not_expressible".to_owned())
        );
    }
}

#[test]
fn the_answer_to_a_refund_shows_the_refund_and_is_no_fresh_look_at_the_money() {
    let ask = refund(INTENT, eur(14995), Reason::OrderCancelled);
    let found = seen(&ask, &[ok("api/refund_created.json")]);
    assert_eq!(found.source, Source::Signed);
    assert_eq!((found.captured, found.ownership), (None, None));
    assert!(!found.is_refund_list_whole);
    let entry = &found.refunds[&id("re_3QxMadeUp000001")];
    assert_eq!(entry.mark, Some(key()));
    assert_eq!(entry.state, RefundState::Pending);
    assert_eq!(entry.amount, eur(14995));
}

#[test]
fn an_answer_about_another_refund_is_not_ours() {
    let ask = refund(INTENT, eur(14995), Reason::OrderCancelled);
    for (reply, failure) in [
        (
            ok("api/refund_of_other_amount.json"),
            malformed("other_refund"),
        ),
        (ok("api/charge_alone.json"), malformed("wrong_object")),
        (answered(200, b"<html>".to_vec()), malformed("not_json")),
        (
            answered(400, fixture("api/error_already_refunded.json")),
            Failure::Refused("charge_already_refunded".to_owned()),
        ),
        (
            Err(CallError::NotSent("connection_refused")),
            Failure::NotSent("connection_refused".to_owned()),
        ),
        (
            Err(CallError::Unclear("timeout")),
            Failure::Unclear("timeout".to_owned()),
        ),
    ] {
        assert_eq!(failed(&ask, &[reply]), failure);
    }
    let elsewhere = refund("pi_3QxMadeUp000002", eur(14995), Reason::OrderCancelled);
    assert_eq!(
        failed(&elsewhere, &[ok("api/refund_created.json")]),
        malformed("other_payment")
    );
    let marked = String::from_utf8(fixture("api/refund_created.json")).unwrap();
    let unmarked = marked.replace("reconciled_key", "somebody_elses_key");
    assert_ne!(marked, unmarked);
    assert_eq!(
        failed(&ask, &[answered(200, unmarked.into_bytes())]),
        malformed("other_refund")
    );
}

#[test]
fn a_void_cancels_the_intent() {
    let ask = void(INTENT, Reason::OrderUnknown);
    let request = sent(&ask, &[]);
    assert_eq!(
        address(&request),
        "/v1/payment_intents/pi_3QxMadeUp000001/cancel"
    );
    assert_eq!(request.body, b"cancellation_reason=abandoned");
    let cancelled = sent(&void(INTENT, Reason::OrderCancelled), &[]);
    assert_eq!(cancelled.body, b"cancellation_reason=requested_by_customer");
    let duplicate = sent(&void(INTENT, Reason::Duplicate), &[]);
    assert_eq!(duplicate.body, b"cancellation_reason=duplicate");
    let found = seen(&ask, &[ok("api/intent_canceled.json")]);
    assert_eq!(found.progress, Some(Progress::Dead));
    assert_eq!(found.captured, Some(eur(0)));
}

#[test]
fn s091_a_void_that_came_too_late_is_information() {
    let body =
        br#"{"error":{"type":"invalid_request_error","code":"payment_intent_unexpected_state"}}"#;
    assert_eq!(
        failed(
            &void(INTENT, Reason::OrderUnknown),
            &[answered(400, body.to_vec())]
        ),
        Failure::Refused("payment_intent_unexpected_state".to_owned())
    );
    assert_eq!(
        failed(&void("ch_1", Reason::OrderUnknown), &[]),
        Failure::Refused("charge_without_intent".to_owned())
    );
}

#[test]
fn a_window_is_asked_for_in_whole_seconds_rounded_outwards() {
    let window = "created%5Bgte%5D=1795000000&created%5Blt%5D=1795000301&limit=100";
    assert_eq!(
        address(&sent(&list(0), &[])),
        format!("/v1/payment_intents?{window}&expand%5B%5D=data.latest_charge")
    );
    assert_eq!(
        address(&sent(&list(1), &[])),
        format!("/v1/charges?{window}&expand%5B%5D=data.payment_intent")
    );
    let events = sent(&list(2), &[]);
    assert!(address(&events).starts_with(&format!("/v1/events?{window}&types%5B%5D=")));
    let types = address(&events).matches("types%5B%5D=").count();
    assert!((1..=20).contains(&types), "Stripe takes 20 types at most");
    let next = PspAsk::List {
        listing: 0,
        from: Time::from_seconds(1),
        to: Time::from_seconds(2),
        cursor: Some("pi_9&limit=1".to_owned()),
    };
    assert_eq!(
        address(&sent(&next, &[])),
        "/v1/payment_intents?created%5Bgte%5D=1&created%5Blt%5D=2&limit=100\
         &expand%5B%5D=data.latest_charge&starting_after=pi_9%26limit%3D1"
    );
    assert_eq!(
        failed(&list(stripe().listings()), &[]),
        Failure::Refused("no_such_listing".to_owned())
    );
}

fn paged(listing: u8, fixture: &str) -> (Vec<PaymentSnapshot>, Vec<String>, Option<String>) {
    let answer = done(&list(listing), &[ok(fixture)]);
    let PspAnswer::Page {
        payments,
        hints,
        next,
    } = answer
    else {
        panic!("not a page: {answer:?}");
    };
    let hints = hints.iter().map(ToString::to_string).collect();
    (payments, hints, next)
}

fn names(payments: &[PaymentSnapshot]) -> Vec<&str> {
    payments
        .iter()
        .map(|seen| seen.payment.id.as_str())
        .collect()
}

#[test]
fn s017_a_sweep_by_creation_states_every_intent_and_names_the_odd_ones() {
    let (payments, hints, next) = paged(0, "api/list_intents.json");
    assert_eq!(
        names(&payments),
        ["pi_3QxMadeUp000001", "pi_3QxMadeUp000002"]
    );
    assert_eq!(hints, ["pi_3QxMadeUp000003"]);
    assert_eq!(next.as_deref(), Some("pi_3QxMadeUp000003"));
    assert_eq!(payments[0].ownership, Some(Ownership::Ours));
    assert_eq!(payments[0].method.as_deref(), Some("card"));
    assert_eq!(payments[0].is_disputed, Some(false));
    assert_eq!(payments[1].ownership, Some(Ownership::Unclaimed));
    assert!(payments.iter().all(|seen| !seen.is_refund_list_whole));
}

#[test]
fn a_sweep_by_money_finds_the_intents_behind_the_charges() {
    let (payments, hints, next) = paged(1, "api/list_charges.json");
    assert_eq!(
        names(&payments),
        [
            "pi_3QxMadeUp000001",
            "pi_3QxMadeUp000001",
            "ch_3QxMadeUp000003"
        ]
    );
    assert_eq!(hints, ["pi_3QxMadeUp000002", "pi_3QxMadeUp000004"]);
    assert_eq!(next, None);
    assert_eq!(
        payments[0].reference.as_ref().map(|r| r.as_str()),
        Some("W-20417")
    );
    assert_eq!(payments[0].captured, Some(eur(14995)));
    assert_eq!(payments[0].is_disputed, Some(false));
    // The failed attempt shows its intent and adds nothing of its own.
    assert_eq!(payments[1].captured, Some(eur(14995)));
    assert_eq!(
        (payments[1].is_disputed, payments[1].refunded),
        (None, None)
    );
}

#[test]
fn a_sweep_by_events_reads_them_as_old_as_they_are() {
    let (payments, hints, _) = paged(2, "api/list_events.json");
    assert_eq!(
        names(&payments),
        ["pi_3QxMadeUp000001", "pi_3QxMadeUp000001"]
    );
    assert_eq!(hints, ["pi_3QxMadeUp000005", "pi_3QxMadeUp000006"]);
    assert!(payments.iter().all(|seen| seen.source == Source::Signed));
    assert_eq!(payments[0].as_of, Time::from_seconds(1_795_000_123));
    assert_eq!(
        payments[1].refunds[&id("re_3QxMadeUp000001")].state,
        RefundState::Failed
    );
}

#[test]
fn a_half_read_page_is_no_page() {
    for (body, code) in [
        (
            r#"{"object":"list","data":[],"has_more":true}"#,
            "wrong_shape",
        ),
        (
            r#"{"object":"list","data":[7],"has_more":false}"#,
            "wrong_shape",
        ),
        (
            r#"{"object":"list","data":[{"object":"payment_intent"}],"has_more":false}"#,
            "missing_field",
        ),
        (
            r#"{"object":"page","data":[],"has_more":false}"#,
            "wrong_object",
        ),
        (r#"{"object":"list","data":[]}"#, "missing_field"),
        ("", "not_json"),
    ] {
        for listing in 0..stripe().listings() {
            let reply = answered(200, body.as_bytes().to_vec());
            assert_eq!(failed(&list(listing), &[reply]), malformed(code), "{body}");
        }
    }
}

#[test]
fn the_account_says_what_it_can_do() {
    let stripe = stripe();
    assert_eq!(stripe.kind(), "stripe");
    assert_eq!(stripe.account().as_str(), "stripe_nl");
    let traits = stripe.traits();
    assert!(traits.can_read && traits.can_list_refunds);
    assert_eq!(traits.key_lifetime, crate::core::time::Span::from_hours(24));
    let answer = stripe.acknowledgement();
    assert_eq!(
        (answer.status, answer.content_type, answer.body),
        (200, None, "")
    );
}
