//! What only a store in a file can show: reopening, locking, corruption, schemas, a full disk.
//!
//! The laws it shares with every store are in `store_laws`.
