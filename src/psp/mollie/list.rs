//! The sweep's three ways through Mollie: payments, refunds and chargebacks, newest first.
//!
//! Mollie's lists know no filter by time: pages are read until one shows something that was made
//! before the window. Payments find what was never delivered; refunds and chargebacks find what
//! happened to payments that are older. A next page is asked for at our own address only, by the
//! one id that Mollie's link names.

use super::Mollie;
use super::answer::{self, Effect};
use super::ident;
use super::objects::{Embedded, Made, Page, time};
use super::statement::{Frame, expect};
use crate::core::ids::ExternalRef;
use crate::core::payment::{PaymentSnapshot, Source};
use crate::core::time::Time;
use crate::psp::{Failure, PspAnswer, Step, Unreadable, json};
use crate::wire::Reply;
use serde_json::value::RawValue;
use std::collections::BTreeSet;

/// How many listings there are.
pub(super) const LISTINGS: u8 = 3;
/// Items a page; the most that Mollie gives.
pub(super) const PAGE_ITEMS_MAX: usize = 250;

/// One way of listing.
struct Listing {
    path: &'static str,
    items: for<'a> fn(Embedded<'a>) -> Option<Vec<&'a RawValue>>,
    add: fn(&Frame<'_>, &RawValue, &mut Found),
}

/// What a page brought so far.
#[derive(Default)]
struct Found {
    payments: Vec<PaymentSnapshot>,
    hints: BTreeSet<ExternalRef>,
}

fn listing(number: u8) -> Option<Listing> {
    match number {
        0 => Some(Listing {
            path: "/v2/payments",
            items: |embedded| embedded.payments,
            add: add_payment,
        }),
        1 => Some(Listing {
            path: "/v2/refunds",
            items: |embedded| embedded.refunds,
            add: |frame, raw, found| {
                add_part(frame, raw, found, |frame, snapshot, raw| {
                    frame.add_refund(snapshot, raw)
                });
            },
        }),
        2 => Some(Listing {
            path: "/v2/chargebacks",
            items: |embedded| embedded.chargebacks,
            add: |frame, raw, found| {
                add_part(frame, raw, found, |frame, snapshot, raw| {
                    frame.add_chargeback(snapshot, raw)
                });
            },
        }),
        _ => None,
    }
}

/// One page of one listing, for a window that begins at `from`.
pub(super) fn step(
    mollie: &Mollie,
    frame: &Frame<'_>,
    number: u8,
    from: Time,
    cursor: Option<&str>,
    replies: &[Reply],
) -> Result<Step, Failure> {
    let listing = listing(number).ok_or_else(|| Failure::Refused("no_such_listing".to_owned()))?;
    if cursor.is_some_and(|first| !ident::is_listed(first)) {
        return Err(Failure::Refused("no_such_page".to_owned()));
    }
    let Some(reply) = replies.first() else {
        return Ok(mollie.get(&page_path(listing.path, cursor)));
    };
    let body = answer::body(reply, Effect::Reads)?;
    read(mollie, frame, &listing, from, body).map_err(|e| answer::malformed(&e))
}

/// The path of a page, by the id of its first item.
pub(super) fn page_path(path: &str, cursor: Option<&str>) -> String {
    match cursor {
        Some(first) => format!("{path}?limit={PAGE_ITEMS_MAX}&from={first}"),
        None => format!("{path}?limit={PAGE_ITEMS_MAX}"),
    }
}

fn read(
    mollie: &Mollie,
    frame: &Frame<'_>,
    listing: &Listing,
    from: Time,
    body: &[u8],
) -> Result<Step, Unreadable> {
    let page: Page<'_> = json::object(body)?;
    let next = next(mollie, listing.path, &page)?;
    let items = (listing.items)(page.embedded.0).unwrap_or_default();
    expect(next.is_none() || !items.is_empty(), "wrong_shape")?;
    let mut found = Found::default();
    let mut is_past_window = false;
    for raw in items {
        let made: Made = json::nested(raw)?;
        if time(&made.created_at)? < from {
            is_past_window = true;
        } else {
            (listing.add)(frame, raw, &mut found);
        }
    }
    Ok(Step::Done(PspAnswer::Page {
        payments: found.payments,
        hints: found.hints.into_iter().collect(),
        next: next.filter(|_| !is_past_window),
    }))
}

/// The first id of the next page, taken from a link to our own address and from no other.
pub(super) fn next(
    mollie: &Mollie,
    path: &str,
    page: &Page<'_>,
) -> Result<Option<String>, Unreadable> {
    let Some(link) = &page.links.0.next else {
        return Ok(None);
    };
    let query = link.0.href.strip_prefix(&mollie.address(path));
    let query = query.and_then(|rest| rest.strip_prefix('?'));
    let first = query.and_then(|query| {
        let mut parts = query.split('&');
        parts.find_map(|part| part.strip_prefix("from="))
    });
    let first = first.filter(|id| ident::is_listed(id));
    expect(first.is_some(), "foreign_link")?;
    Ok(first.map(str::to_owned))
}

/// A payment as the list shows it; an odd one is handed back by name.
fn add_payment(frame: &Frame<'_>, raw: &RawValue, found: &mut Found) {
    match frame.payment(raw) {
        Ok(view) => found.payments.push(view.snapshot),
        Err(_) => {
            let made = json::nested::<Made>(raw).ok();
            let named = made.and_then(|made| ident::payment(made.id.as_str()));
            found.hints.extend(named);
        }
    }
}

/// A refund or chargeback says nothing of its payment but itself, so it is no look at the money.
fn add_part(
    frame: &Frame<'_>,
    raw: &RawValue,
    found: &mut Found,
    add: impl Fn(&Frame<'_>, &mut PaymentSnapshot, &RawValue) -> Result<(), Unreadable>,
) {
    let made = json::nested::<Made>(raw).ok();
    let payment = made.and_then(|made| made.payment_id);
    let Some(payment) = payment.and_then(|id| ident::payment(id.as_str())) else {
        return;
    };
    let source = Source::Signed;
    let frame = Frame { source, ..*frame };
    let mut snapshot = frame.blank(&payment);
    match add(&frame, &mut snapshot, raw) {
        Ok(()) => found.payments.push(snapshot),
        Err(_) => {
            found.hints.insert(payment);
        }
    }
}
