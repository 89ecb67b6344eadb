//! Stories of the race table where money is at its most dangerous: a call is out, nobody has
//! answered, and meanwhile something else happens.
//!
//! A test's name begins with its cell, or with the scenario's number. Knows the daemon only from
//! outside.

use crate::support::story::{PRICE, confirms, swept_once};
use crate::support::{Psp, Rig};
use reconciled::core::time::Span;
use reconciled::sandbox::books::Judgement;
use reconciled::sandbox::fault::{Fault, Symptom, Times};
use reconciled::sandbox::psp::{PaymentStatus, PspCall, Told};
use reconciled::sandbox::rig::eur;
use reconciled::sandbox::shop::{ShopCall, Standing};
use std::time::Duration;

/// Longer than a lost confirm takes to become stale.
const PATIENCE: Duration = Duration::from_secs(90);

/// A confirm waits in a proxy, staff cancelled the order, and the money went back.
async fn refunded_behind_a_queued_confirm(rig: &mut Rig) {
    rig.set_patience(PATIENCE);
    let queue = Fault::before(Symptom::Queue);
    rig.shop(|shop| shop.lay(confirms("1001"), Times::Next(1), queue));
    rig.place("1001", eur(PRICE));
    rig.pay("1001", eur(PRICE));
    rig.until_struck("1001", 1).await;
    rig.shop(|shop| shop.cancel_quietly("1001", "customer_request"));
    rig.returns_once("1001").await;
}

pub(crate) async fn s077_a_confirm_that_a_proxy_delivers_after_the_refund_is_refused_as_stale(
    psp: Psp,
) {
    let mut rig = Rig::raise_at(psp).await;
    refunded_behind_a_queued_confirm(&mut rig).await;
    // Even stock that comes back does not make the old confirm good.
    rig.shop(|shop| shop.change("1001", |order| order.is_revivable = true));
    let late = rig.world().with(|world, now| world.shop.let_through(now));
    assert_eq!(late, 1);
    rig.returns_once("1001").await;
    rig.close().await;
}

pub(crate) async fn s077_a_stale_confirm_that_a_heedless_shop_takes_is_found_held_and_told(
    psp: Psp,
) {
    let mut rig = Rig::raise_at_with(psp, |setup| setup.policy("confirm_check", "\"3s\"")).await;
    rig.shop(|shop| shop.set_heedless(true));
    refunded_behind_a_queued_confirm(&mut rig).await;
    rig.shop(|shop| shop.change("1001", |order| order.is_revivable = true));
    rig.world().with(|world, now| world.shop.let_through(now));
    let customer = rig.customer("1001");
    assert_eq!(customer.judgement(), Judgement::OrderWithoutMoney);
    // The shop says nothing; the daemon looks once more by itself.
    rig.until_held("1001", "confirmed_after_refund").await;
    rig.until_noticed("payment.refunded", "1001").await;
    rig.until_noticed("payment.held", "1001").await;
    assert_eq!(rig.psp(|psp| psp.records().refunds.len()), 1);
    rig.close().await;
}

pub(crate) async fn s079_the_delayed_look_finds_a_confirm_that_the_shop_rolled_back(psp: Psp) {
    let rig = Rig::raise_at_with(psp, |setup| setup.policy("confirm_check", "\"2s\"")).await;
    rig.order_and_pay("1001");
    rig.settles_once("1001").await;
    // The shop's transaction is rolled back after it had answered, and it tells nobody.
    rig.shop(|shop| {
        shop.change("1001", |order| {
            order.standing = Standing::Pending;
            order.paid_by.clear();
            order.mails = 0;
        });
    });
    rig.until_heard(ShopCall::Confirm, "1001", 2).await;
    rig.settles_once("1001").await;
    assert!(rig.psp(|psp| psp.records().refunds.is_empty()));
    rig.close().await;
}

/// The confirm had its effect, or none, and its answer is lost.
fn lose_the_confirm(rig: &Rig, is_applied: bool) {
    let fault = Fault {
        symptom: Symptom::Close,
        is_applied,
    };
    rig.shop(|shop| shop.lay(confirms("1001"), Times::Next(1), fault));
}

pub(crate) async fn r23_staff_refund_while_a_confirm_is_unanswered_and_the_shop_is_told(psp: Psp) {
    for is_applied in [true, false] {
        let rig = Rig::raise_at_with(psp, swept_once).await;
        lose_the_confirm(&rig, is_applied);
        // Nothing can be read back until staff has refunded.
        let down = Fault::status(503);
        rig.shop(|shop| shop.lay(crate::support::story::lookups("1001"), Times::Always, down));
        rig.place("1001", eur(PRICE));
        let id = rig.pay("1001", eur(PRICE));
        rig.until_struck("1001", 2).await;
        let refund = rig
            .world()
            .with(|world, now| world.psp.staff_refund(&id, None, now));
        refund.unwrap();
        rig.has_taken(Told::RefundMade, "1001").await;
        rig.shop(|shop| shop.heal());
        if is_applied {
            let told = |view: &reconciled::sandbox::rig::View| {
                view.reason.as_deref() == Some("refunded_after_confirm")
            };
            rig.until("1001", told).await;
            rig.until_noticed("payment.held", "1001").await;
        } else {
            rig.until_verdict("1001", "returned").await;
            assert_eq!(rig.fine("1001").mails, 0);
        }
        assert_eq!(
            rig.heard(ShopCall::Confirm, "1001"),
            usize::from(is_applied)
        );
        assert_eq!(rig.asked(PspCall::Refund, "1001"), 0);
        rig.close().await;
    }
}

pub(crate) async fn r26_a_daemon_that_dies_with_a_confirm_out_reads_back_before_it_repeats(
    psp: Psp,
) {
    for is_applied in [true, false] {
        let mut rig = Rig::raise_at(psp).await;
        let slow = Fault::delay(Span::from_seconds(5));
        let lost = Fault::before(Symptom::Close);
        let fault = if is_applied { slow } else { lost };
        rig.shop(|shop| shop.lay(confirms("1001"), Times::Next(1), fault));
        rig.place("1001", eur(PRICE));
        rig.pay("1001", eur(PRICE));
        rig.until_struck("1001", 1).await;
        rig.kill9().await.unwrap();
        rig.restart().await.unwrap();
        rig.settles_once("1001").await;
        let confirms = if is_applied { 1 } else { 2 };
        let heard = rig.heard(ShopCall::Confirm, "1001") + usize::from(!is_applied);
        assert_eq!(heard, confirms, "{is_applied}");
        rig.close().await;
    }
}

pub(crate) async fn r27_a_second_payment_while_a_confirm_is_unanswered_goes_back(psp: Psp) {
    for is_applied in [true, false] {
        let rig = Rig::raise_at(psp).await;
        lose_the_confirm(&rig, is_applied);
        rig.place("1001", eur(PRICE));
        let first = rig.pay("1001", eur(PRICE));
        rig.until_struck("1001", 1).await;
        let second = rig.pay("1001", eur(PRICE));
        rig.settles_with_one_of_two("1001").await;
        let back = (rig.refunded(&first), rig.refunded(&second));
        assert_eq!(back, (0, PRICE), "{is_applied}");
        rig.close().await;
    }
}

/// Money for a cancelled order, whose refund had its effect, or none, and whose answer is lost;
/// the list of refunds cannot be read until the PSP is healed.
async fn refund_unanswered(rig: &Rig, is_applied: bool) -> String {
    let fault = Fault {
        symptom: Symptom::Close,
        is_applied,
    };
    rig.spoil(PspCall::Refund, "1001", Times::Next(1), fault);
    rig.shop(|shop| {
        shop.place_quietly("1001", eur(PRICE));
        shop.cancel_quietly("1001", "sold_out");
    });
    let id = rig.pay("1001", eur(PRICE));
    rig.until("1001", |view| {
        view.reason.as_deref() == Some("refund_delayed")
    })
    .await;
    rig.lose_webhooks("1001");
    rig.until_asked(PspCall::Refund, "1001", 1).await;
    let down = Fault::status(503);
    rig.spoil(PspCall::ListRefunds, "1001", Times::Always, down);
    rig.until("1001", |view| {
        view.reason.as_deref() == Some("refund_unclear")
    })
    .await;
    id
}

pub(crate) async fn r41_the_shop_confirms_while_a_refund_is_unanswered_and_nothing_is_sent_again(
    psp: Psp,
) {
    for is_applied in [true, false] {
        let rig = Rig::raise_at_with(psp, swept_once).await;
        let id = refund_unanswered(&rig, is_applied).await;
        let paid = rig.paid(&id);
        rig.world()
            .with(|world, now| world.shop.confirm_itself("1001", &[paid], now));
        rig.until_held("1001", "confirmed_after_refund").await;
        rig.until_noticed("payment.held", "1001").await;
        rig.psp(|psp| psp.heal());
        if is_applied {
            rig.until_noticed("payment.refunded", "1001").await;
            rig.until_held("1001", "confirmed_after_refund").await;
            let judgement = rig.customer("1001").judgement();
            assert_eq!(judgement, Judgement::OrderWithoutMoney);
        } else {
            rig.settles_once("1001").await;
        }
        assert_eq!(rig.asked(PspCall::Refund, "1001"), 1);
        rig.close().await;
    }
}

pub(crate) async fn r43_staff_refund_while_ours_is_unanswered_and_no_cent_goes_twice(psp: Psp) {
    for is_applied in [true, false] {
        let rig = Rig::raise_at_with(psp, swept_once).await;
        let id = refund_unanswered(&rig, is_applied).await;
        let staff = rig
            .world()
            .with(|world, now| world.psp.staff_refund(&id, Some(2_000), now));
        assert_eq!(staff.is_ok(), !is_applied, "the PSP knows what is left");
        rig.psp(|psp| psp.heal());
        rig.until_verdict("1001", "returned").await;
        assert_eq!(rig.fine("1001").kept(), 0, "{is_applied}");
        assert_eq!(rig.refunded(&id), PRICE);
        rig.close().await;
    }
}

pub(crate) async fn r46_a_daemon_that_dies_with_a_refund_out_reads_the_list_and_keeps_the_key(
    psp: Psp,
) {
    for is_applied in [true, false] {
        let mut rig = Rig::raise_at_with(psp, swept_once).await;
        refund_unanswered(&rig, is_applied).await;
        rig.kill9().await.unwrap();
        rig.psp(|psp| psp.heal());
        rig.restart().await.unwrap();
        rig.returns_once("1001").await;
        let keys: std::collections::BTreeSet<String> = rig.psp(|psp| {
            let carried = psp.carried_keys().iter();
            let refunds = carried.filter(|(call, _, _)| *call == PspCall::Refund);
            refunds.map(|(_, _, key)| key.clone()).collect()
        });
        assert_eq!(keys.len(), 1, "{keys:?}");
        assert_eq!(rig.psp(|psp| psp.records().refunds.len()), 1);
        rig.close().await;
    }
}

pub(crate) async fn r47_a_second_payment_while_a_refund_is_unanswered_is_confirmed_if_the_order_lives(
    psp: Psp,
) {
    let rig = Rig::raise_at_with(psp, swept_once).await;
    let first = refund_unanswered(&rig, true).await;
    rig.shop(|shop| shop.change("1001", |order| order.is_revivable = true));
    rig.psp(|psp| psp.heal());
    let second = rig.pay("1001", eur(PRICE));
    rig.settles_with_one_of_two("1001").await;
    let back = (rig.refunded(&first), rig.refunded(&second));
    assert_eq!(back, (PRICE, 0));
    rig.close().await;
}

pub(crate) async fn r57_a_second_payment_while_a_void_is_unanswered_leaves_no_authorisation_behind(
    psp: Psp,
) {
    for is_applied in [true, false] {
        let rig = Rig::raise_at(psp).await;
        let fault = Fault {
            symptom: Symptom::Close,
            is_applied,
        };
        rig.spoil(PspCall::Void, "1001", Times::Next(1), fault);
        rig.place("1001", eur(PRICE));
        let held = rig.world().with(|world, now| {
            world.shop.cancel_quietly("1001", "sold_out");
            world.shop.cancel("1001", "sold_out", now);
            world.psp.authorise(Some("1001"), eur(PRICE), now)
        });
        rig.until_asked(PspCall::Void, "1001", 1).await;
        rig.shop(|shop| shop.change("1001", |order| order.is_revivable = true));
        let second = rig.pay("1001", eur(PRICE));
        rig.until_world("the authorisation released", |world| {
            world.psp.records().payments[&held].status == PaymentStatus::Cancelled
        })
        .await;
        rig.until_verdict("1001", "settled").await;
        let customer = rig.fine("1001");
        assert_eq!((customer.refunds, customer.authorised), (0, 0));
        assert_eq!(rig.refunded(&second), 0);
        rig.close().await;
    }
}
