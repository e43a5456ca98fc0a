//! ZIP packages, read within the budget.

use std::borrow::Cow;
use std::io::Cursor;

use bytes::Bytes;
use zip::ZipArchive;
use zip::result::ZipError;

use crate::budget::Budget;
use crate::charset::decode;
use crate::error::{Error, Result};
use crate::extract::xml::declared_encoding;
use crate::format::Format;

/// A ZIP file: a package of parts, or an archive.
pub(crate) struct Package<'b> {
    archive: ZipArchive<Cursor<Bytes>>,
    format: Format,
    budget: &'b Budget,
}

impl<'b> Package<'b> {
    /// Opens the package.
    pub(crate) fn open(bytes: Bytes, format: Format, budget: &'b Budget) -> Result<Self> {
        budget.check_time()?;
        let archive = ZipArchive::new(Cursor::new(bytes))
            .map_err(|error| Error::malformed(format, format!("the directory of the ZIP file: {error}")))?;
        // A directory has an entry of its own for each member, however small.
        if archive.len() as u64 > budget.limits().entries {
            let (limit, max) = (crate::Limit::Entries, budget.limits().entries);
            return Err(Error::OverLimit { limit, max });
        }
        Ok(Self { archive, format, budget })
    }

    /// The names of all members, in the order of the directory.
    pub(crate) fn names(&self) -> Vec<String> {
        self.archive.file_names_raw().map(|name| String::from_utf8_lossy(name).into_owned()).collect()
    }

    /// The bytes of the member at `index`, decompressed and charged.
    pub(crate) fn read_index(&mut self, index: usize) -> Result<Vec<u8>> {
        let format = self.format;
        self.budget.entry()?;
        let member = match self.archive.by_index(index) {
            Ok(member) => member,
            Err(ZipError::UnsupportedArchive(reason))
                if reason.to_string().to_lowercase().contains("password") =>
            {
                return Err(Error::Encrypted { format });
            }
            Err(error) => return Err(Error::malformed(format, format!("member {index}: {error}"))),
        };
        if member.encrypted() {
            return Err(Error::Encrypted { format });
        }
        let compressed = member.compressed_size();
        let name = member.name().map_or_else(|_| format!("member {index}"), Cow::into_owned);
        self.budget
            .read_to_end(member, compressed, |error| Error::malformed(format, format!("{name}: {error}")))
    }

    /// The bytes of the member called `name`; `None` when there is none.
    pub(crate) fn read(&mut self, name: &str) -> Result<Option<Vec<u8>>> {
        let name = name.trim_start_matches('/');
        let index = self.archive.index_for_name(name).or_else(|| {
            // Some writers disagree with themselves about letter case.
            let position = |raw: &[u8]| raw.eq_ignore_ascii_case(name.as_bytes());
            self.archive.file_names_raw().position(position)
        });
        index.map(|index| self.read_index(index)).transpose()
    }

    /// The XML member called `name` as text; `None` when there is none.
    pub(crate) fn xml(&mut self, name: &str) -> Result<Option<String>> {
        let Some(bytes) = self.read(name)? else { return Ok(None) };
        let declared = declared_encoding(&bytes);
        match decode(&bytes, declared.as_deref(), self.budget)?.0 {
            Cow::Owned(text) => Ok(Some(text)),
            // Valid as it is, so the check that `decode` has made holds for the whole.
            Cow::Borrowed(_) => Ok(Some(
                String::from_utf8(bytes).unwrap_or_default().trim_start_matches('\u{feff}').to_owned(),
            )),
        }
    }

    /// The XML member called `name`, which the package cannot do without.
    pub(crate) fn required_xml(&mut self, name: &str) -> Result<String> {
        self.xml(name)?.ok_or_else(|| Error::malformed(self.format, format!("it has no {name}")))
    }
}
