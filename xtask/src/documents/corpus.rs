//! Which files are measured: a seeded sample of the standard documents of each format.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use buttress_testkit::Random;

/// Folders whose name is not the format's.
const ALIASES: &[(&str, &str)] = &[("markdown", "md")];

/// Files of one format that are measured together.
#[derive(Debug)]
pub(super) struct Set {
    /// As tables name it.
    pub(super) name: String,
    pub(super) format: String,
    pub(super) files: Vec<PathBuf>,
    /// The text of each file as it was written before it became a document, where it is known.
    pub(super) truths: Option<Vec<String>>,
}

impl Set {
    /// Where a file's text as an engine reads it goes.
    pub(super) fn text_file(&self, scratch: &Path, engine: &str, file: usize) -> PathBuf {
        scratch.join(&self.name).join(engine).join(format!("{file}.txt"))
    }
}

/// Every `FOLDER/FORMAT/*` of a format that is asked for, formats in their order.
pub(super) fn files(folder: &Path, formats: &[&str]) -> Result<Vec<(String, Vec<PathBuf>)>> {
    let mut found = Vec::new();
    for format in formats {
        let alias = ALIASES.iter().find(|(_, known)| known == format).map(|(alias, _)| *alias);
        let mut files = Vec::new();
        for name in [Some(*format), alias].into_iter().flatten() {
            let Ok(entries) = std::fs::read_dir(folder.join(name)) else { continue };
            for entry in entries {
                files.push(entry?.path());
            }
        }
        files.retain(|path| path.is_file());
        files.sort();
        if !files.is_empty() {
            found.push(((*format).to_owned(), files));
        }
    }
    Ok(found)
}

/// The names, without extension, that a table of classes calls standard: tab-separated, a line of column names
/// first, the file's name in the first column and its class in the column `class`.
pub(super) fn standard_by_table(table: &Path) -> Result<BTreeSet<String>> {
    let text = std::fs::read_to_string(table).with_context(|| table.display().to_string())?;
    let mut lines = text.lines().map(|line| line.split('\t').collect::<Vec<_>>());
    let class = lines
        .next()
        .and_then(|head| head.iter().position(|name| *name == "class"))
        .with_context(|| format!("{} has no column `class`", table.display()))?;
    Ok(lines
        .filter(|cells| cells.get(class) == Some(&"standard"))
        .filter_map(|cells| cells.first().map(|name| (*name).to_owned()))
        .collect())
}

/// At most `most` of the files, the same ones for the same seed.
pub(crate) fn sample(mut files: Vec<PathBuf>, most: usize, seed: u64) -> Vec<PathBuf> {
    let mut random = Random::new(seed);
    for place in (1..files.len()).rev() {
        let other = random.below(place as u64 + 1);
        files.swap(place, usize::try_from(other).unwrap_or(place));
    }
    files.truncate(most);
    files
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_sample_is_repeated_by_its_seed() {
        let files: Vec<PathBuf> = (0..100).map(|n| PathBuf::from(n.to_string())).collect();
        let once = sample(files.clone(), 10, 1);
        assert_eq!(once.len(), 10);
        assert_eq!(once, sample(files.clone(), 10, 1));
        assert_ne!(once, sample(files.clone(), 10, 2));
        assert_eq!(sample(files, 1000, 1).into_iter().collect::<BTreeSet<_>>().len(), 100);
    }
}
