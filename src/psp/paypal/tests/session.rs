//! Signing in: one token for many calls, dropped when refused, never shown.
//! Nothing here is sent anywhere.

use super::*;
use crate::core::time::Span;
use crate::wire::{CallError, Method};

fn fresh() -> Paypal {
    paypal_with(rules())
}

#[test]
fn the_token_is_asked_for_once_and_again_shortly_before_its_end() {
    let paypal = fresh();
    let request = paypal.sign_in(now()).unwrap();
    assert_eq!(address(&request), "/v1/oauth2/token");
    assert_eq!(request.method, Method::Post);
    assert_eq!(request.body, b"grant_type=client_credentials");
    let basic = STANDARD.encode("made-up-client:made-up-secret-of-app");
    assert_eq!(
        request.headers.single("authorization"),
        Some(format!("Basic {basic}").as_str())
    );
    paypal.signed_in(&api("token"), now()).unwrap();
    assert_eq!(paypal.sign_in(now()), None);
    let life = Span::from_seconds(32_400);
    let margin = Span::from_minutes(5);
    let end = now().plus(life).minus(margin);
    assert_eq!(paypal.sign_in(end.minus(Span::from_seconds(1))), None);
    assert!(paypal.sign_in(end).is_some());
    let Step::Send(call) = paypal.step(&fetch(CAPTURE), now(), &[]) else {
        panic!("nothing was sent");
    };
    assert_eq!(
        call.headers.single("authorization"),
        Some("Bearer A21AAMadeUpToken")
    );
    paypal.signed_out();
    assert!(paypal.sign_in(now()).is_some());
}

#[test]
fn without_a_token_nothing_is_sent() {
    let paypal = fresh();
    for ask in [fetch(CAPTURE), refund(CAPTURE, eur(1))] {
        assert_eq!(
            paypal.step(&ask, now(), &[]),
            Step::Done(PspAnswer::Failed(Failure::NotSent(
                "not_signed_in".to_owned()
            )))
        );
    }
}

#[test]
fn a_refused_sign_in_is_remembered_for_a_while() {
    let paypal = fresh();
    let body = br#"{"error":"invalid_client","error_description":"x"}"#.to_vec();
    let refused = Failure::Unauthorized("invalid_client".to_owned());
    let result = paypal.signed_in(&answered(401, body), now());
    assert_eq!(result, Err(refused.clone()));
    assert_eq!(paypal.sign_in(now().plus(Span::from_seconds(59))), None);
    assert_eq!(
        paypal.step(&fetch(CAPTURE), now(), &[]),
        Step::Done(PspAnswer::Failed(refused))
    );
    assert!(paypal.sign_in(now().plus(Span::from_seconds(60))).is_some());
}

#[test]
fn whatever_became_of_signing_in_the_call_itself_was_never_made() {
    for (reply, failure) in [
        (
            Err(CallError::Unclear("timeout")),
            Failure::NotSent("timeout".to_owned()),
        ),
        (
            Err(CallError::NotSent("dns")),
            Failure::NotSent("dns".to_owned()),
        ),
        (
            answered(503, Vec::new()),
            Failure::NotSent("status_503".to_owned()),
        ),
        (
            answered(429, Vec::new()),
            Failure::Throttled {
                wait: Span::from_seconds(60),
            },
        ),
        (answered(404, Vec::new()), malformed("status_404")),
        (answered(200, b"<html>".to_vec()), malformed("bad_token")),
        (
            answered(
                200,
                br#"{"access_token":"a b","token_type":"Bearer","expires_in":9}"#.to_vec(),
            ),
            malformed("bad_token"),
        ),
        (
            answered(
                200,
                br#"{"access_token":"","token_type":"Bearer","expires_in":9}"#.to_vec(),
            ),
            malformed("bad_token"),
        ),
        (
            answered(
                200,
                br#"{"access_token":"a","token_type":"MAC","expires_in":9}"#.to_vec(),
            ),
            malformed("bad_token"),
        ),
    ] {
        let paypal = fresh();
        assert_eq!(paypal.signed_in(&reply, now()), Err(failure));
    }
}

#[test]
fn nothing_secret_is_ever_shown() {
    let paypal = fresh();
    let request = paypal.sign_in(now()).unwrap();
    paypal.signed_in(&api("token"), now()).unwrap();
    let shown = format!("{paypal:?} {request:?}");
    for secret in ["made-up-secret", "A21AA", "Basic", "bWFkZ"] {
        assert!(!shown.contains(secret), "{shown}");
    }
}
