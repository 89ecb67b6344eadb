//! Connections on their way from one verb to the next, past the pool.
//!
//! The pool asks a connection twice whether somebody is there whenever one comes back, and most verbs
//! ask less than that. What worked a moment ago is lent again without a look; what stood unused, or
//! was lent often, goes through the pool and its looks. Knows no statement.

use futures_util::FutureExt;
use sqlx::pool::PoolConnection;
use sqlx::postgres::{PgPool, Postgres};
use std::pin::Pin;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;
use tokio::time::Sleep;

/// Of so many connections one is kept at most.
const KEPT_SHARE: u32 = 2;
/// A connection is lent so often before it goes through the pool, which opens old ones anew.
const LOANS_MAX: u32 = 1_000;

/// A connection and how often it was lent.
pub(super) struct Lent {
    pub(super) connection: PoolConnection<Postgres>,
    loans: u32,
}

struct Kept {
    lent: Lent,
    /// Over when it is no longer trusted.
    trusted: Pin<Box<Sleep>>,
}

/// The connections that are kept; clones share them.
#[derive(Clone)]
pub(super) struct Warm(Arc<Shelf>);

struct Shelf {
    rows: Mutex<Rows>,
    kept_max: usize,
    trusted_for: Duration,
    /// How many wait for the pool: as long as somebody does, all come back there.
    waiting: AtomicUsize,
}

#[derive(Default)]
struct Rows {
    kept: Vec<Kept>,
    is_closed: bool,
}

impl Warm {
    pub(super) fn new(connections_max: u32, trusted_for: Duration) -> Warm {
        let kept_max = connections_max.checked_div(KEPT_SHARE).unwrap_or(0);
        Warm(Arc::new(Shelf {
            rows: Mutex::default(),
            kept_max: usize::try_from(kept_max).unwrap_or(usize::MAX),
            trusted_for,
            waiting: AtomicUsize::new(0),
        }))
    }

    /// One that is kept, or one of the pool.
    pub(super) async fn take(&self, pool: &PgPool) -> Result<Lent, sqlx::Error> {
        if let Some(mut lent) = self.kept() {
            lent.loans = lent.loans.saturating_add(1);
            return Ok(lent);
        }
        let _waiting = Waiting::new(self);
        let connection = pool.acquire().await?;
        Ok(Lent {
            connection,
            loans: 0,
        })
    }

    /// The one that was used last, if that was a moment ago; older ones go back to the pool.
    fn kept(&self) -> Option<Lent> {
        loop {
            let last = self.rows().kept.pop();
            let mut kept = last?;
            if kept.trusted.as_mut().now_or_never().is_none() {
                return Some(kept.lent);
            }
        }
    }

    fn rows(&self) -> MutexGuard<'_, Rows> {
        self.0.rows.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Keeps one on which nothing is under way, or gives it back to the pool.
    pub(super) fn keep(&self, lent: Lent) {
        if lent.loans >= LOANS_MAX || self.0.waiting.load(Ordering::SeqCst) > 0 {
            return;
        }
        let mut trusted = Box::pin(tokio::time::sleep(self.0.trusted_for));
        // Its time runs from the first look at it.
        let is_over = trusted.as_mut().now_or_never().is_some();
        let mut rows = self.rows();
        if !is_over && !rows.is_closed && rows.kept.len() < self.0.kept_max {
            rows.kept.push(Kept { lent, trusted });
        }
    }

    /// From now on all go back to the pool.
    pub(super) fn close(&self) {
        let kept = {
            let mut rows = self.rows();
            rows.is_closed = true;
            std::mem::take(&mut rows.kept)
        };
        drop(kept);
    }
}

impl Drop for Shelf {
    /// The pool goes as well, and perhaps the runtime that it would give them back in.
    fn drop(&mut self) {
        let rows = self.rows.get_mut().unwrap_or_else(PoisonError::into_inner);
        for kept in rows.kept.drain(..) {
            drop(kept.lent.connection.leak());
        }
    }
}

/// Somebody who waits for the pool, for as long as this lives.
struct Waiting<'a>(&'a AtomicUsize);

impl Waiting<'_> {
    fn new(warm: &Warm) -> Waiting<'_> {
        warm.0.waiting.fetch_add(1, Ordering::SeqCst);
        Waiting(&warm.0.waiting)
    }
}

impl Drop for Waiting<'_> {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::SeqCst);
    }
}
