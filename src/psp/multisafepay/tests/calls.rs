//! Asking: what is sent, and what the answers are taken for.
//! Pure over made-up answers; nothing here is sent anywhere.

use super::*;
use crate::core::payment::{DisputeState, PaymentSnapshot, Progress, RefundState, Source};
use crate::core::plan::Reason;
use crate::core::time::Span;
use crate::psp::{Failure, Psp, PspAnswer, PspAsk, Step};
use crate::wire::{CallError, Method, Request};
use proptest::prelude::*;

fn step(ask: &PspAsk, replies: &[Reply]) -> Step {
    multisafepay().step(ask, Time::from_seconds(T), replies)
}

fn sent(ask: &PspAsk, replies: &[Reply]) -> Request {
    match step(ask, replies) {
        Step::Send(request) => request,
        Step::Done(answer) => panic!("nothing was sent: {answer:?}"),
    }
}

fn seen(ask: &PspAsk, replies: &[Reply]) -> PaymentSnapshot {
    match step(ask, replies) {
        Step::Done(PspAnswer::Seen(mut payments)) => payments.remove(0),
        other @ (Step::Send(_) | Step::Done(_)) => panic!("nothing seen: {other:?}"),
    }
}

fn failed(ask: &PspAsk, replies: &[Reply]) -> Failure {
    match step(ask, replies) {
        Step::Done(PspAnswer::Failed(failure)) => failure,
        other @ (Step::Send(_) | Step::Done(_)) => panic!("not failed: {other:?}"),
    }
}

fn address(request: &Request) -> &str {
    let prefix = "https://api.multisafepay.test/v1/json";
    request.url.strip_prefix(prefix).expect("our api_base")
}

fn fetch() -> PspAsk {
    let payment = id("1000042");
    PspAsk::Fetch { payment }
}

fn refund(amount: Money) -> PspAsk {
    PspAsk::Refund {
        payment: id("1000042"),
        amount,
        key: key(),
        why: Reason::OrderUnknown,
    }
}

fn void() -> PspAsk {
    PspAsk::Void {
        payment: id("1000042"),
        key: key(),
        why: Reason::OrderUnknown,
    }
}

fn list(listing: u8, cursor: Option<&str>) -> PspAsk {
    PspAsk::List {
        listing,
        from: Time::from_seconds(1_795_000_000),
        to: Time::from_seconds(1_795_000_300),
        cursor: cursor.map(str::to_owned),
    }
}

fn refunds(rows: &str) -> String {
    format!(r#","amount_refunded":1000,"related_transactions":[{rows}]"#)
}

fn row(number: u32, kind: &str, status: &str, mark: &str) -> String {
    format!(
        r#"{{"transaction_id":"{number}","type":"{kind}","status":"{status}","amount":1000,"refund_order_id":"{mark}"}}"#
    )
}

#[test]
fn a_read_goes_by_the_order_id_and_carries_the_key_in_a_header() {
    let request = sent(&fetch(), &[]);
    assert_eq!(address(&request), "/orders/1000042");
    assert_eq!(request.method, Method::Get);
    assert_eq!(request.headers.single("api_key"), Some(API_KEY));
    assert!(!request.url.contains(API_KEY));
    assert!(!format!("{request:?} {:?}", multisafepay()).contains(API_KEY));
    let payment = id(":23A:2F..");
    let odd = sent(&PspAsk::Fetch { payment }, &[]);
    assert_eq!(address(&odd), "/orders/%23A%2F..");
    for payment in [id(".."), id("a:2"), id("a:zz")] {
        let refused = failed(&PspAsk::Fetch { payment }, &[]);
        assert_eq!(refused, Failure::Refused("bad_order_id".to_owned()));
    }
}

#[test]
fn both_words_together_say_how_far_an_order_is() {
    let all = [
        ("completed", "completed", Some(Progress::Taken), true),
        ("shipped", "completed", Some(Progress::Taken), true),
        (
            "completed",
            "initialized",
            Some(Progress::Authorised),
            false,
        ),
        ("reserved", "initialized", Some(Progress::Authorised), false),
        ("uncleared", "uncleared", Some(Progress::InFlight), false),
        ("initialized", "initialized", Some(Progress::Waiting), false),
        ("declined", "declined", Some(Progress::Dead), false),
        ("void", "void", Some(Progress::Dead), false),
        ("cancelled", "void", Some(Progress::Dead), false),
        ("expired", "expired", Some(Progress::Dead), false),
        ("refunded", "completed", Some(Progress::Taken), true),
        ("partial_refunded", "completed", Some(Progress::Taken), true),
        ("chargeback", "chargeback", Some(Progress::Taken), true),
        ("completed", "on_the_moon", None, false),
        ("on_the_moon", "completed", None, false),
    ];
    for (status, financial, progress, is_taken) in all {
        let snapshot = seen(&fetch(), &[shown(&order(status, financial, ""))]);
        let captured = is_taken.then_some(eur(5995));
        assert_eq!(snapshot.progress, progress, "{status} {financial}");
        assert_eq!(snapshot.captured, captured, "{status} {financial}");
        let authorised = (progress == Some(Progress::Authorised)).then_some(eur(5995));
        assert_eq!(snapshot.authorised, authorised, "{status} {financial}");
        // A word that is not known is no look at the money.
        let asked_at = Time::from_seconds(T);
        let source = progress.map_or(Source::Signed, |_| Source::Read { asked_at });
        assert_eq!(snapshot.source, source, "{status} {financial}");
    }
    let odd = shown(&order("on_the_moon", "completed", ""));
    let kept_back = failed(&refund(eur(1000)), &[odd]);
    assert_eq!(kept_back, Failure::NotSent("unknown_status".to_owned()));
}

#[test]
fn the_creation_is_taken_as_dutch_winter_time() {
    let snapshot = seen(&fetch(), &[shown(&order("completed", "completed", ""))]);
    // 2026-11-20T10:00:00 there.
    assert_eq!(snapshot.created_at, Some(Time::from_seconds(1_795_165_200)));
}

#[test]
fn refunds_are_read_one_by_one_with_our_mark() {
    for (status, state, waits) in [
        ("completed", RefundState::Succeeded, false),
        ("initialized", RefundState::Pending, false),
        ("reserved", RefundState::Pending, true),
        ("cancelled", RefundState::Failed, false),
        ("void", RefundState::Failed, false),
        ("on_the_moon", RefundState::Pending, false),
    ] {
        let more = refunds(&row(7, "refund", status, KEY));
        let shown = shown(&order("partial_refunded", "completed", &more));
        let snapshot = seen(&fetch(), &[shown]);
        let refund = &snapshot.refunds[&id("7")];
        assert_eq!((refund.state, refund.amount), (state, eur(1000)));
        assert_eq!(refund.mark, Some(key()));
        assert_eq!(refund.waits_for_balance.as_ref().unwrap().value, waits);
        // A refund that came to nothing does not explain the order's own sum.
        let is_whole = state != RefundState::Failed;
        assert_eq!(snapshot.is_refund_list_whole, is_whole, "{status}");
    }
    let unexplained = refunds("");
    let snapshot = seen(
        &fetch(),
        &[shown(&order("refunded", "completed", &unexplained))],
    );
    assert!(!snapshot.is_refund_list_whole);
    assert_eq!(snapshot.refunded, Some(eur(1000)));
}

#[test]
fn a_charge_back_is_a_dispute_until_it_is_reversed() {
    let back = row(8, "chargeback", "completed", "");
    let more = refunds(&back);
    let open = seen(
        &fetch(),
        &[shown(&order("chargeback", "chargeback", &more))],
    );
    assert_eq!(open.disputes[&id("8")].state, DisputeState::Open);
    let more = refunds(&format!(
        "{back},{}",
        row(9, "reverse-chargeback", "completed", "")
    ));
    let won = seen(&fetch(), &[shown(&order("completed", "completed", &more))]);
    assert_eq!(won.disputes[&id("8")].state, DisputeState::Won);
    let bare = seen(&fetch(), &[shown(&order("chargeback", "chargeback", ""))]);
    assert_eq!(bare.is_disputed, Some(true));
}

#[test]
fn captures_in_parts_add_up_to_what_was_taken() {
    let rows = format!(
        "{},{}",
        row(1, "capture", "completed", ""),
        row(2, "capture", "initialized", "")
    );
    let more = format!(r#","related_transactions":[{rows}]"#);
    let snapshot = seen(&fetch(), &[shown(&order("completed", "completed", &more))]);
    assert_eq!(snapshot.captured, Some(eur(1000)));
}

#[test]
fn a_refund_is_looked_for_asked_with_its_amount_and_looked_at() {
    let before = shown(&order("completed", "completed", ""));
    let look = sent(&refund(eur(1000)), &[]);
    assert_eq!(
        (look.method, address(&look)),
        (Method::Get, "/orders/1000042")
    );
    let asked = sent(&refund(eur(1000)), std::slice::from_ref(&before));
    assert_eq!(asked.method, Method::Post);
    assert_eq!(address(&asked), "/orders/1000042/refunds");
    let body: serde_json::Value = serde_json::from_slice(&asked.body).unwrap();
    assert_eq!(body["amount"], 1000);
    assert_eq!(body["currency"], "EUR");
    assert_eq!(body["refund_order_id"], KEY);
    let taken = answered(200, r#"{"success":true,"data":{"transaction_id":7}}"#);
    let again = sent(&refund(eur(1000)), &[before.clone(), taken.clone()]);
    assert_eq!(again.method, Method::Get);
    let more = refunds(&row(7, "refund", "reserved", KEY));
    let after = shown(&order("partial_refunded", "completed", &more));
    let snapshot = seen(
        &refund(eur(1000)),
        &[before.clone(), taken.clone(), after.clone()],
    );
    assert_eq!(snapshot.refunds[&id("7")].mark, Some(key()));
    // Not shown yet is not known; and one that is there already is adopted.
    let unclear = failed(&refund(eur(1000)), &[before.clone(), taken, before]);
    assert_eq!(unclear, Failure::Unclear("refund_not_shown_yet".to_owned()));
    let adopted = seen(&refund(eur(1000)), &[after]);
    assert_eq!(adopted.refunds[&id("7")].mark, Some(key()));
}

#[test]
fn a_refund_of_nothing_or_in_unknown_units_is_never_sent() {
    let before = shown(&order("completed", "completed", ""));
    let yen = Money::new(500, Currency::parse("JPY").unwrap());
    for amount in [eur(0), eur(-1), yen] {
        for replies in [&[][..], std::slice::from_ref(&before)] {
            let refused = failed(&refund(amount), replies);
            let expected = Failure::Refused("amount_not_expressible".to_owned());
            assert_eq!(refused, expected);
        }
    }
}

#[test]
fn an_equal_refund_within_five_minutes_waits_and_is_asked_again() {
    let refused = answered(
        400,
        r#"{"success":false,"error_code":1034,"error_info":"no"}"#,
    );
    let more = refunds(&row(6, "refund", "completed", "by-hand"));
    let equal = shown(&order("partial_refunded", "completed", &more));
    let wait = Span::from_minutes(5);
    let blocked = failed(&refund(eur(1000)), &[equal, refused.clone()]);
    let code = "error_1034".to_owned();
    assert_eq!(blocked, Failure::Postponed { code, wait });
    let none = shown(&order("completed", "completed", ""));
    let refusal = failed(&refund(eur(1000)), &[none, refused]);
    assert_eq!(refusal, Failure::Refused("error_1034".to_owned()));
}

#[test]
fn an_authorisation_is_voided_and_money_that_slipped_in_is_told() {
    let held = shown(&order("completed", "initialized", ""));
    let asked = sent(&void(), std::slice::from_ref(&held));
    assert_eq!(asked.method, Method::Patch);
    assert_eq!(address(&asked), "/capture/1000042");
    let body: serde_json::Value = serde_json::from_slice(&asked.body).unwrap();
    assert_eq!(body["status"], "cancelled");
    let done = answered(200, r#"{"success":true,"data":{}}"#);
    let gone = shown(&order("void", "void", ""));
    let snapshot = seen(&void(), &[held, done, gone]);
    assert_eq!(snapshot.progress, Some(Progress::Dead));
    let odd = failed(&void(), &[shown(&order("on_the_moon", "initialized", ""))]);
    assert_eq!(odd, Failure::NotSent("unknown_status".to_owned()));
    let slipped = seen(&void(), &[shown(&order("completed", "completed", ""))]);
    assert_eq!(slipped.captured, Some(eur(5995)));
}

#[test]
fn a_page_names_orders_and_the_next_page() {
    let request = sent(&list(0, None), &[]);
    assert_eq!(
        address(&request),
        "/transactions?limit=200&created_from=2026-11-17T21%3A06%3A40&created_until=2026-11-19T01%3A11%3A40"
    );
    let second = sent(&list(1, Some("a&b")), &[]);
    assert!(address(&second).contains("completed_from="), "{second:?}");
    assert!(address(&second).ends_with("&after=a%26b"), "{second:?}");
    let rows = r#"{"success":true,"data":[{"order_id":"2"},{"order_id":"1"},{"order_id":"2"},{"order_id":null}],"pager":{"cursor":{"after":"x"}}}"#;
    let Step::Done(PspAnswer::Page {
        payments,
        hints,
        next,
    }) = step(&list(0, None), &[answered(200, rows)])
    else {
        panic!("no page");
    };
    assert!(payments.is_empty());
    assert_eq!(hints, [id("1"), id("2")]);
    assert_eq!(next.as_deref(), Some("x"));
    let endless = r#"{"success":true,"data":[],"pager":{"after":"x"}}"#;
    let malformed = failed(&list(0, None), &[answered(200, endless)]);
    assert_eq!(malformed, Failure::Malformed("wrong_shape".to_owned()));
    for none in [
        r#"{"success":true}"#,
        r#"{"success":true,"data":null}"#,
        r#"{"success":true,"data":{}}"#,
    ] {
        let answer = failed(&list(0, None), &[answered(200, none)]);
        assert!(
            matches!(answer, Failure::Malformed(_)),
            "{none}: {answer:?}"
        );
    }
    let refused = failed(&list(2, None), &[]);
    assert_eq!(refused, Failure::Refused("no_such_listing".to_owned()));
}

#[test]
fn each_failure_has_its_class() {
    let error =
        |number: i64| format!(r#"{{"success":false,"error_code":{number},"error_info":"x"}}"#);
    let refused = |number: i64| Failure::Refused(format!("error_{number}"));
    let unclear = |number: i64| Failure::Unclear(format!("error_{number}"));
    for number in [1001, 1002, 1006, 1019, 1020, 1034] {
        let answer = failed(&fetch(), &[answered(400, &error(number))]);
        assert_eq!(answer, refused(number));
    }
    for number in [1000, 1021, 1023, 9999] {
        let answer = failed(&fetch(), &[answered(200, &error(number))]);
        assert_eq!(answer, unclear(number), "success must be said");
    }
    let key = failed(&fetch(), &[answered(400, &error(1032))]);
    assert_eq!(key, Failure::Unauthorized("error_1032".to_owned()));
    for (status, expected) in [
        (401, Failure::Unauthorized("status_401".to_owned())),
        (403, Failure::Unauthorized("status_403".to_owned())),
        (404, Failure::Malformed("status_404".to_owned())),
        (200, Failure::Malformed("status_200".to_owned())),
        (302, Failure::Malformed("status_302".to_owned())),
        (500, Failure::Unclear("status_500".to_owned())),
        (502, Failure::Unclear("status_502".to_owned())),
        (
            429,
            Failure::Throttled {
                wait: Span::from_seconds(10),
            },
        ),
    ] {
        let answer = failed(&fetch(), &[answered(status, "<html>maintenance</html>")]);
        assert_eq!(answer, expected, "{status}");
    }
    let other = order("completed", "completed", "").replace("1000042", "1000043");
    let answer = failed(&fetch(), &[shown(&other)]);
    assert_eq!(answer, Failure::Malformed("other_payment".to_owned()));
    let unsent = failed(&fetch(), &[Err(CallError::NotSent("dns"))]);
    assert_eq!(unsent, Failure::Unclear("dns".to_owned()));
    let before = shown(&order("completed", "completed", ""));
    let unsent = failed(
        &refund(eur(1)),
        &[before.clone(), Err(CallError::NotSent("dns"))],
    );
    assert_eq!(unsent, Failure::NotSent("dns".to_owned()));
    let lost = failed(
        &refund(eur(1)),
        &[before, Err(CallError::Unclear("timeout"))],
    );
    assert_eq!(lost, Failure::Unclear("timeout".to_owned()));
}

proptest! {
    #[test]
    fn any_answers_are_read_without_a_panic_and_no_refund_lacks_its_amount(
        bodies in prop::collection::vec(prop::collection::vec(any::<u8>(), 0..200), 0..4),
        statuses in prop::collection::vec(100..600_u16, 4),
        minor in any::<i64>(),
    ) {
        let replies: Vec<Reply> = bodies
            .into_iter()
            .zip(statuses)
            .map(|(body, status)| Ok(Response { status, headers: Headers::new(), body }))
            .collect();
        for ask in [fetch(), refund(eur(minor)), void(), list(0, None), list(1, Some("x"))] {
            if let Step::Send(request) = step(&ask, &replies)
                && request.method == Method::Post
            {
                let body: serde_json::Value = serde_json::from_slice(&request.body).unwrap();
                prop_assert!(body["amount"].as_i64().unwrap() > 0);
            }
        }
    }
}
