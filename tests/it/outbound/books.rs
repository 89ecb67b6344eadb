//! Many calls against a site that drops connections at every possible point, and at the end a
//! comparison of what the client claims with what the site counted.
//!
//! The promise: an answer means that the request arrived once, "not sent" that it never did,
//! and "unclear" that it may have, but not twice.

use super::site::{Seen, answer};
use super::{ample, post};
use futures_util::future::join_all;
use reconciled::outbound::Outbound;
use reconciled::wire::CallError;
use std::collections::BTreeMap;
use std::io::{Read, Write};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::thread;

type Counts = Arc<Mutex<BTreeMap<String, usize>>>;

fn count<K: Ord>(counts: &mut BTreeMap<K, usize>, key: K) {
    let known = counts.entry(key).or_default();
    *known = known.saturating_add(1);
}

/// Sends so many requests in so many lanes and compares the books.
pub(super) async fn compare(client: &Outbound, calls: usize, lanes: usize) {
    let counts = Counts::default();
    let is_closing = Arc::new(AtomicBool::new(false));
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    let site = thread::spawn({
        let (counts, is_closing) = (counts.clone(), is_closing.clone());
        move || serve(&listener, &counts, &is_closing)
    });
    let lane = async |lane: usize| {
        let mut outcomes = Vec::new();
        for n in (lane..calls).step_by(lanes) {
            let path = format!("/{n}");
            let request = post(format!("http://{address}{path}"));
            outcomes.push((path, client.call(request, ample()).await));
        }
        outcomes
    };
    let outcomes = join_all((0..lanes).map(lane)).await;
    is_closing.store(true, Ordering::SeqCst);
    drop(TcpStream::connect(address));
    site.join().unwrap();

    let counts = counts.lock().unwrap();
    let mut kinds = BTreeMap::new();
    for (path, outcome) in outcomes.into_iter().flatten() {
        let seen = counts.get(&path).copied().unwrap_or(0);
        let (kind, fits) = match outcome {
            Ok(_) => ("answered", seen == 1),
            Err(CallError::NotSent(_)) => ("not sent", seen == 0),
            Err(CallError::Unclear(_)) => ("unclear", seen <= 1),
        };
        assert!(fits, "{path}: {kind}, but the site saw it {seen} times");
        count(&mut kinds, kind);
    }
    assert!(kinds["answered"] > calls / 4, "{kinds:?}");
    assert!(kinds["unclear"] > calls / 20, "{kinds:?}");
}

fn serve(listener: &TcpListener, counts: &Counts, is_closing: &AtomicBool) {
    let mut connections = Vec::new();
    for (n, stream) in listener.incoming().enumerate() {
        if is_closing.load(Ordering::SeqCst) {
            break;
        }
        let counts = counts.clone();
        let stream = stream.unwrap();
        if n % 7 == 6 {
            // Closed before a byte is read.
            continue;
        }
        let line = stream.try_clone().unwrap();
        let talking = thread::spawn(move || {
            talk(&stream, &counts);
            hang_up(&stream);
        });
        connections.push((line, talking));
    }
    for (line, talking) in connections {
        // The client keeps idle connections; without this their threads would wait for ever.
        hang_up(&line);
        talking.join().unwrap();
    }
}

/// Ends a connection that has a second handle. It may have ended already, which is as good.
fn hang_up(stream: &TcpStream) {
    drop(stream.shutdown(Shutdown::Both));
}

/// Serves one connection until one of the two sides ends it.
fn talk(mut stream: &TcpStream, counts: &Counts) {
    let good = answer("200 OK", &[], "{}");
    let mut bytes = Vec::new();
    let mut buffer = [0; 4096];
    loop {
        let read = stream.read(&mut buffer).unwrap_or(0);
        if read == 0 {
            return;
        }
        bytes.extend_from_slice(&buffer[..read]);
        let Some(seen) = Seen::parse(&bytes) else {
            continue;
        };
        bytes.clear();
        count(&mut counts.lock().unwrap(), seen.path().to_owned());
        let number: usize = seen.path().trim_start_matches('/').parse().unwrap();
        let (said, goes_on) = match number % 8 {
            0..=3 => (good.as_str(), true),
            // The answer is whole, and the client may believe that the connection is kept.
            4 | 5 => (good.as_str(), false),
            6 => ("", false),
            _ => ("HTTP/1.1 200 OK\r\ncontent-le", false),
        };
        if stream.write_all(said.as_bytes()).is_err() || !goes_on {
            return;
        }
    }
}
