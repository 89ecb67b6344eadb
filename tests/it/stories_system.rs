//! Stories of the house itself: a worker that slept, poison among good work, a wrong start.
//!
//! A test's name begins with the scenario's number. Knows the daemon only from outside.

use crate::support::story::{PRICE, confirms, unbraked, with_operator};
use crate::support::{Psp, Rig};
use reconciled::core::time::Span;
use reconciled::sandbox::fault::{Fault, Symptom, Times};
use reconciled::sandbox::psp::PspCall;
use reconciled::sandbox::rig::{View, eur};
use reconciled::sandbox::shop::{ShopCall, Standing};
use reconciled::sandbox::sign::stripe_signature;
use reconciled::sandbox::world::WEBHOOK_SECRET;
use reconciled::wire::{Headers, Method};
use reconciled::work::dispatch::LEASE_FOR;
use std::process::{Command, Stdio};
use std::time::Duration;

pub(crate) async fn s098_a_worker_that_slept_past_its_lease_refunds_once(psp: Psp) {
    let mut rig = Rig::raise_at_with(psp, unbraked).await;
    rig.set_patience(Duration::from_secs(60));
    // Two refunds leave; one answer is on its way when the worker falls asleep, one never comes.
    let slow = Fault::delay(Span::from_seconds(4));
    rig.spoil(PspCall::Refund, "1001", Times::Next(1), slow);
    let lost = Fault::after(Symptom::Close);
    rig.spoil(PspCall::Refund, "1002", Times::Next(1), lost);
    rig.pay("1001", eur(PRICE));
    rig.pay("1002", eur(PRICE));
    rig.until_world("both refunds", |world| {
        world.psp.records().refunds.len() == 2
    })
    .await;
    rig.signal("STOP").await.unwrap();
    let asleep = Duration::from_micros(LEASE_FOR.micros()) + Duration::from_secs(2);
    rig.pass(asleep).await.unwrap();
    rig.signal("CONT").await.unwrap();
    rig.returns_once("1001").await;
    rig.returns_once("1002").await;
    assert_eq!(rig.psp(|psp| psp.records().refunds.len()), 2);
    rig.close().await;
}

pub(crate) async fn s098_a_worker_that_slept_past_its_lease_confirms_once(psp: Psp) {
    let mut rig = Rig::raise_at(psp).await;
    rig.set_patience(Duration::from_secs(60));
    // Two confirms leave; one answer is on its way when the worker falls asleep, one never comes.
    // A third order is confirmed by the shop itself meanwhile, while our question lies in between.
    rig.shop(|shop| {
        let slow = Fault::delay(Span::from_seconds(4));
        shop.lay(confirms("1001"), Times::Next(1), slow);
        let lost = Fault::after(Symptom::Close);
        shop.lay(confirms("1002"), Times::Next(1), lost);
        let never = Fault::before(Symptom::Close);
        shop.lay(confirms("1003"), Times::Next(1), never);
        // A shop that thanks its customer for every confirm that it hears.
        shop.set_careless(true);
    });
    let ids: Vec<String> = ["1001", "1002", "1003"]
        .into_iter()
        .map(|order| rig.order_and_pay(order))
        .collect();
    for order in ["1001", "1002", "1003"] {
        rig.until_struck(order, 1).await;
    }
    rig.signal("STOP").await.unwrap();
    let third = rig.paid(&ids[2]);
    rig.world().with(|world, now| {
        // Unless the daemon was fast enough to have it confirmed before it fell asleep.
        let order = world.shop.order("1003").map(|order| order.standing);
        if order == Some(Standing::Pending) {
            world.shop.confirm_itself("1003", &[third], now);
        }
    });
    let asleep = Duration::from_micros(LEASE_FOR.micros()) + Duration::from_secs(2);
    rig.pass(asleep).await.unwrap();
    rig.signal("CONT").await.unwrap();
    for order in ["1001", "1002", "1003"] {
        rig.settles_once(order).await;
    }
    rig.close().await;
}

pub(crate) async fn s098_an_old_host_that_returns_is_refused_the_store(psp: Psp) {
    let rig = Rig::raise_at(psp).await;
    rig.order_and_pay("1001");
    rig.settles_once("1001").await;
    let config = rig.config_path();
    let second = Command::new(env!("CARGO_BIN_EXE_reconciled"))
        .arg("serve")
        .arg("--config")
        .arg(&config)
        .env_remove("NOTIFY_SOCKET")
        .stdin(Stdio::null())
        .output()
        .unwrap();
    assert_eq!(second.status.code(), Some(69), "{second:?}");
    rig.order_and_pay("1002");
    rig.settles_once("1002").await;
    rig.close().await;
}

#[tokio::test]
async fn s099_a_poison_delivery_stops_nothing_behind_it() {
    let rig = Rig::raise().await;
    let poison: [&[u8]; 4] = [
        b"{\"id\":\"evt_poison1\",\"object\":\"event\",\"type\":\"charge.succeeded\"",
        b"[]",
        b"{\"id\":\"evt_poison2\",\"object\":\"event\",\"type\":\"charge.refunded\",\"data\":{}}",
        b"\xff\xfe",
    ];
    for body in poison {
        let signature = stripe_signature(WEBHOOK_SECRET, rig.world().now(), body);
        let headers = Headers::new().with("stripe-signature", &signature);
        let path = "/webhooks/stripe_nl";
        let answer = rig.public_call(Method::Post, path, &headers, body).await;
        assert_eq!(answer.unwrap().status, 200, "{body:?}");
    }
    for number in 1001..1004 {
        rig.order_and_pay(&number.to_string());
    }
    for number in 1001..1004 {
        rig.settles_once(&number.to_string()).await;
    }
    let status = rig
        .admin_call(Method::Get, "/status?format=text", b"")
        .await;
    let status = String::from_utf8(status.unwrap().body).unwrap();
    assert!(status.contains("parked"), "{status}");
    rig.close().await;
}

pub(crate) async fn s099_a_poison_checkout_is_set_aside_and_all_others_flow(psp: Psp) {
    let mut rig = Rig::raise_at_with(psp, |setup| setup.policy("order_grace", "\"60s\"")).await;
    let id = rig.pay("1001", eur(PRICE));
    rig.pay("1002", eur(PRICE));
    rig.until_verdict("1001", "matching").await;
    rig.until_verdict("1002", "matching").await;
    rig.kill9().await.unwrap();
    let spoilt = "UPDATE checkouts SET document = '{\"id\": 7', wake_at = 1 \
                  WHERE reference = '1001'";
    assert_eq!(rig.tamper(spoilt).await, 1);
    rig.restart().await.unwrap();
    // Work on the poison and on good checkouts, mixed.
    for number in 1002..1006 {
        let order = number.to_string();
        rig.place(&order, eur(PRICE));
        rig.world()
            .with(|world, now| world.psp.tell_again(&id, now))
            .unwrap();
        if number > 1002 {
            rig.pay(&order, eur(PRICE));
        }
    }
    for number in 1002..1006 {
        rig.settles_once(&number.to_string()).await;
    }
    // Nor does it stop the sweep that lists it: what has no webhook is found behind it, and the
    // account counts as swept, without which no refund leaves.
    rig.lose_webhooks_of(None);
    rig.place("1006", eur(PRICE));
    rig.pay("1006", eur(PRICE));
    rig.settles_once("1006").await;
    rig.sweeps_whole(1).await;
    let customer = rig.customer("1001");
    assert_eq!((customer.refunds, customer.mails), (0, 0));
    let status = rig
        .admin_call(Method::Get, "/status?format=text", b"")
        .await;
    assert_eq!(status.unwrap().status, 200);
    rig.close().await;
}

pub(crate) async fn s100_years_of_history_before_the_cut_off_are_recorded_and_left_alone(psp: Psp) {
    let mut rig = Rig::prepare_at_with(psp, |setup| {
        setup
            .account("since", "\"2026-01-01T00:00:00Z\"")
            .account("sweep_window", "\"1200d\"")
    })
    .await;
    let orders: Vec<String> = (1..25).map(|number| format!("{number:04}")).collect();
    rig.psp(|psp| {
        psp.spoil(
            None,
            Times::Always,
            reconciled::sandbox::outbox::DeliveryFault::Lose,
        )
    });
    rig.world().with(|world, _| {
        for (index, order) in orders.iter().enumerate() {
            // From the year 2025, a payment every ten days.
            let days = u64::try_from(index).unwrap() * 10;
            let then = reconciled::core::time::Time::from_seconds(1_735_700_000);
            world
                .psp
                .pay(Some(order), eur(PRICE), then.plus(Span::from_days(days)));
        }
        world.psp.heal();
    });
    rig.restart().await.unwrap();
    rig.order_and_pay("2001");
    rig.settles_once("2001").await;
    // An event about the past reaches us, too.
    let old = rig
        .psp(|psp| psp.records().payments.keys().next().cloned())
        .unwrap();
    rig.world()
        .with(|world, now| world.psp.tell_again(&old, now))
        .unwrap();
    let view = rig.until_verdict("0001", "foreign").await;
    assert_eq!(view.reason.as_deref(), Some("before_since"));
    rig.pass(Duration::from_secs(3)).await.unwrap();
    assert_eq!(rig.psp(|psp| psp.records().refunds.len()), 0);
    let about_others = rig.shop(|shop| {
        let heard = shop.heard().iter();
        heard
            .filter(|one| one.reference.as_deref() != Some("2001"))
            .count()
    });
    assert_eq!(about_others, 0, "the shop was asked about the past");
    rig.close().await;
}

pub(crate) async fn s100_a_shop_that_knows_none_of_many_orders_brings_the_guard_down_before_any_refund(
    psp: Psp,
) {
    let mut rig = Rig::prepare_at_with(psp, unbraked).await;
    rig.expect_error("the guard stopped this shop's refunds");
    let orders: Vec<String> = (1001..1031).map(|number| number.to_string()).collect();
    rig.world().with(|world, now| {
        for order in &orders {
            world.psp.pay(Some(order), eur(PRICE), now);
        }
    });
    rig.restart().await.unwrap();
    for order in &orders {
        rig.until_held(order, "guard_unknown_runaway").await;
    }
    assert_eq!(rig.psp(|psp| psp.records().refunds.len()), 0);
    // Confirming goes on.
    rig.order_and_pay("2001");
    rig.settles_once("2001").await;
    rig.close().await;
}

pub(crate) async fn s100_the_hours_limit_stops_correct_refunds_too_and_a_restart_does_not_reset_it(
    psp: Psp,
) {
    let mut rig = Rig::prepare_at_with(psp, |setup| {
        unbraked(setup).policy("max_refunds_per_hour", "3")
    })
    .await;
    rig.expect_error("the guard stopped this shop's refunds");
    let orders: Vec<String> = (1001..1013).map(|number| number.to_string()).collect();
    rig.world().with(|world, now| {
        for order in &orders {
            world.shop.place_quietly(order, eur(PRICE));
            world.shop.cancel_quietly(order, "sold_out");
            world.psp.pay(Some(order), eur(PRICE), now);
        }
    });
    rig.restart().await.unwrap();
    rig.until_world("three refunds", |world| {
        world.psp.records().refunds.len() == 3
    })
    .await;
    rig.restart().await.unwrap();
    let mut verdicts = Vec::new();
    for order in &orders {
        let ended = rig.until(order, |view| {
            view.verdict == "returned" || view.reason.as_deref() == Some("guard_refunds")
        });
        verdicts.push(ended.await.verdict);
    }
    let returned = verdicts.iter().filter(|verdict| *verdict == "returned");
    assert_eq!(returned.count(), 3, "{verdicts:?}");
    assert_eq!(rig.psp(|psp| psp.records().refunds.len()), 3);
    rig.close().await;
}

pub(crate) async fn s099_a_poison_action_is_named_and_all_others_flow(psp: Psp) {
    let mut rig = Rig::raise_at_with(psp, |setup| {
        with_operator(setup).policy("order_grace", "\"10m\"")
    })
    .await;
    rig.expect_error("an action cannot be read and is left alone");
    rig.pay("1001", eur(PRICE));
    let has_looked = |view: &View| {
        let next = view.next_step.as_ref();
        next.is_some_and(|next| next.attempt >= Some(2))
    };
    let view = rig.until("1001", has_looked).await;
    rig.kill9().await.unwrap();
    let spoilt = "UPDATE actions SET due = due + 90000000000000 WHERE checkout IN \
                  (SELECT id FROM checkouts WHERE reference = '1001')";
    assert!(rig.tamper(spoilt).await >= 1);
    rig.restart().await.unwrap();
    // What comes for it is parked, what comes for others is not.
    rig.place("1001", eur(PRICE));
    rig.order_and_pay("1002");
    rig.settles_once("1002").await;
    let page = rig
        .until_page("/status?format=text", |page| {
            page.contains("parked: verified")
        })
        .await;
    let named = format!("An action of checkout {} cannot be read", view.id);
    assert!(page.contains(&named), "{page}");
    let meaning = "One of its stored actions cannot be read, so nothing is done about it.";
    assert!(page.contains(meaning), "{page}");
    // Said once: that it has no next step is no trouble of its own.
    assert!(!page.contains("without a next step"), "{page}");
    let list = rig.until_json("/api/v1/checkouts?reference=1001", |list| {
        list["checkouts"][0]["damaged"] == true
    });
    let list = list.await;
    let shown = &list["checkouts"][0];
    assert_eq!(shown["safe_to_retry"], false);
    // What can be read is shown.
    assert_eq!(shown["payments"][0]["status"], "captured");
    assert_eq!(rig.rule(&view.id, "retry").await, 503);
    assert_eq!(rig.heard(ShopCall::Confirm, "1001"), 0);
    // Once its row is mended, it goes on from where it was.
    let mended = "UPDATE actions SET due = due - 90000000000000 WHERE checkout IN \
                  (SELECT id FROM checkouts WHERE reference = '1001')";
    assert!(rig.tamper(mended).await >= 1);
    assert_eq!(rig.rule(&view.id, "retry").await, 200);
    rig.settles_once("1001").await;
    assert_eq!(rig.heard(ShopCall::Confirm, "1001"), 1);
    rig.close().await;
}
