//! The keys that only accounts of kind `adyen` have.
//!
//! Knows Adyen's hosts, which tell its modes apart, and the shape of its keys; nothing else of it.

use super::{Asked, OwnKeys};
use crate::config::check;
use crate::config::problem::Code;
use crate::config::secret::{self, Secret};
use crate::config::source::Findings;
use crate::config::table::{Field, Section, quoted};
use crate::config::value::{self, Endpoint};
use crate::psp::adyen::{Capture, KIND};
use serde_json::Value;

/// Most webhook secrets at once; two are enough for a rotation.
const WEBHOOK_SECRETS_MAX: usize = 8;
/// Digits of a webhook's HMAC key.
const KEY_DIGITS: usize = 64;
/// Longest name of a merchant account or a webhook's user, in bytes.
const NAME_BYTES_MAX: usize = 128;
/// The only field with a reference that Adyen signs.
const REFERENCE: &str = "merchantReference";
/// How the hosts of the two modes look.
const TEST_HOST: &str = "checkout-test.adyen.com";
const LIVE_HOST_ENDS: &str = "-checkout-live.adyenpayments.com";
/// What `api_base` must be.
const BASES: &str = "\"https://PREFIX-checkout-live.adyenpayments.com/checkout/v72\" with \
                     `live = true`, \"https://checkout-test.adyen.com/v72\" with `live = false`";
/// The words of `capture`.
const CAPTURES: &[(&str, Capture)] = &[
    ("automatic", Capture::Automatic),
    ("manual", Capture::Manual),
];

/// The keys of a merchant account at Adyen.
#[derive(Clone, Debug)]
pub struct AdyenConfig {
    /// The API credential's key.
    pub api_key: Secret,
    /// The merchant account's name.
    pub merchant_account: String,
    /// Who takes authorised money.
    pub capture: Capture,
    /// The webhook's HMAC keys, any may match.
    pub webhook_secrets: Vec<Secret>,
    /// The webhook's user and password; none: only the signature is asked for.
    pub login: Option<(String, Secret)>,
    /// Everything before `/payments`, version included.
    pub api_base: Endpoint,
}

impl OwnKeys for AdyenConfig {
    const WORD: &'static str = KIND;
    const KEYS: &'static [&'static str] = &[
        "api_key",
        "merchant_account",
        "capture",
        "webhook_secrets",
        "webhook_user",
        "webhook_password",
    ];
    const REFERENCE: &'static [&'static str] = &[REFERENCE];
    const IS_ALWAYS_REFERENCED: bool = true;

    fn read(section: &Section<'_>, asked: &Asked<'_>, out: &mut Findings<'_>) -> Option<Self> {
        let sources = secret::SOURCES;
        let read_key = |field: &Field<'_>, out: &mut Findings<'_>| {
            secret::secret(field, secret::key_shape, asked.surroundings, out)
        };
        let api_key = section.required("api_key", sources, out);
        let api_key = api_key.and_then(|field| read_key(&field, out));
        let accepted = "the merchant account's name, without a colon or a blank";
        let merchant_account = section.required("merchant_account", accepted, out);
        let merchant_account = merchant_account.and_then(|field| name(&field, accepted, out));
        let capture = section.read("capture", Capture::Automatic, out, |field, out| {
            value::word(field, CAPTURES, out)
        });
        let each = format!("an array of secrets, each {sources}");
        let webhook_secrets = section.required("webhook_secrets", &each, out);
        let webhook_secrets = webhook_secrets.and_then(|field| {
            let items = field.items(sources, WEBHOOK_SECRETS_MAX, out)?;
            let read =
                |item: &Field<'_>| secret::secret(item, hmac_key_shape, asked.surroundings, out);
            // Every entry is read before any refusal ends it, so that all problems are found.
            let read: Vec<Option<Secret>> = items.iter().map(read).collect();
            read.into_iter().collect::<Option<Vec<Secret>>>()
        });
        let login = login(section, read_key, out);
        let api_base = section.required("api_base", BASES, out);
        let api_base = api_base.and_then(|field| base(&field, asked.is_live, out));
        let reference = section.read("reference", (), out, only_signed);
        reference?;
        Some(AdyenConfig {
            api_key: api_key?,
            merchant_account: merchant_account?,
            capture: capture?,
            webhook_secrets: webhook_secrets?,
            login: login?,
            api_base: api_base?,
        })
    }

    fn credentials(&self) -> &Secret {
        &self.api_key
    }

    fn within(&self) -> &str {
        &self.merchant_account
    }

    fn rows(&self) -> Vec<(&'static str, Value)> {
        let (user, password) = match &self.login {
            Some((user, password)) => (Some(user.as_str()), Some(check::secret(password))),
            None => (None, None),
        };
        let secrets = self.webhook_secrets.iter().map(check::secret).collect();
        vec![
            ("api_base", self.api_base.as_str().into()),
            ("api_key", check::secret(&self.api_key)),
            ("merchant_account", self.merchant_account.as_str().into()),
            (
                "capture",
                value::written_word(CAPTURES, &self.capture).into(),
            ),
            ("webhook_secrets", secrets),
            ("webhook_user", user.into()),
            ("webhook_password", password.into()),
        ]
    }
}

/// User and password go together; the outer none says that one of them was refused.
fn login(
    section: &Section<'_>,
    read_key: impl Fn(&Field<'_>, &mut Findings<'_>) -> Option<Secret>,
    out: &mut Findings<'_>,
) -> Option<Option<(String, Secret)>> {
    if section.field("webhook_user").is_none() && section.field("webhook_password").is_none() {
        return Some(None);
    }
    let accepted = "the webhook's user name, without a colon or a blank";
    let user = section.required("webhook_user", accepted, out);
    let user = user.and_then(|field| name(&field, accepted, out));
    let password = section.required("webhook_password", secret::SOURCES, out);
    let password = password.and_then(|field| read_key(&field, out));
    Some(Some((user?, password?)))
}

fn name(field: &Field<'_>, accepted: &str, out: &mut Findings<'_>) -> Option<String> {
    let text = field.text(accepted, out)?;
    let fits = |byte: u8| byte.is_ascii_graphic() && byte != b':';
    if (1..=NAME_BYTES_MAX).contains(&text.len()) && text.bytes().all(fits) {
        return Some(text.to_owned());
    }
    let why = format!("is {}", quoted(text));
    out.raise(field.refusal(Code::BadName, &why).accepted(accepted));
    None
}

fn hmac_key_shape(text: &str) -> Result<(), &'static str> {
    secret::key_shape(text)?;
    if text.len() == KEY_DIGITS && text.bytes().all(|byte| byte.is_ascii_hexdigit()) {
        Ok(())
    } else {
        Err("is no HMAC key of a webhook: 64 hexadecimal digits")
    }
}

/// The base names the API's version, and its host says the mode; other hosts than Adyen's own say
/// nothing.
fn base(field: &Field<'_>, is_live: Option<bool>, out: &mut Findings<'_>) -> Option<Endpoint> {
    let base = value::url(field, out)?;
    let last = base.as_str().rsplit('/').next().unwrap_or_default();
    let version = last.strip_prefix('v').unwrap_or_default();
    if version.is_empty() || version.bytes().any(|byte| !byte.is_ascii_digit()) {
        let refusal = field.refusal(Code::BadUrl, "does not end with the API's version");
        out.raise(refusal.accepted(BASES));
        return None;
    }
    let host = base.as_str().split('/').nth(2).unwrap_or_default();
    let said = match is_live {
        Some(true) if host == TEST_HOST => {
            "is the host of test mode, but the account says `live = true`"
        }
        Some(false) if host.ends_with(LIVE_HOST_ENDS) => {
            "is a host of live mode, but the account says `live = false`"
        }
        Some(true | false) | None => return Some(base),
    };
    let refusal = field.refusal(Code::LiveMismatch, said);
    out.raise(refusal.accepted(BASES));
    None
}

/// Whatever else a payment carries may be changed on the way.
fn only_signed(field: &Field<'_>, out: &mut Findings<'_>) -> Option<()> {
    // What is no array of texts is refused where all kinds read it.
    let items = field.value.get_ref().as_array()?;
    let texts = items.iter().filter_map(|item| item.get_ref().as_str());
    let mut others = texts.filter(|text| *text != REFERENCE);
    let Some(other) = others.next() else {
        return Some(());
    };
    let why = format!("holds {}, which Adyen does not sign", quoted(other));
    let accepted = format!("[\"{REFERENCE}\"]");
    out.raise(field.refusal(Code::BadReference, &why).accepted(accepted));
    None
}
