//! Deliveries that were set aside: parked ones, which were verified but could not be taken, and
//! quarantined ones, which failed verification and can be replayed.
//!
//! Shows where they came from and why they are here, never what is in them.

use super::query::Parameters;
use crate::http::admin::format::{self, Format};
use crate::http::admin::{AdminState, ReplayError, store_problem};
use crate::http::problem::{Code, Problem};
use crate::http::words::{printable, rfc3339};
use crate::store::{Appended, ParkedDelivery, Quarantined};
use askama::Template;
use axum::extract::{Path, State};
use axum::http::{HeaderMap, Uri};
use axum::response::{IntoResponse, Response};
use serde::Serialize;

/// A delivery as operators see it.
#[derive(Serialize)]
struct Entry {
    id: i64,
    sender: String,
    received_at: String,
    why: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    delivery_id: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    body_bytes: Option<usize>,
}

#[derive(Serialize)]
struct Entries {
    deliveries: Vec<Entry>,
}

#[derive(Template)]
#[template(path = "deliveries.html")]
struct Page {
    title: &'static str,
    about: &'static str,
    entries: Vec<Entry>,
}

const PARKED: (&str, &str) = (
    "Parked deliveries",
    "Verified, but they could not be read or taken. They were acknowledged and are kept.",
);
const QUARANTINED: (&str, &str) = (
    "Quarantine",
    "They failed verification and changed nothing. Mend the cause, then replay them; a replay \
     verifies again.",
);

/// `GET /api/v1/parked`
pub async fn parked(State(state): State<AdminState>, headers: HeaderMap, uri: Uri) -> Response {
    let (limit, form) = match asked(&headers, &uri) {
        Ok(asked) => asked,
        Err(problem) => return problem.into_response(),
    };
    match state.store.parked(limit).await {
        Ok(rows) => answer(PARKED, rows.into_iter().map(parked_entry).collect(), form),
        Err(error) => store_problem(&error),
    }
}

/// `GET /api/v1/quarantine`
pub async fn quarantined(
    State(state): State<AdminState>,
    headers: HeaderMap,
    uri: Uri,
) -> Response {
    let (limit, form) = match asked(&headers, &uri) {
        Ok(asked) => asked,
        Err(problem) => return problem.into_response(),
    };
    match state.store.quarantined(limit).await {
        Ok(rows) => {
            let entries = rows.into_iter().map(quarantined_entry).collect();
            answer(QUARANTINED, entries, form)
        }
        Err(error) => store_problem(&error),
    }
}

fn asked(headers: &HeaderMap, uri: &Uri) -> Result<(u32, Format), Problem> {
    let parameters = Parameters::read(uri, &["limit", "format"])?;
    let form = Format::choose(parameters.one("format")?, headers)?;
    Ok((parameters.limit()?, form))
}

fn parked_entry(row: ParkedDelivery) -> Entry {
    Entry {
        id: row.id,
        sender: row.sender.code(),
        received_at: rfc3339(row.received_at),
        why: printable(&row.why),
        delivery_id: Some(printable(&row.delivery_id)),
        body_bytes: None,
    }
}

fn quarantined_entry(row: Quarantined) -> Entry {
    Entry {
        id: row.id,
        sender: row.sender.code(),
        received_at: rfc3339(row.received_at),
        why: printable(&row.diagnosis),
        delivery_id: None,
        body_bytes: Some(row.body.len()),
    }
}

fn answer(
    (title, about): (&'static str, &'static str),
    entries: Vec<Entry>,
    form: Format,
) -> Response {
    match form {
        Format::Json => format::json(&Entries {
            deliveries: entries,
        }),
        Format::Html => format::html(&Page {
            title,
            about,
            entries,
        }),
        Format::Text => {
            let lines: Vec<String> = entries
                .iter()
                .map(|entry| {
                    let Entry {
                        id,
                        sender,
                        received_at,
                        why,
                        ..
                    } = entry;
                    format!("{id}  {received_at}  {sender}  {why}\n")
                })
                .collect();
            format::text(if lines.is_empty() {
                format!("{title}: none.\n")
            } else {
                lines.concat()
            })
        }
    }
}

/// `POST /api/v1/quarantine/{id}/replay`
pub async fn replay(State(state): State<AdminState>, Path(id): Path<String>) -> Response {
    let Ok(id) = id.parse::<i64>() else {
        return unknown_entry();
    };
    match state.replay.replay(id).await {
        Ok(replayed) => {
            let outcome = match replayed {
                Appended::New => "accepted",
                Appended::Duplicate => "duplicate",
                Appended::Conflict => "parked",
            };
            tracing::info!(entry = id, outcome, "quarantined delivery {id} replayed");
            format::json(&serde_json::json!({"id": id, "outcome": outcome}))
        }
        Err(ReplayError::NotFound) => unknown_entry(),
        Err(ReplayError::Refused(why)) => Problem::new(Code::ReplayRefused)
            .detail(printable(&why))
            .into_response(),
        Err(ReplayError::Store(error)) => store_problem(&error),
    }
}

fn unknown_entry() -> Response {
    Problem::new(Code::UnknownEntry)
        .detail("no entry has this number")
        .into_response()
}
