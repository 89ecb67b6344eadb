//! Calls between the daemons and the world: leaving, arriving, answered or not.
//!
//! Tells the judge what must be judged; decides nothing itself.

use super::judge;
use super::ledger::Confirm;
use super::network::{self, Call, Fate, Outage};
use super::play::{Event, Play};
use super::read;
use super::serve::{Carried, Note};
use crate::core::money::Money;
use crate::core::time::Span;
use crate::wire::{CallError, Reply, Response};

impl Play {
    /// A call leaves a daemon.
    pub(super) fn leaves(&mut self, call: Call) {
        let subject = call.subject();
        let count = self.calls.entry(subject.clone()).or_insert(0);
        *count = count.saturating_add(1);
        let fate = network::fate(&call, &self.luck, *count);
        self.note_leaving(&call);
        self.say(|| {
            let trouble = fate
                .trouble
                .map_or(String::new(), |one| format!(" ({})", one.code()));
            format!("{} -> {} {subject}{trouble}", call.from, call.side().code())
        });
        let (fails_at, error) = fate.fails.clone();
        self.at(fails_at, Event::Fails(Box::new((call.clone(), error))));
        if let Some(at) = fate.arrives_at {
            self.at(at, Event::Arrives(Box::new((call, fate))));
        }
    }

    fn note_leaving(&mut self, call: &Call) {
        let now = self.now();
        match read::of(call) {
            read::Asks::Refund {
                payment,
                key,
                minor,
            } => {
                let asked = (payment.as_str(), key.as_str(), minor);
                let setting = self.house.setting.clone();
                judge::refund_leaves(&mut self.stage, &setting, asked, self.blurred, now);
            }
            read::Asks::Release {
                reference,
                payments,
            } => {
                let payments = payments.iter().map(String::as_str);
                self.stage.ledger.told_that(&reference, payments);
            }
            read::Asks::Confirm {
                reference,
                amount,
                parts,
            } => {
                let payments = parts.iter().map(|(payment, _)| payment.as_str());
                self.stage.ledger.told_that(&reference, payments);
                let parts: Vec<Money> = parts.iter().map(|(_, amount)| *amount).collect();
                judge::confirm_leaves(&mut self.stage, &reference, (amount, &parts), now);
                let confirm = Confirm {
                    sent_at: now,
                    slot: call.slot.clone(),
                };
                let confirms = self.stage.ledger.confirms.entry(reference);
                confirms.or_default().push(confirm);
            }
            read::Asks::Other => {}
        }
    }

    /// A call reaches the other side.
    pub(super) fn arrives(&mut self, (call, fate): (Call, Fate)) {
        let now = self.now();
        let side = call.side();
        if self.away.contains(&side) {
            let soon = now.plus(Span::from_millis(20));
            match self.house.setting.outage {
                Outage::Hangs => {}
                Outage::Refuses => {
                    let error = CallError::NotSent("connection_refused");
                    self.at(soon, Event::Fails(Box::new((call, error))));
                }
                Outage::Gateway => {
                    let reply = crate::sandbox::fault::response(503, "text/html", b"<p>away");
                    let answer = (call, Ok(reply), Note::Nothing);
                    self.at(soon, Event::Answers(Box::new(answer)));
                }
            }
            return;
        }
        let carried = self.stage.serve(&call, fate.fault.as_ref(), now);
        self.say(|| format!("  {} <- {}: {}", side.code(), call.from, carried.line()));
        self.judge(&call, &carried);
        self.collect_post();
        let Some(back) = fate.back else { return };
        let at = now.plus(back).plus(carried.served.delay);
        let most = call.limits.body_bytes_max;
        let is_true = fate.fault.is_none() || carried.is_note_robust;
        let note = if is_true { carried.note } else { Note::Nothing };
        let event = match carried.served.reply {
            None => Event::Fails(Box::new((call, CallError::Unclear("reset")))),
            Some(reply) if reply.body.len() > most => {
                Event::Fails(Box::new((call, CallError::Unclear("answer_too_large"))))
            }
            Some(reply) => Event::Answers(Box::new((call, Ok(reply), note))),
        };
        self.at(at, event);
    }

    fn judge(&mut self, call: &Call, carried: &Carried) {
        let now = self.now();
        let setting = self.house.setting.clone();
        if let Some((refund, key)) = &carried.refund {
            let booked = (refund.as_str(), key.as_str());
            judge::refund_booked(&mut self.stage, &setting, booked, self.blurred, now);
        }
        if let Some(order) = &carried.confirmed {
            judge::confirm_booked(&mut self.stage, order, now);
        }
        if let Some(payment) = &carried.voided
            && self.stage.world.psp.records().received(payment) == 0
        {
            judge::voided(&mut self.stage, payment, now);
        }
        let is_refused = |reply: &Response| {
            if reply.status != 400 {
                return false;
            }
            let body = String::from_utf8_lossy(&reply.body);
            body.contains("greater than unrefunded") || body.contains("already_refunded")
        };
        if carried.served.reply.as_ref().is_some_and(is_refused)
            && let read::Asks::Refund { payment, key, .. } = read::of(call)
        {
            judge::refund_refused(&mut self.stage, &payment, &key, now);
        }
    }

    /// An answer reaches its caller, if it still waits.
    pub(super) fn answers(&mut self, (call, reply, note): (Call, Reply, Note)) {
        let now = self.now();
        if !call.slot.answer(reply) {
            return;
        }
        let ledger = &mut self.stage.ledger;
        match note {
            Note::Nothing => {}
            Note::Read(payment, at) => ledger.reads.entry(payment).or_default().push(at),
            Note::Said(order, place, epoch) => {
                let said = ledger
                    .said
                    .get_mut(&order)
                    .and_then(|all| all.get_mut(place));
                if let Some(said) = said {
                    said.heard_at = Some(now);
                }
                ledger.hears_epoch(epoch, call.sent_at, now);
            }
        }
    }
}
