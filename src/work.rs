//! The work that goes on by itself: deciding, calling, sweeping, tidying up.
//!
//! Each kind of work is a worker driven by one shared loop: do a step, then wait for news, for
//! the next due time, or for the poll that does the same work without news. Wake-ups carry no
//! data; the worker reads what is due from the store.

mod admission;
pub mod attempt;
pub mod calls;
mod canary;
pub mod closing;
pub mod decide;
pub mod dispatch;
pub mod exchange;
pub mod heartbeat;
pub mod keys;
mod portion;
pub mod sweep;
pub mod upkeep;

use crate::clock::Clock;
use crate::core::time::{Span, Time};
use std::future::Future;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::Notify;
use tokio_util::sync::CancellationToken;

/// The longest a worker sleeps without looking, news or not.
pub const POLL_EVERY: Duration = Duration::from_secs(1);
/// The pause after a step that the store could not take.
pub const STORE_PAUSE: Duration = Duration::from_millis(250);

/// Steps that a finishing worker may take after the stop.
const LAST_STEPS_MAX: u32 = 64;

/// What a worker wants after a step.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Next {
    /// There is more to do now.
    Again,
    /// Nothing until news, this moment, or the poll.
    Rest(Option<Time>),
    /// The store or the world was not ready: pause, then try again.
    Pause(Duration),
}

/// News without content: "look".
#[derive(Clone, Debug, Default)]
pub struct Pulse(Arc<Notify>);

impl Pulse {
    /// A pulse that nobody has given yet.
    pub fn new() -> Pulse {
        Pulse::default()
    }

    /// The notification behind it, for rooms that know no work.
    pub fn notify(&self) -> Arc<Notify> {
        self.0.clone()
    }

    /// Tells the worker to look.
    pub fn give(&self) {
        self.0.notify_one();
    }
}

/// One kind of work.
pub trait Worker: Send {
    /// Does one bounded step.
    fn step(&mut self) -> impl Future<Output = Next> + Send;

    /// True for work that takes in, before it ends, what others left for it.
    fn finishes(&self) -> bool {
        false
    }
}

/// Drives a worker until `stop`. A step under way is finished first.
pub async fn drive(mut worker: impl Worker, pulse: Pulse, clock: Clock, stop: CancellationToken) {
    while !stop.is_cancelled() {
        let pause = match worker.step().await {
            Next::Again => {
                tokio::task::yield_now().await;
                continue;
            }
            Next::Rest(None) => POLL_EVERY,
            Next::Rest(Some(at)) => until(clock.now(), at).min(POLL_EVERY),
            Next::Pause(pause) => pause,
        };
        tokio::select! {
            () = stop.cancelled() => {}
            () = pulse.0.notified() => {}
            () = tokio::time::sleep(pause) => {}
        }
    }
    for _ in 0..LAST_STEPS_MAX {
        if !worker.finishes() || worker.step().await != Next::Again {
            return;
        }
    }
}

fn until(now: Time, at: Time) -> Duration {
    Duration::from_micros(at.since(now).micros().max(500))
}

/// A span as the runtime's timers count it.
pub fn duration(span: Span) -> Duration {
    Duration::from_micros(span.micros())
}
