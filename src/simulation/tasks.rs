//! A small executor: futures of one daemon, polled one at a time in an order that the seed
//! chooses, and the alarms that wake them.
//!
//! No thread and no clock of its own; whoever owns it says what time it is. Dropping it is what
//! a crash does to a process: every future is gone at the point where it waited.

use super::chance::Chance;
use crate::core::time::{Span, Time};
use futures_util::future::BoxFuture;
use std::collections::BTreeMap;
use std::future::Future;
use std::pin::Pin;
use std::sync::atomic::{AtomicBool, AtomicI64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll, Wake, Waker};
use std::time::Duration;

/// The moment it is in the simulated world; clones share it.
#[derive(Clone, Debug)]
pub struct WorldTime(Arc<AtomicI64>);

impl WorldTime {
    /// A world that begins at this moment.
    pub fn starting(at: Time) -> WorldTime {
        WorldTime(Arc::new(AtomicI64::new(at.micros())))
    }

    /// Now.
    pub fn now(&self) -> Time {
        Time::from_micros(self.0.load(Ordering::Relaxed))
    }

    /// Goes on to this moment, never back.
    pub fn advance(&self, to: Time) {
        self.0.fetch_max(to.micros(), Ordering::Relaxed);
    }
}

struct Flag(AtomicBool);

impl Wake for Flag {
    fn wake(self: Arc<Flag>) {
        self.0.store(true, Ordering::Relaxed);
    }

    fn wake_by_ref(self: &Arc<Flag>) {
        self.0.store(true, Ordering::Relaxed);
    }
}

struct Task {
    flag: Arc<Flag>,
    waker: Waker,
    future: BoxFuture<'static, ()>,
}

/// Futures that were handed over and not yet polled; clones share them.
#[derive(Clone, Default)]
pub struct Spawner(Arc<Mutex<Vec<BoxFuture<'static, ()>>>>);

impl Spawner {
    /// Hands a future over.
    pub fn spawn(&self, future: BoxFuture<'static, ()>) {
        self.0
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .push(future);
    }
}

/// The futures of one daemon.
#[derive(Default)]
pub struct Tasks {
    running: Vec<Task>,
    spawner: Spawner,
}

impl Tasks {
    /// Where new futures are handed over.
    pub fn spawner(&self) -> Spawner {
        self.spawner.clone()
    }

    fn take_in(&mut self) {
        let mut waiting = self
            .spawner
            .0
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        for future in waiting.drain(..) {
            let flag = Arc::new(Flag(AtomicBool::new(true)));
            let waker = Waker::from(flag.clone());
            self.running.push(Task {
                flag,
                waker,
                future,
            });
        }
    }

    /// Polls one future that was woken; false when none was.
    pub fn poll_one(&mut self, chance: &mut Chance) -> bool {
        self.take_in();
        let is_woken = |task: &Task| task.flag.0.load(Ordering::Relaxed);
        let count = self.running.iter().filter(|task| is_woken(task)).count();
        let chosen = match count {
            0 => return false,
            1 => 0,
            several => chance.index_below(several),
        };
        let mut woken = self
            .running
            .iter()
            .enumerate()
            .filter(|(_, task)| is_woken(task));
        let index = woken.nth(chosen).map_or(0, |(index, _)| index);
        let Some(task) = self.running.get_mut(index) else {
            return false;
        };
        task.flag.0.store(false, Ordering::Relaxed);
        let waker = task.waker.clone();
        let mut context = Context::from_waker(&waker);
        if task.future.as_mut().poll(&mut context).is_ready() {
            drop(self.running.swap_remove(index));
        }
        true
    }
}

/// Wakers by the moment they are wanted; clones share them.
#[derive(Clone)]
pub struct Alarms {
    time: WorldTime,
    waiting: Arc<Mutex<Waiting>>,
}

#[derive(Default)]
struct Waiting {
    by_time: BTreeMap<(Time, u64), Waker>,
    count: u64,
}

impl Alarms {
    /// No alarm yet.
    pub fn new(time: WorldTime) -> Alarms {
        Alarms {
            time,
            waiting: Arc::default(),
        }
    }

    /// Waits so long.
    pub fn rest(&self, pause: Duration) -> Rest {
        let micros = u64::try_from(pause.as_micros()).unwrap_or(u64::MAX);
        Rest {
            alarms: self.clone(),
            until: self.time.now().plus(Span::from_micros(micros)),
            place: None,
        }
    }

    /// The next moment somebody waits for.
    pub fn next(&self) -> Option<Time> {
        let waiting = self.waiting.lock().unwrap_or_else(PoisonError::into_inner);
        waiting.by_time.first_key_value().map(|((at, _), _)| *at)
    }

    /// Wakes everyone whose moment has come.
    pub fn ring(&self) {
        let now = self.time.now();
        let mut waiting = self.waiting.lock().unwrap_or_else(PoisonError::into_inner);
        while let Some(entry) = waiting.by_time.first_entry() {
            if entry.key().0 > now {
                return;
            }
            entry.remove().wake();
        }
    }
}

/// A wait for a moment.
pub struct Rest {
    alarms: Alarms,
    until: Time,
    place: Option<(Time, u64)>,
}

impl Future for Rest {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<()> {
        if self.alarms.time.now() >= self.until {
            return Poll::Ready(());
        }
        let waiting = self.alarms.waiting.clone();
        let mut waiting = waiting.lock().unwrap_or_else(PoisonError::into_inner);
        let place = match self.place {
            Some(place) => place,
            None => {
                waiting.count = waiting.count.saturating_add(1);
                (self.until, waiting.count)
            }
        };
        waiting.by_time.insert(place, context.waker().clone());
        self.place = Some(place);
        Poll::Pending
    }
}

impl Drop for Rest {
    fn drop(&mut self) {
        if let Some(place) = self.place {
            let mut waiting = self
                .alarms
                .waiting
                .lock()
                .unwrap_or_else(PoisonError::into_inner);
            waiting.by_time.remove(&place);
        }
    }
}

/// Lets everyone else go first, once.
#[derive(Default)]
pub struct StepAside {
    was_polled: bool,
}

impl Future for StepAside {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<()> {
        if self.was_polled {
            return Poll::Ready(());
        }
        self.was_polled = true;
        context.waker().wake_by_ref();
        Poll::Pending
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn futures_run_to_their_end_and_alarms_wake_them_in_time() {
        let time = WorldTime::starting(Time::from_seconds(1_000));
        let alarms = Alarms::new(time.clone());
        let mut tasks = Tasks::default();
        let done: Arc<Mutex<Vec<u64>>> = Arc::default();
        for seconds in [3, 1] {
            let (alarms, done) = (alarms.clone(), done.clone());
            tasks.spawner().spawn(Box::pin(async move {
                StepAside::default().await;
                alarms.rest(Duration::from_secs(seconds)).await;
                done.lock().unwrap().push(seconds);
            }));
        }
        let mut chance = Chance::named(1, &[]);
        let mut run = |tasks: &mut Tasks| while tasks.poll_one(&mut chance) {};
        run(&mut tasks);
        assert!(done.lock().unwrap().is_empty());
        while let Some(at) = alarms.next() {
            time.advance(at);
            alarms.ring();
            run(&mut tasks);
        }
        assert_eq!(*done.lock().unwrap(), [1, 3]);
        assert_eq!(time.now(), Time::from_seconds(1_003));
    }
}
