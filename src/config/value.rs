//! Readers of single values: durations, money, shares, counts, times, words, addresses, URLs.
//!
//! Each says what it accepts and refuses everything else; none rounds, trims or guesses. Knows
//! no section.

use super::problem::Code;
use super::source::Findings;
use super::table::{Field, Section, did_you_mean, listed, looks_secret, quoted};
use super::vocabulary;
use crate::core::money::{Currency, Money, MoneyError};
use crate::core::time::{Span, Time};
use std::fmt;
use std::net::{IpAddr, SocketAddr};
use std::ops::RangeInclusive;
use std::path::PathBuf;
use toml::de::DeValue;

/// Longest duration: ten years, longer than anyone waits.
const DURATION_MAX: Span = Span::from_days(3_650);
/// Longest URL, in bytes.
const URL_BYTES_MAX: usize = 2_048;
/// Longest socket path, in bytes: what `sun_path` of Linux holds beside its end.
const SOCKET_PATH_BYTES_MAX: usize = 107;
/// Longest name for people, in characters.
const NAME_CHARS_MAX: usize = 100;
/// Most calls one destination can be allowed at once: each is a connection of ours and of theirs.
const CALLS_AT_ONCE_MAX: u32 = 256;
/// Most calls per second one destination can be allowed: above any limit a PSP documents.
const CALLS_PER_SECOND_MAX: u32 = 10_000;

const DURATION: &str = "a whole number and a unit (ms, s, m, h, d): \"500ms\", \"90s\", \"15m\", \
    \"72h\", \"3d\", at most \"3650d\"";
const DURATION_ABOVE_ZERO: &str = "a whole number above zero and a unit (ms, s, m, h, d): \
    \"500ms\", \"90s\", \"15m\", \"72h\", \"3d\", at most \"3650d\"";
const MONEY: &str = "an amount such as { value = \"59.95\", currency = \"EUR\" }";
const SHARE: &str = "a number from 0 to 1 with at most six decimals, such as 0.05";
const TIME: &str = "a time in UTC such as \"2026-11-01T00:00:00Z\"";
const NAME: &str = "1 to 100 printable characters";
/// What a URL may be.
pub(super) const URL: &str = "an https URL without user, query or fragment; http for loopback";

/// The units of a duration, largest first, in microseconds.
const UNITS: &[(&str, u64)] = &[
    ("d", 86_400_000_000),
    ("h", 3_600_000_000),
    ("m", 60_000_000),
    ("s", 1_000_000),
    ("ms", 1_000),
];

/// A duration as the configuration writes it, in the largest unit that is exact.
pub(super) fn written_duration(span: Span) -> String {
    if span == Span::ZERO {
        return "0s".to_owned();
    }
    let exact = |(_, unit): &&(&str, u64)| span.micros().checked_rem(*unit) == Some(0);
    let (word, unit) = UNITS.iter().find(exact).copied().unwrap_or(("us", 1));
    let count = span.micros().checked_div(unit).unwrap_or(0);
    format!("{count}{word}")
}

/// A duration; zero means at once.
pub(super) fn duration(field: &Field<'_>, out: &mut Findings<'_>) -> Option<Span> {
    parse_duration(field, DURATION, out)
}

/// A duration where zero would make no sense.
pub(super) fn duration_above_zero(field: &Field<'_>, out: &mut Findings<'_>) -> Option<Span> {
    let span = parse_duration(field, DURATION_ABOVE_ZERO, out)?;
    if span == Span::ZERO {
        let raised = field.refusal(Code::BadDuration, "is zero");
        out.raise(raised.accepted(DURATION_ABOVE_ZERO));
        return None;
    }
    Some(span)
}

fn parse_duration(field: &Field<'_>, accepted: &str, out: &mut Findings<'_>) -> Option<Span> {
    let text = field.text(accepted, out)?;
    let digits = text.bytes().take_while(u8::is_ascii_digit).count();
    let (number, word) = text.split_at_checked(digits)?;
    let unit = UNITS.iter().find(|(known, _)| *known == word);
    let micros = unit.and_then(|(_, unit)| number.parse::<u64>().ok()?.checked_mul(*unit));
    let limit = DURATION_MAX.micros();
    let why = match (unit, micros) {
        (_, Some(micros)) if micros <= limit => {
            return Some(Span::from_millis(micros.checked_div(1_000)?));
        }
        (Some(_), _) if !number.is_empty() => "is too long",
        _ => "is not a duration",
    };
    let raised = field.refusal(Code::BadDuration, &format!("{why}: {}", quoted(text)));
    out.raise(raised.accepted(accepted));
    None
}

/// An amount that is not negative.
pub(super) fn money(field: &Field<'_>, out: &mut Findings<'_>) -> Option<Money> {
    if field.value.get_ref().as_table().is_none() {
        field.wrong_type(MONEY, true, out);
        return None;
    }
    let title = format!("`{}`", field.label);
    let section = Section::open(field, title, &[vocabulary::MONEY], out)?;
    let value = section.required("value", "a decimal string such as \"59.95\"", out);
    let currency = section.required("currency", "an ISO 4217 code such as \"EUR\"", out);
    let (value, currency) = (value?, currency?);
    let code = currency.text("an ISO 4217 code such as \"EUR\"", out);
    let text = value.text("a decimal string such as \"59.95\", never a number", out);
    let (code, text) = (code?, text?);
    let known = match Currency::parse(code) {
        Ok(known) => known,
        Err(error) => {
            let why = format!("is {}: {error}", quoted(code));
            let upper = Currency::parse(&code.to_ascii_uppercase());
            let hint = upper.ok().map(|known| format!("did you mean `{known}`?"));
            let raised = currency.refusal(Code::BadMoney, &why);
            out.raise(
                raised
                    .accepted("an ISO 4217 code such as \"EUR\"")
                    .hint(hint),
            );
            return None;
        }
    };
    let why = match Money::parse(text, known) {
        Ok(money) if money.minor() >= 0 => return Some(money),
        Ok(_) => "an amount below zero".to_owned(),
        Err(MoneyError::NotDecimal) => format!("{known} has {} decimals", known.exponent()),
        Err(error) => error.to_string(),
    };
    let raised = value.refusal(Code::BadMoney, &format!("is {}: {why}", quoted(text)));
    let example = Money::new(5_000, known).value();
    out.raise(raised.accepted(format!(
        "a decimal string such as \"{example}\", zero or above"
    )));
    None
}

/// A share from 0 to 1 in millionths, read from the digits as they are written.
pub(super) fn share_millionths(field: &Field<'_>, out: &mut Findings<'_>) -> Option<u32> {
    let written = match field.value.get_ref() {
        DeValue::Float(number) => number.as_str(),
        DeValue::Integer(number) if number.radix() == 10 => number.as_str(),
        DeValue::Integer(_)
        | DeValue::String(_)
        | DeValue::Boolean(_)
        | DeValue::Datetime(_)
        | DeValue::Array(_)
        | DeValue::Table(_) => {
            field.wrong_type(SHARE, true, out);
            return None;
        }
    };
    out.show(field.at());
    let share = parse_millionths(written);
    if share.is_none() {
        let shown: String = written.chars().take(40).collect();
        let raised = field.refusal(Code::BadShare, &format!("is {shown}"));
        out.raise(raised.accepted(SHARE));
    }
    share
}

fn parse_millionths(written: &str) -> Option<u32> {
    let (whole, decimals) = written.split_once('.').unwrap_or((written, ""));
    let is_plain = |text: &str| text.bytes().all(|byte| byte.is_ascii_digit());
    if whole.is_empty() || !is_plain(whole) || !is_plain(decimals) || decimals.len() > 6 {
        return None;
    }
    let millionths: u32 = format!("{whole}{decimals:0<6}").parse().ok()?;
    (millionths <= 1_000_000).then_some(millionths)
}

/// Millionths as the configuration writes a share.
pub(super) fn written_share(millionths: u32) -> String {
    let wide = format!("{millionths:07}");
    let (whole, decimals) = wide.split_at(wide.len().saturating_sub(6));
    let decimals = decimals.trim_end_matches('0');
    let decimals = if decimals.is_empty() { "0" } else { decimals };
    format!("{whole}.{decimals}")
}

/// A whole number in a range.
pub(super) fn count(
    field: &Field<'_>,
    range: RangeInclusive<u32>,
    out: &mut Findings<'_>,
) -> Option<u32> {
    let accepted = format!("a whole number from {} to {}", range.start(), range.end());
    let Some(number) = field.value.get_ref().as_integer() else {
        field.wrong_type(&accepted, true, out);
        return None;
    };
    out.show(field.at());
    let read = u32::from_str_radix(number.as_str(), number.radix()).ok();
    let count = read.filter(|count| range.contains(count));
    if count.is_none() {
        let shown: String = number.to_string().chars().take(40).collect();
        let raised = field.refusal(Code::BadCount, &format!("is {shown}"));
        out.raise(raised.accepted(accepted));
    }
    count
}

/// How many calls one destination may have under way.
pub(super) fn calls_at_once(field: &Field<'_>, out: &mut Findings<'_>) -> Option<u32> {
    count(field, 1..=CALLS_AT_ONCE_MAX, out)
}

/// How many calls one destination may get per second.
pub(super) fn calls_per_second(field: &Field<'_>, out: &mut Findings<'_>) -> Option<u32> {
    count(field, 1..=CALLS_PER_SECOND_MAX, out)
}

/// True or false.
pub(super) fn truth(field: &Field<'_>, out: &mut Findings<'_>) -> Option<bool> {
    let truth = field.value.get_ref().as_bool();
    if truth.is_none() {
        field.wrong_type("true or false", true, out);
    }
    truth
}

/// A moment in UTC, as a string or as TOML's own date-time.
pub(super) fn time(field: &Field<'_>, out: &mut Findings<'_>) -> Option<Time> {
    let text = match field.value.get_ref() {
        DeValue::Datetime(moment) => {
            out.show(field.at());
            moment.to_string()
        }
        DeValue::String(_)
        | DeValue::Integer(_)
        | DeValue::Float(_)
        | DeValue::Boolean(_)
        | DeValue::Array(_)
        | DeValue::Table(_) => field.text(TIME, out)?.to_owned(),
    };
    let moment = parse_time(&text);
    if moment.is_none() {
        let raised = field.refusal(Code::BadTime, &format!("is {}", quoted(&text)));
        out.raise(raised.accepted(TIME));
    }
    moment
}

fn parse_time(text: &str) -> Option<Time> {
    let shape: String = text
        .chars()
        .map(|c| if c.is_ascii_digit() { '0' } else { c })
        .collect();
    let (date_time, rest) = shape.split_at_checked("0000-00-00T00:00:00".len())?;
    let fraction = rest.strip_suffix('Z')?;
    let is_fraction = fraction.strip_prefix('.').is_some_and(|digits| {
        (1..=6).contains(&digits.len()) && digits.bytes().all(|byte| byte == b'0')
    });
    if date_time != "0000-00-00T00:00:00" || !(fraction.is_empty() || is_fraction) {
        return None;
    }
    let moment: jiff::Timestamp = text.parse().ok()?;
    Some(Time::from_micros(moment.as_microsecond()))
}

/// A moment as the configuration writes it.
pub(super) fn written_time(time: Time) -> String {
    let moment = jiff::Timestamp::from_microsecond(time.micros());
    moment.map_or_else(
        |_| format!("{} µs", time.micros()),
        |moment| moment.to_string(),
    )
}

/// One of the words of a table.
pub(super) fn word<T: Copy>(
    field: &Field<'_>,
    table: &[(&'static str, T)],
    out: &mut Findings<'_>,
) -> Option<T> {
    let words = || table.iter().map(|(word, _)| *word);
    let text = field.text(&listed(words()), out)?;
    let found = table.iter().find(|(word, _)| *word == text);
    if found.is_none() {
        let raised = field.refusal(Code::BadWord, &format!("is {}", quoted(text)));
        let raised = raised.accepted(listed(words()));
        out.raise(raised.hint(did_you_mean(text, words())));
    }
    found.map(|(_, meaning)| *meaning)
}

/// The word of a meaning.
pub(super) fn written_word<T: PartialEq>(table: &[(&'static str, T)], meaning: &T) -> &'static str {
    let found = table.iter().find(|(_, known)| known == meaning);
    found.map_or("", |(word, _)| *word)
}

/// A name for people.
pub(super) fn name(field: &Field<'_>, out: &mut Findings<'_>) -> Option<String> {
    let text = field.text(NAME, out)?;
    let length = text.chars().count();
    let is_printable = text.chars().all(|c| !c.is_control()) && text.trim() == text;
    if (1..=NAME_CHARS_MAX).contains(&length) && is_printable {
        return Some(text.to_owned());
    }
    let raised = field.refusal(Code::BadName, &format!("is {}", quoted(text)));
    out.raise(raised.accepted(NAME));
    None
}

/// Where a listener listens.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Listen {
    /// An address and a port.
    Tcp(SocketAddr),
    /// A Unix socket at an absolute path.
    Unix(PathBuf),
}

impl fmt::Display for Listen {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Listen::Tcp(address) => write!(f, "{address}"),
            Listen::Unix(path) => write!(f, "unix:{}", path.display()),
        }
    }
}

/// An IP address and a port.
pub(super) fn address(field: &Field<'_>, out: &mut Findings<'_>) -> Option<SocketAddr> {
    let accepted = "an IP address and a port such as \"127.0.0.1:8480\"";
    let text = field.text(accepted, out)?;
    let address = text.parse().ok();
    if address.is_none() {
        let raised = field.refusal(Code::BadListen, &format!("is {}", quoted(text)));
        out.raise(raised.accepted(accepted));
    }
    address
}

/// An IP address and a port, or a Unix socket.
pub(super) fn listen(field: &Field<'_>, out: &mut Findings<'_>) -> Option<Listen> {
    let accepted = "an IP address and a port such as \"127.0.0.1:8481\", or a Unix socket such as \
        \"unix:/run/reconciled/admin.sock\"";
    let text = field.text(accepted, out)?;
    let listen = match text.strip_prefix("unix:") {
        Some(path) => {
            let is_path = path.starts_with('/') && !path.ends_with('/') && !path.contains('\0');
            let fits = is_path && path.len() <= SOCKET_PATH_BYTES_MAX;
            fits.then(|| Listen::Unix(PathBuf::from(path)))
        }
        None => text.parse().ok().map(Listen::Tcp),
    };
    if listen.is_none() {
        let raised = field.refusal(Code::BadListen, &format!("is {}", quoted(text)));
        out.raise(raised.accepted(accepted));
    }
    listen
}

/// A checked URL without a slash at its end.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Endpoint(String);

impl Endpoint {
    /// The URL.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Checks a URL; the error says what is wrong without showing it.
    pub fn parse(text: &str) -> Result<Endpoint, &'static str> {
        if text.len() > URL_BYTES_MAX {
            return Err("is too long");
        }
        if text.contains(['?', '#']) {
            return Err("has a query or a fragment");
        }
        let (scheme, rest) = text.split_once("://").ok_or("is not a URL")?;
        let (authority, path) = rest.split_once('/').unwrap_or((rest, ""));
        if authority.contains('@') {
            return Err("holds a user name or password");
        }
        let is_path_byte = |byte: u8| byte.is_ascii_graphic() && !b"\"<>\\^`{|}@".contains(&byte);
        if !path.bytes().all(is_path_byte) {
            return Err("has a character in its path that URLs do not have");
        }
        let host = host(authority).ok_or("has no proper host and port")?;
        match scheme {
            "https" => {}
            "http" if is_loopback(host) => {}
            "http" => return Err("is http and not on loopback"),
            _ => return Err("is neither https nor http"),
        }
        Ok(Endpoint(text.trim_end_matches('/').to_owned()))
    }
}

impl fmt::Display for Endpoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// The host of `host[:port]`, when both have their shape.
pub(super) fn host(authority: &str) -> Option<&str> {
    let (host, port) = match authority.strip_prefix('[') {
        Some(rest) => {
            let (inside, after) = rest.split_once(']')?;
            inside.parse::<std::net::Ipv6Addr>().ok()?;
            (inside, after)
        }
        None => {
            let end = authority.find(':').unwrap_or(authority.len());
            let (name, after) = authority.split_at_checked(end)?;
            let fits = |byte: u8| byte.is_ascii_alphanumeric() || b"-._".contains(&byte);
            let is_name = !name.is_empty() && name.bytes().all(fits) && !name.starts_with('.');
            is_name.then_some((name, after))?
        }
    };
    let is_port = |digits: &str| {
        digits.bytes().all(|byte| byte.is_ascii_digit())
            && digits.parse::<u16>().is_ok_and(|port| port > 0)
    };
    (port.is_empty() || port.strip_prefix(':').is_some_and(is_port)).then_some(host)
}

/// True for a host that is this machine.
pub(super) fn is_loopback(host: &str) -> bool {
    let is_local = |address: IpAddr| address.is_loopback();
    host == "localhost" || host.parse().is_ok_and(is_local)
}

/// A URL to call; shown only when nothing in it can be a credential.
pub(super) fn url(field: &Field<'_>, out: &mut Findings<'_>) -> Option<Endpoint> {
    let text = field.hidden_text(URL, out)?;
    match Endpoint::parse(text) {
        Ok(endpoint) => {
            if !looks_secret(text) {
                out.show(field.at());
            }
            Some(endpoint)
        }
        Err(why) => {
            let is_harmless = !text.contains(['@', '?', '#']) && !looks_secret(text);
            let shown = if is_harmless {
                out.show(field.at());
                format!(": {}", quoted(text))
            } else {
                String::new()
            };
            let raised = field.refusal(Code::BadUrl, &format!("{why}{shown}"));
            out.raise(raised.accepted(URL));
            None
        }
    }
}

#[cfg(test)]
mod tests;
