//! Hand-made books for tests: facts of a payment's and an order's life, and journals written from
//! them the way the engine writes them.
//!
//! Only for tests; knows no engine.

#![expect(
    clippy::arithmetic_side_effects,
    reason = "a test counts its own minutes and entries"
)]

use crate::core::checkout::Checkout;
use crate::core::fact::{Fact, Outcome};
use crate::core::ids::{
    AccountId, ActionKey, CheckoutId, ExternalRef, PaymentRef, Reference, ShopId,
};
use crate::core::money::{Currency, Money};
use crate::core::order::{OrderSnapshot, OrderStatus, Statement, Via};
use crate::core::payment::{
    Dispute, DisputeState, Ownership, PaymentSnapshot, Progress, Refund, RefundState, Source,
};
use crate::core::plan::{ActionKind, Decision};
use crate::core::policy::{AccountTraits, Mode, Policy};
use crate::core::time::{Span, Time};
use crate::store::memory::MemoryStore;
use crate::store::{CheckoutCommit, CheckoutRow, CommitUnit, Committed, JournalEntry, Store};
use std::collections::{BTreeMap, BTreeSet};

/// The start of a UTC day.
pub(crate) const DAY: i64 = 20_700 * 86_400;

/// A moment so many minutes into the day.
pub(crate) fn minute(minutes: i64) -> Time {
    Time::from_seconds(DAY + minutes * 60)
}

pub(crate) fn eur(minor: i64) -> Money {
    Money::new(minor, Currency::EUR)
}

pub(crate) fn shop() -> ShopId {
    ShopId::parse("klompen").unwrap()
}

pub(crate) fn pay(name: &str) -> PaymentRef {
    PaymentRef::parse("stripe_nl", name).unwrap()
}

/// The contract's defaults, in mode `full`, with an account that can be read.
pub(crate) fn policy() -> Policy {
    let traits = AccountTraits {
        can_read: true,
        can_list_refunds: true,
        key_lifetime: Span::from_hours(24),
        cancels_refunds: false,
    };
    Policy {
        mode: Mode::Full,
        accounts: BTreeMap::from([(AccountId::parse("stripe_nl").unwrap(), traits)]),
        ..Policy::default()
    }
}

/// A captured payment of ours, told by a signed delivery.
pub(crate) fn captured(name: &str, amount: Money, at: Time) -> PaymentSnapshot {
    let mut seen = PaymentSnapshot::new(pay(name), at, at, Source::Signed);
    seen.ownership = Some(Ownership::Ours);
    seen.progress = Some(Progress::Taken);
    seen.captured = Some(amount);
    seen
}

/// The same, read by us with its whole list of refunds.
pub(crate) fn read(name: &str, amount: Money, at: Time) -> PaymentSnapshot {
    let mut seen = captured(name, amount, at);
    seen.source = Source::Read { asked_at: at };
    seen.is_refund_list_whole = true;
    seen
}

pub(crate) fn with_refund(
    mut seen: PaymentSnapshot,
    id: &str,
    amount: Money,
    state: RefundState,
) -> PaymentSnapshot {
    let mark = ActionKey::parse(id).ok();
    let id = ExternalRef::parse(&format!("re.{id}")).unwrap();
    seen.refunds.insert(id, Refund::new(amount, state, mark));
    seen
}

pub(crate) fn with_dispute(
    mut seen: PaymentSnapshot,
    amount: Money,
    state: DisputeState,
) -> PaymentSnapshot {
    let id = ExternalRef::parse("dp_1").unwrap();
    seen.disputes.insert(id, Dispute { amount, state });
    seen
}

pub(crate) fn seen(snapshot: PaymentSnapshot) -> Fact {
    Fact::PaymentSeen(Box::new(snapshot))
}

/// The shop's word on order 1001 of this amount.
pub(crate) fn said(via: Via, status: OrderStatus, amount: Money, at: Time) -> Fact {
    let statement = Statement {
        as_of: at,
        asked_at: (via != Via::Event).then_some(at),
        via,
        status,
        paid_by: BTreeSet::new(),
        is_fulfilled: None,
        reason: None,
        retry_after: None,
        look: None,
    };
    Fact::OrderSeen(Box::new(OrderSnapshot {
        reference: Reference::parse("1001").unwrap(),
        as_of: at,
        observed_at: at,
        statement: Some(statement),
        amount: Some(amount),
        expires_at: None,
        claims: BTreeSet::new(),
        locale: None,
        customer: None,
        created_at: None,
        terms: crate::core::order::Terms::default(),
    }))
}

/// An attempt at an action that was done in the moment it left.
pub(crate) fn done(
    key: &str,
    kind: ActionKind,
    about: Option<(&str, Money)>,
    at: Time,
) -> [Fact; 2] {
    let key = ActionKey::parse(key).unwrap();
    [
        Fact::AskSent {
            key: key.clone(),
            kind,
            attempt: 1,
            at,
            payment: about.map(|(name, _)| pay(name)),
            amount: about.map(|(_, amount)| amount),
        },
        Fact::AskAnswered {
            key,
            kind,
            attempt: 1,
            sent_at: at,
            at,
            outcome: Outcome::Done,
            looks: None,
        },
    ]
}

/// One checkout's journal, written from what it learned at each moment.
pub(crate) async fn write(
    store: &MemoryStore,
    id: &str,
    reference: Option<&str>,
    moments: &[(Time, Vec<Fact>)],
    policy: &Policy,
) -> CheckoutId {
    let id = CheckoutId::parse(id).unwrap();
    let reference = reference.map(|text| Reference::parse(text).unwrap());
    let mut checkout = Checkout::new(id.clone(), shop(), reference);
    let (mut head, mut version) = (String::new(), 0);
    for (at, facts) in moments {
        for fact in facts {
            checkout.observe(fact);
        }
        version += 1;
        let unit = CommitUnit {
            checkouts: vec![entry(&checkout, (*at, facts), policy, (&head, version))],
            ..CommitUnit::default()
        };
        head.clone_from(&unit.checkouts[0].row.head);
        assert_eq!(store.commit(&[unit]).await.unwrap(), [Committed::Done]);
    }
    id
}

fn entry(
    checkout: &Checkout,
    (at, facts): (Time, &[Fact]),
    policy: &Policy,
    (head, version): (&str, i64),
) -> CheckoutCommit {
    let plan = checkout.reconcile(at, policy);
    let decision = Decision {
        verdict: plan.verdict,
        reason: plan.reason,
        actions: plan.actions.clone(),
        withheld: plan.withheld,
        wake_at: plan.wake_at,
        in_suspense: plan.in_suspense.clone(),
    };
    let facts = serde_json::to_string(facts).unwrap();
    let decision = serde_json::to_string(&decision).unwrap();
    let entry = JournalEntry::chained(head, &checkout.id, version, at, facts, decision);
    CheckoutCommit {
        row: CheckoutRow {
            id: checkout.id.clone(),
            shop: checkout.shop.clone(),
            reference: checkout.reference.clone(),
            verdict: plan.verdict,
            reason: plan.reason,
            since: at,
            created_at: at,
            in_suspense: plan.in_suspense.first().copied(),
            wake_at: plan.wake_at,
            version,
            head: entry.hash.clone(),
            document: serde_json::to_string(checkout).unwrap(),
        },
        entry,
        actions: plan.actions,
        released: Vec::new(),
        under_way: BTreeSet::new(),
        payments: Vec::new(),
    }
}
