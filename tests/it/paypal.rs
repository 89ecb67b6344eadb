//! What only PayPal has: tokens that end, certificates that must be fetched, a balance that says no.
//!
//! Played with the real program, a sandbox that speaks PayPal, and a sandbox shop.

use crate::support::Rig;
use crate::support::story::PRICE;
use reconciled::sandbox::fault::{Fault, Times};
use reconciled::sandbox::psp::{Kind, PspCall};
use reconciled::sandbox::rig::eur;
use std::collections::BTreeSet;

fn paypal() -> &'static Kind {
    Kind::find("paypal").unwrap()
}

/// How often the daemon made a call of this kind, whatever it was about.
fn calls(rig: &Rig, kind: PspCall) -> usize {
    rig.psp(|psp| psp.calls().iter().filter(|(call, _)| *call == kind).count())
}

#[tokio::test]
async fn one_token_and_one_certificate_serve_for_all_and_a_refused_token_is_fetched_anew() {
    let rig = Rig::raise_at(paypal()).await;
    for reference in ["1001", "1002", "1003"] {
        rig.place(reference, eur(PRICE));
        rig.pay(reference, eur(PRICE));
        rig.is_settled_once(reference).await;
    }
    assert_eq!(calls(&rig, PspCall::Token), 1);
    assert_eq!(calls(&rig, PspCall::Certificate), 1);
    rig.spoil(PspCall::Fetch, "1004", Times::Next(1), Fault::status(401));
    rig.place("1004", eur(PRICE));
    rig.pay("1004", eur(PRICE));
    rig.is_settled_once("1004").await;
    assert_eq!(calls(&rig, PspCall::Token), 2);
    rig.close().await;
}

#[tokio::test]
async fn a_certificate_that_comes_late_only_delays_what_it_signed() {
    let rig = Rig::raise_at(paypal()).await;
    let aim = reconciled::sandbox::fault::Aim::kind(PspCall::Certificate);
    rig.psp(|psp| psp.lay(aim, Times::Next(1), Fault::status(503)));
    rig.place("1001", eur(PRICE));
    rig.pay("1001", eur(PRICE));
    rig.is_settled_once("1001").await;
    rig.close().await;
}

#[tokio::test]
async fn a_refund_that_the_balance_does_not_cover_waits_under_new_ids_and_leaves_once() {
    let rig = Rig::raise_at(paypal()).await;
    rig.world()
        .with(|world, now| world.psp.set_balance_low(true, now));
    rig.pay("1001", eur(PRICE));
    rig.until_asked(PspCall::Refund, "1001", 3).await;
    assert!(rig.psp(|psp| psp.records().refunds.is_empty()));
    let ids: Vec<String> = rig.psp(|psp| {
        let carried = psp.carried_keys().iter();
        let refunds = carried.filter(|(call, _, _)| *call == PspCall::Refund);
        refunds.map(|(_, _, id)| id.clone()).collect()
    });
    let distinct: BTreeSet<&String> = ids.iter().collect();
    assert_eq!(distinct.len(), ids.len(), "each was declined: {ids:?}");
    rig.world()
        .with(|world, now| world.psp.set_balance_low(false, now));
    rig.returns_once("1001").await;
    rig.close().await;
}
