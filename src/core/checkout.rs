//! The one aggregate: everything about one order and all payments that claim it.
//!
//! `observe` merges a fact by joining it into the state; any order and any repetition of the
//! same facts gives the same checkout. What follows from the state is decided elsewhere
//! (`reconcile`); this file knows no policy and no clock.

use super::fact::{BrakeCause, Fact, Outcome, Ruling};
use super::ids::{ActionKey, CheckoutId, PaymentRef, Reference, ShopId};
use super::lattice::{Join, Stamped, keep_last, keep_max, keep_min};
use super::money::Money;
use super::order::{Order, OrderStatus};
use super::payment::{Payment, PaymentStatus};
use super::plan::ActionKind;
use super::policy::Policy;
use super::time::Time;
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, BTreeSet};

/// Operator rulings kept per checkout; the latest decides, all are in the journal.
pub const RULINGS_MAX: usize = 16;

/// One decision of ours that was sent, and how its latest attempt ended.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Ask {
    /// What was asked.
    pub kind: ActionKind,
    /// Attempts sent so far.
    pub sent: u32,
    /// When the first attempt left.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub first_sent_at: Option<Time>,
    /// When the latest attempt left.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub last_sent_at: Option<Time>,
    /// The payment it is about.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub payment: Option<PaymentRef>,
    /// The money it moves or claims.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub amount: Option<Money>,
    /// The latest attempt that ended, and how.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ended: Option<Ended>,
    /// When a latest attempt ended without a clear outcome, if one ever did.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub unclear_at: Option<Time>,
    /// When it was done, if it ever was.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub done_at: Option<Time>,
    /// The latest attempt that was done; 0 for none.
    #[serde(default)]
    pub done_attempt: u32,
}

/// The end of one attempt. Ordered by attempt, then a definite outcome over an unclear one.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Ended {
    /// Which attempt.
    pub attempt: u32,
    /// How.
    pub outcome: Outcome,
    /// When.
    pub at: Time,
    /// When it had left.
    pub sent_at: Time,
    /// Looks at the order that had left when the end was recorded.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub looks: Option<u32>,
}

impl Ask {
    /// True while the latest attempt has no recorded end.
    pub fn is_in_flight(&self) -> bool {
        self.sent > self.ended.as_ref().map_or(0, |ended| ended.attempt)
    }

    /// True when the latest attempt ended and may have had its effect unseen.
    pub fn is_unclear(&self) -> bool {
        !self.is_in_flight()
            && self
                .ended
                .as_ref()
                .is_some_and(|ended| ended.outcome.is_unclear())
    }

    /// True once any attempt was done.
    pub fn is_done(&self) -> bool {
        self.done_at.is_some()
    }

    /// Attempts in a row that ended without being done.
    pub fn failures(&self) -> u32 {
        let ended = self.ended.as_ref().map_or(0, |ended| ended.attempt);
        ended.saturating_sub(self.done_attempt)
    }

    /// The other side's word, when the latest attempt was explicitly declined.
    pub fn refusal(&self) -> Option<&str> {
        match self.ended.as_ref().map(|ended| &ended.outcome) {
            Some(Outcome::Refused { code }) if !self.is_in_flight() && !self.is_done() => {
                Some(code)
            }
            Some(_) | None => None,
        }
    }
}

impl Join for Ask {
    fn join(&mut self, other: &Ask) {
        self.kind = self.kind.max(other.kind);
        self.sent = self.sent.max(other.sent);
        keep_min(&mut self.first_sent_at, &other.first_sent_at);
        keep_max(&mut self.last_sent_at, &other.last_sent_at);
        keep_max(&mut self.payment, &other.payment);
        keep_max(&mut self.amount, &other.amount);
        keep_max(&mut self.ended, &other.ended);
        keep_max(&mut self.unclear_at, &other.unclear_at);
        keep_min(&mut self.done_at, &other.done_at);
        self.done_attempt = self.done_attempt.max(other.done_attempt);
    }
}

/// Everything about one `(shop, reference)`, or about one payment that names no order yet.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Checkout {
    /// Ours.
    pub id: CheckoutId,
    /// The shop that owes the order.
    pub shop: ShopId,
    /// The order's reference; none while a payment waits here for its order.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reference: Option<Reference>,
    /// What the shop said.
    pub order: Order,
    /// What came in.
    pub payments: BTreeMap<PaymentRef, Payment>,
    /// Payments that moved to their order's checkout.
    pub left: BTreeMap<PaymentRef, CheckoutId>,
    /// Payments that the order names but that count for another order.
    pub refused_claims: BTreeSet<PaymentRef>,
    /// What we asked, and the answers.
    pub asks: BTreeMap<ActionKey, Ask>,
    /// Operators' decisions, oldest first.
    pub rulings: BTreeSet<Ruling>,
    /// The latest brake that stopped a refund of this checkout.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub brake: Option<Stamped<BrakeCause>>,
    /// When an operator last released the shop's brake.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub brake_released_at: Option<Time>,
    /// Set aside by the engine, and why.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub parked: Option<Stamped<String>>,
}

impl Checkout {
    /// A checkout that knows nothing yet.
    pub fn new(id: CheckoutId, shop: ShopId, reference: Option<Reference>) -> Checkout {
        Checkout {
            id,
            shop,
            reference,
            order: Order::default(),
            payments: BTreeMap::new(),
            left: BTreeMap::new(),
            refused_claims: BTreeSet::new(),
            asks: BTreeMap::new(),
            rulings: BTreeSet::new(),
            brake: None,
            brake_released_at: None,
            parked: None,
        }
    }

    /// Learns a fact; true when it said anything that was not known. Commutative, associative
    /// and idempotent.
    pub fn observe(&mut self, fact: &Fact) -> bool {
        match fact {
            Fact::PaymentSeen(snapshot) => {
                self.join_payment(&snapshot.payment, &Payment::from_snapshot(snapshot))
            }
            Fact::OrderSeen(snapshot) => {
                let said = Order::from_snapshot(snapshot);
                learns(&mut self.order, |order| order.join(&said))
            }
            Fact::PaymentArrived { payment, state } => self.join_payment(payment, state),
            Fact::PaymentLeft { payment, to } => match self.left.get_mut(payment) {
                Some(known) => learns(known, |known| {
                    if to > known {
                        known.clone_from(to);
                    }
                }),
                None => self.left.insert(payment.clone(), to.clone()).is_none(),
            },
            Fact::ClaimRefused { payment } => self.refused_claims.insert(payment.clone()),
            Fact::AskSent { .. } | Fact::AskAnswered { .. } => self.observe_ask(fact),
            Fact::RulingMade(ruling) => learns(&mut self.rulings, |rulings| {
                let made = BTreeSet::from([ruling.clone()]);
                keep_last(rulings, &made, RULINGS_MAX);
            }),
            Fact::RefundBraked { at, cause } => learns(&mut self.brake, |brake| {
                keep_max(brake, &Some(Stamped::new(*at, *cause)));
            }),
            Fact::BrakeReleased { at } => learns(&mut self.brake_released_at, |released| {
                keep_max(released, &Some(*at));
            }),
            Fact::Parked { at, why } => learns(&mut self.parked, |parked| {
                keep_max(parked, &Some(Stamped::new(*at, why.clone())));
            }),
        }
    }

    fn join_payment(&mut self, payment: &PaymentRef, state: &Payment) -> bool {
        match self.payments.get_mut(payment) {
            Some(known) => learns(known, |known| known.join(state)),
            None => {
                let mut seen = Payment::default();
                seen.join(state);
                self.payments.insert(payment.clone(), seen).is_none()
            }
        }
    }

    fn observe_ask(&mut self, fact: &Fact) -> bool {
        let mut heard_silence = false;
        let (key, learned) = match fact {
            Fact::AskSent {
                key,
                kind,
                attempt,
                at,
                payment,
                amount,
            } => (
                key,
                Ask::sent(*kind, *attempt, *at, payment.clone(), *amount),
            ),
            Fact::AskAnswered {
                key,
                kind,
                attempt,
                sent_at,
                at,
                outcome,
                looks,
            } => {
                if is_shop_silence(*kind, outcome) {
                    heard_silence = learns(&mut self.order.last_failure_at, |last| {
                        keep_max(last, &Some(*at));
                    });
                }
                let ended = Ended {
                    attempt: *attempt,
                    outcome: outcome.clone(),
                    at: *at,
                    sent_at: *sent_at,
                    looks: *looks,
                };
                (key, Ask::ended(*kind, ended))
            }
            Fact::PaymentSeen(_)
            | Fact::OrderSeen(_)
            | Fact::PaymentArrived { .. }
            | Fact::PaymentLeft { .. }
            | Fact::ClaimRefused { .. }
            | Fact::RulingMade(_)
            | Fact::RefundBraked { .. }
            | Fact::BrakeReleased { .. }
            | Fact::Parked { .. } => return false,
        };
        let learns_more = match self.asks.get_mut(key) {
            Some(known) => learns(known, |known| known.join(&learned)),
            None => self.asks.insert(key.clone(), learned).is_none(),
        };
        learns_more || heard_silence
    }

    /// The payments that live here: seen here and not moved away.
    pub fn own_payments(&self) -> impl Iterator<Item = (&PaymentRef, &Payment)> {
        self.payments
            .iter()
            .filter(|(payment, _)| !self.left.contains_key(payment))
    }

    /// May the customer be asked to pay again? Only when nothing was captured and nothing that
    /// is known of still can be.
    pub fn safe_to_retry(&self) -> bool {
        let all_failed = self
            .own_payments()
            .all(|(_, payment)| payment.status() == PaymentStatus::Failed);
        let all_claims_seen = self
            .order
            .claims
            .iter()
            .all(|claim| self.payments.contains_key(claim));
        all_failed && all_claims_seen && self.order.status() != Some(OrderStatus::Confirmed)
    }

    /// True for a payment that came through somebody who does not serve this shop here: a till, or
    /// another PSP. The shop's word is all there is about it.
    pub fn is_paid_elsewhere(&self, payment: &PaymentRef, policy: &Policy) -> bool {
        !self.payments.contains_key(payment) && !policy.accounts.contains_key(&payment.account)
    }

    /// The fact as it is recorded: with the end of a confirm stands how many looks at the order had
    /// left by then, so that their answers never count as younger.
    pub fn with_looks(&self, mut fact: Fact) -> Fact {
        if let Fact::AskAnswered {
            kind: ActionKind::Confirm,
            looks,
            ..
        } = &mut fact
        {
            let asks = self.asks.values();
            let sent = asks.filter(|ask| ask.kind == ActionKind::LookUp);
            *looks = sent.map(|ask| ask.sent).max();
        }
        fact
    }

    /// The latest ruling.
    pub fn ruling(&self) -> Option<&Ruling> {
        self.rulings.last()
    }
}

/// Does something to a part of the state; true when it is another afterwards.
fn learns<T: Clone + PartialEq>(part: &mut T, act: impl FnOnce(&mut T)) -> bool {
    let before = part.clone();
    act(part);
    *part != before
}

/// True when an attempt at a question to the shop brought no answer from it.
fn is_shop_silence(kind: ActionKind, outcome: &Outcome) -> bool {
    let asks_shop = match kind {
        ActionKind::Confirm | ActionKind::LookUp | ActionKind::Release => true,
        ActionKind::Fetch
        | ActionKind::Refund
        | ActionKind::Void
        | ActionKind::CancelRefund
        | ActionKind::Notify => false,
    };
    asks_shop && *outcome != Outcome::Done
}

impl Ask {
    fn sent(
        kind: ActionKind,
        attempt: u32,
        at: Time,
        payment: Option<PaymentRef>,
        amount: Option<Money>,
    ) -> Ask {
        Ask {
            kind,
            sent: attempt,
            first_sent_at: Some(at),
            last_sent_at: Some(at),
            payment,
            amount,
            ended: None,
            unclear_at: None,
            done_at: None,
            done_attempt: 0,
        }
    }

    fn ended(kind: ActionKind, ended: Ended) -> Ask {
        let at = ended.at;
        Ask {
            unclear_at: ended.outcome.is_unclear().then_some(at),
            done_at: (ended.outcome == Outcome::Done).then_some(at),
            done_attempt: if ended.outcome == Outcome::Done {
                ended.attempt
            } else {
                0
            },
            ..Ask::sent(kind, ended.attempt, ended.sent_at, None, None)
        }
        .with_end(ended)
    }

    fn with_end(mut self, ended: Ended) -> Ask {
        self.ended = Some(ended);
        self
    }
}
