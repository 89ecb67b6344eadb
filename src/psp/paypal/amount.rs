//! PayPal's decimal strings, and the way from them to ISO 4217 minor units and back.
//!
//! Read textually, never through a float. PayPal takes two decimals for every currency but HUF,
//! JPY and TWD, which have none there, while ISO gives HUF and TWD two. Currencies with three
//! decimals, and those without decimals that PayPal does not list, are refused instead of
//! guessed. Knows no JSON.

use crate::core::money::{Currency, Money, parse_decimal};

/// Longest amount looked at, in bytes; PayPal's own have at most 32.
const AMOUNT_BYTES_MAX: usize = 32;

/// Why an amount was refused. Carries what is wrong, for people; never the figure.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct BadAmount(pub(super) &'static str);

/// Decimals that PayPal takes for a currency.
fn decimals(currency: Currency) -> Result<u32, BadAmount> {
    match (currency.code(), currency.exponent()) {
        ("HUF" | "JPY" | "TWD", _) => Ok(0),
        (_, 2) => Ok(2),
        _ => Err(BadAmount("a currency that PayPal does not take")),
    }
}

/// Reads an amount of zero or more: `10`, `10.0` and `10.00` are the same, and so are `.5` and
/// `0.50`; digits past PayPal's decimals must be zero.
pub(super) fn read(value: &str, code: &str) -> Result<Money, BadAmount> {
    let currency = Currency::parse(code).map_err(|_| BadAmount("an unknown currency"))?;
    let kept = decimals(currency)?;
    let not_decimal = BadAmount("not a plain decimal of zero or more");
    if value.len() > AMOUNT_BYTES_MAX {
        return Err(not_decimal);
    }
    let (whole, fraction) = match value.split_once('.') {
        Some((_, "")) => return Err(not_decimal),
        Some((whole, fraction)) => (whole, fraction),
        None if value.is_empty() => return Err(not_decimal),
        None => (value, ""),
    };
    let digits_only = |text: &str| text.bytes().all(|byte| byte.is_ascii_digit());
    if !digits_only(whole) || !digits_only(fraction) {
        return Err(not_decimal);
    }
    let fraction = fraction.trim_end_matches('0');
    if u32::try_from(fraction.len()).map_or(true, |length| length > kept) {
        return Err(BadAmount("more decimals than the currency has at PayPal"));
    }
    let whole = whole.trim_start_matches('0');
    let whole = if whole.is_empty() { "0" } else { whole };
    let exponent = currency.exponent();
    let width = usize::try_from(exponent).unwrap_or(0);
    let written = match width {
        0 => whole.to_owned(),
        _ => format!("{whole}.{fraction:0<width$}"),
    };
    let minor =
        parse_decimal(&written, exponent).map_err(|_| BadAmount("a number out of range"))?;
    Ok(Money::new(minor, currency))
}

/// Writes an amount above zero with exactly PayPal's decimals; refused when it has no exact form.
pub(super) fn write(money: Money) -> Result<String, BadAmount> {
    if !money.is_positive() {
        return Err(BadAmount("not above zero"));
    }
    let kept = decimals(money.currency())?;
    let value = money.value();
    if kept > 0 {
        return Ok(value);
    }
    match value.split_once('.') {
        None => Ok(value),
        Some((whole, fraction)) if fraction.bytes().all(|byte| byte == b'0') => {
            Ok(whole.to_owned())
        }
        Some(_) => Err(BadAmount("not a multiple of the currency's smallest step")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn iso(value: &str, code: &str) -> Option<i64> {
        read(value, code).ok().map(Money::minor)
    }

    #[test]
    fn each_way_of_writing_an_amount_is_read_as_iso_minor_units() {
        for (value, code, minor) in [
            ("149.95", "EUR", 14995),
            ("10", "EUR", 1000),
            ("10.0", "EUR", 1000),
            ("10.00", "USD", 1000),
            ("10.0000", "GBP", 1000),
            (".5", "EUR", 50),
            ("0010.50", "EUR", 1050),
            ("0", "EUR", 0),
            ("0.00", "EUR", 0),
            ("500", "JPY", 500),
            ("500.00", "JPY", 500),
            ("5000", "HUF", 500_000),
            ("5000.00", "HUF", 500_000),
            ("300", "TWD", 30_000),
            ("92233720368547758.07", "EUR", i64::MAX),
        ] {
            assert_eq!(iso(value, code), Some(minor), "{value} {code}");
        }
    }

    #[test]
    fn what_is_not_a_plain_decimal_of_a_known_currency_is_refused() {
        for (value, code) in [
            ("-1.00", "EUR"),
            ("+1.00", "EUR"),
            ("1.", "EUR"),
            ("", "EUR"),
            (".", "EUR"),
            ("1.001", "EUR"),
            ("1e2", "EUR"),
            ("1,00", "EUR"),
            (" 1.00", "EUR"),
            ("1.0.0", "EUR"),
            ("\u{0661}", "EUR"),
            ("500.50", "JPY"),
            ("5000.50", "HUF"),
            ("92233720368547758.08", "EUR"),
            ("000000000000000000000000000000001", "EUR"),
            ("10", "ISK"),
            ("10", "CLP"),
            ("10.000", "TND"),
            ("1.00", "eur"),
            ("1.00", "XXX"),
            ("1.00", ""),
        ] {
            assert_eq!(iso(value, code), None, "{value:?} {code}");
        }
    }

    #[test]
    fn an_amount_is_written_with_exactly_paypals_decimals() {
        let written = |minor, code| write(Money::new(minor, Currency::parse(code).unwrap()));
        assert_eq!(written(14995, "EUR").as_deref(), Ok("149.95"));
        assert_eq!(written(1000, "EUR").as_deref(), Ok("10.00"));
        assert_eq!(written(5, "EUR").as_deref(), Ok("0.05"));
        assert_eq!(written(500, "JPY").as_deref(), Ok("500"));
        assert_eq!(written(500_000, "HUF").as_deref(), Ok("5000"));
        for (minor, code) in [
            (0, "EUR"),
            (-1, "EUR"),
            (50, "HUF"),
            (1, "TWD"),
            (1, "KWD"),
            (1, "ISK"),
        ] {
            assert!(written(minor, code).is_err(), "{minor} {code}");
        }
    }

    proptest! {
        #[test]
        fn what_is_written_reads_back_equal(
            minor in prop_oneof![1..1_000_000_i64, 1..=i64::MAX, (1..1_000_000_i64).prop_map(|n: i64| n.saturating_mul(100))],
            code in prop::sample::select(vec!["EUR", "USD", "JPY", "HUF", "TWD", "KWD", "ISK"]),
        ) {
            let money = Money::new(minor, Currency::parse(code).unwrap());
            if let Ok(written) = write(money) {
                prop_assert_eq!(read(&written, code), Ok(money));
            }
        }

        #[test]
        fn no_text_panics(value in any::<String>(), code in "[A-Z]{3}") {
            let read = read(&value, &code);
            prop_assert!(read.is_err() || read.is_ok_and(|money| money.minor() >= 0));
        }
    }
}
