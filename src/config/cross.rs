//! What only shows when shops and accounts are seen together: accounts shared between shops,
//! accounts configured twice, shops that nobody serves, a retention that forgets too early.
//!
//! Compares secrets by their hashes alone.

use super::problem::Code;
use super::psp::{self, AccountConfig};
use super::server::Retention;
use super::shop;
use super::source::{Findings, Raised};
use super::value::written_duration;
use crate::psp::rules::Claims;
use std::collections::BTreeMap;

/// Checks the parts against each other; gives the accounts back with `is_shared` decided.
pub(super) fn check(
    shops: &[shop::Placed],
    mut accounts: Vec<psp::Placed>,
    retention: Retention,
    out: &mut Findings<'_>,
) -> Vec<psp::Placed> {
    check_shops(shops, &accounts, out);
    check_retention(shops, retention, out);
    let verdicts = judge_accounts(&accounts, out);
    for (placed, is_shared) in accounts.iter_mut().zip(verdicts) {
        placed.account.is_shared = is_shared;
    }
    accounts
}

fn check_shops(shops: &[shop::Placed], accounts: &[psp::Placed], out: &mut Findings<'_>) {
    if shops.is_empty() {
        let message = "no shop is configured: every webhook would be refused";
        out.raise(Raised::of_file(Code::NoShop, message));
    }
    let mut secrets: BTreeMap<[u8; 32], &shop::Placed> = BTreeMap::new();
    for placed in shops {
        let is_served = |account: &psp::Placed| account.account.shop == placed.id;
        if !accounts.iter().any(is_served) {
            let message = format!("no [psp.NAME] serves the shop \"{}\"", placed.id);
            let raised = Raised::new(Code::ShopWithoutAccount, placed.at.clone(), message);
            let hint = format!("an account serves it by `shop = \"{}\"`", placed.id);
            out.raise(raised.hint(Some(hint)));
        }
        if let Some(other) = secrets.insert(placed.shop.secret.digest(), placed) {
            let message = format!(
                "the shops \"{}\" and \"{}\" have the same secret: each can speak for the other",
                other.id, placed.id
            );
            out.raise(Raised::new(
                Code::SharedShopSecret,
                placed.at.clone(),
                message,
            ));
        }
    }
}

/// A payment whose checkout was let go of looks like one that nobody ever saw: it must be too old
/// to be refunded by then.
fn check_retention(shops: &[shop::Placed], retention: Retention, out: &mut Findings<'_>) {
    let kept = retention.checkouts;
    for placed in shops {
        let within = placed.shop.policy.refund_within;
        if within <= kept {
            continue;
        }
        let (kept, within) = (written_duration(kept), written_duration(within));
        let message = format!(
            "[retention] keeps checkouts for {kept}, but the shop \"{}\" refunds payments that are \
             up to {within} old: one that was settled and forgotten could be paid back",
            placed.id
        );
        let raised = Raised::new(Code::RetentionTooShort, placed.at.clone(), message);
        out.raise(raised.accepted("`checkouts` at least as long as every shop's `refund_within`"));
    }
}

/// For each account whether it is shared and indistinct; raises what follows from that.
fn judge_accounts(accounts: &[psp::Placed], out: &mut Findings<'_>) -> Vec<bool> {
    let digest = |placed: &psp::Placed| {
        let kind = &placed.account.kind;
        (kind.credentials().digest(), kind.within().to_owned())
    };
    let mut groups: BTreeMap<([u8; 32], String), Vec<&psp::Placed>> = BTreeMap::new();
    for placed in accounts {
        groups.entry(digest(placed)).or_default().push(placed);
    }
    let judge = |placed: &psp::Placed| {
        let group = groups.get(&digest(placed)).map_or(&[][..], Vec::as_slice);
        let others = group.iter().filter(|other| other.id != placed.id);
        judge_account(placed, &others.copied().collect::<Vec<_>>(), out)
    };
    accounts.iter().map(judge).collect()
}

fn judge_account(placed: &psp::Placed, others: &[&psp::Placed], out: &mut Findings<'_>) -> bool {
    let raise = |code: Code, message: String| Raised::new(code, placed.at.clone(), message);
    let is_same_shop = |other: &&&psp::Placed| other.account.shop == placed.account.shop;
    // Said once, at the later of the two.
    let twin = others
        .iter()
        .filter(is_same_shop)
        .find(|other| other.id < placed.id);
    if let Some(twin) = twin {
        let message = format!(
            "\"{}\" and \"{}\" are the same PSP account for the same shop",
            twin.id, placed.id
        );
        let raised = raise(Code::DuplicateAccount, message);
        out.raise(raised.accepted("one [psp.NAME] with all webhook secrets of that account"));
    }
    let rival = others.iter().find(|other| !is_same_shop(other));
    let Some(rival) = rival else {
        return false;
    };
    if placed.account.claims == Claims::All {
        let message = format!(
            "`claims = \"all\"` on \"{}\", although \"{}\" uses the same PSP account for the shop \
             \"{}\"",
            placed.id, rival.id, rival.account.shop
        );
        let hint = "use `claims = \"referenced\"` with a `reference_pattern`".to_owned();
        out.raise(raise(Code::ClaimsAllShared, message).hint(Some(hint)));
    }
    let is_indistinct = |other: &&&psp::Placed| {
        !is_same_shop(other) && !is_told_apart(&placed.account, &other.account)
    };
    let Some(rival) = others.iter().find(is_indistinct) else {
        return false;
    };
    let message = format!(
        "nothing tells payments of \"{}\" from those of \"{}\", the same PSP account for the shop \
         \"{}\": they are held for an operator, neither confirmed nor refunded",
        placed.id, rival.id, rival.account.shop
    );
    let hint = "give each a `reference_pattern` that only its own references match".to_owned();
    out.raise(raise(Code::SharedAccount, message).hint(Some(hint)));
    true
}

/// True when both have a pattern, and not the same one.
fn is_told_apart(one: &AccountConfig, other: &AccountConfig) -> bool {
    match (&one.reference_pattern, &other.reference_pattern) {
        (Some(one), Some(other)) => one.as_str() != other.as_str(),
        (None, _) | (_, None) => false,
    }
}
