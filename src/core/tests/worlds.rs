//! Whole lives of a checkout under random faults: once the faults stop, everything comes to
//! rest or to a named hold, and the books are right.

use super::world::{Fault, RefundWay, World, eur, mins, pay};
use crate::core::checkout::Checkout;
use crate::core::fact::Fact;
use crate::core::order::OrderStatus;
use crate::core::payment::{DisputeState, Progress, RefundState};
use crate::core::plan::{ActionKind, Verdict};
use crate::core::policy::{HoldOrRefund, LatePayment};
use crate::core::time::Span;
use proptest::collection::vec;
use proptest::prelude::*;

/// What happens outside, each after some minutes.
#[derive(Clone, Debug)]
enum Event {
    Pays(u8, i64),
    PaysUnseen(u8),
    Authorises(u8),
    Captures(u8),
    Dies(u8),
    Shop(OrderStatus),
    ShopQuietly(OrderStatus),
    Repeats(u8),
    StaffRefunds(u8, i64, bool),
    Disputes(u8, DisputeState),
    RefundsEnd(bool),
    ShopDown(bool),
    PspDown(bool),
}

fn event() -> impl Strategy<Value = Event> {
    let which = 0..3u8;
    let status = prop::sample::select(vec![
        OrderStatus::Pending,
        OrderStatus::Pending,
        OrderStatus::Cancelled,
        OrderStatus::Unknown,
        OrderStatus::Confirmed,
    ]);
    let dispute = prop::sample::select(vec![
        DisputeState::Open,
        DisputeState::Won,
        DisputeState::Lost,
    ]);
    prop_oneof![
        4 => (which.clone(), prop_oneof![4 => Just(5995i64), 1 => 1i64..9000])
            .prop_map(|(which, minor)| Event::Pays(which, minor)),
        1 => which.clone().prop_map(Event::PaysUnseen),
        1 => which.clone().prop_map(Event::Authorises),
        1 => which.clone().prop_map(Event::Captures),
        1 => which.clone().prop_map(Event::Dies),
        4 => status.clone().prop_map(Event::Shop),
        2 => status.prop_map(Event::ShopQuietly),
        2 => which.clone().prop_map(Event::Repeats),
        1 => (which.clone(), 1i64..6000, any::<bool>())
            .prop_map(|(which, minor, done)| Event::StaffRefunds(which, minor, done)),
        1 => (which, dispute).prop_map(|(which, state)| Event::Disputes(which, state)),
        1 => any::<bool>().prop_map(Event::RefundsEnd),
        1 => any::<bool>().prop_map(Event::ShopDown),
        1 => any::<bool>().prop_map(Event::PspDown),
    ]
}

fn faults() -> impl Strategy<Value = Vec<Fault>> {
    let one = prop_oneof![
        3 => Just(Fault::None),
        2 => prop::sample::select(Fault::ALL.to_vec()),
    ];
    vec(one, 0..14)
}

#[derive(Clone, Debug)]
struct Life {
    events: Vec<(u64, Event)>,
    shop_faults: Vec<Fault>,
    psp_faults: Vec<Fault>,
    way: RefundWay,
    flags: [bool; 8],
    not_yet: u32,
}

prop_compose! {
    fn life()(
        events in vec((0u64..40, event()), 1..9),
        shop_faults in faults(),
        psp_faults in faults(),
        way in prop::sample::select(vec![RefundWay::Succeeds, RefundWay::Succeeds, RefundWay::StaysPending, RefundWay::Refused]),
        flags in any::<[bool; 8]>(),
        not_yet in 0u32..4,
    ) -> Life {
        Life { events, shop_faults, psp_faults, way, flags, not_yet }
    }
}

fn happens(world: &mut World, event: &Event) {
    let name = |which: &u8| which.to_string();
    let known = |world: &World, which: &u8| world.psp.payments.contains_key(&pay(&name(which)));
    match event {
        Event::Pays(which, minor) if !known(world, which) => {
            world.pays(&name(which), eur(*minor));
        }
        Event::PaysUnseen(which) if !known(world, which) => {
            world.pays_unseen(&name(which), eur(5995));
        }
        Event::Authorises(which) if !known(world, which) => {
            world.authorises(&name(which), eur(5995));
        }
        Event::Captures(which) if known(world, which) => {
            let paid = world.paid(&pay(&name(which)));
            if paid.progress == Progress::Authorised {
                paid.progress = Progress::Taken;
                paid.captured = eur(5995);
                world.webhook(&pay(&name(which)));
            }
        }
        Event::Dies(which) if known(world, which) => {
            let paid = world.paid(&pay(&name(which)));
            if paid.captured.is_zero() {
                paid.progress = Progress::Dead;
                paid.authorised = None;
                world.webhook(&pay(&name(which)));
            }
        }
        Event::Repeats(which) if known(world, which) => world.webhook(&pay(&name(which))),
        Event::StaffRefunds(which, minor, done) if known(world, which) => {
            let payment = pay(&name(which));
            if world.left_at_psp(&payment) >= *minor {
                let state = if *done {
                    RefundState::Succeeded
                } else {
                    RefundState::Pending
                };
                world.staff_refunds(&payment, eur(*minor), state);
            }
        }
        Event::Disputes(which, state) if known(world, which) => {
            let payment = pay(&name(which));
            let captured = world.paid(&payment).captured;
            if captured.is_positive() {
                world.dispute(&payment, captured, *state);
            }
        }
        Event::Pays(..)
        | Event::PaysUnseen(..)
        | Event::Authorises(..)
        | Event::Captures(..)
        | Event::Dies(..)
        | Event::Repeats(..)
        | Event::StaffRefunds(..)
        | Event::Disputes(..) => {}
        Event::Shop(_)
        | Event::ShopQuietly(_)
        | Event::RefundsEnd(_)
        | Event::ShopDown(_)
        | Event::PspDown(_) => elsewhere(world, event),
    }
}

fn elsewhere(world: &mut World, event: &Event) {
    match event {
        Event::Shop(status) => {
            // A shop that says `confirmed` by itself counts what it saw; that is its own affair.
            world.shop_may_err = world.shop_may_err || *status == OrderStatus::Confirmed;
            world.announces(*status);
        }
        Event::ShopQuietly(status) => {
            world.shop_may_err = world.shop_may_err || *status == OrderStatus::Confirmed;
            world.shop.status = *status;
        }
        Event::RefundsEnd(well) => {
            let end = if *well {
                RefundState::Succeeded
            } else {
                RefundState::Failed
            };
            let pending = |state: RefundState| state == RefundState::Pending;
            let any = world
                .psp
                .payments
                .values()
                .any(|paid| paid.refunds.values().any(|refund| pending(refund.state)));
            if any {
                world.refunds_become(end);
            }
        }
        Event::ShopDown(down) => world.shop.down = down.then_some(Fault::BadGateway),
        Event::PspDown(down) => world.psp.down = down.then_some(Fault::Lost),
        Event::Pays(..)
        | Event::PaysUnseen(..)
        | Event::Authorises(..)
        | Event::Captures(..)
        | Event::Dies(..)
        | Event::Repeats(..)
        | Event::StaffRefunds(..)
        | Event::Disputes(..) => {}
    }
}

fn lived(life: &Life) -> World {
    let mut world = World::new();
    let [
        names,
        revives,
        offer,
        refund_parts,
        tombstones,
        keeps,
        cancels,
        is_final,
    ] = life.flags;
    for traits in world.policy.accounts.values_mut() {
        traits.cancels_refunds = cancels;
    }
    world.psp.refunds_are_final = is_final;
    world.shop.names = names;
    world.shop.revives = revives;
    world.shop.keeps_tombstones = tombstones;
    world.shop.refuses_release = keeps;
    world.shop.not_yet = life.not_yet;
    world.shop.faults.extend(&life.shop_faults);
    world.psp.faults.extend(&life.psp_faults);
    world.psp.refund_way = life.way;
    if !offer {
        world.policy.late_payment = LatePayment::Refund;
    }
    if refund_parts {
        world.policy.underpayment = HoldOrRefund::Refund;
    }
    for (minutes, event) in &life.events {
        world.run_for(mins(*minutes));
        happens(&mut world, event);
    }
    world
}

proptest! {
    #![proptest_config(ProptestConfig {
        // A life is a few hundred steps, each checked; half the usual number will do.
        cases: ProptestConfig::default().cases / 2,
        failure_persistence: None,
        ..ProptestConfig::default()
    })]

    #[test]
    fn once_faults_stop_every_life_comes_to_rest_or_to_a_named_hold(life in life()) {
        let mut world = lived(&life);
        world.shop.down = None;
        world.psp.down = None;
        world.shop.faults.clear();
        world.psp.faults.clear();
        let calls = world.calls.len();
        let plan = world.run_for(Span::from_days(50));
        let calls = world.calls.len() - calls;
        prop_assert!(calls < 5000, "{} calls: {:?} {:?}", calls, plan.verdict, plan.reason);
        let waits_for_psp = life.way == RefundWay::StaysPending
            || world.psp.payments.values().any(|paid| {
                let mut refunds = paid.refunds.values();
                paid.progress == Progress::Authorised
                    || refunds.any(|refund| refund.state == RefundState::Pending)
            });
        prop_assert!(
            plan.verdict.is_at_rest() || plan.verdict == Verdict::Held || waits_for_psp,
            "{:?} {:?}", plan.verdict, plan.reason
        );
        // What was read of the refunds is what there is: each key did one thing at most.
        let applied = world.psp.keys.len();
        prop_assert!(applied <= world.keys(ActionKind::Refund).len());
        // The journal alone gives the same state.
        let mut folded = super::arbitrary::checkout(true);
        for fact in &world.journal {
            let line = serde_json::to_string(fact).unwrap();
            folded.observe(&serde_json::from_str::<Fact>(&line).unwrap());
        }
        prop_assert_eq!(&folded, &world.checkout);
        let text = serde_json::to_string(&world.checkout).unwrap();
        prop_assert!(text.len() < 100_000, "{} bytes", text.len());
        prop_assert_eq!(serde_json::from_str::<Checkout>(&text).unwrap(), folded);
    }
}
