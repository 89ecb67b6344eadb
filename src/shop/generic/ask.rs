//! What we send to a shop: `order.confirm`, `order.lookup`, `order.release` and the notices.
//!
//! Every amount is written exactly, every time in UTC. Knows no signature and no reply.

use super::parts::written_time;
use crate::core::money::Money;
use crate::core::plan::PaidPart;
use crate::core::reconcile::CONFIRM_EXPIRES_AFTER;
use crate::core::time::Time;
use crate::shop::ShopAsk;
use serde::Serialize;

#[derive(Serialize)]
struct Message<'a> {
    r#type: &'static str,
    timestamp: String,
    #[serde(rename = "data")]
    content: Content<'a>,
}

#[derive(Serialize)]
#[serde(untagged)]
enum Content<'a> {
    Confirm {
        reference: &'a str,
        payments: Vec<Paid<'a>>,
        amount: Money,
        late: bool,
        decision: u32,
        expires_at: String,
    },
    LookUp {
        reference: &'a str,
    },
    Release {
        reference: &'a str,
        payments: Vec<Paid<'a>>,
        decision: u32,
        #[serde(skip_serializing_if = "Option::is_none")]
        paid_otherwise: Option<Money>,
    },
    Notice {
        #[serde(skip_serializing_if = "Option::is_none")]
        reference: Option<&'a str>,
        payment: Named<'a>,
        amount: Money,
        reason: &'static str,
        when: String,
    },
}

#[derive(Serialize)]
struct Named<'a> {
    account: &'a str,
    id: &'a str,
}

#[derive(Serialize)]
struct Paid<'a> {
    account: &'a str,
    id: &'a str,
    amount: Money,
    #[serde(skip_serializing_if = "Option::is_none")]
    method: Option<&'a str>,
}

/// The body of a call that leaves at `now`.
pub(super) fn body(ask: &ShopAsk, now: Time) -> Vec<u8> {
    let (r#type, content) = match ask {
        ShopAsk::Confirm {
            reference,
            payments,
            amount,
            late,
            decision,
        } => (
            "order.confirm",
            Content::Confirm {
                reference: reference.as_str(),
                payments: payments.iter().map(paid).collect(),
                amount: *amount,
                late: *late,
                decision: *decision,
                expires_at: written_time(now.plus(CONFIRM_EXPIRES_AFTER)),
            },
        ),
        ShopAsk::LookUp { reference } => (
            "order.lookup",
            Content::LookUp {
                reference: reference.as_str(),
            },
        ),
        ShopAsk::Release {
            reference,
            payments,
            decision,
            paid_otherwise,
        } => (
            "order.release",
            Content::Release {
                reference: reference.as_str(),
                payments: payments.iter().map(paid).collect(),
                decision: *decision,
                paid_otherwise: *paid_otherwise,
            },
        ),
        ShopAsk::Notify {
            notice,
            reference,
            payment,
            amount,
            reason,
            at,
        } => (
            notice.event_type(),
            Content::Notice {
                reference: reference.as_ref().map(|reference| reference.as_str()),
                payment: Named {
                    account: payment.account.as_str(),
                    id: payment.id.as_str(),
                },
                amount: *amount,
                reason: reason.code(),
                when: written_time(*at),
            },
        ),
    };
    let message = Message {
        r#type,
        timestamp: written_time(now),
        content,
    };
    // Text, numbers and named fields alone: writing them as JSON cannot fail. Were it to, an
    // empty body is refused by every receiver.
    serde_json::to_vec(&message).unwrap_or_default()
}

fn paid(part: &PaidPart) -> Paid<'_> {
    Paid {
        account: part.payment.account.as_str(),
        id: part.payment.id.as_str(),
        amount: part.amount,
        method: part.method.as_deref(),
    }
}

/// The `webhook-id` for an action's id: the same text but for `.`, which the scheme keeps for
/// itself and which may stand in the payment id that an action is named after.
pub(super) fn webhook_id(id: &str) -> String {
    id.replace('.', "%2E")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::core::ids::{PaymentRef, Reference};
    use crate::core::money::Currency;
    use crate::core::plan::{Notice, Reason};
    use serde_json::{Value, json};

    fn euros(minor: i64) -> Money {
        Money::new(minor, Currency::EUR)
    }

    fn order() -> Reference {
        Reference::parse("1000042").unwrap()
    }

    fn part(id: &str, minor: i64, method: Option<&str>) -> PaidPart {
        PaidPart {
            payment: PaymentRef::parse("stripe_nl", id).unwrap(),
            amount: euros(minor),
            method: method.map(str::to_owned),
        }
    }

    fn sent(ask: &ShopAsk) -> Value {
        serde_json::from_slice(&body(ask, Time::from_seconds(1_795_255_200))).unwrap()
    }

    #[test]
    fn a_confirm_names_the_payments_their_sum_and_whether_it_is_late() {
        let ask = ShopAsk::Confirm {
            reference: order(),
            payments: vec![part("pi_1", 5000, Some("ideal")), part("pi_2", 995, None)],
            amount: euros(5995),
            late: true,
            decision: 3,
        };
        assert_eq!(
            sent(&ask),
            json!({
                "type": "order.confirm",
                "timestamp": "2026-11-21T10:00:00Z",
                "data": {
                    "reference": "1000042",
                    "payments": [
                        {"account": "stripe_nl", "id": "pi_1", "method": "ideal",
                         "amount": {"value": "50.00", "currency": "EUR"}},
                        {"account": "stripe_nl", "id": "pi_2",
                         "amount": {"value": "9.95", "currency": "EUR"}},
                    ],
                    "amount": {"value": "59.95", "currency": "EUR"},
                    "late": true,
                    "decision": 3,
                    "expires_at": "2026-11-21T10:00:20Z",
                },
            })
        );
    }

    #[test]
    fn a_lookup_names_the_order_and_nothing_else() {
        let ask = ShopAsk::LookUp { reference: order() };
        assert_eq!(
            sent(&ask),
            json!({
                "type": "order.lookup",
                "timestamp": "2026-11-21T10:00:00Z",
                "data": {"reference": "1000042"},
            })
        );
    }

    #[test]
    fn a_release_names_the_payments_that_go_back() {
        let ask = ShopAsk::Release {
            reference: order(),
            payments: vec![part("pi_1", 5995, Some("ideal"))],
            decision: 4,
            paid_otherwise: Some(euros(2000)),
        };
        assert_eq!(
            sent(&ask),
            json!({
                "type": "order.release",
                "timestamp": "2026-11-21T10:00:00Z",
                "data": {
                    "reference": "1000042",
                    "payments": [
                        {"account": "stripe_nl", "id": "pi_1", "method": "ideal",
                         "amount": {"value": "59.95", "currency": "EUR"}},
                    ],
                    "decision": 4,
                    "paid_otherwise": {"value": "20.00", "currency": "EUR"},
                },
            })
        );
    }

    #[test]
    fn a_notice_says_which_payment_how_much_why_and_when() {
        for (notice, word) in [
            (Notice::RefundStarted, "payment.refund_started"),
            (Notice::Refunded, "payment.refunded"),
            (Notice::RefundFailed, "payment.refund_failed"),
            (Notice::Held, "payment.held"),
        ] {
            let ask = |reference| ShopAsk::Notify {
                notice,
                reference,
                payment: PaymentRef::parse("stripe_nl", "pi_1").unwrap(),
                amount: euros(5995),
                reason: Reason::OrderCancelled,
                at: Time::from_seconds(1_795_255_199),
            };
            let mut expected = json!({
                "type": word,
                "timestamp": "2026-11-21T10:00:00Z",
                "data": {
                    "reference": "1000042",
                    "payment": {"account": "stripe_nl", "id": "pi_1"},
                    "amount": {"value": "59.95", "currency": "EUR"},
                    "reason": "order_cancelled",
                    "when": "2026-11-21T09:59:59Z",
                },
            });
            assert_eq!(sent(&ask(Some(order()))), expected);
            expected["data"]
                .as_object_mut()
                .unwrap()
                .remove("reference");
            assert_eq!(sent(&ask(None)), expected);
        }
    }

    #[test]
    fn a_webhook_id_never_holds_a_dot_and_stays_the_same_on_every_retry() {
        assert_eq!(webhook_id("confirm:c1:2"), "confirm:c1:2");
        assert_eq!(webhook_id("refund:a.b"), "refund:a%2Eb");
    }
}
