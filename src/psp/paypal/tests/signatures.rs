//! Verifying: official vectors, the forged body, and everything that must be refused.
//! Judges no certificate; that is `certificates.rs`.

use super::super::certificate::has_signed;
use super::super::seal;
use super::*;
use crate::core::time::Span;
use crate::psp::Rejection;
use rustls::pki_types::SubjectPublicKeyInfoDer;
use serde_json::Value;

fn vectors() -> Value {
    serde_json::from_slice(&fixture("signatures.json")).unwrap()
}

fn text<'a>(vector: &'a Value, name: &str) -> &'a str {
    vector[name].as_str().unwrap()
}

fn message_of(vector: &Value, body: &[u8]) -> String {
    let part = |name| text(vector, name);
    seal::message(
        part("transmission_id"),
        part("transmission_time"),
        part("webhook_id"),
        body,
    )
}

#[test]
fn the_checksum_is_the_one_that_paypals_own_tests_have() {
    for pair in vectors()["crc32"].as_array().unwrap() {
        let (input, sum) = (pair[0].as_str().unwrap(), pair[1].as_u64().unwrap());
        let message = seal::message("a", "b", "c", input.as_bytes());
        assert_eq!(message, format!("a|b|c|{sum}"));
    }
    let p2 = &vectors()["p2"];
    let message = message_of(p2, b"");
    assert_eq!(message.replace("|0", "|2771810304"), text(p2, "message"));
}

#[test]
fn the_official_vector_verifies_and_so_does_the_body_forged_to_its_checksum() {
    let p1 = &vectors()["p1"];
    let key = STANDARD.decode(text(p1, "public_key")).unwrap();
    let key = SubjectPublicKeyInfoDer::from(key);
    let signature = STANDARD.decode(text(p1, "signature")).unwrap();
    let body = text(p1, "forged_body").as_bytes();
    let message = message_of(p1, body);
    assert!(message.ends_with("|3494065244"), "{message}");
    assert!(has_signed(&key, message.as_bytes(), &signature));
    for position in 0..message.len() {
        let mut changed = message.clone().into_bytes();
        changed[position] ^= 1;
        assert!(!has_signed(&key, &changed, &signature), "at {position}");
    }
    for position in (0..signature.len()).step_by(7) {
        let mut changed = signature.clone();
        changed[position] ^= 1;
        assert!(!has_signed(&key, message.as_bytes(), &changed));
    }
    assert!(!has_signed(&key, message.as_bytes(), &signature[1..]));
    assert!(!has_signed(&key, message.as_bytes(), &[]));
}

#[test]
fn the_forged_body_is_accepted_and_says_nothing_but_a_name() {
    let body = text(&vectors()["p1"], "forged_body").as_bytes().to_vec();
    let paypal = knowing("sandbox");
    // The headers of a genuine delivery of PayPal's, whose body had this checksum.
    let genuine = format!("{ID}|{SENT}|{WEBHOOK}|3494065244");
    assert_eq!(verify(&paypal, &headers(URL, &genuine), &body), accepted());
    let reading = paypal.read(&body, true, now()).unwrap();
    let Reading::Seen { payments, hints } = reading else {
        panic!("{reading:?}");
    };
    assert!(hints.is_empty());
    let named = &payments[0];
    let blank = PaymentSnapshot::new(named.payment.clone(), now(), now(), NAMED);
    assert_eq!(payments, [blank]);
    assert_eq!(named.payment.id, id("0AB12345CD678901E"));
    assert!(paypal.read(&body, false, now()).is_err());
}

#[test]
fn a_signed_delivery_is_told_apart_by_its_transmission() {
    let body = fixture("events/PAYMENT.CAPTURE.COMPLETED.json");
    let paypal = knowing("sandbox");
    assert_eq!(verify(&paypal, &signed(&body), &body), accepted());
}

#[test]
fn any_other_body_webhook_time_or_id_is_refused() {
    let paypal = knowing("sandbox");
    let body = fixture("events/PAYMENT.CAPTURE.COMPLETED.json");
    let wrong = Verification::Rejected(Rejection::WrongSecret);
    let mut changed = body.clone();
    changed[100] ^= 1;
    assert_eq!(verify(&paypal, &signed(&body), &changed), wrong);
    let other = seal::message(ID, SENT, "0EH40505U7160970P", &body);
    assert_eq!(verify(&paypal, &headers(URL, &other), &body), wrong);
    let simulator = seal::message(ID, SENT, "WEBHOOK_ID", &body);
    assert_eq!(verify(&paypal, &headers(URL, &simulator), &body), wrong);
    let other = seal::message(ID, "2026-11-20T18:40:01Z", WEBHOOK, &body);
    assert_eq!(verify(&paypal, &headers(URL, &other), &body), wrong);
    let other = seal::message("071f7d20", SENT, WEBHOOK, &body);
    assert_eq!(verify(&paypal, &headers(URL, &other), &body), wrong);
}

#[test]
fn each_field_is_needed_once_and_in_its_shape() {
    let paypal = knowing("sandbox");
    let good = signed(b"{}");
    let missing = Verification::Rejected(Rejection::MissingSignature);
    let malformed = Verification::Rejected(Rejection::MalformedSignature);
    let changed = |name: &str, value: Option<&str>| {
        let mut fields = Headers::new();
        for (known, old) in good.iter().filter(|(known, _)| *known != name) {
            fields.push(known, old);
        }
        if let Some(value) = value {
            fields.push(name, value);
        }
        verify(&paypal, &fields, b"{}")
    };
    assert_eq!(changed("paypal-transmission-sig", None), missing);
    for name in [
        "paypal-transmission-id",
        "paypal-transmission-time",
        "paypal-cert-url",
        "paypal-auth-algo",
    ] {
        assert_eq!(changed(name, None), malformed, "{name}");
        assert_eq!(
            changed(name, Some("")),
            malformed_or_refused(name),
            "{name}"
        );
        let twice = good.clone().with(name, "x");
        assert_eq!(verify(&paypal, &twice, b"{}"), malformed, "{name}");
    }
    for algorithm in [
        "SHA1withRSA",
        "sha256withrsa",
        "SHA256withRSAandMGF1",
        "none",
    ] {
        assert_eq!(changed("paypal-auth-algo", Some(algorithm)), malformed);
    }
    for time in [
        "yesterday",
        "1795200000",
        "2026-11-20",
        "2026-11-20T18:40:00",
    ] {
        assert_eq!(changed("paypal-transmission-time", Some(time)), malformed);
    }
    for signature in ["", "!!!", "YQ", &"A".repeat(1025)] {
        let found = changed("paypal-transmission-sig", Some(signature));
        assert!(matches!(found, Verification::Rejected(_)), "{signature}");
    }
    for id in ["a|b", "a b", &"a".repeat(65)] {
        assert_eq!(changed("paypal-transmission-id", Some(id)), malformed);
    }
    let anyhow = changed("paypal-auth-version", None);
    assert_eq!(anyhow, accepted());
}

/// An empty address is well-formed as a field and refused as an address.
fn malformed_or_refused(name: &str) -> Verification {
    Verification::Rejected(match name {
        "paypal-cert-url" => Rejection::KeyRefused {
            why: "its certificate's address is not PayPal's",
        },
        _ => Rejection::MalformedSignature,
    })
}

#[test]
fn an_old_transmission_is_stale_only_after_its_signature_was_checked() {
    let paypal = knowing("sandbox");
    let sent_at = NOW;
    let days = |days: i64| Time::from_seconds(sent_at + days * 86_400);
    let fields = signed(b"{}");
    assert_eq!(verify_at(&paypal, &fields, b"{}", days(4)), accepted());
    let late = days(7).plus(Span::from_seconds(5));
    // A week is also how long a certificate serves unseen: it is fetched anew.
    let request = paypal.key_wanted(late).unwrap();
    paypal.key_came(&request, &pem("sandbox"), late);
    let stale = verify_at(&paypal, &fields, b"{}", late);
    assert_eq!(
        stale,
        Verification::Rejected(Rejection::ClockOff {
            seconds: 7 * 86_400 + 5
        })
    );
    let early = verify_at(&paypal, &fields, b"{}", Time::from_seconds(sent_at - 3_700));
    assert_eq!(
        early,
        Verification::Rejected(Rejection::ClockOff { seconds: -3_700 })
    );
    let forged = verify_at(&paypal, &fields, b"{ }", days(8));
    assert!(!matches!(
        forged,
        Verification::Rejected(Rejection::ClockOff { .. })
    ));
}

#[test]
fn what_verifying_looks_at_is_kept_with_a_rejected_delivery_and_nothing_else() {
    let paypal = paypal();
    for (name, _) in signed(b"").iter() {
        assert!(paypal.is_signature_field(name), "{name}");
    }
    for name in [
        "authorization",
        "cookie",
        "paypal-request-id",
        "correlation-id",
    ] {
        assert!(!paypal.is_signature_field(name));
    }
}
