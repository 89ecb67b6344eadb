//! Files that are accepted: each key reaches its value, defaults are the contract's, `check` shows
//! it all and the fingerprint follows the meaning.

use super::*;
use crate::core::money::{Currency, Money};
use crate::core::policy::{HoldOrRefund, LatePayment, Mode, Overpayment, Policy};
use crate::core::time::{Span, Time};
use crate::psp::adyen::Capture;
use crate::psp::paypal::certificate::Roots;
use crate::psp::rules::Claims;
use crate::roster::Role;
use secrecy::ExposeSecret;

/// The keys of an account of kind `stripe`; a new kind gets an arm that panics.
fn stripe_keys(account: &AccountConfig) -> &StripeConfig {
    match &account.kind {
        PspKind::Stripe(own) => own,
        other @ (PspKind::Mollie(_)
        | PspKind::MultiSafepay(_)
        | PspKind::Paypal(_)
        | PspKind::Adyen(_)) => {
            panic!("not Stripe: {}", other.word())
        }
    }
}

#[test]
fn the_smallest_file_gets_the_contracts_defaults() {
    let config = accept("minimal.toml", &world());
    assert_eq!(config.server.public.to_string(), "127.0.0.1:8480");
    assert_eq!(config.server.admin.to_string(), "127.0.0.1:8481");
    assert_eq!(
        config.store.to_string(),
        "sqlite:/var/lib/reconciled/reconciled.db"
    );
    assert_eq!(config.retention.bodies, Span::from_days(30));
    assert_eq!(config.retention.checkouts, Span::from_days(400));
    assert!(config.admin_tokens.is_empty());
    let shop = &config.shops[&ShopId::parse("klompen").unwrap()];
    assert_eq!(shop.name, "klompen");
    assert_eq!(shop.kind, ShopKind::Generic);
    assert_eq!(shop.policy, Policy::default());
    assert_eq!(shop.secret.value().expose_secret(), whsec("k"));
    assert!(shop.previous_secret.is_none());
    assert_eq!((shop.calls_at_once, shop.calls_per_second), (8, 50));
    let account = &config.accounts[&AccountId::parse("stripe_nl").unwrap()];
    assert_eq!(account.shop.as_str(), "klompen");
    assert_eq!(
        account.reference_paths,
        ["metadata.order_reference", "metadata.order_id"]
    );
    assert!(account.reference_pattern.is_none());
    assert_eq!(account.claims, Claims::Referenced);
    assert_eq!(account.since, None);
    assert_eq!(account.sweep_every, Span::from_minutes(5));
    assert_eq!(account.sweep_window, Span::from_hours(72));
    assert!(account.live && !account.is_shared);
    assert_eq!((account.calls_at_once, account.calls_per_second), (16, 25));
    let stripe = stripe_keys(account);
    assert_eq!(stripe.api_base.as_str(), "https://api.stripe.com");
    assert_eq!(
        stripe.api_key.value().expose_secret(),
        api_key("sk_live", "a")
    );
    assert_eq!(stripe.webhook_secrets.len(), 1);
}

#[test]
fn every_key_reaches_its_value() {
    let config = accept("full.toml", &world());
    assert_eq!(config.server.public.to_string(), "0.0.0.0:9480");
    let admin = PathBuf::from("/run/reconciled/admin.sock");
    assert_eq!(config.server.admin, Listen::Unix(admin));
    assert_eq!(config.retention.bodies, Span::from_days(14));
    assert_eq!(config.retention.checkouts, Span::from_days(800));
    let [oncall, dashboard] = config.admin_tokens.as_slice() else {
        panic!("two tokens");
    };
    assert_eq!(
        (oncall.name.as_str(), oncall.role),
        ("oncall", Role::Operator)
    );
    assert_eq!(
        (dashboard.name.as_str(), dashboard.role),
        ("dashboard", Role::Viewer)
    );
    assert_eq!(
        dashboard.token.value().expose_secret(),
        "pasted-token-of-dashboard"
    );
    let shop = &config.shops[&ShopId::parse("klompen").unwrap()];
    assert_eq!(shop.name, "Klompenwinkel");
    assert_eq!(shop.url.as_str(), "https://klompen.example/reconciled");
    assert_eq!((shop.calls_at_once, shop.calls_per_second), (4, 10));
    let previous = shop.previous_secret.as_ref().unwrap();
    assert_eq!(previous.value().expose_secret(), whsec("o"));
    assert_eq!(
        previous.origin(),
        &Origin::Credential("klompen_secret_old".to_owned())
    );
    let account_id = AccountId::parse("stripe_nl").unwrap();
    let account = &config.accounts[&account_id];
    let stripe = stripe_keys(account);
    assert_eq!(stripe.api_base.as_str(), "http://127.0.0.1:12111");
    assert_eq!(
        stripe.webhook_secrets[1].value().expose_secret(),
        whsec("t")
    );
    assert_eq!(account.sweep_every, Span::from_millis(500));
    assert_eq!(account.sweep_window, Span::from_hours(6));
    assert_eq!((account.calls_at_once, account.calls_per_second), (32, 80));
    let rules = account.rules(&account_id);
    assert_eq!(
        (rules.account.as_str(), rules.shop.as_str()),
        ("stripe_nl", "klompen")
    );
    assert_eq!(rules.reference_paths, ["metadata.cart", "description"]);
    assert_eq!(rules.reference_pattern.unwrap().as_str(), "^[0-9]{7}$");
    assert_eq!(rules.claims, Claims::All);
    assert_eq!(rules.since, Some(Time::from_seconds(1_793_491_200)));
    assert!(!rules.live && !rules.is_shared);
    let paypal = &config.accounts[&AccountId::parse("paypal_nl").unwrap()];
    let PspKind::Paypal(own) = &paypal.kind else {
        panic!("an account of kind paypal");
    };
    assert_eq!(own.client_id, "made-up-client-id");
    assert_eq!(own.webhook_id, "5GP028458E2496506");
    assert_eq!(own.api_base.as_str(), "https://api-m.sandbox.paypal.com");
    assert_eq!(own.cert_hosts, ["api.sandbox.paypal.com"]);
    assert!(own.cert_roots.is_some());
    let rules = own.certificates(Roots::from_der(&[]));
    assert!(rules.loopback.is_none() && !rules.roots.is_empty());
    assert_eq!(paypal.reference_paths, ["custom_id", "invoice_id"]);
    assert_eq!(config.warnings, []);
}

#[test]
fn every_key_of_adyens_own_reaches_its_value() {
    let config = accept("full.toml", &world());
    let adyen = &config.accounts[&AccountId::parse("adyen_nl").unwrap()];
    let PspKind::Adyen(own) = &adyen.kind else {
        panic!("an account of kind adyen");
    };
    let base = "https://0a1b-Klompen-checkout-live.adyenpayments.com/checkout/v72";
    assert_eq!(own.api_base.as_str(), base);
    assert_eq!(own.merchant_account, "KlompenECOM");
    assert_eq!(own.capture, Capture::Manual);
    assert_eq!(own.webhook_secrets.len(), 2);
    let (user, password) = own.login.as_ref().unwrap();
    assert_eq!(user, "reconciled");
    let password = password.value().expose_secret();
    assert_eq!(password, "pasted-token-of-dashboard");
    assert_eq!(adyen.reference_paths, ["merchantReference"]);
}

#[test]
fn one_key_of_adyen_may_serve_two_merchant_accounts_and_is_no_shared_account() {
    let text = fixture("full.toml");
    let (_, own) = text.split_once("[psp.adyen_nl]").unwrap();
    let second = own.replace("KlompenECOM", "KlompenPOS");
    let parsed = |second: &str| {
        let text = format!("{text}\n[psp.adyen_pos]{second}");
        Config::parse("x.toml", text.as_bytes(), false, &world().surroundings)
    };
    assert!(parsed(&second).is_ok());
    let twin = parsed(own).unwrap_err().to_string();
    assert!(twin.contains("are the same PSP account"), "{twin}");
}

#[test]
fn paypals_addresses_follow_the_mode_and_a_loopback_brings_its_own() {
    let account = |more: &str| {
        let text = fixture("minimal.toml");
        let head = text.split("[psp.").next().unwrap();
        let own = "[psp.p]\nkind = \"paypal\"\nshop = \"klompen\"\nclient_id = \"x\"\n\
            webhook_id = \"y\"\nclient_secret = { credential = \"paypal_secret\" }\n";
        let world = world();
        let text = format!("{head}{own}{more}");
        let read = Config::parse("p.toml", text.as_bytes(), true, &world.surroundings);
        let config = read.unwrap_or_else(|errors| panic!("{errors}"));
        match &config.accounts[&AccountId::parse("p").unwrap()].kind {
            PspKind::Paypal(own) => own.clone(),
            other @ (PspKind::Stripe(_)
            | PspKind::Mollie(_)
            | PspKind::MultiSafepay(_)
            | PspKind::Adyen(_)) => {
                panic!("not PayPal: {}", other.word())
            }
        }
    };
    let live = account("");
    assert_eq!(live.api_base.as_str(), "https://api-m.paypal.com");
    assert_eq!(live.cert_hosts, ["api.paypal.com", "api-m.paypal.com"]);
    let test = account("live = false");
    assert_eq!(test.api_base.as_str(), "https://api-m.sandbox.paypal.com");
    assert_eq!(
        test.cert_hosts,
        ["api.sandbox.paypal.com", "api-m.sandbox.paypal.com"]
    );
    let none = Roots::from_der(&[]);
    assert_eq!(test.certificates(none.clone()).loopback, None);
    let local = account("live = false\napi_base = \"http://127.0.0.1:8080/paypal\"");
    assert_eq!(
        local.certificates(none).loopback.as_deref(),
        Some("http://127.0.0.1:8080")
    );
}

#[test]
fn every_policy_key_reaches_its_value() {
    let config = accept("full.toml", &world());
    let policy = &config.shops[&ShopId::parse("klompen").unwrap()].policy;
    let eur = |minor| Money::new(minor, Currency::EUR);
    assert_eq!(policy.mode, Mode::Full);
    assert_eq!(policy.order_grace, Span::from_minutes(20));
    assert_eq!(policy.second_look, Span::from_seconds(90));
    assert_eq!(policy.refund_delay, Span::ZERO);
    assert_eq!(policy.reversal_wait, Span::from_days(56));
    assert_eq!(policy.refund_within, Span::from_days(90));
    assert_eq!(policy.confirm_patience, Span::from_hours(36));
    assert_eq!(policy.outage_patience, Span::from_days(4));
    assert_eq!(policy.confirm_check, Span::from_seconds(90));
    assert_eq!(policy.refund_patience, Span::from_days(30));
    assert_eq!(policy.late_payment, LatePayment::Refund);
    assert_eq!(policy.overpayment, Overpayment::Hold);
    assert_eq!(policy.underpayment, HoldOrRefund::Refund);
    assert_eq!(policy.unreferenced, HoldOrRefund::Refund);
    assert_eq!(policy.tolerance, eur(2));
    assert!(!policy.canary);
    assert_eq!(policy.auto_refund_limit, eur(25_000));
    assert_eq!(policy.guard.max_refunds_per_hour, 5);
    assert_eq!(policy.guard.max_refund_sum_per_hour, eur(100_000));
    assert_eq!(policy.guard.max_refund_share_millionths, 125_000);
    assert!(policy.accounts.is_empty());
}

#[test]
fn the_full_fixture_names_every_key_there_is() {
    let text = fixture("full.toml");
    let keys = [
        vocabulary::ROOT,
        vocabulary::SERVER,
        vocabulary::STORE,
        vocabulary::RETENTION,
        vocabulary::ADMIN_TOKEN,
        vocabulary::SHOP,
        vocabulary::POLICY,
        vocabulary::ACCOUNT,
    ];
    let own = psp::KINDS.iter().flat_map(|(_, kind)| kind.keys).copied();
    for key in keys.concat().into_iter().chain(own) {
        let as_value = text.contains(&format!("\n{key} = "));
        let header = [format!("[{key}"), format!(".{key}]")];
        assert!(
            as_value || header.iter().any(|part| text.contains(part)),
            "{key}"
        );
    }
}

#[test]
fn the_reference_explains_every_key_and_every_code() {
    let root = PathBuf::from(env!("CARGO_MANIFEST_DIR"));
    let reference = fs::read_to_string(root.join("docs/configuration.md")).unwrap();
    let keys = [
        vocabulary::SERVER,
        vocabulary::STORE,
        vocabulary::RETENTION,
        vocabulary::ADMIN_TOKEN,
        vocabulary::SHOP,
        vocabulary::POLICY,
        vocabulary::ACCOUNT,
    ];
    let own = psp::KINDS.iter().flat_map(|(_, kind)| kind.keys).copied();
    let codes = Code::ALL.iter().map(|code| code.word());
    for word in keys.concat().into_iter().chain(own).chain(codes) {
        assert!(
            reference.contains(&format!("| `{word}` |")),
            "{word} is not explained"
        );
    }
}

#[test]
fn check_tells_people_what_would_run() {
    let world = world();
    for name in ["full", "minimal"] {
        let output = check::text(&accept(&format!("{name}.toml"), &world));
        assert_keeps_secrets(&output, &world);
        let expected = fixture(&format!("{name}.check.txt"));
        assert_eq!(output, expected.trim_end(), "\n{output}\n");
    }
}

#[test]
fn check_tells_machines_what_would_run() {
    let world = world();
    let output = check::json(&accept("full.toml", &world));
    assert_keeps_secrets(&output.to_string(), &world);
    let expected: serde_json::Value = serde_json::from_str(&fixture("full.check.json")).unwrap();
    assert_eq!(output, expected, "\n{output:#}\n");
}

#[test]
fn the_fingerprint_follows_the_meaning_and_not_the_spelling() {
    let world = world();
    let print = |text: &str| {
        let read = Config::parse("a.toml", text.as_bytes(), false, &world.surroundings);
        read.unwrap_or_else(|errors| panic!("{errors}"))
            .fingerprint()
    };
    let text = fixture("minimal.toml");
    let base = print(&text);
    assert_eq!(base.len(), 64);
    let spelled_out = format!("{text}sweep_every = \"300s\" # said\nlive = true\n[server]\n");
    assert_eq!(print(&spelled_out), base);
    for change in [
        text.replace("[shop.klompen]", "[shop.klompen]\nmode = \"full\""),
        format!("{text}live = true\nsweep_every = \"301s\""),
        text.replace("STRIPE_API_KEY", "STRIPE_API_KEY_DE"),
        format!("{text}[shop.klompen.policy]\nmax_refund_share = 0.051"),
        format!("{text}[retention]\nbodies = \"31d\""),
    ] {
        assert_ne!(print(&change), base, "{change}");
    }
}

#[test]
fn debug_output_shows_origins_and_no_secret() {
    let world = world();
    let output = format!("{:?}", accept("full.toml", &world));
    assert_keeps_secrets(&output, &world);
    assert!(output.contains("set (from credential stripe_whsec)"));
}

#[test]
fn accounts_with_distinct_patterns_may_share_a_psp_account() {
    let world = world();
    let text = fs::read_to_string(fixtures("remarked/shared_account.toml")).unwrap();
    let shared = |text: &str| {
        let read = Config::parse("a.toml", text.as_bytes(), false, &world.surroundings).unwrap();
        let shared = read.accounts.values().filter(|account| account.is_shared);
        shared.count()
    };
    assert_eq!(shared(&text), 2);
    let with = |pattern: &str| {
        let line = format!("claims = \"referenced\"\nreference_pattern = '{pattern}'");
        text.replace("claims = \"all\"", &line)
    };
    assert_eq!(
        shared(&with("^K[0-9]{6}$")),
        2,
        "the same pattern tells nothing apart"
    );
    assert_eq!(shared(&with("^T[0-9]{6}$")), 0);
    let other_key = text.replace(
        "STRIPE_API_KEY\" }\nwebhook_secrets = [{ credential = \"stripe_whsec\" }]\nclaims",
        "STRIPE_API_KEY_DE\" }\nwebhook_secrets = [{ credential = \"stripe_whsec\" }]\nclaims",
    );
    assert_ne!(other_key, text);
    assert_eq!(shared(&other_key), 0);
}

#[test]
fn x07_two_shops_with_one_secret_are_remarked_and_two_secrets_are_not() {
    let shop = |name: &str, secret: &str| {
        format!(
            "[shop.{name}]\nkind = \"generic\"\nurl = \"https://{name}.example/r\"\n\
             secret = {{ env = \"{secret}\" }}\n"
        )
    };
    let whsec = |byte: char| format!("whsec_{}", byte.to_string().repeat(32));
    let (one, two) = (whsec('a'), whsec('b'));
    let surroundings = Surroundings::with(move |name| match name {
        "ONE" => Some(one.clone().into()),
        "TWO" => Some(two.clone().into()),
        _ => None,
    });
    let remarks = |second: &str| {
        let text = format!("{}{}", shop("klompen", "ONE"), shop("fietsen", second));
        let config = Config::parse("pasted.toml", text.as_bytes(), true, &surroundings).unwrap();
        let words = config.warnings.iter().map(|one| one.code.word());
        words.filter(|word| *word == "shared_shop_secret").count()
    };
    assert_eq!(remarks("ONE"), 1);
    assert_eq!(remarks("TWO"), 0);
}

#[test]
fn x05_a_watcher_is_configured_and_its_address_is_not_shown() {
    let text = "[server]\nheartbeat_url = \"https://watch.example/ping/5f3a\"\n";
    let surroundings = Surroundings::with(|_| None);
    let config = Config::parse("watched.toml", text.as_bytes(), true, &surroundings).unwrap();
    let url = config.server.heartbeat_url.as_ref().unwrap();
    assert_eq!(url.as_str(), "https://watch.example/ping/5f3a");
    let told = super::super::check::json(&config);
    assert_eq!(told["heartbeat_url"], "set");
    assert!(!told.to_string().contains("5f3a"));
}
