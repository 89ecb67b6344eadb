//! `reconciled import`: a report file of a PSP, brought to the running daemon part by part.
//!
//! Cuts the file into whole rows and adds up what the daemon says of them; what they mean is read
//! there. A file that is broken as a whole is refused before anything of it is sent.

use super::client::{Client, EXIT_NO, EXIT_OK, EXIT_USAGE};
use super::status::{CommandError, refusal, show};
use crate::psp::report::{self, BadReport, Row};
use clap::ValueEnum;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::fs::File;
use std::io::{Read, Write};
use std::path::{Path, PathBuf};

/// Largest report file, in bytes.
const REPORT_BYTES_MAX: u64 = 64 * 1024 * 1024;
/// Most rows that are sent at once, so that each part is durable well within the listener's time.
const PART_ROWS_MAX: usize = 200;
/// Most bytes of rows that are sent at once; as JSON, every one of them a quote, they stay within the
/// listener's limit.
const PART_BYTES_MAX: usize = 96 * 1024;
/// Most refused rows that are shown one by one.
const REFUSED_SHOWN_MAX: usize = 50;

/// The mode of the PSP account that a file was downloaded from.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Mode {
    /// Real money.
    Live,
    /// Test money.
    Test,
}

/// The arguments of `reconciled import`.
#[derive(Clone, Debug, clap::Args)]
pub struct Args {
    /// The account that the report is of
    #[arg(long, value_name = "ACCOUNT")]
    pub account: String,
    /// The mode that the report was downloaded from; the file itself does not say
    #[arg(long, value_name = "MODE")]
    pub mode: Mode,
    /// The report file, as downloaded
    #[arg(value_name = "FILE")]
    pub file: PathBuf,
    /// JSON instead of text
    #[arg(long)]
    pub json: bool,
}

#[derive(Deserialize, Serialize)]
struct Refused {
    line: u64,
    why: String,
}

/// What came of the file, or of a part of it.
#[derive(Default, Deserialize, Serialize)]
struct Summary {
    rows: u64,
    payments: u64,
    new: u64,
    ignored: BTreeMap<String, u64>,
    unknown: BTreeMap<String, u64>,
    refused: Vec<Refused>,
}

impl Summary {
    fn add(&mut self, part: Summary) {
        self.rows = self.rows.saturating_add(part.rows);
        self.payments = self.payments.saturating_add(part.payments);
        self.new = self.new.saturating_add(part.new);
        for (counts, more) in [
            (&mut self.ignored, part.ignored),
            (&mut self.unknown, part.unknown),
        ] {
            for (kind, count) in more {
                let known = counts.entry(kind).or_default();
                *known = known.saturating_add(count);
            }
        }
        self.refused.extend(part.refused);
    }

    fn is_whole(&self) -> bool {
        self.refused.is_empty() && self.unknown.is_empty()
    }

    fn text(&self) -> String {
        let mut lines = vec![
            format!("{} rows read.", self.rows),
            format!(
                "Payments named: {}; not known before: {}.",
                self.payments, self.new
            ),
        ];
        let of_type = |words: &str, counts: &BTreeMap<String, u64>| {
            let each = counts.iter().map(|(kind, count)| format!("{kind} {count}"));
            let each: Vec<String> = each.collect();
            (!each.is_empty()).then(|| format!("{words}: {}.", each.join(", ")))
        };
        lines.extend(of_type("Of no concern", &self.ignored));
        lines.extend(of_type("Of unknown type, not taken", &self.unknown));
        let refused = self.refused.iter().take(REFUSED_SHOWN_MAX);
        lines.extend(refused.map(|row| format!("Line {} refused: {}.", row.line, row.why)));
        let more = self.refused.len().saturating_sub(REFUSED_SHOWN_MAX);
        if more > 0 {
            lines.push(format!("{more} more rows refused; --json lists them all."));
        }
        lines.join("\n")
    }
}

/// Sends the file; answers the exit code.
///
/// # Errors
/// `Unreachable` when the daemon cannot be reached; an error of `out` is returned as it is. What was
/// sent until then is taken in, and bringing the file again changes nothing about it.
pub async fn run(
    args: &Args,
    client: &Client,
    out: &mut (dyn Write + Send),
) -> Result<u8, CommandError> {
    let text = match text_of(&args.file) {
        Ok(text) => text,
        Err(why) => {
            show(&format!("{}: {why}", args.file.display()), out)?;
            return Ok(EXIT_USAGE);
        }
    };
    let cut = report::rows(&text, 1);
    let (head, rows) = match cut.as_deref().map(<[Row<'_>]>::split_first) {
        Ok(Some((head, rows))) => (head.text, rows),
        Ok(None) => return nothing_taken("the file is empty", out),
        Err(BadReport(why)) => return nothing_taken(why, out),
    };
    let mut summary = Summary::default();
    for part in parts(rows) {
        let wish = serde_json::json!({
            "account": args.account,
            "live": args.mode == Mode::Live,
            "head": head,
            "rows": part.text,
            "line": part.line,
        });
        let answer = client
            .post("/api/v1/imports", wish.to_string(), None)
            .await?;
        if answer.status >= 300 {
            return refusal(&answer, args.json, out);
        }
        match serde_json::from_str(&answer.body) {
            Ok(said) => summary.add(said),
            Err(_) => return nothing_taken("the daemon's answer cannot be read", out),
        }
    }
    if args.json {
        let json = serde_json::to_string_pretty(&summary).map_err(std::io::Error::from)?;
        show(&json, out)?;
    } else {
        show(&summary.text(), out)?;
    }
    Ok(if summary.is_whole() { EXIT_OK } else { EXIT_NO })
}

fn nothing_taken(why: &str, out: &mut (dyn Write + Send)) -> Result<u8, CommandError> {
    show(&format!("Nothing of the file was taken: {why}."), out)?;
    Ok(EXIT_NO)
}

/// The file's text.
fn text_of(path: &Path) -> Result<String, String> {
    let mut bytes = Vec::new();
    let read = File::open(path).and_then(|file| {
        file.take(REPORT_BYTES_MAX.saturating_add(1))
            .read_to_end(&mut bytes)
    });
    let length = read.map_err(|error| error.to_string())?;
    if u64::try_from(length).unwrap_or(u64::MAX) > REPORT_BYTES_MAX {
        return Err(format!("longer than {REPORT_BYTES_MAX} bytes"));
    }
    String::from_utf8(bytes).map_err(|error| {
        let valid = error.utf8_error().valid_up_to();
        let before = error.as_bytes().iter().take(valid);
        let line = before.filter(|byte| **byte == b'\n').count();
        format!("line {}: not UTF-8", line.saturating_add(1))
    })
}

/// Some rows as one text; lines between them that are no rows are kept as empty ones, so that
/// each row's line is still its line in the file.
struct Part {
    text: String,
    line: u64,
}

fn parts(rows: &[Row<'_>]) -> Vec<Part> {
    // A file of column names alone is still shown to the daemon, which knows the columns.
    let mut parts = vec![Part {
        text: String::new(),
        line: rows.first().map_or(2, |row| row.line),
    }];
    let mut held = 0_usize;
    let mut next = 0_u64;
    for row in rows {
        let is_full = parts.last().is_some_and(|part| {
            let bytes = part.text.len().saturating_add(row.text.len());
            held >= PART_ROWS_MAX || (held > 0 && bytes > PART_BYTES_MAX)
        });
        if is_full {
            let (text, line) = (String::new(), row.line);
            parts.push(Part { text, line });
            held = 0;
        }
        if let Some(part) = parts.last_mut() {
            if held > 0 {
                let gap = row.line.saturating_sub(next);
                part.text
                    .extend(std::iter::repeat_n('\n', usize::try_from(gap).unwrap_or(0)));
            }
            part.text.push_str(row.text);
            part.text.push('\n');
        }
        held = held.saturating_add(1);
        let lines = row.text.bytes().filter(|byte| *byte == b'\n').count();
        let lines = u64::try_from(lines).unwrap_or(0);
        next = row.line.saturating_add(lines).saturating_add(1);
    }
    parts
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_is_sent_in_parts_of_whole_rows_and_each_keeps_its_line() {
        let mut text = "head\n".to_owned();
        for number in 0..450 {
            text.push_str(&format!("row {number},\"two\nlines\"\n"));
            if number % 100 == 50 {
                text.push('\n');
            }
        }
        let cut = report::rows(&text, 1).unwrap();
        let (_, rows) = cut.split_first().unwrap();
        let parts = parts(rows);
        assert_eq!(parts.len(), 3);
        let mut again = Vec::new();
        for part in &parts {
            again.extend(report::rows(&part.text, part.line).unwrap());
        }
        assert_eq!(again, rows);
    }

    #[test]
    fn no_part_is_longer_than_its_bound_whatever_the_rows() {
        let row = "x".repeat(8_000);
        let text = format!("{row}\n").repeat(40);
        let cut = report::rows(&text, 1).unwrap();
        let parts = parts(&cut);
        assert!(parts.iter().all(|part| part.text.len() <= PART_BYTES_MAX));
        assert!(parts.len() < 5);
    }
}
