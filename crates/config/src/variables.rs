//! Which environment variables are meant, and which key each one sets.

use std::collections::BTreeMap;

use crate::path::{KeyPath, Step};
use crate::tree::Node;

/// The variables of one prefix, by name.
#[derive(Clone, Default)]
pub(crate) struct Variables {
    prefix: String,
    all: BTreeMap<String, String>,
}

impl Variables {
    /// Keeps those of `vars` that start with `prefix` and an underscore.
    pub(crate) fn new(prefix: &str, vars: impl IntoIterator<Item = (String, String)>) -> Self {
        let start = format!("{prefix}_");
        let all = vars.into_iter().filter(|(name, _)| name.starts_with(&start)).collect();
        Self { prefix: prefix.to_owned(), all }
    }

    pub(crate) fn remove(&mut self, name: &str) {
        self.all.remove(name);
    }

    /// The name of the variable that names the environment: `DOCPROC_ENV`.
    pub(crate) fn environment_name(&self) -> String {
        format!("{}_ENV", self.prefix)
    }

    pub(crate) fn environment(&self) -> Option<&str> {
        self.all.get(&self.environment_name()).map(String::as_str).filter(|name| !name.is_empty())
    }

    /// The variables that set keys: name, the name below the prefix, value.
    pub(crate) fn settings(&self) -> impl Iterator<Item = (&str, &str, &str)> {
        let environment = self.environment_name();
        let linked = self.all.contains_key(&format!("{}_SERVICE_HOST", self.prefix))
            && self.all.contains_key(&format!("{}_SERVICE_PORT", self.prefix));
        self.all.iter().filter_map(move |(name, value)| {
            let below = name.get(self.prefix.len() + 1..)?;
            let skipped = *name == environment || (linked && is_service_link(below, value));
            (!skipped).then_some((name.as_str(), below, value.as_str()))
        })
    }
}

/// Kubernetes tells each container the addresses of the services of its namespace by variables that look like
/// ours when a service has our name: `DOCPROC_SERVICE_HOST`, `DOCPROC_PORT=tcp://…`, `DOCPROC_PORT_80_TCP_ADDR`.
fn is_service_link(below: &str, value: &str) -> bool {
    let address = ["tcp://", "udp://", "sctp://"].iter().any(|scheme| value.starts_with(scheme));
    match below {
        "SERVICE_HOST" | "SERVICE_PORT" => true,
        "PORT" => address,
        _ => {
            let digits = |rest: &str| rest.starts_with(|c: char| c.is_ascii_digit());
            below.strip_prefix("PORT_").is_some_and(digits)
                || (below.starts_with("SERVICE_PORT_") && value.parse::<u16>().is_ok())
        }
    }
}

/// The path that `parts` mean, with each key spelt as the tree spells it: `MAX_PAGES` finds `max-pages`.
pub(crate) fn resolve<'a>(tree: &Node, parts: impl Iterator<Item = &'a str>) -> KeyPath {
    let mut at = Some(tree);
    let steps = parts.map(|part| {
        let members = at.and_then(Node::table);
        let key = members.and_then(|members| {
            if members.contains_key(part) {
                return Some(part.to_owned());
            }
            members.keys().find(|key| folded(key).eq(folded(part))).cloned()
        });
        let step = Step::Key(key.unwrap_or_else(|| part.to_owned()));
        at = at.and_then(|node| node.step(&step));
        step
    });
    KeyPath(steps.collect())
}

fn folded(name: &str) -> impl Iterator<Item = char> {
    name.chars().map(|c| if c == '-' { '_' } else { c.to_ascii_lowercase() })
}
