//! Laws of actions and their leases.
//!
//! One attempt has one holder; what nobody answered for is reported, never sent again blindly.

use super::drafts::{
    Draft, account, at, attempts, commit, done, id, key, lease, load, look_up, lost, named,
    only_action, other_shop, refund, request, shop, token,
};
use reconciled::core::plan::{Destination, Verdict};
use reconciled::store::{
    ActionRow, CheckoutFilter, Committed, LeaseRequest, Leased, Store, Wanted,
};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

fn row(leased: &Leased) -> &ActionRow {
    match leased {
        Leased::Attempt(row) | Leased::Lost(row) => row,
        Leased::Unreadable(why) => panic!("{why}"),
    }
}

pub(super) async fn a_due_action_is_leased_once(store: &Arc<dyn Store>) {
    done(&**store, Draft::new("c1").action(look_up("a", at(0)))).await;
    let leased = lease(&**store, at(5)).await;
    assert_eq!(attempts(&leased), ["a"]);
    let got = row(&leased[0]).clone();
    assert_eq!((got.attempts, got.last_sent_at), (1, Some(at(5))));
    assert_eq!(got.lease.as_ref().unwrap().until, at(65));
    assert!(token(&leased[0]).starts_with("test"));
    assert_eq!(only_action(&**store, "c1").await, got);
    assert_eq!(lease(&**store, at(6)).await, []);
    let (one, other) = tokio::join!(lease(&**store, at(7)), lease(&**store, at(7)));
    assert!(one.is_empty() && other.is_empty());
}

pub(super) async fn nothing_is_leased_before_it_is_due(store: &Arc<dyn Store>) {
    done(&**store, Draft::new("c1").action(look_up("a", at(10)))).await;
    assert_eq!(lease(&**store, at(9)).await, []);
    assert_eq!(attempts(&lease(&**store, at(10)).await), ["a"]);
}

pub(super) async fn the_longest_overdue_comes_first_within_room_and_limit(store: &Arc<dyn Store>) {
    let mut draft = Draft::new("c1");
    for (name, due) in [("d", 4), ("b", 2), ("a", 1), ("e", 5), ("c", 3)] {
        draft = draft.action(look_up(name, at(due)));
    }
    for (name, due) in [("r2", 3), ("r1", 0)] {
        draft = draft.action(refund(name, at(due)));
    }
    done(&**store, draft).await;
    let room = |shop_room, psp_room| {
        BTreeMap::from([
            (Destination::Shop(shop()), shop_room),
            (Destination::Psp(account()), psp_room),
        ])
    };
    let ask = |limit, room| LeaseRequest {
        limit,
        room,
        ..request(at(9))
    };
    let leased = store.lease(&ask(3, room(2, 9))).await.unwrap();
    assert_eq!(attempts(&leased), ["r1", "a", "b"]);
    let leased = store.lease(&ask(99, room(1, 1))).await.unwrap();
    let got: BTreeSet<_> = attempts(&leased).into_iter().collect();
    assert_eq!(got, BTreeSet::from(["c", "r2"]));
    let leased = store.lease(&ask(0, room(9, 9))).await.unwrap();
    assert_eq!(leased, []);
    let leased = store.lease(&ask(99, room(9, 9))).await.unwrap();
    assert_eq!(attempts(&leased), ["d", "e"]);
}

pub(super) async fn destinations_take_turns_when_more_is_due_than_the_limit(
    store: &Arc<dyn Store>,
) {
    let mut slow = Draft::new("c1");
    for nr in 0..5 {
        slow = slow.action(look_up(&format!("slow{nr}"), at(nr)));
    }
    done(&**store, slow).await;
    let other = Draft::new("c2").with(|one| one.row.shop = other_shop());
    done(&**store, other.action(look_up("other", at(8)))).await;
    let mut ask = request(at(9));
    ask.limit = 3;
    ask.room.insert(Destination::Shop(other_shop()), 9);
    let leased = store.lease(&ask).await.unwrap();
    assert_eq!(attempts(&leased), ["slow0", "slow1", "other"]);
}

pub(super) async fn a_destination_without_room_gets_nothing(store: &Arc<dyn Store>) {
    done(
        &**store,
        Draft::new("c1")
            .action(look_up("a", at(0)))
            .action(refund("r", at(0))),
    )
    .await;
    let shop_only = BTreeMap::from([
        (Destination::Shop(shop()), 1),
        (Destination::Psp(account()), 0),
    ]);
    let leased = store
        .lease(&LeaseRequest {
            room: shop_only,
            ..request(at(1))
        })
        .await
        .unwrap();
    assert_eq!(attempts(&leased), ["a"]);
    let none = LeaseRequest {
        room: BTreeMap::new(),
        ..request(at(1))
    };
    assert_eq!(store.lease(&none).await.unwrap(), []);
}

pub(super) async fn refunds_are_held_back_when_told(store: &Arc<dyn Store>) {
    done(
        &**store,
        Draft::new("c1")
            .action(look_up("a", at(1)))
            .action(refund("r", at(0))),
    )
    .await;
    let held_back = LeaseRequest {
        with_refunds: false,
        ..request(at(5))
    };
    assert_eq!(attempts(&store.lease(&held_back).await.unwrap()), ["a"]);
    assert_eq!(attempts(&lease(&**store, at(6)).await), ["r"]);
}

pub(super) async fn a_lease_that_ran_out_is_reported_lost_until_it_is_ended(
    store: &Arc<dyn Store>,
) {
    let checkout = done(&**store, Draft::new("c1").action(refund("r", at(0)))).await;
    let first = lease(&**store, at(0)).await;
    assert_eq!(lease(&**store, at(59)).await, []);
    let found = lease(&**store, at(60)).await;
    assert_eq!((lost(&found), attempts(&found).len()), (vec!["r"], 0));
    let got = row(&found[0]);
    assert_eq!((got.attempts, got.last_sent_at), (1, Some(at(0))));
    assert_eq!(got.lease.as_ref().unwrap().until, at(120));
    assert_ne!(token(&found[0]), token(&first[0]));
    assert_eq!(lease(&**store, at(61)).await, []);
    let again = lease(&**store, at(500)).await;
    assert_eq!(lost(&again), ["r"]);
    let end = Draft::after(&checkout)
        .release("r", &token(&again[0]))
        .action(refund("r", at(900)));
    done(&**store, end).await;
    assert_eq!(only_action(&**store, "c1").await.lease, None);
    let retry = lease(&**store, at(900)).await;
    assert_eq!(attempts(&retry), ["r"]);
    assert_eq!(row(&retry[0]).attempts, 2);
}

pub(super) async fn a_lost_refund_is_reported_even_when_refunds_are_held_back(
    store: &Arc<dyn Store>,
) {
    done(&**store, Draft::new("c1").action(refund("r", at(0)))).await;
    lease(&**store, at(0)).await;
    let blocked = LeaseRequest {
        with_refunds: false,
        room: BTreeMap::new(),
        ..request(at(100))
    };
    assert_eq!(lost(&store.lease(&blocked).await.unwrap()), ["r"]);
}

pub(super) async fn a_commit_ends_only_the_lease_whose_token_it_names(store: &Arc<dyn Store>) {
    let first = done(&**store, Draft::new("c1").action(look_up("a", at(0)))).await;
    let old = token(&lease(&**store, at(0)).await[0]);
    let new = token(&lease(&**store, at(60)).await[0]);
    let second = done(&**store, Draft::after(&first).release("a", &old)).await;
    assert_eq!(only_action(&**store, "c1").await.lease.unwrap().token, new);
    done(
        &**store,
        Draft::after(&second)
            .release("a", &new)
            .release("gone", "x"),
    )
    .await;
    assert_eq!(load(&**store, "c1").await.unwrap().actions, []);
}

pub(super) async fn a_leased_action_is_left_alone_by_a_commit(store: &Arc<dyn Store>) {
    let first = done(&**store, Draft::new("c1").action(look_up("a", at(0)))).await;
    lease(&**store, at(0)).await;
    let before = only_action(&**store, "c1").await;
    let changed = Draft::after(&first).with(|one| {
        let mut planned = look_up("a", at(500));
        planned.attempts = 9;
        one.actions.push(planned);
    });
    let second = done(&**store, changed).await;
    assert_eq!(only_action(&**store, "c1").await, before);
    done(&**store, Draft::after(&second)).await;
    assert_eq!(only_action(&**store, "c1").await, before);
}

pub(super) async fn what_was_decided_without_knowing_that_money_left_conflicts(
    store: &Arc<dyn Store>,
) {
    let draft = Draft::new("c1").action(refund("r", at(0)));
    let row = done(&**store, draft.action(look_up("a", at(0)))).await;
    assert_eq!(lease(&**store, at(1)).await.len(), 2);
    let unaware = Draft::after(&row);
    let answer = commit(&**store, unaware.clone().unit()).await;
    assert_eq!(answer, Committed::Conflict);
    assert_eq!(load(&**store, "c1").await.unwrap().row, row);
    // Nobody is hurt by a look: only what moves money or an order has weight.
    done(&**store, unaware.under_way("r")).await;
}

pub(super) async fn what_is_not_wanted_goes_and_what_is_wanted_follows(store: &Arc<dyn Store>) {
    let other = done(&**store, Draft::new("c2").action(look_up("a", at(0)))).await;
    let draft = Draft::new("c1")
        .action(look_up("a", at(1)))
        .action(look_up("b", at(2)));
    let first = done(&**store, draft).await;
    let draft = Draft::after(&first)
        .action(look_up("b", at(7)))
        .action(refund("r", at(8)));
    let second = done(&**store, draft).await;
    let planned = |actions: Vec<ActionRow>| -> Vec<_> {
        actions.into_iter().map(|one| one.planned).collect()
    };
    let now = load(&**store, "c1").await.unwrap().actions;
    assert_eq!(planned(now), [look_up("b", at(7)), refund("r", at(8))]);
    let turned = Draft::after(&second).action(look_up("r", at(9)));
    done(&**store, turned).await;
    let now = load(&**store, "c1").await.unwrap().actions;
    assert_eq!(planned(now), [look_up("r", at(9))]);
    let held_back = LeaseRequest {
        with_refunds: false,
        ..request(at(99))
    };
    assert_eq!(
        attempts(&store.lease(&held_back).await.unwrap()),
        ["a", "r"]
    );
    assert_eq!(load(&**store, "c2").await.unwrap().row, other);
}

pub(super) async fn a_released_action_is_let_go_or_wanted_anew(store: &Arc<dyn Store>) {
    let draft = Draft::new("c1")
        .action(look_up("a", at(0)))
        .action(look_up("b", at(0)));
    let first = done(&**store, draft).await;
    let leased = lease(&**store, at(0)).await;
    let by_key: BTreeMap<_, _> = leased
        .iter()
        .map(|one| (row(one).key.as_str(), token(one)))
        .collect();
    let draft = Draft::after(&first)
        .release("a", &by_key["a"])
        .release("b", &by_key["b"]);
    done(&**store, draft.action(look_up("b", at(30)))).await;
    let left = only_action(&**store, "c1").await;
    assert_eq!((left.key, left.planned.due), (key("b"), at(30)));
    assert_eq!(
        (left.attempts, left.last_sent_at, left.lease),
        (1, Some(at(0)), None)
    );
}

pub(super) async fn attempts_go_on_across_leases_and_never_go_back(store: &Arc<dyn Store>) {
    let mut checkout = done(&**store, Draft::new("c1").action(look_up("a", at(0)))).await;
    for (round, now) in [(1, at(10)), (2, at(20)), (3, at(30))] {
        let leased = lease(&**store, now).await;
        assert_eq!(row(&leased[0]).attempts, round);
        let draft = Draft::after(&checkout).release("a", &token(&leased[0]));
        checkout = done(&**store, draft.action(look_up("a", now))).await;
    }
    let known_elsewhere = |sent| {
        move |one: &mut reconciled::store::CheckoutCommit| {
            let mut planned = look_up("a", at(50));
            planned.attempts = sent;
            one.actions.push(planned);
        }
    };
    checkout = done(&**store, Draft::after(&checkout).with(known_elsewhere(7))).await;
    assert_eq!(only_action(&**store, "c1").await.attempts, 7);
    checkout = done(&**store, Draft::after(&checkout).with(known_elsewhere(2))).await;
    assert_eq!(only_action(&**store, "c1").await.attempts, 7);
    checkout = done(&**store, Draft::after(&checkout)).await;
    done(&**store, Draft::after(&checkout).with(known_elsewhere(5))).await;
    assert_eq!(only_action(&**store, "c1").await.attempts, 5);
}

pub(super) async fn what_a_process_that_is_gone_had_leased_is_lost_at_once_and_not_due(
    store: &Arc<dyn Store>,
) {
    let draft = Draft::new("c1")
        .action(refund("r", at(0)))
        .action(look_up("later", at(30)));
    let checkout = done(&**store, draft).await;
    let held = lease(&**store, at(0)).await;
    assert_eq!(attempts(&held), ["r"]);
    assert_eq!(store.end_orphaned_leases(at(5)).await.unwrap(), 1);
    let found = lease(&**store, at(5)).await;
    assert_eq!((lost(&found), attempts(&found).len()), (vec!["r"], 0));
    let got = row(&found[0]);
    assert_eq!((got.attempts, got.last_sent_at), (1, Some(at(0))));
    // Whoever held it before can no longer end it.
    assert_ne!(token(&held[0]), token(&found[0]));
    let stale = Draft::after(&checkout)
        .release("r", &token(&held[0]))
        .action(refund("r", at(0)))
        .action(look_up("later", at(30)));
    done(&**store, stale).await;
    assert_eq!(lease(&**store, at(6)).await, []);
    // A lease that had run out by then is not put off.
    assert_eq!(store.end_orphaned_leases(at(900)).await.unwrap(), 1);
    let again = lease(&**store, at(100)).await;
    assert_eq!((lost(&again), attempts(&again)), (vec!["r"], vec!["later"]));
}

pub(super) async fn what_another_process_may_hold_is_not_ended_by_a_start(store: &Arc<dyn Store>) {
    let checkout = done(&**store, Draft::new("c1").action(refund("r", at(0)))).await;
    let held = lease(&**store, at(0)).await;
    assert_eq!(attempts(&held), ["r"]);
    assert_eq!(store.end_orphaned_leases(at(5)).await.unwrap(), 0);
    assert_eq!(lease(&**store, at(59)).await, []);
    // Whoever holds it may still end it; nobody has called it lost.
    let answered = Draft::after(&checkout).release("r", &token(&held[0]));
    let checkout = done(&**store, answered).await;
    assert_eq!(load(&**store, "c1").await.unwrap().actions, []);
    // One that ran out is found lost, with a start in between or without.
    done(&**store, Draft::after(&checkout).action(refund("s", at(0)))).await;
    assert_eq!(attempts(&lease(&**store, at(60)).await), ["s"]);
    assert_eq!(store.end_orphaned_leases(at(120)).await.unwrap(), 0);
    let found = lease(&**store, at(120)).await;
    assert_eq!((lost(&found), attempts(&found).len()), (vec!["s"], 0));
}

pub(super) async fn tokens_never_repeat(store: &Arc<dyn Store>) {
    let mut draft = Draft::new("c1");
    for n in 0..20 {
        draft = draft.action(look_up(&format!("a{n}"), at(0)));
    }
    done(&**store, draft).await;
    let mut tokens = BTreeSet::new();
    for now in [0, 60, 120, 180, 240].map(at) {
        let leased = lease(&**store, now).await;
        assert_eq!(leased.len(), 20);
        tokens.extend(leased.iter().map(token));
    }
    assert_eq!(tokens.len(), 100);
}

pub(super) async fn due_checkouts_come_longest_overdue_first(store: &Arc<dyn Store>) {
    for (name, wake) in [
        ("c1", Some(3)),
        ("c2", Some(1)),
        ("c3", None),
        ("c4", Some(2)),
        ("c5", Some(9)),
    ] {
        done(&**store, Draft::new(name).wake_at(wake.map(at))).await;
    }
    assert_eq!(store.due(at(0), 9).await.unwrap(), []);
    assert_eq!(
        store.due(at(3), 9).await.unwrap(),
        [named("c2"), named("c4"), named("c1")]
    );
    assert_eq!(
        store.due(at(3), 2).await.unwrap(),
        [named("c2"), named("c4")]
    );
    let c2 = load(&**store, "c2").await.unwrap().row;
    done(&**store, Draft::after(&c2).wake_at(Some(at(50)))).await;
    assert_eq!(
        store.due(at(3), 9).await.unwrap(),
        [named("c4"), named("c1")]
    );
}

pub(super) async fn shops_take_turns_when_more_checkouts_are_due_than_are_asked_for(
    store: &Arc<dyn Store>,
) {
    for nr in 0..9 {
        let draft = Draft::new(&format!("a{nr}")).wake_at(Some(at(nr)));
        done(&**store, draft).await;
    }
    for (name, wake) in [("b1", 20), ("b2", 21), ("b3", 99)] {
        let draft = Draft::new(name).wake_at(Some(at(wake)));
        done(&**store, draft.with(|one| one.row.shop = other_shop())).await;
    }
    let due = async |limit| -> Vec<String> {
        let found = store.due(at(30), limit).await.unwrap();
        found.iter().map(|one| one.id.as_str().to_owned()).collect()
    };
    assert_eq!(due(1).await, ["a0"]);
    assert_eq!(due(2).await, ["a0", "b1"]);
    assert_eq!(due(3).await, ["a0", "a1", "b1"]);
    assert_eq!(due(6).await, ["a0", "a1", "a2", "a3", "b1", "b2"]);
    assert_eq!(due(99).await.len(), 11);
    assert_eq!(store.next_due().await.unwrap(), Some(at(0)));
}

pub(super) async fn the_next_moment_is_the_earliest_of_wakes_dues_and_leases(
    store: &Arc<dyn Store>,
) {
    assert_eq!(store.next_due().await.unwrap(), None);
    let first = done(&**store, Draft::new("c1").wake_at(Some(at(500)))).await;
    assert_eq!(store.next_due().await.unwrap(), Some(at(500)));
    done(&**store, Draft::after(&first).action(look_up("a", at(30)))).await;
    assert_eq!(store.next_due().await.unwrap(), Some(at(30)));
    lease(&**store, at(40)).await;
    assert_eq!(store.next_due().await.unwrap(), Some(at(100)));
    done(
        &**store,
        Draft::new("c2")
            .verdict(Verdict::Held)
            .wake_at(Some(at(99))),
    )
    .await;
    assert_eq!(store.next_due().await.unwrap(), Some(at(99)));
}

/// What was leased and could not be read.
fn unreadable(leased: &[Leased]) -> Vec<&str> {
    let why = leased.iter().filter_map(|one| match one {
        Leased::Unreadable(why) => Some(why.as_str()),
        Leased::Attempt(_) | Leased::Lost(_) => None,
    });
    why.collect()
}

/// For stores whose rows can be damaged: `change` runs a statement behind the store's back.
pub(crate) async fn what_cannot_be_read_is_named_and_holds_up_no_other<F: Future<Output = ()>>(
    store: &dyn Store,
    change: impl Fn(&'static str) -> F,
) {
    done(store, Draft::new("c1").action(look_up("a", at(0)))).await;
    done(store, Draft::new("c2").action(look_up("b", at(1)))).await;
    change("UPDATE actions SET due = due - 1 WHERE key = 'a'").await;
    let named = ["corrupt row in actions.due at c1/a: differs from the content's"];
    let filter = CheckoutFilter {
        limit: 9,
        ..CheckoutFilter::default()
    };
    let wanted = Wanted {
        ids: vec![id("c1"), id("c2")],
        ..Wanted::default()
    };
    let for_people = store.checkouts(&filter).await.unwrap();
    let for_the_engine = store.load(&wanted).await.unwrap().checkouts;
    for loaded in [for_people, for_the_engine.into_values().collect()] {
        let [damaged, whole] = &loaded[..] else {
            panic!("{loaded:?}");
        };
        assert_eq!(
            (&damaged.actions[..], &damaged.unreadable[..]),
            (&[][..], &named.map(str::to_owned)[..])
        );
        assert_eq!((whole.actions.len(), whole.unreadable.len()), (1, 0));
    }
    let leased = lease(store, at(5)).await;
    assert_eq!(attempts(&leased), ["b"]);
    assert_eq!(unreadable(&leased), named);
    assert_eq!(lease(store, at(6)).await, []);
    let leased = lease(store, at(70)).await;
    assert_eq!(lost(&leased), ["b"]);
    assert_eq!(unreadable(&leased), named);
    change("UPDATE actions SET due = due + 1 WHERE key = 'a'").await;
    let leased = lease(store, at(140)).await;
    assert_eq!(lost(&leased), ["a", "b"]);
    assert_eq!(unreadable(&leased), [""; 0]);
}
