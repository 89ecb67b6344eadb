//! A public listener on loopback with everything behind it but an engine.
//!
//! Closing it checks that nothing above WARN was logged.

use super::adapters::{FIELD, SECRET, roster, sign};
use super::failing_store::FailingStore;
use super::log::Heard;
use super::talk::{AGES, Answer, ask, post};
use arc_swap::ArcSwap;
use reconciled::clock::Clock;
use reconciled::core::time::Time;
use reconciled::http::counters::{IntakeCounters, Outcome, SenderKind};
use reconciled::http::intake::{IntakeLimits, intake};
use reconciled::http::listener::{Drained, Limits, Socket, serve};
use reconciled::http::public::{Public, Unshowable, router};
use reconciled::http::quarantine::quarantine;
use reconciled::lifecycle::Lifecycle;
use reconciled::roster::Roster;
use std::net::SocketAddr;
use std::sync::Arc;
use tokio::sync::Notify;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;
use tracing::Level;

pub(crate) const NOW_S: i64 = 1_795_000_000;

/// The site.
pub(crate) struct Site {
    pub(crate) address: SocketAddr,
    pub(crate) lifecycle: Lifecycle,
    pub(crate) store: Arc<FailingStore>,
    pub(crate) counters: Arc<IntakeCounters>,
    pub(crate) clock: Clock,
    pub(crate) roster: Arc<ArcSwap<Roster>>,
    pub(crate) heard: Heard,
    writers_stop: CancellationToken,
    served: JoinHandle<Drained>,
    _hearing: tracing::subscriber::DefaultGuard,
}

impl Site {
    pub(crate) async fn open() -> Site {
        Site::with(Limits::default(), IntakeLimits::default()).await
    }

    pub(crate) async fn with(limits: Limits, intake_limits: IntakeLimits) -> Site {
        let socket = Socket::bind_tcp("127.0.0.1:0".parse().unwrap())
            .await
            .unwrap();
        let address = socket.address().unwrap();
        Site::on(socket, address, limits, intake_limits)
    }

    pub(crate) fn on(
        socket: Socket,
        address: SocketAddr,
        limits: Limits,
        intake_limits: IntakeLimits,
    ) -> Site {
        let (heard, hearing) = Heard::start();
        let lifecycle = Lifecycle::new();
        let store = Arc::new(FailingStore::default());
        let counters = Arc::new(IntakeCounters::default());
        let clock = Clock::manual(Time::from_seconds(NOW_S));
        let wake = Arc::new(Notify::new());
        let roster = Arc::new(ArcSwap::from_pointee(roster(SECRET)));
        let writers_stop = CancellationToken::new();
        let (inbox, writer) = intake(store.clone(), wake, counters.clone(), intake_limits);
        let (way_in, keeper) = quarantine(store.clone(), counters.clone());
        let tracker = lifecycle.tracker();
        tracker.spawn(writer.run(writers_stop.clone()));
        tracker.spawn(keeper.run(writers_stop.clone()));
        let routes = router(Public {
            roster: roster.clone(),
            intake: inbox,
            quarantine: way_in,
            unsigned: Default::default(),
            counters: counters.clone(),
            clock: clock.clone(),
            store: store.clone(),
            show: Arc::new(|checkout| {
                let id = checkout.row.id.as_str();
                if id == "unshowable" {
                    return Err(Unshowable("for this test".to_owned()));
                }
                Ok(format!("{{\"id\":\"{id}\"}}").into_bytes())
            }),
        });
        let served = tracker.spawn(serve("public", socket, routes, limits, lifecycle.clone()));
        Site {
            address,
            lifecycle,
            store,
            counters,
            clock,
            roster,
            heard,
            writers_stop,
            served,
            _hearing: hearing,
        }
    }

    /// A signed delivery for `plain_nl`.
    pub(crate) fn signed(&self, body: &[u8]) -> Vec<u8> {
        let signature = sign(SECRET, self.clock.now(), body);
        post("/webhooks/plain_nl", &[(FIELD, &signature)], body)
    }

    /// Sends a signed delivery and reads its answer.
    pub(crate) async fn deliver(&self, body: &[u8]) -> Answer {
        ask(self.address, &self.signed(body)).await
    }

    pub(crate) fn count(&self, kind: SenderKind, outcome: Outcome) -> u64 {
        self.counters.read(kind, outcome)
    }

    /// Waits until a request stands before the store.
    pub(crate) async fn until_served(&self) {
        self.store.until(|store| store.appends_begun() > 0).await;
    }

    /// The site still serves: a fresh signed delivery is taken.
    pub(crate) async fn assert_well(&self) {
        assert_eq!(self.deliver(b"{\"id\":\"still_well\"}").await.status, 200);
    }

    /// Stops as the daemon would, and checks the log.
    pub(crate) async fn close(self) -> Drained {
        self.lifecycle.stop();
        let drained = tokio::time::timeout(AGES, self.served)
            .await
            .expect("the listener did not stop")
            .unwrap();
        self.writers_stop.cancel();
        let ended = self.lifecycle.finish(AGES).await;
        assert_eq!(ended, reconciled::lifecycle::Ended::Drained);
        assert_eq!(self.heard.at(Level::ERROR), Vec::<String>::new());
        drained
    }
}
