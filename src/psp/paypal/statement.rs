//! From PayPal's objects to statements about payments.
//!
//! A payment is a *capture*, named by its own id. That is what money is taken, refunded and
//! disputed by: a second capture of one order is a second payment that can go back whole, partial
//! captures of one authorisation add up inside the checkout, and a refund has exactly one place to
//! go. An authorisation is a payment too, that holds money until its captures have taken it, and
//! so is an order where the shop named one: it waits for its captures and then ends.
//!
//! An ended authorisation or order is only stated together with the captures that it ended in, so
//! that nobody takes it for a failed payment in between. PayPal's objects bear no mode: what our
//! own credentials read is of the mode that they belong to.

use super::objects::{
    Authorization, Capture, Order, RefundObject, Unit, UnitPayments, capture_above, time,
};
use crate::core::ids::{ActionKey, ExternalRef, PaymentRef, Reference};
use crate::core::lattice::Stamped;
use crate::core::money::Money;
use crate::core::payment::{PaymentSnapshot, Progress, Refund, RefundState, Source};
use crate::core::time::Time;
use crate::psp::json::Fields;
use crate::psp::rules::AccountRules;
use crate::psp::{Unreadable, json};
use serde_json::value::RawValue;
use std::borrow::Cow;

/// What our own refunds' `custom_id` begins with; a shop's own references are not taken for marks.
const MARK_PREFIX: &str = "refund-";
/// Longest word for a means of payment, in bytes.
const METHOD_BYTES_MAX: usize = 64;

/// Where and when something was said.
#[derive(Clone, Copy)]
pub(super) struct Frame<'a> {
    pub(super) rules: &'a AccountRules,
    pub(super) as_of: Time,
    pub(super) observed_at: Time,
    pub(super) source: Source,
}

/// What a capture shows.
pub(super) struct CaptureView {
    pub(super) snapshot: PaymentSnapshot,
    pub(super) status: String,
    pub(super) amount: Money,
    pub(super) order: Option<ExternalRef>,
    pub(super) authorization: Option<ExternalRef>,
}

/// What an authorisation shows.
pub(super) struct AuthorizationView {
    pub(super) snapshot: PaymentSnapshot,
    pub(super) status: String,
    pub(super) amount: Money,
    pub(super) order: Option<ExternalRef>,
}

/// One purchase unit, with what was paid for it.
pub(super) struct UnitView<'a> {
    pub(super) raw: &'a RawValue,
    pub(super) payments: UnitPayments<'a>,
}

/// What an order shows.
pub(super) struct OrderView<'a> {
    pub(super) snapshot: PaymentSnapshot,
    pub(super) status: String,
    pub(super) method: Option<String>,
    pub(super) units: Vec<UnitView<'a>>,
}

impl Frame<'_> {
    /// A statement about a payment that says nothing yet.
    pub(super) fn blank(&self, id: &ExternalRef) -> PaymentSnapshot {
        let payment = PaymentRef {
            account: self.rules.account.clone(),
            id: id.clone(),
        };
        PaymentSnapshot::new(payment, self.as_of, self.observed_at, self.source)
    }

    /// The same frame for what was read beside the payment in question: it may lead to a
    /// confirm, and is no fresh look at the money.
    pub(super) fn aside(&self) -> Frame<'_> {
        Frame {
            source: Source::Signed,
            ..*self
        }
    }

    fn judge(&self, snapshot: &mut PaymentSnapshot) {
        self.rules.judge(snapshot, self.rules.live, true);
    }

    /// Reads a capture.
    pub(super) fn capture(&self, raw: &RawValue) -> Result<CaptureView, Unreadable> {
        let capture: Capture = json::nested(raw)?;
        let amount = capture.amount.0.money()?;
        let mut snapshot = self.blank(&capture.id);
        let progress = capture_progress(&capture.status);
        told(&mut snapshot, progress);
        snapshot.created_at = capture.create_time.as_deref().and_then(time);
        snapshot.requested = Some(amount);
        snapshot.captured = (progress == Some(Progress::Taken)).then_some(amount);
        let reason = capture.status_details.and_then(|details| details.0.reason);
        if matches!(reason.as_deref(), Some("BUYER_COMPLAINT" | "CHARGEBACK")) {
            snapshot.is_disputed = Some(true);
        }
        if capture.status == "REFUNDED" {
            snapshot.refunded = Some(amount);
        }
        snapshot.reference = self.reference(raw)?;
        self.judge(&mut snapshot);
        let related = capture
            .supplementary_data
            .and_then(|more| more.0.related_ids);
        let (order, authorization) = related.map_or((None, None), |related| {
            (related.0.order_id, related.0.authorization_id)
        });
        Ok(CaptureView {
            snapshot,
            status: capture.status,
            amount,
            order,
            authorization: authorization.or_else(|| authorization_above(&capture.links)),
        })
    }

    /// Reads an authorisation. What of it was captured stands elsewhere.
    pub(super) fn authorization(&self, raw: &RawValue) -> Result<AuthorizationView, Unreadable> {
        let held: Authorization = json::nested(raw)?;
        let amount = held.amount.0.money()?;
        let mut snapshot = self.blank(&held.id);
        let progress = authorization_progress(&held.status);
        told(&mut snapshot, progress);
        snapshot.created_at = held.create_time.as_deref().and_then(time);
        snapshot.requested = Some(amount);
        if held.status == "CREATED" {
            snapshot.authorised = Some(amount);
        } else if progress == Some(Progress::Dead) || held.status == "CAPTURED" {
            snapshot.authorised = Some(Money::zero(amount.currency()));
        }
        if progress == Some(Progress::Authorised) {
            snapshot.authorised_until = held.expiration_time.as_deref().and_then(time);
        }
        snapshot.reference = self.reference(raw)?;
        self.judge(&mut snapshot);
        let related = held.supplementary_data.and_then(|more| more.0.related_ids);
        Ok(AuthorizationView {
            snapshot,
            status: held.status,
            amount,
            order: related.and_then(|related| related.0.order_id),
        })
    }

    /// Reads an order. The reference is its unit's, when there is one unit alone.
    pub(super) fn order<'a>(&self, body: &'a [u8]) -> Result<OrderView<'a>, Unreadable> {
        let order: Order<'a> = json::object(body)?;
        let mut snapshot = self.blank(&order.id);
        told(&mut snapshot, order_progress(&order.status));
        snapshot.created_at = order.create_time.as_deref().and_then(time);
        let method = order.payment_source.and_then(method);
        snapshot.method.clone_from(&method);
        let mut units = Vec::new();
        for raw in order.purchase_units {
            let unit: Unit<'a> = json::nested(raw)?;
            if let Some(amount) = &unit.amount {
                snapshot.requested = Some(amount.0.money()?);
            }
            units.push(UnitView {
                raw,
                payments: unit.payments.map(|payments| payments.0).unwrap_or_default(),
            });
        }
        match units.as_slice() {
            [only] => snapshot.reference = self.reference(only.raw)?,
            _ => snapshot.requested = None,
        }
        self.judge(&mut snapshot);
        Ok(OrderView {
            snapshot,
            status: order.status,
            method,
            units,
        })
    }

    /// Gives a capture its unit's reference where it bears none of its own.
    pub(super) fn inherit(
        &self,
        snapshot: &mut PaymentSnapshot,
        unit: &RawValue,
    ) -> Result<(), Unreadable> {
        if snapshot.reference.is_none() {
            snapshot.reference = self.reference(unit)?;
            self.judge(snapshot);
        }
        Ok(())
    }

    /// Adds a refund to what is said about its capture; the PSP's own sum so far, where shown.
    pub(super) fn add_refund(
        &self,
        snapshot: &mut PaymentSnapshot,
        refund: &RefundObject,
        default: Option<Money>,
    ) -> Result<Option<Money>, Unreadable> {
        let amount = match (&refund.amount, default) {
            (Some(amount), _) => amount.0.money()?,
            (None, Some(default)) => default,
            (None, None) => {
                return Err(Unreadable {
                    code: "missing_field",
                    detail: "a refund without an amount".to_owned(),
                });
            }
        };
        let mut entry = Refund::new(amount, refund_state(&refund.status), mark(refund));
        entry.waits_for_balance = Some(Stamped::new(self.as_of, false));
        snapshot.refunds.insert(refund.id.clone(), entry);
        let total = refund.seller_payable_breakdown.as_ref();
        let total = total.and_then(|breakdown| breakdown.0.total_refunded_amount.as_ref());
        total.map(|amount| amount.0.money()).transpose()
    }

    /// The order's refunds that belong to this capture; true when they are certainly all.
    pub(super) fn add_refunds(
        &self,
        view: &mut CaptureView,
        order: &OrderView<'_>,
    ) -> Result<bool, Unreadable> {
        let captures = order.units.iter().flat_map(|unit| &unit.payments.captures);
        let is_only = captures.count() == 1;
        let mut is_placed = true;
        let mut total: Option<Money> = None;
        for raw in order.units.iter().flat_map(|unit| &unit.payments.refunds) {
            let refund: RefundObject = json::nested(raw)?;
            let above = capture_above(&refund.links);
            let belongs = match &above {
                Some(capture) => *capture == view.snapshot.payment.id,
                None => is_only,
            };
            is_placed &= above.is_some() || is_only;
            if belongs {
                total = total.max(self.add_refund(&mut view.snapshot, &refund, None)?);
            }
        }
        let amounts = view.snapshot.refunds.values();
        let going = amounts.filter(|refund| refund.state != RefundState::Failed);
        let zero = Money::zero(view.amount.currency());
        let listed = going
            .map(|refund| refund.amount)
            .try_fold(zero, Money::plus)
            .map_err(|error| Unreadable {
                code: "bad_amount",
                detail: error.to_string(),
            })?;
        let said = match view.status.as_str() {
            "REFUNDED" => Some(view.amount),
            "PARTIALLY_REFUNDED" => total.or(Some(Money::new(1, view.amount.currency()))),
            _ => total,
        };
        if view.status != "REFUNDED" {
            view.snapshot.refunded = total.filter(|sum| sum.is_positive());
        }
        // The capture's own word must not say more than the list explains.
        let is_explained = said.is_none_or(|said| {
            said.currency() == listed.currency() && said.minor() <= listed.minor()
        });
        Ok(is_placed && is_explained)
    }

    fn reference(&self, raw: &RawValue) -> Result<Option<Reference>, Unreadable> {
        let mut texts = Vec::new();
        for path in &self.rules.reference_paths {
            texts.extend(json::text_at(raw, path)?);
        }
        Ok(self.rules.reference(texts.iter().map(String::as_str)))
    }
}

fn authorization_above(links: &super::objects::Links) -> Option<ExternalRef> {
    let (_, rest) =
        super::objects::linked(links, "up")?.split_once("/v2/payments/authorizations/")?;
    let id = rest.split(['/', '?', '#']).next()?;
    ExternalRef::parse(id).ok()
}

/// Our decision's key on a refund.
pub(super) fn mark(refund: &RefundObject) -> Option<ActionKey> {
    let text = refund.custom_id.as_deref()?;
    let key = text.starts_with(MARK_PREFIX).then_some(text)?;
    ActionKey::parse(key).ok()
}

/// The one key of `payment_source`.
fn method(source: &RawValue) -> Option<String> {
    let Fields(fields) = json::nested(source).ok()?;
    let word = fields.into_keys().next().map(Cow::into_owned);
    word.filter(|word| is_method_word(word))
}

fn is_method_word(word: &str) -> bool {
    !word.is_empty()
        && word.len() <= METHOD_BYTES_MAX
        && word.bytes().all(|byte| byte.is_ascii_graphic())
}

/// Writes down how far it is. What is not understood is told, and is not the read that a refund
/// needs.
fn told(snapshot: &mut PaymentSnapshot, progress: Option<Progress>) {
    snapshot.progress = progress;
    if progress.is_none() && matches!(snapshot.source, Source::Read { .. }) {
        snapshot.source = Source::Signed;
    }
}

/// A status word that is not known says nothing.
fn capture_progress(status: &str) -> Option<Progress> {
    match status {
        "COMPLETED" | "PARTIALLY_REFUNDED" | "REFUNDED" => Some(Progress::Taken),
        "PENDING" => Some(Progress::InFlight),
        "DECLINED" | "FAILED" => Some(Progress::Dead),
        _ => None,
    }
}

/// A captured authorisation counts as under way until its captures are seen.
fn authorization_progress(status: &str) -> Option<Progress> {
    match status {
        "CREATED" | "PARTIALLY_CAPTURED" => Some(Progress::Authorised),
        "PENDING" | "CAPTURED" => Some(Progress::InFlight),
        "DENIED" | "VOIDED" | "EXPIRED" => Some(Progress::Dead),
        _ => None,
    }
}

/// A completed order counts as under way until its captures are seen: it says nothing of money.
fn order_progress(status: &str) -> Option<Progress> {
    match status {
        "CREATED" | "SAVED" | "APPROVED" | "PAYER_ACTION_REQUIRED" => Some(Progress::Waiting),
        "COMPLETED" => Some(Progress::InFlight),
        "VOIDED" => Some(Progress::Dead),
        _ => None,
    }
}

/// An unknown word counts as going back: that leaves less to pay out.
fn refund_state(status: &str) -> RefundState {
    match status {
        "COMPLETED" => RefundState::Succeeded,
        "FAILED" | "CANCELLED" => RefundState::Failed,
        _ => RefundState::Pending,
    }
}
