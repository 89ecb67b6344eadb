//! Exhaustive small worlds: two payments and one order, a few facts and faults, and every order in
//! which they can come, state by state, breadth first.
//!
//! In every state the promises are checked (by `invariants` and by the model's own books), and from
//! every state the calm way, on which no more faults strike, must end at rest or on an operator's
//! screen. A broken promise is told with the shortest way to it. With `RECONCILED_SMALL_WORLDS=large`
//! in the environment the scopes are larger and take minutes; numbers stand in tests/README.md.

mod model;

use super::world::{mins, policy};
use crate::core::checkout::Checkout;
use crate::core::plan::{Plan, Verdict};
use crate::core::policy::{LatePayment, Policy};
use crate::core::time::Time;
use model::Event::{Announces, Brakes, Cancels, Disputes, Forgets, Pays, PaysUnseen, StaffRefunds};
use model::{Event, Step, World};
use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::time::Instant;

/// No scope here has as many; a way that never ends is found by running into it.
const STATES_ENOUGH: usize = 1_000_000;

type Planner = fn(&Checkout, Time, &Policy) -> Plan;

/// Everything that may happen in one exploration.
struct Scope {
    /// Each at most once, in any order, at any point.
    events: &'static [Event],
    /// So many calls may be lost, or die with us, before or after their effect.
    faults: u8,
    /// Events and faults come within so many minutes; after them only the calm way is gone.
    minutes: u64,
    late_payment: LatePayment,
}

const fn scope(events: &'static [Event], faults: u8, minutes: u64) -> Scope {
    Scope {
        events,
        faults,
        minutes,
        late_payment: LatePayment::Refund,
    }
}

const fn offering(scope: Scope) -> Scope {
    Scope {
        late_payment: LatePayment::Offer,
        ..scope
    }
}

/// How a state was first reached.
struct Visit {
    from: Option<(u128, Step)>,
    depth: u32,
    /// The next state on the calm way; none where it ends.
    calm: Option<u128>,
    verdict: Verdict,
}

/// What an exploration saw.
#[derive(Debug, Default)]
struct Seen {
    states: usize,
    steps: usize,
    depth: u32,
    ends: BTreeSet<&'static str>,
}

struct Explorer {
    plan: Planner,
    policy: Policy,
    states_max: usize,
    visits: BTreeMap<u128, Visit>,
    queue: VecDeque<(u128, World, Plan)>,
    seen: Seen,
}

impl Explorer {
    fn new(scope: &Scope, plan: Planner, states_max: usize) -> Explorer {
        let policy = Policy {
            late_payment: scope.late_payment,
            ..policy()
        };
        Explorer {
            plan,
            policy,
            states_max,
            visits: BTreeMap::new(),
            queue: VecDeque::new(),
            seen: Seen::default(),
        }
    }

    /// Visits every state of the scope; a broken promise with the shortest way to it.
    fn explore(mut self, scope: &Scope) -> Result<Seen, String> {
        let first = World::new(scope.events, scope.faults, mins(scope.minutes));
        self.visit(first, None, 0)?;
        while let Some((name, world, plan)) = self.queue.pop_front() {
            self.expand(name, &world, &plan)?;
        }
        self.every_calm_way_ends()?;
        self.seen.states = self.visits.len();
        Ok(self.seen)
    }

    fn visit(
        &mut self,
        world: World,
        from: Option<(u128, Step)>,
        depth: u32,
    ) -> Result<u128, String> {
        let name = world.fingerprint();
        if self.visits.contains_key(&name) {
            return Ok(name);
        }
        let plan = (self.plan)(&world.checkout, world.now, &self.policy);
        let again = (self.plan)(&world.checkout, world.now, &self.policy);
        let visit = Visit {
            from,
            depth,
            calm: None,
            verdict: plan.verdict,
        };
        self.visits.insert(name, visit);
        self.seen.depth = self.seen.depth.max(depth);
        if plan != again {
            return Err(self.told(name, "asked twice, said otherwise"));
        }
        if let Err(broken) = world.check(&plan, &self.policy) {
            return Err(self.told(name, &format!("{broken}\n{plan:#?}")));
        }
        if self.visits.len() > self.states_max {
            return Err(self.told(name, "more states than there can be: no rest in sight"));
        }
        if world.is_over(&plan) {
            self.seen.ends.insert(plan.verdict.code());
        }
        self.queue.push_back((name, world, plan));
        Ok(name)
    }

    fn expand(&mut self, name: u128, world: &World, plan: &Plan) -> Result<(), String> {
        let depth = self.visits[&name].depth + 1;
        let calm = world.calm(plan);
        for step in world.steps(plan) {
            self.seen.steps += 1;
            let next = world.after(&step, plan);
            let next = next.map_err(|broken| self.told(name, &format!("{broken} at {step:?}")))?;
            let is_calm = calm.as_ref() == Some(&step);
            let reached = self.visit(next, Some((name, step)), depth)?;
            if is_calm {
                self.visits.get_mut(&name).unwrap().calm = Some(reached);
            }
        }
        Ok(())
    }

    /// Follows the calm way from every state: it ends, and does not run in a circle.
    fn every_calm_way_ends(&self) -> Result<(), String> {
        let mut ends: BTreeSet<u128> = BTreeSet::new();
        for start in self.visits.keys() {
            let mut way = BTreeSet::new();
            let mut at = *start;
            while !ends.contains(&at) {
                if !way.insert(at) {
                    return Err(self.told(*start, "the calm way runs in a circle"));
                }
                match self.visits[&at].calm {
                    Some(next) => at = next,
                    None => break,
                }
            }
            ends.extend(way);
        }
        Ok(())
    }

    /// What is broken, and the shortest way to it.
    fn told(&self, name: u128, broken: &str) -> String {
        let mut way = Vec::new();
        let mut at = name;
        while let Some((before, step)) = self.visits.get(&at).and_then(|one| one.from.as_ref()) {
            way.push(format!("{step:?} -> {:?}", self.visits[&at].verdict));
            at = *before;
        }
        way.reverse();
        format!("{broken}\nafter\n{}", way.join("\n"))
    }
}

/// Explores all scopes and says how much there was.
#[expect(
    clippy::disallowed_methods,
    reason = "the seconds are told to people and decide nothing"
)]
fn explore_all(scopes: &[Scope]) -> Seen {
    let mut all = Seen::default();
    for scope in scopes {
        let begun = Instant::now();
        let explorer = Explorer::new(scope, Checkout::reconcile, STATES_ENOUGH);
        let seen = explorer
            .explore(scope)
            .unwrap_or_else(|broken| panic!("{broken}"));
        println!(
            "{:?}, {} faults in {} min: {} states, {} steps, depth {}, {:.1} s, ends {:?}",
            scope.events,
            scope.faults,
            scope.minutes,
            seen.states,
            seen.steps,
            seen.depth,
            begun.elapsed().as_secs_f32(),
            seen.ends
        );
        all.states += seen.states;
        all.steps += seen.steps;
        all.depth = all.depth.max(seen.depth);
        all.ends.extend(seen.ends);
    }
    println!(
        "{} states, {} steps, depth {}",
        all.states, all.steps, all.depth
    );
    all
}

const SMALL: &[Scope] = &[
    scope(&[Pays(0), Announces, Cancels], 0, 40),
    offering(scope(&[Pays(0), Announces, Cancels], 0, 40)),
    scope(&[Pays(0), Announces, Forgets], 0, 20),
    scope(&[Pays(0), Announces], 1, 20),
    scope(&[Pays(0)], 1, 40),
    scope(&[Pays(0), Disputes], 0, 40),
    scope(&[Pays(0), StaffRefunds], 0, 40),
    scope(&[Pays(0), Brakes], 0, 40),
    scope(&[PaysUnseen(0), Announces], 0, 20),
    scope(&[Pays(0), Announces, StaffRefunds], 0, 2),
    scope(&[Pays(0)], 2, 20),
    scope(&[Pays(0), Pays(1), Announces], 0, 2),
    scope(&[Pays(0), Pays(1), Announces], 1, 1),
    scope(&[Pays(0), Pays(1), Announces, Cancels], 0, 1),
    scope(&[Pays(0), Pays(1)], 1, 2),
];

const LARGE: &[Scope] = &[
    scope(&[Pays(0), Pays(1)], 0, 40),
    scope(&[Pays(0), Pays(1), Announces], 0, 20),
    scope(&[Pays(0), PaysUnseen(1), Announces, Cancels], 0, 2),
    scope(&[Pays(0), Announces, Cancels], 1, 40),
    scope(&[Pays(0), Announces], 2, 20),
    scope(&[Pays(0)], 2, 40),
    scope(&[Pays(0), Disputes, StaffRefunds], 1, 40),
];

#[test]
#[expect(
    clippy::disallowed_methods,
    reason = "whoever runs the tests chooses how much is explored"
)]
fn every_state_of_a_small_world_keeps_the_promises_and_leads_to_rest() {
    let wanted = std::env::var("RECONCILED_SMALL_WORLDS");
    let is_large = wanted.is_ok_and(|word| word == "large");
    let seen = explore_all(if is_large { LARGE } else { SMALL });
    let least = if is_large { 20_000 } else { 3_000 };
    assert!(seen.states > least, "{seen:?}");
    for end in ["settled", "returned", "closed"] {
        assert!(seen.ends.contains(end), "{end}: {seen:?}");
    }
}

/// Wants the money back as soon as the shop said once that it knows no order.
fn gives_back_hastily(checkout: &Checkout, now: Time, policy: &Policy) -> Plan {
    let hasty = Policy {
        second_look: crate::core::time::Span::ZERO,
        refund_delay: crate::core::time::Span::ZERO,
        ..policy.clone()
    };
    let mut plan = checkout.reconcile(now, &hasty);
    if plan.verdict == Verdict::Releasing {
        plan.actions
            .retain(|one| one.action.kind() != crate::core::plan::ActionKind::Release);
    }
    plan
}

/// Calls every payment settled.
fn settles_everything(checkout: &Checkout, now: Time, policy: &Policy) -> Plan {
    let plan = checkout.reconcile(now, policy);
    if plan.verdict != Verdict::Confirming {
        return plan;
    }
    Plan {
        verdict: Verdict::Settled,
        actions: Vec::new(),
        wake_at: None,
        in_suspense: Vec::new(),
        ..plan
    }
}

/// Looks again every minute for ever.
fn never_rests(checkout: &Checkout, now: Time, policy: &Policy) -> Plan {
    let plan = checkout.reconcile(now, policy);
    Plan {
        wake_at: Some(now.plus(mins(1))),
        ..plan
    }
}

#[test]
fn planners_that_err_are_found_with_the_way_that_leads_there() {
    let paid = scope(&[Pays(0), Announces], 0, 20);
    let planners: [(Planner, &str); 3] = [
        (gives_back_hastily, "next_step"),
        (settles_everything, "settled without the shop's yes"),
        (never_rests, "no rest in sight"),
    ];
    for (planner, words) in planners {
        let found = Explorer::new(&paid, planner, 2_000).explore(&paid);
        let broken = found.unwrap_err();
        assert!(broken.contains(words), "{words}: {broken}");
        assert!(broken.contains("Happens(Pays(0)) -> "), "{broken}");
    }
}
