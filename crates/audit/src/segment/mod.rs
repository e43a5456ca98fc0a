//! A file of the log: a header, then frames, each one group of entries that became durable together.
//!
//! A frame is only begun when the one before it is on the disk. So a frame that does not read is the torn end of a crash if nothing
//! follows it, and damage if a later frame does.

mod frame;
mod header;
mod scan;

pub(crate) use frame::{FRAME_HEADER, LONGEST_FRAME, build};
pub(crate) use header::{HEADER, Header, file_name, number_of};
pub(crate) use scan::{Next, Scanner, entries, later_frame};

/// Reads any bytes as a segment, and answers how many entries it holds before whatever stops it. For fuzzing.
#[doc(hidden)]
pub fn scan_any(bytes: &[u8]) -> u64 {
    let mut from = bytes;
    let Ok(header) = Header::read(&mut from) else { return 0 };
    let first = header.first;
    let chain = header.chain_start();
    let mut scanner = Scanner::new(from, &header, chain, bytes.len() as u64);
    let mut size = first;
    while let Ok(Next::Frame(frame)) = scanner.next() {
        assert_eq!(frame.first, size, "frames follow each other");
        for bytes in entries(&frame.payload) {
            let Ok(bytes) = bytes else { return size - first };
            if let Ok(record) = crate::Record::decode(bytes) {
                let again = record.encode();
                assert!(again.is_ok_and(|again| again == bytes), "an entry has one encoding");
            }
        }
        size += frame.leaves.len() as u64;
    }
    size - first
}

#[cfg(test)]
mod tests;
