//! The configuration: one TOML file, read into checked values, with all its problems at once.
//!
//! Nothing here knows the store, the network or an adapter; whoever holds a `Config` holds values
//! that need no second check. What each key means stands in docs/configuration.md.

pub mod check;
mod cross;
mod policies;
pub mod problem;
pub mod psp;
mod secret;
mod server;
pub mod shop;
mod source;
mod store;
mod table;
mod value;
mod vocabulary;

pub use policies::OtherPolicies;
pub use problem::{Code, ConfigErrors, Place, Problem, Severity};
pub use psp::{
    AccountConfig, PspKind, adyen::AdyenConfig, mollie::MollieConfig, paypal::PaypalConfig,
    stripe::StripeConfig,
};
pub use secret::{Origin, Secret, Surroundings};
pub use server::{Retention, Server, TokenConfig};
pub use shop::{ShopConfig, ShopKind};
pub use store::{PostgresConfig, StoreConfig};
pub use value::{Endpoint, Listen};

use crate::core::ids::{AccountId, ShopId};
use source::{Findings, Raised};
use std::collections::BTreeMap;
use std::path::Path;
use table::Section;
use toml::Spanned;
use toml::de::DeTable;

/// Largest configuration file, in bytes: thousands of shops fit.
pub const FILE_BYTES_MAX: u64 = 1024 * 1024;
/// A checked configuration.
#[derive(Clone, Debug)]
pub struct Config {
    /// Where the listeners listen.
    pub server: Server,
    /// Where everything is kept.
    pub store: StoreConfig,
    /// How long what is done is kept.
    pub retention: Retention,
    /// Who may use the admin listener.
    pub admin_tokens: Vec<TokenConfig>,
    /// The shops by key.
    pub shops: BTreeMap<ShopId, ShopConfig>,
    /// The PSP accounts by key; each names a shop that is there.
    pub accounts: BTreeMap<AccountId, AccountConfig>,
    /// What would run but is probably not meant, and notes.
    pub warnings: Vec<Problem>,
}

impl Config {
    /// Reads and checks a file.
    pub fn load(path: &Path, surroundings: &Surroundings) -> Result<Config, ConfigErrors> {
        let (shown, content) = read_whole(path)?;
        let is_private = !content.is_open_to_group && !content.is_open_to_others;
        Config::parse(&shown, &content.bytes, is_private, surroundings)
    }

    /// Checks the bytes of a file that is called `file`; `is_private` says that nobody but its
    /// owner can read it, so that secrets may stand in it.
    pub fn parse(
        file: &str,
        bytes: &[u8],
        is_private: bool,
        surroundings: &Surroundings,
    ) -> Result<Config, ConfigErrors> {
        let text = utf8(file, bytes)?;
        let mut out = Findings::new(file, text, is_private);
        let read = read_text(text, surroundings, &mut out);
        let warnings = out.finish()?;
        let Some(config) = read else {
            // Reached only if a reader refused without saying why.
            let why = "the file cannot be used".to_owned();
            return Err(ConfigErrors::whole_file(Code::UnreadableFile, file, why));
        };
        Ok(Config { warnings, ..config })
    }

    /// A fingerprint of what the configuration means: equal for files that differ only in
    /// comments, order, spelled-out defaults or the content of secrets. 64 hexadecimal digits.
    pub fn fingerprint(&self) -> String {
        check::fingerprint(self)
    }
}

/// A file's name as it is shown, and its bytes.
fn read_whole(path: &Path) -> Result<(String, secret::FileContent), ConfigErrors> {
    let shown = path.display().to_string();
    match secret::read_file(path, FILE_BYTES_MAX) {
        Ok(content) => Ok((shown, content)),
        Err(error) if error.kind() == std::io::ErrorKind::FileTooLarge => {
            let why = format!("the file is larger than {FILE_BYTES_MAX} bytes");
            Err(ConfigErrors::whole_file(Code::FileTooLarge, &shown, why))
        }
        Err(error) => {
            let why = format!("the file cannot be read: {}", secret::plain(&error));
            Err(ConfigErrors::whole_file(Code::UnreadableFile, &shown, why))
        }
    }
}

fn utf8<'a>(file: &str, bytes: &'a [u8]) -> Result<&'a str, ConfigErrors> {
    std::str::from_utf8(bytes).map_err(|error| {
        let valid = bytes.get(..error.valid_up_to()).unwrap_or_default();
        let newlines = valid.iter().filter(|byte| **byte == b'\n').count();
        let line = newlines.saturating_add(1);
        let why = format!("the file is not UTF-8: a wrong byte in line {line}");
        ConfigErrors::whole_file(Code::NotUtf8, file, why)
    })
}

/// The parsed file, or the problem of its syntax.
fn parse_table<'a>(text: &'a str, out: &mut Findings<'_>) -> Option<Spanned<DeTable<'a>>> {
    match DeTable::parse(text) {
        Ok(document) => Some(document),
        Err(error) => {
            let at = error.span().unwrap_or(text.len()..text.len());
            let message = format!("not TOML: {}", error.message());
            out.raise(Raised::new(Code::Syntax, at, message));
            None
        }
    }
}

fn read_text(text: &str, surroundings: &Surroundings, out: &mut Findings<'_>) -> Option<Config> {
    let document = parse_table(text, out)?;
    let table = document.get_ref();
    out.survey(table);
    let root = Section::root(table, out);
    let (server, store, retention) = (
        server::read_server(&root, out),
        store::read(&root, surroundings, out),
        server::read_retention(&root, out),
    );
    let admin_tokens = server::read_tokens(&root, surroundings, out);
    let entries = |key: &str, out: &mut Findings<'_>| {
        let field = root.field(key);
        field.map_or_else(Vec::new, |field| field.entries(out))
    };
    let shop_fields = entries("shop", out);
    let account_fields = entries("psp", out);
    let shop_keys: Vec<&str> = shop_fields.iter().map(|(name, _)| *name).collect();
    let shops: Vec<shop::Placed> = shop_fields
        .iter()
        .filter_map(|(name, field)| shop::read(name, field, surroundings, out))
        .collect();
    let accounts: Vec<psp::Placed> = account_fields
        .iter()
        .filter_map(|(name, field)| psp::read(name, field, &shop_keys, surroundings, out))
        .collect();
    // A reader that gives nothing has said why; nothing may be missing in silence.
    if shops.len() != shop_fields.len() || accounts.len() != account_fields.len() {
        return None;
    }
    let accounts = cross::check(&shops, accounts, retention, out);
    let shops = shops.into_iter().map(|placed| (placed.id, placed.shop));
    let accounts = accounts
        .into_iter()
        .map(|placed| (placed.id, placed.account));
    Some(Config {
        server: server?,
        store: store?,
        retention,
        admin_tokens,
        shops: shops.collect(),
        accounts: accounts.collect(),
        warnings: Vec::new(),
    })
}

#[cfg(test)]
mod tests;
