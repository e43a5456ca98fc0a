//! Archives: each entry is a document inside the document.
//!
//! Nothing is ever written to a disk, so a name cannot lead anywhere; entries whose names try to are left out all the
//! same, because whoever made them meant no good.

use std::io::{Cursor, Error as IoError};

use bytes::Bytes;
use flate2::read::MultiGzDecoder;

use crate::draft::{Draft, Source};
use crate::error::{Error, Result};
use crate::extract::Extractor;
use crate::extract::package::Package;
use crate::format::Format;

/// ZIP archives.
pub(crate) struct Zip;

impl Extractor for Zip {
    fn extract(&self, source: &Source<'_>, draft: &mut Draft<'_>) -> Result<()> {
        let mut package = Package::open(source.bytes.clone(), Format::Zip, draft.budget())?;
        let names = package.names().to_vec();
        let mut encrypted = 0;
        for (index, name) in names.iter().enumerate() {
            if !is_wanted(name, draft) {
                continue;
            }
            if package.is_link(index) {
                draft.warn(format!("{name}: left out, it is no file but a link"));
                continue;
            }
            match package.read_index(index) {
                Ok(bytes) => draft.embed(name, bytes.into())?,
                Err(error) if error.concerns_only_this_part() => {
                    encrypted += usize::from(matches!(error, Error::Encrypted { .. }));
                    draft.warn(format!("{name}: {error}"));
                }
                Err(error) => return Err(error),
            }
        }
        if draft.parts.is_empty() && encrypted > 0 {
            return Err(Error::Encrypted { format: Format::Zip });
        }
        something_was_read(draft)
    }
}

/// TAR archives: POSIX, GNU and older.
pub(crate) struct Tar;

impl Extractor for Tar {
    fn extract(&self, source: &Source<'_>, draft: &mut Draft<'_>) -> Result<()> {
        let damaged = |error: IoError| Error::malformed(Format::Tar, error);
        let mut archive = tar::Archive::new(Cursor::new(&source.bytes));
        for entry in archive.entries().map_err(damaged)? {
            draft.budget().tick()?;
            let entry = match entry {
                Ok(entry) => entry,
                // What came before the damage is worth having.
                Err(error) if !draft.parts.is_empty() => {
                    draft.warn(damaged(error).to_string());
                    break;
                }
                Err(error) => return Err(damaged(error)),
            };
            let name = String::from_utf8_lossy(&entry.path_bytes()).into_owned();
            let kind = entry.header().entry_type();
            if kind.is_dir() || !is_wanted(&name, draft) {
                continue;
            }
            if !kind.is_file() {
                draft.warn(format!("{name}: left out, it is no file but a link or a device"));
                continue;
            }
            let start = usize::try_from(entry.raw_file_position()).unwrap_or(usize::MAX);
            let end = start.saturating_add(usize::try_from(entry.size()).unwrap_or(usize::MAX));
            let there = source.bytes.len();
            if end > there {
                draft.warn(format!("{name}: the archive ends in the middle of it"));
            }
            draft.embed(&name, source.bytes.slice(start.min(there)..end.min(there)))?;
        }
        something_was_read(draft)
    }
}

/// gzip streams: what is inside is read as if it had come by itself.
pub(crate) struct Gzip;

impl Extractor for Gzip {
    fn extract(&self, source: &Source<'_>, draft: &mut Draft<'_>) -> Result<()> {
        let budget = draft.budget();
        let decoder = MultiGzDecoder::new(source.bytes.as_ref());
        let stored_name = decoder.header().and_then(|header| header.filename());
        let name = stored_name.map(|name| String::from_utf8_lossy(name).into_owned());
        let name = name.or_else(|| source.name.map(inner_name));
        let (bytes, complaint) = budget.read_available(decoder, source.bytes.len() as u64)?;
        if let Some(complaint) = complaint {
            let problem = format!("{complaint}, after {} bytes", bytes.len());
            if bytes.is_empty() {
                return Err(Error::malformed(Format::Gzip, problem));
            }
            draft.warn(format!("the gzip stream: {problem}; what came before is kept"));
        }
        let inside = budget.enter()?;
        let inner = Source { name: name.as_deref(), bytes: Bytes::from(bytes) };
        let format = draft.extractors().detect(&inner)?;
        draft.extractors().extract(format, &inner, draft)?;
        drop(inside);
        Ok(())
    }
}

/// `notes.txt.gz` holds `notes.txt`, `notes.tgz` holds `notes.tar`.
fn inner_name(name: &str) -> String {
    match name.rsplit_once('.') {
        Some((stem, extension)) if extension.eq_ignore_ascii_case("gz") => stem.to_owned(),
        Some((stem, extension)) if extension.eq_ignore_ascii_case("tgz") => format!("{stem}.tar"),
        _ => name.to_owned(),
    }
}

/// Whether an entry is to be read; says so in a warning where its name is the reason.
fn is_wanted(name: &str, draft: &mut Draft<'_>) -> bool {
    let folder = name.ends_with(['/', '\\']);
    // What macOS and Windows leave in archives.
    let litter = name.starts_with("__MACOSX/") || name.ends_with(".DS_Store") || name.ends_with("Thumbs.db");
    if folder || litter {
        return false;
    }
    let absolute = name.starts_with(['/', '\\']) || name.get(1..2) == Some(":");
    let climbs = name.split(['/', '\\']).any(|step| step == "..");
    if absolute || climbs {
        draft.warn(format!("{name}: left out, its name points outside the archive"));
        return false;
    }
    true
}

fn something_was_read(draft: &Draft<'_>) -> Result<()> {
    if !draft.parts.is_empty() {
        return Ok(());
    }
    let found = match draft.warnings.as_slice() {
        [] => "an archive without files".to_owned(),
        [only] => format!("an archive with no document that can be read ({only})"),
        [first, rest @ ..] => {
            format!("an archive with no document that can be read ({first}; and {} more)", rest.len())
        }
    };
    Err(Error::Unsupported { found })
}
