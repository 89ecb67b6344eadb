//! `reconciled replay`: what another policy would have made of the recorded history.
//!
//! Opens the store for reading only, also beside a running daemon, and writes each difference as
//! it is found, so that its memory does not grow with the store.

use super::client::EXIT_NO;
use crate::app;
use crate::app::policies_of;
use crate::clock::Clock;
use crate::config::{Config, OtherPolicies, Surroundings};
use crate::core::ids::ShopId;
use crate::core::money::Money;
use crate::core::policy::Policy;
use crate::core::time::Time;
use crate::http::words::{rfc3339, sums};
use crate::replay::{Act, Difference, Found, Outcome, Policies, Replay, Summary};
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

/// The arguments of `reconciled replay`.
#[derive(Clone, Debug, clap::Args)]
#[command(after_long_help = "\
The other policy is either a whole configuration file, or a file with nothing but [shop.NAME.policy] \
tables (and `mode` in [shop.NAME]). In a whole file a key that is not named has its default, and a \
shop that is not named is only watched; in the short form everything not named stays as the \
configuration given by --config has it.

An outcome is the verdict and the reason in the end, and the set of money actions ever wanted on \
the way: confirms, refunds and voids, by payment and amount, at a moment when they were due. Facts \
are replayed as recorded; from the first difference on they are answers to what was really asked. \
Whose a payment is (claims, since, live) was judged when it was seen and is not judged again; the \
guard's hourly limits are not judged either.

Exit 0 when no outcome differs, 1 when one does or a journal is not whole, 69 when the store cannot \
be read, 78 when a file is refused.")]
pub struct Args {
    /// The other policy: a whole configuration, or only [shop.NAME.policy] tables
    #[arg(long, value_name = "FILE")]
    pub policy: PathBuf,
    /// Only checkouts about which something was recorded from this moment on (RFC 3339), both
    /// policies in force from then on
    #[arg(long, value_name = "TIME", value_parser = moment)]
    pub since: Option<Time>,
    /// JSON instead of text
    #[arg(long)]
    pub json: bool,
}

fn moment(text: &str) -> Result<Time, String> {
    let moment: Result<jiff::Timestamp, _> = text.parse();
    let moment = moment.map_err(|_| "write a moment such as 2026-11-01T00:00:00Z".to_owned())?;
    Ok(Time::from_micros(moment.as_microsecond()))
}

/// Replays the whole store. Exit 0 when no outcome differs, 1 when one does.
pub async fn run(args: &Args, path: &Path) -> anyhow::Result<ExitCode> {
    let surroundings = Surroundings::of_process();
    let config = Config::load(path, &surroundings)?;
    let other = OtherPolicies::load(&args.policy, &config, &surroundings)?;
    let old = policies_of(&config)?;
    let new = beside(&old, &other)?;
    let policies = Policies { old, new };
    let store = app::open_readonly(&config.store).await?;
    let now = Clock::System.now();
    let mut replay = Replay::new(store.as_ref(), &policies, args.since, now);
    let mut out = std::io::stdout().lock();
    let mut page = Page::open(args.json, &mut out)?;
    while let Some(found) = replay.next().await? {
        page.show(&found, &mut out)?;
    }
    page.close(&replay.summary, policies.differ_in_guard(), &mut out)?;
    let summary = &replay.summary;
    let code = if summary.differ == 0 && summary.unreadable == 0 {
        ExitCode::SUCCESS
    } else {
        ExitCode::from(EXIT_NO)
    };
    Ok(code)
}

/// The other policies in full, beside those of the configuration.
fn beside(
    old: &BTreeMap<ShopId, Policy>,
    other: &OtherPolicies,
) -> anyhow::Result<BTreeMap<ShopId, Policy>> {
    Ok(match other {
        OtherPolicies::Whole(config) => policies_of(config)?,
        OtherPolicies::Parts(parts) => {
            let mut all = old.clone();
            for (shop, part) in parts {
                if let Some(policy) = all.get_mut(shop) {
                    let accounts = std::mem::take(&mut policy.accounts);
                    *policy = Policy {
                        accounts,
                        ..part.clone()
                    };
                }
            }
            all
        }
    })
}

/// The findings as they are written, one after the other.
struct Page {
    is_json: bool,
    count: u64,
}

impl Page {
    fn open(is_json: bool, out: &mut impl Write) -> std::io::Result<Page> {
        if is_json {
            write!(out, "{{\"differences\":[")?;
        }
        Ok(Page { is_json, count: 0 })
    }

    fn show(&mut self, found: &Found, out: &mut impl Write) -> std::io::Result<()> {
        if self.is_json {
            let comma = if self.count == 0 { "" } else { "," };
            write!(out, "{comma}\n{}", found_json(found))?;
        } else {
            out.write_all(found_text(found).as_bytes())?;
        }
        self.count = self.count.saturating_add(1);
        Ok(())
    }

    fn close(
        &self,
        summary: &Summary,
        differ_in_guard: bool,
        out: &mut impl Write,
    ) -> std::io::Result<()> {
        if self.is_json {
            let summary = summary_json(summary, differ_in_guard);
            writeln!(out, "],\n\"summary\":{summary}}}")
        } else {
            out.write_all(summary_text(summary, differ_in_guard).as_bytes())
        }
    }
}

fn act_text(act: &Act) -> String {
    let amount = act
        .amount
        .map_or(String::new(), |amount| format!(" of {amount}"));
    format!("{}{amount} for {}", act.kind.code(), act.payment)
}

fn outcome_text(outcome: &Outcome) -> String {
    let acts: Vec<String> = outcome.acts.iter().map(act_text).collect();
    let acts = if acts.is_empty() {
        "no money action".to_owned()
    } else {
        acts.join(", ")
    };
    let (verdict, reason) = (outcome.verdict.code(), outcome.reason.code());
    format!("{verdict} ({reason}); {acts}")
}

fn found_text(found: &Found) -> String {
    match found {
        Found::Unreadable { checkout, why } => {
            format!("CANNOT BE REPLAYED checkout {checkout}: {why}\n")
        }
        Found::Differs(one) => {
            let reference = one.reference.as_ref();
            let order = reference.map_or("no order".to_owned(), |one| format!("order {one}"));
            let when = rfc3339(one.parts_at);
            let later = if one.is_only_later {
                ", only in when"
            } else {
                ""
            };
            let stake = if one.at_stake.is_empty() {
                "no money".to_owned()
            } else {
                sums(&one.at_stake)
            };
            format!(
                "checkout {} of {}, {order}: parts at {when}{later}; at stake: {stake}\n  \
                 configured: {}\n  other:      {}\n",
                one.checkout,
                one.shop,
                outcome_text(&one.old),
                outcome_text(&one.new)
            )
        }
    }
}

fn act_json(act: &Act) -> Value {
    json!({
        "action": act.kind.code(),
        "account": act.payment.account.as_str(),
        "payment": act.payment.id.as_str(),
        "amount": act.amount,
    })
}

fn outcome_json(outcome: &Outcome) -> Value {
    json!({
        "verdict": outcome.verdict.code(),
        "reason": outcome.reason.code(),
        "actions": outcome.acts.iter().map(act_json).collect::<Vec<_>>(),
        "in_suspense": outcome.in_suspense,
    })
}

fn difference_json(one: &Difference) -> Value {
    json!({
        "checkout": one.checkout.as_str(),
        "shop": one.shop.as_str(),
        "reference": one.reference.as_ref().map(|reference| reference.as_str()),
        "parts_at": rfc3339(one.parts_at),
        "only_in_when": one.is_only_later,
        "at_stake": one.at_stake,
        "configured": outcome_json(&one.old),
        "other": outcome_json(&one.new),
    })
}

fn found_json(found: &Found) -> Value {
    match found {
        Found::Differs(one) => difference_json(one),
        Found::Unreadable { checkout, why } => {
            json!({"checkout": checkout.as_str(), "cannot_be_replayed": why})
        }
    }
}

fn stake(summary: &Summary) -> Vec<Money> {
    let sums = summary.at_stake.iter();
    sums.map(|(currency, minor)| Money::new(*minor, *currency))
        .collect()
}

fn summary_json(summary: &Summary, differ_in_guard: bool) -> Value {
    json!({
        "checkouts": summary.checkouts,
        "differ": summary.differ,
        "differ_only_in_when": summary.differ_only_in_when,
        "cannot_be_replayed": summary.unreadable,
        "unlike_recorded": summary.unlike_recorded,
        "at_stake": stake(summary),
        "guard_differs_and_is_not_judged": differ_in_guard,
    })
}

fn summary_text(summary: &Summary, differ_in_guard: bool) -> String {
    let at_stake = stake(summary);
    let money = if at_stake.is_empty() {
        "no money".to_owned()
    } else {
        sums(&at_stake)
    };
    let mut text = format!(
        "{} checkouts decided again: {} would end otherwise ({} of them only in when); at stake: \
         {money}.\n",
        summary.checkouts, summary.differ, summary.differ_only_in_when
    );
    if summary.unreadable > 0 {
        let count = summary.unreadable;
        text.push_str(&format!(
            "{count} cannot be replayed; see `reconciled audit`.\n"
        ));
    }
    if summary.unlike_recorded > 0 {
        text.push_str(&format!(
            "{} were decided otherwise at the time than the configured policy does now: another \
             policy or version was at work then.\n",
            summary.unlike_recorded
        ));
    }
    if differ_in_guard {
        text.push_str("The guard's hourly limits differ; a replay does not judge them.\n");
    }
    text
}
