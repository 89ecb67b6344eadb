//! The endpoints of the sandbox PSP.
//!
//! Each takes its fields, refuses those it does not know, and answers with an object or a
//! refusal. Knows the records; stories are played elsewhere.

use super::form::Form;
use super::listing::{self, Row, page};
use super::records::{Intent, IntentStatus, Refund, RefundStatus};
use super::refusal::Refusal;
use super::render::{Expand, list};
use super::{PspCall, SandboxPsp, split_url};
use crate::core::money::Currency;
use crate::core::time::Time;
use crate::wire::{Method, Request};
use serde_json::Value;

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
            (Method::Get | Method::Post | Method::Delete | Method::Patch, _) => None,
        }
    }

    pub(super) fn kind(self) -> PspCall {
        match self {
            Route::CreateIntent => PspCall::CreateIntent,
            Route::Intents => PspCall::ListIntents,
            Route::Intent(_) => PspCall::FetchIntent,
            Route::Cancel(_) => PspCall::Cancel,
            Route::Capture(_) => PspCall::Capture,
            Route::Charges => PspCall::ListCharges,
            Route::Charge(_) => PspCall::FetchCharge,
            Route::CreateRefund => PspCall::CreateRefund,
            Route::Refunds => PspCall::ListRefunds,
            Route::Refund(_) => PspCall::FetchRefund,
            Route::Disputes | Route::Dispute(_) => PspCall::Disputes,
            Route::Events | Route::Event(_) => PspCall::Events,
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
            | Route::Events => None,
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

impl SandboxPsp {
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
                Ok(self.records.show_intent(intent, &fields.expand))
            }
            Route::Cancel(id) => self.cancel_intent(id, body, now),
            Route::Capture(id) => self.capture_intent(id, body, now),
            Route::Charges => self.list_charges(query),
            Route::Charge(id) => {
                let fields = Fields::parse(query, &ONE)?;
                let found = self.records.charges.get(id);
                let charge = found.filter(|charge| self.intent(&charge.intent, "id").is_ok());
                let charge = charge.ok_or_else(|| Refusal::missing(id, "charge"))?;
                Ok(self.records.show_charge(charge, &fields.expand))
            }
            Route::CreateRefund => self.create_refund(body, now),
            Route::Refunds => self.list_refunds(query),
            Route::Refund(id) => {
                let fields = Fields::parse(query, &ONE)?;
                let refund = self.records.refunds.get(id);
                let refund = refund.ok_or_else(|| Refusal::missing(id, "refund"))?;
                Ok(self.records.show_refund(refund, &fields.expand))
            }
            Route::Disputes => self.list_disputes(query),
            Route::Dispute(id) => {
                let fields = Fields::parse(query, &ONE)?;
                let dispute = self.records.disputes.get(id);
                let dispute = dispute.ok_or_else(|| Refusal::missing(id, "dispute"))?;
                Ok(self.records.show_dispute(dispute, &fields.expand))
            }
            Route::Events => self.list_events(query),
            Route::Event(id) => {
                let event = self.records.events.get(id);
                let event = event.ok_or_else(|| Refusal::missing(id, "id"))?;
                Ok(event.json.clone())
            }
        }
    }

    /// A payment that the key may see.
    fn intent(&self, id: &str, param: &str) -> Result<&Intent, Refusal> {
        let intent = self.records.intents.get(id);
        intent
            .filter(|intent| intent.is_live == self.setup.is_live)
            .ok_or_else(|| Refusal::missing(id, param))
    }

    fn is_listed(&self, intent: &str) -> bool {
        self.intent(intent, "id").is_ok() && !self.hidden.contains(intent)
    }

    fn list_intents(&self, query: &str) -> Outcome {
        let fields = Fields::parse(query, &known(&["customer"]))?;
        let seen = self
            .records
            .intents
            .values()
            .filter(|intent| self.is_listed(&intent.id));
        let rows = seen.map(|intent| Row {
            id: &intent.id,
            created: intent.created,
        });
        let (ids, has_more) = page(rows, &fields.form)?;
        let intents = ids.iter().filter_map(|id| self.records.intents.get(*id));
        let shown = intents.map(|intent| self.records.show_intent(intent, &fields.listed));
        Ok(list("/v1/payment_intents", shown.collect(), has_more))
    }

    fn list_charges(&self, query: &str) -> Outcome {
        let fields = Fields::parse(query, &known(&["payment_intent", "customer"]))?;
        let wanted = fields.form.one("payment_intent");
        let seen = self.records.charges.values().filter(|charge| {
            self.is_listed(&charge.intent) && wanted.is_none_or(|id| id == charge.intent)
        });
        let rows = seen.map(|charge| Row {
            id: &charge.id,
            created: charge.created,
        });
        let (ids, has_more) = page(rows, &fields.form)?;
        let charges = ids.iter().filter_map(|id| self.records.charges.get(*id));
        let shown = charges.map(|charge| self.records.show_charge(charge, &fields.listed));
        Ok(list("/v1/charges", shown.collect(), has_more))
    }

    fn list_refunds(&self, query: &str) -> Outcome {
        let fields = Fields::parse(query, &known(&["payment_intent", "charge"]))?;
        let intent = fields.form.one("payment_intent");
        let charge = fields.form.one("charge");
        let seen = self.records.refunds.values().filter(|refund| {
            self.is_listed(&refund.intent)
                && intent.is_none_or(|id| id == refund.intent)
                && charge.is_none_or(|id| id == refund.charge)
        });
        let rows = seen.map(|refund| Row {
            id: &refund.id,
            created: refund.created,
        });
        let (ids, has_more) = page(rows, &fields.form)?;
        let refunds = ids.iter().filter_map(|id| self.records.refunds.get(*id));
        let shown = refunds.map(|refund| self.records.show_refund(refund, &fields.listed));
        Ok(list("/v1/refunds", shown.collect(), has_more))
    }

    fn list_disputes(&self, query: &str) -> Outcome {
        let fields = Fields::parse(query, &known(&["payment_intent", "charge"]))?;
        let intent = fields.form.one("payment_intent");
        let charge = fields.form.one("charge");
        let seen = self.records.disputes.values().filter(|dispute| {
            self.is_listed(&dispute.intent)
                && intent.is_none_or(|id| id == dispute.intent)
                && charge.is_none_or(|id| id == dispute.charge)
        });
        let rows = seen.map(|dispute| Row {
            id: &dispute.id,
            created: dispute.created,
        });
        let (ids, has_more) = page(rows, &fields.form)?;
        let disputes = ids.iter().filter_map(|id| self.records.disputes.get(*id));
        let shown = disputes.map(|dispute| self.records.show_dispute(dispute, &fields.listed));
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
            .records
            .events
            .values()
            .filter(|event| event.is_live == self.setup.is_live && fits(&event.kind))
            .filter(|event| !self.hidden.contains(&event.intent));
        let rows = seen.map(|event| Row {
            id: &event.id,
            created: event.created,
        });
        let (ids, has_more) = page(rows, &fields.form)?;
        let events = ids.iter().filter_map(|id| self.records.events.get(*id));
        Ok(list(
            "/v1/events",
            events.map(|event| event.json.clone()).collect(),
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
        let id = self.open_intent(amount, currency, metadata, now);
        if let Some(intent) = self.records.intents.get_mut(&id) {
            intent.is_manual = is_manual;
        }
        let intent = self.intent(&id, "intent")?;
        Ok(self.records.show_intent(intent, &fields.expand))
    }

    fn cancel_intent(&mut self, id: &str, body: &str, now: Time) -> Outcome {
        let fields = Fields::parse(body, &["cancellation_reason", "expand[]", "expand[*]"])?;
        if self.slips_in.remove(id) {
            let capturable = self.intent(id, "intent")?.capturable;
            self.take_authorised(id, capturable, now);
        }
        let intent = self.intent(id, "intent")?;
        match intent.status {
            IntentStatus::RequiresPaymentMethod | IntentStatus::RequiresCapture => {}
            IntentStatus::Processing | IntentStatus::Canceled | IntentStatus::Succeeded => {
                return Err(Refusal::unexpected_state(
                    id,
                    intent.status.word(),
                    "cancel",
                ));
            }
        }
        let reason = fields.form.one("cancellation_reason").map(str::to_owned);
        self.call_off(id, reason, now);
        let intent = self.intent(id, "intent")?;
        Ok(self.records.show_intent(intent, &fields.expand))
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
        if intent.status != IntentStatus::RequiresCapture {
            return Err(Refusal::unexpected_state(
                id,
                intent.status.word(),
                "capture",
            ));
        }
        let asked = positive(&fields.form, "amount_to_capture")?;
        let amount = asked.unwrap_or(intent.capturable);
        if amount > intent.capturable {
            let message = "The amount to capture is greater than the amount that can be captured.";
            return Err(Refusal::ruled_out("amount_too_large", message));
        }
        self.take_authorised(id, amount, now);
        let intent = self.intent(id, "intent")?;
        Ok(self.records.show_intent(intent, &fields.expand))
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
        let charge = self.charge_to_refund(&fields.form)?;
        let found = self.records.charges.get(&charge);
        let (captured, is_disputed) = found.map_or((0, false), |c| (c.captured, c.is_disputed));
        if is_disputed {
            let message = "This charge has been charged back and cannot be refunded.";
            return Err(Refusal::ruled_out("charge_disputed", message));
        }
        let left = captured.saturating_sub(self.records.refunded(&charge));
        if left <= 0 {
            let message = format!("Charge {charge} has already been refunded.");
            return Err(Refusal::ruled_out("charge_already_refunded", &message));
        }
        let amount = positive(&fields.form, "amount")?.unwrap_or(left);
        if amount > left {
            return Err(Refusal::above_unrefunded(amount, left));
        }
        let refund = Refund {
            id: self.records.new_id("re"),
            intent: self.records.intent_of(&charge).unwrap_or_default(),
            charge,
            created: now.seconds(),
            amount,
            status: RefundStatus::Succeeded,
            metadata: fields.form.map("metadata").into_iter().collect(),
            reason: fields.form.one("reason").map(str::to_owned),
            pending_reason: None,
            failure_reason: None,
            is_by_staff: false,
        };
        let id = self.book_refund(refund, now);
        let refund = self.records.refunds.get(&id);
        let refund = refund.ok_or_else(|| Refusal::missing(&id, "refund"))?;
        Ok(self.records.show_refund(refund, &fields.expand))
    }

    /// The charge that a refund is for: the one named, or the payment's one with money left.
    fn charge_to_refund(&self, form: &Form) -> Result<String, Refusal> {
        if let Some(id) = form.one("charge") {
            let charge = self
                .records
                .charges
                .get(id)
                .filter(|charge| self.intent(&charge.intent, "intent").is_ok());
            let charge = charge.ok_or_else(|| Refusal::missing(id, "charge"))?;
            return Ok(charge.id.clone());
        }
        let id = form
            .one("payment_intent")
            .ok_or_else(|| Refusal::absent("payment_intent"))?;
        self.intent(id, "payment_intent")?;
        let mut taken: Vec<_> = self
            .records
            .charges_of(id)
            .filter(|c| c.captured > 0)
            .collect();
        taken.reverse();
        let has_left =
            |charge: &&&super::Charge| self.records.refunded(&charge.id) < charge.captured;
        let charge = taken.iter().find(has_left).or_else(|| taken.first());
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
