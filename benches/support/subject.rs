//! The daemon under measurement, with a shop that confirms everything at once, and the signed
//! traffic for both.

use crate::running::{self, free_port, until_it_listens};
use axum::Router;
use axum::body::Bytes;
use axum::routing::post;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use hmac::{Hmac, KeyInit, Mac};
use sha2::Sha256;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant, SystemTime};
use tokio::net::TcpListener;

pub(crate) const PSP_SECRET: &str = "whsec_measured_measured_measured";
pub(crate) const SHOP_KEY: [u8; 32] = [7; 32];
/// How often the daemon is asked how far it is. Each answer counts what waits, which at thousands a
/// second is work of its own.
const LOOK_EVERY: Duration = Duration::from_millis(100);
const WAITING: &str = "reconciled_backlog{queue=\"deliveries_pending\"}";

pub(crate) struct Subject {
    pub(crate) public: SocketAddr,
    admin: SocketAddr,
    child: Child,
    confirms: Arc<AtomicUsize>,
    shop: tokio::task::JoinHandle<()>,
    directory: tempfile::TempDir,
}

/// A 1–2 kB event as the PSP sends it, for the payment and order number `n` of a run.
pub(crate) fn event(run: &str, n: usize) -> String {
    let now = seconds();
    let filler = "x".repeat(600);
    format!(
        r#"{{"id":"evt_{run}_{n}","object":"event","api_version":"2026-07-29.dahlia","created":{now},"livemode":true,"pending_webhooks":1,"request":{{"id":null,"idempotency_key":null}},"type":"payment_intent.succeeded","data":{{"object":{{"id":"pi_{run}_{n}","object":"payment_intent","amount":5995,"amount_capturable":0,"amount_received":5995,"currency":"eur","capture_method":"automatic","created":{now},"description":"{filler}","latest_charge":"ch_{run}_{n}","livemode":true,"metadata":{{"order_reference":"{run}-{n}"}},"payment_method":"pm_1","payment_method_types":["card","ideal"],"status":"succeeded"}}}}}}"#
    )
}

/// The order that the shop announces.
pub(crate) fn order(run: &str, n: usize) -> (String, String) {
    let body = format!(
        r#"{{"type":"order.pending","timestamp":"2026-11-22T00:00:00Z","data":{{"reference":"{run}-{n}","amount":{{"value":"59.95","currency":"EUR"}}}}}}"#
    );
    (format!("msg_{run}_{n}"), body)
}

fn seconds() -> u64 {
    SystemTime::now()
        .duration_since(SystemTime::UNIX_EPOCH)
        .unwrap()
        .as_secs()
}

pub(crate) fn mac(key: &[u8], parts: &[&str]) -> Vec<u8> {
    let mut mac = Hmac::<Sha256>::new_from_slice(key).unwrap();
    for part in parts {
        mac.update(part.as_bytes());
    }
    mac.finalize().into_bytes().to_vec()
}

pub(crate) fn signed_event(body: &str) -> Vec<u8> {
    let now = seconds().to_string();
    let signature = hex::encode(mac(PSP_SECRET.as_bytes(), &[&now, ".", body]));
    format!(
        "POST /webhooks/stripe_nl HTTP/1.1\r\nhost: x\r\ncontent-type: application/json\r\nstripe-signature: t={now},v1={signature}\r\ncontent-length: {}\r\n\r\n{body}",
        body.len()
    )
    .into_bytes()
}

pub(crate) fn signed_order((id, body): &(String, String)) -> Vec<u8> {
    let now = seconds().to_string();
    let signature = STANDARD.encode(mac(&SHOP_KEY, &[id, ".", &now, ".", body]));
    format!(
        "POST /shops/klompen/events HTTP/1.1\r\nhost: x\r\ncontent-type: application/json\r\nwebhook-id: {id}\r\nwebhook-timestamp: {now}\r\nwebhook-signature: v1,{signature}\r\ncontent-length: {}\r\n\r\n{body}",
        body.len()
    )
    .into_bytes()
}

impl Subject {
    /// On an SQLite file of its own.
    pub(crate) async fn start() -> Subject {
        Subject::start_on(None).await
    }

    /// On the database at this address, or on an SQLite file of its own.
    pub(crate) async fn start_on(database: Option<String>) -> Subject {
        Subject::start_in(tempfile::tempdir().unwrap(), database).await
    }

    /// On the database at this address, or on the SQLite file of this folder.
    pub(crate) async fn start_in(
        directory: tempfile::TempDir,
        database: Option<String>,
    ) -> Subject {
        let store = database.unwrap_or_else(|| format!("sqlite:{}", file(&directory).display()));
        let confirms = Arc::new(AtomicUsize::new(0));
        let (shop_at, shop) = serve_shop(confirms.clone()).await;
        let (public, admin) = (free_port().await, free_port().await);
        let path = configuration(&directory);
        let secret = STANDARD.encode(SHOP_KEY);
        let config = format!(
            r#"
[server]
public = "{public}"
admin = "{admin}"
[store]
url = "{store}"
[shop.klompen]
kind = "generic"
url = "http://{shop_at}/reconciled"
secret = {{ value = "whsec_{secret}" }}
mode = "full"
calls_at_once = 64
calls_per_second = 10000
[psp.stripe_nl]
kind = "stripe"
shop = "klompen"
api_key = {{ value = "sk_live_measured_measured_measured" }}
webhook_secrets = [{{ value = "{PSP_SECRET}" }}]
api_base = "http://127.0.0.1:9"
since = "2026-01-01T00:00:00Z"
sweep_every = "1h"
"#
        );
        std::fs::write(&path, config).unwrap();
        use std::os::unix::fs::PermissionsExt;
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o600)).unwrap();
        let child = Command::new(program())
            .args(["serve", "--config"])
            .arg(&path)
            .env("RUST_LOG", "error")
            .stderr(Stdio::inherit())
            .spawn()
            .unwrap();
        let subject = Subject {
            public,
            admin,
            child,
            confirms,
            shop,
            directory,
        };
        until_it_listens(admin).await;
        subject
    }

    /// Confirm calls that the shop has received.
    pub(crate) fn confirms(&self) -> usize {
        self.confirms.load(Ordering::SeqCst)
    }

    /// Processor time used so far.
    pub(crate) fn cpu(&self) -> Duration {
        running::cpu(self.child.id())
    }

    pub(crate) fn process(&self) -> u32 {
        self.child.id()
    }

    pub(crate) fn rss_mib(&self) -> u64 {
        running::rss_mib(self.child.id())
    }

    /// Waits until no delivery waits for the engine.
    pub(crate) async fn until_drained(&self) {
        self.until(WAITING, |sum| sum == 0.0).await;
    }

    /// How many deliveries wait for the engine.
    pub(crate) async fn waiting(&self) -> usize {
        let text = self.metrics().await;
        let line = text.lines().find(|line| line.starts_with(WAITING));
        let figure = line.and_then(|line| line.rsplit(' ').next()?.parse::<f64>().ok());
        figure.expect("the metric is there") as usize
    }

    /// Waits until so many checkouts are settled.
    pub(crate) async fn until_settled(&self, count: usize) {
        let begun = Instant::now();
        loop {
            let settled = self.settled().await;
            if settled >= count {
                return;
            }
            assert!(
                begun.elapsed() < Duration::from_secs(120),
                "settled {settled} of {count}"
            );
            tokio::time::sleep(LOOK_EVERY).await;
        }
    }

    /// How many checkouts are settled.
    pub(crate) async fn settled(&self) -> usize {
        let text = self.metrics().await;
        let lines = text
            .lines()
            .filter(|line| line.starts_with("reconciled_checkouts{") && line.contains("settled"));
        let sum: f64 = lines
            .filter_map(|line| line.rsplit(' ').next()?.parse::<f64>().ok())
            .sum();
        sum as usize
    }

    async fn until(&self, metric: &str, reached: impl Fn(f64) -> bool) {
        let begun = Instant::now();
        loop {
            let text = self.metrics().await;
            let line = text.lines().find(|line| line.starts_with(metric));
            let figure = line.and_then(|line| line.rsplit(' ').next()?.parse::<f64>().ok());
            if figure.is_some_and(&reached) {
                return;
            }
            assert!(
                begun.elapsed() < Duration::from_secs(300),
                "{metric}: {figure:?}"
            );
            tokio::time::sleep(LOOK_EVERY).await;
        }
    }

    async fn metrics(&self) -> String {
        self.get("/metrics").await
    }

    async fn get(&self, path: &str) -> String {
        running::get(self.admin, path).await
    }

    /// How long the status page takes.
    pub(crate) async fn status_page(&self) -> Duration {
        let begun = Instant::now();
        let page = self.get("/status").await;
        assert!(page.starts_with("HTTP/1.1 200"), "{page}");
        begun.elapsed()
    }

    pub(crate) async fn stop(self) {
        self.stop_and_keep().close().unwrap();
    }

    /// Stops it; its folder stays, with its configuration and its SQLite file, if it has one.
    pub(crate) fn stop_and_keep(self) -> tempfile::TempDir {
        running::stop(self.child);
        self.shop.abort();
        self.directory
    }
}

/// The program of this tree, or another version of it that is to be held against it (`MEASURED`).
pub(crate) fn program() -> PathBuf {
    let given = std::env::var_os("MEASURED");
    given.map_or_else(|| env!("CARGO_BIN_EXE_reconciled").into(), PathBuf::from)
}

/// Where the configuration is.
pub(crate) fn configuration(directory: &tempfile::TempDir) -> PathBuf {
    directory.path().join("reconciled.toml")
}

/// Where the SQLite file is.
pub(crate) fn file(directory: &tempfile::TempDir) -> PathBuf {
    directory.path().join("measured.db")
}

/// A shop that says yes to everything at once.
pub(crate) async fn serve_shop(
    confirms: Arc<AtomicUsize>,
) -> (SocketAddr, tokio::task::JoinHandle<()>) {
    let router = Router::new().route(
        "/reconciled",
        post(move |body: Bytes| {
            let confirms = confirms.clone();
            async move {
                let is_confirm = body.windows(13).any(|window| window == b"order.confirm");
                if is_confirm {
                    confirms.fetch_add(1, Ordering::SeqCst);
                }
                (
                    [("content-type", "application/json")],
                    r#"{"order":{"status":"confirmed"}}"#,
                )
            }
        }),
    );
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let task = tokio::spawn(async move {
        loop {
            let (stream, _) = listener.accept().await.unwrap();
            stream.set_nodelay(true).unwrap();
            let service = hyper_util::service::TowerToHyperService::new(router.clone());
            let io = hyper_util::rt::TokioIo::new(stream);
            let connection =
                hyper::server::conn::http1::Builder::new().serve_connection(io, service);
            tokio::spawn(async move { drop(connection.await) });
        }
    });
    (address, task)
}
