//! Errors as Mollie words them: a status, a title, a sentence, sometimes a field; no code.
//!
//! Knows what a refusal says and whether an idempotency key remembers it; not when it is due.

use serde_json::{Value, json};

/// An error answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Refusal {
    pub(super) status: u16,
    title: &'static str,
    detail: String,
    field: Option<&'static str>,
    /// True when execution had begun, so that the key remembers the answer.
    pub(super) is_kept: bool,
}

impl Refusal {
    fn new(status: u16, title: &'static str, detail: &str) -> Refusal {
        Refusal {
            status,
            title,
            detail: detail.to_owned(),
            field: None,
            is_kept: false,
        }
    }

    /// Not our key.
    pub(super) fn wrong_key() -> Refusal {
        let detail = "Missing authentication, or failed to authenticate";
        Refusal::new(401, "Unauthorized Request", detail)
    }

    /// No such address, or no such thing in this mode.
    pub(super) fn not_found() -> Refusal {
        Refusal::new(404, "Not Found", "No such resource exists in this mode")
    }

    /// Something that cannot be understood.
    pub(super) fn bad_request(detail: &str) -> Refusal {
        Refusal::new(400, "Bad Request", detail)
    }

    /// A rule says no.
    pub(super) fn ruled_out(detail: &str, field: Option<&'static str>) -> Refusal {
        Refusal {
            field,
            is_kept: true,
            ..Refusal::new(422, "Unprocessable Entity", detail)
        }
    }

    /// The same amount was just refunded.
    pub(super) fn duplicate_refund() -> Refusal {
        Refusal::new(409, "Conflict", "A duplicate refund has been detected")
    }

    /// The key was used with another request.
    pub(super) fn key_reused() -> Refusal {
        Refusal::bad_request("The idempotency key was used with another request")
    }

    /// The key's first request is still running.
    pub(super) fn key_in_use() -> Refusal {
        Refusal::new(409, "Conflict", "A request with this key is in progress")
    }

    /// The body.
    pub(super) fn body(&self) -> Value {
        let mut body = json!({
            "status": self.status, "title": self.title, "detail": self.detail, "_links": {},
        });
        if let (Some(field), Some(fields)) = (self.field, body.as_object_mut()) {
            fields.insert("field".to_owned(), Value::from(field));
        }
        body
    }
}
