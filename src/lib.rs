//! `reconciled`: every captured cent is matched to a confirmed order, on its way back to the
//! customer, or on an operator's screen, and never nowhere.
//!
//! The map of the rooms is in ARCHITECTURE.md. `core` decides and knows nobody; everything else
//! carries facts to it and carries out what it wants.

pub mod app;
pub mod audit;
pub mod cli;
pub mod clock;
pub mod config;
pub mod core;
pub mod desk;
pub mod engine;
pub mod http;
pub mod key_line;
pub mod lifecycle;
pub mod outbound;
pub mod pressure;
pub mod psp;
pub mod replay;
pub mod roster;
pub mod sandbox;
pub mod shop;
pub mod simulation;
pub mod store;
pub mod telemetry;
pub mod wire;
pub mod work;
