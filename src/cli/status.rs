//! `reconciled status`: the on-call view in a terminal.
//!
//! Shows what the admin listener says; computes nothing but the exit code.

use super::client::{Answer, Client, EXIT_NO, EXIT_OK, EXIT_UNREACHABLE, Unreachable};
use serde::Deserialize;
use std::io::{self, Write};

/// Is anyone out of pocket, who, since when, and what happens next. Ends with 1 when the page
/// is red, and with 69 when the daemon cannot be reached.
#[derive(Clone, Debug, clap::Args)]
pub struct StatusArgs {
    /// JSON instead of text.
    #[arg(long)]
    pub json: bool,
}

#[derive(Deserialize)]
struct Levelled {
    level: String,
}

/// Runs the command; answers the exit code.
///
/// # Errors
/// `Unreachable` becomes exit code 69 at the caller; an error of `out` is returned as it is.
pub async fn run(
    args: &StatusArgs,
    client: &Client,
    out: &mut (dyn Write + Send),
) -> Result<u8, CommandError> {
    let (path, accept) = if args.json {
        ("/status?format=json", "application/json")
    } else {
        ("/status?format=text", "text/plain")
    };
    let answer = client.get(path, accept).await?;
    if answer.content_type == "application/problem+json" {
        return refusal(&answer, args.json, out);
    }
    show(&answer.body, out)?;
    let is_red = if args.json {
        serde_json::from_str::<Levelled>(&answer.body).is_ok_and(|page| page.level == "red")
    } else {
        answer.body.starts_with("RED ")
    };
    Ok(if is_red { EXIT_NO } else { EXIT_OK })
}

/// Why a command could not be run to its end.
#[derive(Debug, thiserror::Error)]
pub enum CommandError {
    /// No answer from the daemon.
    #[error(transparent)]
    Unreachable(#[from] Unreachable),
    /// The output could not be written.
    #[error("cannot write the output: {0}")]
    Output(#[from] io::Error),
}

impl CommandError {
    /// The exit code it ends with.
    pub fn exit_code(&self) -> u8 {
        match self {
            CommandError::Unreachable(_) => EXIT_UNREACHABLE,
            CommandError::Output(_) => EXIT_NO,
        }
    }
}

#[derive(Deserialize)]
struct ShownProblem {
    title: String,
    detail: String,
    code: String,
    #[serde(default)]
    guard: Option<String>,
    #[serde(default)]
    may_override: bool,
}

/// Shows a problem document; the exit code is the command's own "no", or 69 when the daemon
/// has no store to speak of.
pub(super) fn refusal(
    answer: &Answer,
    is_json: bool,
    out: &mut (dyn Write + Send),
) -> Result<u8, CommandError> {
    if is_json {
        show(&answer.body, out)?;
    } else {
        match serde_json::from_str::<ShownProblem>(&answer.body) {
            Ok(problem) => {
                let ShownProblem {
                    title,
                    detail,
                    code,
                    guard,
                    may_override,
                } = problem;
                writeln!(out, "{title} ({code}): {detail}")?;
                if let Some(guard) = guard {
                    let hint = if may_override {
                        format!("`--override {guard}` lets it pass.")
                    } else {
                        "Nothing overrides it.".to_owned()
                    };
                    writeln!(out, "Refused by {guard}. {hint}")?;
                }
            }
            Err(_) => writeln!(out, "The daemon answered with status {}.", answer.status)?,
        }
    }
    Ok(match answer.status {
        400 => super::client::EXIT_USAGE,
        503 => EXIT_UNREACHABLE,
        _ => EXIT_NO,
    })
}

/// Writes a body with exactly one line end after it.
pub(super) fn show(body: &str, out: &mut (dyn Write + Send)) -> io::Result<()> {
    writeln!(out, "{}", body.trim_end_matches('\n'))
}
