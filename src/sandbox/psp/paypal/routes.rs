//! PayPal's endpoints in the sandbox.
//!
//! Each answers with an object or a refusal. The transaction search lags by three hours, as the
//! real one may; the record of events does not. Knows the ledger; stories are played elsewhere.

use super::super::dialect::{PspCall, json_response};
use super::super::form::Form;
use super::super::ledger::{Ledger, NewRefund};
use super::super::records::{PaymentStatus, RefundStatus};
use super::refusal::Refusal;
use super::render::{self, View};
use crate::core::time::{Span, Time};
use crate::wire::{Method, Response};
use serde_json::{Value, json};
use std::collections::BTreeMap;

/// How late the transaction search is.
pub(super) const LAG: Span = Span::from_hours(3);
/// Longest window it takes.
const WINDOW_MAX: Span = Span::from_days(31);
/// Events a page, at most.
const EVENTS_MAX: usize = 100;
/// Transactions a page, at most.
const TRANSACTIONS_MAX: usize = 500;

/// An endpoint with the id in its path.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Route<'a> {
    Token,
    Certificate(&'a str),
    Capture(&'a str),
    RefundCapture(&'a str),
    Authorization(&'a str),
    Void(&'a str),
    Refund(&'a str),
    Order(&'a str),
    Disputes,
    Dispute(&'a str),
    Events,
    Transactions,
    Webhook(&'a str),
}

impl<'a> Route<'a> {
    pub(super) fn parse(method: Method, path: &'a str) -> Option<Route<'a>> {
        let parts: Vec<&str> = path.strip_prefix('/')?.split('/').collect();
        match (method, parts.as_slice()) {
            (Method::Post, ["v1", "oauth2", "token"]) => Some(Route::Token),
            (Method::Get, ["v1", "notifications", "certs", name]) => Some(Route::Certificate(name)),
            (Method::Get, ["v2", "payments", "captures", id]) => Some(Route::Capture(id)),
            (Method::Post, ["v2", "payments", "captures", id, "refund"]) => {
                Some(Route::RefundCapture(id))
            }
            (Method::Get, ["v2", "payments", "authorizations", id]) => {
                Some(Route::Authorization(id))
            }
            (Method::Post, ["v2", "payments", "authorizations", id, "void"]) => {
                Some(Route::Void(id))
            }
            (Method::Get, ["v2", "payments", "refunds", id]) => Some(Route::Refund(id)),
            (Method::Get, ["v2", "checkout", "orders", id]) => Some(Route::Order(id)),
            (Method::Get, ["v1", "customer", "disputes"]) => Some(Route::Disputes),
            (Method::Get, ["v1", "customer", "disputes", id]) => Some(Route::Dispute(id)),
            (Method::Get, ["v1", "notifications", "webhooks-events"]) => Some(Route::Events),
            (Method::Get, ["v1", "notifications", "webhooks", id]) => Some(Route::Webhook(id)),
            (Method::Get, ["v1", "reporting", "transactions"]) => Some(Route::Transactions),
            (Method::Get | Method::Post | Method::Delete | Method::Patch, _) => None,
        }
    }

    /// The kind of call; the record of events of one payment is a part of reading it.
    pub(super) fn kind(self, is_filtered: bool) -> PspCall {
        match self {
            Route::Token => PspCall::Token,
            Route::Certificate(_) => PspCall::Certificate,
            Route::Capture(_) | Route::Authorization(_) => PspCall::Fetch,
            Route::RefundCapture(_) => PspCall::Refund,
            Route::Void(_) => PspCall::Void,
            Route::Refund(_) => PspCall::FetchRefund,
            Route::Order(_) => PspCall::ListRefunds,
            Route::Disputes | Route::Dispute(_) => PspCall::Disputes,
            Route::Events if is_filtered => PspCall::Events,
            Route::Events | Route::Transactions => PspCall::List,
            Route::Webhook(_) => PspCall::Webhooks,
        }
    }

    /// The id in the path.
    pub(super) fn subject(self) -> Option<&'a str> {
        match self {
            Route::Capture(id)
            | Route::RefundCapture(id)
            | Route::Authorization(id)
            | Route::Void(id)
            | Route::Refund(id)
            | Route::Order(id)
            | Route::Dispute(id) => Some(id),
            Route::Token
            | Route::Certificate(_)
            | Route::Disputes
            | Route::Events
            | Route::Transactions
            | Route::Webhook(_) => None,
        }
    }
}

/// The endpoints behind the token.
pub(super) struct Endpoints<'a> {
    pub(super) ledger: &'a mut Ledger,
}

impl Endpoints<'_> {
    pub(super) fn answer(
        &mut self,
        route: Route<'_>,
        query: &str,
        body: &[u8],
        now: Time,
    ) -> Result<Response, Refusal> {
        let form = Form::parse(query).ok_or(Refusal::invalid("MALFORMED_QUERY"))?;
        let view = View {
            ledger: self.ledger,
        };
        let shown = match route {
            Route::RefundCapture(id) => return self.refund(id, body, now),
            Route::Void(id) => return self.void(id, now),
            Route::Capture(id) => view.capture(id),
            Route::Authorization(id) => view.authorization(id),
            Route::Refund(id) => view.refund(id),
            Route::Order(id) => view.order(id),
            Route::Dispute(id) => view.dispute(id),
            Route::Disputes => Some(disputes(&view, &form)?),
            Route::Events => Some(events(&view, &form)?),
            Route::Transactions => Some(transactions(&view, &form, now)?),
            Route::Webhook(id) => webhook(&view, id),
            Route::Token | Route::Certificate(_) => None,
        };
        let shown = shown.ok_or_else(Refusal::unknown)?;
        Ok(json_response(200, &shown))
    }

    fn refund(&mut self, id: &str, body: &[u8], now: Time) -> Result<Response, Refusal> {
        let view = View {
            ledger: self.ledger,
        };
        let Some(capture) = view.booked(id).cloned() else {
            let is_pending = view.capture(id).is_some();
            return Err(match is_pending {
                true => Refusal::ruled_out("PENDING_CAPTURE"),
                false => Refusal::unknown(),
            });
        };
        let asked: Value =
            serde_json::from_slice(body).map_err(|_| Refusal::invalid("MALFORMED_REQUEST_JSON"))?;
        let records = self.ledger.records();
        let payment = records.payments.get(&capture.payment);
        let currency = payment.ok_or_else(Refusal::unknown)?.currency;
        let left = capture
            .amount
            .saturating_sub(view.refunded(&capture, false));
        // Like the real one: no amount means all that is left.
        let amount = match asked.get("amount") {
            None => left,
            Some(written) => render::minor(written, currency)
                .filter(|minor| *minor > 0)
                .ok_or(Refusal::invalid("INVALID_PARAMETER_VALUE"))?,
        };
        let field = |name: &str| asked.get(name).and_then(Value::as_str).map(str::to_owned);
        let is_taken = field("invoice_id").is_some_and(|invoice| {
            let mut refunds = records.refunds.values();
            refunds.any(|one| {
                one.metadata.get("invoice_id") == Some(&invoice)
                    && one.status != RefundStatus::Failed
            })
        });
        let charge = records.charges.get(&capture.charge);
        if charge.is_some_and(|charge| charge.is_disputed) {
            return Err(Refusal::ruled_out("TRANSACTION_DISPUTED"));
        } else if left <= 0 {
            return Err(Refusal::ruled_out("CAPTURE_FULLY_REFUNDED"));
        } else if amount > left {
            return Err(Refusal::ruled_out("REFUND_AMOUNT_EXCEEDED"));
        } else if is_taken {
            return Err(Refusal::ruled_out("DUPLICATE_INVOICE_ID"));
        } else if self.ledger.is_balance_low {
            return Err(Refusal::ruled_out("REFUND_FAILED_INSUFFICIENT_FUNDS"));
        }
        let mut metadata = BTreeMap::from([("capture".to_owned(), capture.id.clone())]);
        for name in ["custom_id", "invoice_id"] {
            metadata.extend(field(name).map(|value| (name.to_owned(), value)));
        }
        let refund = NewRefund {
            charge: capture.charge,
            amount,
            metadata,
            reason: field("note_to_payer"),
            is_by_staff: false,
        };
        let made = self.ledger.refund(refund, now);
        let view = View {
            ledger: self.ledger,
        };
        let shown = view.refund(&made).ok_or_else(Refusal::unknown)?;
        Ok(json_response(201, &shown))
    }

    fn void(&mut self, id: &str, now: Time) -> Result<Response, Refusal> {
        self.ledger.let_slip_in(id, now);
        let payment = self.ledger.payment(id).filter(|one| one.is_manual);
        match payment.ok_or_else(Refusal::unknown)?.status {
            PaymentStatus::Authorised => {}
            PaymentStatus::Paid => return Err(Refusal::ruled_out("PREVIOUSLY_CAPTURED")),
            PaymentStatus::Cancelled | PaymentStatus::Expired => {
                return Err(Refusal::ruled_out("PREVIOUSLY_VOIDED"));
            }
            PaymentStatus::Open | PaymentStatus::Processing => {
                return Err(Refusal::ruled_out("CANNOT_BE_VOIDED"));
            }
        }
        self.ledger.call_off(id, None, now);
        let view = View {
            ledger: self.ledger,
        };
        let shown = view.authorization(id).ok_or_else(Refusal::unknown)?;
        Ok(json_response(200, &shown))
    }
}

/// The app has one webhook.
fn webhook(view: &View<'_>, id: &str) -> Option<Value> {
    let account = view.ledger.kind.account;
    let url = format!("https://pay.klompen.example/webhooks/{account}");
    let events = ["PAYMENT.CAPTURE.COMPLETED", "PAYMENT.CAPTURE.REFUNDED"];
    let events: Vec<Value> = events.iter().map(|name| json!({"name": name})).collect();
    let is_known = view.ledger.setup().webhook_secret == id;
    is_known.then(|| json!({"id": id, "url": url, "event_types": events, "links": []}))
}

fn disputes(view: &View<'_>, form: &Form) -> Result<Value, Refusal> {
    let id = form.one("disputed_transaction_id");
    let id = id.ok_or(Refusal::invalid("MISSING_REQUIRED_PARAMETER"))?;
    let capture = view.booked(id);
    let records = view.ledger.records();
    let about = records
        .disputes
        .values()
        .filter(|dispute| capture.is_some_and(|capture| capture.charge == dispute.charge));
    let mut items: Vec<Value> = about.filter_map(|one| view.dispute(&one.id)).collect();
    for item in &mut items {
        // The list leaves the outcome out.
        if let Some(fields) = item.as_object_mut() {
            fields.remove("dispute_outcome");
        }
    }
    Ok(json!({"items": items, "links": []}))
}

fn moment(form: &Form, field: &str) -> Result<Option<i64>, Refusal> {
    let Some(text) = form.one(field) else {
        return Ok(None);
    };
    let at = text.parse::<jiff::Timestamp>();
    at.map(|at| Some(at.as_second()))
        .map_err(|_| Refusal::invalid("INVALID_PARAMETER_SYNTAX"))
}

fn count(form: &Form, field: &str, default: usize, most: usize) -> Result<usize, Refusal> {
    let Some(text) = form.one(field) else {
        return Ok(default);
    };
    let count = text.parse().ok();
    count
        .filter(|count| (1..=most).contains(count))
        .ok_or(Refusal::invalid("INVALID_PARAMETER_VALUE"))
}

/// The record of events, newest first, from an event on.
fn events(view: &View<'_>, form: &Form) -> Result<Value, Refusal> {
    let (from, to) = (moment(form, "start_time")?, moment(form, "end_time")?);
    let size = count(form, "page_size", 10, EVENTS_MAX)?;
    let about = form.one("transaction_id");
    let fits = |event: &&crate::sandbox::psp::records::Event| {
        let is_kind = form.one("event_type").is_none_or(|kind| event.kind == kind);
        let is_about = about.is_none_or(|id| {
            let payment = view.ledger.records().payment_of(&view.known_as(id));
            payment.as_deref() == Some(event.payment.as_str())
        });
        let is_within = from.is_none_or(|from| event.created >= from)
            && to.is_none_or(|to| event.created <= to);
        let is_after = form.one("start_id").is_none_or(|id| event.id.as_str() < id);
        view.ledger.is_listed(&event.payment) && is_kind && is_about && is_within && is_after
    };
    let events = view.ledger.records().events.values().rev();
    let mut found: Vec<_> = events.filter(fits).take(size.saturating_add(1)).collect();
    let is_last = found.len() <= size;
    found.truncate(size);
    let bodies = found.iter();
    let shown: Vec<Value> = bodies
        .filter_map(|event| serde_json::from_slice(&event.body).ok())
        .collect();
    let mut links = Vec::new();
    if let Some(last) = found.last().filter(|_| !is_last) {
        let mut query = format!("page_size={size}&start_id={}", last.id);
        for field in ["start_time", "end_time", "transaction_id", "event_type"] {
            if let Some(value) = form.one(field) {
                query.push_str(&format!("&{field}={value}"));
            }
        }
        let href =
            format!("https://api.sandbox.paypal.com/v1/notifications/webhooks-events?{query}");
        links.push(json!({"href": href, "rel": "next", "method": "GET"}));
    }
    Ok(json!({"events": shown, "count": shown.len(), "links": links}))
}

/// The transaction search: what is older than its lag.
pub(super) fn transactions(view: &View<'_>, form: &Form, now: Time) -> Result<Value, Refusal> {
    let missing = Refusal::invalid("MISSING_REQUIRED_PARAMETER");
    let from = moment(form, "start_date")?.ok_or(missing)?;
    let to = moment(form, "end_date")?.ok_or(missing)?;
    let longest = i64::try_from(WINDOW_MAX.seconds()).unwrap_or(i64::MAX);
    if to < from || to.saturating_sub(from) > longest {
        return Err(Refusal::invalid("INVALID_DATE_RANGE"));
    }
    let size = count(form, "page_size", 100, TRANSACTIONS_MAX)?;
    let page = count(form, "page", 1, 1_000)?;
    let shown_until = now.minus(LAG).seconds();
    let is_shown = |made: i64| made >= from && made <= to && made <= shown_until;
    let records = view.ledger.records();
    let mut rows = Vec::new();
    for capture in records.captures.values() {
        let id = view.taken_as(&capture.id).unwrap_or_default();
        if is_shown(capture.created) && view.ledger.is_listed(&capture.payment) {
            let mut row = json!({"transaction_id": id, "transaction_event_code": "T0006"});
            let reference = records.reference_of(&capture.payment);
            render::put(&mut row, "custom_field", json!(reference));
            render::put(&mut row, "invoice_id", json!(reference));
            rows.push((capture.created, row));
        }
    }
    for refund in records.refunds.values() {
        let above = refund.metadata.get("capture").cloned();
        let above = above.unwrap_or_else(|| refund.payment.clone());
        let above = view.taken_as(&above).unwrap_or_default();
        if is_shown(refund.created) && view.ledger.is_listed(&refund.payment) {
            let row = json!({"transaction_id": refund.id, "transaction_event_code": "T1107",
                             "paypal_reference_id": above, "paypal_reference_id_type": "TXN"});
            rows.push((refund.created, row));
        }
    }
    rows.sort_by_key(|(made, _)| *made);
    let pages = rows.len().div_ceil(size);
    let skipped = size.saturating_mul(page.saturating_sub(1));
    let listed = rows.into_iter().skip(skipped).take(size);
    let details = listed.map(|(made, mut row)| {
        render::put(&mut row, "transaction_status", json!("S"));
        render::put(
            &mut row,
            "transaction_initiation_date",
            json!(render::time(made)),
        );
        render::put(
            &mut row,
            "transaction_updated_date",
            json!(render::time(made)),
        );
        json!({"transaction_info": row})
    });
    Ok(json!({
        "transaction_details": details.collect::<Vec<_>>(), "page": page, "total_pages": pages,
        "last_refreshed_datetime": render::time(shown_until),
    }))
}
