//! The labels of our metrics as types, so that a label cannot be misspelt or grow without bound.
//!
//! Knows the core's enums, whose words it writes.

use crate::core::fact::Outcome;
use crate::core::plan::{ActionKind, Destination};
use prometheus_client::encoding::{EncodeLabelSet, EncodeLabelValue, LabelValueEncoder};
use std::fmt::{self, Write};

/// A destination as one word: `shop:klompen`, `psp:stripe_nl`.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) struct DestinationWord(String);

impl From<&Destination> for DestinationWord {
    fn from(destination: &Destination) -> DestinationWord {
        DestinationWord(match destination {
            Destination::Shop(shop) => format!("shop:{shop}"),
            Destination::Psp(account) => format!("psp:{account}"),
        })
    }
}

impl EncodeLabelValue for DestinationWord {
    fn encode(&self, encoder: &mut LabelValueEncoder<'_>) -> Result<(), fmt::Error> {
        encoder.write_str(&self.0)
    }
}

/// Attempts.
#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
pub(super) struct ActionLabels {
    pub(super) destination: DestinationWord,
    pub(super) kind: &'static str,
    pub(super) outcome: &'static str,
}

/// A kind of action.
#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
pub(super) struct KindLabel {
    pub(super) kind: &'static str,
}

/// A destination alone.
#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
pub(super) struct DestinationLabel {
    pub(super) destination: DestinationWord,
}

/// A result from a short list of our own words.
#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
pub(super) struct ResultLabel {
    pub(super) result: &'static str,
}

/// Decisions.
#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
pub(super) struct DecisionLabels {
    pub(super) shop: String,
    pub(super) verdict: &'static str,
    pub(super) reason: &'static str,
}

/// Refunds.
#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
pub(super) struct RefundLabels {
    pub(super) shop: String,
    pub(super) account: String,
    pub(super) currency: String,
}

/// Sweeps.
#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
pub(super) struct SweepLabels {
    pub(super) account: String,
    pub(super) result: &'static str,
}

/// A shop.
#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
pub(super) struct ShopLabel {
    pub(super) shop: String,
}

/// A PSP account.
#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
pub(super) struct AccountLabel {
    pub(super) account: String,
}

/// Breaches.
#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
pub(super) struct BreachLabels {
    pub(super) shop: String,
    pub(super) promise: &'static str,
}

/// Captures.
#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
pub(super) struct CaptureLabels {
    pub(super) shop: String,
    pub(super) learned_by: &'static str,
}

/// A problem code.
#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
pub(super) struct CodeLabel {
    pub(super) code: &'static str,
}

/// The running configuration.
#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
pub(super) struct ConfigLabels {
    pub(super) fingerprint: String,
}

/// The program.
#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
pub(super) struct BuildLabels {
    pub(super) version: &'static str,
}

/// A kind of action as a label value.
pub(super) fn kind_word(kind: ActionKind) -> &'static str {
    kind.code()
}

/// How an attempt ended as a label value; the other side's own words stay in the journal.
pub(super) fn outcome_word(outcome: &Outcome) -> &'static str {
    match outcome {
        Outcome::Unclear { .. } => "unclear",
        Outcome::NotSent { .. } => "not_sent",
        Outcome::Throttled { .. } => "throttled",
        Outcome::Postponed { .. } => "postponed",
        Outcome::Unauthorized { .. } => "unauthorized",
        Outcome::Malformed { .. } => "malformed",
        Outcome::Refused { .. } => "refused",
        Outcome::Done => "done",
    }
}
