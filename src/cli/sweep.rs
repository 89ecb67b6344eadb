//! `reconciled sweep`: asks the PSPs for payments now, through the running daemon.
//!
//! Hands the wish over; what is found goes the usual way.

use super::client::{Client, EXIT_OK};
use super::status::{CommandError, refusal, show};
use std::io::Write;

/// The arguments of `reconciled sweep`.
#[derive(Clone, Debug, clap::Args)]
pub struct Args {
    /// Only this account
    #[arg(long, value_name = "ACCOUNT")]
    pub account: Option<String>,
    /// From this moment on (RFC 3339) instead of the usual window
    #[arg(long, value_name = "TIME")]
    pub since: Option<String>,
    /// JSON instead of text
    #[arg(long)]
    pub json: bool,
}

/// Asks the daemon; answers the exit code.
///
/// # Errors
/// `Unreachable` when the daemon cannot be reached; an error of `out` is returned as it is.
pub async fn run(
    args: &Args,
    client: &Client,
    out: &mut (dyn Write + Send),
) -> Result<u8, CommandError> {
    let wish = serde_json::json!({"account": args.account, "since": args.since});
    let answer = client
        .post("/api/v1/sweeps", wish.to_string(), None)
        .await?;
    if answer.status >= 300 {
        return refusal(&answer, args.json, out);
    }
    if args.json {
        show(&answer.body, out)?;
    } else {
        let whom = args.account.as_deref().unwrap_or("every account");
        show(&format!("A sweep of {whom} was started.\n"), out)?;
    }
    Ok(EXIT_OK)
}
