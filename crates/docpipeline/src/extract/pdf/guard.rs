//! Streams that would swell are refused before anything decodes them: the decoder has no bound of its own.

use flate2::{Decompress, FlushDecompress, Status};

use crate::budget::Budget;
use crate::error::{Error, Limit, Result};

/// How much of a stream is inflated to see how it swells.
const SAMPLE_BYTES: usize = 4 << 10;

/// Streams that swell less than this over the sample are taken as they are: text and fonts stay far below.
const SUSPICIOUS_RATIO: usize = 100;

/// Refuses a document with a deflated stream that would exceed what the budget lets it expand to.
///
/// Costs the inflating of 4 KiB of each stream; only a suspicious one is inflated whole, into nothing.
pub(super) fn refuse_bombs(pdf: &[u8], budget: &Budget) -> Result<()> {
    for at in memchr::memmem::find_iter(pdf, b"stream") {
        budget.tick()?;
        let after = pdf.get(at + 6..).unwrap_or_default();
        let data = after.strip_prefix(b"\r\n").or_else(|| after.strip_prefix(b"\n"));
        // "endstream" has none, and no zlib stream begins with another byte (RFC 1950, windows up to 32 KiB).
        let Some(data) = data.filter(|data| data.first().is_some_and(|b| b & 0x0f == 8)) else { continue };
        let sample = inflated(data, SAMPLE_BYTES, u64::MAX, budget)?;
        if sample > (SAMPLE_BYTES * SUSPICIOUS_RATIO) as u64 {
            let most = budget.expandable();
            if inflated(data, usize::MAX, most, budget)? > most {
                let max = budget.limits().expansion_ratio;
                return Err(Error::OverLimit { limit: Limit::ExpansionRatio, max });
            }
        }
    }
    Ok(())
}

/// How many bytes the first `input` bytes of a zlib stream inflate to, counted to a little beyond `most`.
fn inflated(data: &[u8], input: usize, most: u64, budget: &Budget) -> Result<u64> {
    let data = data.get(..input.min(data.len())).unwrap_or_default();
    let mut inflate = Decompress::new(true);
    let mut scratch = [0; 16 << 10];
    while inflate.total_out() <= most {
        budget.tick()?;
        let read = usize::try_from(inflate.total_in()).unwrap_or(usize::MAX);
        let rest = data.get(read..).unwrap_or_default();
        let (before_in, before_out) = (inflate.total_in(), inflate.total_out());
        match inflate.decompress(rest, &mut scratch, FlushDecompress::None) {
            Ok(Status::Ok) if inflate.total_in() > before_in || inflate.total_out() > before_out => {}
            // The end, or damage: the decoder will find the same.
            _ => break,
        }
    }
    Ok(inflate.total_out())
}
