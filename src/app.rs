//! Puts the rooms together: from a configuration to a running daemon, and down again.
//!
//! Starts what must run, in the order in which it may stop. Knows no rule of the trade.

mod deciding;
mod origin;
mod parts;
mod pulses;
mod rooms;
mod storage;

pub use rooms::{ReplayDesk, adapter_of, policies_of, roster_of};
pub use storage::{open as open_store, open_readonly, schema};

use crate::clock::Clock;
use crate::config::{Config, Listen, StoreConfig, Surroundings};
use crate::core::ids::AccountId;
use crate::core::time::Time;
use crate::engine::EngineDesk;
use crate::http::admin::AdminState;
use crate::http::counters::IntakeCounters;
use crate::http::health::ReloadNote;
use crate::http::intake::{Intake, IntakeLimits, IntakeWriter, intake};
use crate::http::listener::{self, Limits, Socket};
use crate::http::public::{self, Public, Unshowable};
use crate::http::quarantine::{QuarantineWriter, quarantine};
use crate::http::{admin, view};
use crate::key_line::KeyLine;
use crate::lifecycle::{self, Ended, Lifecycle, ReloadRequests};
use crate::outbound::{Outbound, Settings};
use crate::pressure::Pressure;
use crate::roster::Roster;
use crate::store::{LoadedCheckout, Retention, Store};
use crate::telemetry::Telemetry;
use crate::work::attempt::{Crew, SweptAccounts};
use crate::work::closing::Closing;
use crate::work::dispatch::{Dispatch, Gates};
use crate::work::exchange::SignIns;
use crate::work::heartbeat::Heartbeat;
use crate::work::keys::Keys;
use crate::work::sweep::Sweep;
use crate::work::upkeep::{Checkpoint, Prune};
use crate::work::{Pulse, drive};
use anyhow::Context;
use arc_swap::ArcSwap;
use pulses::Pulses;
use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

/// Inputs that may wait for the engine besides those in the store.
const INPUTS_MAX: usize = 4096;
/// Wishes for sweeps that may wait.
const WISHES_MAX: usize = 16;
/// How long the whole daemon may take to stop; below the unit's `TimeoutStopSec`.
const STOP_GRACE: Duration = Duration::from_secs(35);
/// Rows touched by one step of pruning.
const PRUNE_ROWS_MAX: u32 = 500;

/// Sockets handed over by the service manager, by name. Taken before any thread starts, since
/// that changes the environment.
pub type Sockets = BTreeMap<String, lifecycle::Inherited>;

/// Runs the daemon until it is told to stop.
pub async fn serve(path: &Path, config: Config, inherited: Sockets) -> anyhow::Result<()> {
    let clock = Clock::System;
    let store = storage::open_when_reachable(&config.store).await?;
    let lifecycle = Lifecycle::new();
    let reloads = lifecycle
        .watch_signals()
        .context("cannot listen to signals")?;
    let orphaned = store.end_orphaned_leases(clock.now()).await;
    let orphaned = orphaned.context("cannot end the leases of the process before this one")?;
    if orphaned > 0 {
        tracing::warn!(
            orphaned,
            "attempts that nobody saw the end of are read back"
        );
    }
    let origin = origin::note(&config, store.as_ref(), clock.now()).await;
    let origin = origin.context("cannot note this start in the store")?;
    let roster = roster_of(&config, store.as_ref(), clock.now()).await?;
    let telemetry = Telemetry::new(env!("CARGO_PKG_VERSION"));
    telemetry.config_loaded(&config.fingerprint());
    for warning in &config.warnings {
        tracing::warn!("configuration: {warning}");
    }
    let daemon = Daemon {
        path: path.to_owned(),
        clock,
        store,
        roster: Arc::new(ArcSwap::from_pointee(roster)),
        telemetry,
        lifecycle,
        reload_note: ReloadNote::default(),
        origin,
    };
    daemon.run(&config, inherited, reloads).await
}

/// What all parts of a running daemon share.
struct Daemon {
    path: PathBuf,
    clock: Clock,
    store: Arc<dyn Store>,
    roster: Arc<ArcSwap<Roster>>,
    telemetry: Telemetry,
    lifecycle: Lifecycle,
    reload_note: ReloadNote,
    origin: origin::Origin,
}

/// The channels and pulses between the loops.
struct Lines {
    inputs: mpsc::Sender<crate::engine::input::Input>,
    wishes: mpsc::Sender<crate::engine::SweepWish>,
    /// To the loop that takes in what is told.
    told: Pulse,
    /// To the loop that takes in what is stored.
    stored: Pulse,
    keys: KeyLine,
}

/// Who we are to those who share the store: this process of this machine.
fn holder(now: Time) -> String {
    let system = rustix::system::uname();
    let machine = system.nodename().to_string_lossy();
    format!("{machine}-{}-{}", std::process::id(), now.micros())
}

fn tell_serving((public, admin): (Option<SocketAddr>, Option<SocketAddr>)) {
    let shown = |address: Option<SocketAddr>| {
        address.map_or_else(|| "a Unix socket".to_owned(), |address| address.to_string())
    };
    let (public, admin) = (shown(public), shown(admin));
    let version = env!("CARGO_PKG_VERSION");
    tracing::info!(public, admin, version, "serving");
}

impl Daemon {
    async fn run(
        &self,
        config: &Config,
        inherited: Sockets,
        mut reloads: ReloadRequests,
    ) -> anyhow::Result<()> {
        let (public, admin) = sockets(config, inherited).await?;
        let outbound = Outbound::new(Settings::default())?;
        // The front stops first: listeners, leasing and sweeping. What it leaves behind is taken
        // in by the back, which stops after it.
        let front = TaskTracker::new();
        let back = CancellationToken::new();
        let counters = Arc::new(IntakeCounters::default());
        let pulses = Pulses::wired(&config.store, &self.clock, self.lifecycle.tracker(), &back);
        let (intake, intake_writer) = intake(
            self.store.clone(),
            pulses.stored.clone(),
            counters.clone(),
            IntakeLimits::default(),
        );
        let (quarantine, quarantine_writer) = quarantine(self.store.clone(), counters.clone());
        let pressure = intake_writer.pressure();
        let lines = self.start_work(config, outbound, (&front, &back), pulses, pressure);
        self.start_writers(intake_writer, quarantine_writer, &back);
        let addresses = (public.address(), admin.address());
        let router = public::router(Public {
            roster: self.roster.clone(),
            intake: intake.clone(),
            quarantine,
            unsigned: Default::default(),
            counters: counters.clone(),
            clock: self.clock.clone(),
            store: self.store.clone(),
            keys: lines.keys.clone(),
            show: Arc::new(show),
        });
        self.listen("public", public, router, &front);
        let router = admin::router(self.admin_state(config, &lines, (intake, counters)));
        self.listen("admin", admin, router, &front);
        self.lifecycle.feed_watchdog(self.sign_of_life(config));
        lifecycle::notify_ready("serving");
        tell_serving(addresses);
        self.reload_until_stopped(&mut reloads).await;
        lifecycle::notify_stopping();
        tracing::info!("stopping: finishing what was begun");
        front.close();
        let front_ends = async {
            front.wait().await;
            back.cancel();
        };
        let (_, ended) = tokio::join!(front_ends, self.lifecycle.finish(STOP_GRACE));
        self.store.close().await;
        match ended {
            Ended::Drained => tracing::info!("stopped; nothing was left undone"),
            Ended::Aborted { tasks_left } => {
                tracing::warn!(
                    tasks_left,
                    "stopped early; what was under way will be read back"
                );
            }
        }
        Ok(())
    }

    fn start_work(
        &self,
        config: &Config,
        outbound: Outbound,
        (front, back): (&TaskTracker, &CancellationToken),
        pulses: Pulses,
        pressure: Pressure,
    ) -> Lines {
        let (inputs, received) = mpsc::channel(INPUTS_MAX);
        let (wishes, wished) = mpsc::channel(WISHES_MAX);
        let (decide, dispatch) = (pulses.decide, pulses.dispatch);
        let clock = self.clock.clone();
        let holder = holder(clock.now());
        let told = self.start_deciding(
            received,
            (&decide, &pulses.decided),
            &holder,
            &pressure,
            back,
        );
        let tracker = front.clone();
        let crew = Arc::new(Crew {
            store: self.store.clone(),
            roster: self.roster.clone(),
            outbound,
            clock: self.clock.clone(),
            inputs: inputs.clone(),
            decide: told.clone(),
            dispatch: dispatch.clone(),
            gates: Gates::default(),
            swept: SweptAccounts::default(),
            sign_ins: SignIns::default(),
            spawn: Arc::new(move |attempt| {
                tracker.spawn(attempt);
            }),
            telemetry: self.telemetry.clone(),
        });
        let soft = self.lifecycle.soft();
        let dispatcher = Dispatch::new(crew.clone(), holder);
        front.spawn(drive(
            dispatcher,
            dispatch.clone(),
            self.clock.clone(),
            soft.clone(),
        ));
        self.start_heartbeat(config, &crew);
        let keys = self.start_keys(crew.clone(), front);
        let sweeper = Sweep::new(crew, wished);
        let stop = soft.clone();
        let driven = drive(sweeper, Pulse::new(), self.clock.clone(), soft.clone());
        // A sweep may take minutes; what it read so far is durable, the rest is read again.
        front.spawn(async move { stop.run_until_cancelled(driven).await });
        self.start_upkeep(config, pressure);
        Lines {
            inputs,
            wishes,
            told,
            stored: decide,
            keys,
        }
    }

    fn start_heartbeat(&self, config: &Config, crew: &Arc<Crew>) {
        let Some(url) = &config.server.heartbeat_url else {
            return;
        };
        let heart = Heartbeat::new(crew.clone(), url.as_str().to_owned());
        let stop = self.lifecycle.soft().clone();
        let driven = drive(heart, Pulse::new(), self.clock.clone(), stop.clone());
        // A watcher that is slow to answer holds up no stop.
        self.start(async move { stop.run_until_cancelled(driven).await.unwrap_or_default() });
    }

    /// The worker that fetches keys; it stops with the listeners. Gives the line to it.
    fn start_keys(&self, crew: Arc<Crew>, front: &TaskTracker) -> KeyLine {
        let news = Pulse::new();
        let (line, wishes) = KeyLine::new(news.notify());
        let keys = Keys::new(crew, wishes);
        let stop = self.lifecycle.soft().clone();
        front.spawn(drive(keys, news, self.clock.clone(), stop));
        line
    }

    fn start_upkeep(&self, config: &Config, pressure: Pressure) {
        let soft = self.lifecycle.soft();
        let checkpoint = Checkpoint {
            store: self.store.clone(),
        };
        self.start(drive(
            checkpoint,
            Pulse::new(),
            self.clock.clone(),
            soft.clone(),
        ));
        let prune = Prune {
            store: self.store.clone(),
            retention: Retention {
                bodies: config.retention.bodies,
                checkouts: config.retention.checkouts,
                rows_max: PRUNE_ROWS_MAX,
            },
            clock: self.clock.clone(),
        };
        self.start(drive(prune, Pulse::new(), self.clock.clone(), soft.clone()));
        let closing = Closing::new(self.store.clone(), self.clock.clone(), pressure);
        let stop = soft.clone();
        let driven = drive(closing, Pulse::new(), self.clock.clone(), soft.clone());
        // A statement only reads; nobody waits at the end for one that was begun.
        self.start(async move {
            stop.run_until_cancelled(driven).await;
        });
    }

    fn start_writers(
        &self,
        intake: IntakeWriter,
        quarantine: QuarantineWriter,
        back: &CancellationToken,
    ) {
        self.start(intake.run(back.clone()));
        self.start(quarantine.run(back.clone()));
    }

    fn start(&self, task: impl Future<Output = ()> + Send + 'static) {
        self.lifecycle.tracker().spawn(task);
    }

    fn listen(
        &self,
        name: &'static str,
        socket: Socket,
        router: axum::Router,
        front: &TaskTracker,
    ) {
        let lifecycle = self.lifecycle.clone();
        front.spawn(async move {
            let drained = listener::serve(name, socket, router, Limits::default(), lifecycle).await;
            tracing::debug!(listener = name, ?drained, "listener closed");
        });
    }

    fn admin_state(
        &self,
        config: &Config,
        lines: &Lines,
        (intake, counters): (Intake, Arc<IntakeCounters>),
    ) -> AdminState {
        let roster = self.roster.clone();
        let accounts = move || {
            roster
                .load()
                .accounts
                .keys()
                .cloned()
                .collect::<Vec<AccountId>>()
        };
        let desk = EngineDesk {
            store: self.store.clone(),
            inputs: lines.inputs.clone(),
            sweeps: lines.wishes.clone(),
            accounts: Arc::new(accounts),
            clock: self.clock.clone(),
            wake: lines.told.notify(),
        };
        AdminState {
            store: self.store.clone(),
            roster: self.roster.clone(),
            desk: Arc::new(desk),
            clock: self.clock.clone(),
            telemetry: self.telemetry.clone(),
            intake: counters,
            readiness: Arc::new(parts::readiness(self, config, intake)),
            replay: Arc::new(ReplayDesk {
                store: self.store.clone(),
                roster: self.roster.clone(),
                decide: lines.stored.clone(),
                keys: lines.keys.clone(),
            }),
        }
    }

    fn sign_of_life(
        &self,
        config: &Config,
    ) -> impl Fn() -> futures_util::future::BoxFuture<'static, bool> + Send + 'static {
        let (store, clock) = (self.store.clone(), self.clock.clone());
        let is_elsewhere = matches!(config.store, StoreConfig::Postgres(_));
        move || {
            let (store, now) = (store.clone(), clock.now());
            // A full disk or a database that is gone is the store's trouble and not ours:
            // restarting would not mend it.
            Box::pin(async move {
                is_elsewhere || store.probe(now).await.is_ok() || store.next_due().await.is_ok()
            })
        }
    }

    async fn reload_until_stopped(&self, reloads: &mut ReloadRequests) {
        loop {
            let asked = tokio::select! {
                () = self.lifecycle.soft().cancelled() => return,
                asked = reloads.next() => asked,
            };
            if asked.is_none() {
                return;
            }
            lifecycle::notify_reloading();
            match self.reload().await {
                Ok(()) => {
                    self.reload_note.taken();
                    self.telemetry.reloaded(true);
                    tracing::info!("configuration reloaded");
                    lifecycle::notify_ready("serving");
                }
                Err(why) => {
                    tracing::error!("configuration not reloaded, the running one stays: {why}");
                    self.telemetry.reloaded(false);
                    self.reload_note.refused(why);
                    lifecycle::notify_ready("serving; the last reload was refused");
                }
            }
        }
    }

    /// Reads the file anew and swaps the roster. Listeners and the store stay as they were.
    async fn reload(&self) -> Result<(), String> {
        let config = Config::load(&self.path, &Surroundings::of_process())
            .map_err(|errors| errors.to_string())?;
        let roster = roster_of(&config, self.store.as_ref(), self.clock.now())
            .await
            .map_err(|error| format!("{error:#}"))?;
        self.telemetry.config_loaded(&config.fingerprint());
        self.roster.store(Arc::new(roster));
        Ok(())
    }
}

/// Sockets handed over by the service manager, by name, or our own.
async fn sockets(config: &Config, mut inherited: Sockets) -> anyhow::Result<(Socket, Socket)> {
    let public = match inherited.remove("public") {
        Some(socket) => Socket::inherit(socket)?,
        None => Socket::bind_tcp(config.server.public)
            .await
            .with_context(|| format!("cannot listen at {}", config.server.public))?,
    };
    let admin = match (inherited.remove("admin"), &config.server.admin) {
        (Some(socket), _) => Socket::inherit(socket)?,
        (None, Listen::Tcp(address)) => Socket::bind_tcp(*address)
            .await
            .with_context(|| format!("cannot listen at {address}"))?,
        (None, Listen::Unix(path)) => Socket::bind_unix(path)
            .await
            .with_context(|| format!("cannot listen at {}", path.display()))?,
    };
    Ok((public, admin))
}

fn show(loaded: &LoadedCheckout) -> Result<Vec<u8>, Unshowable> {
    let view = view::checkout(loaded).map_err(|error| Unshowable(error.to_string()))?;
    serde_json::to_vec(&view).map_err(|error| Unshowable(error.to_string()))
}
