//! The keys that only accounts of kind `paypal` have.
//!
//! Knows PayPal's hosts, by which live and sandbox differ, and nothing else of PayPal.

use super::{Asked, OwnKeys};
use crate::config::check;
use crate::config::problem::Code;
use crate::config::secret::{self, Secret, plain, read_file};
use crate::config::source::Findings;
use crate::config::table::{Field, Section, quoted};
use crate::config::value::{self, Endpoint};
use crate::psp::paypal::certificate::{CertificateRules, LIVE_HOSTS, Roots, SANDBOX_HOSTS};
use crate::psp::paypal::{API_BASE, SANDBOX_API_BASE};
use serde_json::Value;
use std::path::{Path, PathBuf};

/// Longest client id or webhook id, in bytes; PayPal's own have 80 and 17.
const ID_BYTES_MAX: usize = 128;
/// Most hosts that certificates may come from.
const CERT_HOSTS_MAX: usize = 8;
/// Longest host name, in bytes, as DNS has it.
const HOST_BYTES_MAX: usize = 253;
/// Largest file of trusted certificates, in bytes; a whole system's store has some 250,000.
const CERT_ROOTS_BYTES_MAX: u64 = 1024 * 1024;

/// The keys of a PayPal account.
#[derive(Clone, Debug)]
pub struct PaypalConfig {
    /// The REST app's client id; no secret.
    pub client_id: String,
    /// The REST app's secret.
    pub client_secret: Secret,
    /// The webhook's id, which is part of what PayPal signs.
    pub webhook_id: String,
    /// Hosts that signing certificates may be fetched from.
    pub cert_hosts: Vec<String>,
    /// The file of trusted certificates and what it held; none for the system's.
    pub cert_roots: Option<(PathBuf, Roots)>,
    /// Everything before the paths.
    pub api_base: Endpoint,
}

impl PaypalConfig {
    /// Where certificates may come from, with these roots where the file names none.
    pub fn certificates(&self, system: Roots) -> CertificateRules {
        let base = self.api_base.as_str();
        let named = self.cert_roots.as_ref().map(|(_, roots)| roots.clone());
        CertificateRules {
            hosts: self.cert_hosts.clone(),
            // Plain http is only ever accepted on loopback; its certificates lie there too.
            loopback: base.starts_with("http://").then(|| origin(base)),
            roots: named.unwrap_or(system),
        }
    }
}

/// Scheme, host and port of a checked URL.
fn origin(base: &str) -> String {
    base.split('/').take(3).collect::<Vec<_>>().join("/")
}

impl OwnKeys for PaypalConfig {
    const WORD: &'static str = crate::psp::paypal::KIND;
    const KEYS: &'static [&'static str] = &[
        "client_id",
        "client_secret",
        "webhook_id",
        "cert_hosts",
        "cert_roots",
    ];
    const REFERENCE: &'static [&'static str] = &["custom_id", "invoice_id"];

    fn read(section: &Section<'_>, asked: &Asked<'_>, out: &mut Findings<'_>) -> Option<Self> {
        let client_id = required_id(section, "client_id", out);
        let field = section.required("client_secret", secret::SOURCES, out);
        let client_secret = field
            .and_then(|field| secret::secret(&field, secret::key_shape, asked.surroundings, out));
        let webhook_id = required_id(section, "webhook_id", out);
        let default = match asked.is_live {
            Some(false) => SANDBOX_API_BASE,
            Some(true) | None => API_BASE,
        };
        let api_base = match section.field("api_base") {
            Some(field) => value::url(&field, out).inspect(|base| {
                if let Some(is_live) = asked.is_live {
                    check_mode(&field, base, is_live, out);
                }
            }),
            None => Endpoint::parse(default).ok(),
        };
        let hosts = match asked.is_live {
            Some(false) => SANDBOX_HOSTS,
            Some(true) | None => LIVE_HOSTS,
        };
        let hosts = hosts.map(str::to_owned).to_vec();
        let cert_hosts = section.read("cert_hosts", hosts, out, read_hosts);
        let cert_roots = match section.field("cert_roots") {
            Some(field) => read_roots(&field, out).map(Some),
            None => Some(None),
        };
        Some(PaypalConfig {
            client_id: client_id?,
            client_secret: client_secret?,
            webhook_id: webhook_id?,
            cert_hosts: cert_hosts?,
            cert_roots: cert_roots?,
            api_base: api_base?,
        })
    }

    fn credentials(&self) -> &Secret {
        &self.client_secret
    }

    fn rows(&self) -> Vec<(&'static str, Value)> {
        let hosts = self.cert_hosts.iter().map(String::as_str);
        let roots = self.cert_roots.as_ref();
        let roots = roots.map(|(path, _)| path.display().to_string());
        vec![
            ("api_base", self.api_base.as_str().into()),
            ("client_id", self.client_id.as_str().into()),
            ("client_secret", check::secret(&self.client_secret)),
            ("webhook_id", self.webhook_id.as_str().into()),
            ("cert_hosts", hosts.collect()),
            ("cert_roots", roots.into()),
        ]
    }
}

fn required_id(section: &Section<'_>, key: &str, out: &mut Findings<'_>) -> Option<String> {
    let accepted = "1 to 128 letters, digits, `_` and `-`";
    let field = section.required(key, accepted, out)?;
    let text = field.hidden_text(accepted, out)?;
    let fits = |byte: u8| byte.is_ascii_alphanumeric() || b"_-".contains(&byte);
    if (1..=ID_BYTES_MAX).contains(&text.len()) && text.bytes().all(fits) {
        out.show(field.at());
        return Some(text.to_owned());
    }
    out.raise(
        field
            .refusal(Code::BadName, "has another shape")
            .accepted(accepted),
    );
    None
}

fn read_hosts(field: &Field<'_>, out: &mut Findings<'_>) -> Option<Vec<String>> {
    let accepted = "a host name in lower case, such as \"api.paypal.com\"";
    let items = field.items(accepted, CERT_HOSTS_MAX, out)?;
    let read = |item: &Field<'_>| {
        let text = item.text(accepted, out)?;
        let fits = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || ".-".contains(c);
        let is_host = text.len() <= HOST_BYTES_MAX
            && text.contains('.')
            && text.chars().all(fits)
            && !text.starts_with(['.', '-'])
            && !text.ends_with(['.', '-']);
        if is_host {
            return Some(text.to_owned());
        }
        let why = format!("holds {}", quoted(text));
        out.raise(item.refusal(Code::BadUrl, &why).accepted(accepted));
        None
    };
    // Every entry is read before any refusal ends it, so that all problems are found.
    let read: Vec<Option<String>> = items.iter().map(read).collect();
    read.into_iter().collect()
}

fn read_roots(field: &Field<'_>, out: &mut Findings<'_>) -> Option<(PathBuf, Roots)> {
    let accepted = "the absolute path of a file with certificates in PEM";
    let text = field.text(accepted, out)?;
    let path = Path::new(text);
    let why = if !path.is_absolute() || text.contains('\0') {
        "is no absolute path".to_owned()
    } else {
        match read_file(path, CERT_ROOTS_BYTES_MAX) {
            Err(error) => format!("cannot be read: {}", plain(&error)),
            Ok(content) => match Roots::from_pem(&content.bytes) {
                Ok(roots) => return Some((path.to_owned(), roots)),
                Err(bad) => bad.to_string(),
            },
        }
    };
    out.raise(
        field
            .refusal(Code::BadCertificates, &why)
            .accepted(accepted),
    );
    None
}

/// PayPal's hosts are of one mode each; they must not contradict `live`. Other hosts say nothing.
fn check_mode(field: &Field<'_>, base: &Endpoint, is_live: bool, out: &mut Findings<'_>) {
    let bare = base.as_str().split('/').nth(2).unwrap_or_default();
    let host = bare.split(':').next().unwrap_or_default();
    let said = if is_live && SANDBOX_HOSTS.contains(&host) {
        "is PayPal's sandbox, but the account says `live = true`"
    } else if !is_live && LIVE_HOSTS.contains(&host) {
        "is the live PayPal, but the account says `live = false`"
    } else {
        return;
    };
    let raised = field.refusal(Code::LiveMismatch, said);
    out.raise(raised.accepted(format!(
        "\"{API_BASE}\" with `live = true`, \"{SANDBOX_API_BASE}\" with `live = false`"
    )));
}
