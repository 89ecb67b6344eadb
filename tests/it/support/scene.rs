//! What the stories say again and again: pay, settle, give back, and look at what the daemon
//! shows.
//!
//! Judges by the two sandboxes' books; what the daemon says is only waited for.

use super::Rig;
use reconciled::core::money::Money;
use reconciled::sandbox::books::Customer;
use reconciled::sandbox::fault::Times;
use reconciled::sandbox::outbox::DeliveryFault;
use reconciled::sandbox::psp::Told;
use reconciled::sandbox::rig::{RigError, View, eur};
use reconciled::sandbox::shop::ShopCall;
use reconciled::wire::{Method, Response};
use serde_json::Value;
use std::time::Duration;

/// The operator's token of the stories that need one.
pub(crate) const OPERATOR_TOKEN: &str = "operator-token-of-the-stories-0001";
/// Longest that anything is waited for here.
const WAIT_MAX: Duration = Duration::from_secs(60);
/// How often it is asked for.
const ASK_EVERY: Duration = Duration::from_millis(50);

/// What an order costs in most stories.
pub(crate) fn price() -> Money {
    eur(5_995)
}

impl Rig {
    /// An order of the usual price, placed and paid; gives the payment's id.
    pub(crate) fn place_and_pay(&self, reference: &str) -> String {
        self.place(reference, price());
        self.pay(reference, price())
    }

    /// Every webhook of the PSP (about this order, if one is named) is lost.
    pub(crate) fn lose_webhooks_of(&self, reference: Option<&str>) {
        self.psp(|psp| psp.spoil(reference, Times::Always, DeliveryFault::Lose));
    }

    /// The order settles; the books show one charge, one confirmation and no refund.
    pub(crate) async fn is_settled_once(&self, reference: &str) -> Customer {
        self.until_verdict(reference, "settled").await;
        let customer = self.fine(reference);
        let counts = (customer.payments, customer.refunds, customer.mails);
        assert_eq!(counts, (1, 0, 1), "{reference}: {customer:?}");
        assert!(customer.is_confirmed, "{reference}: {customer:?}");
        customer
    }

    /// The money goes back; the books show one refund of all of it and no order.
    pub(crate) async fn is_returned_once(&self, reference: &str) -> Customer {
        self.until_verdict(reference, "returned").await;
        let customer = self.fine(reference);
        let counts = (customer.refunds, customer.mails, customer.kept());
        assert_eq!(counts, (1, 0, 0), "{reference}: {customer:?}");
        assert!(!customer.is_confirmed, "{reference}: {customer:?}");
        customer
    }

    /// The checkout is held for this reason, and no money moved: neither confirmed nor refunded.
    pub(crate) async fn is_held_for(&self, reference: &str, reason: &str) -> View {
        let is_so = |view: &View| view.verdict == "held" && view.reason.as_deref() == Some(reason);
        let view = self.until(reference, is_so).await;
        let customer = self.customer(reference);
        let moved = (customer.refunds, customer.mails, customer.is_confirmed);
        assert_eq!(moved, (0, 0, false), "{reference}: {customer:?}");
        view
    }

    /// How often the shop was asked this about an order.
    pub(crate) fn was_heard(&self, kind: ShopCall, reference: &str) -> usize {
        let shop = &self.world().lock().shop;
        let asked = shop.heard().iter();
        asked
            .filter(|one| one.kind == kind && one.reference.as_deref() == Some(reference))
            .count()
    }

    /// Waits for an answer of the admin listener to be as wanted.
    pub(crate) async fn until_answer(
        &self,
        path: &str,
        wanted: impl Fn(&Response) -> bool,
    ) -> Response {
        let mut last: Option<Result<Response, RigError>> = None;
        let asking = async {
            loop {
                let answer = self.admin_call(Method::Get, path, b"").await;
                match answer {
                    Ok(answer) if wanted(&answer) => return answer,
                    other => last = Some(other),
                }
                self.pass(ASK_EVERY).await.unwrap();
            }
        };
        match tokio::time::timeout(WAIT_MAX, asking).await {
            Ok(answer) => answer,
            Err(_) => panic!("{path} was last {}", shown(last)),
        }
    }

    /// Waits for JSON from the admin listener to be as wanted.
    pub(crate) async fn until_json(&self, path: &str, wanted: impl Fn(&Value) -> bool) -> Value {
        let read = |answer: &Response| serde_json::from_slice::<Value>(&answer.body).ok();
        let is_wanted = |answer: &Response| read(answer).is_some_and(|value| wanted(&value));
        let answer = self.until_answer(path, is_wanted).await;
        read(&answer).unwrap()
    }

    /// Waits until nothing that was taken in waits for the engine.
    pub(crate) async fn is_drained(&self) {
        let path = "/status?format=json";
        let is_empty = |status: &Value| status["backlog"]["deliveries_pending"] == 0;
        self.until_json(path, is_empty).await;
    }

    /// Waits for a line of the metrics, named with its labels, to reach a figure.
    pub(crate) async fn until_metric(&self, line: &str, at_least: u64) {
        let is_so = |answer: &Response| figure(&answer.body, line) >= Some(at_least);
        self.until_answer("/metrics", is_so).await;
    }

    /// Waits for a line of the metrics to be just this; one that is not there is 0.
    pub(crate) async fn until_metric_is(&self, line: &str, value: u64) {
        let is_so = |answer: &Response| {
            answer.status == 200 && figure(&answer.body, line).unwrap_or(0) == value
        };
        self.until_answer("/metrics", is_so).await;
    }

    /// A figure of the metrics now; none when there is no such line.
    pub(crate) async fn metric(&self, line: &str) -> Option<u64> {
        let answer = self.until_answer("/metrics", |answer| answer.status == 200);
        figure(&answer.await.body, line)
    }

    /// Waits until we have taken a delivery of the PSP that tells this of an order.
    pub(crate) async fn has_taken(&self, told: Told, reference: &str) {
        let name = format!("{told:?} about {reference} taken");
        self.until_world(&name, |world| {
            let events = &world.psp.records().events;
            let mut ends = world.psp.deliveries().iter();
            ends.any(|end| {
                let is_told = events.get(&end.id).and_then(|event| event.told) == Some(told);
                let is_it = is_told && end.reference.as_deref() == Some(reference);
                is_it
                    && end
                        .status
                        .is_some_and(|status| (200..300).contains(&status))
            })
        })
        .await;
    }

    /// Waits until the daemon's log holds these words so many times.
    pub(crate) async fn until_log(&self, words: &str, times: usize) {
        let log = self.log_path();
        let text = || std::fs::read_to_string(&log).unwrap_or_default();
        let is_there = || text().matches(words).count() >= times;
        let name = format!("\"{words}\" in the log");
        self.until_world(&name, |_| is_there()).await;
    }

    /// Waits until this many sweeps have read their lists whole, counted from now.
    pub(crate) async fn sweeps_whole(&self, count: u64) {
        let account = self.kind().account;
        let line = format!("reconciled_sweeps_total{{account=\"{account}\",result=\"whole\"}}");
        let so_far = self.metric(&line).await.unwrap_or(0);
        self.until_metric(&line, so_far.saturating_add(count)).await;
    }
}

fn figure(metrics: &[u8], line: &str) -> Option<u64> {
    let text = std::str::from_utf8(metrics).ok()?;
    let mut lines = text.lines();
    let value = lines.find_map(|one| one.strip_prefix(line)?.strip_prefix(' '))?;
    value.split(' ').next()?.parse().ok()
}

fn shown(last: Option<Result<Response, RigError>>) -> String {
    match last {
        None => "never answered".to_owned(),
        Some(Err(error)) => error.to_string(),
        Some(Ok(answer)) => {
            let body = String::from_utf8_lossy(&answer.body);
            format!("{}: {body}", answer.status)
        }
    }
}
