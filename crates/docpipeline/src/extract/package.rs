//! ZIP packages, read within the budget.

use std::collections::HashMap;
use std::io::{Cursor, Read};

use bytes::Bytes;
use flate2::read::DeflateDecoder;
use zip::result::ZipError;
use zip::{CompressionMethod, ZipArchive};

use crate::budget::Budget;
use crate::charset::decode;
use crate::draft::Draft;
use crate::error::{Error, Limit, Result};
use crate::extract::xml::declared_encoding;
use crate::format::Format;

/// A ZIP file: a package of parts, or an archive.
///
/// Where its directory is lost (a download that broke off), the members are found by their own headers.
pub(crate) struct Package<'b> {
    bytes: Bytes,
    members: Members,
    names: Vec<String>,
    /// Where each name stands, for readers that ask by name.
    by_name: HashMap<String, usize>,
    format: Format,
    budget: &'b Budget,
}

enum Members {
    Listed(ZipArchive<Cursor<Bytes>>),
    Found(Vec<Found>),
}

/// What a member gave before its end, and what was wrong with the rest.
struct Contents {
    bytes: Vec<u8>,
    damage: Option<String>,
}

impl<'b> Package<'b> {
    /// Opens the package.
    pub(crate) fn open(bytes: Bytes, format: Format, budget: &'b Budget) -> Result<Self> {
        budget.check_time()?;
        let (members, names) = match ZipArchive::new(Cursor::new(bytes.clone())) {
            Ok(archive) => {
                let raw = archive.file_names_raw();
                let names = raw.map(|name| String::from_utf8_lossy(name).into_owned()).collect();
                (Members::Listed(archive), names)
            }
            Err(complaint) => {
                let (at, names): (Vec<_>, Vec<_>) = find_members(&bytes, budget)?.into_iter().unzip();
                if at.is_empty() {
                    return Err(Error::malformed(
                        format,
                        format!("the directory of the ZIP file: {complaint}"),
                    ));
                }
                (Members::Found(at), names)
            }
        };
        let max = budget.limits().entries;
        if names.len() as u64 > max {
            return Err(Error::OverLimit { limit: Limit::Entries, max });
        }
        let mut by_name = HashMap::with_capacity(names.len());
        for (index, name) in names.iter().enumerate() {
            by_name.entry(folded(name)).or_insert(index);
        }
        Ok(Self { bytes, members, names, by_name, format, budget })
    }

    /// The names of all members, in the order of the directory.
    pub(crate) fn names(&self) -> &[String] {
        &self.names
    }

    /// Whether the member at `index` is no file but the name of one (a symbolic link, as Unix archivers store it).
    pub(crate) fn is_link(&mut self, index: usize) -> bool {
        const KIND: u32 = 0o170_000;
        const LINK: u32 = 0o120_000;
        match &mut self.members {
            Members::Listed(archive) => archive
                .by_index_raw(index)
                .is_ok_and(|member| member.unix_mode().is_some_and(|mode| mode & KIND == LINK)),
            // Only the directory tells.
            Members::Found(_) => false,
        }
    }

    /// The bytes of the member at `index`, decompressed and charged.
    pub(crate) fn read_index(&mut self, index: usize) -> Result<Vec<u8>> {
        let contents = self.contents(index)?;
        match contents.damage {
            None => Ok(contents.bytes),
            Some(damage) => Err(Error::malformed(self.format, damage)),
        }
    }

    /// The bytes of the member called `name`, as far as they can be read; `None` when there is no such member.
    pub(crate) fn read(&mut self, name: &str, draft: &mut Draft<'_>) -> Result<Option<Vec<u8>>> {
        let Some(index) = self.by_name.get(&folded(name)).copied() else { return Ok(None) };
        let contents = self.contents(index)?;
        if let Some(damage) = contents.damage {
            draft.warn(damage);
        }
        Ok(Some(contents.bytes))
    }

    /// The XML member called `name` as text; `None` when there is none.
    pub(crate) fn xml(&mut self, name: &str, draft: &mut Draft<'_>) -> Result<Option<String>> {
        let Some(bytes) = self.read(name, draft)? else { return Ok(None) };
        // Nearly all is UTF-8, which need not be copied.
        let bytes = match String::from_utf8(bytes) {
            Ok(text) if !text.contains('\0') => return Ok(Some(text)),
            Ok(text) => text.into_bytes(),
            Err(not_utf8) => not_utf8.into_bytes(),
        };
        let declared = declared_encoding(&bytes);
        Ok(Some(decode(&bytes, declared.as_deref(), self.budget)?.0.into_owned()))
    }

    /// The XML member called `name`, which the package cannot do without.
    pub(crate) fn required_xml(&mut self, name: &str, draft: &mut Draft<'_>) -> Result<String> {
        match self.xml(name, draft)? {
            Some(text) if !text.trim().is_empty() => Ok(text),
            Some(_) => Err(Error::malformed(self.format, format!("nothing of its {name} can be read"))),
            None => Err(Error::malformed(self.format, format!("it has no {name}"))),
        }
    }

    fn contents(&mut self, index: usize) -> Result<Contents> {
        self.budget.entry()?;
        let (budget, format) = (self.budget, self.format);
        let name = self.names.get(index).map_or("", String::as_str);
        let malformed =
            |problem: &dyn std::fmt::Display| Error::malformed(format, format!("{name}: {problem}"));
        let found = match &mut self.members {
            Members::Listed(archive) => locate(archive, index).map_err(|complaint| malformed(&complaint))?,
            Members::Found(members) => {
                *members.get(index).ok_or_else(|| malformed(&"there is no such member"))?
            }
        };
        if found.encrypted {
            return Err(Error::Encrypted { format });
        }
        // Sizes and checksums that the directory declares are not asked: they may lie, and a wrong checksum says
        // nothing about how much of the text is wrong.
        let data = self.bytes.get(found.start..found.end.min(self.bytes.len())).unwrap_or_default();
        match found.method {
            CompressionMethod::Stored => read_member(data, data, name, budget),
            CompressionMethod::Deflated => read_member(DeflateDecoder::new(data), data, name, budget),
            method => Err(malformed(&format!("its compression ({method}) is not known"))),
        }
    }
}

/// A name as it is compared: some writers disagree with themselves about letter case, or write the separator of Windows.
fn folded(name: &str) -> String {
    name.trim_start_matches('/').replace('\\', "/").to_ascii_lowercase()
}

/// Where a member of the directory stands.
fn locate(archive: &mut ZipArchive<Cursor<Bytes>>, index: usize) -> Result<Found, ZipError> {
    let member = archive.by_index_raw(index)?;
    let place = |offset: Option<u64>| usize::try_from(offset?).ok();
    let start = place(member.data_start()).ok_or(ZipError::FileNotFound)?;
    let end = start.saturating_add(place(Some(member.compressed_size())).unwrap_or(usize::MAX));
    Ok(Found { start, end, method: member.compression(), encrypted: member.encrypted() })
}

/// The member that `target` means, as seen from `folder`.
pub(in crate::extract) fn resolve(folder: &str, target: &str) -> String {
    if let Some(absolute) = target.strip_prefix('/') {
        return absolute.to_owned();
    }
    let mut steps: Vec<&str> = folder.split('/').filter(|step| !step.is_empty()).collect();
    for step in target.split('/') {
        match step {
            ".." => {
                steps.pop();
            }
            "" | "." => {}
            step => steps.push(step),
        }
    }
    steps.join("/")
}

fn read_member(inner: impl Read, compressed: &[u8], name: &str, budget: &Budget) -> Result<Contents> {
    let (bytes, complaint) = budget.read_available(inner, compressed.len() as u64)?;
    let damage = complaint.map(|complaint| format!("{name}: {complaint}, after {} bytes", bytes.len()));
    Ok(Contents { bytes, damage })
}

/// Where a member stands.
#[derive(Clone, Copy)]
struct Found {
    start: usize,
    end: usize,
    method: CompressionMethod,
    encrypted: bool,
}

/// The signature of the header that stands before each member (APPNOTE 4.3.7).
const LOCAL_HEADER: &[u8] = b"PK\x03\x04";
/// Its length, without the name and the extra field.
const LOCAL_HEADER_BYTES: usize = 30;

/// The members whose headers can be found. Sizes in headers may be zero (they follow the data then), so a member ends
/// where the next begins: neither of the two compressions reads past its own end.
fn find_members(bytes: &[u8], budget: &Budget) -> Result<Vec<(Found, String)>> {
    let starts: Vec<usize> = memchr::memmem::find_iter(bytes, LOCAL_HEADER).collect();
    let mut members = Vec::new();
    for (i, start) in starts.iter().copied().enumerate() {
        budget.tick()?;
        let next = starts.get(i + 1).copied().unwrap_or(bytes.len());
        let Some(header) = bytes.get(start..start + LOCAL_HEADER_BYTES) else { continue };
        let short = |at: usize| match header.get(at..at + 2) {
            Some([low, high]) => u16::from_le_bytes([*low, *high]),
            _ => 0,
        };
        let (name, extra) = (usize::from(short(26)), usize::from(short(28)));
        let stored_size = usize::from(short(18)) | usize::from(short(20)) << 16;
        let name_start = start + LOCAL_HEADER_BYTES;
        let Some(raw_name) = bytes.get(name_start..name_start + name) else { continue };
        let data = name_start + name + extra;
        let method = match short(8) {
            0 => CompressionMethod::Stored,
            8 => CompressionMethod::Deflated,
            _ => continue,
        };
        let end = if method == CompressionMethod::Stored { next.min(data + stored_size) } else { next };
        let found = Found { start: data.min(end), end, method, encrypted: short(6) & 1 == 1 };
        members.push((found, String::from_utf8_lossy(raw_name).into_owned()));
    }
    Ok(members)
}
