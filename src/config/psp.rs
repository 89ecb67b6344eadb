//! `[psp.NAME]`: the PSP accounts, what all kinds have in common, and the table of kinds.
//!
//! Adding a kind is one file under `psp/` that implements `OwnKeys`, and one line in `kinds!`.
//! Knows no PSP's own keys.

pub mod adyen;
pub mod mollie;
pub mod multisafepay;
pub mod paypal;
pub mod stripe;

use super::problem::Code;
use super::secret::{Secret, Surroundings};
use super::source::{Findings, Raised};
use super::table::{Field, Section, did_you_mean, listed, quoted};
use super::value;
use super::vocabulary;
use crate::core::ids::{AccountId, ShopId};
use crate::core::time::{Span, Time};
use crate::psp::rules::{AccountRules, Claims};
use adyen::AdyenConfig;
use mollie::MollieConfig;
use multisafepay::MultiSafepayConfig;
use paypal::PaypalConfig;
use regex::{Regex, RegexBuilder};
use serde_json::Value;
use std::ops::Range;
use stripe::StripeConfig;

/// Most paths to look for a reference.
const REFERENCE_PATHS_MAX: usize = 8;
/// Longest such path, in bytes.
const REFERENCE_PATH_BYTES_MAX: usize = 128;
/// Longest pattern, in bytes.
const PATTERN_BYTES_MAX: usize = 512;
/// Largest compiled pattern, in bytes.
const COMPILED_BYTES_MAX: usize = 256 * 1024;
/// How often an account is swept when nothing is said.
const SWEEP_EVERY: Span = Span::from_minutes(5);
/// How far back each sweep looks when nothing is said.
const SWEEP_WINDOW: Span = Span::from_hours(72);
/// How many calls a PSP account may have under way when nothing is said.
const CALLS_AT_ONCE: u32 = 16;
/// How many calls a PSP account may get per second when nothing is said.
const CALLS_PER_SECOND: u32 = 25;

/// The words of `claims`.
pub(super) const CLAIMS: &[(&str, Claims)] =
    &[("referenced", Claims::Referenced), ("all", Claims::All)];

/// What one kind of PSP brings.
#[derive(Clone, Copy)]
pub(super) struct Kind {
    /// Its own keys.
    pub(super) keys: &'static [&'static str],
    /// Where its references are found when nothing is said.
    reference: &'static [&'static str],
    /// Every payment carries something there.
    is_always_referenced: bool,
    /// Reads its own keys.
    read: fn(&Section<'_>, &Asked<'_>, &mut Findings<'_>) -> Option<PspKind>,
}

/// What the own part of a kind needs to know of the rest.
pub(super) struct Asked<'a> {
    /// Whether the account is said to be live; none when that was refused.
    is_live: Option<bool>,
    /// Where secrets come from.
    surroundings: &'a Surroundings,
}

/// The keys that only accounts of one kind have.
pub(super) trait OwnKeys: Sized {
    /// The word of `kind`.
    const WORD: &'static str;
    /// The keys, beside those that all kinds have.
    const KEYS: &'static [&'static str];
    /// Where references are found when nothing is said.
    const REFERENCE: &'static [&'static str];
    /// True where every payment carries something in those places, so that being referenced alone
    /// proves nothing.
    const IS_ALWAYS_REFERENCED: bool = false;

    /// Reads them.
    fn read(section: &Section<'_>, asked: &Asked<'_>, out: &mut Findings<'_>) -> Option<Self>;

    /// What names the account at its PSP.
    fn credentials(&self) -> &Secret;

    /// Which part of that account it is, where one key may serve several.
    fn within(&self) -> &str {
        ""
    }

    /// As `check` shows them; of a secret only where it comes from.
    fn rows(&self) -> Vec<(&'static str, Value)>;
}

/// Makes the enum of kinds and their table from one line each.
macro_rules! kinds {
    ($($(#[$doc:meta])* $Kind:ident($Keys:ident),)*) => {
        /// The kinds of this release.
        pub(super) const KINDS: &[(&str, Kind)] = &[$((
            $Keys::WORD,
            Kind {
                keys: $Keys::KEYS,
                reference: $Keys::REFERENCE,
                is_always_referenced: $Keys::IS_ALWAYS_REFERENCED,
                read: |section, asked, out| {
                    $Keys::read(section, asked, out).map(PspKind::$Kind)
                },
            },
        ),)*];

        /// An account's kind, with that kind's own keys.
        #[derive(Clone, Debug)]
        pub enum PspKind {
            $($(#[$doc])* $Kind($Keys),)*
        }

        impl PspKind {
            /// The configuration's word.
            pub fn word(&self) -> &'static str {
                match self {
                    $(PspKind::$Kind(_) => $Keys::WORD,)*
                }
            }

            /// What names the account at its PSP: two accounts with the same one, and the same
            /// part of it, are the same account.
            pub fn credentials(&self) -> &Secret {
                match self {
                    $(PspKind::$Kind(own) => own.credentials(),)*
                }
            }

            /// Which part of it it is.
            pub(super) fn within(&self) -> &str {
                match self {
                    $(PspKind::$Kind(own) => own.within(),)*
                }
            }

            /// The kind's own keys as `check` shows them.
            pub(super) fn rows(&self) -> Vec<(&'static str, Value)> {
                match self {
                    $(PspKind::$Kind(own) => own.rows(),)*
                }
            }
        }
    };
}

kinds! {
    /// Stripe.
    Stripe(StripeConfig),
    /// Mollie.
    Mollie(MollieConfig),
    /// MultiSafepay.
    MultiSafepay(MultiSafepayConfig),
    /// PayPal.
    Paypal(PaypalConfig),
    /// Adyen.
    Adyen(AdyenConfig),
}

/// A configured PSP account.
#[derive(Clone, Debug)]
pub struct AccountConfig {
    /// The shop it serves.
    pub shop: ShopId,
    /// Its kind, with that kind's own keys.
    pub kind: PspKind,
    /// Where the reference is found, first hit wins; dotted paths in the PSP's own object.
    pub reference_paths: Vec<String>,
    /// Only a reference of this shape is one of this shop's.
    pub reference_pattern: Option<Regex>,
    /// Which payments are ours.
    pub claims: Claims,
    /// Older payments are recorded and never acted on; none until the account's first start.
    pub since: Option<Time>,
    /// How often it is swept.
    pub sweep_every: Span,
    /// How far back each sweep looks.
    pub sweep_window: Span,
    /// The mode served: live or test.
    pub live: bool,
    /// How many of our calls it may have under way.
    pub calls_at_once: u32,
    /// How many of our calls it may get per second.
    pub calls_per_second: u32,
    /// True when another account has the same credentials for another shop and no pair of
    /// patterns tells their payments apart.
    pub is_shared: bool,
}

impl AccountConfig {
    /// The rules for the adapter of the account with this key.
    pub fn rules(&self, account: &AccountId) -> AccountRules {
        AccountRules {
            account: account.clone(),
            shop: self.shop.clone(),
            reference_paths: self.reference_paths.clone(),
            reference_pattern: self.reference_pattern.clone(),
            claims: self.claims,
            since: self.since,
            live: self.live,
            is_shared: self.is_shared,
        }
    }
}

/// An account with its place in the file.
pub(super) struct Placed {
    pub(super) id: AccountId,
    pub(super) at: Range<usize>,
    pub(super) account: AccountConfig,
}

/// Reads `[psp.NAME]`. `shops` are the keys of all shops in the file, right or wrong.
pub(super) fn read(
    name: &str,
    field: &Field<'_>,
    shops: &[&str],
    surroundings: &Surroundings,
    out: &mut Findings<'_>,
) -> Option<Placed> {
    let id = AccountId::parse(name);
    if let Err(error) = id {
        let message = format!("the account's key {} {error}", quoted(name));
        let raised = Raised::new(Code::BadName, field.key_at.clone(), message);
        out.raise(raised.accepted("1 to 64 letters, digits, `_` and `-`"));
    }
    let kind = peek_kind(field);
    let own = match kind {
        Some(kind) => vec![kind.keys],
        None => KINDS.iter().map(|(_, kind)| kind.keys).collect(),
    };
    let keys = [vec![vocabulary::ACCOUNT], own].concat();
    let section = Section::open(field, format!("[{}]", field.label), &keys, out)?;
    let words = listed(KINDS.iter().map(|(word, _)| *word));
    let kind = section.required("kind", &words, out);
    let kind = kind.and_then(|field| value::word(&field, KINDS, out));
    let shop = section.required("shop", "the key of a configured shop", out);
    let shop = shop.and_then(|field| read_shop(&field, shops, out));
    let is_live = section.read("live", true, out, value::truth);
    let asked = Asked {
        is_live,
        surroundings,
    };
    let sweeps = read_sweeps(&section, out);
    let common = read_common(&section, kind, out);
    let own = kind.and_then(|kind| (kind.read)(&section, &asked, out));
    if kind.is_some_and(|kind| kind.is_always_referenced) {
        remark_reference(&common, field, out);
    }
    let (sweep_every, sweep_window) = sweeps?;
    Some(Placed {
        id: id.ok()?,
        at: field.key_at.clone(),
        account: AccountConfig {
            shop: shop?,
            kind: own?,
            reference_paths: common.reference_paths,
            reference_pattern: common.reference_pattern,
            claims: common.claims,
            since: common.since,
            sweep_every,
            sweep_window,
            live: is_live?,
            calls_at_once: common.calls_at_once,
            calls_per_second: common.calls_per_second,
            is_shared: false,
        },
    })
}

/// What makes a payment ours, and how fast the account may be called.
struct Common {
    reference_paths: Vec<String>,
    reference_pattern: Option<Regex>,
    claims: Claims,
    since: Option<Time>,
    calls_at_once: u32,
    calls_per_second: u32,
}

/// Where the PSP always carries a reference, only its shape can say whose a payment is.
fn remark_reference(common: &Common, field: &Field<'_>, out: &mut Findings<'_>) {
    if common.reference_pattern.is_none() && common.claims == Claims::Referenced {
        let message = "every payment of this kind of PSP carries a reference, so all are taken for \
                       this shop's";
        let raised = Raised::new(Code::AnyReference, field.key_at.clone(), message);
        let hint = "set `reference_pattern`, or `claims = \"all\"` when nothing else uses the \
                    account";
        out.raise(raised.hint(Some(hint.to_owned())));
    }
}

fn read_common(section: &Section<'_>, kind: Option<Kind>, out: &mut Findings<'_>) -> Common {
    let default_paths = kind.map_or(&[][..], |kind| kind.reference);
    let default_paths = default_paths.iter().copied().map(str::to_owned).collect();
    Common {
        reference_paths: section.read_or("reference", default_paths, out, read_paths),
        reference_pattern: section
            .field("reference_pattern")
            .and_then(|field| read_pattern(&field, out)),
        claims: section.read_or("claims", Claims::Referenced, out, |field, out| {
            value::word(field, CLAIMS, out)
        }),
        since: section
            .field("since")
            .and_then(|field| value::time(&field, out)),
        calls_at_once: section.read_or("calls_at_once", CALLS_AT_ONCE, out, value::calls_at_once),
        calls_per_second: section.read_or(
            "calls_per_second",
            CALLS_PER_SECOND,
            out,
            value::calls_per_second,
        ),
    }
}

/// The kind, if it is there and known, before anything is reported.
fn peek_kind(field: &Field<'_>) -> Option<Kind> {
    let table = field.value.get_ref().as_table()?;
    let word = table.get("kind")?.get_ref().as_str()?;
    let found = KINDS.iter().find(|(known, _)| *known == word);
    found.map(|(_, kind)| *kind)
}

fn read_shop(field: &Field<'_>, shops: &[&str], out: &mut Findings<'_>) -> Option<ShopId> {
    let accepted = if shops.is_empty() {
        "the key of a configured shop; there is none".to_owned()
    } else {
        let known = shops
            .iter()
            .copied()
            .filter(|shop| ShopId::parse(shop).is_ok());
        format!("the key of a configured shop: {}", listed(known))
    };
    let text = field.text(&accepted, out)?;
    if shops.contains(&text) {
        // A shop with a bad key has been reported where it stands.
        return ShopId::parse(text).ok();
    }
    let why = format!("names no configured shop: {}", quoted(text));
    let raised = field.refusal(Code::UnknownShop, &why).accepted(accepted);
    out.raise(raised.hint(did_you_mean(text, shops.iter().copied())));
    None
}

fn read_sweeps(section: &Section<'_>, out: &mut Findings<'_>) -> Option<(Span, Span)> {
    let positive = value::duration_above_zero;
    let every = section.read("sweep_every", SWEEP_EVERY, out, positive);
    let window = section.read("sweep_window", SWEEP_WINDOW, out, positive);
    let (every, window) = (every?, window?);
    let field = section
        .field("sweep_window")
        .or(section.field("sweep_every"));
    if let Some(field) = field.filter(|_| window < every) {
        let (every, window) = (
            value::written_duration(every),
            value::written_duration(window),
        );
        let why = format!("leaves gaps: sweeps look {window} back and run every {every}");
        let raised = field.refusal(Code::SweepGap, &why);
        out.raise(raised.accepted("a `sweep_window` at least as long as `sweep_every`"));
    }
    Some((every, window))
}

fn read_paths(field: &Field<'_>, out: &mut Findings<'_>) -> Option<Vec<String>> {
    let accepted = "a dotted path in the PSP's payment, such as \"metadata.order_reference\"";
    let items = field.items(accepted, REFERENCE_PATHS_MAX, out)?;
    let read = |item: &Field<'_>| {
        let text = item.text(accepted, out)?;
        let is_segment = |segment: &str| {
            !segment.is_empty() && segment.chars().all(|c| c.is_ascii_graphic() || c == ' ')
        };
        if text.len() <= REFERENCE_PATH_BYTES_MAX && text.split('.').all(is_segment) {
            return Some(text.to_owned());
        }
        let raised = item.refusal(Code::BadReference, &format!("holds {}", quoted(text)));
        out.raise(raised.accepted(accepted));
        None
    };
    // Every entry is read before any refusal ends it, so that all problems are found.
    let read: Vec<Option<String>> = items.iter().map(read).collect();
    read.into_iter().collect()
}

fn read_pattern(field: &Field<'_>, out: &mut Findings<'_>) -> Option<Regex> {
    let accepted = "a regular expression such as \"^[0-9]{7}$\", at most 512 bytes";
    let text = field.text(accepted, out)?;
    let compiled = RegexBuilder::new(text)
        .size_limit(COMPILED_BYTES_MAX)
        .build();
    let why = match compiled {
        Ok(_) if text.len() > PATTERN_BYTES_MAX => "is too long".to_owned(),
        Ok(pattern) => {
            if !(text.starts_with('^') && text.ends_with('$')) {
                let message = "`reference_pattern` also matches inside longer references";
                let raised = Raised::new(Code::UnanchoredPattern, field.at(), message);
                out.raise(raised.hint(Some("begin with ^ and end with $".to_owned())));
            }
            return Some(pattern);
        }
        Err(error) => {
            let message = error.to_string();
            let last = message.lines().last().unwrap_or_default().trim();
            let reason = last.strip_prefix("error: ").unwrap_or(last);
            format!("is no regular expression: {reason}")
        }
    };
    out.raise(field.refusal(Code::BadPattern, &why).accepted(accepted));
    None
}
