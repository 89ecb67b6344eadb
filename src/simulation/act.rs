//! What people and machines outside do in a run, as values with a moment: nothing here happens
//! by chance any more.
//!
//! A story's acts are about its own order and payments, which are numbered within it.

use super::network::Side;
use crate::core::time::{Span, Time};

/// One thing that happens in a story.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Act {
    /// The order is placed; told to nobody when quiet.
    Place {
        /// Without an event.
        quietly: bool,
        /// Names the payments that were started so far.
        names_payments: bool,
        /// The shop gives it up so long after.
        expires_in: Option<Span>,
    },
    /// A payment of this amount is opened and waits for its payer.
    Open(i64),
    /// A payment of this amount is paid at once.
    Pay(i64),
    /// The same without a reference on it.
    PayUnnamed(i64),
    /// The same in the other mode.
    PayInOtherMode(i64),
    /// A payment of this amount is authorised.
    Authorise(i64),
    /// The payer pays.
    Succeed(usize),
    /// The payer's attempt fails.
    Fail(usize),
    /// The bank works on it.
    Process(usize),
    /// The shop captures.
    Capture(usize),
    /// The money is taken once more.
    CaptureAgain(usize),
    /// The payment lapses.
    Expire(usize),
    /// A capture arrives right before the next attempt to void.
    SlipIn(usize),
    /// Staff refunds this much, or all that is left.
    StaffRefund(usize, Option<i64>),
    /// The payer disputes.
    Dispute(usize),
    /// The bank decides for the shop, or for the payer.
    CloseDispute(usize, bool),
    /// The latest refund of it fails after all.
    FailRefund(usize),
    /// The order is cancelled.
    Cancel {
        /// Without an event.
        quietly: bool,
        /// Money for it may bring it back.
        revivable: bool,
    },
    /// The shop confirms by itself: by this payment, by none that it names, or by a stranger's.
    ConfirmItself(PaidBy),
    /// Staff changes what the order costs.
    Reprice(i64),
    /// The goods leave.
    Ship,
    /// The next confirms are answered with "not yet".
    NotYet(u32),
    /// The PSP's lists show the payment no more, or again.
    Hide(usize, bool),
    /// The PSP tells once more that it was paid.
    TellAgain(usize),
}

/// What a shop says its order was paid by.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PaidBy {
    /// A payment of the story.
    Payment(usize),
    /// It does not say.
    Nobody,
    /// A payment that the daemon does not know.
    Stranger,
}

/// What the end of a story may be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Expects {
    /// Order or money, without anyone's doing.
    Calm,
    /// Order or money, or held by name.
    Anything,
}

/// One customer's story.
#[derive(Clone, Debug)]
pub struct Story {
    /// Its number in the run.
    pub number: usize,
    /// The order's reference.
    pub reference: String,
    /// What the order costs when it is placed, in minor units.
    pub price: i64,
    /// What happens, in order.
    pub acts: Vec<(Time, Act)>,
    /// How it may end.
    pub expects: Expects,
    /// What it is, for the trace.
    pub title: String,
}

/// One thing that happens to everybody.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Common {
    /// Something goes away, or comes back.
    Outage(Away, bool),
    /// A daemon dies, at once or at one of its next steps.
    Crash(usize),
    /// A daemon stands still so long.
    Pause(usize, Span),
    /// A daemon's clock is off by so many microseconds from now on.
    Skew(usize, i64),
    /// Every payment is left out of the PSP's lists, or none.
    ListsLag(bool),
    /// Refunds wait for the balance from now on, or no more.
    BalanceLow(bool),
    /// Refunds take their time from now on, or no more.
    RefundsSlow(bool),
    /// An operator looks at what is held.
    OperatorLooks(u32),
    /// The shop's backup is made.
    Backup,
    /// The shop is restored from it.
    Restore,
    /// The shop knows no order, or all again.
    Forgets(bool),
    /// A secret is changed outside.
    Rotate(Secret),
    /// The daemon is told of all that was changed.
    Reload,
    /// All trouble ends.
    Heal,
}

/// What may go away for a while.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Away {
    /// The PSP or the shop.
    Outside(Side),
    /// The store.
    Store,
}

/// What may be changed outside before the daemon is told.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Secret {
    /// What the PSP signs with.
    Webhook,
    /// What the shop signs and checks with.
    Shop,
    /// The key that the PSP takes.
    Api,
}
