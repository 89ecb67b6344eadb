//! Stories of orders whose money is not one payment of the very amount: gift cards, shares,
//! shipments, edits, merged carts, second orders, and amounts that are wrong by a factor.
//!
//! A test's name begins with the scenario's number. Knows the daemon only from outside.

use crate::support::story::{PRICE, TOKEN, lookups, swept_once, unbraked, with_operator};
use crate::support::{Psp, Rig};
use reconciled::core::money::{Currency, Money};
use reconciled::sandbox::books::Judgement;
use reconciled::sandbox::fault::{Aim, Fault, Symptom, Times};
use reconciled::sandbox::psp::PspCall;
use reconciled::sandbox::rig::{View, eur};
use reconciled::sandbox::shop::ShopCall;
use reconciled::wire::Method;
use std::time::Duration;

/// An operator takes the shop's brake off.
async fn release_brake(rig: &Rig) {
    let path = "/api/v1/shops/klompen/resume";
    let body = b"{\"note\":\"mended\"}";
    let answer = rig.admin_call(Method::Post, path, body).await.unwrap();
    assert_eq!(answer.status, 200, "{TOKEN} {answer:?}");
}

fn is_because(view: &View, reason: &str) -> bool {
    view.reason.as_deref() == Some(reason)
}

/// Orders in the shop's books, cancelled without a word.
fn cancelled(rig: &Rig, orders: &[&str]) {
    rig.shop(|shop| {
        for order in orders {
            shop.place_quietly(order, eur(PRICE));
            shop.cancel_quietly(order, "sold_out");
        }
    });
}

pub(crate) async fn s034_an_amount_off_by_ten_is_held_and_brakes_every_refund_until_it_is_mended(
    psp: Psp,
) {
    let mut rig = Rig::raise_at_with(psp, |setup| unbraked(with_operator(setup))).await;
    rig.expect_error("the guard stopped this shop's refunds");
    rig.place("1001", eur(PRICE));
    rig.pay("1001", eur(PRICE * 10));
    let held = rig.until_held("1001", "amount_off_by_power_of_ten").await;
    assert_eq!(held.in_suspense, Some(eur(PRICE * 10)));
    // What is wrong with one payment is wrong with all: not even a good reason gives money back.
    cancelled(&rig, &["1002"]);
    rig.pay("1002", eur(PRICE));
    rig.until_held("1002", "guard_amount_scale").await;
    // Confirming goes on, and so does the brake in the daemon's next life.
    rig.order_and_pay("1003");
    rig.settles_once("1003").await;
    rig.kill9().await.unwrap();
    rig.restart().await.unwrap();
    rig.until_held("1002", "guard_amount_scale").await;
    assert!(rig.psp(|psp| psp.records().refunds.is_empty()));
    release_brake(&rig).await;
    rig.returns_once("1002").await;
    // The first one is still held; looking at it again does not pull the brake again.
    assert_eq!(rig.rule(&held.id, "retry").await, 200);
    rig.until_held("1001", "amount_off_by_power_of_ten").await;
    cancelled(&rig, &["1004"]);
    rig.pay("1004", eur(PRICE));
    rig.returns_once("1004").await;
    rig.close().await;
}

pub(crate) async fn s035_money_in_another_currency_than_the_order_is_held(psp: Psp) {
    let rig = Rig::raise_at(psp).await;
    rig.place("1001", eur(PRICE));
    let dollars = Money::new(PRICE, Currency::parse("USD").unwrap());
    rig.pay("1001", dollars);
    let held = rig.until_held("1001", "currency_mismatch").await;
    assert_eq!(held.in_suspense, Some(dollars));
    rig.pass(Duration::from_secs(3)).await.unwrap();
    assert_eq!(rig.heard(ShopCall::Confirm, "1001"), 0);
    assert!(rig.psp(|psp| psp.records().refunds.is_empty()));
    rig.close().await;
}

pub(crate) async fn s038_an_order_raised_after_payment_stays_confirmed_and_shows_that_a_balance_is_due(
    psp: Psp,
) {
    let rig = Rig::raise_at(psp).await;
    rig.order_and_pay("1001");
    rig.settles_once("1001").await;
    rig.world()
        .with(|world, now| world.shop.reprice("1001", eur(9_995), now));
    let due = rig.until("1001", |view| is_because(view, "confirmed_balance_due"));
    assert_eq!(due.await.verdict, "settled");
    assert!(rig.psp(|psp| psp.records().refunds.is_empty()));
    assert_eq!(rig.customer("1001").mails, 1);
    rig.close().await;
}

pub(crate) async fn s039_an_order_lowered_after_payment_gives_back_only_what_the_shop_asks_for(
    psp: Psp,
) {
    let rig = Rig::raise_at_with(psp, unbraked).await;
    let id = rig.order_and_pay("1001");
    rig.settles_once("1001").await;
    rig.world()
        .with(|world, now| world.shop.reprice("1001", eur(4_995), now));
    rig.pass(Duration::from_secs(3)).await.unwrap();
    assert_eq!(rig.refunded(&id), 0, "nobody asked");
    rig.world()
        .with(|world, now| world.shop.drop_share("1001", 1_000, now));
    rig.until_world("the difference", |world| {
        !world.psp.records().refunds.is_empty()
    })
    .await;
    rig.until_verdict("1001", "settled").await;
    assert_eq!(rig.refunded(&id), 1_000);
    assert_eq!(rig.heard(ShopCall::Release, "1001"), 0);
    rig.close().await;
}

pub(crate) async fn s043_a_payment_that_two_orders_name_pays_the_first_and_holds_the_second(
    psp: Psp,
) {
    let rig = Rig::raise_at(psp).await;
    let id = rig.order_and_pay("1001");
    rig.settles_once("1001").await;
    let paid = rig.paid(&id);
    rig.world().with(|world, now| {
        let amount = eur(PRICE);
        world
            .shop
            .place_with("1002", amount, std::slice::from_ref(&paid), now);
    });
    rig.until_held("1002", "payment_claimed_twice").await;
    rig.pass(Duration::from_secs(3)).await.unwrap();
    rig.settles_once("1001").await;
    assert_eq!(rig.heard(ShopCall::Confirm, "1002"), 0);
    assert!(rig.psp(|psp| psp.records().refunds.is_empty()));
    rig.close().await;
}

/// An order of the usual price of which a gift card pays 20.00.
async fn with_card(rig: &Rig) {
    rig.shop(|shop| shop.take_card("1001", 2_000));
    rig.place("1001", eur(PRICE));
    rig.until_verdict("1001", "open").await;
}

pub(crate) async fn s045_a_card_payment_whose_gift_card_failed_waits_and_goes_back(psp: Psp) {
    let rig = Rig::raise_at_with(psp, |setup| setup.policy("underpayment", "\"refund\"")).await;
    with_card(&rig).await;
    rig.world().with(|world, now| {
        world.shop.take_card("1001", 0);
        world.shop.reprice("1001", eur(PRICE), now);
    });
    rig.until_world("the shop's word", |world| world.shop.is_quiet())
        .await;
    rig.pay("1001", eur(PRICE - 2_000));
    rig.until("1001", |view| is_because(view, "awaiting_rest"))
        .await;
    rig.returns_once("1001").await;
    assert_eq!(rig.heard(ShopCall::Confirm, "1001"), 0);
    rig.close().await;
}

pub(crate) async fn s046_a_card_that_pays_what_a_gift_card_left_confirms(psp: Psp) {
    let rig = Rig::raise_at(psp).await;
    with_card(&rig).await;
    rig.pay("1001", eur(PRICE - 2_000));
    rig.settles_once("1001").await;
    assert_eq!(rig.shop(|shop| shop.card("1001").restored), 0);
    rig.close().await;
}

pub(crate) async fn s047_an_orphan_of_card_and_gift_card_returns_the_one_and_has_the_other_restored_once(
    psp: Psp,
) {
    let rig = Rig::raise_at(psp).await;
    // The gift card was taken for a cart that never became an order; both answers get lost.
    rig.shop(|shop| {
        shop.take_card("1001", 2_000);
        let lost = Fault::after(Symptom::Close);
        shop.lay(
            Aim::kind(ShopCall::Release).about("1001"),
            Times::Next(1),
            lost,
        );
    });
    let lost = Fault::after(Symptom::Close);
    rig.spoil(PspCall::Refund, "1001", Times::Next(1), lost);
    rig.pay("1001", eur(PRICE - 2_000));
    rig.returns_once("1001").await;
    let card = rig.shop(|shop| shop.card("1001"));
    assert_eq!((card.taken, card.restored, card.times), (0, 2_000, 1));
    assert!(rig.heard(ShopCall::Release, "1001") >= 2, "asked again");
    rig.close().await;
}

pub(crate) async fn s048_captures_for_split_shipments_confirm_once_and_nothing_goes_back(psp: Psp) {
    let rig = Rig::raise_at_with(psp, unbraked).await;
    rig.place("1001", eur(PRICE));
    let id = rig
        .world()
        .with(|world, now| world.psp.authorise(Some("1001"), eur(PRICE), now));
    rig.until("1001", |view| is_because(view, "awaiting_capture"))
        .await;
    let capture = |minor| {
        let world = rig.world();
        world
            .with(|world, now| world.psp.capture_part(&id, minor, now))
            .unwrap();
    };
    capture(2_000);
    rig.until_verdict("1001", "settled").await;
    for minor in [2_000, PRICE - 4_000] {
        capture(minor);
        rig.until_world("the capture told", |world| world.psp.is_quiet())
            .await;
    }
    let whole = rig.until("1001", |view| {
        let sum = view.payments.iter().find_map(|one| one.captured);
        sum == Some(eur(PRICE))
    });
    assert_eq!(whole.await.verdict, "settled");
    rig.settles_once("1001").await;
    assert_eq!(rig.heard(ShopCall::Confirm, "1001"), 1);
    rig.close().await;
}

pub(crate) async fn s051_a_seller_who_cannot_deliver_has_the_share_returned_and_the_others_stay_confirmed(
    psp: Psp,
) {
    let rig = Rig::raise_at_with(psp, unbraked).await;
    rig.place("1001", eur(9_000));
    let id = rig.pay("1001", eur(9_000));
    rig.settles_once("1001").await;
    // One seller drops out, and then a second: the shop says the sum each time, and once twice.
    for (share, back) in [(2_500, 2_500), (2_500, 2_500), (5_500, 5_500)] {
        rig.world()
            .with(|world, now| world.shop.drop_share("1001", share, now));
        rig.until_world("the share", |world| {
            let records = world.psp.records();
            let refunds = records.refunds.values();
            refunds.map(|one| one.amount).sum::<i64>() >= back && world.shop.is_quiet()
        })
        .await;
        rig.until_verdict("1001", "settled").await;
        assert_eq!(rig.refunded(&id), back);
        let customer = rig.fine("1001");
        assert!(customer.is_confirmed && customer.mails == 1, "{customer:?}");
    }
    assert_eq!(rig.psp(|psp| psp.records().refunds.len()), 2);
    assert_eq!(rig.heard(ShopCall::Release, "1001"), 0);
    rig.close().await;
}

pub(crate) async fn s053_a_cart_that_got_another_reference_at_login_is_confirmed_under_it(
    psp: Psp,
) {
    let rig = Rig::raise_at(psp).await;
    rig.shop(|shop| {
        shop.place_quietly("1001", eur(PRICE));
        shop.rename("1001", "2001");
        // While the carts are merged, the old address is gone: that is no "unknown".
        shop.lay(lookups("1001"), Times::Next(2), Fault::status(404));
    });
    rig.pay("1001", eur(PRICE));
    rig.until_verdict("1001", "settled").await;
    let customer = rig.fine("2001");
    let counts = (customer.payments, customer.refunds, customer.mails);
    assert_eq!(counts, (1, 0, 1), "{customer:?}");
    assert!(customer.is_confirmed);
    rig.close().await;
}

pub(crate) async fn s050_donations_that_no_rule_claims_are_left_alone_and_summed_on_the_status_page(
    psp: Psp,
) {
    let rig = Rig::raise_at(psp).await;
    let donations: Vec<String> = rig.world().with(|world, now| {
        let give = |minor| world.psp.pay(None, eur(minor), now);
        [2_500, 1_000].map(give).to_vec()
    });
    let is_summed = |status: &serde_json::Value| {
        let sum = &status["shops"][0]["unclaimed"][0];
        sum["value"] == "35.00" && sum["currency"] == "EUR"
    };
    let status = rig.until_json("/status?format=json", is_summed).await;
    assert_eq!(status["out_of_pocket"]["checkouts"], 0, "{status}");
    for id in &donations {
        let of_it = |view: &View| view.payments.iter().any(|one| one.id == *id);
        let view = rig.until_any("the donation", of_it).await;
        assert_eq!(view.verdict, "foreign");
        assert!(is_because(&view, "not_claimed"));
    }
    // Told again, swept again, and in the next life: each counts once.
    rig.world().with(|world, now| {
        for id in &donations {
            world.psp.tell_again(id, now).unwrap();
        }
    });
    rig.sweeps_whole(2).await;
    rig.is_drained().await;
    rig.until_json("/status?format=json", is_summed).await;
    assert!(rig.shop(|shop| shop.heard().is_empty()));
    assert!(rig.psp(|psp| psp.records().refunds.is_empty()));
    rig.close().await;
}

pub(crate) async fn s058_two_orders_with_a_payment_each_are_both_confirmed_and_no_rule_gives_money_back(
    psp: Psp,
) {
    let rig = Rig::raise_at(psp).await;
    // The payer saw a false error and ordered the same again, a moment later.
    rig.order_and_pay("1001");
    rig.order_and_pay("1002");
    for order in ["1001", "1002"] {
        rig.settles_once(order).await;
    }
    rig.pass(Duration::from_secs(3)).await.unwrap();
    assert!(rig.psp(|psp| psp.records().refunds.is_empty()));
    rig.close().await;
}

pub(crate) async fn s058_two_alike_orders_of_one_customer_both_stand_and_are_shown_as_duplicates(
    psp: Psp,
) {
    let rig = Rig::raise_at(psp).await;
    for (order, customer) in [("1001", "k-81c3"), ("1002", "k-81c3"), ("1003", "k-9999")] {
        rig.shop(|shop| shop.name_customer(order, customer));
        rig.order_and_pay(order);
        rig.settles_once(order).await;
    }
    let is_shown = |page: &str| page.contains("looks like a duplicate of order");
    for form in ["html", "json", "text"] {
        let page = rig
            .until_page(&format!("/status?format={form}"), is_shown)
            .await;
        let words = page.matches("looks like a duplicate of order").count();
        assert_eq!(words, 1, "{page}");
        assert!(page.contains("1001") && page.contains("1002"), "{page}");
        assert!(
            !page.contains("order 1003") && !page.contains("81c3"),
            "{page}"
        );
    }
    let lookalikes = rig.metric("reconciled_lookalikes{shop=\"klompen\"}").await;
    assert_eq!(lookalikes, Some(2));
    let mut signs = Vec::new();
    for order in ["1001", "1002", "1003"] {
        let path = format!("/api/v1/checkouts?reference={order}");
        let list = rig.until_json(&path, |_| true).await;
        let one = &list["checkouts"][0];
        let verdict = (one["verdict"].as_str(), one["reason"].as_str());
        assert_eq!(verdict, (Some("settled"), Some("confirmed_by_shop")));
        signs.push((one["id"].clone(), one["looks_like"].clone()));
    }
    assert_eq!((&signs[0].1, &signs[1].1), (&signs[1].0, &signs[0].0));
    assert!(signs[2].1.is_null());
    let path = format!("/api/v1/checkouts/{}", signs[0].0.as_str().unwrap());
    let one = rig.until_json(&path, |_| true).await;
    assert_eq!(one["looks_like"], signs[1].0);
    rig.until_log("look like one purchase made twice", 1).await;
    let log = std::fs::read_to_string(rig.log_path()).unwrap();
    assert_eq!(log.matches("look like one purchase made twice").count(), 1);
    assert!(rig.psp(|psp| psp.records().refunds.is_empty()));
    rig.close().await;
}

pub(crate) async fn s059_an_authorisation_captured_twice_keeps_the_one_and_returns_the_other(
    psp: Psp,
) {
    let rig = Rig::raise_at(psp).await;
    let id = rig.order_and_pay("1001");
    rig.settles_once("1001").await;
    rig.world()
        .with(|world, now| world.psp.capture_again(&id, now))
        .unwrap();
    rig.until_world("the refund", |world| {
        !world.psp.records().refunds.is_empty()
    })
    .await;
    rig.until_verdict("1001", "settled").await;
    let customer = rig.fine("1001");
    assert_eq!((customer.refunds, customer.mails), (1, 1), "{customer:?}");
    assert_eq!(rig.refunded(&id), PRICE);
    rig.close().await;
}

pub(crate) async fn s060_of_two_orders_of_one_cart_the_paid_one_is_confirmed_and_the_other_left_alone(
    psp: Psp,
) {
    let rig = Rig::raise_at(psp).await;
    rig.place("1001", eur(PRICE));
    rig.place("1002", eur(PRICE));
    rig.pay("1001", eur(PRICE));
    rig.settles_once("1001").await;
    rig.pass(Duration::from_secs(3)).await.unwrap();
    let other = rig.until_verdict("1002", "open").await;
    assert!(other.payments.is_empty());
    let heard = rig.shop(|shop| shop.heard().len());
    let about = |kind| rig.heard(kind, "1002");
    assert!(heard > 0 && about(ShopCall::Confirm) + about(ShopCall::Release) == 0);
    assert!(rig.psp(|psp| psp.records().refunds.is_empty()));
    rig.close().await;
}

pub(crate) async fn s061_an_old_orders_link_paid_after_the_replacement_goes_by_the_shops_answer(
    psp: Psp,
) {
    let rig = Rig::raise_at_with(psp, unbraked).await;
    for (old, new, is_revivable) in [("1001", "1002", false), ("1003", "1004", true)] {
        rig.shop(|shop| {
            shop.place_quietly(old, eur(PRICE));
            shop.cancel_quietly(old, "replaced");
            shop.change(old, |order| order.is_revivable = is_revivable);
        });
        rig.order_and_pay(new);
        rig.settles_once(new).await;
        rig.pay(old, eur(PRICE));
        if is_revivable {
            rig.settles_once(old).await;
        } else {
            rig.returns_once(old).await;
        }
        rig.settles_once(new).await;
    }
    rig.close().await;
}

pub(crate) async fn s062_a_disputed_duplicate_is_left_to_the_bank_and_the_sound_payment_kept(
    psp: Psp,
) {
    let rig = Rig::raise_at(psp).await;
    let first = rig.order_and_pay("1001");
    rig.settles_once("1001").await;
    let (second, dispute) = rig.world().with(|world, now| {
        let second = world.psp.pay(Some("1001"), eur(PRICE), now);
        let dispute = world.psp.dispute(&second, now).unwrap();
        (second, dispute)
    });
    rig.until_held("1001", "disputed").await;
    rig.pass(Duration::from_secs(3)).await.unwrap();
    assert_eq!((rig.refunded(&first), rig.refunded(&second)), (0, 0));
    rig.world()
        .with(|world, now| world.psp.close_dispute(&dispute, false, now))
        .unwrap();
    rig.until_verdict("1001", "settled").await;
    let customer = rig.fine("1001");
    assert_eq!((customer.refunds, customer.kept()), (0, PRICE));
    rig.close().await;
}

pub(crate) async fn s081_a_refund_out_when_we_were_off_for_days_is_read_back_before_any_repeat(
    psp: Psp,
) {
    for is_applied in [true, false] {
        let mut rig = Rig::raise_at_with(psp, swept_once).await;
        cancelled(&rig, &["1001"]);
        let fault = Fault {
            symptom: Symptom::Close,
            is_applied,
        };
        rig.spoil(PspCall::Refund, "1001", Times::Next(1), fault);
        let down = Fault::status(503);
        rig.pay("1001", eur(PRICE));
        rig.until("1001", |view| is_because(view, "refund_delayed"))
            .await;
        rig.lose_webhooks("1001");
        rig.until_asked(PspCall::Refund, "1001", 1).await;
        rig.spoil(PspCall::ListRefunds, "1001", Times::Always, down);
        rig.kill9().await.unwrap();
        // Three days later the key means nothing to the PSP: it would be a fresh refund.
        rig.psp(|psp| {
            psp.heal();
            psp.forget_keys();
        });
        rig.restart().await.unwrap();
        rig.returns_once("1001").await;
        let asked = rig.asked(PspCall::Refund, "1001");
        assert_eq!(asked, if is_applied { 1 } else { 2 });
        rig.close().await;
    }
}

pub(crate) async fn a_released_brake_is_not_pulled_again_by_what_had_pulled_it(psp: Psp) {
    let mut rig = Rig::raise_at_with(psp, |setup| {
        unbraked(with_operator(setup)).policy("max_refunds_per_hour", "1")
    })
    .await;
    rig.expect_error("the guard stopped this shop's refunds");
    cancelled(&rig, &["1001", "1002"]);
    rig.pay("1001", eur(PRICE));
    rig.returns_once("1001").await;
    rig.pay("1002", eur(PRICE));
    rig.until_held("1002", "guard_refunds").await;
    assert_eq!(
        rig.customer("1002").judgement(),
        Judgement::ChargedWithoutOrder
    );
    release_brake(&rig).await;
    rig.returns_once("1002").await;
    rig.close().await;
}
