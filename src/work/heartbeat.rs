//! The heartbeat: tells an outside watcher that this daemon is at work, so that silence is heard
//! even when every way of alerting is down.
//!
//! Beats only while the store takes writes and every PSP account was swept lately; a daemon that
//! runs and does not do its work is as good as none. Knows nothing of the watcher but its address.

use super::attempt::Crew;
use super::{Next, Worker};
use crate::core::time::{Span, Time};
use crate::outbound::CallLimits;
use crate::wire::{Headers, Method, Request};
use std::sync::Arc;

/// How often the watcher hears from us; it should call somebody after a few times this long.
pub const HEARTBEAT_EVERY: Span = Span::from_seconds(60);
/// Time limit of one beat.
const BEAT_MAX: Span = Span::from_seconds(10);
/// Largest answer of a watcher that is read, in bytes.
const BEAT_BYTES_MAX: usize = 16 * 1024;
/// Without a whole sweep for this long, and for three of its intervals, an account is not watched.
const BLIND_AFTER: Span = Span::from_hours(1);

/// The worker.
pub struct Heartbeat {
    crew: Arc<Crew>,
    url: String,
    due: Time,
}

impl Heartbeat {
    /// A heart that beats at this address, for the first time as soon as all is well.
    pub fn new(crew: Arc<Crew>, url: String) -> Heartbeat {
        Heartbeat {
            crew,
            url,
            due: Time::default(),
        }
    }

    async fn is_at_work(&self, now: Time) -> bool {
        let Ok(marks) = self.crew.store.sweep_marks().await else {
            return false;
        };
        let roster = self.crew.roster.load_full();
        let all_swept = roster.accounts.iter().all(|(account, entry)| {
            let three = std::iter::repeat_n(entry.sweep_every, 3).fold(Span::ZERO, Span::plus);
            let own = marks.iter().filter(|mark| mark.account == *account);
            let swept = own.map(|mark| mark.swept_at).min().flatten();
            let is_fresh = swept.is_some_and(|at| now.since(at) <= BLIND_AFTER.max(three));
            // Where the PSP has no list there is nothing to be blind to.
            is_fresh || entry.adapter.listings() == 0
        });
        all_swept && self.crew.store.probe(now).await.is_ok()
    }
}

impl Worker for Heartbeat {
    async fn step(&mut self) -> Next {
        let now = self.crew.clock.now();
        if now < self.due {
            return Next::Rest(Some(self.due));
        }
        if !self.is_at_work(now).await {
            return Next::Rest(None);
        }
        let request = Request {
            method: Method::Get,
            url: self.url.clone(),
            headers: Headers::new(),
            body: Vec::new(),
        };
        let limits = CallLimits {
            deadline: super::duration(BEAT_MAX),
            body_bytes_max: BEAT_BYTES_MAX,
        };
        match self.crew.outbound.call(request, limits).await {
            Ok(answer) if (200..300).contains(&answer.status) => {}
            Ok(answer) => tracing::warn!(status = answer.status, "the watcher refused a heartbeat"),
            Err(error) => tracing::warn!(?error, "a heartbeat did not reach the watcher"),
        }
        self.due = now.plus(HEARTBEAT_EVERY);
        Next::Rest(Some(self.due))
    }
}
