//! The `Stripe-Signature` header: `t=<unix seconds>,v1=<64 lower-case hex>[,v1=…][,v0=…]`.
//!
//! HMAC-SHA256 over `t`, a full stop and the raw body, keyed with the secret's own text,
//! `whsec_` included. Knows nothing of what the body says. The timestamp is judged only after
//! the MAC, so that nobody without the secret learns anything about our clock.

use crate::core::time::Time;
use crate::psp::Rejection;
use crate::wire::Headers;
use hmac::{Hmac, KeyInit, Mac};
use secrecy::{ExposeSecret, SecretString};
use sha2::Sha256;

/// The header's name, in lower case.
pub(super) const HEADER: &str = "stripe-signature";
/// How far the sender's clock may be from ours, either way: the official libraries' default,
/// in seconds. Every retry is signed anew, so this bounds replays and not deliveries.
pub(super) const TOLERANCE_SECONDS: u64 = 300;
/// Longest header looked at, in bytes; a genuine one with two secrets has about 160.
const HEADER_BYTES_MAX: usize = 4096;
/// Most `v1` signatures tried; Stripe sends one per live secret of the endpoint.
const SIGNATURES_MAX: usize = 16;

struct Parsed<'a> {
    t: &'a str,
    seconds: i64,
    signatures: Vec<Vec<u8>>,
}

/// Accepts when any `v1` matches any secret and the sender's clock is near ours.
pub(super) fn check(
    headers: &Headers,
    body: &[u8],
    secrets: &[SecretString],
    now: Time,
) -> Result<(), Rejection> {
    if headers.all(HEADER).next().is_none() {
        return Err(Rejection::MissingSignature);
    }
    let parsed = headers
        .single(HEADER)
        .and_then(parse)
        .ok_or(Rejection::MalformedSignature)?;
    // An empty secret would make a key that everybody has.
    let mut usable = secrets
        .iter()
        .map(|secret| secret.expose_secret().as_bytes())
        .filter(|secret| !secret.is_empty());
    if !usable.any(|secret| matches_any(secret, &parsed, body)) {
        return Err(Rejection::WrongSecret);
    }
    let seconds = now.seconds().saturating_sub(parsed.seconds);
    if seconds.unsigned_abs() > TOLERANCE_SECONDS {
        return Err(Rejection::ClockOff { seconds });
    }
    Ok(())
}

fn matches_any(secret: &[u8], parsed: &Parsed<'_>, body: &[u8]) -> bool {
    let Ok(mut mac) = Hmac::<Sha256>::new_from_slice(secret) else {
        return false;
    };
    mac.update(parsed.t.as_bytes());
    mac.update(b".");
    mac.update(body);
    let mut signatures = parsed.signatures.iter();
    signatures.any(|signature| mac.clone().verify_slice(signature).is_ok())
}

fn parse(value: &str) -> Option<Parsed<'_>> {
    if value.len() > HEADER_BYTES_MAX {
        return None;
    }
    let mut t = None;
    let mut signatures = Vec::new();
    for element in value.split(',') {
        let (scheme, text) = element.split_once('=').filter(|(_, t)| !t.contains('='))?;
        match scheme {
            "t" if t.is_some() => return None,
            "t" => t = Some((text, unix_seconds(text)?)),
            "v1" => signatures.extend(signature(text)),
            // Older and future schemes: never a way around v1.
            _ => {}
        }
    }
    let (t, seconds) = t?;
    let is_usable = !signatures.is_empty() && signatures.len() <= SIGNATURES_MAX;
    is_usable.then_some(Parsed {
        t,
        seconds,
        signatures,
    })
}

fn unix_seconds(text: &str) -> Option<i64> {
    let digits_only = text.bytes().all(|byte| byte.is_ascii_digit());
    text.parse().ok().filter(|_| digits_only)
}

/// 64 lower-case hexadecimal digits; anything else is no signature.
fn signature(text: &str) -> Option<Vec<u8>> {
    let fits = text.len() == 64
        && text
            .bytes()
            .all(|byte| byte.is_ascii_digit() || matches!(byte, b'a'..=b'f'));
    hex::decode(text).ok().filter(|_| fits)
}
