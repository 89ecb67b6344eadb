//! Bytes that nobody should send: arbitrary ones, and real messages with small changes.
//! Judges only what must hold of any reading: no panic, no other payment, nothing accepted that
//! was changed.

use super::events::event_names;
use super::*;
use proptest::prelude::*;

fn holds(ask: &PspAsk, reply: Reply) {
    match step(ask, &[reply]) {
        Step::Done(PspAnswer::Seen(payments)) => {
            for seen in payments {
                for money in [
                    seen.captured,
                    seen.refunded,
                    seen.authorised,
                    seen.requested,
                ] {
                    assert!(money.is_none_or(|money| money.minor() >= 0));
                }
            }
        }
        Step::Done(PspAnswer::Page { payments, .. }) => {
            assert!(payments.iter().all(|one| one.source == (Source::Named)));
        }
        Step::Done(PspAnswer::Failed(_)) => {}
        Step::Send(request) => assert!(request.url.starts_with("https://api.paypal.test/")),
    }
}

fn asks() -> Vec<PspAsk> {
    let list = |listing| PspAsk::List {
        listing,
        from: Time::from_seconds(NOW - 1_000),
        to: now(),
        cursor: None,
    };
    let void = PspAsk::Void {
        payment: id(AUTHORIZATION),
        key: key(),
        why: Reason::OrderUnknown,
    };
    vec![
        fetch(CAPTURE),
        refund(CAPTURE, eur(14_995)),
        void,
        list(0),
        list(1),
    ]
}

fn messages() -> Vec<Vec<u8>> {
    let mut names: Vec<String> = event_names()
        .into_iter()
        .map(|name| format!("events/{name}.json"))
        .collect();
    for name in [
        "capture_completed",
        "order_with_refunds",
        "refund_created",
        "list_events",
        "list_transactions",
    ] {
        names.push(format!("api/{name}.json"));
    }
    names.iter().map(|name| fixture(name)).collect()
}

#[test]
fn a_flipped_bit_anywhere_in_what_is_signed_is_refused() {
    let paypal = knowing("sandbox");
    let body =
        br#"{"id":"WH-1","event_type":"PAYMENT.CAPTURE.COMPLETED","resource":{"id":"0MA1"}}"#;
    let good = signed(body);
    assert_eq!(verify(&paypal, &good, body), accepted());
    for position in 0..body.len() {
        for bit in 0..8 {
            let mut changed = body.to_vec();
            changed[position] ^= 1 << bit;
            assert!(matches!(
                verify(&paypal, &good, &changed),
                Verification::Rejected(_)
            ));
        }
    }
    for name in [
        "paypal-transmission-id",
        "paypal-transmission-time",
        "paypal-transmission-sig",
    ] {
        let value = good.single(name).unwrap().as_bytes().to_vec();
        for position in 0..value.len() {
            let mut fields = Headers::new();
            for (known, old) in good.iter() {
                let mut new = old.to_vec();
                if known == name {
                    new[position] ^= 1;
                }
                fields.push(known, new);
            }
            let found = verify(&paypal, &fields, body);
            assert!(
                matches!(found, Verification::Rejected(_)),
                "{name} at {position}"
            );
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(128))]

    #[test]
    fn no_bytes_panic(body in prop::collection::vec(any::<u8>(), 0..300)) {
        let paypal = paypal();
        let _read = paypal.read(&body, true, now());
        for ask in asks() {
            holds(&ask, answered(200, body.clone()));
            holds(&ask, answered(422, body.clone()));
        }
        let _taken = paypal.signed_in(&answered(200, body.clone()), now());
        verify(&paypal, &signed(b"{}"), b"{}");
        bring(&paypal, &answered(200, body));
    }

    #[test]
    fn no_header_fields_panic(
        values in prop::collection::vec((0..6_usize, prop::collection::vec(any::<u8>(), 0..80)), 0..8),
        body in prop::collection::vec(any::<u8>(), 0..40),
    ) {
        const NAMES: [&str; 6] = [
            "paypal-auth-algo", "paypal-auth-version", "paypal-cert-url",
            "paypal-transmission-id", "paypal-transmission-sig", "paypal-transmission-time",
        ];
        let mut fields = Headers::new();
        for (name, value) in values {
            fields.push(NAMES[name], value);
        }
        let found = verify(&paypal(), &fields, &body);
        prop_assert!(matches!(found, Verification::Rejected(_)));
    }

    #[test]
    fn a_changed_message_never_panics(
        which in any::<prop::sample::Index>(),
        position in any::<prop::sample::Index>(),
        byte in any::<u8>(),
        cut in any::<bool>(),
    ) {
        let all = messages();
        let mut body = all[which.index(all.len())].clone();
        let position = position.index(body.len());
        if cut {
            body.truncate(position);
        } else {
            body[position] = byte;
        }
        let _read = paypal().read(&body, true, now());
        for ask in asks() {
            holds(&ask, answered(200, body.clone()));
        }
    }
}
