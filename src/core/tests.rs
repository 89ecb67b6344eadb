//! Tests of the core as a whole: laws over arbitrary facts, worlds with faults, and the
//! catalogue's scenarios as far as the core decides them.
//!
//! No I/O and no clock: a `World` carries plans out against a scripted shop and PSP the way the
//! engine and the dispatcher do.

#![expect(
    clippy::arithmetic_side_effects,
    reason = "a test adds up its own books; a sum that overflows is a failing test"
)]

mod arbitrary;
mod cancelling;
mod confirming;
mod fitting;
mod guarded;
mod laws;
mod naming;
mod race_table;
mod races;
mod refunding;
mod rules;
mod rulings;
mod small_worlds;
mod tender;
mod unreadable;
mod waiting;
mod world;
mod worlds;
