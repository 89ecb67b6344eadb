//! A checkout as the admin listener shows it, read by the published contract.
//!
//! Knows only the fields that stories look at; takes no notice of others.

use super::RigError;
use crate::core::money::Money;
use crate::wire::Response;
use serde::Deserialize;

/// A checkout.
#[derive(Clone, Debug, Deserialize)]
pub struct View {
    /// Its id.
    pub id: String,
    /// The order's reference, where one is known.
    pub reference: Option<String>,
    /// Where it stands.
    pub verdict: String,
    /// Why.
    pub reason: Option<String>,
    /// Its payments.
    #[serde(default)]
    pub payments: Vec<ViewPayment>,
    /// Money that is neither settled nor back.
    pub in_suspense: Option<Money>,
    /// True when the customer may be asked to pay again.
    pub safe_to_retry: Option<bool>,
    /// What happens next.
    pub next_step: Option<NextStep>,
}

/// A payment of a checkout.
#[derive(Clone, Debug, Deserialize)]
pub struct ViewPayment {
    /// The account.
    pub account: String,
    /// The PSP's id.
    pub id: String,
    /// How far it is.
    pub status: String,
    /// Money taken.
    pub captured: Option<Money>,
    /// Money given back.
    pub refunded: Option<Money>,
}

/// What happens next if nobody does anything.
#[derive(Clone, Debug, Deserialize)]
pub struct NextStep {
    /// What.
    pub action: Option<String>,
    /// When.
    pub at: Option<String>,
    /// Which attempt.
    pub attempt: Option<u64>,
    /// How the last attempt ended.
    pub last_error: Option<String>,
}

impl View {
    /// Verdict and reason in a few words.
    pub fn summary(&self) -> String {
        match &self.reason {
            Some(reason) => format!("{} ({reason})", self.verdict),
            None => self.verdict.clone(),
        }
    }

    /// What it waits for, in a few words.
    pub fn next(&self) -> String {
        let Some(step) = &self.next_step else {
            return "nothing next".to_owned();
        };
        let action = step.action.as_deref().unwrap_or("look again");
        let at = step.at.as_deref().unwrap_or("in time");
        format!("next {action} at {at}")
    }
}

#[derive(Deserialize)]
struct List {
    checkouts: Vec<View>,
}

pub(super) fn read_list(path: &str, answer: &Response) -> Result<Vec<View>, RigError> {
    let wrong = |detail: String| RigError::Answer {
        path: path.to_owned(),
        status: answer.status,
        detail,
    };
    if answer.status != 200 {
        return Err(wrong(String::from_utf8_lossy(&answer.body).into_owned()));
    }
    let list: List = serde_json::from_slice(&answer.body).map_err(|e| wrong(e.to_string()))?;
    Ok(list.checkouts)
}

/// Percent-encodes what may not stand in a query as it is.
pub(super) fn escaped(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    for byte in text.bytes() {
        if byte.is_ascii_alphanumeric() || b"-._~".contains(&byte) {
            escaped.push(char::from(byte));
        } else {
            escaped.push_str(&format!("%{byte:02X}"));
        }
    }
    escaped
}
