//! PayPal's objects as they stand on the wire, only the fields that are read.
//!
//! Plain shapes without meaning: amounts are kept as written (`amount.rs` judges them), times as
//! text. Field names are those of Orders v2, Payments v2, Customer Disputes v1, Webhooks v1 and
//! Transaction Search v1; unknown fields are skipped.

use super::amount;
use crate::core::ids::ExternalRef;
use crate::core::money::Money;
use crate::core::time::Time;
use crate::psp::Unreadable;
use crate::psp::json::Strict;
use serde::Deserialize;
use serde_json::value::RawValue;

/// `amount` and its kin.
#[derive(Deserialize)]
pub(super) struct Amount {
    currency_code: String,
    value: String,
}

impl Amount {
    /// As money.
    pub(super) fn money(&self) -> Result<Money, Unreadable> {
        amount::read(&self.value, &self.currency_code).map_err(|bad| Unreadable {
            code: "bad_amount",
            detail: bad.0.to_owned(),
        })
    }
}

/// One of `links`.
#[derive(Deserialize)]
pub(super) struct Link {
    pub(super) href: String,
    pub(super) rel: String,
}

/// The links of an object.
pub(super) type Links = Vec<Strict<Link>>;

/// The address that a relation points to.
pub(super) fn linked<'a>(links: &'a Links, rel: &str) -> Option<&'a str> {
    let mut links = links.iter();
    links
        .find(|link| link.0.rel == rel)
        .map(|link| link.0.href.as_str())
}

/// The capture that a refund belongs to, by its `up` link.
pub(super) fn capture_above(links: &Links) -> Option<ExternalRef> {
    let (_, rest) = linked(links, "up")?.split_once("/v2/payments/captures/")?;
    let id = rest.split(['/', '?', '#']).next()?;
    ExternalRef::parse(id).ok()
}

/// `status_details`.
#[derive(Deserialize)]
pub(super) struct StatusDetails {
    pub(super) reason: Option<String>,
}

/// `supplementary_data`.
#[derive(Deserialize)]
pub(super) struct Supplementary {
    pub(super) related_ids: Option<Strict<RelatedIds>>,
}

/// What a capture or authorisation came from.
#[derive(Deserialize)]
pub(super) struct RelatedIds {
    pub(super) order_id: Option<ExternalRef>,
    pub(super) authorization_id: Option<ExternalRef>,
}

/// A capture.
#[derive(Deserialize)]
pub(super) struct Capture {
    pub(super) id: ExternalRef,
    pub(super) status: String,
    pub(super) amount: Strict<Amount>,
    pub(super) create_time: Option<String>,
    pub(super) status_details: Option<Strict<StatusDetails>>,
    pub(super) supplementary_data: Option<Strict<Supplementary>>,
    #[serde(default)]
    pub(super) links: Links,
}

/// An authorisation.
#[derive(Deserialize)]
pub(super) struct Authorization {
    pub(super) id: ExternalRef,
    pub(super) status: String,
    pub(super) amount: Strict<Amount>,
    pub(super) create_time: Option<String>,
    pub(super) expiration_time: Option<String>,
    pub(super) supplementary_data: Option<Strict<Supplementary>>,
}

/// A refund. The answer to a refund may show less than a refund in a list.
#[derive(Deserialize)]
pub(super) struct RefundObject {
    pub(super) id: ExternalRef,
    pub(super) status: String,
    pub(super) amount: Option<Strict<Amount>>,
    pub(super) custom_id: Option<String>,
    pub(super) seller_payable_breakdown: Option<Strict<Breakdown>>,
    #[serde(default)]
    pub(super) links: Links,
}

/// `seller_payable_breakdown`.
#[derive(Deserialize)]
pub(super) struct Breakdown {
    pub(super) total_refunded_amount: Option<Strict<Amount>>,
}

/// An order.
#[derive(Deserialize)]
pub(super) struct Order<'a> {
    pub(super) id: ExternalRef,
    pub(super) status: String,
    pub(super) create_time: Option<String>,
    #[serde(default, borrow)]
    pub(super) purchase_units: Vec<&'a RawValue>,
    #[serde(borrow)]
    pub(super) payment_source: Option<&'a RawValue>,
}

/// One of an order's `purchase_units`.
#[derive(Deserialize)]
pub(super) struct Unit<'a> {
    pub(super) amount: Option<Strict<Amount>>,
    #[serde(borrow)]
    pub(super) payments: Option<Strict<UnitPayments<'a>>>,
}

/// A purchase unit's `payments`.
#[derive(Default, Deserialize)]
pub(super) struct UnitPayments<'a> {
    #[serde(default, borrow)]
    pub(super) captures: Vec<&'a RawValue>,
    #[serde(default, borrow)]
    pub(super) authorizations: Vec<&'a RawValue>,
    #[serde(default, borrow)]
    pub(super) refunds: Vec<&'a RawValue>,
}

/// A list of disputes.
#[derive(Deserialize)]
pub(super) struct DisputeList {
    #[serde(default)]
    pub(super) items: Vec<Strict<Dispute>>,
    #[serde(default)]
    pub(super) links: Links,
}

/// A dispute; the outcome is shown only where it is read alone.
#[derive(Deserialize)]
pub(super) struct Dispute {
    pub(super) dispute_id: ExternalRef,
    pub(super) status: Option<String>,
    pub(super) dispute_amount: Option<Strict<Amount>>,
    pub(super) dispute_outcome: Option<Strict<DisputeOutcome>>,
}

/// How a dispute was decided.
#[derive(Deserialize)]
pub(super) struct DisputeOutcome {
    pub(super) outcome_code: Option<String>,
}

/// A webhook event, delivered or listed.
#[derive(Deserialize)]
pub(super) struct Event<'a> {
    pub(super) event_type: String,
    pub(super) resource_type: Option<String>,
    pub(super) create_time: Option<String>,
    #[serde(borrow)]
    pub(super) resource: &'a RawValue,
}

/// When an event was created.
#[derive(Deserialize)]
pub(super) struct Created {
    pub(super) create_time: String,
}

/// The resource of an event, as far as it names something.
#[derive(Deserialize)]
pub(super) struct Resource<'a> {
    pub(super) id: Option<String>,
    #[serde(default)]
    pub(super) links: Links,
    #[serde(default)]
    pub(super) disputed_transactions: Vec<Strict<DisputedTransaction>>,
    #[serde(default, borrow)]
    pub(super) purchase_units: Vec<&'a RawValue>,
}

/// One of a dispute's transactions.
#[derive(Deserialize)]
pub(super) struct DisputedTransaction {
    pub(super) seller_transaction_id: Option<String>,
}

/// Whatever has an id.
#[derive(Deserialize)]
pub(super) struct Named {
    pub(super) id: ExternalRef,
}

/// A page of webhook events.
#[derive(Deserialize)]
pub(super) struct EventList<'a> {
    #[serde(borrow)]
    pub(super) events: Vec<&'a RawValue>,
    #[serde(default)]
    pub(super) links: Links,
}

/// A page of the transaction search.
#[derive(Deserialize)]
pub(super) struct Transactions {
    pub(super) transaction_details: Vec<Strict<TransactionDetails>>,
    pub(super) total_pages: u32,
}

/// One row of it.
#[derive(Deserialize)]
pub(super) struct TransactionDetails {
    pub(super) transaction_info: Strict<TransactionSummary>,
}

/// What a row says.
#[derive(Deserialize)]
pub(super) struct TransactionSummary {
    pub(super) transaction_id: Option<String>,
    pub(super) paypal_reference_id: Option<String>,
    pub(super) paypal_reference_id_type: Option<String>,
    pub(super) transaction_event_code: Option<String>,
    pub(super) transaction_initiation_date: Option<String>,
    pub(super) transaction_updated_date: Option<String>,
    pub(super) invoice_id: Option<String>,
    pub(super) custom_field: Option<String>,
}

/// An error answer; the token endpoint has a shape of its own.
#[derive(Deserialize)]
pub(super) struct ErrorBody {
    pub(super) name: Option<String>,
    pub(super) error: Option<String>,
    #[serde(default)]
    pub(super) details: Vec<Strict<ErrorDetail>>,
}

/// One of an error's `details`.
#[derive(Deserialize)]
pub(super) struct ErrorDetail {
    pub(super) issue: Option<String>,
}

/// The answer of the token endpoint.
#[derive(Deserialize)]
pub(super) struct Token {
    pub(super) access_token: String,
    pub(super) token_type: String,
    /// Seconds.
    pub(super) expires_in: u64,
    /// Words that say what it may be used for.
    pub(super) scope: Option<String>,
}

/// Reads an RFC 3339 time; also with an offset written without a colon, as the transaction
/// search does.
pub(super) fn time(text: &str) -> Option<Time> {
    let at = text.parse::<jiff::Timestamp>().ok().or_else(|| {
        let (rest, minutes) = text.split_at_checked(text.len().checked_sub(2)?)?;
        format!("{rest}:{minutes}").parse::<jiff::Timestamp>().ok()
    })?;
    Some(Time::from_micros(at.as_microsecond()))
}

/// Writes a time in whole seconds.
pub(super) fn written(time: Time) -> String {
    jiff::Timestamp::from_second(time.seconds())
        .map(|at| at.to_string())
        .unwrap_or_default()
}
