//! Which money pays the order: amounts, currencies, parts, duplicates, excess.
//! Each test is a walk through a `World`; no rule of the arithmetic is repeated here.

use super::world::{World, eur, mins, pay};
use crate::core::fact::Fact;
use crate::core::ids::PaymentRef;
use crate::core::money::{Currency, Money};
use crate::core::order::OrderStatus;
use crate::core::payment::{DisputeState, RefundState};
use crate::core::plan::{ActionKind, Reason, Verdict};
use crate::core::policy::HoldOrRefund;
use crate::core::time::Span;

fn pending() -> World {
    let mut world = World::new();
    world.announces(OrderStatus::Pending);
    world
}

#[test]
fn s033_a_cent_within_the_tolerance_is_equal_and_beyond_it_is_not() {
    for (paid, tolerance, verdict) in [
        (5994, 1, Verdict::Settled),
        (5996, 1, Verdict::Settled),
        (5994, 0, Verdict::Held),
        (5993, 1, Verdict::Held),
    ] {
        let mut world = pending();
        world.policy.tolerance = eur(tolerance);
        world.pays("1", eur(paid));
        let plan = world.run_to(verdict);
        assert!(world.refunds_made().is_empty(), "{paid}: {:?}", plan.reason);
    }
    let mut world = pending();
    world.policy.tolerance = Money::new(100, Currency::parse("USD").unwrap());
    world.pays("1", eur(5994));
    assert_eq!(world.run_to(Verdict::Held).reason, Reason::UnderpaidHeld);
}

#[test]
fn s034_an_amount_off_by_a_power_of_ten_is_held_even_when_it_is_confirmed() {
    for (owed, paid) in [
        (5995, 59_950),
        (5995, 599_500),
        (5_995_000, 5995),
        (1000, 100),
    ] {
        let mut world = World::new();
        world.shop.amount = Some(eur(owed));
        world.announces(OrderStatus::Pending);
        world.pays("1", eur(paid));
        let plan = world.run_for(mins(30));
        assert_eq!(
            (plan.verdict, plan.reason),
            (Verdict::Held, Reason::AmountOffByPowerOfTen)
        );
        world.shop.paid_by = [pay("1")].into();
        world.announces(OrderStatus::Confirmed);
        world.run_for(Span::from_days(1));
        assert!(world.refunds_made().is_empty(), "{owed} {paid}");
    }
}

#[test]
fn s035_another_currency_is_held() {
    let mut world = pending();
    world.pays("1", Money::new(5995, Currency::parse("USD").unwrap()));
    let plan = world.run_for(Span::from_days(1));
    assert_eq!(
        (plan.verdict, plan.reason),
        (Verdict::Held, Reason::CurrencyMismatch)
    );
    assert_eq!(world.sent(ActionKind::Confirm), 0);
}

#[test]
fn s036_a_part_waits_for_the_rest_and_then_goes_by_the_policy() {
    for (rule, verdict) in [
        (HoldOrRefund::Hold, Verdict::Held),
        (HoldOrRefund::Refund, Verdict::Returned),
    ] {
        let mut world = pending();
        world.policy.underpayment = rule;
        world.pays("1", eur(3000));
        let plan = world.run_for(mins(14));
        assert_eq!(
            (plan.verdict, plan.reason),
            (Verdict::Confirming, Reason::AwaitingRest)
        );
        let plan = world.run_to(verdict);
        if rule == HoldOrRefund::Hold {
            assert_eq!(plan.reason, Reason::UnderpaidHeld);
            world.pays("2", eur(2995));
            world.run_to(Verdict::Settled);
        } else {
            assert_eq!(world.refunds_made(), [(pay("1"), 3000)]);
        }
    }
}

#[test]
fn s037_only_the_excess_goes_back() {
    let mut world = pending();
    world.pays("1", eur(7000));
    world.run_to(Verdict::Settled);
    assert_eq!(world.refunds_made(), [(pay("1"), 1005)]);
    assert_eq!(world.sent(ActionKind::Release), 0);
    assert_eq!(world.shop.status, OrderStatus::Confirmed);
}

/// What its customer paid before the shop changed the price, and we hear of after that.
fn heard_of_late(paid: i64, repriced: i64) -> World {
    let mut world = pending();
    world.pass(mins(1));
    let paid_at = world.now;
    let payment = world.pays_unseen("1", eur(paid));
    world.pass(mins(1));
    world.shop.amount = Some(eur(repriced));
    world.announces(OrderStatus::Pending);
    world.pass(mins(1));
    world.late_webhook(&payment, paid_at);
    world
}

#[test]
fn s037_the_excess_is_against_what_was_agreed_however_late_we_hear_of_the_payment() {
    let mut world = heard_of_late(7_000, 5_000);
    world.run_to(Verdict::Settled);
    world.run_for(Span::from_days(1));
    assert_eq!(world.refunds_made(), [(pay("1"), 1005)]);
    assert_eq!(world.sent(ActionKind::Release), 0);
}

#[test]
fn s038_an_order_raised_after_payment_is_confirmed_however_late_we_hear_of_the_payment() {
    let mut world = heard_of_late(5_995, 9_995);
    world.run_to(Verdict::Settled);
    assert!(world.refunds_made().is_empty());
}

#[test]
fn s038_an_order_raised_after_payment_is_confirmed_at_the_agreed_amount() {
    let mut world = pending();
    world.pass(mins(1));
    world.pays("1", eur(5995));
    world.pass(mins(1));
    world.shop.amount = Some(eur(9995));
    world.announces(OrderStatus::Pending);
    world.shop.amount = Some(eur(5995));
    world.run_to(Verdict::Settled);
}

#[test]
fn s039_an_order_lowered_after_payment_gives_nothing_back_by_itself() {
    let mut world = pending();
    world.pass(mins(1));
    world.pays("1", eur(5995));
    world.pass(mins(1));
    world.shop.amount = Some(eur(4995));
    world.announces(OrderStatus::Pending);
    world.run_to(Verdict::Settled);
    world.run_for(Span::from_days(1));
    assert!(world.refunds_made().is_empty());
}

#[test]
fn s040_a_small_payment_for_a_dear_order_is_held() {
    let mut world = pending();
    world.pays("1", eur(100));
    let plan = world.run_for(Span::from_days(1));
    assert_eq!(
        (plan.verdict, plan.reason),
        (Verdict::Held, Reason::AmountSuspicious)
    );
    assert_eq!(world.sent(ActionKind::Confirm), 0);
}

#[test]
fn s043_a_payment_counted_for_another_order_is_neither_waited_for_nor_read() {
    let mut world = pending();
    let other = pay("other");
    world.observe(Fact::ClaimRefused {
        payment: other.clone(),
    });
    world.observe(Fact::OrderSeen(Box::new(
        crate::core::order::OrderSnapshot {
            reference: world.checkout.reference.clone().unwrap(),
            as_of: world.now,
            observed_at: world.now,
            statement: None,
            amount: None,
            terms: crate::core::order::Terms::default(),
            expires_at: None,
            created_at: None,
            claims: [other].into(),
            locale: None,
            customer: None,
        },
    )));
    let plan = world.run_for(Span::from_days(1));
    assert_eq!(
        (plan.verdict, plan.reason),
        (Verdict::Held, Reason::PaymentClaimedTwice)
    );
    assert_eq!(world.sent(ActionKind::Fetch), 0);
}

#[test]
fn s046_a_shop_that_says_the_sum_covers_settles_a_card_below_the_total() {
    let mut world = pending();
    world.pays("1", eur(4000));
    world.shop.paid_by = [pay("1")].into();
    world.announces(OrderStatus::Confirmed);
    assert_eq!(world.plan().verdict, Verdict::Settled);
}

#[test]
fn s054_an_order_paid_by_phone_gives_the_link_payment_back_only_when_the_shop_names_another() {
    let mut world = World::new();
    world.shop.paid_by = [PaymentRef::parse("till", "phone").unwrap()].into();
    world.announces(OrderStatus::Confirmed);
    world.pass(mins(5));
    world.pays("link", eur(5995));
    world.run_to(Verdict::Returned);
    assert_eq!(world.refunds_made(), [(pay("link"), 5995)]);

    let mut silent = World::new();
    silent.shop.names = false;
    silent.announces(OrderStatus::Confirmed);
    silent.pass(mins(5));
    silent.pays("link", eur(5995));
    silent.run_to(Verdict::Settled);
    assert_eq!(silent.sent(ActionKind::Confirm), 1);
    assert!(silent.refunds_made().is_empty());
}

#[test]
fn s055_two_tabs_paid_keep_one_and_give_the_other_back() {
    for names in [true, false] {
        let mut world = pending();
        world.shop.names = names;
        world.pays("1", eur(5995));
        world.pass(Span::from_millis(5));
        world.pays("2", eur(5995));
        world.run_to(Verdict::Settled);
        assert_eq!(world.refunds_made(), [(pay("2"), 5995)]);
    }
}

#[test]
fn s055_the_payment_that_the_shop_recorded_is_kept() {
    let mut world = pending();
    world.pays("1", eur(5995));
    world.pass(Span::from_millis(5));
    world.pays("2", eur(5995));
    world.shop.paid_by = [pay("2")].into();
    world.announces(OrderStatus::Confirmed);
    world.run_to(Verdict::Settled);
    assert_eq!(world.refunds_made(), [(pay("1"), 5995)]);
}

#[test]
fn s056_duplicates_of_the_same_instant_are_decided_once() {
    let mut world = pending();
    world.pays("1", eur(5995));
    world.pays("2", eur(5995));
    world.run_to(Verdict::Settled);
    assert_eq!(world.refunds_made().len(), 1);
    assert_eq!(world.sent(ActionKind::Refund), 1);
}

#[test]
fn s057_an_attempt_paid_a_day_after_the_first_goes_back() {
    for names in [true, false] {
        let mut world = pending();
        world.shop.names = names;
        world.pays("1", eur(5995));
        world.run_for(Span::from_days(1));
        world.pays("2", eur(5995));
        let plan = world.run_for(mins(1));
        assert_eq!(plan.verdict, Verdict::Refunding);
        assert_eq!(plan.in_suspense, [eur(5995)]);
        world.run_to(Verdict::Settled);
        assert_eq!(world.refunds_made(), [(pay("2"), 5995)]);
    }
}

#[test]
fn s059_a_second_capture_on_one_payment_goes_back() {
    let mut world = pending();
    let payment = world.pays("1", eur(5995));
    world.run_to(Verdict::Settled);
    world.paid(&payment).captured = eur(5995 * 2);
    world.webhook(&payment);
    world.run_to_reason(Reason::RefundDelayed);
    world.run_to(Verdict::Settled);
    assert_eq!(world.refunds_made(), [(payment, 5995)]);
}

#[test]
fn s061_an_old_link_paid_after_the_replacement_goes_by_the_shops_answer() {
    for revives in [true, false] {
        let mut world = World::new();
        world.shop.revives = revives;
        world.announces(OrderStatus::Cancelled);
        world.run_for(Span::from_days(20));
        world.pays("1", eur(5995));
        world.run_to(if revives {
            Verdict::Settled
        } else {
            Verdict::Returned
        });
    }
}

#[test]
fn s062_a_disputed_duplicate_is_not_refunded_and_the_sound_payment_is_kept() {
    for state in [DisputeState::Open, DisputeState::Lost] {
        for disputed in ["1", "2"] {
            let mut world = pending();
            world.pays("1", eur(5995));
            world.pass(Span::from_millis(5));
            world.pays("2", eur(5995));
            world.dispute(&pay(disputed), eur(5995), state);
            let plan = world.run_for(Span::from_days(1));
            assert_eq!(
                world.shop.status,
                OrderStatus::Confirmed,
                "{state:?} {disputed}"
            );
            assert!(world.refunds_made().is_empty(), "{state:?} {disputed}");
            match state {
                DisputeState::Open => {
                    assert_eq!(
                        (plan.verdict, plan.reason),
                        (Verdict::Held, Reason::Disputed)
                    );
                    assert_eq!(plan.in_suspense, [eur(5995)]);
                    world.dispute(&pay(disputed), eur(5995), DisputeState::Won);
                    world.run_to(Verdict::Settled);
                    assert_eq!(world.refunds_made().len(), 1);
                }
                DisputeState::Lost | DisputeState::Won => {
                    assert_eq!(plan.verdict, Verdict::Settled);
                }
            }
        }
    }
}

#[test]
fn s062_a_dispute_over_the_paying_payment_does_not_send_the_duplicate_back() {
    let mut world = pending();
    world.pays("1", eur(5995));
    world.run_to(Verdict::Settled);
    world.run_for(Span::from_days(1));
    world.pays("2", eur(5995));
    world.dispute(&pay("1"), eur(5995), DisputeState::Lost);
    let plan = world.run_for(Span::from_days(1));
    assert_eq!(plan.verdict, Verdict::Settled);
    assert!(world.refunds_made().is_empty());
}

#[test]
fn a_shop_that_changes_its_mind_never_loses_both_payments() {
    let mut world = pending();
    world.pays("1", eur(5995));
    world.pass(Span::from_millis(5));
    world.pays("2", eur(5995));
    world.run_to(Verdict::Settled);
    assert_eq!(world.refunds_made(), [(pay("2"), 5995)]);
    world.shop.paid_by = [pay("2")].into();
    world.announces(OrderStatus::Confirmed);
    world.run_for(Span::from_days(2));
    assert_eq!(world.refunds_made(), [(pay("2"), 5995)]);
}

#[test]
fn a_shop_that_names_a_failed_attempt_does_not_make_the_paid_one_a_duplicate() {
    let mut world = pending();
    let failed = world.pays_unseen("1", eur(0));
    world.paid(&failed).progress = crate::core::payment::Progress::Dead;
    world.webhook(&failed);
    world.pays("2", eur(5995));
    world.shop.paid_by = [failed].into();
    world.announces(OrderStatus::Confirmed);
    let plan = world.run_for(Span::from_days(2));
    assert_eq!(plan.verdict, Verdict::Settled);
    assert!(world.refunds_made().is_empty());
}

#[test]
fn money_for_an_order_that_costs_nothing_is_held() {
    let mut world = World::new();
    world.shop.amount = Some(eur(0));
    world.announces(OrderStatus::Pending);
    world.pays("1", eur(5995));
    let plan = world.run_for(mins(30));
    assert_eq!(
        (plan.verdict, plan.reason),
        (Verdict::Held, Reason::AmountSuspicious)
    );
}

#[test]
fn a_refund_below_zero_is_held_as_inconsistent() {
    let mut world = pending();
    let payment = world.pays("1", eur(5995));
    world.staff_refunds(&payment, eur(-1), RefundState::Failed);
    world.webhook(&payment);
    let plan = world.checkout.reconcile(world.now, &world.policy);
    assert_eq!(
        (plan.verdict, plan.reason),
        (Verdict::Held, Reason::AmountsInconsistent)
    );
}

#[test]
fn two_accounts_may_use_the_same_id() {
    let mut world = pending();
    world.pays("1", eur(5995));
    world.run_to(Verdict::Settled);
    let first = pay("1");
    let other = crate::core::ids::PaymentRef::parse("mollie_nl", first.id.as_str()).unwrap();
    let paid = world.paid(&first).clone();
    world.psp.payments.insert(other.clone(), paid);
    world.pass(mins(1));
    world.webhook(&other);
    world.announces(OrderStatus::Cancelled);
    world.rules(crate::core::fact::RulingKind::Refund, &[]);
    world.shop_may_err = true;
    world.run_to(Verdict::Returned);
    assert_eq!(world.keys(ActionKind::Refund).len(), 2);
    assert_eq!(world.refunds_made().len(), 2);
}

#[test]
fn a_part_that_the_shop_did_not_name_is_kept_where_it_fits_and_held_where_it_does_not() {
    for (rest, stands) in [
        (2_995, (Verdict::Settled, Reason::ConfirmedByShop)),
        (3_000, (Verdict::Held, Reason::AmountSuspicious)),
    ] {
        let mut world = pending();
        world.pays("1", eur(3_000));
        world.shop.paid_by = [pay("1")].into();
        world.announces(OrderStatus::Confirmed);
        world.pays("2", eur(rest));
        world.run_for(Span::from_days(1));
        let plan = world.plan();
        assert_eq!((plan.verdict, plan.reason), stands, "{rest}");
        assert!(world.refunds_made().is_empty(), "{rest}");
    }
    // What a payment that nobody here can see has left to pay, nobody knows.
    let mut world = pending();
    let till = PaymentRef::parse("till", "phone").unwrap();
    world.shop.paid_by = [pay("1"), till].into();
    world.shop_may_err = true;
    world.pays("1", eur(3_000));
    world.announces(OrderStatus::Confirmed);
    world.pays("2", eur(2_995));
    world.run_for(Span::from_days(1));
    assert_eq!(world.refunds_made(), [(pay("2"), 2_995)]);
}
