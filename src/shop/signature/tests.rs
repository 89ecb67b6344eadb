//! Tests of the Standard Webhooks scheme: the official vectors, what must be refused, and the
//! property that no single flipped bit gets through.

use super::*;
use proptest::prelude::*;
use serde::Deserialize;

const BODY: &[u8] = br#"{"test": 2432232314}"#;
const ID: &str = "msg_p5jXN8AQM9LWM0D4loKWxJek";
const SIGNED_AT: i64 = 1_614_265_330;
const CURRENT: &str = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw";
const OTHER: &str = "whsec_C2FVsBQIhrscChlQIMV+b5sSYspob7oD";
const GOOD: &str = "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=";

#[derive(Deserialize)]
struct Vector {
    secret: String,
    id: String,
    timestamp: i64,
    body: String,
    signature: String,
}

fn keys(current: &str, previous: Option<&str>) -> Keys {
    let previous = previous.map(SecretString::from);
    Keys::parse(&SecretString::from(current), previous.as_ref()).unwrap()
}

fn headers(id: &[u8], timestamp: &[u8], signature: &[u8]) -> Headers {
    let mut headers = Headers::new();
    headers.push("webhook-id", id);
    headers.push("webhook-timestamp", timestamp);
    headers.push("webhook-signature", signature);
    headers
}

fn verify_at(signature: &str, seconds: i64) -> Verification {
    let headers = headers(
        ID.as_bytes(),
        SIGNED_AT.to_string().as_bytes(),
        signature.as_bytes(),
    );
    keys(CURRENT, None).verify(&headers, BODY, Time::from_seconds(seconds))
}

fn accepted() -> Verification {
    Verification::Signed {
        delivery_id: Some(ID.to_owned()),
    }
}

fn rejected(why: Rejection) -> Verification {
    Verification::Rejected(why)
}

#[test]
fn the_official_vectors_are_signed_and_verified_to_the_byte() {
    let text = include_str!("../../../fixtures/shop/standard_webhooks.json");
    let vectors: Vec<Vector> = serde_json::from_str(text).unwrap();
    assert_eq!(vectors.len(), 2);
    for vector in vectors {
        let keys = keys(&vector.secret, None);
        let now = Time::from_seconds(vector.timestamp);
        let headers = keys.sign(&vector.id, now, vector.body.as_bytes());
        assert_eq!(headers.single("webhook-id"), Some(vector.id.as_str()));
        assert_eq!(
            headers.single("webhook-timestamp"),
            Some(vector.timestamp.to_string().as_str())
        );
        assert_eq!(
            headers.single("webhook-signature"),
            Some(vector.signature.as_str())
        );
        assert_eq!(
            keys.verify(&headers, vector.body.as_bytes(), now),
            Verification::Signed {
                delivery_id: Some(vector.id)
            }
        );
    }
}

#[test]
fn no_flipped_bit_in_body_id_timestamp_or_signature_gets_through() {
    let keys = keys(CURRENT, None);
    let timestamp = SIGNED_AT.to_string();
    let parts = [ID.as_bytes(), timestamp.as_bytes(), GOOD.as_bytes(), BODY];
    for part in 0..parts.len() {
        for at in 0..parts[part].len() {
            for bit in 0..8 {
                let mut changed = parts.map(<[u8]>::to_vec);
                changed[part][at] ^= 1 << bit;
                let [id, timestamp, signature, body] = changed;
                let found = keys.verify(
                    &headers(&id, &timestamp, &signature),
                    &body,
                    Time::from_seconds(SIGNED_AT),
                );
                assert!(
                    matches!(found, Verification::Rejected(_)),
                    "part {part}, byte {at}, bit {bit}: {found:?}"
                );
            }
        }
    }
}

#[test]
fn the_clock_may_be_off_by_300_seconds_either_way_and_no_more() {
    for (off, expected) in [
        (0, accepted()),
        (300, accepted()),
        (-300, accepted()),
        (301, rejected(Rejection::ClockOff { seconds: 301 })),
        (-301, rejected(Rejection::ClockOff { seconds: -301 })),
    ] {
        assert_eq!(verify_at(GOOD, SIGNED_AT + off), expected, "{off}");
    }
}

#[test]
fn a_wrong_clock_is_only_said_of_a_sender_that_holds_the_secret() {
    let forged = "v1,AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=";
    assert_eq!(
        verify_at(forged, SIGNED_AT + 9_999),
        rejected(Rejection::WrongSecret)
    );
}

#[test]
fn one_good_v1_among_several_signatures_is_enough_and_no_other_version_counts() {
    let bare = GOOD.strip_prefix("v1,").unwrap();
    let forged = "v1,AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=";
    let many = vec![forged; SIGNATURES_MAX].join(" ");
    for (signature, expected) in [
        (format!("{forged} {GOOD}"), accepted()),
        (format!("{GOOD} {forged}"), accepted()),
        (format!("v2,xx v1a,{bare} {GOOD}"), accepted()),
        (format!("v1,notbase64! {GOOD}"), accepted()),
        (
            format!("v1a,{bare}"),
            rejected(Rejection::MalformedSignature),
        ),
        (
            format!("v0,{bare}"),
            rejected(Rejection::MalformedSignature),
        ),
        (
            format!("V1,{bare}"),
            rejected(Rejection::MalformedSignature),
        ),
        (bare.to_owned(), rejected(Rejection::MalformedSignature)),
        (String::new(), rejected(Rejection::MalformedSignature)),
        ("v1,".to_owned(), rejected(Rejection::WrongSecret)),
        (
            "v1,g0hM9SsE+OTPJTGt".to_owned(),
            rejected(Rejection::WrongSecret),
        ),
        (forged.to_owned(), rejected(Rejection::WrongSecret)),
        (format!("{many} {GOOD}"), rejected(Rejection::WrongSecret)),
    ] {
        assert_eq!(verify_at(&signature, SIGNED_AT), expected, "{signature}");
    }
}

#[test]
fn header_fields_that_are_missing_repeated_or_out_of_shape_are_refused() {
    let keys = keys(CURRENT, None);
    let now = Time::from_seconds(SIGNED_AT);
    let good = headers(
        ID.as_bytes(),
        SIGNED_AT.to_string().as_bytes(),
        GOOD.as_bytes(),
    );
    for name in ["webhook-id", "webhook-timestamp", "webhook-signature"] {
        let mut without = Headers::new();
        for (field, value) in good.iter().filter(|(field, _)| *field != name) {
            without.push(field, value);
        }
        assert_eq!(
            keys.verify(&without, BODY, now),
            rejected(Rejection::MissingSignature),
            "{name}"
        );
        let mut twice = good.clone();
        twice.push(name, good.single(name).unwrap());
        assert_eq!(
            keys.verify(&twice, BODY, now),
            rejected(Rejection::MalformedSignature),
            "{name}"
        );
    }
    for (id, timestamp) in [
        ("", "1614265330"),
        ("a.b", "1614265330"),
        ("a b", "1614265330"),
        ("a\u{e9}", "1614265330"),
        (&"x".repeat(ID_BYTES_MAX + 1), "1614265330"),
        (ID, ""),
        (ID, "+1614265330"),
        (ID, "-1614265330"),
        (ID, " 1614265330"),
        (ID, "1614265330.0"),
        (ID, "1614265330s"),
        (ID, "-9223372036854775808"),
        (ID, "99999999999999999999"),
        (ID, "9999999999999999999"),
    ] {
        assert_eq!(
            keys.verify(
                &headers(id.as_bytes(), timestamp.as_bytes(), GOOD.as_bytes()),
                BODY,
                now
            ),
            rejected(Rejection::MalformedSignature),
            "{id:?} {timestamp:?}"
        );
    }
}

#[test]
fn a_well_signed_timestamp_at_the_edge_of_time_is_stale_and_breaks_nothing() {
    let keys = keys(CURRENT, None);
    let timestamp = i64::MAX.to_string();
    let tag = keys.current.over(ID, &timestamp, BODY).finalize();
    let signature = format!("v1,{}", STANDARD.encode(tag.into_bytes()));
    let headers = headers(ID.as_bytes(), timestamp.as_bytes(), signature.as_bytes());
    for now in [i64::MIN, 0, SIGNED_AT] {
        let found = keys.verify(&headers, BODY, Time::from_seconds(now));
        assert!(
            matches!(
                found,
                Verification::Rejected(Rejection::ClockOff { seconds }) if seconds < 0
            ),
            "{found:?}"
        );
    }
}

#[test]
fn the_timestamp_is_signed_as_it_was_written() {
    let keys = keys(CURRENT, None);
    let now = Time::from_seconds(SIGNED_AT);
    let padded = format!("0{SIGNED_AT}");
    let found = keys.verify(
        &headers(ID.as_bytes(), padded.as_bytes(), GOOD.as_bytes()),
        BODY,
        now,
    );
    assert_eq!(found, rejected(Rejection::WrongSecret));
}

#[test]
fn during_a_rotation_both_secrets_verify_and_both_sign() {
    let now = Time::from_seconds(SIGNED_AT);
    let rotating = keys(OTHER, Some(CURRENT));
    assert_eq!(
        rotating.verify(&keys(CURRENT, None).sign(ID, now, BODY), BODY, now),
        accepted()
    );
    assert_eq!(
        rotating.verify(&keys(OTHER, None).sign(ID, now, BODY), BODY, now),
        accepted()
    );
    let ours = rotating.sign(ID, now, BODY);
    assert_eq!(
        ours.single("webhook-signature").unwrap().split(' ').count(),
        2
    );
    for receiver in [keys(CURRENT, None), keys(OTHER, None)] {
        assert_eq!(receiver.verify(&ours, BODY, now), accepted());
    }
    assert_eq!(
        keys(OTHER, None).verify(&keys(CURRENT, None).sign(ID, now, BODY), BODY, now),
        rejected(Rejection::WrongSecret),
        "a secret that was rotated out is out"
    );
}

#[test]
fn a_secret_that_is_not_a_secret_is_refused_without_being_shown() {
    let of = |bytes: usize| format!("whsec_{}", STANDARD.encode(vec![7; bytes]));
    for (text, expected) in [
        ("", Err(BadSecret::NoPrefix)),
        ("MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw", Err(BadSecret::NoPrefix)),
        (
            "WHSEC_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw",
            Err(BadSecret::NoPrefix),
        ),
        ("whsec_", Err(BadSecret::WrongLength)),
        (
            "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaS",
            Err(BadSecret::NotBase64),
        ),
        (
            "whsec_MfKQ9r8GKYqrTwjU PD8ILPZIo2LaLaS",
            Err(BadSecret::NotBase64),
        ),
        (&of(23), Err(BadSecret::WrongLength)),
        (&of(24), Ok(())),
        (&of(64), Ok(())),
        (&of(65), Err(BadSecret::WrongLength)),
    ] {
        let found = Keys::parse(&SecretString::from(text), None);
        assert_eq!(found.map(drop), expected, "{text}");
    }
    assert_eq!(
        format!("{:?}", keys(CURRENT, Some(OTHER))),
        "2 webhook secret(s)"
    );
}

#[test]
fn only_a_live_secret_admits_a_reader() {
    let rotating = keys(CURRENT, Some(OTHER));
    assert!(rotating.are_known_to_bearer(CURRENT));
    assert!(rotating.are_known_to_bearer(OTHER));
    assert!(!keys(CURRENT, None).are_known_to_bearer(OTHER));
    for stranger in [
        "",
        "whsec_",
        CURRENT.strip_suffix('w').unwrap(),
        &format!("{CURRENT} "),
    ] {
        assert!(!rotating.are_known_to_bearer(stranger), "{stranger}");
    }
}

proptest! {
    #[test]
    fn what_we_sign_verifies_and_no_changed_byte_does(
        key in prop::collection::vec(any::<u8>(), 24..=64),
        id in "[a-zA-Z0-9_:/-]{1,64}",
        at in 0_i64..4_000_000_000,
        body in prop::collection::vec(any::<u8>(), 1..300),
        place in any::<prop::sample::Index>(),
        change in 1_u8..,
    ) {
        let keys = keys(&format!("whsec_{}", STANDARD.encode(key)), None);
        let now = Time::from_seconds(at);
        let headers = keys.sign(&id, now, &body);
        prop_assert_eq!(
            keys.verify(&headers, &body, now),
            Verification::Signed { delivery_id: Some(id) }
        );
        let mut changed = body;
        let place = place.index(changed.len());
        changed[place] ^= change;
        prop_assert_eq!(
            keys.verify(&headers, &changed, now),
            Verification::Rejected(Rejection::WrongSecret)
        );
    }

    #[test]
    fn arbitrary_header_values_are_refused_and_break_nothing(
        id in prop::collection::vec(any::<u8>(), 0..40),
        timestamp in prop::collection::vec(any::<u8>(), 0..24),
        signature in prop::collection::vec(any::<u8>(), 0..80),
    ) {
        let found = keys(CURRENT, None).verify(
            &headers(&id, &timestamp, &signature),
            BODY,
            Time::from_seconds(SIGNED_AT),
        );
        prop_assert!(matches!(found, Verification::Rejected(_)));
    }
}
