//! What every request must satisfy before a router sees it, and its body read whole.
//!
//! Knows HTTP's framing and our limits, no path and no sender.

use super::super::problem::{Code, Problem};
use super::{HEAD_BYTES_MAX, HEAD_FIELDS_MAX, Limits};
use axum::body::Body;
use bytes::Bytes;
use http::{Method, Request, Version, header};
use http_body_util::{BodyExt, LengthLimitError, Limited};
use hyper::body::{Body as _, Incoming};

/// What a sender whom we kept waiting too long is told to wait, in seconds.
pub(super) const RETRY_AFTER_S: u32 = 10;

/// A request that does not get past the gate.
pub(super) struct Refusal {
    /// What it is told.
    pub(super) problem: Problem,
    /// True when its body was not read to the end, so that the connection is of no more use.
    pub(super) is_unread: bool,
}

/// Checks the head, reads the body.
pub(super) async fn admit(
    request: Request<Incoming>,
    limits: &Limits,
) -> Result<Request<Body>, Refusal> {
    let has_body = !request.body().is_end_stream();
    if let Err(code) = check_head(&request, limits) {
        let mut problem = Problem::new(code);
        if code == Code::MethodNotAllowed {
            problem = problem.allow("GET, HEAD, POST");
        }
        return Err(Refusal {
            problem,
            is_unread: has_body,
        });
    }
    let (head, body) = request.into_parts();
    if !has_body {
        return Ok(Request::from_parts(head, Body::empty()));
    }
    match tokio::time::timeout(limits.body_read, read(body, limits.body_bytes_max)).await {
        Ok(Ok(whole)) => Ok(Request::from_parts(head, Body::from(whole))),
        Ok(Err(code)) => Err(code),
        Err(_elapsed) => Err(Code::RequestTimeout),
    }
    .map_err(|code| Refusal {
        problem: Problem::new(code),
        is_unread: true,
    })
}

fn check_head(request: &Request<Incoming>, limits: &Limits) -> Result<(), Code> {
    let fields = request.headers();
    if fields.len() > HEAD_FIELDS_MAX || head_bytes(request) > HEAD_BYTES_MAX {
        return Err(Code::HeadTooLarge);
    }
    let hosts = fields.get_all(header::HOST).iter().count();
    let is_host_right = if request.version() == Version::HTTP_11 {
        hosts == 1
    } else {
        hosts <= 1
    };
    if !is_host_right {
        return Err(Code::BadHost);
    }
    if [Method::TRACE, Method::CONNECT].contains(request.method()) {
        return Err(Code::MethodNotAllowed);
    }
    if fields.contains_key(header::CONTENT_ENCODING) {
        return Err(Code::EncodedBody);
    }
    let announced = request.body().size_hint().lower();
    if announced > u64::try_from(limits.body_bytes_max).unwrap_or(u64::MAX) {
        return Err(Code::BodyTooLarge);
    }
    Ok(())
}

/// The head's size, as good as what arrived: names and values with their separators.
fn head_bytes(request: &Request<Incoming>) -> usize {
    let uri = request.uri();
    let address = uri.path_and_query().map_or(0, |path| path.as_str().len());
    request
        .headers()
        .iter()
        .map(|(name, value)| {
            name.as_str()
                .len()
                .saturating_add(value.len())
                .saturating_add(4)
        })
        .fold(address, usize::saturating_add)
}

async fn read(body: Incoming, bytes_max: usize) -> Result<Bytes, Code> {
    match Limited::new(body, bytes_max).collect().await {
        Ok(collected) => Ok(collected.to_bytes()),
        Err(error) if error.is::<LengthLimitError>() => Err(Code::BodyTooLarge),
        Err(_) => Err(Code::BodyIncomplete),
    }
}
