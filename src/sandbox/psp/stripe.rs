//! Stripe's dialect: its API over bytes, its keys' memory, its events and their signature.
//!
//! Facts: Stripe's API reference and SDK sources. Knows the ledger and no story.

mod listing;
mod refusal;
mod render;
mod routes;

pub use render::API_VERSION;

use super::PspSetup;
use super::dialect::{
    Dialect, Letter, Nature, PspCall, fingerprint, json_bytes, json_response, split_url,
};
use super::form::Form;
use super::keys::{Keys, Known};
use super::kind::{Kind, Made, Place, Thing, no_files, quoted, value_of};
use super::ledger::{Change, Ledger, Note, Told};
use crate::core::time::{Span, Time};
use crate::sandbox::fault::Fault;
use crate::sandbox::outbox::{Sealed, Sealing};
use crate::sandbox::sign::stripe_signature;
use crate::wire::{Headers, Method, Request, Response};
use refusal::Refusal;
use render::Expand;
use routes::{Endpoints, Route};
use serde_json::Value;

/// Stripe's line in the table.
pub const KIND: Kind = Kind {
    word: "stripe",
    name: "Stripe",
    account: "stripe_nl",
    api_key: "sandbox-key-of-the-sandbox-psp",
    webhook_secret: "whsec_sandbox_secret_of_the_sandbox_psp",
    told_of_payment: 2,
    lacks: &[],
    id,
    dialect: || Box::new(Stripe::new()),
    config,
    files: no_files,
};

/// How long an idempotency key is remembered.
pub const KEY_LIFETIME: Span = Span::from_hours(24);
/// Longest idempotency key, in characters.
const KEY_CHARS_MAX: usize = 255;

fn id(made: &Made<'_>) -> String {
    let prefix = match made.thing {
        Thing::Payment => "pi",
        Thing::Charge => "ch",
        Thing::Capture => "cap",
        Thing::Refund => "re",
        Thing::Dispute => "du",
        Thing::Event => "evt",
    };
    format!("{prefix}_sandbox{:010}", made.number)
}

fn config(setup: &PspSetup, place: &Place<'_>) -> Vec<(&'static str, String)> {
    let secrets = format!("[{}]", value_of(&setup.webhook_secret));
    vec![
        ("api_key", value_of(&setup.api_key)),
        ("webhook_secrets", secrets),
        ("api_base", quoted(place.api_base)),
    ]
}

/// What Stripe keeps beside the books.
#[derive(Clone)]
struct Stripe {
    keys: Keys,
    answered: u64,
}

impl Stripe {
    fn new() -> Stripe {
        Stripe {
            keys: Keys::new(KEY_LIFETIME),
            answered: 0,
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
        if key.chars().count() > KEY_CHARS_MAX {
            return Err(Refusal::long_key());
        }
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

fn refused(ledger: &Ledger, refusal: &Refusal) -> Response {
    let records = ledger.records();
    let body = refusal.body(|id| {
        let intent = records.payments.get(id)?;
        Some(records.show_intent(intent, &Expand::default()))
    });
    json_response(refusal.status, &body)
}

impl Dialect for Stripe {
    fn nature(&self, ledger: &Ledger, request: &Request) -> Nature {
        let key = request.headers.single("idempotency-key").map(str::to_owned);
        let (path, query) = split_url(&request.url);
        let Some(route) = Route::parse(request.method, path) else {
            let nature = Nature::of(PspCall::Other);
            return Nature { key, ..nature };
        };
        let body = String::from_utf8_lossy(&request.body);
        let named = route.subject().map(str::to_owned).or_else(|| {
            let form = Form::parse(if request.body.is_empty() {
                query
            } else {
                &body
            })?;
            // A page of a list is named by what it continues after.
            let fields = ["payment_intent", "charge", "starting_after"];
            let named = fields.iter().find_map(|field| form.one(field));
            let named = named.or_else(|| form.one("metadata[order_reference]"));
            named.map(str::to_owned)
        });
        Nature {
            call: route.kind(),
            about: named.map(|id| ledger.records().subject_of(&id)),
            key,
        }
    }

    fn answer(&mut self, ledger: &mut Ledger, request: &Request, now: Time) -> Response {
        self.answered = self.answered.saturating_add(1);
        let (mut reply, is_kept) = match self.admitted(ledger, request, now) {
            Ok(Some(replayed)) => return replayed,
            Ok(None) => match (Endpoints { ledger }).route(request, now) {
                Ok(shown) => (json_response(200, &shown), true),
                Err(refusal) => (refused(ledger, &refusal), refusal.is_kept),
            },
            Err(refusal) => (refused(ledger, &refusal), false),
        };
        let request_id = format!("req_sandbox{:010}", self.answered);
        reply.headers.push("request-id", request_id);
        if let (Some(key), true) = (key_of(request), is_kept) {
            self.keys.remember(key, &fingerprint(request), &reply, now);
        }
        reply
    }

    fn struck(&mut self, key: &str, fault: &Fault, shown: Option<&Response>, now: Time) {
        self.keys.struck(key, fault, shown, now);
    }

    fn tell(&mut self, ledger: &mut Ledger, change: &Change, now: Time) {
        for (kind, object, is_aside) in events_of(change.told) {
            let Some((about, shown)) = shown(ledger, &change.id, *object) else {
                continue;
            };
            let payment = ledger.records().payment_of(&about).unwrap_or_default();
            let payment = ledger.records().payments.get(&payment);
            let is_live = payment.is_some_and(|payment| payment.is_live);
            let id = ledger.new_id(Thing::Event, None);
            let event = render::event(&id, kind, now.seconds(), is_live, shown);
            let note = Note {
                id,
                kind: (*kind).to_owned(),
                told: (!is_aside).then_some(change.told),
                about,
                body: json_bytes(&event),
            };
            ledger.post(note, now);
        }
    }

    fn seal(&self, setup: &PspSetup, letter: Letter<'_>, sealing: Sealing) -> Sealed {
        let secret = if sealing.is_secret_wrong {
            "whsec_that_nobody_shares"
        } else {
            &setup.webhook_secret
        };
        let signature = stripe_signature(secret, sealing.at, letter.body);
        let headers = Headers::new().with("stripe-signature", &signature);
        Sealed::json(headers, letter.body)
    }

    fn forget_keys(&mut self) {
        self.keys = Keys::new(KEY_LIFETIME);
    }

    fn copied(&self) -> Box<dyn Dialect> {
        Box::new(self.clone())
    }
}

/// The object that an event shows.
#[derive(Clone, Copy)]
enum Object {
    Intent,
    LatestCharge,
    Refund,
    RefundedCharge,
    Dispute,
}

/// The events that tell of a change: type, object, and whether it only says it once more.
fn events_of(told: Told) -> &'static [(&'static str, Object, bool)] {
    use Object::{Dispute, Intent, LatestCharge, Refund, RefundedCharge};
    match told {
        Told::Opened => &[],
        Told::Processing => &[("payment_intent.processing", Intent, false)],
        Told::Failed => &[
            ("charge.failed", LatestCharge, true),
            ("payment_intent.payment_failed", Intent, false),
        ],
        Told::Authorised => &[
            ("charge.succeeded", LatestCharge, true),
            ("payment_intent.amount_capturable_updated", Intent, false),
        ],
        Told::Paid => &[
            ("charge.succeeded", LatestCharge, true),
            ("payment_intent.succeeded", Intent, false),
        ],
        Told::PaidAgain => &[("payment_intent.succeeded", Intent, false)],
        Told::Captured => &[
            ("charge.captured", LatestCharge, true),
            ("payment_intent.succeeded", Intent, false),
        ],
        Told::Cancelled | Told::Expired => &[("payment_intent.canceled", Intent, false)],
        Told::RefundMade => &[
            ("refund.created", Refund, false),
            ("charge.refunded", RefundedCharge, true),
        ],
        Told::RefundDone | Told::RefundCancelled => &[("refund.updated", Refund, false)],
        Told::RefundFailed | Told::RefundReversed => &[
            ("refund.failed", Refund, false),
            ("refund.updated", Refund, true),
        ],
        Told::Disputed => &[
            ("charge.dispute.created", Dispute, false),
            ("charge.dispute.funds_withdrawn", Dispute, true),
        ],
        Told::DisputeWon => &[
            ("charge.dispute.funds_reinstated", Dispute, true),
            ("charge.dispute.closed", Dispute, false),
        ],
        Told::DisputeLost => &[("charge.dispute.closed", Dispute, false)],
    }
}

/// The object as it stands now, with its id.
fn shown(ledger: &Ledger, changed: &str, object: Object) -> Option<(String, Value)> {
    let records = ledger.records();
    let plain = Expand::default();
    let payment = records.payments.get(&records.payment_of(changed)?)?;
    let charge = match object {
        Object::Intent => {
            return Some((payment.id.clone(), records.show_intent(payment, &plain)));
        }
        Object::Refund => {
            let refund = records.refunds.get(changed)?;
            return Some((refund.id.clone(), records.show_refund(refund, &plain)));
        }
        Object::Dispute => {
            let dispute = records.disputes.get(changed)?;
            return Some((dispute.id.clone(), records.show_dispute(dispute, &plain)));
        }
        Object::LatestCharge => payment.latest_charge.as_ref()?,
        Object::RefundedCharge => &records.refunds.get(changed)?.charge,
    };
    let charge = records.charges.get(charge)?;
    Some((charge.id.clone(), records.show_charge(charge, &plain)))
}

#[cfg(test)]
mod tests;
