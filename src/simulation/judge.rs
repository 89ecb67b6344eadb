//! The judge: the promises, held against the sandboxes' own books and what crossed the wire, at
//! every step at which money moves or an order is confirmed.
//!
//! A model of its own: it knows nothing of what the daemon stores or believes. What is not a
//! failure, because no daemon could know or prevent it:
//!
//! - the shop confirms by itself after it gave the order up, or between the daemon's last look
//!   and the refund: the refund stands, and the customer must be on the operators' list;
//! - the shop was restored from a backup and forgot what it had confirmed or released;
//! - the shop, asked to release, does not know the order that it had confirmed, and an operator
//!   ordered the money back or the policy keeps no canary;
//! - an operator ordered money back that names no order and is older than all that is kept;
//! - staff refunds, or the payer disputes, after the daemon's last look at the payment: the PSP
//!   itself refuses more than is left;
//! - a call that was held up in the network and took effect after its caller gave up, as long as
//!   the shop's release or the PSP's key made it harmless;
//! - a payment whose money was taken twice goes back in parts only, which the PSP may refuse;
//! - staff edits an order: the least that it ever cost is what must stay.

use super::ledger::{Ledger, Said, Touch};
use super::setting::Setting;
use super::stage::Stage;
use crate::core::money::Money;
use crate::core::policy::{HoldOrRefund, Policy};
use crate::core::time::{Span, Time};
use crate::sandbox::psp::Records;
use crate::sandbox::shop::{ShopCall, Standing};

/// A shop may confirm so long after the daemon's last look without anyone's fault: the look is
/// good for five minutes, and the call has its own time.
const RACE: Span = Span::from_minutes(7);
/// A confirm that left so long ago is its lease's affair, not one under way.
const UNDER_WAY: Span = Span::from_seconds(15);
/// What clocks that are read apart may differ by.
const SLACK: Span = Span::from_seconds(2);

/// Which rules cannot be held in a run, since clocks or rulings make them unknowable from outside.
#[derive(Clone, Copy, Debug, Default)]
pub struct Blurred {
    /// The daemon's clock is off at times: lengths cannot be compared.
    pub clocks: bool,
    /// Operators rule: they may override limits.
    pub rulings: bool,
    /// The daemon dies, stands still or loses its store at times: counts may be ahead of the wire.
    pub memory: bool,
}

/// The sums of one customer's payments.
#[derive(Clone, Copy, Debug, Default)]
struct Sums {
    charged: i64,
    refunded_by_us: i64,
    refunded: i64,
    disputed: i64,
}

fn sums(records: &Records, ledger: &Ledger, customer: &str) -> Sums {
    let mut sums = Sums::default();
    let add = |sum: &mut i64, minor: i64| *sum = sum.saturating_add(minor);
    for intent in records.payments.values().filter(|one| !one.is_live) {
        if ledger.owner(&intent.id) != customer {
            continue;
        }
        add(&mut sums.charged, records.received(&intent.id));
        let refunds = records.refunds.values();
        let standing = refunds.filter(|one| one.payment == intent.id && one.status.stands());
        for refund in standing {
            add(&mut sums.refunded, refund.amount);
            if !refund.is_by_staff {
                add(&mut sums.refunded_by_us, refund.amount);
            }
        }
        let disputes = records.disputes.values();
        for dispute in disputes.filter(|one| one.payment == intent.id) {
            if dispute.status != crate::sandbox::psp::DisputeStatus::Won {
                add(&mut sums.disputed, dispute.amount);
            }
        }
    }
    sums
}

/// Whether the shop's own payments by others pay an order.
fn is_paid_by_strangers(stage: &Stage, reference: &str) -> bool {
    let order = stage.world.shop.order(reference);
    order.is_some_and(|order| {
        let mut named = order.paid_by.iter();
        !order.paid_by.is_empty() && named.all(|(account, _)| account != super::keys::ACCOUNT)
    })
}

/// A payment of nobody who could be named is its own customer.
fn is_stranger(stage: &Stage, customer: &str) -> bool {
    customer.starts_with("pi_") && stage.world.shop.order(customer).is_none()
}

/// A refund was booked at the PSP by the daemon's call.
pub fn refund_booked(
    stage: &mut Stage,
    setting: &Setting,
    (refund, key): (&str, &str),
    blurred: Blurred,
    now: Time,
) {
    let records = stage.world.psp.records();
    let Some(refund) = records.refunds.get(refund) else {
        return;
    };
    let (payment, minor) = (refund.payment.clone(), refund.amount);
    let customer = stage.ledger.owner(&payment);
    let mut broken: Vec<(&'static str, String)> = Vec::new();
    if key.is_empty() {
        broken.push((
            "no_key",
            format!("a refund of {payment} came without a key"),
        ));
    } else if stage.ledger.booked.contains(key) {
        broken.push((
            "never_twice",
            format!("{payment}: a second refund under the key {key}"),
        ));
    }
    if let Some(both) = never_both(stage, &customer, now) {
        broken.push(both);
    }
    // A request that was held up on its way is judged by what was known when it left.
    let left = stage.ledger.leaving.get(key);
    let left_as_stranger = left.is_some_and(|left| left.is_of_stranger);
    if !left_as_stranger && !is_stranger(stage, &customer) {
        broken.extend(without_reason(
            stage,
            setting,
            &customer,
            (&payment, blurred),
            now,
        ));
    } else {
        broken.extend(unreferenced(stage, setting, &payment, blurred, now));
    }
    stage.ledger.booked.insert(key.to_owned());
    for (rule, detail) in broken {
        let detail = format!("{detail} (refund of {minor} under {key})");
        stage.ledger.fail(now, rule, &customer, detail);
    }
}

/// The same cent is not confirmed and refunded by us.
fn never_both(stage: &Stage, customer: &str, now: Time) -> Option<(&'static str, String)> {
    let order = stage.world.shop.order(customer)?;
    if order.standing != Standing::Confirmed || is_paid_by_strangers(stage, customer) {
        return None;
    }
    let ledger = &stage.ledger;
    let excused = [
        Touch::BrokeItsWord,
        Touch::Restored,
        Touch::Disowned,
        Touch::ForgottenRefunded,
    ];
    let heard = ledger
        .heard(customer)
        .filter_map(|said| said.heard_at)
        .max();
    let is_race = ledger.was_touched(customer, &[Touch::ConfirmedItself])
        && heard.is_none_or(|heard| now.since(heard) < RACE)
        && ledger
            .heard(customer)
            .last()
            .is_none_or(|said| said.status != "confirmed");
    if is_race || ledger.was_touched(customer, &excused) {
        return None;
    }
    let sums = sums(stage.world.psp.records(), ledger, customer);
    let owed = ledger
        .least_amount(customer)
        .unwrap_or(order.amount.minor());
    let owed = owed.min(sums.charged);
    let with = sums.refunded_by_us.saturating_add(owed);
    (with > sums.charged).then(|| {
        let detail = format!(
            "the order of {owed} is confirmed, {} was charged, and we gave back {}",
            sums.charged, sums.refunded_by_us
        );
        ("never_both", detail)
    })
}

/// Money of an order goes back only with the shop's reason, its release, the delay and the last
/// look.
fn without_reason(
    stage: &Stage,
    setting: &Setting,
    customer: &str,
    (payment, blurred): (&str, Blurred),
    now: Time,
) -> Vec<(&'static str, String)> {
    let ledger = &stage.ledger;
    let policy = &setting.policy;
    let mut broken = Vec::new();
    let taken = ledger.taken.get(payment).copied().unwrap_or(now);
    let releases = || {
        ledger.heard(customer).filter(|said| {
            // Named in the question, or there already when the order as a whole was given up.
            let is_meant = said.named.iter().any(|one| one == payment) || said.at >= taken;
            let is_no = said.status == "cancelled" || said.status == "unknown";
            said.via == ShopCall::Release && is_meant && is_no
        })
    };
    let released = releases().next();
    let has_stood = ledger
        .heard(customer)
        .any(|said| said.status == "confirmed")
        || ledger.was_touched(customer, &[Touch::ConfirmedItself]);
    let since = match (released, has_stood) {
        (Some(said), _) => said.at,
        (None, true) => taken,
        (None, false) => {
            broken.push((
                "no_reason",
                format!("{payment} goes back, and the shop never gave {customer} up"),
            ));
            return broken;
        }
    };
    let due = since.plus(policy.refund_delay).minus(SLACK);
    if !blurred.clocks && now < due {
        broken.push(("refund_delay", format!("{payment} went back too early")));
    }
    let reads = ledger.reads.get(payment).into_iter().flatten();
    if !blurred.clocks && !reads.into_iter().any(|read| *read >= due) {
        broken.push((
            "last_look",
            format!("{payment} was not read after the delay"),
        ));
    }
    if !blurred.clocks && !ledger.heard(customer).any(|said| said.at >= due) {
        broken.push((
            "last_look",
            format!("the shop was not asked about {customer} after the delay"),
        ));
    }
    let is_told = blurred.rulings && ledger.was_touched(customer, &[Touch::RefundOrdered]);
    let mut releases = releases();
    let is_judged = !has_stood && !is_told && !blurred.clocks;
    let was_right = |said: &Said| gave_up_rightly(ledger, policy, said, (customer, payment, now));
    if is_judged && !releases.any(was_right) {
        broken.push((
            "second_look",
            format!("{customer} was neither cancelled nor twice unknown when it was given up"),
        ));
    }
    broken
}

/// This release was right, and covers the payment that goes back now.
fn gave_up_rightly(
    ledger: &Ledger,
    policy: &Policy,
    said: &Said,
    (customer, payment, now): (&str, &str, Time),
) -> bool {
    let taken_at = |payment: &str| ledger.taken.get(payment).copied().unwrap_or(now);
    let was_right = |payment: &str, by: Time| {
        let taken = taken_at(payment);
        was_no_order(ledger, policy, customer, (taken, by))
    };
    if said.named.iter().any(|one| one == payment) {
        return was_right(payment, said.at);
    }
    // A payment that was found after the order had been given up, rightly, for another: of its own
    // evidence counts what is there when it goes back.
    let mut named = said.named.iter();
    named.any(|one| was_right(one, said.at)) && was_right(payment, now)
}

/// At this moment an order was rightly given up: it was cancelled or paid too little for, or its
/// grace was over and the shop had said `unknown` at least twice, the second look apart, without
/// another word between.
fn was_no_order(
    ledger: &Ledger,
    policy: &Policy,
    customer: &str,
    (taken, given_up): (Time, Time),
) -> bool {
    let was_cancelled = ledger.cancelled.contains_key(customer)
        || ledger
            .heard(customer)
            .any(|said| said.status == "cancelled" && said.via != ShopCall::Release);
    // For what was never placed nobody paid too little.
    let was_placed = ledger.amounts.contains_key(customer);
    let may_be_short = was_placed && policy.underpayment == HoldOrRefund::Refund;
    if was_cancelled || may_be_short {
        return true;
    }
    if given_up < taken.plus(policy.order_grace).minus(SLACK) {
        return false;
    }
    let mut first: Option<Time> = None;
    let looks = ledger.heard(customer);
    for said in looks.filter(|said| said.via != ShopCall::Release && said.at <= given_up) {
        if said.status != "unknown" {
            first = None;
            continue;
        }
        let began = *first.get_or_insert(said.at);
        if said.at.since(began).plus(SLACK) >= policy.second_look {
            return true;
        }
    }
    false
}

/// Money that names no order goes back only by policy or an operator's word.
fn unreferenced(
    stage: &Stage,
    setting: &Setting,
    payment: &str,
    blurred: Blurred,
    now: Time,
) -> Vec<(&'static str, String)> {
    let policy = &setting.policy;
    let mut broken = Vec::new();
    let is_told = stage.ledger.was_touched(payment, &[Touch::RefundOrdered]);
    if policy.unreferenced == HoldOrRefund::Hold && !is_told {
        broken.push((
            "no_reason",
            format!("{payment} names no order and goes back"),
        ));
    }
    let taken = stage.ledger.taken.get(payment).copied().unwrap_or(now);
    let wait = if is_told {
        policy.refund_delay
    } else {
        policy.order_grace.plus(policy.refund_delay)
    };
    if !blurred.clocks && !is_told && now < taken.plus(wait).minus(SLACK) {
        broken.push(("refund_delay", format!("{payment} went back too early")));
    }
    broken
}

/// A refund leaves the daemon.
pub fn refund_leaves(
    stage: &mut Stage,
    setting: &Setting,
    (payment, key, minor): (&str, &str, i64),
    blurred: Blurred,
    now: Time,
) {
    let customer = stage.ledger.owner(payment);
    let is_of_stranger = is_stranger(stage, &customer);
    let ledger = &mut stage.ledger;
    let taken = ledger.taken.get(payment).copied().unwrap_or(now);
    if setting.kept_for.is_some()
        && now >= taken.plus(setting.policy.refund_within)
        && ledger.was_touched(&customer, &[Touch::RefundOrdered])
    {
        ledger.touch(&customer, Touch::ForgottenRefunded);
    }
    let last = ledger.heard(&customer).last();
    let stands = last.is_some_and(|said| said.status == "confirmed");
    let confirms = ledger.confirms.get(&customer).into_iter().flatten();
    let is_confirming = confirms
        .into_iter()
        .any(|one| one.slot.is_open() && now.since(one.sent_at) < UNDER_WAY);
    if is_confirming && !stands {
        let detail = format!("{key} left while a confirm of {customer} was under way");
        ledger.fail(now, "confirm_under_way", &customer, detail);
    }
    if let Some(back) = ledger.epoch_back_at
        && !blurred.rulings
        && !blurred.memory
        && now > back.plus(Span::from_minutes(1))
    {
        let detail = format!("{key} left although the shop's epoch went back");
        ledger.fail(now, "braked", &customer, detail);
    }
    if ledger.leaving.contains_key(key) {
        return;
    }
    let leaving = super::ledger::Leaving {
        at: now,
        minor,
        is_of_stranger,
    };
    ledger.leaving.insert(key.to_owned(), leaving);
    let hour = now.minus(Span::from_minutes(60));
    let recent = ledger.leaving.values().filter(|one| one.at > hour);
    let (mut count, mut sum) = (0_u32, 0_i64);
    for one in recent {
        count = count.saturating_add(1);
        sum = sum.saturating_add(one.minor);
    }
    let limits = &setting.policy.guard;
    let is_past =
        count > limits.max_refunds_per_hour || sum > limits.max_refund_sum_per_hour.minor();
    if is_past && !blurred.rulings && !blurred.memory && !blurred.clocks {
        let detail = format!("{key} is refund {count} of the hour, {sum} in all");
        ledger.fail(now, "guard", &customer, detail);
    }
}

/// A confirm leaves the daemon: what it says was paid is the sum of the payments that it names.
pub fn confirm_leaves(
    stage: &mut Stage,
    customer: &str,
    (amount, parts): (Option<Money>, &[Money]),
    now: Time,
) {
    let mut parts = parts.iter().copied();
    let first = parts.next();
    let sum = first.and_then(|first| parts.try_fold(first, |sum, one| sum.plus(one).ok()));
    if sum.is_none() || sum != amount {
        let words = |money: Option<Money>| money.map_or("nothing".to_owned(), |it| it.to_string());
        let detail = format!("a confirm of {} by {}", words(amount), words(sum));
        stage.ledger.fail(now, "paid_sum", customer, detail);
    }
}

/// The shop booked a confirm of ours.
pub fn confirm_booked(stage: &mut Stage, customer: &str, now: Time) {
    let excused = [
        Touch::StaffRefunded,
        Touch::Disputed,
        Touch::Restored,
        Touch::ConfirmForced,
        Touch::BrokeItsWord,
        Touch::RefundFailed,
    ];
    // Whoever confirms an order was told of it, if only by a delivery that was replayed.
    stage.ledger.told_of(customer);
    if let Some((rule, detail)) = never_both(stage, customer, now) {
        stage.ledger.fail(now, rule, customer, detail);
    }
    if stage.ledger.was_touched(customer, &excused) {
        return;
    }
    let sums = sums(stage.world.psp.records(), &stage.ledger, customer);
    if sums.charged.saturating_sub(sums.refunded) <= 0 {
        let detail = "confirmed without any money".to_owned();
        stage.ledger.fail(now, "no_money", customer, detail);
    }
}

/// An authorisation was released by the daemon's call.
pub fn voided(stage: &mut Stage, payment: &str, now: Time) {
    let customer = stage.ledger.owner(payment);
    let ledger = &stage.ledger;
    let released = ledger
        .heard(&customer)
        .any(|said| said.via == ShopCall::Release && said.named.iter().any(|one| one == payment));
    if !released {
        let detail = format!("{payment} was voided and the shop never gave {customer} up");
        stage.ledger.fail(now, "no_reason", &customer, detail);
    }
}

/// The PSP refused more than was left, and nobody but us had taken any.
pub fn refund_refused(stage: &mut Stage, payment: &str, key: &str, now: Time) {
    let customer = stage.ledger.owner(payment);
    let excused = [
        Touch::StaffRefunded,
        Touch::Disputed,
        Touch::RefundFailed,
        Touch::TakenTwice,
    ];
    if stage.ledger.was_touched(&customer, &excused) || stage.ledger.booked.contains(key) {
        return;
    }
    let detail = format!("{key} asked for more of {payment} than was left");
    stage.ledger.fail(now, "never_twice", &customer, detail);
}

/// What one customer's money comes to in the end.
pub fn is_paid_elsewhere(stage: &Stage, customer: &str) -> bool {
    is_paid_by_strangers(stage, customer)
}
