//! The keys that only accounts of kind `mollie` have.
//!
//! Knows Mollie's kinds of keys by their prefixes and nothing else of Mollie.

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
/// Where Mollie is called when nothing is said.
const API_BASE: &str = "https://api.mollie.com";

/// The keys of a Mollie account.
#[derive(Clone, Debug)]
pub struct MollieConfig {
    /// The profile's API key; its prefix says the mode.
    pub api_key: Secret,
    /// The signing secrets of next-gen webhooks, any may match; none: only classic ones come.
    pub webhook_secrets: Vec<Secret>,
    /// Everything before the paths.
    pub api_base: Endpoint,
}

impl OwnKeys for MollieConfig {
    const WORD: &'static str = "mollie";
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
        let webhook_secrets = section.read_or("webhook_secrets", Vec::new(), out, |field, out| {
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
        Some(MollieConfig {
            api_key: api_key?,
            webhook_secrets,
            api_base: api_base?,
        })
    }

    fn credentials(&self) -> &Secret {
        &self.api_key
    }

    fn rows(&self) -> Vec<(&'static str, Value)> {
        let secrets = match self.webhook_secrets.as_slice() {
            [] => Value::from("none: classic webhooks only"),
            secrets => secrets.iter().map(check::secret).collect(),
        };
        vec![
            ("api_base", self.api_base.as_str().into()),
            ("api_key", check::secret(&self.api_key)),
            ("webhook_secrets", secrets),
        ]
    }
}

/// True for a key that the profile's page shows; a made-up secret may begin like one.
fn is_api_key(text: &str) -> bool {
    let tail = text.strip_prefix("live_").or(text.strip_prefix("test_"));
    tail.is_some_and(|tail| tail.bytes().all(|byte| byte.is_ascii_alphanumeric()))
}

fn api_key_shape(text: &str) -> Result<(), &'static str> {
    secret::key_shape(text)?;
    if text.starts_with("access_") {
        Err("is an organisation's access token; a profile's API key (`live_` or `test_`) is needed")
    } else if is_api_key(text) {
        Ok(())
    } else {
        Err("is no API key of a profile (`live_…` or `test_…`)")
    }
}

fn signing_secret_shape(text: &str) -> Result<(), &'static str> {
    secret::key_shape(text)?;
    if is_api_key(text) {
        Err("is an API key, not a webhook secret")
    } else {
        Ok(())
    }
}

/// The key's own prefix says whether it is live; it must not contradict `live`.
fn check_mode(field: &Field<'_>, key: &Secret, is_live: bool, out: &mut Findings<'_>) {
    let is_live_key = key.value().expose_secret().starts_with("live_");
    let said = match (is_live, is_live_key) {
        (true, false) => "is a test key, but the account says `live = true`",
        (false, true) => "is a live key, but the account says `live = false`",
        (true, true) | (false, false) => return,
    };
    let message = format!("`api_key` (from {}) {said}", key.origin());
    let raised = Raised::new(Code::LiveMismatch, field.at(), message);
    out.raise(raised.accepted("a live key with `live = true`, a test key with `live = false`"));
}
