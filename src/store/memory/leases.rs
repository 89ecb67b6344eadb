//! Leases in memory: which attempt is whose, until when, and what was lost.
//!
//! Knows due times, destinations and tokens, nothing of what an action does.

use super::state::{State, most};
use crate::core::ids::{ActionKey, CheckoutId};
use crate::core::plan::Destination;
use crate::core::time::Time;
use crate::store::{ActionRow, Lease, LeaseRequest, Leased, turns};

type Key = (CheckoutId, ActionKey);

fn key(kept: &ActionRow) -> Key {
    (kept.checkout.clone(), kept.key.clone())
}

impl State {
    /// Lost leases first, since each may be money already sent, then what is due the longest.
    pub(super) fn lease(&mut self, request: &LeaseRequest) -> Vec<Leased> {
        let lost = self.lost(request);
        let left = most(request.limit).saturating_sub(lost.len());
        let due = self.choose(request, left);
        let mut leased = Vec::new();
        for key in lost {
            let lease = self.next_lease(request);
            if let Some(kept) = self.action_mut(&key) {
                kept.lease = Some(lease);
                leased.push(Leased::Lost(kept.clone()));
            }
        }
        for key in due {
            let lease = self.next_lease(request);
            if let Some(kept) = self.action_mut(&key) {
                kept.lease = Some(lease);
                kept.attempts = kept.attempts.saturating_add(1);
                kept.last_sent_at = Some(request.now);
                leased.push(Leased::Attempt(kept.clone()));
            }
        }
        leased
    }

    fn lost(&self, request: &LeaseRequest) -> Vec<Key> {
        let ran_out = |kept: &ActionRow| {
            let until = kept.lease.as_ref().map(|lease| lease.until);
            until
                .filter(|until| *until <= request.now)
                .map(|until| (until, key(kept)))
        };
        let mut lost: Vec<(Time, Key)> = self.standing().filter_map(ran_out).collect();
        lost.sort();
        lost.truncate(most(request.limit));
        lost.into_iter().map(|(_, key)| key).collect()
    }

    fn choose(&self, request: &LeaseRequest, limit: usize) -> Vec<Key> {
        let is_due = |kept: &&ActionRow| {
            let is_held_back =
                !request.with_refunds && kept.planned.action.kind().gives_money_back();
            kept.lease.is_none() && kept.planned.due <= request.now && !is_held_back
        };
        let waiting = self.standing().filter(is_due).map(|kept| {
            let destination = kept.planned.action.destination(&kept.shop);
            ((kept.planned.due, key(kept)), destination)
        });
        let room = |destination: &Destination| request.room.get(destination).copied().unwrap_or(0);
        let chosen = turns::take(waiting, room, limit).into_iter();
        chosen.map(|(_, key)| key).collect()
    }

    fn next_lease(&mut self, request: &LeaseRequest) -> Lease {
        self.last_token = self.last_token.saturating_add(1);
        Lease {
            token: format!("{}.{}", request.holder, self.last_token),
            until: request.until,
        }
    }

    fn action_mut(&mut self, key: &Key) -> Option<&mut ActionRow> {
        self.actions.get_mut(&key.0)?.get_mut(&key.1)
    }

    pub(super) fn end_leases(&mut self, now: Time) -> u64 {
        let rows = self.actions.values_mut().flat_map(|of| of.values_mut());
        let mut ended = 0_u64;
        for lease in rows.filter_map(|kept| kept.lease.as_mut()) {
            lease.until = lease.until.min(now);
            ended = ended.saturating_add(1);
        }
        ended
    }
}
