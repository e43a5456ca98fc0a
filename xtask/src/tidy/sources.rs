//! The repository's own text files, and what must not stand in them.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::Result;

use super::{Breach, Findings};
use crate::workspace::{self, Workspace};

/// The one crate that may use `unsafe`, with a reason at every block.
const MAY_BE_UNSAFE: &str = "crates/docpipeline/";
/// A file longer than this says why.
const LONG: usize = 700;
const LONG_BECAUSE: &str = "Longer than most files because";
/// Folders of input for tests: other people's text, which follows no rule of ours.
const INPUT: &[&str] = &["samples", "fixtures", "corpus", "snapshots"];

/// Every text file that git knows or would add, by its path from the root.
#[derive(Debug)]
pub(super) struct Files {
    root: PathBuf,
    texts: BTreeMap<String, String>,
}

impl Files {
    pub(super) fn of(workspace: &Workspace) -> Result<Self> {
        let mut list = Command::new("git");
        list.args(["ls-files", "-z", "--cached", "--others", "--exclude-standard"])
            .current_dir(&workspace.root);
        let names = workspace::output(&mut list)?;
        let texts = names
            .split('\0')
            .filter(|name| [".rs", ".md", ".toml"].iter().any(|end| name.ends_with(end)))
            .filter(|name| !name.split('/').any(|part| INPUT.contains(&part)))
            // A file that was deleted but not yet committed is in the list, and cannot be read.
            .filter_map(|name| {
                Some((name.to_owned(), std::fs::read_to_string(workspace.root.join(name)).ok()?))
            })
            .collect();
        Ok(Self { root: workspace.root.clone(), texts })
    }

    /// Made-up files.
    #[cfg(test)]
    pub(super) fn sample(texts: &[(&str, &str)]) -> Self {
        let texts = texts.iter().map(|(name, text)| ((*name).to_owned(), (*text).to_owned())).collect();
        Self { root: "/root".into(), texts }
    }

    /// The text of a file; empty if there is none.
    pub(super) fn text(&self, name: &str) -> &str {
        self.texts.get(name).map_or("", String::as_str)
    }

    pub(super) fn has(&self, name: &str) -> bool {
        self.texts.contains_key(name)
    }

    /// Whether there is anything at all at this path from the root: a text, another file, a folder.
    pub(super) fn exists(&self, name: &str) -> bool {
        self.has(name) || self.root.join(name).exists()
    }

    /// A path as these files name it.
    pub(super) fn relative(&self, path: &Path) -> String {
        path.strip_prefix(&self.root).unwrap_or(path).to_string_lossy().into_owned()
    }

    /// The files whose name ends so.
    pub(super) fn ending(&self, end: &'static str) -> impl Iterator<Item = (&str, &str)> {
        self.texts
            .iter()
            .filter(move |(name, _)| name.ends_with(end))
            .map(|(name, text)| (name.as_str(), text.as_str()))
    }
}

/// One line of Rust, taken apart. What stands in string literals is in neither part.
#[derive(Debug, Default, PartialEq, Eq)]
struct Line {
    code: String,
    comment: String,
}

/// Where the reader of Rust is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Within {
    Code,
    LineComment,
    /// How deep: block comments nest.
    BlockComment(usize),
    /// `None`: escapes count. `Some(n)`: raw, closed by a quote and n hashes.
    Text(Option<usize>),
}

/// Tells code from comments, line by line.
fn lines(text: &str) -> Vec<Line> {
    let mut lines = vec![Line::default()];
    let mut within = Within::Code;
    let mut rest = text;
    while let Some(next) = rest.chars().next() {
        let mut length = next.len_utf8();
        if next == '\n' {
            if within == Within::LineComment {
                within = Within::Code;
            }
            lines.push(Line::default());
            rest = &rest[length..];
            continue;
        }
        let Some(line) = lines.last_mut() else { break };
        match within {
            Within::Code => {
                if rest.starts_with("//") {
                    within = Within::LineComment;
                } else if rest.starts_with("/*") {
                    within = Within::BlockComment(1);
                    length = 2;
                } else if let Some((opening, hashes)) = raw_string(rest, &line.code) {
                    within = Within::Text(Some(hashes));
                    length = opening;
                } else if next == '"' {
                    within = Within::Text(None);
                } else if let Some(literal) = char_literal(rest) {
                    length = literal;
                } else {
                    line.code.push(next);
                }
            }
            Within::LineComment => line.comment.push(next),
            Within::BlockComment(depth) => {
                if rest.starts_with("*/") {
                    within = if depth == 1 { Within::Code } else { Within::BlockComment(depth - 1) };
                    length = 2;
                } else if rest.starts_with("/*") {
                    within = Within::BlockComment(depth + 1);
                    length = 2;
                } else {
                    line.comment.push(next);
                }
            }
            Within::Text(None) => {
                if next == '\\' && !rest[1..].starts_with('\n') {
                    length += rest[1..].chars().next().map_or(0, char::len_utf8);
                } else if next == '"' {
                    within = Within::Code;
                }
            }
            Within::Text(Some(hashes)) => {
                if next == '"' && rest[1..].starts_with(&"#".repeat(hashes)) {
                    within = Within::Code;
                    length += hashes;
                }
            }
        }
        rest = &rest[length..];
    }
    lines
}

/// The length of `r##"` and its number of hashes, if a raw string starts here and not in the middle of a name.
fn raw_string(rest: &str, before: &str) -> Option<(usize, usize)> {
    let in_a_name =
        before.ends_with(|last: char| last.is_alphanumeric() || last == '_') && !before.ends_with('b');
    let after = rest.strip_prefix('r').filter(|_| !in_a_name)?;
    let hashes = after.bytes().take_while(|byte| *byte == b'#').count();
    after[hashes..].starts_with('"').then_some((hashes + 2, hashes))
}

/// The length of a character literal, if one starts here and not a lifetime.
fn char_literal(rest: &str) -> Option<usize> {
    let inside = rest.strip_prefix('\'')?;
    if let Some(escaped) = inside.strip_prefix('\\') {
        // What is escaped may itself be a quote, so the closing one is looked for behind it.
        let first = escaped.chars().next()?.len_utf8();
        return Some(2 + first + escaped[first..].find('\'')? + 1);
    }
    let first = inside.chars().next()?.len_utf8();
    inside[first..].starts_with('\'').then_some(first + 2)
}

/// Whether `word` stands in `text` by itself.
fn has_word(text: &str, word: &str) -> bool {
    text.split(|letter: char| !(letter.is_alphanumeric() || letter == '_')).any(|found| found == word)
}

/// `unsafe` is used in one crate only, and there every use has a comment that says why it is sound.
pub(super) fn no_unsafe(files: &Files) -> Findings {
    let mut problems = Vec::new();
    for (name, text) in files.ending(".rs") {
        let lines = lines(text);
        for (index, line) in lines.iter().enumerate() {
            let permits = ["allow(", "expect("].iter().any(|lint| line.code.contains(lint));
            let is_unsafe = has_word(&line.code, "unsafe");
            if !name.starts_with(MAY_BE_UNSAFE) {
                if is_unsafe || (permits && has_word(&line.code, "unsafe_code")) {
                    problems.push(Breach::new(
                        format!("{name}:{}", index + 1),
                        "uses or permits unsafe code",
                        "find a safe way; only buttress-docpipeline's kernels may do this",
                    ));
                }
            } else if is_unsafe {
                let around = lines.get(index.saturating_sub(5)..=index).unwrap_or_default();
                if !around
                    .iter()
                    .any(|line| line.comment.contains("SAFETY") || line.comment.contains("# Safety"))
                {
                    problems.push(Breach::new(
                        format!("{name}:{}", index + 1),
                        "does not say why it is sound",
                        "add a `// SAFETY:` comment right above",
                    ));
                }
            }
        }
    }
    (files.ending(".rs").count(), problems)
}

/// No marks of unfinished work, and no macros that stand for it.
pub(super) fn nothing_left_over(files: &Files) -> Findings {
    // Taken apart, so that this file does not find itself.
    let marks = [concat!("TO", "DO"), concat!("FIX", "ME"), concat!("XX", "X")];
    let macros = ["todo", "unimplemented", "dbg"];
    let mut problems = Vec::new();
    let mut add = |name: &str, index: usize, what: &str| {
        problems.push(Breach::new(
            format!("{name}:{}", index + 1),
            format!("{what} is left over"),
            "finish it, or write an issue and take it out",
        ));
    };
    for (name, text) in files.ending(".rs") {
        for (index, line) in lines(text).iter().enumerate() {
            for mark in marks.iter().filter(|mark| has_word(&line.comment, mark)) {
                add(name, index, mark);
            }
            for word in macros.iter().filter(|word| has_word(&line.code, word)) {
                let called = format!("{word}!");
                if line.code.contains(&called) {
                    add(name, index, &called);
                }
            }
        }
    }
    for end in [".md", ".toml"] {
        for (name, text) in files.ending(end) {
            for (index, line) in text.lines().enumerate() {
                for mark in marks.iter().filter(|mark| has_word(line, mark)) {
                    add(name, index, mark);
                }
            }
        }
    }
    (files.texts.len(), problems)
}

/// A long file says why it is one.
pub(super) fn short_or_explained(files: &Files) -> Findings {
    let problems = files.ending(".rs").filter_map(|(name, text)| {
        let length = text.lines().count();
        (length > LONG && !text.contains(LONG_BECAUSE)).then(|| {
            Breach::new(
                name,
                format!("{length} lines, more than {LONG}"),
                format!("split it by ideas, or say in its head: \"{LONG_BECAUSE} …\""),
            )
        })
    });
    (files.ending(".rs").count(), problems.collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn places((_, problems): Findings) -> Vec<String> {
        problems.into_iter().map(|found| found.place).collect()
    }

    fn split(text: &str) -> Vec<(String, String)> {
        lines(text).into_iter().map(|line| (line.code, line.comment)).collect()
    }

    #[test]
    fn code_comments_and_strings_are_told_apart() {
        let one = |text: &str| split(text).remove(0);
        assert_eq!(one("a(\"x // y\"); // z"), ("a(); ".to_owned(), "/ z".to_owned()));
        assert_eq!(one("a /* b /* c */ d */ e"), ("a  e".to_owned(), " b  c  d ".to_owned()));
        assert_eq!(one(r##"a(r#"x" // y"#); b"##), ("a(); b".to_owned(), String::new()));
        assert_eq!(
            one(r"a('\'', '/', '/', 'x', '\u{2f}'); b::<'c>()"),
            ("a(, , , , ); b::<'c>()".to_owned(), String::new())
        );
        assert_eq!(one(r#"a("\\"); b"#), ("a(); b".to_owned(), String::new()));
        let broken = split("a(\"x\\\n y // z\"); b");
        assert_eq!(broken[1], ("); b".to_owned(), String::new()));
    }

    #[test]
    fn unsafe_is_found_where_it_is_code() {
        let files = Files::sample(&[
            ("crates/core/src/a.rs", "// unsafe in words\nlet b = \"unsafe\";\nlet c = unsafe { d() };\n"),
            ("crates/core/src/b.rs", "#![allow(unsafe_code)]\n"),
            ("crates/core/src/c.rs", "#![forbid(unsafe_code)]\n"),
        ]);
        assert_eq!(places(no_unsafe(&files)), ["crates/core/src/a.rs:3", "crates/core/src/b.rs:1"]);
    }

    #[test]
    fn unsafe_without_a_reason_is_found_in_the_crate_that_may() {
        let files = Files::sample(&[
            ("crates/docpipeline/src/a.rs", "// SAFETY: the length was checked.\nunsafe { b() }\n"),
            ("crates/docpipeline/src/c.rs", "unsafe { d() }\n"),
        ]);
        assert_eq!(places(no_unsafe(&files)), ["crates/docpipeline/src/c.rs:1"]);
    }

    #[test]
    fn left_overs_are_found() {
        let mark = concat!("TO", "DO");
        let comment = format!("fn a() {{}} // {mark}: more\n");
        let word = format!("// {mark}S are words\nlet b = \"{mark}\";\n");
        let page = format!("# Plan\n{mark}\n");
        let files = Files::sample(&[
            ("a.rs", &comment),
            ("b.rs", &word),
            ("c.rs", "fn d() {\n    dbg!(1);\n    todo!()\n}\n"),
            ("e.md", &page),
        ]);
        assert_eq!(places(nothing_left_over(&files)), ["a.rs:1", "c.rs:2", "c.rs:3", "e.md:2"]);
    }

    #[test]
    fn a_long_file_without_a_reason_is_found() {
        let long = "fn a() {}\n".repeat(LONG + 1);
        let explained = format!("//! {LONG_BECAUSE} it is a table.\n{long}");
        let files = Files::sample(&[("a.rs", &long), ("b.rs", &explained), ("c.rs", &long[10..])]);
        assert_eq!(places(short_or_explained(&files)), ["a.rs"]);
    }
}
