//! What Stripe sends and answers, against what we make of it.
//!
//! The fixtures stand in `fixtures/stripe`: official signature vectors, events and answers with
//! made-up ids, and the expected readings.

mod calls;
mod events;
mod inquire;
mod mutations;
mod signatures;

use super::Stripe;
use crate::core::ids::{AccountId, ActionKey, ExternalRef, ShopId};
use crate::core::money::{Currency, Money};
use crate::core::time::Time;
use crate::psp::rules::{AccountRules, Claims};
use crate::psp::{Failure, PspAnswer, PspAsk, Reading, Step};
use crate::wire::{Headers, Reply, Request, Response};
use secrecy::SecretString;
use std::path::PathBuf;

const INTENT: &str = "pi_3QxMadeUp000001";
const KEY: &str = "refund:stripe_nl/pi_3QxMadeUp000001:1";

fn fixture(name: &str) -> Vec<u8> {
    let path = PathBuf::from(env!("CARGO_MANIFEST_DIR"))
        .join("fixtures/stripe")
        .join(name);
    std::fs::read(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

fn rules() -> AccountRules {
    AccountRules {
        account: AccountId::parse("stripe_nl").unwrap(),
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

fn stripe_with(rules: AccountRules, secrets: &[&str]) -> Stripe {
    Stripe::new(
        rules,
        SecretString::from("rk_test_made_up"),
        secrets.iter().copied().map(SecretString::from).collect(),
        "https://api.stripe.test/".to_owned(),
    )
}

fn stripe() -> Stripe {
    stripe_with(rules(), &["whsec_test_secret"])
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
    answered(200, fixture(name))
}

fn answered(status: u16, body: Vec<u8>) -> Reply {
    Ok(Response {
        status,
        headers: Headers::new(),
        body,
    })
}
