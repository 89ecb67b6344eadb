//! Money as the house counts it: minor units and an ISO 4217 currency, always together.
//!
//! Arithmetic is checked and refuses to mix currencies. Nothing here knows how a PSP or a
//! shop writes amounts; adapters convert with their own exponent tables before they get here.

use serde::{Deserialize, Deserializer, Serialize, Serializer};
use std::borrow::Cow;
use std::fmt;

// In alphabetical order, each code with a space behind it, so that one is found by halving.

/// Currencies whose ISO 4217 exponent is 0.
const NO_DECIMALS: &str = "BIF CLP DJF GNF ISK JPY KMF KRW PYG RWF UGX UYI VND VUV XAF XOF XPF ";
/// Currencies whose ISO 4217 exponent is 3.
const THREE_DECIMALS: &str = "BHD IQD JOD KWD LYD OMR TND ";
/// Currencies whose ISO 4217 exponent is 2 (the list of the ISO 4217 maintenance agency,
/// without fund codes, metals and test codes).
const TWO_DECIMALS: &str = "AED AFN ALL AMD AOA ARS AUD AWG AZN BAM BBD BDT BMD BND BOB BRL \
    BSD BTN BWP BYN BZD CAD CDF CHF CNY COP CRC CUP CVE CZK DKK DOP DZD EGP ERN ETB EUR FJD FKP \
    GBP GEL GHS GIP GMD GTQ GYD HKD HNL HTG HUF IDR ILS INR IRR JMD KES KGS KHR KPW KYD KZT LAK \
    LBP LKR LRD LSL MAD MDL MGA MKD MMK MNT MOP MRU MUR MVR MWK MXN MYR MZN NAD NGN NIO NOK NPR \
    NZD PAB PEN PGK PHP PKR PLN QAR RON RSD RUB SAR SBD SCR SDG SEK SGD SHP SLE SOS SRD SSP STN \
    SVC SYP SZL THB TJS TMT TOP TRY TTD TWD TZS UAH USD UYU UZS VES WST XCD XCG YER ZAR ZMW ZWG ";

fn is_listed([one, two, three]: [u8; 3], list: &str) -> bool {
    let (codes, _) = list.as_bytes().as_chunks::<4>();
    codes.binary_search(&[one, two, three, b' ']).is_ok()
}

/// An ISO 4217 alphabetic code that the house knows the exponent of.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Currency([u8; 3]);

impl Currency {
    /// The euro.
    pub const EUR: Currency = Currency(*b"EUR");

    /// Reads an upper-case ISO 4217 code; anything unknown is refused, never guessed.
    pub fn parse(code: &str) -> Result<Currency, MoneyError> {
        let mut lists = [TWO_DECIMALS, NO_DECIMALS, THREE_DECIMALS].into_iter();
        match <[u8; 3]>::try_from(code.as_bytes()) {
            Ok(bytes) if lists.any(|list| is_listed(bytes, list)) => Ok(Currency(bytes)),
            Ok(_) | Err(_) => Err(MoneyError::UnknownCurrency),
        }
    }

    /// The code, upper-case.
    pub fn code(&self) -> &str {
        std::str::from_utf8(&self.0).unwrap_or("XXX")
    }

    /// Decimals of the major unit by ISO 4217 (0, 2 or 3).
    pub fn exponent(&self) -> u32 {
        if is_listed(self.0, NO_DECIMALS) {
            0
        } else if is_listed(self.0, THREE_DECIMALS) {
            3
        } else {
            2
        }
    }
}

impl fmt::Display for Currency {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.code())
    }
}

impl fmt::Debug for Currency {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.code())
    }
}

impl TryFrom<String> for Currency {
    type Error = MoneyError;
    fn try_from(code: String) -> Result<Self, MoneyError> {
        Currency::parse(&code)
    }
}

impl From<Currency> for String {
    fn from(currency: Currency) -> String {
        currency.code().to_owned()
    }
}

/// Why an amount was refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum MoneyError {
    /// Not an ISO 4217 code the house knows.
    UnknownCurrency,
    /// Two currencies in one sum.
    CurrencyMismatch,
    /// Past the range of 64-bit minor units.
    Overflow,
    /// Not a plain decimal with exactly the currency's number of decimals.
    NotDecimal,
}

impl MoneyError {
    /// A stable snake_case word.
    pub fn code(self) -> &'static str {
        match self {
            MoneyError::UnknownCurrency => "unknown_currency",
            MoneyError::CurrencyMismatch => "currency_mismatch",
            MoneyError::Overflow => "amount_overflow",
            MoneyError::NotDecimal => "not_a_decimal",
        }
    }
}

impl fmt::Display for MoneyError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            MoneyError::UnknownCurrency => "not an ISO 4217 currency code this daemon knows",
            MoneyError::CurrencyMismatch => "two currencies cannot be added or compared",
            MoneyError::Overflow => "the amount is out of range",
            MoneyError::NotDecimal => {
                "not a decimal string with exactly the currency's number of decimals"
            }
        })
    }
}

impl std::error::Error for MoneyError {}

/// An amount in minor units of one currency. Written `{"value": "59.95", "currency": "EUR"}`.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Money {
    currency: Currency,
    minor: i64,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct WrittenMoney<'a> {
    #[serde(borrow)]
    value: Cow<'a, str>,
    #[serde(borrow)]
    currency: Cow<'a, str>,
}

impl Money {
    /// An amount of `minor` minor units (cents for EUR, yen for JPY).
    pub fn new(minor: i64, currency: Currency) -> Money {
        Money { currency, minor }
    }

    /// Nothing, in this currency.
    pub fn zero(currency: Currency) -> Money {
        Money::new(0, currency)
    }

    /// Minor units.
    pub fn minor(self) -> i64 {
        self.minor
    }

    /// The currency.
    pub fn currency(self) -> Currency {
        self.currency
    }

    /// True for amounts above zero.
    pub fn is_positive(self) -> bool {
        self.minor > 0
    }

    /// True for exactly zero.
    pub fn is_zero(self) -> bool {
        self.minor == 0
    }

    /// The sum, refused across currencies and past the range.
    pub fn plus(self, other: Money) -> Result<Money, MoneyError> {
        self.combine(other, i64::checked_add)
    }

    /// The difference, refused across currencies and past the range.
    pub fn minus(self, other: Money) -> Result<Money, MoneyError> {
        self.combine(other, i64::checked_sub)
    }

    fn combine(
        self,
        other: Money,
        operation: fn(i64, i64) -> Option<i64>,
    ) -> Result<Money, MoneyError> {
        if self.currency != other.currency {
            return Err(MoneyError::CurrencyMismatch);
        }
        let minor = operation(self.minor, other.minor).ok_or(MoneyError::Overflow)?;
        Ok(Money::new(minor, self.currency))
    }

    /// Reads a decimal string with exactly the currency's ISO number of decimals.
    pub fn parse(value: &str, currency: Currency) -> Result<Money, MoneyError> {
        Ok(Money::new(
            parse_decimal(value, currency.exponent())?,
            currency,
        ))
    }

    /// The decimal string that `parse` reads back.
    pub fn value(self) -> String {
        let digits = self.minor.unsigned_abs().to_string();
        let decimals = usize::try_from(self.currency.exponent()).unwrap_or(0);
        // At least one digit stands before the point.
        let missing = decimals.saturating_add(1).saturating_sub(digits.len());
        let mut value = String::with_capacity(24);
        if self.minor < 0 {
            value.push('-');
        }
        value.extend(std::iter::repeat_n('0', missing));
        value.push_str(&digits);
        if decimals > 0 {
            value.insert(value.len().saturating_sub(decimals), '.');
        }
        value
    }
}

/// Reads `-?[0-9]+` with exactly `decimals` digits after the point into minor units.
pub fn parse_decimal(text: &str, decimals: u32) -> Result<i64, MoneyError> {
    let (negative, unsigned) = match text.strip_prefix('-') {
        Some(rest) => (true, rest),
        None => (false, text),
    };
    let (major, minor) = match unsigned.split_once('.') {
        Some((major, minor)) if !minor.is_empty() => (major, minor),
        Some(_) => return Err(MoneyError::NotDecimal),
        None => (unsigned, ""),
    };
    let digits_only = |part: &str| part.bytes().all(|byte| byte.is_ascii_digit());
    let superfluous_zero = major.len() > 1 && major.starts_with('0');
    if major.is_empty()
        || superfluous_zero
        || u32::try_from(minor.len()) != Ok(decimals)
        || !digits_only(major)
        || !digits_only(minor)
    {
        return Err(MoneyError::NotDecimal);
    }
    let mut digits = major.bytes().chain(minor.bytes());
    let units = digits.try_fold(0_u64, |units, digit| {
        let digit = u64::from(digit.wrapping_sub(b'0'));
        units.checked_mul(10)?.checked_add(digit)
    });
    let signed = units.and_then(|units| match negative {
        true => 0_i64.checked_sub_unsigned(units),
        false => 0_i64.checked_add_unsigned(units),
    });
    signed.ok_or(MoneyError::Overflow)
}

impl fmt::Display for Money {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.value(), self.currency)
    }
}

impl fmt::Debug for Money {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl<'de> Deserialize<'de> for Money {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Money, D::Error> {
        let written = WrittenMoney::deserialize(deserializer)?;
        let currency = Currency::parse(&written.currency);
        let money = currency.and_then(|currency| Money::parse(&written.value, currency));
        money.map_err(serde::de::Error::custom)
    }
}

impl Serialize for Money {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let written = WrittenMoney {
            value: Cow::Owned(self.value()),
            currency: Cow::Borrowed(self.currency.code()),
        };
        written.serialize(serializer)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn eur(minor: i64) -> Money {
        Money::new(minor, Currency::EUR)
    }

    #[test]
    fn amounts_read_back_as_they_were_written() {
        for (code, minor, text) in [
            ("EUR", 5995, "59.95"),
            ("EUR", 5, "0.05"),
            ("EUR", -5, "-0.05"),
            ("JPY", 1200, "1200"),
            ("KWD", 1, "0.001"),
            ("EUR", i64::MIN, "-92233720368547758.08"),
            ("EUR", i64::MAX, "92233720368547758.07"),
        ] {
            let money = Money::new(minor, Currency::parse(code).unwrap());
            assert_eq!(money.value(), text);
            assert_eq!(Money::parse(text, money.currency()), Ok(money));
        }
    }

    #[test]
    fn a_decimal_with_the_wrong_shape_is_refused() {
        for text in [
            "", "-", "1", "1.", "1.0", "1.000", ".95", "+1.00", "1,00", " 1.00", "1e2", "01.00",
            "1.0x", "--1.00", "1_0.00",
        ] {
            assert_eq!(
                Money::parse(text, Currency::EUR),
                Err(MoneyError::NotDecimal),
                "{text:?}"
            );
        }
        assert_eq!(
            Money::parse("92233720368547758.08", Currency::EUR),
            Err(MoneyError::Overflow)
        );
    }

    #[test]
    fn a_sum_never_wraps_and_never_mixes_currencies() {
        assert_eq!(eur(i64::MAX).plus(eur(1)), Err(MoneyError::Overflow));
        assert_eq!(eur(i64::MIN).minus(eur(1)), Err(MoneyError::Overflow));
        let yen = Money::new(1, Currency::parse("JPY").unwrap());
        assert_eq!(eur(1).plus(yen), Err(MoneyError::CurrencyMismatch));
        assert_eq!(eur(3).minus(eur(5)), Ok(eur(-2)));
    }

    #[test]
    fn every_listed_currency_is_found() {
        for (list, exponent) in [(NO_DECIMALS, 0), (TWO_DECIMALS, 2), (THREE_DECIMALS, 3)] {
            for code in list.split_ascii_whitespace() {
                let currency = Currency::parse(code).unwrap();
                assert_eq!((currency.code(), currency.exponent()), (code, exponent));
            }
        }
    }

    #[test]
    fn unknown_lower_case_and_odd_currencies_are_refused() {
        for code in ["eur", "EURO", "XXX", "", "EU", "€", "BGN "] {
            assert_eq!(
                Currency::parse(code),
                Err(MoneyError::UnknownCurrency),
                "{code:?}"
            );
        }
        assert_eq!(Currency::parse("ISK").unwrap().exponent(), 0);
        assert_eq!(Currency::parse("TND").unwrap().exponent(), 3);
    }

    #[test]
    fn money_on_the_wire_is_a_string_never_a_number() {
        assert_eq!(
            serde_json::to_string(&eur(5995)).unwrap(),
            r#"{"value":"59.95","currency":"EUR"}"#
        );
        for text in [
            r#"{"value":59.95,"currency":"EUR"}"#,
            r#"{"value":"59.95","currency":"EUR","x":1}"#,
            r#"{"value":"59.950","currency":"EUR"}"#,
        ] {
            assert!(serde_json::from_str::<Money>(text).is_err(), "{text}");
        }
    }
}
