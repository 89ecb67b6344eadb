//! The books as PayPal shows them: captures, authorisations, orders, refunds, disputes.
//!
//! Amounts are decimal strings with PayPal's own decimals. Knows no endpoint.

use crate::core::money::{Currency, Money};
use crate::sandbox::psp::ledger::Ledger;
use crate::sandbox::psp::records::{
    Capture, DisputeStatus, Payment, PaymentStatus, Refund, RefundStatus,
};
use serde_json::{Value, json};

const BASE: &str = "https://api.sandbox.paypal.com/v2";

/// How long an authorisation is held, in seconds.
const HONOURED_S: i64 = 29 * 86_400;

/// The books, to be shown.
pub(super) struct View<'a> {
    pub(super) ledger: &'a Ledger,
}

/// An RFC 3339 time in whole seconds.
pub(super) fn time(seconds: i64) -> String {
    jiff::Timestamp::from_second(seconds)
        .map(|at| at.to_string())
        .unwrap_or_default()
}

/// An amount in PayPal's way.
pub(super) fn amount(minor: i64, currency: Currency) -> Value {
    let value = Money::new(minor, currency).value();
    let value = match currency.code() {
        "HUF" | "TWD" => value.split('.').next().unwrap_or_default().to_owned(),
        _ => value,
    };
    json!({"currency_code": currency.code(), "value": value})
}

/// One more field of an object.
pub(super) fn put(object: &mut Value, field: &str, value: Value) {
    if let Some(fields) = object.as_object_mut() {
        fields.insert(field.to_owned(), value);
    }
}

/// The minor units of an amount as PayPal takes it; none when it is not one.
pub(super) fn minor(written: &Value, currency: Currency) -> Option<i64> {
    let value = written.get("value")?.as_str()?;
    let is_currency = written.get("currency_code")?.as_str() == Some(currency.code());
    let text = match currency.code() {
        "HUF" | "TWD" => format!("{value}.00"),
        _ => value.to_owned(),
    };
    let money = Money::parse(&text, currency).ok()?;
    is_currency.then(|| money.minor())
}

fn link(path: &str, rel: &str) -> Value {
    json!({"href": format!("{BASE}/{path}"), "rel": rel, "method": "GET"})
}

/// The order around a payment.
fn order_of(payment: &str) -> String {
    format!("{}O", payment.trim_end_matches('P'))
}

impl View<'_> {
    fn payment(&self, id: &str) -> Option<&Payment> {
        self.ledger.payment(id)
    }

    /// The payment around which this order stands.
    fn payment_of_order(&self, order: &str) -> Option<&Payment> {
        let stem = order.strip_suffix('O')?;
        self.payment(&format!("{stem}P"))
    }

    /// An id of the books for any id of PayPal's.
    pub(super) fn known_as(&self, id: &str) -> String {
        match self.payment_of_order(id) {
            Some(payment) => payment.id.clone(),
            None => id.to_owned(),
        }
    }

    /// The capture id by which a payment or a capture of the books is known.
    pub(super) fn taken_as(&self, id: &str) -> Option<String> {
        let records = self.ledger.records();
        let Some(capture) = records.captures.get(id) else {
            let payment = records.payments.get(id)?;
            let latest = records.captures_of(id).last();
            return Some(match latest {
                Some(capture) => self.name_of(capture, payment),
                None => id.to_owned(),
            });
        };
        let payment = records.payments.get(&capture.payment)?;
        Some(self.name_of(capture, payment))
    }

    /// The first capture of what was never held bears the payment's own id.
    fn name_of(&self, capture: &Capture, payment: &Payment) -> String {
        let mut all = self.ledger.records().captures_of(&payment.id);
        let is_first = all.next().is_some_and(|first| first.id == capture.id);
        if is_first && !payment.is_manual {
            payment.id.clone()
        } else {
            capture.id.clone()
        }
    }

    /// The capture of the books that PayPal's capture of this id is; none while nothing was taken.
    pub(super) fn booked(&self, id: &str) -> Option<&Capture> {
        let records = self.ledger.records();
        let capture = match records.captures.get(id) {
            Some(capture) => capture,
            None => records.captures_of(self.payment(id)?.id.as_str()).next()?,
        };
        let payment = self.payment(&capture.payment)?;
        (self.name_of(capture, payment) == id).then_some(capture)
    }

    /// The capture that a refund is of: the one it was made for, else its charge's last.
    fn capture_of(&self, refund: &Refund) -> Option<&Capture> {
        let records = self.ledger.records();
        if let Some(id) = refund.metadata.get("capture") {
            return records.captures.get(id);
        }
        self.last_of(&refund.charge)
    }

    /// The last capture of a charge.
    fn last_of(&self, charge: &str) -> Option<&Capture> {
        let mut captures = self.ledger.records().captures.values().rev();
        captures.find(|capture| capture.charge == charge)
    }

    fn refunds_of(&self, capture: &Capture) -> Vec<&Refund> {
        let refunds = self.ledger.records().refunds.values();
        let mine = refunds.filter(|refund| {
            let of = self.capture_of(refund);
            of.is_some_and(|one| one.id == capture.id)
        });
        mine.collect()
    }

    /// Gone back or going back of this capture, or only what is done.
    pub(super) fn refunded(&self, capture: &Capture, is_done: bool) -> i64 {
        let refunds = self.refunds_of(capture).into_iter();
        let counted = refunds.filter(|refund| match is_done {
            true => refund.status == RefundStatus::Succeeded,
            false => refund.status.stands(),
        });
        counted.fold(0, |sum, refund| sum.saturating_add(refund.amount))
    }

    /// A capture: taken, under way, or declined.
    pub(super) fn capture(&self, id: &str) -> Option<Value> {
        if let Some(capture) = self.booked(id) {
            let payment = self.payment(&capture.payment)?;
            let done = self.refunded(capture, true);
            let status = match done {
                0 => "COMPLETED",
                _ if done >= capture.amount => "REFUNDED",
                _ => "PARTIALLY_REFUNDED",
            };
            return Some(self.shown(id, payment, status, capture.amount, capture.created));
        }
        let records = self.ledger.records();
        if let Some(charge) = records.charges.get(id).filter(|charge| !charge.is_paid) {
            let payment = self.payment(&charge.payment)?;
            return Some(self.shown(id, payment, "DECLINED", charge.amount, charge.created));
        }
        let payment = self.payment(id).filter(|payment| !payment.is_manual)?;
        let status = match payment.status {
            PaymentStatus::Processing => "PENDING",
            PaymentStatus::Cancelled | PaymentStatus::Expired => "DECLINED",
            PaymentStatus::Open | PaymentStatus::Authorised | PaymentStatus::Paid => return None,
        };
        let mut shown = self.shown(id, payment, status, payment.amount, payment.created);
        if status == "PENDING" {
            put(&mut shown, "status_details", json!({"reason": "ECHECK"}));
        }
        Some(shown)
    }

    fn shown(&self, id: &str, payment: &Payment, status: &str, minor: i64, made: i64) -> Value {
        let mut related = json!({"order_id": order_of(&payment.id)});
        let mut links = vec![link(&format!("payments/captures/{id}"), "self")];
        if payment.is_manual {
            put(&mut related, "authorization_id", json!(payment.id));
            let path = format!("payments/authorizations/{}", payment.id);
            links.push(link(&path, "up"));
        }
        let mut shown = json!({
            "id": id, "status": status, "amount": amount(minor, payment.currency),
            "final_capture": true, "create_time": time(made), "update_time": time(made),
            "supplementary_data": {"related_ids": related}, "links": links,
        });
        self.name(&mut shown, payment);
        shown
    }

    /// The shop's reference, where the payment names one.
    fn name(&self, shown: &mut Value, payment: &Payment) {
        if let Some(reference) = payment.reference() {
            put(shown, "custom_id", json!(reference));
            put(shown, "invoice_id", json!(reference));
        }
    }

    /// An authorisation: a payment that was held.
    pub(super) fn authorization(&self, id: &str) -> Option<Value> {
        let payment = self.payment(id).filter(|payment| payment.is_manual)?;
        let taken = self.ledger.records().received(id);
        let status = match payment.status {
            PaymentStatus::Open | PaymentStatus::Processing => "PENDING",
            PaymentStatus::Authorised if taken > 0 => "PARTIALLY_CAPTURED",
            PaymentStatus::Authorised => "CREATED",
            PaymentStatus::Paid => "CAPTURED",
            PaymentStatus::Cancelled | PaymentStatus::Expired => "VOIDED",
        };
        let until = payment.capture_before;
        let until = until.unwrap_or(payment.created.saturating_add(HONOURED_S));
        let mut shown = json!({
            "id": id, "status": status, "amount": amount(payment.amount, payment.currency),
            "create_time": time(payment.created), "expiration_time": time(until),
            "supplementary_data": {"related_ids": {"order_id": order_of(id)}},
            "links": [link(&format!("payments/authorizations/{id}"), "self")],
        });
        self.name(&mut shown, payment);
        Some(shown)
    }

    /// An order, with everything that was paid for it.
    pub(super) fn order(&self, id: &str) -> Option<Value> {
        let payment = self.payment_of_order(id)?;
        let records = self.ledger.records();
        let mut captures = Vec::new();
        for charge in records.charges_of(&payment.id).filter(|one| !one.is_paid) {
            captures.extend(self.capture(&charge.id));
        }
        let taken: Vec<&Capture> = records.captures_of(&payment.id).collect();
        for capture in &taken {
            captures.extend(self.capture(&self.name_of(capture, payment)));
        }
        let refunds = records.refunds_for(&payment.id);
        let refunds: Vec<Value> = refunds.filter_map(|one| self.refund(&one.id)).collect();
        let held = self.authorization(&payment.id).into_iter();
        let status = match payment.status {
            PaymentStatus::Open => "APPROVED",
            PaymentStatus::Processing | PaymentStatus::Authorised | PaymentStatus::Paid => {
                "COMPLETED"
            }
            PaymentStatus::Cancelled | PaymentStatus::Expired if payment.is_manual => "COMPLETED",
            PaymentStatus::Cancelled | PaymentStatus::Expired => "VOIDED",
        };
        let mut unit = json!({
            "reference_id": "default", "amount": amount(payment.amount, payment.currency),
            "payments": {"captures": captures, "refunds": refunds,
                         "authorizations": held.collect::<Vec<_>>()},
        });
        self.name(&mut unit, payment);
        let mut source = json!({});
        put(&mut source, payment.method.as_str(), json!({}));
        Some(json!({
            "id": id, "status": status, "create_time": time(payment.created),
            "intent": if payment.is_manual { "AUTHORIZE" } else { "CAPTURE" },
            "payment_source": source, "purchase_units": [unit], "links": [],
        }))
    }

    /// A refund.
    pub(super) fn refund(&self, id: &str) -> Option<Value> {
        let refund = self.ledger.records().refunds.get(id)?;
        let payment = self.payment(&refund.payment)?;
        let capture = self.capture_of(refund)?;
        let status = match refund.status {
            RefundStatus::Pending | RefundStatus::Waiting => "PENDING",
            RefundStatus::Succeeded => "COMPLETED",
            RefundStatus::Failed | RefundStatus::Reversed => "FAILED",
            RefundStatus::Cancelled => "CANCELLED",
        };
        let above = self.name_of(capture, payment);
        let total = self.refunded(capture, true);
        let mut shown = json!({
            "id": id, "status": status, "amount": amount(refund.amount, payment.currency),
            "create_time": time(refund.created),
            "seller_payable_breakdown": {
                "total_refunded_amount": amount(total, payment.currency)},
            "links": [link(&format!("payments/refunds/{id}"), "self"),
                      link(&format!("payments/captures/{above}"), "up")],
        });
        for field in ["custom_id", "invoice_id"] {
            if let Some(value) = refund.metadata.get(field) {
                put(&mut shown, field, json!(value));
            }
        }
        Some(shown)
    }

    /// A dispute, with its outcome.
    pub(super) fn dispute(&self, id: &str) -> Option<Value> {
        let dispute = self.ledger.records().disputes.get(id)?;
        let payment = self.payment(&dispute.payment)?;
        let capture = self.last_of(&dispute.charge)?;
        let (status, outcome) = match dispute.status {
            DisputeStatus::Open => ("UNDER_REVIEW", "NONE"),
            DisputeStatus::Won => ("RESOLVED", "RESOLVED_SELLER_FAVOUR"),
            DisputeStatus::Lost => ("RESOLVED", "RESOLVED_BUYER_FAVOUR"),
        };
        let disputed = self.name_of(capture, payment);
        Some(json!({
            "dispute_id": id, "status": status, "create_time": time(dispute.created),
            "dispute_amount": amount(dispute.amount, payment.currency),
            "dispute_life_cycle_stage": "CHARGEBACK",
            "dispute_outcome": {"outcome_code": outcome},
            "disputed_transactions": [{"seller_transaction_id": disputed}],
        }))
    }
}
