//! Replaying a quarantined delivery after its cause was mended: verified again, then requeued.
//!
//! An operator's act. It skips no check but the age of what is authentic.

use super::public::{delivery_id, unsigned_id};
use super::quarantine::open;
use crate::core::time::{Span, Time};
use crate::psp::{RawDelivery, Rejection, Verification};
use crate::roster::Roster;
use crate::store::{Appended, NewDelivery, Quarantined, Sender, Store, StoreError, ToldAt};
use crate::wire::Headers;

/// Why a quarantined delivery was not taken.
#[derive(Debug, thiserror::Error)]
pub enum ReplayRefused {
    /// No such entry (any more).
    #[error("there is no such entry in the quarantine")]
    NotFound,
    /// Its account or shop is not configured any more.
    #[error("its sender is not configured")]
    UnknownSender,
    /// How it came cannot be read back.
    #[error("its envelope cannot be read")]
    BadEnvelope,
    /// It still fails.
    #[error("still rejected: {}", .0.diagnosis())]
    StillRejected(Rejection),
    /// The key that it is signed with cannot be had now.
    #[error("the signer's key is not known yet; it is being fetched, try again in a few seconds")]
    KeyUnavailable,
    /// Verified, and still not readable as an event of this shop.
    #[error("still malformed: {0}")]
    StillMalformed(&'static str),
    /// The store did not do it.
    #[error(transparent)]
    Store(#[from] StoreError),
}

impl ReplayRefused {
    /// A stable word.
    pub fn code(&self) -> &'static str {
        match self {
            ReplayRefused::NotFound => "unknown_entry",
            ReplayRefused::UnknownSender => "unknown_sender",
            ReplayRefused::BadEnvelope => "bad_envelope",
            ReplayRefused::StillRejected(rejection) => rejection.problem_code(),
            ReplayRefused::KeyUnavailable => "key_unavailable",
            ReplayRefused::StillMalformed(_) => "malformed_event",
            ReplayRefused::Store(error) => error.code(),
        }
    }
}

/// Verifies an entry again with the secrets of `roster` and moves it to the inbox.
///
/// Its age is judged as of its arrival, since the time in quarantine is not the sender's. Where
/// the age was the cause, it is judged as of the moment the sender signed: the signature must
/// hold all the same, and an old delivery can do no harm, as money moves on no delivery's word
/// and facts may come late and twice.
pub async fn replay(
    store: &dyn Store,
    roster: &Roster,
    id: i64,
) -> Result<Appended, ReplayRefused> {
    let entry = store
        .quarantined_one(id)
        .await?
        .ok_or(ReplayRefused::NotFound)?;
    let delivery = reverify(&entry, roster)?;
    Ok(store.requeue(id, &delivery).await?)
}

fn reverify(entry: &Quarantined, roster: &Roster) -> Result<NewDelivery, ReplayRefused> {
    let (method, query, headers) = open(&entry.envelope).ok_or(ReplayRefused::BadEnvelope)?;
    let came = Came {
        method: &method,
        query: &query,
        headers: &headers,
        entry,
    };
    let (named, told_at, is_signed) = match &entry.sender {
        Sender::Psp(account) => {
            let known = roster.accounts.get(account);
            let adapter = &known.ok_or(ReplayRefused::UnknownSender)?.adapter;
            let (named, is_signed) =
                came.verified(|delivery, now| adapter.verify(delivery, now))?;
            let told_at = match is_signed {
                true => adapter.told_at(&entry.body),
                false => Some(entry.received_at),
            };
            (named, told_at, is_signed)
        }
        Sender::Shop(shop) => {
            let known = roster.shops.get(shop);
            let adapter = &known.ok_or(ReplayRefused::UnknownSender)?.adapter;
            let (named, is_signed) =
                came.verified(|delivery, now| adapter.verify(delivery, now))?;
            if !is_signed {
                return Err(ReplayRefused::StillRejected(Rejection::MissingSignature));
            }
            adapter
                .read(&entry.body, entry.received_at)
                .map_err(|unreadable| ReplayRefused::StillMalformed(unreadable.code))?;
            (named, adapter.told_at(&entry.body), is_signed)
        }
    };
    Ok(NewDelivery {
        sender: entry.sender.clone(),
        delivery_id: delivery_id(named.as_deref(), &entry.body),
        received_at: entry.received_at,
        told_at: told_at.and_then(ToldAt::of),
        is_signed,
        body: entry.body.clone(),
    })
}

/// A delivery as it came, put together again.
struct Came<'a> {
    method: &'a str,
    query: &'a str,
    headers: &'a Headers,
    entry: &'a Quarantined,
}

impl Came<'_> {
    /// The delivery's own id, and whether it is signed.
    fn verified(
        &self,
        verify: impl Fn(&RawDelivery<'_>, Time) -> Verification,
    ) -> Result<(Option<String>, bool), ReplayRefused> {
        let delivery = RawDelivery {
            method: self.method,
            headers: self.headers,
            query: self.query,
            body: &self.entry.body,
        };
        let arrived = self.entry.received_at;
        let mut verification = verify(&delivery, arrived);
        if let Verification::Rejected(Rejection::ClockOff { seconds }) = verification {
            verification = verify(&delivery, signed_at(arrived, seconds));
        }
        match verification {
            Verification::Signed { delivery_id } => Ok((delivery_id, true)),
            Verification::Unsigned { delivery_id } => {
                Ok((Some(unsigned_id(&delivery_id, arrived)), false))
            }
            Verification::NeedsKey => Err(ReplayRefused::KeyUnavailable),
            Verification::Rejected(rejection) => Err(ReplayRefused::StillRejected(rejection)),
        }
    }
}

/// The sender's moment, given how far behind ours it was.
fn signed_at(arrived: Time, seconds_behind: i64) -> Time {
    let distance = Span::from_seconds(seconds_behind.unsigned_abs());
    if seconds_behind > 0 {
        arrived.minus(distance)
    } else {
        arrived.plus(distance)
    }
}
