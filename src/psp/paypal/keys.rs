//! The certificates known so far, by address: fetched once, bounded, and forgotten in time.
//!
//! Whoever delivers names the address, so a stranger may name a thousand. Against that: only
//! addresses that the rules permit are noted, few at a time; calls are spaced out; what failed is
//! not asked for again for a while; and only chains that were judged good are kept, which no
//! stranger can make. An address that proved good before is fetched first and without the pace.
//! Holds no clock and makes no call.

use super::certificate::{self, CertificateRules, Chain};
use crate::core::time::{Span, Time};
use crate::wire::{CallError, Headers, Method, Reply, Request};
use std::collections::{BTreeMap, VecDeque};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// A chain older than this is fetched again while it still serves.
const FRESH_FOR: Span = Span::from_hours(24);
/// A chain that could not be fetched again serves this long.
const KNOWN_FOR: Span = Span::from_days(7);
/// Chains kept; PayPal has one or two in use.
const KNOWN_MAX: usize = 16;
/// Addresses that wait to be fetched.
const WANTED_MAX: usize = 16;
/// Addresses remembered as useless.
const USELESS_MAX: usize = 256;
/// How long an address that showed no good chain is not asked for again.
const USELESS_FOR: Span = Span::from_minutes(10);
/// How long one is not asked for again after a call that brought no answer.
const SILENT_FOR: Span = Span::from_seconds(10);
/// Unknown addresses are fetched one per this span …
const PACE: Span = Span::from_seconds(10);
/// … after so many at once.
const BURST: u64 = 6;

/// What is known of an address.
pub(super) enum Lookup {
    /// This chain; to be judged anew as of now.
    Known(Arc<Chain>),
    /// Nothing yet; it was noted.
    Missing,
    /// Nothing good, and why.
    Useless(&'static str),
}

struct Known {
    chain: Arc<Chain>,
    fetched_at: Time,
}

struct Useless {
    until: Time,
    why: &'static str,
}

#[derive(Default)]
struct State {
    known: BTreeMap<String, Known>,
    useless: BTreeMap<String, Useless>,
    wanted: VecDeque<String>,
    /// The pace's reserve: unknown addresses are spoken for until then.
    reserved_until: Time,
}

/// The certificates of one account.
pub(super) struct Keys {
    rules: CertificateRules,
    is_live: bool,
    state: Mutex<State>,
}

impl Keys {
    pub(super) fn new(rules: CertificateRules, is_live: bool) -> Keys {
        Keys {
            rules,
            is_live,
            state: Mutex::default(),
        }
    }

    pub(super) fn rules(&self) -> &CertificateRules {
        &self.rules
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The chain at an address that the rules permit.
    pub(super) fn look_up(&self, url: &str, now: Time) -> Lookup {
        let mut state = self.state();
        let known = state
            .known
            .get(url)
            .map(|known| (known.chain.clone(), known.fetched_at));
        if let Some((chain, fetched_at)) = known {
            if now < fetched_at.plus(FRESH_FOR) {
                return Lookup::Known(chain);
            }
            state.want(url, true);
            if now < fetched_at.plus(KNOWN_FOR) {
                return Lookup::Known(chain);
            }
            return Lookup::Missing;
        }
        if let Some(useless) = state.useless.get(url)
            && now < useless.until
        {
            return Lookup::Useless(useless.why);
        }
        state.want(url, false);
        Lookup::Missing
    }

    /// The next call to make; none when nothing is missing or the pace forbids it.
    pub(super) fn wanted(&self, now: Time) -> Option<Request> {
        let mut state = self.state();
        let url = state.wanted.front()?.clone();
        let proved_good = state.known.contains_key(&url);
        if let Some(useless) = state.useless.get(&url)
            && now < useless.until
        {
            state.wanted.pop_front();
            return None;
        }
        if !proved_good && !state.is_within_pace(now) {
            return None;
        }
        Some(Request {
            method: Method::Get,
            url,
            headers: Headers::new().with("accept", "application/x-pem-file, */*"),
            body: Vec::new(),
        })
    }

    /// What came of it.
    pub(super) fn came(&self, url: &str, reply: &Reply, now: Time) {
        let found = self.found(reply, now);
        let mut state = self.state();
        state.wanted.retain(|one| one != url);
        match found {
            Ok(chain) => state.keep(url, chain, now),
            Err((why, span)) => state.refuse(url, why, now, span),
        }
    }

    fn found(&self, reply: &Reply, now: Time) -> Result<Chain, (&'static str, Span)> {
        let useless = |why| (why, USELESS_FOR);
        let response = match reply {
            Ok(response) if response.status == 200 => response,
            Ok(response) if (300..400).contains(&response.status) => {
                return Err(useless("its address leads elsewhere"));
            }
            Ok(response) if response.status == 429 || response.status >= 500 => {
                return Err(("its address does not answer", SILENT_FOR));
            }
            Ok(_) => return Err(useless("there is none at its address")),
            Err(CallError::Unclear("answer_too_large")) => {
                return Err(useless("it is too large"));
            }
            Err(CallError::NotSent(_) | CallError::Unclear(_)) => {
                return Err(("its address does not answer", SILENT_FOR));
            }
        };
        let chain = certificate::chain(&response.body).map_err(useless)?;
        self.rules
            .judge(&chain, self.is_live, now)
            .map_err(useless)?;
        Ok(chain)
    }
}

impl State {
    fn want(&mut self, url: &str, is_first: bool) {
        if self.wanted.iter().any(|one| one == url) {
            return;
        }
        if is_first {
            self.wanted.push_front(url.to_owned());
            self.wanted.truncate(WANTED_MAX);
        } else if self.wanted.len() < WANTED_MAX {
            self.wanted.push_back(url.to_owned());
        }
    }

    fn is_within_pace(&mut self, now: Time) -> bool {
        let horizon = now.plus(Span::from_micros(PACE.micros().saturating_mul(BURST)));
        // A clock that was set back must not keep the door shut for longer than the pace asks.
        let until = self.reserved_until.clamp(now, horizon).plus(PACE);
        let fits = until <= horizon;
        if fits {
            self.reserved_until = until;
        }
        fits
    }

    fn keep(&mut self, url: &str, chain: Chain, now: Time) {
        self.useless.remove(url);
        let chain = Arc::new(chain);
        let known = Known {
            chain,
            fetched_at: now,
        };
        self.known.insert(url.to_owned(), known);
        while self.known.len() > KNOWN_MAX {
            let oldest = self.known.iter().min_by_key(|(_, known)| known.fetched_at);
            let Some(url) = oldest.map(|(url, _)| url.clone()) else {
                return;
            };
            self.known.remove(&url);
        }
    }

    fn refuse(&mut self, url: &str, why: &'static str, now: Time, span: Span) {
        let until = now.plus(span);
        self.useless.retain(|_, useless| useless.until > now);
        self.useless.insert(url.to_owned(), Useless { until, why });
        while self.useless.len() > USELESS_MAX {
            let soonest = self.useless.iter().min_by_key(|(_, useless)| useless.until);
            let Some(url) = soonest.map(|(url, _)| url.clone()) else {
                return;
            };
            self.useless.remove(&url);
        }
    }
}
