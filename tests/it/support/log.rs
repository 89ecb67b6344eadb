//! Hears every log line of a test's own thread.
//!
//! A test on a current-thread runtime hears all of its tasks.

use std::fmt::Write;
use std::sync::{Arc, Mutex};
use tracing::field::{Field, Visit};
use tracing::{Event, Level, Subscriber};
use tracing_subscriber::layer::{Context, Layer, SubscriberExt};

/// What was logged.
#[derive(Clone, Default)]
pub(crate) struct Heard(Arc<Mutex<Vec<(Level, String)>>>);

impl Heard {
    /// Starts to listen; until the guard is dropped.
    pub(crate) fn start() -> (Heard, tracing::subscriber::DefaultGuard) {
        let heard = Heard::default();
        let subscriber = tracing_subscriber::registry().with(heard.clone());
        (heard, tracing::subscriber::set_default(subscriber))
    }

    /// The lines of a level.
    pub(crate) fn at(&self, level: Level) -> Vec<String> {
        let lines = self.0.lock().unwrap();
        let of_level = lines.iter().filter(|(at, _)| *at == level);
        of_level.map(|(_, line)| line.clone()).collect()
    }

    /// Every line.
    pub(crate) fn all(&self) -> Vec<String> {
        let lines = self.0.lock().unwrap();
        lines.iter().map(|(_, line)| line.clone()).collect()
    }
}

struct Line(String);

impl Visit for Line {
    fn record_debug(&mut self, field: &Field, value: &dyn std::fmt::Debug) {
        write!(self.0, "{}={value:?} ", field.name()).unwrap();
    }
}

impl<S: Subscriber> Layer<S> for Heard {
    fn on_event(&self, event: &Event<'_>, _: Context<'_, S>) {
        let mut line = Line(String::new());
        event.record(&mut line);
        let level = *event.metadata().level();
        self.0.lock().unwrap().push((level, line.0));
    }
}
