//! Folders and files as they are.

use std::path::{Path, PathBuf};

use buttress_core::{Ctx, Validate, Violations};
use serde::{Deserialize, Serialize};

use super::{Collected, Consistency, Source, refused, require_name, root};
use crate::Error;

/// Which folders and files.
///
/// | field | default | |
/// |---|---|---|
/// | `name` | – | the source's name |
/// | `paths` | – | folders and files, absolute; in a snapshot `/srv/blobs` of the source `files` is `/files/srv/blobs` |
/// | `excludes` | none | patterns of what is left out: `*.tmp` and `a/*.tmp` at any depth, `/srv/cache` one path; `*`, `?` and `**` as in [`BackupJob::exclude`](crate::BackupJob::exclude) |
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
#[non_exhaustive]
pub struct FoldersConfig {
    /// The source's name.
    pub name: String,
    /// Folders and files, absolute.
    pub paths: Vec<PathBuf>,
    /// What is left out.
    pub excludes: Vec<String>,
}

impl Validate for FoldersConfig {
    fn validate(&self) -> Result<(), Violations> {
        let mut wrong = Violations::new();
        require_name(&self.name, &mut wrong);
        wrong.require(!self.paths.is_empty(), "paths", "[]", "must name a folder or a file");
        for path in &self.paths {
            let plain = path
                .components()
                .all(|part| matches!(part, std::path::Component::RootDir | std::path::Component::Normal(_)));
            let holds = path.is_absolute() && plain && path.to_str().is_some();
            wrong.require(holds, "paths", path.display(), "must be absolute, without `..`, and UTF-8");
            let inside = self.paths.iter().find(|other| *other != path && path.starts_with(other));
            wrong.require(
                inside.is_none(),
                "paths",
                path.display(),
                "lies in another of the paths, and would be there twice",
            );
        }
        let once = self.paths.iter().collect::<std::collections::BTreeSet<_>>().len() == self.paths.len();
        wrong.require(once, "paths", format_args!("{:?}", self.paths), "must name each path once");
        for pattern in &self.excludes {
            let holds = !pattern.trim_matches('/').is_empty();
            wrong.require(holds, "excludes", pattern, "must be a pattern like \"*.tmp\" or \"/srv/cache\"");
        }
        wrong.into_result()
    }
}

/// Folders and files as they are, read while others may write to them: [`Consistency::Crash`].
///
/// What promises more than each of its files alone, as a database does, wants a source of its own, or [hooks](super::Hooks) that hold it
/// still.
#[derive(Debug, Clone)]
pub struct Folders {
    config: FoldersConfig,
    ctx: Ctx,
}

impl Folders {
    /// The source that `config` describes.
    ///
    /// # Errors
    ///
    /// [`Error::Config`] when something is wrong with it.
    pub fn new(config: FoldersConfig, ctx: &Ctx) -> Result<Self, Error> {
        config.validate().map_err(Error::Config)?;
        Ok(Self { config, ctx: ctx.clone() })
    }

    /// The pattern, of what lies below this source's name alone.
    fn own(&self, pattern: &str) -> String {
        let name = &self.config.name;
        match pattern.strip_prefix('/') {
            Some(path) => format!("/{name}/{path}"),
            None => format!("/{name}/**/{pattern}"),
        }
    }
}

impl Source for Folders {
    fn name(&self) -> &str {
        &self.config.name
    }

    /// Looks whether they are there: one that is gone is an error, and no snapshot without it.
    async fn collect(&self, _: &Path) -> Result<Collected, Error> {
        let taken = self.ctx.clock.wall();
        let mut roots = Vec::new();
        for path in &self.config.paths {
            tokio::fs::metadata(path).await.map_err(|error| Error::file("read", path, error))?;
            let shown = path.to_str().ok_or_else(|| refused(&self.config.name, "a path is not UTF-8"))?;
            roots.push(root(path, &self.config.name, shown));
        }
        let mut collected = Collected::new(roots, Consistency::Crash, taken);
        collected.excludes = self.config.excludes.iter().map(|pattern| self.own(pattern)).collect();
        Ok(collected)
    }
}
