//! The last gate before money leaves: swept since the start, still wanted, and within the guard.
//!
//! Asks the stored checkout right before a refund is sent, released or cancelled, and the guard. Decides nothing
//! that the core has not decided; it only keeps back.

use super::attempt::{Crew, Ended, pull_brake};
use crate::core::checkout::Checkout;
use crate::core::fact::{Fact, Outcome};
use crate::core::guard::{self, LastHour};
use crate::core::ids::ActionKey;
use crate::core::plan::Action;
use crate::core::reconcile::ruling;
use crate::core::time::{Span, Time};
use crate::store::{ActionRow, ShopRow, Tally, TallyKind, TallySums, Wanted};

/// Why an attempt to give money back did not leave the house; such an attempt does not count
/// towards the guard's limits.
const KEPT_BACK: [&str; 5] = [
    "awaiting_sweep",
    "braked",
    "no_longer_wanted",
    "shop_not_configured",
    "store_unavailable",
];
/// The last gate before money leaves: swept since start, still wanted by the stored checkout,
/// and let through by the guard.
pub(super) async fn admitted(crew: &Crew, row: &ActionRow, now: Time) -> Result<(), Ended> {
    let (payment, amount) = match &row.planned.action {
        Action::Refund {
            payment, amount, ..
        } => (Some(payment), Some(*amount)),
        Action::Void { payment, .. } => (Some(payment), None),
        // Nothing leaves, and the PSP's own clock is running: no sweep is waited for.
        Action::CancelRefund { .. } => (None, None),
        Action::Confirm { .. }
        | Action::LookUp { .. }
        | Action::Release { .. }
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
    if !plan
        .actions
        .iter()
        .any(|one| one.key == row.key && one.action == row.planned.action)
    {
        return Err(Ended::not_sent("no_longer_wanted"));
    }
    let Some(amount) = amount else { return Ok(()) };
    let overridden = |key: &str| ruling::overrides(&checkout, key);
    let limits = shop.policy.guard;
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
        .admit_refund(&tally, since, leaves_first(&checkout, &row.key), &judge)
        .await
    {
        Ok(Ok(())) => Ok(()),
        Ok(Err(cause)) => {
            pull_brake(crew, &row.shop, cause, now).await;
            let mut ended = Ended::not_sent("braked");
            ended.facts.push(Fact::RefundBraked { at: now, cause });
            Err(ended)
        }
        Err(error) => {
            tracing::warn!(%error, "the guard could not be asked; the refund waits");
            Err(Ended::not_sent("store_unavailable"))
        }
    }
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
            | Outcome::Unauthorized { .. }
            | Outcome::Malformed { .. }
            | Outcome::Refused { .. }
            | Outcome::Done,
        ) => false,
    };
    was_kept_back && ask.unclear_at.is_none() && ask.done_at.is_none()
}

async fn stored(crew: &Crew, row: &ActionRow) -> Result<Checkout, Ended> {
    let wanted = Wanted {
        checkouts: vec![row.checkout.clone()],
        ..Wanted::default()
    };
    let found = crew.store.load(&wanted).await.ok();
    let loaded = found.and_then(|mut found| found.checkouts.remove(&row.checkout));
    loaded
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
