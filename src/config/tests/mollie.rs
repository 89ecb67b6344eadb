//! Accounts of kind `mollie`: what they need, what they may leave out.
//! What is refused stands in `fixtures/config/bad/mollie_keys.toml`.

use super::*;
use secrecy::ExposeSecret;

fn account(config: &Config, name: &str) -> MollieConfig {
    let account = &config.accounts[&AccountId::parse(name).unwrap()];
    match &account.kind {
        PspKind::Mollie(mollie) => mollie.clone(),
        other @ (PspKind::Stripe(_)
        | PspKind::MultiSafepay(_)
        | PspKind::Paypal(_)
        | PspKind::Adyen(_)) => {
            panic!("an account of kind `{}`", other.word())
        }
    }
}

#[test]
fn an_account_needs_only_its_key_and_then_takes_classic_webhooks() {
    let config = accept("mollie.toml", &world());
    let mollie = account(&config, "mollie_nl");
    assert_eq!(mollie.api_base.as_str(), "https://api.mollie.com");
    assert_eq!(mollie.api_key.value().expose_secret(), api_key("live", "m"));
    assert!(mollie.webhook_secrets.is_empty());
    let common = &config.accounts[&AccountId::parse("mollie_nl").unwrap()];
    assert_eq!(
        common.reference_paths,
        ["metadata.order_reference", "metadata.order_id"]
    );
    assert!(common.live);
}

#[test]
fn every_key_of_the_kind_reaches_its_value() {
    let config = accept("mollie.toml", &world());
    let mollie = account(&config, "mollie_try");
    assert_eq!(mollie.api_base.as_str(), "http://127.0.0.1:12112");
    let secrets: Vec<&str> = mollie
        .webhook_secrets
        .iter()
        .map(|secret| secret.value().expose_secret())
        .collect();
    assert_eq!(secrets, ["pastedMollieSecret".repeat(2)]);
}

#[test]
fn check_shows_the_account_and_none_of_its_secrets() {
    let world = world();
    let text = check::text(&accept("mollie.toml", &world));
    assert_keeps_secrets(&text, &world);
    assert_eq!(text, fixture("mollie.check.txt").trim_end());
}
