//! The commands of the program, one file each.
//!
//! The edge of the house: here errors become sentences and exit codes.

pub mod demo;
