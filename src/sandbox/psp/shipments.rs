//! Captures in several steps, and keys that were forgotten: what happens at the PSP with time.
//!
//! Each verb books what happened and queues the webhooks that tell of it.

use super::SandboxPsp;
use super::records::IntentStatus;
use super::verbs::Impossible;
use crate::core::time::Time;

impl SandboxPsp {
    /// The shop captures a part of what was authorised, as goods leave in several shipments.
    pub fn capture_part(&mut self, id: &str, minor: i64, now: Time) -> Result<(), Impossible> {
        let no_such = || Impossible::NoSuch(id.to_owned());
        let intent = self.records.intents.get_mut(id).ok_or_else(no_such)?;
        if intent.status != IntentStatus::RequiresCapture || intent.capturable < minor {
            return Err(Impossible::WrongState {
                id: id.to_owned(),
                status: intent.status.word(),
            });
        }
        intent.capturable = intent.capturable.saturating_sub(minor);
        if intent.capturable == 0 {
            intent.status = IntentStatus::Succeeded;
        }
        let charge = intent.latest_charge.clone().ok_or_else(no_such)?;
        if let Some(charge) = self.records.charges.get_mut(&charge) {
            charge.captured = charge.captured.saturating_add(minor);
        }
        self.tell_charge("charge.captured", &charge, now);
        self.tell_intent("payment_intent.amount_capturable_updated", id, now);
        Ok(())
    }

    /// Days go by: no idempotency key is remembered any more.
    pub fn forget_keys(&mut self) {
        self.keys.clear();
    }
}
