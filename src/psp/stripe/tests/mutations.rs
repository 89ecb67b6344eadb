//! Bytes that nobody should send: arbitrary ones, and real events with small changes.
//! Judges only what must hold of any reading: no panic, no negative money, no other payment.

use super::events::{RECEIVED_AT, event, event_names};
use super::*;
use crate::psp::Psp;
use proptest::prelude::*;

fn bodies() -> Vec<Vec<u8>> {
    event_names().iter().map(|name| event(name)).collect()
}

fn answers() -> Vec<Vec<u8>> {
    [
        "intent_succeeded",
        "intent_disputed",
        "intent_captured_in_part",
        "charge_alone",
        "refunds_first_page",
        "refunds_with_release",
        "disputes",
        "refund_created",
        "list_intents",
        "list_charges",
        "list_events",
        "error_resource_missing",
    ]
    .iter()
    .map(|name| fixture(&format!("api/{name}.json")))
    .collect()
}

/// A body with some of its bytes overwritten, cut out or repeated.
fn mutated(bodies: Vec<Vec<u8>>) -> impl Strategy<Value = Vec<u8>> {
    let changes = prop::collection::vec((any::<prop::sample::Index>(), any::<u8>(), 0..4_u8), 1..6);
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

fn asks() -> Vec<PspAsk> {
    let list = |listing| PspAsk::List {
        listing,
        from: Time::from_seconds(0),
        to: Time::from_seconds(9),
        cursor: None,
    };
    vec![
        PspAsk::Fetch {
            payment: id(INTENT),
        },
        PspAsk::Fetch {
            payment: id("ch_3QxMadeUp000001"),
        },
        PspAsk::Refund {
            payment: id(INTENT),
            amount: eur(14995),
            key: key(),
            why: crate::core::plan::Reason::OrderCancelled,
        },
        PspAsk::Void {
            payment: id(INTENT),
            key: key(),
            why: crate::core::plan::Reason::OrderUnknown,
        },
        list(0),
        list(1),
        list(2),
    ]
}

proptest! {
    #[test]
    fn any_bytes_are_read_without_a_panic(body in prop::collection::vec(any::<u8>(), 0..300)) {
        let found = stripe().read(&body, true, Time::from_seconds(RECEIVED_AT));
        prop_assert!(found.is_err());
    }

    #[test]
    fn a_changed_event_never_brings_money_below_zero(body in mutated(bodies())) {
        if let Ok(Reading::Seen { payments, .. }) =
            stripe().read(&body, true, Time::from_seconds(RECEIVED_AT))
        {
            for seen in payments {
                let amounts = [seen.requested, seen.authorised, seen.captured, seen.refunded];
                prop_assert!(amounts.iter().flatten().all(|money| money.minor() >= 0));
                prop_assert!(seen.as_of <= seen.observed_at);
            }
        }
    }

    #[test]
    fn any_answers_end_an_exchange_or_ask_on(
        replies in prop::collection::vec(
            (prop_oneof![Just(200_u16), 100..600_u16], mutated(answers())),
            0..4,
        ),
        which in 0..7_usize,
    ) {
        let replies: Vec<Reply> = replies.into_iter().map(|(status, body)| answered(status, body)).collect();
        let step = stripe().step(&asks()[which], Time::from_seconds(RECEIVED_AT), &replies);
        if let Step::Done(PspAnswer::Seen(seen)) = step {
            let asked_for = match &asks()[which] {
                PspAsk::Fetch { payment }
                | PspAsk::Refund { payment, .. }
                | PspAsk::Reverse { payment, .. }
                | PspAsk::Void { payment, .. }
                | PspAsk::CancelRefund { payment, .. } => Some(payment.clone()),
                PspAsk::List { .. } => None,
            };
            let is_about_it = seen.iter().all(|one| Some(&one.payment.id) == asked_for.as_ref());
            prop_assert!(is_about_it);
        }
    }
}
