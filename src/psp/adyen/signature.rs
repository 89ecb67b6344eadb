//! Whether a notice is Adyen's: an HMAC-SHA256 over eight fields of each item, base64, keyed with
//! the 32 bytes that the webhook's hexadecimal key stands for; and HTTP basic authentication.
//!
//! Source: Adyen's node, PHP and Python libraries. There is no moment in the signature, so an old
//! item stays valid for ever; what is made of it must be the same whenever it comes. Knows no
//! meaning of any field.

use super::item::{Item, Notice};
use crate::psp::Rejection;
use crate::wire::Headers;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use hmac::{Hmac, KeyInit, Mac};
use secrecy::{ExposeSecret, SecretString};
use sha2::{Digest, Sha256};
use subtle::ConstantTimeEq;

/// Bytes of a key, and of a signature.
const BYTES: usize = 32;

/// What the webhook's own user and password are, when they are configured.
pub(super) struct Login {
    pub(super) user: String,
    pub(super) password: SecretString,
}

/// The 32 bytes of a hexadecimal key; none for anything else.
pub(super) fn key(secret: &SecretString) -> Option<Vec<u8>> {
    let bytes = hex::decode(secret.expose_secret().trim()).ok()?;
    (bytes.len() == BYTES).then_some(bytes)
}

/// Looks at the user and password of a delivery, in constant time.
pub(super) fn check_login(headers: &Headers, login: &Login) -> Result<(), Rejection> {
    if headers.all("authorization").next().is_none() {
        return Err(Rejection::MissingSignature);
    }
    let shown = headers
        .single("authorization")
        .and_then(|text| text.split_once(' '))
        .filter(|(scheme, _)| scheme.eq_ignore_ascii_case("basic"))
        .and_then(|(_, text)| STANDARD.decode(text.trim()).ok())
        .ok_or(Rejection::MalformedSignature)?;
    let known = format!("{}:{}", login.user, login.password.expose_secret());
    // Hashed, so that lengths take no time of their own.
    let shown = Sha256::digest(&shown);
    let known = Sha256::digest(known.as_bytes());
    if bool::from(shown.ct_eq(&known)) {
        Ok(())
    } else {
        Err(Rejection::WrongSecret)
    }
}

/// How the items of a notice are signed, when none of them is signed wrongly.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Signed {
    /// At least one of them is.
    Some,
    /// None of them carries a signature.
    Nothing,
}

/// Accepts when each signature there is matches any key.
pub(super) fn check(notice: &Notice, secrets: &[SecretString]) -> Result<Signed, Rejection> {
    let keys: Vec<Vec<u8>> = secrets.iter().filter_map(key).collect();
    let mut found = Signed::Nothing;
    for item in &notice.items {
        let Some(signature) = &item.signature else {
            continue;
        };
        let decoded = STANDARD.decode(signature).ok();
        let decoded = decoded.filter(|bytes| bytes.len() == BYTES);
        let decoded = decoded.ok_or(Rejection::MalformedSignature)?;
        if !item.is_unambiguous() {
            return Err(Rejection::MalformedSignature);
        }
        if !keys.iter().any(|key| matches(key, item, &decoded)) {
            return Err(Rejection::WrongSecret);
        }
        found = Signed::Some;
    }
    Ok(found)
}

fn matches(key: &[u8], item: &Item, signature: &[u8]) -> bool {
    let Ok(mut mac) = Hmac::<Sha256>::new_from_slice(key) else {
        return false;
    };
    mac.update(item.signed_text().as_bytes());
    mac.verify_slice(signature).is_ok()
}
