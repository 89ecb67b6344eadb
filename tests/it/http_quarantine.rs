//! Rejected deliveries: kept within bounds, without credentials, replayable once mended.
//!
//! A replay goes through the same adapters as the first try.

use crate::support::adapters::{FIELD, SECRET, roster, sign};
use crate::support::site::{NOW_S, Site};
use crate::support::talk::{ask, post};
use reconciled::core::time::{Span, Time};
use reconciled::http::counters::{Outcome, SenderKind};
use reconciled::http::replay::{ReplayRefused, replay};
use reconciled::psp::Rejection;
use reconciled::roster::Roster;
use reconciled::store::{Appended, QuarantineBounds, Quarantined, Store};

const EVENT: &[u8] = b"{\"id\":\"evt_1\"}";
const MENDED: &str = "the secret as it is at the PSP";

/// Sends a delivery that is rejected and waits for its entry.
async fn reject(site: &Site, path: &str, secret: &str, signed_at: i64) -> Quarantined {
    let signature = sign(secret, Time::from_seconds(signed_at), EVENT);
    let fields = [
        (FIELD, signature.as_str()),
        ("Authorization", "Basic CREDENTIAL"),
        ("User-Agent", "psp/1"),
    ];
    let known = site.store.entries().len();
    let answer = ask(site.address, &post(path, &fields, EVENT)).await;
    assert!([400, 401].contains(&answer.status));
    let store = &site.store;
    store.until(|store| store.entries().len() > known).await;
    store.entries().last().unwrap().clone()
}

#[tokio::test]
async fn an_entry_says_who_when_and_why_and_keeps_only_the_signature_of_the_head() {
    let site = Site::open().await;
    let entry = reject(&site, "/webhooks/plain_nl?a=b", "wrong", NOW_S).await;
    assert_eq!(entry.sender.code(), "psp:plain_nl");
    assert_eq!(entry.received_at, Time::from_seconds(NOW_S));
    assert_eq!(entry.body, EVENT);
    assert_eq!(entry.diagnosis, Rejection::WrongSecret.diagnosis());
    let envelope: serde_json::Value = serde_json::from_str(&entry.envelope).unwrap();
    assert_eq!(envelope["method"], "POST");
    assert_eq!(envelope["query"], "a=b");
    let signature = sign("wrong", Time::from_seconds(NOW_S), EVENT);
    assert_eq!(envelope["headers"], serde_json::json!([[FIELD, signature]]));
    site.close().await;
}

#[tokio::test]
async fn s007_a_clock_that_is_off_is_told_from_forgery_and_can_be_replayed() {
    let site = Site::open().await;
    for (off, expected) in [(360, Appended::New), (-360, Appended::Duplicate)] {
        let entry = reject(&site, "/webhooks/plain_nl", SECRET, NOW_S - off).await;
        assert_eq!(
            entry.diagnosis,
            Rejection::ClockOff { seconds: off }.diagnosis()
        );
        let replayed = replay(site.store.as_ref(), &roster(SECRET), entry.id).await;
        assert_eq!(replayed.unwrap(), expected);
    }
    let kept = site.store.deliveries();
    assert_eq!(kept.len(), 1);
    assert!(kept[0].is_signed);
    assert_eq!(kept[0].received_at, Time::from_seconds(NOW_S));
    site.close().await;
}

#[tokio::test]
async fn s008_a_secret_that_was_rotated_elsewhere_is_replayed_after_the_fix_however_late() {
    let site = Site::open().await;
    reject(&site, "/webhooks/plain_nl", MENDED, NOW_S).await;
    let now = site.clock.now();
    site.clock.set(now.plus(Span::from_days(30)));
    let refused = replay(site.store.as_ref(), &roster(SECRET), 1)
        .await
        .unwrap_err();
    assert_eq!(refused.code(), "bad_signature");
    assert_eq!(
        site.store.entries().len(),
        1,
        "a refused replay costs the entry"
    );
    let replayed = replay(site.store.as_ref(), &roster(MENDED), 1)
        .await
        .unwrap();
    assert_eq!(replayed, Appended::New);
    assert!(site.store.entries().is_empty());
    assert_eq!(site.store.deliveries()[0].delivery_id, "evt_1");
    site.close().await;
}

#[tokio::test]
async fn an_old_time_does_not_help_a_forged_signature_through_a_replay() {
    let site = Site::open().await;
    reject(&site, "/webhooks/plain_nl", "forger", NOW_S - 100_000).await;
    let refused = replay(site.store.as_ref(), &roster(SECRET), 1)
        .await
        .unwrap_err();
    assert!(matches!(
        refused,
        ReplayRefused::StillRejected(Rejection::WrongSecret)
    ));
    assert!(site.store.deliveries().is_empty());
    site.close().await;
}

#[tokio::test]
async fn a_replay_of_nothing_or_for_nobody_is_refused_by_name() {
    let site = Site::open().await;
    reject(&site, "/webhooks/plain_nl", "wrong", NOW_S).await;
    let store = site.store.as_ref();
    let refused = replay(store, &roster(SECRET), 99).await.unwrap_err();
    assert_eq!(refused.code(), "unknown_entry");
    let refused = replay(store, &Roster::default(), 1).await.unwrap_err();
    assert_eq!(refused.code(), "unknown_sender");
    let mut odd = site.store.entries().remove(0);
    odd.envelope = "[]".to_owned();
    let bounds = QuarantineBounds {
        entries_max: 2,
        bytes_max: 1_000,
    };
    store.quarantine(&odd, bounds).await.unwrap();
    let odd = site.store.entries().remove(1);
    let refused = replay(store, &roster(SECRET), odd.id).await.unwrap_err();
    assert_eq!(refused.code(), "bad_envelope");
    site.store.fail(true);
    let refused = replay(store, &roster(SECRET), 1).await.unwrap_err();
    assert_eq!(refused.code(), "store_unavailable");
    site.close().await;
}

#[tokio::test]
async fn a_shop_event_in_quarantine_is_verified_and_read_again() {
    let site = Site::open().await;
    let entry = reject(&site, "/shops/klompen/events", SECRET, NOW_S).await;
    assert_eq!(entry.diagnosis, "malformed: missing_field");
    let refused = replay(site.store.as_ref(), &roster(SECRET), 1)
        .await
        .unwrap_err();
    assert_eq!(refused.code(), "malformed_event");
    let refused = replay(site.store.as_ref(), &roster(MENDED), 1)
        .await
        .unwrap_err();
    assert_eq!(refused.code(), "bad_signature");
    site.close().await;
}

#[tokio::test]
async fn a_stranger_fills_neither_the_quarantine_nor_the_log() {
    let site = Site::open().await;
    for _ in 0..120 {
        let request = post("/webhooks/plain_nl", &[(FIELD, "nonsense")], EVENT);
        assert_eq!(ask(site.address, &request).await.status, 401);
    }
    let kept = site.count(SenderKind::Psp, Outcome::Quarantined);
    let dropped = site.count(SenderKind::Psp, Outcome::QuarantineDropped);
    assert_eq!((kept, dropped), (50, 70));
    assert_eq!(site.heard.at(tracing::Level::WARN).len(), 50);
    // What holds our secret has a budget of its own.
    reject(&site, "/webhooks/plain_nl", SECRET, NOW_S - 1_000).await;
    site.store.until(|store| store.entries().len() == 51).await;
    site.close().await;
}

#[tokio::test]
async fn a_store_that_cannot_keep_an_entry_does_not_change_the_answer() {
    let site = Site::open().await;
    site.store.fail(true);
    let request = post("/webhooks/plain_nl", &[(FIELD, "nonsense")], EVENT);
    assert_eq!(ask(site.address, &request).await.status, 401);
    let counters = site.counters.clone();
    site.close().await;
    assert_eq!(
        counters.read(SenderKind::Psp, Outcome::QuarantineDropped),
        1
    );
}
