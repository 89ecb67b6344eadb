//! The daily closing statement: what moved on a UTC day per shop and currency, from the journals.
//!
//! Each checkout's journal is proved and folded up to the day's beginning and up to its end; what
//! lies between the two balances moved on that day. Movements go by the journal's own times. A
//! checkout that cannot be proved is named and enters no sum.

use super::day::Day;
use super::{chain_is_whole, facts_of, is_counted, may_hold_settled};
use crate::core::checkout::Checkout;
use crate::core::ids::{CheckoutId, PaymentRef, ShopId};
use crate::core::money::{Currency, Money, MoneyError};
use crate::core::order::OrderStatus;
use crate::core::payment::{Payment, PaymentStatus};
use crate::core::plan::{Decision, Reason, Verdict};
use crate::core::reconcile::position::Position;
use crate::core::time::{Span, Time};
use crate::store::{CheckoutRow, JournalEntry, Store, StoreError};
use serde::Serialize;
use std::collections::{BTreeMap, BTreeSet};

/// Checkouts held in memory at once, each with its whole journal.
const BOOKS_PAGE: usize = 64;
/// Names held in memory at once, of those that are still to be looked at.
const NAMES_PAGE: u32 = 5_000;
/// Differences listed by name; the rest is counted.
pub const NAMED_MAX: usize = 1_000;
/// A machine's clock may have stepped back by this much: so much earlier changes are looked at.
const CLOCK_STEP_MAX: Span = Span::from_hours(24);

/// One shop's day in one currency. Opening suspense plus captured is settled, refunded, charged
/// back, unexplained and closing suspense together; a movement that was taken back counts below
/// zero.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Line {
    /// The shop.
    pub shop: ShopId,
    /// The currency.
    pub currency: Currency,
    /// Captured before the day and neither settled nor back when it began.
    pub opening_suspense: Money,
    /// Taken from payers on the day.
    pub captured: Money,
    /// Came to pay confirmed orders, or was settled by an operator.
    pub settled: Money,
    /// Went back to payers.
    pub refunded: Money,
    /// Was lost in disputes.
    pub charged_back: Money,
    /// In none of these: always zero in whole books; each checkout is named.
    pub unexplained: Money,
    /// Neither settled nor back when the day ended.
    pub closing_suspense: Money,
    /// Captured by payments that are not ours by `claims`, `since` or `live`; in no other sum.
    pub foreign: Money,
    /// Checkouts that moved on the day or were in suspense on it.
    pub checkouts: u64,
}

/// A checkout whose money does not add up, or cannot be added up.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Unexplained {
    /// Which checkout.
    pub checkout: CheckoutId,
    /// Its shop.
    pub shop: ShopId,
    /// How much, where it can be said: captured less settled, refunded, charged back and in
    /// suspense at the day's end.
    pub amount: Option<Money>,
    /// What is wrong, for people.
    pub why: String,
}

/// A day's statement.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct DayStatement {
    /// The day.
    pub day: Day,
    /// False while something may still be booked on it.
    pub closed: bool,
    /// One line per shop and currency in which there was anything.
    pub statements: Vec<Line>,
    /// What does not add up, the first of it by name.
    pub differences: Vec<Unexplained>,
    /// How many do not add up.
    pub differences_found: u64,
}

/// Makes the statement of a day, of one shop or of all.
///
/// # Errors
/// What the store says when it cannot be read.
pub async fn of_day(
    store: &dyn Store,
    day: Day,
    shop: Option<&ShopId>,
    now: Time,
) -> Result<DayStatement, StoreError> {
    let mut making = Making::new(day);
    while making.step(store, shop).await? {}
    Ok(making.ended(now))
}

/// A day's statement in the making, a few checkouts at a time. It holds no more of a day with many
/// payments than of one with few.
pub struct Making {
    books: Books,
    /// To be looked at next, the last first.
    names: Vec<CheckoutId>,
    /// Up to here the names were fetched.
    after: Option<CheckoutId>,
}

impl Making {
    /// The statement of a day, with nothing read yet.
    pub fn new(day: Day) -> Making {
        Making {
            books: Books::new(day),
            names: Vec::new(),
            after: None,
        }
    }

    /// Which day it is of.
    pub fn day(&self) -> Day {
        self.books.day
    }

    /// Reads a few checkouts more, of one shop or of all; false when there are none left.
    ///
    /// # Errors
    /// What the store says when it cannot be read; nothing is lost, and the next step reads it.
    pub async fn step(
        &mut self,
        store: &dyn Store,
        shop: Option<&ShopId>,
    ) -> Result<bool, StoreError> {
        if self.names.is_empty() {
            // What rested before the day and was not touched since has nothing to move.
            let since = self.day().begins().minus(CLOCK_STEP_MAX);
            let after = self.after.as_ref();
            self.names = store.moved_since(since, after, NAMES_PAGE).await?;
            self.names.reverse();
        }
        let page = self.names.len().saturating_sub(BOOKS_PAGE);
        let page = self.names.get(page..).unwrap_or_default();
        let Some(last) = page.first().cloned() else {
            return Ok(false);
        };
        for (row, entries) in store.books(page).await? {
            if shop.is_none_or(|shop| *shop == row.shop) {
                self.books.enter(&row, &entries);
            }
        }
        let left = self.names.len().saturating_sub(page.len());
        self.names.truncate(left);
        self.after = Some(last);
        Ok(true)
    }

    /// The statement.
    pub fn ended(self, now: Time) -> DayStatement {
        let books = self.books;
        DayStatement {
            day: books.day,
            closed: books.day.is_closed(now),
            statements: books.lines.into_values().collect(),
            differences: books.differences,
            differences_found: books.differences_found,
        }
    }
}

impl DayStatement {
    /// True when every cent is where a line says.
    pub fn is_clean(&self) -> bool {
        self.differences_found == 0
    }

    /// For people.
    pub fn text(&self) -> String {
        let open = if self.closed { "" } else { ", not closed yet" };
        let mut text = format!("{} (UTC){open}\n", self.day);
        for line in &self.statements {
            text.push_str(&line.text());
        }
        if self.statements.is_empty() {
            text.push_str("Nothing moved and nothing is in suspense.\n");
        }
        for one in &self.differences {
            let amount = one
                .amount
                .map_or(String::new(), |amount| format!("{amount}, "));
            let why = &one.why;
            text.push_str(&format!(
                "DIFFERENCE checkout {}: {amount}{why}\n",
                one.checkout
            ));
        }
        let verdict = match self.differences_found {
            0 => "The day adds up.\n".to_owned(),
            count => format!("{count} differences.\n"),
        };
        text.push_str(&verdict);
        text
    }
}

impl Line {
    fn new(shop: &ShopId, currency: Currency) -> Line {
        let zero = Money::zero(currency);
        Line {
            shop: shop.clone(),
            currency,
            opening_suspense: zero,
            captured: zero,
            settled: zero,
            refunded: zero,
            charged_back: zero,
            unexplained: zero,
            closing_suspense: zero,
            foreign: zero,
            checkouts: 0,
        }
    }

    /// The line with what moved between two balances of one checkout.
    fn with(mut self, before: &Balance, after: &Balance) -> Result<Line, MoneyError> {
        let moved = |sum: Money, of: fn(&Balance) -> Money| sum.plus(of(after).minus(of(before))?);
        self.opening_suspense = self.opening_suspense.plus(before.in_suspense)?;
        self.captured = moved(self.captured, |one| one.captured)?;
        self.settled = moved(self.settled, |one| one.settled)?;
        self.refunded = moved(self.refunded, |one| one.refunded)?;
        self.charged_back = moved(self.charged_back, |one| one.charged_back)?;
        self.unexplained = moved(self.unexplained, |one| one.unexplained)?;
        self.closing_suspense = self.closing_suspense.plus(after.in_suspense)?;
        self.foreign = moved(self.foreign, |one| one.foreign)?;
        self.checkouts = self.checkouts.saturating_add(1);
        Ok(self)
    }

    /// Opening suspense and captured, less everything that left suspense, less closing suspense:
    /// zero, or the line does not add up.
    pub fn rest(&self) -> Result<Money, MoneyError> {
        self.opening_suspense
            .plus(self.captured)?
            .minus(self.settled)?
            .minus(self.refunded)?
            .minus(self.charged_back)?
            .minus(self.unexplained)?
            .minus(self.closing_suspense)
    }

    fn text(&self) -> String {
        let mut text = format!(
            "{} {}: opening suspense {} + captured {} = settled {} + refunded {} + charged back {} \
             + closing suspense {}",
            self.shop,
            self.currency,
            self.opening_suspense.value(),
            self.captured.value(),
            self.settled.value(),
            self.refunded.value(),
            self.charged_back.value(),
            self.closing_suspense.value(),
        );
        for (what, money) in [
            ("unexplained", self.unexplained),
            ("not ours", self.foreign),
        ] {
            if !money.is_zero() {
                text.push_str(&format!("; {what} {}", money.value()));
            }
        }
        text.push('\n');
        text
    }
}

/// Where one checkout's money is, in one currency.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Balance {
    captured: Money,
    settled: Money,
    refunded: Money,
    charged_back: Money,
    in_suspense: Money,
    unexplained: Money,
    foreign: Money,
}

type Balances = BTreeMap<Currency, Balance>;

impl Balance {
    fn nothing(currency: Currency) -> Balance {
        let zero = Money::zero(currency);
        Balance {
            captured: zero,
            settled: zero,
            refunded: zero,
            charged_back: zero,
            in_suspense: zero,
            unexplained: zero,
            foreign: zero,
        }
    }
}

/// A day's books in the making.
struct Books {
    day: Day,
    lines: BTreeMap<(ShopId, Currency), Line>,
    differences: Vec<Unexplained>,
    differences_found: u64,
}

impl Books {
    fn new(day: Day) -> Books {
        Books {
            day,
            lines: BTreeMap::new(),
            differences: Vec::new(),
            differences_found: 0,
        }
    }

    fn enter(&mut self, row: &CheckoutRow, entries: &[JournalEntry]) {
        match read(row, entries, self.day) {
            Ok((before, after)) => {
                if let Err(error) = self.book(row, &before, &after) {
                    self.differ(row, None, format!("amounts: {error}"));
                }
            }
            Err(why) => self.differ(row, None, why),
        }
    }

    fn book(
        &mut self,
        row: &CheckoutRow,
        before: &Balances,
        after: &Balances,
    ) -> Result<(), MoneyError> {
        let mut lines = Vec::new();
        // A payment that moved to its order's checkout leaves this one without its currency.
        let currencies: BTreeSet<&Currency> = before.keys().chain(after.keys()).collect();
        for currency in currencies {
            let nothing = Balance::nothing(*currency);
            let then = before.get(currency).unwrap_or(&nothing);
            let now = after.get(currency).unwrap_or(&nothing);
            let is_quiet = then == now && now.in_suspense.is_zero() && now.unexplained.is_zero();
            if is_quiet {
                continue;
            }
            let key = (row.shop.clone(), *currency);
            let line = self.lines.get(&key).cloned();
            let line = line.unwrap_or_else(|| Line::new(&row.shop, *currency));
            lines.push((key, line.with(then, now)?));
        }
        self.lines.extend(lines);
        for now in after.values().filter(|now| !now.unexplained.is_zero()) {
            let why = format!(
                "captured {} but settled {}, refunded {}, charged back {}, in suspense {}",
                now.captured, now.settled, now.refunded, now.charged_back, now.in_suspense
            );
            self.differ(row, Some(now.unexplained), why);
        }
        Ok(())
    }

    fn differ(&mut self, row: &CheckoutRow, amount: Option<Money>, why: String) {
        self.differences_found = self.differences_found.saturating_add(1);
        if self.differences.len() < NAMED_MAX {
            self.differences.push(Unexplained {
                checkout: row.id.clone(),
                shop: row.shop.clone(),
                amount,
                why,
            });
        }
    }
}

/// The balances when the day began and when it ended.
fn read(
    row: &CheckoutRow,
    entries: &[JournalEntry],
    day: Day,
) -> Result<(Balances, Balances), String> {
    chain_is_whole(row, entries)?;
    let mut checkout = Checkout::new(row.id.clone(), row.shop.clone(), row.reference.clone());
    let mut before: Option<Balances> = None;
    let mut last: Option<Decision> = None;
    let mut at = Time::from_micros(i64::MIN);
    let amounts = |error: MoneyError| format!("amounts: {error}");
    for entry in entries {
        // A clock that stepped back moves nothing to an earlier day.
        at = at.max(entry.at);
        if at >= day.ends() {
            break;
        }
        if at >= day.begins() && before.is_none() {
            before = Some(balances(&checkout, last.as_ref()).map_err(amounts)?);
        }
        for fact in &facts_of(entry)? {
            checkout.observe(fact);
        }
        let decision = serde_json::from_str(&entry.decision);
        last = Some(decision.map_err(|error| format!("entry {}: decision: {error}", entry.seq))?);
    }
    let after = balances(&checkout, last.as_ref()).map_err(amounts)?;
    Ok((before.unwrap_or_else(|| after.clone()), after))
}

/// Where the money is, by what is known and by what was decided last.
fn balances(checkout: &Checkout, decided: Option<&Decision>) -> Result<Balances, MoneyError> {
    let mut sums = Balances::new();
    let Some(decided) = decided else {
        return Ok(sums);
    };
    for (payment, state) in checkout.own_payments() {
        if state.status() != PaymentStatus::Captured {
            continue;
        }
        let is_ours = decided.verdict != Verdict::Foreign && is_counted(checkout, payment, state);
        if is_ours {
            enter_payment(&mut sums, checkout, payment, state)?;
        } else {
            for (currency, minor) in &state.captured {
                let sum = at(&mut sums, *currency);
                sum.foreign = sum.foreign.plus(Money::new(*minor, *currency))?;
            }
        }
    }
    for suspended in &decided.in_suspense {
        let sum = at(&mut sums, suspended.currency());
        sum.in_suspense = sum.in_suspense.plus(*suspended)?;
    }
    let was_accepted = checkout.order.status() == Some(OrderStatus::Confirmed)
        || decided.reason == Reason::OperatorSettled;
    for sum in sums.values_mut() {
        let rest = sum
            .captured
            .minus(sum.refunded)?
            .minus(sum.charged_back)?
            .minus(sum.in_suspense)?;
        // Only what pays an order that the shop confirmed, or what an operator settled, may make
        // up the rest.
        if rest.is_positive() && was_accepted && may_hold_settled(decided.verdict) {
            sum.settled = rest;
        } else {
            sum.unexplained = rest;
        }
    }
    Ok(sums)
}

fn at(sums: &mut Balances, currency: Currency) -> &mut Balance {
    sums.entry(currency)
        .or_insert_with(|| Balance::nothing(currency))
}

fn enter_payment(
    sums: &mut Balances,
    checkout: &Checkout,
    payment: &PaymentRef,
    state: &Payment,
) -> Result<(), MoneyError> {
    match Position::new(checkout, payment, state) {
        Ok(position) => {
            let sum = at(sums, position.captured.currency());
            sum.captured = sum.captured.plus(position.captured)?;
            sum.refunded = sum.refunded.plus(position.returned)?;
            sum.charged_back = sum.charged_back.plus(position.charged_back)?;
        }
        // Amounts that do not go together are held: all that was taken is in suspense.
        Err(_) => {
            for (currency, minor) in &state.captured {
                let sum = at(sums, *currency);
                sum.captured = sum.captured.plus(Money::new(*minor, *currency))?;
            }
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests;
