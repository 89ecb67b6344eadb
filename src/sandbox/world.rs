//! The sandbox PSP and the sandbox shop as one world that several tasks share.
//!
//! Verbs take the moment from the world's clock, so that stories read as they are told. Knows no
//! socket.

use super::books::{self, Customer};
use super::psp::{Kind, SandboxPsp, stripe};
use super::shop::SandboxShop;
use super::sign::StandardSecret;
use crate::clock::Clock;
use crate::core::time::Time;
use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// The key of the sandbox account at Stripe.
pub const API_KEY: &str = stripe::KIND.api_key;
/// The secret of the webhooks of the sandbox account at Stripe.
pub const WEBHOOK_SECRET: &str = stripe::KIND.webhook_secret;
/// The key of the sandbox shop's secret.
pub const SHOP_KEY: &[u8; 32] = b"sandbox-key-of-the-sandbox-shop!";

/// The outside world.
#[derive(Clone)]
pub struct World {
    /// The PSP.
    pub psp: SandboxPsp,
    /// The shop.
    pub shop: SandboxShop,
}

impl World {
    /// A world in which nothing has happened yet; the account is at Stripe, of test mode.
    pub fn new() -> World {
        World::with(&stripe::KIND)
    }

    /// As `new`, with the account at this PSP.
    pub fn with(kind: &'static Kind) -> World {
        World {
            psp: SandboxPsp::at(kind, kind.setup()),
            shop: SandboxShop::new(StandardSecret::from_key(SHOP_KEY)),
        }
    }

    /// How often a fault has struck anything about this order.
    pub fn strikes_about(&self, reference: &str) -> usize {
        let psp = self.psp.strikes_about(reference);
        psp.saturating_add(self.shop.strikes_about(reference))
    }

    /// Both books, customer by customer.
    pub fn books(&self) -> BTreeMap<String, Customer> {
        books::compare(&self.psp, &self.shop)
    }
}

impl Default for World {
    fn default() -> World {
        World::new()
    }
}

/// A world with a clock, shared by servers, pump and story.
#[derive(Clone)]
pub struct SharedWorld {
    world: Arc<Mutex<World>>,
    clock: Clock,
}

impl SharedWorld {
    /// Shares a world.
    pub fn new(world: World, clock: Clock) -> SharedWorld {
        SharedWorld {
            world: Arc::new(Mutex::new(world)),
            clock,
        }
    }

    /// The moment it is.
    pub fn now(&self) -> Time {
        self.clock.now()
    }

    /// The world, for as long as the guard lives; never hold it across an await.
    pub fn lock(&self) -> MutexGuard<'_, World> {
        self.world.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Does something in the world, now.
    pub fn with<T>(&self, act: impl FnOnce(&mut World, Time) -> T) -> T {
        let now = self.now();
        act(&mut self.lock(), now)
    }
}
