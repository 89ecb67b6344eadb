//! What Mollie's answers to our calls mean, before anyone looks at what they show.
//!
//! Mollie's errors have no machine-readable code: only the status and sometimes the field it
//! complains about. 409 and 5xx leave the outcome open; a 503 too, although Mollie says that
//! nothing was done then, because a proxy says 503 as well. A refusal is taken only in Mollie's
//! own form. Nothing here knows an endpoint.

use super::objects::ErrorObject;
use crate::core::time::Span;
use crate::psp::{Failure, Unreadable, json};
use crate::wire::{CallError, Reply, Response};

/// Patience after a 429 that names none: Mollie counts per second and publishes no figures.
const THROTTLE_DEFAULT: Span = Span::from_seconds(10);
/// Longest patience taken from a `Retry-After`, in seconds: an hour.
const THROTTLE_SECONDS_MAX: u64 = 3600;
/// Longest name of a field that is passed on, in bytes.
const FIELD_BYTES_MAX: usize = 64;

/// Whether a call may change something at Mollie.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Effect {
    /// It only reads.
    Reads,
    /// It moves money, or keeps it from moving.
    Moves,
}

/// The body of a good answer, or what kind of none.
pub(super) fn body(reply: &Reply, effect: Effect) -> Result<&[u8], Failure> {
    match reply {
        Err(CallError::NotSent(word)) => Err(match effect {
            Effect::Reads => Failure::Unclear((*word).to_owned()),
            Effect::Moves => Failure::NotSent((*word).to_owned()),
        }),
        Err(CallError::Unclear("answer_too_large")) => {
            Err(Failure::Malformed("answer_too_large".to_owned()))
        }
        Err(CallError::Unclear(word)) => Err(Failure::Unclear((*word).to_owned())),
        Ok(response) if (200..300).contains(&response.status) => Ok(&response.body),
        Ok(response) => Err(failure(response)),
    }
}

/// A good answer whose body is not what it should be.
pub(super) fn malformed(unreadable: &Unreadable) -> Failure {
    Failure::Malformed(unreadable.code.to_owned())
}

/// True for an answer that says that something like this was asked for a moment ago, or is under
/// way.
pub(super) fn is_conflict(reply: &Reply) -> bool {
    reply.as_ref().is_ok_and(|response| response.status == 409)
}

fn failure(response: &Response) -> Failure {
    let status = response.status;
    let code = format!("status_{status}");
    let error: Option<ErrorObject> = json::object(&response.body).ok();
    let error = error.filter(|error| error.status == status);
    match (status, error) {
        (401 | 403, _) => Failure::Unauthorized(code),
        (429, _) => Failure::Throttled {
            wait: patience(response),
        },
        (409 | 500.., _) => Failure::Unclear(code),
        (400..=499, Some(error)) => {
            Failure::Refused(match error.field.filter(|field| is_plain(field)) {
                Some(field) => format!("{code}:{field}"),
                None => code,
            })
        }
        (_, _) => Failure::Malformed(code),
    }
}

fn is_plain(field: &str) -> bool {
    let fits = |byte: u8| byte.is_ascii_alphanumeric() || b"_-.[]".contains(&byte);
    !field.is_empty() && field.len() <= FIELD_BYTES_MAX && field.bytes().all(fits)
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::wire::Headers;

    fn answer(status: u16, retry_after: Option<&str>, body: &str) -> Result<(), Failure> {
        let mut headers = Headers::new();
        if let Some(value) = retry_after {
            headers.push("retry-after", value);
        }
        let response = Response {
            status,
            headers,
            body: body.as_bytes().to_vec(),
        };
        super::body(&Ok(response), Effect::Moves).map(|_| ())
    }

    fn error(status: u16, field: &str) -> String {
        format!(r#"{{"status":{status},"title":"x","detail":"y","field":"{field}","_links":{{}}}}"#)
    }

    #[test]
    fn each_status_of_the_table_has_its_class() {
        let code = |text: &str| text.to_owned();
        for (status, expected) in [
            (400, Failure::Refused(code("status_400:amount"))),
            (401, Failure::Unauthorized(code("status_401"))),
            (403, Failure::Unauthorized(code("status_403"))),
            (404, Failure::Refused(code("status_404:amount"))),
            (409, Failure::Unclear(code("status_409"))),
            (410, Failure::Refused(code("status_410:amount"))),
            (422, Failure::Refused(code("status_422:amount"))),
            (500, Failure::Unclear(code("status_500"))),
            (502, Failure::Unclear(code("status_502"))),
            (503, Failure::Unclear(code("status_503"))),
            (504, Failure::Unclear(code("status_504"))),
        ] {
            let body = error(status, "amount");
            assert_eq!(answer(status, None, &body), Err(expected));
        }
    }

    #[test]
    fn an_error_page_is_not_mollies_refusal_nor_is_one_of_another_status() {
        for status in [302, 400, 404, 405, 413, 422] {
            let malformed = Err(Failure::Malformed(format!("status_{status}")));
            for body in ["<html>not found</html>", "", "[]", &error(418, "amount")] {
                assert_eq!(answer(status, None, body), malformed, "{status} {body}");
            }
        }
    }

    #[test]
    fn throttling_waits_as_long_as_asked_within_bounds() {
        for (value, seconds) in [
            (None, 10),
            (Some("7"), 7),
            (Some("0"), 1),
            (Some("999999999"), 3600),
            (Some("soon"), 10),
        ] {
            let wait = Span::from_seconds(seconds);
            assert_eq!(answer(429, value, ""), Err(Failure::Throttled { wait }));
        }
    }

    #[test]
    fn a_field_that_is_long_or_not_plain_is_not_repeated() {
        let long = "x".repeat(65);
        for field in ["a b", "<b>", "a\\u0000b", "", &long] {
            let refused = Err(Failure::Refused("status_422".to_owned()));
            assert_eq!(answer(422, None, &error(422, field)), refused, "{field:?}");
        }
    }

    #[test]
    fn only_a_write_tells_certainly_unsent_from_unclear() {
        let unsent = Err(CallError::NotSent("dns"));
        let not_sent = Failure::NotSent("dns".to_owned());
        assert_eq!(body(&unsent, Effect::Moves), Err(not_sent));
        let unclear = Failure::Unclear("dns".to_owned());
        assert_eq!(body(&unsent, Effect::Reads), Err(unclear));
        let large = Err(CallError::Unclear("answer_too_large"));
        let malformed = Failure::Malformed("answer_too_large".to_owned());
        assert_eq!(body(&large, Effect::Reads), Err(malformed));
    }
}
