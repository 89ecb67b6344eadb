//! Adyen's own minor units, and the way from them to ISO 4217 and back.
//!
//! Adyen's table of decimals is its own: no decimals for CVE and IDR, two for ISK and CLP. What
//! its lists leave open is refused instead of guessed. Knows no JSON.

use crate::core::money::{Currency, Money};

/// Why an amount was refused; for people, never the figure.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct BadAmount(pub(super) &'static str);

/// Without decimals at Adyen.
const WHOLE: [&str; 15] = [
    "CVE", "DJF", "GNF", "IDR", "JPY", "KMF", "KRW", "PYG", "RWF", "UGX", "VND", "VUV", "XAF",
    "XOF", "XPF",
];
/// With three decimals at Adyen.
const THOUSANDTHS: [&str; 7] = ["BHD", "IQD", "JOD", "KWD", "LYD", "OMR", "TND"];
/// Which decimals these have is not documented clearly.
const UNCLEAR: [&str; 2] = ["BIF", "UYI"];

/// How many decimals Adyen writes.
fn decimals(currency: Currency) -> Result<u32, BadAmount> {
    let code = currency.code();
    if UNCLEAR.contains(&code) {
        Err(BadAmount("a currency whose decimals are not documented"))
    } else if WHOLE.contains(&code) {
        Ok(0)
    } else if THOUSANDTHS.contains(&code) {
        Ok(3)
    } else {
        Ok(2)
    }
}

/// Reads a currency code, which is in upper case.
pub(super) fn currency(code: &str) -> Result<Currency, BadAmount> {
    if code.bytes().any(|byte| !byte.is_ascii_uppercase()) {
        return Err(BadAmount("a currency that is not in upper case"));
    }
    Currency::parse(code).map_err(|_| BadAmount("an unknown currency"))
}

/// Reads an amount as it is written on the wire: digits only, never negative.
pub(super) fn read(written: &str, currency: Currency) -> Result<Money, BadAmount> {
    if written.is_empty() || written.bytes().any(|byte| !byte.is_ascii_digit()) {
        return Err(BadAmount("not a whole number of zero or more"));
    }
    let wire: i64 = written
        .parse()
        .map_err(|_| BadAmount("a number out of range"))?;
    let minor = scaled(wire, decimals(currency)?, currency.exponent());
    minor
        .map(|minor| Money::new(minor, currency))
        .ok_or(BadAmount("not a multiple of the currency's smallest step"))
}

/// Reads an amount as a report writes it: digits, with a decimal point or without, never negative.
pub(super) fn read_decimal(written: &str, currency: Currency) -> Result<Money, BadAmount> {
    let decimals = usize::try_from(decimals(currency)?).unwrap_or_default();
    let (whole, part) = written.split_once('.').unwrap_or((written, ""));
    let part = part.trim_end_matches('0');
    if whole.is_empty() {
        return Err(BadAmount("not a number"));
    }
    if part.len() > decimals {
        return Err(BadAmount("more decimals than the currency has"));
    }
    read(&format!("{whole}{part:0<decimals$}"), currency)
}

/// Writes an amount above zero for a request; refused when it has no exact form.
pub(super) fn write(money: Money) -> Result<i64, BadAmount> {
    if !money.is_positive() {
        return Err(BadAmount("not above zero"));
    }
    let currency = money.currency();
    scaled(money.minor(), currency.exponent(), decimals(currency)?)
        .ok_or(BadAmount("not a multiple of the currency's smallest step"))
}

/// A number of units with so many decimals, in units with so many others; none when that has no
/// exact form.
fn scaled(number: i64, from: u32, to: u32) -> Option<i64> {
    if to >= from {
        number.checked_mul(10_i64.checked_pow(to.checked_sub(from)?)?)
    } else {
        let step = 10_i64.checked_pow(from.checked_sub(to)?)?;
        let is_whole = number.checked_rem(step)? == 0;
        number.checked_div(step).filter(|_| is_whole)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn iso(written: &str, code: &str) -> Option<i64> {
        let currency = currency(code).ok()?;
        read(written, currency).ok().map(Money::minor)
    }

    #[test]
    fn each_unit_of_the_table_is_read_as_iso_minor_units() {
        for (written, code, minor) in [
            ("14995", "EUR", 14_995),
            ("0", "USD", 0),
            ("500", "JPY", 500),
            ("279000", "ISK", 2_790),
            ("1200", "CLP", 12),
            ("5000", "IDR", 500_000),
            ("120", "CVE", 12_000),
            ("7", "UGX", 7),
            ("1230", "KWD", 1_230),
            ("500", "MGA", 500),
            ("9223372036854775807", "EUR", i64::MAX),
        ] {
            assert_eq!(iso(written, code), Some(minor), "{written} {code}");
        }
    }

    #[test]
    fn what_is_no_amount_or_has_no_exact_form_is_refused() {
        for (written, code) in [
            ("", "EUR"),
            ("-1", "EUR"),
            ("1.0", "EUR"),
            ("1e3", "EUR"),
            ("+1", "EUR"),
            ("9223372036854775808", "EUR"),
            ("279001", "ISK"),
            ("1", "CLP"),
            ("1", "BIF"),
            ("92233720368547758070", "IDR"),
            ("9223372036854775807", "IDR"),
            ("1", "eur"),
            ("1", "QQQ"),
        ] {
            assert_eq!(iso(written, code), None, "{written} {code}");
        }
        let idr = currency("IDR").unwrap();
        for (minor, currency) in [(0, Currency::EUR), (-1, Currency::EUR), (150, idr)] {
            assert!(write(Money::new(minor, currency)).is_err(), "{minor}");
        }
    }

    proptest! {
        #[test]
        fn what_is_written_is_read_back(minor in 1..1_000_000_000_i64, which in 0..8_usize) {
            let codes = ["EUR", "JPY", "ISK", "CLP", "IDR", "CVE", "KWD", "UGX"];
            let currency = currency(codes[which]).unwrap();
            let money = Money::new(minor, currency);
            if let Ok(wire) = write(money) {
                prop_assert_eq!(read(&wire.to_string(), currency), Ok(money));
            }
        }
    }
}
