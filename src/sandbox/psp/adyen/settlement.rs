//! The settlement detail report, made from the books.
//!
//! Quoted, with a byte order mark and columns that nobody asked for, as files are. Knows no
//! endpoint and no key.

use super::MERCHANT_ACCOUNT;
use super::render::REFERENCE;
use crate::core::money::Currency;
use crate::sandbox::psp::ledger::Ledger;
use crate::sandbox::psp::records::{DisputeStatus, Payment, RefundStatus};
use jiff::tz::TimeZone;

const HEAD: &str = "\u{feff}Company Account,Merchant Account,Psp Reference,Merchant Reference,\
    Payment Method,Creation Date,TimeZone,Type,Modification Reference,Gross Currency,\
    Gross Debit (GC),Gross Credit (GC),Exchange Rate,Modification Merchant Reference,Batch Number\r\n";

/// One change of a payment.
struct Change<'a> {
    kind: &'a str,
    name: &'a str,
    reference: &'a str,
    amount: i64,
    is_credit: bool,
    created: i64,
}

/// All of the books in one file.
pub(super) fn report(ledger: &Ledger) -> String {
    let records = ledger.records();
    let mut text = HEAD.to_owned();
    for payment in records.payments.values() {
        for one in records.captures_of(&payment.id) {
            let row = |kind| Change {
                kind,
                name: &one.id,
                reference: "",
                amount: one.amount,
                is_credit: true,
                created: one.created,
            };
            text.push_str(&line(payment, &row("Settled")));
        }
        for one in records.refunds_for(&payment.id) {
            let reference = one.metadata.get(REFERENCE).map_or("", String::as_str);
            let row = |kind, is_credit| Change {
                kind,
                name: &one.id,
                reference,
                amount: one.amount,
                is_credit,
                created: one.created,
            };
            match one.status {
                RefundStatus::Pending | RefundStatus::Waiting | RefundStatus::Cancelled => {}
                RefundStatus::Succeeded => text.push_str(&line(payment, &row("Refunded", false))),
                RefundStatus::Failed | RefundStatus::Reversed => {
                    text.push_str(&line(payment, &row("Refunded", false)));
                    text.push_str(&line(payment, &row("RefundedReversed", true)));
                }
            }
        }
        for one in records.disputes.values() {
            if one.payment != payment.id {
                continue;
            }
            let row = |kind, is_credit| Change {
                kind,
                name: &one.id,
                reference: "",
                amount: one.amount,
                is_credit,
                created: one.created,
            };
            text.push_str(&line(payment, &row("Chargeback", false)));
            match one.status {
                DisputeStatus::Open => {}
                DisputeStatus::Won => {
                    text.push_str(&line(payment, &row("ChargebackReversed", true)));
                }
                DisputeStatus::Lost => {
                    text.push_str(&line(payment, &row("SecondChargeback", false)));
                }
            }
        }
    }
    text.push_str(&format!(
        "Sandbox,{MERCHANT_ACCOUNT},,,,2027-01-15 08:00:00,UTC,Fee,,EUR,0.10,,1,,7\r\n"
    ));
    text
}

fn line(payment: &Payment, change: &Change<'_>) -> String {
    let amount = decimal(change.amount, payment.currency);
    let (debit, credit) = if change.is_credit {
        (String::new(), amount)
    } else {
        (amount, String::new())
    };
    let moment = jiff::Timestamp::from_second(change.created).unwrap_or_default();
    let moment = moment.to_zoned(TimeZone::UTC);
    let fields = [
        "Sandbox",
        MERCHANT_ACCOUNT,
        &payment.id,
        payment.reference().unwrap_or_default(),
        &payment.method,
        &moment.strftime("%Y-%m-%d %H:%M:%S").to_string(),
        "UTC",
        change.kind,
        change.name,
        payment.currency.code(),
        &debit,
        &credit,
        "1",
        change.reference,
        "7",
    ];
    let quoted = fields.map(|field| format!("\"{}\"", field.replace('"', "\"\"")));
    format!("{}\r\n", quoted.join(","))
}

/// With a decimal point where the currency has decimals.
fn decimal(minor: i64, currency: Currency) -> String {
    let step = 10_i64.saturating_pow(currency.exponent());
    let (whole, part) = (minor.checked_div(step), minor.checked_rem(step));
    let (whole, part) = (whole.unwrap_or_default(), part.unwrap_or_default());
    match usize::try_from(currency.exponent()).unwrap_or_default() {
        0 => whole.to_string(),
        width => format!("{whole}.{part:0width$}"),
    }
}
