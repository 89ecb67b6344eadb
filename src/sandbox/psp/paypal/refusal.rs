//! PayPal's refusals: a status, a name, and the issue that programs branch on.
//!
//! Knows no endpoint.

use super::super::dialect::json_response;
use crate::wire::Response;
use serde_json::json;

/// An answer that is a no.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Refusal {
    status: u16,
    name: &'static str,
    issue: Option<&'static str>,
}

impl Refusal {
    /// No such thing.
    pub(super) fn unknown() -> Refusal {
        Refusal {
            status: 404,
            name: "RESOURCE_NOT_FOUND",
            issue: Some("INVALID_RESOURCE_ID"),
        }
    }

    /// No such endpoint.
    pub(super) fn unknown_path() -> Refusal {
        Refusal {
            status: 404,
            name: "NOT_FOUND",
            issue: None,
        }
    }

    /// Understood, and against a rule.
    pub(super) fn ruled_out(issue: &'static str) -> Refusal {
        Refusal {
            status: 422,
            name: "UNPROCESSABLE_ENTITY",
            issue: Some(issue),
        }
    }

    /// A field that is missing or wrong.
    pub(super) fn invalid(issue: &'static str) -> Refusal {
        Refusal {
            status: 400,
            name: "INVALID_REQUEST",
            issue: Some(issue),
        }
    }

    /// The first call with this request id is under way.
    pub(super) fn busy() -> Refusal {
        Refusal {
            status: 409,
            name: "RESOURCE_CONFLICT",
            issue: Some("PREVIOUS_REQUEST_IN_PROGRESS"),
        }
    }

    /// Not a token of this account.
    pub(super) fn wrong_token() -> Refusal {
        Refusal {
            status: 401,
            name: "AUTHENTICATION_FAILURE",
            issue: None,
        }
    }

    /// As it is sent.
    pub(super) fn response(self) -> Response {
        let details: Vec<_> = self
            .issue
            .iter()
            .map(|issue| json!({"issue": issue, "description": "See the issue."}))
            .collect();
        let body = json!({"name": self.name, "message": "See the details.",
                          "debug_id": "sandbox", "details": details, "links": []});
        json_response(self.status, &body)
    }
}
