//! Query parameters, checked to the last one: unknown, repeated and unreadable ones are refused
//! by name, with what is accepted.
//!
//! Knows the shapes of values, not what they are used for.

use crate::core::ids::CheckoutId;
use crate::core::time::{Span, Time};
use crate::http::problem::{Code, Problem};
use axum::extract::Query;
use axum::http::Uri;
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;

/// Most rows of one answer.
pub(crate) const ROWS_MAX: u32 = 500;
/// Rows of an answer that names no limit.
pub(crate) const ROWS_DEFAULT: u32 = 100;
/// Most values of a parameter that may be repeated.
const REPEATS_MAX: usize = 32;

/// The parameters of one request.
pub(crate) struct Parameters {
    pairs: Vec<(String, String)>,
}

impl Parameters {
    /// Reads the query string; `accepted` names every parameter that may occur.
    pub(crate) fn read(uri: &Uri, accepted: &[&str]) -> Result<Parameters, Problem> {
        let Query(pairs) = Query::<Vec<(String, String)>>::try_from_uri(uri).map_err(|_| {
            Problem::new(Code::BadRequest).detail("the query string is not readable")
        })?;
        let has_stranger = pairs
            .iter()
            .any(|(name, _)| !accepted.contains(&name.as_str()));
        if has_stranger {
            let list = accepted.join(", ");
            let detail = if accepted.is_empty() {
                "no parameter is taken here".to_owned()
            } else {
                format!("a parameter is not known here; accepted are {list}")
            };
            return Err(Problem::new(Code::BadRequest).detail(detail));
        }
        Ok(Parameters { pairs })
    }

    /// The value of a parameter that may occur once; an empty one counts as absent.
    pub(crate) fn one(&self, name: &str) -> Result<Option<&str>, Problem> {
        let mut values = self.all(name);
        let first = values.next();
        if values.next().is_some() {
            return Err(refused(name, "given once"));
        }
        Ok(first.filter(|value| !value.is_empty()))
    }

    fn all<'q>(&'q self, name: &str) -> impl Iterator<Item = &'q str> {
        let named = self.pairs.iter().filter(|(known, _)| known == name);
        let values: Vec<&str> = named.map(|(_, value)| value.as_str()).collect();
        values.into_iter()
    }

    /// A parameter read by `parse`, refused with what it must be.
    pub(crate) fn parsed<T>(
        &self,
        name: &str,
        must_be: &str,
        parse: impl Fn(&str) -> Option<T>,
    ) -> Result<Option<T>, Problem> {
        match self.one(name)? {
            None => Ok(None),
            Some(text) => parse(text).map(Some).ok_or_else(|| refused(name, must_be)),
        }
    }

    /// A parameter that may be repeated or hold several words with commas between.
    pub(crate) fn several<T>(
        &self,
        name: &str,
        must_be: &str,
        parse: impl Fn(&str) -> Option<T>,
    ) -> Result<Vec<T>, Problem> {
        let words: Vec<&str> = self
            .all(name)
            .flat_map(|value| value.split(','))
            .map(str::trim)
            .filter(|word| !word.is_empty())
            .take(REPEATS_MAX)
            .collect();
        words
            .into_iter()
            .map(|word| parse(word).ok_or_else(|| refused(name, must_be)))
            .collect()
    }

    /// `limit`, from 1 to `ROWS_MAX`.
    pub(crate) fn limit(&self) -> Result<u32, Problem> {
        let must_be = format!("a whole number from 1 to {ROWS_MAX}");
        let limit = self.parsed("limit", &must_be, |text| {
            let is_plain = text.bytes().all(|byte| byte.is_ascii_digit());
            let number = text.parse().ok().filter(|_| is_plain)?;
            (1..=ROWS_MAX).contains(&number).then_some(number)
        })?;
        Ok(limit.unwrap_or(ROWS_DEFAULT))
    }
}

/// The refusal of one parameter.
pub(crate) fn refused(name: &str, must_be: &str) -> Problem {
    let detail = format!("`{name}` must be {must_be}");
    Problem::new(Code::BadRequest)
        .detail(detail)
        .with("parameter", name)
}

/// Reads a length of time as the configuration writes it: `90s`, `15m`, `72h`, `3d`.
pub(crate) fn parse_span(text: &str) -> Option<Span> {
    let unit = text.chars().next_back()?;
    let digits = text.strip_suffix(unit)?;
    if digits.is_empty() || !digits.bytes().all(|byte| byte.is_ascii_digit()) {
        return None;
    }
    let number = digits.parse().ok()?;
    match unit {
        's' => Some(Span::from_seconds(number)),
        'm' => Some(Span::from_minutes(number)),
        'h' => Some(Span::from_hours(number)),
        'd' => Some(Span::from_days(number)),
        _ => None,
    }
}

/// Reads an RFC 3339 moment.
pub(crate) fn parse_moment(text: &str) -> Option<Time> {
    let moment: jiff::Timestamp = text.parse().ok()?;
    Some(Time::from_micros(moment.as_microsecond()))
}

/// A place in the list of checkouts, opaque to callers.
pub(crate) fn cursor((since, id): (Time, &CheckoutId)) -> String {
    URL_SAFE_NO_PAD.encode(format!("{}.{id}", since.micros()))
}

/// Reads a place in the list back.
pub(crate) fn parse_cursor(text: &str) -> Option<(Time, CheckoutId)> {
    let plain = String::from_utf8(URL_SAFE_NO_PAD.decode(text).ok()?).ok()?;
    let (micros, id) = plain.split_once('.')?;
    Some((
        Time::from_micros(micros.parse().ok()?),
        CheckoutId::parse(id).ok()?,
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(query: &str) -> Parameters {
        let uri: Uri = format!("/x?{query}").parse().unwrap();
        Parameters::read(&uri, &["limit", "verdict"]).ok().unwrap()
    }

    #[test]
    fn a_limit_is_a_plain_number_within_bounds() {
        assert_eq!(read("").limit(), Ok(ROWS_DEFAULT));
        assert_eq!(read("limit=").limit(), Ok(ROWS_DEFAULT));
        assert_eq!(read("limit=1").limit(), Ok(1));
        assert_eq!(read("limit=500").limit(), Ok(500));
        for bad in ["0", "501", "-1", "+5", "1.0", "x", "99999999999999999999"] {
            let refusal = read(&format!("limit={bad}")).limit().unwrap_err();
            assert_eq!(refusal.code(), Code::BadRequest, "{bad}");
        }
        assert!(read("limit=1&limit=2").limit().is_err());
    }

    #[test]
    fn words_may_be_repeated_or_parted_by_commas() {
        let parse = |word: &str| (word != "bad").then(|| word.to_owned());
        let several = |query| read(query).several("verdict", "a word", parse);
        assert_eq!(
            several("verdict=a,b&verdict=c").unwrap(),
            ["a", "b", "c"].map(str::to_owned)
        );
        assert_eq!(several("").unwrap(), Vec::<String>::new());
        assert!(several("verdict=a,bad").is_err());
    }

    #[test]
    fn an_unknown_parameter_is_refused() {
        let uri: Uri = "/x?limits=5".parse().unwrap();
        assert!(Parameters::read(&uri, &["limit"]).is_err());
    }

    #[test]
    fn lengths_of_time_read_as_in_the_configuration() {
        for (text, span) in [
            ("90s", Some(Span::from_seconds(90))),
            ("15m", Some(Span::from_minutes(15))),
            ("72h", Some(Span::from_hours(72))),
            ("3d", Some(Span::from_days(3))),
            ("15", None),
            ("m", None),
            ("-1m", None),
            ("1.5h", None),
            ("1é", None),
            ("", None),
        ] {
            assert_eq!(parse_span(text), span, "{text:?}");
        }
    }

    #[test]
    fn a_cursor_reads_back_and_nonsense_does_not() {
        let id = CheckoutId::parse("ck_1").unwrap();
        let at = Time::from_micros(-5);
        assert_eq!(parse_cursor(&cursor((at, &id))), Some((at, id)));
        for bad in ["", "!!", "MTI", "LmNrXzE", "MS4"] {
            assert_eq!(parse_cursor(bad), None, "{bad:?}");
        }
    }
}
