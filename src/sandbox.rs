//! A sandbox PSP that speaks Stripe's API and a sandbox shop that speaks the shop protocol, both
//! with books of their own and faults on demand.
//!
//! They stand for the outside world and know nothing of how the daemon works: no room of it is
//! used here beyond the plain values of money, time and the wire. `psp`, `shop`, `books`, `fault`,
//! `outbox` and `sign` are pure; `server`, `client`, `pump` and `rig` put them on real sockets.

pub mod books;
pub mod client;
pub mod fault;
pub mod outbox;
pub mod psp;
pub mod pump;
pub mod rig;
pub mod server;
pub mod shop;
pub mod sign;
pub mod world;
