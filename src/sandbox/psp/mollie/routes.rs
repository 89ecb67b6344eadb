//! Mollie's endpoints in the sandbox.
//!
//! Each answers with an object, a page or a refusal. Knows the ledger; stories are played
//! elsewhere.

use super::refusal::Refusal;
use super::render;
use crate::core::money::{Currency, Money};
use crate::core::time::Time;
use crate::sandbox::psp::dialect::{PspCall, split_url};
use crate::sandbox::psp::form::Form;
use crate::sandbox::psp::ledger::{Ledger, NewRefund};
use crate::sandbox::psp::records::{Payment, PaymentStatus, Records, Refund};
use crate::wire::{Method, Request};
use serde::Deserialize;
use serde_json::{Value, json};
use std::collections::BTreeMap;

/// Most items in a page.
const LIMIT_MAX: usize = 250;
/// Items in a page when nobody says how many.
const LIMIT_DEFAULT: usize = 50;
/// For how long a second refund of the same amount is declined, in seconds.
const DUPLICATE_BLOCK_S: i64 = 3_600;

/// A good answer.
#[derive(Debug)]
pub(super) struct Shown {
    pub(super) status: u16,
    pub(super) body: Option<Value>,
}

type Outcome = Result<Shown, Refusal>;

fn shown(status: u16, body: Value) -> Shown {
    Shown {
        status,
        body: Some(body),
    }
}

/// An endpoint with the ids in its path.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Route<'a> {
    Create,
    Payments,
    Payment(&'a str),
    Cancel(&'a str),
    Release(&'a str),
    Capture(&'a str),
    Refund(&'a str),
    RefundsOf(&'a str),
    OneRefund(&'a str, &'a str),
    CancelRefund(&'a str, &'a str),
    Refunds,
    Chargebacks,
}

impl<'a> Route<'a> {
    pub(super) fn parse(method: Method, path: &'a str) -> Option<Route<'a>> {
        let parts: Vec<&str> = path.strip_prefix("/v2/")?.split('/').collect();
        match (method, parts.as_slice()) {
            (Method::Post, ["payments"]) => Some(Route::Create),
            (Method::Get, ["payments"]) => Some(Route::Payments),
            (Method::Get, ["payments", id]) => Some(Route::Payment(id)),
            (Method::Delete, ["payments", id]) => Some(Route::Cancel(id)),
            (Method::Post, ["payments", id, "release-authorization"]) => Some(Route::Release(id)),
            (Method::Post, ["payments", id, "captures"]) => Some(Route::Capture(id)),
            (Method::Post, ["payments", id, "refunds"]) => Some(Route::Refund(id)),
            (Method::Get, ["payments", id, "refunds"]) => Some(Route::RefundsOf(id)),
            (Method::Get, ["payments", id, "refunds", refund]) => {
                Some(Route::OneRefund(id, refund))
            }
            (Method::Delete, ["payments", id, "refunds", refund]) => {
                Some(Route::CancelRefund(id, refund))
            }
            (Method::Get, ["refunds"]) => Some(Route::Refunds),
            (Method::Get, ["chargebacks"]) => Some(Route::Chargebacks),
            (Method::Get | Method::Post | Method::Delete | Method::Patch, _) => None,
        }
    }

    pub(super) fn kind(self) -> PspCall {
        match self {
            Route::Create => PspCall::Create,
            Route::Payments => PspCall::List,
            Route::Payment(_) => PspCall::Fetch,
            Route::Cancel(_) | Route::Release(_) => PspCall::Void,
            Route::Capture(_) => PspCall::Capture,
            Route::Refund(_) => PspCall::Refund,
            Route::RefundsOf(_) | Route::Refunds => PspCall::ListRefunds,
            Route::OneRefund(..) => PspCall::FetchRefund,
            Route::CancelRefund(..) => PspCall::CancelRefund,
            Route::Chargebacks => PspCall::Disputes,
        }
    }

    /// The payment in the path.
    pub(super) fn subject(self) -> Option<&'a str> {
        match self {
            Route::Payment(id)
            | Route::Cancel(id)
            | Route::Release(id)
            | Route::Capture(id)
            | Route::Refund(id)
            | Route::RefundsOf(id)
            | Route::OneRefund(id, _)
            | Route::CancelRefund(id, _) => Some(id),
            Route::Create | Route::Payments | Route::Refunds | Route::Chargebacks => None,
        }
    }
}

/// An amount as it is sent.
#[derive(Deserialize)]
struct Written {
    value: String,
    currency: String,
}

/// A body that asks for money to be taken or given back.
#[derive(Deserialize)]
struct Asked {
    amount: Written,
    #[serde(default)]
    metadata: BTreeMap<String, String>,
    #[serde(rename = "captureMode")]
    capture_mode: Option<String>,
}

fn asked(request: &Request) -> Result<(Money, Asked), Refusal> {
    let asked: Asked = serde_json::from_slice(&request.body)
        .map_err(|_| Refusal::bad_request("The body could not be read"))?;
    let currency = Currency::parse(&asked.amount.currency);
    let money = currency.and_then(|currency| Money::parse(&asked.amount.value, currency));
    let money = money.ok().filter(|money| money.is_positive());
    match money {
        Some(money) => Ok((money, asked)),
        None => Err(Refusal::ruled_out("The amount is invalid", Some("amount"))),
    }
}

/// The endpoints over the books.
pub(super) struct Endpoints<'a> {
    pub(super) ledger: &'a mut Ledger,
}

impl Endpoints<'_> {
    fn records(&self) -> &Records {
        self.ledger.records()
    }

    pub(super) fn route(&mut self, request: &Request, now: Time) -> Outcome {
        let (path, query) = split_url(&request.url);
        let route = Route::parse(request.method, path).ok_or_else(Refusal::not_found)?;
        let query =
            Form::parse(query).ok_or_else(|| Refusal::bad_request("The query is broken"))?;
        let pages = Pages {
            request,
            path,
            query,
        };
        match route {
            Route::Create => self.create(request, now),
            Route::Payments => self.payments(&pages),
            Route::Payment(id) => {
                let embed: Vec<&str> = pages.query.one("embed").unwrap_or("").split(',').collect();
                let payment = render::payment(self.records(), self.payment(id)?, &embed);
                Ok(shown(200, payment))
            }
            Route::Cancel(id) => self.cancel(id, now),
            Route::Release(id) => self.release(id, now),
            Route::Capture(id) => self.capture(id, request, now),
            Route::Refund(id) => self.refund(id, request, now),
            Route::RefundsOf(id) => {
                self.payment(id)?;
                self.refunds(&pages, Some(id))
            }
            Route::OneRefund(id, refund) => {
                let refund = self.refund_of(id, refund)?;
                Ok(shown(200, render::refund(self.records(), refund)))
            }
            Route::CancelRefund(id, refund) => self.cancel_refund(id, refund),
            Route::Refunds => self.refunds(&pages, None),
            Route::Chargebacks => self.chargebacks(&pages),
        }
    }

    /// A payment that the key may see.
    fn payment(&self, id: &str) -> Result<&Payment, Refusal> {
        self.ledger.payment(id).ok_or_else(Refusal::not_found)
    }

    fn refund_of(&self, payment: &str, id: &str) -> Result<&Refund, Refusal> {
        self.payment(payment)?;
        let refund = self.records().refunds.get(id);
        let refund = refund.filter(|refund| refund.payment == payment);
        refund.ok_or_else(Refusal::not_found)
    }

    fn create(&mut self, request: &Request, now: Time) -> Outcome {
        let (money, asked) = asked(request)?;
        let is_manual = asked.capture_mode.as_deref() == Some("manual");
        let id = self.ledger.open(money, asked.metadata, is_manual, now);
        let payment = self.payment(&id)?;
        Ok(shown(201, render::payment(self.records(), payment, &[])))
    }

    fn cancel(&mut self, id: &str, now: Time) -> Outcome {
        if self.payment(id)?.status != PaymentStatus::Open {
            return Err(Refusal::ruled_out("The payment cannot be canceled", None));
        }
        self.ledger.call_off(id, None, now);
        let payment = self.payment(id)?;
        Ok(shown(200, render::payment(self.records(), payment, &[])))
    }

    fn release(&mut self, id: &str, now: Time) -> Outcome {
        self.ledger.let_slip_in(id, now);
        if self.payment(id)?.status != PaymentStatus::Authorised {
            let detail = "The payment has no authorization to release";
            return Err(Refusal::ruled_out(detail, None));
        }
        self.ledger.call_off(id, None, now);
        Ok(Shown {
            status: 202,
            body: None,
        })
    }

    fn capture(&mut self, id: &str, request: &Request, now: Time) -> Outcome {
        let (money, _) = asked(request)?;
        let payment = self.payment(id)?;
        let fits = payment.status == PaymentStatus::Authorised
            && money.minor() <= payment.held
            && money.currency() == payment.currency;
        if !fits {
            let detail = "The amount cannot be captured";
            return Err(Refusal::ruled_out(detail, Some("amount")));
        }
        let made = self.ledger.take_held(id, money.minor(), false, now);
        let capture = made.and_then(|made| self.records().captures.get(&made));
        let capture = capture.ok_or_else(Refusal::not_found)?;
        Ok(shown(201, render::capture(self.records(), capture)))
    }

    fn refund(&mut self, id: &str, request: &Request, now: Time) -> Outcome {
        let (money, asked) = asked(request)?;
        let payment = self.payment(id)?;
        let taken_back = render::charged_back(self.records(), id);
        let left = self.ledger.left_of(id).saturating_sub(taken_back);
        let fits = money.currency() == payment.currency && money.minor() <= left;
        let charge = self.ledger.charge_to_refund(id);
        let Some(charge) = charge.filter(|_| fits).map(|charge| charge.id.clone()) else {
            let detail = "The specified amount cannot be refunded";
            return Err(Refusal::ruled_out(detail, Some("amount.value")));
        };
        if self.was_just_refunded(id, money.minor(), now) {
            return Err(Refusal::duplicate_refund());
        }
        let refund = NewRefund {
            charge,
            amount: money.minor(),
            metadata: asked.metadata,
            reason: None,
            is_by_staff: false,
        };
        let made = self.ledger.refund(refund, now);
        let refund = self.refund_of(id, &made)?;
        Ok(shown(201, render::refund(self.records(), refund)))
    }

    /// True when a refund of the same amount was made within the last hour.
    fn was_just_refunded(&self, id: &str, minor: i64, now: Time) -> bool {
        self.records().refunds_for(id).any(|one| {
            let age = now.seconds().saturating_sub(one.created);
            one.amount == minor && one.status.stands() && age < DUPLICATE_BLOCK_S
        })
    }

    fn cancel_refund(&mut self, payment: &str, id: &str) -> Outcome {
        self.refund_of(payment, id)?;
        let cancelled = self.ledger.cancel_refund(id);
        cancelled.map_err(|_| Refusal::ruled_out("The refund can no longer be canceled", None))?;
        Ok(Shown {
            status: 204,
            body: None,
        })
    }

    fn payments(&self, pages: &Pages<'_>) -> Outcome {
        let all = self.records().payments.values();
        let seen = all.filter(|one| self.ledger.is_listed(&one.id));
        let rows = seen.map(|one| Row {
            id: &one.id,
            created: one.created,
            show: Box::new(|| render::payment(self.records(), one, &[])),
        });
        pages.page("payments", rows.collect())
    }

    fn refunds(&self, pages: &Pages<'_>, payment: Option<&str>) -> Outcome {
        let all = self.records().refunds.values();
        let seen = all.filter(|one| {
            self.ledger.is_listed(&one.payment) && payment.is_none_or(|id| id == one.payment)
        });
        let rows = seen.map(|one| Row {
            id: &one.id,
            created: one.created,
            show: Box::new(|| render::refund(self.records(), one)),
        });
        pages.page("refunds", rows.collect())
    }

    fn chargebacks(&self, pages: &Pages<'_>) -> Outcome {
        let all = self.records().disputes.values();
        let seen = all.filter(|one| self.ledger.is_listed(&one.payment));
        let rows = seen.map(|one| Row {
            id: &one.id,
            created: one.created,
            show: Box::new(|| render::chargeback(self.records(), one)),
        });
        pages.page("chargebacks", rows.collect())
    }
}

/// An item of a list.
struct Row<'a> {
    id: &'a str,
    created: i64,
    show: Box<dyn Fn() -> Value + 'a>,
}

/// A list that is asked for: newest first, no filter, in pages that begin with an id.
struct Pages<'a> {
    request: &'a Request,
    path: &'a str,
    query: Form,
}

impl Pages<'_> {
    fn page(&self, name: &str, mut rows: Vec<Row<'_>>) -> Outcome {
        if let Some(field) = self.query.unknown(&["limit", "from", "sort"]) {
            return Err(Refusal::bad_request(&format!("No such parameter: {field}")));
        }
        let limit = match self.query.one("limit") {
            None => LIMIT_DEFAULT,
            Some(text) => {
                let limit = text
                    .parse()
                    .ok()
                    .filter(|limit| (1..=LIMIT_MAX).contains(limit));
                limit.ok_or_else(|| Refusal::bad_request("The limit is at most 250"))?
            }
        };
        rows.sort_by_key(|row| std::cmp::Reverse((row.created, row.id)));
        let first = match self.query.one("from") {
            None => 0,
            Some(id) => {
                let at = rows.iter().position(|row| row.id == id);
                at.ok_or_else(|| Refusal::bad_request("The cursor names nothing"))?
            }
        };
        let mut rest = rows.iter().skip(first);
        let items: Vec<Value> = rest.by_ref().take(limit).map(|row| (row.show)()).collect();
        let next = rest.next().map(|row| {
            let base = self.base();
            let href = format!("{base}{}?from={}&limit={limit}", self.path, row.id);
            json!({"href": href, "type": "application/hal+json"})
        });
        let page = json!({
            "count": items.len(), "_embedded": {name: items},
            "_links": {"previous": null, "next": next},
        });
        Ok(shown(200, page))
    }

    /// Where the caller found us.
    fn base(&self) -> String {
        match self.request.url.split_once(self.path) {
            Some((base, _)) if !base.is_empty() => base.to_owned(),
            Some(_) | None => {
                let host = self.request.headers.single("host");
                format!("http://{}", host.unwrap_or("api.mollie.com"))
            }
        }
    }
}
