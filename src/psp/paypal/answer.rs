//! What PayPal's answers to our calls mean, before anyone looks at what they show.
//!
//! A refusal is a 4xx in PayPal's own error shape; its word is the first `details[].issue`, else
//! the `name`. What says "not now" is not a refusal: a request under way leaves the outcome open,
//! and a refund that PayPal declined for lack of balance, or because the capture has not cleared,
//! certainly did nothing and may be asked again. Nothing here knows an endpoint.

use super::objects::ErrorBody;
use crate::core::time::Span;
use crate::psp::{Failure, Unreadable, json};
use crate::wire::{CallError, Reply, Response};

/// Patience after a 429 that names none. PayPal publishes no limits and asks not to poll.
const THROTTLE_DEFAULT: Span = Span::from_seconds(60);
/// Longest patience taken from a `Retry-After`, in seconds: an hour.
const THROTTLE_SECONDS_MAX: u64 = 3600;
/// Longest code word that is passed on, in bytes.
const WORD_BYTES_MAX: usize = 64;

/// Declined for lack of balance. The call did nothing; asked again under the same id it may get
/// the same answer from PayPal's memory.
pub(super) const NO_BALANCE: &str = "REFUND_FAILED_INSUFFICIENT_FUNDS";
/// Declined for now, certainly without effect.
const NOT_YET: [&str; 2] = [NO_BALANCE, "PENDING_CAPTURE"];
/// The first call under this id is still being worked on.
const UNDER_WAY: [&str; 2] = [
    "PREVIOUS_REQUEST_IN_PROGRESS",
    "ORDER_COMPLETION_IN_PROGRESS",
];
/// Our app may not do this; says nothing about the subject.
const NO_RIGHTS: [&str; 4] = [
    "PERMISSION_DENIED",
    "NOT_AUTHORIZED",
    "AUTHENTICATION_FAILURE",
    "CONSENT_NEEDED",
];

/// Whether a call may change something at PayPal.
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

/// True when PayPal itself says that it knows no such thing. A bare 404 says nothing.
pub(super) fn is_unknown(reply: &Reply) -> bool {
    reply.as_ref().is_ok_and(|response| {
        response.status == 404
            && word(&response.body)
                .is_some_and(|word| word == "INVALID_RESOURCE_ID" || word == "RESOURCE_NOT_FOUND")
    })
}

/// A good answer whose body is not what it should be.
pub(super) fn malformed(unreadable: &Unreadable) -> Failure {
    Failure::Malformed(unreadable.code.to_owned())
}

/// How long a 429 wants us to stay away.
pub(super) fn patience(response: &Response) -> Span {
    let asked = response
        .headers
        .single("retry-after")
        .and_then(|text| text.parse::<u64>().ok());
    match asked {
        Some(seconds) => Span::from_seconds(seconds.clamp(1, THROTTLE_SECONDS_MAX)),
        None => THROTTLE_DEFAULT,
    }
}

/// PayPal's stable word: the first issue, else the name, else the token endpoint's `error`.
pub(super) fn word(body: &[u8]) -> Option<String> {
    let error: ErrorBody = json::object(body).ok()?;
    let issue = error.details.into_iter().find_map(|detail| detail.0.issue);
    let words = [issue, error.name, error.error];
    words.into_iter().flatten().find(|word| is_plain(word))
}

fn is_plain(word: &str) -> bool {
    !word.is_empty()
        && word.len() <= WORD_BYTES_MAX
        && word
            .bytes()
            .all(|byte| byte.is_ascii_alphanumeric() || b"_-.".contains(&byte))
}

fn failure(response: &Response) -> Failure {
    let named = word(&response.body);
    let is_named = named.is_some();
    let code = named.unwrap_or_else(|| format!("status_{}", response.status));
    let is = |words: &[&str]| words.contains(&code.as_str());
    match response.status {
        429 => Failure::Throttled {
            wait: patience(response),
        },
        401 => Failure::Unauthorized(code),
        403 if !is_named || is(&NO_RIGHTS) => Failure::Unauthorized(code),
        408 | 409 | 500.. => Failure::Unclear(code),
        400..=499 if is(&UNDER_WAY) => Failure::Unclear(code),
        400..=499 if is(&NOT_YET) => Failure::NotSent(code),
        // A refusal speaks PayPal's language; a proxy's error page does not.
        400..=499 if is_named => Failure::Refused(code),
        _ => Failure::Malformed(code),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::wire::Headers;

    fn reply(status: u16, headers: &[(&str, &str)], body: &str) -> Reply {
        let mut fields = Headers::new();
        for (name, value) in headers {
            fields.push(name, *value);
        }
        Ok(Response {
            status,
            headers: fields,
            body: body.as_bytes().to_vec(),
        })
    }

    fn outcome(status: u16, body: &str) -> Result<(), Failure> {
        super::body(&reply(status, &[], body), Effect::Moves).map(|_| ())
    }

    fn error(issue: &str) -> String {
        format!(
            r#"{{"name":"UNPROCESSABLE_ENTITY","message":"x","debug_id":"1","details":[{{"issue":"{issue}"}}]}}"#
        )
    }

    #[test]
    fn each_row_of_the_issue_table_has_its_class() {
        for issue in [
            "CAPTURE_FULLY_REFUNDED",
            "DUPLICATE_INVOICE_ID",
            "REFUND_AMOUNT_EXCEEDED",
            "MAX_NUMBER_OF_REFUNDS_EXCEEDED",
            "PARTIAL_REFUND_NOT_ALLOWED",
            "TRANSACTION_DISPUTED",
            "REFUND_NOT_PERMITTED_DUE_TO_CHARGEBACK",
            "REFUND_TIME_LIMIT_EXCEEDED",
            "REFUND_NOT_ALLOWED",
            "REFUND_IS_RESTRICTED",
            "PREVIOUSLY_CAPTURED",
            "PREVIOUSLY_VOIDED",
            "CANNOT_BE_VOIDED",
        ] {
            let refused = Err(Failure::Refused(issue.to_owned()));
            assert_eq!(outcome(422, &error(issue)), refused);
        }
        for issue in ["REFUND_FAILED_INSUFFICIENT_FUNDS", "PENDING_CAPTURE"] {
            let not_sent = Err(Failure::NotSent(issue.to_owned()));
            assert_eq!(outcome(422, &error(issue)), not_sent);
        }
        for (status, issue) in [
            (409, "PREVIOUS_REQUEST_IN_PROGRESS"),
            (422, "ORDER_COMPLETION_IN_PROGRESS"),
            (409, "ANYTHING_ELSE"),
            (500, "INTERNAL_SERVER_ERROR"),
            (503, "SERVICE_UNAVAILABLE"),
        ] {
            let unclear = Err(Failure::Unclear(issue.to_owned()));
            assert_eq!(outcome(status, &error(issue)), unclear);
        }
        assert_eq!(
            outcome(403, &error("PERMISSION_DENIED")),
            Err(Failure::Unauthorized("PERMISSION_DENIED".to_owned()))
        );
        assert_eq!(
            outcome(403, &error("REFUND_IS_RESTRICTED")),
            Err(Failure::Refused("REFUND_IS_RESTRICTED".to_owned()))
        );
        assert_eq!(
            outcome(401, r#"{"error":"invalid_token","error_description":"x"}"#),
            Err(Failure::Unauthorized("invalid_token".to_owned()))
        );
        assert_eq!(
            outcome(404, r#"{"name":"RESOURCE_NOT_FOUND","message":"x"}"#),
            Err(Failure::Refused("RESOURCE_NOT_FOUND".to_owned()))
        );
    }

    #[test]
    fn an_error_page_is_not_paypals_refusal() {
        for status in [302, 400, 404, 422] {
            assert_eq!(
                outcome(status, "<html>not found</html>"),
                Err(Failure::Malformed(format!("status_{status}")))
            );
        }
        assert_eq!(
            outcome(403, "<html>"),
            Err(Failure::Unauthorized("status_403".to_owned()))
        );
        assert_eq!(
            outcome(502, "<html>"),
            Err(Failure::Unclear("status_502".to_owned()))
        );
        assert!(!is_unknown(&reply(404, &[], "<html>")));
        assert!(!is_unknown(&reply(404, &[], &error("SOMETHING_ELSE"))));
        assert!(is_unknown(&reply(404, &[], &error("INVALID_RESOURCE_ID"))));
        assert!(!is_unknown(&reply(422, &[], &error("INVALID_RESOURCE_ID"))));
    }

    #[test]
    fn throttling_waits_as_long_as_asked_within_bounds() {
        for (value, seconds) in [("7", 7), ("0", 1), ("999999999", 3600), ("soon", 60)] {
            let reply = reply(429, &[("Retry-After", value)], &error("RATE_LIMIT_REACHED"));
            assert_eq!(
                body(&reply, Effect::Reads),
                Err(Failure::Throttled {
                    wait: Span::from_seconds(seconds)
                })
            );
        }
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
            body(&Err(CallError::Unclear("answer_too_large")), Effect::Reads),
            Err(Failure::Malformed("answer_too_large".to_owned()))
        );
    }

    #[test]
    fn a_word_that_is_long_or_not_plain_is_not_repeated() {
        let long = "X".repeat(65);
        for issue in ["a b", "<b>", "a\\u0000b", "", &long] {
            assert_eq!(
                outcome(422, &error(issue)),
                Err(Failure::Refused("UNPROCESSABLE_ENTITY".to_owned())),
                "{issue:?}"
            );
        }
        assert_eq!(
            outcome(422, "{}"),
            Err(Failure::Malformed("status_422".to_owned()))
        );
    }
}
