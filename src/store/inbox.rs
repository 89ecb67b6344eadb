//! Deliveries on their way in: verified ones for the inbox, failed ones for the quarantine.
//!
//! Plain values; knows nothing of what a delivery says.

use crate::core::ids::{AccountId, ShopId};
use crate::core::time::Time;
use std::num::NonZero;

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
    /// When what it tells of happened, if the sender says so in the same words each time. It is part
    /// of what repetitions are recognised by, so that those of one time are looked for in one place;
    /// nothing else is made of it, and it is not given back.
    pub told_at: Option<ToldAt>,
    /// True when its signature was checked; false for schemes without one.
    pub is_signed: bool,
    /// The exact bytes.
    pub body: Vec<u8>,
}

/// A moment in whole seconds since 1970, as far as 32 bits reach.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ToldAt(NonZero<u32>);

impl ToldAt {
    /// The second of a moment; none where it is out of reach.
    pub fn of(at: Time) -> Option<ToldAt> {
        let seconds = u32::try_from(at.seconds()).ok()?;
        NonZero::new(seconds).map(ToldAt)
    }

    /// The seconds.
    pub(super) fn seconds(self) -> u32 {
        self.0.get()
    }
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
