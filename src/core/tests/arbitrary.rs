//! Facts of every kind and shape, sensible or not, for the laws.
//! Knows no law: what must hold of them is said in `laws`.

use super::world::{ACCOUNT, eur, external};
use crate::core::checkout::Checkout;
use crate::core::fact::{BrakeCause, Fact, Outcome, Ruling, RulingKind};
use crate::core::ids::{ActionKey, CheckoutId, PaymentRef, Reference, ShopId};
use crate::core::lattice::Stamped;
use crate::core::money::{Currency, Money};
use crate::core::order::{OrderSnapshot, OrderStatus, Statement, Via};
use crate::core::payment::{
    Dispute, DisputeState, Ownership, Payment, PaymentSnapshot, Progress, Refund, RefundState,
    Source,
};
use crate::core::plan::ActionKind;
use crate::core::policy::{HoldOrRefund, LatePayment, Mode, Overpayment, Policy};
use crate::core::time::{Span, Time};
use proptest::collection::{btree_map, btree_set, vec};
use proptest::option;
use proptest::prelude::*;
use std::collections::BTreeMap;

/// A few moments around the same day, so that ties and orders of all kinds occur.
pub(super) fn time() -> BoxedStrategy<Time> {
    prop_oneof![
        4 => (0i64..40).prop_map(|n| Time::from_seconds(1_790_000_000 + n * 60)),
        1 => (0i64..200).prop_map(|n| Time::from_seconds(1_790_000_000 + n * 3600)),
    ]
    .boxed()
}

fn money() -> BoxedStrategy<Money> {
    let amounts = prop_oneof![
        6 => Just(5995i64),
        2 => 0i64..12_000,
        1 => Just(59_950),
        1 => Just(1000),
        1 => -10i64..0,
    ];
    (amounts, 0..20u8)
        .prop_map(|(minor, odd)| match odd {
            0 => Money::new(minor, Currency::parse("USD").unwrap()),
            _ => eur(minor),
        })
        .boxed()
}

fn wild_money() -> BoxedStrategy<Money> {
    prop_oneof![30 => money(), 1 => Just(eur(i64::MAX)), 1 => Just(eur(i64::MIN))].boxed()
}

pub(super) fn payment() -> BoxedStrategy<PaymentRef> {
    (0..3u8)
        .prop_map(|n| PaymentRef::parse(ACCOUNT, &format!("pi_{n}")).unwrap())
        .boxed()
}

fn reference() -> Reference {
    Reference::parse("1000042").unwrap()
}

fn key() -> BoxedStrategy<(ActionKey, ActionKind)> {
    let fixed = prop::sample::select(vec![
        ("lookup", ActionKind::LookUp),
        ("confirm-a", ActionKind::Confirm),
        ("confirm-b", ActionKind::Confirm),
        ("release-a", ActionKind::Release),
        ("refund-stripe_nl.pi_0-1", ActionKind::Refund),
        ("refund-stripe_nl.pi_0-2", ActionKind::Refund),
        ("refund-stripe_nl.pi_1-1", ActionKind::Refund),
        ("refund-stripe_nl.pi_2-1", ActionKind::Refund),
        ("void-stripe_nl.pi_0-1", ActionKind::Void),
        ("cancel-refund-stripe_nl.pi_0-1", ActionKind::CancelRefund),
        ("fetch-stripe_nl.pi_0", ActionKind::Fetch),
        ("fetch-stripe_nl.pi_1", ActionKind::Fetch),
        ("payment.held-x", ActionKind::Notify),
    ]);
    fixed
        .prop_map(|(text, kind)| (ActionKey::parse(text).unwrap(), kind))
        .boxed()
}

fn refund() -> BoxedStrategy<Refund> {
    let state = prop::sample::select(vec![
        RefundState::Pending,
        RefundState::Succeeded,
        RefundState::Failed,
    ]);
    let said = || option::of((time(), any::<bool>()));
    (money(), state, option::of(key()), said(), said())
        .prop_map(|(amount, state, mark, waits, cancellable)| Refund {
            waits_for_balance: waits.map(|(at, value)| Stamped::new(at, value)),
            may_be_cancelled: cancellable.map(|(at, value)| Stamped::new(at, value)),
            ..Refund::new(amount, state, mark.map(|(key, _)| key))
        })
        .boxed()
}

fn dispute() -> BoxedStrategy<Dispute> {
    let states = vec![DisputeState::Open, DisputeState::Won, DisputeState::Lost];
    (money(), prop::sample::select(states))
        .prop_map(|(amount, state)| Dispute { amount, state })
        .boxed()
}

fn ownership() -> BoxedStrategy<Ownership> {
    prop_oneof![
        12 => Just(Ownership::Ours),
        1 => Just(Ownership::Unclaimed),
        1 => Just(Ownership::Shared),
        1 => Just(Ownership::BeforeSince),
        1 => Just(Ownership::WrongMode),
        1 => Just(Ownership::UnknownKind),
    ]
    .boxed()
}

fn progress() -> BoxedStrategy<Progress> {
    prop::sample::select(vec![
        Progress::Waiting,
        Progress::InFlight,
        Progress::Authorised,
        Progress::Taken,
        Progress::Taken,
        Progress::Dead,
    ])
    .boxed()
}

fn source() -> BoxedStrategy<Source> {
    prop_oneof![
        Just(Source::Signed),
        Just(Source::Hearsay),
        time().prop_map(|asked_at| Source::Read { asked_at })
    ]
    .boxed()
}

prop_compose! {
    fn amounts()(
        requested in option::of(wild_money()),
        authorised in option::of(money()),
        captured in option::weighted(0.7, wild_money()),
        refunded in option::weighted(0.1, money()),
    ) -> [Option<Money>; 4] {
        [requested, authorised, captured, refunded]
    }
}

prop_compose! {
    fn bits()(
        whole in any::<bool>(),
        is_disputed in option::weighted(0.1, any::<bool>()),
        is_refundable in option::weighted(0.1, any::<bool>()),
        method in option::of("[a-z]{1,6}"),
        has_reference in any::<bool>(),
    ) -> (bool, Option<bool>, Option<bool>, Option<String>, bool) {
        (whole, is_disputed, is_refundable, method, has_reference)
    }
}

prop_compose! {
    pub(super) fn snapshot()(
        payment in payment(),
        times in [time(), time()],
        source in source(),
        ownership in option::of(ownership()),
        created in option::of(time()),
        until in option::of(time()),
        progress in option::of(progress()),
        amounts in amounts(),
        refunds in btree_map((0..3u8).prop_map(|n| external(&format!("re_{n}"))), refund(), 0..3).boxed(),
        disputes in btree_map(Just(external("dp_0")), dispute(), 0..2),
        captures in btree_map((0..3u8).prop_map(|n| external(&format!("cap_{n}"))), money(), 0..3),
        bits in bits(),
    ) -> PaymentSnapshot {
        let [requested, authorised, captured, refunded] = amounts;
        let (whole, is_disputed, is_refundable, method, has_reference) = bits;
        PaymentSnapshot {
            ownership,
            reference: has_reference.then(reference),
            created_at: created,
            method,
            progress,
            requested,
            authorised,
            authorised_until: until,
            captured,
            captures,
            refunded,
            refunds,
            is_refund_list_whole: whole,
            disputes,
            is_disputed,
            is_refundable,
            ..PaymentSnapshot::new(payment, times[0], times[1], source)
        }
    }
}

prop_compose! {
    fn statement()(
        as_of in time(),
        asked_at in option::of(time()),
        via in prop::sample::select(Via::ALL.to_vec()),
        status in prop::sample::select(vec![
            OrderStatus::Unknown, OrderStatus::Pending, OrderStatus::Cancelled, OrderStatus::Confirmed,
            OrderStatus::Cancelled, OrderStatus::Unknown,
        ]),
        paid_by in btree_set(payment(), 0..3),
        is_fulfilled in option::weighted(0.2, any::<bool>()),
        reason in option::of("[a-z ]{1,8}"),
        retry in option::of(0u64..7200),
        look in option::of(1..5u32),
    ) -> Statement {
        let retry_after = retry.map(Span::from_seconds);
        Statement { as_of, asked_at, via, status, paid_by, is_fulfilled, reason, retry_after, look }
    }
}

prop_compose! {
    pub(super) fn order_snapshot()(
        times in [time(), time()],
        statement in option::weighted(0.9, statement()),
        amount in option::of(money()),
        paid_otherwise in option::weighted(0.2, money()),
        give_back in option::weighted(0.2, money()),
        (expires_at, created_at) in (option::of(time()), option::of(time())),
        claims in btree_set(payment(), 0..3),
        (locale, customer) in (option::of("[a-z]{2}"), option::of("[a-c]")),
    ) -> OrderSnapshot {
        OrderSnapshot {
            reference: reference(),
            as_of: times[0],
            observed_at: times[1],
            statement,
            amount,
            terms: crate::core::order::Terms { paid_otherwise, give_back },
            expires_at,
            created_at,
            claims,
            locale,
            customer,
        }
    }
}

fn outcome() -> BoxedStrategy<Outcome> {
    let code = "[a-z_]{1,6}";
    prop_oneof![
        2 => Just(Outcome::Done),
        1 => code.prop_map(|code| Outcome::Unclear { code }),
        1 => code.prop_map(|code| Outcome::NotSent { code }),
        1 => time().prop_map(|until| Outcome::Throttled { until }),
        1 => time().prop_map(|until| Outcome::Postponed { code: "duplicate".to_owned(), until }),
        1 => code.prop_map(|code| Outcome::Unauthorized { code }),
        1 => code.prop_map(|code| Outcome::Malformed { code }),
        1 => code.prop_map(|code| Outcome::Refused { code }),
    ]
    .boxed()
}

fn ruling() -> BoxedStrategy<Ruling> {
    let kinds = vec![
        RulingKind::Retry,
        RulingKind::Confirm,
        RulingKind::Refund,
        RulingKind::Refund,
        RulingKind::Hold,
        RulingKind::Resume,
        RulingKind::Settle,
    ];
    let keys = prop::sample::select(vec!["auto_refund_limit", "max_refund_share"]);
    let overrides = btree_set(keys.prop_map(str::to_owned), 0..3);
    (time(), prop::sample::select(kinds), overrides)
        .prop_map(|(at, ruling, overrides)| Ruling {
            at,
            ruling,
            by: "oncall".to_owned(),
            note: String::new(),
            overrides,
        })
        .boxed()
}

fn cause() -> BoxedStrategy<BrakeCause> {
    prop::sample::select(vec![
        BrakeCause::RefundCount,
        BrakeCause::RefundSum,
        BrakeCause::RefundShare,
        BrakeCause::UnknownRunaway,
        BrakeCause::EpochWentBack,
        BrakeCause::AmountScale,
        BrakeCause::CanaryLost,
        BrakeCause::CanaryMissing,
        BrakeCause::StoreMoved,
    ])
    .boxed()
}

fn moved() -> BoxedStrategy<Fact> {
    let to = (0..2u8).prop_map(|n| CheckoutId::parse(&format!("c{n}")).unwrap());
    prop_oneof![
        snapshot().prop_map(|one| Fact::PaymentArrived {
            payment: one.payment.clone(),
            state: Box::new(Payment::from_snapshot(&one)),
        }),
        (payment(), to).prop_map(|(payment, to)| Fact::PaymentLeft { payment, to }),
        payment().prop_map(|payment| Fact::ClaimRefused { payment }),
    ]
    .boxed()
}

fn asked() -> BoxedStrategy<Fact> {
    let sent = (key(), 1..5u32, time(), payment(), option::of(money()));
    prop_oneof![
        sent.prop_map(|((key, kind), attempt, at, payment, amount)| {
            let of = |text: &str| key.as_str().contains(text);
            let named = ["pi_0", "pi_1", "pi_2"].into_iter().find(|id| of(id));
            let payment = named
                .map(|id| PaymentRef::parse(ACCOUNT, id).unwrap())
                .or(Some(payment));
            Fact::AskSent {
                key,
                kind,
                attempt,
                at,
                payment,
                amount,
            }
        }),
        (
            key(),
            1..5u32,
            time(),
            time(),
            outcome(),
            option::of(1..5u32)
        )
            .prop_map(|((key, kind), attempt, sent_at, at, outcome, looks)| {
                Fact::AskAnswered {
                    key,
                    kind,
                    attempt,
                    sent_at,
                    at,
                    outcome,
                    looks,
                }
            }),
    ]
    .boxed()
}

/// Any fact at all.
pub(super) fn fact() -> BoxedStrategy<Fact> {
    prop_oneof![
        8 => snapshot().prop_map(|one| Fact::PaymentSeen(Box::new(one))).boxed(),
        8 => order_snapshot().prop_map(|one| Fact::OrderSeen(Box::new(one))).boxed(),
        5 => asked(),
        1 => moved(),
        1 => ruling().prop_map(Fact::RulingMade),
        1 => (time(), cause()).prop_map(|(at, cause)| Fact::RefundBraked { at, cause }),
        1 => time().prop_map(|at| Fact::BrakeReleased { at }),
        1 => (time(), "[a-z]{1,4}").prop_map(|(at, why)| Fact::Parked { at, why }),
    ]
    .boxed()
}

pub(super) fn facts(most: usize) -> BoxedStrategy<Vec<Fact>> {
    vec(fact(), 0..most).boxed()
}

/// Any rules.
pub(super) fn any_policy() -> BoxedStrategy<Policy> {
    let modes = vec![
        Mode::Full,
        Mode::Full,
        Mode::Full,
        Mode::Confirm,
        Mode::Observe,
    ];
    let flags = any::<[bool; 7]>();
    (prop::sample::select(modes), flags, 0u64..30, 0u64..30)
        .prop_map(|(mode, flags, a, b)| {
            let [late, over, under, nameless, reads, lists, cancels] = flags;
            let pick = |refund: bool| {
                if refund {
                    HoldOrRefund::Refund
                } else {
                    HoldOrRefund::Hold
                }
            };
            let mut policy = super::world::policy();
            for traits in policy.accounts.values_mut() {
                traits.can_read = reads || lists;
                traits.can_list_refunds = lists;
                traits.cancels_refunds = cancels;
            }
            Policy {
                mode,
                order_grace: Span::from_minutes(a),
                refund_delay: Span::from_minutes(b),
                late_payment: if late {
                    LatePayment::Offer
                } else {
                    LatePayment::Refund
                },
                overpayment: if over {
                    Overpayment::Hold
                } else {
                    Overpayment::RefundExcess
                },
                underpayment: pick(under),
                unreferenced: pick(nameless),
                ..policy
            }
        })
        .boxed()
}

pub(super) fn checkout(reference_known: bool) -> Checkout {
    Checkout::new(
        CheckoutId::parse("c1").unwrap(),
        ShopId::parse("klompen").unwrap(),
        reference_known.then(reference),
    )
}

pub(super) fn folded(reference_known: bool, facts: &[Fact]) -> Checkout {
    let mut checkout = checkout(reference_known);
    for fact in facts {
        checkout.observe(fact);
    }
    checkout
}

/// The same JSON with everything absent left out: what is skipped must have a default.
pub(super) fn without_nulls(value: serde_json::Value) -> serde_json::Value {
    match value {
        serde_json::Value::Object(map) => serde_json::Value::Object(
            map.into_iter()
                .filter(|(_, value)| !value.is_null())
                .map(|(key, value)| (key, without_nulls(value)))
                .collect(),
        ),
        serde_json::Value::Array(values) => {
            serde_json::Value::Array(values.into_iter().map(without_nulls).collect())
        }
        serde_json::Value::Null
        | serde_json::Value::Bool(_)
        | serde_json::Value::Number(_)
        | serde_json::Value::String(_) => value,
    }
}

/// Amounts per currency, as the laws add them up.
pub(super) type Sums = BTreeMap<Currency, i128>;
