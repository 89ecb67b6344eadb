//! The store in domain verbs: what is durable, and in which units it changes.
//!
//! Knows rows and transactions, not decisions. Every implementation passes the same laws
//! (`tests/it/store_laws`). A database error drops the whole transaction; nothing is rescued
//! inside one.

mod admission;
mod books;
pub mod calls;
pub mod copy;
mod digest;
mod failure;
mod inbox;
pub mod journal;
mod leases;
mod likeness;
mod loaded;
pub mod memory;
pub mod place;
pub mod postgres;
mod rows;
#[cfg(test)]
pub(crate) mod sample;
mod schema;
pub mod sqlite;
mod standing;
mod sums;
mod turns;
mod units;
mod watch;

pub use inbox::{
    Appended, Delivery, Disposition, NewDelivery, ParkedDelivery, QuarantineBounds, Quarantined,
    Sender, ToldAt,
};
pub use likeness::{ALIKE_WITHIN, Lookalike, Sighting};
pub use units::{
    ActionRow, CheckoutCommit, CheckoutRow, ClaimRequest, Claimed, CommitUnit, Committed, Found,
    JournalEntry, Lease, LeaseRequest, Leased, LoadedCheckout, Wanted,
};
pub use watch::{
    Backlog, CheckoutFilter, Retention, ShopRow, Stamp, SweepMark, Tally, TallyKind, TallySums,
    VerdictCount,
};

use crate::core::fact::BrakeCause;
use crate::core::ids::{AccountId, CheckoutId, CheckoutRef, Reference, ShopId};
use crate::core::plan::{Reason, Verdict};
use crate::core::time::{Span, Time};
use async_trait::async_trait;
use std::collections::BTreeMap;

/// Why the store did not do it, named for the next act.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// Cannot be written or reached now (disk full, locked, connection lost): try again later,
    /// tell senders 503.
    #[error("store unavailable: {0}")]
    Unavailable(String),
    /// A row holds what it must not hold.
    #[error("corrupt row in {table}.{column} at {row}: {detail}")]
    Corrupt {
        /// The table.
        table: &'static str,
        /// The column.
        column: &'static str,
        /// The row's key.
        row: String,
        /// What is wrong.
        detail: String,
    },
    /// The schema is newer or other than this program knows.
    #[error("schema: {0}")]
    Schema(String),
}

impl StoreError {
    /// A stable word.
    pub fn code(&self) -> &'static str {
        match self {
            StoreError::Unavailable(_) => "store_unavailable",
            StoreError::Corrupt { .. } => "store_corrupt",
            StoreError::Schema(_) => "store_schema",
        }
    }
}

/// Tallies are let go of after this long; the guard looks back an hour.
const TALLIES_KEPT: Span = Span::from_hours(48);

/// Checkouts read in one step where a store has no index over what moved.
const MOVED_PAGE: u32 = 500;

/// Judges whether a refund may leave, over the shop's row and its tallies.
pub type RefundJudge<'a> =
    dyn Fn(&ShopRow, &TallySums) -> Result<(), BrakeCause> + Send + Sync + 'a;

/// The store.
#[async_trait]
pub trait Store: Send + Sync + 'static {
    /// True when transactions that write go on beside each other; otherwise each waits for the one
    /// before.
    fn writes_at_once(&self) -> bool {
        false
    }

    /// How many reads may be under way at once without one waiting for another's connection.
    fn reads_at_once(&self) -> usize {
        1
    }

    /// Appends deliveries in one durable transaction (committed and synced on return). One
    /// result per delivery, in order; a repetition within the batch counts as known.
    async fn append(&self, batch: &[NewDelivery]) -> Result<Vec<Appended>, StoreError>;

    /// Deliveries waiting for the engine, oldest first; when there are more, their senders take
    /// turns.
    async fn pending(&self, limit: u32) -> Result<Vec<Delivery>, StoreError>;

    /// Parked deliveries, latest first.
    async fn parked(&self, limit: u32) -> Result<Vec<ParkedDelivery>, StoreError>;

    /// Puts a failed delivery into quarantine and lets the oldest give way.
    async fn quarantine(
        &self,
        entry: &Quarantined,
        bounds: QuarantineBounds,
    ) -> Result<(), StoreError>;

    /// The quarantine, latest first.
    async fn quarantined(&self, limit: u32) -> Result<Vec<Quarantined>, StoreError>;

    /// One entry of the quarantine.
    async fn quarantined_one(&self, id: i64) -> Result<Option<Quarantined>, StoreError>;

    /// Moves an entry, verified by now, from quarantine to the inbox in one transaction.
    async fn requeue(&self, id: i64, delivery: &NewDelivery) -> Result<Appended, StoreError>;

    /// Loads checkouts with their standing actions.
    async fn load(&self, wanted: &Wanted) -> Result<Found, StoreError>;

    /// Commits units in one transaction; a conflicting unit drops out alone. One result per
    /// unit, in order.
    async fn commit(&self, units: &[CommitUnit]) -> Result<Vec<Committed>, StoreError>;

    /// Checkouts whose wake-up is due, longest overdue first; when there are more, their shops take
    /// turns.
    async fn due(&self, now: Time, limit: u32) -> Result<Vec<CheckoutRef>, StoreError>;

    /// Takes work for the engine: deliveries as `pending` and checkouts as `due` name them. Where
    /// processes share the store, what another one took is left out until its claim ends; taking
    /// again gives back what was taken before. A claim saves work and is no right to anything.
    async fn claim(&self, request: &ClaimRequest) -> Result<Claimed, StoreError> {
        Ok(Claimed {
            deliveries: self.pending(request.deliveries).await?,
            checkouts: self.due(request.now, request.checkouts).await?,
        })
    }

    /// The earliest wake-up and the earliest due or expiring action.
    async fn next_due(&self) -> Result<Option<Time>, StoreError>;

    /// Leases due actions, longest overdue first, and finds lost leases; when more are due, their
    /// destinations take turns.
    async fn lease(&self, request: &LeaseRequest) -> Result<Vec<Leased>, StoreError>;

    /// Ends the leases of processes that are gone; their number. Called once at start, before
    /// anything is leased. A store that one process has to itself ends all of them: who held one
    /// cannot live. What they were for is found lost, and never due again by this alone. A store
    /// that processes share ends none: who holds one may live, and one that ran out is found lost
    /// anyway.
    async fn end_orphaned_leases(&self, now: Time) -> Result<u64, StoreError>;

    /// Asks for a refund's way out, in one transaction: judges with `judge` over the shop's row
    /// and its tallies since `since`; when it passes, counts `tally` for a first attempt.
    async fn admit_refund(
        &self,
        tally: &Tally,
        since: Time,
        is_first_attempt: bool,
        judge: &RefundJudge<'_>,
    ) -> Result<Result<(), BrakeCause>, StoreError>;

    /// Sets or clears a shop's brake. Clearing it forgets what counted towards the guard's limits,
    /// or the next refund would pull it again at once.
    async fn set_brake(
        &self,
        shop: &ShopId,
        brake: Option<(BrakeCause, Time)>,
    ) -> Result<(), StoreError>;

    /// What is kept about a shop; the default row when nothing is.
    async fn shop(&self, shop: &ShopId) -> Result<ShopRow, StoreError>;

    /// A shop's tallies since a moment.
    async fn tallies(&self, shop: &ShopId, since: Time) -> Result<TallySums, StoreError>;

    /// When the account was first started; records `now` the first time.
    async fn first_start(&self, account: &AccountId, now: Time) -> Result<Time, StoreError>;

    /// All sweep marks.
    async fn sweep_marks(&self) -> Result<Vec<SweepMark>, StoreError>;

    /// Records a sweep's end. The mark never moves back.
    async fn set_sweep_mark(&self, mark: &SweepMark) -> Result<(), StoreError>;

    /// Checkouts by filter, oldest trouble first.
    async fn checkouts(&self, filter: &CheckoutFilter) -> Result<Vec<LoadedCheckout>, StoreError>;

    /// The order of a shop that came to stand so last, but not after `before`: the newest of those
    /// with this verdict and reason that have a reference.
    async fn newest_order(
        &self,
        shop: &ShopId,
        standing: (Verdict, Reason),
        before: Time,
    ) -> Result<Option<(Time, Reference)>, StoreError>;

    /// Settled orders paid at or after a moment that look like another one, latest first.
    async fn lookalikes(&self, since: Time, limit: u32) -> Result<Vec<Lookalike>, StoreError>;

    /// Which of these checkouts look like another one, and like which.
    async fn twins(
        &self,
        checkouts: &[CheckoutRef],
    ) -> Result<BTreeMap<CheckoutId, CheckoutId>, StoreError>;

    /// Notes that a daemon starts on this store at `home`, a word that is the same at every start
    /// in the same place; counts the start and tells where the one before was.
    async fn stamp(&self, home: &str, now: Time) -> Result<Stamp, StoreError>;

    /// A checkout's journal, oldest first, after a position.
    async fn journal(
        &self,
        checkout: &CheckoutId,
        after: i64,
        limit: u32,
    ) -> Result<Vec<JournalEntry>, StoreError>;

    /// Checkouts in the order of their ids, each with its whole journal, after an id: the books
    /// as an audit reads them, each checkout and its journal of one moment.
    async fn audit_page(
        &self,
        after: Option<&CheckoutId>,
        limit: u32,
    ) -> Result<Vec<(CheckoutRow, Vec<JournalEntry>)>, StoreError>;

    /// The last checkout of the page that `audit_page` would give; none when it would be empty.
    async fn audit_mark(
        &self,
        after: Option<&CheckoutId>,
        limit: u32,
    ) -> Result<Option<CheckoutId>, StoreError> {
        let page = self.audit_page(after, limit).await?;
        Ok(page.into_iter().next_back().map(|(row, _)| row.id))
    }

    /// Checkouts that changed at or after a moment or are not at rest, in the order of their ids:
    /// all whose money a day's books may have to show. Those that are `open`, and so never held
    /// money, need not be among them. Begins after the id given. No more are told than the limit, and
    /// perhaps fewer; none are left when none are told.
    async fn moved_since(
        &self,
        since: Time,
        after: Option<&CheckoutId>,
        limit: u32,
    ) -> Result<Vec<CheckoutId>, StoreError> {
        let most = usize::try_from(limit).unwrap_or(usize::MAX);
        let mut moved = Vec::new();
        let mut after = after.cloned();
        loop {
            let page = self.audit_page(after.as_ref(), MOVED_PAGE).await?;
            let Some((last, _)) = page.last().filter(|_| moved.len() < most) else {
                moved.truncate(most);
                return Ok(moved);
            };
            after = Some(last.id.clone());
            for (row, entries) in page {
                let changed_at = entries.last().map(|entry| entry.at);
                if changed_at >= Some(since) || row.wake_at.is_some() || !row.verdict.is_at_rest() {
                    moved.push(row.id);
                }
            }
        }
    }

    /// These checkouts as `audit_page` gives them, in the order of their ids.
    async fn books(
        &self,
        ids: &[CheckoutId],
    ) -> Result<Vec<(CheckoutRow, Vec<JournalEntry>)>, StoreError> {
        let wanted = Wanted {
            ids: ids.to_vec(),
            ..Wanted::default()
        };
        let mut books = Vec::new();
        for (id, loaded) in self.load(&wanted).await?.checkouts {
            books.push((loaded.row, self.journal(&id, 0, u32::MAX).await?));
        }
        Ok(books)
    }

    /// Counts by shop and verdict. Reads only what is not at rest, plus kept counters.
    async fn overview(&self) -> Result<Vec<VerdictCount>, StoreError>;

    /// Sizes and ages.
    async fn backlog(&self) -> Result<Backlog, StoreError>;

    /// One bounded step of pruning; the number of rows touched, 0 when there is nothing left.
    /// What waits stays whatever its age: pending deliveries, checkouts that are not at rest,
    /// have a wake-up or a standing lease.
    async fn prune(&self, now: Time, retention: Retention) -> Result<u64, StoreError>;

    /// A trivial write and read, for readiness and the watchdog.
    async fn probe(&self, now: Time) -> Result<(), StoreError>;

    /// Moves what was committed to its resting place, where a store keeps the two apart; to be
    /// called a few times a second, beside the writing and not in its way.
    async fn checkpoint(&self) -> Result<(), StoreError>;

    /// Lets go of files and connections.
    async fn close(&self);
}
