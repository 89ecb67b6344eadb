//! The sweep's three ways through Stripe: by creation, by money, by what happened.
//!
//! Intents by their creation find what was never delivered; charges by theirs find an old intent
//! that was paid late; recent events find refunds, disputes and cancellations of older payments.
//! What a page names but cannot be read is handed back by name, so that one odd payment neither
//! stops a sweep nor is passed over.

use super::Stripe;
use super::answer::{self, Effect};
use super::ask::PAGE_ITEMS;
use super::event;
use super::form::Form;
use super::objects::{Charge, List, Named, Pointer, expanded, payment_of, typed, typed_in};
use super::statement::{Frame, view};
use crate::core::ids::ExternalRef;
use crate::core::payment::PaymentSnapshot;
use crate::core::time::Time;
use crate::psp::json::{self, Fault};
use crate::psp::{Failure, PspAnswer, Reading, Step, Unreadable};
use crate::wire::Reply;
use serde_json::value::RawValue;
use std::collections::BTreeSet;

/// How many listings there are.
pub(super) const LISTINGS: u8 = 3;

/// The events that change what is known of a payment, at most 20 by Stripe's rule. Those of
/// single charges are left out: they say nothing that the other two listings do not.
const EVENT_TYPES: [&str; 15] = [
    "payment_intent.succeeded",
    "payment_intent.amount_capturable_updated",
    "payment_intent.processing",
    "payment_intent.partially_funded",
    "payment_intent.payment_failed",
    "payment_intent.canceled",
    "refund.created",
    "refund.updated",
    "refund.failed",
    "charge.refund.updated",
    "charge.dispute.created",
    "charge.dispute.updated",
    "charge.dispute.closed",
    "charge.dispute.funds_withdrawn",
    "charge.dispute.funds_reinstated",
];

/// What a page brought so far. A payment may occur more than once, all equally fresh.
#[derive(Default)]
struct Found {
    payments: Vec<PaymentSnapshot>,
    hints: BTreeSet<ExternalRef>,
}

/// One page of one listing.
pub(super) fn step(
    stripe: &Stripe,
    frame: &Frame<'_>,
    listing: u8,
    window: (Time, Time),
    cursor: Option<&str>,
    replies: &[Reply],
) -> Result<Step, Failure> {
    let add: fn(&Frame<'_>, &RawValue, &mut Found) -> Result<(), Unreadable> = match listing {
        0 => add_intent,
        1 => add_charge,
        2 => add_event,
        _ => return Err(Failure::Refused("no_such_listing".to_owned())),
    };
    let Some(reply) = replies.first() else {
        return Ok(ask(stripe, listing, window, cursor));
    };
    let body = answer::body(reply, Effect::Reads)?;
    read(frame, body, add).map_err(|e| answer::malformed(&e))
}

fn ask(stripe: &Stripe, listing: u8, (from, to): (Time, Time), cursor: Option<&str>) -> Step {
    // Stripe counts whole seconds; the end is rounded up so that nothing falls between.
    let is_whole = Time::from_seconds(to.seconds()) == to;
    let end = to.seconds().saturating_add(i64::from(!is_whole));
    let mut query = Form::default()
        .with("created[gte]", &from.seconds().to_string())
        .with("created[lt]", &end.to_string())
        .with("limit", PAGE_ITEMS);
    let path = match listing {
        0 => {
            query = query.with("expand[]", "data.latest_charge");
            "/v1/payment_intents"
        }
        1 => {
            query = query.with("expand[]", "data.payment_intent");
            "/v1/charges"
        }
        _ => {
            for kind in EVENT_TYPES {
                query = query.with("types[]", kind);
            }
            "/v1/events"
        }
    };
    if let Some(last) = cursor {
        query = query.with("starting_after", last);
    }
    stripe.get(path, &query)
}

fn read(
    frame: &Frame<'_>,
    body: &[u8],
    add: fn(&Frame<'_>, &RawValue, &mut Found) -> Result<(), Unreadable>,
) -> Result<Step, Unreadable> {
    let list = page(body)?;
    let mut found = Found::default();
    for raw in &list.data {
        add(frame, raw, &mut found)?;
    }
    let last = match list.data.last() {
        Some(raw) => Some(json::nested::<Named>(raw)?.id),
        None => None,
    };
    let next = next(&list, last)?.map(|id| id.to_string());
    Ok(Step::Done(PspAnswer::Page {
        payments: found.payments,
        hints: found.hints.into_iter().collect(),
        next,
    }))
}

fn add_intent(frame: &Frame<'_>, raw: &RawValue, found: &mut Found) -> Result<(), Unreadable> {
    match frame.intent(raw) {
        Ok(view) => found.payments.push(view.snapshot),
        Err(_) => {
            let named: Named = json::nested(raw)?;
            found.hints.insert(named.id);
        }
    }
    Ok(())
}

fn add_charge(frame: &Frame<'_>, raw: &RawValue, found: &mut Found) -> Result<(), Unreadable> {
    match charge_statement(frame, raw) {
        Ok(Some(snapshot)) => found.payments.push(snapshot),
        Ok(None) | Err(_) => {
            found.hints.insert(payment_of_charge(raw)?);
        }
    }
    Ok(())
}

/// The statement of the payment that a charge belongs to, where the charge shows it.
fn charge_statement(
    frame: &Frame<'_>,
    raw: &RawValue,
) -> Result<Option<PaymentSnapshot>, Unreadable> {
    let fields: Charge<'_> = typed_in(raw)?;
    let intent = fields.payment_intent;
    let view = view(fields)?;
    if view.intent.is_none() {
        return frame.lone_charge(raw, &view).map(Some);
    }
    let Some(intent) = expanded(intent) else {
        return Ok(None);
    };
    let mut snapshot = frame.intent(intent)?.snapshot;
    if view.captured.is_some() {
        view.fill(&mut snapshot);
    }
    Ok(Some(snapshot))
}

fn payment_of_charge(raw: &RawValue) -> Result<ExternalRef, Unreadable> {
    let pointer: Pointer<'_> = json::nested(raw)?;
    match payment_of(pointer.payment_intent, None)? {
        Some(intent) => Ok(intent),
        None => Ok(json::nested::<Named>(raw)?.id),
    }
}

fn add_event(frame: &Frame<'_>, raw: &RawValue, found: &mut Found) -> Result<(), Unreadable> {
    match event::read(frame.rules, raw.get().as_bytes(), frame.observed_at) {
        Ok(Reading::Seen { payments, hints }) => {
            found.payments.extend(payments);
            found.hints.extend(hints);
        }
        Ok(Reading::Ignored { .. }) => {}
        Err(unreadable) => {
            let payment = event::named_payment(raw).ok_or(unreadable)?;
            found.hints.insert(payment);
        }
    }
    Ok(())
}

/// Reads one page of a list.
pub(super) fn page(body: &[u8]) -> Result<List<'_>, Unreadable> {
    Ok(typed(body)?)
}

/// Where the next page starts; a list that promises more and shows nothing is refused.
pub(super) fn next(
    list: &List<'_>,
    last: Option<ExternalRef>,
) -> Result<Option<ExternalRef>, Unreadable> {
    match (list.has_more, last) {
        (false, _) => Ok(None),
        (true, Some(last)) => Ok(Some(last)),
        (true, None) => Err(Unreadable::from(Fault {
            code: "wrong_shape",
            detail: "an empty page that promises more".to_owned(),
        })),
    }
}
