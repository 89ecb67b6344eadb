//! A merchant's order id as a payment's name, and as a path of the API.
//!
//! Letters, digits, `.`, `_` and `-` stand for themselves; every other byte is written `:XX` in
//! a payment's name, so that any order id has one and no two share one. Knows no endpoint.

use crate::core::ids::ExternalRef;
use crate::psp::Unreadable;

/// Longest order id, in bytes, as MultiSafepay takes it.
const ORDER_ID_BYTES_MAX: usize = 50;

/// The payment's name for an order id; none when it is empty, too long, or holds controls.
pub(super) fn named(order_id: &str) -> Option<ExternalRef> {
    let fits = !order_id.is_empty()
        && order_id.len() <= ORDER_ID_BYTES_MAX
        && !order_id.chars().any(char::is_control);
    if !fits {
        return None;
    }
    ExternalRef::parse(&escaped(order_id.as_bytes(), ':')).ok()
}

/// As `named`, or why not.
pub(super) fn read(order_id: &str) -> Result<ExternalRef, Unreadable> {
    named(order_id).ok_or_else(|| Unreadable {
        code: "bad_order_id",
        detail: format!("an order id that is not 1 to {ORDER_ID_BYTES_MAX} printable bytes"),
    })
}

/// The path segment for a payment: percent-encoded, so that it stays one segment.
pub(super) fn segment(payment: &ExternalRef) -> Option<String> {
    let bytes = original(payment.as_str())?;
    // A lone dot or two would walk up the path, encoded or not.
    (!bytes.iter().all(|byte| *byte == b'.')).then(|| escaped(&bytes, '%'))
}

/// Percent-encodes everything but the unreserved characters, for a query.
pub(super) fn encoded(text: &str) -> String {
    escaped(text.as_bytes(), '%')
}

/// Decodes a value of a query string as browsers write them.
pub(super) fn decoded(text: &str) -> Option<String> {
    let plain = text.replace('+', " ");
    let bytes = unescaped(plain.as_bytes(), b'%')?;
    String::from_utf8(bytes).ok()
}

fn original(name: &str) -> Option<Vec<u8>> {
    unescaped(name.as_bytes(), b':')
}

fn escaped(bytes: &[u8], mark: char) -> String {
    let mut text = String::with_capacity(bytes.len());
    for byte in bytes {
        if byte.is_ascii_alphanumeric() || b"._-".contains(byte) {
            text.push(char::from(*byte));
        } else {
            text.push(mark);
            text.push_str(&format!("{byte:02X}"));
        }
    }
    text
}

fn unescaped(bytes: &[u8], mark: u8) -> Option<Vec<u8>> {
    let mut out = Vec::with_capacity(bytes.len());
    let mut rest = bytes.iter();
    while let Some(byte) = rest.next() {
        if *byte == mark {
            let pair = [*rest.next()?, *rest.next()?];
            out.extend(hex::decode(pair).ok()?);
        } else {
            out.push(*byte);
        }
    }
    Some(out)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn usual_ids_stand_for_themselves_and_the_others_are_written_out() {
        assert_eq!(named("W-20417_a.1").unwrap().as_str(), "W-20417_a.1");
        let odd = named("#1001/é a").unwrap();
        assert_eq!(odd.as_str(), ":231001:2F:C3:A9:20a");
        assert_eq!(segment(&odd).unwrap(), "%231001%2F%C3%A9%20a");
    }

    #[test]
    fn what_cannot_be_an_order_id_has_no_name() {
        for text in ["", "a\nb", "a\0", &"x".repeat(51)] {
            assert_eq!(named(text), None, "{text:?}");
        }
        assert_eq!(read("").unwrap_err().code, "bad_order_id");
    }

    #[test]
    fn a_name_never_walks_up_the_path() {
        for text in [".", "..", "../x", "a/b", "a?b", "a#b"] {
            let segment = named(text).and_then(|name| segment(&name));
            let walks = segment
                .is_some_and(|text| text == "." || text == ".." || text.contains(['/', '?', '#']));
            assert!(!walks, "{text}");
        }
    }

    proptest! {
        #[test]
        fn every_order_id_comes_back_from_its_name(text in "[ -~é€]{1,16}") {
            if let Some(name) = named(&text) {
                prop_assert_eq!(original(name.as_str()).unwrap(), text.as_bytes());
            }
        }

        #[test]
        fn decoding_takes_any_text_without_a_panic(text in ".{0,40}") {
            drop(decoded(&text));
        }
    }
}
