//! Carries the sandbox's webhooks to the daemon, and tries again what was not acknowledged.
//!
//! The PSP's and the shop's own delivery workers in one. Knows addresses and paths, and nothing
//! of what the deliveries say.

use super::client;
use super::outbox::Delivery;
use super::server::Side;
use super::world::SharedWorld;
use std::collections::VecDeque;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

/// How often the pump looks for deliveries that are due.
const LOOK_EVERY: Duration = Duration::from_millis(10);

/// The public listeners of the daemons, each of which gets every other delivery in its turn.
#[derive(Clone, Debug, Default)]
pub struct Doors(Arc<Mutex<VecDeque<SocketAddr>>>);

impl Doors {
    /// One more.
    pub fn add(&self, door: SocketAddr) {
        self.lock().push_back(door);
    }

    /// The next in turn.
    fn next(&self) -> Option<SocketAddr> {
        let mut doors = self.lock();
        let door = doors.pop_front()?;
        doors.push_back(door);
        Some(door)
    }

    fn lock(&self) -> MutexGuard<'_, VecDeque<SocketAddr>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Where deliveries go.
#[derive(Clone, Debug)]
pub struct Destination {
    /// The daemons' public listeners.
    pub doors: Doors,
    /// The path for the PSP's deliveries.
    pub psp_path: String,
    /// The path for the shop's events.
    pub shop_path: String,
}

/// Delivers until `stop`, each delivery in a task of its own.
pub fn start(world: SharedWorld, to: Destination, tracker: &TaskTracker, stop: CancellationToken) {
    let carriers = tracker.clone();
    tracker.spawn(async move {
        let mut looks = tokio::time::interval(LOOK_EVERY);
        loop {
            tokio::select! {
                _ = looks.tick() => {}
                () = stop.cancelled() => return,
            }
            let (psp, shop) = world.with(|world, now| {
                (
                    world.psp.take_deliveries(now),
                    world.shop.take_deliveries(now),
                )
            });
            let psp = psp.into_iter().map(|delivery| (Side::Psp, delivery));
            let shop = shop.into_iter().map(|delivery| (Side::Shop, delivery));
            for (side, delivery) in psp.chain(shop) {
                let (world, to, stop) = (world.clone(), to.clone(), stop.clone());
                carriers.spawn(async move {
                    tokio::select! {
                        () = carry(side, &world, &to, delivery) => {}
                        () = stop.cancelled() => {}
                    }
                });
            }
        }
    });
}

async fn carry(side: Side, world: &SharedWorld, to: &Destination, delivery: Delivery) {
    let path = delivery.target(match side {
        Side::Psp => &to.psp_path,
        Side::Shop => &to.shop_path,
    });
    let (headers, body) = (&delivery.headers, &delivery.body);
    let answer = match to.doors.next() {
        Some(door) => client::call(door, delivery.method, &path, headers, body)
            .await
            .ok(),
        None => None,
    };
    world.with(|world, now| match side {
        Side::Psp => world.psp.delivered(delivery, answer.as_ref(), now),
        Side::Shop => {
            let status = answer.map(|answer| answer.status);
            world.shop.delivered(delivery, status, now);
        }
    });
}
