//! A PSP and a shop of the plainest kind: an HMAC over time and body, and JSON.
//!
//! The listener must verify and acknowledge, and for a shop read; whatever else it would call
//! here is a failed test.

use hmac::{Hmac, KeyInit, Mac};
use reconciled::core::ids::{AccountId, ActionKey, Reference};
use reconciled::core::order::OrderSnapshot;
use reconciled::core::policy::{AccountTraits, Policy};
use reconciled::core::time::{Span, Time};
use reconciled::outbound::pace::PaceLimits;
use reconciled::psp::rules::{AccountRules, Claims};
use reconciled::psp::{
    Acknowledgement, Psp, PspAsk, RawDelivery, Reading, Rejection, Step, Unreadable, Verification,
};
use reconciled::roster::{AccountEntry, Roster, ShopEntry};
use reconciled::shop::{Shop, ShopAnswer, ShopAsk};
use reconciled::wire::{Reply, Request};
use sha2::Sha256;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

pub(crate) const SECRET: &str = "a secret only for these tests";
pub(crate) const FIELD: &str = "test-signature";
const TOLERANCE_S: i64 = 300;

/// The value of the signature field.
pub(crate) fn sign(secret: &str, at: Time, body: &[u8]) -> String {
    let mut mac = Hmac::<Sha256>::new_from_slice(secret.as_bytes()).unwrap();
    mac.update(format!("{}.", at.seconds()).as_bytes());
    mac.update(body);
    let tag = hex::encode(mac.finalize().into_bytes());
    format!("t={},v1={tag}", at.seconds())
}

fn check(secret: &str, delivery: &RawDelivery<'_>, now: Time) -> Result<(), Rejection> {
    let field = delivery
        .headers
        .single(FIELD)
        .ok_or(Rejection::MissingSignature)?;
    let (time, tag) = field
        .strip_prefix("t=")
        .and_then(|rest| rest.split_once(",v1="))
        .ok_or(Rejection::MalformedSignature)?;
    let time: i64 = time.parse().map_err(|_| Rejection::MalformedSignature)?;
    let tag = hex::decode(tag).map_err(|_| Rejection::MalformedSignature)?;
    let mut mac = Hmac::<Sha256>::new_from_slice(secret.as_bytes()).unwrap();
    mac.update(format!("{time}.").as_bytes());
    mac.update(delivery.body);
    mac.verify_slice(&tag).map_err(|_| Rejection::WrongSecret)?;
    let seconds = now.seconds().saturating_sub(time);
    if seconds.abs() > TOLERANCE_S {
        return Err(Rejection::ClockOff { seconds });
    }
    Ok(())
}

fn member(body: &[u8], name: &str) -> Option<String> {
    let value: serde_json::Value = serde_json::from_slice(body).ok()?;
    value.get(name)?.as_str().map(str::to_owned)
}

/// A PSP that signs, or one that does not.
pub(crate) struct PlainPsp {
    pub(crate) account: AccountId,
    pub(crate) secret: Option<String>,
    /// Whether the key is known that deliveries with the field `x-key` are signed with.
    pub(crate) has_key: Arc<AtomicBool>,
}

impl Psp for PlainPsp {
    fn kind(&self) -> &'static str {
        "plain"
    }

    fn account(&self) -> &AccountId {
        &self.account
    }

    fn traits(&self) -> AccountTraits {
        AccountTraits {
            can_read: true,
            can_list_refunds: true,
            cancels_refunds: false,
            key_lifetime: Span::from_hours(24),
        }
    }

    fn takes_get(&self) -> bool {
        self.secret.is_none()
    }

    fn verify(&self, delivery: &RawDelivery<'_>, now: Time) -> Verification {
        let Some(secret) = &self.secret else {
            let delivery_id = delivery.query.to_owned();
            return Verification::Unsigned { delivery_id };
        };
        if delivery.headers.single("x-key").is_some() && !self.has_key.load(Ordering::SeqCst) {
            return Verification::NeedsKey;
        }
        match check(secret, delivery, now) {
            Ok(()) => Verification::Signed {
                delivery_id: member(delivery.body, "id"),
            },
            Err(rejection) => Verification::Rejected(rejection),
        }
    }

    fn read(&self, _: &[u8], _: bool, _: Time) -> Result<Reading, Unreadable> {
        panic!("the listener read a PSP's delivery")
    }

    fn acknowledgement(&self) -> Acknowledgement {
        if self.secret.is_some() {
            Acknowledgement {
                status: 200,
                content_type: Some("text/plain"),
                body: "[accepted]",
            }
        } else {
            Acknowledgement {
                status: 204,
                content_type: None,
                body: "",
            }
        }
    }

    fn listings(&self) -> u8 {
        panic!("the listener asked for listings")
    }

    fn step(&self, _: &PspAsk, _: Time, _: &[Reply]) -> Step {
        panic!("the listener asked a PSP")
    }
}

/// A shop.
pub(crate) struct PlainShop {
    pub(crate) secret: String,
}

impl Shop for PlainShop {
    fn verify(&self, delivery: &RawDelivery<'_>, now: Time) -> Verification {
        match check(&self.secret, delivery, now) {
            Ok(()) => Verification::Signed {
                delivery_id: member(delivery.body, "id"),
            },
            Err(rejection) => Verification::Rejected(rejection),
        }
    }

    fn read(&self, body: &[u8], received_at: Time) -> Result<OrderSnapshot, Unreadable> {
        let reference = member(body, "reference").ok_or(Unreadable {
            code: "missing_field",
            detail: "/reference is missing".to_owned(),
        })?;
        Ok(OrderSnapshot {
            reference: Reference::parse(&reference).map_err(|bad| Unreadable {
                code: "bad_reference",
                detail: format!("/reference {bad}"),
            })?,
            as_of: received_at,
            observed_at: received_at,
            statement: None,
            amount: None,
            terms: reconciled::core::order::Terms::default(),
            expires_at: None,
            created_at: None,
            claims: [].into(),
            locale: None,
            customer: None,
        })
    }

    fn admits_reader(&self, bearer: &str) -> bool {
        bearer == self.secret
    }

    fn request(&self, _: &ShopAsk, _: &str, _: Time) -> Request {
        panic!("the listener built a call to a shop")
    }

    fn answer(&self, _: &ShopAsk, _: &ActionKey, _: Time, _: Time, _: &Reply) -> ShopAnswer {
        panic!("the listener read a shop's answer")
    }
}

/// One shop, `klompen`, with the accounts `plain_nl` (signed with `secret`) and `hints_nl` (not
/// signed).
pub(crate) fn roster(secret: &str) -> Roster {
    let shop = reconciled::core::ids::ShopId::parse("klompen").unwrap();
    let account = |name: &str, secret: Option<&str>| {
        let account = AccountId::parse(name).unwrap();
        let entry = AccountEntry {
            shop: shop.clone(),
            rules: AccountRules {
                account: account.clone(),
                shop: shop.clone(),
                reference_paths: Vec::new(),
                reference_pattern: None,
                claims: Claims::Referenced,
                since: None,
                live: true,
                is_shared: false,
            },
            adapter: Arc::new(PlainPsp {
                account: account.clone(),
                secret: secret.map(str::to_owned),
                has_key: Arc::default(),
            }),
            pace: PaceLimits::PSP,
            sweep_every: Span::from_minutes(5),
            sweep_window: Span::from_hours(72),
        };
        (account, entry)
    };
    let shop_entry = ShopEntry {
        name: "Klompenwinkel".to_owned(),
        policy: Arc::new(Policy::default()),
        adapter: Arc::new(PlainShop {
            secret: secret.to_owned(),
        }),
        pace: PaceLimits::SHOP,
    };
    Roster {
        shops: [(shop.clone(), shop_entry)].into(),
        accounts: [account("plain_nl", Some(secret)), account("hints_nl", None)].into(),
        admin_tokens: Vec::new(),
    }
}
