//! What the sandbox PSP keeps: payment intents, charges, refunds, disputes and events.
//!
//! Plain records in Stripe's own terms: amounts in the API's integers, moments in whole seconds.
//! Knows no endpoint and no story.

use crate::core::money::Currency;
use serde_json::Value;
use std::collections::BTreeMap;

/// Where a payment intent stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum IntentStatus {
    /// Waiting for the payer.
    RequiresPaymentMethod,
    /// Waiting for the bank.
    Processing,
    /// Authorised.
    RequiresCapture,
    /// Called off, or lapsed.
    Canceled,
    /// Paid.
    Succeeded,
}

impl IntentStatus {
    /// Stripe's word.
    pub fn word(self) -> &'static str {
        match self {
            IntentStatus::RequiresPaymentMethod => "requires_payment_method",
            IntentStatus::Processing => "processing",
            IntentStatus::RequiresCapture => "requires_capture",
            IntentStatus::Canceled => "canceled",
            IntentStatus::Succeeded => "succeeded",
        }
    }
}

/// A payment intent.
#[derive(Clone, Debug)]
pub struct Intent {
    /// Its id.
    pub id: String,
    /// When it was made.
    pub created: i64,
    /// What is asked for.
    pub amount: i64,
    /// In which currency.
    pub currency: Currency,
    /// How it stands.
    pub status: IntentStatus,
    /// True when capture is a step of its own.
    pub is_manual: bool,
    /// The shop's own notes; the order reference is one of them.
    pub metadata: BTreeMap<String, String>,
    /// Of the account's live mode.
    pub is_live: bool,
    /// Authorised and not captured.
    pub capturable: i64,
    /// The means of payment.
    pub method: String,
    /// When an authorisation lapses, where the means of payment says so.
    pub capture_before: Option<i64>,
    /// The last attempt to pay it.
    pub latest_charge: Option<String>,
    /// When it was called off.
    pub canceled_at: Option<i64>,
    /// Why.
    pub cancellation_reason: Option<String>,
    /// Why the last attempt failed.
    pub failure: Option<String>,
}

/// One attempt to take money.
#[derive(Clone, Debug)]
pub struct Charge {
    /// Its id.
    pub id: String,
    /// The payment it belongs to.
    pub intent: String,
    /// When it was made.
    pub created: i64,
    /// Authorised or taken.
    pub amount: i64,
    /// Taken.
    pub captured: i64,
    /// True when the attempt succeeded, at least in authorising.
    pub is_paid: bool,
    /// Disputed by the payer.
    pub is_disputed: bool,
}

/// Where a refund stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RefundStatus {
    /// Accepted, under way.
    Pending,
    /// Done, which may still turn into failed.
    Succeeded,
    /// The money came back to the shop's balance.
    Failed,
}

impl RefundStatus {
    /// Stripe's word.
    pub fn word(self) -> &'static str {
        match self {
            RefundStatus::Pending => "pending",
            RefundStatus::Succeeded => "succeeded",
            RefundStatus::Failed => "failed",
        }
    }
}

/// Money on its way back.
#[derive(Clone, Debug)]
pub struct Refund {
    /// Its id.
    pub id: String,
    /// The charge it refunds.
    pub charge: String,
    /// The payment it belongs to.
    pub intent: String,
    /// When it was made.
    pub created: i64,
    /// How much.
    pub amount: i64,
    /// How it stands.
    pub status: RefundStatus,
    /// The maker's notes.
    pub metadata: BTreeMap<String, String>,
    /// Why it was made.
    pub reason: Option<String>,
    /// Why it waits.
    pub pending_reason: Option<&'static str>,
    /// Why it failed.
    pub failure_reason: Option<String>,
    /// True when it was made in the dashboard, not through the API.
    pub is_by_staff: bool,
}

/// Where a dispute stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DisputeStatus {
    /// Open.
    NeedsResponse,
    /// The shop keeps the money.
    Won,
    /// The payer has the money.
    Lost,
}

impl DisputeStatus {
    /// Stripe's word.
    pub fn word(self) -> &'static str {
        match self {
            DisputeStatus::NeedsResponse => "needs_response",
            DisputeStatus::Won => "won",
            DisputeStatus::Lost => "lost",
        }
    }
}

/// A payer's complaint at the bank.
#[derive(Clone, Debug)]
pub struct Dispute {
    /// Its id.
    pub id: String,
    /// The disputed charge.
    pub charge: String,
    /// The payment it belongs to.
    pub intent: String,
    /// When it was opened.
    pub created: i64,
    /// How much.
    pub amount: i64,
    /// How it stands.
    pub status: DisputeStatus,
}

/// One thing that happened, as it was told.
#[derive(Clone, Debug)]
pub struct Event {
    /// Its id.
    pub id: String,
    /// When.
    pub created: i64,
    /// What.
    pub kind: String,
    /// The payment it is about.
    pub intent: String,
    /// Of the account's live mode.
    pub is_live: bool,
    /// The whole event.
    pub json: Value,
}

/// Everything the PSP has booked. Ids count up, so that their order is the order of making.
#[derive(Clone, Debug, Default)]
pub struct Records {
    /// Payment intents.
    pub intents: BTreeMap<String, Intent>,
    /// Charges.
    pub charges: BTreeMap<String, Charge>,
    /// Refunds.
    pub refunds: BTreeMap<String, Refund>,
    /// Disputes.
    pub disputes: BTreeMap<String, Dispute>,
    /// Events.
    pub events: BTreeMap<String, Event>,
    made: u64,
}

impl Records {
    /// A new id with this prefix.
    pub(super) fn new_id(&mut self, prefix: &str) -> String {
        self.made = self.made.saturating_add(1);
        format!("{prefix}_sandbox{:010}", self.made)
    }

    /// The payment's charges, oldest first.
    pub fn charges_of<'a>(&'a self, intent: &'a str) -> impl Iterator<Item = &'a Charge> {
        self.charges
            .values()
            .filter(move |charge| charge.intent == intent)
    }

    /// The charge's refunds, oldest first.
    pub fn refunds_of<'a>(&'a self, charge: &'a str) -> impl Iterator<Item = &'a Refund> {
        self.refunds
            .values()
            .filter(move |refund| refund.charge == charge)
    }

    /// Taken by this payment.
    pub fn received(&self, intent: &str) -> i64 {
        sum(self.charges_of(intent).map(|charge| charge.captured))
    }

    /// Gone back or going back of this charge.
    pub fn refunded(&self, charge: &str) -> i64 {
        let refunds = self.refunds_of(charge);
        let standing = refunds.filter(|refund| refund.status != RefundStatus::Failed);
        sum(standing.map(|refund| refund.amount))
    }

    /// The order reference on a payment.
    pub fn reference_of(&self, intent: &str) -> Option<String> {
        let metadata = &self.intents.get(intent)?.metadata;
        metadata.get("order_reference").cloned()
    }

    /// The payment that an id of any kind belongs to.
    pub(super) fn intent_of(&self, id: &str) -> Option<String> {
        let charge = self.charges.get(id).map(|charge| &charge.intent);
        let refund = self.refunds.get(id).map(|refund| &refund.intent);
        let dispute = self.disputes.get(id).map(|dispute| &dispute.intent);
        let found = charge.or(refund).or(dispute);
        found
            .cloned()
            .or_else(|| self.intents.contains_key(id).then(|| id.to_owned()))
    }
}

fn sum(amounts: impl Iterator<Item = i64>) -> i64 {
    amounts.fold(0, i64::saturating_add)
}
