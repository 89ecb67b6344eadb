//! What a reply of a shop means. Only an explicit, known status in a 2xx JSON object answers.
//!
//! Everything else is a failure, named for the next act: a 404 is never a no and an HTML 200 is
//! never a yes. Knows no network; a reply is a value.

use super::parts::{self, Fault, Object, WrittenAmount, WrittenPayment};
use crate::core::ids::Reference;
use crate::core::order::{OrderSnapshot, Statement, Via};
use crate::core::time::{Span, Time};
use crate::shop::{ShopAnswer, ShopAsk};
use crate::wire::{CallError, Failure, Headers, Reply, Response};
use serde::Deserialize;

/// Largest answer read, in bytes; an honest one has a few hundred.
pub const ANSWER_BYTES_MAX: usize = 64 * 1024;
/// How long we wait when a shop says 429 and not how long.
const WAIT_DEFAULT: Span = Span::from_seconds(30);
/// The shortest wait a `Retry-After` can mean.
const WAIT_MIN: Span = Span::from_seconds(1);

#[derive(Deserialize)]
struct Answer {
    order: Option<Object<OrderWord>>,
    epoch: Option<u64>,
}

#[derive(Deserialize)]
struct OrderWord {
    reference: Option<String>,
    formerly: Option<Vec<String>>,
    status: Option<String>,
    amount: Option<Object<WrittenAmount>>,
    paid_otherwise: Option<Object<WrittenAmount>>,
    give_back: Option<Object<WrittenAmount>>,
    created_at: Option<String>,
    paid_by: Option<Vec<Object<WrittenPayment>>>,
    fulfilled: Option<bool>,
    reason: Option<String>,
    retry_after: Option<String>,
}

/// Which order a question is about and how its answer is remembered; none for a notice.
fn question(ask: &ShopAsk) -> Option<(&Reference, Via)> {
    match ask {
        ShopAsk::Confirm { reference, .. } => Some((reference, Via::Confirm)),
        ShopAsk::LookUp { reference } => Some((reference, Via::LookUp)),
        ShopAsk::Release { reference, .. } => Some((reference, Via::Release)),
        ShopAsk::Notify { .. } => None,
    }
}

/// Reads the reply to a call that left at `asked_at` and ended at `now`.
pub(super) fn read(ask: &ShopAsk, asked_at: Time, now: Time, reply: &Reply) -> ShopAnswer {
    let response = match reply {
        Ok(response) => response,
        Err(CallError::NotSent(word)) => {
            return ShopAnswer::Failed(Failure::NotSent((*word).to_owned()));
        }
        Err(CallError::Unclear(word)) => {
            return ShopAnswer::Failed(Failure::Unclear((*word).to_owned()));
        }
    };
    if let Some(failure) = failure(response, now) {
        return ShopAnswer::Failed(failure);
    }
    let Some((reference, via)) = question(ask) else {
        return ShopAnswer::Accepted;
    };
    match said(response, reference) {
        Ok((word, epoch)) => match snapshot(word, reference, via, asked_at, now) {
            Ok(order) => ShopAnswer::Said {
                order: Box::new(order),
                epoch,
            },
            Err(fault) => malformed(fault),
        },
        Err(fault) => malformed(fault),
    }
}

fn malformed(fault: Fault) -> ShopAnswer {
    ShopAnswer::Failed(Failure::Malformed(fault.to_owned()))
}

/// What a status other than 2xx means.
fn failure(response: &Response, now: Time) -> Option<Failure> {
    let code = || format!("status_{}", response.status);
    match response.status {
        200..=299 => None,
        300..=399 => Some(Failure::Malformed("redirect".to_owned())),
        401 | 403 => Some(Failure::Unauthorized(code())),
        429 => Some(Failure::Throttled {
            wait: retry_after(&response.headers, now).unwrap_or(WAIT_DEFAULT),
        }),
        503 => Some(match retry_after(&response.headers, now) {
            Some(wait) => Failure::Throttled { wait },
            None => Failure::Unclear(code()),
        }),
        _ => Some(Failure::Unclear(code())),
    }
}

/// `Retry-After` in seconds or as a date (RFC 9110, section 10.2.3), within our own bounds, so
/// that no header can put an order off for a year. Anything else counts as absent.
fn retry_after(headers: &Headers, now: Time) -> Option<Span> {
    let text = headers.single("retry-after")?.trim();
    let is_number = !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    let wait = if is_number {
        Span::from_seconds(text.parse().unwrap_or(u64::MAX))
    } else {
        let at = jiff::fmt::rfc2822::DateTimeParser::new()
            .parse_timestamp(text)
            .ok()?;
        Time::from_micros(at.as_microsecond()).since(now)
    };
    Some(wait.clamp(WAIT_MIN, parts::WAIT_MAX))
}

/// The order's object in a 2xx answer, and the epoch beside it.
fn said(response: &Response, reference: &Reference) -> Result<(OrderWord, Option<u64>), Fault> {
    is_json(&response.headers)?;
    if response.body.len() > ANSWER_BYTES_MAX {
        return Err("answer_too_large");
    }
    if response.body.iter().all(u8::is_ascii_whitespace) {
        return Err("empty");
    }
    let answer: Answer = parts::object(&response.body).map_err(|(fault, _)| fault)?;
    let Object(word) = answer.order.ok_or("missing_order")?;
    let is_ours = |echo: &String| echo == reference.as_str();
    // An order that got a new reference, as when a guest's cart is merged, answers for its old ones.
    let was_ours = word.formerly.iter().flatten().any(is_ours);
    if was_ours || word.reference.as_ref().is_none_or(is_ours) {
        Ok((word, answer.epoch))
    } else {
        Err("other_order")
    }
}

/// Refuses what calls itself something other than JSON. No content type at all is let pass: the
/// body decides then.
fn is_json(headers: &Headers) -> Result<(), Fault> {
    if headers.all("content-type").next().is_none() {
        return Ok(());
    }
    let text = headers.single("content-type").unwrap_or_default();
    let essence = text.split(';').next().unwrap_or_default();
    let essence = essence.trim().to_ascii_lowercase();
    match essence.as_str() {
        "application/json" => Ok(()),
        "text/html" | "application/xhtml+xml" => Err("html"),
        other if other.ends_with("+json") => Ok(()),
        _ => Err("content_type"),
    }
}

fn snapshot(
    word: OrderWord,
    reference: &Reference,
    via: Via,
    asked_at: Time,
    now: Time,
) -> Result<OrderSnapshot, Fault> {
    let status = parts::status(&word.status.ok_or("missing_status")?)?;
    let retry_after = word.retry_after.as_deref().map(parts::wait).transpose()?;
    let paid_by = word.paid_by.as_deref().unwrap_or_default();
    // An event that crosses a question on the way may be newer than the answer: an answer that
    // changed nothing is sure to be true only of the moment when it was asked for.
    let as_of = match via {
        Via::LookUp => asked_at,
        Via::Event | Via::Confirm | Via::Release => now,
    };
    Ok(OrderSnapshot {
        reference: reference.clone(),
        as_of,
        observed_at: now,
        statement: Some(Statement {
            as_of,
            asked_at: Some(asked_at),
            via,
            status,
            paid_by: parts::payments(paid_by)?,
            is_fulfilled: word.fulfilled,
            reason: word.reason.as_deref().map(parts::reason),
            retry_after,
            look: None,
        }),
        amount: word.amount.as_ref().map(parts::amount).transpose()?,
        terms: parts::terms(word.paid_otherwise.as_ref(), word.give_back.as_ref())?,
        expires_at: None,
        created_at: word.created_at.as_deref().map(parts::time).transpose()?,
        claims: std::collections::BTreeSet::new(),
        locale: None,
        customer: None,
    })
}

#[cfg(test)]
mod tests;
