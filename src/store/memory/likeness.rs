//! Orders that look alike, in memory.
//!
//! The same rule as in the durable stores: each order points to the latest other one like it.

use super::state::State;
use crate::core::ids::{CheckoutId, CheckoutRef};
use crate::core::time::Time;
use crate::store::{Lookalike, Sighting};
use std::cmp::Reverse;
use std::collections::BTreeMap;

/// A sighting and the other order that it is like.
#[derive(Clone, Debug)]
pub(super) struct KeptSighting {
    sighting: Sighting,
    twin: Option<CheckoutId>,
}

impl State {
    pub(super) fn see(&mut self, seen: &[(CheckoutRef, Option<Sighting>)]) {
        if seen.is_empty() {
            return;
        }
        self.unsee(seen.iter().map(|(one, _)| &one.id));
        for (one, sighting) in seen {
            if let Some(sighting) = sighting.clone() {
                let kept = KeptSighting {
                    sighting,
                    twin: None,
                };
                self.sightings.insert(one.id.clone(), kept);
            }
        }
        let alone = self
            .sightings
            .iter()
            .filter(|(_, kept)| kept.twin.is_none());
        let paired = alone.map(|(id, kept)| (id.clone(), self.latest_like(id, &kept.sighting)));
        let paired: Vec<_> = paired.collect();
        for (id, twin) in paired {
            if let Some(kept) = self.sightings.get_mut(&id) {
                kept.twin = twin;
            }
        }
    }

    pub(super) fn unsee<'a>(&mut self, ids: impl Iterator<Item = &'a CheckoutId>) {
        for id in ids {
            self.sightings.remove(id);
            let pointing = self.sightings.values_mut();
            for kept in pointing.filter(|kept| kept.twin.as_ref() == Some(id)) {
                kept.twin = None;
            }
        }
    }

    fn latest_like(&self, id: &CheckoutId, sighting: &Sighting) -> Option<CheckoutId> {
        let others = self.sightings.iter();
        let alike = others.filter(|(other, kept)| *other != id && kept.sighting.is_like(sighting));
        let latest = alike.max_by_key(|(other, kept)| (kept.sighting.paid_at, Reverse(*other)));
        latest.map(|(other, _)| other.clone())
    }

    pub(super) fn lookalikes(&self, since: Time, limit: usize) -> Vec<Lookalike> {
        let recent = self.sightings.iter();
        let recent = recent.filter(|(_, kept)| kept.sighting.paid_at >= since);
        let mut found: Vec<Lookalike> = recent
            .filter_map(|(id, kept)| {
                let row = &self.checkouts.get(id)?.row;
                Some(Lookalike {
                    checkout: id.clone(),
                    shop: kept.sighting.shop.clone(),
                    reference: row.reference.clone(),
                    twin: kept.twin.clone()?,
                    amount: kept.sighting.amount,
                    paid_at: kept.sighting.paid_at,
                })
            })
            .collect();
        found.sort_by_key(|one| Reverse(one.paid_at));
        found.truncate(limit);
        found
    }

    pub(super) fn twins(&self, named: &[CheckoutRef]) -> BTreeMap<CheckoutId, CheckoutId> {
        let ids = named.iter().map(|one| &one.id);
        let twin = |id: &CheckoutId| Some((id.clone(), self.sightings.get(id)?.twin.clone()?));
        ids.filter_map(twin).collect()
    }
}
