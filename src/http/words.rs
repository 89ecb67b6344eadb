//! Times, spans, money and strangers' text as people read them on a screen or in a terminal.
//!
//! Knows no checkout and no HTTP. Text that others chose passes through `printable` before it
//! is shown, so that it can neither steer a terminal nor turn a line around.

use crate::core::money::Money;
use crate::core::time::{Span, Time};
use std::fmt::Write;

/// Longest piece of others' text that is shown, in characters; the rest becomes an ellipsis.
pub const SHOWN_CHARS_MAX: usize = 300;

/// A moment as RFC 3339 in UTC, to the microsecond where it has any.
pub fn rfc3339(at: Time) -> String {
    timestamp(at).to_string()
}

/// A moment for people: to the second, in UTC.
pub fn moment(at: Time) -> String {
    let whole = Time::from_seconds(at.seconds());
    timestamp(whole).to_string()
}

fn timestamp(at: Time) -> jiff::Timestamp {
    jiff::Timestamp::from_microsecond(at.micros()).unwrap_or(if at < Time::from_micros(0) {
        jiff::Timestamp::MIN
    } else {
        jiff::Timestamp::MAX
    })
}

/// A length of time in its greatest fitting unit, rounded down: `12 s`, `14 min`, `3 h`, `2 d`.
pub fn length(span: Span) -> String {
    let seconds = span.seconds();
    let whole = |unit: u64| seconds.checked_div(unit).unwrap_or(0);
    match seconds {
        0..=119 => format!("{seconds} s"),
        120..=7_199 => format!("{} min", whole(60)),
        7_200..=172_799 => format!("{} h", whole(3_600)),
        _ => format!("{} d", whole(86_400)),
    }
}

/// How a moment lies to now: `in 40 s`, `now`, `40 s ago`.
pub fn relative(at: Time, now: Time) -> String {
    if at.seconds() == now.seconds() {
        "now".to_owned()
    } else if at > now {
        format!("in {}", length(at.since(now)))
    } else {
        format!("{} ago", length(now.since(at)))
    }
}

/// How a due time lies to now: `in 40 s`, `due now`, `overdue by 14 min`.
pub fn due(at: Time, now: Time) -> String {
    if at > now {
        format!("in {}", length(at.since(now)))
    } else if now.since(at) < Span::from_seconds(2) {
        "due now".to_owned()
    } else {
        format!("overdue by {}", length(now.since(at)))
    }
}

/// Sums in words, one per currency: `178.85 EUR and 1200 JPY`; `nothing` for none.
pub fn sums(amounts: &[Money]) -> String {
    let words: Vec<String> = amounts.iter().map(Money::to_string).collect();
    match words.split_last() {
        None => "nothing".to_owned(),
        Some((only, [])) => only.clone(),
        Some((last, rest)) => format!("{} and {last}", rest.join(", ")),
    }
}

/// A count with its noun: `1 payment`, `3 payments`. The plural only adds an `s`.
pub fn count(number: u64, noun: &str) -> String {
    if number == 1 {
        format!("1 {noun}")
    } else {
        format!("{number} {noun}s")
    }
}

/// Text that others chose, made safe for any screen: controls, line breaks, invisible and
/// direction-changing characters are spelled out, and it ends after `SHOWN_CHARS_MAX`.
pub fn printable(text: &str) -> String {
    let mut shown = String::with_capacity(text.len());
    for (position, c) in text.chars().enumerate() {
        if position >= SHOWN_CHARS_MAX {
            shown.push('…');
            break;
        }
        if is_plain(c) {
            shown.push(c);
        } else {
            // Writing to a string cannot fail.
            write!(shown, "<U+{:04X}>", u32::from(c)).unwrap_or_default();
        }
    }
    shown
}

/// True for characters that show as themselves.
fn is_plain(c: char) -> bool {
    let hides = matches!(c,
        '\u{ad}' | '\u{34f}' | '\u{61c}' | '\u{115f}' | '\u{1160}' | '\u{17b4}' | '\u{17b5}'
        | '\u{180b}'..='\u{180f}' | '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}'
        | '\u{2060}'..='\u{206f}' | '\u{3164}' | '\u{feff}' | '\u{ffa0}' | '\u{fff0}'..='\u{fffb}'
        | '\u{e000}'..='\u{f8ff}' | '\u{e0000}'..='\u{e0fff}');
    !c.is_control() && !hides
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::core::money::Currency;

    #[test]
    fn moments_are_rfc_3339_in_utc() {
        let at = Time::from_micros(1_795_255_200_000_000);
        assert_eq!(rfc3339(at), "2026-11-21T10:00:00Z");
        let later = at.plus(Span::from_micros(120_034));
        assert_eq!(rfc3339(later), "2026-11-21T10:00:00.120034Z");
        assert_eq!(moment(later), "2026-11-21T10:00:00Z");
        assert!(rfc3339(Time::from_micros(i64::MAX)).starts_with("9999-12-30"));
        assert!(rfc3339(Time::from_micros(i64::MIN)).starts_with("-009999"));
    }

    #[test]
    fn lengths_take_their_greatest_fitting_unit() {
        for (seconds, words) in [
            (0, "0 s"),
            (119, "119 s"),
            (120, "2 min"),
            (899, "14 min"),
            (7_200, "2 h"),
            (172_800, "2 d"),
        ] {
            assert_eq!(length(Span::from_seconds(seconds)), words);
        }
    }

    #[test]
    fn due_times_say_on_which_side_of_now_they_lie() {
        let now = Time::from_seconds(1_000);
        for (at, due_words, relative_words) in [
            (1_040, "in 40 s", "in 40 s"),
            (1_000, "due now", "now"),
            (999, "due now", "1 s ago"),
            (160, "overdue by 14 min", "14 min ago"),
        ] {
            assert_eq!(due(Time::from_seconds(at), now), due_words);
            assert_eq!(relative(Time::from_seconds(at), now), relative_words);
        }
    }

    #[test]
    fn sums_of_several_currencies_are_never_added() {
        let eur = Money::new(17_885, Currency::EUR);
        let yen = Money::new(1_200, Currency::parse("JPY").unwrap());
        assert_eq!(sums(&[]), "nothing");
        assert_eq!(sums(&[eur]), "178.85 EUR");
        assert_eq!(
            sums(&[eur, yen, eur]),
            "178.85 EUR, 1200 JPY and 178.85 EUR"
        );
    }

    #[test]
    fn others_text_can_neither_steer_a_terminal_nor_turn_a_line() {
        assert_eq!(printable("a\u{1b}[2Jb"), "a<U+001B>[2Jb");
        assert_eq!(printable("x\u{202e}y\nz\0"), "x<U+202E>y<U+000A>z<U+0000>");
        assert_eq!(printable("Müller & Söhne <b>"), "Müller & Söhne <b>");
        assert_eq!(
            printable(&"é".repeat(301)),
            format!("{}…", "é".repeat(SHOWN_CHARS_MAX))
        );
    }
}
