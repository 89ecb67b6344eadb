//! By which means a payment is made, for stories in which that matters.
//!
//! Changes the books alone; knows no call and no delivery.

use super::SandboxPsp;
use crate::core::time::Time;

impl SandboxPsp {
    /// The payment is made by this means, in the API's word (`sepa_debit`, `boleto`).
    pub fn set_method(&mut self, id: &str, method: &str) {
        if let Some(payment) = self.ledger.records.payments.get_mut(id) {
            method.clone_into(&mut payment.method);
        }
    }

    /// The payment's authorisation lapses at this moment.
    pub fn set_lapse(&mut self, id: &str, at: Time) {
        if let Some(payment) = self.ledger.records.payments.get_mut(id) {
            payment.capture_before = Some(at.seconds());
        }
    }
}
