//! What happened, line by line, for whoever replays a failing run. Costs nothing when it is off.
//!
//! Knows how a line looks and no more.

use super::tasks::WorldTime;
use crate::core::time::Time;
use std::sync::{Arc, Mutex, PoisonError};

/// The lines of a run; clones share them.
#[derive(Clone)]
pub struct Trace {
    time: WorldTime,
    began: Time,
    lines: Option<Arc<Mutex<String>>>,
}

impl Trace {
    /// A trace that counts time from now; an empty one stays empty.
    pub fn new(time: WorldTime, is_on: bool) -> Trace {
        let began = time.now();
        Trace {
            time,
            began,
            lines: is_on.then(Arc::default),
        }
    }

    /// Writes a line, if anybody reads it.
    pub fn say(&self, line: impl FnOnce() -> String) {
        if let Some(lines) = &self.lines {
            let line = format!("{:>13}  {}\n", self.moment(self.time.now()), line());
            let mut lines = lines.lock().unwrap_or_else(PoisonError::into_inner);
            lines.push_str(&line);
        }
    }

    /// A moment as the time since the beginning: days, hours, minutes and seconds.
    pub fn moment(&self, at: Time) -> String {
        let (sign, since) = if at < self.began {
            ("-", self.began.since(at))
        } else {
            ("", at.since(self.began))
        };
        let part = |unit: u64, of: u64| {
            let units = since.micros().checked_div(unit).unwrap_or(0);
            units.checked_rem(of).unwrap_or(0)
        };
        let days = part(86_400_000_000, u64::MAX);
        let days = if days > 0 {
            format!("{days}d ")
        } else {
            String::new()
        };
        let (hours, minutes) = (part(3_600_000_000, 24), part(60_000_000, 60));
        let (seconds, millis) = (part(1_000_000, 60), part(1_000, 1_000));
        format!("{sign}{days}{hours:02}:{minutes:02}:{seconds:02}.{millis:03}")
    }

    /// Everything written so far.
    pub fn text(&self) -> String {
        let lines = self.lines.as_ref();
        lines.map_or_else(String::new, |lines| {
            lines.lock().unwrap_or_else(PoisonError::into_inner).clone()
        })
    }
}
