//! Every policy key changes an outcome; every mode keeps its hands where they belong.
//! One test per key, by its effect alone; the defaults are in `policy`.

use super::world::{Fault, World, eur, mins, pay};
use crate::core::order::OrderStatus;
use crate::core::payment::RefundState;
use crate::core::plan::{ActionKind, Reason, Verdict};
use crate::core::policy::{LatePayment, Mode, Overpayment};
use crate::core::time::{Span, Time};

fn first(world: &World, kind: ActionKind) -> Time {
    world.calls.iter().find(|call| call.1 == kind).unwrap().0
}

#[test]
fn order_grace_is_how_long_money_waits_for_its_order() {
    for grace in [1, 15, 240] {
        let mut world = World::new();
        world.policy.order_grace = mins(grace);
        world.shop.status = OrderStatus::Unknown;
        let began = world.now;
        world.pays("1", eur(5995));
        world.run_to(Verdict::Returned);
        let waited = first(&world, ActionKind::Release).since(began);
        assert!(waited >= mins(grace.max(2)), "{grace}: {waited:?}");
        assert!(waited <= mins(grace + 3), "{grace}: {waited:?}");
    }
}

#[test]
fn second_look_is_the_least_time_between_two_unknowns() {
    for look in [2, 90] {
        let mut world = World::new();
        world.policy.second_look = mins(look);
        world.shop.status = OrderStatus::Unknown;
        world.pays("1", eur(5995));
        world.run_to(Verdict::Returned);
        let looked = first(&world, ActionKind::LookUp);
        let released = first(&world, ActionKind::Release);
        assert!(released.since(looked) >= mins(look));
        let before = world
            .calls
            .iter()
            .filter(|call| call.1 == ActionKind::LookUp);
        let last = before.map(|call| call.0).filter(|at| *at <= released).max();
        assert!(
            last.unwrap().since(looked) >= mins(look),
            "heard twice, so far apart"
        );
    }
}

#[test]
fn refund_delay_is_how_long_a_decided_refund_waits() {
    for delay in [0, 10, 300] {
        let mut world = World::new();
        world.policy.refund_delay = mins(delay);
        world.announces(OrderStatus::Cancelled);
        world.pays("1", eur(5995));
        world.run_to(Verdict::Returned);
        let released = first(&world, ActionKind::Release);
        let waited = first(&world, ActionKind::Refund).since(released);
        assert!(waited >= mins(delay) && waited <= mins(delay + 1));
    }
}

#[test]
fn confirm_patience_is_what_a_reachable_shop_gets() {
    for hours in [1, 24] {
        let mut world = World::new();
        world.policy.confirm_patience = Span::from_hours(hours);
        world.shop.not_yet = u32::MAX;
        world.announces(OrderStatus::Pending);
        world.pays("1", eur(5995));
        let began = world.now;
        world.run_to_reason(Reason::PatienceExhausted);
        assert!(world.now.since(began) >= Span::from_hours(hours));
        assert!(world.now.since(began) <= Span::from_hours(hours + 1));
    }
}

#[test]
fn outage_patience_is_what_a_silent_shop_gets() {
    for hours in [2, 72] {
        let mut world = World::new();
        world.policy.outage_patience = Span::from_hours(hours);
        world.shop.down = Some(Fault::NotSent);
        world.pays("1", eur(5995));
        let began = world.now;
        world.run_to_reason(Reason::OutagePatienceExhausted);
        assert!(world.now.since(began) >= Span::from_hours(hours));
        assert!(world.now.since(began) <= Span::from_hours(hours + 1));
    }
}

#[test]
fn late_payment_decides_whether_a_cancelled_order_is_offered_the_money() {
    for (rule, verdict) in [
        (LatePayment::Offer, Verdict::Settled),
        (LatePayment::Refund, Verdict::Returned),
    ] {
        let mut world = World::new();
        world.policy.late_payment = rule;
        world.shop.revives = true;
        world.announces(OrderStatus::Cancelled);
        world.pays("1", eur(5995));
        world.run_to(verdict);
    }
}

#[test]
fn overpayment_decides_what_becomes_of_the_excess() {
    let mut world = World::new();
    world.policy.overpayment = Overpayment::Hold;
    world.announces(OrderStatus::Pending);
    world.pays("1", eur(7000));
    let plan = world.run_to(Verdict::Held);
    assert_eq!(plan.reason, Reason::OverpaidHeld);
    assert_eq!(plan.in_suspense, [eur(1005)]);
    assert_eq!(world.shop.status, OrderStatus::Confirmed);
    // A second payment is no overpayment but a duplicate, and goes back all the same.
    world.pays("2", eur(5995));
    world.run_for(Span::from_days(1));
    assert_eq!(world.refunds_made(), [(pay("2"), 5995)]);
    world.policy.overpayment = Overpayment::RefundExcess;
    world.run_to(Verdict::Settled);
    assert_eq!(world.refunds_made().len(), 2);
}

#[test]
fn auto_refund_limit_is_the_most_that_leaves_without_an_operator() {
    for (limit, verdict) in [(5995, Verdict::Returned), (5994, Verdict::Held)] {
        let mut world = World::new();
        world.policy.auto_refund_limit = eur(limit);
        world.announces(OrderStatus::Cancelled);
        world.pays("1", eur(5995));
        world.run_to(verdict);
        assert_eq!(world.refunds_made().is_empty(), verdict == Verdict::Held);
    }
}

#[test]
fn observe_asks_and_decides_and_changes_nothing() {
    let mut world = World::new();
    world.policy.mode = Mode::Observe;
    world.announces(OrderStatus::Pending);
    world.pays("1", eur(5995));
    let plan = world.plan();
    assert_eq!(plan.verdict, Verdict::Confirming);
    assert_eq!(plan.withheld.len(), 1);
    assert_eq!(plan.withheld[0].action.kind(), ActionKind::Confirm);
    world.run_for(Span::from_hours(2));
    assert_eq!(world.sent(ActionKind::Confirm), 0);
    // The shop confirms by itself, and is seen to.
    world.shop.paid_by = [pay("1")].into();
    world.shop.status = OrderStatus::Confirmed;
    world.run_to(Verdict::Settled);
    assert!(world.calls.iter().all(|call| call.1 == ActionKind::LookUp));
}

#[test]
fn observe_and_confirm_withhold_the_way_back() {
    for mode in [Mode::Observe, Mode::Confirm] {
        let mut world = World::new();
        world.policy.mode = mode;
        world.policy.late_payment = LatePayment::Refund;
        world.announces(OrderStatus::Cancelled);
        world.pays("1", eur(5995));
        let plan = world.run_for(Span::from_hours(12));
        assert_eq!(plan.verdict, Verdict::Releasing);
        assert_eq!(plan.withheld[0].action.kind(), ActionKind::Release);
        assert_eq!(
            world.sent(ActionKind::Release) + world.sent(ActionKind::Confirm),
            0
        );
        assert!(world.calls.len() < 60, "{}", world.calls.len());
        // Somebody gives the money back by hand, and that is seen.
        world.staff_refunds(&pay("1"), eur(5995), RefundState::Succeeded);
        world.run_to(Verdict::Returned);
        let mut revived = World::new();
        revived.policy.mode = mode;
        revived.announces(OrderStatus::Cancelled);
        revived.authorises("1", eur(5995));
        revived.run_for(Span::from_hours(12));
        assert_eq!(revived.sent(ActionKind::Void), 0);
    }
}

#[test]
fn confirm_confirms_and_keeps_the_excess_in_sight() {
    let mut world = World::new();
    world.policy.mode = Mode::Confirm;
    world.announces(OrderStatus::Pending);
    world.pays("1", eur(7000));
    let plan = world.run_for(Span::from_hours(12));
    assert_eq!(world.shop.status, OrderStatus::Confirmed);
    assert_eq!(plan.verdict, Verdict::Refunding);
    assert_eq!(plan.in_suspense, [eur(1005)]);
    assert!(world.refunds_made().is_empty());
    assert_eq!(plan.withheld[0].action.kind(), ActionKind::Refund);
    // What is only withheld is not asked about every five minutes.
    assert!(world.calls.len() < 60, "{}", world.calls.len());
}
