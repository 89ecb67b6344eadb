//! HTTP as plain values: what an adapter builds and reads, and what the client sends.
//!
//! Knows no network and no PSP. Debug output never shows header values, which may hold secrets,
//! nor bodies, which may hold personal facts.

use std::fmt;

/// The methods our adapters use.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Method {
    /// Read.
    Get,
    /// Create or act.
    Post,
    /// Remove.
    Delete,
    /// Change.
    Patch,
}

/// Header fields: names in lower case, in the order they came, repeated ones kept.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct Headers(Vec<(String, Vec<u8>)>);

impl Headers {
    /// No fields.
    pub fn new() -> Headers {
        Headers::default()
    }

    /// Adds a field; the name is lowered.
    pub fn push(&mut self, name: &str, value: impl Into<Vec<u8>>) {
        self.0.push((name.to_ascii_lowercase(), value.into()));
    }

    /// With one more field.
    #[must_use]
    pub fn with(mut self, name: &str, value: &str) -> Headers {
        self.push(name, value);
        self
    }

    /// All values of a field (name in lower case).
    pub fn all<'a>(&'a self, name: &'a str) -> impl Iterator<Item = &'a [u8]> {
        self.0
            .iter()
            .filter(move |(known, _)| known == name)
            .map(|(_, value)| value.as_slice())
    }

    /// The value of a field that occurs exactly once and is UTF-8.
    pub fn single<'a>(&'a self, name: &'a str) -> Option<&'a str> {
        let mut values = self.all(name);
        let first = values.next()?;
        if values.next().is_some() {
            None
        } else {
            std::str::from_utf8(first).ok()
        }
    }

    /// All fields.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &[u8])> {
        self.0
            .iter()
            .map(|(name, value)| (name.as_str(), value.as_slice()))
    }
}

impl fmt::Debug for Headers {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list()
            .entries(self.0.iter().map(|(name, _)| name))
            .finish()
    }
}

/// A call that an adapter wants sent.
#[derive(Clone, PartialEq, Eq)]
pub struct Request {
    /// The method.
    pub method: Method,
    /// The whole address.
    pub url: String,
    /// Header fields.
    pub headers: Headers,
    /// The body; empty for none.
    pub body: Vec<u8>,
}

impl fmt::Debug for Request {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let path = self.url.split('?').next().unwrap_or_default();
        write!(
            f,
            "{:?} {path} {:?} {} bytes",
            self.method,
            self.headers,
            self.body.len()
        )
    }
}

/// A complete answer, within the size limit.
#[derive(Clone, PartialEq, Eq)]
pub struct Response {
    /// The status code.
    pub status: u16,
    /// Header fields.
    pub headers: Headers,
    /// The body.
    pub body: Vec<u8>,
}

impl fmt::Debug for Response {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{} {:?} {} bytes",
            self.status,
            self.headers,
            self.body.len()
        )
    }
}

/// Why there is no complete answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum CallError {
    /// The request certainly never reached the other side. Carries a stable word
    /// (`connection_refused`, `dns`, `tls`).
    NotSent(&'static str),
    /// It may have reached the other side. Carries a stable word (`timeout`, `reset`,
    /// `answer_too_large`).
    Unclear(&'static str),
}

/// What a call brought.
pub type Reply = Result<Response, CallError>;
