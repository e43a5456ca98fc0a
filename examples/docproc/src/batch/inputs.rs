//! The files to read.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};

/// Every regular file at or below `paths`, in order, each once; the folder `out` is left out. Symbolic links and hidden
/// entries below a folder are not followed, and given back as the second list.
pub(crate) fn collect(paths: &[PathBuf], out: Option<&Path>) -> Result<(Vec<PathBuf>, Vec<PathBuf>)> {
    let out = out.and_then(|out| out.canonicalize().ok());
    let (mut files, mut passed_over) = (BTreeSet::new(), Vec::new());
    let mut folders = Vec::new();
    for path in paths {
        let kind = path.metadata().with_context(|| format!("cannot read {}", path.display()))?;
        if kind.is_dir() {
            folders.push(path.clone());
        } else if kind.is_file() {
            files.insert(path.clone());
        } else {
            bail!("{} is neither a file nor a folder", path.display());
        }
    }
    while let Some(folder) = folders.pop() {
        if out.is_some() && folder.canonicalize().ok() == out {
            continue;
        }
        let entries = folder.read_dir().with_context(|| format!("cannot list {}", folder.display()))?;
        for entry in entries {
            let entry = entry.with_context(|| format!("cannot list {}", folder.display()))?;
            let (path, kind) = (entry.path(), entry.file_type()?);
            let hidden = entry.file_name().to_string_lossy().starts_with('.');
            if hidden || !(kind.is_dir() || kind.is_file()) {
                passed_over.push(path);
            } else if kind.is_dir() {
                folders.push(path);
            } else {
                files.insert(path);
            }
        }
    }
    Ok((files.into_iter().collect(), passed_over))
}
