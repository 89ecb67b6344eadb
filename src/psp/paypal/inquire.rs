//! What a PayPal app can be asked about itself: its token's scope, the two records that sweeps
//! read, and the webhook that is configured.
//!
//! Which scope a refund needs is not certain: one that names refunds counts as the right, another
//! one says nothing. The hosts are of one mode each, so a secret that such a host accepts is of its
//! mode. Changes nothing at PayPal and does no I/O.

use super::answer::{self, Effect};
use super::{API_BASE, Paypal, SANDBOX_API_BASE, list};
use crate::core::payment::Source;
use crate::core::time::{Span, Time};
use crate::psp::inquiry::{self, Endpoint, Finding, Findings, Inquiry, Needs, Says, Topic, Tried};
use crate::psp::{Failure, PspAnswer, Step, json};
use crate::wire::Reply;
use serde::Deserialize;

/// How far back the records are asked: an answer is all that matters.
const WINDOW: Span = Span::from_minutes(10);
/// What the daemon sweeps with, in the order of its listings.
const READS: [&str; 2] = ["webhook events", "transactions"];
/// The end of the scope that names refunds.
const REFUND_SCOPE: &str = "/payments/refund";

#[derive(Deserialize)]
struct Webhook {
    url: String,
    #[serde(default)]
    event_types: Vec<EventType>,
}

#[derive(Deserialize)]
struct EventType {
    name: String,
}

/// The next question, or all that was found.
pub(super) fn next(paypal: &Paypal, needs: Needs, now: Time, replies: &[Reply]) -> Inquiry {
    let tried: Vec<Tried> = READS
        .iter()
        .zip(replies)
        .map(|(what, reply)| {
            Tried::new(what, reply, answer::body(reply, Effect::Reads).map(|_| ()))
        })
        .collect();
    let mut found = Findings {
        findings: inquiry::key_and_read(&tried),
        endpoints: Vec::new(),
    };
    let mut key = found.findings.iter().filter(|one| one.topic == Topic::Key);
    let is_over = key.any(|one| one.says != Says::Yes);
    if is_over && !replies.is_empty() {
        return Inquiry::Done(found);
    }
    if replies.len() < READS.len() {
        return sent(record(paypal, replies.len(), now));
    }
    let Some(reply) = replies.get(READS.len()) else {
        return sent(paypal.get(&format!("/v1/notifications/webhooks/{}", paypal.webhook_id)));
    };
    if needs.refunds {
        found.findings.push(refund(&paypal.session.scope()));
    }
    let by_host = match paypal.api_base.as_str() {
        API_BASE => Some(true),
        SANDBOX_API_BASE => Some(false),
        _ => None,
    };
    let mode = inquiry::mode(paypal.rules.live, by_host, None);
    found.findings.push(mode);
    webhook(paypal, reply, &mut found);
    Inquiry::Done(found)
}

/// The first page of a record, as a sweep asks for it.
fn record(paypal: &Paypal, number: usize, now: Time) -> Result<Step, Failure> {
    let frame = super::statement::Frame {
        rules: &paypal.rules,
        as_of: now,
        observed_at: now,
        source: Source::Read { asked_at: now },
    };
    let listing = u8::try_from(number).unwrap_or(u8::MAX);
    list::step(paypal, &frame, listing, (now.minus(WINDOW), now), None, &[])
}

fn sent(step: Result<Step, Failure>) -> Inquiry {
    match step {
        Ok(Step::Send(request)) => Inquiry::Send(request),
        Ok(Step::Done(PspAnswer::Failed(failure))) | Err(failure) => {
            Inquiry::Done(Findings::not_signed_in(&failure))
        }
        Ok(Step::Done(PspAnswer::Seen(_) | PspAnswer::Page { .. })) => {
            Inquiry::Done(Findings::default())
        }
    }
}

fn refund(scope: &str) -> Finding {
    let is_named = scope.split(' ').any(|one| one.ends_with(REFUND_SCOPE));
    let (says, why) = if is_named {
        (Says::Yes, "the token's scope names refunds")
    } else {
        let why = "the token's scope does not name refunds, and only a refund would show it";
        (Says::Unknown, why)
    };
    Finding::new(Topic::Refund, says, why)
}

/// Without the webhook that is configured no delivery can be verified.
fn webhook(paypal: &Paypal, reply: &Reply, found: &mut Findings) {
    let shown = answer::body(reply, Effect::Reads).and_then(|body| {
        let read: Result<Webhook, _> = json::object(body);
        read.map_err(|fault| answer::malformed(&fault.into()))
    });
    let (says, why) = match shown {
        Ok(webhook) => {
            let events = webhook.event_types.into_iter().map(|one| one.name);
            let account = paypal.rules.account.as_str();
            let endpoint = Endpoint::new(&webhook.url, account, None, events.collect());
            found.list(vec![endpoint]);
            return;
        }
        Err(_) if answer::is_unknown(reply) => {
            let why = "the app has no webhook with the id that is configured";
            (Says::No, why.to_owned())
        }
        Err(failure) => {
            let why = format!("the webhook cannot be read ({})", failure.code());
            (Says::Unknown, why)
        }
    };
    found
        .findings
        .push(Finding::new(Topic::Webhooks, says, why));
}
