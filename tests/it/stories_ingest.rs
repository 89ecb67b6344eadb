//! Scenarios 1 to 16 of the catalogue: what arrives at the door, and what does not.
//!
//! The real binary over real sockets. A test's name begins with the scenario's number.

use crate::support::scene::{OPERATOR_TOKEN, price};
use crate::support::{Psp, Rig};
use futures_util::future::join_all;
use reconciled::core::time::Span;
use reconciled::sandbox::fault::Times;
use reconciled::sandbox::outbox::{Delivery, DeliveryFault};
use reconciled::sandbox::psp::{SandboxPsp, Told};
use reconciled::sandbox::rig::Setup;
use reconciled::sandbox::shop::ShopCall;
use reconciled::sandbox::sign::stripe_signature;
use reconciled::sandbox::world::WEBHOOK_SECRET;
use reconciled::wire::{Headers, Method};
use serde_json::Value;
use sqlx::ConnectOptions;
use std::time::Duration;

fn with_operator(mut setup: Setup) -> Setup {
    setup.operator_token = Some(OPERATOR_TOKEN.to_owned());
    setup
}

/// Sends a delivery as a stranger, a proxy or a second worker of the PSP would; the status.
async fn send(rig: &Rig, delivery: &Delivery) -> u16 {
    let path = delivery.target(&rig.webhook_path());
    let (headers, body) = (&delivery.headers, &delivery.body);
    let sent = rig.public_call(delivery.method, &path, headers, body);
    sent.await.unwrap().status
}

async fn post(rig: &Rig, headers: &Headers, body: &[u8]) -> u16 {
    let path = rig.webhook_path();
    let sent = rig.public_call(Method::Post, &path, headers, body);
    sent.await.unwrap().status
}

/// A body under the account's true signature.
async fn post_signed(rig: &Rig, body: &[u8]) -> u16 {
    let signature = stripe_signature(WEBHOOK_SECRET, rig.world().now(), body);
    let headers = Headers::new()
        .with("stripe-signature", &signature)
        .with("content-type", "application/json");
    post(rig, &headers, body).await
}

fn deliveries(outcome: &str) -> String {
    format!("reconciled_deliveries_total{{sender=\"psp\",outcome=\"{outcome}\"}}")
}

/// The ids of the PSP's events that tell this of a payment.
fn events(rig: &Rig, told: Told, payment: &str) -> Vec<String> {
    rig.psp(|psp| {
        let events = psp.records().events.values();
        let fitting = events.filter(|event| event.told == Some(told) && event.payment == payment);
        fitting.map(|event| event.id.clone()).collect()
    })
}

pub(crate) async fn s001_a_forged_claim_about_a_real_unpaid_payment_leaves_its_order_open(
    psp: Psp,
) {
    let rig = Rig::raise_at(psp).await;
    rig.place("1001", price());
    let open = |psp: &mut SandboxPsp, now| psp.open(Some("1001"), price(), now);
    let id = rig.world().with(|world, now| open(&mut world.psp, now));
    rig.until("1001", |view| view.payments.len() == 1).await;
    // The forger knows everything about the payment, but not the secret.
    let mut forger = rig.forger();
    forger.spoil(None, Times::Always, DeliveryFault::WrongSecret);
    let now = rig.world().now();
    assert_eq!(open(&mut forger, now), id);
    forger.succeed(&id, now).unwrap();
    let claims = forger.take_deliveries(now);
    let count = u64::try_from(psp.told_of_payment).unwrap();
    assert_eq!(claims.len(), psp.told_of_payment);
    for claim in &claims {
        assert_eq!(send(&rig, claim).await, 401);
        let unsigned = Headers::new().with("content-type", "application/json");
        assert_eq!(post(&rig, &unsigned, &claim.body).await, 401);
    }
    rig.until_metric(&deliveries("wrong_secret"), count).await;
    rig.until_metric(&deliveries("missing_signature"), count)
        .await;
    assert_eq!(rig.metric(&deliveries("accepted")).await, Some(0));
    let view = rig.until_verdict("1001", "open").await;
    assert_eq!(view.payments[0].status, "pending");
    assert_eq!(rig.was_heard(ShopCall::Confirm, "1001"), 0);
    // Once the payer has truly paid, the same order settles.
    let paid = rig.world().with(|world, now| world.psp.succeed(&id, now));
    paid.unwrap();
    rig.is_settled_once("1001").await;
    rig.close().await;
}

pub(crate) async fn s002_events_replayed_after_everything_about_them_was_pruned_change_nothing(
    psp: Psp,
) {
    let mut rig = Rig::raise_at(psp).await;
    rig.shop(|shop| shop.set_careless(true));
    let kept = rig.place_and_pay("1001");
    let returned = rig.pay("1002", price());
    rig.is_settled_once("1001").await;
    rig.is_returned_once("1002").await;
    rig.sigterm().await.unwrap();
    let setup = rig.setup_mut();
    setup.more = "[retention]\nbodies = \"1s\"\ncheckouts = \"1s\"".to_owned();
    // What is forgotten is too old to be refunded: no other configuration is taken.
    *setup = setup.clone().policy("refund_within", "\"1s\"");
    rig.write_config().unwrap();
    rig.pass(Duration::from_millis(1_500)).await.unwrap();
    rig.restart().await.unwrap();
    // Bodies first, then the ids by which repetitions are known, then what is at rest.
    rig.until_log("pruned what is past its retention", 3).await;
    let paid = Told::Paid;
    let old = [events(&rig, paid, &kept), events(&rig, paid, &returned)].concat();
    assert_eq!(old.len(), 2);
    // A stranger who kept a copy cannot make the timestamp new.
    let mut copy = rig.psp(|psp| psp.clone());
    let week = DeliveryFault::OldTimestamp(Span::from_days(7));
    copy.spoil(None, Times::Always, week);
    let now = rig.world().now();
    for event in &old {
        copy.resend(event, now).unwrap();
    }
    let replayed = copy.take_deliveries(now);
    assert_eq!(replayed.len(), 2);
    for delivery in &replayed {
        assert_eq!(send(&rig, delivery).await, 401);
    }
    // The PSP itself can.
    for event in &old {
        let resent = rig.world().with(|world, now| world.psp.resend(event, now));
        resent.unwrap();
    }
    rig.until_metric(&deliveries("accepted"), 2).await;
    assert_eq!(rig.metric(&deliveries("duplicate")).await, Some(0));
    rig.is_drained().await;
    rig.sweeps_whole(2).await;
    rig.is_settled_once("1001").await;
    rig.is_returned_once("1002").await;
    assert_eq!(rig.was_heard(ShopCall::Confirm, "1001"), 1);
    rig.close().await;
}

pub(crate) async fn s003_sixteen_copies_of_an_event_at_the_same_moment_confirm_once(psp: Psp) {
    let rig = Rig::raise_at(psp).await;
    rig.lose_webhooks_of(Some("1001"));
    // A second confirm would mail the customer again.
    rig.shop(|shop| shop.set_careless(true));
    let id = rig.place_and_pay("1001");
    let event = events(&rig, Told::Paid, &id).remove(0);
    let mut copy = rig.psp(|psp| psp.clone());
    copy.heal();
    let now = rig.world().now();
    copy.resend(&event, now).unwrap();
    let delivery = copy.take_deliveries(now).remove(0);
    let copies = join_all((0..16).map(|_| send(&rig, &delivery))).await;
    assert_eq!(copies, [200; 16]);
    rig.until_metric(&deliveries("accepted"), 1).await;
    assert_eq!(rig.metric(&deliveries("duplicate")).await, Some(15));
    rig.is_drained().await;
    rig.is_settled_once("1001").await;
    rig.sweeps_whole(1).await;
    assert_eq!(rig.was_heard(ShopCall::Confirm, "1001"), 1);
    rig.close().await;
}

pub(crate) async fn s004_a_failure_told_after_the_success_does_not_undo_it(psp: Psp) {
    let rig = Rig::raise_at(psp).await;
    rig.place("1001", price());
    // The first attempt fails, the second succeeds; the failure is told long after.
    let late = DeliveryFault::Delay(Span::from_seconds(3));
    let id = rig.world().with(|world, now| {
        let id = world.psp.open(Some("1001"), price(), now);
        world.psp.spoil(Some("1001"), Times::Next(2), late);
        world.psp.fail(&id, now).unwrap();
        world.psp.succeed(&id, now).unwrap();
        id
    });
    rig.is_settled_once("1001").await;
    rig.has_taken(Told::Failed, "1001").await;
    // The first event that spoke of the payment was taken after the order had settled.
    rig.is_drained().await;
    rig.sweeps_whole(1).await;
    let view = rig.until_verdict("1001", "settled").await;
    assert_eq!(view.payments[0].id, id);
    assert_eq!(view.payments[0].status, "captured");
    rig.is_settled_once("1001").await;
    rig.close().await;
}

pub(crate) async fn s005_a_checkout_closed_as_failed_reopens_for_a_second_attempt(psp: Psp) {
    let rig = Rig::raise_at(psp).await;
    rig.shop(|shop| shop.place_quietly("1001", price()));
    rig.world().with(|world, now| {
        let id = world.psp.open(Some("1001"), price(), now);
        world.psp.fail(&id, now).unwrap();
        world.psp.expire(&id, now).unwrap();
        // The same payment, tried once more: declined first, then paid.
        let again = world.psp.open(Some("1002"), price(), now);
        world.shop.place("1002", price(), now);
        world.psp.fail(&again, now).unwrap();
        world.psp.succeed(&again, now).unwrap();
    });
    let view = rig.until_verdict("1001", "closed").await;
    assert_eq!(view.reason.as_deref(), Some("payment_failed"));
    assert_eq!(view.safe_to_retry, Some(true));
    rig.pay("1001", price());
    rig.is_settled_once("1001").await;
    rig.is_settled_once("1002").await;
    rig.close().await;
}

pub(crate) async fn s006_payments_whose_orders_appear_at_once_or_much_later_or_silently_are_confirmed(
    psp: Psp,
) {
    let rig = Rig::raise_at_with(psp, |setup| setup.policy("order_grace", "\"8s\"")).await;
    for reference in ["1001", "1002", "1003"] {
        rig.pay(reference, price());
    }
    rig.pass(Duration::from_millis(50)).await.unwrap();
    rig.place("1001", price());
    rig.is_settled_once("1001").await;
    for reference in ["1002", "1003"] {
        rig.until_verdict(reference, "matching").await;
        rig.has_taken(Told::Paid, reference).await;
    }
    // The shop has said "unknown" of both before they appear.
    rig.until_world("the shop was asked", |world| {
        let was_asked = |reference: &str| {
            let mut heard = world.shop.heard().iter();
            heard.any(|one| one.reference.as_deref() == Some(reference))
        };
        was_asked("1002") && was_asked("1003")
    })
    .await;
    rig.place("1002", price());
    // This one is announced to nobody: asking finds it.
    rig.shop(|shop| shop.place_quietly("1003", price()));
    rig.is_settled_once("1002").await;
    rig.is_settled_once("1003").await;
    rig.close().await;
}

pub(crate) async fn s007_events_from_a_clock_ahead_of_ours_are_kept_and_the_sweep_confirms(
    psp: Psp,
) {
    let rig = Rig::raise_at_with(psp, with_operator).await;
    let ahead = DeliveryFault::FutureTimestamp(Span::from_minutes(6));
    rig.psp(|psp| psp.spoil(None, Times::Always, ahead));
    rig.place_and_pay("1001");
    rig.is_settled_once("1001").await;
    let count = u64::try_from(psp.told_of_payment).unwrap();
    rig.until_metric(&deliveries("clock_off"), count).await;
    assert_eq!(rig.metric(&deliveries("accepted")).await, Some(0));
    assert_eq!(rig.metric(&deliveries("wrong_secret")).await, Some(0));
    // Skew is told from forgery: a right signature, and all off by the same amount.
    let entry = quarantined(&rig, "clock off by").await;
    let why = entry["why"].as_str().unwrap();
    let is_six_minutes = ["361 s", "360 s", "359 s"]
        .iter()
        .any(|off| why.contains(off));
    assert!(is_six_minutes && why.contains("ahead of ours"), "{why}");
    // Ours was the clock that was wrong; what was kept is replayed and changes nothing more.
    let path = format!("/api/v1/quarantine/{}/replay", entry["id"]);
    let answer = rig.admin_call(Method::Post, &path, b"{}").await.unwrap();
    let body = String::from_utf8_lossy(&answer.body).into_owned();
    assert!(answer.status == 200 && body.contains("accepted"), "{body}");
    rig.is_drained().await;
    rig.is_settled_once("1001").await;
    rig.close().await;
}

/// Waits for an entry of the quarantine whose diagnosis begins so.
async fn quarantined(rig: &Rig, diagnosis: &str) -> Value {
    let fits = |entry: &&Value| {
        let why = entry["why"].as_str();
        why.is_some_and(|why| why.contains(diagnosis))
    };
    let entries = |list: &Value| list["deliveries"].as_array().cloned().unwrap_or_default();
    let path = "/api/v1/quarantine";
    let list = rig
        .until_json(path, |list| entries(list).iter().any(|entry| fits(&entry)))
        .await;
    let found = entries(&list);
    found.iter().find(fits).unwrap().clone()
}

pub(crate) async fn s008_a_secret_rotated_at_the_psp_alone_loses_nothing_and_is_replayed_after_the_fix(
    psp: Psp,
) {
    let rig = Rig::raise_at_with(psp, with_operator).await;
    rig.psp(|psp| psp.change_webhook_secret("whsec_rolled_at_the_psp"));
    rig.place_and_pay("1001");
    rig.is_settled_once("1001").await;
    let count = u64::try_from(psp.told_of_payment).unwrap();
    rig.until_metric(&deliveries("wrong_secret"), count).await;
    assert_eq!(rig.metric(&deliveries("accepted")).await, Some(0));
    let entry = quarantined(&rig, "wrong secret").await;
    let path = format!("/api/v1/quarantine/{}/replay", entry["id"]);
    // Nothing is replayed before the cause is mended.
    let answer = rig.admin_call(Method::Post, &path, b"{}").await.unwrap();
    assert_eq!(answer.status, 409);
    rig.write_config().unwrap();
    rig.signal("HUP").await.unwrap();
    rig.until_metric("reconciled_config_reloads_total{result=\"taken\"}", 1)
        .await;
    let answer = rig.admin_call(Method::Post, &path, b"{}").await.unwrap();
    let body = String::from_utf8_lossy(&answer.body).into_owned();
    assert_eq!(answer.status, 200, "{body}");
    // The PSP kept trying and is heard again, without a restart.
    rig.has_taken(Told::Paid, "1001").await;
    rig.is_drained().await;
    rig.place_and_pay("1002");
    rig.has_taken(Told::Paid, "1002").await;
    rig.is_settled_once("1002").await;
    rig.is_settled_once("1001").await;
    rig.close().await;
}

pub(crate) async fn s009_webhooks_sent_elsewhere_show_as_payments_that_only_the_sweep_found(
    psp: Psp,
) {
    let rig = Rig::raise_at(psp).await;
    rig.lose_webhooks_of(None);
    for reference in ["1001", "1002", "1003"] {
        rig.place_and_pay(reference);
    }
    for reference in ["1001", "1002", "1003"] {
        rig.is_settled_once(reference).await;
    }
    // Nothing errs anywhere: only who tells of captures shows it.
    let captures = |learned_by: &str| {
        format!("reconciled_captures_total{{shop=\"klompen\",learned_by=\"{learned_by}\"}}")
    };
    rig.until_metric(&captures("sweep"), 3).await;
    assert_eq!(rig.metric(&captures("delivery")).await, None);
    assert_eq!(rig.metric(&deliveries("accepted")).await, Some(0));
    rig.close().await;
}

pub(crate) async fn s010_an_event_of_the_other_mode_is_recorded_and_never_acted_on(psp: Psp) {
    let rig = Rig::raise_at(psp).await;
    rig.place("1001", price());
    rig.world().with(|world, now| {
        // A look-alike for an order that exists, and one for an order that does not.
        world.psp.test_mode_payment(Some("1001"), price(), now);
        world.psp.test_mode_payment(Some("1002"), price(), now);
    });
    let view = rig.until_verdict("1002", "foreign").await;
    assert_eq!(view.reason.as_deref(), Some("wrong_mode"));
    let foreign = "reconciled_decisions_total{shop=\"klompen\",verdict=\"foreign\",\
                   reason=\"wrong_mode\"}";
    rig.until_metric(foreign, 1).await;
    rig.until_answer("/status?format=text", |answer| {
        String::from_utf8_lossy(&answer.body).contains("payments of the other mode")
    })
    .await;
    rig.has_taken(Told::Paid, "1001").await;
    rig.is_drained().await;
    let view = rig.until_verdict("1001", "open").await;
    assert!(view.in_suspense.is_none(), "{view:?}");
    for reference in ["1001", "1002"] {
        let customer = rig.customer(reference);
        let moved = (customer.is_confirmed, customer.mails, customer.refunds);
        assert_eq!(moved, (false, 0, 0), "{customer:?}");
        assert_eq!(rig.was_heard(ShopCall::Confirm, reference), 0);
        assert_eq!(rig.was_heard(ShopCall::Release, reference), 0);
    }
    rig.pay("1001", price());
    rig.until_verdict("1001", "settled").await;
    assert_eq!(rig.customer("1001").mails, 1);
    rig.close().await;
}

pub(crate) async fn s012_another_integrations_payment_is_listed_as_not_ours_and_left_alone(
    psp: Psp,
) {
    let rig = Rig::raise_at_with(psp, |setup| {
        setup.account("reference_pattern", "\"^[0-9]{4}$\"")
    })
    .await;
    let notes = |name: &str, text: &str| [(name.to_owned(), text.to_owned())].into();
    let (course, other) = rig.world().with(|world, now| {
        let course = notes("course_id", "77");
        let course = world.psp.open_with(course, price(), now);
        world.psp.succeed(&course, now).unwrap();
        // Our field, but not a reference of this shop's shape.
        let other = notes("order_reference", "INV-2026-7");
        let other = world.psp.open_with(other, price(), now);
        world.psp.succeed(&other, now).unwrap();
        (course, other)
    });
    rig.place_and_pay("1001");
    rig.is_settled_once("1001").await;
    let path = "/api/v1/checkouts?verdict=foreign";
    let list = rig
        .until_json(path, |list| {
            list["checkouts"].as_array().map(Vec::len) == Some(2)
        })
        .await;
    for checkout in list["checkouts"].as_array().unwrap() {
        assert_eq!(checkout["reason"], "not_claimed");
        let id = checkout["payments"][0]["id"].as_str().unwrap();
        assert!([course.as_str(), other.as_str()].contains(&id));
    }
    rig.sweeps_whole(2).await;
    rig.world().with(|world, _| {
        assert!(world.psp.records().refunds.is_empty());
        let heard = world.shop.heard().iter();
        assert!(
            heard
                .into_iter()
                .all(|one| one.reference.as_deref() == Some("1001"))
        );
    });
    rig.close().await;
}

#[tokio::test]
async fn s014_well_signed_nonsense_is_acknowledged_and_parked_and_stops_nobody() {
    let rig = Rig::raise().await;
    rig.lose_webhooks_of(Some("1001"));
    let id = rig.place_and_pay("1001");
    let truncated = br#"{"id":"evt_truncated","object":"event","type":"payment_int"#.as_slice();
    let wrong_shape = format!(
        r#"{{"id":"evt_shape","object":"event","api_version":"2042-01-01","created":"soon",
            "livemode":"perhaps","type":"payment_intent.succeeded",
            "data":{{"object":{{"id":"{id}","object":"payment_intent","amount":[1]}}}}}}"#
    );
    let thin = format!(
        r#"{{"id":"evt_thin","object":"v2.core.event","type":"v1.payment_intent.succeeded",
            "related_object":{{"id":"{id}"}}}}"#
    );
    let depth = "[".repeat(100_000);
    for body in [
        truncated,
        wrong_shape.as_bytes(),
        thin.as_bytes(),
        b"\xff\xfe\x00",
        b"",
        depth.as_bytes(),
    ] {
        let status = post_signed(&rig, body).await;
        assert_eq!(
            status,
            200,
            "{}",
            String::from_utf8_lossy(&body[..body.len().min(40)])
        );
    }
    // A type that nobody knows is no nonsense.
    let unknown = br#"{"id":"evt_new","object":"event","type":"tulip.bloomed","created":1,
                       "livemode":false,"data":{"object":{"id":"tu_1"}}}"#;
    assert_eq!(post_signed(&rig, unknown).await, 200);
    let oversized = vec![b' '; 256 * 1024 + 1];
    assert_eq!(post_signed(&rig, &oversized).await, 413);
    let parked = |list: &Value| list["deliveries"].as_array().map(Vec::len);
    rig.until_json("/api/v1/parked", |list| parked(list) >= Some(5))
        .await;
    // The payment that the nonsense was about is read by id, and others flow.
    rig.is_settled_once("1001").await;
    rig.place_and_pay("1002");
    rig.has_taken(Told::Paid, "1002").await;
    rig.is_settled_once("1002").await;
    rig.close().await;
}

/// A small file system of its own for the store, unmounted at the end.
struct SmallDisk {
    at: std::path::PathBuf,
}

impl SmallDisk {
    fn mount(setup: &Setup) -> Option<SmallDisk> {
        let at = setup.dir.join("small");
        std::fs::create_dir(&at).unwrap();
        let mut mount = std::process::Command::new("mount");
        mount
            .args(["-t", "tmpfs", "-o", "size=48m", "tmpfs"])
            .arg(&at);
        let is_mounted = mount.output().is_ok_and(|done| done.status.success());
        is_mounted.then_some(SmallDisk { at })
    }

    /// Takes all room that is left.
    fn fill(&self) {
        use std::io::Write;
        let mut ballast = std::fs::File::create(self.at.join("ballast")).unwrap();
        for size in [1 << 20, 4096] {
            while ballast.write_all(&vec![0; size]).is_ok() {}
        }
    }

    fn empty(&self) {
        std::fs::remove_file(self.at.join("ballast")).unwrap();
    }
}

impl Drop for SmallDisk {
    fn drop(&mut self) {
        let mut umount = std::process::Command::new("umount");
        let done = umount.arg("--lazy").arg(&self.at).output();
        assert!(done.is_ok_and(|done| done.status.success()), "unmounting");
    }
}

/// A store that takes nothing any more.
enum Trouble<'a> {
    /// No room on its file system.
    Full(&'a SmallDisk),
    /// Where nothing may be mounted: somebody holds the database and does not let go.
    Taken(sqlx::SqliteConnection),
}

impl Trouble<'_> {
    /// Makes the trouble and waits until it is felt at the door.
    async fn make<'a>(rig: &Rig, disk: Option<&'a SmallDisk>) -> Trouble<'a> {
        let Some(disk) = disk else {
            let path = rig.log_path().with_file_name("reconciled.db");
            let options = sqlx::sqlite::SqliteConnectOptions::new().filename(path);
            let mut holder = options.connect().await.unwrap();
            sqlx::query("BEGIN IMMEDIATE")
                .execute(&mut holder)
                .await
                .unwrap();
            return Trouble::Taken(holder);
        };
        disk.fill();
        // Room that the store already has is used up first.
        let mut put_off = 0;
        for number in 0..10_000 {
            let pad = if put_off == 0 {
                "x".repeat(100_000)
            } else {
                String::new()
            };
            let body = format!(
                r#"{{"id":"evt_pad{number}","object":"event","type":"tulip.bloomed","pad":"{pad}",
                    "created":1,"livemode":false,"data":{{"object":{{"id":"tu_1"}}}}}}"#
            );
            match post_signed(rig, body.as_bytes()).await {
                503 => put_off = i32::saturating_add(put_off, 1),
                _ => put_off = put_off.min(1),
            }
            if put_off > 20 {
                return Trouble::Full(disk);
            }
        }
        panic!("a full disk was never felt");
    }

    async fn end(self) {
        match self {
            Trouble::Full(disk) => disk.empty(),
            Trouble::Taken(mut holder) => {
                sqlx::query("ROLLBACK").execute(&mut holder).await.unwrap();
            }
        }
    }
}

#[tokio::test]
async fn s016_with_a_full_disk_senders_are_put_off_and_nothing_is_done_outside() {
    let mut disk = None;
    let rig = Rig::raise_with(|mut setup| {
        disk = SmallDisk::mount(&setup);
        if let Some(disk) = &disk {
            setup.store_url = format!("sqlite:{}", disk.at.join("reconciled.db").display());
        }
        setup
    })
    .await;
    rig.place_and_pay("1001");
    rig.is_settled_once("1001").await;
    let trouble = Trouble::make(&rig, disk.as_ref()).await;
    let calls_before = rig.world().with(|world, _| world.shop.heard().len());
    rig.place_and_pay("1002");
    rig.pay("1003", price());
    // A database that is held on to costs the sender its patience before it gets its 503.
    let is_full = disk.is_some();
    rig.until_world("senders put off", |world| {
        let mut ends = world.psp.deliveries().iter();
        ends.any(|end| {
            let is_put_off = end.status == Some(503) || end.status.is_none() && !is_full;
            is_put_off && end.reference.as_deref() == Some("1002")
        })
    })
    .await;
    let failing = rig
        .until_answer("/readyz", |answer| answer.status == 503)
        .await;
    let failing: Value = serde_json::from_slice(&failing.body).unwrap();
    assert!(
        failing["failing"].to_string().contains("store"),
        "{failing}"
    );
    rig.until_metric(&deliveries("store_unavailable"), 1).await;
    rig.world().with(|world, _| {
        assert!(world.psp.records().refunds.is_empty());
        // Nobody is asked anything by a daemon that could not write down that it asked.
        assert_eq!(world.shop.heard().len(), calls_before);
        let mut ends = world.psp.deliveries().iter();
        let is_later = |reference: Option<&str>| reference != Some("1001");
        assert!(ends.all(|end| end.status != Some(200) || !is_later(end.reference.as_deref())));
    });
    trouble.end().await;
    rig.until_answer("/readyz", |answer| answer.status == 200)
        .await;
    rig.is_settled_once("1002").await;
    rig.is_returned_once("1003").await;
    rig.is_settled_once("1001").await;
    rig.close().await;
    drop(disk);
}
