//! Units of change: inputs that touch the same checkouts stand or fall together.
//!
//! Groups a batch into connected sets and builds one commit unit from each. A checkout that
//! cannot be read fails its own group and no other.

use super::input::Input;
use super::lesson::Taught;
use super::verdict::{self, Planner, Rules};
use super::workspace::Workspace;
use crate::core::ids::{ActionKey, CheckoutId, ShopId};
use crate::core::plan::RulingRefused;
use crate::core::policy::Policy;
use crate::core::time::Time;
use crate::store::{CheckoutRow, CommitUnit, Disposition};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

/// What became of one input.
#[derive(Debug)]
pub enum Outcome {
    /// Durable, or nothing to do.
    Done,
    /// Parked by name: the delivery could not be read or taken.
    Parked {
        /// A stable word, then detail.
        why: String,
    },
    /// Taken, but a plan would have broken a promise: the checkout is held.
    Breached {
        /// Which checkout.
        checkout: CheckoutId,
        /// Which promise, and how.
        why: String,
    },
    /// There is no such checkout.
    NotFound,
    /// The checkout has moved since the operator saw it.
    Moved {
        /// Its version now.
        version: i64,
    },
    /// A guard refused the ruling.
    Refused(RulingRefused),
    /// Conflicts did not end; it waits for the next batch.
    Postponed,
}

/// Inputs that touch the same checkouts.
#[derive(Debug, Default)]
pub(super) struct Group {
    pub(super) inputs: Vec<usize>,
    pub(super) checkouts: BTreeSet<CheckoutId>,
    /// Why the group cannot be taken, if it cannot.
    pub(super) broken: Option<String>,
}

/// Lets the workspace learn everything and groups the inputs by what they touched.
pub(super) fn group(
    inputs: &[&Input],
    taught: &[Taught],
    workspace: &mut Workspace,
    now: Time,
) -> Vec<Group> {
    let mut groups: Vec<Group> = Vec::new();
    let mut places: BTreeMap<CheckoutId, usize> = BTreeMap::new();
    for (index, (input, taught)) in inputs.iter().zip(taught).enumerate() {
        let mut touched = BTreeSet::new();
        let mut broken = None;
        if !is_refused(input, workspace) {
            for lesson in &taught.lessons {
                match workspace.learn(lesson, now) {
                    Ok(more) => touched.extend(more),
                    // A list names many payments; one that cannot be taken hides no other.
                    Err(bad) if matches!(input, Input::Swept(_)) => {
                        tracing::warn!(
                            checkout.id = %bad.id, why = bad.why,
                            "a listed payment lives in a checkout that cannot be read; passed over"
                        );
                    }
                    Err(bad) => broken = Some(format!("corrupt_checkout: {}: {}", bad.id, bad.why)),
                }
            }
        }
        if broken.is_some() {
            // What cannot be taken stands alone, so that nothing else is parked with it.
            touched.clear();
        }
        let own = Group {
            inputs: vec![index],
            checkouts: touched,
            broken,
        };
        // Those that meet here are one from now on: all move to the first of them.
        let met: BTreeSet<usize> = own
            .checkouts
            .iter()
            .filter_map(|id| places.get(id).copied())
            .collect();
        let place = met.first().copied().unwrap_or(groups.len());
        if met.is_empty() {
            groups.push(Group::default());
        }
        let mut moved: Vec<Group> = met
            .iter()
            .skip(1)
            .filter_map(|other| groups.get_mut(*other).map(std::mem::take))
            .collect();
        moved.push(own);
        for mut group in moved {
            places.extend(group.checkouts.iter().map(|id| (id.clone(), place)));
            if let Some(kept) = groups.get_mut(place) {
                kept.inputs.append(&mut group.inputs);
                kept.checkouts.append(&mut group.checkouts);
                kept.broken = kept.broken.take().or(group.broken);
            }
        }
    }
    groups.retain(|group| !group.inputs.is_empty());
    groups
}

/// A ruling on a checkout that moved or does not exist teaches nothing.
fn is_refused(input: &Input, workspace: &Workspace) -> bool {
    match input {
        Input::Ruled(ruled) => {
            let row = workspace
                .checkouts
                .get(&ruled.checkout)
                .and_then(|one| one.row.as_ref());
            let seen = ruled.if_version;
            let is_other = |row: &CheckoutRow| seen.is_some_and(|seen| seen != row.version);
            row.map_or(workspace.is_readable(&ruled.checkout), is_other)
        }
        Input::Delivery(_)
        | Input::Due(_)
        | Input::Report(_)
        | Input::Swept(_)
        | Input::Told { .. } => false,
    }
}

/// Finds a shop's policy.
pub(super) type PolicyOf<'a> = dyn Fn(&ShopId) -> Arc<Policy> + 'a;

/// How checkouts are decided: whose policy, and by whom.
pub(super) struct Rulebook<'a> {
    pub(super) policy: &'a PolicyOf<'a>,
    pub(super) plan: Planner,
}

/// A checkout that was set aside because its plan would have broken a promise.
#[derive(Clone, Debug)]
pub(super) struct Breached {
    pub(super) checkout: CheckoutId,
    pub(super) shop: ShopId,
    pub(super) promise: &'static str,
    pub(super) why: String,
}

/// A unit to commit with its outcomes and the breaches in it, or outcomes without one.
pub(super) enum Built {
    Unit(Box<CommitUnit>, Vec<Outcome>, Vec<Breached>),
    Over(Vec<Outcome>),
}

/// Builds the unit of one group.
pub(super) fn build(
    group: &Group,
    inputs: &[&Input],
    taught: &[Taught],
    workspace: &mut Workspace,
    rulebook: &Rulebook<'_>,
    now: Time,
) -> Built {
    let members = || {
        group
            .inputs
            .iter()
            .filter_map(|index| inputs.get(*index).copied())
    };
    if let Some(why) = &group.broken {
        return park_all(group, taught, why);
    }
    if let Some(outcomes) = refuse_rulings(members(), workspace, rulebook.policy) {
        return Built::Over(outcomes);
    }
    let mut unit = CommitUnit::default();
    let mut breaches = Vec::new();
    for id in &group.checkouts {
        let Some(working) = workspace.checkouts.get_mut(id) else {
            continue;
        };
        let released = released_of(members(), id);
        let shop = working.checkout.shop.clone();
        let policy = (rulebook.policy)(&shop);
        let rules = Rules {
            plan: rulebook.plan,
            policy: &policy,
        };
        match verdict::decide(working, released, rules, now) {
            Ok(Some(decided)) => {
                unit.tallies.extend(decided.tallies);
                unit.sightings.extend(decided.sighted);
                unit.checkouts.push(decided.commit);
                breaches.extend(decided.breach.map(|breach| Breached {
                    checkout: id.clone(),
                    shop,
                    promise: breach.promise,
                    why: breach.detail,
                }));
            }
            Ok(None) => {}
            Err(error) => return park_all(group, taught, &format!("unwritable_checkout: {error}")),
        }
    }
    let deliveries = group.inputs.iter().filter_map(|index| taught.get(*index));
    unit.deliveries
        .extend(deliveries.filter_map(|one| one.delivery.clone()));
    for input in members() {
        if let Input::Report(report) = input
            && let Some(epoch) = report.epoch
        {
            unit.epochs.push((report.shop.clone(), epoch));
        }
    }
    let outcomes = group
        .inputs
        .iter()
        .map(|index| outcome_of(taught.get(*index), breaches.last()));
    let outcomes: Vec<Outcome> = outcomes.collect();
    if unit == CommitUnit::default() {
        Built::Over(outcomes)
    } else {
        Built::Unit(Box::new(unit), outcomes, breaches)
    }
}

fn outcome_of(taught: Option<&Taught>, breached: Option<&Breached>) -> Outcome {
    let delivery = taught.and_then(|one| one.delivery.as_ref());
    if let Some((_, Disposition::Parked { why })) = delivery {
        return Outcome::Parked { why: why.clone() };
    }
    match breached {
        Some(breached) => Outcome::Breached {
            checkout: breached.checkout.clone(),
            why: format!("{}: {}", breached.promise, breached.why),
        },
        None => Outcome::Done,
    }
}

/// Deliveries of a group that cannot be taken are parked; nothing else of it happens.
fn park_all(group: &Group, taught: &[Taught], why: &str) -> Built {
    let deliveries: Vec<_> = group
        .inputs
        .iter()
        .filter_map(|index| taught.get(*index)?.delivery.as_ref())
        .map(|(id, _)| {
            (
                *id,
                Disposition::Parked {
                    why: why.to_owned(),
                },
            )
        })
        .collect();
    let outcomes = group
        .inputs
        .iter()
        .map(|_| Outcome::Parked {
            why: why.to_owned(),
        })
        .collect();
    if deliveries.is_empty() {
        return Built::Over(outcomes);
    }
    Built::Unit(
        Box::new(CommitUnit {
            deliveries,
            ..CommitUnit::default()
        }),
        outcomes,
        Vec::new(),
    )
}

/// The leases that end with reports about this checkout.
fn released_of<'a>(
    members: impl Iterator<Item = &'a Input>,
    id: &CheckoutId,
) -> Vec<(ActionKey, String)> {
    let mut released = Vec::new();
    for input in members {
        if let Input::Report(report) = input
            && report.checkout == *id
        {
            released.push((report.key.clone(), report.token.clone()));
        }
    }
    released
}

/// Rulings come one to a batch; a refused one changes nothing.
fn refuse_rulings<'a>(
    members: impl Iterator<Item = &'a Input>,
    workspace: &Workspace,
    policy: &PolicyOf<'_>,
) -> Option<Vec<Outcome>> {
    for input in members {
        let Input::Ruled(ruled) = input else { continue };
        let working = workspace.checkouts.get(&ruled.checkout);
        let Some((working, row)) = working.and_then(|one| Some((one, one.row.as_ref()?))) else {
            return Some(vec![Outcome::NotFound]);
        };
        if ruled.if_version.is_some_and(|seen| seen != row.version) {
            return Some(vec![Outcome::Moved {
                version: row.version,
            }]);
        }
        // Judged on what was known before the ruling itself became a fact.
        let judged = working
            .before
            .admit(&ruled.ruling, &policy(&working.checkout.shop));
        if let Err(refused) = judged {
            return Some(vec![Outcome::Refused(refused)]);
        }
    }
    None
}
