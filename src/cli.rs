//! The command line's client side: what the admin listener says, in a terminal.
//!
//! Knows no store and no rule.

pub mod checkouts;
pub mod client;
pub mod status;
