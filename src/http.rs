//! The two listeners' handlers: what strangers, shops and operators may ask, and how it is
//! answered.
//!
//! Knows the store, the roster and the desk. No handler reaches the engine.

pub mod admin;
pub mod api;
pub mod counters;
pub mod health;
pub mod intake;
pub mod line;
pub mod listener;
pub mod metrics;
pub mod openapi;
pub mod orders;
pub mod problem;
pub mod public;
pub mod quarantine;
pub mod replay;
pub mod shop_events;
pub mod status;
pub mod timeline;
pub mod unsigned;
pub mod view;
pub mod webhook;
pub mod words;
