//! The generic shop: the project's own protocol, for every shop that has no native adapter.
//!
//! Events and calls are Standard Webhooks with the bodies that README documents. Pure over
//! bytes; knows no network, no payment provider and no decision.

mod answer;
mod ask;
mod event;
mod parts;

use crate::core::ids::{ActionKey, ShopId};
use crate::core::order::OrderSnapshot;
use crate::core::time::Time;
use crate::shop::signature::{BadSecret, Keys};
use crate::shop::{Shop, ShopAnswer, ShopAsk};
use crate::wire::{Method, RawDelivery, Reply, Request, Unreadable, Verification};
use secrecy::SecretString;

pub use answer::ANSWER_BYTES_MAX;

/// A shop that speaks the project's own protocol.
#[derive(Clone, Debug)]
pub struct GenericShop {
    shop: ShopId,
    url: String,
    keys: Keys,
}

impl GenericShop {
    /// A shop that is called at `url` and shares `secret` with us; `previous` is still good
    /// while the secret is being replaced. Fails if a secret is not of the form `whsec_…`.
    pub fn new(
        shop: ShopId,
        url: String,
        secret: SecretString,
        previous: Option<SecretString>,
    ) -> Result<GenericShop, BadSecret> {
        let keys = Keys::parse(&secret, previous.as_ref())?;
        Ok(GenericShop { shop, url, keys })
    }

    /// The shop's key in the configuration.
    pub fn shop(&self) -> &ShopId {
        &self.shop
    }
}

impl Shop for GenericShop {
    fn verify(&self, delivery: &RawDelivery<'_>, now: Time) -> Verification {
        self.keys.verify(delivery.headers, delivery.body, now)
    }

    fn read(&self, body: &[u8], received_at: Time) -> Result<OrderSnapshot, Unreadable> {
        event::read(&self.shop, body, received_at)
    }

    fn told_at(&self, body: &[u8]) -> Option<Time> {
        event::sent_at(body)
    }

    fn admits_reader(&self, bearer: &str) -> bool {
        self.keys.are_known_to_bearer(bearer)
    }

    fn request(&self, ask: &ShopAsk, id: &str, now: Time) -> Request {
        let body = ask::body(ask, now);
        let headers = self
            .keys
            .sign(&ask::webhook_id(id), now, &body)
            .with("content-type", "application/json")
            .with("accept", "application/json");
        Request {
            method: Method::Post,
            url: self.url.clone(),
            headers,
            body,
        }
    }

    fn answer(
        &self,
        ask: &ShopAsk,
        _key: &ActionKey,
        asked_at: Time,
        now: Time,
        reply: &Reply,
    ) -> ShopAnswer {
        answer::read(ask, asked_at, now, reply)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::core::ids::Reference;
    use crate::wire::Rejection;
    use crate::wire::{Headers, Response};

    const CURRENT: &str = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw";
    const PREVIOUS: &str = "whsec_C2FVsBQIhrscChlQIMV+b5sSYspob7oD";

    fn shop(secret: &str, previous: Option<&str>) -> GenericShop {
        GenericShop::new(
            ShopId::parse("klompen").unwrap(),
            "https://klompen.example/reconciled".to_owned(),
            SecretString::from(secret),
            previous.map(SecretString::from),
        )
        .unwrap()
    }

    fn verified(shop: &GenericShop, headers: &Headers, body: &[u8], now: Time) -> Verification {
        let delivery = RawDelivery {
            method: "POST",
            headers,
            query: "",
            body,
        };
        shop.verify(&delivery, now)
    }

    #[test]
    fn a_call_is_signed_so_that_the_shop_can_verify_it_and_its_answer_is_read() {
        let now = Time::from_seconds(1_795_255_200);
        let ours = shop(CURRENT, Some(PREVIOUS));
        let reference = Reference::parse("1000042").unwrap();
        let ask = ShopAsk::LookUp { reference };
        let request = ours.request(&ask, "lookup:c1:1", now);
        assert_eq!(request.method, Method::Post);
        assert_eq!(request.url, "https://klompen.example/reconciled");
        assert_eq!(
            request.headers.single("content-type"),
            Some("application/json")
        );
        for secret in [CURRENT, PREVIOUS] {
            let theirs = shop(secret, None);
            assert_eq!(
                verified(&theirs, &request.headers, &request.body, now),
                Verification::Signed {
                    delivery_id: Some("lookup:c1:1".to_owned())
                }
            );
        }
        let again = ours.request(
            &ask,
            "lookup:c1:1",
            now.plus(crate::core::time::Span::from_hours(2)),
        );
        assert_eq!(again.headers.single("webhook-id"), Some("lookup:c1:1"));
        let reply = Ok(Response {
            status: 200,
            headers: Headers::new(),
            body: br#"{"order": {"status": "cancelled"}}"#.to_vec(),
        });
        let key = ActionKey::parse("lookup:c1:1").unwrap();
        assert!(matches!(
            ours.answer(&ask, &key, now, now, &reply),
            ShopAnswer::Said { .. }
        ));
    }

    #[test]
    fn an_event_is_verified_read_and_refused_from_strangers() {
        let now = Time::from_seconds(1_795_255_200);
        let ours = shop(CURRENT, None);
        let body = include_bytes!("../../fixtures/shop/events/order.pending.json");
        let keys = Keys::parse(&SecretString::from(CURRENT), None).unwrap();
        let headers = keys.sign("evt_1", now, body);
        assert_eq!(
            verified(&ours, &headers, body, now),
            Verification::Signed {
                delivery_id: Some("evt_1".to_owned())
            }
        );
        assert_eq!(ours.read(body, now).unwrap().reference.as_str(), "1000042");
        assert_eq!(
            verified(&ours, &Headers::new(), body, now),
            Verification::Rejected(Rejection::MissingSignature)
        );
        assert!(ours.admits_reader(CURRENT));
        assert!(!ours.admits_reader(PREVIOUS));
        assert_eq!(ours.shop().as_str(), "klompen");
    }

    #[test]
    fn nothing_that_is_printed_of_a_shop_shows_a_secret() {
        let shown = format!("{:?}", shop(CURRENT, Some(PREVIOUS)));
        assert!(
            !shown.contains("MfKQ9r8G") && !shown.contains("C2FVsBQI"),
            "{shown}"
        );
    }
}
