//! What wants attention, and how much of it: red when somebody must act or the daemon does not
//! do its work, amber when it is at work on trouble or should be looked at today.
//!
//! Pure, over what was gathered for the page.

use super::report::{People, Seen, list_link, sweep_error, swept_at};
use super::since;
use crate::core::ids::CheckoutId;
use crate::core::plan::Verdict;
use crate::core::time::{Span, Time};
use crate::http::line::link;
use crate::http::timeline::sentences::brake_words;
use crate::http::view::Damage;
use crate::http::words::{count, printable, relative, sums};
use crate::store::Lookalike;
use serde::Serialize;

/// Deliveries or actions that wait longer than this are worth a look.
const SLOW: Span = Span::from_seconds(60);
/// Deliveries or actions that wait longer than this show that the daemon does not keep up.
const STUCK: Span = Span::from_minutes(5);
/// Sweeps may be this many intervals late before it is worth a look.
const SWEEPS_MISSED: usize = 3;
/// Sweeps later than this, and later than `SWEEPS_MISSED` intervals, leave us blind.
const BLIND: Span = Span::from_hours(1);

/// Damaged checkouts named one by one.
const DAMAGED_NAMED_MAX: usize = 20;
/// Orders that look like another one named one by one.
const LOOKALIKES_NAMED_MAX: usize = 10;

/// Red, amber or green.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Level {
    /// All is well.
    Green,
    /// At work on trouble, or worth a look.
    Amber,
    /// Somebody must act.
    Red,
}

impl Level {
    /// The word, lower-case.
    pub fn word(self) -> &'static str {
        match self {
            Level::Green => "green",
            Level::Amber => "amber",
            Level::Red => "red",
        }
    }
}

/// One thing that wants attention.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Concern {
    /// How much.
    pub level: Level,
    /// What, in one sentence.
    pub text: String,
    /// Where to look.
    pub link: Option<String>,
}

impl Concern {
    /// One thing that wants attention.
    pub fn new(level: Level, text: impl Into<String>, link: Option<String>) -> Concern {
        Concern {
            level,
            text: text.into(),
            link,
        }
    }
}

/// Everything that wants attention, worst first.
pub(super) fn of(seen: &Seen, people: &People, now: Time) -> Vec<Concern> {
    let mut all = Vec::new();
    all.extend(unready(seen));
    all.extend(damaged(people));
    all.extend(breached(people));
    all.extend(held(seen));
    all.extend(brakes(seen, now));
    all.extend(unanswered(people));
    all.extend(waiting_work(seen, now));
    all.extend(sweeps(seen, now));
    all.extend(unheard(seen));
    all.extend(wrong_mode(seen));
    all.extend(lookalikes(seen));
    all.extend(set_aside(seen));
    all.extend(nobody_served(seen));
    all.sort_by_key(|concern| std::cmp::Reverse(concern.level));
    all
}

fn unready(seen: &Seen) -> impl Iterator<Item = Concern> {
    seen.parts.iter().filter_map(|part| {
        let level = match part.state {
            "failing" => Level::Red,
            "warning" => Level::Amber,
            _ => return None,
        };
        let detail = part.detail.as_deref().unwrap_or("no detail");
        let text = format!("{} is {}: {}.", part.name, part.state, printable(detail));
        Some(Concern::new(level, text, Some("/readyz".to_owned())))
    })
}

fn damaged(people: &People) -> impl Iterator<Item = Concern> {
    let named = people.damaged.iter().take(DAMAGED_NAMED_MAX);
    named.map(|(id, text)| Concern::new(Level::Red, text, Some(link(id.as_str()))))
}

/// What cannot be read of a checkout, in one sentence.
pub(super) fn damage_words(id: &CheckoutId, damage: Damage<'_>) -> String {
    match damage {
        Damage::Document => format!("The stored document of checkout {id} cannot be read."),
        Damage::Action(why) => format!(
            "An action of checkout {id} cannot be read, so nothing is done about it: {}.",
            printable(why)
        ),
    }
}

fn breached(people: &People) -> impl Iterator<Item = Concern> {
    people.breached.iter().map(|(shop, number)| {
        let checkouts = count(*number, "checkout");
        let verb = if *number == 1 { "is" } else { "are" };
        let text = format!(
            "{shop}: {checkouts} {verb} set aside, because what was decided would have broken a \
             promise; nothing was done. Please report it."
        );
        Concern::new(Level::Red, text, Some(list_link(shop, Verdict::Held)))
    })
}

fn held(seen: &Seen) -> impl Iterator<Item = Concern> {
    let held = seen
        .overview
        .iter()
        .filter(|line| line.verdict == Verdict::Held && line.count > 0);
    held.map(|line| {
        let waits = if line.count == 1 { "waits" } else { "wait" };
        let number = count(line.count, "held checkout");
        let link = Some(list_link(&line.shop, Verdict::Held));
        if line.in_suspense.is_empty() {
            let text = format!("{}: {number} {waits} for an operator.", line.shop);
            Concern::new(Level::Amber, text, link)
        } else {
            let money = sums(&line.in_suspense);
            let text = format!(
                "{}: {number} with {money} {waits} for an operator.",
                line.shop
            );
            Concern::new(Level::Red, text, link)
        }
    })
}

fn brakes(seen: &Seen, now: Time) -> impl Iterator<Item = Concern> {
    seen.shops.iter().filter_map(move |shop| {
        let (cause, at) = shop.row.brake?;
        let text = format!(
            "{}: refunds are held back since {}: {}.",
            shop.row.shop,
            since(at, now),
            brake_words(cause)
        );
        let list = list_link(&shop.row.shop, Verdict::Held);
        Some(Concern::new(Level::Red, text, Some(list)))
    })
}

fn unanswered(people: &People) -> impl Iterator<Item = Concern> {
    let silent = people.unanswered.iter().map(|(shop, number)| {
        let waits = if *number == 1 { "waits" } else { "wait" };
        let customers = count(*number, "customer");
        let text = format!("{shop} does not answer; {customers} {waits} for it.");
        let link = format!("/api/v1/checkouts?shop={shop}&verdict=confirming");
        Concern::new(Level::Red, text, Some(link))
    });
    let stranded = (people.stranded > 0).then(|| {
        let text = format!(
            "Checkouts with money and without a next step, which must not be: {}.",
            people.stranded
        );
        Concern::new(Level::Red, text, Some("/api/v1/checkouts".to_owned()))
    });
    silent.chain(stranded)
}

fn waiting_work(seen: &Seen, now: Time) -> impl Iterator<Item = Concern> {
    let late = |since: Option<Time>| {
        let waited = now.since(since?);
        if waited > STUCK {
            Some(Level::Red)
        } else if waited > SLOW {
            Some(Level::Amber)
        } else {
            None
        }
    };
    let backlog = &seen.backlog;
    let deliveries = late(backlog.oldest_delivery).map(|level| {
        let age = backlog
            .oldest_delivery
            .map_or(String::new(), |at| since(at, now));
        let text = format!(
            "Deliveries that wait for the engine: {}, the oldest for {age}.",
            backlog.deliveries_pending
        );
        Concern::new(level, text, None)
    });
    let actions = late(backlog.oldest_due).map(|level| {
        let age = backlog
            .oldest_due
            .map_or(String::new(), |at| since(at, now));
        let text = format!("An action has been due for {age} and was not carried out.");
        Concern::new(level, text, None)
    });
    deliveries.into_iter().chain(actions)
}

fn sweeps(seen: &Seen, now: Time) -> impl Iterator<Item = Concern> {
    seen.accounts.iter().filter_map(move |account| {
        let key = &account.account;
        let last = swept_at(account, &seen.marks);
        let error = sweep_error(key, &seen.marks).map(printable);
        let allowed =
            std::iter::repeat_n(account.sweep_every, SWEEPS_MISSED).fold(Span::ZERO, Span::plus);
        let lateness = last.map(|at| now.since(at));
        let is_late = lateness.is_some_and(|late| late > allowed.plus(SLOW));
        let is_blind = is_late && lateness.is_some_and(|late| late > BLIND);
        let when = last.map_or("never swept whole".to_owned(), |at| {
            format!("last swept whole {}", relative(at, now))
        });
        let level = if is_blind { Level::Red } else { Level::Amber };
        match error {
            Some(error) => {
                let text = format!("{key}: the latest sweep was stopped: {error}; {when}.");
                Some(Concern::new(level, text, None))
            }
            None if is_late || last.is_none() => {
                Some(Concern::new(level, format!("{key}: {when}."), None))
            }
            None => None,
        }
    })
}

fn unheard(seen: &Seen) -> impl Iterator<Item = Concern> {
    seen.unheard.iter().map(|(shop, number)| {
        let text = format!(
            "{shop}: its PSP's webhooks are silent: the last {number} payments were found by \
             sweeps alone. Does the webhook address at the PSP lead here?"
        );
        Concern::new(Level::Amber, text, None)
    })
}

fn wrong_mode(seen: &Seen) -> impl Iterator<Item = Concern> {
    let strange = seen.shops.iter().filter(|shop| shop.wrong_mode > 0);
    strange.map(|shop| {
        let text = format!(
            "{}: payments of the other mode (test or live) came in and are left alone. Does a \
             webhook of the other mode lead here?",
            shop.row.shop
        );
        let list = list_link(&shop.row.shop, Verdict::Foreign);
        Concern::new(Level::Amber, text, Some(list))
    })
}

/// Each pair once; where one order is like several, each of the others names it.
fn lookalikes(seen: &Seen) -> impl Iterator<Item = Concern> {
    let name = |one: &Lookalike| match &one.reference {
        Some(reference) => printable(reference.as_str()),
        None => one.checkout.to_string(),
    };
    let is_said = |one: &Lookalike| {
        let mut all = seen.lookalikes.iter();
        one.twin < one.checkout
            && all.any(|other| other.checkout == one.twin && other.twin == one.checkout)
    };
    let each = seen.lookalikes.iter().filter(move |one| !is_said(one));
    each.take(LOOKALIKES_NAMED_MAX).map(move |one| {
        let twin = seen.lookalikes.iter();
        let twin = twin.clone().find(|other| other.checkout == one.twin);
        let text = format!(
            "{}: order {} looks like a duplicate of order {}: same customer, {} each, paid within \
             half an hour. Both stand and nothing goes back by itself; ask the customer.",
            one.shop,
            name(one),
            twin.map_or_else(|| one.twin.to_string(), name),
            one.amount,
        );
        Concern::new(Level::Amber, text, Some(link(one.checkout.as_str())))
    })
}

fn set_aside(seen: &Seen) -> Option<Concern> {
    let parked = seen.backlog.deliveries_parked;
    let text = match parked {
        0 => return None,
        1 => "1 delivery is parked: verified, but it could not be taken.".to_owned(),
        _ => format!("{parked} deliveries are parked: verified, but they could not be taken."),
    };
    let link = Some("/api/v1/parked".to_owned());
    Some(Concern::new(Level::Amber, text, link))
}

fn nobody_served(seen: &Seen) -> Option<Concern> {
    let text = "No PSP account is configured, so nothing is watched.";
    seen.accounts
        .is_empty()
        .then(|| Concern::new(Level::Amber, text, None))
}
