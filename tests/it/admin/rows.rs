//! Facts, journal entries and stored checkouts made by hand.
//!
//! Every one of them stands at the same moment, `now()`.

use reconciled::core::checkout::Checkout;
use reconciled::core::fact::{Fact, Outcome};
use reconciled::core::ids::{AccountId, ActionKey, CheckoutId, PaymentRef, Reference, ShopId};
use reconciled::core::money::{Currency, Money};
use reconciled::core::order::{OrderSnapshot, OrderStatus, Statement, Via};
use reconciled::core::payment::{Ownership, PaymentSnapshot, Progress, Source};
use reconciled::core::plan::{Action, ActionKind, Decision, PaidPart, Planned, Reason, Verdict};
use reconciled::core::time::{Span, Time};
use reconciled::store::{ActionRow, CheckoutRow, JournalEntry, LoadedCheckout};
use std::collections::BTreeSet;

/// 2026-11-21T10:00:00Z, the moment at which every test happens.
pub(super) fn now() -> Time {
    Time::from_seconds(1_795_255_200)
}

pub(super) fn ago(seconds: u64) -> Time {
    now().minus(Span::from_seconds(seconds))
}

pub(super) fn eur(minor: i64) -> Money {
    Money::new(minor, Currency::EUR)
}

pub(super) fn shop() -> ShopId {
    ShopId::parse("klompen").unwrap()
}

pub(super) fn account() -> AccountId {
    AccountId::parse("stripe_nl").unwrap()
}

pub(super) fn payment(id: &str) -> PaymentRef {
    PaymentRef::parse("stripe_nl", id).unwrap()
}

pub(super) fn reference() -> Reference {
    Reference::parse("1000042").unwrap()
}

/// The order of a made checkout: `reference()` for `ck_1`, another one for each other.
fn reference_of(id: &str) -> Reference {
    let number: u32 = id.trim_start_matches("ck_").parse().unwrap();
    Reference::parse(&number.saturating_add(1_000_041).to_string()).unwrap()
}

/// A signed delivery that shows this much captured, at this moment.
pub(super) fn captured(id: &str, minor: i64, at: Time) -> PaymentSnapshot {
    let mut snapshot = PaymentSnapshot::new(payment(id), at, at, Source::Signed);
    snapshot.ownership = Some(Ownership::Ours);
    snapshot.reference = Some(reference());
    snapshot.method = Some("ideal".to_owned());
    snapshot.progress = Some(Progress::Taken);
    snapshot.requested = Some(eur(minor));
    snapshot.captured = Some(eur(minor));
    snapshot
}

/// A statement of the shop, at this moment.
pub(super) fn said(status: OrderStatus, via: Via, at: Time) -> OrderSnapshot {
    OrderSnapshot {
        reference: reference(),
        as_of: at,
        observed_at: at,
        statement: Some(Statement {
            as_of: at,
            asked_at: None,
            via,
            status,
            paid_by: BTreeSet::new(),
            is_fulfilled: None,
            reason: None,
            retry_after: None,
            look: None,
        }),
        amount: Some(eur(5995)),
        terms: reconciled::core::order::Terms::default(),
        expires_at: Some(at.plus(Span::from_minutes(30))),
        created_at: None,
        claims: BTreeSet::new(),
        locale: None,
        customer: None,
    }
}

pub(super) fn confirm(due: Time) -> Planned {
    Planned {
        key: ActionKey::parse("confirm:1000042").unwrap(),
        action: Action::Confirm {
            reference: reference(),
            payments: vec![PaidPart {
                payment: payment("pi_1"),
                amount: eur(5995),
                method: None,
            }],
            amount: eur(5995),
            late: false,
            decision: 1,
        },
        due,
        attempts: 0,
    }
}

pub(super) fn sent(attempt: u32, at: Time) -> Fact {
    Fact::AskSent {
        key: confirm(at).key,
        kind: ActionKind::Confirm,
        attempt,
        at,
        payment: None,
        amount: Some(eur(5995)),
    }
}

pub(super) fn timed_out(attempt: u32, at: Time) -> Fact {
    Fact::AskAnswered {
        key: confirm(at).key,
        kind: ActionKind::Confirm,
        attempt,
        sent_at: at,
        at,
        outcome: Outcome::Unclear {
            code: "timeout".to_owned(),
        },
        looks: None,
    }
}

/// How a stored checkout shall look.
pub(super) struct Made {
    pub(super) id: String,
    pub(super) verdict: Verdict,
    pub(super) reason: Reason,
    pub(super) since: Time,
    pub(super) in_suspense: Option<Money>,
    pub(super) wake_at: Option<Time>,
    pub(super) facts: Vec<Fact>,
    pub(super) actions: Vec<(Planned, u32)>,
}

impl Made {
    /// A checkout whose confirm is due in 40 s for the third time, 14 min after the capture.
    pub(super) fn confirming(id: &str) -> Made {
        Made {
            id: id.to_owned(),
            verdict: Verdict::Confirming,
            reason: Reason::ConfirmUnclear,
            since: ago(600),
            in_suspense: Some(eur(5995)),
            wake_at: Some(now().plus(Span::from_minutes(5))),
            facts: vec![
                Fact::OrderSeen(Box::new(said(OrderStatus::Pending, Via::Event, ago(900)))),
                Fact::PaymentSeen(Box::new(captured("pi_1", 5995, ago(840)))),
                sent(1, ago(840)),
                timed_out(1, ago(830)),
                sent(2, ago(610)),
                timed_out(2, ago(600)),
            ],
            actions: vec![(confirm(now().plus(Span::from_seconds(40))), 2)],
        }
    }

    /// A checkout that an operator must decide.
    pub(super) fn held(id: &str) -> Made {
        Made {
            verdict: Verdict::Held,
            reason: Reason::UnderpaidHeld,
            wake_at: None,
            actions: Vec::new(),
            ..Made::confirming(id)
        }
    }

    /// A checkout captured so many seconds ago, with its first confirm due.
    pub(super) fn fresh(id: &str, seconds: u64) -> Made {
        let at = ago(seconds);
        Made {
            reason: Reason::ConfirmDue,
            since: at,
            facts: vec![Fact::PaymentSeen(Box::new(captured("pi_1", 5995, at)))],
            actions: vec![(confirm(now()), 0)],
            ..Made::confirming(id)
        }
    }

    pub(super) fn settled(id: &str) -> Made {
        let mut facts = Made::confirming(id).facts;
        facts.push(Fact::OrderSeen(Box::new(said(
            OrderStatus::Confirmed,
            Via::Confirm,
            ago(60),
        ))));
        Made {
            verdict: Verdict::Settled,
            reason: Reason::ConfirmedByShop,
            since: ago(60),
            in_suspense: None,
            wake_at: None,
            facts,
            actions: Vec::new(),
            ..Made::confirming(id)
        }
    }

    pub(super) fn row(self) -> LoadedCheckout {
        let id = CheckoutId::parse(&self.id).unwrap();
        let own = reference_of(&self.id);
        let mut checkout = Checkout::new(id.clone(), shop(), Some(own.clone()));
        for mut fact in self.facts {
            if let Fact::OrderSeen(order) = &mut fact {
                order.reference = own.clone();
            } else if let Fact::PaymentSeen(payment) = &mut fact {
                payment.reference = Some(own.clone());
            }
            checkout.observe(&fact);
        }
        LoadedCheckout {
            row: CheckoutRow {
                id: id.clone(),
                shop: shop(),
                reference: Some(own),
                verdict: self.verdict,
                reason: self.reason,
                since: self.since,
                created_at: ago(900),
                in_suspense: self.in_suspense,
                wake_at: self.wake_at,
                version: 5,
                head: "ab".repeat(32),
                document: serde_json::to_string(&checkout).unwrap(),
            },
            actions: self
                .actions
                .into_iter()
                .map(|(mut planned, attempts)| {
                    planned.attempts = attempts;
                    ActionRow {
                        checkout: id.clone(),
                        shop: shop(),
                        key: planned.key.clone(),
                        planned,
                        attempts,
                        last_sent_at: None,
                        lease: None,
                    }
                })
                .collect(),
            unreadable: Vec::new(),
        }
    }
}

/// One journal entry, to be chained.
pub(super) fn entry(seq: i64, at: Time, facts: &[Fact], decision: &Decision) -> JournalEntry {
    JournalEntry {
        checkout: CheckoutId::parse("ck_1").unwrap(),
        seq,
        at,
        facts: serde_json::to_string(facts).unwrap(),
        decision: serde_json::to_string(decision).unwrap(),
        previous: String::new(),
        hash: String::new(),
    }
}

/// The entries as one whole chain.
pub(super) fn chained(entries: Vec<JournalEntry>) -> Vec<JournalEntry> {
    let mut head = String::new();
    let link = |entry: JournalEntry| {
        let JournalEntry {
            checkout,
            seq,
            at,
            facts,
            decision,
            ..
        } = entry;
        let linked = JournalEntry::chained(&head, &checkout, seq, at, facts, decision);
        head.clone_from(&linked.hash);
        linked
    };
    entries.into_iter().map(link).collect()
}

pub(super) fn decision(verdict: Verdict, reason: Reason, actions: Vec<Planned>) -> Decision {
    Decision {
        verdict,
        reason,
        actions,
        withheld: Vec::new(),
        wake_at: None,
        in_suspense: vec![eur(5995)],
    }
}
