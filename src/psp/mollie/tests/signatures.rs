//! Verification: the official vectors, our own edge cases, and every single changed byte.
//! Signs for itself with the plain algorithm; the verifier under test is never asked to sign.

use super::*;
use crate::psp::{RawDelivery, Rejection, Verification};
use hmac::{Hmac, KeyInit, Mac};
use proptest::prelude::*;
use serde::Deserialize;
use sha2::Sha256;

const SECRET: &str = "test_webhook_secret";

#[derive(Deserialize)]
struct Vectors {
    rows: Vec<Row>,
}

#[derive(Deserialize)]
struct Row {
    name: String,
    values: Vec<String>,
    body: String,
    secrets: Vec<String>,
    expect: String,
    delivery_id: Option<String>,
}

fn verify(mollie: &Mollie, headers: &Headers, body: &[u8]) -> Verification {
    let delivery = RawDelivery {
        method: "POST",
        headers,
        query: "",
        body,
    };
    mollie.verify(&delivery, Time::from_seconds(ASKED_AT))
}

fn sign(secret: &str, body: &[u8]) -> String {
    let mut mac = Hmac::<Sha256>::new_from_slice(secret.as_bytes()).unwrap();
    mac.update(body);
    hex::encode(mac.finalize().into_bytes())
}

fn headers(values: &[&[u8]]) -> Headers {
    let mut headers = Headers::new();
    for value in values {
        headers.push("X-Mollie-Signature", *value);
    }
    headers
}

#[test]
fn every_row_of_the_table_gets_its_verdict() {
    let vectors: Vectors = serde_json::from_slice(&fixture("signatures.json")).unwrap();
    assert!(vectors.rows.len() >= 60);
    for row in vectors.rows {
        let secrets: Vec<&str> = row.secrets.iter().map(String::as_str).collect();
        let mollie = mollie_with(rules(), &secrets);
        let values: Vec<&[u8]> = row.values.iter().map(|value| value.as_bytes()).collect();
        let rejected = |rejection| Verification::Rejected(rejection);
        let expected = match row.expect.as_str() {
            "signed" => Verification::Signed {
                delivery_id: row.delivery_id,
            },
            "unsigned" => Verification::Unsigned {
                delivery_id: row.delivery_id.unwrap(),
            },
            "missing" => rejected(Rejection::MissingSignature),
            "malformed" => rejected(Rejection::MalformedSignature),
            "wrong_secret" => rejected(Rejection::WrongSecret),
            other => panic!("no such verdict: {other}"),
        };
        let found = verify(&mollie, &headers(&values), row.body.as_bytes());
        assert_eq!(found, expected, "{}", row.name);
    }
}

#[test]
fn a_binary_header_and_body_are_refused() {
    let binary: &[u8] = &[0xff, 0xfe];
    let malformed = Verification::Rejected(Rejection::MalformedSignature);
    assert_eq!(verify(&mollie(), &headers(&[binary]), b"{}"), malformed);
    let missing = Verification::Rejected(Rejection::MissingSignature);
    for body in [binary, b"id=tr_\xff", b"id=tr_1\xff"] {
        assert_eq!(verify(&mollie(), &Headers::new(), body), missing);
    }
}

#[test]
fn every_single_flipped_bit_of_a_real_delivery_is_rejected() {
    let body = fixture("deliveries/event_refund_failed.json");
    let mollie = mollie();
    let is_signed = |value: &[u8], body: &[u8]| {
        let found = verify(&mollie, &headers(&[value]), body);
        matches!(found, Verification::Signed { .. })
    };
    for prefix in ["", "sha256="] {
        let value = format!("{prefix}{}", sign(SECRET, &body)).into_bytes();
        assert!(is_signed(&value, &body));
        for at in 0..value.len() {
            for bit in 0..8 {
                let mut changed = value.clone();
                changed[at] ^= 1 << bit;
                assert!(!is_signed(&changed, &body), "header byte {at} bit {bit}");
            }
        }
        for at in 0..body.len() {
            let mut changed = body.clone();
            changed[at] ^= 1 << (at % 8);
            assert!(!is_signed(&value, &changed), "body byte {at}");
        }
    }
}

proptest! {
    #[test]
    fn whatever_is_signed_is_accepted_and_nothing_else(
        body in prop::collection::vec(any::<u8>(), 0..200),
        other in prop::collection::vec(any::<u8>(), 0..200),
    ) {
        let value = sign(SECRET, &body);
        let is_signed = |body: &[u8]| {
            let found = verify(&mollie(), &headers(&[value.as_bytes()]), body);
            matches!(found, Verification::Signed { .. })
        };
        prop_assert!(is_signed(&body));
        prop_assert_eq!(is_signed(&other), other == body);
    }

    #[test]
    fn any_header_and_body_are_judged_without_a_panic(
        values in prop::collection::vec(
            prop_oneof![
                prop::collection::vec(any::<u8>(), 0..90),
                "(sha256=|[0-9a-fA-F]{62,66}|,| ){0,4}".prop_map(String::into_bytes),
            ],
            1..4,
        ),
        body in prop::collection::vec(any::<u8>(), 0..100),
    ) {
        let values: Vec<&[u8]> = values.iter().map(Vec::as_slice).collect();
        let found = verify(&mollie(), &headers(&values), &body);
        let is_rejected = matches!(found, Verification::Rejected(_));
        prop_assert!(is_rejected, "{:?}", found);
    }

    #[test]
    fn what_comes_without_a_header_is_exactly_classic_or_refused(
        body in prop_oneof![
            prop::collection::vec(any::<u8>(), 0..60),
            "(id=)?[a-z]{0,4}_?[A-Za-z0-9_/.%&=]{0,70}".prop_map(String::into_bytes),
        ],
    ) {
        let found = verify(&mollie(), &Headers::new(), &body);
        if let Verification::Unsigned { delivery_id } = &found {
            prop_assert_eq!(format!("id={delivery_id}").into_bytes(), body);
            let plain = |c: char| c.is_ascii_alphanumeric() || c == '_';
            prop_assert!(delivery_id.chars().all(plain));
        } else {
            prop_assert_eq!(found, Verification::Rejected(Rejection::MissingSignature));
        }
    }
}
