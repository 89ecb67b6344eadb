//! Which certificates speak for PayPal: where they may be fetched, and what they must prove.
//!
//! The address comes from the delivery, so from anybody: only https, a fixed list of hosts, one
//! path. The chain must lead to a trusted root, be valid now, be for servers, and the leaf must
//! bear exactly PayPal's name for signed messages; sandbox and live have different names, which is
//! the mode check. "Now" is the delivery's arrival and not the time it claims to have been sent:
//! that time is only as good as the key, and an expired certificate's key proves nothing any more.
//! Subject names are read from the SAN alone; public authorities have long put the CN there too.

use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, SubjectPublicKeyInfoDer, TrustAnchor, UnixTime};
use std::time::Duration;
use webpki::{EndEntityCert, KeyUsage, RawPublicKeyEntity, anchor_from_trusted_cert, ring};

use crate::core::time::Time;

/// The name of certificates that sign live messages.
pub(super) const LIVE_NAME: &str = "messageverificationcerts.paypal.com";
/// The name of certificates that sign sandbox messages.
pub(super) const SANDBOX_NAME: &str = "messageverificationcerts.sandbox.paypal.com";
/// Where live certificates are kept. Only the sandbox's first host is known from PayPal's own
/// test material; the others follow its API hosts.
pub const LIVE_HOSTS: [&str; 2] = ["api.paypal.com", "api-m.paypal.com"];
/// Where sandbox certificates are kept.
pub const SANDBOX_HOSTS: [&str; 2] = ["api.sandbox.paypal.com", "api-m.sandbox.paypal.com"];
/// What the path begins with.
const PATH: &str = "/v1/notifications/certs/";
/// Longest name after it, in bytes; PayPal's own have about 50.
const NAME_BYTES_MAX: usize = 128;
/// Most certificates of one chain.
const CHAIN_MAX: usize = 8;

/// A certificate and its issuers, parsed and not yet judged.
pub(super) type Chain = Vec<CertificateDer<'static>>;

/// What a PEM text with trusted certificates was refused for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("holds no certificate, or one that cannot be a root")]
pub struct BadRoots;

/// Trusted roots. A certificate given here is trusted as it is, an issuer's as well as a root's.
#[derive(Clone, Debug)]
pub struct Roots(Vec<TrustAnchor<'static>>);

impl Roots {
    /// Reads certificates in PEM, one or more; all must be readable.
    pub fn from_pem(pem: &[u8]) -> Result<Roots, BadRoots> {
        let read: Result<Vec<CertificateDer<'static>>, _> =
            CertificateDer::pem_slice_iter(pem).collect();
        let read = read.map_err(|_| BadRoots)?;
        let roots = Roots::from_der(&read);
        if roots.0.is_empty() || roots.0.len() != read.len() {
            return Err(BadRoots);
        }
        Ok(roots)
    }

    /// Takes the certificates that can be roots; a system's store may hold odd ones.
    pub fn from_der(certificates: &[CertificateDer<'_>]) -> Roots {
        let anchors = certificates.iter().filter_map(|certificate| {
            let anchor = anchor_from_trusted_cert(certificate).ok()?;
            Some(anchor.to_owned())
        });
        Roots(anchors.collect())
    }

    /// True when nothing is trusted.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

/// Where certificates may come from and what they must lead to.
#[derive(Clone, Debug)]
pub struct CertificateRules {
    /// Hosts, in lower case.
    pub hosts: Vec<String>,
    /// An API on this machine (tests, the sandbox): `http://host:port`, taken beside the hosts.
    pub loopback: Option<String>,
    /// Trusted roots.
    pub roots: Roots,
}

impl CertificateRules {
    /// True for an address that certificates may be fetched from.
    pub(super) fn permit(&self, url: &str) -> bool {
        let is_loopback = self.loopback.as_deref().is_some_and(|origin| {
            let rest = url.strip_prefix(origin);
            rest.is_some_and(is_path)
        });
        let Some(rest) = url.strip_prefix("https://") else {
            return is_loopback;
        };
        let Some(end) = rest.find('/') else {
            return is_loopback;
        };
        let is_ours = rest
            .split_at_checked(end)
            .is_some_and(|(host, path)| self.hosts.iter().any(|one| one == host) && is_path(path));
        is_ours || is_loopback
    }

    /// Judges a chain as of `now`; the leaf's key when all is well, else what is wrong.
    pub(super) fn judge(
        &self,
        chain: &Chain,
        is_live: bool,
        now: Time,
    ) -> Result<SubjectPublicKeyInfoDer<'static>, &'static str> {
        let (leaf, issuers) = chain.split_first().ok_or("no certificate")?;
        let leaf = EndEntityCert::try_from(leaf).map_err(|_| "not a certificate")?;
        let seconds = u64::try_from(now.seconds()).map_err(|_| "a time before 1970")?;
        let path = leaf.verify_for_usage(
            SIGNATURES,
            &self.roots.0,
            issuers,
            UnixTime::since_unix_epoch(Duration::from_secs(seconds)),
            KeyUsage::server_auth(),
            None,
            None,
        );
        path.map_err(|error| blame(&error))?;
        let (ours, others) = match is_live {
            true => (LIVE_NAME, SANDBOX_NAME),
            false => (SANDBOX_NAME, LIVE_NAME),
        };
        let bears = |name: &str| leaf.valid_dns_names().any(|one| one == name);
        if bears(ours) {
            Ok(leaf.subject_public_key_info().into_owned())
        } else if bears(others) {
            Err("the certificate is of the other mode")
        } else {
            Err("the certificate does not bear PayPal's name")
        }
    }
}

/// What issuers may sign with. SHA-1 is not among them.
static SIGNATURES: &[&dyn rustls::pki_types::SignatureVerificationAlgorithm] = &[
    ring::RSA_PKCS1_2048_8192_SHA256,
    ring::RSA_PKCS1_2048_8192_SHA384,
    ring::RSA_PKCS1_2048_8192_SHA512,
    ring::ECDSA_P256_SHA256,
    ring::ECDSA_P256_SHA384,
    ring::ECDSA_P384_SHA256,
    ring::ECDSA_P384_SHA384,
];

/// The certificates of a PEM text, leaf first; anything else in it is skipped.
pub(super) fn chain(pem: &[u8]) -> Result<Chain, &'static str> {
    let read: Result<Chain, _> = CertificateDer::pem_slice_iter(pem)
        .take(CHAIN_MAX.saturating_add(1))
        .collect();
    let read = read.map_err(|_| "not PEM")?;
    match read.len() {
        0 => Err("no certificate"),
        length if length > CHAIN_MAX => Err("too many certificates"),
        _ => Ok(read),
    }
}

/// True when `signature` is RSA PKCS#1 v1.5 with SHA-256 over `message` by this key.
pub(super) fn has_signed(
    key: &SubjectPublicKeyInfoDer<'_>,
    message: &[u8],
    signature: &[u8],
) -> bool {
    RawPublicKeyEntity::try_from(key).is_ok_and(|key| {
        key.verify_signature(ring::RSA_PKCS1_2048_8192_SHA256, message, signature)
            .is_ok()
    })
}

fn is_path(path: &str) -> bool {
    let fits = |byte: u8| byte.is_ascii_alphanumeric() || b"-_.".contains(&byte);
    path.strip_prefix(PATH).is_some_and(|name| {
        !name.is_empty()
            && name.len() <= NAME_BYTES_MAX
            && !name.starts_with('.')
            && name.bytes().all(fits)
    })
}

#[expect(
    clippy::wildcard_enum_match_arm,
    reason = "the list of errors is another crate's and open; each refuses"
)]
fn blame(error: &webpki::Error) -> &'static str {
    match error {
        webpki::Error::CertExpired { .. } => "the certificate has expired",
        webpki::Error::CertNotValidYet { .. } => "the certificate is not valid yet",
        webpki::Error::UnknownIssuer => "the certificate leads to no trusted root",
        webpki::Error::RequiredEkuNotFoundContext(_) => "the certificate is for another use",
        webpki::Error::UnsupportedSignatureAlgorithmContext(_) => {
            "the certificate is signed with an algorithm that is not accepted"
        }
        _ => "the certificate's chain does not hold",
    }
}
