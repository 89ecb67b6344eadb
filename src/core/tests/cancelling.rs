//! Refunds that still wait at the PSP when the order turns up after all.
//!
//! Each test is a walk through a `World` whose PSP lets waiting refunds be cancelled; its books
//! are checked at every step.

use super::world::{Fault, RefundWay, World, eur, mins, pay};
use crate::core::fact::RulingKind;
use crate::core::order::OrderStatus;
use crate::core::payment::RefundState;
use crate::core::plan::{ActionKind, Notice, Reason, Verdict};
use crate::core::policy::HoldOrRefund;
use crate::core::time::Span;

/// Money for an order that the shop did not know, given back and still waiting at the PSP.
fn waiting_refund() -> World {
    let mut world = World::new();
    for traits in world.policy.accounts.values_mut() {
        traits.cancels_refunds = true;
    }
    world.psp.refund_way = RefundWay::StaysPending;
    world.shop.status = OrderStatus::Unknown;
    world.pays("1", eur(5995));
    world.run_to_reason(Reason::RefundPending);
    world
}

/// The shop confirmed by itself, by this payment.
fn confirms(world: &mut World, name: &str) {
    world.shop.paid_by = [pay(name)].into();
    world.announces(OrderStatus::Confirmed);
}

fn told(world: &World) -> Vec<Notice> {
    world.shop.notices.iter().map(|notice| notice.0).collect()
}

#[test]
fn a_waiting_refund_is_cancelled_when_the_shop_confirms_and_the_order_is_settled() {
    let mut world = waiting_refund();
    world.shop_may_err = true;
    confirms(&mut world, "1");
    let plan = world.plan();
    assert_eq!(plan.reason, Reason::CancellingRefund);
    assert_eq!(plan.in_suspense, [eur(5995)]);
    let plan = world.run_to(Verdict::Settled);
    assert_eq!(plan.reason, Reason::ConfirmedByShop);
    world.run_for(Span::from_days(3));
    assert_eq!(world.sent(ActionKind::CancelRefund), 1);
    assert_eq!(world.refunds_made(), []);
    assert_eq!(told(&world), [Notice::RefundStarted, Notice::RefundFailed]);
}

#[test]
fn a_waiting_refund_is_cancelled_for_an_order_that_turned_up_and_then_it_is_confirmed() {
    let mut world = waiting_refund();
    world.announces(OrderStatus::Pending);
    world.run_to_reason(Reason::CancellingRefund);
    assert_eq!(world.sent(ActionKind::Confirm), 0);
    world.run_to(Verdict::Settled);
    assert_eq!(world.sent(ActionKind::CancelRefund), 1);
    assert_eq!(world.sent(ActionKind::Confirm), 1);
    assert_eq!(world.refunds_made(), []);
}

#[test]
fn a_cancellation_counts_only_when_a_read_shows_it() {
    let mut world = waiting_refund();
    world.shop_may_err = true;
    confirms(&mut world, "1");
    // Accepted; then the refund goes its way all the same.
    world.during(ActionKind::CancelRefund, |world| {
        world.psp.payments.values_mut().for_each(|paid| {
            let shown = paid.refunds.values_mut();
            shown.for_each(|refund| refund.state = RefundState::Succeeded);
        });
    });
    world.run_to(Verdict::Held);
    assert_eq!(world.plan().reason, Reason::ConfirmedAfterRefund);
    assert_eq!(world.refunds_made(), [(pay("1"), 5995)]);
}

#[test]
fn a_cancellation_that_came_too_late_leaves_it_to_an_operator_and_the_shop_is_told() {
    let mut world = waiting_refund();
    world.shop_may_err = true;
    world.psp.refunds_are_final = true;
    confirms(&mut world, "1");
    let plan = world.run_to(Verdict::Held);
    assert_eq!(plan.reason, Reason::ConfirmedAfterRefund);
    assert_eq!(world.sent(ActionKind::CancelRefund), 1);
    world.refunds_become(RefundState::Succeeded);
    world.run_for(Span::from_days(1));
    assert_eq!(world.sent(ActionKind::CancelRefund), 1);
    // Held: the shop must not ship what it confirmed.
    assert_eq!(
        told(&world),
        [Notice::RefundStarted, Notice::Held, Notice::Refunded]
    );
}

#[test]
fn a_cancellation_without_a_clear_answer_is_asked_again_and_then_read() {
    for fault in [
        Fault::Lost,
        Fault::AnswerLost,
        Fault::CrashAfter,
        Fault::NotSent,
    ] {
        let mut world = waiting_refund();
        world.announces(OrderStatus::Pending);
        world.psp.faults.extend([fault]);
        world.run_to(Verdict::Settled);
        assert!(world.sent(ActionKind::CancelRefund) <= 2, "{fault:?}");
        assert_eq!(world.keys(ActionKind::CancelRefund).len(), 1);
        assert_eq!(world.refunds_made(), [], "{fault:?}");
    }
}

#[test]
fn only_what_this_checkout_asked_for_is_cancelled() {
    let mut world = World::new();
    for traits in world.policy.accounts.values_mut() {
        traits.cancels_refunds = true;
    }
    world.announces(OrderStatus::Pending);
    let payment = world.pays("1", eur(5995));
    world.run_to(Verdict::Settled);
    world.staff_refunds(&payment, eur(5995), RefundState::Pending);
    world.webhook(&payment);
    world.run_for(Span::from_days(2));
    assert_eq!(world.sent(ActionKind::CancelRefund), 0);
}

#[test]
fn the_refund_of_a_duplicate_or_of_an_excess_goes_its_way() {
    for second in [Some(5995), None] {
        let mut world = World::new();
        for traits in world.policy.accounts.values_mut() {
            traits.cancels_refunds = true;
        }
        world.psp.refund_way = RefundWay::StaysPending;
        world.announces(OrderStatus::Pending);
        world.pays("1", eur(second.map_or(6995, |_| 5995)));
        if let Some(minor) = second {
            world.pays("2", eur(minor));
        }
        world.run_to_reason(Reason::RefundPending);
        world.run_for(mins(90));
        assert_eq!(world.sent(ActionKind::CancelRefund), 0);
        assert_eq!(world.sent(ActionKind::Refund), 1);
    }
}

#[test]
fn only_the_refund_that_the_order_needs_is_cancelled() {
    let mut world = World::new();
    for traits in world.policy.accounts.values_mut() {
        traits.cancels_refunds = true;
    }
    world.psp.refund_way = RefundWay::StaysPending;
    world.shop.status = OrderStatus::Unknown;
    world.pays("1", eur(5995));
    world.pays("2", eur(5995));
    world.run_to_reason(Reason::RefundPending);
    assert_eq!(world.sent(ActionKind::Refund), 2);
    world.shop_may_err = true;
    confirms(&mut world, "2");
    world.run_for(Span::from_hours(1));
    assert_eq!(world.refunds_made(), [(pay("1"), 5995)]);
    assert_eq!(world.sent(ActionKind::CancelRefund), 1);
    world.refunds_become(RefundState::Succeeded);
    assert_eq!(world.left_at_psp(&pay("1")), 0);
}

#[test]
fn a_part_payment_that_would_not_pay_the_order_is_not_taken_back() {
    let mut world = World::new();
    for traits in world.policy.accounts.values_mut() {
        traits.cancels_refunds = true;
    }
    world.policy.underpayment = HoldOrRefund::Refund;
    world.psp.refund_way = RefundWay::StaysPending;
    world.announces(OrderStatus::Pending);
    world.pays("1", eur(4000));
    world.run_to_reason(Reason::RefundPending);
    world.announces(OrderStatus::Pending);
    world.run_for(mins(90));
    assert_eq!(world.sent(ActionKind::CancelRefund), 0);
}

#[test]
fn a_refund_that_an_operator_ordered_is_not_taken_back() {
    let mut world = World::new();
    for traits in world.policy.accounts.values_mut() {
        traits.cancels_refunds = true;
    }
    world.psp.refund_way = RefundWay::StaysPending;
    world.shop.not_yet = u32::MAX;
    world.announces(OrderStatus::Pending);
    world.pays("1", eur(5995));
    world.run_for(mins(5));
    world.rules(RulingKind::Refund, &[]);
    world.run_to_reason(Reason::RefundPending);
    world.announces(OrderStatus::Pending);
    world.run_for(mins(90));
    assert_eq!(world.sent(ActionKind::CancelRefund), 0);
}

#[test]
fn without_the_psps_help_or_its_leave_nothing_is_cancelled() {
    for may in [None, Some(false)] {
        let mut world = waiting_refund();
        world.shop_may_err = true;
        match may {
            None => {
                for traits in world.policy.accounts.values_mut() {
                    traits.cancels_refunds = false;
                }
            }
            Some(told) => {
                let now = world.now;
                for refund in world.paid(&pay("1")).refunds.values_mut() {
                    let told = crate::core::lattice::Stamped::new(now, told);
                    refund.may_be_cancelled = Some(told);
                }
                world.webhook(&pay("1"));
            }
        }
        confirms(&mut world, "1");
        assert_eq!(world.plan().reason, Reason::ConfirmedAfterRefund);
        world.run_for(mins(90));
        assert_eq!(world.sent(ActionKind::CancelRefund), 0);
    }
}

#[test]
fn an_order_that_dies_again_after_the_cancellation_gets_a_new_refund_for_good() {
    let mut world = waiting_refund();
    world.shop.not_yet = u32::MAX;
    world.announces(OrderStatus::Pending);
    world.run_to_reason(Reason::ConfirmDue);
    assert_eq!(world.sent(ActionKind::CancelRefund), 1);
    world.announces(OrderStatus::Cancelled);
    world.run_to_reason(Reason::RefundPending);
    assert_eq!(world.keys(ActionKind::Refund).len(), 2);
    world.announces(OrderStatus::Pending);
    world.run_for(mins(90));
    assert_eq!(world.sent(ActionKind::CancelRefund), 1);
    assert_eq!(world.refunds_made(), [(pay("1"), 5995)]);
}
