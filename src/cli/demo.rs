//! `reconciled demo`: the real daemon on a throw-away store between a sandbox PSP and a sandbox
//! shop, on this machine only, with real trouble, told as it happens.
//!
//! Runs this very program as a child (`serve`), plays the scenes, and believes nobody but the two
//! sandboxes' own books. Knows the daemon only from outside.

mod cast;
mod scenes;
mod stage;

use crate::clock::Clock;
use crate::core::time::Time;
use crate::sandbox::books;
use crate::sandbox::psp::{KINDS, Kind};
use crate::sandbox::rig::{Rig, Scratch, Setup};
use anyhow::Context;
use clap::builder::{PossibleValuesParser, TypedValueParser};
use futures_util::StreamExt;
use futures_util::stream::FuturesUnordered;
use scenes::Outcome;
use stage::Stage;
use std::future::Future;
use std::io::Write;
use std::pin::Pin;
use std::process::ExitCode;
use std::time::Duration;
use tokio::signal::unix::{Signal, SignalKind, signal};

/// How long the whole demo may take, in seconds; the scenes share what is left of it.
const BUDGET_S: u64 = 58;
/// What a scene gets at least, in seconds, however late it is.
const SCENE_MIN_S: u64 = 4;
/// How often the progress line is drawn anew.
const DRAW_EVERY: Duration = Duration::from_millis(200);
/// Exit code of a program that was interrupted, as shells have it (128 + SIGINT).
const INTERRUPTED: u8 = 130;

/// The arguments of `reconciled demo`.
#[derive(Clone, Debug, clap::Args)]
pub struct Args {
    /// Stay up after the last scene, with the status page to look at, until Ctrl-C
    #[arg(long)]
    pub keep: bool,
    /// The PSP that the sandbox speaks for
    #[arg(long, value_name = "NAME", default_value = "stripe", value_parser = kinds())]
    pub psp: &'static Kind,
    /// Choose order numbers and amounts; the same seed gives the same ones
    #[arg(long, value_name = "N", default_value_t = 1)]
    pub seed: u64,
}

/// Reads the word of a PSP; refuses another with the list of them.
fn kinds() -> impl TypedValueParser<Value = &'static Kind> {
    let words = KINDS.iter().map(|kind| kind.word);
    PossibleValuesParser::new(words)
        .try_map(|word| Kind::find(&word).ok_or("the sandbox does not speak for it"))
}

/// Plays the demo in a runtime of its own. Exit 0 when every scene ended as it should, 1 when
/// one did not.
pub fn run(args: Args) -> anyhow::Result<ExitCode> {
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build()
        .context("starting the demo's runtime")?;
    runtime.block_on(play(args))
}

/// As `run`, inside a runtime that is already there.
pub async fn play(args: Args) -> anyhow::Result<ExitCode> {
    let mut interrupt = Interrupt::listen()?;
    let mut stage = Stage::on_stdout();
    let mut scratch = Scratch::new("demo")?;
    // Dropping the performance ends the daemon; dropping the directory removes what it left.
    let (rig, is_right) = tokio::select! {
        performed = performance(&args, &scratch, &mut stage) => performed?,
        () = interrupt.wait() => return Ok(ExitCode::from(INTERRUPTED)),
    };
    if args.keep {
        stage.keeping(&rig.status_url())?;
        interrupt.wait().await;
    }
    let errors = match rig.close().await {
        Ok(errors) => errors,
        Err(error) => vec![error.to_string()],
    };
    stage.errors(&errors)?;
    if is_right && errors.is_empty() {
        return Ok(ExitCode::SUCCESS);
    }
    scratch.keep();
    stage.kept(scratch.path())?;
    Ok(ExitCode::FAILURE)
}

/// Ctrl-C and SIGTERM.
struct Interrupt {
    interrupt: Signal,
    terminate: Signal,
}

impl Interrupt {
    fn listen() -> anyhow::Result<Interrupt> {
        Ok(Interrupt {
            interrupt: signal(SignalKind::interrupt()).context("listening for Ctrl-C")?,
            terminate: signal(SignalKind::terminate()).context("listening for SIGTERM")?,
        })
    }

    async fn wait(&mut self) {
        tokio::select! {
            _ = self.interrupt.recv() => {}
            _ = self.terminate.recv() => {}
        }
    }
}

/// Starts everything and plays all scenes; gives the rig, still up, and whether all ended well.
async fn performance<W: Write>(
    args: &Args,
    scratch: &Scratch,
    stage: &mut Stage<W>,
) -> anyhow::Result<(Rig, bool)> {
    let started = Clock::System.now();
    let program = std::env::current_exe().context("finding this program's own file")?;
    let setup = Setup::short(program, scratch.path().to_owned()).at(args.psp);
    stage.opening(args.psp.name, args.seed)?;
    stage.progress("starting the daemon")?;
    let raised = Rig::raise(setup).await;
    stage.clear()?;
    let mut rig = raised.context("the daemon did not start")?;
    stage.status_page(&rig.status_url())?;
    let wrong = scenes(args.seed, &mut rig, stage, started).await?;
    let troubles = {
        let world = rig.world().lock();
        books::troubles(&world.psp, &world.shop)
    };
    stage.closing(&troubles, wrong, Clock::System.now().since(started))?;
    Ok((rig, wrong == 0 && troubles.is_empty()))
}

type Playing<'a> = Pin<Box<dyn Future<Output = Outcome> + 'a>>;

/// Plays all scenes, those together that can be, and counts those that ended wrongly.
async fn scenes<W: Write>(
    seed: u64,
    rig: &mut Rig,
    stage: &mut Stage<W>,
    started: Time,
) -> anyhow::Result<usize> {
    let mut wrong = 0_usize;
    let mut count = |outcome: &Outcome| {
        wrong = wrong.saturating_add(usize::from(outcome.problem.is_some()));
    };
    rig.set_patience(left(started));
    let mut running: FuturesUnordered<Playing<'_>> = FuturesUnordered::new();
    for (number, scene) in scenes::table(rig.kind()).enumerate() {
        running.push(Box::pin(scenes::play(scene, seed, number, rig)));
    }
    running.push(Box::pin(scenes::forged(seed, rig)));
    let mut draw = tokio::time::interval(DRAW_EVERY);
    while !running.is_empty() {
        tokio::select! {
            Some(outcome) = running.next() => {
                count(&outcome);
                stage.scene(&outcome)?;
            }
            _ = draw.tick() => stage.progress(&format!("{} scenes playing at once", running.len()))?,
        }
    }
    drop(running);
    rig.set_patience(left(started));
    let outage = shown("the shop is down", scenes::outage(seed, rig), stage).await?;
    count(&outage);
    stage.scene(&outage)?;
    rig.set_patience(left(started));
    let killed = shown("the daemon is killed", scenes::killed(seed, rig), stage).await?;
    count(&killed);
    stage.scene(&killed)?;
    Ok(wrong)
}

/// Awaits a scene while the progress line moves.
async fn shown<W: Write>(
    what: &str,
    scene: impl Future<Output = Outcome>,
    stage: &mut Stage<W>,
) -> anyhow::Result<Outcome> {
    let mut scene = std::pin::pin!(scene);
    let mut draw = tokio::time::interval(DRAW_EVERY);
    loop {
        tokio::select! {
            outcome = &mut scene => return Ok(outcome),
            _ = draw.tick() => stage.progress(what)?,
        }
    }
}

/// What is left of the demo's time.
fn left(started: Time) -> Duration {
    let spent = Clock::System.now().since(started).seconds();
    Duration::from_secs(BUDGET_S.saturating_sub(spent).max(SCENE_MIN_S))
}
