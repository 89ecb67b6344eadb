//! Everything that needs sockets, files or the real binary, in one program.
//!
//! One module a subject; what they share is in `support`.
#![cfg(test)]

mod stories;
mod support;
//! One binary for every test with I/O.
//! Each module is a room's tests; a catalogue scenario's test begins with its number.
mod store_laws;
mod store_sqlite;
//! Everything with I/O, in one binary: real sockets, real signals, real tasks.
//! Knows the library from outside only.
mod http_intake;
mod http_limits;
mod http_orders;
mod http_quarantine;
mod http_stop;
mod http_webhook;
mod lifecycle;
