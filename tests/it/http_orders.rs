//! `GET /shops/{shop}/orders/{reference}`: opened by the shop's secret alone, never stored.
//!
//! What a checkout looks like is not this file's business.

use crate::support::adapters::SECRET;
use crate::support::failing_store::at_once;
use crate::support::site::Site;
use crate::support::talk::{Answer, ask, get};
use reconciled::core::ids::{CheckoutId, Reference, ShopId};
use reconciled::core::plan::{Reason, Verdict};
use reconciled::core::time::Time;
use reconciled::store::{CheckoutCommit, CheckoutRow, CommitUnit, Committed, JournalEntry, Store};
use std::collections::BTreeSet;

fn put(site: &Site, reference: &str, id: &str) {
    let id = CheckoutId::parse(id).unwrap();
    let at = Time::from_seconds(1);
    let entry = JournalEntry::chained("", &id, 1, at, "[]".to_owned(), "{}".to_owned());
    let row = CheckoutRow {
        id,
        shop: ShopId::parse("klompen").unwrap(),
        reference: Some(Reference::parse(reference).unwrap()),
        verdict: Verdict::Open,
        reason: Reason::ALL[0],
        since: at,
        created_at: at,
        in_suspense: None,
        wake_at: None,
        version: 1,
        head: entry.hash.clone(),
        document: String::new(),
    };
    let unit = CommitUnit {
        checkouts: vec![CheckoutCommit {
            row,
            entry,
            actions: Vec::new(),
            released: Vec::new(),
            under_way: BTreeSet::new(),
            payments: Vec::new(),
        }],
        ..CommitUnit::default()
    };
    let committed = at_once(site.store.inner().commit(&[unit]));
    assert_eq!(committed, [Committed::Done]);
}

async fn look(site: &Site, path: &str, authorization: &[&str]) -> Answer {
    let fields: Vec<_> = authorization
        .iter()
        .map(|value| ("Authorization", *value))
        .collect();
    let answer = ask(site.address, &get(path, &fields)).await;
    assert_eq!(
        answer.field("cache-control"),
        Some("no-store"),
        "{answer:?}"
    );
    answer
}

#[tokio::test]
async fn the_shop_sees_its_order() {
    let site = Site::open().await;
    put(&site, "1000042", "c1");
    put(&site, "Bestelling 12/é", "c2");
    let bearer = format!("Bearer {SECRET}");
    let answer = look(&site, "/shops/klompen/orders/1000042", &[&bearer]).await;
    assert_eq!(
        (answer.status, answer.body.as_str()),
        (200, "{\"id\":\"c1\"}")
    );
    assert_eq!(answer.field("content-type"), Some("application/json"));
    let path = "/shops/klompen/orders/Bestelling%2012%2F%C3%A9";
    assert_eq!(look(&site, path, &[&bearer]).await.body, "{\"id\":\"c2\"}");
    site.close().await;
}

#[tokio::test]
async fn without_the_shops_secret_nothing_is_told_apart() {
    let site = Site::open().await;
    put(&site, "1000042", "c1");
    let bearer = format!("Bearer {SECRET}");
    let basic = format!("Basic {SECRET}");
    let bare = SECRET.to_owned();
    let known = "/shops/klompen/orders/1000042";
    let mut bodies = Vec::new();
    for (path, authorization) in [
        (known, vec![]),
        (known, vec!["Bearer wrong"]),
        (known, vec![basic.as_str()]),
        (known, vec![bare.as_str()]),
        (known, vec![bearer.as_str(), bearer.as_str()]),
        ("/shops/klompen/orders/999", vec!["Bearer wrong"]),
        ("/shops/nobody/orders/1000042", vec![bearer.as_str()]),
    ] {
        let answer = look(&site, path, &authorization).await;
        assert_eq!(
            (answer.status, answer.problem().as_str()),
            (401, "unauthorized")
        );
        assert_eq!(answer.field("www-authenticate"), Some("Bearer"));
        bodies.push(answer.body);
    }
    bodies.dedup();
    assert_eq!(bodies.len(), 1);
    site.close().await;
}

#[tokio::test]
async fn an_order_that_is_not_there_or_cannot_be_is_told_404() {
    let site = Site::open().await;
    let bearer = format!("Bearer {SECRET}");
    let long = format!("/shops/klompen/orders/{}", "9".repeat(129));
    for path in [
        "/shops/klompen/orders/999",
        "/shops/klompen/orders/a%00b",
        &long,
    ] {
        let answer = look(&site, path, &[&bearer]).await;
        assert_eq!(
            (answer.status, answer.problem().as_str()),
            (404, "unknown_order")
        );
    }
    site.close().await;
}

#[tokio::test]
async fn a_store_that_cannot_be_read_is_told_503() {
    let site = Site::open().await;
    site.store.fail(true);
    let bearer = format!("Bearer {SECRET}");
    let answer = look(&site, "/shops/klompen/orders/1000042", &[&bearer]).await;
    assert_eq!(
        (answer.status, answer.problem().as_str()),
        (503, "store_unavailable")
    );
    assert_eq!(answer.field("retry-after"), Some("30"));
    site.close().await;
}
