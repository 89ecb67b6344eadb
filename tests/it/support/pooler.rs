//! A pooler between a store and its server that lends a connection for one transaction only, as
//! PgBouncer does in its transaction mode.
//!
//! Two transactions in a row never get the same server connection, so whatever is prepared, set or
//! locked for longer than a transaction is missed. Frames are passed on as they are. Knows of the
//! protocol where a transaction ends, and no more.

use super::cluster::Database;
use reconciled::store::postgres::PostgresOptions;
use std::collections::VecDeque;
use std::io::{Error, ErrorKind, Read, Result, Write};
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Condvar, Mutex};
use std::thread;

const SOCKET: &str = ".s.PGSQL.5432";
/// Connections to the server; two would do for turns, a third lets two clients work at once.
const SERVERS: usize = 3;
/// What a client may ask for at its start; anything else is refused.
const KNOWN_AT_START: [&str; 6] = [
    "user",
    "database",
    "application_name",
    "client_encoding",
    "DateStyle",
    "TimeZone",
];

/// The number that asks for TLS.
const TLS_WISH: [u8; 4] = 80_877_103_u32.to_be_bytes();

/// A running pooler; it lets no new client in once it is dropped.
pub(crate) struct Pooler {
    folder: tempfile::TempDir,
    options: PostgresOptions,
    is_over: Arc<AtomicBool>,
}

impl Pooler {
    /// Stands before this database.
    pub(crate) fn before(database: &Database) -> Pooler {
        let folder = tempfile::tempdir().unwrap();
        let listener = UnixListener::bind(folder.path().join(SOCKET)).unwrap();
        let servers = Arc::new(Servers {
            socket: database.folder().join(SOCKET),
            database: database.name().to_owned(),
            free: Mutex::new(VecDeque::new()),
            freed: Condvar::new(),
        });
        for _ in 0..SERVERS {
            servers.give(servers.connect().unwrap());
        }
        let is_over = Arc::new(AtomicBool::new(false));
        let told = Arc::clone(&is_over);
        thread::spawn(move || {
            for client in listener.incoming() {
                if told.load(Ordering::SeqCst) {
                    return;
                }
                let servers = Arc::clone(&servers);
                // A client that goes away ends its thread, with an error or without.
                thread::spawn(move || client.and_then(|client| serve(client, &servers)));
            }
        });
        let place = folder.path().display();
        let name = database.name();
        Pooler {
            options: PostgresOptions {
                url: format!("postgres:///{name}?host={place}&user=reconciled").into(),
                session_features: false,
                ..database.options()
            },
            folder,
            is_over,
        }
    }

    /// How a store is to be opened behind it.
    pub(crate) fn options(&self) -> PostgresOptions {
        self.options.clone()
    }
}

impl Drop for Pooler {
    fn drop(&mut self) {
        self.is_over.store(true, Ordering::SeqCst);
        drop(UnixStream::connect(self.folder.path().join(SOCKET)));
    }
}

/// Connections to the server; whoever was free longest is lent next.
struct Servers {
    socket: PathBuf,
    database: String,
    free: Mutex<VecDeque<UnixStream>>,
    freed: Condvar,
}

impl Servers {
    fn connect(&self) -> Result<UnixStream> {
        let mut server = UnixStream::connect(Path::new(&self.socket))?;
        let mut start = 196_608_u32.to_be_bytes().to_vec();
        for text in ["user", "reconciled", "database", &self.database, ""] {
            start.extend_from_slice(text.as_bytes());
            start.push(0);
        }
        let length = u32::try_from(start.len() + 4).unwrap();
        server.write_all(&length.to_be_bytes())?;
        server.write_all(&start)?;
        while Frame::read(&mut server)?.kind != b'Z' {}
        Ok(server)
    }

    fn take(&self) -> UnixStream {
        let mut free = self.free.lock().unwrap();
        loop {
            // One is left, so that the next transaction gets another.
            if free.len() > 1 {
                return free.pop_front().unwrap();
            }
            free = self.freed.wait(free).unwrap();
        }
    }

    fn give(&self, server: UnixStream) {
        self.free.lock().unwrap().push_back(server);
        self.freed.notify_one();
    }
}

struct Frame {
    kind: u8,
    bytes: Vec<u8>,
}

impl Frame {
    fn read(from: &mut UnixStream) -> Result<Frame> {
        let mut bytes = vec![0; 5];
        from.read_exact(&mut bytes)?;
        let length = u32::from_be_bytes([bytes[1], bytes[2], bytes[3], bytes[4]]);
        bytes.resize(usize::try_from(length).unwrap() + 1, 0);
        from.read_exact(&mut bytes[5..])?;
        Ok(Frame {
            kind: bytes[0],
            bytes,
        })
    }
}

fn serve(mut client: UnixStream, servers: &Servers) -> Result<()> {
    greet(&mut client)?;
    loop {
        let frame = Frame::read(&mut client)?;
        if frame.kind == b'X' {
            return Ok(());
        }
        let mut server = servers.take();
        if let Err(gone) = transact(&mut client, &mut server, frame) {
            // In the middle of a transaction: the server's end of it is of no use to others.
            drop(server);
            servers.give(servers.connect()?);
            return Err(gone);
        }
        servers.give(server);
    }
}

/// What a client opens with: a number, and texts that each end in NUL.
fn opening(client: &mut UnixStream) -> Result<Vec<u8>> {
    let mut length = [0; 4];
    client.read_exact(&mut length)?;
    let mut start = vec![0; usize::try_from(u32::from_be_bytes(length)).unwrap() - 4];
    client.read_exact(&mut start)?;
    Ok(start)
}

/// Checks what the client wants to be set, and lets it in.
fn greet(client: &mut UnixStream) -> Result<()> {
    let mut start = opening(client)?;
    if start[..4] == TLS_WISH {
        client.write_all(b"N")?;
        start = opening(client)?;
    }
    let texts = start[4..].split(|byte| *byte == 0);
    for name in texts.step_by(2).filter(|name| !name.is_empty()) {
        let name = String::from_utf8_lossy(name);
        if !KNOWN_AT_START.contains(&&*name) {
            let refusal = format!("SFATAL\0C08P01\0Munsupported startup parameter: {name}\0\0");
            let length = u32::try_from(refusal.len() + 4).unwrap();
            client.write_all(b"E")?;
            client.write_all(&length.to_be_bytes())?;
            client.write_all(refusal.as_bytes())?;
            return Err(Error::new(ErrorKind::InvalidInput, refusal));
        }
    }
    client.write_all(b"R\0\0\0\x08\0\0\0\0Z\0\0\0\x05I")
}

/// Passes on a transaction, from its first frame to the moment the server is idle again.
fn transact(client: &mut UnixStream, server: &mut UnixStream, first: Frame) -> Result<()> {
    let mut frame = first;
    loop {
        server.write_all(&frame.bytes)?;
        if [b'S', b'Q'].contains(&frame.kind) {
            loop {
                let answer = Frame::read(server)?;
                client.write_all(&answer.bytes)?;
                if answer.kind == b'Z' {
                    if answer.bytes.last() == Some(&b'I') {
                        return Ok(());
                    }
                    break;
                }
            }
        }
        frame = Frame::read(client)?;
        if frame.kind == b'X' {
            return Err(ErrorKind::UnexpectedEof.into());
        }
    }
}
