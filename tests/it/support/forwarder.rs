//! An address that can be led to another server, as a virtual address or a proxy before a cluster
//! is: a socket in a folder of its own, whose connections are passed on byte by byte.
//!
//! Knows where to pass them, not what they say.

use super::cluster::Cluster;
use std::io::{Read, Write};
use std::net::Shutdown;
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::PathBuf;
use std::sync::{Arc, Mutex};
use std::thread;

const SOCKET: &str = ".s.PGSQL.5432";

/// The address.
pub(crate) struct Forwarder {
    folder: tempfile::TempDir,
    leads: Arc<Mutex<Leads>>,
}

struct Leads {
    to: Option<PathBuf>,
    /// Both ends of what is passed on.
    open: Vec<UnixStream>,
}

impl Forwarder {
    /// Leads to this server's first database.
    pub(crate) fn to(cluster: &Cluster) -> Forwarder {
        let folder = tempfile::tempdir().unwrap();
        let listener = UnixListener::bind(folder.path().join(SOCKET)).unwrap();
        let leads = Arc::new(Mutex::new(Leads {
            to: Some(cluster.folder().join(SOCKET)),
            open: Vec::new(),
        }));
        let shared = Arc::clone(&leads);
        thread::spawn(move || {
            for client in listener.incoming() {
                let Ok(client) = client else { return };
                let Some(to) = shared.lock().unwrap().to.clone() else {
                    return;
                };
                // A server that is not there: the client finds its connection closed.
                let Ok(server) = UnixStream::connect(to) else {
                    continue;
                };
                let mut leads = shared.lock().unwrap();
                leads.open.push(client.try_clone().unwrap());
                leads.open.push(server.try_clone().unwrap());
                drop(leads);
                let (back, forth) = (server.try_clone().unwrap(), client.try_clone().unwrap());
                thread::spawn(move || pass_on(client, server));
                thread::spawn(move || pass_on(back, forth));
            }
        });
        Forwarder { folder, leads }
    }

    /// From now on new connections lead to another server. The old ones stay where they are.
    pub(crate) fn lead_to(&self, cluster: &Cluster) {
        self.leads.lock().unwrap().to = Some(cluster.folder().join(SOCKET));
    }

    /// Ends all that is passed on.
    pub(crate) fn cut(&self) {
        for end in self.leads.lock().unwrap().open.drain(..) {
            // Whoever is gone already is gone.
            drop(end.shutdown(Shutdown::Both));
        }
    }

    /// The address of the database.
    pub(crate) fn url(&self) -> String {
        let folder = self.folder.path().display();
        format!("postgres:///postgres?host={folder}&user=reconciled")
    }
}

impl Drop for Forwarder {
    fn drop(&mut self) {
        self.cut();
        self.leads.lock().unwrap().to = None;
        drop(UnixStream::connect(self.folder.path().join(SOCKET)));
    }
}

fn pass_on(mut from: UnixStream, mut to: UnixStream) {
    let mut bytes = vec![0; 16 * 1024];
    while let Ok(count) = from.read(&mut bytes) {
        if count == 0 || to.write_all(&bytes[..count]).is_err() {
            break;
        }
    }
    drop(from.shutdown(Shutdown::Both));
    drop(to.shutdown(Shutdown::Both));
}
