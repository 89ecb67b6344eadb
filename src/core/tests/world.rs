//! A tiny deterministic world: one order, a scripted shop, a scripted PSP, a clock that jumps.
//!
//! Carries a plan out the way engine and dispatcher do: observe that an ask was sent, perform
//! it, observe how it ended and what the answer said. After each step the promises are checked
//! by `invariants` and once more by the world's own books.

use crate::core::checkout::Checkout;
use crate::core::fact::{Fact, Outcome, Ruling, RulingKind};
use crate::core::ids::{
    AccountId, ActionKey, CheckoutId, ExternalRef, PaymentRef, Reference, ShopId,
};
use crate::core::invariants;
use crate::core::money::{Currency, Money};
use crate::core::order::{OrderSnapshot, OrderStatus, Statement, Terms, Via};
use crate::core::payment::{
    Dispute, DisputeState, Ownership, PaymentSnapshot, Progress, Refund, RefundState, Source,
};
use crate::core::plan::{Action, ActionKind, Notice, Plan, Planned, Reason, Verdict};
use crate::core::policy::{AccountTraits, Mode, Policy};
use crate::core::time::{Span, Time};
use std::collections::{BTreeMap, BTreeSet, VecDeque};

pub(super) const ACCOUNT: &str = "stripe_nl";

pub(super) fn eur(minor: i64) -> Money {
    Money::new(minor, Currency::EUR)
}

pub(super) fn pay(name: &str) -> PaymentRef {
    PaymentRef::parse(ACCOUNT, &format!("pi_{name}")).unwrap()
}

pub(super) fn external(name: &str) -> ExternalRef {
    ExternalRef::parse(name).unwrap()
}

pub(super) fn secs(seconds: u64) -> Span {
    Span::from_seconds(seconds)
}

pub(super) fn mins(minutes: u64) -> Span {
    Span::from_minutes(minutes)
}

pub(super) fn policy() -> Policy {
    let traits = AccountTraits {
        can_read: true,
        can_list_refunds: true,
        cancels_refunds: false,
        key_lifetime: Span::from_hours(24),
    };
    Policy {
        mode: Mode::Full,
        accounts: BTreeMap::from([(AccountId::parse(ACCOUNT).unwrap(), traits)]),
        ..Policy::default()
    }
}

/// When the plan wants something next.
fn next_at(plan: &Plan) -> Option<Time> {
    let dues = plan.actions.iter().map(|planned| planned.due);
    dues.chain(plan.wake_at).min()
}

/// What goes wrong with one call.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Fault {
    /// Nothing.
    None,
    /// Connection refused.
    NotSent,
    /// Timed out before it had an effect.
    Lost,
    /// Had its effect; the answer never came.
    AnswerLost,
    /// Had its effect; a proxy answered 502.
    BadGateway,
    /// Had no effect; a login page answered 200.
    Html,
    /// 429 with Retry-After.
    Throttled,
    /// 401.
    Unauthorized,
    /// We died after the call had its effect; the lease runs out a minute later.
    CrashAfter,
    /// We died before the call left; the lease runs out a minute later.
    CrashBefore,
}

impl Fault {
    pub(super) const ALL: [Fault; 10] = [
        Fault::None,
        Fault::NotSent,
        Fault::Lost,
        Fault::AnswerLost,
        Fault::BadGateway,
        Fault::Html,
        Fault::Throttled,
        Fault::Unauthorized,
        Fault::CrashAfter,
        Fault::CrashBefore,
    ];

    fn applies(self) -> bool {
        matches!(
            self,
            Fault::None | Fault::AnswerLost | Fault::BadGateway | Fault::CrashAfter
        )
    }

    fn outcome(self, ended: Time) -> Outcome {
        let code = |word: &str| word.to_owned();
        match self {
            Fault::None => Outcome::Done,
            Fault::NotSent => Outcome::NotSent {
                code: code("connection_refused"),
            },
            Fault::Lost | Fault::AnswerLost => Outcome::Unclear {
                code: code("timeout"),
            },
            Fault::BadGateway => Outcome::Unclear {
                code: code("status_502"),
            },
            Fault::Html => Outcome::Malformed {
                code: code("not_json"),
            },
            Fault::Throttled => Outcome::Throttled {
                until: ended.plus(secs(30)),
            },
            Fault::Unauthorized => Outcome::Unauthorized {
                code: code("unauthorized"),
            },
            Fault::CrashAfter | Fault::CrashBefore => Outcome::Unclear { code: code("lost") },
        }
    }

    fn takes(self) -> Span {
        match self {
            Fault::Lost | Fault::AnswerLost => secs(10),
            Fault::CrashAfter | Fault::CrashBefore => secs(60),
            Fault::None
            | Fault::NotSent
            | Fault::BadGateway
            | Fault::Html
            | Fault::Throttled
            | Fault::Unauthorized => Span::from_millis(50),
        }
    }
}

/// The shop and its one order.
#[derive(Clone, Debug)]
pub(super) struct Shop {
    pub(super) status: OrderStatus,
    pub(super) amount: Option<Money>,
    /// Payments the shop says it started for the order.
    pub(super) claims: BTreeSet<PaymentRef>,
    /// When the order was made, where the shop says so.
    pub(super) created_at: Option<Time>,
    pub(super) paid_by: BTreeSet<PaymentRef>,
    /// Says by which payments the order was paid.
    pub(super) names: bool,
    /// Takes late money for a cancelled order.
    pub(super) revives: bool,
    /// Answers `pending` to this many confirms first.
    pub(super) not_yet: u32,
    /// Does not give the order up.
    pub(super) refuses_release: bool,
    /// Answers a release of an order it does not know with `cancelled`.
    pub(super) keeps_tombstones: bool,
    pub(super) is_fulfilled: Option<bool>,
    /// What it says of the order's money beyond what is owed.
    pub(super) terms: Terms,
    /// What each release said that other means cover.
    pub(super) restored: Vec<Option<Money>>,
    pub(super) faults: VecDeque<Fault>,
    /// Every call fails like this while it stands.
    pub(super) down: Option<Fault>,
    pub(super) notices: Vec<(Notice, PaymentRef, Reason)>,
}

/// How the PSP treats refunds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum RefundWay {
    Succeeds,
    StaysPending,
    WaitsForBalance,
    Refused,
    /// Declines what equals a refund of the last hour, as some PSPs do.
    RefusedWithinTheHour,
}

/// One payment at the PSP.
#[derive(Clone, Debug)]
pub(super) struct Paid {
    pub(super) captured: Money,
    pub(super) authorised: Option<Money>,
    pub(super) authorised_until: Option<Time>,
    pub(super) progress: Progress,
    pub(super) refunds: BTreeMap<ExternalRef, Refund>,
    pub(super) disputes: BTreeMap<ExternalRef, Dispute>,
    pub(super) ownership: Ownership,
    pub(super) has_reference: bool,
    pub(super) is_refundable: Option<bool>,
    pub(super) created_at: Option<Time>,
    pub(super) method: &'static str,
}

/// The PSP.
#[derive(Clone, Debug)]
pub(super) struct Psp {
    pub(super) payments: BTreeMap<PaymentRef, Paid>,
    pub(super) refund_way: RefundWay,
    /// What each idempotency key did.
    pub(super) keys: BTreeMap<ActionKey, ExternalRef>,
    pub(super) faults: VecDeque<Fault>,
    pub(super) down: Option<Fault>,
    /// Never shows all refunds of a payment.
    pub(super) hides_list: bool,
    /// Declines to cancel refunds.
    pub(super) refunds_are_final: bool,
}

type Meanwhile = Box<dyn FnOnce(&mut World)>;

/// Everything there is.
pub(super) struct World {
    pub(super) now: Time,
    pub(super) policy: Policy,
    pub(super) checkout: Checkout,
    pub(super) shop: Shop,
    pub(super) psp: Psp,
    pub(super) journal: Vec<Fact>,
    /// Every call that left, in order.
    pub(super) calls: Vec<(Time, ActionKind, ActionKey)>,
    /// The decision's number of every confirm and release that left, in order.
    numbers: Vec<(ActionKind, u32)>,
    /// When staff or we last asked for a refund.
    last_refund_at: Option<Time>,
    /// What happens while the next call of a kind is under way.
    pub(super) meanwhile: Vec<(ActionKind, Meanwhile)>,
    /// Money may be left with nobody when the shop itself confirmed wrongly.
    pub(super) shop_may_err: bool,
}

impl World {
    /// An order of 59.95 that the shop knows and has not announced yet.
    pub(super) fn new() -> World {
        World::with_reference(Some("1000042"))
    }

    pub(super) fn with_reference(reference: Option<&str>) -> World {
        let reference = reference.map(|text| Reference::parse(text).unwrap());
        World {
            now: Time::from_seconds(1_790_000_000),
            policy: policy(),
            checkout: Checkout::new(
                CheckoutId::parse("c1").unwrap(),
                ShopId::parse("klompen").unwrap(),
                reference,
            ),
            shop: Shop {
                status: OrderStatus::Pending,
                amount: Some(eur(5995)),
                claims: BTreeSet::new(),
                created_at: None,
                paid_by: BTreeSet::new(),
                names: true,
                revives: false,
                not_yet: 0,
                refuses_release: false,
                keeps_tombstones: false,
                is_fulfilled: None,
                terms: Terms::default(),
                restored: Vec::new(),
                faults: VecDeque::new(),
                down: None,
                notices: Vec::new(),
            },
            psp: Psp {
                payments: BTreeMap::new(),
                refund_way: RefundWay::Succeeds,
                keys: BTreeMap::new(),
                faults: VecDeque::new(),
                down: None,
                hides_list: false,
                refunds_are_final: false,
            },
            journal: Vec::new(),
            calls: Vec::new(),
            numbers: Vec::new(),
            last_refund_at: None,
            meanwhile: Vec::new(),
            shop_may_err: false,
        }
    }

    // --- what happens outside -------------------------------------------------------------

    pub(super) fn observe(&mut self, fact: Fact) {
        self.checkout.observe(&fact);
        self.journal.push(fact);
    }

    pub(super) fn pass(&mut self, span: Span) {
        self.now = self.now.plus(span);
    }

    /// The payer pays; nobody tells us.
    pub(super) fn pays_unseen(&mut self, name: &str, amount: Money) -> PaymentRef {
        self.psp.payments.insert(
            pay(name),
            Paid {
                captured: amount,
                authorised: None,
                authorised_until: None,
                progress: Progress::Taken,
                refunds: BTreeMap::new(),
                disputes: BTreeMap::new(),
                ownership: Ownership::Ours,
                has_reference: true,
                is_refundable: None,
                created_at: None,
                method: "ideal",
            },
        );
        pay(name)
    }

    /// The payer pays, and the PSP's signed webhook arrives.
    pub(super) fn pays(&mut self, name: &str, amount: Money) -> PaymentRef {
        let payment = self.pays_unseen(name, amount);
        self.webhook(&payment);
        payment
    }

    /// The payer's means are authorised, and the webhook arrives.
    pub(super) fn authorises(&mut self, name: &str, amount: Money) -> PaymentRef {
        let payment = self.pays_unseen(name, eur(0));
        let paid = self.psp.payments.get_mut(&payment).unwrap();
        paid.authorised = Some(amount);
        paid.progress = Progress::Authorised;
        self.webhook(&payment);
        payment
    }

    pub(super) fn paid(&mut self, payment: &PaymentRef) -> &mut Paid {
        self.psp.payments.get_mut(payment).unwrap()
    }

    /// The PSP's webhook with the payment's present state.
    pub(super) fn webhook(&mut self, payment: &PaymentRef) {
        self.late_webhook(payment, self.now);
    }

    /// The PSP's event of this moment arrives only now.
    pub(super) fn late_webhook(&mut self, payment: &PaymentRef, as_of: Time) {
        let snapshot = self.snapshot(payment, as_of, Source::Signed);
        self.observe(Fact::PaymentSeen(Box::new(snapshot)));
    }

    fn snapshot(&self, payment: &PaymentRef, as_of: Time, source: Source) -> PaymentSnapshot {
        let paid = &self.psp.payments[payment];
        let mut snapshot = PaymentSnapshot::new(payment.clone(), as_of, self.now, source);
        snapshot.ownership = Some(paid.ownership);
        snapshot.reference = self
            .checkout
            .reference
            .clone()
            .filter(|_| paid.has_reference);
        snapshot.method = Some(paid.method.to_owned());
        snapshot.created_at = paid.created_at;
        snapshot.progress = Some(paid.progress);
        snapshot.authorised = paid.authorised;
        snapshot.authorised_until = paid.authorised_until;
        snapshot.captured = Some(paid.captured);
        snapshot.refunds = paid.refunds.clone();
        snapshot.is_refund_list_whole = source != Source::Signed && !self.psp.hides_list;
        snapshot.disputes = paid.disputes.clone();
        snapshot.is_refundable = paid.is_refundable;
        snapshot
    }

    /// Staff give money back in the PSP's dashboard.
    pub(super) fn staff_refunds(
        &mut self,
        payment: &PaymentRef,
        amount: Money,
        state: RefundState,
    ) {
        self.last_refund_at = Some(self.now);
        let paid = self.paid(payment);
        let id = external(&format!("re_staff_{}", paid.refunds.len()));
        paid.refunds.insert(id, Refund::new(amount, state, None));
    }

    pub(super) fn dispute(&mut self, payment: &PaymentRef, amount: Money, state: DisputeState) {
        let dispute = Dispute { amount, state };
        self.paid(payment)
            .disputes
            .insert(external("dp_1"), dispute);
        self.webhook(payment);
    }

    /// A dispute that no webhook tells of.
    pub(super) fn dispute_unseen(
        &mut self,
        payment: &PaymentRef,
        amount: Money,
        state: DisputeState,
    ) {
        let dispute = Dispute { amount, state };
        self.paid(payment)
            .disputes
            .insert(external("dp_1"), dispute);
    }

    /// A webhook says that the payment failed for good; it may belong to an earlier attempt.
    pub(super) fn says_failed(&mut self, payment: &PaymentRef) {
        let mut snapshot =
            PaymentSnapshot::new(payment.clone(), self.now, self.now, Source::Signed);
        snapshot.progress = Some(Progress::Dead);
        snapshot.ownership = Some(self.psp.payments[payment].ownership);
        self.observe(Fact::PaymentSeen(Box::new(snapshot)));
    }

    /// The daemon dies and another one starts from what is stored.
    pub(super) fn restarts(&mut self) {
        let stored = serde_json::to_string(&self.checkout).unwrap();
        self.checkout = serde_json::from_str(&stored).unwrap();
    }

    /// All refunds at the PSP come to this end.
    pub(super) fn refunds_become(&mut self, state: RefundState) {
        for paid in self.psp.payments.values_mut() {
            for refund in paid.refunds.values_mut() {
                refund.state = state;
            }
        }
        let payments: Vec<_> = self.psp.payments.keys().cloned().collect();
        for payment in payments {
            self.webhook(&payment);
        }
    }

    /// The shop tells us by itself how the order stands.
    pub(super) fn announces(&mut self, status: OrderStatus) {
        self.shop.status = status;
        self.shop_event(self.now);
    }

    /// The shop's message with its present state, stamped with this moment.
    pub(super) fn shop_event(&mut self, as_of: Time) {
        let mut snapshot = self.order_snapshot(Via::Event, None, None);
        snapshot.as_of = as_of;
        if let Some(statement) = &mut snapshot.statement {
            statement.as_of = as_of;
        }
        self.observe(Fact::OrderSeen(Box::new(snapshot)));
    }

    fn order_snapshot(&self, via: Via, asked_at: Option<Time>, look: Option<u32>) -> OrderSnapshot {
        let status = self.shop.status;
        let is_known = status != OrderStatus::Unknown;
        OrderSnapshot {
            reference: Reference::parse("1000042").unwrap(),
            as_of: self.now,
            observed_at: self.now,
            statement: Some(Statement {
                as_of: self.now,
                asked_at,
                via,
                status,
                paid_by: if self.shop.names && status == OrderStatus::Confirmed {
                    self.shop.paid_by.clone()
                } else {
                    BTreeSet::new()
                },
                is_fulfilled: self.shop.is_fulfilled,
                reason: None,
                retry_after: None,
                look,
            }),
            amount: self.shop.amount.filter(|_| is_known),
            terms: self.shop.terms,
            expires_at: None,
            created_at: self.shop.created_at.filter(|_| is_known),
            claims: self.shop.claims.clone(),
            locale: None,
            customer: None,
        }
    }

    pub(super) fn rules(&mut self, ruling: RulingKind, overrides: &[&str]) {
        let ruling = self.ruling(ruling, overrides);
        assert_eq!(self.checkout.admit(&ruling, &self.policy), Ok(()));
        self.observe(Fact::RulingMade(ruling));
    }

    pub(super) fn ruling(&self, ruling: RulingKind, overrides: &[&str]) -> Ruling {
        Ruling {
            at: self.now,
            ruling,
            by: "oncall".to_owned(),
            note: "checked".to_owned(),
            overrides: overrides.iter().map(|key| (*key).to_owned()).collect(),
        }
    }

    pub(super) fn during(&mut self, kind: ActionKind, happens: impl FnOnce(&mut World) + 'static) {
        self.meanwhile.push((kind, Box::new(happens)));
    }

    // --- how the daemon goes on -----------------------------------------------------------

    /// The plan now, with every check there is.
    pub(super) fn plan(&self) -> Plan {
        let plan = self.checkout.reconcile(self.now, &self.policy);
        let again = self.checkout.reconcile(self.now, &self.policy);
        assert_eq!(plan, again, "asked twice, said otherwise");
        if let Err(breach) = invariants::check(&self.checkout, &plan, self.now, &self.policy) {
            panic!("{breach:?}\n{plan:#?}\n{:#?}", self.checkout);
        }
        self.money_is_conserved(&plan);
        self.books_are_right();
        plan
    }

    /// One step: carry out the action that is longest due, or let time jump to the next one.
    /// False when nothing will ever happen again by itself.
    pub(super) fn step(&mut self) -> bool {
        let plan = self.plan();
        self.step_by(&plan)
    }

    fn step_by(&mut self, plan: &Plan) -> bool {
        let due = plan.actions.iter().min_by_key(|planned| planned.due);
        if let Some(planned) = due.filter(|planned| planned.due <= self.now) {
            self.carry_out(planned);
            return true;
        }
        match next_at(plan) {
            Some(at) => {
                self.now = at.max(self.now.plus(Span::from_millis(1)));
                true
            }
            None => false,
        }
    }

    /// Runs until this moment, or until nothing will happen by itself.
    pub(super) fn run_until(&mut self, end: Time) -> Plan {
        for _ in 0..20_000 {
            let plan = self.plan();
            if next_at(&plan).is_none_or(|at| at.max(self.now) > end) {
                self.now = self.now.max(end);
                return self.plan();
            }
            self.step_by(&plan);
        }
        let last: Vec<_> = self.calls.iter().rev().take(6).collect();
        panic!("no end before {end:?}: {last:?}");
    }

    pub(super) fn run_for(&mut self, span: Span) -> Plan {
        self.run_until(self.now.plus(span))
    }

    /// Runs until this verdict is reached, within a day.
    pub(super) fn run_to(&mut self, verdict: Verdict) -> Plan {
        self.run_to_where(&format!("{verdict:?}"), |plan| plan.verdict == verdict)
    }

    pub(super) fn run_to_reason(&mut self, reason: Reason) -> Plan {
        self.run_to_where(&format!("{reason:?}"), |plan| plan.reason == reason)
    }

    fn run_to_where(&mut self, what: &str, found: impl Fn(&Plan) -> bool) -> Plan {
        let end = self.now.plus(Span::from_days(10));
        while self.now < end {
            let plan = self.plan();
            if found(&plan) {
                return plan;
            }
            if !self.step_by(&plan) {
                break;
            }
        }
        let plan = self.plan();
        panic!("never {what}: {plan:#?}\ncalls {:#?}", self.calls);
    }

    fn carry_out(&mut self, planned: &Planned) {
        let kind = planned.action.kind();
        let ask = self.checkout.asks.get(&planned.key);
        assert_eq!(planned.attempts, ask.map_or(0, |ask| ask.sent));
        let attempt = planned.attempts + 1;
        let sent_at = self.now;
        self.observe(Fact::AskSent {
            key: planned.key.clone(),
            kind,
            attempt,
            at: sent_at,
            payment: planned.action.payment().cloned(),
            amount: planned.action.amount(),
        });
        self.calls.push((sent_at, kind, planned.key.clone()));
        if let Action::Confirm { decision, .. } | Action::Release { decision, .. } = &planned.action
        {
            self.numbers.push((kind, *decision));
        }
        self.plan();
        let at_shop = matches!(
            kind,
            ActionKind::Confirm | ActionKind::LookUp | ActionKind::Release | ActionKind::Notify
        );
        let fault = if at_shop {
            self.shop.down.or(self.shop.faults.pop_front())
        } else {
            self.psp.down.or(self.psp.faults.pop_front())
        };
        let fault = fault.unwrap_or(Fault::None);
        let mut refusal = None;
        let early = self
            .meanwhile
            .iter()
            .position(|(wanted, _)| *wanted == kind);
        if let Some(index) = early {
            let (_, happens) = self.meanwhile.remove(index);
            happens(self);
        }
        if fault.applies() {
            refusal = self.apply(planned);
        }
        self.pass(fault.takes());
        self.plan();
        let outcome = match refusal.filter(|_| fault == Fault::None) {
            Some(code) if code == "duplicate" => Outcome::Postponed {
                code,
                until: sent_at.plus(Span::from_hours(1)),
            },
            Some(code) => Outcome::Refused { code },
            None => fault.outcome(self.now),
        };
        if fault == Fault::None {
            self.answer(planned, sent_at);
        }
        let ended = Fact::AskAnswered {
            key: planned.key.clone(),
            kind,
            attempt,
            sent_at,
            at: self.now,
            outcome,
            looks: None,
        };
        self.observe(self.checkout.with_looks(ended));
    }

    /// What the call does outside; a word when the other side declines.
    fn apply(&mut self, planned: &Planned) -> Option<String> {
        match &planned.action {
            Action::Confirm { payments, .. } => {
                let accepts = match self.shop.status {
                    OrderStatus::Pending if self.shop.not_yet > 0 => {
                        self.shop.not_yet -= 1;
                        false
                    }
                    OrderStatus::Pending => true,
                    OrderStatus::Cancelled => self.shop.revives,
                    OrderStatus::Unknown | OrderStatus::Confirmed => false,
                };
                if accepts {
                    self.shop.status = OrderStatus::Confirmed;
                    let paid_by = payments.iter().map(|part| part.payment.clone());
                    self.shop.paid_by = paid_by.collect();
                }
                None
            }
            Action::Release { paid_otherwise, .. } => {
                self.shop.restored.push(*paid_otherwise);
                let may_end = self.shop.status == OrderStatus::Pending
                    || (self.shop.status == OrderStatus::Unknown && self.shop.keeps_tombstones);
                if may_end && !self.shop.refuses_release {
                    self.shop.status = OrderStatus::Cancelled;
                }
                None
            }
            Action::Refund {
                payment, amount, ..
            } => self.refund(&planned.key, payment, *amount),
            Action::Void { payment, .. } => {
                let paid = self.paid(payment);
                if paid.progress == Progress::Authorised {
                    paid.progress = Progress::Dead;
                    paid.authorised = None;
                    None
                } else {
                    Some("not_voidable".to_owned())
                }
            }
            Action::CancelRefund {
                payment, refund, ..
            } => {
                let refunds_are_final = self.psp.refunds_are_final;
                let shown = self.paid(payment).refunds.get_mut(refund).unwrap();
                if refunds_are_final || shown.state != RefundState::Pending {
                    return Some("too_late".to_owned());
                }
                shown.state = RefundState::Failed;
                None
            }
            Action::Notify {
                notice,
                payment,
                reason,
                ..
            } => {
                self.shop.notices.push((*notice, payment.clone(), *reason));
                None
            }
            Action::LookUp { .. } | Action::Fetch { .. } => None,
        }
    }

    fn refund(&mut self, key: &ActionKey, payment: &PaymentRef, amount: Money) -> Option<String> {
        if self.psp.keys.contains_key(key) {
            return None;
        }
        let way = self.psp.refund_way;
        let is_recent = self.last_refund_at > Some(self.now.minus(Span::from_hours(1)));
        let paid = self.psp.payments.get_mut(payment).unwrap();
        let gone: i64 = paid
            .refunds
            .values()
            .filter(|refund| refund.state != RefundState::Failed)
            .map(|refund| refund.amount.minor())
            .sum();
        let equal = paid.refunds.values().any(|refund| refund.amount == amount);
        if way == RefundWay::RefusedWithinTheHour && is_recent && equal {
            return Some("duplicate".to_owned());
        }
        if way == RefundWay::Refused || gone + amount.minor() > paid.captured.minor() {
            return Some("refund_refused".to_owned());
        }
        let state = match way {
            RefundWay::Succeeds | RefundWay::RefusedWithinTheHour => RefundState::Succeeded,
            RefundWay::StaysPending | RefundWay::WaitsForBalance | RefundWay::Refused => {
                RefundState::Pending
            }
        };
        let id = external(&format!("re_{}", self.psp.keys.len()));
        let mut refund = Refund::new(amount, state, Some(key.clone()));
        if way == RefundWay::WaitsForBalance {
            refund.waits_for_balance = Some(crate::core::lattice::Stamped::new(self.now, true));
        }
        paid.refunds.insert(id.clone(), refund);
        self.psp.keys.insert(key.clone(), id);
        None
    }

    /// The facts that a clear answer carries.
    fn answer(&mut self, planned: &Planned, sent_at: Time) {
        let via = match planned.action.kind() {
            ActionKind::Confirm => Via::Confirm,
            ActionKind::LookUp => Via::LookUp,
            ActionKind::Release => Via::Release,
            ActionKind::Fetch | ActionKind::CancelRefund => {
                let payment = planned.action.payment().unwrap();
                if self.psp.payments.contains_key(payment) {
                    let source = Source::Read { asked_at: sent_at };
                    let snapshot = self.snapshot(payment, sent_at, source);
                    self.observe(Fact::PaymentSeen(Box::new(snapshot)));
                }
                return;
            }
            ActionKind::Refund => {
                let payment = planned.action.payment().unwrap();
                if let Some(id) = self.psp.keys.get(&planned.key) {
                    let refund = self.psp.payments[payment].refunds[id].clone();
                    let source = Source::Read { asked_at: sent_at };
                    let mut snapshot =
                        PaymentSnapshot::new(payment.clone(), sent_at, self.now, source);
                    snapshot.refunds.insert(id.clone(), refund);
                    self.observe(Fact::PaymentSeen(Box::new(snapshot)));
                }
                return;
            }
            ActionKind::Void | ActionKind::Notify => return,
        };
        let look = (via == Via::LookUp).then_some(planned.attempts + 1);
        let snapshot = self.order_snapshot(via, Some(sent_at), look);
        self.observe(Fact::OrderSeen(Box::new(snapshot)));
    }

    /// Another daemon, whose clock is ahead, looks at the order now.
    pub(super) fn is_looked_at_ahead(&mut self, ahead: Span) {
        let at = self.now.plus(ahead);
        let key = ActionKey::parse("lookup").unwrap();
        let attempt = self.checkout.asks.get(&key).map_or(0, |ask| ask.sent) + 1;
        let mut seen = self.order_snapshot(Via::LookUp, Some(at), Some(attempt));
        seen.as_of = at;
        if let Some(said) = &mut seen.statement {
            said.as_of = at;
        }
        let kind = ActionKind::LookUp;
        self.observe(Fact::AskSent {
            key: key.clone(),
            kind,
            attempt,
            at,
            payment: None,
            amount: None,
        });
        self.observe(Fact::OrderSeen(Box::new(seen)));
        self.observe(Fact::AskAnswered {
            key,
            kind,
            attempt,
            sent_at: at,
            at,
            outcome: Outcome::Done,
            looks: None,
        });
    }

    // --- the books ------------------------------------------------------------------------

    /// What of a payment is with the shop.
    pub(super) fn left_at_psp(&self, payment: &PaymentRef) -> i64 {
        let paid = &self.psp.payments[payment];
        let gone: i64 = paid
            .refunds
            .values()
            .filter(|refund| refund.state != RefundState::Failed)
            .map(|refund| refund.amount.minor())
            .sum();
        paid.captured.minor() - gone
    }

    /// Refunds of ours that the PSP carried out.
    pub(super) fn refunds_made(&self) -> Vec<(PaymentRef, i64)> {
        let mut made = Vec::new();
        for (payment, paid) in &self.psp.payments {
            let stand = paid
                .refunds
                .values()
                .filter(|refund| refund.state != RefundState::Failed);
            let ours = stand.filter(|refund| refund.mark.is_some());
            made.extend(ours.map(|refund| (payment.clone(), refund.amount.minor())));
        }
        made
    }

    pub(super) fn sent(&self, kind: ActionKind) -> usize {
        self.calls
            .iter()
            .filter(|(_, known, _)| *known == kind)
            .count()
    }

    /// The numbers of the decisions of this kind that left, in order.
    pub(super) fn decisions(&self, kind: ActionKind) -> Vec<u32> {
        let numbers = self.numbers.iter().filter(|(known, _)| *known == kind);
        numbers.map(|(_, number)| *number).collect()
    }

    pub(super) fn keys(&self, kind: ActionKind) -> BTreeSet<&ActionKey> {
        let calls = self.calls.iter().filter(|(_, known, _)| *known == kind);
        calls.map(|(_, _, key)| key).collect()
    }

    /// Never more back than was taken, and never both.
    pub(super) fn books_are_right(&self) {
        for payment in self.psp.payments.keys() {
            assert!(
                self.left_at_psp(payment) >= 0,
                "{payment} was refunded too often"
            );
        }
        let ours: i64 = self.refunds_made().iter().map(|(_, minor)| minor).sum();
        let covered = self.shop.terms.paid_otherwise.map_or(0, Money::minor);
        let share = self.shop.terms.give_back.map_or(0, Money::minor);
        let owed = self.shop.amount.map_or(0, Money::minor) - covered - share;
        let left: i64 = self
            .psp
            .payments
            .keys()
            .map(|payment| self.left_at_psp(payment))
            .sum();
        let captured: i64 = self
            .psp
            .payments
            .values()
            .map(|paid| paid.captured.minor())
            .sum();
        let shop_counts_ours = self.shop.status == OrderStatus::Confirmed
            && self
                .shop
                .paid_by
                .iter()
                .any(|payment| self.psp.payments.contains_key(payment));
        if shop_counts_ours && ours > 0 && !self.shop_may_err {
            let staff = captured - left - ours;
            assert!(
                left + staff >= owed.min(captured - share),
                "confirmed and refunded: {left} of {owed}"
            );
        }
    }

    /// Captured = settled + returned + charged back + in suspense.
    fn money_is_conserved(&self, plan: &Plan) {
        let mut open = 0;
        for (payment, state) in self.checkout.own_payments() {
            let foreign = state.ownership.as_ref().is_some_and(|one| {
                !matches!(
                    one.value,
                    Ownership::Ours | Ownership::Shared | Ownership::UnknownKind
                )
            });
            let Some(captured) = state.captured().filter(|_| !foreign) else {
                continue;
            };
            let back = state
                .refunds_in(|refund| refund == RefundState::Succeeded)
                .unwrap();
            let lost = state.charged_back().unwrap();
            let left = captured.minor() - back.minor() - lost.minor();
            assert!(left >= -captured.minor(), "{payment}");
            open += left.max(0);
        }
        let suspense: i64 = plan.in_suspense.iter().map(|money| money.minor()).sum();
        let is_settled = self.checkout.order.status() == Some(OrderStatus::Confirmed)
            || plan.reason == Reason::OperatorSettled;
        if is_settled {
            assert!(suspense <= open, "{suspense} of {open}");
        } else {
            assert_eq!(suspense, open, "{:?} {:?}", plan.verdict, plan.reason);
        }
        if plan.verdict.is_at_rest() {
            assert_eq!(suspense, 0, "{:?} {:?}", plan.verdict, plan.reason);
        }
    }
}
