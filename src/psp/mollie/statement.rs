//! What Mollie's objects say, in the house's words.
//!
//! The payment's status never says "refunded" or "charged back": the amounts do. What was taken
//! is `amountCaptured` where it is shown, else the whole amount of a paid payment. A chargeback
//! counts as an open dispute until it is reversed, because Mollie reverses chargebacks and the
//! house could not take back "lost". Metadata may be an object, or such an object as text.

use super::amount::{self, BadAmount};
use super::objects::{
    CaptureObject, ChargebackObject, Embedded, PaymentObject, RefundObject, Written, time, typed,
};
use crate::core::ids::{ActionKey, ExternalRef, PaymentRef, Reference};
use crate::core::lattice::Stamped;
use crate::core::money::{Money, MoneyError};
use crate::core::payment::{
    Dispute, DisputeState, Ownership, PaymentSnapshot, Progress, Refund, RefundState, Source,
};
use crate::core::time::Time;
use crate::psp::Unreadable;
use crate::psp::json;
use crate::psp::rules::AccountRules;
use serde_json::value::RawValue;

/// The metadata field of a refund that holds our decision's key.
pub(super) const MARK_FIELD: &str = "reconciled_key";
/// The field of a payment that holds what the shop wrote.
const METADATA: &str = "metadata";
/// Longest word for a means of payment, in bytes; Mollie's own have less than 20.
const METHOD_BYTES_MAX: usize = 64;
/// Means of payment that Mollie does not refund at all.
const NOT_REFUNDABLE: [&str; 2] = ["giftcard", "paysafecard"];
/// An embedded list of this length may be cut short: the items of a page when none are asked for.
const EMBEDDED_ITEMS_MAX: usize = 50;

/// Where and when something was said.
#[derive(Clone, Copy)]
pub(super) struct Frame<'a> {
    pub(super) rules: &'a AccountRules,
    pub(super) as_of: Time,
    pub(super) observed_at: Time,
    pub(super) source: Source,
}

/// What a payment shows.
pub(super) struct PaymentView {
    pub(super) snapshot: PaymentSnapshot,
    /// True when an open payment can still be cancelled.
    pub(super) is_cancelable: bool,
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

    /// True for a mode that is not served, and for a word that is no mode.
    pub(super) fn is_other_mode(&self, mode: &str) -> bool {
        let served = if self.rules.live { "live" } else { "test" };
        mode != served
    }

    /// A statement that a payment is of the mode that is not served.
    pub(super) fn of_other_mode(&self, id: &ExternalRef) -> PaymentSnapshot {
        let mut snapshot = self.blank(id);
        snapshot.ownership = Some(Ownership::WrongMode);
        snapshot
    }

    /// Reads a payment.
    pub(super) fn payment(&self, raw: &RawValue) -> Result<PaymentView, Unreadable> {
        let payment: PaymentObject<'_> = typed(raw.get().as_bytes(), "payment")?;
        let embedded = payment.embedded.as_ref().map(|embedded| &embedded.0);
        let asked = money(&payment.amount.0)?;
        let progress = progress(&payment.status);
        let mut snapshot = self.blank(&payment.id);
        snapshot.progress = progress;
        if progress.is_none() {
            // What is not understood is told, and is not the read that a refund needs.
            snapshot.source = Source::Signed;
        }
        snapshot.created_at = Some(time(&payment.created_at)?);
        snapshot.requested = Some(asked);
        let taken = taken(&payment, asked, embedded)?;
        snapshot.captured = Some(taken);
        let is_authorised = progress == Some(Progress::Authorised);
        snapshot.authorised = Some(match is_authorised {
            true => asked.minus(taken)?.max(Money::zero(asked.currency())),
            false => Money::zero(asked.currency()),
        });
        let until = payment.capture_before.as_deref().filter(|_| is_authorised);
        snapshot.authorised_until = until.map(time).transpose()?;
        snapshot.refunded = optional(payment.amount_refunded.as_ref().map(|it| &it.0))?;
        let charged_back = optional(payment.amount_charged_back.as_ref().map(|it| &it.0))?;
        snapshot.is_disputed = Some(charged_back.is_some_and(Money::is_positive));
        snapshot.method = payment.method.filter(|word| is_method_word(word));
        let method = snapshot.method.as_deref();
        let is_final = method.is_some_and(|method| NOT_REFUNDABLE.contains(&method));
        snapshot.is_refundable = is_final.then_some(false);
        snapshot.reference = self.reference(raw)?;
        if let Some(embedded) = embedded {
            self.add_embedded(&mut snapshot, embedded)?;
        }
        let is_live = self.is_other_mode(&payment.mode) != self.rules.live;
        let is_renewal = payment.sequence_type.as_deref() == Some("recurring")
            || payment.subscription_id.is_some();
        self.rules.judge(&mut snapshot, is_live, !is_renewal);
        Ok(PaymentView {
            snapshot,
            is_cancelable: payment.is_cancelable == Some(true),
        })
    }

    fn add_embedded(
        &self,
        snapshot: &mut PaymentSnapshot,
        embedded: &Embedded<'_>,
    ) -> Result<(), Unreadable> {
        for raw in embedded.chargebacks.iter().flatten() {
            self.add_chargeback(snapshot, raw)?;
        }
        let Some(refunds) = &embedded.refunds else {
            return Ok(());
        };
        for raw in refunds {
            self.add_refund(snapshot, raw)?;
        }
        let mut listed = Money::zero(
            snapshot
                .captured
                .map_or_else(|| crate::core::money::Currency::EUR, Money::currency),
        );
        for refund in snapshot.refunds.values() {
            if refund.state != RefundState::Failed {
                listed = listed.plus(refund.amount)?;
            }
        }
        let adds_up = snapshot.refunded.is_none_or(|sum| listed >= sum);
        snapshot.is_refund_list_whole = adds_up && refunds.len() < EMBEDDED_ITEMS_MAX;
        Ok(())
    }

    /// Adds a refund to what is said about its payment.
    pub(super) fn add_refund(
        &self,
        snapshot: &mut PaymentSnapshot,
        raw: &RawValue,
    ) -> Result<(), Unreadable> {
        let refund: RefundObject<'_> = typed(raw.get().as_bytes(), "refund")?;
        expect(refund.payment_id == snapshot.payment.id, "other_payment")?;
        let (state, waits, cancels) = refund_state(&refund.status);
        let mark = refund.metadata.and_then(|raw| text_in(raw, MARK_FIELD));
        let mark = mark.and_then(|text| ActionKey::parse(&text).ok());
        let entry = Refund {
            waits_for_balance: Some(Stamped::new(self.as_of, waits)),
            may_be_cancelled: Some(Stamped::new(self.as_of, cancels)),
            ..Refund::new(money(&refund.amount.0)?, state, mark)
        };
        snapshot.refunds.insert(refund.id, entry);
        Ok(())
    }

    /// Adds a chargeback to what is said about its payment.
    pub(super) fn add_chargeback(
        &self,
        snapshot: &mut PaymentSnapshot,
        raw: &RawValue,
    ) -> Result<(), Unreadable> {
        let chargeback: ChargebackObject = typed(raw.get().as_bytes(), "chargeback")?;
        expect(
            chargeback.payment_id == snapshot.payment.id,
            "other_payment",
        )?;
        let state = match chargeback.reversed_at {
            Some(_) => DisputeState::Won,
            None => DisputeState::Open,
        };
        let amount = money(&chargeback.amount.0)?;
        let entry = Dispute { amount, state };
        snapshot.disputes.insert(chargeback.id, entry);
        Ok(())
    }

    fn reference(&self, raw: &RawValue) -> Result<Option<Reference>, Unreadable> {
        let mut texts = Vec::new();
        for path in &self.rules.reference_paths {
            match json::text_at(raw, path)? {
                Some(text) => texts.push(text),
                None => texts.extend(self.within_text(raw, path)?),
            }
        }
        Ok(self.rules.reference(texts.iter().map(String::as_str)))
    }

    /// A path that goes on inside metadata which the shop wrote as the text of an object.
    fn within_text(&self, raw: &RawValue, path: &str) -> Result<Option<String>, Unreadable> {
        let Some(rest) = path.strip_prefix("metadata.") else {
            return Ok(None);
        };
        let text = json::text_at(raw, METADATA)?;
        Ok(text.and_then(|text| inside(&text, rest)))
    }
}

/// A field of metadata that is an object, or such an object as text.
fn text_in(metadata: &RawValue, path: &str) -> Option<String> {
    match json::text_at(metadata, path) {
        Ok(Some(text)) => Some(text),
        Ok(None) | Err(_) => {
            let text: String = serde_json::from_str(metadata.get()).ok()?;
            inside(&text, path)
        }
    }
}

/// What the shop wrote is its own affair: text that is no sound object says nothing.
fn inside(text: &str, path: &str) -> Option<String> {
    let raw: &RawValue = serde_json::from_str(text).ok()?;
    json::text_at(raw, path).ok().flatten()
}

/// What was taken from the payer so far.
fn taken(
    payment: &PaymentObject<'_>,
    asked: Money,
    embedded: Option<&Embedded<'_>>,
) -> Result<Money, Unreadable> {
    let is_paid = payment.status == "paid";
    let shown = optional(payment.amount_captured.as_ref().map(|it| &it.0))?;
    let mut captured = Money::zero(asked.currency());
    for raw in embedded
        .and_then(|it| it.captures.as_ref())
        .into_iter()
        .flatten()
    {
        let capture: CaptureObject = typed(raw.get().as_bytes(), "capture")?;
        expect(capture.payment_id == payment.id, "other_payment")?;
        if capture.status == "succeeded" {
            captured = captured.plus(money(&capture.amount.0)?)?;
        }
    }
    let said = match shown {
        Some(shown) => shown,
        None if is_paid => asked,
        None => Money::zero(asked.currency()),
    };
    expect(said.currency() == asked.currency(), "amounts_disagree")?;
    let taken = said.max(captured);
    expect(
        !is_paid || taken.is_positive() || asked.is_zero(),
        "amounts_disagree",
    )?;
    Ok(taken)
}

/// Refuses what contradicts itself, or is not about what was asked.
pub(super) fn expect(is_so: bool, code: &'static str) -> Result<(), Unreadable> {
    if is_so {
        Ok(())
    } else {
        Err(Unreadable {
            code,
            detail: "the answer contradicts itself, or is not about what was asked".to_owned(),
        })
    }
}

fn money(written: &Written) -> Result<Money, BadAmount> {
    amount::read(&written.value, &written.currency)
}

fn optional(written: Option<&Written>) -> Result<Option<Money>, BadAmount> {
    written.map(money).transpose()
}

fn is_method_word(word: &str) -> bool {
    !word.is_empty()
        && word.len() <= METHOD_BYTES_MAX
        && word.bytes().all(|byte| byte.is_ascii_graphic())
}

/// A status word that is not known says nothing.
fn progress(status: &str) -> Option<Progress> {
    match status {
        "open" => Some(Progress::Waiting),
        "pending" => Some(Progress::InFlight),
        "authorized" => Some(Progress::Authorised),
        "paid" => Some(Progress::Taken),
        "canceled" | "expired" | "failed" => Some(Progress::Dead),
        _ => None,
    }
}

/// How far a refund is, whether it waits for balance, whether it can still be cancelled. An
/// unknown word counts as going back and as too far to be cancelled.
fn refund_state(status: &str) -> (RefundState, bool, bool) {
    match status {
        "queued" => (RefundState::Pending, true, true),
        "pending" => (RefundState::Pending, false, true),
        "refunded" => (RefundState::Succeeded, false, false),
        "failed" | "canceled" => (RefundState::Failed, false, false),
        _ => (RefundState::Pending, false, false),
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

impl From<MoneyError> for Unreadable {
    fn from(error: MoneyError) -> Unreadable {
        Unreadable {
            code: "bad_amount",
            detail: error.to_string(),
        }
    }
}
