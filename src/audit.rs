//! The proof of the books: every journal chained, every state rebuilt, every cent accounted for.
//!
//! Reads the store and nothing else; it shares no code with the engine beyond the core's own
//! `observe`, so that a mistake there is found here.

pub mod day;
pub mod statement;

use crate::core::checkout::Checkout;
use crate::core::fact::Fact;
use crate::core::money::{Currency, Money, MoneyError};
use crate::core::payment::PaymentStatus;
use crate::core::plan::{Decision, Verdict};
use crate::core::reconcile::position::Position;
use crate::store::journal;
use crate::store::{CheckoutRow, JournalEntry, Store, StoreError};
use serde::Serialize;
use std::collections::{BTreeMap, VecDeque};
use std::num::NonZero;
use tokio::task::JoinHandle;

/// Checkouts read in one step.
const PAGE: u32 = 500;
/// Differences listed; the rest is counted.
pub const DIFFERENCES_MAX: usize = 100;

/// One shop's money in one currency.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Statement {
    /// The shop.
    pub shop: String,
    /// Taken from payers.
    pub captured: Money,
    /// Pays confirmed orders.
    pub settled: Money,
    /// Back with the payers.
    pub refunded: Money,
    /// Lost in disputes.
    pub charged_back: Money,
    /// Neither: held, or with a next step.
    pub in_suspense: Money,
}

/// What the audit found.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Report {
    /// Checkouts read.
    pub checkouts: u64,
    /// Journal entries checked.
    pub entries: u64,
    /// The books, by shop and currency.
    pub statements: Vec<Statement>,
    /// What does not fit, the first of it.
    pub differences: Vec<String>,
    /// How much does not fit.
    pub differences_found: u64,
}

/// What some checkouts add to a report.
#[derive(Default)]
struct Part {
    report: Report,
    books: BTreeMap<(String, Currency), Statement>,
}

/// Reads the whole store.
pub async fn run(store: &dyn Store) -> Result<Report, StoreError> {
    let mut whole = Part::default();
    let mut after = None;
    loop {
        let page = store.audit_page(after.as_ref(), PAGE).await?;
        let Some((last, _)) = page.last() else { break };
        after = Some(last.id.clone());
        whole.add(Part::of(&page));
    }
    Ok(whole.ended())
}

/// As `run`, with as many threads that prove as there are processors, while the next pages are
/// read. Needs tokio's runtime; holds a page for each of them.
pub async fn run_on_all_processors(store: &dyn Store) -> Result<Report, StoreError> {
    let width = std::thread::available_parallelism().map_or(1, NonZero::get);
    let mut whole = Part::default();
    let mut under_way = VecDeque::new();
    let mut after = None;
    loop {
        let page = store.audit_page(after.as_ref(), PAGE).await?;
        let Some((last, _)) = page.last() else { break };
        after = Some(last.id.clone());
        under_way.push_back(tokio::task::spawn_blocking(move || Part::of(&page)));
        if under_way.len() > width
            && let Some(first) = under_way.pop_front()
        {
            whole.add(proven(first).await?);
        }
    }
    for part in under_way {
        whole.add(proven(part).await?);
    }
    Ok(whole.ended())
}

async fn proven(part: JoinHandle<Part>) -> Result<Part, StoreError> {
    let ended = part.await;
    ended.map_err(|error| StoreError::Unavailable(format!("a page was not proven: {error}")))
}

impl Part {
    fn of(page: &[(CheckoutRow, Vec<JournalEntry>)]) -> Part {
        let mut part = Part::default();
        let Part { report, books } = &mut part;
        for (row, entries) in page {
            report.checkouts = report.checkouts.saturating_add(1);
            let count = u64::try_from(entries.len()).unwrap_or(u64::MAX);
            report.entries = report.entries.saturating_add(count);
            match prove(row, entries) {
                Ok(checkout) => {
                    if let Err(error) = enter(books, row, entries, &checkout) {
                        report.differ(format!("checkout {}: amounts: {error}", row.id));
                    }
                }
                Err(why) => report.differ(format!("checkout {}: {why}", row.id)),
            }
        }
        part
    }

    /// Takes in what comes next.
    fn add(&mut self, next: Part) {
        self.report.add(next.report);
        for (key, statement) in next.books {
            let book = self.books.entry(key);
            let book = book
                .or_insert_with(|| Statement::new(&statement.shop, statement.captured.currency()));
            if let Err(error) = book.add(&statement) {
                let why = format!("{}: amounts: {error}", statement.shop);
                self.report.differ(why);
            }
        }
    }

    fn ended(self) -> Report {
        let mut report = self.report;
        for statement in self.books.into_values() {
            if let Some(why) = statement.difference() {
                report.differ(why);
            }
            report.statements.push(statement);
        }
        report
    }
}

impl Report {
    /// True when nothing differs.
    pub fn is_clean(&self) -> bool {
        self.differences_found == 0
    }

    fn add(&mut self, next: Report) {
        self.checkouts = self.checkouts.saturating_add(next.checkouts);
        self.entries = self.entries.saturating_add(next.entries);
        let room = DIFFERENCES_MAX.saturating_sub(self.differences.len());
        let listed = next.differences.into_iter().take(room);
        self.differences.extend(listed);
        self.differences_found = self
            .differences_found
            .saturating_add(next.differences_found);
    }

    fn differ(&mut self, why: String) {
        self.differences_found = self.differences_found.saturating_add(1);
        if self.differences.len() < DIFFERENCES_MAX {
            self.differences.push(why);
        }
    }

    /// For people.
    pub fn text(&self) -> String {
        let mut text = format!(
            "{} checkouts and {} journal entries read: every chain and every state checked.\n",
            self.checkouts, self.entries
        );
        for one in &self.statements {
            text.push_str(&format!(
                "{}: captured {} = settled {} + refunded {} + charged back {} + in suspense {}\n",
                one.shop,
                one.captured,
                one.settled,
                one.refunded,
                one.charged_back,
                one.in_suspense
            ));
        }
        for why in &self.differences {
            text.push_str(&format!("DIFFERENCE {why}\n"));
        }
        let verdict = match self.differences_found {
            0 => "The books are whole.\n".to_owned(),
            count => format!("{count} differences.\n"),
        };
        text.push_str(&verdict);
        text
    }
}

impl Statement {
    fn new(shop: &str, currency: Currency) -> Statement {
        let zero = Money::zero(currency);
        Statement {
            shop: shop.to_owned(),
            captured: zero,
            settled: zero,
            refunded: zero,
            charged_back: zero,
            in_suspense: zero,
        }
    }

    fn add(&mut self, other: &Statement) -> Result<(), MoneyError> {
        self.captured = self.captured.plus(other.captured)?;
        self.settled = self.settled.plus(other.settled)?;
        self.refunded = self.refunded.plus(other.refunded)?;
        self.charged_back = self.charged_back.plus(other.charged_back)?;
        self.in_suspense = self.in_suspense.plus(other.in_suspense)?;
        Ok(())
    }

    fn difference(&self) -> Option<String> {
        let sum = self
            .settled
            .plus(self.refunded)
            .and_then(|sum| sum.plus(self.charged_back))
            .and_then(|sum| sum.plus(self.in_suspense));
        match sum {
            Ok(sum) if sum == self.captured => None,
            Ok(sum) => Some(format!(
                "{}: captured {} but accounted {sum}",
                self.shop, self.captured
            )),
            Err(error) => Some(format!("{}: {error}", self.shop)),
        }
    }
}

/// The chain is whole and folding it gives the stored state.
fn prove(row: &CheckoutRow, entries: &[JournalEntry]) -> Result<Checkout, String> {
    chain_is_whole(row, entries)?;
    let mut folded = Checkout::new(row.id.clone(), row.shop.clone(), row.reference.clone());
    for entry in entries {
        for fact in &facts_of(entry)? {
            folded.observe(fact);
        }
    }
    // To write a document costs less than to read one.
    if serde_json::to_string(&folded).is_ok_and(|written| written == row.document) {
        return Ok(folded);
    }
    // An earlier version may have written the same otherwise.
    let stored: Checkout =
        serde_json::from_str(&row.document).map_err(|error| format!("document: {error}"))?;
    if folded == stored {
        Ok(stored)
    } else {
        Err("state_differs from its journal".to_owned())
    }
}

/// Checks the chain of a checkout's whole journal; says the entry and what is wrong with it.
pub(crate) fn chain_is_whole(row: &CheckoutRow, entries: &[JournalEntry]) -> Result<(), String> {
    let whole = journal::verify(row, entries);
    whole.map_err(|found| format!("entry {}: {}", found.seq, found.what))
}

/// The facts of an entry.
pub(crate) fn facts_of(entry: &JournalEntry) -> Result<Vec<Fact>, String> {
    serde_json::from_str(&entry.facts)
        .map_err(|error| format!("entry {}: facts: {error}", entry.seq))
}

/// Enters one checkout into the books.
fn enter(
    books: &mut BTreeMap<(String, Currency), Statement>,
    row: &CheckoutRow,
    entries: &[JournalEntry],
    checkout: &Checkout,
) -> Result<(), MoneyError> {
    if row.verdict == Verdict::Foreign {
        return Ok(());
    }
    let mut sums: BTreeMap<Currency, Statement> = BTreeMap::new();
    for (payment, state) in checkout.own_payments() {
        if state.status() != PaymentStatus::Captured || !is_counted(checkout, payment, state) {
            continue;
        }
        let position = Position::new(checkout, payment, state)?;
        let currency = position.captured.currency();
        let sum = sums
            .entry(currency)
            .or_insert_with(|| Statement::new(row.shop.as_str(), currency));
        sum.captured = sum.captured.plus(position.captured)?;
        sum.refunded = sum.refunded.plus(position.returned)?;
        sum.charged_back = sum.charged_back.plus(position.charged_back)?;
    }
    let decision = entries
        .last()
        .and_then(|entry| serde_json::from_str::<Decision>(&entry.decision).ok());
    for suspended in decision
        .map(|decision| decision.in_suspense)
        .unwrap_or_default()
    {
        if let Some(sum) = sums.get_mut(&suspended.currency()) {
            sum.in_suspense = sum.in_suspense.plus(suspended)?;
        }
    }
    for (currency, sum) in sums {
        // Only what the verdict calls settled may make up the rest.
        let rest = sum
            .captured
            .minus(sum.refunded)?
            .minus(sum.charged_back)?
            .minus(sum.in_suspense)?;
        let key = (row.shop.to_string(), currency);
        let book = books
            .entry(key)
            .or_insert_with(|| Statement::new(row.shop.as_str(), currency));
        let settled = rest_if(may_hold_settled(row.verdict), rest);
        book.add(&Statement { settled, ..sum })?;
    }
    Ok(())
}

fn rest_if(counts: bool, rest: Money) -> Money {
    if counts {
        rest
    } else {
        Money::zero(rest.currency())
    }
}

/// Verdicts under which money may pay a confirmed order.
fn may_hold_settled(verdict: Verdict) -> bool {
    match verdict {
        Verdict::Settled | Verdict::Refunding | Verdict::Held => true,
        Verdict::Open
        | Verdict::Matching
        | Verdict::Confirming
        | Verdict::Releasing
        | Verdict::Returned
        | Verdict::Closed
        | Verdict::Foreign => false,
    }
}

fn is_counted(
    checkout: &Checkout,
    payment: &crate::core::ids::PaymentRef,
    state: &crate::core::payment::Payment,
) -> bool {
    use crate::core::payment::Ownership;
    match state.ownership.as_ref().map(|stamped| stamped.value) {
        None | Some(Ownership::Ours | Ownership::Shared | Ownership::UnknownKind) => true,
        Some(Ownership::Unclaimed) => checkout.order.claims.contains(payment),
        Some(Ownership::BeforeSince | Ownership::WrongMode) => false,
    }
}
