//! `check --online` as an operator runs it: the real program against each PSP of the sandbox.
//!
//! Knows the program only from outside: its exit codes, and what it says of each account.

use crate::support::Rig;
use crate::support::asking::Said;
use reconciled::sandbox::fault::{Aim, Fault, Symptom, Times};
use reconciled::sandbox::psp::{Ability, KINDS, Kind, PspCall};
use reconciled::sandbox::rig::eur;
use serde_json::Value;

const ONLINE: [&str; 3] = ["check", "--online", "--json"];

async fn prepared(kind: &'static Kind) -> Rig {
    Rig::prepare_at_with(kind, |setup| setup).await
}

fn kind(word: &str) -> &'static Kind {
    Kind::find(word).unwrap()
}

/// The PSPs that have a question which changes nothing.
fn askable() -> impl Iterator<Item = &'static Kind> {
    KINDS
        .iter()
        .copied()
        .filter(|kind| kind.has(Ability::Fetch))
}

fn account(kind: &Kind, said: &Said) -> Value {
    said.json()["online"][kind.account].clone()
}

/// What was found about a topic; empty when it was not asked.
fn says(kind: &Kind, said: &Said, topic: &str) -> String {
    let found = account(kind, said)["findings"][topic]["says"].clone();
    found.as_str().unwrap_or_default().to_owned()
}

fn shows_no_secret(kind: &Kind, said: &Said) {
    for text in [&said.out, &said.err] {
        for secret in [kind.api_key, "whsec_", "sandbox-secret-of-another", "A21AA"] {
            assert!(!text.contains(secret), "{kind:?} {secret}: {text}");
        }
    }
}

#[tokio::test]
async fn a_key_that_works_is_called_so_at_every_psp_and_nothing_is_changed_there() {
    for kind in askable() {
        let rig = prepared(kind).await;
        rig.pay("1001", eur(5_995));
        let said = rig.command(&ONLINE).await;
        assert_eq!((said.code, said.err.as_str()), (Some(0), ""), "{said:?}");
        assert_eq!(says(kind, &said, "key"), "yes", "{said:?}");
        assert_eq!(says(kind, &said, "read"), "yes", "{said:?}");
        let refund = if kind.word == "paypal" {
            "yes"
        } else {
            "cannot_be_asked"
        };
        assert_eq!(says(kind, &said, "refund"), refund, "{said:?}");
        shows_no_secret(kind, &said);
        let people = rig.command(&["check", "--online"]).await;
        assert_eq!(people.code, Some(0), "{people:?}");
        assert!(people.out.contains("No PSP said no."), "{people:?}");
        shows_no_secret(kind, &people);
        let calls = rig.psp(|psp| psp.calls().to_vec());
        assert!(!calls.is_empty());
        for (call, _) in calls {
            let changes = [
                PspCall::Create,
                PspCall::Void,
                PspCall::Capture,
                PspCall::Refund,
                PspCall::CancelRefund,
                PspCall::Other,
            ];
            assert!(!changes.contains(&call), "{kind:?} {call:?}");
        }
        rig.close().await;
    }
}

#[tokio::test]
async fn a_psp_without_a_harmless_question_is_not_asked_and_its_key_not_judged() {
    let kind = kind("adyen");
    assert!(!askable().any(|one| one.word == kind.word));
    let rig = prepared(kind).await;
    let said = rig.command(&ONLINE).await;
    assert_eq!(said.code, Some(0), "{said:?}");
    assert_eq!(says(kind, &said, "key"), "cannot_be_asked", "{said:?}");
    assert!(rig.psp(|psp| psp.calls().is_empty()));
    rig.close().await;
}

#[tokio::test]
async fn without_online_no_psp_is_asked_anything() {
    for kind in KINDS.iter().copied() {
        let rig = prepared(kind).await;
        let said = rig.command(&["check", "--json"]).await;
        assert_eq!(said.code, Some(0), "{said:?}");
        assert!(said.json().get("online").is_none());
        assert!(rig.psp(|psp| psp.calls().is_empty()));
        rig.close().await;
    }
}

#[tokio::test]
async fn a_wrong_key_is_the_psps_no_at_every_psp() {
    for kind in askable() {
        let rig = prepared(kind).await;
        rig.psp(|psp| psp.change_api_key("test_anotherKey"));
        let said = rig.command(&ONLINE).await;
        assert_eq!(said.code, Some(1), "{said:?}");
        assert_eq!(says(kind, &said, "key"), "no", "{said:?}");
        assert_eq!(says(kind, &said, "read"), "", "{said:?}");
        shows_no_secret(kind, &said);
        rig.close().await;
    }
}

#[tokio::test]
async fn a_key_without_the_right_to_read_is_told_from_a_wrong_one_at_every_psp() {
    for kind in askable() {
        let rig = prepared(kind).await;
        let aim = Aim::kind(PspCall::List);
        rig.psp(|psp| psp.lay(aim, Times::Always, Fault::status(403)));
        let said = rig.command(&ONLINE).await;
        assert_eq!(said.code, Some(1), "{said:?}");
        assert_eq!(says(kind, &said, "read"), "no", "{said:?}");
        assert_eq!(says(kind, &said, "key"), "yes", "{said:?}");
        rig.close().await;
    }
}

#[tokio::test]
async fn a_psp_that_cannot_be_reached_or_talks_nonsense_is_no_no_and_ends_with_69() {
    for kind in askable() {
        let rig = prepared(kind).await;
        let faults = [
            Fault::status(503),
            Fault::before(Symptom::Close),
            Fault::before(Symptom::Html),
        ];
        for fault in faults {
            rig.psp(|psp| psp.heal());
            rig.psp(|psp| psp.lay(Aim::all(), Times::Always, fault.clone()));
            let said = rig.command(&ONLINE).await;
            assert_eq!(said.code, Some(69), "{fault:?} {said:?}");
            assert_eq!(says(kind, &said, "key"), "no_answer", "{fault:?} {said:?}");
        }
        rig.close().await;
    }
}

#[tokio::test]
async fn a_test_key_at_a_live_account_is_found_where_the_psp_shows_the_mode() {
    for word in ["stripe", "mollie"] {
        let kind = kind(word);
        let mut rig = prepared(kind).await;
        // A key that says nothing against it: what it reads must.
        rig.psp(|psp| psp.change_api_key("live_sandboxKeyOfTheSandboxPsp"));
        rig.setup_mut().account.insert("live".into(), "true".into());
        rig.write_config().unwrap();
        rig.pay("1001", eur(5_995));
        let said = rig.command(&ONLINE).await;
        assert_eq!(said.code, Some(1), "{said:?}");
        assert_eq!(says(kind, &said, "key"), "yes", "{said:?}");
        assert_eq!(says(kind, &said, "mode"), "no", "{said:?}");
        rig.close().await;
    }
}

#[tokio::test]
async fn a_key_that_names_the_other_mode_is_refused_before_anybody_is_asked() {
    let kind = kind("mollie");
    let mut rig = prepared(kind).await;
    rig.setup_mut().account.insert("live".into(), "true".into());
    rig.write_config().unwrap();
    let said = rig.command(&ONLINE).await;
    assert_eq!(said.code, Some(78), "{said:?}");
    assert!(rig.psp(|psp| psp.calls().is_empty()));
    rig.close().await;
}

#[tokio::test]
async fn where_nothing_shows_the_mode_it_is_unknown_and_no_verdict() {
    for word in ["multisafepay", "paypal"] {
        let kind = kind(word);
        let mut rig = prepared(kind).await;
        rig.setup_mut().account.insert("live".into(), "true".into());
        rig.write_config().unwrap();
        rig.pay("1001", eur(5_995));
        let said = rig.command(&ONLINE).await;
        assert_eq!(said.code, Some(0), "{said:?}");
        assert_eq!(says(kind, &said, "mode"), "unknown", "{said:?}");
        rig.close().await;
    }
}

#[tokio::test]
async fn webhook_endpoints_are_listed_where_the_psp_can_say_so() {
    for word in ["stripe", "paypal"] {
        let kind = kind(word);
        let rig = prepared(kind).await;
        let said = rig.command(&ONLINE).await;
        assert_eq!(says(kind, &said, "webhooks"), "yes", "{said:?}");
        let own = &account(kind, &said)["endpoints"][0];
        let address = format!("https://pay.klompen.example/webhooks/{}", kind.account);
        assert_eq!(own["address"], address.as_str(), "{said:?}");
        assert_eq!(own["events"].as_array().unwrap().len(), 2, "{said:?}");
        let aim = Aim::kind(PspCall::Webhooks);
        rig.psp(|psp| psp.lay(aim, Times::Always, Fault::status(403)));
        let said = rig.command(&ONLINE).await;
        assert_eq!(said.code, Some(0), "a key may not list them: {said:?}");
        assert_eq!(says(kind, &said, "webhooks"), "unknown", "{said:?}");
        rig.close().await;
    }
    for word in ["mollie", "multisafepay"] {
        let kind = kind(word);
        let rig = prepared(kind).await;
        let said = rig.command(&ONLINE).await;
        assert_eq!(says(kind, &said, "webhooks"), "cannot_be_asked", "{said:?}");
        rig.close().await;
    }
}

#[tokio::test]
async fn a_webhook_that_paypal_does_not_know_is_a_no() {
    let kind = kind("paypal");
    let rig = prepared(kind).await;
    rig.psp(|psp| psp.change_webhook_secret("0ANOTHERWEBHOOK01"));
    let said = rig.command(&ONLINE).await;
    assert_eq!(said.code, Some(1), "{said:?}");
    assert_eq!(says(kind, &said, "webhooks"), "no", "{said:?}");
    rig.close().await;
}

#[tokio::test]
async fn a_shop_that_only_watches_needs_no_right_to_refund() {
    for kind in askable() {
        let rig = Rig::prepare_at_with(kind, |setup| setup.shop("mode", "\"observe\"")).await;
        let said = rig.command(&ONLINE).await;
        assert_eq!(said.code, Some(0), "{said:?}");
        assert_eq!(says(kind, &said, "refund"), "", "{said:?}");
        rig.close().await;
    }
}
