//! Holds the house rules a machine can hold: who may enter which room, how long a file may be,
//! which words and left-overs have no place here. The tables below are the rules to read.
//!
//! Each rule has a test that shows it a violation: a check that cannot fail is a defect. Knows
//! the text of the repository and nothing of what the code does.
#![cfg(test)]

#[path = "tidy/rules.rs"]
mod rules;
#[path = "tidy/source.rs"]
mod source;

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

use rules::{Allowed, Banned, Room};
use source::Source;

use Allowed::{AllBut, Only};

// Who may enter which room. All lines whose `files` begin a file's path hold for it; a room
// that does not exist yet is simply not found.
const ROOMS: &[Room] = &[
    Room {
        files: "src/core",
        rooms: Only(&["core"]),
        crates: Only(&["serde", "backoff"]),
        never: BLIND,
        why: "the core is blind: time is an argument, every answer a value, maps are ordered",
    },
    Room {
        files: "src/psp",
        rooms: Only(&["core", "psp", "wire"]),
        crates: AllBut(NETWORK),
        never: OUTSIDE,
        why: "PSP adapters know only the core and are pure over bytes",
    },
    Room {
        files: "src/shop",
        rooms: Only(&["core", "shop", "wire"]),
        crates: AllBut(NETWORK),
        never: OUTSIDE,
        why: "shop adapters know only the core and are pure over bytes",
    },
    Room {
        files: "src/store",
        rooms: Only(&["core", "store"]),
        crates: AllBut(&[]),
        never: &[],
        why: "the store speaks in domain verbs and knows only the core",
    },
    Room {
        files: "src/engine",
        rooms: Only(&[
            "engine",
            "core",
            "store",
            "psp",
            "shop",
            "telemetry",
            "clock",
            "config",
            "roster",
            "desk",
            "wire",
        ]),
        crates: AllBut(&[]),
        never: &[],
        why: "the one write path calls nobody and is called by work alone",
    },
    Room {
        files: "src/outbound",
        rooms: Only(&["outbound", "core", "wire", "clock", "config", "telemetry"]),
        crates: AllBut(&[]),
        never: &[],
        why: "the HTTP client carries requests and knows neither who asks nor what is kept",
    },
    Room {
        files: "src/http/webhook",
        rooms: AllBut(&["engine"]),
        crates: AllBut(&[]),
        never: &[],
        why: "record, answer, then think: no decision before the 2xx",
    },
    Room {
        files: "src/http/intake",
        rooms: AllBut(&["engine"]),
        crates: AllBut(&[]),
        never: &[],
        why: "record, answer, then think: no decision before the 2xx",
    },
    Room {
        files: "src/key_line",
        rooms: Only(&["key_line"]),
        crates: Only(&["tokio"]),
        never: OUTSIDE,
        why: "the line carries wishes and knows neither who asks nor who fetches",
    },
    Room {
        files: "src/sandbox",
        rooms: AllBut(&["engine", "store", "http", "work"]),
        crates: AllBut(&[]),
        never: &[],
        why: "the sandbox stands for the outside world and must not know our inside",
    },
    Room {
        files: "src/simulation",
        rooms: AllBut(&["app", "cli", "config", "lifecycle"]),
        crates: AllBut(&["hyper", "hyper_util", "reqwest", "sqlx"]),
        never: UNREAL,
        why: "a simulated world has one clock, one network and no chance but its seed's",
    },
];

const BLIND: &[&str] = &[
    "std::collections::HashMap",
    "std::collections::HashSet",
    "std::env",
    "std::fs",
    "std::io",
    "std::net",
    "std::process",
    "std::thread",
    "std::time::Instant",
    "std::time::SystemTime",
];

const UNREAL: &[&str] = &[
    "std::collections::HashMap",
    "std::collections::HashSet",
    "std::env",
    "std::fs",
    "std::net",
    "std::process",
    "std::time::Instant",
    "std::time::SystemTime",
];

const OUTSIDE: &[&str] = &[
    "std::env",
    "std::fs",
    "std::net",
    "std::process",
    "std::thread",
    "std::time::Instant",
    "std::time::SystemTime",
];

const NETWORK: &[&str] = &[
    "axum",
    "hyper",
    "hyper_util",
    "reqwest",
    "sqlx",
    "tokio",
    "tower",
];

// Foreign crates with one home each.
const HOMES: &[(&str, &[&str])] = &[
    ("anyhow", &["src/main.rs", "src/cli", "src/app"]),
    ("backoff", &["src/core/retry."]),
    ("crc", &["src/psp/paypal", "src/sandbox/psp/paypal"]),
    ("reqwest", &["src/outbound"]),
    ("rustls_native_certs", &["src/app"]),
    ("sqlx", &["src/store"]),
];

// Folders whose modules must not know each other, with those that are common to all.
const ADAPTERS: &[(&str, &[&str])] = &[
    (
        "src/psp",
        &["registry", "rules", "json", "inquiry", "report"],
    ),
    ("src/shop", &["registry", "signature"]),
];

const FILE_LINES_MAX: usize = 500;
const FUNCTION_LINES_MAX: usize = 70;

const BANNED: Banned = Banned {
    everywhere: &["manager", "helper", "util", "data", "info"],
    in_types: &["process"],
    exceptions: &[],
};

const MAY_SLEEP: &[(&str, &str)] = &[(
    "tests/it/support/",
    "the one place that asks a foreign process again after a pause, with a limit",
)];

const MIGRATIONS: &[&str] = &["migrations/sqlite", "migrations/postgres"];

// Put together here, or this file would be the first finding.
const FOREIGN: &[&str] = &[concat!("../", "shared")];

const FILES_MIN: usize = 1;

/// What was read, to be borrowed by a `Source`.
struct File {
    path: String,
    text: String,
}

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// All files of the repository, build results and git's own aside.
fn files_below(folder: &str) -> Vec<File> {
    let mut found = Vec::new();
    let mut waiting: Vec<PathBuf> = vec![root().join(folder)];
    while let Some(folder) = waiting.pop() {
        for entry in fs::read_dir(&folder).into_iter().flatten() {
            let entry = entry.expect("a folder that can be listed");
            let kind = entry.file_type().expect("a file with a type");
            let skipped = [".git", "target"]
                .iter()
                .any(|name| entry.file_name() == *name);
            if kind.is_dir() && !skipped {
                waiting.push(entry.path());
            } else if kind.is_file() && !skipped {
                let bytes = fs::read(entry.path()).expect("a readable file");
                let inner = entry.path();
                let inner = inner.strip_prefix(root()).expect("a path below the root");
                let path = inner.to_str().expect("a path in UTF-8").replace('\\', "/");
                let text = String::from_utf8_lossy(&bytes).into_owned();
                found.push(File { path, text });
            }
        }
    }
    found.sort_by(|one, other| one.path.cmp(&other.path));
    found
}

/// Applies a rule to every Rust file below the folders and fails with all it found.
fn hold(folders: &[&str], rule: impl Fn(&Source<'_>) -> Vec<String>) {
    let files: Vec<File> = folders
        .iter()
        .flat_map(|folder| files_below(folder))
        .filter(|file| file.path.ends_with(".rs"))
        .collect();
    assert!(
        files.len() >= FILES_MIN,
        "read {} Rust files in {folders:?}",
        files.len()
    );
    let found = files
        .iter()
        .flat_map(|file| rule(&Source::new(&file.path, &file.text)));
    none(found.collect());
}

fn none(found: Vec<String>) {
    assert!(found.is_empty(), "\n{}\n", found.join("\n"));
}

fn crates() -> BTreeSet<String> {
    let manifest = fs::read_to_string(root().join("Cargo.toml")).expect("a readable Cargo.toml");
    source::dependencies(&manifest)
}

/// How many violations a rule finds in a snippet.
fn caught(path: &str, text: &str, rule: impl Fn(&Source<'_>) -> Vec<String>) -> usize {
    rule(&Source::new(path, text)).len()
}

// The repository as it is.

#[test]
fn the_core_exists() {
    let core = files_below("src")
        .iter()
        .filter(|file| file.path.starts_with("src/core"))
        .count();
    assert!(
        core > 0,
        "no src/core: the rules about the core would hold of nothing"
    );
}

#[test]
fn no_room_enters_a_room_it_must_not_know() {
    let crates = crates();
    hold(&["src"], |source| rules::rooms(source, ROOMS, &crates));
}

#[test]
fn crates_with_a_home_stay_at_home() {
    hold(&["src"], |source| rules::homes(source, HOMES));
}

#[test]
fn adapters_do_not_know_each_other() {
    for (folder, common) in ADAPTERS {
        let files = files_below(folder);
        let modules = files
            .iter()
            .filter_map(|file| rules::module_in(&file.path, folder));
        let modules: BTreeSet<String> = modules.map(str::to_owned).collect();
        hold(&["src"], |source| {
            rules::siblings(source, folder, &modules, common)
        });
    }
}

#[test]
fn every_file_opens_with_what_it_is_for() {
    hold(&["src"], rules::header);
}

#[test]
fn files_and_functions_are_short() {
    hold(&["src"], |source| {
        rules::file_length(source, FILE_LINES_MAX)
    });
    hold(&["src"], |source| {
        rules::function_length(source, FUNCTION_LINES_MAX)
    });
}

#[test]
fn lints_are_expected_with_a_reason_and_never_allowed() {
    hold(&["src", "tests"], rules::lint_exceptions);
}

#[test]
fn names_say_something() {
    hold(&["src", "tests"], |source| rules::names(source, &BANNED));
}

#[test]
fn nothing_is_left_for_later_and_no_test_waits_or_is_skipped() {
    hold(&["src", "tests"], |source| {
        rules::leftovers(source, MAY_SLEEP)
    });
}

#[test]
fn migrations_have_equal_names_on_both_databases_and_say_why() {
    let mut folders = Vec::new();
    for folder in MIGRATIONS
        .iter()
        .filter(|folder| root().join(folder).is_dir())
    {
        let files = files_below(folder).into_iter().map(|File { path, text }| {
            let name = path.trim_start_matches(folder).trim_start_matches('/');
            (name.to_owned(), text)
        });
        folders.push((*folder, files.collect()));
    }
    none(rules::migrations(&folders));
}

#[test]
fn the_project_speaks_of_itself_alone() {
    let files = files_below("");
    assert!(
        files.iter().any(|file| file.path == "Cargo.toml"),
        "the root was not read"
    );
    let found = files
        .iter()
        .flat_map(|file| rules::foreign(&file.path, &file.text, FOREIGN));
    none(found.collect());
}

// Every rule, shown what it must catch and what it must let pass.

fn strangers(path: &str, text: &str) -> usize {
    caught(path, text, |source| rules::rooms(source, ROOMS, &crates()))
}

#[test]
fn the_manifest_is_read() {
    let manifest = "[package]\nname = \"x\"\n[dependencies]\na-b = \"1\"\nc.version = \"1\"\n\
                    [dependencies.d]\nversion = \"1\"\n[dev-dependencies]\ne = \"1\"\n[lints]\nf = 1";
    let names: Vec<String> = source::dependencies(manifest).into_iter().collect();
    assert_eq!(names, ["a_b", "c", "d", "e"]);
    let crates = crates();
    assert!(
        HOMES.iter().all(|(name, _)| crates.contains(*name)),
        "{crates:?}"
    );
    assert!(
        NETWORK.iter().all(|name| crates.contains(*name)),
        "{crates:?}"
    );
}

#[test]
fn a_core_file_that_enters_another_room_is_caught() {
    for text in [
        "use crate::engine::Engine;",
        "use reconciled::engine::Engine;",
        "use crate::{core::money::Money, clock::Clock};",
        "use super::super::store::Store;",
        "fn f() { crate::telemetry::count(); }",
        "mod inner { use super::super::super::store::Store; }",
        "#[cfg(test)] mod tests { use crate::store::Store; }",
    ] {
        assert_eq!(strangers("src/core/money.rs", text), 1, "{text}");
    }
    assert_eq!(strangers("src/core.rs", "use super::engine;"), 1);
}

#[test]
fn a_core_file_that_uses_a_foreign_crate_or_a_clock_is_caught() {
    for text in [
        "use jiff::Timestamp;",
        "use tracing;",
        "use ::tracing::info;",
        "fn f() { ::tracing::info!(); }",
        "#[derive(thiserror::Error)] enum E {}",
        "use std::collections::{BTreeMap, HashMap};",
        "fn f(now: std::time::SystemTime) {}",
        "use std::fs::{self};",
    ] {
        assert_eq!(strangers("src/core/money.rs", text), 1, "{text}");
    }
}

#[test]
fn a_core_file_that_keeps_to_itself_passes() {
    let text = "//! Says `use crate::engine::Engine`.\n\
                use std::collections::BTreeMap;\nuse serde::{Deserialize, Serialize};\n\
                use crate::core::{money::Money as M, time::{self, Time}};\nuse super::payment::*;\n\
                // use crate::store::Store;\n\
                fn f<'a>(s: &'a str) { let _ = (\"crate::store::x\", r#\"sqlx::y\"#, '\"', s); }\n\
                mod inner { use super::super::money::Money; }\n\
                #[cfg(test)] mod tests { use super::*; use proptest::prelude::*; use std::fs; }";
    assert_eq!(strangers("src/core/order.rs", text), 0);
}

#[test]
fn every_line_of_the_table_of_rooms_catches_its_stranger() {
    for (path, text) in [
        ("src/psp.rs", "use crate::store::Store;"),
        ("src/psp/stripe.rs", "use crate::shop::Shop;"),
        ("src/psp/stripe/read.rs", "use tokio::net::TcpStream;"),
        ("src/psp/stripe.rs", "use std::time::Instant;"),
        ("src/shop/generic.rs", "use crate::psp::Psp;"),
        ("src/store/sqlite.rs", "use crate::engine::Engine;"),
        ("src/engine/batch.rs", "use crate::outbound::Client;"),
        ("src/outbound.rs", "use crate::psp::Psp;"),
        ("src/http/webhook.rs", "use crate::engine::Engine;"),
        ("src/http/webhook/mollie.rs", "use crate::{clock, engine};"),
        ("src/http/intake.rs", "fn f() { crate::engine::run() }"),
        ("src/sandbox/world.rs", "use crate::work::inbox;"),
        ("src/simulation/play.rs", "use std::time::Instant;"),
        ("src/simulation.rs", "use crate::cli::simulate;"),
    ] {
        assert_eq!(strangers(path, text), 1, "{path}: {text}");
    }
    assert_eq!(
        strangers("src/work/inbox.rs", "use crate::engine::Engine;"),
        0
    );
    assert_eq!(strangers("src/sandbox.rs", "use crate::psp::Psp;"), 0);
}

#[test]
fn a_crate_away_from_home_is_caught() {
    let away = |path, text| caught(path, text, |source| rules::homes(source, HOMES));
    assert_eq!(
        away("src/core/money.rs", "use backoff::ExponentialBackoff;"),
        1
    );
    assert_eq!(away("src/http.rs", "fn f() { reqwest::Client::new() }"), 1);
    assert_eq!(
        away("src/engine.rs", "#[derive(sqlx::FromRow)] struct A;"),
        1
    );
    assert_eq!(
        away("src/engine.rs", "type Result<T> = anyhow::Result<T>;"),
        1
    );
    assert_eq!(
        away("src/core/retry.rs", "use backoff::ExponentialBackoff;"),
        0
    );
    assert_eq!(away("src/cli/check.rs", "use anyhow::Context;"), 0);
    assert_eq!(away("src/store/sqlite.rs", "use sqlx::{Row, query};"), 0);
}

#[test]
fn an_adapter_that_knows_another_is_caught() {
    let modules = ["stripe", "mollie", "registry"].map(str::to_owned).into();
    let pairs = |path, text| {
        let rule =
            |source: &Source<'_>| rules::siblings(source, "src/psp", &modules, &["registry"]);
        caught(path, text, rule)
    };
    assert_eq!(
        pairs("src/psp/stripe.rs", "use crate::psp::mollie::Payment;"),
        1
    );
    assert_eq!(
        pairs("src/psp/stripe/read.rs", "use super::super::mollie;"),
        1
    );
    assert_eq!(
        pairs("src/psp/stripe.rs", "use crate::psp::{Psp, stripe::read};"),
        0
    );
    assert_eq!(
        pairs("src/psp/registry.rs", "use crate::psp::{mollie, stripe};"),
        0
    );
    assert_eq!(pairs("src/app.rs", "use crate::psp::{mollie, stripe};"), 0);
}

#[test]
fn a_file_without_its_two_header_lines_is_caught() {
    assert_eq!(
        caught("src/a.rs", "//! For one.\nfn f() {}", rules::header),
        1
    );
    assert_eq!(
        caught("src/a.rs", "\n//! For one.\n//! Not two.", rules::header),
        1
    );
    assert_eq!(
        caught("src/a.rs", "//! For one.\n//! Not two.", rules::header),
        0
    );
}

#[test]
fn a_long_file_is_caught_and_its_tests_do_not_count() {
    let lines = |path, text: &str| caught(path, text, |source| rules::file_length(source, 3));
    let tests = "#[cfg(test)]\nmod tests {\n\n\n}\n";
    let after_tests = format!("{tests}fn f() {{}}\n");
    assert_eq!(lines("src/a.rs", "fn a() {}\n\n\nfn b() {}\n"), 1);
    assert_eq!(lines("src/a.rs", &after_tests), 1);
    assert_eq!(lines("src/a.rs", &format!("fn a() {{}}\n\n\n{tests}")), 0);
    assert_eq!(lines("tests/a.rs", "fn a() {}\n\n\nfn b() {}\n"), 0);
}

#[test]
fn a_long_function_is_caught_outside_tests() {
    let lines = |text: &str| caught("src/a.rs", text, |source| rules::function_length(source, 3));
    assert_eq!(lines("fn a(x: [u8; 2]) {\n\n\n}\n"), 1);
    assert_eq!(lines("impl A { fn a() {\n let f: fn() = b;\n\n}\n}"), 1);
    assert_eq!(lines("trait A {\n fn a();\n\n fn b() {\n }\n}"), 0);
    assert_eq!(lines("#[test]\nfn a() {\n\n\n}\n"), 0);
    assert_eq!(lines("#[cfg(test)]\nmod tests {\n fn a() {\n\n\n}\n}"), 0);
}

#[test]
fn an_allowed_lint_or_one_expected_without_reason_is_caught() {
    let lints = |text| caught("src/a.rs", text, rules::lint_exceptions);
    assert_eq!(lints("#[allow(dead_code)] fn f() {}"), 1);
    assert_eq!(lints("#![allow(dead_code)]"), 1);
    assert_eq!(lints("#[cfg_attr(test, allow(dead_code))] fn f() {}"), 1);
    assert_eq!(lints("#[expect(dead_code)] fn f() {}"), 1);
    assert_eq!(
        lints("#[expect(dead_code, reason = \"later\")] fn f() { a.expect(\"b\") }"),
        0
    );
    assert_eq!(
        lints("#[doc = \"#[allow(dead_code)]\"] fn f() { allow(1) }"),
        0
    );
}

#[test]
fn a_name_that_says_nothing_is_caught() {
    let named = |path, text| caught(path, text, |source| rules::names(source, &BANNED));
    assert_eq!(named("src/a.rs", "struct PaymentManager;"), 1);
    assert_eq!(named("src/a.rs", "fn raw_data() {}"), 1);
    assert_eq!(named("src/a.rs", "mod test_helpers;"), 1);
    assert_eq!(named("src/a.rs", "enum RefundProcess {}"), 1);
    assert_eq!(named("src/store/utils.rs", ""), 1);
    assert_eq!(named("tests/it/http-info/a.rs", ""), 1);
    assert_eq!(
        named(
            "src/a.rs",
            "fn process() { info!(); let data = metadata(); }"
        ),
        0
    );
    assert_eq!(named("src/a.rs", "#[test] fn old_data_is_kept() {}"), 0);
    let kept = Banned {
        exceptions: &[("raw_data", "a trait's name")],
        ..BANNED
    };
    assert_eq!(
        caught("src/a.rs", "fn raw_data() {}", |source| rules::names(
            source, &kept
        )),
        0
    );
}

#[test]
fn work_left_for_later_is_caught() {
    let left = |path, text| caught(path, text, |source| rules::leftovers(source, MAY_SLEEP));
    for text in [
        "fn f() { todo!() }",
        "fn f() { unimplemented!(\"x\") }",
        "fn f() { dbg!(1); }",
        concat!("// TO", "DO: later"),
        concat!("/* a /* FIX", "ME */ b */"),
        "#[cfg(test)] mod tests { fn f() { std::thread::sleep(d) } }",
        "#[test] #[ignore] fn f() {}",
        "#[test] #[ignore = \"slow\"] fn f() {}",
        "#[test] #[should_panic(expected = \"x\")] fn f() {}",
    ] {
        assert_eq!(left("src/a.rs", text), 1, "{text}");
    }
    assert_eq!(
        left("tests/it/main.rs", "fn f() { tokio::time::sleep(d).await }"),
        1
    );
    assert_eq!(
        left("tests/it/support/wait.rs", "fn f() { sleep(d).await }"),
        0
    );
    assert_eq!(
        left(
            "src/work.rs",
            "fn f() { sleep(d).await; let todo = \"todo!()\"; }"
        ),
        0
    );
}

#[test]
fn a_migration_without_its_pair_its_name_or_its_reason_is_caught() {
    let file = |name: &str, text: &str| (name.to_owned(), text.to_owned());
    let good = || {
        file(
            "0001_create_inbox.sql",
            "-- Deliveries wait here.\nCREATE …",
        )
    };
    let found = |left, right| rules::migrations(&[("l", left), ("r", right)]).len();
    assert_eq!(found(vec![good()], vec![good()]), 0);
    assert_eq!(found(vec![good()], vec![]), 1);
    assert_eq!(found(vec![], vec![good()]), 1);
    let second = file("0002_add_note_since_0001.sql", "-- Older programs go on.\n");
    let both = || vec![good(), second.clone()];
    assert_eq!(found(both(), both()), 0);
    for (name, text) in [
        ("0002_create_inbox.sql", "-- Counts from two.\n"),
        ("1_create_inbox.sql", "-- Four digits it.\n"),
        ("0001_inbox.sql", "-- Has no verb.\n"),
        ("0001_create_Inbox.sql", "-- Has a capital.\n"),
        ("0001_create_inbox.txt", "-- Is no SQL.\n"),
        (
            "0001_create_inbox_since_0001.sql",
            "-- Not before itself.\n",
        ),
        ("0001_create_inbox_since_1.sql", "-- Four digits it.\n"),
        ("0001_create_inbox.sql", "CREATE TABLE inbox;"),
        ("0001_create_inbox.sql", "--\nCREATE TABLE inbox;"),
    ] {
        assert_eq!(
            rules::migrations(&[("l", vec![file(name, text)])]).len(),
            1,
            "{name}: {text}"
        );
    }
}

#[test]
fn a_pointer_outside_the_project_is_caught() {
    let text = format!("see\n{}/A.md", FOREIGN[0]);
    assert_eq!(
        rules::foreign("README.md", &text, FOREIGN),
        ["README.md:2: points outside the project"]
    );
    assert!(rules::foreign("README.md", "a shared pool", FOREIGN).is_empty());
}
