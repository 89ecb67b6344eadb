//! The proof of the books: every journal chained, every state rebuilt, every cent accounted for.
//!
//! Reads the store and nothing else; it shares no code with the engine beyond the core's own
//! `observe`, so that a mistake there is found here.

pub mod day;
pub mod statement;

use crate::core::checkout::Checkout;
use crate::core::fact::Fact;
use crate::core::ids::CheckoutId;
use crate::core::money::{Currency, Money, MoneyError};
use crate::core::payment::PaymentStatus;
use crate::core::plan::{Decision, Verdict};
use crate::core::reconcile::position::Position;
use crate::store::journal;
use crate::store::{CheckoutRow, JournalEntry, Store, StoreError};
use futures_util::stream::{self, Stream, TryStreamExt};
use serde::Serialize;
use std::collections::BTreeMap;
use std::num::NonZero;
use tokio::sync::{Semaphore, SemaphorePermit};

/// Checkouts read in one step.
const PAGE: u32 = 500;
/// Pages under way at once for each processor: while one is proven others are read and taken apart.
const PAGES_EACH: usize = 3;
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

type Page = Vec<(CheckoutRow, Vec<JournalEntry>)>;

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

/// As `run`, with several pages read and proven at once for each processor. Needs tokio's runtime; holds
/// as many.
pub async fn run_on_all_processors(store: &dyn Store) -> Result<Report, StoreError> {
    let processors = std::thread::available_parallelism().map_or(1, NonZero::get);
    let width = processors.saturating_mul(PAGES_EACH);
    let reader = &Reader {
        store,
        turns: Semaphore::new(store.reads_at_once().min(processors)),
    };
    let parts = stretches(reader).map_ok(|stretch| stretch.prove(reader));
    let mut parts = std::pin::pin!(parts.try_buffered(width));
    let mut whole = Part::default();
    while let Some(part) = parts.try_next().await? {
        whole.add(part);
    }
    Ok(whole.ended())
}

/// A store that is asked no more at once than it has connections, so that none is waited for however long
/// an answer takes, and no more than there are processors, so that answers do not slow each other down.
struct Reader<'s> {
    store: &'s dyn Store,
    turns: Semaphore,
}

impl Reader<'_> {
    async fn turn(&self) -> Result<SemaphorePermit<'_>, StoreError> {
        let turn = self.turns.acquire().await;
        turn.map_err(|error| StoreError::Unavailable(error.to_string()))
    }

    async fn mark(&self, after: Option<&CheckoutId>) -> Result<Option<CheckoutId>, StoreError> {
        let _turn = self.turn().await?;
        self.store.audit_mark(after, PAGE).await
    }

    async fn page(&self, after: Option<&CheckoutId>) -> Result<Page, StoreError> {
        let _turn = self.turn().await?;
        self.store.audit_page(after, PAGE).await
    }
}

/// Checkouts after one of them, or from the first, up to another, in the order of their ids.
struct Stretch {
    after: Option<CheckoutId>,
    last: CheckoutId,
}

/// All there are now, a page each.
fn stretches(reader: &Reader<'_>) -> impl Stream<Item = Result<Stretch, StoreError>> {
    stream::try_unfold(None, async move |after: Option<CheckoutId>| {
        let last = reader.mark(after.as_ref()).await?;
        Ok(last.map(|last| {
            let next = Some(last.clone());
            (Stretch { after, last }, next)
        }))
    })
}

impl Stretch {
    /// Meanwhile checkouts may have come to be in it, and others have gone.
    async fn prove(self, reader: &Reader<'_>) -> Result<Part, StoreError> {
        let mut whole = Part::default();
        let mut after = self.after;
        while after.as_ref() < Some(&self.last) {
            let mut page = reader.page(after.as_ref()).await?;
            let Some((last, _)) = page.last() else { break };
            after = Some(last.id.clone());
            page.retain(|(row, _)| row.id <= self.last);
            let proven = tokio::task::spawn_blocking(move || Part::of(&page)).await;
            whole.add(proven.map_err(|error| {
                StoreError::Unavailable(format!("a page was not proven: {error}"))
            })?);
        }
        Ok(whole)
    }
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::memory::MemoryStore;
    use crate::store::sample::{captured, eur, minute, policy, seen, write};

    #[tokio::test]
    async fn a_stretch_is_what_lies_in_it_however_much_has_come_or_gone_since_it_was_marked() {
        let store = MemoryStore::new();
        let policy = policy();
        let reader = Reader {
            store: &store,
            turns: Semaphore::new(store.reads_at_once()),
        };
        for n in 0..1_100 {
            let fact = seen(captured(&format!("pi_{n}"), eur(100), minute(1)));
            let moments = [(minute(1), vec![fact])];
            write(&store, &format!("ck_{n:04}"), None, &moments, &policy).await;
        }
        let id = |id: &str| CheckoutId::parse(id).unwrap();
        for (after, last, count) in [
            (None, "ck_0499", 500),
            (Some("ck_0009"), "ck_0799", 790),
            (Some("ck_1049"), "ck_2000", 50),
            (Some("ck_1099"), "ck_2000", 0),
        ] {
            let stretch = Stretch {
                after: after.map(id),
                last: id(last),
            };
            let report = stretch.prove(&reader).await.unwrap().ended();
            assert_eq!((report.checkouts, report.entries), (count, count));
            assert!(report.is_clean(), "{:?}", report.differences);
        }
        let marked: Vec<Stretch> = stretches(&reader).try_collect().await.unwrap();
        let ends: Vec<&str> = marked.iter().map(|one| one.last.as_str()).collect();
        assert_eq!(ends, ["ck_0499", "ck_0999", "ck_1099"]);
    }
}
