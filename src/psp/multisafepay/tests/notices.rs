//! Deliveries: the official vectors, every changed byte, and what each kind may say.
//! Signs for itself with the plain algorithm; the verifier under test is never asked to sign.

use super::*;
use crate::core::payment::{Progress, Source};
use crate::psp::{Psp, Reading, Rejection, Verification};
use proptest::prelude::*;
use serde::Deserialize;

#[derive(Deserialize)]
struct Vector {
    name: String,
    key: String,
    t: i64,
    hex: String,
    body: String,
}

fn vectors() -> Vec<Vector> {
    let path = concat!(
        env!("CARGO_MANIFEST_DIR"),
        "/fixtures/multisafepay/signatures.json"
    );
    serde_json::from_slice(&std::fs::read(path).unwrap()).unwrap()
}

fn auth(value: &str) -> Headers {
    Headers::new().with("Auth", value)
}

fn verify(account: &MultiSafepay, headers: &Headers, body: &[u8], seconds: i64) -> Verification {
    account.verify(&post(headers, body), Time::from_seconds(seconds))
}

const SIGNED: Verification = Verification::Signed { delivery_id: None };

fn rejected(rejection: Rejection) -> Verification {
    Verification::Rejected(rejection)
}

#[test]
fn the_official_vectors_verify_byte_for_byte_and_with_no_other_key() {
    let all = vectors();
    assert_eq!(all.len(), 3);
    for one in all {
        let headers = auth(&STANDARD.encode(format!("{}:{}", one.t, one.hex)));
        let body = one.body.as_bytes();
        let account = multisafepay_with(&one.key, None);
        assert_eq!(
            verify(&account, &headers, body, one.t),
            SIGNED,
            "{}",
            one.name
        );
        let padded = multisafepay_with(&format!(" {}\n", one.key), None);
        assert_eq!(
            verify(&padded, &headers, body, one.t),
            SIGNED,
            "{}",
            one.name
        );
        let rotated = multisafepay_with("the-new-key", Some(&one.key));
        assert_eq!(
            verify(&rotated, &headers, body, one.t),
            SIGNED,
            "{}",
            one.name
        );
        let other = multisafepay_with("a-fake-API-key", None);
        let wrong = rejected(Rejection::WrongSecret);
        assert_eq!(verify(&other, &headers, body, one.t), wrong, "{}", one.name);
        // Written anew, the same JSON is another body.
        let parsed: serde_json::Value = serde_json::from_str(&one.body).unwrap();
        let rewritten = serde_json::to_vec(&parsed).unwrap();
        if rewritten != body {
            assert_eq!(verify(&account, &headers, &rewritten, one.t), wrong);
        }
    }
}

#[test]
fn the_clock_is_bounded_both_ways_and_judged_after_the_signature() {
    let body = order("completed", "completed", "");
    let account = multisafepay();
    let headers = auth(&sign(T, body.as_bytes(), API_KEY));
    for (now, expected) in [
        (T, SIGNED),
        (T + 600, SIGNED),
        (T - 600, SIGNED),
        (T + 601, rejected(Rejection::ClockOff { seconds: 601 })),
        (T - 601, rejected(Rejection::ClockOff { seconds: -601 })),
    ] {
        assert_eq!(verify(&account, &headers, body.as_bytes(), now), expected);
    }
    let forged = auth(&sign(T - 9999, body.as_bytes(), "stranger"));
    let wrong = rejected(Rejection::WrongSecret);
    assert_eq!(verify(&account, &forged, body.as_bytes(), T), wrong);
}

#[test]
fn what_is_no_signature_is_refused_and_so_is_an_empty_key() {
    let body = order("completed", "completed", "");
    let account = multisafepay();
    let good = sign(T, body.as_bytes(), API_KEY);
    let none = Headers::new();
    let missing = rejected(Rejection::MissingSignature);
    assert_eq!(verify(&account, &none, body.as_bytes(), T), missing);
    let plain = String::from_utf8(STANDARD.decode(&good).unwrap()).unwrap();
    let (t, digits) = plain.split_once(':').unwrap();
    for value in [
        "",
        "%%%",
        &plain,
        &STANDARD.encode(digits),
        &STANDARD.encode(format!("{t}:{}", digits.to_uppercase())),
        &STANDARD.encode(format!("{t}:{}", digits.get(..64).unwrap())),
        &STANDARD.encode(format!("+{t}:{digits}")),
        &STANDARD.encode(format!("{t}:{digits}:")),
        &"A".repeat(600),
    ] {
        let verdict = verify(&account, &auth(value), body.as_bytes(), T);
        let malformed = rejected(Rejection::MalformedSignature);
        assert_eq!(verdict, malformed, "{value}");
    }
    let twice = auth(&good).with("auth", &good);
    let malformed = rejected(Rejection::MalformedSignature);
    assert_eq!(verify(&account, &twice, body.as_bytes(), T), malformed);
    for empty in ["", "  "] {
        let account = multisafepay_with(empty, Some(empty));
        let headers = auth(&sign(T, body.as_bytes(), ""));
        let wrong = rejected(Rejection::WrongSecret);
        assert_eq!(verify(&account, &headers, body.as_bytes(), T), wrong);
    }
}

#[test]
fn a_get_names_an_order_and_is_coalesced() {
    let account = multisafepay();
    let (now, headers) = (Time::from_seconds(T), Headers::new());
    let seen = |query: &str| account.verify(&get(&headers, query), now);
    let delivery_id = format!("notice-1000042-{}", T / 5);
    let expected = Verification::Unsigned { delivery_id };
    let query = "transactionid=1000042&timestamp=1616601851";
    assert_eq!(seen(query), expected);
    assert_eq!(seen("timestamp=9&transactionid=1000042&x=y"), expected);
    let reading = account.read(query.as_bytes(), false, now).unwrap();
    let hints = vec![id("1000042")];
    let payments = Vec::new();
    assert_eq!(reading, Reading::Seen { payments, hints });
    for query in [
        "",
        "transactionid=1000042",
        "timestamp=1",
        "transactionid=&timestamp=1",
        "transactionid=1000042&timestamp=",
        "transactionid=1000042&timestamp=now",
        "transactionid=1&transactionid=2&timestamp=1",
        "transactionid=%00&timestamp=1",
        "transactionid=%zz&timestamp=1",
        "transactionid=%&timestamp=1",
    ] {
        let missing = rejected(Rejection::MissingSignature);
        assert_eq!(seen(query), missing, "{query}");
        let unread = account.read(query.as_bytes(), false, now).unwrap_err();
        assert_eq!(unread.code, "missing_field", "{query}");
    }
    let odd = account.read(b"transactionid=A+1%2F2&timestamp=1", false, now);
    let hints = vec![id("A:201:2F2")];
    let payments = Vec::new();
    assert_eq!(odd.unwrap(), Reading::Seen { payments, hints });
}

#[test]
fn only_money_in_a_signed_body_is_a_statement() {
    let account = multisafepay();
    let now = Time::from_seconds(T);
    let read = |body: &str| account.read(body.as_bytes(), true, now).unwrap();
    let Reading::Seen { payments, hints } = read(&order("completed", "completed", "")) else {
        panic!("ignored");
    };
    assert!(hints.is_empty());
    let snapshot = &payments[0];
    assert_eq!(snapshot.payment.id, id("1000042"));
    assert_eq!(snapshot.source, Source::Signed);
    assert_eq!(snapshot.captured, Some(eur(5995)));
    assert_eq!(snapshot.progress, Some(Progress::Taken));
    assert_eq!(snapshot.method.as_deref(), Some("ideal"));
    let reference = snapshot.reference.as_ref().unwrap();
    assert_eq!(reference.as_str(), "1000042");
    // A session that was cancelled before there was a payment looks like an order that was.
    for (status, financial) in [
        ("completed", "initialized"),
        ("initialized", "initialized"),
        ("cancelled", "void"),
        ("void", "void"),
        ("declined", "declined"),
        ("expired", "expired"),
        ("uncleared", "uncleared"),
        ("reserved", "initialized"),
        ("on_the_moon", "completed"),
        ("refunded", "completed"),
        ("partial_refunded", "completed"),
        ("chargeback", "chargeback"),
    ] {
        let hints = vec![id("1000042")];
        let payments = Vec::new();
        let only_named = Reading::Seen { payments, hints };
        assert_eq!(read(&order(status, financial, "")), only_named, "{status}");
    }
    // Something happened to the money since, or came to nothing.
    for more in [
        r#","amount_refunded":1"#,
        r#","amount_refunded":0,"related_transactions":[{"type":"refund"}]"#,
    ] {
        let hints = vec![id("1000042")];
        let payments = Vec::new();
        let only_named = Reading::Seen { payments, hints };
        assert_eq!(read(&order("completed", "completed", more)), only_named);
    }
}

#[test]
fn what_cannot_be_read_says_why() {
    let account = multisafepay();
    let code = |body: &str| {
        let read = account.read(body.as_bytes(), true, Time::from_seconds(T));
        read.unwrap_err().code
    };
    let good = order("completed", "completed", "");
    assert_eq!(code("not json"), "not_json");
    assert_eq!(code("[]"), "wrong_shape");
    assert_eq!(
        code(&good.replace("\"order_id\":\"1000042\",", "")),
        "missing_field"
    );
    assert_eq!(code(&good.replace("1000042", "\\u0000")), "bad_order_id");
    for amount in [
        "-1",
        "59.95",
        "\"59.95\"",
        "\"\"",
        "9223372036854775808",
        "1e3",
    ] {
        let body = good.replace("5995", amount);
        assert_eq!(code(&body), "bad_amount", "{amount}");
    }
    for currency in ["JPY", "ISK", "KWD", "eur", "XXX", ""] {
        let body = good.replace("EUR", currency);
        assert_eq!(code(&body), "bad_amount", "{currency}");
    }
}

#[test]
fn success_is_acknowledged_with_ok() {
    let acknowledgement = multisafepay().acknowledgement();
    assert_eq!(acknowledgement.status, 200);
    assert_eq!(acknowledgement.body, "OK");
    assert_eq!(acknowledgement.content_type, Some("text/plain"));
    assert!(multisafepay().takes_get());
    assert!(multisafepay().is_signature_field("auth"));
}

proptest! {
    #[test]
    fn any_changed_bit_of_the_body_is_refused(at in any::<prop::sample::Index>(), bit in 0..8_u8) {
        let body = order("completed", "completed", "").into_bytes();
        let headers = auth(&sign(T, &body, API_KEY));
        let mut changed = body.clone();
        let at = at.index(changed.len());
        changed[at] ^= 1 << bit;
        let verdict = verify(&multisafepay(), &headers, &changed, T);
        prop_assert_eq!(verdict, rejected(Rejection::WrongSecret));
    }

    #[test]
    fn any_changed_bit_of_the_header_is_refused(at in any::<prop::sample::Index>(), bit in 0..7_u8) {
        let body = order("completed", "completed", "").into_bytes();
        let mut header = sign(T, &body, API_KEY).into_bytes();
        let at = at.index(header.len());
        header[at] ^= 1 << bit;
        let mut headers = Headers::new();
        headers.push("auth", header);
        let verdict = verify(&multisafepay(), &headers, &body, T);
        prop_assert!(matches!(verdict, Verification::Rejected(_)), "{:?}", verdict);
    }

    #[test]
    fn any_bytes_are_verified_and_read_without_a_panic(
        body in prop::collection::vec(any::<u8>(), 0..300),
        header in prop::collection::vec(any::<u8>(), 0..300),
        query in ".{0,80}",
        is_signed in any::<bool>(),
    ) {
        let account = multisafepay();
        let mut headers = Headers::new();
        headers.push("auth", header);
        let verdict = verify(&account, &headers, &body, T);
        prop_assert!(matches!(verdict, Verification::Rejected(_)));
        drop(account.verify(&get(&headers, &query), Time::from_seconds(T)));
        drop(account.read(&body, is_signed, Time::from_seconds(T)));
        drop(account.read(query.as_bytes(), is_signed, Time::from_seconds(T)));
    }
}
