//! The sandbox shop held to the shop protocol, message by message.
//!
//! Everything is asked through signed bytes, as the daemon would.
#![cfg(test)]

use super::*;
use crate::core::money::Currency;
use crate::sandbox::fault::Symptom;
use crate::wire::{Headers, Method, Response};
use serde_json::Value;

fn eur(minor: i64) -> Money {
    Money::new(minor, Currency::EUR)
}

fn at(seconds: i64) -> Time {
    Time::from_seconds(1_800_000_000_i64.saturating_add(seconds))
}

fn secret() -> StandardSecret {
    StandardSecret::from_key(&[3; 32])
}

fn shop() -> SandboxShop {
    SandboxShop::new(secret())
}

fn signed(id: &str, body: &Value) -> Request {
    let body = body.to_string().into_bytes();
    Request {
        method: Method::Post,
        url: "/reconciled".to_owned(),
        headers: secret().headers(id, at(0), &body),
        body,
    }
}

fn message(what: &str, reference: &str, payment: Option<&str>, minor: i64) -> Value {
    let payments = payment.map(
        |id| json!({"account": "stripe_nl", "id": id, "amount": eur(minor), "method": "ideal"}),
    );
    let payments: Vec<Value> = payments.into_iter().collect();
    json!({"type": what, "timestamp": "2027-01-15T08:00:00Z",
           "data": {"reference": reference, "payments": payments, "amount": eur(minor), "late": false}})
}

fn answer(reply: &Response) -> (Value, u64) {
    assert_eq!(reply.status, 200);
    let read: Value = serde_json::from_slice(&reply.body).unwrap();
    (read["order"].clone(), read["epoch"].as_u64().unwrap())
}

fn ask(shop: &mut SandboxShop, what: &str, reference: &str, payment: Option<&str>) -> Value {
    let id = format!("{what}-{reference}-{payment:?}");
    let asked = signed(&id, &message(what, reference, payment, 5_000));
    answer(&shop.handle(&asked, at(0))).0
}

#[test]
fn an_order_is_confirmed_once_however_often_it_is_asked() {
    let mut shop = shop();
    shop.place("1001", eur(5_000), at(0));
    assert_eq!(
        ask(&mut shop, "order.lookup", "1001", None)["status"],
        "pending"
    );
    for _ in 0..3 {
        let order = ask(&mut shop, "order.confirm", "1001", Some("pi_1"));
        assert_eq!(order["status"], "confirmed");
        assert_eq!(order["paid_by"][0]["id"], "pi_1");
    }
    let other = ask(&mut shop, "order.confirm", "1001", Some("pi_2"));
    assert_eq!(other["paid_by"].as_array().unwrap().len(), 1);
    assert_eq!(other["paid_by"][0]["id"], "pi_1");
    assert_eq!(shop.order("1001").unwrap().mails, 1);
    assert!(shop.heard()[2].is_repeated);
    assert_eq!(
        ask(&mut shop, "order.lookup", "none", None)["status"],
        "unknown"
    );
}

#[test]
fn a_careless_shop_thanks_its_customer_again() {
    let mut shop = shop();
    shop.place("1001", eur(5_000), at(0));
    shop.set_careless(true);
    for _ in 0..2 {
        ask(&mut shop, "order.confirm", "1001", Some("pi_1"));
    }
    assert_eq!(shop.order("1001").unwrap().mails, 2);
}

#[test]
fn a_released_order_is_never_confirmed_for_those_payments() {
    let mut shop = shop();
    shop.place("1001", eur(5_000), at(0));
    let released = ask(&mut shop, "order.release", "1001", Some("pi_1"));
    assert_eq!(released["status"], "cancelled");
    assert_eq!(
        ask(&mut shop, "order.release", "late", Some("pi_2"))["status"],
        "unknown"
    );
    shop.change("1001", |order| order.is_revivable = true);
    assert_eq!(
        ask(&mut shop, "order.confirm", "1001", Some("pi_1"))["status"],
        "cancelled"
    );
    shop.place("late", eur(5_000), at(1));
    assert_eq!(
        ask(&mut shop, "order.confirm", "late", Some("pi_2"))["status"],
        "cancelled"
    );
    assert_eq!(shop.order("late").unwrap().mails, 0);
    assert_eq!(
        ask(&mut shop, "order.confirm", "late", Some("pi_3"))["status"],
        "confirmed"
    );
}

#[test]
fn a_confirm_that_is_expired_or_older_than_a_release_is_refused_unless_the_shop_is_heedless() {
    let stale = |expires: i64, decision: u32, is_heedless: bool| {
        let mut shop = shop();
        shop.place("1001", eur(5_000), at(0));
        shop.set_heedless(is_heedless);
        let mut released = message("order.release", "1001", Some("pi_9"), 5_000);
        released["data"]["decision"] = json!(3);
        shop.handle(&signed("release", &released), at(0));
        shop.change("1001", |order| order.is_revivable = true);
        let mut asked = message("order.confirm", "1001", Some("pi_1"), 5_000);
        asked["data"]["decision"] = json!(decision);
        asked["data"]["expires_at"] = json!(protocol::rfc3339(at(expires)));
        answer(&shop.handle(&signed("confirm", &asked), at(30))).0["status"].clone()
    };
    assert_eq!(stale(60, 4, false), "confirmed");
    assert_eq!(stale(20, 4, false), "cancelled", "expired");
    assert_eq!(stale(60, 2, false), "cancelled", "older than the release");
    assert_eq!(stale(20, 2, true), "confirmed");
}

#[test]
fn a_call_in_the_proxys_queue_has_its_effect_when_it_is_let_through() {
    let mut shop = shop();
    shop.place("1001", eur(5_000), at(0));
    shop.lay(
        Aim::kind(ShopCall::Confirm),
        Times::Next(1),
        Fault::before(Symptom::Queue),
    );
    let asked = signed("c", &message("order.confirm", "1001", Some("pi_1"), 5_000));
    assert_eq!(shop.serve(&asked, at(0)).reply, None);
    assert_eq!(shop.order("1001").unwrap().mails, 0);
    assert_eq!(shop.let_through(at(60)), 1);
    assert_eq!(shop.order("1001").unwrap().mails, 1);
    assert_eq!(shop.let_through(at(61)), 0);
}

#[test]
fn a_confirmed_order_is_not_given_up() {
    let mut shop = shop();
    shop.place("1001", eur(5_000), at(0));
    ask(&mut shop, "order.confirm", "1001", Some("pi_1"));
    for payment in ["pi_1", "pi_2"] {
        let order = ask(&mut shop, "order.release", "1001", Some(payment));
        assert_eq!(order["status"], "confirmed");
        assert_eq!(order["paid_by"][0]["id"], "pi_1");
    }
    let paid = |id: &str| ("stripe_nl".to_owned(), id.to_owned());
    assert!(!shop.has_released("1001", &paid("pi_1")));
    assert!(shop.has_released("1001", &paid("pi_2")));
}

#[test]
fn a_cancelled_order_comes_back_only_when_it_can() {
    let mut shop = shop();
    shop.place("1001", eur(5_000), at(0));
    shop.cancel("1001", "sold_out", at(1));
    let refused = ask(&mut shop, "order.confirm", "1001", Some("pi_1"));
    assert_eq!(
        (&refused["status"], &refused["reason"]),
        (&json!("cancelled"), &json!("sold_out"))
    );
    shop.change("1001", |order| order.is_revivable = true);
    assert_eq!(
        ask(&mut shop, "order.confirm", "1001", Some("pi_1"))["status"],
        "confirmed"
    );
}

#[test]
fn too_little_money_and_not_yet_leave_the_order_pending() {
    let mut shop = shop();
    shop.place("1001", eur(5_001), at(0));
    assert_eq!(
        ask(&mut shop, "order.confirm", "1001", Some("pi_1"))["status"],
        "pending"
    );
    shop.set_tolerance(1);
    shop.change("1001", |order| order.not_yet = 1);
    assert_eq!(
        ask(&mut shop, "order.confirm", "1001", Some("pi_1"))["status"],
        "pending"
    );
    assert_eq!(
        ask(&mut shop, "order.confirm", "1001", Some("pi_1"))["status"],
        "confirmed"
    );
}

#[test]
fn an_unsigned_or_malformed_message_is_refused_and_changes_nothing() {
    let mut shop = shop();
    shop.place("1001", eur(5_000), at(0));
    let good = message("order.confirm", "1001", Some("pi_1"), 5_000);
    let mut forged = signed("m1", &good);
    forged.headers = StandardSecret::from_key(&[9; 32]).headers("m1", at(0), &forged.body);
    assert_eq!(shop.handle(&forged, at(0)).status, 401);
    assert_eq!(shop.handle(&signed("m1", &good), at(301)).status, 401);
    assert_eq!(shop.refused_signatures(), 2);
    for wrong in [
        json!({}),
        json!({"type": "order.confirm", "timestamp": "now", "data": {"reference": "1001"}}),
        message("order.confirm", "1001", None, 5_000),
        message("order.release", "1001", None, 5_000),
        message("order.burn", "1001", Some("pi_1"), 5_000),
    ] {
        assert_eq!(
            shop.handle(&signed("m2", &wrong), at(0)).status,
            400,
            "{wrong}"
        );
    }
    let mut got = signed("m3", &good);
    got.method = Method::Get;
    assert_eq!(shop.handle(&got, at(0)).status, 405);
    assert_eq!(shop.order("1001").unwrap().standing, Standing::Pending);
}

#[test]
fn notices_are_kept_once() {
    let mut shop = shop();
    for _ in 0..2 {
        let notice = message("payment.refunded", "1001", Some("pi_1"), 5_000);
        assert_eq!(shop.handle(&signed("n1", &notice), at(0)).status, 204);
    }
    assert_eq!(shop.notices().len(), 1);
    assert_eq!(shop.notices()[0].what, "payment.refunded");
}

#[test]
fn events_are_signed_and_say_how_the_order_stands() {
    let mut shop = shop();
    shop.place_with(
        "1001",
        eur(5_995),
        &[("stripe_nl".to_owned(), "pi_1".to_owned())],
        at(0),
    );
    let now = at(7);
    let delivery = shop.take_deliveries(now).remove(0);
    let mut headers = Headers::new();
    for (name, value) in delivery.headers.iter() {
        headers.push(name, value);
    }
    assert_eq!(
        secret().verify(&headers, &delivery.body, now),
        Some(delivery.id.as_str())
    );
    let event: Value = serde_json::from_slice(&delivery.body).unwrap();
    assert_eq!(event["type"], "order.pending");
    assert_eq!(event["timestamp"], "2027-01-15T08:00:00Z");
    assert_eq!(
        event["data"]["amount"],
        json!({"value": "59.95", "currency": "EUR"})
    );
    assert_eq!(event["data"]["payments"][0]["id"], "pi_1");
}

#[test]
fn a_restored_shop_has_forgotten_and_its_epoch_went_back() {
    let mut shop = shop();
    shop.place("1001", eur(5_000), at(0));
    let backup = shop.backup();
    shop.place("1002", eur(5_000), at(1));
    let epoch = |shop: &mut SandboxShop| {
        let asked = signed("e", &message("order.lookup", "1002", None, 5_000));
        answer(&shop.handle(&asked, at(0)))
    };
    let (before, high) = epoch(&mut shop);
    shop.restore(backup);
    let (after, low) = epoch(&mut shop);
    assert_eq!(
        (&before["status"], &after["status"]),
        (&json!("pending"), &json!("unknown"))
    );
    assert!(low < high);
    shop.set_knows_nothing(true);
    assert_eq!(
        ask(&mut shop, "order.lookup", "1001", None)["status"],
        "unknown"
    );
    assert_eq!(
        ask(&mut shop, "order.confirm", "1001", Some("pi_1"))["status"],
        "unknown"
    );
    assert_eq!(shop.order("1001").unwrap().standing, Standing::Pending);
}

#[test]
fn faults_are_aimed_at_one_kind_of_call_about_one_order() {
    let mut shop = shop();
    shop.place("1001", eur(5_000), at(0));
    let aim = Aim::kind(ShopCall::Confirm).about("1001");
    shop.lay(aim, Times::Next(1), Fault::after(Symptom::Close));
    let confirm = signed("c1", &message("order.confirm", "1001", Some("pi_1"), 5_000));
    let look = signed("l1", &message("order.lookup", "1001", None, 5_000));
    assert!(shop.serve(&look, at(0)).reply.is_some());
    assert_eq!(shop.serve(&confirm, at(0)).reply, None);
    assert_eq!(shop.order("1001").unwrap().standing, Standing::Confirmed);
    assert!(shop.serve(&confirm, at(0)).reply.is_some());
    assert_eq!(shop.order("1001").unwrap().mails, 1);
}
