//! What Adyen sends and answers, against what we make of it.
//!
//! `fixtures/adyen/signatures.json` holds the official signature vectors; the notices here are made
//! up and signed with the plain algorithm.

mod calls;
mod events;
mod noise;
mod reports;
mod signatures;

use super::{Adyen, Capture, Proofs};
use crate::core::ids::{AccountId, ActionKey, ExternalRef, ShopId};
use crate::core::money::{Currency, Money};
use crate::core::payment::{Payment, PaymentSnapshot};
use crate::core::time::Time;
use crate::psp::rules::{AccountRules, Claims};
use crate::psp::{Psp, Reading, Verification};
use crate::wire::{Headers, RawDelivery, Reply, Response};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use hmac::{Hmac, KeyInit, Mac};
use secrecy::SecretString;
use serde_json::{Value, json};
use sha2::Sha256;

const SECRET: &str = "00112233445566778899aabbccddeeff00112233445566778899aabbccddeeff";
const OTHER: &str = "ff112233445566778899aabbccddeeff00112233445566778899aabbccddeeff";
const ACCOUNT: &str = "KlompenECOM";
const PAYMENT: &str = "MADEUP0000000001";
const CHANGE: &str = "MADEUP0000000002";
const T: i64 = 1_795_000_000;

fn rules() -> AccountRules {
    AccountRules {
        account: AccountId::parse("adyen_nl").unwrap(),
        shop: ShopId::parse("klompen").unwrap(),
        reference_paths: vec!["merchantReference".to_owned()],
        reference_pattern: None,
        claims: Claims::Referenced,
        since: Some(Time::from_seconds(1_794_000_000)),
        live: true,
        is_shared: false,
    }
}

fn proofs(secrets: &[&str], login: Option<(&str, &str)>) -> Proofs {
    Proofs {
        webhook_secrets: secrets.iter().map(|one| SecretString::from(*one)).collect(),
        login: login.map(|(user, password)| (user.to_owned(), SecretString::from(password))),
    }
}

fn adyen_with(rules: AccountRules, capture: Capture, proofs: Proofs) -> Adyen {
    Adyen::new(
        rules,
        SecretString::from("made-up-api-key"),
        (ACCOUNT.to_owned(), capture),
        proofs,
        "https://checkout.adyen.test/v72/".to_owned(),
    )
}

fn adyen(capture: Capture) -> Adyen {
    adyen_with(rules(), capture, proofs(&[SECRET], None))
}

fn eur(minor: i64) -> Money {
    Money::new(minor, Currency::EUR)
}

fn id(text: &str) -> ExternalRef {
    ExternalRef::parse(text).unwrap()
}

fn at(seconds: i64) -> Time {
    Time::from_seconds(T.saturating_add(seconds))
}

/// An item about 149.95 euro, not signed yet: a modification when the event is one.
fn item(event: &str, success: &str) -> Value {
    let is_own = ["AUTHORISATION", "OFFER_CLOSED"].contains(&event);
    let (psp, original) = if is_own {
        (PAYMENT, "")
    } else {
        (CHANGE, PAYMENT)
    };
    json!({
        "additionalData": {},
        "amount": {"currency": "EUR", "value": 14_995},
        "eventCode": event,
        "eventDate": "2026-11-20T10:13:02+01:00",
        "merchantAccountCode": ACCOUNT,
        "merchantReference": "W-20417",
        "originalReference": original,
        "paymentMethod": "ideal",
        "pspReference": psp,
        "reason": "",
        "success": success,
    })
}

fn with(mut item: Value, field: &str, value: Value) -> Value {
    item[field] = value;
    item
}

/// The same item with its signature; independent of the code under test.
fn signed(mut item: Value, key: &str) -> Value {
    let text = |field: &str| item[field].as_str().unwrap_or_default().to_owned();
    let message = format!(
        "{}:{}:{}:{}:{}:{}:{}:{}",
        text("pspReference"),
        text("originalReference"),
        text("merchantAccountCode"),
        text("merchantReference"),
        item["amount"]["value"],
        item["amount"]["currency"].as_str().unwrap(),
        text("eventCode"),
        text("success"),
    );
    let mut mac = Hmac::<Sha256>::new_from_slice(&hex::decode(key).unwrap()).unwrap();
    mac.update(message.as_bytes());
    let signature = STANDARD.encode(mac.finalize().into_bytes());
    item["additionalData"]["hmacSignature"] = signature.into();
    item
}

fn notice(items: &[Value]) -> Vec<u8> {
    let items: Vec<Value> = items
        .iter()
        .map(|item| json!({"NotificationRequestItem": item}))
        .collect();
    json!({"live": "true", "notificationItems": items})
        .to_string()
        .into_bytes()
}

fn verify(account: &Adyen, headers: &Headers, body: &[u8]) -> Verification {
    let delivery = RawDelivery {
        method: "POST",
        headers,
        query: "",
        body,
    };
    account.verify(&delivery, at(0))
}

/// What verified items say, each in a notice of its own, received a second apart.
fn told(capture: Capture, items: &[Value]) -> Vec<PaymentSnapshot> {
    let account = adyen(capture);
    let mut seen = Vec::new();
    for (place, item) in (0_i64..).zip(items) {
        let body = notice(&[signed(item.clone(), SECRET)]);
        let verified = verify(&account, &Headers::new(), &body);
        assert_eq!(verified, Verification::Signed { delivery_id: None });
        match account.read(&body, true, at(place)).unwrap() {
            Reading::Seen { payments, hints } => {
                assert!(hints.is_empty());
                seen.extend(payments);
            }
            Reading::Ignored { .. } => {}
        }
    }
    seen
}

/// What is known of the one payment after all of them, in this order.
fn known(capture: Capture, items: &[Value]) -> Payment {
    use crate::core::lattice::Join;
    let mut payment = Payment::default();
    for seen in told(capture, items) {
        assert_eq!(seen.payment.id, id(PAYMENT));
        payment.join(&Payment::from_snapshot(&seen));
    }
    payment
}

fn answered(status: u16, body: &Value) -> Reply {
    Ok(Response {
        status,
        headers: Headers::new(),
        body: body.to_string().into_bytes(),
    })
}

fn own_key() -> ActionKey {
    ActionKey::parse("refund-adyen_nl.MADEUP0000000001-1").unwrap()
}
