//! Fetching: what is asked, in which order, and what the answers together are taken for.
//! Pure over made-up answers; nothing here is sent anywhere.

use super::*;
use crate::core::payment::{DisputeState, Ownership, Progress, RefundState, Source};
use crate::wire::{CallError, Method};

/// The answers of a fetch of a capture with money.
fn answers(capture: &str, order: &str, disputes: &str, reversals: &str) -> Vec<Reply> {
    vec![api(capture), api(order), api(disputes), api(reversals)]
}

fn plain(capture: &str, order: &str) -> PaymentSnapshot {
    let replies = answers(capture, order, "disputes_none", "reversals_none");
    seen(&fetch(CAPTURE), &replies)
}

#[test]
fn a_fetch_reads_the_capture_its_order_its_disputes_and_its_reversals() {
    let ask = fetch(CAPTURE);
    let replies = answers(
        "capture_completed",
        "order_with_refunds",
        "disputes_none",
        "reversals_none",
    );
    let asked: Vec<String> = (0..4)
        .map(|count| {
            let request = sent(&ask, &replies[..count]);
            assert_eq!(request.method, Method::Get);
            assert_eq!(
                request.headers.single("authorization"),
                Some("Bearer A21AAMadeUpToken")
            );
            assert!(!format!("{request:?}").contains("A21AA"));
            address(&request).to_owned()
        })
        .collect();
    assert_eq!(
        asked,
        [
            "/v2/payments/captures/0MA00000UP000001X",
            "/v2/checkout/orders/5MA00000UP000001Y",
            "/v1/customer/disputes?disputed_transaction_id=0MA00000UP000001X&page_size=50",
            "/v1/notifications/webhooks-events?transaction_id=0MA00000UP000001X\
             &event_type=PAYMENT.CAPTURE.REVERSED",
        ]
    );
    let found = seen(&ask, &replies);
    assert_eq!(found.source, Source::Read { asked_at: now() });
    assert_eq!(found.ownership, Some(Ownership::Ours));
    assert_eq!(
        found.reference.as_ref().map(|r| r.as_str()),
        Some("W-20417")
    );
    assert_eq!(found.method.as_deref(), Some("paypal"));
    assert_eq!(found.progress, Some(Progress::Taken));
    assert_eq!(found.captured, Some(eur(14_995)));
    assert_eq!(found.is_disputed, Some(false));
    assert!(found.is_refund_list_whole);
    let ours = &found.refunds[&id("7MA00000UP000002Z")];
    assert_eq!(
        (ours.amount, ours.state),
        (eur(5_000), RefundState::Succeeded)
    );
    assert_eq!(ours.mark, Some(key()));
    let other = &found.refunds[&id("7MA00000UP000003Z")];
    assert_eq!(
        (other.state, other.mark.as_ref()),
        (RefundState::Failed, None)
    );
}

#[test]
fn each_status_of_a_capture_is_what_it_is() {
    for (name, progress, captured, is_disputed) in [
        (
            "capture_pending_echeck",
            Some(Progress::InFlight),
            None,
            None,
        ),
        (
            "capture_pending_chargeback",
            Some(Progress::InFlight),
            None,
            Some(true),
        ),
        ("capture_declined", Some(Progress::Dead), None, None),
        ("capture_failed", Some(Progress::Dead), None, None),
        ("capture_of_unknown_status", None, None, None),
    ] {
        let found = seen(&fetch(CAPTURE), &[api(name)]);
        assert_eq!(found.progress, progress, "{name}");
        assert_eq!(found.captured, captured, "{name}");
        assert_eq!(found.is_disputed, is_disputed, "{name}");
        assert!(!found.is_refund_list_whole, "{name}");
        assert_eq!(found.requested, Some(eur(14_995)), "{name}");
        // What is not understood is no look at the money.
        let is_look = found.source != Source::Signed;
        assert_eq!(is_look, progress.is_some(), "{name}");
    }
}

#[test]
fn a_refund_that_waits_counts_and_is_known_as_ours() {
    let found = plain("capture_completed", "order_with_pending_refund");
    assert!(found.is_refund_list_whole);
    let refund = &found.refunds[&id("7MA00000UP000002Z")];
    assert_eq!(refund.state, RefundState::Pending);
    assert_eq!(refund.mark, Some(key()));
}

#[test]
fn a_list_of_refunds_that_explains_less_than_the_capture_says_is_not_whole() {
    for (capture, order, is_whole, refunded) in [
        ("capture_completed", "order_completed", true, None),
        (
            "capture_partially_refunded",
            "order_with_refunds",
            true,
            Some(eur(5_000)),
        ),
        ("capture_partially_refunded", "order_completed", false, None),
        (
            "capture_refunded",
            "order_refunded_with_all",
            true,
            Some(eur(14_995)),
        ),
        (
            "capture_refunded",
            "order_with_refunds",
            false,
            Some(eur(14_995)),
        ),
        (
            "capture_refunded",
            "order_completed",
            false,
            Some(eur(14_995)),
        ),
    ] {
        let found = plain(capture, order);
        assert_eq!(found.is_refund_list_whole, is_whole, "{capture} {order}");
        assert_eq!(found.refunded, refunded, "{capture} {order}");
        assert_eq!(found.captured, Some(eur(14_995)));
    }
}

#[test]
fn two_captures_of_one_order_are_two_payments_with_refunds_of_their_own() {
    let found = plain("capture_completed", "order_with_two_captures");
    assert!(found.is_refund_list_whole);
    assert!(
        found.refunds.is_empty(),
        "the refund is the other capture's"
    );
    let unplaced = plain("capture_completed", "order_with_unplaced_refund");
    assert!(
        !unplaced.is_refund_list_whole,
        "whose refund it is, nobody says"
    );
}

#[test]
fn an_order_that_paypal_has_forgotten_leaves_the_list_open() {
    let replies = [
        api("capture_completed"),
        unknown(),
        api("disputes_none"),
        api("reversals_none"),
    ];
    let found = seen(&fetch(CAPTURE), &replies);
    assert!(!found.is_refund_list_whole);
    assert_eq!(found.captured, Some(eur(14_995)));
    // Without an order there is none to ask for.
    let replies = [
        api("capture_without_order"),
        api("disputes_none"),
        api("reversals_none"),
    ];
    assert!(!seen(&fetch(CAPTURE), &replies).is_refund_list_whole);
}

#[test]
fn a_capture_without_a_reference_takes_that_of_its_unit() {
    let found = plain("capture_without_reference", "order_completed");
    assert_eq!(
        found.reference.as_ref().map(|r| r.as_str()),
        Some("W-20417")
    );
    assert_eq!(found.ownership, Some(Ownership::Ours));
    let alone = seen(
        &fetch(CAPTURE),
        &[
            api("capture_without_reference"),
            unknown(),
            api("disputes_none"),
            api("reversals_none"),
        ],
    );
    assert_eq!(alone.ownership, Some(Ownership::Unclaimed));
}

#[test]
fn disputes_are_read_to_their_outcome() {
    for (detail, state) in [
        ("dispute_lost", DisputeState::Lost),
        ("dispute_won", DisputeState::Won),
        ("dispute_paid_out", DisputeState::Open),
    ] {
        let ask = fetch(CAPTURE);
        let mut replies = vec![
            api("capture_completed"),
            api("order_completed"),
            api("disputes_decided"),
        ];
        assert_eq!(
            address(&sent(&ask, &replies)),
            "/v1/customer/disputes/PP-D-1001"
        );
        replies.push(api(detail));
        replies.push(api("reversals_none"));
        let found = seen(&ask, &replies);
        let dispute = &found.disputes[&id("PP-D-1001")];
        assert_eq!(
            (dispute.state, dispute.amount),
            (state, eur(14_995)),
            "{detail}"
        );
    }
    let open = answers(
        "capture_completed",
        "order_completed",
        "disputes_open",
        "reversals_none",
    );
    let found = seen(&fetch(CAPTURE), &open);
    assert_eq!(found.disputes[&id("PP-D-1001")].state, DisputeState::Open);
    let endless = &answers(
        "capture_completed",
        "order_completed",
        "disputes_that_go_on",
        "reversals_none",
    )[..3];
    assert_eq!(
        failed(&fetch(CAPTURE), endless),
        malformed("too_many_disputes")
    );
}

#[test]
fn what_paypal_took_back_itself_is_never_refunded_on_top() {
    for (reversals, is_disputed) in [
        ("reversals_one", true),
        ("reversals_of_other", false),
        ("reversals_none", false),
    ] {
        let replies = answers(
            "capture_completed",
            "order_completed",
            "disputes_none",
            reversals,
        );
        let found = seen(&fetch(CAPTURE), &replies);
        assert_eq!(found.is_disputed, Some(is_disputed), "{reversals}");
    }
}

#[test]
fn amounts_in_currencies_without_decimals_at_paypal_are_isos() {
    for (name, minor, code) in [
        ("capture_in_huf", 500_000, "HUF"),
        ("capture_in_jpy", 500, "JPY"),
        ("capture_in_twd", 30_000, "TWD"),
    ] {
        let replies = [
            api(name),
            unknown(),
            api("disputes_none"),
            api("reversals_none"),
        ];
        let found = seen(&fetch(CAPTURE), &replies);
        let money = Money::new(minor, Currency::parse(code).unwrap());
        assert_eq!(found.captured, Some(money));
    }
}

#[test]
fn an_id_is_tried_as_capture_then_authorisation_then_order() {
    let ask = fetch(ORDER);
    let mut replies = vec![unknown()];
    assert_eq!(
        address(&sent(&ask, &replies)),
        "/v2/payments/authorizations/5MA00000UP000001Y"
    );
    replies.push(unknown());
    assert_eq!(
        address(&sent(&ask, &replies)),
        "/v2/checkout/orders/5MA00000UP000001Y"
    );
    replies.push(unknown());
    assert_eq!(
        failed(&ask, &replies),
        Failure::Refused("INVALID_RESOURCE_ID".to_owned())
    );
    // A proxy's 404 is no answer, and ends the search.
    let page = answered(404, b"<html>".to_vec());
    assert_eq!(failed(&ask, &[page]), malformed("status_404"));
}

#[test]
fn an_authorisation_holds_money_until_its_captures_have_taken_it() {
    let read = |name: &str| seen(&fetch(AUTHORIZATION), &[unknown(), api(name)]);
    let held = read("authorization_created");
    assert_eq!(held.progress, Some(Progress::Authorised));
    assert_eq!(held.authorised, Some(eur(14_995)));
    assert!(held.authorised_until.is_some());
    assert_eq!(
        read("authorization_pending").progress,
        Some(Progress::InFlight)
    );
    for name in ["authorization_voided", "authorization_denied"] {
        assert_eq!(read(name).progress, Some(Progress::Dead), "{name}");
    }
    let order_and = |held: &str, order: &str| {
        all_seen(&fetch(AUTHORIZATION), &[unknown(), api(held), api(order)])
    };
    let parts = order_and(
        "authorization_partially_captured",
        "order_captured_in_parts",
    );
    assert_eq!(parts[0].captured, Some(eur(10_000)));
    assert_eq!(
        parts[0].source,
        Source::Signed,
        "no fresh look at the capture"
    );
    assert_eq!(parts[1].authorised, Some(eur(4_995)));
    assert_eq!(parts[1].progress, Some(Progress::Authorised));
    let whole = order_and("authorization_captured", "order_captured_whole");
    assert_eq!(whole[0].captured, Some(eur(14_995)));
    assert_eq!(whole[1].progress, Some(Progress::Dead));
    assert_eq!(whole[1].authorised, Some(eur(0)));
    // Nobody shows the capture: then nobody says that this payment failed.
    for order in ["order_completed_without_captures", "order_declined"] {
        let alone = order_and("authorization_captured", order);
        assert_eq!(alone.len(), 1);
        assert_eq!(alone[0].progress, Some(Progress::InFlight));
    }
    let replies = [unknown(), api("authorization_captured"), unknown()];
    assert_eq!(
        seen(&fetch(AUTHORIZATION), &replies).progress,
        Some(Progress::InFlight)
    );
}

#[test]
fn an_approved_order_is_no_money_and_a_completed_one_ends_in_its_captures() {
    let read = |name: &str| all_seen(&fetch(ORDER), &[unknown(), unknown(), api(name)]);
    let approved = read("order_approved");
    assert_eq!(approved.len(), 1);
    assert_eq!(approved[0].progress, Some(Progress::Waiting));
    assert_eq!((approved[0].captured, approved[0].authorised), (None, None));
    assert_eq!(approved[0].requested, Some(eur(14_995)));
    assert_eq!(read("order_voided")[0].progress, Some(Progress::Dead));
    let completed = read("order_completed");
    assert_eq!(completed[0].payment.id, id(CAPTURE));
    assert_eq!(completed[0].captured, Some(eur(14_995)));
    assert_eq!(completed[0].source, Source::Signed);
    assert_eq!(completed[1].payment.id, id(ORDER));
    assert_eq!(completed[1].progress, Some(Progress::Dead));
    assert_eq!(completed[1].captured, None);
    assert_eq!(
        completed[1].reference.as_ref().map(|r| r.as_str()),
        Some("W-20417")
    );
    let bare = read("order_completed_without_captures");
    assert_eq!(bare[0].progress, Some(Progress::InFlight));
    let by_card = read("order_paid_by_card");
    assert_eq!(by_card[0].method.as_deref(), Some("card"));
}

#[test]
fn an_answer_that_is_no_answer_is_never_a_no() {
    let ask = fetch(CAPTURE);
    let capture = || api("capture_completed");
    for (replies, failure) in [
        (
            vec![answered(200, b"<html>".to_vec())],
            malformed("not_json"),
        ),
        (vec![answered(200, Vec::new())], malformed("not_json")),
        (
            vec![answered(200, b"[]".to_vec())],
            malformed("wrong_shape"),
        ),
        (vec![api("capture_other")], malformed("other_payment")),
        (
            vec![answered(503, Vec::new())],
            Failure::Unclear("status_503".to_owned()),
        ),
        (
            vec![Err(CallError::Unclear("timeout"))],
            Failure::Unclear("timeout".to_owned()),
        ),
        (
            vec![capture(), api("order_of_other_capture")],
            malformed("other_order"),
        ),
        (
            vec![capture(), answered(500, Vec::new())],
            Failure::Unclear("status_500".to_owned()),
        ),
        (
            vec![capture(), api("order_completed"), answered(403, Vec::new())],
            Failure::Unauthorized("status_403".to_owned()),
        ),
        (
            vec![
                capture(),
                api("order_completed"),
                answered(200, b"{".to_vec()),
            ],
            malformed("not_json"),
        ),
        (
            vec![
                capture(),
                api("order_completed"),
                api("disputes_none"),
                answered(200, b"{}".to_vec()),
            ],
            malformed("missing_field"),
        ),
    ] {
        assert_eq!(failed(&ask, &replies), failure);
    }
}

#[test]
fn the_account_says_what_it_can_do() {
    let paypal = paypal();
    assert_eq!(
        (paypal.kind(), paypal.account().as_str()),
        ("paypal", "paypal_nl")
    );
    let traits = paypal.traits();
    assert!(traits.can_read && traits.can_list_refunds);
    assert_eq!(traits.key_lifetime, crate::core::time::Span::from_hours(6));
    let answer = paypal.acknowledgement();
    assert_eq!(
        (answer.status, answer.content_type, answer.body),
        (200, None, "")
    );
    assert!(!paypal.takes_get());
}
