//! From a checkout that learned something to its part of a commit.
//!
//! Reconciles, checks the promises, and writes down what was learned and decided. A plan that
//! would break a promise is never committed: the checkout is set aside as held instead.

use super::workspace::Working;
use crate::core::checkout::Checkout;
use crate::core::fact::Fact;
use crate::core::ids::{ActionKey, CheckoutRef};
use crate::core::invariants;
use crate::core::order::{OrderStatus, Via};
use crate::core::payment::{Ownership, Payment, PaymentStatus};
use crate::core::plan::{Decision, Plan, Reason, Verdict};
use crate::core::policy::Policy;
use crate::core::time::Time;
use crate::store::{CheckoutCommit, CheckoutRow, JournalEntry, Sighting, Tally, TallyKind};

/// What became of one checkout in a batch.
pub(super) struct Decided {
    pub(super) commit: CheckoutCommit,
    pub(super) tallies: Vec<Tally>,
    /// What the order is recognised by, where that changed.
    pub(super) sighted: Option<(CheckoutRef, Option<Sighting>)>,
    /// The promise that a plan would have broken, if one would.
    pub(super) breach: Option<invariants::Breach>,
}

/// How a plan is made: the core's `reconcile`, which tests may replace by one that errs.
pub(super) type Planner = fn(&Checkout, Time, &Policy) -> Plan;

/// The rules for one checkout.
#[derive(Clone, Copy)]
pub(super) struct Rules<'a> {
    pub(super) plan: Planner,
    pub(super) policy: &'a Policy,
}

/// Decides one checkout. None when nothing was learned and nothing would change.
pub(super) fn decide(
    working: &mut Working,
    released: Vec<(ActionKey, String)>,
    rules: Rules<'_>,
    now: Time,
) -> Result<Option<Decided>, serde_json::Error> {
    let mut plan = (rules.plan)(&working.checkout, now, rules.policy);
    let breach = invariants::check(&working.checkout, &plan, now, rules.policy).err();
    if let Some(breach) = &breach {
        plan = set_aside(working, breach, plan, rules, now);
    }
    if working.facts.is_empty() && released.is_empty() && is_as_stored(working, &plan, now) {
        return Ok(None);
    }
    let tallies = count(&working.before, &working.checkout, now);
    let stood = working.row.as_ref().map(|row| (row.verdict, row.reason));
    let was = stood.and_then(|standing| sighting(&working.before, standing));
    let is = sighting(&working.checkout, (plan.verdict, plan.reason));
    let commit = write_down(working, plan, released, now)?;
    let named = commit.row.named();
    Ok(Some(Decided {
        commit,
        tallies,
        sighted: (was != is).then_some((named, is)),
        breach,
    }))
}

/// The plan of a checkout whose own plan would break a promise: held, and nothing done.
fn set_aside(
    working: &mut Working,
    breach: &invariants::Breach,
    broken: Plan,
    rules: Rules<'_>,
    now: Time,
) -> Plan {
    // A ruling takes a checkout up again when it is later. One that a clock running ahead stamped
    // must not let the broken plan through.
    let ruled_at = working.checkout.ruling().map_or(now, |ruling| ruling.at);
    let fact = Fact::Parked {
        at: now.max(ruled_at),
        why: format!("{}: {}", breach.promise, breach.detail),
    };
    working.checkout.observe(&fact);
    working.facts.push(fact);
    let held = (rules.plan)(&working.checkout, now, rules.policy);
    let keeps_promises = invariants::check(&working.checkout, &held, now, rules.policy).is_ok();
    if held.verdict == Verdict::Held && keeps_promises {
        return held;
    }
    // What sets aside errs too: a plan that wants nothing can break nothing.
    Plan {
        verdict: Verdict::Held,
        reason: Reason::InvariantBreach,
        actions: Vec::new(),
        withheld: Vec::new(),
        wake_at: None,
        in_suspense: broken.in_suspense,
        safe_to_retry: false,
    }
}

/// True when a commit would write what stands there already.
fn is_as_stored(working: &Working, plan: &Plan, now: Time) -> bool {
    let Some(row) = &working.row else {
        return false;
    };
    let same_wake = row.wake_at == plan.wake_at && plan.wake_at.is_none_or(|at| at > now);
    let same_actions = working.actions.len() == plan.actions.len()
        && plan.actions.iter().all(|planned| {
            working.actions.iter().any(|row| {
                row.key == planned.key
                    && row.planned.due == planned.due
                    && row.planned.action == planned.action
            })
        });
    row.verdict == plan.verdict
        && row.reason == plan.reason
        && same_wake
        && same_actions
        && working.homes.is_empty()
}

fn write_down(
    working: &Working,
    plan: Plan,
    released: Vec<(ActionKey, String)>,
    now: Time,
) -> Result<CheckoutCommit, serde_json::Error> {
    let checkout = &working.checkout;
    let old = working.row.as_ref();
    let version = old.map_or(1, |row| row.version.saturating_add(1));
    let head = old.map_or("", |row| row.head.as_str());
    let decision = Decision {
        verdict: plan.verdict,
        reason: plan.reason,
        actions: plan.actions.clone(),
        withheld: plan.withheld,
        wake_at: plan.wake_at,
        in_suspense: plan.in_suspense.clone(),
    };
    let facts = serde_json::to_string(&working.facts)?;
    let decision = serde_json::to_string(&decision)?;
    let entry = JournalEntry::chained(head, &checkout.id, version, now, facts, decision);
    let since = match old {
        Some(row) if row.verdict == plan.verdict => row.since,
        Some(_) | None => now,
    };
    let row = CheckoutRow {
        id: checkout.id.clone(),
        shop: checkout.shop.clone(),
        reference: checkout.reference.clone(),
        verdict: plan.verdict,
        reason: plan.reason,
        since,
        created_at: old.map_or(now, |row| row.created_at),
        in_suspense: plan.in_suspense.first().copied(),
        wake_at: plan.wake_at,
        version,
        head: entry.hash.clone(),
        document: serde_json::to_string(checkout)?,
    };
    let payments = working.homes.iter().cloned().collect();
    let leased = working.actions.iter().filter(|row| row.lease.is_some());
    let under_way = leased
        .filter(|row| row.planned.action.kind().has_weight())
        .map(|row| row.key.clone())
        .collect();
    Ok(CheckoutCommit {
        row,
        entry,
        actions: plan.actions,
        released,
        under_way,
        payments,
    })
}

/// What this change counts towards the guard's limits.
fn count(before: &Checkout, after: &Checkout, now: Time) -> Vec<Tally> {
    let mut tallies = Vec::new();
    let mut tally = |kind, amount| {
        tallies.push(Tally {
            shop: after.shop.clone(),
            at: now,
            kind,
            amount,
        });
    };
    for (payment, state) in after.own_payments() {
        let was = before.payments.get(payment).map(|known| known.status());
        let is_new = was != Some(PaymentStatus::Captured);
        if is_new && state.status() == PaymentStatus::Captured && is_ours(state) {
            tally(TallyKind::Capture, state.captured());
        }
        let is_taken = |checkout: &Checkout, state: Option<&Payment>| {
            let is_unclaimed = state.is_some_and(|state| {
                let known = state.ownership.as_ref().map(|stamped| stamped.value);
                known == Some(Ownership::Unclaimed) && !state.captured.is_empty()
            });
            is_unclaimed && !checkout.order.claims.contains(payment)
        };
        let was_taken = is_taken(before, before.payments.get(payment));
        if !was_taken && is_taken(after, Some(state)) {
            tally(TallyKind::Unclaimed, state.captured());
        }
    }
    let answers = |checkout: &Checkout| {
        let mut said = checkout
            .order
            .statements
            .iter()
            .filter(|said| said.via != Via::Event);
        said.next().map(|said| said.status)
    };
    if answers(before).is_none()
        && let Some(first) = answers(after)
    {
        tally(TallyKind::OrderAnswered, None);
        if first == OrderStatus::Unknown {
            tally(TallyKind::OrderUnknown, None);
        }
    }
    tallies
}

/// What a settled order is recognised by, when its shop named the customer. Nothing is decided by
/// it: two orders that look alike are shown to people.
fn sighting(checkout: &Checkout, (verdict, reason): (Verdict, Reason)) -> Option<Sighting> {
    if verdict != Verdict::Settled || reason == Reason::RefundedAfterConfirm {
        return None;
    }
    let paid = checkout.own_payments();
    let paid = paid.filter(|(_, state)| state.status() == PaymentStatus::Captured);
    Some(Sighting {
        shop: checkout.shop.clone(),
        mark: checkout.order.customer.as_ref()?.value.clone(),
        amount: checkout.order.amount()?,
        paid_at: paid.filter_map(|(_, state)| state.first_money_at).min()?,
    })
}

fn is_ours(state: &Payment) -> bool {
    match state.ownership.as_ref().map(|stamped| stamped.value) {
        Some(Ownership::Ours | Ownership::Shared) => true,
        Some(
            Ownership::Unclaimed
            | Ownership::BeforeSince
            | Ownership::WrongMode
            | Ownership::UnknownKind,
        )
        | None => false,
    }
}
