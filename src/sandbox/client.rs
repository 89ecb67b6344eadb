//! A small HTTP/1.1 client for loopback: one request, one connection, one answer.
//!
//! Delivers the sandbox's webhooks and reads the daemon's admin listener. It refuses any address
//! that is not loopback, and knows neither TLS nor redirects.

use crate::wire::{Headers, Method, Response};
use std::net::SocketAddr;
use std::time::Duration;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

/// Longest that one exchange may take.
pub const TIMEOUT: Duration = Duration::from_secs(10);
/// Largest answer that is read, in bytes.
const ANSWER_BYTES_MAX: u64 = 8 << 20;

/// Why there is no answer.
#[derive(Debug, thiserror::Error)]
pub enum ClientError {
    /// Not a loopback address.
    #[error("{0} is not on this machine; the sandbox talks to loopback only")]
    NotLoopback(SocketAddr),
    /// Nothing there, or the connection broke.
    #[error("no connection to {0}: {1}")]
    Io(SocketAddr, std::io::Error),
    /// Too slow.
    #[error("no answer from {0} in {TIMEOUT:?}")]
    Timeout(SocketAddr),
    /// Not HTTP.
    #[error("the answer of {0} is not HTTP/1.1")]
    NotHttp(SocketAddr),
}

/// Sends a request to a loopback address and reads the whole answer.
pub async fn call(
    to: SocketAddr,
    method: Method,
    path: &str,
    headers: &Headers,
    body: &[u8],
) -> Result<Response, ClientError> {
    if !to.ip().is_loopback() {
        return Err(ClientError::NotLoopback(to));
    }
    let exchange = exchange(to, head(to, method, path, headers, body.len()), body);
    let bytes = tokio::time::timeout(TIMEOUT, exchange)
        .await
        .map_err(|_| ClientError::Timeout(to))?
        .map_err(|error| ClientError::Io(to, error))?;
    parse(&bytes).ok_or(ClientError::NotHttp(to))
}

fn head(to: SocketAddr, method: Method, path: &str, headers: &Headers, length: usize) -> Vec<u8> {
    let method = match method {
        Method::Get => "GET",
        Method::Post => "POST",
        Method::Delete => "DELETE",
        Method::Patch => "PATCH",
    };
    let mut head =
        format!("{method} {path} HTTP/1.1\r\nhost: {to}\r\nconnection: close\r\n").into_bytes();
    if length > 0 || method != "GET" {
        head.extend(format!("content-length: {length}\r\n").bytes());
    }
    for (name, value) in headers.iter() {
        head.extend(name.bytes());
        head.extend(b": ");
        head.extend(value);
        head.extend(b"\r\n");
    }
    head.extend(b"\r\n");
    head
}

async fn exchange(to: SocketAddr, head: Vec<u8>, body: &[u8]) -> std::io::Result<Vec<u8>> {
    let mut stream = TcpStream::connect(to).await?;
    let mut message = head;
    message.extend(body);
    stream.write_all(&message).await?;
    let mut answer = Vec::new();
    stream
        .take(ANSWER_BYTES_MAX)
        .read_to_end(&mut answer)
        .await?;
    Ok(answer)
}

/// Reads an answer whose connection has been closed after it; none when it is cut short.
fn parse(bytes: &[u8]) -> Option<Response> {
    let end = bytes.windows(4).position(|four| four == b"\r\n\r\n")?;
    let head = std::str::from_utf8(bytes.get(..end)?).ok()?;
    let rest = bytes.get(end.checked_add(4)?..)?;
    let mut lines = head.split("\r\n");
    let mut words = lines.next()?.split(' ');
    let version = words.next()?;
    let status = words.next()?.parse().ok()?;
    let mut headers = Headers::new();
    for line in lines {
        let (name, value) = line.split_once(':')?;
        headers.push(name.trim(), value.trim());
    }
    let is_chunked = headers
        .single("transfer-encoding")
        .is_some_and(|coding| coding.eq_ignore_ascii_case("chunked"));
    let body = if is_chunked {
        unchunk(rest)?
    } else if let Some(length) = headers.single("content-length") {
        let length: usize = length.parse().ok()?;
        rest.get(..length)?.to_vec()
    } else {
        rest.to_vec()
    };
    (version == "HTTP/1.1").then_some(Response {
        status,
        headers,
        body,
    })
}

fn unchunk(mut rest: &[u8]) -> Option<Vec<u8>> {
    let mut body = Vec::new();
    loop {
        let end = rest.windows(2).position(|two| two == b"\r\n")?;
        let line = std::str::from_utf8(rest.get(..end)?).ok()?;
        let size = line.split(';').next()?.trim();
        let size = usize::from_str_radix(size, 16).ok()?;
        let start = end.checked_add(2)?;
        let chunk_end = start.checked_add(size)?;
        if size == 0 {
            return Some(body);
        }
        body.extend(rest.get(start..chunk_end)?);
        rest = rest.get(chunk_end.checked_add(2)?..)?;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn body(answer: &str) -> Option<(u16, String)> {
        let response = parse(answer.as_bytes())?;
        Some((response.status, String::from_utf8(response.body).unwrap()))
    }

    #[test]
    fn answers_are_read_by_length_by_chunks_and_to_the_end() {
        for answer in [
            "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello",
            "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nhe\r\n3;x=y\r\nllo\r\n0\r\n\r\n",
            "HTTP/1.1 200\r\n\r\nhello",
        ] {
            assert_eq!(body(answer), Some((200, "hello".to_owned())), "{answer}");
        }
    }

    #[test]
    fn answers_that_are_cut_short_are_no_answers() {
        for answer in [
            "",
            "HTTP/1.1 200 OK\r\n",
            "HTTP/1.1 200 OK\r\nContent-Length: 6\r\n\r\nhello",
            "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n9\r\nhello\r\n",
            "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n",
            "SMTP ready\r\n\r\n",
        ] {
            assert_eq!(body(answer), None, "{answer}");
        }
    }

    #[tokio::test]
    async fn only_loopback_is_called() {
        let away: SocketAddr = "192.0.2.1:80".parse().unwrap();
        let refused = call(away, Method::Get, "/", &Headers::new(), b"").await;
        assert!(matches!(refused, Err(ClientError::NotLoopback(_))));
    }
}
