//! The sweep's pages: what they bring, where they end, and where they must not lead.
//! Pure over made-up pages.

use super::*;
use crate::core::payment::{Ownership, Progress, Source};

fn list(listing: u8, from: i64, cursor: Option<&str>) -> PspAsk {
    PspAsk::List {
        listing,
        from: Time::from_seconds(from),
        to: Time::from_seconds(ASKED_AT),
        cursor: cursor.map(str::to_owned),
    }
}

/// 2026-11-18T18:40:00Z.
const FROM: i64 = ASKED_AT - 2 * 86_400;

fn paged(listing: u8, name: &str) -> (Vec<PaymentSnapshot>, Vec<String>, Option<String>) {
    let answer = done(&list(listing, FROM, None), &[ok(name)]);
    let PspAnswer::Page {
        payments,
        hints,
        next,
    } = answer
    else {
        panic!("not a page: {answer:?}");
    };
    let hints = hints.iter().map(ToString::to_string).collect();
    (payments, hints, next)
}

fn names(payments: &[PaymentSnapshot]) -> Vec<&str> {
    let names = payments.iter().map(|seen| seen.payment.id.as_str());
    names.collect()
}

#[test]
fn each_listing_has_its_path_and_goes_on_by_the_first_id_of_the_next_page() {
    for (listing, path, first) in [
        (0, "/v2/payments", "tr_1"),
        (1, "/v2/refunds", "re_1"),
        (2, "/v2/chargebacks", "chb_1"),
    ] {
        let plain = format!("{path}?limit=250");
        assert_eq!(address(&sent(&list(listing, FROM, None), &[])), plain);
        let next = sent(&list(listing, FROM, Some(first)), &[]);
        assert_eq!(address(&next), format!("{plain}&from={first}"));
    }
    let refused = Failure::Refused("no_such_listing".to_owned());
    assert_eq!(failed(&list(mollie().listings(), FROM, None), &[]), refused);
    for odd in ["tr_1&limit=1", "", "../x", "tr_1/2"] {
        let refused = Failure::Refused("no_such_page".to_owned());
        assert_eq!(failed(&list(0, FROM, Some(odd)), &[]), refused);
    }
}

#[test]
fn s017_a_sweep_states_every_payment_and_names_the_odd_ones() {
    let (payments, hints, next) = paged(0, "list_payments");
    let expected = [5, 4, 2].map(|n| format!("tr_7MadeUpExample{n}"));
    assert_eq!(names(&payments), expected);
    assert_eq!(hints, ["tr_7MadeUpExample3"]);
    assert_eq!(next.as_deref(), Some("tr_7MadeUpExample1"));
    assert_eq!(payments[0].ownership, Some(Ownership::Ours));
    assert_eq!(payments[0].captured, Some(eur(14995)));
    assert_eq!(payments[1].progress, Some(Progress::Waiting));
    assert_eq!(payments[2].is_disputed, Some(true));
    let asked_at = Time::from_seconds(ASKED_AT);
    for seen in &payments {
        assert_eq!(seen.source, Source::Read { asked_at });
        assert!(!seen.is_refund_list_whole);
    }
}

#[test]
fn a_page_that_reaches_past_the_window_is_the_last_and_older_payments_are_left_out() {
    let (payments, hints, next) = paged(0, "list_payments_past_the_window");
    assert_eq!(names(&payments), ["tr_7MadeUpExample2"]);
    assert!(hints.is_empty());
    assert_eq!(next, None);
    let (payments, _, next) = paged(0, "list_payments_last");
    assert_eq!((payments.len(), next), (1, None));
}

#[test]
fn a_next_page_at_another_address_is_not_followed() {
    let ask = list(0, FROM, None);
    let text = String::from_utf8(fixture("api/list_payments.json")).unwrap();
    let href = "https://api.mollie.test/v2/payments?from=tr_7MadeUpExample1&limit=250&sort=desc";
    for other in [
        "https://evil.example/v2/payments?from=tr_1",
        "http://api.mollie.test/v2/payments?from=tr_1",
        "https://api.mollie.test.evil.example/v2/payments?from=tr_1",
        "https://api.mollie.test/v2/refunds?from=re_1",
        "https://api.mollie.test/v2/payments/../x?from=tr_1",
        "https://api.mollie.test/v2/payments?limit=250",
        "https://api.mollie.test/v2/payments?from=tr_1%26x",
        "https://api.mollie.test/v2/payments?from=",
        "/v2/payments?from=tr_1",
        "",
    ] {
        let changed = text.replace(href, other);
        assert_ne!(changed, text);
        let failure = failed(&ask, &[answered(200, changed.into_bytes())]);
        assert_eq!(failure, malformed("foreign_link"), "{other}");
    }
    let elsewhere = ok("list_payments_that_leads_elsewhere");
    assert_eq!(failed(&ask, &[elsewhere]), malformed("foreign_link"));
}

#[test]
fn refunds_and_chargebacks_say_nothing_of_their_payments_but_themselves() {
    let (payments, hints, next) = paged(1, "list_refunds");
    assert_eq!(names(&payments), ["tr_7MadeUpExample9"]);
    assert_eq!(hints, ["tr_7MadeUpExample8"], "an odd amount");
    assert_eq!(next, None);
    assert_eq!(payments[0].source, Source::Signed);
    assert_eq!((payments[0].captured, payments[0].refunds.len()), (None, 1));
    let (payments, hints, _) = paged(2, "list_chargebacks");
    assert_eq!(payments[0].disputes.len(), 1);
    assert!(hints.is_empty() && !payments[0].is_refund_list_whole);
}

#[test]
fn a_page_without_its_list_or_without_dates_is_no_page() {
    let ask = list(0, FROM, None);
    for body in [
        r#"{"_embedded":{"payments":[]},"_links":{"next":{"href":"https://api.mollie.test/v2/payments?from=tr_1"}}}"#,
        r#"{"_embedded":{},"_links":{"next":{"href":"https://api.mollie.test/v2/payments?from=tr_1"}}}"#,
    ] {
        let failure = failed(&ask, &[answered(200, body.as_bytes().to_vec())]);
        assert_eq!(failure, malformed("wrong_shape"), "{body}");
    }
    for (body, code) in [
        (r#"{"_links":{}}"#, "missing_field"),
        (r#"{"_embedded":{"payments":[]}}"#, "missing_field"),
        (
            r#"{"_embedded":{"payments":[1]},"_links":{}}"#,
            "wrong_shape",
        ),
        (
            r#"{"_embedded":{"payments":[{"id":"tr_1"}]},"_links":{}}"#,
            "missing_field",
        ),
        (
            r#"{"_embedded":{"payments":[{"id":"tr_1","createdAt":"today"}]},"_links":{}}"#,
            "bad_time",
        ),
    ] {
        let failure = failed(&ask, &[answered(200, body.as_bytes().to_vec())]);
        assert_eq!(failure, malformed(code), "{body}");
    }
}
