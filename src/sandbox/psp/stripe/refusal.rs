//! Errors as Stripe words them.
//!
//! Knows what a refusal says and whether an idempotency key remembers it; not when it is due.

use serde_json::{Value, json};

/// An error answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Refusal {
    pub(super) status: u16,
    kind: &'static str,
    code: Option<&'static str>,
    message: String,
    param: Option<String>,
    intent: Option<String>,
    /// True when execution had begun, so that the key remembers the answer.
    pub(super) is_kept: bool,
}

impl Refusal {
    fn new(status: u16, kind: &'static str, message: &str) -> Refusal {
        Refusal {
            status,
            kind,
            code: None,
            message: message.to_owned(),
            param: None,
            intent: None,
            is_kept: false,
        }
    }

    fn with(mut self, code: &'static str, param: Option<&str>) -> Refusal {
        self.code = Some(code);
        self.param = param.map(str::to_owned);
        self
    }

    /// Not our key.
    pub(super) fn wrong_key() -> Refusal {
        Refusal::new(
            401,
            "invalid_request_error",
            "Invalid API Key provided: sk_****",
        )
    }

    /// No such address.
    pub(super) fn no_such_url(path: &str) -> Refusal {
        let message = format!("Unrecognized request URL ({path}).");
        Refusal::new(404, "invalid_request_error", &message)
    }

    /// No such object, in this mode.
    pub(super) fn missing(id: &str, param: &str) -> Refusal {
        let refusal = Refusal::new(
            404,
            "invalid_request_error",
            &format!("No such object: '{id}'"),
        );
        refusal.with("resource_missing", Some(param))
    }

    /// A field that the endpoint does not take.
    pub(super) fn unknown_field(field: &str) -> Refusal {
        let message = format!("Received unknown parameter: {field}");
        Refusal::new(400, "invalid_request_error", &message).with("parameter_unknown", Some(field))
    }

    /// A field that the endpoint needs.
    pub(super) fn absent(field: &str) -> Refusal {
        let message = format!("Missing required param: {field}.");
        Refusal::new(400, "invalid_request_error", &message).with("parameter_missing", Some(field))
    }

    /// A field with a value that cannot be.
    pub(super) fn invalid(field: &str, message: &str) -> Refusal {
        Refusal::new(400, "invalid_request_error", message)
            .with("parameter_invalid_integer", Some(field))
    }

    /// A body that is not form-encoded.
    pub(super) fn unreadable() -> Refusal {
        Refusal::new(
            400,
            "invalid_request_error",
            "The request body could not be read.",
        )
    }

    /// More than is left.
    pub(super) fn above_unrefunded(asked: i64, left: i64) -> Refusal {
        let message =
            format!("Refund amount ({asked}) is greater than unrefunded amount on charge ({left})");
        let mut refusal = Refusal::new(400, "invalid_request_error", &message);
        refusal.param = Some("amount".to_owned());
        refusal.kept()
    }

    /// A business rule says no.
    pub(super) fn ruled_out(code: &'static str, message: &str) -> Refusal {
        Refusal::new(400, "invalid_request_error", message)
            .with(code, None)
            .kept()
    }

    /// The payment is not in a state for this; the answer shows it.
    pub(super) fn unexpected_state(id: &str, status: &str, act: &str) -> Refusal {
        let message =
            format!("You cannot {act} this PaymentIntent because it has a status of {status}.");
        let mut refusal = Refusal::ruled_out("payment_intent_unexpected_state", &message);
        refusal.intent = Some(id.to_owned());
        refusal
    }

    /// The key was used with other parameters.
    pub(super) fn key_reused() -> Refusal {
        let message = "Keys for idempotent requests can only be used with the same parameters \
                       they were first used with.";
        Refusal::new(400, "idempotency_error", message)
    }

    /// The key's first request is still running.
    pub(super) fn key_in_use() -> Refusal {
        let message = "There is currently another in-progress request using this Idempotency Key.";
        Refusal::new(409, "idempotency_error", message).with("idempotency_key_in_use", None)
    }

    /// A key that is too long.
    pub(super) fn long_key() -> Refusal {
        let message = "Idempotency keys can be at most 255 characters long.";
        Refusal::new(400, "invalid_request_error", message)
    }

    fn kept(mut self) -> Refusal {
        self.is_kept = true;
        self
    }

    /// The body; `intent` shows a payment that the error is about.
    pub(super) fn body(&self, intent: impl FnOnce(&str) -> Option<Value>) -> Value {
        let mut error = json!({"type": self.kind, "message": self.message});
        if let Some(fields) = error.as_object_mut() {
            let code = self.code.map(Value::from);
            let param = self.param.as_deref().map(Value::from);
            let shown = self.intent.as_deref().and_then(intent);
            for (name, value) in [("code", code), ("param", param), ("payment_intent", shown)] {
                fields.extend(value.map(|value| (name.to_owned(), value)));
            }
        }
        json!({"error": error})
    }
}
