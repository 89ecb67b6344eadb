//! `reconciled checkouts list|show|rule`: checkouts in a terminal.
//!
//! Shows what the admin listener says and hands rulings over; what may be done is decided there.

use super::client::{Client, EXIT_OK};
use super::status::{CommandError, refusal, show};
use crate::core::fact::RulingKind;
use crate::http::view::CheckoutView;
use clap::{Args, Subcommand, ValueEnum};
use std::fmt::Write as _;
use std::io::Write;

/// Lists checkouts, shows one with its whole timeline, or rules on one.
#[derive(Clone, Debug, Args)]
pub struct CheckoutsArgs {
    /// What to do.
    #[command(subcommand)]
    pub command: CheckoutsCommand,
    /// JSON instead of text.
    #[arg(long, global = true)]
    pub json: bool,
}

/// What to do with checkouts.
#[derive(Clone, Debug, Subcommand)]
pub enum CheckoutsCommand {
    /// Checkouts, oldest trouble first.
    List(ListArgs),
    /// One checkout, with what was known, decided, sent and answered, and what comes next.
    Show {
        /// The checkout's id.
        id: String,
    },
    /// Decides about one checkout, under the same guards as the daemon's own decisions.
    Rule(RuleArgs),
}

/// Which checkouts to list.
#[derive(Clone, Debug, Default, Args)]
pub struct ListArgs {
    /// Only of this shop.
    #[arg(long)]
    pub shop: Option<String>,
    /// Only under this verdict; may be repeated.
    #[arg(long)]
    pub verdict: Vec<String>,
    /// Only those that have stood for at least this long, such as 15m or 3d.
    #[arg(long)]
    pub min_age: Option<String>,
    /// Only of this order.
    #[arg(long)]
    pub reference: Option<String>,
    /// At most so many, up to 500.
    #[arg(long)]
    pub limit: Option<u32>,
    /// Go on where the list before ended.
    #[arg(long)]
    pub cursor: Option<String>,
}

/// A ruling.
#[derive(Clone, Debug, Args)]
pub struct RuleArgs {
    /// The checkout's id.
    pub id: String,
    /// What is decided.
    pub ruling: RulingWord,
    /// Why; stands in the journal beside your token's name.
    #[arg(long)]
    pub note: String,
    /// A policy key that shall not bind this ruling; may be repeated.
    #[arg(long = "override")]
    pub overrides: Vec<String>,
    /// Only if the checkout is still at this version.
    #[arg(long)]
    pub if_version: Option<i64>,
}

/// A ruling's word on the command line.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum RulingWord {
    /// Ask everyone again now.
    Retry,
    /// Confirm the order with the money that is there.
    Confirm,
    /// Give the money back.
    Refund,
    /// Do nothing until told otherwise.
    Hold,
    /// Go on as the policy says.
    Resume,
    /// Settled outside; count it as done.
    Settle,
}

impl From<RulingWord> for RulingKind {
    fn from(word: RulingWord) -> RulingKind {
        match word {
            RulingWord::Retry => RulingKind::Retry,
            RulingWord::Confirm => RulingKind::Confirm,
            RulingWord::Refund => RulingKind::Refund,
            RulingWord::Hold => RulingKind::Hold,
            RulingWord::Resume => RulingKind::Resume,
            RulingWord::Settle => RulingKind::Settle,
        }
    }
}

/// Runs the command; answers the exit code.
///
/// # Errors
/// `Unreachable` when the daemon cannot be reached; an error of `out` is returned as it is.
pub async fn run(
    args: &CheckoutsArgs,
    client: &Client,
    out: &mut (dyn Write + Send),
) -> Result<u8, CommandError> {
    match &args.command {
        CheckoutsCommand::List(list) => read(&list_path(list), args.json, client, out).await,
        CheckoutsCommand::Show { id } => {
            let path = format!("/api/v1/checkouts/{}", escaped(id));
            read(&path, args.json, client, out).await
        }
        CheckoutsCommand::Rule(rule) => decide(rule, args.json, client, out).await,
    }
}

async fn read(
    path: &str,
    is_json: bool,
    client: &Client,
    out: &mut (dyn Write + Send),
) -> Result<u8, CommandError> {
    let accept = if is_json {
        "application/json"
    } else {
        "text/plain"
    };
    let answer = client.get(path, accept).await?;
    if answer.status != 200 {
        return refusal(&answer, is_json, out);
    }
    show(&answer.body, out)?;
    Ok(EXIT_OK)
}

async fn decide(
    rule: &RuleArgs,
    is_json: bool,
    client: &Client,
    out: &mut (dyn Write + Send),
) -> Result<u8, CommandError> {
    let path = format!("/api/v1/checkouts/{}/rulings", escaped(&rule.id));
    let body = serde_json::json!({
        "ruling": RulingKind::from(rule.ruling),
        "note": rule.note,
        "overrides": rule.overrides,
    });
    let answer = client
        .post(&path, body.to_string(), rule.if_version)
        .await?;
    if answer.status != 200 {
        return refusal(&answer, is_json, out);
    }
    match serde_json::from_str::<CheckoutView>(&answer.body) {
        Ok(view) if !is_json => writeln!(out, "{}", ruled(&view))?,
        Ok(_) | Err(_) => show(&answer.body, out)?,
    }
    Ok(EXIT_OK)
}

fn ruled(view: &CheckoutView) -> String {
    let money = view
        .in_suspense
        .map_or(String::new(), |money| format!(", {money} in suspense"));
    let next = view.next_step.as_ref().map_or(String::new(), |next| {
        format!("; next: {} at {}", next.action, next.at)
    });
    format!(
        "Recorded. {} is now {} ({}){money}{next}.",
        view.id, view.verdict, view.reason
    )
}

fn list_path(list: &ListArgs) -> String {
    let verdicts = (!list.verdict.is_empty()).then(|| list.verdict.join(","));
    let limit = list.limit.map(|limit| limit.to_string());
    let pairs = [
        ("shop", &list.shop),
        ("verdict", &verdicts),
        ("min_age", &list.min_age),
        ("reference", &list.reference),
        ("limit", &limit),
        ("cursor", &list.cursor),
    ];
    let query: Vec<String> = pairs
        .into_iter()
        .filter_map(|(name, value)| value.as_ref().map(|text| (name, text)))
        .map(|(name, text)| format!("{name}={}", escaped(text)))
        .collect();
    if query.is_empty() {
        "/api/v1/checkouts".to_owned()
    } else {
        format!("/api/v1/checkouts?{}", query.join("&"))
    }
}

/// Text as it may stand in a path or query: everything but letters, digits and `-._~` becomes
/// `%XX`.
fn escaped(text: &str) -> String {
    let mut safe = String::with_capacity(text.len());
    for byte in text.bytes() {
        if byte.is_ascii_alphanumeric() || b"-._~".contains(&byte) {
            safe.push(char::from(byte));
        } else {
            // Writing to a string cannot fail.
            write!(safe, "%{byte:02X}").unwrap_or_default();
        }
    }
    safe
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_people_type_cannot_leave_its_place_in_the_address() {
        assert_eq!(escaped("ck_1-a.b~c"), "ck_1-a.b~c");
        assert_eq!(escaped("../x?y&z=é"), "..%2Fx%3Fy%26z%3D%C3%A9");
        let list = ListArgs {
            shop: Some("klompen".to_owned()),
            verdict: vec!["held".to_owned(), "confirming".to_owned()],
            reference: Some("A 1/2".to_owned()),
            limit: Some(5),
            ..ListArgs::default()
        };
        assert_eq!(
            list_path(&list),
            "/api/v1/checkouts?shop=klompen&verdict=held%2Cconfirming&reference=A%201%2F2&limit=5"
        );
        assert_eq!(list_path(&ListArgs::default()), "/api/v1/checkouts");
    }
}
