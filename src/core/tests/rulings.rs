//! Operators' words: each ruling, each refusal, each override; and the brake.
//! How a ruling reaches the daemon is no matter here.

use super::world::{ACCOUNT, World, eur, mins, pay, secs};
use crate::core::fact::{BrakeCause, Fact, RulingKind};
use crate::core::ids::AccountId;
use crate::core::order::OrderStatus;
use crate::core::payment::DisputeState;
use crate::core::plan::{ActionKind, Notice, Reason, Verdict};
use crate::core::policy::{LatePayment, Mode};
use crate::core::reconcile::ruling::OVERRIDABLE;
use crate::core::time::Span;

fn orphan() -> World {
    let mut world = World::new();
    world.announces(OrderStatus::Cancelled);
    world.pays("1", eur(5995));
    world
}

fn refusal(world: &World, kind: RulingKind, overrides: &[&str]) -> Option<(&'static str, bool)> {
    let ruling = world.ruling(kind, overrides);
    let refused = world.checkout.admit(&ruling, &world.policy).err();
    refused.map(|refused| {
        assert!(!refused.detail.is_empty());
        (refused.guard, refused.may_override)
    })
}

#[test]
fn hold_stops_everything_and_resume_goes_on() {
    let mut world = orphan();
    world.run_to_reason(Reason::RefundDelayed);
    world.rules(RulingKind::Hold, &[]);
    let plan = world.run_for(Span::from_days(3));
    assert_eq!(
        (plan.verdict, plan.reason),
        (Verdict::Held, Reason::OperatorHold)
    );
    assert_eq!(plan.in_suspense, [eur(5995)]);
    assert_eq!(world.sent(ActionKind::Refund), 0);
    assert_eq!(
        world.shop.notices.len(),
        1,
        "the shop is told once that it is held"
    );
    assert_eq!(world.shop.notices[0].0, Notice::Held);
    world.rules(RulingKind::Resume, &[]);
    world.run_to(Verdict::Returned);
}

#[test]
fn refund_sends_the_money_of_a_live_order_back_after_its_release() {
    let mut world = World::new();
    world.shop.not_yet = 100_000;
    world.announces(OrderStatus::Pending);
    world.pays("1", eur(5995));
    world.run_for(mins(10));
    world.rules(RulingKind::Refund, &[]);
    assert_eq!(world.plan().reason, Reason::OperatorRefund);
    world.run_to(Verdict::Returned);
    assert_eq!(world.refunds_made(), [(pay("1"), 5995)]);
    assert_eq!(world.sent(ActionKind::Release), 1);
}

#[test]
fn refund_is_followed_while_it_is_pending_and_held_when_it_fails() {
    let mut world = orphan();
    world.psp.refund_way = super::world::RefundWay::StaysPending;
    world.rules(RulingKind::Refund, &[]);
    let plan = world.run_to_reason(Reason::RefundPending);
    assert_eq!(
        (plan.verdict, plan.in_suspense.as_slice()),
        (Verdict::Refunding, [eur(5995)].as_slice())
    );
    world.run_for(Span::from_days(1));
    world.refunds_become(crate::core::payment::RefundState::Failed);
    let plan = world.run_for(mins(1));
    assert_eq!(
        (plan.verdict, plan.reason),
        (Verdict::Held, Reason::RefundFailed)
    );
    assert_eq!(world.sent(ActionKind::Refund), 1);
}

#[test]
fn refund_yields_to_a_shop_that_confirms() {
    let mut world = World::new();
    world.shop.refuses_release = true;
    world.announces(OrderStatus::Pending);
    world.pays("1", eur(5995));
    world.rules(RulingKind::Refund, &[]);
    world.run_for(mins(30));
    world.shop.paid_by = [pay("1")].into();
    world.announces(OrderStatus::Confirmed);
    world.run_to(Verdict::Settled);
    assert!(world.refunds_made().is_empty());
}

#[test]
fn confirm_confirms_whatever_the_amounts_say() {
    for paid in [100, 4000, 59_950] {
        let mut world = World::new();
        world.announces(OrderStatus::Pending);
        world.pays("1", eur(paid));
        world.run_to(Verdict::Held);
        world.rules(RulingKind::Confirm, &[]);
        world.run_to_where_confirmed();
    }
}

impl World {
    fn run_to_where_confirmed(&mut self) {
        self.run_for(mins(5));
        assert_eq!(self.shop.status, OrderStatus::Confirmed);
    }
}

#[test]
fn confirm_offers_a_cancelled_order_once_more() {
    let mut world = orphan();
    world.policy.late_payment = LatePayment::Refund;
    world.run_to_reason(Reason::RefundDelayed);
    world.shop.revives = true;
    world.rules(RulingKind::Confirm, &[]);
    world.run_to(Verdict::Settled);
}

#[test]
fn settle_counts_it_as_done_until_new_money_comes() {
    let mut world = World::with_reference(None);
    world.pays("1", eur(5995));
    world.run_to(Verdict::Held);
    world.rules(RulingKind::Settle, &[]);
    let plan = world.run_for(Span::from_days(1));
    assert_eq!(
        (plan.verdict, plan.reason),
        (Verdict::Settled, Reason::OperatorSettled)
    );
    assert!(plan.in_suspense.is_empty());
    world.pays("2", eur(100));
    let plan = world.plan();
    assert_eq!(plan.verdict, Verdict::Matching);
    assert_eq!(plan.in_suspense, [eur(6095)]);
}

#[test]
fn retry_asks_everyone_at_once_and_only_once() {
    let mut world = World::new();
    world.announces(OrderStatus::Pending);
    world.shop.not_yet = 100_000;
    world.pays("1", eur(5995));
    world.run_for(Span::from_hours(3));
    let (looks, fetches) = (
        world.sent(ActionKind::LookUp),
        world.sent(ActionKind::Fetch),
    );
    world.rules(RulingKind::Retry, &[]);
    world.run_for(secs(2));
    assert_eq!(world.sent(ActionKind::LookUp), looks + 1);
    assert_eq!(world.sent(ActionKind::Fetch), fetches + 1);
    world.run_for(mins(4));
    assert_eq!(world.sent(ActionKind::Fetch), fetches + 1);
}

#[test]
fn retry_does_not_read_where_nothing_can_be_read() {
    let mut world = World::new();
    let account = AccountId::parse(ACCOUNT).unwrap();
    world.policy.accounts.get_mut(&account).unwrap().can_read = false;
    world.announces(OrderStatus::Pending);
    world.shop.not_yet = 100_000;
    world.pays("1", eur(5995));
    world.rules(RulingKind::Retry, &[]);
    world.run_for(mins(4));
    assert_eq!(world.sent(ActionKind::Fetch), 0);
}

#[test]
fn each_refusal_names_its_guard() {
    let mut world = World::new();
    assert_eq!(
        refusal(&world, RulingKind::Confirm, &[]),
        Some(("nothing_captured", false))
    );
    assert_eq!(
        refusal(&world, RulingKind::Refund, &[]),
        Some(("nothing_to_refund", false))
    );
    let unknown = refusal(&world, RulingKind::Retry, &["refund_delay"]);
    assert_eq!(unknown, Some(("unknown_override", false)));
    for kind in [
        RulingKind::Retry,
        RulingKind::Hold,
        RulingKind::Resume,
        RulingKind::Settle,
    ] {
        assert_eq!(refusal(&world, kind, &OVERRIDABLE), None);
    }
    world.pays("1", eur(60_000));
    assert_eq!(
        refusal(&world, RulingKind::Refund, &[]),
        Some(("auto_refund_limit", true))
    );
    assert_eq!(
        refusal(&world, RulingKind::Refund, &["auto_refund_limit"]),
        None
    );
    assert_eq!(refusal(&world, RulingKind::Confirm, &[]), None);
    world.dispute(&pay("1"), eur(60_000), DisputeState::Open);
    let disputed = refusal(&world, RulingKind::Refund, &["auto_refund_limit"]);
    assert_eq!(disputed, Some(("disputed", false)));

    let mut nameless = World::with_reference(None);
    nameless.pays("1", eur(5995));
    assert_eq!(
        refusal(&nameless, RulingKind::Confirm, &[]),
        Some(("no_order", false))
    );

    let mut confirmed = World::new();
    confirmed.announces(OrderStatus::Confirmed);
    confirmed.pays("1", eur(5995));
    assert_eq!(
        refusal(&confirmed, RulingKind::Refund, &[]),
        Some(("order_confirmed", false))
    );
}

#[test]
fn refusals_by_mode_by_what_has_begun_and_by_currency() {
    let mut timid = orphan();
    timid.policy.mode = Mode::Confirm;
    assert_eq!(
        refusal(&timid, RulingKind::Refund, &[]),
        Some(("mode", false))
    );
    assert_eq!(refusal(&timid, RulingKind::Confirm, &[]), None);
    timid.policy.mode = Mode::Observe;
    assert_eq!(
        refusal(&timid, RulingKind::Confirm, &[]),
        Some(("mode", false))
    );

    let mut going = orphan();
    going.run_to(Verdict::Returned);
    assert_eq!(
        refusal(&going, RulingKind::Confirm, &[]),
        Some(("refund_begun", false))
    );
    assert_eq!(
        refusal(&going, RulingKind::Refund, &[]),
        Some(("nothing_to_refund", false))
    );

    let mut mixed = orphan();
    let usd = crate::core::money::Currency::parse("USD").unwrap();
    mixed.pays("2", crate::core::money::Money::new(1, usd));
    assert_eq!(
        refusal(&mixed, RulingKind::Refund, &[]),
        Some(("currency_mismatch", false))
    );
}

#[test]
fn a_refused_shop_of_the_confirm_is_admitted_after_a_failed_refund() {
    let mut world = orphan();
    world.psp.refund_way = super::world::RefundWay::Refused;
    world.run_to(Verdict::Held);
    assert_eq!(
        refusal(&world, RulingKind::Confirm, &[]),
        None,
        "no money left"
    );
}

#[test]
fn the_brake_holds_until_it_is_released_resumed_or_overridden() {
    for (cause, reason) in [
        (BrakeCause::RefundCount, Reason::GuardRefunds),
        (BrakeCause::RefundSum, Reason::GuardRefunds),
        (BrakeCause::RefundShare, Reason::GuardRefunds),
        (BrakeCause::UnknownRunaway, Reason::GuardUnknownRunaway),
        (BrakeCause::EpochWentBack, Reason::GuardEpochWentBack),
        (BrakeCause::AmountScale, Reason::GuardAmountScale),
    ] {
        for way in 0..3 {
            let mut world = orphan();
            world.run_to_reason(Reason::RefundDelayed);
            world.pass(secs(1));
            world.observe(Fact::RefundBraked {
                at: world.now,
                cause,
            });
            let plan = world.run_for(Span::from_hours(2));
            assert_eq!((plan.verdict, plan.reason), (Verdict::Held, reason));
            assert_eq!(world.sent(ActionKind::Refund), 0);
            match way {
                0 => world.observe(Fact::BrakeReleased { at: world.now }),
                1 => world.rules(RulingKind::Resume, &[]),
                _ => world.rules(RulingKind::Refund, &[cause.code()]),
            }
            world.run_to(Verdict::Returned);
        }
    }
}

#[test]
fn the_brake_does_not_stop_confirming() {
    let mut world = World::new();
    world.announces(OrderStatus::Pending);
    world.pays("1", eur(5995));
    world.observe(Fact::RefundBraked {
        at: world.now,
        cause: BrakeCause::EpochWentBack,
    });
    world.run_to(Verdict::Settled);
}

#[test]
fn a_parked_checkout_is_held_until_an_operator_speaks() {
    let mut world = orphan();
    world.observe(Fact::Parked {
        at: world.now,
        why: "never_both".to_owned(),
    });
    let plan = world.run_for(Span::from_days(1));
    assert_eq!(
        (plan.verdict, plan.reason),
        (Verdict::Held, Reason::InvariantBreach)
    );
    world.rules(RulingKind::Resume, &[]);
    world.run_to(Verdict::Returned);
}
