//! Who is at the other end of a connection, as the socket says.
//!
//! Knows no request.

use std::net::SocketAddr;

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
