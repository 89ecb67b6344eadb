//! A site on a bare socket: takes connections, reads requests, and answers what it is told to.
//!
//! Knows just enough HTTP to see where a request ends.

use tokio::io::AsyncReadExt;
use tokio::net::{TcpListener, TcpStream};

/// A listening socket on loopback.
pub(super) struct Site {
    listener: TcpListener,
}

impl Site {
    pub(super) async fn open() -> Site {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        Site { listener }
    }

    pub(super) fn url(&self, path: &str) -> String {
        format!("http://{}{path}", self.listener.local_addr().unwrap())
    }

    pub(super) fn tls_url(&self, path: &str) -> String {
        format!("https://{}{path}", self.listener.local_addr().unwrap())
    }

    pub(super) async fn accept(&self) -> TcpStream {
        self.listener.accept().await.unwrap().0
    }
}

/// A request as it came over the line.
pub(super) struct Seen {
    pub(super) head: String,
    pub(super) body: String,
}

impl Seen {
    /// Reads a whole request from bytes; none while some are missing.
    pub(super) fn parse(bytes: &[u8]) -> Option<Seen> {
        let text = String::from_utf8_lossy(bytes);
        let (head, rest) = text.split_once("\r\n\r\n")?;
        let mut seen = Seen {
            head: head.to_owned(),
            body: String::new(),
        };
        let length: usize = seen
            .field("content-length")
            .map_or(0, |n| n.parse().unwrap());
        seen.body = rest.get(..length)?.to_owned();
        Some(seen)
    }

    pub(super) fn field(&self, name: &str) -> Option<&str> {
        let mut lines = self.head.lines().skip(1);
        lines.find_map(|line| {
            let (known, value) = line.split_once(": ")?;
            known.eq_ignore_ascii_case(name).then_some(value)
        })
    }

    /// The path asked for.
    pub(super) fn path(&self) -> &str {
        self.head.split(' ').nth(1).unwrap()
    }
}

/// Reads one request; none if the connection ends before it is whole.
pub(super) async fn read_request(stream: &mut TcpStream) -> Option<Seen> {
    let mut bytes = Vec::new();
    loop {
        if let Some(seen) = Seen::parse(&bytes) {
            return Some(seen);
        }
        if stream.read_buf(&mut bytes).await.ok()? == 0 {
            return None;
        }
    }
}

/// An answer with its length.
pub(super) fn answer(status: &str, fields: &[&str], body: &str) -> String {
    let fields: String = fields.iter().map(|field| format!("{field}\r\n")).collect();
    let length = body.len();
    format!("HTTP/1.1 {status}\r\n{fields}content-length: {length}\r\n\r\n{body}")
}
