//! One listener: accepts connections within limits and drives HTTP/1.1 on each by hand.
//!
//! Knows sockets, limits and a router, not what the router serves. Every limit that protects
//! against a stranger stands here with its reason.

mod gate;
mod line;

use axum::Router;
use axum::response::{IntoResponse, Response};
use gate::Refusal;
use http::{HeaderValue, Request, StatusCode, header};
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use line::{Line, Patience, Turn};
use std::convert::Infallible;
use std::io;
use std::net::SocketAddr;
use std::os::unix::fs::{FileTypeExt, PermissionsExt};
use std::path::Path;
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpListener, TcpStream, UnixListener, UnixStream};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio_util::sync::CancellationToken;
use tower::ServiceExt;

use super::problem::{Code, Problem};
use crate::lifecycle::{Inherited, Lifecycle};

/// A request's head must be complete this long after its first byte, the first request's after
/// the connection was made.
const HEADER_READ: Duration = Duration::from_secs(5);
/// A proxy may keep a connection unused this long.
const KEEP_ALIVE_IDLE: Duration = Duration::from_secs(60);
/// The body must be complete this long after the head.
const BODY_READ: Duration = Duration::from_secs(5);
/// The answer must be known this long after the head; PSPs give up after 10 to 20 s.
const REQUEST_TOTAL: Duration = Duration::from_secs(10);
/// A reader may stand still this long while we write.
const WRITE_STALL: Duration = Duration::from_secs(10);
/// After a refusal with the body unread, what still comes is read away for at most this long,
/// or the reset would reach the sender before the answer.
const LINGER: Duration = Duration::from_secs(1);
/// Requests under way when the daemon stops get this long.
const DRAIN: Duration = Duration::from_secs(10);
/// Pause after an `accept` that failed for want of something (file descriptors, memory).
const ACCEPT_PAUSE: Duration = Duration::from_millis(50);
/// Longest head that is taken, in bytes.
const HEAD_BYTES_MAX: usize = 16 * 1024;
/// Most header fields that are taken.
const HEAD_FIELDS_MAX: usize = 64;
/// Longest body, in bytes.
const BODY_BYTES_MAX: usize = 256 * 1024;
/// Connections at once; the rest waits in the backlog.
const CONNECTIONS_MAX: usize = 512;
/// The parser stops here, with a bare 431; between the limit above and this one there is room
/// to answer with a document.
const PARSER_BYTES_MAX: usize = 2 * HEAD_BYTES_MAX;
/// As above, for fields.
const PARSER_FIELDS_MAX: usize = HEAD_FIELDS_MAX + HEAD_FIELDS_MAX / 2;
/// Bytes read away after a refusal.
const LINGER_BYTES_MAX: usize = 512 * 1024;
/// Who may use a Unix socket of ours: its owner and group.
const UNIX_MODE: u32 = 0o660;

/// What a listener lets its peers do. The default is for strangers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Time for a head.
    pub header_read: Duration,
    /// Time between requests on one connection.
    pub keep_alive_idle: Duration,
    /// Time for a body.
    pub body_read: Duration,
    /// Time for an answer, the body included.
    pub request_total: Duration,
    /// Time without progress while writing.
    pub write_stall: Duration,
    /// Time for requests under way at the end.
    pub drain: Duration,
    /// Longest body, in bytes.
    pub body_bytes_max: usize,
    /// Connections at once.
    pub connections_max: u32,
}

impl Default for Limits {
    fn default() -> Limits {
        Limits {
            header_read: HEADER_READ,
            keep_alive_idle: KEEP_ALIVE_IDLE,
            body_read: BODY_READ,
            request_total: REQUEST_TOTAL,
            write_stall: WRITE_STALL,
            drain: DRAIN,
            body_bytes_max: BODY_BYTES_MAX,
            connections_max: u32::try_from(CONNECTIONS_MAX).unwrap_or(u32::MAX),
        }
    }
}

/// Who is at the other end, as the socket says; a request extension.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Peer {
    /// A TCP peer.
    Tcp(SocketAddr),
    /// Someone on this machine whom the socket's mode lets in.
    Unix,
}

impl Peer {
    /// True when the peer is this machine.
    pub fn is_local(self) -> bool {
        match self {
            Peer::Tcp(address) => address.ip().to_canonical().is_loopback(),
            Peer::Unix => true,
        }
    }
}

/// A bound socket.
#[derive(Debug)]
pub enum Socket {
    /// TCP.
    Tcp(TcpListener),
    /// Unix stream.
    Unix(UnixListener),
}

impl Socket {
    /// Binds a TCP address; port 0 lets the system choose.
    pub async fn bind_tcp(address: SocketAddr) -> io::Result<Socket> {
        TcpListener::bind(address).await.map(Socket::Tcp)
    }

    /// Binds a Unix socket for owner and group. A socket file that nobody listens on any more
    /// is replaced; anything else in the way is an error.
    pub async fn bind_unix(path: &Path) -> io::Result<Socket> {
        let listener = match UnixListener::bind(path) {
            Err(error) if error.kind() == io::ErrorKind::AddrInUse => {
                if !std::fs::symlink_metadata(path)?.file_type().is_socket() {
                    return Err(error);
                }
                match UnixStream::connect(path).await {
                    Err(refused) if refused.kind() == io::ErrorKind::ConnectionRefused => {
                        std::fs::remove_file(path)?;
                        UnixListener::bind(path)?
                    }
                    Ok(_) | Err(_) => return Err(error),
                }
            }
            bound => bound?,
        };
        std::fs::set_permissions(path, std::fs::Permissions::from_mode(UNIX_MODE))?;
        Ok(Socket::Unix(listener))
    }

    /// Takes a socket that the service manager bound.
    pub fn inherit(inherited: Inherited) -> io::Result<Socket> {
        match inherited {
            Inherited::Tcp(listener) => {
                listener.set_nonblocking(true)?;
                TcpListener::from_std(listener).map(Socket::Tcp)
            }
            Inherited::Unix(listener) => {
                listener.set_nonblocking(true)?;
                UnixListener::from_std(listener).map(Socket::Unix)
            }
        }
    }

    /// The TCP address, with the port that was chosen; none for a Unix socket.
    pub fn address(&self) -> Option<SocketAddr> {
        match self {
            Socket::Tcp(listener) => listener.local_addr().ok(),
            Socket::Unix(_) => None,
        }
    }

    async fn accept(&self) -> io::Result<(Accepted, Peer)> {
        match self {
            Socket::Tcp(listener) => {
                let (stream, address) = listener.accept().await?;
                stream.set_nodelay(true)?;
                Ok((Accepted::Tcp(stream), Peer::Tcp(address)))
            }
            Socket::Unix(listener) => {
                let (stream, _) = listener.accept().await?;
                Ok((Accepted::Unix(stream), Peer::Unix))
            }
        }
    }
}

enum Accepted {
    Tcp(TcpStream),
    Unix(UnixStream),
}

/// How a listener ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Drained {
    /// Every request under way was answered.
    Whole,
    /// So many connections were cut off at the limit or by the hard stop.
    Cut {
        /// How many.
        connections: usize,
    },
}

/// What the connections of one listener share.
struct Shared {
    router: Router,
    limits: Limits,
    seats: Arc<Semaphore>,
    soft: CancellationToken,
    cut: CancellationToken,
}

/// Serves until the soft stop, then lets requests under way finish. The socket is let go of at
/// the soft stop. `name` is for the log.
pub async fn serve(
    name: &'static str,
    socket: Socket,
    router: Router,
    limits: Limits,
    lifecycle: Lifecycle,
) -> Drained {
    let seats_max = usize::try_from(limits.connections_max).unwrap_or(usize::MAX);
    let shared = Arc::new(Shared {
        router,
        limits,
        seats: Arc::new(Semaphore::new(seats_max)),
        soft: lifecycle.soft().clone(),
        cut: lifecycle.hard().child_token(),
    });
    tokio::select! {
        biased;
        () = shared.soft.cancelled() => {}
        () = accept_all(name, &socket, &shared, &lifecycle) => {}
    }
    drop(socket);
    let whole = shared.seats.acquire_many(limits.connections_max);
    let drained = tokio::select! {
        biased;
        outcome = tokio::time::timeout(limits.drain, whole) => outcome.is_ok(),
        () = shared.cut.cancelled() => false,
    };
    if drained {
        return Drained::Whole;
    }
    let connections = seats_max.saturating_sub(shared.seats.available_permits());
    shared.cut.cancel();
    if connections == 0 {
        Drained::Whole
    } else {
        tracing::warn!(
            listener = name,
            connections,
            "connections cut off while stopping"
        );
        Drained::Cut { connections }
    }
}

async fn accept_all(
    name: &'static str,
    socket: &Socket,
    shared: &Arc<Shared>,
    lifecycle: &Lifecycle,
) {
    let mut is_failing = false;
    // A seat first: without one nobody is let in, and the backlog waits.
    while let Ok(seat) = shared.seats.clone().acquire_owned().await {
        match socket.accept().await {
            Ok((accepted, peer)) => {
                is_failing = false;
                let shared = Arc::clone(shared);
                match accepted {
                    Accepted::Tcp(stream) => lifecycle
                        .tracker()
                        .spawn(converse(stream, peer, shared, seat)),
                    Accepted::Unix(stream) => lifecycle
                        .tracker()
                        .spawn(converse(stream, peer, shared, seat)),
                };
            }
            Err(error) if is_the_peers_fault(&error) => {}
            Err(error) => {
                if !is_failing {
                    tracing::warn!(listener = name, %error, "cannot accept connections");
                }
                is_failing = true;
                tokio::time::sleep(ACCEPT_PAUSE).await;
            }
        }
    }
}

fn is_the_peers_fault(error: &io::Error) -> bool {
    [
        io::ErrorKind::ConnectionAborted,
        io::ErrorKind::ConnectionReset,
        io::ErrorKind::Interrupted,
        io::ErrorKind::NotConnected,
    ]
    .contains(&error.kind())
}

/// One connection, from its first byte to its last. The seat is given back at its end.
async fn converse<S>(stream: S, peer: Peer, shared: Arc<Shared>, seat: OwnedSemaphorePermit)
where
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    let turn = Arc::new(Turn::default());
    let patience = Patience {
        head: shared.limits.header_read,
        idle: shared.limits.keep_alive_idle,
        stall: shared.limits.write_stall,
        linger: LINGER,
        linger_bytes_max: LINGER_BYTES_MAX,
    };
    let line = Line::new(
        stream,
        patience,
        Arc::clone(&turn),
        Arc::clone(&shared.seats),
    );
    let service = service_fn(|request| {
        turn.begin();
        answer(request, peer, Arc::clone(&turn), Arc::clone(&shared))
    });
    // The line keeps the time for heads: the parser's own timer cannot tell an idle connection
    // from a half-sent head.
    let connection = http1::Builder::new()
        .header_read_timeout(None)
        .max_buf_size(PARSER_BYTES_MAX)
        .max_headers(PARSER_FIELDS_MAX)
        .serve_connection(TokioIo::new(line), service);
    let mut connection = pin!(connection);
    let ended = tokio::select! {
        biased;
        ended = connection.as_mut() => Some(ended),
        () = shared.soft.cancelled() => None,
    };
    let ended = match ended {
        Some(ended) => Some(ended),
        None => {
            connection.as_mut().graceful_shutdown();
            tokio::select! {
                biased;
                ended = connection.as_mut() => Some(ended),
                () = shared.cut.cancelled() => None,
            }
        }
    };
    if let Some(Err(error)) = ended {
        tracing::debug!(%error, "connection ended early");
    }
    drop(seat);
}

/// One request, from its head to its answer's head.
async fn answer(
    request: Request<Incoming>,
    peer: Peer,
    turn: Arc<Turn>,
    shared: Arc<Shared>,
) -> Result<Response, Infallible> {
    let limits = &shared.limits;
    let answered = tokio::time::timeout(limits.request_total, async {
        let mut request = gate::admit(request, limits).await?;
        request.extensions_mut().insert(peer);
        let Ok(response) = shared.router.clone().oneshot(request).await;
        Ok(dress(response))
    })
    .await;
    let response = match answered {
        Ok(Ok(response)) => response,
        Ok(Err(Refusal { problem, is_unread })) => {
            let mut response = problem.into_response();
            if is_unread {
                turn.linger();
                let close = HeaderValue::from_static("close");
                response.headers_mut().insert(header::CONNECTION, close);
            }
            response
        }
        Err(_elapsed) => Problem::new(Code::TookTooLong)
            .retry_after(gate::RETRY_AFTER_S)
            .into_response(),
    };
    turn.end();
    Ok(response)
}

/// Gives a problem document to a refusal that the router or an extractor made by itself.
fn dress(response: Response) -> Response {
    let status = response.status();
    let is_refusal = status.is_client_error() || status == StatusCode::INTERNAL_SERVER_ERROR;
    let is_bare = response
        .headers()
        .get(header::CONTENT_TYPE)
        .is_none_or(|kind| kind.as_bytes().starts_with(b"text/plain"));
    if !(is_refusal && is_bare) {
        return response;
    }
    let mut dressed = Problem::new(Code::for_status(status)).into_response();
    for name in [header::ALLOW, header::RETRY_AFTER, header::CACHE_CONTROL] {
        if let Some(value) = response.headers().get(&name) {
            dressed.headers_mut().insert(name, value.clone());
        }
    }
    *dressed.status_mut() = status;
    dressed
}
