//! The status page's content as a plain value, made from what was gathered.
//!
//! Pure: no store, no clock. The first line is about money and people, computed from the
//! checkouts themselves; everything else follows from it or explains it.

use super::concerns::{self, Concern, Level};
use super::{ROWS_READ, since};
use crate::core::ids::{AccountId, CheckoutId, ShopId};
use crate::core::money::Money;
use crate::core::plan::{Reason, Verdict};
use crate::core::policy::Mode;
use crate::core::time::{Span, Time};
use crate::http::health::PartReport;
use crate::http::line::Line;
use crate::http::timeline::sentences::brake_words;
use crate::http::view;
use crate::http::words::{count, due, length, printable, relative, rfc3339, sums};
use crate::store::{
    Backlog, LoadedCheckout, Lookalike, ShopRow, StoreError, SweepMark, VerdictCount,
};
use serde::Serialize;
use std::collections::BTreeMap;

/// A payment younger than this is under way, not out of pocket: the ordinary way from capture
/// to the shop's yes takes seconds.
pub const UNDER_WAY: Span = Span::from_seconds(60);
/// Troubles listed on the page itself.
const TROUBLES_MAX: usize = 20;

/// What was gathered for one page.
#[derive(Debug)]
pub struct Seen {
    /// Counts by shop and verdict.
    pub overview: Vec<VerdictCount>,
    /// Checkouts under verdicts with money in suspense, oldest first, at most `ROWS_READ`.
    pub rows: Vec<LoadedCheckout>,
    /// Sizes and ages.
    pub backlog: Backlog,
    /// Sweep marks.
    pub marks: Vec<SweepMark>,
    /// Settled orders of the last day that look like another one, latest first.
    pub lookalikes: Vec<Lookalike>,
    /// The configured shops.
    pub shops: Vec<SeenShop>,
    /// The configured accounts.
    pub accounts: Vec<SeenAccount>,
    /// Readiness, part by part.
    pub parts: Vec<PartReport>,
    /// Shops whose payments only sweeps have told of lately, and how many in a row.
    pub unheard: Vec<(ShopId, u64)>,
}

/// A configured shop.
#[derive(Debug)]
pub struct SeenShop {
    /// What the store keeps about it.
    pub row: ShopRow,
    /// Its name for people.
    pub name: String,
    /// What the daemon may change outside.
    pub mode: Mode,
    /// How often payments of the other mode were told of, since the start.
    pub wrong_mode: u64,
    /// Taken in the last day by payments that no rule claims, one entry per currency.
    pub unclaimed: Vec<Money>,
}

/// A configured PSP account.
#[derive(Debug)]
pub struct SeenAccount {
    /// Its key.
    pub account: AccountId,
    /// The shop it serves.
    pub shop: ShopId,
    /// How often it is swept.
    pub sweep_every: Span,
    /// How many listings a sweep reads, counted from 0.
    pub listings: u8,
}

/// The page.
#[derive(Clone, Debug, Serialize)]
pub struct Report {
    /// Red, amber or green.
    pub level: Level,
    /// The first line, in words.
    pub headline: String,
    /// When this was computed, RFC 3339.
    pub at: String,
    /// When the PSPs were last asked for payments, in one sentence.
    pub last_checked: String,
    /// Customers whose money we have had for a minute or more without an order or a refund.
    pub out_of_pocket: Sum,
    /// Payments younger than that.
    pub under_way: Sum,
    /// What wants attention, worst first.
    pub concerns: Vec<Concern>,
    /// Shops, with their checkouts by verdict.
    pub shops: Vec<ShopLine>,
    /// PSP accounts, with their sweeps.
    pub accounts: Vec<AccountLine>,
    /// What waits.
    pub backlog: BacklogLine,
    /// The checkouts in trouble longest.
    pub troubles: Vec<Line>,
}

/// How many, how much, since when.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Sum {
    /// How many checkouts.
    pub checkouts: u64,
    /// Their money, one entry per currency.
    pub in_suspense: Vec<Money>,
    /// Since when the oldest has waited, RFC 3339.
    pub oldest: Option<String>,
    /// When the next action is due, RFC 3339.
    pub next_action: Option<String>,
}

/// One shop.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct ShopLine {
    /// Its key.
    pub shop: String,
    /// Its name for people; none when it is not configured any more.
    pub name: Option<String>,
    /// What the daemon may change outside; none when it is not configured any more.
    pub mode: Option<&'static str>,
    /// Why and since when its refunds are held back.
    pub brake: Option<String>,
    /// Taken in the last 24 h by payments that no rule claims, one entry per currency: more than
    /// there should be means that a rule is wrong.
    pub unclaimed: Vec<Money>,
    /// Its checkouts.
    pub verdicts: Vec<VerdictLine>,
}

/// The checkouts of one shop under one verdict.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct VerdictLine {
    /// The verdict.
    pub verdict: &'static str,
    /// How many.
    pub count: u64,
    /// Their money in suspense, one entry per currency.
    pub in_suspense: Vec<Money>,
    /// How long the oldest has stood, for verdicts that are not at rest.
    pub oldest: Option<String>,
    /// The list behind the count.
    pub link: String,
}

/// One PSP account.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct AccountLine {
    /// Its key.
    pub account: String,
    /// The shop it serves.
    pub shop: String,
    /// When it was last swept whole, RFC 3339.
    pub swept_at: Option<String>,
    /// The same in words.
    pub swept: String,
    /// What stopped the latest sweep.
    pub last_error: Option<String>,
}

/// What waits.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct BacklogLine {
    /// Deliveries that wait for the engine.
    pub deliveries_pending: u64,
    /// How long the oldest of them has waited.
    pub oldest_delivery: Option<String>,
    /// Standing actions.
    pub actions: u64,
    /// How the earliest due time lies to now.
    pub oldest_due: Option<String>,
    /// Parked deliveries.
    pub parked: u64,
    /// Quarantined deliveries.
    pub quarantined: u64,
}

/// A sum in the making.
#[derive(Debug, Default)]
pub(super) struct Tally {
    pub(super) checkouts: u64,
    pub(super) money: Vec<Money>,
    pub(super) oldest: Option<Time>,
    pub(super) next: Option<Time>,
}

impl Tally {
    fn add(&mut self, money: Money, since: Time, next: Option<Time>) {
        self.checkouts = self.checkouts.saturating_add(1);
        add_money(&mut self.money, money);
        self.oldest = Some(self.oldest.map_or(since, |oldest| oldest.min(since)));
        self.next = match (self.next, next) {
            (Some(known), Some(at)) => Some(known.min(at)),
            (known, at) => known.or(at),
        };
    }

    fn shown(&self) -> Sum {
        Sum {
            checkouts: self.checkouts,
            in_suspense: self.money.clone(),
            oldest: self.oldest.map(rfc3339),
            next_action: self.next.map(rfc3339),
        }
    }
}

/// Adds to the sum of the same currency; a sum that would overflow stays at the last good one.
fn add_money(sums: &mut Vec<Money>, money: Money) {
    let same = sums
        .iter_mut()
        .find(|sum| sum.currency() == money.currency());
    match same {
        Some(sum) => *sum = sum.plus(money).unwrap_or(*sum),
        None => sums.push(money),
    }
}

/// Who waits, and who is merely under way.
#[derive(Debug, Default)]
pub(super) struct People {
    pub(super) waiting: Tally,
    pub(super) under_way: Tally,
    /// Waiting customers per shop whose shop does not answer.
    pub(super) unanswered: BTreeMap<String, u64>,
    /// Checkouts that wait, are not held, and have no next step.
    pub(super) stranded: u64,
    /// Checkouts of which something cannot be read, and a sentence about each.
    pub(super) damaged: Vec<(CheckoutId, String)>,
    /// Checkouts set aside because a promise would have been broken, per shop.
    pub(super) breached: BTreeMap<ShopId, u64>,
}

impl Report {
    /// Makes the page.
    pub fn of(seen: &Seen, now: Time) -> Report {
        let people = people(seen, now);
        let concerns = concerns::of(seen, &people, now);
        let last_checked = last_checked(seen, now);
        let waits = if people.waiting.checkouts > 0 {
            Level::Amber
        } else {
            Level::Green
        };
        let level = concerns
            .iter()
            .map(|concern| concern.level)
            .fold(waits, Level::max);
        let troubles = seen.rows.iter().take(TROUBLES_MAX);
        Report {
            level,
            headline: headline(&people, &last_checked, now),
            at: rfc3339(now),
            last_checked,
            out_of_pocket: people.waiting.shown(),
            under_way: people.under_way.shown(),
            concerns,
            shops: shops(seen, now),
            accounts: seen
                .accounts
                .iter()
                .map(|account| account_line(account, &seen.marks, now))
                .collect(),
            backlog: backlog(&seen.backlog, now),
            troubles: troubles.map(|row| Line::of(row, now)).collect(),
        }
    }

    /// The page when the store cannot be read.
    pub fn blind(error: &StoreError, now: Time) -> Report {
        let why = printable(&error.to_string());
        Report {
            level: Level::Red,
            headline: "The store cannot be read, so nobody knows whether anyone is out of pocket."
                .to_owned(),
            at: rfc3339(now),
            last_checked: "Not known.".to_owned(),
            out_of_pocket: Sum::default(),
            under_way: Sum::default(),
            concerns: vec![Concern::new(Level::Red, why, Some("/readyz".to_owned()))],
            shops: Vec::new(),
            accounts: Vec::new(),
            backlog: BacklogLine::default(),
            troubles: Vec::new(),
        }
    }
}

fn people(seen: &Seen, now: Time) -> People {
    let mut people = People::default();
    for loaded in &seen.rows {
        let (known, damage) = view::document_or_bare(loaded);
        if let Some(damage) = damage {
            let id = loaded.row.id.clone();
            let words = concerns::damage_words(&id, damage);
            people.damaged.push((id, words));
        }
        if loaded.row.reason == Reason::InvariantBreach {
            let shop = people.breached.entry(loaded.row.shop.clone());
            let number = shop.or_default();
            *number = number.saturating_add(1);
        }
        let Some(money) = loaded.row.in_suspense.filter(|money| money.is_positive()) else {
            continue;
        };
        let since = view::money_since(&known).unwrap_or(loaded.row.since);
        let next = view::next(loaded, &known).map(|next| next.at);
        if now.since(since) < UNDER_WAY && loaded.row.verdict != Verdict::Held {
            people.under_way.add(money, since, next);
            continue;
        }
        people.waiting.add(money, since, next);
        if loaded.row.reason == Reason::ShopUnreachable {
            let shop = people.unanswered.entry(loaded.row.shop.to_string());
            let number = shop.or_default();
            *number = number.saturating_add(1);
        }
        if next.is_none() && loaded.row.verdict != Verdict::Held && damage.is_none() {
            people.stranded = people.stranded.saturating_add(1);
        }
    }
    let is_cut_off = u32::try_from(seen.rows.len()).is_ok_and(|rows| rows >= ROWS_READ);
    if is_cut_off && people.under_way.checkouts == 0 {
        count_all(&mut people.waiting, &seen.overview);
    }
    people
}

/// Takes count and sums from the overview, when there are more checkouts than are read and even
/// the youngest of those that were read has waited too long.
fn count_all(waiting: &mut Tally, overview: &[VerdictCount]) {
    let lines = overview.iter().filter(|line| !line.in_suspense.is_empty());
    let (mut checkouts, mut money) = (0_u64, Vec::new());
    for line in lines {
        checkouts = checkouts.saturating_add(line.count);
        for amount in &line.in_suspense {
            add_money(&mut money, *amount);
        }
    }
    waiting.checkouts = checkouts;
    waiting.money = money;
}

fn headline(people: &People, last_checked: &str, now: Time) -> String {
    let under_way = &people.under_way;
    let waiting = &people.waiting;
    let age = |oldest: Option<Time>| length(oldest.map_or(Span::ZERO, |at| now.since(at)));
    if waiting.checkouts > 0 {
        let verb = if waiting.checkouts == 1 { "is" } else { "are" };
        let next = match waiting.next {
            Some(at) => format!("next action {}", due(at, now)),
            None => "no action planned".to_owned(),
        };
        return format!(
            "{} {verb} out of pocket: {}, oldest {}, {next}.",
            count(waiting.checkouts, "customer"),
            sums(&waiting.money),
            age(waiting.oldest),
        );
    }
    let moving = if under_way.checkouts > 0 {
        let verb = if under_way.checkouts == 1 {
            "is"
        } else {
            "are"
        };
        format!(
            " {} {verb} under way: {}, oldest {}.",
            count(under_way.checkouts, "payment"),
            sums(&under_way.money),
            age(under_way.oldest),
        )
    } else {
        String::new()
    };
    format!("Nobody is out of pocket.{moving} {last_checked}")
}

/// When the least recently swept account was swept.
fn last_checked(seen: &Seen, now: Time) -> String {
    let swept = seen
        .accounts
        .iter()
        .map(|account| (swept_at(account, &seen.marks), account));
    match swept.min_by_key(|(at, _)| *at) {
        None => "No PSP account is configured.".to_owned(),
        Some((None, account)) => format!("{} has not been swept yet.", account.account),
        Some((Some(at), _)) => format!("Last checked {}.", relative(at, now)),
    }
}

/// When the least recently swept listing of an account was read whole; none while any listing
/// never was.
pub(super) fn swept_at(account: &SeenAccount, marks: &[SweepMark]) -> Option<Time> {
    let of = |listing| {
        let mut own = marks.iter().filter(|mark| mark.account == account.account);
        own.find(|mark| mark.listing == listing)?.swept_at
    };
    (0..account.listings).map(of).min().flatten()
}

/// What stopped the latest sweep of an account.
pub(super) fn sweep_error<'a>(account: &AccountId, marks: &'a [SweepMark]) -> Option<&'a str> {
    let mut own = marks.iter().filter(|mark| mark.account == *account);
    own.find_map(|mark| mark.last_error.as_deref())
}

fn account_line(account: &SeenAccount, marks: &[SweepMark], now: Time) -> AccountLine {
    let at = swept_at(account, marks);
    AccountLine {
        account: account.account.to_string(),
        shop: account.shop.to_string(),
        swept_at: at.map(rfc3339),
        swept: at.map_or_else(
            || "not swept yet".to_owned(),
            |at| format!("swept whole {}", relative(at, now)),
        ),
        last_error: sweep_error(&account.account, marks).map(printable),
    }
}

fn shops(seen: &Seen, now: Time) -> Vec<ShopLine> {
    let mut lines: BTreeMap<&str, ShopLine> = BTreeMap::new();
    for shop in &seen.shops {
        let line = lines.entry(shop.row.shop.as_str());
        let line = line.or_insert_with(|| bare_shop(&shop.row.shop));
        line.name = Some(shop.name.clone());
        line.mode = Some(shop.mode.code());
        line.unclaimed.clone_from(&shop.unclaimed);
        line.brake = shop
            .row
            .brake
            .map(|(cause, at)| format!("{}, since {}", brake_words(cause), since(at, now)));
    }
    for counted in &seen.overview {
        let line = lines.entry(counted.shop.as_str());
        let line = line.or_insert_with(|| bare_shop(&counted.shop));
        line.verdicts.push(verdict_line(counted, now));
    }
    lines.into_values().collect()
}

fn bare_shop(shop: &ShopId) -> ShopLine {
    ShopLine {
        shop: shop.to_string(),
        name: None,
        mode: None,
        brake: None,
        unclaimed: Vec::new(),
        verdicts: Vec::new(),
    }
}

fn verdict_line(counted: &VerdictCount, now: Time) -> VerdictLine {
    let oldest = counted.oldest.filter(|_| !counted.verdict.is_at_rest());
    VerdictLine {
        verdict: counted.verdict.code(),
        count: counted.count,
        in_suspense: counted.in_suspense.clone(),
        oldest: oldest.map(|at| since(at, now)),
        link: list_link(&counted.shop, counted.verdict),
    }
}

/// The list behind a count. Keys and verdicts are made of characters that need no escaping.
pub(super) fn list_link(shop: &ShopId, verdict: Verdict) -> String {
    format!("/api/v1/checkouts?shop={shop}&verdict={}", verdict.code())
}

fn backlog(backlog: &Backlog, now: Time) -> BacklogLine {
    BacklogLine {
        deliveries_pending: backlog.deliveries_pending,
        oldest_delivery: backlog.oldest_delivery.map(|at| since(at, now)),
        actions: backlog
            .actions
            .values()
            .copied()
            .fold(0, u64::saturating_add),
        oldest_due: backlog.oldest_due.map(|at| due(at, now)),
        parked: backlog.deliveries_parked,
        quarantined: backlog.quarantined,
    }
}
