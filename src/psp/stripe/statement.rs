//! From Stripe's objects to statements about payments.
//!
//! A payment is a PaymentIntent; a charge without one is a payment named by its own id. A
//! refund, a dispute or a charge of an intent says only what it shows: whose payment it is, and
//! which order it names, is read from the intent alone, because Stripe does not promise that a
//! charge's metadata follows its intent's.
//!
//! Two traps live here. A charge that is pending or failed may still say `captured`, so money
//! counts as taken only when the charge succeeded. And capturing less than was authorised makes
//! Stripe write the remainder into `amount_refunded` and into the list of refunds, although that
//! money was never taken: a charge's own sum is passed on only when all of it was captured.
//!
//! An intent or charge that shows an `invoice` is a renewal and no checkout payment. API
//! versions from 2025-03-31 on do not show it; its absence proves nothing.

use super::amount::{self, BadAmount};
use super::objects::{Charge, DisputeObject, Intent, RefundObject, expanded, linked, typed_in};
use crate::core::ids::{ActionKey, ExternalRef, PaymentRef, Reference};
use crate::core::lattice::Stamped;
use crate::core::money::Money;
use crate::core::payment::{
    Dispute, DisputeState, PaymentSnapshot, Progress, Refund, RefundState, Source,
};
use crate::core::time::Time;
use crate::psp::Unreadable;
use crate::psp::json;
use crate::psp::rules::AccountRules;
use serde_json::value::RawValue;

/// The metadata field of a refund that holds our decision's key.
pub(super) const MARK_FIELD: &str = "reconciled_key";
/// Longest word for a means of payment, in bytes; Stripe's own have less than 30.
const METHOD_BYTES_MAX: usize = 64;

/// Where and when something was said.
#[derive(Clone, Copy)]
pub(super) struct Frame<'a> {
    pub(super) rules: &'a AccountRules,
    pub(super) as_of: Time,
    pub(super) observed_at: Time,
    pub(super) source: Source,
    /// The mode that the event around the object names; none for an answer to a call.
    pub(super) event_live: Option<bool>,
}

/// What a charge shows, whoever's it is.
pub(super) struct ChargeView {
    pub(super) id: ExternalRef,
    /// The intent it belongs to, if any.
    pub(super) intent: Option<ExternalRef>,
    /// Taken; nothing unless the charge succeeded and was captured.
    pub(super) captured: Option<Money>,
    /// Gone back or going back; nothing where the figure may hold money that was never taken.
    refunded: Option<Money>,
    /// Authorised and given up again by a partial capture.
    pub(super) released: Option<Money>,
    pub(super) is_disputed: Option<bool>,
    method: Option<String>,
    capture_before: Option<Time>,
    amount: Money,
    created_at: Time,
    is_live: bool,
    is_renewal: bool,
    progress: Option<Progress>,
}

/// What an intent shows.
pub(super) struct IntentView {
    pub(super) snapshot: PaymentSnapshot,
    /// The latest attempt, where it is shown and not only named.
    pub(super) latest: Option<ChargeView>,
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

    /// True when the event around the object is of the mode that is not served.
    pub(super) fn is_other_mode(&self) -> bool {
        self.event_live
            .is_some_and(|is_live| is_live != self.rules.live)
    }

    /// The mode of an object; an event that contradicts its object belongs to neither.
    fn mode(&self, object_live: bool) -> bool {
        match self.event_live {
            Some(event_live) if event_live != object_live => !self.rules.live,
            Some(_) | None => object_live,
        }
    }

    /// Reads a PaymentIntent.
    pub(super) fn intent(&self, raw: &RawValue) -> Result<IntentView, Unreadable> {
        let intent: Intent<'_> = typed_in(raw)?;
        let currency = amount::currency(&intent.currency)?;
        let mut snapshot = self.blank(&intent.id);
        let progress = intent_progress(&intent.status);
        snapshot.progress = progress;
        if progress.is_none() {
            // A status word that we do not know may mean anything: what is read beside it is told,
            // and does not count as the read that a refund needs.
            snapshot.source = Source::Signed;
        }
        snapshot.created_at = Some(Time::from_seconds(intent.created));
        snapshot.requested = Some(amount::read(intent.amount.get(), currency)?);
        snapshot.authorised = Some(amount::read(intent.amount_capturable.get(), currency)?);
        snapshot.captured = Some(amount::read(intent.amount_received.get(), currency)?);
        let latest = match expanded(intent.latest_charge) {
            None => {
                linked(intent.latest_charge)?;
                None
            }
            Some(raw) => {
                let view = charge(raw)?;
                view.fill(&mut snapshot);
                snapshot.authorised_until = view
                    .capture_before
                    .filter(|_| progress == Some(Progress::Authorised));
                Some(view)
            }
        };
        snapshot.reference = self.reference(raw)?;
        let is_known_kind = intent.invoice.is_none();
        let is_live = self.mode(intent.livemode);
        self.rules.judge(&mut snapshot, is_live, is_known_kind);
        know_refundable(&mut snapshot);
        Ok(IntentView { snapshot, latest })
    }

    /// Reads a charge that is a payment of its own.
    pub(super) fn lone_charge(
        &self,
        raw: &RawValue,
        view: &ChargeView,
    ) -> Result<PaymentSnapshot, Unreadable> {
        let mut snapshot = self.blank(&view.id);
        snapshot.progress = view.progress;
        snapshot.created_at = Some(view.created_at);
        snapshot.requested = Some(view.amount);
        if view.progress == Some(Progress::Authorised) {
            snapshot.authorised = Some(view.amount);
            snapshot.authorised_until = view.capture_before;
        }
        snapshot.captured = view.captured;
        view.fill(&mut snapshot);
        snapshot.reference = self.reference(raw)?;
        let is_live = self.mode(view.is_live);
        self.rules.judge(&mut snapshot, is_live, !view.is_renewal);
        know_refundable(&mut snapshot);
        Ok(snapshot)
    }

    /// What a charge says about the intent it belongs to.
    pub(super) fn charge_of(&self, intent: &ExternalRef, view: &ChargeView) -> PaymentSnapshot {
        let mut snapshot = self.blank(intent);
        snapshot.captured = view.captured;
        view.fill(&mut snapshot);
        if self.mode(view.is_live) != self.rules.live {
            self.rules.judge(&mut snapshot, !self.rules.live, true);
        }
        snapshot
    }

    /// Adds a refund to what is said about its payment.
    pub(super) fn add_refund(
        &self,
        snapshot: &mut PaymentSnapshot,
        refund: &RefundObject<'_>,
    ) -> Result<(), Unreadable> {
        let currency = amount::currency(&refund.currency)?;
        let state = refund_state(refund.status.as_deref());
        let waits = state == RefundState::Pending
            && refund.pending_reason.as_deref() == Some("insufficient_funds");
        let mark = match refund.metadata {
            Some(metadata) => json::text_at(metadata, MARK_FIELD)?,
            None => None,
        };
        let entry = Refund {
            waits_for_balance: Some(Stamped::new(self.as_of, waits)),
            ..Refund::new(
                amount::read(refund.amount.get(), currency)?,
                state,
                mark.and_then(|text| ActionKey::parse(&text).ok()),
            )
        };
        snapshot.refunds.insert(refund.id.clone(), entry);
        Ok(())
    }

    /// Adds a dispute to what is said about its payment.
    pub(super) fn add_dispute(
        &self,
        snapshot: &mut PaymentSnapshot,
        dispute: &DisputeObject<'_>,
    ) -> Result<(), Unreadable> {
        let currency = amount::currency(&dispute.currency)?;
        let entry = Dispute {
            amount: amount::read(dispute.amount.get(), currency)?,
            state: dispute_state(&dispute.status),
        };
        snapshot.disputes.insert(dispute.id.clone(), entry);
        Ok(())
    }

    /// Writes `wrong_mode` into a statement that shows no payment, when the event is of the
    /// other mode.
    pub(super) fn note_other_mode(&self, snapshot: &mut PaymentSnapshot) {
        if self.is_other_mode() {
            self.rules.judge(snapshot, !self.rules.live, true);
        }
    }

    fn reference(&self, raw: &RawValue) -> Result<Option<Reference>, Unreadable> {
        let mut texts = Vec::new();
        for path in &self.rules.reference_paths {
            texts.extend(json::text_at(raw, path)?);
        }
        Ok(self.rules.reference(texts.iter().map(String::as_str)))
    }
}

impl ChargeView {
    /// Writes what the charge alone knows into a statement about its payment. An attempt that
    /// took nothing says nothing about refunds and disputes.
    pub(super) fn fill(&self, snapshot: &mut PaymentSnapshot) {
        snapshot.method.clone_from(&self.method);
        if self.captured.is_some() {
            snapshot.refunded = self.refunded;
            snapshot.is_disputed = self.is_disputed;
        }
    }
}

/// Reads a charge.
pub(super) fn charge(raw: &RawValue) -> Result<ChargeView, Unreadable> {
    view(typed_in(raw)?)
}

/// What the fields of a charge show.
pub(super) fn view(charge: Charge<'_>) -> Result<ChargeView, Unreadable> {
    let currency = amount::currency(&charge.currency)?;
    let amount = amount::read(charge.amount.get(), currency)?;
    let taken = amount::read(charge.amount_captured.get(), currency)?;
    let back = amount::read(charge.amount_refunded.get(), currency)?;
    let has_succeeded = charge.status == "succeeded";
    let is_taken = has_succeeded && charge.captured;
    let released = amount
        .minus(taken)
        .ok()
        .filter(|rest| is_taken && rest.is_positive());
    let details = charge.payment_method_details.map(|details| details.0);
    let (method, card) = match details {
        Some(details) => (details.kind, details.card),
        None => (None, None),
    };
    Ok(ChargeView {
        intent: linked(charge.payment_intent)?,
        captured: is_taken.then_some(taken),
        refunded: Some(back).filter(|_| is_taken && taken >= amount),
        released,
        is_disputed: charge.disputed,
        method: method.filter(|word| is_method_word(word)),
        capture_before: card
            .and_then(|card| card.0.capture_before)
            .map(Time::from_seconds),
        amount,
        created_at: Time::from_seconds(charge.created),
        is_live: charge.livemode,
        is_renewal: charge.invoice.is_some(),
        progress: charge_progress(&charge.status, charge.captured, charge.refunded),
        id: charge.id,
    })
}

/// Means of payment that Stripe does not refund at all (docs.stripe.com/payments/boleto).
const NOT_REFUNDABLE: [&str; 1] = ["boleto"];

/// Says of the means of payment, where it is known, that no refund need be tried.
fn know_refundable(snapshot: &mut PaymentSnapshot) {
    let method = snapshot.method.as_deref();
    if method.is_some_and(|method| NOT_REFUNDABLE.contains(&method)) {
        snapshot.is_refundable = Some(false);
    }
}

/// True for a refund that moved nothing on the shop's balance although it is done: the released
/// remainder of an authorisation. Only reading the charge can tell for sure.
pub(super) fn looks_like_a_release(refund: &RefundObject<'_>) -> bool {
    let moved_nothing = refund.status.as_deref() == Some("succeeded")
        && refund
            .balance_transaction
            .is_some_and(|raw| raw.get() == "null");
    moved_nothing || refund.reason.as_deref() == Some("expired_uncaptured_charge")
}

fn is_method_word(word: &str) -> bool {
    !word.is_empty()
        && word.len() <= METHOD_BYTES_MAX
        && word.bytes().all(|byte| byte.is_ascii_graphic())
}

/// A status word that is not known says nothing.
fn intent_progress(status: &str) -> Option<Progress> {
    match status {
        "requires_payment_method" | "requires_confirmation" | "requires_action" => {
            Some(Progress::Waiting)
        }
        "processing" => Some(Progress::InFlight),
        "requires_capture" => Some(Progress::Authorised),
        "succeeded" => Some(Progress::Taken),
        "canceled" => Some(Progress::Dead),
        _ => None,
    }
}

/// A charge is one attempt: unlike an intent it does not come back after a failure.
fn charge_progress(status: &str, is_captured: bool, is_refunded: bool) -> Option<Progress> {
    match status {
        "pending" => Some(Progress::InFlight),
        "failed" => Some(Progress::Dead),
        "succeeded" if is_captured => Some(Progress::Taken),
        // Given up before it was captured.
        "succeeded" if is_refunded => Some(Progress::Dead),
        "succeeded" => Some(Progress::Authorised),
        _ => None,
    }
}

/// An unknown word counts as going back: that leaves less to pay out.
fn refund_state(status: Option<&str>) -> RefundState {
    match status {
        Some("succeeded") => RefundState::Succeeded,
        Some("failed" | "canceled") => RefundState::Failed,
        Some(_) | None => RefundState::Pending,
    }
}

/// An unknown word, and `prevented`, count as open: no refund leaves until a person has looked.
fn dispute_state(status: &str) -> DisputeState {
    match status {
        "won" | "warning_closed" => DisputeState::Won,
        "lost" => DisputeState::Lost,
        _ => DisputeState::Open,
    }
}

impl From<BadAmount> for Unreadable {
    fn from(bad: BadAmount) -> Unreadable {
        Unreadable {
            code: "bad_amount",
            detail: bad.0.to_owned(),
        }
    }
}
