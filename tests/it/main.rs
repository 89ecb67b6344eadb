//! Everything with I/O, in one binary: real sockets, real signals, real tasks.
//!
//! Knows the library from outside only.
#![cfg(test)]

mod http_intake;
mod http_limits;
mod http_orders;
mod http_quarantine;
mod http_stop;
mod http_webhook;
mod lifecycle;
mod support;
