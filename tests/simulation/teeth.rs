//! The list of bugs that the simulation must find: each still applies to the code as it is.
//!
//! `scripts/teeth` plays them; here only the texts are compared.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;

/// So many bugs are promised.
const BUGS_MIN: usize = 25;

#[derive(serde::Deserialize)]
#[serde(deny_unknown_fields)]
struct List {
    bug: Vec<Bug>,
}

#[derive(serde::Deserialize)]
#[serde(deny_unknown_fields)]
struct Bug {
    name: String,
    file: String,
    find: String,
    replace: String,
}

#[test]
fn every_seeded_bug_still_applies_to_the_code_exactly_once() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let text = fs::read_to_string(root.join("tests/simulation/teeth.toml")).unwrap();
    let list: List = toml::from_str(&text).unwrap();
    assert!(list.bug.len() >= BUGS_MIN, "only {} bugs", list.bug.len());
    let names: BTreeSet<&String> = list.bug.iter().map(|bug| &bug.name).collect();
    assert_eq!(names.len(), list.bug.len(), "a name occurs twice");
    let mut wrong = Vec::new();
    for bug in &list.bug {
        let source = fs::read_to_string(root.join(&bug.file)).unwrap_or_default();
        let times = source.matches(&bug.find).count();
        if times != 1 || bug.find == bug.replace || bug.find.trim().is_empty() {
            wrong.push(format!(
                "{}: occurs {times} times in {}",
                bug.name, bug.file
            ));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}
