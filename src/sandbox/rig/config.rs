//! The configuration that a rig writes for the daemon.
//!
//! Knows the published keys of the file and the addresses of the sandbox; short spans by default,
//! so that a story takes seconds.

use super::super::psp::kind::{Kind, Place, quoted, value_of};
use super::super::psp::stripe;
use super::super::world::World;
use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::path::PathBuf;

/// The shop's key in the configuration.
pub const SHOP: &str = "klompen";
/// The key of the account at Stripe in the configuration.
pub const ACCOUNT: &str = stripe::KIND.account;

/// What a rig is made of. Values in the maps are TOML, as they stand after the `=`.
#[derive(Clone, Debug)]
pub struct Setup {
    /// The program.
    pub program: PathBuf,
    /// The PSP; Stripe at first.
    pub kind: &'static Kind,
    /// A private directory for store, configuration and log.
    pub dir: PathBuf,
    /// The store; SQLite in the directory at first.
    pub store_url: String,
    /// Keys of `[store]` beside the address.
    pub store: BTreeMap<String, String>,
    /// Keys of `[shop.klompen.policy]`.
    pub policy: BTreeMap<String, String>,
    /// Keys of `[shop.klompen]` beside address, kind and secret.
    pub shop: BTreeMap<String, String>,
    /// Keys of `[psp.NAME]` beside kind, shop and the kind's own.
    pub account: BTreeMap<String, String>,
    /// Keys of `[server]` beside the addresses.
    pub server: BTreeMap<String, String>,
    /// An operator's token, to be configured and used; none: reading from loopback only.
    pub operator_token: Option<String>,
    /// More of the file, at its end.
    pub more: String,
    /// Variables for the daemon's environment.
    pub env: BTreeMap<String, String>,
}

/// Who listens where.
#[derive(Clone, Copy, Debug)]
pub(super) struct Addresses {
    pub(super) public: SocketAddr,
    pub(super) admin: SocketAddr,
    pub(super) psp: SocketAddr,
    pub(super) shop: SocketAddr,
}

impl Setup {
    /// Spans of a second where the defaults are minutes; everything else as by default, in full
    /// mode, in the PSP's test mode.
    pub fn short(program: PathBuf, dir: PathBuf) -> Setup {
        let map = |entries: &[(&str, &str)]| {
            let entries = entries.iter();
            entries
                .map(|(key, value)| ((*key).to_owned(), (*value).to_owned()))
                .collect()
        };
        Setup {
            program,
            kind: &stripe::KIND,
            store_url: format!("sqlite:{}", dir.join("reconciled.db").display()),
            store: BTreeMap::new(),
            dir,
            policy: map(&[
                ("order_grace", "\"1s\""),
                ("second_look", "\"500ms\""),
                ("refund_delay", "\"1s\""),
                ("confirm_patience", "\"5m\""),
                ("outage_patience", "\"5m\""),
                ("confirm_check", "\"5m\""),
                // Most stories begin with an orphan, before any order is known to be found.
                ("canary", "false"),
            ]),
            shop: map(&[("name", "\"Klompenwinkel\""), ("mode", "\"full\"")]),
            account: map(&[
                ("claims", "\"referenced\""),
                ("since", "\"2020-01-01T00:00:00Z\""),
                ("sweep_every", "\"1s\""),
                ("sweep_window", "\"1h\""),
                ("live", "false"),
            ]),
            server: BTreeMap::new(),
            operator_token: None,
            more: String::new(),
            env: BTreeMap::new(),
        }
    }

    /// Between this PSP and the shop.
    #[must_use]
    pub fn at(mut self, kind: &'static Kind) -> Setup {
        self.kind = kind;
        self
    }

    /// Sets a key of the policy.
    #[must_use]
    pub fn policy(mut self, key: &str, toml: &str) -> Setup {
        self.policy.insert(key.to_owned(), toml.to_owned());
        self
    }

    /// Sets a key of the account.
    #[must_use]
    pub fn account(mut self, key: &str, toml: &str) -> Setup {
        self.account.insert(key.to_owned(), toml.to_owned());
        self
    }

    /// Sets a key of the shop.
    #[must_use]
    pub fn shop(mut self, key: &str, toml: &str) -> Setup {
        self.shop.insert(key.to_owned(), toml.to_owned());
        self
    }

    /// The file.
    pub(super) fn toml(&self, at: &Addresses, world: &World) -> String {
        let mut text = String::new();
        let section = |text: &mut String, name: &str, entries: &[(&str, String)]| {
            line(text, &format!("[{name}]"));
            for (key, value) in entries {
                line(text, &format!("{key} = {value}"));
            }
        };
        let server = [
            ("public", quoted(&at.public.to_string())),
            ("admin", quoted(&at.admin.to_string())),
        ];
        section(&mut text, "server", &server);
        entries(&mut text, &self.server);
        section(&mut text, "store", &[("url", quoted(&self.store_url))]);
        entries(&mut text, &self.store);
        if let Some(token) = &self.operator_token {
            let entries = [
                ("name", quoted("oncall")),
                ("role", quoted("operator")),
                ("token", value_of(token)),
            ];
            section(&mut text, "[admin_token]", &entries);
        }
        let shop = [
            ("kind", quoted("generic")),
            ("url", quoted(&format!("http://{}/reconciled", at.shop))),
            ("secret", value_of(&world.shop.secret().written())),
        ];
        section(&mut text, &format!("shop.{SHOP}"), &shop);
        entries(&mut text, &self.shop);
        section(&mut text, &format!("shop.{SHOP}.policy"), &[]);
        entries(&mut text, &self.policy);
        let psp = [("kind", quoted(self.kind.word)), ("shop", quoted(SHOP))];
        section(&mut text, &format!("psp.{}", self.kind.account), &psp);
        let place = Place {
            api_base: &format!("http://{}", at.psp),
            dir: &self.dir,
        };
        for (key, value) in (self.kind.config)(world.psp.setup(), &place) {
            // What a story sets itself stands once.
            if !self.account.contains_key(key) {
                line(&mut text, &format!("{key} = {value}"));
            }
        }
        entries(&mut text, &self.account);
        line(&mut text, &self.more);
        text
    }
}

fn entries(text: &mut String, entries: &BTreeMap<String, String>) {
    for (key, value) in entries {
        line(text, &format!("{key} = {value}"));
    }
}

fn line(text: &mut String, line: &str) {
    text.push_str(line);
    text.push('\n');
}
