//! From an input to lessons: which facts, about which checkout, as far as the input itself says.
//!
//! Reads deliveries with the adapters. Knows nothing of what is stored; finding the checkouts is
//! the workspace's work.

use super::input::Input;
use crate::core::fact::Fact;
use crate::core::ids::{
    AccountId, CheckoutId, CheckoutRef, ExternalRef, OrderRef, PaymentRef, ShopId,
};
use crate::core::order::OrderSnapshot;
use crate::core::payment::{PaymentSnapshot, Source};
use crate::core::time::Time;
use crate::psp::Reading;
use crate::roster::Roster;
use crate::store::{Delivery, Disposition, NewDelivery, Sender, Wanted};

/// One thing learned, and what it is about.
#[derive(Clone, Debug)]
pub(super) enum Lesson {
    /// About a checkout known by shop and id.
    Checkout(CheckoutRef, Vec<Fact>),
    /// About a checkout known by our id alone.
    Named(CheckoutId, Fact),
    /// About a payment; it finds its own checkout.
    Payment(ShopId, Box<PaymentSnapshot>),
    /// The same from a list, where only news counts.
    Listed(ShopId, Box<PaymentSnapshot>),
    /// About an order.
    Order(OrderRef, Box<OrderSnapshot>),
}

/// What an input teaches, and what becomes of its delivery.
#[derive(Debug)]
pub(super) struct Taught {
    pub(super) lessons: Vec<Lesson>,
    pub(super) delivery: Option<(i64, Disposition)>,
}

/// Reads an input.
pub(super) fn read(input: &Input, roster: &Roster, now: Time) -> Taught {
    match input {
        Input::Delivery(delivery) => read_delivery(delivery, roster),
        Input::Due(checkout) => only(vec![Lesson::Checkout(checkout.clone(), Vec::new())]),
        Input::Told { checkout, facts } => {
            only(vec![Lesson::Checkout(checkout.clone(), facts.clone())])
        }
        Input::Ruled(ruled) => {
            let fact = Fact::RulingMade(ruled.ruling.clone());
            only(vec![Lesson::Named(ruled.checkout.clone(), fact)])
        }
        Input::Report(report) => {
            // Statements about payments find their own checkout, which may by now be another.
            let (seen, own): (Vec<_>, Vec<_>) = report
                .facts
                .iter()
                .cloned()
                .partition(|fact| matches!(fact, Fact::PaymentSeen(_)));
            let mut lessons = vec![Lesson::Checkout(report.named(), own)];
            for fact in seen {
                if let Fact::PaymentSeen(snapshot) = fact {
                    lessons.push(Lesson::Payment(report.shop.clone(), snapshot));
                }
            }
            only(lessons)
        }
        Input::Swept(swept) => {
            let Some(entry) = roster.accounts.get(&swept.account) else {
                return only(Vec::new());
            };
            let named = |id| hint(&swept.account, id, now, Source::Signed);
            let hinted = swept.hints.iter().map(named);
            let seen = swept.payments.iter().cloned().chain(hinted);
            only(
                seen.map(|one| Lesson::Listed(entry.shop.clone(), Box::new(one)))
                    .collect(),
            )
        }
    }
}

fn only(lessons: Vec<Lesson>) -> Taught {
    Taught {
        lessons,
        delivery: None,
    }
}

/// A payment that is only named: it will be read at the PSP. A list names odd ones every time, so
/// its word does not count as news of a payment that is known.
fn hint(account: &AccountId, id: &ExternalRef, at: Time, source: Source) -> PaymentSnapshot {
    let payment = PaymentRef {
        account: account.clone(),
        id: id.clone(),
    };
    PaymentSnapshot::new(payment, at, at, source)
}

/// What a delivery teaches about payments. An unsigned one only names them, whatever it says; and
/// since others of the same second were dropped as its repetitions, it counts from that second's
/// end, so that the read shows what any of them meant.
fn statements(account: &AccountId, delivery: &NewDelivery, reading: Reading) -> Taken {
    let (payments, hints) = match reading {
        Reading::Seen { payments, hints } => (payments, hints),
        Reading::Ignored { .. } => return Taken::Ignored,
    };
    let received = delivery.received_at;
    if delivery.is_signed {
        let named = |id| hint(account, id, received, Source::Named);
        let hinted: Vec<PaymentSnapshot> = hints.iter().map(named).collect();
        return Taken::Seen(payments.into_iter().chain(hinted).collect());
    }
    let end = Time::from_seconds(received.seconds().saturating_add(1));
    let shown = payments.into_iter().map(|one| one.payment.id);
    let all = hints.into_iter().chain(shown);
    Taken::Seen(
        all.map(|id| hint(account, &id, end, Source::Hearsay))
            .collect(),
    )
}

/// What was made of a delivery.
enum Taken {
    Seen(Vec<PaymentSnapshot>),
    Ignored,
}

fn read_delivery(row: &Delivery, roster: &Roster) -> Taught {
    let delivery = &row.delivery;
    let parked = |why: String| Taught {
        lessons: Vec::new(),
        delivery: Some((row.id, Disposition::Parked { why })),
    };
    let received = delivery.received_at;
    match &delivery.sender {
        Sender::Psp(account) => {
            let Some(entry) = roster.accounts.get(account) else {
                return parked(format!("account_not_configured: {account}"));
            };
            let read = entry
                .adapter
                .read(&delivery.body, delivery.is_signed, received);
            match read.map(|reading| statements(account, delivery, reading)) {
                Ok(Taken::Seen(payments)) => Taught {
                    lessons: payments
                        .into_iter()
                        .map(|one| Lesson::Payment(entry.shop.clone(), Box::new(one)))
                        .collect(),
                    delivery: Some((row.id, Disposition::Taken)),
                },
                Ok(Taken::Ignored) => Taught {
                    lessons: Vec::new(),
                    delivery: Some((row.id, Disposition::Ignored)),
                },
                Err(unreadable) => parked(format!("{}: {}", unreadable.code, unreadable.detail)),
            }
        }
        Sender::Shop(shop) => {
            let Some(entry) = roster.shops.get(shop) else {
                return parked(format!("shop_not_configured: {shop}"));
            };
            match entry.adapter.read(&delivery.body, received) {
                Ok(mut order) => {
                    // A shop cannot claim a payment on an account that serves another shop.
                    order.claims.retain(|claim| {
                        roster
                            .accounts
                            .get(&claim.account)
                            .is_some_and(|one| one.shop == *shop)
                    });
                    let about = OrderRef {
                        shop: shop.clone(),
                        reference: order.reference.clone(),
                    };
                    Taught {
                        lessons: vec![Lesson::Order(about, Box::new(order))],
                        delivery: Some((row.id, Disposition::Taken)),
                    }
                }
                Err(unreadable) => parked(format!("{}: {}", unreadable.code, unreadable.detail)),
            }
        }
    }
}

impl Lesson {
    /// What must be loaded to learn this.
    pub(super) fn want(&self, wanted: &mut Wanted) {
        match self {
            Lesson::Checkout(checkout, _) => wanted.checkouts.push(checkout.clone()),
            Lesson::Named(id, _) => wanted.ids.push(id.clone()),
            Lesson::Payment(shop, snapshot) | Lesson::Listed(shop, snapshot) => {
                wanted.payments.push(snapshot.payment.clone());
                if let Some(reference) = &snapshot.reference {
                    let order = OrderRef {
                        shop: shop.clone(),
                        reference: reference.clone(),
                    };
                    wanted.orders.push(order);
                }
            }
            Lesson::Order(order, snapshot) => {
                wanted.orders.push(order.clone());
                wanted.payments.extend(snapshot.claims.iter().cloned());
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::core::money::{Currency, Money};

    const SECOND: i64 = 1_795_200_000;

    fn taught(is_signed: bool) -> Vec<PaymentSnapshot> {
        let account = AccountId::parse("mollie_nl").unwrap();
        let at = Time::from_micros(SECOND * 1_000_000 + 250_000);
        let shown = PaymentRef::parse("mollie_nl", "tr_shown").unwrap();
        let mut shown = PaymentSnapshot::new(shown, at, at, Source::Signed);
        shown.captured = Some(Money::new(5995, Currency::EUR));
        let delivery = NewDelivery {
            sender: Sender::Psp(account.clone()),
            delivery_id: "tr_named".to_owned(),
            received_at: at,
            told_at: None,
            is_signed,
            body: Vec::new(),
        };
        let reading = Reading::Seen {
            payments: vec![shown],
            hints: vec![ExternalRef::parse("tr_named").unwrap()],
        };
        match statements(&account, &delivery, reading) {
            Taken::Seen(seen) => seen,
            Taken::Ignored => panic!("it was seen"),
        }
    }

    #[test]
    fn an_unsigned_delivery_names_payments_from_the_end_of_its_second_on_and_says_no_more() {
        let seen = taught(false);
        assert_eq!(seen.len(), 2);
        for one in seen {
            assert_eq!(one.source, Source::Hearsay);
            assert_eq!(one.as_of, Time::from_seconds(SECOND + 1));
            assert_eq!(one.captured, None);
        }
    }

    #[test]
    fn a_signed_delivery_says_what_it_shows_and_names_the_rest() {
        let seen = taught(true);
        assert_eq!(seen[0].captured, Some(Money::new(5995, Currency::EUR)));
        assert_eq!(seen[1].source, Source::Named);
        assert!(seen[1].as_of < Time::from_seconds(SECOND + 1));
    }
}
