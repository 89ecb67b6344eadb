//! One attempt of one action: build the call, send it within the lease, report how it ended.
//!
//! A refund is admitted by the guard, and checked once more against the stored checkout, right
//! before it leaves. Whatever happens is a fact for the engine; nothing is decided here.

use super::dispatch::Gates;
use super::exchange::{SignIns, exchange};
use super::{Pulse, admission};
use crate::clock::Clock;
use crate::core::fact::{BrakeCause, Fact, Outcome};
use crate::core::ids::{AccountId, ShopId};
use crate::core::order::{OrderSnapshot, Via};
use crate::core::payment::Payment;
use crate::core::plan::{Action, ActionKind, Destination};
use crate::core::time::{Span, Time};
use crate::engine::input::{Input, Report};
use crate::outbound::{CallLimits, Outbound, SHOP_BODY_BYTES_MAX};
use crate::psp::{Psp, PspAnswer, PspAsk};
use crate::roster::Roster;
use crate::shop::{ShopAnswer, ShopAsk};
use crate::store::{ActionRow, Store, StoreError};
use crate::telemetry::Telemetry;
use crate::wire::Failure;
use arc_swap::ArcSwap;
use futures_util::future::BoxFuture;
use sha2::{Digest, Sha256};
use std::collections::BTreeSet;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;
use tokio::sync::mpsc;

/// Time limit of one call to a shop (docs/shop-protocol.md).
pub const SHOP_CALL_MAX: Span = Span::from_seconds(10);
/// An attempt ends this long before its lease does.
const LEASE_MARGIN: Span = Span::from_seconds(3);

/// Starts a task and lets it run to its end beside everything else.
pub type Spawn = dyn Fn(BoxFuture<'static, ()>) + Send + Sync;

/// Everything an attempt needs.
pub struct Crew {
    /// The store.
    pub store: Arc<dyn Store>,
    /// Who is served.
    pub roster: Arc<ArcSwap<Roster>>,
    /// The HTTP client.
    pub outbound: Outbound,
    /// The time.
    pub clock: Clock,
    /// Where reports go.
    pub inputs: mpsc::Sender<Input>,
    /// Told after a report.
    pub decide: Pulse,
    /// Told after an attempt.
    pub dispatch: Pulse,
    /// Gates per destination.
    pub gates: Gates,
    /// Accounts that were swept whole since this start; refunds of others wait.
    pub swept: SweptAccounts,
    /// Who is signing in where.
    pub sign_ins: SignIns,
    /// Where attempts run.
    pub spawn: Arc<Spawn>,
    /// Counters.
    pub telemetry: Telemetry,
}

/// The accounts that were swept whole since this start.
#[derive(Clone, Default)]
pub struct SweptAccounts(Arc<Mutex<BTreeSet<AccountId>>>);

impl SweptAccounts {
    /// Notes a whole sweep.
    pub fn add(&self, account: &AccountId) {
        self.0
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .insert(account.clone());
    }

    /// Was it swept whole since this start?
    pub fn has(&self, account: &AccountId) -> bool {
        self.0
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .contains(account)
    }
}

/// How an attempt ended.
pub(super) struct Ended {
    outcome: Outcome,
    pub(super) facts: Vec<Fact>,
    epoch: Option<u64>,
    /// What the calls said of the destination; none when none was made.
    is_alive: Option<bool>,
}

impl Ended {
    fn failed(outcome: Outcome) -> Ended {
        Ended {
            outcome,
            facts: Vec::new(),
            epoch: None,
            is_alive: None,
        }
    }

    pub(super) fn not_sent(code: &str) -> Ended {
        Ended::failed(Outcome::NotSent {
            code: code.to_owned(),
        })
    }
}

/// The greatest epoch heard from a shop before calls that start together: the first of them asks
/// for it, and each asks anew until the store has answered.
pub type EpochBefore = tokio::sync::OnceCell<Option<u64>>;

/// Carries out a leased attempt and reports it. `shared` is that of all calls to the shop that
/// start together.
#[tracing::instrument(name = "dispatch.attempt", skip_all, fields(
    checkout.id = %row.checkout, action.kind = row.planned.action.kind().code(),
    attempt = row.attempts))]
pub async fn carry_out(
    crew: &Crew,
    row: ActionRow,
    destination: &Destination,
    shared: &EpochBefore,
) {
    let begun = crew.clock.now();
    let Some(lease) = row.lease.clone() else {
        return;
    };
    let sent_at = row.last_sent_at.unwrap_or(begun);
    let mut epoch_before = None;
    let ended = match admission::admitted(crew, &row, lease.until, begun).await {
        Ok(()) => {
            if let Destination::Shop(shop) = destination {
                let asked = shared.get_or_try_init(|| stored_epoch(crew, shop)).await;
                epoch_before = asked.ok().copied().flatten();
            }
            call(crew, &row, sent_at, lease.until).await
        }
        Err(ended) => ended,
    };
    let now = crew.clock.now();
    let kind = row.planned.action.kind();
    let code = ended.outcome.code().unwrap_or("done").to_owned();
    crew.telemetry
        .action_ended(destination, kind, &ended.outcome, now.since(begun));
    if let (
        Action::Refund {
            payment, amount, ..
        },
        Outcome::Done,
    ) = (&row.planned.action, &ended.outcome)
    {
        crew.telemetry
            .refunded(&row.shop, &payment.account, *amount);
    }
    if ended.outcome == Outcome::Done {
        tracing::info!(outcome = code, "{} done", kind.code());
    } else {
        tracing::warn!(outcome = code, "{} not done: {code}", kind.code());
    }
    tell_gate(crew, destination, &ended, now);
    let mut facts = vec![Fact::AskAnswered {
        key: row.key.clone(),
        kind,
        attempt: row.attempts,
        sent_at,
        at: now,
        outcome: ended.outcome,
        looks: None,
    }];
    facts.extend(ended.facts);
    if let Some(epoch) = ended.epoch {
        watch_epoch(crew, &row.shop, (epoch_before, epoch), now).await;
    }
    let report = Report {
        checkout: row.checkout,
        shop: row.shop,
        key: row.key,
        token: lease.token,
        facts,
        epoch: ended.epoch,
    };
    if crew.inputs.send(Input::Report(report)).await.is_err() {
        tracing::warn!("stopped before the attempt was recorded; it will be read back");
    }
    crew.decide.give();
}

/// What the attempt says about its destination: whether it lives, and for how long it wants to be
/// left alone.
fn tell_gate(crew: &Crew, destination: &Destination, ended: &Ended, now: Time) {
    let entry_pace = crate::outbound::pace::PaceLimits::SHOP;
    let (was_broken, is_broken) = crew.gates.with(destination, entry_pace, now, |gate| {
        let was_broken = gate.is_broken();
        match ended.is_alive {
            Some(is_alive) => gate.record(now, is_alive),
            None => gate.withdraw(now),
        }
        if let Outcome::Throttled { until } = &ended.outcome {
            gate.hold(now, until.since(now));
        }
        (was_broken, gate.is_broken())
    });
    crew.telemetry.breaker(destination, is_broken);
    match (was_broken, is_broken) {
        (false, true) => tracing::warn!(
            ?destination,
            "calls are held back: the destination fails; single calls try it"
        ),
        (true, false) => tracing::info!(?destination, "the destination answers again"),
        (true, true) | (false, false) => {}
    }
}

/// A shop's epoch that goes backwards stops its refunds before anything else is decided on its
/// answers.
pub(super) async fn watch_epoch(
    crew: &Crew,
    shop: &ShopId,
    (before, epoch): (Option<u64>, u64),
    now: Time,
) {
    if before.is_some_and(|greatest| epoch < greatest) && !is_braked(crew, shop).await {
        pull_brake(crew, shop, BrakeCause::EpochWentBack, now).await;
    }
}

/// The greatest epoch heard from a shop. Asked for before a call, since what is heard while the
/// call is under way, here or by another daemon, may well be greater than what its answer says.
pub(super) async fn known_epoch(crew: &Crew, shop: &ShopId) -> Option<u64> {
    stored_epoch(crew, shop).await.ok().flatten()
}

async fn stored_epoch(crew: &Crew, shop: &ShopId) -> Result<Option<u64>, StoreError> {
    let row = crew.store.shop(shop).await;
    row.map(|row| row.epoch).inspect_err(|error| {
        tracing::warn!(%error, "the shop's epoch cannot be compared");
    })
}

async fn is_braked(crew: &Crew, shop: &ShopId) -> bool {
    let row = crew.store.shop(shop).await;
    row.is_ok_and(|row| row.brake.is_some())
}

pub(super) async fn pull_brake(crew: &Crew, shop: &ShopId, cause: BrakeCause, now: Time) {
    tracing::error!(shop = %shop, cause = cause.code(), "the guard stopped this shop's refunds");
    if let Err(error) = crew.store.set_brake(shop, Some((cause, now))).await {
        tracing::error!(shop = %shop, %error, "the brake could not be recorded");
    }
}

async fn call(crew: &Crew, row: &ActionRow, sent_at: Time, until: Time) -> Ended {
    let roster = crew.roster.load_full();
    match row.planned.action.destination(&row.shop) {
        Destination::Shop(shop) => match roster.shops.get(&shop) {
            Some(entry) => call_shop(crew, row, entry.adapter.as_ref(), sent_at, until).await,
            None => Ended::not_sent("shop_not_configured"),
        },
        Destination::Psp(account) => match roster.accounts.get(&account) {
            Some(entry) => {
                let psp = entry.adapter.as_ref();
                let ask = match reversal(crew, row, psp).await {
                    Ok(reversal) => reversal.or_else(|| psp_ask(row)),
                    Err(ended) => return ended,
                };
                let Some(ask) = ask else {
                    return Ended::not_sent("not_for_a_psp");
                };
                let answer = exchange(crew, psp, &ask, sent_at, until).await;
                psp_ended(answer, crew.clock.now())
            }
            None => Ended::not_sent("account_not_configured"),
        },
    }
}

/// What one call may take: never longer than the rest of the lease, so that whoever slept past
/// it sends nothing that others have taken for lost.
pub(super) fn time_left(until: Time, now: Time, most: Span) -> Duration {
    super::duration(until.minus(LEASE_MARGIN).since(now).min(most))
}

async fn call_shop(
    crew: &Crew,
    row: &ActionRow,
    shop: &dyn crate::shop::Shop,
    sent_at: Time,
    until: Time,
) -> Ended {
    let Some(ask) = shop_ask(&row.planned.action) else {
        return Ended::not_sent("not_for_a_shop");
    };
    let id = call_id(row);
    let request = shop.request(&ask, &id, crew.clock.now());
    let limits = CallLimits {
        deadline: time_left(until, crew.clock.now(), SHOP_CALL_MAX),
        body_bytes_max: SHOP_BODY_BYTES_MAX,
    };
    let reply = crew.outbound.call(request, limits).await;
    let is_alive = crate::outbound::breaker::sign_of_life(&[&reply]);
    let now = crew.clock.now();
    let mut ended = match shop.answer(&ask, &row.key, sent_at, now, &reply) {
        ShopAnswer::Said { order, epoch } => Ended {
            facts: vec![Fact::OrderSeen(numbered(order, row.attempts))],
            epoch,
            ..Ended::failed(Outcome::Done)
        },
        ShopAnswer::Accepted => Ended::failed(Outcome::Done),
        ShopAnswer::Failed(failure) => Ended::failed(outcome_of(failure, now)),
    };
    ended.is_alive = is_alive;
    ended
}

/// The answer to a look, with the number of the look.
fn numbered(mut order: Box<OrderSnapshot>, attempt: u32) -> Box<OrderSnapshot> {
    let said = order.statement.as_mut();
    if let Some(said) = said.filter(|said| said.via == Via::LookUp) {
        said.look = Some(attempt);
    }
    order
}

fn psp_ended((answer, is_alive): (PspAnswer, Option<bool>), now: Time) -> Ended {
    let mut ended = match answer {
        PspAnswer::Seen(payments) => Ended {
            facts: payments
                .into_iter()
                .map(|one| Fact::PaymentSeen(Box::new(one)))
                .collect(),
            ..Ended::failed(Outcome::Done)
        },
        PspAnswer::Page { .. } => Ended::failed(Outcome::Malformed {
            code: "page_without_list".to_owned(),
        }),
        PspAnswer::Failed(failure) => Ended::failed(outcome_of(failure, now)),
    };
    ended.is_alive = is_alive;
    ended
}

fn outcome_of(failure: Failure, now: Time) -> Outcome {
    match failure {
        Failure::NotSent(code) => Outcome::NotSent { code },
        Failure::Unclear(code) => Outcome::Unclear { code },
        Failure::Throttled { wait } => Outcome::Throttled {
            until: now.plus(wait),
        },
        Failure::Postponed { code, wait } => Outcome::Postponed {
            code,
            until: now.plus(wait),
        },
        Failure::Unauthorized(code) => Outcome::Unauthorized { code },
        Failure::Malformed(code) => Outcome::Malformed { code },
        Failure::Refused(code) => Outcome::Refused { code },
    }
}

/// The action's own id for the shop: the same on every retry, so that the shop may remember it.
/// A lookup is a new question each time.
fn call_id(row: &ActionRow) -> String {
    let mut named = format!("{}|{}", row.checkout, row.key);
    if row.planned.action.kind() == ActionKind::LookUp {
        named.push_str(&format!("|{}", row.attempts));
    }
    let digest = hex::encode(Sha256::digest(named.as_bytes()));
    format!("act_{}", digest.chars().take(32).collect::<String>())
}

fn psp_ask(row: &ActionRow) -> Option<PspAsk> {
    match &row.planned.action {
        Action::Fetch { payment } => Some(PspAsk::Fetch {
            payment: payment.id.clone(),
        }),
        Action::Refund {
            payment,
            amount,
            why,
        } => Some(PspAsk::Refund {
            payment: payment.id.clone(),
            amount: *amount,
            key: row.key.clone(),
            why: *why,
        }),
        Action::Void { payment, why } => Some(PspAsk::Void {
            payment: payment.id.clone(),
            key: row.key.clone(),
            why: *why,
        }),
        Action::CancelRefund {
            payment, refund, ..
        } => Some(PspAsk::CancelRefund {
            payment: payment.id.clone(),
            refund: refund.clone(),
            key: row.key.clone(),
        }),
        Action::Confirm { .. }
        | Action::LookUp { .. }
        | Action::Release { .. }
        | Action::Notify { .. } => None,
    }
}

/// A refund of all that was ever taken of a payment is a reversal where the PSP has one, which is
/// right as well if the money was not taken yet.
async fn reversal(crew: &Crew, row: &ActionRow, psp: &dyn Psp) -> Result<Option<PspAsk>, Ended> {
    let Action::Refund {
        payment, amount, ..
    } = &row.planned.action
    else {
        return Ok(None);
    };
    if !psp.reverses() {
        return Ok(None);
    }
    let checkout = admission::stored(crew, row).await?;
    let state = checkout.payments.get(payment);
    let is_whole = state.and_then(Payment::captured) == Some(*amount);
    Ok(is_whole.then(|| PspAsk::Reverse {
        payment: payment.id.clone(),
        amount: *amount,
        key: row.key.clone(),
    }))
}

fn shop_ask(action: &Action) -> Option<ShopAsk> {
    match action.clone() {
        Action::Confirm {
            reference,
            payments,
            amount,
            late,
            decision,
        } => Some(ShopAsk::Confirm {
            reference,
            payments,
            amount,
            late,
            decision,
        }),
        Action::LookUp { reference } => Some(ShopAsk::LookUp { reference }),
        Action::Release {
            reference,
            payments,
            decision,
            paid_otherwise,
        } => Some(ShopAsk::Release {
            reference,
            payments,
            decision,
            paid_otherwise,
        }),
        Action::Notify {
            notice,
            reference,
            payment,
            amount,
            reason,
            at,
        } => Some(ShopAsk::Notify {
            notice,
            reference,
            payment,
            amount,
            reason,
            at,
        }),
        Action::Fetch { .. }
        | Action::Refund { .. }
        | Action::Void { .. }
        | Action::CancelRefund { .. } => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::core::order::OrderStatus;
    use crate::store::sample;

    #[test]
    fn an_answer_to_a_look_has_its_number_and_no_other_answer_has_one() {
        for via in Via::ALL {
            let at = Time::from_seconds(7);
            let said = sample::said(via, OrderStatus::Pending, sample::eur(5_995), at);
            let Fact::OrderSeen(order) = said else {
                panic!("{said:?}");
            };
            let statement = numbered(order, 3).statement.unwrap();
            let expected = (via == Via::LookUp).then_some(3);
            assert_eq!(statement.look, expected, "{via:?}");
        }
    }

    #[test]
    fn no_call_outlives_its_lease_and_none_begins_after_it() {
        let until = Time::from_seconds(1_000);
        let at = |seconds| time_left(until, Time::from_seconds(seconds), SHOP_CALL_MAX);
        assert_eq!(at(980), Duration::from_secs(10), "the call's own limit");
        assert_eq!(at(990), Duration::from_secs(7), "the rest of the lease");
        assert_eq!(at(997), Duration::ZERO);
        assert_eq!(at(2_000), Duration::ZERO);
    }
}
