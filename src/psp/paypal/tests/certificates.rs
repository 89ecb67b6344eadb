//! Certificates: whose are taken, from where, how long, and how little a stranger can cause.
//! Signs with the test leaf's key alone.

use super::super::certificate::{LIVE_HOSTS, SANDBOX_HOSTS};
use super::*;
use crate::core::time::Span;
use crate::psp::Rejection;
use crate::wire::{CallError, Method};

fn refused(why: &'static str) -> Verification {
    Verification::Rejected(Rejection::KeyRefused { why })
}

fn after(span: Span) -> Time {
    now().plus(span)
}

#[test]
fn a_missing_certificate_is_fetched_without_anything_of_ours_and_then_known() {
    let paypal = paypal();
    assert_eq!(paypal.key_wanted(now()), None);
    let fields = signed(b"{}");
    assert_eq!(verify(&paypal, &fields, b"{}"), Verification::NeedsKey);
    let request = bring(&paypal, &pem("sandbox")).unwrap();
    assert_eq!((request.method, request.url.as_str()), (Method::Get, URL));
    assert_eq!(request.headers.iter().count(), 1, "nothing but `accept`");
    assert!(request.body.is_empty());
    assert_eq!(verify(&paypal, &fields, b"{}"), accepted());
    assert_eq!(paypal.key_wanted(now()), None);
}

#[test]
fn each_odd_certificate_is_refused_by_name() {
    for (chain, why) in [
        ("expired", "the certificate has expired"),
        ("not_yet", "the certificate is not valid yet"),
        ("stranger", "the certificate leads to no trusted root"),
        (
            "sandbox_without_issuer",
            "the certificate leads to no trusted root",
        ),
        ("paypal_sandbox_2019", "the certificate has expired"),
        ("wrong_usage", "the certificate is for another use"),
        ("other_name", "the certificate does not bear PayPal's name"),
        ("live", "the certificate is of the other mode"),
        (
            "sha1",
            "the certificate is signed with an algorithm that is not accepted",
        ),
        ("test_leaf_key", "no certificate"),
    ] {
        let paypal = knowing(chain);
        assert_eq!(
            verify(&paypal, &signed(b"{}"), b"{}"),
            refused(why),
            "{chain}"
        );
        assert_eq!(
            paypal.key_wanted(now()),
            None,
            "{chain} is not asked for again"
        );
    }
}

#[test]
fn a_real_certificate_of_paypals_bears_the_name_and_needs_its_real_root() {
    let chain = super::super::certificate::chain(&fixture("certificates/paypal_sandbox_2019.pem"));
    let chain = chain.unwrap();
    let in_2020 = Time::from_seconds(1_590_000_000);
    assert_eq!(
        certificates().judge(&chain, false, in_2020).unwrap_err(),
        "the certificate leads to no trusted root"
    );
    let mut trusting = certificates();
    trusting.roots = Roots::from_der(&chain);
    assert!(!trusting.roots.is_empty());
    let leaf = webpki::EndEntityCert::try_from(&chain[0]).unwrap();
    let names: Vec<&str> = leaf.valid_dns_names().collect();
    assert_eq!(names, [super::super::certificate::SANDBOX_NAME]);
}

#[test]
fn a_key_that_is_not_rsa_signs_nothing() {
    let paypal = knowing("ec");
    let found = verify(&paypal, &signed(b"{}"), b"{}");
    assert_eq!(found, Verification::Rejected(Rejection::WrongSecret));
}

#[test]
fn a_live_account_takes_the_live_name_alone() {
    let live = || {
        let mut rules = rules();
        rules.live = true;
        paypal_with(rules)
    };
    for (chain, expected) in [
        ("live", accepted()),
        ("sandbox", refused("the certificate is of the other mode")),
    ] {
        let paypal = live();
        let fields = signed(b"{}");
        assert_eq!(verify(&paypal, &fields, b"{}"), Verification::NeedsKey);
        bring(&paypal, &pem(chain));
        assert_eq!(verify(&paypal, &fields, b"{}"), expected, "{chain}");
    }
}

#[test]
fn an_issuer_may_be_trusted_itself_where_the_chain_is_not_sent() {
    let mut certificates = certificates();
    let chain = String::from_utf8(fixture("certificates/sandbox.pem")).unwrap();
    let issuer = chain
        .split_inclusive("-----END CERTIFICATE-----\n")
        .nth(1)
        .unwrap();
    certificates.roots = Roots::from_pem(issuer.as_bytes()).unwrap();
    let paypal = paypal_of(rules(), certificates);
    let fields = signed(b"{}");
    assert_eq!(verify(&paypal, &fields, b"{}"), Verification::NeedsKey);
    bring(&paypal, &pem("sandbox_without_issuer"));
    assert_eq!(verify(&paypal, &fields, b"{}"), accepted());
}

#[test]
fn only_paypals_own_addresses_are_ever_wanted() {
    let message = super::super::seal::message(ID, SENT, WEBHOOK, b"{}");
    let host = "https://api.sandbox.paypal.com";
    let path = "/v1/notifications/certs/CERT-1";
    let long = format!("{host}/v1/notifications/certs/{}", "a".repeat(129));
    for url in [
        "",
        "https://",
        &format!("http://api.sandbox.paypal.com{path}"),
        &format!("https://api.paypal.com{path}"),
        &format!("https://evil.example{path}"),
        &format!("https://api.sandbox.paypal.com.evil.example{path}"),
        &format!("https://evil.example/api.sandbox.paypal.com{path}"),
        &format!("https://api.sandbox.paypal.com@evil.example{path}"),
        &format!("https://user@api.sandbox.paypal.com{path}"),
        &format!("https://api.sandbox.paypal.com:444{path}"),
        &format!("https://API.sandbox.paypal.com{path}"),
        &format!("https://api.sandbox.paypal.com.{path}"),
        &format!("https://api.sandbox.paypal.com\\@evil.example{path}"),
        &format!("HTTPS://api.sandbox.paypal.com{path}"),
        &format!(" {host}{path}"),
        &format!("{host}{path}?x=1"),
        &format!("{host}{path}#x"),
        &format!("{host}{path}/../../x"),
        &format!("{host}{path}%2e"),
        &format!("{host}/v1/notifications/certs/"),
        &format!("{host}/v1/notifications/certs/.."),
        &format!("{host}/v1/notifications/webhooks"),
        &format!("{host}//v1/notifications/certs/CERT-1"),
        &format!("http://127.0.0.1:8080{path}"),
        &format!("https://169.254.169.254{path}"),
        &format!("file:///{path}"),
        &long,
    ] {
        let paypal = paypal();
        assert_eq!(
            verify(&paypal, &headers(url, &message), b"{}"),
            refused("its certificate's address is not PayPal's"),
            "{url}"
        );
        assert_eq!(paypal.key_wanted(now()), None, "{url}");
    }
}

#[test]
fn a_loopback_api_has_its_certificates_beside_it_and_nowhere_else() {
    let mut certificates = certificates();
    certificates.loopback = Some("http://127.0.0.1:8080".to_owned());
    let path = "/v1/notifications/certs/CERT-1";
    let permitted = |url: String| certificates.permit(&url);
    assert!(permitted(format!("http://127.0.0.1:8080{path}")));
    assert!(permitted(format!("https://api.sandbox.paypal.com{path}")));
    for url in [
        format!("http://127.0.0.1:80801{path}"),
        format!("http://127.0.0.1:8080.evil.example{path}"),
        format!("http://127.0.0.1:8081{path}"),
        format!("https://127.0.0.1:8080{path}"),
        "http://127.0.0.1:8080/admin".to_owned(),
    ] {
        assert!(!permitted(url.clone()), "{url}");
    }
    let hosts = LIVE_HOSTS.iter().chain(&SANDBOX_HOSTS);
    assert_eq!(
        hosts.filter(|host| host.ends_with(".paypal.com")).count(),
        4
    );
}

#[test]
fn what_an_address_answers_besides_a_certificate_is_remembered_for_a_while() {
    let useless = Span::from_minutes(10);
    let silent = Span::from_seconds(10);
    let redirect = answered(302, Vec::new());
    for (reply, why, span) in [
        (redirect, "its address leads elsewhere", useless),
        (
            answered(404, Vec::new()),
            "there is none at its address",
            useless,
        ),
        (answered(200, b"<html>".to_vec()), "no certificate", useless),
        (
            Err(CallError::Unclear("answer_too_large")),
            "it is too large",
            useless,
        ),
        (
            answered(503, Vec::new()),
            "its address does not answer",
            silent,
        ),
        (
            answered(429, Vec::new()),
            "its address does not answer",
            silent,
        ),
        (
            Err(CallError::NotSent("dns")),
            "its address does not answer",
            silent,
        ),
        (
            Err(CallError::Unclear("timeout")),
            "its address does not answer",
            silent,
        ),
    ] {
        let paypal = paypal();
        let fields = signed(b"{}");
        verify(&paypal, &fields, b"{}");
        bring(&paypal, &reply);
        assert_eq!(verify(&paypal, &fields, b"{}"), refused(why));
        assert_eq!(paypal.key_wanted(now()), None);
        let later = verify_at(&paypal, &fields, b"{}", after(span));
        assert_eq!(later, Verification::NeedsKey, "{why}");
        assert!(paypal.key_wanted(after(span)).is_some());
    }
}

#[test]
fn a_chain_of_too_many_certificates_is_none() {
    let one = String::from_utf8(fixture("certificates/sandbox.pem")).unwrap();
    let paypal = paypal();
    verify(&paypal, &signed(b"{}"), b"{}");
    bring(&paypal, &answered(200, one.repeat(5).into_bytes()));
    let found = verify(&paypal, &signed(b"{}"), b"{}");
    assert_eq!(found, refused("too many certificates"));
}

#[test]
fn a_thousand_made_up_addresses_cause_a_handful_of_calls() {
    let paypal = paypal();
    let mut calls = 0;
    for n in 0..1_000 {
        let url = format!("https://api.sandbox.paypal.com/v1/notifications/certs/made-up-{n}");
        assert_eq!(
            verify(&paypal, &headers_unsigned(&url), b"{}"),
            Verification::NeedsKey
        );
        while bring(&paypal, &answered(404, Vec::new())).is_some() {
            calls += 1;
        }
    }
    assert!((1..=6).contains(&calls), "{calls} calls at once");
    let mut later = 0;
    for minute in 0..60 {
        let at = after(Span::from_minutes(minute));
        for n in 0..100 {
            let url =
                format!("https://api.sandbox.paypal.com/v1/notifications/certs/more-{minute}-{n}");
            verify_at(&paypal, &headers_unsigned(&url), b"{}", at);
        }
        while let Some(request) = paypal.key_wanted(at) {
            paypal.key_came(&request, &answered(404, Vec::new()), at);
            later += 1;
        }
    }
    assert!(later <= 60 * 6 + 6, "{later} calls in an hour");
}

/// Nothing is signed: a stranger's delivery.
fn headers_unsigned(url: &str) -> Headers {
    Headers::new()
        .with("paypal-transmission-id", ID)
        .with("paypal-transmission-time", SENT)
        .with("paypal-cert-url", url)
        .with("paypal-auth-algo", "SHA256withRSA")
        .with("paypal-transmission-sig", "AAAA")
}

#[test]
fn a_known_certificate_is_refreshed_first_and_serves_meanwhile() {
    let paypal = knowing("sandbox");
    let next_day = after(Span::from_hours(25));
    for n in 0..20 {
        let url = format!("https://api.sandbox.paypal.com/v1/notifications/certs/made-up-{n}");
        verify_at(&paypal, &headers_unsigned(&url), b"{}", next_day);
    }
    let fields = signed(b"{}");
    assert_eq!(verify_at(&paypal, &fields, b"{}", next_day), accepted());
    let request = paypal.key_wanted(next_day).unwrap();
    assert_eq!(request.url, URL);
    // The address is silent: what is known goes on serving, for days and not for ever.
    paypal.key_came(&request, &answered(503, Vec::new()), next_day);
    assert_eq!(verify_at(&paypal, &fields, b"{}", next_day), accepted());
    let late = after(Span::from_days(8));
    assert_eq!(
        verify_at(&paypal, &fields, b"{}", late),
        Verification::NeedsKey
    );
}

#[test]
fn a_certificate_is_judged_as_of_each_arrival() {
    let paypal = knowing("sandbox");
    let fields = signed(b"{}");
    let before = Time::from_seconds(1_577_836_799);
    assert_eq!(
        verify_at(&paypal, &fields, b"{}", before),
        refused("the certificate is not valid yet")
    );
    assert_eq!(verify(&paypal, &fields, b"{}"), accepted());
}

#[test]
fn roots_that_cannot_be_read_are_refused_whole() {
    let good = fixture("certificates/test_root.pem");
    assert!(Roots::from_pem(&good).is_ok());
    assert!(Roots::from_pem(b"").is_err());
    assert!(Roots::from_pem(b"not PEM").is_err());
    let mut bad = good.clone();
    bad.extend_from_slice(b"-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n");
    assert!(Roots::from_pem(&bad).is_err());
    assert!(Roots::from_der(&[]).is_empty());
}
