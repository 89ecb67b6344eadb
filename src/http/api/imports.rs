//! Reports that operators bring: a part of a file, read by the account's adapter, handed to the desk.
//!
//! The file says nothing of its mode, so whoever brings it must. Decides nothing: what is read goes
//! the way of a sweep.

use super::acts::{bad_field, desk_problem};
use super::read_body_within;
use crate::core::ids::AccountId;
use crate::http::admin::AdminState;
use crate::http::admin::access::Caller;
use crate::http::admin::format;
use crate::http::problem::{Code, Problem};
use crate::psp::report::ReportPart;
use crate::roster::Roster;
use axum::body::Body;
use axum::extract::{Extension, State};
use axum::response::{IntoResponse, Response};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// Largest part of a report, in bytes of JSON; the listener takes no more.
const PART_BYTES_MAX: usize = 256 * 1024;
const TAKES: &str = "{\"account\": key, \"live\": true | false, \"head\": the row of column names, \
    \"rows\": rows as written, \"line\": the first one's line in the file}";

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct WrittenPart {
    account: String,
    live: bool,
    head: String,
    rows: String,
    line: u64,
}

#[derive(Serialize)]
struct Refused {
    line: u64,
    why: String,
}

#[derive(Serialize)]
struct Imported {
    rows: u64,
    payments: u64,
    new: u64,
    ignored: BTreeMap<String, u64>,
    unknown: BTreeMap<String, u64>,
    refused: Vec<Refused>,
}

/// `POST /api/v1/imports`
pub async fn import(
    State(state): State<AdminState>,
    Extension(caller): Extension<Caller>,
    body: Body,
) -> Response {
    let written = match read_body_within::<WrittenPart>(body, PART_BYTES_MAX, TAKES).await {
        Ok(written) => written,
        Err(problem) => return problem.into_response(),
    };
    let roster = state.roster.load_full();
    let account = match account(&roster, &written) {
        Ok(account) => account,
        Err(problem) => return problem.into_response(),
    };
    let part = ReportPart {
        head: &written.head,
        rows: &written.rows,
        line: written.line,
    };
    let entry = roster.accounts.get(&account);
    let read = entry.map(|entry| entry.adapter.read_report(part, state.clock.now()));
    let reading = match read {
        Some(Ok(reading)) => reading,
        Some(Err(bad)) => {
            return Problem::new(Code::Unprocessable)
                .detail(bad.0)
                .into_response();
        }
        None => return unknown_account().into_response(),
    };
    match state.desk.import(&account, reading.payments).await {
        Ok(taken) => {
            let by = caller.name.unwrap_or_default();
            tracing::info!(
                %account, operator = by, rows = reading.rows, payments = taken.payments,
                new = taken.new, "a part of a report was imported into {account}"
            );
            let refused = reading.refused.into_iter();
            format::json(&Imported {
                rows: reading.rows,
                payments: taken.payments,
                new: taken.new,
                ignored: reading.ignored,
                unknown: reading.unknown,
                refused: refused.map(|(line, why)| Refused { line, why }).collect(),
            })
        }
        Err(error) => desk_problem(error, Code::UnknownAccount),
    }
}

/// The account named, if it is of the mode that the report is said to be of.
fn account(roster: &Roster, written: &WrittenPart) -> Result<AccountId, Problem> {
    let account = AccountId::parse(&written.account).map_err(|_| unknown_account())?;
    let entry = roster.accounts.get(&account).ok_or_else(unknown_account)?;
    if entry.rules.live == written.live {
        Ok(account)
    } else {
        Err(bad_field("live", "the account's own mode"))
    }
}

fn unknown_account() -> Problem {
    Problem::new(Code::UnknownAccount).detail("no PSP account has this key")
}
