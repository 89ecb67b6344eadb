//! Lists as Stripe gives them: newest first, filtered by creation, in pages after an id.
//!
//! Knows no kind of object: it gets rows and gives a page of them.

use super::refusal::Refusal;
use crate::sandbox::psp::form::Form;

/// Most rows in a page.
const LIMIT_MAX: usize = 100;
/// Rows in a page when nobody says how many.
const LIMIT_DEFAULT: usize = 10;

/// Fields that every list takes.
pub(super) const FIELDS: [&str; 8] = [
    "created[gte]",
    "created[gt]",
    "created[lte]",
    "created[lt]",
    "limit",
    "starting_after",
    "expand[]",
    "expand[*]",
];

/// One row: its id and the second it was made.
#[derive(Clone, Copy, Debug)]
pub(super) struct Row<'a> {
    pub(super) id: &'a str,
    pub(super) created: i64,
}

/// The ids of the page that was asked for, and whether more follow.
pub(super) fn page<'a>(
    rows: impl Iterator<Item = Row<'a>>,
    query: &Form,
) -> Result<(Vec<&'a str>, bool), Refusal> {
    let gte = whole(query, "created[gte]")?;
    let gt = whole(query, "created[gt]")?;
    let lte = whole(query, "created[lte]")?;
    let lt = whole(query, "created[lt]")?;
    let limit = match whole(query, "limit")? {
        None => LIMIT_DEFAULT,
        Some(limit) => usize::try_from(limit)
            .ok()
            .filter(|limit| (1..=LIMIT_MAX).contains(limit))
            .ok_or_else(|| Refusal::invalid("limit", "Invalid limit: between 1 and 100."))?,
    };
    let mut rows: Vec<Row<'a>> = rows.collect();
    rows.sort_by_key(|row| std::cmp::Reverse((row.created, row.id)));
    // The row named by `starting_after` need not pass the filter.
    let after = match query.one("starting_after") {
        None => None,
        Some(id) => {
            let row = rows.iter().find(|row| row.id == id).copied();
            Some(row.ok_or_else(|| Refusal::missing(id, "starting_after"))?)
        }
    };
    let mut fitting = rows.iter().filter(|row| {
        gte.is_none_or(|bound| row.created >= bound)
            && gt.is_none_or(|bound| row.created > bound)
            && lte.is_none_or(|bound| row.created <= bound)
            && lt.is_none_or(|bound| row.created < bound)
            && after.is_none_or(|after| (row.created, row.id) < (after.created, after.id))
    });
    let ids = fitting.by_ref().take(limit).map(|row| row.id).collect();
    Ok((ids, fitting.next().is_some()))
}

fn whole(query: &Form, field: &str) -> Result<Option<i64>, Refusal> {
    let Some(text) = query.one(field) else {
        return Ok(None);
    };
    let number = text.parse().ok();
    number
        .map(Some)
        .ok_or_else(|| Refusal::invalid(field, &format!("Invalid integer: {text}")))
}
