//! The race table: what is in flight here (row), and what happens meanwhile (column).
//!
//! One test per cell, `r<row><column>`; rows: 1 waiting for proofs, 2 confirm sent, 3 refund
//! decided, 4 refund sent, 5 void sent; columns: 1 the shop confirms itself, 2 the shop cancels,
//! 3 staff refund, 4 a dispute opens, 5 a late "failed", 6 we crash, 7 a second payment succeeds.
//! Where a call got no answer, each cell is played with and without its effect.

use super::world::{Fault, World, eur, mins, pay, secs};
use crate::core::order::OrderStatus;
use crate::core::payment::{DisputeState, Progress, RefundState};
use crate::core::plan::{ActionKind, Notice, Plan, Reason, Verdict};
use crate::core::time::Span;

const PRICE: i64 = 5995;

fn paid() -> World {
    let mut world = World::new();
    world.announces(OrderStatus::Pending);
    world.pays("1", eur(PRICE));
    world
}

/// Row 1: money is here, the shop knew nothing of the order when it was first asked.
fn waiting() -> World {
    let mut world = World::new();
    world.shop.status = OrderStatus::Unknown;
    world.pays("1", eur(PRICE));
    world.run_for(mins(5));
    assert_eq!(world.plan().verdict, Verdict::Matching);
    world
}

fn unanswered(applied: bool) -> Fault {
    if applied {
        Fault::AnswerLost
    } else {
        Fault::Lost
    }
}

/// Row 2: a confirm left and nobody has answered.
fn confirm_sent(applied: bool) -> World {
    let mut world = paid();
    world.shop.faults.push_back(unanswered(applied));
    world.run_to_reason(Reason::ConfirmUnclear);
    world
}

fn orphan() -> World {
    let mut world = World::new();
    world.announces(OrderStatus::Cancelled);
    world.pays("1", eur(PRICE));
    world
}

/// Row 3: the refund is decided and may still be stopped.
fn refund_decided() -> World {
    let mut world = orphan();
    world.run_to_reason(Reason::RefundDelayed);
    world
}

/// Row 4: the refund left and nobody has answered.
fn refund_sent(applied: bool) -> World {
    let mut world = refund_decided();
    world.psp.faults.extend([Fault::None, unanswered(applied)]);
    world.run_to_reason(Reason::RefundUnclear);
    world
}

/// Row 5: the void left and nobody has answered.
fn void_sent(applied: bool) -> World {
    let mut world = World::new();
    world.announces(OrderStatus::Cancelled);
    world.authorises("1", eur(PRICE));
    world.run_to_reason(Reason::RefundDelayed);
    world.psp.faults.extend([Fault::None, unanswered(applied)]);
    while world.sent(ActionKind::Void) == 0 {
        world.step();
    }
    world
}

/// The shop confirms by itself with this payment and says so.
fn shop_confirms(world: &mut World, name: &str) {
    world.shop.paid_by = [pay(name)].into();
    world.announces(OrderStatus::Confirmed);
}

/// The PSP takes the money of a payment back without a refund: what was paid is not paid.
fn psp_takes_back(world: &mut World, name: &str) {
    let paid = world.paid(&pay(name));
    paid.captured = eur(0);
    paid.progress = Progress::Dead;
}

fn is_at(plan: &Plan, verdict: Verdict, reason: Reason) {
    assert_eq!((plan.verdict, plan.reason), (verdict, reason));
}

fn notices(world: &World, wanted: Notice) -> usize {
    let told = world.shop.notices.iter();
    told.filter(|(notice, _, _)| *notice == wanted).count()
}

#[test]
fn r11_waiting_and_the_shop_confirms_itself_settles_and_asks_no_more() {
    let mut world = waiting();
    shop_confirms(&mut world, "1");
    is_at(&world.plan(), Verdict::Settled, Reason::ConfirmedByShop);
    let calls = world.calls.len();
    world.run_for(Span::from_days(30));
    assert_eq!(world.calls.len(), calls, "nothing more to ask");
    assert!(world.refunds_made().is_empty());
}

#[test]
fn r12_waiting_and_the_shop_cancels_is_refunded_after_it_was_asked_again() {
    let mut world = waiting();
    world.announces(OrderStatus::Cancelled);
    let cancelled_at = world.now;
    world.run_to(Verdict::Returned);
    assert_eq!(world.refunds_made(), [(pay("1"), PRICE)]);
    let asked = |kind| {
        let mut calls = world.calls.iter();
        calls.any(|(at, known, _)| *known == kind && *at >= cancelled_at)
    };
    assert!(asked(ActionKind::Release) && asked(ActionKind::LookUp));
}

#[test]
fn r13_waiting_and_staff_refund_closes_and_is_never_confirmed() {
    for is_told in [true, false] {
        let mut world = waiting();
        world.staff_refunds(&pay("1"), eur(PRICE), RefundState::Succeeded);
        if is_told {
            world.webhook(&pay("1"));
        }
        world.run_to(Verdict::Returned);
        // The order comes after all: there is no money for it any more.
        world.announces(OrderStatus::Pending);
        world.run_for(Span::from_days(2));
        assert_eq!(world.sent(ActionKind::Confirm), 0, "{is_told}");
        assert_eq!(world.sent(ActionKind::Refund), 0, "{is_told}");
    }
}

#[test]
fn r14_waiting_and_a_dispute_opens_is_held() {
    for appears in [true, false] {
        let mut world = waiting();
        world.dispute(&pay("1"), eur(PRICE), DisputeState::Open);
        if appears {
            world.announces(OrderStatus::Pending);
        }
        let plan = world.run_for(Span::from_days(2));
        is_at(&plan, Verdict::Held, Reason::Disputed);
        let moved = (
            world.sent(ActionKind::Confirm),
            world.sent(ActionKind::Refund),
        );
        assert_eq!(moved, (0, 0), "{appears}");
    }
}

#[test]
fn r15_waiting_and_a_late_failed_is_decided_by_reading_again() {
    for is_true in [true, false] {
        let mut world = waiting();
        if is_true {
            psp_takes_back(&mut world, "1");
        }
        world.says_failed(&pay("1"));
        world.announces(OrderStatus::Pending);
        let plan = world.plan();
        is_at(&plan, Verdict::Confirming, Reason::AwaitingRead);
        let plan = world.run_for(Span::from_days(2));
        if is_true {
            is_at(&plan, Verdict::Held, Reason::MoneyDenied);
            assert_eq!(world.sent(ActionKind::Confirm), 0);
        } else {
            is_at(&plan, Verdict::Settled, Reason::ConfirmedByShop);
        }
        assert!(world.refunds_made().is_empty());
    }
}

#[test]
fn r16_waiting_and_a_crash_resumes_the_clock_where_it_was() {
    let end = |crash: Option<Fault>| {
        let mut world = World::new();
        world.shop.status = OrderStatus::Unknown;
        world.pays("1", eur(PRICE));
        world.run_for(mins(5));
        if let Some(fault) = crash {
            world.shop.faults.push_back(fault);
        }
        world.restarts();
        world.run_to_reason(Reason::RefundDelayed);
        world.restarts();
        world.run_to(Verdict::Returned);
        assert_eq!(world.refunds_made(), [(pay("1"), PRICE)]);
        world.now
    };
    let calm = end(None);
    for fault in [Fault::CrashBefore, Fault::CrashAfter] {
        let crashed = end(Some(fault));
        // A question that was lost starts the clock of the shop's silence anew, and no other.
        assert!(crashed <= calm.plus(mins(20)), "{fault:?}");
        assert!(crashed >= calm, "{fault:?}");
    }
}

#[test]
fn r17_waiting_and_a_second_payment_are_decided_together() {
    for appears in [true, false] {
        let mut world = waiting();
        world.pays("2", eur(PRICE));
        if appears {
            world.announces(OrderStatus::Pending);
            world.run_to(Verdict::Settled);
            assert_eq!(world.shop.paid_by, [pay("1")].into());
            assert_eq!(world.refunds_made(), [(pay("2"), PRICE)]);
        } else {
            world.run_to(Verdict::Returned);
            assert_eq!(world.refunds_made(), [(pay("1"), PRICE), (pay("2"), PRICE)]);
        }
    }
}

#[test]
fn r21_confirm_sent_and_the_shop_confirms_itself_settles_once() {
    for applied in [true, false] {
        let mut world = confirm_sent(applied);
        shop_confirms(&mut world, "1");
        world.run_to(Verdict::Settled);
        world.run_for(Span::from_days(1));
        assert_eq!(world.sent(ActionKind::Confirm), 1, "{applied}");
        assert!(world.refunds_made().is_empty());
    }
}

#[test]
fn r22_confirm_sent_and_the_shop_cancels_is_refunded_only_if_it_never_applied() {
    for applied in [true, false] {
        let mut world = confirm_sent(applied);
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
fn r23_confirm_sent_and_staff_refund_reads_the_shop_back_and_tells_it() {
    for applied in [true, false] {
        let mut world = confirm_sent(applied);
        world.staff_refunds(&pay("1"), eur(PRICE), RefundState::Succeeded);
        world.webhook(&pay("1"));
        assert_eq!(world.plan().reason, Reason::ConfirmUnclear);
        let plan = world.run_for(mins(30));
        if applied {
            is_at(&plan, Verdict::Settled, Reason::RefundedAfterConfirm);
        } else {
            is_at(&plan, Verdict::Returned, Reason::Refunded);
        }
        assert_eq!(notices(&world, Notice::Held), usize::from(applied));
        assert_eq!(world.sent(ActionKind::Confirm), 1);
        assert_eq!(world.sent(ActionKind::Refund), 0);
    }
}

#[test]
fn r24_confirm_sent_and_a_dispute_opens_is_held_read_back_and_told() {
    for applied in [true, false] {
        let mut world = confirm_sent(applied);
        world.dispute(&pay("1"), eur(PRICE), DisputeState::Open);
        is_at(&world.plan(), Verdict::Held, Reason::Disputed);
        let plan = world.run_for(mins(30));
        if applied {
            is_at(&plan, Verdict::Settled, Reason::ConfirmedDisputed);
        } else {
            is_at(&plan, Verdict::Held, Reason::Disputed);
            assert_eq!(world.sent(ActionKind::Confirm), 1, "no second try");
        }
        assert_eq!(notices(&world, Notice::Held), 1, "the shop is told");
        assert_eq!(world.sent(ActionKind::Refund), 0);
    }
}

#[test]
fn r25_confirm_sent_and_a_late_failed_is_decided_by_reading_again() {
    for applied in [true, false] {
        for is_true in [true, false] {
            let mut world = confirm_sent(applied);
            if is_true {
                psp_takes_back(&mut world, "1");
            }
            world.says_failed(&pay("1"));
            let plan = world.run_for(Span::from_days(1));
            if is_true {
                is_at(&plan, Verdict::Held, Reason::MoneyDenied);
                assert_eq!(world.sent(ActionKind::Confirm), 1, "not said again");
                assert!(world.sent(ActionKind::LookUp) > 0, "but read back");
            } else {
                is_at(&plan, Verdict::Settled, Reason::ConfirmedByShop);
            }
            assert!(world.refunds_made().is_empty());
        }
    }
}

#[test]
fn r26_confirm_sent_and_a_crash_reads_back_and_keeps_the_key() {
    for fault in [Fault::CrashBefore, Fault::CrashAfter] {
        let mut world = paid();
        world.shop.faults.push_back(fault);
        world.run_to_reason(Reason::ConfirmUnclear);
        world.restarts();
        world.run_to(Verdict::Settled);
        let order: Vec<ActionKind> = world.calls.iter().map(|(_, kind, _)| *kind).collect();
        assert_eq!(order[..2], [ActionKind::Confirm, ActionKind::LookUp]);
        assert_eq!(world.keys(ActionKind::Confirm).len(), 1);
        let confirms = if fault == Fault::CrashAfter { 1 } else { 2 };
        assert_eq!(world.sent(ActionKind::Confirm), confirms);
    }
}

#[test]
fn r27_confirm_sent_and_a_second_payment_confirms_the_first_and_returns_the_second() {
    for applied in [true, false] {
        let mut world = confirm_sent(applied);
        world.pays("2", eur(PRICE));
        world.run_to(Verdict::Settled);
        assert_eq!(world.refunds_made(), [(pay("2"), PRICE)]);
        assert_eq!(world.shop.paid_by, [pay("1")].into());
    }
}

#[test]
fn r31_refund_decided_and_the_shop_confirms_itself_cancels_the_refund() {
    for is_told in [true, false] {
        let mut world = refund_decided();
        world.shop.paid_by = [pay("1")].into();
        if is_told {
            world.announces(OrderStatus::Confirmed);
        } else {
            // Found only by the last look.
            world.shop.status = OrderStatus::Confirmed;
        }
        world.run_to(Verdict::Settled);
        world.run_for(Span::from_days(1));
        assert_eq!(world.sent(ActionKind::Refund), 0, "{is_told}");
    }
}

#[test]
fn r32_refund_decided_and_the_shop_cancels_once_more_is_refunded_once() {
    let mut world = refund_decided();
    world.pass(mins(1));
    world.announces(OrderStatus::Cancelled);
    world.run_to(Verdict::Returned);
    assert_eq!(world.refunds_made(), [(pay("1"), PRICE)]);
    assert_eq!(
        world.sent(ActionKind::Release),
        1,
        "given up once is enough"
    );
}

#[test]
fn r33_refund_decided_and_staff_refund_closes_the_case() {
    for is_told in [true, false] {
        let mut world = refund_decided();
        world.staff_refunds(&pay("1"), eur(PRICE), RefundState::Succeeded);
        if is_told {
            world.webhook(&pay("1"));
        }
        world.run_to(Verdict::Returned);
        assert_eq!(world.sent(ActionKind::Refund), 0, "{is_told}");
        assert_eq!(world.left_at_psp(&pay("1")), 0);
    }
}

#[test]
fn r34_refund_decided_and_a_dispute_opens_is_held() {
    for is_told in [true, false] {
        let mut world = refund_decided();
        if is_told {
            world.dispute(&pay("1"), eur(PRICE), DisputeState::Open);
        } else {
            // Found only by the last read.
            world.dispute_unseen(&pay("1"), eur(PRICE), DisputeState::Open);
        }
        let plan = world.run_for(Span::from_days(2));
        is_at(&plan, Verdict::Held, Reason::Disputed);
        assert_eq!(world.sent(ActionKind::Refund), 0, "{is_told}");
    }
}

#[test]
fn r35_refund_decided_and_a_late_failed_is_decided_by_reading_again() {
    let mut stale = refund_decided();
    stale.says_failed(&pay("1"));
    stale.run_to(Verdict::Returned);
    assert_eq!(stale.refunds_made(), [(pay("1"), PRICE)]);

    // Taken back by the bank: there is nothing to give, and the case is closed.
    let mut reversed = refund_decided();
    reversed.dispute_unseen(&pay("1"), eur(PRICE), DisputeState::Lost);
    reversed.says_failed(&pay("1"));
    let plan = reversed.run_for(Span::from_days(2));
    is_at(&plan, Verdict::Returned, Reason::ChargedBack);
    assert_eq!(reversed.sent(ActionKind::Refund), 0);

    // Gone without a name: nobody gives back what may not be there.
    let mut denied = refund_decided();
    psp_takes_back(&mut denied, "1");
    denied.says_failed(&pay("1"));
    let plan = denied.run_for(Span::from_days(2));
    is_at(&plan, Verdict::Held, Reason::MoneyDenied);
    assert_eq!(denied.sent(ActionKind::Refund), 0);
    assert!(
        denied.sent(ActionKind::Fetch) < 40,
        "asked more and more seldom"
    );
}

#[test]
fn r36_refund_decided_and_a_crash_resumes_the_delay_where_it_was() {
    let left_at = |crash: bool| {
        let mut world = refund_decided();
        world.pass(mins(9));
        if crash {
            world.restarts();
        }
        world.run_to(Verdict::Returned);
        assert_eq!(world.sent(ActionKind::Refund), 1);
        let mut calls = world.calls.iter();
        calls
            .find(|(_, kind, _)| *kind == ActionKind::Refund)
            .map(|(at, _, _)| *at)
    };
    assert_eq!(left_at(true), left_at(false));
}

#[test]
fn r37_refund_decided_and_a_second_payment_are_decided_together() {
    for revives in [true, false] {
        let mut world = refund_decided();
        world.shop.revives = revives;
        world.pass(mins(1));
        world.pays("2", eur(PRICE));
        world.run_for(Span::from_days(2));
        if revives {
            assert_eq!(world.plan().verdict, Verdict::Settled);
            assert_eq!(world.refunds_made().len(), 1, "one pays, one goes back");
        } else {
            assert_eq!(world.plan().verdict, Verdict::Returned);
            assert_eq!(world.refunds_made(), [(pay("1"), PRICE), (pay("2"), PRICE)]);
        }
    }
}

#[test]
fn r41_refund_sent_and_the_shop_confirms_finishes_the_refund_and_holds() {
    for applied in [true, false] {
        let mut world = refund_sent(applied);
        world.shop_may_err = true;
        shop_confirms(&mut world, "1");
        is_at(&world.plan(), Verdict::Held, Reason::ConfirmedAfterRefund);
        let plan = world.run_for(Span::from_days(1));
        assert_eq!(world.sent(ActionKind::Refund), 1, "never said again");
        if applied {
            is_at(&plan, Verdict::Held, Reason::ConfirmedAfterRefund);
            assert_eq!(notices(&world, Notice::Refunded), 1, "not to be shipped");
        } else {
            // Nothing had left: the shop's word stands, and the hold lifts by itself.
            is_at(&plan, Verdict::Settled, Reason::ConfirmedByShop);
        }
    }
}

#[test]
fn r42_refund_sent_and_the_shop_cancels_finishes_the_refund() {
    for applied in [true, false] {
        let mut world = refund_sent(applied);
        world.announces(OrderStatus::Cancelled);
        world.run_to(Verdict::Returned);
        assert_eq!(world.refunds_made(), [(pay("1"), PRICE)]);
        assert_eq!(world.keys(ActionKind::Refund).len(), 1);
    }
}

#[test]
fn r43_refund_sent_and_staff_refund_reads_the_list_and_stops_at_what_was_captured() {
    for applied in [true, false] {
        for staff in [PRICE, 2000] {
            let mut world = refund_sent(applied);
            if !applied {
                world.staff_refunds(&pay("1"), eur(staff), RefundState::Succeeded);
            }
            world.run_to(Verdict::Returned);
            assert_eq!(world.left_at_psp(&pay("1")), 0, "{applied} {staff}");
        }
    }
}

#[test]
fn r44_refund_sent_and_a_dispute_opens_finishes_reading_and_is_held() {
    for applied in [true, false] {
        let mut world = refund_sent(applied);
        world.dispute(&pay("1"), eur(PRICE), DisputeState::Open);
        let plan = world.run_for(Span::from_days(1));
        is_at(&plan, Verdict::Held, Reason::Disputed);
        assert_eq!(world.sent(ActionKind::Refund), 1, "{applied}");
        assert_eq!(world.plan().in_suspense.is_empty(), applied);
    }
}

#[test]
fn r45_refund_sent_and_a_late_failed_is_decided_by_reading_again() {
    for applied in [true, false] {
        let mut world = refund_sent(applied);
        world.says_failed(&pay("1"));
        world.run_to(Verdict::Returned);
        assert_eq!(world.refunds_made(), [(pay("1"), PRICE)]);
        assert_eq!(world.keys(ActionKind::Refund).len(), 1);
    }
    // It is the truth, and the refund had not left: it never will.
    let mut denied = refund_sent(false);
    psp_takes_back(&mut denied, "1");
    denied.says_failed(&pay("1"));
    let plan = denied.run_for(Span::from_days(1));
    is_at(&plan, Verdict::Held, Reason::MoneyDenied);
    assert_eq!(denied.sent(ActionKind::Refund), 1);
}

#[test]
fn r46_refund_sent_and_a_crash_reads_the_list_and_keeps_the_key() {
    for fault in [Fault::CrashBefore, Fault::CrashAfter] {
        let mut world = refund_decided();
        world.psp.faults.extend([Fault::None, fault]);
        world.run_to_reason(Reason::RefundUnclear);
        world.restarts();
        world.run_to(Verdict::Returned);
        let mut after = world.calls.iter();
        after.find(|(_, kind, _)| *kind == ActionKind::Refund);
        let next = after.find(|(_, kind, _)| *kind != ActionKind::Notify);
        assert_eq!(next.map(|(_, kind, _)| *kind), Some(ActionKind::Fetch));
        assert_eq!(world.keys(ActionKind::Refund).len(), 1);
        assert_eq!(world.refunds_made(), [(pay("1"), PRICE)]);
    }
}

#[test]
fn r47_refund_sent_and_a_second_payment_finishes_and_confirms_the_second_if_the_order_lives() {
    for applied in [true, false] {
        for revives in [true, false] {
            let mut world = refund_sent(applied);
            world.shop.revives = revives;
            world.pays("2", eur(PRICE));
            assert_eq!(world.plan().reason, Reason::RefundUnclear);
            let plan = world.run_for(Span::from_days(2));
            if revives {
                assert_eq!(plan.verdict, Verdict::Settled);
                assert_eq!(world.refunds_made().len(), 1, "{applied}");
                assert_eq!(world.shop.paid_by.len(), 1);
            } else {
                assert_eq!(plan.verdict, Verdict::Returned);
                assert_eq!(world.refunds_made().len(), 2, "{applied}");
            }
        }
    }
}

#[test]
fn r51_void_sent_and_the_shop_confirms_is_held_only_if_the_authorisation_is_gone() {
    for applied in [true, false] {
        let mut world = void_sent(applied);
        world.announces(OrderStatus::Confirmed);
        let plan = world.run_for(mins(30));
        if applied {
            is_at(&plan, Verdict::Held, Reason::ConfirmedAfterRefund);
        } else {
            is_at(&plan, Verdict::Open, Reason::AwaitingCapture);
        }
        assert_eq!(world.sent(ActionKind::Void), 1);
    }
}

#[test]
fn r52_void_sent_and_the_shop_cancels_finishes_the_void() {
    for applied in [true, false] {
        let mut world = void_sent(applied);
        world.announces(OrderStatus::Cancelled);
        world.run_to(Verdict::Closed);
        assert_eq!(world.paid(&pay("1")).progress, Progress::Dead);
        assert_eq!(world.keys(ActionKind::Void).len(), 1);
    }
}

/// The void came too late: the money was captured first.
fn overtaken_by_capture() -> World {
    let mut world = void_sent(false);
    let paid = world.paid(&pay("1"));
    paid.captured = eur(PRICE);
    paid.authorised = None;
    paid.progress = Progress::Taken;
    world
}

#[test]
fn r53_void_sent_and_staff_refund_what_a_capture_had_taken_closes() {
    // An authorisation cannot be refunded, so this cell needs a capture first.
    let mut world = overtaken_by_capture();
    world.staff_refunds(&pay("1"), eur(PRICE), RefundState::Succeeded);
    world.run_to(Verdict::Returned);
    assert_eq!(world.sent(ActionKind::Refund), 0);
    assert_eq!(world.left_at_psp(&pay("1")), 0);
}

#[test]
fn r54_void_sent_and_a_dispute_of_what_a_capture_had_taken_is_held() {
    // An authorisation cannot be disputed, so this cell needs a capture first.
    let mut world = overtaken_by_capture();
    world.dispute_unseen(&pay("1"), eur(PRICE), DisputeState::Open);
    let plan = world.run_for(Span::from_days(1));
    is_at(&plan, Verdict::Held, Reason::Disputed);
    assert_eq!(world.sent(ActionKind::Refund), 0);
}

#[test]
fn r55_void_sent_and_a_late_failed_closes() {
    for applied in [true, false] {
        let mut world = void_sent(applied);
        let paid = world.paid(&pay("1"));
        paid.progress = Progress::Dead;
        paid.authorised = None;
        world.says_failed(&pay("1"));
        world.run_to(Verdict::Closed);
        assert_eq!(world.sent(ActionKind::Void), 1, "{applied}");
        assert_eq!(world.sent(ActionKind::Refund), 0);
    }
}

#[test]
fn r56_void_sent_and_a_crash_reads_the_payment_and_keeps_the_key() {
    for fault in [Fault::CrashBefore, Fault::CrashAfter] {
        let mut world = World::new();
        world.announces(OrderStatus::Cancelled);
        world.authorises("1", eur(PRICE));
        world.run_to_reason(Reason::RefundDelayed);
        world.psp.faults.extend([Fault::None, fault]);
        while world.sent(ActionKind::Void) == 0 {
            world.step();
        }
        world.restarts();
        world.run_to(Verdict::Closed);
        let mut after = world.calls.iter();
        after.find(|(_, kind, _)| *kind == ActionKind::Void);
        let mut asked = after.filter(|(_, kind, _)| *kind != ActionKind::LookUp);
        assert_eq!(
            asked.next().map(|(_, kind, _)| *kind),
            Some(ActionKind::Fetch)
        );
        assert_eq!(world.keys(ActionKind::Void).len(), 1);
        let voids = if fault == Fault::CrashAfter { 1 } else { 2 };
        assert_eq!(world.sent(ActionKind::Void), voids);
    }
}

#[test]
fn r57_void_sent_and_a_second_payment_finishes_the_void_and_confirms_the_second() {
    for applied in [true, false] {
        for lives in [true, false] {
            let mut world = void_sent(applied);
            world.shop.revives = lives;
            world.pass(secs(1));
            world.pays("2", eur(PRICE));
            let plan = world.run_for(Span::from_days(2));
            assert_eq!(world.paid(&pay("1")).progress, Progress::Dead, "{applied}");
            if lives {
                assert_eq!(plan.verdict, Verdict::Settled);
                assert_eq!(world.shop.paid_by, [pay("2")].into());
                assert!(world.refunds_made().is_empty());
            } else {
                assert_eq!(plan.verdict, Verdict::Returned);
                assert_eq!(world.refunds_made(), [(pay("2"), PRICE)]);
            }
        }
    }
}
