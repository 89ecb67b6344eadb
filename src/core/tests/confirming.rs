//! Asking the shop to confirm, and never believing silence.
//! Each test is a walk through a `World`; no rule of the decision is repeated here.

use super::world::{Fault, World, eur, mins, pay};
use crate::core::fact::RulingKind;
use crate::core::ids::PaymentRef;
use crate::core::order::OrderStatus;
use crate::core::plan::{ActionKind, Reason, Verdict};
use crate::core::time::Span;

fn paid_world() -> World {
    let mut world = World::new();
    world.announces(OrderStatus::Pending);
    world.pays("1", eur(5995));
    world
}

#[test]
fn the_ordinary_way_is_one_confirm_and_one_look_afterwards() {
    let mut world = paid_world();
    let plan = world.run_to(Verdict::Settled);
    assert_eq!(plan.reason, Reason::ConfirmedByShop);
    world.run_for(Span::from_days(60));
    assert_eq!(world.sent(ActionKind::Confirm), 1);
    assert_eq!(world.sent(ActionKind::LookUp), 1);
    assert_eq!(world.calls.len(), 2);
}

#[test]
fn s064_confirm_timed_out_but_the_shop_applied_it() {
    let mut world = paid_world();
    world.shop.faults.push_back(Fault::AnswerLost);
    world.run_to(Verdict::Settled);
    assert_eq!(world.sent(ActionKind::Confirm), 1);
    assert_eq!(world.sent(ActionKind::LookUp), 1);
}

#[test]
fn a_look_from_before_a_confirm_never_counts_as_younger_however_fast_the_clock_that_stamped_it() {
    for ahead in [Span::from_seconds(23), mins(90)] {
        for fault in [None, Some(Fault::AnswerLost), Some(Fault::CrashAfter)] {
            for is_on_its_way in [false, true] {
                let mut world = paid_world();
                world.shop.faults.extend(fault);
                if is_on_its_way {
                    world.during(ActionKind::Confirm, move |world| {
                        world.is_looked_at_ahead(ahead);
                    });
                } else {
                    world.is_looked_at_ahead(ahead);
                }
                world.run_to(Verdict::Settled);
                let told = (ahead, fault, is_on_its_way);
                assert_eq!(world.sent(ActionKind::Confirm), 1, "{told:?}");
            }
        }
    }
}

#[test]
fn s065_a_proxy_answered_502_after_the_shop_applied_it() {
    let mut world = paid_world();
    world.shop.faults.push_back(Fault::BadGateway);
    world.run_to(Verdict::Settled);
    assert_eq!(world.sent(ActionKind::Confirm), 1);
}

#[test]
fn s066_a_refused_connection_is_repeated_under_the_same_key() {
    let mut world = paid_world();
    world.shop.faults.extend([Fault::NotSent; 4]);
    world.run_to(Verdict::Settled);
    assert_eq!(world.sent(ActionKind::Confirm), 5);
    assert_eq!(world.keys(ActionKind::Confirm).len(), 1);
    assert_eq!(world.sent(ActionKind::LookUp), 0);
}

#[test]
fn s067_a_maintenance_page_is_no_answer_and_is_held_after_the_outage_patience() {
    let mut world = paid_world();
    world.shop.down = Some(Fault::Html);
    let plan = world.run_for(Span::from_hours(71));
    assert_eq!(plan.verdict, Verdict::Confirming);
    let plan = world.run_for(Span::from_hours(2));
    assert_eq!(
        (plan.verdict, plan.reason),
        (Verdict::Held, Reason::OutagePatienceExhausted)
    );
    assert_eq!(plan.in_suspense, [eur(5995)]);
    world.shop.down = None;
    world.run_to(Verdict::Settled);
}

#[test]
fn s068_one_unknown_of_a_lagging_replica_costs_nothing() {
    let mut world = World::new();
    world.shop.status = OrderStatus::Unknown;
    world.pays("1", eur(5995));
    world.run_for(mins(20));
    world.shop.status = OrderStatus::Pending;
    world.run_to(Verdict::Settled);
}

#[test]
fn s069_a_shop_that_was_down_for_fourteen_hours_confirms_afterwards() {
    for fault in [
        Fault::NotSent,
        Fault::Lost,
        Fault::BadGateway,
        Fault::Html,
        Fault::Throttled,
    ] {
        let mut world = paid_world();
        world.shop.down = Some(fault);
        let plan = world.run_for(Span::from_hours(14));
        assert_eq!(plan.verdict, Verdict::Confirming, "{fault:?}");
        assert!(!plan.safe_to_retry);
        world.shop.down = None;
        world.run_to(Verdict::Settled);
        assert!(world.refunds_made().is_empty());
    }
}

#[test]
fn s070_an_order_that_cannot_be_fulfilled_goes_back_after_the_delay() {
    let mut world = paid_world();
    world.shop.status = OrderStatus::Cancelled;
    let began = world.now;
    world.run_to(Verdict::Returned);
    assert!(world.now.since(began) >= mins(10));
    assert_eq!(world.refunds_made(), [(pay("1"), 5995)]);
    let kinds: Vec<_> = world.calls.iter().map(|call| call.1).collect();
    assert_eq!(
        kinds[..5],
        [
            ActionKind::Confirm,
            ActionKind::Release,
            ActionKind::LookUp,
            ActionKind::Fetch,
            ActionKind::Refund
        ]
    );
}

#[test]
fn s071_a_cancelled_order_whose_goods_left_is_held() {
    let mut world = paid_world();
    world.shop.is_fulfilled = Some(true);
    world.announces(OrderStatus::Cancelled);
    let plan = world.run_for(Span::from_days(2));
    assert_eq!(
        (plan.verdict, plan.reason),
        (Verdict::Held, Reason::CancelledButFulfilled)
    );
    assert!(world.refunds_made().is_empty());
    assert_eq!(world.sent(ActionKind::Release), 0);
}

#[test]
fn s072_an_order_in_fraud_review_never_ages_into_an_orphan() {
    let mut world = paid_world();
    world.shop.not_yet = 100_000;
    let plan = world.run_for(Span::from_hours(23));
    assert_eq!(
        (plan.verdict, plan.reason),
        (Verdict::Confirming, Reason::ShopSaysNotYet)
    );
    let plan = world.run_for(Span::from_days(9));
    assert_eq!(
        (plan.verdict, plan.reason),
        (Verdict::Held, Reason::PatienceExhausted)
    );
    assert!(world.refunds_made().is_empty());
    world.shop.not_yet = 0;
    world.run_to(Verdict::Settled);
}

#[test]
fn s073_an_order_already_paid_by_this_payment_needs_no_confirm() {
    let mut world = World::new();
    world.shop.paid_by = [pay("1")].into();
    world.announces(OrderStatus::Confirmed);
    world.pays("1", eur(5995));
    let plan = world.plan();
    assert_eq!(
        (plan.verdict, plan.reason),
        (Verdict::Settled, Reason::ConfirmedByShop)
    );
    assert_eq!(world.sent(ActionKind::Confirm), 0);
}

#[test]
fn s074_an_order_already_paid_by_another_payment_gives_this_one_back() {
    let mut world = World::new();
    world.shop.paid_by = [PaymentRef::parse("till", "elsewhere").unwrap()].into();
    world.announces(OrderStatus::Confirmed);
    world.pays("1", eur(5995));
    let plan = world.run_to(Verdict::Returned);
    assert_eq!(plan.reason, Reason::Duplicate);
    assert_eq!(world.refunds_made(), [(pay("1"), 5995)]);
    assert_eq!(world.sent(ActionKind::Release), 0);
}

#[test]
fn s074_a_name_that_nobody_has_shown_makes_no_duplicate_and_is_asked_about_and_held() {
    let mut world = World::new();
    // The same payment by another of its names, or another one that the PSP has not shown yet.
    world.shop.paid_by = [pay("another_name")].into();
    world.announces(OrderStatus::Confirmed);
    world.pays("1", eur(5995));
    let plan = world.plan();
    assert_eq!(
        (plan.verdict, plan.reason),
        (Verdict::Confirming, Reason::AwaitingRead)
    );
    let plan = world.run_to(Verdict::Held);
    assert_eq!(plan.reason, Reason::PaidByUnseen);
    world.run_for(Span::from_days(3));
    assert!(world.sent(ActionKind::Fetch) > 0, "it is asked about");
    assert!(world.refunds_made().is_empty());
    assert_eq!(world.sent(ActionKind::Confirm), 0);
}

#[test]
fn s074_once_the_named_payment_shows_its_money_the_other_one_goes_back() {
    let mut world = World::new();
    world.shop.paid_by = [pay("2")].into();
    world.announces(OrderStatus::Confirmed);
    world.pays("1", eur(5995));
    world.run_to_reason(Reason::PaidByUnseen);
    world.pays("2", eur(5995));
    world.run_to(Verdict::Settled);
    assert_eq!(world.refunds_made(), [(pay("1"), 5995)]);
}

#[test]
fn s075_a_shop_that_is_not_idempotent_is_asked_before_each_repeat() {
    let mut world = paid_world();
    world
        .shop
        .faults
        .extend([Fault::Lost, Fault::None, Fault::AnswerLost]);
    world.run_to(Verdict::Settled);
    let kinds: Vec<_> = world.calls.iter().map(|call| call.1).collect();
    assert_eq!(
        kinds,
        [
            ActionKind::Confirm,
            ActionKind::LookUp,
            ActionKind::Confirm,
            ActionKind::LookUp
        ]
    );
}

#[test]
fn s076_a_confirm_in_flight_blocks_the_way_back() {
    let mut world = paid_world();
    world.policy.late_payment = crate::core::policy::LatePayment::Refund;
    world.during(ActionKind::Confirm, |world| {
        world.announces(OrderStatus::Cancelled);
        world.pass(Span::from_hours(2));
        let plan = world.plan();
        assert_eq!(plan.verdict, Verdict::Confirming);
        assert!(
            plan.actions
                .iter()
                .all(|planned| planned.action.kind() != ActionKind::Release)
        );
        world.shop.status = OrderStatus::Pending;
    });
    world.run_to(Verdict::Settled);
    assert!(world.refunds_made().is_empty());
}

#[test]
fn s078_a_shop_that_confirms_by_itself_ends_the_refund_at_every_step() {
    for reason in [
        Reason::OrderCancelled,
        Reason::RefundDelayed,
        Reason::LastLook,
    ] {
        let mut world = paid_world();
        world.policy.late_payment = crate::core::policy::LatePayment::Refund;
        world.announces(OrderStatus::Cancelled);
        world.run_to_reason(reason);
        world.shop.paid_by = [pay("1")].into();
        world.shop.status = OrderStatus::Confirmed;
        world.run_to(Verdict::Settled);
        assert!(world.refunds_made().is_empty(), "{reason:?}");
    }
}

#[test]
fn s079_a_confirm_that_the_shop_rolled_back_is_found_and_repeated() {
    for lost in [OrderStatus::Pending, OrderStatus::Unknown] {
        let mut world = paid_world();
        world.run_to(Verdict::Settled);
        world.shop.status = lost;
        world.run_for(mins(6));
        if lost == OrderStatus::Unknown {
            // Never a refund on its account: it once said yes.
            let plan = world.run_for(Span::from_days(3));
            assert_eq!(
                (plan.verdict, plan.reason),
                (Verdict::Held, Reason::ConfirmWithdrawn)
            );
            assert!(world.refunds_made().is_empty());
            world.announces(OrderStatus::Pending);
        }
        world.run_to(Verdict::Settled);
        assert!(world.sent(ActionKind::Confirm) >= 2);
        assert_eq!(world.keys(ActionKind::Confirm).len(), 1);
    }
}

#[test]
fn s095_an_order_that_was_settled_is_never_refunded_because_the_shop_forgot_it() {
    let mut world = paid_world();
    world.run_to(Verdict::Settled);
    world.run_for(mins(10));
    world.announces(OrderStatus::Unknown);
    let plan = world.run_for(Span::from_days(5));
    assert_eq!(
        (plan.verdict, plan.reason),
        (Verdict::Held, Reason::ConfirmWithdrawn)
    );
    assert_eq!(plan.in_suspense, [eur(5995)]);
    assert_eq!(world.sent(ActionKind::Release), 0);
}

#[test]
fn a_confirmed_order_that_is_cancelled_later_is_held_for_whoever_cancelled_it() {
    let mut world = paid_world();
    world.run_to(Verdict::Settled);
    world.announces(OrderStatus::Cancelled);
    let plan = world.run_for(Span::from_days(2));
    assert_eq!(
        (plan.verdict, plan.reason),
        (Verdict::Held, Reason::ConfirmWithdrawn)
    );
    world.rules(RulingKind::Refund, &[]);
    world.shop_may_err = true;
    world.run_to(Verdict::Returned);
    assert_eq!(world.refunds_made(), [(pay("1"), 5995)]);
}

#[test]
fn a_released_order_that_is_pending_again_is_confirmed() {
    let mut world = World::new();
    world.shop.status = OrderStatus::Unknown;
    world.pays("1", eur(5995));
    world.run_to_reason(Reason::RefundDelayed);
    assert_eq!(world.sent(ActionKind::Release), 1);
    world.announces(OrderStatus::Pending);
    world.run_to(Verdict::Settled);
    assert!(world.refunds_made().is_empty());
}

#[test]
fn a_crash_at_a_confirm_leads_to_the_same_end() {
    for fault in [Fault::CrashBefore, Fault::CrashAfter] {
        let mut world = paid_world();
        world.shop.faults.push_back(fault);
        world.run_to(Verdict::Settled);
        assert_eq!(world.keys(ActionKind::Confirm).len(), 1);
    }
}

#[test]
fn a_shop_that_stumbles_every_few_hours_and_never_decides_is_held_all_the_same() {
    let mut world = paid_world();
    world.shop.not_yet = u32::MAX;
    let mut reasons = std::collections::BTreeSet::new();
    for _ in 0..30 {
        world.shop.faults.push_back(Fault::NotSent);
        let plan = world.run_for(Span::from_hours(4));
        reasons.insert(plan.reason);
    }
    assert!(reasons.contains(&Reason::PatienceExhausted), "{reasons:?}");
    assert!(reasons.contains(&Reason::ShopSaysNotYet), "{reasons:?}");
}

#[test]
fn a_held_order_is_looked_at_before_each_confirm_that_is_asked_for_again() {
    let mut world = paid_world();
    world.shop.not_yet = u32::MAX;
    world.run_to_reason(Reason::PatienceExhausted);
    let (began, before) = (world.now, world.calls.len());
    world.run_for(Span::from_hours(10));
    let kinds: Vec<_> = world.calls[before..].iter().map(|call| call.1).collect();
    let asked: Vec<_> = kinds
        .iter()
        .filter(|kind| matches!(kind, ActionKind::Confirm | ActionKind::LookUp))
        .collect();
    let confirms = asked.iter().filter(|kind| ***kind == ActionKind::Confirm);
    assert!((8..=10).contains(&confirms.count()), "{asked:?}");
    for pair in asked.windows(2) {
        let repeats = *pair[0] == ActionKind::Confirm && *pair[1] == ActionKind::Confirm;
        assert!(!repeats, "{asked:?} since {began:?}");
    }
    world.shop.not_yet = 0;
    world.run_to(Verdict::Settled);
}

#[test]
fn a_look_that_fails_is_looked_again_and_never_replaced_by_a_confirm_that_was_answered() {
    let mut world = paid_world();
    world.shop.not_yet = 1;
    world.run_to_reason(Reason::ShopSaysNotYet);
    // It confirms by itself, and would thank its customer again when asked.
    world.shop.status = OrderStatus::Confirmed;
    world.shop.paid_by = [pay("1")].into();
    for fault in [Fault::NotSent, Fault::Html] {
        world.shop.faults.push_back(fault);
    }
    world.run_to(Verdict::Settled);
    assert_eq!(world.sent(ActionKind::Confirm), 1);
}

/// Paid; what `edits` lowers to 49.95 while a confirm is under way was edited before the payment.
fn edited_before_it_was_paid() -> (World, impl Fn(&mut World)) {
    let mut world = World::new();
    world.announces(OrderStatus::Pending);
    world.pass(mins(1));
    let edited_at = world.now;
    world.pass(mins(1));
    world.pays("1", eur(5995));
    let edits = move |world: &mut World| {
        let key = world.calls.last().unwrap().2.clone();
        let asked = world.checkout.asks[&key].kind;
        assert_eq!(asked, ActionKind::Confirm);
        world.shop.amount = Some(eur(4995));
        world.shop_event(edited_at);
        // Its confirm would have another key.
        let plan = world.plan();
        let mut wanted = plan.actions.iter();
        assert!(
            wanted.all(|one| one.action.kind() != ActionKind::Confirm),
            "{plan:?}"
        );
        assert!(plan.wake_at.is_some());
    };
    (world, edits)
}

#[test]
fn an_order_that_is_edited_while_its_confirm_is_under_way_is_not_asked_twice_at_once() {
    for (fault, confirms) in [(Fault::None, 1), (Fault::AnswerLost, 1), (Fault::Lost, 2)] {
        let (mut world, edits) = edited_before_it_was_paid();
        world.shop.faults.push_back(fault);
        world.during(ActionKind::Confirm, edits);
        world.run_to(Verdict::Settled);
        assert_eq!(world.sent(ActionKind::Confirm), confirms, "{fault:?}");
        assert_eq!(world.refunds_made(), [(pay("1"), 1000)]);
    }
}

#[test]
fn a_held_order_that_is_edited_while_its_confirm_is_under_way_waits_for_its_end_as_well() {
    let (mut world, edits) = edited_before_it_was_paid();
    world.shop.not_yet = u32::MAX;
    world.run_to_reason(Reason::PatienceExhausted);
    world.during(ActionKind::Confirm, edits);
    world.run_for(Span::from_hours(3));
    world.shop.not_yet = 0;
    world.run_to(Verdict::Settled);
}
