//! The sandbox PSP held to Stripe's documented behaviour, call by call.
//!
//! Everything is asked through the API's bytes, as a client would.
#![cfg(test)]

use crate::core::money::{Currency, Money};
use crate::core::time::{Span, Time};
use crate::sandbox::fault::{Aim, Fault, Symptom, Times};
use crate::sandbox::outbox::DeliveryFault;
use crate::sandbox::psp::{Impossible, PspCall, PspSetup, SandboxPsp};
use crate::sandbox::sign::stripe_signature;
use crate::wire::{Headers, Method, Request, Response};
use serde_json::Value;

const KEY: &str = "sandbox-key";
const SECRET: &str = "whsec_sandbox";

fn psp() -> SandboxPsp {
    SandboxPsp::new(PspSetup {
        api_key: KEY.to_owned(),
        webhook_secret: SECRET.to_owned(),
        is_live: false,
    })
}

fn eur(minor: i64) -> Money {
    Money::new(minor, Currency::EUR)
}

fn at(seconds: i64) -> Time {
    Time::from_seconds(1_800_000_000_i64.saturating_add(seconds))
}

fn request(method: Method, url: &str, body: &str, key: Option<&str>) -> Request {
    let mut headers = Headers::new().with("authorization", &format!("Bearer {KEY}"));
    if let Some(key) = key {
        headers.push("idempotency-key", key);
    }
    Request {
        method,
        url: url.to_owned(),
        headers,
        body: body.as_bytes().to_vec(),
    }
}

fn get(psp: &mut SandboxPsp, url: &str) -> (u16, Value) {
    read(&psp.handle(&request(Method::Get, url, "", None), at(0)))
}

fn post(psp: &mut SandboxPsp, url: &str, body: &str, key: Option<&str>) -> (u16, Value) {
    read(&psp.handle(&request(Method::Post, url, body, key), at(0)))
}

fn read(reply: &Response) -> (u16, Value) {
    (reply.status, serde_json::from_slice(&reply.body).unwrap())
}

fn code(answer: &(u16, Value)) -> (u16, &str) {
    let error = &answer.1["error"];
    (
        answer.0,
        error["code"].as_str().or(error["type"].as_str()).unwrap(),
    )
}

fn types(psp: &mut SandboxPsp) -> Vec<String> {
    let taken = psp.take_deliveries(at(100));
    taken.into_iter().map(|delivery| delivery.what).collect()
}

#[test]
fn a_paid_payment_is_read_with_its_charge_expanded_or_not() {
    let mut psp = psp();
    let id = psp.pay(Some("1001"), eur(5_995), at(0));
    let (status, intent) = get(&mut psp, &format!("/v1/payment_intents/{id}"));
    assert_eq!(status, 200);
    assert_eq!(intent["status"], "succeeded");
    assert_eq!(intent["amount_received"], 5_995);
    assert_eq!(intent["currency"], "eur");
    assert_eq!(intent["metadata"]["order_reference"], "1001");
    let charge = intent["latest_charge"].as_str().unwrap().to_owned();
    let url = format!("http://127.0.0.1:1/v1/payment_intents/{id}?expand[]=latest_charge.refunds");
    let (_, expanded) = get(&mut psp, &url);
    assert_eq!(expanded["latest_charge"]["id"], charge.as_str());
    assert_eq!(
        expanded["latest_charge"]["payment_method_details"]["type"],
        "ideal"
    );
    assert_eq!(
        expanded["latest_charge"]["refunds"]["data"],
        Value::Array(vec![])
    );
    assert_eq!(
        types(&mut psp),
        ["charge.succeeded", "payment_intent.succeeded"]
    );
}

#[test]
fn deliveries_are_signed_over_their_exact_bytes_for_the_moment_they_leave() {
    let mut psp = psp();
    psp.pay(Some("1001"), eur(100), at(0));
    let now = at(50);
    for delivery in psp.take_deliveries(now) {
        let expected = stripe_signature(SECRET, now, &delivery.body);
        let shown = delivery.headers.single("stripe-signature");
        assert_eq!(shown, Some(expected.as_str()));
        let event: Value = serde_json::from_slice(&delivery.body).unwrap();
        assert_eq!(event["id"], delivery.id.as_str());
        assert_eq!(event["livemode"], false);
    }
    psp.spoil(None, Times::Next(1), DeliveryFault::WrongSecret);
    psp.pay(Some("1002"), eur(100), at(0));
    let forged = psp.take_deliveries(now).remove(0);
    let right = stripe_signature(SECRET, now, &forged.body);
    assert_ne!(
        forged.headers.single("stripe-signature"),
        Some(right.as_str())
    );
}

#[test]
fn a_wrong_key_an_unknown_address_and_an_unknown_field_are_refused() {
    let mut psp = psp();
    let mut stranger = request(Method::Get, "/v1/payment_intents", "", None);
    stranger.headers = Headers::new().with("authorization", "Bearer other");
    assert_eq!(psp.handle(&stranger, at(0)).status, 401);
    stranger.headers = Headers::new();
    assert_eq!(psp.handle(&stranger, at(0)).status, 401);
    assert_eq!(get(&mut psp, "/v1/payment_intent").0, 404);
    let missing = get(&mut psp, "/v1/payment_intents/pi_none");
    assert_eq!(code(&missing), (404, "resource_missing"));
    let unknown = get(&mut psp, "/v1/payment_intents?status=succeeded");
    assert_eq!(code(&unknown), (400, "parameter_unknown"));
    psp.change_api_key("rolled");
    assert_eq!(get(&mut psp, "/v1/payment_intents").0, 401);
}

#[test]
fn a_list_is_newest_first_in_pages_within_the_window() {
    let mut psp = psp();
    let ids: Vec<String> = (0..5)
        .map(|second| psp.pay(Some("1001"), eur(100), at(second)))
        .collect();
    let listed = |psp: &mut SandboxPsp, query: &str| {
        let (status, list) = get(psp, &format!("/v1/payment_intents?{query}"));
        assert_eq!(status, 200, "{list}");
        let rows = list["data"].as_array().unwrap().iter();
        let ids: Vec<String> = rows
            .map(|row| row["id"].as_str().unwrap().to_owned())
            .collect();
        (ids, list["has_more"].as_bool().unwrap())
    };
    let mut seen = Vec::new();
    let mut query = "limit=2".to_owned();
    loop {
        let (page, has_more) = listed(&mut psp, &query);
        query = format!("limit=2&starting_after={}", page.last().unwrap());
        seen.extend(page);
        if !has_more {
            break;
        }
    }
    let newest_first: Vec<String> = ids.iter().rev().cloned().collect();
    assert_eq!(seen, newest_first);
    let window = format!(
        "created%5Bgte%5D={}&created[lt]={}",
        at(1).seconds(),
        at(3).seconds()
    );
    assert_eq!(
        listed(&mut psp, &window).0,
        [ids[2].clone(), ids[1].clone()]
    );
    for wrong in ["limit=0", "limit=101", "limit=x", "created[gte]=soon"] {
        assert_eq!(
            get(&mut psp, &format!("/v1/payment_intents?{wrong}")).0,
            400,
            "{wrong}"
        );
    }
    let gone = get(&mut psp, "/v1/payment_intents?starting_after=pi_none");
    assert_eq!(code(&gone), (404, "resource_missing"));
}

#[test]
fn a_refund_takes_from_what_is_left_and_never_more() {
    let mut psp = psp();
    let id = psp.pay(Some("1001"), eur(10_000), at(0));
    let part = format!("payment_intent={id}&amount=4000&metadata[mark]=m1");
    let (status, refund) = post(&mut psp, "/v1/refunds", &part, None);
    assert_eq!(
        (status, &refund["status"]),
        (200, &Value::from("succeeded"))
    );
    assert_eq!(refund["metadata"]["mark"], "m1");
    let over = format!("payment_intent={id}&amount=6001");
    let refused = post(&mut psp, "/v1/refunds", &over, None);
    assert_eq!(refused.0, 400);
    assert_eq!(refused.1["error"]["param"], "amount");
    let rest = format!("payment_intent={id}");
    assert_eq!(
        post(&mut psp, "/v1/refunds", &rest, None).1["amount"],
        6_000
    );
    let again = post(&mut psp, "/v1/refunds", &rest, None);
    assert_eq!(code(&again), (400, "charge_already_refunded"));
    let (_, list) = get(&mut psp, &format!("/v1/refunds?payment_intent={id}"));
    assert_eq!(list["data"].as_array().unwrap().len(), 2);
    for amount in ["0", "-1", "1.5", "x"] {
        let odd = format!("payment_intent={id}&amount={amount}");
        assert_eq!(post(&mut psp, "/v1/refunds", &odd, None).0, 400, "{amount}");
    }
}

#[test]
fn a_key_gives_one_refund_however_often_it_is_sent_and_a_second_after_its_lifetime() {
    let mut psp = psp();
    let id = psp.pay(Some("1001"), eur(10_000), at(0));
    let body = format!("payment_intent={id}&amount=1000");
    let send = |psp: &mut SandboxPsp, body: &str, now: Time| {
        psp.handle(&request(Method::Post, "/v1/refunds", body, Some("k1")), now)
    };
    let first = send(&mut psp, &body, at(0));
    let second = send(&mut psp, &body, at(10));
    assert_eq!(first.body, second.body);
    assert_eq!(first.headers.single("idempotent-replayed"), None);
    assert_eq!(second.headers.single("idempotent-replayed"), Some("true"));
    let other = send(
        &mut psp,
        &format!("payment_intent={id}&amount=1001"),
        at(20),
    );
    assert_eq!(read(&other).1["error"]["type"], "idempotency_error");
    assert_eq!(psp.records().refunds.len(), 1);
    let day = 24 * 3_600;
    assert_eq!(send(&mut psp, &body, at(day - 1)).body, first.body);
    assert_ne!(send(&mut psp, &body, at(day)).body, first.body);
    assert_eq!(psp.records().refunds.len(), 2);
}

#[test]
fn a_key_is_in_use_while_its_first_request_takes_long() {
    let mut psp = psp();
    let id = psp.pay(Some("1001"), eur(10_000), at(0));
    let slow = Fault::delay(Span::from_seconds(5));
    psp.lay(Aim::kind(PspCall::Refund), Times::Next(1), slow);
    let body = format!("payment_intent={id}");
    let refund = request(Method::Post, "/v1/refunds", &body, Some("k"));
    assert_eq!(psp.serve(&refund, at(0)).delay, Span::from_seconds(5));
    let busy = read(&psp.serve(&refund, at(4)).reply.unwrap());
    assert_eq!(code(&busy), (409, "idempotency_key_in_use"));
    assert_eq!(psp.serve(&refund, at(5)).reply.unwrap().status, 200);
    assert_eq!(psp.records().refunds.len(), 1);
}

#[test]
fn a_lost_answer_leaves_the_refund_and_the_same_key_finds_it() {
    let mut psp = psp();
    let id = psp.pay(Some("1001"), eur(10_000), at(0));
    let refund = request(
        Method::Post,
        "/v1/refunds",
        &format!("payment_intent={id}"),
        Some("k"),
    );
    let aim = Aim::kind(PspCall::Refund).about("1001");
    psp.lay(aim, Times::Next(1), Fault::after(Symptom::Close));
    assert_eq!(psp.serve(&refund, at(0)).reply, None);
    assert_eq!(psp.records().refunds.len(), 1);
    assert_eq!(psp.serve(&refund, at(1)).reply.unwrap().status, 200);
    assert_eq!(psp.records().refunds.len(), 1);
    assert_eq!(psp.calls().len(), 2);
    assert_eq!(psp.calls()[0], (PspCall::Refund, Some("1001".to_owned())));
}

#[test]
fn a_500_after_the_effect_is_what_the_key_remembers() {
    let mut psp = psp();
    let id = psp.pay(Some("1001"), eur(10_000), at(0));
    let refund = request(
        Method::Post,
        "/v1/refunds",
        &format!("payment_intent={id}"),
        Some("k"),
    );
    let own_500 = Symptom::Status {
        code: 500,
        retry_after_s: None,
    };
    psp.lay(Aim::all(), Times::Next(1), Fault::after(own_500));
    for now in [at(0), at(1)] {
        assert_eq!(psp.serve(&refund, now).reply.unwrap().status, 500);
    }
    assert_eq!(psp.records().refunds.len(), 1);
}

#[test]
fn refunds_wait_for_the_balance_and_may_fail_later() {
    let mut psp = psp();
    let id = psp.pay(Some("1001"), eur(10_000), at(0));
    psp.set_balance_low(true, at(0));
    let (_, refund) = post(
        &mut psp,
        "/v1/refunds",
        &format!("payment_intent={id}"),
        None,
    );
    assert_eq!(refund["status"], "pending");
    assert_eq!(refund["pending_reason"], "insufficient_funds");
    psp.set_balance_low(false, at(1));
    let refund_id = refund["id"].as_str().unwrap().to_owned();
    let url = format!("/v1/refunds/{refund_id}");
    assert_eq!(get(&mut psp, &url).1["status"], "succeeded");
    psp.fail_refund_later(&refund_id, at(2)).unwrap();
    assert_eq!(
        get(&mut psp, &url).1["failure_reason"],
        "expired_or_canceled_card"
    );
    let (_, intent) = get(
        &mut psp,
        &format!("/v1/payment_intents/{id}?expand[]=latest_charge"),
    );
    assert_eq!(intent["latest_charge"]["amount_refunded"], 0);
    let told = types(&mut psp);
    for kind in [
        "refund.created",
        "charge.refunded",
        "refund.updated",
        "refund.failed",
    ] {
        assert!(told.iter().any(|known| known == kind), "{kind} in {told:?}");
    }
}

#[test]
fn a_disputed_charge_is_not_refunded() {
    let mut psp = psp();
    let id = psp.pay(Some("1001"), eur(10_000), at(0));
    let dispute = psp.dispute(&id, at(1)).unwrap();
    let refused = post(
        &mut psp,
        "/v1/refunds",
        &format!("payment_intent={id}"),
        None,
    );
    assert_eq!(code(&refused), (400, "charge_disputed"));
    let (_, list) = get(&mut psp, &format!("/v1/disputes?payment_intent={id}"));
    assert_eq!(list["data"][0]["status"], "needs_response");
    psp.close_dispute(&dispute, false, at(2)).unwrap();
    assert_eq!(
        get(&mut psp, &format!("/v1/disputes/{dispute}")).1["status"],
        "lost"
    );
}

#[test]
fn an_authorisation_is_captured_or_cancelled_once() {
    let mut psp = psp();
    let id = psp.authorise(Some("1001"), eur(10_000), at(0));
    let url = format!("/v1/payment_intents/{id}");
    let (_, intent) = get(&mut psp, &format!("{url}?expand[]=latest_charge"));
    assert_eq!(intent["status"], "requires_capture");
    assert_eq!(intent["amount_capturable"], 10_000);
    assert_eq!(intent["latest_charge"]["captured"], false);
    let refund = post(
        &mut psp,
        "/v1/refunds",
        &format!("payment_intent={id}"),
        None,
    );
    assert_eq!(code(&refund), (400, "charge_not_refundable"));
    let (_, canceled) = post(
        &mut psp,
        &format!("{url}/cancel"),
        "cancellation_reason=abandoned",
        None,
    );
    assert_eq!(canceled["status"], "canceled");
    assert_eq!(canceled["amount_capturable"], 0);
    for act in ["cancel", "capture"] {
        let late = post(&mut psp, &format!("{url}/{act}"), "", None);
        assert_eq!(code(&late), (400, "payment_intent_unexpected_state"));
        assert_eq!(late.1["error"]["payment_intent"]["status"], "canceled");
    }
    let other = psp.authorise(Some("1002"), eur(10_000), at(0));
    let capture = format!("/v1/payment_intents/{other}/capture");
    assert_eq!(
        post(&mut psp, &capture, "amount_to_capture=10001", None).0,
        400
    );
    let (_, captured) = post(&mut psp, &capture, "amount_to_capture=9000", None);
    assert_eq!(captured["amount_received"], 9_000);
}

#[test]
fn a_failed_attempt_can_be_followed_by_a_good_one() {
    let mut psp = psp();
    let id = psp.open(Some("1001"), eur(100), at(0));
    psp.fail(&id, at(1)).unwrap();
    assert_eq!(psp.records().received(&id), 0);
    psp.succeed(&id, at(2)).unwrap();
    psp.capture_again(&id, at(3)).unwrap();
    assert_eq!(psp.records().received(&id), 200);
    assert_eq!(
        psp.fail(&id, at(4)),
        Err(Impossible::WrongState {
            id: id.clone(),
            status: "paid"
        })
    );
    let (_, charges) = get(&mut psp, &format!("/v1/charges?payment_intent={id}"));
    assert_eq!(charges["data"].as_array().unwrap().len(), 3);
}

#[test]
fn staff_refunds_count_like_any_other() {
    let mut psp = psp();
    let id = psp.pay(Some("1001"), eur(10_000), at(0));
    psp.staff_refund(&id, Some(4_000), at(1)).unwrap();
    let over = format!("payment_intent={id}&amount=6001");
    assert_eq!(post(&mut psp, "/v1/refunds", &over, None).0, 400);
    psp.staff_refund(&id, None, at(2)).unwrap();
    assert!(psp.staff_refund(&id, None, at(3)).is_err());
}

#[test]
fn a_payment_of_the_other_mode_is_told_of_and_cannot_be_seen() {
    let mut psp = psp();
    let id = psp.test_mode_payment(Some("1001"), eur(100), at(0));
    let body = psp.take_deliveries(at(1)).remove(0).body;
    let event: Value = serde_json::from_slice(&body).unwrap();
    assert_eq!(event["livemode"], true);
    let hidden = get(&mut psp, &format!("/v1/payment_intents/{id}"));
    assert_eq!(code(&hidden), (404, "resource_missing"));
    for list in ["payment_intents", "charges", "events"] {
        let (_, listed) = get(&mut psp, &format!("/v1/{list}"));
        assert_eq!(listed["data"], Value::Array(vec![]), "{list}");
    }
}

#[test]
fn events_are_listed_by_type() {
    let mut psp = psp();
    psp.pay(Some("1001"), eur(100), at(0));
    psp.pay(Some("1002"), eur(100), at(1));
    let url = "/v1/events?types[]=payment_intent.succeeded&limit=100";
    let (_, list) = get(&mut psp, url);
    let rows = list["data"].as_array().unwrap();
    assert_eq!(rows.len(), 2);
    assert_eq!(
        rows[0]["data"]["object"]["metadata"]["order_reference"],
        "1002"
    );
    let (_, all) = get(&mut psp, "/v1/events");
    assert_eq!(all["data"].as_array().unwrap().len(), 4);
}

#[test]
fn a_payment_made_through_the_api_waits_for_its_payer() {
    let mut psp = psp();
    let body = "amount=5995&currency=eur&metadata[order_reference]=1001&capture_method=manual";
    let (status, intent) = post(&mut psp, "/v1/payment_intents", body, Some("k"));
    assert_eq!(
        (status, &intent["status"]),
        (200, &Value::from("requires_payment_method"))
    );
    assert_eq!(intent["capture_method"], "manual");
    for (wrong, code_wanted) in [
        ("currency=eur", "parameter_missing"),
        ("amount=1", "parameter_missing"),
        ("amount=0&currency=eur", "parameter_invalid_integer"),
        ("amount=1&currency=xxx", "parameter_invalid_integer"),
        ("amount=1&currency=eur&colour=red", "parameter_unknown"),
    ] {
        let refused = post(&mut psp, "/v1/payment_intents", wrong, None);
        assert_eq!(code(&refused), (400, code_wanted), "{wrong}");
    }
}
