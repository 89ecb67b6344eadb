//! Asking: what is sent, and what the answers are taken for.
//! Pure over made-up answers; nothing here is sent anywhere.

use super::*;
use crate::core::payment::{Progress, RefundState, Source};
use crate::core::plan::Reason;
use crate::core::time::Span;
use crate::wire::{CallError, Method};

fn refund(amount: Money) -> PspAsk {
    PspAsk::Refund {
        payment: id(PAYMENT),
        amount,
        key: key(),
        why: Reason::OrderUnknown,
    }
}

fn void() -> PspAsk {
    PspAsk::Void {
        payment: id(PAYMENT),
        key: key(),
        why: Reason::OrderUnknown,
    }
}

fn cancel() -> PspAsk {
    PspAsk::CancelRefund {
        payment: id(PAYMENT),
        refund: id("re_MadeUp0001"),
        key: key(),
    }
}

fn error(status: u16, name: &str) -> Reply {
    answered(status, fixture(&format!("api/{name}.json")))
}

fn line(request: &Request) -> String {
    format!("{:?} {}", request.method, address(request))
}

const FETCH: &str = "Get /v2/payments/tr_7MadeUpExample1?embed=refunds,captures,chargebacks";

#[test]
fn every_call_carries_the_key_and_only_a_post_an_idempotency_key() {
    let asks = [fetch(PAYMENT), refund(eur(1)), void(), cancel()];
    for ask in &asks {
        let request = sent(ask, &[]);
        let header = |name| request.headers.single(name);
        assert_eq!(header("authorization"), Some("Bearer test_made_up"));
        assert_eq!(header("accept"), Some("application/hal+json"));
        let is_post = request.method == Method::Post;
        assert_eq!(header("idempotency-key"), is_post.then_some(KEY));
        assert_eq!(
            header("content-type"),
            is_post.then_some("application/json")
        );
        assert_eq!(request.body.is_empty(), !is_post);
        assert!(!format!("{request:?}").contains("test_made"));
    }
    assert!(!format!("{:?}", mollie()).contains("test_made"));
}

#[test]
fn a_fetch_is_one_call_where_the_embedded_list_adds_up() {
    let ask = fetch(PAYMENT);
    assert_eq!(line(&sent(&ask, &[])), FETCH);
    for name in ["payment_paid", "payment_with_refunds", "payment_open"] {
        let found = seen(&ask, &[ok(name)]);
        assert!(found.is_refund_list_whole, "{name}");
    }
}

#[test]
fn a_list_that_is_not_shown_or_does_not_add_up_is_read_page_by_page() {
    let ask = fetch(PAYMENT);
    let first = "Get /v2/payments/tr_7MadeUpExample1/refunds?limit=250";
    for name in ["payment_without_embedded", "payment_with_refunds_cut_short"] {
        let mut replies = vec![ok(name)];
        assert_eq!(line(&sent(&ask, &replies)), first, "{name}");
        replies.push(ok("refunds_first_page"));
        let next = format!("{first}&from=re_MadeUp0003");
        assert_eq!(line(&sent(&ask, &replies)), next, "{name}");
        replies.push(ok("refunds_last_page"));
        let found = seen(&ask, &replies);
        assert!(found.is_refund_list_whole);
        assert_eq!(found.refunds.len(), 4);
    }
}

#[test]
fn fifty_embedded_refunds_may_be_a_list_cut_short() {
    let text = String::from_utf8(fixture("api/payment_paid.json")).unwrap();
    let entry = |n: usize| {
        format!(
            r#"{{"resource":"refund","id":"re_{n}","paymentId":"{PAYMENT}","status":"failed",
            "amount":{{"value":"1.00","currency":"EUR"}}}}"#
        )
    };
    let with = |count: usize| {
        let entries: Vec<String> = (0..count).map(entry).collect();
        let list = format!("\"refunds\": [{}]", entries.join(","));
        let body = text.replace("\"refunds\": []", &list);
        step(&fetch(PAYMENT), &[answered(200, body.into_bytes())])
    };
    assert!(matches!(with(49), Step::Done(PspAnswer::Seen(_))));
    assert!(matches!(with(50), Step::Send(_)));
}

#[test]
fn a_list_that_never_ends_is_not_whole() {
    let mut replies = vec![ok("payment_without_embedded")];
    for _ in 0..10 {
        replies.push(ok("refunds_first_page"));
    }
    let found = seen(&fetch(PAYMENT), &replies);
    assert!(!found.is_refund_list_whole);
    assert_eq!(found.refunds.len(), 2);
}

#[test]
fn s022_an_answer_that_is_no_answer_is_never_a_no() {
    let ask = fetch(PAYMENT);
    let without_list = ok("payment_without_embedded");
    for (replies, failure) in [
        (
            vec![error(404, "error_not_found")],
            Failure::Refused("status_404".to_owned()),
        ),
        (
            vec![error(500, "error_not_found")],
            Failure::Unclear("status_500".to_owned()),
        ),
        (
            vec![answered(401, Vec::new())],
            Failure::Unauthorized("status_401".to_owned()),
        ),
        (
            vec![answered(200, b"<html>".to_vec())],
            malformed("not_json"),
        ),
        (
            vec![answered(200, b"[]".to_vec())],
            malformed("wrong_shape"),
        ),
        (vec![ok("refund_created")], malformed("wrong_object")),
        (vec![ok("payment_other")], malformed("other_payment")),
        (
            vec![Err(CallError::Unclear("timeout"))],
            Failure::Unclear("timeout".to_owned()),
        ),
        (
            vec![without_list.clone(), ok("refunds_of_other_payment")],
            malformed("other_payment"),
        ),
        (
            vec![without_list, Err(CallError::Unclear("reset"))],
            Failure::Unclear("reset".to_owned()),
        ),
    ] {
        assert_eq!(failed(&ask, &replies), failure);
    }
}

#[test]
fn nothing_but_a_payments_id_gets_into_a_path() {
    for odd in [
        "ord_1",
        "re_1",
        "tr_",
        "pi_1",
        "tr_1.json",
        "tr-1",
        "..",
        "tr_1:2",
    ] {
        let refused = Failure::Refused("not_a_payment_id".to_owned());
        let payment = id(odd);
        let (amount, why) = (eur(1), Reason::Overpaid);
        for ask in [
            PspAsk::Fetch {
                payment: payment.clone(),
            },
            PspAsk::Refund {
                payment: payment.clone(),
                amount,
                key: key(),
                why,
            },
            PspAsk::Void {
                payment: payment.clone(),
                key: key(),
                why,
            },
            PspAsk::CancelRefund {
                payment,
                refund: id("re_1"),
                key: key(),
            },
        ] {
            assert_eq!(failed(&ask, &[]), refused, "{odd}");
        }
        let ask = PspAsk::CancelRefund {
            payment: id(PAYMENT),
            refund: id(if odd == "re_1" { "tr_1" } else { odd }),
            key: key(),
        };
        let refused = Failure::Refused("not_a_refund_id".to_owned());
        assert_eq!(failed(&ask, &[]), refused, "{odd}");
    }
}

#[test]
fn a_refund_writes_its_amount_and_our_mark_and_never_changes() {
    let request = sent(&refund(eur(14995)), &[]);
    assert_eq!(
        line(&request),
        "Post /v2/payments/tr_7MadeUpExample1/refunds"
    );
    let body = r#"{"amount":{"currency":"EUR","value":"149.95"},"description":"Refund tr_7MadeUpExample1","metadata":{"reconciled_key":"refund-mollie_nl.tr_7MadeUpExample1-1"}}"#;
    assert_eq!(String::from_utf8(request.body).unwrap(), body);
    let isk = Money::new(2790, Currency::parse("ISK").unwrap());
    let body = String::from_utf8(sent(&refund(isk), &[]).body).unwrap();
    assert!(body.contains(r#""value":"2790""#), "{body}");
}

#[test]
fn s094_a_repeated_refund_is_the_same_request_to_the_byte_whatever_the_reason_is_by_then() {
    let ask = refund(eur(14995));
    let PspAsk::Refund {
        payment,
        amount,
        key,
        ..
    } = ask.clone()
    else {
        panic!("a refund");
    };
    let again = PspAsk::Refund {
        payment,
        amount,
        key,
        why: Reason::OperatorRefund,
    };
    let later = Time::from_seconds(ASKED_AT + 90_000);
    assert_eq!(mollie().step(&again, later, &[]), step(&ask, &[]));
}

#[test]
fn a_refund_that_cannot_be_written_exactly_is_never_sent() {
    let krw = Currency::parse("KRW").unwrap();
    for amount in [eur(0), eur(-1), Money::new(100, krw)] {
        let refused = Failure::Refused("amount_not_expressible".to_owned());
        assert_eq!(failed(&refund(amount), &[]), refused);
    }
}

#[test]
fn the_answer_to_a_refund_shows_the_refund_and_is_no_fresh_look_at_the_money() {
    let reply = answered(201, fixture("api/refund_created.json"));
    let found = seen(&refund(eur(14995)), &[reply]);
    assert_eq!(found.source, Source::Signed);
    assert_eq!((found.captured, found.ownership), (None, None));
    assert!(!found.is_refund_list_whole);
    let entry = &found.refunds[&id("re_MadeUp0001")];
    assert_eq!(entry.mark, Some(key()));
    assert_eq!(
        (entry.state, entry.amount),
        (RefundState::Pending, eur(14995))
    );
}

#[test]
fn an_answer_about_another_refund_is_not_ours() {
    for (reply, failure) in [
        (ok("refund_of_other_amount"), malformed("other_refund")),
        (ok("refund_without_mark"), malformed("other_refund")),
        (ok("refund_of_other_payment"), malformed("other_payment")),
        (ok("payment_paid"), malformed("wrong_object")),
        (answered(200, b"<html>".to_vec()), malformed("not_json")),
        (
            error(422, "error_already_refunded"),
            Failure::Refused("status_422:amount.value".to_owned()),
        ),
        (
            answered(503, Vec::new()),
            Failure::Unclear("status_503".to_owned()),
        ),
        (
            answered(429, Vec::new()),
            Failure::Throttled {
                wait: Span::from_seconds(10),
            },
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
        assert_eq!(failed(&refund(eur(14995)), &[reply]), failure);
    }
}

#[test]
fn a_conflict_is_settled_by_the_list() {
    let ask = refund(eur(14995));
    let conflict = error(409, "error_duplicate_refund");
    let list = "Get /v2/payments/tr_7MadeUpExample1/refunds?limit=250";
    let replies = std::slice::from_ref(&conflict);
    assert_eq!(line(&sent(&ask, replies)), list);
    let with = |second: Reply| [conflict.clone(), second];
    let ours = seen(&ask, &with(ok("refunds_with_ours")));
    assert_eq!(ours.refunds.len(), 1);
    assert_eq!(ours.refunds[&id("re_MadeUp0001")].mark, Some(key()));
    // Nothing like it: the first request may still be under way.
    let open = Failure::Unclear("status_409".to_owned());
    assert_eq!(failed(&ask, &with(ok("refunds_none"))), open);
    // Another one of the same amount, twenty minutes old: 45 of 65 minutes are left.
    let code = "duplicate_refund".to_owned();
    let wait = Span::from_minutes(45);
    let blocked = Failure::Postponed { code, wait };
    assert_eq!(failed(&ask, &with(ok("refunds_with_a_like_one"))), blocked);
    let unread = Failure::Unclear("status_502".to_owned());
    assert_eq!(failed(&ask, &with(answered(502, Vec::new()))), unread);
    let other = malformed("other_payment");
    assert_eq!(failed(&ask, &with(ok("refunds_of_other_payment"))), other);
}

#[test]
fn an_authorisation_is_looked_at_released_and_looked_at_again() {
    let mut replies = Vec::new();
    assert_eq!(line(&sent(&void(), &replies)), FETCH);
    replies.push(ok("payment_authorized"));
    let release = sent(&void(), &replies);
    assert_eq!(
        line(&release),
        "Post /v2/payments/tr_7MadeUpExample1/release-authorization"
    );
    assert_eq!(release.body, b"{}");
    replies.push(answered(202, Vec::new()));
    assert_eq!(line(&sent(&void(), &replies)), FETCH);
    replies.push(ok("payment_authorized"));
    let found = seen(&void(), &replies);
    assert_eq!(found.progress, Some(Progress::Authorised), "not yet done");
    replies[2] = ok("payment_canceled");
    replies.truncate(2);
    replies.push(ok("payment_canceled"));
    assert_eq!(seen(&void(), &replies).progress, Some(Progress::Dead));
}

#[test]
fn an_open_payment_is_cancelled_where_mollie_allows_it() {
    let replies = [ok("payment_open")];
    let request = sent(&void(), &replies);
    assert_eq!(line(&request), "Delete /v2/payments/tr_7MadeUpExample1");
    let pending = seen(&void(), &[ok("payment_pending")]);
    assert_eq!(pending.progress, Some(Progress::InFlight));
}

#[test]
fn s091_a_void_that_came_too_late_is_information() {
    for name in ["payment_paid", "payment_canceled", "payment_expired"] {
        let found = seen(&void(), &[ok(name)]);
        assert_eq!(found.payment.id, id(PAYMENT), "{name}");
    }
    let refused = Failure::Refused("status_422".to_owned());
    let replies = [ok("payment_authorized"), error(422, "error_not_cancelable")];
    assert_eq!(failed(&void(), &replies), refused);
}

#[test]
fn a_cancelled_refund_is_read_before_it_counts() {
    let path = "Delete /v2/payments/tr_7MadeUpExample1/refunds/re_MadeUp0001";
    assert_eq!(line(&sent(&cancel(), &[])), path);
    let taken = answered(204, Vec::new());
    let replies = [taken.clone()];
    assert_eq!(line(&sent(&cancel(), &replies)), FETCH);
    let state = |name: &str| {
        let found = seen(&cancel(), &[taken.clone(), ok(name)]);
        assert!(found.is_refund_list_whole);
        found.refunds[&id("re_MadeUp0001")].state
    };
    assert_eq!(state("payment_cancelling_refund"), RefundState::Failed);
    assert_eq!(state("payment_refund_pending"), RefundState::Pending);
    for (reply, failure) in [
        (
            error(422, "error_not_cancelable"),
            Failure::Refused("status_422".to_owned()),
        ),
        (
            error(404, "error_not_found"),
            Failure::Refused("status_404".to_owned()),
        ),
        (
            Err(CallError::Unclear("timeout")),
            Failure::Unclear("timeout".to_owned()),
        ),
    ] {
        assert_eq!(failed(&cancel(), &[reply]), failure);
    }
}

#[test]
fn the_traits_say_what_mollie_can_do() {
    let traits = mollie().traits();
    assert!(traits.can_read && traits.can_list_refunds && traits.cancels_refunds);
    assert_eq!(traits.key_lifetime, Span::from_hours(1));
    assert!(mollie().pays_late() >= Span::from_days(14));
}
