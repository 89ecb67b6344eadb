//! `POST /webhooks/{account}`: verify, record, acknowledge as the PSP wants it.
//!
//! Does not read what a delivery says: that is the engine's, later. A delivery that fails
//! verification changes nothing and its sender learns nothing. Where the signer's key must be
//! fetched first, a worker is asked and waited for briefly; nothing is called from here.

use super::counters::{Outcome, SenderKind};
use super::intake::NotTaken;
use super::problem::{Code, Problem};
use super::public::{Arrived, Public, come_again, delivery_id, unsigned_id, verify_for_nobody};
use crate::core::ids::AccountId;
use crate::psp::{Acknowledgement, Verification};
use crate::store::{Appended, NewDelivery, Sender, ToldAt};
use axum::extract::{Path, Request, State};
use axum::response::{IntoResponse, Response};
use http::{HeaderValue, Method, StatusCode, header};
use std::sync::Arc;
use std::time::Duration;

/// Longest that a delivery waits for the key it is signed with. PSPs want their answer within
/// seconds and come again otherwise.
pub const KEY_PATIENCE: Duration = Duration::from_secs(4);
/// What a sender is told to wait while its key cannot be had, in seconds.
const RETRY_AFTER_KEY_S: u32 = 10;
/// Most wishes for one delivery: other senders' keys may be fetched before its own.
const KEY_WISHES_MAX: u32 = 3;

/// What verifying found, short of a refusal.
enum Examined {
    /// Verified: to be recorded and acknowledged.
    Verified(NewDelivery, Acknowledgement),
    /// This account's adapter misses the key.
    NeedsKey,
}

/// Receives one delivery.
#[tracing::instrument(name = "webhook.receive", level = "debug", skip_all, fields(account))]
pub(super) async fn receive(
    State(public): State<Arc<Public>>,
    Path(account): Path<String>,
    request: Request,
) -> Response {
    let arrived = match Arrived::take(request, &public.clock).await {
        Ok(arrived) => arrived,
        Err(problem) => return problem.into_response(),
    };
    let verified = with_key(&public, &account, &arrived).await;
    let (delivery, acknowledgement) = match verified {
        Ok(verified) => verified,
        Err(problem) => return problem.into_response(),
    };
    let sender = delivery.sender.clone();
    match public.intake.submit(delivery).await {
        Ok(Appended::New | Appended::Duplicate) => acknowledge(&acknowledgement),
        Ok(Appended::Conflict) => {
            tracing::warn!(
                sender = sender.code(),
                "a delivery came again under the same id with another body; it is parked"
            );
            acknowledge(&acknowledgement)
        }
        Err(not_taken) => come_again(not_taken).into_response(),
    }
}

/// Verifies, and once more after the missing key was asked for.
async fn with_key(
    public: &Public,
    account: &str,
    arrived: &Arrived,
) -> Result<(NewDelivery, Acknowledgement), Problem> {
    if let Examined::Verified(delivery, acknowledgement) = examine(public, account, arrived)? {
        return Ok((delivery, acknowledgement));
    }
    let asked = async {
        for _ in 0..KEY_WISHES_MAX {
            if !public.keys.ask().await {
                return Ok(None);
            }
            if let Examined::Verified(delivery, acknowledgement) =
                examine(public, account, arrived)?
            {
                return Ok(Some((delivery, acknowledgement)));
            }
        }
        Ok(None)
    };
    let found = tokio::time::timeout(KEY_PATIENCE, asked).await;
    if let Some(verified) = found.unwrap_or(Ok(None))? {
        return Ok(verified);
    }
    public.counters.count(SenderKind::Psp, Outcome::KeyMissing);
    tracing::debug!("a delivery came whose signer's key cannot be had now");
    Err(Problem::new(Code::KeyUnavailable).retry_after(RETRY_AFTER_KEY_S))
}

/// Verifies; everything but a delivery worth recording is answered here.
fn examine(public: &Public, account: &str, arrived: &Arrived) -> Result<Examined, Problem> {
    let roster = public.roster.load();
    let entry = AccountId::parse(account)
        .ok()
        .and_then(|account| roster.accounts.get_key_value(&account));
    let takes_get = entry.is_some_and(|(_, entry)| entry.adapter.takes_get());
    if !(arrived.method == Method::POST || takes_get && arrived.method == Method::GET) {
        let allowed = if takes_get { "GET, POST" } else { "POST" };
        return Err(Problem::new(Code::MethodNotAllowed).allow(allowed));
    }
    let Some((account, entry)) = entry else {
        verify_for_nobody(&arrived.body);
        public
            .counters
            .count(SenderKind::Psp, Outcome::UnknownSender);
        return Err(Problem::new(Code::UnknownAccount));
    };
    // Only a configured name gets into the log.
    tracing::Span::current().record("account", account.as_str());
    let adapter = &entry.adapter;
    let sender = Sender::Psp(account.clone());
    let (named, told_at, is_signed) = match adapter.verify(&arrived.raw(), arrived.at) {
        Verification::Signed { delivery_id } => (delivery_id, adapter.told_at(&arrived.body), true),
        Verification::Unsigned { delivery_id } => {
            if !public.unsigned.takes(account, entry.pace, arrived.at) {
                public.counters.count(SenderKind::Psp, Outcome::QueueFull);
                return Err(come_again(NotTaken::QueueFull));
            }
            let named = unsigned_id(&delivery_id, arrived.at);
            (Some(named), Some(arrived.at), false)
        }
        Verification::NeedsKey => return Ok(Examined::NeedsKey),
        Verification::Rejected(rejection) => {
            let is_kept = |name: &str| adapter.is_signature_field(name);
            return Err(public.reject(&sender, arrived, rejection, is_kept));
        }
    };
    // A notification by GET says what it says in its query.
    let body = if arrived.method == Method::GET {
        arrived.query.as_bytes()
    } else {
        &arrived.body
    };
    let delivery = NewDelivery {
        sender,
        delivery_id: delivery_id(named.as_deref(), body),
        received_at: arrived.at,
        told_at: told_at.and_then(ToldAt::of),
        is_signed,
        body: body.to_vec(),
    };
    Ok(Examined::Verified(delivery, adapter.acknowledgement()))
}

fn acknowledge(acknowledgement: &Acknowledgement) -> Response {
    let status = StatusCode::from_u16(acknowledgement.status).unwrap_or(StatusCode::OK);
    let mut response = (status, acknowledgement.body).into_response();
    let fields = response.headers_mut();
    fields.remove(header::CONTENT_TYPE);
    if let Some(kind) = acknowledgement.content_type {
        fields.insert(header::CONTENT_TYPE, HeaderValue::from_static(kind));
    }
    response
}
