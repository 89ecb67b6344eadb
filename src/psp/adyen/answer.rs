//! What Adyen's answers to our calls mean: at best, that it received them.
//!
//! `201` and `received` says nothing about success; that comes as an event. A refusal is taken only
//! in Adyen's own form and without `transient-error`; everything that may have had its effect is
//! unclear and repeated under the same key. Knows no endpoint.

use super::item;
use crate::core::ids::ExternalRef;
use crate::core::time::Span;
use crate::psp::{Failure, json};
use crate::wire::{CallError, Reply, Response};
use serde::Deserialize;

/// Patience after a 429; Adyen publishes no figures.
const THROTTLE_DEFAULT: Span = Span::from_seconds(10);
/// Longest patience taken from a `Retry-After`, in seconds: an hour.
const THROTTLE_SECONDS_MAX: u64 = 3600;
/// Longest error code that is passed on, in bytes.
const CODE_BYTES_MAX: usize = 32;

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Received {
    status: String,
    psp_reference: String,
    payment_psp_reference: Option<String>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Problem {
    status: u16,
    error_code: Option<String>,
}

/// Adyen's name for what it received about this payment, or what kind of answer it was.
pub(super) fn received(reply: &Reply, payment: &ExternalRef) -> Result<ExternalRef, Failure> {
    let response = match reply {
        Ok(response) => response,
        Err(CallError::NotSent(word)) => return Err(Failure::NotSent((*word).to_owned())),
        Err(CallError::Unclear("answer_too_large")) => {
            return Err(Failure::Malformed("answer_too_large".to_owned()));
        }
        Err(CallError::Unclear(word)) => return Err(Failure::Unclear((*word).to_owned())),
    };
    if !(200..300).contains(&response.status) {
        return Err(failure(response));
    }
    let read: Result<Received, _> = json::object(&response.body);
    let read = read.map_err(|fault| Failure::Malformed(fault.code.to_owned()))?;
    if read.status != "received" {
        return Err(Failure::Malformed("unknown_status".to_owned()));
    }
    let about = read.payment_psp_reference;
    if about.is_some_and(|about| about != payment.as_str()) {
        return Err(Failure::Malformed("other_payment".to_owned()));
    }
    item::reference(&read.psp_reference).map_err(|bad| Failure::Malformed(bad.code.to_owned()))
}

fn failure(response: &Response) -> Failure {
    let status = response.status;
    let problem: Option<Problem> = json::object(&response.body).ok();
    let problem = problem.filter(|problem| problem.status == status);
    let is_own = problem.is_some();
    let error = problem
        .and_then(|problem| problem.error_code)
        .filter(|code| is_plain(code));
    let code = match &error {
        Some(error) => format!("error_{error}"),
        None => format!("status_{status}"),
    };
    let transient = response.headers.single("transient-error");
    let is_transient = transient.is_some_and(|text| text.trim().eq_ignore_ascii_case("true"));
    // 704: the same key is being worked on. 703: the memory of keys is down.
    let is_busy = matches!(error.as_deref(), Some("703" | "704"));
    match status {
        429 => Failure::Throttled {
            wait: patience(response),
        },
        _ if is_transient || is_busy => Failure::Unclear(code),
        401 | 403 => Failure::Unauthorized(code),
        409 | 500.. => Failure::Unclear(code),
        400..=499 if is_own => Failure::Refused(code),
        _ => Failure::Malformed(code),
    }
}

fn is_plain(code: &str) -> bool {
    let fits = |byte: u8| byte.is_ascii_alphanumeric() || b"_-".contains(&byte);
    !code.is_empty() && code.len() <= CODE_BYTES_MAX && code.bytes().all(fits)
}

fn patience(response: &Response) -> Span {
    let asked = response.headers.single("retry-after");
    match asked.and_then(|text| text.parse::<u64>().ok()) {
        Some(seconds) => Span::from_seconds(seconds.clamp(1, THROTTLE_SECONDS_MAX)),
        None => THROTTLE_DEFAULT,
    }
}
