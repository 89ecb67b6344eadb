//! SIGHUP: a good file counts from then on, a bad one changes nothing and is told everywhere.
//!
//! The real daemon, seen through its log and its admin listener.

use crate::support::Rig;
use reconciled::sandbox::rig::eur;
use reconciled::wire::Method;

#[tokio::test]
async fn a_bad_file_keeps_the_running_configuration_and_says_so() {
    let mut rig = Rig::raise().await;
    rig.expect_error("configuration not reloaded");
    let setup = rig.setup_mut();
    setup.policy.insert("refund_dealy".into(), "\"1s\"".into());
    setup.shop.insert("mode".into(), "\"observe\"".into());
    rig.write_config().unwrap();
    rig.signal("HUP").await.unwrap();
    let told = rig
        .until_page("/readyz", |page| {
            page.contains("the latest reload was refused")
        })
        .await;
    let told: serde_json::Value = serde_json::from_str(&told).unwrap();
    assert_eq!(told["ready"], true);
    let parts = told["parts"].as_array().unwrap();
    let config = parts.iter().find(|part| part["name"] == "config").unwrap();
    assert_eq!(config["state"], "warning");
    assert!(config["detail"].as_str().unwrap().contains("refund_dealy"));
    let metrics = rig.admin_call(Method::Get, "/metrics", b"").await.unwrap();
    let metrics = String::from_utf8(metrics.body).unwrap();
    assert!(metrics.contains("reconciled_config_reloads_total{result=\"refused\"} 1"));
    let log = std::fs::read_to_string(rig.log_path()).unwrap();
    let line = log
        .lines()
        .find(|line| line.contains("configuration not reloaded"));
    assert!(line.unwrap().contains("refund_dealy"), "{log}");
    // Still in full mode, as it was started.
    rig.place("1001", eur(5_995));
    rig.pay("1001", eur(5_995));
    rig.until_verdict("1001", "settled").await;
    rig.close().await;
}

#[tokio::test]
async fn a_mended_file_counts_from_the_reload_on_and_takes_the_warning_back() {
    let mut rig = Rig::raise().await;
    rig.expect_error("configuration not reloaded");
    let text = std::fs::read_to_string(rig.config_path()).unwrap();
    std::fs::write(rig.config_path(), "[server\n").unwrap();
    rig.signal("HUP").await.unwrap();
    rig.until_page("/readyz", |page| {
        page.contains("the latest reload was refused")
    })
    .await;
    let renamed = text.replace("\"Klompenwinkel\"", "\"Schoenmaker\"");
    assert_ne!(renamed, text);
    std::fs::write(rig.config_path(), renamed).unwrap();
    rig.signal("HUP").await.unwrap();
    rig.until_page("/readyz", |page| !page.contains("warning"))
        .await;
    rig.until_page("/status", |page| page.contains("Schoenmaker"))
        .await;
    let metrics = rig.admin_call(Method::Get, "/metrics", b"").await.unwrap();
    let metrics = String::from_utf8(metrics.body).unwrap();
    assert!(metrics.contains("reconciled_config_reloads_total{result=\"taken\"} 1"));
    rig.close().await;
}
