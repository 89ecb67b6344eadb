//! Walking the parsed file: sections with their keys, fields with their labels.
//!
//! A section reports its unknown and missing keys itself; a field knows how to say what was
//! found. What a value means is for `value` and the sections' own files.

use super::problem::Code;
use super::source::{Findings, Raised};
use super::vocabulary;
use std::ops::Range;
use toml::Spanned;
use toml::de::{DeString, DeTable, DeValue};

/// Longest text quoted in a message, in characters.
const QUOTED_CHARS_MAX: usize = 60;
/// Beginnings of the secrets that people paste into the wrong place.
const SECRET_PREFIXES: &[&str] = &["sk_live_", "sk_test_", "rk_live_", "rk_test_", "whsec_"];
/// Shortest such secret, in bytes; a credential may well be *named* `whsec_klompen`.
const SECRET_BYTES_MIN: usize = 24;

/// True for a text that is probably a secret, wherever it stands.
pub(super) fn looks_secret(text: &str) -> bool {
    text.len() >= SECRET_BYTES_MIN && SECRET_PREFIXES.iter().any(|prefix| text.contains(prefix))
}

/// A text in quotes, escaped and of bounded length; never a secret.
pub(super) fn quoted(text: &str) -> String {
    if looks_secret(text) {
        return "(not shown: it looks like a secret)".to_owned();
    }
    let is_long = text.chars().count() > QUOTED_CHARS_MAX;
    let head: String = text.chars().take(QUOTED_CHARS_MAX).collect();
    let dots = if is_long { "…" } else { "" };
    format!("\"{}{dots}\"", head.escape_debug())
}

/// Words in quotes, to list what is accepted.
pub(super) fn listed<'a>(words: impl IntoIterator<Item = &'a str>) -> String {
    let words: Vec<String> = words
        .into_iter()
        .map(|word| format!("\"{word}\""))
        .collect();
    words.join(", ")
}

/// A hint that names the nearest word.
pub(super) fn did_you_mean<'a>(
    word: &str,
    candidates: impl IntoIterator<Item = &'a str>,
) -> Option<String> {
    let nearest = vocabulary::nearest(word, candidates)?;
    Some(format!("did you mean `{nearest}`?"))
}

/// One key and its value.
#[derive(Clone)]
pub(super) struct Field<'a> {
    /// The key, as messages name it.
    pub(super) label: String,
    /// Where the key stands; headers for sections.
    pub(super) key_at: Range<usize>,
    /// The value.
    pub(super) value: &'a Spanned<DeValue<'a>>,
}

impl<'a> Field<'a> {
    /// Where the value stands.
    pub(super) fn at(&self) -> Range<usize> {
        self.value.span()
    }

    /// Refuses the value for a reason that follows its label.
    pub(super) fn refusal(&self, code: Code, why: &str) -> Raised {
        Raised::new(code, self.at(), format!("`{}` {why}", self.label))
    }

    /// Refuses the value's type. Says what a harmless value is; of others only the type.
    pub(super) fn wrong_type(&self, accepted: &str, is_harmless: bool, out: &mut Findings<'_>) {
        let value = self.value.get_ref();
        let found = match value {
            DeValue::String(text) if is_harmless => {
                if !looks_secret(text) {
                    out.show(self.at());
                }
                format!("the string {}", quoted(text))
            }
            DeValue::Integer(number) if is_harmless => {
                out.show(self.at());
                format!("the integer {}", clipped(&number.to_string()))
            }
            DeValue::Float(number) if is_harmless => {
                out.show(self.at());
                format!("the number {}", clipped(number.as_str()))
            }
            DeValue::Boolean(truth) => {
                out.show(self.at());
                format!("the boolean {truth}")
            }
            DeValue::Datetime(moment) if is_harmless => {
                out.show(self.at());
                format!("the time {moment}")
            }
            DeValue::String(_) => "a string (not shown)".to_owned(),
            DeValue::Integer(_) => "an integer (not shown)".to_owned(),
            DeValue::Float(_) => "a number (not shown)".to_owned(),
            DeValue::Datetime(_) => "a time (not shown)".to_owned(),
            DeValue::Array(_) => "an array".to_owned(),
            DeValue::Table(_) => "a table".to_owned(),
        };
        let raised = self.refusal(Code::WrongType, &format!("is {found}"));
        out.raise(raised.accepted(accepted));
    }

    /// The text of a field that holds no secret, which may be shown from now on.
    pub(super) fn text(&self, accepted: &str, out: &mut Findings<'_>) -> Option<&'a str> {
        let text = self.hidden_text(accepted, out)?;
        if !looks_secret(text) {
            out.show(self.at());
        }
        Some(text)
    }

    /// The text of a field that is not to be shown yet, or never.
    pub(super) fn hidden_text(&self, accepted: &str, out: &mut Findings<'_>) -> Option<&'a str> {
        if let DeValue::String(text) = self.value.get_ref() {
            return Some(text);
        }
        self.wrong_type(accepted, true, out);
        None
    }

    /// The items of an array of 1 to `max`, each labelled like the array; `each` says what is
    /// accepted as an item.
    pub(super) fn items(
        &self,
        each: &str,
        max: usize,
        out: &mut Findings<'_>,
    ) -> Option<Vec<Field<'a>>> {
        let accepted = format!("an array of 1 to {max} entries, each {each}");
        let Some(items) = self.value.get_ref().as_array() else {
            self.wrong_type(&accepted, false, out);
            return None;
        };
        if items.is_empty() || items.len() > max {
            let why = format!("has {} entries", items.len());
            let raised = self.refusal(Code::BadLength, &why);
            out.raise(raised.accepted(accepted));
            return None;
        }
        let item = |value: &'a Spanned<DeValue<'a>>| Field {
            label: self.label.clone(),
            key_at: value.span(),
            value,
        };
        Some(items.iter().map(item).collect())
    }

    /// The named entries of `[shop.…]` or `[psp.…]`: name, and the table as a field.
    pub(super) fn entries(&self, out: &mut Findings<'_>) -> Vec<(&'a str, Field<'a>)> {
        let Some(table) = self.value.get_ref().as_table() else {
            let accepted = format!("tables such as [{}.NAME]", self.label);
            self.wrong_type(&accepted, false, out);
            return Vec::new();
        };
        let entry = |(key, value): (&'a Spanned<DeString<'a>>, &'a Spanned<DeValue<'a>>)| {
            let name: &'a str = key.get_ref();
            let field = Field {
                label: format!("{}.{}", self.label, plain(name)),
                key_at: key.span(),
                value,
            };
            (name, field)
        };
        table.iter().map(entry).collect()
    }
}

/// A name as titles show it.
fn plain(name: &str) -> String {
    if looks_secret(name) {
        return "(not shown)".to_owned();
    }
    name.escape_debug().take(QUOTED_CHARS_MAX).collect()
}

fn clipped(text: &str) -> String {
    text.chars().take(QUOTED_CHARS_MAX).collect()
}

/// A table whose keys are known.
pub(super) struct Section<'a> {
    table: &'a DeTable<'a>,
    title: String,
    at: Range<usize>,
}

impl<'a> Section<'a> {
    /// The whole file.
    pub(super) fn root(table: &'a DeTable<'a>, out: &mut Findings<'_>) -> Section<'a> {
        let section = Section {
            table,
            title: "the file's top level".to_owned(),
            at: 0..0,
        };
        section.report_unknown(&[vocabulary::ROOT], out);
        section
    }

    /// A table with these keys; reports any others.
    pub(super) fn open(
        field: &Field<'a>,
        title: String,
        keys: &[&[&'static str]],
        out: &mut Findings<'_>,
    ) -> Option<Section<'a>> {
        let Some(table) = field.value.get_ref().as_table() else {
            let known: Vec<&str> = keys.concat();
            let accepted = format!("a table with the keys {}", known.join(", "));
            field.wrong_type(&accepted, false, out);
            return None;
        };
        let at = field.at();
        let section = Section { table, title, at };
        section.report_unknown(keys, out);
        Some(section)
    }

    fn report_unknown(&self, keys: &[&[&'static str]], out: &mut Findings<'_>) {
        let known: Vec<&str> = keys.concat();
        for (key, _) in self.table.iter() {
            let word: &str = key.get_ref();
            if known.contains(&word) {
                continue;
            }
            let hint = did_you_mean(word, known.iter().copied()).or_else(|| {
                let home = vocabulary::home(word)?;
                Some(format!("`{word}` belongs in {home}"))
            });
            let message = format!("unknown key {} in {}", quoted(word), self.title);
            let raised = Raised::new(Code::UnknownKey, key.span(), message);
            out.raise(raised.accepted(known.join(", ")).hint(hint));
        }
    }

    /// The field of that key, if it is there.
    pub(super) fn field(&self, key: &str) -> Option<Field<'a>> {
        let (key, value) = self.table.get_key_value(key)?;
        Some(Field {
            label: key.get_ref().to_string(),
            key_at: key.span(),
            value,
        })
    }

    /// The field of a key that must be there.
    pub(super) fn required(
        &self,
        key: &str,
        accepted: &str,
        out: &mut Findings<'_>,
    ) -> Option<Field<'a>> {
        let field = self.field(key);
        if field.is_none() {
            let message = format!("{} has no `{key}`", self.title);
            let raised = Raised::new(Code::MissingKey, self.at.clone(), message);
            out.raise(raised.accepted(format!("`{key}`: {accepted}")));
        }
        field
    }

    /// The value of a key, or the default when it is absent; none when it was refused.
    pub(super) fn read<T>(
        &self,
        key: &str,
        default: T,
        out: &mut Findings<'_>,
        read: impl FnOnce(&Field<'a>, &mut Findings<'_>) -> Option<T>,
    ) -> Option<T> {
        match self.field(key) {
            Some(field) => read(&field, out),
            None => Some(default),
        }
    }

    /// The value of a key, or the default when it is absent or was refused.
    pub(super) fn read_or<T: Clone>(
        &self,
        key: &str,
        default: T,
        out: &mut Findings<'_>,
        read: impl FnOnce(&Field<'a>, &mut Findings<'_>) -> Option<T>,
    ) -> T {
        let read = self.read(key, default.clone(), out, read);
        read.unwrap_or(default)
    }
}
