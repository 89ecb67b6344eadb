//! Names of things: ours end in `Id`, theirs in `Ref`. All are checked when they are made.
//!
//! A name that reaches a URL path, a log line or a database key has passed through here, so
//! nothing downstream needs to ask again what characters it may hold.

use serde::de::{Error, Visitor};
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use std::fmt;
use std::marker::PhantomData;
use std::sync::Arc;

/// Longest shop or account key in the configuration, in bytes.
pub const KEY_BYTES_MAX: usize = 64;
/// Longest order reference, in characters (1–128 printable characters).
pub const REFERENCE_CHARS_MAX: usize = 128;
/// Longest id a PSP may give a payment, refund or dispute, in bytes.
pub const EXTERNAL_ID_BYTES_MAX: usize = 128;
/// Longest action key, in bytes; well under the 255 that idempotency headers allow.
pub const ACTION_KEY_BYTES_MAX: usize = 200;

/// Why a name was refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum BadName {
    /// Nothing in it.
    Empty,
    /// Longer than its kind may be.
    TooLong,
    /// A character its kind may not hold (a control, a space, anything not printable).
    BadCharacter,
}

impl fmt::Display for BadName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            BadName::Empty => "is empty",
            BadName::TooLong => "is too long",
            BadName::BadCharacter => "holds a character that is not allowed",
        })
    }
}

impl std::error::Error for BadName {}

/// Reads a text that is checked where it stands, without a copy in between.
struct Checked<T>(PhantomData<T>);

impl<T: for<'t> TryFrom<&'t str, Error = BadName>> Visitor<'_> for Checked<T> {
    type Value = T;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a string")
    }

    fn visit_str<E: Error>(self, text: &str) -> Result<T, E> {
        T::try_from(text).map_err(E::custom)
    }
}

// Names are copied with every row, fact and action, so a copy shares the text.
macro_rules! name {
    ($(#[$doc:meta])* $name:ident, $check:path) => {
        $(#[$doc])*
        #[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub struct $name(Arc<str>);

        impl $name {
            /// Checks and takes the text.
            pub fn parse(text: &str) -> Result<$name, BadName> {
                $check(text)?;
                Ok($name(Arc::from(text)))
            }

            /// The text.
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&self.0)
            }
        }

        impl TryFrom<&str> for $name {
            type Error = BadName;
            fn try_from(text: &str) -> Result<Self, BadName> {
                $name::parse(text)
            }
        }

        impl TryFrom<String> for $name {
            type Error = BadName;
            fn try_from(text: String) -> Result<Self, BadName> {
                $name::parse(&text)
            }
        }

        impl From<$name> for String {
            fn from(name: $name) -> String {
                name.as_str().to_owned()
            }
        }

        impl Serialize for $name {
            fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                serializer.serialize_str(&self.0)
            }
        }

        impl<'de> Deserialize<'de> for $name {
            fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                deserializer.deserialize_str(Checked(PhantomData))
            }
        }
    };
}

fn check(
    text: &str,
    length: usize,
    max: usize,
    fits: impl Fn(char) -> bool,
) -> Result<(), BadName> {
    if text.is_empty() {
        Err(BadName::Empty)
    } else if length > max {
        Err(BadName::TooLong)
    } else if text.chars().all(fits) {
        Ok(())
    } else {
        Err(BadName::BadCharacter)
    }
}

fn check_key(text: &str) -> Result<(), BadName> {
    check(text, text.len(), KEY_BYTES_MAX, |c| {
        c.is_ascii_alphanumeric() || c == '_' || c == '-'
    })
}

fn check_external(text: &str) -> Result<(), BadName> {
    check(text, text.len(), EXTERNAL_ID_BYTES_MAX, |c| {
        c.is_ascii_alphanumeric() || "_-.:".contains(c)
    })
}

fn check_action_key(text: &str) -> Result<(), BadName> {
    check(text, text.len(), ACTION_KEY_BYTES_MAX, |c| {
        c.is_ascii_graphic()
    })
}

fn check_reference(text: &str) -> Result<(), BadName> {
    let edge = |c: Option<char>| c.is_some_and(char::is_whitespace);
    if edge(text.chars().next()) || edge(text.chars().next_back()) {
        return Err(BadName::BadCharacter);
    }
    check(
        text,
        text.chars().count(),
        REFERENCE_CHARS_MAX,
        is_printable,
    )
}

/// Printable: no controls, no line breaks, and none of the invisible or direction-changing
/// characters that make two references look alike on a screen.
pub fn is_printable(c: char) -> bool {
    let invisible = matches!(c,
        '\u{ad}' | '\u{61c}' | '\u{180e}' | '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}'
        | '\u{2060}'..='\u{206f}' | '\u{feff}' | '\u{fff9}'..='\u{fffb}' | '\u{e000}'..='\u{f8ff}'
        | '\u{e0000}'..='\u{e007f}');
    !c.is_control() && !invisible && (c == ' ' || !c.is_whitespace())
}

name!(
    /// A shop's key in the configuration (`[shop.klompen]`).
    ShopId, check_key
);
name!(
    /// A PSP account's key in the configuration (`[psp.stripe_nl]`).
    AccountId, check_key
);
name!(
    /// One checkout of ours; made by the engine, opaque to everyone else.
    CheckoutId, check_key
);
name!(
    /// The shop's own order number or cart id.
    Reference, check_reference
);
name!(
    /// An id that a PSP gave to something of its own (payment, refund, dispute): ASCII letters,
    /// digits and `_ - . :` only, so that it may stand in a URL path as it is.
    ExternalRef, check_external
);
name!(
    /// The name of one decision. Derived from what was decided, never from chance or from the
    /// attempt, so that wanting it twice is wanting it once.
    ActionKey, check_action_key
);

impl CheckoutId {
    /// A new id: led by the moment it is made (milliseconds since the Unix epoch), so that keys
    /// grow with time; the rest names what it is about, so that two who make it at once for the
    /// same thing make the same one.
    pub fn made(millis: u64, about: &[u8; 10]) -> CheckoutId {
        let number = about
            .iter()
            .fold(0_u128, |sum, byte| (sum << 8) | u128::from(*byte));
        CheckoutId(Arc::from(format!("{millis:012x}-{number:020x}")))
    }
}

/// A payment: the account it came in on and the PSP's own id for it. Written `account/id`.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct PaymentRef {
    /// The PSP account's key in the configuration.
    pub account: AccountId,
    /// The PSP's own payment id.
    pub id: ExternalRef,
}

impl PaymentRef {
    /// Checks both parts.
    pub fn parse(account: &str, id: &str) -> Result<PaymentRef, BadName> {
        Ok(PaymentRef {
            account: AccountId::parse(account)?,
            id: ExternalRef::parse(id)?,
        })
    }
}

impl fmt::Display for PaymentRef {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.account, self.id)
    }
}

impl TryFrom<&str> for PaymentRef {
    type Error = BadName;
    fn try_from(text: &str) -> Result<Self, BadName> {
        let (account, id) = text.split_once('/').ok_or(BadName::BadCharacter)?;
        PaymentRef::parse(account, id)
    }
}

impl TryFrom<String> for PaymentRef {
    type Error = BadName;
    fn try_from(text: String) -> Result<Self, BadName> {
        PaymentRef::try_from(text.as_str())
    }
}

impl Serialize for PaymentRef {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for PaymentRef {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_str(Checked(PhantomData))
    }
}

/// An order: the shop that owes it and the shop's own reference.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct OrderRef {
    /// The shop's key in the configuration.
    pub shop: ShopId,
    /// The shop's own order number or cart id.
    pub reference: Reference,
}

impl fmt::Display for OrderRef {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.shop, self.reference)
    }
}

/// A checkout and the shop that it belongs to: whoever knows both need not look in other shops.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct CheckoutRef {
    /// The shop's key in the configuration.
    pub shop: ShopId,
    /// Ours.
    pub id: CheckoutId,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn references_are_one_to_128_printable_characters() {
        assert!(Reference::parse("1000042").is_ok());
        assert!(Reference::parse("Bestelling 12/é").is_ok());
        assert!(Reference::parse(&"é".repeat(128)).is_ok());
        assert_eq!(Reference::parse(&"é".repeat(129)), Err(BadName::TooLong));
        assert_eq!(Reference::parse(""), Err(BadName::Empty));
        for bad in [
            "a\0b",
            "a\nb",
            " a",
            "a ",
            "a\u{202e}b",
            "a\u{200b}b",
            "\u{feff}a",
            "a\u{a0}b",
        ] {
            assert_eq!(Reference::parse(bad), Err(BadName::BadCharacter), "{bad:?}");
        }
    }

    #[test]
    fn a_psp_id_cannot_leave_its_place_in_a_url() {
        assert!(ExternalRef::parse("pi_3QxMadeUp000001").is_ok());
        for bad in ["pi/..", "pi?x", "pi#", "pi%2f", "pi 1", "pi\u{e9}"] {
            assert_eq!(
                ExternalRef::parse(bad),
                Err(BadName::BadCharacter),
                "{bad:?}"
            );
        }
    }

    #[test]
    fn a_payment_reads_back_from_its_text() {
        let payment = PaymentRef::parse("stripe_nl", "pi_1").unwrap();
        assert_eq!(PaymentRef::try_from(payment.to_string()), Ok(payment));
        assert!(PaymentRef::try_from("nothing".to_owned()).is_err());
    }
}
