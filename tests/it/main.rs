//! One binary for every test with I/O.
//!
//! Each module is a room's tests; a catalogue scenario's test begins with its number.

mod store_laws;
mod store_sqlite;
