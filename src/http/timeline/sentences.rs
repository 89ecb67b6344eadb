//! One sentence per fact, and one clause per wanted action.
//!
//! Knows the core's facts and nothing of the store. Everything that others wrote passes through
//! `printable`.

use crate::core::fact::{BrakeCause, Fact, Outcome, Ruling, RulingKind};
use crate::core::ids::{ExternalRef, PaymentRef};
use crate::core::money::Money;
use crate::core::order::{OrderSnapshot, OrderStatus, Statement, Via};
use crate::core::payment::{
    Dispute, DisputeState, Ownership, PaymentSnapshot, Progress, Refund, RefundState, Source,
};
use crate::core::plan::{Action, ActionKind, Notice, Planned};
use crate::http::words::{length, moment, printable};

/// A fact in one sentence.
pub(super) fn fact(fact: &Fact) -> String {
    match fact {
        Fact::PaymentSeen(snapshot) => payment_seen(snapshot),
        Fact::OrderSeen(snapshot) => order_seen(snapshot),
        Fact::PaymentArrived { payment, .. } => format!(
            "Payment {payment} arrived from a checkout of its own, since it belongs to this order."
        ),
        Fact::PaymentLeft { payment, to } => {
            format!("Payment {payment} left for checkout {to}, the order it belongs to.")
        }
        Fact::ClaimRefused { payment } => format!(
            "An order names payment {payment}, but it counts elsewhere or is on its way back."
        ),
        Fact::AskSent {
            kind,
            attempt,
            payment,
            amount,
            ..
        } => ask_sent(*kind, *attempt, payment.as_ref(), *amount),
        Fact::AskAnswered {
            kind,
            attempt,
            outcome,
            ..
        } => format!(
            "{} (attempt {attempt}) {}.",
            kind_name(*kind),
            outcome_words(outcome)
        ),
        Fact::RulingMade(ruling) => ruling_made(ruling),
        Fact::RefundBraked { cause, .. } => {
            format!("The guard stopped a refund: {}.", brake_words(*cause))
        }
        Fact::BrakeReleased { .. } => "An operator released the shop's brake.".to_owned(),
        Fact::Parked { why, .. } => format!("Set aside: {}.", printable(why)),
    }
}

fn payment_seen(snapshot: &PaymentSnapshot) -> String {
    let account = &snapshot.payment.account;
    let how = match snapshot.source {
        Source::Signed => format!("{account} told us (signed delivery)"),
        Source::Read { .. } => format!("Read at {account}"),
        Source::Named => format!("{account} named it"),
        Source::Hearsay => format!("An unsigned delivery for {account} named it"),
    };
    let mut said = Vec::new();
    if let Some(method) = &snapshot.method {
        said.push(format!("by {}", printable(method)));
    }
    if let Some(progress) = snapshot.progress {
        said.push(progress_words(progress).to_owned());
    }
    let amount = |name: &str, money: Option<Money>| money.map(|money| format!("{name} {money}"));
    said.extend(amount("asked for", snapshot.requested));
    said.extend(amount("authorised", snapshot.authorised));
    said.extend(amount("captured", snapshot.captured));
    let refunded = snapshot.refunded.filter(|money| money.is_positive());
    said.extend(amount("refunded in all", refunded));
    let refunds = snapshot.refunds.iter();
    said.extend(refunds.map(|(id, refund)| refund_words(id, refund)));
    said.extend(snapshot.disputes.values().map(dispute_words));
    if snapshot.is_disputed == Some(true) {
        said.push("disputed".to_owned());
    }
    if snapshot.is_refundable == Some(false) {
        said.push("cannot be refunded through the PSP".to_owned());
    }
    if let Some(reference) = &snapshot.reference {
        said.push(format!("for order {reference}"));
    }
    said.extend(snapshot.ownership.and_then(ownership_words));
    let what = if said.is_empty() {
        "seen".to_owned()
    } else {
        said.join(", ")
    };
    format!("{how}: payment {}: {what}.", snapshot.payment.id)
}

fn progress_words(progress: Progress) -> &'static str {
    match progress {
        Progress::Waiting => "waiting for the payer",
        Progress::InFlight => "under way at the bank",
        Progress::Authorised => "authorised, not captured",
        Progress::Taken => "taken",
        Progress::Dead => "failed, expired or cancelled for good",
    }
}

fn refund_words(id: &ExternalRef, refund: &Refund) -> String {
    let state = match refund.state {
        RefundState::Pending => "accepted, not paid out yet",
        RefundState::Succeeded => "paid out",
        RefundState::Failed => "came to nothing",
    };
    let whose = if refund.mark.is_some() { "our" } else { "a" };
    let waits = refund.waits_for_balance.is_some_and(|said| said.value);
    let balance = if waits {
        ", waiting for the shop's balance"
    } else {
        ""
    };
    format!("{whose} refund {id} of {} {state}{balance}", refund.amount)
}

fn dispute_words(dispute: &Dispute) -> String {
    let state = match dispute.state {
        DisputeState::Open => "open",
        DisputeState::Won => "won by the shop",
        DisputeState::Lost => "won by the payer",
    };
    format!("dispute over {} {state}", dispute.amount)
}

fn ownership_words(ownership: Ownership) -> Option<String> {
    let words = match ownership {
        Ownership::Ours => return None,
        Ownership::Unclaimed => "not ours: it carries no reference of this shop",
        Ownership::Shared => "possibly another shop's: the account serves several",
        Ownership::BeforeSince => "older than the account's `since`",
        Ownership::WrongMode => "of the other mode (test or live)",
        Ownership::UnknownKind => "not a checkout payment",
    };
    Some(words.to_owned())
}

fn order_seen(snapshot: &OrderSnapshot) -> String {
    let mut said = Vec::new();
    let how = match &snapshot.statement {
        Some(statement) => {
            said.push(statement_words(statement));
            via_words(statement.via)
        }
        None => "The shop told us",
    };
    if let Some(amount) = snapshot.amount {
        said.push(format!("amount {amount}"));
    }
    if let Some(covered) = snapshot.terms.paid_otherwise {
        said.push(format!("{covered} paid by other means"));
    }
    if let Some(share) = snapshot.terms.give_back {
        said.push(format!("{share} to go back"));
    }
    if let Some(expires) = snapshot.expires_at {
        said.push(format!("expires at {}", moment(expires)));
    }
    if let Some(created) = snapshot.created_at {
        said.push(format!("made at {}", moment(created)));
    }
    if !snapshot.claims.is_empty() {
        said.push(format!("payments started: {}", list(&snapshot.claims)));
    }
    let what = if said.is_empty() {
        "it exists".to_owned()
    } else {
        said.join(", ")
    };
    format!("{how}: order {}: {what}.", snapshot.reference)
}

fn via_words(via: Via) -> &'static str {
    match via {
        Via::Event => "The shop told us",
        Via::LookUp => "The shop answered the lookup",
        Via::Confirm => "The shop answered the confirm",
        Via::Release => "The shop answered the release",
    }
}

fn statement_words(statement: &Statement) -> String {
    let mut words = match statement.status {
        OrderStatus::Unknown => "it knows no such order".to_owned(),
        OrderStatus::Pending => "pending".to_owned(),
        OrderStatus::Cancelled => "cancelled".to_owned(),
        OrderStatus::Confirmed => "confirmed".to_owned(),
    };
    if !statement.paid_by.is_empty() {
        words.push_str(&format!(", paid by {}", list(&statement.paid_by)));
    }
    match statement.is_fulfilled {
        Some(true) => words.push_str(", already fulfilled"),
        Some(false) => words.push_str(", not fulfilled"),
        None => {}
    }
    if let Some(reason) = &statement.reason {
        words.push_str(&format!(", because: {}", printable(reason)));
    }
    if let Some(wait) = statement.retry_after {
        words.push_str(&format!(", ask again after {}", length(wait)));
    }
    words
}

fn list<'a>(payments: impl IntoIterator<Item = &'a PaymentRef>) -> String {
    let names: Vec<String> = payments.into_iter().map(ToString::to_string).collect();
    names.join(", ")
}

fn ask_sent(
    kind: ActionKind,
    attempt: u32,
    payment: Option<&PaymentRef>,
    amount: Option<Money>,
) -> String {
    let verb = match kind {
        ActionKind::Confirm => "Asked the shop to confirm the order",
        ActionKind::LookUp => "Asked the shop how the order stands",
        ActionKind::Release => "Asked the shop to give the order up",
        ActionKind::Fetch => "Read the payment at the PSP",
        ActionKind::Refund => "Asked the PSP to refund",
        ActionKind::Void => "Asked the PSP to release the authorisation",
        ActionKind::CancelRefund => "Asked the PSP to cancel the refund",
        ActionKind::Notify => "Told the shop",
    };
    let payment = payment.map_or(String::new(), |payment| format!(", payment {payment}"));
    let amount = amount.map_or(String::new(), |amount| format!(", {amount}"));
    format!("{verb} (attempt {attempt}{payment}{amount}).")
}

/// The kind of action as the subject of a sentence.
pub(super) fn kind_name(kind: ActionKind) -> &'static str {
    match kind {
        ActionKind::Confirm => "Confirm",
        ActionKind::LookUp => "Lookup",
        ActionKind::Release => "Release",
        ActionKind::Fetch => "Fetch",
        ActionKind::Refund => "Refund",
        ActionKind::Void => "Void",
        ActionKind::CancelRefund => "Cancellation of the refund",
        ActionKind::Notify => "Notice",
    }
}

fn outcome_words(outcome: &Outcome) -> String {
    match outcome {
        Outcome::Done => "was answered".to_owned(),
        Outcome::Unclear { code } => format!(
            "got no clear answer and may have had its effect: {}",
            printable(code)
        ),
        Outcome::NotSent { code } => format!("did not get through: {}", printable(code)),
        Outcome::Throttled { until } => {
            format!("was put off by the other side until {}", moment(*until))
        }
        Outcome::Postponed { code, until } => format!(
            "was declined until {} ({}); it may have had its effect before",
            moment(*until),
            printable(code)
        ),
        Outcome::Unauthorized { code } => format!(
            "was not accepted, our credentials are wrong: {}",
            printable(code)
        ),
        Outcome::Malformed { code } => {
            format!("was answered with something unusable: {}", printable(code))
        }
        Outcome::Refused { code } => format!("was refused: {}", printable(code)),
    }
}

fn ruling_made(ruling: &Ruling) -> String {
    let what = match ruling.ruling {
        RulingKind::Retry => "retry",
        RulingKind::Confirm => "confirm",
        RulingKind::Refund => "refund",
        RulingKind::Hold => "hold",
        RulingKind::Resume => "resume",
        RulingKind::Settle => "settle",
    };
    let note = if ruling.note.is_empty() {
        String::new()
    } else {
        format!(", noting: {}", printable(&ruling.note))
    };
    let overrides: Vec<String> = ruling.overrides.iter().map(|key| printable(key)).collect();
    let overridden = if overrides.is_empty() {
        String::new()
    } else {
        format!(", overriding {}", overrides.join(", "))
    };
    format!("{} ruled: {what}{overridden}{note}.", printable(&ruling.by))
}

/// A brake's cause in words.
pub(in crate::http) fn brake_words(cause: BrakeCause) -> &'static str {
    match cause {
        BrakeCause::RefundCount => "more refunds in an hour than max_refunds_per_hour",
        BrakeCause::RefundSum => "more money back in an hour than max_refund_sum_per_hour",
        BrakeCause::RefundShare => {
            "a greater share of the last hour's captures than max_refund_share"
        }
        BrakeCause::UnknownRunaway => "the shop knows too few of the orders it is asked about",
        BrakeCause::EpochWentBack => {
            "the shop's epoch went backwards, so it may have been restored from a backup"
        }
        BrakeCause::AmountScale => {
            "an amount was off by exactly 10, 100 or 1000, a bug that hits every payment"
        }
        BrakeCause::CanaryLost => "the shop calls an order unknown that it had confirmed",
        BrakeCause::CanaryMissing => "the shop has not shown yet that it finds any order",
        BrakeCause::StoreMoved => {
            "the store was started elsewhere before, so another daemon may be at work"
        }
    }
}

/// A wanted action with its due time, after "wants to".
pub(super) fn intent(planned: &Planned) -> String {
    format!("{} at {}", deed(&planned.action), moment(planned.due))
}

/// What an action does, after "wants to".
pub(super) fn deed(action: &Action) -> String {
    match action {
        Action::Confirm { amount, late, .. } => {
            let late = if *late { " although it is late" } else { "" };
            format!("have the shop confirm the order with {amount}{late}")
        }
        Action::LookUp { .. } => "ask the shop how the order stands".to_owned(),
        Action::Release { .. } => "have the shop give the order up".to_owned(),
        Action::Fetch { payment } => format!("read payment {payment}"),
        Action::Refund {
            payment, amount, ..
        } => format!("refund {amount} of payment {payment}"),
        Action::Void { payment, .. } => format!("release the authorisation of payment {payment}"),
        Action::CancelRefund {
            refund, payment, ..
        } => format!("cancel refund {refund} of payment {payment}"),
        Action::Notify { notice, amount, .. } => {
            let about = match notice {
                Notice::RefundStarted => "a refund has started",
                Notice::Refunded => "the money went back",
                Notice::RefundFailed => "a refund failed",
                Notice::Held => "the money is held",
            };
            format!("tell the shop that {about} ({amount})")
        }
    }
}
