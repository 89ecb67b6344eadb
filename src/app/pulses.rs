//! Who wakes whom: the loops of this daemon, and over the database those of others.
//!
//! Knows pulses and tasks, not what the loops do when they look.

use super::storage;
use crate::clock::Clock;
use crate::config::StoreConfig;
use crate::work::calls::PassOn;
use crate::work::{Pulse, drive};
use std::sync::Arc;
use tokio::sync::Notify;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

/// What is given when there is something to look at.
pub(super) struct Pulses {
    /// To the loop that decides.
    pub(super) decide: Pulse,
    /// To the loop that dispatches.
    pub(super) dispatch: Pulse,
    /// When deliveries were stored.
    pub(super) stored: Arc<Notify>,
    /// When decisions were committed.
    pub(super) decided: Pulse,
}

impl Pulses {
    /// The pulses of one daemon; on a shared database the others hear of what is stored and decided
    /// here, too.
    pub(super) fn wired(
        store: &StoreConfig,
        clock: &Clock,
        tracker: &TaskTracker,
        stop: &CancellationToken,
    ) -> Pulses {
        let (decide, dispatch) = (Pulse::new(), Pulse::new());
        let alone = Pulses {
            stored: decide.notify(),
            decided: dispatch.clone(),
            decide: decide.clone(),
            dispatch: dispatch.clone(),
        };
        let StoreConfig::Postgres(named) = store else {
            return alone;
        };
        if !named.session_features {
            return alone;
        }
        let (stored, decided, news) = (Arc::<Notify>::default(), Pulse::new(), Pulse::new());
        let looks = vec![decide.clone(), dispatch.clone()];
        let pass_on = PassOn::new(storage::options(named), news.notify(), looks);
        let driven = drive(pass_on, Pulse::new(), clock.clone(), stop.clone());
        let relays = [
            (stored.clone(), decide.clone()),
            (decided.notify(), dispatch.clone()),
        ];
        for (heard, wakes) in relays {
            let (relay, stop) = (relay(heard, [wakes, news.clone()]), stop.clone());
            tracker.spawn(async move { stop.run_until_cancelled(relay).await });
        }
        let stop = stop.clone();
        tracker.spawn(async move { stop.run_until_cancelled(driven).await });
        Pulses {
            decide,
            dispatch,
            stored,
            decided,
        }
    }
}

/// Passes each news on.
async fn relay(heard: Arc<Notify>, wakes: [Pulse; 2]) {
    loop {
        heard.notified().await;
        wakes.iter().for_each(Pulse::give);
    }
}
