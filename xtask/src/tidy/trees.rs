//! What comes along with a crate when somebody adds it.

use std::collections::BTreeSet;

use anyhow::Result;

use super::{Breach, Findings};
use crate::workspace::{self, Package, Workspace};

/// How many crates `core` may bring along, itself included.
const CORE_LIMIT: usize = 20;

/// What speaks to a network on its own account. `service` is there to speak; the others only if a feature says so.
const NETWORK: &[&str] = &[
    "async-nats",
    "curl",
    "h2",
    "hyper",
    "isahc",
    "native-tls",
    "object_store",
    "quinn",
    "redis",
    "reqwest",
    "rustls",
    "sqlx",
    "tokio-postgres",
    "tonic",
    "ureq",
];
const SPEAKS: &str = "buttress-service";

/// The crates that come with `package` and its default features, itself included, as `name version`.
pub(super) fn of(workspace: &Workspace, package: &str) -> Result<BTreeSet<String>> {
    let mut tree = workspace.cargo(["tree", "--package", package, "--edges=normal", "--prefix=none"]);
    let text = workspace::output(&mut tree)?;
    Ok(text.lines().filter_map(name_and_version).collect())
}

/// `serde v1.0.228 (*)` is `serde v1.0.228`; what else stands behind the version does not make another crate.
fn name_and_version(line: &str) -> Option<String> {
    let mut words = line.split_whitespace();
    Some(format!("{} {}", words.next()?, words.next()?))
}

pub(super) fn core_is_small(tree: &BTreeSet<String>) -> Findings {
    let problem = (tree.len() > CORE_LIMIT).then(|| {
        let names: Vec<_> = tree.iter().map(String::as_str).collect();
        Breach::new(
            "buttress-core",
            format!("{} crates, more than {CORE_LIMIT}: {}", tree.len(), names.join(", ")),
            "core is in everybody's build: put what needs the new dependency one floor up",
        )
    });
    (tree.len(), problem.into_iter().collect())
}

pub(super) fn light(
    crates: &[&Package],
    tree_of: impl Fn(&str) -> Result<BTreeSet<String>>,
) -> Result<Findings> {
    let mut problems = Vec::new();
    for package in crates.iter().filter(|package| package.name != SPEAKS) {
        for brought in tree_of(&package.name)? {
            let name = brought.split(' ').next().unwrap_or_default();
            if NETWORK.contains(&name) {
                problems.push(Breach::new(
                    &package.name,
                    format!("brings {name} by default"),
                    "make the dependency optional, behind a feature that is off by default",
                ));
            }
        }
    }
    Ok((crates.len(), problems))
}

#[cfg(test)]
mod tests {
    use super::super::sample::package;
    use super::*;

    fn tree(names: &[&str]) -> BTreeSet<String> {
        names.iter().map(|name| format!("{name} v1.0.0")).collect()
    }

    #[test]
    fn the_same_crate_seen_again_is_counted_once() {
        let lines = "serde v1.0.228\nserde v1.0.228 (*)\nserde_derive v1.0.228 (proc-macro)\n\n";
        let names: BTreeSet<_> = lines.lines().filter_map(name_and_version).collect();
        assert_eq!(names.len(), 2);
    }

    #[test]
    fn a_core_of_twenty_is_small_and_of_twenty_one_is_not() {
        let names: Vec<String> = (0..21).map(|number| format!("crate-{number}")).collect();
        let names: Vec<&str> = names.iter().map(String::as_str).collect();
        assert!(core_is_small(&tree(&names[..20])).1.is_empty());
        assert_eq!(core_is_small(&tree(&names)).1.len(), 1);
    }

    #[test]
    fn a_network_client_by_default_is_found_but_for_the_crate_that_speaks() {
        let (cache, service) = (package("buttress-cache", &[]), package(SPEAKS, &[]));
        let heavy = |_: &str| Ok(tree(&["serde", "hyper", "hyper-util"]));
        let Ok((_, problems)) = light(&[&cache, &service], heavy) else {
            unreachable!("the trees are made up")
        };
        assert_eq!(problems.len(), 1);
        assert_eq!(problems[0].place, "buttress-cache");
        assert_eq!(problems[0].problem, "brings hyper by default");
    }
}
