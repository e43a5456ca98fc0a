//! The Office formats before 2007: streams in a compound file ([MS-CFB]), each format with its own.

mod compound;
mod doc;
mod numbers_at;
mod ppt;
mod properties;
mod xls;

pub(crate) use compound::{CompoundFile, MAGIC};
pub(super) use doc::Doc;
pub(super) use ppt::Ppt;
pub(super) use xls::Xls;

use std::borrow::Cow;

use crate::draft::Draft;
use crate::error::{Error, Result};
use crate::format::Format;

/// Opens the compound file of a document.
fn open(bytes: &[u8], format: Format) -> Result<CompoundFile<'_>> {
    CompoundFile::open(bytes)
        .ok_or_else(|| Error::malformed(format, "the compound file has no directory that can be read"))
}

/// The bytes of a stream, with a warning where its end is missing; `None` when there is no such stream.
fn read_stream<'f>(
    file: &'f CompoundFile<'_>,
    name: &str,
    draft: &mut Draft<'_>,
) -> Result<Option<Cow<'f, [u8]>>> {
    let Some(entry) = file.stream(name) else { return Ok(None) };
    let bytes = file.read(entry, draft.budget())?;
    let (found, claimed) = (bytes.len(), file.size(entry));
    if (found as u64) < claimed {
        draft.warn(format!("the stream {name} ends after {found} of its {claimed} bytes"));
    }
    Ok(Some(bytes))
}

/// The bytes of a stream that the document cannot do without.
fn required_stream<'f>(
    file: &'f CompoundFile<'_>,
    name: &str,
    format: Format,
    draft: &mut Draft<'_>,
) -> Result<Cow<'f, [u8]>> {
    read_stream(file, name, draft)?
        .ok_or_else(|| Error::malformed(format, format!("it has no stream {name}")))
}
