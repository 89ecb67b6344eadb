//! What a key can be asked about itself: which calls go out, and what their answers say.
//! Nothing here is sent anywhere.

use super::*;
use crate::psp::inquiry::{Findings, Inquiry, Needs, Says, Topic};
use crate::wire::Method;

fn reply(status: u16, body: &str) -> Reply {
    Ok(Response {
        status,
        headers: Headers::new(),
        body: body.as_bytes().to_vec(),
    })
}

fn found(psp: &Paypal, refunds: bool, replies: &[Reply]) -> Findings {
    match psp.inquire(
        Needs { refunds },
        Time::from_seconds(1_795_200_000),
        replies,
    ) {
        Inquiry::Done(found) => found,
        Inquiry::Send(request) => panic!("still asking: {}", request.url),
    }
}

fn asked(psp: &Paypal, replies: &[Reply]) -> Request {
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

const NONE: &str = "{}";
const WEBHOOK_SHOWN: &str = r#"{"id":"96605875FF6516633","url":"https://x.example/webhooks/paypal_nl",
    "event_types":[{"name":"PAYMENT.CAPTURE.COMPLETED"}]}"#;

/// Signed in with a token of this scope.
fn with_scope(scope: &str) -> Paypal {
    let paypal = paypal_with(rules());
    let token = format!(
        r#"{{"access_token":"A21AAMadeUp","token_type":"Bearer","expires_in":32400,"scope":"{scope}"}}"#
    );
    paypal.signed_in(&reply(200, &token), now()).unwrap();
    paypal
}

#[test]
fn both_records_and_the_webhook_are_read() {
    let paypal = paypal();
    let mut replies = Vec::new();
    for path in [
        "/v1/notifications/webhooks-events?",
        "/v1/reporting/transactions?",
        "/v1/notifications/webhooks/96605875FF6516633",
    ] {
        let request = asked(&paypal, &replies);
        assert_eq!(request.method, Method::Get);
        assert!(request.url.contains(path), "{}", request.url);
        replies.push(reply(200, NONE));
    }
}

#[test]
fn a_scope_that_names_refunds_is_the_right_and_another_says_nothing() {
    let replies = [
        reply(200, NONE),
        reply(200, NONE),
        reply(200, WEBHOOK_SHOWN),
    ];
    for (scope, expected) in [
        (
            "openid https://uri.paypal.com/services/payments/refund",
            Says::Yes,
        ),
        (
            "https://uri.paypal.com/services/payments/refunds-not",
            Says::Unknown,
        ),
        ("", Says::Unknown),
    ] {
        let found = found(&with_scope(scope), true, &replies);
        assert_eq!(says(&found, Topic::Refund), Some(expected), "{scope}");
        assert_eq!(says(&found, Topic::Webhooks), Some(Says::Yes));
        assert_eq!(says(&found, Topic::Mode), Some(Says::Unknown));
        assert_eq!(found.endpoints[0].events, ["PAYMENT.CAPTURE.COMPLETED"]);
    }
    let reading = found(&with_scope(""), false, &replies);
    assert_eq!(says(&reading, Topic::Refund), None);
}

#[test]
fn a_webhook_that_is_unknown_is_a_no_and_one_that_cannot_be_read_is_not() {
    for (shown, expected) in [
        (unknown(), Says::No),
        (reply(404, "<html>"), Says::Unknown),
        (reply(403, "{}"), Says::Unknown),
        (reply(200, "[]"), Says::Unknown),
    ] {
        let replies = [reply(200, NONE), reply(200, NONE), shown];
        let found = found(&paypal(), true, &replies);
        assert_eq!(says(&found, Topic::Webhooks), Some(expected));
    }
}

#[test]
fn a_feature_that_is_off_is_a_missing_right() {
    let off = reply(403, r#"{"name":"NOT_AUTHORIZED","message":"no"}"#);
    let replies = [reply(200, NONE), off, reply(200, WEBHOOK_SHOWN)];
    let found = found(&paypal(), true, &replies);
    assert_eq!(says(&found, Topic::Key), Some(Says::Yes));
    assert_eq!(says(&found, Topic::Read), Some(Says::No));
}
