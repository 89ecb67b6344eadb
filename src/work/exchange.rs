//! One exchange with a PSP: signed in where that PSP wants it, then step after step to its end.
//!
//! Shared by attempts and sweeps. The token of one account is fetched once, however many
//! exchanges wait for it. A call that was answered `401` changed nothing: once per exchange it is
//! made again with a new token. Knows no action and no listing.

use super::attempt::{Crew, time_left};
use crate::core::ids::AccountId;
use crate::core::time::{Span, Time};
use crate::outbound::{CallLimits, PSP_BODY_BYTES_MAX, breaker};
use crate::psp::{Psp, PspAnswer, PspAsk, Step};
use crate::wire::{Failure, Reply, Request};
use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};

/// Time limit of one call to a PSP.
pub const PSP_CALL_MAX: Span = Span::from_seconds(15);
/// Calls that one exchange with a PSP may take, signing in aside.
pub const EXCHANGE_STEPS_MAX: usize = 24;

/// One door per account, so that only one exchange at a time signs in.
#[derive(Clone, Default)]
pub struct SignIns(Arc<Mutex<BTreeMap<AccountId, Arc<tokio::sync::Mutex<()>>>>>);

impl SignIns {
    fn door(&self, account: &AccountId) -> Arc<tokio::sync::Mutex<()>> {
        let mut doors = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        doors.entry(account.clone()).or_default().clone()
    }
}

/// Runs an exchange with a PSP to its end, within the lease. Also says what its calls showed of the
/// PSP; none when none was made.
pub async fn exchange(
    crew: &Crew,
    psp: &dyn Psp,
    ask: &PspAsk,
    asked_at: Time,
    until: Time,
) -> (PspAnswer, Option<bool>) {
    let mut replies: Vec<Reply> = Vec::new();
    let mut is_alive = None;
    let mut may_sign_in_again = true;
    for _ in 0..EXCHANGE_STEPS_MAX {
        match signed_in(crew, psp, until).await {
            Ok(sign) => is_alive = both(is_alive, sign),
            Err((failure, sign)) => {
                let failure = not_signed_in(failure, &replies);
                return (PspAnswer::Failed(failure), both(is_alive, sign));
            }
        }
        match psp.step(ask, asked_at, &replies) {
            Step::Done(answer) => return (answer, is_alive),
            Step::Send(request) => {
                let reply = send(crew, request, until).await;
                is_alive = both(is_alive, breaker::sign_of_life(&[&reply]));
                if may_sign_in_again && is_signed_out(&reply) {
                    may_sign_in_again = false;
                    psp.signed_out();
                    if psp.sign_in(crew.clock.now()).is_some() {
                        continue;
                    }
                }
                replies.push(reply);
            }
        }
    }
    let failure = Failure::Unclear("exchange_too_long".to_owned());
    (PspAnswer::Failed(failure), Some(true))
}

/// Nothing was asked when the first sign-in failed; but a sign-in between two calls says nothing of
/// the call before it, which may have moved money.
fn not_signed_in(failure: Failure, replies: &[Reply]) -> Failure {
    if replies.is_empty() {
        failure
    } else {
        Failure::Unclear(failure.code().to_owned())
    }
}

/// What two calls show together: a sign of life only when neither failed.
fn both(one: Option<bool>, other: Option<bool>) -> Option<bool> {
    match (one, other) {
        (Some(one), Some(other)) => Some(one && other),
        (sign, None) | (None, sign) => sign,
    }
}

/// Signs in if the adapter wants it. A failure to sign in means that nothing was asked.
async fn signed_in(
    crew: &Crew,
    psp: &dyn Psp,
    until: Time,
) -> Result<Option<bool>, (Failure, Option<bool>)> {
    if psp.sign_in(crew.clock.now()).is_none() {
        return Ok(None);
    }
    let door = crew.sign_ins.door(psp.account());
    let _inside = door.lock().await;
    // Somebody else may have signed in while this one waited.
    let Some(request) = psp.sign_in(crew.clock.now()) else {
        return Ok(None);
    };
    let reply = send(crew, request, until).await;
    let is_alive = breaker::sign_of_life(&[&reply]);
    match psp.signed_in(&reply, crew.clock.now()) {
        Ok(()) => Ok(is_alive),
        Err(failure) => Err((failure, is_alive)),
    }
}

async fn send(crew: &Crew, request: Request, until: Time) -> Reply {
    let limits = CallLimits {
        deadline: time_left(until, crew.clock.now(), PSP_CALL_MAX),
        body_bytes_max: PSP_BODY_BYTES_MAX,
    };
    crew.outbound.call(request, limits).await
}

fn is_signed_out(reply: &Reply) -> bool {
    reply.as_ref().is_ok_and(|response| response.status == 401)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::wire::CallError;

    #[test]
    fn a_sign_in_that_fails_after_a_call_leaves_open_what_that_call_did() {
        let failure = || Failure::NotSent("dns".to_owned());
        assert_eq!(not_signed_in(failure(), &[]), failure());
        let made = [Err(CallError::Unclear("timeout"))];
        let unclear = Failure::Unclear("dns".to_owned());
        assert_eq!(not_signed_in(failure(), &made), unclear);
    }
}
