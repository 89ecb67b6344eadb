//! What each event means, whatever the order of arrival, and what no event may do.
//! Signs for itself with the plain algorithm; knows no call.

use super::*;
use crate::core::payment::{
    DisputeState, Ownership, PaymentStatus, Progress, Refund, RefundState, Source,
};
use crate::psp::Unreadable;
use Capture::{Automatic, Manual};
use proptest::prelude::*;

fn read(body: &[u8]) -> Result<Reading, Unreadable> {
    adyen(Automatic).read(body, true, at(0))
}

fn one(item: Value) -> Result<Reading, Unreadable> {
    read(&notice(&[signed(item, SECRET)]))
}

fn ignored(what: &str) -> Result<Reading, Unreadable> {
    let what = what.to_owned();
    Ok(Reading::Ignored { what })
}

fn refund(payment: &Payment) -> &Refund {
    assert_eq!(payment.refunds.len(), 1);
    &payment.refunds[&id(CHANGE)]
}

#[test]
fn an_authorisation_is_paid_where_adyen_captures_and_held_where_the_shop_does() {
    let paid = known(Automatic, &[item("AUTHORISATION", "true")]);
    assert_eq!(paid.status(), PaymentStatus::Captured);
    assert_eq!(paid.captured(), Some(eur(14_995)));
    let reference = paid.reference.clone().unwrap().value;
    assert_eq!(reference.as_str(), "W-20417");
    assert_eq!(paid.ownership.unwrap().value, Ownership::Ours);
    assert_eq!(paid.method.clone().unwrap().value, "ideal");
    assert_eq!((paid.read_at, paid.created_at), (None, Some(at(0))));
    let held = known(Manual, &[item("AUTHORISATION", "true")]);
    assert_eq!(held.status(), PaymentStatus::Authorised);
    assert_eq!(held.authorised(), Some(eur(14_995)));
    for seen in told(Automatic, &[item("AUTHORISATION", "true")]) {
        assert_eq!((seen.source, seen.observed_at), (Source::Signed, at(0)));
    }
}

#[test]
fn a_refused_attempt_that_is_told_late_does_not_undo_an_authorisation_of_the_same_name() {
    let good = item("AUTHORISATION", "true");
    let bad = item("AUTHORISATION", "false");
    for items in [[good.clone(), bad.clone()], [bad.clone(), good.clone()]] {
        assert_eq!(known(Automatic, &items).status(), PaymentStatus::Captured);
        assert_eq!(known(Manual, &items).status(), PaymentStatus::Authorised);
    }
    let alone = [bad];
    assert_eq!(known(Automatic, &alone).status(), PaymentStatus::Failed);
    assert_eq!(known(Manual, &alone).status(), PaymentStatus::Pending);
    let left = [item("OFFER_CLOSED", "true")];
    assert_eq!(known(Automatic, &left).status(), PaymentStatus::Failed);
}

#[test]
fn captures_are_summed_and_close_what_is_held_in_any_order() {
    let part = |name: &str, minor: i64| {
        let mut part = with(item("CAPTURE", "true"), "pspReference", name.into());
        part["amount"]["value"] = minor.into();
        part
    };
    let held = item("AUTHORISATION", "true");
    let (first, second) = (part("CAP1", 10_000), part("CAP2", 4_995));
    let orders = [
        [held.clone(), first.clone(), second.clone()],
        [second, first, held],
    ];
    for items in orders {
        let twice = [items.clone(), items].concat();
        let paid = known(Manual, &twice);
        assert_eq!(paid.captured(), Some(eur(14_995)));
        assert_eq!(paid.status(), PaymentStatus::Captured);
        assert_eq!(paid.progress.unwrap().value, Progress::Taken);
        assert_eq!(paid.ownership.unwrap().value, Ownership::Ours);
    }
    let both = [item("AUTHORISATION", "true"), item("CAPTURE", "true")];
    assert_eq!(known(Automatic, &both).captured(), Some(eur(14_995)));
}

#[test]
fn a_capture_that_fails_where_money_counted_is_a_dispute_that_nothing_closes() {
    let paid = item("AUTHORISATION", "true");
    let captured = item("CAPTURE", "true");
    let failed = with(item("CAPTURE_FAILED", "true"), "pspReference", "F1".into());
    let again = with(captured.clone(), "pspReference", "CAP2".into());
    for capture in [Automatic, Manual] {
        let items = [
            paid.clone(),
            captured.clone(),
            failed.clone(),
            again.clone(),
        ];
        assert!(known(capture, &items).has_open_dispute(), "{capture:?}");
    }
    for event in [item("CAPTURE", "false"), item("EXPIRE", "true")] {
        let items = [paid.clone(), event];
        assert!(known(Automatic, &items).has_open_dispute());
        assert!(!known(Manual, &items).has_open_dispute());
    }
    let expired = known(Manual, &[paid, item("EXPIRE", "true")]);
    assert_eq!(expired.status(), PaymentStatus::Failed);
}

#[test]
fn a_cancellation_ends_what_was_held_and_gives_back_what_counted_as_paid() {
    for event in ["CANCELLATION", "TECHNICAL_CANCEL"] {
        let items = [item("AUTHORISATION", "true"), item(event, "true")];
        assert_eq!(known(Manual, &items).status(), PaymentStatus::Failed);
        let paid = known(Automatic, &items);
        assert_eq!(refund(&paid).state, RefundState::Succeeded, "{event}");
        let declined = [item("AUTHORISATION", "true"), item(event, "false")];
        let held = known(Manual, &declined);
        assert_eq!(held.status(), PaymentStatus::Authorised, "{event}");
    }
}

#[test]
fn refunds_go_their_way_and_success_says_of_a_failure_that_it_happened() {
    use RefundState::{Failed, Pending, Succeeded};
    for (event, success, state) in [
        ("REFUND", "true", Succeeded),
        ("REFUND", "false", Failed),
        ("REFUND_FAILED", "true", Failed),
        ("REFUNDED_REVERSED", "true", Failed),
        ("POSTPONED_REFUND", "true", Pending),
        ("CANCEL_OR_REFUND", "true", Succeeded),
        ("CANCEL_OR_REFUND", "false", Failed),
    ] {
        let items = [item("AUTHORISATION", "true"), item(event, success)];
        let payment = known(Automatic, &items);
        assert_eq!(refund(&payment).state, state, "{event} {success}");
        assert_eq!(refund(&payment).amount, eur(14_995));
        assert_eq!(refund(&payment).mark, None, "the order's own reference");
    }
    // The failure stands in whichever order the two are told.
    let (done, failed) = (item("REFUND", "true"), item("REFUND_FAILED", "true"));
    for items in [[done.clone(), failed.clone()], [failed, done]] {
        assert_eq!(refund(&known(Automatic, &items)).state, Failed);
    }
}

#[test]
fn a_modifications_reference_is_our_key_or_nothing_and_never_the_orders() {
    let marked = |text: &str| {
        let named = with(item("REFUND", "true"), "merchantReference", text.into());
        let seen = told(Automatic, &[named]);
        assert!(seen.iter().all(|one| one.reference.is_none()), "{text}");
        let refund = seen.iter().find_map(|one| one.refunds.get(&id(CHANGE)));
        refund.unwrap().mark.clone()
    };
    assert_eq!(marked(own_key().as_str()), Some(own_key()));
    let short = "refund-00aa11bb22cc33dd-12";
    assert_eq!(marked(short).unwrap().as_str(), short);
    for text in [
        "W-20417",
        "refund-77",
        "refund-adyen_nl.MADEUP0000000009-1",
        "refund-other.MADEUP0000000001-1",
        "refund-adyen_nl.MADEUP0000000001-x",
        "refund-adyen_nl.MADEUP0000000001-",
        "",
    ] {
        assert_eq!(marked(text), None, "{text}");
    }
}

#[test]
fn what_only_was_modified_here_is_nobodys_until_its_own_event_comes() {
    let captured = known(Manual, &[item("CAPTURE", "true")]);
    assert_eq!(captured.ownership.unwrap().value, Ownership::Unclaimed);
    assert_eq!(captured.reference, None);
    let mut all = rules();
    all.claims = Claims::All;
    let account = adyen_with(all, Manual, proofs(&[SECRET], None));
    let body = notice(&[signed(item("CAPTURE", "true"), SECRET)]);
    let Ok(Reading::Seen { payments, .. }) = account.read(&body, true, at(0)) else {
        panic!("it says something");
    };
    let ownership = payments.iter().find_map(|one| one.ownership);
    assert_eq!(
        ownership,
        Some(Ownership::UnknownKind),
        "never refunded by itself"
    );
}

#[test]
fn disputes_are_open_until_they_are_decided() {
    use DisputeState::{Lost, Open, Won};
    for (events, state) in [
        (&["NOTIFICATION_OF_CHARGEBACK"][..], Open),
        (&["REQUEST_FOR_INFORMATION"], Open),
        (&["CHARGEBACK"], Open),
        (&["CHARGEBACK_REVERSED", "CHARGEBACK"], Won),
        (
            &["CHARGEBACK", "CHARGEBACK_REVERSED", "SECOND_CHARGEBACK"],
            Lost,
        ),
        (&["PREARBITRATION_WON"], Won),
        (&["PREARBITRATION_LOST"], Lost),
    ] {
        let items: Vec<Value> = events.iter().map(|event| item(event, "true")).collect();
        let payment = known(Automatic, &items);
        assert_eq!(payment.disputes[&id(CHANGE)].state, state, "{events:?}");
    }
}

#[test]
fn what_is_of_no_concern_or_not_for_us_is_ignored_by_name() {
    for (event, what) in [
        ("REPORT_AVAILABLE", "report_available"),
        ("VOID_PENDING_REFUND", "void_pending_refund"),
        ("MANUAL_REVIEW_ACCEPT", "manual_review_accept"),
        ("ORDER_CLOSED", "order_closed"),
        ("A NEW <EVENT>", "unknown_event"),
    ] {
        assert_eq!(one(item(event, "true")), ignored(what));
    }
    let foreign = with(
        item("AUTHORISATION", "true"),
        "merchantAccountCode",
        "Other".into(),
    );
    assert_eq!(one(foreign), ignored("other_merchant_account"));
    for live in [json!("false"), json!(false)] {
        let body = notice(&[signed(item("AUTHORISATION", "true"), SECRET)]);
        let mut body: Value = serde_json::from_slice(&body).unwrap();
        body["live"] = live;
        assert_eq!(read(body.to_string().as_bytes()), ignored("other_mode"));
    }
    let both = [
        signed(item("REPORT_AVAILABLE", "true"), SECRET),
        signed(item("AUTHORISATION", "true"), SECRET),
    ];
    let Ok(Reading::Seen { payments, .. }) = read(&notice(&both)) else {
        panic!("one of them says something");
    };
    assert_eq!(payments.len(), 1);
}

#[test]
fn signed_words_that_make_no_sense_are_unreadable_and_not_guessed() {
    let code = |item: Value| one(item).unwrap_err().code;
    let good = || item("AUTHORISATION", "true");
    assert_eq!(code(with(good(), "success", "TRUE".into())), "wrong_shape");
    assert_eq!(
        code(with(good(), "pspReference", "a/b".into())),
        "missing_field"
    );
    assert_eq!(
        code(with(good(), "pspReference", "".into())),
        "missing_field"
    );
    let amount = |value: Value| with(good(), "amount", value);
    for (currency, value) in [("eur", 1), ("XXQ", 1), ("EUR", -1), ("ISK", 1)] {
        let odd = amount(json!({"currency": currency, "value": value}));
        assert_eq!(code(odd), "bad_amount", "{currency} {value}");
    }
}

/// An unsigned field, changed.
fn unsigned(which: usize, text: &str) -> (&'static str, Value) {
    match which {
        0 => ("eventDate", text.into()),
        1 => ("reason", text.into()),
        2 => ("operations", json!([text])),
        _ => (
            "additionalData",
            json!({"modification.action": text, "metadata.order": text}),
        ),
    }
}

proptest! {
    #[test]
    fn what_is_not_signed_changes_nothing(which in 0..4_usize, text in "[ -~]{0,20}", event in 0..4_usize) {
        let event = ["AUTHORISATION", "CANCEL_OR_REFUND", "CAPTURE", "REFUND"][event];
        let plain = item(event, "true");
        let (field, value) = unsigned(which, &text);
        let changed = with(plain.clone(), field, value);
        prop_assert_eq!(told(Automatic, &[plain]), told(Automatic, &[changed]));
    }

    #[test]
    fn the_means_of_payment_is_shown_and_changes_nothing_else(text in "[ -~]{0,80}") {
        let plain = told(Automatic, &[item("AUTHORISATION", "true")]);
        let changed = with(item("AUTHORISATION", "true"), "paymentMethod", text.into());
        let mut changed = told(Automatic, &[changed]);
        for one in &mut changed {
            one.method.clone_from(&plain[0].method);
        }
        prop_assert_eq!(plain, changed);
    }
}
