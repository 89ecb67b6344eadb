//! The laws that every store keeps, instantiated in code for each of them.
//!
//! A law knows the trait only; what is one implementation's own is tested beside it.

mod commits;
mod deliveries;
pub(crate) mod drafts;
mod guards;
pub(crate) mod leases;
mod likeness;
mod pruning;
pub(crate) mod views;

use reconciled::store::Store;
use reconciled::store::memory::MemoryStore;
use reconciled::store::postgres::PostgresStore;
use reconciled::store::sqlite::SqliteStore;
use std::sync::Arc;

use crate::support::bouncer;
use crate::support::cluster::Database;

async fn memory() -> ((), Arc<dyn Store>) {
    ((), Arc::new(MemoryStore::new()))
}

async fn sqlite() -> (tempfile::TempDir, Arc<dyn Store>) {
    let folder = tempfile::tempdir().unwrap();
    let store = SqliteStore::open(&folder.path().join("laws.db")).await;
    (folder, Arc::new(store.unwrap()))
}

async fn postgres() -> (Database, Arc<dyn Store>) {
    let database = Database::fresh().await;
    let store = database.open().await;
    (database, Arc::new(store))
}

async fn partitioned() -> (Database, Arc<dyn Store>) {
    let database = Database::partitioned().await;
    let store = database.open().await;
    (database, Arc::new(store))
}

async fn pooled() -> (Database, Arc<dyn Store>) {
    let database = Database::fresh().await;
    let store = PostgresStore::open(&bouncer::options(&database).await).await;
    (database, Arc::new(store.unwrap()))
}

macro_rules! suite {
    ($suite:ident, $open:ident, $( $room:ident :: $law:ident, )+) => {
        mod $suite {
            $(
                #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
                async fn $law() {
                    let (_place, store) = super::$open().await;
                    super::$room::$law(&store).await;
                    store.close().await;
                }
            )+
        }
    };
}

/// The laws of every store; of one that a single process has to itself; of one that several share.
macro_rules! laws {
    (
        every { $( $room:ident :: $law:ident, )+ }
        alone { $( $room_alone:ident :: $law_alone:ident, )+ }
        shared { $( $room_shared:ident :: $law_shared:ident, )+ }
    ) => {
        suite!(on_memory, memory, $( $room::$law, )+ $( $room_alone::$law_alone, )+);
        suite!(on_sqlite, sqlite, $( $room::$law, )+ $( $room_alone::$law_alone, )+);
        suite!(on_postgres, postgres, $( $room::$law, )+ $( $room_shared::$law_shared, )+);
        suite!(on_partitions, partitioned, $( $room::$law, )+ $( $room_shared::$law_shared, )+);
        suite!(behind_pgbouncer, pooled, $( $room::$law, )+ $( $room_shared::$law_shared, )+);
    };
}

laws! {
    every {
        deliveries::a_new_delivery_waits_with_its_exact_bytes,
        deliveries::a_repetition_changes_nothing,
        deliveries::what_tells_of_another_time_under_a_known_id_is_new,
        deliveries::another_body_under_a_known_id_is_parked_once,
        deliveries::a_batch_may_repeat_and_contradict_itself,
        deliveries::senders_do_not_share_ids,
        deliveries::deliveries_wait_in_order_of_arrival_even_when_the_clock_steps_back,
        deliveries::senders_take_turns_when_more_waits_than_is_asked_for,
        deliveries::of_very_many_senders_each_gets_its_turn,
        deliveries::who_claims_gets_what_waits_and_what_is_due,
        deliveries::odd_ids_and_empty_or_binary_bodies_read_back,
        deliveries::a_clock_gone_mad_leaves_room_for_later_deliveries,
        deliveries::appending_from_many_tasks_loses_and_doubles_nothing,
        deliveries::the_quarantine_lets_the_oldest_give_way_by_count,
        deliveries::the_quarantine_lets_the_oldest_give_way_by_bytes,
        deliveries::a_requeued_entry_leaves_the_quarantine_and_waits,
        deliveries::a_requeued_entry_is_known_like_any_other,
        commits::a_committed_checkout_reads_back_whole,
        commits::a_checkout_is_found_by_order_and_by_payment,
        commits::a_stale_version_conflicts_and_changes_nothing,
        commits::making_a_checkout_twice_conflicts,
        commits::a_second_checkout_for_the_same_order_conflicts,
        commits::a_conflicting_unit_drops_out_alone,
        commits::two_units_on_one_checkout_do_not_both_happen,
        commits::two_units_for_one_new_order_do_not_both_happen,
        commits::two_units_for_one_new_payment_do_not_both_happen,
        commits::a_payment_that_lives_elsewhere_conflicts,
        commits::a_payment_moves_when_its_old_home_is_in_the_same_unit,
        commits::a_delivery_is_dealt_with_once,
        commits::a_unit_is_all_or_nothing,
        commits::dispositions_are_kept,
        commits::an_entry_that_does_not_continue_the_journal_is_refused_whole,
        commits::one_thing_named_twice_in_a_unit_is_refused_whole,
        commits::the_journal_is_a_chain_that_verifies,
        commits::a_unit_without_checkouts_settles_deliveries,
        commits::large_and_odd_documents_read_back,
        leases::a_due_action_is_leased_once,
        leases::nothing_is_leased_before_it_is_due,
        leases::the_longest_overdue_comes_first_within_room_and_limit,
        leases::destinations_take_turns_when_more_is_due_than_the_limit,
        leases::a_destination_without_room_gets_nothing,
        leases::refunds_are_held_back_when_told,
        leases::a_lease_that_ran_out_is_reported_lost_until_it_is_ended,
        leases::a_lost_refund_is_reported_even_when_refunds_are_held_back,
        leases::a_commit_ends_only_the_lease_whose_token_it_names,
        leases::a_leased_action_is_left_alone_by_a_commit,
        leases::what_was_decided_without_knowing_that_money_left_conflicts,
        leases::what_is_not_wanted_goes_and_what_is_wanted_follows,
        leases::a_released_action_is_let_go_or_wanted_anew,
        leases::attempts_go_on_across_leases_and_never_go_back,
        leases::tokens_never_repeat,
        leases::due_checkouts_come_longest_overdue_first,
        leases::shops_take_turns_when_more_checkouts_are_due_than_are_asked_for,
        leases::the_next_moment_is_the_earliest_of_wakes_dues_and_leases,
        guards::tallies_add_up_by_kind_and_currency,
        guards::tallies_before_the_window_do_not_count,
        guards::a_brake_that_is_released_forgets_what_counted_and_nobody_elses,
        guards::huge_tallies_end_at_the_edge,
        guards::a_refund_is_judged_and_counted_in_one_step,
        guards::a_refused_or_repeated_refund_is_not_counted,
        guards::x06_the_hours_budget_is_not_renewed_at_midnight,
        guards::a_conflicting_unit_is_not_counted,
        guards::a_brake_stands_until_it_is_cleared,
        guards::an_epoch_never_goes_back,
        guards::the_first_start_stays,
        guards::the_newest_order_that_stands_so_is_found,
        guards::starts_are_counted_and_tell_where_the_one_before_was,
        guards::a_sweep_mark_never_moves_back,
        guards::the_probe_answers,
        views::filters_take_what_they_name,
        views::pages_follow_each_other_without_gap_or_repetition,
        views::the_overview_equals_a_full_recount,
        views::suspense_past_the_range_ends_at_the_edge_and_comes_back,
        views::the_backlog_counts_what_waits,
        views::a_journal_is_read_in_pages,
        views::an_audit_reads_every_checkout_with_its_whole_journal,
        views::what_moved_is_what_changed_since_or_does_not_rest,
        pruning::bodies_go_before_ids_and_waiting_deliveries_stay,
        pruning::a_pruned_delivery_id_is_new_again,
        pruning::parked_deliveries_go_with_the_longest_retention,
        pruning::a_resting_checkout_goes_with_everything_that_is_its_own,
        pruning::what_is_open_held_waking_or_leased_stays_whatever_its_age,
        pruning::a_step_is_bounded,
        pruning::old_tallies_go,
        likeness::orders_alike_within_half_an_hour_point_to_each_other,
        likeness::an_order_that_is_recognised_no_more_leaves_the_others_to_each_other,
        likeness::a_conflicting_commit_is_not_recognised_by_anything,
        likeness::a_pruned_order_is_nobodys_twin,
    }
    alone {
        leases::what_a_process_that_is_gone_had_leased_is_lost_at_once_and_not_due,
    }
    shared {
        deliveries::what_one_holder_claimed_the_others_leave_until_its_time_is_up,
        deliveries::who_claims_at_once_shares_all_of_it,
        leases::what_another_process_may_hold_is_not_ended_by_a_start,
    }
}
