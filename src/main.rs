//! The binary: parse the command line, hand over, turn the outcome into an exit code.
//!
//! Knows no rule of the trade.

fn main() -> std::process::ExitCode {
    reconciled::cli::run()
}
