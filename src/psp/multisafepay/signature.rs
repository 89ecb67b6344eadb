//! The `Auth` header: base64 of `<unix seconds>:<128 lower-case hex>`.
//!
//! HMAC-SHA512 over the same decimal timestamp, a colon and the raw body, keyed with the API key
//! (surrounding blanks trimmed). Source: MultiSafepay's php-sdk, `src/Util/Notification.php`.
//! That one accepts timestamps of the future; here they are bounded both ways. The timestamp is
//! judged only after the MAC, so that strangers learn nothing about our clock.

use crate::core::time::Time;
use crate::psp::Rejection;
use crate::wire::Headers;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use hmac::{Hmac, KeyInit, Mac};
use secrecy::{ExposeSecret, SecretString};
use sha2::Sha512;

/// The header's name, in lower case.
pub(super) const HEADER: &str = "auth";
/// How far the sender's clock may be from ours, either way: the SDK's default, in seconds. Every
/// resend is signed anew.
pub(super) const TOLERANCE_SECONDS: u64 = 600;
/// Longest header looked at, in bytes; a genuine one has 188.
const HEADER_BYTES_MAX: usize = 512;
/// Digits of the hexadecimal signature.
const HEX_DIGITS: usize = 128;

struct Parsed {
    t: String,
    seconds: i64,
    signature: Vec<u8>,
}

/// Accepts when the signature matches any key and the sender's clock is near ours.
pub(super) fn check<'a>(
    headers: &Headers,
    body: &[u8],
    mut keys: impl Iterator<Item = &'a SecretString>,
    now: Time,
) -> Result<(), Rejection> {
    if headers.all(HEADER).next().is_none() {
        return Err(Rejection::MissingSignature);
    }
    let parsed = headers
        .single(HEADER)
        .and_then(parse)
        .ok_or(Rejection::MalformedSignature)?;
    if !keys.any(|key| matches(key.expose_secret().trim().as_bytes(), &parsed, body)) {
        return Err(Rejection::WrongSecret);
    }
    let seconds = now.seconds().saturating_sub(parsed.seconds);
    if seconds.unsigned_abs() > TOLERANCE_SECONDS {
        return Err(Rejection::ClockOff { seconds });
    }
    Ok(())
}

fn matches(key: &[u8], parsed: &Parsed, body: &[u8]) -> bool {
    // An empty key would be one that everybody has.
    let mac = Hmac::<Sha512>::new_from_slice(key);
    let (false, Ok(mut mac)) = (key.is_empty(), mac) else {
        return false;
    };
    mac.update(parsed.t.as_bytes());
    mac.update(b":");
    mac.update(body);
    mac.verify_slice(&parsed.signature).is_ok()
}

fn parse(value: &str) -> Option<Parsed> {
    if value.len() > HEADER_BYTES_MAX {
        return None;
    }
    let text = String::from_utf8(STANDARD.decode(value.trim()).ok()?).ok()?;
    let (t, signature) = text.split_once(':')?;
    let is_number = !t.is_empty() && t.bytes().all(|byte| byte.is_ascii_digit());
    let is_hex = signature.len() == HEX_DIGITS
        && signature
            .bytes()
            .all(|byte| byte.is_ascii_digit() || matches!(byte, b'a'..=b'f'));
    if !is_number || !is_hex {
        return None;
    }
    Some(Parsed {
        seconds: t.parse().ok()?,
        signature: hex::decode(signature).ok()?,
        t: t.to_owned(),
    })
}
