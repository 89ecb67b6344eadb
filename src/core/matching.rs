//! Which money pays the order, and which money is too much.
//!
//! Pure arithmetic over one order and the positions of its payments. It decides no action and
//! knows no clock; whether the order is alive is asked elsewhere.

use super::checkout::Checkout;
use super::ids::PaymentRef;
use super::money::{Money, MoneyError};
use super::order::{Order, OrderStatus};
use super::plan::{PaidPart, Reason};
use super::policy::Policy;
use super::reconcile::position::Position;
use std::collections::BTreeSet;

/// Money that does not pay the order.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Excess {
    /// The payment it came with.
    pub payment: PaymentRef,
    /// How much of it.
    pub amount: Money,
    /// `duplicate` or `overpaid`.
    pub why: Reason,
}

/// How the money fits the order.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Match {
    /// What pays the order.
    pub kept: Vec<PaidPart>,
    /// What is too much.
    pub excess: Vec<Excess>,
    /// True when the kept money is less than the order's amount, beyond the tolerance.
    pub is_short: bool,
    /// Something that no rule should decide.
    pub anomaly: Option<Reason>,
}

impl Match {
    /// The sum of what pays the order; none when nothing does.
    pub fn kept_sum(&self) -> Result<Option<Money>, MoneyError> {
        let mut amounts = self.kept.iter().map(|part| part.amount);
        match amounts.next() {
            None => Ok(None),
            Some(first) => amounts.try_fold(first, Money::plus).map(Some),
        }
    }
}

/// Fits payments that hold money to an order. The amount in force when the first of them came
/// in counts, so that an order edited afterwards changes nothing.
///
/// Money in an open dispute comes last: it may be gone tomorrow.
pub fn match_money(
    checkout: &Checkout,
    money: &[Position<'_>],
    policy: &Policy,
) -> Result<Match, MoneyError> {
    let order = &checkout.order;
    let mut sorted: Vec<&Position<'_>> = money.iter().filter(|one| one.net.is_positive()).collect();
    sorted.sort_by_key(|one| {
        let is_disputed = one.state.has_open_dispute();
        (is_disputed, one.money_at(), one.payment.clone())
    });
    let named = named_by_shop(checkout, &sorted, policy);
    let (mut kept, mut duplicates): (Vec<_>, Vec<_>) = match named {
        Some(named) => sorted.iter().partition(|one| named.contains(&one.payment)),
        None => (sorted, Vec::new()),
    };
    let mut result = Match::default();
    let doubt = match named.filter(|_| !duplicates.is_empty()) {
        Some(named) => count_the_rest(order, named, (&mut kept, &mut duplicates), policy)?,
        None => None,
    };
    for one in duplicates {
        let why = doubt.map_or(Reason::Duplicate, |_| Reason::Overpaid);
        result.set_aside(one, one.net, why);
    }
    let first_at = kept.iter().map(|one| one.agreed_at()).min();
    let Some(agreed) = order.amount_at(first_at.unwrap_or_default()) else {
        result.kept = kept.iter().map(|one| one.part()).collect();
        return Ok(result);
    };
    // What a gift card or points cover is nobody's to pay here.
    let covered = order.covered().unwrap_or(Money::zero(agreed.currency()));
    let owed = agreed.minus(covered)?;
    if !owed.is_positive() && !kept.is_empty() {
        // Money for an order that costs nothing.
        result.kept = kept.iter().map(|one| one.part()).collect();
        result.anomaly = Some(Reason::AmountSuspicious);
        return Ok(result);
    }
    if kept.iter().any(|one| one.net.currency() != owed.currency()) {
        result.kept = kept.iter().map(|one| one.part()).collect();
        result.anomaly = Some(Reason::CurrencyMismatch);
        return Ok(result);
    }
    let slack = slack(policy, owed);
    let is_confirmed = order.status() == Some(OrderStatus::Confirmed);
    let share = order.share_to_return().filter(|_| is_confirmed);
    let share = share.unwrap_or(Money::zero(owed.currency()));
    if share >= owed {
        // All of it is no share: the shop must cancel such an order.
        result.kept = kept.iter().map(|one| one.part()).collect();
        result.anomaly = Some(Reason::AmountSuspicious);
        return Ok(result);
    }
    result.cover(&kept, owed.minus(share)?, slack)?;
    result.anomaly = doubt;
    result.find_anomaly(order, owed)?;
    // What went back of these payments already is taken for the share first.
    let mut open = share;
    for one in &kept {
        let gone = one.captured.minus(one.net)?.minus(one.charged_back)?;
        open = open.minus(gone)?;
    }
    if open.is_positive() {
        result.name_the_share(open)?;
    }
    Ok(result)
}

/// What the shop did not name counts all the same as far as the payments that it did name leave
/// something to pay and this fits into it: a shop that confirms when the first part comes in names
/// that one alone, and its customer has paid the rest. Not where a named payment is not among the
/// money that is known here: nobody can say what it left. A doubt when something is left to pay
/// and money remains that does not fit into it: a duplicate or the rest, which no rule can tell.
fn count_the_rest<'m, 'p>(
    order: &Order,
    named: &BTreeSet<PaymentRef>,
    (kept, rest): (&mut Vec<&'m Position<'p>>, &mut Vec<&'m Position<'p>>),
    policy: &Policy,
) -> Result<Option<Reason>, MoneyError> {
    let is_known = |payment: &PaymentRef| kept.iter().any(|one| one.payment == *payment);
    let are_known = named.iter().all(is_known);
    let first_at = kept.iter().map(|one| one.agreed_at()).min();
    let agreed = first_at.and_then(|first_at| order.amount_at(first_at));
    let Some(agreed) = agreed.filter(|_| are_known) else {
        return Ok(None);
    };
    let currency = agreed.currency();
    let mut all = kept.iter().chain(rest.iter());
    if all.any(|one| one.net.currency() != currency) {
        return Ok(None);
    }
    let zero = Money::zero(currency);
    let covered = order.covered().unwrap_or(zero);
    let share = order.share_to_return().unwrap_or(zero);
    let owed = agreed.minus(covered)?.minus(share)?;
    let slack = slack(policy, owed);
    let (least, most) = (owed.minus(slack)?, owed.plus(slack)?);
    let mut sum = zero;
    for one in kept.iter() {
        sum = sum.plus(one.worth()?)?;
    }
    for one in std::mem::take(rest) {
        let with = sum.plus(one.worth()?)?;
        if sum < least && with <= most {
            sum = with;
            kept.push(one);
        } else {
            rest.push(one);
        }
    }
    let is_doubtful = sum < least && !rest.is_empty();
    Ok(is_doubtful.then_some(Reason::AmountSuspicious))
}

/// The payments by which the shop says the order was paid, where its word can be taken: one of
/// them holds undisputed money, or was taken through somebody whom nobody here can ask. Where all
/// of them are known here and hold nothing (failed, refunded, charged back), money of another
/// payment is no duplicate; nor is it while one of them, on an account that is served here, has
/// not been seen: the shop may call the very same payment by another of its names.
fn named_by_shop<'a>(
    checkout: &'a Checkout,
    sorted: &[&Position<'_>],
    policy: &Policy,
) -> Option<&'a BTreeSet<PaymentRef>> {
    let latest = checkout.order.latest()?;
    if latest.status != OrderStatus::Confirmed || latest.paid_by.is_empty() {
        return None;
    }
    let holds = |payment: &PaymentRef| {
        let mut holders = sorted.iter();
        holders.any(|one| one.payment == *payment && !one.state.has_open_dispute())
    };
    let has_sound = sorted.iter().any(|one| !one.state.has_open_dispute());
    let mut named = latest.paid_by.iter();
    let counts = named
        .any(|payment| checkout.is_paid_elsewhere(payment, policy) || holds(payment) || !has_sound);
    counts.then_some(&latest.paid_by)
}

/// The tolerance in the order's currency; it counts only in its own.
fn slack(policy: &Policy, owed: Money) -> Money {
    if policy.tolerance.currency() == owed.currency() {
        policy.tolerance
    } else {
        Money::zero(owed.currency())
    }
}

impl Match {
    fn set_aside(&mut self, one: &Position<'_>, amount: Money, why: Reason) {
        self.excess.push(Excess {
            payment: one.payment.clone(),
            amount,
            why,
        });
    }

    /// One payment that fits alone wins; else payments count in the order they came, until the
    /// order is covered.
    fn cover(
        &mut self,
        kept: &[&Position<'_>],
        owed: Money,
        slack: Money,
    ) -> Result<(), MoneyError> {
        let least = owed.minus(slack)?;
        let most = owed.plus(slack)?;
        let worths = kept.iter().map(|one| one.worth());
        let worths = worths.collect::<Result<Vec<_>, _>>()?;
        let fits = |worth: &Money| *worth >= least && *worth <= most;
        let exact = worths.iter().position(fits);
        let zero = Money::zero(owed.currency());
        let (mut sum, mut taken) = (zero, zero);
        for (index, (one, worth)) in kept.iter().zip(&worths).enumerate() {
            let takes = match exact {
                Some(exact) => index == exact,
                None => sum < least || sum.is_zero(),
            };
            if takes {
                // What is still to be captured counts as far as it is needed, and no further.
                let needed = owed.minus(sum)?.min(*worth).max(one.net);
                sum = sum.plus(*worth)?;
                taken = taken.plus(one.net)?;
                self.kept
                    .push(one.part_of(if fits(worth) { *worth } else { needed }));
            } else {
                self.set_aside(one, one.net, Reason::Duplicate);
            }
        }
        self.is_short = sum < least;
        if taken > most {
            self.take_off(kept, taken.minus(owed)?)?;
        }
        Ok(())
    }

    /// Takes what is too much off the payments that came last.
    fn take_off(&mut self, kept: &[&Position<'_>], excess: Money) -> Result<(), MoneyError> {
        let mut left = excess;
        let mut off = Vec::new();
        for part in self.kept.iter_mut().rev() {
            let holder = kept.iter().find(|one| one.payment == part.payment);
            let Some(holder) = holder.filter(|_| left.is_positive()) else {
                continue;
            };
            let amount = left.min(holder.net);
            part.amount = part.amount.minus(amount)?;
            left = left.minus(amount)?;
            off.push((*holder, amount));
        }
        for (holder, amount) in off {
            self.set_aside(holder, amount, Reason::Overpaid);
        }
        self.kept.retain(|part| part.amount.is_positive());
        Ok(())
    }

    /// Of what is too much, so much goes back because the shop says so, whatever the policy says of
    /// the rest.
    fn name_the_share(&mut self, share: Money) -> Result<(), MoneyError> {
        let mut left = share;
        let mut rest = Vec::new();
        for one in &mut self.excess {
            if one.why != Reason::Overpaid || !left.is_positive() {
                continue;
            }
            let named = left.min(one.amount);
            left = left.minus(named)?;
            let over = one.amount.minus(named)?;
            if over.is_positive() {
                rest.push(Excess {
                    amount: over,
                    ..one.clone()
                });
            }
            one.amount = named;
            one.why = Reason::PartNotDelivered;
        }
        self.excess.extend(rest);
        Ok(())
    }

    /// What smells of a bug or of fraud rather than of a customer who paid in parts.
    fn find_anomaly(&mut self, order: &Order, owed: Money) -> Result<(), MoneyError> {
        let Some(sum) = self.kept_sum()? else {
            return Ok(());
        };
        // Judged before the shop's share is named, so that all that is too much counts.
        let overpaid = self.excess.iter().filter(|one| one.why == Reason::Overpaid);
        let paid = overpaid.map(|one| one.amount).try_fold(sum, Money::plus)?;
        let differs_by = |factor: i64| {
            paid.minor().checked_mul(factor) == Some(owed.minor())
                || owed.minor().checked_mul(factor) == Some(paid.minor())
        };
        if owed.is_positive() && [10, 100, 1000].into_iter().any(differs_by) {
            self.anomaly = Some(Reason::AmountOffByPowerOfTen);
        } else if self.is_short {
            let doubled = paid.minor().checked_mul(2).ok_or(MoneyError::Overflow)?;
            let all_claimed = self
                .kept
                .iter()
                .all(|part| order.claims.contains(&part.payment));
            if doubled < owed.minor() && !all_claimed {
                self.anomaly = Some(Reason::AmountSuspicious);
            }
        }
        Ok(())
    }
}
