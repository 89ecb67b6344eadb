//! Raw HTTP/1.1 over a socket: what is sent is exactly what the test wrote.
//!
//! Reads answers plainly and judges nothing.

use std::net::SocketAddr;
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::TcpStream;

/// Far longer than anything that is waited for may take.
pub(crate) const AGES: Duration = Duration::from_secs(20);
/// A limit that no test reaches.
pub(crate) const NEVER: Duration = Duration::from_secs(3600);

/// An answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) head: String,
    pub(crate) body: String,
}

impl Answer {
    /// A header field's value.
    pub(crate) fn field(&self, name: &str) -> Option<&str> {
        self.head.lines().find_map(|line| {
            let (known, value) = line.split_once(':')?;
            known.eq_ignore_ascii_case(name).then_some(value.trim())
        })
    }

    /// The code of a problem document, all of whose members are there.
    pub(crate) fn problem(&self) -> String {
        assert_eq!(
            self.field("content-type"),
            Some("application/problem+json"),
            "{self:?}"
        );
        let document: serde_json::Value = serde_json::from_str(&self.body).unwrap();
        assert_eq!(document["status"], self.status);
        let code = document["code"].as_str().unwrap();
        assert_eq!(document["type"], format!("urn:reconciled:problem:{code}"));
        assert!(document["title"].is_string() && document["detail"].is_string());
        code.to_owned()
    }
}

/// Splits what one connection brought into answers.
fn answers(bytes: &[u8]) -> Vec<Answer> {
    let mut text = std::str::from_utf8(bytes).unwrap();
    let mut answers = Vec::new();
    while let Some((head, rest)) = text.split_once("\r\n\r\n") {
        let status = head.split(' ').nth(1).unwrap().parse().unwrap();
        let mut answer = Answer {
            status,
            head: head.to_owned(),
            body: String::new(),
        };
        let length: usize = answer
            .field("content-length")
            .map_or(0, |length| length.parse().unwrap());
        let (body, rest) = rest.split_at(length);
        answer.body = body.to_owned();
        answers.push(answer);
        text = rest;
    }
    assert_eq!(text, "", "half an answer");
    answers
}

/// Reads until the other side closes, in whichever way.
pub(crate) async fn read_to_close<S: AsyncRead + Unpin>(stream: &mut S) -> Vec<Answer> {
    let mut bytes = Vec::new();
    let mut chunk = [0; 4096];
    let reading = async {
        loop {
            match stream.read(&mut chunk).await {
                Ok(0) | Err(_) => return,
                Ok(count) => bytes.extend_from_slice(&chunk[..count]),
            }
        }
    };
    tokio::time::timeout(AGES, reading)
        .await
        .expect("the connection was not closed");
    answers(&bytes)
}

/// Reads one answer with a `Content-Length` or without a body.
pub(crate) async fn read_one<S: AsyncRead + Unpin>(stream: &mut S) -> Answer {
    let mut bytes = Vec::new();
    let reading = async {
        while !bytes.ends_with(b"\r\n\r\n") {
            bytes.push(stream.read_u8().await.unwrap());
        }
        let mut answer = answers_head(&bytes);
        if let Some(length) = answer.field("content-length") {
            let mut body = vec![0; length.parse().unwrap()];
            stream.read_exact(&mut body).await.unwrap();
            answer.body = String::from_utf8(body).unwrap();
        }
        answer
    };
    tokio::time::timeout(AGES, reading)
        .await
        .expect("no answer came")
}

fn answers_head(bytes: &[u8]) -> Answer {
    let head = std::str::from_utf8(bytes).unwrap().trim_end().to_owned();
    Answer {
        status: head.split(' ').nth(1).unwrap().parse().unwrap(),
        head,
        body: String::new(),
    }
}

/// Sends bytes on a connection of their own and reads until it is closed. That the other side
/// closes while we write is no failure.
pub(crate) async fn say(address: SocketAddr, bytes: &[u8]) -> Vec<Answer> {
    let mut stream = TcpStream::connect(address).await.unwrap();
    say_on(&mut stream, bytes).await
}

/// As `say`, on a connection that is there.
pub(crate) async fn say_on<S: AsyncRead + AsyncWrite + Unpin>(
    stream: &mut S,
    bytes: &[u8],
) -> Vec<Answer> {
    let written = stream.write_all(bytes).await;
    let answers = read_to_close(stream).await;
    assert!(written.is_ok() || !answers.is_empty() || bytes.len() > 64 * 1024);
    answers
}

/// As `say`, for what gets exactly one answer.
pub(crate) async fn ask(address: SocketAddr, bytes: &[u8]) -> Answer {
    let mut answers = say(address, bytes).await;
    assert_eq!(answers.len(), 1, "{answers:?}");
    answers.remove(0)
}

/// A `POST` that closes the connection after its answer.
pub(crate) fn post(path: &str, fields: &[(&str, &str)], body: &[u8]) -> Vec<u8> {
    let mut head = format!("POST {path} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n");
    for (name, value) in fields {
        head.push_str(&format!("{name}: {value}\r\n"));
    }
    head.push_str(&format!("Content-Length: {}\r\n\r\n", body.len()));
    [head.as_bytes(), body].concat()
}

/// A `GET` that closes the connection after its answer.
pub(crate) fn get(path: &str, fields: &[(&str, &str)]) -> Vec<u8> {
    let mut head = format!("GET {path} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n");
    for (name, value) in fields {
        head.push_str(&format!("{name}: {value}\r\n"));
    }
    head.push_str("\r\n");
    head.into_bytes()
}
