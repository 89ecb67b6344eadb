//! The whole loader: the world the fixtures stand in, and every fixture with its exact text beside
//! it. What is accepted, what files do and what noise does have their own files below.
//!
//! Fixtures carry the word `pasted` wherever a secret stands; no output may ever hold it.

mod accepted;
mod files;
mod mollie;
mod noise;
mod postgres;

use super::*;
use std::collections::BTreeSet;
use std::ffi::OsString;
use std::fs;
use std::os::unix::ffi::OsStringExt;
use std::path::PathBuf;
use tempfile::TempDir;

/// A made-up Standard Webhooks secret: `letter` 40 times is Base64 of 30 bytes.
fn whsec(letter: &str) -> String {
    format!("whsec_{}", letter.repeat(40))
}

/// A made-up API key with the prefix of a real one.
fn api_key(prefix: &str, letter: &str) -> String {
    format!("{prefix}_{}", letter.repeat(24))
}

struct World {
    surroundings: Surroundings,
    _credentials: TempDir,
    secrets: Vec<String>,
}

fn world() -> World {
    let credentials = tempfile::tempdir().unwrap();
    let files = [
        ("oncall_token", "pasted-token-of-oncall".to_owned()),
        ("klompen_secret", whsec("k")),
        ("klompen_secret_old", whsec("o")),
        ("stripe_whsec", whsec("s")),
        ("stripe_whsec_old", whsec("t")),
        ("paypal_secret", "pasted-secret-of-paypal".to_owned()),
        ("database_password", "pasted &?=%/é".to_owned()),
    ];
    for (name, secret) in &files {
        fs::write(credentials.path().join(name), format!("{secret}\n")).unwrap();
    }
    let mut variables: Vec<(&str, OsString)> = [
        ("STRIPE_API_KEY", api_key("sk_live", "a")),
        ("STRIPE_API_KEY_BE", api_key("rk_live", "b")),
        ("STRIPE_API_KEY_DE", api_key("sk_live", "d")),
        ("STRIPE_TEST_KEY", api_key("sk_test", "c")),
        ("PUBLISHABLE_KEY", api_key("pk_live", "p")),
        ("MOLLIE_API_KEY", api_key("live", "m")),
        ("MOLLIE_TEST_KEY", api_key("test", "n")),
        ("MOLLIE_ACCESS_TOKEN", api_key("access", "x")),
        ("MOLLIE_WEBHOOK_SECRET", "pastedMollieSecret".repeat(2)),
        (
            "DASHBOARD_TOKEN",
            " pasted-token-of-dashboard \n".to_owned(),
        ),
        ("SHORT", "pasted".to_owned()),
        ("SPACED", "pasted pasted pasted pasted".to_owned()),
        ("EMPTY", " \n".to_owned()),
        (
            "SHORT_WEBHOOK_KEY",
            "whsec_pastedpastedpastedpasted".to_owned(),
        ),
        (
            "UNPADDED_WEBHOOK_KEY",
            format!("whsec_{}", "pasted".repeat(7)),
        ),
        ("ENDLESS", "pasted".repeat(700)),
        ("ADYEN_HMAC_KEY", "0123456789abcdef".repeat(4)),
        ("ADYEN_HMAC_KEY_OLD", "FEDCBA9876543210".repeat(4)),
    ]
    .map(|(name, secret)| (name, OsString::from(secret)))
    .to_vec();
    let texts = variables.iter().map(|(_, value)| value.to_str().unwrap());
    let mut secrets: Vec<String> = texts.map(|text| text.trim().to_owned()).collect();
    secrets.extend(files.map(|(_, secret)| secret));
    secrets.retain(|secret| !secret.is_empty());
    variables.push(("NOT_UTF8", OsString::from_vec(vec![0xff; 20])));
    variables.push(("CREDENTIALS_DIRECTORY", credentials.path().into()));
    let find = move |name: &str| {
        let found = variables.iter().find(|(known, _)| *known == name);
        found.map(|(_, value)| value.clone())
    };
    World {
        surroundings: Surroundings::with(find),
        _credentials: credentials,
        secrets,
    }
}

fn fixtures(folder: &str) -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR"))
        .join("fixtures/config")
        .join(folder)
}

fn fixture(name: &str) -> String {
    fs::read_to_string(fixtures("").join(name)).unwrap()
}

fn accept(name: &str, world: &World) -> Config {
    let text = fixture(name);
    let read = Config::parse(name, text.as_bytes(), false, &world.surroundings);
    read.unwrap_or_else(|errors| panic!("{errors}"))
}

fn assert_keeps_secrets(output: &str, world: &World) {
    assert!(!output.contains("pasted"), "a secret shows:\n{output}");
    for secret in &world.secrets {
        assert!(!output.contains(secret), "a secret shows:\n{output}");
    }
}

/// Runs every fixture of a folder and compares with the text beside it.
fn compare_all(folder: &str, output: fn(Result<Config, ConfigErrors>) -> String) -> usize {
    let world = world();
    let mut failures = Vec::new();
    let mut names = Vec::new();
    for entry in fs::read_dir(fixtures(folder)).unwrap() {
        let path = entry.unwrap().path();
        if path.extension().is_none_or(|extension| extension != "toml") {
            continue;
        }
        let name = path.file_name().unwrap().to_str().unwrap();
        names.push(name.to_owned());
        let bytes = fs::read(&path).unwrap();
        let actual = output(Config::parse(name, &bytes, false, &world.surroundings));
        assert_keeps_secrets(&actual, &world);
        let beside = path.with_extension("txt");
        let expected = fs::read_to_string(&beside).unwrap_or_default();
        if expected.trim_end() != actual {
            failures.push(format!("{} should hold:\n{actual}\n", beside.display()));
        }
    }
    assert!(failures.is_empty(), "{}", failures.join("\n"));
    names.len()
}

fn refused(read: Result<Config, ConfigErrors>) -> String {
    match read {
        Ok(_) => "accepted".to_owned(),
        Err(errors) => errors.to_string(),
    }
}

fn remarks(read: Result<Config, ConfigErrors>) -> String {
    let config = read.unwrap_or_else(|errors| panic!("{errors}"));
    let remarks: Vec<String> = config.warnings.iter().map(Problem::to_string).collect();
    remarks.join("\n\n")
}

#[test]
fn every_refused_file_says_exactly_what_stands_beside_it() {
    assert!(compare_all("bad", refused) >= 32);
}

#[test]
fn every_remarked_file_says_exactly_what_stands_beside_it() {
    assert!(compare_all("remarked", remarks) >= 5);
}

#[test]
fn every_code_is_shown_by_a_fixture() {
    let mut seen: BTreeSet<Code> = BTreeSet::new();
    for folder in ["bad", "remarked"] {
        for entry in fs::read_dir(fixtures(folder)).unwrap() {
            let path = entry.unwrap().path();
            if path.extension().is_some_and(|extension| extension == "txt") {
                let toml = path.with_extension("toml");
                assert!(toml.exists(), "{} belongs to no fixture", path.display());
                let text = fs::read_to_string(path).unwrap();
                seen.extend(Code::ALL.iter().copied().filter(|code| {
                    text.contains(&format!("{}[{}]:", code.severity().word(), code.word()))
                }));
            }
        }
    }
    // These need a file that cannot be a fixture; each has a test of its own below.
    let elsewhere = [
        Code::UnreadableFile,
        Code::FileTooLarge,
        Code::NotUtf8,
        Code::ExposedSecretFile,
    ];
    let missing: Vec<&Code> = Code::ALL
        .iter()
        .filter(|code| !seen.contains(code) && !elsewhere.contains(code))
        .collect();
    assert_eq!(missing, Vec::<&Code>::new());
}
