//! What PayPal signs with: the test certificate, its key, and the headers of a delivery.
//!
//! The key is published with the fixtures and proves nothing to anybody outside tests and the
//! sandbox. Written apart from the daemon's verifier. Knows no event.

use super::super::dialect::Letter;
use crate::core::time::Time;
use crate::wire::Headers;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use crc::{CRC_32_ISO_HDLC, Crc};
use rustls::SignatureScheme;
use rustls::pki_types::PrivateKeyDer;
use rustls::pki_types::pem::PemObject;
use sha2::{Digest, Sha256};

/// The root of the test certificates.
pub(super) const ROOT: &[u8] =
    include_bytes!("../../../../fixtures/paypal/certificates/test_root.pem");
/// The certificate that deliveries are signed with, and its issuer.
pub(super) const CHAIN: &[u8] =
    include_bytes!("../../../../fixtures/paypal/certificates/sandbox.pem");
/// Its name in an address.
pub(super) const CERTIFICATE: &str = "CERT-of-the-sandbox";
/// Its key, a test key.
const KEY: &[u8] = include_bytes!("../../../../fixtures/paypal/certificates/test_leaf_key.pem");

/// The value of `authorization` that a client signs in with.
pub(super) fn basic(client_id: &str, secret: &str) -> String {
    format!("Basic {}", STANDARD.encode(format!("{client_id}:{secret}")))
}

/// The headers of a delivery that is sent now; `host` is where the certificate lies.
pub(super) fn headers(host: &str, webhook_id: &str, letter: &Letter<'_>, at: Time) -> Headers {
    let transmission = transmission_id(letter.id);
    let time = super::render::time(at.seconds());
    let sum = Crc::<u32>::new(&CRC_32_ISO_HDLC).checksum(letter.body);
    let message = format!("{transmission}|{time}|{webhook_id}|{sum}");
    let signature = signature(message.as_bytes()).unwrap_or_default();
    let url = format!("http://{host}/v1/notifications/certs/{CERTIFICATE}");
    Headers::new()
        .with("paypal-transmission-id", &transmission)
        .with("paypal-transmission-time", &time)
        .with("paypal-transmission-sig", &STANDARD.encode(signature))
        .with("paypal-cert-url", &url)
        .with("paypal-auth-algo", "SHA256withRSA")
        .with("paypal-auth-version", "v2")
}

/// The same for every attempt at one event, in the shape of a UUID.
fn transmission_id(event: &str) -> String {
    let digest = hex::encode(Sha256::digest(event.as_bytes()));
    let part =
        |from: usize, length: usize| -> String { digest.chars().skip(from).take(length).collect() };
    let parts = [
        part(0, 8),
        part(8, 4),
        part(12, 4),
        part(16, 4),
        part(20, 12),
    ];
    parts.join("-")
}

fn signature(message: &[u8]) -> Option<Vec<u8>> {
    let key = PrivateKeyDer::from_pem_slice(KEY).ok()?;
    let key = rustls::crypto::ring::sign::any_supported_type(&key).ok()?;
    let signer = key.choose_scheme(&[SignatureScheme::RSA_PKCS1_SHA256])?;
    signer.sign(message).ok()
}
