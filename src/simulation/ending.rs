//! The end of a run: trouble has ended, and every customer has order or money, or is on the
//! operators' list by name.
//!
//! Reads the sandboxes' books, and asks the daemon one thing: its public view of what is held.

use super::act::Expects;
use super::judge;
use super::keys::ACCOUNT;
use super::ledger::{Failure, Touch};
use super::setting::Setting;
use super::stage::Stage;
use crate::audit;
use crate::core::plan::Verdict;
use crate::core::time::Time;
use crate::http::view;
use crate::psp::rules::Claims;
use crate::sandbox::books::{self, Customer, Judgement};
use crate::store::memory::MemoryStore;
use crate::store::{CheckoutFilter, Store};
use futures_util::FutureExt;
use std::collections::BTreeMap;

/// Most checkouts of a run.
const CHECKOUTS_MAX: u32 = 10_000;

/// What the daemon shows to everyone.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Shown {
    /// Why each order or payment is held.
    pub held: BTreeMap<String, String>,
    /// What still moves, with verdict and reason.
    pub moving: BTreeMap<String, String>,
}

/// Reads the daemon's public view.
pub fn shown(store: &MemoryStore) -> Shown {
    let filter = CheckoutFilter {
        limit: CHECKOUTS_MAX,
        ..CheckoutFilter::default()
    };
    let rows = store.checkouts(&filter).now_or_never();
    let rows = rows.and_then(Result::ok).unwrap_or_default();
    let mut shown = Shown::default();
    for loaded in rows {
        let row = &loaded.row;
        let reference = row.reference.as_ref().map(ToString::to_string);
        match row.verdict {
            Verdict::Held => {
                let view = view::checkout(&loaded).ok();
                let payments = view.into_iter().flat_map(|view| view.payments);
                let names = payments.map(|payment| payment.id).chain(reference);
                for name in names {
                    shown.held.insert(name, row.reason.code().to_owned());
                }
            }
            Verdict::Matching | Verdict::Confirming | Verdict::Releasing | Verdict::Refunding => {
                let name = reference.unwrap_or_else(|| row.id.to_string());
                let stands = format!("{} {}", row.verdict.code(), row.reason.code());
                shown.moving.insert(name, stands);
            }
            Verdict::Open
            | Verdict::Settled
            | Verdict::Returned
            | Verdict::Closed
            | Verdict::Foreign => {}
        }
    }
    shown
}

/// The books, with payments that an order names counted with that order.
fn customers(stage: &Stage, setting: &Setting) -> BTreeMap<String, Customer> {
    let ledger = &stage.ledger;
    let mut all = books::compare(&stage.world.psp, &stage.world.shop);
    for (payment, owner) in &ledger.owners {
        let Some(alone) = all.remove(payment) else {
            continue;
        };
        let with = all.entry(owner.clone()).or_default();
        for (sum, more) in [
            (&mut with.charged, alone.charged),
            (&mut with.refunded, alone.refunded),
            (&mut with.returning, alone.returning),
            (&mut with.charged_back, alone.charged_back),
            (&mut with.authorised, alone.authorised),
        ] {
            *sum = sum.saturating_add(more);
        }
        with.currency = with.currency.or(alone.currency);
    }
    if setting.claims == Claims::Referenced {
        all.retain(|customer, _| !ledger.strangers.contains(customer));
    }
    for (customer, one) in &mut all {
        if judge::is_paid_elsewhere(stage, customer) {
            // What others paid for is not owed by the money that is counted here.
            one.owed = Some(0);
        }
    }
    all
}

/// Everyone who has neither order nor money, and whether that is somebody else's doing.
fn troubles(stage: &Stage, setting: &Setting) -> BTreeMap<String, (Judgement, bool)> {
    let slack = setting.policy.tolerance.minor();
    let mut found = BTreeMap::new();
    for (name, customer) in customers(stage, setting) {
        let judgement = customer.judgement();
        let owed = customer.owed.unwrap_or(0);
        let is_near = customer.kept().abs_diff(owed) <= slack.unsigned_abs();
        let excuses: &[Touch] = match judgement {
            Judgement::Fine => continue,
            Judgement::UnderWay | Judgement::Mixed => &[],
            Judgement::ChargedWithoutOrder => &[
                Touch::CancelledAfterConfirm,
                Touch::Restored,
                Touch::Settled,
            ],
            Judgement::ChargedTooMuch if is_near => continue,
            Judgement::OrderWithoutMoney if is_near => continue,
            Judgement::ChargedTooMuch => &[
                Touch::Repriced,
                Touch::Settled,
                Touch::ConfirmForced,
                Touch::Restored,
            ],
            Judgement::OrderWithoutMoney | Judgement::RefundedAndShipped => &[
                Touch::StaffRefunded,
                Touch::Disputed,
                Touch::ConfirmedItself,
                Touch::Repriced,
                Touch::ConfirmForced,
                Touch::Restored,
                Touch::Disowned,
                Touch::ForgottenRefunded,
            ],
            Judgement::RefundedTwice => &[
                Touch::Disputed,
                Touch::StaffRefunded,
                Touch::Repriced,
                Touch::ConfirmedItself,
                Touch::Restored,
                Touch::Disowned,
            ],
            Judgement::ConfirmedTwice => {
                // A shop that takes back what it confirmed, and may revive it, thanks again; one
                // that did not know it for a while does so, too.
                &[
                    Touch::Denied,
                    Touch::ConfirmedItself,
                    Touch::CancelledAfterConfirm,
                    Touch::Restored,
                    Touch::LateConfirm,
                ]
            }
        };
        // Whom to pay back when the goods left and the order was cancelled all the same is an
        // operator's to say.
        let is_told = judgement == Judgement::RefundedAndShipped
            && !customer.is_confirmed
            && stage.ledger.was_touched(&name, &[Touch::RefundOrdered]);
        let is_excused = is_told || stage.ledger.was_touched(&name, excuses);
        found.insert(name, (judgement, is_excused));
    }
    found
}

/// Is everyone at rest: with order or money, or held, and nobody held who could do without?
pub fn is_at_rest(stage: &Stage, setting: &Setting, store: &MemoryStore) -> bool {
    let shown = shown(store);
    if !shown.moving.is_empty() {
        return false;
    }
    let all = customers(stage, setting);
    let is_idle = all
        .keys()
        .all(|name| held_without_need(stage, setting, &shown, name).is_none());
    let troubles = troubles(stage, setting);
    let mut open = troubles
        .iter()
        .filter(|(name, (_, is_excused))| !is_excused && !is_held(stage, &shown, name));
    is_idle && open.next().is_none()
}

/// Why a customer is held to whom nothing unusual happened; guards hold whomever they meet.
fn held_without_need<'a>(
    stage: &Stage,
    setting: &Setting,
    shown: &'a Shown,
    customer: &str,
) -> Option<&'a String> {
    let is_calm = stage.ledger.expects.get(customer) == Some(&Expects::Calm);
    // A shop that did not know the order for a while knows it in the end.
    let lasts = |touch: &Touch| !matches!(touch, Touch::Denied | Touch::Disowned);
    let touches = stage.ledger.touches.get(customer);
    let is_touched = touches.is_some_and(|touches| touches.iter().any(lasts));
    let why = why_held(stage, shown, customer)?;
    // Where little is kept, a payment is soon too old to be refunded.
    let is_too_old = setting.kept_for.is_some() && why == "not_refundable";
    let is_guarded = why.starts_with("guard_") || why == "above_auto_refund_limit" || is_too_old;
    (is_calm && !is_touched && !is_guarded).then_some(why)
}

fn is_held(stage: &Stage, shown: &Shown, customer: &str) -> bool {
    why_held(stage, shown, customer).is_some()
}

fn why_held<'a>(stage: &Stage, shown: &'a Shown, customer: &str) -> Option<&'a String> {
    let owners = stage.ledger.owners.iter();
    let mut payments = owners.filter(|(_, owner)| owner.as_str() == customer);
    shown
        .held
        .get(customer)
        .or_else(|| payments.find_map(|(payment, _)| shown.held.get(payment)))
}

/// Everything that is wrong at the end.
pub fn judge(stage: &Stage, setting: &Setting, store: &MemoryStore, now: Time) -> Vec<Failure> {
    let mut failures = Vec::new();
    let mut fail = |rule, about: &str, detail: String| {
        failures.push(Failure {
            rule,
            about: about.to_owned(),
            detail,
            at: now,
        });
    };
    let shown = shown(store);
    let all = customers(stage, setting);
    for (name, (judgement, is_excused)) in troubles(stage, setting) {
        let customer = all.get(&name).cloned().unwrap_or_default();
        let lines = format!("{}; {}", customer.psp_line(), customer.shop_line());
        let is_bad_whatever = matches!(
            judgement,
            Judgement::RefundedTwice | Judgement::ConfirmedTwice | Judgement::UnderWay
        );
        if !is_excused && (is_bad_whatever || !is_held(stage, &shown, &name)) {
            fail("out_of_pocket", &name, format!("{judgement}: {lines}"));
        }
    }
    for (name, stands) in &shown.moving {
        fail("no_rest", name, format!("still {stands}"));
    }
    for name in all.keys() {
        let Some(why) = why_held(stage, &shown, name) else {
            continue;
        };
        if why == "invariant_breach" {
            fail(
                "invariant_breach",
                name,
                "the daemon stopped itself".to_owned(),
            );
        }
        if held_without_need(stage, setting, &shown, name).is_some() {
            fail("held_without_need", name, format!("held: {why}"));
        }
    }
    let audited = audit::run(store).now_or_never();
    match audited {
        Some(Ok(report)) if report.is_clean() => {}
        Some(Ok(report)) => {
            let first = report.differences.first().cloned();
            fail("audit", ACCOUNT, first.unwrap_or_default());
        }
        Some(Err(error)) => fail("audit", ACCOUNT, error.to_string()),
        None => fail("audit", ACCOUNT, "the store did not answer".to_owned()),
    }
    failures
}
