//! From the items of a notice to statements about payments, by their signed fields alone.
//!
//! Adyen's moments are not signed and deliveries keep no order, so each kind of event has a rank
//! that stands in for the source's clock: what came last plays no part. What is said once too
//! little leads to a hold, never to money: a capture that fails, an expiry or a cancellation where
//! money counted as taken is an open dispute, and no later event closes it. The means of payment
//! is unsigned; it is shown, and may only lengthen the wait before a refund. The merchant's
//! reference names the order on a payment's own events alone; on a modification it is the
//! modification's, and ours is our key.

use super::Capture;
use super::amount;
use super::item::{Item, Notice};
use crate::core::ids::{ActionKey, ExternalRef, PaymentRef};
use crate::core::money::Money;
use crate::core::payment::{
    Dispute, DisputeState, PaymentSnapshot, Progress, Refund, RefundState, Source,
};
use crate::core::time::Time;
use crate::psp::rules::AccountRules;
use crate::psp::{Reading, Unreadable};

/// Longest word for a means of payment or an event, in bytes.
const WORD_BYTES_MAX: usize = 64;
/// Most items of one notice.
const ITEMS_MAX: usize = 500;

/// What stands in for the source's clock, lowest first: a payment that was only modified here, one
/// that was begun, authorised, captured.
#[derive(Clone, Copy)]
enum Rank {
    Named,
    Begun,
    Authorised,
    Captured,
}

impl Rank {
    fn at(self) -> Time {
        Time::from_micros(match self {
            Rank::Named => 0,
            Rank::Begun => 1,
            Rank::Authorised => 2,
            Rank::Captured => 3,
        })
    }
}

/// What an item tells, in our words.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Told {
    Authorised,
    NotAuthorised,
    Captured,
    /// Money that counted as taken, or was about to be, is not coming.
    NotCaptured,
    Cancelled,
    Refund(RefundState),
    /// A cancel or a refund, whichever was right.
    Reversed,
    Dispute(DisputeState),
    Nothing,
}

fn told(event: &str, is_success: bool, capture: Capture) -> Told {
    let is_manual = capture == Capture::Manual;
    match (event, is_success) {
        ("AUTHORISATION", true) => Told::Authorised,
        ("AUTHORISATION", false) | ("OFFER_CLOSED", true) => Told::NotAuthorised,
        ("CAPTURE", true) => Told::Captured,
        // Where capture is a step of its own nothing counted as taken yet.
        ("CAPTURE", false) if is_manual => Told::Nothing,
        ("EXPIRE" | "CANCELLATION" | "TECHNICAL_CANCEL", true) if is_manual => Told::Cancelled,
        // `CAPTURE_FAILED` says with `true` that the failure happened.
        ("CAPTURE", false) | ("CAPTURE_FAILED", _) | ("EXPIRE", true) => Told::NotCaptured,
        // Released before it was taken: the payer has it back.
        ("CANCELLATION" | "TECHNICAL_CANCEL" | "REFUND", true) => {
            Told::Refund(RefundState::Succeeded)
        }
        ("REFUND" | "CANCEL_OR_REFUND", false) => Told::Refund(RefundState::Failed),
        // Again: with `true` they say that it failed, or that the money came back.
        ("REFUND_FAILED" | "REFUNDED_REVERSED", _) => Told::Refund(RefundState::Failed),
        ("POSTPONED_REFUND", true) => Told::Refund(RefundState::Pending),
        ("CANCEL_OR_REFUND", true) => Told::Reversed,
        // A charge-back may be defended for as long as one looks, so it is not taken for lost.
        ("REQUEST_FOR_INFORMATION" | "NOTIFICATION_OF_CHARGEBACK" | "CHARGEBACK", _) => {
            Told::Dispute(DisputeState::Open)
        }
        ("CHARGEBACK_REVERSED" | "PREARBITRATION_WON", true) => Told::Dispute(DisputeState::Won),
        ("SECOND_CHARGEBACK" | "PREARBITRATION_LOST", _) => Told::Dispute(DisputeState::Lost),
        (_, _) => Told::Nothing,
    }
}

/// A settled payment, as a row of the report has it.
pub(super) struct SettledRow<'a> {
    pub(super) payment: ExternalRef,
    pub(super) amount: Money,
    pub(super) reference: &'a str,
    pub(super) method: &'a str,
    pub(super) created: Time,
}

/// Who reads, and when it came.
#[derive(Clone, Copy)]
pub(super) struct Frame<'a> {
    pub(super) rules: &'a AccountRules,
    pub(super) merchant_account: &'a str,
    pub(super) capture: Capture,
    pub(super) received_at: Time,
}

impl Frame<'_> {
    /// What the signed items of a notice say, all of them together.
    pub(super) fn read(&self, notice: &Notice) -> Result<Reading, Unreadable> {
        if notice.items.len() > ITEMS_MAX {
            return Err(unreadable("too_many", "a notice of too many items"));
        }
        if notice
            .is_live
            .is_some_and(|is_live| is_live != self.rules.live)
        {
            return Ok(ignored("other_mode"));
        }
        let mut payments = Vec::new();
        let mut reason = None;
        for item in &notice.items {
            let skipped = if item.signature.is_none() {
                Some("unsigned".to_owned())
            } else if item.account != self.merchant_account {
                Some("other_merchant_account".to_owned())
            } else {
                let is_success = success(item)?;
                let what = told(&item.event_code, is_success, self.capture);
                payments.extend(self.statements(item, what)?);
                (what == Told::Nothing).then(|| printable(&item.event_code))
            };
            reason = reason.or(skipped);
        }
        match reason {
            Some(what) if payments.is_empty() => Ok(Reading::Ignored { what }),
            Some(_) | None => Ok(Reading::Seen {
                payments,
                hints: Vec::new(),
            }),
        }
    }

    fn statements(&self, item: &Item, what: Told) -> Result<Vec<PaymentSnapshot>, Unreadable> {
        match what {
            Told::Nothing => Ok(Vec::new()),
            Told::Authorised => Ok(vec![self.authorised(item)?]),
            Told::NotAuthorised => self.not_authorised(item),
            Told::Captured
            | Told::NotCaptured
            | Told::Cancelled
            | Told::Refund(_)
            | Told::Reversed
            | Told::Dispute(_) => self.modified(item, what),
        }
    }

    fn blank(&self, payment: ExternalRef, as_of: Time) -> PaymentSnapshot {
        let account = self.rules.account.clone();
        let payment = PaymentRef {
            account,
            id: payment,
        };
        PaymentSnapshot::new(payment, as_of, self.received_at, Source::Signed)
    }

    /// A payment of the shopper's, by its own event: whose it is stands on it.
    fn own(&self, item: &Item, rank: Rank) -> Result<PaymentSnapshot, Unreadable> {
        let mut snapshot = self.blank(item.payment()?, rank.at());
        snapshot.reference = self.rules.reference([item.merchant_reference.as_str()]);
        snapshot.method = item
            .method
            .as_deref()
            .map(str::to_ascii_lowercase)
            .filter(|word| is_word(word));
        // Adyen's moment is not signed; it is no younger than this.
        snapshot.created_at = Some(self.received_at);
        self.rules.judge(&mut snapshot, self.rules.live, true);
        Ok(snapshot)
    }

    fn authorised(&self, item: &Item) -> Result<PaymentSnapshot, Unreadable> {
        let amount = money(item)?;
        let mut snapshot = self.own(item, Rank::Authorised)?;
        snapshot.requested = Some(amount);
        match self.capture {
            Capture::Automatic => {
                snapshot.progress = Some(Progress::Taken);
                snapshot.captured = Some(amount);
            }
            Capture::Manual => {
                snapshot.progress = Some(Progress::Authorised);
                snapshot.authorised = Some(amount);
            }
        }
        Ok(snapshot)
    }

    /// An attempt that failed, or an offer that nobody took. Another attempt may share its name,
    /// so where money is only held it must not bury what may have been authorised since.
    fn not_authorised(&self, item: &Item) -> Result<Vec<PaymentSnapshot>, Unreadable> {
        let mut begun = self.own(item, Rank::Begun)?;
        if self.capture == Capture::Manual {
            begun.progress = Some(Progress::Waiting);
            return Ok(vec![begun]);
        }
        let mut ended = self.blank(item.payment()?, self.received_at);
        ended.progress = Some(Progress::Dead);
        Ok(vec![begun, ended])
    }

    /// What was done with a payment that may be unknown here. Until its own event shows whose it
    /// is, it is nobody's, or of an unknown kind where the account serves only this shop.
    fn modified(&self, item: &Item, what: Told) -> Result<Vec<PaymentSnapshot>, Unreadable> {
        let payment = item.payment()?;
        let mut named = self.blank(payment.clone(), Rank::Named.at());
        self.rules.judge(&mut named, self.rules.live, false);
        let mut said = self.blank(payment.clone(), self.received_at);
        let (own, amount) = (item.own()?, money(item)?);
        match what {
            Told::Captured => {
                said.as_of = Rank::Captured.at();
                said.progress = Some(Progress::Taken);
                // What is not captured of an authorisation is released.
                said.authorised = Some(Money::zero(amount.currency()));
                said.captures.insert(own, amount);
            }
            Told::NotCaptured => {
                let state = DisputeState::Open;
                said.disputes.insert(own, Dispute { amount, state });
            }
            Told::Dispute(state) => {
                said.disputes.insert(own, Dispute { amount, state });
            }
            Told::Cancelled => said.progress = Some(Progress::Dead),
            Told::Refund(state) => {
                let refund = self.refund(item, &payment, amount, state);
                said.refunds.insert(own, refund);
            }
            Told::Reversed => {
                let refund = self.refund(item, &payment, amount, RefundState::Succeeded);
                said.refunds.insert(own, refund);
                if self.capture == Capture::Manual {
                    said.progress = Some(Progress::Dead);
                }
            }
            Told::Authorised | Told::NotAuthorised | Told::Nothing => {}
        }
        Ok(vec![named, said])
    }

    /// A payment whose money was taken, by a report. Whose it is ranks below the word of its own
    /// event. The sum of all its captures is at least the greatest of them: which event each
    /// belongs to is not certain, and counted twice they would leave an excess to give back.
    pub(super) fn settled(&self, row: &SettledRow<'_>) -> Vec<PaymentSnapshot> {
        let mut own = self.blank(row.payment.clone(), Rank::Begun.at());
        own.reference = self.rules.reference([row.reference]);
        let method = row.method.to_ascii_lowercase();
        own.method = Some(method).filter(|word| is_word(word));
        own.created_at = Some(row.created.min(self.received_at));
        self.rules.judge(&mut own, self.rules.live, true);
        let mut taken = self.blank(row.payment.clone(), Rank::Captured.at());
        taken.progress = Some(Progress::Taken);
        taken.authorised = Some(Money::zero(row.amount.currency()));
        taken.captured = Some(row.amount);
        vec![own, taken]
    }

    /// What a report says of a change: the same as its event.
    pub(super) fn change(&self, item: &Item) -> Result<Vec<PaymentSnapshot>, Unreadable> {
        let what = told(&item.event_code, success(item)?, self.capture);
        self.modified(item, what)
    }

    fn refund(
        &self,
        item: &Item,
        payment: &ExternalRef,
        amount: Money,
        state: RefundState,
    ) -> Refund {
        Refund::new(
            amount,
            state,
            mark(
                &item.merchant_reference,
                self.rules.account.as_str(),
                payment,
            ),
        )
    }
}

/// Our key, if that is what the reference of a modification is: a shop may call its refunds what
/// it likes.
fn mark(reference: &str, account: &str, payment: &ExternalRef) -> Option<ActionKey> {
    let (subject, number) = reference.strip_prefix("refund-")?.rsplit_once('-')?;
    let is_number = !number.is_empty() && number.bytes().all(|byte| byte.is_ascii_digit());
    let is_plain = subject == format!("{account}.{payment}");
    let is_hex = |byte: u8| byte.is_ascii_digit() || matches!(byte, b'a'..=b'f');
    let is_short = subject.len() == 16 && subject.bytes().all(is_hex);
    let key = ActionKey::parse(reference).ok();
    key.filter(|_| is_number && (is_plain || is_short))
}

fn success(item: &Item) -> Result<bool, Unreadable> {
    match item.success.as_str() {
        "true" => Ok(true),
        "false" => Ok(false),
        _ => Err(unreadable(
            "wrong_shape",
            "`success` is neither \"true\" nor \"false\"",
        )),
    }
}

fn money(item: &Item) -> Result<Money, Unreadable> {
    let currency = amount::currency(&item.currency);
    let read = currency.and_then(|currency| amount::read(&item.value, currency));
    read.map_err(|bad| unreadable("bad_amount", bad.0))
}

fn ignored(what: &str) -> Reading {
    Reading::Ignored {
        what: what.to_owned(),
    }
}

fn unreadable(code: &'static str, detail: &str) -> Unreadable {
    Unreadable {
        code,
        detail: detail.to_owned(),
    }
}

pub(super) fn is_word(word: &str) -> bool {
    let fits = |byte: u8| byte.is_ascii_alphanumeric() || b"_-".contains(&byte);
    !word.is_empty() && word.len() <= WORD_BYTES_MAX && word.bytes().all(fits)
}

fn printable(event: &str) -> String {
    if is_word(event) {
        event.to_ascii_lowercase()
    } else {
        "unknown_event".to_owned()
    }
}
