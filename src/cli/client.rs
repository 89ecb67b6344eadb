//! A small HTTP/1 client for the admin listener, over TCP or a unix socket.
//!
//! One request per connection, within a time limit and a size limit. Knows no path and no
//! command; it never follows a redirect and never speaks to anyone but the daemon.

use bytes::Bytes;
use http::header::{ACCEPT, AUTHORIZATION, CONTENT_TYPE, HOST, IF_MATCH};
use http::{HeaderValue, Method, Request};
use http_body_util::{BodyExt, Full, Limited};
use hyper::client::conn::http1;
use hyper_util::rt::TokioIo;
use secrecy::{ExposeSecret, SecretString};
use std::fmt;
use std::path::PathBuf;
use std::str::FromStr;
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpStream, UnixStream};

/// Time for a whole exchange.
const EXCHANGE_TIMEOUT: Duration = Duration::from_secs(15);
/// Largest answer, in bytes; a page of 500 checkouts is well below.
const ANSWER_BYTES_MAX: usize = 32 * 1024 * 1024;

/// Exit code: all is well.
pub const EXIT_OK: u8 = 0;
/// Exit code: the command's own "no".
pub const EXIT_NO: u8 = 1;
/// Exit code: the command line asks for something that does not exist.
pub const EXIT_USAGE: u8 = 64;
/// Exit code: the daemon cannot be reached.
pub const EXIT_UNREACHABLE: u8 = 69;

/// Where the admin listener is: `127.0.0.1:8481`, or `unix:/run/reconciled/admin.sock`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Address {
    /// Host and port.
    Tcp(String),
    /// A socket file.
    Unix(PathBuf),
}

impl FromStr for Address {
    type Err = String;

    fn from_str(text: &str) -> Result<Address, String> {
        if let Some(path) = text.strip_prefix("unix:") {
            let is_absolute = path.starts_with('/');
            return if is_absolute {
                Ok(Address::Unix(PathBuf::from(path)))
            } else {
                Err("a unix socket is written unix:/absolute/path".to_owned())
            };
        }
        let port = text
            .rsplit_once(':')
            .map(|(host, port)| (host, port.parse()));
        match port {
            Some((host, Ok(1_u16..))) if !host.is_empty() => Ok(Address::Tcp(text.to_owned())),
            Some(_) | None => Err("write host:port, or unix:/path of the admin socket".to_owned()),
        }
    }
}

impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Address::Tcp(address) => f.write_str(address),
            Address::Unix(path) => write!(f, "unix:{}", path.display()),
        }
    }
}

/// The daemon could not be reached, or did not answer as one.
#[derive(Debug, thiserror::Error)]
#[error("cannot reach the daemon at {address}: {why}")]
pub struct Unreachable {
    address: String,
    why: String,
}

/// What the daemon answered.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Answer {
    /// The HTTP status.
    pub status: u16,
    /// The content type, without parameters.
    pub content_type: String,
    /// The body.
    pub body: String,
}

/// Speaks to one admin listener.
#[derive(Clone)]
pub struct Client {
    address: Address,
    token: Option<SecretString>,
}

impl Client {
    /// A client for the listener at this address, presenting this token if there is one.
    pub fn new(address: Address, token: Option<SecretString>) -> Client {
        Client { address, token }
    }

    /// Reads a path, in the form that `accept` names.
    ///
    /// # Errors
    /// `Unreachable` when there is no complete answer in time.
    pub async fn get(&self, path: &str, accept: &'static str) -> Result<Answer, Unreachable> {
        let request = self.request(Method::GET, path, accept, Bytes::new())?;
        self.exchange(request).await
    }

    /// Posts JSON to a path, under `If-Match` when a version is named.
    ///
    /// # Errors
    /// `Unreachable` when there is no complete answer in time.
    pub async fn post(
        &self,
        path: &str,
        body: String,
        if_version: Option<i64>,
    ) -> Result<Answer, Unreachable> {
        let body = Bytes::from(body);
        let mut request = self.request(Method::POST, path, "application/json", body)?;
        let json = HeaderValue::from_static("application/json");
        request.headers_mut().insert(CONTENT_TYPE, json);
        if let Some(version) = if_version {
            let tag = HeaderValue::from_str(&format!("\"{version}\""));
            let tag = tag.map_err(|error| self.unreachable(&error))?;
            request.headers_mut().insert(IF_MATCH, tag);
        }
        self.exchange(request).await
    }

    fn request(
        &self,
        method: Method,
        path: &str,
        accept: &'static str,
        body: Bytes,
    ) -> Result<Request<Full<Bytes>>, Unreachable> {
        let host = match &self.address {
            Address::Tcp(address) => address.as_str(),
            Address::Unix(_) => "localhost",
        };
        let mut request = Request::builder()
            .method(method)
            .uri(path)
            .header(HOST, host)
            .header(ACCEPT, accept)
            .body(Full::new(body))
            .map_err(|error| self.unreachable(&error))?;
        if let Some(token) = &self.token {
            let text = format!("Bearer {}", token.expose_secret());
            let mut value = HeaderValue::from_str(&text)
                .map_err(|_| self.unreachable(&"the token holds characters no token may hold"))?;
            value.set_sensitive(true);
            request.headers_mut().insert(AUTHORIZATION, value);
        }
        Ok(request)
    }

    async fn exchange(&self, request: Request<Full<Bytes>>) -> Result<Answer, Unreachable> {
        let exchanged = async {
            match &self.address {
                Address::Tcp(address) => {
                    let stream = TcpStream::connect(address.as_str()).await?;
                    converse(stream, request).await
                }
                Address::Unix(path) => converse(UnixStream::connect(path).await?, request).await,
            }
        };
        match tokio::time::timeout(EXCHANGE_TIMEOUT, exchanged).await {
            Ok(Ok(answer)) => Ok(answer),
            Ok(Err(error)) => Err(self.unreachable(&error)),
            Err(_) => Err(self.unreachable(&"no complete answer in time")),
        }
    }

    fn unreachable(&self, why: &dyn fmt::Display) -> Unreachable {
        Unreachable {
            address: self.address.to_string(),
            why: why.to_string(),
        }
    }
}

async fn converse<S>(stream: S, request: Request<Full<Bytes>>) -> anyhow::Result<Answer>
where
    S: AsyncRead + AsyncWrite + Unpin,
{
    let (mut sender, connection) = http1::handshake(TokioIo::new(stream)).await?;
    let asked = async move {
        let response = sender.send_request(request).await?;
        let status = response.status().as_u16();
        let kind = response.headers().get(CONTENT_TYPE);
        let kind = kind
            .and_then(|value| value.to_str().ok())
            .unwrap_or_default();
        let content_type = kind.split(';').next().unwrap_or_default().to_owned();
        let limited = Limited::new(response.into_body(), ANSWER_BYTES_MAX);
        let body = limited
            .collect()
            .await
            .map_err(|error| anyhow::anyhow!("the answer broke off: {error}"))?
            .to_bytes();
        Ok(Answer {
            status,
            content_type,
            body: String::from_utf8(body.into())?,
        })
    };
    // The connection makes progress only while it is polled; it ends when `asked` has dropped
    // its sender. Its own error says no more than the exchange's.
    let (answer, _) = futures_util::future::join(asked, connection).await;
    answer
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_is_host_and_port_or_a_socket() {
        for text in ["127.0.0.1:8481", "[::1]:8481", "oncall.example:443"] {
            assert_eq!(text.parse(), Ok(Address::Tcp(text.to_owned())));
        }
        assert_eq!(
            "unix:/run/a.sock".parse(),
            Ok(Address::Unix(PathBuf::from("/run/a.sock")))
        );
        for text in [
            "",
            "8481",
            ":8481",
            "host:",
            "host:0",
            "host:70000",
            "unix:a.sock",
        ] {
            assert!(text.parse::<Address>().is_err(), "{text:?}");
        }
    }

    #[test]
    fn a_token_with_a_line_break_never_becomes_a_header() {
        let address = Address::Tcp("127.0.0.1:1".to_owned());
        let client = Client::new(address, Some(SecretString::from("a\r\nX: y")));
        let refusal = client
            .request(Method::GET, "/status", "text/plain", Bytes::new())
            .unwrap_err();
        assert!(!refusal.to_string().contains("X: y"));
    }
}
