//! One running daemon: the real engine, workers, intake and desk, on a line into the simulated
//! network and a shelf of the shared store.
//!
//! Dropping it is a crash. Knows nothing of the world beyond its line.

use super::chance::Chance;
use super::gate::Gate;
use super::keys::{self, BadSetting, Keys};
use super::network::{Call, Line, Side};
use super::setting::Setting;
use super::shelf::{Kept, Shelf};
use super::tasks::{Alarms, Spawner, StepAside, Tasks, WorldTime};
use super::trace::Trace;
use crate::clock::Clock;
use crate::core::time::{Span, Time};
use crate::engine::input::Input;
use crate::engine::{Engine, EngineDesk};
use crate::http::counters::IntakeCounters;
use crate::http::intake::{IntakeLimits, intake};
use crate::http::public::{self, Public, Unshowable};
use crate::http::quarantine::quarantine;
use crate::http::unsigned::UnsignedBudget;
use crate::http::view;
use crate::key_line::KeyLine;
use crate::outbound::Outbound;
use crate::roster::Roster;
use crate::store::memory::MemoryStore;
use crate::store::{Retention, Store};
use crate::telemetry::Telemetry;
use crate::wire::Headers;
use crate::work::attempt::{Crew, SweptAccounts};
use crate::work::decide::{Decide, Takes};
use crate::work::dispatch::{Dispatch, Gates};
use crate::work::exchange::SignIns;
use crate::work::sweep::Sweep;
use crate::work::upkeep::Prune;
use crate::work::{Next, Pulse, STORE_PAUSE, Worker};
use arc_swap::ArcSwap;
use axum::Router;
use axum::body::Body;
use futures_util::future::select;
use std::pin::pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;
use tower::ServiceExt;

/// Inputs that may wait for the engine besides those in the store.
const INPUTS_MAX: usize = 4096;
/// Wishes for sweeps that may wait.
const WISHES_MAX: usize = 16;
/// Pauses up to this are looks at what did not change; they grow, to save idle work.
const SHORT_PAUSE: Duration = STORE_PAUSE;
/// The longest that a repeated short pause grows to.
const GROWN_PAUSE_MAX: Duration = Duration::from_secs(20);

/// What all daemons of a run share.
#[derive(Clone)]
pub struct House {
    /// The store.
    pub store: Arc<MemoryStore>,
    /// The setting.
    pub setting: Arc<Setting>,
    /// The world's time.
    pub time: WorldTime,
    /// The trace.
    pub trace: Trace,
    /// What was appended to the store.
    pub kept: Kept,
}

/// A delivery's answer, by the number it was given.
pub type Answered = (u64, u16);

/// One running daemon.
pub struct Instance {
    /// Its name.
    pub name: String,
    /// Its gate to the store.
    pub gate: Gate,
    /// Its alarms.
    pub alarms: Alarms,
    /// Stands still until this moment.
    pub paused_until: Option<Time>,
    /// Its operators' desk.
    pub desk: EngineDesk,
    clock: Clock,
    tasks: Tasks,
    line: Line,
    roster: Arc<ArcSwap<Roster>>,
    router: Router,
    pulses: Vec<Pulse>,
    answered: Arc<Mutex<Vec<Answered>>>,
}

/// Drives a worker as the daemon does; the poll is whoever gives the pulse.
async fn drive(mut worker: impl Worker, pulse: Pulse, alarms: Alarms, clock: Clock) {
    let notify = pulse.notify();
    let mut looks = 0_u32;
    loop {
        let pause = match worker.step().await {
            Next::Again => {
                looks = 0;
                StepAside::default().await;
                continue;
            }
            Next::Rest(None) => {
                looks = 0;
                notify.notified().await;
                continue;
            }
            Next::Rest(Some(at)) => Duration::from_micros(at.since(clock.now()).micros().max(500)),
            Next::Pause(pause) => pause,
        };
        let pause = if pause <= SHORT_PAUSE {
            let factor = 1_u32.checked_shl(looks.min(16)).unwrap_or(1);
            looks = looks.saturating_add(1);
            pause.saturating_mul(factor).min(GROWN_PAUSE_MAX)
        } else {
            looks = 0;
            pause
        };
        select(pin!(notify.notified()), pin!(alarms.rest(pause))).await;
    }
}

impl Instance {
    /// Starts a daemon. Attempts of a process that is surely gone are ended first, as at any
    /// start on a store that one daemon has to itself.
    pub fn start(
        house: &House,
        gate: Gate,
        name: String,
        keys: Keys,
        skew: i64,
    ) -> Result<Instance, BadSetting> {
        let setting = &house.setting;
        let clock = Clock::manual(house.time.now());
        let roster = keys::roster(setting, keys, setting.begins)?;
        let store: Arc<dyn Store> = Arc::new(Shelf {
            store: house.store.clone(),
            gate: gate.clone(),
            trace: house.trace.clone(),
            kept: house.kept.clone(),
        });
        let (inputs, received) = mpsc::channel(INPUTS_MAX);
        let (sweeps, wished) = mpsc::channel(WISHES_MAX);
        let pulses: Vec<Pulse> = (0..4).map(|_| Pulse::new()).collect();
        let [decide, dispatch, sweep, prune] = pulses.as_slice() else {
            return Err(BadSetting::pulses());
        };
        let tasks = Tasks::default();
        let line = Line::new(name.clone(), house.time.clone());
        let spawner = tasks.spawner();
        let parts = Parts {
            clock: clock.clone(),
            store: store.clone(),
            roster: Arc::new(ArcSwap::from_pointee(roster)),
            telemetry: Telemetry::new("simulation"),
            alarms: Alarms::new(house.time.clone()),
            spawner,
        };
        let crew = parts.crew(&line, &inputs, (decide, dispatch));
        let router = parts.start_intake(&name, (decide, dispatch), received);
        parts.start(Dispatch::new(crew.clone(), name.clone()), dispatch);
        parts.start(Sweep::new(crew, wished), sweep);
        if let Some(kept) = setting.kept_for {
            parts.start(pruner(store.clone(), clock.clone(), kept), prune);
        }
        let accounts = parts.roster.clone();
        let desk = EngineDesk {
            store,
            inputs,
            sweeps,
            accounts: Arc::new(move || accounts.load().accounts.keys().cloned().collect()),
            clock: clock.clone(),
            wake: decide.notify(),
        };
        let instance = Instance {
            name,
            gate,
            alarms: parts.alarms,
            paused_until: None,
            desk,
            clock,
            tasks,
            line,
            roster: parts.roster,
            router,
            pulses,
            answered: Arc::default(),
        };
        instance.set_clock(house.time.now(), skew);
        Ok(instance)
    }

    /// Its clock shows the world's time, off by so many microseconds.
    pub fn set_clock(&self, now: Time, skew: i64) {
        let micros = now.micros().saturating_add(skew);
        self.clock.set(Time::from_micros(micros));
    }

    /// Polls one of its futures; false when none has anything to do.
    pub fn poll_one(&mut self, chance: &mut Chance) -> bool {
        self.tasks.poll_one(chance)
    }

    /// The calls that left since the last time.
    pub fn take_calls(&self) -> Vec<Call> {
        self.line.take()
    }

    /// The deliveries that were answered since the last time.
    pub fn take_answered(&self) -> Vec<Answered> {
        let mut answered = self.answered.lock().unwrap_or_else(PoisonError::into_inner);
        std::mem::take(&mut answered)
    }

    /// Every worker looks, as the poll lets it.
    pub fn look(&self) {
        for pulse in &self.pulses {
            pulse.give();
        }
    }

    /// Its configuration is read anew.
    pub fn reload(&self, setting: &Setting, keys: Keys) -> Result<(), BadSetting> {
        let roster = keys::roster(setting, keys, setting.begins)?;
        self.roster.store(Arc::new(roster));
        Ok(())
    }

    /// Who it serves.
    pub fn roster(&self) -> Arc<Roster> {
        self.roster.load_full()
    }

    /// Lets something run inside this daemon.
    pub fn spawn(&self, task: impl Future<Output = ()> + Send + 'static) {
        self.tasks.spawner().spawn(Box::pin(task));
    }

    /// A delivery comes in at the public listener's door.
    pub fn deliver(&self, number: u64, side: Side, headers: &Headers, body: Vec<u8>) {
        let path = match side {
            Side::Psp => format!("/webhooks/{}", keys::ACCOUNT),
            Side::Shop => format!("/shops/{}/events", keys::SHOP),
        };
        let mut request = http::Request::post(path);
        for (name, value) in headers.iter() {
            request = request.header(name, value);
        }
        let Ok(request) = request.body(Body::from(body)) else {
            return;
        };
        let (router, answered) = (self.router.clone(), self.answered.clone());
        self.spawn(async move {
            let status = match router.oneshot(request).await {
                Ok(response) => response.status().as_u16(),
                Err(never) => match never {},
            };
            let mut answered = answered.lock().unwrap_or_else(PoisonError::into_inner);
            answered.push((number, status));
        });
    }
}

fn pruner(store: Arc<dyn Store>, clock: Clock, kept: Span) -> Prune {
    Prune {
        store,
        retention: Retention {
            bodies: kept,
            checkouts: kept,
            rows_max: 500,
        },
        clock,
    }
}

/// What the parts of a starting daemon are made of.
struct Parts {
    clock: Clock,
    store: Arc<dyn Store>,
    roster: Arc<ArcSwap<Roster>>,
    telemetry: Telemetry,
    alarms: Alarms,
    spawner: Spawner,
}

impl Parts {
    fn start(&self, worker: impl Worker + 'static, pulse: &Pulse) {
        let (alarms, clock) = (self.alarms.clone(), self.clock.clone());
        let driven = drive(worker, pulse.clone(), alarms, clock);
        self.spawner.spawn(Box::pin(driven));
    }

    fn crew(
        &self,
        line: &Line,
        inputs: &mpsc::Sender<Input>,
        (decide, dispatch): (&Pulse, &Pulse),
    ) -> Arc<Crew> {
        let attempts = self.spawner.clone();
        Arc::new(Crew {
            store: self.store.clone(),
            roster: self.roster.clone(),
            outbound: Outbound::carried_by(Arc::new(line.clone())),
            clock: self.clock.clone(),
            inputs: inputs.clone(),
            decide: decide.clone(),
            dispatch: dispatch.clone(),
            gates: Gates::default(),
            swept: SweptAccounts::default(),
            sign_ins: SignIns::default(),
            spawn: Arc::new(move |attempt| attempts.spawn(attempt)),
            telemetry: self.telemetry.clone(),
        })
    }

    /// The way in, from the public router to the engine.
    fn start_intake(
        &self,
        name: &str,
        (decide, dispatch): (&Pulse, &Pulse),
        received: mpsc::Receiver<Input>,
    ) -> Router {
        let counters = Arc::new(IntakeCounters::default());
        let limits = IntakeLimits::default();
        let (way_in, writer) = intake(
            self.store.clone(),
            decide.notify(),
            counters.clone(),
            limits,
        );
        let (kept_apart, keeper) = quarantine(self.store.clone(), counters.clone());
        let engine = Engine::new(
            self.store.clone(),
            self.roster.clone(),
            self.clock.clone(),
            self.telemetry.clone(),
        );
        let pressure = writer.pressure();
        let decider = Decide::new(
            engine,
            name.to_owned(),
            Takes::All(received),
            dispatch.clone(),
            self.clock.clone(),
            pressure,
        );
        self.start(decider, decide);
        let never = CancellationToken::new();
        self.spawner.spawn(Box::pin(writer.run(never.clone())));
        self.spawner.spawn(Box::pin(keeper.run(never)));
        // Nobody here signs with keys that must be fetched.
        let (keys, _) = KeyLine::new(decide.notify());
        public::router(Public {
            keys,
            roster: self.roster.clone(),
            intake: way_in,
            quarantine: kept_apart,
            counters,
            clock: self.clock.clone(),
            store: self.store.clone(),
            unsigned: UnsignedBudget::default(),
            show: Arc::new(|loaded| {
                let view = view::checkout(loaded).map_err(|error| Unshowable(error.to_string()))?;
                serde_json::to_vec(&view).map_err(|error| Unshowable(error.to_string()))
            }),
        })
    }
}
