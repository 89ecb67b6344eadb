//! What a key can be asked about itself: which calls go out, and what their answers say.
//! Nothing here is sent anywhere.

use super::*;
use crate::psp::Psp;
use crate::psp::inquiry::{Findings, Inquiry, Needs, Says, Topic};
use crate::wire::Method;

fn reply(status: u16, body: &str) -> Reply {
    Ok(Response {
        status,
        headers: Headers::new(),
        body: body.as_bytes().to_vec(),
    })
}

fn found(psp: &Stripe, refunds: bool, replies: &[Reply]) -> Findings {
    match psp.inquire(
        Needs { refunds },
        Time::from_seconds(1_795_200_000),
        replies,
    ) {
        Inquiry::Done(found) => found,
        Inquiry::Send(request) => panic!("still asking: {}", request.url),
    }
}

fn asked(psp: &Stripe, replies: &[Reply]) -> Request {
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

const NONE: &str = r#"{"object":"list","data":[],"has_more":false}"#;
const REFUSED: &str = r#"{"error":{"type":"invalid_request_error","message":"no"}}"#;

fn pages(first: &str) -> Vec<Reply> {
    let mut pages = vec![reply(200, NONE); 4];
    pages[0] = reply(200, first);
    pages
}

#[test]
fn each_kind_that_is_read_is_read_once_and_then_the_endpoints() {
    let stripe = stripe();
    let mut replies = Vec::new();
    for path in ["payment_intents", "charges", "refunds", "disputes"] {
        let request = asked(&stripe, &replies);
        assert_eq!(request.method, Method::Get);
        let expected = format!("https://api.stripe.test/v1/{path}?limit=1");
        assert_eq!(request.url, expected);
        replies.push(reply(200, NONE));
    }
    let request = asked(&stripe, &replies);
    assert!(request.url.ends_with("/v1/webhook_endpoints?limit=100"));
}

#[test]
fn a_key_that_is_refused_is_asked_nothing_more() {
    let found = found(&stripe(), true, &[reply(401, REFUSED)]);
    assert_eq!(says(&found, Topic::Key), Some(Says::No));
    assert_eq!(found.findings.len(), 1);
}

#[test]
fn a_right_that_is_missing_is_named() {
    let mut replies = pages(NONE);
    replies[2] = reply(403, REFUSED);
    replies.push(reply(403, REFUSED));
    let found = found(&stripe(), true, &replies);
    assert_eq!(says(&found, Topic::Key), Some(Says::Yes));
    assert_eq!(says(&found, Topic::Read), Some(Says::No));
    let read = found.findings.iter().find(|one| one.topic == Topic::Read);
    assert!(read.unwrap().why.ends_with(": refunds"), "{read:?}");
    assert_eq!(says(&found, Topic::Webhooks), Some(Says::Unknown));
    assert_eq!(says(&found, Topic::Refund), Some(Says::CannotBeAsked));
}

#[test]
fn the_mode_is_the_keys_and_that_of_what_it_reads() {
    for (livemode, expected) in [("false", Says::Yes), ("true", Says::No)] {
        let page = format!(r#"{{"data":[{{"id":"pi_1","livemode":{livemode}}}]}}"#);
        let mut replies = pages(&page);
        replies.push(reply(200, NONE));
        let found = found(&stripe(), false, &replies);
        assert_eq!(says(&found, Topic::Mode), Some(expected));
        assert_eq!(says(&found, Topic::Refund), None);
    }
}

#[test]
fn endpoints_are_listed_with_their_events() {
    let list = r#"{"data":[{"url":"https://x.example/webhooks/stripe_nl","status":"disabled",
                            "enabled_events":["refund.updated"]}]}"#;
    let mut replies = pages(NONE);
    replies.push(reply(200, list));
    let found = found(&stripe(), true, &replies);
    assert_eq!(says(&found, Topic::Webhooks), Some(Says::No));
    assert_eq!(found.endpoints[0].is_on, Some(false));
    assert_eq!(found.endpoints[0].events, ["refund.updated"]);
}

#[test]
fn an_answer_that_is_not_stripes_is_no_answer() {
    for body in ["<html>", "", "[]", r#"{"data":7}"#] {
        let found = found(&stripe(), true, &[reply(200, body)]);
        assert_eq!(says(&found, Topic::Key), Some(Says::NoAnswer), "{body}");
    }
}
