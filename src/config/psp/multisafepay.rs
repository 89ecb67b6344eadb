//! The keys that only accounts of kind `multisafepay` have.
//!
//! Knows MultiSafepay's hosts, which tell its modes apart, and nothing else of it.

use super::{Asked, OwnKeys};
use crate::config::check;
use crate::config::problem::Code;
use crate::config::secret::{self, Secret};
use crate::config::source::{Findings, Raised};
use crate::config::table::{Field, Section};
use crate::config::value::{self, Endpoint};
use serde_json::Value;

/// Where MultiSafepay is called when nothing is said.
const API_BASE: &str = "https://api.multisafepay.com";
/// How the hosts of the two modes begin.
const TEST_HOST: &str = "https://testapi.multisafepay.com";

/// The keys of a MultiSafepay website.
#[derive(Clone, Debug)]
pub struct MultiSafepayConfig {
    /// The website's API key, which also signs notifications.
    pub api_key: Secret,
    /// The key before it; notifications signed with it are still taken.
    pub previous_api_key: Option<Secret>,
    /// Everything before the paths.
    pub api_base: Endpoint,
}

impl OwnKeys for MultiSafepayConfig {
    const WORD: &'static str = "multisafepay";
    const KEYS: &'static [&'static str] = &["api_key", "previous_api_key"];
    const REFERENCE: &'static [&'static str] = &["order_id"];
    const IS_ALWAYS_REFERENCED: bool = true;

    fn read(section: &Section<'_>, asked: &Asked<'_>, out: &mut Findings<'_>) -> Option<Self> {
        let field = section.required("api_key", secret::SOURCES, out);
        let api_key = field
            .and_then(|field| secret::secret(&field, secret::key_shape, asked.surroundings, out));
        let previous = section.field("previous_api_key");
        let previous_api_key = previous
            .map(|field| secret::secret(&field, secret::key_shape, asked.surroundings, out));
        // Test mode is another host, so there is no default for it.
        let field = if asked.is_live == Some(false) {
            section.required("api_base", TEST_HOST, out)
        } else {
            section.field("api_base")
        };
        let api_base = match field {
            Some(field) => {
                let base = value::url(&field, out);
                if let (Some(base), Some(is_live)) = (&base, asked.is_live) {
                    check_mode(&field, base, is_live, out);
                }
                base
            }
            None => Endpoint::parse(API_BASE).ok(),
        };
        Some(MultiSafepayConfig {
            api_key: api_key?,
            previous_api_key: match previous_api_key {
                Some(read) => Some(read?),
                None => None,
            },
            api_base: api_base?,
        })
    }

    fn credentials(&self) -> &Secret {
        &self.api_key
    }

    fn rows(&self) -> Vec<(&'static str, Value)> {
        let previous = self.previous_api_key.as_ref();
        vec![
            ("api_base", self.api_base.as_str().into()),
            ("api_key", check::secret(&self.api_key)),
            ("previous_api_key", previous.map(check::secret).into()),
        ]
    }
}

/// The host says the mode; it must not contradict `live`. Other hosts than the PSP's own say
/// nothing.
fn check_mode(field: &Field<'_>, base: &Endpoint, is_live: bool, out: &mut Findings<'_>) {
    let said = if is_live && base.as_str().starts_with(TEST_HOST) {
        "is the host of test mode, but the account says `live = true`"
    } else if !is_live && base.as_str().starts_with(API_BASE) {
        "is the host of live mode, but the account says `live = false`"
    } else {
        return;
    };
    let raised = Raised::new(Code::LiveMismatch, field.at(), format!("`api_base` {said}"));
    out.raise(raised.accepted(format!(
        "{API_BASE} with `live = true`, {TEST_HOST} with `live = false`"
    )));
}
