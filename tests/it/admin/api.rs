//! The operators' API: lists and their parameters, rulings and their refusals, deliveries.

use super::world::{Asked, Made, World, ago, by_operator, now, shop};
use reconciled::core::fact::{Ruling, RulingKind};
use reconciled::core::ids::CheckoutId;
use reconciled::core::plan::RulingRefused;
use reconciled::desk::DeskError;
use reconciled::store::{ParkedDelivery, Quarantined, Sender, StoreError};
use serde_json::json;
use std::collections::BTreeSet;

const RULINGS: &str = "/api/v1/checkouts/ck_1/rulings";

fn ids(answer: &serde_json::Value) -> Vec<&str> {
    let list = answer["checkouts"].as_array().unwrap();
    list.iter()
        .map(|shown| shown["id"].as_str().unwrap())
        .collect()
}

fn four() -> World {
    let at = |id, seconds| Made {
        since: ago(seconds),
        ..Made::confirming(id)
    };
    World::with_rows([
        at("ck_3", 30),
        at("ck_1", 900),
        Made::settled("ck_4"),
        at("ck_2", 60),
    ])
}

#[tokio::test]
async fn the_list_is_filtered_and_begins_with_the_oldest_trouble() {
    let running = four().start();
    for (query, expected) in [
        ("", vec!["ck_1", "ck_2", "ck_4", "ck_3"]),
        ("?verdict=confirming", vec!["ck_1", "ck_2", "ck_3"]),
        ("?verdict=settled,held", vec!["ck_4"]),
        (
            "?verdict=settled&verdict=confirming&min_age=45s",
            vec!["ck_1", "ck_2", "ck_4"],
        ),
        ("?min_age=15m", vec![]),
        ("?min_age=14m", vec!["ck_1"]),
        (
            "?shop=klompen&limit=500",
            vec!["ck_1", "ck_2", "ck_4", "ck_3"],
        ),
        ("?shop=other", vec![]),
        ("?shop=klompen&reference=1000043", vec!["ck_2"]),
        ("?reference=1000099", vec![]),
    ] {
        let answer = running
            .get(&format!("/api/v1/checkouts{query}"), "*/*")
            .await;
        assert_eq!(answer.status, 200, "{query}: {}", answer.body);
        assert_eq!(ids(&answer.json()), expected, "{query}");
        assert_eq!(answer.json()["next_cursor"], json!(null), "{query}");
    }
}

#[tokio::test]
async fn pages_follow_each_other_without_gap_or_repetition() {
    let running = four().start();
    let mut all = Vec::new();
    let mut path = "/api/v1/checkouts?limit=1".to_owned();
    loop {
        let page = running.get(&path, "*/*").await.json();
        all.extend(ids(&page).into_iter().map(ToOwned::to_owned));
        match page["next_cursor"].as_str() {
            Some(cursor) => path = format!("/api/v1/checkouts?limit=1&cursor={cursor}"),
            None => break,
        }
    }
    assert_eq!(all, ["ck_1", "ck_2", "ck_4", "ck_3"]);
    let html = running
        .get("/api/v1/checkouts?limit=1&verdict=confirming", "text/html")
        .await;
    assert!(
        html.body
            .contains("/api/v1/checkouts?limit=1&#38;verdict=confirming&#38;cursor=")
    );
}

#[tokio::test]
async fn a_bad_parameter_is_named_with_what_is_accepted() {
    let running = four().start();
    for (query, parameter, accepted) in [
        ("verdict=paid", "verdict", "open, matching"),
        ("min_age=15", "min_age", "90s, 15m, 72h or 3d"),
        ("limit=0", "limit", "from 1 to 500"),
        ("limit=501", "limit", "from 1 to 500"),
        ("cursor=xx", "cursor", "next_cursor"),
        ("shop=a%20b", "shop", "shop's key"),
        ("reference=%00", "reference", "printable"),
        ("limit=1&limit=2", "limit", "once"),
    ] {
        let answer = running
            .get(&format!("/api/v1/checkouts?{query}"), "*/*")
            .await;
        assert_eq!(answer.status, 400, "{query}");
        assert_eq!(answer.code(), "bad_request");
        let problem = answer.json();
        assert_eq!(problem["parameter"], parameter, "{query}");
        let detail = problem["detail"].as_str().unwrap();
        assert!(detail.contains(accepted), "{query}: {detail}");
        assert!(!detail.contains("paid"), "no echo: {detail}");
    }
    let stranger = running.get("/api/v1/checkouts?verdicts=open", "*/*").await;
    assert_eq!(stranger.code(), "bad_request");
    assert!(
        stranger.json()["detail"]
            .as_str()
            .unwrap()
            .contains("shop, verdict, min_age")
    );
    let negative = running.get("/api/v1/checkouts/ck_1?after=-1", "*/*").await;
    assert_eq!(negative.json()["parameter"], "after");
}

#[tokio::test]
async fn a_ruling_reaches_the_desk_with_its_name_note_and_version() {
    let running = World::default().start();
    let body =
        r#"{"ruling": "refund", "note": " customer called ", "overrides": ["auto_refund_limit"]}"#;
    let mut request = by_operator(RULINGS, body);
    request
        .headers_mut()
        .insert("if-match", "\"5\"".parse().unwrap());
    let answer = running.send(request).await;
    assert_eq!(answer.status, 200, "{}", answer.body);
    assert_eq!(answer.json()["verdict"], "settled");
    assert_eq!(answer.headers["etag"], "\"5\"");
    let ruling = Ruling {
        at: now(),
        ruling: RulingKind::Refund,
        by: "oncall".to_owned(),
        note: "customer called".to_owned(),
        overrides: BTreeSet::from(["auto_refund_limit".to_owned()]),
    };
    let id = CheckoutId::parse("ck_1").unwrap();
    assert_eq!(running.asked(), [Asked::Rule(id, ruling, Some(5))]);
}

#[tokio::test]
async fn a_ruling_that_is_not_understood_never_reaches_the_desk() {
    let running = World::default().start();
    for body in [
        "",
        "null",
        r#"["refund", "note"]"#,
        r#"{"ruling": "refund"}"#,
        r#"{"ruling": "refund", "note": ""}"#,
        r#"{"ruling": "refund", "note": "   "}"#,
        r#"{"ruling": "refund", "note": "a\u0000b"}"#,
        r#"{"ruling": "Refund", "note": "x"}"#,
        r#"{"ruling": "refund", "note": "x", "overide": []}"#,
        r#"{"ruling": "refund", "note": "x", "overrides": ["NO"]}"#,
        r#"{"ruling": "refund", "note": "x", "overrides": "all"}"#,
        r#"{"ruling": "refund", "note": "x", "note": "y"}"#,
        r#"{"ruling": "refund", "note": "x"} {}"#,
    ] {
        let answer = running.post(RULINGS, body).await;
        assert_eq!(
            (answer.status.as_u16(), answer.code().as_str()),
            (400, "bad_request"),
            "{body}"
        );
    }
    let long = format!(r#"{{"ruling": "refund", "note": "{}"}}"#, "x".repeat(1_001));
    assert_eq!(
        running.post(RULINGS, &long).await.json()["pointer"],
        "/note"
    );
    let huge = format!(
        r#"{{"ruling": "refund", "note": "{}"}}"#,
        "x".repeat(20_000)
    );
    assert_eq!(running.post(RULINGS, &huge).await.code(), "body_too_large");
    for tag in ["5", "W/\"5\"", "\"x\"", "\"5\", \"6\""] {
        let mut request = by_operator(RULINGS, r#"{"ruling": "retry", "note": "x"}"#);
        request
            .headers_mut()
            .insert("if-match", tag.parse().unwrap());
        let answer = running.send(request).await;
        assert_eq!(answer.json()["parameter"], "If-Match", "{tag}");
    }
    assert_eq!(running.asked(), []);
}

async fn refusal(answer: fn() -> DeskError) -> super::world::Answer {
    let world = World {
        answer: Box::new(move || Err(answer())),
        ..World::default()
    };
    let body = r#"{"ruling": "refund", "note": "x"}"#;
    world.start().post(RULINGS, body).await
}

#[tokio::test]
async fn a_refused_ruling_says_which_guard_refused_it() {
    let refused = refusal(|| {
        DeskError::Refused(RulingRefused {
            guard: "auto_refund_limit",
            detail: "600.00 EUR is above 500.00 EUR".to_owned(),
            may_override: true,
        })
    })
    .await;
    assert_eq!(refused.code(), "ruling_refused");
    assert_eq!(refused.json()["guard"], "auto_refund_limit");
    assert_eq!(refused.json()["may_override"], true);
    assert_eq!(refused.json()["detail"], "600.00 EUR is above 500.00 EUR");
    let moved = refusal(|| DeskError::Moved { version: 7 }).await;
    assert_eq!(
        (moved.status.as_u16(), moved.code().as_str()),
        (409, "checkout_moved")
    );
    assert_eq!(moved.json()["version"], 7);
    let missing = refusal(|| DeskError::NotFound).await;
    assert_eq!(missing.code(), "unknown_checkout");
    let down =
        refusal(|| DeskError::Store(StoreError::Unavailable("secret path".to_owned()))).await;
    assert_eq!(down.code(), "store_unavailable");
    assert_eq!(down.headers["retry-after"], "5");
    assert!(!down.body.contains("secret path"));
}

#[tokio::test]
async fn settled_orders_are_asked_about_again_by_an_operator_with_a_moment_and_a_reason() {
    let running = World::default().start();
    let path = "/api/v1/shops/klompen/recheck";
    let body = r#"{"since": "2026-11-20T10:00:00Z", "note": "restored"}"#;
    let asked = running.post(path, body).await;
    assert_eq!(
        (asked.status.as_u16(), asked.json()),
        (202, json!({"shop": "klompen", "checkouts": 2}))
    );
    let unknown = running.post("/api/v1/shops/other/recheck", body).await;
    assert_eq!(unknown.code(), "unknown_shop");
    for (body, pointer) in [
        (r#"{"since": "tomorrow", "note": "x"}"#, "/since"),
        (
            r#"{"since": "2026-11-21T10:00:01Z", "note": "x"}"#,
            "/since",
        ),
        (r#"{"since": "2026-11-20T10:00:00Z", "note": " "}"#, "/note"),
    ] {
        let refused = running.post(path, body).await;
        assert_eq!(refused.json()["pointer"], pointer, "{body}");
    }
    assert_eq!(
        running.post(path, r#"{"note": "x"}"#).await.code(),
        "bad_request"
    );
    let expected = [Asked::Recheck(shop(), ago(86_400), "restored".to_owned())];
    assert_eq!(running.asked(), expected);
}

#[tokio::test]
async fn a_brake_is_released_and_a_sweep_started_by_name() {
    let running = World::default().start();
    let resumed = running
        .post("/api/v1/shops/klompen/resume", r#"{"note": "limits fit"}"#)
        .await;
    assert_eq!(resumed.json(), json!({"shop": "klompen", "checkouts": 3}));
    let unknown = running
        .post("/api/v1/shops/other/resume", r#"{"note": "x"}"#)
        .await;
    assert_eq!(unknown.code(), "unknown_shop");
    let silent = running.post("/api/v1/shops/klompen/resume", "{}").await;
    assert_eq!(silent.code(), "bad_request");
    let all = running
        .post("/api/v1/sweeps", r#"{"since": "2026-11-20T10:00:00Z"}"#)
        .await;
    assert_eq!(
        (all.status.as_u16(), all.json()),
        (202, json!({"accounts": 1}))
    );
    let stranger = running
        .post("/api/v1/sweeps", r#"{"account": "nobody"}"#)
        .await;
    assert_eq!(stranger.code(), "unknown_account");
    for since in ["2026-11-21T10:00:01Z", "yesterday", "2026-11-20"] {
        let body = format!(r#"{{"since": "{since}"}}"#);
        let answer = running.post("/api/v1/sweeps", &body).await;
        assert_eq!(answer.json()["pointer"], "/since", "{since}");
    }
    assert_eq!(
        running.asked(),
        [
            Asked::Release(shop(), "oncall".to_owned(), "limits fit".to_owned()),
            Asked::Sweep(None, Some(ago(86_400))),
        ]
    );
}

#[tokio::test]
async fn deliveries_set_aside_are_listed_without_their_content() {
    let mut world = World::default();
    world.stock.parked = vec![ParkedDelivery {
        id: 7,
        sender: Sender::parse("psp:stripe_nl").unwrap(),
        delivery_id: "evt_1".to_owned(),
        received_at: ago(60),
        why: "not_json".to_owned(),
    }];
    world.stock.quarantined = vec![Quarantined {
        id: 1,
        sender: Sender::parse("shop:klompen").unwrap(),
        received_at: ago(60),
        diagnosis: "clock off by 400 s".to_owned(),
        envelope: "{\"secret\": 1}".to_owned(),
        body: b"someone@example".to_vec(),
    }];
    let running = world.start();
    assert_eq!(
        running.get("/api/v1/parked", "*/*").await.json(),
        json!({"deliveries": [{"id": ago(60).micros(), "sender": "psp:stripe_nl", "delivery_id": "evt_1",
            "received_at": "2026-11-21T09:59:00Z", "why": "not_json"}]})
    );
    assert_eq!(
        running
            .get("/api/v1/quarantine?limit=1", "*/*")
            .await
            .json(),
        json!({"deliveries": [{"id": 1, "sender": "shop:klompen", "body_bytes": 15,
            "received_at": "2026-11-21T09:59:00Z", "why": "clock off by 400 s"}]})
    );
    let text = running.get("/api/v1/quarantine", "text/plain").await;
    assert_eq!(
        text.body,
        "1  2026-11-21T09:59:00Z  shop:klompen  clock off by 400 s\n"
    );
}

#[tokio::test]
async fn a_replay_verifies_again_and_says_what_came_of_it() {
    let running = World::default().start();
    let replay = |id: &str| format!("/api/v1/quarantine/{id}/replay");
    let taken = running.post(&replay("1"), "").await;
    assert_eq!(taken.json(), json!({"id": 1, "outcome": "accepted"}));
    let again = running.post(&replay("2"), "{}").await;
    assert_eq!(again.code(), "replay_refused");
    assert_eq!(again.json()["detail"], "wrong secret<U+001B>[2J");
    for missing in ["3", "x", "99999999999999999999"] {
        let answer = running.post(&replay(missing), "{}").await;
        assert_eq!(answer.code(), "unknown_entry", "{missing}");
    }
}
