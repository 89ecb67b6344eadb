//! Start, reload and stop: stop tokens, the task tracker, signals, and the service manager.
//!
//! Knows when, not what: rooms hold a `Lifecycle` and look at its tokens; what a reload means
//! and whether the daemon is alive is told by the caller.

use std::collections::BTreeMap;
use std::future::Future;
use std::io;
use std::time::Duration;
use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

/// After the hard stop, tasks get this long to notice it.
const ABORT: Duration = Duration::from_secs(2);
/// The service manager hears from us this many times per watchdog period.
const BEATS_PER_PERIOD: u32 = 3;

/// The one handle on starting and stopping; clones share it.
#[derive(Clone, Debug, Default)]
pub struct Lifecycle {
    soft: CancellationToken,
    hard: CancellationToken,
    over: CancellationToken,
    tracker: TaskTracker,
    attendants: TaskTracker,
}

/// How the daemon's tasks ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ended {
    /// All by themselves, in time.
    Drained,
    /// The time limit or a second signal came first.
    Aborted {
        /// Tasks that did not even end after the hard stop.
        tasks_left: usize,
    },
}

impl Lifecycle {
    /// A lifecycle in which nothing has been stopped.
    pub fn new() -> Lifecycle {
        Lifecycle::default()
    }

    /// Cancelled when no new work may begin.
    pub fn soft(&self) -> &CancellationToken {
        &self.soft
    }

    /// Cancelled when work under way must be dropped. Never before `soft`.
    pub fn hard(&self) -> &CancellationToken {
        &self.hard
    }

    /// Where every task of the daemon is spawned.
    pub fn tracker(&self) -> &TaskTracker {
        &self.tracker
    }

    /// Begins the stop: no new work, finish what was begun.
    pub fn stop(&self) {
        self.soft.cancel();
    }

    /// Stops at once: work under way is dropped, which is safe like a crash is.
    pub fn abort(&self) {
        self.soft.cancel();
        self.hard.cancel();
    }

    /// Waits for the stop and then for all tasks, at most `grace`; then aborts what is left.
    pub async fn finish(&self, grace: Duration) -> Ended {
        self.soft.cancelled().await;
        self.tracker.close();
        let drained = tokio::select! {
            biased;
            () = self.hard.cancelled() => false,
            () = self.tracker.wait() => true,
            () = tokio::time::sleep(grace) => false,
        };
        let ended = if drained {
            Ended::Drained
        } else {
            self.hard.cancel();
            let in_time = tokio::time::timeout(ABORT, self.tracker.wait()).await;
            Ended::Aborted {
                tasks_left: in_time.map_or_else(|_| self.tracker.len(), |()| 0),
            }
        };
        self.over.cancel();
        self.attendants.close();
        self.attendants.wait().await;
        ended
    }

    /// Listens to signals from now on: SIGTERM or SIGINT stops, a second one aborts, each
    /// SIGHUP asks for a reload. Requests that come while one waits are one request.
    pub fn watch_signals(&self) -> io::Result<ReloadRequests> {
        let mut terminate = signal(SignalKind::terminate())?;
        let mut interrupt = signal(SignalKind::interrupt())?;
        let hangup = signal(SignalKind::hangup())?;
        let (asked, requests) = mpsc::channel(1);
        let lifecycle = self.clone();
        self.attend(async move {
            for act in [Lifecycle::stop, Lifecycle::abort] {
                tokio::select! {
                    Some(()) = terminate.recv() => {}
                    Some(()) = interrupt.recv() => {}
                }
                act(&lifecycle);
            }
        });
        self.attend(pass_on(hangup, asked));
        Ok(ReloadRequests(requests))
    }

    /// Feeds the service manager's watchdog, if it keeps one, as long as `is_alive` says so in
    /// time. `is_alive` must look at real progress, and at nothing that depends on others.
    pub fn feed_watchdog<A, F>(&self, is_alive: A)
    where
        A: Fn() -> F + Send + 'static,
        F: Future<Output = bool> + Send + 'static,
    {
        if let Some(period) = sd_notify::watchdog_enabled() {
            self.attend(feed(period, is_alive, || {
                tell(&[sd_notify::NotifyState::Watchdog]);
            }));
        }
    }

    /// Runs beside the daemon's work, until that is over.
    fn attend(&self, task: impl Future<Output = ()> + Send + 'static) {
        let over = self.over.clone();
        self.attendants.spawn(async move {
            over.run_until_cancelled(task).await;
        });
    }
}

/// The reloads that were asked for.
#[derive(Debug)]
pub struct ReloadRequests(mpsc::Receiver<()>);

impl ReloadRequests {
    /// The next one; none when the daemon is over.
    pub async fn next(&mut self) -> Option<()> {
        self.0.recv().await
    }
}

async fn pass_on(mut hangup: Signal, asked: mpsc::Sender<()>) {
    while let Some(()) = hangup.recv().await {
        match asked.try_send(()) {
            Ok(()) | Err(mpsc::error::TrySendError::Full(())) => {}
            Err(mpsc::error::TrySendError::Closed(())) => return,
        }
    }
}

/// Beats while alive. Silence is left to the service manager to act upon.
async fn feed<A, F>(period: Duration, is_alive: A, mut beat: impl FnMut())
where
    A: Fn() -> F,
    F: Future<Output = bool>,
{
    let pause = period.checked_div(BEATS_PER_PERIOD).unwrap_or(period);
    loop {
        match tokio::time::timeout(pause, is_alive()).await {
            Ok(true) => beat(),
            Ok(false) => tracing::warn!("not alive enough to feed the watchdog"),
            Err(_elapsed) => tracing::warn!("the sign of life did not come in time"),
        }
        tokio::time::sleep(pause).await;
    }
}

/// Tells the service manager that the daemon serves (again). `status` is for people.
pub fn notify_ready(status: &str) {
    tell(&[
        sd_notify::NotifyState::Ready,
        sd_notify::NotifyState::Status(status),
    ]);
}

/// Tells the service manager that a reload begins; `notify_ready` ends it.
pub fn notify_reloading() {
    match sd_notify::NotifyState::monotonic_usec_now() {
        Ok(moment) => tell(&[sd_notify::NotifyState::Reloading, moment]),
        Err(error) => tracing::warn!(%error, "cannot read the monotonic clock"),
    }
}

/// Tells the service manager that the daemon is stopping.
pub fn notify_stopping() {
    tell(&[sd_notify::NotifyState::Stopping]);
}

fn tell(states: &[sd_notify::NotifyState<'_>]) {
    if let Err(error) = sd_notify::notify(states) {
        tracing::warn!(%error, "cannot reach the service manager");
    }
}

/// A socket that the service manager bound for us.
#[derive(Debug)]
pub enum Inherited {
    /// TCP.
    Tcp(std::net::TcpListener),
    /// Unix stream.
    Unix(std::os::unix::net::UnixListener),
}

/// Takes the sockets handed over by the service manager, by their names
/// (`FileDescriptorName=`). To be called once, before any thread is started: it clears the
/// variables that announce them.
///
/// # Errors
///
/// The announcement is malformed, a name comes twice, or a descriptor is no listening stream
/// socket.
pub fn inherited_sockets() -> io::Result<BTreeMap<String, Inherited>> {
    let names: Vec<String> = sd_notify::listen_fds_with_names()?
        .map(|(_, name)| name)
        .collect();
    if names.is_empty() {
        return Ok(BTreeMap::new());
    }
    let mut descriptors = listenfd::ListenFd::from_env();
    let mut sockets = BTreeMap::new();
    for (index, name) in names.into_iter().enumerate() {
        let socket = match descriptors.take_unix_listener(index) {
            Ok(socket) => socket.map(Inherited::Unix),
            Err(_) => descriptors.take_tcp_listener(index)?.map(Inherited::Tcp),
        };
        let socket = socket.ok_or_else(|| odd_socket(&name, "was not handed over"))?;
        if sockets.insert(name.clone(), socket).is_some() {
            return Err(odd_socket(&name, "was handed over twice"));
        }
    }
    Ok(sockets)
}

fn odd_socket(name: &str, what: &str) -> io::Error {
    io::Error::new(
        io::ErrorKind::InvalidInput,
        format!("the inherited socket {name:?} {what}"),
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::Arc;
    use std::sync::atomic::{AtomicUsize, Ordering};

    fn run(test: impl Future<Output = ()>) {
        tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .unwrap()
            .block_on(test);
    }

    #[test]
    fn tasks_that_end_in_time_are_drained() {
        run(async {
            let lifecycle = Lifecycle::new();
            let soft = lifecycle.soft().clone();
            lifecycle
                .tracker()
                .spawn(async move { soft.cancelled().await });
            lifecycle.stop();
            assert_eq!(
                lifecycle.finish(Duration::from_secs(5)).await,
                Ended::Drained
            );
            assert!(!lifecycle.hard().is_cancelled());
        });
    }

    #[test]
    fn a_task_that_ignores_the_soft_stop_meets_the_hard_one() {
        run(async {
            let lifecycle = Lifecycle::new();
            let hard = lifecycle.hard().clone();
            lifecycle
                .tracker()
                .spawn(async move { hard.cancelled().await });
            lifecycle.stop();
            let ended = lifecycle.finish(Duration::from_millis(1)).await;
            assert_eq!(ended, Ended::Aborted { tasks_left: 0 });
        });
    }

    #[test]
    fn an_abort_does_not_wait_for_the_grace() {
        run(async {
            let lifecycle = Lifecycle::new();
            let hard = lifecycle.hard().clone();
            lifecycle
                .tracker()
                .spawn(async move { hard.cancelled().await });
            lifecycle.abort();
            let in_time = tokio::time::timeout(
                Duration::from_secs(5),
                lifecycle.finish(Duration::from_secs(3600)),
            );
            assert_eq!(in_time.await, Ok(Ended::Aborted { tasks_left: 0 }));
        });
    }

    #[test]
    fn the_watchdog_is_fed_only_while_alive() {
        run(async {
            let looks = Arc::new(AtomicUsize::new(0));
            let (beats, mut heard) = mpsc::unbounded_channel();
            let looked = Arc::clone(&looks);
            let is_alive = move || {
                let look = looked.fetch_add(1, Ordering::SeqCst);
                async move { look < 2 }
            };
            let feeding = feed(Duration::from_millis(3), is_alive, || {
                beats.send(looks.load(Ordering::SeqCst)).unwrap();
            });
            let watching = async {
                while looks.load(Ordering::SeqCst) < 6 {
                    tokio::task::yield_now().await;
                }
            };
            tokio::select! {
                () = feeding => {}
                () = watching => {}
            }
            assert_eq!(heard.recv().await, Some(1));
            assert_eq!(heard.recv().await, Some(2));
            assert!(heard.try_recv().is_err());
        });
    }

    #[test]
    fn a_sign_of_life_that_hangs_is_no_sign_of_life() {
        run(async {
            let beats = AtomicUsize::new(0);
            let looks = AtomicUsize::new(0);
            let is_alive = || {
                looks.fetch_add(1, Ordering::SeqCst);
                std::future::pending::<bool>()
            };
            let feeding = feed(Duration::from_millis(3), is_alive, || {
                beats.fetch_add(1, Ordering::SeqCst);
            });
            let watching = async {
                while looks.load(Ordering::SeqCst) < 4 {
                    tokio::task::yield_now().await;
                }
            };
            tokio::select! {
                () = feeding => {}
                () = watching => {}
            }
            assert_eq!(beats.load(Ordering::SeqCst), 0);
        });
    }
}
