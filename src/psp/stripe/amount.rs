//! Stripe's own minor units, and the way from them to ISO 4217 and back.
//!
//! Stripe writes whole numbers in a "smallest unit" that differs from ISO for some currencies;
//! what its own pages leave ambiguous is refused here instead of guessed. Knows no JSON.

use crate::core::money::{Currency, Money};

/// Why an amount was refused. Carries what is wrong, for people; never the figure.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct BadAmount(pub(super) &'static str);

/// How Stripe's unit relates to the ISO minor unit.
enum Unit {
    /// The same.
    Same,
    /// The same, but the last digit must be 0.
    Tens,
    /// Stripe counts hundredths of the ISO unit, and only whole ISO units are possible.
    Hundredth,
    /// Stripe counts whole major units where ISO has two decimals.
    Hundredfold,
}

fn unit(currency: Currency) -> Result<Unit, BadAmount> {
    match currency.code() {
        "ISK" => Ok(Unit::Hundredth),
        "MGA" => Ok(Unit::Hundredfold),
        "BHD" | "JOD" | "KWD" | "OMR" | "TND" => Ok(Unit::Tens),
        // Stripe's currency page lists UGX both without decimals and as hundredths; the decimals
        // of IQD and LYD are not documented there; UYI is an index unit that nobody pays in.
        "UGX" | "IQD" | "LYD" | "UYI" => Err(BadAmount("a currency whose unit is ambiguous")),
        _ => Ok(Unit::Same),
    }
}

/// Reads a lower-case currency code.
pub(super) fn currency(code: &str) -> Result<Currency, BadAmount> {
    if code.bytes().any(|byte| !byte.is_ascii_lowercase()) {
        return Err(BadAmount("a currency that is not in lower case"));
    }
    Currency::parse(&code.to_ascii_uppercase()).map_err(|_| BadAmount("an unknown currency"))
}

/// Reads an amount as it is written on the wire: digits only, never negative.
pub(super) fn read(written: &str, currency: Currency) -> Result<Money, BadAmount> {
    if written.is_empty() || written.bytes().any(|byte| !byte.is_ascii_digit()) {
        return Err(BadAmount("not a whole number of zero or more"));
    }
    let wire: i64 = written
        .parse()
        .map_err(|_| BadAmount("a number out of range"))?;
    let minor = match unit(currency)? {
        Unit::Same => Some(wire),
        Unit::Tens => Some(wire).filter(|wire| wire.checked_rem(10) == Some(0)),
        Unit::Hundredth => whole_hundreds(wire),
        Unit::Hundredfold => wire.checked_mul(100),
    };
    minor
        .map(|minor| Money::new(minor, currency))
        .ok_or(BadAmount("not a multiple of the currency's smallest step"))
}

/// Writes an amount above zero for a request; refused when it has no exact form.
pub(super) fn write(money: Money) -> Result<i64, BadAmount> {
    if !money.is_positive() {
        return Err(BadAmount("not above zero"));
    }
    let minor = money.minor();
    let wire = match unit(money.currency())? {
        Unit::Same => Some(minor),
        Unit::Tens => Some(minor).filter(|minor| minor.checked_rem(10) == Some(0)),
        Unit::Hundredth => minor.checked_mul(100),
        Unit::Hundredfold => whole_hundreds(minor),
    };
    wire.ok_or(BadAmount("not a multiple of the currency's smallest step"))
}

fn whole_hundreds(number: i64) -> Option<i64> {
    let is_whole = number.checked_rem(100) == Some(0);
    number.checked_div(100).filter(|_| is_whole)
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
            ("14995", "eur", 14995),
            ("0", "usd", 0),
            ("500", "jpy", 500),
            ("1200", "krw", 1200),
            ("279000", "isk", 2790),
            ("5", "mga", 500),
            ("1230", "kwd", 1230),
            ("5000", "huf", 5000),
            ("5000", "twd", 5000),
            ("7", "clp", 7),
            ("9223372036854775807", "eur", i64::MAX),
        ] {
            assert_eq!(iso(written, code), Some(minor), "{written} {code}");
        }
    }

    #[test]
    fn what_is_ambiguous_negative_too_large_or_unknown_is_refused() {
        for (written, code) in [
            ("500", "ugx"),
            ("1000", "iqd"),
            ("1000", "lyd"),
            ("1", "uyi"),
            ("279001", "isk"),
            ("1231", "kwd"),
            ("1231", "bhd"),
            ("1231", "jod"),
            ("1231", "omr"),
            ("1231", "tnd"),
            ("92233720368547759", "mga"),
            ("9223372036854775808", "eur"),
            ("-1", "eur"),
            ("-0", "eur"),
            ("1.0", "eur"),
            ("1e3", "eur"),
            ("\"1\"", "eur"),
            ("", "eur"),
            ("null", "eur"),
            ("1", "EUR"),
            ("1", "Eur"),
            ("1", "xxx"),
            ("1", "euro"),
            ("1", ""),
        ] {
            assert_eq!(iso(written, code), None, "{written} {code}");
        }
    }

    #[test]
    fn a_refund_that_has_no_exact_form_is_refused() {
        let money = |minor, code| Money::new(minor, Currency::parse(code).unwrap());
        assert_eq!(write(money(2790, "ISK")), Ok(279_000));
        assert_eq!(write(money(500, "MGA")), Ok(5));
        assert!(write(money(501, "MGA")).is_err());
        assert!(write(money(1231, "KWD")).is_err());
        assert!(write(money(1, "UGX")).is_err());
        assert!(write(money(0, "EUR")).is_err());
        assert!(write(money(-1, "EUR")).is_err());
        assert!(write(money(i64::MAX, "ISK")).is_err());
    }

    proptest! {
        #[test]
        fn what_is_written_reads_back_equal(
            minor in prop_oneof![1..1_000_000_i64, 1..=i64::MAX, (1..1_000_000_i64).prop_map(|n: i64| n.saturating_mul(100))],
            code in prop::sample::select(vec![
                "EUR", "USD", "JPY", "ISK", "MGA", "KWD", "BHD", "TND", "HUF", "CLP", "XOF", "UGX", "IQD",
            ]),
        ) {
            let money = Money::new(minor, Currency::parse(code).unwrap());
            if let Ok(wire) = write(money) {
                prop_assert!(wire > 0);
                prop_assert_eq!(read(&wire.to_string(), money.currency()), Ok(money));
            }
        }
    }
}
