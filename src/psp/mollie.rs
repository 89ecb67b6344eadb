//! Mollie: classic and next-gen webhooks, payments, refunds that wait two hours, chargebacks.
//!
//! Pure over bytes: verifies and reads deliveries, builds requests and reads answers for one
//! account. Knows no shop, store or decision. What an operator must set up at Mollie stands in
//! `docs/psp/mollie.md`; the files below say where their facts have limits.
//!
//! Not certain, and read the careful way: whether a next-gen delivery is an envelope or the bare
//! object (both are taken, and both only name the payment); whether an embedded list of refunds
//! is ever cut short (one that does not add up is read page by page); whether a payment can turn
//! from expired to paid (what is read last counts).

mod amount;
mod answer;
mod ask;
mod event;
mod ident;
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
pub const KIND: &str = "mollie";
/// Where Mollie lives, for both modes; the key chooses the mode.
pub const API_BASE: &str = "https://api.mollie.com";
/// Mollie forgets an idempotency key after this long; then the same key is a new refund.
const KEY_LIFETIME: Span = Span::from_hours(1);
/// A bank transfer may be paid this long after it was created: 12 to 14 days, and a weekend.
const PAID_LATE_MAX: Span = Span::from_days(16);

/// One Mollie profile.
pub struct Mollie {
    rules: AccountRules,
    api_key: SecretString,
    webhook_secrets: Vec<SecretString>,
    api_base: String,
}

impl Mollie {
    /// An account with its rules, its API key (`live_…` or `test_…`), the signing secrets of its
    /// next-gen webhooks (none when it has only classic ones, several while one is replaced), and
    /// everything of the API's address before `/v2`.
    pub fn new(
        rules: AccountRules,
        api_key: SecretString,
        webhook_secrets: Vec<SecretString>,
        api_base: String,
    ) -> Mollie {
        Mollie {
            rules,
            api_key,
            webhook_secrets,
            api_base: api_base.trim_end_matches('/').to_owned(),
        }
    }
}

impl fmt::Debug for Mollie {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Mollie")
            .field("account", &self.rules.account)
            .field("api_base", &self.api_base)
            .finish_non_exhaustive()
    }
}

impl Psp for Mollie {
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
            cancels_refunds: true,
            key_lifetime: KEY_LIFETIME,
        }
    }

    /// A delivery with the signature header is next-gen and must fit; one without must be exactly
    /// a classic one. JSON without the header is a refusal: the official libraries only say
    /// "legacy" to it, which is not "authentic".
    fn verify(&self, delivery: &RawDelivery<'_>, _: Time) -> Verification {
        let secrets = &self.webhook_secrets;
        match signature::check(delivery.headers, delivery.body, secrets) {
            Some(Ok(())) => Verification::Signed {
                delivery_id: event::delivery_id(delivery.body),
            },
            Some(Err(rejection)) => Verification::Rejected(rejection),
            None => event::classic(delivery.body),
        }
    }

    fn read(&self, body: &[u8], is_signed: bool, received_at: Time) -> Result<Reading, Unreadable> {
        if is_signed {
            event::read(&self.rules, body, received_at)
        } else {
            event::read_classic(body)
        }
    }

    /// Exactly 200; Mollie documents no other success.
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

    fn pays_late(&self) -> Span {
        PAID_LATE_MAX
    }

    fn inquire(&self, needs: Needs, _: Time, replies: &[Reply]) -> Inquiry {
        inquire::next(self, needs, replies)
    }

    fn step(&self, ask: &PspAsk, asked_at: Time, replies: &[Reply]) -> Step {
        self.next(ask, asked_at, replies)
    }
}
