//! Webhook signatures as the sandbox makes and checks them: those of PSPs and Standard Webhooks'.
//!
//! Written apart from the daemon's own verifiers, so that a mistake in one is not repeated in the
//! other. Both sides are held to published vectors. Knows no clock.

use crate::core::time::Time;
use crate::wire::Headers;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use hmac::{Hmac, KeyInit, Mac};
use sha2::{Sha256, Sha512};

/// How far a sender's clock may be from ours, in seconds, to either side (Standard Webhooks).
pub const TOLERANCE_SECONDS: u64 = 300;

fn hmac_sha256(key: &[u8], parts: &[&[u8]]) -> Vec<u8> {
    // HMAC takes keys of any length; were it not so, an empty signature matches nothing.
    let Ok(mut mac) = Hmac::<Sha256>::new_from_slice(key) else {
        return Vec::new();
    };
    for part in parts {
        mac.update(part);
    }
    mac.finalize().into_bytes().to_vec()
}

/// The value of a `Stripe-Signature` header: HMAC-SHA256 over `t.body`, keyed with the whole
/// secret as it is written.
pub fn stripe_signature(secret: &str, at: Time, body: &[u8]) -> String {
    let seconds = at.seconds().to_string();
    let tag = hmac_sha256(secret.as_bytes(), &[seconds.as_bytes(), b".", body]);
    format!("t={seconds},v1={}", hex::encode(tag))
}

/// The hexadecimal part of an `X-Mollie-Signature` header: HMAC-SHA256 over the body alone.
pub fn mollie_signature(secret: &str, body: &[u8]) -> String {
    hex::encode(hmac_sha256(secret.as_bytes(), &[body]))
}

/// The value of MultiSafepay's `Auth` header: base64 of the moment, a colon and the HMAC-SHA512 over
/// moment, colon and body.
pub fn multisafepay_auth(api_key: &str, at: Time, body: &[u8]) -> String {
    let seconds = at.seconds().to_string();
    let tag = match Hmac::<Sha512>::new_from_slice(api_key.as_bytes()) {
        Ok(mut mac) => {
            for part in [seconds.as_bytes(), b":", body] {
                mac.update(part);
            }
            mac.finalize().into_bytes().to_vec()
        }
        Err(_) => Vec::new(),
    };
    STANDARD.encode(format!("{seconds}:{}", hex::encode(tag)))
}

/// The signature of an item of Adyen's: base64 of the HMAC-SHA256 over its fields, keyed with what the
/// hexadecimal key stands for.
pub fn adyen_signature(key: &str, fields: &str) -> String {
    let key = hex::decode(key).unwrap_or_default();
    STANDARD.encode(hmac_sha256(&key, &[fields.as_bytes()]))
}

/// The value of an `Authorization` header for this user and password.
pub fn basic_login(user: &str, password: &str) -> String {
    format!("Basic {}", STANDARD.encode(format!("{user}:{password}")))
}

/// A secret of Standard Webhooks: `whsec_` and the key in base64.
#[derive(Clone)]
pub struct StandardSecret {
    key: Vec<u8>,
}

impl StandardSecret {
    /// The secret of this key (24 to 64 bytes by the standard).
    pub fn from_key(key: &[u8]) -> StandardSecret {
        StandardSecret { key: key.to_vec() }
    }

    /// As it stands in a configuration file.
    pub fn written(&self) -> String {
        format!("whsec_{}", STANDARD.encode(&self.key))
    }

    /// The value of a `webhook-signature` header.
    pub fn signature(&self, id: &str, at: Time, body: &[u8]) -> String {
        self.signature_over(id, &at.seconds().to_string(), body)
    }

    fn signature_over(&self, id: &str, seconds: &str, body: &[u8]) -> String {
        let dot = b".".as_slice();
        let parts = [id.as_bytes(), dot, seconds.as_bytes(), dot, body];
        format!("v1,{}", STANDARD.encode(hmac_sha256(&self.key, &parts)))
    }

    /// The three headers of a message.
    pub fn headers(&self, id: &str, at: Time, body: &[u8]) -> Headers {
        Headers::new()
            .with("webhook-id", id)
            .with("webhook-timestamp", &at.seconds().to_string())
            .with("webhook-signature", &self.signature(id, at, body))
    }

    /// The message's id, when it is signed with this secret and recent.
    pub fn verify<'a>(&self, headers: &'a Headers, body: &[u8], now: Time) -> Option<&'a str> {
        let id = headers.single("webhook-id")?;
        let written = headers.single("webhook-timestamp")?;
        let seconds: i64 = written.parse().ok()?;
        let is_recent = now.seconds().abs_diff(seconds) <= TOLERANCE_SECONDS;
        let expected = self.signature_over(id, written, body);
        let mut signatures = headers.single("webhook-signature")?.split(' ');
        let is_signed = signatures.any(|signature| signature == expected);
        (is_recent && is_signed).then_some(id)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const T: i64 = 1_700_000_000;

    #[test]
    fn hmac_agrees_with_the_vectors_of_stripes_own_library() {
        for (message, tag) in [
            (
                "",
                "f7f9bd47fb987337b5796fdc1fdb9ba221d0d5396814bfcaf9521f43fd8927fd",
            ),
            (
                r#"{"obj1":"hello","obj2":"world"}"#,
                "bebb1a643997f419b315ddba19e6f5411e1ce7f810ba6d3617ce72823092f363",
            ),
            (
                "\u{1f600}",
                "837da296d05c4fe31f61d5d7ead035099d9585a5bcde87de952012a78f0b0c43",
            ),
        ] {
            let made = hex::encode(hmac_sha256(b"test_secret", &[message.as_bytes()]));
            assert_eq!(made, tag, "{message:?}");
        }
    }

    #[test]
    fn mollies_header_agrees_with_the_vectors() {
        let body = br#"{"id":"tr_12345","event_type":"payment-link.paid"}"#;
        for (secret, tag) in [
            (
                "test_webhook_secret",
                "e479a5e4aaa17db94cfc546071e10e91c0b37f21e464e751ebdd7d7ad2ffd146",
            ),
            (
                "alternate_webhook_secret",
                "d9a3b662172fdc140ac73ce937f49edcb72552dfbb8dfeb1696118a2c18386ef",
            ),
        ] {
            assert_eq!(mollie_signature(secret, body), tag);
        }
    }

    #[test]
    fn stripes_header_agrees_with_the_vectors() {
        let spaced = b"{\n  \"id\": \"evt_test_webhook\",\n  \"object\": \"event\"\n}".as_slice();
        let compact = br#"{"id":"evt_test_webhook","object":"event"}"#.as_slice();
        for (secret, body, tag) in [
            (
                "whsec_test_secret",
                spaced,
                "4f1cd7feda9826e746b7d482c4badebb657398df1099e1046364f6196a230150",
            ),
            (
                "whsec_test_secret",
                compact,
                "d95c6b7477fbd7e9f90b1b0ef5f9c7ac25abca5382460e0d988c2b2a5b71b990",
            ),
            (
                "whsec_test_secret_rolled_key",
                compact,
                "7548122dce5e2b728b67327c07959ace6ce459f5ca13822932dac476fc4e0005",
            ),
        ] {
            assert_eq!(
                stripe_signature(secret, Time::from_seconds(T), body),
                format!("t={T},v1={tag}")
            );
        }
        let stripped = stripe_signature("test_secret", Time::from_seconds(T), spaced);
        assert!(!stripped.contains("4f1cd7fe"), "the prefix is key too");
    }

    fn secret(base64: &str) -> StandardSecret {
        StandardSecret::from_key(&STANDARD.decode(base64).unwrap())
    }

    #[test]
    fn standard_webhooks_agrees_with_the_vectors() {
        for (key, id, seconds, body, signature) in [
            (
                "C2FVsBQIhrscChlQIMV+b5sSYspob7oD",
                "msg_27UH4WbU6Z5A5EzD8u03UvzRbpk",
                1_649_367_553,
                r#"{"email":"test@example.com","username":"test_user"}"#,
                "v1,tZ1I4/hDygAJgO5TYxiSd6Sd0kDW6hPenDe+bTa3Kkw=",
            ),
            (
                "MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw",
                "msg_p5jXN8AQM9LWM0D4loKWxJek",
                1_614_265_330,
                r#"{"test": 2432232314}"#,
                "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=",
            ),
        ] {
            let at = Time::from_seconds(seconds);
            let secret = secret(key);
            assert_eq!(secret.written(), format!("whsec_{key}"));
            assert_eq!(secret.signature(id, at, body.as_bytes()), signature);
            let headers = secret.headers(id, at, body.as_bytes());
            assert_eq!(secret.verify(&headers, body.as_bytes(), at), Some(id));
        }
    }

    #[test]
    fn another_secret_another_body_or_an_old_message_does_not_verify() {
        let ours = StandardSecret::from_key(&[7; 32]);
        let at = Time::from_seconds(T);
        let headers = ours.headers("msg_1", at, b"{}");
        let theirs = StandardSecret::from_key(&[8; 32]);
        assert_eq!(ours.verify(&headers, b"{}", at), Some("msg_1"));
        assert_eq!(theirs.verify(&headers, b"{}", at), None);
        assert_eq!(ours.verify(&headers, b"{ }", at), None);
        for seconds in [T - 301, T + 301] {
            let now = Time::from_seconds(seconds);
            assert_eq!(ours.verify(&headers, b"{}", now), None, "{seconds}");
        }
        let rotated = Headers::new()
            .with("webhook-id", "msg_1")
            .with("webhook-timestamp", &T.to_string())
            .with(
                "webhook-signature",
                &format!(
                    "{} {}",
                    theirs.signature("msg_1", at, b"{}"),
                    ours.signature("msg_1", at, b"{}")
                ),
            );
        assert_eq!(ours.verify(&rotated, b"{}", at), Some("msg_1"));
    }
}
