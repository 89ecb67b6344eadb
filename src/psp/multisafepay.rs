//! MultiSafepay: signed and unsigned notifications, orders, refunds under our own reference.
//!
//! Pure over bytes: verifies and reads deliveries, builds requests and reads answers for one
//! website. Knows no shop, store or decision. What an operator must set up at MultiSafepay stands
//! in `docs/psp/multisafepay.md`.
//!
//! A payment is named by the merchant's `order_id`, because notifications, reads and refunds all
//! go by it; the PSP's own transaction number is not known to the shop beforehand.
//!
//! Taken with care because it could not be verified: times come without a zone and are taken as
//! Dutch winter time (lists are asked half a day wider); a row of the transaction list may be of any type, so
//! it only names an order to be read; a charge-back counts as an open dispute until it is
//! reversed; an amount captured in parts is the sum of the captures shown.

mod answer;
mod ask;
mod inquire;
mod notice;
mod order_id;
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
pub const KIND: &str = "multisafepay";
/// Where MultiSafepay's live mode lives; its test mode is another host.
pub const API_BASE: &str = "https://api.multisafepay.com";
/// There is no idempotency key: every refund is looked for by our reference before it is asked.
const KEY_LIFETIME: Span = Span::ZERO;

/// One website of a MultiSafepay account.
pub struct MultiSafepay {
    rules: AccountRules,
    api_key: SecretString,
    previous_api_key: Option<SecretString>,
    api_base: String,
}

impl MultiSafepay {
    /// A website with its rules, its API key (which also signs notifications), the key before
    /// it during a rotation, and everything of the API's address before `/v1/json`.
    pub fn new(
        rules: AccountRules,
        api_key: SecretString,
        previous_api_key: Option<SecretString>,
        api_base: String,
    ) -> MultiSafepay {
        MultiSafepay {
            rules,
            api_key,
            previous_api_key,
            api_base: api_base.trim_end_matches('/').to_owned(),
        }
    }
}

impl fmt::Debug for MultiSafepay {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("MultiSafepay")
            .field("account", &self.rules.account)
            .field("api_base", &self.api_base)
            .finish_non_exhaustive()
    }
}

impl Psp for MultiSafepay {
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
            key_lifetime: KEY_LIFETIME,
            cancels_refunds: false,
        }
    }

    /// A `POST` is signed or refused; a `GET` never is and only names an order.
    fn verify(&self, delivery: &RawDelivery<'_>, now: Time) -> Verification {
        if delivery.method == "GET" {
            return notice::verify_unsigned(delivery.query, now);
        }
        let keys = std::iter::once(&self.api_key).chain(self.previous_api_key.as_ref());
        match signature::check(delivery.headers, delivery.body, keys, now) {
            // A resend has the same body, and no delivery has an id: the body's hash tells.
            Ok(()) => Verification::Signed { delivery_id: None },
            Err(rejection) => Verification::Rejected(rejection),
        }
    }

    fn takes_get(&self) -> bool {
        true
    }

    fn is_signature_field(&self, name: &str) -> bool {
        name == signature::HEADER
    }

    fn read(&self, body: &[u8], is_signed: bool, received_at: Time) -> Result<Reading, Unreadable> {
        if is_signed {
            notice::read_signed(&self.rules, body, received_at)
        } else {
            notice::read_unsigned(body)
        }
    }

    /// Success is a 200 that says `OK`; an empty one counts as failure.
    fn acknowledgement(&self) -> Acknowledgement {
        Acknowledgement {
            status: 200,
            content_type: Some("text/plain"),
            body: "OK",
        }
    }

    fn listings(&self) -> u8 {
        ask::LISTINGS
    }

    fn inquire(&self, needs: Needs, _: Time, replies: &[Reply]) -> Inquiry {
        inquire::next(self, needs, replies)
    }

    fn step(&self, ask: &PspAsk, asked_at: Time, replies: &[Reply]) -> Step {
        self.next(ask, asked_at, replies)
    }
}
