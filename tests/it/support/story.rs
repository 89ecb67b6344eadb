//! What stories have in common: setups, faults at the usual places, and how a customer's story
//! may end, by the daemon's own word and by both sandboxes' books.
//!
//! Knows the daemon only from outside.

use super::Rig;
use reconciled::sandbox::fault::{Aim, Fault, Times};
use reconciled::sandbox::outbox::DeliveryFault;
use reconciled::sandbox::psp::PspCall;
use reconciled::sandbox::rig::{Setup, View, eur};
use reconciled::sandbox::shop::ShopCall;
use reconciled::wire::Method;

/// What the usual order costs, in cents.
pub(crate) const PRICE: i64 = 5_995;
/// The operator's token in stories that need one.
pub(crate) const TOKEN: &str = "token-of-the-operator-in-the-stories";

/// The guard out of the way: for stories with more refunds than payments that stay.
pub(crate) fn unbraked(setup: Setup) -> Setup {
    setup
        .policy("max_refunds_per_hour", "100000")
        .policy(
            "max_refund_sum_per_hour",
            "{ value = \"10000000.00\", currency = \"EUR\" }",
        )
        .policy("max_refund_share", "1.0")
}

/// An operator may rule.
pub(crate) fn with_operator(mut setup: Setup) -> Setup {
    setup.operator_token = Some(TOKEN.to_owned());
    setup
}

/// The sweep looks once, at the start, and then not for the length of a story.
pub(crate) fn swept_once(setup: Setup) -> Setup {
    setup.account("sweep_every", "\"30m\"")
}

/// A confirm of this order.
pub(crate) fn confirms(reference: &str) -> Aim<ShopCall> {
    Aim::kind(ShopCall::Confirm).about(reference)
}

/// A lookup of this order.
pub(crate) fn lookups(reference: &str) -> Aim<ShopCall> {
    Aim::kind(ShopCall::LookUp).about(reference)
}

/// Calls of this kind about a payment of this order.
pub(crate) fn calls(kind: PspCall, reference: &str) -> Aim<PspCall> {
    Aim::kind(kind).about(reference)
}

impl Rig {
    /// An order of the usual price, placed and paid; gives the payment.
    pub(crate) fn order_and_pay(&self, reference: &str) -> String {
        self.place(reference, eur(PRICE));
        self.pay(reference, eur(PRICE))
    }

    /// Webhooks about this order never arrive.
    pub(crate) fn lose_webhooks(&self, reference: &str) {
        self.psp(|psp| psp.spoil(Some(reference), Times::Always, DeliveryFault::Lose));
    }

    /// The next calls of this kind about the order go wrong.
    pub(crate) fn spoil(&self, kind: PspCall, reference: &str, times: Times, fault: Fault) {
        self.psp(|psp| psp.lay(calls(kind, reference), times, fault));
    }

    /// How often the shop understood such a call about the order.
    pub(crate) fn heard(&self, kind: ShopCall, reference: &str) -> usize {
        self.shop(|shop| {
            let heard = shop.heard().iter();
            let fits =
                heard.filter(|one| one.kind == kind && one.reference.as_deref() == Some(reference));
            fits.count()
        })
    }

    /// How often the PSP got such a call about the order, faults or not.
    pub(crate) fn asked(&self, kind: PspCall, reference: &str) -> usize {
        self.psp(|psp| {
            let asked = psp.calls().iter();
            let about = Some(reference);
            asked
                .filter(|(known, subject)| *known == kind && subject.as_deref() == about)
                .count()
        })
    }

    /// Waits until the shop got such a notice about the order.
    pub(crate) async fn until_noticed(&self, what: &str, reference: &str) {
        let about = Some(reference);
        self.until_world(&format!("{what} about {reference}"), |world| {
            let mut notices = world.shop.notices().iter();
            notices.any(|one| one.what == what && one.reference.as_deref() == about)
        })
        .await;
    }

    /// Waits until the shop understood so many calls of this kind about the order.
    pub(crate) async fn until_heard(&self, kind: ShopCall, reference: &str, count: usize) {
        let about = Some(reference);
        self.until_world(&format!("{count} × {kind:?} of {reference}"), |world| {
            let heard = world.shop.heard().iter();
            let fits = heard.filter(|one| one.kind == kind && one.reference.as_deref() == about);
            fits.count() >= count
        })
        .await;
    }

    /// Waits until the PSP got so many calls of this kind about the order.
    pub(crate) async fn until_asked(&self, kind: PspCall, reference: &str, count: usize) {
        let about = Some(reference);
        self.until_world(&format!("{count} × {kind:?} of {reference}"), |world| {
            let asked = world.psp.calls().iter();
            let fits = asked.filter(|(known, of)| *known == kind && of.as_deref() == about);
            fits.count() >= count
        })
        .await;
    }

    /// Waits until faults have struck the order so often.
    pub(crate) async fn until_struck(&self, reference: &str, count: usize) {
        self.until_world(&format!("{count} strikes of {reference}"), |world| {
            world.strikes_about(reference) >= count
        })
        .await;
    }

    /// Waits until the checkout is held for this reason.
    pub(crate) async fn until_held(&self, reference: &str, reason: &str) -> View {
        let is_so = |view: &View| view.verdict == "held" && view.reason.as_deref() == Some(reason);
        self.until(reference, is_so).await
    }

    /// Settles the order and holds the books to one charge, one confirmation, nothing refunded.
    pub(crate) async fn settles_once(&self, reference: &str) -> View {
        let view = self.until_verdict(reference, "settled").await;
        let customer = self.fine(reference);
        let counts = (customer.payments, customer.refunds, customer.mails);
        assert_eq!(counts, (1, 0, 1), "{reference}: {customer:?}");
        assert!(customer.is_confirmed);
        view
    }

    /// Returns the money and holds the books to one refund of all of it and no order.
    pub(crate) async fn returns_once(&self, reference: &str) -> View {
        let view = self.until_verdict(reference, "returned").await;
        let customer = self.fine(reference);
        let counts = (customer.refunds, customer.mails, customer.kept());
        assert_eq!(counts, (1, 0, 0), "{reference}: {customer:?}");
        assert!(!customer.is_confirmed);
        view
    }

    /// The order is settled by one of its two payments, and the other went back, once.
    pub(crate) async fn settles_with_one_of_two(&self, reference: &str) -> View {
        let settled = self.until(reference, |view| {
            let went_back =
                |one: &&reconciled::sandbox::rig::ViewPayment| one.refunded == one.captured;
            let back = view.payments.iter().filter(went_back).count();
            // A payment that is known and not yet captured has nothing to go back either.
            let is_back = self.customer(reference).refunds == 1;
            view.verdict == "settled" && view.payments.len() == 2 && back == 1 && is_back
        });
        let view = settled.await;
        let customer = self.fine(reference);
        let counts = (customer.payments, customer.refunds, customer.mails);
        assert_eq!(counts, (2, 1, 1), "{reference}: {customer:?}");
        view
    }

    /// What went back of one payment, by the PSP's books.
    pub(crate) fn refunded(&self, payment: &str) -> i64 {
        self.psp(|psp| {
            let records = psp.records();
            let charges = records.charges_of(payment);
            charges.map(|charge| records.refunded(&charge.id)).sum()
        })
    }

    /// An operator rules; gives the status of the answer.
    pub(crate) async fn rule(&self, checkout: &str, ruling: &str) -> u16 {
        let path = format!("/api/v1/checkouts/{checkout}/rulings");
        let body = format!("{{\"ruling\":\"{ruling}\",\"note\":\"told in a story\"}}");
        let answer = self.admin_call(Method::Post, &path, body.as_bytes()).await;
        answer.unwrap_or_else(|error| panic!("{error}")).status
    }

    /// Waits until one of all checkouts, with a reference or without, is as wanted.
    pub(crate) async fn until_any(&self, what: &str, wanted: impl Fn(&View) -> bool) -> View {
        #[derive(serde::Deserialize)]
        struct List {
            checkouts: Vec<View>,
        }
        let asking = async {
            loop {
                let path = "/api/v1/checkouts?limit=200";
                if let Ok(answer) = self.admin_call(Method::Get, path, b"").await {
                    let list: List = serde_json::from_slice(&answer.body).unwrap();
                    if let Some(found) = list.checkouts.into_iter().find(&wanted) {
                        return found;
                    }
                }
                self.pass(std::time::Duration::from_millis(50))
                    .await
                    .unwrap();
            }
        };
        let found = tokio::time::timeout(super::talk::AGES, asking).await;
        found.unwrap_or_else(|_| panic!("waited in vain for {what}"))
    }
}
