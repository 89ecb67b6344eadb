//! Whether a call that failed may have reached the other side.
//!
//! Only what is proven counts as not sent: an error while the connection was being made. From
//! the moment a connection stands, everything is unclear. Knows no destination.

use crate::wire::CallError;
use std::error::Error;
use std::io;

/// What a failure before the answer's head means.
pub(super) fn of(error: &reqwest::Error) -> CallError {
    if error.is_builder() {
        CallError::NotSent("bad_request")
    } else if error.is_connect() {
        CallError::NotSent(connect_word(error))
    } else {
        of_answer(error)
    }
}

/// What a failure means once the request is on its way.
pub(super) fn of_answer(error: &reqwest::Error) -> CallError {
    let is_garbled = |cause: &(dyn Error + 'static)| {
        cause
            .downcast_ref::<hyper::Error>()
            .is_some_and(hyper::Error::is_parse)
    };
    CallError::Unclear(if error.is_timeout() {
        "timeout"
    } else if causes(error).any(is_garbled) {
        "bad_http"
    } else {
        "reset"
    })
}

fn connect_word(error: &reqwest::Error) -> &'static str {
    let is_refused = |cause: &(dyn Error + 'static)| {
        cause
            .downcast_ref::<io::Error>()
            .is_some_and(|io| io.kind() == io::ErrorKind::ConnectionRefused)
    };
    if error.is_timeout() {
        "connect_timeout"
    } else if error.is_dns() {
        "dns"
    } else if causes(error).any(is_refused) {
        "connection_refused"
    } else if causes(error).any(|cause| cause.is::<rustls::Error>()) {
        "tls"
    } else {
        "connect"
    }
}

/// The error and all that caused it. An `io::Error` shows what it wraps only through `get_ref`:
/// its `source` is already the cause of that.
fn causes<'a>(error: &'a (dyn Error + 'static)) -> impl Iterator<Item = &'a (dyn Error + 'static)> {
    std::iter::successors(Some(error), |error| cause(*error))
}

fn cause<'a>(error: &'a (dyn Error + 'static)) -> Option<&'a (dyn Error + 'static)> {
    match error
        .downcast_ref::<io::Error>()
        .and_then(io::Error::get_ref)
    {
        Some(wrapped) => Some(wrapped),
        None => error.source(),
    }
}
