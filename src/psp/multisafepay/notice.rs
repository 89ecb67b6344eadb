//! Notifications: what a signed body may say, and what an unsigned address only hints at.
//!
//! A signed body that shows money taken, and nothing since, is a statement. Everything else in one (a
//! session cancelled before there was a payment, an attempt that failed, a refund) only names the
//! order, because notices about mere sessions look the same and their marks stand in the query,
//! which nobody signs. Knows no call.

use super::order_id;
use super::statement::{Frame, Order, order};
use crate::core::payment::Source;
use crate::core::time::Time;
use crate::psp::rules::AccountRules;
use crate::psp::{Reading, Rejection, Unreadable, Verification};

/// Unsigned notices about one order within this many seconds count as one; the reads that follow
/// every change of an open checkout catch what falls between.
const COALESCED_SECONDS: i64 = 5;

/// A `GET` names an order and a time, or it is no notification.
pub(super) fn verify_unsigned(query: &str, now: Time) -> Verification {
    let slot = now.seconds().div_euclid(COALESCED_SECONDS);
    match named(query) {
        Some(order_id) => Verification::Unsigned {
            delivery_id: format!("notice-{order_id}-{slot}"),
        },
        // A browser that came back through the same address, or a stranger.
        None => Verification::Rejected(Rejection::MissingSignature),
    }
}

/// Reads the query that `verify_unsigned` took.
pub(super) fn read_unsigned(query: &[u8]) -> Result<Reading, Unreadable> {
    let payment = std::str::from_utf8(query).ok().and_then(named);
    let payment = payment.ok_or_else(|| Unreadable {
        code: "missing_field",
        detail: "an unsigned notice that names no order".to_owned(),
    })?;
    Ok(Reading::Seen {
        payments: Vec::new(),
        hints: vec![payment],
    })
}

fn named(query: &str) -> Option<crate::core::ids::ExternalRef> {
    let mut order_id = None;
    let mut has_time = false;
    for pair in query.split('&') {
        let (name, value) = pair.split_once('=')?;
        match name {
            // Misnamed by the PSP: it is the merchant's order id.
            "transactionid" if order_id.is_some() => return None,
            "transactionid" => order_id = Some(order_id::decoded(value)?),
            "timestamp" => {
                has_time = !value.is_empty() && value.bytes().all(|byte| byte.is_ascii_digit());
            }
            _ => {}
        }
    }
    order_id
        .filter(|_| has_time)
        .and_then(|text| order_id::named(&text))
}

/// Reads a body whose signature was checked.
pub(super) fn read_signed(
    rules: &AccountRules,
    body: &[u8],
    received_at: Time,
) -> Result<Reading, Unreadable> {
    let Order { payment, view } = order(body)?;
    let frame = Frame {
        rules,
        as_of: received_at,
        source: Source::Signed,
    };
    let (payments, hints) = if view.is_plainly_taken() {
        let snapshot = frame.money_of(&payment, &view)?;
        (vec![snapshot], Vec::new())
    } else {
        (Vec::new(), vec![payment])
    };
    Ok(Reading::Seen { payments, hints })
}
