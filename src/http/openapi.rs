//! `/openapi.json`: the OpenAPI 3.1 document of both listeners, written by hand.
//!
//! A test holds it against the routes, the problem codes, the verdicts and the reasons.

use super::admin::format;
use axum::response::Response;

/// The document.
pub const OPENAPI: &str = include_str!("openapi.json");

/// `GET /openapi.json`
pub async fn document() -> Response {
    format::typed(OPENAPI, "application/json")
}
