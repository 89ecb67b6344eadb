//! The canary: a shop must find an order that it is known to have before its `unknown` counts.
//!
//! Each order alone looks like a perfect orphan when a shop was restored from a backup or answers
//! from the wrong database; only an order that must be there tells. Decides nothing about a
//! checkout: it only keeps back what cannot be taken back.

use super::admission::{braked, kept_back};
use super::attempt::{Crew, Ended, known_epoch, time_left, watch_epoch};
use crate::core::checkout::Checkout;
use crate::core::fact::{BrakeCause, RulingKind};
use crate::core::ids::Reference;
use crate::core::order::OrderStatus;
use crate::core::plan::{Reason, Verdict};
use crate::core::reconcile::ruling;
use crate::core::time::{Span, Time};
use crate::outbound::{CallLimits, SHOP_BODY_BYTES_MAX};
use crate::roster::ShopEntry;
use crate::shop::{ShopAnswer, ShopAsk};
use crate::store::ActionRow;

/// Time limit of the question about the canary, so that its lease leaves room for the call itself.
pub(super) const CANARY_CALL_MAX: Span = Span::from_seconds(5);

/// Lets pass what the shop's `unknown` leads to, once the shop has found the newest order that it
/// confirmed, or where there is none an order that it announced.
///
/// An operator who released the brake or resumed the checkout has vouched for the shop as it was
/// then; one who ruled a refund has looked for the order.
pub(super) async fn sings(
    crew: &Crew,
    row: &ActionRow,
    checkout: &Checkout,
    shop: &ShopEntry,
    until: Time,
) -> Result<(), Ended> {
    let causes = [BrakeCause::CanaryLost, BrakeCause::CanaryMissing];
    let mut causes = causes.into_iter();
    let is_overridden = causes.any(|cause| ruling::overrides(checkout, cause.code()));
    let ruled = checkout.ruling().map(|ruling| ruling.ruling);
    if !shop.policy.canary || is_overridden || ruled == Some(RulingKind::Refund) {
        return Ok(());
    }
    let now = crew.clock.now();
    // A replica that lags may not have the very newest yet.
    let before = now.minus(shop.policy.second_look);
    let newest = |standing| crew.store.newest_order(&row.shop, standing, before);
    let unavailable = |_| Ended::not_sent("store_unavailable");
    let confirmed = newest((Verdict::Settled, Reason::ConfirmedByShop)).await;
    let confirmed = confirmed.map_err(unavailable)?;
    let vouched = ruling::vouched_at(checkout);
    if let Some((_, reference)) = confirmed.filter(|(since, _)| Some(*since) > vouched) {
        if finds(crew, row, shop, reference, until).await? {
            return Ok(());
        }
        return Err(braked(crew, row, BrakeCause::CanaryLost, now).await);
    }
    if vouched.is_some() {
        return Ok(());
    }
    let announced = newest((Verdict::Open, Reason::AwaitingPayment)).await;
    if let Some((_, reference)) = announced.map_err(unavailable)?
        && finds(crew, row, shop, reference, until).await?
    {
        return Ok(());
    }
    tracing::warn!(
        shop = %row.shop, checkout.id = %row.checkout,
        "no order is known by which the shop could show that it finds any; kept back"
    );
    Err(kept_back(BrakeCause::CanaryMissing, now))
}

/// Does the shop know this order at all? A failure is not an answer.
async fn finds(
    crew: &Crew,
    row: &ActionRow,
    shop: &ShopEntry,
    reference: Reference,
    until: Time,
) -> Result<bool, Ended> {
    let asked_at = crew.clock.now();
    let id = format!("canary_{}_{}", row.checkout, asked_at.micros());
    let ask = ShopAsk::LookUp { reference };
    let request = shop.adapter.request(&ask, &id, asked_at);
    let limits = CallLimits {
        deadline: time_left(until, asked_at, CANARY_CALL_MAX),
        body_bytes_max: SHOP_BODY_BYTES_MAX,
    };
    let epoch_before = known_epoch(crew, &row.shop).await;
    let reply = crew.outbound.call(request, limits).await;
    let now = crew.clock.now();
    let (order, epoch) = match shop.adapter.answer(&ask, &row.key, asked_at, now, &reply) {
        ShopAnswer::Said { order, epoch } => (order, epoch),
        ShopAnswer::Accepted | ShopAnswer::Failed(_) => {
            return Err(Ended::not_sent("canary_unanswered"));
        }
    };
    if let Some(epoch) = epoch {
        watch_epoch(crew, &row.shop, (epoch_before, epoch), now).await;
    }
    let said = order.statement.map(|said| said.status);
    Ok(said.is_some_and(|status| status != OrderStatus::Unknown))
}
