//! Deliveries in memory: appended once, parked, quarantined.
//!
//! Knows what makes two deliveries the same, nothing of what they say.

use super::state::{KeptDelivery, State, most};
use crate::store::digest::{CONFLICT, Key, conflict_key, digests_of};
use crate::store::{
    Appended, Delivery, Disposition, NewDelivery, ParkedDelivery, QuarantineBounds, Quarantined,
    turns,
};
use std::sync::Arc;

impl State {
    pub(super) fn append(&mut self, delivery: &NewDelivery) -> Appended {
        let digests = digests_of(delivery);
        match self.delivered.get(&digests.key) {
            None => {
                let id = self.enter(delivery, digests.key, None);
                self.delivered.insert(digests.key, (digests.body, id));
                self.pending.insert(id);
                Appended::New
            }
            Some((body, _)) if *body == digests.body => Appended::Duplicate,
            Some(_) => {
                let key = conflict_key(&digests.key, &digests.body);
                if self.delivered.contains_key(&key) {
                    return Appended::Duplicate;
                }
                let why = CONFLICT.to_owned();
                let id = self.enter(delivery, key, Some(Disposition::Parked { why }));
                self.delivered.insert(key, (digests.body, id));
                Appended::Conflict
            }
        }
    }

    fn enter(&mut self, delivery: &NewDelivery, key: Key, disposition: Option<Disposition>) -> i64 {
        let next = self.last_inbox_id.saturating_add(1);
        let id = next.max(delivery.received_at.micros().min(i64::MAX / 2));
        self.last_inbox_id = id;
        let kept = KeptDelivery {
            delivery: Arc::new(NewDelivery {
                told_at: None,
                ..delivery.clone()
            }),
            has_body: true,
            key,
            disposition,
        };
        self.inbox.insert(id, kept);
        id
    }

    pub(super) fn pending(&self, limit: u32) -> Vec<Delivery> {
        let kept = |id: &i64| Some((*id, &self.inbox.get(id)?.delivery));
        let waiting = self.pending.iter().filter_map(kept);
        let lanes = waiting.map(|(id, delivery)| (id, &delivery.sender));
        let taken = turns::take(lanes, |_| u32::MAX, most(limit)).into_iter();
        let copied = |(id, delivery): (i64, &Arc<NewDelivery>)| Delivery {
            id,
            delivery: NewDelivery::clone(delivery),
        };
        taken.filter_map(|id| kept(&id).map(copied)).collect()
    }

    pub(super) fn parked(&self, limit: u32) -> Vec<ParkedDelivery> {
        let parked = self.inbox.iter().rev().filter_map(|(id, kept)| {
            let why = match &kept.disposition {
                Some(Disposition::Parked { why }) => why.clone(),
                Some(Disposition::Taken | Disposition::Ignored) | None => return None,
            };
            Some(ParkedDelivery {
                id: *id,
                sender: kept.delivery.sender.clone(),
                delivery_id: kept.delivery.delivery_id.clone(),
                received_at: kept.delivery.received_at,
                why,
            })
        });
        parked.take(most(limit)).collect()
    }

    pub(super) fn quarantine(&mut self, entry: &Quarantined, bounds: QuarantineBounds) {
        self.last_quarantine_id = self.last_quarantine_id.saturating_add(1);
        let id = self.last_quarantine_id;
        self.quarantine.insert(
            id,
            Quarantined {
                id,
                ..entry.clone()
            },
        );
        while self.quarantine.len() > most(bounds.entries_max)
            || self.quarantine_bytes() > bounds.bytes_max
        {
            self.quarantine.pop_first();
        }
    }

    fn quarantine_bytes(&self) -> u64 {
        let sizes = self.quarantine.values().map(|entry| entry.body.len());
        u64::try_from(sizes.sum::<usize>()).unwrap_or(u64::MAX)
    }

    pub(super) fn quarantined(&self, limit: u32) -> Vec<Quarantined> {
        let latest = self.quarantine.values().rev();
        latest.take(most(limit)).cloned().collect()
    }
}
