//! The daily closing statements: what moved on a UTC day per shop and currency.
//!
//! Reads only; the sums are the books' own (`audit::statement`).

use super::query::Parameters;
use crate::audit::day::Day;
use crate::audit::statement;
use crate::core::ids::ShopId;
use crate::http::admin::format::{self, Format};
use crate::http::admin::{AdminState, store_problem};
use crate::http::problem::{Code, Problem};
use axum::extract::State;
use axum::http::{HeaderMap, Uri};
use axum::response::{IntoResponse, Response};

/// `GET /api/v1/statements`
pub async fn show(State(state): State<AdminState>, headers: HeaderMap, uri: Uri) -> Response {
    let now = state.clock.now();
    let asked = Parameters::read(&uri, &["shop", "day", "format"]).and_then(|parameters| {
        let form = Format::choose(parameters.one("format")?, &headers)?;
        let shop = "a shop's key from the configuration";
        let shop = parameters.parsed("shop", shop, |text| ShopId::parse(text).ok())?;
        let day = "a day that has begun, such as 2026-11-20";
        let day = parameters.parsed("day", day, |text| {
            Day::parse(text).filter(|day| day.begins() <= now)
        })?;
        Ok((shop, day.unwrap_or(Day::last_closed(now)), form))
    });
    let (shop, day, form) = match asked {
        Ok(asked) => asked,
        Err(problem) => return problem.into_response(),
    };
    let is_known = |shop: &ShopId| state.roster.load().shops.contains_key(shop);
    match statement::of_day(state.store.as_ref(), day, shop.as_ref(), now).await {
        Ok(made) if made.statements.is_empty() && shop.is_some_and(|shop| !is_known(&shop)) => {
            Problem::new(Code::UnknownShop)
                .detail("no shop with this key is configured or has books")
                .into_response()
        }
        Ok(made) => match form {
            Format::Json => format::json(&made),
            Format::Html | Format::Text => format::text(made.text()),
        },
        Err(error) => store_problem(&error),
    }
}
