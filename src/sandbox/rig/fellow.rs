//! Another daemon beside the rig's own: the same store, shop and PSP, listeners of its own.
//!
//! What the PSP and the shop send goes to each of them in turn, as through a load balancer.

use super::super::client;
use super::child::{self, Child};
use super::config::{Addresses, Setup};
use super::{Ended, Rig, RigError, STOP_MAX, free_address, scratch};
use crate::wire::{Headers, Method};
use std::path::PathBuf;

/// Another daemon.
pub struct Fellow {
    name: String,
    setup: Setup,
    addresses: Addresses,
    child: Option<Child>,
}

impl Rig {
    /// Sets up another daemon on the rig's store, yet to be started by `restart`.
    pub fn fellow(&self, name: &str) -> Result<Fellow, RigError> {
        let addresses = Addresses {
            public: free_address()?,
            admin: free_address()?,
            ..self.addresses
        };
        let fellow = Fellow {
            name: name.to_owned(),
            setup: self.setup.clone(),
            addresses,
            child: None,
        };
        let text = self
            .world
            .with(|world, _| self.setup.toml(&addresses, world));
        scratch::write_private(&fellow.config_path(), text.as_bytes())?;
        self.doors.add(addresses.public);
        Ok(fellow)
    }
}

impl Fellow {
    fn config_path(&self) -> PathBuf {
        self.setup.dir.join(format!("{}.toml", self.name))
    }

    /// Where its own output is kept, over all its lives.
    pub fn log_path(&self) -> PathBuf {
        self.setup.dir.join(format!("{}.log", self.name))
    }

    /// Starts it (ending the one that runs) and waits until it is ready.
    pub async fn restart(&mut self) -> Result<(), RigError> {
        self.kill9().await?;
        let (config, log) = (self.config_path(), self.log_path());
        let child = Child::start(&self.setup.program, &config, &log, &self.setup.env)?;
        let child = self.child.insert(child);
        child.until_ready(self.addresses.admin).await
    }

    /// Its metrics.
    pub async fn metrics(&self) -> Result<String, RigError> {
        let (admin, path) = (self.addresses.admin, "/metrics");
        let answer = client::call(admin, Method::Get, path, &Headers::new(), b"").await?;
        Ok(String::from_utf8_lossy(&answer.body).into_owned())
    }

    /// Ends it at once, without a chance to tidy up.
    pub async fn kill9(&mut self) -> Result<(), RigError> {
        match self.child.take() {
            Some(child) => child.kill9().await,
            None => Ok(()),
        }
    }

    /// Sends it a signal by name (`STOP`, `CONT`) without waiting.
    pub async fn signal(&self, name: &str) -> Result<(), RigError> {
        match &self.child {
            Some(child) => child.signal(name).await,
            None => Ok(()),
        }
    }

    /// Ends it with SIGTERM. Gives what it logged at ERROR level over all its lives, and its
    /// panics.
    pub async fn close(mut self) -> Result<Vec<String>, RigError> {
        let ended = match self.child.take() {
            Some(child) => child.sigterm(STOP_MAX).await?,
            None => Ended::WasNotRunning,
        };
        let mut errors = child::errors_in(&self.log_path())?;
        if ended == Ended::Killed {
            errors.push(format!("{} did not end in time", self.name));
        }
        Ok(errors)
    }
}
