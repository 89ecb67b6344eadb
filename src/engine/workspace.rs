//! The checkouts of one batch, loaded, learning and finding each other.
//!
//! Decides which checkout a fact belongs to: a payment stays where it lives, moves once when its
//! order becomes known, and never moves when money of it was asked back where it is.

use super::decoded::Decoded;
use super::lesson::Lesson;
use crate::core::checkout::Checkout;
use crate::core::fact::Fact;
use crate::core::ids::{CheckoutId, OrderRef, PaymentRef, ShopId};
use crate::core::lattice::Join;
use crate::core::payment::{Payment, PaymentSnapshot};
use crate::core::time::Time;
use crate::store::{ActionRow, CheckoutRow, CommitUnit, Found};
use sha2::{Digest, Sha256};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

/// One checkout in a batch.
#[derive(Clone, Debug)]
pub(super) struct Working {
    pub(super) row: Option<CheckoutRow>,
    pub(super) before: Arc<Checkout>,
    pub(super) checkout: Checkout,
    pub(super) actions: Vec<ActionRow>,
    pub(super) facts: Vec<Fact>,
    /// Payments that come to live here with this batch.
    pub(super) homes: BTreeSet<PaymentRef>,
}

impl Working {
    fn learn(&mut self, fact: Fact) {
        if self.checkout.observe(&fact) {
            self.facts.push(fact);
        }
    }
}

/// A checkout whose stored state cannot be read.
#[derive(Clone, Debug)]
pub(super) struct Unreadable {
    pub(super) id: CheckoutId,
    pub(super) why: String,
}

/// All checkouts of one batch.
#[derive(Default)]
pub(super) struct Workspace {
    pub(super) checkouts: BTreeMap<CheckoutId, Working>,
    pub(super) unreadable: Vec<Unreadable>,
    orders: BTreeMap<OrderRef, CheckoutId>,
    payments: BTreeMap<PaymentRef, CheckoutId>,
}

impl Workspace {
    /// Takes what was loaded. Attempts that were leased since the last commit become facts.
    pub(super) fn new(found: Found, decoded: &Decoded) -> Workspace {
        let mut workspace = Workspace {
            orders: found.orders,
            payments: found.payments,
            ..Workspace::default()
        };
        for (id, loaded) in found.checkouts {
            if let Some(why) = loaded.unreadable.into_iter().next() {
                // What was asked may be on its way: nothing is decided beside it.
                workspace.unreadable.push(Unreadable { id, why });
                continue;
            }
            match decoded.read(&id, &loaded.row.document) {
                Ok(stored) => {
                    let mut checkout = Checkout::clone(&stored);
                    let facts = learn_of_attempts(&mut checkout, &loaded.actions);
                    let before = if facts.is_empty() {
                        stored
                    } else {
                        Arc::new(checkout.clone())
                    };
                    let working = Working {
                        row: Some(loaded.row),
                        before,
                        checkout,
                        actions: loaded.actions,
                        facts,
                        homes: BTreeSet::new(),
                    };
                    workspace.checkouts.insert(id, working);
                }
                Err(error) => {
                    let why = format!("checkouts.document: {error}");
                    workspace.unreadable.push(Unreadable { id, why });
                }
            }
        }
        workspace
    }

    /// Learns one lesson; the checkouts it touched, or the one that could not be read.
    pub(super) fn learn(
        &mut self,
        lesson: &Lesson,
        now: Time,
    ) -> Result<BTreeSet<CheckoutId>, Unreadable> {
        match lesson {
            Lesson::Checkout(checkout, facts) => self.learn_facts(&checkout.id, facts),
            Lesson::Named(id, fact) => self.learn_facts(id, std::slice::from_ref(fact)),
            Lesson::Payment(shop, snapshot) => self.learn_payment(shop, snapshot, now),
            Lesson::Listed(shop, snapshot) => {
                if self.is_known_already(snapshot) {
                    return Ok(BTreeSet::new());
                }
                self.learn_payment(shop, snapshot, now)
            }
            Lesson::Order(order, snapshot) => {
                let id = self.order_home(order, now)?;
                let mut touched = BTreeSet::from([id.clone()]);
                self.tell(&id, Fact::OrderSeen(snapshot.clone()));
                for claim in &snapshot.claims {
                    touched.extend(self.claim(claim, &id)?);
                }
                Ok(touched)
            }
        }
    }

    fn learn_facts(
        &mut self,
        id: &CheckoutId,
        facts: &[Fact],
    ) -> Result<BTreeSet<CheckoutId>, Unreadable> {
        self.readable(id)?;
        let Some(working) = self.checkouts.get_mut(id) else {
            return Ok(BTreeSet::new());
        };
        for fact in facts {
            let fact = working.checkout.with_looks(fact.clone());
            working.learn(fact);
        }
        Ok(BTreeSet::from([id.clone()]))
    }

    /// A list shows many payments again and again; only news is worth a commit.
    fn is_known_already(&self, snapshot: &PaymentSnapshot) -> bool {
        let home = self
            .payments
            .get(&snapshot.payment)
            .and_then(|id| self.checkouts.get(id));
        let known = home.and_then(|working| working.checkout.payments.get(&snapshot.payment));
        known.is_some_and(|known| {
            let mut joined = known.clone();
            joined.join(&Payment::from_snapshot(snapshot));
            !joined.says_more_than(known)
        })
    }

    /// What was committed is kept beside its document.
    pub(super) fn keep(&mut self, unit: &CommitUnit, decoded: &Decoded) {
        for commit in &unit.checkouts {
            if let Some(working) = self.checkouts.remove(&commit.row.id) {
                let document = commit.row.document.clone();
                decoded.keep(&commit.row.id, document, Arc::new(working.checkout));
            }
        }
    }

    /// False for a checkout that is there and cannot be read.
    pub(super) fn is_readable(&self, id: &CheckoutId) -> bool {
        self.readable(id).is_ok()
    }

    fn readable(&self, id: &CheckoutId) -> Result<(), Unreadable> {
        match self.unreadable.iter().find(|bad| bad.id == *id) {
            Some(bad) => Err(bad.clone()),
            None => Ok(()),
        }
    }

    fn tell(&mut self, id: &CheckoutId, fact: Fact) {
        if let Some(working) = self.checkouts.get_mut(id) {
            working.learn(fact);
        }
    }

    fn learn_payment(
        &mut self,
        shop: &ShopId,
        snapshot: &PaymentSnapshot,
        now: Time,
    ) -> Result<BTreeSet<CheckoutId>, Unreadable> {
        let payment = &snapshot.payment;
        let order = snapshot.reference.clone().map(|reference| OrderRef {
            shop: shop.clone(),
            reference,
        });
        let mut touched = BTreeSet::new();
        let home = match (self.payments.get(payment).cloned(), &order) {
            (Some(home), _) => home,
            (None, Some(order)) => self.order_home(order, now)?,
            (None, None) => {
                let id = checkout_id(now, &format!("payment|{payment}"));
                self.create(id.clone(), shop, None);
                id
            }
        };
        self.readable(&home)?;
        self.settle_in(payment, &home);
        self.tell(&home, Fact::PaymentSeen(Box::new(snapshot.clone())));
        touched.insert(home.clone());
        let is_homeless = self
            .checkouts
            .get(&home)
            .is_some_and(|working| working.checkout.reference.is_none());
        if let Some(order) = order.filter(|_| is_homeless) {
            let target = self.order_home(&order, now)?;
            touched.extend(self.claim(payment, &target)?);
            touched.insert(target);
        }
        Ok(touched)
    }

    /// A payment is said to belong to this checkout's order: it settles in, moves here, or the
    /// claim is refused because it counts elsewhere.
    fn claim(
        &mut self,
        payment: &PaymentRef,
        target: &CheckoutId,
    ) -> Result<BTreeSet<CheckoutId>, Unreadable> {
        let mut touched = BTreeSet::from([target.clone()]);
        let Some(home) = self.payments.get(payment).cloned() else {
            self.settle_in(payment, target);
            return Ok(touched);
        };
        if home == *target {
            return Ok(touched);
        }
        self.readable(&home)?;
        let Some(source) = self.checkouts.get_mut(&home) else {
            return Ok(touched);
        };
        let may_move =
            source.checkout.reference.is_none() && !may_be_back(&source.checkout, payment);
        if !may_move {
            let refused = Fact::ClaimRefused {
                payment: payment.clone(),
            };
            if source.checkout.reference.is_none() {
                // Nothing more may leave for a payment that an order waits for.
                source.learn(refused.clone());
                touched.insert(home);
            }
            self.tell(target, refused);
            return Ok(touched);
        }
        let state = source
            .checkout
            .payments
            .get(payment)
            .cloned()
            .unwrap_or_default();
        source.learn(Fact::PaymentLeft {
            payment: payment.clone(),
            to: target.clone(),
        });
        source.homes.remove(payment);
        self.tell(
            target,
            Fact::PaymentArrived {
                payment: payment.clone(),
                state: Box::new(state),
            },
        );
        self.settle_in(payment, target);
        touched.insert(home);
        Ok(touched)
    }

    fn settle_in(&mut self, payment: &PaymentRef, home: &CheckoutId) {
        let known = self.payments.insert(payment.clone(), home.clone());
        if known.as_ref() != Some(home)
            && let Some(working) = self.checkouts.get_mut(home)
        {
            working.homes.insert(payment.clone());
        }
    }

    fn order_home(&mut self, order: &OrderRef, now: Time) -> Result<CheckoutId, Unreadable> {
        if let Some(id) = self.orders.get(order).cloned() {
            self.readable(&id)?;
            return Ok(id);
        }
        let id = checkout_id(now, &format!("order|{order}"));
        self.orders.insert(order.clone(), id.clone());
        self.create(id.clone(), &order.shop, Some(order));
        Ok(id)
    }

    fn create(&mut self, id: CheckoutId, shop: &ShopId, order: Option<&OrderRef>) {
        let reference = order.map(|order| order.reference.clone());
        let checkout = Checkout::new(id.clone(), shop.clone(), reference);
        let working = Working {
            row: None,
            before: Arc::new(checkout.clone()),
            checkout,
            actions: Vec::new(),
            facts: Vec::new(),
            homes: BTreeSet::new(),
        };
        self.checkouts.entry(id).or_insert(working);
    }
}

/// Attempts that the dispatcher leased are facts once the engine sees their rows.
fn learn_of_attempts(checkout: &mut Checkout, actions: &[ActionRow]) -> Vec<Fact> {
    let mut facts = Vec::new();
    for row in actions.iter().filter(|row| row.attempts > 0) {
        let known = checkout.asks.get(&row.key).map_or(0, |ask| ask.sent);
        if let Some(at) = row.last_sent_at.filter(|_| row.attempts > known) {
            let sent = Fact::AskSent {
                key: row.key.clone(),
                kind: row.planned.action.kind(),
                attempt: row.attempts,
                at,
                payment: row.planned.action.payment().cloned(),
                amount: row.planned.action.amount(),
            };
            if checkout.observe(&sent) {
                facts.push(sent);
            }
        }
    }
    facts
}

/// Money of this payment went back, or may still, where it lives: an attempt that nobody heard the end
/// of may be carried out much later. What was decided and kept back, or declined, moves nothing.
fn may_be_back(checkout: &Checkout, payment: &PaymentRef) -> bool {
    let asks = checkout.asks.values();
    let mut back = asks.filter(|ask| ask.kind.gives_money_back());
    back.any(|ask| {
        let may_have_left = ask.is_in_flight() || ask.unclear_at.is_some() || ask.done_at.is_some();
        ask.payment.as_ref() == Some(payment) && may_have_left
    })
}

/// A new checkout's id: led by the moment, so that keys grow with time; the rest names what it
/// is about, so that two instances that make it in the same moment make the same one.
fn checkout_id(now: Time, about: &str) -> CheckoutId {
    let digest = Sha256::digest(about.as_bytes());
    let mut tail = [0_u8; 10];
    for (to, from) in tail.iter_mut().zip(digest.iter()) {
        *to = *from;
    }
    let millis = now
        .micros()
        .checked_div(1000)
        .and_then(|one| u64::try_from(one).ok());
    CheckoutId::made(millis.unwrap_or(0), &tail)
}

#[cfg(test)]
mod tests;
