//! `POST /shops/{shop}/events`: verify, check, record, answer 202.
//!
//! Unlike a PSP's, a signed event that cannot be read is refused: its sender is the shop's own
//! code, which can be mended. What an event means is the engine's, later.

use super::counters::{Outcome, SenderKind};
use super::problem::{Code, Problem};
use super::public::{Arrived, Public, come_again, delivery_id, verify_for_nobody};
use crate::core::ids::ShopId;
use crate::psp::{Rejection, Unreadable, Verification};
use crate::store::{Appended, NewDelivery, Sender, ToldAt};
use axum::extract::{Path, Request, State};
use axum::response::{IntoResponse, Response};
use http::StatusCode;
use std::sync::Arc;

/// Receives one event.
#[tracing::instrument(name = "shop_event.receive", level = "debug", skip_all, fields(shop))]
pub(super) async fn receive(
    State(public): State<Arc<Public>>,
    Path(shop): Path<String>,
    request: Request,
) -> Response {
    let arrived = match Arrived::take(request, &public.clock).await {
        Ok(arrived) => arrived,
        Err(problem) => return problem.into_response(),
    };
    let delivery = match examine(&public, &shop, &arrived) {
        Ok(delivery) => delivery,
        Err(problem) => return problem.into_response(),
    };
    let sender = delivery.sender.clone();
    match public.intake.submit(delivery).await {
        Ok(Appended::New | Appended::Duplicate) => StatusCode::ACCEPTED.into_response(),
        Ok(Appended::Conflict) => {
            tracing::warn!(
                sender = sender.code(),
                "an event came again under the same id with another body; it is parked"
            );
            StatusCode::ACCEPTED.into_response()
        }
        Err(not_taken) => come_again(not_taken).into_response(),
    }
}

/// Verifies and reads; everything but an event worth recording is answered here.
fn examine(public: &Public, shop: &str, arrived: &Arrived) -> Result<NewDelivery, Problem> {
    let roster = public.roster.load();
    let entry = ShopId::parse(shop)
        .ok()
        .and_then(|shop| roster.shops.get_key_value(&shop));
    let Some((shop, entry)) = entry else {
        verify_for_nobody(&arrived.body);
        public
            .counters
            .count(SenderKind::Shop, Outcome::UnknownSender);
        return Err(Problem::new(Code::UnknownShop));
    };
    // Only a configured name gets into the log.
    tracing::Span::current().record("shop", shop.as_str());
    let adapter = &entry.adapter;
    let sender = Sender::Shop(shop.clone());
    let is_kept = |name: &str| adapter.is_signature_field(name);
    let named = match adapter.verify(&arrived.raw(), arrived.at) {
        Verification::Signed { delivery_id } => delivery_id,
        // There is no hint that could be fetched from a shop: without a signature, no event.
        Verification::Unsigned { .. } => {
            return Err(public.reject(&sender, arrived, Rejection::MissingSignature, is_kept));
        }
        // Shops sign with a shared secret; there is no key to fetch.
        Verification::NeedsKey => {
            return Err(public.reject(&sender, arrived, Rejection::WrongSecret, is_kept));
        }
        Verification::Rejected(rejection) => {
            return Err(public.reject(&sender, arrived, rejection, is_kept));
        }
    };
    if let Err(unreadable) = adapter.read(&arrived.body, arrived.at) {
        public.counters.count(SenderKind::Shop, Outcome::Malformed);
        let diagnosis = format!("malformed: {}", unreadable.code);
        public.keep(&sender, arrived, true, diagnosis, is_kept);
        return Err(malformed(unreadable));
    }
    Ok(NewDelivery {
        sender,
        delivery_id: delivery_id(named.as_deref(), &arrived.body),
        received_at: arrived.at,
        told_at: adapter.told_at(&arrived.body).and_then(ToldAt::of),
        is_signed: true,
        body: arrived.body.to_vec(),
    })
}

/// Names the kind of mistake and its place, and repeats nothing of the event.
fn malformed(unreadable: Unreadable) -> Problem {
    Problem::new(Code::MalformedEvent)
        .detail(unreadable.detail)
        .with("reason", unreadable.code)
}
