//! What PayPal sends and answers, against what we make of it.
//!
//! Placeholder.
