//! Adyen: standard webhooks signed item by item, refunds, reversals and cancels. Nothing can be read.
//!
//! Pure over bytes: verifies and reads deliveries, builds requests and reads answers for one
//! merchant account. Knows no shop, store or decision. What an operator must set up at Adyen
//! stands in `docs/psp/adyen.md`.
//!
//! Taken with care because it could not be verified: whether events of captures come where Adyen
//! captures by itself, so an authorisation counts as paid there; whether all events of a dispute
//! share a name; which refund a `VOID_PENDING_REFUND` means, so it says nothing; that events on
//! modifications carry our reference, so Adyen's name for the modification serves as well.

mod amount;
mod answer;
mod ask;
mod item;
mod report;
mod signature;
mod statement;
#[cfg(test)]
mod tests;

use super::report::{BadReport, ReportPart, ReportReading};
use super::rules::AccountRules;
use super::{
    Acknowledgement, Psp, PspAsk, RawDelivery, Reading, Rejection, Step, Unreadable, Verification,
};
use crate::core::ids::AccountId;
use crate::core::policy::AccountTraits;
use crate::core::time::{Span, Time};
use crate::wire::Reply;
use secrecy::SecretString;
use sha2::{Digest, Sha256};
use signature::{Login, Signed};
use statement::Frame;
use std::fmt;

/// The word in the configuration.
pub const KIND: &str = "adyen";
/// Adyen remembers an idempotency key at least this long; there is no list to look in after it.
const KEY_LIFETIME: Span = Span::from_days(7);

/// Whether the merchant account takes authorised money by itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Capture {
    /// By itself: an authorisation counts as paid.
    Automatic,
    /// The shop captures: only a capture counts as paid.
    Manual,
}

/// What proves that a delivery is Adyen's.
pub struct Proofs {
    /// The HMAC keys of the webhook, in hexadecimal; any may match.
    pub webhook_secrets: Vec<SecretString>,
    /// The webhook's user and password, where it has one.
    pub login: Option<(String, SecretString)>,
}

/// One merchant account.
pub struct Adyen {
    rules: AccountRules,
    api_key: SecretString,
    merchant_account: String,
    capture: Capture,
    webhook_secrets: Vec<SecretString>,
    login: Option<Login>,
    api_base: String,
}

impl Adyen {
    /// A merchant account with its rules, its API key, its name, who captures, what proves
    /// deliveries, and everything of the API's address before `/payments`, version included.
    pub fn new(
        rules: AccountRules,
        api_key: SecretString,
        (merchant_account, capture): (String, Capture),
        proofs: Proofs,
        api_base: String,
    ) -> Adyen {
        let login = proofs.login;
        Adyen {
            rules,
            api_key,
            merchant_account,
            capture,
            webhook_secrets: proofs.webhook_secrets,
            login: login.map(|(user, password)| Login { user, password }),
            api_base: api_base.trim_end_matches('/').to_owned(),
        }
    }

    fn frame(&self, received_at: Time) -> Frame<'_> {
        Frame {
            rules: &self.rules,
            merchant_account: &self.merchant_account,
            capture: self.capture,
            received_at,
        }
    }
}

impl fmt::Debug for Adyen {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Adyen")
            .field("account", &self.rules.account)
            .field("merchant_account", &self.merchant_account)
            .field("api_base", &self.api_base)
            .finish_non_exhaustive()
    }
}

impl Psp for Adyen {
    fn kind(&self) -> &'static str {
        KIND
    }

    fn account(&self) -> &AccountId {
        &self.rules.account
    }

    fn traits(&self) -> AccountTraits {
        AccountTraits {
            can_read: false,
            can_list_refunds: false,
            key_lifetime: KEY_LIFETIME,
            cancels_refunds: false,
        }
    }

    /// All signatures there are must match. A notice without any is taken, to be acknowledged and
    /// ignored, from a sender that knows the webhook's password, and from nobody else.
    fn verify(&self, delivery: &RawDelivery<'_>, _now: Time) -> Verification {
        if let Some(login) = &self.login
            && let Err(rejection) = signature::check_login(delivery.headers, login)
        {
            return Verification::Rejected(rejection);
        }
        let Ok(notice) = item::notice(delivery.body) else {
            return Verification::Rejected(Rejection::MalformedSignature);
        };
        match signature::check(&notice, &self.webhook_secrets) {
            // Events have no id: the body's hash tells, and what comes again changes nothing.
            Ok(Signed::Some) => Verification::Signed { delivery_id: None },
            Ok(Signed::Nothing) if self.login.is_some() => Verification::Unsigned {
                delivery_id: hex::encode(Sha256::digest(delivery.body)),
            },
            Ok(Signed::Nothing) => Verification::Rejected(Rejection::MissingSignature),
            Err(rejection) => Verification::Rejected(rejection),
        }
    }

    /// The signatures stand in the body, and the password is nothing to keep.
    fn is_signature_field(&self, _name: &str) -> bool {
        false
    }

    fn read(&self, body: &[u8], is_signed: bool, received_at: Time) -> Result<Reading, Unreadable> {
        if !is_signed {
            let what = "unsigned".to_owned();
            return Ok(Reading::Ignored { what });
        }
        self.frame(received_at).read(&item::notice(body)?)
    }

    fn read_report(
        &self,
        part: ReportPart<'_>,
        received_at: Time,
    ) -> Result<ReportReading, BadReport> {
        self.frame(received_at).report(part)
    }

    fn acknowledgement(&self) -> Acknowledgement {
        Acknowledgement {
            status: 202,
            content_type: Some("text/plain"),
            body: "[accepted]",
        }
    }

    fn listings(&self) -> u8 {
        0
    }

    fn reverses(&self) -> bool {
        true
    }

    fn step(&self, ask: &PspAsk, asked_at: Time, replies: &[Reply]) -> Step {
        self.next(ask, asked_at, replies)
    }
}
