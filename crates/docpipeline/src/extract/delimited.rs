//! Comma- and tab-separated values.

use csv::{ReaderBuilder, StringRecord};

use crate::charset::decode;
use crate::draft::{Draft, Source, Table};
use crate::error::{Error, Result};
use crate::extract::Extractor;
use crate::format::Format;

/// How much of a file is looked at to find its delimiter.
const SAMPLE_BYTES: usize = 16 << 10;

/// Values separated by a delimiter, as one table whose first row is the header.
pub(crate) struct Delimited(pub(crate) Format);

impl Extractor for Delimited {
    fn extract(&self, source: &Source<'_>, draft: &mut Draft<'_>) -> Result<()> {
        let budget = draft.budget();
        let (text, encoding) = decode(&source.bytes, None, budget)?;
        draft.metadata().encoding = Some(encoding.to_owned());
        let (declared, text) = declared_delimiter(&text);
        let sniffed = || if self.0 == Format::Tsv { b'\t' } else { delimiter(text) };
        let delimiter = declared.unwrap_or_else(sniffed);
        let mut reader = ReaderBuilder::new()
            .has_headers(false)
            .flexible(true)
            .delimiter(delimiter)
            .from_reader(text.as_bytes());
        let (mut table, mut record) = (Table::new(), StringRecord::new());
        while reader.read_record(&mut record).map_err(|error| Error::malformed(self.0, error))? {
            table.row(record.iter().map(str::to_owned).collect(), budget)?;
        }
        draft.table(&table)
    }
}

/// The delimiter in a first line `sep=;`, which is how Excel is told of it, and the text behind that line.
fn declared_delimiter(text: &str) -> (Option<u8>, &str) {
    let declaration = text.strip_prefix("sep=").and_then(|rest| rest.split_once('\n'));
    match declaration.map(|(value, rest)| (value.trim_end_matches('\r').as_bytes(), rest)) {
        Some(([delimiter], rest)) if delimiter.is_ascii() && *delimiter != b'"' => (Some(*delimiter), rest),
        _ => (None, text),
    }
}

/// The delimiter that cuts the first lines into the same number of fields, and the most.
fn delimiter(text: &str) -> u8 {
    let sample = text.get(..text.floor_char_boundary(SAMPLE_BYTES)).unwrap_or(text);
    let score = |delimiter: &u8| {
        let mut lines = sample.lines().filter(|line| !line.trim().is_empty()).take(20);
        let count = |line: &str| line.bytes().filter(|b| b == delimiter).count();
        let first = lines.next().map_or(0, count);
        let alike = lines.filter(|line| count(line) == first).count();
        if first == 0 { (0, 0) } else { (alike + 1, first) }
    };
    // The comma wins a draw, so it comes last.
    [b'|', b';', b'\t', b','].into_iter().max_by_key(score).unwrap_or(b',')
}
