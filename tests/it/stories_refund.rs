//! Stories of money on its way back: refused, lost, repeated, overtaken, disputed, failed.
//!
//! A test's name begins with the scenario's number. Knows the daemon only from outside.

use crate::support::story::{PRICE, swept_once, with_operator};
use crate::support::{Psp, Rig};
use reconciled::core::time::Span;
use reconciled::sandbox::books::Judgement;
use reconciled::sandbox::fault::{Fault, Symptom, Times};
use reconciled::sandbox::psp::{PaymentStatus, PspCall, RefundStatus, adyen, mollie};
use reconciled::sandbox::rig::eur;
use reconciled::sandbox::shop::{ShopCall, Standing};
use std::collections::BTreeSet;
use std::time::Duration;

/// The one refund of this payment's order, by the PSP's books.
fn only_refund(rig: &Rig) -> String {
    rig.psp(|psp| {
        let ids: Vec<String> = psp.records().refunds.keys().cloned().collect();
        assert_eq!(ids.len(), 1, "{ids:?}");
        ids[0].clone()
    })
}

/// How many times the daemon asked the PSP for a refund of this order.
fn refund_calls(rig: &Rig, reference: &str) -> usize {
    rig.asked(PspCall::Refund, reference)
}

pub(crate) async fn s070_money_for_an_order_that_cannot_be_fulfilled_goes_back_for_good(psp: Psp) {
    let mut rig = Rig::raise_at(psp).await;
    rig.place("1001", eur(PRICE));
    rig.until_verdict("1001", "open").await;
    rig.shop(|shop| shop.cancel_quietly("1001", "sold_out"));
    let id = rig.pay("1001", eur(PRICE));
    rig.returns_once("1001").await;
    let paid = rig.paid(&id);
    assert!(
        rig.shop(|shop| shop.has_released("1001", &paid)),
        "given up first"
    );
    rig.until_noticed("payment.refunded", "1001").await;
    // The answer is final: stock that comes back changes nothing, in this life or the next.
    rig.shop(|shop| shop.change("1001", |order| order.is_revivable = true));
    let confirms = rig.heard(ShopCall::Confirm, "1001");
    rig.world()
        .with(|world, now| world.psp.tell_again(&id, now))
        .unwrap();
    rig.restart().await.unwrap();
    rig.until_world("the event told again", |world| world.psp.is_quiet())
        .await;
    rig.returns_once("1001").await;
    assert_eq!(rig.heard(ShopCall::Confirm, "1001"), confirms);
    rig.close().await;
}

pub(crate) async fn s070_an_authorisation_for_an_order_that_is_given_up_is_voided(psp: Psp) {
    let rig = Rig::raise_at(psp).await;
    rig.place("1001", eur(PRICE));
    let id = rig.world().with(|world, now| {
        let id = world.psp.authorise(Some("1001"), eur(PRICE), now);
        world.shop.cancel("1001", "sold_out", now);
        id
    });
    // Cancelled before the authorisation is heard of, it is closed for a moment without one.
    rig.until("1001", |view| {
        view.verdict == "closed" && !view.payments.is_empty()
    })
    .await;
    let status = rig.psp(|psp| psp.records().payments[&id].status);
    assert_eq!(status, PaymentStatus::Cancelled);
    assert_eq!(rig.fine("1001").charged, 0);
    assert_eq!(rig.asked(PspCall::Void, "1001"), 1);
    rig.close().await;
}

pub(crate) async fn s071_an_order_cancelled_after_its_goods_left_is_held(psp: Psp) {
    let rig = Rig::raise_at(psp).await;
    rig.shop(|shop| {
        shop.place_quietly("1001", eur(PRICE));
        shop.change("1001", |order| {
            order.standing = Standing::Cancelled;
            order.is_fulfilled = true;
        });
    });
    rig.pay("1001", eur(PRICE));
    let held = rig.until_held("1001", "cancelled_but_fulfilled").await;
    assert_eq!(held.in_suspense, Some(eur(PRICE)));
    rig.until_noticed("payment.held", "1001").await;
    rig.pass(Duration::from_secs(3)).await.unwrap();
    assert_eq!(
        (refund_calls(&rig, "1001"), rig.customer("1001").refunds),
        (0, 0)
    );
    rig.close().await;
}

pub(crate) async fn s071_an_order_cancelled_while_its_confirm_was_on_the_way_is_refunded_once(
    psp: Psp,
) {
    let rig = Rig::raise_at(psp).await;
    // The confirm is lost on its way there, and staff cancels before it is tried again.
    rig.shop(|shop| {
        let lost = Fault::before(Symptom::Close);
        shop.lay(
            crate::support::story::confirms("1001"),
            Times::Next(1),
            lost,
        );
    });
    rig.place("1001", eur(PRICE));
    rig.pay("1001", eur(PRICE));
    rig.until_struck("1001", 1).await;
    rig.shop(|shop| shop.cancel_quietly("1001", "customer_request"));
    rig.returns_once("1001").await;
    rig.close().await;
}

pub(crate) async fn s080_a_refund_behind_a_500_is_found_in_the_list_and_adopted(psp: Psp) {
    let rig = Rig::raise_at(psp).await;
    let behind = Fault::after(Symptom::Status {
        code: 500,
        retry_after_s: None,
    });
    rig.spoil(PspCall::Refund, "1001", Times::Next(1), behind);
    // The list cannot be read at first either, and no webhook tells of the refund.
    rig.pay("1001", eur(PRICE));
    rig.until("1001", |view| {
        view.reason.as_deref() == Some("refund_delayed")
    })
    .await;
    rig.lose_webhooks("1001");
    rig.until_asked(PspCall::Refund, "1001", 1).await;
    rig.spoil(
        PspCall::ListRefunds,
        "1001",
        Times::Next(2),
        Fault::status(503),
    );
    rig.returns_once("1001").await;
    assert_eq!(refund_calls(&rig, "1001"), 1, "nothing was sent again");
    rig.close().await;
}

pub(crate) async fn s083_a_refund_by_staff_while_the_daemon_waits_ends_the_case(psp: Psp) {
    let rig = Rig::raise_at_with(psp, |setup| setup.policy("refund_delay", "\"2s\"")).await;
    let id = rig.pay("1001", eur(PRICE));
    rig.until("1001", |view| {
        view.reason.as_deref() == Some("refund_delayed")
    })
    .await;
    rig.lose_webhooks("1001");
    let refund = rig
        .world()
        .with(|world, now| world.psp.staff_refund(&id, None, now));
    refund.unwrap();
    rig.returns_once("1001").await;
    assert_eq!(refund_calls(&rig, "1001"), 0);
    rig.close().await;
}

#[tokio::test]
async fn s083_already_refunded_is_the_goal_reached_and_no_error() {
    let rig = Rig::raise_with(swept_once).await;
    // The daemon's last look is under way when staff refunds: it shows the money still there.
    rig.lose_webhooks("1001");
    rig.world().with(|world, now| {
        world.shop.place_quietly("1001", eur(PRICE));
        world.shop.cancel_quietly("1001", "customer_request");
        world.psp.heal();
        world.psp.pay(Some("1001"), eur(PRICE), now)
    });
    let id = rig
        .psp(|psp| psp.records().payments.keys().next().cloned())
        .unwrap();
    rig.until("1001", |view| {
        view.reason.as_deref() == Some("refund_delayed")
    })
    .await;
    rig.lose_webhooks("1001");
    let slow = Fault::delay(Span::from_millis(1_500));
    rig.spoil(PspCall::Disputes, "1001", Times::Always, slow.clone());
    let before = rig.asked(PspCall::ListRefunds, "1001");
    rig.spoil(PspCall::ListRefunds, "1001", Times::Always, slow);
    rig.until_asked(PspCall::ListRefunds, "1001", before + 1)
        .await;
    let refund = rig
        .world()
        .with(|world, now| world.psp.staff_refund(&id, None, now));
    refund.unwrap();
    rig.returns_once("1001").await;
    assert_eq!(
        refund_calls(&rig, "1001"),
        1,
        "asked, and told that it is done"
    );
    assert_eq!(rig.psp(|psp| psp.records().refunds.len()), 1);
    rig.close().await;
}

pub(crate) async fn s084_after_a_partial_refund_by_staff_only_the_rest_goes_back(psp: Psp) {
    let rig = Rig::raise_at_with(psp, |setup| setup.policy("refund_delay", "\"2s\"")).await;
    let id = rig.pay("1001", eur(PRICE));
    rig.until("1001", |view| {
        view.reason.as_deref() == Some("refund_delayed")
    })
    .await;
    rig.lose_webhooks("1001");
    let refund = rig
        .world()
        .with(|world, now| world.psp.staff_refund(&id, Some(2_000), now));
    refund.unwrap();
    rig.until_verdict("1001", "returned").await;
    let customer = rig.fine("1001");
    assert_eq!((customer.refunds, customer.kept()), (2, 0), "{customer:?}");
    assert_eq!(refund_calls(&rig, "1001"), 1);
    rig.close().await;
}

pub(crate) async fn s085_a_refund_by_staff_after_the_confirm_is_told_to_the_shop_and_not_answered(
    psp: Psp,
) {
    let rig = Rig::raise_at(psp).await;
    let id = rig.order_and_pay("1001");
    rig.settles_once("1001").await;
    let refund = rig
        .world()
        .with(|world, now| world.psp.staff_refund(&id, None, now));
    refund.unwrap();
    rig.until("1001", |view| {
        view.reason.as_deref() == Some("refunded_after_confirm")
    })
    .await;
    rig.until_noticed("payment.held", "1001").await;
    assert_eq!(refund_calls(&rig, "1001"), 0);
    assert_eq!(
        rig.customer("1001").judgement(),
        Judgement::OrderWithoutMoney
    );
    rig.close().await;
}

pub(crate) async fn s086_a_disputed_orphan_is_held_and_never_refunded(psp: Psp) {
    let rig = Rig::raise_at(psp).await;
    // The dispute is there before the orphan is found, and only the sweep finds it.
    rig.lose_webhooks("1001");
    rig.world().with(|world, now| {
        let id = world.psp.pay(Some("1001"), eur(PRICE), now);
        world.psp.dispute(&id, now).unwrap();
    });
    let held = rig.until_held("1001", "disputed").await;
    assert_eq!(held.payments.len(), 1);
    rig.pass(Duration::from_secs(3)).await.unwrap();
    assert_eq!(refund_calls(&rig, "1001"), 0);
    // The payer wins: the money is back by the bank's hand, and nothing is left to give.
    rig.world().with(|world, now| {
        let dispute = world.psp.records().disputes.keys().next().cloned().unwrap();
        world.psp.close_dispute(&dispute, false, now).unwrap();
        world.psp.heal();
    });
    rig.until("1001", |view| {
        view.reason.as_deref() == Some("charged_back")
    })
    .await;
    assert_eq!(rig.fine("1001").kept(), 0);
    assert_eq!(refund_calls(&rig, "1001"), 0);
    rig.close().await;
}

pub(crate) async fn s088_a_refund_that_waits_for_the_balance_is_pending_and_not_repeated(psp: Psp) {
    let mut rig = Rig::raise_at(psp).await;
    rig.world()
        .with(|world, now| world.psp.set_balance_low(true, now));
    rig.pay("1001", eur(PRICE));
    let is_waiting = |view: &reconciled::sandbox::rig::View| {
        view.reason.as_deref() == Some("refund_waits_for_balance")
    };
    let view = rig.until("1001", is_waiting).await;
    assert_eq!(view.verdict, "refunding");
    rig.restart().await.unwrap();
    rig.pass(Duration::from_secs(2)).await.unwrap();
    rig.until("1001", is_waiting).await;
    assert_eq!(rig.customer("1001").judgement(), Judgement::UnderWay);
    rig.world()
        .with(|world, now| world.psp.set_balance_low(false, now));
    rig.returns_once("1001").await;
    assert_eq!(refund_calls(&rig, "1001"), 1);
    rig.close().await;
}

pub(crate) async fn s089_a_refund_that_fails_days_later_wakes_a_closed_case_and_is_held(psp: Psp) {
    let mut rig = Rig::raise_at_with(psp, with_operator).await;
    rig.pay("1001", eur(PRICE));
    rig.returns_once("1001").await;
    rig.until_noticed("payment.refunded", "1001").await;
    let refund = only_refund(&rig);
    // The daemon is down when the bank gives the money back to the shop.
    rig.kill9().await.unwrap();
    rig.world()
        .with(|world, now| world.psp.fail_refund_later(&refund, now))
        .unwrap();
    rig.restart().await.unwrap();
    let held = rig.until_held("1001", "refund_failed").await;
    assert_eq!(held.in_suspense, Some(eur(PRICE)));
    rig.until_noticed("payment.refund_failed", "1001").await;
    rig.until_noticed("payment.held", "1001").await;
    rig.pass(Duration::from_secs(3)).await.unwrap();
    assert_eq!(refund_calls(&rig, "1001"), 1, "no second try by itself");
    // The operator found that the card works again: another decision, another key.
    assert_eq!(rig.rule(&held.id, "refund").await, 200);
    rig.returns_once("1001").await;
    let keys: BTreeSet<String> = rig.psp(|psp| {
        let carried = psp.carried_keys().iter();
        carried.map(|(_, _, key)| key.clone()).collect()
    });
    assert_eq!(keys.len(), 2, "{keys:?}");
    rig.close().await;
}

pub(crate) async fn s091_a_void_that_a_capture_overtook_becomes_a_refund_after_a_fresh_look(
    psp: Psp,
) {
    let rig = Rig::raise_at_with(psp, swept_once).await;
    let id = rig
        .world()
        .with(|world, now| world.psp.authorise(Some("1001"), eur(PRICE), now));
    rig.until("1001", |view| {
        view.reason.as_deref() == Some("refund_delayed")
    })
    .await;
    // The last look is under way, and shows what was before the capture.
    rig.lose_webhooks("1001");
    let slow = Fault::delay(Span::from_millis(1_500));
    let before = rig.asked(PspCall::Fetch, "1001");
    rig.spoil(PspCall::Fetch, "1001", Times::Next(1), slow);
    rig.until_asked(PspCall::Fetch, "1001", before + 1).await;
    rig.world()
        .with(|world, now| world.psp.capture(&id, now))
        .unwrap();
    rig.returns_once("1001").await;
    assert_eq!(rig.asked(PspCall::Void, "1001"), 1, "the void was tried");
    assert_eq!(refund_calls(&rig, "1001"), 1);
    rig.close().await;
}

#[tokio::test]
async fn a_refund_that_still_waits_is_called_off_when_the_shop_confirms_after_all() {
    let rig = Rig::raise_at(&mollie::KIND).await;
    rig.psp(|psp| psp.set_refunds_slow(true));
    let id = rig.pay("1001", eur(PRICE));
    rig.until("1001", |view| {
        view.reason.as_deref() == Some("refund_pending")
    })
    .await;
    let paid = rig.paid(&id);
    rig.world().with(|world, now| {
        world.shop.place_quietly("1001", eur(PRICE));
        world.shop.confirm_itself("1001", &[paid], now);
    });
    rig.until_verdict("1001", "settled").await;
    let customer = rig.fine("1001");
    assert!(customer.is_confirmed);
    assert_eq!(customer.kept(), PRICE);
    assert_eq!(rig.asked(PspCall::CancelRefund, "1001"), 1);
    let refund = only_refund(&rig);
    let status = rig.psp(|psp| psp.records().refunds[&refund].status);
    assert_eq!(status, RefundStatus::Cancelled);
    rig.until_noticed("payment.refund_failed", "1001").await;
    rig.close().await;
}

#[tokio::test]
async fn an_unanswered_refund_is_repeated_under_its_key_and_done_by_its_event_alone() {
    let rig = Rig::raise_at(&adyen::KIND).await;
    rig.psp(|psp| psp.set_refunds_slow(true));
    let lost = Fault::after(Symptom::Close);
    rig.spoil(PspCall::Refund, "1001", Times::Next(1), lost);
    rig.pay("1001", eur(PRICE));
    rig.until_asked(PspCall::Refund, "1001", 2).await;
    rig.until("1001", |view| {
        view.reason.as_deref() == Some("refund_pending")
    })
    .await;
    let keys: BTreeSet<String> = rig.psp(|psp| {
        let carried = psp.carried_keys().iter();
        carried.map(|(_, _, key)| key.clone()).collect()
    });
    assert_eq!(keys.len(), 1, "{keys:?}");
    // All of it goes back as a reversal, which is right whatever became of the payment.
    let refund = only_refund(&rig);
    let notes = rig.psp(|psp| psp.records().refunds[&refund].metadata.clone());
    assert!(notes.contains_key("reversal"), "{notes:?}");
    rig.world().with(|world, now| world.psp.finish_refunds(now));
    rig.returns_once("1001").await;
    assert_eq!(refund_calls(&rig, "1001"), 2);
    rig.close().await;
}

pub(crate) async fn s094_every_retry_of_a_refund_carries_the_same_key(psp: Psp) {
    let mut rig = Rig::raise_at(psp).await;
    let lost = Fault::before(Symptom::Close);
    rig.spoil(PspCall::Refund, "1001", Times::Next(2), lost);
    rig.spoil(PspCall::Refund, "1001", Times::Next(1), Fault::status(503));
    rig.pay("1001", eur(PRICE));
    rig.until_struck("1001", 2).await;
    rig.kill9().await.unwrap();
    rig.restart().await.unwrap();
    rig.until_struck("1001", 3).await;
    rig.sigterm().await.unwrap();
    rig.restart().await.unwrap();
    rig.returns_once("1001").await;
    let keys: Vec<String> = rig.psp(|psp| {
        let carried = psp.carried_keys().iter();
        let refunds = carried.filter(|(call, _, _)| *call == PspCall::Refund);
        refunds.map(|(_, _, key)| key.clone()).collect()
    });
    assert_eq!(keys.len(), 4, "{keys:?}");
    assert!(keys.iter().all(|key| *key == keys[0]), "{keys:?}");
    let marked = rig.psp(|psp| {
        let refund = psp.records().refunds.values().next().cloned().unwrap();
        (
            refund.status,
            refund.metadata.values().any(|mark| *mark == keys[0]),
        )
    });
    assert_eq!(marked, (RefundStatus::Succeeded, true));
    rig.close().await;
}
