//! Bytes that nobody should send: arbitrary ones, and real notices with small changes.
//! Judges only what must hold of any reading: no panic, no negative money, no other payment.

use super::*;
use crate::core::plan::Reason;
use crate::psp::{PspAnswer, PspAsk, Step};
use proptest::prelude::*;

const EVENTS: [&str; 12] = [
    "AUTHORISATION",
    "CAPTURE",
    "CAPTURE_FAILED",
    "CANCELLATION",
    "CANCEL_OR_REFUND",
    "REFUND",
    "REFUND_FAILED",
    "REFUNDED_REVERSED",
    "CHARGEBACK",
    "EXPIRE",
    "VOID_PENDING_REFUND",
    "REPORT_AVAILABLE",
];

fn bodies() -> Vec<Vec<u8>> {
    let signed = EVENTS.map(|event| notice(&[signed(item(event, "true"), SECRET)]));
    signed.to_vec()
}

fn answers() -> Vec<Vec<u8>> {
    [
        json!({"status": "received", "pspReference": CHANGE, "paymentPspReference": PAYMENT}),
        json!({"status": 422, "errorCode": "14_030", "errorType": "validation"}),
    ]
    .map(|body| body.to_string().into_bytes())
    .to_vec()
}

/// A body with some of its bytes overwritten, cut out or repeated.
fn mutated(bodies: Vec<Vec<u8>>) -> impl Strategy<Value = Vec<u8>> {
    let changes = prop::collection::vec((any::<prop::sample::Index>(), any::<u8>(), 0..4_u8), 0..6);
    (prop::sample::select(bodies), changes).prop_map(|(mut body, changes)| {
        for (at, byte, kind) in changes {
            if body.is_empty() {
                break;
            }
            let at = at.index(body.len());
            match kind {
                0 => body[at] = byte,
                1 => drop(body.remove(at)),
                2 => body.insert(at, byte),
                _ => body.truncate(at),
            }
        }
        body
    })
}

proptest! {
    #[test]
    fn any_bytes_are_verified_and_read_without_a_panic(
        body in prop::collection::vec(any::<u8>(), 0..300),
        header in ".{0,60}",
    ) {
        let login = Some(("u", "p"));
        let account = adyen_with(rules(), Capture::Automatic, proofs(&[SECRET], login));
        let headers = Headers::new().with("authorization", &header);
        let found = verify(&account, &headers, &body);
        prop_assert!(matches!(found, Verification::Rejected(_)));
        prop_assert!(account.read(&body, true, at(0)).is_err());
    }

    #[test]
    fn a_changed_notice_never_brings_money_below_zero(
        body in mutated(bodies()),
        is_manual in any::<bool>(),
    ) {
        let capture = if is_manual { Capture::Manual } else { Capture::Automatic };
        if let Ok(Reading::Seen { payments, .. }) = adyen(capture).read(&body, true, at(0)) {
            for seen in payments {
                let amounts = [seen.requested, seen.authorised, seen.captured, seen.refunded];
                let refunds = seen.refunds.values().map(|one| one.amount);
                let disputes = seen.disputes.values().map(|one| one.amount);
                let parts = seen.captures.values().copied();
                let mut all = amounts.into_iter().flatten().chain(refunds).chain(disputes).chain(parts);
                prop_assert!(all.all(|money| money.minor() >= 0));
                prop_assert!(seen.as_of <= seen.observed_at);
            }
        }
    }

    #[test]
    fn any_answers_end_an_exchange_or_ask_on(
        replies in prop::collection::vec((prop_oneof![Just(201_u16), 100..600_u16], mutated(answers())), 0..3),
        which in 0..3_usize,
    ) {
        let asks = [
            PspAsk::Refund { payment: id(PAYMENT), amount: eur(1), key: own_key(), why: Reason::Duplicate },
            PspAsk::Reverse { payment: id(PAYMENT), amount: eur(1), key: own_key() },
            PspAsk::Void { payment: id(PAYMENT), key: own_key(), why: Reason::OrderUnknown },
        ];
        let replies: Vec<Reply> = replies
            .into_iter()
            .map(|(status, body)| Ok(Response { status, headers: Headers::new(), body }))
            .collect();
        let step = adyen(Capture::Automatic).step(&asks[which], at(0), &replies);
        if let Step::Done(PspAnswer::Seen(seen)) = step {
            prop_assert!(seen.iter().all(|one| one.payment.id == id(PAYMENT)));
        }
    }
}
