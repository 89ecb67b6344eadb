//! Measures the real daemon beside raw yardsticks and what others would write, in one run on one
//! machine.
//!
//! `cargo bench --bench daemon` measures everything; `-- beside`, `-- flatness`, `-- backlog`,
//! `-- pruning`, `-- paced`, `-- intake`, `-- settle`, `-- latency` and `-- memory` one part each. All
//! traffic stays on loopback and is bounded in count. What the figures mean, and what they were, stands
//! in benches/README.md.
#![expect(
    clippy::arithmetic_side_effects,
    clippy::as_conversions,
    clippy::disallowed_methods,
    clippy::expect_used,
    clippy::float_arithmetic,
    clippy::indexing_slicing,
    clippy::string_slice,
    clippy::unwrap_used,
    reason = "a measuring program: it stops at the first thing that is not as expected"
)]

#[path = "support/beside.rs"]
mod beside;
#[path = "support/filled.rs"]
mod filled;
#[path = "support/flatness.rs"]
mod flatness;
#[path = "support/keeping.rs"]
mod keeping;
#[path = "support/load.rs"]
mod load;
#[path = "support/paced.rs"]
mod paced;
#[path = "support/peer.rs"]
mod peer;
#[path = "support/raw.rs"]
mod raw;
#[path = "support/running.rs"]
mod running;
#[path = "support/server.rs"]
mod server;
#[path = "support/settle.rs"]
mod settle;
#[path = "support/subject.rs"]
mod subject;
#[path = "support/whole.rs"]
mod whole;

use std::time::{Duration, Instant};
use subject::{Subject, event, order, signed_event, signed_order};

/// Senders at once, as in a webhook storm.
const SENDERS: usize = 64;
/// Deliveries in one run of intake.
const INTAKE_COUNT: usize = 30_000;
/// Single payments for the latency.
const LATENCY_COUNT: usize = 200;
/// Open checkouts for the memory.
const OPEN_COUNT: usize = 100_000;
/// Runs of which the median counts.
const RUNS: usize = 3;

fn main() {
    let words: Vec<String> = std::env::args().skip(1).collect();
    if let Some([word, address, path]) = words.get(..3)
        && word == raw::WORD
    {
        runtime().block_on(raw::serve(address, path));
        return;
    }
    if !words.iter().any(|word| word == "--bench") {
        println!("nothing measured: run it with `cargo bench --bench daemon`");
        return;
    }
    let runtime = runtime();
    let wanted = |name: &str| {
        let named = words
            .iter()
            .filter(|word| !word.starts_with("--"))
            .collect::<Vec<_>>();
        named.is_empty() || named.iter().any(|word| *word == name)
    };
    if wanted("memory") {
        runtime.block_on(memory());
    }
    if wanted("latency") {
        runtime.block_on(latency());
    }
    if wanted("beside") {
        runtime.block_on(beside::run());
    }
    if wanted("flatness") {
        runtime.block_on(flatness::run());
    }
    if wanted("backlog") {
        runtime.block_on(keeping::backlog());
    }
    if wanted("pruning") {
        runtime.block_on(keeping::pruning());
    }
    if wanted("paced") {
        runtime.block_on(paced::run());
    }
    if wanted("intake") {
        runtime.block_on(intake());
    }
    if wanted("settle") {
        runtime.block_on(settle::run());
    }
}

fn runtime() -> tokio::runtime::Runtime {
    tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()
        .unwrap()
}

fn median(mut figures: Vec<f64>) -> f64 {
    figures.sort_by(f64::total_cmp);
    figures[figures.len() / 2]
}

/// One side of a run: how fast, and what a delivery cost the process that took it in.
struct Side {
    rates: Vec<f64>,
    costs: Vec<f64>,
}

impl Side {
    fn new() -> Side {
        Side {
            rates: Vec::new(),
            costs: Vec::new(),
        }
    }

    fn add(&mut self, name: &str, ran: &load::Ran, used: Duration, rest: &str) {
        let cost = used.as_secs_f64() * 1e6 / INTAKE_COUNT as f64;
        println!("{name} {}, CPU {cost:.1} µs each{rest}", ran.line());
        self.rates.push(ran.per_second());
        self.costs.push(cost);
    }
}

/// Durable intake beside the raw group commit, alternating.
async fn intake() {
    let (mut ours, mut bare) = (Side::new(), Side::new());
    for run in 0..RUNS {
        let requests: Vec<Vec<u8>> = (0..INTAKE_COUNT)
            .map(|n| signed_event(&event(&format!("i{run}"), n)))
            .collect();
        let yardstick = raw::Raw::start(&raw::Kind::Sqlite).await;
        let before = yardstick.cpu();
        let ran = load::run(yardstick.address, &requests, SENDERS).await;
        bare.add("raw group commit", &ran, yardstick.cpu() - before, "");
        yardstick.stop();
        let subject = Subject::start().await;
        let before = subject.cpu();
        let ran = load::run(subject.public, &requests, SENDERS).await;
        let used = subject.cpu() - before;
        let rest = format!(", RSS {} MiB", subject.rss_mib());
        ours.add("durable intake  ", &ran, used, &rest);
        subject.stop().await;
    }
    let (rate, bare_rate) = (median(ours.rates), median(bare.rates));
    let (cost, bare_cost) = (median(ours.costs), median(bare.costs));
    println!(
        "intake: {rate:.0}/s, raw group commit: {bare_rate:.0}/s, ratio {:.2}; \
         CPU {cost:.1} and {bare_cost:.1} µs each (medians of {RUNS})",
        rate / bare_rate
    );
}

/// One payment at a time on an idle daemon: webhook sent to confirm call received.
async fn latency() {
    let subject = Subject::start().await;
    let mut spans = Vec::new();
    for n in 0..LATENCY_COUNT {
        load::run(subject.public, &[signed_order(&order("l", n))], 1).await;
        subject.until_drained().await;
        let request = [signed_event(&event("l", n))];
        let before = subject.confirms();
        let begun = Instant::now();
        load::run(subject.public, &request, 1).await;
        while subject.confirms() == before {
            assert!(begun.elapsed() < Duration::from_secs(10), "no confirm call");
            tokio::time::sleep(Duration::from_micros(200)).await;
        }
        spans.push(begun.elapsed().as_secs_f64() * 1000.0);
    }
    spans.sort_by(f64::total_cmp);
    let at = |share: f64| spans[((spans.len() - 1) as f64 * share) as usize];
    println!(
        "webhook to confirm call, idle daemon: p50 {:.1} ms, p99 {:.1} ms ({LATENCY_COUNT} payments)",
        at(0.5),
        at(0.99)
    );
    subject.stop().await;
}

/// Resident memory, idle and with many open checkouts.
async fn memory() {
    let subject = Subject::start().await;
    tokio::time::sleep(Duration::from_secs(2)).await;
    println!("idle daemon: RSS {} MiB", subject.rss_mib());
    for chunk in 0..10 {
        let orders: Vec<Vec<u8>> = (0..OPEN_COUNT / 10)
            .map(|n| signed_order(&order(&format!("m{chunk}"), n)))
            .collect();
        load::run(subject.public, &orders, SENDERS).await;
    }
    subject.until_drained().await;
    println!("{OPEN_COUNT} open checkouts: RSS {} MiB", subject.rss_mib());
    subject.stop().await;
}
