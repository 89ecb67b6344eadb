//! Processes under measurement: what they and their children use, and how they end.
//!
//! Reads `/proc`; knows nothing of what runs in them.

use std::collections::BTreeSet;
use std::net::SocketAddr;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

/// Processor time, user and system, that a process, its children and those it outlived have used,
/// in steps of a clock tick (10 ms).
pub(crate) fn cpu(process: u32) -> Duration {
    let ticks: u64 = family(process)
        .iter()
        .filter_map(|one| fields(*one))
        .map(|fields| (11..15).map(|nth| number(&fields, nth)).sum::<u64>())
        .sum();
    Duration::from_millis(10 * ticks)
}

/// Resident memory of a process and its children. What they share counts each time.
pub(crate) fn rss_mib(process: u32) -> u64 {
    let pages: u64 = family(process)
        .iter()
        .filter_map(|one| fields(*one))
        .map(|fields| number(&fields, 21))
        .sum();
    pages * 4096 / (1024 * 1024)
}

/// The fields of `/proc/N/stat` after the name; none when the process is gone.
fn fields(process: u32) -> Option<Vec<String>> {
    let stat = std::fs::read_to_string(format!("/proc/{process}/stat")).ok()?;
    let (_, fields) = stat.rsplit_once(')')?;
    Some(fields.split_whitespace().map(str::to_owned).collect())
}

fn number(fields: &[String], nth: usize) -> u64 {
    fields[nth].parse().unwrap()
}

fn family(process: u32) -> BTreeSet<u32> {
    let everyone: Vec<(u32, u32)> = std::fs::read_dir("/proc")
        .unwrap()
        .filter_map(|entry| entry.ok()?.file_name().to_str()?.parse().ok())
        .filter_map(|one| {
            let parent = fields(one)?.get(1)?.parse().ok()?;
            Some((one, parent))
        })
        .collect();
    let mut family = BTreeSet::from([process]);
    loop {
        let before = family.len();
        let born = everyone
            .iter()
            .filter(|(_, parent)| family.contains(parent));
        let born: Vec<u32> = born.map(|(one, _)| *one).collect();
        family.extend(born);
        if family.len() == before {
            return family;
        }
    }
}

/// Ends a process, and its children, which a kill of their parent would leave.
pub(crate) fn stop(mut child: Child) {
    let mut children = family(child.id());
    children.remove(&child.id());
    child.kill().unwrap();
    child.wait().unwrap();
    for one in children {
        // It may have ended with its parent: whether there was anything to end does not matter.
        let ended = Command::new("kill")
            .args(["-9", &one.to_string()])
            .stderr(Stdio::null())
            .status();
        ended.unwrap();
    }
}

/// Waits until someone listens there.
pub(crate) async fn until_it_listens(address: SocketAddr) {
    let begun = Instant::now();
    while TcpStream::connect(address).await.is_err() {
        assert!(
            begun.elapsed() < Duration::from_secs(20),
            "it did not start"
        );
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
}

pub(crate) async fn free_port() -> SocketAddr {
    TcpListener::bind("127.0.0.1:0")
        .await
        .unwrap()
        .local_addr()
        .unwrap()
}

/// What a server answers, head and body.
pub(crate) async fn get(from: SocketAddr, path: &str) -> String {
    let mut stream = TcpStream::connect(from).await.unwrap();
    let request = format!("GET {path} HTTP/1.1\r\nhost: {from}\r\nconnection: close\r\n\r\n");
    stream.write_all(request.as_bytes()).await.unwrap();
    let mut text = String::new();
    stream.read_to_string(&mut text).await.unwrap();
    text
}
