//! `[server]`, `[retention]` and `[[admin_token]]`: the daemon's own side.
//!
//! Knows no shop and no PSP.

use super::problem::Code;
use super::secret::{self, Secret, Surroundings};
use super::source::{Findings, Raised};
use super::table::{Field, Section, quoted};
use super::value::{self, Endpoint, Listen};
use super::vocabulary;
use crate::core::time::Span;
use crate::roster::Role;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};

/// Most admin tokens.
const TOKENS_MAX: usize = 64;
/// How long the bodies of deliveries are kept when nothing is said.
const BODIES: Span = Span::from_days(30);
/// How long checkouts at rest are kept when nothing is said.
const CHECKOUTS: Span = Span::from_days(400);

/// The words of `role`.
pub(super) const ROLES: &[(&str, Role)] = &[("viewer", Role::Viewer), ("operator", Role::Operator)];

/// Where the listeners listen.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Server {
    /// PSP and shop webhooks.
    pub public: SocketAddr,
    /// Status, metrics, operator API.
    pub admin: Listen,
    /// A watcher outside that hears from us while we are at work.
    pub heartbeat_url: Option<Endpoint>,
}

impl Default for Server {
    fn default() -> Server {
        let loopback = |port| SocketAddr::new(IpAddr::V4(Ipv4Addr::LOCALHOST), port);
        Server {
            public: loopback(8480),
            admin: Listen::Tcp(loopback(8481)),
            heartbeat_url: None,
        }
    }
}

/// How long what is done is kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Retention {
    /// The bodies of deliveries.
    pub bodies: Span,
    /// Checkouts at rest, with their journal.
    pub checkouts: Span,
}

/// A token of the admin listener.
#[derive(Clone, Debug)]
pub struct TokenConfig {
    /// Whose; stands in the journal beside rulings. No two tokens have the same.
    pub name: String,
    /// What it may do.
    pub role: Role,
    /// The token.
    pub token: Secret,
}

/// Reads `[server]`; none only after a problem was raised.
pub(super) fn read_server(root: &Section<'_>, out: &mut Findings<'_>) -> Option<Server> {
    let default = Server::default();
    let Some(field) = root.field("server") else {
        return Some(default);
    };
    let section = Section::open(&field, "[server]".to_owned(), &[vocabulary::SERVER], out)?;
    let public = section.read("public", default.public, out, value::address);
    let admin = section.read("admin", default.admin, out, value::listen);
    let heartbeat = section.field("heartbeat_url");
    let heartbeat_url = heartbeat.map(|field| value::url(&field, out));
    let (public, admin) = (public?, admin?);
    let at = section.field("admin").or(section.field("public"));
    if let (Listen::Tcp(address), Some(field)) = (&admin, at) {
        if *address == public && public.port() != 0 {
            let raised = field.refusal(Code::SameListener, &format!("is {public} for both"));
            out.raise(raised.accepted("an address of its own for each listener"));
        } else if !address.ip().is_loopback() {
            let message = format!("the admin listener at {address} can be reached from elsewhere");
            let raised = Raised::new(Code::AdminNotLoopback, field.at(), message);
            let hint = "it speaks plain HTTP: keep it on loopback or a Unix socket, behind TLS";
            out.raise(raised.hint(Some(hint.to_owned())));
        }
    }
    let heartbeat_url = match heartbeat_url {
        Some(read) => Some(read?),
        None => None,
    };
    Some(Server {
        public,
        admin,
        heartbeat_url,
    })
}

/// Reads `[retention]`.
pub(super) fn read_retention(root: &Section<'_>, out: &mut Findings<'_>) -> Retention {
    let default = Retention {
        bodies: BODIES,
        checkouts: CHECKOUTS,
    };
    root.read_or("retention", default, out, |field, out| {
        let title = "[retention]".to_owned();
        let section = Section::open(field, title, &[vocabulary::RETENTION], out)?;
        let positive = value::duration_above_zero;
        Some(Retention {
            bodies: section.read_or("bodies", default.bodies, out, positive),
            checkouts: section.read_or("checkouts", default.checkouts, out, positive),
        })
    })
}

/// Reads all `[[admin_token]]`.
pub(super) fn read_tokens(
    root: &Section<'_>,
    surroundings: &Surroundings,
    out: &mut Findings<'_>,
) -> Vec<TokenConfig> {
    let Some(field) = root.field("admin_token") else {
        let message = "no [[admin_token]]: reading is allowed on loopback, rulings are refused";
        out.raise(Raised::of_file(Code::NoAdminToken, message));
        return Vec::new();
    };
    let accepted = "a [[admin_token]] table with the keys name, role, token";
    let mut tokens: Vec<TokenConfig> = Vec::new();
    for item in field.items(accepted, TOKENS_MAX, out).unwrap_or_default() {
        let Some(token) = read_token(&item, surroundings, out) else {
            continue;
        };
        let digest = token.token.digest();
        if let Some(other) = tokens.iter().find(|known| known.name == token.name) {
            let message = format!("two admin tokens are named {}", quoted(&other.name));
            let raised = Raised::new(Code::DuplicateToken, item.at(), message);
            out.raise(raised.accepted("a name of its own for each token"));
        } else if let Some(other) = tokens.iter().find(|known| known.token.digest() == digest) {
            let (name, other) = (quoted(&token.name), quoted(&other.name));
            let message = format!("{name} and {other} have the same token");
            let raised = Raised::new(Code::DuplicateToken, item.at(), message);
            out.raise(raised.accepted("a token of its own for each name"));
        }
        tokens.push(token);
    }
    tokens
}

fn read_token(
    item: &Field<'_>,
    surroundings: &Surroundings,
    out: &mut Findings<'_>,
) -> Option<TokenConfig> {
    let title = "[[admin_token]]".to_owned();
    let section = Section::open(item, title, &[vocabulary::ADMIN_TOKEN], out)?;
    let name = section.required("name", "whose token it is", out);
    let name = name.and_then(|field| value::name(&field, out));
    let role = section.required("role", "\"viewer\", \"operator\"", out);
    let role = role.and_then(|field| value::word(&field, ROLES, out));
    let token = section.required("token", secret::SOURCES, out);
    let shape: secret::Shape = secret::key_shape;
    let token = token.and_then(|field| secret::secret(&field, shape, surroundings, out));
    Some(TokenConfig {
        name: name?,
        role: role?,
        token: token?,
    })
}
