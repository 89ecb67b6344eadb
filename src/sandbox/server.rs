//! The sandbox PSP and shop as real HTTP servers on loopback.
//!
//! One HTTP/1.1 server per side; a call that a fault loses gets its connection closed. Knows how
//! to carry a request to the state machine and its answer back, and nothing else.

use super::fault::Served;
use super::world::SharedWorld;
use crate::wire::{Headers, Method, Request, Response};
use http_body_util::{BodyExt, Full, Limited};
use hyper::body::{Bytes, Incoming};
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use std::net::{Ipv4Addr, SocketAddr};
use std::time::Duration;
use tokio::net::{TcpListener, TcpStream};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

/// Largest body that the sandbox reads, in bytes.
const BODY_BYTES_MAX: usize = 1 << 20;

/// Which of the two a server is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Side {
    /// The PSP's API.
    Psp,
    /// The shop's endpoint.
    Shop,
}

/// The connection closes without an answer.
#[derive(Debug, thiserror::Error)]
#[error("the sandbox was told to lose this call")]
struct Lost;

/// Serves one side on a free port of the loopback interface until `stop`; gives its address.
pub async fn start(
    side: Side,
    world: SharedWorld,
    tracker: &TaskTracker,
    stop: CancellationToken,
) -> std::io::Result<SocketAddr> {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await?;
    let address = listener.local_addr()?;
    let connections = tracker.clone();
    tracker.spawn(async move {
        loop {
            let accepted = tokio::select! {
                accepted = listener.accept() => accepted,
                () = stop.cancelled() => return,
            };
            // A connection that could not be accepted is the caller's to make again.
            let Ok((stream, _)) = accepted else { continue };
            let (world, stop) = (world.clone(), stop.clone());
            connections.spawn(async move {
                tokio::select! {
                    () = converse(side, world, stream) => {}
                    () = stop.cancelled() => {}
                }
            });
        }
    });
    Ok(address)
}

async fn converse(side: Side, world: SharedWorld, stream: TcpStream) {
    let service = service_fn(move |request| {
        let world = world.clone();
        async move { answer(side, &world, request).await }
    });
    let connection = hyper::server::conn::http1::Builder::new()
        .serve_connection(TokioIo::new(stream), service)
        .await;
    // An error here is a lost call or a caller that hung up: both are part of the story.
    drop(connection);
}

async fn answer(
    side: Side,
    world: &SharedWorld,
    request: http::Request<Incoming>,
) -> Result<http::Response<Full<Bytes>>, Lost> {
    let Some(request) = read(request).await else {
        return Ok(http_response(&plain(400)));
    };
    let served: Served = world.with(|world, now| match side {
        Side::Psp => world.psp.serve(&request, now),
        Side::Shop => world.shop.serve(&request, now),
    });
    tokio::time::sleep(Duration::from_micros(served.delay.micros())).await;
    served.reply.map(|reply| http_response(&reply)).ok_or(Lost)
}

async fn read(request: http::Request<Incoming>) -> Option<Request> {
    let (parts, body) = request.into_parts();
    let method = match parts.method.as_str() {
        "GET" => Method::Get,
        "POST" => Method::Post,
        "DELETE" => Method::Delete,
        "PATCH" => Method::Patch,
        _ => return None,
    };
    let mut headers = Headers::new();
    for (name, value) in &parts.headers {
        headers.push(name.as_str(), value.as_bytes());
    }
    let body = Limited::new(body, BODY_BYTES_MAX).collect().await.ok()?;
    Some(Request {
        method,
        url: parts.uri.to_string(),
        headers,
        body: body.to_bytes().to_vec(),
    })
}

fn plain(status: u16) -> Response {
    Response {
        status,
        headers: Headers::new(),
        body: Vec::new(),
    }
}

fn http_response(reply: &Response) -> http::Response<Full<Bytes>> {
    let mut builder = http::Response::builder().status(reply.status);
    for (name, value) in reply.headers.iter() {
        builder = builder.header(name, value);
    }
    let body = Full::new(Bytes::from(reply.body.clone()));
    builder.body(body).unwrap_or_else(|_| {
        let mut broken = http::Response::new(Full::new(Bytes::new()));
        *broken.status_mut() = http::StatusCode::INTERNAL_SERVER_ERROR;
        broken
    })
}
