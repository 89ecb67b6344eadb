//! The `X-Mollie-Signature` header: the lower-case hexadecimal HMAC-SHA256 of the raw body, with
//! or without `sha256=` before it.
//!
//! The key is the secret's own text. Neither time nor address is signed, so a delivery can be
//! sent again for ever; all it can do is to have a payment read. Knows nothing of the body.

use crate::psp::Rejection;
use crate::wire::Headers;
use hmac::{Hmac, KeyInit, Mac};
use secrecy::{ExposeSecret, SecretString};
use sha2::Sha256;

/// The header's name, in lower case.
pub(super) const HEADER: &str = "x-mollie-signature";
/// Longest header looked at, in bytes; a genuine one has 71.
const HEADER_BYTES_MAX: usize = 2048;
/// Most signatures tried; Mollie sends one, and one more while a secret is replaced.
const SIGNATURES_MAX: usize = 16;

/// None when there is no such header. Accepts when any value matches any secret.
pub(super) fn check(
    headers: &Headers,
    body: &[u8],
    secrets: &[SecretString],
) -> Option<Result<(), Rejection>> {
    headers.all(HEADER).next()?;
    let Some(signatures) = parse(headers) else {
        return Some(Err(Rejection::MalformedSignature));
    };
    // An empty secret would make a key that everybody has.
    let mut usable = secrets
        .iter()
        .map(|secret| secret.expose_secret().as_bytes())
        .filter(|secret| !secret.is_empty());
    let matches = usable.any(|secret| matches_any(secret, &signatures, body));
    Some(matches.then_some(()).ok_or(Rejection::WrongSecret))
}

fn matches_any(secret: &[u8], signatures: &[Vec<u8>], body: &[u8]) -> bool {
    let Ok(mut mac) = Hmac::<Sha256>::new_from_slice(secret) else {
        return false;
    };
    mac.update(body);
    let mut signatures = signatures.iter();
    signatures.any(|signature| mac.clone().verify_slice(signature).is_ok())
}

/// The well-formed signatures of all values; a proxy may have joined several with commas.
fn parse(headers: &Headers) -> Option<Vec<Vec<u8>>> {
    let mut signatures = Vec::new();
    for value in headers.all(HEADER) {
        if value.len() > HEADER_BYTES_MAX {
            return None;
        }
        let text = std::str::from_utf8(value).ok()?;
        signatures.extend(text.split(',').filter_map(signature));
    }
    let is_usable = !signatures.is_empty() && signatures.len() <= SIGNATURES_MAX;
    is_usable.then_some(signatures)
}

/// 64 lower-case hexadecimal digits; anything else is no signature.
fn signature(text: &str) -> Option<Vec<u8>> {
    let text = text.trim_matches([' ', '\t']);
    let text = text.strip_prefix("sha256=").unwrap_or(text);
    let fits = text.len() == 64
        && text
            .bytes()
            .all(|byte| byte.is_ascii_digit() || matches!(byte, b'a'..=b'f'));
    hex::decode(text).ok().filter(|_| fits)
}
