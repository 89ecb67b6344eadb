//! Stories in which one order alone proves nothing: a shop restored from a backup, a shop that
//! finds no order, a store restored or copied, webhooks that lead elsewhere.
//!
//! The real binary over real sockets. A test's name begins with the scenario's number.

use crate::support::scene::price;
use crate::support::story::{confirms, unbraked, with_operator};
use crate::support::{Psp, Rig};
use reconciled::core::time::Span;
use reconciled::sandbox::fault::{Aim, Fault, Symptom, Times};
use reconciled::sandbox::psp::{PspCall, Told};
use reconciled::sandbox::rig::Setup;
use reconciled::sandbox::shop::ShopCall;
use reconciled::wire::Method;
use std::path::{Path, PathBuf};
use std::time::Duration;

const BRAKED: &str = "the guard stopped this shop's refunds";
const MOVED: &str = "the store was started elsewhere before";

/// The canary on, an operator at hand, the limits of the hour out of the way.
fn with_canary(setup: Setup) -> Setup {
    with_operator(unbraked(setup)).policy("canary", "true")
}

fn orders(range: std::ops::Range<u32>) -> Vec<String> {
    range.map(|number| number.to_string()).collect()
}

/// Releases the shop's brake.
async fn resume(rig: &Rig) {
    let path = "/api/v1/shops/klompen/resume";
    let body = br#"{"note": "looked, all is well"}"#;
    let answer = rig.admin_call(Method::Post, path, body).await.unwrap();
    assert_eq!(
        answer.status,
        200,
        "{}",
        String::from_utf8_lossy(&answer.body)
    );
}

async fn status(rig: &Rig) -> String {
    let path = "/status?format=text";
    let answer = rig.admin_call(Method::Get, path, b"").await.unwrap();
    String::from_utf8(answer.body).unwrap()
}

fn refund_calls(rig: &Rig) -> usize {
    let is_refund = |call: &&(PspCall, Option<String>)| call.0 == PspCall::Refund;
    rig.psp(|psp| psp.calls().iter().filter(is_refund).count())
}

pub(crate) async fn s095_a_shop_restored_from_a_backup_gives_nothing_back_and_gets_its_orders_offered(
    psp: Psp,
) {
    let mut rig = Rig::raise_at_with(psp, with_canary).await;
    rig.expect_error(BRAKED);
    rig.order_and_pay("1000");
    rig.settles_once("1000").await;
    let backup = rig.shop(|shop| shop.backup());
    let before = rig.world().now();
    let kept = orders(1001..1004);
    for order in &kept {
        rig.order_and_pay(order);
    }
    for order in &kept {
        rig.settles_once(order).await;
    }
    // Payers are at the bank while the shop is set back; their orders are gone, too.
    let lost = orders(1101..1104);
    for order in &lost {
        rig.shop(|shop| shop.place_quietly(order, price()));
    }
    rig.shop(|shop| shop.restore(backup));
    for order in &lost {
        rig.pay(order, price());
    }
    // Both proofs say no, and each looks like a perfect orphan; the epoch and the crowd tell.
    for order in &lost {
        let held = rig.until(order, |view| view.verdict == "held").await;
        let reason = held.reason.unwrap();
        let told = ["guard_epoch_went_back", "guard_canary_lost"];
        assert!(told.contains(&reason.as_str()), "{reason}");
        assert_eq!(rig.heard(ShopCall::Release, order), 0, "{order}");
    }
    assert_eq!(refund_calls(&rig), 0);
    assert!(status(&rig).await.contains("refunds are held back"));
    // What had settled since the backup is asked about again, and named.
    let since = jiff::Timestamp::from_microsecond(before.micros()).unwrap();
    let body = format!(r#"{{"since": "{since}", "note": "restored from last night"}}"#);
    let path = "/api/v1/shops/klompen/recheck";
    let answer = rig.admin_call(Method::Post, path, body.as_bytes()).await;
    let answer = answer.unwrap();
    let told = String::from_utf8_lossy(&answer.body).into_owned();
    assert_eq!(answer.status, 202, "{told}");
    assert!(told.contains("\"checkouts\":3"), "{told}");
    for order in &kept {
        rig.until_held(order, "confirm_withdrawn").await;
    }
    assert_eq!(rig.until_verdict("1000", "settled").await.in_suspense, None);
    // The shop makes its orders anew; the money that we hold confirms each of them, once.
    for order in kept.iter().chain(&lost) {
        rig.place(order, price());
    }
    for order in kept.iter().chain(&lost) {
        rig.settles_once(order).await;
    }
    assert_eq!(refund_calls(&rig), 0);
    rig.close().await;
}

pub(crate) async fn an_answer_that_was_long_on_its_way_is_no_shop_that_was_set_back(psp: Psp) {
    let rig = Rig::raise_at_with(psp, unbraked).await;
    // The shop answers at once, and the answer is on its way while the shop's numbers grow.
    let late = Fault::delay(Span::from_seconds(3));
    rig.shop(|shop| shop.lay(confirms("1001"), Times::Next(1), late));
    rig.order_and_pay("1001");
    rig.until_heard(ShopCall::Confirm, "1001", 1).await;
    rig.order_and_pay("1002");
    rig.settles_once("1002").await;
    let asked = rig.views("1001").await.unwrap();
    assert_eq!(asked[0].verdict, "confirming", "the answer was not late");
    rig.settles_once("1001").await;
    rig.pay("1003", price());
    rig.returns_once("1003").await;
    rig.close().await;
}

pub(crate) async fn s095_without_an_epoch_one_confirmed_order_that_is_gone_stops_the_refund_of_another(
    psp: Psp,
) {
    let mut rig = Rig::raise_at_with(psp, with_canary).await;
    rig.expect_error(BRAKED);
    rig.order_and_pay("1001");
    rig.settles_once("1001").await;
    // A single orphan is no crowd; only the order that must be there gives the shop away.
    rig.shop(|shop| shop.set_knows_nothing(true));
    rig.pay("1002", price());
    let held = rig.until_held("1002", "guard_canary_lost").await;
    assert!(held.in_suspense.is_some());
    assert_eq!(rig.heard(ShopCall::Release, "1002"), 0);
    assert_eq!(refund_calls(&rig), 0);
    // Confirming goes on for what the shop does find again.
    rig.shop(|shop| shop.set_knows_nothing(false));
    rig.order_and_pay("1003");
    rig.settles_once("1003").await;
    resume(&rig).await;
    rig.returns_once("1002").await;
    rig.close().await;
}

pub(crate) async fn s096_a_shop_that_finds_its_orders_has_its_unknown_believed(psp: Psp) {
    let rig = Rig::raise_at_with(psp, with_canary).await;
    rig.order_and_pay("1001");
    rig.settles_once("1001").await;
    rig.pass(Duration::from_secs(1)).await.unwrap();
    let asked = rig.heard(ShopCall::LookUp, "1001");
    rig.pay("1002", price());
    rig.returns_once("1002").await;
    let again = rig.heard(ShopCall::LookUp, "1001") - asked;
    assert!(
        again >= 2,
        "before the release and before the refund: {again}"
    );
    rig.close().await;
}

pub(crate) async fn s096_on_the_first_day_no_unknown_counts_before_the_shop_has_found_an_order(
    psp: Psp,
) {
    let rig = Rig::raise_at_with(psp, with_canary).await;
    rig.pay("1001", price());
    let held = rig.until_held("1001", "guard_canary_missing").await;
    assert!(held.next_step.is_some_and(|next| next.at.is_some()));
    assert_eq!(rig.heard(ShopCall::Release, "1001"), 0);
    // Held alone: an order that the shop announced serves as canary for the next.
    rig.place("1002", price());
    rig.until_verdict("1002", "open").await;
    rig.pass(Duration::from_secs(1)).await.unwrap();
    rig.pay("1003", price());
    rig.returns_once("1003").await;
    // An operator need not wait for the hour.
    let id = rig.until_verdict("1001", "held").await.id;
    assert_eq!(rig.rule(&id, "resume").await, 200);
    rig.returns_once("1001").await;
    rig.close().await;
}

pub(crate) async fn s096_a_canary_question_that_fails_proves_nothing_in_either_way(psp: Psp) {
    let rig = Rig::raise_at_with(psp, with_canary).await;
    rig.order_and_pay("1001");
    rig.settles_once("1001").await;
    rig.pass(Duration::from_secs(1)).await.unwrap();
    let about = Aim::kind(ShopCall::LookUp).about("1001");
    rig.shop(|shop| shop.lay(about, Times::Next(2), Fault::status(500)));
    rig.pay("1002", price());
    rig.until_struck("1001", 2).await;
    assert_eq!(refund_calls(&rig), 0);
    rig.returns_once("1002").await;
    rig.close().await;
}

fn store_of(rig: &Rig) -> PathBuf {
    rig.config_path().with_file_name("reconciled.db")
}

/// Copies a store that nobody has open, with whatever SQLite keeps beside it.
fn copy_store(from: &Path, to: &Path) {
    for suffix in ["", "-wal", "-shm"] {
        let beside = |path: &Path| {
            let mut name = path.as_os_str().to_owned();
            name.push(suffix);
            PathBuf::from(name)
        };
        match std::fs::copy(beside(from), beside(to)) {
            Ok(_) => {}
            Err(_) => drop(std::fs::remove_file(beside(to))),
        }
    }
}

pub(crate) async fn s097_a_store_restored_from_an_older_copy_reads_before_it_acts(psp: Psp) {
    let mut rig = Rig::raise_at_with(psp, |setup| with_operator(unbraked(setup))).await;
    rig.order_and_pay("1001");
    rig.settles_once("1001").await;
    // An orphan on its way back when the copy is made.
    let slow = Fault::before(Symptom::Close);
    rig.spoil(PspCall::Refund, "1002", Times::Always, slow);
    rig.pay("1002", price());
    rig.until_struck("1002", 1).await;
    rig.sigterm().await.unwrap();
    let store = store_of(&rig);
    let copy = store.with_file_name("copy.db");
    copy_store(&store, &copy);
    rig.psp(|psp| psp.heal());
    rig.restart().await.unwrap();
    rig.returns_once("1002").await;
    // In the time that will be lost: an order is settled, an orphan returned.
    rig.order_and_pay("1003");
    rig.settles_once("1003").await;
    rig.pay("1004", price());
    rig.returns_once("1004").await;
    let refunds = refund_calls(&rig);
    rig.sigterm().await.unwrap();
    copy_store(&copy, &store);
    rig.restart().await.unwrap();
    rig.until_log("restored from a copy", 1).await;
    for order in ["1001", "1003"] {
        rig.settles_once(order).await;
    }
    for order in ["1002", "1004"] {
        rig.returns_once(order).await;
    }
    rig.sweeps_whole(2).await;
    assert_eq!(refund_calls(&rig), refunds, "nothing is asked back anew");
    assert!(status(&rig).await.contains("restored from a copy"));
    rig.close().await;
}

pub(crate) async fn s011_a_copy_of_the_store_that_starts_elsewhere_moves_no_money(psp: Psp) {
    let mut rig = Rig::raise_at_with(psp, |setup| with_operator(unbraked(setup))).await;
    rig.expect_error(MOVED);
    rig.expect_error(BRAKED);
    rig.order_and_pay("1001");
    rig.settles_once("1001").await;
    rig.sigterm().await.unwrap();
    // The clone: same keys, same books, another place, and a shop that knows none of the orders.
    if let Some(elsewhere) = rig.copy_database().await {
        rig.setup_mut().store_url = elsewhere;
    } else {
        let elsewhere = store_of(&rig).with_file_name("clone.db");
        copy_store(&store_of(&rig), &elsewhere);
        rig.setup_mut().store_url = format!("sqlite:{}", elsewhere.display());
    }
    rig.write_config().unwrap();
    for order in ["1002", "1003"] {
        rig.pay(order, price());
    }
    rig.world().with(|world, now| {
        world.psp.authorise(Some("1004"), price(), now);
    });
    rig.restart().await.unwrap();
    for order in ["1002", "1003", "1004"] {
        rig.until_held(order, "guard_store_moved").await;
        assert_eq!(rig.heard(ShopCall::Release, order), 0, "{order}");
    }
    assert_eq!(refund_calls(&rig), 0);
    assert_eq!(rig.asked(PspCall::Void, "1004"), 0);
    assert!(status(&rig).await.contains("started elsewhere"));
    // A move that was meant: the operator says so, once.
    resume(&rig).await;
    rig.returns_once("1002").await;
    rig.returns_once("1003").await;
    rig.restart().await.unwrap();
    rig.pay("1005", price());
    rig.returns_once("1005").await;
    rig.close().await;
}

pub(crate) async fn s011_a_clone_of_shop_and_keys_with_an_empty_store_takes_no_real_payment_for_an_orphan(
    psp: Psp,
) {
    let mut rig = Rig::prepare_at_with(psp, with_canary).await;
    // The clone's shop goes on with orders of its own; the payments are the real shop's.
    rig.shop(|shop| shop.place_quietly("9001", price()));
    for order in orders(1001..1005) {
        rig.pay(&order, price());
    }
    rig.world().with(|world, now| {
        world.psp.authorise(Some("1005"), price(), now);
    });
    rig.restart().await.unwrap();
    for order in orders(1001..1006) {
        rig.until_held(&order, "guard_canary_missing").await;
        assert_eq!(rig.heard(ShopCall::Release, &order), 0, "{order}");
    }
    assert_eq!(refund_calls(&rig), 0);
    assert_eq!(rig.asked(PspCall::Void, "1005"), 0);
    assert!(status(&rig).await.contains("held checkout"));
    rig.close().await;
}

pub(crate) async fn s009_silent_webhooks_are_told_on_the_page_in_the_metrics_and_in_the_log(
    psp: Psp,
) {
    let rig = Rig::raise_at(psp).await;
    let id = rig.order_and_pay("1001");
    rig.settles_once("1001").await;
    let line = "reconciled_captures_unheard{shop=\"klompen\"}";
    rig.has_taken(Told::Paid, "1001").await;
    // A sweep that ran just then may have seen the payment before its webhook was read. After one that
    // comes when the payment is known, none is unheard.
    rig.world()
        .with(|world, now| world.psp.tell_again(&id, now))
        .unwrap();
    rig.has_taken(Told::PaidAgain, "1001").await;
    rig.until_metric_is(line, 0).await;
    assert!(!status(&rig).await.contains("silent"));
    rig.lose_webhooks_of(None);
    for order in ["1002", "1003", "1004"] {
        rig.order_and_pay(order);
        rig.settles_once(order).await;
    }
    rig.until_metric(line, 3).await;
    rig.until_log("no webhook of its PSP arrives", 1).await;
    assert!(status(&rig).await.contains("webhooks are silent"));
    // The address is mended: one delivery ends the alarm.
    rig.psp(|psp| psp.heal());
    rig.order_and_pay("1005");
    rig.settles_once("1005").await;
    rig.until_answer("/status?format=text", |answer| {
        !String::from_utf8_lossy(&answer.body).contains("silent")
    })
    .await;
    rig.close().await;
}

pub(crate) async fn s042_an_old_payment_that_meets_a_new_order_of_its_number_is_held(psp: Psp) {
    let mut rig = Rig::prepare_at_with(psp, |setup| {
        setup
            .account("sweep_window", "\"30d\"")
            .account("since", "\"2020-01-01T00:00:00Z\"")
    })
    .await;
    let ago = |days| {
        let span = reconciled::core::time::Span::from_days(days);
        rig.world().now().minus(span)
    };
    // Order 1001 of before the migration was paid, and its webhook never came.
    rig.lose_webhooks("1001");
    let made = rig.world().now();
    rig.shop(|shop| {
        shop.place_quietly("1001", price());
        shop.change("1001", |order| order.created_at = Some(made));
    });
    let old = ago(9);
    rig.world()
        .with(|world, _| world.psp.pay(Some("1001"), price(), old));
    rig.restart().await.unwrap();
    rig.is_held_for("1001", "payment_older_than_order").await;
    // The new order's own money is another matter, of the same number.
    rig.shop(|shop| {
        shop.place_quietly("1002", price());
        shop.change("1002", |order| order.created_at = Some(made));
    });
    rig.pay("1002", price());
    rig.is_settled_once("1002").await;
    assert_eq!(rig.was_heard(ShopCall::Confirm, "1001"), 0);
    rig.close().await;
}
