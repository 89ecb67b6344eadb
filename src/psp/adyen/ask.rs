//! Our orders to Adyen: refund, reverse, cancel. There are no questions: nothing can be read.
//!
//! Each carries the decision's key twice, as idempotency key and as the modification's reference,
//! by which its events are known to be about it. The answer says that it was received, and no
//! more. No I/O.

use super::Adyen;
use super::amount;
use super::answer;
use super::item;
use crate::core::ids::{ActionKey, ExternalRef, PaymentRef};
use crate::core::money::Money;
use crate::core::payment::{PaymentSnapshot, Refund, RefundState, Source};
use crate::core::plan::Reason;
use crate::core::time::Time;
use crate::psp::{Failure, PspAnswer, PspAsk, Step};
use crate::wire::{Headers, Method, Reply, Request};
use secrecy::ExposeSecret;
use serde_json::{Value, json};

/// Longest idempotency key, in bytes; a reference may have 80.
const KEY_BYTES_MAX: usize = 64;

impl Adyen {
    /// The next step of any exchange.
    pub(super) fn next(&self, ask: &PspAsk, asked_at: Time, replies: &[Reply]) -> Step {
        let step = match ask {
            PspAsk::Refund {
                payment,
                amount,
                key,
                why,
            } => self.refund(payment, (*amount, *why), key, asked_at, replies),
            PspAsk::Reverse {
                payment,
                amount,
                key,
            } => self.reverse(payment, *amount, key, asked_at, replies),
            PspAsk::Void { payment, key, .. } => self.void(payment, key, replies),
            PspAsk::CancelRefund { .. } => Err(refused("refunds_cannot_be_cancelled")),
            PspAsk::Fetch { .. } => Err(refused("payments_cannot_be_read")),
            PspAsk::List { .. } => Err(refused("no_such_listing")),
        };
        step.unwrap_or_else(|failure| Step::Done(PspAnswer::Failed(failure)))
    }

    /// The amount is always written out, also for all of it.
    fn refund(
        &self,
        payment: &ExternalRef,
        (amount, why): (Money, Reason),
        key: &ActionKey,
        asked_at: Time,
        replies: &[Reply],
    ) -> Result<Step, Failure> {
        let value = amount::write(amount).map_err(|_| refused("amount_not_expressible"))?;
        let body = json!({
            "merchantAccount": self.merchant_account,
            "amount": {"value": value, "currency": amount.currency().code()},
            "reference": key.as_str(),
            "merchantRefundReason": reason_word(why),
        });
        let Some(reply) = replies.first() else {
            return self.send(payment, "refunds", key, &body);
        };
        self.going_back(payment, amount, key, asked_at, reply)
    }

    /// Releases what is not captured and gives back what is: right for all of a payment, whatever
    /// became of it since its last event.
    fn reverse(
        &self,
        payment: &ExternalRef,
        amount: Money,
        key: &ActionKey,
        asked_at: Time,
        replies: &[Reply],
    ) -> Result<Step, Failure> {
        if !amount.is_positive() {
            return Err(refused("amount_not_expressible"));
        }
        let Some(reply) = replies.first() else {
            return self.send(payment, "reversals", key, &self.named(key));
        };
        self.going_back(payment, amount, key, asked_at, reply)
    }

    /// Only releases: a capture that slipped in makes it fail, and is an event of its own.
    fn void(
        &self,
        payment: &ExternalRef,
        key: &ActionKey,
        replies: &[Reply],
    ) -> Result<Step, Failure> {
        let Some(reply) = replies.first() else {
            return self.send(payment, "cancels", key, &self.named(key));
        };
        answer::received(reply, payment)?;
        Ok(Step::Done(PspAnswer::Seen(Vec::new())))
    }

    fn named(&self, key: &ActionKey) -> Value {
        json!({"merchantAccount": self.merchant_account, "reference": key.as_str()})
    }

    fn send(
        &self,
        payment: &ExternalRef,
        what: &str,
        key: &ActionKey,
        body: &Value,
    ) -> Result<Step, Failure> {
        if key.as_str().len() > KEY_BYTES_MAX {
            return Err(refused("key_too_long"));
        }
        let id = item::reference(payment.as_str()).map_err(|_| refused("bad_psp_reference"))?;
        Ok(Step::Send(Request {
            method: Method::Post,
            url: format!("{}/payments/{id}/{what}", self.api_base),
            headers: Headers::new()
                .with("x-api-key", self.api_key.expose_secret().trim())
                .with("idempotency-key", key.as_str())
                .with("accept", "application/json")
                .with("content-type", "application/json"),
            body: body.to_string().into_bytes(),
        }))
    }

    /// What was received is on its way under Adyen's name for it, until an event says more.
    fn going_back(
        &self,
        payment: &ExternalRef,
        amount: Money,
        key: &ActionKey,
        asked_at: Time,
        reply: &Reply,
    ) -> Result<Step, Failure> {
        let name = answer::received(reply, payment)?;
        let account = self.rules.account.clone();
        let id = payment.clone();
        let named = PaymentRef { account, id };
        // No look at the payment: it only says that the call arrived.
        let mut seen = PaymentSnapshot::new(named, asked_at, asked_at, Source::Signed);
        let refund = Refund::new(amount, RefundState::Pending, Some(key.clone()));
        seen.refunds.insert(name, refund);
        Ok(Step::Done(PspAnswer::Seen(vec![seen])))
    }
}

fn refused(code: &str) -> Failure {
    Failure::Refused(code.to_owned())
}

/// One of the words that Adyen takes.
fn reason_word(why: Reason) -> &'static str {
    if why == Reason::Duplicate {
        "DUPLICATE"
    } else {
        "OTHER"
    }
}
