//! Stripe's objects as they stand on the wire, only the fields that are read.
//!
//! Plain shapes without meaning: amounts are kept as written (`amount.rs` judges them),
//! references to other objects may be an id or the object itself. Field names and kinds are
//! those of API version 2026-07-29; unknown fields are skipped, so older payloads read too.

use crate::core::ids::ExternalRef;
use crate::psp::json::{self, Fault, Strict};
use serde::{Deserialize, Deserializer};
use serde_json::value::RawValue;
use std::borrow::Cow;

/// What every event and object is called.
#[derive(Deserialize)]
pub(super) struct Named {
    pub(super) id: ExternalRef,
    pub(super) object: String,
}

/// When an event was created.
#[derive(Deserialize)]
pub(super) struct Created {
    /// Unix seconds.
    pub(super) created: i64,
}

/// What every object and list shows.
#[derive(Deserialize)]
struct Kind {
    object: String,
}

/// A snapshot event.
#[derive(Deserialize)]
pub(super) struct Event<'a> {
    #[serde(borrow)]
    object: Cow<'a, str>,
    #[serde(rename = "type")]
    pub(super) kind: String,
    /// Unix seconds.
    pub(super) created: i64,
    pub(super) livemode: bool,
    /// Only on events of connected accounts.
    pub(super) account: Option<String>,
    #[serde(borrow)]
    pub(super) data: Strict<EventBody<'a>>,
}

/// The part of an event that holds the object.
#[derive(Deserialize)]
pub(super) struct EventBody<'a> {
    #[serde(borrow)]
    pub(super) object: &'a RawValue,
}

/// `payment_intent`.
#[derive(Deserialize)]
pub(super) struct Intent<'a> {
    #[serde(borrow)]
    object: Cow<'a, str>,
    pub(super) id: ExternalRef,
    #[serde(borrow)]
    pub(super) amount: &'a RawValue,
    #[serde(borrow)]
    pub(super) amount_capturable: &'a RawValue,
    #[serde(borrow)]
    pub(super) amount_received: &'a RawValue,
    pub(super) currency: String,
    pub(super) status: String,
    /// Unix seconds.
    pub(super) created: i64,
    pub(super) livemode: bool,
    #[serde(borrow)]
    pub(super) latest_charge: Option<&'a RawValue>,
    /// Shown by API versions before 2025-03-31 only.
    #[serde(borrow)]
    pub(super) invoice: Option<&'a RawValue>,
}

/// `charge`.
#[derive(Deserialize)]
pub(super) struct Charge<'a> {
    #[serde(borrow)]
    object: Cow<'a, str>,
    pub(super) id: ExternalRef,
    #[serde(borrow)]
    pub(super) amount: &'a RawValue,
    #[serde(borrow)]
    pub(super) amount_captured: &'a RawValue,
    #[serde(borrow)]
    pub(super) amount_refunded: &'a RawValue,
    pub(super) currency: String,
    pub(super) status: String,
    pub(super) captured: bool,
    pub(super) refunded: bool,
    pub(super) disputed: Option<bool>,
    /// Unix seconds.
    pub(super) created: i64,
    pub(super) livemode: bool,
    #[serde(borrow)]
    pub(super) payment_intent: Option<&'a RawValue>,
    #[serde(borrow)]
    pub(super) invoice: Option<&'a RawValue>,
    pub(super) payment_method_details: Option<Strict<MethodDetails>>,
}

/// `charge.payment_method_details`.
#[derive(Deserialize)]
pub(super) struct MethodDetails {
    #[serde(rename = "type")]
    pub(super) kind: Option<String>,
    pub(super) card: Option<Strict<CardDetails>>,
}

/// `charge.payment_method_details.card`.
#[derive(Deserialize)]
pub(super) struct CardDetails {
    /// Unix seconds after which an uncaptured charge is released.
    pub(super) capture_before: Option<i64>,
}

/// `refund`.
#[derive(Deserialize)]
pub(super) struct RefundObject<'a> {
    #[serde(borrow)]
    object: Cow<'a, str>,
    pub(super) id: ExternalRef,
    #[serde(borrow)]
    pub(super) amount: &'a RawValue,
    pub(super) currency: String,
    pub(super) status: Option<String>,
    pub(super) reason: Option<String>,
    pub(super) pending_reason: Option<String>,
    #[serde(borrow)]
    pub(super) payment_intent: Option<&'a RawValue>,
    #[serde(borrow)]
    pub(super) charge: Option<&'a RawValue>,
    #[serde(borrow)]
    pub(super) metadata: Option<&'a RawValue>,
    /// The movement on the shop's balance at Stripe; `null` when none, nothing when not shown.
    #[serde(default, borrow, deserialize_with = "shown")]
    pub(super) balance_transaction: Option<&'a RawValue>,
}

/// `dispute`.
#[derive(Deserialize)]
pub(super) struct DisputeObject<'a> {
    #[serde(borrow)]
    object: Cow<'a, str>,
    pub(super) id: ExternalRef,
    #[serde(borrow)]
    pub(super) amount: &'a RawValue,
    pub(super) currency: String,
    pub(super) status: String,
    #[serde(borrow)]
    pub(super) payment_intent: Option<&'a RawValue>,
    #[serde(borrow)]
    pub(super) charge: Option<&'a RawValue>,
}

/// `checkout.session`.
#[derive(Deserialize)]
pub(super) struct Session<'a> {
    #[serde(borrow)]
    object: Cow<'a, str>,
    #[serde(borrow)]
    pub(super) payment_intent: Option<&'a RawValue>,
}

/// Whatever names a payment: an object that could not be read in full.
#[derive(Deserialize)]
pub(super) struct Pointer<'a> {
    #[serde(borrow)]
    pub(super) payment_intent: Option<&'a RawValue>,
    #[serde(borrow)]
    pub(super) charge: Option<&'a RawValue>,
}

/// One page of a list.
#[derive(Deserialize)]
pub(super) struct List<'a> {
    #[serde(borrow)]
    object: Cow<'a, str>,
    #[serde(borrow)]
    pub(super) data: Vec<&'a RawValue>,
    pub(super) has_more: bool,
}

/// An error answer.
#[derive(Deserialize)]
pub(super) struct ErrorBody {
    pub(super) error: Strict<ErrorObject>,
}

/// What went wrong, by Stripe's words.
#[derive(Deserialize)]
pub(super) struct ErrorObject {
    #[serde(rename = "type")]
    pub(super) kind: Option<String>,
    pub(super) code: Option<String>,
    pub(super) param: Option<String>,
}

/// A shape that is one kind of object and says so.
pub(super) trait Typed {
    /// The kind, by Stripe's word.
    const KIND: &'static str;

    /// The word that the object shows.
    fn shown(&self) -> &str;
}

macro_rules! typed {
    ($( $shape:ident is $kind:literal, )+) => {
        $( impl Typed for $shape<'_> {
            const KIND: &'static str = $kind;

            fn shown(&self) -> &str {
                &self.object
            }
        } )+
    };
}

typed! {
    Event is "event",
    Intent is "payment_intent",
    Charge is "charge",
    RefundObject is "refund",
    DisputeObject is "dispute",
    Session is "checkout.session",
    List is "list",
}

/// Reads an object of its kind; another one is told apart from a broken one.
pub(super) fn typed<'a, T: Deserialize<'a> + Typed>(bytes: &'a [u8]) -> Result<T, Fault> {
    told_apart(json::object(bytes), || json::object(bytes))
}

/// As `typed`, for an object that was kept unread so far.
pub(super) fn typed_in<'a, T: Deserialize<'a> + Typed>(raw: &'a RawValue) -> Result<T, Fault> {
    told_apart(json::nested(raw), || json::nested(raw))
}

/// The kind is looked at alone only when the object could not be read.
fn told_apart<T: Typed>(
    read: Result<T, Fault>,
    kind: impl FnOnce() -> Result<Kind, Fault>,
) -> Result<T, Fault> {
    let is_other = match &read {
        Ok(object) => object.shown() != T::KIND,
        Err(_) => kind()?.object != T::KIND,
    };
    if is_other {
        return Err(Fault {
            code: "wrong_object",
            detail: format!("the object is not a {}", T::KIND),
        });
    }
    read
}

/// Keeps `null` apart from a field that is not there.
fn shown<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<&'de RawValue>, D::Error> {
    <&RawValue>::deserialize(deserializer).map(Some)
}

/// The other object that a field shows in full; it is not looked into.
pub(super) fn expanded(field: Option<&RawValue>) -> Option<&RawValue> {
    field.filter(|raw| raw.get().starts_with('{'))
}

/// The id of the object that a field names or shows in full; none where the field is absent.
pub(super) fn linked(field: Option<&RawValue>) -> Result<Option<ExternalRef>, Fault> {
    let Some(raw) = field else { return Ok(None) };
    if expanded(field).is_some() {
        let named: Named = json::nested(raw)?;
        return Ok(Some(named.id));
    }
    match serde_json::from_str(raw.get()) {
        Ok(id) => Ok(Some(id)),
        Err(_) => Err(Fault {
            code: "wrong_shape",
            detail: "a link that is neither an id nor an object".to_owned(),
        }),
    }
}

/// The payment that a refund, dispute, charge or session belongs to: its intent, else its charge.
pub(super) fn payment_of(
    intent: Option<&RawValue>,
    charge: Option<&RawValue>,
) -> Result<Option<ExternalRef>, Fault> {
    match linked(intent)? {
        Some(id) => Ok(Some(id)),
        None => linked(charge),
    }
}
