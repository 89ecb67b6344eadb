//! The admin listener: its table of routes, what each asks of the caller, and the header
//! fields that every answer carries.
//!
//! Holds the store for reading and the desk for acting, and nothing more of the engine.

pub mod access;
pub mod format;

use super::api;
use super::counters::IntakeCounters;
use super::health::{self, Readiness};
use super::metrics;
use super::openapi;
use super::problem::{Code, Problem};
use super::status;
use crate::clock::Clock;
use crate::desk::Desk;
use crate::roster::Roster;
use crate::store::{Appended, Store, StoreError};
use crate::telemetry::Telemetry;
use arc_swap::ArcSwap;
use async_trait::async_trait;
use axum::Router;
use axum::extract::Request;
use axum::http::{HeaderMap, HeaderName, HeaderValue, header};
use axum::middleware::{self, Next};
use axum::response::{IntoResponse, Redirect, Response};
use axum::routing::{MethodRouter, get, post};
use std::sync::Arc;

/// Nothing may be loaded but our own style sheet, and no page may frame ours.
const CONTENT_SECURITY_POLICY: &str = "default-src 'none'; style-src 'self'; img-src 'self'; \
    base-uri 'none'; form-action 'self'; frame-ancestors 'none'";

/// Why a quarantined delivery was not replayed.
#[derive(Debug)]
pub enum ReplayError {
    /// No such entry.
    NotFound,
    /// It still fails, or its sender is not configured any more; why, as of today.
    Refused(String),
    /// The store did not take it.
    Store(StoreError),
}

/// Verifies a quarantined delivery again and puts it into the inbox.
#[async_trait]
pub trait Replay: Send + Sync + 'static {
    /// Replays one entry by its number; says whether the inbox knew it already.
    async fn replay(&self, id: i64) -> Result<Appended, ReplayError>;
}

/// What the admin listener holds.
#[derive(Clone)]
pub struct AdminState {
    /// The store, for reading.
    pub store: Arc<dyn Store>,
    /// Who is served, and who may watch.
    pub roster: Arc<ArcSwap<Roster>>,
    /// The desk, for acting.
    pub desk: Arc<dyn Desk>,
    /// The time.
    pub clock: Clock,
    /// The counters.
    pub telemetry: Telemetry,
    /// What the intake counted.
    pub intake: Arc<IntakeCounters>,
    /// What readiness is made of.
    pub readiness: Arc<Readiness>,
    /// The way back out of the quarantine.
    pub replay: Arc<dyn Replay>,
}

/// The table of routes: method, path, handler. The router is made from it, and a test holds it
/// against the OpenAPI document.
pub fn routes() -> Vec<(&'static str, &'static str, MethodRouter<AdminState>)> {
    vec![
        ("get", "/", get(|| async { Redirect::to("/status") })),
        ("get", "/healthz", get(health::healthz)),
        ("get", "/readyz", get(health::readyz)),
        ("get", "/metrics", get(metrics::scrape)),
        ("get", "/status", get(status::page)),
        ("get", "/status.css", get(format::style_sheet)),
        ("get", "/openapi.json", get(openapi::document)),
        ("get", "/api/v1/checkouts", get(api::checkouts::list)),
        ("get", "/api/v1/checkouts/{id}", get(api::checkouts::show)),
        (
            "post",
            "/api/v1/checkouts/{id}/rulings",
            post(api::acts::rule),
        ),
        (
            "post",
            "/api/v1/shops/{shop}/resume",
            post(api::acts::resume),
        ),
        (
            "post",
            "/api/v1/shops/{shop}/recheck",
            post(api::acts::recheck),
        ),
        ("post", "/api/v1/sweeps", post(api::acts::sweep)),
        ("post", "/api/v1/imports", post(api::imports::import)),
        ("get", "/api/v1/statements", get(api::statements::show)),
        ("get", "/api/v1/parked", get(api::deliveries::parked)),
        (
            "get",
            "/api/v1/quarantine",
            get(api::deliveries::quarantined),
        ),
        (
            "post",
            "/api/v1/quarantine/{id}/replay",
            post(api::deliveries::replay),
        ),
    ]
}

/// The admin listener's router. The listener puts a `listener::Peer` into each request's
/// extensions; a request without one counts as coming from afar.
pub fn router(state: AdminState) -> Router {
    routes()
        .into_iter()
        .fold(Router::new(), |router, (_, path, handler)| {
            router.route(path, handler)
        })
        .fallback(|| async { Problem::new(Code::NotFound).detail("see /openapi.json") })
        .method_not_allowed_fallback(|| async {
            Problem::new(Code::MethodNotAllowed).detail("see /openapi.json")
        })
        .layer(middleware::from_fn_with_state(state.clone(), access::gate))
        .layer(middleware::from_fn(guard_answers))
        .with_state(state)
}

/// Sets the header fields that every answer carries, refusals included.
async fn guard_answers(request: Request, next: Next) -> Response {
    let mut response = next.run(request).await;
    set_guards(response.headers_mut());
    response
}

fn set_guards(headers: &mut HeaderMap) {
    let fields: [(HeaderName, &'static str); 6] = [
        (header::CACHE_CONTROL, "no-store"),
        (header::CONTENT_SECURITY_POLICY, CONTENT_SECURITY_POLICY),
        (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
        (header::X_FRAME_OPTIONS, "DENY"),
        (header::REFERRER_POLICY, "no-referrer"),
        (header::VARY, "Accept, Authorization"),
    ];
    for (name, value) in fields {
        headers.insert(name, HeaderValue::from_static(value));
    }
}

/// A store's refusal as an answer. What is wrong with a row is for the log, not for the wire.
pub(super) fn store_problem(error: &StoreError) -> Response {
    match error {
        StoreError::Unavailable(_) => {
            tracing::warn!(code = error.code(), %error, "admin request failed: store unavailable");
            let problem = Problem::new(Code::StoreUnavailable).detail("try again in a moment");
            let mut response = problem.into_response();
            let wait = HeaderValue::from_static("5");
            response.headers_mut().insert(header::RETRY_AFTER, wait);
            response
        }
        StoreError::Corrupt { .. } | StoreError::Schema(_) => {
            tracing::error!(code = error.code(), %error, "admin request failed: bad row or schema");
            Problem::new(Code::Internal)
                .detail("the log says what is wrong")
                .into_response()
        }
    }
}
