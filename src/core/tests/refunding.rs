//! The way back: evidence, keys, what the PSP says, what the shop is told.
//! Each test is a walk through a `World`, whose own books are checked at every step.

use super::world::{ACCOUNT, Fault, RefundWay, World, eur, external, mins, pay, secs};
use crate::core::fact::RulingKind;
use crate::core::order::OrderStatus;
use crate::core::payment::{DisputeState, Progress, RefundState};
use crate::core::plan::{ActionKind, Notice, Reason, Verdict};
use crate::core::time::Span;

/// Money for a cancelled order, on its way back.
fn orphan() -> World {
    let mut world = World::new();
    world.announces(OrderStatus::Cancelled);
    world.pays("1", eur(5995));
    world
}

#[test]
fn the_way_back_is_release_delay_last_look_refund_and_two_notices() {
    let mut world = orphan();
    world.run_to_reason(Reason::RefundDelayed);
    let plan = world.plan();
    assert_eq!(plan.in_suspense, [eur(5995)]);
    world.run_to(Verdict::Returned);
    world.run_for(Span::from_days(1));
    let told: Vec<_> = world.shop.notices.iter().map(|notice| notice.0).collect();
    assert_eq!(told, [Notice::RefundStarted, Notice::Refunded]);
    assert_eq!(world.sent(ActionKind::Refund), 1);
}

#[test]
fn s080_a_refund_that_timed_out_is_found_by_our_mark() {
    for fault in [Fault::AnswerLost, Fault::BadGateway, Fault::CrashAfter] {
        let mut world = orphan();
        world.run_to_reason(Reason::RefundDelayed);
        world.psp.faults.extend([Fault::None, fault]);
        world.run_to(Verdict::Returned);
        assert_eq!(world.refunds_made(), [(pay("1"), 5995)]);
        assert_eq!(world.sent(ActionKind::Refund), 1);
    }
}

#[test]
fn s080_a_refund_that_never_arrived_is_repeated_under_the_same_key() {
    for fault in [
        Fault::Lost,
        Fault::NotSent,
        Fault::Html,
        Fault::Throttled,
        Fault::Unauthorized,
        Fault::CrashBefore,
    ] {
        let mut world = orphan();
        world.run_to_reason(Reason::RefundDelayed);
        world.psp.faults.extend([Fault::None, fault]);
        world.run_to(Verdict::Returned);
        assert_eq!(world.sent(ActionKind::Refund), 2, "{fault:?}");
        assert_eq!(world.keys(ActionKind::Refund).len(), 1);
        assert_eq!(world.refunds_made().len(), 1);
    }
}

#[test]
fn s081_an_unclear_refund_is_read_back_however_long_we_were_off() {
    let mut world = orphan();
    world.run_to_reason(Reason::RefundDelayed);
    world.psp.faults.extend([Fault::None, Fault::AnswerLost]);
    world.run_to_reason(Reason::RefundUnclear);
    world.pass(Span::from_days(3));
    world.psp.keys.clear();
    world.run_to(Verdict::Returned);
    assert_eq!(world.refunds_made().len(), 1);
}

#[test]
fn s081_without_a_list_the_same_key_is_repeated_while_it_lives_and_then_held() {
    for (off, verdict) in [
        (mins(1), Verdict::Returned),
        (Span::from_days(3), Verdict::Held),
    ] {
        let mut world = orphan();
        let account = crate::core::ids::AccountId::parse(ACCOUNT).unwrap();
        let traits = world.policy.accounts.get_mut(&account).unwrap();
        traits.can_read = false;
        traits.can_list_refunds = false;
        world.run_to_reason(Reason::RefundDelayed);
        world.psp.faults.push_back(Fault::AnswerLost);
        world.run_to_reason(Reason::RefundUnclear);
        world.pass(off);
        let plan = world.run_to(verdict);
        assert_eq!(world.sent(ActionKind::Fetch), 0);
        assert_eq!(world.keys(ActionKind::Refund).len(), 1);
        if verdict == Verdict::Held {
            assert_eq!(plan.reason, Reason::UnreadablePayment);
            assert_eq!(world.sent(ActionKind::Refund), 1);
        }
    }
}

#[test]
fn s082_two_refunds_of_one_payment_never_exceed_it() {
    let mut world = orphan();
    world.run_to_reason(Reason::RefundDelayed);
    world.psp.faults.extend([Fault::None, Fault::CrashAfter]);
    world.run_to_reason(Reason::RefundDue);
    world.step();
    world.rules(RulingKind::Retry, &[]);
    world.run_to(Verdict::Returned);
    assert_eq!(world.refunds_made(), [(pay("1"), 5995)]);
}

#[test]
fn s083_a_staff_refund_while_we_decide_closes_the_case() {
    let mut world = orphan();
    world.run_to_reason(Reason::RefundDelayed);
    world.staff_refunds(&pay("1"), eur(5995), RefundState::Succeeded);
    let plan = world.run_to(Verdict::Returned);
    assert_eq!(plan.reason, Reason::Refunded);
    assert_eq!(world.sent(ActionKind::Refund), 0);
}

#[test]
fn s083_a_staff_refund_in_the_very_moment_is_the_goal_reached() {
    let mut world = orphan();
    world.during(ActionKind::Refund, |world| {
        world.staff_refunds(&pay("1"), eur(5995), RefundState::Succeeded);
    });
    world.run_to(Verdict::Returned);
    assert!(world.refunds_made().is_empty());
}

#[test]
fn s083_a_staff_refund_that_is_pending_is_followed_to_its_end() {
    let mut world = orphan();
    world.run_to_reason(Reason::RefundDelayed);
    world.staff_refunds(&pay("1"), eur(5995), RefundState::Pending);
    let plan = world.run_to_reason(Reason::RefundPending);
    assert_eq!(plan.in_suspense, [eur(5995)]);
    world.refunds_become(RefundState::Succeeded);
    world.run_to(Verdict::Returned);
    assert_eq!(world.sent(ActionKind::Refund), 0);
}

#[test]
fn s084_after_a_partial_staff_refund_only_the_rest_goes_back() {
    let mut world = orphan();
    world.run_to_reason(Reason::RefundDelayed);
    world.staff_refunds(&pay("1"), eur(2000), RefundState::Succeeded);
    world.run_to(Verdict::Returned);
    assert_eq!(world.refunds_made(), [(pay("1"), 3995)]);
}

#[test]
fn s084_a_partial_staff_refund_in_the_very_moment_is_held_and_then_ruled() {
    let mut world = orphan();
    world.during(ActionKind::Refund, |world| {
        world.staff_refunds(&pay("1"), eur(2000), RefundState::Succeeded);
    });
    let plan = world.run_to(Verdict::Held);
    assert_eq!(plan.reason, Reason::RefundRefused);
    assert_eq!(plan.in_suspense, [eur(3995)]);
    world.pass(mins(1));
    world.rules(RulingKind::Refund, &[]);
    world.run_to(Verdict::Returned);
    assert_eq!(world.refunds_made(), [(pay("1"), 3995)]);
    assert_eq!(world.keys(ActionKind::Refund).len(), 2);
}

#[test]
fn s085_a_staff_refund_after_the_confirm_is_told_to_the_shop_and_left_alone() {
    let mut world = World::new();
    world.announces(OrderStatus::Pending);
    world.pays("1", eur(5995));
    world.run_to(Verdict::Settled);
    world.run_for(Span::from_days(1));
    world.staff_refunds(&pay("1"), eur(5995), RefundState::Pending);
    world.webhook(&pay("1"));
    assert_eq!(world.plan().reason, Reason::RefundPending);
    world.refunds_become(RefundState::Succeeded);
    world.shop.down = Some(Fault::Lost);
    let plan = world.run_for(mins(5));
    assert_eq!(
        (plan.verdict, plan.reason),
        (Verdict::Held, Reason::RefundedAfterConfirm)
    );
    world.shop.down = None;
    let plan = world.run_to(Verdict::Settled);
    assert_eq!(plan.reason, Reason::RefundedAfterConfirm);
    let expected = (Notice::Held, pay("1"), Reason::RefundedAfterConfirm);
    assert_eq!(world.shop.notices, [expected]);
    assert_eq!(world.sent(ActionKind::Refund), 0);
    world.run_for(Span::from_days(1));
    assert_eq!(world.shop.notices.len(), 1);
}

#[test]
fn s086_a_disputed_orphan_is_held_until_the_dispute_is_won() {
    let mut world = orphan();
    world.dispute(&pay("1"), eur(5995), DisputeState::Open);
    let plan = world.run_for(Span::from_days(2));
    assert_eq!(
        (plan.verdict, plan.reason),
        (Verdict::Held, Reason::Disputed)
    );
    assert!(world.refunds_made().is_empty());
    world.dispute(&pay("1"), eur(5995), DisputeState::Won);
    world.run_to(Verdict::Returned);
}

#[test]
fn s087_a_chargeback_after_our_refund_is_held() {
    for state in [DisputeState::Open, DisputeState::Lost] {
        let mut world = orphan();
        world.run_to(Verdict::Returned);
        world.dispute(&pay("1"), eur(5995), state);
        let plan = world.plan();
        assert_eq!(
            (plan.verdict, plan.reason),
            (Verdict::Held, Reason::Disputed)
        );
    }
}

#[test]
fn s088_a_refund_that_waits_for_balance_is_not_sent_again() {
    for (way, reason) in [
        (RefundWay::WaitsForBalance, Reason::RefundWaitsForBalance),
        (RefundWay::StaysPending, Reason::RefundPending),
    ] {
        let mut world = orphan();
        world.psp.refund_way = way;
        world.run_to_reason(reason);
        let plan = world.run_for(Span::from_days(5));
        assert_eq!((plan.verdict, plan.reason), (Verdict::Refunding, reason));
        assert_eq!(world.sent(ActionKind::Refund), 1);
        assert!(world.sent(ActionKind::Fetch) < 200);
        world.refunds_become(RefundState::Succeeded);
        world.run_to(Verdict::Returned);
    }
}

#[test]
fn s088_a_refund_that_stays_pending_for_ever_is_held_and_followed() {
    for way in [RefundWay::WaitsForBalance, RefundWay::StaysPending] {
        let mut world = orphan();
        world.psp.refund_way = way;
        world.run_to_reason(match way {
            RefundWay::WaitsForBalance => Reason::RefundWaitsForBalance,
            RefundWay::Succeeds
            | RefundWay::StaysPending
            | RefundWay::Refused
            | RefundWay::RefusedWithinTheHour => Reason::RefundPending,
        });
        let plan = world.run_for(Span::from_days(13));
        assert_eq!(plan.verdict, Verdict::Refunding);
        let plan = world.run_for(Span::from_days(30));
        assert_eq!(
            (plan.verdict, plan.reason),
            (Verdict::Held, Reason::RefundStuck)
        );
        assert_eq!(plan.in_suspense, [eur(5995)]);
        assert_eq!(world.sent(ActionKind::Refund), 1, "never a second one");
        // Nobody told us of the end: it is found all the same.
        let paid = world.paid(&pay("1"));
        for refund in paid.refunds.values_mut() {
            refund.state = RefundState::Succeeded;
        }
        world.run_to(Verdict::Returned);
    }
}

#[test]
fn s063_a_second_equal_refund_within_the_hour_waits_past_the_block_and_is_made() {
    let mut world = World::new();
    world.shop.amount = Some(eur(4000));
    world.policy.late_payment = crate::core::policy::LatePayment::Refund;
    world.announces(OrderStatus::Cancelled);
    world.pays("1", eur(4000));
    // Staff gave half back a moment ago; the other half looks like the same refund again.
    world.staff_refunds(&pay("1"), eur(2000), RefundState::Succeeded);
    world.webhook(&pay("1"));
    world.psp.refund_way = RefundWay::RefusedWithinTheHour;
    let begun = world.now;
    world.run_to(Verdict::Returned);
    assert!(world.now >= begun.plus(Span::from_hours(1)), "waited");
    assert_eq!(world.refunds_made(), [(pay("1"), 2000)]);
    assert_eq!(world.sent(ActionKind::Refund), 2);
    assert_eq!(world.keys(ActionKind::Refund).len(), 1, "one decision");
    let kinds: Vec<ActionKind> = world.calls.iter().map(|(_, kind, _)| *kind).collect();
    let first = kinds.iter().position(|kind| *kind == ActionKind::Refund);
    let between = &kinds[first.unwrap() + 1..];
    let again = between.iter().position(|kind| *kind == ActionKind::Refund);
    let between = &between[..again.unwrap()];
    assert!(between.contains(&ActionKind::Fetch), "read back first");
}

#[test]
fn s063_a_refusal_that_meant_already_done_is_adopted() {
    let mut world = World::new();
    world.shop.amount = Some(eur(4000));
    world.policy.late_payment = crate::core::policy::LatePayment::Refund;
    world.announces(OrderStatus::Cancelled);
    world.pays("1", eur(4000));
    world.psp.refund_way = RefundWay::RefusedWithinTheHour;
    // Staff give back the very amount while our refund is on its way.
    world.during(ActionKind::Refund, |world| {
        world.staff_refunds(&pay("1"), eur(4000), RefundState::Succeeded);
    });
    let plan = world.run_for(mins(40));
    assert_eq!(plan.verdict, Verdict::Returned, "{:?}", plan.reason);
    assert_eq!(world.sent(ActionKind::Refund), 1);
    assert!(world.refunds_made().is_empty());
}

#[test]
fn s089_a_refund_that_fails_days_later_reopens_the_case_and_is_held() {
    let mut world = orphan();
    world.run_to(Verdict::Returned);
    world.run_for(Span::from_days(3));
    world.refunds_become(RefundState::Failed);
    let plan = world.run_for(mins(5));
    assert_eq!(
        (plan.verdict, plan.reason),
        (Verdict::Held, Reason::RefundFailed)
    );
    assert_eq!(plan.in_suspense, [eur(5995)]);
    assert!(
        world
            .shop
            .notices
            .iter()
            .any(|notice| notice.0 == Notice::RefundFailed)
    );
    assert_eq!(world.sent(ActionKind::Refund), 1);
    world.pass(secs(1));
    world.rules(RulingKind::Retry, &[]);
    world.run_to(Verdict::Returned);
    assert_eq!(
        world.keys(ActionKind::Refund).len(),
        2,
        "a new decision, a new key"
    );
}

#[test]
fn s089_a_failed_refund_that_staff_paid_out_is_no_longer_held() {
    let mut world = orphan();
    world.run_to(Verdict::Returned);
    world.refunds_become(RefundState::Failed);
    assert_eq!(world.plan().verdict, Verdict::Held);
    world.staff_refunds(&pay("1"), eur(5995), RefundState::Succeeded);
    world.webhook(&pay("1"));
    assert_eq!(world.plan().verdict, Verdict::Returned);
}

#[test]
fn s089_an_order_revived_after_the_failed_refund_is_confirmed() {
    let mut world = orphan();
    world.run_to(Verdict::Returned);
    world.refunds_become(RefundState::Failed);
    world.run_for(mins(1));
    world.announces(OrderStatus::Pending);
    world.run_to(Verdict::Settled);
}

#[test]
fn s090_money_that_cannot_be_refunded_is_held_before_any_try() {
    let mut world = orphan();
    world.paid(&pay("1")).is_refundable = Some(false);
    world.webhook(&pay("1"));
    let plan = world.run_for(Span::from_days(1));
    assert_eq!(
        (plan.verdict, plan.reason),
        (Verdict::Held, Reason::NotRefundable)
    );
    assert_eq!(world.sent(ActionKind::Refund), 0);
}

#[test]
fn s090_a_refund_that_the_psp_declines_is_held_after_one_try() {
    for can_read in [true, false] {
        let mut world = orphan();
        let account = crate::core::ids::AccountId::parse(ACCOUNT).unwrap();
        let traits = world.policy.accounts.get_mut(&account).unwrap();
        traits.can_read = can_read;
        traits.can_list_refunds = can_read;
        world.psp.refund_way = RefundWay::Refused;
        let plan = world.run_to(Verdict::Held);
        assert_eq!(plan.reason, Reason::RefundRefused);
        world.run_for(Span::from_days(1));
        assert_eq!(world.sent(ActionKind::Refund), 1);
    }
}

#[test]
fn s091_a_capture_that_slips_in_before_the_void_goes_back_as_a_refund() {
    let mut world = World::new();
    world.announces(OrderStatus::Cancelled);
    let payment = world.authorises("1", eur(5995));
    world.during(ActionKind::Void, |world| {
        let paid = world.paid(&pay("1"));
        paid.captured = eur(5995);
        paid.authorised = None;
        paid.progress = Progress::Taken;
    });
    world.run_to(Verdict::Returned);
    assert_eq!(world.refunds_made(), [(payment, 5995)]);
}

#[test]
fn a_void_that_the_psp_declines_is_held_after_one_try() {
    let mut world = World::new();
    world.announces(OrderStatus::Cancelled);
    let payment = world.authorises("1", eur(5995));
    let same = payment.clone();
    // For a moment the PSP is busy with it; afterwards it is as it was.
    world.during(ActionKind::Void, move |world| {
        world.paid(&same).progress = Progress::InFlight;
    });
    while world.sent(ActionKind::Void) == 0 {
        world.step();
    }
    world.paid(&payment).progress = Progress::Authorised;
    let plan = world.run_for(Span::from_days(1));
    assert_eq!(
        (plan.verdict, plan.reason),
        (Verdict::Held, Reason::RefundRefused)
    );
    assert_eq!(world.sent(ActionKind::Void), 1);
}

#[test]
fn a_void_that_the_psp_is_slow_to_show_is_watched_and_not_sent_again() {
    let mut world = World::new();
    world.announces(OrderStatus::Cancelled);
    let payment = world.authorises("1", eur(5995));
    while world.sent(ActionKind::Void) == 0 {
        world.step();
    }
    world.paid(&payment).progress = Progress::Authorised;
    let plan = world.run_for(Span::from_days(1));
    assert_eq!(
        (plan.verdict, plan.reason),
        (Verdict::Refunding, Reason::VoidDue)
    );
    assert!(world.calls.len() < 60, "{}", world.calls.len());
    assert_eq!(world.sent(ActionKind::Void), 1);
    world.paid(&payment).progress = Progress::Dead;
    world.run_to(Verdict::Closed);
}

#[test]
fn s091_a_void_whose_answer_is_lost_is_read_back() {
    for fault in [Fault::AnswerLost, Fault::Lost] {
        let mut world = World::new();
        world.announces(OrderStatus::Cancelled);
        let payment = world.authorises("1", eur(5995));
        world.run_to_reason(Reason::RefundDelayed);
        world.psp.faults.extend([Fault::None, fault]);
        world.run_to(Verdict::Closed);
        assert_eq!(world.paid(&payment).progress, Progress::Dead);
        assert_eq!(world.keys(ActionKind::Void).len(), 1);
    }
}

#[test]
fn an_authorisation_beside_returned_money_is_voided_too() {
    let mut world = orphan();
    world.authorises("2", eur(5995));
    world.run_for(Span::from_days(1));
    assert_eq!(world.refunds_made(), [(pay("1"), 5995)]);
    assert_eq!(world.paid(&pay("2")).progress, Progress::Dead);
    assert_eq!(world.plan().verdict, Verdict::Returned);
}

#[test]
fn s092_a_refund_above_the_limit_or_in_another_currency_is_held() {
    let usd = |minor| {
        let usd = crate::core::money::Currency::parse("USD").unwrap();
        crate::core::money::Money::new(minor, usd)
    };
    for paid in [eur(50_001), usd(100)] {
        let mut world = World::new();
        world.shop.amount = Some(paid);
        world.announces(OrderStatus::Cancelled);
        world.policy.late_payment = crate::core::policy::LatePayment::Refund;
        world.pays("1", paid);
        let plan = world.run_for(Span::from_days(1));
        assert_eq!(
            (plan.verdict, plan.reason),
            (Verdict::Held, Reason::AboveAutoRefundLimit)
        );
        world.rules(RulingKind::Refund, &["auto_refund_limit"]);
        world.run_to(Verdict::Returned);
    }
}

#[test]
fn s093_an_order_created_after_the_refund_is_held() {
    for way in [RefundWay::Succeeds, RefundWay::StaysPending] {
        let mut world = orphan();
        world.psp.refund_way = way;
        world.run_to_reason(match way {
            RefundWay::Succeeds => Reason::Refunded,
            RefundWay::StaysPending
            | RefundWay::WaitsForBalance
            | RefundWay::Refused
            | RefundWay::RefusedWithinTheHour => Reason::RefundPending,
        });
        world.shop_may_err = true;
        world.shop.paid_by = [pay("1")].into();
        world.announces(OrderStatus::Confirmed);
        let plan = world.run_for(Span::from_days(1));
        assert_eq!(
            (plan.verdict, plan.reason),
            (Verdict::Held, Reason::ConfirmedAfterRefund)
        );
        assert_eq!(world.sent(ActionKind::Refund), 1);
    }
}

#[test]
fn s077_a_stale_confirm_that_reaches_the_shop_after_the_refund_is_found_and_held() {
    // The confirm is queued in a proxy; nobody answers, and the order is given up.
    let mut world = World::new();
    world.announces(OrderStatus::Pending);
    world.pays("1", eur(5995));
    world.shop.faults.push_back(Fault::Lost);
    world.run_to_reason(Reason::ConfirmUnclear);
    world.announces(OrderStatus::Cancelled);
    world.run_to(Verdict::Returned);
    // The proxy delivers it to a shop that looks at neither its expiry nor its number, and that
    // tells nobody.
    world.shop_may_err = true;
    world.shop.status = OrderStatus::Confirmed;
    world.shop.names = false;
    let plan = world.run_for(mins(6));
    assert_eq!(
        (plan.verdict, plan.reason),
        (Verdict::Held, Reason::ConfirmedAfterRefund)
    );
    world.run_for(Span::from_days(1));
    let told: Vec<Notice> = world.shop.notices.iter().map(|told| told.0).collect();
    assert_eq!(
        told,
        [Notice::RefundStarted, Notice::Refunded, Notice::Held],
        "the shop hears that the money is gone"
    );
    assert_eq!(world.sent(ActionKind::Refund), 1);
}

#[test]
fn s077_a_refund_waits_until_a_lost_confirm_is_stale_and_its_release_has_the_greater_number() {
    let mut world = World::new();
    world.policy.refund_delay = Span::ZERO;
    world.announces(OrderStatus::Pending);
    world.pays("1", eur(5995));
    world.shop.faults.push_back(Fault::Lost);
    world.run_to_reason(Reason::ConfirmUnclear);
    let confirmed = world.decisions(ActionKind::Confirm);
    world.announces(OrderStatus::Cancelled);
    world.run_to(Verdict::Returned);
    let at = |kind| {
        let mut calls = world.calls.iter();
        calls.find(|call| call.1 == kind).map(|call| call.0)
    };
    let confirm = at(ActionKind::Confirm).unwrap();
    let stale = confirm.plus(crate::core::reconcile::CONFIRM_EXPIRES_AFTER);
    assert!(at(ActionKind::Refund) >= Some(stale));
    let released = world.decisions(ActionKind::Release);
    assert!(
        confirmed.last() < released.last(),
        "{confirmed:?} {released:?}"
    );
}

#[test]
fn s077_every_later_decision_has_a_greater_number_and_a_retry_has_the_same() {
    let mut world = World::new();
    world.policy.late_payment = crate::core::policy::LatePayment::Refund;
    world.announces(OrderStatus::Cancelled);
    world.pays("1", eur(5995));
    world.shop.faults.extend([Fault::Lost, Fault::Lost]);
    world.run_to_reason(Reason::RefundDelayed);
    world.pass(mins(1));
    world.announces(OrderStatus::Pending);
    world.shop.not_yet = 2;
    world.run_to(Verdict::Settled);
    let released = world.decisions(ActionKind::Release);
    let confirmed = world.decisions(ActionKind::Confirm);
    assert!(released.len() >= 2 && confirmed.len() >= 2);
    assert!(released.iter().all(|number| *number == released[0]));
    assert!(confirmed.iter().all(|number| *number == confirmed[0]));
    assert!(released[0] < confirmed[0]);
}

#[test]
fn a_voided_authorisation_of_a_confirmed_order_is_held() {
    let mut world = World::new();
    world.announces(OrderStatus::Cancelled);
    world.authorises("1", eur(5995));
    world.run_to(Verdict::Closed);
    world.announces(OrderStatus::Confirmed);
    let plan = world.plan();
    assert_eq!(
        (plan.verdict, plan.reason),
        (Verdict::Held, Reason::ConfirmedAfterRefund)
    );
}

#[test]
fn a_shop_that_keeps_tombstones_only_for_releases_is_understood() {
    let mut world = World::new();
    world.shop.status = OrderStatus::Unknown;
    world.shop.keeps_tombstones = true;
    world.pays("1", eur(5995));
    world.during(ActionKind::Release, |world| {
        world.during(ActionKind::LookUp, |world| {
            world.shop.status = OrderStatus::Unknown
        });
    });
    world.run_to(Verdict::Returned);
    assert_eq!(world.refunds_made(), [(pay("1"), 5995)]);
}

#[test]
fn evidence_outlives_a_psp_that_is_down_for_a_day() {
    let mut world = orphan();
    world.run_to_reason(Reason::RefundDelayed);
    let confirms = world.sent(ActionKind::Confirm);
    let releases = world.sent(ActionKind::Release);
    world.psp.down = Some(Fault::Throttled);
    world.run_for(Span::from_days(1));
    world.psp.down = None;
    world.run_to(Verdict::Returned);
    assert_eq!(
        world.sent(ActionKind::Confirm),
        confirms,
        "declined once is declined"
    );
    assert_eq!(world.sent(ActionKind::Release), releases);
}

#[test]
fn a_shop_that_will_not_give_the_order_up_is_held_when_patience_ends() {
    let mut world = World::new();
    world.shop.refuses_release = true;
    world.announces(OrderStatus::Pending);
    world.policy.underpayment = crate::core::policy::HoldOrRefund::Refund;
    world.pays("1", eur(4000));
    let plan = world.run_for(Span::from_hours(20));
    assert_eq!(plan.verdict, Verdict::Releasing);
    let plan = world.run_for(Span::from_hours(10));
    assert_eq!(
        (plan.verdict, plan.reason),
        (Verdict::Held, Reason::PatienceExhausted)
    );
    assert!(world.refunds_made().is_empty());
    assert!(world.sent(ActionKind::Release) < 100);
}

#[test]
fn a_psp_that_never_shows_the_whole_list_is_not_read_in_a_circle() {
    let mut world = orphan();
    let account = crate::core::ids::AccountId::parse(ACCOUNT).unwrap();
    world
        .policy
        .accounts
        .get_mut(&account)
        .unwrap()
        .can_list_refunds = false;
    world.run_to(Verdict::Returned);
    assert!(world.sent(ActionKind::Fetch) <= 3);
    assert!(
        world
            .paid(&pay("1"))
            .refunds
            .contains_key(&external("re_0"))
    );
}
