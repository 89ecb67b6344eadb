//! Rows and units to commit, short to write.
//!
//! Everything has a default; a test says what it is about.

use reconciled::core::ids::{
    AccountId, ActionKey, CheckoutId, CheckoutRef, OrderRef, PaymentRef, Reference, ShopId,
};
use reconciled::core::money::{Currency, Money};
use reconciled::core::plan::{Action, Destination, Planned, Reason, Verdict};
use reconciled::core::time::{Span, Time};
use reconciled::store::{
    ActionRow, CheckoutCommit, CheckoutRow, CommitUnit, Committed, JournalEntry, LeaseRequest,
    Leased, LoadedCheckout, NewDelivery, Sender, Store, Wanted,
};
use std::collections::{BTreeMap, BTreeSet};

pub(crate) fn at(seconds: i64) -> Time {
    Time::from_seconds(1_790_000_000_i64.saturating_add(seconds))
}

pub(crate) fn shop() -> ShopId {
    ShopId::parse("klompen").unwrap()
}

pub(crate) fn other_shop() -> ShopId {
    ShopId::parse("fietsen").unwrap()
}

pub(crate) fn account() -> AccountId {
    AccountId::parse("stripe_nl").unwrap()
}

pub(crate) fn eur(minor: i64) -> Money {
    Money::new(minor, Currency::EUR)
}

pub(crate) fn id(text: &str) -> CheckoutId {
    CheckoutId::parse(text).unwrap()
}

/// A checkout of the shop of this file.
pub(crate) fn named(text: &str) -> CheckoutRef {
    CheckoutRef {
        shop: shop(),
        id: id(text),
    }
}

pub(crate) fn reference(text: &str) -> Reference {
    Reference::parse(text).unwrap()
}

pub(crate) fn order(text: &str) -> OrderRef {
    OrderRef {
        shop: shop(),
        reference: reference(text),
    }
}

pub(crate) fn payment(text: &str) -> PaymentRef {
    PaymentRef::parse("stripe_nl", text).unwrap()
}

pub(crate) fn key(text: &str) -> ActionKey {
    ActionKey::parse(text).unwrap()
}

pub(crate) fn delivery(id: &str, body: &str) -> NewDelivery {
    NewDelivery {
        sender: Sender::Psp(account()),
        delivery_id: id.to_owned(),
        received_at: at(0),
        told_at: None,
        is_signed: true,
        body: body.as_bytes().to_vec(),
    }
}

/// A lookup at the shop, due then.
pub(crate) fn look_up(name: &str, due: Time) -> Planned {
    let action = Action::LookUp {
        reference: reference("1000042"),
    };
    Planned {
        key: key(name),
        action,
        due,
        attempts: 0,
    }
}

/// A refund at the PSP, due then.
pub(crate) fn refund(name: &str, due: Time) -> Planned {
    let action = Action::Refund {
        payment: payment("pi_1"),
        amount: eur(5995),
        why: Reason::Duplicate,
    };
    Planned {
        key: key(name),
        action,
        due,
        attempts: 0,
    }
}

/// A checkout's next commit, being written.
#[derive(Clone)]
pub(crate) struct Draft(pub(crate) CheckoutCommit);

impl Draft {
    /// The first commit of an open checkout.
    pub(crate) fn new(name: &str) -> Draft {
        let row = CheckoutRow {
            id: id(name),
            shop: shop(),
            reference: None,
            verdict: Verdict::Open,
            reason: Reason::AwaitingPayment,
            since: at(0),
            created_at: at(0),
            in_suspense: None,
            wake_at: None,
            version: 0,
            head: String::new(),
            document: "{}".to_owned(),
        };
        Draft::after(&row)
    }

    /// The commit after this row.
    pub(crate) fn after(row: &CheckoutRow) -> Draft {
        let mut row = row.clone();
        let previous = std::mem::take(&mut row.head);
        row.version = row.version.saturating_add(1);
        let entry = JournalEntry::chained(
            &previous,
            &row.id,
            row.version,
            at(0),
            "[]".into(),
            "{}".into(),
        );
        row.head = entry.hash.clone();
        Draft(CheckoutCommit {
            row,
            entry,
            actions: vec![],
            released: vec![],
            under_way: BTreeSet::new(),
            payments: vec![],
        })
    }

    pub(crate) fn with(mut self, change: impl FnOnce(&mut CheckoutCommit)) -> Draft {
        change(&mut self.0);
        self
    }

    pub(crate) fn reference(self, text: &str) -> Draft {
        self.with(|one| one.row.reference = Some(reference(text)))
    }

    pub(crate) fn verdict(self, verdict: Verdict) -> Draft {
        self.with(|one| one.row.verdict = verdict)
    }

    pub(crate) fn wake_at(self, wake_at: Option<Time>) -> Draft {
        self.with(|one| one.row.wake_at = wake_at)
    }

    pub(crate) fn payment(self, text: &str) -> Draft {
        self.with(|one| one.payments.push(payment(text)))
    }

    pub(crate) fn action(self, planned: Planned) -> Draft {
        self.with(|one| one.actions.push(planned))
    }

    /// Ends a lease, which whoever decided this knew of.
    pub(crate) fn release(self, name: &str, token: &str) -> Draft {
        let draft = self.with(|one| one.released.push((key(name), token.to_owned())));
        draft.under_way(name)
    }

    /// Decided while this action is under way.
    pub(crate) fn under_way(self, name: &str) -> Draft {
        self.with(|one| one.under_way.extend([key(name)]))
    }

    /// Committed at this moment, with these facts.
    pub(crate) fn written(self, now: Time, facts: &str) -> Draft {
        self.with(|one| {
            let entry = &one.entry;
            one.entry = JournalEntry::chained(
                &entry.previous,
                &entry.checkout,
                entry.seq,
                now,
                facts.into(),
                entry.decision.clone(),
            );
            one.row.head = one.entry.hash.clone();
        })
    }

    pub(crate) fn unit(self) -> CommitUnit {
        CommitUnit {
            checkouts: vec![self.0],
            ..CommitUnit::default()
        }
    }
}

/// Commits one unit and says what became of it.
pub(crate) async fn commit(store: &dyn Store, unit: CommitUnit) -> Committed {
    store.commit(&[unit]).await.unwrap()[0]
}

/// Commits a draft that must pass; the row as it stands then.
pub(crate) async fn done(store: &dyn Store, draft: Draft) -> CheckoutRow {
    let row = draft.0.row.clone();
    assert_eq!(commit(store, draft.unit()).await, Committed::Done);
    row
}

pub(crate) async fn load(store: &dyn Store, name: &str) -> Option<LoadedCheckout> {
    let wanted = Wanted {
        ids: vec![id(name)],
        ..Wanted::default()
    };
    store
        .load(&wanted)
        .await
        .unwrap()
        .checkouts
        .remove(&id(name))
}

/// The only standing action of a checkout.
pub(crate) async fn only_action(store: &dyn Store, name: &str) -> ActionRow {
    let mut actions = load(store, name).await.unwrap().actions;
    assert_eq!(actions.len(), 1, "{actions:?}");
    actions.remove(0)
}

/// A lease of anything due, for a minute.
pub(crate) fn request(now: Time) -> LeaseRequest {
    let room = [
        (Destination::Shop(shop()), 99),
        (Destination::Psp(account()), 99),
    ];
    LeaseRequest {
        now,
        until: now.plus(Span::from_seconds(60)),
        holder: "test".to_owned(),
        limit: 99,
        room: BTreeMap::from(room),
        with_refunds: true,
    }
}

pub(crate) async fn lease(store: &dyn Store, now: Time) -> Vec<Leased> {
    store.lease(&request(now)).await.unwrap()
}

/// The attempts among what was leased, by key.
pub(crate) fn attempts(leased: &[Leased]) -> Vec<&str> {
    let keys = leased.iter().filter_map(|one| match one {
        Leased::Attempt(row) => Some(row.key.as_str()),
        Leased::Lost(_) | Leased::Unreadable(_) => None,
    });
    keys.collect()
}

/// The lost ones among what was leased, by key.
pub(crate) fn lost(leased: &[Leased]) -> Vec<&str> {
    let keys = leased.iter().filter_map(|one| match one {
        Leased::Lost(row) => Some(row.key.as_str()),
        Leased::Attempt(_) | Leased::Unreadable(_) => None,
    });
    keys.collect()
}

pub(crate) fn token(leased: &Leased) -> String {
    match leased {
        Leased::Attempt(row) | Leased::Lost(row) => row.lease.clone().unwrap().token,
        Leased::Unreadable(why) => panic!("{why}"),
    }
}
