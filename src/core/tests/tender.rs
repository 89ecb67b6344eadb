//! Orders whose money is not one captured payment: gift cards, several captures, several sellers,
//! edits after payment, card checks, and one payment named by two orders.
//! Each test is a walk through a `World`; no rule of the arithmetic is repeated here.

use super::world::{Fault, World, eur, mins, pay};
use crate::core::fact::Fact;
use crate::core::money::{Currency, Money};
use crate::core::order::OrderStatus;
use crate::core::payment::{PaymentSnapshot, Progress, RefundState, Source};
use crate::core::plan::{ActionKind, Reason, Verdict};
use crate::core::policy::{HoldOrRefund, Overpayment};
use crate::core::time::Span;

fn pending() -> World {
    let mut world = World::new();
    world.announces(OrderStatus::Pending);
    world
}

/// An order of 59.95 of which a gift card covers 20.00.
fn with_gift_card() -> World {
    let mut world = World::new();
    world.shop.terms.paid_otherwise = Some(eur(2000));
    world.announces(OrderStatus::Pending);
    world
}

#[test]
fn s035_an_amount_in_another_currency_is_held_unless_the_shop_itself_takes_it() {
    let usd = |minor| Money::new(minor, Currency::parse("USD").unwrap());
    let mut world = pending();
    world.pays("1", usd(6500));
    let plan = world.run_for(Span::from_days(2));
    assert_eq!(
        (plan.verdict, plan.reason),
        (Verdict::Held, Reason::CurrencyMismatch)
    );
    assert_eq!(world.sent(ActionKind::Confirm), 0);
    // The shop knows of the conversion and confirms with this very payment.
    world.shop_may_err = true;
    world.shop.paid_by = [pay("1")].into();
    world.announces(OrderStatus::Confirmed);
    world.run_to(Verdict::Settled);
    // Cancelled instead, it goes back in the payer's currency, above no limit that is in euros.
    let mut lost = pending();
    lost.policy.late_payment = crate::core::policy::LatePayment::Refund;
    lost.pays("1", usd(6500));
    lost.announces(OrderStatus::Cancelled);
    let plan = lost.run_for(Span::from_days(1));
    assert_eq!(plan.reason, Reason::AboveAutoRefundLimit);
    assert!(lost.refunds_made().is_empty());
}

#[test]
fn s038_an_order_raised_after_payment_settles_at_the_agreed_amount_and_says_what_is_due() {
    let mut world = pending();
    world.pass(mins(1));
    world.pays("1", eur(5995));
    world.pass(mins(1));
    world.shop.amount = Some(eur(9995));
    world.announces(OrderStatus::Pending);
    let plan = world.run_to(Verdict::Settled);
    assert_eq!(plan.reason, Reason::ConfirmedBalanceDue);
    // The customer pays the rest, beside the first payment.
    world.pass(mins(10));
    world.shop.amount = Some(eur(5995));
    world.announces(OrderStatus::Confirmed);
    let plan = world.run_for(mins(10));
    assert_eq!(plan.reason, Reason::ConfirmedByShop);
    assert!(world.refunds_made().is_empty());
}

#[test]
fn s038_the_agreed_amount_is_not_forgotten_however_often_the_shop_repeats_the_new_one() {
    for amount in [9995, 4995] {
        let mut world = pending();
        world.shop.not_yet = u32::MAX;
        world.pass(mins(1));
        world.pays("1", eur(5995));
        world.pass(mins(1));
        world.shop.amount = Some(eur(amount));
        world.announces(OrderStatus::Pending);
        world.run_for(Span::from_hours(20));
        world.shop.not_yet = 0;
        world.shop_may_err = true;
        world.run_to(Verdict::Settled);
        world.run_for(Span::from_days(1));
        assert!(world.refunds_made().is_empty(), "{amount}");
    }
}

#[test]
fn s039_an_order_lowered_after_payment_gives_back_only_what_the_shop_asks_for() {
    let mut world = pending();
    world.pass(mins(1));
    world.pays("1", eur(5995));
    world.run_to(Verdict::Settled);
    world.pass(mins(1));
    world.shop.amount = Some(eur(4995));
    world.announces(OrderStatus::Confirmed);
    let plan = world.run_for(Span::from_days(1));
    assert_eq!(plan.verdict, Verdict::Settled);
    assert!(world.refunds_made().is_empty(), "nobody asked");
    world.shop.amount = Some(eur(5995));
    world.shop.terms.give_back = Some(eur(1000));
    world.announces(OrderStatus::Confirmed);
    let plan = world.run_for(mins(1));
    assert_eq!(plan.verdict, Verdict::Refunding);
    world.run_to(Verdict::Settled);
    assert_eq!(world.refunds_made(), [(pay("1"), 1000)]);
    assert_eq!(world.sent(ActionKind::Release), 0, "the order stands");
    // Said once more, it is the same thousand.
    world.announces(OrderStatus::Confirmed);
    world.run_for(Span::from_days(1));
    assert_eq!(world.refunds_made(), [(pay("1"), 1000)]);
}

#[test]
fn s039_the_difference_that_staff_gave_back_already_does_not_go_twice() {
    let mut world = pending();
    world.pays("1", eur(5995));
    world.run_to(Verdict::Settled);
    world.shop.terms.give_back = Some(eur(1000));
    world.announces(OrderStatus::Confirmed);
    world.run_to_reason(Reason::RefundDelayed);
    world.staff_refunds(&pay("1"), eur(1000), RefundState::Succeeded);
    world.run_to(Verdict::Settled);
    world.run_for(Span::from_days(1));
    assert_eq!(world.sent(ActionKind::Refund), 0);
}

#[test]
fn s043_an_order_that_names_anothers_payment_is_held_and_gives_nothing_back() {
    let mut world = World::new();
    world.observe(Fact::ClaimRefused {
        payment: pay("other"),
    });
    world.announces(OrderStatus::Pending);
    let plan = world.run_for(Span::from_days(1));
    assert_eq!(
        (plan.verdict, plan.reason),
        (Verdict::Held, Reason::PaymentClaimedTwice)
    );
    assert!(plan.in_suspense.is_empty());
    let moved = [ActionKind::Confirm, ActionKind::Refund, ActionKind::Release];
    assert!(moved.iter().all(|kind| world.sent(*kind) == 0));
    // Its customer pays after all: the order goes on as any other.
    world.pays("1", eur(5995));
    world.run_to(Verdict::Settled);
}

#[test]
fn s045_a_card_captured_while_the_gift_card_failed_waits_and_then_goes_back() {
    for rule in [HoldOrRefund::Hold, HoldOrRefund::Refund] {
        let mut world = with_gift_card();
        world.policy.underpayment = rule;
        // The gift card fails: the card's part alone does not pay the order.
        world.pass(mins(1));
        world.shop.terms.paid_otherwise = Some(eur(0));
        world.announces(OrderStatus::Pending);
        world.pays("1", eur(3995));
        let plan = world.run_for(mins(14));
        assert_eq!(
            (plan.verdict, plan.reason),
            (Verdict::Confirming, Reason::AwaitingRest)
        );
        let plan = world.run_for(Span::from_days(1));
        if rule == HoldOrRefund::Hold {
            assert_eq!(plan.reason, Reason::UnderpaidHeld);
            assert!(world.refunds_made().is_empty());
        } else {
            assert_eq!(plan.verdict, Verdict::Returned);
            assert_eq!(world.refunds_made(), [(pay("1"), 3995)]);
        }
        assert_eq!(world.sent(ActionKind::Confirm), 0);
    }
}

#[test]
fn s045_an_order_given_up_for_its_gift_card_returns_the_card_and_names_what_to_restore() {
    let mut world = with_gift_card();
    world.pays("1", eur(3995));
    world.announces(OrderStatus::Cancelled);
    world.run_to(Verdict::Returned);
    assert_eq!(world.refunds_made(), [(pay("1"), 3995)], "the card's part");
    assert_eq!(world.shop.restored, [Some(eur(2000))]);
    let kinds: Vec<ActionKind> = world.calls.iter().map(|(_, kind, _)| *kind).collect();
    let at = |wanted| kinds.iter().position(|kind| *kind == wanted).unwrap();
    assert!(at(ActionKind::Release) < at(ActionKind::Refund));
}

#[test]
fn s046_a_card_that_pays_what_the_gift_card_left_confirms_and_is_not_underpaid() {
    for (paid, verdict, refunds) in [
        (3995, Verdict::Settled, vec![]),
        (4500, Verdict::Settled, vec![(pay("1"), 505)]),
        (3000, Verdict::Held, vec![]),
    ] {
        let mut world = with_gift_card();
        world.pays("1", eur(paid));
        world.run_to(verdict);
        assert_eq!(world.refunds_made(), refunds, "{paid}");
        assert_eq!(
            world.sent(ActionKind::Confirm) > 0,
            verdict == Verdict::Settled
        );
    }
    // In another currency it covers nothing that can be compared.
    let mut mixed = World::new();
    mixed.shop.terms.paid_otherwise = Some(Money::new(2000, Currency::parse("USD").unwrap()));
    mixed.shop_may_err = true;
    mixed.announces(OrderStatus::Pending);
    mixed.pays("1", eur(3995));
    assert_eq!(mixed.run_for(mins(5)).reason, Reason::CurrencyMismatch);
}

#[test]
fn s047_a_gift_card_orphan_returns_the_card_once_whatever_is_lost_on_the_way() {
    for fault in [
        Fault::None,
        Fault::AnswerLost,
        Fault::Lost,
        Fault::CrashAfter,
    ] {
        let mut world = World::new();
        world.shop.status = OrderStatus::Unknown;
        world.pays("1", eur(3995));
        // Two systems, two unknown outcomes: the release and the refund.
        world.during(ActionKind::Release, move |world| {
            world.shop.faults.push_front(fault);
            world.psp.faults.extend([Fault::None, fault]);
        });
        world.run_to(Verdict::Returned);
        assert_eq!(world.refunds_made(), [(pay("1"), 3995)], "{fault:?}");
        assert_eq!(world.keys(ActionKind::Release).len(), 1, "{fault:?}");
        assert_eq!(world.keys(ActionKind::Refund).len(), 1, "{fault:?}");
        assert!(!world.shop.restored.is_empty(), "the shop was asked");
    }
}

/// A second shipment leaves: more of the authorisation is captured.
fn captures(world: &mut World, name: &str, more: i64) {
    let paid = world.paid(&pay(name));
    let left = paid.authorised.unwrap().minor() - more;
    paid.captured = eur(paid.captured.minor() + more);
    paid.authorised = Some(eur(left));
    if left == 0 {
        paid.progress = Progress::Taken;
        paid.authorised = None;
    }
    world.webhook(&pay(name));
}

#[test]
fn s048_captures_for_split_shipments_confirm_once_and_are_no_duplicates() {
    let mut world = pending();
    world.authorises("1", eur(5995));
    world.run_for(mins(5));
    captures(&mut world, "1", 2000);
    world.run_to(Verdict::Settled);
    for more in [2000, 1995] {
        world.run_for(Span::from_hours(5));
        captures(&mut world, "1", more);
        assert_eq!(world.plan().verdict, Verdict::Settled);
    }
    world.run_for(Span::from_days(10));
    assert_eq!(world.sent(ActionKind::Confirm), 1);
    assert!(world.refunds_made().is_empty());
}

#[test]
fn s048_a_remainder_that_is_released_is_no_refund_and_no_shortage() {
    let mut world = pending();
    world.authorises("1", eur(5995));
    captures(&mut world, "1", 2000);
    world.run_to(Verdict::Settled);
    world.run_for(Span::from_days(1));
    // The last shipment is called off, and the rest of the authorisation with it.
    let paid = world.paid(&pay("1"));
    paid.authorised = None;
    paid.progress = Progress::Taken;
    world.webhook(&pay("1"));
    world.shop_may_err = true;
    let plan = world.run_for(Span::from_days(1));
    assert_eq!(plan.verdict, Verdict::Settled, "{:?}", plan.reason);
    assert!(world.refunds_made().is_empty());
    assert!(world.shop.notices.is_empty());
}

#[test]
fn s048_a_part_captured_while_the_rest_of_the_confirm_is_open_keeps_the_key() {
    let mut world = pending();
    world.shop.not_yet = 1;
    world.authorises("1", eur(5995));
    captures(&mut world, "1", 2000);
    world.run_to_reason(Reason::ShopSaysNotYet);
    captures(&mut world, "1", 1000);
    world.run_to(Verdict::Settled);
    assert_eq!(world.keys(ActionKind::Confirm).len(), 1, "one decision");
}

#[test]
fn s051_of_three_sellers_one_cannot_deliver_and_its_share_alone_goes_back() {
    for told_first in [true, false] {
        let mut world = World::new();
        world.shop.amount = Some(eur(9000));
        if told_first {
            // Known before the confirm: the other two are confirmed all the same.
            world.shop.terms.give_back = Some(eur(2500));
        }
        world.announces(OrderStatus::Pending);
        world.pays("1", eur(9000));
        world.run_to_reason(if told_first {
            Reason::RefundDelayed
        } else {
            Reason::ConfirmedByShop
        });
        world.shop.terms.give_back = Some(eur(2500));
        world.announces(OrderStatus::Confirmed);
        let plan = world.run_for(mins(1));
        assert_eq!(plan.verdict, Verdict::Refunding);
        assert_eq!(plan.in_suspense, [eur(2500)], "the share and no more");
        world.run_to(Verdict::Settled);
        assert_eq!(world.refunds_made(), [(pay("1"), 2500)]);
        assert_eq!(world.shop.status, OrderStatus::Confirmed);
        // A second seller drops out later: the sum of both shares, less what went.
        world.shop.terms.give_back = Some(eur(5500));
        world.announces(OrderStatus::Confirmed);
        world.run_to_reason(Reason::RefundDelayed);
        world.run_to(Verdict::Settled);
        let back: i64 = world.refunds_made().iter().map(|(_, minor)| minor).sum();
        assert_eq!(back, 5500);
    }
}

#[test]
fn s051_a_share_of_everything_or_more_is_held() {
    for share in [5995, 7000] {
        let mut world = pending();
        world.pays("1", eur(5995));
        world.run_to(Verdict::Settled);
        world.shop_may_err = true;
        world.shop.terms.give_back = Some(eur(share));
        world.announces(OrderStatus::Confirmed);
        world.run_for(Span::from_days(1));
        assert!(world.refunds_made().is_empty(), "{share}");
    }
}

#[test]
fn s051_the_share_goes_back_even_where_an_overpayment_is_held() {
    let mut world = pending();
    world.policy.overpayment = Overpayment::Hold;
    world.pays("1", eur(7000));
    world.run_to(Verdict::Held);
    world.shop.terms.give_back = Some(eur(1000));
    world.announces(OrderStatus::Confirmed);
    world.run_to_reason(Reason::RefundDelayed);
    let plan = world.run_to(Verdict::Held);
    assert_eq!(plan.reason, Reason::OverpaidHeld);
    assert_eq!(world.refunds_made(), [(pay("1"), 1000)]);
    assert_eq!(plan.in_suspense, [eur(1005)]);
}

#[test]
fn s052_a_card_check_that_asks_for_no_money_is_closed_and_a_small_one_is_released() {
    for progress in [Progress::Authorised, Progress::Taken] {
        let mut world = World::new();
        let mut snapshot = PaymentSnapshot::new(pay("1"), world.now, world.now, Source::Signed);
        snapshot.requested = Some(eur(0));
        snapshot.captured = Some(eur(0));
        snapshot.authorised = Some(eur(0));
        snapshot.progress = Some(progress);
        snapshot.ownership = Some(crate::core::payment::Ownership::Ours);
        world.observe(Fact::PaymentSeen(Box::new(snapshot)));
        let plan = world.run_for(Span::from_days(50));
        assert_eq!(
            (plan.verdict, plan.reason),
            (Verdict::Closed, Reason::CardCheck)
        );
        assert!(world.calls.is_empty(), "nobody is asked about it");
    }
    let mut world = World::new();
    world.shop.status = OrderStatus::Unknown;
    world.authorises("1", eur(100));
    world.run_to(Verdict::Closed);
    assert_eq!(world.sent(ActionKind::Void), 1);
    assert_eq!(world.sent(ActionKind::Refund), 0);
}

#[test]
fn s053_a_cart_that_was_renamed_is_found_again_by_its_old_reference() {
    // First the merge is under way and the old id is unknown; a 404 in between is no answer.
    let mut world = World::new();
    world.shop.status = OrderStatus::Unknown;
    world.pays("1", eur(5995));
    world.run_for(mins(5));
    world.shop.faults.push_back(Fault::Html);
    world.run_for(mins(5));
    world.shop.status = OrderStatus::Pending;
    world.run_to(Verdict::Settled);
    assert!(world.refunds_made().is_empty());
    assert_eq!(world.sent(ActionKind::Release), 0);
}

#[test]
fn s060_of_two_orders_of_one_cart_the_unpaid_one_moves_no_money() {
    let mut world = pending();
    let plan = world.run_for(Span::from_days(60));
    assert_eq!(
        (plan.verdict, plan.reason),
        (Verdict::Closed, Reason::NothingPaid)
    );
    assert!(world.calls.is_empty());
}
