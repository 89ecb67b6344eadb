//! Rows as a database hands them over, and their exhaustive reading into the store's values.
//!
//! Whatever does not parse is `Corrupt`, naming table, column and row. Texts that may hold anything
//! are read as bytes, which is what they are where text cannot hold NUL. Knows columns and words, no
//! statements.

use super::{
    ActionRow, CheckoutRow, Delivery, JournalEntry, Lease, Lookalike, NewDelivery, ParkedDelivery,
    Quarantined, Sender, ShopRow, StoreError, SweepMark,
};
use crate::core::fact::BrakeCause;
use crate::core::ids::{AccountId, ActionKey, CheckoutId, CheckoutRef, Reference, ShopId};
use crate::core::money::{Currency, Money};
use crate::core::plan::{Destination, Planned, Reason, Verdict};
use crate::core::time::Time;
use std::fmt::{self, Display};

/// A row being read: its table and key, for the error.
pub(super) struct Reading<R> {
    table: &'static str,
    row: R,
}

/// A key of two parts.
pub(super) fn pair(one: impl Display, other: impl Display) -> impl Display {
    fmt::from_fn(move |f| write!(f, "{one}/{other}"))
}

impl<R: Display> Reading<R> {
    pub(super) fn of(table: &'static str, row: R) -> Reading<R> {
        Reading { table, row }
    }

    pub(super) fn corrupt(&self, column: &'static str, detail: impl Display) -> StoreError {
        StoreError::Corrupt {
            table: self.table,
            column,
            row: self.row.to_string(),
            detail: detail.to_string(),
        }
    }

    pub(super) fn parsed<T, E: Display>(
        &self,
        column: &'static str,
        parsed: Result<T, E>,
    ) -> Result<T, StoreError> {
        parsed.map_err(|error| self.corrupt(column, error))
    }

    pub(super) fn word<T>(
        &self,
        column: &'static str,
        word: &str,
        read: impl Fn(&str) -> Option<T>,
    ) -> Result<T, StoreError> {
        read(word).ok_or_else(|| self.corrupt(column, format_args!("unknown word {word:?}")))
    }

    fn money(
        &self,
        column: &'static str,
        minor: Option<i64>,
        currency: Option<&str>,
    ) -> Result<Option<Money>, StoreError> {
        match (minor, currency) {
            (Some(minor), Some(code)) => {
                let currency = self.parsed(column, Currency::parse(code))?;
                Ok(Some(Money::new(minor, currency)))
            }
            (None, None) => Ok(None),
            (Some(_), None) | (None, Some(_)) => Err(self.corrupt(column, "half an amount")),
        }
    }

    pub(super) fn checkout(
        &self,
        column: &'static str,
        id: &str,
    ) -> Result<CheckoutId, StoreError> {
        self.parsed(column, CheckoutId::parse(id))
    }
}

/// The text of a destination in the store: `shop:klompen`, `psp:stripe_nl`.
pub(super) fn destination_code(destination: &Destination) -> String {
    match destination {
        Destination::Shop(shop) => format!("shop:{shop}"),
        Destination::Psp(account) => format!("psp:{account}"),
    }
}

/// Lane of the actions that give money back.
pub(super) const GIVE_BACK: &str = "give_back";
/// Lane of all others.
pub(super) const ASK: &str = "ask";

/// The lane of an action in the store.
pub(super) fn lane(planned: &Planned) -> &'static str {
    if planned.action.kind().gives_money_back() {
        GIVE_BACK
    } else {
        ASK
    }
}

/// What is planned, as text in the store.
pub(super) fn content(planned: &Planned) -> Result<String, StoreError> {
    serde_json::to_string(planned)
        .map_err(|error| StoreError::Unavailable(format!("an action cannot be written: {error}")))
}

/// An epoch in the store: twenty digits, so that text order is the order of numbers.
pub(super) fn epoch_code(epoch: u64) -> String {
    format!("{epoch:020}")
}

/// One unit of the high part of a sum kept in two parts.
const HIGH: i128 = 1 << 32;

/// A sum in two parts, neither of which overflows when added to its like billions of times.
pub(super) fn split(sum: i128) -> (i64, i64) {
    let part = |value: i128| i64::try_from(value).unwrap_or(i64::MAX);
    (part(sum.div_euclid(HIGH)), part(sum.rem_euclid(HIGH)))
}

/// Both parts of a sum together, at the edge of the range if it is past it.
pub(super) fn joined(high: i64, low: i64) -> i64 {
    let sum = i128::from(high)
        .saturating_mul(HIGH)
        .saturating_add(i128::from(low));
    saturated(sum)
}

/// A sum as an amount of minor units, at the edge of the range if it is past it.
pub(super) fn saturated(sum: i128) -> i64 {
    let edge = if sum < 0 { i64::MIN } else { i64::MAX };
    i64::try_from(sum).unwrap_or(edge)
}

/// The last id that may have been made before a moment: ids grow with the moments they are made in.
pub(super) fn last_made_before(at: Time) -> CheckoutId {
    let millis = at.micros().div_euclid(1000).saturating_sub(1);
    CheckoutId::made(u64::try_from(millis).unwrap_or(0), &[0xff; 10])
}

/// The minute that a tally is kept under.
pub(super) fn minute(at: Time) -> i64 {
    at.seconds().div_euclid(60)
}

#[derive(sqlx::FromRow, serde::Deserialize)]
pub(super) struct RawDelivery {
    pub(super) id: i64,
    sender: String,
    #[sqlx(try_from = "Vec<u8>")]
    delivery_id: String,
    received_at: i64,
    is_signed: i64,
    #[serde(skip)]
    pub(super) body: Vec<u8>,
}

impl RawDelivery {
    pub(super) fn read(self) -> Result<Delivery, StoreError> {
        let reading = Reading::of("inbox", self.id);
        let is_signed = match self.is_signed {
            0 => false,
            1 => true,
            other => return Err(reading.corrupt("is_signed", other)),
        };
        Ok(Delivery {
            id: self.id,
            delivery: NewDelivery {
                sender: reading.word("sender", &self.sender, Sender::parse)?,
                delivery_id: self.delivery_id,
                received_at: Time::from_micros(self.received_at),
                told_at: None,
                is_signed,
                body: self.body,
            },
        })
    }
}

#[derive(sqlx::FromRow)]
pub(super) struct RawParked {
    id: i64,
    sender: String,
    #[sqlx(try_from = "Vec<u8>")]
    delivery_id: String,
    received_at: i64,
    #[sqlx(try_from = "Vec<u8>")]
    why: String,
}

impl RawParked {
    pub(super) fn read(self) -> Result<ParkedDelivery, StoreError> {
        let reading = Reading::of("inbox", self.id);
        Ok(ParkedDelivery {
            id: self.id,
            sender: reading.word("sender", &self.sender, Sender::parse)?,
            delivery_id: self.delivery_id,
            received_at: Time::from_micros(self.received_at),
            why: self.why,
        })
    }
}

#[derive(sqlx::FromRow)]
pub(super) struct RawQuarantined {
    id: i64,
    sender: String,
    received_at: i64,
    #[sqlx(try_from = "Vec<u8>")]
    diagnosis: String,
    #[sqlx(try_from = "Vec<u8>")]
    envelope: String,
    body: Vec<u8>,
}

impl RawQuarantined {
    pub(super) fn read(self) -> Result<Quarantined, StoreError> {
        let reading = Reading::of("quarantine", self.id);
        Ok(Quarantined {
            id: self.id,
            sender: reading.word("sender", &self.sender, Sender::parse)?,
            received_at: Time::from_micros(self.received_at),
            diagnosis: self.diagnosis,
            envelope: self.envelope,
            body: self.body,
        })
    }
}

#[derive(sqlx::FromRow, serde::Deserialize)]
pub(super) struct RawCheckout {
    id: String,
    shop: String,
    reference: Option<String>,
    verdict: String,
    reason: String,
    since: i64,
    created_at: i64,
    suspense_minor: Option<i64>,
    suspense_currency: Option<String>,
    wake_at: Option<i64>,
    version: i64,
    head: String,
    #[serde(skip)]
    #[sqlx(try_from = "Vec<u8>")]
    document: String,
}

impl RawCheckout {
    /// With its document, which came apart from all other columns.
    pub(super) fn with(mut self, document: &[u8]) -> Result<RawCheckout, StoreError> {
        let reading = Reading::of("checkouts", &self.id);
        let document = reading.parsed("document", str::from_utf8(document))?;
        document.clone_into(&mut self.document);
        Ok(self)
    }

    pub(super) fn read(self) -> Result<CheckoutRow, StoreError> {
        let reading = Reading::of("checkouts", &self.id);
        let reference = self.reference.as_deref().map(Reference::parse).transpose();
        let currency = self.suspense_currency.as_deref();
        let reason_of = |word: &str| Reason::ALL.iter().copied().find(|one| one.code() == word);
        Ok(CheckoutRow {
            shop: reading.parsed("shop", ShopId::parse(&self.shop))?,
            reference: reading.parsed("reference", reference)?,
            verdict: reading.word("verdict", &self.verdict, Verdict::parse)?,
            reason: reading.word("reason", &self.reason, reason_of)?,
            since: Time::from_micros(self.since),
            created_at: Time::from_micros(self.created_at),
            in_suspense: reading.money("suspense_currency", self.suspense_minor, currency)?,
            wake_at: self.wake_at.map(Time::from_micros),
            version: self.version,
            head: self.head,
            document: self.document,
            id: reading.checkout("id", &self.id)?,
        })
    }
}

/// What a checkout counts towards: where it stands before a commit.
#[derive(sqlx::FromRow, serde::Deserialize)]
pub(super) struct RawStanding {
    pub(super) id: String,
    pub(super) version: i64,
    pub(super) head: String,
    pub(super) shop: String,
    pub(super) verdict: String,
    pub(super) suspense_minor: Option<i64>,
    pub(super) suspense_currency: Option<String>,
}

impl RawStanding {
    pub(super) fn id(&self) -> Result<CheckoutId, StoreError> {
        Reading::of("checkouts", &self.id).checkout("id", &self.id)
    }
}

#[derive(sqlx::FromRow, serde::Deserialize)]
pub(super) struct RawAction {
    checkout: String,
    key: String,
    shop: String,
    due: i64,
    #[serde(skip)]
    planned: String,
    attempts: i64,
    last_sent_at: Option<i64>,
    token: Option<String>,
    until: Option<i64>,
}

impl RawAction {
    /// With what was planned, which came apart from all other columns.
    pub(super) fn with(mut self, planned: &[u8]) -> Result<RawAction, StoreError> {
        let planned = str::from_utf8(planned).map_err(|error| {
            let reading = Reading::of("actions", pair(&self.checkout, &self.key));
            reading.corrupt("planned", error)
        })?;
        planned.clone_into(&mut self.planned);
        Ok(self)
    }

    /// Whose action it is, as stored.
    pub(super) fn owner(&self) -> String {
        self.checkout.clone()
    }

    pub(super) fn read(self) -> Result<ActionRow, StoreError> {
        let reading = Reading::of("actions", pair(&self.checkout, &self.key));
        let planned: Planned = reading.parsed("planned", serde_json::from_str(&self.planned))?;
        if planned.key.as_str() != self.key {
            return Err(reading.corrupt("planned", "another action's content"));
        }
        if planned.due.micros() != self.due {
            return Err(reading.corrupt("due", "differs from the content's"));
        }
        let lease = match (self.token, self.until) {
            (Some(token), Some(until)) => Some(Lease {
                token,
                until: Time::from_micros(until),
            }),
            (None, None) => None,
            (Some(_), None) | (None, Some(_)) => {
                return Err(reading.corrupt("token", "half a lease"));
            }
        };
        Ok(ActionRow {
            checkout: reading.checkout("checkout", &self.checkout)?,
            shop: reading.parsed("shop", ShopId::parse(&self.shop))?,
            key: reading.parsed("key", ActionKey::parse(&self.key))?,
            planned,
            attempts: reading.parsed("attempts", u32::try_from(self.attempts))?,
            last_sent_at: self.last_sent_at.map(Time::from_micros),
            lease,
        })
    }
}

#[derive(sqlx::FromRow)]
pub(super) struct RawEntry {
    checkout: String,
    seq: i64,
    at: i64,
    #[sqlx(try_from = "Vec<u8>")]
    facts: String,
    #[sqlx(try_from = "Vec<u8>")]
    decision: String,
    previous: String,
    hash: String,
}

impl RawEntry {
    pub(super) fn read(self) -> Result<JournalEntry, StoreError> {
        let reading = Reading::of("journal", pair(&self.checkout, &self.seq));
        Ok(JournalEntry {
            checkout: reading.checkout("checkout", &self.checkout)?,
            seq: self.seq,
            at: Time::from_micros(self.at),
            facts: self.facts,
            decision: self.decision,
            previous: self.previous,
            hash: self.hash,
        })
    }
}

#[derive(sqlx::FromRow)]
pub(super) struct RawShop {
    epoch: Option<String>,
    brake_cause: Option<String>,
    brake_at: Option<i64>,
}

impl RawShop {
    pub(super) fn read(self, shop: &ShopId) -> Result<ShopRow, StoreError> {
        let reading = Reading::of("shops", shop);
        let epoch = self.epoch.as_deref().map(str::parse).transpose();
        let brake = match (self.brake_cause, self.brake_at) {
            (Some(word), Some(at)) => {
                let cause = reading.word("brake_cause", &word, BrakeCause::parse)?;
                Some((cause, Time::from_micros(at)))
            }
            (None, None) => None,
            (Some(_), None) | (None, Some(_)) => {
                return Err(reading.corrupt("brake_at", "half a brake"));
            }
        };
        Ok(ShopRow {
            shop: shop.clone(),
            epoch: reading.parsed("epoch", epoch)?,
            brake,
        })
    }
}

#[derive(sqlx::FromRow)]
pub(super) struct RawSweep {
    account: String,
    listing: i64,
    mark: i64,
    swept_at: Option<i64>,
    last_error: Option<Vec<u8>>,
}

impl RawSweep {
    pub(super) fn read(self) -> Result<SweepMark, StoreError> {
        let reading = Reading::of("sweeps", pair(&self.account, &self.listing));
        let last_error = self.last_error.map(String::from_utf8).transpose();
        Ok(SweepMark {
            account: reading.parsed("account", AccountId::parse(&self.account))?,
            listing: reading.parsed("listing", u8::try_from(self.listing))?,
            mark: Time::from_micros(self.mark),
            swept_at: self.swept_at.map(Time::from_micros),
            last_error: reading.parsed("last_error", last_error)?,
        })
    }
}

#[derive(sqlx::FromRow)]
pub(super) struct RawLookalike {
    checkout: String,
    shop: String,
    reference: Option<String>,
    twin: String,
    currency: String,
    minor: i64,
    paid_at: i64,
}

impl RawLookalike {
    pub(super) fn read(self) -> Result<Lookalike, StoreError> {
        let reading = Reading::of("sightings", &self.checkout);
        let reference = self.reference.as_deref().map(Reference::parse).transpose();
        let currency = reading.parsed("currency", Currency::parse(&self.currency))?;
        Ok(Lookalike {
            checkout: reading.checkout("checkout", &self.checkout)?,
            shop: reading.parsed("shop", ShopId::parse(&self.shop))?,
            reference: reading.parsed("reference", reference)?,
            twin: reading.checkout("twin", &self.twin)?,
            amount: Money::new(self.minor, currency),
            paid_at: Time::from_micros(self.paid_at),
        })
    }
}

/// A checkout's shop and id.
pub(super) fn read_checkout_ref((shop, id): (String, String)) -> Result<CheckoutRef, StoreError> {
    let reading = Reading::of("checkouts", &id);
    Ok(CheckoutRef {
        shop: reading.parsed("shop", ShopId::parse(&shop))?,
        id: reading.checkout("id", &id)?,
    })
}

/// A checkout and its twin.
pub(super) fn read_twin(
    (id, twin): (String, String),
) -> Result<(CheckoutId, CheckoutId), StoreError> {
    let reading = Reading::of("sightings", &id);
    let twin = reading.checkout("twin", &twin)?;
    Ok((reading.checkout("checkout", &id)?, twin))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_sum_in_two_parts_reads_back_whatever_its_sign() {
        for sum in [0, 1, -1, i64::MAX, i64::MIN, 4_294_967_295, -4_294_967_297] {
            let (high, low) = split(i128::from(sum));
            assert_eq!(joined(high, low), sum);
        }
    }

    #[test]
    fn parts_added_up_past_64_bits_end_at_the_edge_and_come_back() {
        let (high, low) = split(i128::from(i64::MAX));
        assert_eq!(joined(high * 3, low * 3), i64::MAX);
        assert_eq!(joined(high * 3 - high * 2, low * 3 - low * 2), i64::MAX);
        assert_eq!(joined(-high * 3, -low * 3), i64::MIN);
    }

    #[test]
    fn epochs_sort_as_text_like_numbers() {
        assert!(epoch_code(9) < epoch_code(10));
        assert!(epoch_code(u64::MAX - 1) < epoch_code(u64::MAX));
    }

    #[test]
    fn a_half_written_row_names_table_column_and_row() {
        let raw = RawShop {
            epoch: None,
            brake_cause: Some("max_refund_share".to_owned()),
            brake_at: None,
        };
        let error = raw.read(&ShopId::parse("klompen").unwrap()).unwrap_err();
        assert_eq!(
            error.to_string(),
            "corrupt row in shops.brake_at at klompen: half a brake"
        );
    }
}
