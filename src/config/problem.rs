//! What the configuration's reader has to say: problems with a stable code, a place in the file,
//! what was found, what is accepted and the nearest valid word.
//!
//! Knows no key of the file and no secret: whoever raises a problem decides what may be said,
//! and the excerpt comes already masked from the source.

use serde_json::{Map, Value};
use std::fmt;

/// How much a problem weighs.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Severity {
    /// The configuration is refused.
    Error,
    /// It would run, but probably not as meant.
    Warning,
    /// Worth knowing.
    Note,
}

impl Severity {
    /// The word in front of the code.
    pub fn word(self) -> &'static str {
        match self {
            Severity::Error => "error",
            Severity::Warning => "warning",
            Severity::Note => "note",
        }
    }
}

macro_rules! codes {
    ($($(#[$doc:meta])* $name:ident = $word:literal, $severity:ident;)*) => {
        /// What kind of problem it is.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
        pub enum Code {
            $($(#[$doc])* $name,)*
        }

        impl Code {
            /// Every code there is.
            pub const ALL: &[Code] = &[$(Code::$name),*];

            /// The stable snake_case word.
            pub fn word(self) -> &'static str {
                match self {
                    $(Code::$name => $word,)*
                }
            }

            /// How much it weighs.
            pub fn severity(self) -> Severity {
                match self {
                    $(Code::$name => Severity::$severity,)*
                }
            }
        }
    };
}

codes! {
    /// The file cannot be read.
    UnreadableFile = "unreadable_file", Error;
    /// The file is larger than a configuration may be.
    FileTooLarge = "file_too_large", Error;
    /// The file is not UTF-8.
    NotUtf8 = "not_utf8", Error;
    /// Not TOML.
    Syntax = "syntax", Error;
    /// A key nobody reads.
    UnknownKey = "unknown_key", Error;
    /// A key that must be there is not.
    MissingKey = "missing_key", Error;
    /// A string where a number belongs, and the like.
    WrongType = "wrong_type", Error;
    /// Not one of the words accepted here.
    BadWord = "bad_word", Error;
    /// A name with characters or of a length that names may not have.
    BadName = "bad_name", Error;
    /// Not a duration, or one that makes no sense here.
    BadDuration = "bad_duration", Error;
    /// Not an amount of money, or one that makes no sense here.
    BadMoney = "bad_money", Error;
    /// Not a share between 0 and 1.
    BadShare = "bad_share", Error;
    /// Not a whole number in range.
    BadCount = "bad_count", Error;
    /// Not a moment in UTC.
    BadTime = "bad_time", Error;
    /// Not an address to listen on.
    BadListen = "bad_listen", Error;
    /// Two listeners on one address.
    SameListener = "same_listener", Error;
    /// Not a URL to call.
    BadUrl = "bad_url", Error;
    /// Not a store of this release.
    BadStore = "bad_store", Error;
    /// A key that the store named has no use for.
    UnusedStoreKey = "unused_store_key", Error;
    /// Not a regular expression.
    BadPattern = "bad_pattern", Error;
    /// Not a path to a reference.
    BadReference = "bad_reference", Error;
    /// A list with nothing in it, or with too much.
    BadLength = "bad_length", Error;
    /// Not a place that a secret can come from.
    BadSecretSource = "bad_secret_source", Error;
    /// The secret is not where the file says.
    SecretUnavailable = "secret_unavailable", Error;
    /// The secret is there and has the wrong shape.
    BadSecret = "bad_secret", Error;
    /// A secret stands in a file that others can read.
    ExposedSecret = "exposed_secret", Error;
    /// Trusted certificates that cannot be read.
    BadCertificates = "bad_certificates", Error;
    /// `live` and the API key or address contradict each other.
    LiveMismatch = "live_mismatch", Error;
    /// An account serves a shop that is not configured.
    UnknownShop = "unknown_shop", Error;
    /// Two tokens with one name, or one token with two names.
    DuplicateToken = "duplicate_token", Error;
    /// One PSP account configured twice for the same shop.
    DuplicateAccount = "duplicate_account", Error;
    /// Sweeps that leave gaps.
    SweepGap = "sweep_gap", Error;
    /// Checkouts forgotten while their payments may still be refunded.
    RetentionTooShort = "retention_too_short", Error;
    /// No shop at all.
    NoShop = "no_shop", Warning;
    /// A shop that no account serves.
    ShopWithoutAccount = "shop_without_account", Warning;
    /// Two shops with the same secret.
    SharedShopSecret = "shared_shop_secret", Warning;
    /// One PSP account for several shops, and nothing tells their payments apart.
    SharedAccount = "shared_account", Warning;
    /// `claims = "all"` on an account that serves several shops.
    ClaimsAllShared = "claims_all_shared", Warning;
    /// A reference pattern that also matches inside longer texts.
    UnanchoredPattern = "unanchored_pattern", Warning;
    /// Every payment carries a reference and nothing says which are this shop's.
    AnyReference = "any_reference", Warning;
    /// The admin listener can be reached from elsewhere.
    AdminNotLoopback = "admin_not_loopback", Warning;
    /// The database is elsewhere and nobody checks whether it is the right one.
    StoreNotVerified = "store_not_verified", Warning;
    /// A secret's file can be read by everyone on the machine.
    ExposedSecretFile = "exposed_secret_file", Warning;
    /// Nobody can rule.
    NoAdminToken = "no_admin_token", Note;
}

/// Where in the file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Place {
    /// Line, from 1.
    pub line: usize,
    /// Column in characters, from 1.
    pub column: usize,
    /// The line itself; everything not known to be harmless is dotted out.
    pub excerpt: String,
    /// Blanks and carets to stand under the excerpt.
    pub caret: String,
}

/// One thing to say about the configuration.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Problem {
    /// What kind.
    pub code: Code,
    /// The file, as it was named to us.
    pub file: String,
    /// Where in it; none when the whole file is meant.
    pub place: Option<Place>,
    /// What was found.
    pub message: String,
    /// What is accepted instead.
    pub accepted: Option<String>,
    /// The nearest valid word, or what else helps.
    pub hint: Option<String>,
}

impl Problem {
    /// How much it weighs.
    pub fn severity(&self) -> Severity {
        self.code.severity()
    }

    /// The problem for machines: `severity`, `code`, `file`, `line`, `column`, `message`,
    /// `accepted`, `hint`; `null` for what there is none of.
    pub fn json(&self) -> Value {
        let number = |pick: fn(&Place) -> usize| self.place.as_ref().map(pick).into();
        let entries: [(&str, Value); 8] = [
            ("severity", self.severity().word().into()),
            ("code", self.code.word().into()),
            ("file", self.file.as_str().into()),
            ("line", number(|place| place.line)),
            ("column", number(|place| place.column)),
            ("message", self.message.as_str().into()),
            ("accepted", self.accepted.clone().into()),
            ("hint", self.hint.clone().into()),
        ];
        let entries = entries.map(|(key, value)| (key.to_owned(), value));
        Value::Object(Map::from_iter(entries))
    }
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.file)?;
        if let Some(place) = &self.place {
            write!(f, ":{}:{}", place.line, place.column)?;
        }
        let (severity, code) = (self.severity().word(), self.code.word());
        write!(f, ": {severity}[{code}]: {}", self.message)?;
        let number = self.place.as_ref().map(|place| place.line.to_string());
        let gutter = " ".repeat(number.as_ref().map_or(1, String::len));
        if let (Some(place), Some(number)) = (&self.place, &number) {
            write!(f, "\n {gutter} |")?;
            write!(f, "\n {number} | {}", place.excerpt)?;
            write!(f, "\n {gutter} | {}", place.caret)?;
        }
        if let Some(accepted) = &self.accepted {
            write!(f, "\n {gutter} = accepted: {accepted}")?;
        }
        if let Some(hint) = &self.hint {
            write!(f, "\n {gutter} = help: {hint}")?;
        }
        Ok(())
    }
}

/// A refused configuration: all its problems at once.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{}", list(problems, *more))]
pub struct ConfigErrors {
    /// The errors, in the order of the file.
    pub problems: Vec<Problem>,
    /// How many more there are than `problems` holds.
    pub more: usize,
}

impl ConfigErrors {
    /// A single problem of the whole file.
    pub(super) fn whole_file(code: Code, file: &str, message: String) -> ConfigErrors {
        ConfigErrors {
            problems: vec![Problem {
                code,
                file: file.to_owned(),
                place: None,
                message,
                accepted: None,
                hint: None,
            }],
            more: 0,
        }
    }

    /// All problems for machines.
    pub fn json(&self) -> Value {
        Value::Array(self.problems.iter().map(Problem::json).collect())
    }
}

fn list(problems: &[Problem], more: usize) -> String {
    let mut text = String::new();
    for problem in problems {
        text.push_str(&problem.to_string());
        text.push_str("\n\n");
    }
    let total = problems.len().saturating_add(more);
    let noun = if total == 1 { "problem" } else { "problems" };
    text.push_str(&format!("configuration refused: {total} {noun}"));
    if more > 0 {
        text.push_str(&format!(" ({} shown)", problems.len()));
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeSet;

    #[test]
    fn every_code_has_a_word_of_its_own() {
        let words: BTreeSet<&str> = Code::ALL.iter().map(|code| code.word()).collect();
        assert_eq!(words.len(), Code::ALL.len());
    }

    #[test]
    fn more_problems_than_are_shown_are_counted() {
        let mut errors = ConfigErrors::whole_file(Code::NotUtf8, "a.toml", "broken".to_owned());
        assert_eq!(
            errors.to_string(),
            "a.toml: error[not_utf8]: broken\n\nconfiguration refused: 1 problem"
        );
        errors.more = 7;
        assert!(
            errors
                .to_string()
                .ends_with("refused: 8 problems (1 shown)")
        );
    }
}
