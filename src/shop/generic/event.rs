//! What a shop tells us by itself: `order.pending`, `.updated`, `.cancelled`, `.confirmed`.
//!
//! Reads a body that was verified. Fields beyond the agreed ones are tolerated; a field that is
//! agreed and wrong makes the whole event unreadable, because half of it may mislead.
//!
//! Beyond the required fields an event may carry `status` (one of pending, cancelled,
//! confirmed), `paid_by`, `fulfilled` and `reason`, with the meaning they have in an answer, and
//! `customer`, of which a mark is kept.

use super::parts::{self, Fault, Object, WrittenAmount, WrittenPayment};
use crate::core::ids::{Reference, ShopId};
use crate::core::order::{OrderSnapshot, OrderStatus, Statement, Via};
use crate::core::time::Time;
use crate::wire::Unreadable;
use serde::Deserialize;
use serde_json::value::RawValue;
use sha2::{Digest, Sha256};

/// Longest language tag kept, in bytes (RFC 5646, section 4.4.1).
const LOCALE_BYTES_MAX: usize = 35;
/// Longest word for a customer, in characters.
const CUSTOMER_CHARACTERS_MAX: usize = 128;
/// Hexadecimal digits kept of a customer's hash: 96 bits, enough to tell customers of a shop apart.
const MARK_DIGITS: usize = 24;

#[derive(Deserialize)]
struct Envelope {
    r#type: Option<String>,
    timestamp: Option<String>,
    #[serde(rename = "data")]
    content: Option<Box<RawValue>>,
}

/// An event's own time.
#[derive(Deserialize)]
struct Dated {
    timestamp: String,
}

#[derive(Deserialize)]
struct Content {
    reference: Option<String>,
    amount: Option<Object<WrittenAmount>>,
    paid_otherwise: Option<Object<WrittenAmount>>,
    give_back: Option<Object<WrittenAmount>>,
    expires_at: Option<String>,
    created_at: Option<String>,
    payments: Option<Vec<Object<WrittenPayment>>>,
    locale: Option<String>,
    customer: Option<String>,
    status: Option<String>,
    paid_by: Option<Vec<Object<WrittenPayment>>>,
    fulfilled: Option<bool>,
    reason: Option<String>,
}

/// Which event, by what it says of the order.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Kind {
    /// Says how the order stands.
    Stands(OrderStatus),
    /// Says what is owed and expected; how it stands only if it has a `status`.
    Updated,
}

impl Kind {
    fn parse(word: &str) -> Result<Kind, Unreadable> {
        match word {
            "order.pending" => Ok(Kind::Stands(OrderStatus::Pending)),
            "order.cancelled" => Ok(Kind::Stands(OrderStatus::Cancelled)),
            "order.confirmed" => Ok(Kind::Stands(OrderStatus::Confirmed)),
            "order.updated" => Ok(Kind::Updated),
            _ => Err(unreadable(
                "unknown_event_type",
                "type is not order.pending, order.updated, order.cancelled or order.confirmed",
            )),
        }
    }

    /// How the order stands by this event; a written status must not contradict the type.
    fn status(self, written: Option<&str>) -> Result<Option<OrderStatus>, Unreadable> {
        let said = match written.map(parts::status) {
            None => None,
            Some(Ok(OrderStatus::Unknown) | Err(_)) => {
                return Err(unreadable(
                    "unknown_status",
                    "data.status is not pending, cancelled or confirmed",
                ));
            }
            Some(Ok(status)) => Some(status),
        };
        match (self, said) {
            (Kind::Stands(status), Some(said)) if status != said => Err(unreadable(
                "status_contradicts_type",
                "data.status says otherwise than type",
            )),
            (Kind::Stands(status), Some(_) | None) => Ok(Some(status)),
            (Kind::Updated, said) => Ok(said),
        }
    }
}

/// The event's own time; the same whenever it comes.
pub(super) fn sent_at(body: &[u8]) -> Option<Time> {
    let Dated { timestamp } = object(body, "the body").ok()?;
    time(&timestamp, "timestamp").ok()
}

/// Reads an event that reached us at `received_at`.
pub(super) fn read(
    shop: &ShopId,
    body: &[u8],
    received_at: Time,
) -> Result<OrderSnapshot, Unreadable> {
    let envelope: Envelope = object(body, "the body")?;
    let kind = Kind::parse(&present(envelope.r#type, "type")?)?;
    let sent_at = time(&present(envelope.timestamp, "timestamp")?, "timestamp")?;
    let content = present(envelope.content, "data")?;
    let content: Content = object(content.get().as_bytes(), "data")?;
    let customer = content.customer.as_deref();
    let customer = customer.map(|word| mark(shop, word)).transpose()?;
    let read = snapshot(kind, &content, sent_at.min(received_at), received_at)?;
    Ok(OrderSnapshot { customer, ..read })
}

fn snapshot(
    kind: Kind,
    content: &Content,
    as_of: Time,
    observed_at: Time,
) -> Result<OrderSnapshot, Unreadable> {
    let reference = present(content.reference.as_deref(), "data.reference")?;
    let reference = Reference::parse(reference)
        .map_err(|bad| unreadable("bad_reference", &format!("data.reference {bad}")))?;
    let amount = content.amount.as_ref().map(parts::amount).transpose();
    let amount = amount.map_err(|fault| unreadable(fault, "data.amount is not an exact amount"))?;
    let terms = parts::terms(content.paid_otherwise.as_ref(), content.give_back.as_ref());
    let terms = terms.map_err(|fault| {
        unreadable(
            fault,
            "data.paid_otherwise or data.give_back is not an exact amount",
        )
    })?;
    if kind == Kind::Stands(OrderStatus::Pending) {
        present(amount, "data.amount")?;
    }
    let expires_at = content.expires_at.as_deref();
    let expires_at = expires_at.map(|text| time(text, "data.expires_at"));
    let created_at = content.created_at.as_deref();
    let created_at = created_at.map(|text| time(text, "data.created_at"));
    let status = kind.status(content.status.as_deref())?;
    let paid_by = payments(content.paid_by.as_deref(), "data.paid_by")?;
    let statement = status.map(|status| Statement {
        as_of,
        asked_at: None,
        via: Via::Event,
        status,
        paid_by,
        is_fulfilled: content.fulfilled,
        reason: content.reason.as_deref().map(parts::reason),
        retry_after: None,
        look: None,
    });
    Ok(OrderSnapshot {
        reference,
        as_of,
        observed_at,
        statement,
        amount,
        terms,
        expires_at: expires_at.transpose()?,
        created_at: created_at.transpose()?,
        claims: payments(content.payments.as_deref(), "data.payments")?,
        locale: content.locale.clone().filter(|text| is_locale(text)),
        customer: None,
    })
}

/// The mark of a customer: a hash, so that the shop's own word is not kept, of shop and word, so
/// that two shops' customers never meet.
fn mark(shop: &ShopId, word: &str) -> Result<String, Unreadable> {
    let is_printable = !word.chars().any(char::is_control);
    if word.is_empty() || word.chars().count() > CUSTOMER_CHARACTERS_MAX || !is_printable {
        let detail = "data.customer is not 1 to 128 printable characters";
        return Err(unreadable("bad_customer", detail));
    }
    let digest = hex::encode(Sha256::digest(format!("{shop}\n{word}")));
    Ok(digest.chars().take(MARK_DIGITS).collect())
}

/// A language tag. Anything else is taken as not said: shops pass on what a browser sent, and
/// an order must not be lost for the language of its notices.
fn is_locale(text: &str) -> bool {
    let fits = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'-' || byte == b'_';
    (2..=LOCALE_BYTES_MAX).contains(&text.len()) && text.bytes().all(fits)
}

fn object<T: serde::de::DeserializeOwned>(body: &[u8], what: &str) -> Result<T, Unreadable> {
    parts::object(body).map_err(|(fault, error)| {
        let place = format!("line {}, column {} of {what}", error.line(), error.column());
        unreadable(fault, &place)
    })
}

fn payments(
    written: Option<&[Object<WrittenPayment>]>,
    field: &str,
) -> Result<std::collections::BTreeSet<crate::core::ids::PaymentRef>, Unreadable> {
    parts::payments(written.unwrap_or_default()).map_err(|fault| unreadable(fault, field))
}

fn time(text: &str, field: &str) -> Result<Time, Unreadable> {
    parts::time(text)
        .map_err(|fault| unreadable(fault, &format!("{field} is not an RFC 3339 time")))
}

fn present<T>(value: Option<T>, field: &str) -> Result<T, Unreadable> {
    value.ok_or_else(|| unreadable("missing_field", &format!("{field} is missing")))
}

fn unreadable(code: Fault, detail: &str) -> Unreadable {
    Unreadable {
        code,
        detail: detail.to_owned(),
    }
}

#[cfg(test)]
mod tests;
