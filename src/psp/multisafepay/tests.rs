//! What MultiSafepay sends and answers, against what we make of it.
//!
//! `fixtures/multisafepay/signatures.json` holds the official signature vectors and one of our
//! own; the orders here are made up.

mod calls;
mod inquire;
mod notices;

use super::MultiSafepay;
use crate::core::ids::{AccountId, ActionKey, ExternalRef, ShopId};
use crate::core::money::{Currency, Money};
use crate::core::time::Time;
use crate::psp::rules::{AccountRules, Claims};
use crate::wire::{Headers, RawDelivery, Reply, Response};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use hmac::{Hmac, KeyInit, Mac};
use secrecy::SecretString;
use sha2::Sha512;

const API_KEY: &str = "made-up-key-of-a-website";
const T: i64 = 1_795_000_000;
const KEY: &str = "refund-00112233445566-1";

fn rules() -> AccountRules {
    AccountRules {
        account: AccountId::parse("msp_nl").unwrap(),
        shop: ShopId::parse("klompen").unwrap(),
        reference_paths: vec!["order_id".to_owned()],
        reference_pattern: None,
        claims: Claims::Referenced,
        since: Some(Time::from_seconds(1_794_000_000)),
        live: true,
        is_shared: false,
    }
}

fn multisafepay_with(key: &str, previous: Option<&str>) -> MultiSafepay {
    MultiSafepay::new(
        rules(),
        SecretString::from(key),
        previous.map(SecretString::from),
        "https://api.multisafepay.test/".to_owned(),
    )
}

fn multisafepay() -> MultiSafepay {
    multisafepay_with(API_KEY, None)
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

fn sign(t: i64, body: &[u8], key: &str) -> String {
    let mut mac = Hmac::<Sha512>::new_from_slice(key.as_bytes()).unwrap();
    mac.update(t.to_string().as_bytes());
    mac.update(b":");
    mac.update(body);
    STANDARD.encode(format!("{t}:{}", hex::encode(mac.finalize().into_bytes())))
}

fn post<'a>(headers: &'a Headers, body: &'a [u8]) -> RawDelivery<'a> {
    RawDelivery {
        method: "POST",
        headers,
        query: "transactionid=someone-elses&timestamp=1",
        body,
    }
}

fn get<'a>(headers: &'a Headers, query: &'a str) -> RawDelivery<'a> {
    RawDelivery {
        method: "GET",
        headers,
        query,
        body: b"",
    }
}

/// An order as the PSP shows it; `more` are further fields.
fn order(status: &str, financial: &str, more: &str) -> String {
    format!(
        r#"{{"order_id":"1000042","transaction_id":4680345,"amount":5995,"currency":"EUR","status":"{status}","financial_status":"{financial}","created":"2026-11-20T10:00:00","payment_details":{{"type":"IDEAL"}}{more}}}"#
    )
}

fn answered(status: u16, body: &str) -> Reply {
    Ok(Response {
        status,
        headers: Headers::new(),
        body: body.as_bytes().to_vec(),
    })
}

fn shown(order: &str) -> Reply {
    answered(200, &format!(r#"{{"success":true,"data":{order}}}"#))
}
