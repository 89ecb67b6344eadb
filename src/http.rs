//! The listeners: what strangers, shops and operators may ask, and how they are answered.
//!
//! A handler verifies, records and answers. It cannot reach the engine: what was recorded is
//! thought about later, elsewhere, and nothing is lost in between.

pub mod counters;
pub mod intake;
pub mod listener;
pub mod orders;
pub mod problem;
pub mod public;
pub mod quarantine;
pub mod replay;
pub mod shop_events;
pub mod webhook;
