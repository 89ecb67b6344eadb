//! The blind core: what is known about a checkout, and what follows from it.
//!
//! Pure values and functions over `std` and serde's derives. No clock, I/O, async, chance,
//! logging or environment; time is an argument called `now`, every answer is a value.

pub mod checkout;
pub mod fact;
pub mod guard;
pub mod ids;
pub mod invariants;
pub mod lattice;
pub mod matching;
pub mod means;
pub mod money;
pub mod order;
pub mod payment;
pub mod plan;
pub mod policy;
pub mod reconcile;
pub mod retry;
pub mod time;

#[cfg(test)]
mod tests;
