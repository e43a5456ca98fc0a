//! A configuration that was read, and the answers to "why is this so?".

use std::fmt::Write as _;
use std::path::Path;
use std::sync::Arc;

use crate::mask;
use crate::path::{KeyPath, Step};
use crate::source::Source;
use crate::tree::{Node, Value};

/// A configuration with the source of each of its values.
#[derive(Clone)]
pub struct Loaded<T> {
    value: T,
    /// The layers, merged.
    tree: Node,
    /// The value as it was read, written down again.
    shown: Node,
    files: Vec<Arc<Path>>,
}

/// One row of [`Loaded::entries`].
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Entry {
    /// The value's path: `"limits.pages"`.
    pub key: String,
    /// The value as TOML would have it, secrets masked.
    pub value: String,
    /// Where it came from.
    pub source: Source,
}

impl<T> Loaded<T> {
    pub(crate) fn new(value: T, tree: Node, mut shown: Node, files: Vec<Arc<Path>>) -> Self {
        mark(&mut shown, &KeyPath::default(), Some(&tree));
        Self { value, tree, shown, files }
    }

    /// The configuration, and the knowledge of its sources by itself.
    pub(crate) fn split(self) -> (T, Loaded<()>) {
        let Self { value, tree, shown, files } = self;
        (value, Loaded { value: (), tree, shown, files })
    }

    /// The configuration.
    pub fn value(&self) -> &T {
        &self.value
    }

    /// The configuration, without the knowledge of its sources.
    pub fn into_value(self) -> T {
        self.value
    }

    /// The files that were read, the lowest layer first.
    pub fn files(&self) -> impl Iterator<Item = &Path> {
        self.files.iter().map(AsRef::as_ref)
    }

    /// Where the value at `key` (`"limits.pages"`, `"servers[0].port"`) came from; `None` when there is no such key.
    pub fn source(&self, key: &str) -> Option<&Source> {
        let path = KeyPath::parse(key);
        let read = self.shown.get(&path).map(|_| &Source::Default);
        self.tree.get(&path).map(|node| &node.source).or(read)
    }

    /// Every value with its source, secrets masked, in the order of the keys.
    pub fn entries(&self) -> Vec<Entry> {
        let mut entries = Vec::new();
        self.shown.leaves(&KeyPath::default(), &mut |path, node| {
            let merged = self.tree.get(path);
            let source = merged.map_or(Source::Default, |node| node.source.clone());
            entries.push(Entry { key: path.to_string(), value: self.show(path, node), source });
        });
        entries
    }

    /// The effective configuration as a table of `key = value   # source`, secrets masked.
    ///
    /// ```text
    /// limits.pages = 50      # variable DOCPROC_LIMITS__PAGES
    /// limits.time = "30s"    # docproc.toml:4:8
    /// store.password = ***   # docproc.production.toml:2:12
    /// ```
    pub fn print(&self) -> String {
        let rows: Vec<_> =
            self.entries().into_iter().map(|e| (format!("{} = {}", e.key, e.value), e.source)).collect();
        aligned(&rows, "# ")
    }

    /// What counts for `key`, and what each lower layer said; `None` when there is no such key.
    ///
    /// ```text
    /// limits.pages = 50    variable DOCPROC_LIMITS__PAGES
    ///     instead of 20    docproc.toml:3:9
    ///     instead of 100   default
    /// ```
    pub fn explain(&self, key: &str) -> Option<String> {
        let path = KeyPath::parse(key);
        let shown = self.shown.get(&path).or_else(|| self.tree.get(&path))?;
        let node = self.tree.get(&path);
        let source = node.map_or(Source::Default, |node| node.source.clone());
        let mut rows = vec![(format!("{path} = {}", self.show(&path, shown)), source)];
        let mut below = node.and_then(|node| node.below.as_deref());
        while let Some(node) = below {
            rows.push((format!("    instead of {}", self.show(&path, node)), node.source.clone()));
            below = node.below.as_deref();
        }
        Some(aligned(&rows, ""))
    }

    /// The keys whose values differ from those of `before`.
    pub(crate) fn changed_keys<U>(&self, before: &Loaded<U>) -> Vec<KeyPath> {
        let mut changed = Vec::new();
        self.shown.leaves(&KeyPath::default(), &mut |path, node| {
            if before.shown.get(path).is_none_or(|old| !old.same(node)) {
                changed.push(path.clone());
            }
        });
        before.shown.leaves(&KeyPath::default(), &mut |path, _| {
            if self.shown.get(path).is_none() {
                changed.push(path.clone());
            }
        });
        changed
    }

    /// The value at `path` as it was read, and where it came from.
    pub(crate) fn at(&self, path: &KeyPath) -> (Option<&Node>, Source) {
        (self.shown.get(path), self.tree.nearest(path).source.clone())
    }

    fn show(&self, path: &KeyPath, node: &Node) -> String {
        if self.shown.get(path).is_some_and(|node| node.secret) {
            return mask::MASK.to_owned();
        }
        mask::show(path, node)
    }
}

/// Marks what must not be shown, by all that is known: the type marks it in one tree, its name and the layer that
/// wrote it are known in the other.
fn mark(shown: &mut Node, path: &KeyPath, written: Option<&Node>) {
    shown.secret |= mask::is_secret(path, shown) || written.is_some_and(|node| mask::is_secret(path, node));
    let secret = shown.secret;
    let below = |step: Step, node: &mut Node| {
        node.secret |= secret;
        let mut path = path.clone();
        path.0.push(step.clone());
        mark(node, &path, written.and_then(|written| written.step(&step)));
    };
    match &mut shown.value {
        Value::Table(members) => {
            for (key, node) in members {
                below(Step::Key(key.clone()), node);
            }
        }
        Value::List(items) => {
            for (at, node) in items.iter_mut().enumerate() {
                below(Step::Index(at), node);
            }
        }
        _ => {}
    }
}

// By hand: the trees hold secrets in the clear.
impl<T> std::fmt::Debug for Loaded<T> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Loaded")
            .field("entries", &self.entries())
            .field("files", &self.files)
            .finish_non_exhaustive()
    }
}

/// Two columns; a row that is much longer than the others does not push them all to the right.
fn aligned(rows: &[(String, Source)], mark: &str) -> String {
    const WIDEST: usize = 60;
    let widths = rows.iter().map(|(left, _)| left.chars().count());
    let width = widths.filter(|width| *width <= WIDEST).max().unwrap_or(0);
    let mut table = String::new();
    for (left, source) in rows {
        // Writing to a string cannot fail.
        let _ = writeln!(table, "{left:<width$}   {mark}{source}");
    }
    table
}
