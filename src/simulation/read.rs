//! What a call asks, as an observer on the wire reads it.
//!
//! Only what the judge needs; not how the daemon builds it.

use super::network::{Call, Side};
use crate::core::money::Money;
use crate::wire::Method;
use serde::Deserialize;

/// What a call asks for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Asks {
    /// Money back.
    Refund {
        /// Of which payment.
        payment: String,
        /// Under which key.
        key: String,
        /// How much.
        minor: i64,
    },
    /// An order to be confirmed.
    Confirm {
        /// Which.
        reference: String,
        /// What was paid for it, by its own word.
        amount: Option<Money>,
        /// The payments that it names, and what each brought.
        parts: Vec<(String, Money)>,
    },
    /// An order to be given up.
    Release {
        /// Which.
        reference: String,
        /// The payments that it names.
        payments: Vec<String>,
    },
    /// Anything else.
    Other,
}

#[derive(Deserialize)]
struct Message {
    #[serde(rename = "type")]
    what: String,
    #[serde(rename = "data")]
    subject: Subject,
}

#[derive(Deserialize)]
struct Subject {
    reference: Option<String>,
    amount: Option<Money>,
    #[serde(default)]
    payments: Vec<Part>,
}

#[derive(Deserialize)]
struct Part {
    id: String,
    amount: Money,
}

/// Reads a call.
pub(super) fn of(call: &Call) -> Asks {
    match call.side() {
        Side::Psp => refund(call).unwrap_or(Asks::Other),
        Side::Shop => decision(call).unwrap_or(Asks::Other),
    }
}

fn refund(call: &Call) -> Option<Asks> {
    let request = &call.request;
    if request.method != Method::Post || !request.url.ends_with("/v1/refunds") {
        return None;
    }
    let body = std::str::from_utf8(&request.body).ok()?;
    let field = |name: &str| {
        let mut fields = body.split('&').filter_map(|pair| pair.split_once('='));
        fields
            .find(|(known, _)| *known == name)
            .map(|(_, value)| value)
    };
    Some(Asks::Refund {
        payment: field("payment_intent").unwrap_or_default().to_owned(),
        key: request
            .headers
            .single("idempotency-key")
            .unwrap_or_default()
            .to_owned(),
        minor: field("amount")?.parse().ok()?,
    })
}

fn decision(call: &Call) -> Option<Asks> {
    let message: Message = serde_json::from_slice(&call.request.body).ok()?;
    let reference = message.subject.reference?;
    let parts = message.subject.payments.into_iter();
    match message.what.as_str() {
        "order.confirm" => Some(Asks::Confirm {
            reference,
            amount: message.subject.amount,
            parts: parts.map(|one| (one.id, one.amount)).collect(),
        }),
        "order.release" => Some(Asks::Release {
            reference,
            payments: parts.map(|one| one.id).collect(),
        }),
        _ => None,
    }
}
