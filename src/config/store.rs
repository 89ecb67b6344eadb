//! `[store]`: where everything is kept, an SQLite file or a PostgreSQL database.
//!
//! Knows the shape of the address and never opens it. The address holds no password, so it may be
//! shown; the password is a secret like any other.

use super::problem::Code;
use super::secret::{self, Secret, Surroundings};
use super::source::{Findings, Raised};
use super::table::{Field, Section, looks_secret};
use super::value;
use super::vocabulary;
use crate::core::time::Span;
use secrecy::{ExposeSecret, SecretString};
use std::fmt;
use std::path::PathBuf;

/// Where the store is when nothing is said.
const STORE_PATH: &str = "/var/lib/reconciled/reconciled.db";
/// Longest address of a database, in bytes.
const ADDRESS_BYTES_MAX: usize = 2_048;
/// Connections to PostgreSQL when nothing is said: three daemons stay below half of what a server
/// allows by itself.
const CONNECTIONS: u32 = 16;
/// Most connections of one daemon to PostgreSQL.
const CONNECTIONS_MAX: u32 = 500;
/// A statement may take this long when nothing is said.
const STATEMENT_TIMEOUT: Span = Span::from_seconds(20);
/// Longest time limit of a statement: a lock that is held for longer stops everybody.
const STATEMENT_TIMEOUT_MAX: Span = Span::from_minutes(10);

const ACCEPTED: &str = "\"sqlite:PATH\", such as \"sqlite:/var/lib/reconciled/reconciled.db\", or \
    \"postgres://USER@HOST/DATABASE?sslmode=verify-full\"";
const PASSWORD_HINT: &str = "give it apart: password = { credential = \"name\" }";
/// What the address may ask for, as libpq names it.
const PARAMETERS: &[&str] = &[
    "host",
    "hostaddr",
    "port",
    "dbname",
    "user",
    "sslmode",
    "sslrootcert",
    "sslcert",
    "sslkey",
    "options",
];
const TLS_MODES: &[&str] = &[
    "disable",
    "allow",
    "prefer",
    "require",
    "verify-ca",
    "verify-full",
];

/// Where everything is kept.
#[derive(Clone, Debug)]
pub enum StoreConfig {
    /// An SQLite file.
    Sqlite {
        /// Where it is.
        path: PathBuf,
    },
    /// A PostgreSQL database.
    Postgres(PostgresConfig),
}

/// A PostgreSQL database and how it is used.
#[derive(Clone, Debug)]
pub struct PostgresConfig {
    /// Where it is; holds no password.
    pub url: String,
    /// The password.
    pub password: Option<Secret>,
    /// Connections at once, at most.
    pub connections: u32,
    /// A statement that takes longer is ended by the server.
    pub statement_timeout: Span,
    /// False behind a pooler that lends connections for a transaction only.
    pub session_features: bool,
}

impl PostgresConfig {
    /// The whole address, with the password in it.
    pub fn address(&self) -> SecretString {
        let Some(password) = &self.password else {
            return SecretString::from(self.url.as_str());
        };
        let mut address = self.url.clone();
        address.push(if address.contains('?') { '&' } else { '?' });
        address.push_str("password=");
        for byte in password.value().expose_secret().bytes() {
            address.push_str(&format!("%{byte:02X}"));
        }
        SecretString::from(address)
    }
}

impl fmt::Display for StoreConfig {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            StoreConfig::Sqlite { path } => write!(f, "sqlite:{}", path.display()),
            StoreConfig::Postgres(postgres) => f.write_str(&postgres.url),
        }
    }
}

/// Reads `[store]`; none only after a problem was raised.
pub(super) fn read(
    root: &Section<'_>,
    surroundings: &Surroundings,
    out: &mut Findings<'_>,
) -> Option<StoreConfig> {
    let path = PathBuf::from(STORE_PATH);
    let default = StoreConfig::Sqlite { path };
    let Some(field) = root.field("store") else {
        return Some(default);
    };
    let section = Section::open(&field, "[store]".to_owned(), &[vocabulary::STORE], out)?;
    let store = section.read("url", default, out, read_url)?;
    match store {
        StoreConfig::Sqlite { .. } => {
            let keys = vocabulary::STORE.iter().filter(|key| **key != "url");
            for field in keys.filter_map(|key| section.field(key)) {
                let why = "is for PostgreSQL, and the store is an SQLite file";
                out.raise(field.refusal(Code::UnusedStoreKey, why));
            }
            Some(store)
        }
        StoreConfig::Postgres(named) => {
            let password = section.field("password");
            let password =
                password.map(|field| secret::secret(&field, password_shape, surroundings, out));
            let connections = section.read("connections", named.connections, out, |field, out| {
                value::count(field, 2..=CONNECTIONS_MAX, out)
            });
            let timeout = named.statement_timeout;
            let statement_timeout = section.read("statement_timeout", timeout, out, time_limit);
            let features = named.session_features;
            let session_features = section.read("session_features", features, out, value::truth);
            Some(StoreConfig::Postgres(PostgresConfig {
                url: named.url,
                password: match password {
                    Some(read) => Some(read?),
                    None => None,
                },
                connections: connections?,
                statement_timeout: statement_timeout?,
                session_features: session_features?,
            }))
        }
    }
}

fn time_limit(field: &Field<'_>, out: &mut Findings<'_>) -> Option<Span> {
    let span = value::duration_above_zero(field, out)?;
    if span > STATEMENT_TIMEOUT_MAX {
        let raised = field.refusal(Code::BadDuration, "is longer than ten minutes");
        out.raise(raised.accepted("a duration above zero, at most \"10m\""));
        return None;
    }
    Some(span)
}

/// A database's password is what its server lets it be.
fn password_shape(text: &str) -> Result<(), &'static str> {
    if text.is_empty() {
        Err("is empty")
    } else if text.chars().any(char::is_control) {
        Err("holds a control character")
    } else {
        Ok(())
    }
}

fn read_url(field: &Field<'_>, out: &mut Findings<'_>) -> Option<StoreConfig> {
    // Not shown before it is known to hold no password.
    let text = field.hidden_text(ACCEPTED, out)?;
    let mut schemes = ["postgres://", "postgresql://"].iter();
    let refused = if let Some(rest) = schemes.find_map(|scheme| text.strip_prefix(scheme)) {
        match read_address(rest) {
            Ok(is_verified) => return Some(named(field, text, is_verified, out)),
            Err(why) => why,
        }
    } else if let Some(path) = text.strip_prefix("sqlite:") {
        let is_plain = !path.contains(['?', '#', '\0']) && !path.starts_with("//");
        if is_plain && !path.is_empty() && path != ":memory:" && !path.ends_with('/') {
            out.show(field.at());
            let path = PathBuf::from(path);
            return Some(StoreConfig::Sqlite { path });
        }
        "does not name a plain SQLite file"
    } else {
        "names no store of this release"
    };
    let raised = field.refusal(Code::BadStore, refused).accepted(ACCEPTED);
    let hint = (refused == HOLDS_PASSWORD).then(|| PASSWORD_HINT.to_owned());
    out.raise(raised.hint(hint));
    None
}

/// The database of an address without fault; says so when nobody checks whose server it is.
fn named(field: &Field<'_>, url: &str, is_verified: bool, out: &mut Findings<'_>) -> StoreConfig {
    if !looks_secret(url) {
        out.show(field.at());
    }
    if !is_verified {
        let message = "the connection to the database is not checked to be with the right server";
        let raised = Raised::new(Code::StoreNotVerified, field.at(), message);
        let hint = "add sslmode=verify-full, and sslrootcert=/path for a certificate authority of \
            your own";
        out.raise(raised.hint(Some(hint.to_owned())));
    }
    StoreConfig::Postgres(PostgresConfig {
        url: url.to_owned(),
        password: None,
        connections: CONNECTIONS,
        statement_timeout: STATEMENT_TIMEOUT,
        session_features: true,
    })
}

const HOLDS_PASSWORD: &str = "holds a password";

/// Checks what follows the scheme. True when the server proves who it is, or is this machine.
fn read_address(rest: &str) -> Result<bool, &'static str> {
    if rest.len() > ADDRESS_BYTES_MAX {
        return Err("is too long");
    }
    if !rest.bytes().all(|byte| byte.is_ascii_graphic()) || rest.contains('#') {
        return Err("has a character that addresses of databases do not have");
    }
    let (place, query) = rest.split_once('?').unwrap_or((rest, ""));
    let (authority, database) = place.split_once('/').unwrap_or((place, ""));
    let (user, server) = authority.rsplit_once('@').unwrap_or(("", authority));
    if user.contains([':', '@']) {
        return Err(HOLDS_PASSWORD);
    }
    let mut is_local = server.is_empty();
    if !server.is_empty() {
        let host = value::host(server).ok_or("has no proper host and port")?;
        is_local = value::is_loopback(host);
    }
    let is_name_byte = |byte: u8| byte.is_ascii_alphanumeric() || b"-._~%$".contains(&byte);
    if !database.bytes().all(is_name_byte) {
        return Err("has no proper name of a database");
    }
    let mut has_database = !database.is_empty();
    let mut is_verified = false;
    for parameter in query.split('&').filter(|one| !one.is_empty()) {
        let (key, content) = parameter.split_once('=').unwrap_or((parameter, ""));
        match key {
            "password" => return Err(HOLDS_PASSWORD),
            "host" | "hostaddr" => {
                let is_socket = content.starts_with('/') || content.starts_with("%2F");
                is_local = is_socket || value::is_loopback(content);
            }
            "dbname" => has_database = !content.is_empty(),
            "sslmode" if !TLS_MODES.contains(&content) => {
                return Err("has an sslmode that PostgreSQL does not know");
            }
            "sslmode" => is_verified = content == "verify-full" || content == "verify-ca",
            known if PARAMETERS.contains(&known) => {}
            _ => return Err("has a parameter that is not known here"),
        }
    }
    if !has_database {
        return Err("names no database");
    }
    Ok(is_local || is_verified)
}
