//! The keys that only accounts of kind `stripe` have.
//!
//! Knows Stripe's kinds of keys by their prefixes and nothing else of Stripe.

use super::{Asked, OwnKeys};
use crate::config::check;
use crate::config::problem::Code;
use crate::config::secret::{self, Secret};
use crate::config::source::{Findings, Raised};
use crate::config::table::{Field, Section};
use crate::config::value::{self, Endpoint};
use secrecy::ExposeSecret;
use serde_json::Value;

/// Most webhook secrets at once; two are enough for a rotation.
const WEBHOOK_SECRETS_MAX: usize = 8;
/// Where Stripe is called when nothing is said.
const API_BASE: &str = "https://api.stripe.com";

/// The keys of a Stripe account.
#[derive(Clone, Debug)]
pub struct StripeConfig {
    /// The secret or restricted API key.
    pub api_key: Secret,
    /// The endpoints' signing secrets, one or more; any may match.
    pub webhook_secrets: Vec<Secret>,
    /// Everything before the paths.
    pub api_base: Endpoint,
}

impl OwnKeys for StripeConfig {
    const WORD: &'static str = "stripe";
    const KEYS: &'static [&'static str] = &["api_key", "webhook_secrets"];
    const REFERENCE: &'static [&'static str] = &["metadata.order_reference", "metadata.order_id"];

    fn read(section: &Section<'_>, asked: &Asked<'_>, out: &mut Findings<'_>) -> Option<Self> {
        let sources = secret::SOURCES;
        let field = section.required("api_key", sources, out);
        let api_key = field.and_then(|field| {
            let key = secret::secret(&field, api_key_shape, asked.surroundings, out)?;
            if let Some(is_live) = asked.is_live {
                check_mode(&field, &key, is_live, out);
            }
            Some(key)
        });
        let accepted = format!("an array of secrets, each {sources}");
        let field = section.required("webhook_secrets", &accepted, out);
        let webhook_secrets = field.and_then(|field| {
            let items = field.items(sources, WEBHOOK_SECRETS_MAX, out)?;
            let read = |item: &Field<'_>| {
                secret::secret(item, signing_secret_shape, asked.surroundings, out)
            };
            // Every entry is read before any refusal ends it, so that all problems are found.
            let read: Vec<Option<Secret>> = items.iter().map(read).collect();
            read.into_iter().collect::<Option<Vec<Secret>>>()
        });
        let api_base = match section.field("api_base") {
            Some(field) => value::url(&field, out),
            None => Endpoint::parse(API_BASE).ok(),
        };
        Some(StripeConfig {
            api_key: api_key?,
            webhook_secrets: webhook_secrets?,
            api_base: api_base?,
        })
    }

    fn credentials(&self) -> &Secret {
        &self.api_key
    }

    fn rows(&self) -> Vec<(&'static str, Value)> {
        let secrets = self.webhook_secrets.iter().map(check::secret);
        vec![
            ("api_base", self.api_base.as_str().into()),
            ("api_key", check::secret(&self.api_key)),
            ("webhook_secrets", secrets.collect()),
        ]
    }
}

fn api_key_shape(text: &str) -> Result<(), &'static str> {
    secret::key_shape(text)?;
    if text.starts_with("whsec_") {
        Err("is a webhook secret, not an API key")
    } else if text.starts_with("pk_") {
        Err("is a publishable key; a secret (`sk_`) or restricted (`rk_`) key is needed")
    } else {
        Ok(())
    }
}

fn signing_secret_shape(text: &str) -> Result<(), &'static str> {
    secret::key_shape(text)?;
    if ["sk_", "rk_", "pk_"]
        .iter()
        .any(|prefix| text.starts_with(prefix))
    {
        Err("is an API key, not a webhook secret")
    } else {
        Ok(())
    }
}

/// The key's own prefix says whether it is live; it must not contradict `live`.
fn check_mode(field: &Field<'_>, key: &Secret, is_live: bool, out: &mut Findings<'_>) {
    let text = key.value().expose_secret();
    let starts = |prefixes: [&str; 2]| prefixes.iter().any(|prefix| text.starts_with(prefix));
    let (is_live_key, is_test_key) = (
        starts(["sk_live_", "rk_live_"]),
        starts(["sk_test_", "rk_test_"]),
    );
    let said = match (is_live, is_live_key, is_test_key) {
        (true, _, true) => "is a test key, but the account says `live = true`",
        (false, true, _) => "is a live key, but the account says `live = false`",
        (true | false, _, _) => return,
    };
    let message = format!("`api_key` (from {}) {said}", key.origin());
    let raised = Raised::new(Code::LiveMismatch, field.at(), message);
    out.raise(raised.accepted("a live key with `live = true`, a test key with `live = false`"));
}
