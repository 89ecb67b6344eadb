//! A daemon that starts on a copied store goes on where the other one stopped: what was under way is
//! ended, once, under the names it had.

use super::copied;
use crate::support::Rig;
use crate::support::cluster::Database;
use crate::support::scene::price;
use crate::support::story::{confirms, lookups, with_operator};
use reconciled::sandbox::fault::{Fault, Symptom, Times};
use reconciled::sandbox::psp::PspCall;
use reconciled::sandbox::shop::ShopCall;
use reconciled::wire::Method;
use std::collections::BTreeSet;

/// Copies the store of a daemon that is down, and has the next one start on the copy.
async fn move_to(rig: &mut Rig, url: String) {
    let from = rig.setup_mut().store_url.clone();
    copied(&from, &url).await;
    rig.setup_mut().store_url = url;
    rig.write_config().unwrap();
    rig.psp(|psp| psp.heal());
    rig.shop(|shop| shop.heal());
    rig.restart().await.unwrap();
}

/// The operator has made sure that nobody starts on the old store.
async fn release_brake(rig: &Rig) {
    let path = "/api/v1/shops/klompen/resume";
    let body = br#"{"note": "the old store was put away"}"#;
    let answer = rig.admin_call(Method::Post, path, body).await.unwrap();
    assert_eq!(answer.status, 200);
}

/// Four customers in the middle of their stories: one confirmed without our knowing, one not
/// confirmed yet, one whose refund was asked for and not made, and one just heard of or not even that.
async fn begin(rig: &Rig, [lost, unconfirmed, orphan, late]: [&str; 4]) {
    let close = || Fault::before(Symptom::Close);
    rig.shop(|shop| {
        shop.lay(confirms(lost), Times::Always, Fault::after(Symptom::Close));
        shop.lay(lookups(lost), Times::Always, close());
        shop.lay(confirms(unconfirmed), Times::Always, close());
    });
    rig.spoil(PspCall::Refund, orphan, Times::Always, close());
    rig.order_and_pay(lost);
    rig.order_and_pay(unconfirmed);
    rig.pay(orphan, price());
    rig.until_heard(ShopCall::Confirm, lost, 1).await;
    rig.until_struck(unconfirmed, 1).await;
    rig.until_asked(PspCall::Refund, orphan, 1).await;
    rig.order_and_pay(late);
}

async fn end(rig: &Rig, [lost, unconfirmed, orphan, late]: [&str; 4]) {
    for reference in [lost, unconfirmed, late] {
        rig.settles_once(reference).await;
    }
    assert_eq!(rig.heard(ShopCall::Confirm, lost), 1, "asked twice");
    // A refund waits until somebody says that the move was meant.
    rig.until_held(orphan, "guard_store_moved").await;
    release_brake(rig).await;
    rig.returns_once(orphan).await;
    rig.psp(|psp| {
        let carried = psp.carried_keys().iter();
        let of_orphan = |one: &&(PspCall, Option<String>, String)| {
            one.0 == PspCall::Refund && one.1.as_deref() == Some(orphan)
        };
        let keys: Vec<&String> = carried.filter(of_orphan).map(|one| &one.2).collect();
        assert!(keys.len() >= 2, "{keys:?}");
        assert_eq!(keys.iter().collect::<BTreeSet<_>>().len(), 1, "{keys:?}");
    });
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_daemon_on_a_copied_store_ends_what_the_one_before_began_there_and_back() {
    let mut rig = Rig::raise_with(with_operator).await;
    rig.expect_error("the store was started elsewhere before");
    rig.expect_error("the guard stopped this shop's refunds");
    // Any repeated confirm shows in the books as a second mail.
    rig.shop(|shop| shop.set_careless(true));
    rig.order_and_pay("1000");
    rig.settles_once("1000").await;
    let database = Database::bare().await;
    let back = rig.config_path().with_file_name("back.db");
    let legs = [
        (["1001", "1002", "1003", "1004"], database.url()),
        (
            ["2001", "2002", "2003", "2004"],
            format!("sqlite:{}", back.display()),
        ),
    ];
    for (references, url) in legs {
        begin(&rig, references).await;
        rig.sigterm().await.unwrap();
        move_to(&mut rig, url).await;
        end(&rig, references).await;
    }
    rig.settles_once("1000").await;
    rig.sigterm().await.unwrap();
    let audit = rig.command(&["audit"]).await;
    assert_eq!(audit.code, Some(0), "{audit:?}");
    rig.close().await;
}
