//! Calls that reach the world: carried out by the sandbox PSP or the sandbox shop, under a fault if
//! they have one, and read by an observer.
//!
//! Knows no daemon; says what was booked and what an answer will mean to whoever hears it.

use super::ledger::{Said, Touch};
use super::network::{Call, Side};
use super::stage::Stage;
use crate::core::time::Time;
use crate::sandbox::fault::{Aim, Fault, Served, Symptom, Times};
use crate::sandbox::psp::{PspCall, SandboxPsp};
use crate::sandbox::shop::{SandboxShop, ShopCall, Standing};
use crate::wire::{Method, Response};
use serde::Deserialize;

/// What is known of a call once it was carried out.
pub struct Carried {
    /// The answer.
    pub served: Served,
    /// What must be noted when that answer is heard unchanged.
    pub note: Note,
    /// True when the note holds even though words of the answer were changed.
    pub is_note_robust: bool,
    /// Which refund was booked by it, if one was, under which key.
    pub refund: Option<(String, String)>,
    /// The order that was confirmed by it, if one was.
    pub confirmed: Option<String>,
    /// The payment that was voided by it, if one was.
    pub voided: Option<String>,
    /// What was asked, in words.
    pub what: String,
}

impl Carried {
    /// What was asked and answered, in one line.
    pub fn line(&self) -> String {
        format!("{} -> {}", self.what, told(&self.served))
    }
}

/// What an answer that was heard means to an observer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Note {
    /// Nothing.
    Nothing,
    /// The shop's word about an order: its place among the words about that order.
    Said(String, usize, Option<u64>),
    /// A read of a payment that was asked at this moment.
    Read(String, Time),
}

/// A message to the shop, as far as an observer reads it.
#[derive(Deserialize)]
struct Message {
    #[serde(rename = "type")]
    what: String,
    #[serde(rename = "data")]
    subject: Subject,
}

#[derive(Deserialize)]
struct Subject {
    reference: Option<String>,
    #[serde(default)]
    payments: Vec<Named>,
}

#[derive(Deserialize)]
struct Named {
    id: String,
}

#[derive(Deserialize)]
struct ShopAnswered {
    order: Status,
    epoch: Option<u64>,
}

#[derive(Deserialize)]
struct Status {
    status: String,
}

impl Stage {
    /// A call arrives and is carried out, under a fault if it has one.
    pub fn serve(&mut self, call: &Call, fault: Option<&Fault>, now: Time) -> Carried {
        match call.side() {
            Side::Psp => self.serve_psp(call, fault, now),
            Side::Shop => self.serve_shop(call, fault, now),
        }
    }

    fn serve_psp(&mut self, call: &Call, fault: Option<&Fault>, now: Time) -> Carried {
        let psp = &mut self.world.psp;
        if let Some(fault) = fault {
            psp.lay(Aim::all(), Times::Next(1), fault.clone());
        }
        let known = psp.records().refunds.len();
        // Who only reads voids nothing.
        let may_void = call.request.method != Method::Get;
        let held = if may_void { holding(psp) } else { Vec::new() };
        let served = psp.serve(&call.request, now);
        psp.heal();
        let (kind, subject) = match psp.calls().last() {
            Some((kind, subject)) => (*kind, subject.clone()),
            None => (PspCall::Other, None),
        };
        let key = call.request.headers.single("idempotency-key");
        let key = key.unwrap_or_default().to_owned();
        let newest = psp.records().refunds.values().next_back();
        let refund = newest
            .filter(|_| psp.records().refunds.len() > known)
            .map(|one| (one.id.clone(), key.clone()));
        let voided = held.into_iter().find(|id| {
            let payment = psp.records().payments.get(id);
            payment.is_none_or(|payment| payment.held <= 0)
        });
        let is_read = kind == PspCall::Fetch;
        let named = call.request.url.rsplit('/').next().unwrap_or_default();
        let named = named.split('?').next().unwrap_or_default().to_owned();
        if let Some(payment) = &voided {
            self.note_taken(&payment.clone(), now);
        }
        Carried {
            what: format!("{kind:?} {} {key}", subject.unwrap_or_default()),
            served,
            note: if is_read {
                Note::Read(named, now)
            } else {
                Note::Nothing
            },
            is_note_robust: is_read && fault.is_some_and(|one| one.symptom == Symptom::UnknownWord),
            refund,
            confirmed: None,
            voided,
        }
    }

    fn serve_shop(&mut self, call: &Call, fault: Option<&Fault>, now: Time) -> Carried {
        let message = serde_json::from_slice::<Message>(&call.request.body).ok();
        let reference = message
            .as_ref()
            .and_then(|one| one.subject.reference.clone());
        let reference = reference.unwrap_or_default();
        let shop = &mut self.world.shop;
        if let Some(fault) = fault {
            shop.lay(Aim::all(), Times::Next(1), fault.clone());
        }
        let is_confirmed = |shop: &SandboxShop| {
            let order = shop.order(&reference);
            order.is_some_and(|order| order.standing == Standing::Confirmed)
        };
        let was_confirmed = is_confirmed(shop);
        let served = shop.serve(&call.request, now);
        shop.heal();
        let confirmed = (!was_confirmed && is_confirmed(shop)).then(|| reference.clone());
        let what = message.as_ref().map_or("", |one| one.what.as_str());
        let via = match what {
            "order.confirm" => ShopCall::Confirm,
            "order.lookup" => ShopCall::LookUp,
            "order.release" => ShopCall::Release,
            _ => ShopCall::Notice,
        };
        let answer = served.reply.as_ref().and_then(read_answer);
        let knows_nothing = answer
            .as_ref()
            .is_some_and(|answer| was_confirmed && answer.order.status == "unknown");
        if knows_nothing {
            self.ledger.touch(&reference, Touch::Denied);
        }
        let is_ordered = self.ledger.was_touched(&reference, &[Touch::RefundOrdered]);
        if knows_nothing && via == ShopCall::Release && (is_ordered || !self.has_canary) {
            self.ledger.touch(&reference, Touch::Disowned);
        }
        let note = match (answer, via) {
            (None, _) | (_, ShopCall::Notice | ShopCall::Other) => Note::Nothing,
            (Some(answer), via) => {
                let named = message.map(|one| one.subject.payments).unwrap_or_default();
                let words = self.ledger.said.entry(reference.clone()).or_default();
                words.push(Said {
                    at: now,
                    via,
                    status: answer.order.status,
                    named: named.into_iter().map(|one| one.id).collect(),
                    heard_at: None,
                });
                let place = words.len().saturating_sub(1);
                Note::Said(reference.clone(), place, answer.epoch)
            }
        };
        if via == ShopCall::Confirm && now > call.deadline() {
            self.ledger.touch(&reference, Touch::LateConfirm);
        }
        Carried {
            what: format!("{via:?} {reference}"),
            served,
            note,
            is_note_robust: false,
            refund: None,
            confirmed,
            voided: None,
        }
    }
}

fn read_answer(reply: &Response) -> Option<ShopAnswered> {
    if reply.status != 200 {
        return None;
    }
    serde_json::from_slice(&reply.body).ok()
}

/// Payments that are authorised and not captured.
fn holding(psp: &SandboxPsp) -> Vec<String> {
    let intents = psp.records().payments.values();
    let held = intents.filter(|one| one.held > 0);
    held.map(|one| one.id.clone()).collect()
}

fn told(served: &Served) -> String {
    match &served.reply {
        None => "closed".to_owned(),
        Some(reply) => {
            let body = String::from_utf8_lossy(&reply.body);
            let shown: String = body.chars().take(120).collect();
            format!("{} {shown}", reply.status)
        }
    }
}
