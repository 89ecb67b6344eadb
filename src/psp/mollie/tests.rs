//! What Mollie sends and answers, against what we make of it.
//!
//! The fixtures stand in `fixtures/mollie`: official signature vectors, deliveries and answers
//! with made-up ids, and the expected readings.

mod calls;
mod deliveries;
mod inquire;
mod lists;
mod noise;
mod payments;
mod signatures;

use super::Mollie;
use crate::core::ids::{AccountId, ActionKey, ExternalRef, ShopId};
use crate::core::money::{Currency, Money};
use crate::core::payment::PaymentSnapshot;
use crate::core::time::Time;
use crate::psp::rules::{AccountRules, Claims};
use crate::psp::{Failure, Psp, PspAnswer, PspAsk, Reading, Step};
use crate::wire::{Headers, Reply, Request, Response};
use secrecy::SecretString;
use std::path::PathBuf;

const PAYMENT: &str = "tr_7MadeUpExample1";
const KEY: &str = "refund-mollie_nl.tr_7MadeUpExample1-1";
/// 2026-11-20T18:40:00Z.
const ASKED_AT: i64 = 1_795_200_000;

fn fixture(name: &str) -> Vec<u8> {
    let path = PathBuf::from(env!("CARGO_MANIFEST_DIR"))
        .join("fixtures/mollie")
        .join(name);
    std::fs::read(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

fn rules() -> AccountRules {
    AccountRules {
        account: AccountId::parse("mollie_nl").unwrap(),
        shop: ShopId::parse("klompen").unwrap(),
        reference_paths: vec![
            "metadata.order_reference".to_owned(),
            "metadata.order_id".to_owned(),
        ],
        reference_pattern: None,
        claims: Claims::Referenced,
        since: Some(Time::from_seconds(1_794_000_000)),
        live: false,
        is_shared: false,
    }
}

fn mollie_with(rules: AccountRules, secrets: &[&str]) -> Mollie {
    Mollie::new(
        rules,
        SecretString::from("test_made_up"),
        secrets.iter().copied().map(SecretString::from).collect(),
        "https://api.mollie.test/".to_owned(),
    )
}

fn mollie() -> Mollie {
    mollie_with(rules(), &["test_webhook_secret"])
}

fn id(text: &str) -> ExternalRef {
    ExternalRef::parse(text).unwrap()
}

fn key() -> ActionKey {
    ActionKey::parse(KEY).unwrap()
}

fn eur(minor: i64) -> Money {
    Money::new(minor, Currency::EUR)
}

fn ok(name: &str) -> Reply {
    answered(200, fixture(&format!("api/{name}.json")))
}

fn answered(status: u16, body: Vec<u8>) -> Reply {
    Ok(Response {
        status,
        headers: Headers::new(),
        body,
    })
}

fn step(ask: &PspAsk, replies: &[Reply]) -> Step {
    mollie().step(ask, Time::from_seconds(ASKED_AT), replies)
}

fn sent(ask: &PspAsk, replies: &[Reply]) -> Request {
    match step(ask, replies) {
        Step::Send(request) => request,
        Step::Done(answer) => panic!("nothing was sent: {answer:?}"),
    }
}

fn done(ask: &PspAsk, replies: &[Reply]) -> PspAnswer {
    match step(ask, replies) {
        Step::Done(answer) => answer,
        Step::Send(request) => panic!("still asking: {}", request.url),
    }
}

fn seen(ask: &PspAsk, replies: &[Reply]) -> PaymentSnapshot {
    let answer = done(ask, replies);
    let PspAnswer::Seen(mut payments) = answer else {
        panic!("nothing seen: {answer:?}");
    };
    assert_eq!(payments.len(), 1);
    payments.remove(0)
}

fn failed(ask: &PspAsk, replies: &[Reply]) -> Failure {
    let answer = done(ask, replies);
    let PspAnswer::Failed(failure) = answer else {
        panic!("not failed: {answer:?}");
    };
    failure
}

fn fetch(payment: &str) -> PspAsk {
    PspAsk::Fetch {
        payment: id(payment),
    }
}

fn address(request: &Request) -> &str {
    let prefix = "https://api.mollie.test";
    request.url.strip_prefix(prefix).expect("our api_base")
}

fn malformed(code: &str) -> Failure {
    Failure::Malformed(code.to_owned())
}
