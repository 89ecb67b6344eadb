//! `GET /shops/{shop}/orders/{reference}`: how an order stands, for the shop's return page.
//!
//! Reads and shows; the shop's secret opens it, and an unknown shop answers as a wrong secret.

use super::problem::{Code, Problem};
use super::public::{Public, unreadable_store};
use crate::core::ids::{OrderRef, Reference, ShopId};
use crate::store::Wanted;
use axum::extract::{Path, State};
use axum::response::{IntoResponse, Response};
use http::{HeaderMap, HeaderValue, header};
use std::sync::Arc;

/// Shows one order's checkout.
#[tracing::instrument(name = "order.show", level = "debug", skip_all)]
pub(super) async fn show(
    State(public): State<Arc<Public>>,
    Path((shop, reference)): Path<(String, String)>,
    headers: HeaderMap,
) -> Response {
    let found = find(&public, &shop, &reference, &headers).await;
    let mut response = found.unwrap_or_else(IntoResponse::into_response);
    response
        .headers_mut()
        .insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    response
}

async fn find(
    public: &Public,
    shop: &str,
    reference: &str,
    headers: &HeaderMap,
) -> Result<Response, Problem> {
    let shop = admit(public, shop, headers).ok_or_else(|| Problem::new(Code::Unauthorized))?;
    let unknown = || Problem::new(Code::UnknownOrder);
    let reference = Reference::parse(reference).map_err(|_| unknown())?;
    let order = OrderRef { shop, reference };
    let wanted = Wanted {
        orders: vec![order.clone()],
        ..Wanted::default()
    };
    let found = public.store.load(&wanted).await.map_err(|error| {
        tracing::warn!(code = error.code(), %error, "an order cannot be looked up");
        unreadable_store()
    })?;
    let checkout = found
        .orders
        .get(&order)
        .and_then(|id| found.checkouts.get(id))
        .ok_or_else(unknown)?;
    let document = (public.show)(checkout).map_err(|error| {
        tracing::error!(%error, checkout = %checkout.row.id, "an order cannot be shown");
        Problem::new(Code::Internal)
    })?;
    let kind = [(header::CONTENT_TYPE, "application/json")];
    Ok((kind, document).into_response())
}

/// The shop whose secret the request carries.
fn admit(public: &Public, shop: &str, headers: &HeaderMap) -> Option<ShopId> {
    let shop = ShopId::parse(shop).ok()?;
    let mut fields = headers.get_all(header::AUTHORIZATION).iter();
    let field = fields.next()?.to_str().ok()?;
    if fields.next().is_some() {
        return None;
    }
    let (scheme, token) = field.split_once(' ')?;
    let roster = public.roster.load();
    let entry = roster.shops.get(&shop)?;
    let is_admitted =
        scheme.eq_ignore_ascii_case("bearer") && entry.adapter.admits_reader(token.trim_start());
    is_admitted.then_some(shop)
}
