//! What a Mollie key can be asked about itself: the three lists that the daemon reads.
//!
//! A payment says its mode, and so does the key's prefix. Classic webhooks belong to payments, not
//! to the key, so there is no list of them. Changes nothing at Mollie and does no I/O.

use super::Mollie;
use super::answer::{self, Effect};
use crate::psp::inquiry::{self, Finding, Findings, Inquiry, Needs, Says, Topic, Tried};
use crate::psp::{Failure, Step, json};
use crate::wire::Reply;
use secrecy::ExposeSecret;
use serde::Deserialize;
use serde_json::value::RawValue;

/// What the daemon lists at Mollie.
const READS: [(&str, &str); 3] = [
    ("payments", "/v2/payments?limit=1"),
    ("refunds", "/v2/refunds?limit=1"),
    ("chargebacks", "/v2/chargebacks?limit=1"),
];

#[derive(Deserialize)]
struct Page<'a> {
    #[serde(borrow, rename = "_embedded")]
    embedded: &'a RawValue,
}

#[derive(Deserialize)]
struct Payments {
    #[serde(default)]
    payments: Vec<Row>,
}

#[derive(Deserialize)]
struct Row {
    mode: Option<String>,
}

/// The next question, or all that was found.
pub(super) fn next(mollie: &Mollie, needs: Needs, replies: &[Reply]) -> Inquiry {
    let tried: Vec<Tried> = READS
        .iter()
        .zip(replies)
        .map(|((what, _), reply)| Tried::new(what, reply, payments(reply).map(|_| ())))
        .collect();
    let mut found = Findings {
        findings: inquiry::key_and_read(&tried),
        endpoints: Vec::new(),
    };
    let mut key = found.findings.iter().filter(|one| one.topic == Topic::Key);
    let is_over = key.any(|one| one.says != Says::Yes);
    if is_over && !replies.is_empty() {
        return Inquiry::Done(found);
    }
    if let Some((_, path)) = READS.get(replies.len()) {
        return match mollie.get(path) {
            Step::Send(request) => Inquiry::Send(request),
            Step::Done(_) => Inquiry::Done(found),
        };
    }
    let first = replies.first().and_then(|reply| payments(reply).ok());
    let rows = first.map(|page| page.payments).unwrap_or_default();
    let mut words = rows.iter().filter_map(|row| row.mode.as_deref());
    let by_read = words.find_map(|word| match word {
        "live" => Some(true),
        "test" => Some(false),
        _ => None,
    });
    let api_key = mollie.api_key.expose_secret();
    let by_key = match (api_key.starts_with("live_"), api_key.starts_with("test_")) {
        (true, _) => Some(true),
        (false, true) => Some(false),
        (false, false) => None,
    };
    let mode = inquiry::mode(mollie.rules.live, by_key, by_read);
    let why = "classic webhooks are named by each payment; a key lists none";
    found
        .findings
        .extend(inquiry::refund_cannot_be_asked(needs));
    found.findings.extend([
        mode,
        Finding::new(Topic::Webhooks, Says::CannotBeAsked, why),
    ]);
    Inquiry::Done(found)
}

/// The payments of a page; none of one that lists something else.
fn payments(reply: &Reply) -> Result<Payments, Failure> {
    let body = answer::body(reply, Effect::Reads)?;
    let malformed = |fault: json::Fault| answer::malformed(&fault.into());
    let page: Page<'_> = json::object(body).map_err(malformed)?;
    json::nested(page.embedded).map_err(malformed)
}
