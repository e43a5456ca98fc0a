//! Paths that stay below a folder: first as text, then as files.
//!
//! [`SafePath`] has no `..`, no beginning at the top, and nothing that another system reads as either. That is half of it: a
//! link in the folder may lead out, and may be put there after anybody has looked. So files are opened through a [`Root`]
//! (feature `path`, Unix), which has the kernel resolve the path without leaving the folder or following a link.
#![cfg_attr(
    all(feature = "path", unix),
    doc = "
```
use buttress_validate::{Root, SafePath};
use std::io::{Read, Write};

# let folder = tempfile::tempdir()?;
let root = Root::open(folder.path())?;
let path: SafePath = \"note.txt\".parse()?;
root.create(&path)?.write_all(b\"hello\")?;
let mut text = String::new();
root.read(&path)?.read_to_string(&mut text)?;
assert_eq!(text, \"hello\");
assert!(\"../../etc/passwd\".parse::<SafePath>().is_err());
# Ok::<(), Box<dyn std::error::Error>>(())
```
"
)]

#[cfg(all(feature = "path", unix))]
mod root;
mod safe;
#[cfg(all(feature = "path", unix))]
mod walk;

#[cfg(all(feature = "path", unix))]
pub use root::{Entry, EntryKind, Root};
pub use safe::SafePath;
