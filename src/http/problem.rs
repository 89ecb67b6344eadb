//! Refusals as RFC 9457 problem documents: one list of codes for every listener.
//!
//! Knows statuses and words, not who asked. A problem never repeats what the sender sent.

use axum::response::{IntoResponse, Response};
use http::header::{ALLOW, CONTENT_TYPE, RETRY_AFTER, WWW_AUTHENTICATE};
use http::{HeaderValue, StatusCode};
use serde::ser::{Serialize, SerializeMap, Serializer};
use serde_json::Value;
use std::borrow::Cow;

/// The content type of a problem document.
pub const PROBLEM_JSON: &str = "application/problem+json";

/// What `type` begins with; the code follows.
const TYPE_PREFIX: &str = "urn:reconciled:problem:";

/// Every reason for which a listener refuses; each has one word, one status and one title.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Code {
    /// The request cannot be understood.
    BadRequest,
    /// `Host` is missing or repeated.
    BadHost,
    /// The body broke off, or its framing is wrong.
    BodyIncomplete,
    /// A signed shop event that cannot be read.
    MalformedEvent,
    /// The signature is missing or does not fit.
    BadSignature,
    /// The signature fits, its time does not.
    StaleTimestamp,
    /// No token, or one that is not admitted.
    Unauthorized,
    /// The token is known and may not do this.
    Forbidden,
    /// Acting needs a token, and none is configured.
    RulingsNeedToken,
    /// Sent by a page of another origin.
    ForeignOrigin,
    /// No such path.
    NotFound,
    /// No such PSP account.
    UnknownAccount,
    /// No such shop.
    UnknownShop,
    /// No such order.
    UnknownOrder,
    /// No such checkout.
    UnknownCheckout,
    /// No such entry in the quarantine.
    UnknownEntry,
    /// The path exists, not with this method.
    MethodNotAllowed,
    /// The rest of the request did not come in time.
    RequestTimeout,
    /// The checkout changed since the version in `If-Match`.
    CheckoutMoved,
    /// A guard refused an operator's ruling.
    RulingRefused,
    /// A quarantined delivery still fails.
    ReplayRefused,
    /// The body is over the limit.
    BodyTooLarge,
    /// The address is over the limit.
    AddressTooLong,
    /// A compressed body.
    EncodedBody,
    /// A body of a kind that is not taken here.
    UnsupportedMediaType,
    /// Read, but its content cannot be taken.
    Unprocessable,
    /// Too many header fields, or too long ones.
    HeadTooLarge,
    /// Our own mistake.
    Internal,
    /// More is waiting than is let wait.
    Overloaded,
    /// It cannot be made durable, or not be read, now.
    StoreUnavailable,
    /// The key that the delivery is signed with cannot be had now.
    KeyUnavailable,
    /// Not finished within the time limit.
    TookTooLong,
}

impl Code {
    /// All codes, for documents and tests.
    pub const ALL: [Code; 32] = [
        Code::BadRequest,
        Code::BadHost,
        Code::BodyIncomplete,
        Code::MalformedEvent,
        Code::BadSignature,
        Code::StaleTimestamp,
        Code::Unauthorized,
        Code::Forbidden,
        Code::RulingsNeedToken,
        Code::ForeignOrigin,
        Code::NotFound,
        Code::UnknownAccount,
        Code::UnknownShop,
        Code::UnknownOrder,
        Code::UnknownCheckout,
        Code::UnknownEntry,
        Code::MethodNotAllowed,
        Code::RequestTimeout,
        Code::CheckoutMoved,
        Code::RulingRefused,
        Code::ReplayRefused,
        Code::BodyTooLarge,
        Code::AddressTooLong,
        Code::EncodedBody,
        Code::UnsupportedMediaType,
        Code::Unprocessable,
        Code::HeadTooLarge,
        Code::Internal,
        Code::Overloaded,
        Code::StoreUnavailable,
        Code::KeyUnavailable,
        Code::TookTooLong,
    ];

    /// The stable word.
    pub fn word(self) -> &'static str {
        match self {
            Code::BadRequest => "bad_request",
            Code::BadHost => "bad_host",
            Code::BodyIncomplete => "body_incomplete",
            Code::MalformedEvent => "malformed_event",
            Code::BadSignature => "bad_signature",
            Code::StaleTimestamp => "stale_timestamp",
            Code::Unauthorized => "unauthorized",
            Code::Forbidden => "forbidden",
            Code::RulingsNeedToken => "rulings_need_token",
            Code::ForeignOrigin => "foreign_origin",
            Code::NotFound => "not_found",
            Code::UnknownAccount => "unknown_account",
            Code::UnknownShop => "unknown_shop",
            Code::UnknownOrder => "unknown_order",
            Code::UnknownCheckout => "unknown_checkout",
            Code::UnknownEntry => "unknown_entry",
            Code::MethodNotAllowed => "method_not_allowed",
            Code::RequestTimeout => "request_timeout",
            Code::CheckoutMoved => "checkout_moved",
            Code::RulingRefused => "ruling_refused",
            Code::ReplayRefused => "replay_refused",
            Code::BodyTooLarge => "body_too_large",
            Code::AddressTooLong => "address_too_long",
            Code::EncodedBody => "encoded_body",
            Code::UnsupportedMediaType => "unsupported_media_type",
            Code::Unprocessable => "unprocessable",
            Code::HeadTooLarge => "head_too_large",
            Code::Internal => "internal",
            Code::Overloaded => "overloaded",
            Code::StoreUnavailable => "store_unavailable",
            Code::KeyUnavailable => "key_unavailable",
            Code::TookTooLong => "took_too_long",
        }
    }

    /// The status.
    pub fn status(self) -> StatusCode {
        match self {
            Code::BadRequest | Code::BadHost | Code::BodyIncomplete | Code::MalformedEvent => {
                StatusCode::BAD_REQUEST
            }
            Code::BadSignature | Code::StaleTimestamp | Code::Unauthorized => {
                StatusCode::UNAUTHORIZED
            }
            Code::Forbidden | Code::RulingsNeedToken | Code::ForeignOrigin => StatusCode::FORBIDDEN,
            Code::NotFound
            | Code::UnknownAccount
            | Code::UnknownShop
            | Code::UnknownOrder
            | Code::UnknownCheckout
            | Code::UnknownEntry => StatusCode::NOT_FOUND,
            Code::MethodNotAllowed => StatusCode::METHOD_NOT_ALLOWED,
            Code::RequestTimeout => StatusCode::REQUEST_TIMEOUT,
            Code::CheckoutMoved | Code::RulingRefused | Code::ReplayRefused => StatusCode::CONFLICT,
            Code::BodyTooLarge => StatusCode::PAYLOAD_TOO_LARGE,
            Code::AddressTooLong => StatusCode::URI_TOO_LONG,
            Code::EncodedBody | Code::UnsupportedMediaType => StatusCode::UNSUPPORTED_MEDIA_TYPE,
            Code::Unprocessable => StatusCode::UNPROCESSABLE_ENTITY,
            Code::HeadTooLarge => StatusCode::REQUEST_HEADER_FIELDS_TOO_LARGE,
            Code::Internal => StatusCode::INTERNAL_SERVER_ERROR,
            Code::Overloaded
            | Code::StoreUnavailable
            | Code::KeyUnavailable
            | Code::TookTooLong => StatusCode::SERVICE_UNAVAILABLE,
        }
    }

    /// The title: the same for every occurrence.
    pub fn title(self) -> &'static str {
        match self {
            Code::BadRequest => "The request cannot be understood",
            Code::BadHost => "HTTP/1.1 needs exactly one Host field",
            Code::BodyIncomplete => "The body is incomplete or wrongly framed",
            Code::MalformedEvent => "The event cannot be read",
            Code::BadSignature => "The signature is not valid",
            Code::StaleTimestamp => "The timestamp is outside the tolerance",
            Code::Unauthorized => "A valid token is needed",
            Code::Forbidden => "This token may not do that",
            Code::RulingsNeedToken => "Acting needs a token, and none is configured",
            Code::ForeignOrigin => "Pages of another origin may not act",
            Code::NotFound => "There is nothing here",
            Code::UnknownAccount => "No such account",
            Code::UnknownShop => "No such shop",
            Code::UnknownOrder => "No such order",
            Code::UnknownCheckout => "No such checkout",
            Code::UnknownEntry => "No such entry",
            Code::MethodNotAllowed => "This method is not allowed here",
            Code::RequestTimeout => "The request did not arrive in time",
            Code::CheckoutMoved => "The checkout has changed meanwhile",
            Code::RulingRefused => "A guard refused the ruling",
            Code::ReplayRefused => "The delivery still fails verification",
            Code::BodyTooLarge => "The body is too large",
            Code::AddressTooLong => "The address is too long",
            Code::EncodedBody => "Content-Encoding is not accepted",
            Code::UnsupportedMediaType => "This content type is not accepted",
            Code::Unprocessable => "The content cannot be taken",
            Code::HeadTooLarge => "The header fields are too many or too long",
            Code::Internal => "Something went wrong on our side",
            Code::Overloaded => "Too much is waiting already",
            Code::StoreUnavailable => "Nothing can be stored at the moment",
            Code::KeyUnavailable => "The signer's key cannot be had at the moment",
            Code::TookTooLong => "The request could not be finished in time",
        }
    }

    /// The code for a status that a router or extractor answered without a document of its own.
    pub fn for_status(status: StatusCode) -> Code {
        match status {
            StatusCode::UNAUTHORIZED => Code::Unauthorized,
            StatusCode::FORBIDDEN => Code::Forbidden,
            StatusCode::NOT_FOUND => Code::NotFound,
            StatusCode::METHOD_NOT_ALLOWED => Code::MethodNotAllowed,
            StatusCode::REQUEST_TIMEOUT => Code::RequestTimeout,
            StatusCode::PAYLOAD_TOO_LARGE => Code::BodyTooLarge,
            StatusCode::URI_TOO_LONG => Code::AddressTooLong,
            StatusCode::UNSUPPORTED_MEDIA_TYPE => Code::UnsupportedMediaType,
            StatusCode::UNPROCESSABLE_ENTITY => Code::Unprocessable,
            StatusCode::REQUEST_HEADER_FIELDS_TOO_LARGE => Code::HeadTooLarge,
            status if status.is_server_error() => Code::Internal,
            _ => Code::BadRequest,
        }
    }
}

/// One refusal.
#[derive(Clone, Debug, PartialEq)]
pub struct Problem {
    code: Code,
    detail: Option<Cow<'static, str>>,
    retry_after_s: Option<u32>,
    allow: Option<&'static str>,
    members: Vec<(&'static str, Value)>,
}

impl Problem {
    /// A refusal with nothing more to say than its code.
    pub fn new(code: Code) -> Problem {
        Problem {
            code,
            detail: None,
            retry_after_s: None,
            allow: None,
            members: Vec::new(),
        }
    }

    /// Its code.
    pub fn code(&self) -> Code {
        self.code
    }

    /// With what is particular to this occurrence. Must not repeat what the sender sent.
    #[must_use]
    pub fn detail(mut self, detail: impl Into<Cow<'static, str>>) -> Problem {
        self.detail = Some(detail.into());
        self
    }

    /// With `Retry-After`, in seconds.
    #[must_use]
    pub fn retry_after(mut self, seconds: u32) -> Problem {
        self.retry_after_s = Some(seconds);
        self
    }

    /// With `Allow`: the methods that would be right.
    #[must_use]
    pub fn allow(mut self, methods: &'static str) -> Problem {
        self.allow = Some(methods);
        self
    }

    /// With one more member.
    #[must_use]
    pub fn with(mut self, member: &'static str, value: impl Into<Value>) -> Problem {
        self.members.push((member, value.into()));
        self
    }
}

impl Serialize for Problem {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(None)?;
        map.serialize_entry("type", &format_args!("{TYPE_PREFIX}{}", self.code.word()))?;
        map.serialize_entry("title", self.code.title())?;
        map.serialize_entry("status", &self.code.status().as_u16())?;
        map.serialize_entry(
            "detail",
            self.detail.as_deref().unwrap_or(self.code.title()),
        )?;
        map.serialize_entry("code", self.code.word())?;
        for (member, value) in &self.members {
            map.serialize_entry(member, value)?;
        }
        map.end()
    }
}

impl IntoResponse for Problem {
    fn into_response(self) -> Response {
        let document = serde_json::to_vec(&self).unwrap_or_default();
        let mut response = (self.code.status(), document).into_response();
        let fields = response.headers_mut();
        fields.insert(CONTENT_TYPE, HeaderValue::from_static(PROBLEM_JSON));
        if let Some(seconds) = self.retry_after_s {
            fields.insert(RETRY_AFTER, HeaderValue::from(seconds));
        }
        if let Some(methods) = self.allow {
            fields.insert(ALLOW, HeaderValue::from_static(methods));
        }
        if self.code == Code::Unauthorized {
            fields.insert(WWW_AUTHENTICATE, HeaderValue::from_static("Bearer"));
        }
        response
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeSet;

    #[test]
    fn every_code_has_its_own_word_and_is_a_refusal() {
        let words: BTreeSet<&str> = Code::ALL.iter().map(|code| code.word()).collect();
        assert_eq!(words.len(), Code::ALL.len());
        for code in Code::ALL {
            let status = code.status();
            assert!(status.is_client_error() || status.is_server_error());
            let snake = |c: char| c.is_ascii_lowercase() || c == '_';
            assert!(code.word().chars().all(snake), "{code:?}");
        }
    }

    #[test]
    fn a_problem_has_the_five_members_and_its_own() {
        let problem = Problem::new(Code::RulingRefused)
            .detail("over the limit")
            .with("guard", "auto_refund_limit");
        let text = serde_json::to_string(&problem).unwrap();
        assert_eq!(
            text,
            r#"{"type":"urn:reconciled:problem:ruling_refused","title":"A guard refused the ruling","status":409,"detail":"over the limit","code":"ruling_refused","guard":"auto_refund_limit"}"#
        );
    }

    #[test]
    fn a_document_less_status_finds_a_code_of_the_same_status() {
        for status in [400, 401, 403, 404, 405, 408, 413, 414, 415, 422, 431, 500] {
            let status = StatusCode::from_u16(status).unwrap();
            assert_eq!(Code::for_status(status).status(), status);
        }
    }

    #[test]
    fn a_missing_token_is_asked_for_and_a_pause_is_named() {
        let asked = Problem::new(Code::Unauthorized).into_response();
        assert_eq!(asked.headers()[WWW_AUTHENTICATE], "Bearer");
        let later = Problem::new(Code::Overloaded)
            .retry_after(5)
            .into_response();
        assert_eq!(later.headers()[RETRY_AFTER], "5");
        assert_eq!(later.headers()[CONTENT_TYPE], PROBLEM_JSON);
        assert!(!later.headers().contains_key(WWW_AUTHENTICATE));
    }
}
