//! Stories of what comes after: money pulled back, disputes, orders made too late, means that
//! cannot be refunded, floods of old events, and senders that garble.
//!
//! The real binary over real sockets. A test's name begins with the scenario's number.

use crate::support::scene::price;
use crate::support::story::{swept_once, unbraked};
use crate::support::{Psp, Rig};
use reconciled::core::money::{Currency, Money};
use reconciled::core::time::Span;
use reconciled::sandbox::books::Judgement;
use reconciled::sandbox::fault::{Fault, Symptom, Times};
use reconciled::sandbox::psp::{PspCall, adyen};
use reconciled::sandbox::rig::View;
use reconciled::sandbox::shop::ShopCall;
use reconciled::sandbox::sign::stripe_signature;
use reconciled::sandbox::world::WEBHOOK_SECRET;
use reconciled::wire::{Headers, Method};
use std::time::Duration;

/// Stands there for this reason.
fn is_for(reason: &'static str) -> impl Fn(&View) -> bool {
    move |view| view.reason.as_deref() == Some(reason)
}

async fn status(rig: &Rig) -> String {
    let path = "/status?format=text";
    let answer = rig.admin_call(Method::Get, path, b"").await.unwrap();
    String::from_utf8(answer.body).unwrap()
}

/// A payment by this means for an order that the shop has cancelled.
fn pay_cancelled(rig: &Rig, reference: &str, method: &str) -> String {
    rig.world().with(|world, now| {
        world.shop.place_quietly(reference, price());
        world.shop.cancel_quietly(reference, "sold_out");
        let id = world.psp.open(Some(reference), price(), now);
        world.psp.set_method(&id, method);
        world.psp.succeed(&id, now).unwrap();
        id
    })
}

/// The bank takes the payment's money back.
fn pull_back(rig: &Rig, id: &str) {
    rig.world().with(|world, now| {
        let dispute = world.psp.dispute(id, now).unwrap();
        world.psp.close_dispute(&dispute, false, now).unwrap();
    });
}

pub(crate) async fn s013_an_endpoint_that_the_psp_switched_off_is_seen_and_everything_is_confirmed(
    psp: Psp,
) {
    let mut rig = Rig::prepare_at_with(psp, |setup| setup.account("sweep_window", "\"10d\"")).await;
    // Days of payments, none of them told: the PSP has given up on us.
    rig.lose_webhooks_of(None);
    let orders: Vec<String> = (1001..1007).map(|number| number.to_string()).collect();
    rig.world().with(|world, now| {
        for (order, days) in orders.iter().zip([0, 1, 2, 3, 4, 5]) {
            world.shop.place_quietly(order, price());
            world
                .psp
                .pay(Some(order), price(), now.minus(Span::from_days(days)));
        }
    });
    rig.restart().await.unwrap();
    for order in &orders {
        rig.is_settled_once(order).await;
    }
    rig.until_log("no webhook of its PSP arrives", 1).await;
    assert!(status(&rig).await.contains("webhooks are silent"));
    // Switched on again, the PSP brings what it had kept; nothing happens twice.
    rig.psp(|psp| psp.heal());
    let events: Vec<String> = rig.psp(|psp| psp.records().events.keys().cloned().collect());
    rig.world().with(|world, now| {
        for event in &events {
            world.psp.resend(event, now).unwrap();
        }
    });
    rig.until_answer("/status?format=text", |answer| {
        !String::from_utf8_lossy(&answer.body).contains("silent")
    })
    .await;
    for order in &orders {
        rig.is_settled_once(order).await;
    }
    rig.close().await;
}

pub(crate) async fn s015_a_flood_of_kept_back_events_confirms_all_and_refunds_nobody_for_their_age(
    psp: Psp,
) {
    let mut rig = Rig::prepare_at_with(psp, |setup| unbraked(swept_once(setup))).await;
    rig.set_patience(Duration::from_secs(120));
    let orders: Vec<String> = (1001..1121).map(|number| number.to_string()).collect();
    // The PSP was down for an hour; the shop made its orders all the same.
    rig.world().with(|world, now| {
        let then = now.minus(Span::from_minutes(50));
        for order in &orders {
            world.shop.place_quietly(order, price());
            world.psp.pay(Some(order), price(), then);
        }
    });
    rig.restart().await.unwrap();
    // Back again, it sends everything, and for good measure once more.
    let events: Vec<String> = rig.psp(|psp| psp.records().events.keys().cloned().collect());
    assert!(events.len() >= 240, "{}", events.len());
    rig.world().with(|world, now| {
        for event in &events {
            world.psp.resend(event, now).unwrap();
        }
    });
    for order in &orders {
        rig.is_settled_once(order).await;
    }
    rig.is_drained().await;
    assert_eq!(rig.psp(|psp| psp.records().refunds.len()), 0);
    rig.close().await;
}

pub(crate) async fn s020_a_direct_debit_goes_back_only_after_the_bank_had_its_time(psp: Psp) {
    let rig = Rig::raise_at_with(psp, |setup| {
        unbraked(setup).policy("reversal_wait", "\"4s\"")
    })
    .await;
    let begun = rig.world().now();
    let pulled = pay_cancelled(&rig, "1001", "sepa_debit");
    pay_cancelled(&rig, "1002", "sepa_debit");
    rig.until("1001", is_for("reversal_possible")).await;
    pull_back(&rig, &pulled);
    let view = rig.until_verdict("1001", "returned").await;
    assert_eq!(view.reason.as_deref(), Some("charged_back"));
    rig.is_returned_once("1002").await;
    let waited = rig.world().now().since(begun);
    assert!(waited >= Span::from_seconds(4), "{waited:?}");
    assert_eq!(rig.asked(PspCall::Refund, "1001"), 0);
    assert_eq!(rig.fine("1001").refunds, 0);
    rig.close().await;
}

pub(crate) async fn s021_a_transfer_booked_as_a_new_object_without_reference_is_held(psp: Psp) {
    let rig = Rig::raise_at_with(psp, |setup| setup.account("claims", "\"all\"")).await;
    let expired = rig.world().with(|world, now| {
        world.shop.place("1001", price(), now);
        world.psp.open(Some("1001"), price(), now)
    });
    rig.world()
        .with(|world, now| world.psp.expire(&expired, now))
        .unwrap();
    rig.world()
        .with(|world, now| world.psp.pay(None, price(), now));
    let held = rig
        .until_any("the transfer to be held", |view| {
            view.reason.as_deref() == Some("unreferenced_held")
        })
        .await;
    assert_eq!(held.in_suspense, Some(price()));
    // Nor is it guessed to be the open order's, although the amount is the same.
    rig.pass(Duration::from_secs(2)).await.unwrap();
    assert_eq!(rig.heard(ShopCall::Confirm, "1001"), 0);
    assert_eq!(rig.psp(|psp| psp.records().refunds.len()), 0);
    rig.close().await;
}

pub(crate) async fn s026_an_authorisation_that_lapses_tomorrow_is_held_until_the_shop_captures(
    psp: Psp,
) {
    let rig = Rig::raise_at(psp).await;
    let id = rig.world().with(|world, now| {
        world.shop.place("1001", price(), now);
        let id = world.psp.authorise(Some("1001"), price(), now);
        world.psp.set_lapse(&id, now.plus(Span::from_hours(20)));
        id
    });
    rig.until_held("1001", "authorisation_expiring").await;
    assert!(status(&rig).await.contains("1 held checkout"));
    assert_eq!(
        rig.heard(ShopCall::Confirm, "1001"),
        0,
        "nothing is paid yet"
    );
    rig.world()
        .with(|world, now| world.psp.capture(&id, now))
        .unwrap();
    rig.is_settled_once("1001").await;
    assert_eq!(
        rig.asked(PspCall::Capture, "1001"),
        0,
        "capturing is the shop's"
    );
    assert_eq!(rig.asked(PspCall::Void, "1001"), 0);
    rig.close().await;
}

pub(crate) async fn s028_a_capture_that_timed_out_for_the_shop_is_read_and_confirmed_not_repeated(
    psp: Psp,
) {
    let rig = Rig::raise_at(psp).await;
    let id = rig.world().with(|world, now| {
        world.shop.place("1001", price(), now);
        world.psp.authorise(Some("1001"), price(), now)
    });
    rig.until("1001", is_for("awaiting_capture")).await;
    // The capture succeeds; neither the shop's answer nor a webhook tells of it.
    rig.lose_webhooks("1001");
    rig.world()
        .with(|world, now| world.psp.capture(&id, now))
        .unwrap();
    rig.is_settled_once("1001").await;
    assert_eq!(rig.asked(PspCall::Capture, "1001"), 0);
    rig.close().await;
}

pub(crate) async fn s029_money_that_the_bank_reverses_is_refunded_neither_before_nor_after_the_confirm(
    psp: Psp,
) {
    let rig = Rig::raise_at_with(psp, |setup| setup.policy("order_grace", "\"30s\"")).await;
    // Not confirmed yet: the case closes by itself.
    let orphan = rig.pay("1001", price());
    rig.until_verdict("1001", "matching").await;
    pull_back(&rig, &orphan);
    let view = rig.until_verdict("1001", "returned").await;
    assert_eq!(view.reason.as_deref(), Some("charged_back"));
    // Confirmed: the shop must hear that the money is gone.
    let id = rig.order_and_pay("1002");
    rig.settles_once("1002").await;
    pull_back(&rig, &id);
    rig.until("1002", is_for("charged_back_after_confirm"))
        .await;
    rig.until_noticed("payment.held", "1002").await;
    rig.until_verdict("1002", "settled").await;
    for order in ["1001", "1002"] {
        assert_eq!(rig.asked(PspCall::Refund, order), 0, "{order}");
        assert_eq!(rig.customer(order).refunds, 0, "{order}");
    }
    rig.close().await;
}

pub(crate) async fn s030_a_payment_that_processes_for_long_and_fails_costs_nobody_anything(
    psp: Psp,
) {
    let rig = Rig::raise_at(psp).await;
    let id = rig.world().with(|world, now| {
        world.shop.place("1001", price(), now);
        let id = world.psp.open(Some("1001"), price(), now);
        world.psp.process(&id, now).unwrap();
        id
    });
    rig.until("1001", is_for("payment_pending")).await;
    // The shop's own timer runs out; that is not "cancelled and paid".
    rig.world()
        .with(|world, now| world.shop.cancel("1001", "unpaid_timer", now));
    rig.pass(Duration::from_secs(3)).await.unwrap();
    let view = rig.until_verdict("1001", "open").await;
    assert_eq!(view.safe_to_retry, Some(false));
    rig.world().with(|world, now| {
        world.psp.fail(&id, now).unwrap();
        world.psp.expire(&id, now).unwrap();
    });
    rig.until_verdict("1001", "closed").await;
    let customer = rig.fine("1001");
    assert_eq!(
        (customer.refunds, customer.mails, customer.charged),
        (0, 0, 0)
    );
    assert_eq!(rig.heard(ShopCall::Release, "1001"), 0);
    assert_eq!(rig.heard(ShopCall::Confirm, "1001"), 0);
    rig.close().await;
}

pub(crate) async fn s032_a_revoked_key_is_told_and_proves_nothing_about_any_payment(psp: Psp) {
    let rig = Rig::raise_at(psp).await;
    let key = rig.psp(|psp| psp.setup().api_key.clone());
    let open = rig.world().with(|world, now| {
        world.shop.place("1001", price(), now);
        world.psp.open(Some("1001"), price(), now)
    });
    rig.sweeps_whole(1).await;
    rig.psp(|psp| psp.change_api_key("rk_test_another_key_of_the_sandbox"));
    // An orphan whose way back needs the PSP's word, and a payment that succeeds meanwhile.
    rig.pay("1002", price());
    rig.lose_webhooks("1001");
    rig.world()
        .with(|world, now| world.psp.succeed(&open, now))
        .unwrap();
    rig.until("1002", is_for("last_look")).await;
    rig.until_answer("/status?format=text", |answer| {
        String::from_utf8_lossy(&answer.body).contains("the latest sweep was stopped")
    })
    .await;
    rig.pass(Duration::from_secs(3)).await.unwrap();
    assert_eq!(rig.psp(|psp| psp.records().refunds.len()), 0);
    assert_eq!(rig.until_verdict("1001", "open").await.in_suspense, None);
    rig.psp(|psp| psp.change_api_key(&key));
    rig.is_settled_once("1001").await;
    rig.is_returned_once("1002").await;
    rig.close().await;
}

pub(crate) async fn s087_a_chargeback_after_our_refund_is_held_with_the_refund_at_hand(psp: Psp) {
    let rig = Rig::raise_at(psp).await;
    let id = rig.pay("1001", price());
    rig.is_returned_once("1001").await;
    rig.world()
        .with(|world, now| world.psp.dispute(&id, now))
        .unwrap();
    let held = rig.until_held("1001", "disputed").await;
    rig.until_noticed("payment.held", "1001").await;
    rig.pass(Duration::from_secs(2)).await.unwrap();
    assert_eq!(rig.asked(PspCall::Refund, "1001"), 1);
    // What wins the dispute: the refund's id and when it was made.
    let refund = rig.psp(|psp| psp.records().refunds.keys().next().cloned());
    let path = format!("/api/v1/checkouts/{}", held.id);
    let shown = rig.admin_call(Method::Get, &path, b"").await.unwrap();
    let shown = String::from_utf8(shown.body).unwrap();
    assert!(shown.contains(&refund.unwrap()), "{shown}");
    rig.close().await;
}

pub(crate) async fn s090_a_payment_by_a_means_that_cannot_be_refunded_is_held_before_any_try(
    psp: Psp,
) {
    let rig = Rig::raise_at_with(psp, |setup| setup.account("sweep_window", "\"400d\"")).await;
    pay_cancelled(&rig, "1001", "boleto");
    rig.until_held("1001", "not_refundable").await;
    rig.until_noticed("payment.held", "1001").await;
    assert_eq!(rig.asked(PspCall::Refund, "1001"), 0);
    pay_cancelled(&rig, "1002", "ideal");
    rig.is_returned_once("1002").await;
    rig.close().await;
}

pub(crate) async fn s092_a_refund_is_what_the_payer_paid_in_the_payers_currency(psp: Psp) {
    let usd = Money::new(6_499, Currency::parse("USD").unwrap());
    let limit = "{ value = \"100.00\", currency = \"USD\" }";
    let rig = Rig::raise_at_with(psp, |setup| {
        unbraked(setup).policy("auto_refund_limit", limit)
    })
    .await;
    rig.world().with(|world, now| {
        world.shop.place_quietly("1001", usd);
        world.shop.cancel_quietly("1001", "sold_out");
        world.psp.pay(Some("1001"), usd, now);
        // The limit's figure is for dollars: euros are held.
        world.shop.place_quietly("1002", price());
        world.shop.cancel_quietly("1002", "sold_out");
        world.psp.pay(Some("1002"), price(), now);
    });
    rig.is_returned_once("1001").await;
    assert_eq!(rig.customer("1001").refunded, 6_499);
    rig.until_held("1002", "above_auto_refund_limit").await;
    assert_eq!(rig.asked(PspCall::Refund, "1002"), 0);
    rig.close().await;
}

pub(crate) async fn s093_an_order_made_after_the_refund_is_not_confirmed_and_its_parcel_is_stopped(
    psp: Psp,
) {
    let rig = Rig::raise_at(psp).await;
    let id = rig.pay("1001", price());
    rig.is_returned_once("1001").await;
    rig.until_noticed("payment.refund_started", "1001").await;
    rig.until_noticed("payment.refunded", "1001").await;
    // The browser comes back and makes the order; its money is gone.
    rig.place("1001", price());
    rig.pass(Duration::from_secs(2)).await.unwrap();
    assert_eq!(rig.heard(ShopCall::Confirm, "1001"), 0);
    assert_eq!(
        rig.until_verdict("1001", "returned").await.in_suspense,
        None
    );
    // The shop believes what the browser said.
    let paid = rig.paid(&id);
    rig.world()
        .with(|world, now| world.shop.confirm_itself("1001", &[paid], now));
    rig.until_held("1001", "confirmed_after_refund").await;
    rig.until_noticed("payment.held", "1001").await;
    assert_eq!(
        rig.customer("1001").judgement(),
        Judgement::OrderWithoutMoney
    );
    assert_eq!(rig.asked(PspCall::Refund, "1001"), 1);
    rig.close().await;
}

pub(crate) async fn x02_a_new_status_word_of_the_psp_moves_no_money_and_fails_no_payment(psp: Psp) {
    let mut rig = Rig::raise_at_with(psp, swept_once).await;
    // What was read and not understood is read again half a minute later.
    rig.set_patience(Duration::from_secs(120));
    let fault = Fault::after(Symptom::UnknownWord);
    rig.spoil(PspCall::Fetch, "1001", Times::Always, fault);
    rig.pay("1001", price());
    rig.until_struck("1001", 1).await;
    let view = rig.until("1001", is_for("last_look")).await;
    rig.pass(Duration::from_secs(3)).await.unwrap();
    assert_eq!(view.in_suspense, Some(price()));
    assert_eq!(rig.asked(PspCall::Refund, "1001"), 0);
    rig.psp(|psp| psp.heal());
    rig.is_returned_once("1001").await;
    rig.close().await;
}

#[tokio::test]
async fn x08_a_proxy_that_rewrites_bodies_is_named_as_a_cause_and_loses_nothing() {
    let rig = Rig::raise().await;
    rig.lose_webhooks("1001");
    rig.order_and_pay("1001");
    // Signed as it left the PSP, indented on the way.
    let event = rig.psp(|psp| psp.records().events.values().next().unwrap().body.clone());
    let signature = stripe_signature(WEBHOOK_SECRET, rig.world().now(), &event);
    let event: serde_json::Value = serde_json::from_slice(&event).unwrap();
    let headers = Headers::new().with("stripe-signature", &signature);
    let body = serde_json::to_vec_pretty(&event).unwrap();
    let path = "/webhooks/stripe_nl";
    let answer = rig.public_call(Method::Post, path, &headers, &body).await;
    assert_eq!(answer.unwrap().status, 401);
    let names_it = |list: &serde_json::Value| {
        let entries = list["deliveries"].as_array().cloned().unwrap_or_default();
        entries.iter().any(|entry| {
            let why = entry["why"].as_str().unwrap_or_default();
            why.contains("changed on the way")
        })
    };
    rig.until_json("/api/v1/quarantine", names_it).await;
    rig.is_settled_once("1001").await;
    rig.close().await;
}

/// A watcher that answers every beat; gives its address and the count of beats.
async fn watcher() -> (String, std::sync::Arc<std::sync::atomic::AtomicUsize>) {
    use std::sync::atomic::{AtomicUsize, Ordering};
    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}/beat", listener.local_addr().unwrap());
    let beats = std::sync::Arc::new(AtomicUsize::new(0));
    let counted = beats.clone();
    tokio_util::task::TaskTracker::new().spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            let mut request = [0_u8; 4096];
            let read = stream.read(&mut request).await.unwrap_or(0);
            if request[..read].starts_with(b"GET /beat ") {
                counted.fetch_add(1, Ordering::SeqCst);
            }
            let answer = b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\nconnection: close\r\n\r\n";
            let _sent = stream.write_all(answer).await;
        }
    });
    (url, beats)
}

pub(crate) async fn x05_a_watcher_outside_hears_of_a_daemon_that_works_and_of_no_other(psp: Psp) {
    use std::sync::atomic::Ordering;
    let (url, beats) = watcher().await;
    let mut rig = Rig::prepare_at_with(psp, |mut setup| {
        let written = format!("\"{url}\"");
        setup.server.insert("heartbeat_url".to_owned(), written);
        setup
    })
    .await;
    // It runs, and cannot ask its PSP for anything: whoever waits for beats hears silence.
    let fault = Fault::before(Symptom::Close);
    rig.psp(|psp| psp.lay(reconciled::sandbox::fault::Aim::all(), Times::Always, fault));
    rig.restart().await.unwrap();
    rig.pass(Duration::from_secs(4)).await.unwrap();
    assert_eq!(beats.load(Ordering::SeqCst), 0);
    rig.psp(|psp| psp.heal());
    rig.until_world("a beat", |_| beats.load(Ordering::SeqCst) > 0)
        .await;
    rig.close().await;
}

#[tokio::test]
async fn a_watcher_hears_of_a_daemon_whose_psp_has_no_list() {
    use std::sync::atomic::Ordering;
    let (url, beats) = watcher().await;
    let rig = Rig::raise_at_with(&adyen::KIND, |mut setup| {
        let written = format!("\"{url}\"");
        setup.server.insert("heartbeat_url".to_owned(), written);
        setup
    })
    .await;
    rig.until_world("a beat", |_| beats.load(Ordering::SeqCst) > 0)
        .await;
    rig.close().await;
}
