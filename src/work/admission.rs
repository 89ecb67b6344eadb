//! The last gate before money leaves: swept since the start, still wanted, and within the guard.
//!
//! Asks the stored checkout and the guard right before a refund, a void, a release or the
//! cancellation of a refund is sent. Decides nothing that the core has not decided; it only keeps
//! back.

use super::attempt::{Crew, Ended, pull_brake};
use super::canary;
use crate::core::checkout::Checkout;
use crate::core::fact::{BrakeCause, Fact, Outcome};
use crate::core::guard::{self, LastHour};
use crate::core::ids::ActionKey;
use crate::core::invariants;
use crate::core::money::Money;
use crate::core::order::OrderStatus;
use crate::core::plan::{Action, ActionKind, Plan};
use crate::core::policy::{GuardLimits, Policy};
use crate::core::reconcile::ruling;
use crate::core::time::{Span, Time};
use crate::store::{ActionRow, ShopRow, Tally, TallyKind, TallySums, Wanted};

/// Why an attempt to give money back did not leave the house; such an attempt does not count
/// towards the guard's limits.
const KEPT_BACK: [&str; 7] = [
    "awaiting_sweep",
    "braked",
    "canary_unanswered",
    "no_longer_wanted",
    "shop_not_configured",
    "store_unavailable",
    "would_break_a_promise",
];

/// The last gate before money leaves: swept since start, still wanted by the stored checkout,
/// and let through by the guard. What follows from an `unknown`, a release included, must also be
/// backed by a shop that finds its orders.
pub(super) async fn admitted(
    crew: &Crew,
    row: &ActionRow,
    until: Time,
    now: Time,
) -> Result<(), Ended> {
    let (payment, amount) = match &row.planned.action {
        Action::Refund {
            payment, amount, ..
        } => (Some(payment), Some(*amount)),
        Action::Void { payment, .. } => (Some(payment), None),
        // Nothing leaves, and the PSP's own clock is running: no sweep is waited for.
        Action::CancelRefund { .. } | Action::Release { .. } => (None, None),
        Action::Confirm { .. }
        | Action::LookUp { .. }
        | Action::Fetch { .. }
        | Action::Notify { .. } => return Ok(()),
    };
    if payment.is_some_and(|payment| !crew.swept.has(&payment.account)) {
        return Err(Ended::not_sent("awaiting_sweep"));
    }
    let checkout = stored(crew, row).await?;
    let roster = crew.roster.load_full();
    let Some(shop) = roster.shops.get(&row.shop) else {
        return Err(Ended::not_sent("shop_not_configured"));
    };
    let plan = checkout.reconcile(now, &shop.policy);
    let mut wanted = plan.actions.iter();
    let is_wanted = wanted.any(|one| one.key == row.key && one.action == row.planned.action);
    let is_cancellation = row.planned.action.kind() == ActionKind::CancelRefund;
    if (payment.is_some() || is_cancellation) && !is_wanted {
        return Err(Ended::not_sent("no_longer_wanted"));
    }
    keeps_promises(crew, row, &checkout, (&plan, &shop.policy), now)?;
    if is_cancellation {
        return Ok(());
    }
    let is_unknown = checkout.order.status() == Some(OrderStatus::Unknown);
    if let Some(cause) = crowd(crew, &checkout, is_unknown, now).await? {
        return Err(braked(crew, row, cause, now).await);
    }
    if is_unknown {
        canary::sings(crew, row, &checkout, shop, until).await?;
    }
    match amount {
        Some(amount) => count(crew, row, &checkout, (shop.policy.guard, amount), now).await,
        None => Ok(()),
    }
}

/// What the engine checked before it committed is checked once more on what is stored now.
fn keeps_promises(
    crew: &Crew,
    row: &ActionRow,
    checkout: &Checkout,
    (plan, policy): (&Plan, &Policy),
    now: Time,
) -> Result<(), Ended> {
    invariants::check(checkout, plan, now, policy).map_err(|breach| {
        tracing::error!(
            checkout.id = %row.checkout, shop = %row.shop, promise = breach.promise,
            why = breach.detail, "kept back: a promise would have been broken"
        );
        crew.telemetry.breached(&row.shop, breach.promise);
        Ended::not_sent("would_break_a_promise")
    })
}

/// What is known of the whole shop and stops a release and a void, too: a store that may have a
/// twin, and for an `unknown` whatever makes the shop's word doubtful.
async fn crowd(
    crew: &Crew,
    checkout: &Checkout,
    is_unknown: bool,
    now: Time,
) -> Result<Option<BrakeCause>, Ended> {
    let known = crew.store.shop(&checkout.shop).await;
    let known = known.map_err(|_| Ended::not_sent("store_unavailable"))?;
    let since = now.minus(Span::from_minutes(guard::WINDOW_MINUTES));
    let sums = crew.store.tallies(&checkout.shop, since).await;
    let sums = sums.map_err(|_| Ended::not_sent("store_unavailable"))?;
    let standing = known.brake.map(|(cause, _)| cause);
    let standing = standing.filter(|cause| match cause {
        BrakeCause::StoreMoved => true,
        BrakeCause::UnknownRunaway
        | BrakeCause::EpochWentBack
        | BrakeCause::CanaryLost
        | BrakeCause::CanaryMissing => is_unknown,
        BrakeCause::RefundCount
        | BrakeCause::RefundSum
        | BrakeCause::RefundShare
        | BrakeCause::AmountScale => false,
    });
    let runs_away = is_unknown && guard::is_unknown_runaway(&last_hour(&sums));
    let runaway = runs_away.then_some(BrakeCause::UnknownRunaway);
    let found = standing.into_iter().chain(runaway);
    let mut found = found.filter(|cause| !ruling::overrides(checkout, cause.code()));
    Ok(found.next())
}

/// Lets the guard judge and count the refund in one transaction.
async fn count(
    crew: &Crew,
    row: &ActionRow,
    checkout: &Checkout,
    (limits, amount): (GuardLimits, Money),
    now: Time,
) -> Result<(), Ended> {
    let overridden = |key: &str| ruling::overrides(checkout, key);
    let judge = |known: &ShopRow, sums: &TallySums| match &known.brake {
        Some((cause, _)) if !overridden(cause.code()) => Err(*cause),
        Some(_) | None => guard::judge(&limits, &last_hour(sums), amount, overridden),
    };
    let tally = Tally {
        shop: row.shop.clone(),
        at: now,
        kind: TallyKind::Refund,
        amount: Some(amount),
    };
    let since = now.minus(Span::from_minutes(guard::WINDOW_MINUTES));
    match crew
        .store
        .admit_refund(&tally, since, leaves_first(checkout, &row.key), &judge)
        .await
    {
        Ok(Ok(())) => Ok(()),
        Ok(Err(cause)) => Err(braked(crew, row, cause, now).await),
        Err(error) => {
            tracing::warn!(%error, "the guard could not be asked; the refund waits");
            Err(Ended::not_sent("store_unavailable"))
        }
    }
}

/// Kept back, with the shop's brake pulled and the checkout told why.
pub(super) async fn braked(crew: &Crew, row: &ActionRow, cause: BrakeCause, now: Time) -> Ended {
    pull_brake(crew, &row.shop, cause, now).await;
    kept_back(cause, now)
}

/// Kept back, for this checkout alone.
pub(super) fn kept_back(cause: BrakeCause, now: Time) -> Ended {
    let mut ended = Ended::not_sent("braked");
    ended.facts.push(Fact::RefundBraked { at: now, cause });
    ended
}

/// True when no earlier attempt of this decision left the house: this one counts towards the
/// guard's limits.
fn leaves_first(checkout: &Checkout, key: &ActionKey) -> bool {
    let Some(ask) = checkout.asks.get(key) else {
        return true;
    };
    let was_kept_back = match ask.ended.as_ref().map(|ended| &ended.outcome) {
        None => true,
        Some(Outcome::NotSent { code }) => KEPT_BACK.contains(&code.as_str()),
        Some(
            Outcome::Unclear { .. }
            | Outcome::Throttled { .. }
            | Outcome::Postponed { .. }
            | Outcome::Unauthorized { .. }
            | Outcome::Malformed { .. }
            | Outcome::Refused { .. }
            | Outcome::Done,
        ) => false,
    };
    was_kept_back && ask.unclear_at.is_none() && ask.done_at.is_none()
}

/// The checkout as it stands in the store.
pub(super) async fn stored(crew: &Crew, row: &ActionRow) -> Result<Checkout, Ended> {
    let wanted = Wanted {
        checkouts: vec![row.named()],
        ..Wanted::default()
    };
    let found = crew.store.load(&wanted).await.ok();
    let loaded = found.and_then(|mut found| found.checkouts.remove(&row.checkout));
    loaded
        .filter(|loaded| loaded.unreadable.is_empty())
        .and_then(|loaded| serde_json::from_str(&loaded.row.document).ok())
        .ok_or_else(|| Ended::not_sent("store_unavailable"))
}

fn last_hour(sums: &TallySums) -> LastHour {
    let count = |kind| sums.counts.get(&kind).copied().unwrap_or(0);
    LastHour {
        captures: count(TallyKind::Capture),
        refunds: count(TallyKind::Refund),
        refunded: sums.refunded.clone(),
        orders_answered: count(TallyKind::OrderAnswered),
        orders_unknown: count(TallyKind::OrderUnknown),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::core::ids::{CheckoutId, ShopId};
    use crate::core::plan::ActionKind;

    fn after(outcomes: &[Outcome]) -> (Checkout, ActionKey) {
        let id = CheckoutId::made(1, &[0; 10]);
        let mut checkout = Checkout::new(id, ShopId::parse("klompen").unwrap(), None);
        let key = ActionKey::parse("refund-1").unwrap();
        for (attempt, outcome) in (1..).zip(outcomes) {
            checkout.observe(&Fact::AskAnswered {
                key: key.clone(),
                kind: ActionKind::Refund,
                attempt,
                sent_at: Time::from_seconds(i64::from(attempt)),
                at: Time::from_seconds(i64::from(attempt)),
                outcome: outcome.clone(),
                looks: None,
            });
        }
        (checkout, key)
    }

    fn not_sent(code: &str) -> Outcome {
        Outcome::NotSent {
            code: code.to_owned(),
        }
    }

    #[test]
    fn a_refund_counts_once_however_often_it_was_kept_back_before_it_left() {
        let unclear = Outcome::Unclear {
            code: "timeout".to_owned(),
        };
        for (outcomes, counts) in [
            (vec![], true),
            (vec![not_sent("awaiting_sweep")], true),
            (vec![not_sent("awaiting_sweep"), not_sent("braked")], true),
            (vec![not_sent("connection_refused")], false),
            (vec![unclear.clone()], false),
            (vec![unclear, not_sent("awaiting_sweep")], false),
        ] {
            let (checkout, key) = after(&outcomes);
            assert_eq!(leaves_first(&checkout, &key), counts, "{outcomes:?}");
        }
    }
}
