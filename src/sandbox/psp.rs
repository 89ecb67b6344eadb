//! A PSP in a box: Stripe's API over bytes, its own books, and stories to play in them.
//!
//! A pure state machine: time is an argument, nothing is random, deliveries are handed out to
//! whoever carries them. Facts: Stripe's API reference and SDK sources. Knows no socket.

mod form;
mod listing;
mod records;
mod refusal;
mod render;
mod routes;
mod shipments;
mod verbs;

pub use records::{
    Charge, Dispute, DisputeStatus, Event, Intent, IntentStatus, Records, Refund, RefundStatus,
};
pub use render::API_VERSION;
pub use verbs::Impossible;

use super::fault::{Aim, Fault, Faults, Served, Symptom, Times, response, serve};
use super::outbox::{Answered, Delivery, DeliveryFault, Outbox};
use super::sign::stripe_signature;
use crate::core::time::{Span, Time};
use crate::wire::{Headers, Method, Request, Response};
use form::Form;
use refusal::Refusal;
use routes::Route;
use std::collections::{BTreeMap, BTreeSet};

/// How long an idempotency key is remembered.
pub const KEY_LIFETIME: Span = Span::from_hours(24);
/// Longest idempotency key, in characters.
const KEY_CHARS_MAX: usize = 255;

/// The kinds of calls that faults tell apart.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PspCall {
    /// Read one payment intent.
    FetchIntent,
    /// List payment intents.
    ListIntents,
    /// Make a payment intent.
    CreateIntent,
    /// Cancel a payment intent.
    Cancel,
    /// Capture a payment intent.
    Capture,
    /// Read one charge.
    FetchCharge,
    /// List charges.
    ListCharges,
    /// Make a refund.
    CreateRefund,
    /// Read one refund.
    FetchRefund,
    /// List refunds.
    ListRefunds,
    /// Read or list disputes.
    Disputes,
    /// Read or list events.
    Events,
    /// Anything else.
    Other,
}

/// What the account is set up with.
#[derive(Clone)]
pub struct PspSetup {
    /// The key that calls must carry.
    pub api_key: String,
    /// The secret that deliveries are signed with.
    pub webhook_secret: String,
    /// The mode of the key: what it may see.
    pub is_live: bool,
}

#[derive(Clone, Debug)]
struct Remembered {
    fingerprint: String,
    reply: Response,
    at: Time,
    busy_until: Time,
}

/// The PSP.
#[derive(Clone)]
pub struct SandboxPsp {
    setup: PspSetup,
    records: Records,
    keys: BTreeMap<String, Remembered>,
    faults: Faults<PspCall, Fault>,
    outbox: Outbox,
    is_balance_low: bool,
    are_refunds_slow: bool,
    hidden: BTreeSet<String>,
    slips_in: BTreeSet<String>,
    answered: u64,
    asked: Vec<(PspCall, Option<String>)>,
    carried: Vec<(PspCall, Option<String>, String)>,
}

impl SandboxPsp {
    /// An account with empty books.
    pub fn new(setup: PspSetup) -> SandboxPsp {
        SandboxPsp {
            setup,
            records: Records::default(),
            keys: BTreeMap::new(),
            faults: Faults::default(),
            outbox: Outbox::default(),
            is_balance_low: false,
            are_refunds_slow: false,
            hidden: BTreeSet::new(),
            slips_in: BTreeSet::new(),
            answered: 0,
            asked: Vec::new(),
            carried: Vec::new(),
        }
    }

    /// The books.
    pub fn records(&self) -> &Records {
        &self.records
    }

    /// What the account is set up with.
    pub fn setup(&self) -> &PspSetup {
        &self.setup
    }

    /// From now on the account answers to this key alone.
    pub fn change_api_key(&mut self, api_key: &str) {
        api_key.clone_into(&mut self.setup.api_key);
    }

    /// From now on deliveries are signed with this secret alone.
    pub fn change_webhook_secret(&mut self, secret: &str) {
        secret.clone_into(&mut self.setup.webhook_secret);
    }

    /// Lays a fault in the way of calls.
    pub fn lay(&mut self, aim: Aim<PspCall>, times: Times, fault: Fault) {
        self.faults.lay(aim, times, fault);
    }

    /// Spoils deliveries (about one order, if one is named).
    pub fn spoil(&mut self, reference: Option<&str>, times: Times, fault: DeliveryFault) {
        self.outbox.spoil(reference, times, fault);
    }

    /// Takes all faults away.
    pub fn heal(&mut self) {
        self.faults.clear();
        self.outbox.heal();
    }

    /// How often a fault has struck a call or a delivery about this order.
    pub fn strikes_about(&self, reference: &str) -> usize {
        let calls = self.faults.strikes_about(reference);
        calls.saturating_add(self.outbox.strikes_about(reference))
    }

    /// Every call that reached the account, oldest first, with the order it was about.
    pub fn calls(&self) -> &[(PspCall, Option<String>)] {
        &self.asked
    }

    /// The idempotency key of every call that carried one, oldest first, with the call and the
    /// order it was about; calls that a fault kept from having an effect count, too.
    pub fn carried_keys(&self) -> &[(PspCall, Option<String>, String)] {
        &self.carried
    }

    /// The deliveries that are due, signed for now.
    pub fn take_deliveries(&mut self, now: Time) -> Vec<Delivery> {
        let secret = &self.setup.webhook_secret;
        self.outbox.take(now, |_, body, sealing| {
            let secret = if sealing.is_secret_wrong {
                "whsec_that_nobody_shares"
            } else {
                secret
            };
            let signature = stripe_signature(secret, sealing.at, body);
            Headers::new().with("stripe-signature", &signature)
        })
    }

    /// Notes how a delivery ended; without a 2xx it is tried again later.
    pub fn delivered(&mut self, delivery: Delivery, status: Option<u16>, now: Time) {
        self.outbox.answered(delivery, status, now);
    }

    /// How past deliveries ended, oldest first.
    pub fn deliveries(&self) -> &[Answered] {
        self.outbox.answers()
    }

    /// True when no delivery waits.
    pub fn is_quiet(&self) -> bool {
        self.outbox.is_empty()
    }

    /// Answers a call, under the faults that were laid.
    pub fn serve(&mut self, request: &Request, now: Time) -> Served {
        let (kind, reference) = self.nature(request);
        self.asked.push((kind, reference.clone()));
        let fault = self.faults.strike(kind, reference.as_deref());
        let key = request.headers.single("idempotency-key").map(str::to_owned);
        if let Some(key) = &key {
            self.carried.push((kind, reference.clone(), key.clone()));
        }
        let served = serve(fault.as_ref(), || self.handle(request, now));
        let remembered = key.and_then(|key| self.keys.get_mut(&key));
        if let (Some(fault), Some(remembered)) = (fault, remembered) {
            remember_fault(&fault, remembered, served.reply.as_ref(), now);
        }
        served
    }

    /// Answers a call as the API would, faults aside.
    pub fn handle(&mut self, request: &Request, now: Time) -> Response {
        self.answered = self.answered.saturating_add(1);
        let key = request.headers.single("idempotency-key").map(str::to_owned);
        let key = key.filter(|_| request.method == Method::Post);
        let (mut reply, is_kept) = match self.admitted(request, key.as_deref(), now) {
            Ok(Some(replayed)) => return replayed,
            Ok(None) => self.execute(request, now),
            Err(refusal) => (self.refused(&refusal), false),
        };
        reply
            .headers
            .push("request-id", format!("req_sandbox{:010}", self.answered));
        if let (Some(key), true) = (key, is_kept) {
            let remembered = Remembered {
                fingerprint: fingerprint(request),
                reply: reply.clone(),
                at: now,
                busy_until: now,
            };
            self.keys.insert(key, remembered);
        }
        reply
    }

    /// Checks the key of the account and the key of the request; gives the remembered answer
    /// when there is one.
    fn admitted(
        &mut self,
        request: &Request,
        key: Option<&str>,
        now: Time,
    ) -> Result<Option<Response>, Refusal> {
        let expected = format!("Bearer {}", self.setup.api_key);
        if request.headers.single("authorization") != Some(expected.as_str()) {
            return Err(Refusal::wrong_key());
        }
        let Some(key) = key else { return Ok(None) };
        if key.chars().count() > KEY_CHARS_MAX {
            return Err(Refusal::long_key());
        }
        self.keys
            .retain(|_, known| now.since(known.at) < KEY_LIFETIME);
        let Some(known) = self.keys.get(key) else {
            return Ok(None);
        };
        if known.fingerprint != fingerprint(request) {
            return Err(Refusal::key_reused());
        }
        if known.busy_until > now {
            return Err(Refusal::key_in_use());
        }
        let mut replayed = known.reply.clone();
        replayed.headers.push("idempotent-replayed", "true");
        Ok(Some(replayed))
    }

    /// Carries out a call; says whether its answer is remembered under its key.
    fn execute(&mut self, request: &Request, now: Time) -> (Response, bool) {
        match self.route(request, now) {
            Ok(shown) => (json_response(200, &shown), true),
            Err(refusal) => (self.refused(&refusal), refusal.is_kept),
        }
    }

    fn refused(&self, refusal: &Refusal) -> Response {
        let body = refusal.body(|id| {
            let intent = self.records.intents.get(id)?;
            Some(self.records.show_intent(intent, &render::Expand::default()))
        });
        json_response(refusal.status, &body)
    }

    /// What kind of call it is and which order it is about.
    fn nature(&self, request: &Request) -> (PspCall, Option<String>) {
        let (path, query) = split_url(&request.url);
        let Some(route) = Route::parse(request.method, path) else {
            return (PspCall::Other, None);
        };
        let body = String::from_utf8_lossy(&request.body);
        let named = route.subject().map(str::to_owned).or_else(|| {
            let form = Form::parse(if request.body.is_empty() {
                query
            } else {
                &body
            })?;
            let field = form.one("payment_intent").or_else(|| form.one("charge"));
            // A page of a list is named by what it continues after.
            let field = field.or_else(|| form.one("starting_after"));
            let created = form.one("metadata[order_reference]");
            match (field, created) {
                (Some(id), _) => Some(id.to_owned()),
                (None, created) => created.map(str::to_owned),
            }
        });
        let reference = named.map(|id| match self.records.intent_of(&id) {
            Some(intent) => self.records.reference_of(&intent).unwrap_or(intent),
            None => id,
        });
        (route.kind(), reference)
    }
}

/// A call that takes long keeps its key busy; a 500 after the effect is what the key remembers.
fn remember_fault(fault: &Fault, known: &mut Remembered, shown: Option<&Response>, now: Time) {
    if let Symptom::Delay(span) = fault.symptom {
        known.busy_until = known.busy_until.max(now.plus(span));
    }
    let is_own_500 = matches!(fault.symptom, Symptom::Status { code: 500, .. });
    if let (true, true, Some(shown)) = (is_own_500, fault.is_applied, shown) {
        known.reply = shown.clone();
    }
}

fn fingerprint(request: &Request) -> String {
    let (path, query) = split_url(&request.url);
    let body = String::from_utf8_lossy(&request.body);
    format!("{path}?{query} {body}")
}

/// Path and query of an address, absolute or not.
fn split_url(url: &str) -> (&str, &str) {
    let path = match url.split_once("://") {
        Some((_, rest)) => rest.find('/').and_then(|at| rest.get(at..)).unwrap_or("/"),
        None => url,
    };
    path.split_once('?').unwrap_or((path, ""))
}

fn json_response(status: u16, body: &serde_json::Value) -> Response {
    response(status, "application/json", body.to_string().as_bytes())
}

#[cfg(test)]
mod tests;
