//! Three daemons on one database are killed at random moments and stopped past their leases, with
//! traffic of every kind in flight; at the end every customer has what was paid for or the money
//! back, once.
//!
//! The seed of a run is printed, as of the story of one daemon; its judges are the same.

use super::{Chance, Kind, assert_audit, assert_books, assert_inbox, books, seed, trouble};
use crate::support::story::unbraked;
use crate::support::{Keeps, Psp, Rig};
use reconciled::sandbox::books::Judgement;
use reconciled::sandbox::psp::stripe;
use reconciled::sandbox::rig::{Fellow, Setup};
use reconciled::work::dispatch::LEASE_FOR;
use std::cell::{Cell, RefCell};
use std::collections::BTreeMap;
use std::time::Duration;

/// How often daemons are killed or stopped in all, at least.
const DISTURBANCES: u32 = 104;
/// The longest that a daemon lives before it is killed, ready or not, in milliseconds.
const LIFE_MS_MAX: u64 = 600;
/// A daemon that sleeps wakes up this long after its leases are over.
const SLEEP_OVER: Duration = Duration::from_millis(1_500);
/// The longest pause between two customers, in milliseconds.
const ARRIVAL_MS_MAX: u64 = 500;
/// Most customers, so that a slow machine does not get more of them for being slow.
const CUSTOMERS_MAX: usize = 140;

const ON_POSTGRES: Psp = Psp {
    kind: &stripe::KIND,
    keeps: Keeps::Postgres,
};

pub(super) fn hasty(setup: Setup) -> Setup {
    unbraked(setup)
        .policy("order_grace", "\"500ms\"")
        .policy("second_look", "\"200ms\"")
        .policy("refund_delay", "\"200ms\"")
        .account("sweep_every", "\"500ms\"")
}

/// What the tormentors have in common.
struct Torment<'a> {
    rig: &'a Rig,
    chance: RefCell<Chance>,
    kills: Cell<u32>,
    sleeps: Cell<u32>,
    asleep_or_due: Cell<u32>,
}

impl Torment<'_> {
    fn is_over(&self) -> bool {
        self.kills.get() + self.sleeps.get() >= DISTURBANCES && self.asleep_or_due.get() == 0
    }

    fn life(&self) -> Duration {
        self.chance.borrow_mut().millis(LIFE_MS_MAX)
    }

    async fn pass(&self, span: Duration) {
        self.rig.pass(span).await.unwrap();
    }

    /// Kills a daemon again and again, `until` says otherwise.
    async fn kill(&self, fellow: &mut Fellow, until: impl Fn() -> bool) {
        while !until() {
            // Killed while it starts as well as when it is at work.
            let started = tokio::time::timeout(self.life(), fellow.restart()).await;
            if started.is_ok() {
                self.pass(self.life()).await;
            }
            fellow.kill9().await.unwrap();
            self.kills.set(self.kills.get() + 1);
        }
    }

    /// Stops a daemon in the midst of its work until its leases are others'.
    async fn stun(&self, fellow: &mut Fellow) {
        fellow.restart().await.unwrap();
        self.pass(Duration::from_millis(700)).await;
        fellow.signal("STOP").await.unwrap();
        let lease = Duration::from_micros(LEASE_FOR.micros());
        self.pass(lease + SLEEP_OVER).await;
        fellow.signal("CONT").await.unwrap();
        self.sleeps.set(self.sleeps.get() + 1);
        self.pass(Duration::from_millis(1_000)).await;
        self.asleep_or_due.set(self.asleep_or_due.get() - 1);
    }
}

#[tokio::test]
async fn three_daemons_killed_and_stopped_again_and_again_lose_double_and_mix_nothing() {
    let seed = seed();
    println!("RECONCILED_KILL_SEED={seed}");
    // The rig's own daemon is the judge's: it starts when the storm is over.
    let mut rig = Rig::prepare_at_with(ON_POSTGRES, hasty).await;
    // Any repeated confirm shows in the books as a second mail.
    rig.shop(|shop| shop.set_careless(true));
    let mut fellows = ["first", "second", "third"].map(|name| rig.fellow(name).unwrap());
    let [first, second, third] = &mut fellows;
    let customers = RefCell::new(BTreeMap::new());
    let torment = Torment {
        rig: &rig,
        chance: RefCell::new(Chance(seed)),
        kills: Cell::new(0),
        sleeps: Cell::new(0),
        asleep_or_due: Cell::new(2),
    };
    let kills_of_second = Cell::new(0);
    let begun = rig.world().now();
    tokio::join!(
        torment.kill(first, || torment.is_over()),
        async {
            // Killed for a while, then asleep while the third is awake again.
            torment
                .kill(second, || {
                    kills_of_second.set(kills_of_second.get() + 1);
                    kills_of_second.get() > 4
                })
                .await;
            torment.stun(second).await;
            torment.kill(second, || torment.is_over()).await;
        },
        async {
            torment.stun(third).await;
            torment.kill(third, || torment.is_over()).await;
        },
        async {
            while !torment.is_over() {
                if customers.borrow().len() < CUSTOMERS_MAX {
                    arrive(&rig, &torment.chance, &customers);
                }
                let pause = torment.chance.borrow_mut().millis(ARRIVAL_MS_MAX);
                torment.pass(pause).await;
            }
        },
    );
    let stormed = rig.world().now().since(begun);
    let (kills, sleeps) = (torment.kills.get(), torment.sleeps.get());
    let customers = customers.into_inner();
    rig.psp(|psp| psp.heal());
    rig.shop(|shop| shop.heal());
    for fellow in &mut fellows {
        fellow.restart().await.unwrap();
    }
    rig.restart().await.unwrap();
    rig.set_patience(Duration::from_secs(120));
    settle(&rig, &customers).await;
    assert_books(&rig, &customers);
    rig.sigterm().await.unwrap();
    for fellow in fellows {
        assert_eq!(fellow.close().await.unwrap(), Vec::<String>::new());
    }
    assert_inbox(&rig).await;
    assert_audit(&rig);
    println!(
        "{} customers, {kills} kills, {sleeps} sleeps in {} s, all told after {} s",
        customers.len(),
        stormed.seconds(),
        rig.world().now().since(begun).seconds(),
    );
    rig.close().await;
}

pub(super) fn arrive(
    rig: &Rig,
    chance: &RefCell<Chance>,
    customers: &RefCell<BTreeMap<String, Kind>>,
) {
    let mut chance = chance.borrow_mut();
    let reference = format!("{}", 1_000 + customers.borrow().len());
    for _ in 0..chance.below(4) {
        trouble(rig, &mut chance, &reference);
    }
    let kind = Kind::chosen(&mut chance);
    kind.arrive(rig, &reference);
    customers.borrow_mut().insert(reference, kind);
}

/// Waits until every customer's story is at its end.
pub(super) async fn settle(rig: &Rig, customers: &BTreeMap<String, Kind>) {
    for (reference, kind) in customers {
        let (verdict, expected) = kind.end();
        rig.until_verdict(reference, verdict).await;
        rig.until_world(&format!("the books of {reference}, {kind:?}"), |world| {
            let books_now = world.books();
            let customer = &books_now[reference];
            let is_wrong = [Judgement::ConfirmedTwice, Judgement::RefundedTwice]
                .contains(&customer.judgement());
            is_wrong || books(customer) == expected
        })
        .await;
    }
    rig.until_world("the last deliveries", |world| {
        world.psp.is_quiet() && world.shop.is_quiet()
    })
    .await;
}

#[tokio::test]
async fn two_daemons_on_one_database_share_the_work() {
    let mut rig = Rig::prepare_at_with(ON_POSTGRES, hasty).await;
    let mut second = rig.fellow("second").unwrap();
    rig.restart().await.unwrap();
    second.restart().await.unwrap();
    for number in 1_001..1_041 {
        rig.place_and_pay(&number.to_string());
    }
    for number in 1_001..1_041 {
        rig.is_settled_once(&number.to_string()).await;
    }
    let own = rig.until_answer("/metrics", |answer| answer.status == 200);
    let own = String::from_utf8(own.await.body).unwrap();
    let counts = [own, second.metrics().await.unwrap()].map(|text| confirms(&text));
    assert!(counts.iter().all(|count| *count > 0), "{counts:?}");
    assert_eq!(counts.iter().sum::<u64>(), 40, "{counts:?}");
    assert_eq!(second.close().await.unwrap(), Vec::<String>::new());
    rig.sigterm().await.unwrap();
    assert_audit(&rig);
    rig.close().await;
}

/// Confirms that a daemon carried out.
fn confirms(metrics: &str) -> u64 {
    let lines = metrics.lines();
    let counts = lines.filter_map(|line| {
        let rest = line.strip_prefix("reconciled_actions_total{")?;
        let (labels, count) = rest.split_once("} ")?;
        let is_it = labels.contains("kind=\"confirm\"");
        is_it.then(|| count.parse::<u64>().unwrap())
    });
    counts.sum()
}
