//! `/status`: is anyone out of pocket, who, since when, and what happens next; for a tired
//! person in the first ten seconds.
//!
//! Gathers what the store, the roster and readiness say; `report` makes the page's content of
//! it as a plain value, and the three forms show that value.

pub mod concerns;
pub mod report;
pub mod text;

use super::admin::AdminState;
use super::admin::format::{self, Format};
use super::api::query::Parameters;
use super::words::{printable, sums};
use crate::core::money::Money;
use crate::core::plan::Verdict;
use crate::core::time::{Span, Time};
use crate::roster::Roster;
use crate::store::{CheckoutFilter, StoreError};
use askama::Template;
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode, Uri};
use axum::response::{IntoResponse, Response};
use report::{Report, Seen, SeenAccount, SeenShop};

/// Checkouts with money in suspense that are read one by one; beyond it, sums come from the
/// overview, which also counts payments that are merely under way.
pub const ROWS_READ: u32 = 500;

/// Money that no rule claims is summed over this long, so that a wrong rule is noticed.
pub const UNCLAIMED_OVER: Span = Span::from_hours(24);

/// Orders that look like one purchase made twice are shown this long.
pub const LOOKALIKES_OVER: Span = Span::from_hours(24);
/// Orders that look like another which are read for the page and counted at a scrape.
pub const LOOKALIKES_READ: u32 = 500;

/// Verdicts under which money may be in suspense.
const WITH_SUSPENSE: [Verdict; 5] = [
    Verdict::Matching,
    Verdict::Confirming,
    Verdict::Releasing,
    Verdict::Refunding,
    Verdict::Held,
];

#[derive(Template)]
#[template(path = "status.html")]
struct Page {
    title: String,
    report: Report,
}

impl Page {
    fn sums(&self, amounts: &[Money]) -> String {
        sums(amounts)
    }
}

/// `GET /status`
pub async fn page(State(state): State<AdminState>, headers: HeaderMap, uri: Uri) -> Response {
    let form = Parameters::read(&uri, &["format"])
        .and_then(|parameters| Format::choose(parameters.one("format")?, &headers));
    let form = match form {
        Ok(form) => form,
        Err(problem) => return problem.into_response(),
    };
    let now = state.clock.now();
    let (report, status) = match gather(&state).await {
        Ok(seen) => (Report::of(&seen, now), StatusCode::OK),
        Err(error) => {
            tracing::warn!(code = error.code(), %error, "status page is blind: store not read");
            (Report::blind(&error, now), StatusCode::SERVICE_UNAVAILABLE)
        }
    };
    let mut response = show(report, form);
    *response.status_mut() = status;
    response
}

fn show(report: Report, form: Format) -> Response {
    match form {
        Format::Json => format::json(&report),
        Format::Text => format::text(text::render(&report)),
        Format::Html => format::html(&Page {
            title: format!("{}: {}", report.level.word(), report.headline),
            report,
        }),
    }
}

async fn gather(state: &AdminState) -> Result<Seen, StoreError> {
    let roster = state.roster.load_full();
    let filter = CheckoutFilter {
        verdicts: WITH_SUSPENSE.to_vec(),
        limit: ROWS_READ,
        ..CheckoutFilter::default()
    };
    let since = state.clock.now().minus(LOOKALIKES_OVER);
    Ok(Seen {
        overview: state.store.overview().await?,
        rows: state.store.checkouts(&filter).await?,
        backlog: state.store.backlog().await?,
        marks: state.store.sweep_marks().await?,
        lookalikes: state.store.lookalikes(since, LOOKALIKES_READ).await?,
        shops: seen_shops(state, &roster).await?,
        accounts: seen_accounts(&roster),
        parts: state.readiness.report().await,
        unheard: state.telemetry.unheard(),
    })
}

async fn seen_shops(state: &AdminState, roster: &Roster) -> Result<Vec<SeenShop>, StoreError> {
    let mut shops = Vec::with_capacity(roster.shops.len());
    for (key, entry) in &roster.shops {
        let since = state.clock.now().minus(UNCLAIMED_OVER);
        shops.push(SeenShop {
            unclaimed: state.store.tallies(key, since).await?.unclaimed,
            row: state.store.shop(key).await?,
            name: printable(&entry.name),
            mode: entry.policy.mode,
            wrong_mode: state.telemetry.wrong_mode(key),
        });
    }
    Ok(shops)
}

fn seen_accounts(roster: &Roster) -> Vec<SeenAccount> {
    roster
        .accounts
        .iter()
        .map(|(account, entry)| SeenAccount {
            account: account.clone(),
            shop: entry.shop.clone(),
            sweep_every: entry.sweep_every,
            listings: entry.adapter.listings(),
        })
        .collect()
}

/// How a moment is shown beside a length of time: both, for people.
fn since(at: Time, now: Time) -> String {
    super::words::length(now.since(at))
}
