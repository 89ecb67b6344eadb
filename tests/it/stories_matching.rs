//! Scenarios 33 to 41 of the catalogue: money and orders that do not quite fit.
//!
//! The real binary over real sockets. A test's name begins with the scenario's number.

use crate::support::scene::price;
use crate::support::{Psp, Rig};
use reconciled::clock::Clock;
use reconciled::core::time::Span;
use reconciled::sandbox::psp::kind::Place;
use reconciled::sandbox::rig::{View, eur};
use reconciled::sandbox::server::{self, Side};
use reconciled::sandbox::shop::{SandboxShop, ShopCall};
use reconciled::sandbox::sign::StandardSecret;
use reconciled::sandbox::world::{SharedWorld, World};
use reconciled::wire::Method;
use serde_json::Value;
use std::net::SocketAddr;
use std::time::Duration;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

/// The checkout's timeline, as one text.
async fn timeline(rig: &Rig, view: &View) -> String {
    let path = format!("/api/v1/checkouts/{}", view.id);
    let answer = rig.admin_call(Method::Get, &path, b"").await.unwrap();
    String::from_utf8(answer.body).unwrap()
}

pub(crate) async fn s033_one_cent_apart_is_within_the_tolerance_and_two_cents_are_not(psp: Psp) {
    let rig = Rig::raise_at_with(psp, |setup| {
        setup.policy("tolerance", "{ value = \"0.01\", currency = \"EUR\" }")
    })
    .await;
    rig.shop(|shop| shop.set_tolerance(1));
    for (reference, paid) in [
        ("1001", 5_994),
        ("1002", 5_996),
        ("1003", 5_993),
        ("1004", 5_997),
    ] {
        rig.place(reference, price());
        rig.pay(reference, eur(paid));
    }
    for (reference, paid) in [("1001", 5_994), ("1002", 5_996)] {
        let view = rig.until_verdict(reference, "settled").await;
        let customer = rig.customer(reference);
        let counts = (customer.charged, customer.refunds, customer.mails);
        assert_eq!(counts, (paid, 0, 1), "{customer:?}");
        // What was truly paid stands in the record.
        let written = format!("59.{:02}", paid - 5_900);
        assert!(timeline(&rig, &view).await.contains(&written));
    }
    rig.is_held_for("1003", "underpaid_held").await;
    assert_eq!(rig.was_heard(ShopCall::Confirm, "1003"), 0);
    // Two cents too many are no rounding: exactly they go back, not one of them.
    rig.until("1004", |view| {
        view.verdict == "settled" && rig.customer("1004").refunds > 0
    })
    .await;
    let customer = rig.fine("1004");
    assert_eq!(
        (customer.refunds, customer.refunded),
        (1, 2),
        "{customer:?}"
    );
    rig.close().await;
}

pub(crate) async fn s036_too_little_waits_for_the_rest_and_is_then_held(psp: Psp) {
    let rig = Rig::raise_at_with(psp, |setup| setup.policy("order_grace", "\"4s\"")).await;
    for reference in ["1001", "1002"] {
        rig.place(reference, price());
        rig.pay(reference, eur(4_000));
        let waits = |view: &View| {
            view.verdict == "confirming" && view.reason.as_deref() == Some("awaiting_rest")
        };
        rig.until(reference, waits).await;
    }
    // The rest comes in another tender.
    rig.pay("1001", eur(1_995));
    rig.until_verdict("1001", "settled").await;
    let customer = rig.fine("1001");
    let counts = (customer.payments, customer.refunds, customer.mails);
    assert_eq!(counts, (2, 0, 1), "{customer:?}");
    let named = rig.shop(|shop| shop.order("1001").unwrap().paid_by.len());
    assert_eq!(named, 2);
    // Or it does not.
    rig.is_held_for("1002", "underpaid_held").await;
    assert_eq!(rig.was_heard(ShopCall::Confirm, "1002"), 0);
    // Even a held one is not beyond help.
    rig.pay("1002", eur(1_995));
    rig.until_verdict("1002", "settled").await;
    assert_eq!(rig.fine("1002").refunds, 0);
    rig.close().await;
}

pub(crate) async fn s036_too_little_goes_back_whole_where_the_policy_says_so(psp: Psp) {
    let rig = Rig::raise_at_with(psp, |setup| setup.policy("underpayment", "\"refund\"")).await;
    rig.place("1001", price());
    rig.pay("1001", eur(4_000));
    let customer = rig.is_returned_once("1001").await;
    assert_eq!(customer.refunded, 4_000);
    assert_eq!(rig.was_heard(ShopCall::Confirm, "1001"), 0);
    assert!(rig.was_heard(ShopCall::Release, "1001") >= 1);
    rig.close().await;
}

pub(crate) async fn s037_too_much_is_confirmed_and_exactly_the_excess_goes_back(psp: Psp) {
    let rig = Rig::raise_at(psp).await;
    rig.place("1001", price());
    rig.pay("1001", eur(7_000));
    the_excess_goes_back(&rig, "1001").await;
    rig.fine("1001");
    rig.close().await;
}

pub(crate) async fn s037_the_excess_is_against_the_price_when_it_was_paid(psp: Psp) {
    let rig = Rig::raise_at(psp).await;
    rig.lose_webhooks_of(Some("1002"));
    // Staff lowers an order after it was paid, before we hear of the payment: the excess is
    // against what was agreed when it was paid.
    rig.world().with(|world, now| {
        world.shop.place("1002", price(), now);
    });
    rig.until_verdict("1002", "open").await;
    rig.pass(Duration::from_secs(2)).await.unwrap();
    rig.world().with(|world, now| {
        let paid_at = now.minus(Span::from_seconds(1));
        world.psp.pay(Some("1002"), eur(7_000), paid_at);
        world.shop.reprice("1002", eur(5_000), now);
    });
    the_excess_goes_back(&rig, "1002").await;
    rig.close().await;
}

/// The order of the usual price, paid with 70 euros, is confirmed, and the rest goes back.
async fn the_excess_goes_back(rig: &Rig, reference: &str) {
    let is_over = |view: &View| view.verdict == "settled" && rig.customer(reference).refunds > 0;
    rig.until(reference, is_over).await;
    let customer = rig.customer(reference);
    let counts = (customer.refunds, customer.refunded, customer.mails);
    assert_eq!(counts, (1, 1_005, 1), "{reference}: {customer:?}");
    assert!(customer.is_confirmed);
    assert_eq!(rig.was_heard(ShopCall::Release, reference), 0);
}

pub(crate) async fn s040_a_small_payment_for_an_expensive_order_is_held_as_suspicious(psp: Psp) {
    let mut rig = Rig::raise_at_with(psp, |setup| setup.policy("underpayment", "\"refund\"")).await;
    rig.expect_error("the guard stopped this shop's refunds");
    rig.place("1001", eur(129_900));
    rig.pay("1001", eur(250));
    // Off by a power of ten is somebody's bug.
    rig.place("1002", eur(59_950));
    rig.pay("1002", eur(5_995));
    rig.is_held_for("1001", "amount_suspicious").await;
    rig.is_held_for("1002", "amount_off_by_power_of_ten").await;
    rig.sweeps_whole(2).await;
    for (reference, reason) in [
        ("1001", "amount_suspicious"),
        ("1002", "amount_off_by_power_of_ten"),
    ] {
        let view = rig.is_held_for(reference, reason).await;
        assert!(view.in_suspense.is_some_and(|money| money.is_positive()));
        assert_eq!(rig.was_heard(ShopCall::Confirm, reference), 0);
        assert_eq!(rig.was_heard(ShopCall::Release, reference), 0);
    }
    // Nobody is told a held checkout is fine.
    let status = |status: &Value| status["level"] == "red";
    rig.until_json("/status?format=json", status).await;
    rig.close().await;
}

/// A second shop on the same PSP account, with a server of its own.
struct SecondShop {
    world: SharedWorld,
    address: SocketAddr,
    stop: CancellationToken,
    tracker: TaskTracker,
}

impl SecondShop {
    const KEY: &[u8; 32] = b"sandbox-key-of-the-other-shop!!!";

    async fn open() -> SecondShop {
        let mut world = World::new();
        world.shop = SandboxShop::new(StandardSecret::from_key(SecondShop::KEY));
        let world = SharedWorld::new(world, Clock::System);
        let (stop, tracker) = (CancellationToken::new(), TaskTracker::new());
        let address = server::start(Side::Shop, world.clone(), &tracker, stop.clone());
        let address = address.await.unwrap();
        SecondShop {
            world,
            address,
            stop,
            tracker,
        }
    }

    /// The part of the configuration about it and its own name for the account at the PSP; `mark`
    /// are further keys of that.
    fn toml(&self, rig: &Rig, mark: &str) -> String {
        let secret = StandardSecret::from_key(SecondShop::KEY).written();
        let (address, kind) = (self.address, rig.kind());
        let config = rig.config_path();
        let place = Place {
            api_base: &format!("http://{}", rig.psp_address()),
            dir: config.parent().unwrap(),
        };
        let own = (kind.config)(&kind.setup(), &place).into_iter();
        let own: Vec<String> = own.map(|(key, value)| format!("{key} = {value}")).collect();
        let (word, own) = (kind.word, own.join("\n"));
        format!(
            r#"
[shop.sandalen]
name = "Sandalenwinkel"
kind = "generic"
mode = "full"
url = "http://{address}/reconciled"
secret = {{ value = "{secret}" }}
[shop.sandalen.policy]
order_grace = "1s"
second_look = "500ms"
refund_delay = "1s"
[psp.the_same]
kind = "{word}"
shop = "sandalen"
{own}
claims = "referenced"
since = "2020-01-01T00:00:00Z"
sweep_every = "1s"
sweep_window = "1h"
live = false
{mark}
"#
        )
    }

    fn was_heard(&self, kind: ShopCall) -> usize {
        let shop = &self.world.lock().shop;
        shop.heard().iter().filter(|one| one.kind == kind).count()
    }

    fn mails(&self, reference: &str) -> u32 {
        let shop = &self.world.lock().shop;
        shop.order(reference).map_or(0, |order| order.mails)
    }

    async fn close(self) {
        self.stop.cancel();
        self.tracker.close();
        self.tracker.wait().await;
    }
}

/// The view of one reference at one shop, once it has this verdict.
async fn at_shop(rig: &Rig, shop: &str, reference: &str, verdict: &str) -> Value {
    let path = format!("/api/v1/checkouts?shop={shop}&reference={reference}");
    let is_so = |list: &Value| list["checkouts"][0]["verdict"] == verdict;
    rig.until_json(&path, is_so).await["checkouts"][0].take()
}

pub(crate) async fn s041_the_shops_mark_says_whose_an_order_number_in_two_shops_is(psp: Psp) {
    let second = SecondShop::open().await;
    let mut rig = Rig::prepare_at_with(psp, |setup| {
        let ours = "[\"metadata.klompen_order\"]";
        let pattern = "\"^1[0-9]{3}$\"";
        setup
            .account("reference", ours)
            .account("reference_pattern", pattern)
    })
    .await;
    let mark = "reference = [\"metadata.sandalen_order\"]\nreference_pattern = \"^[0-9]{4}$\"";
    let more = second.toml(&rig, mark);
    rig.setup_mut().more = more;
    rig.write_config().unwrap();
    rig.restart().await.unwrap();
    // Both shops have an order 1001; only the second's was paid.
    rig.place("1001", price());
    second
        .world
        .with(|world, now| world.shop.place("1001", price(), now));
    let pay = |field: &str, reference: &str| {
        let notes = [(field.to_owned(), reference.to_owned())].into();
        rig.world().with(|world, now| {
            let id = world.psp.open_with(notes, price(), now);
            world.psp.succeed(&id, now).unwrap();
        });
    };
    pay("sandalen_order", "1001");
    let settled = at_shop(&rig, "sandalen", "1001", "settled").await;
    assert_eq!(settled["payments"][0]["account"], "the_same");
    assert_eq!(second.mails("1001"), 1);
    at_shop(&rig, "klompen", "1001", "open").await;
    assert_eq!(rig.was_heard(ShopCall::Confirm, "1001"), 0);
    // An orphan at each. Each shop can show by its order 1001 that it finds what it has.
    pay("klompen_order", "1002");
    pay("sandalen_order", "1003");
    at_shop(&rig, "klompen", "1002", "returned").await;
    at_shop(&rig, "sandalen", "1003", "returned").await;
    rig.sweeps_whole(2).await;
    rig.world().with(|world, _| {
        let refunds = world.psp.records().refunds.values();
        let amounts: Vec<i64> = refunds.map(|refund| refund.amount).collect();
        assert_eq!(amounts, [5_995, 5_995]);
    });
    rig.close().await;
    second.close().await;
}

pub(crate) async fn s041_without_a_mark_nobody_confirms_or_refunds_what_may_be_the_others(
    psp: Psp,
) {
    let second = SecondShop::open().await;
    let mut rig = Rig::prepare_at_with(psp, |setup| setup).await;
    let more = second.toml(&rig, "");
    rig.setup_mut().more = more;
    rig.write_config().unwrap();
    rig.restart().await.unwrap();
    // An order number that both shops have, and one that only the other has.
    rig.place("1001", price());
    second.world.with(|world, now| {
        world.shop.place_quietly("1001", price());
        world.shop.place("1002", price(), now);
    });
    rig.pay("1001", price());
    rig.pay("1002", price());
    for (shop, reference) in [
        ("klompen", "1001"),
        ("sandalen", "1001"),
        ("klompen", "1002"),
    ] {
        let held = at_shop(&rig, shop, reference, "held").await;
        assert_eq!(held["reason"], "owner_ambiguous", "{held}");
    }
    rig.sweeps_whole(3).await;
    assert_eq!(rig.was_heard(ShopCall::Confirm, "1001"), 0);
    assert_eq!(second.was_heard(ShopCall::Confirm), 0);
    assert_eq!(second.mails("1001"), 0);
    let refunds = rig.psp(|psp| psp.records().refunds.len());
    assert_eq!(refunds, 0);
    rig.close().await;
    second.close().await;
}
