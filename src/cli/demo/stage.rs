//! How the demo is told: a progress line on a terminal, plain lines everywhere else.
//!
//! Knows how to write and nothing of how anything is played.

use super::scenes::Outcome;
use crate::core::time::Span;
use crate::sandbox::books::Judgement;
use std::collections::BTreeMap;
use std::io::{self, IsTerminal, Stdout, Write};
use std::path::Path;

/// The marks that turn in the progress line.
const MARKS: [&str; 4] = ["|", "/", "-", "\\"];
/// Longest line of a story, in characters.
const WIDTH: usize = 76;

/// Where the story is told.
pub(super) struct Stage<W> {
    out: W,
    is_terminal: bool,
    is_progress_shown: bool,
    drawn: usize,
    told: usize,
}

impl Stage<Stdout> {
    pub(super) fn on_stdout() -> Stage<Stdout> {
        let out = io::stdout();
        let is_terminal = out.is_terminal();
        Stage::new(out, is_terminal)
    }
}

impl<W: Write> Stage<W> {
    fn new(out: W, is_terminal: bool) -> Stage<W> {
        Stage {
            out,
            is_terminal,
            is_progress_shown: false,
            drawn: 0,
            told: 0,
        }
    }

    /// Wipes the progress line away.
    pub(super) fn clear(&mut self) -> io::Result<()> {
        if self.is_progress_shown {
            write!(self.out, "\r\x1b[K")?;
            self.is_progress_shown = false;
        }
        self.out.flush()
    }

    fn line(&mut self, text: &str) -> io::Result<()> {
        self.clear()?;
        writeln!(self.out, "{text}")?;
        self.out.flush()
    }

    /// Draws what is going on over what was drawn before; on a terminal only.
    pub(super) fn progress(&mut self, what: &str) -> io::Result<()> {
        if !self.is_terminal {
            return Ok(());
        }
        self.drawn = self.drawn.saturating_add(1);
        let place = self.drawn.checked_rem(MARKS.len()).unwrap_or(0);
        let mark = MARKS.get(place).unwrap_or(&"*");
        write!(self.out, "\r\x1b[K{mark} {what} ...")?;
        self.is_progress_shown = true;
        self.out.flush()
    }

    pub(super) fn opening(&mut self, psp: &str, seed: u64) -> io::Result<()> {
        self.line(
            "The real daemon on a throw-away SQLite file, a sandbox PSP and a sandbox shop,",
        )?;
        self.line(&format!(
            "all on this machine; real HTTP, real signatures. The PSP speaks as {psp}. Seed {seed}."
        ))
    }

    pub(super) fn status_page(&mut self, url: &str) -> io::Result<()> {
        self.line(&format!("Status page: {url}"))
    }

    /// Tells a scene that was played.
    pub(super) fn scene(&mut self, outcome: &Outcome) -> io::Result<()> {
        self.told = self.told.saturating_add(1);
        let mark = if outcome.problem.is_none() {
            "ok"
        } else {
            "WRONG"
        };
        let (title, took) = (outcome.title, seconds(outcome.took));
        self.line("")?;
        self.line(&format!("{:>2}. {title}  [{mark}, {took}]", self.told))?;
        for part in folded(&outcome.story) {
            self.line(&format!("    {part}"))?;
        }
        for shown in &outcome.shown {
            let customer = &shown.customer;
            self.line(&format!("    order {}", shown.reference))?;
            if shown.strikes > 0 {
                let calls = if shown.strikes == 1 { "call" } else { "calls" };
                self.line(&format!("      trouble {} {calls} struck", shown.strikes))?;
            }
            self.line(&format!("      daemon  {}", shown.daemon))?;
            self.line(&format!("      PSP     {}", customer.psp_line()))?;
            self.line(&format!("      shop    {}", customer.shop_line()))?;
        }
        if let Some(problem) = &outcome.problem {
            for part in problem.lines() {
                self.line(&format!("    ! {part}"))?;
            }
        }
        Ok(())
    }

    /// Tells how it all ended.
    pub(super) fn closing(
        &mut self,
        troubles: &BTreeMap<String, Judgement>,
        wrong: usize,
        took: Span,
    ) -> io::Result<()> {
        self.line("")?;
        for (reference, judgement) in troubles {
            self.line(&format!(
                "! both books together: order {reference}: {judgement}"
            ))?;
        }
        let (told, took) = (self.told, seconds(took));
        if wrong == 0 && troubles.is_empty() {
            self.line(&format!(
                "{told} of {told} scenes ended as they should, in {took}. Both books agree: nobody \
                 is charged\nwithout an order, and nobody got money back twice."
            ))
        } else {
            let right = told.saturating_sub(wrong);
            self.line(&format!(
                "{right} of {told} scenes ended as they should, in {took}."
            ))
        }
    }

    pub(super) fn keeping(&mut self, url: &str) -> io::Result<()> {
        self.line(&format!(
            "Still running: {url}. Ctrl-C ends it and removes everything."
        ))
    }

    /// Tells where store, configuration and log can be looked at.
    pub(super) fn kept(&mut self, place: &Path) -> io::Result<()> {
        let place = place.display();
        self.line(&format!(
            "Store, configuration and log are kept in {place}."
        ))
    }

    /// Tells what the daemon logged as errors, or how it ended badly; it should have done neither.
    pub(super) fn errors(&mut self, errors: &[String]) -> io::Result<()> {
        for error in errors {
            self.line(&format!("! the daemon is not well: {error}"))?;
        }
        Ok(())
    }
}

fn seconds(span: Span) -> String {
    let tenths = span.micros().checked_div(100_000).unwrap_or(0);
    let whole = tenths.checked_div(10).unwrap_or(0);
    let rest = tenths.checked_rem(10).unwrap_or(0);
    format!("{whole}.{rest} s")
}

/// A text in lines of at most `WIDTH` characters, broken at spaces.
fn folded(text: &str) -> Vec<String> {
    let mut lines: Vec<String> = Vec::new();
    for word in text.split_whitespace() {
        match lines.last_mut() {
            Some(line) if fits(line, word) => {
                line.push(' ');
                line.push_str(word);
            }
            Some(_) | None => lines.push(word.to_owned()),
        }
    }
    lines
}

fn fits(line: &str, word: &str) -> bool {
    let length = line.chars().count().saturating_add(word.chars().count());
    length < WIDTH
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cli::demo::scenes::Shown;
    use crate::sandbox::books::Customer;
    use crate::sandbox::rig::eur;

    fn outcome(problem: Option<&str>) -> Outcome {
        Outcome {
            title: "A normal payment",
            story: "word ".repeat(40),
            shown: vec![Shown {
                reference: "1000001".to_owned(),
                daemon: "settled (confirmed_by_shop)".to_owned(),
                customer: Customer {
                    charged: 5_995,
                    payments: 1,
                    currency: Some(eur(0).currency()),
                    owed: Some(5_995),
                    is_confirmed: true,
                    mails: 1,
                    ..Customer::default()
                },
                strikes: 2,
            }],
            problem: problem.map(str::to_owned),
            took: Span::from_millis(1_250),
        }
    }

    fn told(is_terminal: bool, problem: Option<&str>) -> String {
        let mut out = Vec::new();
        let mut stage = Stage::new(&mut out, is_terminal);
        stage.progress("playing").unwrap();
        stage.scene(&outcome(problem)).unwrap();
        let wrong = usize::from(problem.is_some());
        let troubles = problem.map(|_| ("1000001".to_owned(), Judgement::ChargedWithoutOrder));
        let troubles = troubles.into_iter().collect();
        stage
            .closing(&troubles, wrong, Span::from_seconds(9))
            .unwrap();
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn piped_output_is_plain_lines_and_a_terminal_gets_a_progress_line() {
        let piped = told(false, None);
        assert!(
            !piped.contains('\r') && !piped.contains('\x1b'),
            "{piped:?}"
        );
        assert!(!piped.contains("playing"));
        let terminal = told(true, None);
        assert!(
            terminal.starts_with("\r\x1b[K/ playing ...\r\x1b[K\n"),
            "{terminal:?}"
        );
    }

    #[test]
    fn a_scene_is_told_with_the_daemons_word_and_both_books() {
        let text = told(false, None);
        for part in [
            " 1. A normal payment  [ok, 1.2 s]",
            "trouble 2 calls struck",
            "daemon  settled (confirmed_by_shop)",
            "PSP     charged 59.95 EUR",
            "shop    order of 59.95 EUR confirmed, 1 mail sent",
            "1 of 1 scenes ended as they should, in 9.0 s",
        ] {
            assert!(text.contains(part), "{part:?} in {text}");
        }
        assert!(text.lines().all(|line| line.chars().count() <= 100));
    }

    #[test]
    fn a_wrong_ending_says_what_was_expected_and_what_was_seen() {
        let text = told(false, Some("expected settled\nseen held"));
        for part in [
            "[WRONG, 1.2 s]",
            "    ! expected settled\n    ! seen held\n",
            "order 1000001: charged without order",
            "0 of 1 scenes ended as they should",
        ] {
            assert!(text.contains(part), "{part:?} in {text}");
        }
    }
}
