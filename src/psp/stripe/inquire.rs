//! What a Stripe key can be asked about itself: four reads, and the list of webhook endpoints.
//!
//! A restricted key has a right for each resource, so each that the daemon reads is read once. Its
//! right to refund shows in a refund alone. Changes nothing at Stripe and does no I/O.

use super::Stripe;
use super::answer::{self, Effect};
use super::form::Form;
use crate::psp::inquiry::{self, Endpoint, Finding, Findings, Inquiry, Needs, Says, Topic, Tried};
use crate::psp::{Step, json};
use crate::wire::{Reply, Request};
use secrecy::ExposeSecret;
use serde::Deserialize;

/// What the daemon reads at Stripe.
const READS: [(&str, &str); 4] = [
    ("payment intents", "/v1/payment_intents"),
    ("charges", "/v1/charges"),
    ("refunds", "/v1/refunds"),
    ("disputes", "/v1/disputes"),
];
/// Where webhook endpoints are listed.
const ENDPOINTS: &str = "/v1/webhook_endpoints";

#[derive(Deserialize)]
struct Page<T> {
    data: Vec<T>,
}

#[derive(Deserialize)]
struct Row {
    livemode: Option<bool>,
}

#[derive(Deserialize)]
struct EndpointRow {
    url: String,
    status: Option<String>,
    #[serde(default)]
    enabled_events: Vec<String>,
}

/// The next question, or all that was found.
pub(super) fn next(stripe: &Stripe, needs: Needs, replies: &[Reply]) -> Inquiry {
    let tried: Vec<Tried> = READS
        .iter()
        .zip(replies)
        .map(|((what, _), reply)| Tried::new(what, reply, rows(reply).map(|_| ())))
        .collect();
    let known = inquiry::key_and_read(&tried);
    let is_over = known
        .iter()
        .any(|one| one.topic == Topic::Key && one.says != Says::Yes);
    if is_over && !replies.is_empty() {
        return Inquiry::Done(Findings {
            findings: known,
            endpoints: Vec::new(),
        });
    }
    if let Some((_, path)) = READS.get(replies.len()) {
        return asked(stripe.get(path, &Form::default().with("limit", "1")));
    }
    let Some(reply) = replies.get(READS.len()) else {
        return asked(stripe.get(ENDPOINTS, &Form::default().with("limit", "100")));
    };
    let mut found = Findings {
        findings: known,
        endpoints: Vec::new(),
    };
    found
        .findings
        .extend(inquiry::refund_cannot_be_asked(needs));
    let seen = replies.iter().take(READS.len());
    let seen = seen.filter_map(|reply| rows(reply).ok());
    let by_read = seen.flatten().find_map(|row| row.livemode);
    let by_key = mode_of(stripe.api_key.expose_secret());
    let mode = inquiry::mode(stripe.rules.live, by_key, by_read);
    found.findings.push(mode);
    endpoints(stripe, reply, &mut found);
    Inquiry::Done(found)
}

fn asked(step: Step) -> Inquiry {
    let request: Option<Request> = match step {
        Step::Send(request) => Some(request),
        Step::Done(_) => None,
    };
    request.map_or_else(|| Inquiry::Done(Findings::default()), Inquiry::Send)
}

fn rows(reply: &Reply) -> Result<Vec<Row>, crate::psp::Failure> {
    let body = answer::body(reply, Effect::Reads)?;
    let page: Page<Row> = json::object(body).map_err(|fault| answer::malformed(&fault.into()))?;
    Ok(page.data)
}

/// The mode that a key's own prefix names.
fn mode_of(key: &str) -> Option<bool> {
    let starts = |prefixes: [&str; 2]| prefixes.iter().any(|prefix| key.starts_with(prefix));
    match (
        starts(["sk_live_", "rk_live_"]),
        starts(["sk_test_", "rk_test_"]),
    ) {
        (true, _) => Some(true),
        (false, true) => Some(false),
        (false, false) => None,
    }
}

/// A key that may not list them is good enough: nothing that the daemon does needs it.
fn endpoints(stripe: &Stripe, reply: &Reply, found: &mut Findings) {
    let shown = answer::body(reply, Effect::Reads).and_then(|body| {
        let page: Result<Page<EndpointRow>, _> = json::object(body);
        page.map_err(|fault| answer::malformed(&fault.into()))
    });
    let account = stripe.rules.account.as_str();
    match shown {
        Ok(page) => {
            let rows = page.data.into_iter().map(|row| {
                let is_on = row.status.map(|status| status == "enabled");
                Endpoint::new(&row.url, account, is_on, row.enabled_events)
            });
            found.list(rows.collect());
        }
        Err(failure) => {
            let why = format!("this key cannot list them ({})", failure.code());
            let finding = Finding::new(Topic::Webhooks, Says::Unknown, why);
            found.findings.push(finding);
        }
    }
}
