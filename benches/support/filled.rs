//! Fills a store with settled payments, each as one that the daemon itself has settled.
//!
//! One payment is settled for real; its checkout, its journal and its payment are then written again
//! and again under other names, each with its own proven journal, through the store's own commits.

use crate::load;
use crate::subject::{Subject, event, file, order, signed_event, signed_order};
use reconciled::core::ids::{AccountId, CheckoutId, PaymentRef, Reference};
use reconciled::core::time::{Span, Time};
use reconciled::store::sqlite::SqliteStore;
use reconciled::store::{
    CheckoutCommit, CheckoutRow, CommitUnit, Committed, Disposition, JournalEntry, NewDelivery,
    Sender, Store, ToldAt,
};
use std::collections::BTreeSet;

const RUN: &str = "filling";
/// Payments written in one commit.
const PAGE: usize = 500;
/// Payments whose raw bodies are still there, the last ones; the others' are past their retention.
const WITH_BODIES: usize = 1_000_000;

/// A settled payment, to be written again under other names.
pub(crate) struct Mould {
    row: CheckoutRow,
    entries: Vec<JournalEntry>,
    /// How long ago all of it was.
    age: Span,
}

impl Mould {
    /// Settles one payment and takes it from the store.
    pub(crate) async fn cast() -> Mould {
        let subject = Subject::start().await;
        load::run(subject.public, &[signed_order(&order(RUN, 0))], 1).await;
        subject.until_drained().await;
        load::run(subject.public, &[signed_event(&event(RUN, 0))], 1).await;
        subject.until_settled(1).await;
        let directory = subject.stop_and_keep();
        let store = SqliteStore::open(&file(&directory)).await.unwrap();
        let (row, entries) = store.audit_page(None, 1).await.unwrap().remove(0);
        store.close().await;
        Mould {
            row,
            entries,
            age: Span::ZERO,
        }
    }

    /// The same, so many days ago.
    pub(crate) fn aged(mut self, days: u64) -> Mould {
        self.age = Span::from_days(days);
        self.row.created_at = self.row.created_at.minus(self.age);
        self.row.since = self.row.since.minus(self.age);
        self
    }

    /// Writes so many of them, numbered from 1 on, each with the delivery that told of it.
    pub(crate) async fn fill(&self, store: &dyn Store, count: usize) {
        for first in (1..=count).step_by(PAGE) {
            let numbers = first..(first + PAGE).min(count + 1);
            let deliveries: Vec<NewDelivery> = numbers
                .clone()
                .map(|n| self.delivery(n, n + WITH_BODIES > count))
                .collect();
            store.append(&deliveries).await.unwrap();
            let waiting = store.pending(u32::try_from(PAGE).unwrap()).await.unwrap();
            assert_eq!(waiting.len(), deliveries.len(), "somebody else writes here");
            let mut heads = vec![String::new(); numbers.len()];
            for step in 0..self.entries.len() {
                let mut units: Vec<CommitUnit> = numbers
                    .clone()
                    .zip(&mut heads)
                    .map(|(n, head)| self.unit(n, step, head))
                    .collect();
                if step == 0 {
                    for (unit, delivery) in units.iter_mut().zip(&waiting) {
                        unit.deliveries = vec![(delivery.id, Disposition::Taken)];
                    }
                }
                let done = store.commit(&units).await.unwrap();
                assert!(done.iter().all(|one| *one == Committed::Done));
            }
            if first % 100_000 == 1 {
                store.checkpoint().await.unwrap();
            }
        }
        store.checkpoint().await.unwrap();
    }

    /// The text of the mould, as the payment of this number has it.
    fn renamed(&self, text: &str, n: usize) -> String {
        text.replace(&format!("{RUN}-0"), &format!("{RUN}-{n}"))
            .replace(&format!("{RUN}_0"), &format!("{RUN}_{n}"))
            .replace(self.row.id.as_str(), self.id(n).as_str())
    }

    /// Grows with the number, as ids grow with time.
    fn id(&self, n: usize) -> CheckoutId {
        let millis = self.row.created_at.micros() / 1000;
        let mut tail = [0_u8; 10];
        tail[2..].copy_from_slice(&(n as u64).wrapping_mul(0x9e37_79b9_7f4a_7c15).to_be_bytes());
        CheckoutId::made(u64::try_from(millis).unwrap() + n as u64 / 100, &tail)
    }

    /// A hundred a second, the last of twenty million just now.
    fn told_at(&self, n: usize) -> Time {
        let seconds = self.row.created_at.seconds() - 200_000;
        Time::from_seconds(seconds + i64::try_from(n / 100).unwrap())
    }

    fn delivery(&self, n: usize, has_body: bool) -> NewDelivery {
        let body = if has_body {
            event(RUN, n)
        } else {
            String::new()
        };
        NewDelivery {
            sender: Sender::Psp(AccountId::parse("stripe_nl").unwrap()),
            delivery_id: format!("evt_{RUN}_{n}"),
            received_at: self.row.created_at,
            told_at: ToldAt::of(self.told_at(n)),
            is_signed: true,
            body: body.into_bytes(),
        }
    }

    fn unit(&self, n: usize, step: usize, head: &mut String) -> CommitUnit {
        let id = self.id(n);
        let known = &self.entries[step];
        let (facts, decision) = (
            self.renamed(&known.facts, n),
            self.renamed(&known.decision, n),
        );
        let at: Time = known.at.minus(self.age);
        let entry = JournalEntry::chained(head, &id, known.seq, at, facts, decision);
        head.clone_from(&entry.hash);
        let payment = format!("pi_{RUN}_{n}");
        let row = CheckoutRow {
            id,
            reference: Some(Reference::parse(&format!("{RUN}-{n}")).unwrap()),
            version: known.seq,
            head: entry.hash.clone(),
            document: self.renamed(&self.row.document, n),
            ..self.row.clone()
        };
        let payments = match step {
            0 => vec![PaymentRef::parse("stripe_nl", &payment).unwrap()],
            _ => Vec::new(),
        };
        CommitUnit {
            checkouts: vec![CheckoutCommit {
                row,
                entry,
                actions: Vec::new(),
                released: Vec::new(),
                under_way: BTreeSet::new(),
                payments,
            }],
            ..CommitUnit::default()
        }
    }
}
