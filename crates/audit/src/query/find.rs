//! Looking through the log itself, segment by segment.

use super::Filter;
use crate::merkle::Hash;
use crate::reader::Entries;
use crate::{Error, LogReader, Record, SegmentInfo};

/// The entries of a log that fit, in their order. Segments that cannot have any are passed over unread: by sequence, and
/// by the times that the next segment's header tells of them.
///
/// When retention has dropped the beginning of what is looked for, it begins with what is there.
///
/// # Errors
///
/// [`Error::Malformed`] for a header with a time that does not fit this system. What is damaged is told where it is reached.
pub fn find<'a>(reader: &'a LogReader, filter: &Filter) -> Result<Found<'a>, Error> {
    let mut segments = reader.segments()?;
    segments.retain(|segment| could_have(segment, filter));
    segments.reverse();
    Ok(Found { reader, filter: filter.clone(), segments, open: None })
}

/// What [`find`] finds.
#[derive(Debug)]
pub struct Found<'a> {
    reader: &'a LogReader,
    filter: Filter,
    /// Those still to be looked at, the last one first.
    segments: Vec<SegmentInfo>,
    /// The present one, and the sequence after its last entry.
    open: Option<(Entries<'a>, Option<u64>)>,
}

impl Iterator for Found<'_> {
    type Item = Result<(Record, Hash), Error>;

    fn next(&mut self) -> Option<Self::Item> {
        loop {
            let Some((entries, end)) = &mut self.open else {
                let segment = self.segments.pop()?;
                let first = segment.first.max(self.filter.first);
                match self.reader.read(first) {
                    Ok(entries) => self.open = Some((entries, segment.next)),
                    Err(error) => {
                        self.segments.clear();
                        return Some(Err(error));
                    }
                }
                continue;
            };
            match entries.next() {
                Some(Ok((record, _))) if end.is_some_and(|end| record.sequence >= end) => self.open = None,
                Some(Ok((record, leaf))) if self.filter.matches(&record) => return Some(Ok((record, leaf))),
                Some(Ok(_)) => {}
                Some(Err(error)) => {
                    self.segments.clear();
                    self.open = None;
                    return Some(Err(error));
                }
                None => self.open = None,
            }
        }
    }
}

fn could_have(segment: &SegmentInfo, filter: &Filter) -> bool {
    let sequences = (segment.first, segment.next.unwrap_or(u64::MAX));
    let begins = sequences.1 > filter.first && filter.end.is_none_or(|end| sequences.0 < end);
    begins && segment.times.is_none_or(|times| filter.may_match(sequences, times))
}
