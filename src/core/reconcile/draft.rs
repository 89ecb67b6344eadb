//! How a plan is put together: the view of the checkout and the actions wanted so far.
//!
//! Gives every action its key and its due time, keeps what the mode does not permit apart, and
//! works out the money in suspense. Makes no decision.

use super::position::{Position, subject};
use crate::core::checkout::{Ask, Checkout};
use crate::core::fact::Outcome;
use crate::core::ids::{ActionKey, PaymentRef};
use crate::core::money::{Currency, Money, MoneyError};
use crate::core::payment::{Ownership, Payment, PaymentStatus};
use crate::core::plan::{Action, ActionKind, Plan, Planned, Reason, Verdict};
use crate::core::policy::{Mode, Policy};
use crate::core::retry;
use crate::core::time::{Span, Time};
use std::collections::BTreeMap;

/// Where a checkout stands, and which part of its money is settled.
#[derive(Clone, Debug)]
pub(super) struct Stand {
    pub(super) verdict: Verdict,
    pub(super) reason: Reason,
    /// Money that pays a confirmed order.
    pub(super) settled: Vec<Money>,
}

impl Stand {
    pub(super) fn new(verdict: Verdict, reason: Reason) -> Stand {
        Stand {
            verdict,
            reason,
            settled: Vec::new(),
        }
    }

    pub(super) fn held(reason: Reason) -> Stand {
        Stand::new(Verdict::Held, reason)
    }
}

/// A plan in the making.
pub(super) struct Draft<'a> {
    pub(super) checkout: &'a Checkout,
    pub(super) now: Time,
    pub(super) policy: &'a Policy,
    pub(super) actions: Vec<Planned>,
    pub(super) withheld: Vec<Planned>,
    pub(super) wake_at: Option<Time>,
}

impl<'a> Draft<'a> {
    pub(super) fn new(checkout: &'a Checkout, now: Time, policy: &'a Policy) -> Draft<'a> {
        Draft {
            checkout,
            now,
            policy,
            actions: Vec::new(),
            withheld: Vec::new(),
            wake_at: None,
        }
    }

    /// The payments that are ours to act on.
    pub(super) fn our_payments(&self) -> impl Iterator<Item = (&'a PaymentRef, &'a Payment)> {
        let checkout = self.checkout;
        checkout
            .own_payments()
            .filter(move |(payment, state)| is_ours(checkout, payment, state))
    }

    /// Look again at this moment at the latest.
    pub(super) fn wake(&mut self, at: Time) {
        self.wake_at = Some(self.wake_at.map_or(at, |known| known.min(at)));
    }

    /// What is known of an ask under this key.
    pub(super) fn ask(&self, key: &ActionKey) -> Option<&'a Ask> {
        self.checkout.asks.get(key)
    }

    /// Wants an action, not before `earliest` and not before its own retry schedule permits. What
    /// was answered since `earliest` and is wanted all the same is asked again at a walking pace.
    pub(super) fn want(&mut self, key: &str, action: Action, earliest: Time) {
        let Ok(key) = ActionKey::parse(key) else {
            return;
        };
        let ask = self.ask(&key);
        let due = match ask {
            Some(ask) if was_done_since(ask, earliest) => {
                let ended = ask.ended.as_ref().map_or(earliest, |ended| ended.at);
                ended.plus(retry::recheck(1, key.as_str()))
            }
            Some(ask) => earliest.max(self.next_attempt(&key, ask)),
            None => earliest,
        };
        let attempts = ask.map_or(0, |ask| ask.sent);
        let kind = action.kind();
        let planned = Planned {
            key,
            action,
            due,
            attempts,
        };
        let wanted = if permits(self.policy.mode, kind) {
            &mut self.actions
        } else {
            &mut self.withheld
        };
        match wanted.iter_mut().find(|known| known.key == planned.key) {
            Some(known) => known.due = known.due.min(due),
            None => wanted.push(planned),
        }
    }

    /// When the next attempt of an ask may leave, by how the latest one ended; at once when an
    /// operator said so since.
    fn next_attempt(&self, key: &ActionKey, ask: &Ask) -> Time {
        let Some(ended) = ask.ended.as_ref() else {
            return Time::from_micros(i64::MIN);
        };
        let by_schedule = match &ended.outcome {
            Outcome::Done => ended.at,
            // What a PSP says it does not know is asked for again at a walking pace.
            Outcome::Refused { .. } if ask.kind == ActionKind::Fetch => {
                ended.at.plus(retry::recheck(ask.failures(), key.as_str()))
            }
            Outcome::Throttled { until } | Outcome::Postponed { until, .. } => {
                return (*until).max(ended.at);
            }
            Outcome::NotSent { .. }
            | Outcome::Unclear { .. }
            | Outcome::Unauthorized { .. }
            | Outcome::Malformed { .. }
            | Outcome::Refused { .. } => ended
                .at
                .plus(retry::delay(ask.failures().max(1), key.as_str())),
        };
        match super::ruling::retry_at(self.checkout) {
            Some(at) if at > ended.at => at,
            Some(_) | None => by_schedule,
        }
    }

    /// The number of a decision to confirm the order or to give it up: the same on every retry,
    /// and greater than those of all that were sent before it.
    pub(super) fn decision(&self, key: &str) -> u32 {
        let own = ActionKey::parse(key).ok();
        let asked = own.as_ref().and_then(|key| self.ask(key));
        let sent_at = asked.and_then(|ask| ask.first_sent_at);
        let earlier = self.checkout.asks.iter().filter(|(other, ask)| {
            let is_one = ask.kind == ActionKind::Confirm || ask.kind == ActionKind::Release;
            let is_before = match (ask.first_sent_at, sent_at) {
                (Some(theirs), Some(ours)) => (theirs, Some(*other)) < (ours, own.as_ref()),
                (_, _) => own.as_ref() != Some(*other),
            };
            is_one && is_before
        });
        u32::try_from(earlier.count())
            .unwrap_or(u32::MAX)
            .saturating_add(1)
    }

    /// Asks the shop how the order stands.
    pub(super) fn look_up(&mut self, earliest: Time) {
        if let Some(reference) = self.checkout.reference.clone() {
            self.want("lookup", Action::LookUp { reference }, earliest);
        }
    }

    /// Asks the shop how the order stands on the look-again schedule, counted from `since`.
    pub(super) fn look_again(&mut self, since: Time) {
        let ask = ActionKey::parse("lookup")
            .ok()
            .and_then(|key| self.ask(&key));
        let answers = ask.map_or(0, |ask| ask.done_attempt);
        let last = ask
            .and_then(|ask| ask.ended.as_ref())
            .map_or(since, |ended| ended.at);
        self.look_up(last.max(since).plus(retry::recheck(answers, "lookup")));
    }

    /// Reads a payment at the PSP.
    pub(super) fn fetch(&mut self, payment: &PaymentRef, earliest: Time) {
        let key = fetch_key(payment);
        self.want(
            &key,
            Action::Fetch {
                payment: payment.clone(),
            },
            earliest,
        );
    }

    /// Reads a payment again on the look-again schedule, counted from `since`.
    pub(super) fn watch(&mut self, payment: &PaymentRef, since: Time) {
        let key = fetch_key(payment);
        let ask = ActionKey::parse(&key).ok().and_then(|key| self.ask(&key));
        let reads = ask.map_or(0, |ask| ask.done_attempt);
        let last = ask
            .and_then(|ask| ask.ended.as_ref())
            .map_or(since, |ended| ended.at);
        let next = last.max(since).plus(retry::recheck(reads, &key));
        self.fetch(payment, next);
    }

    /// True once a read of this payment was answered, whatever it showed.
    pub(super) fn was_read(&self, payment: &PaymentRef) -> bool {
        self.fetch_ask(payment).is_some_and(Ask::is_done)
    }

    /// What is known of the reads of this payment.
    pub(super) fn fetch_ask(&self, payment: &PaymentRef) -> Option<&'a Ask> {
        let key = ActionKey::parse(&fetch_key(payment)).ok()?;
        self.ask(&key)
    }

    /// True when the account can be asked about single payments.
    pub(super) fn can_read(&self, payment: &PaymentRef) -> bool {
        self.policy
            .accounts
            .get(&payment.account)
            .is_none_or(|account| account.can_read)
    }

    /// True when a read of the payment shows all its refunds.
    pub(super) fn can_list_refunds(&self, payment: &PaymentRef) -> bool {
        let account = self.policy.accounts.get(&payment.account);
        account.is_none_or(|account| account.can_read && account.can_list_refunds)
    }

    /// How long the PSP surely remembers an idempotency key.
    pub(super) fn key_lifetime(&self, payment: &PaymentRef) -> Span {
        let account = self.policy.accounts.get(&payment.account);
        account.map_or(Span::ZERO, |account| account.key_lifetime)
    }

    /// The plan, with the money in suspense worked out.
    pub(super) fn into_plan(self, stand: Stand) -> Plan {
        let in_suspense = in_suspense(&self, &stand).unwrap_or_else(|_| everything(&self));
        let wants_nothing = self.actions.is_empty() && self.wake_at.is_none();
        // What the mode keeps from acting looks again in an hour; only rest and holds wait for
        // news alone.
        let may_sleep = stand.verdict.is_at_rest() || stand.verdict == Verdict::Held;
        let must_wake = wants_nothing && !may_sleep;
        let wake_at = if must_wake {
            Some(self.now.plus(super::ASK_WHILE_HELD_EVERY))
        } else {
            self.wake_at
        };
        Plan {
            verdict: stand.verdict,
            reason: stand.reason,
            actions: self.actions,
            withheld: self.withheld,
            wake_at,
            in_suspense,
            safe_to_retry: self.checkout.safe_to_retry(),
        }
    }
}

fn fetch_key(payment: &PaymentRef) -> String {
    format!("fetch-{}", subject(payment))
}

/// A short stable name for a text: 64 bits of FNV-1a, in hex.
pub(super) fn fingerprint(text: &str) -> String {
    let hash = text.bytes().fold(0xcbf2_9ce4_8422_2325_u64, |hash, byte| {
        (hash ^ u64::from(byte)).wrapping_mul(0x0000_0100_0000_01b3)
    });
    format!("{hash:016x}")
}

/// Ours by the account's rules, or because the order names it. Age and mode are stronger than
/// the order's word.
fn is_ours(checkout: &Checkout, payment: &PaymentRef, state: &Payment) -> bool {
    match state.ownership.as_ref().map(|stamped| stamped.value) {
        None | Some(Ownership::Ours | Ownership::Shared | Ownership::UnknownKind) => true,
        Some(Ownership::Unclaimed) => checkout.order.claims.contains(payment),
        Some(Ownership::BeforeSince | Ownership::WrongMode) => false,
    }
}

/// True when the latest attempt left at or after this moment and was answered.
fn was_done_since(ask: &Ask, earliest: Time) -> bool {
    let ended = ask.ended.as_ref().filter(|_| !ask.is_in_flight());
    ended.is_some_and(|ended| ended.outcome == Outcome::Done && ended.sent_at >= earliest)
}

fn permits(mode: Mode, kind: ActionKind) -> bool {
    let least = match kind {
        ActionKind::Fetch | ActionKind::LookUp => Mode::Observe,
        ActionKind::Confirm => Mode::Confirm,
        ActionKind::Release
        | ActionKind::Refund
        | ActionKind::Void
        | ActionKind::CancelRefund
        | ActionKind::Notify => Mode::Full,
    };
    mode >= least
}

/// Captured less returned, charged back and settled, per currency.
fn in_suspense(draft: &Draft<'_>, stand: &Stand) -> Result<Vec<Money>, MoneyError> {
    let mut sums: BTreeMap<Currency, Money> = BTreeMap::new();
    let nothing_waits = match stand.verdict {
        Verdict::Foreign => true,
        Verdict::Settled => stand.reason == Reason::OperatorSettled,
        Verdict::Open
        | Verdict::Matching
        | Verdict::Confirming
        | Verdict::Releasing
        | Verdict::Refunding
        | Verdict::Returned
        | Verdict::Held
        | Verdict::Closed => false,
    };
    if nothing_waits {
        return Ok(Vec::new());
    }
    for (payment, state) in draft.our_payments() {
        if state.status() != PaymentStatus::Captured {
            continue;
        }
        let position = Position::new(draft.checkout, payment, state)?;
        let gone = position.returned.plus(position.charged_back)?;
        let left = position.captured.minus(gone)?;
        // What went back too often from one payment hides nothing of another.
        let left = left.max(Money::zero(left.currency()));
        let sum = sums
            .entry(left.currency())
            .or_insert(Money::zero(left.currency()));
        *sum = sum.plus(left)?;
    }
    for settled in &stand.settled {
        if let Some(sum) = sums.get_mut(&settled.currency()) {
            *sum = sum.minus(*settled)?;
        }
    }
    Ok(sums.into_values().filter(|sum| sum.is_positive()).collect())
}

/// Everything ever captured: what is shown when the amounts do not add up.
fn everything(draft: &Draft<'_>) -> Vec<Money> {
    let amounts = draft.our_payments().flat_map(|(_, state)| &state.captured);
    amounts
        .map(|(currency, minor)| Money::new(*minor, *currency))
        .collect()
}
