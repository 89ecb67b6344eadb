//! From an input to lessons: which facts, about which checkout, as far as the input itself says.
//!
//! Reads deliveries with the adapters. Knows nothing of what is stored; finding the checkouts is
//! the workspace's work.

use super::input::Input;
use crate::core::fact::Fact;
use crate::core::ids::{CheckoutId, OrderRef, PaymentRef, ShopId};
use crate::core::order::OrderSnapshot;
use crate::core::payment::{PaymentSnapshot, Source};
use crate::core::time::Time;
use crate::psp::Reading;
use crate::roster::Roster;
use crate::store::{Delivery, Disposition, Sender, Wanted};

/// One thing learned, and what it is about.
#[derive(Clone, Debug)]
pub(super) enum Lesson {
    /// About a checkout known by our id.
    Checkout(CheckoutId, Vec<Fact>),
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
            only(vec![Lesson::Checkout(ruled.checkout.clone(), vec![fact])])
        }
        Input::Report(report) => {
            // Statements about payments find their own checkout, which may by now be another.
            let (seen, own): (Vec<_>, Vec<_>) = report
                .facts
                .iter()
                .cloned()
                .partition(|fact| matches!(fact, Fact::PaymentSeen(_)));
            let mut lessons = vec![Lesson::Checkout(report.checkout.clone(), own)];
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
            let hinted = swept.hints.iter().map(|id| hint(&swept.account, id, now));
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

/// A payment that is only named: it will be read at the PSP.
fn hint(
    account: &crate::core::ids::AccountId,
    id: &crate::core::ids::ExternalRef,
    now: Time,
) -> PaymentSnapshot {
    let payment = PaymentRef {
        account: account.clone(),
        id: id.clone(),
    };
    PaymentSnapshot::new(payment, now, now, Source::Signed)
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
            match entry
                .adapter
                .read(&delivery.body, delivery.is_signed, received)
            {
                Ok(Reading::Seen { payments, hints }) => {
                    let hinted = hints.iter().map(|id| hint(account, id, received));
                    let seen = payments.into_iter().chain(hinted);
                    Taught {
                        lessons: seen
                            .map(|one| Lesson::Payment(entry.shop.clone(), Box::new(one)))
                            .collect(),
                        delivery: Some((row.id, Disposition::Taken)),
                    }
                }
                Ok(Reading::Ignored { .. }) => Taught {
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
            Lesson::Checkout(id, _) => wanted.checkouts.push(id.clone()),
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
