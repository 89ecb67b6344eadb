//! The whole way, webhook to settled, of the daemon and of the least that goes it (`crate::whole`), in
//! turn, on either database: the orders are known, the shop answers at once.

use crate::raw::{Kind, Raw};
use crate::server::Server;
use crate::subject::{Subject, event, order, serve_shop, signed_event, signed_order};
use crate::{RUNS, SENDERS, load, median, running};
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

/// Orders in one run.
const COUNT: usize = 12_000;
/// How often the yardstick is asked how far it is, as the daemon is.
const LOOK_EVERY: Duration = Duration::from_millis(100);

#[derive(Clone, Copy)]
enum On {
    Sqlite,
    Postgres,
}

impl On {
    fn name(self) -> &'static str {
        match self {
            On::Sqlite => "SQLite",
            On::Postgres => "PostgreSQL",
        }
    }

    fn database(self, server: &Server) -> Option<String> {
        match self {
            On::Sqlite => None,
            On::Postgres => Some(server.database()),
        }
    }
}

/// Whoever goes the whole way.
enum Goes {
    Ours(Box<Subject>),
    Raw(Raw, tokio::task::JoinHandle<()>),
}

impl Goes {
    async fn ours(on: On, server: &Server) -> Goes {
        Goes::Ours(Box::new(Subject::start_on(on.database(server)).await))
    }

    async fn raw(on: On, server: &Server) -> Goes {
        let (shop_at, shop) = serve_shop(Arc::default()).await;
        let raw = Raw::start(&Kind::Whole(shop_at, on.database(server))).await;
        Goes::Raw(raw, shop)
    }

    fn name(&self) -> &'static str {
        match self {
            Goes::Ours(_) => "",
            Goes::Raw(..) => "the least, ",
        }
    }

    fn address(&self) -> SocketAddr {
        match self {
            Goes::Ours(subject) => subject.public,
            Goes::Raw(raw, _) => raw.address,
        }
    }

    fn process(&self) -> u32 {
        match self {
            Goes::Ours(subject) => subject.process(),
            Goes::Raw(raw, _) => raw.process(),
        }
    }

    async fn announce(&self, orders: &[Vec<u8>]) {
        load::run(self.address(), orders, SENDERS).await;
        if let Goes::Ours(subject) = self {
            subject.until_drained().await;
        }
    }

    async fn until_settled(&self) {
        match self {
            Goes::Ours(subject) => subject.until_settled(COUNT).await,
            Goes::Raw(raw, _) => {
                let begun = Instant::now();
                while settled(raw.address).await < COUNT {
                    assert!(begun.elapsed() < Duration::from_secs(120), "not settled");
                    tokio::time::sleep(LOOK_EVERY).await;
                }
            }
        }
    }

    async fn stop(self) {
        match self {
            Goes::Ours(subject) => subject.stop().await,
            Goes::Raw(raw, shop) => {
                raw.stop();
                shop.abort();
            }
        }
    }
}

async fn settled(at: SocketAddr) -> usize {
    let answer = running::get(at, "/settled").await;
    let figure = answer.lines().last();
    figure.and_then(|line| line.parse().ok()).unwrap()
}

pub(crate) async fn run() {
    let server = Server::start();
    let wanted = std::env::var("SETTLED_ON").unwrap_or_default();
    let both = [On::Sqlite, On::Postgres].into_iter();
    for on in both.filter(|on| on.name().to_lowercase().starts_with(&wanted)) {
        let (mut ours, mut least) = (Vec::new(), Vec::new());
        for run in 0..RUNS {
            least.push(one(Goes::raw(on, &server).await, on, run).await);
            server.clear();
            ours.push(one(Goes::ours(on, &server).await, on, run).await);
            server.clear();
        }
        let (ours, least) = (median(ours), median(least));
        println!(
            "end to end on {}: {ours:.0} settled/s, the least that goes the whole way {least:.0}/s, \
             ratio {:.2} (medians of {RUNS})",
            on.name(),
            ours / least
        );
    }
}

async fn one(goes: Goes, on: On, run: usize) -> f64 {
    let name = format!("s{run}");
    let orders: Vec<Vec<u8>> = (0..COUNT).map(|n| signed_order(&order(&name, n))).collect();
    goes.announce(&orders).await;
    let events: Vec<Vec<u8>> = (0..COUNT).map(|n| signed_event(&event(&name, n))).collect();
    let (begun, before) = (Instant::now(), running::cpu(goes.process()));
    let result = load::run(goes.address(), &events, SENDERS).await;
    goes.until_settled().await;
    let (took, used) = (begun.elapsed(), running::cpu(goes.process()) - before);
    let rate = COUNT as f64 / took.as_secs_f64();
    let cost = used.as_secs_f64() * 1e6 / COUNT as f64;
    println!(
        "{}{}: settled {COUNT} in {:.2} s: {rate:.0}/s, CPU {cost:.0} µs each (intake {}; RSS {} MiB)",
        goes.name(),
        on.name(),
        took.as_secs_f64(),
        result.line(),
        running::rss_mib(goes.process())
    );
    goes.stop().await;
    rate
}
