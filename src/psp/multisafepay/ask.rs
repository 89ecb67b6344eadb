//! Our questions and orders to MultiSafepay: built as requests, their replies read as statements.
//!
//! A refund is looked for before it is asked, because nothing at the PSP remembers a key, and an
//! amount that is zero or missing there means everything: both are refused here. What an order
//! did is read back in the same exchange; what is not shown then counts as unclear. No I/O.

use super::MultiSafepay;
use super::answer::{self, Effect};
use super::order_id;
use super::statement::{Frame, currency, order};
use crate::core::ids::{ActionKey, ExternalRef};
use crate::core::money::Money;
use crate::core::payment::{PaymentSnapshot, Progress, Source};
use crate::core::plan::Reason;
use crate::core::time::{Span, Time};
use crate::psp::json::{self, Strict};
use crate::psp::{Failure, PspAnswer, PspAsk, Step, Unreadable};
use crate::wire::{Headers, Method, Reply, Request};
use secrecy::ExposeSecret;
use serde::Deserialize;
use serde_json::value::RawValue;

/// The ways of listing: by creation, and by completion, which finds old orders paid late.
pub(super) const LISTINGS: u8 = 2;
/// Rows a page; the most is a thousand.
const PAGE_ROWS: &str = "200";
/// The PSP's times have no zone; windows are asked this much wider on both sides.
const ZONE_SLACK: Span = Span::from_hours(14);
/// Longest `refund_order_id`, in characters.
const MARK_CHARS_MAX: usize = 50;
/// The PSP refuses an equal refund within five minutes of another; then it may be asked again.
const EQUAL_REFUND_BLOCK: Span = Span::from_minutes(5);

/// A row of the transaction list: it names an order, and that is all that is taken from it.
#[derive(Deserialize)]
struct Row {
    order_id: Option<String>,
}

#[derive(Deserialize)]
struct Page<'a> {
    data: Option<Vec<Strict<Row>>>,
    #[serde(borrow)]
    pager: Option<&'a RawValue>,
}

/// A refund as the core wants it.
struct Wanted<'a> {
    amount: Money,
    key: &'a ActionKey,
    why: Reason,
}

impl MultiSafepay {
    /// The next step of any exchange.
    pub(super) fn next(&self, ask: &PspAsk, asked_at: Time, replies: &[Reply]) -> Step {
        let frame = Frame {
            rules: &self.rules,
            as_of: asked_at,
            source: Source::Read { asked_at },
        };
        let step = match ask {
            PspAsk::Fetch { payment } => self.fetch(&frame, payment, replies),
            PspAsk::Refund {
                payment,
                amount,
                key,
                why,
            } => {
                let (amount, why) = (*amount, *why);
                self.refund(&frame, payment, &Wanted { amount, key, why }, replies)
            }
            PspAsk::Reverse { .. } => Err(Failure::Refused("no_reversal".to_owned())),
            PspAsk::Void { payment, why, .. } => self.void(&frame, payment, *why, replies),
            // The dashboard can; whether the API can is not documented.
            PspAsk::CancelRefund { .. } => {
                Err(Failure::Refused("refunds_cannot_be_cancelled".to_owned()))
            }
            PspAsk::List {
                listing,
                from,
                to,
                cursor,
            } => self.list(*listing, (*from, *to), cursor.as_deref(), replies),
        };
        step.unwrap_or_else(|failure| Step::Done(PspAnswer::Failed(failure)))
    }

    pub(super) fn get(&self, path: &str) -> Step {
        Step::Send(self.request(Method::Get, path, Vec::new()))
    }

    fn send(&self, method: Method, path: &str, body: &str) -> Step {
        let mut request = self.request(method, path, body.as_bytes().to_vec());
        request.headers.push("content-type", "application/json");
        Step::Send(request)
    }

    fn request(&self, method: Method, path: &str, body: Vec<u8>) -> Request {
        // Never as a query parameter: those end up in logs.
        let key = self.api_key.expose_secret().trim();
        Request {
            method,
            url: format!("{}/v1/json{path}", self.api_base),
            headers: Headers::new()
                .with("api_key", key)
                .with("accept", "application/json"),
            body,
        }
    }

    fn fetch(
        &self,
        frame: &Frame<'_>,
        payment: &ExternalRef,
        replies: &[Reply],
    ) -> Result<Step, Failure> {
        let Some(reply) = replies.first() else {
            return Ok(self.get(&format!("/orders/{}", segment(payment)?)));
        };
        let snapshot = shown(frame, payment, reply)?;
        Ok(Step::Done(PspAnswer::Seen(vec![snapshot])))
    }

    /// Look, ask, look again.
    fn refund(
        &self,
        frame: &Frame<'_>,
        payment: &ExternalRef,
        wanted: &Wanted<'_>,
        replies: &[Reply],
    ) -> Result<Step, Failure> {
        let path = format!("/orders/{}", segment(payment)?);
        let body = refund_body(wanted)?;
        let Some(before) = replies.first() else {
            return Ok(self.get(&path));
        };
        let known = shown(frame, payment, before)?;
        if known.refunds.values().any(|refund| is_ours(refund, wanted)) {
            return Ok(Step::Done(PspAnswer::Seen(vec![known])));
        }
        if known.progress.is_none() {
            return Err(Failure::NotSent("unknown_status".to_owned()));
        }
        let Some(answered) = replies.get(1) else {
            return Ok(self.send(Method::Post, &format!("{path}/refunds"), &body));
        };
        match answer::shown(answered, Effect::Moves) {
            Ok(_) => {}
            Err(Failure::Refused(code)) if code == "error_1034" && has_equal(&known, wanted) => {
                let wait = EQUAL_REFUND_BLOCK;
                return Err(Failure::Postponed { code, wait });
            }
            Err(failure) => return Err(failure),
        }
        let Some(after) = replies.get(2) else {
            return Ok(self.get(&path));
        };
        match shown(frame, payment, after) {
            Ok(seen) if seen.refunds.values().any(|refund| is_ours(refund, wanted)) => {
                Ok(Step::Done(PspAnswer::Seen(vec![seen])))
            }
            // Taken, and not shown yet: it must be looked for, never asked again blindly.
            Ok(_) | Err(_) => Err(Failure::Unclear("refund_not_shown_yet".to_owned())),
        }
    }

    fn void(
        &self,
        frame: &Frame<'_>,
        payment: &ExternalRef,
        why: Reason,
        replies: &[Reply],
    ) -> Result<Step, Failure> {
        let order = segment(payment)?;
        let Some(before) = replies.first() else {
            return Ok(self.get(&format!("/orders/{order}")));
        };
        let known = shown(frame, payment, before)?;
        if known.progress.is_none() {
            return Err(Failure::NotSent("unknown_status".to_owned()));
        }
        // Money that slipped in, or an authorisation that is gone, is an answer already.
        if known.progress != Some(Progress::Authorised) {
            return Ok(Step::Done(PspAnswer::Seen(vec![known])));
        }
        let Some(answered) = replies.get(1) else {
            let body = format!(
                r#"{{"status":"cancelled","reason":{}}}"#,
                quoted(why.code())
            );
            return Ok(self.send(Method::Patch, &format!("/capture/{order}"), &body));
        };
        answer::shown(answered, Effect::Moves)?;
        let Some(after) = replies.get(2) else {
            return Ok(self.get(&format!("/orders/{order}")));
        };
        let seen = shown(frame, payment, after)
            .map_err(|_| Failure::Unclear("void_not_shown_yet".to_owned()))?;
        Ok(Step::Done(PspAnswer::Seen(vec![seen])))
    }

    fn list(
        &self,
        listing: u8,
        (from, to): (Time, Time),
        cursor: Option<&str>,
        replies: &[Reply],
    ) -> Result<Step, Failure> {
        let word = match listing {
            0 => "created",
            1 => "completed",
            _ => return Err(Failure::Refused("no_such_listing".to_owned())),
        };
        let Some(reply) = replies.first() else {
            let from = written(from.minus(ZONE_SLACK))?;
            let to = written(to.plus(ZONE_SLACK))?;
            let mut path =
                format!("/transactions?limit={PAGE_ROWS}&{word}_from={from}&{word}_until={to}");
            if let Some(cursor) = cursor {
                path.push_str("&after=");
                path.push_str(&order_id::encoded(cursor));
            }
            return Ok(self.get(&path));
        };
        // The pager stands beside `data`, so the whole body is read here.
        answer::shown(reply, Effect::Reads)?;
        let body = reply.as_ref().map_or(&[][..], |response| &response.body);
        page(body).map_err(|e| answer::malformed(&e))
    }
}

fn page(body: &[u8]) -> Result<Step, Unreadable> {
    let page: Page<'_> = json::object(body)?;
    // A page without rows is an empty list; a page without a list is no answer.
    let rows = page.data.ok_or_else(|| Unreadable {
        code: "missing_field",
        detail: "a page without a list".to_owned(),
    })?;
    let mut hints: Vec<ExternalRef> = rows
        .iter()
        .filter_map(|row| row.0.order_id.as_deref())
        .filter_map(order_id::named)
        .collect();
    hints.sort();
    hints.dedup();
    let next = match page.pager {
        Some(raw) => json::text_at(raw, "cursor.after")?.or(json::text_at(raw, "after")?),
        None => None,
    };
    let next = next.filter(|text| !text.is_empty());
    if rows.is_empty() && next.is_some() {
        return Err(Unreadable {
            code: "wrong_shape",
            detail: "an empty page that promises more".to_owned(),
        });
    }
    Ok(Step::Done(PspAnswer::Page {
        payments: Vec::new(),
        hints,
        next,
    }))
}

/// The order that a read shows; refused when it is another one.
fn shown(
    frame: &Frame<'_>,
    payment: &ExternalRef,
    reply: &Reply,
) -> Result<PaymentSnapshot, Failure> {
    let data = answer::shown(reply, Effect::Reads)?;
    let raw = data.ok_or_else(|| Failure::Malformed("missing_field".to_owned()))?;
    let read = order(raw.get().as_bytes()).map_err(|e| answer::malformed(&e))?;
    if read.payment != *payment {
        return Err(Failure::Malformed("other_payment".to_owned()));
    }
    let snapshot = frame.whole(payment, &read.view);
    snapshot.map_err(|e| answer::malformed(&e))
}

fn is_ours(refund: &crate::core::payment::Refund, wanted: &Wanted<'_>) -> bool {
    refund.mark.as_ref() == Some(wanted.key)
}

/// Somebody's refund of the same amount, which the PSP's own guard may have mistaken ours for.
fn has_equal(known: &PaymentSnapshot, wanted: &Wanted<'_>) -> bool {
    let mut refunds = known.refunds.values();
    refunds.any(|refund| refund.amount == wanted.amount)
}

/// The body of a refund: the amount always written, never zero, and our reference.
fn refund_body(wanted: &Wanted<'_>) -> Result<String, Failure> {
    let refused = |code: &str| Failure::Refused(code.to_owned());
    if !wanted.amount.is_positive() || currency(wanted.amount.currency().code()).is_err() {
        return Err(refused("amount_not_expressible"));
    }
    if wanted.key.as_str().len() > MARK_CHARS_MAX {
        return Err(refused("reference_too_long"));
    }
    Ok(format!(
        r#"{{"currency":{},"amount":{},"description":{},"refund_order_id":{}}}"#,
        quoted(wanted.amount.currency().code()),
        wanted.amount.minor(),
        quoted(wanted.why.code()),
        quoted(wanted.key.as_str()),
    ))
}

fn segment(payment: &ExternalRef) -> Result<String, Failure> {
    order_id::segment(payment).ok_or_else(|| Failure::Refused("bad_order_id".to_owned()))
}

fn quoted(text: &str) -> String {
    serde_json::Value::from(text).to_string()
}

/// A moment as the list takes it: `2026-11-20T09:12:31`.
fn written(at: Time) -> Result<String, Failure> {
    let moment = jiff::Timestamp::from_second(at.seconds())
        .map_err(|_| Failure::Refused("time_out_of_range".to_owned()))?;
    let civil = moment.to_zoned(jiff::tz::TimeZone::UTC).datetime();
    Ok(order_id::encoded(&civil.to_string()))
}
