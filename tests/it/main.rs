//! Everything that needs sockets, files or the real binary, in one program.
//!
//! One module a subject; what they share is in `support`. A catalogue scenario's test begins
//! with its number.
#![cfg(test)]
#![expect(
    clippy::arithmetic_side_effects,
    reason = "a story is called by its test: an overflow in it fails that test"
)]

mod admin;
mod adyen;
mod breaker;
mod check_online;
mod commands;
mod copy;
mod every_psp;
mod http_intake;
mod http_limits;
mod http_orders;
mod http_quarantine;
mod http_stop;
mod http_webhook;
mod kill;
mod lifecycle;
mod outbound;
mod paypal;
mod postgres_daemon;
mod reload;
mod replay;
mod sharing;
mod statements;
mod store_laws;
mod store_postgres;
mod store_sqlite;
mod stories;
mod stories_after;
mod stories_confirm;
mod stories_duplicates;
mod stories_guarded;
mod stories_ingest;
mod stories_late;
mod stories_matching;
mod stories_race;
mod stories_refund;
mod stories_system;
mod stories_tender;
mod support;
