//! Payments that somebody named without showing them: read again, and forgotten when the PSP
//! knows no such payment.
//!
//! A delivery without a signature may be anybody's. It costs at most two reads, and brings
//! nothing into being that a person would have to look at. Decides nothing about money.

use super::WATCH_PAYMENTS_FOR;
use super::draft::{Draft, Stand};
use crate::core::checkout::Ended;
use crate::core::ids::PaymentRef;
use crate::core::payment::Payment;
use crate::core::plan::{Reason, Verdict};
use crate::core::time::Span;

/// A payment that is named again and again is read no oftener than this.
const READ_AGAIN_AFTER: Span = Span::from_seconds(5);
/// Reads that the PSP denied before hearsay is dropped; more than one, since it may have told us
/// of the payment before it can show it.
const DENIALS_MAX: u32 = 2;

/// Wants a read of each payment that was named since it was last read.
pub(super) fn read_what_was_named(draft: &mut Draft<'_>) {
    let named: Vec<(&PaymentRef, &Payment)> = draft
        .our_payments()
        .filter(|(_, state)| state.is_named_unread())
        .collect();
    for (payment, state) in named {
        let Some(at) = state.named_at.filter(|_| draft.can_read(payment)) else {
            continue;
        };
        if draft.now >= at.plus(WATCH_PAYMENTS_FOR) {
            continue;
        }
        match denied(draft, payment, state) {
            None => {
                let rested = state.read_at.map_or(at, |read| read.plus(READ_AGAIN_AFTER));
                draft.fetch(payment, at.max(rested));
            }
            Some(ended) if is_only_hearsay(draft, payment, state) && !is_dropped(ended) => {
                draft.fetch(payment, ended.at);
            }
            Some(_) => {}
        }
    }
}

/// Nothing here but payments that nobody vouches for and the PSP does not know.
pub(super) fn unknown_at_psp(draft: &Draft<'_>) -> Option<Stand> {
    let mut payments = draft.checkout.own_payments().peekable();
    payments.peek()?;
    let all_dropped = payments.all(|(payment, state)| {
        let denied = denied(draft, payment, state);
        is_only_hearsay(draft, payment, state) && denied.is_some_and(is_dropped)
    });
    let is_all = all_dropped && draft.checkout.reference.is_none();
    is_all.then(|| Stand::new(Verdict::Foreign, Reason::UnknownAtPsp))
}

/// True when nobody vouches for the payment: no source that cannot be forged, and no order.
pub(super) fn is_only_hearsay(draft: &Draft<'_>, payment: &PaymentRef, state: &Payment) -> bool {
    state.is_hearsay() && !draft.checkout.order.claims.contains(payment)
}

/// How the latest read ended, when it left after the payment was named and the PSP declined.
fn denied<'a>(draft: &Draft<'a>, payment: &PaymentRef, state: &Payment) -> Option<&'a Ended> {
    let ask = draft.fetch_ask(payment)?;
    ask.refusal()?;
    let ended = ask.ended.as_ref();
    ended.filter(|ended| Some(ended.sent_at) >= state.named_at)
}

fn is_dropped(ended: &Ended) -> bool {
    ended.attempt >= DENIALS_MAX
}
