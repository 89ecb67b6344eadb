//! Everything with I/O, in one binary.
//!
//! Each module is one piece's tests; what they share is beside them.

#![cfg(test)]

mod admin;
