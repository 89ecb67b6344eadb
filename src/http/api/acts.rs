//! Acts: an operator's ruling, the release of a shop's brake, settled orders asked about again,
//! and a sweep.
//!
//! Only checks and hands over to the desk; what may be done is decided there, under the same
//! guards as the daemon's own decisions.

use super::checkouts::{etag, unknown_checkout};
use super::query::{parse_moment, refused};
use super::read_body;
use crate::core::fact::{Ruling, RulingKind};
use crate::core::ids::{AccountId, CheckoutId, ShopId};
use crate::core::plan::RulingRefused;
use crate::core::time::Time;
use crate::desk::DeskError;
use crate::http::admin::access::Caller;
use crate::http::admin::format;
use crate::http::admin::{AdminState, store_problem};
use crate::http::problem::{Code, Problem};
use crate::http::view;
use crate::store::LoadedCheckout;
use axum::body::Body;
use axum::extract::{Extension, Path, State};
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{IntoResponse, Response};
use serde::{Deserialize, Serialize};
use std::collections::BTreeSet;

/// Longest note, in characters.
pub const NOTE_CHARS_MAX: usize = 1_000;
/// Most policy keys that one ruling may override, and the longest of them in bytes.
const OVERRIDES_MAX: usize = 16;
const OVERRIDE_BYTES_MAX: usize = 64;

const RULING_TAKES: &str = "{\"ruling\": \"retry\" | \"confirm\" | \"refund\" | \"hold\" | \
    \"resume\" | \"settle\", \"note\": \"why\", \"overrides\": [policy keys, optional]}";
const RESUME_TAKES: &str = "{\"note\": \"why\"}";
const RECHECK_TAKES: &str = "{\"since\": RFC 3339, \"note\": \"why\"}";
const SWEEP_TAKES: &str = "{\"account\": key (optional), \"since\": RFC 3339 (optional)}";

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct WrittenRuling {
    ruling: RulingKind,
    note: String,
    #[serde(default)]
    overrides: Vec<String>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct WrittenResume {
    note: String,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct WrittenRecheck {
    since: String,
    note: String,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct WrittenSweep {
    #[serde(default)]
    account: Option<String>,
    #[serde(default)]
    since: Option<String>,
}

#[derive(Serialize)]
struct Resumed {
    shop: String,
    checkouts: u64,
}

#[derive(Serialize)]
struct Sweeping {
    accounts: u64,
}

/// `POST /api/v1/checkouts/{id}/rulings`
pub async fn rule(
    State(state): State<AdminState>,
    Extension(caller): Extension<Caller>,
    Path(id): Path<String>,
    headers: HeaderMap,
    body: Body,
) -> Response {
    let Ok(id) = CheckoutId::parse(&id) else {
        return unknown_checkout();
    };
    let asked = match if_version(&headers) {
        Ok(version) => ruling(body, &caller, state.clock.now())
            .await
            .map(|ruling| (ruling, version)),
        Err(problem) => Err(problem),
    };
    let (ruling, version) = match asked {
        Ok(asked) => asked,
        Err(problem) => return problem.into_response(),
    };
    let kind = ruling.ruling;
    let outcome = state.desk.rule(&id, ruling, version).await;
    tracing::info!(
        checkout.id = %id,
        operator = caller.name.as_deref().unwrap_or_default(),
        ruling = view::word(&kind),
        is_taken = outcome.is_ok(),
        "operator ruling {}",
        if outcome.is_ok() { "recorded" } else { "not recorded" },
    );
    match outcome {
        Ok(loaded) => ruled(&loaded),
        Err(error) => desk_problem(error, Code::UnknownCheckout),
    }
}

/// The version that `If-Match` names; none when it is absent or `*`.
fn if_version(headers: &HeaderMap) -> Result<Option<i64>, Problem> {
    let must_be = "one ETag of this checkout, such as \"5\"";
    let mut fields = headers.get_all(header::IF_MATCH).iter();
    let Some(field) = fields.next() else {
        return Ok(None);
    };
    if fields.next().is_some() {
        return Err(refused("If-Match", must_be));
    }
    let text = field.to_str().unwrap_or_default().trim();
    if text == "*" {
        return Ok(None);
    }
    let bare = text
        .strip_prefix('"')
        .and_then(|rest| rest.strip_suffix('"'));
    bare.and_then(|digits| digits.parse().ok())
        .map(Some)
        .ok_or_else(|| refused("If-Match", must_be))
}

async fn ruling(body: Body, caller: &Caller, now: Time) -> Result<Ruling, Problem> {
    let written: WrittenRuling = read_body(body, RULING_TAKES).await?;
    let are_keys = written.overrides.iter().all(|key| {
        let fits = (1..=OVERRIDE_BYTES_MAX).contains(&key.len());
        fits && key.bytes().all(|b| b.is_ascii_lowercase() || b == b'_')
    });
    if !are_keys || written.overrides.len() > OVERRIDES_MAX {
        return Err(bad_field(
            "overrides",
            &format!("at most {OVERRIDES_MAX} policy keys"),
        ));
    }
    Ok(Ruling {
        at: now,
        ruling: written.ruling,
        by: caller.name.clone().unwrap_or_default(),
        note: note(written.note)?,
        overrides: written.overrides.into_iter().collect::<BTreeSet<_>>(),
    })
}

/// A reason for people: some printable text, line breaks allowed.
fn note(text: String) -> Result<String, Problem> {
    let trimmed = text.trim();
    let has_controls = trimmed.chars().any(|c| c.is_control() && c != '\n');
    if trimmed.is_empty() || has_controls || trimmed.chars().count() > NOTE_CHARS_MAX {
        let must_be = format!("1 to {NOTE_CHARS_MAX} printable characters that say why");
        return Err(bad_field("note", &must_be));
    }
    Ok(trimmed.to_owned())
}

pub(super) fn bad_field(field: &str, must_be: &str) -> Problem {
    let detail = format!("`{field}` must be {must_be}");
    Problem::new(Code::BadRequest)
        .detail(detail)
        .with("pointer", format!("/{field}"))
}

fn ruled(loaded: &LoadedCheckout) -> Response {
    match view::checkout(loaded) {
        Ok(shown) => {
            let mut response = format::json(&shown);
            if let Some(tag) = etag(shown.version) {
                response.headers_mut().insert(header::ETAG, tag);
            }
            response
        }
        Err(error) => store_problem(&error),
    }
}

pub(super) fn desk_problem(error: DeskError, not_found: Code) -> Response {
    match error {
        DeskError::NotFound => Problem::new(not_found)
            .detail("nothing here has this name")
            .into_response(),
        DeskError::Moved { version } => Problem::new(Code::CheckoutMoved)
            .detail(format!(
                "it is at version {version} by now; look again, then decide"
            ))
            .with("version", version)
            .into_response(),
        DeskError::Refused(RulingRefused {
            guard,
            detail,
            may_override,
        }) => Problem::new(Code::RulingRefused)
            .detail(detail)
            .with("guard", guard)
            .with("may_override", may_override)
            .into_response(),
        DeskError::Store(error) => store_problem(&error),
    }
}

/// `POST /api/v1/shops/{shop}/resume`
pub async fn resume(
    State(state): State<AdminState>,
    Extension(caller): Extension<Caller>,
    Path(shop): Path<String>,
    body: Body,
) -> Response {
    let shop = match known_shop(&state, &shop) {
        Ok(shop) => shop,
        Err(problem) => return problem.into_response(),
    };
    let written = read_body::<WrittenResume>(body, RESUME_TAKES).await;
    let why = match written.and_then(|written| note(written.note)) {
        Ok(why) => why,
        Err(problem) => return problem.into_response(),
    };
    let by = caller.name.unwrap_or_default();
    match state.desk.release_brake(&shop, &by, &why).await {
        Ok(checkouts) => {
            tracing::info!(shop = %shop, operator = by, checkouts, "brake of {shop} released");
            format::json(&Resumed {
                shop: shop.to_string(),
                checkouts,
            })
        }
        Err(error) => desk_problem(error, Code::UnknownShop),
    }
}

fn known_shop(state: &AdminState, shop: &str) -> Result<ShopId, Problem> {
    let known = ShopId::parse(shop).ok();
    let known = known.filter(|shop| state.roster.load().shops.contains_key(shop));
    known.ok_or_else(|| Problem::new(Code::UnknownShop).detail("no shop has this key"))
}

/// `POST /api/v1/shops/{shop}/recheck`
pub async fn recheck(
    State(state): State<AdminState>,
    Extension(caller): Extension<Caller>,
    Path(shop): Path<String>,
    body: Body,
) -> Response {
    let shop = match known_shop(&state, &shop) {
        Ok(shop) => shop,
        Err(problem) => return problem.into_response(),
    };
    let written = read_body::<WrittenRecheck>(body, RECHECK_TAKES).await;
    let asked = written.and_then(|written| {
        let since = past_moment(&state, &written.since)?;
        Ok((since, note(written.note)?))
    });
    let (since, why) = match asked {
        Ok(asked) => asked,
        Err(problem) => return problem.into_response(),
    };
    let by = caller.name.unwrap_or_default();
    match state.desk.recheck(&shop, since, &by, &why).await {
        Ok(checkouts) => {
            tracing::info!(shop = %shop, operator = by, checkouts, "settled orders of {shop} are asked about again");
            let mut response = format::json(&Resumed {
                shop: shop.to_string(),
                checkouts,
            });
            *response.status_mut() = StatusCode::ACCEPTED;
            response
        }
        Err(error) => desk_problem(error, Code::UnknownShop),
    }
}

fn past_moment(state: &AdminState, text: &str) -> Result<Time, Problem> {
    let moment = parse_moment(text).filter(|since| *since <= state.clock.now());
    moment.ok_or_else(|| bad_field("since", "an RFC 3339 time in the past"))
}

/// `POST /api/v1/sweeps`
pub async fn sweep(State(state): State<AdminState>, body: Body) -> Response {
    let (account, since) = match wanted_sweep(&state, body).await {
        Ok(wanted) => wanted,
        Err(problem) => return problem.into_response(),
    };
    match state.desk.sweep(account.as_ref(), since).await {
        Ok(accounts) => {
            let mut response = format::json(&Sweeping { accounts });
            *response.status_mut() = StatusCode::ACCEPTED;
            response
        }
        Err(error) => desk_problem(error, Code::UnknownAccount),
    }
}

async fn wanted_sweep(
    state: &AdminState,
    body: Body,
) -> Result<(Option<AccountId>, Option<Time>), Problem> {
    let written: WrittenSweep = read_body(body, SWEEP_TAKES).await?;
    let account = match &written.account {
        None => None,
        Some(text) => {
            let roster = state.roster.load();
            let known = AccountId::parse(text)
                .ok()
                .filter(|account| roster.accounts.contains_key(account));
            Some(known.ok_or_else(|| {
                Problem::new(Code::UnknownAccount).detail("no PSP account has this key")
            })?)
        }
    };
    let since = match &written.since {
        None => None,
        Some(text) => Some(past_moment(state, text)?),
    };
    Ok((account, since))
}
