//! A PSP that can be asked nothing: signed facts stand in for reads, and what is never told of is
//! held in time.
//!
//! Knows such a PSP by its traits alone, and no adapter.

use super::world::{Fault, RefundWay, World, eur, mins, pay};
use crate::core::fact::{BrakeCause, Fact};
use crate::core::ids::AccountId;
use crate::core::order::OrderStatus;
use crate::core::payment::{DisputeState, Progress, RefundState};
use crate::core::plan::{ActionKind, Plan, Reason, Verdict};
use crate::core::time::Span;

/// Money for an order that the shop gave up, at a PSP that remembers keys for a week.
fn orphan() -> World {
    let mut world = deaf();
    world.pays("1", eur(5995));
    world
}

fn deaf() -> World {
    let mut world = World::new();
    let account = AccountId::parse(pay("1").account.as_str()).unwrap();
    let traits = world.policy.accounts.get_mut(&account).unwrap();
    traits.can_read = false;
    traits.can_list_refunds = false;
    traits.cancels_refunds = false;
    traits.key_lifetime = Span::from_days(7);
    world.announces(OrderStatus::Cancelled);
    world
}

fn held(plan: &Plan) -> Reason {
    assert_eq!(plan.verdict, Verdict::Held, "{plan:?}");
    plan.reason
}

#[test]
fn nothing_is_ever_asked_and_the_order_is_still_looked_at_before_money_leaves() {
    let mut world = orphan();
    world.run_to_reason(Reason::RefundDelayed);
    let looks = world.sent(ActionKind::LookUp);
    world.run_to(Verdict::Returned);
    world.run_for(Span::from_days(20));
    assert_eq!(world.sent(ActionKind::Fetch), 0);
    assert!(world.sent(ActionKind::LookUp) > looks);
    assert_eq!(world.refunds_made(), [(pay("1"), 5995)]);
}

#[test]
fn a_staff_refund_that_is_told_of_in_time_counts() {
    for (part, back) in [(5995, None), (2000, Some(3995))] {
        let mut world = orphan();
        world.run_to_reason(Reason::RefundDelayed);
        world.staff_refunds(&pay("1"), eur(part), RefundState::Succeeded);
        world.webhook(&pay("1"));
        world.run_to(Verdict::Returned);
        let expected: Vec<_> = back.into_iter().map(|rest| (pay("1"), rest)).collect();
        assert_eq!(world.refunds_made(), expected);
    }
}

#[test]
fn a_dispute_that_is_told_of_in_the_delay_keeps_the_money_here() {
    let mut world = orphan();
    world.run_to_reason(Reason::RefundDelayed);
    world.dispute(&pay("1"), eur(5995), DisputeState::Open);
    let plan = world.run_for(Span::from_days(3));
    assert_eq!(held(&plan), Reason::Disputed);
    assert_eq!(world.sent(ActionKind::Refund), 0);
}

#[test]
fn a_refund_that_fails_after_it_was_done_opens_the_case_again_and_is_not_repeated() {
    let mut world = orphan();
    world.run_to(Verdict::Returned);
    world.run_for(Span::from_days(3));
    world.refunds_become(RefundState::Failed);
    let plan = world.run_for(Span::from_days(3));
    assert_eq!(held(&plan), Reason::RefundFailed);
    assert_eq!(plan.in_suspense, [eur(5995)]);
    assert_eq!(world.sent(ActionKind::Refund), 1);
}

#[test]
fn a_refund_that_was_received_and_is_never_told_of_is_held_and_ends_when_it_is() {
    let mut world = orphan();
    world.psp.refund_way = RefundWay::StaysPending;
    world.run_to_reason(Reason::RefundPending);
    let plan = world.run_for(Span::from_days(15));
    assert_eq!(held(&plan), Reason::RefundStuck);
    assert_eq!(world.sent(ActionKind::Refund), 1);
    world.refunds_become(RefundState::Succeeded);
    world.run_to(Verdict::Returned);
}

#[test]
fn an_unanswered_refund_is_settled_by_its_event_without_another_call() {
    let mut world = orphan();
    world.run_to_reason(Reason::RefundDelayed);
    world.psp.faults.push_back(Fault::AnswerLost);
    world.run_to_reason(Reason::RefundUnclear);
    world.webhook(&pay("1"));
    world.run_to(Verdict::Returned);
    assert_eq!(world.sent(ActionKind::Refund), 1);
}

#[test]
fn a_repetition_waits_behind_the_shops_brake_and_goes_on_when_it_is_released() {
    let mut world = orphan();
    world.run_to_reason(Reason::RefundDelayed);
    world.psp.faults.push_back(Fault::AnswerLost);
    world.run_to_reason(Reason::RefundUnclear);
    let (at, cause) = (world.now, BrakeCause::RefundCount);
    world.observe(Fact::RefundBraked { at, cause });
    let plan = world.run_for(Span::from_hours(5));
    assert_eq!(held(&plan), Reason::GuardRefunds);
    assert_eq!(world.sent(ActionKind::Refund), 1);
    let at = world.now;
    world.observe(Fact::BrakeReleased { at });
    world.run_to(Verdict::Returned);
    assert_eq!(world.keys(ActionKind::Refund).len(), 1);
    assert_eq!(world.refunds_made(), [(pay("1"), 5995)]);
}

#[test]
fn s081_past_the_keys_week_an_unanswered_refund_is_held_and_only_its_event_ends_that() {
    for (off, repeats) in [(Span::from_days(6), true), (Span::from_days(8), false)] {
        let mut world = orphan();
        world.run_to_reason(Reason::RefundDelayed);
        world.psp.faults.push_back(Fault::AnswerLost);
        world.run_to_reason(Reason::RefundUnclear);
        world.pass(off);
        if repeats {
            world.run_to(Verdict::Returned);
            assert_eq!(world.keys(ActionKind::Refund).len(), 1);
        } else {
            let plan = world.run_for(Span::from_days(30));
            assert_eq!(held(&plan), Reason::UnreadablePayment);
            assert_eq!(world.sent(ActionKind::Refund), 1);
            world.webhook(&pay("1"));
            world.run_to(Verdict::Returned);
        }
        assert_eq!(world.refunds_made(), [(pay("1"), 5995)]);
    }
}

#[test]
fn a_release_that_was_received_and_is_never_told_of_is_held_and_ends_when_it_is() {
    let mut world = deaf();
    let payment = world.authorises("1", eur(5995));
    while world.sent(ActionKind::Void) == 0 {
        world.step();
    }
    world.paid(&payment).progress = Progress::Authorised;
    world.run_for(mins(5));
    assert_eq!(world.plan().reason, Reason::VoidDue);
    let plan = world.run_for(Span::from_days(15));
    assert_eq!(held(&plan), Reason::RefundStuck);
    assert_eq!(world.sent(ActionKind::Void), 1);
    world.paid(&payment).progress = Progress::Dead;
    world.webhook(&payment);
    world.run_to(Verdict::Closed);
}

#[test]
fn a_capture_that_overtook_the_release_goes_back_once_it_is_told_of() {
    let mut world = deaf();
    let payment = world.authorises("1", eur(5995));
    world.during(ActionKind::Void, |world| {
        let paid = world.paid(&pay("1"));
        paid.captured = eur(5995);
        paid.authorised = None;
        paid.progress = Progress::Taken;
    });
    while world.sent(ActionKind::Void) == 0 {
        world.step();
    }
    world.webhook(&payment);
    world.run_to(Verdict::Returned);
    assert_eq!(world.refunds_made(), [(payment, 5995)]);
}
