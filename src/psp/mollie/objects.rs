//! Mollie's objects as they stand on the wire, only the fields that are read.
//!
//! Plain shapes without meaning: amounts are kept as written (`amount.rs` judges them), times
//! are read here. Unknown fields are skipped.

use crate::core::ids::ExternalRef;
use crate::core::time::Time;
use crate::psp::json::{self, Fault, Strict};
use jiff::Timestamp;
use jiff::civil::Date;
use jiff::tz::TimeZone;
use serde::Deserialize;
use serde_json::value::RawValue;

/// Longest written time, in bytes; Mollie's own have 25.
const TIME_BYTES_MAX: usize = 40;
/// A day as it is written, in bytes: `2026-12-18`.
const DAY_BYTES: usize = 10;

/// What every object is.
#[derive(Deserialize)]
pub(super) struct Kind {
    pub(super) resource: String,
}

/// What every object is called, and when it was made.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Made {
    pub(super) id: ExternalRef,
    pub(super) created_at: String,
    /// Refunds, chargebacks and captures only.
    pub(super) payment_id: Option<ExternalRef>,
}

/// An amount as written.
#[derive(Deserialize)]
pub(super) struct Written {
    pub(super) value: String,
    pub(super) currency: String,
}

/// `payment`.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct PaymentObject<'a> {
    pub(super) id: ExternalRef,
    pub(super) mode: String,
    pub(super) status: String,
    pub(super) created_at: String,
    pub(super) amount: Strict<Written>,
    /// Shown when the payment can be captured apart from being authorised.
    pub(super) amount_captured: Option<Strict<Written>>,
    pub(super) amount_refunded: Option<Strict<Written>>,
    /// Shown only when it is not zero.
    pub(super) amount_charged_back: Option<Strict<Written>>,
    pub(super) method: Option<String>,
    /// `oneoff`, `first` or `recurring`.
    pub(super) sequence_type: Option<String>,
    pub(super) subscription_id: Option<String>,
    pub(super) capture_before: Option<String>,
    pub(super) is_cancelable: Option<bool>,
    #[serde(borrow, rename = "_embedded")]
    pub(super) embedded: Option<Strict<Embedded<'a>>>,
}

/// What was asked to be shown within a payment, or the items of a list.
#[derive(Deserialize)]
pub(super) struct Embedded<'a> {
    #[serde(borrow)]
    pub(super) payments: Option<Vec<&'a RawValue>>,
    #[serde(borrow)]
    pub(super) refunds: Option<Vec<&'a RawValue>>,
    #[serde(borrow)]
    pub(super) captures: Option<Vec<&'a RawValue>>,
    #[serde(borrow)]
    pub(super) chargebacks: Option<Vec<&'a RawValue>>,
}

/// `refund`.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct RefundObject<'a> {
    pub(super) id: ExternalRef,
    pub(super) payment_id: ExternalRef,
    pub(super) amount: Strict<Written>,
    pub(super) status: String,
    #[serde(borrow)]
    pub(super) metadata: Option<&'a RawValue>,
    pub(super) created_at: Option<String>,
}

/// `capture`.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct CaptureObject {
    pub(super) payment_id: ExternalRef,
    pub(super) amount: Strict<Written>,
    pub(super) status: String,
}

/// `chargeback`.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct ChargebackObject {
    pub(super) id: ExternalRef,
    pub(super) payment_id: ExternalRef,
    pub(super) amount: Strict<Written>,
    pub(super) reversed_at: Option<String>,
}

/// One page of a list.
#[derive(Deserialize)]
pub(super) struct Page<'a> {
    #[serde(borrow, rename = "_embedded")]
    pub(super) embedded: Strict<Embedded<'a>>,
    #[serde(rename = "_links")]
    pub(super) links: Strict<PageLinks>,
}

/// Where a page leads.
#[derive(Deserialize)]
pub(super) struct PageLinks {
    pub(super) next: Option<Strict<Link>>,
}

/// An address.
#[derive(Deserialize)]
pub(super) struct Link {
    pub(super) href: String,
}

/// A next-gen event.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct EventObject<'a> {
    #[serde(rename = "type")]
    pub(super) kind: String,
    pub(super) entity_id: Option<String>,
    #[serde(borrow, rename = "_embedded")]
    pub(super) embedded: Option<Strict<EventEntity<'a>>>,
}

/// The part of an event that holds the object.
#[derive(Deserialize)]
pub(super) struct EventEntity<'a> {
    #[serde(borrow)]
    pub(super) entity: Option<&'a RawValue>,
}

/// The object of an event, as far as it names a payment.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Subject {
    pub(super) resource: String,
    pub(super) id: String,
    pub(super) mode: Option<String>,
    pub(super) payment_id: Option<String>,
}

/// An error answer: no machine-readable code, only a status, words and sometimes a field.
#[derive(Deserialize)]
pub(super) struct ErrorObject {
    pub(super) status: u16,
    pub(super) field: Option<String>,
}

/// Reads an object of this kind; its kind is looked at first, so that another one is told apart
/// from a broken one.
pub(super) fn typed<'a, T: Deserialize<'a>>(
    bytes: &'a [u8],
    kind: &'static str,
) -> Result<T, Fault> {
    let Kind { resource } = json::object(bytes)?;
    if resource == kind {
        json::object(bytes)
    } else {
        Err(Fault {
            code: "wrong_object",
            detail: format!("the object is not a {kind}"),
        })
    }
}

/// A moment with its offset, or a day, which counts from its first moment in UTC.
pub(super) fn time(text: &str) -> Result<Time, Fault> {
    let is_plain = text.len() <= TIME_BYTES_MAX && !text.contains('[');
    let moment: Option<Timestamp> = text.parse().ok();
    let moment = moment.or_else(|| {
        let day: Date = text.parse().ok().filter(|_| text.len() == DAY_BYTES)?;
        let first = day.to_zoned(TimeZone::UTC).ok()?;
        Some(first.timestamp())
    });
    match moment.filter(|_| is_plain) {
        Some(moment) => Ok(Time::from_micros(moment.as_microsecond())),
        None => Err(Fault {
            code: "bad_time",
            detail: "a time that is not RFC 3339".to_owned(),
        }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_time_is_a_moment_with_its_offset_or_a_day() {
        let seconds = |text: &str| time(text).ok().map(Time::seconds);
        assert_eq!(seconds("2026-11-20T09:12:31+00:00"), Some(1_795_165_951));
        assert_eq!(seconds("2026-11-20T10:12:31+01:00"), Some(1_795_165_951));
        assert_eq!(seconds("2026-11-20T09:12:31.0Z"), Some(1_795_165_951));
        assert_eq!(seconds("2026-11-20"), Some(1_795_132_800));
        for text in [
            "",
            "2026-13-01",
            "2026-11-20T09:12:31",
            "yesterday",
            "1795165951",
            "2026-11-20T09:12:31+00:00[Europe/Amsterdam]",
        ] {
            assert_eq!(seconds(text), None, "{text}");
        }
    }
}
