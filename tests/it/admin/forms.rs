//! The three forms of a page, and that nothing on it is ever markup of others.

use super::world::{Made, World, decision, entry, now};
use reconciled::core::fact::{Fact, Ruling, RulingKind};
use reconciled::core::ids::Reference;
use reconciled::core::plan::{Reason, Verdict};
use reconciled::store::{ParkedDelivery, Quarantined, Sender};
use std::collections::BTreeSet;

const NASTY: &str = "<script>alert('x')</script>\"&\u{202e}";

fn nasty_world() -> World {
    let mut world = World::with_rows([Made::confirming("ck_1")]);
    let row = &mut world.stock.rows[0].row;
    row.reference = Some(Reference::parse("<b>&\"1'").unwrap());
    let ruling = Ruling {
        at: now(),
        ruling: RulingKind::Hold,
        by: NASTY.to_owned(),
        note: NASTY.to_owned(),
        overrides: BTreeSet::new(),
    };
    let quiet = decision(Verdict::Held, Reason::OperatorHold, Vec::new());
    world.stock.journal = vec![entry(1, now(), &[Fact::RulingMade(ruling)], &quiet)];
    world.stock.parked = vec![ParkedDelivery {
        id: 1,
        sender: Sender::parse("psp:stripe_nl").unwrap(),
        delivery_id: NASTY.to_owned(),
        received_at: now(),
        why: NASTY.to_owned(),
    }];
    world.stock.quarantined = vec![Quarantined {
        id: 1,
        sender: Sender::parse("shop:klompen").unwrap(),
        received_at: now(),
        diagnosis: NASTY.to_owned(),
        envelope: NASTY.to_owned(),
        body: NASTY.as_bytes().to_vec(),
    }];
    world
}

const PAGES: [&str; 5] = [
    "/status",
    "/api/v1/checkouts",
    "/api/v1/checkouts/ck_1",
    "/api/v1/parked",
    "/api/v1/quarantine",
];

#[tokio::test]
async fn what_others_wrote_is_never_markup_and_never_turns_a_line() {
    let running = nasty_world().start();
    for path in PAGES {
        let html = running.get(path, "text/html").await;
        assert_eq!(html.status, 200, "{path}");
        assert_eq!(html.headers["content-type"], "text/html; charset=utf-8");
        for bad in ["<script", "<b>", "alert('", "\u{202e}", "Klompen & <Zoon>"] {
            assert!(!html.body.contains(bad), "{bad:?} in {path}: {}", html.body);
        }
        let text = running.get(path, "text/plain").await;
        assert!(!text.body.contains('\u{202e}'), "{path}");
    }
    let story = running.get("/api/v1/checkouts/ck_1", "text/html").await;
    assert!(
        story.body.contains("&#60;b&#62;&#38;&#34;1&#39;"),
        "{}",
        story.body
    );
    assert!(story.body.contains("&#60;script&#62;"));
    assert!(story.body.contains("&#60;U+202E&#62;"));
}

#[tokio::test]
async fn pages_are_whole_without_script_and_load_only_the_style_sheet() {
    let running = nasty_world().start();
    for path in PAGES {
        let body = running.get(path, "text/html").await.body;
        assert!(body.starts_with("<!doctype html>"), "{path}");
        assert_eq!(body.matches("<link").count(), 1, "{path}");
        for absent in ["<img", "style=", "onclick", "http://", "https://", "src="] {
            assert!(!body.contains(absent), "{absent} in {path}");
        }
        assert!(body.contains("name=\"viewport\""), "{path}");
    }
    let sheet = running.get("/status.css", "*/*").await;
    assert_eq!(sheet.headers["content-type"], "text/css; charset=utf-8");
    assert!(!sheet.body.contains("url("));
}

#[tokio::test]
async fn every_count_on_the_page_leads_to_its_list() {
    let running = nasty_world().start();
    let body = running.get("/status", "text/html").await.body;
    for link in [
        "/api/v1/checkouts?shop=klompen&#38;verdict=confirming",
        "/api/v1/checkouts/ck_1",
        "/api/v1/parked",
        "/api/v1/quarantine",
    ] {
        assert!(body.contains(&format!("href=\"{link}\"")), "{link}");
    }
}

#[tokio::test]
async fn the_form_follows_the_question() {
    let running = World::default().start();
    for (path, accept, kind) in [
        (
            "/status",
            "text/html,application/xhtml+xml,*/*;q=0.8",
            "text/html; charset=utf-8",
        ),
        ("/status", "*/*", "application/json"),
        ("/status", "application/json, text/html", "application/json"),
        ("/status", "text/plain", "text/plain; charset=utf-8"),
        (
            "/status",
            "text/html; q=0, application/json",
            "application/json",
        ),
        ("/status?format=json", "text/html", "application/json"),
        ("/status?format=html", "*/*", "text/html; charset=utf-8"),
        (
            "/status?format=text",
            "text/html",
            "text/plain; charset=utf-8",
        ),
    ] {
        let answer = running.get(path, accept).await;
        assert_eq!(answer.headers["content-type"], kind, "{path} {accept}");
    }
    let refused = running.get("/status?format=xml", "*/*").await;
    assert_eq!(
        (refused.status.as_u16(), refused.code().as_str()),
        (400, "bad_request")
    );
    assert_eq!(refused.json()["parameter"], "format");
}

#[tokio::test]
async fn an_empty_list_says_so() {
    let running = World::default().start();
    for (path, words) in [
        ("/api/v1/checkouts", "No checkout fits."),
        ("/api/v1/parked", "There are none."),
        ("/api/v1/quarantine", "There are none."),
        ("/status", "Nothing waits."),
    ] {
        let body = running.get(path, "text/html").await.body;
        assert!(body.contains(words), "{path}: {body}");
    }
}
