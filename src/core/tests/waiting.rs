//! Waiting ends: late orders, late money, slow methods, shops and PSPs that do not answer.
//! Each test is a walk through a `World`, most of them with time that jumps for days.

use super::world::{Fault, World, eur, mins, pay, secs};
use crate::core::fact::Fact;
use crate::core::order::OrderStatus;
use crate::core::payment::{DisputeState, Ownership, Progress, RefundState};
use crate::core::plan::{ActionKind, Reason, Verdict};
use crate::core::policy::HoldOrRefund;
use crate::core::time::Span;

#[test]
fn s004_failed_after_paid_changes_nothing() {
    let mut world = World::new();
    let payment = world.pays("1", eur(5995));
    world.run_to(Verdict::Settled);
    let mut late = crate::core::payment::PaymentSnapshot::new(
        payment,
        world.now,
        world.now,
        crate::core::payment::Source::Signed,
    );
    late.progress = Some(Progress::Dead);
    world.observe(Fact::PaymentSeen(Box::new(late)));
    assert_eq!(world.plan().verdict, Verdict::Settled);
}

#[test]
fn s005_a_closed_checkout_reopens_when_the_second_attempt_is_paid() {
    let mut world = World::new();
    world.announces(OrderStatus::Pending);
    let failed = world.pays_unseen("1", eur(0));
    world.paid(&failed).progress = Progress::Dead;
    world.webhook(&failed);
    assert_eq!(world.plan().verdict, Verdict::Open);
    assert!(world.plan().safe_to_retry);
    world.pays("2", eur(5995));
    assert!(!world.plan().safe_to_retry);
    world.run_to(Verdict::Settled);
    assert_eq!(world.shop.paid_by, [pay("2")].into());
}

#[test]
fn s006_money_before_the_order_waits_and_is_confirmed_when_the_order_appears() {
    let mut world = World::new();
    world.shop.status = OrderStatus::Unknown;
    world.pays("1", eur(5995));
    let plan = world.run_for(mins(10));
    assert_eq!(
        (plan.verdict, plan.reason),
        (Verdict::Matching, Reason::AwaitingOrder)
    );
    world.announces(OrderStatus::Pending);
    world.run_to(Verdict::Settled);
    assert!(world.refunds_made().is_empty());
}

#[test]
fn s018_late_money_for_a_cancelled_order_is_offered_to_the_shop_first() {
    let mut world = World::new();
    world.announces(OrderStatus::Cancelled);
    world.shop.revives = true;
    world.pays("1", eur(5995));
    world.run_to(Verdict::Settled);
    assert_eq!(world.sent(ActionKind::Confirm), 1);
    assert_eq!(world.sent(ActionKind::Release), 0);
}

#[test]
fn s019_late_money_for_an_order_that_cannot_be_revived_goes_back() {
    let mut world = World::new();
    world.announces(OrderStatus::Cancelled);
    world.pays("1", eur(5995));
    let plan = world.run_to(Verdict::Returned);
    assert_eq!(plan.reason, Reason::Refunded);
    assert_eq!(world.refunds_made(), [(pay("1"), 5995)]);
}

#[test]
fn s020_money_that_arrives_nine_days_later_is_offered_or_goes_back() {
    for revives in [true, false] {
        let mut world = World::new();
        world.shop.revives = revives;
        world.announces(OrderStatus::Pending);
        let payment = world.pays_unseen("1", eur(0));
        world.paid(&payment).progress = Progress::InFlight;
        world.webhook(&payment);
        world.run_for(Span::from_days(4));
        world.announces(OrderStatus::Cancelled);
        let plan = world.run_for(Span::from_days(5));
        assert_eq!(
            (plan.verdict, plan.reason),
            (Verdict::Open, Reason::PaymentPending)
        );
        assert!(!plan.safe_to_retry);
        world.paid(&payment).captured = eur(5995);
        world.run_to(if revives {
            Verdict::Settled
        } else {
            Verdict::Returned
        });
    }
}

#[test]
fn s022_a_psp_that_does_not_answer_for_two_hours_proves_nothing() {
    let mut world = World::new();
    world.announces(OrderStatus::Cancelled);
    world.pays("1", eur(5995));
    world.psp.down = Some(Fault::BadGateway);
    let plan = world.run_for(Span::from_hours(2));
    assert_eq!(
        (plan.verdict, plan.reason),
        (Verdict::Refunding, Reason::LastLook)
    );
    assert!(world.refunds_made().is_empty());
    world.psp.down = None;
    world.run_to(Verdict::Returned);
}

#[test]
fn s027_an_authorisation_without_an_order_is_voided() {
    let mut world = World::new();
    world.shop.status = OrderStatus::Unknown;
    let payment = world.authorises("1", eur(5995));
    let plan = world.run_to(Verdict::Closed);
    assert_eq!(plan.reason, Reason::Voided);
    assert_eq!(world.paid(&payment).progress, Progress::Dead);
    assert!(plan.safe_to_retry);
}

#[test]
fn s027_an_authorisation_that_nobody_described_is_voided_all_the_same() {
    let mut world = World::new();
    world.shop.status = OrderStatus::Unknown;
    let payment = world.pays_unseen("1", eur(0));
    world.paid(&payment).progress = Progress::Authorised;
    world.webhook(&payment);
    world.run_to(Verdict::Closed);
    assert_eq!(world.paid(&payment).progress, Progress::Dead);
}

#[test]
fn s026_an_authorisation_about_to_lapse_is_held_until_it_is_captured() {
    let mut world = World::new();
    world.announces(OrderStatus::Pending);
    let payment = world.authorises("1", eur(5995));
    world.paid(&payment).authorised_until = Some(world.now.plus(Span::from_days(7)));
    world.webhook(&payment);
    assert_eq!(world.plan().reason, Reason::AwaitingCapture);
    world.run_for(Span::from_days(6));
    assert_eq!(world.plan().reason, Reason::AuthorisationExpiring);
    world.paid(&payment).captured = eur(5995);
    world.paid(&payment).progress = Progress::Taken;
    world.run_to(Verdict::Settled);
}

#[test]
fn s030_a_payment_that_fails_after_four_days_is_closed_without_a_refund() {
    let mut world = World::new();
    let payment = world.pays_unseen("1", eur(0));
    world.paid(&payment).progress = Progress::InFlight;
    world.announces(OrderStatus::Pending);
    world.webhook(&payment);
    world.run_for(Span::from_days(2));
    world.announces(OrderStatus::Cancelled);
    let plan = world.run_for(Span::from_days(2));
    assert_eq!(
        (plan.verdict, plan.reason),
        (Verdict::Open, Reason::PaymentPending)
    );
    world.paid(&payment).progress = Progress::Dead;
    world.run_to(Verdict::Closed);
    assert!(world.refunds_made().is_empty());
    assert_eq!(world.sent(ActionKind::Release), 0);
}

#[test]
fn s032_a_psp_that_refuses_our_key_says_nothing_about_the_payment() {
    let mut world = World::new();
    let payment = world.pays_unseen("1", eur(0));
    world.paid(&payment).progress = Progress::Waiting;
    world.webhook(&payment);
    world.psp.down = Some(Fault::Unauthorized);
    let plan = world.run_for(Span::from_days(3));
    assert_eq!(
        (plan.verdict, plan.reason),
        (Verdict::Open, Reason::PaymentPending)
    );
}

#[test]
fn s044_money_that_names_no_order_waits_and_then_goes_by_the_policy() {
    for (rule, verdict) in [
        (HoldOrRefund::Hold, Verdict::Held),
        (HoldOrRefund::Refund, Verdict::Returned),
    ] {
        let mut world = World::with_reference(None);
        world.policy.unreferenced = rule;
        world.pays("1", eur(5995));
        let plan = world.run_for(mins(14));
        assert_eq!(
            (plan.verdict, plan.reason),
            (Verdict::Matching, Reason::AwaitingOrder)
        );
        let plan = world.run_to(verdict);
        assert_eq!(world.sent(ActionKind::LookUp), 0);
        if verdict == Verdict::Held {
            assert_eq!(plan.reason, Reason::UnreferencedHeld);
        }
    }
}

#[test]
fn s049_a_payment_of_unknown_kind_is_held_and_never_refunded() {
    for reference in [None, Some("1000042")] {
        let mut world = World::with_reference(reference);
        world.policy.unreferenced = HoldOrRefund::Refund;
        world.shop.status = OrderStatus::Unknown;
        let payment = world.pays_unseen("1", eur(5995));
        world.paid(&payment).ownership = Ownership::UnknownKind;
        world.webhook(&payment);
        let plan = world.run_for(Span::from_days(3));
        assert_eq!(
            (plan.verdict, plan.reason),
            (Verdict::Held, Reason::UnknownKind)
        );
        assert!(world.refunds_made().is_empty());
    }
}

#[test]
fn s041_a_shared_account_proves_nothing_by_one_shops_word() {
    for status in [
        OrderStatus::Unknown,
        OrderStatus::Pending,
        OrderStatus::Cancelled,
    ] {
        let mut world = World::new();
        world.shop.status = status;
        let payment = world.pays_unseen("1", eur(5995));
        world.paid(&payment).ownership = Ownership::Shared;
        world.webhook(&payment);
        let plan = world.run_for(Span::from_days(2));
        assert_eq!(
            (plan.verdict, plan.reason),
            (Verdict::Held, Reason::OwnerAmbiguous)
        );
        assert!(world.refunds_made().is_empty());
        // The shop that made it may say so by itself.
        world.shop.status = OrderStatus::Confirmed;
        world.run_to(Verdict::Settled);
    }
}

#[test]
fn what_is_not_ours_is_recorded_and_never_acted_on() {
    for (ownership, reason) in [
        (Ownership::Unclaimed, Reason::NotClaimed),
        (Ownership::BeforeSince, Reason::BeforeSince),
        (Ownership::WrongMode, Reason::WrongMode),
    ] {
        let mut world = World::new();
        let payment = world.pays_unseen("1", eur(5995));
        world.paid(&payment).ownership = ownership;
        world.webhook(&payment);
        let plan = world.run_for(Span::from_days(2));
        assert_eq!((plan.verdict, plan.reason), (Verdict::Foreign, reason));
        assert!(world.calls.is_empty() && plan.in_suspense.is_empty());
    }
}

#[test]
fn grace_counts_only_the_time_in_which_the_shop_could_be_reached() {
    let mut world = World::new();
    world.shop.status = OrderStatus::Unknown;
    world.pays("1", eur(5995));
    world.run_for(mins(5));
    world.shop.down = Some(Fault::Lost);
    let plan = world.run_for(Span::from_hours(14));
    assert_eq!(
        (plan.verdict, plan.reason),
        (Verdict::Matching, Reason::ShopUnreachable)
    );
    assert_eq!(plan.in_suspense, [eur(5995)]);
    world.shop.down = None;
    // The last failure was up to five minutes ago: that long the retry schedule waits at most.
    let plan = world.run_for(mins(9));
    assert_eq!(plan.verdict, Verdict::Matching);
    assert_eq!(world.sent(ActionKind::Release), 0);
    world.run_to(Verdict::Returned);
}

#[test]
fn the_refund_delay_starts_anew_when_the_shop_fell_silent() {
    let mut world = World::new();
    world.announces(OrderStatus::Cancelled);
    world.pays("1", eur(5995));
    world.run_to_reason(Reason::RefundDelayed);
    world.run_for(mins(9));
    world.shop.down = Some(Fault::Lost);
    world.run_for(mins(30));
    assert!(world.refunds_made().is_empty());
    world.shop.down = None;
    let back = world.now;
    world.run_to(Verdict::Returned);
    // Retries against the silent shop are at most five minutes apart.
    assert!(world.now.since(back) >= mins(5));
}

#[test]
fn a_long_second_look_ends() {
    for days in [1, 3, 10] {
        let mut world = World::new();
        world.policy.second_look = Span::from_days(days);
        world.shop.status = OrderStatus::Unknown;
        world.pays("1", eur(5995));
        let began = world.now;
        world.run_for(Span::from_days(days + 1));
        assert_eq!(world.plan().verdict, Verdict::Returned);
        let released = world
            .calls
            .iter()
            .find(|call| call.1 == ActionKind::Release)
            .unwrap();
        assert!(released.0.since(began) >= Span::from_days(days));
    }
}

#[test]
fn a_claim_is_read_even_when_the_shop_says_nothing_else() {
    let mut world = World::new();
    let payment = world.pays_unseen("1", eur(5995));
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
            claims: [payment].into(),
            locale: None,
            customer: None,
        },
    )));
    assert!(!world.plan().safe_to_retry);
    // Other news in between must not push the first look away.
    for _ in 0..20 {
        world.pass(secs(1));
        world.plan();
    }
    world.run_for(mins(10));
    assert_eq!(world.plan().verdict, Verdict::Settled);
}

#[test]
fn a_payment_that_the_psp_cannot_describe_is_not_read_in_a_circle() {
    let mut world = World::new();
    let payment = pay("ghost");
    let seen = crate::core::payment::PaymentSnapshot::new(
        payment,
        world.now,
        world.now,
        crate::core::payment::Source::Signed,
    );
    world.observe(Fact::PaymentSeen(Box::new(seen)));
    world.run_for(Span::from_days(1));
    assert!(
        world.sent(ActionKind::Fetch) < 60,
        "{}",
        world.sent(ActionKind::Fetch)
    );
    assert!(world.sent(ActionKind::Fetch) > 3);
}

#[test]
fn an_order_without_money_is_open_and_then_closed() {
    let mut world = World::new();
    world.announces(OrderStatus::Pending);
    let plan = world.plan();
    assert_eq!(
        (plan.verdict, plan.reason),
        (Verdict::Open, Reason::AwaitingPayment)
    );
    assert!(plan.safe_to_retry);
    world.run_for(Span::from_days(46));
    let plan = world.plan();
    assert_eq!(
        (plan.verdict, plan.reason),
        (Verdict::Closed, Reason::NothingPaid)
    );
}

#[test]
fn safe_to_retry_is_true_only_when_nothing_was_taken_and_nothing_can_be() {
    let progress = |progress: Progress, captured: i64| {
        let mut world = World::new();
        world.announces(OrderStatus::Pending);
        let payment = world.pays_unseen("1", eur(captured));
        world.paid(&payment).progress = progress;
        world.webhook(&payment);
        world.plan().safe_to_retry
    };
    assert!(progress(Progress::Dead, 0));
    assert!(!progress(Progress::Waiting, 0));
    assert!(!progress(Progress::InFlight, 0));
    assert!(!progress(Progress::Authorised, 0));
    assert!(!progress(Progress::Taken, 5995));
    assert!(!progress(Progress::Dead, 5995));
    let mut confirmed = World::new();
    confirmed.announces(OrderStatus::Confirmed);
    assert!(!confirmed.plan().safe_to_retry);
    let mut returned = World::new();
    returned.announces(OrderStatus::Cancelled);
    returned.pays("1", eur(5995));
    assert!(!returned.run_to(Verdict::Returned).safe_to_retry);
}

#[test]
fn a_moved_payment_leaves_a_closed_checkout() {
    let mut world = World::with_reference(None);
    let payment = world.pays("1", eur(5995));
    let to = crate::core::ids::CheckoutId::parse("c2").unwrap();
    world.observe(Fact::PaymentLeft {
        payment: payment.clone(),
        to,
    });
    world.psp.payments.clear();
    let plan = world.run_for(Span::from_days(1));
    assert_eq!(
        (plan.verdict, plan.reason),
        (Verdict::Closed, Reason::Moved)
    );
    assert!(plan.in_suspense.is_empty());

    let state = Box::new(world.checkout.payments[&payment].clone());
    let mut order = World::new();
    order.pays_unseen("1", eur(5995));
    order.observe(Fact::PaymentArrived { payment, state });
    order.run_to(Verdict::Settled);
}

#[test]
fn s029_money_charged_back_before_the_confirm_closes_without_a_refund() {
    let mut world = World::new();
    world.shop.status = OrderStatus::Unknown;
    let payment = world.pays("1", eur(5995));
    world.run_for(mins(1));
    world.dispute(&payment, eur(5995), DisputeState::Lost);
    let plan = world.plan();
    assert_eq!(
        (plan.verdict, plan.reason),
        (Verdict::Returned, Reason::ChargedBack)
    );
    assert!(world.refunds_made().is_empty());
}

#[test]
fn a_refund_in_another_currency_than_euro_adds_up() {
    let usd = |minor| {
        crate::core::money::Money::new(minor, crate::core::money::Currency::parse("USD").unwrap())
    };
    let mut world = World::new();
    world.shop.amount = Some(usd(5995));
    let failed = world.pays_unseen("1", usd(0));
    world.paid(&failed).progress = Progress::Dead;
    world.webhook(&failed);
    let pending = world.pays_unseen("2", usd(0));
    world.paid(&pending).progress = Progress::Waiting;
    world.webhook(&pending);
    world.pays("3", usd(5995));
    let plan = world.run_to(Verdict::Settled);
    assert!(plan.in_suspense.is_empty());
    world.staff_refunds(&pay("3"), usd(1000), RefundState::Succeeded);
    world.webhook(&pay("3"));
    world.run_to_reason(Reason::RefundedAfterConfirm);
}
