//! Bytes that nobody should send: arbitrary ones, and real answers with small changes.
//! Judges only what must hold of any reading: no panic, no negative money, no other payment, no
//! call to another address, no refund without an amount.

use super::*;
use crate::core::plan::Reason;
use crate::wire::Method;
use proptest::prelude::*;

fn bodies() -> Vec<Vec<u8>> {
    let names = deliveries::names();
    names
        .iter()
        .map(|name| fixture(&format!("deliveries/{name}")))
        .collect()
}

fn answers() -> Vec<Vec<u8>> {
    let folder = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("fixtures/mollie/api");
    let mut paths: Vec<PathBuf> = std::fs::read_dir(folder)
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .collect();
    paths.sort();
    paths
        .iter()
        .map(|path| std::fs::read(path).unwrap())
        .collect()
}

/// A body with some of its bytes overwritten, cut out or repeated.
fn mutated(bodies: Vec<Vec<u8>>) -> impl Strategy<Value = Vec<u8>> {
    let changes = prop::collection::vec((any::<prop::sample::Index>(), any::<u8>(), 0..4_u8), 0..4);
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

fn ask() -> impl Strategy<Value = PspAsk> {
    let payment = || id(PAYMENT);
    let why = Reason::OrderCancelled;
    prop_oneof![
        Just(fetch(PAYMENT)),
        prop_oneof![Just(14_995), any::<i64>()].prop_map(move |minor| PspAsk::Refund {
            payment: payment(),
            amount: eur(minor),
            key: key(),
            why,
        }),
        Just(PspAsk::Void {
            payment: payment(),
            key: key(),
            why,
        }),
        Just(PspAsk::CancelRefund {
            payment: payment(),
            refund: id("re_MadeUp0001"),
            key: key(),
        }),
        (0..4_u8, any::<i64>()).prop_map(|(listing, from)| PspAsk::List {
            listing,
            from: Time::from_micros(from),
            to: Time::from_seconds(ASKED_AT),
            cursor: None,
        }),
    ]
}

fn is_sound(seen: &PaymentSnapshot) -> bool {
    let amounts = [
        seen.requested,
        seen.authorised,
        seen.captured,
        seen.refunded,
    ];
    let refunds = seen.refunds.values().map(|refund| refund.amount);
    let disputes = seen.disputes.values().map(|dispute| dispute.amount);
    let mut all = amounts.into_iter().flatten().chain(refunds).chain(disputes);
    all.all(|money| money.minor() >= 0) && seen.as_of <= seen.observed_at
}

/// What must hold of every request: our address, one of our paths, an amount where money goes.
fn is_harmless(request: &Request, ask: &PspAsk) -> bool {
    let is_ours = request.url.starts_with("https://api.mollie.test/v2/")
        && !request.url.contains("..")
        && !request.url.contains('#');
    let moves = request.method == Method::Post && request.url.ends_with("/refunds");
    let has_amount = || {
        let PspAsk::Refund { amount, .. } = ask else {
            return false;
        };
        let body = String::from_utf8(request.body.clone()).unwrap();
        let written = format!(r#"{{"currency":"EUR","value":"{}"}}"#, amount.value());
        amount.is_positive() && body.contains(&written)
    };
    is_ours && (!moves || has_amount())
}

proptest! {
    #[test]
    fn any_bytes_are_read_without_a_panic(
        body in prop::collection::vec(any::<u8>(), 0..300),
        is_signed in any::<bool>(),
    ) {
        let found = mollie().read(&body, is_signed, Time::from_seconds(ASKED_AT));
        prop_assert!(found.is_err());
    }

    #[test]
    fn a_changed_delivery_names_payments_alone(body in mutated(bodies()), is_signed in any::<bool>()) {
        let found = mollie().read(&body, is_signed, Time::from_seconds(ASKED_AT));
        if let Ok(Reading::Seen { payments, hints }) = found {
            prop_assert!(payments.iter().all(|seen| seen.captured.is_none() && is_sound(seen)));
            prop_assert!(is_signed || payments.is_empty());
            for hint in hints {
                prop_assert!(hint.as_str().starts_with("tr_"));
                prop_assert!(!hint.as_str().contains(['.', ':', '-']));
            }
        }
    }

    #[test]
    fn any_answers_end_an_exchange_or_ask_on(
        replies in prop::collection::vec(
            (
                prop_oneof![Just(200_u16), Just(200), Just(409), 100..600_u16],
                prop_oneof![
                    4 => mutated(answers()),
                    1 => prop::collection::vec(any::<u8>(), 0..60),
                ],
            ),
            0..5,
        ),
        ask in ask(),
    ) {
        let replies: Vec<Reply> =
            replies.into_iter().map(|(status, body)| answered(status, body)).collect();
        match step(&ask, &replies) {
            Step::Send(request) => prop_assert!(is_harmless(&request, &ask), "{}", request.url),
            Step::Done(PspAnswer::Seen(seen)) => {
                let is_about_it = |one: &PaymentSnapshot| one.payment.id == id(PAYMENT);
                prop_assert!(seen.iter().all(|one| is_about_it(one) && is_sound(one)));
            }
            Step::Done(PspAnswer::Page { payments, .. }) => {
                prop_assert!(payments.iter().all(is_sound));
            }
            Step::Done(PspAnswer::Failed(_)) => {}
        }
    }
}
