//! The sandbox PSP held to Mollie's documented behaviour, call by call, and read by the adapter:
//! what the one writes is what the other reads.
#![cfg(test)]

use super::KIND;
use crate::core::ids::{AccountId, ActionKey, ExternalRef, ShopId};
use crate::core::money::{Currency, Money};
use crate::core::payment::{DisputeState, Ownership, PaymentSnapshot, Progress, RefundState};
use crate::core::plan::Reason;
use crate::core::time::{Span, Time};
use crate::psp::mollie::Mollie;
use crate::psp::rules::{AccountRules, Claims};
use crate::psp::{Failure, Psp, PspAnswer, PspAsk, RawDelivery, Reading, Step, Verification};
use crate::sandbox::psp::{PspSetup, RefundStatus, SandboxPsp};
use crate::wire::{Headers, Method, Request, Response};
use proptest::prelude::*;
use secrecy::SecretString;
use serde_json::Value;

const SECRET: &str = "sandboxSecretOfNextGenWebhooks01";
const BASE: &str = "https://api.mollie.test";

fn sandbox(webhook_secret: &str) -> SandboxPsp {
    let setup = PspSetup {
        webhook_secret: webhook_secret.to_owned(),
        ..KIND.setup()
    };
    SandboxPsp::at(&KIND, setup)
}

fn adapter() -> Mollie {
    let rules = AccountRules {
        account: AccountId::parse(KIND.account).unwrap(),
        shop: ShopId::parse("klompen").unwrap(),
        reference_paths: vec!["metadata.order_reference".to_owned()],
        reference_pattern: None,
        claims: Claims::Referenced,
        since: None,
        live: false,
        is_shared: false,
    };
    Mollie::new(
        rules,
        SecretString::from(KIND.api_key),
        vec![SecretString::from(SECRET)],
        BASE.to_owned(),
    )
}

fn eur(minor: i64) -> Money {
    Money::new(minor, Currency::EUR)
}

fn at(seconds: i64) -> Time {
    Time::from_seconds(1_800_000_000_i64.saturating_add(seconds))
}

fn id(text: &str) -> ExternalRef {
    ExternalRef::parse(text).unwrap()
}

fn key(number: u32) -> ActionKey {
    ActionKey::parse(&format!("refund-mollie_nl.x-{number}")).unwrap()
}

fn ask(psp: &mut SandboxPsp, ask: &PspAsk, now: Time) -> PspAnswer {
    let mut replies = Vec::new();
    for _ in 0..20 {
        match adapter().step(ask, now, &replies) {
            Step::Done(answer) => return answer,
            Step::Send(request) => replies.push(Ok(psp.handle(&request, now))),
        }
    }
    panic!("no end");
}

fn seen(psp: &mut SandboxPsp, one: &PspAsk, now: Time) -> PaymentSnapshot {
    match ask(psp, one, now) {
        PspAnswer::Seen(mut seen) => seen.remove(0),
        PspAnswer::Page { .. } => panic!("a page"),
        PspAnswer::Failed(failure) => panic!("{failure:?}"),
    }
}

fn fetched(psp: &mut SandboxPsp, payment: &str) -> PaymentSnapshot {
    let payment = id(payment);
    seen(psp, &PspAsk::Fetch { payment }, at(5))
}

fn refund(payment: &str, minor: i64, number: u32) -> PspAsk {
    PspAsk::Refund {
        payment: id(payment),
        amount: eur(minor),
        key: key(number),
        why: Reason::OrderUnknown,
    }
}

fn call(
    psp: &mut SandboxPsp,
    method: Method,
    path: &str,
    body: &str,
    key: Option<&str>,
    now: Time,
) -> Response {
    let bearer = format!("Bearer {}", KIND.api_key);
    let mut headers = Headers::new().with("authorization", &bearer);
    if let Some(key) = key {
        headers.push("idempotency-key", key);
    }
    let request = Request {
        method,
        url: format!("{BASE}{path}"),
        headers,
        body: body.as_bytes().to_vec(),
    };
    psp.handle(&request, now)
}

#[test]
fn each_state_of_a_payment_is_read_as_it_is_booked() {
    let mut psp = sandbox("");
    let open = psp.open(Some("1001"), eur(5_995), at(0));
    assert_eq!(fetched(&mut psp, &open).progress, Some(Progress::Waiting));
    psp.process(&open, at(1)).unwrap();
    assert_eq!(fetched(&mut psp, &open).progress, Some(Progress::InFlight));
    psp.succeed(&open, at(2)).unwrap();
    let paid = fetched(&mut psp, &open);
    assert_eq!(
        (paid.progress, paid.captured),
        (Some(Progress::Taken), Some(eur(5_995)))
    );
    assert_eq!(paid.reference.unwrap().as_str(), "1001");
    assert_eq!(paid.ownership, Some(Ownership::Ours));
    let held = psp.authorise(Some("1002"), eur(5_000), at(0));
    let seen = fetched(&mut psp, &held);
    assert_eq!(
        (seen.authorised, seen.captured),
        (Some(eur(5_000)), Some(eur(0)))
    );
    assert!(seen.authorised_until.is_some());
    psp.capture_part(&held, 2_000, at(3)).unwrap();
    let seen = fetched(&mut psp, &held);
    assert_eq!(
        (seen.authorised, seen.captured),
        (Some(eur(3_000)), Some(eur(2_000)))
    );
    let lapsed = psp.open(Some("1003"), eur(100), at(0));
    psp.expire(&lapsed, at(4)).unwrap();
    assert_eq!(fetched(&mut psp, &lapsed).progress, Some(Progress::Dead));
}

#[test]
fn a_refund_waits_is_cancelled_while_it_waits_and_not_after() {
    let mut psp = sandbox("");
    let payment = psp.pay(Some("1001"), eur(5_995), at(0));
    psp.set_refunds_slow(true);
    let made = seen(&mut psp, &refund(&payment, 5_995, 1), at(10));
    let (made, shown) = made.refunds.iter().next().unwrap();
    assert_eq!(
        (shown.state, shown.mark.clone()),
        (RefundState::Pending, Some(key(1)))
    );
    let cancel = PspAsk::CancelRefund {
        payment: id(&payment),
        refund: made.clone(),
        key: key(1),
    };
    let after = seen(&mut psp, &cancel, at(20));
    assert_eq!(after.refunds[made].state, RefundState::Failed);
    assert_eq!(after.refunded, Some(eur(0)));
    let late = ask(&mut psp, &cancel, at(30));
    let refused = Failure::Refused("status_422".to_owned());
    assert_eq!(late, PspAnswer::Failed(refused));
}

#[test]
fn a_key_is_remembered_for_an_hour_and_a_like_refund_is_declined_for_as_long() {
    let mut psp = sandbox("");
    let payment = psp.pay(Some("1001"), eur(5_995), at(0));
    let made = |psp: &SandboxPsp| psp.records().refunds_for(&payment).count();
    let first = seen(&mut psp, &refund(&payment, 1_000, 1), at(0));
    let again = seen(&mut psp, &refund(&payment, 1_000, 1), at(3_599));
    assert_eq!(first.refunds.keys().next(), again.refunds.keys().next());
    assert_eq!(made(&psp), 1);
    let blocked = ask(&mut psp, &refund(&payment, 1_000, 2), at(1_800));
    let wait = Span::from_minutes(35);
    let code = "duplicate_refund".to_owned();
    assert_eq!(
        blocked,
        PspAnswer::Failed(Failure::Postponed { code, wait })
    );
    seen(&mut psp, &refund(&payment, 1_001, 3), at(1_800));
    seen(&mut psp, &refund(&payment, 1_000, 2), at(3_601));
    assert_eq!(made(&psp), 3);
    let path = format!("/v2/payments/{payment}/refunds");
    let body = |value: &str| format!(r#"{{"amount":{{"value":"{value}","currency":"EUR"}}}}"#);
    let status = |psp: &mut SandboxPsp, value: &str, key, now| {
        call(psp, Method::Post, &path, &body(value), key, now).status
    };
    assert_eq!(status(&mut psp, "1.00", Some("k"), at(4_000)), 201);
    assert_eq!(
        status(&mut psp, "2.00", Some("k"), at(4_001)),
        400,
        "another request"
    );
    for odd in ["1", "1.0", "0.00", "-1.00", "1e2", "60.00"] {
        assert_eq!(status(&mut psp, odd, None, at(4_002)), 422, "{odd}");
    }
}

#[test]
fn an_authorisation_is_released_and_a_capture_that_slips_in_is_a_refusal() {
    let mut psp = sandbox("");
    let void = |payment: &str| PspAsk::Void {
        payment: id(payment),
        key: ActionKey::parse(&format!("void-{payment}")).unwrap(),
        why: Reason::OrderUnknown,
    };
    let held = psp.authorise(Some("1001"), eur(5_000), at(0));
    let after = seen(&mut psp, &void(&held), at(1));
    assert_eq!(after.progress, Some(Progress::Dead));
    let overtaken = psp.authorise(Some("1002"), eur(5_000), at(0));
    psp.let_capture_slip_in(&overtaken);
    let answer = ask(&mut psp, &void(&overtaken), at(1));
    let refused = Failure::Refused("status_422".to_owned());
    assert_eq!(answer, PspAnswer::Failed(refused));
    assert_eq!(fetched(&mut psp, &overtaken).captured, Some(eur(5_000)));
    let open = psp.open(Some("1003"), eur(100), at(0));
    let after = seen(&mut psp, &void(&open), at(1));
    assert_eq!(after.progress, Some(Progress::Dead));
}

#[test]
fn pages_are_walked_to_the_end_of_the_window_and_hidden_payments_are_not_on_them() {
    let mut psp = sandbox("");
    let made: Vec<String> = (0..520)
        .map(|n| psp.pay(Some("1001"), eur(100), at(n * 60)))
        .collect();
    psp.set_hidden(&made[519], true);
    let mut found = Vec::new();
    let mut cursor = None;
    let mut pages = 0;
    loop {
        let list = PspAsk::List {
            listing: 0,
            from: at(600),
            to: at(40_000),
            cursor,
        };
        let PspAnswer::Page { payments, next, .. } = ask(&mut psp, &list, at(40_000)) else {
            panic!("no page");
        };
        pages += 1;
        found.extend(payments.into_iter().map(|one| one.payment.id.to_string()));
        match next {
            Some(next) => cursor = Some(next),
            None => break,
        }
    }
    let mut expected = made[10..519].to_vec();
    expected.reverse();
    assert_eq!((found, pages), (expected, 3));
}

#[test]
fn a_chargeback_is_shown_until_it_is_reversed() {
    let mut psp = sandbox("");
    let payment = psp.pay(Some("1001"), eur(5_995), at(0));
    let dispute = psp.dispute(&payment, at(1)).unwrap();
    let disputed = fetched(&mut psp, &payment);
    assert_eq!(disputed.disputes[&id(&dispute)].state, DisputeState::Open);
    assert_eq!(disputed.is_disputed, Some(true));
    psp.close_dispute(&dispute, true, at(2)).unwrap();
    let won = fetched(&mut psp, &payment);
    assert_eq!(won.disputes[&id(&dispute)].state, DisputeState::Won);
    assert_eq!(won.is_disputed, Some(false));
}

#[test]
fn a_stranger_and_another_mode_see_nothing() {
    let mut psp = sandbox("");
    let payment = psp.test_mode_payment(Some("1001"), eur(5_995), at(0));
    let path = format!("/v2/payments/{payment}");
    assert_eq!(
        call(&mut psp, Method::Get, &path, "", None, at(1)).status,
        404
    );
    psp.change_api_key("test_anotherKeyOfTheSandbox");
    let reply = call(&mut psp, Method::Get, &path, "", None, at(1));
    assert_eq!(reply.status, 401);
    let body: Value = serde_json::from_slice(&reply.body).unwrap();
    assert_eq!(body["status"], 401);
}

#[test]
fn classic_deliveries_name_the_payment_and_next_gen_ones_are_signed() {
    for (secret, is_signed) in [("", false), (SECRET, true)] {
        let mut psp = sandbox(secret);
        let payment = psp.pay(Some("1001"), eur(5_995), at(0));
        psp.staff_refund(&payment, Some(100), at(1)).unwrap();
        psp.dispute(&payment, at(2)).unwrap();
        let deliveries = psp.take_deliveries(at(10));
        assert_eq!(deliveries.len(), 3);
        for delivery in deliveries {
            let raw = RawDelivery {
                method: "POST",
                headers: &delivery.headers,
                query: "",
                body: &delivery.body,
            };
            let found = adapter().verify(&raw, at(10));
            let expected = if is_signed {
                let delivery_id = Some(delivery.id.clone());
                Verification::Signed { delivery_id }
            } else {
                let delivery_id = payment.clone();
                Verification::Unsigned { delivery_id }
            };
            assert_eq!(found, expected);
            let read = adapter().read(&delivery.body, is_signed, at(10)).unwrap();
            let hints = vec![id(&payment)];
            let payments = Vec::new();
            assert_eq!(read, Reading::Seen { payments, hints });
        }
    }
}

/// What may happen to one payment.
fn happens(psp: &mut SandboxPsp, payment: &str, what: u8, minor: i64, now: Time) {
    let last = psp.records().refunds_for(payment).last();
    let last = last.map(|refund| refund.id.clone()).unwrap_or_default();
    // What cannot happen to it does not.
    match what {
        0 => drop(psp.succeed(payment, now)),
        1 => drop(psp.process(payment, now)),
        2 => drop(psp.expire(payment, now)),
        3 => drop(psp.staff_cancel(payment, now)),
        4 => drop(psp.staff_refund(payment, Some(minor), now)),
        5 => psp.set_refunds_slow(minor % 2 == 0),
        6 => psp.set_balance_low(minor % 2 == 0, now),
        7 => psp.finish_refunds(now),
        8 => drop(psp.cancel_refund(&last, now)),
        9 => drop(psp.fail_refund_later(&last, now)),
        10 => drop(psp.dispute(payment, now)),
        11 => drop(psp.capture(payment, now)),
        12 => drop(psp.capture_part(payment, minor, now)),
        _ => drop(psp.fail(payment, now)),
    }
}

fn state_of(status: RefundStatus) -> RefundState {
    match status {
        RefundStatus::Pending | RefundStatus::Waiting => RefundState::Pending,
        RefundStatus::Succeeded => RefundState::Succeeded,
        RefundStatus::Failed | RefundStatus::Cancelled | RefundStatus::Reversed => {
            RefundState::Failed
        }
    }
}

proptest! {
    #[test]
    fn what_the_sandbox_writes_is_read_as_the_same_facts(
        is_held in any::<bool>(),
        events in prop::collection::vec((0..14_u8, 1..3_000_i64), 0..12),
    ) {
        let mut psp = sandbox("");
        let reference = Some("1001");
        let payment = if is_held {
            psp.authorise(reference, eur(5_995), at(0))
        } else {
            psp.open(reference, eur(5_995), at(0))
        };
        for (second, (what, minor)) in (1_i64..).zip(events) {
            let held = psp.records().payments[&payment].held;
            let minor = if what == 12 { minor.min(held.max(1)) } else { minor };
            happens(&mut psp, &payment, what, minor, at(second));
        }
        let shown = seen(&mut psp, &PspAsk::Fetch { payment: id(&payment) }, at(100));
        let records = psp.records();
        prop_assert_eq!(shown.captured, Some(eur(records.received(&payment))));
        let refunded = shown.refunded.map_or(0, Money::minor);
        prop_assert_eq!(refunded, records.refunded_for(&payment));
        let held = shown.authorised.map_or(0, Money::minor);
        prop_assert_eq!(held, records.payments[&payment].held);
        let booked: Vec<(String, i64, RefundState)> = records
            .refunds_for(&payment)
            .map(|one| (one.id.clone(), one.amount, state_of(one.status)))
            .collect();
        let read: Vec<(String, i64, RefundState)> = shown
            .refunds
            .iter()
            .map(|(id, one)| (id.to_string(), one.amount.minor(), one.state))
            .collect();
        prop_assert_eq!(read, booked);
        let disputes = records.disputes.values().filter(|one| one.payment == payment);
        prop_assert_eq!(shown.disputes.len(), disputes.count());
        let has_money = records.received(&payment) > 0;
        prop_assert!(shown.is_refund_list_whole || !has_money);
    }
}
