//! The simulation as a test: a few seeds, the seeds that once failed, the same trace for the same
//! seed, failing runs made small, and a list of bugs that still apply to the code.
//!
//! Many more seeds are played by the optimised program (docs/simulation.md). Knows the simulation
//! only by its public face.
#![cfg(test)]

mod regressions;
mod seeds;
mod shrinking;
mod teeth;
