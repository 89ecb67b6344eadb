//! Stories of a confirm that gets lost, comes late, or meets a shop that changes its mind.
//!
//! A test's name begins with the scenario's number. Knows the daemon only from outside.

use crate::support::story::{PRICE, TOKEN, confirms, lookups, with_operator};
use crate::support::{Psp, Rig};
use reconciled::core::time::Span;
use reconciled::sandbox::fault::{Aim, Fault, Symptom, Times};
use reconciled::sandbox::psp::PspCall;
use reconciled::sandbox::rig::{Setup, eur};
use reconciled::sandbox::shop::{ShopCall, Standing};
use std::net::SocketAddr;
use std::time::Duration;
use tokio::net::{TcpListener, TcpStream};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

/// A shop that mails its customer on every confirm of a confirmed order.
fn careless(rig: &Rig) {
    rig.shop(|shop| shop.set_careless(true));
}

pub(crate) async fn s064_a_confirm_that_outlasts_its_time_limit_is_read_back_and_not_repeated(
    psp: Psp,
) {
    let rig = Rig::raise_at(psp).await;
    careless(&rig);
    // The shop confirms at once and answers after the limit of ten seconds.
    let late = Fault::delay(Span::from_seconds(12));
    rig.shop(|shop| shop.lay(confirms("1001"), Times::Next(1), late));
    rig.order_and_pay("1001");
    rig.until_heard(ShopCall::Confirm, "1001", 1).await;
    let waiting = rig.until_verdict("1001", "confirming").await;
    assert_eq!(waiting.in_suspense, Some(eur(PRICE)));
    rig.settles_once("1001").await;
    assert_eq!(rig.heard(ShopCall::Confirm, "1001"), 1);
    assert!(rig.heard(ShopCall::LookUp, "1001") >= 1);
    assert_eq!(rig.asked(PspCall::Refund, "1001"), 0);
    rig.close().await;
}

pub(crate) async fn s065_a_502_after_the_shop_applied_the_confirm_is_no_refusal(psp: Psp) {
    let rig = Rig::raise_at(psp).await;
    careless(&rig);
    let by_the_proxy = Fault::after(Symptom::Status {
        code: 502,
        retry_after_s: None,
    });
    rig.shop(|shop| shop.lay(confirms("1001"), Times::Next(1), by_the_proxy));
    rig.order_and_pay("1001");
    rig.settles_once("1001").await;
    assert_eq!(rig.heard(ShopCall::Confirm, "1001"), 1);
    assert_eq!(rig.heard(ShopCall::Release, "1001"), 0);
    rig.close().await;
}

/// An address of loopback that refuses connections until `open` answers there for the shop.
async fn refusing() -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    listener.local_addr().unwrap()
}

/// Opens the address and passes on to the shop whatever comes.
async fn open(at: SocketAddr, shop: SocketAddr, stop: CancellationToken) {
    let listener = TcpListener::bind(at).await.unwrap();
    let tracker = TaskTracker::new();
    let serving = tracker.clone();
    let serve = async move {
        while let Ok((mut from, _)) = listener.accept().await {
            serving.spawn(async move {
                let mut to = TcpStream::connect(shop).await.unwrap();
                // Either side may hang up first.
                drop(tokio::io::copy_bidirectional(&mut from, &mut to).await);
            });
        }
    };
    tracker.spawn(async move { stop.run_until_cancelled(serve).await });
}

pub(crate) async fn s066_a_refused_connection_is_tried_again_until_the_shop_is_back(psp: Psp) {
    let mut rig = Rig::prepare_at_with(psp, |setup| setup).await;
    let closed = refusing().await;
    let written = std::fs::read_to_string(rig.config_path()).unwrap();
    let mut lines = written.lines();
    let url = lines
        .find(|line| line.starts_with("url = \"http://"))
        .unwrap();
    let address = url.split('/').nth(2).unwrap();
    let shop: SocketAddr = address.parse().unwrap();
    let elsewhere = written.replace(&shop.to_string(), &closed.to_string());
    std::fs::write(rig.config_path(), elsewhere).unwrap();
    rig.restart().await.unwrap();
    careless(&rig);
    rig.order_and_pay("1001");
    let tried = rig.until("1001", |view| {
        let step = view.next_step.as_ref();
        step.is_some_and(|step| step.attempt >= Some(3) && step.last_error.is_some())
    });
    let tried = tried.await;
    let step = tried.next_step.clone().unwrap();
    assert_eq!(step.action.as_deref(), Some("confirm"), "{tried:?}");
    assert_eq!(step.last_error.as_deref(), Some("connection_refused"));
    assert_eq!(
        (tried.verdict.as_str(), tried.safe_to_retry),
        ("confirming", Some(false))
    );
    let stop = CancellationToken::new();
    open(closed, shop, stop.clone()).await;
    rig.settles_once("1001").await;
    assert_eq!(rig.heard(ShopCall::Confirm, "1001"), 1);
    assert_eq!(rig.asked(PspCall::Refund, "1001"), 0);
    stop.cancel();
    rig.close().await;
}

pub(crate) async fn s067_a_login_page_for_every_question_ends_in_a_hold_and_not_in_a_refund(
    psp: Psp,
) {
    let change = |setup: Setup| with_operator(setup).policy("outage_patience", "\"3s\"");
    let rig = Rig::raise_at_with(psp, change).await;
    for kind in [ShopCall::Confirm, ShopCall::LookUp, ShopCall::Release] {
        let page = Fault::before(Symptom::Html);
        rig.shop(|shop| shop.lay(Aim::kind(kind).about("1001"), Times::Always, page));
    }
    rig.order_and_pay("1001");
    let held = rig.until_held("1001", "outage_patience_exhausted").await;
    assert_eq!(held.in_suspense, Some(eur(PRICE)));
    assert!(held.next_step.is_some(), "a hold is never silent: {held:?}");
    rig.until_noticed("payment.held", "1001").await;
    assert_eq!(rig.asked(PspCall::Refund, "1001"), 0);
    rig.shop(|shop| shop.heal());
    assert_eq!(rig.rule(&held.id, "retry").await, 200);
    rig.settles_once("1001").await;
    rig.close().await;
}

pub(crate) async fn s068_404_during_a_deploy_is_no_word_about_the_order(psp: Psp) {
    let rig = Rig::raise_at(psp).await;
    // Not announced: the daemon has nothing but the shop's answers.
    rig.shop(|shop| {
        shop.place_quietly("1001", eur(PRICE));
        shop.lay(Aim::all().about("1001"), Times::Next(5), Fault::status(404));
    });
    rig.pay("1001", eur(PRICE));
    rig.until_struck("1001", 3).await;
    let waiting = rig.until_verdict("1001", "matching").await;
    assert_eq!(waiting.reason.as_deref(), Some("shop_unreachable"));
    rig.settles_once("1001").await;
    assert_eq!(rig.heard(ShopCall::Release, "1001"), 0);
    rig.close().await;
}

pub(crate) async fn s068_one_unknown_from_a_lagging_replica_is_not_enough(psp: Psp) {
    let rig = Rig::raise_at_with(psp, |setup| setup.policy("second_look", "\"3s\"")).await;
    rig.shop(|shop| {
        shop.place_quietly("1001", eur(PRICE));
        shop.set_knows_nothing(true);
    });
    rig.pay("1001", eur(PRICE));
    rig.until_heard(ShopCall::LookUp, "1001", 1).await;
    rig.shop(|shop| shop.set_knows_nothing(false));
    rig.settles_once("1001").await;
    assert_eq!(rig.heard(ShopCall::Release, "1001"), 0);
    assert_eq!(rig.asked(PspCall::Refund, "1001"), 0);
    rig.close().await;
}

pub(crate) async fn s069_clocks_stand_still_while_the_shop_is_down_and_the_load_is_spread_after(
    psp: Psp,
) {
    let mut rig = Rig::raise_at(psp).await;
    rig.set_patience(Duration::from_secs(60));
    // One customer's order is not there yet when the shop is asked, once, before the outage.
    rig.pay("1000", eur(PRICE));
    rig.until_heard(ShopCall::LookUp, "1000", 1).await;
    rig.shop(|shop| shop.lay(Aim::all(), Times::Always, Fault::before(Symptom::Close)));
    let orders: Vec<String> = (1001..1013).map(|number| number.to_string()).collect();
    for order in &orders {
        rig.order_and_pay(order);
    }
    // Far longer than grace, second look and refund delay together.
    rig.pass(Duration::from_secs(6)).await.unwrap();
    let struck = |world: &reconciled::sandbox::world::World| -> usize {
        let orders = orders.iter();
        orders.map(|order| world.shop.strikes_about(order)).sum()
    };
    let calls = struck(&rig.world().lock());
    assert!(
        (1..24).contains(&calls),
        "{calls} calls to a shop that is down"
    );
    for order in &orders {
        rig.until_verdict(order, "confirming").await;
    }
    rig.shop(|shop| {
        shop.place_quietly("1000", eur(PRICE));
        shop.heal();
    });
    for order in &orders {
        rig.settles_once(order).await;
    }
    rig.settles_once("1000").await;
    assert!(rig.psp(|psp| psp.records().refunds.is_empty()));
    rig.close().await;
}

pub(crate) async fn s072_an_order_in_review_is_asked_about_until_the_shop_says_yes(psp: Psp) {
    let rig = Rig::raise_at(psp).await;
    rig.place("1001", eur(PRICE));
    rig.shop(|shop| shop.change("1001", |order| order.not_yet = 2));
    rig.pay("1001", eur(PRICE));
    rig.until("1001", |view| {
        view.reason.as_deref() == Some("shop_says_not_yet")
    })
    .await;
    rig.settles_once("1001").await;
    assert_eq!(rig.heard(ShopCall::Release, "1001"), 0);
    rig.close().await;
}

pub(crate) async fn s075_a_shop_that_mails_on_every_confirm_is_read_before_each_repeat(psp: Psp) {
    let mut rig = Rig::raise_at_with(psp, with_operator).await;
    careless(&rig);
    // "In review", then the review ends well without a word, and the confirm would be repeated.
    rig.place("1001", eur(PRICE));
    rig.shop(|shop| shop.change("1001", |order| order.not_yet = 1));
    let id = rig.pay("1001", eur(PRICE));
    rig.until_heard(ShopCall::Confirm, "1001", 1).await;
    let paid = rig.paid(&id);
    rig.shop(|shop| {
        shop.change("1001", |order| {
            order.standing = Standing::Confirmed;
            order.paid_by.insert(paid);
            order.mails = 1;
        });
    });
    rig.settles_once("1001").await;
    // An applied confirm whose answer is lost, with the first questions afterwards lost, too.
    rig.shop(|shop| {
        shop.lay(
            confirms("1002"),
            Times::Next(1),
            Fault::after(Symptom::Close),
        );
        shop.lay(
            lookups("1002"),
            Times::Next(2),
            Fault::before(Symptom::Html),
        );
    });
    rig.order_and_pay("1002");
    rig.until_struck("1002", 2).await;
    rig.kill9().await.unwrap();
    rig.restart().await.unwrap();
    let view = rig.settles_once("1002").await;
    assert_eq!(rig.rule(&view.id, "retry").await, 200);
    let before = rig.heard(ShopCall::LookUp, "1002");
    rig.until_heard(ShopCall::LookUp, "1002", before + 1).await;
    rig.settles_once("1002").await;
    assert_eq!(rig.heard(ShopCall::Confirm, "1002"), 1);
    rig.close().await;
}

pub(crate) async fn s076_a_hanging_confirm_blocks_the_way_back_until_it_is_resolved(psp: Psp) {
    let rig = Rig::raise_at(psp).await;
    careless(&rig);
    let hanging = Fault::delay(Span::from_seconds(90));
    rig.shop(|shop| shop.lay(confirms("1001"), Times::Next(1), hanging));
    rig.order_and_pay("1001");
    rig.until_heard(ShopCall::Confirm, "1001", 1).await;
    // Word of a cancellation comes meanwhile, from before the shop took the confirm.
    rig.world().with(|world, now| {
        world.shop.cancel("1001", "timed out", now);
        world
            .shop
            .change("1001", |order| order.standing = Standing::Confirmed);
    });
    rig.until_world("the word of the cancellation", |world| {
        let mut told = world.shop.deliveries().iter();
        told.any(|one| one.what == "order.cancelled" && one.status == Some(202))
    })
    .await;
    // Past second look and refund delay, with the confirm still in flight.
    rig.pass(Duration::from_secs(4)).await.unwrap();
    assert_eq!(rig.heard(ShopCall::Release, "1001"), 0);
    assert_eq!(rig.asked(PspCall::Refund, "1001"), 0);
    rig.settles_once("1001").await;
    assert_eq!(rig.heard(ShopCall::Confirm, "1001"), 1);
    rig.close().await;
}

pub(crate) async fn s078_a_shop_that_confirms_by_itself_right_before_the_refund_keeps_the_money(
    psp: Psp,
) {
    let rig = Rig::raise_at_with(psp, |setup| setup.policy("refund_delay", "\"2500ms\"")).await;
    // Unknown twice, then released: the refund is decided and waits.
    let id = rig.pay("1001", eur(PRICE));
    rig.until("1001", |view| {
        view.reason.as_deref() == Some("refund_delayed")
    })
    .await;
    assert!(rig.shop(|shop| shop.has_released("1001", &(psp.account.to_owned(), id.clone()))));
    // The shop's own webhook confirms it now, and nobody tells the daemon.
    let paid = rig.paid(&id);
    rig.shop(|shop| {
        shop.place_quietly("1001", eur(PRICE));
        shop.change("1001", |order| {
            order.standing = Standing::Confirmed;
            order.paid_by.insert(paid);
            order.mails = 1;
        });
    });
    rig.settles_once("1001").await;
    assert_eq!(rig.asked(PspCall::Refund, "1001"), 0);
    rig.close().await;
}

pub(crate) async fn s079_a_confirm_that_the_shop_rolled_back_is_looked_at_again_and_repeated(
    psp: Psp,
) {
    let rig = Rig::raise_at_with(psp, with_operator).await;
    rig.order_and_pay("1001");
    rig.settles_once("1001").await;
    // Not at once: the look back stands in the plan, five minutes on.
    let looks_back = |view: &reconciled::sandbox::rig::View| {
        let step = view.next_step.as_ref();
        view.verdict == "settled"
            && step.is_some_and(|step| step.action.as_deref() == Some("lookup"))
    };
    let settled = rig.until("1001", looks_back).await;
    rig.shop(|shop| {
        shop.change("1001", |order| {
            order.standing = Standing::Pending;
            order.paid_by.clear();
            order.mails = 0;
        });
    });
    // The operator brings the same look forward.
    assert_eq!(rig.rule(&settled.id, "retry").await, 200);
    rig.until_heard(ShopCall::Confirm, "1001", 2).await;
    rig.settles_once("1001").await;
    assert!(rig.psp(|psp| psp.records().refunds.is_empty()));
    rig.close().await;
}

#[tokio::test]
async fn the_operators_token_is_in_no_log() {
    let rig = Rig::raise_with(with_operator).await;
    rig.order_and_pay("1001");
    let view = rig.settles_once("1001").await;
    assert_eq!(rig.rule(&view.id, "hold").await, 200);
    rig.until_held("1001", "operator_hold").await;
    let log = std::fs::read_to_string(rig.log_path()).unwrap();
    assert!(!log.contains(TOKEN));
    rig.close().await;
}
