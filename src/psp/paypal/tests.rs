//! What PayPal sends and answers, against what we make of it.
//!
//! The fixtures stand in `fixtures/paypal`: official signature vectors, test certificates, events
//! and answers with made-up ids, and what each event names.

mod calls;
mod certificates;
mod events;
mod inquire;
mod lists;
mod mutations;
mod refunds;
mod session;
mod signatures;

use super::certificate::{CertificateRules, Roots};
use super::{Credentials, Paypal};
use crate::core::ids::{AccountId, ActionKey, ExternalRef, ShopId};
use crate::core::money::{Currency, Money};
use crate::core::payment::{PaymentSnapshot, Source};
use crate::core::plan::Reason;
use crate::core::time::Time;
use crate::psp::rules::{AccountRules, Claims};
use crate::psp::{Failure, Psp, PspAnswer, PspAsk, RawDelivery, Reading, Step, Verification};
use crate::wire::{Headers, Reply, Request, Response};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use rustls::SignatureScheme;
use rustls::pki_types::PrivateKeyDer;
use rustls::pki_types::pem::PemObject;
use secrecy::SecretString;
use std::path::PathBuf;

const CAPTURE: &str = "0MA00000UP000001X";
const OTHER: &str = "0MA00000UP000002X";
const ORDER: &str = "5MA00000UP000001Y";
const AUTHORIZATION: &str = "3MA00000UP000001A";
const KEY: &str = "refund-paypal_nl.0MA00000UP000001X-1";
const WEBHOOK: &str = "96605875FF6516633";
const URL: &str = "https://api.sandbox.paypal.com/v1/notifications/certs/CERT-made-up-1";
const NOW: i64 = 1_795_200_000;
/// What a delivery is worth.
const NAMED: Source = Source::Hearsay;
const ID: &str = "071f7d20-1584-11e7-abf0-6b62a8a99ac4";
const SENT: &str = "2026-11-20T18:40:00Z";

fn fixture(name: &str) -> Vec<u8> {
    let path = PathBuf::from(env!("CARGO_MANIFEST_DIR"))
        .join("fixtures/paypal")
        .join(name);
    std::fs::read(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

fn api(name: &str) -> Reply {
    answered(200, fixture(&format!("api/{name}.json")))
}

fn answered(status: u16, body: Vec<u8>) -> Reply {
    Ok(Response {
        status,
        headers: Headers::new(),
        body,
    })
}

fn unknown() -> Reply {
    answered(404, fixture("api/error_unknown.json"))
}

fn rules() -> AccountRules {
    AccountRules {
        account: AccountId::parse("paypal_nl").unwrap(),
        shop: ShopId::parse("klompen").unwrap(),
        reference_paths: vec!["custom_id".to_owned(), "invoice_id".to_owned()],
        reference_pattern: None,
        claims: Claims::Referenced,
        since: Some(Time::from_seconds(1_794_000_000)),
        live: false,
        is_shared: false,
    }
}

fn certificates() -> CertificateRules {
    CertificateRules {
        hosts: vec!["api.sandbox.paypal.com".to_owned()],
        loopback: None,
        roots: Roots::from_pem(&fixture("certificates/test_root.pem")).unwrap(),
    }
}

fn paypal_of(rules: AccountRules, certificates: CertificateRules) -> Paypal {
    let credentials = Credentials {
        client_id: "made-up-client".to_owned(),
        client_secret: SecretString::from("made-up-secret-of-app"),
        webhook_id: WEBHOOK.to_owned(),
    };
    let api_base = "https://api.paypal.test/".to_owned();
    Paypal::new(rules, credentials, certificates, api_base)
}

fn paypal_with(rules: AccountRules) -> Paypal {
    paypal_of(rules, certificates())
}

/// Signed in, and without any certificate yet.
fn paypal() -> Paypal {
    let paypal = paypal_with(rules());
    paypal.signed_in(&api("token"), now()).unwrap();
    paypal
}

fn now() -> Time {
    Time::from_seconds(NOW)
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

fn step(ask: &PspAsk, replies: &[Reply]) -> Step {
    paypal().step(ask, now(), replies)
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

fn all_seen(ask: &PspAsk, replies: &[Reply]) -> Vec<PaymentSnapshot> {
    let answer = done(ask, replies);
    let PspAnswer::Seen(payments) = answer else {
        panic!("nothing seen: {answer:?}");
    };
    payments
}

fn seen(ask: &PspAsk, replies: &[Reply]) -> PaymentSnapshot {
    let mut payments = all_seen(ask, replies);
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

fn address(request: &Request) -> &str {
    let prefix = "https://api.paypal.test";
    request.url.strip_prefix(prefix).expect("our api_base")
}

fn malformed(code: &str) -> Failure {
    Failure::Malformed(code.to_owned())
}

fn fetch(payment: &str) -> PspAsk {
    PspAsk::Fetch {
        payment: id(payment),
    }
}

fn refund(payment: &str, amount: Money) -> PspAsk {
    PspAsk::Refund {
        payment: id(payment),
        amount,
        key: key(),
        why: Reason::OrderUnknown,
    }
}

/// A signature by the test leaf's key.
fn sign(message: &[u8]) -> Vec<u8> {
    let pem = fixture("certificates/test_leaf_key.pem");
    let key = PrivateKeyDer::from_pem_slice(&pem).unwrap();
    let key = rustls::crypto::ring::sign::any_supported_type(&key).unwrap();
    let signer = key.choose_scheme(&[SignatureScheme::RSA_PKCS1_SHA256]);
    signer.unwrap().sign(message).unwrap()
}

/// The headers of a delivery whose message is exactly this.
fn headers(url: &str, message: &str) -> Headers {
    Headers::new()
        .with("paypal-transmission-id", ID)
        .with("paypal-transmission-time", SENT)
        .with("paypal-cert-url", url)
        .with("paypal-auth-algo", "SHA256withRSA")
        .with("paypal-auth-version", "v2")
        .with(
            "paypal-transmission-sig",
            &STANDARD.encode(sign(message.as_bytes())),
        )
}

fn signed(body: &[u8]) -> Headers {
    headers(URL, &super::seal::message(ID, SENT, WEBHOOK, body))
}

fn verify(paypal: &Paypal, headers: &Headers, body: &[u8]) -> Verification {
    verify_at(paypal, headers, body, now())
}

fn verify_at(paypal: &Paypal, headers: &Headers, body: &[u8], now: Time) -> Verification {
    let delivery = RawDelivery {
        method: "POST",
        headers,
        query: "",
        body,
    };
    paypal.verify(&delivery, now)
}

/// Lets the adapter have what it wants, answered by this.
fn bring(paypal: &Paypal, reply: &Reply) -> Option<Request> {
    let request = paypal.key_wanted(now())?;
    paypal.key_came(&request, reply, now());
    Some(request)
}

fn pem(name: &str) -> Reply {
    answered(200, fixture(&format!("certificates/{name}.pem")))
}

/// An account that knows this chain under `URL`.
fn knowing(chain: &str) -> Paypal {
    let paypal = paypal();
    assert_eq!(
        verify(&paypal, &signed(b"{}"), b"{}"),
        Verification::NeedsKey
    );
    assert!(bring(&paypal, &pem(chain)).is_some());
    paypal
}

fn accepted() -> Verification {
    Verification::Signed {
        delivery_id: Some(ID.to_owned()),
    }
}
