//! PayPal: signed webhooks that only name payments, Orders v2, captures, refunds and disputes.
//!
//! One account at PayPal's REST API. A delivery's signature covers its body by a CRC-32 alone, so
//! a delivery is only ever a hint: what it names is read with our own token. A payment is a
//! capture (`paypal/statement.rs` says why). Refunds carry the decision's key three times: as
//! request id, as `custom_id`, by which they are known again, and as `invoice_id`, which PayPal
//! does not take twice; whether it always enforces that is not known, and nothing rests on it.
//! Keeps in memory what costs a call to learn again: the token and certificates. Knows no shop,
//! store or decision. What to set up at PayPal stands in `docs/psp/paypal.md`.

mod amount;
mod answer;
mod ask;
pub mod certificate;
mod event;
mod inquire;
mod keys;
mod list;
mod look;
mod objects;
mod request_ids;
mod seal;
mod statement;
#[cfg(test)]
mod tests;
mod token;

use super::inquiry::{Inquiry, Needs};
use super::rules::AccountRules;
use super::{Acknowledgement, Psp, PspAsk, RawDelivery, Reading, Step, Unreadable, Verification};
use crate::core::ids::{AccountId, ExternalRef, PaymentRef};
use crate::core::payment::{PaymentSnapshot, Source};
use crate::core::policy::AccountTraits;
use crate::core::time::{Span, Time};
use crate::wire::{Failure, Reply, Request};
use certificate::CertificateRules;
use keys::Keys;
use request_ids::RequestIds;
use secrecy::SecretString;
use std::fmt;
use token::Session;

/// The word in the configuration.
pub const KIND: &str = "paypal";
/// Where live accounts are served.
pub const API_BASE: &str = "https://api-m.paypal.com";
/// Where sandbox accounts are served.
pub const SANDBOX_API_BASE: &str = "https://api-m.sandbox.paypal.com";
/// PayPal remembers refunds' request ids for 45 days by its paper on payments and other ids for
/// six hours; the shorter one is counted on.
const KEY_LIFETIME: Span = Span::from_hours(6);

/// What signs us in, and what our webhook is called.
pub struct Credentials {
    /// The app's client id.
    pub client_id: String,
    /// The app's secret.
    pub client_secret: SecretString,
    /// The webhook's id; part of what is signed.
    pub webhook_id: String,
}

/// One PayPal account, seen through one REST app.
pub struct Paypal {
    rules: AccountRules,
    webhook_id: String,
    api_base: String,
    session: Session,
    keys: Keys,
    request_ids: RequestIds,
}

impl Paypal {
    /// An account with its rules, its app's credentials, where signing certificates may come from,
    /// and everything of the API's address before `/v1` and `/v2`.
    pub fn new(
        rules: AccountRules,
        credentials: Credentials,
        certificates: CertificateRules,
        api_base: String,
    ) -> Paypal {
        Paypal {
            keys: Keys::new(certificates, rules.live),
            session: Session::new(credentials.client_id, credentials.client_secret),
            webhook_id: credentials.webhook_id,
            api_base: api_base.trim_end_matches('/').to_owned(),
            request_ids: RequestIds::default(),
            rules,
        }
    }

    /// A payment that a delivery names. Nobody vouches for the name: the body around it may be
    /// anybody's, so it costs no more than an unsigned one.
    fn named(&self, id: ExternalRef, at: Time) -> PaymentSnapshot {
        let account = self.rules.account.clone();
        let source = Source::Hearsay;
        PaymentSnapshot::new(PaymentRef { account, id }, at, at, source)
    }
}

impl fmt::Debug for Paypal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Paypal")
            .field("account", &self.rules.account)
            .field("api_base", &self.api_base)
            .finish_non_exhaustive()
    }
}

impl Psp for Paypal {
    fn kind(&self) -> &'static str {
        KIND
    }

    fn account(&self) -> &AccountId {
        &self.rules.account
    }

    fn traits(&self) -> AccountTraits {
        AccountTraits {
            can_read: true,
            can_list_refunds: true,
            cancels_refunds: false,
            key_lifetime: KEY_LIFETIME,
        }
    }

    fn verify(&self, delivery: &RawDelivery<'_>, now: Time) -> Verification {
        seal::check(
            delivery.headers,
            delivery.body,
            &self.webhook_id,
            self.rules.live,
            &self.keys,
            now,
        )
    }

    fn is_signature_field(&self, name: &str) -> bool {
        seal::is_field(name)
    }

    fn told_at(&self, body: &[u8]) -> Option<Time> {
        event::created(body)
    }

    /// Reads which payments an event names. PayPal signs every delivery, so one that comes
    /// without a signature says nothing.
    fn read(&self, body: &[u8], is_signed: bool, received_at: Time) -> Result<Reading, Unreadable> {
        if !is_signed {
            return Err(Unreadable {
                code: "not_signed",
                detail: "PayPal signs every delivery".to_owned(),
            });
        }
        let about = event::about(body)?;
        if about.payments.is_empty() {
            return Ok(Reading::Ignored { what: about.kind });
        }
        let named = about.payments.into_iter();
        Ok(Reading::Seen {
            payments: named.map(|id| self.named(id, received_at)).collect(),
            hints: Vec::new(),
        })
    }

    /// Any 2xx will do.
    fn acknowledgement(&self) -> Acknowledgement {
        Acknowledgement {
            status: 200,
            content_type: None,
            body: "",
        }
    }

    fn listings(&self) -> u8 {
        list::LISTINGS
    }

    fn key_wanted(&self, now: Time) -> Option<Request> {
        self.keys.wanted(now)
    }

    fn key_came(&self, request: &Request, reply: &Reply, now: Time) {
        self.keys.came(&request.url, reply, now);
    }

    fn sign_in(&self, now: Time) -> Option<Request> {
        self.session.sign_in(&self.api_base, now)
    }

    fn signed_in(&self, reply: &Reply, now: Time) -> Result<(), Failure> {
        self.session.signed_in(reply, now)
    }

    fn signed_out(&self) {
        self.session.sign_out();
    }

    fn inquire(&self, needs: Needs, now: Time, replies: &[Reply]) -> Inquiry {
        inquire::next(self, needs, now, replies)
    }

    fn step(&self, ask: &PspAsk, asked_at: Time, replies: &[Reply]) -> Step {
        self.next(ask, asked_at, replies)
    }
}
