//! Makes the roster from a configuration, and the desks that the admin listener holds.
//!
//! The one place that knows which adapter serves which kind.

use crate::config::{AccountConfig, Config, PaypalConfig, PspKind, Secret, ShopConfig, ShopKind};
use crate::core::ids::{AccountId, ShopId};
use crate::core::policy::Policy;
use crate::core::time::Time;
use crate::http::admin::{Replay, ReplayError};
use crate::http::replay::{self, ReplayRefused};
use crate::http::webhook::KEY_PATIENCE;
use crate::key_line::KeyLine;
use crate::outbound::pace::PaceLimits;
use crate::psp::Psp;
use crate::psp::adyen::{Adyen, Proofs};
use crate::psp::mollie::Mollie;
use crate::psp::multisafepay::MultiSafepay;
use crate::psp::paypal::certificate::Roots;
use crate::psp::paypal::{Credentials, Paypal};
use crate::psp::rules::AccountRules;
use crate::psp::stripe::Stripe;
use crate::roster::{AccountEntry, AdminToken, Roster, ShopEntry};
use crate::shop::Shop;
use crate::shop::generic::GenericShop;
use crate::store::{Appended, Store};
use crate::work::Pulse;
use anyhow::Context;
use arc_swap::ArcSwap;
use async_trait::async_trait;
use secrecy::SecretString;
use std::collections::BTreeMap;
use std::sync::Arc;

/// The roster of a configuration. An account without `since` begins at its first start, which
/// the store remembers.
pub async fn roster_of(config: &Config, store: &dyn Store, now: Time) -> anyhow::Result<Roster> {
    let mut roster = Roster::default();
    for (id, account) in &config.accounts {
        let since = match account.since {
            Some(since) => since,
            None => store.first_start(id, now).await?,
        };
        roster
            .accounts
            .insert(id.clone(), account_entry(id, account, since)?);
    }
    for (id, shop) in &config.shops {
        let entry = shop_entry(id, shop, &roster).with_context(|| format!("shop {id}"))?;
        roster.shops.insert(id.clone(), entry);
    }
    roster.admin_tokens = config
        .admin_tokens
        .iter()
        .map(|token| AdminToken {
            name: token.name.clone(),
            role: token.role,
            token: token.token.value().clone(),
        })
        .collect();
    Ok(roster)
}

/// The policies of a configuration by shop, each with the traits of the accounts that serve it.
pub fn policies_of(config: &Config) -> anyhow::Result<BTreeMap<ShopId, Policy>> {
    let mut policies: BTreeMap<ShopId, Policy> = BTreeMap::new();
    for (id, shop) in &config.shops {
        policies.insert(id.clone(), shop.policy.clone());
    }
    for (id, account) in &config.accounts {
        // What an adapter can do does not depend on the account's age.
        let traits = account_entry(id, account, Time::default())?
            .adapter
            .traits();
        if let Some(policy) = policies.get_mut(&account.shop) {
            policy.accounts.insert(id.clone(), traits);
        }
    }
    Ok(policies)
}

/// The adapter of an account, for asking about the account itself: its age does not matter there.
pub fn adapter_of(id: &AccountId, account: &AccountConfig) -> anyhow::Result<Arc<dyn Psp>> {
    Ok(account_entry(id, account, Time::default())?.adapter)
}

fn account_entry(
    id: &AccountId,
    account: &AccountConfig,
    since: Time,
) -> anyhow::Result<AccountEntry> {
    let mut rules = account.rules(id);
    rules.since = Some(since);
    let adapter: Arc<dyn Psp> = match &account.kind {
        PspKind::Adyen(own) => Arc::new(Adyen::new(
            rules.clone(),
            own.api_key.value().clone(),
            (own.merchant_account.clone(), own.capture),
            Proofs {
                webhook_secrets: values(&own.webhook_secrets),
                login: own
                    .login
                    .as_ref()
                    .map(|(user, password)| (user.clone(), password.value().clone())),
            },
            own.api_base.as_str().to_owned(),
        )),
        PspKind::MultiSafepay(own) => Arc::new(MultiSafepay::new(
            rules.clone(),
            own.api_key.value().clone(),
            own.previous_api_key
                .as_ref()
                .map(|secret| secret.value().clone()),
            own.api_base.as_str().to_owned(),
        )),
        PspKind::Paypal(paypal) => {
            Arc::new(paypal_adapter(paypal, rules.clone()).with_context(|| format!("psp {id}"))?)
        }
        PspKind::Stripe(stripe) => Arc::new(Stripe::new(
            rules.clone(),
            stripe.api_key.value().clone(),
            values(&stripe.webhook_secrets),
            stripe.api_base.as_str().to_owned(),
        )),
        PspKind::Mollie(mollie) => Arc::new(Mollie::new(
            rules.clone(),
            mollie.api_key.value().clone(),
            values(&mollie.webhook_secrets),
            mollie.api_base.as_str().to_owned(),
        )),
    };
    Ok(AccountEntry {
        shop: account.shop.clone(),
        rules,
        adapter,
        pace: pace(account.calls_at_once, account.calls_per_second),
        sweep_every: account.sweep_every,
        sweep_window: account.sweep_window,
    })
}

fn paypal_adapter(paypal: &PaypalConfig, rules: AccountRules) -> anyhow::Result<Paypal> {
    let system = match paypal.cert_roots {
        Some(_) => Roots::from_der(&[]),
        None => Roots::from_der(&rustls_native_certs::load_native_certs().certs),
    };
    let certificates = paypal.certificates(system);
    if certificates.roots.is_empty() {
        anyhow::bail!("the system trusts no certificate; set cert_roots to a file of roots");
    }
    let credentials = Credentials {
        client_id: paypal.client_id.clone(),
        client_secret: paypal.client_secret.value().clone(),
        webhook_id: paypal.webhook_id.clone(),
    };
    let api_base = paypal.api_base.as_str().to_owned();
    Ok(Paypal::new(rules, credentials, certificates, api_base))
}

fn values(secrets: &[Secret]) -> Vec<SecretString> {
    let secrets = secrets.iter();
    secrets.map(|secret| secret.value().clone()).collect()
}

fn shop_entry(id: &ShopId, shop: &ShopConfig, roster: &Roster) -> anyhow::Result<ShopEntry> {
    let adapter: Arc<dyn Shop> = match shop.kind {
        ShopKind::Generic => Arc::new(GenericShop::new(
            id.clone(),
            shop.url.as_str().to_owned(),
            shop.secret.value().clone(),
            shop.previous_secret
                .as_ref()
                .map(|secret| secret.value().clone()),
        )?),
    };
    let mut policy = shop.policy.clone();
    let accounts = roster
        .accounts
        .iter()
        .filter(|(_, account)| account.shop == *id);
    policy.accounts = accounts
        .map(|(key, account)| (key.clone(), account.adapter.traits()))
        .collect();
    Ok(ShopEntry {
        name: shop.name.clone(),
        policy: Arc::new(policy),
        adapter,
        pace: pace(shop.calls_at_once, shop.calls_per_second),
    })
}

fn pace(at_once: u32, per_second: u32) -> PaceLimits {
    PaceLimits {
        at_once_max: at_once,
        per_second,
        burst: per_second,
    }
}

/// The way back out of the quarantine.
pub struct ReplayDesk {
    /// The store.
    pub store: Arc<dyn Store>,
    /// Who is served now.
    pub roster: Arc<ArcSwap<Roster>>,
    /// Told when something came back.
    pub decide: Pulse,
    /// Who fetches keys that are missing for verifying.
    pub keys: KeyLine,
}

impl ReplayDesk {
    /// Replays; once more when a key was missing and has been asked for.
    async fn replayed(&self, id: i64) -> Result<Appended, ReplayRefused> {
        let roster = self.roster.load_full();
        let result = replay::replay(self.store.as_ref(), &roster, id).await;
        if !matches!(result, Err(ReplayRefused::KeyUnavailable)) {
            return result;
        }
        let asked = tokio::time::timeout(KEY_PATIENCE, self.keys.ask()).await;
        if asked != Ok(true) {
            return result;
        }
        replay::replay(self.store.as_ref(), &roster, id).await
    }
}

#[async_trait]
impl Replay for ReplayDesk {
    async fn replay(&self, id: i64) -> Result<Appended, ReplayError> {
        let result = self.replayed(id).await;
        self.decide.give();
        result.map_err(|refused| match refused {
            ReplayRefused::NotFound => ReplayError::NotFound,
            ReplayRefused::Store(error) => ReplayError::Store(error),
            ReplayRefused::UnknownSender
            | ReplayRefused::BadEnvelope
            | ReplayRefused::KeyUnavailable
            | ReplayRefused::StillRejected(_)
            | ReplayRefused::StillMalformed(_) => ReplayError::Refused(refused.to_string()),
        })
    }
}
