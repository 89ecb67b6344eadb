//! Stripe: signed webhooks, PaymentIntents, refunds and disputes.
//!
//! Pure over bytes: verifies and reads deliveries, builds requests and reads answers for one
//! account. Knows no shop, store or decision. What an operator must set up at Stripe stands in
//! `docs/psp/stripe.md`; the files below say where their facts have limits.

mod amount;
mod answer;
mod ask;
mod event;
mod form;
mod inquire;
mod list;
mod objects;
mod signature;
mod statement;
#[cfg(test)]
mod tests;

use super::inquiry::{Inquiry, Needs};
use super::rules::AccountRules;
use super::{Acknowledgement, Psp, PspAsk, RawDelivery, Reading, Step, Unreadable, Verification};
use crate::core::ids::AccountId;
use crate::core::policy::AccountTraits;
use crate::core::time::{Span, Time};
use crate::wire::Reply;
use secrecy::SecretString;
use std::fmt;

/// The word in the configuration.
pub const KIND: &str = "stripe";
/// Where Stripe lives, for both modes; the key chooses the mode.
pub const API_BASE: &str = "https://api.stripe.com";
/// Stripe may forget an idempotency key after this long; then the same key is a new refund.
const KEY_LIFETIME: Span = Span::from_hours(24);

/// One Stripe account.
pub struct Stripe {
    rules: AccountRules,
    api_key: SecretString,
    webhook_secrets: Vec<SecretString>,
    api_base: String,
}

impl Stripe {
    /// An account with its rules, its secret or restricted API key, the signing secrets of its
    /// webhook endpoint (several while one is being rolled, each with its `whsec_`), and
    /// everything of the API's address before `/v1`.
    pub fn new(
        rules: AccountRules,
        api_key: SecretString,
        webhook_secrets: Vec<SecretString>,
        api_base: String,
    ) -> Stripe {
        Stripe {
            rules,
            api_key,
            webhook_secrets,
            api_base: api_base.trim_end_matches('/').to_owned(),
        }
    }
}

impl fmt::Debug for Stripe {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Stripe")
            .field("account", &self.rules.account)
            .field("api_base", &self.api_base)
            .finish_non_exhaustive()
    }
}

impl Psp for Stripe {
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
        let secrets = &self.webhook_secrets;
        match signature::check(delivery.headers, delivery.body, secrets, now) {
            Ok(()) => Verification::Signed {
                delivery_id: event::delivery_id(delivery.body),
            },
            Err(rejection) => Verification::Rejected(rejection),
        }
    }

    fn told_at(&self, body: &[u8]) -> Option<Time> {
        event::created(body)
    }

    /// Reads a signed event. Stripe signs every delivery, so one that comes without a signature
    /// says nothing: it is refused here too, should it ever get this far.
    fn read(&self, body: &[u8], is_signed: bool, received_at: Time) -> Result<Reading, Unreadable> {
        if !is_signed {
            return Err(Unreadable {
                code: "not_signed",
                detail: "Stripe signs every delivery".to_owned(),
            });
        }
        event::read(&self.rules, body, received_at)
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

    fn inquire(&self, needs: Needs, _: Time, replies: &[Reply]) -> Inquiry {
        inquire::next(self, needs, replies)
    }

    fn step(&self, ask: &PspAsk, asked_at: Time, replies: &[Reply]) -> Step {
        self.next(ask, asked_at, replies)
    }
}
