//! The log as what sinks are fed from.

use super::{Committed, Source};
use crate::{Error, Log, LogReader};

impl Source for Log {
    async fn committed(&self, first: u64, most: usize, bytes: usize) -> Result<Vec<Committed>, Error> {
        if first >= self.size() {
            return Ok(Vec::new());
        }
        let log = self.clone();
        let read = tokio::task::spawn_blocking(move || batch(&log.reader()?, first, most, bytes));
        read.await.map_err(|_| Error::Closed)?
    }

    fn size(&self) -> u64 {
        Self::size(self)
    }
}

fn batch(reader: &LogReader, first: u64, most: usize, bytes: usize) -> Result<Vec<Committed>, Error> {
    let mut batch = Vec::new();
    let mut left = bytes;
    for found in reader.read(first.max(reader.first()))?.take(most) {
        let (record, leaf) = found?;
        let committed = Committed::encode(record)?;
        if committed.leaf != leaf {
            return Err(Error::malformed("an entry does not have one encoding"));
        }
        left = left.saturating_sub(committed.bytes.len());
        batch.push(committed);
        if left == 0 {
            break;
        }
    }
    Ok(batch)
}
