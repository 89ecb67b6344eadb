//! The sandbox as MultiSafepay held to its documented behaviour, and read back by our adapter.
//!
//! Everything is asked through the API's bytes, as a client would.

use super::*;
use crate::core::ids::{AccountId, ActionKey, ExternalRef, ShopId};
use crate::core::money::{Currency, Money};
use crate::core::payment::{DisputeState, PaymentSnapshot, Progress, RefundState};
use crate::core::plan::Reason;
use crate::psp::rules::{AccountRules, Claims};
use crate::psp::{Psp, PspAnswer, PspAsk, Reading, Step, Verification};
use crate::sandbox::psp::SandboxPsp;
use crate::wire::RawDelivery;
use secrecy::SecretString;

const KEY: &str = "refund-0011223344556677-1";

fn psp() -> SandboxPsp {
    SandboxPsp::at(&KIND, KIND.setup())
}

fn adapter() -> crate::psp::multisafepay::MultiSafepay {
    let rules = AccountRules {
        account: AccountId::parse("msp_nl").unwrap(),
        shop: ShopId::parse("klompen").unwrap(),
        reference_paths: vec!["var1".to_owned()],
        reference_pattern: None,
        claims: Claims::Referenced,
        since: None,
        live: false,
        is_shared: false,
    };
    let key = SecretString::from(KIND.api_key);
    crate::psp::multisafepay::MultiSafepay::new(rules, key, None, "http://psp.test".to_owned())
}

fn at(seconds: i64) -> Time {
    Time::from_seconds(1_800_000_000_i64.saturating_add(seconds))
}

fn eur(minor: i64) -> Money {
    Money::new(minor, Currency::EUR)
}

fn ask(psp: &mut SandboxPsp, ask: &PspAsk, now: Time) -> PspAnswer {
    let mut replies = Vec::new();
    loop {
        match adapter().step(ask, now, &replies) {
            Step::Send(request) => replies.push(Ok(psp.handle(&request, now))),
            Step::Done(answer) => return answer,
        }
    }
}

fn fetched(psp: &mut SandboxPsp, id: &str, now: Time) -> PaymentSnapshot {
    let payment = ExternalRef::parse(id).unwrap();
    match ask(psp, &PspAsk::Fetch { payment }, now) {
        PspAnswer::Seen(mut payments) => payments.remove(0),
        other @ (PspAnswer::Page { .. } | PspAnswer::Failed(_)) => panic!("{other:?}"),
    }
}

fn refund(id: &str, minor: i64, key: &str) -> PspAsk {
    PspAsk::Refund {
        payment: ExternalRef::parse(id).unwrap(),
        amount: eur(minor),
        key: ActionKey::parse(key).unwrap(),
        why: Reason::OrderUnknown,
    }
}

#[test]
fn what_the_sandbox_sends_verifies_and_says_what_a_read_says() {
    let mut psp = psp();
    let id = psp.pay(Some("1001"), eur(5995), at(0));
    let deliveries = psp.take_deliveries(at(1));
    assert_eq!(deliveries.len(), KIND.told_of_payment);
    let sent = &deliveries[0];
    let raw = RawDelivery {
        method: "POST",
        headers: &sent.headers,
        query: &sent.query,
        body: &sent.body,
    };
    let verdict = adapter().verify(&raw, at(1));
    assert_eq!(verdict, Verification::Signed { delivery_id: None });
    let Ok(Reading::Seen { payments, .. }) = adapter().read(&sent.body, true, at(1)) else {
        panic!("not read");
    };
    let read = fetched(&mut psp, &id, at(1));
    assert_eq!(payments[0].captured, read.captured);
    assert_eq!(read.captured, Some(eur(5995)));
    assert_eq!(payments[0].reference, read.reference);
    assert_eq!(read.reference.unwrap().as_str(), "1001");
    assert_eq!(read.created_at, Some(at(0)));
}

#[test]
fn a_refund_is_made_once_however_often_it_is_asked() {
    let mut psp = psp();
    let id = psp.pay(Some("1001"), eur(5995), at(0));
    for moment in [1, 2, 900] {
        let answer = ask(&mut psp, &refund(&id, 1000, KEY), at(moment));
        let PspAnswer::Seen(payments) = answer else {
            panic!("{answer:?}");
        };
        assert_eq!(payments[0].refunds.len(), 1);
        assert_eq!(payments[0].refunded, Some(eur(1000)));
    }
    // Another decision of the same amount waits for the PSP's own guard to end.
    let other = refund(&id, 1000, "refund-0011223344556677-2");
    let blocked = ask(&mut psp, &other, at(60));
    assert!(format!("{blocked:?}").contains("Postponed"), "{blocked:?}");
    let answer = ask(&mut psp, &other, at(400));
    let PspAnswer::Seen(payments) = answer else {
        panic!("{answer:?}");
    };
    assert_eq!(payments[0].refunded, Some(eur(2000)));
    let beyond = ask(
        &mut psp,
        &refund(&id, 5000, "refund-0011223344556677-3"),
        at(800),
    );
    assert!(format!("{beyond:?}").contains("error_1034"), "{beyond:?}");
}

#[test]
fn a_refund_without_an_amount_is_a_refund_of_everything_there() {
    let mut psp = psp();
    let id = psp.pay(Some("1001"), eur(5995), at(0));
    let request = Request {
        method: Method::Post,
        url: format!("http://psp.test/v1/json/orders/{id}/refunds"),
        headers: Headers::new().with("api_key", KIND.api_key),
        body: b"{\"currency\":\"EUR\",\"amount\":0}".to_vec(),
    };
    assert_eq!(psp.handle(&request, at(1)).status, 200);
    assert_eq!(fetched(&mut psp, &id, at(1)).refunded, Some(eur(5995)));
}

#[test]
fn an_authorisation_is_released_and_a_dispute_is_shown_until_it_is_won() {
    let mut psp = psp();
    let id = psp.authorise(Some("1001"), eur(5995), at(0));
    assert_eq!(
        fetched(&mut psp, &id, at(1)).progress,
        Some(Progress::Authorised)
    );
    let void = PspAsk::Void {
        payment: ExternalRef::parse(&id).unwrap(),
        key: ActionKey::parse("void-1").unwrap(),
        why: Reason::OrderUnknown,
    };
    let answer = ask(&mut psp, &void, at(2));
    let PspAnswer::Seen(payments) = answer else {
        panic!("{answer:?}");
    };
    assert_eq!(payments[0].progress, Some(Progress::Dead));

    let id = psp.pay(Some("1002"), eur(700), at(0));
    let dispute = psp.dispute(&id, at(3)).unwrap();
    let shown = fetched(&mut psp, &id, at(4));
    let states: Vec<_> = shown.disputes.values().map(|one| one.state).collect();
    assert_eq!(states, [DisputeState::Open]);
    psp.close_dispute(&dispute, true, at(5)).unwrap();
    let shown = fetched(&mut psp, &id, at(6));
    let states: Vec<_> = shown.disputes.values().map(|one| one.state).collect();
    assert_eq!(states, [DisputeState::Won]);
    assert_eq!(shown.captured, Some(eur(700)));
}

#[test]
fn a_refund_that_fails_later_is_shown_as_failed() {
    let mut psp = psp();
    let id = psp.pay(Some("1001"), eur(5995), at(0));
    ask(&mut psp, &refund(&id, 5995, KEY), at(1));
    let made = psp.records().refunds.keys().next().unwrap().clone();
    psp.fail_refund_later(&made, at(2)).unwrap();
    let shown = fetched(&mut psp, &id, at(3));
    let states: Vec<_> = shown.refunds.values().map(|one| one.state).collect();
    assert_eq!(states, [RefundState::Failed]);
    assert!(shown.is_refund_list_whole);
}

#[test]
fn both_lists_name_the_orders_of_their_window_page_by_page() {
    let mut psp = psp();
    let mut made = Vec::new();
    for number in 0..450 {
        made.push(psp.pay(Some(&format!("{number}")), eur(100), at(number)));
    }
    for listing in [0, 1] {
        let mut seen = Vec::new();
        let mut cursor = None;
        let mut pages = 0;
        loop {
            let list = PspAsk::List {
                listing,
                from: at(0),
                to: at(500),
                cursor,
            };
            let PspAnswer::Page { hints, next, .. } = ask(&mut psp, &list, at(500)) else {
                panic!("no page");
            };
            seen.extend(hints.iter().map(ToString::to_string));
            pages += 1;
            match next {
                Some(next) => cursor = Some(next),
                None => break,
            }
        }
        seen.sort();
        assert_eq!((seen == made, pages), (true, 3), "listing {listing}");
    }
}
