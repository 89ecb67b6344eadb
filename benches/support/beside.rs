//! Everyone side by side, in one run: the yardsticks, the daemon, and the handlers that most teams
//! would write.
//!
//! In each round everybody takes a storm (64 senders, each as fast as it is answered), then half of
//! what it managed at an even pace, whatever the answers take. The medians of the rounds are printed
//! as one table. What each one does with a webhook stands where it is.

use crate::peer::{self, Peer};
use crate::raw::{self, Raw};
use crate::server::Server;
use crate::subject::{Subject, event, signed_event};
use crate::{SENDERS, load, median, running};
use std::net::SocketAddr;
use std::time::Duration;

const ROUNDS: usize = 5;
/// How long each keeps half its pace.
const EVEN_SECONDS: f64 = 4.0;
const WARM_COUNT: usize = 500;

#[derive(Clone, Copy)]
enum Who {
    Bare,
    Signed,
    RawSqlite,
    RawPostgres,
    OursSqlite,
    OursPostgres,
    Express,
    FastApi,
}

const EVERYONE: [Who; 8] = [
    Who::Bare,
    Who::Signed,
    Who::RawSqlite,
    Who::RawPostgres,
    Who::OursSqlite,
    Who::OursPostgres,
    Who::Express,
    Who::FastApi,
];

impl Who {
    fn name(self) -> &'static str {
        match self {
            Who::Bare => "bare handler",
            Who::Signed => "bare handler + HMAC",
            Who::RawSqlite => "raw group commit, SQLite",
            Who::RawPostgres => "raw group commit, PostgreSQL",
            Who::OursSqlite => "reconciled, SQLite",
            Who::OursPostgres => "reconciled, PostgreSQL",
            Who::Express => "Express + PostgreSQL",
            Who::FastApi => "FastAPI + PostgreSQL",
        }
    }

    /// Webhooks in a storm: some seconds' worth.
    fn storm(self) -> usize {
        match self {
            Who::Bare | Who::Signed => 60_000,
            Who::RawSqlite | Who::RawPostgres | Who::OursSqlite | Who::OursPostgres => 30_000,
            Who::Express => 5_000,
            Who::FastApi => 3_000,
        }
    }

    fn needs_server(self) -> bool {
        match self {
            Who::RawPostgres | Who::OursPostgres | Who::Express | Who::FastApi => true,
            Who::Bare | Who::Signed | Who::RawSqlite | Who::OursSqlite => false,
        }
    }
}

/// Somebody under measurement.
enum Started {
    Raw(Raw),
    Ours(Box<Subject>),
    Peer(Peer),
}

impl Started {
    async fn start(who: Who, server: &Server) -> Started {
        match who {
            Who::Bare => Started::Raw(Raw::start(&raw::Kind::Bare).await),
            Who::Signed => Started::Raw(Raw::start(&raw::Kind::Signed).await),
            Who::RawSqlite => Started::Raw(Raw::start(&raw::Kind::Sqlite).await),
            Who::RawPostgres => {
                Started::Raw(Raw::start(&raw::Kind::Postgres(server.database())).await)
            }
            Who::OursSqlite => Started::Ours(Box::new(Subject::start().await)),
            Who::OursPostgres => {
                Started::Ours(Box::new(Subject::start_on(Some(server.database())).await))
            }
            Who::Express => {
                Started::Peer(Peer::start(peer::Kind::Express, &server.database()).await)
            }
            Who::FastApi => {
                Started::Peer(Peer::start(peer::Kind::FastApi, &server.database()).await)
            }
        }
    }

    fn address(&self) -> SocketAddr {
        match self {
            Started::Raw(raw) => raw.address,
            Started::Ours(subject) => subject.public,
            Started::Peer(peer) => peer.address,
        }
    }

    fn process(&self) -> u32 {
        match self {
            Started::Raw(raw) => raw.process(),
            Started::Ours(subject) => subject.process(),
            Started::Peer(peer) => peer.process(),
        }
    }

    async fn stop(self) {
        match self {
            Started::Raw(raw) => raw.stop(),
            Started::Ours(subject) => subject.stop().await,
            Started::Peer(peer) => peer.stop(),
        }
    }
}

/// What the rounds of one brought, one figure for each round.
#[derive(Default)]
struct Figures {
    rates: Vec<f64>,
    p50: Vec<f64>,
    p99: Vec<f64>,
    p999: Vec<f64>,
    rss: Vec<f64>,
    cpu: Vec<f64>,
    server_cpu: Vec<f64>,
}

pub(crate) async fn run() {
    let server = Server::start();
    let mut all: Vec<Figures> = EVERYONE.iter().map(|_| Figures::default()).collect();
    for round in 0..ROUNDS {
        for (who, figures) in EVERYONE.iter().zip(&mut all) {
            one(*who, round, &server, figures).await;
        }
    }
    print(&all);
}

fn requests(who: Who, round: usize, part: &str, count: usize) -> Vec<Vec<u8>> {
    let run = format!("{part}{}r{round}", who.name().len());
    (0..count).map(|n| signed_event(&event(&run, n))).collect()
}

async fn one(who: Who, round: usize, server: &Server, figures: &mut Figures) {
    let started = Started::start(who, server).await;
    let warm = requests(who, round, "w", WARM_COUNT);
    load::run(started.address(), &warm, SENDERS).await;
    let storm = requests(who, round, "s", who.storm());
    let used = |process| running::cpu(process).as_secs_f64() * 1e6 / who.storm() as f64;
    let (before, server_before) = (used(started.process()), used(server.process()));
    let ran = load::run(started.address(), &storm, SENDERS).await;
    // What was put off until after the storm counts as well.
    settle_down(&started).await;
    let cpu = used(started.process()) - before;
    let server_cpu = used(server.process()) - server_before;
    let rss = running::rss_mib(started.process());
    let rate = ran.per_second();
    let half = rate / 2.0;
    let even = requests(who, round, "e", (half * EVEN_SECONDS) as usize);
    let paced = load::run_at(started.address(), &even, SENDERS, half).await;
    println!(
        "{:30} {rate:7.0}/s; at half of it p50 {:.1}, p99 {:.1}, p99.9 {:.1} ms; RSS {rss} MiB; \
         CPU {cpu:.0} s per million",
        who.name(),
        paced.at(0.5),
        paced.at(0.99),
        paced.at(0.999)
    );
    figures.rates.push(rate);
    figures.p50.push(paced.at(0.5));
    figures.p99.push(paced.at(0.99));
    figures.p999.push(paced.at(0.999));
    figures.rss.push(rss as f64);
    figures.cpu.push(cpu);
    figures
        .server_cpu
        .push(if who.needs_server() { server_cpu } else { 0.0 });
    started.stop().await;
    server.clear();
}

async fn settle_down(started: &Started) {
    match started {
        Started::Ours(subject) => subject.until_drained().await,
        Started::Raw(_) | Started::Peer(_) => {
            tokio::time::sleep(Duration::from_millis(200)).await;
        }
    }
}

fn print(all: &[Figures]) {
    let medians: Vec<f64> = all.iter().map(|one| median(one.rates.clone())).collect();
    let against = |who: Who| {
        medians[EVERYONE
            .iter()
            .position(|one| one.name() == who.name())
            .unwrap()]
    };
    println!(
        "\nmedians of {ROUNDS} rounds; each figure per webhook taken in, the latencies at half the rate\n"
    );
    println!(
        "| who | per second | x raw, same database | x HMAC | x Express | p50 ms | p99 ms | p99.9 ms \
         | RSS MiB | CPU-s per million | database's CPU-s |"
    );
    println!("| --- |{}", " ---: |".repeat(10));
    for ((who, figures), rate) in EVERYONE.iter().zip(all).zip(&medians) {
        let raw = if who.needs_server() {
            Who::RawPostgres
        } else {
            Who::RawSqlite
        };
        println!(
            "| {} | {rate:.0} | {:.2} | {:.2} | {:.1} | {:.1} | {:.1} | {:.1} | {:.0} | {:.0} | {:.0} |",
            who.name(),
            rate / against(raw),
            rate / against(Who::Signed),
            rate / against(Who::Express),
            median(figures.p50.clone()),
            median(figures.p99.clone()),
            median(figures.p999.clone()),
            median(figures.rss.clone()),
            median(figures.cpu.clone()),
            median(figures.server_cpu.clone()),
        );
    }
}
