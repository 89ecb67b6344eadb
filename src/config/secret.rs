//! Secrets and where they come from: systemd credentials, files, the environment, the file itself.
//!
//! The only reader of the environment. A secret leaves here as a `Secret`, which remembers its
//! origin and shows nothing else; no message of this room quotes one.

use super::problem::Code;
use super::source::{Findings, Raised};
use super::table::{Field, Section, looks_secret, quoted};
use super::vocabulary;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use secrecy::{ExposeSecret, SecretString};
use sha2::{Digest, Sha256};
use std::ffi::OsString;
use std::fmt;
use std::fs::File;
use std::io::{self, Read};
use std::path::{Path, PathBuf};

/// Largest secret, in bytes.
const SECRET_BYTES_MAX: u64 = 4_096;
/// Shortest key, in bytes: HMAC would take any, even none.
const KEY_BYTES_MIN: usize = 16;
/// What Standard Webhooks asks of the bytes behind `whsec_`.
const WEBHOOK_KEY_BYTES: std::ops::RangeInclusive<usize> = 24..=64;
/// Longest name of a credential, in bytes, as systemd has it.
const CREDENTIAL_NAME_BYTES_MAX: usize = 255;

/// What a secret may be written as.
pub(super) const SOURCES: &str = "{ credential = \"name\" }, { file = \"/path\" }, \
    { env = \"NAME\" } or { value = \"…\" }";

type Variable = Box<dyn Fn(&str) -> Option<OsString> + Send + Sync>;

/// What the configuration may ask of the machine beside its own text: environment variables.
/// Files are read where the configuration points.
pub struct Surroundings {
    variable: Variable,
}

impl Surroundings {
    /// The environment of this process.
    #[expect(
        clippy::disallowed_methods,
        reason = "this is the one home of the environment"
    )]
    pub fn of_process() -> Surroundings {
        Surroundings::with(|name| std::env::var_os(name))
    }

    /// A variable's text; none when it is not set or not UTF-8.
    pub fn text(&self, name: &str) -> Option<String> {
        (self.variable)(name).and_then(|value| value.into_string().ok())
    }

    /// An environment of one's own.
    pub fn with(
        variable: impl Fn(&str) -> Option<OsString> + Send + Sync + 'static,
    ) -> Surroundings {
        Surroundings {
            variable: Box::new(variable),
        }
    }
}

impl fmt::Debug for Surroundings {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Surroundings")
    }
}

/// Where a secret came from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Origin {
    /// The systemd credential of that name.
    Credential(String),
    /// That file.
    File(PathBuf),
    /// That environment variable.
    Env(String),
    /// The configuration file itself.
    Value,
}

impl fmt::Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Origin::Credential(name) => write!(f, "credential {name}"),
            Origin::File(path) => write!(f, "file {}", path.display()),
            Origin::Env(name) => write!(f, "env {name}"),
            Origin::Value => f.write_str("the configuration file"),
        }
    }
}

/// A secret that says where it came from and nothing else.
#[derive(Clone)]
pub struct Secret {
    value: SecretString,
    origin: Origin,
}

impl Secret {
    /// The secret itself, still wrapped.
    pub fn value(&self) -> &SecretString {
        &self.value
    }

    /// Where it came from.
    pub fn origin(&self) -> &Origin {
        &self.origin
    }

    /// Its SHA-256, to tell equal secrets without comparing them byte by byte.
    pub(super) fn digest(&self) -> [u8; 32] {
        Sha256::digest(self.value.expose_secret().as_bytes()).into()
    }
}

impl fmt::Display for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "set (from {})", self.origin)
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// What was in a file, and who else may read it.
pub(super) struct FileContent {
    pub(super) bytes: Vec<u8>,
    pub(super) is_open_to_group: bool,
    pub(super) is_open_to_others: bool,
}

/// Reads a file of at most `max` bytes; a longer one is an error of kind `FileTooLarge`.
pub(super) fn read_file(path: &Path, max: u64) -> io::Result<FileContent> {
    let file = File::open(path)?;
    let metadata = file.metadata()?;
    if metadata.is_dir() {
        return Err(io::ErrorKind::IsADirectory.into());
    }
    let mut bytes = Vec::new();
    file.take(max.saturating_add(1)).read_to_end(&mut bytes)?;
    if u64::try_from(bytes.len()).is_ok_and(|length| length > max) {
        return Err(io::ErrorKind::FileTooLarge.into());
    }
    let mode = std::os::unix::fs::PermissionsExt::mode(&metadata.permissions());
    Ok(FileContent {
        bytes,
        is_open_to_group: mode & 0o040 != 0,
        is_open_to_others: mode & 0o004 != 0,
    })
}

/// What is wrong with a secret, in words that follow "the secret of `key`"; never quotes it.
pub(super) type Shape = fn(&str) -> Result<(), &'static str>;

/// Reads the secret of a field from wherever the field says, and checks its shape.
pub(super) fn secret(
    field: &Field<'_>,
    shape: Shape,
    surroundings: &Surroundings,
    out: &mut Findings<'_>,
) -> Option<Secret> {
    let (text, origin) = fetch(field, surroundings, out)?;
    let trimmed = text.expose_secret().trim();
    if let Err(why) = shape(trimmed) {
        let message = format!("the secret of `{}` (from {origin}) {why}", field.label);
        out.raise(Raised::new(Code::BadSecret, field.at(), message));
        return None;
    }
    Some(Secret {
        value: SecretString::from(trimmed),
        origin,
    })
}

fn fetch(
    field: &Field<'_>,
    surroundings: &Surroundings,
    out: &mut Findings<'_>,
) -> Option<(SecretString, Origin)> {
    let Some(table) = field.value.get_ref().as_table() else {
        field.wrong_type(SOURCES, false, out);
        return None;
    };
    let title = format!("`{}`", field.label);
    let section = Section::open(field, title, &[vocabulary::SECRET], out)?;
    let given: Vec<&str> = vocabulary::SECRET
        .iter()
        .copied()
        .filter(|key| section.field(key).is_some())
        .collect();
    let [key] = given.as_slice() else {
        // An unknown key alone has been reported already.
        if !given.is_empty() || table.is_empty() {
            let why = format!("names {} sources for one secret", given.len());
            out.raise(field.refusal(Code::BadSecretSource, &why).accepted(SOURCES));
        }
        return None;
    };
    let source = section.field(key)?;
    match *key {
        "credential" => from_credential(&source, surroundings, out),
        "file" => from_file(&source, out),
        "env" => from_env(&source, surroundings, out),
        _ => from_value(&source, out),
    }
}

/// The text of a source's name; refused when it looks like the secret itself.
fn source_name<'a>(
    source: &Field<'a>,
    accepted: &str,
    is_name: fn(&str) -> bool,
    out: &mut Findings<'_>,
) -> Option<&'a str> {
    let text = source.text(accepted, out)?;
    if is_name(text) && !looks_secret(text) {
        return Some(text);
    }
    let raised = source.refusal(Code::BadSecretSource, &format!("is {}", quoted(text)));
    out.raise(raised.accepted(accepted));
    None
}

fn unavailable(source: &Field<'_>, why: String, hint: Option<&str>, out: &mut Findings<'_>) {
    let raised = Raised::new(Code::SecretUnavailable, source.at(), why);
    out.raise(raised.hint(hint.map(str::to_owned)));
}

fn from_credential(
    source: &Field<'_>,
    surroundings: &Surroundings,
    out: &mut Findings<'_>,
) -> Option<(SecretString, Origin)> {
    let is_name = |name: &str| {
        let fits = |byte: u8| byte.is_ascii_alphanumeric() || b"._-".contains(&byte);
        !name.starts_with('.')
            && (1..=CREDENTIAL_NAME_BYTES_MAX).contains(&name.len())
            && name.bytes().all(fits)
    };
    let accepted = "the plain name of a systemd credential: letters, digits, `.`, `_`, `-`";
    let name = source_name(source, accepted, is_name, out)?;
    let Some(folder) = (surroundings.variable)("CREDENTIALS_DIRECTORY") else {
        let why = format!("credential `{name}` cannot be read: $CREDENTIALS_DIRECTORY is not set");
        let hint = "systemd sets it for units with LoadCredential=; from a shell, set it to the \
            folder that holds the credentials";
        unavailable(source, why, Some(hint), out);
        return None;
    };
    let content = read_file(&Path::new(&folder).join(name), SECRET_BYTES_MAX);
    let content = content.map_err(|error| {
        let why = format!("credential `{name}` cannot be read: {}", plain(&error));
        let hint = "the unit needs a line LoadCredential= for it";
        unavailable(source, why, Some(hint), out);
    });
    let bytes = content.ok()?.bytes;
    let text = utf8(source, bytes, out)?;
    Some((text, Origin::Credential(name.to_owned())))
}

fn from_file(source: &Field<'_>, out: &mut Findings<'_>) -> Option<(SecretString, Origin)> {
    let is_path = |path: &str| path.starts_with('/') && !path.contains('\0');
    let path = source_name(source, "an absolute path", is_path, out)?;
    let content = match read_file(Path::new(path), SECRET_BYTES_MAX) {
        Ok(content) => content,
        Err(error) => {
            let why = format!("file {} cannot be read: {}", quoted(path), plain(&error));
            unavailable(source, why, None, out);
            return None;
        }
    };
    if content.is_open_to_others {
        let message = format!("everyone on this machine can read {}", quoted(path));
        let raised = Raised::new(Code::ExposedSecretFile, source.at(), message);
        out.raise(raised.hint(Some("chmod o-rwx".to_owned())));
    }
    let text = utf8(source, content.bytes, out)?;
    Some((text, Origin::File(PathBuf::from(path))))
}

fn from_env(
    source: &Field<'_>,
    surroundings: &Surroundings,
    out: &mut Findings<'_>,
) -> Option<(SecretString, Origin)> {
    let is_name = |name: &str| {
        let fits = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'_';
        (1..=256).contains(&name.len()) && name.bytes().all(fits)
    };
    let accepted = "the name of an environment variable: letters, digits, `_`";
    let name = source_name(source, accepted, is_name, out)?;
    let Some(value) = (surroundings.variable)(name) else {
        let why = format!("environment variable `{name}` is not set");
        unavailable(source, why, None, out);
        return None;
    };
    let text = utf8(source, value.into_encoded_bytes(), out)?;
    Some((text, Origin::Env(name.to_owned())))
}

fn from_value(source: &Field<'_>, out: &mut Findings<'_>) -> Option<(SecretString, Origin)> {
    let Some(text) = source.value.get_ref().as_str() else {
        source.wrong_type("a string", false, out);
        return None;
    };
    if !out.is_private {
        let message = "a secret stands in this file, which its group or others can read";
        let raised = Raised::new(Code::ExposedSecret, source.at(), message);
        let accepted = "{ credential = \"name\" }, { file = \"/path\" } or { env = \"NAME\" }";
        let hint = Some("or chmod 600 the file".to_owned());
        out.raise(raised.accepted(accepted).hint(hint));
        return None;
    }
    Some((SecretString::from(text), Origin::Value))
}

fn utf8(source: &Field<'_>, bytes: Vec<u8>, out: &mut Findings<'_>) -> Option<SecretString> {
    let text = String::from_utf8(bytes).ok().map(SecretString::from);
    if text.is_none() {
        let why = format!("what `{}` names is not UTF-8 text", source.label);
        unavailable(source, why, None, out);
    }
    text
}

/// An I/O error in words that do not depend on the machine.
pub(super) fn plain(error: &io::Error) -> String {
    let words = [
        (io::ErrorKind::NotFound, "no such file"),
        (io::ErrorKind::PermissionDenied, "permission denied"),
        (io::ErrorKind::IsADirectory, "it is a directory"),
        (io::ErrorKind::FileTooLarge, "it is too large"),
    ];
    let known = words.iter().find(|(kind, _)| *kind == error.kind());
    known.map_or_else(|| error.kind().to_string(), |(_, word)| (*word).to_owned())
}

/// A token or key: 16 to 4096 printable ASCII characters without a space, so that it can stand
/// in a header.
pub(super) fn key_shape(text: &str) -> Result<(), &'static str> {
    if text.is_empty() {
        Err("is empty")
    } else if text.len() < KEY_BYTES_MIN {
        Err("is shorter than 16 bytes")
    } else if u64::try_from(text.len()).map_or(true, |length| length > SECRET_BYTES_MAX) {
        Err("is longer than 4096 bytes")
    } else if !text.bytes().all(|byte| byte.is_ascii_graphic()) {
        Err("holds a space or another character that keys do not have")
    } else {
        Ok(())
    }
}

/// A Standard Webhooks secret: `whsec_` and the Base64 of 24 to 64 bytes.
pub(super) fn webhook_shape(text: &str) -> Result<(), &'static str> {
    key_shape(text)?;
    let encoded = text
        .strip_prefix("whsec_")
        .ok_or("does not begin with `whsec_`")?;
    let key = STANDARD
        .decode(encoded)
        .map_err(|_| "is not `whsec_` and standard Base64 with its padding")?;
    if WEBHOOK_KEY_BYTES.contains(&key.len()) {
        Ok(())
    } else {
        Err("does not hold 24 to 64 bytes behind `whsec_`")
    }
}

#[cfg(test)]
mod tests;
