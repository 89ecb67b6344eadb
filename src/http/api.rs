//! The operators' API: checkouts and their timelines, acts, deliveries set aside, reports, statements.
//!
//! Reads the store and hands acts to the desk. What a caller sends is checked here to the last
//! field; a refusal names the parameter and what is accepted, and repeats nothing.

pub mod acts;
pub mod checkouts;
pub mod deliveries;
pub mod imports;
pub(super) mod query;
pub mod statements;

use super::problem::{Code, Problem};
use axum::body::{Body, to_bytes};
use serde::de::DeserializeOwned;

/// Largest body of an operator's request, in bytes: a ruling with a long note fits many times.
const BODY_BYTES_MAX: usize = 16 * 1024;

/// Reads a JSON object of at most `BODY_BYTES_MAX` bytes. `takes` says what is accepted.
async fn read_body<T: DeserializeOwned>(body: Body, takes: &str) -> Result<T, Problem> {
    read_body_within(body, BODY_BYTES_MAX, takes).await
}

/// The same with a limit of its own.
async fn read_body_within<T: DeserializeOwned>(
    body: Body,
    bytes_max: usize,
    takes: &str,
) -> Result<T, Problem> {
    let bytes = to_bytes(body, bytes_max).await.map_err(|_| {
        Problem::new(Code::BodyTooLarge).detail(format!("at most {bytes_max} bytes are taken"))
    })?;
    let refused = |place: String| {
        Problem::new(Code::BadRequest).detail(format!("{place}: this request takes {takes}"))
    };
    // A derived struct would also read a positional array.
    if bytes.trim_ascii_start().first() != Some(&b'{') {
        return Err(refused("not a JSON object".to_owned()));
    }
    serde_json::from_slice(&bytes)
        .map_err(|error| refused(format!("line {}, column {}", error.line(), error.column())))
}
