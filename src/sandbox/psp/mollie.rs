//! Mollie's dialect: its API over bytes, its keys' memory of one hour, its deliveries.
//!
//! Deliveries are classic, a form with one id, unless the account is set up with a webhook
//! secret: then they are next-gen, signed envelopes. Mollie's two hours before a refund leaves
//! are as long as the story says (`set_refunds_slow`). Facts: Mollie's API reference, its OpenAPI
//! file and SDK sources. Knows the ledger and no story.

mod refusal;
mod render;
mod routes;

use super::PspSetup;
use super::dialect::{Dialect, Letter, Nature, PspCall, fingerprint, split_url};
use super::keys::{Keys, Known};
use super::kind::{Ability, Kind, Made, Place, Thing, no_files, quoted, value_of};
use super::ledger::{Change, Ledger, Note, Told};
use crate::core::time::{Span, Time};
use crate::sandbox::fault::{Fault, response};
use crate::sandbox::outbox::{Sealed, Sealing};
use crate::sandbox::sign::mollie_signature;
use crate::wire::{Headers, Method, Request, Response};
use refusal::Refusal;
use routes::{Endpoints, Route, Shown};

/// Mollie's line in the table.
pub const KIND: Kind = Kind {
    word: "mollie",
    name: "Mollie",
    account: "mollie_nl",
    api_key: "test_sandboxKeyOfTheSandboxPsp",
    webhook_secret: "",
    told_of_payment: 1,
    lacks: &[
        (
            Ability::Signature,
            "classic deliveries are not signed: they only name a payment",
        ),
        (
            Ability::SignedTime,
            "neither kind of delivery says when it was signed",
        ),
        (
            Ability::Statement,
            "classic deliveries say nothing of the payment but its id",
        ),
        (
            Ability::EventId,
            "classic deliveries carry the payment's id and none of their own",
        ),
        (
            Ability::Mode,
            "a key cannot read a payment of the other mode, and a delivery does not say which",
        ),
    ],
    id,
    dialect: || Box::new(Mollie::new()),
    config,
    files: no_files,
};

/// How long an idempotency key is remembered.
pub const KEY_LIFETIME: Span = Span::from_hours(1);
/// The kind of everything that Mollie answers.
const HAL_JSON: &str = "application/hal+json";

fn id(made: &Made<'_>) -> String {
    let prefix = match made.thing {
        Thing::Payment => "tr",
        Thing::Charge => "att",
        Thing::Capture => "cpt",
        Thing::Refund => "re",
        Thing::Dispute => "chb",
        Thing::Event => "event",
    };
    format!("{prefix}_sandbox{:010}", made.number)
}

fn config(setup: &PspSetup, place: &Place<'_>) -> Vec<(&'static str, String)> {
    let mut lines = vec![
        ("api_key", value_of(&setup.api_key)),
        ("api_base", quoted(place.api_base)),
    ];
    if is_next_gen(setup) {
        let secrets = format!("[{}]", value_of(&setup.webhook_secret));
        lines.push(("webhook_secrets", secrets));
    }
    lines
}

fn is_next_gen(setup: &PspSetup) -> bool {
    !setup.webhook_secret.is_empty()
}

/// What Mollie keeps beside the books.
#[derive(Clone)]
struct Mollie {
    keys: Keys,
}

impl Mollie {
    fn new() -> Mollie {
        Mollie {
            keys: Keys::new(KEY_LIFETIME),
        }
    }

    /// Checks the key of the account and the key of the request; gives the remembered answer
    /// when there is one.
    fn admitted(
        &mut self,
        ledger: &Ledger,
        request: &Request,
        now: Time,
    ) -> Result<Option<Response>, Refusal> {
        let expected = format!("Bearer {}", ledger.setup().api_key);
        if request.headers.single("authorization") != Some(expected.as_str()) {
            return Err(Refusal::wrong_key());
        }
        let Some(key) = key_of(request) else {
            return Ok(None);
        };
        match self.keys.ask(key, &fingerprint(request), now) {
            Known::Nothing => Ok(None),
            Known::OtherRequest => Err(Refusal::key_reused()),
            Known::Busy => Err(Refusal::key_in_use()),
            Known::Answered(mut replayed) => {
                replayed.headers.push("idempotent-replayed", "true");
                Ok(Some(replayed))
            }
        }
    }
}

/// The key that a request is remembered by.
fn key_of(request: &Request) -> Option<&str> {
    let key = request.headers.single("idempotency-key");
    key.filter(|_| request.method == Method::Post)
}

fn answered(outcome: Result<Shown, Refusal>) -> Response {
    match outcome {
        Ok(Shown { status, body: None }) => response(status, HAL_JSON, b""),
        Ok(Shown {
            status,
            body: Some(body),
        }) => response(status, HAL_JSON, body.to_string().as_bytes()),
        Err(refusal) => response(
            refusal.status,
            HAL_JSON,
            refusal.body().to_string().as_bytes(),
        ),
    }
}

impl Dialect for Mollie {
    fn nature(&self, ledger: &Ledger, request: &Request) -> Nature {
        let key = request.headers.single("idempotency-key").map(str::to_owned);
        let (path, _) = split_url(&request.url);
        let Some(route) = Route::parse(request.method, path) else {
            let nature = Nature::of(PspCall::Other);
            return Nature { key, ..nature };
        };
        let subject = route.subject();
        Nature {
            call: route.kind(),
            about: subject.map(|id| ledger.records().subject_of(id)),
            key,
        }
    }

    fn answer(&mut self, ledger: &mut Ledger, request: &Request, now: Time) -> Response {
        match self.admitted(ledger, request, now) {
            Ok(Some(replayed)) => return replayed,
            Ok(None) => {}
            Err(refusal) => return answered(Err(refusal)),
        }
        let outcome = (Endpoints { ledger }).route(request, now);
        let is_kept = outcome.as_ref().map_or_else(|one| one.is_kept, |_| true);
        let reply = answered(outcome);
        if let (Some(key), true) = (key_of(request), is_kept) {
            self.keys.remember(key, &fingerprint(request), &reply, now);
        }
        reply
    }

    fn struck(&mut self, key: &str, fault: &Fault, shown: Option<&Response>, now: Time) {
        self.keys.struck(key, fault, shown, now);
    }

    fn tell(&mut self, ledger: &mut Ledger, change: &Change, now: Time) {
        let Some(kind) = event_of(change.told) else {
            return;
        };
        let records = ledger.records();
        let Some(payment) = records.payment_of(&change.id) else {
            return;
        };
        let body = if is_next_gen(ledger.setup()) {
            let Some(entity) = render::entity(records, &change.id) else {
                return;
            };
            let id = ledger.new_id(Thing::Event, None);
            let event = render::event(&id, kind, &change.id, now, &entity);
            (id, event.to_string())
        } else {
            let id = ledger.new_id(Thing::Event, None);
            (id, format!("id={payment}"))
        };
        let (id, body) = body;
        let note = Note {
            id,
            kind: kind.to_owned(),
            told: Some(change.told),
            about: change.id.clone(),
            body: body.into_bytes(),
        };
        ledger.post(note, now);
    }

    fn seal(&self, setup: &PspSetup, letter: Letter<'_>, sealing: Sealing) -> Sealed {
        if is_next_gen(setup) {
            let secret = if sealing.is_secret_wrong {
                "a secret that nobody shares"
            } else {
                &setup.webhook_secret
            };
            let signature = format!("sha256={}", mollie_signature(secret, letter.body));
            let headers = Headers::new().with("x-mollie-signature", &signature);
            return Sealed::json(headers, letter.body);
        }
        Sealed {
            method: Method::Post,
            query: String::new(),
            headers: Headers::new().with("content-type", "application/x-www-form-urlencoded"),
            body: letter.body.to_vec(),
        }
    }

    /// Mollie documents no other success.
    fn is_acknowledged(&self, answer: &Response) -> bool {
        answer.status == 200
    }

    fn copied(&self) -> Box<dyn Dialect> {
        Box::new(self.clone())
    }
}

/// Mollie's word for a change; none for what it does not tell of.
fn event_of(told: Told) -> Option<&'static str> {
    match told {
        Told::Opened | Told::Processing => None,
        Told::Failed => Some("payment.failed"),
        Told::Authorised => Some("payment.authorized"),
        Told::Paid | Told::PaidAgain => Some("payment.paid"),
        Told::Captured => Some("capture.succeeded"),
        Told::Cancelled => Some("payment.canceled"),
        Told::Expired => Some("payment.expired"),
        Told::RefundMade => Some("refund.pending"),
        Told::RefundDone => Some("refund.refunded"),
        Told::RefundFailed | Told::RefundReversed => Some("refund.failed"),
        Told::RefundCancelled => Some("refund.canceled"),
        Told::Disputed | Told::DisputeLost => Some("chargeback.received"),
        Told::DisputeWon => Some("chargeback.reversed"),
    }
}

#[cfg(test)]
mod tests;
