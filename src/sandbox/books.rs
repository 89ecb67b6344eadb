//! The proof that a story ended well: the PSP's books and the shop's books laid side by side,
//! customer by customer.
//!
//! Knows nothing of the daemon: what it believes, stores or says plays no part here. A customer
//! is whoever paid for, or placed, the order of one reference; a payment without a reference
//! stands for a customer of its own, named by the payment.

use super::psp::{DisputeStatus, RefundStatus, SandboxPsp};
use super::shop::{SandboxShop, Standing};
use crate::core::money::{Currency, Money};
use std::collections::BTreeMap;
use std::fmt;

/// What one customer paid, got back and was promised.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Customer {
    /// Taken from the customer, in minor units.
    pub charged: i64,
    /// Refunds that succeeded.
    pub refunded: i64,
    /// Refunds that are under way.
    pub returning: i64,
    /// Taken back through disputes that are open or lost.
    pub charged_back: i64,
    /// Held on the customer's means of payment.
    pub authorised: i64,
    /// Refunds that have not failed, in number.
    pub refunds: u32,
    /// Payments that took money, in number.
    pub payments: u32,
    /// The currency of it all; none while there is neither money nor order.
    pub currency: Option<Currency>,
    /// True when money and order are in more than one currency.
    pub is_mixed: bool,
    /// What the order costs; none when the shop has no such order.
    pub owed: Option<i64>,
    /// True when the shop has confirmed the order.
    pub is_confirmed: bool,
    /// True when the goods left.
    pub is_shipped: bool,
    /// How often the shop thanked the customer.
    pub mails: u32,
}

/// What the books say of one customer.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Judgement {
    /// The customer has what was paid for, or has all money back.
    Fine,
    /// Money is on its way back, or only held; nothing is wrong yet.
    UnderWay,
    /// Money stays with the shop and there is no confirmed order for it.
    ChargedWithoutOrder,
    /// More stays with the shop than the confirmed order costs.
    ChargedTooMuch,
    /// The order is confirmed and the money is not there.
    OrderWithoutMoney,
    /// The goods left and the money went back.
    RefundedAndShipped,
    /// More went back than was charged, or more than the excess over a confirmed order.
    RefundedTwice,
    /// The customer was thanked more than once for one order.
    ConfirmedTwice,
    /// Amounts in several currencies: not to be judged by sums.
    Mixed,
}

impl Judgement {
    /// The judgement in words.
    pub fn words(self) -> &'static str {
        match self {
            Judgement::Fine => "fine",
            Judgement::UnderWay => "under way",
            Judgement::ChargedWithoutOrder => "charged without order",
            Judgement::ChargedTooMuch => "charged too much",
            Judgement::OrderWithoutMoney => "order without money",
            Judgement::RefundedAndShipped => "refunded and shipped",
            Judgement::RefundedTwice => "refunded twice",
            Judgement::ConfirmedTwice => "confirmed twice",
            Judgement::Mixed => "several currencies",
        }
    }
}

impl fmt::Display for Judgement {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.words())
    }
}

impl Customer {
    /// What stays with the shop: charged, less what went back.
    pub fn kept(&self) -> i64 {
        self.charged
            .saturating_sub(self.refunded)
            .saturating_sub(self.charged_back)
    }

    /// What the books say.
    pub fn judgement(&self) -> Judgement {
        let gone = self.refunded.saturating_add(self.returning);
        let gone = gone.saturating_add(self.charged_back);
        let will_stay = self.charged.saturating_sub(gone);
        let owed = self.owed.unwrap_or(0);
        if self.is_mixed {
            Judgement::Mixed
        } else if gone > self.charged {
            Judgement::RefundedTwice
        } else if self.mails > 1 {
            Judgement::ConfirmedTwice
        } else if self.is_confirmed && will_stay < owed {
            self.short_of(gone)
        } else if self.is_shipped && !self.is_confirmed && gone > 0 {
            Judgement::RefundedAndShipped
        } else if self.returning > 0 || self.authorised > 0 {
            Judgement::UnderWay
        } else if self.is_confirmed && self.kept() > owed {
            Judgement::ChargedTooMuch
        } else if !self.is_confirmed && self.kept() > 0 {
            Judgement::ChargedWithoutOrder
        } else {
            Judgement::Fine
        }
    }

    /// A confirmed order with too little money: why.
    fn short_of(&self, gone: i64) -> Judgement {
        if gone == 0 {
            Judgement::OrderWithoutMoney
        } else if self.is_shipped {
            Judgement::RefundedAndShipped
        } else if self.charged > self.owed.unwrap_or(0) {
            Judgement::RefundedTwice
        } else {
            Judgement::OrderWithoutMoney
        }
    }

    fn note_currency(&mut self, currency: Currency) {
        self.is_mixed |= self.currency.is_some_and(|known| known != currency);
        self.currency = Some(currency);
    }

    /// An amount of this customer's in words.
    fn money(&self, minor: i64) -> String {
        let currency = self.currency.unwrap_or(Currency::EUR);
        Money::new(minor, currency).to_string()
    }

    /// The PSP's side in one line.
    pub fn psp_line(&self) -> String {
        let mut parts = vec![match self.payments {
            0 => "charged nothing".to_owned(),
            1 => format!("charged {}", self.money(self.charged)),
            several => format!("charged {} in {several} payments", self.money(self.charged)),
        }];
        for (amount, words) in [
            (self.refunded, "refunded"),
            (self.returning, "refund under way"),
            (self.charged_back, "charged back"),
            (self.authorised, "authorised"),
        ] {
            if amount > 0 {
                parts.push(format!("{words} {}", self.money(amount)));
            }
        }
        parts.join(", ")
    }

    /// The shop's side in one line.
    pub fn shop_line(&self) -> String {
        match (self.owed, self.is_confirmed) {
            (None, _) => "no such order".to_owned(),
            (Some(owed), true) => format!(
                "order of {} confirmed, {} mail{} sent",
                self.money(owed),
                self.mails,
                if self.mails == 1 { "" } else { "s" }
            ),
            (Some(owed), false) => format!("order of {} not confirmed", self.money(owed)),
        }
    }
}

/// Both books, customer by customer.
pub fn compare(psp: &SandboxPsp, shop: &SandboxShop) -> BTreeMap<String, Customer> {
    let mut customers: BTreeMap<String, Customer> = BTreeMap::new();
    for (reference, order) in shop.orders() {
        let customer = customers.entry(reference.clone()).or_default();
        customer.note_currency(order.amount.currency());
        customer.owed = Some(shop.owed(reference, order));
        customer.is_confirmed = order.standing == Standing::Confirmed;
        customer.is_shipped = order.is_fulfilled;
        customer.mails = order.mails;
    }
    let records = psp.records();
    let live = |is_live: bool| is_live == psp.setup().is_live;
    for payment in records
        .payments
        .values()
        .filter(|payment| live(payment.is_live))
    {
        let named = records.reference_of(&payment.id);
        let named = named.map(|reference| shop.current(&reference).to_owned());
        let customer = customers
            .entry(named.unwrap_or_else(|| payment.id.clone()))
            .or_default();
        let received = records.received(&payment.id);
        if received > 0 || payment.held > 0 {
            customer.note_currency(payment.currency);
        }
        add(&mut customer.charged, received);
        add(&mut customer.authorised, payment.held);
        customer.payments = customer.payments.saturating_add(u32::from(received > 0));
        for refund in records.refunds_for(&payment.id) {
            match refund.status {
                RefundStatus::Succeeded => add(&mut customer.refunded, refund.amount),
                RefundStatus::Pending | RefundStatus::Waiting => {
                    add(&mut customer.returning, refund.amount);
                }
                RefundStatus::Failed | RefundStatus::Cancelled | RefundStatus::Reversed => continue,
            }
            customer.refunds = customer.refunds.saturating_add(1);
        }
        let disputes = records
            .disputes
            .values()
            .filter(|d| d.payment == payment.id);
        for dispute in disputes.filter(|d| d.status != DisputeStatus::Won) {
            add(&mut customer.charged_back, dispute.amount);
        }
    }
    customers
}

fn add(sum: &mut i64, amount: i64) {
    *sum = sum.saturating_add(amount);
}

/// The customers whose books are not fine, with the judgement; money under way counts.
pub fn troubles(psp: &SandboxPsp, shop: &SandboxShop) -> BTreeMap<String, Judgement> {
    let customers = compare(psp, shop).into_iter();
    let judged = customers.map(|(reference, customer)| (reference, customer.judgement()));
    judged
        .filter(|(_, judgement)| *judgement != Judgement::Fine)
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn confirmed(charged: i64, refunded: i64) -> Customer {
        Customer {
            charged,
            refunded,
            payments: 1,
            currency: Some(Currency::EUR),
            owed: Some(5_000),
            is_confirmed: true,
            mails: 1,
            ..Customer::default()
        }
    }

    fn without_order(charged: i64, refunded: i64) -> Customer {
        Customer {
            owed: None,
            is_confirmed: false,
            mails: 0,
            ..confirmed(charged, refunded)
        }
    }

    #[test]
    fn paid_and_confirmed_or_wholly_refunded_is_fine() {
        assert_eq!(confirmed(5_000, 0).judgement(), Judgement::Fine);
        assert_eq!(confirmed(10_000, 5_000).judgement(), Judgement::Fine);
        assert_eq!(without_order(5_000, 5_000).judgement(), Judgement::Fine);
        assert_eq!(Customer::default().judgement(), Judgement::Fine);
    }

    #[test]
    fn each_way_to_go_wrong_has_its_name() {
        let shipped = Customer {
            is_shipped: true,
            ..confirmed(5_000, 5_000)
        };
        let shipped_then_cancelled = Customer {
            is_shipped: true,
            owed: Some(5_000),
            ..without_order(5_000, 5_000)
        };
        let thanked_twice = Customer {
            mails: 2,
            ..confirmed(5_000, 0)
        };
        let mixed = Customer {
            is_mixed: true,
            ..confirmed(5_000, 0)
        };
        let returning = Customer {
            returning: 5_000,
            ..without_order(5_000, 0)
        };
        let returning_twice = Customer {
            returning: 5_000,
            ..without_order(5_000, 5_000)
        };
        for (customer, judgement) in [
            (without_order(5_000, 0), Judgement::ChargedWithoutOrder),
            (without_order(5_000, 4_999), Judgement::ChargedWithoutOrder),
            (confirmed(10_000, 0), Judgement::ChargedTooMuch),
            (confirmed(0, 0), Judgement::OrderWithoutMoney),
            (confirmed(4_999, 0), Judgement::OrderWithoutMoney),
            (confirmed(5_000, 5_000), Judgement::OrderWithoutMoney),
            (confirmed(10_000, 10_000), Judgement::RefundedTwice),
            (without_order(5_000, 5_001), Judgement::RefundedTwice),
            (returning_twice, Judgement::RefundedTwice),
            (shipped, Judgement::RefundedAndShipped),
            (shipped_then_cancelled, Judgement::RefundedAndShipped),
            (thanked_twice, Judgement::ConfirmedTwice),
            (mixed, Judgement::Mixed),
            (returning, Judgement::UnderWay),
        ] {
            assert_eq!(customer.judgement(), judgement, "{customer:?}");
        }
    }
}
