//! Scenarios 17 to 27 of the catalogue: what is missing, late, or told in halves.
//!
//! The real binary over real sockets. A test's name begins with the scenario's number.

use crate::support::scene::price;
use crate::support::{Psp, Rig};
use reconciled::core::time::{Span, Time};
use reconciled::sandbox::fault::{Aim, Fault, Times};
use reconciled::sandbox::psp::{PaymentStatus, PspCall};
use reconciled::sandbox::shop::{ShopCall, Standing};

/// Notes on a payment that name no order of ours.
fn strangers() -> std::collections::BTreeMap<String, String> {
    [("invoice".to_owned(), "somebody else's".to_owned())].into()
}

pub(crate) async fn s017_payers_who_close_the_tab_are_found_by_listing_the_psp(psp: Psp) {
    let rig = Rig::raise_at(psp).await;
    rig.lose_webhooks_of(None);
    // The shop never heard of the payment's id; one order was not even announced.
    let id = rig.place_and_pay("1001");
    rig.shop(|shop| shop.place_quietly("1002", price()));
    rig.pay("1002", price());
    rig.is_settled_once("1001").await;
    rig.is_settled_once("1002").await;
    let shop_knows = rig.shop(|shop| shop.order("1001").unwrap().paid_by.clone());
    assert_eq!(shop_knows, [rig.paid(&id)].into());
    assert!(rig.psp(|psp| psp.deliveries().is_empty()));
    rig.close().await;
}

pub(crate) async fn s018_orders_cancelled_by_the_return_page_a_second_before_the_money_are_as_the_shop_says(
    psp: Psp,
) {
    let rig = Rig::raise_at(psp).await;
    rig.world().with(|world, now| {
        for (reference, is_revivable) in [("1001", true), ("1002", false)] {
            world.shop.place(reference, price(), now);
            let id = world.psp.open(Some(reference), price(), now);
            let change = |order: &mut reconciled::sandbox::shop::ShopOrder| {
                order.is_revivable = is_revivable;
            };
            world.shop.change(reference, change);
            // The return page looked, saw "open", and gave the order up.
            world.shop.cancel(reference, "return_page_saw_open", now);
            world.psp.succeed(&id, now).unwrap();
        }
    });
    rig.is_settled_once("1001").await;
    rig.is_returned_once("1002").await;
    // The shop was asked before money went back: offered first, then asked to give it up.
    assert!(rig.was_heard(ShopCall::Confirm, "1002") >= 1);
    assert!(rig.was_heard(ShopCall::Release, "1002") >= 1);
    assert_eq!(rig.was_heard(ShopCall::Release, "1001"), 0);
    rig.close().await;
}

pub(crate) async fn s019_orders_whose_timer_ran_out_during_3d_secure_are_revived_refunded_or_voided(
    psp: Psp,
) {
    let rig = Rig::raise_at(psp).await;
    let id_of = |reference: &str| {
        rig.world().with(|world, now| {
            world.shop.place(reference, price(), now);
            world.psp.open(Some(reference), price(), now)
        })
    };
    let paid = [("1001", id_of("1001")), ("1002", id_of("1002"))];
    for (reference, id) in &paid {
        // The payer is away at the bank.
        rig.world()
            .with(|world, now| world.psp.process(id, now))
            .unwrap();
        let pending = |view: &reconciled::sandbox::rig::View| {
            view.verdict == "open" && view.reason.as_deref() == Some("payment_pending")
        };
        rig.until(reference, pending).await;
    }
    rig.world().with(|world, now| {
        for (reference, is_revivable) in [("1001", true), ("1002", false)] {
            world.shop.change(reference, |order| {
                order.expires_at = Some(now.minus(Span::from_seconds(1)));
                order.is_revivable = is_revivable;
            });
            world.shop.cancel(reference, "unpaid_timer", now);
        }
    });
    for (reference, id) in &paid {
        // Cancelled is not the end of it while the money may still come.
        let told = |view: &reconciled::sandbox::rig::View| {
            view.verdict == "open" && view.safe_to_retry == Some(false)
        };
        rig.until(reference, told).await;
        rig.world()
            .with(|world, now| world.psp.succeed(id, now))
            .unwrap();
    }
    // The third was authorised only, for an order that is gone.
    let held = rig.world().with(|world, now| {
        world.shop.place("1003", price(), now);
        world.shop.cancel("1003", "unpaid_timer", now);
        world.psp.authorise(Some("1003"), price(), now)
    });
    rig.is_settled_once("1001").await;
    rig.is_returned_once("1002").await;
    rig.until_world("the void", |world| {
        world.psp.records().payments[&held].status == PaymentStatus::Cancelled
    })
    .await;
    rig.until_verdict("1003", "closed").await;
    assert_eq!(rig.customer("1003").authorised, 0);
    assert_eq!(rig.customer("1003").refunds, 0);
    rig.close().await;
}

fn is_voided(rig: &Rig, payment: &str) -> bool {
    rig.psp(|psp| psp.records().payments[payment].status == PaymentStatus::Cancelled)
}

pub(crate) async fn s022_while_the_psp_cannot_be_asked_nothing_is_refunded_cancelled_or_taken_for_unpaid(
    psp: Psp,
) {
    let rig = Rig::raise_at(psp).await;
    // It has been swept whole once, so that nothing but the outage holds refunds back.
    rig.sweeps_whole(1).await;
    rig.place("1001", price());
    let pending = rig.world().with(|world, now| {
        let id = world.psp.open(Some("1001"), price(), now);
        world.psp.process(&id, now).unwrap();
        id
    });
    rig.until("1001", |view| view.payments.len() == 1).await;
    let outage = Fault::status(503);
    rig.psp(|psp| psp.lay(Aim::all(), Times::Always, outage));
    // An orphan, on its way to a refund; and a payment that its shop will confirm.
    rig.pay("1002", price());
    rig.place_and_pay("1003");
    rig.is_settled_once("1003").await;
    rig.until("1002", |view| {
        view.verdict == "refunding" && view.reason.as_deref() == Some("last_look")
    })
    .await;
    rig.until_world("three looks in vain", |world| {
        world.psp.strikes_about("1002") >= 3
    })
    .await;
    rig.until_json("/status?format=json", |status| {
        !status["accounts"][0]["last_error"].is_null()
    })
    .await;
    let view = rig.until_verdict("1001", "open").await;
    assert_eq!(view.safe_to_retry, Some(false), "{view:?}");
    assert_eq!(rig.was_heard(ShopCall::Release, "1001"), 0);
    rig.until_verdict("1002", "refunding").await;
    assert_eq!(rig.customer("1002").refunds, 0);
    rig.world().with(|world, now| {
        world.psp.heal();
        world.psp.succeed(&pending, now).unwrap();
    });
    rig.is_settled_once("1001").await;
    rig.is_returned_once("1002").await;
    rig.close().await;
}

pub(crate) async fn s023_payments_that_lists_do_not_show_yet_are_found_by_id_or_by_a_later_list(
    psp: Psp,
) {
    let rig = Rig::raise_at(psp).await;
    rig.lose_webhooks_of(Some("1002"));
    let pay_hidden = |reference: &str| {
        rig.world().with(|world, now| {
            world.shop.place(reference, price(), now);
            let id = world.psp.open(Some(reference), price(), now);
            world.psp.set_hidden(&id, true);
            world.psp.succeed(&id, now).unwrap();
            id
        })
    };
    // Told of, so found by its id; the list's silence proves nothing against it.
    pay_hidden("1001");
    let id = pay_hidden("1002");
    rig.is_settled_once("1001").await;
    // Lists were read whole, and the mark has moved past the payment.
    rig.sweeps_whole(3).await;
    let view = rig.until_verdict("1002", "open").await;
    assert!(view.payments.is_empty(), "{view:?}");
    rig.psp(|psp| psp.set_hidden(&id, false));
    rig.is_settled_once("1002").await;
    rig.is_settled_once("1001").await;
    rig.close().await;
}

#[tokio::test]
async fn s024_a_listing_that_breaks_on_page_seven_of_twelve_leaves_the_mark_where_it_was() {
    let mut rig = Rig::prepare_with(|setup| setup).await;
    rig.lose_webhooks_of(None);
    let (orphan, seventh) = rig.world().with(|world, now| {
        // Half an hour ago: a mark that moved would leave it behind.
        let then = now.minus(Span::from_minutes(30));
        for reference in ["1001", "1002"] {
            world.shop.place_quietly(reference, price());
            world.psp.pay(Some(reference), price(), then);
        }
        let orphan = world.psp.pay(Some("1003"), price(), then);
        let later = then.plus(Span::from_minutes(1));
        let others: Vec<String> = (0..1_150)
            .map(|_| world.psp.open_with(strangers(), price(), later))
            .collect();
        // Newest first, a hundred a page: page seven continues after the 600th.
        let seventh = others[others.len() - 600].clone();
        let page = Aim::kind(PspCall::List).about(&seventh);
        world.psp.lay(page, Times::Always, Fault::status(500));
        for kind in [PspCall::ListCaptures, PspCall::Events] {
            world
                .psp
                .lay(Aim::kind(kind), Times::Always, Fault::status(500));
        }
        (orphan, seventh)
    });
    rig.restart().await.unwrap();
    rig.until_world("two sweeps that broke off", |world| {
        world.psp.strikes_about(&seventh) >= 2
    })
    .await;
    let status = rig
        .until_json("/status?format=json", |status| {
            !status["accounts"][0]["last_error"].is_null()
        })
        .await;
    assert!(status["accounts"][0]["swept_at"].is_null(), "{status}");
    assert!(rig.views("1001").await.unwrap().is_empty());
    // Half a list is no list: no refund leaves on the strength of it.
    rig.world().with(|world, now| {
        world.psp.heal();
        world.psp.lay(
            Aim::kind(PspCall::List).about(&seventh),
            Times::Always,
            Fault::status(500),
        );
        world.psp.tell_again(&orphan, now).unwrap();
    });
    rig.until_log("awaiting_sweep", 1).await;
    assert_eq!(rig.customer("1003").refunds, 0);
    rig.psp(|psp| psp.heal());
    rig.is_settled_once("1001").await;
    rig.is_settled_once("1002").await;
    rig.is_returned_once("1003").await;
    rig.close().await;
}

#[tokio::test]
async fn s025_payments_with_equal_timestamps_at_every_edge_are_all_found() {
    let mut rig = Rig::prepare_with(|setup| setup).await;
    let now = rig.world().now();
    let edge = Time::from_seconds(now.seconds() - 600);
    let since = reconciled::core::time::Time::from_seconds(edge.seconds());
    let written = jiff::Timestamp::from_second(since.seconds()).unwrap();
    let since = format!("\"{written}\"");
    rig.setup_mut().account.insert("since".to_owned(), since);
    rig.write_config().unwrap();
    rig.lose_webhooks_of(None);
    let pay_at_edge = |rig: &Rig, reference: &str, at: Time| {
        rig.world().with(|world, _| {
            world.shop.place_quietly(reference, price());
            world.psp.pay(Some(reference), price(), at)
        })
    };
    // Two of ours in the window's first second, one a second too early, and enough others in
    // that same second that a page ends between the two.
    pay_at_edge(&rig, "1000", edge.minus(Span::from_seconds(1)));
    pay_at_edge(&rig, "1001", edge);
    rig.psp(|psp| {
        for _ in 0..99 {
            psp.open_with(strangers(), price(), edge);
        }
    });
    pay_at_edge(&rig, "1002", edge);
    rig.restart().await.unwrap();
    rig.is_settled_once("1001").await;
    rig.is_settled_once("1002").await;
    rig.sweeps_whole(1).await;
    // Another of the same second turns up after the mark has long passed it.
    pay_at_edge(&rig, "1003", edge);
    rig.is_settled_once("1003").await;
    let early = rig.views("1000").await.unwrap();
    assert!(
        early.iter().all(|view| view.verdict == "foreign"),
        "{early:?}"
    );
    assert_eq!(rig.customer("1000").mails, 0);
    rig.close().await;
}

pub(crate) async fn s027_authorisations_without_an_order_are_voided_and_a_capture_slipping_in_is_refunded(
    psp: Psp,
) {
    let rig = Rig::raise_at(psp).await;
    let (held, slipped, kept) = rig.world().with(|world, now| {
        let held = world.psp.authorise(Some("1001"), price(), now);
        let slipped = world.psp.authorise(Some("1002"), price(), now);
        world.psp.let_capture_slip_in(&slipped);
        // One with an order waits for the shop's capture.
        world.shop.place("1003", price(), now);
        let kept = world.psp.authorise(Some("1003"), price(), now);
        (held, slipped, kept)
    });
    let view = rig.until_verdict("1001", "closed").await;
    assert_eq!(view.reason.as_deref(), Some("voided"));
    assert!(is_voided(&rig, &held));
    let customer = rig.fine("1001");
    assert_eq!((customer.charged, customer.refunds), (0, 0));
    let customer = rig.is_returned_once("1002").await;
    assert_eq!((customer.charged, customer.refunded), (5_995, 5_995));
    assert!(!is_voided(&rig, &slipped));
    for reference in ["1001", "1002"] {
        assert!(rig.was_heard(ShopCall::Release, reference) >= 1);
        assert_eq!(rig.was_heard(ShopCall::Confirm, reference), 0);
    }
    let view = rig.until_verdict("1003", "open").await;
    assert_eq!(view.reason.as_deref(), Some("awaiting_capture"));
    assert!(!is_voided(&rig, &kept));
    let standing = rig.shop(|shop| shop.order("1003").unwrap().standing);
    assert_eq!(standing, Standing::Pending);
    rig.world()
        .with(|world, now| world.psp.capture(&kept, now))
        .unwrap();
    rig.is_settled_once("1003").await;
    rig.close().await;
}
