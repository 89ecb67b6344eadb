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
//! The two listeners' handlers: what strangers, shops and operators may ask, and how it is
//! answered.
//! Knows the store, the roster and the desk. No handler reaches the engine.
pub mod admin;
pub mod api;
pub mod health;
pub mod line;
pub mod metrics;
pub mod openapi;
pub mod status;
pub mod timeline;
pub mod view;
pub mod words;
