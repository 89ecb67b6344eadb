//! Adyen's endpoints in the sandbox: modifications, each received and told of later.
//!
//! Whether one can be done at all is no error of the call: the event says it. Knows the ledger;
//! stories are played elsewhere.

use super::render::{self, REFERENCE, REVERSAL, Told};
use super::{MERCHANT_ACCOUNT, post};
use crate::core::time::Time;
use crate::sandbox::psp::dialect::{PspCall, split_url};
use crate::sandbox::psp::kind::Thing;
use crate::sandbox::psp::ledger::{Ledger, NewRefund};
use crate::sandbox::psp::records::Payment;
use crate::wire::{Method, Request};
use serde_json::{Value, json};
use std::collections::BTreeMap;

/// A refusal: status, Adyen's code, and its kind.
pub(super) struct Refusal(
    pub(super) u16,
    pub(super) &'static str,
    pub(super) &'static str,
);

/// A modification with the payment in its path.
pub(super) enum Route<'a> {
    Refund(&'a str),
    Reverse(&'a str),
    Cancel(&'a str),
    Capture(&'a str),
}

impl<'a> Route<'a> {
    pub(super) fn parse(method: Method, path: &'a str) -> Option<Route<'a>> {
        let parts: Vec<&str> = path.strip_prefix("/v72/payments/")?.split('/').collect();
        match (method, parts.as_slice()) {
            (Method::Post, [id, "refunds"]) => Some(Route::Refund(id)),
            (Method::Post, [id, "reversals"]) => Some(Route::Reverse(id)),
            (Method::Post, [id, "cancels"]) => Some(Route::Cancel(id)),
            (Method::Post, [id, "captures"]) => Some(Route::Capture(id)),
            (Method::Get | Method::Post | Method::Delete | Method::Patch, _) => None,
        }
    }

    pub(super) fn payment(&self) -> &'a str {
        match self {
            Route::Refund(id) | Route::Reverse(id) | Route::Cancel(id) | Route::Capture(id) => id,
        }
    }

    /// What it will do.
    pub(super) fn call(&self, ledger: &Ledger) -> PspCall {
        let held = |id| {
            let payment = ledger.payment(id);
            payment.is_some_and(|payment| render::is_only_held(ledger, payment))
        };
        match self {
            Route::Reverse(id) if held(id) => PspCall::Void,
            Route::Refund(_) | Route::Reverse(_) => PspCall::Refund,
            Route::Cancel(_) => PspCall::Void,
            Route::Capture(_) => PspCall::Capture,
        }
    }
}

/// What came of a modification, to be told of.
struct Wish<'a> {
    payment: &'a str,
    name: String,
    reference: &'a str,
    amount: i64,
}

/// Receives a modification; its answer.
pub(super) fn answer(ledger: &mut Ledger, request: &Request, now: Time) -> Result<Value, Refusal> {
    let body: Value = serde_json::from_slice(&request.body).unwrap_or_default();
    let (path, _) = split_url(&request.url);
    let route = Route::parse(request.method, path).ok_or(Refusal(404, "704", "validation"))?;
    if text(&body, "merchantAccount") != Some(MERCHANT_ACCOUNT) {
        return Err(Refusal(403, "901", "security"));
    }
    let id = route.payment();
    let payment = ledger.payment(id).cloned();
    let payment = payment.ok_or(Refusal(422, "167", "validation"))?;
    let reference = text(&body, "reference").unwrap_or_default();
    let amount = asked(&body, &payment);
    let name = match route {
        Route::Refund(_) => {
            let amount = amount.ok_or(Refusal(422, "100", "validation"))?;
            give_back(ledger, &payment, (reference, false), amount, now)
        }
        Route::Reverse(_) => {
            ledger.let_slip_in(id, now);
            reverse(ledger, id, reference, now)
        }
        Route::Cancel(_) => {
            ledger.let_slip_in(id, now);
            cancel(ledger, id, reference, now)
        }
        Route::Capture(_) => {
            let amount = amount.ok_or(Refusal(422, "100", "validation"))?;
            let taken = ledger.take_held(id, amount, true, now);
            taken.ok_or(Refusal(422, "167", "validation"))?
        }
    };
    Ok(json!({
        "merchantAccount": MERCHANT_ACCOUNT,
        "paymentPspReference": id,
        "pspReference": name,
        "reference": reference,
        "status": "received",
    }))
}

/// The amount asked for, in our minor units, in the payment's own currency and above zero.
fn asked(body: &Value, payment: &Payment) -> Option<i64> {
    let amount = body.get("amount")?;
    let value = amount.get("value")?.as_i64().filter(|value| *value > 0)?;
    let is_own = amount.get("currency")?.as_str() == Some(payment.currency.code());
    let unit = render::wire(100, payment.currency);
    let minor = value.checked_mul(100)?.checked_div(unit)?;
    is_own.then_some(minor)
}

/// Books a refund, or tells that it cannot be done; its name.
fn give_back(
    ledger: &mut Ledger,
    payment: &Payment,
    (reference, is_reversal): (&str, bool),
    amount: i64,
    now: Time,
) -> String {
    let id = payment.id.as_str();
    let charge = ledger.charge_to_refund(id).map(|one| one.id.clone());
    let fits = amount > 0 && amount <= ledger.left_of(id);
    match charge.filter(|_| fits) {
        Some(charge) => {
            let mut metadata = BTreeMap::from([(REFERENCE.to_owned(), reference.to_owned())]);
            if is_reversal {
                metadata.insert(REVERSAL.to_owned(), "true".to_owned());
            }
            let new = NewRefund {
                charge,
                amount,
                metadata,
                reason: None,
                is_by_staff: false,
            };
            ledger.refund(new, now)
        }
        None => {
            let event = if is_reversal {
                "CANCEL_OR_REFUND"
            } else {
                "REFUND"
            };
            let name = ledger.new_id(Thing::Refund, None);
            let wish = Wish {
                payment: id,
                name,
                reference,
                amount,
            };
            declined(ledger, event, wish, now)
        }
    }
}

fn reverse(ledger: &mut Ledger, id: &str, reference: &str, now: Time) -> String {
    let payment = ledger.payment(id).cloned();
    let held = payment.filter(|payment| render::is_only_held(ledger, payment));
    if held.is_some() {
        return release(ledger, id, ("reversals", reference), now);
    }
    let left = ledger.left_of(id);
    match ledger.payment(id).cloned() {
        Some(payment) => give_back(ledger, &payment, (reference, true), left, now),
        None => String::new(),
    }
}

fn cancel(ledger: &mut Ledger, id: &str, reference: &str, now: Time) -> String {
    let payment = ledger.payment(id).cloned();
    let held = payment.filter(|payment| render::is_only_held(ledger, payment));
    if held.is_some() {
        return release(ledger, id, ("cancels", reference), now);
    }
    let name = ledger.new_id(Thing::Event, None);
    let amount = ledger.payment(id).map_or(0, |payment| payment.amount);
    let wish = Wish {
        payment: id,
        name,
        reference,
        amount,
    };
    declined(ledger, "CANCELLATION", wish, now)
}

/// Books a release; the modification's names stand in the reason, for the event.
fn release(ledger: &mut Ledger, id: &str, (what, reference): (&str, &str), now: Time) -> String {
    let name = ledger.new_id(Thing::Event, None);
    ledger.call_off(id, Some(format!("{what} {name} {reference}")), now);
    name
}

/// Tells that a modification could not be done; its name.
fn declined(ledger: &mut Ledger, event: &'static str, wish: Wish<'_>, now: Time) -> String {
    let told = Told {
        event,
        is_success: false,
        psp_reference: wish.name.clone(),
        payment: wish.payment.to_owned(),
        reference: wish.reference.to_owned(),
        amount: wish.amount,
        tells: None,
    };
    post(ledger, wish.payment, told, now);
    wish.name
}

fn text<'a>(object: &'a Value, name: &str) -> Option<&'a str> {
    object.get(name)?.as_str()
}
