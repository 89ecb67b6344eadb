//! Payments that are named without being shown: what is read, how often, and what is forgotten.
//!
//! Answers of a PSP that knows no such payment are given by hand.

use super::world::{World, eur, mins, pay, secs};
use crate::core::fact::{Fact, Outcome};
use crate::core::ids::PaymentRef;
use crate::core::lattice::Join;
use crate::core::order::{OrderSnapshot, OrderStatus};
use crate::core::payment::{Payment, PaymentSnapshot, Progress, Source};
use crate::core::plan::{ActionKind, Plan, Reason, Verdict};
use crate::core::time::{Span, Time};

/// Somebody names a payment now.
fn is_named(world: &mut World, payment: &PaymentRef, is_signed: bool) {
    let source = if is_signed {
        Source::Named
    } else {
        Source::Hearsay
    };
    let seen = PaymentSnapshot::new(payment.clone(), world.now, world.now, source);
    world.observe(Fact::PaymentSeen(Box::new(seen)));
}

/// Lets the PSP decline the next read, at its due time; none when no read is wanted.
fn declined_read(world: &mut World) -> Option<Plan> {
    let plan = world.plan();
    let planned = plan.actions.iter().min_by_key(|one| one.due)?.clone();
    assert_eq!(planned.action.kind(), ActionKind::Fetch);
    world.now = world.now.max(planned.due);
    let (key, sent_at) = (planned.key.clone(), world.now);
    let attempt = planned.attempts + 1;
    let kind = ActionKind::Fetch;
    world.observe(Fact::AskSent {
        key: key.clone(),
        kind,
        attempt,
        at: sent_at,
        payment: planned.action.payment().cloned(),
        amount: None,
    });
    world.calls.push((sent_at, kind, key.clone()));
    world.pass(secs(1));
    let code = "status_404".to_owned();
    let outcome = Outcome::Refused { code };
    let at = world.now;
    world.observe(Fact::AskAnswered {
        key,
        kind,
        attempt,
        sent_at,
        at,
        outcome,
        looks: None,
    });
    Some(world.plan())
}

#[test]
fn a_made_up_name_costs_two_reads_and_then_rests_as_unknown() {
    let mut world = World::with_reference(None);
    is_named(&mut world, &pay("ghost"), false);
    let first = declined_read(&mut world).unwrap();
    assert_eq!(first.verdict, Verdict::Open);
    assert!(first.actions[0].due >= world.now.plus(secs(20)));
    let last = declined_read(&mut world).unwrap();
    let stand = (last.verdict, last.reason);
    assert_eq!(stand, (Verdict::Foreign, Reason::UnknownAtPsp));
    assert!(last.actions.is_empty() && last.wake_at.is_none());
    assert!(declined_read(&mut world).is_none());
}

#[test]
fn a_made_up_name_that_comes_again_is_read_once_each_time_and_ever_more_slowly() {
    let mut world = World::with_reference(None);
    for _ in 0..200 {
        is_named(&mut world, &pay("ghost"), false);
        while declined_read(&mut world).is_some() {}
    }
    assert_eq!(world.sent(ActionKind::Fetch), 201);
    let (first, last) = (world.calls[0].0, world.calls[200].0);
    assert!(
        last.since(first) > Span::from_hours(4),
        "{first:?} {last:?}"
    );
}

#[test]
fn what_a_signed_source_names_is_read_on_although_the_psp_declines() {
    for vouched_first in [true, false] {
        let mut world = World::with_reference(None);
        is_named(&mut world, &pay("ghost"), vouched_first);
        is_named(&mut world, &pay("ghost"), !vouched_first);
        for _ in 0..10 {
            let plan = declined_read(&mut world).unwrap();
            assert_eq!(plan.reason, Reason::AwaitingRead);
        }
    }
}

#[test]
fn a_made_up_name_that_an_order_claims_is_read_on() {
    let mut world = World::new();
    let ghost = pay("ghost");
    is_named(&mut world, &ghost, false);
    let snapshot = OrderSnapshot {
        reference: world.checkout.reference.clone().unwrap(),
        as_of: world.now,
        observed_at: world.now,
        statement: None,
        amount: Some(eur(5995)),
        expires_at: None,
        created_at: None,
        claims: [ghost].into(),
        locale: None,
        customer: None,
        terms: crate::core::order::Terms::default(),
    };
    world.observe(Fact::OrderSeen(Box::new(snapshot)));
    for _ in 0..10 {
        assert_eq!(declined_read(&mut world).unwrap().verdict, Verdict::Open);
    }
}

#[test]
fn a_known_payment_that_is_named_is_read_once_more_and_shows_what_changed() {
    let mut world = World::new();
    world.announces(OrderStatus::Pending);
    let payment = world.authorises("a", eur(5995));
    world.run_for(mins(30));
    let before = world.sent(ActionKind::Fetch);
    let paid = world.paid(&payment);
    paid.progress = Progress::Taken;
    paid.captured = eur(5995);
    paid.authorised = None;
    for _ in 0..20 {
        is_named(&mut world, &payment, false);
    }
    world.run_for(secs(20));
    assert_eq!(world.sent(ActionKind::Fetch), before + 1);
    assert_eq!(world.plan().verdict, Verdict::Settled);
}

#[test]
fn a_payment_that_is_named_without_end_is_read_at_a_walking_pace() {
    let mut world = World::new();
    world.announces(OrderStatus::Pending);
    let payment = world.pays("a", eur(5995));
    world.run_to(Verdict::Settled);
    let before = world.sent(ActionKind::Fetch);
    for _ in 0..600 {
        is_named(&mut world, &payment, false);
        world.run_for(Span::from_millis(100));
    }
    let reads = world.sent(ActionKind::Fetch) - before;
    assert!((6..=13).contains(&reads), "{reads}");
}

#[test]
fn a_name_as_of_a_moment_before_the_last_read_is_no_news() {
    let at = Time::from_seconds;
    let named = |seconds, is_signed| {
        let source = if is_signed {
            Source::Named
        } else {
            Source::Hearsay
        };
        Payment::from_snapshot(&PaymentSnapshot::new(pay("1"), at(seconds), at(30), source))
    };
    let is_news = |known: &Payment, said: &Payment| {
        let mut joined = known.clone();
        joined.join(said);
        joined.says_more_than(known)
    };
    let asked_at = at(20);
    let source = Source::Read { asked_at };
    let read = Payment::from_snapshot(&PaymentSnapshot::new(pay("1"), asked_at, asked_at, source));
    for (seconds, expected) in [(0, false), (19, false), (20, false), (21, true)] {
        let said = named(seconds, true);
        assert_eq!(is_news(&read, &said), expected, "{seconds}");
        let mut again = read.clone();
        again.join(&said);
        assert!(!is_news(&again, &said), "said twice it is said once");
    }
    let hearsay = named(10, false);
    assert!(
        is_news(&hearsay, &named(5, true)),
        "somebody vouches for it"
    );
    assert!(!is_news(&hearsay, &named(5, false)));
}
