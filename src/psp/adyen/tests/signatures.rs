//! Who is believed: the official vectors, rotation, batches, passwords, and every changed byte.
//! Knows no meaning; the verifier under test is never asked to sign.

use super::*;
use crate::psp::Rejection;
use proptest::prelude::*;
use serde::Deserialize;

const SIGNED: Verification = Verification::Signed { delivery_id: None };

#[derive(Deserialize)]
struct Vector {
    name: String,
    key: String,
    item: Value,
}

fn vectors() -> Vec<Vector> {
    let path = concat!(
        env!("CARGO_MANIFEST_DIR"),
        "/fixtures/adyen/signatures.json"
    );
    serde_json::from_slice(&std::fs::read(path).unwrap()).unwrap()
}

fn keyed(secrets: &[&str]) -> Adyen {
    adyen_with(rules(), Capture::Automatic, proofs(secrets, None))
}

fn rejected(rejection: Rejection) -> Verification {
    Verification::Rejected(rejection)
}

fn found(account: &Adyen, items: &[Value]) -> Verification {
    verify(account, &Headers::new(), &notice(items))
}

#[test]
fn the_official_vectors_verify_with_their_key_and_with_no_other() {
    let all = vectors();
    assert_eq!(all.len(), 6);
    for one in all {
        let items = [one.item];
        assert_eq!(found(&keyed(&[&one.key]), &items), SIGNED, "{}", one.name);
        let padded = format!(" {}\n", one.key.to_ascii_lowercase());
        assert_eq!(found(&keyed(&[&padded]), &items), SIGNED, "{}", one.name);
        let both = keyed(&[OTHER, &one.key]);
        assert_eq!(found(&both, &items), SIGNED, "in a rotation: {}", one.name);
        let wrong = rejected(Rejection::WrongSecret);
        assert_eq!(found(&keyed(&[OTHER]), &items), wrong, "{}", one.name);
        assert_eq!(found(&keyed(&[]), &items), wrong, "{}", one.name);
    }
}

#[test]
fn a_signature_made_with_the_keys_text_instead_of_its_bytes_is_refused() {
    let mut one = vectors().remove(0);
    one.item["additionalData"]["hmacSignature"] =
        "bdqLZp84yFoTItyd/qb/B/YTdOmw/yRZm4yUCgpWTzs=".into();
    let wrong = rejected(Rejection::WrongSecret);
    assert_eq!(found(&keyed(&[&one.key]), &[one.item]), wrong);
}

#[test]
fn a_missing_or_null_field_counts_as_empty_and_a_colon_elsewhere_is_refused() {
    let mut plain = signed(item("AUTHORISATION", "true"), SECRET);
    plain.as_object_mut().unwrap().remove("originalReference");
    assert_eq!(found(&keyed(&[SECRET]), &[plain.clone()]), SIGNED);
    let null = with(plain, "originalReference", Value::Null);
    assert_eq!(found(&keyed(&[SECRET]), &[null]), SIGNED);
    // The same joined text, cut at another colon.
    let moved = with(
        item("AUTHORISATION", "true"),
        "merchantReference",
        "a:b".into(),
    );
    let mut moved = signed(moved, SECRET);
    moved["merchantReference"] = "b".into();
    moved["merchantAccountCode"] = format!("{ACCOUNT}:a").into();
    let shape = rejected(Rejection::MalformedSignature);
    assert_eq!(found(&keyed(&[SECRET]), &[moved]), shape);
}

#[test]
fn each_item_of_a_batch_must_match_a_key_of_its_own() {
    let one = signed(item("AUTHORISATION", "true"), SECRET);
    let two = signed(item("CAPTURE", "true"), OTHER);
    let items = [one.clone(), two.clone()];
    assert_eq!(found(&keyed(&[SECRET, OTHER]), &items), SIGNED);
    let wrong = rejected(Rejection::WrongSecret);
    assert_eq!(found(&keyed(&[SECRET]), &items), wrong, "all or none");
    let mut forged = two;
    forged["amount"]["value"] = 1.into();
    assert_eq!(found(&keyed(&[SECRET, OTHER]), &[one, forged]), wrong);
}

#[test]
fn what_is_no_signature_is_told_from_a_wrong_one() {
    let shape = rejected(Rejection::MalformedSignature);
    // 44 characters may stand for 33 bytes.
    let long = STANDARD.encode([7_u8; 33]);
    for text in [
        "",
        "x",
        long.as_str(),
        "Ny9gS2veKo5E4w8/OL6xz1/wvT/hYkAXy1xNc/QvO4I",
    ] {
        let mut odd = item("AUTHORISATION", "true");
        odd["additionalData"]["hmacSignature"] = text.into();
        assert_eq!(found(&keyed(&[SECRET]), &[odd]), shape, "{text:?}");
    }
    for body in ["", "{}", "[]", r#"{"notificationItems":[]}"#, "null"] {
        let found = verify(&keyed(&[SECRET]), &Headers::new(), body.as_bytes());
        assert_eq!(found, shape, "{body}");
    }
    let boolean = signed(item("AUTHORISATION", "true"), SECRET);
    let boolean = with(boolean, "success", true.into());
    assert_eq!(found(&keyed(&[SECRET]), &[boolean]), shape);
}

#[test]
fn where_a_password_is_configured_it_is_asked_for_beside_the_signature() {
    let login = Some(("reconciled", "made up: with a colon"));
    let account = adyen_with(rules(), Capture::Automatic, proofs(&[SECRET], login));
    let body = notice(&[signed(item("AUTHORISATION", "true"), SECRET)]);
    let basic = |text: &str| {
        let text = format!("Basic {}", STANDARD.encode(text));
        Headers::new().with("Authorization", &text)
    };
    let right = basic("reconciled:made up: with a colon");
    assert_eq!(verify(&account, &right, &body), SIGNED);
    let missing = rejected(Rejection::MissingSignature);
    assert_eq!(verify(&account, &Headers::new(), &body), missing);
    for text in [
        "reconciled:wrong",
        "other:made up: with a colon",
        "",
        "reconciled",
    ] {
        let wrong = rejected(Rejection::WrongSecret);
        assert_eq!(verify(&account, &basic(text), &body), wrong, "{text}");
    }
    for text in ["Bearer abc", "Basic ###", "Basic"] {
        let headers = Headers::new().with("authorization", text);
        let shape = rejected(Rejection::MalformedSignature);
        assert_eq!(verify(&account, &headers, &body), shape, "{text}");
    }
    let twice = right.clone().with("authorization", "Basic abcd");
    let shape = rejected(Rejection::MalformedSignature);
    assert_eq!(verify(&account, &twice, &body), shape);
    let forged = notice(&[signed(item("AUTHORISATION", "true"), OTHER)]);
    let wrong = rejected(Rejection::WrongSecret);
    assert_eq!(verify(&account, &right, &forged), wrong);
    assert!(
        !account.is_signature_field("authorization"),
        "not to be kept"
    );
}

#[test]
fn an_unsigned_item_is_acknowledged_to_whoever_knows_the_password_and_never_read() {
    let body = notice(&[item("EXPIRE", "true")]);
    let missing = rejected(Rejection::MissingSignature);
    assert_eq!(verify(&keyed(&[SECRET]), &Headers::new(), &body), missing);
    let login = Some(("u", "p"));
    let account = adyen_with(rules(), Capture::Manual, proofs(&[SECRET], login));
    let headers = Headers::new().with("authorization", "Basic dTpw");
    let taken = verify(&account, &headers, &body);
    assert!(matches!(taken, Verification::Unsigned { .. }), "{taken:?}");
    let ignored = |what: &str| {
        let what = what.to_owned();
        Ok(Reading::Ignored { what })
    };
    assert_eq!(account.read(&body, false, at(0)), ignored("unsigned"));
    // Beside a signed one it is not read either.
    let mixed = notice(&[
        signed(item("REPORT_AVAILABLE", "true"), SECRET),
        item("REFUND", "true"),
    ]);
    assert_eq!(verify(&account, &headers, &mixed), SIGNED);
    assert_eq!(
        account.read(&mixed, true, at(0)),
        ignored("report_available")
    );
}

#[test]
fn the_acknowledgement_is_the_one_that_older_setups_wait_for() {
    let said = adyen(Capture::Automatic).acknowledgement();
    let said = (said.status, said.content_type, said.body);
    assert_eq!(said, (202, Some("text/plain"), "[accepted]"));
}

/// The eight fields with what else they might say.
const FIELDS: [&str; 6] = [
    "pspReference",
    "originalReference",
    "merchantAccountCode",
    "merchantReference",
    "eventCode",
    "success",
];

proptest! {
    #[test]
    fn a_change_of_any_signed_byte_is_refused(
        which in 0..8_usize,
        place in any::<prop::sample::Index>(),
        with in "[ -~]",
    ) {
        let mut one = signed(item("REFUND", "true"), SECRET);
        let before = one.clone();
        match FIELDS.get(which) {
            Some(field) => {
                let text = one[*field].as_str().unwrap().to_owned();
                let at = place.index(text.len());
                let changed: String = text
                    .char_indices()
                    .map(|(here, known)| if here == at { with.clone() } else { known.to_string() })
                    .collect();
                one[*field] = changed.into();
            }
            None if which == 6 => one["amount"]["value"] = (place.index(14_995)).into(),
            None => one["amount"]["currency"] = format!("EU{with}").into(),
        }
        prop_assume!(one != before);
        let found = found(&keyed(&[SECRET]), &[one]);
        prop_assert!(matches!(found, Verification::Rejected(_)), "{found:?}");
    }

    #[test]
    fn a_change_of_any_bit_of_the_signature_is_refused(byte in 0..32_usize, bit in 0..8_u8) {
        let mut one = signed(item("CAPTURE", "true"), SECRET);
        let text = one["additionalData"]["hmacSignature"].as_str().unwrap().to_owned();
        let mut bytes = STANDARD.decode(text).unwrap();
        bytes[byte] ^= 1 << bit;
        one["additionalData"]["hmacSignature"] = STANDARD.encode(bytes).into();
        let wrong = rejected(Rejection::WrongSecret);
        prop_assert_eq!(found(&keyed(&[SECRET]), &[one]), wrong);
    }
}
