//! The signature of a delivery: RSA with SHA-256 over `id|time|webhook id|crc32 of the body`.
//!
//! The body is covered by its CRC-32 alone, and anybody can write another body with the same one:
//! a delivery that verifies proves that PayPal sent *something* under this transmission id, not
//! that it said this. So nothing a body says is ever taken for true; see `event.rs`. Only
//! `SHA256withRSA` is taken. PayPal names no tolerance for the time and may send for three days,
//! perhaps with the first time; what is older than a week by its own, signed time is refused, so
//! that headers that leaked do not serve for ever. Knows nothing of what the body says.

use super::certificate;
use super::keys::{Keys, Lookup};
use super::objects;
use crate::core::time::{Span, Time};
use crate::psp::{Rejection, Verification};
use crate::wire::Headers;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use crc::{CRC_32_ISO_HDLC, Crc};

/// Oldest transmission taken.
const AGE_MAX: Span = Span::from_days(7);
/// How far PayPal's clock may be ahead of ours.
const AHEAD_MAX: Span = Span::from_hours(1);
/// Longest header field looked at, in bytes; the signature has about 350.
const FIELD_BYTES_MAX: usize = 1024;
/// Longest transmission id, in bytes; a UUID has 36.
const ID_BYTES_MAX: usize = 64;

/// The header fields of the scheme, in lower case.
const FIELDS: [&str; 6] = [
    "paypal-auth-algo",
    "paypal-auth-version",
    "paypal-cert-url",
    "paypal-transmission-id",
    "paypal-transmission-sig",
    "paypal-transmission-time",
];
const ALGORITHM: &str = "SHA256withRSA";

static CRC: Crc<u32> = Crc::<u32>::new(&CRC_32_ISO_HDLC);

/// True for a field of the scheme.
pub(super) fn is_field(name: &str) -> bool {
    FIELDS.contains(&name)
}

struct Seal<'a> {
    id: &'a str,
    time: &'a str,
    at: Time,
    url: &'a str,
    signature: Vec<u8>,
}

/// What the signature covers.
pub(super) fn message(id: &str, time: &str, webhook_id: &str, body: &[u8]) -> String {
    format!("{id}|{time}|{webhook_id}|{}", CRC.checksum(body))
}

/// Checks a delivery for the webhook with this id.
pub(super) fn check(
    headers: &Headers,
    body: &[u8],
    webhook_id: &str,
    is_live: bool,
    keys: &Keys,
    now: Time,
) -> Verification {
    let seal = match read(headers) {
        Ok(seal) => seal,
        Err(rejection) => return Verification::Rejected(rejection),
    };
    let refused = |why| Verification::Rejected(Rejection::KeyRefused { why });
    if !keys.rules().permit(seal.url) {
        return refused("its certificate's address is not PayPal's");
    }
    let chain = match keys.look_up(seal.url, now) {
        Lookup::Known(chain) => chain,
        Lookup::Missing => return Verification::NeedsKey,
        Lookup::Useless(why) => return refused(why),
    };
    let key = match keys.rules().judge(&chain, is_live, now) {
        Ok(key) => key,
        Err(why) => return refused(why),
    };
    let message = message(seal.id, seal.time, webhook_id, body);
    if !certificate::has_signed(&key, message.as_bytes(), &seal.signature) {
        return Verification::Rejected(Rejection::WrongSecret);
    }
    if now > seal.at.plus(AGE_MAX) || seal.at > now.plus(AHEAD_MAX) {
        let seconds = now.seconds().saturating_sub(seal.at.seconds());
        return Verification::Rejected(Rejection::ClockOff { seconds });
    }
    // By the transmission and not by the event that the body names: another body under the same
    // headers is then a conflict, and an event that PayPal sends once more only a second hint.
    Verification::Signed {
        delivery_id: Some(seal.id.to_owned()),
    }
}

fn read(headers: &Headers) -> Result<Seal<'_>, Rejection> {
    if headers.all("paypal-transmission-sig").next().is_none() {
        return Err(Rejection::MissingSignature);
    }
    parse(headers).ok_or(Rejection::MalformedSignature)
}

fn parse(headers: &Headers) -> Option<Seal<'_>> {
    let field = |name| {
        let value = headers.single(name)?;
        (value.len() <= FIELD_BYTES_MAX).then_some(value)
    };
    let fits = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'-';
    let id = field("paypal-transmission-id")
        .filter(|id| !id.is_empty() && id.len() <= ID_BYTES_MAX && id.bytes().all(fits))?;
    let time = field("paypal-transmission-time")?;
    let signature = STANDARD.decode(field("paypal-transmission-sig")?).ok()?;
    let is_ours = field("paypal-auth-algo")? == ALGORITHM;
    is_ours.then_some(Seal {
        id,
        time,
        at: objects::time(time)?,
        url: field("paypal-cert-url")?,
        signature,
    })
}
