//! The sandbox PSP's records as Stripe's JSON, with the expansions that were asked for.
//!
//! Knows no endpoint; what is not expanded is an id.

use super::records::{Charge, Dispute, Event, Intent, Records, Refund};
use serde_json::{Map, Value, json};

/// The version of the API that the sandbox speaks.
pub const API_VERSION: &str = "2026-07-29.dahlia";

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

/// A list object.
pub(super) fn list(url: &str, items: Vec<Value>, has_more: bool) -> Value {
    json!({"object": "list", "url": url, "data": items, "has_more": has_more})
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
    pub(super) fn show_intent(&self, intent: &Intent, expand: &Expand) -> Value {
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
        json!({
            "id": intent.id, "object": "payment_intent", "created": intent.created,
            "amount": intent.amount, "amount_capturable": intent.capturable,
            "amount_received": self.received(&intent.id),
            "currency": intent.currency.code().to_ascii_lowercase(),
            "capture_method": if intent.is_manual { "manual" } else { "automatic" },
            "canceled_at": intent.canceled_at,
            "cancellation_reason": intent.cancellation_reason,
            "description": null, "last_payment_error": failure, "latest_charge": latest,
            "livemode": intent.is_live, "metadata": text_map(&intent.metadata),
            "payment_method_types": ["card", "ideal"], "status": intent.status.word(),
        })
    }

    pub(super) fn show_charge(&self, charge: &Charge, expand: &Expand) -> Value {
        let intent = self.intents.get(&charge.intent);
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
        let mut details = Map::new();
        details.insert("type".to_owned(), Value::from(method));
        let lapses = intent.and_then(|intent| intent.capture_before);
        let about = lapses.map_or(json!({}), |at| json!({"capture_before": at}));
        details.insert(method.to_owned(), about);
        let mut shown = json!({
            "id": charge.id, "object": "charge", "created": charge.created,
            "amount": charge.amount, "amount_captured": charge.captured,
            "amount_refunded": refunded, "captured": charge.captured > 0,
            "currency": intent.map(|i| i.currency.code().to_ascii_lowercase()),
            "disputed": charge.is_disputed, "livemode": intent.is_some_and(|i| i.is_live),
            "metadata": intent.map(|i| text_map(&i.metadata)),
            "paid": charge.is_paid, "refunded": refunded > 0 && refunded == charge.captured,
            "payment_intent": self.intent_field(&charge.intent, expand),
            "payment_method_details": details,
            "status": if charge.is_paid { "succeeded" } else { "failed" },
        });
        if let (Some(refunds), Some(fields)) = (refunds, shown.as_object_mut()) {
            fields.insert("refunds".to_owned(), refunds);
        }
        shown
    }

    pub(super) fn show_refund(&self, refund: &Refund, expand: &Expand) -> Value {
        let currency = self.intents.get(&refund.intent).map(|i| i.currency);
        let mut shown = json!({
            "id": refund.id, "object": "refund", "created": refund.created,
            "amount": refund.amount, "charge": self.charge_field(&refund.charge, expand),
            "currency": currency.map(|c| c.code().to_ascii_lowercase()),
            "metadata": text_map(&refund.metadata),
            "payment_intent": self.intent_field(&refund.intent, expand),
            "reason": refund.reason, "status": refund.status.word(),
        });
        if let Some(fields) = shown.as_object_mut() {
            let optional = [
                ("pending_reason", refund.pending_reason),
                ("failure_reason", refund.failure_reason.as_deref()),
            ];
            for (name, value) in optional {
                fields.extend(value.map(|value| (name.to_owned(), Value::from(value))));
            }
        }
        shown
    }

    pub(super) fn show_dispute(&self, dispute: &Dispute, expand: &Expand) -> Value {
        let intent = self.intents.get(&dispute.intent);
        json!({
            "id": dispute.id, "object": "dispute", "created": dispute.created,
            "amount": dispute.amount, "charge": self.charge_field(&dispute.charge, expand),
            "currency": intent.map(|i| i.currency.code().to_ascii_lowercase()),
            "is_charge_refundable": false, "livemode": intent.is_some_and(|i| i.is_live),
            "metadata": {}, "payment_intent": self.intent_field(&dispute.intent, expand),
            "reason": "fraudulent", "status": dispute.status.word(),
        })
    }

    fn intent_field(&self, id: &str, expand: &Expand) -> Value {
        or_expanded(id, expand.below("payment_intent"), |below| {
            self.intents
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
pub(super) fn event(id: String, kind: &str, created: i64, is_live: bool, object: Value) -> Event {
    let json = json!({
        "id": id, "object": "event", "api_version": API_VERSION, "created": created,
        "data": {"object": object}, "livemode": is_live, "pending_webhooks": 1,
        "request": {"id": null, "idempotency_key": null}, "type": kind,
    });
    Event {
        id,
        created,
        kind: kind.to_owned(),
        intent: String::new(),
        is_live,
        json,
    }
}
