//! What a key can be asked about itself: which calls go out, and what their answers say.
//! Nothing here is sent anywhere.

use super::*;
use crate::psp::Psp;
use crate::psp::inquiry::{Findings, Inquiry, Needs, Says, Topic};
use crate::wire::Method;
use crate::wire::Request;

fn reply(status: u16, body: &str) -> Reply {
    Ok(Response {
        status,
        headers: Headers::new(),
        body: body.as_bytes().to_vec(),
    })
}

fn found(psp: &MultiSafepay, refunds: bool, replies: &[Reply]) -> Findings {
    match psp.inquire(
        Needs { refunds },
        Time::from_seconds(1_795_200_000),
        replies,
    ) {
        Inquiry::Done(found) => found,
        Inquiry::Send(request) => panic!("still asking: {}", request.url),
    }
}

fn asked(psp: &MultiSafepay, replies: &[Reply]) -> Request {
    let needs = Needs { refunds: true };
    match psp.inquire(needs, Time::from_seconds(1_795_200_000), replies) {
        Inquiry::Send(request) => request,
        Inquiry::Done(found) => panic!("nothing was asked: {found:?}"),
    }
}

fn says(found: &Findings, topic: Topic) -> Option<Says> {
    let mut findings = found.findings.iter();
    findings.find(|one| one.topic == topic).map(|one| one.says)
}

const NONE: &str = r#"{"success":true,"data":[]}"#;

fn at(api_base: &str) -> MultiSafepay {
    MultiSafepay::new(
        rules(),
        SecretString::from(API_KEY),
        None,
        api_base.to_owned(),
    )
}

#[test]
fn one_row_is_read_and_the_key_is_not_in_the_address() {
    let request = asked(&multisafepay(), &[]);
    assert_eq!(request.method, Method::Get);
    let expected = "https://api.multisafepay.test/v1/json/transactions?limit=1";
    assert_eq!(request.url, expected);
}

#[test]
fn the_mode_is_that_of_the_hosts_we_know() {
    for (base, expected) in [
        ("https://api.multisafepay.com", Says::Yes),
        ("https://testapi.multisafepay.com", Says::No),
        ("https://api.multisafepay.test", Says::Unknown),
    ] {
        let found = found(&at(base), true, &[reply(200, NONE)]);
        assert_eq!(says(&found, Topic::Key), Some(Says::Yes));
        assert_eq!(says(&found, Topic::Read), Some(Says::Yes));
        assert_eq!(says(&found, Topic::Mode), Some(expected), "{base}");
        assert_eq!(says(&found, Topic::Webhooks), Some(Says::CannotBeAsked));
    }
}

#[test]
fn a_refused_key_is_a_no_and_an_odd_answer_is_none() {
    let bad = r#"{"success":false,"error_code":1032,"error_info":"Invalid API key"}"#;
    for status in [200, 400, 401] {
        let found = found(&multisafepay(), true, &[reply(status, bad)]);
        assert_eq!(says(&found, Topic::Key), Some(Says::No), "{status}");
    }
    let later = r#"{"success":false,"error_code":9999}"#;
    for body in ["<html>", "", "[]", later] {
        let found = found(&multisafepay(), true, &[reply(200, body)]);
        assert_eq!(says(&found, Topic::Key), Some(Says::NoAnswer), "{body}");
    }
    let found = found(&multisafepay(), false, &[reply(403, "no")]);
    assert_eq!(says(&found, Topic::Read), Some(Says::No));
}
