//! Sweeping: which windows are asked for, page by page, and what a page names.
//! Nothing here is sent anywhere.

use super::*;
use crate::core::time::Span;

const FROM: i64 = 1_795_000_000;
const DAY: i64 = 86_400;

fn list(listing: u8, days: u64, cursor: Option<&str>) -> PspAsk {
    PspAsk::List {
        listing,
        from: Time::from_seconds(FROM),
        to: Time::from_seconds(FROM)
            .plus(Span::from_days(days))
            .plus(Span::from_micros(1)),
        cursor: cursor.map(str::to_owned),
    }
}

fn paged(ask: &PspAsk, replies: &[Reply]) -> (Vec<PaymentSnapshot>, Option<String>) {
    let answer = done(ask, replies);
    let PspAnswer::Page {
        payments,
        hints,
        next,
    } = answer
    else {
        panic!("not a page: {answer:?}");
    };
    assert!(hints.is_empty());
    assert!(payments.iter().all(|one| one.source == (Source::Named)));
    (payments, next)
}

fn names(payments: &[PaymentSnapshot]) -> Vec<(&str, i64)> {
    let named = payments.iter();
    named
        .map(|one| (one.payment.id.as_str(), one.as_of.seconds()))
        .collect()
}

#[test]
fn the_record_of_events_is_asked_for_in_whole_seconds_rounded_outwards() {
    let ask = list(0, 1, None);
    assert_eq!(
        address(&sent(&ask, &[])),
        "/v1/notifications/webhooks-events?start_time=2026-11-18T11:06:40Z\
         &end_time=2026-11-19T11:06:41Z&page_size=100"
    );
    let (payments, next) = paged(&ask, &[api("list_events")]);
    // As of two minutes after the event, by PayPal's clock.
    assert_eq!(
        names(&payments),
        [(CAPTURE, 1_795_166_105), (OTHER, 1_795_168_920)]
    );
    let next = next.unwrap();
    assert_eq!(next, "page_size=100&start_id=WH-5");
    let following = sent(&list(0, 1, Some(&next)), &[]);
    assert_eq!(
        address(&following),
        "/v1/notifications/webhooks-events?page_size=100&start_id=WH-5"
    );
    assert_eq!(paged(&ask, &[api("reversals_none")]).1, None);
}

#[test]
fn a_next_page_never_leads_to_another_host_or_path() {
    let page = |href: &str| {
        let text = String::from_utf8(fixture("api/list_events.json")).unwrap();
        let known =
            "https://api.paypal.com/v1/notifications/webhooks-events?page_size=100&start_id=WH-5";
        assert!(text.contains(known));
        answered(200, text.replace(known, href).into_bytes())
    };
    let (_, next) = paged(&list(0, 1, None), &[page("https://evil.example/x?a=1")]);
    let request = sent(&list(0, 1, next.as_deref()), &[]);
    assert_eq!(address(&request), "/v1/notifications/webhooks-events?a=1");
    for href in [
        "https://evil.example/x",
        "x?",
        "x?a b",
        "x?a#b",
        "x?a\\u000db",
        "x?a/b",
    ] {
        assert_eq!(
            failed(&list(0, 1, None), &[page(href)]),
            malformed("bad_cursor"),
            "{href}"
        );
    }
}

#[test]
fn the_transaction_search_reaches_back_behind_its_lag() {
    let ask = list(1, 1, None);
    assert_eq!(
        address(&sent(&ask, &[])),
        "/v1/reporting/transactions?start_date=2026-11-18T07:06:40Z\
         &end_date=2026-11-19T11:06:41Z&fields=transaction_info&page_size=500&page=1"
    );
    let (payments, next) = paged(&ask, &[api("list_transactions")]);
    assert_eq!(
        names(&payments),
        [(CAPTURE, 1_795_166_101), (OTHER, 1_795_168_920)]
    );
    let next = next.unwrap();
    assert!(address(&sent(&list(1, 1, Some(&next)), &[])).ends_with("&page=2"));
    let (payments, end) = paged(&list(1, 1, Some(&next)), &[api("list_transactions_none")]);
    assert!(payments.is_empty() && end.is_none());
}

#[test]
fn a_payment_without_our_reference_is_named_only_where_all_are_ours() {
    let count = |change: fn(&mut AccountRules)| {
        let mut rules = rules();
        change(&mut rules);
        let paypal = paypal_with(rules);
        paypal.signed_in(&api("token"), now()).unwrap();
        match paypal.step(&list(1, 1, None), now(), &[api("list_transactions")]) {
            Step::Done(PspAnswer::Page { payments, .. }) => payments.len(),
            other @ (Step::Done(_) | Step::Send(_)) => panic!("not a page: {other:?}"),
        }
    };
    assert_eq!(count(|_| {}), 2);
    assert_eq!(count(|rules| rules.claims = Claims::All), 3);
    assert_eq!(
        count(|rules| rules.reference_paths.push("note".to_owned())),
        3
    );
    let no_number = |rules: &mut AccountRules| {
        rules.reference_pattern = Some(regex::Regex::new("^[0-9]+$").unwrap());
    };
    assert_eq!(count(no_number), 1);
}

#[test]
fn a_long_window_is_asked_for_in_pieces_without_a_gap() {
    let mut cursor: Option<String> = None;
    let mut reached = FROM - 4 * 3_600;
    let mut pieces = 0;
    loop {
        let ask = list(1, 75, cursor.as_deref());
        let request = sent(&ask, &[]);
        let part = |name: &str| {
            let (_, rest) = address(&request).split_once(name).unwrap();
            let text = rest.split('&').next().unwrap();
            super::super::objects::time(text).unwrap().seconds()
        };
        let (from, to) = (part("start_date="), part("end_date="));
        assert_eq!(from, reached, "no gap and no overlap");
        assert!(to > from && to - from < 31 * DAY);
        reached = to;
        pieces += 1;
        let (_, next) = paged(&ask, &[api("list_transactions_none")]);
        match next {
            Some(next) => cursor = Some(next),
            None => break,
        }
    }
    assert_eq!(reached, FROM + 75 * DAY + 1);
    assert_eq!(pieces, 3);
}

#[test]
fn too_many_transactions_halve_the_piece_until_it_fits() {
    let ask = list(1, 1, None);
    let too_large = || answered(400, fixture("api/error_too_large.json"));
    let first = sent(&ask, &[]);
    let half = sent(&ask, &[too_large()]);
    assert!(address(&first).contains("&end_date=2026-11-19T11:06:41Z"));
    assert!(
        address(&half).contains("start_date=2026-11-18T07:06:40Z&end_date=2026-11-18T21:06:40Z")
    );
    let (_, next) = paged(&ask, &[too_large(), api("list_transactions_none")]);
    let rest = sent(&list(1, 1, next.as_deref()), &[]);
    assert!(
        address(&rest).contains("start_date=2026-11-18T21:06:40Z&end_date=2026-11-19T11:06:41Z")
    );
    let hopeless: Vec<Reply> = (0..23).map(|_| too_large()).collect();
    assert_eq!(
        failed(&ask, &hopeless),
        Failure::Refused("RESULTSET_TOO_LARGE".to_owned())
    );
}

#[test]
fn a_half_read_page_is_no_page() {
    for (listing, body, code) in [
        (0, "{}", "missing_field"),
        (0, r#"{"events":[7],"links":"x"}"#, "wrong_shape"),
        (1, r#"{"transaction_details":[]}"#, "missing_field"),
        (
            1,
            r#"{"transaction_details":[7],"total_pages":1}"#,
            "wrong_shape",
        ),
        (0, "", "not_json"),
        (1, "<html>", "not_json"),
    ] {
        let reply = answered(200, body.as_bytes().to_vec());
        assert_eq!(
            failed(&list(listing, 1, None), &[reply]),
            malformed(code),
            "{body}"
        );
    }
    for cursor in ["", "x", "1.2", "2.1.1", "1.2.0", "1.2.3.4", "-"] {
        assert_eq!(
            failed(&list(1, 1, Some(cursor)), &[]),
            Failure::Refused("bad_cursor".to_owned()),
            "{cursor}"
        );
    }
    assert_eq!(
        failed(&list(paypal().listings(), 1, None), &[]),
        Failure::Refused("no_such_listing".to_owned())
    );
}
