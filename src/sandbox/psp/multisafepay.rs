//! MultiSafepay's dialect: orders by the merchant's own id, an envelope around every answer,
//! notifications signed with the API key.
//!
//! Facts: MultiSafepay's documentation and SDK sources. Its orders are named by the shop, who may
//! pay one of its own order numbers twice; so an order id is made here and the shop's number
//! stands in `var1`, as plug-ins do it. Knows the ledger and no story.

mod render;

use super::PspSetup;
use super::dialect::{Dialect, Letter, Nature, PspCall, json_response, split_url};
use super::kind::{Ability, Kind, Made, Place, Thing, no_files, quoted, value_of};
use super::ledger::{Change, Ledger, NewRefund, Note, Told};
use super::records::PaymentStatus;
use crate::core::time::{Span, Time};
use crate::sandbox::outbox::{Sealed, Sealing};
use crate::sandbox::sign::multisafepay_auth;
use crate::wire::{Headers, Method, Request, Response};
use serde_json::{Value, json};
use std::collections::BTreeMap;

/// MultiSafepay's line in the table.
pub const KIND: Kind = Kind {
    word: "multisafepay",
    name: "MultiSafepay",
    account: "msp_nl",
    api_key: "sandbox-key-of-the-sandbox-website",
    webhook_secret: "sandbox-key-of-the-sandbox-website",
    told_of_payment: 1,
    lacks: &[
        (
            Ability::EventId,
            "notifications have no id: the same body again is the same notification",
        ),
        (
            Ability::Mode,
            "an order does not say its mode; live and test are two hosts with keys of their own",
        ),
    ],
    id,
    dialect: || Box::new(MultiSafepay),
    config,
    files: no_files,
};

/// An equal refund this soon after another is refused.
const EQUAL_REFUND_BLOCK: Span = Span::from_minutes(5);
/// Longest `refund_order_id`, in characters.
const MARK_CHARS_MAX: usize = 50;
/// Rows a page at most.
const ROWS_MAX: usize = 1000;
/// The note on a refund that holds its maker's own id for it.
const OWN_ID: &str = "refund_order_id";

fn id(made: &Made<'_>) -> String {
    let digit = match made.thing {
        Thing::Payment => return format!("KL-{:010}", made.number),
        Thing::Charge => 1,
        Thing::Capture => 2,
        Thing::Refund => 3,
        Thing::Dispute => 4,
        Thing::Event => 5,
    };
    format!("{digit}{:010}", made.number)
}

fn config(setup: &PspSetup, place: &Place<'_>) -> Vec<(&'static str, String)> {
    let mut lines = vec![
        ("api_key", value_of(&setup.api_key)),
        ("api_base", quoted(place.api_base)),
        ("reference", "[\"var1\"]".to_owned()),
        ("reference_pattern", quoted("^.{1,40}$")),
    ];
    // One key signs and asks; apart, they are the old and the new one of a rotation.
    if setup.webhook_secret != setup.api_key {
        lines.push(("previous_api_key", value_of(&setup.webhook_secret)));
    }
    lines
}

/// A refusal with MultiSafepay's number for it.
struct Refused(u16, i64, &'static str);

type Outcome = Result<Value, Refused>;

/// What MultiSafepay remembers beside the books: nothing.
#[derive(Clone, Copy)]
struct MultiSafepay;

/// An endpoint with the order id in its path, percent-decoded.
enum Route {
    Orders,
    Order(String),
    Refunds(String),
    Capture(String),
    Transactions,
}

impl Route {
    fn parse(method: Method, path: &str) -> Option<Route> {
        let parts: Vec<&str> = path.strip_prefix("/v1/json/")?.split('/').collect();
        match (method, parts.as_slice()) {
            (Method::Post, ["orders"]) => Some(Route::Orders),
            (Method::Get, ["orders", id]) => Some(Route::Order(decoded(id))),
            (Method::Post, ["orders", id, "refunds"]) => Some(Route::Refunds(decoded(id))),
            (Method::Patch, ["capture", id]) => Some(Route::Capture(decoded(id))),
            (Method::Get, ["transactions"]) => Some(Route::Transactions),
            (Method::Get | Method::Post | Method::Delete | Method::Patch, _) => None,
        }
    }
}

impl Dialect for MultiSafepay {
    fn nature(&self, ledger: &Ledger, request: &Request) -> Nature {
        let (path, query) = split_url(&request.url);
        let body: Value = serde_json::from_slice(&request.body).unwrap_or_default();
        let (call, named) = match Route::parse(request.method, path) {
            Some(Route::Orders) => (PspCall::Create, None),
            Some(Route::Order(id)) => (PspCall::Fetch, Some(id)),
            Some(Route::Refunds(id)) => (PspCall::Refund, Some(id)),
            Some(Route::Capture(id)) => (PspCall::Void, Some(id)),
            Some(Route::Transactions) => (PspCall::List, field(query, "after")),
            None => (PspCall::Other, None),
        };
        Nature {
            call,
            about: named.map(|id| ledger.records().subject_of(&id)),
            key: text(&body, OWN_ID).map(str::to_owned),
        }
    }

    fn answer(&mut self, ledger: &mut Ledger, request: &Request, now: Time) -> Response {
        match route(ledger, request, now) {
            Ok(mut shown) => {
                if let Some(fields) = shown.as_object_mut() {
                    fields.insert("success".to_owned(), json!(true));
                }
                json_response(200, &shown)
            }
            Err(Refused(status, number, why)) => {
                let body =
                    json!({"success": false, "data": {}, "error_code": number, "error_info": why});
                json_response(status, &body)
            }
        }
    }

    fn tell(&mut self, ledger: &mut Ledger, change: &Change, now: Time) {
        if change.told == Told::Opened {
            return;
        }
        let records = ledger.records();
        let Some(payment) = records.payment_of(&change.id) else {
            return;
        };
        let Some(shown) = render::order(records, &payment) else {
            return;
        };
        let kind = text(&shown, "status").unwrap_or_default().to_owned();
        let note = Note {
            id: ledger.new_id(Thing::Event, None),
            kind,
            told: Some(change.told),
            about: change.id.clone(),
            body: shown.to_string().into_bytes(),
        };
        ledger.post(note, now);
    }

    fn seal(&self, setup: &PspSetup, letter: Letter<'_>, sealing: Sealing) -> Sealed {
        let key = if sealing.is_secret_wrong {
            "a-key-that-nobody-shares"
        } else {
            &setup.webhook_secret
        };
        let auth = multisafepay_auth(key, sealing.at, letter.body);
        let mut sealed = Sealed::json(Headers::new().with("Auth", &auth), letter.body);
        let shown: Value = serde_json::from_slice(letter.body).unwrap_or_default();
        let order = text(&shown, "order_id").unwrap_or_default();
        sealed.query = format!("transactionid={order}&timestamp={}", sealing.at.seconds());
        sealed
    }

    /// Only a 200 that says OK is one.
    fn is_acknowledged(&self, answer: &Response) -> bool {
        let head: Vec<u8> = answer.body.iter().take(100).copied().collect();
        answer.status == 200 && String::from_utf8_lossy(&head).contains("OK")
    }

    fn copied(&self) -> Box<dyn Dialect> {
        Box::new(*self)
    }
}

fn route(ledger: &mut Ledger, request: &Request, now: Time) -> Outcome {
    if request.headers.single("api_key") != Some(ledger.setup().api_key.as_str()) {
        return Err(Refused(401, 1032, "Invalid API key"));
    }
    let (path, query) = split_url(&request.url);
    let body: Value = serde_json::from_slice(&request.body).unwrap_or_default();
    match Route::parse(request.method, path) {
        Some(Route::Orders) => create(ledger, &body, now),
        Some(Route::Order(id)) => show(ledger, &id),
        Some(Route::Refunds(id)) => refund(ledger, &id, &body, now),
        Some(Route::Capture(id)) => release(ledger, &id, &body, now),
        Some(Route::Transactions) => list(ledger, query),
        None => Err(Refused(404, 1016, "Unknown endpoint")),
    }
}

fn unknown() -> Refused {
    Refused(404, 1006, "Invalid transaction ID")
}

fn show(ledger: &Ledger, id: &str) -> Outcome {
    ledger.payment(id).ok_or_else(unknown)?;
    let order = render::order(ledger.records(), id).ok_or_else(unknown)?;
    Ok(json!({"data": order}))
}

fn create(ledger: &mut Ledger, body: &Value, now: Time) -> Outcome {
    let refused = || Refused(400, 1001, "Invalid amount");
    let amount = number(body, "amount").filter(|amount| *amount > 0);
    let currency = text(body, "currency").and_then(render::currency);
    let (amount, currency) = amount.zip(currency).ok_or_else(refused)?;
    let mut notes = BTreeMap::new();
    if let Some(reference) = text(body, "var1") {
        notes.insert(super::ORDER_REFERENCE.to_owned(), reference.to_owned());
    }
    let money = crate::core::money::Money::new(amount, currency);
    let id = ledger.open(money, notes, false, now);
    show(ledger, &id)
}

/// Refunds of an amount that is zero or missing are refunds of everything.
fn refund(ledger: &mut Ledger, id: &str, body: &Value, now: Time) -> Outcome {
    ledger.payment(id).ok_or_else(unknown)?;
    let left = ledger.left_of(id);
    let amount = match number(body, "amount") {
        None | Some(0) => left,
        Some(amount) => amount,
    };
    let own_id = text(body, OWN_ID).unwrap_or_default();
    if own_id.chars().count() > MARK_CHARS_MAX {
        return Err(Refused(400, 1001, "Invalid refund_order_id"));
    }
    let charge = ledger.charge_to_refund(id).map(|charge| charge.id.clone());
    let allowed = charge.filter(|_| amount > 0 && amount <= left);
    let charge = allowed.ok_or(Refused(400, 1034, "Refund not allowed"))?;
    let soonest = now.minus(EQUAL_REFUND_BLOCK).seconds();
    let is_repeated = ledger
        .records()
        .refunds_for(id)
        .any(|known| known.status.stands() && known.amount == amount && known.created > soonest);
    if is_repeated {
        return Err(Refused(400, 1034, "An equal refund was made a moment ago"));
    }
    let new = NewRefund {
        charge,
        amount,
        metadata: BTreeMap::from([(OWN_ID.to_owned(), own_id.to_owned())]),
        reason: text(body, "description").map(str::to_owned),
        is_by_staff: false,
    };
    let made = ledger.refund(new, now);
    let number: Option<u64> = made.parse().ok();
    Ok(json!({"data": {"transaction_id": number, "refund_id": number}}))
}

fn release(ledger: &mut Ledger, id: &str, body: &Value, now: Time) -> Outcome {
    ledger.payment(id).ok_or_else(unknown)?;
    if text(body, "status") != Some("cancelled") {
        return Err(Refused(400, 1001, "Invalid status"));
    }
    ledger.let_slip_in(id, now);
    let payment = ledger.payment(id).ok_or_else(unknown)?;
    if payment.status != PaymentStatus::Authorised {
        return Err(Refused(400, 1035, "Capture not allowed"));
    }
    let reason = text(body, "reason").map(str::to_owned);
    ledger.call_off(id, reason, now);
    Ok(json!({"data": {}}))
}

/// Newest first; the cursor is the last row's id.
fn list(ledger: &Ledger, query: &str) -> Outcome {
    let invalid = || Refused(400, 1001, "Invalid parameter");
    let bound = |name: &str| match field(query, name) {
        Some(text) => render::moment(&text).map(Some).ok_or_else(invalid),
        None => Ok(None),
    };
    let created = (bound("created_from")?, bound("created_until")?);
    let completed = (bound("completed_from")?, bound("completed_until")?);
    let limit: usize = match field(query, "limit") {
        Some(text) => text.parse().map_err(|_| invalid())?,
        None => 100,
    };
    if limit == 0 || limit > ROWS_MAX {
        return Err(invalid());
    }
    let records = ledger.records();
    let within = |at: i64, (from, to): (Option<i64>, Option<i64>)| {
        from.is_none_or(|from| at >= from) && to.is_none_or(|to| at <= to)
    };
    let mut rows: Vec<(i64, &str)> = records
        .payments
        .values()
        .filter(|payment| ledger.is_listed(&payment.id))
        .filter(|payment| within(payment.created, created))
        .filter(
            |payment| match (completed, records.captures_of(&payment.id).last()) {
                ((None, None), _) => true,
                (_, None) => false,
                (span, Some(last)) => within(last.created, span),
            },
        )
        .map(|payment| (payment.created, payment.id.as_str()))
        .collect();
    rows.sort();
    rows.reverse();
    if let Some(after) = field(query, "after") {
        let at = rows.iter().position(|(_, id)| *id == after);
        let at = at.ok_or_else(invalid)?;
        rows.drain(..=at);
    }
    let is_more = rows.len() > limit;
    rows.truncate(limit);
    let next = rows.last().filter(|_| is_more).map(|(_, id)| *id);
    let shown: Vec<Value> = rows
        .iter()
        .filter_map(|(_, id)| render::order(records, id))
        .collect();
    Ok(json!({"data": shown, "pager": {"cursor": {"after": next}, "limit": limit}}))
}

/// A text in an object.
fn text<'a>(object: &'a Value, name: &str) -> Option<&'a str> {
    object.get(name)?.as_str()
}

/// A whole number in an object.
fn number(object: &Value, name: &str) -> Option<i64> {
    object.get(name)?.as_i64()
}

/// A field of a query string, decoded.
fn field(query: &str, name: &str) -> Option<String> {
    let mut pairs = query.split('&').filter_map(|pair| pair.split_once('='));
    let found = pairs.find(|(known, _)| *known == name);
    found.map(|(_, value)| decoded(value))
}

fn decoded(text: &str) -> String {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.bytes();
    while let Some(byte) = rest.next() {
        let pair = if byte == b'%' {
            let digits: Vec<u8> = rest.by_ref().take(2).collect();
            hex::decode(digits).unwrap_or_default()
        } else {
            vec![byte]
        };
        bytes.extend(pair);
    }
    String::from_utf8_lossy(&bytes).into_owned()
}

#[cfg(test)]
mod tests;
