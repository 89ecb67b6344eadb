//! Our questions and orders to Mollie: built as requests, their replies read as statements.
//!
//! Each exchange is replayed from its replies alone. A refund carries the decision's key as
//! idempotency key and as mark, and the same bytes on every attempt. Mollie remembers the key for
//! one hour; after that the list of refunds, with our mark in it, is the only guard. Only ids of
//! the right shape get into a path. Does no I/O.

use super::Mollie;
use super::answer::{self, Effect};
use super::objects::{Page, RefundObject, time, typed};
use super::statement::{Frame, MARK_FIELD, PaymentView, expect};
use super::{amount, ident, list};
use crate::core::ids::{ActionKey, ExternalRef};
use crate::core::money::Money;
use crate::core::payment::{PaymentSnapshot, Progress, RefundState, Source};
use crate::core::time::{Span, Time};
use crate::psp::{Failure, PspAnswer, PspAsk, Step, Unreadable, json};
use crate::wire::{Headers, Method, Reply, Request};
use secrecy::ExposeSecret;
use serde_json::json;
use serde_json::value::RawValue;
use std::slice::Iter;

/// Most pages of refunds read for one payment: 2,500 refunds. Past it the list does not count as
/// whole, and without a whole list no refund leaves.
const REFUND_PAGES_MAX: usize = 10;
/// Mollie declines a second refund of the same amount of the same payment for about an hour,
/// whoever asks; a little is added for the word "about".
const DUPLICATE_BLOCK: Span = Span::from_minutes(65);
/// What is read with a payment.
const EMBED: &str = "embed=refunds,captures,chargebacks";

/// A refund: of what, how much, under which name.
struct Order<'a> {
    payment: &'a ExternalRef,
    amount: Money,
    key: &'a ActionKey,
}

impl Mollie {
    /// The next step of any exchange.
    pub(super) fn next(&self, ask: &PspAsk, asked_at: Time, replies: &[Reply]) -> Step {
        let frame = Frame {
            rules: &self.rules,
            as_of: asked_at,
            observed_at: asked_at,
            source: Source::Read { asked_at },
        };
        let mut replies = replies.iter();
        let step = match ask {
            PspAsk::Fetch { payment } => {
                checked(payment).and_then(|()| self.fetch(&frame, payment, &mut replies))
            }
            PspAsk::Refund {
                payment,
                amount,
                key,
                why: _,
            } => {
                let amount = *amount;
                let order = Order {
                    payment,
                    amount,
                    key,
                };
                checked(payment).and_then(|()| self.refund(&frame, &order, &mut replies))
            }
            PspAsk::Reverse { .. } => Err(Failure::Refused("no_reversal".to_owned())),
            PspAsk::Void { payment, key, .. } => {
                checked(payment).and_then(|()| self.void(&frame, payment, key, &mut replies))
            }
            PspAsk::CancelRefund {
                payment, refund, ..
            } => checked(payment)
                .and_then(|()| checked_refund(refund))
                .and_then(|()| self.cancel_refund(&frame, (payment, refund), &mut replies)),
            PspAsk::List {
                listing,
                from,
                cursor,
                to: _,
            } => list::step(
                self,
                &frame,
                *listing,
                *from,
                cursor.as_deref(),
                replies.as_slice(),
            ),
        };
        step.unwrap_or_else(|failure| Step::Done(PspAnswer::Failed(failure)))
    }

    /// The whole address of a path.
    pub(super) fn address(&self, path: &str) -> String {
        format!("{}{path}", self.api_base)
    }

    /// A read.
    pub(super) fn get(&self, path: &str) -> Step {
        self.send(Method::Get, path)
    }

    fn send(&self, method: Method, path: &str) -> Step {
        Step::Send(Request {
            method,
            url: self.address(path),
            headers: self.headers(),
            body: Vec::new(),
        })
    }

    fn post(&self, path: &str, key: &ActionKey, body: &serde_json::Value) -> Step {
        Step::Send(Request {
            method: Method::Post,
            url: self.address(path),
            headers: self
                .headers()
                .with("content-type", "application/json")
                .with("idempotency-key", key.as_str()),
            body: body.to_string().into_bytes(),
        })
    }

    fn headers(&self) -> Headers {
        let bearer = format!("Bearer {}", self.api_key.expose_secret());
        Headers::new()
            .with("authorization", &bearer)
            .with("accept", "application/hal+json")
    }

    /// The payment with all that belongs to it, then its refunds page by page where what was
    /// embedded may not be all.
    fn fetch(
        &self,
        frame: &Frame<'_>,
        payment: &ExternalRef,
        replies: &mut Iter<'_, Reply>,
    ) -> Result<Step, Failure> {
        let Some(reply) = replies.next() else {
            return Ok(self.get(&format!("/v2/payments/{payment}?{EMBED}")));
        };
        let mut snapshot = view(frame, payment, reply)?.snapshot;
        let has_money = snapshot.captured.is_some_and(Money::is_positive);
        if has_money
            && !snapshot.is_refund_list_whole
            && let Some(step) = self.refunds(frame, &mut snapshot, replies)?
        {
            return Ok(step);
        }
        Ok(seen(snapshot))
    }

    /// Reads page after page; a step when the next one has yet to be asked for.
    fn refunds(
        &self,
        frame: &Frame<'_>,
        snapshot: &mut PaymentSnapshot,
        replies: &mut Iter<'_, Reply>,
    ) -> Result<Option<Step>, Failure> {
        let path = refunds_path(&snapshot.payment.id);
        let mut cursor: Option<String> = None;
        for _ in 0..REFUND_PAGES_MAX {
            let Some(reply) = replies.next() else {
                return Ok(Some(self.get(&list::page_path(&path, cursor.as_deref()))));
            };
            let body = answer::body(reply, Effect::Reads)?;
            let next = self.add_refunds(frame, snapshot, &path, body);
            cursor = next.map_err(|e| answer::malformed(&e))?;
            if cursor.is_none() {
                snapshot.is_refund_list_whole = true;
                return Ok(None);
            }
        }
        Ok(None)
    }

    fn add_refunds(
        &self,
        frame: &Frame<'_>,
        snapshot: &mut PaymentSnapshot,
        path: &str,
        body: &[u8],
    ) -> Result<Option<String>, Unreadable> {
        let page: Page<'_> = json::object(body)?;
        let next = list::next(self, path, &page)?;
        let refunds = page.embedded.0.refunds.unwrap_or_default();
        expect(next.is_none() || !refunds.is_empty(), "wrong_shape")?;
        for raw in refunds {
            frame.add_refund(snapshot, raw)?;
        }
        Ok(next)
    }

    fn refund(
        &self,
        frame: &Frame<'_>,
        order: &Order<'_>,
        replies: &mut Iter<'_, Reply>,
    ) -> Result<Step, Failure> {
        let value = amount::write(order.amount)
            .map_err(|_| Failure::Refused("amount_not_expressible".to_owned()))?;
        let path = refunds_path(order.payment);
        let Some(reply) = replies.next() else {
            let body = json!({
                "amount": {"currency": order.amount.currency().code(), "value": value},
                "description": format!("Refund {}", order.payment),
                "metadata": {MARK_FIELD: order.key.as_str()},
            });
            return Ok(self.post(&path, order.key, &body));
        };
        if answer::is_conflict(reply) {
            let Some(reply) = replies.next() else {
                return Ok(self.get(&list::page_path(&path, None)));
            };
            return after_conflict(frame, order, answer::body(reply, Effect::Reads)?);
        }
        let body = answer::body(reply, Effect::Moves)?;
        let raw = whole(body).map_err(|e| answer::malformed(&e))?;
        let snapshot = refunded(frame, order, raw).map_err(|e| answer::malformed(&e))?;
        Ok(seen(snapshot))
    }

    /// Looks first, then releases the authorisation or cancels an open payment, then looks again:
    /// Mollie only takes note of a release, and the issuer need not comply.
    fn void(
        &self,
        frame: &Frame<'_>,
        payment: &ExternalRef,
        key: &ActionKey,
        replies: &mut Iter<'_, Reply>,
    ) -> Result<Step, Failure> {
        let path = format!("/v2/payments/{payment}");
        let Some(reply) = replies.next() else {
            return Ok(self.get(&format!("{path}?{EMBED}")));
        };
        let found = view(frame, payment, reply)?;
        let order = match found.snapshot.progress {
            Some(Progress::Authorised) => {
                let path = format!("{path}/release-authorization");
                self.post(&path, key, &json!({}))
            }
            Some(Progress::Waiting | Progress::InFlight) if found.is_cancelable => {
                self.send(Method::Delete, &path)
            }
            Some(Progress::Waiting | Progress::InFlight | Progress::Taken | Progress::Dead)
            | None => return Ok(seen(found.snapshot)),
        };
        let Some(reply) = replies.next() else {
            return Ok(order);
        };
        answer::body(reply, Effect::Moves)?;
        self.fetch(frame, payment, replies)
    }

    /// Mollie's word on the cancellation is only that it was taken; what became of the refund is
    /// read.
    fn cancel_refund(
        &self,
        frame: &Frame<'_>,
        (payment, refund): (&ExternalRef, &ExternalRef),
        replies: &mut Iter<'_, Reply>,
    ) -> Result<Step, Failure> {
        let Some(reply) = replies.next() else {
            let path = format!("{}/{refund}", refunds_path(payment));
            return Ok(self.send(Method::Delete, &path));
        };
        answer::body(reply, Effect::Moves)?;
        self.fetch(frame, payment, replies)
    }
}

fn checked(payment: &ExternalRef) -> Result<(), Failure> {
    if ident::is_payment(payment.as_str()) {
        Ok(())
    } else {
        Err(Failure::Refused("not_a_payment_id".to_owned()))
    }
}

fn checked_refund(refund: &ExternalRef) -> Result<(), Failure> {
    if ident::is_refund(refund.as_str()) {
        Ok(())
    } else {
        Err(Failure::Refused("not_a_refund_id".to_owned()))
    }
}

fn refunds_path(payment: &ExternalRef) -> String {
    format!("/v2/payments/{payment}/refunds")
}

fn seen(snapshot: PaymentSnapshot) -> Step {
    Step::Done(PspAnswer::Seen(vec![snapshot]))
}

fn view(frame: &Frame<'_>, payment: &ExternalRef, reply: &Reply) -> Result<PaymentView, Failure> {
    let body = answer::body(reply, Effect::Reads)?;
    let read = |body| {
        let view = frame.payment(whole(body)?)?;
        expect(view.snapshot.payment.id == *payment, "other_payment")?;
        Ok(view)
    };
    read(body).map_err(|e: Unreadable| answer::malformed(&e))
}

/// The answer to a refund shows the refund and not the payment, so it claims no more than a
/// signed delivery would: it is no fresh look at the money.
fn refunded(
    frame: &Frame<'_>,
    order: &Order<'_>,
    raw: &RawValue,
) -> Result<PaymentSnapshot, Unreadable> {
    let source = Source::Signed;
    let frame = Frame { source, ..*frame };
    let mut snapshot = frame.blank(order.payment);
    frame.add_refund(&mut snapshot, raw)?;
    let is_ours = snapshot
        .refunds
        .values()
        .all(|refund| refund.amount == order.amount && refund.mark.as_ref() == Some(order.key));
    expect(is_ours, "other_refund")?;
    Ok(snapshot)
}

/// What a conflict means: our own refund stands in the list and is taken as the answer; or
/// another one of the same amount blocks ours for a while; or the first request is still under
/// way, and its outcome is open.
fn after_conflict(frame: &Frame<'_>, order: &Order<'_>, body: &[u8]) -> Result<Step, Failure> {
    let blocked = |body| {
        let page: Page<'_> = json::object(body)?;
        let mut blocked_at: Option<Time> = None;
        for raw in page.embedded.0.refunds.unwrap_or_default() {
            if let Ok(snapshot) = refunded(frame, order, raw) {
                return Ok(Err(snapshot));
            }
            blocked_at = blocked_at.max(like_ours(frame, order, raw)?);
        }
        Ok(Ok(blocked_at))
    };
    match blocked(body).map_err(|e: Unreadable| answer::malformed(&e))? {
        Err(ours) => Ok(seen(ours)),
        Ok(None) => Err(Failure::Unclear("status_409".to_owned())),
        Ok(Some(at)) => {
            let left = at.plus(DUPLICATE_BLOCK).since(frame.as_of);
            let wait = left.clamp(Span::from_minutes(1), DUPLICATE_BLOCK);
            let code = "duplicate_refund".to_owned();
            Err(Failure::Postponed { code, wait })
        }
    }
}

/// When a refund of the same amount was made that came to anything.
fn like_ours(
    frame: &Frame<'_>,
    order: &Order<'_>,
    raw: &RawValue,
) -> Result<Option<Time>, Unreadable> {
    let refund: RefundObject<'_> = typed(raw.get().as_bytes(), "refund")?;
    let mut snapshot = frame.blank(order.payment);
    frame.add_refund(&mut snapshot, raw)?;
    let mut shown = snapshot.refunds.values();
    let is_like =
        shown.all(|shown| shown.amount == order.amount && shown.state != RefundState::Failed);
    match refund.created_at.filter(|_| is_like) {
        Some(text) => Ok(Some(time(&text)?)),
        None => Ok(None),
    }
}

fn whole(body: &[u8]) -> Result<&RawValue, Unreadable> {
    serde_json::from_slice(body).map_err(|_| Unreadable {
        code: "not_json",
        detail: "the answer is not JSON".to_owned(),
    })
}
