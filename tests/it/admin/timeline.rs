//! The journal as a story, sentence by sentence.

use super::world::{
    Made, World, ago, captured, chained, confirm, decision, entry, eur, now, payment, said, sent,
    timed_out,
};
use reconciled::core::fact::{BrakeCause, Fact, Outcome, Ruling, RulingKind};
use reconciled::core::ids::{CheckoutId, ExternalRef};
use reconciled::core::order::{OrderStatus, Via};
use reconciled::core::payment::{Dispute, DisputeState, Refund, RefundState, Source};
use reconciled::core::plan::{Action, ActionKind, Planned, Reason, Verdict};
use reconciled::http::timeline;
use reconciled::store::{JournalEntry, StoreError};
use std::collections::BTreeSet;

fn journal() -> Vec<JournalEntry> {
    let mut last = decision(Verdict::Settled, Reason::ConfirmedByShop, Vec::new());
    last.in_suspense.clear();
    chained(vec![
        entry(
            1,
            ago(840),
            &[
                Fact::OrderSeen(Box::new(said(OrderStatus::Pending, Via::Event, ago(900)))),
                Fact::PaymentSeen(Box::new(captured("pi_1", 5995, ago(840)))),
            ],
            &decision(
                Verdict::Confirming,
                Reason::ConfirmDue,
                vec![confirm(ago(840))],
            ),
        ),
        entry(
            2,
            ago(830),
            &[sent(1, ago(840)), timed_out(1, ago(830))],
            &decision(
                Verdict::Confirming,
                Reason::ConfirmUnclear,
                vec![confirm(ago(825))],
            ),
        ),
        entry(
            3,
            ago(60),
            &[Fact::OrderSeen(Box::new(said(
                OrderStatus::Confirmed,
                Via::Confirm,
                ago(60),
            )))],
            &last,
        ),
    ])
}

const STORY: &str = "\
ck_1  klompen, order 1000042
settled since 2026-11-21T09:59:00Z: The shop confirmed the order and the money matches.
Payment stripe_nl/pi_1: captured, captured 59.95 EUR, refunded 0.00 EUR
If nobody does anything: Nothing; it is at rest.

#1 2026-11-21T09:46:00Z
  The shop told us: order 1000042: pending, amount 59.95 EUR, expires at 2026-11-21T10:15:00Z.
  stripe_nl told us (signed delivery): payment pi_1: by ideal, taken, asked for 59.95 EUR, captured 59.95 EUR, for order 1000042.
  => Stands at confirming: The shop is asked to confirm the order.
     Wants to have the shop confirm the order with 59.95 EUR at 2026-11-21T09:46:00Z.
     In suspense: 59.95 EUR.
     hash 1ba65fb4960be7e8b0656243da5bf2db04d9399bcf9b07a7f194677927b29f61

#2 2026-11-21T09:46:10Z
  Asked the shop to confirm the order (attempt 1, 59.95 EUR).
  Confirm (attempt 1) got no clear answer and may have had its effect: timeout.
  => Stays confirming: A confirm got no clear answer; the shop is asked how the order stands.
     In suspense: 59.95 EUR.
     hash ec09fb3062101950c81c6931db76820660299b03d498d5b36ed2ef549b4f6c56

#3 2026-11-21T09:59:00Z
  The shop answered the confirm: order 1000042: confirmed, amount 59.95 EUR, expires at 2026-11-21T10:29:00Z.
  => From confirming to settled: The shop confirmed the order and the money matches.
     No longer wants to have the shop confirm the order with 59.95 EUR.
     hash 8ba645cade20a5babb1e4879a6269754555043bdfd3ce59a79496fae543f3b37
";

#[test]
fn a_lost_confirmation_reads_as_a_story() {
    let row = Made::settled("ck_1").row();
    let story = timeline::story(&row, &journal(), None, now()).unwrap();
    assert_eq!(timeline::text(&story), STORY);
}

#[tokio::test]
async fn one_checkout_comes_with_its_timeline_and_its_version_as_tag() {
    let mut world = World::with_rows([Made::settled("ck_1")]);
    world.stock.journal = journal();
    let running = world.start();
    let answer = running.get("/api/v1/checkouts/ck_1", "*/*").await;
    assert_eq!(answer.status, 200);
    assert_eq!(answer.headers["etag"], "\"3\"");
    let told = answer.json();
    assert_eq!(told["id"], "ck_1");
    assert_eq!(
        told["meaning"],
        "The shop confirmed the order and the money matches."
    );
    assert_eq!(told["timeline"].as_array().unwrap().len(), 3);
    assert_eq!(told["timeline"][1]["previous"], told["timeline"][0]["hash"]);
    assert_eq!(told["timeline"][1]["decided"]["reason"], "confirm_unclear");
    assert_eq!(told["timeline_next"], serde_json::Value::Null);
    let text = running
        .get("/api/v1/checkouts/ck_1?format=text", "*/*")
        .await;
    assert_eq!(text.body, STORY);
    let rest = running.get("/api/v1/checkouts/ck_1?after=2", "*/*").await;
    assert_eq!(rest.json()["timeline"][0]["seq"], 3);
    for missing in ["ck_2", "no%20id", "..%2F"] {
        let answer = running
            .get(&format!("/api/v1/checkouts/{missing}"), "*/*")
            .await;
        assert_eq!(answer.code(), "unknown_checkout", "{missing}");
    }
}

#[tokio::test]
async fn a_timeline_beyond_one_answer_says_where_the_rest_begins() {
    let mut world = World::with_rows([Made::settled("ck_1")]);
    let quiet = decision(Verdict::Open, Reason::AwaitingPayment, Vec::new());
    world.stock.journal = (1..=5_100)
        .map(|seq| entry(seq, now(), &[], &quiet))
        .collect();
    let running = world.start();
    let first = running.get("/api/v1/checkouts/ck_1", "*/*").await.json();
    assert_eq!(first["timeline"].as_array().unwrap().len(), 5_000);
    assert_eq!(first["timeline_next"], 5_000);
    let rest = running
        .get("/api/v1/checkouts/ck_1?after=5000", "*/*")
        .await
        .json();
    assert_eq!(rest["timeline"].as_array().unwrap().len(), 100);
    assert_eq!(rest["timeline_next"], serde_json::Value::Null);
}

#[test]
fn an_unreadable_entry_names_its_row() {
    let mut entries = journal();
    entries[1].facts = "{".to_owned();
    let row = Made::settled("ck_1").row();
    let error = timeline::story(&row, &entries, None, now()).unwrap_err();
    let StoreError::Corrupt {
        table, column, row, ..
    } = error
    else {
        panic!("{error}");
    };
    assert_eq!(
        (table, column, row.as_str()),
        ("journal", "facts", "ck_1/2")
    );
}

/// The sentence that one fact becomes.
fn sentence(fact: Fact) -> String {
    let quiet = decision(Verdict::Open, Reason::AwaitingPayment, Vec::new());
    let entries = [entry(1, now(), &[fact], &quiet)];
    let row = Made::settled("ck_1").row();
    let story = timeline::story(&row, &entries, None, now()).unwrap();
    story.timeline[0].learned[0].clone()
}

fn answered(outcome: Outcome) -> Fact {
    Fact::AskAnswered {
        key: confirm(now()).key,
        kind: ActionKind::Refund,
        attempt: 2,
        sent_at: now(),
        at: now(),
        outcome,
        looks: None,
    }
}

#[test]
fn every_kind_of_fact_has_its_sentence() {
    let to = CheckoutId::parse("ck_9").unwrap();
    let code = |word: &str| word.to_owned();
    let pi_1 = || payment("pi_1");
    let ruling = Ruling {
        at: now(),
        ruling: RulingKind::Refund,
        by: "oncall".to_owned(),
        note: "customer called\u{1b}[2J".to_owned(),
        overrides: BTreeSet::from(["auto_refund_limit".to_owned()]),
    };
    for (fact, words) in [
        (
            Fact::PaymentLeft {
                payment: pi_1(),
                to,
            },
            "Payment stripe_nl/pi_1 left for checkout ck_9, the order it belongs to.",
        ),
        (
            Fact::PaymentArrived {
                payment: pi_1(),
                state: Box::default(),
            },
            "Payment stripe_nl/pi_1 arrived from a checkout of its own, since it belongs to this order.",
        ),
        (
            Fact::ClaimRefused { payment: pi_1() },
            "An order names payment stripe_nl/pi_1, but it counts elsewhere or is on its way back.",
        ),
        (
            Fact::RulingMade(ruling),
            "oncall ruled: refund, overriding auto_refund_limit, noting: customer called<U+001B>[2J.",
        ),
        (
            Fact::RefundBraked {
                at: now(),
                cause: BrakeCause::EpochWentBack,
            },
            "The guard stopped a refund: the shop's epoch went backwards, so it may have been restored from a backup.",
        ),
        (
            Fact::BrakeReleased { at: now() },
            "An operator released the shop's brake.",
        ),
        (
            Fact::Parked {
                at: now(),
                why: code("amounts\nforged"),
            },
            "Set aside: amounts<U+000A>forged.",
        ),
    ] {
        assert_eq!(sentence(fact), words);
    }
}

#[test]
fn every_way_in_which_an_attempt_ends_has_its_sentence() {
    let code = |word: &str| word.to_owned();
    for (fact, words) in [
        (answered(Outcome::Done), "Refund (attempt 2) was answered."),
        (
            answered(Outcome::NotSent { code: code("dns") }),
            "Refund (attempt 2) did not get through: dns.",
        ),
        (
            answered(Outcome::Throttled { until: now() }),
            "Refund (attempt 2) was put off by the other side until 2026-11-21T10:00:00Z.",
        ),
        (
            answered(Outcome::Unauthorized {
                code: code("status_401"),
            }),
            "Refund (attempt 2) was not accepted, our credentials are wrong: status_401.",
        ),
        (
            answered(Outcome::Malformed { code: code("html") }),
            "Refund (attempt 2) was answered with something unusable: html.",
        ),
        (
            answered(Outcome::Refused {
                code: code("charge_already_refunded"),
            }),
            "Refund (attempt 2) was refused: charge_already_refunded.",
        ),
    ] {
        assert_eq!(sentence(fact), words);
    }
}

#[test]
fn a_read_with_refunds_and_disputes_is_one_sentence() {
    let mut snapshot = captured("pi_1", 5995, now());
    snapshot.source = Source::Read { asked_at: now() };
    snapshot.method = None;
    snapshot.progress = None;
    snapshot.requested = None;
    snapshot.reference = None;
    snapshot.is_refundable = Some(false);
    let refund = Refund {
        amount: eur(1000),
        state: RefundState::Pending,
        mark: Some(confirm(now()).key),
        waits_for_balance: None,
        may_be_cancelled: None,
        failed_at: None,
    };
    let dispute = Dispute {
        amount: eur(5995),
        state: DisputeState::Open,
    };
    snapshot
        .refunds
        .insert(ExternalRef::parse("re_1").unwrap(), refund);
    snapshot
        .disputes
        .insert(ExternalRef::parse("dp_1").unwrap(), dispute);
    assert_eq!(
        sentence(Fact::PaymentSeen(Box::new(snapshot))),
        "Read at stripe_nl: payment pi_1: captured 59.95 EUR, our refund re_1 of 10.00 EUR \
         accepted, not paid out yet, dispute over 59.95 EUR open, cannot be refunded through the PSP."
    );
}

#[test]
fn what_the_mode_withholds_is_told() {
    let mut held_back = decision(Verdict::Refunding, Reason::RefundDue, Vec::new());
    held_back.withheld = vec![Planned {
        action: Action::Refund {
            payment: payment("pi_1"),
            amount: eur(5995),
            why: Reason::OrderCancelled,
        },
        ..confirm(now())
    }];
    let row = Made::settled("ck_1").row();
    let entries = [entry(1, now(), &[], &held_back)];
    let story = timeline::story(&row, &entries, None, now()).unwrap();
    assert_eq!(
        story.timeline[0].decided.withheld,
        [
            "Would refund 59.95 EUR of payment stripe_nl/pi_1, but the shop's mode does not permit it."
        ]
    );
}
