//! The rig without a daemon: its servers, its pump, its files, and what it says when the program
//! it was given is not one.
#![cfg(test)]

use super::*;
use crate::sandbox::fault::{Aim, Fault, Symptom, Times};
use crate::sandbox::psp::PspCall;
use crate::sandbox::world::API_KEY;
use std::os::unix::fs::PermissionsExt;

fn setup(program: &str, scratch: &Scratch) -> Setup {
    Setup::short(PathBuf::from(program), scratch.path().to_owned())
}

async fn fetch(rig: &Rig, id: &str) -> Result<Response, ClientError> {
    let headers = Headers::new().with("authorization", &format!("Bearer {API_KEY}"));
    let path = format!("/v1/payment_intents/{id}");
    client::call(rig.addresses.psp, Method::Get, &path, &headers, b"").await
}

#[tokio::test]
async fn the_psp_answers_over_a_real_socket_and_closes_it_for_a_lost_call() {
    let scratch = Scratch::new("rig-test").unwrap();
    let rig = Rig::prepare(setup("true", &scratch)).await.unwrap();
    let id = rig.pay("1001", eur(5_995));
    let answer = fetch(&rig, &id).await.unwrap();
    assert_eq!(answer.status, 200);
    assert!(
        String::from_utf8(answer.body)
            .unwrap()
            .contains("\"amount_received\":5995")
    );
    rig.psp(|psp| {
        let aim = Aim::kind(PspCall::Fetch);
        psp.lay(aim, Times::Next(1), Fault::before(Symptom::Close));
    });
    assert!(matches!(
        fetch(&rig, &id).await,
        Err(ClientError::NotHttp(_))
    ));
    assert_eq!(fetch(&rig, &id).await.unwrap().status, 200);
    assert_eq!(rig.close().await.unwrap(), Vec::<String>::new());
}

#[tokio::test]
async fn a_delivery_that_nobody_takes_is_tried_again() {
    let scratch = Scratch::new("rig-test").unwrap();
    let mut rig = Rig::prepare(setup("true", &scratch)).await.unwrap();
    rig.set_patience(Duration::from_secs(10));
    rig.pay("1001", eur(5_995));
    rig.until_world("a second attempt", |world| {
        world.psp.deliveries().len() >= 3
    })
    .await
    .unwrap();
    let answers = rig.psp(|psp| psp.deliveries().to_vec());
    assert!(answers.iter().all(|answer| answer.status.is_none()));
    rig.close().await.unwrap();
}

#[tokio::test]
async fn the_configuration_names_the_sandbox_and_is_for_its_owner_alone() {
    let scratch = Scratch::new("rig-test").unwrap();
    let setup = setup("true", &scratch).policy("refund_delay", "\"3s\"");
    let rig = Rig::prepare(setup).await.unwrap();
    let path = rig.config_path();
    let mode = std::fs::metadata(&path).unwrap().permissions().mode();
    assert_eq!(mode & 0o777, 0o600);
    let text = std::fs::read_to_string(&path).unwrap();
    let read: toml::Table = text.parse().unwrap();
    assert_eq!(
        read["shop"][SHOP]["policy"]["refund_delay"].as_str(),
        Some("3s")
    );
    let base = format!("http://{}", rig.addresses.psp);
    assert_eq!(
        read["psp"][ACCOUNT]["api_base"].as_str(),
        Some(base.as_str())
    );
    assert_ne!(rig.public(), rig.admin());
    rig.close().await.unwrap();
    let place = scratch.path().to_owned();
    drop(scratch);
    assert!(!place.exists());
}

#[tokio::test]
async fn a_daemon_that_ends_by_itself_is_reported_with_the_end_of_its_log() {
    let scratch = Scratch::new("rig-test").unwrap();
    // Given `serve --config …`, it complains and ends.
    let setup = setup("cat", &scratch);
    let refused = Rig::raise(setup).await.err().unwrap();
    let told = refused.to_string();
    assert!(
        told.contains("exit status: 1") && told.contains("cat: "),
        "{told}"
    );
}

#[tokio::test]
async fn a_program_that_is_not_there_is_named() {
    let scratch = Scratch::new("rig-test").unwrap();
    let refused = Rig::raise(setup("/nowhere/reconciled", &scratch))
        .await
        .err()
        .unwrap();
    assert!(
        refused.to_string().contains("/nowhere/reconciled"),
        "{refused}"
    );
}

#[test]
fn errors_and_panics_are_found_in_a_log() {
    let scratch = Scratch::new("rig-test").unwrap();
    let log = scratch.path().join("daemon.log");
    assert_eq!(child::errors_in(&log).unwrap(), Vec::<String>::new());
    let lines = [
        r#"{"timestamp":"t","level":"INFO","fields":{"message":"an ERROR in words"}}"#,
        r#"{"timestamp":"t","level":"ERROR","fields":{"message":"bad"}}"#,
        "thread 'main' panicked at src/main.rs:1:1:",
        "plain words",
    ];
    std::fs::write(&log, lines.join("\n")).unwrap();
    let found = child::errors_in(&log).unwrap();
    assert_eq!(found, [lines[1], lines[2]]);
    assert!(child::tail(&log).ends_with("plain words"));
}

#[test]
fn a_checkout_is_read_as_the_contract_shows_it() {
    let body = r#"{"checkouts":[{"id":"c1","shop":"klompen","reference":"1000042",
        "verdict":"settled","reason":"confirmed_by_shop",
        "order":{"status":"confirmed","amount":{"value":"59.95","currency":"EUR"}},
        "payments":[{"account":"stripe_nl","id":"pi_123","status":"captured","method":"ideal",
          "captured":{"value":"59.95","currency":"EUR"},"refunded":{"value":"0.00","currency":"EUR"}}],
        "in_suspense":{"value":"0.00","currency":"EUR"},"since":"2026-11-21T10:00:00Z",
        "safe_to_retry":false,"next_step":null}],"next_cursor":null}"#;
    let reply =
        |status| crate::sandbox::fault::response(status, "application/json", body.as_bytes());
    let views = view::read_list("/", &reply(200)).unwrap();
    assert_eq!(views[0].summary(), "settled (confirmed_by_shop)");
    assert_eq!(views[0].payments[0].captured, Some(eur(5_995)));
    assert_eq!(views[0].next(), "nothing next");
    assert!(view::read_list("/", &reply(503)).is_err());
    assert_eq!(view::escaped("W 2/é"), "W%202%2F%C3%A9");
}
