//! Secrets and keys of a run: what the outside world uses now, and what the daemon was told.
//!
//! They differ from the moment somebody rotates one until the daemon's configuration follows.

use super::network::{PSP_URL, SHOP_URL};
use super::setting::Setting;
use crate::core::ids::{AccountId, ShopId};
use crate::core::time::Time;
use crate::outbound::pace::PaceLimits;
use crate::psp::Psp;
use crate::psp::rules::AccountRules;
use crate::psp::stripe::Stripe;
use crate::roster::{AccountEntry, Roster, ShopEntry};
use crate::sandbox::sign::StandardSecret;
use crate::shop::generic::GenericShop;
use secrecy::SecretString;
use std::sync::Arc;

/// The shop's key in the configuration.
pub const SHOP: &str = "klompen";
/// The account's key in the configuration.
pub const ACCOUNT: &str = "stripe_nl";

/// How far back a sweep of the whole window looks, in days.
const SWEEP_WINDOW_DAYS: u64 = 10;

/// Which secrets are in use, by how often each was changed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Keys {
    /// The PSP's webhook secret.
    pub webhook: u8,
    /// The secret shared with the shop.
    pub shop: u8,
    /// The PSP's API key.
    pub api: u8,
}

impl Keys {
    /// The PSP's webhook secret.
    pub fn webhook_secret(self) -> String {
        format!("whsec_webhook_secret_number_{}", self.webhook)
    }

    /// The secret shared with the shop.
    pub fn shop_secret(self) -> StandardSecret {
        StandardSecret::from_key(&[self.shop; 32])
    }

    /// The PSP's API key.
    pub fn api_key(self) -> String {
        format!("sk_test_key_number_{}", self.api)
    }
}

/// Why there is no roster: an id or a secret of ours has the wrong shape.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the simulated configuration is wrong: {0}")]
pub struct BadSetting(&'static str);

impl BadSetting {
    /// A daemon has as many pulses as workers.
    pub fn pulses() -> BadSetting {
        BadSetting("pulses")
    }
}

/// Who is served, with the keys that the daemon was told, and those before them.
pub fn roster(setting: &Setting, keys: Keys, since: Time) -> Result<Roster, BadSetting> {
    let shop = ShopId::parse(SHOP).map_err(|_| BadSetting("shop"))?;
    let account = AccountId::parse(ACCOUNT).map_err(|_| BadSetting("account"))?;
    let rules = AccountRules {
        account: account.clone(),
        shop: shop.clone(),
        reference_paths: vec!["metadata.order_reference".to_owned()],
        reference_pattern: None,
        claims: setting.claims,
        since: Some(since),
        live: false,
        is_shared: false,
    };
    let before = Keys {
        webhook: keys.webhook.saturating_sub(1),
        shop: keys.shop.saturating_sub(1),
        ..keys
    };
    let secrets = [keys.webhook_secret(), before.webhook_secret()];
    let adapter: Arc<dyn Psp> = Arc::new(Stripe::new(
        rules.clone(),
        keys.api_key().into(),
        secrets.into_iter().map(SecretString::from).collect(),
        PSP_URL.to_owned(),
    ));
    let mut roster = Roster::default();
    let mut policy = setting.policy.clone();
    policy.accounts.insert(account.clone(), adapter.traits());
    let entry = AccountEntry {
        shop: shop.clone(),
        rules,
        adapter,
        pace: PaceLimits::PSP,
        sweep_every: setting.sweep_every,
        sweep_window: crate::core::time::Span::from_days(SWEEP_WINDOW_DAYS),
    };
    roster.accounts.insert(account, entry);
    let generic = GenericShop::new(
        shop.clone(),
        SHOP_URL.to_owned(),
        keys.shop_secret().written().into(),
        Some(before.shop_secret().written().into()),
    );
    let entry = ShopEntry {
        name: "Klompen".to_owned(),
        policy: Arc::new(policy),
        adapter: Arc::new(generic.map_err(|_| BadSetting("secret"))?),
        pace: PaceLimits::SHOP,
    };
    roster.shops.insert(shop, entry);
    Ok(roster)
}
