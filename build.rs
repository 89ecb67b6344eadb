//! Rebuilds the crate when a migration is added.
//!
//! The migrations are compiled in; the compiler itself does not notice a new file in the folder.

fn main() {
    println!("cargo:rerun-if-changed=migrations");
}
