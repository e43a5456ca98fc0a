//! What must not be shown, and how it is shown instead.

use std::cell::Cell;
use std::fmt::{self, Write as _};

use serde::{Deserialize, Deserializer, Serialize, Serializer};

use crate::path::KeyPath;
use crate::tree::{DEFAULTS, Node, Value};

/// What stands for a secret.
pub(crate) const MASK: &str = "***";

/// The name under which a [`Masked`] passes through serde, known to this crate's serialiser and deserialiser.
pub(crate) const MARK: &str = "$buttress_config::Masked";

/// A value of a configuration that is never shown: not by `Debug`, not by `Display`, not by serde, not by
/// [`Loaded::print`](crate::Loaded::print), not in an error.
///
/// ```
/// use buttress_config::Masked;
///
/// let password = Masked::new("hunter2".to_owned());
/// assert_eq!(format!("{password:?} {password}"), "*** ***");
/// assert_eq!(serde_json::to_string(&password)?, "\"***\"");
/// assert_eq!(password.expose(), "hunter2");
/// # Ok::<(), serde_json::Error>(())
/// ```
///
/// The mask does not read back: a configuration that was written out with its secrets masked is refused rather
/// than taken with `***` as the password. Memory is not wiped; where that matters, keep the secret in a store
/// made for it and only its name in the configuration.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct Masked<T>(T);

impl<T> Masked<T> {
    /// Hides `value`.
    pub const fn new(value: T) -> Self {
        Self(value)
    }

    /// The value itself, for the one place that needs it.
    pub const fn expose(&self) -> &T {
        &self.0
    }

    /// The value itself, taken out.
    pub fn into_exposed(self) -> T {
        self.0
    }
}

impl<T> From<T> for Masked<T> {
    fn from(value: T) -> Self {
        Self(value)
    }
}

impl<T> fmt::Debug for Masked<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(MASK)
    }
}

impl<T> fmt::Display for Masked<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(MASK)
    }
}

thread_local! {
    /// Set while this crate writes a tree: the only serialiser that gets to see what is masked.
    static EXPOSED: Cell<bool> = const { Cell::new(false) };
}

/// Runs `work` with masked values visible to serialisation on this thread.
pub(crate) fn exposed<R>(work: impl FnOnce() -> R) -> R {
    struct Restore(bool);
    impl Drop for Restore {
        fn drop(&mut self) {
            EXPOSED.set(self.0);
        }
    }
    let _restore = Restore(EXPOSED.replace(true));
    work()
}

impl<T: Serialize> Serialize for Masked<T> {
    fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        if EXPOSED.get() { to.serialize_newtype_struct(MARK, &self.0) } else { to.serialize_str(MASK) }
    }
}

impl<'de, T: Deserialize<'de>> Deserialize<'de> for Masked<T> {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        struct Visitor<T>(std::marker::PhantomData<T>);
        impl<'de, T: Deserialize<'de>> serde::de::Visitor<'de> for Visitor<T> {
            type Value = T;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a secret")
            }

            fn visit_newtype_struct<D: Deserializer<'de>>(self, from: D) -> Result<T, D::Error> {
                T::deserialize(from)
            }
        }
        from.deserialize_newtype_struct(MARK, Visitor(std::marker::PhantomData)).map(Self)
    }
}

/// Whether the value at `path` must not be shown: marked by its type, or named like a secret.
///
/// A name counts for the value itself. The name of a table above counts for what people put there themselves
/// (`[tokens]` with `alice = "…"`), not for the known settings of a section (`[secrets]` with `backend = "file"`).
pub(crate) fn is_secret(path: &KeyPath, node: &Node) -> bool {
    if node.secret {
        return true;
    }
    let layers = || std::iter::successors(Some(node), |node| node.below.as_deref());
    let is_number = |node: &Node| matches!(node.value, Value::Integer(_) | Value::Float(_));
    let shown_kind = match &node.value {
        // From the environment or the command line, where numbers are text: its default tells.
        Value::Raw(raw) if raw.text.parse::<f64>().is_ok() && layers().any(is_number) => Kind::Number,
        Value::Text(_) | Value::Raw(_) => Kind::Text,
        Value::Integer(_) | Value::Float(_) => Kind::Number,
        // Lists and tables are masked item by item.
        _ => return false,
    };
    let mut names = path.keys().rev();
    if names.next().is_some_and(|name| names_secret(name, shown_kind)) {
        return true;
    }
    let is_known_setting = layers().any(|node| node.layer == DEFAULTS);
    !is_known_setting && names.any(|name| names_secret(name, shown_kind))
}

#[derive(Clone, Copy, PartialEq)]
enum Kind {
    Text,
    Number,
}

/// Names of secrets, without the marks between words.
const SECRET_NAMES: [&str; 13] = [
    "password",
    "passwd",
    "passphrase",
    "secret",
    "credential", // these also hide numbers
    "token",
    "apikey",
    "privatekey",
    "accesskey",
    "signingkey",
    "encryptionkey",
    "masterkey",
    "connectionstring",
];

/// How many of [`SECRET_NAMES`] hide numbers too: `max_tokens = 512` is no secret, `password = 1234` is one.
const HIDE_NUMBERS: usize = 5;

fn names_secret(name: &str, kind: Kind) -> bool {
    let words = name.to_ascii_lowercase();
    let joined: String = words.chars().filter(char::is_ascii_alphanumeric).collect();
    let names = if kind == Kind::Text { SECRET_NAMES.len() } else { HIDE_NUMBERS };
    SECRET_NAMES.iter().take(names).any(|secret| joined.contains(secret))
        || (kind == Kind::Text && words.split(['_', '-', '.']).any(|word| word == "pwd"))
}

/// `text` without the passwords that stand inside it: after a user's name in an address, and in `name=value` pairs
/// whose name is that of a secret (a query, a connection string).
pub(crate) fn mask_text(text: &str) -> String {
    mask_pairs(&mask_userinfo(text))
}

/// `scheme://user:password@host`, also several in one text. Where a bare `/` or `@` in the password makes it
/// doubtful where it ends, too much is masked rather than too little.
fn mask_userinfo(text: &str) -> String {
    let mut shown = String::with_capacity(text.len());
    let mut rest = text;
    while let Some((before, after)) = rest.split_once("://") {
        shown.push_str(before);
        shown.push_str("://");
        // To the next address, without its scheme.
        let scheme = |c: char| c.is_ascii_alphanumeric() || matches!(c, '+' | '.' | '-');
        let next = after
            .find("://")
            .map_or(after, |at| after.get(..at).unwrap_or_default().trim_end_matches(scheme));
        let end = next.find([' ', '\n', '\t', '"', '\'', '`']).unwrap_or(next.len());
        let (address, _) = next.split_at(end);
        rest = after.get(end..).unwrap_or_default();
        match (address.find(':'), address.rfind('@')) {
            (Some(colon), Some(at)) if colon < at && address.find('/').is_none_or(|slash| colon < slash) => {
                let (user, host) = (address.get(..colon), address.get(at..));
                shown.extend([user.unwrap_or_default(), ":", MASK, host.unwrap_or_default()]);
            }
            _ => shown.push_str(address),
        }
    }
    shown.push_str(rest);
    shown
}

fn mask_pairs(text: &str) -> String {
    let separates = |c: char| c.is_whitespace() || matches!(c, '?' | '&' | ';' | ',');
    let mut shown = String::with_capacity(text.len());
    let mut rest = text;
    while let Some((before, after)) = rest.split_once('=') {
        let name = before.rsplit(separates).find(|name| !name.is_empty()).unwrap_or_default();
        shown.push_str(before);
        shown.push('=');
        rest = after;
        if names_secret(name, Kind::Text) {
            let value = after.trim_start();
            let end = match value.chars().next() {
                Some(quote @ ('\'' | '"')) => value.get(1..).and_then(|v| v.find(quote)).map(|at| at + 2),
                _ => value.find(separates),
            };
            let end = end.unwrap_or(value.len());
            if end > 0 {
                shown.push_str(MASK);
            }
            rest = value.get(end..).unwrap_or_default();
        }
    }
    shown.push_str(rest);
    shown
}

/// The texts of all secrets in a tree, for taking them out of messages that somebody else wrote.
pub(crate) fn secret_texts(tree: &Node) -> Vec<String> {
    fn collect(path: &KeyPath, node: &Node, marked: bool, found: &mut Vec<String>) {
        let marked = marked || node.secret;
        match &node.value {
            Value::Table(members) => {
                for (key, node) in members {
                    collect(&path.child(key), node, marked, found);
                }
            }
            Value::List(items) => {
                for (at, item) in items.iter().enumerate() {
                    collect(&path.index(at), item, marked, found);
                }
            }
            Value::Text(text) if marked || is_secret(path, node) => found.push(text.clone()),
            Value::Raw(raw) if marked || is_secret(path, node) => found.push(raw.text.clone()),
            Value::Integer(number) if marked || is_secret(path, node) => found.push(number.to_string()),
            _ => {}
        }
        if let Some(below) = &node.below {
            collect(path, below, marked, found);
        }
    }
    let mut found = Vec::new();
    collect(&KeyPath::default(), tree, false, &mut found);
    // A shorter text is no secret, and would tear holes into every message.
    found.retain(|text| text.len() >= 4);
    found.sort_by_key(|text| std::cmp::Reverse(text.len()));
    found
}

/// `message` without any of `secrets`, and without passwords inside addresses.
pub(crate) fn redact(message: &str, secrets: &[String]) -> String {
    let mut shown = message.to_owned();
    for secret in secrets {
        if shown.contains(secret.as_str()) {
            shown = shown.replace(secret.as_str(), MASK);
        }
    }
    mask_text(&shown)
}

/// A value as TOML would have it, short, with everything masked that must be.
pub(crate) fn show(path: &KeyPath, node: &Node) -> String {
    if is_secret(path, node) {
        return MASK.to_owned();
    }
    match &node.value {
        Value::Unset => "(unset)".to_owned(),
        Value::Bool(value) => value.to_string(),
        Value::Integer(value) => value.to_string(),
        Value::Float(value) => format!("{value:?}"),
        Value::Text(text) => quote(&mask_text(text)),
        Value::Raw(raw) => quote(&mask_text(&raw.text)),
        Value::List(items) => {
            let items = items.iter().enumerate().map(|(at, item)| show(&path.index(at), item));
            format!("[{}]", items.collect::<Vec<_>>().join(", "))
        }
        Value::Table(members) => {
            let members = members.iter().map(|(key, node)| {
                let name = KeyPath::default().child(key);
                format!("{name} = {}", show(&path.child(key), node))
            });
            format!("{{ {} }}", members.collect::<Vec<_>>().join(", ")).replace("{  }", "{}")
        }
    }
}

fn quote(text: &str) -> String {
    let mut quoted = String::with_capacity(text.len() + 2);
    quoted.push('"');
    for c in text.chars() {
        match c {
            '"' => quoted.push_str("\\\""),
            '\\' => quoted.push_str("\\\\"),
            '\n' => quoted.push_str("\\n"),
            '\t' => quoted.push_str("\\t"),
            c if c.is_control() => {
                // Writing to a string cannot fail.
                let _ = write!(quoted, "\\u{:04X}", u32::from(c));
            }
            c => quoted.push(c),
        }
    }
    quoted.push('"');
    quoted
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn passwords_inside_text_are_masked_and_the_rest_stays() {
        for (text, shown) in [
            ("postgres://app:hunter2@db:5432/docs", "postgres://app:***@db:5432/docs"),
            ("redis://:hunter2@cache", "redis://:***@cache"),
            ("postgres://app:hun/ter@2@db/docs", "postgres://app:***@db/docs"),
            ("https://example.org/a@b", "https://example.org/a@b"),
            ("https://user@example.org", "https://user@example.org"),
            ("a://u:p1@x,b://u:p2@y", "a://u:***@x,b://u:***@y"),
            ("host=db password=hunter2 user=app", "host=db password=*** user=app"),
            ("host=db password='hun ter2' user=app", "host=db password=*** user=app"),
            ("https://x/y?token=abc&page=2", "https://x/y?token=***&page=2"),
            ("a = b = c", "a = b = c"),
        ] {
            assert_eq!(mask_text(text), shown, "{text}");
        }
    }

    #[test]
    fn names_of_secrets_are_known() {
        for name in
            ["password", "DB_PASSWORD", "apiKey", "api-key", "client_secret", "auth_token", "private_key"]
        {
            assert!(names_secret(name, Kind::Text), "{name}");
        }
        for name in ["listen", "pages", "keyboard", "path", "key"] {
            assert!(!names_secret(name, Kind::Text), "{name}");
        }
        assert!(!names_secret("max_tokens", Kind::Number));
        assert!(names_secret("password", Kind::Number));
    }
}
