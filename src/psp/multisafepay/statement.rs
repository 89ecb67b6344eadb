//! From MultiSafepay's order to a statement about a payment.
//!
//! How far an order is stands in two words together: `completed` with a financial status of
//! `initialized` is an authorisation and no money. Refunds, captures and charge-backs stand as
//! related transactions. Amounts are whole minor units; only currencies with two decimals are
//! taken, because how the others are written is not documented.

use super::order_id;
use crate::core::ids::{ActionKey, ExternalRef, PaymentRef};
use crate::core::lattice::Stamped;
use crate::core::money::{Currency, Money};
use crate::core::payment::{
    Dispute, DisputeState, PaymentSnapshot, Progress, Refund, RefundState, Source,
};
use crate::core::time::{Span, Time};
use crate::psp::Unreadable;
use crate::psp::json::{self, Strict};
use crate::psp::rules::AccountRules;
use serde::Deserialize;
use serde_json::value::RawValue;

/// Most related transactions read of one order; past it the list does not count as whole.
const RELATED_MAX: usize = 1000;
/// How far the PSP's wall clock is ahead of UTC in winter.
const LOCAL_TIME_AHEAD: Span = Span::from_hours(1);
/// Longest word for a means of payment, in bytes.
const METHOD_BYTES_MAX: usize = 64;

/// Where and when something was said.
#[derive(Clone, Copy)]
pub(super) struct Frame<'a> {
    pub(super) rules: &'a AccountRules,
    pub(super) as_of: Time,
    pub(super) source: Source,
}

/// An order as it stands on the wire, only the fields that are read.
#[derive(Deserialize)]
pub(super) struct View<'a> {
    order_id: String,
    #[serde(borrow)]
    amount: &'a RawValue,
    currency: String,
    #[serde(borrow)]
    amount_refunded: Option<&'a RawValue>,
    status: String,
    financial_status: Option<String>,
    created: Option<String>,
    payment_details: Option<Strict<Details>>,
    #[serde(borrow)]
    related_transactions: Option<Vec<Strict<Related<'a>>>>,
    #[serde(skip)]
    raw: Option<&'a RawValue>,
}

#[derive(Deserialize)]
struct Details {
    #[serde(rename = "type")]
    kind: Option<String>,
}

#[derive(Deserialize)]
struct Related<'a> {
    #[serde(borrow)]
    transaction_id: Option<&'a RawValue>,
    #[serde(rename = "type")]
    kind: String,
    status: Option<String>,
    #[serde(borrow)]
    amount: Option<&'a RawValue>,
    refund_order_id: Option<String>,
}

/// An order with its name.
pub(super) struct Order<'a> {
    pub(super) payment: ExternalRef,
    pub(super) view: View<'a>,
}

/// Reads an order object.
pub(super) fn order(body: &[u8]) -> Result<Order<'_>, Unreadable> {
    let mut view: View<'_> = json::object(body)?;
    view.raw = serde_json::from_slice(body).ok();
    let payment = order_id::read(&view.order_id)?;
    Ok(Order { payment, view })
}

impl View<'_> {
    fn financial(&self) -> &str {
        self.financial_status.as_deref().unwrap_or_default()
    }

    fn is_charged_back(&self) -> bool {
        self.status == "chargeback" || self.financial() == "chargeback"
    }

    /// Money was taken, whatever happened to it since.
    pub(super) fn is_taken(&self) -> bool {
        let is_done = matches!(self.status.as_str(), "completed" | "shipped");
        let went_back = matches!(self.status.as_str(), "refunded" | "partial_refunded");
        is_done && self.financial() == "completed" || went_back || self.is_charged_back()
    }

    /// Money was taken and nothing happened to it since.
    pub(super) fn is_plainly_taken(&self) -> bool {
        let is_done = matches!(self.status.as_str(), "completed" | "shipped");
        let has_gone_back = self
            .amount_refunded
            .is_some_and(|raw| !matches!(raw.get(), "0" | "\"0\"" | "null"));
        let related = self.related_transactions.as_ref();
        let is_alone = related.is_none_or(Vec::is_empty);
        is_done && self.financial() == "completed" && !has_gone_back && is_alone
    }

    /// How far it is; nothing for words that are not known.
    fn progress(&self) -> Option<Progress> {
        if self.is_taken() {
            return Some(Progress::Taken);
        }
        match self.status.as_str() {
            "completed" | "shipped" if self.financial() == "initialized" => {
                Some(Progress::Authorised)
            }
            "reserved" => Some(Progress::Authorised),
            "uncleared" => Some(Progress::InFlight),
            "initialized" => Some(Progress::Waiting),
            "declined" | "void" | "cancelled" | "expired" => Some(Progress::Dead),
            _ => None,
        }
    }
}

impl Frame<'_> {
    fn blank(&self, id: &ExternalRef) -> PaymentSnapshot {
        let payment = PaymentRef {
            account: self.rules.account.clone(),
            id: id.clone(),
        };
        PaymentSnapshot::new(payment, self.as_of, self.as_of, self.source)
    }

    /// What an order says about the money and whose it is; nothing about refunds.
    pub(super) fn money_of(
        &self,
        payment: &ExternalRef,
        view: &View<'_>,
    ) -> Result<PaymentSnapshot, Unreadable> {
        let currency = currency(&view.currency)?;
        let amount = money(view.amount, currency)?;
        let mut snapshot = self.blank(payment);
        let progress = view.progress();
        snapshot.progress = progress;
        snapshot.created_at = view.created.as_deref().and_then(moment);
        snapshot.requested = Some(amount);
        if progress == Some(Progress::Authorised) {
            snapshot.authorised = Some(amount);
        }
        if view.is_taken() {
            snapshot.captured = Some(captured(view, amount)?);
        }
        let method = view.payment_details.as_ref();
        snapshot.method = method
            .and_then(|details| details.0.kind.as_deref())
            .map(str::to_ascii_lowercase)
            .filter(|word| is_method_word(word));
        let mut texts = Vec::new();
        if let Some(raw) = view.raw {
            for path in &self.rules.reference_paths {
                texts.extend(json::text_at(raw, path)?);
            }
        }
        snapshot.reference = self.rules.reference(texts.iter().map(String::as_str));
        // The mode is the host's; an object does not name it.
        self.rules.judge(&mut snapshot, self.rules.live, true);
        Ok(snapshot)
    }

    /// Everything that a read of an order shows.
    pub(super) fn whole(
        &self,
        payment: &ExternalRef,
        view: &View<'_>,
    ) -> Result<PaymentSnapshot, Unreadable> {
        let currency = currency(&view.currency)?;
        let mut snapshot = self.money_of(payment, view)?;
        let refunded = match view.amount_refunded {
            Some(raw) if raw.get() != "null" => money(raw, currency)?,
            Some(_) | None => Money::zero(currency),
        };
        snapshot.refunded = view.is_taken().then_some(refunded);
        let related = view.related_transactions.as_deref().unwrap_or_default();
        let mut back = Money::zero(currency);
        for one in related.iter().take(RELATED_MAX) {
            match one.0.kind.as_str() {
                "refund" => {
                    let refund = self.refund(&one.0, currency)?;
                    if refund.state != RefundState::Failed {
                        back = back.plus(refund.amount).map_err(|_| overflow())?;
                    }
                    snapshot.refunds.insert(one.0.id()?, refund);
                }
                "chargeback" => {
                    let dispute = self.chargeback(&one.0, related, &snapshot, currency)?;
                    snapshot.disputes.insert(one.0.id()?, dispute);
                }
                _ => {}
            }
        }
        // The order's own sum must be explained by the refunds shown, or some are missing.
        snapshot.is_refund_list_whole = related.len() <= RELATED_MAX && back >= refunded;
        if snapshot.progress.is_none() {
            // What is not understood is no look at the money: nothing may leave on it.
            snapshot.source = Source::Signed;
            snapshot.is_refund_list_whole = false;
        }
        if view.is_charged_back() && snapshot.disputes.is_empty() {
            snapshot.is_disputed = Some(true);
        }
        Ok(snapshot)
    }

    fn refund(&self, one: &Related<'_>, currency: Currency) -> Result<Refund, Unreadable> {
        let amount = one.amount.ok_or_else(|| missing("amount"))?;
        let mark = one.refund_order_id.as_deref();
        let status = one.status.as_deref();
        let state = match status {
            Some("completed") => RefundState::Succeeded,
            Some("cancelled" | "void" | "declined" | "expired") => RefundState::Failed,
            Some(_) | None => RefundState::Pending,
        };
        let mut refund = Refund::new(
            money(amount, currency)?,
            state,
            mark.and_then(|text| ActionKey::parse(text).ok()),
        );
        // `reserved` waits for the nightly run, or for the shop's balance.
        refund.waits_for_balance = Some(Stamped::new(self.as_of, status == Some("reserved")));
        Ok(refund)
    }

    /// Open until it is reversed: a charge-back is never taken for lost, since it may turn.
    fn chargeback(
        &self,
        one: &Related<'_>,
        related: &[Strict<Related<'_>>],
        snapshot: &PaymentSnapshot,
        currency: Currency,
    ) -> Result<Dispute, Unreadable> {
        let count = |kind| related.iter().filter(|one| one.0.kind == kind).count();
        let is_reversed = count("reverse-chargeback") >= count("chargeback");
        let amount = match one.amount {
            Some(raw) => money(raw, currency)?,
            None => snapshot.captured.unwrap_or(Money::zero(currency)),
        };
        let state = if is_reversed {
            DisputeState::Won
        } else {
            DisputeState::Open
        };
        Ok(Dispute { amount, state })
    }
}

impl Related<'_> {
    fn id(&self) -> Result<ExternalRef, Unreadable> {
        let raw = self
            .transaction_id
            .ok_or_else(|| missing("transaction_id"))?;
        // A number in some payloads, a text in others.
        let text = raw.get().trim_matches('"');
        ExternalRef::parse(text).map_err(|_| missing("transaction_id"))
    }
}

/// Captured in parts, it is what the parts say; never more than the order's amount.
fn captured(view: &View<'_>, amount: Money) -> Result<Money, Unreadable> {
    let related = view.related_transactions.as_deref().unwrap_or_default();
    let mut parts = related
        .iter()
        .filter(|one| one.0.kind == "capture" && one.0.status.as_deref() == Some("completed"))
        .peekable();
    if parts.peek().is_none() {
        return Ok(amount);
    }
    let mut sum = Money::zero(amount.currency());
    for part in parts {
        let raw = part.0.amount.ok_or_else(|| missing("amount"))?;
        sum = sum
            .plus(money(raw, amount.currency())?)
            .map_err(|_| overflow())?;
    }
    Ok(if sum > amount { amount } else { sum })
}

/// Reads a currency code; only those with two decimals.
pub(super) fn currency(code: &str) -> Result<Currency, Unreadable> {
    let currency = Currency::parse(code).ok();
    currency
        .filter(|currency| currency.exponent() == 2)
        .ok_or_else(|| Unreadable {
            code: "bad_amount",
            detail: "a currency that is unknown or whose decimals are not documented".to_owned(),
        })
}

/// Reads minor units: digits, as a number or as a text; never negative.
fn money(raw: &RawValue, currency: Currency) -> Result<Money, Unreadable> {
    let text = raw.get();
    let text = text
        .strip_prefix('"')
        .and_then(|text| text.strip_suffix('"'))
        .unwrap_or(text);
    let is_number = !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    let minor: Option<i64> = text.parse().ok().filter(|_| is_number);
    minor
        .map(|minor| Money::new(minor, currency))
        .ok_or_else(|| Unreadable {
            code: "bad_amount",
            detail: "an amount that is not a whole number of zero or more".to_owned(),
        })
}

/// `2026-11-20T09:12:31`, without a zone. The official examples are in Dutch winter time, so an
/// hour is taken off; in summer the result is an hour late.
fn moment(text: &str) -> Option<Time> {
    let civil: jiff::civil::DateTime = text.parse().ok()?;
    let zoned = civil.to_zoned(jiff::tz::TimeZone::UTC).ok()?;
    let at = Time::from_micros(zoned.timestamp().as_microsecond());
    Some(at.minus(LOCAL_TIME_AHEAD))
}

fn is_method_word(word: &str) -> bool {
    !word.is_empty()
        && word.len() <= METHOD_BYTES_MAX
        && word
            .bytes()
            .all(|byte| byte.is_ascii_alphanumeric() || b"_- ".contains(&byte))
}

fn missing(field: &str) -> Unreadable {
    Unreadable {
        code: "missing_field",
        detail: format!("`{field}` is missing or not usable"),
    }
}

fn overflow() -> Unreadable {
    Unreadable {
        code: "bad_amount",
        detail: "a sum out of range".to_owned(),
    }
}
