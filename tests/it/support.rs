//! What several test files share: a store to fail and to wait for, a site on loopback, a log.
//!
//! Decides nothing about what is right; that is said in the tests.

pub(crate) mod adapters;
pub(crate) mod ledger;
pub(crate) mod log;
pub(crate) mod site;
pub(crate) mod talk;
