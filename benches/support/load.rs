//! A load generator: so many senders, each with one kept connection, that send as fast as they are
//! answered (closed loop), or at a given rate whatever the answers take (open loop).
//!
//! Sends requests that were made beforehand and wants a 2xx for each; knows nothing else.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

/// What a run brought.
pub(crate) struct Ran {
    count: usize,
    took: Duration,
    spans: Vec<f64>,
    /// When each began or was due, and how long it took, in milliseconds.
    moments: Vec<(f64, f64)>,
}

impl Ran {
    pub(crate) fn per_second(&self) -> f64 {
        self.count as f64 / self.took.as_secs_f64()
    }

    /// How long all but this share took at most, in milliseconds.
    pub(crate) fn at(&self, share: f64) -> f64 {
        self.spans[((self.spans.len() - 1) as f64 * share) as usize]
    }

    /// The slowest answer of each stretch of the run, in the order of their beginnings.
    pub(crate) fn slowest_of_each(&self, stretch_ms: f64) -> Vec<f64> {
        let mut slowest = Vec::new();
        for (at, span) in &self.moments {
            let nth = (at / stretch_ms) as usize;
            slowest.resize(slowest.len().max(nth + 1), 0.0);
            slowest[nth] = span.max(slowest[nth]);
        }
        slowest
    }

    pub(crate) fn line(&self) -> String {
        format!(
            "{:.0}/s, p50 {:.1} ms, p99 {:.1} ms",
            self.per_second(),
            self.at(0.5),
            self.at(0.99)
        )
    }
}

/// Sends every request once, each sender as soon as it has its answer.
pub(crate) async fn run(to: SocketAddr, requests: &[Vec<u8>], senders: usize) -> Ran {
    play(to, requests, senders, None).await
}

/// Sends every request once, so many a second. What a request took counts from the moment it was
/// due, so that one late answer is counted in all that it held up.
pub(crate) async fn run_at(
    to: SocketAddr,
    requests: &[Vec<u8>],
    senders: usize,
    per_second: f64,
) -> Ran {
    play(to, requests, senders, Some(per_second)).await
}

async fn play(
    to: SocketAddr,
    requests: &[Vec<u8>],
    senders: usize,
    per_second: Option<f64>,
) -> Ran {
    let requests: Arc<Vec<Vec<u8>>> = Arc::new(requests.to_vec());
    let next = Arc::new(AtomicUsize::new(0));
    let begun = Instant::now();
    let every = per_second.map(|rate| Duration::from_secs_f64(1.0 / rate));
    let pace = every.map(|every| Pace { begun, every });
    let tasks: Vec<_> = (0..senders.min(requests.len()))
        .map(|_| tokio::spawn(send(to, requests.clone(), next.clone(), pace)))
        .collect();
    let mut moments = Vec::with_capacity(requests.len());
    for task in tasks {
        for (at, span) in task.await.expect("a sender failed") {
            moments.push(((at - begun).as_secs_f64() * 1000.0, span));
        }
    }
    let took = begun.elapsed();
    let mut spans: Vec<f64> = moments.iter().map(|(_, span)| *span).collect();
    spans.sort_by(f64::total_cmp);
    Ran {
        count: requests.len(),
        took,
        spans,
        moments,
    }
}

/// When the requests of an open loop are due.
#[derive(Clone, Copy)]
struct Pace {
    begun: Instant,
    every: Duration,
}

impl Pace {
    fn due(&self, index: usize) -> Instant {
        self.begun + self.every * u32::try_from(index).unwrap()
    }
}

async fn send(
    to: SocketAddr,
    requests: Arc<Vec<Vec<u8>>>,
    next: Arc<AtomicUsize>,
    pace: Option<Pace>,
) -> Vec<(Instant, f64)> {
    let mut stream = TcpStream::connect(to).await.expect("cannot connect");
    stream.set_nodelay(true).unwrap();
    let mut buffer = vec![0_u8; 16 * 1024];
    let mut spans = Vec::new();
    loop {
        let index = next.fetch_add(1, Ordering::Relaxed);
        let Some(request) = requests.get(index) else {
            return spans;
        };
        let begun = match pace {
            None => Instant::now(),
            Some(pace) => {
                let due = pace.due(index);
                tokio::time::sleep_until(due.into()).await;
                due
            }
        };
        loop {
            stream.write_all(request).await.expect("cannot write");
            let status = answer(&mut stream, &mut buffer).await;
            if (200..300).contains(&status) {
                break;
            }
            // Asked for patience: a real sender comes back later.
            assert!(status == 503 || status == 429, "status {status}");
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
        spans.push((begun, begun.elapsed().as_secs_f64() * 1000.0));
    }
}

/// Reads one answer and gives its status.
pub(crate) async fn answer(stream: &mut TcpStream, buffer: &mut [u8]) -> u16 {
    let mut filled = 0;
    loop {
        let read = stream
            .read(&mut buffer[filled..])
            .await
            .expect("cannot read");
        assert!(read > 0, "the connection was closed");
        filled += read;
        let text = String::from_utf8_lossy(&buffer[..filled]);
        let Some(head) = text.find("\r\n\r\n") else {
            continue;
        };
        let length = text[..head]
            .lines()
            .filter_map(|line| line.split_once(':'))
            .find(|(name, _)| name.eq_ignore_ascii_case("content-length"))
            .map_or(0, |(_, value)| value.trim().parse::<usize>().unwrap());
        if filled >= head + 4 + length {
            return text[9..12].parse().unwrap();
        }
    }
}
