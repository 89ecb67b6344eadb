//! Deliveries on their way to the daemons: lost, doubled, delayed, changed, and tried again until
//! somebody answers with a 2xx.
//!
//! The sandboxes' own outboxes only make them; when and how often they arrive is decided here.

use super::chance::Chance;
use super::hazard::Hazard;
use super::network::Side;
use super::play::{Event, Play};
use crate::core::time::{Span, Time};
use crate::sandbox::sign::stripe_signature;
use crate::wire::Headers;
use std::collections::BTreeMap;

/// Waits between attempts; after the last one the sender gives up.
const TRIED_AFTER: [Span; 9] = [
    Span::from_seconds(5),
    Span::from_seconds(60),
    Span::from_minutes(10),
    Span::from_hours(1),
    Span::from_hours(2),
    Span::from_hours(6),
    Span::from_hours(12),
    Span::from_hours(24),
    Span::from_hours(24),
];

/// A delivery on its way.
#[derive(Clone, Debug)]
pub struct Letter {
    side: Side,
    id: String,
    what: String,
    about: String,
    body: Vec<u8>,
    attempt: usize,
    is_changed: bool,
}

/// Deliveries at the daemons' doors.
#[derive(Default)]
pub struct Post {
    under_way: BTreeMap<u64, (Letter, usize)>,
    count: u64,
    made: BTreeMap<(Side, String, String), u32>,
}

/// One byte of a body changes: a digit where there is one.
fn changed(mut body: Vec<u8>, chance: &mut Chance) -> Vec<u8> {
    let digits: Vec<usize> = (0..body.len())
        .filter(|at| body.get(*at).is_some_and(u8::is_ascii_digit))
        .collect();
    if let Some(at) = chance.one_of(&digits)
        && let Some(byte) = body.get_mut(*at)
    {
        *byte = if *byte == b'7' { b'8' } else { b'7' };
    }
    body
}

impl Play {
    /// Takes up the deliveries that the world has made, and decides when they arrive.
    pub(super) fn collect_post(&mut self) {
        let now = self.now();
        for (side, delivery) in self.stage.take_deliveries(now) {
            let about = delivery.reference.clone().unwrap_or_default();
            let letter = Letter {
                side,
                id: delivery.id,
                what: delivery.what,
                about,
                body: delivery.body,
                attempt: 0,
                is_changed: false,
            };
            self.post_letter(letter, now);
        }
    }

    fn post_letter(&mut self, mut letter: Letter, now: Time) {
        let count = self.post.counted(&letter);
        let count = count.to_string();
        let named = [
            letter.side.code(),
            letter.about.as_str(),
            letter.what.as_str(),
            count.as_str(),
        ];
        if self.luck.strikes(Hazard::DeliveryLost, &named) {
            let (about, what) = (&letter.about, &letter.what);
            self.say(|| format!("{about}: {what} is lost"));
            return;
        }
        let mut chance = self.luck.chance(&named);
        let mut wait = chance.widely(Span::from_millis(20), Span::from_seconds(4));
        if self.luck.strikes(Hazard::DeliveryDelayed, &named) {
            let most = self.house.setting.length.max(Span::from_hours(1));
            wait = chance.widely(Span::from_minutes(1), most);
        }
        let is_doubled = self.luck.strikes(Hazard::DeliveryDoubled, &named);
        letter.is_changed = self.luck.strikes(Hazard::DeliveryCorrupted, &named);
        if is_doubled {
            let later = wait.plus(chance.widely(Span::from_millis(1), Span::from_hours(1)));
            self.at(now.plus(later), Event::Posted(Box::new(letter.clone())));
        }
        self.at(now.plus(wait), Event::Posted(Box::new(letter)));
    }

    /// A delivery reaches a door: that of any daemon that runs.
    pub(super) fn posted(&mut self, letter: Letter) {
        let now = self.now();
        let open: Vec<usize> = (0..self.instances.len())
            .filter(|number| {
                let instance = self.instances.get(*number).and_then(Option::as_ref);
                instance.is_some_and(|one| one.paused_until.is_none_or(|until| until <= now))
            })
            .collect();
        let attempt = letter.attempt.to_string();
        let mut chance = self.luck.chance(&["door", &letter.id, &attempt]);
        let Some(number) = chance.one_of(&open).copied() else {
            self.try_again(letter);
            return;
        };
        let headers = self.sealed(&letter, now);
        let body = if letter.is_changed {
            changed(letter.body.clone(), &mut chance)
        } else {
            letter.body.clone()
        };
        let side = letter.side;
        let numbered = self.post.hand_over(letter, number);
        if let Some(Some(instance)) = self.instances.get(number) {
            instance.deliver(numbered, side, &headers, body);
        }
    }

    fn sealed(&self, letter: &Letter, now: Time) -> Headers {
        let keys = self.stage.keys;
        match letter.side {
            Side::Psp => {
                let signature = stripe_signature(&keys.webhook_secret(), now, &letter.body);
                Headers::new()
                    .with("stripe-signature", &signature)
                    .with("content-type", "application/json")
            }
            Side::Shop => keys.shop_secret().headers(&letter.id, now, &letter.body),
        }
    }

    /// A daemon answered a delivery, or died over it.
    pub(super) fn delivered(&mut self, numbered: u64, status: Option<u16>) {
        let Some((letter, _)) = self.post.under_way.remove(&numbered) else {
            return;
        };
        let now = self.now();
        self.say(|| {
            let answer = status.map_or_else(|| "no answer".to_owned(), |one| one.to_string());
            format!(
                "{}: {} {} -> {answer}",
                letter.about, letter.what, letter.id
            )
        });
        let is_taken = status.is_some_and(|status| (200..300).contains(&status));
        if is_taken && letter.is_changed {
            let detail = format!("a changed {} was acknowledged", letter.what);
            self.stage
                .ledger
                .fail(now, "strangers", &letter.about, detail);
        } else if is_taken && !self.house.kept.has(&letter.id) {
            let detail = format!(
                "{} {} was acknowledged and not kept",
                letter.what, letter.id
            );
            self.stage
                .ledger
                .fail(now, "acknowledged", &letter.about, detail);
        }
        // Other events name no payments.
        let names = letter.what == "order.pending" || letter.what == "order.confirmed";
        if is_taken && letter.side == Side::Shop && names {
            self.stage.ledger.told_of(&letter.about);
        }
        if !is_taken {
            self.try_again(letter);
        }
    }

    fn try_again(&mut self, mut letter: Letter) {
        let Some(wait) = TRIED_AFTER.get(letter.attempt) else {
            self.say(|| format!("{}: {} is given up", letter.about, letter.what));
            return;
        };
        letter.attempt = letter.attempt.saturating_add(1);
        letter.is_changed = false;
        self.at(self.now().plus(*wait), Event::Posted(Box::new(letter)));
    }

    /// A daemon died: nobody answers what was at its door.
    pub(super) fn lose_answers(&mut self, number: usize) {
        let lost: Vec<u64> = self
            .post
            .under_way
            .iter()
            .filter(|(_, (_, at))| *at == number)
            .map(|(numbered, _)| *numbered)
            .collect();
        for numbered in lost {
            self.delivered(numbered, None);
        }
    }
}

impl Post {
    /// How many of this kind there were about this order, with this one.
    fn counted(&mut self, letter: &Letter) -> u32 {
        let kind = (letter.side, letter.about.clone(), letter.what.clone());
        let count = self.made.entry(kind).or_insert(0);
        *count = count.saturating_add(1);
        *count
    }

    fn hand_over(&mut self, letter: Letter, number: usize) -> u64 {
        self.count = self.count.saturating_add(1);
        self.under_way.insert(self.count, (letter, number));
        self.count
    }
}
