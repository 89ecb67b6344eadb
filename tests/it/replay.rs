//! `reconciled replay` as an operator runs it: beside the running daemon, over real records.
//!
//! Knows the program only from outside.

use crate::support::Rig;
use crate::support::asking::Said;
use reconciled::sandbox::rig::eur;

const PRICE: i64 = 5_995;

/// Replays under a file with this content.
async fn replay(rig: &Rig, policy: &str, more: &[&str]) -> Said {
    let path = rig.config_path().with_file_name("other.toml");
    std::fs::write(&path, policy).unwrap();
    let path = path.to_str().unwrap();
    rig.command(&[&["replay", "--policy", path], more].concat())
        .await
}

#[tokio::test]
async fn replay_lists_what_another_policy_would_have_ended_otherwise_and_touches_nothing() {
    let rig = Rig::raise().await;
    rig.place("1001", eur(PRICE));
    rig.pay("1001", eur(PRICE));
    let settled = rig.until_verdict("1001", "settled").await;
    rig.place("1002", eur(PRICE));
    rig.pay("1002", eur(4_000));
    let is_held = |view: &reconciled::sandbox::rig::View| view.verdict == "held";
    let held = rig.until("1002", is_held).await;
    let same = replay(&rig, "[shop.klompen.policy]\n", &["--json"]).await;
    assert_eq!(same.code, Some(0), "{same:?}");
    let said = same.json();
    assert_eq!(said["differences"], serde_json::json!([]), "{same:?}");
    let summary = &said["summary"];
    // A payment that was told of before its order had a checkout of its own for a moment.
    assert!(summary["checkouts"].as_u64().unwrap() >= 2, "{same:?}");
    assert_eq!(summary["differ"], 0, "{same:?}");
    // The configured policy says at every recorded moment what the daemon said then.
    assert_eq!(summary["unlike_recorded"], 0, "{same:?}");
    let other = "[shop.klompen.policy]\nunderpayment = \"refund\"\n";
    let differs = replay(&rig, other, &["--json"]).await;
    assert_eq!(differs.code, Some(1), "{differs:?}");
    let said = differs.json();
    let listed = said["differences"].as_array().unwrap();
    assert_eq!(listed.len(), 1, "{differs:?}");
    let one = &listed[0];
    assert_eq!(one["checkout"], held.id.as_str());
    assert_eq!(one["reference"], "1002");
    assert_eq!(one["configured"]["verdict"], "held");
    assert_eq!(one["configured"]["reason"], "underpaid_held");
    assert_ne!(one["other"]["verdict"], "held");
    let stake = serde_json::json!([{"value": "40.00", "currency": "EUR"}]);
    assert_eq!(
        (&one["at_stake"], &said["summary"]["at_stake"]),
        (&stake, &stake)
    );
    let text = replay(&rig, "[shop.klompen]\nmode = \"observe\"\n", &[]).await;
    assert_eq!(text.code, Some(1), "{text:?}");
    assert!(text.out.contains(&settled.id), "{text:?}");
    assert!(text.out.contains("confirm of 59.95 EUR"), "{text:?}");
    assert!(
        text.out.contains("1 would end otherwise") || text.out.contains("2 would end"),
        "{text:?}"
    );
    // Nothing was touched: the daemon's books are as they were.
    let audit = rig.command(&["audit"]).await;
    assert_eq!(audit.code, Some(0), "{audit:?}");
    assert_eq!(rig.until("1002", is_held).await.reason, held.reason);
    rig.close().await;
}

#[tokio::test]
async fn replay_takes_a_whole_configuration_and_refuses_what_is_none() {
    let mut rig = Rig::raise().await;
    rig.place("1001", eur(PRICE));
    rig.pay("1001", eur(PRICE));
    rig.until_verdict("1001", "settled").await;
    rig.sigterm().await.unwrap();
    let whole = std::fs::read_to_string(rig.config_path()).unwrap();
    let path = rig.config_path().to_str().unwrap().to_owned();
    let same = rig.command(&["replay", "--policy", &path]).await;
    assert_eq!(same.code, Some(0), "{same:?}");
    let since = ["--since", "2100-01-01T00:00:00Z"];
    let none = replay(&rig, "[shop.klompen]\nmode = \"observe\"\n", &since).await;
    assert_eq!(none.code, Some(0), "{none:?}");
    assert!(
        none.out.starts_with("0 checkouts decided again"),
        "{none:?}"
    );
    let misspelt = whole.replace("order_grace", "order_grase");
    assert_ne!(misspelt, whole);
    for (text, words) in [
        (
            misspelt.as_str(),
            &["other.toml:", "order_grase", "order_grace"][..],
        ),
        (
            "[shop.klompen.policy]\nrefund_dealy = \"1m\"\n",
            &["other.toml:2:1", "refund_delay"],
        ),
        ("[shop.klomp.policy]\n", &["other.toml:1:7", "klompen"]),
        ("", &["other.toml", "shop"]),
    ] {
        let refused = replay(&rig, text, &[]).await;
        assert_eq!(
            (refused.code, refused.out.as_str()),
            (Some(78), ""),
            "{refused:?}"
        );
        for word in words {
            assert!(refused.err.contains(word), "{word}: {refused:?}");
        }
    }
    let missing = rig
        .command(&["replay", "--policy", "/nowhere/at/all.toml"])
        .await;
    assert_eq!(missing.code, Some(78), "{missing:?}");
    let usage = replay(&rig, "", &["--since", "yesterday"]).await;
    assert_eq!(usage.code, Some(64), "{usage:?}");
    rig.close().await;
}
