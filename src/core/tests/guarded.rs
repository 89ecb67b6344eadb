//! Scenarios in which one checkout alone looks harmless: lost shops, clones, restored stores, old
//! payments and late reversals, as far as the core decides them.
//!
//! Each test is a walk through a `World`, whose own books are checked at every step.

use super::world::{Fault, RefundWay, World, eur, external, mins, pay, secs};
use crate::core::checkout::Checkout;
use crate::core::fact::{BrakeCause, Fact, Outcome, RulingKind};
use crate::core::order::OrderStatus;
use crate::core::payment::{DisputeState, Ownership, Progress, Refund, RefundState};
use crate::core::plan::{ActionKind, Notice, Plan, Reason, Verdict};
use crate::core::policy::HoldOrRefund;
use crate::core::time::Span;

/// Money for an order that the shop does not know.
fn unknown() -> World {
    let mut world = World::new();
    world.shop.status = OrderStatus::Unknown;
    world.pays("1", eur(5995));
    world
}

/// A confirmed order with its money.
fn settled() -> World {
    let mut world = World::new();
    world.announces(OrderStatus::Pending);
    world.pays("1", eur(5995));
    world.run_to(Verdict::Settled);
    world.run_for(mins(10));
    world
}

fn brakes(world: &mut World, cause: BrakeCause) {
    let at = world.now;
    world.observe(Fact::RefundBraked { at, cause });
}

#[test]
fn s011_a_store_that_was_started_elsewhere_gives_nothing_back_until_somebody_looked() {
    // On the clone every real payment is one without an order; void and refund alike wait.
    for authorised in [false, true] {
        let mut world = World::new();
        world.shop.status = OrderStatus::Unknown;
        if authorised {
            world.authorises("1", eur(5995));
        } else {
            world.pays("1", eur(5995));
        }
        world.run_to(Verdict::Releasing);
        brakes(&mut world, BrakeCause::StoreMoved);
        let plan = world.run_for(Span::from_days(3));
        assert_eq!(
            (plan.verdict, plan.reason),
            (Verdict::Held, Reason::GuardStoreMoved)
        );
        let moved = [ActionKind::Release, ActionKind::Refund, ActionKind::Void];
        assert!(moved.iter().all(|kind| world.sent(*kind) == 0));
        let at = world.now;
        world.observe(Fact::BrakeReleased { at });
        world.run_to(if authorised {
            Verdict::Closed
        } else {
            Verdict::Returned
        });
    }
}

#[test]
fn s020_a_direct_debit_is_not_refunded_while_the_payers_bank_can_pull_it_back() {
    for is_pulled_back in [true, false] {
        let mut world = World::new();
        world.announces(OrderStatus::Cancelled);
        let payment = world.pays_unseen("1", eur(5995));
        world.paid(&payment).method = "sepa_debit";
        world.webhook(&payment);
        let began = world.now;
        let plan = world.run_for(Span::from_days(6));
        assert_eq!(
            (plan.verdict, plan.reason),
            (Verdict::Refunding, Reason::ReversalPossible)
        );
        assert_eq!(world.sent(ActionKind::Refund), 0);
        if is_pulled_back {
            // The payer has the money already; nobody gives it a second time.
            world.dispute(&payment, eur(5995), DisputeState::Lost);
            let plan = world.run_for(Span::from_days(30));
            assert_eq!(
                (plan.verdict, plan.reason),
                (Verdict::Returned, Reason::ChargedBack)
            );
            assert!(world.refunds_made().is_empty());
        } else {
            world.run_to(Verdict::Returned);
            let (sent, ..) = world
                .calls
                .iter()
                .find(|one| one.1 == ActionKind::Refund)
                .unwrap();
            assert!(sent.since(began) >= Span::from_days(7));
            assert_eq!(world.refunds_made(), [(pay("1"), 5995)]);
        }
    }
}

#[test]
fn s020_an_operator_need_not_wait_for_the_reversal() {
    let mut world = World::new();
    world.announces(OrderStatus::Cancelled);
    let payment = world.pays_unseen("1", eur(5995));
    world.paid(&payment).method = "sepa_debit";
    world.webhook(&payment);
    let plan = world.run_for(Span::from_days(1));
    assert_eq!(plan.reason, Reason::ReversalPossible);
    world.rules(RulingKind::Refund, &["reversal_wait"]);
    let plan = world.run_for(mins(30));
    assert_eq!(plan.verdict, Verdict::Returned);
}

#[test]
fn s021_a_transfer_on_day_forty_is_held_whether_on_the_old_object_or_on_a_new_one() {
    // On the payment that had expired: an order that was given up is not paid behind its back.
    let mut world = World::new();
    world.announces(OrderStatus::Pending);
    let expired = world.pays_unseen("1", eur(0));
    world.paid(&expired).progress = Progress::Dead;
    world.webhook(&expired);
    world.announces(OrderStatus::Cancelled);
    world.run_for(Span::from_days(40));
    assert_eq!(world.plan().verdict, Verdict::Closed);
    world.paid(&expired).captured = eur(5995);
    world.paid(&expired).progress = Progress::Taken;
    world.webhook(&expired);
    let plan = world.run_for(mins(1));
    assert_eq!(
        (plan.verdict, plan.reason),
        (Verdict::Held, Reason::LateSuccess)
    );
    world.run_for(Span::from_days(9));
    assert!(world.refunds_made().is_empty());
    assert_eq!(world.sent(ActionKind::Confirm), 0);
    world.rules(RulingKind::Resume, &[]);
    world.run_to(Verdict::Returned);
    // On a new object that names no order.
    let mut world = World::with_reference(None);
    assert_eq!(world.policy.unreferenced, HoldOrRefund::Hold);
    world.pays("2", eur(5995));
    let plan = world.run_for(Span::from_days(40));
    assert_eq!(
        (plan.verdict, plan.reason),
        (Verdict::Held, Reason::UnreferencedHeld)
    );
    assert!(world.refunds_made().is_empty());
}

#[test]
fn money_that_names_no_order_stays_once_an_order_waits_for_it_in_vain() {
    let mut world = World::with_reference(None);
    world.policy.unreferenced = HoldOrRefund::Refund;
    let payment = world.pays("2", eur(5995));
    world.run_to_reason(Reason::LastLook);
    world.observe(Fact::ClaimRefused { payment });
    let plan = world.run_for(Span::from_days(2));
    assert_eq!(
        (plan.verdict, plan.reason),
        (Verdict::Held, Reason::PaymentClaimedTwice)
    );
    assert!(world.refunds_made().is_empty());
}

#[test]
fn s029_money_charged_back_after_the_confirm_is_told_to_the_shop_and_not_refunded() {
    let mut world = settled();
    world.shop.down = Some(Fault::Lost);
    world.dispute(&pay("1"), eur(5995), DisputeState::Lost);
    let plan = world.run_for(mins(5));
    assert_eq!(
        (plan.verdict, plan.reason),
        (Verdict::Held, Reason::ChargedBackAfterConfirm)
    );
    world.shop.down = None;
    let plan = world.run_to(Verdict::Settled);
    assert_eq!(plan.reason, Reason::ChargedBackAfterConfirm);
    world.run_for(Span::from_days(3));
    let told = (Notice::Held, pay("1"), Reason::ChargedBackAfterConfirm);
    assert_eq!(world.shop.notices, [told]);
    assert_eq!(world.sent(ActionKind::Refund), 0);
    assert_eq!(world.sent(ActionKind::Release), 0);
}

#[test]
fn s031_a_success_after_our_own_horizon_is_seen_and_held() {
    for resumed in [true, false] {
        let mut world = World::new();
        world.announces(OrderStatus::Pending);
        let payment = world.pays_unseen("1", eur(0));
        world.paid(&payment).progress = Progress::InFlight;
        world.webhook(&payment);
        let plan = world.run_for(Span::from_days(100));
        assert_eq!(plan.verdict, Verdict::Closed, "{:?}", plan.reason);
        let asked = world.calls.len();
        world.paid(&payment).captured = eur(5995);
        world.paid(&payment).progress = Progress::Taken;
        world.webhook(&payment);
        let plan = world.plan();
        assert_eq!(
            (plan.verdict, plan.reason),
            (Verdict::Held, Reason::LateSuccess)
        );
        assert_eq!(plan.in_suspense, [eur(5995)]);
        world.run_for(Span::from_days(2));
        let acted = world.calls.iter().skip(asked);
        let acted = acted.filter(|one| one.1 != ActionKind::Notify && one.1 != ActionKind::LookUp);
        assert_eq!(acted.count(), 0);
        if resumed {
            world.rules(RulingKind::Resume, &[]);
            world.run_to(Verdict::Settled);
        } else {
            world.shop.paid_by = [payment].into();
            world.announces(OrderStatus::Confirmed);
            assert_eq!(world.plan().verdict, Verdict::Settled);
        }
    }
}

#[test]
fn s032_a_refund_that_the_psp_refuses_our_key_for_waits_and_is_read_back() {
    let mut world = unknown();
    world.run_to_reason(Reason::RefundDelayed);
    world.psp.down = Some(Fault::Unauthorized);
    let plan = world.run_for(Span::from_days(2));
    assert_eq!(
        (plan.verdict, plan.reason),
        (Verdict::Refunding, Reason::LastLook)
    );
    assert!(world.refunds_made().is_empty());
    world.psp.down = None;
    world.run_to(Verdict::Returned);
}

#[test]
fn s042_a_payment_older_than_its_order_is_held() {
    for (days, named, is_held) in [(3, false, true), (3, true, false), (0, false, false)] {
        let mut world = World::new();
        let made = world.now;
        world.shop.created_at = Some(made);
        let payment = world.pays_unseen("1", eur(5995));
        let paid_at = made.minus(Span::from_days(days)).minus(mins(20));
        world.paid(&payment).created_at = Some(paid_at);
        if named {
            // The shop itself started this payment for the order.
            world.shop.claims = [payment.clone()].into();
        }
        world.announces(OrderStatus::Pending);
        world.webhook(&payment);
        if is_held {
            let plan = world.run_for(Span::from_days(2));
            assert_eq!(
                (plan.verdict, plan.reason),
                (Verdict::Held, Reason::PaymentOlderThanOrder)
            );
            assert_eq!(world.sent(ActionKind::Confirm), 0);
            assert!(world.refunds_made().is_empty());
            world.rules(RulingKind::Confirm, &[]);
        }
        world.run_to(Verdict::Settled);
    }
}

#[test]
fn s087_a_chargeback_after_our_refund_tells_the_shop_and_gives_nothing_more() {
    for state in [DisputeState::Open, DisputeState::Lost] {
        let mut world = unknown();
        world.run_to(Verdict::Returned);
        world.run_for(Span::from_days(2));
        world.dispute(&pay("1"), eur(5995), state);
        let plan = world.run_for(Span::from_days(2));
        assert_eq!(
            (plan.verdict, plan.reason),
            (Verdict::Held, Reason::Disputed)
        );
        assert_eq!(world.refunds_made().len(), 1);
        let told = world.shop.notices.last().unwrap();
        assert_eq!((told.0, told.2), (Notice::Held, Reason::Disputed));
        // What wins the dispute is at hand: our refund with its mark.
        let refunds = world.checkout.payments[&pay("1")].refunds.values();
        let ours: Vec<&Refund> = refunds.filter(|one| one.mark.is_some()).collect();
        assert_eq!(ours.len(), 1);
        assert_eq!(ours[0].state, RefundState::Succeeded);
    }
}

#[test]
fn s092_what_goes_back_is_what_the_payer_paid_in_the_payers_currency() {
    let usd = |minor| {
        let usd = crate::core::money::Currency::parse("USD").unwrap();
        crate::core::money::Money::new(minor, usd)
    };
    let mut world = World::new();
    world.shop.amount = Some(usd(6499));
    world.announces(OrderStatus::Cancelled);
    world.policy.auto_refund_limit = usd(10_000);
    world.pays("1", usd(6499));
    world.run_to(Verdict::Returned);
    assert_eq!(world.refunds_made(), [(pay("1"), 6499)]);
    let asked = world.checkout.asks.values();
    let asked: Vec<_> = asked.filter(|ask| ask.kind == ActionKind::Refund).collect();
    assert_eq!(asked[0].amount, Some(usd(6499)));
}

#[test]
fn s093_an_order_that_appears_after_the_refund_is_not_confirmed_and_the_shop_is_told() {
    let mut world = unknown();
    world.run_to(Verdict::Returned);
    world.run_for(mins(5));
    let started = world.shop.notices[0].0;
    assert_eq!(started, Notice::RefundStarted);
    // The browser creates it after all, and waits for money that is gone.
    world.announces(OrderStatus::Pending);
    let plan = world.run_for(Span::from_days(2));
    assert_eq!(
        (plan.verdict, plan.reason),
        (Verdict::Returned, Reason::Refunded)
    );
    assert_eq!(world.sent(ActionKind::Confirm), 0);
    // And if the shop takes it for paid, somebody must stop the parcel.
    world.shop_may_err = true;
    world.shop.paid_by = [pay("1")].into();
    world.announces(OrderStatus::Confirmed);
    world.run_to_reason(Reason::ConfirmedAfterRefund);
    world.run_for(mins(5));
    let told = world.shop.notices.last().unwrap();
    assert_eq!(
        (told.0, told.2),
        (Notice::Held, Reason::ConfirmedAfterRefund)
    );
}

#[test]
fn s095_a_shop_that_lost_a_confirmed_order_is_offered_it_again_when_told_to_recheck() {
    let mut world = settled();
    world.shop.status = OrderStatus::Unknown;
    // Nobody hears of it by itself: the order rests.
    world.run_for(Span::from_days(1));
    assert_eq!(world.plan().verdict, Verdict::Settled);
    world.rules(RulingKind::Retry, &[]);
    let plan = world.run_for(Span::from_hours(2));
    assert_eq!(
        (plan.verdict, plan.reason),
        (Verdict::Held, Reason::ConfirmWithdrawn)
    );
    assert_eq!(world.sent(ActionKind::Confirm), 2, "offered again");
    assert_eq!(world.sent(ActionKind::Release), 0);
    // Once the shop has it again, the money that we hold confirms it.
    world.announces(OrderStatus::Pending);
    world.run_to(Verdict::Settled);
    assert_eq!(world.shop.paid_by, [pay("1")].into());
    assert_eq!(world.sent(ActionKind::Refund), 0);
}

#[test]
fn s095_an_epoch_that_went_back_stops_the_release_of_what_only_looks_like_an_orphan() {
    for cause in [BrakeCause::EpochWentBack, BrakeCause::CanaryLost] {
        let mut world = unknown();
        world.run_to(Verdict::Releasing);
        brakes(&mut world, cause);
        let plan = world.run_for(Span::from_days(2));
        assert_eq!(plan.verdict, Verdict::Held);
        assert_eq!(world.sent(ActionKind::Release), 0);
        // The shop finds the order again, and it is confirmed with the brake on.
        world.announces(OrderStatus::Pending);
        world.run_to(Verdict::Settled);
        assert!(world.refunds_made().is_empty());
    }
}

#[test]
fn s096_an_unknown_that_nothing_backs_is_held_and_tried_anew_every_hour() {
    let mut world = unknown();
    world.run_to(Verdict::Releasing);
    brakes(&mut world, BrakeCause::CanaryMissing);
    let plan = world.run_for(mins(59));
    assert_eq!(
        (plan.verdict, plan.reason),
        (Verdict::Held, Reason::GuardCanaryMissing)
    );
    assert!(plan.wake_at.is_some(), "no hold without a next look");
    assert_eq!(world.sent(ActionKind::Release), 0);
    world.run_for(mins(2));
    assert_eq!(world.sent(ActionKind::Release), 1);
}

/// What the plan asks of the shop next does not leave the house: the guard keeps it back.
fn keeps_back(world: &mut World, plan: &Plan, cause: BrakeCause) {
    let release = plan.actions.iter();
    let mut release = release.filter(|one| one.action.kind() == ActionKind::Release);
    let planned = release.next().unwrap();
    let (key, kind, attempt) = (
        planned.key.clone(),
        ActionKind::Release,
        planned.attempts + 1,
    );
    let at = world.now;
    world.observe(Fact::AskSent {
        key: key.clone(),
        kind,
        attempt,
        at,
        payment: None,
        amount: None,
    });
    brakes(world, cause);
    let code = "braked".to_owned();
    world.pass(Span::from_millis(40));
    world.observe(Fact::AskAnswered {
        key,
        kind,
        attempt,
        sent_at: at,
        at: world.now,
        outcome: Outcome::NotSent { code },
        looks: None,
    });
}

#[test]
fn s096_what_is_kept_back_and_tried_anew_is_never_shown_as_a_shop_that_cannot_be_reached() {
    // Without an order that the shop finds it is tried anew every hour, a brake is an operator's.
    for (cause, tried) in [
        (BrakeCause::CanaryMissing, 8..=9),
        (BrakeCause::UnknownRunaway, 1..=1),
    ] {
        let mut world = unknown();
        let mut plan = world.run_to(Verdict::Releasing);
        let end = world.now.plus(Span::from_hours(9));
        let (mut tries, mut looks) = (0, world.sent(ActionKind::LookUp));
        while world.now < end {
            if plan.verdict == Verdict::Releasing {
                keeps_back(&mut world, &plan, cause);
                tries += 1;
            } else if !world.step() {
                break;
            }
            plan = world.plan();
            let stands = (plan.verdict, plan.reason);
            let is_held = matches!(
                stands,
                (
                    Verdict::Held,
                    Reason::GuardCanaryMissing | Reason::GuardUnknownRunaway
                )
            );
            assert!(is_held || plan.verdict == Verdict::Releasing, "{stands:?}");
        }
        // Whoever is tried anew is looked at before.
        looks = world.sent(ActionKind::LookUp) - looks;
        assert!(tried.contains(&tries), "{tries} tries");
        assert!(looks >= tries - 1, "{looks} looks, {tries} tries");
        assert_eq!(world.sent(ActionKind::Release), 0);
    }
}

#[test]
fn s096_a_shop_that_lost_its_canary_stays_held_until_an_operator_speaks() {
    let mut world = unknown();
    world.run_to(Verdict::Releasing);
    brakes(&mut world, BrakeCause::CanaryLost);
    let plan = world.run_for(Span::from_days(5));
    assert_eq!(
        (plan.verdict, plan.reason),
        (Verdict::Held, Reason::GuardCanaryLost)
    );
    let at = world.now;
    world.observe(Fact::BrakeReleased { at });
    world.run_to(Verdict::Returned);
}

#[test]
fn s097_a_restored_store_adopts_the_refunds_that_it_does_not_remember() {
    for way in [RefundWay::Succeeds, RefundWay::StaysPending] {
        let mut world = unknown();
        world.psp.refund_way = way;
        world.run_to_reason(Reason::RefundDelayed);
        let copy: Checkout = world.checkout.clone();
        let journal = world.journal.clone();
        world.run_to(match way {
            RefundWay::Succeeds => Verdict::Returned,
            RefundWay::StaysPending
            | RefundWay::WaitsForBalance
            | RefundWay::Refused
            | RefundWay::RefusedWithinTheHour => Verdict::Refunding,
        });
        world.run_for(mins(20));
        assert_eq!(world.refunds_made().len(), 1);
        // The store of before the refund comes back, three days later.
        world.checkout = copy;
        world.journal = journal;
        world.pass(Span::from_days(3));
        world.run_for(Span::from_hours(1));
        assert_eq!(world.sent(ActionKind::Refund), 1, "{way:?}");
        world.refunds_become(RefundState::Succeeded);
        world.run_to(Verdict::Returned);
        assert_eq!(world.refunds_made(), [(pay("1"), 5995)]);
    }
}

#[test]
fn s097_a_refund_of_the_lost_time_that_failed_is_not_repeated_under_its_old_key() {
    let mut world = unknown();
    world.run_to_reason(Reason::RefundDelayed);
    let (copy, journal) = (world.checkout.clone(), world.journal.clone());
    world.run_to(Verdict::Returned);
    let first = world
        .keys(ActionKind::Refund)
        .into_iter()
        .next()
        .unwrap()
        .clone();
    (world.checkout, world.journal) = (copy, journal);
    world.refunds_become(RefundState::Failed);
    world.run_for(Span::from_hours(1));
    let again = world.psp.keys.keys().filter(|key| **key != first).count();
    assert!(
        again <= 1,
        "the failed refund's key was taken for a new one"
    );
    assert!(world.left_at_psp(&pay("1")) >= 0);
}

#[test]
fn x02_a_status_word_that_nobody_knows_is_neither_paid_nor_failed() {
    let mut world = World::new();
    world.announces(OrderStatus::Pending);
    let payment = world.pays_unseen("1", eur(0));
    world.paid(&payment).progress = Progress::Waiting;
    world.webhook(&payment);
    world.run_for(mins(5));
    // An adapter that meets an unknown word says nothing of the progress.
    let news = crate::core::payment::PaymentSnapshot::new(
        payment.clone(),
        world.now,
        world.now,
        crate::core::payment::Source::Signed,
    );
    world.observe(Fact::PaymentSeen(Box::new(news)));
    let plan = world.run_for(Span::from_days(2));
    assert_eq!(
        (plan.verdict, plan.reason),
        (Verdict::Open, Reason::PaymentPending)
    );
    assert!(!plan.safe_to_retry, "the money may still come");
    world.paid(&payment).captured = eur(5995);
    world.paid(&payment).progress = Progress::Taken;
    world.run_to(Verdict::Settled);
}

#[test]
fn x04_a_payment_whose_customer_was_erased_is_refunded_by_its_id_alone() {
    let mut world = unknown();
    let payment = pay("1");
    world.run_to_reason(Reason::RefundDelayed);
    // Order reference and whatever else named the customer are gone at the PSP.
    world.paid(&payment).has_reference = false;
    world.webhook(&payment);
    world.run_to(Verdict::Returned);
    assert_eq!(world.refunds_made(), [(payment, 5995)]);
}

#[test]
fn s026_a_capture_after_the_hold_goes_the_ordinary_way_and_a_lapse_closes() {
    for captured in [true, false] {
        let mut world = World::new();
        world.announces(OrderStatus::Pending);
        let payment = world.authorises("1", eur(5995));
        world.paid(&payment).authorised_until = Some(world.now.plus(Span::from_days(7)));
        world.webhook(&payment);
        let plan = world.run_for(Span::from_days(6).plus(mins(5)));
        assert_eq!(
            (plan.verdict, plan.reason),
            (Verdict::Held, Reason::AuthorisationExpiring)
        );
        assert_eq!(world.sent(ActionKind::Void), 0);
        assert_eq!(world.sent(ActionKind::Confirm), 0, "nothing is paid yet");
        let paid = world.paid(&payment);
        paid.progress = if captured {
            Progress::Taken
        } else {
            Progress::Dead
        };
        paid.authorised = None;
        if captured {
            paid.captured = eur(5995);
            world.run_to(Verdict::Settled);
        } else {
            world.webhook(&payment);
            let plan = world.run_for(secs(30));
            assert_ne!(plan.verdict, Verdict::Settled);
            assert!(plan.in_suspense.is_empty());
            assert_eq!(world.sent(ActionKind::Confirm), 0);
        }
    }
}

#[test]
fn s012_another_integrations_payment_asks_nobody_and_is_not_in_suspense() {
    let mut world = World::with_reference(None);
    let payment = world.pays_unseen("1", eur(5995));
    world.paid(&payment).ownership = Ownership::Unclaimed;
    world.paid(&payment).refunds.insert(
        external("re_theirs"),
        Refund::new(eur(100), RefundState::Pending, None),
    );
    world.webhook(&payment);
    let plan = world.run_for(Span::from_days(2));
    assert_eq!(
        (plan.verdict, plan.reason),
        (Verdict::Foreign, Reason::NotClaimed)
    );
    assert!(world.calls.is_empty() && plan.in_suspense.is_empty());
}

#[test]
fn s090_a_payment_too_old_to_refund_is_held_before_any_try() {
    for overridden in [false, true] {
        let mut world = World::new();
        world.announces(OrderStatus::Cancelled);
        let payment = world.pays_unseen("1", eur(5995));
        let made = world.now.minus(Span::from_days(181));
        world.paid(&payment).created_at = Some(made);
        world.webhook(&payment);
        let plan = world.run_for(Span::from_days(2));
        assert_eq!(
            (plan.verdict, plan.reason),
            (Verdict::Held, Reason::NotRefundable)
        );
        assert_eq!(world.sent(ActionKind::Refund), 0);
        if overridden {
            world.rules(RulingKind::Refund, &["refund_within"]);
            world.run_to(Verdict::Returned);
        } else {
            world.rules(RulingKind::Settle, &[]);
            assert_eq!(world.plan().verdict, Verdict::Settled);
        }
    }
}

#[test]
fn x02_a_payment_that_cannot_be_read_any_more_is_held_by_name_and_asked_on() {
    let mut world = unknown();
    world.run_to_reason(Reason::RefundDelayed);
    // A new status word: the PSP answers, and nobody understands it.
    world.psp.down = Some(Fault::Html);
    let plan = world.run_for(Span::from_hours(71));
    assert_eq!(
        (plan.verdict, plan.reason),
        (Verdict::Refunding, Reason::LastLook)
    );
    let plan = world.run_for(Span::from_hours(3));
    assert_eq!(
        (plan.verdict, plan.reason),
        (Verdict::Held, Reason::UnreadablePayment)
    );
    let asked = world.sent(ActionKind::Fetch);
    world.run_for(Span::from_hours(3));
    assert!(world.sent(ActionKind::Fetch) > asked, "it is asked on");
    world.psp.down = None;
    world.run_to(Verdict::Returned);
    assert_eq!(world.refunds_made(), [(pay("1"), 5995)]);
}

#[test]
fn x03_money_of_the_old_account_goes_back_through_the_old_account() {
    use crate::core::ids::{AccountId, ShopId};
    use crate::core::plan::Destination;
    let mut world = unknown();
    // The shop moved: new payments come in at another account, with other keys.
    let moved = AccountId::parse("stripe_new").unwrap();
    let traits = world.policy.accounts.values().next().copied().unwrap();
    world.policy.accounts = [(moved, traits)].into();
    let plan = world.run_to_reason(Reason::RefundDelayed);
    let klompen = ShopId::parse("klompen").unwrap();
    let read: Vec<_> = plan
        .actions
        .iter()
        .filter(|one| one.action.kind() == ActionKind::Fetch)
        .map(|one| one.action.destination(&klompen))
        .collect();
    assert_eq!(read, [Destination::Psp(pay("1").account)]);
    // Without the old keys nobody can read it; that is not evidence, and becomes a named hold.
    world.psp.down = Some(Fault::NotSent);
    let plan = world.run_for(Span::from_days(4));
    assert_eq!(
        (plan.verdict, plan.reason),
        (Verdict::Held, Reason::UnreadablePayment)
    );
    world.psp.down = None;
    world.run_to(Verdict::Returned);
}

#[test]
fn x01_spans_are_as_long_on_the_night_when_the_clocks_change() {
    // 2026-10-25 01:00 UTC: two hours in a row are called 02:00 to 03:00 in Amsterdam.
    for start in [1_793_926_800 - 300, 1_774_746_000 - 300] {
        let mut world = World::new();
        world.now = crate::core::time::Time::from_seconds(start);
        world.shop.status = OrderStatus::Unknown;
        let began = world.now;
        world.pays("1", eur(5995));
        world.run_to(Verdict::Returned);
        let first = |kind| world.calls.iter().find(|one| one.1 == kind).unwrap().0;
        let released = first(ActionKind::Release).since(began);
        assert!(released >= mins(15) && released < mins(20), "{released:?}");
        let refunded = first(ActionKind::Refund).since(first(ActionKind::Release));
        assert!(refunded >= mins(10) && refunded < mins(15), "{refunded:?}");
    }
}

#[test]
fn s015_clocks_of_events_that_were_held_up_for_days_begin_when_they_reach_us() {
    let mut world = World::new();
    world.shop.status = OrderStatus::Unknown;
    let payment = world.pays_unseen("1", eur(5995));
    // Paid and told three days ago; the PSP could not deliver it until now.
    let made = world.now.minus(Span::from_days(3));
    world.paid(&payment).created_at = Some(made);
    let mut late = crate::core::payment::PaymentSnapshot::new(
        payment,
        made,
        world.now,
        crate::core::payment::Source::Signed,
    );
    late.ownership = Some(Ownership::Ours);
    late.reference = world.checkout.reference.clone();
    late.progress = Some(Progress::Taken);
    late.captured = Some(eur(5995));
    let reached_us = world.now;
    world.observe(Fact::PaymentSeen(Box::new(late)));
    let plan = world.run_for(mins(14));
    assert_eq!(
        (plan.verdict, plan.reason),
        (Verdict::Matching, Reason::AwaitingOrder)
    );
    world.run_to(Verdict::Returned);
    let released = world.calls.iter().find(|one| one.1 == ActionKind::Release);
    assert!(released.unwrap().0.since(reached_us) >= mins(15));
}

#[test]
fn s013_money_of_the_days_without_webhooks_is_offered_and_not_given_back_for_its_age() {
    let mut world = World::new();
    world.announces(OrderStatus::Pending);
    let payment = world.pays_unseen("1", eur(5995));
    world.paid(&payment).created_at = Some(world.now);
    world.pass(Span::from_days(4));
    // The sweep finds it after four days in which the PSP had switched the endpoint off.
    world.shop.status = OrderStatus::Cancelled;
    world.shop.revives = true;
    world.shop_event(world.now);
    world.webhook(&payment);
    world.run_to(Verdict::Settled);
    assert_eq!(world.sent(ActionKind::Release), 0);
}
