//! Payments as Mollie shows them: statuses, amounts, refunds, chargebacks, metadata, modes.
//! Each is read the way it is fetched.

use super::*;
use crate::core::payment::{DisputeState, Ownership, Progress, RefundState, Source};

fn read(name: &str) -> PaymentSnapshot {
    let mut replies = vec![ok(name)];
    if let Step::Send(_) = step(&fetch(PAYMENT), &replies) {
        replies.push(ok("refunds_none"));
    }
    seen(&fetch(PAYMENT), &replies)
}

fn changed(name: &str, from: &str, to: &str) -> PaymentSnapshot {
    let text = String::from_utf8(fixture(&format!("api/{name}.json"))).unwrap();
    let new = text.replace(from, to);
    assert_ne!(new, text, "{from}");
    seen(&fetch(PAYMENT), &[answered(200, new.into_bytes())])
}

const METADATA: &str = "{\n  \"order_id\": \"W-20417\"\n }";

fn reference(metadata: &str) -> Option<String> {
    let found = changed("payment_paid", METADATA, metadata);
    found.reference.map(|reference| reference.to_string())
}

#[test]
fn a_paid_payment_says_everything_a_confirm_needs() {
    let found = read("payment_paid");
    let asked_at = Time::from_seconds(ASKED_AT);
    assert_eq!(found.source, Source::Read { asked_at });
    assert_eq!(found.ownership, Some(Ownership::Ours));
    assert_eq!(found.reference.unwrap().as_str(), "W-20417");
    assert_eq!(found.created_at, Some(Time::from_seconds(1_795_165_951)));
    assert_eq!(found.method.as_deref(), Some("ideal"));
    assert_eq!(found.progress, Some(Progress::Taken));
    assert_eq!(found.requested, Some(eur(14995)));
    assert_eq!(found.captured, Some(eur(14995)));
    assert_eq!(found.authorised, Some(eur(0)));
    assert_eq!(found.refunded, Some(eur(0)));
    assert_eq!(found.is_disputed, Some(false));
    assert!(found.is_refund_list_whole);
}

#[test]
fn a_means_of_payment_that_mollie_does_not_refund_is_known_before_any_try() {
    for (method, expected) in [
        ("paysafecard", Some(false)),
        ("giftcard", Some(false)),
        ("klarna", None),
    ] {
        let found = changed("payment_paid", "\"ideal\"", &format!("\"{method}\""));
        assert_eq!(found.is_refundable, expected, "{method}");
    }
}

#[test]
fn every_status_has_its_progress_and_only_paid_takes_money() {
    for (name, progress) in [
        ("payment_open", Some(Progress::Waiting)),
        ("payment_pending", Some(Progress::InFlight)),
        ("payment_authorized", Some(Progress::Authorised)),
        ("payment_canceled", Some(Progress::Dead)),
        ("payment_expired", Some(Progress::Dead)),
        ("payment_failed", Some(Progress::Dead)),
        ("payment_of_unknown_status", None),
    ] {
        let found = read(name);
        assert_eq!(found.progress, progress, "{name}");
        assert_eq!(found.captured, Some(eur(0)), "{name}");
        assert_eq!(found.refunded, None, "{name}");
        // What is not understood is no look at the money.
        let is_look = found.source != Source::Signed;
        assert_eq!(is_look, progress.is_some(), "{name}");
    }
}

#[test]
fn an_authorisation_is_held_until_the_day_by_which_it_must_be_captured() {
    let found = read("payment_authorized");
    assert_eq!(found.authorised, Some(eur(14995)));
    let day = Time::from_seconds(1_797_552_000);
    assert_eq!(found.authorised_until, Some(day));
    let part = read("payment_authorized_captured_in_part");
    assert_eq!(part.captured, Some(eur(5000)), "only what succeeded");
    assert_eq!(part.authorised, Some(eur(9995)));
    assert_eq!(part.progress, Some(Progress::Authorised));
}

#[test]
fn what_was_captured_in_part_is_what_was_taken() {
    let found = read("payment_paid_in_part");
    assert_eq!(found.requested, Some(eur(14995)));
    assert_eq!(found.captured, Some(eur(8000)));
    assert_eq!(found.authorised, Some(eur(0)));
}

#[test]
fn a_paid_payment_of_which_nothing_was_captured_contradicts_itself() {
    let replies = [ok("payment_paid_and_captured_nothing")];
    let failure = failed(&fetch(PAYMENT), &replies);
    assert_eq!(failure, malformed("amounts_disagree"));
}

#[test]
fn each_refund_has_its_place_on_the_way_back() {
    let found = read("payment_with_refunds");
    assert!(found.is_refund_list_whole);
    assert_eq!(found.refunded, Some(eur(6500)));
    for (number, minor, state, waits, cancels, is_ours) in [
        (1, 1000, RefundState::Pending, true, true, true),
        (2, 2000, RefundState::Pending, false, true, false),
        (3, 3000, RefundState::Pending, false, false, false),
        (4, 500, RefundState::Succeeded, false, false, true),
        (5, 4000, RefundState::Failed, false, false, false),
        (6, 5000, RefundState::Failed, false, false, false),
    ] {
        let refund = &found.refunds[&id(&format!("re_MadeUp{number:04}"))];
        assert_eq!(
            (refund.amount, refund.state),
            (eur(minor), state),
            "{number}"
        );
        let told = |stamped: &Option<crate::core::lattice::Stamped<bool>>| {
            stamped.as_ref().map(|stamped| stamped.value)
        };
        assert_eq!(told(&refund.waits_for_balance), Some(waits), "{number}");
        assert_eq!(told(&refund.may_be_cancelled), Some(cancels), "{number}");
        assert_eq!(refund.mark, is_ours.then(key), "{number}");
    }
    let unknown = changed("payment_with_refunds", "\"queued\"", "\"dreaming\"");
    let refund = &unknown.refunds[&id("re_MadeUp0001")];
    assert_eq!(refund.state, RefundState::Pending);
    assert!(!refund.may_be_cancelled.as_ref().unwrap().value);
}

#[test]
fn a_chargeback_is_an_open_dispute_until_it_is_reversed() {
    let found = read("payment_charged_back");
    assert_eq!(found.is_disputed, Some(true));
    let dispute = &found.disputes[&id("chb_MadeUp0001")];
    assert_eq!(
        (dispute.amount, dispute.state),
        (eur(14995), DisputeState::Open)
    );
    let reversed = read("payment_charged_back_and_reversed");
    let dispute = &reversed.disputes[&id("chb_MadeUp0001")];
    assert_eq!(dispute.state, DisputeState::Won);
    assert_eq!(reversed.is_disputed, Some(false));
}

#[test]
fn the_reference_is_found_in_an_object_and_in_an_object_written_as_text() {
    for (metadata, expected) in [
        (r#"{"order_id":"W-1"}"#, Some("W-1")),
        (r#"{"order_id":20417}"#, Some("20417")),
        (r#"{"order_id":"W-1","order_reference":"R-1"}"#, Some("R-1")),
        (r#""{\"order_id\":\"W-1\"}""#, Some("W-1")),
        (r#""{\"order_reference\":20417}""#, Some("20417")),
        (r#""{\"order_id\":\"1\",\"order_id\":\"2\"}""#, None),
        (r#""{\"order_id\"""#, None),
        (r#""[{\"order_id\":\"W-1\"}]""#, None),
        (r#""W-1""#, None),
        ("20417", None),
        (r#"["W-1"]"#, None),
        (r#"[{"order_id":"W-1"}]"#, None),
        (r#"{"order_id":["W-1"]}"#, None),
        ("null", None),
        ("true", None),
    ] {
        assert_eq!(reference(metadata).as_deref(), expected, "{metadata}");
    }
}

#[test]
fn metadata_that_is_the_reference_itself_is_taken_where_it_is_named() {
    let rules = AccountRules {
        reference_paths: vec!["metadata".to_owned()],
        ..rules()
    };
    let text = String::from_utf8(fixture("api/payment_paid.json")).unwrap();
    for (metadata, expected) in [("\"W-1\"", "W-1"), ("20417", "20417")] {
        let body = text.replace(METADATA, metadata).into_bytes();
        let replies = [answered(200, body)];
        let at = Time::from_seconds(ASKED_AT);
        let step = mollie_with(rules.clone(), &[]).step(&fetch(PAYMENT), at, &replies);
        let Step::Done(PspAnswer::Seen(found)) = step else {
            panic!("{step:?}");
        };
        assert_eq!(found[0].reference.as_ref().unwrap().as_str(), expected);
    }
}

#[test]
fn what_is_not_ours_is_told_apart() {
    for (name, ownership) in [
        ("payment_live", Ownership::WrongMode),
        ("payment_before_since", Ownership::BeforeSince),
        ("payment_recurring", Ownership::UnknownKind),
    ] {
        assert_eq!(read(name).ownership, Some(ownership), "{name}");
    }
    let first = changed("payment_paid", "\"oneoff\"", "\"first\"");
    assert_eq!(first.ownership, Some(Ownership::Ours));
    let nameless = changed("payment_paid", METADATA, "null");
    assert_eq!(nameless.ownership, Some(Ownership::Unclaimed));
    let odd = changed("payment_paid", "\"mode\": \"test\"", "\"mode\": \"dream\"");
    assert_eq!(odd.ownership, Some(Ownership::WrongMode));
}

#[test]
fn a_live_account_serves_live_payments_alone() {
    let rules = AccountRules {
        live: true,
        ..rules()
    };
    for (name, expected) in [
        ("payment_live", Ownership::Ours),
        ("payment_paid", Ownership::WrongMode),
    ] {
        let at = Time::from_seconds(ASKED_AT);
        let step = mollie_with(rules.clone(), &[]).step(&fetch(PAYMENT), at, &[ok(name)]);
        let Step::Done(PspAnswer::Seen(found)) = step else {
            panic!("{step:?}");
        };
        assert_eq!(found[0].ownership, Some(expected), "{name}");
    }
}

#[test]
fn currencies_without_decimals_are_read_as_mollie_writes_them() {
    let isk = Currency::parse("ISK").unwrap();
    let found = read("payment_in_isk");
    assert_eq!(found.captured, Some(Money::new(2790, isk)));
    let failure = failed(&fetch(PAYMENT), &[ok("payment_in_krw")]);
    assert_eq!(failure, malformed("bad_amount"));
}

#[test]
fn an_amount_that_is_no_exact_decimal_is_no_amount() {
    let text = String::from_utf8(fixture("api/payment_paid.json")).unwrap();
    for value in ["149.9", "149", "-149.95", "1e3", "149,95"] {
        let body = text.replacen("149.95", value, 1).into_bytes();
        let failure = failed(&fetch(PAYMENT), &[answered(200, body)]);
        assert_eq!(failure, malformed("bad_amount"), "{value}");
    }
    let number = text.replacen("\"149.95\"", "149.95", 1).into_bytes();
    let failure = failed(&fetch(PAYMENT), &[answered(200, number)]);
    assert_eq!(failure, malformed("wrong_shape"));
}
