//! The admin listener: who may watch and act, what is shown, in which form, and the command
//! line that shows it in a terminal.
//!
//! Runs the real router over a store of fixed rows; sockets only where the client is tested.

mod access;
mod api;
mod cli;
mod forms;
mod health;
mod openapi;
mod rows;
mod status;
mod stock;
mod timeline;
mod view;
mod world;
