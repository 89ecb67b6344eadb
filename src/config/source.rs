//! The text of the file and how a line of it is shown beside a problem.
//!
//! A line is shown through a mask: only keys, headers and values that a reader vouched for are
//! legible, everything else is dotted out, since a secret may stand where it does not belong.

use super::problem::{Code, ConfigErrors, Place, Problem, Severity};
use super::table::looks_secret;
use super::vocabulary;
use std::ops::Range;
use toml::Spanned;
use toml::de::{DeTable, DeValue};

/// Most problems listed at once; a broken generator could make thousands.
const PROBLEMS_MAX: usize = 200;
/// Widest excerpt, in characters.
const EXCERPT_CHARS_MAX: usize = 120;
/// What a masked character looks like.
const MASK: char = '·';

/// A problem before its place is worked out.
pub(super) struct Raised {
    code: Code,
    at: Option<Range<usize>>,
    message: String,
    accepted: Option<String>,
    hint: Option<String>,
}

impl Raised {
    /// What was found, and where.
    pub(super) fn new(code: Code, at: Range<usize>, message: impl Into<String>) -> Raised {
        Raised {
            code,
            at: Some(at),
            message: message.into(),
            accepted: None,
            hint: None,
        }
    }

    /// What is so of the whole file.
    pub(super) fn of_file(code: Code, message: impl Into<String>) -> Raised {
        Raised {
            code,
            at: None,
            message: message.into(),
            accepted: None,
            hint: None,
        }
    }

    /// With what is accepted instead.
    pub(super) fn accepted(mut self, accepted: impl Into<String>) -> Raised {
        self.accepted = Some(accepted.into());
        self
    }

    /// With what helps, when there is something.
    pub(super) fn hint(mut self, hint: Option<String>) -> Raised {
        self.hint = hint;
        self
    }
}

/// Collects problems of one file, and what of it may be shown.
pub(super) struct Findings<'a> {
    file: &'a str,
    text: &'a str,
    /// Whether the file belongs to its owner alone, so that secrets may stand in it.
    pub(super) is_private: bool,
    raised: Vec<Raised>,
    shown: Vec<Range<usize>>,
    scalars: Vec<Range<usize>>,
    is_parsed: bool,
}

impl<'a> Findings<'a> {
    /// Nothing found yet.
    pub(super) fn new(file: &'a str, text: &'a str, is_private: bool) -> Findings<'a> {
        Findings {
            file,
            text,
            is_private,
            raised: Vec::new(),
            shown: Vec::new(),
            scalars: Vec::new(),
            is_parsed: false,
        }
    }

    /// Notes where the parsed file has keys, headers and values, so that excerpts can tell.
    pub(super) fn survey(&mut self, table: &DeTable<'_>) {
        self.is_parsed = true;
        for (key, value) in table {
            if !looks_secret(key.get_ref()) {
                self.show(key.span());
            }
            self.survey_value(value);
        }
    }

    fn survey_value(&mut self, value: &Spanned<DeValue<'_>>) {
        match value.get_ref() {
            DeValue::Table(table) => {
                let written = self.text.get(value.span()).unwrap_or("");
                if written.starts_with('[') && !looks_secret(written) {
                    self.show(value.span());
                }
                self.survey(table);
            }
            DeValue::Array(items) => items.iter().for_each(|item| self.survey_value(item)),
            DeValue::String(_)
            | DeValue::Integer(_)
            | DeValue::Float(_)
            | DeValue::Boolean(_)
            | DeValue::Datetime(_) => self.scalars.push(value.span()),
        }
    }

    /// Vouches for a stretch of the file: it holds no secret.
    pub(super) fn show(&mut self, at: Range<usize>) {
        self.shown.push(at);
    }

    /// Adds a problem.
    pub(super) fn raise(&mut self, raised: Raised) {
        self.raised.push(raised);
    }

    /// What was found: the warnings and notes of an accepted file, or the errors of a refused one.
    pub(super) fn finish(mut self) -> Result<Vec<Problem>, ConfigErrors> {
        let is_error = |raised: &Raised| raised.code.severity() == Severity::Error;
        let is_refused = self.raised.iter().any(is_error);
        let mut raised = std::mem::take(&mut self.raised);
        raised.retain(|raised| !is_refused || is_error(raised));
        raised.sort_by_key(|raised| raised.at.as_ref().map(|at| at.start));
        let more = raised.len().saturating_sub(PROBLEMS_MAX);
        raised.truncate(PROBLEMS_MAX);
        let problems = raised.into_iter().map(|raised| self.place(raised));
        let problems: Vec<Problem> = problems.collect();
        if is_refused {
            Err(ConfigErrors { problems, more })
        } else {
            Ok(problems)
        }
    }

    fn place(&self, raised: Raised) -> Problem {
        Problem {
            code: raised.code,
            file: self.file.to_owned(),
            place: raised.at.and_then(|at| self.locate(&at)),
            message: raised.message,
            accepted: raised.accepted,
            hint: raised.hint,
        }
    }

    fn locate(&self, at: &Range<usize>) -> Option<Place> {
        let start = self.text.floor_char_boundary(at.start);
        let before = self.text.get(..start)?;
        let line_start = before
            .rfind('\n')
            .map_or(0, |found| found.saturating_add(1));
        let rest = self.text.get(line_start..)?;
        let line = rest.split('\n').next()?.trim_end_matches('\r');
        let column = self.text.get(line_start..start)?.chars().count();
        let masked = self.mask(line_start, line);
        let end = at.end.max(start.saturating_add(1));
        let width = line
            .char_indices()
            .filter(|(offset, _)| (start..end).contains(&line_start.saturating_add(*offset)))
            .count();
        let (excerpt, caret) = window(&masked, column, width.max(1));
        Some(Place {
            line: before.matches('\n').count().saturating_add(1),
            column: column.saturating_add(1),
            excerpt,
            caret,
        })
    }

    /// The line with everything dotted out that nobody vouched for.
    fn mask(&self, line_start: usize, line: &str) -> Vec<char> {
        let words = known_words(line);
        let mut masked = Vec::new();
        for (offset, c) in line.char_indices() {
            let at = line_start.saturating_add(offset);
            let within = |ranges: &[Range<usize>]| ranges.iter().any(|range| range.contains(&at));
            let scalar = self.scalars.iter().find(|range| range.contains(&at));
            let is_legible = match scalar {
                _ if within(&self.shown) => !is_deceptive(c),
                Some(scalar) => matches!(c, '"' | '\'') && is_edge(scalar, at),
                None if c == '#' && self.is_parsed => break,
                None => {
                    " \t[]{}=,.:\"'".contains(c) || words.iter().any(|word| word.contains(&offset))
                }
            };
            masked.push(if is_legible { c } else { MASK });
        }
        while masked.last().is_some_and(|c| c.is_whitespace()) {
            masked.pop();
        }
        masked
    }
}

fn is_edge(range: &Range<usize>, at: usize) -> bool {
    at == range.start || at.saturating_add(1) == range.end
}

/// Characters that would make the excerpt lie about the line.
fn is_deceptive(c: char) -> bool {
    (c.is_control() && c != '\t')
        || matches!(c, '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{206f}')
}

/// Where in the line whole words stand that the configuration itself knows; these are no secrets.
fn known_words(line: &str) -> Vec<Range<usize>> {
    let is_word = |c: char| c.is_ascii_alphanumeric() || c == '_';
    let mut words = Vec::new();
    let mut start = None;
    for (offset, c) in line.char_indices().chain([(line.len(), ' ')]) {
        match (start, is_word(c)) {
            (None, true) => start = Some(offset),
            (Some(from), false) => {
                words.push(from..offset);
                start = None;
            }
            (None, false) | (Some(_), true) => {}
        }
    }
    words.retain(|word| line.get(word.clone()).is_some_and(vocabulary::knows));
    words
}

/// Cuts a long line down around the caret, and draws the caret.
fn window(line: &[char], column: usize, width: usize) -> (String, String) {
    let first = column.saturating_sub(EXCERPT_CHARS_MAX.saturating_div(2));
    let first = if line.len() <= EXCERPT_CHARS_MAX {
        0
    } else {
        first
    };
    let cut: String = line.iter().skip(first).take(EXCERPT_CHARS_MAX).collect();
    let is_cut_after = line.len() > first.saturating_add(EXCERPT_CHARS_MAX);
    let before = if first > 0 { "…" } else { "" };
    let after = if is_cut_after { "…" } else { "" };
    let lead = line.iter().skip(first).take(column.saturating_sub(first));
    let lead: String = lead.map(|c| if *c == '\t' { '\t' } else { ' ' }).collect();
    let pad = " ".repeat(
        column
            .saturating_sub(first)
            .saturating_sub(lead.chars().count()),
    );
    let room = EXCERPT_CHARS_MAX.saturating_sub(column.saturating_sub(first));
    let carets = "^".repeat(width.min(room.max(1)));
    let shift = if first > 0 { " " } else { "" };
    (
        format!("{before}{cut}{after}"),
        format!("{shift}{lead}{pad}{carets}"),
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_long_line_is_cut_around_the_caret() {
        let line: Vec<char> = std::iter::repeat_n('a', 500).collect();
        let (excerpt, caret) = window(&line, 300, 400);
        assert_eq!(excerpt.chars().count(), EXCERPT_CHARS_MAX + 2);
        assert!(excerpt.starts_with('…') && excerpt.ends_with('…'));
        assert_eq!(caret.find('^'), Some(61));
        assert_eq!(caret.len(), EXCERPT_CHARS_MAX + 1);
    }

    #[test]
    fn a_line_that_was_not_parsed_shows_only_words_of_the_configuration() {
        let text = "api_key = { value = s3cr3t # live\n";
        let mut findings = Findings::new("a.toml", text, true);
        findings.raise(Raised::new(Code::Syntax, 20..21, "broken"));
        let place = findings
            .finish()
            .unwrap_err()
            .problems
            .remove(0)
            .place
            .unwrap();
        assert_eq!(place.excerpt, "api_key = { value = ······ · live");
        assert_eq!((place.line, place.column), (1, 21));
    }

    #[test]
    fn a_place_past_the_end_is_the_end() {
        let mut findings = Findings::new("a.toml", "live = ", true);
        findings.raise(Raised::new(Code::Syntax, 900..901, "broken"));
        let place = findings
            .finish()
            .unwrap_err()
            .problems
            .remove(0)
            .place
            .unwrap();
        assert_eq!(
            (place.line, place.column, place.caret.as_str()),
            (1, 8, "       ^")
        );
    }
}
