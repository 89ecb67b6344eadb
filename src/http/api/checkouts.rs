//! Checkouts: the list, oldest trouble first, and one with its whole timeline.
//!
//! Reads only.

use super::query::{self, Parameters};
use crate::core::ids::{CheckoutId, CheckoutRef, Reference, ShopId};
use crate::core::plan::Verdict;
use crate::core::time::Time;
use crate::http::admin::format::{self, Format};
use crate::http::admin::{AdminState, store_problem};
use crate::http::line::Line;
use crate::http::problem::{Code, Problem};
use crate::http::timeline::{self, Story};
use crate::http::view::{self, CheckoutView};
use crate::store::{CheckoutFilter, JournalEntry, LoadedCheckout, StoreError, Wanted};
use askama::Template;
use axum::extract::{Path, State};
use axum::http::{HeaderMap, HeaderValue, Uri, header};
use axum::response::{IntoResponse, Response};
use serde::Serialize;
use std::collections::BTreeMap;

/// Journal entries read in one go.
const ENTRIES_PER_READ: u32 = 500;
/// Most journal entries of one answer; a checkout that grew beyond is read on with `after`.
const ENTRIES_MAX: usize = 5_000;
/// Parameters of the list.
const LIST_PARAMETERS: [&str; 7] = [
    "shop",
    "verdict",
    "min_age",
    "reference",
    "limit",
    "cursor",
    "format",
];

#[derive(Serialize)]
struct List {
    checkouts: Vec<CheckoutView>,
    next_cursor: Option<String>,
}

#[derive(Template)]
#[template(path = "checkouts.html")]
struct ListPage {
    title: String,
    lines: Vec<Line>,
    next: Option<String>,
}

#[derive(Template)]
#[template(path = "checkout.html")]
struct StoryPage {
    title: String,
    story: Story,
}

/// `GET /api/v1/checkouts`
pub async fn list(State(state): State<AdminState>, headers: HeaderMap, uri: Uri) -> Response {
    let now = state.clock.now();
    let asked = Parameters::read(&uri, &LIST_PARAMETERS).and_then(|parameters| {
        let form = Format::choose(parameters.one("format")?, &headers)?;
        Ok((filter(&parameters, now)?, form))
    });
    let (mut filter, form) = match asked {
        Ok(asked) => asked,
        Err(problem) => return problem.into_response(),
    };
    let limit = filter.limit;
    filter.limit = limit.saturating_add(1);
    match state.store.checkouts(&filter).await {
        Ok(rows) => {
            let named: Vec<CheckoutRef> = rows.iter().map(|one| one.row.named()).collect();
            match state.store.twins(&named).await {
                Ok(twins) => list_answer(rows, &twins, limit, form, (&uri, now)),
                Err(error) => store_problem(&error),
            }
        }
        Err(error) => store_problem(&error),
    }
}

fn filter(parameters: &Parameters, now: Time) -> Result<CheckoutFilter, Problem> {
    let verdict_words = Verdict::ALL.map(Verdict::code).join(", ");
    let must_be_verdict = format!("one or more of {verdict_words}");
    Ok(CheckoutFilter {
        shop: parameters.parsed("shop", "a shop's key from the configuration", |text| {
            ShopId::parse(text).ok()
        })?,
        verdicts: parameters.several("verdict", &must_be_verdict, Verdict::parse)?,
        since_before: parameters
            .parsed(
                "min_age",
                "a length of time such as 90s, 15m, 72h or 3d",
                query::parse_span,
            )?
            .map(|age| now.minus(age)),
        reference: parameters.parsed(
            "reference",
            "an order reference of 1 to 128 printable characters",
            |text| Reference::parse(text).ok(),
        )?,
        after: parameters.parsed(
            "cursor",
            "the `next_cursor` of the answer before",
            query::parse_cursor,
        )?,
        limit: parameters.limit()?,
    })
}

fn list_answer(
    mut rows: Vec<LoadedCheckout>,
    twins: &BTreeMap<CheckoutId, CheckoutId>,
    limit: u32,
    form: Format,
    (uri, now): (&Uri, Time),
) -> Response {
    let limit = usize::try_from(limit).unwrap_or(usize::MAX);
    let has_more = rows.len() > limit;
    rows.truncate(limit);
    let next_cursor = rows
        .last()
        .filter(|_| has_more)
        .map(|last| query::cursor((last.row.since, &last.row.id)));
    if form == Format::Json {
        let shown = |one: &LoadedCheckout| CheckoutView {
            looks_like: twins.get(&one.row.id).map(ToString::to_string),
            ..view::even_damaged(one)
        };
        let checkouts = rows.iter().map(shown).collect();
        return format::json(&List {
            checkouts,
            next_cursor,
        });
    }
    let lines: Vec<Line> = rows.iter().map(|row| Line::of(row, now)).collect();
    let next = next_cursor.map(|cursor| next_link(uri, &cursor));
    match form {
        Format::Html => format::html(&ListPage {
            title: "Checkouts".to_owned(),
            lines,
            next,
        }),
        Format::Text | Format::Json => format::text(list_text(&lines, next.as_deref())),
    }
}

/// The same question with another cursor.
fn next_link(uri: &Uri, cursor: &str) -> String {
    let kept = uri
        .query()
        .unwrap_or_default()
        .split('&')
        .filter(|pair| !pair.is_empty() && !pair.starts_with("cursor="));
    let mut pairs: Vec<&str> = kept.collect();
    let last = format!("cursor={cursor}");
    pairs.push(&last);
    format!("{}?{}", uri.path(), pairs.join("&"))
}

fn list_text(lines: &[Line], next: Option<&str>) -> String {
    if lines.is_empty() {
        return "No checkout fits.\n".to_owned();
    }
    let mut text = String::new();
    for line in lines {
        text.push_str(&line.text());
        text.push('\n');
    }
    if let Some(next) = next {
        text.push_str(&format!("More: {next}\n"));
    }
    text
}

/// `GET /api/v1/checkouts/{id}`
pub async fn show(
    State(state): State<AdminState>,
    Path(id): Path<String>,
    headers: HeaderMap,
    uri: Uri,
) -> Response {
    let asked = Parameters::read(&uri, &["after", "format"]).and_then(|parameters| {
        let form = Format::choose(parameters.one("format")?, &headers)?;
        let after = parameters.parsed("after", "a sequence number of the timeline", |text| {
            text.parse().ok().filter(|seq: &i64| *seq >= 0)
        })?;
        Ok((form, after.unwrap_or(0)))
    });
    let (form, after) = match asked {
        Ok(asked) => asked,
        Err(problem) => return problem.into_response(),
    };
    let told = match CheckoutId::parse(&id) {
        Ok(id) => tell(&state, id, after).await,
        Err(_) => Ok(None),
    };
    match told {
        Ok(Some(story)) => story_answer(story, form),
        Ok(None) => unknown_checkout(),
        Err(error) => store_problem(&error),
    }
}

async fn tell(state: &AdminState, id: CheckoutId, after: i64) -> Result<Option<Story>, StoreError> {
    let Some(loaded) = load(state, &id).await? else {
        return Ok(None);
    };
    let (entries, rest) = journal(state, &id, after).await?;
    let mut story = timeline::story(&loaded, &entries, rest, state.clock.now())?;
    let twins = state
        .store
        .twins(std::slice::from_ref(&loaded.row.named()))
        .await?;
    story.checkout.looks_like = twins.get(&id).map(ToString::to_string);
    Ok(Some(story))
}

/// One checkout by our id.
async fn load(state: &AdminState, id: &CheckoutId) -> Result<Option<LoadedCheckout>, StoreError> {
    let wanted = Wanted {
        ids: vec![id.clone()],
        ..Wanted::default()
    };
    Ok(state.store.load(&wanted).await?.checkouts.remove(id))
}

/// The journal after a position, and where the remainder begins if it is longer than one answer.
async fn journal(
    state: &AdminState,
    id: &CheckoutId,
    after: i64,
) -> Result<(Vec<JournalEntry>, Option<i64>), StoreError> {
    let mut entries: Vec<JournalEntry> = Vec::new();
    let mut position = after;
    loop {
        let page = state.store.journal(id, position, ENTRIES_PER_READ).await?;
        let is_last = u32::try_from(page.len()).is_ok_and(|length| length < ENTRIES_PER_READ);
        position = page.last().map_or(position, |entry| entry.seq);
        entries.extend(page);
        if is_last {
            return Ok((entries, None));
        }
        if entries.len() >= ENTRIES_MAX {
            return Ok((entries, Some(position)));
        }
    }
}

fn story_answer(story: Story, form: Format) -> Response {
    let tag = etag(story.checkout.version);
    let mut response = match form {
        Format::Json => format::json(&story),
        Format::Text => format::text(timeline::text(&story)),
        Format::Html => format::html(&StoryPage {
            title: format!("Checkout {}", story.checkout.id),
            story,
        }),
    };
    if let Some(tag) = tag {
        response.headers_mut().insert(header::ETAG, tag);
    }
    response
}

/// The entity tag of a version: the number, quoted.
pub(super) fn etag(version: i64) -> Option<HeaderValue> {
    HeaderValue::from_str(&format!("\"{version}\"")).ok()
}

/// 404 for a checkout.
pub(super) fn unknown_checkout() -> Response {
    Problem::new(Code::UnknownCheckout)
        .detail("no checkout has this id")
        .into_response()
}
