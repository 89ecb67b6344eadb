//! The sandbox as Adyen held to its documented behaviour, and read back by our adapter: what the one
//! writes is what the other reads.

use super::*;
use crate::core::ids::{AccountId, ActionKey, ExternalRef, ShopId};
use crate::core::lattice::Join;
use crate::core::money::{Currency, Money};
use crate::core::payment::{DisputeState, Payment, PaymentStatus, RefundState};
use crate::core::plan::Reason;
use crate::psp::adyen::{Capture, Proofs};
use crate::psp::rules::{AccountRules, Claims};
use crate::psp::{Failure, Psp, PspAnswer, PspAsk, Reading, Step, Verification};
use crate::sandbox::psp::SandboxPsp;
use crate::wire::RawDelivery;
use proptest::prelude::*;
use secrecy::SecretString;

fn psp() -> SandboxPsp {
    SandboxPsp::at(&KIND, KIND.setup())
}

fn adapter() -> crate::psp::adyen::Adyen {
    let rules = AccountRules {
        account: AccountId::parse(KIND.account).unwrap(),
        shop: ShopId::parse("klompen").unwrap(),
        reference_paths: vec!["merchantReference".to_owned()],
        reference_pattern: None,
        claims: Claims::Referenced,
        since: None,
        live: false,
        is_shared: false,
    };
    let proofs = Proofs {
        webhook_secrets: vec![SecretString::from(KIND.webhook_secret)],
        login: Some((USER.to_owned(), SecretString::from(PASSWORD))),
    };
    crate::psp::adyen::Adyen::new(
        rules,
        SecretString::from(KIND.api_key),
        (MERCHANT_ACCOUNT.to_owned(), Capture::Manual),
        proofs,
        "http://psp.test/v72".to_owned(),
    )
}

fn at(seconds: i64) -> Time {
    Time::from_seconds(1_800_000_000_i64.saturating_add(seconds))
}

fn eur(minor: i64) -> Money {
    Money::new(minor, Currency::EUR)
}

fn id(text: &str) -> ExternalRef {
    ExternalRef::parse(text).unwrap()
}

fn key(payment: &str, number: u32) -> ActionKey {
    ActionKey::parse(&format!("refund-adyen_nl.{payment}-{number}")).unwrap()
}

/// Delivers everything that waits, and takes in what the adapter makes of it.
fn hear(psp: &mut SandboxPsp, known: &mut Payment, now: Time) {
    let accepted = crate::sandbox::fault::response(202, "text/plain", b"[accepted]");
    for sent in psp.take_deliveries(now) {
        let raw = RawDelivery {
            method: "POST",
            headers: &sent.headers,
            query: &sent.query,
            body: &sent.body,
        };
        let is_signed = match adapter().verify(&raw, now) {
            Verification::Signed { .. } => true,
            Verification::Unsigned { .. } => false,
            other @ (Verification::NeedsKey | Verification::Rejected(_)) => panic!("{other:?}"),
        };
        match adapter().read(&sent.body, is_signed, now).unwrap() {
            Reading::Seen { payments, .. } => {
                for one in payments {
                    known.join(&Payment::from_snapshot(&one));
                }
            }
            Reading::Ignored { .. } => {}
        }
        psp.delivered(sent, Some(&accepted), now);
    }
}

fn ask(psp: &mut SandboxPsp, ask: &PspAsk, known: &mut Payment, now: Time) -> Option<Failure> {
    let mut replies = Vec::new();
    loop {
        match adapter().step(ask, now, &replies) {
            Step::Send(request) => replies.push(Ok(psp.handle(&request, now))),
            Step::Done(PspAnswer::Failed(failure)) => return Some(failure),
            Step::Done(PspAnswer::Page { .. }) => panic!("no page was asked for"),
            Step::Done(PspAnswer::Seen(seen)) => {
                for one in seen {
                    known.join(&Payment::from_snapshot(&one));
                }
                return None;
            }
        }
    }
}

fn refund(payment: &str, minor: i64, number: u32) -> PspAsk {
    PspAsk::Refund {
        payment: id(payment),
        amount: eur(minor),
        key: key(payment, number),
        why: Reason::Overpaid,
    }
}

fn reverse(payment: &str, minor: i64) -> PspAsk {
    PspAsk::Reverse {
        payment: id(payment),
        amount: eur(minor),
        key: key(payment, 1),
    }
}

#[test]
fn what_the_sandbox_sends_of_a_payment_verifies_and_says_that_it_was_paid() {
    let (mut psp, mut known) = (psp(), Payment::default());
    psp.pay(Some("1001"), eur(5995), at(0));
    hear(&mut psp, &mut known, at(1));
    assert_eq!(known.captured(), Some(eur(5995)));
    assert_eq!(known.reference.unwrap().value.as_str(), "1001");
}

#[test]
fn a_payment_is_reversed_once_however_often_it_is_asked_and_its_event_says_when_it_is_done() {
    let (mut psp, mut known) = (psp(), Payment::default());
    psp.set_refunds_slow(true);
    let payment = psp.pay(Some("1001"), eur(5995), at(0));
    for moment in [1, 2, 900] {
        assert_eq!(
            ask(&mut psp, &reverse(&payment, 5995), &mut known, at(moment)),
            None
        );
        hear(&mut psp, &mut known, at(moment));
        assert_eq!(known.refunds.len(), 1);
        let refund = known.refund_marked(&key(&payment, 1)).unwrap();
        assert_eq!(
            (refund.state, refund.amount),
            (RefundState::Pending, eur(5995))
        );
    }
    psp.finish_refunds(at(901));
    hear(&mut psp, &mut known, at(902));
    let refund = known.refund_marked(&key(&payment, 1)).unwrap();
    assert_eq!(
        (refund.state, known.refunds.len()),
        (RefundState::Succeeded, 1)
    );
    let made = known.refunds.keys().next().unwrap().as_str().to_owned();
    psp.fail_refund_later(&made, at(903)).unwrap();
    hear(&mut psp, &mut known, at(904));
    let refund = known.refund_marked(&key(&payment, 1)).unwrap();
    assert_eq!(
        (refund.state, known.refunds.len()),
        (RefundState::Failed, 1)
    );
}

#[test]
fn what_cannot_be_given_back_is_received_all_the_same_and_fails_by_event() {
    let (mut psp, mut known) = (psp(), Payment::default());
    let payment = psp.pay(Some("1001"), eur(5995), at(0));
    assert_eq!(
        ask(&mut psp, &refund(&payment, 1000, 1), &mut known, at(1)),
        None
    );
    assert_eq!(
        ask(&mut psp, &refund(&payment, 5000, 2), &mut known, at(2)),
        None
    );
    hear(&mut psp, &mut known, at(3));
    let state = |number| known.refund_marked(&key(&payment, number)).unwrap().state;
    assert_eq!(state(1), RefundState::Succeeded);
    assert_eq!(state(2), RefundState::Failed);
    assert_eq!(psp.records().refunded_for(&payment), 1000);
}

#[test]
fn what_is_only_held_is_released_by_a_cancel_and_by_a_reversal() {
    let void = |payment: &str| PspAsk::Void {
        payment: id(payment),
        key: ActionKey::parse(&format!("void-adyen_nl.{payment}-1")).unwrap(),
        why: Reason::OrderUnknown,
    };
    for is_reversal in [false, true] {
        let (mut psp, mut known) = (psp(), Payment::default());
        let payment = psp.authorise(Some("1001"), eur(5995), at(0));
        hear(&mut psp, &mut known, at(1));
        assert_eq!(known.status(), PaymentStatus::Authorised);
        let wanted = if is_reversal {
            reverse(&payment, 5995)
        } else {
            void(&payment)
        };
        assert_eq!(ask(&mut psp, &wanted, &mut known, at(2)), None);
        hear(&mut psp, &mut known, at(3));
        assert_eq!(known.status(), PaymentStatus::Failed);
        assert!(psp.records().is_cancelled(&payment));
    }
    let (mut psp, mut known) = (psp(), Payment::default());
    let payment = psp.pay(Some("1001"), eur(5995), at(0));
    assert_eq!(ask(&mut psp, &void(&payment), &mut known, at(1)), None);
    hear(&mut psp, &mut known, at(2));
    assert_eq!(
        known.status(),
        PaymentStatus::Captured,
        "too late to release"
    );
}

#[test]
fn a_stranger_an_unknown_payment_and_a_key_used_for_something_else_are_refused() {
    let (mut psp, mut known) = (psp(), Payment::default());
    let payment = psp.pay(Some("1001"), eur(5995), at(0));
    let unknown = ask(
        &mut psp,
        &refund("SANDBOXP99999999", 1, 1),
        &mut known,
        at(1),
    );
    assert_eq!(unknown, Some(Failure::Refused("error_167".to_owned())));
    assert_eq!(
        ask(&mut psp, &refund(&payment, 1, 1), &mut known, at(2)),
        None
    );
    let reused = ask(&mut psp, &refund(&payment, 2, 1), &mut known, at(3));
    assert_eq!(reused, Some(Failure::Refused("error_100".to_owned())));
    psp.change_api_key("another");
    let stranger = ask(&mut psp, &refund(&payment, 1, 3), &mut known, at(4));
    assert_eq!(
        stranger,
        Some(Failure::Unauthorized("error_000".to_owned()))
    );
}

#[test]
fn disputes_failed_attempts_and_ends_are_told_in_adyens_words() {
    let (mut psp, mut known) = (psp(), Payment::default());
    let payment = psp.pay(Some("1001"), eur(5995), at(0));
    let dispute = psp.dispute(&payment, at(1)).unwrap();
    hear(&mut psp, &mut known, at(2));
    assert_eq!(known.disputes[&id(&dispute)].state, DisputeState::Open);
    psp.close_dispute(&dispute, false, at(3)).unwrap();
    hear(&mut psp, &mut known, at(4));
    assert_eq!(known.disputes[&id(&dispute)].state, DisputeState::Lost);
    let open = psp.open(Some("1002"), eur(1), at(5));
    let mut other = Payment::default();
    psp.fail(&open, at(6)).unwrap();
    hear(&mut psp, &mut other, at(7));
    assert_eq!(other.status(), PaymentStatus::Pending);
    // The end of an authorisation is not signed, so it is acknowledged and not believed.
    let held = psp.authorise(Some("1003"), eur(1), at(8));
    let mut third = Payment::default();
    psp.expire(&held, at(9)).unwrap();
    hear(&mut psp, &mut third, at(10));
    assert_eq!(third.status(), PaymentStatus::Authorised);
}

proptest! {
    #[test]
    fn what_was_captured_in_any_parts_and_given_back_is_what_the_books_say(
        parts in prop::collection::vec(1..2_000_i64, 1..4),
        back in 1..2_000_i64,
    ) {
        let (mut psp, mut known) = (psp(), Payment::default());
        let payment = psp.authorise(Some("1001"), eur(9_000), at(0));
        for (place, part) in (1_i64..).zip(&parts) {
            psp.capture_part(&payment, *part, at(place)).unwrap();
        }
        prop_assert_eq!(ask(&mut psp, &refund(&payment, back, 1), &mut known, at(10)), None);
        hear(&mut psp, &mut known, at(11));
        let received = psp.records().received(&payment);
        prop_assert_eq!(known.captured(), Some(eur(received)));
        let refunded = psp.records().refunded_for(&payment);
        prop_assert_eq!(known.returned_or_returning(), Ok(eur(refunded)));
    }
}

/// What the whole report says of the one payment.
fn reported(psp: &SandboxPsp, now: Time) -> Payment {
    let text = psp.report().unwrap();
    let (head, rows) = text.split_once("\r\n").unwrap();
    let part = crate::psp::report::ReportPart {
        head,
        rows,
        line: 2,
    };
    let reading = adapter().read_report(part, now).unwrap();
    assert!(reading.refused.is_empty() && reading.unknown.is_empty());
    assert_eq!(reading.ignored["Fee"], 1);
    let mut known = Payment::default();
    for one in reading.payments {
        known.join(&Payment::from_snapshot(&one));
    }
    known
}

proptest! {
    #[test]
    fn the_report_that_the_sandbox_writes_says_what_its_webhooks_said(
        price in 1..1_000_000_i64,
        acts in prop::collection::vec(0..6_u8, 0..5),
    ) {
        let (mut psp, mut known) = (psp(), Payment::default());
        let payment = psp.pay(Some("1001"), eur(price), at(0));
        let (mut refund, mut dispute) = (None, None);
        for act in acts {
            match act {
                0 => refund = psp.staff_refund(&payment, Some(1), at(2)).ok().or(refund),
                1 => refund = psp.staff_refund(&payment, None, at(2)).ok().or(refund),
                2 => dispute = psp.dispute(&payment, at(3)).ok().or(dispute),
                3 | 4 => if let Some(dispute) = dispute.take() {
                    psp.close_dispute(&dispute, act == 3, at(4)).unwrap_or_default();
                },
                _ => if let Some(refund) = refund.take() {
                    psp.reverse_refund(&refund, at(5)).unwrap_or_default();
                },
            }
        }
        hear(&mut psp, &mut known, at(9));
        let read = reported(&psp, at(9));
        prop_assert_eq!(read.captured(), known.captured());
        prop_assert_eq!(read.status(), known.status());
        prop_assert_eq!(read.refunds, known.refunds);
        prop_assert_eq!(read.disputes, known.disputes);
        let value = |payment: &Option<crate::core::lattice::Stamped<_>>| payment.clone().map(|one| one.value);
        prop_assert_eq!(value(&read.reference), value(&known.reference));
        prop_assert_eq!(read.ownership.map(|one| one.value), known.ownership.map(|one| one.value));
        prop_assert_eq!(read.method.map(|one| one.value), known.method.map(|one| one.value));
    }
}
