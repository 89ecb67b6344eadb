//! The table of stories and PSPs: each story is played at every PSP that can play it.
//!
//! A PSP is one word in `played_at!`, a story one line in `stories!` with what it needs of a PSP.
//! What a PSP does not play stands in `lacking!`: an ability, whose reason is in the sandbox's own
//! table, or a story with its reason here. Nothing is skipped anywhere else, and the tests at the
//! end hold the table to that.

use crate::support::{Keeps, Psp};
use reconciled::sandbox::psp::{Ability, KINDS, Kind};
use std::collections::BTreeSet;

/// What a story needs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Need {
    /// Something that not every PSP has; who lacks it and why stands in the sandbox's table.
    Psp(Ability),
    /// A store that is one file of the daemon's own.
    StoreFile,
}

/// Who lacks a file as its store, and why.
const NO_STORE_FILE: &[(&str, &str)] = &[(
    ON_POSTGRES,
    "the store is a database on a server: there is no file to put back or to lock, no count of starts \
     beside it, and a second daemon on it is welcome",
)];
/// Ends the word of a PSP whose stories a daemon on PostgreSQL plays.
const ON_POSTGRES: &str = "_on_postgres";

/// A story that any PSP may play.
struct Story {
    file: &'static str,
    name: &'static str,
    needs: &'static [Need],
}

/// The PSP of this word, and the store.
fn psp(word: &str) -> Psp {
    let (word, keeps) = match word.strip_suffix(ON_POSTGRES) {
        Some(word) => (word, Keeps::Postgres),
        None => (word, Keeps::File),
    };
    let kind = Kind::find(word).unwrap_or_else(|| panic!("the sandbox speaks no {word}"));
    Psp { kind, keeps }
}

/// Does who plays under this word have what a story needs?
fn has(word: &str, need: Need) -> bool {
    match need {
        Need::Psp(ability) => psp(word).has(ability),
        Need::StoreFile => !NO_STORE_FILE.iter().any(|(end, _)| word.ends_with(end)),
    }
}

macro_rules! need {
    (StoreFile) => {
        Need::StoreFile
    };
    ($ability:ident) => {
        Need::Psp(Ability::$ability)
    };
}

/// Makes `able!`, which drops a test of a PSP that lacks what its story needs, and the table of
/// what is dropped. Written as `psp { Ability; story: "why"; }`.
macro_rules! lacking {
    ($d:tt $($psp:ident { $($word:ident $(: $why:literal)?;)* })*) => {
        /// PSP, ability or story, and why the story is not played (none: an ability has its
        /// reason in the sandbox's table).
        const LACKING: &[(&str, &str, &[&str])] =
            &[$($((stringify!($psp), stringify!($word), &[$($why)?]),)*)*];

        macro_rules! able {
            $($(($psp $word $d($d rest:tt)*) => {};)*)*
            ($d psp:ident $d word:ident $d($d rest:tt)+) => { able! { $d psp $d($d rest)+ } };
            ($d psp:ident => $d($d test:tt)*) => { $d($d test)* };
        }
    };
}

/// Makes `play!`, which has a test for each story at one PSP, and the table of stories.
macro_rules! stories {
    ($($file:ident { $($story:ident $([$($need:ident),*])?;)* })*) => {
        const STORIES: &[Story] = &[$($(Story {
            file: stringify!($file),
            name: stringify!($story),
            needs: &[$($(need!($need)),*)?],
        },)*)*];

        macro_rules! play {
            ($psp:ident) => {
                mod $psp {
                    $(mod $file {
                        $(able! { $psp $story $($($need)*)? =>
                            #[tokio::test]
                            async fn $story() {
                                let psp = crate::every_psp::psp(stringify!($psp));
                                crate::$file::$story(psp).await;
                            }
                        })*
                    })*
                }
            };
        }
    };
}

/// The PSPs that play the stories.
macro_rules! played_at {
    ($($psp:ident)*) => {
        const PLAYED_AT: &[&str] = &[$(stringify!($psp)),*];
        $(play! { $psp })*
    };
}

lacking! { $
    stripe {}
    stripe_on_postgres {
        StoreFile;
    }
    mollie {
        Signature;
        SignedTime;
        Statement;
        EventId;
        Mode;
        s015_a_flood_of_kept_back_events_confirms_all_and_refunds_nobody_for_their_age: "counts two events to a payment, and Mollie tells of one that was paid once";
        s020_a_direct_debit_goes_back_only_after_the_bank_had_its_time: "its debit is pulled back for good, and Mollie, which may reverse a chargeback, has no word for that";
        s029_money_that_the_bank_reverses_is_refunded_neither_before_nor_after_the_confirm: "a chargeback that stands may be reversed for as long as one looks: Mollie has no word for lost";
        s086_a_disputed_orphan_is_held_and_never_refunded: "a chargeback that stands may be reversed for as long as one looks: Mollie has no word for lost";
        s091_a_void_that_a_capture_overtook_becomes_a_refund_after_a_fresh_look: "the payment is looked at right before it is released, so a capture is seen and nothing is released";
        s062_a_disputed_duplicate_is_left_to_the_bank_and_the_sound_payment_kept: "a chargeback that stands may be reversed for as long as one looks: Mollie has no word for lost";
        r23_staff_refund_while_a_confirm_is_unanswered_and_the_shop_is_told: "a refund is only named, so a confirm that had no effect may be repeated before it is read";
    }
    multisafepay {
        EventId;
        Mode;
        s086_a_disputed_orphan_is_held_and_never_refunded: "a charge-back that stands may be reversed for as long as one looks: MultiSafepay has no word for lost";
        s091_a_void_that_a_capture_overtook_becomes_a_refund_after_a_fresh_look: "the order is looked at right before it is released, so a capture is seen and nothing is released";
        s007_events_from_a_clock_ahead_of_ours_are_kept_and_the_sweep_confirms: "the story's clock is six minutes off, and MultiSafepay's signatures allow for ten";
        s009_webhooks_sent_elsewhere_show_as_payments_that_only_the_sweep_found: "a list only names orders, and what was read does not show who named it";
        s009_silent_webhooks_are_told_on_the_page_in_the_metrics_and_in_the_log: "a list only names orders, and what was read does not show who named it";
        s013_an_endpoint_that_the_psp_switched_off_is_seen_and_everything_is_confirmed: "a list only names orders, and what was read does not show who named it";
        s015_a_flood_of_kept_back_events_confirms_all_and_refunds_nobody_for_their_age: "counts two events for each payment, and MultiSafepay tells of a payment once";
        s020_a_direct_debit_goes_back_only_after_the_bank_had_its_time: "a charge-back that stands may be reversed for as long as one looks: MultiSafepay has no word for lost";
        s026_an_authorisation_that_lapses_tomorrow_is_held_until_the_shop_captures: "an order does not say when its authorisation lapses";
        s029_money_that_the_bank_reverses_is_refunded_neither_before_nor_after_the_confirm: "a charge-back that stands may be reversed for as long as one looks: MultiSafepay has no word for lost";
        s041_the_shops_mark_says_whose_an_order_number_in_two_shops_is: "the mark is a field of its own, and the sandbox's orders carry the reference alone";
        s048_captures_for_split_shipments_confirm_once_and_nothing_goes_back: "a part that is captured is an order of its own at MultiSafepay, which the sandbox does not play";
        s059_an_authorisation_captured_twice_keeps_the_one_and_returns_the_other: "a part that is captured is an order of its own at MultiSafepay, which the sandbox does not play";
        s062_a_disputed_duplicate_is_left_to_the_bank_and_the_sound_payment_kept: "a charge-back that stands may be reversed for as long as one looks: MultiSafepay has no word for lost";
        s090_a_payment_by_a_means_that_cannot_be_refunded_is_held_before_any_try: "the story's voucher is no means of payment at MultiSafepay";
        r23_staff_refund_while_a_confirm_is_unanswered_and_the_shop_is_told: "a refund is only named, so a confirm that had no effect may be repeated before it is read";
    }
    paypal {
        SignedTime;
        Statement;
        BalanceWait;
        Mode;
        s001_a_forged_claim_about_a_real_unpaid_payment_leaves_its_order_open:
            "an order that nobody captured is in none of PayPal's lists, so it is not known of";
        s009_webhooks_sent_elsewhere_show_as_payments_that_only_the_sweep_found:
            "every capture is learned by a read: deliveries and lists alike only name it";
        s037_the_excess_is_against_the_price_when_it_was_paid:
            "every capture is learned by a read, and counts as paid when it was read first";
        s041_the_shops_mark_says_whose_an_order_number_in_two_shops_is:
            "the mark is a field of its own, and PayPal's payments have custom_id and invoice_id alone";
        s070_an_authorisation_for_an_order_that_is_given_up_is_voided:
            "until the named payment is read the cancelled order looks closed, where the story looks";
        s091_a_void_that_a_capture_overtook_becomes_a_refund_after_a_fresh_look:
            "the last look takes two calls, and the capture of the story shows in the second";
        s009_silent_webhooks_are_told_on_the_page_in_the_metrics_and_in_the_log:
            "every capture is learned by a read, so nothing shows which were told and which listed";
        s013_an_endpoint_that_the_psp_switched_off_is_seen_and_everything_is_confirmed:
            "every capture is learned by a read, so nothing shows which were told and which listed";
        s015_a_flood_of_kept_back_events_confirms_all_and_refunds_nobody_for_their_age:
            "counts two events for each payment, and PayPal tells of a capture once";
        s087_a_chargeback_after_our_refund_is_held_with_the_refund_at_hand:
            "it is held as disputed, but a refund learned by reads alone is not shown with its id";
        s090_a_payment_by_a_means_that_cannot_be_refunded_is_held_before_any_try:
            "PayPal names no means of payment that it does not refund";
        s048_captures_for_split_shipments_confirm_once_and_nothing_goes_back:
            "each capture is a payment of its own at PayPal, and the first part alone is held as too little";
        r23_staff_refund_while_a_confirm_is_unanswered_and_the_shop_is_told:
            "a refund is only named, so a confirm that had no effect may be repeated before it is read";
    }
    adyen {
        Fetch;
        List;
        RefundList;
        SignedTime;
        EventId;
        BalanceWait;
        Mode;
        s001_a_forged_claim_about_a_real_unpaid_payment_leaves_its_order_open:
            "a payment that nobody has paid yet is told of by no event, so it is not known of";
        s005_a_checkout_closed_as_failed_reopens_for_a_second_attempt:
            "a later attempt may share the refused one's name, so where the shop captures it stays open";
        s008_a_secret_rotated_at_the_psp_alone_loses_nothing_and_is_replayed_after_the_fix:
            "settles by the sweep while every webhook is refused, and Adyen has no list";
        s009_silent_webhooks_are_told_on_the_page_in_the_metrics_and_in_the_log:
            "counts payments that only a sweep found, and Adyen has no list";
        s013_an_endpoint_that_the_psp_switched_off_is_seen_and_everything_is_confirmed:
            "confirms by the sweep what no webhook told, and Adyen has no list";
        s019_orders_whose_timer_ran_out_during_3d_secure_are_revived_refunded_or_voided:
            "while the payer is away at the bank no event tells of the payment";
        s026_an_authorisation_that_lapses_tomorrow_is_held_until_the_shop_captures:
            "no signed field says when an authorisation lapses";
        s028_a_capture_that_timed_out_for_the_shop_is_read_and_confirmed_not_repeated:
            "the webhook of the capture is lost, and nothing can be read";
        s030_a_payment_that_processes_for_long_and_fails_costs_nobody_anything:
            "while the bank works on a payment no event tells of it";
        s032_a_revoked_key_is_told_and_proves_nothing_about_any_payment:
            "nothing is asked with the key before money leaves, so a refund is the first to be refused";
        s042_an_old_payment_that_meets_a_new_order_of_its_number_is_held:
            "the old payment is found by a list, and by no signed field is it old";
        s048_captures_for_split_shipments_confirm_once_and_nothing_goes_back:
            "what is not captured at first is released at Adyen, unless the account is set otherwise";
        s081_a_refund_out_when_we_were_off_for_days_is_read_back_before_any_repeat:
            "forgets the keys of the last minutes, and Adyen keeps them for a week and has no list";
        s090_a_payment_by_a_means_that_cannot_be_refunded_is_held_before_any_try:
            "the means of payment is not signed, so it keeps nothing from being asked";
        s097_a_store_restored_from_an_older_copy_reads_before_it_acts:
            "what was told after the copy was made is found by a list, and Adyen has none";
        x02_a_new_status_word_of_the_psp_moves_no_money_and_fails_no_payment:
            "the word stands in the answer to a read, and nothing is read";
        x05_a_watcher_outside_hears_of_a_daemon_that_works_and_of_no_other:
            "is silent while no sweep ends, and an account without a list is never swept";
        r41_the_shop_confirms_while_a_refund_is_unanswered_and_nothing_is_sent_again:
            "loses every webhook of the refund, and an event alone says that it is done";
        r43_staff_refund_while_ours_is_unanswered_and_no_cent_goes_twice:
            "loses every webhook of both refunds, and an event alone says that one is done";
        r46_a_daemon_that_dies_with_a_refund_out_reads_the_list_and_keeps_the_key:
            "loses every webhook of the refund, and an event alone says that it is done";
        r47_a_second_payment_while_a_refund_is_unanswered_is_confirmed_if_the_order_lives:
            "loses every webhook of the first payment, and an event alone says that its refund is done";
        r57_a_second_payment_while_a_void_is_unanswered_leaves_no_authorisation_behind:
            "paid in two events, the second payment may show as held first, and the order is given up with it";
    }
}

stories! {
    stories_tender {
        s034_an_amount_off_by_ten_is_held_and_brakes_every_refund_until_it_is_mended;
        s035_money_in_another_currency_than_the_order_is_held;
        s038_an_order_raised_after_payment_stays_confirmed_and_shows_that_a_balance_is_due;
        s039_an_order_lowered_after_payment_gives_back_only_what_the_shop_asks_for;
        s043_a_payment_that_two_orders_name_pays_the_first_and_holds_the_second;
        s045_a_card_payment_whose_gift_card_failed_waits_and_goes_back;
        s046_a_card_that_pays_what_a_gift_card_left_confirms;
        s047_an_orphan_of_card_and_gift_card_returns_the_one_and_has_the_other_restored_once;
        s048_captures_for_split_shipments_confirm_once_and_nothing_goes_back;
        s051_a_seller_who_cannot_deliver_has_the_share_returned_and_the_others_stay_confirmed;
        s053_a_cart_that_got_another_reference_at_login_is_confirmed_under_it;
        s050_donations_that_no_rule_claims_are_left_alone_and_summed_on_the_status_page;
        s058_two_orders_with_a_payment_each_are_both_confirmed_and_no_rule_gives_money_back;
        s058_two_alike_orders_of_one_customer_both_stand_and_are_shown_as_duplicates;
        s059_an_authorisation_captured_twice_keeps_the_one_and_returns_the_other;
        s060_of_two_orders_of_one_cart_the_paid_one_is_confirmed_and_the_other_left_alone;
        s061_an_old_orders_link_paid_after_the_replacement_goes_by_the_shops_answer;
        s062_a_disputed_duplicate_is_left_to_the_bank_and_the_sound_payment_kept;
        s081_a_refund_out_when_we_were_off_for_days_is_read_back_before_any_repeat;
        a_released_brake_is_not_pulled_again_by_what_had_pulled_it;
    }
    stories_guarded {
        s095_a_shop_restored_from_a_backup_gives_nothing_back_and_gets_its_orders_offered;
        an_answer_that_was_long_on_its_way_is_no_shop_that_was_set_back;
        s095_without_an_epoch_one_confirmed_order_that_is_gone_stops_the_refund_of_another;
        s096_a_shop_that_finds_its_orders_has_its_unknown_believed;
        s096_on_the_first_day_no_unknown_counts_before_the_shop_has_found_an_order;
        s096_a_canary_question_that_fails_proves_nothing_in_either_way;
        s097_a_store_restored_from_an_older_copy_reads_before_it_acts [StoreFile];
        s011_a_copy_of_the_store_that_starts_elsewhere_moves_no_money;
        s009_silent_webhooks_are_told_on_the_page_in_the_metrics_and_in_the_log;
        s042_an_old_payment_that_meets_a_new_order_of_its_number_is_held;
        s011_a_clone_of_shop_and_keys_with_an_empty_store_takes_no_real_payment_for_an_orphan;
    }
    stories_after {
        s013_an_endpoint_that_the_psp_switched_off_is_seen_and_everything_is_confirmed;
        s015_a_flood_of_kept_back_events_confirms_all_and_refunds_nobody_for_their_age;
        s020_a_direct_debit_goes_back_only_after_the_bank_had_its_time;
        s021_a_transfer_booked_as_a_new_object_without_reference_is_held;
        s026_an_authorisation_that_lapses_tomorrow_is_held_until_the_shop_captures;
        s028_a_capture_that_timed_out_for_the_shop_is_read_and_confirmed_not_repeated;
        s029_money_that_the_bank_reverses_is_refunded_neither_before_nor_after_the_confirm;
        s030_a_payment_that_processes_for_long_and_fails_costs_nobody_anything;
        s032_a_revoked_key_is_told_and_proves_nothing_about_any_payment [Statement];
        s087_a_chargeback_after_our_refund_is_held_with_the_refund_at_hand;
        s090_a_payment_by_a_means_that_cannot_be_refunded_is_held_before_any_try;
        s092_a_refund_is_what_the_payer_paid_in_the_payers_currency;
        s093_an_order_made_after_the_refund_is_not_confirmed_and_its_parcel_is_stopped;
        x02_a_new_status_word_of_the_psp_moves_no_money_and_fails_no_payment [Statement];
        x05_a_watcher_outside_hears_of_a_daemon_that_works_and_of_no_other;
    }
    stories_race {
        s077_a_confirm_that_a_proxy_delivers_after_the_refund_is_refused_as_stale;
        s077_a_stale_confirm_that_a_heedless_shop_takes_is_found_held_and_told;
        s079_the_delayed_look_finds_a_confirm_that_the_shop_rolled_back;
        r23_staff_refund_while_a_confirm_is_unanswered_and_the_shop_is_told;
        r26_a_daemon_that_dies_with_a_confirm_out_reads_back_before_it_repeats;
        r27_a_second_payment_while_a_confirm_is_unanswered_goes_back;
        r41_the_shop_confirms_while_a_refund_is_unanswered_and_nothing_is_sent_again;
        r43_staff_refund_while_ours_is_unanswered_and_no_cent_goes_twice;
        r46_a_daemon_that_dies_with_a_refund_out_reads_the_list_and_keeps_the_key;
        r47_a_second_payment_while_a_refund_is_unanswered_is_confirmed_if_the_order_lives;
        r57_a_second_payment_while_a_void_is_unanswered_leaves_no_authorisation_behind;
    }
    stories {
        a_normal_payment_is_confirmed_once_and_sigterm_ends_the_daemon_well;
        s001_forged_webhooks_are_answered_with_401_and_change_nothing [Signature, SignedTime];
        s003_the_same_event_delivered_twice_confirms_once;
        s006_a_payment_whose_order_appears_later_is_confirmed;
        s017_a_payment_whose_webhooks_are_lost_is_found_by_the_sweep [List];
        s055_of_two_payments_for_one_order_one_is_refunded;
        s064_a_confirm_that_was_applied_while_its_answer_was_lost_is_read_back;
        s067_a_maintenance_page_an_empty_and_a_broken_answer_are_no_answers;
        s069_a_shop_outage_never_leads_to_a_refund;
        s071_money_for_an_order_cancelled_meanwhile_goes_back;
        s080_a_refund_that_was_applied_while_its_answer_was_lost_is_not_repeated;
        a_daemon_killed_with_a_confirm_and_a_refund_in_flight_does_neither_twice;
    }
    stories_confirm {
        s064_a_confirm_that_outlasts_its_time_limit_is_read_back_and_not_repeated;
        s065_a_502_after_the_shop_applied_the_confirm_is_no_refusal;
        s066_a_refused_connection_is_tried_again_until_the_shop_is_back;
        s067_a_login_page_for_every_question_ends_in_a_hold_and_not_in_a_refund;
        s068_404_during_a_deploy_is_no_word_about_the_order;
        s068_one_unknown_from_a_lagging_replica_is_not_enough;
        s069_clocks_stand_still_while_the_shop_is_down_and_the_load_is_spread_after;
        s072_an_order_in_review_is_asked_about_until_the_shop_says_yes;
        s075_a_shop_that_mails_on_every_confirm_is_read_before_each_repeat;
        s076_a_hanging_confirm_blocks_the_way_back_until_it_is_resolved;
        s078_a_shop_that_confirms_by_itself_right_before_the_refund_keeps_the_money;
        s079_a_confirm_that_the_shop_rolled_back_is_looked_at_again_and_repeated;
    }
    stories_duplicates {
        s044_a_payment_without_reference_is_matched_by_no_likeness_and_held;
        s044_a_payment_without_reference_goes_back_where_the_policy_says_so;
        s054_an_order_paid_by_phone_sends_a_later_link_payment_back;
        s054_a_confirmed_order_that_names_no_other_payment_sends_nothing_back;
        s055_of_two_paid_attempts_the_one_that_the_shop_recorded_is_kept [List];
        s055_of_two_paid_attempts_the_first_is_kept_when_the_shop_recorded_none;
        s056_two_payments_of_the_same_instant_lead_to_exactly_one_refund;
        s057_an_attempt_left_open_and_paid_after_the_first_is_refunded [List];
        s073_an_order_that_the_shop_confirmed_by_this_payment_is_settled_without_a_word;
        s074_a_payment_for_an_order_that_another_payment_paid_goes_back [List];
        s074_a_payment_that_the_shop_calls_by_another_name_is_held_and_not_refunded;
        s082_two_operators_and_staff_at_once_return_the_money_once [List];
        s055_a_duplicate_waits_for_the_confirm_of_the_one_that_stays;
    }
    stories_ingest {
        s001_a_forged_claim_about_a_real_unpaid_payment_leaves_its_order_open [Signature];
        s002_events_replayed_after_everything_about_them_was_pruned_change_nothing [List, SignedTime, EventId];
        s003_sixteen_copies_of_an_event_at_the_same_moment_confirm_once [List, EventId];
        s004_a_failure_told_after_the_success_does_not_undo_it [List];
        s005_a_checkout_closed_as_failed_reopens_for_a_second_attempt;
        s006_payments_whose_orders_appear_at_once_or_much_later_or_silently_are_confirmed;
        s007_events_from_a_clock_ahead_of_ours_are_kept_and_the_sweep_confirms [Signature, SignedTime];
        s008_a_secret_rotated_at_the_psp_alone_loses_nothing_and_is_replayed_after_the_fix [Signature];
        s009_webhooks_sent_elsewhere_show_as_payments_that_only_the_sweep_found [List];
        s010_an_event_of_the_other_mode_is_recorded_and_never_acted_on [Mode];
        s012_another_integrations_payment_is_listed_as_not_ours_and_left_alone [List];
    }
    stories_late {
        s017_payers_who_close_the_tab_are_found_by_listing_the_psp [List];
        s018_orders_cancelled_by_the_return_page_a_second_before_the_money_are_as_the_shop_says;
        s019_orders_whose_timer_ran_out_during_3d_secure_are_revived_refunded_or_voided [Hold];
        s022_while_the_psp_cannot_be_asked_nothing_is_refunded_cancelled_or_taken_for_unpaid [Fetch, List, Statement];
        s023_payments_that_lists_do_not_show_yet_are_found_by_id_or_by_a_later_list [List];
        s027_authorisations_without_an_order_are_voided_and_a_capture_slipping_in_is_refunded [Hold];
    }
    stories_matching {
        s033_one_cent_apart_is_within_the_tolerance_and_two_cents_are_not;
        s036_too_little_waits_for_the_rest_and_is_then_held;
        s036_too_little_goes_back_whole_where_the_policy_says_so;
        s037_too_much_is_confirmed_and_exactly_the_excess_goes_back [List];
        s037_the_excess_is_against_the_price_when_it_was_paid [List, EventId];
        s040_a_small_payment_for_an_expensive_order_is_held_as_suspicious [List];
        s041_the_shops_mark_says_whose_an_order_number_in_two_shops_is [List];
        s041_without_a_mark_nobody_confirms_or_refunds_what_may_be_the_others [List];
    }
    stories_refund {
        s070_money_for_an_order_that_cannot_be_fulfilled_goes_back_for_good;
        s070_an_authorisation_for_an_order_that_is_given_up_is_voided [Hold];
        s071_an_order_cancelled_after_its_goods_left_is_held;
        s071_an_order_cancelled_while_its_confirm_was_on_the_way_is_refunded_once;
        s080_a_refund_behind_a_500_is_found_in_the_list_and_adopted [List, RefundList];
        s083_a_refund_by_staff_while_the_daemon_waits_ends_the_case [Fetch];
        s084_after_a_partial_refund_by_staff_only_the_rest_goes_back [Fetch];
        s085_a_refund_by_staff_after_the_confirm_is_told_to_the_shop_and_not_answered;
        s086_a_disputed_orphan_is_held_and_never_refunded [List, Dispute];
        s088_a_refund_that_waits_for_the_balance_is_pending_and_not_repeated [BalanceWait];
        s089_a_refund_that_fails_days_later_wakes_a_closed_case_and_is_held [RefundFailure, RefundKey];
        s091_a_void_that_a_capture_overtook_becomes_a_refund_after_a_fresh_look [Fetch, Hold];
        s094_every_retry_of_a_refund_carries_the_same_key [RefundKey];
    }
    stories_system {
        s098_a_worker_that_slept_past_its_lease_refunds_once;
        s098_an_old_host_that_returns_is_refused_the_store [StoreFile];
        s099_a_poison_checkout_is_set_aside_and_all_others_flow [List];
        s099_a_poison_action_is_named_and_all_others_flow;
        s100_years_of_history_before_the_cut_off_are_recorded_and_left_alone [List];
        s100_a_shop_that_knows_none_of_many_orders_brings_the_guard_down_before_any_refund;
        s100_the_hours_limit_stops_correct_refunds_too_and_a_restart_does_not_reset_it;
        s098_a_worker_that_slept_past_its_lease_confirms_once;
    }
}

played_at! { stripe mollie multisafepay paypal adyen stripe_on_postgres }

/// Stories about one PSP's own ways: they play there alone.
const OWN: &[(&str, &str, &str, &str)] = &[
    (
        "stripe",
        "stories_confirm",
        "the_operators_token_is_in_no_log",
        "is about operators and the log, whatever the PSP",
    ),
    (
        "stripe",
        "stories_ingest",
        "s014_well_signed_nonsense_is_acknowledged_and_parked_and_stops_nobody",
        "the nonsense is in Stripe's shapes, each body signed as a whole",
    ),
    (
        "stripe",
        "stories_ingest",
        "s016_with_a_full_disk_senders_are_put_off_and_nothing_is_done_outside",
        "fills the disk with events that Stripe signs as a whole",
    ),
    (
        "stripe",
        "stories_system",
        "s099_a_poison_delivery_stops_nothing_behind_it",
        "the poison is in Stripe's shapes, each body signed as a whole",
    ),
    (
        "stripe",
        "stories_late",
        "s024_a_listing_that_breaks_on_page_seven_of_twelve_leaves_the_mark_where_it_was",
        "counts Stripe's pages of a hundred over its three lists",
    ),
    (
        "stripe",
        "stories_late",
        "s025_payments_with_equal_timestamps_at_every_edge_are_all_found",
        "stands on the edges of Stripe's windows by creation and its pages of a hundred",
    ),
    (
        "mollie",
        "stories_refund",
        "a_refund_that_still_waits_is_called_off_when_the_shop_confirms_after_all",
        "Mollie waits two hours with a refund and lets it be cancelled meanwhile",
    ),
    (
        "adyen",
        "stories_after",
        "a_watcher_hears_of_a_daemon_whose_psp_has_no_list",
        "is about an account that is never swept, because its PSP has no list",
    ),
    (
        "adyen",
        "stories_refund",
        "an_unanswered_refund_is_repeated_under_its_key_and_done_by_its_event_alone",
        "Adyen has neither a list of refunds nor a word on one but its event",
    ),
    (
        "stripe",
        "stories_refund",
        "s083_already_refunded_is_the_goal_reached_and_no_error",
        "holds back the answers of Stripe's separate reads of refunds and disputes",
    ),
    (
        "stripe",
        "stories_after",
        "x08_a_proxy_that_rewrites_bodies_is_named_as_a_cause_and_loses_nothing",
        "signs the body by Stripe's scheme, which covers every byte",
    ),
];

/// The files of stories, by module name.
fn files() -> Vec<(String, String)> {
    let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/it");
    let entries = std::fs::read_dir(folder).unwrap().map(Result::unwrap);
    let named = entries.filter_map(|entry| {
        let name = entry.file_name().into_string().unwrap();
        let module = name.strip_suffix(".rs")?.to_owned();
        let is_story = module.starts_with("stories");
        is_story.then(|| (module, std::fs::read_to_string(entry.path()).unwrap()))
    });
    named.collect()
}

/// The names of functions that begin with these words and take these arguments.
fn names<'a>(text: &'a str, before: &'a str, taken: &'a str) -> impl Iterator<Item = &'a str> {
    text.split(before).skip(1).filter_map(move |rest| {
        let (name, rest) = rest.split_once('(')?;
        let (arguments, _) = rest.split_once(')')?;
        let arguments = arguments.trim().trim_end_matches(',');
        (arguments == taken).then_some(name)
    })
}

#[test]
fn every_psp_of_the_sandbox_plays_the_stories() {
    let words: Vec<&str> = KINDS.iter().map(|kind| kind.word).collect();
    let (kept, of_file): (Vec<&str>, Vec<&str>) = PLAYED_AT
        .iter()
        .partition(|word| psp(word).keeps == Keeps::Postgres);
    assert_eq!(words, of_file);
    assert_eq!(kept, ["stripe_on_postgres"]);
}

/// Is this story a test at this PSP?
fn is_played(played_at: &str, story: &Story) -> bool {
    let is_able = story.needs.iter().all(|need| has(played_at, *need));
    let is_dropped = LACKING
        .iter()
        .any(|(psp, word, _)| *psp == played_at && *word == story.name);
    is_able && !is_dropped
}

#[test]
fn the_readme_says_of_each_story_where_it_is_played() {
    let readme = concat!(env!("CARGO_MANIFEST_DIR"), "/README.md");
    let readme = std::fs::read_to_string(readme).unwrap();
    let said: Vec<&str> = readme
        .lines()
        .filter(|line| line.starts_with("| `stories"))
        .collect();
    assert!(said.len() > 15, "only {} stories", said.len());
    let mut wrong = Vec::new();
    for line in said {
        let name = line.split('`').nth(1).unwrap();
        let (file, story) = name.split_once("::").unwrap();
        let known = STORIES
            .iter()
            .find(|one| one.file == file && one.name == story);
        let Some(story) = known else {
            wrong.push(format!("no such story: {name}"));
            continue;
        };
        let cells = KINDS.iter().map(|kind| match is_played(kind.word, story) {
            true => " plays |",
            false => " – |",
        });
        let right = format!("| `{name}` |{}", cells.collect::<String>());
        if right != line {
            wrong.push(right);
        }
    }
    assert!(
        wrong.is_empty(),
        "README.md, as it should be:\n{}",
        wrong.join("\n")
    );
}

#[test]
fn every_story_at_every_psp_is_played_or_listed_with_its_reason() {
    let known: BTreeSet<&str> = STORIES.iter().map(|story| story.name).collect();
    let needs: Vec<Need> = STORIES
        .iter()
        .flat_map(|story| story.needs)
        .copied()
        .collect();
    let shown = |need: &Need| match need {
        Need::Psp(ability) => format!("{ability:?}"),
        Need::StoreFile => "StoreFile".to_owned(),
    };
    for played_at in PLAYED_AT {
        let lacking = LACKING.iter().filter(|(psp, ..)| psp == played_at);
        let mut lost = BTreeSet::new();
        for (_, word, why) in lacking {
            if known.contains(word) {
                assert!(
                    why.first().is_some_and(|why| why.len() > 20),
                    "{played_at}: {word}: why?"
                );
            } else {
                lost.insert((*word).to_owned());
            }
        }
        // What drops a story here is what the tables of abilities say, with their reasons, no more.
        let lacks = needs.iter().filter(|need| !has(played_at, **need));
        let lacks: BTreeSet<String> = lacks.map(shown).collect();
        assert_eq!(lost, lacks, "{played_at}");
        let played = STORIES.iter().filter(|story| is_played(played_at, story));
        assert!(
            played.count() * 2 > STORIES.len(),
            "{played_at} plays too little"
        );
    }
    assert!(NO_STORE_FILE.iter().all(|(_, why)| why.len() > 20));
}

#[test]
fn every_story_stands_in_the_table_or_is_one_psps_own_with_its_reason() {
    let mut told = BTreeSet::new();
    let mut own = BTreeSet::new();
    for (file, text) in files() {
        for name in names(&text, "pub(crate) async fn ", "psp: Psp") {
            told.insert((file.clone(), name.to_owned()));
        }
        for name in names(&text, "#[tokio::test]\nasync fn ", "") {
            own.insert((file.clone(), name.to_owned()));
        }
    }
    let table = STORIES.iter();
    let table: BTreeSet<(String, String)> = table
        .map(|story| (story.file.to_owned(), story.name.to_owned()))
        .collect();
    let missing: Vec<_> = table.symmetric_difference(&told).collect();
    assert!(missing.is_empty(), "in one of both only: {missing:#?}");
    assert!(table.len() > 70, "only {} stories", table.len());
    let listed: BTreeSet<(String, String)> = OWN
        .iter()
        .inspect(|(psp, _, name, why)| {
            assert!(PLAYED_AT.contains(psp) && why.len() > 20, "{name}");
        })
        .map(|(_, file, name, _)| ((*file).to_owned(), (*name).to_owned()))
        .collect();
    let missing: Vec<_> = listed.symmetric_difference(&own).collect();
    assert!(missing.is_empty(), "in one of both only: {missing:#?}");
}
