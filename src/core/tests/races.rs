//! Races beyond the table: late orders, stale words, slow clocks, and what must not grow.
//! The table itself, cell by cell, is `race_table`.

use super::world::{Fault, RefundWay, World, eur, mins, pay};
use crate::core::order::OrderStatus;
use crate::core::payment::RefundState;
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
    // A look and a question an hour while it is held, and more while patience lasts.
    let calls = world.calls.len();
    assert!(calls < 90 * 24 * 2 + 1_500, "{calls}");
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
