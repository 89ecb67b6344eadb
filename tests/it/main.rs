//! Everything that needs sockets, files or the real binary, in one program.
//!
//! One module a subject; what they share is in `support`.
#![cfg(test)]

mod stories;
mod support;
