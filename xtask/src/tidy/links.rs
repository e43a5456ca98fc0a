//! Links between documents lead somewhere.

use std::collections::BTreeSet;

use pulldown_cmark::{Event, Options, Parser, Tag, TagEnd};

use super::sources::Files;
use super::{Breach, Findings};

/// Every relative link in a Markdown file names a file that is there, and a heading that is in it.
pub(super) fn resolve(files: &Files) -> Findings {
    let mut checked = 0;
    let mut problems = Vec::new();
    for (name, text) in files.ending(".md") {
        for (offset, link) in links(text) {
            if link.contains("://") || link.starts_with("mailto:") {
                continue;
            }
            checked += 1;
            if let Some(problem) = wrong(&link, name, files) {
                let line = text.get(..offset).unwrap_or_default().lines().count().max(1);
                let remedy = "name what is there now, by its path from this file";
                problems.push(Breach::new(format!("{name}:{line}"), problem, remedy));
            }
        }
    }
    (checked, problems)
}

/// What is wrong with a link in the file `from`, if anything.
fn wrong(link: &str, from: &str, files: &Files) -> Option<String> {
    let (path, anchor) = link.split_once('#').map_or((link, None), |(path, anchor)| (path, Some(anchor)));
    let target = if path.is_empty() { from.to_owned() } else { join(from, path)? };
    if !files.exists(&target) {
        return Some(format!("{link} leads to {target}, which is not there"));
    }
    let anchor = anchor.filter(|_| files.has(&target) && is_markdown(&target))?;
    let known = anchors(files.text(&target));
    (!known.contains(anchor)).then(|| format!("{link}: {target} has no heading #{anchor}"))
}

fn is_markdown(name: &str) -> bool {
    std::path::Path::new(name).extension().is_some_and(|extension| extension == "md")
}

/// `path` as seen from the folder of the file `from`; one that starts with `/` is seen from the root. `None` if it
/// leaves the repository: such links lead to pages of the forge, which are not ours to check.
fn join(from: &str, path: &str) -> Option<String> {
    let mut parts: Vec<&str> = from.split('/').collect();
    parts.pop();
    if path.starts_with('/') {
        parts.clear();
    }
    for part in path.split('/') {
        match part {
            "" | "." => {}
            ".." => {
                parts.pop()?;
            }
            name => parts.push(name),
        }
    }
    Some(parts.join("/"))
}

/// Every link and image, with where it starts.
fn links(text: &str) -> Vec<(usize, String)> {
    Parser::new_ext(text, Options::all())
        .into_offset_iter()
        .filter_map(|(event, range)| match event {
            Event::Start(Tag::Link { dest_url, .. } | Tag::Image { dest_url, .. }) => {
                Some((range.start, dest_url.into_string()))
            }
            _ => None,
        })
        .collect()
}

/// The anchors that a forge makes of a document's headings.
fn anchors(text: &str) -> BTreeSet<String> {
    let mut anchors = BTreeSet::new();
    let mut heading: Option<String> = None;
    for event in Parser::new_ext(text, Options::ENABLE_TABLES | Options::ENABLE_STRIKETHROUGH) {
        match event {
            Event::Start(Tag::Heading { .. }) => heading = Some(String::new()),
            Event::End(TagEnd::Heading(_)) => {
                let anchor = slug(&heading.take().unwrap_or_default());
                let again = (1..).map(|number| format!("{anchor}-{number}"));
                let free = std::iter::once(anchor.clone()).chain(again).find(|name| !anchors.contains(name));
                anchors.extend(free);
            }
            Event::Text(text) | Event::Code(text) => {
                if let Some(heading) = &mut heading {
                    heading.push_str(&text);
                }
            }
            _ => {}
        }
    }
    anchors
}

/// A heading as an anchor: small letters, spaces as hyphens, no other signs.
fn slug(heading: &str) -> String {
    let kept = heading.trim().chars().filter_map(|letter| match letter {
        ' ' => Some('-'),
        '-' | '_' => Some(letter),
        _ => letter.is_alphanumeric().then_some(letter),
    });
    kept.flat_map(char::to_lowercase).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_link_to_nothing_is_found_with_its_line() {
        let files = Files::sample(&[
            ("README.md", "# Hello\n\nSee [design](docs/DESIGN.md#why-so) and [it](docs/GONE.md).\n"),
            (
                "docs/DESIGN.md",
                "# Why so?\n\n[back](../README.md#hello) [root](/README.md) [web](https://a.b/c)\n",
            ),
        ]);
        let (checked, problems) = resolve(&files);
        assert_eq!(checked, 4);
        assert_eq!(problems.len(), 1);
        assert_eq!(problems[0].place, "README.md:3");
        assert_eq!(problems[0].problem, "docs/GONE.md leads to docs/GONE.md, which is not there");
    }

    #[test]
    fn a_heading_that_is_not_there_is_found() {
        let files = Files::sample(&[(
            "README.md",
            "# One `two`: three!\n# Again\n# Again\n[a](#one-two-three) [b](#again-1) [c](#four)\n",
        )]);
        let found: Vec<_> = resolve(&files).1.into_iter().map(|problem| problem.problem).collect();
        assert_eq!(found, ["#four: README.md has no heading #four"]);
    }

    #[test]
    fn a_link_in_code_is_no_link() {
        let files = Files::sample(&[("README.md", "```text\n[a](gone.md)\n```\n`[b](gone.md)`\n")]);
        assert_eq!(resolve(&files).0, 0);
    }
}
