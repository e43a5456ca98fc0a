//! One element of a page that a command may mean, as one line of an outline.

use std::fmt::Write;

use super::relevance::Command;
use super::scan::{Tag, plain, push_plain};

/// The longest text, attribute and list of entries in characters.
const MOST_TEXT: usize = 80;
const MOST_VALUE: usize = 60;
const MOST_ENTRIES: usize = 160;
/// The longest name of an element in bytes; longer ones are looked over.
pub(crate) const MOST_NAME: usize = 24;

/// An element that a command may mean.
#[derive(Debug, Default)]
pub(crate) struct Element {
    /// Its name in lower case.
    pub(crate) tag: String,
    /// What it shows so far.
    pub(crate) text: String,
    id: String,
    class: String,
    name: String,
    kind: String,
    role: String,
    label: String,
    placeholder: String,
    of: String,
    href: String,
    value: String,
    /// Whether it is there only because the command has a word of its id or class.
    mentioned: bool,
}

impl Element {
    /// The element that a tag opens, if a command may mean it.
    pub(crate) fn of(tag: &Tag<'_>, command: &Command) -> Option<Self> {
        if tag.name.len() > MOST_NAME || !is_identifier(tag.name) {
            return None;
        }
        let mut element = Self { tag: tag.name.to_ascii_lowercase(), ..Self::default() };
        let mut hidden = false;
        let mut acts = false;
        for (name, value) in tag.attributes() {
            if name.len() > MOST_NAME {
                continue;
            }
            let field = match name.to_ascii_lowercase().as_str() {
                "id" => &mut element.id,
                "class" => &mut element.class,
                "name" => &mut element.name,
                "type" => &mut element.kind,
                "role" => &mut element.role,
                "aria-label" | "title" | "alt" => &mut element.label,
                "placeholder" => &mut element.placeholder,
                "for" => &mut element.of,
                "href" | "src" => &mut element.href,
                "value" => &mut element.value,
                "hidden" => {
                    hidden = true;
                    continue;
                }
                "onclick" | "contenteditable" => {
                    acts = true;
                    continue;
                }
                _ => continue,
            };
            // The first of equal attributes counts, as in browsers.
            if field.is_empty() && !is_data(value) {
                *field = plain(value, MOST_VALUE);
            }
        }
        if hidden || (element.tag == "input" && element.kind.eq_ignore_ascii_case("hidden")) {
            return None;
        }
        let fixed = ["submit", "button", "reset", "checkbox", "radio"];
        if !fixed.iter().any(|kind| element.kind.eq_ignore_ascii_case(kind)) {
            // What people have filled in is theirs.
            element.value.clear();
        }
        let by_tag = matches!(
            element.tag.as_str(),
            "a" | "button"
                | "input"
                | "select"
                | "textarea"
                | "label"
                | "legend"
                | "summary"
                | "iframe"
                | "h1"
                | "h2"
                | "h3"
                | "h4"
                | "h5"
                | "h6"
        );
        let by_role = matches!(
            element.role.as_str(),
            "button"
                | "link"
                | "tab"
                | "checkbox"
                | "radio"
                | "switch"
                | "menuitem"
                | "option"
                | "combobox"
                | "textbox"
                | "searchbox"
                | "heading"
        );
        if by_tag || by_role || acts {
            return Some(element);
        }
        // What a command asks to read is seldom interactive, and often called what it is.
        element.mentioned = command.overlap([element.id.as_str(), element.class.as_str()]) > 0;
        element.mentioned.then_some(element)
    }

    /// Whether nothing can be inside of it.
    pub(crate) fn is_void(&self) -> bool {
        matches!(self.tag.as_str(), "input" | "iframe")
    }

    /// Adds to what it shows.
    pub(crate) fn push_text(&mut self, text: &str) {
        let most = if self.tag == "select" { MOST_ENTRIES } else { MOST_TEXT };
        push_plain(&mut self.text, text, most);
    }

    /// Adds the sign between the entries of a list.
    pub(crate) fn push_entry(&mut self) {
        if self.tag == "select" && !self.text.is_empty() {
            self.push_text("| ");
        }
    }

    /// How much the command speaks of it: 1000 and more when it is named, 10 for each word in common, and a little
    /// for what can be used rather than read.
    pub(crate) fn score(&self, command: &Command) -> usize {
        let shown = [&self.text, &self.label, &self.placeholder, &self.id, &self.name, &self.value];
        let named = shown.into_iter().any(|shown| command.names(shown));
        let texts = shown.into_iter().chain([&self.of, &self.href, &self.class]);
        let usual = match self.tag.as_str() {
            "input" | "button" | "select" | "textarea" => 4,
            "label" | "h1" | "h2" => 2,
            _ if self.mentioned => 1,
            _ => 3,
        };
        usize::from(named) * 1_000 + 10 * command.overlap(texts.map(String::as_str)).min(9) + usual
    }

    /// The line that stands for it, and what it is the same as others by; nothing if it cannot be told from others.
    pub(crate) fn lines(&self) -> Option<(String, String)> {
        let mut line = self.tag.clone();
        if is_identifier(&self.id) {
            push(&mut line, format_args!("#{}", self.id));
        } else {
            attribute(&mut line, "id", &self.id);
        }
        attribute(&mut line, "name", &self.name);
        if self.tag == "input" {
            attribute(&mut line, "type", &self.kind);
        }
        attribute(&mut line, "role", &self.role);
        if self.mentioned {
            for class in self.class.split(' ').filter(|class| is_identifier(class)).take(3) {
                push(&mut line, format_args!(".{class}"));
            }
            // One example of many rows is enough.
            let same = line.clone();
            shown(&mut line, "", &self.text);
            return Some((line, same));
        }
        let selector = line.len();
        shown(&mut line, "", &self.text);
        shown(&mut line, "label=", &self.label);
        shown(&mut line, "placeholder=", &self.placeholder);
        shown(&mut line, "for=", &self.of);
        if self.tag == "input" {
            shown(&mut line, "value=", &self.value);
        }
        if matches!(self.tag.as_str(), "a" | "iframe") {
            shown(&mut line, "href=", &self.href);
        }
        let told = line.len() > selector || selector > self.tag.len();
        told.then(|| (line.clone(), line))
    }
}

/// Addresses that carry what they stand for, or a program.
fn is_data(value: &str) -> bool {
    let value = value.trim_start();
    ["data:", "javascript:", "blob:"]
        .iter()
        .any(|scheme| value.get(..scheme.len()).is_some_and(|head| head.eq_ignore_ascii_case(scheme)))
}

fn is_identifier(text: &str) -> bool {
    !text.is_empty()
        && !text.starts_with(|c: char| c.is_ascii_digit())
        && text.chars().all(|c| c.is_ascii_alphanumeric() || matches!(c, '-' | '_'))
        && text != "-"
}

fn push(line: &mut String, what: std::fmt::Arguments<'_>) {
    // To write to a string does not fail.
    let _ = line.write_fmt(what);
}

/// `[name=q]`
fn attribute(line: &mut String, name: &str, value: &str) {
    if is_identifier(value) {
        push(line, format_args!("[{name}={value}]"));
    } else if !value.is_empty() {
        push(line, format_args!("[{name}='{}']", value.replace(['\'', '"'], "’")));
    }
}

/// ` "Log in"`; the quotes inside are others, so that a page cannot end its own text.
fn shown(line: &mut String, what: &str, text: &str) {
    let text = text.trim_end();
    if !text.is_empty() {
        push(line, format_args!(" {what}\"{}\"", text.replace('"', "’")));
    }
}
