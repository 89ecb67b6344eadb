//! The sandbox's records in Stripe's JSON and words, with the expansions that were asked for.
//!
//! Knows no endpoint; what is not expanded is an id.

use crate::sandbox::psp::records::{
    Charge, Dispute, DisputeStatus, Payment, PaymentStatus, Records, Refund, RefundStatus,
};
use serde_json::{Map, Value, json};

/// The version of the API that the sandbox speaks.
pub const API_VERSION: &str = "2026-07-29.dahlia";

/// Stripe's word for where a payment stands.
pub(super) fn intent_word(status: PaymentStatus) -> &'static str {
    match status {
        PaymentStatus::Open => "requires_payment_method",
        PaymentStatus::Processing => "processing",
        PaymentStatus::Authorised => "requires_capture",
        PaymentStatus::Cancelled | PaymentStatus::Expired => "canceled",
        PaymentStatus::Paid => "succeeded",
    }
}

/// Stripe's words for where a refund stands, why it waits and why it failed.
fn refund_words(
    status: RefundStatus,
) -> (&'static str, Option<&'static str>, Option<&'static str>) {
    match status {
        RefundStatus::Pending => ("pending", Some("processing"), None),
        RefundStatus::Waiting => ("pending", Some("insufficient_funds"), None),
        RefundStatus::Succeeded => ("succeeded", None, None),
        RefundStatus::Cancelled => ("canceled", None, None),
        RefundStatus::Failed | RefundStatus::Reversed => {
            ("failed", None, Some("expired_or_canceled_card"))
        }
    }
}

fn dispute_word(status: DisputeStatus) -> &'static str {
    match status {
        DisputeStatus::Open => "needs_response",
        DisputeStatus::Won => "won",
        DisputeStatus::Lost => "lost",
    }
}

/// What to expand, as dotted paths relative to the object being shown.
#[derive(Clone, Debug, Default)]
pub(super) struct Expand(Vec<String>);

impl Expand {
    pub(super) fn new(paths: impl IntoIterator<Item = String>) -> Expand {
        Expand(paths.into_iter().collect())
    }

    /// What to expand below this field; none when the field itself is not expanded.
    pub(super) fn below(&self, field: &str) -> Option<Expand> {
        let mut is_named = false;
        let mut rest = Vec::new();
        for path in &self.0 {
            let (first, below) = path.split_once('.').unwrap_or((path, ""));
            if first == field {
                is_named = true;
                rest.extend((!below.is_empty()).then(|| below.to_owned()));
            }
        }
        is_named.then_some(Expand(rest))
    }
}

fn text_map<'a>(entries: impl IntoIterator<Item = (&'a String, &'a String)>) -> Value {
    let entries = entries.into_iter();
    let pairs = entries.map(|(name, value)| (name.clone(), Value::from(value.as_str())));
    Value::Object(pairs.collect::<Map<_, _>>())
}

/// Adds values that are made already; `json!` would copy them.
fn with<const N: usize>(mut object: Value, fields: [(&str, Value); N]) -> Value {
    if let Some(known) = object.as_object_mut() {
        let fields = fields.into_iter();
        known.extend(fields.map(|(name, value)| (name.to_owned(), value)));
    }
    object
}

/// A list object.
pub(super) fn list(url: &str, items: Vec<Value>, has_more: bool) -> Value {
    let list = json!({"object": "list", "url": url, "has_more": has_more});
    with(list, [("data", Value::Array(items))])
}

fn or_expanded(
    id: &str,
    expand: Option<Expand>,
    show: impl FnOnce(&Expand) -> Option<Value>,
) -> Value {
    let expanded = expand.and_then(|below| show(&below));
    expanded.unwrap_or_else(|| Value::from(id))
}

impl Records {
    pub(super) fn show_intent(&self, intent: &Payment, expand: &Expand) -> Value {
        let latest = intent.latest_charge.as_deref().map(|id| {
            or_expanded(id, expand.below("latest_charge"), |below| {
                self.charges
                    .get(id)
                    .map(|charge| self.show_charge(charge, below))
            })
        });
        let failure = intent.failure.as_ref().map(|code| {
            json!({"type": "card_error", "code": "card_declined", "decline_code": code,
                   "message": "Your card was declined."})
        });
        let lapsed = (intent.status == PaymentStatus::Expired).then_some("abandoned");
        let reason = intent.end_reason.as_deref().or(lapsed);
        let shown = json!({
            "id": intent.id, "object": "payment_intent", "created": intent.created,
            "amount": intent.amount, "amount_capturable": intent.held,
            "amount_received": self.received(&intent.id),
            "currency": intent.currency.code().to_ascii_lowercase(),
            "capture_method": if intent.is_manual { "manual" } else { "automatic" },
            "canceled_at": intent.ended_at,
            "cancellation_reason": reason,
            "description": null, "last_payment_error": failure, "livemode": intent.is_live,
            "payment_method_types": ["card", "ideal"], "status": intent_word(intent.status),
        });
        let made = [
            ("latest_charge", latest.unwrap_or_default()),
            ("metadata", text_map(&intent.metadata)),
        ];
        with(shown, made)
    }

    pub(super) fn show_charge(&self, charge: &Charge, expand: &Expand) -> Value {
        let intent = self.payments.get(&charge.payment);
        let refunded = self.refunded(&charge.id);
        let refunds: Option<Value> = expand.below("refunds").map(|below| {
            let mut newest_first: Vec<&Refund> = self.refunds_of(&charge.id).collect();
            newest_first.reverse();
            let shown = newest_first
                .iter()
                .map(|refund| self.show_refund(refund, &below));
            let url = format!("/v1/charges/{}/refunds", charge.id);
            list(&url, shown.collect(), false)
        });
        let method = intent.map_or("card", |intent| intent.method.as_str());
        let lapses = intent.and_then(|intent| intent.capture_before);
        let about = lapses.map_or(json!({}), |at| json!({"capture_before": at}));
        let details = with(json!({"type": method}), [(method, about)]);
        let shown = json!({
            "id": charge.id, "object": "charge", "created": charge.created,
            "amount": charge.amount, "amount_captured": charge.captured,
            "amount_refunded": refunded, "captured": charge.captured > 0,
            "currency": intent.map(|i| i.currency.code().to_ascii_lowercase()),
            "disputed": charge.is_disputed, "livemode": intent.is_some_and(|i| i.is_live),
            "paid": charge.is_paid, "refunded": refunded > 0 && refunded == charge.captured,
            "status": if charge.is_paid { "succeeded" } else { "failed" },
        });
        let metadata = intent.map(|intent| text_map(&intent.metadata));
        let made = [
            ("metadata", metadata.unwrap_or_default()),
            ("payment_intent", self.intent_field(&charge.payment, expand)),
            ("payment_method_details", details),
        ];
        let shown = with(shown, made);
        match refunds {
            Some(refunds) => with(shown, [("refunds", refunds)]),
            None => shown,
        }
    }

    pub(super) fn show_refund(&self, refund: &Refund, expand: &Expand) -> Value {
        let currency = self.payments.get(&refund.payment).map(|i| i.currency);
        let (status, pending_reason, failure_reason) = refund_words(refund.status);
        let mut shown = json!({
            "id": refund.id, "object": "refund", "created": refund.created,
            "amount": refund.amount, "charge": self.charge_field(&refund.charge, expand),
            "currency": currency.map(|c| c.code().to_ascii_lowercase()),
            "metadata": text_map(&refund.metadata),
            "payment_intent": self.intent_field(&refund.payment, expand),
            "reason": refund.reason, "status": status,
        });
        if let Some(fields) = shown.as_object_mut() {
            let optional = [
                ("pending_reason", pending_reason),
                ("failure_reason", failure_reason),
            ];
            for (name, value) in optional {
                fields.extend(value.map(|value| (name.to_owned(), Value::from(value))));
            }
        }
        shown
    }

    pub(super) fn show_dispute(&self, dispute: &Dispute, expand: &Expand) -> Value {
        let intent = self.payments.get(&dispute.payment);
        json!({
            "id": dispute.id, "object": "dispute", "created": dispute.created,
            "amount": dispute.amount, "charge": self.charge_field(&dispute.charge, expand),
            "currency": intent.map(|i| i.currency.code().to_ascii_lowercase()),
            "is_charge_refundable": false, "livemode": intent.is_some_and(|i| i.is_live),
            "metadata": {}, "payment_intent": self.intent_field(&dispute.payment, expand),
            "reason": "fraudulent", "status": dispute_word(dispute.status),
        })
    }

    fn intent_field(&self, id: &str, expand: &Expand) -> Value {
        or_expanded(id, expand.below("payment_intent"), |below| {
            self.payments
                .get(id)
                .map(|intent| self.show_intent(intent, below))
        })
    }

    fn charge_field(&self, id: &str, expand: &Expand) -> Value {
        or_expanded(id, expand.below("charge"), |below| {
            self.charges
                .get(id)
                .map(|charge| self.show_charge(charge, below))
        })
    }
}

/// An event around an object as it stands now.
pub(super) fn event(id: &str, kind: &str, created: i64, is_live: bool, object: Value) -> Value {
    let event = json!({
        "id": id, "object": "event", "api_version": API_VERSION, "created": created,
        "livemode": is_live, "pending_webhooks": 1,
        "request": {"id": null, "idempotency_key": null}, "type": kind,
    });
    with(event, [("data", with(json!({}), [("object", object)]))])
}
