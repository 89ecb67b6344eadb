//! Our questions and orders to Stripe: built as requests, their replies read as statements.
//!
//! Each exchange is replayed from its replies alone, so a crash between two of its calls costs
//! nothing but the calls. Reads may be repeated freely; the two orders carry the decision's key
//! as idempotency key, the same on every attempt. Does no I/O.

use super::Stripe;
use super::answer::{self, Effect};
use super::form::Form;
use super::objects::{DisputeObject, List, RefundObject, payment_of, typed, typed_in};
use super::statement::{ChargeView, Frame, MARK_FIELD, charge, looks_like_a_release};
use super::{amount, list};
use crate::core::ids::{ActionKey, ExternalRef};
use crate::core::money::Money;
use crate::core::payment::{PaymentSnapshot, Source};
use crate::core::plan::Reason;
use crate::core::time::Time;
use crate::psp::{Failure, PspAnswer, PspAsk, Step, Unreadable};
use crate::wire::{Headers, Method, Reply, Request};
use secrecy::ExposeSecret;
use serde_json::value::RawValue;

/// The API version that the field names and amounts here were checked against.
pub(super) const API_VERSION: &str = "2026-07-29.dahlia";
/// Objects a page; the most that Stripe gives.
pub(super) const PAGE_ITEMS: &str = "100";
/// Most pages of refunds read for one payment: a thousand refunds. Past it the list does not
/// count as whole, and without a whole list no refund leaves.
const REFUND_PAGES_MAX: usize = 10;
/// The metadata field of a refund that says why, for whoever looks at Stripe's dashboard.
const REASON_FIELD: &str = "reconciled_reason";

/// The payment that an exchange is about, as Stripe showed it.
struct Subject {
    snapshot: PaymentSnapshot,
    /// The charge that took the money, where it is shown.
    charge: Option<ChargeView>,
    /// The remainder of a partial capture, until the list of refunds has shown it.
    released: Option<Money>,
}

/// An order: what it is called by and where it goes.
struct Order<'a> {
    payment: &'a ExternalRef,
    key: &'a ActionKey,
    why: Reason,
}

impl Stripe {
    /// The next step of any exchange.
    pub(super) fn next(&self, ask: &PspAsk, asked_at: Time, replies: &[Reply]) -> Step {
        let frame = Frame {
            rules: &self.rules,
            as_of: asked_at,
            observed_at: asked_at,
            source: Source::Read { asked_at },
            event_live: None,
        };
        let step = match ask {
            PspAsk::Fetch { payment } => self.fetch(&frame, payment, replies),
            PspAsk::Refund {
                payment,
                amount,
                key,
                why,
            } => {
                let why = *why;
                let order = Order { payment, key, why };
                self.refund(&frame, &order, *amount, replies)
            }
            PspAsk::Reverse { .. } => Err(Failure::Refused("not_supported".to_owned())),
            PspAsk::Void { payment, key, why } => {
                let why = *why;
                self.void(&frame, &Order { payment, key, why }, replies)
            }
            PspAsk::CancelRefund { .. } => Err(Failure::Refused("not_supported".to_owned())),
            PspAsk::List {
                listing,
                from,
                to,
                cursor,
            } => list::step(
                self,
                &frame,
                *listing,
                (*from, *to),
                cursor.as_deref(),
                replies,
            ),
        };
        step.unwrap_or_else(|failure| Step::Done(PspAnswer::Failed(failure)))
    }

    /// A read.
    pub(super) fn get(&self, path: &str, query: &Form) -> Step {
        let url = match query.text() {
            "" => format!("{}{path}", self.api_base),
            text => format!("{}{path}?{text}", self.api_base),
        };
        Step::Send(Request {
            method: Method::Get,
            url,
            headers: self.headers(),
            body: Vec::new(),
        })
    }

    fn post(&self, path: &str, key: &ActionKey, form: &Form) -> Step {
        Step::Send(Request {
            method: Method::Post,
            url: format!("{}{path}", self.api_base),
            headers: self
                .headers()
                .with("content-type", "application/x-www-form-urlencoded")
                .with("idempotency-key", key.as_str()),
            body: form.text().as_bytes().to_vec(),
        })
    }

    fn headers(&self) -> Headers {
        let bearer = format!("Bearer {}", self.api_key.expose_secret());
        Headers::new()
            .with("authorization", &bearer)
            .with("stripe-version", API_VERSION)
            .with("accept", "application/json")
    }

    /// The payment, then its refunds, then its disputes; one statement.
    fn fetch(
        &self,
        frame: &Frame<'_>,
        payment: &ExternalRef,
        replies: &[Reply],
    ) -> Result<Step, Failure> {
        let mut replies = replies.iter();
        let Some(reply) = replies.next() else {
            return Ok(if is_intent(payment) {
                let query = Form::default().with("expand[]", "latest_charge");
                self.get(&format!("/v1/payment_intents/{payment}"), &query)
            } else {
                self.get(&format!("/v1/charges/{payment}"), &Form::default())
            });
        };
        let body = answer::body(reply, Effect::Reads)?;
        let mut subject = subject(frame, payment, body).map_err(|e| answer::malformed(&e))?;
        if subject.snapshot.captured.is_some_and(Money::is_positive) {
            if let Some(step) = self.refunds(frame, &mut subject, &mut replies)? {
                return Ok(step);
            }
            if subject.may_be_disputed()
                && let Some(step) = self.disputes(frame, &mut subject, &mut replies)?
            {
                return Ok(step);
            }
        }
        Ok(Step::Done(PspAnswer::Seen(vec![subject.snapshot])))
    }

    /// Reads page after page; a step when the next one has yet to be asked for.
    fn refunds<'a>(
        &self,
        frame: &Frame<'_>,
        subject: &mut Subject,
        replies: &mut impl Iterator<Item = &'a Reply>,
    ) -> Result<Option<Step>, Failure> {
        let mut cursor: Option<ExternalRef> = None;
        for _ in 0..REFUND_PAGES_MAX {
            let Some(reply) = replies.next() else {
                let query = self.related(&subject.snapshot, cursor.as_ref());
                return Ok(Some(self.get("/v1/refunds", &query)));
            };
            let body = answer::body(reply, Effect::Reads)?;
            let page = add_refunds(frame, subject, body);
            cursor = page.map_err(|e| answer::malformed(&e))?;
            if cursor.is_none() {
                subject.snapshot.is_refund_list_whole = true;
                return Ok(None);
            }
        }
        Ok(None)
    }

    fn disputes<'a>(
        &self,
        frame: &Frame<'_>,
        subject: &mut Subject,
        replies: &mut impl Iterator<Item = &'a Reply>,
    ) -> Result<Option<Step>, Failure> {
        let Some(reply) = replies.next() else {
            let query = self.related(&subject.snapshot, None);
            return Ok(Some(self.get("/v1/disputes", &query)));
        };
        let body = answer::body(reply, Effect::Reads)?;
        add_disputes(frame, subject, body).map_err(|e| answer::malformed(&e))?;
        Ok(None)
    }

    fn related(&self, snapshot: &PaymentSnapshot, cursor: Option<&ExternalRef>) -> Form {
        let payment = &snapshot.payment.id;
        let query = Form::default()
            .with(parameter(payment), payment.as_str())
            .with("limit", PAGE_ITEMS);
        match cursor {
            Some(last) => query.with("starting_after", last.as_str()),
            None => query,
        }
    }

    fn refund(
        &self,
        frame: &Frame<'_>,
        order: &Order<'_>,
        amount: Money,
        replies: &[Reply],
    ) -> Result<Step, Failure> {
        let wire = amount::write(amount)
            .map_err(|_| Failure::Refused("amount_not_expressible".to_owned()))?;
        let Some(reply) = replies.first() else {
            let form = Form::default()
                .with(parameter(order.payment), order.payment.as_str())
                .with("amount", &wire.to_string())
                .with("reason", refund_reason(order.why))
                .with(&format!("metadata[{MARK_FIELD}]"), order.key.as_str())
                .with(&format!("metadata[{REASON_FIELD}]"), order.why.code());
            return Ok(self.post("/v1/refunds", order.key, &form));
        };
        let body = answer::body(reply, Effect::Moves)?;
        let snapshot = refunded(frame, order, amount, body).map_err(|e| answer::malformed(&e))?;
        Ok(Step::Done(PspAnswer::Seen(vec![snapshot])))
    }

    fn void(
        &self,
        frame: &Frame<'_>,
        order: &Order<'_>,
        replies: &[Reply],
    ) -> Result<Step, Failure> {
        if !is_intent(order.payment) {
            return Err(Failure::Refused("charge_without_intent".to_owned()));
        }
        let Some(reply) = replies.first() else {
            let form = Form::default().with("cancellation_reason", void_reason(order.why));
            let path = format!("/v1/payment_intents/{}/cancel", order.payment);
            return Ok(self.post(&path, order.key, &form));
        };
        let body = answer::body(reply, Effect::Moves)?;
        let subject = subject(frame, order.payment, body).map_err(|e| answer::malformed(&e))?;
        Ok(Step::Done(PspAnswer::Seen(vec![subject.snapshot])))
    }
}

impl Subject {
    /// False only when the charge that took the money says that it is not disputed.
    fn may_be_disputed(&self) -> bool {
        let charge = self.charge.as_ref();
        charge.is_none_or(|view| view.captured.is_none() || view.is_disputed != Some(false))
    }

    /// The released remainder of a partial capture stands in the list like a refund, done, of
    /// exactly that amount, and moved nothing.
    /// It stands there once.
    fn takes_as_release(&mut self, refund: &RefundObject<'_>) -> bool {
        let amount = amount::currency(&refund.currency)
            .and_then(|currency| amount::read(refund.amount.get(), currency));
        let is_release =
            looks_like_a_release(refund) && self.released.is_some() && amount.ok() == self.released;
        if is_release {
            self.released = None;
        }
        is_release
    }
}

/// PaymentIntents are named `pi_…`; charges `ch_…` or `py_…`.
fn is_intent(payment: &ExternalRef) -> bool {
    payment.as_str().starts_with("pi_")
}

fn parameter(payment: &ExternalRef) -> &'static str {
    if is_intent(payment) {
        "payment_intent"
    } else {
        "charge"
    }
}

fn subject(frame: &Frame<'_>, payment: &ExternalRef, body: &[u8]) -> Result<Subject, Unreadable> {
    let raw = whole(body)?;
    let (snapshot, charge) = if is_intent(payment) {
        let view = frame.intent(raw)?;
        (view.snapshot, view.latest)
    } else {
        let view = charge(raw)?;
        (frame.lone_charge(raw, &view)?, Some(view))
    };
    expect(snapshot.payment.id == *payment, "other_payment")?;
    Ok(Subject {
        snapshot,
        released: charge.as_ref().and_then(|view| view.released),
        charge,
    })
}

fn add_refunds(
    frame: &Frame<'_>,
    subject: &mut Subject,
    body: &[u8],
) -> Result<Option<ExternalRef>, Unreadable> {
    let page: List<'_> = list::page(body)?;
    let mut last = None;
    for raw in &page.data {
        let refund: RefundObject<'_> = typed_in(raw)?;
        let named = payment_of(refund.payment_intent, refund.charge)?;
        expect(
            named.as_ref() == Some(&subject.snapshot.payment.id),
            "other_payment",
        )?;
        if !subject.takes_as_release(&refund) {
            frame.add_refund(&mut subject.snapshot, &refund)?;
        }
        last = Some(refund.id);
    }
    list::next(&page, last)
}

fn add_disputes(frame: &Frame<'_>, subject: &mut Subject, body: &[u8]) -> Result<(), Unreadable> {
    let page: List<'_> = list::page(body)?;
    expect(!page.has_more, "too_many_disputes")?;
    for raw in &page.data {
        let dispute: DisputeObject<'_> = typed_in(raw)?;
        let named = payment_of(dispute.payment_intent, dispute.charge)?;
        expect(
            named.as_ref() == Some(&subject.snapshot.payment.id),
            "other_payment",
        )?;
        frame.add_dispute(&mut subject.snapshot, &dispute)?;
    }
    Ok(())
}

/// The answer to a refund shows the refund and not the payment, so it claims no more than a
/// signed event would: it is no fresh look at the money.
fn refunded(
    frame: &Frame<'_>,
    order: &Order<'_>,
    amount: Money,
    body: &[u8],
) -> Result<PaymentSnapshot, Unreadable> {
    let refund: RefundObject<'_> = typed(body)?;
    let named = payment_of(refund.payment_intent, refund.charge)?;
    expect(named.as_ref() == Some(order.payment), "other_payment")?;
    let source = Source::Signed;
    let frame = Frame { source, ..*frame };
    let mut snapshot = frame.blank(order.payment);
    frame.add_refund(&mut snapshot, &refund)?;
    let is_ours = snapshot
        .refunds
        .values()
        .all(|refund| refund.amount == amount && refund.mark.as_ref() == Some(order.key));
    expect(is_ours, "other_refund")?;
    Ok(snapshot)
}

fn whole(body: &[u8]) -> Result<&RawValue, Unreadable> {
    serde_json::from_slice(body).map_err(|_| Unreadable {
        code: "not_json",
        detail: "the answer is not JSON".to_owned(),
    })
}

/// Refuses an answer that is not about what was asked.
fn expect(is_so: bool, code: &'static str) -> Result<(), Unreadable> {
    if is_so {
        Ok(())
    } else {
        Err(Unreadable {
            code,
            detail: "the answer is not about what was asked".to_owned(),
        })
    }
}

fn refund_reason(why: Reason) -> &'static str {
    if why == Reason::Duplicate {
        "duplicate"
    } else {
        "requested_by_customer"
    }
}

fn void_reason(why: Reason) -> &'static str {
    if why == Reason::Duplicate {
        "duplicate"
    } else if why == Reason::OrderCancelled || why == Reason::OperatorRefund {
        "requested_by_customer"
    } else {
        "abandoned"
    }
}
