//! `reconciled check --online`: asks each configured PSP about its account and says what it said.
//!
//! Only questions that change nothing leave, each within the limits of any call to a PSP. Shops are
//! left out. Shows what adapters found, which holds no secret, and nothing else of an answer.

use crate::app;
use crate::cli::client::{EXIT_NO, EXIT_OK, EXIT_UNREACHABLE};
use crate::clock::Clock;
use crate::config::{AccountConfig, Config};
use crate::core::policy::Mode;
use crate::outbound::{CallLimits, Outbound, PSP_BODY_BYTES_MAX, Settings};
use crate::psp::Psp;
use crate::psp::inquiry::{Endpoint, Finding, Findings, Inquiry, Needs, Says};
use crate::wire::{Reply, Request};
use futures_util::future::join_all;
use serde_json::{Value, json};
use std::time::Duration;

/// Most questions to one account, signing in aside.
const QUESTIONS_MAX: usize = 12;
/// Time limit of one of them.
const CALL_MAX: Duration = Duration::from_secs(15);

/// What one account said.
pub(super) struct Account {
    id: String,
    kind: &'static str,
    is_live: bool,
    found: Findings,
}

/// Asks every account, all at once.
pub(super) async fn ask(config: &Config) -> anyhow::Result<Vec<Account>> {
    let outbound = Outbound::new(Settings::default())?;
    let mut asked = Vec::new();
    for (id, account) in &config.accounts {
        asked.push((id, account, app::adapter_of(id, account)?));
    }
    let asking = asked.iter().map(async |(id, account, adapter)| Account {
        id: id.to_string(),
        kind: account.kind.word(),
        is_live: account.live,
        found: inquire(&outbound, adapter.as_ref(), needs(config, account)).await,
    });
    Ok(join_all(asking).await)
}

fn needs(config: &Config, account: &AccountConfig) -> Needs {
    let shop = config.shops.get(&account.shop);
    let refunds = shop.is_some_and(|shop| match shop.policy.mode {
        Mode::Full => true,
        Mode::Observe | Mode::Confirm => false,
    });
    Needs { refunds }
}

async fn inquire(outbound: &Outbound, psp: &dyn Psp, needs: Needs) -> Findings {
    if let Some(request) = psp.sign_in(Clock::System.now()) {
        let reply = send(outbound, request).await;
        if let Err(failure) = psp.signed_in(&reply, Clock::System.now()) {
            return Findings::not_signed_in(&failure);
        }
    }
    let began = Clock::System.now();
    let mut replies: Vec<Reply> = Vec::new();
    loop {
        match psp.inquire(needs, began, &replies) {
            Inquiry::Done(found) => return found,
            Inquiry::Send(_) if replies.len() >= QUESTIONS_MAX => return Findings::default(),
            Inquiry::Send(request) => replies.push(send(outbound, request).await),
        }
    }
}

async fn send(outbound: &Outbound, request: Request) -> Reply {
    let limits = CallLimits {
        deadline: CALL_MAX,
        body_bytes_max: PSP_BODY_BYTES_MAX,
    };
    outbound.call(request, limits).await
}

/// The exit code: a PSP's no comes before silence. An account of which nothing was found is one
/// that did not answer.
pub(super) fn exit_code(accounts: &[Account]) -> u8 {
    let has = |says| {
        let mut findings = accounts.iter().flat_map(|one| &one.found.findings);
        findings.any(|finding| finding.says == says)
    };
    let is_silent = accounts.iter().any(|one| one.found.findings.is_empty());
    if has(Says::No) {
        EXIT_NO
    } else if has(Says::NoAnswer) || is_silent {
        EXIT_UNREACHABLE
    } else {
        EXIT_OK
    }
}

/// For people.
pub(super) fn text(accounts: &[Account]) -> String {
    let mut lines = Vec::new();
    for account in accounts {
        let mode = if account.is_live { "live" } else { "test" };
        lines.push(String::new());
        lines.push(format!("asked {} ({}, {mode})", account.id, account.kind));
        lines.extend(account.found.findings.iter().map(row));
        for endpoint in &account.found.endpoints {
            let state = match endpoint.is_on {
                Some(true) => " (on)",
                Some(false) => " (off)",
                None => "",
            };
            lines.push(format!("    {}{state}", endpoint.address));
            if endpoint.is_ours {
                lines.push(format!("      {}", endpoint.events.join(", ")));
            }
        }
    }
    lines.push(String::new());
    lines.push(verdict(exit_code(accounts)).to_owned());
    lines.join("\n") + "\n"
}

fn row(finding: &Finding) -> String {
    let says = match finding.says {
        Says::Yes => "yes",
        Says::No => "NO",
        Says::CannotBeAsked => "cannot be asked",
        Says::Unknown => "unknown",
        Says::NoAnswer => "no answer",
    };
    format!("  {:<10} {says:<16} {}", finding.topic.word(), finding.why)
}

fn verdict(code: u8) -> &'static str {
    match code {
        EXIT_OK => "No PSP said no.",
        EXIT_NO => "A PSP said no.",
        _ => "A PSP could not be asked.",
    }
}

/// For machines, by account.
pub(super) fn json(accounts: &[Account]) -> Value {
    let shown = accounts.iter().map(|account| {
        let findings = account.found.findings.iter().map(|finding| {
            let value = json!({"says": finding.says.word(), "why": finding.why});
            (finding.topic.word().to_owned(), value)
        });
        let endpoints: Vec<Value> = account.found.endpoints.iter().map(endpoint).collect();
        let value = json!({
            "kind": account.kind, "live": account.is_live,
            "findings": Value::Object(findings.collect()), "endpoints": endpoints,
        });
        (account.id.clone(), value)
    });
    Value::Object(shown.collect())
}

fn endpoint(endpoint: &Endpoint) -> Value {
    json!({
        "address": endpoint.address, "is_ours": endpoint.is_ours, "is_on": endpoint.is_on,
        "events": endpoint.events,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::psp::inquiry::Topic;

    fn account(says: &[Says]) -> Account {
        let findings = says.iter().map(|says| Finding::new(Topic::Key, *says, ""));
        Account {
            id: "a".to_owned(),
            kind: "stripe",
            is_live: true,
            found: Findings {
                findings: findings.collect(),
                endpoints: Vec::new(),
            },
        }
    }

    #[test]
    fn a_no_weighs_more_than_silence_and_what_is_unknown_is_no_no() {
        let code = |accounts: &[&[Says]]| {
            let accounts: Vec<Account> = accounts.iter().map(|says| account(says)).collect();
            exit_code(&accounts)
        };
        let fine = [Says::Yes, Says::CannotBeAsked, Says::Unknown];
        assert_eq!(code(&[&fine]), 0);
        assert_eq!(code(&[&fine, &[Says::NoAnswer]]), 69);
        assert_eq!(code(&[&fine, &[]]), 69);
        assert_eq!(code(&[&[Says::NoAnswer], &[Says::No]]), 1);
    }
}
