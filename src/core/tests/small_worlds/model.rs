//! The model behind the small worlds: a shop with one order, a PSP with two payments, calls that
//! are under way, and a clock that goes from one due moment to the next.
//!
//! Small enough to be copied at every step. Its own books (who holds the money, what the shop
//! stands by) are what the promises are held against; it knows nothing of how plans are made.

use crate::core::checkout::Checkout;
use crate::core::fact::{BrakeCause, Fact, Outcome};
use crate::core::ids::{ActionKey, CheckoutId, ExternalRef, PaymentRef, Reference, ShopId};
use crate::core::invariants;
use crate::core::money::Money;
use crate::core::order::{OrderSnapshot, OrderStatus, Statement, Via};
use crate::core::payment::{
    Dispute, DisputeState, Ownership, PaymentSnapshot, Progress, Refund, RefundState, Source,
};
use crate::core::plan::{Action, ActionKind, Destination, Plan, Planned, Verdict};
use crate::core::policy::Policy;
use crate::core::tests::world::{eur, pay};
use crate::core::time::{Span, Time};
use std::collections::{BTreeMap, BTreeSet};

/// What the order costs; each payment pays all of it.
pub(super) const PRICE: i64 = 5_995;

/// Something that happens outside, each at most once.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Event {
    /// The payer pays with the first or the second payment, and the PSP's webhook arrives.
    Pays(u8),
    /// The same, and the webhook is lost; a sweep tells later.
    PaysUnseen(u8),
    /// A sweep or a late webhook tells of that payment what the PSP says by then.
    Told(u8),
    /// The shop makes the order and tells of it.
    Announces,
    /// The shop cancels the order and tells nobody.
    Cancels,
    /// The shop forgets the order (a lost database) and tells nobody.
    Forgets,
    /// The payer's bank opens a dispute about the first payment, and the PSP tells of it.
    Disputes,
    /// Staff give the first payment back in the PSP's dashboard, and the PSP tells of it.
    StaffRefunds,
    /// The guard stops refunds.
    Brakes,
}

/// How a call that is under way comes to its end.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum End {
    /// It has its effect and is answered.
    Answered,
    /// It is lost before it has an effect; nobody learns which.
    LostBefore,
    /// It has its effect and the answer is lost.
    LostAfter,
    /// We die before it leaves; the lease runs out.
    DiedBefore,
    /// We die after it had its effect; the lease runs out.
    DiedAfter,
}

impl End {
    pub(super) const FAULTS: [End; 4] = [
        End::LostBefore,
        End::LostAfter,
        End::DiedBefore,
        End::DiedAfter,
    ];

    fn has_effect(self) -> bool {
        matches!(self, End::Answered | End::LostAfter | End::DiedAfter)
    }

    fn takes(self) -> Span {
        match self {
            End::Answered | End::LostBefore | End::LostAfter => Span::from_millis(50),
            // The lease of a call that died with us runs out.
            End::DiedBefore | End::DiedAfter => Span::from_seconds(60),
        }
    }
}

/// One step from a state to the next.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Step {
    Happens(Event),
    /// A due action leaves.
    Leaves(ActionKey),
    /// The call to the shop or to the PSP ends.
    Ends(bool, End),
    /// Nothing is due: time goes on to the next moment.
    Passes,
}

/// A call under way.
#[derive(Clone, Debug)]
pub(super) struct Flight {
    planned: Planned,
    attempt: u32,
    sent_at: Time,
}

/// The shop's side.
#[derive(Clone, Debug)]
pub(super) struct Shop {
    pub(super) status: OrderStatus,
    pub(super) paid_by: BTreeSet<PaymentRef>,
    /// Gave the order up for good: confirms no more.
    has_released: bool,
    /// The shop itself took back what it had confirmed.
    pub(super) has_erred: bool,
}

/// One payment at the PSP.
#[derive(Clone, Debug, Default)]
pub(super) struct Paid {
    captured: bool,
    refunds: BTreeMap<ExternalRef, Refund>,
    dispute: Option<DisputeState>,
}

/// A state of the whole small world.
#[derive(Clone, Debug)]
pub(super) struct World {
    pub(super) now: Time,
    pub(super) checkout: Checkout,
    pub(super) shop: Shop,
    pub(super) paid: [Paid; 2],
    /// What each of our refund keys did at the PSP.
    pub(super) keys: BTreeMap<ActionKey, ExternalRef>,
    pub(super) at_shop: Option<Flight>,
    pub(super) at_psp: Option<Flight>,
    pub(super) is_braked: bool,
    /// Events that may still happen.
    pub(super) events: BTreeSet<Event>,
    /// Faults that may still strike.
    pub(super) faults: u8,
    /// After this only the calm way is gone.
    pub(super) last_event_at: Time,
}

/// A promise that a state breaks.
pub(super) type Broken = String;

fn payment(which: u8) -> PaymentRef {
    pay(&which.to_string())
}

fn moves(action: &Action) -> bool {
    match action.kind() {
        ActionKind::Confirm
        | ActionKind::Release
        | ActionKind::Refund
        | ActionKind::CancelRefund
        | ActionKind::Void => true,
        ActionKind::LookUp | ActionKind::Fetch | ActionKind::Notify => false,
    }
}

fn reference() -> Reference {
    Reference::parse("1000042").unwrap()
}

impl World {
    pub(super) fn new(events: &[Event], faults: u8, span: Span) -> World {
        let now = Time::from_seconds(1_790_000_000);
        World {
            now,
            last_event_at: now.plus(span),
            checkout: Checkout::new(
                CheckoutId::parse("c1").unwrap(),
                ShopId::parse("klompen").unwrap(),
                Some(reference()),
            ),
            shop: Shop {
                status: OrderStatus::Unknown,
                paid_by: BTreeSet::new(),
                has_released: false,
                has_erred: false,
            },
            paid: [Paid::default(), Paid::default()],
            keys: BTreeMap::new(),
            at_shop: None,
            at_psp: None,
            is_braked: false,
            events: events.iter().copied().collect(),
            faults,
        }
    }

    /// Everything that may come next: the calm step, and while events may come also every other.
    pub(super) fn steps(&self, plan: &Plan) -> Vec<Step> {
        let mut steps: Vec<Step> = self.calm(plan).into_iter().collect();
        if self.now > self.last_event_at {
            return steps;
        }
        let mut add = |step: Step| {
            if !steps.contains(&step) {
                steps.push(step);
            }
        };
        for (is_shop, flight) in [(true, &self.at_shop), (false, &self.at_psp)] {
            if flight.is_none() {
                continue;
            }
            add(Step::Ends(is_shop, End::Answered));
            if self.faults > 0 {
                for fault in End::FAULTS {
                    add(Step::Ends(is_shop, fault));
                }
            }
        }
        for planned in self.due(plan) {
            add(Step::Leaves(planned.key.clone()));
        }
        for event in self.events.iter().filter(|event| self.may_happen(**event)) {
            add(Step::Happens(*event));
        }
        steps
    }

    /// What happens when no fault strikes any more and nobody outside does anything but tell what is
    /// already so; none where it ends.
    pub(super) fn calm(&self, plan: &Plan) -> Option<Step> {
        if self.at_shop.is_some() {
            return Some(Step::Ends(true, End::Answered));
        }
        if self.at_psp.is_some() {
            return Some(Step::Ends(false, End::Answered));
        }
        // Sooner or later a sweep tells what a webhook did not.
        let untold = |event: &&Event| matches!(event, Event::Told(_)) && self.may_happen(**event);
        if let Some(event) = self.events.iter().find(untold) {
            return Some(Step::Happens(*event));
        }
        if let Some(planned) = self.due(plan).next() {
            return Some(Step::Leaves(planned.key.clone()));
        }
        (!self.is_over(plan)).then_some(Step::Passes)
    }

    /// At rest, named on an operator's screen, or with nothing of anybody's in hand. A rest that
    /// still looks once more goes on until it has looked.
    pub(super) fn is_over(&self, plan: &Plan) -> bool {
        match plan.verdict {
            Verdict::Held => true,
            Verdict::Open => !self.paid.iter().any(|paid| paid.captured),
            Verdict::Settled | Verdict::Returned | Verdict::Closed | Verdict::Foreign => {
                plan.actions.is_empty() && plan.wake_at.is_none()
            }
            Verdict::Matching | Verdict::Confirming | Verdict::Releasing | Verdict::Refunding => {
                false
            }
        }
    }

    fn is_at_shop(&self, action: &Action) -> bool {
        match action.destination(&self.checkout.shop) {
            Destination::Shop(_) => true,
            Destination::Psp(_) => false,
        }
    }

    /// Actions that may leave now: due, and nothing under way to the same place.
    fn due<'p>(&'p self, plan: &'p Plan) -> impl Iterator<Item = &'p Planned> {
        plan.actions.iter().filter(|planned| {
            let (here, there) = if self.is_at_shop(&planned.action) {
                (&self.at_shop, &self.at_psp)
            } else {
                (&self.at_psp, &self.at_shop)
            };
            // Two questions at once commute; only what moves money or an order may overlap.
            let overlaps = there
                .as_ref()
                .is_none_or(|there| moves(&there.planned.action) || moves(&planned.action));
            planned.due <= self.now && here.is_none() && overlaps
        })
    }

    fn may_happen(&self, event: Event) -> bool {
        let captured = |which: u8| self.paid[usize::from(which)].captured;
        match event {
            Event::Pays(which) | Event::PaysUnseen(which) => !captured(which),
            Event::Brakes => true,
            Event::Told(which) => captured(which),
            // An order that was given up is not made anew.
            Event::Announces => self.shop.status == OrderStatus::Unknown && !self.shop.has_released,
            Event::Cancels | Event::Forgets => matches!(
                self.shop.status,
                OrderStatus::Pending | OrderStatus::Confirmed
            ),
            Event::Disputes => captured(0),
            Event::StaffRefunds => captured(0) && self.left(0) == PRICE,
        }
    }

    /// The state after a step, and what it broke.
    pub(super) fn after(&self, step: &Step, plan: &Plan) -> Result<World, Broken> {
        let mut next = self.clone();
        match step {
            Step::Happens(event) => next.happens(*event),
            Step::Leaves(key) => {
                let planned = plan.actions.iter().find(|planned| planned.key == *key);
                next.leaves(planned.unwrap());
            }
            Step::Ends(is_shop, end) => next.ends(*is_shop, *end)?,
            Step::Passes => {
                let dues = plan.actions.iter().map(|planned| planned.due);
                let moment = dues.chain(plan.wake_at).min();
                let moment = moment.ok_or("neither at rest nor with a next step")?;
                next.now = moment.max(self.now.plus(Span::from_millis(1)));
            }
        }
        Ok(next)
    }

    fn happens(&mut self, event: Event) {
        self.events.remove(&event);
        self.now = self.now.plus(Span::from_millis(1));
        match event {
            Event::Pays(which) => {
                self.paid[usize::from(which)].captured = true;
                self.tell(which);
            }
            Event::PaysUnseen(which) => {
                self.paid[usize::from(which)].captured = true;
                self.events.insert(Event::Told(which));
            }
            Event::Told(which) => self.tell(which),
            Event::Announces => {
                self.shop.status = OrderStatus::Pending;
                let told = self.order(Via::Event, None, None);
                self.checkout.observe(&told);
            }
            Event::Cancels => self.shop_changes_its_mind(OrderStatus::Cancelled),
            Event::Forgets => self.shop_changes_its_mind(OrderStatus::Unknown),
            Event::Disputes => {
                self.paid[0].dispute = Some(DisputeState::Open);
                self.tell(0);
            }
            Event::StaffRefunds => {
                let refund = Refund::new(eur(PRICE), RefundState::Succeeded, None);
                let id = ExternalRef::parse("re_staff").unwrap();
                self.paid[0].refunds.insert(id, refund);
                self.tell(0);
            }
            Event::Brakes => self.is_braked = true,
        }
    }

    fn shop_changes_its_mind(&mut self, status: OrderStatus) {
        self.shop.has_erred |= self.shop.status == OrderStatus::Confirmed;
        self.shop.status = status;
        self.shop.paid_by.clear();
    }

    fn tell(&mut self, which: u8) {
        let told = self.snapshot(which, Source::Signed, self.now);
        self.checkout.observe(&told);
    }

    fn snapshot(&self, which: u8, source: Source, as_of: Time) -> Fact {
        let paid = &self.paid[usize::from(which)];
        let mut seen = PaymentSnapshot::new(payment(which), as_of, self.now, source);
        seen.ownership = Some(Ownership::Ours);
        seen.reference = Some(reference());
        seen.progress = Some(if paid.captured {
            Progress::Taken
        } else {
            Progress::Waiting
        });
        seen.captured = Some(eur(if paid.captured { PRICE } else { 0 }));
        seen.refunds = paid.refunds.clone();
        seen.is_refund_list_whole = source != Source::Signed;
        if let Some(state) = paid.dispute {
            let amount = eur(PRICE);
            let id = ExternalRef::parse("dp_1").unwrap();
            seen.disputes.insert(id, Dispute { amount, state });
        }
        Fact::PaymentSeen(Box::new(seen))
    }

    fn order(&self, via: Via, asked_at: Option<Time>, look: Option<u32>) -> Fact {
        let status = self.shop.status;
        Fact::OrderSeen(Box::new(OrderSnapshot {
            reference: reference(),
            as_of: self.now,
            observed_at: self.now,
            statement: Some(Statement {
                as_of: self.now,
                asked_at,
                via,
                status,
                paid_by: self.shop.paid_by.clone(),
                is_fulfilled: None,
                reason: None,
                retry_after: None,
                look,
            }),
            amount: (status != OrderStatus::Unknown).then_some(eur(PRICE)),
            expires_at: None,
            claims: BTreeSet::new(),
            locale: None,
            customer: None,
            created_at: None,
            terms: crate::core::order::Terms::default(),
        }))
    }

    fn leaves(&mut self, planned: &Planned) {
        let attempt = planned.attempts + 1;
        self.checkout.observe(&Fact::AskSent {
            key: planned.key.clone(),
            kind: planned.action.kind(),
            attempt,
            at: self.now,
            payment: planned.action.payment().cloned(),
            amount: planned.action.amount(),
        });
        let flight = Some(Flight {
            planned: planned.clone(),
            attempt,
            sent_at: self.now,
        });
        if planned.action.kind() == ActionKind::Notify {
            // Nothing depends on a notice: it is told at once.
            self.checkout.observe(&Fact::AskAnswered {
                key: planned.key.clone(),
                kind: ActionKind::Notify,
                attempt,
                sent_at: self.now,
                at: self.now,
                outcome: Outcome::Done,
                looks: None,
            });
        } else if self.is_at_shop(&planned.action) {
            self.at_shop = flight;
        } else {
            self.at_psp = flight;
        }
    }

    fn ends(&mut self, is_shop: bool, end: End) -> Result<(), Broken> {
        let flight = if is_shop {
            self.at_shop.take()
        } else {
            self.at_psp.take()
        };
        let flight = flight.unwrap();
        if end != End::Answered {
            self.faults -= 1;
        }
        let kept_back = self.is_braked && flight.planned.action.kind() == ActionKind::Refund;
        let refusal = if end.has_effect() && !kept_back {
            self.apply(&flight.planned)?
        } else {
            None
        };
        self.now = self.now.plus(end.takes());
        let lost = |code: &str| Outcome::Unclear {
            code: code.to_owned(),
        };
        let outcome = match (end, refusal) {
            _ if kept_back => {
                let (at, cause) = (self.now, BrakeCause::RefundCount);
                self.checkout.observe(&Fact::RefundBraked { at, cause });
                let code = "braked".to_owned();
                Outcome::NotSent { code }
            }
            (End::Answered, Some(code)) => Outcome::Refused { code },
            (End::Answered, None) => {
                self.answer(&flight);
                Outcome::Done
            }
            (End::LostBefore | End::LostAfter, _) => lost("timeout"),
            (End::DiedBefore | End::DiedAfter, _) => lost("lost"),
        };
        let ended = self.checkout.with_looks(Fact::AskAnswered {
            key: flight.planned.key.clone(),
            kind: flight.planned.action.kind(),
            attempt: flight.attempt,
            sent_at: flight.sent_at,
            at: self.now,
            outcome,
            looks: None,
        });
        self.checkout.observe(&ended);
        Ok(())
    }

    /// What a call does outside; the other side's word when it declines.
    fn apply(&mut self, planned: &Planned) -> Result<Option<String>, Broken> {
        match &planned.action {
            Action::Confirm { payments, .. } => {
                if self.shop.status == OrderStatus::Pending {
                    let named = payments.iter().map(|part| part.payment.clone());
                    self.shop.paid_by = named.collect();
                    self.shop.status = OrderStatus::Confirmed;
                }
            }
            Action::Release { .. } => {
                if self.shop.status == OrderStatus::Pending {
                    self.shop.status = OrderStatus::Cancelled;
                }
                self.shop.has_released |= self.shop.status != OrderStatus::Confirmed;
            }
            Action::Refund {
                payment, amount, ..
            } => {
                return self.refund(&planned.key, payment, *amount);
            }
            Action::Void { .. }
            | Action::CancelRefund { .. }
            | Action::LookUp { .. }
            | Action::Fetch { .. }
            | Action::Notify { .. } => {}
        }
        Ok(None)
    }

    fn refund(
        &mut self,
        key: &ActionKey,
        about: &PaymentRef,
        amount: Money,
    ) -> Result<Option<String>, Broken> {
        if self.keys.contains_key(key) {
            return Ok(None);
        }
        let which = u8::from(*about == payment(1));
        if self.left(which) < amount.minor() {
            return Ok(Some("amount_too_large".to_owned()));
        }
        if self.paid[usize::from(which)].dispute.is_some() {
            return Ok(Some("charge_disputed".to_owned()));
        }
        let pays = self.shop.status == OrderStatus::Confirmed && self.shop.paid_by.contains(about);
        let may_yet = self.shop.status == OrderStatus::Pending
            || (self.shop.status == OrderStatus::Unknown && !self.shop.has_released);
        if pays || may_yet {
            let status = self.shop.status;
            return Err(format!(
                "{about} goes back while the shop's order is {status:?}"
            ));
        }
        let id = ExternalRef::parse(&format!("re_{}", self.keys.len())).unwrap();
        let refund = Refund::new(amount, RefundState::Succeeded, Some(key.clone()));
        self.paid[usize::from(which)]
            .refunds
            .insert(id.clone(), refund);
        self.keys.insert(key.clone(), id);
        Ok(None)
    }

    /// The facts that a clear answer carries.
    fn answer(&mut self, flight: &Flight) {
        let asked_at = flight.sent_at;
        let fact = match flight.planned.action.kind() {
            ActionKind::Confirm => self.order(Via::Confirm, Some(asked_at), None),
            ActionKind::LookUp => self.order(Via::LookUp, Some(asked_at), Some(flight.attempt)),
            ActionKind::Release => self.order(Via::Release, Some(asked_at), None),
            ActionKind::Fetch | ActionKind::Refund => {
                let about = flight.planned.action.payment();
                let which = u8::from(about == Some(&payment(1)));
                self.snapshot(which, Source::Read { asked_at }, asked_at)
            }
            ActionKind::Void | ActionKind::CancelRefund | ActionKind::Notify => return,
        };
        self.checkout.observe(&fact);
    }

    /// What of a payment is with the shop, by the PSP's books.
    pub(super) fn left(&self, which: u8) -> i64 {
        let paid = &self.paid[usize::from(which)];
        let captured = if paid.captured { PRICE } else { 0 };
        let gone = paid.refunds.values().map(|refund| refund.amount.minor());
        captured - gone.sum::<i64>()
    }

    /// The promises in this state, by the checks of production and by the world's own books.
    pub(super) fn check(&self, plan: &Plan, policy: &Policy) -> Result<(), Broken> {
        invariants::check(&self.checkout, plan, self.now, policy)
            .map_err(|breach| format!("{}: {}", breach.promise, breach.detail))?;
        self.books_are_right()?;
        self.knows_only_what_was_said(plan)?;
        self.money_is_accounted_for(plan)
    }

    /// Never twice, and never both.
    fn books_are_right(&self) -> Result<(), Broken> {
        let ours = |which: u8| {
            let refunds = self.paid[usize::from(which)].refunds.values();
            refunds.filter(|refund| refund.mark.is_some()).count()
        };
        for which in [0, 1] {
            if self.left(which) < 0 || ours(which) > 1 {
                return Err(format!("{} went back twice", payment(which)));
            }
        }
        let pays = |which: &u8| self.shop.paid_by.contains(&payment(*which));
        let confirmed = self.shop.status == OrderStatus::Confirmed;
        let both = [0, 1]
            .into_iter()
            .find(|which| pays(which) && ours(*which) > 0);
        match both.filter(|_| confirmed && !self.shop.has_erred) {
            Some(which) => Err(format!("{} was confirmed and refunded", payment(which))),
            None => Ok(()),
        }
    }

    /// A failure is not an answer: nothing counts as settled or returned that is not so outside.
    fn knows_only_what_was_said(&self, plan: &Plan) -> Result<(), Broken> {
        let told = |which: &u8| self.checkout.payments.contains_key(&payment(*which));
        let known: Vec<u8> = [0, 1].into_iter().filter(told).collect();
        match plan.verdict {
            Verdict::Settled => {
                // A shop that took its yes back has told nobody yet.
                if self.shop.status == OrderStatus::Confirmed || self.shop.has_erred {
                    Ok(())
                } else {
                    Err("settled without the shop's yes".to_owned())
                }
            }
            Verdict::Returned => match known.iter().find(|which| self.left(**which) > 0) {
                Some(which) => Err(format!("{} counts as returned", payment(*which))),
                None => Ok(()),
            },
            Verdict::Open
            | Verdict::Matching
            | Verdict::Confirming
            | Verdict::Releasing
            | Verdict::Refunding
            | Verdict::Held
            | Verdict::Closed
            | Verdict::Foreign => Ok(()),
        }
    }

    /// Every captured cent that is known is settled, gone, or in suspense; none at rest.
    fn money_is_accounted_for(&self, plan: &Plan) -> Result<(), Broken> {
        let mut open = 0;
        for state in self.checkout.payments.values() {
            let captured = state.captured().map_or(0, Money::minor);
            let back = state.refunds_in(|refund| refund == RefundState::Succeeded);
            let lost = state.charged_back();
            let gone = back.unwrap().minor() + lost.unwrap().minor();
            open += (captured - gone).max(0);
        }
        let suspense: i64 = plan.in_suspense.iter().map(|money| money.minor()).sum();
        let confirmed = self.checkout.order.status() == Some(OrderStatus::Confirmed);
        let adds_up = if confirmed {
            suspense <= open && open - suspense <= PRICE
        } else {
            suspense == open
        };
        if adds_up {
            Ok(())
        } else {
            Err(format!("{suspense} in suspense of {open}"))
        }
    }

    /// A name for this state: equal for equal states.
    pub(super) fn fingerprint(&self) -> u128 {
        use std::hash::{DefaultHasher, Hash, Hasher};
        let mut text = serde_json::to_string(&self.checkout).unwrap();
        text.push_str(&format!(
            "{:?}{:?}{:?}{:?}{:?}{:?}{:?}{:?}{}",
            self.now,
            self.shop,
            self.paid,
            self.keys,
            self.at_shop,
            self.at_psp,
            self.is_braked,
            self.events,
            self.faults
        ));
        let hashed = |seed: u64| {
            let mut hasher = DefaultHasher::new();
            (seed, &text).hash(&mut hasher);
            u128::from(hasher.finish())
        };
        (hashed(1) << 64) | hashed(2)
    }
}

#[test]
fn the_models_own_books_refuse_what_must_not_be() {
    let mut world = World::new(&[], 0, Span::ZERO);
    world.paid[0].captured = true;
    let key = |name: &str| ActionKey::parse(name).unwrap();
    // Nobody gave the order up.
    for status in [OrderStatus::Unknown, OrderStatus::Pending] {
        world.shop.status = status;
        assert!(
            world
                .refund(&key("refund-1"), &payment(0), eur(PRICE))
                .is_err()
        );
    }
    world.shop.has_released = true;
    world.shop.status = OrderStatus::Cancelled;
    assert_eq!(
        world.refund(&key("refund-1"), &payment(0), eur(PRICE)),
        Ok(None)
    );
    assert_eq!(
        world.refund(&key("refund-1"), &payment(0), eur(PRICE)),
        Ok(None)
    );
    assert_eq!((world.keys.len(), world.left(0)), (1, 0));
    let refused = world.refund(&key("refund-2"), &payment(0), eur(PRICE));
    assert_eq!(refused, Ok(Some("amount_too_large".to_owned())));
    assert!(world.books_are_right().is_ok());
    world.shop.status = OrderStatus::Confirmed;
    world.shop.paid_by.insert(payment(0));
    assert!(
        world
            .books_are_right()
            .unwrap_err()
            .contains("confirmed and refunded")
    );
}
