//! Rows of the settlement detail report, and what they say beside the events.
//!
//! Knows the reader and the statements of one row; how parts travel is tested with the command.

use super::*;
use crate::core::lattice::Join;
use crate::core::payment::{DisputeState, Ownership, PaymentStatus, RefundState};
use crate::psp::report::{BadReport, ReportPart, ReportReading};
use proptest::prelude::*;

const HEAD: &str = "Company Account,Merchant Account,Psp Reference,Merchant Reference,\
    Payment Method,Creation Date,TimeZone,Type,Modification Reference,Gross Currency,\
    Gross Debit (GC),Gross Credit (GC),Modification Merchant Reference,Batch Number";

/// A row about the payment, on the day of `T`.
fn row(kind: &str, debit: &str, credit: &str) -> String {
    format!(
        "Klompen,{ACCOUNT},{PAYMENT},W-20417,ideal,2026-11-18 11:06:40,UTC,{kind},{CHANGE},EUR,\
         {debit},{credit},refund-adyen_nl.{PAYMENT}-1,7"
    )
}

fn read(head: &str, rows: &[String]) -> Result<ReportReading, BadReport> {
    let rows = rows.join("\r\n");
    let part = ReportPart {
        head,
        rows: &rows,
        line: 2,
    };
    adyen(Capture::Automatic).read_report(part, at(0))
}

fn joined(reading: &ReportReading) -> Payment {
    let mut payment = Payment::default();
    for seen in &reading.payments {
        assert_eq!(seen.payment.id, id(PAYMENT));
        payment.join(&Payment::from_snapshot(seen));
    }
    payment
}

#[test]
fn a_settled_row_is_money_taken_and_its_own_event_is_believed_before_it() {
    let reading = read(HEAD, &[row("Settled", "", "149.95")]).unwrap();
    assert_eq!((reading.rows, reading.refused.len()), (1, 0));
    let mut payment = joined(&reading);
    assert_eq!(payment.captured(), Some(eur(14_995)));
    assert_eq!(payment.status(), PaymentStatus::Captured);
    assert_eq!(payment.ownership.as_ref().unwrap().value, Ownership::Ours);
    let named = |payment: &Payment| payment.reference.clone().unwrap().value;
    assert_eq!(named(&payment).as_str(), "W-20417");
    let event = with(
        item("AUTHORISATION", "true"),
        "merchantReference",
        "A-1".into(),
    );
    payment.join(&known(Capture::Automatic, &[event]));
    assert_eq!(named(&payment).as_str(), "A-1");
    assert_eq!(payment.captured(), Some(eur(14_995)));
}

#[test]
fn a_settled_capture_is_not_counted_beside_the_event_that_told_of_it() {
    let mut payment = joined(&read(HEAD, &[row("Settled", "", "149.95")]).unwrap());
    let capture = with(
        item("CAPTURE", "true"),
        "pspReference",
        "MADEUP0000000009".into(),
    );
    payment.join(&known(
        Capture::Manual,
        &[item("AUTHORISATION", "true"), capture],
    ));
    assert_eq!(payment.captured(), Some(eur(14_995)));
}

#[test]
fn a_payment_older_than_the_account_is_not_ours_by_its_date_in_the_earliest_zone() {
    // The account begins at 1794000000, 2026-11-06 21:20:00 UTC.
    for (date, zone, owned) in [
        ("2026-11-06 21:19:59", "UTC", Ownership::BeforeSince),
        ("2026-11-06 21:20:00", "UTC", Ownership::Ours),
        ("2026-11-06 23:19:59", "CET", Ownership::BeforeSince),
        ("2026-11-06 23:20:00", "CET", Ownership::Ours),
        ("2026-11-06 17:20:00", "EST", Ownership::Ours),
        ("2026-11-06 17:19:59", "EST", Ownership::BeforeSince),
    ] {
        let row = row("Settled", "", "149.95")
            .replace("2026-11-18 11:06:40,UTC", &format!("{date},{zone}"));
        let payment = joined(&read(HEAD, &[row]).unwrap());
        assert_eq!(payment.ownership.unwrap().value, owned, "{date} {zone}");
    }
}

#[test]
fn refunds_and_disputes_of_the_report_are_the_facts_of_their_events() {
    for (kind, debit, credit, event) in [
        ("Refunded", "149.95", "", "REFUND"),
        ("RefundedReversed", "", "149.95", "REFUNDED_REVERSED"),
        ("Chargeback", "149.95", "", "CHARGEBACK"),
        ("SecondChargeback", "149.95", "", "SECOND_CHARGEBACK"),
        ("ChargebackReversed", "", "149.95", "CHARGEBACK_REVERSED"),
    ] {
        let reading = read(HEAD, &[row(kind, debit, credit)]).unwrap();
        let reference = own_key().as_str().to_owned();
        let event = with(item(event, "true"), "merchantReference", reference.into());
        assert_eq!(
            reading.payments,
            told(Capture::Automatic, &[event]),
            "{kind}"
        );
    }
    let back = joined(&read(HEAD, &[row("Refunded", "149.95", "")]).unwrap());
    let refund = back.refund_marked(&own_key()).unwrap();
    assert_eq!(refund.state, RefundState::Succeeded);
    let gone = joined(&read(HEAD, &[row("SecondChargeback", "149.95", "")]).unwrap());
    assert_eq!(gone.disputes[&id(CHANGE)].state, DisputeState::Lost);
}

#[test]
fn columns_are_found_by_name_in_any_order_behind_a_byte_order_mark() {
    let reversed = |line: &str| line.split(',').rev().collect::<Vec<_>>().join(",");
    let head = format!("\u{feff}{}", reversed(HEAD));
    let reading = read(&head, &[reversed(&row("Settled", "", "149.95"))]).unwrap();
    assert_eq!(joined(&reading).captured(), Some(eur(14_995)));
}

#[test]
fn a_missing_column_and_one_that_is_there_twice_are_named_and_nothing_is_read() {
    for needed in ["Psp Reference", "TimeZone", "Type", "Gross Credit (GC)"] {
        let head = HEAD.replace(&format!(",{needed},"), ",Other,");
        let bad = read(&head, &[row("Settled", "", "149.95")]).unwrap_err();
        assert!(bad.0.contains(&format!("{needed:?} is missing")), "{bad:?}");
    }
    let head = HEAD.replace("Batch Number", "Type");
    let bad = read(&head, &[row("Settled", "", "149.95")]).unwrap_err();
    assert!(bad.0.contains("\"Type\" is there twice"), "{bad:?}");
}

#[test]
fn a_row_that_cannot_be_taken_is_named_by_its_line_and_hides_no_other() {
    let good = row("Settled", "", "149.95");
    for (why, bad) in [
        ("another merchant account", good.replace(ACCOUNT, "Other")),
        ("time zone", good.replace("UTC", "Mars")),
        ("date", good.replace("2026-11-18", "2026-13-18")),
        ("currency", good.replace("EUR", "eur")),
        ("decimals", good.replace("149.95", "149.955")),
        ("number", good.replace("149.95", "149,95")),
        ("number", good.replace("149.95", "-149.95")),
        ("no amount", good.replace("149.95", "0.00")),
        ("an amount in", row("Settled", "149.95", "149.95")),
        ("number", row("Settled", "", "")),
        ("PSP reference", good.replace(PAYMENT, "a/../b")),
        (
            "PSP reference",
            row("Refunded", "149.95", "").replace(CHANGE, ""),
        ),
        ("an amount in", row("Refunded", "", "149.95")),
        ("fields", format!("{good},more")),
        ("fields", good.replace("Klompen,", "\"Klompen\"x,")),
    ] {
        let reading = read(HEAD, &[good.clone(), bad.clone(), good.clone()]).unwrap();
        assert_eq!(reading.refused.len(), 1, "{bad}");
        let (line, said) = &reading.refused[0];
        assert_eq!(*line, 3, "{bad}");
        let fits = said.contains(why) || (why == "number" && said.contains("fields"));
        assert!(fits, "{why}: {said}");
        assert_eq!(reading.payments.len(), 4, "{bad}");
    }
}

#[test]
fn a_type_that_says_nothing_of_a_payment_is_counted_and_an_unknown_one_apart() {
    let rows = ["Fee", "MerchantPayout", "Fee", "SettledInPart", "settled"]
        .map(|kind| row(kind, "", "149.95"));
    let reading = read(HEAD, &rows).unwrap();
    assert!(reading.payments.is_empty() && reading.refused.is_empty());
    assert_eq!(reading.ignored["Fee"], 2);
    assert_eq!(reading.ignored["MerchantPayout"], 1);
    let unknown: Vec<&str> = reading.unknown.keys().map(String::as_str).collect();
    assert_eq!(unknown, ["SettledInPart", "settled"]);
}

#[test]
fn amounts_of_a_report_are_read_with_adyens_own_decimals() {
    for (written, code, minor) in [
        ("5", "EUR", Some(500)),
        ("5.5", "EUR", Some(550)),
        ("0.01", "EUR", Some(1)),
        ("500.00", "JPY", Some(500)),
        ("500.50", "JPY", None),
        ("2790.00", "ISK", Some(2_790)),
        ("5000", "IDR", Some(500_000)),
        ("1.234", "KWD", Some(1_234)),
        ("1.234.5", "KWD", None),
        ("1e3", "EUR", None),
        (".5", "EUR", None),
        ("99999999999999999999", "EUR", None),
        ("5.00", "BIF", None),
    ] {
        let row = row("Settled", "", written).replace(",EUR,", &format!(",{code},"));
        let reading = read(HEAD, &[row]).unwrap();
        let read = reading.payments.last().and_then(|seen| seen.captured);
        assert_eq!(read.map(Money::minor), minor, "{written} {code}");
    }
}

proptest! {
    #[test]
    fn any_report_is_read_without_a_panic(
        head in ".{0,60}",
        rows in ".{0,200}",
        changes in prop::collection::vec((any::<prop::sample::Index>(), "[\",\r\nA-z0-9.]{0,3}"), 0..5),
    ) {
        let account = adyen(Capture::Automatic);
        let part = |head, rows| ReportPart { head, rows, line: u64::MAX };
        let read = account.read_report(part(&head, &rows), at(0));
        prop_assert!(read.is_err());
        let mut real = [row("Settled", "", "149.95"), row("Refunded", "1.00", "")].join("\n");
        for (at, text) in changes {
            let at = at.index(real.len());
            real.replace_range(at..at, &text);
        }
        if let Ok(reading) = account.read_report(part(HEAD, &real), at(0)) {
            for one in reading.payments {
                prop_assert!(one.captured.is_none_or(Money::is_positive));
                prop_assert_eq!(one.payment.account.as_str(), "adyen_nl");
            }
        }
    }
}
