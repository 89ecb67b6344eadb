//! What a MultiSafepay key can be asked about itself: one row of the list of transactions.
//!
//! Nothing in an answer says the mode; the two hosts are of one mode each and have keys of their
//! own, so a key that such a host accepts is of its mode. Changes nothing and does no I/O.

use super::answer::{self, Effect};
use super::{API_BASE, MultiSafepay};
use crate::psp::Step;
use crate::psp::inquiry::{self, Finding, Findings, Inquiry, Needs, Says, Topic, Tried};
use crate::wire::Reply;

/// Where the test mode lives.
const TEST_BASE: &str = "https://testapi.multisafepay.com";
/// The read that the daemon sweeps with.
const TRANSACTIONS: &str = "/transactions?limit=1";

/// The next question, or all that was found.
pub(super) fn next(website: &MultiSafepay, needs: Needs, replies: &[Reply]) -> Inquiry {
    let Some(reply) = replies.first() else {
        return match website.get(TRANSACTIONS) {
            Step::Send(request) => Inquiry::Send(request),
            Step::Done(_) => Inquiry::Done(Findings::default()),
        };
    };
    let result = answer::shown(reply, Effect::Reads).map(|_| ());
    let tried = Tried::new("transactions", reply, result);
    let mut found = Findings {
        findings: inquiry::key_and_read(&[tried]),
        endpoints: Vec::new(),
    };
    let mut key = found.findings.iter().filter(|one| one.topic == Topic::Key);
    if key.any(|one| one.says != Says::Yes) {
        return Inquiry::Done(found);
    }
    let by_host = match website.api_base.as_str() {
        API_BASE => Some(true),
        TEST_BASE => Some(false),
        _ => None,
    };
    let why = "no documented call lists the address of notifications";
    found
        .findings
        .extend(inquiry::refund_cannot_be_asked(needs));
    found.findings.extend([
        inquiry::mode(website.rules.live, by_host, None),
        Finding::new(Topic::Webhooks, Says::CannotBeAsked, why),
    ]);
    Inquiry::Done(found)
}
