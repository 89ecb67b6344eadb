//! What only Adyen has: a report file, brought by an operator, for what no webhook told of.
//!
//! Played with the real program and its `import` command, a sandbox that speaks Adyen and writes the
//! report of its books, and a sandbox shop.

use crate::support::Rig;
use crate::support::asking::{Said, reconciled};
use crate::support::story::{PRICE, TOKEN, with_operator};
use reconciled::sandbox::fault::Times;
use reconciled::sandbox::outbox::DeliveryFault;
use reconciled::sandbox::psp::Kind;
use reconciled::sandbox::rig::eur;
use serde_json::json;

fn adyen() -> &'static Kind {
    Kind::find("adyen").unwrap()
}

async fn raised() -> Rig {
    Rig::raise_at_with(adyen(), with_operator).await
}

/// Imports this text as a file.
async fn import(rig: &Rig, text: &str, more: &[&str]) -> Said {
    let config = rig.config_path();
    let file = config.with_file_name("report.csv");
    std::fs::write(&file, text).unwrap();
    let (config, file) = (config.to_str().unwrap(), file.to_str().unwrap());
    let words = ["--config", config, "import", file];
    let words = [&words[..], more].concat();
    reconciled(&words, &[("RECONCILED_TOKEN", TOKEN)]).await
}

const OURS: [&str; 4] = ["--account", "adyen_nl", "--mode", "test"];

/// Imports the report of the sandbox's books; gives what the program says in JSON.
async fn import_books(rig: &Rig) -> serde_json::Value {
    let text = rig.psp(|psp| psp.report()).unwrap();
    let said = import(rig, &text, &[&OURS[..], &["--json"]].concat()).await;
    assert_eq!((said.code, said.err.as_str()), (Some(0), ""), "{said:?}");
    said.json()
}

#[tokio::test]
async fn s017_a_payment_whose_webhooks_never_came_is_found_by_the_import_and_confirmed_once() {
    let rig = raised().await;
    rig.lose_webhooks("1001");
    rig.order_and_pay("1001");
    rig.until_verdict("1001", "open").await;
    let first = import_books(&rig).await;
    let nothing = json!({});
    let wanted = json!({"rows": 2, "payments": 1, "new": 1, "ignored": {"Fee": 1},
        "unknown": nothing, "refused": []});
    assert_eq!(first, wanted);
    let settled = rig.settles_once("1001").await;
    // The same file again is no news.
    let again = import_books(&rig).await;
    assert_eq!((&again["payments"], &again["new"]), (&json!(1), &json!(0)));
    let after = rig.settles_once("1001").await;
    assert_eq!(after.payments.len(), settled.payments.len());
    assert!(rig.psp(|psp| psp.deliveries().is_empty()));
    rig.close().await;
}

#[tokio::test]
async fn an_orphan_that_the_import_finds_goes_back_once_as_the_policy_says() {
    let rig = raised().await;
    // Both events of the payment are lost; the one that says that the money went back comes.
    rig.psp(|psp| psp.spoil(Some("1001"), Times::Next(2), DeliveryFault::Lose));
    rig.pay("1001", eur(PRICE));
    assert_eq!(import_books(&rig).await["new"], 1);
    rig.returns_once("1001").await;
    let again = import_books(&rig).await;
    assert_eq!((&again["new"], &again["rows"]), (&json!(0), &json!(3)));
    rig.returns_once("1001").await;
    rig.close().await;
}

#[tokio::test]
async fn orphans_of_an_import_are_braked_by_the_guard_like_all_others() {
    let mut rig = Rig::raise_at_with(adyen(), |setup| {
        with_operator(setup).policy("max_refunds_per_hour", "1")
    })
    .await;
    rig.expect_error("the guard stopped this shop's refunds");
    for reference in ["1001", "1002"] {
        rig.psp(|psp| psp.spoil(Some(reference), Times::Next(2), DeliveryFault::Lose));
        rig.pay(reference, eur(PRICE));
    }
    assert_eq!(import_books(&rig).await["new"], 2);
    rig.until_any("held by the guard", |view| {
        view.verdict == "held" && view.reason.as_deref() == Some("guard_refunds")
    })
    .await;
    let refunds: u32 = rig.books().values().map(|one| one.refunds).sum();
    assert!(refunds <= 1, "{refunds}");
    rig.close().await;
}

#[tokio::test]
async fn a_broken_file_is_named_by_its_lines_and_what_can_be_read_is_taken() {
    let rig = raised().await;
    rig.lose_webhooks("1001");
    rig.lose_webhooks("1002");
    rig.order_and_pay("1001");
    rig.order_and_pay("1002");
    let text = rig.psp(|psp| psp.report()).unwrap();
    let lines: Vec<&str> = text.lines().collect();
    let strange = lines[1].replace("Settled", "SettledInPart");
    let foreign = lines[1].replace("SandboxECOM", "AnotherECOM");
    let rows = [lines[0], &strange, &foreign, "broken,row", lines[2]];
    let said = import(&rig, &rows.join("\n"), &OURS).await;
    assert_eq!((said.code, said.err.as_str()), (Some(1), ""), "{said:?}");
    for words in [
        "4 rows read.",
        "Payments named: 1; not known before: 1.",
        "Of unknown type, not taken: SettledInPart 1.",
        "Line 3 refused: of another merchant account.",
        "Line 4 refused: not as many fields as there are columns",
    ] {
        assert!(said.out.contains(words), "{words}: {}", said.out);
    }
    let taken = if lines[2].contains("\"1002\"") {
        "1002"
    } else {
        "1001"
    };
    rig.settles_once(taken).await;
    // Without a column that is needed, or with a quote left open, nothing is taken.
    for (spoiled, words) in [
        (text.replace("TimeZone", "Zone"), "\"TimeZone\" is missing"),
        (format!("{text}\"open"), "a quote is never closed"),
        (String::new(), "the file is empty"),
    ] {
        let said = import(&rig, &spoiled, &OURS).await;
        assert_eq!(said.code, Some(1), "{said:?}");
        assert!(said.out.contains(words), "{words}: {}", said.out);
    }
    rig.close().await;
}

#[tokio::test]
async fn a_report_of_the_other_mode_or_of_no_account_is_refused_and_nothing_taken() {
    let rig = raised().await;
    rig.lose_webhooks("1001");
    rig.order_and_pay("1001");
    let text = rig.psp(|psp| psp.report()).unwrap();
    for (more, code, words) in [
        (["--account", "adyen_nl", "--mode", "live"], 64, "own mode"),
        (
            ["--account", "adyen_be", "--mode", "test"],
            1,
            "unknown_account",
        ),
    ] {
        let said = import(&rig, &text, &more).await;
        assert_eq!(said.code, Some(code), "{said:?}");
        assert!(said.out.contains(words), "{words}: {}", said.out);
    }
    let without = import(&rig, &text, &["--account", "adyen_nl"]).await;
    assert_eq!(without.code, Some(64), "{without:?}");
    // Everything of it is still news.
    assert_eq!(import_books(&rig).await["new"], 1);
    rig.close().await;
}

#[tokio::test]
async fn a_psp_without_a_report_says_so() {
    let rig = Rig::raise_with(with_operator).await;
    let account = ["--account", "stripe_nl", "--mode", "test"];
    let said = import(&rig, "a,b\n1,2\n", &account).await;
    assert_eq!(said.code, Some(1), "{said:?}");
    assert!(said.out.contains("no report to import"), "{said:?}");
    rig.close().await;
}
