//! Folders for what is there for a while only.

use std::path::{Path, PathBuf};

use crate::Error;

/// A folder that only its owner enters and that goes with this value, whatever happens.
#[derive(Debug)]
pub(crate) struct Sandbox(PathBuf);

impl Sandbox {
    /// A folder in `scratch`, whose name says what it is for.
    pub(crate) fn make(scratch: &Path, purpose: &str) -> Result<Self, Error> {
        let path = scratch.join(format!("buttress-{purpose}-{:016x}", buttress_core::unique_number()));
        let mut builder = std::fs::DirBuilder::new();
        #[cfg(unix)]
        std::os::unix::fs::DirBuilderExt::mode(&mut builder, 0o700);
        builder.create(&path).map_err(|error| Error::file("make", &path, error))?;
        Ok(Self(path))
    }

    pub(crate) fn path(&self) -> &Path {
        &self.0
    }
}

impl Drop for Sandbox {
    fn drop(&mut self) {
        if let Err(error) = std::fs::remove_dir_all(&self.0) {
            let path = self.0.display();
            tracing::warn!(target: "buttress::backup", %path, %error, "a folder could not be removed");
        }
    }
}
