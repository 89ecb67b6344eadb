//! The network between a daemon and the outside: calls under way, and what becomes of each.
//!
//! A call is handed over by the client's carrier, gets a fate, and is answered, or not, by
//! whoever runs the world. Knows bytes and moments, nothing of what a call asks.

use super::chance::Chance;
use super::hazard::{Hazard, Luck};
use super::tasks::WorldTime;
use crate::core::time::{Span, Time};
use crate::outbound::{CallLimits, Carrier};
use crate::sandbox::fault::{Fault, Symptom};
use crate::wire::{CallError, Method, Reply, Request};
use futures_util::future::BoxFuture;
use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll, Waker};

/// Where the simulated PSP is.
pub const PSP_URL: &str = "https://psp.example";
/// Where the simulated shop is.
pub const SHOP_URL: &str = "https://shop.example/reconciled";

/// The two sides of the outside world.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Side {
    /// The PSP.
    Psp,
    /// The shop.
    Shop,
}

impl Side {
    /// The word in traces.
    pub fn code(self) -> &'static str {
        match self {
            Side::Psp => "psp",
            Side::Shop => "shop",
        }
    }
}

#[derive(Default)]
struct Waiting {
    reply: Option<Reply>,
    waker: Option<Waker>,
    is_over: bool,
}

/// Where the answer to one call goes; clones share it.
#[derive(Clone, Default)]
pub struct Slot(Arc<Mutex<Waiting>>);

impl Slot {
    fn with<T>(&self, act: impl FnOnce(&mut Waiting) -> T) -> T {
        act(&mut self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// Gives the caller an answer, if it still waits and has none yet; true if so.
    pub fn answer(&self, reply: Reply) -> bool {
        self.with(|waiting| {
            if waiting.is_over || waiting.reply.is_some() {
                return false;
            }
            waiting.reply = Some(reply);
            if let Some(waker) = waiting.waker.take() {
                waker.wake();
            }
            true
        })
    }

    /// True while nobody has answered and the caller waits.
    pub fn is_open(&self) -> bool {
        self.with(|waiting| !waiting.is_over && waiting.reply.is_none())
    }
}

/// A call on its way.
#[derive(Clone)]
pub struct Call {
    /// Who calls.
    pub from: String,
    /// When it left.
    pub sent_at: Time,
    /// What is sent.
    pub request: Request,
    /// What it may take.
    pub limits: CallLimits,
    /// Where the answer goes.
    pub slot: Slot,
}

impl Call {
    /// Which side it goes to.
    pub fn side(&self) -> Side {
        if self.request.url.starts_with(PSP_URL) {
            Side::Psp
        } else {
            Side::Shop
        }
    }

    /// When its caller gives up.
    pub fn deadline(&self) -> Time {
        let micros = u64::try_from(self.limits.deadline.as_micros()).unwrap_or(u64::MAX);
        self.sent_at.plus(Span::from_micros(micros))
    }

    /// What it is about, as far as its first line and its key say: the same for a repetition.
    pub fn subject(&self) -> String {
        let method = match self.request.method {
            Method::Get => "GET",
            Method::Post => "POST",
            Method::Delete => "DELETE",
            Method::Patch => "PATCH",
        };
        let url = &self.request.url;
        let path = url.strip_prefix(PSP_URL).unwrap_or(url);
        let path = path.split('?').next().unwrap_or(path);
        let headers = &self.request.headers;
        let key = headers.single("idempotency-key").unwrap_or_default();
        format!("{method} {path} {key}")
    }
}

/// Brings a daemon's calls into the network.
#[derive(Clone)]
pub struct Line {
    name: String,
    time: WorldTime,
    calls: Arc<Mutex<Vec<Call>>>,
}

impl Line {
    /// The line of a daemon with this name.
    pub fn new(name: String, time: WorldTime) -> Line {
        Line {
            name,
            time,
            calls: Arc::default(),
        }
    }

    /// The calls that left since the last time.
    pub fn take(&self) -> Vec<Call> {
        let mut calls = self.calls.lock().unwrap_or_else(PoisonError::into_inner);
        std::mem::take(&mut calls)
    }
}

impl fmt::Debug for Line {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Line")
            .field("name", &self.name)
            .finish_non_exhaustive()
    }
}

impl Carrier for Line {
    fn carry(&self, request: Request, limits: CallLimits) -> BoxFuture<'static, Reply> {
        let slot = Slot::default();
        let call = Call {
            from: self.name.clone(),
            sent_at: self.time.now(),
            request,
            limits,
            slot: slot.clone(),
        };
        let mut calls = self.calls.lock().unwrap_or_else(PoisonError::into_inner);
        calls.push(call);
        Box::pin(Answer(slot))
    }
}

/// Waits for the answer of one call.
struct Answer(Slot);

impl Future for Answer {
    type Output = Reply;

    fn poll(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Reply> {
        self.0.with(|waiting| match waiting.reply.take() {
            Some(reply) => {
                waiting.is_over = true;
                Poll::Ready(reply)
            }
            None => {
                waiting.waker = Some(context.waker().clone());
                Poll::Pending
            }
        })
    }
}

impl Drop for Answer {
    fn drop(&mut self) {
        self.0.with(|waiting| waiting.is_over = true);
    }
}

/// What becomes of a call.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fate {
    /// When it reaches the other side; none when it never does.
    pub arrives_at: Option<Time>,
    /// What goes wrong there.
    pub fault: Option<Fault>,
    /// How long the answer takes on its way back; none when it is lost.
    pub back: Option<Span>,
    /// When the caller learns otherwise that there will be no answer, and what it learns.
    pub fails: (Time, CallError),
    /// The trouble, for the trace.
    pub trouble: Option<Hazard>,
}

/// How an outage looks to callers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outage {
    /// Connections are refused.
    Refuses,
    /// Nothing answers.
    Hangs,
    /// A gateway answers in its place.
    Gateway,
}

/// Decides what becomes of a call; `nth` counts calls of this subject.
pub fn fate(call: &Call, luck: &Luck, nth: u32) -> Fate {
    let (subject, nth) = (call.subject(), nth.to_string());
    let named = [call.side().code(), subject.as_str(), nth.as_str()];
    let mut chance = luck.chance(&named);
    let there = chance.between(Span::from_millis(2), Span::from_millis(300));
    let back = chance.between(Span::from_millis(2), Span::from_millis(300));
    let timeout = (call.deadline(), CallError::Unclear("timeout"));
    let mut fate = Fate {
        arrives_at: Some(call.sent_at.plus(there)),
        fault: None,
        back: Some(back),
        fails: timeout,
        trouble: None,
    };
    let soon = call.sent_at.plus(there).plus(back);
    let mut troubles = TROUBLES.into_iter();
    let struck = troubles.find(|(hazard, _)| luck.strikes(*hazard, &named));
    if let Some((hazard, strike)) = struck {
        fate.trouble = Some(hazard);
        strike(&mut fate, call, soon, &mut chance);
    }
    fate
}

/// What a trouble does to a call that would be answered soon.
type Strike = fn(&mut Fate, &Call, Time, &mut Chance);

const TROUBLES: [(Hazard, Strike); 6] = [
    (Hazard::CallRefused, |fate, _, soon, _| {
        fate.arrives_at = None;
        fate.fails = (soon, CallError::NotSent("connection_refused"));
    }),
    (Hazard::CallLost, |fate, _, soon, chance| {
        fate.arrives_at = None;
        fate.may_be_reset(soon, chance);
    }),
    (Hazard::CallUnanswered, |fate, _, soon, chance| {
        fate.back = None;
        fate.may_be_reset(soon, chance);
    }),
    (Hazard::CallMisanswered, |fate, _, _, chance| {
        fate.fault = Some(misanswered(chance));
    }),
    (Hazard::CallThrottled, |fate, _, _, chance| {
        let patience = chance.below(120);
        fate.fault = Some(Fault {
            symptom: Symptom::Status {
                code: 429,
                retry_after_s: Some(patience).filter(|patience| *patience > 5),
            },
            is_applied: chance.hits(100),
        });
    }),
    (Hazard::CallLate, |fate, call, _, chance| {
        let late = chance.widely(Span::from_millis(100), Span::from_hours(2));
        fate.arrives_at = Some(call.deadline().plus(late));
    }),
];

impl Fate {
    /// Some losses show as a connection that breaks, the others only as silence.
    fn may_be_reset(&mut self, soon: Time, chance: &mut Chance) {
        if chance.hits(300) {
            self.fails = (soon, CallError::Unclear("reset"));
        }
    }
}

fn misanswered(chance: &mut Chance) -> Fault {
    let status = |code| Symptom::Status {
        code,
        retry_after_s: None,
    };
    let symptoms = [
        status(500),
        status(502),
        status(503),
        status(504),
        status(404),
        status(401),
        Symptom::Html,
        Symptom::Empty,
        Symptom::Garbage,
        Symptom::UnknownWord,
        Symptom::Redirect,
        Symptom::Huge,
        Symptom::Close,
    ];
    let symptom = chance.one_of(&symptoms).cloned();
    let symptom = symptom.unwrap_or(Symptom::Close);
    // Nobody carries out what a caller without rights asks.
    let is_applied = chance.hits(500) && symptom != status(401);
    Fault {
        symptom,
        is_applied,
    }
}
