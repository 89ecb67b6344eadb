//! Everything that needs sockets, files or processes, in one binary.
//!
//! Knows the library and the outside world; rules of the trade are tested beside the core.
#![cfg(test)]

mod outbound;
