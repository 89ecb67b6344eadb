//! The dispatcher: leases due actions and has each attempt carried out within its lease.
//!
//! Keeps a gate per destination (calls at once, pace, breaker) and a bound on all attempts
//! together. A lease that ran out is reported as unclear, never sent again from here.

use super::attempt::{self, Crew, EpochBefore};
use super::{Next, STORE_PAUSE, Worker};
use crate::core::fact::{Fact, Outcome};
use crate::core::ids::ShopId;
use crate::core::plan::Destination;
use crate::core::time::{Span, Time};
use crate::engine::input::{Input, Report};
use crate::outbound::gate::Gate;
use crate::outbound::pace::PaceLimits;
use crate::store::{ActionRow, LeaseRequest, Leased};
use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};

/// Attempts under way at once, over all destinations.
pub const ATTEMPTS_AT_ONCE_MAX: u32 = 256;
/// How long an attempt may take before others may take it for lost.
pub const LEASE_FOR: Span = Span::from_seconds(20);
/// While calls are under way, what has become due since the last lease waits this long for more: each
/// lease is a transaction, and each call that ends would ask for one.
const LEASE_EVERY: Span = Span::from_millis(5);

/// The gates of all destinations, shared with the attempts.
#[derive(Clone, Default)]
pub struct Gates(Arc<Mutex<BTreeMap<Destination, Gate>>>);

impl Gates {
    /// Runs something on the gate of a destination, made open when new.
    pub fn with<T>(
        &self,
        destination: &Destination,
        limits: PaceLimits,
        now: Time,
        act: impl FnOnce(&mut Gate) -> T,
    ) -> T {
        let mut gates = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let gate = gates
            .entry(destination.clone())
            .or_insert_with(|| Gate::new(limits, now));
        act(gate)
    }
}

/// What calls that start together share, for each shop.
type Epochs = BTreeMap<ShopId, Arc<EpochBefore>>;

/// The worker.
pub struct Dispatch {
    crew: Arc<Crew>,
    holder: String,
    under_way: Arc<std::sync::atomic::AtomicU32>,
    leased_at: Time,
}

impl Dispatch {
    /// A dispatcher that signs its leases with `holder`.
    pub fn new(crew: Arc<Crew>, holder: String) -> Dispatch {
        Dispatch {
            crew,
            holder,
            under_way: Arc::default(),
            leased_at: Time::default(),
        }
    }

    /// Room per destination now.
    fn room(&self, now: Time) -> BTreeMap<Destination, u32> {
        let roster = self.crew.roster.load();
        let shops = roster
            .shops
            .iter()
            .map(|(shop, entry)| (Destination::Shop(shop.clone()), entry.pace));
        let accounts = roster
            .accounts
            .iter()
            .map(|(account, entry)| (Destination::Psp(account.clone()), entry.pace));
        shops
            .chain(accounts)
            .map(|(destination, pace)| {
                let room = self.crew.gates.with(&destination, pace, now, |gate| {
                    gate.set_limits(pace);
                    gate.room(now)
                });
                (destination, room)
            })
            .collect()
    }

    fn send(&self, row: ActionRow, now: Time, epochs: &mut Epochs) {
        use std::sync::atomic::Ordering;
        let destination = row.planned.action.destination(&row.shop);
        let shared = epochs.entry(row.shop.clone()).or_default().clone();
        self.crew
            .gates
            .with(&destination, PaceLimits::SHOP, now, |gate| gate.start(now));
        self.under_way.fetch_add(1, Ordering::SeqCst);
        let crew = self.crew.clone();
        let under_way = self.under_way.clone();
        (self.crew.spawn)(Box::pin(async move {
            attempt::carry_out(&crew, row, &destination, &shared).await;
            under_way.fetch_sub(1, Ordering::SeqCst);
            crew.dispatch.give();
        }));
    }

    /// An attempt whose end nobody recorded: it may have had its effect.
    async fn report_lost(&self, row: ActionRow, now: Time) {
        tracing::warn!(
            checkout.id = %row.checkout, action.kind = row.planned.action.kind().code(),
            attempt = row.attempts, "an attempt's lease ran out; it is taken as unclear"
        );
        let Some(lease) = row.lease else { return };
        let ended = Fact::AskAnswered {
            key: row.key.clone(),
            kind: row.planned.action.kind(),
            attempt: row.attempts,
            sent_at: row.last_sent_at.unwrap_or(now),
            at: now,
            outcome: Outcome::Unclear {
                code: "lost".to_owned(),
            },
            looks: None,
        };
        let report = Report {
            checkout: row.checkout,
            shop: row.shop,
            key: row.key,
            token: lease.token,
            facts: vec![ended],
            epoch: None,
        };
        if self.crew.inputs.send(Input::Report(report)).await.is_err() {
            tracing::debug!("stopping; the lost attempt is found again");
        }
        self.crew.decide.give();
    }
}

impl Worker for Dispatch {
    async fn step(&mut self) -> Next {
        let now = self.crew.clock.now();
        let busy = self.under_way.load(std::sync::atomic::Ordering::SeqCst);
        let limit = ATTEMPTS_AT_ONCE_MAX.saturating_sub(busy);
        if limit == 0 {
            return Next::Rest(None);
        }
        if busy > 0
            && let Some(rest) = rest(self.leased_at, now)
        {
            return Next::Pause(super::duration(rest));
        }
        self.leased_at = now;
        let request = LeaseRequest {
            now,
            until: now.plus(LEASE_FOR),
            holder: self.holder.clone(),
            limit,
            room: self.room(now),
            with_refunds: true,
        };
        let leased = match self.crew.store.lease(&request).await {
            Ok(leased) => leased,
            Err(error) => {
                tracing::warn!(code = error.code(), %error, "no lease from the store; trying again");
                return Next::Pause(STORE_PAUSE);
            }
        };
        let is_full = u32::try_from(leased.len()).unwrap_or(u32::MAX) >= limit;
        let found_any = !leased.is_empty();
        let mut epochs = Epochs::new();
        for one in leased {
            match one {
                Leased::Attempt(row) => self.send(row, now, &mut epochs),
                Leased::Lost(row) => self.report_lost(row, now).await,
                // Nobody can say what it was to do. Once the row is mended it is found lost.
                Leased::Unreadable(why) => {
                    tracing::error!(why, "an action cannot be read and is left alone");
                }
            }
        }
        if found_any && !is_full {
            return Next::Again;
        }
        match self.crew.store.next_due().await {
            // What is due and has no room waits for the end of a call or for the pace.
            Ok(Some(at)) if at <= now => Next::Pause(super::duration(Span::from_millis(20))),
            Ok(at) => Next::Rest(at),
            Err(_) => Next::Pause(STORE_PAUSE),
        }
    }
}

/// How long what is due waits for more; not at all when the clock was set back.
fn rest(leased_at: Time, now: Time) -> Option<Span> {
    let next = leased_at.plus(LEASE_EVERY);
    (leased_at <= now && now < next).then(|| next.since(now))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_lease_follows_another_after_a_while_and_whatever_the_clock_does() {
        let at = Time::from_micros;
        assert_eq!(rest(at(0), at(1_790_000_000)), None);
        assert_eq!(rest(at(7_000), at(7_000)), Some(LEASE_EVERY));
        assert_eq!(rest(at(7_000), at(11_999)), Some(Span::from_micros(1)));
        assert_eq!(rest(at(7_000), at(12_000)), None);
        assert_eq!(rest(at(7_000), at(6_999)), None);
        assert_eq!(rest(at(3_600_000_000), at(0)), None);
    }
}
