//! A TLS server with a well-formed certificate that no authority vouches for.
//!
//! Certificate and key are made here from fixed bytes: there is no secret in it, and no file
//! that could expire.

use rustls::pki_types::{CertificateDer, PrivateKeyDer, PrivatePkcs8KeyDer};
use rustls::{ServerConfig, ServerConnection};
use std::io::Read;
use std::net::{SocketAddr, TcpListener};
use std::sync::Arc;
use std::thread::{self, JoinHandle};

/// The stranger, waiting for one connection.
pub(super) struct Stranger {
    address: SocketAddr,
    thread: JoinHandle<Vec<u8>>,
}

impl Stranger {
    pub(super) fn listen() -> Stranger {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let config = Arc::new(config());
        let thread = thread::spawn(move || {
            let (mut socket, _) = listener.accept().unwrap();
            let mut session = ServerConnection::new(config).unwrap();
            let mut heard = Vec::new();
            let mut stream = rustls::Stream::new(&mut session, &mut socket);
            // Ends with the client's alert; what came before it is what counts.
            stream.read_to_end(&mut heard).unwrap_err();
            heard
        });
        Stranger { address, thread }
    }

    pub(super) fn url(&self) -> String {
        format!("https://localhost:{}/", self.address.port())
    }

    /// Everything that was said to it inside the encrypted connection.
    pub(super) fn heard(self) -> Vec<u8> {
        self.thread.join().unwrap()
    }
}

fn config() -> ServerConfig {
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let mut private = vec![
        0x30, 0x2e, 0x02, 0x01, 0x00, 0x30, 0x05, 0x06, 0x03, 0x2b, 0x65, 0x70,
    ];
    private.extend([0x04, 0x22, 0x04, 0x20]);
    private.extend([7; 32]);
    let private = PrivateKeyDer::Pkcs8(PrivatePkcs8KeyDer::from(private));
    let key = provider
        .key_provider
        .load_private_key(private.clone_key())
        .unwrap();
    let public = key.public_key().unwrap().to_vec();
    ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(vec![certificate(&public)], private)
        .unwrap()
}

/// An X.509 certificate for `localhost`, valid from 2020 to 2049, over this public key.
fn certificate(public: &[u8]) -> CertificateDer<'static> {
    let ed25519 = der(0x30, &[&der(0x06, &[&[0x2b, 0x65, 0x70]])]);
    let common_name = der(0x06, &[&[0x55, 0x04, 0x03]]);
    let attribute = der(0x30, &[&common_name, &der(0x0c, &[b"localhost"])]);
    let name = der(0x30, &[&der(0x31, &[&attribute])]);
    let validity = der(
        0x30,
        &[
            &der(0x17, &[b"200101000000Z"]),
            &der(0x17, &[b"491231235959Z"]),
        ],
    );
    let alternative_name = der(
        0x30,
        &[
            &der(0x06, &[&[0x55, 0x1d, 0x11]]),
            &der(0x04, &[&der(0x30, &[&der(0x82, &[b"localhost"])])]),
        ],
    );
    let to_be_signed = der(
        0x30,
        &[
            &der(0xa0, &[&der(0x02, &[&[2]])]),
            &der(0x02, &[&[1]]),
            &ed25519,
            &name,
            &validity,
            &name,
            public,
            &der(0xa3, &[&der(0x30, &[&alternative_name])]),
        ],
    );
    // Nobody gets as far as the signature: the issuer is unknown.
    let signature = der(0x03, &[&[0; 65]]);
    CertificateDer::from(der(0x30, &[&to_be_signed, &ed25519, &signature]))
}

/// One DER element.
fn der(tag: u8, parts: &[&[u8]]) -> Vec<u8> {
    let content = parts.concat();
    let length = u16::try_from(content.len()).unwrap();
    let mut element = vec![tag];
    match length.to_be_bytes() {
        [0, short] if short < 0x80 => element.push(short),
        [0, middle] => element.extend([0x81, middle]),
        long => {
            element.push(0x82);
            element.extend(long);
        }
    }
    element.extend(content);
    element
}
