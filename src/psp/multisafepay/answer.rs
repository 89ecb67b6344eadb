//! What MultiSafepay's answers mean, before anyone looks at what they show.
//!
//! Every answer says `success` itself; a 200 that does not is no good answer. Errors carry a
//! number: some may be tried again, the rest are refusals. Nothing here knows an endpoint.

use crate::core::time::Span;
use crate::psp::json;
use crate::psp::{Failure, Unreadable};
use crate::wire::{CallError, Reply, Response};
use serde::Deserialize;
use serde_json::value::RawValue;

/// Patience after a 429; the PSP names none.
const THROTTLE_DEFAULT: Span = Span::from_seconds(10);
/// Longest patience taken from a `Retry-After`, in seconds: an hour.
const THROTTLE_SECONDS_MAX: u64 = 3600;

/// Whether a call may change something.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Effect {
    /// It only reads.
    Reads,
    /// It moves money.
    Moves,
}

#[derive(Deserialize)]
struct Envelope<'a> {
    success: bool,
    #[serde(borrow)]
    data: Option<&'a RawValue>,
    error_code: Option<i64>,
}

/// The `data` of a good answer, or what kind of none.
pub(super) fn shown(reply: &Reply, effect: Effect) -> Result<Option<&RawValue>, Failure> {
    let response = match reply {
        Ok(response) => response,
        Err(CallError::NotSent(word)) => {
            return Err(match effect {
                Effect::Reads => Failure::Unclear((*word).to_owned()),
                Effect::Moves => Failure::NotSent((*word).to_owned()),
            });
        }
        Err(CallError::Unclear("answer_too_large")) => {
            return Err(Failure::Malformed("answer_too_large".to_owned()));
        }
        Err(CallError::Unclear(word)) => return Err(Failure::Unclear((*word).to_owned())),
    };
    let envelope: Option<Envelope<'_>> = json::object(&response.body).ok();
    match envelope {
        Some(envelope) if envelope.success && (200..300).contains(&response.status) => {
            Ok(envelope.data)
        }
        Some(envelope) if !envelope.success => Err(failure(response, envelope.error_code)),
        Some(_) | None => Err(failure(response, None)),
    }
}

/// A good answer whose body is not what it should be.
pub(super) fn malformed(unreadable: &Unreadable) -> Failure {
    Failure::Malformed(unreadable.code.to_owned())
}

fn failure(response: &Response, error: Option<i64>) -> Failure {
    let code = match error {
        Some(number) => format!("error_{number}"),
        None => format!("status_{}", response.status),
    };
    match (response.status, error) {
        (429, _) => Failure::Throttled {
            wait: patience(response),
        },
        (401 | 403, _) | (_, Some(1032)) => Failure::Unauthorized(code),
        (500.., _) | (_, Some(1000 | 1021 | 1023 | 9999)) => Failure::Unclear(code),
        (_, Some(_)) => Failure::Refused(code),
        (_, None) => Failure::Malformed(code),
    }
}

fn patience(response: &Response) -> Span {
    let asked = response
        .headers
        .single("retry-after")
        .and_then(|text| text.parse::<u64>().ok());
    match asked {
        Some(seconds) => Span::from_seconds(seconds.clamp(1, THROTTLE_SECONDS_MAX)),
        None => THROTTLE_DEFAULT,
    }
}
