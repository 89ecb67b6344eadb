//! The command line's client side: what the admin listener says, in a terminal.
//!
//! Knows no store and no rule.

pub mod checkouts;
pub mod client;
pub mod status;
//! The commands of the program, one file each.
//! The edge of the house: here errors become sentences and exit codes.
pub mod demo;
