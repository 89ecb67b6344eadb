//! A notice of Adyen's as it stands on the wire: items, each with a signature of its own.
//!
//! Eight fields of an item are signed; what else is here is marked as unsigned and may be shown,
//! never acted on. Knows neither keys nor meanings.

use crate::core::ids::ExternalRef;
use crate::psp::Unreadable;
use crate::psp::json::{self, Strict};
use serde::Deserialize;
use serde_json::value::RawValue;

/// Where an item's signature stands.
const SIGNATURE: &str = "hmacSignature";

#[derive(Deserialize)]
struct Envelope<'a> {
    #[serde(borrow)]
    live: Option<&'a RawValue>,
    #[serde(rename = "notificationItems", borrow)]
    items: Vec<Strict<Wrapper<'a>>>,
}

#[derive(Deserialize)]
struct Wrapper<'a> {
    #[serde(rename = "NotificationRequestItem", borrow)]
    item: Strict<Wire<'a>>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Wire<'a> {
    psp_reference: Option<String>,
    original_reference: Option<String>,
    merchant_account_code: Option<String>,
    merchant_reference: Option<String>,
    #[serde(borrow)]
    amount: Option<Strict<Amount<'a>>>,
    event_code: Option<String>,
    success: Option<String>,
    #[serde(borrow)]
    additional_data: Option<&'a RawValue>,
    #[serde(borrow)]
    payment_method: Option<&'a RawValue>,
}

#[derive(Deserialize)]
struct Amount<'a> {
    #[serde(borrow)]
    value: Option<&'a RawValue>,
    currency: Option<String>,
}

/// One item. A signed field that is missing is empty, as the signature takes it.
#[derive(Clone, Debug)]
pub(super) struct Item {
    pub(super) psp_reference: String,
    pub(super) original_reference: String,
    pub(super) account: String,
    pub(super) merchant_reference: String,
    pub(super) value: String,
    pub(super) currency: String,
    pub(super) event_code: String,
    pub(super) success: String,
    /// Its signature; none on the events that Adyen does not sign.
    pub(super) signature: Option<String>,
    /// Unsigned: the means of payment.
    pub(super) method: Option<String>,
}

impl Item {
    /// The eight fields as they are signed: joined by colons, nothing escaped.
    pub(super) fn signed_text(&self) -> String {
        [
            self.psp_reference.as_str(),
            &self.original_reference,
            &self.account,
            &self.merchant_reference,
            &self.value,
            &self.currency,
            &self.event_code,
            &self.success,
        ]
        .join(":")
    }

    /// True when the joined text can be cut into these eight fields in no other way: only the
    /// merchant's own reference may hold a colon.
    pub(super) fn is_unambiguous(&self) -> bool {
        let plain = [
            &self.psp_reference,
            &self.original_reference,
            &self.account,
            &self.value,
            &self.currency,
            &self.event_code,
            &self.success,
        ];
        plain.iter().all(|field| !field.contains(':'))
    }

    /// The payment it is about: the original of a modification, or its own.
    pub(super) fn payment(&self) -> Result<ExternalRef, Unreadable> {
        let text = if self.original_reference.is_empty() {
            &self.psp_reference
        } else {
            &self.original_reference
        };
        reference(text)
    }

    /// The name of what happened itself.
    pub(super) fn own(&self) -> Result<ExternalRef, Unreadable> {
        reference(&self.psp_reference)
    }
}

/// Reads a PSP reference; it goes into paths, so nothing but letters, digits, `_` and `-`.
pub(super) fn reference(text: &str) -> Result<ExternalRef, Unreadable> {
    let is_plain = |byte: u8| byte.is_ascii_alphanumeric() || b"_-".contains(&byte);
    let parsed = ExternalRef::parse(text).ok();
    parsed
        .filter(|_| text.bytes().all(is_plain))
        .ok_or_else(|| Unreadable {
            code: "missing_field",
            detail: "a PSP reference is missing or not usable".to_owned(),
        })
}

/// A notice.
#[derive(Clone, Debug)]
pub(super) struct Notice {
    /// Unsigned: whether it says that it is of live mode; none when it does not say.
    pub(super) is_live: Option<bool>,
    pub(super) items: Vec<Item>,
}

/// Reads a notice; the whole of it or nothing.
pub(super) fn notice(body: &[u8]) -> Result<Notice, Unreadable> {
    let envelope: Envelope<'_> = json::object(body)?;
    let items = envelope.items.into_iter().map(|one| item(one.0.item.0));
    let items = items.collect::<Result<Vec<Item>, Unreadable>>()?;
    if items.is_empty() {
        return Err(Unreadable {
            code: "missing_field",
            detail: "a notice without items".to_owned(),
        });
    }
    let is_live = envelope.live.and_then(|raw| match raw.get() {
        "\"true\"" | "true" => Some(true),
        "\"false\"" | "false" => Some(false),
        _ => None,
    });
    Ok(Notice { is_live, items })
}

fn item(wire: Wire<'_>) -> Result<Item, Unreadable> {
    let amount = wire.amount.map(|amount| amount.0);
    let (value, currency) = match amount {
        Some(amount) => (value(amount.value)?, amount.currency.unwrap_or_default()),
        None => (String::new(), String::new()),
    };
    let signature = match wire.additional_data {
        Some(raw) => json::text_at(raw, SIGNATURE)?,
        None => None,
    };
    let method = wire.payment_method.map(RawValue::get);
    Ok(Item {
        psp_reference: wire.psp_reference.unwrap_or_default(),
        original_reference: wire.original_reference.unwrap_or_default(),
        account: wire.merchant_account_code.unwrap_or_default(),
        merchant_reference: wire.merchant_reference.unwrap_or_default(),
        value,
        currency,
        event_code: wire.event_code.unwrap_or_default(),
        success: wire.success.unwrap_or_default(),
        signature,
        method: method.and_then(|text| serde_json::from_str(text).ok()),
    })
}

/// The amount as it is signed: a whole number, as written.
fn value(raw: Option<&RawValue>) -> Result<String, Unreadable> {
    let Some(text) = raw.map(RawValue::get).filter(|text| *text != "null") else {
        return Ok(String::new());
    };
    let digits = text.strip_prefix('-').unwrap_or(text);
    if digits.is_empty() || digits.bytes().any(|byte| !byte.is_ascii_digit()) {
        return Err(Unreadable {
            code: "bad_amount",
            detail: "an amount that is not a whole number".to_owned(),
        });
    }
    Ok(text.to_owned())
}
