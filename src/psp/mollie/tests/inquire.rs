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

fn found(psp: &Mollie, refunds: bool, replies: &[Reply]) -> Findings {
    match psp.inquire(
        Needs { refunds },
        Time::from_seconds(1_795_200_000),
        replies,
    ) {
        Inquiry::Done(found) => found,
        Inquiry::Send(request) => panic!("still asking: {}", request.url),
    }
}

fn asked(psp: &Mollie, replies: &[Reply]) -> Request {
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

const REFUSED: &str = r#"{"status":403,"title":"Forbidden","detail":"no"}"#;

fn page(mode: &str) -> Reply {
    let row = format!(r#"{{"id":"tr_1","mode":"{mode}"}}"#);
    reply(
        200,
        &format!(r#"{{"_embedded":{{"payments":[{row}]}},"count":1}}"#),
    )
}

fn none(what: &str) -> Reply {
    reply(
        200,
        &format!(r#"{{"_embedded":{{"{what}":[]}},"count":0}}"#),
    )
}

#[test]
fn each_list_is_read_once() {
    let mollie = mollie();
    let mut replies = Vec::new();
    for what in ["payments", "refunds", "chargebacks"] {
        let request = asked(&mollie, &replies);
        assert_eq!(request.method, Method::Get);
        let expected = format!("https://api.mollie.test/v2/{what}?limit=1");
        assert_eq!(request.url, expected);
        replies.push(none(what));
    }
    let found = found(&mollie, true, &replies);
    assert_eq!(says(&found, Topic::Key), Some(Says::Yes));
    assert_eq!(says(&found, Topic::Read), Some(Says::Yes));
    assert_eq!(says(&found, Topic::Mode), Some(Says::Yes));
    assert_eq!(says(&found, Topic::Refund), Some(Says::CannotBeAsked));
    assert_eq!(says(&found, Topic::Webhooks), Some(Says::CannotBeAsked));
}

#[test]
fn a_payment_of_the_other_mode_is_a_no() {
    for (mode, expected) in [("test", Says::Yes), ("live", Says::No), ("odd", Says::Yes)] {
        let replies = [page(mode), none("refunds"), none("chargebacks")];
        let found = found(&mollie(), false, &replies);
        assert_eq!(says(&found, Topic::Mode), Some(expected), "{mode}");
    }
}

#[test]
fn a_refused_key_is_told_from_a_missing_right() {
    let wrong = found(&mollie(), true, &[reply(401, "{}")]);
    assert_eq!(says(&wrong, Topic::Key), Some(Says::No));
    let replies = [page("test"), reply(403, REFUSED), none("chargebacks")];
    let right = found(&mollie(), true, &replies);
    assert_eq!(says(&right, Topic::Key), Some(Says::Yes));
    assert_eq!(says(&right, Topic::Read), Some(Says::No));
}

#[test]
fn an_answer_that_is_not_mollies_is_no_answer() {
    for body in ["<html>", "", "[]", "{}"] {
        let found = found(&mollie(), true, &[reply(200, body)]);
        assert_eq!(says(&found, Topic::Key), Some(Says::NoAnswer), "{body}");
    }
}
