//! What every `Cargo.toml` has to say.

use anyhow::{Context, Result};
use toml::{Table, Value};

use super::sources::Files;
use super::{Breach, Findings};
use crate::workspace::Package;

/// Nobody's default features come in unasked: a feature that is used is a feature that is named.
pub(super) fn bare(packages: &[Package], files: &Files) -> Result<Findings> {
    let root: Table = files.text("Cargo.toml").parse().context("Cargo.toml")?;
    let shared = root.get("workspace").and_then(|workspace| workspace.get("dependencies")?.as_table());
    let mut checked = 0;
    let mut problems = Vec::new();
    for (name, entry) in shared.into_iter().flatten() {
        checked += 1;
        if entry.get("default-features") != Some(&Value::Boolean(false)) {
            problems.push(with_defaults("Cargo.toml", name));
        }
    }
    for package in packages {
        for needed in package.dependencies.iter().filter(|dependency| dependency.source.is_some()) {
            checked += 1;
            if needed.uses_default_features {
                problems.push(with_defaults(&package.name, &needed.name));
            }
        }
    }
    Ok((checked, problems))
}

fn with_defaults(place: &str, dependency: &str) -> Breach {
    Breach::new(
        place,
        format!("{dependency} comes with its default features"),
        "say `default-features = false` and name the features that are used",
    )
}

/// Every member takes the workspace's lints as they are.
pub(super) fn lints(packages: &[Package], files: &Files) -> Result<Findings> {
    let mut problems = Vec::new();
    for package in packages {
        let path = files.relative(&package.manifest_path);
        let manifest: Table = files.text(&path).parse().with_context(|| path.clone())?;
        let inherits = manifest.get("lints").and_then(|lints| lints.get("workspace"));
        if inherits != Some(&Value::Boolean(true)) {
            problems.push(Breach::new(
                path,
                "does not take the workspace's lints",
                "add `[lints]` with `workspace = true`; an exception is an attribute in the code, with its reason",
            ));
        }
    }
    Ok((packages.len(), problems))
}

#[cfg(test)]
mod tests {
    use super::super::sample::package;
    use super::*;

    fn found(findings: Result<Findings>) -> Vec<(String, String)> {
        let (_, problems) = findings.unwrap_or_default();
        problems.into_iter().map(|problem| (problem.place, problem.problem)).collect()
    }

    #[test]
    fn default_features_are_found_in_the_workspace_and_in_a_member() {
        let files = Files::sample(&[(
            "Cargo.toml",
            "[workspace.dependencies]\nserde = { version = \"1\", default-features = false }\nlog = \"0.4\"\n",
        )]);
        let mut member = package("buttress-core", &["serde", "time"]);
        member.dependencies[1].uses_default_features = true;
        let expected = [("Cargo.toml", "log"), ("buttress-core", "time")]
            .map(|(place, name)| (place.to_owned(), format!("{name} comes with its default features")));
        assert_eq!(found(bare(&[member], &files)), expected);
    }

    #[test]
    fn lints_of_its_own_are_found() {
        let files = Files::sample(&[
            ("crates/core/Cargo.toml", "[lints]\nworkspace = true\n"),
            ("crates/health/Cargo.toml", "[lints.rust]\nunsafe_code = \"allow\"\n"),
        ]);
        let packages = [package("buttress-core", &[]), package("buttress-health", &[])];
        let places: Vec<_> = found(lints(&packages, &files)).into_iter().map(|(place, _)| place).collect();
        assert_eq!(places, ["crates/health/Cargo.toml"]);
    }
}
