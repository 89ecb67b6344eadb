//! The store in domain verbs: what is durable, and in which units it changes.
//!
//! Knows rows and transactions, not decisions. Every implementation passes the same laws
//! (`tests/it/store_laws`). A database error drops the whole transaction; nothing is rescued
//! inside one.

use crate::core::fact::BrakeCause;
use crate::core::ids::{AccountId, ActionKey, CheckoutId, OrderRef, PaymentRef, Reference, ShopId};
use crate::core::money::Money;
use crate::core::plan::{ActionKind, Destination, Planned, Reason, Verdict};
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

/// Who sent a delivery.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Sender {
    /// A PSP, for one account.
    Psp(AccountId),
    /// A shop.
    Shop(ShopId),
}

impl Sender {
    /// The text in the store: `psp:stripe_nl`, `shop:klompen`.
    pub fn code(&self) -> String {
        match self {
            Sender::Psp(account) => format!("psp:{account}"),
            Sender::Shop(shop) => format!("shop:{shop}"),
        }
    }

    /// Reads the text back.
    pub fn parse(text: &str) -> Option<Sender> {
        let (kind, key) = text.split_once(':')?;
        match kind {
            "psp" => AccountId::parse(key).ok().map(Sender::Psp),
            "shop" => ShopId::parse(key).ok().map(Sender::Shop),
            _ => None,
        }
    }
}

/// A verified delivery on its way into the inbox.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NewDelivery {
    /// Who sent it.
    pub sender: Sender,
    /// The sender's id for it, or the body's hash; unique per sender.
    pub delivery_id: String,
    /// When it arrived.
    pub received_at: Time,
    /// True when its signature was checked; false for schemes without one.
    pub is_signed: bool,
    /// The exact bytes.
    pub body: Vec<u8>,
}

/// What became of an appended delivery.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Appended {
    /// New, and now durable.
    New,
    /// Known already with the same body; nothing changed.
    Duplicate,
    /// Known already with another body; kept beside as parked, alarmed by the caller.
    Conflict,
}

/// A delivery in the inbox. `id` grows with time of arrival.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Delivery {
    /// The row's key.
    pub id: i64,
    /// What was appended.
    pub delivery: NewDelivery,
}

/// What the engine made of a delivery.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Disposition {
    /// Its facts are in the journals.
    Taken,
    /// Understood and of no concern.
    Ignored,
    /// Verified, but cannot be read or taken; kept and shown.
    Parked {
        /// A stable word, then detail.
        why: String,
    },
}

/// A parked delivery as shown to operators.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ParkedDelivery {
    /// The row's key.
    pub id: i64,
    /// Who sent it.
    pub sender: Sender,
    /// The sender's id.
    pub delivery_id: String,
    /// When it arrived.
    pub received_at: Time,
    /// Why it is parked.
    pub why: String,
}

/// A delivery that failed verification.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Quarantined {
    /// The row's key; 0 before it has one.
    pub id: i64,
    /// For whom it came.
    pub sender: Sender,
    /// When it arrived.
    pub received_at: Time,
    /// Why it failed.
    pub diagnosis: String,
    /// How it came: method, query and the header fields verification looks at, as JSON.
    pub envelope: String,
    /// The exact bytes.
    pub body: Vec<u8>,
}

/// Bounds of the quarantine; the oldest entries give way.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct QuarantineBounds {
    /// Most entries.
    pub entries_max: u32,
    /// Most bytes of bodies.
    pub bytes_max: u64,
}

/// One checkout as stored.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CheckoutRow {
    /// Ours.
    pub id: CheckoutId,
    /// The shop.
    pub shop: ShopId,
    /// The order's reference, if known.
    pub reference: Option<Reference>,
    /// Where it stands.
    pub verdict: Verdict,
    /// Why.
    pub reason: Reason,
    /// Since when the verdict stands.
    pub since: Time,
    /// When it was made.
    pub created_at: Time,
    /// Captured money that is neither settled nor back; the first currency's.
    pub in_suspense: Option<Money>,
    /// When to look again.
    pub wake_at: Option<Time>,
    /// Grows by one with every commit; starts at 1.
    pub version: i64,
    /// Hash of the latest journal entry, hex.
    pub head: String,
    /// The state, as JSON.
    pub document: String,
}

/// A checkout with its standing actions.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LoadedCheckout {
    /// The row.
    pub row: CheckoutRow,
    /// Its actions.
    pub actions: Vec<ActionRow>,
}

/// One wanted action as stored.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ActionRow {
    /// The checkout that wants it.
    pub checkout: CheckoutId,
    /// The shop of that checkout.
    pub shop: ShopId,
    /// The decision's key, unique within the checkout.
    pub key: ActionKey,
    /// What to do.
    pub planned: Planned,
    /// Attempts leased so far.
    pub attempts: u32,
    /// When the latest attempt was leased.
    pub last_sent_at: Option<Time>,
    /// The standing lease.
    pub lease: Option<Lease>,
}

/// The right to carry out one attempt.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Lease {
    /// Who holds it; unique per lease.
    pub token: String,
    /// Until when.
    pub until: Time,
}

/// What to load for a batch.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Wanted {
    /// By our id.
    pub checkouts: Vec<CheckoutId>,
    /// By order.
    pub orders: Vec<OrderRef>,
    /// By payment.
    pub payments: Vec<PaymentRef>,
}

/// What was found.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Found {
    /// The checkouts, by our id.
    pub checkouts: BTreeMap<CheckoutId, LoadedCheckout>,
    /// Which of them has the order.
    pub orders: BTreeMap<OrderRef, CheckoutId>,
    /// Which of them has the payment.
    pub payments: BTreeMap<PaymentRef, CheckoutId>,
}

/// One entry of a checkout's journal.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct JournalEntry {
    /// Which checkout.
    pub checkout: CheckoutId,
    /// The checkout's version after it; the first is 1.
    pub seq: i64,
    /// When.
    pub at: Time,
    /// The facts learned, as a JSON array.
    pub facts: String,
    /// The decision: verdict, reason, actions, wake-up, as JSON.
    pub decision: String,
    /// Hash of the entry before, hex; empty for the first.
    pub previous: String,
    /// SHA-256 over `previous`, checkout, seq, at, facts and decision, hex.
    pub hash: String,
}

/// One checkout's part of a commit.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CheckoutCommit {
    /// The new row; `version` is the new version.
    pub row: CheckoutRow,
    /// The journal entry with `seq == row.version`.
    pub entry: JournalEntry,
    /// The whole set of wanted actions: new ones are added, known ones get the new due time and
    /// content unless leased, others are removed unless leased.
    pub actions: Vec<Planned>,
    /// Leases that end with this commit: the action, and the token that must still hold it. A
    /// lease that is held by another token by now is left alone.
    pub released: Vec<(ActionKey, String)>,
    /// Payments that from now on live here.
    pub payments: Vec<PaymentRef>,
}

/// What counts towards the guard's limits.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum TallyKind {
    /// A payment was first seen captured.
    Capture,
    /// A refund was leased for its first attempt.
    Refund,
    /// The shop answered a question about an order for the first time in this checkout.
    OrderAnswered,
    /// … and the answer was `unknown`.
    OrderUnknown,
}

impl TallyKind {
    /// The word in the store.
    pub fn code(self) -> &'static str {
        match self {
            TallyKind::Capture => "capture",
            TallyKind::Refund => "refund",
            TallyKind::OrderAnswered => "order_answered",
            TallyKind::OrderUnknown => "order_unknown",
        }
    }
}

/// One thing counted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Tally {
    /// For which shop.
    pub shop: ShopId,
    /// When.
    pub at: Time,
    /// What.
    pub kind: TallyKind,
    /// Its amount, where it has one.
    pub amount: Option<Money>,
}

/// What one shop's tallies sum to over a window.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct TallySums {
    /// Count per kind.
    pub counts: BTreeMap<TallyKind, u64>,
    /// Sums of refunds, one entry per currency.
    pub refunded: Vec<Money>,
}

/// A unit of change: all of it or none of it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct CommitUnit {
    /// Checkouts that change together.
    pub checkouts: Vec<CheckoutCommit>,
    /// Deliveries that are dealt with by this change.
    pub deliveries: Vec<(i64, Disposition)>,
    /// What counts.
    pub tallies: Vec<Tally>,
    /// Greatest epoch heard from a shop.
    pub epochs: Vec<(ShopId, u64)>,
}

/// What became of a unit.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Committed {
    /// Durable.
    Done,
    /// A checkout had moved, or was made meanwhile, or a payment lives elsewhere by now, or a
    /// delivery was dealt with: nothing of this unit happened; load and decide again.
    Conflict,
}

/// Which actions may be leased now.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LeaseRequest {
    /// Due by now.
    pub now: Time,
    /// The lease runs until then.
    pub until: Time,
    /// Prefix of the tokens to give out; the store appends something unique.
    pub holder: String,
    /// At most so many.
    pub limit: u32,
    /// At most so many per destination; a destination with zero or without an entry gets none.
    pub room: BTreeMap<Destination, u32>,
    /// False keeps refunds and voids back (own downtime not yet swept, brake, draining).
    pub with_refunds: bool,
}

/// What the dispatcher got.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Leased {
    /// Carry out this attempt (`attempts` counts it already).
    Attempt(ActionRow),
    /// The lease of the latest attempt ran out with no answer recorded: report that attempt as
    /// unclear under the given token; do not send.
    Lost(ActionRow),
}

/// A sweep's mark: how far a listing was read whole.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SweepMark {
    /// The account.
    pub account: AccountId,
    /// Which listing.
    pub listing: u8,
    /// Everything before this was listed whole at least once.
    pub mark: Time,
    /// When the latest whole sweep ended.
    pub swept_at: Option<Time>,
    /// What stopped the latest sweep, if it was stopped.
    pub last_error: Option<String>,
}

/// What the store keeps about a shop.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ShopRow {
    /// The shop.
    pub shop: ShopId,
    /// The greatest epoch heard.
    pub epoch: Option<u64>,
    /// The standing brake.
    pub brake: Option<(BrakeCause, Time)>,
}

/// Filter and order of a list of checkouts: those in trouble longest come first.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct CheckoutFilter {
    /// Of this shop.
    pub shop: Option<ShopId>,
    /// With one of these verdicts; empty for all.
    pub verdicts: Vec<Verdict>,
    /// Whose verdict stands since before this.
    pub since_before: Option<Time>,
    /// With this reference.
    pub reference: Option<Reference>,
    /// After this position: the last row's `(since, id)`.
    pub after: Option<(Time, CheckoutId)>,
    /// At most so many.
    pub limit: u32,
}

/// One line of the overview: checkouts of a shop by verdict.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct VerdictCount {
    /// The shop.
    pub shop: ShopId,
    /// The verdict.
    pub verdict: Verdict,
    /// How many.
    pub count: u64,
    /// Their money in suspense, one entry per currency.
    pub in_suspense: Vec<Money>,
    /// Since when the oldest stands.
    pub oldest: Option<Time>,
}

/// Sizes and ages that on-call asks for.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Backlog {
    /// Deliveries waiting for the engine.
    pub deliveries_pending: u64,
    /// When the oldest of them arrived.
    pub oldest_delivery: Option<Time>,
    /// Deliveries parked.
    pub deliveries_parked: u64,
    /// Entries in quarantine.
    pub quarantined: u64,
    /// Actions wanted, per kind.
    pub actions: BTreeMap<ActionKind, u64>,
    /// Due time of the most overdue action.
    pub oldest_due: Option<Time>,
}

/// How long what is kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Retention {
    /// Bodies of deliveries that were dealt with (their ids stay until `checkouts`).
    pub bodies: Span,
    /// Checkouts at rest, with their journals, payments and delivery ids.
    pub checkouts: Span,
    /// Most rows touched by one pruning step.
    pub rows_max: u32,
}

/// The store.
#[async_trait]
pub trait Store: Send + Sync + 'static {
    /// Appends deliveries in one durable transaction (committed and synced on return). One
    /// result per delivery, in order; a repetition within the batch counts as known.
    async fn append(&self, batch: &[NewDelivery]) -> Result<Vec<Appended>, StoreError>;

    /// Deliveries waiting for the engine, oldest first.
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

    /// Checkouts whose wake-up is due, longest overdue first.
    async fn due(&self, now: Time, limit: u32) -> Result<Vec<CheckoutId>, StoreError>;

    /// The earliest wake-up and the earliest due or expiring action.
    async fn next_due(&self) -> Result<Option<Time>, StoreError>;

    /// Leases due actions, longest overdue first, and finds lost leases.
    async fn lease(&self, request: &LeaseRequest) -> Result<Vec<Leased>, StoreError>;

    /// Gives a lease back unused (`attempts` goes back by one); for draining.
    async fn unlease(
        &self,
        checkout: &CheckoutId,
        key: &ActionKey,
        token: &str,
    ) -> Result<(), StoreError>;

    /// Asks for a refund's way out, in one transaction: judges with `judge` over the shop's row
    /// and its tallies since `since`; when it passes, counts `tally` for a first attempt.
    async fn admit_refund(
        &self,
        tally: &Tally,
        since: Time,
        is_first_attempt: bool,
        judge: &(dyn Fn(&ShopRow, &TallySums) -> Result<(), BrakeCause> + Send + Sync),
    ) -> Result<Result<(), BrakeCause>, StoreError>;

    /// Sets or clears a shop's brake.
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

    /// A checkout's journal, oldest first, after a position.
    async fn journal(
        &self,
        checkout: &CheckoutId,
        after: i64,
        limit: u32,
    ) -> Result<Vec<JournalEntry>, StoreError>;

    /// Counts by shop and verdict. Reads only what is not at rest, plus kept counters.
    async fn overview(&self) -> Result<Vec<VerdictCount>, StoreError>;

    /// Sizes and ages.
    async fn backlog(&self) -> Result<Backlog, StoreError>;

    /// One bounded step of pruning; the number of rows touched, 0 when there is nothing left.
    async fn prune(&self, now: Time, retention: Retention) -> Result<u64, StoreError>;

    /// A trivial write and read, for readiness and the watchdog.
    async fn probe(&self, now: Time) -> Result<(), StoreError>;

    /// Lets go of files and connections.
    async fn close(&self);
}
