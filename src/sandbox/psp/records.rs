//! What the sandbox PSP keeps: payments, attempts to take their money, captures, refunds,
//! disputes, and what was told of them.
//!
//! Plain records in no PSP's words: amounts in minor units, moments in whole seconds. A dialect
//! gives them its ids and shows them. Knows no endpoint and no story.

use super::ledger::Told;
use crate::core::money::Currency;
use std::collections::BTreeMap;

/// The note that names the order.
pub const ORDER_REFERENCE: &str = "order_reference";

/// Where a payment stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PaymentStatus {
    /// Waiting for the payer; after an attempt that failed, too (see `Payment::failure`).
    Open,
    /// Waiting for the bank.
    Processing,
    /// Held on the payer's means, at least in part.
    Authorised,
    /// Taken.
    Paid,
    /// Called off, or released.
    Cancelled,
    /// Lapsed.
    Expired,
}

impl PaymentStatus {
    /// In words.
    pub fn word(self) -> &'static str {
        match self {
            PaymentStatus::Open => "open",
            PaymentStatus::Processing => "processing",
            PaymentStatus::Authorised => "authorised",
            PaymentStatus::Paid => "paid",
            PaymentStatus::Cancelled => "cancelled",
            PaymentStatus::Expired => "expired",
        }
    }
}

/// A payment.
#[derive(Clone, Debug)]
pub struct Payment {
    /// Its id.
    pub id: String,
    /// When it was made.
    pub created: i64,
    /// What is asked for.
    pub amount: i64,
    /// In which currency.
    pub currency: Currency,
    /// How it stands.
    pub status: PaymentStatus,
    /// True when capture is a step of its own.
    pub is_manual: bool,
    /// The shop's own notes; the order reference is one of them.
    pub metadata: BTreeMap<String, String>,
    /// Of the account's live mode.
    pub is_live: bool,
    /// Held on the payer's means and not taken.
    pub held: i64,
    /// The means of payment: `ideal` or `card`.
    pub method: String,
    /// When an authorisation lapses, where the means of payment says so.
    pub capture_before: Option<i64>,
    /// The last attempt to pay it.
    pub latest_charge: Option<String>,
    /// When it was called off or lapsed.
    pub ended_at: Option<i64>,
    /// Why it was called off, by the caller's word.
    pub end_reason: Option<String>,
    /// Why the last attempt failed.
    pub failure: Option<String>,
}

impl Payment {
    /// The order reference on it.
    pub fn reference(&self) -> Option<&str> {
        self.metadata.get(ORDER_REFERENCE).map(String::as_str)
    }
}

/// One attempt to take a payment's money.
#[derive(Clone, Debug)]
pub struct Charge {
    /// Its id.
    pub id: String,
    /// The payment it belongs to.
    pub payment: String,
    /// When it was made.
    pub created: i64,
    /// Authorised or taken.
    pub amount: i64,
    /// Taken: the sum of its captures.
    pub captured: i64,
    /// True when the attempt succeeded, at least in authorising.
    pub is_paid: bool,
    /// Disputed by the payer.
    pub is_disputed: bool,
}

/// Money taken at one moment.
#[derive(Clone, Debug)]
pub struct Capture {
    /// Its id.
    pub id: String,
    /// The payment it belongs to.
    pub payment: String,
    /// The attempt it belongs to.
    pub charge: String,
    /// When it was taken.
    pub created: i64,
    /// How much.
    pub amount: i64,
}

/// Where a refund stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RefundStatus {
    /// Accepted, under way.
    Pending,
    /// Accepted, and waiting for the account's balance.
    Waiting,
    /// Done, which may still turn into failed.
    Succeeded,
    /// The money came back to the shop's balance.
    Failed,
    /// Called off before it left.
    Cancelled,
    /// Done, and then sent back by the payer's bank.
    Reversed,
}

impl RefundStatus {
    /// In words.
    pub fn word(self) -> &'static str {
        match self {
            RefundStatus::Pending => "pending",
            RefundStatus::Waiting => "waiting",
            RefundStatus::Succeeded => "succeeded",
            RefundStatus::Failed => "failed",
            RefundStatus::Cancelled => "cancelled",
            RefundStatus::Reversed => "reversed",
        }
    }

    /// True while the money is gone or going.
    pub fn stands(self) -> bool {
        match self {
            RefundStatus::Pending | RefundStatus::Waiting | RefundStatus::Succeeded => true,
            RefundStatus::Failed | RefundStatus::Cancelled | RefundStatus::Reversed => false,
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
    pub payment: String,
    /// When it was made.
    pub created: i64,
    /// How much.
    pub amount: i64,
    /// How it stands.
    pub status: RefundStatus,
    /// The maker's notes and references; a mark is one of their values.
    pub metadata: BTreeMap<String, String>,
    /// Why it was made.
    pub reason: Option<String>,
    /// True when it was made in the dashboard, not through the API.
    pub is_by_staff: bool,
}

impl Refund {
    /// True when its maker marked it with this.
    pub fn carries(&self, mark: &str) -> bool {
        self.metadata.values().any(|value| value == mark)
    }
}

/// Where a dispute stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DisputeStatus {
    /// Not decided.
    Open,
    /// The shop keeps the money.
    Won,
    /// The payer has the money.
    Lost,
}

/// A payer's complaint at the bank.
#[derive(Clone, Debug)]
pub struct Dispute {
    /// Its id.
    pub id: String,
    /// The disputed charge.
    pub charge: String,
    /// The payment it belongs to.
    pub payment: String,
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
    /// Its id; the PSP's own when it gives events ids, else the sandbox's.
    pub id: String,
    /// When.
    pub created: i64,
    /// The PSP's own word for it.
    pub kind: String,
    /// What it tells; none when it only says in other words what another event tells.
    pub told: Option<Told>,
    /// The payment it is about.
    pub payment: String,
    /// Of the account's live mode.
    pub is_live: bool,
    /// The message, unsigned.
    pub body: Vec<u8>,
}

/// Everything the PSP has booked. Ids of charges, captures, refunds, disputes and events count
/// up, so that their order is the order of making.
#[derive(Clone, Debug, Default)]
pub struct Records {
    /// Payments.
    pub payments: BTreeMap<String, Payment>,
    /// Attempts.
    pub charges: BTreeMap<String, Charge>,
    /// Captures.
    pub captures: BTreeMap<String, Capture>,
    /// Refunds.
    pub refunds: BTreeMap<String, Refund>,
    /// Disputes.
    pub disputes: BTreeMap<String, Dispute>,
    /// Events.
    pub events: BTreeMap<String, Event>,
}

impl Records {
    /// The payment's charges, oldest first.
    pub fn charges_of<'a>(&'a self, payment: &'a str) -> impl Iterator<Item = &'a Charge> {
        self.charges
            .values()
            .filter(move |charge| charge.payment == payment)
    }

    /// The payment's captures, oldest first.
    pub fn captures_of<'a>(&'a self, payment: &'a str) -> impl Iterator<Item = &'a Capture> {
        self.captures
            .values()
            .filter(move |capture| capture.payment == payment)
    }

    /// The charge's refunds, oldest first.
    pub fn refunds_of<'a>(&'a self, charge: &'a str) -> impl Iterator<Item = &'a Refund> {
        self.refunds
            .values()
            .filter(move |refund| refund.charge == charge)
    }

    /// The payment's refunds, oldest first.
    pub fn refunds_for<'a>(&'a self, payment: &'a str) -> impl Iterator<Item = &'a Refund> {
        self.refunds
            .values()
            .filter(move |refund| refund.payment == payment)
    }

    /// Taken by this payment.
    pub fn received(&self, payment: &str) -> i64 {
        sum(self.charges_of(payment).map(|charge| charge.captured))
    }

    /// Gone back or going back of this charge.
    pub fn refunded(&self, charge: &str) -> i64 {
        let standing = self.refunds_of(charge).filter(|one| one.status.stands());
        sum(standing.map(|refund| refund.amount))
    }

    /// Gone back or going back of this payment.
    pub fn refunded_for(&self, payment: &str) -> i64 {
        let standing = self.refunds_for(payment).filter(|one| one.status.stands());
        sum(standing.map(|refund| refund.amount))
    }

    /// The order reference on a payment.
    pub fn reference_of(&self, payment: &str) -> Option<String> {
        let reference = self.payments.get(payment)?.reference();
        reference.map(str::to_owned)
    }

    /// True when this payment was called off or released.
    pub fn is_cancelled(&self, payment: &str) -> bool {
        let payment = self.payments.get(payment);
        payment.is_some_and(|payment| payment.status == PaymentStatus::Cancelled)
    }

    /// The payment that an id of any kind belongs to.
    pub fn payment_of(&self, id: &str) -> Option<String> {
        let charge = self.charges.get(id).map(|charge| &charge.payment);
        let capture = self.captures.get(id).map(|capture| &capture.payment);
        let refund = self.refunds.get(id).map(|refund| &refund.payment);
        let dispute = self.disputes.get(id).map(|dispute| &dispute.payment);
        let found = charge.or(capture).or(refund).or(dispute);
        found
            .cloned()
            .or_else(|| self.payments.contains_key(id).then(|| id.to_owned()))
    }

    /// What calls about this id are about: the order reference of its payment, the payment when
    /// it names none, or the id itself when nothing is known of it.
    pub fn subject_of(&self, id: &str) -> String {
        match self.payment_of(id) {
            Some(payment) => self.reference_of(&payment).unwrap_or(payment),
            None => id.to_owned(),
        }
    }
}

fn sum(amounts: impl Iterator<Item = i64>) -> i64 {
    amounts.fold(0, i64::saturating_add)
}
