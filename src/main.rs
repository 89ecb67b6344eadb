//! The binary: parse the command line, hand over, turn the outcome into an exit code.
//!
//! Knows no rule of the trade.

/// The heap. A quarter of the daemon's time went into the C library's; `.cargo/config.toml` says how this
/// one is built.
#[global_allocator]
static HEAP: tikv_jemallocator::Jemalloc = tikv_jemallocator::Jemalloc;

fn main() -> std::process::ExitCode {
    reconciled::cli::run()
}
