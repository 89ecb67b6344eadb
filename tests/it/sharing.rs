//! What shops and daemons have in common and must not take from each other: a shop's backlog is not
//! the others' wait, daemons on one database share the work, and the limits hold for all together.
//!
//! `RECONCILED_BACKLOG` makes the backlogs larger, to measure.

use crate::support::scene::price;
use crate::support::story::{swept_once, unbraked};
use crate::support::{Keeps, Psp, Rig};
use reconciled::core::ids::ShopId;
use reconciled::core::time::Time;
use reconciled::sandbox::fault::{Aim, Fault, Symptom, Times};
use reconciled::sandbox::psp::stripe;
use reconciled::sandbox::rig::{Fellow, Setup};
use reconciled::store::{NewDelivery, Sender};
use std::time::Duration;

const ON_POSTGRES: Psp = Psp {
    kind: &stripe::KIND,
    keeps: Keeps::Postgres,
};
const IN_A_FILE: Psp = Psp {
    kind: &stripe::KIND,
    keeps: Keeps::File,
};

/// Deliveries of the other shop that wait when the daemons start.
const BACKLOG: usize = 12_000;
/// Deliveries that are appended at once.
const CHUNK: usize = 1_000;
/// Customers who come while the backlog is there.
const CUSTOMERS: usize = 3;

const WAITING: &str = "reconciled_backlog{queue=\"deliveries_pending\"}";

/// Another shop beside the rig's own; nobody answers for it.
fn beside_another_shop(mut setup: Setup) -> Setup {
    setup.more = "[shop.fietsen]\nkind = \"generic\"\nurl = \"http://127.0.0.1:9/reconciled\"\n\
                  secret = { value = \"whsec_YmFja2xvZy1iYWNrbG9nLWJhY2tsb2ctYmFja2xvZyE=\" }\n\
                  mode = \"full\"\n"
        .to_owned();
    swept_once(setup)
}

#[expect(
    clippy::disallowed_methods,
    reason = "a measurement may be asked for larger from outside"
)]
fn backlog() -> usize {
    let told = std::env::var("RECONCILED_BACKLOG").ok();
    told.map_or(BACKLOG, |count| count.parse().unwrap())
}

/// An order that the other shop announced.
fn announced(number: usize, received_at: Time) -> NewDelivery {
    let body = format!(
        r#"{{"type":"order.pending","timestamp":"2026-11-22T00:00:00Z","data":{{"reference":"f-{number}","amount":{{"value":"59.95","currency":"EUR"}}}}}}"#
    );
    NewDelivery {
        sender: Sender::Shop(ShopId::parse("fietsen").unwrap()),
        delivery_id: format!("msg_{number}"),
        received_at,
        told_at: None,
        is_signed: true,
        body: body.into_bytes(),
    }
}

/// Leaves a backlog of the other shop in the store of a daemon that is yet to be started.
async fn leave_backlog(rig: &Rig, count: usize) {
    let now = rig.world().now();
    let store = rig.open_store().await;
    let numbers: Vec<usize> = (0..count).collect();
    for chunk in numbers.chunks(CHUNK) {
        let batch: Vec<NewDelivery> = chunk.iter().map(|nr| announced(*nr, now)).collect();
        store.append(&batch).await.unwrap();
    }
    store.close().await;
}

async fn customers_are_served_beside_the_backlog_of_another_shop(psp: Psp) {
    let mut rig = Rig::prepare_at_with(psp, beside_another_shop).await;
    leave_backlog(&rig, backlog()).await;
    rig.restart().await.unwrap();
    for number in 0..CUSTOMERS {
        let order = format!("100{number}");
        let begun = rig.world().now();
        rig.place_and_pay(&order);
        rig.is_settled_once(&order).await;
        let took = rig.world().now().since(begun);
        let waiting = rig.metric(WAITING).await.unwrap();
        println!("{order} settled after {took:?}, {waiting} deliveries of the other shop wait");
        assert!(
            waiting > 0,
            "{order} had to wait for the other shop's backlog"
        );
    }
    rig.close().await;
}

#[tokio::test]
async fn a_backlog_of_one_shop_in_a_file_is_not_anothers_wait() {
    customers_are_served_beside_the_backlog_of_another_shop(IN_A_FILE).await;
}

#[tokio::test]
async fn a_backlog_of_one_shop_on_postgres_is_not_anothers_wait() {
    customers_are_served_beside_the_backlog_of_another_shop(ON_POSTGRES).await;
}

/// A figure among a daemon's metrics.
fn figure(metrics: &str, name: &str) -> usize {
    let mut lines = metrics.lines();
    let found = lines.find_map(|line| line.strip_prefix(name));
    found.map_or(0, |figure| figure.trim().parse().unwrap())
}

/// Units that a daemon committed, and those that met a conflict.
fn units(metrics: &str) -> (usize, usize) {
    let of = |result| {
        let name = format!("reconciled_engine_units_total{{result=\"{result}\"}}");
        figure(metrics, &name)
    };
    (of("done"), of("conflict"))
}

async fn own_metrics(rig: &Rig) -> String {
    rig.until_page("/metrics", |page| page.contains(WAITING))
        .await
}

/// A rig on PostgreSQL with another daemon on its database; neither is started.
async fn two_daemons(change: impl FnOnce(Setup) -> Setup) -> (Rig, Fellow) {
    let rig = Rig::prepare_at_with(ON_POSTGRES, change).await;
    let fellow = rig.fellow("second").unwrap();
    (rig, fellow)
}

#[tokio::test]
async fn two_daemons_share_a_backlog_and_decide_next_to_nothing_twice() {
    let (mut rig, mut fellow) = two_daemons(beside_another_shop).await;
    let count = backlog();
    leave_backlog(&rig, count).await;
    let (one, other) = tokio::join!(rig.restart(), fellow.restart());
    one.unwrap();
    other.unwrap();
    rig.is_drained().await;
    let (done, conflicts) = units(&own_metrics(&rig).await);
    let (done_there, conflicts_there) = units(&fellow.metrics().await.unwrap());
    println!(
        "{done} and {done_there} units committed, {conflicts} and {conflicts_there} in conflict"
    );
    assert!(done + done_there >= count);
    assert!(done.min(done_there) > count / 20, "one did it all");
    assert!(conflicts + conflicts_there < count / 20, "done twice");
    assert_eq!(fellow.close().await.unwrap(), Vec::<String>::new());
    rig.close().await;
}

#[tokio::test]
async fn the_hours_limit_of_refunds_holds_for_two_daemons_together() {
    let (mut rig, mut fellow) =
        two_daemons(|setup| unbraked(setup).policy("max_refunds_per_hour", "3")).await;
    let stopped = "the guard stopped this shop's refunds";
    rig.expect_error(stopped);
    let orders: Vec<String> = (1001..1021).map(|number| number.to_string()).collect();
    rig.world().with(|world, now| {
        for order in &orders {
            world.shop.place_quietly(order, price());
            world.shop.cancel_quietly(order, "sold_out");
            world.psp.pay(Some(order), price(), now);
        }
    });
    let (one, other) = tokio::join!(rig.restart(), fellow.restart());
    one.unwrap();
    other.unwrap();
    let mut returned = 0;
    for order in &orders {
        let ended = rig.until(order, |view| {
            view.verdict == "returned" || view.reason.as_deref() == Some("guard_refunds")
        });
        returned += usize::from(ended.await.verdict == "returned");
    }
    assert_eq!(returned, 3);
    assert_eq!(rig.psp(|psp| psp.records().refunds.len()), 3);
    let errors = fellow.close().await.unwrap();
    assert!(
        errors.iter().all(|error| error.contains(stopped)),
        "{errors:?}"
    );
    rig.close().await;
}

#[tokio::test]
async fn a_shop_that_is_down_is_tried_by_two_daemons_no_more_than_by_two_breakers() {
    let (mut rig, mut fellow) = two_daemons(swept_once).await;
    let (one, other) = tokio::join!(rig.restart(), fellow.restart());
    one.unwrap();
    other.unwrap();
    let down = Fault::before(Symptom::Close);
    rig.shop(|shop| shop.lay(Aim::all(), Times::Always, down));
    let orders: Vec<String> = (1001..1061).map(|number| number.to_string()).collect();
    orders.iter().for_each(|order| {
        rig.place_and_pay(order);
    });
    // Until pauses of 1, 2 and 4 s are over.
    rig.pass(Duration::from_secs(8)).await.unwrap();
    let strikes = |rig: &Rig| -> usize {
        let of = |world: &reconciled::sandbox::world::World| {
            orders.iter().map(|order| world.strikes_about(order)).sum()
        };
        rig.world().with(|world, _| of(world))
    };
    let struck = strikes(&rig);
    let broken = "reconciled_breaker_open{destination=\"shop:klompen\"}";
    println!("{struck} calls to a shop that is down");
    assert_eq!(figure(&own_metrics(&rig).await, broken), 1);
    assert_eq!(figure(&fellow.metrics().await.unwrap(), broken), 1);
    // Of each daemon: eight calls that were under way together, those before the breaker opened, and
    // single ones after pauses of 1, 2 and 4 s.
    assert!((10..=2 * (8 + 5 + 4)).contains(&struck), "{struck}");
    rig.shop(|shop| shop.heal());
    for order in &orders {
        rig.is_settled_once(order).await;
    }
    assert_eq!(fellow.close().await.unwrap(), Vec::<String>::new());
    rig.close().await;
}
