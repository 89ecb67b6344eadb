//! Every key of the configuration, section by section, and which word is nearest to a wrong one.
//!
//! Adding a key begins here; those of one kind of PSP stand in that kind's file. Knows nothing of
//! values, except the words that choose.

use super::psp;

/// A section and the keys it may hold.
#[derive(Clone, Copy)]
pub(super) struct Section {
    /// How people write it; `NAME` stands for a name of their choice.
    pub(super) title: &'static str,
    /// Its keys.
    pub(super) keys: &'static [&'static str],
}

/// The top level.
pub(super) const ROOT: &[&str] = &["server", "store", "retention", "admin_token", "shop", "psp"];
/// `[server]`
pub(super) const SERVER: &[&str] = &["public", "admin", "heartbeat_url"];
/// `[store]`
pub(super) const STORE: &[&str] = &[
    "url",
    "password",
    "connections",
    "statement_timeout",
    "session_features",
];
/// `[retention]`
pub(super) const RETENTION: &[&str] = &["bodies", "checkouts"];
/// `[[admin_token]]`
pub(super) const ADMIN_TOKEN: &[&str] = &["name", "role", "token"];
/// `[shop.NAME]`
pub(super) const SHOP: &[&str] = &[
    "name",
    "kind",
    "url",
    "secret",
    "previous_secret",
    "mode",
    "calls_at_once",
    "calls_per_second",
    "policy",
];
/// `[shop.NAME.policy]`
pub(super) const POLICY: &[&str] = &[
    "order_grace",
    "second_look",
    "refund_delay",
    "reversal_wait",
    "refund_within",
    "confirm_patience",
    "outage_patience",
    "confirm_check",
    "refund_patience",
    "late_payment",
    "overpayment",
    "underpayment",
    "unreferenced",
    "tolerance",
    "canary",
    "auto_refund_limit",
    "max_refunds_per_hour",
    "max_refund_sum_per_hour",
    "max_refund_share",
];
/// `[psp.NAME]`, what all kinds have.
pub(super) const ACCOUNT: &[&str] = &[
    "kind",
    "shop",
    "api_base",
    "reference",
    "reference_pattern",
    "claims",
    "since",
    "sweep_every",
    "sweep_window",
    "live",
    "calls_at_once",
    "calls_per_second",
];
/// Where a secret comes from.
pub(super) const SECRET: &[&str] = &["credential", "file", "env", "value"];
/// An amount.
pub(super) const MONEY: &[&str] = &["value", "currency"];

/// The sections, to tell where a misplaced key belongs.
const SECTIONS: &[Section] = &[
    section("[server]", SERVER),
    section("[store]", STORE),
    section("[retention]", RETENTION),
    section("[[admin_token]]", ADMIN_TOKEN),
    section("[shop.NAME]", SHOP),
    section("[shop.NAME.policy]", POLICY),
    section("[psp.NAME]", ACCOUNT),
];

/// All sections; each kind of PSP has keys of its own in `[psp.NAME]`.
fn sections() -> impl Iterator<Item = Section> {
    let own = psp::KINDS.iter();
    let own = own.map(|(_, kind)| section("[psp.NAME]", kind.keys));
    SECTIONS.iter().copied().chain(own)
}

const fn section(title: &'static str, keys: &'static [&'static str]) -> Section {
    Section { title, keys }
}

/// True for a key of the configuration.
pub(super) fn knows(word: &str) -> bool {
    sections()
        .map(|section| section.keys)
        .chain([ROOT, SECRET, MONEY])
        .any(|keys| keys.contains(&word))
}

/// The section in which an unknown key would be known; none when there is none or several.
pub(super) fn home(key: &str) -> Option<&'static str> {
    let mut homes = sections().filter(|section| section.keys.contains(&key));
    let home = homes.next()?.title;
    homes.all(|other| other.title == home).then_some(home)
}

/// The candidate nearest to a wrong word, if any is near enough to be meant.
pub(super) fn nearest<'a>(
    word: &str,
    candidates: impl IntoIterator<Item = &'a str>,
) -> Option<&'a str> {
    let plain = |text: &str| -> Vec<char> {
        let lower = text.chars().flat_map(char::to_lowercase);
        lower
            .map(|c| if c == '-' || c == ' ' { '_' } else { c })
            .collect()
    };
    let word = plain(word);
    if word.is_empty() || word.len() > crate::core::ids::KEY_BYTES_MAX {
        return None;
    }
    let bound = word.len().div_ceil(2).min(3);
    candidates
        .into_iter()
        .map(|candidate| (distance(&word, &plain(candidate)), candidate))
        .filter(|(distance, _)| *distance <= bound)
        .min_by_key(|(distance, _)| *distance)
        .map(|(_, candidate)| candidate)
}

/// Letters to add, drop or change (Levenshtein), row by row.
fn distance(from: &[char], to: &[char]) -> usize {
    let mut above: Vec<usize> = (0..=to.len()).collect();
    for (index, letter) in from.iter().enumerate() {
        let mut left = index.saturating_add(1);
        let mut diagonal = index;
        let mut row = vec![left];
        for (other, up) in to.iter().zip(above.iter().skip(1)) {
            let change = diagonal.saturating_add(usize::from(letter != other));
            left = change.min(left.saturating_add(1)).min(up.saturating_add(1));
            diagonal = *up;
            row.push(left);
        }
        above = row;
    }
    above.last().copied().unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_nearest_word_is_the_one_that_was_meant() {
        assert_eq!(
            nearest("webhook_secret", ["api_key", "webhook_secrets"]),
            Some("webhook_secrets")
        );
        assert_eq!(
            nearest("Sweep-Every", ACCOUNT.iter().copied()),
            Some("sweep_every")
        );
        assert_eq!(nearest("mdoe", SHOP.iter().copied()), Some("mode"));
        assert_eq!(nearest("colour", SHOP.iter().copied()), None);
        assert_eq!(nearest("", SHOP.iter().copied()), None);
        assert_eq!(nearest(&"x".repeat(65), SHOP.iter().copied()), None);
    }

    #[test]
    fn a_misplaced_key_is_sent_home_when_it_has_only_one() {
        assert_eq!(home("second_look"), Some("[shop.NAME.policy]"));
        assert_eq!(home("url"), None);
        assert_eq!(home("colour"), None);
    }
}
