//! What intake counts, for whoever renders metrics.
//!
//! Plain atomic numbers per kind of sender and outcome; knows no metrics library.

use crate::psp::Rejection;
use crate::store::Sender;
use std::sync::atomic::{AtomicU64, Ordering};

/// Who sends: the two doors of the public listener.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum SenderKind {
    /// A PSP.
    Psp,
    /// A shop.
    Shop,
}

impl SenderKind {
    /// Both kinds.
    pub const ALL: [SenderKind; 2] = [SenderKind::Psp, SenderKind::Shop];

    /// The stable word.
    pub fn word(self) -> &'static str {
        match self {
            SenderKind::Psp => "psp",
            SenderKind::Shop => "shop",
        }
    }
}

impl From<&Sender> for SenderKind {
    fn from(sender: &Sender) -> SenderKind {
        match sender {
            Sender::Psp(_) => SenderKind::Psp,
            Sender::Shop(_) => SenderKind::Shop,
        }
    }
}

/// What became of a delivery at the door.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Outcome {
    /// New and durable.
    Accepted,
    /// Known already.
    Duplicate,
    /// Known already with another body.
    Conflict,
    /// For an account or shop that is not configured.
    UnknownSender,
    /// No signature.
    MissingSignature,
    /// A signature of the wrong shape.
    MalformedSignature,
    /// A signature by another secret or over other bytes.
    WrongSecret,
    /// Signed with a key that could not be had.
    KeyMissing,
    /// A right signature of another time.
    ClockOff,
    /// A right signature over an event that cannot be read.
    Malformed,
    /// Refused because too much was waiting.
    QueueFull,
    /// Refused because it could not be made durable.
    StoreUnavailable,
    /// A rejected delivery put on its way into quarantine.
    Quarantined,
    /// A rejected delivery not kept: too many, or the store did not take it.
    QuarantineDropped,
}

impl Outcome {
    /// All outcomes.
    pub const ALL: [Outcome; 14] = [
        Outcome::Accepted,
        Outcome::Duplicate,
        Outcome::Conflict,
        Outcome::UnknownSender,
        Outcome::MissingSignature,
        Outcome::MalformedSignature,
        Outcome::WrongSecret,
        Outcome::KeyMissing,
        Outcome::ClockOff,
        Outcome::Malformed,
        Outcome::QueueFull,
        Outcome::StoreUnavailable,
        Outcome::Quarantined,
        Outcome::QuarantineDropped,
    ];

    /// The stable word.
    pub fn word(self) -> &'static str {
        match self {
            Outcome::Accepted => "accepted",
            Outcome::Duplicate => "duplicate",
            Outcome::Conflict => "conflict",
            Outcome::UnknownSender => "unknown_sender",
            Outcome::MissingSignature => "missing_signature",
            Outcome::MalformedSignature => "malformed_signature",
            Outcome::WrongSecret => "wrong_secret",
            Outcome::KeyMissing => "key_missing",
            Outcome::ClockOff => "clock_off",
            Outcome::Malformed => "malformed",
            Outcome::QueueFull => "queue_full",
            Outcome::StoreUnavailable => "store_unavailable",
            Outcome::Quarantined => "quarantined",
            Outcome::QuarantineDropped => "quarantine_dropped",
        }
    }
}

impl From<Rejection> for Outcome {
    fn from(rejection: Rejection) -> Outcome {
        match rejection {
            Rejection::MissingSignature => Outcome::MissingSignature,
            Rejection::MalformedSignature => Outcome::MalformedSignature,
            Rejection::WrongSecret | Rejection::KeyRefused { .. } => Outcome::WrongSecret,
            Rejection::ClockOff { .. } => Outcome::ClockOff,
        }
    }
}

#[derive(Debug, Default)]
struct Row {
    accepted: AtomicU64,
    duplicate: AtomicU64,
    conflict: AtomicU64,
    unknown_sender: AtomicU64,
    missing_signature: AtomicU64,
    malformed_signature: AtomicU64,
    wrong_secret: AtomicU64,
    key_missing: AtomicU64,
    clock_off: AtomicU64,
    malformed: AtomicU64,
    queue_full: AtomicU64,
    store_unavailable: AtomicU64,
    quarantined: AtomicU64,
    quarantine_dropped: AtomicU64,
}

/// Counts since the start, per kind of sender and outcome.
#[derive(Debug, Default)]
pub struct IntakeCounters {
    psp: Row,
    shop: Row,
}

impl IntakeCounters {
    /// Counts one.
    pub fn count(&self, kind: SenderKind, outcome: Outcome) {
        self.cell(kind, outcome).fetch_add(1, Ordering::Relaxed);
    }

    /// The count so far.
    pub fn read(&self, kind: SenderKind, outcome: Outcome) -> u64 {
        self.cell(kind, outcome).load(Ordering::Relaxed)
    }

    fn cell(&self, kind: SenderKind, outcome: Outcome) -> &AtomicU64 {
        let row = match kind {
            SenderKind::Psp => &self.psp,
            SenderKind::Shop => &self.shop,
        };
        match outcome {
            Outcome::Accepted => &row.accepted,
            Outcome::Duplicate => &row.duplicate,
            Outcome::Conflict => &row.conflict,
            Outcome::UnknownSender => &row.unknown_sender,
            Outcome::MissingSignature => &row.missing_signature,
            Outcome::MalformedSignature => &row.malformed_signature,
            Outcome::WrongSecret => &row.wrong_secret,
            Outcome::KeyMissing => &row.key_missing,
            Outcome::ClockOff => &row.clock_off,
            Outcome::Malformed => &row.malformed,
            Outcome::QueueFull => &row.queue_full,
            Outcome::StoreUnavailable => &row.store_unavailable,
            Outcome::Quarantined => &row.quarantined,
            Outcome::QuarantineDropped => &row.quarantine_dropped,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_kind_and_outcome_has_a_cell_of_its_own() {
        let counters = IntakeCounters::default();
        for kind in SenderKind::ALL {
            for outcome in Outcome::ALL {
                counters.count(kind, outcome);
            }
        }
        for kind in SenderKind::ALL {
            for outcome in Outcome::ALL {
                assert_eq!(counters.read(kind, outcome), 1, "{kind:?} {outcome:?}");
            }
        }
    }
}
