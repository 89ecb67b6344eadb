//! The sandbox as PayPal, read by the daemon's own adapter: what it writes is understood as it was
//! meant, whatever happened to the money.
//!
//! Nothing is sent over a socket. What is expected is taken from the books, not from the answers.

use super::super::SandboxPsp;
use super::super::kind::Kind;
use super::super::records::{DisputeStatus, PaymentStatus, RefundStatus};
use super::*;
use crate::core::ids::{AccountId, ActionKey, ExternalRef, ShopId};
use crate::core::money::{Currency, Money};
use crate::core::payment::{DisputeState, PaymentSnapshot, Progress, RefundState};
use crate::core::plan::Reason;
use crate::psp::paypal::certificate::{CertificateRules, Roots};
use crate::psp::paypal::{Credentials, Paypal as Adapter};
use crate::psp::rules::{AccountRules, Claims};
use crate::psp::{Failure, Psp, PspAnswer, PspAsk, RawDelivery, Reading, Step, Verification};
use crate::wire::{Headers, Reply};
use proptest::prelude::*;
use secrecy::SecretString;
use std::collections::BTreeSet;

const NOW: i64 = 1_795_200_000;
const HOST: &str = "127.0.0.1:8090";

fn at(seconds: i64) -> Time {
    Time::from_seconds(NOW.saturating_add(seconds))
}

fn eur(minor: i64) -> Money {
    Money::new(minor, Currency::EUR)
}

/// The sandbox and an adapter that is signed in to it.
struct Pair {
    psp: SandboxPsp,
    adapter: Adapter,
}

impl Pair {
    fn new() -> Pair {
        let kind: &'static Kind = &KIND;
        let setup = kind.setup();
        let rules = AccountRules {
            account: AccountId::parse("paypal_nl").unwrap(),
            shop: ShopId::parse("klompen").unwrap(),
            reference_paths: vec!["custom_id".to_owned(), "invoice_id".to_owned()],
            reference_pattern: None,
            claims: Claims::Referenced,
            since: None,
            live: false,
            is_shared: false,
        };
        let credentials = Credentials {
            client_id: CLIENT_ID.to_owned(),
            client_secret: SecretString::from(setup.api_key.clone()),
            webhook_id: setup.webhook_secret.clone(),
        };
        let certificates = CertificateRules {
            hosts: Vec::new(),
            loopback: Some(format!("http://{HOST}")),
            roots: Roots::from_pem(sealing::ROOT).unwrap(),
        };
        let adapter = Adapter::new(rules, credentials, certificates, format!("http://{HOST}"));
        let psp = SandboxPsp::at(kind, setup);
        let mut pair = Pair { psp, adapter };
        let request = pair.adapter.sign_in(at(0)).unwrap();
        let reply = pair.call(&request, at(0));
        pair.adapter.signed_in(&reply, at(0)).unwrap();
        pair
    }

    fn call(&mut self, request: &Request, now: Time) -> Reply {
        let mut request = request.clone();
        request.headers.push("host", HOST);
        Ok(self.psp.handle(&request, now))
    }

    fn ask(&mut self, ask: &PspAsk, now: Time) -> PspAnswer {
        let mut replies = Vec::new();
        loop {
            match self.adapter.step(ask, now, &replies) {
                Step::Done(answer) => return answer,
                Step::Send(request) => {
                    let reply = self.call(&request, now);
                    replies.push(reply);
                    assert!(replies.len() < 24, "an exchange without end");
                }
            }
        }
    }

    fn fetch(&mut self, payment: &str, now: Time) -> Vec<PaymentSnapshot> {
        let ask = PspAsk::Fetch {
            payment: ExternalRef::parse(payment).unwrap(),
        };
        match self.ask(&ask, now) {
            PspAnswer::Seen(payments) => payments,
            other @ (PspAnswer::Page { .. } | PspAnswer::Failed(_)) => {
                panic!("nothing seen: {other:?}")
            }
        }
    }

    fn refund(&mut self, payment: &str, amount: Money, key: &str, now: Time) -> PspAnswer {
        let ask = PspAsk::Refund {
            payment: ExternalRef::parse(payment).unwrap(),
            amount,
            key: ActionKey::parse(key).unwrap(),
            why: Reason::OrderUnknown,
        };
        self.ask(&ask, now)
    }

    /// All payments that both lists name, page by page.
    fn listed(&mut self, now: Time) -> BTreeSet<String> {
        let mut names = BTreeSet::new();
        for listing in 0..self.adapter.listings() {
            let mut cursor = None;
            for _ in 0..50 {
                let ask = PspAsk::List {
                    listing,
                    from: at(-86_400),
                    to: now,
                    cursor,
                };
                let PspAnswer::Page { payments, next, .. } = self.ask(&ask, now) else {
                    panic!("no page");
                };
                names.extend(payments.iter().map(|one| one.payment.id.to_string()));
                cursor = next;
                if cursor.is_none() {
                    break;
                }
            }
        }
        names
    }

    /// Verifies and reads what is due; the payments that were named.
    fn delivered(&mut self, now: Time) -> Vec<String> {
        let mut named = Vec::new();
        for delivery in self.psp.take_deliveries(now) {
            let headers: Headers = delivery.headers.clone();
            let raw = RawDelivery {
                method: "POST",
                headers: &headers,
                query: "",
                body: &delivery.body,
            };
            if self.adapter.verify(&raw, now) == Verification::NeedsKey {
                let request = self.adapter.key_wanted(now).unwrap();
                let reply = self.call(&request, now);
                self.adapter.key_came(&request, &reply, now);
            }
            let found = self.adapter.verify(&raw, now);
            assert!(matches!(found, Verification::Signed { .. }), "{found:?}");
            if let Ok(Reading::Seen { payments, .. }) = self.adapter.read(&delivery.body, true, now)
            {
                named.extend(payments.iter().map(|one| one.payment.id.to_string()));
            }
            let taken = response(200, "text/plain", b"");
            self.psp.delivered(delivery, Some(&taken), now);
        }
        named
    }
}

#[test]
fn a_payment_is_told_signed_and_read_as_it_was_booked() {
    let mut pair = Pair::new();
    let payment = pair.psp.pay(Some("1001"), eur(5_995), at(1));
    assert_eq!(pair.delivered(at(2)), [payment.as_str()]);
    let found = pair.fetch(&payment, at(3)).remove(0);
    assert_eq!(found.captured, Some(eur(5_995)));
    assert_eq!(found.reference.as_ref().map(|r| r.as_str()), Some("1001"));
    assert!(found.is_refund_list_whole);
    assert_eq!(found.is_disputed, Some(false));
    // By its order's id, too.
    let order = payment.replace('P', "O");
    let both = pair.fetch(&order, at(3));
    assert_eq!(both[0].payment.id.as_str(), payment);
    assert_eq!(both[1].progress, Some(Progress::Dead));
}

#[test]
fn a_repeated_refund_is_the_first_one_again_and_an_amount_too_much_is_refused() {
    let mut pair = Pair::new();
    let payment = pair.psp.pay(Some("1001"), eur(5_995), at(1));
    let key = "refund-paypal_nl.1-1";
    let first = pair.refund(&payment, eur(2_000), key, at(2));
    assert_eq!(pair.refund(&payment, eur(2_000), key, at(2)), first);
    assert_eq!(pair.psp.records().refunds.len(), 1);
    let answer = pair.refund(&payment, eur(3_996), "refund-paypal_nl.1-2", at(3));
    let refused = |issue: &str| PspAnswer::Failed(Failure::Refused(issue.to_owned()));
    assert_eq!(answer, refused("REFUND_AMOUNT_EXCEEDED"));
    pair.refund(&payment, eur(3_995), "refund-paypal_nl.1-3", at(4));
    let answer = pair.refund(&payment, eur(1), "refund-paypal_nl.1-4", at(5));
    assert_eq!(answer, refused("CAPTURE_FULLY_REFUNDED"));
    // The same mark under a request id that PayPal has forgotten.
    let late = at(46 * 86_400);
    let answer = pair.refund(&payment, eur(2_000), key, late);
    assert_eq!(answer, refused("CAPTURE_FULLY_REFUNDED"));
}

#[test]
fn a_lack_of_balance_is_declined_and_later_paid_once() {
    let mut pair = Pair::new();
    let payment = pair.psp.pay(Some("1001"), eur(5_995), at(1));
    pair.psp.set_balance_low(true, at(2));
    let key = "refund-paypal_nl.1-1";
    let declined = Failure::NotSent("REFUND_FAILED_INSUFFICIENT_FUNDS".to_owned());
    for second in 3..6 {
        let answer = pair.refund(&payment, eur(5_995), key, at(second));
        assert_eq!(answer, PspAnswer::Failed(declined.clone()));
    }
    pair.psp.set_balance_low(false, at(7));
    let answer = pair.refund(&payment, eur(5_995), key, at(8));
    assert!(matches!(answer, PspAnswer::Seen(_)), "{answer:?}");
    assert_eq!(pair.psp.records().refunds.len(), 1);
}

#[test]
fn the_transaction_search_lags_and_the_record_of_events_does_not() {
    let mut pair = Pair::new();
    let payment = pair.psp.pay(Some("1001"), eur(5_995), at(1));
    let view = View {
        ledger: &pair.psp.ledger,
    };
    let window = format!(
        "start_date={}&end_date={}",
        render::time(NOW - 60),
        render::time(NOW + 86_400)
    );
    let form = Form::parse(&window).unwrap();
    let count = |now: i64| {
        let found = routes::transactions(&view, &form, at(now)).unwrap();
        found["transaction_details"].as_array().unwrap().len()
    };
    let lag = 3 * 3_600;
    assert_eq!((count(lag), count(lag + 1)), (0, 1));
    assert_eq!(pair.listed(at(10)), [payment].into());
}

#[test]
fn another_secret_makes_the_token_worthless() {
    let mut pair = Pair::new();
    let payment = pair.psp.pay(Some("1001"), eur(5_995), at(1));
    pair.psp.change_api_key("another-secret-of-the-account");
    let ask = PspAsk::Fetch {
        payment: ExternalRef::parse(&payment).unwrap(),
    };
    let failed = pair.ask(&ask, at(2));
    assert!(matches!(
        failed,
        PspAnswer::Failed(Failure::Unauthorized(_))
    ));
    pair.adapter.signed_out();
    let request = pair.adapter.sign_in(at(3)).unwrap();
    let reply = pair.call(&request, at(3));
    let refused = Failure::Unauthorized("invalid_client".to_owned());
    assert_eq!(pair.adapter.signed_in(&reply, at(3)), Err(refused));
}

/// What a story may do, in the order of the numbers; what is impossible is passed over.
fn play(pair: &mut Pair, payments: &mut Vec<String>, act: (u8, i64), now: Time) {
    let (verb, amount) = act;
    let latest = payments.last().cloned().unwrap_or_default();
    let psp = &mut pair.psp;
    let _played = match verb {
        0 => {
            payments.push(psp.pay(Some("1001"), eur(amount), now));
            Ok(())
        }
        1 => {
            payments.push(psp.authorise(Some("1002"), eur(amount), now));
            Ok(())
        }
        2 => {
            payments.push(psp.open(None, eur(amount), now));
            Ok(())
        }
        3 => psp.succeed(&latest, now),
        4 => psp.fail(&latest, now),
        5 => psp.process(&latest, now),
        6 => psp.capture(&latest, now),
        7 => psp.capture_part(&latest, 100, now),
        8 => psp.staff_cancel(&latest, now),
        9 => psp.staff_refund(&latest, Some(amount), now).map(|_| ()),
        10 => psp.dispute(&latest, now).map(|_| ()),
        11 => {
            let open = psp.records().disputes.keys().next_back().cloned();
            psp.close_dispute(&open.unwrap_or_default(), amount % 2 == 0, now)
        }
        12 => {
            psp.set_refunds_slow(amount % 2 == 0);
            Ok(())
        }
        13 => {
            let made = psp.records().refunds.keys().next_back().cloned();
            psp.fail_refund_later(&made.unwrap_or_default(), now)
        }
        14 => psp.capture_again(&latest, now),
        _ => {
            psp.finish_refunds(now);
            Ok(())
        }
    };
}

/// Holds a read of one payment against the books.
fn hold_against_the_books(pair: &mut Pair, payment: &str, now: Time) -> Result<(), TestCaseError> {
    let records = pair.psp.records().clone();
    let booked = &records.payments[payment];
    let view = View {
        ledger: &pair.psp.ledger,
    };
    let order = format!("{}O", payment.trim_end_matches('P'));
    let captures: Vec<(String, i64, i64)> = records
        .captures_of(payment)
        .map(|one| {
            let name = view.taken_as(&one.id).unwrap();
            (name, one.amount, view.refunded(one, false))
        })
        .collect();
    let money: i64 = captures.iter().map(|(_, amount, _)| amount).sum();
    prop_assert_eq!(money, records.received(payment));
    for (name, amount, gone) in &captures {
        let found = pair.fetch(name, now).remove(0);
        prop_assert_eq!(found.payment.id.as_str(), name);
        prop_assert_eq!(found.captured, Some(eur(*amount)));
        prop_assert!(found.is_refund_list_whole);
        let going = found
            .refunds
            .values()
            .filter(|one| one.state != RefundState::Failed);
        let listed: i64 = going.map(|one| one.amount.minor()).sum();
        prop_assert_eq!(listed, *gone);
        for (id, refund) in &found.refunds {
            let state = match records.refunds[id.as_str()].status {
                RefundStatus::Pending | RefundStatus::Waiting => RefundState::Pending,
                RefundStatus::Succeeded => RefundState::Succeeded,
                RefundStatus::Failed | RefundStatus::Cancelled | RefundStatus::Reversed => {
                    RefundState::Failed
                }
            };
            prop_assert_eq!(refund.state, state);
        }
        for (id, dispute) in &found.disputes {
            let state = match records.disputes[id.as_str()].status {
                DisputeStatus::Open => DisputeState::Open,
                DisputeStatus::Won => DisputeState::Won,
                DisputeStatus::Lost => DisputeState::Lost,
            };
            prop_assert_eq!(dispute.state, state);
        }
    }
    let by_order = pair.fetch(&order, now);
    let said: i64 = by_order
        .iter()
        .filter_map(|one| one.captured)
        .map(Money::minor)
        .sum();
    prop_assert_eq!(said, money);
    if booked.is_manual {
        let held = pair.fetch(payment, now);
        let found = held.last().unwrap();
        let progress = match booked.status {
            PaymentStatus::Authorised => Progress::Authorised,
            PaymentStatus::Open | PaymentStatus::Processing => Progress::InFlight,
            PaymentStatus::Paid | PaymentStatus::Cancelled | PaymentStatus::Expired => {
                Progress::Dead
            }
        };
        prop_assert_eq!(found.progress, Some(progress));
        if booked.status == PaymentStatus::Authorised {
            prop_assert_eq!(found.authorised, Some(eur(booked.held)));
        }
    }
    Ok(())
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn what_the_sandbox_writes_is_read_as_it_was_booked(
        acts in prop::collection::vec((0..16_u8, 200..9_000_i64), 1..14),
    ) {
        let mut pair = Pair::new();
        let mut payments = Vec::new();
        let mut named = BTreeSet::new();
        for (second, act) in (1..).zip(acts) {
            play(&mut pair, &mut payments, act, at(second));
            named.extend(pair.delivered(at(second)));
        }
        let now = at(100);
        for payment in &payments {
            hold_against_the_books(&mut pair, payment, now)?;
        }
        // Whatever took money was named, by deliveries and by the lists alike.
        let listed = pair.listed(now);
        let view = View { ledger: &pair.psp.ledger };
        for capture in pair.psp.records().captures.keys() {
            let name = view.taken_as(capture).unwrap();
            prop_assert!(named.contains(&name) && listed.contains(&name), "{}", name);
        }
    }
}
