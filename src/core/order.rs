//! An order: what a shop owes, and every word the shop said about it.
//!
//! A statement is one word at one moment; an `Order` is the join of all of them, of which the
//! last ones are kept. Nothing here knows payments beyond their names, or decisions.

use super::ids::{PaymentRef, Reference};
use super::lattice::{Join, Stamped, keep_ends, keep_last, keep_max, keep_min};
use super::money::Money;
use super::time::{Span, Time};
use serde::{Deserialize, Serialize};
use std::collections::BTreeSet;

/// Statements kept per order and per way in which they came, so that many answers of one kind
/// never push out the few of another; the latest ones decide, older ones are in the journal.
pub const STATEMENTS_MAX: usize = 16;
/// Different amounts kept per order, each with when it was first and last said.
pub const AMOUNTS_MAX: usize = 16;
/// Payments a shop may name as started for one order.
pub const CLAIMS_MAX: usize = 64;

/// How an order stands, in the shop's own words.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum OrderStatus {
    /// No such order.
    Unknown,
    /// Not paid yet, or "not yet, ask again".
    Pending,
    /// Given up: will not be delivered.
    Cancelled,
    /// Paid and accepted.
    Confirmed,
}

impl OrderStatus {
    /// True while the shop may still deliver, or will.
    pub fn is_alive(self) -> bool {
        match self {
            OrderStatus::Pending | OrderStatus::Confirmed => true,
            OrderStatus::Unknown | OrderStatus::Cancelled => false,
        }
    }
}

/// Which of our questions, or which of the shop's own messages, a statement came with.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Via {
    /// The shop told us by itself.
    Event,
    /// Answer to `order.lookup`.
    LookUp,
    /// Answer to `order.confirm`.
    Confirm,
    /// Answer to `order.release`.
    Release,
}

impl Via {
    /// Every way.
    pub const ALL: [Via; 4] = [Via::Event, Via::LookUp, Via::Confirm, Via::Release];
}

/// One word of the shop about one order.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Statement {
    /// The source's clock, never later than our own when it reached us. First, so that
    /// statements sort by time.
    pub as_of: Time,
    /// When our question left; absent for the shop's own messages.
    pub asked_at: Option<Time>,
    /// What it came with.
    pub via: Via,
    /// How the order stands.
    pub status: OrderStatus,
    /// The payments the shop counts as having paid it.
    #[serde(default, skip_serializing_if = "BTreeSet::is_empty")]
    pub paid_by: BTreeSet<PaymentRef>,
    /// True when goods left or a service was given.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub is_fulfilled: Option<bool>,
    /// The shop's reason, for people.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
    /// The shop asks not to be asked again before this long.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub retry_after: Option<Span>,
    /// Which look brought it, counted from 1; absent for what came otherwise. Looks leave one after
    /// the other, so this number orders what two daemons' clocks may not.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub look: Option<u32>,
}

/// What a shop says of an order's money beyond what is owed. Absent means "not said".
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Terms {
    /// What means cover that no PSP account here sees: a gift card, points, cash.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub paid_otherwise: Option<Money>,
    /// What of a confirmed order cannot be delivered, in all: its money goes back.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub give_back: Option<Money>,
}

impl Terms {
    /// True when nothing is said.
    fn is_silent(&self) -> bool {
        *self == Terms::default()
    }
}

/// What one message or answer of the shop says about one order. Absent means "not said".
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct OrderSnapshot {
    /// Which order.
    pub reference: Reference,
    /// The source's clock, clamped to ours.
    pub as_of: Time,
    /// Our clock when it reached us.
    pub observed_at: Time,
    /// How it stands, if said.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub statement: Option<Statement>,
    /// What is owed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub amount: Option<Money>,
    /// What else is said of its money.
    #[serde(default, skip_serializing_if = "Terms::is_silent")]
    pub terms: Terms,
    /// When the shop gives it up if unpaid.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub expires_at: Option<Time>,
    /// When the shop made the order.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub created_at: Option<Time>,
    /// Payments the shop started for it.
    #[serde(default, skip_serializing_if = "BTreeSet::is_empty")]
    pub claims: BTreeSet<PaymentRef>,
    /// The customer's language, for notices.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub locale: Option<String>,
    /// Who ordered, as a mark that says nothing of the person: equal for the same customer.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub customer: Option<String>,
}

/// Everything known about an order: the join of all snapshots.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Order {
    /// The shop's latest statements, oldest first.
    pub statements: BTreeSet<Statement>,
    /// Amounts owed, by the moment they were said.
    pub amounts: BTreeSet<Stamped<Money>>,
    /// What means cover that no PSP account here sees, as last said.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub paid_otherwise: Option<Stamped<Money>>,
    /// What cannot be delivered, in all, by the moment it was said.
    #[serde(default, skip_serializing_if = "BTreeSet::is_empty")]
    pub give_back: BTreeSet<Stamped<Money>>,
    /// When the shop gives it up if unpaid.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub expires_at: Option<Stamped<Time>>,
    /// When the shop made the order, by its latest word: after a migration the same number may
    /// name another order.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub created_at: Option<Stamped<Time>>,
    /// Payments the shop started for it.
    pub claims: BTreeSet<PaymentRef>,
    /// The customer's language.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub locale: Option<Stamped<String>>,
    /// Who ordered, as a mark. Nothing is decided by it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub customer: Option<Stamped<String>>,
    /// When the shop last answered any question about this order.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub last_answer_at: Option<Time>,
    /// When a question about this order last failed to get an answer.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub last_failure_at: Option<Time>,
    /// Our clock when the shop first spoke of the order.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub first_heard_at: Option<Time>,
    /// When the shop last said `pending` or `confirmed`, by the statement's own clock. Outlives
    /// the statements, so that a `no` from before it never counts as one from after.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub last_alive_at: Option<Time>,
    /// When the shop last said `confirmed`, by the statement's own clock.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub last_confirmed_at: Option<Time>,
}

impl Order {
    /// What one snapshot alone says.
    pub fn from_snapshot(snapshot: &OrderSnapshot) -> Order {
        let at = snapshot.as_of;
        let answered = snapshot
            .statement
            .as_ref()
            .is_some_and(|said| said.via != Via::Event);
        let said_at = |counts: fn(OrderStatus) -> bool| {
            let said = snapshot.statement.as_ref();
            said.filter(|said| counts(said.status))
                .map(|said| said.as_of)
        };
        Order {
            statements: snapshot.statement.iter().cloned().collect(),
            amounts: snapshot
                .amount
                .iter()
                .map(|amount| Stamped::new(at, *amount))
                .collect(),
            paid_otherwise: snapshot.terms.paid_otherwise.map(|it| Stamped::new(at, it)),
            give_back: snapshot
                .terms
                .give_back
                .map(|it| Stamped::new(at, it))
                .into_iter()
                .collect(),
            expires_at: snapshot.expires_at.map(|value| Stamped::new(at, value)),
            created_at: snapshot.created_at.map(|value| Stamped::new(at, value)),
            claims: snapshot.claims.clone(),
            locale: snapshot.locale.clone().map(|value| Stamped::new(at, value)),
            customer: snapshot.customer.clone().map(|mark| Stamped::new(at, mark)),
            last_answer_at: answered.then_some(snapshot.observed_at),
            last_failure_at: None,
            first_heard_at: Some(snapshot.observed_at),
            last_alive_at: said_at(OrderStatus::is_alive),
            last_confirmed_at: said_at(|status| status == OrderStatus::Confirmed),
        }
    }

    /// The shop's latest word.
    pub fn latest(&self) -> Option<&Statement> {
        self.statements.last()
    }

    /// The shop's latest word on how the order stands.
    pub fn status(&self) -> Option<OrderStatus> {
        self.latest().map(|statement| statement.status)
    }

    /// True once the shop has told us of the order: by an event, or by an answer other than
    /// `unknown`.
    pub fn is_known(&self) -> bool {
        let said = self
            .statements
            .iter()
            .any(|said| said.status != OrderStatus::Unknown);
        said || !self.amounts.is_empty() || self.expires_at.is_some() || !self.claims.is_empty()
    }

    /// The unbroken run of `unknown` answers at the end: first and last, by when they were said.
    pub fn unknown_run(&self) -> Option<(Time, Time)> {
        let mut run = self
            .statements
            .iter()
            .rev()
            .take_while(|said| said.status == OrderStatus::Unknown && said.via != Via::Event)
            .take_while(|said| Some(said.as_of) > self.last_alive_at)
            .map(|said| said.as_of);
        let last = run.next()?;
        Some((run.last().unwrap_or(last), last))
    }

    /// The unbroken run of `cancelled` and `unknown` at the end, latest first.
    pub fn given_up_run(&self) -> impl Iterator<Item = &Statement> {
        self.statements
            .iter()
            .rev()
            .take_while(|said| !said.status.is_alive())
            .take_while(|said| Some(said.as_of) > self.last_alive_at)
    }

    /// The amount in force at a moment: the latest said by then, else the first ever said.
    pub fn amount_at(&self, moment: Time) -> Option<Money> {
        let by_then = self.amounts.iter().rev().find(|said| said.as_of <= moment);
        by_then
            .or_else(|| self.amounts.first())
            .map(|said| said.value)
    }

    /// What other means cover, by the latest word; none when nothing does.
    pub fn covered(&self) -> Option<Money> {
        let said = self.paid_otherwise.as_ref().map(|said| said.value);
        said.filter(|money| money.is_positive())
    }

    /// What the shop wants to go back of a confirmed order, by its latest word; none for nothing.
    pub fn share_to_return(&self) -> Option<Money> {
        let said = self.give_back.last().map(|said| said.value);
        said.filter(|money| money.is_positive())
    }

    /// Since when the shop has wanted that share back.
    pub fn share_named_at(&self) -> Option<Time> {
        let latest = self.give_back.last()?.value;
        let others = self.give_back.iter().rev();
        let changed = others.clone().find(|said| said.value != latest);
        let same = self.give_back.iter().filter(|said| said.value == latest);
        let mut since = same.map(|said| said.as_of);
        let since = since.find(|at| Some(*at) >= changed.map(|said| said.as_of));
        since.or(changed.map(|said| said.as_of))
    }

    /// The latest amount.
    pub fn amount(&self) -> Option<Money> {
        self.amounts.last().map(|said| said.value)
    }

    /// True when the last thing that happened with the shop was a failure to answer.
    pub fn is_shop_silent(&self) -> bool {
        self.last_failure_at > self.last_answer_at
    }
}

impl Join for Order {
    fn join(&mut self, other: &Order) {
        self.join_statements(&other.statements);
        keep_ends(&mut self.amounts, &other.amounts, AMOUNTS_MAX);
        keep_max(&mut self.paid_otherwise, &other.paid_otherwise);
        keep_ends(&mut self.give_back, &other.give_back, AMOUNTS_MAX);
        keep_max(&mut self.expires_at, &other.expires_at);
        keep_max(&mut self.created_at, &other.created_at);
        keep_last(&mut self.claims, &other.claims, CLAIMS_MAX);
        keep_max(&mut self.locale, &other.locale);
        keep_max(&mut self.customer, &other.customer);
        keep_max(&mut self.last_answer_at, &other.last_answer_at);
        keep_max(&mut self.last_failure_at, &other.last_failure_at);
        keep_min(&mut self.first_heard_at, &other.first_heard_at);
        keep_max(&mut self.last_alive_at, &other.last_alive_at);
        keep_max(&mut self.last_confirmed_at, &other.last_confirmed_at);
    }
}

impl Order {
    /// Keeps the latest statements of each way.
    fn join_statements(&mut self, other: &BTreeSet<Statement>) {
        self.statements.extend(other.iter().cloned());
        for via in Via::ALL {
            let of_this_way = self.statements.iter().filter(|said| said.via == via);
            let surplus = of_this_way.count().saturating_sub(STATEMENTS_MAX);
            let oldest: Vec<Statement> = self
                .statements
                .iter()
                .filter(|said| said.via == via)
                .take(surplus)
                .cloned()
                .collect();
            for statement in oldest {
                self.statements.remove(&statement);
            }
        }
    }
}
