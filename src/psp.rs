//! What a PSP adapter is: verify and read deliveries, build requests, read answers.
//!
//! Pure over bytes: an adapter does no I/O and knows no shop, store or decision. Adding a PSP
//! is one new file here, its fixtures, one line in the registry and one row in the README.

pub mod adyen;
pub mod inquiry;
mod json;
pub mod mollie;
pub mod multisafepay;
pub mod paypal;
pub mod report;
pub mod rules;
pub mod stripe;

use crate::core::ids::{AccountId, ActionKey, ExternalRef};
use crate::core::money::Money;
use crate::core::payment::PaymentSnapshot;
use crate::core::plan::Reason;
use crate::core::policy::AccountTraits;
use crate::core::time::{Span, Time};
pub use crate::wire::{
    Failure, RawDelivery, Rejection, Unreadable, Verification, is_usual_signature_field,
};
use crate::wire::{Reply, Request};
use inquiry::{Findings, Inquiry, Needs};
use report::{BadReport, ReportPart, ReportReading};

/// What a verified delivery says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Reading {
    /// Statements about payments, and payments that must be fetched to be understood.
    Seen {
        /// Statements.
        payments: Vec<PaymentSnapshot>,
        /// Payments that the delivery names but says nothing usable about.
        hints: Vec<ExternalRef>,
    },
    /// Understood and of no concern to us (an event about payouts, say).
    Ignored {
        /// The PSP's own word for it, for the counters; bounded and printable.
        what: String,
    },
}

/// The acknowledgement a PSP wants.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Acknowledgement {
    /// A 2xx.
    pub status: u16,
    /// The content type; none for an empty body.
    pub content_type: Option<&'static str>,
    /// The body.
    pub body: &'static str,
}

/// A question or order to a PSP.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum PspAsk {
    /// Read one payment with its refunds and disputes.
    Fetch {
        /// Which.
        payment: ExternalRef,
    },
    /// Give money back.
    Refund {
        /// Which payment.
        payment: ExternalRef,
        /// How much; above zero.
        amount: Money,
        /// The decision's key: idempotency key and mark.
        key: ActionKey,
        /// Why.
        why: Reason,
    },
    /// Give all of a payment back, or release it if it was not taken; asked only of a PSP that
    /// has one order for both.
    Reverse {
        /// Which payment.
        payment: ExternalRef,
        /// How much that is; above zero.
        amount: Money,
        /// The decision's key: idempotency key and mark.
        key: ActionKey,
    },
    /// Release an authorisation.
    Void {
        /// Which payment.
        payment: ExternalRef,
        /// The decision's key.
        key: ActionKey,
        /// Why.
        why: Reason,
    },
    /// Cancel a refund that still waits.
    CancelRefund {
        /// Of which payment.
        payment: ExternalRef,
        /// The PSP's id of the refund.
        refund: ExternalRef,
        /// The decision's key.
        key: ActionKey,
    },
    /// One page of payments in a window of the PSP's clock.
    List {
        /// Which listing; an adapter numbers its ways of listing from 0 (by creation, by money).
        listing: u8,
        /// From, included.
        from: Time,
        /// To, excluded.
        to: Time,
        /// The page, as the last answer named it; none for the first.
        cursor: Option<String>,
    },
}

/// The next step of an exchange, given the replies so far.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Step {
    /// Send this and come back with its reply appended.
    Send(Request),
    /// The exchange is over.
    Done(PspAnswer),
}

/// How an exchange ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum PspAnswer {
    /// What a fetch, refund or void showed.
    Seen(Vec<PaymentSnapshot>),
    /// One page of a listing. Payments that the page names but does not describe enough are in
    /// `hints`.
    Page {
        /// Statements.
        payments: Vec<PaymentSnapshot>,
        /// Payments to fetch.
        hints: Vec<ExternalRef>,
        /// The next page; none when this was the last.
        next: Option<String>,
    },
    /// No usable answer, and what kind of none.
    Failed(Failure),
}

/// One PSP account, ready to verify, read, ask and understand.
pub trait Psp: Send + Sync + 'static {
    /// The configuration's word for this kind.
    fn kind(&self) -> &'static str;

    /// The account's key.
    fn account(&self) -> &AccountId;

    /// What it can do.
    fn traits(&self) -> AccountTraits;

    /// Checks a delivery over its raw bytes, in constant time, against every live secret.
    fn verify(&self, delivery: &RawDelivery<'_>, now: Time) -> Verification;

    /// When what a verified delivery tells of happened, if it says so and says the same whenever it
    /// is sent. Nothing is decided by it; deliveries of one time are kept together.
    fn told_at(&self, _body: &[u8]) -> Option<Time> {
        None
    }

    /// True when deliveries may also come by `GET`.
    fn takes_get(&self) -> bool {
        false
    }

    /// True for the header fields (names in lower case) that `verify` looks at: kept with a
    /// rejected delivery so that it can be verified again. Must not name fields that hold a
    /// reusable credential.
    fn is_signature_field(&self, name: &str) -> bool {
        is_usual_signature_field(name)
    }

    /// Reads a delivery that was verified (`is_signed`) or came without a scheme. The body of one
    /// that came by `GET` is its query.
    fn read(&self, body: &[u8], is_signed: bool, received_at: Time) -> Result<Reading, Unreadable>;

    /// Reads a part of a report file that an operator imports. It is not signed, and says no more
    /// than signed deliveries do.
    fn read_report(
        &self,
        _part: ReportPart<'_>,
        _received_at: Time,
    ) -> Result<ReportReading, BadReport> {
        Err(BadReport("this PSP has no report to import".to_owned()))
    }

    /// The acknowledgement this PSP wants, for new, repeated and unreadable deliveries alike.
    fn acknowledgement(&self) -> Acknowledgement;

    /// How many ways of listing a sweep must go through; 0 when the PSP has no list.
    fn listings(&self) -> u8;

    /// True when one order gives back or releases all of a payment, whichever is right: it is asked
    /// instead of a refund of all that was taken.
    fn reverses(&self) -> bool {
        false
    }

    /// How long after its creation a payment may still be paid although no page of a listing by
    /// creation would show it again; sweeps of the whole window go back at least so far.
    fn pays_late(&self) -> Span {
        Span::ZERO
    }

    /// The call for a key that `verify` missed; none when none is missing, or when it is too
    /// early to ask again. The adapter answers for where the call goes and how often: whoever
    /// delivers may be a stranger. The caller makes one such call at a time.
    fn key_wanted(&self, _now: Time) -> Option<Request> {
        None
    }

    /// What came of the call for a key.
    fn key_came(&self, _request: &Request, _reply: &Reply, _now: Time) {}

    /// The call that must come before an exchange so that the PSP knows us; none when it does,
    /// or when it needs none.
    fn sign_in(&self, _now: Time) -> Option<Request> {
        None
    }

    /// What came of that call. A failure means that the exchange cannot begin.
    fn signed_in(&self, _reply: &Reply, _now: Time) -> Result<(), Failure> {
        Ok(())
    }

    /// The PSP answered `401`: what it was shown is worth nothing any more.
    fn signed_out(&self) {}

    /// The next question of `check --online`, given the replies so far. None of them changes
    /// anything at the PSP.
    fn inquire(&self, needs: Needs, _now: Time, _replies: &[Reply]) -> Inquiry {
        Inquiry::Done(Findings::cannot_be_asked(needs))
    }

    /// The next step of an exchange that began at `asked_at`, given the replies so far.
    fn step(&self, ask: &PspAsk, asked_at: Time, replies: &[Reply]) -> Step;
}
