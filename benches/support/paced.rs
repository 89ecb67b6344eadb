//! Deliveries at an even pace, from an open loop, and when the slow answers came.
//!
//! The pace is given (`PACED`, per second), so that two versions can be held against each other
//! under the same load.

use crate::SENDERS;
use crate::load;
use crate::raw::{Kind, Raw};
use crate::server::Server;
use crate::subject::{Subject, event, signed_event};
use std::time::Instant;

const PER_SECOND: f64 = 5_000.0;
const SECONDS: f64 = 4.0;
const WARM_COUNT: usize = 500;
/// The run is shown in stretches of so many milliseconds.
const STRETCH_MS: f64 = 100.0;

pub(crate) async fn run() {
    let given = std::env::var("PACED").ok();
    let per_second = given.map_or(PER_SECOND, |text| text.parse().unwrap());
    let storm: usize = std::env::var("STORM").map_or(0, |text| text.parse().unwrap());
    let server = Server::start();
    if std::env::var("PACED_RAW").is_ok() {
        for (name, kind) in [
            ("raw, SQLite", Kind::Sqlite),
            ("raw, PostgreSQL", Kind::Postgres(server.database())),
        ] {
            let raw = Raw::start(&kind).await;
            pace(name, raw.address, per_second).await;
            raw.stop();
        }
    }
    for (name, database) in [("SQLite", None), ("PostgreSQL", Some(server.database()))] {
        let subject = Subject::start_on(database).await;
        if storm > 0 {
            let requests: Vec<Vec<u8>> = (0..storm).map(|n| signed_event(&event("s", n))).collect();
            let ran = load::run(subject.public, &requests, SENDERS).await;
            println!("{name}: a storm of {storm}: {}", ran.line());
            subject.until_drained().await;
        }
        let (before, begun) = (subject.cpu(), Instant::now());
        let server_before = crate::running::cpu(server.process());
        let count = pace(name, subject.public, per_second).await;
        subject.until_drained().await;
        let each = (subject.cpu() - before).as_secs_f64() * 1e6 / count as f64;
        let server_each = (crate::running::cpu(server.process()) - server_before).as_secs_f64()
            * 1e6
            / count as f64;
        println!(
            "{name}: all decided after {:.1} s; CPU {each:.0} us each, server {server_each:.0}, RSS {} MiB",
            begun.elapsed().as_secs_f64(),
            subject.rss_mib()
        );
        subject.stop().await;
    }
}

async fn pace(name: &str, to: std::net::SocketAddr, per_second: f64) -> usize {
    let made = |part: &str, count: usize| -> Vec<Vec<u8>> {
        (0..count).map(|n| signed_event(&event(part, n))).collect()
    };
    load::run(to, &made("w", WARM_COUNT), SENDERS).await;
    let requests = made("p", (per_second * SECONDS) as usize);
    let ran = load::run_at(to, &requests, SENDERS, per_second).await;
    println!(
        "{name}: at {per_second:.0}/s p50 {:.1}, p99 {:.1}, p99.9 {:.1} ms",
        ran.at(0.5),
        ran.at(0.99),
        ran.at(0.999)
    );
    let slowest = ran.slowest_of_each(STRETCH_MS);
    let shown: Vec<String> = slowest.iter().map(|ms| format!("{ms:.0}")).collect();
    println!("  slowest of each {STRETCH_MS:.0} ms: {}", shown.join(" "));
    requests.len() + WARM_COUNT
}
