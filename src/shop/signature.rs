//! Standard Webhooks, both ways: checks what a shop signed and signs what we send to it.
//!
//! Source: the Standard Webhooks specification (symmetric scheme `v1`, HMAC-SHA256 over
//! `{id}.{timestamp}.{raw body}`). Knows no event and no order; looks at bytes only.

use crate::core::time::Time;
use crate::wire::{Headers, Rejection, Verification};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use hmac::{Hmac, KeyInit, Mac};
use secrecy::{ExposeSecret, SecretString};
use sha2::{Digest, Sha256};
use std::fmt;
use subtle::{Choice, ConstantTimeEq};

/// What every symmetric secret begins with.
const PREFIX: &str = "whsec_";
/// Bytes a key has, by the specification.
const KEY_BYTES: std::ops::RangeInclusive<usize> = 24..=64;
/// How far the sender's clock may be from ours, in seconds, either way.
const TOLERANCE_S: u64 = 300;
/// Longest `webhook-id` taken, in bytes; ids are uuids or short names in practice.
const ID_BYTES_MAX: usize = 256;
/// Most signatures looked at in one header; a rotation needs two.
const SIGNATURES_MAX: usize = 16;
/// Longest timestamp, in digits: those of the greatest 64-bit number.
const TIMESTAMP_DIGITS_MAX: usize = 19;

/// Why a secret cannot sign or verify. Never holds any part of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum BadSecret {
    /// Does not begin with `whsec_`.
    #[error("a webhook secret begins with whsec_")]
    NoPrefix,
    /// The rest is not standard, padded base64.
    #[error("the part after whsec_ is not standard base64")]
    NotBase64,
    /// The key has fewer than 24 or more than 64 bytes.
    #[error("the part after whsec_ must be 24 to 64 bytes in base64")]
    WrongLength,
}

impl BadSecret {
    /// A stable snake_case word.
    pub fn code(self) -> &'static str {
        match self {
            BadSecret::NoPrefix => "secret_without_prefix",
            BadSecret::NotBase64 => "secret_not_base64",
            BadSecret::WrongLength => "secret_wrong_length",
        }
    }
}

/// One secret, ready for use.
#[derive(Clone)]
struct Key {
    mac: Hmac<Sha256>,
    /// SHA-256 of the whole text, so that the text itself need not be kept.
    text_hash: [u8; 32],
}

impl Key {
    fn parse(secret: &SecretString) -> Result<Key, BadSecret> {
        let text = secret.expose_secret();
        let encoded = text.strip_prefix(PREFIX).ok_or(BadSecret::NoPrefix)?;
        let bytes = STANDARD.decode(encoded).map_err(|_| BadSecret::NotBase64)?;
        if !KEY_BYTES.contains(&bytes.len()) {
            return Err(BadSecret::WrongLength);
        }
        let mac = Hmac::new_from_slice(&bytes).map_err(|_| BadSecret::WrongLength)?;
        Ok(Key {
            mac,
            text_hash: Sha256::digest(text).into(),
        })
    }

    fn over(&self, id: &str, timestamp: &str, body: &[u8]) -> Hmac<Sha256> {
        let mut mac = self.mac.clone();
        for part in [id.as_bytes(), b".", timestamp.as_bytes(), b".", body] {
            mac.update(part);
        }
        mac
    }
}

/// The live secrets of one counterpart: the current one, and the previous one while it is being
/// rotated out.
#[derive(Clone)]
pub struct Keys {
    current: Key,
    previous: Option<Key>,
}

impl fmt::Debug for Keys {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} webhook secret(s)", self.all().count())
    }
}

impl Keys {
    /// Reads `whsec_…` texts.
    pub fn parse(
        current: &SecretString,
        previous: Option<&SecretString>,
    ) -> Result<Keys, BadSecret> {
        Ok(Keys {
            current: Key::parse(current)?,
            previous: previous.map(Key::parse).transpose()?,
        })
    }

    fn all(&self) -> impl Iterator<Item = &Key> {
        std::iter::once(&self.current).chain(self.previous.iter())
    }

    /// Checks a delivery: the MAC first, over the raw bytes and against every secret, and only
    /// then the age, so that a wrong clock is only said of a sender that holds a secret.
    pub fn verify(&self, headers: &Headers, body: &[u8], now: Time) -> Verification {
        match self.check(headers, body, now) {
            Ok(id) => Verification::Signed {
                delivery_id: Some(id.to_owned()),
            },
            Err(rejection) => Verification::Rejected(rejection),
        }
    }

    fn check<'a>(
        &self,
        headers: &'a Headers,
        body: &[u8],
        now: Time,
    ) -> Result<&'a str, Rejection> {
        let signed = Signed::read(headers)?;
        let mut matches = Choice::from(0);
        for key in self.all() {
            let mac = key.over(signed.id, signed.timestamp, body);
            for tag in &signed.tags {
                let is_equal = mac.clone().verify_slice(tag).is_ok();
                matches |= Choice::from(u8::from(is_equal));
            }
        }
        if !bool::from(matches) {
            return Err(Rejection::WrongSecret);
        }
        let seconds = now.seconds().saturating_sub(signed.seconds);
        if seconds.unsigned_abs() > TOLERANCE_S {
            return Err(Rejection::ClockOff { seconds });
        }
        Ok(signed.id)
    }

    /// The header fields for a body of ours. Signs with the current secret, and with the
    /// previous one too while there is one: the shop may not have learned the new one yet.
    pub fn sign(&self, id: &str, now: Time, body: &[u8]) -> Headers {
        let timestamp = now.seconds().max(0).to_string();
        let signatures: Vec<String> = self
            .all()
            .map(|key| {
                let tag = key.over(id, &timestamp, body).finalize().into_bytes();
                format!("v1,{}", STANDARD.encode(tag))
            })
            .collect();
        Headers::new()
            .with("webhook-id", id)
            .with("webhook-timestamp", &timestamp)
            .with("webhook-signature", &signatures.join(" "))
    }

    /// True when the text is one of the live secrets. Compares hashes, in constant time, so
    /// that not even the length can be felt.
    pub fn are_known_to_bearer(&self, text: &str) -> bool {
        let given: [u8; 32] = Sha256::digest(text).into();
        let known = self.all().fold(Choice::from(0), |any, key| {
            any | key.text_hash.ct_eq(&given)
        });
        known.into()
    }
}

/// The header fields of a delivery, each in its scheme's shape, nothing checked.
struct Signed<'a> {
    id: &'a str,
    timestamp: &'a str,
    seconds: i64,
    tags: Vec<Vec<u8>>,
}

impl<'a> Signed<'a> {
    fn read(headers: &'a Headers) -> Result<Signed<'a>, Rejection> {
        let signatures = field(headers, "webhook-signature")?;
        let id = field(headers, "webhook-id")?;
        let timestamp = field(headers, "webhook-timestamp")?;
        if !is_id(id) || !is_timestamp(timestamp) {
            return Err(Rejection::MalformedSignature);
        }
        let seconds = timestamp
            .parse()
            .map_err(|_| Rejection::MalformedSignature)?;
        let tags: Vec<Vec<u8>> = signatures
            .split(' ')
            .take(SIGNATURES_MAX)
            .filter_map(|one| STANDARD.decode(one.strip_prefix("v1,")?).ok())
            .collect();
        if tags.is_empty() {
            return Err(Rejection::MalformedSignature);
        }
        Ok(Signed {
            id,
            timestamp,
            seconds,
            tags,
        })
    }
}

/// The one value of a field. Absent, repeated and unreadable are told apart, because the first
/// says that nobody signed and the others that somebody signed badly.
fn field<'a>(headers: &'a Headers, name: &'a str) -> Result<&'a str, Rejection> {
    if headers.all(name).next().is_none() {
        return Err(Rejection::MissingSignature);
    }
    headers.single(name).ok_or(Rejection::MalformedSignature)
}

/// An id without `.`, which is what separates it from the timestamp in the signed text.
fn is_id(text: &str) -> bool {
    let fits = |byte: u8| byte.is_ascii_graphic() && byte != b'.';
    (1..=ID_BYTES_MAX).contains(&text.len()) && text.bytes().all(fits)
}

fn is_timestamp(text: &str) -> bool {
    (1..=TIMESTAMP_DIGITS_MAX).contains(&text.len())
        && text.bytes().all(|byte| byte.is_ascii_digit())
}

#[cfg(test)]
mod tests;
