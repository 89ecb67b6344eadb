//! Verification: the official vectors, our own edge cases, and every single changed byte.
//! Signs for itself with the plain algorithm; the verifier under test is never asked to sign.

use super::*;
use crate::psp::{Psp, RawDelivery, Rejection, Verification};
use hmac::{Hmac, KeyInit, Mac};
use proptest::prelude::*;
use serde::Deserialize;
use sha2::Sha256;

const T: i64 = 1_700_000_000;
const SECRET: &str = "whsec_test_secret";

#[derive(Deserialize)]
struct Vectors {
    hmac_key: String,
    hmac: Vec<HmacRow>,
    headers: Vec<HeaderRow>,
}

#[derive(Deserialize)]
struct HmacRow {
    message: String,
    hex: String,
}

#[derive(Deserialize)]
struct HeaderRow {
    name: String,
    header: String,
    body: String,
    secrets: Vec<String>,
    now: i64,
    expect: String,
    seconds: Option<i64>,
    delivery_id: Option<String>,
}

fn vectors() -> Vectors {
    serde_json::from_slice(&fixture("signatures.json")).unwrap()
}

fn verify(stripe: &Stripe, headers: &Headers, body: &[u8], now: Time) -> Verification {
    let delivery = RawDelivery {
        method: "POST",
        headers,
        query: "",
        body,
    };
    stripe.verify(&delivery, now)
}

fn sign(t: &str, body: &[u8], secret: &str) -> String {
    let mut mac = Hmac::<Sha256>::new_from_slice(secret.as_bytes()).unwrap();
    mac.update(t.as_bytes());
    mac.update(b".");
    mac.update(body);
    let hex = hex::encode(mac.finalize().into_bytes());
    format!("t={t},v1={hex}")
}

fn signed_header(value: &[u8]) -> Headers {
    let mut headers = Headers::new();
    headers.push("Stripe-Signature", value);
    headers
}

#[test]
fn the_official_hmac_vectors_hold_for_the_algorithm_in_use() {
    let vectors = vectors();
    assert_eq!(vectors.hmac.len(), 3);
    for row in vectors.hmac {
        let mut mac = Hmac::<Sha256>::new_from_slice(vectors.hmac_key.as_bytes()).unwrap();
        mac.update(row.message.as_bytes());
        mac.verify_slice(&hex::decode(&row.hex).unwrap()).unwrap();
    }
}

#[test]
fn every_header_of_the_table_gets_its_verdict() {
    let rows = vectors().headers;
    assert!(rows.len() >= 50);
    for row in rows {
        let secrets: Vec<&str> = row.secrets.iter().map(String::as_str).collect();
        let stripe = stripe_with(rules(), &secrets);
        let headers = signed_header(row.header.as_bytes());
        let now = Time::from_seconds(row.now);
        let expected = match row.expect.as_str() {
            "signed" => Verification::Signed {
                delivery_id: row.delivery_id,
            },
            "malformed" => Verification::Rejected(Rejection::MalformedSignature),
            "wrong_secret" => Verification::Rejected(Rejection::WrongSecret),
            "clock_off" => Verification::Rejected(Rejection::ClockOff {
                seconds: row.seconds.unwrap(),
            }),
            other => panic!("no such verdict: {other}"),
        };
        let found = verify(&stripe, &headers, row.body.as_bytes(), now);
        assert_eq!(found, expected, "{}", row.name);
    }
}

#[test]
fn a_missing_a_repeated_and_a_binary_header_are_told_apart() {
    let body = b"{}";
    let value = sign("1700000000", body, SECRET);
    let now = Time::from_seconds(T);
    let missing = verify(&stripe(), &Headers::new(), body, now);
    assert_eq!(missing, Verification::Rejected(Rejection::MissingSignature));
    let mut twice = signed_header(value.as_bytes());
    twice.push("stripe-signature", value.as_bytes());
    let malformed = Verification::Rejected(Rejection::MalformedSignature);
    assert_eq!(verify(&stripe(), &twice, body, now), malformed);
    let binary = signed_header(&[0xff, 0xfe]);
    assert_eq!(verify(&stripe(), &binary, body, now), malformed);
}

#[test]
fn the_edges_of_time_neither_wrap_nor_pass() {
    for (t, now) in [
        (i64::MAX, Time::from_micros(i64::MIN)),
        (i64::MAX, Time::from_micros(i64::MAX)),
        (0, Time::from_micros(i64::MIN)),
        (0, Time::from_micros(i64::MAX)),
    ] {
        let headers = signed_header(sign(&t.to_string(), b"{}", SECRET).as_bytes());
        let found = verify(&stripe(), &headers, b"{}", now);
        assert!(
            matches!(found, Verification::Rejected(Rejection::ClockOff { .. })),
            "{t} {now:?} {found:?}"
        );
    }
}

#[test]
fn a_fraction_of_a_second_does_not_count() {
    let headers = signed_header(sign("1700000000", b"{}", SECRET).as_bytes());
    let late = Time::from_micros((T + 300) * 1_000_000 + 999_999);
    assert_eq!(
        verify(&stripe(), &headers, b"{}", late),
        Verification::Signed { delivery_id: None }
    );
}

#[test]
fn every_single_flipped_bit_of_a_real_delivery_is_rejected() {
    let body = fixture("events/payment_intent.succeeded.json");
    let value = sign("1700000000", &body, SECRET).into_bytes();
    let now = Time::from_seconds(T);
    let stripe = stripe();
    let is_signed = |value: &[u8], body: &[u8]| {
        matches!(
            verify(&stripe, &signed_header(value), body, now),
            Verification::Signed { .. }
        )
    };
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

proptest! {
    #[test]
    fn whatever_is_signed_is_accepted_and_nothing_else(
        body in prop::collection::vec(any::<u8>(), 0..200),
        other in prop::collection::vec(any::<u8>(), 0..200),
        off in -300..=300_i64,
    ) {
        let t = T.saturating_sub(off).to_string();
        let headers = signed_header(sign(&t, &body, SECRET).as_bytes());
        let now = Time::from_seconds(T);
        let is_signed = |body: &[u8]| {
            matches!(verify(&stripe(), &headers, body, now), Verification::Signed { .. })
        };
        prop_assert!(is_signed(&body));
        prop_assert_eq!(is_signed(&other), other == body);
    }

    #[test]
    fn any_header_and_body_are_judged_without_a_panic(
        value in prop_oneof![
            prop::collection::vec(any::<u8>(), 0..300),
            "(t=[0-9+-]{0,22}|v1=[0-9a-fA-F]{60,66}|[a-z0-9]{0,3}=?=?|,| ){0,8}".prop_map(String::into_bytes),
        ],
        body in prop::collection::vec(any::<u8>(), 0..100),
        now in any::<i64>(),
    ) {
        let found = verify(&stripe(), &signed_header(&value), &body, Time::from_micros(now));
        let is_rejected = matches!(found, Verification::Rejected(_));
        prop_assert!(is_rejected, "{:?}", found);
    }
}
