//! Strict reading of JSON from PSPs: objects only where objects belong, no key twice, no guessing.
//!
//! Knows no PSP. Faults name fields and positions and never repeat what was sent, because they
//! end up in logs and on screens.

use crate::wire::Unreadable;
use serde::de::value::MapAccessDeserializer;
use serde::de::{Error, IgnoredAny, MapAccess, Visitor};
use serde::{Deserialize, Deserializer};
use serde_json::error::Category;
use serde_json::value::RawValue;
use std::borrow::Cow;
use std::collections::BTreeMap;
use std::fmt;
use std::marker::PhantomData;

/// Fields of a PSP's object: room for so many is made at once.
const NAMES_EXPECTED: usize = 32;

/// A value that was written as a JSON object. A derived structure alone would also take an
/// array, position by position.
pub(crate) struct Strict<T>(pub(crate) T);

/// The fields of a JSON object, unread, none of them twice.
pub(crate) struct Fields<'a>(pub(crate) BTreeMap<Cow<'a, str>, &'a RawValue>);

/// A field's name, copied only where it was written with escapes.
#[derive(Deserialize)]
#[serde(transparent)]
struct Name<'a>(#[serde(borrow)] Cow<'a, str>);

/// Why a text was not taken.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Fault {
    /// A stable word: `not_json`, `missing_field`, `duplicate_field` or `wrong_shape`.
    pub(crate) code: &'static str,
    /// For people: our own field names and positions only.
    pub(crate) detail: String,
}

/// Reads a JSON object, from its first byte to its last.
pub(crate) fn object<'a, T: Deserialize<'a>>(bytes: &'a [u8]) -> Result<T, Fault> {
    let read: Result<Strict<T>, _> = serde_json::from_slice(bytes);
    read.map(|strict| strict.0).map_err(|error| fault(&error))
}

/// Reads a JSON object that was kept unread so far; that it is text was seen then.
pub(crate) fn nested<'a, T: Deserialize<'a>>(raw: &'a RawValue) -> Result<T, Fault> {
    let read: Result<Strict<T>, _> = serde_json::from_str(raw.get());
    read.map(|strict| strict.0).map_err(|error| fault(&error))
}

/// The text at a dotted path inside an object: a string's content, a number as it was written;
/// nothing for all else. A key that holds dots itself is found too.
pub(crate) fn text_at(raw: &RawValue, path: &str) -> Result<Option<String>, Fault> {
    if !raw.get().starts_with('{') {
        return Ok(None);
    }
    let head = path.split_once('.').map(|(head, _)| head);
    let read: Result<OnPath<'_>, _> = Seek { path, head }.read(raw.get());
    let found = read.map_err(|error| fault(&error))?;
    if let Some(value) = found.whole {
        return Ok(text(value));
    }
    match (found.first, path.split_once('.')) {
        (Some(value), Some((_, rest))) => text_at(value, rest),
        (_, _) => Ok(None),
    }
}

fn text(value: &RawValue) -> Option<String> {
    let written = value.get();
    if written.starts_with('"') {
        serde_json::from_str(written).ok()
    } else if written.starts_with(|c: char| c == '-' || c.is_ascii_digit()) {
        Some(written.to_owned())
    } else {
        None
    }
}

fn fault(error: &serde_json::Error) -> Fault {
    let place = format!("line {}, column {}", error.line(), error.column());
    let (code, what) = match error.classify() {
        Category::Io | Category::Syntax | Category::Eof => ("not_json", "not JSON".to_owned()),
        Category::Data => {
            // The only two messages that hold nothing but our own field names.
            let message = error.to_string();
            let named = message.split(" at line ").next().unwrap_or_default();
            if named.starts_with("missing field") {
                ("missing_field", named.to_owned())
            } else if named.starts_with("duplicate field") {
                ("duplicate_field", named.to_owned())
            } else {
                ("wrong_shape", "a value of the wrong kind".to_owned())
            }
        }
    };
    Fault {
        code,
        detail: format!("{what} at {place}"),
    }
}

impl From<Fault> for Unreadable {
    fn from(fault: Fault) -> Unreadable {
        Unreadable {
            code: fault.code,
            detail: fault.detail,
        }
    }
}

struct ObjectOnly<T>(PhantomData<T>);

impl<'de, T: Deserialize<'de>> Visitor<'de> for ObjectOnly<T> {
    type Value = Strict<T>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object")
    }

    fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<Strict<T>, A::Error> {
        T::deserialize(MapAccessDeserializer::new(map)).map(Strict)
    }
}

impl<'de, T: Deserialize<'de>> Deserialize<'de> for Strict<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_map(ObjectOnly(PhantomData))
    }
}

struct EveryField;

impl<'de> Visitor<'de> for EveryField {
    type Value = Fields<'de>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Fields<'de>, A::Error> {
        let mut fields = BTreeMap::new();
        while let Some((Name(name), value)) = map.next_entry::<Name<'de>, &RawValue>()? {
            if fields.insert(name, value).is_some() {
                return Err(A::Error::custom("duplicate field"));
            }
        }
        Ok(Fields(fields))
    }
}

impl<'de> Deserialize<'de> for Fields<'de> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_map(EveryField)
    }
}

/// Looks for two keys of an object, and that no key stands twice.
struct Seek<'p> {
    path: &'p str,
    head: Option<&'p str>,
}

/// What stands under the whole path as a key, and under its first part.
#[derive(Default)]
struct OnPath<'a> {
    whole: Option<&'a RawValue>,
    first: Option<&'a RawValue>,
}

impl Seek<'_> {
    fn read<'a>(self, text: &'a str) -> serde_json::Result<OnPath<'a>> {
        let mut reader = serde_json::Deserializer::from_str(text);
        let found = reader.deserialize_map(self)?;
        reader.end().map(|()| found)
    }
}

impl<'de> Visitor<'de> for Seek<'_> {
    type Value = OnPath<'de>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<OnPath<'de>, A::Error> {
        let mut found = OnPath::default();
        let mut names = Vec::with_capacity(NAMES_EXPECTED);
        while let Some(Name(name)) = map.next_key::<Name<'de>>()? {
            if name == self.path {
                found.whole = Some(map.next_value()?);
            } else if Some(&*name) == self.head {
                found.first = Some(map.next_value()?);
            } else {
                map.next_value::<IgnoredAny>()?;
            }
            names.push(name);
        }
        names.sort_unstable();
        if names.windows(2).any(|pair| pair.first() == pair.last()) {
            return Err(A::Error::custom("duplicate field"));
        }
        Ok(found)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Debug, Deserialize)]
    struct Pair {
        a: i64,
        b: String,
    }

    fn code(text: &str) -> &'static str {
        object::<Pair>(text.as_bytes()).unwrap_err().code
    }

    fn at(text: &str, path: &str) -> Result<Option<String>, &'static str> {
        let raw: &RawValue = serde_json::from_str(text).unwrap();
        text_at(raw, path).map_err(|fault| fault.code)
    }

    #[test]
    fn only_one_whole_object_is_an_object() {
        let pair: Pair = object(br#" {"b":"x","a":1,"c":[[]]} "#).unwrap();
        assert_eq!((pair.a, pair.b.as_str()), (1, "x"));
        assert_eq!(code(r#"[1,"x"]"#), "wrong_shape");
        assert_eq!(code("null"), "wrong_shape");
        assert_eq!(code(""), "not_json");
        assert_eq!(code(r#"{"a":1,"b":"x"} {}"#), "not_json");
        assert_eq!(code("\u{feff}{\"a\":1,\"b\":\"x\"}"), "not_json");
        assert_eq!(code(r#"{"a":1}"#), "missing_field");
        assert_eq!(code(r#"{"a":1,"a":1,"b":"x"}"#), "duplicate_field");
        assert_eq!(code(r#"{"a":9223372036854775808,"b":"x"}"#), "wrong_shape");
        assert_eq!(code(r#"{"a":1.0,"b":"x"}"#), "wrong_shape");
    }

    #[test]
    fn a_fault_never_repeats_what_was_sent() {
        for text in [
            r#"{"a":"hunter2","b":"x"}"#,
            r#"{"a":1,"b":{"hunter2":1}}"#,
            r#"{"a":1,"b":hunter2}"#,
            r#"["hunter2"]"#,
        ] {
            let detail = object::<Pair>(text.as_bytes()).unwrap_err().detail;
            assert!(!detail.contains("hunter2"), "{detail}");
        }
    }

    #[test]
    fn a_path_finds_strings_and_numbers_and_nothing_else() {
        let text = r#"{"m":{"id":"W\u002d1","n":20417,"d.e":"dotted","t":true,"z":null,"l":["x"]},"d":"free"}"#;
        assert_eq!(at(text, "m.id"), Ok(Some("W-1".to_owned())));
        assert_eq!(at(text, "m.n"), Ok(Some("20417".to_owned())));
        assert_eq!(at(text, "m.d.e"), Ok(Some("dotted".to_owned())));
        assert_eq!(at(text, "d"), Ok(Some("free".to_owned())));
        for path in [
            "m", "m.t", "m.z", "m.l", "m.l.0", "m.x", "x.y", "d.x", "", ".",
        ] {
            assert_eq!(at(text, path), Ok(None), "{path:?}");
        }
    }

    #[test]
    fn a_key_that_stands_twice_on_the_path_is_refused() {
        let text = r#"{"m":{"id":"1","id":"2"}}"#;
        assert_eq!(at(text, "m.id"), Err("duplicate_field"));
    }
}
