//! `POST /webhooks/{account}` and `POST /shops/{shop}/events`: record, answer, nothing more.
//!
//! The adapters of these tests panic when they are asked to think.

use crate::support::adapters::{FIELD, SECRET, sign};
use crate::support::site::{NOW_S, Site};
use crate::support::talk::{Answer, ask, get, post};
use reconciled::core::ids::{AccountId, ShopId};
use reconciled::core::time::Time;
use reconciled::http::counters::{Outcome, SenderKind};
use reconciled::store::Sender;
use tracing::Level;

const EVENT: &[u8] = b"{\"id\":\"evt_1\",\"amount\":1}";

fn plain_nl() -> Sender {
    Sender::Psp(AccountId::parse("plain_nl").unwrap())
}

fn assert_acknowledged(answer: &Answer) {
    assert_eq!(answer.status, 200);
    assert_eq!(answer.body, "[accepted]");
    assert_eq!(answer.field("content-type"), Some("text/plain"));
}

async fn tell_shop(site: &Site, secret: &str, body: &[u8]) -> Answer {
    let signature = sign(secret, Time::from_seconds(NOW_S), body);
    let fields = [(FIELD, signature.as_str())];
    ask(site.address, &post("/shops/klompen/events", &fields, body)).await
}

#[tokio::test]
async fn a_signed_delivery_is_durable_and_acknowledged_as_the_psp_wants_it() {
    let site = Site::open().await;
    assert_acknowledged(&site.deliver(EVENT).await);
    let kept = site.store.deliveries();
    assert_eq!(kept.len(), 1);
    assert_eq!(kept[0].sender, plain_nl());
    assert_eq!(kept[0].delivery_id, "evt_1");
    assert_eq!(kept[0].body, EVENT);
    assert_eq!(kept[0].received_at, Time::from_seconds(NOW_S));
    assert!(kept[0].is_signed);
    assert_eq!(site.count(SenderKind::Psp, Outcome::Accepted), 1);
    site.close().await;
}

#[tokio::test]
async fn a_body_that_nobody_can_read_is_acknowledged_under_a_valid_signature() {
    let site = Site::open().await;
    for body in [
        b"\xff\xfe not json".as_slice(),
        b"",
        b"[1]",
        b"{\"a\":1,\"a\":2}",
    ] {
        assert_acknowledged(&site.deliver(body).await);
    }
    let kept = site.store.deliveries();
    assert_eq!(kept.len(), 4);
    assert!(
        kept.iter()
            .all(|row| row.delivery_id.starts_with("sha256:"))
    );
    site.close().await;
}

#[tokio::test]
async fn an_id_that_no_database_could_keep_is_hashed() {
    let site = Site::open().await;
    assert_acknowledged(&site.deliver(b"{\"id\":\"evt\\u0000\"}").await);
    assert!(
        site.store.deliveries()[0]
            .delivery_id
            .starts_with("id-sha256:")
    );
    site.close().await;
}

#[tokio::test]
async fn a_repetition_gets_the_same_acknowledgement_and_changes_nothing() {
    let site = Site::open().await;
    let first = site.deliver(EVENT).await;
    let again = site.deliver(EVENT).await;
    assert_eq!((first.status, first.body), (again.status, again.body));
    assert_eq!(site.store.deliveries().len(), 1);
    assert_eq!(site.count(SenderKind::Psp, Outcome::Duplicate), 1);
    site.close().await;
}

#[tokio::test]
async fn the_same_id_with_another_body_is_acknowledged_counted_and_warned_of_without_the_body() {
    let site = Site::open().await;
    assert_acknowledged(&site.deliver(EVENT).await);
    assert_acknowledged(&site.deliver(b"{\"id\":\"evt_1\",\"amount\":999}").await);
    assert_eq!(site.count(SenderKind::Psp, Outcome::Conflict), 1);
    let warned = site.heard.at(Level::WARN);
    assert_eq!(warned.len(), 1, "{warned:?}");
    assert!(warned[0].contains("psp:plain_nl") && !warned[0].contains("999"));
    site.close().await;
}

#[tokio::test]
async fn an_unsigned_delivery_is_recorded_as_a_hint() {
    let site = Site::open().await;
    let answer = ask(
        site.address,
        &post("/webhooks/hints_nl?id=tr_1", &[], b"id=tr_1"),
    )
    .await;
    assert_eq!((answer.status, answer.body.as_str()), (204, ""));
    assert_eq!(answer.field("content-type"), None);
    let answer = ask(site.address, &get("/webhooks/hints_nl?id=tr_2", &[])).await;
    assert_eq!(answer.status, 204);
    let kept = site.store.deliveries();
    assert_eq!(kept.len(), 2);
    assert!(kept.iter().all(|row| !row.is_signed));
    assert_eq!(kept[1].delivery_id, format!("id=tr_2@{NOW_S}"));
    site.close().await;
}

#[tokio::test]
async fn a_flood_of_unsigned_deliveries_is_put_off_and_signed_ones_are_not() {
    let site = Site::open().await;
    let mut taken = 0;
    for n in 0..250 {
        let path = format!("/webhooks/hints_nl?id=tr_{n}");
        let answer = ask(site.address, &post(&path, &[], b"")).await;
        if answer.status == 204 {
            taken += 1;
        } else {
            assert_eq!(answer.problem(), "overloaded");
            assert_eq!(answer.field("retry-after"), Some("5"));
        }
    }
    assert_eq!(taken, 200);
    assert_acknowledged(&site.deliver(EVENT).await);
    site.close().await;
}

#[tokio::test]
async fn unsigned_deliveries_of_one_name_within_a_second_are_one() {
    let site = Site::open().await;
    for _ in 0..3 {
        let request = post("/webhooks/hints_nl?id=tr_1", &[], b"id=tr_1");
        assert_eq!(ask(site.address, &request).await.status, 204);
    }
    assert_eq!(site.store.deliveries().len(), 1);
    site.close().await;
}

#[tokio::test]
async fn an_unknown_account_is_told_404_and_leaves_nothing() {
    let site = Site::open().await;
    for account in ["nobody", "no%20key", "a%2Fb"] {
        let request = post(&format!("/webhooks/{account}"), &[], EVENT);
        let answer = ask(site.address, &request).await;
        assert_eq!(answer.status, 404);
        assert_eq!(answer.problem(), "unknown_account");
    }
    assert_eq!(site.count(SenderKind::Psp, Outcome::UnknownSender), 3);
    assert!(site.store.deliveries().is_empty());
    site.close().await;
}

#[tokio::test]
async fn s001_a_forged_webhook_is_told_401_changes_nothing_and_learns_nothing() {
    let site = Site::open().await;
    let forged = sign("another secret", Time::from_seconds(NOW_S), EVENT);
    let mut answers = Vec::new();
    for fields in [
        vec![],
        vec![(FIELD, "nonsense")],
        vec![(FIELD, "t=1,v1=zz")],
        vec![(FIELD, forged.as_str())],
        vec![(FIELD, forged.as_str()), (FIELD, forged.as_str())],
    ] {
        let answer = ask(site.address, &post("/webhooks/plain_nl", &fields, EVENT)).await;
        assert_eq!(answer.status, 401);
        assert_eq!(answer.problem(), "bad_signature");
        answers.push(answer.body);
    }
    answers.dedup();
    assert_eq!(answers.len(), 1, "the answers differ by cause");
    assert!(site.store.deliveries().is_empty());
    assert_eq!(site.count(SenderKind::Psp, Outcome::MissingSignature), 2);
    assert_eq!(site.count(SenderKind::Psp, Outcome::MalformedSignature), 2);
    assert_eq!(site.count(SenderKind::Psp, Outcome::WrongSecret), 1);
    site.close().await;
}

#[tokio::test]
async fn a_changed_body_is_told_401() {
    let site = Site::open().await;
    let signature = sign(SECRET, Time::from_seconds(NOW_S), EVENT);
    let changed = b"{\"id\":\"evt_1\",\"amount\":2}";
    let request = post("/webhooks/plain_nl", &[(FIELD, &signature)], changed);
    assert_eq!(ask(site.address, &request).await.problem(), "bad_signature");
    site.close().await;
}

#[tokio::test]
async fn a_right_signature_of_another_time_is_told_stale_timestamp() {
    let site = Site::open().await;
    for off in [-301, 301] {
        let signature = sign(SECRET, Time::from_seconds(NOW_S + off), EVENT);
        let request = post("/webhooks/plain_nl", &[(FIELD, &signature)], EVENT);
        let answer = ask(site.address, &request).await;
        assert_eq!(answer.status, 401);
        assert_eq!(answer.problem(), "stale_timestamp");
    }
    assert_eq!(site.count(SenderKind::Psp, Outcome::ClockOff), 2);
    assert!(site.store.deliveries().is_empty());
    site.close().await;
}

#[tokio::test]
async fn a_store_that_fails_makes_503_with_a_pause_and_recovers_without_restart() {
    let site = Site::open().await;
    site.store.fail(true);
    let answer = site.deliver(EVENT).await;
    assert_eq!(answer.status, 503);
    assert_eq!(answer.problem(), "store_unavailable");
    assert_eq!(answer.field("retry-after"), Some("30"));
    let answer = tell_shop(&site, SECRET, b"{\"reference\":\"1000042\"}").await;
    assert_eq!(answer.problem(), "store_unavailable");
    assert_eq!(site.count(SenderKind::Psp, Outcome::StoreUnavailable), 1);
    assert_eq!(site.count(SenderKind::Shop, Outcome::StoreUnavailable), 1);
    site.store.fail(false);
    assert_acknowledged(&site.deliver(EVENT).await);
    assert_eq!(site.store.deliveries().len(), 1);
    site.close().await;
}

#[tokio::test]
async fn a_roster_that_was_replaced_counts_from_the_next_delivery_on() {
    let site = Site::open().await;
    let fresh = crate::support::adapters::roster("a rotated secret of these tests");
    site.roster.store(std::sync::Arc::new(fresh));
    assert_eq!(site.deliver(EVENT).await.problem(), "bad_signature");
    site.close().await;
}

#[tokio::test]
async fn a_signed_shop_event_is_durable_and_told_202() {
    let site = Site::open().await;
    let body = b"{\"id\":\"msg_1\",\"reference\":\"1000042\"}";
    for outcome in [Outcome::Accepted, Outcome::Duplicate] {
        let answer = tell_shop(&site, SECRET, body).await;
        assert_eq!((answer.status, answer.body.as_str()), (202, ""));
        assert_eq!(site.count(SenderKind::Shop, outcome), 1);
    }
    let kept = site.store.deliveries();
    assert_eq!(kept.len(), 1);
    let klompen = ShopId::parse("klompen").unwrap();
    assert_eq!(kept[0].sender, Sender::Shop(klompen));
    assert_eq!(kept[0].delivery_id, "msg_1");
    site.close().await;
}

#[tokio::test]
async fn a_malformed_shop_event_is_told_400_with_its_place_and_no_echo() {
    let site = Site::open().await;
    for (body, reason) in [
        (
            b"{\"reference\":\"a\\u202eb SECRETWORD\"}".as_slice(),
            "bad_reference",
        ),
        (b"SECRETWORD", "missing_field"),
    ] {
        let answer = tell_shop(&site, SECRET, body).await;
        assert_eq!(answer.status, 400);
        assert_eq!(answer.problem(), "malformed_event");
        let document: serde_json::Value = serde_json::from_str(&answer.body).unwrap();
        assert_eq!(document["reason"], reason);
        assert!(
            document["detail"]
                .as_str()
                .unwrap()
                .starts_with("/reference")
        );
        assert!(!answer.body.contains("SECRETWORD"));
    }
    assert_eq!(site.count(SenderKind::Shop, Outcome::Malformed), 2);
    assert!(site.store.deliveries().is_empty());
    site.close().await;
}

#[tokio::test]
async fn a_shop_event_that_is_not_the_shops_is_told_401_and_an_unknown_shop_404() {
    let site = Site::open().await;
    let body = b"{\"reference\":\"1000042\"}";
    let answer = tell_shop(&site, "another secret", body).await;
    assert_eq!(
        (answer.status, answer.problem().as_str()),
        (401, "bad_signature")
    );
    let answer = ask(site.address, &post("/shops/nobody/events", &[], body)).await;
    assert_eq!(
        (answer.status, answer.problem().as_str()),
        (404, "unknown_shop")
    );
    assert_eq!(site.count(SenderKind::Shop, Outcome::UnknownSender), 1);
    assert!(site.store.deliveries().is_empty());
    site.close().await;
}
