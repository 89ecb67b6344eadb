//! A payment: what one PSP said about money that came, or may come, in.
//!
//! A snapshot is one source's statement at one moment; a `Payment` is the join of all of them.
//! Amounts taken only grow, "money taken" outranks "failed", refunds are a lattice of their own.
//! Nothing here knows orders, shops or decisions.

mod disputed;
mod doubt;
mod join;
mod named;
mod parts;

use super::ids::{ActionKey, ExternalRef, PaymentRef, Reference};
use super::lattice::Stamped;
use super::money::{Currency, Money, MoneyError};
use super::time::Time;
use parts::Parts;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// Where a snapshot came from, and so how much it may carry.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", tag = "source")]
pub enum Source {
    /// Only a name, and anybody may have said it: that it should be read is all it can mean.
    Hearsay,
    /// Only a name, from a sender whose word on anything else does not count: says nothing but
    /// that the payment should be read if it was not since `as_of`.
    Named,
    /// A delivery whose signature was checked. May lead to a confirm, never to a refund.
    Signed,
    /// A list or a single payment read with our own credentials, asked for at this moment.
    Read {
        /// When the request left; what it shows is at least this fresh.
        asked_at: Time,
    },
}

/// Whether a payment is ours to act on, decided from the configuration before any matching.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Ownership {
    /// Carries no reference of this shop on an account that serves others too.
    Unclaimed,
    /// Ours.
    Ours,
    /// Ours by reference, but the PSP account also serves another shop, and nothing on the
    /// payment says which: an unknown order proves nothing.
    Shared,
    /// Older than the account's `since`.
    BeforeSince,
    /// Of the other mode (test at a live account, or live at a test account).
    WrongMode,
    /// Of a kind that is not a checkout payment (a renewal, a transfer): never refunded by itself.
    UnknownKind,
}

/// How far a payment has come, apart from money taken, which the amounts say.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Progress {
    /// Created or waiting for the payer; may still succeed.
    Waiting,
    /// Under way at the bank; may still succeed or fail.
    InFlight,
    /// Authorised, not captured.
    Authorised,
    /// Fully taken.
    Taken,
    /// Failed, expired or cancelled for good at the PSP.
    Dead,
}

/// A refund's way at the PSP. Later states outrank earlier ones; `Failed` is last because a
/// refund that was reported succeeded can still fail.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum RefundState {
    /// Accepted, not yet paid out (also: waiting for balance).
    Pending,
    /// Paid out.
    Succeeded,
    /// Came to nothing: failed, cancelled or reversed; the money is not with the customer.
    Failed,
}

/// A dispute's way at the PSP.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum DisputeState {
    /// Open in any form, inquiries included: no refund may leave.
    Open,
    /// Decided for the shop: the money stays or came back.
    Won,
    /// Decided for the payer: the money is gone.
    Lost,
}

/// One refund as the PSP shows it, whoever asked for it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Refund {
    /// How much goes back.
    pub amount: Money,
    /// How far it is.
    pub state: RefundState,
    /// The key of our own decision, where the PSP shows our mark.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub mark: Option<ActionKey>,
    /// True while it waits for the shop's balance at the PSP.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub waits_for_balance: Option<Stamped<bool>>,
    /// True while the PSP would still let it be cancelled.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub may_be_cancelled: Option<Stamped<bool>>,
    /// Our clock when it was first seen failed; filled in by the payment, not by adapters.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub failed_at: Option<Time>,
}

impl Refund {
    /// A refund as a PSP shows it.
    pub fn new(amount: Money, state: RefundState, mark: Option<ActionKey>) -> Refund {
        Refund {
            amount,
            state,
            mark,
            waits_for_balance: None,
            may_be_cancelled: None,
            failed_at: None,
        }
    }

    fn seen_at(&self, observed_at: Time) -> Refund {
        let failed_at = (self.state == RefundState::Failed).then_some(observed_at);
        Refund {
            failed_at,
            ..self.clone()
        }
    }
}

/// One dispute or chargeback as the PSP shows it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Dispute {
    /// How much is disputed.
    pub amount: Money,
    /// How far it is.
    pub state: DisputeState,
}

/// One source's statement about one payment at one moment. Absent means "not said".
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct PaymentSnapshot {
    /// Which payment.
    pub payment: PaymentRef,
    /// The source's clock: the event's creation, or the moment we asked.
    pub as_of: Time,
    /// Our clock when it reached us.
    pub observed_at: Time,
    /// Signed or read.
    pub source: Source,
    /// Ours or not; absent when the snapshot does not show enough to tell.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ownership: Option<Ownership>,
    /// The order reference on the payment, shape checked.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reference: Option<Reference>,
    /// When the PSP made the payment.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub created_at: Option<Time>,
    /// The means of payment in the PSP's words (`ideal`, `card`).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub method: Option<String>,
    /// How far it is.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub progress: Option<Progress>,
    /// What the payer was asked for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub requested: Option<Money>,
    /// Held on the payer's means and still capturable.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub authorised: Option<Money>,
    /// When the authorisation lapses.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub authorised_until: Option<Time>,
    /// Taken from the payer so far, before refunds.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub captured: Option<Money>,
    /// Single captures, by the PSP's ids, where it gives no sum.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub captures: BTreeMap<ExternalRef, Money>,
    /// The PSP's own sum of refunds, pending ones included.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub refunded: Option<Money>,
    /// Refunds shown by this snapshot.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub refunds: BTreeMap<ExternalRef, Refund>,
    /// True when `refunds` is the whole list as of `source`.
    #[serde(default)]
    pub is_refund_list_whole: bool,
    /// Disputes shown by this snapshot.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub disputes: BTreeMap<ExternalRef, Dispute>,
    /// The PSP's bare "this payment is disputed" where it names no dispute.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub is_disputed: Option<bool>,
    /// False when this means of payment cannot be refunded through the PSP.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub is_refundable: Option<bool>,
}

impl PaymentSnapshot {
    /// A statement that says nothing yet; adapters fill in what they read.
    pub fn new(payment: PaymentRef, as_of: Time, observed_at: Time, source: Source) -> Self {
        PaymentSnapshot {
            payment,
            as_of,
            observed_at,
            source,
            ownership: None,
            reference: None,
            created_at: None,
            method: None,
            progress: None,
            requested: None,
            authorised: None,
            authorised_until: None,
            captured: None,
            captures: BTreeMap::new(),
            refunded: None,
            refunds: BTreeMap::new(),
            is_refund_list_whole: false,
            disputes: BTreeMap::new(),
            is_disputed: None,
            is_refundable: None,
        }
    }
}

/// How far a payment is, all statements taken together.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum PaymentStatus {
    /// Nobody has said yet; it must be read.
    Unknown,
    /// Waiting for the payer or the bank.
    Pending,
    /// Authorised, not captured.
    Authorised,
    /// Money was taken.
    Captured,
    /// Failed, expired or cancelled, and no money was taken.
    Failed,
}

/// Everything known about one payment: the join of all snapshots.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Payment {
    /// Our clock when we first heard of it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub first_seen_at: Option<Time>,
    /// Our clock when we first knew that money was taken or held.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub first_money_at: Option<Time>,
    /// The earliest moment as of which it was told, by the clock of whoever told: an event's
    /// creation, or when we asked. What an order cost then is what its customer agreed to.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub money_as_of: Option<Time>,
    /// When the last read that we asked for left.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub read_at: Option<Time>,
    /// The latest moment as of which it was named without being described.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub named_at: Option<Time>,
    /// The same by a sender that proved who it is.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub vouched_at: Option<Time>,
    /// Whether the last read that spoke of money taken showed any.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub shows_money: Option<Stamped<bool>>,
    /// Ours or not, as last judged.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ownership: Option<Stamped<Ownership>>,
    /// The reference it carries.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reference: Option<Stamped<Reference>>,
    /// When the PSP made it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub created_at: Option<Time>,
    /// The means of payment.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub method: Option<Stamped<String>>,
    /// How far it is, while it may still go both ways.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub progress: Option<Stamped<Progress>>,
    /// Set once the PSP said it is dead for good.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub died_at: Option<Time>,
    /// What the payer was asked for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub requested: Option<Stamped<Money>>,
    /// Held and still capturable.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub authorised: Option<Stamped<Money>>,
    /// When the authorisation lapses.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub authorised_until: Option<Time>,
    /// Taken, the most ever said, per currency (more than one is an anomaly that is held).
    pub captured: BTreeMap<Currency, i64>,
    /// Single captures by the PSP's ids; `captured` is never less than their sum.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub captures: Parts,
    /// The PSP's own sum of refunds.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub refunded: Option<Stamped<Money>>,
    /// Refunds by the PSP's id.
    pub refunds: BTreeMap<ExternalRef, Refund>,
    /// When the last read left that showed the whole list of refunds.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub refunds_listed_at: Option<Time>,
    /// Disputes by the PSP's id.
    pub disputes: BTreeMap<ExternalRef, Dispute>,
    /// The PSP's bare word on whether it is disputed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub is_disputed: Option<Stamped<bool>>,
    /// Whether it can be refunded through the PSP.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub is_refundable: Option<Stamped<bool>>,
}

impl Payment {
    /// What one snapshot alone says.
    pub fn from_snapshot(snapshot: &PaymentSnapshot) -> Payment {
        let at = snapshot.as_of;
        let (asked_at, named_at, vouched_at) = match snapshot.source {
            Source::Hearsay => (None, Some(at), None),
            Source::Named => (None, Some(at), Some(at)),
            Source::Signed => (None, None, None),
            Source::Read { asked_at } => (Some(asked_at), None, None),
        };
        let captures = parts::told(&snapshot.captures);
        let captured = parts::taken(snapshot.captured, &captures);
        let has_money = !captured.is_empty() || snapshot.authorised.is_some_and(Money::is_positive);
        let is_dead = snapshot.progress == Some(Progress::Dead);
        Payment {
            first_seen_at: Some(snapshot.observed_at),
            first_money_at: has_money.then_some(snapshot.observed_at),
            money_as_of: has_money.then_some(at),
            read_at: asked_at,
            named_at,
            vouched_at,
            shows_money: asked_at
                .zip(snapshot.captured)
                .map(|(at, captured)| Stamped::new(at, captured.is_positive())),
            ownership: snapshot.ownership.map(|value| Stamped::new(at, value)),
            reference: snapshot
                .reference
                .clone()
                .map(|value| Stamped::new(at, value)),
            created_at: snapshot.created_at,
            method: snapshot.method.clone().map(|value| Stamped::new(at, value)),
            progress: snapshot
                .progress
                .filter(|_| !is_dead)
                .map(|value| Stamped::new(at, value)),
            died_at: is_dead.then_some(at),
            requested: snapshot.requested.map(|value| Stamped::new(at, value)),
            authorised: snapshot.authorised.map(|value| Stamped::new(at, value)),
            authorised_until: snapshot.authorised_until,
            captured,
            captures,
            refunded: snapshot.refunded.map(|value| Stamped::new(at, value)),
            refunds: snapshot
                .refunds
                .iter()
                .map(|(id, refund)| (id.clone(), refund.seen_at(snapshot.observed_at)))
                .collect(),
            refunds_listed_at: asked_at.filter(|_| snapshot.is_refund_list_whole),
            disputes: snapshot.disputes.clone(),
            is_disputed: snapshot.is_disputed.map(|value| Stamped::new(at, value)),
            is_refundable: snapshot.is_refundable.map(|value| Stamped::new(at, value)),
        }
    }

    /// True when this says something else than `before`, apart from when it was said: a list
    /// that shows what is known already teaches nothing, nor does one that names what was read
    /// since.
    pub fn says_more_than(&self, before: &Payment) -> bool {
        self.without_clocks() != before.without_clocks()
    }

    fn without_clocks(&self) -> Payment {
        fn undated<T: Clone>(stamped: &Option<Stamped<T>>) -> Option<Stamped<T>> {
            stamped
                .as_ref()
                .map(|one| Stamped::new(Time::default(), one.value.clone()))
        }
        Payment {
            first_seen_at: None,
            read_at: None,
            named_at: self.named_at.filter(|_| self.is_named_unread()),
            // That somebody vouches for what only had a name is news, once.
            vouched_at: self
                .vouched_at
                .filter(|_| self.read_at.is_none())
                .map(|_| Time::default()),
            shows_money: undated(&self.shows_money),
            refunds_listed_at: None,
            ownership: undated(&self.ownership),
            reference: undated(&self.reference),
            method: undated(&self.method),
            progress: undated(&self.progress),
            died_at: self.died_at.map(|_| Time::default()),
            requested: undated(&self.requested),
            authorised: undated(&self.authorised),
            refunded: undated(&self.refunded),
            is_disputed: undated(&self.is_disputed),
            is_refundable: undated(&self.is_refundable),
            ..self.clone()
        }
    }

    /// How far it is, all statements taken together.
    pub fn status(&self) -> PaymentStatus {
        if !self.captured.is_empty() {
            return PaymentStatus::Captured;
        }
        let asks_for_nothing = self.requested.as_ref().is_some_and(|it| it.value.is_zero());
        if self.died_at.is_some() || asks_for_nothing {
            return PaymentStatus::Failed;
        }
        match self.progress.as_ref().map(|stamped| stamped.value) {
            None => PaymentStatus::Unknown,
            Some(Progress::Waiting | Progress::InFlight | Progress::Taken) => {
                PaymentStatus::Pending
            }
            Some(Progress::Authorised) => PaymentStatus::Authorised,
            Some(Progress::Dead) => PaymentStatus::Failed,
        }
    }

    /// The money taken, when it is in exactly one currency.
    pub fn captured(&self) -> Option<Money> {
        let mut amounts = self
            .captured
            .iter()
            .map(|(currency, minor)| Money::new(*minor, *currency));
        let first = amounts.next();
        if amounts.next().is_some() {
            None
        } else {
            first
        }
    }

    /// The money held and still capturable, while the payment is authorised.
    pub fn authorised(&self) -> Option<Money> {
        let amount = self.authorised.as_ref().map(|stamped| stamped.value);
        amount.filter(|money| self.status() == PaymentStatus::Authorised && money.is_positive())
    }

    /// Sums the refunds in one of these states, in the payment's currency.
    pub fn refunds_in(&self, wanted: impl Fn(RefundState) -> bool) -> Result<Money, MoneyError> {
        let currency = match self.captured() {
            Some(money) => money.currency(),
            None => return Ok(Money::zero(Currency::EUR)),
        };
        let chosen = self.refunds.values().filter(|refund| wanted(refund.state));
        chosen
            .map(|refund| refund.amount)
            .try_fold(Money::zero(currency), Money::plus)
    }

    /// Gone back or going back by the PSP's word: the listed refunds that have not failed, and
    /// never less than the PSP's own latest sum.
    pub fn returned_or_returning(&self) -> Result<Money, MoneyError> {
        let listed = self.refunds_in(|state| state != RefundState::Failed)?;
        match self.refunded.as_ref().map(|stamped| stamped.value) {
            Some(sum) if sum.currency() != listed.currency() => Err(MoneyError::CurrencyMismatch),
            Some(sum) if sum > listed => Ok(sum),
            Some(_) | None => Ok(listed),
        }
    }

    /// The refund that carries this mark of ours, if the PSP has shown one.
    pub fn refund_marked(&self, key: &ActionKey) -> Option<&Refund> {
        self.refunds
            .values()
            .find(|refund| refund.mark.as_ref() == Some(key))
    }
}
