//! One policy's course through a checkout's record, and how two courses compare.
//!
//! Decides at each recorded moment, at the policy's own wake-ups between two of them, and at the
//! end. Knows no store.

use super::Difference;
use crate::core::checkout::Checkout;
use crate::core::ids::PaymentRef;
use crate::core::money::{Currency, Money};
use crate::core::plan::{Action, ActionKind, Plan, Reason, Verdict};
use crate::core::policy::Policy;
use crate::core::time::{Span, Time};
use crate::store::CheckoutRow;
use std::collections::{BTreeMap, BTreeSet};

/// Wake-ups followed between two recorded moments; after them the last moment alone is decided.
const WAKE_UPS_MAX: u32 = 256;

/// A money action: a payment's part in a confirm, a refund, or a void.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Act {
    /// `Confirm`, `Refund` or `Void`.
    pub kind: ActionKind,
    /// Which payment.
    pub payment: PaymentRef,
    /// How much; none for a void.
    pub amount: Option<Money>,
}

/// What became of a checkout under one policy.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Outcome {
    /// Where it stands in the end.
    pub verdict: Verdict,
    /// Why.
    pub reason: Reason,
    /// The money actions wanted on the way.
    pub acts: Vec<Act>,
    /// Money neither settled nor back in the end.
    pub in_suspense: Vec<Money>,
}

/// One policy's way through the record.
pub(super) struct Course<'p> {
    policy: &'p Policy,
    /// Each money action, with the moment at which it was first due.
    acts: BTreeMap<Act, Time>,
    /// Where it stood, from which moment on.
    stands: Vec<(Time, (Verdict, Reason))>,
    end: Option<Plan>,
    /// The policy once decided otherwise than was recorded.
    pub(super) is_unlike_recorded: bool,
}

impl<'p> Course<'p> {
    pub(super) fn new(policy: &'p Policy) -> Course<'p> {
        Course {
            policy,
            acts: BTreeMap::new(),
            stands: Vec::new(),
            end: None,
            is_unlike_recorded: false,
        }
    }

    /// Decides at `from` and at every own wake-up before `until`, with nothing new learned.
    pub(super) fn live(&mut self, checkout: &Checkout, from: Time, until: Time) {
        let mut at = from;
        for _ in 0..WAKE_UPS_MAX {
            let plan = self.decide(checkout, at, until);
            match plan.wake_at.filter(|wake| *wake > at && *wake < until) {
                Some(wake) => at = wake,
                None => return,
            }
        }
        let last = until.minus(Span::from_micros(1)).max(at);
        self.decide(checkout, last, until);
    }

    /// Decides at the end of the record.
    pub(super) fn end(&mut self, checkout: &Checkout, at: Time) {
        let plan = self.decide(checkout, at, at);
        self.end = Some(plan);
    }

    /// Remembers when the policy says something else than the record at this moment.
    pub(super) fn hold_against(
        &mut self,
        checkout: &Checkout,
        at: Time,
        decided: (Verdict, Reason),
    ) {
        let plan = checkout.reconcile(at, self.policy);
        self.is_unlike_recorded |= (plan.verdict, plan.reason) != decided;
    }

    fn decide(&mut self, checkout: &Checkout, at: Time, until: Time) -> Plan {
        let plan = checkout.reconcile(at, self.policy);
        let stand = (plan.verdict, plan.reason);
        if self.stands.last().map(|(_, stand)| *stand) != Some(stand) {
            self.stands.push((at, stand));
        }
        // An action that is due only after the next fact was never carried out like this.
        let due = plan.actions.iter();
        for planned in due.filter(|planned| planned.due <= at || planned.due < until) {
            for act in acts_of(&planned.action) {
                self.acts.entry(act).or_insert(planned.due.max(at));
            }
        }
        plan
    }

    fn stood_at(&self, at: Time) -> Option<(Verdict, Reason)> {
        let so_far = self.stands.iter().take_while(|(since, _)| *since <= at);
        so_far.last().map(|(_, stand)| *stand)
    }

    fn outcome(&self) -> Option<Outcome> {
        let plan = self.end.as_ref()?;
        Some(Outcome {
            verdict: plan.verdict,
            reason: plan.reason,
            acts: self.acts.keys().cloned().collect(),
            in_suspense: plan.in_suspense.clone(),
        })
    }

    /// The money actions that this course wanted and the other one never did.
    fn alone<'a>(&'a self, other: &'a Course<'_>) -> impl Iterator<Item = (&'a Act, Time)> {
        let mine = self.acts.iter().map(|(act, at)| (act, *at));
        mine.filter(|(act, _)| !other.acts.contains_key(*act))
    }
}

fn acts_of(action: &Action) -> Vec<Act> {
    let kind = action.kind();
    match action {
        Action::Confirm { payments, .. } => {
            let parts = payments.iter().map(|part| Act {
                kind,
                payment: part.payment.clone(),
                amount: Some(part.amount),
            });
            parts.collect()
        }
        Action::Refund {
            payment, amount, ..
        }
        | Action::CancelRefund {
            payment, amount, ..
        } => vec![Act {
            kind,
            payment: payment.clone(),
            amount: Some(*amount),
        }],
        Action::Void { payment, .. } => vec![Act {
            kind,
            payment: payment.clone(),
            amount: None,
        }],
        Action::LookUp { .. }
        | Action::Release { .. }
        | Action::Fetch { .. }
        | Action::Notify { .. } => Vec::new(),
    }
}

/// The difference between two courses, if there is one.
pub(super) fn compare(
    row: &CheckoutRow,
    old: &Course<'_>,
    new: &Course<'_>,
    checkout: &Checkout,
) -> Option<Difference> {
    let (then, now) = (old.outcome()?, new.outcome()?);
    let ends_alike = (then.verdict, then.reason) == (now.verdict, now.reason);
    let apart: Vec<(&Act, Time)> = old.alone(new).chain(new.alone(old)).collect();
    if ends_alike && apart.is_empty() {
        return None;
    }
    let stood_ahead = |mine: &Course<'_>, other: &Course<'_>| {
        let mut alone = mine.alone(other);
        alone.all(|(act, at)| leads_to(act.kind, other.stood_at(at)))
    };
    let is_only_later = ends_alike && stood_ahead(old, new) && stood_ahead(new, old);
    let at_stake = at_stake(&apart, (&then, &now), checkout);
    Some(Difference {
        checkout: row.id.clone(),
        shop: row.shop.clone(),
        reference: row.reference.clone(),
        parts_at: parts_at(old, new, &apart),
        is_only_later,
        at_stake,
        old: then,
        new: now,
    })
}

/// True for a verdict under which this kind of action still comes.
fn leads_to(kind: ActionKind, stood: Option<(Verdict, Reason)>) -> bool {
    let gives_back = kind.gives_money_back();
    match stood.map(|(verdict, _)| verdict) {
        Some(Verdict::Releasing | Verdict::Refunding) => gives_back,
        Some(Verdict::Matching | Verdict::Confirming) => !gives_back,
        Some(
            Verdict::Open
            | Verdict::Settled
            | Verdict::Returned
            | Verdict::Held
            | Verdict::Closed
            | Verdict::Foreign,
        )
        | None => false,
    }
}

/// The first moment at which one stands elsewhere than the other, or wants what it does not.
fn parts_at(old: &Course<'_>, new: &Course<'_>, apart: &[(&Act, Time)]) -> Time {
    let stands = old.stands.iter().chain(&new.stands).map(|(at, _)| *at);
    let elsewhere = stands.filter(|at| old.stood_at(*at) != new.stood_at(*at));
    let acts = apart.iter().map(|(_, at)| *at);
    elsewhere.chain(acts).min().unwrap_or_default()
}

fn at_stake(
    apart: &[(&Act, Time)],
    (then, now): (&Outcome, &Outcome),
    checkout: &Checkout,
) -> Vec<Money> {
    let mut sums: BTreeMap<Currency, i64> = BTreeMap::new();
    if apart.is_empty() {
        for money in then.in_suspense.iter().chain(&now.in_suspense) {
            let sum = sums.entry(money.currency()).or_insert(0);
            *sum = (*sum).max(money.minor());
        }
    }
    let mut by_payment: BTreeMap<&PaymentRef, BTreeSet<Money>> = BTreeMap::new();
    for (act, _) in apart {
        let authorised = || {
            let state = checkout.payments.get(&act.payment);
            state.and_then(|state| state.authorised.as_ref().map(|stamped| stamped.value))
        };
        let amounts = by_payment.entry(&act.payment).or_default();
        amounts.extend(act.amount.or_else(authorised));
    }
    for greatest in by_payment.values().filter_map(BTreeSet::last) {
        let sum = sums.entry(greatest.currency()).or_insert(0);
        *sum = sum.saturating_add(greatest.minor());
    }
    let moneys = sums.into_iter().filter(|(_, minor)| *minor != 0);
    moneys
        .map(|(currency, minor)| Money::new(minor, currency))
        .collect()
}

/// The verdicts that a course went through, for tests.
#[cfg(test)]
pub(super) fn verdicts_of(course: &Course<'_>) -> Vec<Verdict> {
    let mut verdicts: Vec<Verdict> = course.stands.iter().map(|(_, (one, _))| *one).collect();
    verdicts.dedup();
    verdicts
}
