//! A private throw-away directory, gone when its owner is.
//!
//! Knows nothing of what is put into it.

use super::RigError;
use std::io::Write;
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU32, Ordering};

/// How many names are tried before giving up.
const NAMES_MAX: u32 = 1_000;

/// A directory that only its owner can enter, removed with all it holds on drop.
#[derive(Debug)]
pub struct Scratch {
    path: PathBuf,
    is_kept: bool,
}

impl Scratch {
    /// Makes one in the system's place for temporary files.
    pub fn new(purpose: &str) -> Result<Scratch, RigError> {
        static MADE: AtomicU32 = AtomicU32::new(0);
        let place = std::env::temp_dir();
        let mut last = std::io::Error::from(std::io::ErrorKind::AlreadyExists);
        for _ in 0..NAMES_MAX {
            let number = MADE.fetch_add(1, Ordering::SeqCst);
            let name = format!("reconciled-{purpose}-{}-{number}", std::process::id());
            let path = place.join(name);
            match std::fs::DirBuilder::new().mode(0o700).create(&path) {
                Ok(()) => {
                    return Ok(Scratch {
                        path,
                        is_kept: false,
                    });
                }
                Err(error) if error.kind() == std::io::ErrorKind::AlreadyExists => last = error,
                Err(error) => return Err(RigError::io("making a throw-away directory")(error)),
            }
        }
        Err(RigError::io("making a throw-away directory")(last))
    }

    /// Leaves it where it is, to be looked at.
    pub fn keep(&mut self) {
        self.is_kept = true;
    }

    /// Where it is.
    pub fn path(&self) -> &Path {
        &self.path
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        if self.is_kept {
            return;
        }
        // What cannot be removed is left to the system's own cleaning of that place.
        drop(std::fs::remove_dir_all(&self.path));
    }
}

/// Writes a file that only its owner can read, replacing what was there in one step.
pub(super) fn write_private(path: &Path, contents: &[u8]) -> Result<(), RigError> {
    let beside = path.with_extension("new");
    let failed = |error| RigError::io(format!("writing {}", path.display()))(error);
    let mut options = std::fs::OpenOptions::new();
    options.write(true).create(true).truncate(true).mode(0o600);
    let mut file = options.open(&beside).map_err(failed)?;
    file.write_all(contents).map_err(failed)?;
    std::fs::rename(&beside, path).map_err(failed)
}
