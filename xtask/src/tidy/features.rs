//! A feature that nobody explains is one that nobody can choose.

use super::sources::Files;
use super::{Breach, Findings};
use crate::workspace::Package;

/// Every feature of a published crate has a comment above it in `Cargo.toml`, and a row in the README if there is one.
pub(super) fn explained(packages: &[Package], files: &Files) -> Findings {
    let mut checked = 0;
    let mut problems = Vec::new();
    for package in packages.iter().filter(|package| package.is_published()) {
        let manifest = files.relative(&package.manifest_path);
        let readme = files.relative(&package.folder().join("README.md"));
        let commented = commented_features(files.text(&manifest));
        for feature in package.features.keys().filter(|feature| is_listed(feature, package)) {
            checked += 1;
            if !commented.contains(&feature.as_str()) {
                problems.push(Breach::new(
                    &manifest,
                    format!("feature `{feature}` has no comment"),
                    "say in a comment above it what it adds and what it costs",
                ));
            }
            if files.has(&readme) && !has_row(files.text(&readme), feature) {
                problems.push(Breach::new(
                    &readme,
                    format!("feature `{feature}` is in no table"),
                    format!("add a row that starts with | `{feature}` |"),
                ));
            }
        }
    }
    (checked, problems)
}

/// Not `default`, and not the features that cargo makes up for optional dependencies without `dep:`.
fn is_listed(feature: &str, package: &Package) -> bool {
    let implicit =
        package.features.get(feature).is_some_and(|enables| *enables == [format!("dep:{feature}")]);
    feature != "default" && !(implicit && package.dependencies.iter().any(|needed| needed.name == feature))
}

/// The keys in `[features]` that have a comment right above them.
fn commented_features(manifest: &str) -> Vec<&str> {
    let section = manifest.lines().skip_while(|line| line.trim() != "[features]").skip(1);
    let lines: Vec<&str> = section.take_while(|line| !line.starts_with('[')).collect();
    let above_and_key = lines.iter().zip(lines.iter().skip(1));
    above_and_key
        .filter(|(above, _)| above.trim_start().starts_with('#'))
        .filter_map(|(_, key)| Some(key.split_once('=')?.0.trim().trim_matches('"')))
        .collect()
}

fn has_row(readme: &str, feature: &str) -> bool {
    readme.lines().any(|line| {
        let cell = line.trim_start().strip_prefix('|').and_then(|rest| rest.split('|').next());
        cell.is_some_and(|cell| cell.trim() == format!("`{feature}`"))
    })
}

#[cfg(test)]
mod tests {
    use super::super::sample::package;
    use super::*;

    fn problems(manifest: &str, readme: Option<&str>) -> Vec<String> {
        let mut core = package("buttress-core", &[]);
        for feature in ["default", "test-util", "wasm"] {
            core.features.insert(feature.to_owned(), Vec::new());
        }
        let mut texts = vec![("crates/core/Cargo.toml", manifest)];
        texts.extend(readme.map(|readme| ("crates/core/README.md", readme)));
        let (_, problems) = explained(&[core], &Files::sample(&texts));
        problems.into_iter().map(|found| format!("{}: {}", found.place, found.problem)).collect()
    }

    const GOOD: &str =
        "[features]\ndefault = []\n# Clocks for tests.\ntest-util = []\n# Runs in a browser.\nwasm = []\n";

    #[test]
    fn a_feature_without_a_comment_is_found() {
        assert!(problems(GOOD, None).is_empty());
        let bad =
            "[features]\ndefault = []\n# Clocks for tests.\ntest-util = []\nwasm = []\n[dependencies]\n";
        assert_eq!(problems(bad, None), ["crates/core/Cargo.toml: feature `wasm` has no comment"]);
    }

    #[test]
    fn a_feature_without_a_row_is_found() {
        let readme = "| feature | adds |\n|---|---|\n| `test-util` | clocks |\n\nThere is also `wasm`.\n";
        assert_eq!(problems(GOOD, Some(readme)), ["crates/core/README.md: feature `wasm` is in no table"]);
    }
}
