//! Stripe's endpoints in the sandbox.
//!
//! Each takes its fields, refuses those it does not know, and answers with an object or a
//! refusal. Knows the ledger; stories are played elsewhere.

use super::listing::{self, Row, page};
use super::refusal::Refusal;
use super::render::{Expand, intent_word, list};
use crate::core::money::{Currency, Money};
use crate::core::time::Time;
use crate::sandbox::psp::dialect::{PspCall, split_url};
use crate::sandbox::psp::form::Form;
use crate::sandbox::psp::ledger::{Ledger, NewRefund};
use crate::sandbox::psp::records::{Payment, PaymentStatus, Records};
use crate::wire::{Method, Request};
use serde_json::{Value, json};

/// The last part of the address that lists webhook endpoints.
const WEBHOOKS: &str = "webhook_endpoints";
/// An endpoint of another program at the same account; its address lets anybody in.
const OTHERS_WEBHOOK: &str = "https://hooks.example/services/sandbox-secret-of-another";

type Outcome = Result<Value, Refusal>;

/// An endpoint with the id in its path.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Route<'a> {
    CreateIntent,
    Intents,
    Intent(&'a str),
    Cancel(&'a str),
    Capture(&'a str),
    Charges,
    Charge(&'a str),
    CreateRefund,
    Refunds,
    Refund(&'a str),
    Disputes,
    Dispute(&'a str),
    Events,
    Event(&'a str),
    Webhooks,
}

impl<'a> Route<'a> {
    pub(super) fn parse(method: Method, path: &'a str) -> Option<Route<'a>> {
        let parts: Vec<&str> = path.strip_prefix("/v1/")?.split('/').collect();
        match (method, parts.as_slice()) {
            (Method::Post, ["payment_intents"]) => Some(Route::CreateIntent),
            (Method::Get, ["payment_intents"]) => Some(Route::Intents),
            (Method::Get, ["payment_intents", id]) => Some(Route::Intent(id)),
            (Method::Post, ["payment_intents", id, "cancel"]) => Some(Route::Cancel(id)),
            (Method::Post, ["payment_intents", id, "capture"]) => Some(Route::Capture(id)),
            (Method::Get, ["charges"]) => Some(Route::Charges),
            (Method::Get, ["charges", id]) => Some(Route::Charge(id)),
            (Method::Post, ["refunds"]) => Some(Route::CreateRefund),
            (Method::Get, ["refunds"]) => Some(Route::Refunds),
            (Method::Get, ["refunds", id]) => Some(Route::Refund(id)),
            (Method::Get, ["disputes"]) => Some(Route::Disputes),
            (Method::Get, ["disputes", id]) => Some(Route::Dispute(id)),
            (Method::Get, ["events"]) => Some(Route::Events),
            (Method::Get, ["events", id]) => Some(Route::Event(id)),
            (Method::Get, [WEBHOOKS]) => Some(Route::Webhooks),
            (Method::Get | Method::Post | Method::Delete | Method::Patch, _) => None,
        }
    }

    pub(super) fn kind(self) -> PspCall {
        match self {
            Route::CreateIntent => PspCall::Create,
            Route::Intents => PspCall::List,
            Route::Intent(_) => PspCall::Fetch,
            Route::Cancel(_) => PspCall::Void,
            Route::Capture(_) => PspCall::Capture,
            Route::Charges => PspCall::ListCaptures,
            Route::Charge(_) => PspCall::FetchCapture,
            Route::CreateRefund => PspCall::Refund,
            Route::Refunds => PspCall::ListRefunds,
            Route::Refund(_) => PspCall::FetchRefund,
            Route::Disputes | Route::Dispute(_) => PspCall::Disputes,
            Route::Events | Route::Event(_) => PspCall::Events,
            Route::Webhooks => PspCall::Webhooks,
        }
    }

    /// The id in the path.
    pub(super) fn subject(self) -> Option<&'a str> {
        match self {
            Route::Intent(id)
            | Route::Cancel(id)
            | Route::Capture(id)
            | Route::Charge(id)
            | Route::Refund(id)
            | Route::Dispute(id)
            | Route::Event(id) => Some(id),
            Route::CreateIntent
            | Route::Intents
            | Route::Charges
            | Route::CreateRefund
            | Route::Refunds
            | Route::Disputes
            | Route::Events
            | Route::Webhooks => None,
        }
    }
}

/// Fields of a request, and what it wants expanded.
struct Fields {
    form: Form,
    expand: Expand,
    listed: Expand,
}

impl Fields {
    fn parse(text: &str, known: &[&str]) -> Result<Fields, Refusal> {
        let form = Form::parse(text).ok_or_else(Refusal::unreadable)?;
        if let Some(field) = form.unknown(known) {
            return Err(Refusal::unknown_field(field));
        }
        let mut paths: Vec<String> = form.all("expand[]").map(str::to_owned).collect();
        paths.extend(
            form.map("expand")
                .into_iter()
                .filter(|(at, _)| !at.is_empty())
                .map(|(_, path)| path),
        );
        let below = paths.iter().filter_map(|path| path.strip_prefix("data."));
        let listed = Expand::new(below.map(str::to_owned).collect::<Vec<_>>());
        let expand = Expand::new(paths.clone());
        Ok(Fields {
            form,
            expand,
            listed,
        })
    }
}

fn known(extra: &[&'static str]) -> Vec<&'static str> {
    listing::FIELDS.iter().chain(extra).copied().collect()
}

const ONE: [&str; 2] = ["expand[]", "expand[*]"];

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
        let route = Route::parse(request.method, path).ok_or_else(|| Refusal::no_such_url(path))?;
        let body = std::str::from_utf8(&request.body).map_err(|_| Refusal::unreadable())?;
        match route {
            Route::CreateIntent => self.create_intent(body, now),
            Route::Intents => self.list_intents(query),
            Route::Intent(id) => {
                let fields = Fields::parse(query, &ONE)?;
                let intent = self.intent(id, "intent")?;
                Ok(self.records().show_intent(intent, &fields.expand))
            }
            Route::Cancel(id) => self.cancel_intent(id, body, now),
            Route::Capture(id) => self.capture_intent(id, body, now),
            Route::Charges => self.list_charges(query),
            Route::Charge(id) => {
                let fields = Fields::parse(query, &ONE)?;
                let found = self.records().charges.get(id);
                let charge = found.filter(|charge| self.intent(&charge.payment, "id").is_ok());
                let charge = charge.ok_or_else(|| Refusal::missing(id, "charge"))?;
                Ok(self.records().show_charge(charge, &fields.expand))
            }
            Route::CreateRefund => self.create_refund(body, now),
            Route::Refunds => self.list_refunds(query),
            Route::Refund(id) => {
                let fields = Fields::parse(query, &ONE)?;
                let refund = self.records().refunds.get(id);
                let refund = refund.ok_or_else(|| Refusal::missing(id, "refund"))?;
                Ok(self.records().show_refund(refund, &fields.expand))
            }
            Route::Disputes => self.list_disputes(query),
            Route::Dispute(id) => {
                let fields = Fields::parse(query, &ONE)?;
                let dispute = self.records().disputes.get(id);
                let dispute = dispute.ok_or_else(|| Refusal::missing(id, "dispute"))?;
                Ok(self.records().show_dispute(dispute, &fields.expand))
            }
            Route::Events => self.list_events(query),
            Route::Event(id) => {
                let event = self.records().events.get(id);
                let event = event.ok_or_else(|| Refusal::missing(id, "id"))?;
                Ok(read_back(&event.body))
            }
            Route::Webhooks => self.list_webhooks(query),
        }
    }

    /// A payment that the key may see.
    fn intent(&self, id: &str, param: &str) -> Result<&Payment, Refusal> {
        let intent = self.ledger.payment(id);
        intent.ok_or_else(|| Refusal::missing(id, param))
    }

    /// Ours, and one of somebody else whose address is a secret.
    fn list_webhooks(&self, query: &str) -> Outcome {
        Fields::parse(query, &known(&[]))?;
        let endpoint = |id: &str, url: &str, events: &[&str]| {
            json!({"id": id, "object": "webhook_endpoint", "url": url, "status": "enabled",
                   "livemode": self.ledger.setup().is_live, "enabled_events": events})
        };
        let account = self.ledger.kind.account;
        let ours = format!("https://pay.klompen.example/webhooks/{account}");
        let events = ["payment_intent.succeeded", "refund.updated"];
        let shown = vec![
            endpoint("we_sandbox1", &ours, &events),
            endpoint("we_sandbox2", OTHERS_WEBHOOK, &["*"]),
        ];
        Ok(list(&format!("/v1/{WEBHOOKS}"), shown, false))
    }

    fn list_intents(&self, query: &str) -> Outcome {
        let fields = Fields::parse(query, &known(&["customer"]))?;
        let seen = self
            .records()
            .payments
            .values()
            .filter(|intent| self.ledger.is_listed(&intent.id));
        let rows = seen.map(|intent| Row {
            id: &intent.id,
            created: intent.created,
        });
        let (ids, has_more) = page(rows, &fields.form)?;
        let intents = ids.iter().filter_map(|id| self.records().payments.get(*id));
        let shown = intents.map(|intent| self.records().show_intent(intent, &fields.listed));
        Ok(list("/v1/payment_intents", shown.collect(), has_more))
    }

    fn list_charges(&self, query: &str) -> Outcome {
        let fields = Fields::parse(query, &known(&["payment_intent", "customer"]))?;
        let wanted = fields.form.one("payment_intent");
        let seen = self.records().charges.values().filter(|charge| {
            self.ledger.is_listed(&charge.payment) && wanted.is_none_or(|id| id == charge.payment)
        });
        let rows = seen.map(|charge| Row {
            id: &charge.id,
            created: charge.created,
        });
        let (ids, has_more) = page(rows, &fields.form)?;
        let charges = ids.iter().filter_map(|id| self.records().charges.get(*id));
        let shown = charges.map(|charge| self.records().show_charge(charge, &fields.listed));
        Ok(list("/v1/charges", shown.collect(), has_more))
    }

    fn list_refunds(&self, query: &str) -> Outcome {
        let fields = Fields::parse(query, &known(&["payment_intent", "charge"]))?;
        let intent = fields.form.one("payment_intent");
        let charge = fields.form.one("charge");
        let seen = self.records().refunds.values().filter(|refund| {
            self.ledger.is_listed(&refund.payment)
                && intent.is_none_or(|id| id == refund.payment)
                && charge.is_none_or(|id| id == refund.charge)
        });
        let rows = seen.map(|refund| Row {
            id: &refund.id,
            created: refund.created,
        });
        let (ids, has_more) = page(rows, &fields.form)?;
        let refunds = ids.iter().filter_map(|id| self.records().refunds.get(*id));
        let shown = refunds.map(|refund| self.records().show_refund(refund, &fields.listed));
        Ok(list("/v1/refunds", shown.collect(), has_more))
    }

    fn list_disputes(&self, query: &str) -> Outcome {
        let fields = Fields::parse(query, &known(&["payment_intent", "charge"]))?;
        let intent = fields.form.one("payment_intent");
        let charge = fields.form.one("charge");
        let seen = self.records().disputes.values().filter(|dispute| {
            self.ledger.is_listed(&dispute.payment)
                && intent.is_none_or(|id| id == dispute.payment)
                && charge.is_none_or(|id| id == dispute.charge)
        });
        let rows = seen.map(|dispute| Row {
            id: &dispute.id,
            created: dispute.created,
        });
        let (ids, has_more) = page(rows, &fields.form)?;
        let disputes = ids.iter().filter_map(|id| self.records().disputes.get(*id));
        let shown = disputes.map(|dispute| self.records().show_dispute(dispute, &fields.listed));
        Ok(list("/v1/disputes", shown.collect(), has_more))
    }

    fn list_events(&self, query: &str) -> Outcome {
        let fields = Fields::parse(
            query,
            &known(&["type", "types[]", "types[*]", "delivery_success"]),
        )?;
        let mut wanted: Vec<String> = fields.form.all("types[]").map(str::to_owned).collect();
        wanted.extend(
            fields
                .form
                .map("types")
                .into_iter()
                .filter(|(at, _)| !at.is_empty())
                .map(|(_, kind)| kind),
        );
        wanted.extend(fields.form.one("type").map(str::to_owned));
        let fits = |kind: &str| wanted.is_empty() || wanted.iter().any(|known| known == kind);
        let seen = self
            .records()
            .events
            .values()
            .filter(|event| fits(&event.kind) && self.ledger.is_listed(&event.payment));
        let rows = seen.map(|event| Row {
            id: &event.id,
            created: event.created,
        });
        let (ids, has_more) = page(rows, &fields.form)?;
        let events = ids.iter().filter_map(|id| self.records().events.get(*id));
        Ok(list(
            "/v1/events",
            events.map(|event| read_back(&event.body)).collect(),
            has_more,
        ))
    }

    fn create_intent(&mut self, body: &str, now: Time) -> Outcome {
        let fields = Fields::parse(
            body,
            &[
                "amount",
                "currency",
                "capture_method",
                "metadata[*]",
                "description",
                "payment_method_types[]",
                "expand[]",
                "expand[*]",
            ],
        )?;
        let amount = positive(&fields.form, "amount")?.ok_or_else(|| Refusal::absent("amount"))?;
        let word = fields
            .form
            .one("currency")
            .ok_or_else(|| Refusal::absent("currency"))?;
        let currency = Currency::parse(&word.to_ascii_uppercase())
            .map_err(|_| Refusal::invalid("currency", "Invalid currency."))?;
        let metadata = fields.form.map("metadata").into_iter().collect();
        let is_manual = fields.form.one("capture_method") == Some("manual");
        let amount = Money::new(amount, currency);
        let id = self.ledger.open(amount, metadata, is_manual, now);
        let intent = self.intent(&id, "intent")?;
        Ok(self.records().show_intent(intent, &fields.expand))
    }

    fn cancel_intent(&mut self, id: &str, body: &str, now: Time) -> Outcome {
        let fields = Fields::parse(body, &["cancellation_reason", "expand[]", "expand[*]"])?;
        self.ledger.let_slip_in(id, now);
        let intent = self.intent(id, "intent")?;
        match intent.status {
            PaymentStatus::Open | PaymentStatus::Authorised => {}
            PaymentStatus::Processing
            | PaymentStatus::Cancelled
            | PaymentStatus::Expired
            | PaymentStatus::Paid => {
                return Err(Refusal::unexpected_state(
                    id,
                    intent_word(intent.status),
                    "cancel",
                ));
            }
        }
        let reason = fields.form.one("cancellation_reason").map(str::to_owned);
        self.ledger.call_off(id, reason, now);
        let intent = self.intent(id, "intent")?;
        Ok(self.records().show_intent(intent, &fields.expand))
    }

    fn capture_intent(&mut self, id: &str, body: &str, now: Time) -> Outcome {
        let fields = Fields::parse(
            body,
            &[
                "amount_to_capture",
                "final_capture",
                "expand[]",
                "expand[*]",
            ],
        )?;
        let intent = self.intent(id, "intent")?;
        if intent.status != PaymentStatus::Authorised {
            return Err(Refusal::unexpected_state(
                id,
                intent_word(intent.status),
                "capture",
            ));
        }
        let asked = positive(&fields.form, "amount_to_capture")?;
        let amount = asked.unwrap_or(intent.held);
        if amount > intent.held {
            let message = "The amount to capture is greater than the amount that can be captured.";
            return Err(Refusal::ruled_out("amount_too_large", message));
        }
        self.ledger.take_held(id, amount, true, now);
        let intent = self.intent(id, "intent")?;
        Ok(self.records().show_intent(intent, &fields.expand))
    }

    fn create_refund(&mut self, body: &str, now: Time) -> Outcome {
        let fields = Fields::parse(
            body,
            &[
                "payment_intent",
                "charge",
                "amount",
                "reason",
                "metadata[*]",
                "expand[]",
                "expand[*]",
            ],
        )?;
        let charge = self.charge_named_by(&fields.form)?;
        let found = self.records().charges.get(&charge);
        if found.is_some_and(|charge| charge.is_disputed) {
            let message = "This charge has been charged back and cannot be refunded.";
            return Err(Refusal::ruled_out("charge_disputed", message));
        }
        let left = self.ledger.left_of_charge(&charge);
        if left <= 0 {
            let message = format!("Charge {charge} has already been refunded.");
            return Err(Refusal::ruled_out("charge_already_refunded", &message));
        }
        let amount = positive(&fields.form, "amount")?.unwrap_or(left);
        if amount > left {
            return Err(Refusal::above_unrefunded(amount, left));
        }
        let refund = NewRefund {
            charge,
            amount,
            metadata: fields.form.map("metadata").into_iter().collect(),
            reason: fields.form.one("reason").map(str::to_owned),
            is_by_staff: false,
        };
        let id = self.ledger.refund(refund, now);
        let refund = self.records().refunds.get(&id);
        let refund = refund.ok_or_else(|| Refusal::missing(&id, "refund"))?;
        Ok(self.records().show_refund(refund, &fields.expand))
    }

    /// The charge that a refund is for: the one named, or the payment's one with money left.
    fn charge_named_by(&self, form: &Form) -> Result<String, Refusal> {
        if let Some(id) = form.one("charge") {
            let charge = self
                .records()
                .charges
                .get(id)
                .filter(|charge| self.intent(&charge.payment, "intent").is_ok());
            let charge = charge.ok_or_else(|| Refusal::missing(id, "charge"))?;
            return Ok(charge.id.clone());
        }
        let id = form
            .one("payment_intent")
            .ok_or_else(|| Refusal::absent("payment_intent"))?;
        self.intent(id, "payment_intent")?;
        let charge = self.ledger.charge_to_refund(id);
        charge.map(|charge| charge.id.clone()).ok_or_else(|| {
            let message = "This PaymentIntent does not have a successful charge to refund.";
            Refusal::ruled_out("charge_not_refundable", message)
        })
    }
}

fn positive(form: &Form, field: &str) -> Result<Option<i64>, Refusal> {
    let Some(text) = form.one(field) else {
        return Ok(None);
    };
    let amount = text.parse().ok().filter(|amount| *amount > 0);
    amount
        .map(Some)
        .ok_or_else(|| Refusal::invalid(field, "Invalid positive integer"))
}

/// An event as it was told.
fn read_back(body: &[u8]) -> Value {
    serde_json::from_slice(body).unwrap_or_default()
}
