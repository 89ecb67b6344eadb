//! Means of payment, as far as they decide anything: those that the payer's bank can pull back.
//!
//! Knows the words of the PSPs that are served, and nothing else of them.

/// Direct debits, in the PSPs' words. The payer's bank may return one for days after it was
/// credited, and the payer for weeks; a refund in between would pay twice.
const PULLED: [&str; 14] = [
    "ach_direct_debit",
    "acss_debit",
    "au_becs_debit",
    "bacs_debit",
    "bacs_direct_debit",
    "dirdeb",
    "direct_debit",
    "directdebit",
    "directdebit_gb",
    "nz_bank_account",
    "sepa_debit",
    "sepa_direct_debit",
    "sepadirectdebit",
    "us_bank_account",
];

/// Can the payer's bank take back what was paid by this means, without asking anybody?
pub fn can_be_pulled_back(method: &str) -> bool {
    PULLED.iter().any(|word| word.eq_ignore_ascii_case(method))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn direct_debits_can_be_pulled_back_and_pushed_money_cannot() {
        for method in ["sepa_debit", "directdebit", "DIRDEB", "sepadirectdebit"] {
            assert!(can_be_pulled_back(method), "{method}");
        }
        for method in ["ideal", "card", "sepa_credit_transfer", "banktransfer", ""] {
            assert!(!can_be_pulled_back(method), "{method}");
        }
    }
}
