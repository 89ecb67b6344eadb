//! The parts that events, calls and answers are made of: objects, money, payments, times.
//!
//! Everything that arrives passes through here once and leaves as a value of the core or as a
//! stable word for what was wrong. Words name fields and never show content.

use crate::core::ids::{PaymentRef, is_printable};
use crate::core::money::{Currency, Money};
use crate::core::order::{OrderStatus, Terms};
use crate::core::time::{Span, Time};
use jiff::Timestamp;
use serde::de::value::MapAccessDeserializer;
use serde::de::{Deserialize, DeserializeOwned, Deserializer, MapAccess, Visitor};
use std::collections::BTreeSet;
use std::fmt;
use std::marker::PhantomData;

/// Most payments one message may name for an order; a customer who tries again makes a few.
pub(super) const PAYMENTS_MAX: usize = 16;
/// Longest reason kept, in characters: a line on the status page.
const REASON_CHARS_MAX: usize = 200;
/// Longest written time, in bytes; nanoseconds with an offset take 35.
const TIME_BYTES_MAX: usize = 40;
/// The longest a shop may put us off in one answer.
pub(super) const WAIT_MAX: Span = Span::from_hours(24);

/// What is wrong with a message: a stable word.
pub(super) type Fault = &'static str;

/// A JSON object as `T`. A derived struct alone also takes an array, by position; this does not.
pub(super) struct Object<T>(pub(super) T);

impl<'de, T: Deserialize<'de>> Deserialize<'de> for Object<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct OnlyMaps<T>(PhantomData<T>);
        impl<'de, T: Deserialize<'de>> Visitor<'de> for OnlyMaps<T> {
            type Value = Object<T>;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an object")
            }
            fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<Object<T>, A::Error> {
                T::deserialize(MapAccessDeserializer::new(map)).map(Object)
            }
        }
        deserializer.deserialize_map(OnlyMaps(PhantomData))
    }
}

/// Reads one whole JSON object.
pub(super) fn object<T: DeserializeOwned>(body: &[u8]) -> Result<T, (Fault, serde_json::Error)> {
    match serde_json::from_slice::<Object<T>>(body) {
        Ok(Object(value)) => Ok(value),
        Err(error) if error.is_data() => Err(("bad_shape", error)),
        Err(error) => Err(("not_json", error)),
    }
}

/// An amount as written.
#[derive(serde::Deserialize)]
pub(super) struct WrittenAmount {
    value: String,
    currency: String,
}

/// A payment as written.
#[derive(serde::Deserialize)]
pub(super) struct WrittenPayment {
    account: String,
    id: String,
}

/// An amount that an order can have: exact, and not below zero.
pub(super) fn amount(written: &Object<WrittenAmount>) -> Result<Money, Fault> {
    let currency = Currency::parse(&written.0.currency).map_err(|_| "bad_amount")?;
    let money = Money::parse(&written.0.value, currency).map_err(|_| "bad_amount")?;
    if money.minor() < 0 {
        return Err("bad_amount");
    }
    Ok(money)
}

/// What a message says of an order's money beyond what is owed.
pub(super) fn terms(
    paid_otherwise: Option<&Object<WrittenAmount>>,
    give_back: Option<&Object<WrittenAmount>>,
) -> Result<Terms, Fault> {
    Ok(Terms {
        paid_otherwise: paid_otherwise.map(amount).transpose()?,
        give_back: give_back.map(amount).transpose()?,
    })
}

/// The payments that a message names.
pub(super) fn payments(written: &[Object<WrittenPayment>]) -> Result<BTreeSet<PaymentRef>, Fault> {
    if written.len() > PAYMENTS_MAX {
        return Err("too_many_payments");
    }
    written
        .iter()
        .map(|Object(one)| PaymentRef::parse(&one.account, &one.id).map_err(|_| "bad_payment"))
        .collect()
}

/// How an order stands, in one of the four agreed words.
pub(super) fn status(word: &str) -> Result<OrderStatus, Fault> {
    match word {
        "pending" => Ok(OrderStatus::Pending),
        "confirmed" => Ok(OrderStatus::Confirmed),
        "cancelled" => Ok(OrderStatus::Cancelled),
        "unknown" => Ok(OrderStatus::Unknown),
        _ => Err("unknown_status"),
    }
}

/// An RFC 3339 moment, to the microsecond; any offset is taken, since it names the same moment.
pub(super) fn time(text: &str) -> Result<Time, Fault> {
    let is_plain = text.len() <= TIME_BYTES_MAX && !text.contains('[');
    let moment: Option<Timestamp> = text.parse().ok().filter(|_| is_plain);
    let moment = moment.ok_or("bad_time")?;
    Ok(Time::from_micros(moment.as_microsecond()))
}

/// The moment as RFC 3339 in UTC. A moment past the calendar is written as its last one.
pub(super) fn written_time(time: Time) -> String {
    let edge = if time.micros() < 0 {
        Timestamp::MIN
    } else {
        Timestamp::MAX
    };
    Timestamp::from_microsecond(time.micros())
        .unwrap_or(edge)
        .to_string()
}

/// A duration such as `90s`, `15m`, `72h` or `3d`, at most `WAIT_MAX`.
pub(super) fn wait(text: &str) -> Result<Span, Fault> {
    let fault = "bad_retry_after";
    let unit = text.chars().next_back().ok_or(fault)?;
    let digits = text.strip_suffix(unit).ok_or(fault)?;
    let of: fn(u64) -> Span = match unit {
        's' => Span::from_seconds,
        'm' => Span::from_minutes,
        'h' => Span::from_hours,
        'd' => Span::from_days,
        _ => return Err(fault),
    };
    let is_number = digits.bytes().all(|byte| byte.is_ascii_digit());
    let number: u64 = digits.parse().map_err(|_| fault)?;
    if is_number {
        Ok(of(number).min(WAIT_MAX))
    } else {
        Err(fault)
    }
}

/// A text for people: unprintable characters become spaces, and the end is cut off. It decides
/// nothing, so a line break in it is no reason to refuse the message.
pub(super) fn reason(text: &str) -> String {
    let printable = |c: char| if is_printable(c) { c } else { ' ' };
    text.trim()
        .chars()
        .take(REASON_CHARS_MAX)
        .map(printable)
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Debug, serde::Deserialize)]
    struct Pair {
        a: u8,
        b: Option<String>,
    }

    #[test]
    fn only_one_whole_object_is_an_object() {
        for (text, expected) in [
            (r#"{"a": 1}"#, Ok(1)),
            (r#" {"b": "x", "a": 2, "c": [{}]} "#, Ok(2)),
            (r#"[1, "x"]"#, Err("bad_shape")),
            (r#"{"a": 1, "a": 1}"#, Err("bad_shape")),
            (r#"{"a": "1"}"#, Err("bad_shape")),
            (r#"{"A": 1}"#, Err("bad_shape")),
            ("null", Err("bad_shape")),
            (r#""x""#, Err("bad_shape")),
            ("", Err("not_json")),
            (r#"{"a": 1"#, Err("not_json")),
            (r#"{"a": 1}{"a": 1}"#, Err("not_json")),
            (r#"{"a": 1} x"#, Err("not_json")),
            ("\u{feff}{\"a\": 1}", Err("not_json")),
            (r#"{"a": 1, "b": "\ud800"}"#, Err("not_json")),
        ] {
            let found = object::<Pair>(text.as_bytes());
            assert_eq!(
                found.map(|pair| pair.a).map_err(|(fault, _)| fault),
                expected,
                "{text}"
            );
        }
        let invalid_utf8 = b"{\"a\": 1, \"b\": \"\xff\"}";
        assert!(object::<Pair>(invalid_utf8).is_err());
        assert_eq!(
            object::<Pair>(br#"{"a":1,"b":"x"}"#).unwrap().b.unwrap(),
            "x"
        );
    }

    #[test]
    fn an_object_within_an_object_must_be_one_too() {
        #[derive(serde::Deserialize)]
        struct Outer {
            amount: Object<WrittenAmount>,
        }
        let good = br#"{"amount": {"value": "1.00", "currency": "EUR"}}"#;
        let outer = object::<Outer>(good).ok().unwrap();
        assert_eq!(amount(&outer.amount), Ok(Money::new(100, Currency::EUR)));
        assert!(object::<Outer>(br#"{"amount": ["1.00", "EUR"]}"#).is_err());
    }

    #[test]
    fn a_time_is_read_to_the_microsecond_and_written_in_utc() {
        for (text, micros) in [
            ("1970-01-01T00:00:01Z", 1_000_000),
            ("1970-01-01T00:00:00.000001Z", 1),
            ("1970-01-01T01:00:00+01:00", 0),
        ] {
            assert_eq!(time(text), Ok(Time::from_micros(micros)), "{text}");
        }
        for text in [
            "",
            "1970-01-01",
            "1970-01-01T00:00:00",
            "1970-13-01T00:00:00Z",
            "1970-01-01T01:00:00+01:00[Europe/Amsterdam]",
            "1970-01-01T00:00:00.000000000000000000000000000Z",
            "now",
            "0",
        ] {
            assert_eq!(time(text), Err("bad_time"), "{text}");
        }
        assert_eq!(
            written_time(Time::from_seconds(1_763_719_200)),
            "2025-11-21T10:00:00Z"
        );
        assert_eq!(
            time(&written_time(Time::from_micros(-7))),
            Ok(Time::from_micros(-7))
        );
        assert!(written_time(Time::from_micros(i64::MAX)).starts_with("9999-12-3"));
        assert!(written_time(Time::from_micros(i64::MIN)).starts_with("-009999-01-0"));
    }

    #[test]
    fn a_wait_is_a_number_and_a_unit_and_has_an_upper_end() {
        for (text, expected) in [
            ("0s", Ok(Span::ZERO)),
            ("60s", Ok(Span::from_seconds(60))),
            ("15m", Ok(Span::from_minutes(15))),
            ("2h", Ok(Span::from_hours(2))),
            ("3d", Ok(WAIT_MAX)),
            ("18446744073709551615d", Ok(WAIT_MAX)),
            ("18446744073709551616s", Err("bad_retry_after")),
            ("", Err("bad_retry_after")),
            ("s", Err("bad_retry_after")),
            ("60", Err("bad_retry_after")),
            ("+6s", Err("bad_retry_after")),
            ("-6s", Err("bad_retry_after")),
            ("6 s", Err("bad_retry_after")),
            ("1.5h", Err("bad_retry_after")),
            ("6é", Err("bad_retry_after")),
        ] {
            assert_eq!(wait(text), expected, "{text}");
        }
    }

    #[test]
    fn a_reason_is_one_printable_line_of_bounded_length() {
        assert_eq!(reason(" out of\nstock\u{202e}\0 "), "out of stock  ");
        assert_eq!(reason(&"é".repeat(500)).chars().count(), REASON_CHARS_MAX);
    }
}
