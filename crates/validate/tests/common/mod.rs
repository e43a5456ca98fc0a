//! The corpora, and a reader of markup that knows nothing of the crate's own.
#![allow(
    dead_code,
    unreachable_pub,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::unwrap_used,
    clippy::format_collect,
    clippy::format_push_string
)] // Each test uses what it needs.

pub mod attacks;
pub mod benign;

use std::path::Path;

/// Corpora of markup.
pub const MARKUP: [&str; 8] =
    ["dompurify", "html5lib", "bleach", "sanitize_html", "xss_filters", "insane", "blns", "payloadforge_xss"];

/// The payloads of `tests/corpora/NAME.txt`.
pub fn corpus(name: &str) -> Vec<String> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join(format!("tests/corpora/{name}.txt"));
    let text = std::fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
    text.lines().map(unescaped).collect()
}

fn unescaped(line: &str) -> String {
    let mut text = String::with_capacity(line.len());
    let mut chars = line.chars();
    while let Some(c) = chars.next() {
        if c != '\\' {
            text.push(c);
            continue;
        }
        match chars.next() {
            Some('n') => text.push('\n'),
            Some('r') => text.push('\r'),
            Some('t') => text.push('\t'),
            Some('u') => {
                let hex: String = chars.by_ref().skip(1).take_while(|c| *c != '}').collect();
                text.push(u32::from_str_radix(&hex, 16).ok().and_then(char::from_u32).unwrap_or('\u{fffd}'));
            }
            Some(c) => text.push(c),
            None => panic!("a line ends in a backslash: {line}"),
        }
    }
    text
}

/// What is wrong with `html` as the output of a sanitiser: it is read byte by byte in the one form that a serialiser writes.
pub fn danger(html: &str) -> Option<String> {
    let mut rest = html;
    while let Some(start) = rest.find('<') {
        rest = &rest[start + 1..];
        let end = if let Some(closing) = rest.strip_prefix('/') {
            rest = closing;
            true
        } else {
            false
        };
        let name_length = rest.find(|c: char| !c.is_ascii_alphanumeric()).unwrap_or(rest.len());
        let (name, after) = rest.split_at(name_length);
        if !TAGS.contains(&name) {
            return Some(format!("tag `{name}`"));
        }
        rest = after;
        loop {
            if let Some(after) = rest.strip_prefix('>') {
                rest = after;
                break;
            }
            let Some(attribute) = rest.strip_prefix(' ').filter(|_| !end) else {
                return Some(format!("`{}` in a tag", rest.chars().take(9).collect::<String>()));
            };
            let Some((name, value)) = attribute.split_once("=\"") else {
                return Some("an attribute without quotes".to_owned());
            };
            let Some((value, after)) = value.split_once('"') else { return Some("an open quote".to_owned()) };
            if !ATTRIBUTES.contains(&name) {
                return Some(format!("attribute `{name}`"));
            }
            if matches!(name, "href" | "src") {
                let scheme: String = value
                    .chars()
                    .filter(|c| !c.is_whitespace() && !c.is_control())
                    .take_while(|c| *c != ':')
                    .collect();
                if value.contains(':') && matches!(scheme.to_lowercase().as_str(), "javascript" | "vbscript")
                {
                    return Some(format!("{name}={value}"));
                }
                if name == "href" && scheme.eq_ignore_ascii_case("data") && value.contains(':') {
                    return Some(format!("{name}={value}"));
                }
            }
            if name == "style"
                && (value.contains("url") || value.contains('\\') || value.contains("position"))
            {
                return Some(format!("{name}={value}"));
            }
            rest = after;
        }
    }
    None
}

const TAGS: [&str; 72] = [
    "a",
    "abbr",
    "b",
    "bdi",
    "bdo",
    "br",
    "cite",
    "code",
    "del",
    "dfn",
    "em",
    "i",
    "ins",
    "kbd",
    "mark",
    "q",
    "s",
    "samp",
    "small",
    "span",
    "strong",
    "sub",
    "sup",
    "time",
    "u",
    "var",
    "wbr",
    "article",
    "aside",
    "blockquote",
    "caption",
    "col",
    "colgroup",
    "dd",
    "details",
    "div",
    "dl",
    "dt",
    "figcaption",
    "figure",
    "footer",
    "h1",
    "h2",
    "h3",
    "h4",
    "h5",
    "h6",
    "header",
    "hr",
    "img",
    "li",
    "ol",
    "p",
    "pre",
    "rp",
    "rt",
    "ruby",
    "section",
    "summary",
    "table",
    "tbody",
    "td",
    "tfoot",
    "th",
    "thead",
    "tr",
    "ul",
    "big",
    "center",
    "font",
    "tt",
    "strike",
];

const ATTRIBUTES: [&str; 36] = [
    "abbr",
    "align",
    "alt",
    "bgcolor",
    "border",
    "cellpadding",
    "cellspacing",
    "color",
    "colspan",
    "datetime",
    "dir",
    "face",
    "height",
    "href",
    "hreflang",
    "hspace",
    "id",
    "lang",
    "loading",
    "nowrap",
    "open",
    "rel",
    "reversed",
    "rowspan",
    "scope",
    "size",
    "span",
    "src",
    "start",
    "style",
    "summary",
    "target",
    "title",
    "type",
    "valign",
    "width",
];
