//! The simulation: the real engine, workers, intake and core on the memory store, between the
//! sandbox PSP and the sandbox shop, with one simulated clock, network and process; everything
//! random comes from a seed.
//!
//! A tool of the project's developers (docs/simulation.md); the daemon never comes here. The judge
//! (`judge`, `ending`) reads only the sandboxes' books and what crossed the wire.

pub mod act;
mod calls;
pub mod chance;
mod common;
pub mod ending;
pub mod gate;
pub mod hazard;
pub mod instance;
pub mod judge;
pub mod keys;
pub mod ledger;
pub mod network;
pub mod play;
pub mod post;
mod read;
pub mod run;
pub mod serve;
pub mod setting;
pub mod shelf;
pub mod shrink;
pub mod stage;
pub mod story;
pub mod tasks;
pub mod trace;

pub use play::{Ended, play};
