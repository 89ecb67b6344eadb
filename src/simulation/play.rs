//! One run from its first customer to its end: the queue of what happens next, and the world and
//! the daemons it happens to.
//!
//! The only place that moves time. Everything here follows from the seed and the cut.

use super::act::{Common, Story};
use super::chance::Chance;
use super::ending;
use super::gate::Gate;
use super::hazard::{Cut, Hazard, Luck};
use super::instance::{House, Instance};
use super::judge::Blurred;
use super::keys::{BadSetting, Keys};
use super::ledger::Failure;
use super::network::{Call, Side};
use super::post::{Letter, Post};
use super::serve::Note;
use super::setting::{INSTANCES_MAX, Setting};
use super::shelf::Kept;
use super::stage::Stage;
use super::story;
use super::tasks::WorldTime;
use super::trace::Trace;
use crate::core::time::{Span, Time};
use crate::store::Store;
use crate::store::memory::MemoryStore;
use crate::wire::{CallError, Reply};
use futures_util::FutureExt;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

/// When everything must be at rest after the end of all trouble.
const REST_WITHIN: Span = Span::from_days(6);
/// How long after the end of all trouble the first look is whether everything rests.
const FIRST_LOOK: Span = Span::from_minutes(30);
/// The poll that finds what no signal told of.
const POLL: Span = Span::from_seconds(1);
/// Steps of a run: far more than any run takes that is not stuck.
const STEPS_MAX: u64 = 3_000_000;

/// What happens next.
pub(super) enum Event {
    /// People do something in a story.
    Act(usize, usize),
    /// Something happens to everybody.
    Common(Common),
    /// A call reaches the other side.
    Arrives(Box<(Call, super::network::Fate)>),
    /// An answer reaches the caller.
    Answers(Box<(Call, Reply, Note)>),
    /// The caller learns that there will be no answer.
    Fails(Box<(Call, CallError)>),
    /// A delivery reaches the door.
    Posted(Box<Letter>),
    /// A daemon starts.
    Starts(usize),
    /// A daemon that stood still goes on.
    GoesOn,
    /// Everybody looks.
    Poll,
    /// Is everything at rest?
    Look(Span),
}

/// How a run ended.
#[derive(Clone, Debug)]
pub struct Ended {
    /// Broken promises, the first first.
    pub failures: Vec<Failure>,
    /// What struck how often.
    pub struck: BTreeMap<Hazard, u32>,
    /// Checkouts that were played.
    pub checkouts: usize,
    /// How much simulated time went by.
    pub took: Span,
    /// The trace, if one was asked for.
    pub trace: String,
}

/// A run.
pub(super) struct Play {
    pub(super) house: House,
    pub(super) luck: Luck,
    pub(super) stage: Stage,
    pub(super) stories: Vec<Story>,
    pub(super) instances: Vec<Option<Instance>>,
    pub(super) post: Post,
    pub(super) away: BTreeSet<Side>,
    pub(super) is_store_away: bool,
    pub(super) told: Keys,
    pub(super) skews: Vec<i64>,
    pub(super) is_healed: bool,
    pub(super) is_over: bool,
    queue: BTreeMap<(Time, u64), Event>,
    queued: u64,
    starts: u64,
    pub(super) calls: BTreeMap<String, u32>,
    changes: u64,
    is_poll_due: bool,
    chance: Chance,
    pub(super) blurred: Blurred,
}

/// Plays the run of a seed, with so many checkouts, as far as the cut leaves it.
pub fn play(seed: u64, checkouts: usize, cut: &Cut, is_traced: bool) -> Result<Ended, BadSetting> {
    let luck = Luck::of(seed, cut);
    let setting = Arc::new(Setting::of(&luck));
    let time = WorldTime::starting(setting.begins);
    let trace = Trace::new(time.clone(), is_traced);
    let stories: Vec<Story> = (0..checkouts)
        .filter(|number| cut.only.as_ref().is_none_or(|only| only.contains(number)))
        .map(|number| story::tell(number, &setting, &luck))
        .collect();
    let house = House {
        store: Arc::new(MemoryStore::new()),
        setting: setting.clone(),
        time,
        trace,
        kept: Kept::default(),
    };
    let stage = Stage::new(setting.is_shop_careless, setting.policy.canary);
    let mut play = Play {
        told: stage.keys,
        stage,
        stories,
        instances: (0..INSTANCES_MAX).map(|_| None).collect(),
        post: Post::default(),
        away: BTreeSet::new(),
        is_store_away: false,
        skews: vec![0; INSTANCES_MAX],
        is_healed: false,
        is_over: false,
        queue: BTreeMap::new(),
        queued: 0,
        starts: 0,
        calls: BTreeMap::new(),
        changes: 0,
        is_poll_due: false,
        chance: luck.chance(&["order of steps"]),
        blurred: blurred(&luck),
        luck,
        house,
    };
    play.run()?;
    Ok(play.ended())
}

fn blurred(luck: &Luck) -> Blurred {
    let any = |kinds: &[Hazard]| kinds.iter().any(|kind| luck.weight(*kind) > 0);
    Blurred {
        clocks: any(&[Hazard::ClockSkew]),
        rulings: any(&[Hazard::Operator]),
        memory: any(&[
            Hazard::Crash,
            Hazard::Pause,
            Hazard::StoreFails,
            Hazard::StoreOutage,
            Hazard::TwoInstances,
        ]),
    }
}

impl Play {
    pub(super) fn now(&self) -> Time {
        self.house.time.now()
    }

    pub(super) fn say(&self, line: impl FnOnce() -> String) {
        self.house.trace.say(line);
    }

    /// Puts an event into the queue.
    pub(super) fn at(&mut self, at: Time, event: Event) {
        self.queued = self.queued.saturating_add(1);
        self.queue.insert((at, self.queued), event);
    }

    fn run(&mut self) -> Result<(), BadSetting> {
        let setting = self.house.setting.clone();
        for (index, story) in self.stories.clone().iter().enumerate() {
            self.say(|| {
                format!(
                    "story {} is {:?} {}",
                    story.reference, story.expects, story.title
                )
            });
            for (step, (at, _)) in story.acts.iter().enumerate() {
                self.at(*at, Event::Act(index, step));
            }
        }
        for (at, common) in &setting.commons {
            self.at(*at, Event::Common(*common));
        }
        for number in 0..setting.instances {
            self.at(setting.begins, Event::Starts(number));
        }
        let mut steps = 0_u64;
        while !self.is_over && steps < STEPS_MAX {
            steps = steps.saturating_add(1);
            if self.step_inside()? {
                continue;
            }
            self.step_outside()?;
        }
        if !self.is_over {
            let now = self.now();
            let detail = format!("{STEPS_MAX} steps were not enough");
            self.stage.ledger.fail(now, "no_rest", "everybody", detail);
        }
        Ok(())
    }

    fn ended(self) -> Ended {
        let took = self.now().since(self.house.setting.begins);
        let store = &self.house.store;
        let now = self.now();
        let mut failures = self.stage.ledger.failures.clone();
        failures.extend(ending::judge(&self.stage, &self.house.setting, store, now));
        Ended {
            failures,
            struck: self.luck.struck(),
            checkouts: self.stories.len(),
            took,
            trace: self.house.trace.text(),
        }
    }

    /// Lets one daemon do one thing; false when none has anything to do now.
    fn step_inside(&mut self) -> Result<bool, BadSetting> {
        let now = self.now();
        let mut has_moved = false;
        let several = self.instances.iter().flatten().count() > 1;
        let first = usize::from(several && self.chance.hits(500));
        for turn in 0..self.instances.len() {
            let number = turn.saturating_add(first).checked_rem(self.instances.len());
            let number = number.unwrap_or(0);
            let skew = self.skews.get(number).copied().unwrap_or(0);
            let Some(Some(instance)) = self.instances.get_mut(number) else {
                continue;
            };
            if instance.paused_until.is_some_and(|until| until > now) {
                continue;
            }
            instance.set_clock(now, skew);
            if !instance.poll_one(&mut self.chance) {
                continue;
            }
            has_moved = true;
            let calls = instance.take_calls();
            let answered = instance.take_answered();
            let has_ended = instance.gate.has_ended();
            for call in calls {
                self.leaves(call);
            }
            for (letter, status) in answered {
                self.delivered(letter, Some(status));
            }
            if has_ended {
                self.crash(number);
            }
            // Nothing takes no time at all.
            let took = self.chance.below(200).saturating_add(1);
            self.house.time.advance(now.plus(Span::from_micros(took)));
            break;
        }
        Ok(has_moved)
    }

    /// Goes on to whatever comes next, and lets it happen.
    fn step_outside(&mut self) -> Result<(), BadSetting> {
        self.wish_for_poll();
        let now = self.now();
        let due = self.queue.first_key_value().map(|((at, _), _)| *at);
        let awake = self.instances.iter().flatten();
        let awake = awake.filter(|one| one.paused_until.is_none_or(|until| until <= now));
        let alarm = awake.filter_map(|one| one.alarms.next()).min();
        match (due, alarm) {
            (None, None) => self.is_over = true,
            (due, Some(alarm)) if due.is_none_or(|due| alarm < due) => {
                self.house.time.advance(alarm);
                for instance in self.instances.iter().flatten() {
                    instance.alarms.ring();
                }
            }
            (_, _) => {
                if let Some(((at, _), event)) = self.queue.pop_first() {
                    self.house.time.advance(at);
                    self.happens(event)?;
                }
            }
        }
        Ok(())
    }

    /// When anything changed in the store, everybody's next poll will find it.
    fn wish_for_poll(&mut self) {
        let changes = self.instances.iter().flatten();
        let changes = changes.fold(0_u64, |sum, one| sum.saturating_add(one.gate.changes()));
        if changes != self.changes && !self.is_poll_due {
            self.changes = changes;
            self.is_poll_due = true;
            self.at(self.now().plus(POLL), Event::Poll);
        }
    }

    fn happens(&mut self, event: Event) -> Result<(), BadSetting> {
        match event {
            Event::Act(story, step) => self.acts(story, step),
            Event::Common(common) => return self.common(common),
            Event::Arrives(arriving) => self.arrives(*arriving),
            Event::Answers(answer) => self.answers(*answer),
            Event::Fails(failing) => {
                let (call, error) = *failing;
                let (from, word) = (call.from.clone(), format!("{error:?}"));
                if call.slot.answer(Err(error)) {
                    self.say(|| format!("{from} hears {word} of {}", call.subject()));
                }
            }
            Event::Posted(letter) => self.posted(*letter),
            Event::Starts(number) => return self.start(number),
            Event::GoesOn => {}
            Event::Poll => {
                self.is_poll_due = false;
                for instance in self.instances.iter().flatten() {
                    instance.look();
                }
            }
            Event::Look(after) => self.look(after),
        }
        Ok(())
    }

    fn look(&mut self, after: Span) {
        let now = self.now();
        let store = &self.house.store;
        let bound = self.house.setting.heals_at().plus(REST_WITHIN);
        if now >= bound || ending::is_at_rest(&self.stage, &self.house.setting, store) {
            self.say(|| "the end".to_owned());
            self.is_over = true;
            return;
        }
        let next = Span::from_micros(after.micros().saturating_mul(2));
        self.at(now.plus(after).min(bound), Event::Look(next));
    }

    fn acts(&mut self, story: usize, step: usize) {
        let now = self.now();
        let Some(story) = self.stories.get(story) else {
            return;
        };
        let Some((_, act)) = story.acts.get(step) else {
            return;
        };
        self.house
            .trace
            .say(|| format!("{}: {act:?}", story.reference));
        self.stage.act(story, act, now);
        self.collect_post();
    }

    /// A daemon starts, unless it runs.
    pub(super) fn start(&mut self, number: usize) -> Result<(), BadSetting> {
        let now = self.now();
        let is_alone = self.instances.iter().flatten().count() == 0;
        let skew = self.skews.get(number).copied().unwrap_or(0);
        let is_shared = self.house.setting.instances > 1;
        let Some(slot) = self.instances.get_mut(number) else {
            return Ok(());
        };
        if slot.is_some() {
            return Ok(());
        }
        self.starts = self.starts.saturating_add(1);
        let name = format!("d{number}.{}", self.starts);
        let (luck, trace) = (self.luck.clone(), self.house.trace.clone());
        let gate = Gate::new(name.clone(), luck, trace, is_shared);
        gate.set_away(self.is_store_away);
        if is_alone && !is_shared {
            // On a store that a daemon has to itself whoever held a lease is gone.
            let by_its_clock = Time::from_micros(now.micros().saturating_add(skew));
            let ended = self.house.store.end_orphaned_leases(by_its_clock);
            drop(ended.now_or_never());
        }
        self.house.trace.say(|| format!("{name} starts"));
        *slot = Some(Instance::start(&self.house, gate, name, self.told, skew)?);
        Ok(())
    }

    /// A daemon dies; it starts again a little later.
    pub(super) fn crash(&mut self, number: usize) {
        let Some(instance) = self.instances.get_mut(number).and_then(Option::take) else {
            return;
        };
        self.changes = 0;
        self.say(|| format!("{} is dead", instance.name));
        let mut chance = self.luck.chance(&["restart", &instance.name]);
        drop(instance);
        let pause = if self.is_healed {
            Span::from_seconds(1)
        } else {
            chance.widely(Span::from_millis(500), Span::from_hours(3))
        };
        let at = self.now().plus(pause);
        self.at(at, Event::Starts(number));
        self.lose_answers(number);
    }

    pub(super) fn set_first_look(&mut self) {
        let at = self.now().plus(FIRST_LOOK);
        self.at(at, Event::Look(FIRST_LOOK));
    }
}
