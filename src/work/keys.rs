//! Fetches the keys that adapters miss for verifying deliveries.
//!
//! One call at a time per account, only where the adapter asks for one: which addresses may be
//! called, how often, and what a key must prove is the adapter's own rule. Sees no delivery.

use super::attempt::Crew;
use super::{Next, Worker};
use crate::key_line::KeyWish;
use crate::outbound::CallLimits;
use crate::psp::Psp;
use futures_util::future::join_all;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::mpsc;

/// Time limit of one call for a key; whoever waits for it is waiting behind an open request.
pub const KEY_CALL_MAX: Duration = Duration::from_secs(4);
/// Largest answer taken for a key, in bytes: a chain of a few certificates.
pub const KEY_BYTES_MAX: usize = 32 * 1024;

/// The worker.
pub struct Keys {
    crew: Arc<Crew>,
    wishes: mpsc::Receiver<KeyWish>,
}

impl Keys {
    /// A worker that answers the wishes of this line.
    pub fn new(crew: Arc<Crew>, wishes: mpsc::Receiver<KeyWish>) -> Keys {
        Keys { crew, wishes }
    }

    /// Makes the call that the adapter asks for; false when it asks for none.
    async fn fetch(&self, adapter: &dyn Psp) -> bool {
        let Some(request) = adapter.key_wanted(self.crew.clock.now()) else {
            return false;
        };
        let limits = CallLimits {
            deadline: KEY_CALL_MAX,
            body_bytes_max: KEY_BYTES_MAX,
        };
        let reply = self.crew.outbound.call(request.clone(), limits).await;
        let status = reply.as_ref().map(|response| response.status);
        tracing::debug!(account = %adapter.account(), ?status, "asked for a key");
        adapter.key_came(&request, &reply, self.crew.clock.now());
        true
    }
}

impl Worker for Keys {
    async fn step(&mut self) -> Next {
        let mut wishes = Vec::new();
        while let Ok(wish) = self.wishes.try_recv() {
            wishes.push(wish);
        }
        let roster = self.crew.roster.load_full();
        let accounts = roster.accounts.values();
        let calls = accounts.map(|entry| self.fetch(entry.adapter.as_ref()));
        let fetched = join_all(calls).await;
        for wish in wishes {
            // Whoever asked may have given up waiting.
            let _gone = wish.send(()).is_err();
        }
        if fetched.contains(&true) {
            Next::Again
        } else {
            Next::Rest(None)
        }
    }
}
