//! `[shop.NAME]` and `[shop.NAME.policy]`: the shops that are served, and what each chose.
//!
//! Knows no PSP. The defaults of the policy are the core's own.

use super::problem::Code;
use super::secret::{self, Secret, Surroundings};
use super::source::{Findings, Raised};
use super::table::{Field, Section};
use super::value::{self, Endpoint};
use super::vocabulary;
use crate::core::ids::ShopId;
use crate::core::policy::{GuardLimits, HoldOrRefund, LatePayment, Mode, Overpayment, Policy};
use std::ops::Range;

/// Most automatic refunds per hour that can be allowed.
const REFUNDS_PER_HOUR_MAX: u32 = 1_000_000;

/// How many calls a shop may have under way when nothing is said.
const CALLS_AT_ONCE: u32 = 8;
/// How many calls a shop may get per second when nothing is said.
const CALLS_PER_SECOND: u32 = 50;

/// The words of `kind`.
pub(super) const KINDS: &[(&str, ShopKind)] = &[("generic", ShopKind::Generic)];
/// The words of `mode`.
pub(super) const MODES: &[(&str, Mode)] = &[
    ("observe", Mode::Observe),
    ("confirm", Mode::Confirm),
    ("full", Mode::Full),
];
/// The words of `late_payment`.
pub(super) const LATE_PAYMENT: &[(&str, LatePayment)] = &[
    ("offer", LatePayment::Offer),
    ("refund", LatePayment::Refund),
];
/// The words of `overpayment`.
pub(super) const OVERPAYMENT: &[(&str, Overpayment)] = &[
    ("refund_excess", Overpayment::RefundExcess),
    ("hold", Overpayment::Hold),
];
/// The words of `underpayment` and `unreferenced`.
pub(super) const HOLD_OR_REFUND: &[(&str, HoldOrRefund)] = &[
    ("hold", HoldOrRefund::Hold),
    ("refund", HoldOrRefund::Refund),
];

/// The protocol a shop speaks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ShopKind {
    /// The signed protocol of this daemon.
    Generic,
}

/// A configured shop.
#[derive(Clone, Debug)]
pub struct ShopConfig {
    /// Its name for people; its key when none is given.
    pub name: String,
    /// The protocol it speaks.
    pub kind: ShopKind,
    /// Where it is called.
    pub url: Endpoint,
    /// Signs both directions: `whsec_` and Base64.
    pub secret: Secret,
    /// Still accepted from the shop while secrets rotate.
    pub previous_secret: Option<Secret>,
    /// How many of our calls it may have under way.
    pub calls_at_once: u32,
    /// How many of our calls it may get per second.
    pub calls_per_second: u32,
    /// Its rules and its mode; the accounts in it are empty, since the adapters know them.
    pub policy: Policy,
}

/// A shop with its place in the file.
pub(super) struct Placed {
    pub(super) id: ShopId,
    pub(super) at: Range<usize>,
    pub(super) shop: ShopConfig,
}

/// Reads `[shop.NAME]`.
pub(super) fn read(
    name: &str,
    field: &Field<'_>,
    surroundings: &Surroundings,
    out: &mut Findings<'_>,
) -> Option<Placed> {
    let id = ShopId::parse(name);
    if let Err(error) = id {
        let message = format!("the shop's key {} {error}", super::table::quoted(name));
        let raised = Raised::new(Code::BadName, field.key_at.clone(), message);
        out.raise(raised.accepted("1 to 64 letters, digits, `_` and `-`"));
    }
    let title = format!("[{}]", field.label);
    let section = Section::open(field, title, &[vocabulary::SHOP], out)?;
    let kinds = super::table::listed(KINDS.iter().map(|(word, _)| *word));
    let kind = section.required("kind", &kinds, out);
    let kind = kind.and_then(|field| value::word(&field, KINDS, out));
    let url = section.required("url", value::URL, out);
    let url = url.and_then(|field| value::url(&field, out));
    let shape: secret::Shape = secret::webhook_shape;
    let current = section.required("secret", secret::SOURCES, out);
    let current = current.and_then(|field| secret::secret(&field, shape, surroundings, out));
    let previous = section.field("previous_secret");
    let previous_secret =
        previous.and_then(|field| secret::secret(&field, shape, surroundings, out));
    let shown_name = section.read_or("name", name.to_owned(), out, value::name);
    let mode = section.read_or("mode", Policy::default().mode, out, |field, out| {
        value::word(field, MODES, out)
    });
    let calls_at_once = section.read_or("calls_at_once", CALLS_AT_ONCE, out, value::calls_at_once);
    let calls_per_second = section.read_or(
        "calls_per_second",
        CALLS_PER_SECOND,
        out,
        value::calls_per_second,
    );
    let label = &field.label;
    let policy = section.read_or("policy", Policy::default(), out, |field, out| {
        read_policy(field, format!("[{label}.policy]"), Policy::default(), out)
    });
    Some(Placed {
        id: id.ok()?,
        at: field.key_at.clone(),
        shop: ShopConfig {
            name: shown_name,
            kind: kind?,
            url: url?,
            secret: current?,
            previous_secret,
            calls_at_once,
            calls_per_second,
            policy: Policy { mode, ..policy },
        },
    })
}

/// Reads `[shop.NAME.policy]`; what it does not name stays as in `base`.
pub(super) fn read_policy(
    field: &Field<'_>,
    title: String,
    base: Policy,
    out: &mut Findings<'_>,
) -> Option<Policy> {
    let section = Section::open(field, title, &[vocabulary::POLICY], out)?;
    let positive = value::duration_above_zero;
    let hold_or_refund =
        |field: &Field<'_>, out: &mut Findings<'_>| value::word(field, HOLD_OR_REFUND, out);
    Some(Policy {
        order_grace: section.read_or("order_grace", base.order_grace, out, value::duration),
        second_look: section.read_or("second_look", base.second_look, out, positive),
        refund_delay: section.read_or("refund_delay", base.refund_delay, out, value::duration),
        reversal_wait: section.read_or("reversal_wait", base.reversal_wait, out, value::duration),
        refund_within: section.read_or("refund_within", base.refund_within, out, positive),
        confirm_patience: section.read_or("confirm_patience", base.confirm_patience, out, positive),
        outage_patience: section.read_or("outage_patience", base.outage_patience, out, positive),
        confirm_check: section.read_or("confirm_check", base.confirm_check, out, positive),
        refund_patience: section.read_or("refund_patience", base.refund_patience, out, positive),
        late_payment: section.read_or("late_payment", base.late_payment, out, |field, out| {
            value::word(field, LATE_PAYMENT, out)
        }),
        overpayment: section.read_or("overpayment", base.overpayment, out, |field, out| {
            value::word(field, OVERPAYMENT, out)
        }),
        underpayment: section.read_or("underpayment", base.underpayment, out, hold_or_refund),
        unreferenced: section.read_or("unreferenced", base.unreferenced, out, hold_or_refund),
        tolerance: section.read_or("tolerance", base.tolerance, out, value::money),
        canary: section.read_or("canary", base.canary, out, value::truth),
        auto_refund_limit: section.read_or(
            "auto_refund_limit",
            base.auto_refund_limit,
            out,
            value::money,
        ),
        guard: read_guard(&section, base.guard, out),
        mode: base.mode,
        accounts: base.accounts,
    })
}

fn read_guard(section: &Section<'_>, base: GuardLimits, out: &mut Findings<'_>) -> GuardLimits {
    let count = |field: &Field<'_>, out: &mut Findings<'_>| {
        value::count(field, 0..=REFUNDS_PER_HOUR_MAX, out)
    };
    GuardLimits {
        max_refunds_per_hour: section.read_or(
            "max_refunds_per_hour",
            base.max_refunds_per_hour,
            out,
            count,
        ),
        max_refund_sum_per_hour: section.read_or(
            "max_refund_sum_per_hour",
            base.max_refund_sum_per_hour,
            out,
            value::money,
        ),
        max_refund_share_millionths: section.read_or(
            "max_refund_share",
            base.max_refund_share_millionths,
            out,
            value::share_millionths,
        ),
    }
}
