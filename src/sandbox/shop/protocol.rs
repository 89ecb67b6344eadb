//! The shop protocol as the sandbox shop reads and answers it.
//!
//! Reads the daemon's messages with its own eyes, from the published contract; knows nothing of
//! how the daemon builds them.

use super::super::fault::response;
use super::{Heard, Notice, Paid, SandboxShop, ShopCall, ShopOrder};
use crate::core::money::Money;
use crate::core::time::Time;
use crate::wire::{Method, Request, Response};
use serde::Deserialize;
use serde_json::json;

#[derive(Deserialize)]
struct Message {
    #[serde(rename = "type")]
    what: String,
    timestamp: String,
    data: Subject,
}

#[derive(Deserialize)]
struct Subject {
    reference: Option<String>,
    #[serde(default)]
    payments: Vec<Named>,
    amount: Option<Money>,
    #[serde(default)]
    decision: u64,
    expires_at: Option<String>,
}

#[derive(Deserialize)]
struct Named {
    account: String,
    id: String,
}

/// What a confirm, a lookup or a release is about.
pub(super) struct Claim {
    pub(super) reference: String,
    pub(super) payments: Vec<Paid>,
    pub(super) amount: Option<Money>,
    /// The decision's number; 0 when none was named.
    pub(super) decision: u64,
    /// True when it is too late to act on it.
    pub(super) is_expired: bool,
}

fn kind_of(what: &str) -> ShopCall {
    match what {
        "order.confirm" => ShopCall::Confirm,
        "order.lookup" => ShopCall::LookUp,
        "order.release" => ShopCall::Release,
        "payment.refund_started"
        | "payment.refunded"
        | "payment.refund_failed"
        | "payment.held" => ShopCall::Notice,
        _ => ShopCall::Other,
    }
}

/// What kind of call a body is and which order it is about; read before anything is checked,
/// so that faults can be aimed.
pub(super) fn nature(body: &[u8]) -> (ShopCall, Option<String>) {
    match serde_json::from_slice::<Message>(body) {
        Ok(message) => (kind_of(&message.what), message.data.reference),
        Err(_) => (ShopCall::Other, None),
    }
}

/// A moment as the protocol writes it.
pub(super) fn rfc3339(at: Time) -> String {
    jiff::Timestamp::from_microsecond(at.micros()).map_or_else(
        |_| "1970-01-01T00:00:00Z".to_owned(),
        |stamp| stamp.to_string(),
    )
}

fn refusal(status: u16, code: &str) -> Response {
    let body = json!({"error": code}).to_string();
    response(status, "application/json", body.as_bytes())
}

impl SandboxShop {
    /// Answers a call as the protocol asks, faults aside.
    pub fn handle(&mut self, request: &Request, now: Time) -> Response {
        if request.method != Method::Post {
            return refusal(405, "method_not_allowed");
        }
        let Some(id) = self.secret.verify(&request.headers, &request.body, now) else {
            self.refused_signatures = self.refused_signatures.saturating_add(1);
            return refusal(401, "bad_signature");
        };
        let id = id.to_owned();
        let Ok(message) = serde_json::from_slice::<Message>(&request.body) else {
            return refusal(400, "malformed");
        };
        if message.timestamp.parse::<jiff::Timestamp>().is_err() {
            return refusal(400, "malformed_timestamp");
        }
        let kind = kind_of(&message.what);
        let is_repeated = !self.known_ids.insert(id.clone());
        self.heard.push(Heard {
            kind,
            reference: message.data.reference.clone(),
            id,
            is_repeated,
        });
        match (kind, message.data.reference) {
            (ShopCall::Other, _) => refusal(400, "unknown_type"),
            (ShopCall::Notice, reference) => {
                if !is_repeated {
                    self.notices.push(Notice {
                        what: message.what,
                        reference,
                    });
                }
                response(204, "application/json", b"")
            }
            (ShopCall::Confirm | ShopCall::LookUp | ShopCall::Release, None) => {
                refusal(400, "no_reference")
            }
            (ShopCall::Confirm | ShopCall::LookUp | ShopCall::Release, Some(reference)) => {
                let expires_at = message.data.expires_at.as_deref();
                let expires_at = expires_at.and_then(|text| text.parse::<jiff::Timestamp>().ok());
                let named = message.data.payments.into_iter();
                let asked = reference;
                let claim = Claim {
                    reference: self.current(&asked).to_owned(),
                    payments: named.map(|paid| (paid.account, paid.id)).collect(),
                    amount: message.data.amount,
                    decision: message.data.decision,
                    is_expired: expires_at.is_some_and(|at| at.as_microsecond() < now.micros()),
                };
                self.answer(kind, &claim, &asked)
            }
        }
    }

    fn answer(&mut self, kind: ShopCall, claim: &Claim, asked: &str) -> Response {
        let is_empty = claim.payments.is_empty();
        match kind {
            ShopCall::Confirm if is_empty || claim.amount.is_none() => {
                return refusal(400, "confirm_without_payment");
            }
            ShopCall::Release if is_empty => return refusal(400, "release_without_payment"),
            // A shop that knows no order can neither confirm nor give one up.
            ShopCall::Confirm if !self.knows_nothing => self.book_confirm(claim),
            ShopCall::Release if !self.knows_nothing => self.book_release(claim),
            ShopCall::Confirm
            | ShopCall::Release
            | ShopCall::LookUp
            | ShopCall::Notice
            | ShopCall::Other => {}
        }
        let order = self.orders.get(&claim.reference);
        let order = order.filter(|_| !self.knows_nothing);
        let is_released = claim
            .payments
            .iter()
            .any(|paid| self.has_released(&claim.reference, paid));
        let mut shown = order.map_or_else(
            || json!({"status": "unknown"}),
            |o| show(o, kind, is_released),
        );
        if let Some((order, fields)) = order.zip(shown.as_object_mut()) {
            fields.extend(self.terms(&claim.reference, order));
            if claim.reference != asked {
                fields.insert("reference".to_owned(), json!(claim.reference));
                fields.insert("formerly".to_owned(), json!([asked]));
            }
        }
        let body = json!({"order": shown, "epoch": self.epoch}).to_string();
        response(200, "application/json", body.as_bytes())
    }
}

/// Payments by account and id.
pub(super) fn named(payments: &[Paid]) -> serde_json::Value {
    let payments = payments.iter();
    payments
        .map(|(account, id)| json!({"account": account, "id": id}))
        .collect()
}

/// The order as it stands, for whoever asked about these payments.
fn show(order: &ShopOrder, kind: ShopCall, is_released: bool) -> serde_json::Value {
    let paid_by: Vec<Paid> = order.paid_by.iter().cloned().collect();
    // To a confirm with released payments, an order that still waits is as good as cancelled.
    let is_refused = kind == ShopCall::Confirm && is_released && order.paid_by.is_empty();
    let status = if is_refused {
        "cancelled"
    } else {
        order.standing.word()
    };
    let mut shown = json!({
        "status": status, "amount": order.amount, "paid_by": named(&paid_by),
        "fulfilled": order.is_fulfilled,
    });
    if let Some(fields) = shown.as_object_mut() {
        let created_at = order.created_at.map(rfc3339);
        fields.extend(created_at.map(|at| ("created_at".to_owned(), json!(at))));
        let reason = order.reason.as_deref();
        fields.extend(reason.map(|reason| ("reason".to_owned(), json!(reason))));
    }
    shown
}
