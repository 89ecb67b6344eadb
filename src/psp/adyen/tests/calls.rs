//! Our calls to the byte, and what each answer is taken for.
//! Knows no event: what becomes of a call is told elsewhere.

use super::*;
use crate::core::payment::RefundState;
use crate::core::plan::Reason;
use crate::core::time::Span;
use crate::psp::{Failure, PspAnswer, PspAsk, Step};
use crate::wire::{CallError, Method, Request};

fn refund(minor: i64, why: Reason) -> PspAsk {
    PspAsk::Refund {
        payment: id(PAYMENT),
        amount: eur(minor),
        key: own_key(),
        why,
    }
}

fn reverse() -> PspAsk {
    PspAsk::Reverse {
        payment: id(PAYMENT),
        amount: eur(14_995),
        key: own_key(),
    }
}

fn void() -> PspAsk {
    PspAsk::Void {
        payment: id(PAYMENT),
        key: ActionKey::parse("void-adyen_nl.MADEUP0000000001-1").unwrap(),
        why: Reason::OrderCancelled,
    }
}

fn step(ask: &PspAsk, replies: &[Reply]) -> Step {
    adyen(Capture::Automatic).step(ask, at(0), replies)
}

fn sent(ask: &PspAsk) -> Request {
    match step(ask, &[]) {
        Step::Send(request) => request,
        Step::Done(answer) => panic!("{answer:?}"),
    }
}

fn failed(ask: &PspAsk, reply: Reply) -> Failure {
    match step(ask, &[reply]) {
        Step::Done(PspAnswer::Failed(failure)) => failure,
        other @ (Step::Send(_) | Step::Done(_)) => panic!("{other:?}"),
    }
}

fn received() -> Value {
    json!({
        "merchantAccount": ACCOUNT,
        "paymentPspReference": PAYMENT,
        "pspReference": CHANGE,
        "status": "received",
    })
}

#[test]
fn each_order_is_the_same_request_to_the_byte_with_its_key_in_header_and_reference() {
    let key = "refund-adyen_nl.MADEUP0000000001-1";
    let base = "https://checkout.adyen.test/v72/payments/MADEUP0000000001";
    for (ask, path, body) in [
        (
            refund(4_995, Reason::Overpaid),
            "refunds",
            format!(
                r#"{{"amount":{{"currency":"EUR","value":4995}},"merchantAccount":"KlompenECOM","merchantRefundReason":"OTHER","reference":"{key}"}}"#
            ),
        ),
        (
            refund(14_995, Reason::Duplicate),
            "refunds",
            format!(
                r#"{{"amount":{{"currency":"EUR","value":14995}},"merchantAccount":"KlompenECOM","merchantRefundReason":"DUPLICATE","reference":"{key}"}}"#
            ),
        ),
        (
            reverse(),
            "reversals",
            format!(r#"{{"merchantAccount":"KlompenECOM","reference":"{key}"}}"#),
        ),
        (
            void(),
            "cancels",
            r#"{"merchantAccount":"KlompenECOM","reference":"void-adyen_nl.MADEUP0000000001-1"}"#
                .to_owned(),
        ),
    ] {
        let request = sent(&ask);
        assert_eq!(request.method, Method::Post);
        assert_eq!(request.url, format!("{base}/{path}"));
        assert_eq!(String::from_utf8(request.body.clone()).unwrap(), body);
        let header = |name| request.headers.single(name);
        assert_eq!(header("x-api-key"), Some("made-up-api-key"));
        assert_eq!(header("content-type"), Some("application/json"));
        assert!(body.contains(header("idempotency-key").unwrap()));
        assert_eq!(request, sent(&ask));
    }
}

#[test]
fn an_amount_is_written_in_adyens_own_units_and_never_zero() {
    let isk = Currency::parse("ISK").unwrap();
    let ask = PspAsk::Refund {
        payment: id(PAYMENT),
        amount: Money::new(2_790, isk),
        key: own_key(),
        why: Reason::Overpaid,
    };
    let body = String::from_utf8(sent(&ask).body).unwrap();
    assert!(body.contains(r#""value":279000"#), "{body}");
    for minor in [0, -1] {
        let step = step(&refund(minor, Reason::Overpaid), &[]);
        let refused = Failure::Refused("amount_not_expressible".to_owned());
        assert_eq!(step, Step::Done(PspAnswer::Failed(refused)));
    }
}

#[test]
fn received_is_only_on_its_way_under_adyens_name_and_our_mark() {
    for ask in [refund(14_995, Reason::OrderUnknown), reverse()] {
        for status in [200, 201] {
            let Step::Done(PspAnswer::Seen(seen)) = step(&ask, &[answered(status, &received())])
            else {
                panic!("it was received");
            };
            let refund = &seen[0].refunds[&id(CHANGE)];
            assert_eq!(
                (refund.state, refund.amount),
                (RefundState::Pending, eur(14_995))
            );
            assert_eq!(refund.mark, Some(own_key()));
            assert!(!seen[0].is_refund_list_whole);
            let payment = Payment::from_snapshot(&seen[0]);
            assert_eq!((payment.read_at, payment.refunds_listed_at), (None, None));
        }
    }
    let done = Step::Done(PspAnswer::Seen(Vec::new()));
    assert_eq!(step(&void(), &[answered(201, &received())]), done);
}

#[test]
fn an_answer_that_is_not_the_agreed_one_is_no_answer() {
    let mut other = received();
    other["paymentPspReference"] = "MADEUP0000000009".into();
    let mut word = received();
    word["status"] = "refunded".into();
    for (body, code) in [
        (other, "other_payment"),
        (word, "unknown_status"),
        (json!({"status": "received"}), "missing_field"),
        (json!([]), "wrong_shape"),
    ] {
        let found = failed(&reverse(), answered(201, &body));
        assert_eq!(found, Failure::Malformed(code.to_owned()));
    }
    let html = json!("<html>");
    let found = failed(&reverse(), answered(404, &html));
    assert_eq!(found, Failure::Malformed("status_404".to_owned()));
}

#[test]
fn errors_are_named_for_the_next_act() {
    let problem = |status: u16, code: &str| {
        answered(
            status,
            &json!({"status": status, "errorCode": code, "message": "made up", "errorType": "validation"}),
        )
    };
    let unclear = |code: &str| Failure::Unclear(code.to_owned());
    let refused = |code: &str| Failure::Refused(code.to_owned());
    let unauthorized = |code: &str| Failure::Unauthorized(code.to_owned());
    for (status, code, found) in [
        (422, "14_030", refused("error_14_030")),
        (422, "100", refused("error_100")),
        (400, "702", refused("error_702")),
        (401, "000", unauthorized("error_000")),
        (403, "901", unauthorized("error_901")),
        (409, "704", unclear("error_704")),
        (422, "704", unclear("error_704")),
        (503, "703", unclear("error_703")),
        (500, "905", unclear("error_905")),
        (422, "<odd>", refused("status_422")),
    ] {
        assert_eq!(failed(&reverse(), problem(status, code)), found);
    }
    let mut transient = problem(422, "14_030").unwrap();
    transient.headers.push("transient-error", "true");
    assert_eq!(failed(&reverse(), Ok(transient)), unclear("error_14_030"));
    let mut busy = problem(429, "1").unwrap();
    let wait = Span::from_seconds(10);
    assert_eq!(
        failed(&reverse(), Ok(busy.clone())),
        Failure::Throttled { wait }
    );
    busy.headers.push("retry-after", "30");
    let wait = Span::from_seconds(30);
    assert_eq!(failed(&reverse(), Ok(busy)), Failure::Throttled { wait });
    let refusal = Err(CallError::NotSent("connection_refused"));
    let not_sent = Failure::NotSent("connection_refused".to_owned());
    assert_eq!(failed(&reverse(), refusal), not_sent);
    assert_eq!(
        failed(&reverse(), Err(CallError::Unclear("timeout"))),
        unclear("timeout")
    );
}

#[test]
fn there_is_nothing_to_ask_and_no_key_too_long_to_be_remembered_is_sent() {
    let list = PspAsk::List {
        listing: 0,
        from: at(0),
        to: at(1),
        cursor: None,
    };
    let fetch = PspAsk::Fetch {
        payment: id(PAYMENT),
    };
    let cancel = PspAsk::CancelRefund {
        payment: id(PAYMENT),
        refund: id(CHANGE),
        key: own_key(),
    };
    let long = PspAsk::Reverse {
        payment: id(PAYMENT),
        amount: eur(1),
        key: ActionKey::parse(&"k".repeat(65)).unwrap(),
    };
    let up = PspAsk::Reverse {
        payment: id("..:x"),
        amount: eur(1),
        key: own_key(),
    };
    for (ask, code) in [
        (list, "no_such_listing"),
        (fetch, "payments_cannot_be_read"),
        (cancel, "refunds_cannot_be_cancelled"),
        (long, "key_too_long"),
        (up, "bad_psp_reference"),
    ] {
        let refused = Failure::Refused(code.to_owned());
        assert_eq!(step(&ask, &[]), Step::Done(PspAnswer::Failed(refused)));
    }
    let account = adyen(Capture::Automatic);
    assert_eq!(account.listings(), 0);
    let traits = account.traits();
    assert!(!traits.can_read && !traits.can_list_refunds && !traits.cancels_refunds);
    assert_eq!(traits.key_lifetime, Span::from_days(7));
}
