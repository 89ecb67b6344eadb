//! What the several answers of a fetch say together about one payment.
//!
//! Each answer is held against what was asked: an answer about another payment, order or dispute
//! is no answer. Builds no request and knows no order of calls.

use super::event;
use super::objects::{Dispute, DisputeList, EventList, linked};
use super::statement::{AuthorizationView, CaptureView, Frame, OrderView};
use crate::core::ids::ExternalRef;
use crate::core::money::Money;
use crate::core::payment::{self, DisputeState, PaymentSnapshot, Progress};
use crate::psp::{Unreadable, json};
use serde_json::value::RawValue;

pub(super) fn capture(
    frame: &Frame<'_>,
    id: &ExternalRef,
    body: &[u8],
) -> Result<CaptureView, Unreadable> {
    let view = frame.capture(whole(body)?)?;
    expect(view.snapshot.payment.id == *id, "other_payment")?;
    Ok(view)
}

pub(super) fn authorization(
    frame: &Frame<'_>,
    id: &ExternalRef,
    body: &[u8],
) -> Result<AuthorizationView, Unreadable> {
    let view = frame.authorization(whole(body)?)?;
    expect(view.snapshot.payment.id == *id, "other_payment")?;
    Ok(view)
}

/// The order's refunds of this capture, its means of payment, and its reference where the capture
/// bears none.
pub(super) fn add_order(
    frame: &Frame<'_>,
    view: &mut CaptureView,
    id: &ExternalRef,
    body: &[u8],
) -> Result<(), Unreadable> {
    let order = frame.order(body)?;
    expect(order.snapshot.payment.id == *id, "other_order")?;
    let mut is_listed = false;
    for unit in &order.units {
        for raw in &unit.payments.captures {
            let other = frame.capture(raw)?;
            if other.snapshot.payment.id == view.snapshot.payment.id {
                is_listed = true;
                frame.inherit(&mut view.snapshot, unit.raw)?;
            }
        }
    }
    expect(is_listed, "other_order")?;
    view.snapshot.method.clone_from(&order.method);
    view.snapshot.is_refund_list_whole = frame.add_refunds(view, &order)?;
    Ok(())
}

/// An order that the shop named, and the captures and authorisations it led to.
pub(super) fn order_and_captures(
    frame: &Frame<'_>,
    id: &ExternalRef,
    body: &[u8],
) -> Result<Vec<PaymentSnapshot>, Unreadable> {
    let mut order = frame.order(body)?;
    expect(order.snapshot.payment.id == *id, "other_order")?;
    let mut seen: Vec<PaymentSnapshot> = captures(frame, &order)?
        .into_iter()
        .map(|view| view.snapshot)
        .collect();
    let aside = frame.aside();
    for unit in &order.units {
        for raw in &unit.payments.authorizations {
            let mut view = aside.authorization(raw)?;
            aside.inherit(&mut view.snapshot, unit.raw)?;
            seen.push(view.snapshot);
        }
    }
    if order.status == "COMPLETED" && !seen.is_empty() {
        order.snapshot.progress = Some(Progress::Dead);
    }
    seen.push(order.snapshot);
    Ok(seen)
}

/// What an order's captures say beside the payment in question.
fn captures(frame: &Frame<'_>, order: &OrderView<'_>) -> Result<Vec<CaptureView>, Unreadable> {
    let aside = frame.aside();
    let mut views = Vec::new();
    for unit in &order.units {
        for raw in &unit.payments.captures {
            let mut view = aside.capture(raw)?;
            aside.inherit(&mut view.snapshot, unit.raw)?;
            view.snapshot.method.clone_from(&order.method);
            aside.add_refunds(&mut view, order)?;
            views.push(view);
        }
    }
    Ok(views)
}

/// The captures of an authorisation, then what is left of it.
pub(super) fn captures_and_rest(
    frame: &Frame<'_>,
    mut held: AuthorizationView,
    id: &ExternalRef,
    body: &[u8],
) -> Result<Vec<PaymentSnapshot>, Unreadable> {
    let order = frame.order(body)?;
    expect(order.snapshot.payment.id == *id, "other_order")?;
    let units = order.units.iter();
    let is_only = units.flat_map(|unit| &unit.payments.authorizations).count() <= 1;
    let mine = held.snapshot.payment.id.clone();
    let mut rest = held.amount;
    let mut seen = Vec::new();
    for view in captures(frame, &order)? {
        let belongs = match &view.authorization {
            Some(authorization) => *authorization == mine,
            None => is_only,
        };
        if belongs && view.snapshot.progress != Some(Progress::Dead) {
            rest = rest.minus(view.amount).map_err(|error| Unreadable {
                code: "bad_amount",
                detail: error.to_string(),
            })?;
            seen.push(view.snapshot);
        }
    }
    let is_used_up = held.status == "CAPTURED" || !rest.is_positive();
    if is_used_up && !seen.is_empty() {
        held.snapshot.progress = Some(Progress::Dead);
        held.snapshot.authorised = Some(Money::zero(held.amount.currency()));
    } else if held.status == "PARTIALLY_CAPTURED" {
        held.snapshot.authorised = Some(rest);
    }
    held.snapshot.method.clone_from(&order.method);
    seen.push(held.snapshot);
    Ok(seen)
}

pub(super) fn disputes(body: &[u8]) -> Result<Vec<Dispute>, Unreadable> {
    let list: DisputeList = json::object(body)?;
    expect(linked(&list.links, "next").is_none(), "too_many_disputes")?;
    Ok(list.items.into_iter().map(|item| item.0).collect())
}

pub(super) fn is_decided(dispute: &Dispute) -> bool {
    dispute.status.as_deref() == Some("RESOLVED")
}

/// Adds a dispute as listed, with its outcome as read alone.
pub(super) fn add_dispute(
    view: &mut CaptureView,
    listed: &Dispute,
    whole: Option<&Dispute>,
) -> Result<(), Unreadable> {
    if let Some(whole) = whole {
        expect(whole.dispute_id == listed.dispute_id, "other_dispute")?;
    }
    let written = whole.and_then(|whole| whole.dispute_amount.as_ref());
    let amount = match written.or(listed.dispute_amount.as_ref()) {
        Some(amount) => amount.0.money()?,
        None => view.amount,
    };
    let state = whole
        .filter(|whole| is_decided(whole))
        .and_then(|whole| whole.dispute_outcome.as_ref())
        .and_then(|outcome| outcome.0.outcome_code.as_deref())
        .map_or(DisputeState::Open, dispute_state);
    let entry = payment::Dispute { amount, state };
    view.snapshot
        .disputes
        .insert(listed.dispute_id.clone(), entry);
    Ok(())
}

/// An outcome that leaves open where the money is counts as open: no refund leaves until a person
/// has looked.
fn dispute_state(outcome: &str) -> DisputeState {
    match outcome {
        "RESOLVED_SELLER_FAVOUR" | "RESOLVED_SELLER_FAVOR" | "CANCELED_BY_BUYER" | "DENIED" => {
            DisputeState::Won
        }
        "RESOLVED_BUYER_FAVOUR" | "RESOLVED_BUYER_FAVOR" | "ACCEPTED" => DisputeState::Lost,
        _ => DisputeState::Open,
    }
}

/// True when PayPal's own record of events says that it took this capture back.
pub(super) fn is_reversed(id: &ExternalRef, body: &[u8]) -> Result<bool, Unreadable> {
    let list: EventList<'_> = json::object(body)?;
    for raw in &list.events {
        let about = event::about(raw.get().as_bytes())?;
        if about.kind == "PAYMENT.CAPTURE.REVERSED" && about.payments.contains(id) {
            return Ok(true);
        }
    }
    Ok(false)
}

fn whole(body: &[u8]) -> Result<&RawValue, Unreadable> {
    serde_json::from_slice(body).map_err(|_| Unreadable {
        code: "not_json",
        detail: "the answer is not JSON".to_owned(),
    })
}

/// Refuses an answer that is not about what was asked.
pub(super) fn expect(is_so: bool, code: &'static str) -> Result<(), Unreadable> {
    if is_so {
        Ok(())
    } else {
        Err(Unreadable {
            code,
            detail: "the answer is not about what was asked".to_owned(),
        })
    }
}
