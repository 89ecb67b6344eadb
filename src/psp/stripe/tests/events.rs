//! Reading: each event of `fixtures/stripe/events` against `expected.json` beside it.
//! Knows the account's rules of `tests.rs` only; the expectations were written by hand from the
//! meaning of the events, not taken from the reader's output.

use super::*;
use crate::psp::Psp;
use serde_json::{Value, json};
use std::collections::BTreeSet;

pub(super) const RECEIVED_AT: i64 = 1_795_100_000;

pub(super) fn read(stripe: &Stripe, body: &[u8]) -> Value {
    match stripe.read(body, true, Time::from_seconds(RECEIVED_AT)) {
        Ok(Reading::Seen { payments, hints }) => {
            json!({"payments": payments, "hints": hints})
        }
        Ok(Reading::Ignored { what }) => json!({"ignored": what}),
        Err(unreadable) => json!({"unreadable": unreadable.code}),
    }
}

pub(super) fn event_names() -> BTreeSet<String> {
    let folder = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("fixtures/stripe/events");
    std::fs::read_dir(folder)
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .filter_map(|name| name.strip_suffix(".json").map(str::to_owned))
        .filter(|name| name != "expected")
        .collect()
}

pub(super) fn event(name: &str) -> Vec<u8> {
    fixture(&format!("events/{name}.json"))
}

#[test]
fn every_event_is_read_as_expected() {
    let expected: Value = serde_json::from_slice(&fixture("events/expected.json")).unwrap();
    let expected = expected.as_object().unwrap();
    let names = event_names();
    let told: BTreeSet<String> = expected.keys().cloned().collect();
    assert_eq!(names, told, "each event has an expectation and the reverse");
    assert!(names.len() >= 60);
    for name in names {
        let found = read(&stripe(), &event(&name));
        assert_eq!(
            found,
            expected[&name],
            "{name}: {}",
            serde_json::to_string_pretty(&found).unwrap()
        );
    }
}

#[test]
fn an_event_that_was_not_signed_says_nothing() {
    let body = event("payment_intent.succeeded");
    let found = stripe().read(&body, false, Time::from_seconds(RECEIVED_AT));
    assert_eq!(found.unwrap_err().code, "not_signed");
}

#[test]
fn the_reference_is_the_first_path_that_fits_the_shape() {
    let body = event("payment_intent.succeeded");
    let reference = |paths: &[&str], pattern: Option<&str>| {
        let mut rules = rules();
        rules.reference_paths = paths.iter().map(|path| (*path).to_owned()).collect();
        rules.reference_pattern = pattern.map(|text| regex::Regex::new(text).unwrap());
        let found = read(&stripe_with(rules, &[]), &body);
        found["payments"][0]["reference"]
            .as_str()
            .map(str::to_owned)
    };
    let named = Some("W-20417".to_owned());
    assert_eq!(reference(&["metadata.order_id"], None), named);
    assert_eq!(
        reference(&["metadata.absent", "metadata.order_id"], None),
        named
    );
    assert_eq!(
        reference(&["metadata.shop", "metadata.order_id"], None),
        Some("main".to_owned())
    );
    assert_eq!(
        reference(&["metadata.shop", "metadata.order_id"], Some("^W-[0-9]+$")),
        named
    );
    assert_eq!(
        reference(&["description"], None),
        Some("Order W-20417".to_owned())
    );
    assert_eq!(reference(&["metadata"], None), None);
    assert_eq!(reference(&["next_action", "status.x"], None), None);
    assert_eq!(reference(&[], None), None);
}

#[test]
fn a_charge_never_says_whose_payment_its_intent_is() {
    for name in event_names()
        .iter()
        .filter(|name| name.starts_with("charge."))
    {
        let found = read(&stripe(), &event(name));
        for payment in found["payments"].as_array().unwrap_or(&Vec::new()) {
            let is_named_by_intent = payment["payment"].as_str().unwrap().contains("/pi_");
            let has_reference = !payment["reference"].is_null();
            assert!(!(is_named_by_intent && has_reference), "{name}");
        }
    }
}

#[test]
fn money_that_is_only_promised_is_not_captured() {
    for name in [
        "charge.pending",
        "charge.pending_without_intent",
        "charge.failed",
        "charge.succeeded_authorised_only",
        "charge.succeeded_without_intent_authorised_only",
    ] {
        let found = read(&stripe(), &event(name));
        assert!(found["payments"][0].is_object(), "{name}");
        assert!(found["payments"][0]["captured"].is_null(), "{name}");
    }
}

#[test]
fn nothing_of_the_other_mode_is_ours_or_fetched() {
    let names = event_names();
    let other_mode: Vec<_> = names.iter().filter(|n| n.contains("_live_mode")).collect();
    assert_eq!(other_mode.len(), 4);
    for name in other_mode {
        let found = read(&stripe(), &event(name));
        assert_eq!(found["hints"], json!([]), "{name}");
        assert_eq!(found["payments"][0]["ownership"], "wrong_mode", "{name}");
    }
}

#[test]
fn a_detail_for_people_never_repeats_the_body() {
    for (body, code) in [
        (&br#"{"id":"evt_1","object":"hunter2"}"#[..], "wrong_object"),
        (br#"{"id":"evt_1","object":"event","type":"hunter2","created":"hunter2","livemode":true,"data":{"object":{}}}"#, "wrong_shape"),
        (br#"{"id":"hunter2/..","object":"event"}"#, "wrong_shape"),
        (br#"{"id":"evt_1","object":"event","type":"refund.failed","created":1,"livemode":false,"data":{"object":{"id":"re_1","object":"refund","amount":"hunter2","currency":"eur","payment_intent":"pi_1"}}}"#, "bad_amount"),
        (br#"{"id":"evt_1","object":"event","type":"refund.failed","created":1,"livemode":false,"data":{"object":{"id":"re_1","object":"refund","amount":1,"currency":"hunter2","payment_intent":"pi_1"}}}"#, "bad_amount"),
        (br#"{"id":"evt_1","object":"event","type":"refund.failed","created":1,"livemode":false,"data":{"object":{"id":"re_1","object":"refund","amount":1,"currency":"eur","payment_intent":"hunter2 /"}}}"#, "wrong_shape"),
        (b"hunter2", "not_json"),
    ] {
        let unreadable = stripe().read(body, true, Time::from_seconds(RECEIVED_AT)).unwrap_err();
        assert_eq!(unreadable.code, code);
        assert!(!unreadable.detail.contains("hunter2"), "{}", unreadable.detail);
    }
}

#[test]
fn an_event_tells_when_it_was_created_and_nonsense_tells_nothing() {
    let told = |body: &[u8]| stripe().told_at(body);
    let body = event("payment_intent.succeeded");
    assert_eq!(told(&body), Some(Time::from_seconds(1_795_000_123)));
    for odd in [
        "",
        "[]",
        "{}",
        r#"{"created":"now"}"#,
        r#"{"created":1,"created":2}"#,
    ] {
        assert_eq!(told(odd.as_bytes()), None, "{odd}");
    }
}
