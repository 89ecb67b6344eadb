//! Laws that hold for all facts, sensible or not.
//! Knows no scenario: what a sensible sequence of facts leads to is tried elsewhere.

use super::arbitrary::{Sums, any_policy, fact, facts, folded, time, without_nulls};
use super::world::{Fault, RefundWay, World, eur};
use crate::core::checkout::Checkout;
use crate::core::fact::Fact;
use crate::core::invariants;
use crate::core::order::OrderStatus;
use crate::core::plan::{Action, ActionKind, Decision, Plan, Verdict};
use crate::core::time::{Span, Time};
use proptest::prelude::*;
use proptest::strategy::ValueTree;
use proptest::test_runner::TestRunner;
use std::sync::OnceLock;

/// Lives that lead to money going back, stopped at every step: the facts so far, and the moment.
fn eves() -> Vec<(Vec<Fact>, Time)> {
    let orphan = |status: OrderStatus| {
        let mut world = World::new();
        world.announces(status);
        world.pays("0", eur(5995));
        world
    };
    let mut worlds = vec![orphan(OrderStatus::Cancelled), orphan(OrderStatus::Unknown)];
    let mut lost = orphan(OrderStatus::Cancelled);
    lost.psp
        .faults
        .extend([Fault::None, Fault::Lost, Fault::AnswerLost]);
    worlds.push(lost);
    let mut declined = orphan(OrderStatus::Cancelled);
    declined.psp.refund_way = RefundWay::Refused;
    worlds.push(declined);
    for names in [true, false] {
        let mut twice = orphan(OrderStatus::Pending);
        twice.shop.names = names;
        twice.pays("1", eur(5995));
        worlds.push(twice);
    }
    let mut excess = World::new();
    excess.announces(OrderStatus::Pending);
    excess.pays("2", eur(7000));
    worlds.push(excess);
    let mut held = World::new();
    held.announces(OrderStatus::Cancelled);
    held.authorises("0", eur(5995));
    worlds.push(held);
    let mut eves = Vec::new();
    for mut world in worlds {
        for _ in 0..60 {
            eves.push((world.journal.clone(), world.now));
            if !world.step() {
                break;
            }
        }
    }
    eves
}

static EVES: OnceLock<Vec<(Vec<Fact>, Time)>> = OnceLock::new();

/// One of those eves, with a few arbitrary facts of the same hour.
fn eve() -> impl Strategy<Value = (Vec<Fact>, Time)> {
    let more = facts(4);
    (prop::sample::select(EVES.get_or_init(eves).clone()), more).prop_map(
        |((mut known, now), more)| {
            known.extend(more);
            (known, now)
        },
    )
}

#[test]
fn the_laws_meet_plans_that_send_money_back() {
    let mut runner = TestRunner::deterministic();
    let mut with_refund = 0;
    let mut with_void = 0;
    let eve = eve();
    for _ in 0..2000 {
        let (facts, now) = eve.new_tree(&mut runner).unwrap().current();
        let plan = folded(true, &facts).reconcile(now, &super::world::policy());
        let has = |kind| plan.actions.iter().any(|one| one.action.kind() == kind);
        with_refund += usize::from(has(ActionKind::Refund));
        with_void += usize::from(has(ActionKind::Void));
    }
    assert!(with_refund > 40, "{with_refund}");
    assert!(with_void > 5, "{with_void}");
}

fn shuffled() -> impl Strategy<Value = (Vec<Fact>, Vec<Fact>)> {
    facts(24).prop_flat_map(|facts| {
        let indices = 0..facts.len().max(1);
        let repeats = proptest::collection::vec(indices, 0..8);
        let permuted = Just(facts.clone()).prop_shuffle();
        (Just(facts), permuted, repeats).prop_map(|(facts, mut permuted, repeats)| {
            for index in repeats {
                permuted.extend(facts.get(index).cloned());
            }
            (facts, permuted)
        })
    })
}

fn decision(plan: &Plan) -> Decision {
    Decision {
        verdict: plan.verdict,
        reason: plan.reason,
        actions: plan.actions.clone(),
        withheld: plan.withheld.clone(),
        wake_at: plan.wake_at,
        in_suspense: plan.in_suspense.clone(),
    }
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn any_order_and_repetition_of_the_same_facts_gives_the_same_checkout((facts, permuted) in shuffled()) {
        prop_assert_eq!(folded(true, &facts), folded(true, &permuted));
    }

    #[test]
    fn a_fact_learned_twice_changes_nothing(facts in facts(16), again in fact()) {
        let mut once = folded(true, &facts);
        once.observe(&again);
        let mut twice = once.clone();
        twice.observe(&again);
        prop_assert_eq!(once, twice);
    }

    #[test]
    fn no_plan_breaks_a_promise_and_asking_twice_says_the_same(
        facts in facts(16),
        named in prop::bool::weighted(0.85),
        policy in any_policy(),
        now in time(),
        later in 0u64..400,
    ) {
        let checkout = folded(named, &facts);
        let before = checkout.clone();
        let now = now.plus(Span::from_hours(later));
        let plan = checkout.reconcile(now, &policy);
        prop_assert_eq!(&plan, &checkout.reconcile(now, &policy));
        prop_assert_eq!(&before, &checkout);
        if let Err(breach) = invariants::check(&checkout, &plan, now, &policy) {
            prop_assert!(false, "{:?} {:#?}", breach, plan);
        }
        refunds_stay_within_what_is_left(&checkout, &plan)?;
    }

    #[test]
    fn no_plan_on_the_eve_of_a_refund_breaks_a_promise_whatever_else_is_learned(
        (facts, now) in eve(),
        policy in any_policy(),
        defaults in any::<bool>(),
        later in 0u64..30,
    ) {
        let policy = if defaults { super::world::policy() } else { policy };
        let checkout = folded(true, &facts);
        for seconds in [0, 1, later * 20] {
            let now = now.plus(Span::from_seconds(seconds));
            let plan = checkout.reconcile(now, &policy);
            if let Err(breach) = invariants::check(&checkout, &plan, now, &policy) {
                prop_assert!(false, "{:?} {:#?}", breach, plan);
            }
            refunds_stay_within_what_is_left(&checkout, &plan)?;
        }
    }

    #[test]
    fn what_is_written_reads_back_exactly(facts in facts(16), policy in any_policy(), now in time()) {
        let mut from_journal = super::arbitrary::checkout(true);
        for fact in &facts {
            let line = serde_json::to_string(fact).unwrap();
            let read: Fact = serde_json::from_str(&line).unwrap();
            prop_assert_eq!(fact, &read);
            // Skipping what is absent must be harmless in every fact, and adding nulls too.
            let value = without_nulls(serde_json::to_value(fact).unwrap());
            prop_assert_eq!(fact, &serde_json::from_value::<Fact>(value).unwrap());
            from_journal.observe(&read);
        }
        let checkout = folded(true, &facts);
        prop_assert_eq!(&checkout, &from_journal);
        let line = serde_json::to_string(&checkout).unwrap();
        let read: Checkout = serde_json::from_str(&line).unwrap();
        prop_assert_eq!(&checkout, &read);
        prop_assert_eq!(line, serde_json::to_string(&read).unwrap());
        let decided = decision(&checkout.reconcile(now, &policy));
        let line = serde_json::to_string(&decided).unwrap();
        let read: Decision = serde_json::from_str(&line).unwrap();
        prop_assert_eq!(decided, read);
    }
}

/// Said once more in other words than those of `invariants`: by the PSP's word alone, no plan
/// sends more back than there is, and at rest nothing is anywhere else.
fn refunds_stay_within_what_is_left(checkout: &Checkout, plan: &Plan) -> Result<(), TestCaseError> {
    let mut planned: std::collections::BTreeMap<_, i128> = std::collections::BTreeMap::new();
    for one in &plan.actions {
        if let Action::Refund {
            payment, amount, ..
        } = &one.action
        {
            *planned.entry(payment).or_default() += i128::from(amount.minor());
        }
    }
    for (payment, minor) in planned {
        let state = &checkout.payments[payment];
        let captured = i128::from(state.captured().unwrap().minor());
        let shown: i128 = state
            .refunds
            .values()
            .filter(|one| one.state != crate::core::payment::RefundState::Failed)
            .map(|one| i128::from(one.amount.minor()))
            .sum();
        prop_assert!(
            shown + minor <= captured,
            "{payment}: {shown} + {minor} > {captured}"
        );
        prop_assert!(!state.has_open_dispute());
    }
    if plan.verdict == Verdict::Returned {
        let mut open = Sums::new();
        for money in &plan.in_suspense {
            *open.entry(money.currency()).or_default() += i128::from(money.minor());
        }
        prop_assert!(open.is_empty());
    }
    Ok(())
}
