//! What follows from what is known: `checkout.reconcile(now, &policy) -> Plan`.
//!
//! Pure and repeatable: it looks only at the checkout, the policy and `now`, and says the same
//! when asked twice. Read the stages in this order: `draft` (how a plan is put together),
//! `position` (where a payment's money is), `stand` (which stage a checkout is in), then
//! `waiting`, `confirm`, `give_back`, `refund` and `notices`.

mod cancel;
mod confirm;
mod draft;
mod forbidden;
mod give_back;
mod named;
mod notices;
pub mod position;
mod refund;
pub mod ruling;
mod stand;
mod waiting;

use super::checkout::Checkout;
use super::plan::Plan;
use super::policy::Policy;
use super::time::{Span, Time};
use draft::Draft;

/// Payments that are not finished are read again for this long; SEPA and bank transfers may
/// take weeks.
pub const WATCH_PAYMENTS_FOR: Span = Span::from_days(45);
/// A last look older than this no longer lets a refund leave, nor a confirm be repeated.
pub const LOOK_IS_FRESH_FOR: Span = Span::from_minutes(5);
/// A checkout that is held for the shop's silence or indecision asks again this often.
pub const ASK_WHILE_HELD_EVERY: Span = Span::from_hours(1);
/// A confirm says of itself that it is stale this long after it left: longer than a call may take
/// and clocks may differ, so that one that was queued on its way is not acted on later.
pub const CONFIRM_EXPIRES_AFTER: Span = Span::from_seconds(20);
/// An order may be made so long after the payment that names it, by a shop that writes orders when
/// the payer returns; a payment that is older still was made for another order of that number.
pub const ORDER_FOLLOWS_WITHIN: Span = Span::from_hours(24);
/// A payment that the PSP called dead may still turn out paid for this long, because news cross on
/// the way; after that nobody counted on it any more.
pub const REVIVES_WITHIN: Span = Span::from_hours(24);
/// Nobody captured an authorisation: held this long before it lapses.
pub const HOLD_BEFORE_LAPSE: Span = Span::from_hours(24);
/// A notice that the shop does not take is given up after this many attempts in a row.
pub const NOTICE_ATTEMPTS_MAX: u32 = 40;

impl Checkout {
    /// The plan for this checkout at this moment.
    pub fn reconcile(&self, now: Time, policy: &Policy) -> Plan {
        let mut draft = Draft::new(self, now, policy);
        let stand = stand::decide(&mut draft);
        notices::plan(&mut draft, &stand);
        draft.into_plan(stand)
    }
}
