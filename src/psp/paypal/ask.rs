//! Our questions and orders to PayPal: built as requests, their replies read as statements.
//!
//! A fetch gathers all that a refund must know: the capture, its order with all refunds of it,
//! its disputes with their outcome, and whether PayPal itself took it back. The id may be a
//! capture's, an authorisation's or an order's; they look alike, so each is tried until PayPal
//! knows it. Each exchange is replayed from its replies alone. Does no I/O.

use super::answer::{self, Effect};
use super::look::{self, expect};
use super::objects::{Dispute, RefundObject, capture_above};
use super::statement::{Frame, mark};
use super::{Paypal, amount, list};
use crate::core::ids::{ActionKey, ExternalRef};
use crate::core::money::Money;
use crate::core::payment::{PaymentSnapshot, Source};
use crate::core::time::Time;
use crate::psp::{Failure, PspAnswer, PspAsk, Step, Unreadable, json};
use crate::wire::{Headers, Method, Reply, Request};
use serde::Serialize;

/// Most disputes of one capture that are shown on a page; PayPal gives at most 50.
const DISPUTES_PAGE: &str = "50";
/// Decided disputes that are read one by one for their outcome; the others count as open.
const OUTCOMES_MAX: usize = 5;
/// Longest `custom_id`, in bytes.
const CUSTOM_ID_BYTES_MAX: usize = 127;

/// The replies of an exchange, taken one by one.
type Replies<'a> = std::slice::Iter<'a, Reply>;

/// A refund as it is asked for.
#[derive(Serialize)]
struct RefundBody<'a> {
    amount: WrittenAmount<'a>,
    custom_id: &'a str,
    invoice_id: &'a str,
}

#[derive(Serialize)]
struct WrittenAmount<'a> {
    currency_code: &'a str,
    value: &'a str,
}

impl Paypal {
    /// The next step of any exchange.
    pub(super) fn next(&self, ask: &PspAsk, asked_at: Time, replies: &[Reply]) -> Step {
        let frame = Frame {
            rules: &self.rules,
            as_of: asked_at,
            observed_at: asked_at,
            source: Source::Read { asked_at },
        };
        let step = match ask {
            PspAsk::Fetch { payment } => self.fetch(&frame, payment, replies.iter()),
            PspAsk::Refund {
                payment,
                amount,
                key,
                ..
            } => self.refund(&frame, payment, (*amount, key), replies),
            PspAsk::Reverse { .. } => Err(Failure::Refused("not_supported".to_owned())),
            PspAsk::Void { payment, .. } => self.void(&frame, payment, replies),
            // PayPal cannot take a refund back once it was accepted.
            PspAsk::CancelRefund { .. } => Err(Failure::Refused("not_cancellable".to_owned())),
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
    pub(super) fn get(&self, path_and_query: &str) -> Result<Step, Failure> {
        Ok(Step::Send(Request {
            method: Method::Get,
            url: format!("{}{path_and_query}", self.api_base),
            headers: self.headers()?,
            body: Vec::new(),
        }))
    }

    fn post(&self, path: &str, request_id: Option<&str>, body: Vec<u8>) -> Result<Step, Failure> {
        let mut headers = self
            .headers()?
            .with("content-type", "application/json")
            .with("prefer", "return=representation");
        if let Some(id) = request_id {
            headers.push("paypal-request-id", id);
        }
        Ok(Step::Send(Request {
            method: Method::Post,
            url: format!("{}{path}", self.api_base),
            headers,
            body,
        }))
    }

    fn headers(&self) -> Result<Headers, Failure> {
        Ok(Headers::new()
            .with("authorization", &self.session.bearer()?)
            .with("accept", "application/json"))
    }

    fn fetch(
        &self,
        frame: &Frame<'_>,
        id: &ExternalRef,
        mut replies: Replies<'_>,
    ) -> Result<Step, Failure> {
        let Some(reply) = replies.next() else {
            return self.get(&format!("/v2/payments/captures/{id}"));
        };
        if !answer::is_unknown(reply) {
            return self.fetch_capture(frame, id, reply, replies);
        }
        let Some(reply) = replies.next() else {
            return self.get(&format!("/v2/payments/authorizations/{id}"));
        };
        if !answer::is_unknown(reply) {
            return self.fetch_authorization(frame, id, reply, replies);
        }
        let Some(reply) = replies.next() else {
            return self.get(&format!("/v2/checkout/orders/{id}"));
        };
        let body = answer::body(reply, Effect::Reads)?;
        let seen = look::order_and_captures(frame, id, body).map_err(|e| answer::malformed(&e))?;
        Ok(Step::Done(PspAnswer::Seen(seen)))
    }

    fn fetch_capture(
        &self,
        frame: &Frame<'_>,
        id: &ExternalRef,
        reply: &Reply,
        mut replies: Replies<'_>,
    ) -> Result<Step, Failure> {
        let body = answer::body(reply, Effect::Reads)?;
        let mut view = look::capture(frame, id, body).map_err(|e| answer::malformed(&e))?;
        if view.snapshot.captured.is_none() {
            return Ok(Step::Done(PspAnswer::Seen(vec![view.snapshot])));
        }
        if let Some(order) = view.order.clone() {
            let Some(reply) = replies.next() else {
                return self.get(&format!("/v2/checkout/orders/{order}"));
            };
            // PayPal forgets old orders. Without one the list of refunds is not whole, and no
            // refund leaves.
            if !answer::is_unknown(reply) {
                let body = answer::body(reply, Effect::Reads)?;
                look::add_order(frame, &mut view, &order, body)
                    .map_err(|e| answer::malformed(&e))?;
            }
        }
        let Some(reply) = replies.next() else {
            let query = format!("disputed_transaction_id={id}&page_size={DISPUTES_PAGE}");
            return self.get(&format!("/v1/customer/disputes?{query}"));
        };
        let body = answer::body(reply, Effect::Reads)?;
        let disputes = look::disputes(body).map_err(|e| answer::malformed(&e))?;
        for (nth, dispute) in disputes.iter().enumerate() {
            if nth >= OUTCOMES_MAX || !look::is_decided(dispute) {
                look::add_dispute(&mut view, dispute, None).map_err(|e| answer::malformed(&e))?;
                continue;
            }
            let Some(reply) = replies.next() else {
                let id = &dispute.dispute_id;
                return self.get(&format!("/v1/customer/disputes/{id}"));
            };
            let body = answer::body(reply, Effect::Reads)?;
            let whole: Result<Dispute, _> = json::object(body);
            let whole = whole.map_err(|fault| Failure::Malformed(fault.code.to_owned()))?;
            look::add_dispute(&mut view, dispute, Some(&whole))
                .map_err(|e| answer::malformed(&e))?;
        }
        let Some(reply) = replies.next() else {
            let query = format!("transaction_id={id}&event_type=PAYMENT.CAPTURE.REVERSED");
            return self.get(&format!("/v1/notifications/webhooks-events?{query}"));
        };
        let body = answer::body(reply, Effect::Reads)?;
        let is_reversed = look::is_reversed(id, body).map_err(|e| answer::malformed(&e))?;
        let was_disputed = view.snapshot.is_disputed == Some(true);
        view.snapshot.is_disputed = Some(is_reversed || was_disputed);
        Ok(Step::Done(PspAnswer::Seen(vec![view.snapshot])))
    }

    fn fetch_authorization(
        &self,
        frame: &Frame<'_>,
        id: &ExternalRef,
        reply: &Reply,
        mut replies: Replies<'_>,
    ) -> Result<Step, Failure> {
        let body = answer::body(reply, Effect::Reads)?;
        let view = look::authorization(frame, id, body).map_err(|e| answer::malformed(&e))?;
        let was_captured = view.status == "CAPTURED" || view.status == "PARTIALLY_CAPTURED";
        let Some(order) = view.order.clone().filter(|_| was_captured) else {
            return Ok(Step::Done(PspAnswer::Seen(vec![view.snapshot])));
        };
        let Some(reply) = replies.next() else {
            return self.get(&format!("/v2/checkout/orders/{order}"));
        };
        if answer::is_unknown(reply) {
            return Ok(Step::Done(PspAnswer::Seen(vec![view.snapshot])));
        }
        let body = answer::body(reply, Effect::Reads)?;
        let seen = look::captures_and_rest(frame, view, &order, body);
        Ok(Step::Done(PspAnswer::Seen(
            seen.map_err(|e| answer::malformed(&e))?,
        )))
    }

    fn refund(
        &self,
        frame: &Frame<'_>,
        payment: &ExternalRef,
        (money, key): (Money, &ActionKey),
        replies: &[Reply],
    ) -> Result<Step, Failure> {
        let value = amount::write(money)
            .map_err(|_| Failure::Refused("amount_not_expressible".to_owned()))?;
        if !is_mark(key) {
            return Err(Failure::Refused("mark_not_expressible".to_owned()));
        }
        let asked_at = frame.as_of;
        let currency = money.currency();
        let Some(reply) = replies.first() else {
            let body = RefundBody {
                amount: WrittenAmount {
                    currency_code: currency.code(),
                    value: &value,
                },
                custom_id: key.as_str(),
                invoice_id: key.as_str(),
            };
            let body = serde_json::to_vec(&body)
                .map_err(|_| Failure::Refused("amount_not_expressible".to_owned()))?;
            let path = format!("/v2/payments/captures/{payment}/refund");
            let request_id = self.request_ids.of(key);
            return self.post(&path, Some(&request_id), body);
        };
        let body = answer::body(reply, Effect::Moves).inspect_err(|failure| {
            if failure.code() == answer::NO_BALANCE {
                self.request_ids.spent(key, asked_at);
            }
        })?;
        let snapshot = refunded(frame, payment, (money, key), body);
        let snapshot = snapshot.map_err(|e| answer::malformed(&e))?;
        Ok(Step::Done(PspAnswer::Seen(vec![snapshot])))
    }

    /// PayPal takes no request id here and needs none: a second void changes nothing.
    fn void(
        &self,
        frame: &Frame<'_>,
        payment: &ExternalRef,
        replies: &[Reply],
    ) -> Result<Step, Failure> {
        let mut replies = replies.iter();
        let Some(reply) = replies.next() else {
            let path = format!("/v2/payments/authorizations/{payment}/void");
            return self.post(&path, None, Vec::new());
        };
        let mut body = answer::body(reply, Effect::Moves)?;
        if body.is_empty() {
            let Some(reply) = replies.next() else {
                return self.get(&format!("/v2/payments/authorizations/{payment}"));
            };
            body = answer::body(reply, Effect::Reads)?;
        }
        let view = look::authorization(frame, payment, body).map_err(|e| answer::malformed(&e))?;
        Ok(Step::Done(PspAnswer::Seen(vec![view.snapshot])))
    }
}

/// A key that PayPal's `custom_id` can hold and that is known again as a mark of ours.
fn is_mark(key: &ActionKey) -> bool {
    let text = key.as_str();
    let fits = |byte: u8| byte.is_ascii_alphanumeric() || b"-_.,".contains(&byte);
    text.starts_with("refund-") && text.len() <= CUSTOM_ID_BYTES_MAX && text.bytes().all(fits)
}

/// The answer to a refund shows the refund and not the capture, so it claims no more than a signed
/// event would: it is no fresh look at the money.
fn refunded(
    frame: &Frame<'_>,
    payment: &ExternalRef,
    (amount, key): (Money, &ActionKey),
    body: &[u8],
) -> Result<PaymentSnapshot, Unreadable> {
    let refund: RefundObject = json::object(body)?;
    let above = capture_above(&refund.links);
    expect(above.is_none_or(|above| above == *payment), "other_payment")?;
    // A short answer leaves `custom_id` out; a wrong one is another refund.
    let is_ours = refund.custom_id.is_none() || mark(&refund).as_ref() == Some(key);
    expect(is_ours, "other_refund")?;
    let frame = frame.aside();
    let mut snapshot = frame.blank(payment);
    frame.add_refund(&mut snapshot, &refund, Some(amount))?;
    for entry in snapshot.refunds.values_mut() {
        expect(entry.amount == amount, "other_refund")?;
        entry.mark = Some(key.clone());
    }
    Ok(snapshot)
}
