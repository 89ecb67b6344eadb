//! What only PayPal has: tokens that end, certificates that must be fetched, a balance that says no.
//!
//! Played with the real program, a sandbox that speaks PayPal, and a sandbox shop.

use crate::support::Rig;
use crate::support::story::PRICE;
use crc::{CRC_32_ISO_HDLC, Crc};
use reconciled::sandbox::fault::{Fault, Times};
use reconciled::sandbox::psp::{Kind, PspCall};
use reconciled::sandbox::rig::eur;
use reconciled::sandbox::shop::ShopCall;
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

/// A capture's id that PayPal has not given out.
const NOBODYS: &str = "0AB12345CD678901E";

/// Fills the spaces of a text so that it has the checksum of another: the checksum is linear, so
/// each space that becomes a tab changes it in its own way, and some of them together as wanted.
fn forged(text: &str, genuine: &[u8]) -> Vec<u8> {
    let sum = |body: &[u8]| Crc::<u32>::new(&CRC_32_ISO_HDLC).checksum(body);
    let mut body = text.as_bytes().to_vec();
    let plain = sum(&body);
    let spaces: Vec<usize> = (0..body.len()).filter(|at| body[*at] == b' ').collect();
    // What is changed by which spaces, each led by another bit.
    let mut reduced: Vec<(u32, BTreeSet<usize>)> = Vec::new();
    let reduce = |reduced: &[(u32, BTreeSet<usize>)], mut change: u32, mut by: BTreeSet<usize>| {
        for (known, with) in reduced {
            if change ^ known < change {
                change ^= known;
                by = by.symmetric_difference(with).copied().collect();
            }
        }
        (change, by)
    };
    for at in spaces {
        body[at] = b'\t';
        let (change, by) = reduce(&reduced, plain ^ sum(&body), BTreeSet::from([at]));
        body[at] = b' ';
        if change != 0 {
            reduced.push((change, by));
            reduced.sort_by_key(|(change, _)| std::cmp::Reverse(*change));
        }
    }
    let (left, by) = reduce(&reduced, plain ^ sum(genuine), BTreeSet::new());
    assert_eq!(left, 0, "too few spaces");
    by.iter().for_each(|at| body[*at] = b'\t');
    assert_eq!(sum(&body), sum(genuine));
    body
}

#[tokio::test]
async fn s001_a_body_forged_to_the_checksum_of_a_genuine_one_is_accepted_and_changes_nothing() {
    let rig = Rig::raise_at(paypal()).await;
    rig.place("1001", eur(PRICE));
    rig.until_verdict("1001", "open").await;
    // Nobody has paid it, and a genuine delivery about another payment falls into wrong hands.
    let seen = rig.world().with(|world, now| {
        world.psp.pay(Some("1002"), eur(PRICE), now);
        world.psp.take_deliveries(now)
    });
    let genuine = seen
        .iter()
        .find(|delivery| delivery.reference.as_deref() == Some("1002"))
        .unwrap();
    let claim = format!(
        r#"{{"id":"WH-FORGED-1","event_type":"PAYMENT.CAPTURE.COMPLETED","resource_type":"capture","resource":{{"id":"{NOBODYS}","status":"COMPLETED","custom_id":"1001","amount":{{"currency_code":"EUR","value":"59.95"}}}}{}}}"#,
        " ".repeat(64)
    );
    let body = forged(&claim, &genuine.body);
    assert_ne!(body, genuine.body);
    let path = genuine.target(&rig.webhook_path());
    let sent = rig.public_call(genuine.method, &path, &genuine.headers, &body);
    assert_eq!(sent.await.unwrap().status, 200, "the seal is true");
    // Nothing is believed before PayPal was asked, and PayPal knows of no such money.
    rig.until_asked(PspCall::Fetch, NOBODYS, 1).await;
    let view = rig.until_verdict("1001", "open").await;
    assert!(view.payments.is_empty(), "{view:?}");
    assert_eq!(rig.heard(ShopCall::Confirm, "1001"), 0);
    let customer = rig.customer("1001");
    assert_eq!((customer.charged, customer.is_confirmed), (0, false));
    // One bit off and the seal is broken.
    let mut changed = body.clone();
    changed[20] ^= 1;
    let sent = rig.public_call(genuine.method, &path, &genuine.headers, &changed);
    assert_eq!(sent.await.unwrap().status, 401);
    // The truth told later is believed as ever.
    rig.pay("1001", eur(PRICE));
    rig.is_settled_once("1001").await;
    rig.close().await;
}
