//! The three forms of an answer: HTML for a browser, text for a terminal, JSON for the rest.
//!
//! Knows no content: a page brings its own three renderings.

use crate::http::problem::{Code, Problem};
use askama::Template;
use axum::http::{HeaderMap, HeaderValue, header};
use axum::response::{IntoResponse, Response};
use serde::Serialize;

/// In which form an answer goes out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Format {
    /// For a browser.
    Html,
    /// For programs.
    Json,
    /// For a terminal.
    Text,
}

impl Format {
    /// The form asked for: by `?format=`, else by `Accept`.
    ///
    /// # Errors
    /// `bad_parameter` when `format` names none of the three.
    pub fn choose(parameter: Option<&str>, headers: &HeaderMap) -> Result<Format, Problem> {
        match parameter {
            Some("html") => Ok(Format::Html),
            Some("json") => Ok(Format::Json),
            Some("text") => Ok(Format::Text),
            Some(_) => Err(Problem::new(Code::BadRequest)
                .detail("`format` must be html, json or text")
                .with("parameter", "format")),
            None => Ok(Format::accepted(headers)),
        }
    }

    fn accepted(headers: &HeaderMap) -> Format {
        let wanted = headers
            .get_all(header::ACCEPT)
            .iter()
            .filter_map(|value| value.to_str().ok())
            .flat_map(|value| value.split(','))
            .filter(|range| !range.replace(' ', "").ends_with(";q=0"))
            .filter_map(|range| range.split(';').next())
            .find_map(|kind| match kind.trim() {
                "text/html" | "application/xhtml+xml" => Some(Format::Html),
                "application/json" => Some(Format::Json),
                "text/plain" => Some(Format::Text),
                _ => None,
            });
        wanted.unwrap_or(Format::Json)
    }
}

/// A template as an HTML page.
pub fn html(page: &impl Template) -> Response {
    match page.render() {
        Ok(body) => typed(body, "text/html; charset=utf-8"),
        Err(error) => {
            tracing::error!(%error, "page could not be rendered");
            Problem::new(Code::Internal)
                .detail("the page could not be rendered")
                .into_response()
        }
    }
}

/// A value as JSON.
pub fn json(value: &impl Serialize) -> Response {
    match serde_json::to_string(value) {
        Ok(body) => typed(body, "application/json"),
        Err(error) => {
            tracing::error!(%error, "answer could not be written as JSON");
            Problem::new(Code::Internal)
                .detail("the answer could not be written")
                .into_response()
        }
    }
}

/// Plain text.
pub fn text(body: String) -> Response {
    typed(body, "text/plain; charset=utf-8")
}

/// A body with its content type.
pub fn typed(body: impl Into<axum::body::Body>, content_type: &'static str) -> Response {
    let mut response = Response::new(body.into());
    response
        .headers_mut()
        .insert(header::CONTENT_TYPE, HeaderValue::from_static(content_type));
    response
}

/// The one style sheet.
pub async fn style_sheet() -> Response {
    typed(
        include_str!("../../../templates/status.css"),
        "text/css; charset=utf-8",
    )
}
