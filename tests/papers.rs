//! The papers tell the truth: links resolve, tables hold what the code holds, examples work.
//!
//! Reads Markdown and sources as text and asks the library for its lists. Knows no behaviour;
//! that is tested where it lives. A failure prints the rows that are missing.
#![cfg(test)]

use reconciled::core::plan::{Reason, Verdict};
use reconciled::core::time::Time;
use reconciled::http::{admin, problem};
use reconciled::sandbox::psp::KINDS;
use reconciled::shop::signature::Keys;
use reconciled::wire::{Headers, Verification};
use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};

fn root() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR"))
}

fn text(path: &str) -> String {
    fs::read_to_string(root().join(path)).unwrap_or_else(|error| panic!("{path}: {error}"))
}

/// All files below a folder whose names end so, as paths from the root.
fn files(folder: &str, end: &str) -> Vec<String> {
    let mut found = Vec::new();
    let mut open = vec![root().join(folder)];
    while let Some(folder) = open.pop() {
        for entry in fs::read_dir(&folder).into_iter().flatten().flatten() {
            let path = entry.path();
            let name = entry.file_name().into_string().unwrap();
            if path.is_dir() && name != "target" && !name.starts_with('.') {
                open.push(path);
            } else if name.ends_with(end) {
                let path = path.strip_prefix(root()).unwrap();
                found.push(path.to_str().unwrap().to_owned());
            }
        }
    }
    found.sort();
    found
}

/// The lines of a text that are no code.
fn prose(text: &str) -> impl Iterator<Item = &str> {
    let mut is_code = false;
    text.lines().filter(move |line| {
        let is_fence = line.trim_start().starts_with("```");
        is_code ^= is_fence;
        !is_code && !is_fence
    })
}

/// Everything below a heading, up to the next one as high.
fn section<'a>(text: &'a str, heading: &str) -> &'a str {
    let below = text.split_once(&format!("\n{heading}\n"));
    let (_, rest) = below.unwrap_or_else(|| panic!("no {heading}"));
    let level = heading.split(' ').next().unwrap();
    rest.split(&format!("\n{level} ")).next().unwrap()
}

/// The cells of every row of every table.
fn rows(text: &str) -> Vec<Vec<String>> {
    let row = |line: &str| {
        let inner = line.strip_prefix("| ")?.strip_suffix(" |")?;
        let cells = inner.split(" | ").map(|cell| cell.trim().to_owned());
        Some(cells.collect::<Vec<_>>()).filter(|cells| !cells[0].starts_with("---"))
    };
    prose(text).filter_map(row).collect()
}

/// The first cells of all rows, without their backticks.
fn first_words(text: &str) -> BTreeSet<String> {
    rows(text)
        .into_iter()
        .map(|cells| cells[0].replace('`', ""))
        .collect()
}

/// The anchor that a heading gets.
fn anchor(heading: &str) -> String {
    let shown = heading.trim_start_matches('#').trim().to_lowercase();
    let kept = shown
        .chars()
        .filter(|c| c.is_alphanumeric() || " -_".contains(*c));
    kept.map(|c| if c == ' ' { '-' } else { c }).collect()
}

fn anchors(text: &str) -> BTreeSet<String> {
    prose(text)
        .filter(|line| line.starts_with('#'))
        .map(anchor)
        .collect()
}

/// The targets of all links of a line.
fn links(line: &str) -> impl Iterator<Item = &str> {
    let targets = line.split("](").skip(1);
    targets.filter_map(|rest| rest.split(')').next())
}

#[test]
fn every_relative_link_resolves_and_every_anchor_exists() {
    let mut broken = Vec::new();
    let mut seen = 0;
    for file in files("", ".md") {
        let content = text(&file);
        let folder = Path::new(&file).parent().unwrap();
        for target in prose(&content)
            .flat_map(links)
            .filter(|target| !target.contains("://"))
        {
            seen += 1;
            let (path, fragment) = target.split_once('#').unwrap_or((target, ""));
            let path = if path.is_empty() {
                PathBuf::from(&file)
            } else {
                folder.join(path)
            };
            let whole = root().join(&path);
            let has_anchor =
                || fs::read_to_string(&whole).is_ok_and(|text| anchors(&text).contains(fragment));
            if !whole.exists() || (!fragment.is_empty() && !has_anchor()) {
                broken.push(format!("{file}: {target}"));
            }
        }
    }
    assert!(seen > 40, "only {seen} links were found");
    assert!(broken.is_empty(), "{}", broken.join("\n"));
}

#[test]
fn every_path_that_a_paper_names_exists() {
    let mut seen = 0;
    for file in files("", ".md") {
        let content = text(&file);
        for word in prose(&content).flat_map(|line| line.split('`').skip(1).step_by(2)) {
            let folders = [
                "src/",
                "tests/",
                "docs/",
                "fixtures/",
                "migrations/",
                "scripts/",
            ];
            let is_path = folders.iter().any(|folder| word.starts_with(folder));
            if is_path && !word.contains([' ', '*']) && !word.contains("NAME") {
                seen += 1;
                let path = root().join(word);
                let exists = path.exists() || path.with_extension("rs").exists();
                assert!(exists, "{file} names {word}");
            }
        }
    }
    assert!(seen > 50, "only {seen} paths were found");
}

#[test]
fn the_readme_names_every_verdict_problem_and_route() {
    let readme = text("README.md");
    let mut missing = Vec::new();
    let mut check = |heading: &str, word: &str, row: String| {
        if !first_words(section(&readme, heading)).contains(word) {
            missing.push(format!("{heading}: {row}"));
        }
    };
    for verdict in Verdict::ALL {
        check(
            "## Verdicts",
            verdict.code(),
            format!("| `{}` | … |", verdict.code()),
        );
    }
    for code in problem::Code::ALL {
        let status = code.status().as_u16();
        let row = format!("| `{}` | {status} | {} |", code.word(), code.title());
        check("### Problems", code.word(), row);
    }
    let admin = section(&readme, "### Admin listener");
    for (method, path, _) in admin::routes() {
        let request = format!("`{} {path}`", method.to_uppercase());
        if !admin.contains(&request) {
            missing.push(request);
        }
    }
    assert!(missing.is_empty(), "{}", missing.join("\n"));
}

#[test]
fn the_readme_gives_every_reason_the_meaning_it_has_in_the_code() {
    let readme = text("README.md");
    let told = rows(section(&readme, "## Reasons"));
    let told: BTreeSet<String> = told
        .into_iter()
        .filter(|cells| cells[0].starts_with('`'))
        .map(|cells| format!("| {} |", cells.join(" | ")))
        .collect();
    let known = Reason::ALL.iter();
    let known =
        known.map(|reason| format!("| `{}` | {} |", reason.code(), reason.meaning().trim()));
    let known: BTreeSet<String> = known.collect();
    let missing: Vec<&String> = known.difference(&told).collect();
    let gone: Vec<&String> = told.difference(&known).collect();
    assert!(
        missing.is_empty() && gone.is_empty(),
        "missing {missing:#?}\nnot in the code {gone:#?}"
    );
}

#[test]
fn the_problem_table_has_the_status_and_title_of_the_code() {
    let readme = text("README.md");
    let table = rows(section(&readme, "### Problems"));
    for code in problem::Code::ALL {
        let status = code.status().as_u16().to_string();
        let row = [
            format!("`{}`", code.word()),
            status,
            code.title().to_owned(),
        ];
        assert!(table.contains(&row.to_vec()), "{row:?}");
    }
}

#[test]
fn the_runbook_explains_every_reason_to_hold() {
    let runbook = text("docs/operations.md");
    let held = Reason::ALL
        .iter()
        .filter(|reason| reason.meaning().trim().starts_with("Held:"));
    let codes: Vec<&str> = held.map(|reason| reason.code()).collect();
    assert!(codes.len() > 20);
    let part = section(&runbook, "## Held checkouts");
    let missing: Vec<&&str> = codes
        .iter()
        .filter(|code| !part.contains(&format!("`{code}`")))
        .collect();
    assert!(missing.is_empty(), "{missing:?}");
}

/// Constants of the sources: name, type, value as written, file and the comment above.
fn constants() -> Vec<[String; 5]> {
    let mut found = Vec::new();
    for file in files("src", ".rs") {
        let mut aside = ["sandbox", "simulation", "/demo"].iter();
        if aside.any(|part| file.contains(part)) || file.ends_with("tests.rs") {
            continue;
        }
        let source = text(&file);
        let source = source.split("#[cfg(test)]\nmod tests {").next().unwrap();
        let mut comment = Vec::new();
        for line in source.lines().map(str::trim) {
            if let Some(words) = line.strip_prefix("///") {
                comment.push(words.trim().to_owned());
                continue;
            }
            let constant = line.split_once("const ").and_then(|(_, rest)| {
                let (name, rest) = rest.split_once(": ")?;
                let (kind, value) = rest.split_once(" = ")?;
                Some([name, kind, value.strip_suffix(';')?].map(str::to_owned))
            });
            if let Some([name, kind, value]) = constant {
                found.push([name, kind, value, file.clone(), comment.join(" ")]);
            }
            comment.clear();
        }
    }
    found
}

/// A number or a time as people write it; nothing for anything else.
fn shown(value: &str, is_bytes: bool) -> Option<String> {
    if let Some((unit, number)) = value
        .split_once("::from_")
        .and_then(|(_, call)| call.split_once('('))
    {
        let number = number.strip_suffix(')')?.replace('_', "");
        let unit = match unit {
            "millis" => "ms",
            "secs" | "seconds" => "s",
            "minutes" => "min",
            "hours" => "h",
            "days" => "days",
            _ => return None,
        };
        let number = number.parse::<u64>().ok()?;
        let unit = if number == 1 && unit == "days" {
            "day"
        } else {
            unit
        };
        return Some(format!("{number} {unit}"));
    }
    let factors = value
        .split(" * ")
        .map(|part| part.replace('_', "").parse::<u64>());
    let product: u64 = factors
        .collect::<Result<Vec<_>, _>>()
        .ok()?
        .iter()
        .product();
    Some(match product {
        whole if is_bytes && whole >= 1 << 20 && whole % (1 << 20) == 0 => {
            format!("{} MiB", whole >> 20)
        }
        whole if is_bytes && whole >= 1 << 10 && whole % (1 << 10) == 0 => {
            format!("{} KiB", whole >> 10)
        }
        bytes if is_bytes => format!("{bytes} bytes"),
        other => other.to_string(),
    })
}

#[test]
fn the_limits_are_those_of_the_code() {
    let paper = text("docs/limits.md");
    let table: BTreeMap<(String, String), String> = rows(&paper)
        .into_iter()
        .filter(|cells| cells.len() == 4 && cells[0].starts_with('`'))
        .map(|cells| {
            (
                (cells[0].replace('`', ""), cells[2].replace('`', "")),
                cells[1].clone(),
            )
        })
        .collect();
    let mut wrong = Vec::new();
    let mut known = BTreeSet::new();
    for [name, kind, value, file, comment] in constants() {
        let is_time = kind.ends_with("Span") || kind.ends_with("Duration");
        let is_bound = ["_MAX", "_MIN", "_S"].iter().any(|end| name.ends_with(end));
        let Some(value) = shown(&value, name.contains("BYTES")).filter(|_| is_time || is_bound)
        else {
            continue;
        };
        let value = if name.ends_with("_S") {
            format!("{value} s")
        } else {
            value
        };
        let key = (name, file);
        if table.get(&key) != Some(&value) {
            wrong.push(format!(
                "| `{}` | {value} | `{}` | {comment} |",
                key.0, key.1
            ));
        }
        known.insert(key);
    }
    assert!(known.len() > 50, "only {} limits were found", known.len());
    let gone = table
        .keys()
        .filter(|key| root().join(&key.1).exists() && !known.contains(*key));
    wrong.extend(gone.map(|key| format!("no longer in the code: {key:?}")));
    assert!(
        wrong.is_empty(),
        "docs/limits.md should say:\n{}",
        wrong.join("\n")
    );
}

/// The tables of the PostgreSQL schema, each with its columns that are never empty.
fn postgres_tables() -> BTreeMap<String, BTreeSet<String>> {
    let mut tables = BTreeMap::new();
    for file in files("migrations/postgres", ".sql") {
        let schema = text(&file);
        for part in schema.split(" TABLE ").skip(1) {
            let (name, rest) = part.split_once(" (\n").unwrap();
            let (columns, _) = rest.split_once("\n);").unwrap();
            let is_kept = |line: &&str| line.contains("NOT NULL") || line.contains("PRIMARY KEY");
            let kept = columns.lines().filter(is_kept);
            let names = kept.filter_map(|line| line.split_whitespace().next());
            tables.insert(name.to_owned(), names.map(str::to_owned).collect());
        }
    }
    tables
}

#[test]
fn the_partition_keys_are_columns_of_the_schema_and_no_table_is_left_out() {
    let paper = text("docs/scaling.md");
    let keys: BTreeMap<String, String> =
        rows(section(&paper, "## The partition key of each table"))
            .into_iter()
            .filter(|cells| cells.len() == 4 && cells[0].starts_with('`'))
            .map(|cells| (cells[0].replace('`', ""), cells[1].replace('`', "")))
            .collect();
    let tables = postgres_tables();
    assert!(tables.len() > 15, "{tables:?}");
    let named: BTreeSet<&String> = keys.keys().collect();
    assert_eq!(named, tables.keys().collect());
    for (table, key) in &keys {
        let whole = ["claims", "instance", "probe"].contains(&table.as_str());
        assert_eq!(key == "none", whole, "{table}");
        assert!(whole || tables[table].contains(key), "{table}.{key}");
    }
    // What the script does is what the table says.
    let script = text("docs/partitioning.sql");
    let plan = script
        .lines()
        .filter(|line| line.trim_start().starts_with("['"));
    let plan: Vec<Vec<&str>> = plan
        .map(|line| line.split('\'').skip(1).step_by(2).collect())
        .collect();
    let tables: Vec<&str> = plan.iter().map(|one| one[0]).collect();
    assert_eq!(tables, PARTITIONED);
    for one in plan {
        let row = format!("| `{}` | `{}` |", one[0], one[1]);
        assert!(paper.contains(&row), "{row}");
    }
}

/// Tables that an operator may partition.
const PARTITIONED: [&str; 8] = [
    "inbox",
    "bodies",
    "delivery_keys",
    "payments",
    "checkouts",
    "journal",
    "actions",
    "sightings",
];

#[test]
fn the_statements_named_in_the_paper_on_scaling_are_in_the_code() {
    let sql = text("src/store/postgres/sql.rs");
    let paper = text("docs/scaling.md");
    let named = section(&paper, "## Statements and the key").split('`');
    let is_name = |word: &&str| word.chars().all(|c| c.is_ascii_uppercase() || c == '_');
    let names: BTreeSet<&str> = named.skip(1).step_by(2).filter(is_name).collect();
    assert!(names.len() > 25, "{names:?}");
    for name in &names {
        assert!(sql.contains(&format!("    {name} =")), "{name}");
    }
    // Each that touches a table which may be partitioned is named.
    let (_, statements) = sql.split_once("statements! {\n").unwrap();
    let (statements, _) = statements.split_once("\n}\n").unwrap();
    let mut touching = 0;
    for statement in statements.split(";\n") {
        let code = statement
            .lines()
            .filter(|line| !line.trim_start().starts_with("///"));
        let code = code.collect::<Vec<_>>().join("\n");
        let Some((name, code)) = code.trim_start().split_once(" =") else {
            continue;
        };
        let mut words = code.split(|c: char| !c.is_ascii_lowercase() && c != '_');
        if words.any(|word| PARTITIONED.contains(&word)) {
            assert!(names.contains(name), "{name}");
            touching += 1;
        }
    }
    assert!(touching > 50, "{touching}");
}

#[test]
fn the_readme_names_every_exit_code() {
    let readme = text("README.md");
    let told = first_words(section(&readme, "## Command line"));
    let codes = constants()
        .into_iter()
        .filter(|[name, kind, ..]| name.starts_with("EXIT_") && kind == "u8");
    let codes: Vec<[String; 5]> = codes.collect();
    assert!(codes.len() >= 4, "{codes:?}");
    for [name, _, value, file, _] in codes {
        assert!(told.contains(&value), "{name} = {value} of {file}");
    }
}

/// The names that a source registers as metrics.
fn registered(source: &str) -> Vec<String> {
    let source = source.split("#[cfg(test)]").next().unwrap();
    let calls = source.split(".register").skip(1);
    let names = calls.filter_map(|call| {
        let (before, rest) = call.split_once('"')?;
        let is_call = ["(", "_with_unit("].contains(&before.trim());
        is_call.then(|| rest.split('"').next().unwrap_or_default().to_owned())
    });
    names.collect()
}

#[test]
fn the_readme_names_every_metric_and_no_other() {
    let readme = text("README.md");
    let told: BTreeSet<String> = first_words(section(&readme, "## Metrics"))
        .into_iter()
        .filter_map(|name| name.strip_prefix("reconciled_").map(str::to_owned))
        .map(|name| {
            let ends = ["_total", "_seconds", "_info"];
            let bare = ends
                .iter()
                .find_map(|end| name.strip_suffix(end).map(str::to_owned));
            bare.unwrap_or(name)
        })
        .collect();
    let sources = files("src", ".rs").into_iter().map(|file| text(&file));
    let names: BTreeSet<String> = sources.flat_map(|source| registered(&source)).collect();
    assert!(names.len() > 20, "{names:?}");
    assert_eq!(told, names);
}

#[test]
fn the_readme_names_every_direct_dependency_with_its_features() {
    let readme = text("README.md");
    let told: BTreeSet<Vec<String>> = rows(section(&readme, "## Dependencies"))
        .into_iter()
        .filter(|cells| cells[0].starts_with('`'))
        .inspect(|cells| assert!(cells.len() == 4 && cells[3].len() > 5, "{cells:?}"))
        .map(|cells| cells[..3].to_vec())
        .collect();
    let manifest = text("Cargo.toml");
    let mut is_dependency = false;
    let mut used = BTreeSet::new();
    for line in manifest.lines().map(str::trim) {
        if line.starts_with('[') {
            is_dependency = ["[dependencies]", "[dev-dependencies]"].contains(&line);
        } else if let Some((name, rest)) = line.split_once(" = ").filter(|_| is_dependency) {
            let quoted: Vec<&str> = rest.split('"').skip(1).step_by(2).collect();
            let mut features = quoted[1..].to_vec();
            if !rest.contains("default-features = false") {
                features.insert(0, "default");
            }
            let features = if features.is_empty() {
                "–".to_owned()
            } else {
                features.join(", ")
            };
            used.insert(vec![format!("`{name}`"), quoted[0].to_owned(), features]);
        }
    }
    assert!(used.len() > 30);
    assert_eq!(told, used);
}

/// Header fields and body of each signed request that a paper shows.
fn signed_requests(paper: &str) -> Vec<(Headers, i64, String)> {
    let mut found = Vec::new();
    for block in paper.split("```http\n").skip(1) {
        let (head, rest) = block.split_once("\n\n").unwrap();
        let body = rest.split("\n```").next().unwrap();
        let mut headers = Headers::new();
        for (name, value) in head
            .lines()
            .skip(1)
            .filter_map(|line| line.split_once(": "))
        {
            headers.push(&name.to_lowercase(), value.as_bytes());
        }
        let sent_at = headers
            .single("webhook-timestamp")
            .unwrap()
            .parse()
            .unwrap();
        found.push((headers, sent_at, body.to_owned()));
    }
    found
}

#[test]
fn the_signed_examples_verify_with_the_secret_that_is_shown() {
    let readme = text("README.md");
    let secret = readme
        .split("secret='")
        .nth(1)
        .and_then(|rest| rest.split('\'').next())
        .unwrap();
    let keys = Keys::parse(&secret.into(), None).unwrap();
    let requests = signed_requests(&readme);
    assert_eq!(requests.len(), 2);
    for (headers, sent_at, body) in requests {
        let now = Time::from_seconds(sent_at);
        let verified = keys.verify(&headers, body.as_bytes(), now);
        assert!(
            matches!(verified, Verification::Signed { .. }),
            "{verified:?}: {body}"
        );
        let changed = keys.verify(&headers, format!("{body} ").as_bytes(), now);
        assert!(matches!(changed, Verification::Rejected(_)));
    }
}

#[test]
fn the_protocols_vectors_are_the_fixtures() {
    let paper = text("docs/shop-protocol.md");
    for folder in ["fixtures/shop/events", "fixtures/shop/answers"] {
        let fixtures = files(folder, "");
        assert!(fixtures.len() >= 4);
        for fixture in fixtures {
            assert!(paper.contains(text(&fixture).trim()), "{fixture}");
        }
    }
    let vectors = text("fixtures/shop/standard_webhooks.json");
    let mut seen = 0;
    for line in vectors.lines().map(str::trim) {
        let Some((key, value)) = line.split_once(": ") else {
            continue;
        };
        if key != "\"source\"" {
            let value = value
                .trim_end_matches(',')
                .trim_matches('"')
                .replace("\\\"", "\"");
            assert!(paper.contains(&format!("`{value}`")), "{value}");
            seen += 1;
        }
    }
    assert_eq!(seen, 10);
}

/// Names of tests that begin with a scenario's number (`s` and three digits) or with that of a
/// further system case (`x` and two), with the file they stand in.
fn numbered_tests() -> BTreeSet<(String, String)> {
    let mut found = BTreeSet::new();
    for file in files("src", ".rs").into_iter().chain(files("tests", ".rs")) {
        for line in text(&file).lines() {
            let Some((_, rest)) = line.split_once("fn ") else {
                continue;
            };
            let name: String = rest
                .chars()
                .take_while(|c| c.is_ascii_alphanumeric() || *c == '_')
                .collect();
            let digits = |from: usize, to: usize| {
                name.get(from..to)
                    .is_some_and(|part| part.bytes().all(|b| b.is_ascii_digit()))
            };
            let is_scenario = name.starts_with('s') && digits(1, 4) && name.get(4..5) == Some("_");
            let is_further = name.starts_with('x') && digits(1, 3) && name.get(3..4) == Some("_");
            if is_scenario || is_further {
                found.insert((name, file.clone()));
            }
        }
    }
    found
}

#[test]
fn the_tables_of_scenarios_name_every_numbered_test_and_no_other() {
    let paper = text("tests/README.md");
    let told: BTreeSet<(String, String)> = rows(&paper)
        .into_iter()
        .filter(|cells| cells.len() == 3)
        .filter(|cells| cells[1].starts_with("`s") || cells[1].starts_with("`x"))
        .map(|cells| {
            let (name, file) = (cells[1].replace('`', ""), cells[2].replace('`', ""));
            let number: String = name
                .chars()
                .skip(1)
                .take_while(char::is_ascii_digit)
                .collect();
            assert_eq!(
                number.trim_start_matches('0'),
                cells[0].trim_start_matches('0'),
                "{name} stands under another number"
            );
            (name, file)
        })
        .collect();
    let known = numbered_tests();
    assert!(known.len() > 150, "only {} were found", known.len());
    let row = |(name, file): &(String, String)| {
        let number: String = name
            .chars()
            .skip(1)
            .take_while(char::is_ascii_digit)
            .collect();
        let number = number.trim_start_matches('0');
        format!("| {number} | `{name}` | `{file}` |")
    };
    let missing: Vec<String> = known.difference(&told).map(row).collect();
    let gone: Vec<String> = told.difference(&known).map(row).collect();
    assert!(
        missing.is_empty(),
        "tests/README.md should say:\n{}",
        missing.join("\n")
    );
    assert!(gone.is_empty(), "no such tests:\n{}", gone.join("\n"));
}

#[test]
fn the_smallest_configuration_is_the_one_that_is_checked() {
    let readme = text("README.md");
    assert!(readme.contains(text("fixtures/config/minimal.toml").trim()));
}

/// The tests whose names begin with a letter and a number of so many digits: number, name, file.
fn numbered(letter: char, digits: usize) -> BTreeSet<[String; 3]> {
    let mut found = BTreeSet::new();
    for file in files("src", ".rs").into_iter().chain(files("tests", ".rs")) {
        let source = text(&file);
        let mut lines = source.lines().map(str::trim);
        while let Some(line) = lines.next() {
            let is_test = line == "#[test]" || line.starts_with("#[tokio::test");
            // A story of the table of stories and PSPs has no attribute of its own.
            let is_story =
                file.starts_with("tests/it/stories") && line.starts_with("pub(crate) async fn ");
            let mut after = lines.clone().filter(|line| !line.starts_with("#["));
            let signature = if is_story {
                Some(line)
            } else {
                after.next().filter(|_| is_test)
            };
            let name = signature.and_then(|line| line.split_once("fn ")?.1.split_once('('));
            let Some((name, _)) = name else { continue };
            let number = name
                .strip_prefix(letter)
                .and_then(|rest| rest.split_once('_'));
            let number = number.filter(|(number, _)| {
                number.len() == digits && number.bytes().all(|byte| byte.is_ascii_digit())
            });
            if let Some((number, _)) = number {
                found.insert([number.to_owned(), name.to_owned(), file.clone()]);
            }
        }
    }
    found
}

#[test]
fn the_race_table_has_a_test_for_every_cell() {
    let paper = text("tests/README.md");
    let part = section(&paper, "## The race table");
    let bare = |cell: &String| cell.replace('`', "");
    let told: BTreeSet<[String; 3]> = rows(part)
        .iter()
        .filter(|cells| cells.len() == 3 && cells[1].starts_with("`r"))
        .map(|cells| {
            [
                cells[0].replacen('r', "", 1),
                bare(&cells[1]),
                bare(&cells[2]),
            ]
        })
        .collect();
    assert_eq!(told, numbered('r', 2));
    let in_core: BTreeSet<&str> = told
        .iter()
        .filter(|[_, _, file]| file.starts_with("src/core/"))
        .map(|[cell, _, _]| cell.as_str())
        .collect();
    let cells = (1..=5).flat_map(|row| (1..=7).map(move |column| format!("{row}{column}")));
    let cells: Vec<String> = cells.collect();
    let untested: Vec<&String> = cells
        .iter()
        .filter(|cell| !in_core.contains(cell.as_str()))
        .collect();
    assert!(untested.is_empty(), "{untested:?}");
    let drawn: BTreeSet<String> = rows(part)
        .into_iter()
        .filter(|cells| cells.len() == 8)
        .flatten()
        .collect();
    let undrawn: Vec<&String> = cells
        .iter()
        .filter(|cell| !drawn.contains(&format!("r{cell}")))
        .collect();
    assert!(undrawn.is_empty(), "{undrawn:?}");
}

/// The names of all tests in the files below these paths.
fn tests_below(places: &[String]) -> BTreeSet<String> {
    let sources = files("src", ".rs")
        .into_iter()
        .chain(files("tests/it", ".rs"));
    let here = |file: &String| places.iter().any(|place| file.starts_with(place));
    let mut names = BTreeSet::new();
    for file in sources.filter(here) {
        let source = text(&file);
        for rest in source.split("test]\n").skip(1) {
            let name = rest
                .split_once("fn ")
                .and_then(|(_, rest)| rest.split_once('('));
            names.extend(name.map(|(name, _)| name.to_owned()));
        }
    }
    names
}

#[test]
fn every_cell_of_the_conformance_table_is_a_test_or_says_why_there_is_none() {
    let readme = text("README.md");
    let table = rows(section(&readme, "### Conformance"));
    let head = table.iter().find(|cells| cells[0] == "what").unwrap();
    let kinds: Vec<&str> = KINDS.iter().map(|kind| kind.word).collect();
    assert_eq!(head[1..], kinds, "a column for each PSP");
    let mut wrong = Vec::new();
    let mut named = 0;
    for (column, kind) in kinds.iter().enumerate() {
        let adapter =
            ["src/psp", "src/sandbox/psp", "tests/it"].map(|room| format!("{room}/{kind}"));
        let known = tests_below(&adapter);
        let cells = table.iter().skip_while(|cells| cells[0] != "what").skip(1);
        for cells in cells.take_while(|cells| cells[0] != "story") {
            let cell = &cells[column + 1];
            named += 1;
            let is_test = known.contains(cell.trim_matches('`')) && cell.starts_with('`');
            let is_reason = cell
                .strip_prefix("cannot: ")
                .is_some_and(|why| why.len() > 10);
            if !is_test && !is_reason {
                wrong.push(format!("{kind}, {}: {cell}", cells[0]));
            }
        }
    }
    assert!(named > 80, "only {named} cells");
    assert!(wrong.is_empty(), "neither a test nor a reason: {wrong:#?}");
}
