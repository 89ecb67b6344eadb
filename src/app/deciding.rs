//! The loops that run the engine: one, or two where the store takes two writers at once.
//!
//! Starts them with what they need; what they do stands in `work::decide`.

use super::Daemon;
use crate::engine::Engine;
use crate::engine::input::Input;
use crate::pressure::Pressure;
use crate::work::decide::{Decide, Takes};
use crate::work::{Pulse, drive};
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;

impl Daemon {
    /// Starts them; the pulse is to the one that takes in what is told. `stored` goes to the one that
    /// takes in what waits in the store, and `decided` is given after each commit.
    pub(super) fn start_deciding(
        &self,
        received: mpsc::Receiver<Input>,
        (stored, decided): (&Pulse, &Pulse),
        holder: &str,
        pressure: &Pressure,
        stop: &CancellationToken,
    ) -> Pulse {
        let engine = Engine::new(
            self.store.clone(),
            self.roster.clone(),
            self.clock.clone(),
            self.telemetry.clone(),
        );
        let start = |takes: Takes, pulse: &Pulse| {
            let decider = Decide::new(
                engine.clone(),
                holder.to_owned(),
                takes,
                decided.clone(),
                self.clock.clone(),
                pressure.clone(),
            );
            let clock = self.clock.clone();
            self.start(drive(decider, pulse.clone(), clock, stop.clone()));
        };
        if !self.store.writes_at_once() {
            start(Takes::All(received), stored);
            return stored.clone();
        }
        let told = Pulse::new();
        start(Takes::Told(received), &told);
        start(Takes::Stored, stored);
        told
    }
}
