//! Single values, in a table of one key: what is read, what is refused and that reading back
//! what is written gives the same.

use super::*;
use crate::config::source::Findings;
use crate::config::table::Section;
use proptest::prelude::*;
use toml::de::DeTable;

/// Reads `server = VALUE` with a reader; none when it was refused, which must have been said.
fn read<T>(
    written: &str,
    reader: impl Fn(&Field<'_>, &mut Findings<'_>) -> Option<T>,
) -> Option<T> {
    let text = format!("server = {written}");
    let document = DeTable::parse(&text).unwrap();
    let mut out = Findings::new("a.toml", &text, true);
    let section = Section::root(document.get_ref(), &mut out);
    let value = reader(&section.field("server").unwrap(), &mut out);
    assert_eq!(value.is_none(), out.finish().is_err(), "{text}");
    value
}

#[test]
fn durations_are_a_whole_number_and_a_unit() {
    for (written, span) in [
        ("\"500ms\"", Span::from_millis(500)),
        ("\"90s\"", Span::from_seconds(90)),
        ("\"15m\"", Span::from_minutes(15)),
        ("\"72h\"", Span::from_hours(72)),
        ("\"3d\"", Span::from_days(3)),
        ("\"0s\"", Span::ZERO),
        ("\"3650d\"", Span::from_days(3_650)),
    ] {
        assert_eq!(read(written, duration), Some(span), "{written}");
    }
    for refused in [
        "\"\"",
        "\"s\"",
        "\"5\"",
        "\"5 s\"",
        "\" 5s\"",
        "\"5s \"",
        "\"-5s\"",
        "\"+5s\"",
        "\"1.5h\"",
        "\"1h30m\"",
        "\"5S\"",
        "\"5min\"",
        "\"3651d\"",
        "\"18446744073709551616s\"",
        "\"9223372036854775807d\"",
        "\"٥s\"",
        "5",
        "5.0",
        "true",
        "[]",
    ] {
        assert_eq!(read(refused, duration), None, "{refused}");
    }
    assert_eq!(read("\"0ms\"", duration_above_zero), None);
    assert_eq!(
        read("\"1ms\"", duration_above_zero),
        Some(Span::from_millis(1))
    );
}

#[test]
fn shares_are_read_from_their_digits() {
    for (written, millionths) in [
        ("0", 0),
        ("1", 1_000_000),
        ("1.0", 1_000_000),
        ("0.05", 50_000),
        ("0.000001", 1),
        ("0.999999", 999_999),
    ] {
        assert_eq!(
            read(written, share_millionths),
            Some(millionths),
            "{written}"
        );
    }
    for refused in [
        "2",
        "-0.1",
        "-0.0",
        "+0.5",
        "1.000001",
        "0.0000001",
        "5e-2",
        "inf",
        "nan",
        "\"0.05\"",
        "0x1",
        "99999999999999999999.0",
    ] {
        assert_eq!(read(refused, share_millionths), None, "{refused}");
    }
}

#[test]
fn counts_are_whole_and_bounded() {
    let twenty = |field: &Field<'_>, out: &mut Findings<'_>| count(field, 0..=20, out);
    for (written, number) in [("0", 0), ("20", 20), ("0x10", 16), ("1_0", 10), ("+7", 7)] {
        assert_eq!(read(written, twenty), Some(number), "{written}");
    }
    for refused in ["21", "-1", "1.0", "\"1\"", "99999999999999999999999999"] {
        assert_eq!(read(refused, twenty), None, "{refused}");
    }
}

#[test]
fn times_are_utc_to_the_microsecond() {
    let at = Time::from_seconds(1_793_491_200);
    for written in [
        "\"2026-11-01T00:00:00Z\"",
        "2026-11-01T00:00:00Z",
        "\"2026-11-01T00:00:00.000000Z\"",
    ] {
        assert_eq!(read(written, time), Some(at), "{written}");
    }
    let later = Time::from_micros(at.micros() + 120_000);
    assert_eq!(read("\"2026-11-01T00:00:00.12Z\"", time), Some(later));
    for refused in [
        "\"2026-11-01\"",
        "2026-11-01",
        "\"2026-11-01T00:00:00\"",
        "\"2026-11-01T00:00:00+00:00\"",
        "\"2026-11-01 00:00:00Z\"",
        "\"2026-11-01T24:00:00Z\"",
        "\"2026-13-01T00:00:00Z\"",
        "\"2026-11-01T00:00:00.1234567Z\"",
        "\"2026-11-01T00:00:00.Z\"",
        "\"2026-11-01T00:00:00Z[UTC]\"",
        "1793491200",
    ] {
        assert_eq!(read(refused, time), None, "{refused}");
    }
}

#[test]
fn urls_are_https_or_loopback_and_carry_nothing_else() {
    for (text, expected) in [
        ("https://klompen.example", "https://klompen.example"),
        (
            "https://klompen.example:8443/a/b/",
            "https://klompen.example:8443/a/b",
        ),
        ("http://localhost:1", "http://localhost:1"),
        ("http://127.9.9.9/x", "http://127.9.9.9/x"),
        ("http://[::1]:80/", "http://[::1]:80"),
        ("https://[2001:db8::1]/", "https://[2001:db8::1]"),
    ] {
        assert_eq!(
            Endpoint::parse(text).map(|url| url.to_string()),
            Ok(expected.to_owned())
        );
    }
    for refused in [
        "",
        "https://",
        "https:///x",
        "klompen.example",
        "HTTPS://klompen.example",
        "ftp://klompen.example",
        "http://klompen.example",
        "http://localhost.example",
        "http://127.0.0.1.example",
        "http://128.0.0.1",
        "http://[::2]/",
        "http://127.1/",
        "http://0/",
        "https://user@klompen.example",
        "https://user:pass@klompen.example",
        "https://klompen.example/?a=b",
        "https://klompen.example/#a",
        "https://klompen.example:0/",
        "https://klompen.example:65536/",
        "https://klompen.example:/",
        "https://klompen.example:+80/",
        "https://klompen.example\\@evil.example/",
        "https://klompen.example/a\\b",
        "https://klompen.example/a b",
        "https://klompen.example/\u{e9}",
        "https://kl\u{f6}mpen.example/",
        "https://[::1/",
        "https://[::1]x/",
        "https://.example/",
    ] {
        assert!(Endpoint::parse(refused).is_err(), "{refused}");
    }
    assert!(Endpoint::parse(&format!("https://a/{}", "b".repeat(3_000))).is_err());
}

#[test]
fn admin_may_listen_on_a_socket_with_an_absolute_path() {
    let socket = "\"unix:/run/reconciled/admin.sock\"";
    let path = PathBuf::from("/run/reconciled/admin.sock");
    assert_eq!(read(socket, listen), Some(Listen::Unix(path)));
    assert_eq!(
        read("\"[::1]:8481\"", listen).unwrap().to_string(),
        "[::1]:8481"
    );
    assert!(read("\"127.0.0.1:0\"", address).is_some());
    let long = format!("\"unix:/{}\"", "a".repeat(107));
    for refused in [
        "\"unix:\"",
        "\"unix:/\"",
        "\"unix:a\"",
        "\":8481\"",
        "\"a:8481\"",
        &long,
    ] {
        assert_eq!(read(refused, listen), None, "{refused}");
    }
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn a_duration_reads_back_as_it_was_written(millis in 0_u64..=315_360_000_000) {
        let span = Span::from_millis(millis);
        let written = format!("\"{}\"", written_duration(span));
        prop_assert_eq!(read(&written, duration), Some(span));
    }

    #[test]
    fn a_share_reads_back_as_it_was_written(millionths in 0_u32..=1_000_000) {
        prop_assert_eq!(parse_millionths(&written_share(millionths)), Some(millionths));
    }

    #[test]
    fn a_time_reads_back_as_it_was_written(micros in 0_i64..=4_102_444_800_000_000) {
        let time = Time::from_micros(micros);
        prop_assert_eq!(parse_time(&written_time(time)), Some(time));
    }

    #[test]
    fn no_text_makes_the_url_reader_panic(text in "(https?://)?\\PC{0,40}") {
        if let Ok(endpoint) = Endpoint::parse(&text) {
            prop_assert_eq!(Endpoint::parse(endpoint.as_str()), Ok(endpoint));
        }
    }
}
