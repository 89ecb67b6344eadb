//! `reconciled`: every captured cent is matched to a confirmed order, on its way back to the
//! customer, or on an operator's screen, and never nowhere.
//!
//! The map of the rooms is in ARCHITECTURE.md. `core` decides and knows nobody; everything else
//! carries facts to it and carries out what it wants.

pub mod clock;
pub mod core;
pub mod desk;
pub mod outbound;
pub mod psp;
pub mod roster;
pub mod shop;
pub mod store;
pub mod wire;
