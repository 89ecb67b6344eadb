//! The one HTTP client: every call to a shop or a PSP leaves through here and nowhere else.
//!
//! It sends exactly one request per call, never retries, never follows, never unpacks, and says
//! of each failure whether the request may have arrived. It knows neither who asks nor what is
//! kept, and logs nothing: addresses and headers may hold secrets.

pub mod breaker;
mod failure;
pub mod gate;
pub mod pace;

use crate::wire::{CallError, Headers, Method, Reply, Request, Response};
use futures_util::future::BoxFuture;
use reqwest::{Client, Url, redirect, retry};
use std::fmt;
use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

/// Largest answer taken from a shop, in bytes.
pub const SHOP_BODY_BYTES_MAX: usize = 64 * 1024;
/// Largest answer taken from a PSP, in bytes: a page of a hundred payments with their refunds.
pub const PSP_BODY_BYTES_MAX: usize = 2 * 1024 * 1024;

/// Header fields kept of an answer; the rest is left out. Adapters read one or two.
const FIELDS_MAX: usize = 64;
/// Bytes kept of all header fields together, names and values.
const FIELDS_BYTES_MAX: usize = 32 * 1024;
/// Room made for a body before its size is known.
const FIRST_BYTES: usize = 4 * 1024;

/// Said of a call that was never made because its time was up before it began.
pub(crate) const NO_TIME_LEFT: &str = "no_time_left";

const USER_AGENT: &str = concat!("reconciled/", env!("CARGO_PKG_VERSION"));

/// How the client behaves towards everyone.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Settings {
    /// Longest time for name, connection and TLS handshake together.
    pub connect_timeout: Duration,
    /// How long an unused connection is kept. Below the 5 s after which widespread servers
    /// hang up, so that a request seldom meets a connection that is being closed.
    pub idle_timeout: Duration,
    /// Unused connections kept per destination: about as many as calls may be under way there at
    /// once, since a new connection costs more than the call that it carries.
    pub idle_per_destination_max: usize,
}

impl Default for Settings {
    fn default() -> Settings {
        Settings {
            connect_timeout: Duration::from_secs(5),
            idle_timeout: Duration::from_secs(4),
            idle_per_destination_max: 64,
        }
    }
}

/// What one call may take.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct CallLimits {
    /// From now until the last byte of the answer; never longer than the rest of the lease.
    pub deadline: Duration,
    /// Largest body taken.
    pub body_bytes_max: usize,
}

/// Why there is no client. Fatal at start: without trusted roots no call can be made.
#[derive(Debug, thiserror::Error)]
#[error("the HTTP client cannot be set up (are the system's CA certificates installed?): {0}")]
pub struct OutboundError(#[source] reqwest::Error);

impl OutboundError {
    /// A stable snake_case word.
    pub fn code(&self) -> &'static str {
        "http_client_unavailable"
    }
}

/// Whoever brings a request there and an answer back in the network's place. Like the client it
/// sends each request once, keeps to the limits, and says of each failure whether the request may
/// have arrived.
pub trait Carrier: fmt::Debug + Send + Sync {
    /// Carries one request; the deadline is above zero.
    fn carry(&self, request: Request, limits: CallLimits) -> BoxFuture<'static, Reply>;
}

#[derive(Clone, Debug)]
enum Way {
    Network(Client),
    Carried(Arc<dyn Carrier>),
}

/// The client. Cheap to clone; clones share their connections.
#[derive(Clone, Debug)]
pub struct Outbound {
    way: Way,
}

impl Outbound {
    /// Sets the client up: TLS by rustls with ring, trusting the system's roots.
    #[expect(
        clippy::disallowed_methods,
        reason = "this is the one home of the HTTP client"
    )]
    pub fn new(settings: Settings) -> Result<Outbound, OutboundError> {
        install_tls_provider();
        let client = Client::builder()
            .tls_backend_rustls()
            .user_agent(USER_AGENT)
            .redirect(redirect::Policy::none())
            .retry(retry::never())
            .no_proxy()
            .referer(false)
            .connect_timeout(settings.connect_timeout)
            .pool_idle_timeout(settings.idle_timeout)
            .pool_max_idle_per_host(settings.idle_per_destination_max)
            .build()
            .map_err(OutboundError)?;
        Ok(Outbound {
            way: Way::Network(client),
        })
    }

    /// No network: every request goes with this carrier.
    pub fn carried_by(carrier: Arc<dyn Carrier>) -> Outbound {
        Outbound {
            way: Way::Carried(carrier),
        }
    }

    /// Sends one request and brings its answer, or says whether it may have arrived.
    ///
    /// Not sent: `bad_request`, `not_https`, `no_time_left` (never tried); `dns`,
    /// `connection_refused`, `connect_timeout`, `tls`, `connect` (no connection was made).
    /// Unclear: `timeout`, `reset`, `bad_http`, `answer_too_large`. A deadline that passes
    /// while the connection is still being made is unclear too.
    pub async fn call(&self, request: Request, limits: CallLimits) -> Reply {
        if limits.deadline.is_zero() {
            return Err(CallError::NotSent(NO_TIME_LEFT));
        }
        match &self.way {
            Way::Network(client) => over_network(client, request, limits).await,
            Way::Carried(carrier) => carrier.carry(request, limits).await,
        }
    }
}

async fn over_network(client: &Client, request: Request, limits: CallLimits) -> Reply {
    let request = prepared(client, request, limits.deadline)?;
    let answer = client.execute(request).await;
    let answer = answer.map_err(|error| failure::of(&error))?;
    let status = answer.status().as_u16();
    let headers = kept(answer.headers());
    let body = body(answer, limits.body_bytes_max).await?;
    Ok(Response {
        status,
        headers,
        body,
    })
}

fn prepared(
    client: &Client,
    request: Request,
    deadline: Duration,
) -> Result<reqwest::Request, CallError> {
    let url: Url = request
        .url
        .parse()
        .map_err(|_| CallError::NotSent("bad_request"))?;
    if !is_private_enough(&url) {
        return Err(CallError::NotSent("not_https"));
    }
    let method = match request.method {
        Method::Get => reqwest::Method::GET,
        Method::Post => reqwest::Method::POST,
        Method::Delete => reqwest::Method::DELETE,
        Method::Patch => reqwest::Method::PATCH,
    };
    let mut builder = client.request(method, url).timeout(deadline);
    for (name, value) in request.headers.iter() {
        builder = builder.header(name, value);
    }
    if !request.body.is_empty() {
        builder = builder.body(request.body);
    }
    builder.build().map_err(|error| failure::of(&error))
}

/// Makes ring the provider of the process, unless one is installed already.
fn install_tls_provider() {
    let is_missing = rustls::crypto::CryptoProvider::get_default().is_none();
    if is_missing {
        // Losing a race here means that another thread has just installed the same.
        match rustls::crypto::ring::default_provider().install_default() {
            Ok(()) | Err(_) => {}
        }
    }
}

/// HTTPS, or plain HTTP that never leaves this machine.
fn is_private_enough(url: &Url) -> bool {
    let host = url.host_str().unwrap_or_default();
    let bare = host.trim_start_matches('[').trim_end_matches(']');
    let is_loopback = bare
        .parse()
        .map_or(bare == "localhost", |ip: IpAddr| ip.is_loopback());
    match url.scheme() {
        "https" => true,
        "http" => is_loopback,
        _ => false,
    }
}

/// The header fields that fit; a field that does not fit is left out.
fn kept(fields: &reqwest::header::HeaderMap) -> Headers {
    let mut headers = Headers::new();
    let mut left = FIELDS_BYTES_MAX;
    for (name, value) in fields.iter().take(FIELDS_MAX) {
        let size = name.as_str().len().saturating_add(value.len());
        if let Some(rest) = left.checked_sub(size) {
            left = rest;
            headers.push(name.as_str(), value.as_bytes());
        }
    }
    headers
}

/// The whole body, or nothing: it is given up at the first byte past the limit.
async fn body(mut answer: reqwest::Response, bytes_max: usize) -> Result<Vec<u8>, CallError> {
    let too_large = CallError::Unclear("answer_too_large");
    let announced = answer.content_length().unwrap_or(0);
    if usize::try_from(announced).map_or(true, |announced| announced > bytes_max) {
        return Err(too_large);
    }
    let mut body = Vec::with_capacity(FIRST_BYTES.min(bytes_max));
    loop {
        match answer.chunk().await {
            Ok(None) => return Ok(body),
            Ok(Some(chunk)) if chunk.len() > bytes_max.saturating_sub(body.len()) => {
                return Err(too_large);
            }
            Ok(Some(chunk)) => body.extend_from_slice(&chunk),
            Err(error) => return Err(failure::of_answer(&error)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn plain_http_is_for_this_machine_alone() {
        for (url, expected) in [
            ("https://klompen.example/reconciled", true),
            ("http://127.0.0.1:8080/x", true),
            ("http://127.8.9.10/x", true),
            ("http://[::1]:8080/x", true),
            ("http://localhost:8080/x", true),
            ("http://klompen.example/reconciled", false),
            ("http://localhost.example/", false),
            ("http://10.0.0.1/", false),
            ("http://[::ffff:10.0.0.1]/", false),
            ("http://127.0.0.1.example/", false),
            ("http://user@klompen.example/", false),
            ("ftp://127.0.0.1/", false),
            ("file:///etc/passwd", false),
        ] {
            assert_eq!(is_private_enough(&url.parse().unwrap()), expected, "{url}");
        }
    }

    #[test]
    fn fields_of_an_answer_are_kept_up_to_a_limit() {
        let mut fields = reqwest::header::HeaderMap::new();
        fields.insert("retry-after", "5".parse().unwrap());
        fields.insert("x-large", "x".repeat(FIELDS_BYTES_MAX).parse().unwrap());
        fields.insert("content-type", "application/json".parse().unwrap());
        for n in 0..200 {
            fields.append("set-cookie", format!("c{n}").parse().unwrap());
        }
        let kept = kept(&fields);
        assert!(kept.iter().count() < FIELDS_MAX);
        assert_eq!(kept.single("retry-after"), Some("5"));
        assert_eq!(kept.single("content-type"), Some("application/json"));
        assert_eq!(kept.single("x-large"), None);
    }
}
