//! The scenes of the demo: what happens to whom, and how it must end.
//!
//! The plain ones stand in a table and play at the same time; three need more than one step and
//! have a function each. Knows the sandbox world and the rig.

use super::cast::{Cast, Fate};
use crate::clock::Clock;
use crate::core::time::{Span, Time};
use crate::sandbox::books::Customer;
use crate::sandbox::fault::{Aim, Fault, Symptom, Times};
use crate::sandbox::outbox::DeliveryFault;
use crate::sandbox::psp::{Ability, Kind, PspCall};
use crate::sandbox::rig::{Rig, RigError, View};
use crate::sandbox::shop::ShopCall;
use crate::sandbox::world::World;
use std::time::Duration;

/// How long the shop stays down.
const OUTAGE: Duration = Duration::from_secs(3);
/// How long a webhook is held up on its way.
const HELD_UP_FOR: Span = Span::from_seconds(3);
/// How long answers are held back so that the daemon dies while it waits for them.
const HELD_BACK: Span = Span::from_seconds(5);

/// A scene of one step.
pub(super) struct Scene {
    pub(super) title: &'static str,
    pub(super) story: &'static str,
    play: fn(&mut World, &Cast, Time),
    fate: Fate,
    /// Faults that must have struck, or the scene has shown nothing.
    strikes: usize,
}

/// A webhook that never comes, where the PSP can be asked for a list.
const LOST: Scene = Scene {
    title: "A webhook that never comes",
    story: "The PSP's webhooks about this payment are all lost; only a sweep can find it.",
    play: |world, cast, now| {
        let reference = Some(cast.reference.as_str());
        world
            .psp
            .spoil(reference, Times::Always, DeliveryFault::Lose);
        order_and_pay(world, cast, now);
    },
    fate: Fate::Confirmed,
    strikes: 1,
};

/// The same trouble where a PSP has no list: it tries again until it is heard.
const HELD_UP: Scene = Scene {
    title: "A webhook that comes late",
    story: "The PSP's webhooks about this payment are held up; the PSP has no list to look in, so \
            nothing happens until they come.",
    play: |world, cast, now| {
        let reference = Some(cast.reference.as_str());
        let late = DeliveryFault::Delay(HELD_UP_FOR);
        world.psp.spoil(reference, Times::Always, late);
        order_and_pay(world, cast, now);
    },
    fate: Fate::Confirmed,
    strikes: 1,
};

/// The scenes that play at the same time, in the way that this PSP can play them.
pub(super) fn table(kind: &Kind) -> impl Iterator<Item = &'static Scene> {
    let missing = if kind.has(Ability::List) {
        &LOST
    } else {
        &HELD_UP
    };
    let (before, after) = TABLE.split_at(TABLE.len().min(3));
    before.iter().chain([missing]).chain(after)
}

/// How many scenes play at the same time: numbers from here on are free for others.
const TOGETHER: usize = TABLE.len().saturating_add(1);

/// The scenes that every PSP plays in the same way.
const TABLE: &[Scene] = &[
    Scene {
        title: "A normal payment",
        story: "The customer orders and pays; the webhook arrives.",
        play: |world, cast, now| order_and_pay(world, cast, now),
        fate: Fate::Confirmed,
        strikes: 0,
    },
    Scene {
        title: "A confirmation that is lost twice",
        story: "Twice the connection to the shop breaks before the confirmation gets there.",
        play: |world, cast, now| {
            let lost = Fault::before(Symptom::Close);
            world.shop.lay(confirms(cast), Times::Next(2), lost);
            order_and_pay(world, cast, now);
        },
        fate: Fate::Confirmed,
        strikes: 2,
    },
    Scene {
        title: "A confirmation that is applied, and its answer lost",
        story: "The shop books the order and thanks the customer; its answer never comes back.",
        play: |world, cast, now| {
            let lost = Fault::after(Symptom::Close);
            world.shop.lay(confirms(cast), Times::Next(1), lost);
            order_and_pay(world, cast, now);
        },
        fate: Fate::Confirmed,
        strikes: 1,
    },
    Scene {
        title: "A double payment",
        story: "The customer pays the same order twice, in two browser tabs.",
        play: |world, cast, now| {
            order_and_pay(world, cast, now);
            world.psp.pay(Some(&cast.reference), cast.amount, now);
        },
        fate: Fate::ConfirmedExcessBack,
        strikes: 0,
    },
    Scene {
        title: "An orphan",
        story: "The customer pays for an order that the shop has never heard of.",
        play: |world, cast, now| {
            world.psp.pay(Some(&cast.reference), cast.amount, now);
        },
        fate: Fate::AllBack,
        strikes: 0,
    },
    Scene {
        title: "An order cancelled while its customer pays",
        story: "The shop cancels the order as sold out; a moment later the money is there.",
        play: |world, cast, now| {
            world.shop.place(&cast.reference, cast.amount, now);
            world.shop.cancel(&cast.reference, "sold_out", now);
            world.psp.pay(Some(&cast.reference), cast.amount, now);
        },
        fate: Fate::AllBack,
        strikes: 0,
    },
];

fn confirms(cast: &Cast) -> Aim<ShopCall> {
    Aim::kind(ShopCall::Confirm).about(&cast.reference)
}

fn order_and_pay(world: &mut World, cast: &Cast, now: Time) {
    world.shop.place(&cast.reference, cast.amount, now);
    world.psp.pay(Some(&cast.reference), cast.amount, now);
}

/// One customer at the end of a scene: what the daemon says and what the books say.
pub(super) struct Shown {
    pub(super) reference: String,
    pub(super) daemon: String,
    pub(super) customer: Customer,
    /// How often a fault struck something about this order.
    pub(super) strikes: usize,
}

/// A scene that was played.
pub(super) struct Outcome {
    pub(super) title: &'static str,
    pub(super) story: String,
    pub(super) shown: Vec<Shown>,
    /// What was expected and what was seen, when they differ.
    pub(super) problem: Option<String>,
    pub(super) took: Span,
}

/// Plays a scene of the table to its end.
pub(super) async fn play(scene: &Scene, seed: u64, number: usize, rig: &Rig) -> Outcome {
    let cast = Cast::new(seed, number);
    let started = Clock::System.now();
    rig.world()
        .with(|world, now| (scene.play)(world, &cast, now));
    let parts = [(cast, scene.fate, scene.strikes)];
    let story = scene.story.to_owned();
    close(rig, scene.title, story, &parts, started, Ok(())).await
}

/// Someone who does not know the secret claims that an order was paid.
pub(super) async fn forged(seed: u64, rig: &Rig) -> Outcome {
    let cast = Cast::new(seed, TOGETHER);
    let started = Clock::System.now();
    let played = forge(rig, &cast).await;
    let status = played.as_ref().map_or(0, |status| *status);
    let is_signed = rig.kind().has(Ability::Signature);
    let story = if is_signed {
        format!(
            "Nobody pays, but a well-formed webhook says so, signed with a guessed secret. The \
             daemon answers {status}."
        )
    } else {
        format!(
            "Nobody pays, but a webhook, which this PSP does not sign, names the payment. The \
             daemon answers {status}, reads the payment itself and believes that alone."
        )
    };
    let expected = if is_signed { 401..402 } else { 200..300 };
    let refused = played.and_then(|status| match status {
        status if expected.contains(&status) => Ok(()),
        _ => Err(RigError::Answer {
            path: rig.webhook_path(),
            status,
            detail: format!("a forged webhook must be answered with {}", expected.start),
        }),
    });
    let parts = [(cast, Fate::Untouched, 0)];
    close(rig, "A forged webhook", story, &parts, started, refused).await
}

async fn forge(rig: &Rig, cast: &Cast) -> Result<u16, RigError> {
    rig.place(&cast.reference, cast.amount);
    rig.until(&cast.reference, |_| true).await?;
    let now = rig.world().now();
    // The payment is there and not paid; only in the forger's account of it is it paid.
    let mut forger = rig.psp(|psp| {
        let id = psp.open(Some(&cast.reference), cast.amount, now);
        let mut copy = psp.clone();
        drop(copy.take_deliveries(now));
        copy.heal();
        copy.spoil(None, Times::Always, DeliveryFault::WrongSecret);
        copy.succeed(&id, now).map(|()| copy)
    })?;
    let mut status = 0;
    for claim in forger.take_deliveries(now) {
        let about = Some(cast.reference.as_str());
        if claim.reference.as_deref() != about {
            continue;
        }
        let path = claim.target(&rig.webhook_path());
        let answer = rig
            .public_call(claim.method, &path, &claim.headers, &claim.body)
            .await?;
        status = status.max(answer.status);
    }
    Ok(status)
}

/// The shop does not answer at all for a while.
pub(super) async fn outage(seed: u64, rig: &Rig) -> Outcome {
    let cast = Cast::new(seed, TOGETHER.saturating_add(1));
    let started = Clock::System.now();
    let played = go_down(rig, &cast).await;
    let seconds = OUTAGE.as_secs();
    let story = format!(
        "For {seconds} s the shop closes every connection; a customer pays meanwhile. The money \
         waits: an outage is no answer."
    );
    let parts = [(cast, Fate::Confirmed, 1)];
    close(rig, "A shop outage", story, &parts, started, played).await
}

async fn go_down(rig: &Rig, cast: &Cast) -> Result<(), RigError> {
    rig.shop(|shop| shop.lay(Aim::all(), Times::Always, Fault::before(Symptom::Close)));
    rig.world()
        .with(|world, now| order_and_pay(world, cast, now));
    let waited = rig.pass(OUTAGE).await;
    rig.shop(|shop| shop.heal());
    waited
}

/// The daemon is killed while a confirm and a refund are under way, and while it is dead another
/// customer pays.
pub(super) async fn killed(seed: u64, rig: &mut Rig) -> Outcome {
    let first = TOGETHER.saturating_add(2);
    let cast = |place: usize| Cast::new(seed, first.saturating_add(place));
    let (confirming, refunding, meanwhile) = (cast(0), cast(1), cast(2));
    let started = Clock::System.now();
    let played = kill_and_restart(rig, &confirming, &refunding, &meanwhile).await;
    let story = "The shop has booked a confirmation and the PSP a refund; before either answer is \
                 back, the daemon is killed (kill -9). A third customer pays while it is dead. \
                 Then it is started again.";
    let parts = [
        (confirming, Fate::Confirmed, 1),
        (refunding, Fate::AllBack, 1),
        (meanwhile, Fate::Confirmed, 0),
    ];
    let title = "Kill -9 in the middle";
    close(rig, title, story.to_owned(), &parts, started, played).await
}

async fn kill_and_restart(
    rig: &mut Rig,
    confirming: &Cast,
    refunding: &Cast,
    meanwhile: &Cast,
) -> Result<(), RigError> {
    rig.world().with(|world, now| {
        let held_back = Fault::delay(HELD_BACK);
        let refunds = Aim::kind(PspCall::Refund).about(&refunding.reference);
        world.psp.lay(refunds, Times::Next(1), held_back.clone());
        world
            .shop
            .lay(confirms(confirming), Times::Next(1), held_back);
        world
            .psp
            .pay(Some(&refunding.reference), refunding.amount, now);
    });
    let is_refunded = |world: &World| of(world, refunding).refunds > 0;
    rig.until_world("the PSP to book the refund", is_refunded)
        .await?;
    rig.world()
        .with(|world, now| order_and_pay(world, confirming, now));
    let is_confirmed = |world: &World| of(world, confirming).is_confirmed;
    rig.until_world("the shop to book the confirmation", is_confirmed)
        .await?;
    rig.kill9().await?;
    rig.world()
        .with(|world, now| order_and_pay(world, meanwhile, now));
    let is_refused = |world: &World| {
        let about = Some(meanwhile.reference.as_str());
        let mut tried = world.psp.deliveries().iter();
        tried.any(|answer| answer.reference.as_deref() == about && answer.status.is_none())
    };
    rig.until_world("a webhook to find the daemon dead", is_refused)
        .await?;
    rig.restart().await
}

fn of(world: &World, cast: &Cast) -> Customer {
    world.books().remove(&cast.reference).unwrap_or_default()
}

/// Waits until everyone met their fate, and takes down what there is to see.
async fn close(
    rig: &Rig,
    title: &'static str,
    story: String,
    parts: &[(Cast, Fate, usize)],
    started: Time,
    played: Result<(), RigError>,
) -> Outcome {
    let mut problem = played.err().map(|error| error.to_string());
    let mut shown = Vec::new();
    for (cast, fate, wanted) in parts {
        let reference = cast.reference.as_str();
        let is_met =
            |view: &View| view.verdict == fate.verdict() && fate.holds(&rig.customer(reference));
        let met = match &problem {
            None => rig
                .until(reference, is_met)
                .await
                .map(|view| view.summary()),
            Some(_) => Ok("not looked at".to_owned()),
        };
        let customer = rig.customer(reference);
        let daemon = met.unwrap_or_else(|error| {
            let expected = format!("expected {}: {}", fate.verdict(), fate.words());
            let books = format!("{}; {}", customer.psp_line(), customer.shop_line());
            problem = Some(format!(
                "{expected}\nseen in the books: {books}: {}\n{error}",
                customer.judgement()
            ));
            "not as expected".to_owned()
        });
        let strikes = rig.world().lock().strikes_about(reference);
        if problem.is_none() && strikes < *wanted {
            problem = Some(format!(
                "the trouble did not happen: {strikes} of {wanted} faults struck"
            ));
        }
        shown.push(Shown {
            reference: cast.reference.clone(),
            daemon,
            customer,
            strikes,
        });
    }
    Outcome {
        title,
        story,
        shown,
        problem,
        took: Clock::System.now().since(started),
    }
}
