//! Passes news on between daemons that share a database: ours to the others, theirs to our loops.
//!
//! A call says only "look". Without a line everything goes on by the polls.

use super::{Next, Pulse, STORE_PAUSE, Worker};
use crate::store::calls::Calls;
use crate::store::postgres::PostgresOptions;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::Notify;

/// After a call to the others, news of this long make one call.
const CALL_PAUSE: Duration = Duration::from_millis(5);

/// The worker.
pub struct PassOn {
    options: PostgresOptions,
    news: Arc<Notify>,
    looks: Vec<Pulse>,
    line: Option<Calls>,
}

impl PassOn {
    /// Calls the others when `news` is given, and gives all `looks` when another one calls.
    pub fn new(options: PostgresOptions, news: Arc<Notify>, looks: Vec<Pulse>) -> PassOn {
        PassOn {
            options,
            news,
            looks,
            line: None,
        }
    }

    fn look(&self) {
        self.looks.iter().for_each(Pulse::give);
    }
}

impl Worker for PassOn {
    async fn step(&mut self) -> Next {
        let mut line = match self.line.take() {
            Some(line) => line,
            None => match Calls::open(&self.options).await {
                Ok(line) => {
                    // Calls may have been missed.
                    self.look();
                    line
                }
                Err(error) => {
                    tracing::debug!(%error, "no line to the other daemons; polling alone");
                    return Next::Pause(STORE_PAUSE);
                }
            },
        };
        let (passed, next) = tokio::select! {
            heard = line.heard() => {
                self.look();
                (heard, Next::Again)
            }
            () = self.news.notified() => (line.call().await, Next::Pause(CALL_PAUSE)),
        };
        match passed {
            Ok(()) => {
                self.line = Some(line);
                next
            }
            Err(error) => {
                tracing::debug!(%error, "the line to the other daemons is lost; polling alone");
                Next::Pause(STORE_PAUSE)
            }
        }
    }
}
