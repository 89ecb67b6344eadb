//! Report files: comma-separated text cut into rows, and what an adapter makes of a part of one.
//!
//! A file is not signed and can be large, so it is taken in parts: its head and some whole rows.
//! Knows no column's meaning, no file system and no PSP.

use crate::core::payment::PaymentSnapshot;
use std::collections::BTreeMap;

/// Longest row of a report, in bytes; Adyen's have some 400.
pub const ROW_BYTES_MAX: usize = 8 * 1024;

/// A part of a report: its head, and whole rows.
#[derive(Clone, Copy, Debug)]
pub struct ReportPart<'a> {
    /// The row that names the columns, as written.
    pub head: &'a str,
    /// Rows, as written.
    pub rows: &'a str,
    /// The line of the file at which the first of these rows begins, counted from 1.
    pub line: u64,
}

/// What an adapter made of a part.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ReportReading {
    /// Statements.
    pub payments: Vec<PaymentSnapshot>,
    /// Rows that were looked at.
    pub rows: u64,
    /// Rows of known types that say nothing about a payment, by type.
    pub ignored: BTreeMap<String, u64>,
    /// Rows of types that are not known, by type.
    pub unknown: BTreeMap<String, u64>,
    /// Rows that were not taken: the line of the file at which each begins, and why.
    pub refused: Vec<(u64, String)>,
}

/// Why nothing of a report was taken; for people.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BadReport(pub String);

/// One row as written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Row<'a> {
    /// The line of the file at which it begins, counted from 1.
    pub line: u64,
    /// Its text, without the line end.
    pub text: &'a str,
}

/// Cuts text into its rows; empty lines are none. `line` is the number of the first.
pub fn rows(text: &str, line: u64) -> Result<Vec<Row<'_>>, BadReport> {
    let mut found = Vec::new();
    let (mut rest, mut line) = (text, line);
    while !rest.is_empty() {
        let (row, after) = match row_end(rest) {
            Some(end) => rest.split_at_checked(end).unwrap_or((rest, "")),
            None => return Err(BadReport(format!("line {line}: a quote is never closed"))),
        };
        if row.len() > ROW_BYTES_MAX {
            let why = "a row too long to be one; is a quote not closed?";
            return Err(BadReport(format!("line {line}: {why}")));
        }
        let bare = row.strip_suffix('\n').unwrap_or(row);
        let bare = bare.strip_suffix('\r').unwrap_or(bare);
        if !bare.is_empty() {
            found.push(Row { line, text: bare });
        }
        let lines = row.bytes().filter(|byte| *byte == b'\n').count();
        line = line.saturating_add(u64::try_from(lines).unwrap_or(u64::MAX));
        rest = after;
    }
    Ok(found)
}

/// Where we are in a row.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Place {
    /// At the beginning of a field.
    Begin,
    /// In a field without quotes, or behind the closing quote.
    Plain,
    /// Between quotes.
    Quoted,
    /// At a quote between quotes: the closing one, or the first of two that mean one.
    Quote,
}

impl Place {
    fn after(self, byte: u8) -> Place {
        match (self, byte) {
            (Place::Begin | Place::Quote, b'"') | (Place::Quoted, 0..b'"' | b'#'..) => {
                Place::Quoted
            }
            (Place::Quoted, b'"') => Place::Quote,
            (Place::Begin | Place::Plain | Place::Quote, b',') => Place::Begin,
            (Place::Begin | Place::Plain | Place::Quote, _) => Place::Plain,
        }
    }
}

/// Where the first row ends, its line end included; none when the text ends between quotes.
fn row_end(text: &str) -> Option<usize> {
    let mut place = Place::Begin;
    for (at, byte) in text.bytes().enumerate() {
        if byte == b'\n' && place != Place::Quoted {
            return at.checked_add(1);
        }
        place = place.after(byte);
    }
    (place != Place::Quoted).then_some(text.len())
}

impl Row<'_> {
    /// Its fields, unquoted; none when it is not well-formed.
    pub fn fields(&self) -> Option<Vec<String>> {
        let mut fields = Vec::new();
        let mut field = String::new();
        let mut place = Place::Begin;
        for letter in self.text.chars() {
            let next = place.after(u8::try_from(letter).unwrap_or(b'x'));
            match (place, next) {
                // Behind the closing quote nothing but the end of the field may come.
                (Place::Quote, Place::Plain) => return None,
                (_, Place::Begin) => fields.push(std::mem::take(&mut field)),
                (Place::Begin, Place::Quoted) | (_, Place::Quote) => {}
                (_, Place::Plain) if letter == '"' => return None,
                (_, Place::Plain | Place::Quoted) => field.push(letter),
            }
            place = next;
        }
        fields.push(field);
        (place != Place::Quoted).then_some(fields)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn cut(text: &str) -> Vec<(u64, Vec<String>)> {
        let rows = rows(text, 1).unwrap();
        rows.iter()
            .map(|row| (row.line, row.fields().unwrap()))
            .collect()
    }

    #[test]
    fn quotes_hold_commas_line_ends_and_quotes_and_lines_are_counted() {
        let text = "a,b\r\n\"1,\n2\",\"say \"\"no\"\"\"\n\nlast,\"\"\n,";
        let row = |line, one: &str, two: &str| (line, vec![one.to_owned(), two.to_owned()]);
        let wanted = vec![
            row(1, "a", "b"),
            row(2, "1,\n2", "say \"no\""),
            row(5, "last", ""),
            row(6, "", ""),
        ];
        assert_eq!(cut(text), wanted);
    }

    #[test]
    fn a_quote_out_of_place_spoils_its_own_row_alone() {
        let text = "5\" tube,1\n\"a\"b,2\nfine,3\n";
        let rows = rows(text, 1).unwrap();
        let read: Vec<bool> = rows.iter().map(|row| row.fields().is_some()).collect();
        assert_eq!(read, [false, false, true]);
    }

    #[test]
    fn a_quote_that_is_never_closed_and_an_endless_row_are_named_with_their_line() {
        let bad = rows("a\nb\n\"c,\nd\n", 1).unwrap_err();
        assert_eq!(bad.0, "line 3: a quote is never closed");
        let long = format!("a\n{}\n", "x".repeat(ROW_BYTES_MAX));
        assert!(rows(&long, 1).unwrap_err().0.starts_with("line 2: "));
    }

    proptest! {
        #[test]
        fn what_is_quoted_is_read_back(fields in proptest::collection::vec(".*", 1..6)) {
            let quoted = fields.iter().map(|one| format!("\"{}\"", one.replace('"', "\"\"")));
            let text = quoted.collect::<Vec<_>>().join(",");
            prop_assume!(text.len() < ROW_BYTES_MAX);
            prop_assert_eq!(cut(&text), vec![(1, fields)]);
        }
    }
}
