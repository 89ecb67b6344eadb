//! Stories of money that is there twice, belongs elsewhere, or names no order.
//!
//! A test's name begins with the scenario's number. Knows the daemon only from outside.

use crate::support::story::{PRICE, confirms, unbraked};
use crate::support::{Psp, Rig};
use reconciled::core::time::Span;
use reconciled::sandbox::books::Judgement;
use reconciled::sandbox::fault::{Fault, Times};
use reconciled::sandbox::outbox::DeliveryFault;
use reconciled::sandbox::psp::PspCall;
use reconciled::sandbox::rig::eur;
use reconciled::sandbox::shop::{ShopCall, Standing};
use std::time::Duration;

pub(crate) async fn s044_a_payment_without_reference_is_matched_by_no_likeness_and_held(psp: Psp) {
    let rig = Rig::raise_at_with(psp, |setup| {
        setup
            .account("claims", "\"all\"")
            .policy("order_grace", "\"1500ms\"")
    })
    .await;
    // The likeness: an open order of the same amount at the same moment.
    rig.place("1001", eur(PRICE));
    let id = rig
        .world()
        .with(|world, now| world.psp.pay(None, eur(PRICE), now));
    let of_it =
        |view: &reconciled::sandbox::rig::View| view.payments.iter().any(|one| one.id == id);
    let held = rig.until_any("the hold", |view| of_it(view) && view.verdict == "held");
    let held = held.await;
    assert_eq!(held.reason.as_deref(), Some("unreferenced_held"));
    assert_eq!(held.in_suspense, Some(eur(PRICE)));
    let order = rig.until_verdict("1001", "open").await;
    assert!(order.payments.is_empty(), "{order:?}");
    assert_eq!(rig.heard(ShopCall::Confirm, "1001"), 0);
    // Only the shop's own word joins the two.
    let paid = rig.paid(&id);
    rig.world().with(|world, now| {
        let amount = eur(PRICE);
        world
            .shop
            .place_with("1001", amount, std::slice::from_ref(&paid), now);
    });
    rig.until_verdict("1001", "settled").await;
    let order = rig.shop(|shop| shop.order("1001").cloned()).unwrap();
    assert_eq!((order.mails, order.paid_by.contains(&paid)), (1, true));
    assert!(rig.psp(|psp| psp.records().refunds.is_empty()));
    rig.close().await;
}

pub(crate) async fn s044_a_payment_without_reference_goes_back_where_the_policy_says_so(psp: Psp) {
    let rig = Rig::raise_at_with(psp, |setup| {
        setup
            .account("claims", "\"all\"")
            .policy("unreferenced", "\"refund\"")
    })
    .await;
    rig.place("1001", eur(PRICE));
    let id = rig
        .world()
        .with(|world, now| world.psp.pay(None, eur(PRICE), now));
    let returned = rig.until_any("the return", |view| {
        view.verdict == "returned" && view.payments.iter().any(|one| one.id == id)
    });
    returned.await;
    // The books name a customer without an order by the payment.
    let customer = rig.fine(&id);
    assert_eq!((customer.refunds, customer.kept()), (1, 0));
    rig.until_verdict("1001", "open").await;
    rig.close().await;
}

pub(crate) async fn s054_an_order_paid_by_phone_sends_a_later_link_payment_back(psp: Psp) {
    let rig = Rig::raise_at(psp).await;
    let by_phone = ("till".to_owned(), "receipt_17".to_owned());
    rig.place("1001", eur(PRICE));
    rig.until_verdict("1001", "open").await;
    rig.shop(|shop| {
        shop.change("1001", |order| {
            order.standing = Standing::Confirmed;
            order.paid_by.insert(by_phone);
            order.mails = 1;
        });
    });
    let link = rig.pay("1001", eur(PRICE));
    let view = rig.until("1001", |view| view.verdict == "returned").await;
    assert_eq!(view.reason.as_deref(), Some("duplicate"), "{view:?}");
    assert_eq!(rig.refunded(&link), PRICE);
    let order = rig.shop(|shop| shop.order("1001").cloned()).unwrap();
    assert_eq!((order.mails, order.standing), (1, Standing::Confirmed));
    let refunds = rig.psp(|psp| psp.records().refunds.len());
    assert_eq!(refunds, 1);
    rig.close().await;
}

pub(crate) async fn s054_a_confirmed_order_that_names_no_other_payment_sends_nothing_back(
    psp: Psp,
) {
    let rig = Rig::raise_at(psp).await;
    rig.place("1001", eur(PRICE));
    rig.until_verdict("1001", "open").await;
    rig.shop(|shop| {
        shop.change("1001", |order| {
            order.standing = Standing::Confirmed;
            order.mails = 1;
        });
    });
    rig.pay("1001", eur(PRICE));
    rig.until_verdict("1001", "settled").await;
    assert!(rig.psp(|psp| psp.records().refunds.is_empty()));
    assert_eq!(rig.fine("1001").mails, 1);
    rig.close().await;
}

pub(crate) async fn s055_of_two_paid_attempts_the_one_that_the_shop_recorded_is_kept(psp: Psp) {
    let rig = Rig::raise_at(psp).await;
    // Nothing is heard of the payments before the shop recorded the later one by itself.
    rig.lose_webhooks("1001");
    let (first, second) = rig.world().with(|world, now| {
        world.shop.place_quietly("1001", eur(PRICE));
        let first = world.psp.pay(Some("1001"), eur(PRICE), now);
        let later = now.plus(Span::from_seconds(1));
        (first, world.psp.pay(Some("1001"), eur(PRICE), later))
    });
    let recorded = rig.paid(&second);
    rig.world()
        .with(|world, now| world.shop.confirm_itself("1001", &[recorded], now));
    rig.settles_with_one_of_two("1001").await;
    assert_eq!((rig.refunded(&first), rig.refunded(&second)), (PRICE, 0));
    rig.close().await;
}

pub(crate) async fn s055_of_two_paid_attempts_the_first_is_kept_when_the_shop_recorded_none(
    psp: Psp,
) {
    let rig = Rig::raise_at(psp).await;
    rig.place("1001", eur(PRICE));
    let (first, second) = rig.world().with(|world, now| {
        let first = world.psp.pay(Some("1001"), eur(PRICE), now);
        let later = now.plus(Span::from_seconds(1));
        (first, world.psp.pay(Some("1001"), eur(PRICE), later))
    });
    rig.settles_with_one_of_two("1001").await;
    assert_eq!((rig.refunded(&first), rig.refunded(&second)), (0, PRICE));
    rig.close().await;
}

pub(crate) async fn s056_two_payments_of_the_same_instant_lead_to_exactly_one_refund(psp: Psp) {
    let rig = Rig::raise_at_with(psp, unbraked).await;
    let orders: Vec<String> = (1001..1009).map(|number| number.to_string()).collect();
    // Every event twice, so that both payments are handled again and again at once.
    rig.psp(|psp| psp.spoil(None, Times::Always, DeliveryFault::Double));
    rig.world().with(|world, now| {
        for order in &orders {
            world.shop.place(order, eur(PRICE), now);
            world.psp.pay(Some(order), eur(PRICE), now);
            world.psp.pay(Some(order), eur(PRICE), now);
        }
    });
    for order in &orders {
        rig.settles_with_one_of_two(order).await;
    }
    let refunds = rig.psp(|psp| psp.records().refunds.len());
    assert_eq!(refunds, orders.len());
    rig.close().await;
}

pub(crate) async fn s057_an_attempt_left_open_and_paid_after_the_first_is_refunded(psp: Psp) {
    let mut rig = Rig::raise_at(psp).await;
    rig.place("1001", eur(PRICE));
    let open = rig
        .world()
        .with(|world, now| world.psp.open(Some("1001"), eur(PRICE), now));
    let first = rig.pay("1001", eur(PRICE));
    rig.until_verdict("1001", "settled").await;
    assert_eq!(rig.heard(ShopCall::Confirm, "1001"), 1);
    // A settled checkout listens, also in the daemon's next life and without a webhook.
    rig.kill9().await.unwrap();
    rig.lose_webhooks("1001");
    rig.world()
        .with(|world, now| world.psp.succeed(&open, now))
        .unwrap();
    rig.restart().await.unwrap();
    rig.settles_with_one_of_two("1001").await;
    assert_eq!((rig.refunded(&first), rig.refunded(&open)), (0, PRICE));
    rig.close().await;
}

pub(crate) async fn s073_an_order_that_the_shop_confirmed_by_this_payment_is_settled_without_a_word(
    psp: Psp,
) {
    let rig = Rig::raise_at(psp).await;
    rig.world().with(|world, now| {
        world.shop.place_quietly("1001", eur(PRICE));
        let id = world.psp.pay(Some("1001"), eur(PRICE), now);
        world.shop.change("1001", |order| {
            order.standing = Standing::Confirmed;
            order.paid_by.insert((psp.account.to_owned(), id));
            order.mails = 1;
        });
    });
    rig.settles_once("1001").await;
    assert_eq!(rig.heard(ShopCall::Confirm, "1001"), 0);
    rig.close().await;
}

pub(crate) async fn s074_a_payment_that_the_shop_calls_by_another_name_is_held_and_not_refunded(
    psp: Psp,
) {
    let rig = Rig::raise_at(psp).await;
    rig.place("1001", eur(PRICE));
    rig.until_verdict("1001", "open").await;
    let other_name = (psp.account.to_owned(), "another_name".to_owned());
    rig.shop(|shop| {
        shop.change("1001", |order| {
            order.standing = Standing::Confirmed;
            order.paid_by.insert(other_name);
            order.mails = 1;
        });
    });
    rig.pay("1001", eur(PRICE));
    rig.until_held("1001", "paid_by_unseen").await;
    assert_eq!(rig.asked(PspCall::Refund, "1001"), 0);
    assert!(rig.psp(|psp| psp.records().refunds.is_empty()));
    let order = rig.shop(|shop| shop.order("1001").cloned()).unwrap();
    assert_eq!((order.mails, order.standing), (1, Standing::Confirmed));
    rig.close().await;
}

pub(crate) async fn s074_a_payment_for_an_order_that_another_payment_paid_goes_back(psp: Psp) {
    let rig = Rig::raise_at(psp).await;
    rig.place("1001", eur(PRICE));
    rig.until_verdict("1001", "open").await;
    // The shop took the first payment by itself; the daemon hears of the second one first.
    rig.lose_webhooks("1001");
    let first = rig.world().with(|world, now| {
        let first = world.psp.pay(Some("1001"), eur(PRICE), now);
        let paid = (psp.account.to_owned(), first.clone());
        world.shop.change("1001", |order| {
            order.standing = Standing::Confirmed;
            order.paid_by.insert(paid);
            order.mails = 1;
        });
        world.psp.heal();
        first
    });
    let second = rig.pay("1001", eur(PRICE));
    rig.settles_with_one_of_two("1001").await;
    assert_eq!((rig.refunded(&first), rig.refunded(&second)), (0, PRICE));
    rig.close().await;
}

pub(crate) async fn s082_two_operators_and_staff_at_once_return_the_money_once(psp: Psp) {
    let rig = Rig::raise_at_with(psp, crate::support::story::with_operator).await;
    // Held, so that only a ruling moves it: cancelled, and the goods left.
    let id = rig.world().with(|world, now| {
        world.shop.place_quietly("1001", eur(10_000));
        world.shop.change("1001", |order| {
            order.standing = Standing::Cancelled;
            order.is_fulfilled = true;
        });
        world.psp.pay(Some("1001"), eur(10_000), now)
    });
    let held = rig.until_held("1001", "cancelled_but_fulfilled").await;
    // Staff's own refund of 60 is on its way to the daemon's eyes, and no webhook tells of it.
    rig.lose_webhooks("1001");
    let slow = Fault::delay(Span::from_millis(700));
    rig.spoil(PspCall::Refund, "1001", Times::Always, slow);
    rig.shop(|shop| shop.change("1001", |order| order.is_fulfilled = false));
    let (one, other) = tokio::join!(rig.rule(&held.id, "refund"), rig.rule(&held.id, "refund"));
    assert!([one, other].contains(&200), "{one} and {other}");
    let staff = rig
        .world()
        .with(|world, now| world.psp.staff_refund(&id, Some(6_000), now));
    staff.unwrap();
    rig.until_verdict("1001", "returned").await;
    let refunds: Vec<i64> = rig.psp(|psp| {
        let refunds = psp.records().refunds.values();
        refunds.map(|refund| refund.amount).collect()
    });
    assert_eq!(refunds, [6_000, 4_000], "staff's and the rest, each once");
    assert_eq!(rig.customer("1001").judgement(), Judgement::Fine);
    // Nothing more comes after the end.
    rig.pass(Duration::from_secs(2)).await.unwrap();
    assert_eq!(rig.psp(|psp| psp.records().refunds.len()), 2);
    rig.close().await;
}

pub(crate) async fn s055_a_duplicate_waits_for_the_confirm_of_the_one_that_stays(psp: Psp) {
    let rig = Rig::raise_at(psp).await;
    // The shop answers the confirm late: until then nothing of either payment may go back.
    let slow = Fault::delay(Span::from_seconds(3));
    rig.shop(|shop| shop.lay(confirms("1001"), Times::Next(1), slow));
    rig.place("1001", eur(PRICE));
    rig.pay("1001", eur(PRICE));
    rig.until_heard(ShopCall::Confirm, "1001", 1).await;
    rig.pay("1001", eur(PRICE));
    rig.pass(Duration::from_secs(2)).await.unwrap();
    assert_eq!(rig.asked(PspCall::Refund, "1001"), 0);
    rig.settles_with_one_of_two("1001").await;
    rig.close().await;
}
