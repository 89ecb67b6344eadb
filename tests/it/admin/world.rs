//! The admin listener over fixed rows, with a desk that notes what it was asked.
//!
//! Knows the public interface alone.

pub(super) use super::rows::*;
pub(super) use super::stock::Stock;
use crate::support::failing_store::FailingStore;
use arc_swap::ArcSwap;
use async_trait::async_trait;
use axum::Router;
use axum::body::Body;
use http::{HeaderMap, Request, StatusCode};
use http_body_util::BodyExt;
use reconciled::clock::Clock;
use reconciled::core::fact::Ruling;
use reconciled::core::ids::{AccountId, ActionKey, CheckoutId, ShopId};
use reconciled::core::order::OrderSnapshot;
use reconciled::core::payment::PaymentSnapshot;
use reconciled::core::policy::{Mode, Policy};
use reconciled::core::time::Time;
use reconciled::desk::{Desk, DeskError, Imported};
use reconciled::http::admin::{AdminState, Replay, ReplayError, router};
use reconciled::http::counters::IntakeCounters;
use reconciled::http::health::{IntakeQueue, Readiness, StoreWrite};
use reconciled::http::intake::{Intake, IntakeLimits, IntakeWriter, intake};
use reconciled::http::listener::Peer;
use reconciled::outbound::pace::PaceLimits;
use reconciled::psp::{RawDelivery, Unreadable, Verification};
use reconciled::roster::{AdminToken, Role, Roster, ShopEntry};
use reconciled::shop::{Shop, ShopAnswer, ShopAsk};
use reconciled::store::{Appended, LoadedCheckout, Store};
use reconciled::telemetry::Telemetry;
use reconciled::wire::{Reply, Request as WireRequest};
use secrecy::SecretString;
use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};
use tower::ServiceExt;

pub(super) const OPERATOR: &str = "operator-token-of-the-tests";
pub(super) const VIEWER: &str = "viewer-token-of-the-tests";

/// What the desk was asked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Asked {
    Rule(CheckoutId, Ruling, Option<i64>),
    Release(ShopId, String, String),
    Recheck(ShopId, Time, String),
    Sweep(Option<AccountId>, Option<Time>),
    Import(AccountId, Vec<PaymentSnapshot>),
}

type Answerer = dyn Fn() -> Result<LoadedCheckout, DeskError> + Send + Sync;

/// A desk that notes what it was asked, and answers rulings as told.
pub(super) struct NotingDesk {
    pub(super) asked: Mutex<Vec<Asked>>,
    pub(super) answer: Box<Answerer>,
}

#[async_trait]
impl Desk for NotingDesk {
    async fn rule(
        &self,
        checkout: &CheckoutId,
        ruling: Ruling,
        if_version: Option<i64>,
    ) -> Result<LoadedCheckout, DeskError> {
        let asked = Asked::Rule(checkout.clone(), ruling, if_version);
        self.asked.lock().unwrap().push(asked);
        (self.answer)()
    }
    async fn release_brake(&self, shop: &ShopId, by: &str, note: &str) -> Result<u64, DeskError> {
        let asked = Asked::Release(shop.clone(), by.to_owned(), note.to_owned());
        self.asked.lock().unwrap().push(asked);
        Ok(3)
    }
    async fn recheck(
        &self,
        shop: &ShopId,
        since: Time,
        _by: &str,
        note: &str,
    ) -> Result<u64, DeskError> {
        let asked = Asked::Recheck(shop.clone(), since, note.to_owned());
        self.asked.lock().unwrap().push(asked);
        Ok(2)
    }
    async fn sweep(
        &self,
        account: Option<&AccountId>,
        since: Option<Time>,
    ) -> Result<u64, DeskError> {
        let asked = Asked::Sweep(account.cloned(), since);
        self.asked.lock().unwrap().push(asked);
        Ok(1)
    }
    async fn import(
        &self,
        account: &AccountId,
        payments: Vec<PaymentSnapshot>,
    ) -> Result<Imported, DeskError> {
        let asked = Asked::Import(account.clone(), payments);
        self.asked.lock().unwrap().push(asked);
        Ok(Imported::default())
    }
}

/// Entry 1 replays, entry 2 still fails, all others do not exist.
struct FixedReplay;

#[async_trait]
impl Replay for FixedReplay {
    async fn replay(&self, id: i64) -> Result<Appended, ReplayError> {
        match id {
            1 => Ok(Appended::New),
            2 => Err(ReplayError::Refused("wrong secret\u{1b}[2J".to_owned())),
            _ => Err(ReplayError::NotFound),
        }
    }
}

/// A shop adapter that is never asked anything here.
struct SilentShop;

impl Shop for SilentShop {
    fn verify(&self, _: &RawDelivery<'_>, _: Time) -> Verification {
        unreachable!("the admin listener verifies no delivery")
    }
    fn read(&self, _: &[u8], _: Time) -> Result<OrderSnapshot, Unreadable> {
        unreachable!("the admin listener reads no event")
    }
    fn admits_reader(&self, _: &str) -> bool {
        false
    }
    fn request(&self, _: &ShopAsk, _: &str, _: Time) -> WireRequest {
        unreachable!("the admin listener calls no shop")
    }
    fn answer(&self, _: &ShopAsk, _: &ActionKey, _: Time, _: Time, _: &Reply) -> ShopAnswer {
        unreachable!("the admin listener calls no shop")
    }
}

/// The admin listener over fixed rows.
pub(super) struct World {
    pub(super) stock: Stock,
    pub(super) has_tokens: bool,
    pub(super) answer: Box<Answerer>,
}

/// A running router with its desk.
pub(super) struct Running {
    pub(super) router: Router,
    pub(super) desk: Arc<NotingDesk>,
}

impl Default for World {
    fn default() -> World {
        World {
            stock: Stock::default(),
            has_tokens: true,
            answer: Box::new(|| Ok(Made::settled("ck_1").row())),
        }
    }
}

impl World {
    pub(super) fn with_rows(rows: impl IntoIterator<Item = Made>) -> World {
        World {
            stock: Stock {
                rows: rows.into_iter().map(Made::row).collect(),
                ..Stock::default()
            },
            ..World::default()
        }
    }

    pub(super) fn start(self) -> Running {
        let store: Arc<dyn Store> = Arc::new(self.stock.into_store());
        let desk = Arc::new(NotingDesk {
            asked: Mutex::default(),
            answer: self.answer,
        });
        let clock = Clock::manual(now());
        let readiness = Readiness::new(vec![
            Box::new(StoreWrite {
                store: Arc::clone(&store),
                clock: clock.clone(),
            }),
            Box::new(IntakeQueue(idle_intake(IntakeLimits::default()).0)),
        ]);
        let state = AdminState {
            store,
            roster: Arc::new(ArcSwap::from_pointee(roster(self.has_tokens))),
            desk: Arc::<NotingDesk>::clone(&desk),
            clock,
            telemetry: Telemetry::new("0.0.0"),
            intake: Arc::new(IntakeCounters::default()),
            readiness: Arc::new(readiness),
            replay: Arc::new(FixedReplay),
        };
        Running {
            router: router(state),
            desk,
        }
    }
}

/// An intake that nobody feeds, and whose writer is not running.
pub(super) fn idle_intake(limits: IntakeLimits) -> (Intake, IntakeWriter) {
    let store = Arc::new(FailingStore::default());
    intake(store, Arc::default(), Arc::default(), limits)
}

fn roster(has_tokens: bool) -> Roster {
    let token = |name: &str, role, token: &str| AdminToken {
        name: name.to_owned(),
        role,
        token: SecretString::from(token),
    };
    let policy = Policy {
        mode: Mode::Full,
        ..Policy::default()
    };
    let entry = ShopEntry {
        name: "Klompen & <Zoon>".to_owned(),
        policy: Arc::new(policy),
        adapter: Arc::new(SilentShop),
        pace: PaceLimits::SHOP,
    };
    Roster {
        shops: BTreeMap::from([(shop(), entry)]),
        accounts: BTreeMap::new(),
        admin_tokens: if has_tokens {
            vec![
                token("watch", Role::Viewer, VIEWER),
                token("oncall", Role::Operator, OPERATOR),
            ]
        } else {
            Vec::new()
        },
    }
}

/// A whole answer.
#[derive(Debug)]
pub(super) struct Answer {
    pub(super) status: StatusCode,
    pub(super) headers: HeaderMap,
    pub(super) body: String,
}

impl Answer {
    pub(super) fn json(&self) -> serde_json::Value {
        serde_json::from_str(&self.body).unwrap_or_else(|error| panic!("{error}: {}", self.body))
    }

    /// The stable word of a problem document.
    pub(super) fn code(&self) -> String {
        assert_eq!(self.headers["content-type"], "application/problem+json");
        self.json()["code"].as_str().unwrap().to_owned()
    }
}

impl Running {
    pub(super) async fn send(&self, request: Request<Body>) -> Answer {
        let response = self.router.clone().oneshot(request).await.unwrap();
        let (head, body) = response.into_parts();
        let bytes = body.collect().await.unwrap().to_bytes();
        Answer {
            status: head.status,
            headers: head.headers,
            body: String::from_utf8(bytes.into()).unwrap(),
        }
    }

    /// A GET by the viewer, with this `Accept`.
    pub(super) async fn get(&self, path: &str, accept: &str) -> Answer {
        let request = Request::get(path)
            .header("host", "127.0.0.1:8481")
            .header("accept", accept)
            .header("authorization", format!("Bearer {VIEWER}"));
        self.send(request.body(Body::empty()).unwrap()).await
    }

    /// A POST of JSON by the operator.
    pub(super) async fn post(&self, path: &str, body: &str) -> Answer {
        self.send(by_operator(path, body)).await
    }

    pub(super) fn asked(&self) -> Vec<Asked> {
        self.desk.asked.lock().unwrap().clone()
    }
}

pub(super) fn by_operator(path: &str, body: &str) -> Request<Body> {
    Request::post(path)
        .header("host", "127.0.0.1:8481")
        .header("content-type", "application/json")
        .header("authorization", format!("Bearer {OPERATOR}"))
        .body(Body::from(body.to_owned()))
        .unwrap()
}

pub(super) fn from_peer(mut request: Request<Body>, peer: Peer) -> Request<Body> {
    request.extensions_mut().insert(peer);
    request
}
