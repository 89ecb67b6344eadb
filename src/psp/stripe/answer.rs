//! What Stripe's answers to our calls mean, before anyone looks at what they show.
//!
//! Follows Stripe's own retry rule: `Stripe-Should-Retry` first; 409 and 5xx leave the outcome
//! open; any other 4xx is a refusal. A 429 is always a request for patience. Stripe stores the
//! first answer to an idempotency key, 500s included, so an open outcome is read back from the
//! list of refunds and not repeated until it changes. Nothing here knows an endpoint.

use super::objects::{ErrorBody, ErrorObject};
use crate::core::time::Span;
use crate::psp::{Failure, Unreadable, json};
use crate::wire::{CallError, Reply, Response};

/// Patience after a 429 that names none: well past the one-second window of Stripe's limits.
const THROTTLE_DEFAULT: Span = Span::from_seconds(10);
/// Longest patience taken from a `Retry-After`, in seconds: an hour.
const THROTTLE_SECONDS_MAX: u64 = 3600;
/// Longest code word that is passed on, in bytes.
const WORD_BYTES_MAX: usize = 64;

/// Whether a call may change something at Stripe.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Effect {
    /// It only reads.
    Reads,
    /// It moves money.
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

fn failure(response: &Response) -> Failure {
    let error = json::object::<ErrorBody>(&response.body)
        .ok()
        .map(|body| body.error.0);
    let named = error.as_ref().and_then(word);
    let is_named = named.is_some();
    let code = named.unwrap_or_else(|| format!("status_{}", response.status));
    match response.status {
        401 | 403 => Failure::Unauthorized(code),
        429 => Failure::Throttled {
            wait: patience(response),
        },
        409 | 500.. => Failure::Unclear(code),
        400..=499 if should_retry(response) => Failure::Unclear(code),
        // A refusal speaks Stripe's language; a proxy's error page does not.
        400..=499 if is_named => Failure::Refused(code),
        _ => Failure::Malformed(code),
    }
}

fn should_retry(response: &Response) -> bool {
    response.headers.single("stripe-should-retry") == Some("true")
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

/// Stripe's stable word: the code, else the type with the parameter that it complains about.
fn word(error: &ErrorObject) -> Option<String> {
    let plain = |text: &&String| {
        text.len() <= WORD_BYTES_MAX
            && text
                .bytes()
                .all(|byte| byte.is_ascii_alphanumeric() || b"_-.[]".contains(&byte))
            && !text.is_empty()
    };
    let kind = error.kind.as_ref().filter(plain);
    let param = error.param.as_ref().filter(plain);
    match (error.code.as_ref().filter(plain), kind, param) {
        (Some(code), _, _) => Some(code.clone()),
        (None, Some(kind), Some(param)) => Some(format!("{kind}:{param}")),
        (None, Some(kind), None) => Some(kind.clone()),
        (None, None, _) => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::wire::Headers;

    fn answer(status: u16, headers: &[(&str, &str)], body: &str) -> Result<(), Failure> {
        let mut fields = Headers::new();
        for (name, value) in headers {
            fields.push(name, *value);
        }
        let response = Response {
            status,
            headers: fields,
            body: body.as_bytes().to_vec(),
        };
        super::body(&Ok(response), Effect::Moves).map(|_| ())
    }

    fn error(code: &str) -> String {
        format!(r#"{{"error":{{"type":"invalid_request_error","code":"{code}"}}}}"#)
    }

    #[test]
    fn each_row_of_the_error_table_has_its_class() {
        let refused = |code: &str| Err(Failure::Refused(code.to_owned()));
        for code in [
            "charge_already_refunded",
            "charge_not_refundable",
            "charge_disputed",
            "refund_disputed_payment",
            "payment_intent_unexpected_state",
            "charge_expired_for_capture",
            "capture_charge_authorization_expired",
            "balance_insufficient",
        ] {
            assert_eq!(answer(400, &[], &error(code)), refused(code));
        }
        assert_eq!(
            answer(404, &[], &error("resource_missing")),
            refused("resource_missing")
        );
        assert_eq!(
            answer(400, &[], r#"{"error":{"type":"idempotency_error"}}"#),
            refused("idempotency_error")
        );
        assert_eq!(
            answer(
                400,
                &[],
                r#"{"error":{"type":"invalid_request_error","param":"amount","message":"x"}}"#
            ),
            refused("invalid_request_error:amount")
        );
        assert_eq!(
            answer(409, &[], &error("idempotency_key_in_use")),
            Err(Failure::Unclear("idempotency_key_in_use".to_owned()))
        );
        assert_eq!(
            answer(401, &[], &error("api_key_expired")),
            Err(Failure::Unauthorized("api_key_expired".to_owned()))
        );
        assert_eq!(
            answer(403, &[], "<html>"),
            Err(Failure::Unauthorized("status_403".to_owned()))
        );
    }

    #[test]
    fn a_server_error_leaves_the_outcome_open_whatever_the_header_says() {
        for header in ["true", "false"] {
            assert_eq!(
                answer(500, &[("Stripe-Should-Retry", header)], "oops"),
                Err(Failure::Unclear("status_500".to_owned()))
            );
        }
    }

    #[test]
    fn a_client_error_that_asks_for_a_retry_is_not_a_refusal() {
        let body = error("lock_timeout");
        assert_eq!(
            answer(400, &[("Stripe-Should-Retry", "true")], &body),
            Err(Failure::Unclear("lock_timeout".to_owned()))
        );
        assert_eq!(
            answer(400, &[("Stripe-Should-Retry", "false")], &body),
            Err(Failure::Refused("lock_timeout".to_owned()))
        );
    }

    #[test]
    fn throttling_waits_as_long_as_asked_within_bounds() {
        for (value, seconds) in [
            ("7", 7),
            ("0", 1),
            ("999999999", 3600),
            ("-1", 10),
            ("soon", 10),
            ("Wed, 21 Oct 2026 07:28:00 GMT", 10),
        ] {
            assert_eq!(
                answer(429, &[("Retry-After", value)], &error("lock_timeout")),
                Err(Failure::Throttled {
                    wait: Span::from_seconds(seconds)
                })
            );
        }
        assert_eq!(
            answer(429, &[], "<html>"),
            Err(Failure::Throttled {
                wait: THROTTLE_DEFAULT
            })
        );
    }

    #[test]
    fn an_error_page_is_not_stripes_refusal() {
        for status in [302, 400, 404, 413] {
            assert_eq!(
                answer(status, &[], "<html>not found</html>"),
                Err(Failure::Malformed(format!("status_{status}")))
            );
        }
        assert_eq!(
            answer(404, &[], r#"[{"error":{"code":"resource_missing"}}]"#),
            Err(Failure::Malformed("status_404".to_owned()))
        );
    }

    #[test]
    fn a_code_that_is_long_or_not_plain_is_not_repeated() {
        let long = "x".repeat(65);
        for code in ["a b", "<b>", "a\\u0000b", "", &long] {
            assert_eq!(
                answer(400, &[], &error(code)),
                Err(Failure::Refused("invalid_request_error".to_owned())),
                "{code:?}"
            );
        }
        assert_eq!(
            answer(400, &[], r#"{"error":{}}"#),
            Err(Failure::Malformed("status_400".to_owned()))
        );
    }

    #[test]
    fn only_a_write_tells_certainly_unsent_from_unclear() {
        let unsent = Err(CallError::NotSent("dns"));
        assert_eq!(
            body(&unsent, Effect::Moves),
            Err(Failure::NotSent("dns".to_owned()))
        );
        assert_eq!(
            body(&unsent, Effect::Reads),
            Err(Failure::Unclear("dns".to_owned()))
        );
        assert_eq!(
            body(&Err(CallError::Unclear("timeout")), Effect::Moves),
            Err(Failure::Unclear("timeout".to_owned()))
        );
        assert_eq!(
            body(&Err(CallError::Unclear("answer_too_large")), Effect::Reads),
            Err(Failure::Malformed("answer_too_large".to_owned()))
        );
    }
}
