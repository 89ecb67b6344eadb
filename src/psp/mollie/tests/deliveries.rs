//! Deliveries: every one of the folder, against what is expected of it.
//! A delivery never says anything about money, whatever it shows.

use super::*;
use crate::core::payment::Ownership;
use crate::psp::{Acknowledgement, RawDelivery, Verification};
use serde::Deserialize;
use std::collections::{BTreeMap, BTreeSet};

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Expected {
    signed: bool,
    #[serde(default)]
    hints: Vec<String>,
    #[serde(default)]
    wrong_mode: Vec<String>,
    ignored: Option<String>,
    error: Option<String>,
    /// The event's own id.
    id: Option<String>,
}

fn expected() -> BTreeMap<String, Expected> {
    serde_json::from_slice(&fixture("deliveries/expected.json")).unwrap()
}

/// The names of all deliveries in the folder.
pub(super) fn names() -> BTreeSet<String> {
    expected().into_keys().collect()
}

fn read(name: &str, is_signed: bool) -> Result<Reading, crate::psp::Unreadable> {
    let body = fixture(&format!("deliveries/{name}"));
    mollie().read(&body, is_signed, Time::from_seconds(ASKED_AT))
}

#[test]
fn the_folder_and_the_table_name_the_same_deliveries() {
    let folder = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("fixtures/mollie/deliveries");
    let files = std::fs::read_dir(folder).unwrap();
    let mut files: BTreeSet<String> = files
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect();
    assert!(files.remove("expected.json"));
    assert_eq!(files, names());
}

#[test]
fn every_delivery_leads_to_a_read_or_is_named_and_never_speaks_of_money() {
    for (name, expected) in expected() {
        let found = read(&name, expected.signed);
        match (found, &expected.ignored, &expected.error) {
            (Ok(Reading::Ignored { what }), Some(ignored), None) => assert_eq!(what, *ignored),
            (Err(unreadable), None, Some(error)) => assert_eq!(unreadable.code, error, "{name}"),
            (Ok(Reading::Seen { payments, hints }), None, None) => {
                let hints: Vec<String> = hints.iter().map(ToString::to_string).collect();
                assert_eq!(hints, expected.hints, "{name}");
                let others: Vec<String> = payments
                    .iter()
                    .map(|one| one.payment.id.to_string())
                    .collect();
                assert_eq!(others, expected.wrong_mode, "{name}");
                for one in payments {
                    assert_eq!(one.ownership, Some(Ownership::WrongMode));
                    let amounts = [one.requested, one.authorised, one.captured, one.refunded];
                    assert_eq!(amounts, [None; 4], "{name}");
                    assert!(one.refunds.is_empty() && one.disputes.is_empty());
                }
            }
            (found, _, _) => panic!("{name}: {found:?}"),
        }
    }
}

#[test]
fn only_an_event_has_an_id_by_which_repetitions_are_known() {
    for (name, expected) in expected().into_iter().filter(|(_, one)| one.signed) {
        let body = fixture(&format!("deliveries/{name}"));
        assert_eq!(
            super::super::event::delivery_id(&body),
            expected.id,
            "{name}"
        );
    }
}

#[test]
fn a_body_that_nobody_signed_is_never_read_as_json_nor_a_signed_one_as_a_form() {
    for (name, expected) in expected() {
        let found = read(&name, !expected.signed);
        let code = found.unwrap_err().code;
        if expected.signed {
            assert_eq!(code, "not_classic", "{name}");
        } else {
            assert_eq!(code, "not_json", "{name}");
        }
    }
}

#[test]
fn a_classic_delivery_is_unsigned_and_named_by_its_payment() {
    let body = fixture("deliveries/classic_payment.form");
    let delivery = RawDelivery {
        method: "POST",
        headers: &Headers::new(),
        query: "",
        body: &body,
    };
    let found = mollie().verify(&delivery, Time::from_seconds(ASKED_AT));
    let delivery_id = PAYMENT.to_owned();
    assert_eq!(found, Verification::Unsigned { delivery_id });
    assert!(!mollie().takes_get());
}

#[test]
fn the_acknowledgement_is_exactly_200() {
    let expected = Acknowledgement {
        status: 200,
        content_type: None,
        body: "",
    };
    assert_eq!(mollie().acknowledgement(), expected);
}
