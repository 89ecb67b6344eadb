//! Scenarios of the catalogue played over real sockets with the real binary: what went wrong,
//! and what the two sandboxes' books say at the end.
//!
//! A test's name begins with the scenario's number. Knows the daemon only from outside.

use crate::support::{Psp, Rig};
use reconciled::core::time::Span;
use reconciled::sandbox::fault::{Aim, Fault, Symptom, Times};
use reconciled::sandbox::outbox::DeliveryFault;
use reconciled::sandbox::psp::PspCall;
use reconciled::sandbox::rig::{Ended, eur};
use reconciled::sandbox::shop::ShopCall;
use std::time::Duration;

/// An order of the usual price, placed and paid.
fn order_and_pay(rig: &Rig, reference: &str) -> String {
    rig.place(reference, eur(5_995));
    rig.pay(reference, eur(5_995))
}

fn confirms(reference: &str) -> Aim<ShopCall> {
    Aim::kind(ShopCall::Confirm).about(reference)
}

/// Settles the order and holds the books to one charge, one confirmation, nothing refunded.
async fn settles_once(rig: &Rig, reference: &str) {
    rig.until_verdict(reference, "settled").await;
    let customer = rig.fine(reference);
    let counts = (customer.payments, customer.refunds, customer.mails);
    assert_eq!(counts, (1, 0, 1), "{customer:?}");
    assert!(customer.is_confirmed);
}

/// Returns the money and holds the books to one refund of all of it and no order.
async fn returns_once(rig: &Rig, reference: &str) {
    rig.until_verdict(reference, "returned").await;
    let customer = rig.fine(reference);
    assert_eq!((customer.refunds, customer.mails), (1, 0), "{customer:?}");
    assert!(!customer.is_confirmed && customer.kept() == 0);
}

pub(crate) async fn a_normal_payment_is_confirmed_once_and_sigterm_ends_the_daemon_well(psp: Psp) {
    let mut rig = Rig::raise_at(psp).await;
    order_and_pay(&rig, "1001");
    settles_once(&rig, "1001").await;
    let ended = rig.sigterm().await.unwrap();
    assert!(
        matches!(ended, Ended::With(status) if status.success()),
        "{ended:?}"
    );
    rig.close().await;
}

pub(crate) async fn s001_forged_webhooks_are_answered_with_401_and_change_nothing(psp: Psp) {
    let rig = Rig::raise_at(psp).await;
    rig.place("1001", eur(5_995));
    rig.until_verdict("1001", "open").await;
    let mut forger = rig.forger();
    let now = rig.world().now();
    for fault in [
        DeliveryFault::WrongSecret,
        DeliveryFault::Corrupt,
        DeliveryFault::OldTimestamp(Span::from_seconds(700)),
    ] {
        forger.spoil(None, Times::Always, fault);
        forger.pay(Some("1001"), eur(5_995), now);
        let claims = forger.take_deliveries(now);
        assert_eq!(claims.len(), psp.told_of_payment);
        forger.heal();
        for claim in claims {
            let path = claim.target(&rig.webhook_path());
            let sent = rig.public_call(claim.method, &path, &claim.headers, &claim.body);
            assert_eq!(sent.await.unwrap().status, 401, "{fault:?}");
        }
    }
    let view = rig.until_verdict("1001", "open").await;
    assert!(view.payments.is_empty(), "{view:?}");
    assert_eq!(rig.fine("1001").mails, 0);
    rig.close().await;
}

pub(crate) async fn s003_the_same_event_delivered_twice_confirms_once(psp: Psp) {
    let rig = Rig::raise_at(psp).await;
    rig.psp(|psp| psp.spoil(Some("1001"), Times::Always, DeliveryFault::Double));
    order_and_pay(&rig, "1001");
    settles_once(&rig, "1001").await;
    rig.close().await;
}

pub(crate) async fn s006_a_payment_whose_order_appears_later_is_confirmed(psp: Psp) {
    let rig = Rig::raise_at_with(psp, |setup| setup.policy("order_grace", "\"60s\"")).await;
    rig.pay("1001", eur(5_995));
    rig.until_verdict("1001", "matching").await;
    rig.place("1001", eur(5_995));
    settles_once(&rig, "1001").await;
    rig.close().await;
}

pub(crate) async fn s017_a_payment_whose_webhooks_are_lost_is_found_by_the_sweep(psp: Psp) {
    let rig = Rig::raise_at(psp).await;
    rig.psp(|psp| psp.spoil(Some("1001"), Times::Always, DeliveryFault::Lose));
    order_and_pay(&rig, "1001");
    settles_once(&rig, "1001").await;
    assert!(rig.psp(|psp| psp.deliveries().is_empty()));
    rig.close().await;
}

pub(crate) async fn s055_of_two_payments_for_one_order_one_is_refunded(psp: Psp) {
    let rig = Rig::raise_at(psp).await;
    order_and_pay(&rig, "1001");
    rig.pay("1001", eur(5_995));
    rig.until("1001", |view| {
        view.verdict == "settled" && rig.customer("1001").refunds > 0
    })
    .await;
    let customer = rig.fine("1001");
    let counts = (customer.payments, customer.refunds, customer.mails);
    assert_eq!(counts, (2, 1, 1), "{customer:?}");
    rig.close().await;
}

pub(crate) async fn s064_a_confirm_that_was_applied_while_its_answer_was_lost_is_read_back(
    psp: Psp,
) {
    let rig = Rig::raise_at(psp).await;
    rig.shop(|shop| {
        let lost = Fault::after(Symptom::Close);
        shop.lay(confirms("1001"), Times::Next(1), lost);
        // A second confirm would mail the customer again.
        shop.set_careless(true);
    });
    order_and_pay(&rig, "1001");
    settles_once(&rig, "1001").await;
    rig.close().await;
}

pub(crate) async fn s067_a_maintenance_page_an_empty_and_a_broken_answer_are_no_answers(psp: Psp) {
    let mut rig = Rig::raise_at(psp).await;
    rig.set_patience(Duration::from_secs(60));
    for symptom in [
        Symptom::Html,
        Symptom::Empty,
        Symptom::Garbage,
        Symptom::UnknownWord,
        Symptom::Redirect,
        Symptom::Huge,
    ] {
        let fault = Fault::before(symptom);
        rig.shop(|shop| shop.lay(Aim::all().about("1001"), Times::Next(1), fault));
    }
    order_and_pay(&rig, "1001");
    settles_once(&rig, "1001").await;
    rig.close().await;
}

pub(crate) async fn s069_a_shop_outage_never_leads_to_a_refund(psp: Psp) {
    let rig = Rig::raise_at(psp).await;
    rig.shop(|shop| shop.lay(Aim::all(), Times::Always, Fault::before(Symptom::Close)));
    order_and_pay(&rig, "1001");
    rig.until_world("three calls in vain", |world| {
        world.shop.strikes_about("1001") >= 3
    })
    .await;
    rig.until_verdict("1001", "confirming").await;
    rig.shop(|shop| shop.heal());
    settles_once(&rig, "1001").await;
    rig.close().await;
}

pub(crate) async fn s071_money_for_an_order_cancelled_meanwhile_goes_back(psp: Psp) {
    let rig = Rig::raise_at(psp).await;
    rig.world().with(|world, now| {
        world.shop.place("1001", eur(5_995), now);
        world.shop.cancel("1001", "customer_request", now);
        world.psp.pay(Some("1001"), eur(5_995), now);
    });
    returns_once(&rig, "1001").await;
    rig.close().await;
}

pub(crate) async fn s080_a_refund_that_was_applied_while_its_answer_was_lost_is_not_repeated(
    psp: Psp,
) {
    let rig = Rig::raise_at(psp).await;
    let aim = Aim::kind(PspCall::Refund).about("1001");
    rig.psp(|psp| psp.lay(aim, Times::Next(1), Fault::after(Symptom::Close)));
    rig.pay("1001", eur(5_995));
    returns_once(&rig, "1001").await;
    rig.close().await;
}

pub(crate) async fn a_daemon_killed_with_a_confirm_and_a_refund_in_flight_does_neither_twice(
    psp: Psp,
) {
    let mut rig = Rig::raise_at(psp).await;
    let held_back = Fault::delay(Span::from_seconds(5));
    rig.psp(|psp| {
        let aim = Aim::kind(PspCall::Refund).about("1001");
        psp.lay(aim, Times::Next(1), held_back.clone());
    });
    rig.shop(|shop| shop.lay(confirms("1002"), Times::Next(1), held_back));
    rig.pay("1001", eur(5_995));
    rig.until_world("the refund", |world| {
        !world.psp.records().refunds.is_empty()
    })
    .await;
    order_and_pay(&rig, "1002");
    rig.until_world("the confirmation", |world| {
        world
            .shop
            .order("1002")
            .is_some_and(|order| order.mails > 0)
    })
    .await;
    rig.kill9().await.unwrap();
    order_and_pay(&rig, "1003");
    rig.restart().await.unwrap();
    settles_once(&rig, "1003").await;
    settles_once(&rig, "1002").await;
    returns_once(&rig, "1001").await;
    rig.close().await;
}
