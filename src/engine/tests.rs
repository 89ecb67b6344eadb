//! The promises at the engine's own seam: plans that err are not committed, whatever they want.
//!
//! Over the memory store, with planners that break promises on purpose.

use super::*;
use crate::core::fact::{Fact, Ruling, RulingKind};
use crate::core::ids::{AccountId, ActionKey, CheckoutId, CheckoutRef, ShopId};
use crate::core::plan::{Action, Plan, Planned, Reason, Verdict};
use crate::core::time::{Span, Time};
use crate::desk::DeskError;
use crate::store::memory::MemoryStore;
use crate::store::sample::{self, eur, minute, pay, policy, seen};
use crate::store::{CheckoutFilter, Delivery, LoadedCheckout, NewDelivery, Sender, journal};
use prometheus_client::registry::Registry;
use std::io::Write;
use std::sync::Mutex;

/// Wants the whole payment back at once: nothing was read, nobody was asked.
fn refunds_blindly(checkout: &Checkout, now: Time, policy: &Policy) -> Plan {
    let mut plan = checkout.reconcile(now, policy);
    plan.verdict = Verdict::Refunding;
    plan.reason = Reason::RefundDue;
    plan.actions = vec![Planned {
        key: ActionKey::parse("refund-stripe_nl.pi_1-1").unwrap(),
        action: Action::Refund {
            payment: pay("pi_1"),
            amount: eur(5_995),
            why: Reason::OrderUnknown,
        },
        due: now,
        attempts: 0,
    }];
    plan
}

/// The same, until the checkout was set aside.
fn refunds_blindly_until_parked(checkout: &Checkout, now: Time, policy: &Policy) -> Plan {
    match &checkout.parked {
        None => refunds_blindly(checkout, now, policy),
        Some(_) => checkout.reconcile(now, policy),
    }
}

/// Calls the matter settled while the money is with nobody.
fn forgets_the_money(checkout: &Checkout, now: Time, policy: &Policy) -> Plan {
    let plan = checkout.reconcile(now, policy);
    Plan {
        verdict: Verdict::Settled,
        reason: Reason::ConfirmedByShop,
        actions: Vec::new(),
        wake_at: None,
        in_suspense: vec![eur(5_995)],
        ..plan
    }
}

struct Bench {
    engine: Engine,
    store: Arc<MemoryStore>,
    telemetry: Telemetry,
    checkout: CheckoutId,
}

/// An engine whose plans are made by this planner, and a payment that waits for its order.
async fn bench(plan: Planner, now: Time) -> Bench {
    let store = Arc::new(MemoryStore::new());
    let paid = seen(sample::captured("pi_1", eur(5_995), minute(0)));
    let moments = [(minute(0), vec![paid])];
    let checkout = sample::write(&store, "c1", None, &moments, &policy()).await;
    let telemetry = Telemetry::new("1.2.3");
    let engine = Engine::new(
        store.clone(),
        Arc::new(ArcSwap::from_pointee(Roster::default())),
        Clock::manual(now),
        telemetry.clone(),
    );
    Bench {
        engine: engine.planned_by(plan),
        store,
        telemetry,
        checkout,
    }
}

impl Bench {
    async fn loaded(&self) -> LoadedCheckout {
        let filter = CheckoutFilter {
            limit: 10,
            ..CheckoutFilter::default()
        };
        self.store.checkouts(&filter).await.unwrap().remove(0)
    }

    async fn due(&self) -> Input {
        Input::Due(self.loaded().await.row.named())
    }

    async fn is_held_with_nothing_done(&self) {
        let loaded = self.loaded().await;
        let stands = (loaded.row.verdict, loaded.row.reason);
        assert_eq!(stands, (Verdict::Held, Reason::InvariantBreach));
        assert_eq!(loaded.row.in_suspense, Some(eur(5_995)));
        let gives_back = |kind: crate::core::plan::ActionKind| kind.gives_money_back();
        let mut actions = loaded.actions.iter();
        assert!(!actions.any(|one| gives_back(one.planned.action.kind())));
        // The journal says why, and folding it gives what is stored.
        let (row, entries) = self.store.audit_page(None, 1).await.unwrap().remove(0);
        assert_eq!(journal::verify(&row, &entries), Ok(()));
        let mut folded = Checkout::new(row.id.clone(), row.shop.clone(), None);
        for entry in &entries {
            for fact in serde_json::from_str::<Vec<Fact>>(&entry.facts).unwrap() {
                folded.observe(&fact);
            }
        }
        assert_eq!(folded, serde_json::from_str(&row.document).unwrap());
        assert!(folded.parked.is_some());
    }

    fn breaches(&self, promise: &str) -> bool {
        let text = self.telemetry.encode(&Registry::default()).unwrap();
        let line = format!(
            "reconciled_promise_breaches_total{{shop=\"klompen\",promise=\"{promise}\"}} 1\n"
        );
        text.contains(&line)
    }
}

/// What was logged while the guard lives, on this thread.
#[derive(Clone, Default)]
struct Lines(Arc<Mutex<Vec<u8>>>);

impl Write for Lines {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.0.lock().unwrap().write(bytes)
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

impl Lines {
    fn listen(&self) -> tracing::subscriber::DefaultGuard {
        let lines = self.clone();
        let subscriber = tracing_subscriber::fmt()
            .with_ansi(false)
            .with_writer(move || lines.clone());
        tracing::subscriber::set_default(subscriber.finish())
    }

    fn text(&self) -> String {
        String::from_utf8(self.0.lock().unwrap().clone()).unwrap()
    }
}

#[tokio::test]
async fn a_plan_that_would_break_a_promise_is_never_committed_and_the_checkout_is_held() {
    let lines = Lines::default();
    let _guard = lines.listen();
    let planner: [(Planner, &str); 3] = [
        // Nobody configured this shop any more, so it is only watched.
        (refunds_blindly_until_parked, "mode"),
        // A planner that errs about the parked checkout as well gets no second word.
        (refunds_blindly, "mode"),
        (forgets_the_money, "no_loose_money"),
    ];
    for (planner, promise) in planner {
        let bench = bench(planner, minute(20)).await;
        let due = bench.due().await;
        let outcomes = bench.engine.advance(&[due]).await.unwrap();
        let [Outcome::Breached { checkout, why }] = outcomes.as_slice() else {
            panic!("{outcomes:?}");
        };
        assert_eq!(*checkout, bench.checkout);
        assert!(why.starts_with(promise), "{why}");
        bench.is_held_with_nothing_done().await;
        assert!(bench.breaches(promise));
    }
    let text = lines.text();
    let errors = text.lines().filter(|line| line.contains("ERROR"));
    let errors: Vec<&str> = errors.collect();
    assert_eq!(errors.len(), 3, "{text}");
    assert!(
        errors
            .iter()
            .all(|line| line.contains("a promise would have been broken"))
    );
}

#[tokio::test]
async fn a_ruling_stamped_by_a_clock_that_runs_ahead_lets_no_broken_plan_through() {
    let bench = bench(refunds_blindly_until_parked, minute(20)).await;
    let (done, answer) = tokio::sync::oneshot::channel();
    let ruling = Ruling {
        at: minute(90),
        ruling: RulingKind::Retry,
        by: "oncall".to_owned(),
        note: "checked".to_owned(),
        overrides: std::collections::BTreeSet::new(),
    };
    let ruled = input::Ruled {
        checkout: bench.checkout.clone(),
        ruling,
        if_version: None,
        done,
    };
    let outcomes = bench.engine.advance(&[Input::Ruled(ruled)]).await.unwrap();
    assert!(matches!(outcomes.as_slice(), [Outcome::Breached { .. }]));
    bench.is_held_with_nothing_done().await;
    drop(outcomes);
    // Answering the operator is the loop's part.
    let unanswered: Result<Result<LoadedCheckout, DeskError>, _> = answer.await;
    assert!(unanswered.is_err());
}

#[tokio::test]
async fn a_plan_that_keeps_the_promises_is_committed_as_it_is() {
    let bench = bench(Checkout::reconcile, minute(0).plus(Span::from_minutes(15))).await;
    let due = bench.due().await;
    let outcomes = bench.engine.advance(&[due]).await.unwrap();
    assert!(matches!(outcomes.as_slice(), [Outcome::Done]));
    let row = bench.loaded().await.row;
    assert_eq!(
        (row.verdict, row.reason),
        (Verdict::Held, Reason::UnreferencedHeld)
    );
    assert_eq!(row.version, 2);
}

fn delivered_by(sender: Sender) -> Input {
    Input::Delivery(Delivery {
        id: 1,
        delivery: NewDelivery {
            sender,
            delivery_id: "evt_1".to_owned(),
            received_at: minute(0),
            told_at: None,
            is_signed: true,
            body: b"{}".to_vec(),
        },
    })
}

#[test]
fn a_capture_is_learned_from_the_psps_own_word_then_from_a_sweep_and_never_from_a_shop() {
    let psp = || delivered_by(Sender::Psp(AccountId::parse("stripe_nl").unwrap()));
    let shop = || delivered_by(Sender::Shop(ShopId::parse("klompen").unwrap()));
    let due = || {
        Input::Due(CheckoutRef {
            shop: ShopId::parse("klompen").unwrap(),
            id: CheckoutId::parse("c1").unwrap(),
        })
    };
    let swept = || {
        let (done, _) = tokio::sync::oneshot::channel();
        Input::Swept(input::Swept {
            account: AccountId::parse("stripe_nl").unwrap(),
            payments: Vec::new(),
            hints: Vec::new(),
            done,
        })
    };
    for (told, by) in [
        (vec![swept(), shop(), psp()], "delivery"),
        (vec![swept(), shop()], "sweep"),
        (vec![shop(), due(), swept()], "sweep"),
        (vec![shop(), due()], "read"),
    ] {
        assert_eq!(told_by(told.iter()), by, "{told:?}");
    }
}

#[tokio::test]
async fn deliveries_that_another_daemon_dealt_with_are_let_go_at_once_and_not_decided_anew() {
    let bench = bench(Checkout::reconcile, minute(1)).await;
    let unknown = |name: &str| NewDelivery {
        sender: Sender::Psp(AccountId::parse("stripe_nl").unwrap()),
        delivery_id: name.to_owned(),
        received_at: minute(0),
        told_at: None,
        is_signed: true,
        body: b"{}".to_vec(),
    };
    let names = ["evt_1", "evt_2", "evt_3"];
    bench.store.append(&names.map(unknown)).await.unwrap();
    let inputs = bench.store.pending(9).await.unwrap();
    let inputs: Vec<Input> = inputs.into_iter().map(Input::Delivery).collect();
    let first = bench.engine.advance(&inputs).await.unwrap();
    assert_eq!(first.len(), 3);
    // The other daemon had read them, too.
    let late = bench.engine.advance(&inputs).await.unwrap();
    let is_done = |one: &Outcome| matches!(one, Outcome::Done);
    assert!(late.iter().all(is_done), "{late:?}");
    let text = bench.telemetry.encode(&Registry::default()).unwrap();
    let conflicts = "reconciled_engine_units_total{result=\"conflict\"} 3\n";
    assert!(text.contains(conflicts), "{text}");
}
