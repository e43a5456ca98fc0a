//! Paths to values: `servers[0].port`, `flags."new.chunker".enabled`.

use std::fmt;

/// One step down.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Step {
    Key(String),
    Index(usize),
}

/// The way from the root to a value.
#[derive(Debug, Clone, Default, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct KeyPath(pub(crate) Vec<Step>);

impl KeyPath {
    /// Reads `a.b."c.d"[0].e`; whatever does not fit that form is taken as part of a key, so nothing is refused.
    pub(crate) fn parse(text: &str) -> Self {
        let mut steps = Vec::new();
        for part in split_outside_quotes(text) {
            let (name, indexes) = split_indexes(&part);
            if let (true, Ok(index)) = (indexes.is_empty() && !steps.is_empty(), name.parse()) {
                // `servers.0.port`, as some write it. A table whose key is a number is found all the same: see `Node::get`.
                steps.push(Step::Index(index));
                continue;
            }
            if !name.is_empty() {
                steps.push(Step::Key(name.to_owned()));
            }
            steps.extend(indexes.into_iter().map(Step::Index));
        }
        Self(steps)
    }

    pub(crate) fn child(&self, key: &str) -> Self {
        let mut path = self.clone();
        path.0.push(Step::Key(key.to_owned()));
        path
    }

    pub(crate) fn index(&self, index: usize) -> Self {
        let mut path = self.clone();
        path.0.push(Step::Index(index));
        path
    }

    /// The keys on the way, without the indexes.
    pub(crate) fn keys(&self) -> impl DoubleEndedIterator<Item = &str> {
        self.0.iter().filter_map(|step| match step {
            Step::Key(key) => Some(key.as_str()),
            Step::Index(_) => None,
        })
    }

    /// Whether this is `other` or lies below it.
    pub(crate) fn is_within(&self, other: &Self) -> bool {
        self.0.starts_with(&other.0)
    }
}

impl fmt::Display for KeyPath {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (at, step) in self.0.iter().enumerate() {
            match step {
                Step::Index(index) => write!(f, "[{index}]")?,
                Step::Key(key) => {
                    let dot = if at == 0 { "" } else { "." };
                    let bare = |c: char| c.is_ascii_alphanumeric() || c == '_' || c == '-';
                    if !key.is_empty() && key.chars().all(bare) {
                        write!(f, "{dot}{key}")?;
                    } else {
                        write!(f, "{dot}{key:?}")?;
                    }
                }
            }
        }
        Ok(())
    }
}

/// `a."b.c".d` as `a`, `b.c`, `d`.
fn split_outside_quotes(text: &str) -> Vec<String> {
    let mut parts = vec![String::new()];
    let mut quoted = false;
    for c in text.chars() {
        match c {
            '"' => quoted = !quoted,
            '.' if !quoted => parts.push(String::new()),
            _ => {
                if let Some(part) = parts.last_mut() {
                    part.push(c);
                }
            }
        }
    }
    parts
}

/// `servers[0][1]` as `servers` and `[0, 1]`.
fn split_indexes(part: &str) -> (&str, Vec<usize>) {
    let mut name = part;
    let mut indexes = Vec::new();
    while let Some((rest, index)) = name.strip_suffix(']').and_then(|name| name.rsplit_once('[')) {
        let Ok(index) = index.parse() else { break };
        indexes.insert(0, index);
        name = rest;
    }
    (name, indexes)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_and_writes_the_same_path() {
        for text in ["limits.pages", "servers[0].port", "grid[1][2]", "flags.\"new.chunker\".enabled"] {
            assert_eq!(KeyPath::parse(text).to_string(), text);
        }
        assert_eq!(KeyPath::parse("servers.0.port"), KeyPath::parse("servers[0].port"));
    }
}
