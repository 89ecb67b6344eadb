//! What a machine can hold of the house rules: each rule reads one file, or one list of files,
//! and answers with what it found.
//!
//! Knows no file system and no table: `tests/tidy.rs` holds the tables and feeds the rules.

use std::collections::BTreeSet;

use crate::source::{Kind, Source, Token, begins, group, is_test_file, item, paths};

/// One line of the table of rooms.
pub(crate) struct Room {
    /// Every file whose path begins so.
    pub(crate) files: &'static str,
    /// Our own rooms it may enter.
    pub(crate) rooms: Allowed,
    /// Foreign crates it may use; its tests may use others.
    pub(crate) crates: Allowed,
    /// Parts of the standard library it must not know; its tests may.
    pub(crate) never: &'static [&'static str],
    pub(crate) why: &'static str,
}

pub(crate) enum Allowed {
    Only(&'static [&'static str]),
    AllBut(&'static [&'static str]),
}

impl Allowed {
    fn holds(&self, name: &str) -> bool {
        match self {
            Self::Only(names) => names.contains(&name),
            Self::AllBut(names) => !names.contains(&name),
        }
    }
}

pub(crate) fn rooms(source: &Source<'_>, table: &[Room], crates: &BTreeSet<String>) -> Vec<String> {
    let mut found = Vec::new();
    let rows: Vec<&Room> = table
        .iter()
        .filter(|row| source.path.starts_with(row.files))
        .collect();
    for path in paths(source) {
        let written = path.written();
        let first = path
            .segments
            .first()
            .map(String::as_str)
            .unwrap_or_default();
        for row in &rows {
            let strange_room = path.room().is_some_and(|room| !row.rooms.holds(room));
            let strange_crate = crates.contains(first) && !row.crates.holds(first);
            let never = row.never.iter().any(|part| is_within(&written, part));
            if strange_room || (!path.tested && (strange_crate || never)) {
                let Room { files, why, .. } = row;
                found.push(at(
                    source,
                    path.line,
                    &format!("`{written}` in a file of {files}: {why}"),
                ));
            }
        }
    }
    found
}

fn is_within(path: &str, part: &str) -> bool {
    path.strip_prefix(part)
        .is_some_and(|rest| rest.is_empty() || rest.starts_with("::"))
}

/// Crates with one home each, tests included.
pub(crate) fn homes(source: &Source<'_>, table: &[(&str, &[&str])]) -> Vec<String> {
    let mut found = Vec::new();
    for path in paths(source) {
        let strange = |(name, files): &&(&str, &[&str])| {
            let used = path.segments.first().is_some_and(|first| first == name);
            used && !files.iter().any(|home| source.path.starts_with(home))
        };
        if let Some((name, files)) = table.iter().find(strange) {
            let home = files.join(", ");
            found.push(at(
                source,
                path.line,
                &format!("`{name}` is at home in {home} alone"),
            ));
        }
    }
    found
}

/// Modules of one folder that must not know each other; `common` ones may know all and be known.
pub(crate) fn siblings(
    source: &Source<'_>,
    folder: &str,
    modules: &BTreeSet<String>,
    common: &[&str],
) -> Vec<String> {
    let Some(own) = module_in(source.path, folder) else {
        return Vec::new();
    };
    if common.contains(&own) {
        return Vec::new();
    }
    let room = folder.trim_start_matches("src/");
    let mut found = Vec::new();
    for path in paths(source)
        .iter()
        .filter(|path| path.room() == Some(room))
    {
        let other = path.segments.get(2).map(String::as_str).unwrap_or_default();
        if other != own && modules.contains(other) && !common.contains(&other) {
            found.push(at(
                source,
                path.line,
                &format!("adapter `{own}` knows adapter `{other}`; share through {folder}.rs"),
            ));
        }
    }
    found
}

/// `src/psp/mollie.rs` and `src/psp/mollie/refund.rs` are both module `mollie` in `src/psp`.
pub(crate) fn module_in<'a>(path: &'a str, folder: &str) -> Option<&'a str> {
    let inner = path.strip_prefix(folder)?.strip_prefix('/')?;
    inner.split(['/', '.']).next()
}

pub(crate) fn header(source: &Source<'_>) -> Vec<String> {
    let lines = source
        .text
        .lines()
        .take_while(|line| line.starts_with("//!"))
        .count();
    if lines >= 2 {
        return Vec::new();
    }
    let what = "opens without two lines of `//!`: what it is for, and what it must not know";
    vec![at(source, 1, what)]
}

pub(crate) fn file_length(source: &Source<'_>, lines_max: usize) -> Vec<String> {
    if is_test_file(source.path) {
        return Vec::new();
    }
    let last = source.code.last().map_or(0, |token| token.line);
    let tests = source.tails().find(|tail| {
        begins(tail, &["#", "[", "cfg", "(", "test", ")", "]"]) && item(tail).len() == tail.len()
    });
    let first_of_tests = tests.and_then(<[_]>::first).map(|token| token.line);
    let lines = first_of_tests.map_or(last, |line| line.saturating_sub(1));
    if lines <= lines_max {
        return Vec::new();
    }
    vec![at(
        source,
        lines,
        &format!("{lines} lines before the tests, at most {lines_max}"),
    )]
}

pub(crate) fn function_length(source: &Source<'_>, lines_max: usize) -> Vec<String> {
    let mut found = Vec::new();
    for tail in source.tails() {
        let [keyword, name, ..] = tail else { continue };
        if keyword.tested || !keyword.is("fn") || name.kind != Kind::Word {
            continue;
        }
        let end = item(tail).last().map_or(keyword.line, |token| token.line);
        let lines = end.saturating_sub(keyword.line).saturating_add(1);
        if lines > lines_max {
            let name = name.text;
            found.push(at(
                source,
                keyword.line,
                &format!("`{name}` has {lines} lines, at most {lines_max}"),
            ));
        }
    }
    found
}

/// No `allow`, and no `expect` without its reason.
pub(crate) fn lint_exceptions(source: &Source<'_>) -> Vec<String> {
    let mut found = Vec::new();
    for tail in source.tails() {
        let attribute = match tail {
            [_, rest @ ..] if begins(tail, &["#", "["]) => group(rest),
            [_, _, rest @ ..] if begins(tail, &["#", "!", "["]) => group(rest),
            _ => continue,
        };
        for (place, token) in attribute.iter().enumerate() {
            let arguments = &attribute[place.saturating_add(1)..];
            if !begins(arguments, &["("]) {
                continue;
            }
            let has_reason = has(group(arguments), &["reason", "="]);
            if token.is("allow") {
                found.push(at(
                    source,
                    token.line,
                    "`allow`: use `expect` with a reason",
                ));
            } else if token.is("expect") && !has_reason {
                found.push(at(source, token.line, "`expect` without `reason =`"));
            }
        }
    }
    found
}

/// Words that say nothing, in the names we choose.
pub(crate) struct Banned {
    pub(crate) everywhere: &'static [&'static str],
    pub(crate) in_types: &'static [&'static str],
    /// A name that may stay, and why.
    pub(crate) exceptions: &'static [(&'static str, &'static str)],
}

pub(crate) fn names(source: &Source<'_>, banned: &Banned) -> Vec<String> {
    let mut found = Vec::new();
    let mut judge = |line: usize, name: &str, is_type: bool| {
        let excepted = banned.exceptions.iter().any(|(kept, _)| *kept == name);
        let words = words(name);
        let word = words
            .iter()
            .map(|word| word.trim_end_matches('s'))
            .find(|word| {
                let says_nothing =
                    |list: &[&str]| list.iter().any(|b| b.trim_end_matches('s') == *word);
                says_nothing(banned.everywhere) || (is_type && says_nothing(banned.in_types))
            });
        if let (Some(word), false) = (word, excepted) {
            found.push(at(
                source,
                line,
                &format!("`{name}` says nothing with `{word}`"),
            ));
        }
    };
    for part in source.path.trim_end_matches(".rs").split('/') {
        judge(1, part, false);
    }
    for tail in source.tails() {
        let [keyword, name, ..] = tail else { continue };
        let is_type = ["struct", "enum", "trait", "type", "union"]
            .iter()
            .any(|k| keyword.is(k));
        // A test's name is a sentence and may use any word.
        let is_ours = is_type || keyword.is("mod") || (keyword.is("fn") && !keyword.tested);
        if is_ours && name.kind == Kind::Word {
            judge(name.line, name.text, is_type);
        }
    }
    found
}

/// `RawBodyInfo`, `raw_body_info` and `raw-body-info` are all raw, body, info.
fn words(name: &str) -> Vec<String> {
    let mut words = vec![String::new()];
    for c in name.chars() {
        let starts = c.is_uppercase() || !c.is_alphanumeric();
        if starts {
            words.push(String::new());
        }
        if let Some(word) = words.last_mut()
            && c.is_alphanumeric()
        {
            word.extend(c.to_lowercase());
        }
    }
    words.retain(|word| !word.is_empty());
    words
}

/// Work left for later, and tests that wait, are skipped or want a panic.
pub(crate) fn leftovers(source: &Source<'_>, may_sleep: &[(&str, &str)]) -> Vec<String> {
    let mut found = Vec::new();
    for comment in &source.comments {
        let mut spoken = comment.text.split(|c: char| !c.is_alphanumeric());
        if let Some(word) = spoken.find(|word| ["TODO", "FIXME"].contains(word)) {
            found.push(at(
                source,
                comment.line,
                &format!("`{word}`: do it or decide against it"),
            ));
        }
    }
    let sleeps = may_sleep
        .iter()
        .any(|(files, _)| source.path.starts_with(files));
    for tail in source.tails() {
        let Some(first) = tail.first() else { continue };
        let unfinished = ["todo", "unimplemented", "dbg"]
            .iter()
            .any(|name| first.is(name));
        if unfinished && begins(&tail[1..], &["!"]) {
            found.push(at(
                source,
                first.line,
                &format!("`{}!` left behind", first.text),
            ));
        }
        let skipped = ["ignore", "should_panic"]
            .iter()
            .find(|name| begins(tail, &["#", "[", name]));
        if let Some(name) = skipped {
            found.push(at(
                source,
                first.line,
                &format!("`#[{name}]`: a test runs and holds"),
            ));
        }
        let is_sleep = (first.is("sleep") || first.is("sleep_until")) && begins(&tail[1..], &["("]);
        if is_sleep && first.tested && !sleeps {
            found.push(at(
                source,
                first.line,
                "a test sleeps: wait for the fact itself",
            ));
        }
    }
    found
}

/// Equal names on both databases, counted from one, each opening with why.
pub(crate) fn migrations(folders: &[(&str, Vec<(String, String)>)]) -> Vec<String> {
    let mut found = Vec::new();
    for (folder, files) in folders {
        for (number, (name, text)) in (1_usize..).zip(files) {
            if !is_migration_name(name, number) {
                found.push(format!("{folder}/{name}: not `{number:04}_verb_noun.sql`"));
            }
            let why = text.strip_prefix("--").and_then(|rest| rest.lines().next());
            if why.unwrap_or_default().split_whitespace().count() < 3 {
                found.push(format!(
                    "{folder}/{name}: opens without a `--` line that says why"
                ));
            }
        }
    }
    for ((one, left), (other, right)) in folders.iter().zip(folders.iter().skip(1)) {
        let lacks =
            |files: &[(String, String)], name| !files.iter().any(|(there, _)| there == name);
        let missing_right = left.iter().filter(|(name, _)| lacks(right, name));
        let missing_left = right.iter().filter(|(name, _)| lacks(left, name));
        found.extend(missing_right.map(|(name, _)| format!("{other}/{name}: is only in {one}")));
        found.extend(missing_left.map(|(name, _)| format!("{one}/{name}: is only in {other}")));
    }
    found
}

fn is_before(since: &str, number: usize) -> bool {
    let is_number = since.len() == 4 && since.bytes().all(|byte| byte.is_ascii_digit());
    let since = since.parse::<usize>().ok().filter(|_| is_number);
    since.is_some_and(|since| (1..number).contains(&since))
}

fn is_migration_name(name: &str, number: usize) -> bool {
    let Some(stem) = name.strip_suffix(".sql") else {
        return false;
    };
    // Who may still work on the schema after it.
    let stem = match stem.rsplit_once("_since_") {
        Some((rest, since)) if is_before(since, number) => rest,
        Some(_) => return false,
        None => stem,
    };
    let mut parts = stem.split('_');
    let counted = parts.next() == Some(&format!("{number:04}"));
    let words: Vec<&str> = parts.collect();
    let plain = |word: &&str| !word.is_empty() && word.chars().all(|c| c.is_ascii_lowercase());
    counted && words.len() >= 2 && words.iter().all(plain)
}

/// The project speaks of itself alone.
pub(crate) fn foreign(path: &str, text: &str, phrases: &[&str]) -> Vec<String> {
    let lines = (1_usize..).zip(text.lines());
    let named = lines.filter(|(_, line)| phrases.iter().any(|phrase| line.contains(phrase)));
    named
        .map(|(line, _)| format!("{path}:{line}: points outside the project"))
        .collect()
}

fn has(code: &[Token<'_>], pattern: &[&str]) -> bool {
    crate::source::tails(code).any(|tail| begins(tail, pattern))
}

fn at(source: &Source<'_>, line: usize, what: &str) -> String {
    format!("{}:{line}: {what}", source.path)
}
