//! The race table: what is in flight here, and what happens meanwhile.
//! Rows and columns are those of the catalogue; each cell is played both ways where it has two.

use super::world::{Fault, RefundWay, World, eur, mins, pay};
use crate::core::order::OrderStatus;
use crate::core::payment::{DisputeState, RefundState};
use crate::core::plan::{ActionKind, Reason, Verdict};
use crate::core::time::Span;

fn orphan() -> World {
    let mut world = World::new();
    world.announces(OrderStatus::Cancelled);
    world.pays("1", eur(5995));
    world
}

fn paid_world() -> World {
    let mut world = World::new();
    world.announces(OrderStatus::Pending);
    world.pays("1", eur(5995));
    world
}

/// The order is lost, its refund was sent, and nobody answers for a while.
fn refund_unanswered(applied: bool) -> World {
    let mut world = orphan();
    world.run_to_reason(Reason::RefundDelayed);
    let fault = if applied {
        Fault::AnswerLost
    } else {
        Fault::Lost
    };
    world.psp.faults.extend([Fault::None, fault]);
    world.run_to_reason(Reason::RefundUnclear);
    world
}

#[test]
fn refund_sent_and_the_shop_confirms_finishes_the_refund_and_holds() {
    for applied in [true, false] {
        let mut world = refund_unanswered(applied);
        world.shop_may_err = true;
        world.shop.paid_by = [pay("1")].into();
        world.announces(OrderStatus::Confirmed);
        let plan = world.plan();
        assert_eq!(
            (plan.verdict, plan.reason),
            (Verdict::Held, Reason::ConfirmedAfterRefund)
        );
        let plan = world.run_for(Span::from_days(1));
        assert_eq!(
            world.sent(ActionKind::Refund),
            1,
            "never repeated for a confirmed order"
        );
        if applied {
            assert_eq!(
                (plan.verdict, plan.reason),
                (Verdict::Held, Reason::ConfirmedAfterRefund)
            );
        } else {
            // Nothing had left: the shop's word stands, and the hold lifts by itself.
            assert_eq!(
                (plan.verdict, plan.reason),
                (Verdict::Settled, Reason::ConfirmedByShop)
            );
        }
    }
}

#[test]
fn refund_sent_and_staff_refund_meanwhile_stops_at_what_was_captured() {
    for applied in [true, false] {
        let mut world = refund_unanswered(applied);
        if !applied {
            world.staff_refunds(&pay("1"), eur(5995), RefundState::Succeeded);
        }
        world.run_to(Verdict::Returned);
        assert_eq!(world.left_at_psp(&pay("1")), 0);
    }
}

#[test]
fn refund_sent_and_a_dispute_opens_is_read_to_the_end_and_held() {
    let mut world = refund_unanswered(true);
    world.dispute(&pay("1"), eur(5995), DisputeState::Open);
    let plan = world.run_for(Span::from_days(1));
    assert_eq!(
        (plan.verdict, plan.reason),
        (Verdict::Held, Reason::Disputed)
    );
    assert_eq!(world.sent(ActionKind::Refund), 1);
}

#[test]
fn a_dispute_that_opens_during_the_delay_stops_the_refund() {
    let mut world = orphan();
    world.run_to_reason(Reason::RefundDelayed);
    world.dispute(&pay("1"), eur(5995), DisputeState::Open);
    let plan = world.run_for(Span::from_days(2));
    assert_eq!(
        (plan.verdict, plan.reason),
        (Verdict::Held, Reason::Disputed)
    );
    assert_eq!(world.sent(ActionKind::Refund), 0);
}

#[test]
fn a_dispute_found_only_by_the_last_read_stops_the_refund() {
    let mut world = orphan();
    world.run_to_reason(Reason::RefundDelayed);
    let dispute = crate::core::payment::Dispute {
        amount: eur(5995),
        state: DisputeState::Open,
    };
    world
        .paid(&pay("1"))
        .disputes
        .insert(super::world::external("dp_1"), dispute);
    let plan = world.run_for(Span::from_days(2));
    assert_eq!(
        (plan.verdict, plan.reason),
        (Verdict::Held, Reason::Disputed)
    );
}

#[test]
fn an_order_that_comes_during_the_delay_is_confirmed() {
    let mut world = World::new();
    world.shop.status = OrderStatus::Unknown;
    world.pays("1", eur(5995));
    world.run_to_reason(Reason::RefundDelayed);
    world.announces(OrderStatus::Pending);
    world.run_to(Verdict::Settled);
    assert!(world.refunds_made().is_empty());
}

#[test]
fn an_order_that_comes_unannounced_during_the_delay_is_found_by_the_last_look() {
    let mut world = World::new();
    world.shop.status = OrderStatus::Unknown;
    world.pays("1", eur(5995));
    world.run_to_reason(Reason::RefundDelayed);
    world.shop.status = OrderStatus::Pending;
    world.run_to(Verdict::Settled);
    assert!(world.refunds_made().is_empty());
}

#[test]
fn a_stale_cancelled_event_does_not_undo_a_newer_confirm() {
    let mut world = paid_world();
    let before = world.now;
    world.run_to(Verdict::Settled);
    world.shop.status = OrderStatus::Cancelled;
    world.shop_event(before);
    world.shop.status = OrderStatus::Confirmed;
    assert_eq!(world.plan().verdict, Verdict::Settled);
}

#[test]
fn a_confirm_event_stamped_by_a_slow_shop_clock_is_found_before_money_leaves() {
    let mut world = orphan();
    world.run_to_reason(Reason::RefundDelayed);
    world.shop.paid_by = [pay("1")].into();
    world.shop.status = OrderStatus::Confirmed;
    let slow = world.now.minus(mins(30));
    world.shop_event(slow);
    world.run_to(Verdict::Settled);
    assert!(world.refunds_made().is_empty());
}

#[test]
fn a_second_payment_while_the_refund_of_the_first_is_unclear_is_decided_afterwards() {
    let mut world = refund_unanswered(true);
    world.shop.revives = true;
    world.pays("2", eur(5995));
    assert_eq!(world.plan().reason, Reason::RefundUnclear);
    world.run_to(Verdict::Settled);
    assert_eq!(world.shop.paid_by, [pay("2")].into());
    assert_eq!(world.refunds_made(), [(pay("1"), 5995)]);
}

#[test]
fn a_second_payment_does_not_wait_for_days_until_the_first_is_paid_out() {
    for revives in [true, false] {
        let mut world = orphan();
        world.psp.refund_way = RefundWay::StaysPending;
        world.run_to_reason(Reason::RefundPending);
        world.shop.revives = revives;
        world.pass(mins(1));
        world.pays("2", eur(5995));
        world.run_for(Span::from_days(1));
        let back = world.refunds_made();
        if revives {
            assert_eq!(world.shop.status, OrderStatus::Confirmed);
            assert_eq!(back, [(pay("1"), 5995)]);
        } else {
            assert_eq!(back, [(pay("1"), 5995), (pay("2"), 5995)]);
        }
        assert_eq!(world.plan().verdict, Verdict::Refunding);
        world.refunds_become(RefundState::Succeeded);
        world.run_to(if revives {
            Verdict::Settled
        } else {
            Verdict::Returned
        });
    }
}

#[test]
fn confirm_unanswered_and_staff_refund_reads_the_shop_back_first() {
    for applied in [true, false] {
        let mut world = paid_world();
        let fault = if applied {
            Fault::AnswerLost
        } else {
            Fault::Lost
        };
        world.shop.faults.push_back(fault);
        world.run_to_reason(Reason::ConfirmUnclear);
        world.staff_refunds(&pay("1"), eur(5995), RefundState::Succeeded);
        world.webhook(&pay("1"));
        assert_eq!(world.plan().reason, Reason::ConfirmUnclear);
        let plan = world.run_for(mins(30));
        let expected = if applied {
            (Verdict::Settled, Reason::RefundedAfterConfirm)
        } else {
            (Verdict::Returned, Reason::Refunded)
        };
        assert_eq!((plan.verdict, plan.reason), expected);
        assert_eq!(world.shop.notices.len(), usize::from(applied));
        assert_eq!(world.sent(ActionKind::Confirm), 1);
    }
}

#[test]
fn confirm_unanswered_and_a_dispute_opens_is_held_and_read_back() {
    for applied in [true, false] {
        let mut world = paid_world();
        let fault = if applied {
            Fault::AnswerLost
        } else {
            Fault::Lost
        };
        world.shop.faults.push_back(fault);
        world.run_to_reason(Reason::ConfirmUnclear);
        world.dispute(&pay("1"), eur(5995), DisputeState::Open);
        let plan = world.plan();
        assert_eq!(
            (plan.verdict, plan.reason),
            (Verdict::Held, Reason::Disputed)
        );
        let plan = world.run_for(mins(30));
        let expected = if applied {
            (Verdict::Settled, Reason::ConfirmedDisputed)
        } else {
            (Verdict::Held, Reason::Disputed)
        };
        assert_eq!((plan.verdict, plan.reason), expected);
    }
}

#[test]
fn confirm_unanswered_and_the_shop_cancels_is_refunded_only_if_it_never_applied() {
    for applied in [true, false] {
        let mut world = paid_world();
        let fault = if applied {
            Fault::AnswerLost
        } else {
            Fault::Lost
        };
        world.shop.faults.push_back(fault);
        world.run_to_reason(Reason::ConfirmUnclear);
        if applied {
            // The shop tells of its confirm before it cancels.
            world.announces(OrderStatus::Confirmed);
            world.pass(mins(1));
        }
        world.announces(OrderStatus::Cancelled);
        let plan = world.run_for(Span::from_days(1));
        let expected = if applied {
            Verdict::Held
        } else {
            Verdict::Returned
        };
        assert_eq!(plan.verdict, expected);
        assert_eq!(world.refunds_made().is_empty(), applied);
    }
}

#[test]
fn confirm_unanswered_and_a_second_payment_confirms_one_and_returns_the_other() {
    for fault in [Fault::AnswerLost, Fault::Lost] {
        let mut world = paid_world();
        world.shop.faults.push_back(fault);
        world.run_to_reason(Reason::ConfirmUnclear);
        world.pays("2", eur(5995));
        world.run_to(Verdict::Settled);
        assert_eq!(world.refunds_made(), [(pay("2"), 5995)]);
        assert_eq!(world.shop.paid_by, [pay("1")].into());
    }
}

#[test]
fn void_unanswered_and_the_shop_confirms_is_held_only_if_the_authorisation_is_gone() {
    for applied in [true, false] {
        let mut world = World::new();
        world.announces(OrderStatus::Cancelled);
        world.authorises("1", eur(5995));
        world.run_to_reason(Reason::RefundDelayed);
        let fault = if applied {
            Fault::AnswerLost
        } else {
            Fault::Lost
        };
        world.psp.faults.extend([Fault::None, fault]);
        while world.sent(ActionKind::Void) == 0 {
            world.step();
        }
        world.announces(OrderStatus::Confirmed);
        let plan = world.run_for(mins(30));
        let expected = if applied {
            (Verdict::Held, Reason::ConfirmedAfterRefund)
        } else {
            (Verdict::Open, Reason::AwaitingCapture)
        };
        assert_eq!((plan.verdict, plan.reason), expected);
        assert_eq!(world.sent(ActionKind::Void), 1);
    }
}

#[test]
fn a_refund_of_an_excess_goes_on_while_the_shop_repeats_itself() {
    let mut world = paid_world();
    world.pays("2", eur(5995));
    world.psp.refund_way = RefundWay::StaysPending;
    world.run_to_reason(Reason::RefundPending);
    for _ in 0..60 {
        world.pass(mins(1));
        world.announces(OrderStatus::Confirmed);
        assert_eq!(world.plan().reason, Reason::RefundPending);
    }
    world.refunds_become(RefundState::Succeeded);
    for _ in 0..60 {
        world.pass(mins(1));
        world.announces(OrderStatus::Confirmed);
        assert_eq!(world.plan().verdict, Verdict::Settled);
    }
}

#[test]
fn nothing_grows_without_bound_in_a_year_of_a_shop_that_never_decides() {
    let mut world = paid_world();
    world.shop.not_yet = u32::MAX;
    world.run_for(Span::from_days(30));
    let size = serde_json::to_string(&world.checkout).unwrap().len();
    world.run_for(Span::from_days(60));
    let later = serde_json::to_string(&world.checkout).unwrap().len();
    assert!(later < size + 512, "{size} {later}");
    assert!(world.calls.len() < 4000);
}

#[test]
fn an_order_that_was_alive_in_between_must_be_released_anew() {
    let mut world = orphan();
    world.policy.late_payment = crate::core::policy::LatePayment::Refund;
    world.run_to_reason(Reason::RefundDelayed);
    assert_eq!(world.sent(ActionKind::Release), 1);
    world.pass(mins(1));
    world.announces(OrderStatus::Pending);
    world.pass(mins(1));
    world.announces(OrderStatus::Cancelled);
    world.run_to(Verdict::Returned);
    assert_eq!(world.sent(ActionKind::Release), 2);
}

#[test]
fn a_release_is_remembered_however_often_the_order_is_looked_at() {
    let mut world = orphan();
    world.run_to_reason(Reason::RefundDelayed);
    for _ in 0..100 {
        world.pass(mins(1));
        world.announces(OrderStatus::Cancelled);
    }
    world.run_to(Verdict::Returned);
    assert_eq!(world.sent(ActionKind::Release), 1);
}

#[test]
fn a_refund_that_never_left_and_is_too_much_by_now_goes_under_a_key_of_its_own() {
    let mut world = orphan();
    world.run_to_reason(Reason::RefundDelayed);
    world.psp.faults.extend([Fault::None, Fault::NotSent]);
    while world.sent(ActionKind::Refund) == 0 {
        world.step();
    }
    world.staff_refunds(&pay("1"), eur(2000), RefundState::Succeeded);
    world.run_to(Verdict::Returned);
    assert_eq!(world.refunds_made(), [(pay("1"), 3995)]);
    assert_eq!(
        world.keys(ActionKind::Refund).len(),
        2,
        "a key means one amount"
    );
}

#[test]
fn a_third_payment_goes_back_while_the_second_is_still_being_paid_out() {
    let mut world = paid_world();
    world.pays("2", eur(5995));
    world.psp.refund_way = RefundWay::StaysPending;
    world.run_to_reason(Reason::RefundPending);
    world.pays("3", eur(5995));
    world.run_for(mins(30));
    assert_eq!(world.refunds_made(), [(pay("2"), 5995), (pay("3"), 5995)]);
}

#[test]
fn a_psp_that_shows_its_list_only_in_part_is_asked_at_a_walking_pace() {
    let mut world = orphan();
    world.psp.hides_list = true;
    let plan = world.run_for(Span::from_hours(2));
    assert_eq!(
        (plan.verdict, plan.reason),
        (Verdict::Refunding, Reason::LastLook)
    );
    assert!(world.calls.len() < 400, "{}", world.calls.len());
    assert!(world.refunds_made().is_empty());
    world.psp.hides_list = false;
    world.run_to(Verdict::Returned);
}
