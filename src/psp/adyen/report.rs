//! Adyen's settlement detail report: which columns are read, and what each type of row says.
//!
//! Not signed, so nothing here outranks an event: a row says what the event of its change would
//! have said, and the payment's own event is believed before it. Columns are found by name. What
//! is not understood is refused by its line or counted by its type, never guessed. No I/O.

use super::amount;
use super::item::{self, Item};
use super::statement::{Frame, SettledRow, is_word};
use crate::core::money::Money;
use crate::core::payment::PaymentSnapshot;
use crate::core::time::{Span, Time};
use crate::psp::Unreadable;
use crate::psp::report::{self, BadReport, ReportPart, ReportReading, Row};
use jiff::civil::DateTime;
use jiff::tz::TimeZone;
use std::collections::BTreeMap;

/// Most rows of one part.
const ROWS_MAX: usize = 1_000;
/// The columns that must be there.
const NEEDED: [&str; 10] = [
    "Merchant Account",
    "Psp Reference",
    "Merchant Reference",
    "Creation Date",
    "TimeZone",
    "Type",
    "Modification Reference",
    "Gross Currency",
    "Gross Debit (GC)",
    "Gross Credit (GC)",
];
/// Types that say nothing about one payment of a shopper's.
const OF_NO_CONCERN: [&str; 15] = [
    "Fee",
    "MiscCosts",
    "MerchantPayout",
    "DepositCorrection",
    "BalanceTransfer",
    "Balancetransfer",
    "InvoiceDeduction",
    "MatchedStatement",
    "ManualCorrected",
    "AuthorisationSchemeFee",
    "BankInstructionReturned",
    "InternalCompanyPayout",
    "PaidOut",
    "SettledBulk",
    "RefundedBulk",
];
/// How far ahead of UTC the clocks of a zone are at most: a report may write `CET` in summer as
/// well, so the earlier of the moments that are possible is taken.
const ZONES: [(&str, i64); 17] = [
    ("UTC", 0),
    ("GMT", 60),
    ("BST", 60),
    ("WET", 60),
    ("WEST", 60),
    ("CET", 120),
    ("CEST", 120),
    ("MET", 120),
    ("EET", 180),
    ("EEST", 180),
    ("EST", -240),
    ("EDT", -240),
    ("MST", -360),
    ("PST", -420),
    ("PDT", -420),
    ("SGT", 480),
    ("JST", 540),
];

/// Where the columns of this file stand.
struct Columns(BTreeMap<String, usize>);

impl Columns {
    fn of(head: &str) -> Result<Columns, BadReport> {
        let head = head.strip_prefix('\u{feff}').unwrap_or(head);
        let row = Row {
            line: 1,
            text: head,
        };
        let names = row
            .fields()
            .ok_or_else(|| BadReport("the first line is no row of column names".to_owned()))?;
        let mut places = BTreeMap::new();
        for (place, name) in names.iter().enumerate() {
            let name = name.trim().to_owned();
            let is_again = places.insert(name.clone(), place).is_some();
            if is_again && is_read(&name) {
                return Err(BadReport(format!("the column {name:?} is there twice")));
            }
        }
        match NEEDED.iter().find(|name| !places.contains_key(**name)) {
            Some(missing) => Err(BadReport(format!("the column {missing:?} is missing"))),
            None => Ok(Columns(places)),
        }
    }
}

fn is_read(name: &str) -> bool {
    NEEDED.contains(&name) || ["Payment Method", "Modification Merchant Reference"].contains(&name)
}

/// A row's fields by column.
struct Fields<'a> {
    columns: &'a Columns,
    fields: Vec<String>,
}

impl Fields<'_> {
    fn text(&self, name: &str) -> &str {
        let place = self.columns.0.get(name);
        let field = place.and_then(|place| self.fields.get(*place));
        field.map_or("", |text| text.trim())
    }

    /// The amount in this column, while the other one holds nothing.
    fn amount(&self, name: &str, other: &str) -> Result<Money, String> {
        let bad = |bad: amount::BadAmount| format!("{name:?}: {}", bad.0);
        let currency = amount::currency(self.text("Gross Currency")).map_err(bad)?;
        let is_nothing = |text: &str| text.bytes().all(|byte| matches!(byte, b'0' | b'.'));
        if !is_nothing(self.text(other)) {
            return Err(format!("an amount in {other:?}"));
        }
        let read = amount::read_decimal(self.text(name), currency).map_err(bad)?;
        if read.is_positive() {
            Ok(read)
        } else {
            Err(format!("no amount in {name:?}"))
        }
    }

    /// The earliest moment that the row's date may mean.
    fn created(&self) -> Result<Time, String> {
        let (text, zone) = (self.text("Creation Date"), self.text("TimeZone"));
        let ahead = ZONES.iter().find(|(name, _)| *name == zone);
        let (_, minutes) = ahead.ok_or("a time zone that is not known")?;
        let civil: DateTime = text.parse().map_err(|_| "a date that is none")?;
        let zoned = civil.to_zoned(TimeZone::UTC);
        let written = zoned.map_err(|_| "a date out of range")?.timestamp();
        let written = Time::from_seconds(written.as_second());
        let ahead = Span::from_minutes(minutes.unsigned_abs());
        Ok(if *minutes < 0 {
            written.plus(ahead)
        } else {
            written.minus(ahead)
        })
    }
}

/// Which column holds a row's amount.
#[derive(Clone, Copy)]
enum Side {
    /// To the merchant.
    Credit,
    /// From the merchant.
    Debit,
}

/// The event that a change of this type would have had, and its side.
fn event(kind: &str) -> Option<(&'static str, Side)> {
    Some(match kind {
        "Refunded" => ("REFUND", Side::Debit),
        "RefundedReversed" => ("REFUNDED_REVERSED", Side::Credit),
        "Chargeback" => ("CHARGEBACK", Side::Debit),
        "SecondChargeback" => ("SECOND_CHARGEBACK", Side::Debit),
        "ChargebackReversed" => ("CHARGEBACK_REVERSED", Side::Credit),
        _ => return None,
    })
}

/// What a row became.
enum Became {
    Seen(Vec<PaymentSnapshot>),
    Ignored,
    Unknown,
}

impl Frame<'_> {
    /// What a part of the report says.
    pub(super) fn report(&self, part: ReportPart<'_>) -> Result<ReportReading, BadReport> {
        let columns = Columns::of(part.head)?;
        let rows = report::rows(part.rows, part.line)?;
        if rows.len() > ROWS_MAX {
            return Err(BadReport(format!("more than {ROWS_MAX} rows in one part")));
        }
        let mut reading = ReportReading::default();
        for row in rows {
            reading.rows = reading.rows.saturating_add(1);
            let fields = row.fields().filter(|all| all.len() == columns.0.len());
            let Some(fields) = fields else {
                let why = "not as many fields as there are columns, or a quote out of place";
                reading.refused.push((row.line, why.to_owned()));
                continue;
            };
            let fields = Fields {
                columns: &columns,
                fields,
            };
            match self.row(&fields) {
                Ok(Became::Seen(payments)) => reading.payments.extend(payments),
                Ok(Became::Ignored) => count(&mut reading.ignored, &fields),
                Ok(Became::Unknown) => count(&mut reading.unknown, &fields),
                Err(why) => reading.refused.push((row.line, why)),
            }
        }
        Ok(reading)
    }

    fn row(&self, fields: &Fields<'_>) -> Result<Became, String> {
        if fields.text("Merchant Account") != self.merchant_account {
            return Err("of another merchant account".to_owned());
        }
        let kind = fields.text("Type");
        if OF_NO_CONCERN.contains(&kind) {
            return Ok(Became::Ignored);
        }
        let (credit, debit) = ("Gross Credit (GC)", "Gross Debit (GC)");
        let unreadable = |bad: Unreadable| bad.detail;
        let payment = fields.text("Psp Reference");
        if kind == "Settled" {
            let settled = SettledRow {
                payment: item::reference(payment).map_err(unreadable)?,
                amount: fields.amount(credit, debit)?,
                reference: fields.text("Merchant Reference"),
                method: fields.text("Payment Method"),
                created: fields.created()?,
            };
            return Ok(Became::Seen(self.settled(&settled)));
        }
        let Some((event, side)) = event(kind) else {
            return Ok(Became::Unknown);
        };
        let amount = match side {
            Side::Credit => fields.amount(credit, debit)?,
            Side::Debit => fields.amount(debit, credit)?,
        };
        item::reference(payment).map_err(unreadable)?;
        let item = Item {
            psp_reference: fields.text("Modification Reference").to_owned(),
            original_reference: payment.to_owned(),
            account: self.merchant_account.to_owned(),
            merchant_reference: fields.text("Modification Merchant Reference").to_owned(),
            value: amount::write(amount)
                .map_err(|bad| bad.0.to_owned())?
                .to_string(),
            currency: amount.currency().code().to_owned(),
            event_code: event.to_owned(),
            success: "true".to_owned(),
            signature: None,
            method: None,
        };
        self.change(&item).map(Became::Seen).map_err(unreadable)
    }
}

/// Counts a row under its type.
fn count(counts: &mut BTreeMap<String, u64>, fields: &Fields<'_>) {
    let kind = fields.text("Type");
    let name = if is_word(kind) { kind } else { "unreadable" };
    let known = counts.entry(name.to_owned()).or_default();
    *known = known.saturating_add(1);
}
