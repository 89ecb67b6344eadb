//! Reads Rust source the way tidy needs it: words, marks, literals and comments, each with its
//! line, and which of them are test code.
//!
//! Not a parser: it knows brackets and paths, and nothing of types or of tidy's rules.

use std::collections::BTreeSet;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    Word,
    Mark,
    Literal,
    Comment,
    Blank,
}

#[derive(Clone, Copy, Debug)]
pub(crate) struct Token<'a> {
    pub(crate) kind: Kind,
    pub(crate) text: &'a str,
    pub(crate) line: usize,
    /// Stands in a `#[cfg(test)]` item, a `#[test]` function or a test file.
    pub(crate) tested: bool,
}

impl Token<'_> {
    pub(crate) fn is(&self, text: &str) -> bool {
        self.kind != Kind::Literal && self.text == text
    }
}

/// One Rust file, read once.
#[derive(Debug)]
pub(crate) struct Source<'a> {
    /// From the repository's root, with `/`.
    pub(crate) path: &'a str,
    pub(crate) text: &'a str,
    pub(crate) code: Vec<Token<'a>>,
    pub(crate) comments: Vec<Token<'a>>,
}

impl<'a> Source<'a> {
    pub(crate) fn new(path: &'a str, text: &'a str) -> Self {
        let (comments, mut code): (Vec<_>, Vec<_>) = tokens(text)
            .into_iter()
            .partition(|token| token.kind == Kind::Comment);
        if is_test_file(path) {
            code.iter_mut().for_each(|token| token.tested = true);
        } else {
            mark_tests(&mut code);
        }
        Self {
            path,
            text,
            code,
            comments,
        }
    }

    /// Every place in the code, with what follows it.
    pub(crate) fn tails(&self) -> impl Iterator<Item = &[Token<'a>]> {
        tails(&self.code)
    }
}

pub(crate) fn is_test_file(path: &str) -> bool {
    let test_module = path.ends_with("/tests.rs") || path.contains("/tests/");
    path.starts_with("tests/") || test_module
}

pub(crate) fn tails<'t, 'a>(code: &'t [Token<'a>]) -> impl Iterator<Item = &'t [Token<'a>]> {
    (0..code.len()).map(|at| &code[at..])
}

/// Does the code go on with exactly these tokens?
pub(crate) fn begins(tail: &[Token<'_>], pattern: &[&str]) -> bool {
    tail.len() >= pattern.len() && tail.iter().zip(pattern).all(|(token, text)| token.is(text))
}

/// From an opening bracket to the one that closes it, both included.
pub(crate) fn group<'t, 'a>(tail: &'t [Token<'a>]) -> &'t [Token<'a>] {
    let mut open: usize = 0;
    for (length, token) in (1..).zip(tail) {
        if ["(", "[", "{"].iter().any(|mark| token.is(mark)) {
            open = open.saturating_add(1);
        } else if [")", "]", "}"].iter().any(|mark| token.is(mark)) {
            open = open.saturating_sub(1);
        }
        if open == 0 {
            return &tail[..length];
        }
    }
    tail
}

/// From the start of an item (or of its attributes) to its closing brace or semicolon.
pub(crate) fn item<'t, 'a>(tail: &'t [Token<'a>]) -> &'t [Token<'a>] {
    let mut length: usize = 0;
    while let Some(token) = tail.get(length) {
        let opens = ["(", "[", "{"].iter().any(|mark| token.is(mark));
        let step = if opens {
            group(&tail[length..]).len()
        } else {
            1
        };
        length = length.saturating_add(step);
        if token.is("{") || token.is(";") {
            break;
        }
    }
    &tail[..length]
}

/// A path the code names, written out in full: `crate::…` for our own, the crate's name for
/// others. What begins with a name of the file's own stays as it stands.
#[derive(Debug)]
pub(crate) struct Path {
    pub(crate) segments: Vec<String>,
    pub(crate) line: usize,
    pub(crate) tested: bool,
}

impl Path {
    /// The room of ours it enters, if it is one of ours.
    pub(crate) fn room(&self) -> Option<&str> {
        let ours = self.segments.first().is_some_and(|first| first == "crate");
        if ours {
            self.segments.get(1).map(String::as_str)
        } else {
            None
        }
    }

    pub(crate) fn written(&self) -> String {
        self.segments.join("::")
    }
}

/// Every path of the file, from `use` and from the middle of code.
pub(crate) fn paths(source: &Source<'_>) -> Vec<Path> {
    let module = source
        .path
        .trim_start_matches("src/")
        .trim_end_matches(".rs");
    let mut module: Vec<&str> = module.split('/').collect();
    if matches!(module.as_slice(), ["main" | "lib"]) {
        module.clear();
    }
    let mut found = Vec::new();
    walk(&source.code, &module, &mut found);
    found
}

fn walk(code: &[Token<'_>], module: &[&str], found: &mut Vec<Path>) {
    let mut rest = code;
    let mut before: Option<Token<'_>> = None;
    let mut follows_path = false;
    while let [first, tail @ ..] = rest {
        let mut step = 1;
        if first.is("use") && !begins(tail, &["<"]) {
            let tree = item(rest);
            branches(&tree[1..], &[], module, found);
            step = tree.len();
        } else if let [name, brace, ..] = tail
            && first.is("mod")
            && brace.is("{")
        {
            let inner = group(&tail[1..]);
            let nested = [module, &[name.text]].concat();
            walk(&inner[1..], &nested, found);
            step = inner.len().saturating_add(2);
        } else if first.kind == Kind::Word && !follows_path && begins(tail, &["::"]) {
            let path = straight(rest);
            branches(path, &[], module, found);
            step = path.len();
        }
        let (taken, after) = rest.split_at(step.min(rest.len()));
        let last = taken.last().copied();
        let after_name = before.is_some_and(|token| token.kind == Kind::Word || token.is(">"));
        follows_path = after_name && last.is_some_and(|token| token.is("::"));
        before = last;
        rest = after;
    }
}

/// `a::b::c` as far as it goes without braces or generics.
fn straight<'t, 'a>(tail: &'t [Token<'a>]) -> &'t [Token<'a>] {
    let mut length: usize = 1;
    while let [mark, name, ..] = &tail[length..] {
        if !mark.is("::") || name.kind != Kind::Word {
            break;
        }
        length = length.saturating_add(2);
    }
    &tail[..length]
}

/// Takes a use tree apart: `a::{b, c as d}` is `a::b` and `a::c`.
fn branches(tree: &[Token<'_>], prefix: &[&str], module: &[&str], found: &mut Vec<Path>) {
    let mut segments = prefix.to_vec();
    let mut rest = tree;
    while let [first, tail @ ..] = rest {
        if first.is("{") {
            let inner = group(rest);
            let inner = inner
                .get(1..inner.len().saturating_sub(1))
                .unwrap_or_default();
            return commas(inner).for_each(|tree| branches(tree, &segments, module, found));
        }
        if first.is("as") {
            break;
        }
        if first.kind == Kind::Word || first.is("*") {
            segments.push(first.text);
        }
        rest = tail;
    }
    if let Some(first) = tree.first() {
        let segments = in_full(&segments, module);
        found.push(Path {
            segments,
            line: first.line,
            tested: first.tested,
        });
    }
}

fn commas<'t, 'a>(tree: &'t [Token<'a>]) -> impl Iterator<Item = &'t [Token<'a>]> {
    let mut depth: usize = 0;
    tree.split(move |token| {
        if token.is("{") {
            depth = depth.saturating_add(1);
        } else if token.is("}") {
            depth = depth.saturating_sub(1);
        }
        depth == 0 && token.is(",")
    })
}

fn in_full<'a>(segments: &[&'a str], module: &[&'a str]) -> Vec<String> {
    let climbs = segments
        .iter()
        .take_while(|word| ["self", "super"].contains(word));
    let (climbs, ups) = climbs.fold((0_usize, 0_usize), |(climbs, ups), word| {
        (
            climbs.saturating_add(1),
            ups.saturating_add(usize::from(*word == "super")),
        )
    });
    let full = match segments {
        ["crate" | "reconciled", inner @ ..] => [&["crate"], inner].concat(),
        ["self" | "super", ..] => {
            let above = module.len().saturating_sub(ups);
            [&["crate"], &module[..above], &segments[climbs..]].concat()
        }
        _ => segments.to_vec(),
    };
    full.into_iter().map(str::to_owned).collect()
}

/// The names of all crates in `Cargo.toml`, as code writes them.
pub(crate) fn dependencies(manifest: &str) -> BTreeSet<String> {
    let mut listed = false;
    let mut names = BTreeSet::new();
    for line in manifest.lines().map(str::trim) {
        if let Some(table) = line.strip_prefix('[') {
            listed = table.trim_end_matches(']').ends_with("dependencies");
            let own_table = table.trim_end_matches(']').split_once("dependencies.");
            names.extend(own_table.map(|(_, name)| name.replace('-', "_")));
        } else if listed && !line.starts_with('#') {
            let name = line.split(['=', '.', ' ']).next().unwrap_or_default();
            names.extend(Some(name.replace('-', "_")).filter(|name| !name.is_empty()));
        }
    }
    names
}

fn tokens(text: &str) -> Vec<Token<'_>> {
    let mut found = Vec::new();
    let mut rest = text;
    let mut line: usize = 1;
    while let Some(first) = rest.chars().next() {
        let (kind, after) = next(rest, first);
        let (piece, _) = rest.split_at(rest.len().saturating_sub(after.len()));
        if kind != Kind::Blank {
            found.push(Token {
                kind,
                text: piece,
                line,
                tested: false,
            });
        }
        line = line.saturating_add(piece.matches('\n').count());
        rest = after;
    }
    found
}

/// What stands here, and what comes after it.
fn next(rest: &str, first: char) -> (Kind, &str) {
    if rest.starts_with("//") {
        return (Kind::Comment, rest.trim_start_matches(|c| c != '\n'));
    }
    if let Some(inner) = rest.strip_prefix("/*") {
        return (Kind::Comment, after_block_comment(inner));
    }
    if let Some(after) = after_literal(rest) {
        return (Kind::Literal, after);
    }
    let is_word = |c: char| c.is_alphanumeric() || c == '_';
    if is_word(first) {
        return (Kind::Word, rest.trim_start_matches(is_word));
    }
    if first.is_whitespace() {
        return (Kind::Blank, rest.trim_start());
    }
    let long = ["::", "=>", "->"]
        .iter()
        .find_map(|mark| rest.strip_prefix(mark));
    (
        Kind::Mark,
        long.unwrap_or_else(|| rest.strip_prefix(first).unwrap_or_default()),
    )
}

fn after_block_comment(inner: &str) -> &str {
    let mut open: usize = 1;
    let mut rest = inner;
    while open > 0 && !rest.is_empty() {
        if let Some(after) = rest.strip_prefix("*/") {
            open = open.saturating_sub(1);
            rest = after;
        } else if let Some(after) = rest.strip_prefix("/*") {
            open = open.saturating_add(1);
            rest = after;
        } else {
            rest = rest.strip_prefix(|_: char| true).unwrap_or_default();
        }
    }
    rest
}

/// Strings of all kinds and characters; a lifetime is neither.
fn after_literal(rest: &str) -> Option<&str> {
    let body = rest.strip_prefix(['b', 'c']).unwrap_or(rest);
    if let Some(raw) = body.strip_prefix('r') {
        let opening = raw.trim_start_matches('#');
        let hashes = raw.len().saturating_sub(opening.len());
        let closing = format!("\"{}", "#".repeat(hashes));
        let inner = opening.strip_prefix('"')?;
        return Some(inner.split_once(&closing).map_or("", |(_, after)| after));
    }
    if let Some(inner) = body.strip_prefix('"') {
        return Some(after_quote(inner, '"'));
    }
    let inner = body.strip_prefix('\'')?;
    let escaped = inner.starts_with('\\');
    let closed = inner.chars().nth(1) == Some('\'');
    (escaped || closed).then(|| after_quote(inner, '\''))
}

fn after_quote(inner: &str, quote: char) -> &str {
    let mut escaped = false;
    for (at, c) in inner.char_indices() {
        if c == quote && !escaped {
            return inner.split_at(at).1.strip_prefix(quote).unwrap_or_default();
        }
        escaped = c == '\\' && !escaped;
    }
    ""
}

fn mark_tests(code: &mut [Token<'_>]) {
    let mut at = 0;
    while at < code.len() {
        let tail = &code[at..];
        let starts = begins(tail, &["#", "[", "cfg", "(", "test", ")", "]"])
            || begins(tail, &["#", "[", "test", "]"])
            || begins(tail, &["#", "[", "tokio", "::", "test"]);
        let length = if starts { item(tail).len() } else { 1 };
        code.iter_mut()
            .skip(at)
            .take(length)
            .for_each(|token| token.tested |= starts);
        at = at.saturating_add(length);
    }
}
