//! Mollie's amounts: decimal strings with exactly the currency's own number of decimals.
//!
//! No decimals for ISK and JPY, two for all others. A currency that Mollie does not list is
//! refused instead of guessed. Knows no JSON.

use crate::core::money::{Currency, Money, parse_decimal};

/// Currencies that Mollie writes without decimals.
const NO_DECIMALS: [&str; 2] = ["ISK", "JPY"];
/// Currencies that Mollie writes with two.
const TWO_DECIMALS: [&str; 27] = [
    "AED", "AUD", "BGN", "BRL", "CAD", "CHF", "CZK", "DKK", "EUR", "GBP", "HKD", "HUF", "ILS",
    "MXN", "MYR", "NOK", "NZD", "PHP", "PLN", "RON", "RUB", "SEK", "SGD", "THB", "TWD", "USD",
    "ZAR",
];

/// Why an amount was refused. Carries what is wrong, for people; never the figure.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct BadAmount(pub(super) &'static str);

fn decimals(code: &str) -> Option<u32> {
    if NO_DECIMALS.contains(&code) {
        Some(0)
    } else {
        TWO_DECIMALS.contains(&code).then_some(2)
    }
}

/// Reads an amount of zero or more.
pub(super) fn read(value: &str, code: &str) -> Result<Money, BadAmount> {
    let (currency, decimals) = currency(code)?;
    let minor = parse_decimal(value, decimals)
        .map_err(|_| BadAmount("not a decimal with the currency's number of decimals"))?;
    if minor < 0 || value.starts_with('-') {
        return Err(BadAmount("below zero"));
    }
    Ok(Money::new(minor, currency))
}

/// Writes an amount above zero for a request; refused when it has no exact form.
pub(super) fn write(money: Money) -> Result<String, BadAmount> {
    if !money.is_positive() {
        return Err(BadAmount("not above zero"));
    }
    currency(money.currency().code())?;
    Ok(money.value())
}

/// The currency and its decimals, where Mollie and ISO 4217 agree on them: the house counts in
/// ISO's minor units.
fn currency(code: &str) -> Result<(Currency, u32), BadAmount> {
    let decimals = decimals(code).ok_or(BadAmount("a currency that Mollie does not list"))?;
    let currency = Currency::parse(code).map_err(|_| BadAmount("an unknown currency"))?;
    if currency.exponent() == decimals {
        Ok((currency, decimals))
    } else {
        Err(BadAmount("a currency whose decimals are ambiguous"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn minor(value: &str, code: &str) -> Option<i64> {
        read(value, code).ok().map(Money::minor)
    }

    #[test]
    fn amounts_are_read_with_exactly_the_decimals_that_mollie_writes() {
        for (value, code, expected) in [
            ("149.95", "EUR", 14995),
            ("0.00", "EUR", 0),
            ("0.01", "USD", 1),
            ("2790", "ISK", 2790),
            ("500", "JPY", 500),
            ("5000.00", "HUF", 500_000),
            ("30.00", "TWD", 3000),
            ("92233720368547758.07", "EUR", i64::MAX),
        ] {
            assert_eq!(minor(value, code), Some(expected), "{value} {code}");
        }
    }

    #[test]
    fn what_has_other_decimals_another_sign_or_an_unlisted_currency_is_refused() {
        for (value, code) in [
            ("149.9", "EUR"),
            ("149", "EUR"),
            ("149.950", "EUR"),
            ("149,95", "EUR"),
            ("1e2", "EUR"),
            ("+1.00", "EUR"),
            ("-1.00", "EUR"),
            ("-0.00", "EUR"),
            (" 1.00", "EUR"),
            ("01.00", "EUR"),
            (".50", "EUR"),
            ("1.", "EUR"),
            ("", "EUR"),
            ("92233720368547758.08", "EUR"),
            ("2790.00", "ISK"),
            ("500.00", "JPY"),
            ("1.000", "KWD"),
            ("100", "KRW"),
            ("1.00", "eur"),
            ("1.00", "XXX"),
            ("1.00", ""),
        ] {
            assert_eq!(minor(value, code), None, "{value} {code}");
        }
    }

    #[test]
    fn a_refund_is_written_above_zero_or_not_at_all() {
        let money = |minor, code| Money::new(minor, Currency::parse(code).unwrap());
        assert_eq!(write(money(14995, "EUR")), Ok("149.95".to_owned()));
        assert_eq!(write(money(5, "EUR")), Ok("0.05".to_owned()));
        assert_eq!(write(money(2790, "ISK")), Ok("2790".to_owned()));
        assert!(write(money(0, "EUR")).is_err());
        assert!(write(money(-1, "EUR")).is_err());
        assert!(write(money(1, "KWD")).is_err());
        assert!(write(money(1, "KRW")).is_err());
    }

    proptest! {
        #[test]
        fn what_is_written_reads_back_equal(
            minor in 1..=i64::MAX,
            code in prop::sample::select([NO_DECIMALS.as_slice(), &TWO_DECIMALS].concat()),
        ) {
            if let Ok(currency) = Currency::parse(code) {
                let money = Money::new(minor, currency);
                prop_assert_eq!(read(&write(money).unwrap(), code), Ok(money));
            }
        }

        #[test]
        fn any_text_is_judged_without_a_panic(value in "\\PC{0,24}", code in "[A-Z]{0,4}") {
            if let Ok(money) = read(&value, &code) {
                prop_assert!(money.minor() >= 0);
            }
        }
    }
}
