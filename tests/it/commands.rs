//! The commands as an operator runs them: the real program, its exit codes, what it says.
//!
//! Knows the program only from outside, some of it beside a running daemon.

use crate::support::Rig;
use crate::support::asking::{reconciled, with_config};
use reconciled::sandbox::books::Judgement;
use reconciled::sandbox::fault::Times;
use reconciled::sandbox::outbox::DeliveryFault;
use reconciled::sandbox::rig::eur;
use reconciled::sandbox::world::WEBHOOK_SECRET;
use sqlx::{Connection, SqliteConnection};

const TOKEN: &str = "operator-token-of-the-command-tests";

async fn prepared() -> Rig {
    Rig::prepare_with(|setup| setup).await
}

async fn with_operator() -> Rig {
    Rig::raise_with(|mut setup| {
        setup.operator_token = Some(TOKEN.to_owned());
        setup.account("sweep_every", "\"1h\"")
    })
    .await
}

#[tokio::test]
async fn check_says_what_would_run_and_touches_nothing() {
    let rig = prepared().await;
    let said = rig.command(&["check"]).await;
    assert_eq!((said.code, said.err.as_str()), (Some(0), ""));
    for words in ["klompen", "stripe_nl"] {
        assert!(said.out.contains(words), "{words}: {}", said.out);
    }
    let json = rig.command(&["check", "--json"]).await;
    assert_eq!(json.code, Some(0));
    assert!(json.json().is_object(), "{json:?}");
    for text in [said.out, json.out] {
        assert!(!text.contains(WEBHOOK_SECRET));
    }
    let folder = rig.config_path().parent().unwrap().to_owned();
    let files: Vec<_> = std::fs::read_dir(folder).unwrap().collect();
    assert_eq!(files.len(), 1, "{files:?}");
    rig.close().await;
}

#[tokio::test]
async fn check_lists_every_problem_with_its_place_and_ends_with_78() {
    let mut rig = prepared().await;
    let setup = rig.setup_mut();
    setup.policy.insert("refund_dealy".into(), "\"1s\"".into());
    setup
        .account
        .insert("sweep_every".into(), "\"often\"".into());
    rig.write_config().unwrap();
    let said = rig.command(&["check"]).await;
    assert_eq!((said.code, said.out.as_str()), (Some(78), ""));
    for words in [
        "refund_dealy",
        "refund_delay",
        "sweep_every",
        "reconciled.toml:",
    ] {
        assert!(said.err.contains(words), "{words}: {}", said.err);
    }
    let json = rig.command(&["check", "--json"]).await;
    assert_eq!(json.code, Some(78));
    assert!(json.out.contains("refund_dealy"), "{json:?}");
    rig.close().await;
}

#[tokio::test]
async fn a_command_line_that_asks_for_nothing_known_ends_with_64() {
    for words in [
        &[][..],
        &["serv"],
        &["check", "--jsn"],
        &["checkouts", "show"],
        &["--admin", "nowhere", "status"],
    ] {
        let said = reconciled(words, &[]).await;
        assert_eq!((said.code, said.out.as_str()), (Some(64), ""), "{words:?}");
        assert!(
            said.err.contains("Usage") || said.err.contains("--help"),
            "{said:?}"
        );
    }
}

#[tokio::test]
async fn help_and_version_are_answers() {
    for words in [&["--help"][..], &["--version"], &["sweep", "--help"]] {
        let said = reconciled(words, &[]).await;
        assert_eq!((said.code, said.err.as_str()), (Some(0), ""), "{words:?}");
        assert!(said.out.contains("reconciled") || said.out.contains("Usage"));
    }
}

#[tokio::test]
async fn without_a_daemon_or_a_store_a_command_ends_with_69() {
    let rig = prepared().await;
    for words in [
        &["status"][..],
        &["checkouts", "list"],
        &["sweep"],
        &["audit"],
    ] {
        let said = rig.command(words).await;
        assert_eq!((said.code, said.out.as_str()), (Some(69), ""), "{words:?}");
        assert!(said.err.starts_with("reconciled: "), "{said:?}");
    }
    rig.close().await;
}

#[tokio::test]
async fn a_daemon_that_cannot_have_its_store_or_its_port_ends_with_69() {
    let rig = Rig::prepare_with(|mut setup| {
        setup.store_url = format!("sqlite:{}", setup.dir.join("none/r.db").display());
        setup
    })
    .await;
    let said = rig.command(&["serve"]).await;
    assert_eq!(said.code, Some(69), "{said:?}");
    assert!(said.err.contains("cannot open the store"), "{said:?}");
    rig.close().await;
    let rig = prepared().await;
    let _taken = tokio::net::TcpListener::bind(rig.admin()).await.unwrap();
    let said = rig.command(&["serve"]).await;
    assert_eq!(said.code, Some(69), "{said:?}");
    assert!(said.err.contains("cannot listen at"), "{said:?}");
    rig.close().await;
}

#[tokio::test]
async fn with_an_unusable_configuration_every_command_ends_with_78() {
    let mut rig = prepared().await;
    rig.setup_mut().more = "[serv]\n".to_owned();
    rig.write_config().unwrap();
    for words in [
        &["serve"][..],
        &["check"],
        &["status"],
        &["checkouts", "list"],
        &["sweep"],
        &["audit"],
    ] {
        let said = rig.command(words).await;
        assert_eq!(said.code, Some(78), "{words:?}: {said:?}");
        assert!(said.err.contains("serv"), "{said:?}");
        let missing = rig.config_path().with_extension("none");
        let said = with_config(&missing, words).await;
        assert_eq!(said.code, Some(78), "{words:?}: {said:?}");
    }
    rig.close().await;
}

#[tokio::test]
async fn the_sweep_command_finds_a_payment_that_nobody_told_of() {
    let rig = with_operator().await;
    rig.until_page("/status", |page| page.contains("\"swept_at\":\""))
        .await;
    rig.psp(|psp| psp.spoil(Some("1001"), Times::Always, DeliveryFault::Lose));
    rig.place("1001", eur(5_995));
    rig.pay("1001", eur(5_995));
    rig.until_verdict("1001", "open").await;
    let config = rig.config_path();
    let config = config.to_str().unwrap();
    let sweep = async |more: &[&str], token: &str| {
        let words = [&["--config", config, "sweep"], more].concat();
        reconciled(&words, &[("RECONCILED_TOKEN", token)]).await
    };
    let refused = sweep(&[], "another token").await;
    assert_eq!(refused.code, Some(1), "{refused:?}");
    assert!(refused.out.contains("(unauthorized)"), "{refused:?}");
    let unknown = sweep(&["--account", "nobody"], TOKEN).await;
    assert_eq!(unknown.code, Some(1), "{unknown:?}");
    assert!(unknown.out.contains("(unknown_account)"), "{unknown:?}");
    let customer = rig.customer("1001");
    assert_eq!(customer.judgement(), Judgement::ChargedWithoutOrder);
    let started = sweep(&["--account", "stripe_nl"], TOKEN).await;
    assert_eq!(started.code, Some(0), "{started:?}");
    assert_eq!(started.out, "A sweep of stripe_nl was started.\n");
    rig.until_verdict("1001", "settled").await;
    rig.close().await;
}

#[tokio::test]
async fn status_and_checkouts_show_a_running_daemon() {
    let rig = Rig::raise().await;
    rig.place("1001", eur(5_995));
    rig.pay("1001", eur(5_995));
    let view = rig.until_verdict("1001", "settled").await;
    let status = rig.command(&["status"]).await;
    assert_eq!(status.code, Some(0), "{status:?}");
    assert!(status.out.contains("Nobody is out of pocket"), "{status:?}");
    let list = rig.command(&["checkouts", "list", "--json"]).await;
    assert_eq!(list.code, Some(0), "{list:?}");
    let shown = list.json()["checkouts"].as_array().unwrap().clone();
    assert!(shown.iter().any(|one| one["id"] == view.id.as_str()));
    let story = rig.command(&["checkouts", "show", &view.id]).await;
    assert_eq!(story.code, Some(0), "{story:?}");
    assert!(story.out.contains("settled since"), "{story:?}");
    let missing = rig.command(&["checkouts", "show", "ck_none"]).await;
    assert_eq!(missing.code, Some(1), "{missing:?}");
    rig.close().await;
}

#[tokio::test]
async fn audit_proves_the_books_beside_the_daemon_and_finds_a_changed_entry() {
    let mut rig = Rig::raise().await;
    rig.place("1001", eur(5_995));
    rig.pay("1001", eur(5_995));
    let view = rig.until_verdict("1001", "settled").await;
    let whole = rig.command(&["audit"]).await;
    assert_eq!(whole.code, Some(0), "{whole:?}");
    rig.sigterm().await.unwrap();
    let after = rig.command(&["audit", "--json"]).await;
    assert_eq!(after.code, Some(0), "{after:?}");
    assert!(after.json().is_object());
    let path = rig.config_path().with_file_name("reconciled.db");
    let url = format!("sqlite:{}", path.display());
    let mut connection = SqliteConnection::connect(&url).await.unwrap();
    let forged = sqlx::raw_sql("UPDATE journal SET facts = facts || ' ' WHERE seq = 1");
    forged.execute(&mut connection).await.unwrap();
    connection.close().await.unwrap();
    let found = rig.command(&["audit"]).await;
    assert_eq!(found.code, Some(1), "{found:?}");
    assert!(found.out.contains(&view.id), "{found:?}");
    assert!(found.out.contains("hash_differs"), "{found:?}");
    rig.close().await;
}

#[tokio::test]
async fn a_demo_of_a_psp_that_nobody_speaks_for_is_refused_with_the_list() {
    let said = reconciled(&["demo", "--psp", "barter"], &[]).await;
    assert_eq!(said.code, Some(64), "{said:?}");
    for kind in reconciled::sandbox::psp::KINDS {
        assert!(said.err.contains(kind.word), "{said:?}");
    }
}
