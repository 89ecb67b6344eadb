//! What only PayPal has: tokens that end, certificates that must be fetched, a balance that says no.
//!
//! Played with the real program, a sandbox that speaks PayPal, and a sandbox shop.

use crate::support::Rig;
use crate::support::story::PRICE;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use crc::{CRC_32_ISO_HDLC, Crc};
use reconciled::http::words::moment;
use reconciled::sandbox::fault::{Fault, Times};
use reconciled::sandbox::psp::{Kind, PspCall};
use reconciled::sandbox::rig::eur;
use reconciled::sandbox::shop::ShopCall;
use reconciled::wire::{Headers, Method};
use rustls::SignatureScheme;
use rustls::pki_types::PrivateKeyDer;
use rustls::pki_types::pem::PemObject;
use std::collections::BTreeSet;

fn paypal() -> &'static Kind {
    Kind::find("paypal").unwrap()
}

/// How often the daemon made a call of this kind, whatever it was about.
fn calls(rig: &Rig, kind: PspCall) -> usize {
    rig.psp(|psp| psp.calls().iter().filter(|(call, _)| *call == kind).count())
}

#[tokio::test]
async fn one_token_and_one_certificate_serve_for_all_and_a_refused_token_is_fetched_anew() {
    let rig = Rig::raise_at(paypal()).await;
    for reference in ["1001", "1002", "1003"] {
        rig.place(reference, eur(PRICE));
        rig.pay(reference, eur(PRICE));
        rig.is_settled_once(reference).await;
    }
    assert_eq!(calls(&rig, PspCall::Token), 1);
    assert_eq!(calls(&rig, PspCall::Certificate), 1);
    rig.spoil(PspCall::Fetch, "1004", Times::Next(1), Fault::status(401));
    rig.place("1004", eur(PRICE));
    rig.pay("1004", eur(PRICE));
    rig.is_settled_once("1004").await;
    assert_eq!(calls(&rig, PspCall::Token), 2);
    rig.close().await;
}

#[tokio::test]
async fn a_certificate_that_comes_late_only_delays_what_it_signed() {
    let rig = Rig::raise_at(paypal()).await;
    let aim = reconciled::sandbox::fault::Aim::kind(PspCall::Certificate);
    rig.psp(|psp| psp.lay(aim, Times::Next(1), Fault::status(503)));
    rig.place("1001", eur(PRICE));
    rig.pay("1001", eur(PRICE));
    rig.is_settled_once("1001").await;
    rig.close().await;
}

#[tokio::test]
async fn a_refund_that_the_balance_does_not_cover_waits_under_new_ids_and_leaves_once() {
    let rig = Rig::raise_at(paypal()).await;
    rig.world()
        .with(|world, now| world.psp.set_balance_low(true, now));
    rig.pay("1001", eur(PRICE));
    rig.until_asked(PspCall::Refund, "1001", 3).await;
    assert!(rig.psp(|psp| psp.records().refunds.is_empty()));
    let ids: Vec<String> = rig.psp(|psp| {
        let carried = psp.carried_keys().iter();
        let refunds = carried.filter(|(call, _, _)| *call == PspCall::Refund);
        refunds.map(|(_, _, id)| id.clone()).collect()
    });
    let distinct: BTreeSet<&String> = ids.iter().collect();
    assert_eq!(distinct.len(), ids.len(), "each was declined: {ids:?}");
    rig.world()
        .with(|world, now| world.psp.set_balance_low(false, now));
    rig.returns_once("1001").await;
    rig.close().await;
}

/// The payment that the published forged body names.
const FORGED_PAYMENT: &str = "0AB12345CD678901E";
/// The checksum of PayPal's published body, and of the body forged to it.
const PUBLISHED_SUM: u32 = 3_494_065_244;

/// The body of the published collision: it says that a payment was taken.
fn forged_body() -> String {
    let vectors = std::fs::read("fixtures/paypal/signatures.json").unwrap();
    let vectors: serde_json::Value = serde_json::from_slice(&vectors).unwrap();
    vectors["p1"]["forged_body"].as_str().unwrap().to_owned()
}

/// Header fields as the sandbox sends them with any body that has this checksum: PayPal signs no
/// other word of it.
fn signed_for(rig: &Rig, transmission: &str, checksum: u32) -> Headers {
    let key = include_bytes!("../../fixtures/paypal/certificates/test_leaf_key.pem");
    let key = PrivateKeyDer::from_pem_slice(key).unwrap();
    let key = rustls::crypto::ring::sign::any_supported_type(&key).unwrap();
    let signer = key.choose_scheme(&[SignatureScheme::RSA_PKCS1_SHA256]);
    let (time, webhook) = (moment(rig.world().now()), paypal().webhook_secret);
    let message = format!("{transmission}|{time}|{webhook}|{checksum}");
    let signature = signer.unwrap().sign(message.as_bytes()).unwrap();
    let psp = rig.psp_address();
    let certificate = format!("http://{psp}/v1/notifications/certs/CERT-of-the-sandbox");
    Headers::new()
        .with("content-type", "application/json")
        .with("paypal-transmission-id", transmission)
        .with("paypal-transmission-time", &time)
        .with("paypal-transmission-sig", &STANDARD.encode(signature))
        .with("paypal-cert-url", &certificate)
        .with("paypal-auth-algo", "SHA256withRSA")
}

async fn is_answered(rig: &Rig, headers: &Headers, body: &str) -> u16 {
    let path = rig.webhook_path();
    let sent = rig.public_call(Method::Post, &path, headers, body.as_bytes());
    sent.await.unwrap().status
}

#[tokio::test]
async fn s001_a_body_forged_to_a_signed_checksum_is_taken_and_changes_nothing_but_what_is_read() {
    let rig = Rig::raise_at(paypal()).await;
    rig.place("1001", eur(PRICE));
    let open = rig.world().with(|world, now| {
        let open = world.psp.open(Some("1001"), eur(PRICE), now);
        world.psp.process(&open, now).unwrap();
        open
    });
    let is_told = |view: &reconciled::sandbox::rig::View| view.payments.len() == 1;
    rig.until("1001", is_told).await;
    // A payment that the PSP does not know: the published collision, to the byte.
    let body = forged_body();
    let checksum = |body: &str| Crc::<u32>::new(&CRC_32_ISO_HDLC).checksum(body.as_bytes());
    assert_eq!(checksum(&body), PUBLISHED_SUM);
    let transmission = "5e5e0001-0000-11e7-abf0-6b62a8a99ac4";
    let headers = signed_for(&rig, transmission, PUBLISHED_SUM);
    assert_eq!(is_answered(&rig, &headers, &format!("{body} ")).await, 401);
    assert_eq!(is_answered(&rig, &headers, &body).await, 200);
    rig.until_asked(PspCall::Fetch, FORGED_PAYMENT, 2).await;
    let dropped = rig.until_any("the denial", |view| {
        view.payments.iter().any(|one| one.id == FORGED_PAYMENT) && view.verdict == "foreign"
    });
    let dropped = dropped.await;
    assert_eq!(dropped.reason.as_deref(), Some("unknown_at_psp"));
    assert_eq!(
        (dropped.in_suspense, dropped.payments[0].captured),
        (None, None)
    );
    // A payment that is real and not paid: the daemon believes what it reads.
    let body = body.replace(FORGED_PAYMENT, &open);
    let read = rig.asked(PspCall::Fetch, "1001");
    let transmission = "5e5e0002-0000-11e7-abf0-6b62a8a99ac4";
    let headers = signed_for(&rig, transmission, checksum(&body));
    assert_eq!(is_answered(&rig, &headers, &body).await, 200);
    rig.until_asked(PspCall::Fetch, "1001", read + 1).await;
    let view = rig.until_verdict("1001", "open").await;
    assert_eq!(view.payments[0].status, "pending");
    assert_eq!(rig.heard(ShopCall::Confirm, "1001"), 0);
    let books = rig.psp(|psp| {
        let records = psp.records();
        let is_unpaid = records
            .charges_of(&open)
            .all(|charge| records.refunded(&charge.id) == 0);
        (records.payments.len(), records.refunds.len(), is_unpaid)
    });
    assert_eq!(books, (1, 0, true));
    assert_eq!(rig.customer("1001").mails, 0);
    // Once the payer has truly paid, the same order settles.
    let paid = rig.world().with(|world, now| world.psp.succeed(&open, now));
    paid.unwrap();
    rig.settles_once("1001").await;
    rig.close().await;
}
