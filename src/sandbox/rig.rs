//! The real daemon between a sandbox PSP and a sandbox shop: what the demo and the story tests
//! stand on.
//!
//! Starts the servers and the pump, writes a configuration, runs the program as a child, and
//! reads what the daemon says from its admin listener. Knows the daemon only from outside: its
//! command line, its configuration file and its HTTP interfaces.

mod child;
mod config;
mod fellow;
mod scratch;
mod view;

pub use child::Ended;
pub use config::{ACCOUNT, SHOP, Setup};
pub use fellow::Fellow;
pub use scratch::Scratch;
pub use view::{View, ViewPayment};

use super::books::Customer;
use super::client::{self, ClientError};
use super::psp::{Impossible, Kind, SandboxPsp};
use super::pump::{self, Destination, Doors};
use super::server::{self, Side};
use super::shop::{Paid, SandboxShop};
use super::world::{SharedWorld, World};
use crate::clock::Clock;
use crate::core::money::{Currency, Money};
use crate::wire::{Headers, Method, Response};
use child::Child;
use config::Addresses;
use std::net::{Ipv4Addr, SocketAddr};
use std::path::PathBuf;
use std::sync::atomic::{AtomicU16, Ordering};
use std::time::Duration;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

/// How often anything is asked again while waiting for it.
const ASK_EVERY: Duration = Duration::from_millis(40);
/// How long a daemon may take from its start to being ready.
const READY_MAX: Duration = Duration::from_secs(15);
/// How long a daemon may take to end after SIGTERM.
pub const STOP_MAX: Duration = Duration::from_secs(20);

/// Why the rig could not do what it was asked.
#[derive(Debug, thiserror::Error)]
pub enum RigError {
    /// A file or process operation failed.
    #[error("{what}: {error}")]
    Io {
        /// What was being done.
        what: String,
        /// What the system said.
        error: std::io::Error,
    },
    /// No two free ports on loopback.
    #[error("no free port on 127.0.0.1 between {0} and {1}")]
    NoPort(u16, u16),
    /// The daemon ended by itself.
    #[error("the daemon ended by itself ({status}); the end of its log, {}:\n{tail}", log.display())]
    Died {
        /// How.
        status: String,
        /// Where its log is.
        log: PathBuf,
        /// The log's last lines.
        tail: String,
    },
    /// The daemon did not do in time what was waited for.
    #[error(
        "waited {waited:?} for {what}; last seen: {seen}; the end of the daemon's log:\n{tail}"
    )]
    Waited {
        /// For what.
        what: String,
        /// How long.
        waited: Duration,
        /// What was seen instead.
        seen: String,
        /// The log's last lines.
        tail: String,
    },
    /// The story cannot go on like this.
    #[error(transparent)]
    Impossible(#[from] Impossible),
    /// The admin listener did not answer.
    #[error(transparent)]
    Client(#[from] ClientError),
    /// The admin listener answered something else than the contract says.
    #[error("{path} answered {status}, not as the contract says: {detail}")]
    Answer {
        /// What was asked.
        path: String,
        /// The status.
        status: u16,
        /// What is wrong.
        detail: String,
    },
}

impl RigError {
    /// True for an answer that said "fine" in another shape than the contract's.
    fn is_wrong_shape(&self) -> bool {
        matches!(self, RigError::Answer { status: 200, .. })
    }

    fn io(what: impl Into<String>) -> impl FnOnce(std::io::Error) -> RigError {
        let what = what.into();
        move |error| RigError::Io { what, error }
    }
}

/// The world, the daemon in it, and everything that runs between them.
pub struct Rig {
    world: SharedWorld,
    setup: Setup,
    addresses: Addresses,
    doors: Doors,
    child: Option<Child>,
    tracker: TaskTracker,
    stop: CancellationToken,
    patience: Duration,
}

impl Rig {
    /// Starts PSP, shop and pump, writes the configuration, and starts the daemon.
    pub async fn raise(setup: Setup) -> Result<Rig, RigError> {
        let mut rig = Rig::prepare(setup).await?;
        rig.restart().await?;
        Ok(rig)
    }

    /// As `raise`, with the daemon yet to be started by `restart`.
    pub async fn prepare(setup: Setup) -> Result<Rig, RigError> {
        let kind = setup.kind;
        let world = SharedWorld::new(World::with(kind), Clock::System);
        let tracker = TaskTracker::new();
        let stop = CancellationToken::new();
        let serve = |side| server::start(side, world.clone(), &tracker, stop.clone());
        let psp = serve(Side::Psp)
            .await
            .map_err(RigError::io("starting the sandbox PSP"))?;
        let shop = serve(Side::Shop)
            .await
            .map_err(RigError::io("starting the sandbox shop"))?;
        let (public, admin) = (free_address()?, free_address()?);
        let addresses = Addresses {
            public,
            admin,
            psp,
            shop,
        };
        let doors = Doors::default();
        doors.add(public);
        let to = Destination {
            doors: doors.clone(),
            psp_path: format!("/webhooks/{}", kind.account),
            shop_path: format!("/shops/{SHOP}/events"),
        };
        pump::start(world.clone(), to, &tracker, stop.clone());
        let rig = Rig {
            world,
            setup,
            addresses,
            doors,
            child: None,
            tracker,
            stop,
            patience: Duration::from_secs(30),
        };
        for (name, contents) in (kind.files)() {
            scratch::write_private(&rig.setup.dir.join(name), &contents)?;
        }
        rig.write_config()?;
        Ok(rig)
    }

    /// Changes how long `until` and its like wait; 30 s at first.
    pub fn set_patience(&mut self, patience: Duration) {
        self.patience = patience;
    }

    /// What the daemon is set up with; `write_config` puts changes into its file.
    pub fn setup_mut(&mut self) -> &mut Setup {
        &mut self.setup
    }

    /// Writes the configuration file, readable by its owner alone.
    pub fn write_config(&self) -> Result<(), RigError> {
        let text = self
            .world
            .with(|world, _| self.setup.toml(&self.addresses, world));
        scratch::write_private(&self.config_path(), text.as_bytes())
    }

    /// Where the configuration is.
    pub fn config_path(&self) -> PathBuf {
        self.setup.dir.join("reconciled.toml")
    }

    /// Where the daemon's own output is kept, over all its lives.
    pub fn log_path(&self) -> PathBuf {
        self.setup.dir.join("daemon.log")
    }

    /// The public listener.
    pub fn public(&self) -> SocketAddr {
        self.addresses.public
    }

    /// The sandbox PSP.
    pub fn psp_address(&self) -> SocketAddr {
        self.addresses.psp
    }

    /// The admin listener.
    pub fn admin(&self) -> SocketAddr {
        self.addresses.admin
    }

    /// The address of the status page.
    pub fn status_url(&self) -> String {
        format!("http://{}/status", self.addresses.admin)
    }

    /// The world, to act in.
    pub fn world(&self) -> &SharedWorld {
        &self.world
    }

    /// Starts the daemon (ending the one that runs) and waits until it is ready.
    pub async fn restart(&mut self) -> Result<(), RigError> {
        if self.child.is_some() {
            self.kill9().await?;
        }
        let config = self.config_path();
        let child = Child::start(
            &self.setup.program,
            &config,
            &self.log_path(),
            &self.setup.env,
        )?;
        let child = self.child.insert(child);
        child.until_ready(self.addresses.admin).await
    }

    /// Ends the daemon at once, without a chance to tidy up.
    pub async fn kill9(&mut self) -> Result<(), RigError> {
        match self.child.take() {
            Some(child) => child.kill9().await,
            None => Ok(()),
        }
    }

    /// Asks the daemon to end (SIGTERM) and waits until it has.
    pub async fn sigterm(&mut self) -> Result<Ended, RigError> {
        match self.child.take() {
            Some(child) => child.sigterm(STOP_MAX).await,
            None => Ok(Ended::WasNotRunning),
        }
    }

    /// Sends the daemon a signal by name (`HUP`, `STOP`, `CONT`) without waiting.
    pub async fn signal(&self, name: &str) -> Result<(), RigError> {
        match &self.child {
            Some(child) => child.signal(name).await,
            None => Ok(()),
        }
    }

    /// Stops everything: the daemon with SIGTERM, then the world. Gives what the daemon logged
    /// at ERROR level over all its lives, and its panics.
    pub async fn close(mut self) -> Result<Vec<String>, RigError> {
        self.sigterm().await?;
        self.stop.cancel();
        self.tracker.close();
        self.tracker.wait().await;
        child::errors_in(&self.log_path())
    }

    /// A payer has paid for this order; gives the payment's id.
    pub fn pay(&self, reference: &str, amount: Money) -> String {
        self.world
            .with(|world, now| world.psp.pay(Some(reference), amount, now))
    }

    /// A customer places an order, and the shop announces it.
    pub fn place(&self, reference: &str, amount: Money) {
        self.world
            .with(|world, now| world.shop.place(reference, amount, now));
    }

    /// Does something at the PSP.
    pub fn psp<T>(&self, act: impl FnOnce(&mut SandboxPsp) -> T) -> T {
        act(&mut self.world.lock().psp)
    }

    /// Does something in the shop.
    pub fn shop<T>(&self, act: impl FnOnce(&mut SandboxShop) -> T) -> T {
        act(&mut self.world.lock().shop)
    }

    /// The PSP that the account is at.
    pub fn kind(&self) -> &'static Kind {
        self.setup.kind
    }

    /// Where the PSP's deliveries go, on the public listener.
    pub fn webhook_path(&self) -> String {
        format!("/webhooks/{}", self.setup.kind.account)
    }

    /// An account at the same PSP that knows all that ours knows and has booked nothing: what it
    /// tells is not true here.
    pub fn forger(&self) -> SandboxPsp {
        SandboxPsp::at(self.setup.kind, self.setup.kind.setup())
    }

    /// A payment as the shop protocol names it.
    pub fn paid(&self, id: &str) -> Paid {
        (self.setup.kind.account.to_owned(), id.to_owned())
    }

    /// What both books say about one customer.
    pub fn customer(&self, reference: &str) -> Customer {
        self.world
            .lock()
            .books()
            .remove(reference)
            .unwrap_or_default()
    }

    /// What both books say about everyone.
    pub fn books(&self) -> std::collections::BTreeMap<String, Customer> {
        self.world.lock().books()
    }

    /// Asks the admin listener, with the operator's token when there is one.
    pub async fn admin_call(
        &self,
        method: Method,
        path: &str,
        body: &[u8],
    ) -> Result<Response, RigError> {
        let mut headers = Headers::new().with("accept", "application/json");
        if let Some(token) = &self.setup.operator_token {
            headers.push("authorization", format!("Bearer {token}"));
        }
        if !body.is_empty() {
            headers.push("content-type", "application/json");
        }
        Ok(client::call(self.addresses.admin, method, path, &headers, body).await?)
    }

    /// Sends anything to the public listener, as a stranger or a proxy might.
    pub async fn public_call(
        &self,
        method: Method,
        path: &str,
        headers: &Headers,
        body: &[u8],
    ) -> Result<Response, RigError> {
        Ok(client::call(self.addresses.public, method, path, headers, body).await?)
    }

    /// The checkouts of one reference, as the admin listener shows them.
    pub async fn views(&self, reference: &str) -> Result<Vec<View>, RigError> {
        let path = format!("/api/v1/checkouts?reference={}", view::escaped(reference));
        let answer = self.admin_call(Method::Get, &path, b"").await?;
        view::read_list(&path, &answer)
    }

    /// Waits until a checkout of this reference is as wanted, and gives it.
    pub async fn until(
        &self,
        reference: &str,
        wanted: impl Fn(&View) -> bool,
    ) -> Result<View, RigError> {
        let mut seen = "no such checkout".to_owned();
        let asking = async {
            loop {
                self.check_alive()?;
                match self.views(reference).await {
                    Ok(views) => {
                        for view in views {
                            if wanted(&view) {
                                return Ok(view);
                            }
                            seen = format!("{}, {}", view.summary(), view.next());
                        }
                    }
                    // An answer in another shape stays so; anything else may pass.
                    Err(error) if error.is_wrong_shape() => return Err(error),
                    Err(error) => seen = error.to_string(),
                }
                tokio::time::sleep(ASK_EVERY).await;
            }
        };
        match tokio::time::timeout(self.patience, asking).await {
            Ok(found) => found,
            Err(_) => {
                let what = format!("the checkout of {reference}");
                Err(self.waited(&what, self.patience, seen))
            }
        }
    }

    /// Waits until a checkout of this reference has this verdict, and gives it.
    pub async fn until_verdict(&self, reference: &str, verdict: &str) -> Result<View, RigError> {
        self.until(reference, |view| view.verdict == verdict).await
    }

    /// Waits until the world is as wanted; works while the daemon is down, too.
    pub async fn until_world(
        &self,
        what: &str,
        wanted: impl Fn(&World) -> bool,
    ) -> Result<(), RigError> {
        let looking = async {
            while !wanted(&self.world.lock()) {
                self.check_alive()?;
                tokio::time::sleep(ASK_EVERY).await;
            }
            Ok(())
        };
        let late = |_| self.waited(what, self.patience, "not so".to_owned());
        tokio::time::timeout(self.patience, looking)
            .await
            .map_err(late)?
    }

    /// Lets this much time pass, watching the daemon: for stories that show that nothing happens.
    pub async fn pass(&self, span: Duration) -> Result<(), RigError> {
        tokio::time::sleep(span).await;
        self.check_alive()
    }

    /// An error when the daemon was started and has ended by itself.
    pub fn check_alive(&self) -> Result<(), RigError> {
        self.child.as_ref().map_or(Ok(()), Child::check_alive)
    }

    fn waited(&self, what: &str, waited: Duration, seen: String) -> RigError {
        RigError::Waited {
            what: what.to_owned(),
            waited,
            seen,
            tail: child::tail(&self.log_path()),
        }
    }
}

impl Drop for Rig {
    fn drop(&mut self) {
        // The child ends with its own drop; servers and pump end here.
        self.stop.cancel();
    }
}

/// So many euro cents.
pub fn eur(minor: i64) -> Money {
    Money::new(minor, Currency::EUR)
}

/// Where rigs look for ports: below the range that systems give out by themselves, so that a
/// port stays free between two lives of the daemon.
const PORTS: (u16, u16) = (18_000, 28_000);

/// A loopback address that nobody listens on, and that no other rig of this process was given.
fn free_address() -> Result<SocketAddr, RigError> {
    static GIVEN: AtomicU16 = AtomicU16::new(0);
    let (first, last) = PORTS;
    let width = last.saturating_sub(first);
    // Processes start looking at different places.
    let start = std::process::id().wrapping_mul(97);
    for _ in 0..width {
        let step = u32::from(GIVEN.fetch_add(1, Ordering::SeqCst));
        let offset = start.wrapping_add(step).checked_rem(u32::from(width));
        let offset = offset
            .and_then(|offset| u16::try_from(offset).ok())
            .unwrap_or(0);
        let address = SocketAddr::from((Ipv4Addr::LOCALHOST, first.saturating_add(offset)));
        if std::net::TcpListener::bind(address).is_ok() {
            return Ok(address);
        }
    }
    Err(RigError::NoPort(first, last))
}

#[cfg(test)]
mod tests;
