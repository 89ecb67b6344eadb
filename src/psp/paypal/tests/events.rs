//! Reading: each event of `fixtures/paypal/events` against `expected.json` beside it.
//! Whatever a body says of money is not looked at; only what it names.

use super::*;
use serde_json::{Value, json};
use std::collections::BTreeSet;

pub(super) fn event_names() -> BTreeSet<String> {
    let folder = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("fixtures/paypal/events");
    std::fs::read_dir(folder)
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .filter_map(|name| name.strip_suffix(".json").map(str::to_owned))
        .filter(|name| name != "expected")
        .collect()
}

fn read(body: &[u8]) -> Value {
    match paypal().read(body, true, now()) {
        Ok(Reading::Seen { payments, hints }) => {
            assert!(hints.is_empty());
            for seen in &payments {
                let blank = PaymentSnapshot::new(seen.payment.clone(), now(), now(), NAMED);
                assert_eq!(*seen, blank, "a delivery says nothing but a name");
            }
            let names: Vec<&str> = payments.iter().map(|one| one.payment.id.as_str()).collect();
            json!({"names": names})
        }
        Ok(Reading::Ignored { what }) => json!({"ignored": what}),
        Err(unreadable) => json!({"unreadable": unreadable.code}),
    }
}

#[test]
fn every_event_names_what_is_expected() {
    let expected: Value = serde_json::from_slice(&fixture("events/expected.json")).unwrap();
    let expected = expected.as_object().unwrap();
    let names = event_names();
    let told: BTreeSet<String> = expected.keys().cloned().collect();
    assert_eq!(names, told, "each event has an expectation and the reverse");
    assert!(names.len() >= 28);
    for name in names {
        let found = read(&fixture(&format!("events/{name}.json")));
        assert_eq!(found, expected[&name], "{name}");
    }
}

#[test]
fn an_event_that_names_too_many_payments_names_none() {
    let one = json!({"seller_transaction_id": CAPTURE});
    let event = |count: usize| {
        json!({"event_type": "CUSTOMER.DISPUTE.CREATED",
               "resource": {"disputed_transactions": vec![one.clone(); count]}})
    };
    let names = |count| read(event(count).to_string().as_bytes());
    assert_eq!(names(32)["names"].as_array().unwrap().len(), 32);
    assert_eq!(names(33), json!({"unreadable": "too_many_payments"}));
}

#[test]
fn a_detail_for_people_never_repeats_the_body() {
    for (body, code) in [
        (
            &br#"{"event_type":"PAYMENT.CAPTURE.X","resource":{"id":"hunter2/.."}}"#[..],
            "bad_id",
        ),
        (
            br#"{"event_type":"PAYMENT.CAPTURE.X","resource":"hunter2"}"#,
            "wrong_shape",
        ),
        (
            br#"{"event_type":"PAYMENT.CAPTURE.X","resource":{"id":7}}"#,
            "wrong_shape",
        ),
        (
            br#"{"event_type":"a","event_type":"hunter2","resource":{}}"#,
            "duplicate_field",
        ),
        (b"hunter2", "not_json"),
    ] {
        let unreadable = paypal().read(body, true, now()).unwrap_err();
        assert_eq!(unreadable.code, code);
        assert!(
            !unreadable.detail.contains("hunter2"),
            "{}",
            unreadable.detail
        );
    }
}

#[test]
fn an_event_tells_when_it_was_created_and_nonsense_tells_nothing() {
    let told = |body: &[u8]| paypal().told_at(body);
    let body = fixture("events/CHECKOUT.ORDER.APPROVED.json");
    let created = Time::from_micros(1_795_165_985_120_000);
    assert_eq!(told(&body), Some(created));
    for odd in ["", "{}", r#"{"create_time":"now"}"#, r#"{"create_time":5}"#] {
        assert_eq!(told(odd.as_bytes()), None, "{odd}");
    }
}
