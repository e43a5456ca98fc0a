//! What a document has cost so far, and the end of it.

use std::cell::Cell;
use std::io::{self, Read};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use buttress_core::SharedClock;

use crate::config::Limits;
use crate::error::{Error, Limit, Result};

/// Expansion is judged only past this many bytes: small documents compress as well as they like.
const RATIO_FREE_BYTES: u64 = 4 << 20;

/// The clock is read once in so many [`Budget::tick`]s.
const TICKS_PER_CLOCK_READ: u32 = 256;

/// Cancels a document from another thread. Clones cancel the same one.
#[derive(Debug, Clone, Default)]
pub struct CancelToken(Arc<AtomicBool>);

impl CancelToken {
    /// Asks the document to end at its next [`Budget::tick`].
    pub fn cancel(&self) {
        self.0.store(true, Ordering::Relaxed);
    }

    /// Whether the document has been asked to end.
    #[must_use]
    pub fn is_cancelled(&self) -> bool {
        self.0.load(Ordering::Relaxed)
    }
}

/// The one account through which every reader of one document pays.
///
/// Every method that charges fails once the limit is passed, and goes on failing: an extractor passes the error up
/// with `?` and the document ends there.
#[derive(Debug)]
pub struct Budget {
    limits: Limits,
    clock: SharedClock,
    deadline: Instant,
    cancel: CancelToken,
    input_bytes: u64,
    ticks: Cell<u32>,
    output: Cell<u64>,
    expanded: Cell<u64>,
    entries: Cell<u64>,
    depth: Cell<u64>,
    pages: Cell<u64>,
    cells: Cell<u64>,
}

impl Budget {
    /// Opens an account for a document of `input_bytes`, whose time starts now.
    ///
    /// # Errors
    ///
    /// [`Error::OverLimit`] when the document itself is too large, [`Error::Empty`] when there is none.
    pub fn open(
        limits: &Limits,
        input_bytes: usize,
        clock: SharedClock,
        cancel: CancelToken,
    ) -> Result<Self> {
        let input_bytes = input_bytes as u64;
        if input_bytes == 0 {
            return Err(Error::Empty);
        }
        within(Limit::InputBytes, input_bytes, limits.input_bytes.bytes())?;
        Ok(Self {
            deadline: clock.now() + limits.time,
            limits: limits.clone(),
            clock,
            cancel,
            input_bytes,
            ticks: Cell::default(),
            output: Cell::default(),
            expanded: Cell::default(),
            entries: Cell::default(),
            depth: Cell::default(),
            pages: Cell::default(),
            cells: Cell::default(),
        })
    }

    /// The limits that this account holds.
    #[must_use]
    pub fn limits(&self) -> &Limits {
        &self.limits
    }

    /// To be called in every loop that input can make long. Cheap: the clock is read once in 256 calls.
    ///
    /// # Errors
    ///
    /// [`Error::Cancelled`] or [`Error::TimedOut`].
    pub fn tick(&self) -> Result<()> {
        let ticks = self.ticks.get().wrapping_add(1);
        self.ticks.set(ticks);
        if ticks.is_multiple_of(TICKS_PER_CLOCK_READ) { self.check_time() } else { Ok(()) }
    }

    /// Reads the clock and the cancel token; for steps that are long in themselves, such as a page.
    ///
    /// # Errors
    ///
    /// [`Error::Cancelled`] or [`Error::TimedOut`].
    pub fn check_time(&self) -> Result<()> {
        if self.cancel.is_cancelled() {
            return Err(Error::Cancelled);
        }
        if self.clock.now() >= self.deadline {
            return Err(Error::TimedOut { limit: self.limits.time });
        }
        Ok(())
    }

    /// The time that is left.
    #[must_use]
    pub fn remaining(&self) -> Duration {
        self.deadline.saturating_duration_since(self.clock.now())
    }

    /// Charges extracted text.
    ///
    /// # Errors
    ///
    /// [`Limit::OutputBytes`].
    pub fn output(&self, bytes: usize) -> Result<()> {
        charge(&self.output, bytes as u64, Limit::OutputBytes, self.limits.output_bytes.bytes())
    }

    /// Checks that `bytes` more of text could be charged: for text that is gathered, and perhaps repeated, before it
    /// is written.
    ///
    /// # Errors
    ///
    /// [`Limit::OutputBytes`].
    pub fn room(&self, bytes: usize) -> Result<()> {
        let total = self.output.get().saturating_add(bytes as u64);
        within(Limit::OutputBytes, total, self.limits.output_bytes.bytes())
    }

    /// Charges bytes that came out of a decompressor.
    ///
    /// # Errors
    ///
    /// [`Limit::ExpandedBytes`] or [`Limit::ExpansionRatio`] (over the whole document).
    pub fn expanded(&self, bytes: usize) -> Result<()> {
        let max = self.limits.expanded_bytes.bytes();
        charge(&self.expanded, bytes as u64, Limit::ExpandedBytes, max)?;
        self.ratio(self.expanded.get(), self.input_bytes)
    }

    /// How many more bytes may come out of decompressors before [`expanded`](Budget::expanded) refuses.
    ///
    /// For decoders that take their bound up front.
    #[must_use]
    pub fn expandable(&self) -> u64 {
        let by_ratio = self.input_bytes.saturating_mul(self.limits.expansion_ratio).max(RATIO_FREE_BYTES);
        self.limits.expanded_bytes.bytes().min(by_ratio).saturating_sub(self.expanded.get())
    }

    /// Charges one entry of a container: a ZIP member, an attachment, a part of a package.
    ///
    /// # Errors
    ///
    /// [`Limit::Entries`].
    pub fn entry(&self) -> Result<()> {
        self.check_time()?;
        charge(&self.entries, 1, Limit::Entries, self.limits.entries)
    }

    /// Charges one page, slide or sheet.
    ///
    /// # Errors
    ///
    /// [`Limit::Pages`].
    pub fn page(&self) -> Result<()> {
        self.check_time()?;
        charge(&self.pages, 1, Limit::Pages, self.limits.pages)
    }

    /// Charges table cells, or what is like them in number: lines of a PDF page.
    ///
    /// # Errors
    ///
    /// [`Limit::Cells`].
    pub fn cells(&self, count: usize) -> Result<()> {
        self.tick()?;
        charge(&self.cells, count as u64, Limit::Cells, self.limits.cells)
    }

    /// Checks how deep elements, arrays or groups stand inside one another.
    ///
    /// # Errors
    ///
    /// [`Limit::Nesting`].
    pub fn nesting(&self, depth: usize) -> Result<()> {
        within(Limit::Nesting, depth as u64, self.limits.nesting)
    }

    /// Checks the number of attributes of one element.
    ///
    /// # Errors
    ///
    /// [`Limit::Attributes`].
    pub fn attributes(&self, count: usize) -> Result<()> {
        within(Limit::Attributes, count as u64, self.limits.attributes)
    }

    /// Goes into a document inside the document; the guard leaves it again.
    ///
    /// # Errors
    ///
    /// [`Limit::Depth`].
    pub fn enter(&self) -> Result<Inside<'_>> {
        within(Limit::Depth, self.depth.get() + 1, self.limits.depth)?;
        self.depth.set(self.depth.get() + 1);
        Ok(Inside(self))
    }

    /// Wraps a decompressor that reads `compressed_bytes`, so that every byte out of it is charged, and its own
    /// ratio is held beside that of the whole document.
    pub fn reader<R: Read>(&self, inner: R, compressed_bytes: u64) -> BudgetedReader<'_, R> {
        BudgetedReader { budget: self, inner, compressed_bytes, produced: 0, refusal: None }
    }

    /// Reads a decompressor of `compressed_bytes` as far as it goes, charging every byte. Gives what came out, and its
    /// complaint where it stopped before its end: what came before the damage is worth having.
    ///
    /// # Errors
    ///
    /// A limit, the time, or cancellation.
    pub fn read_available(
        &self,
        inner: impl Read,
        compressed_bytes: u64,
    ) -> Result<(Vec<u8>, Option<io::Error>)> {
        let mut reader = self.reader(inner, compressed_bytes);
        let mut bytes = Vec::new();
        let complaint = reader.read_to_end(&mut bytes).err();
        reader.refusal.take().map_or(Ok((bytes, complaint)), Err)
    }

    fn ratio(&self, produced: u64, compressed: u64) -> Result<()> {
        if produced <= RATIO_FREE_BYTES {
            return Ok(());
        }
        let max = self.limits.expansion_ratio;
        if produced > compressed.saturating_mul(max) {
            return Err(Error::OverLimit { limit: Limit::ExpansionRatio, max });
        }
        Ok(())
    }
}

fn charge(account: &Cell<u64>, amount: u64, limit: Limit, max: u64) -> Result<()> {
    let total = account.get().saturating_add(amount);
    account.set(total);
    within(limit, total, max)
}

fn within(limit: Limit, value: u64, max: u64) -> Result<()> {
    if value > max { Err(Error::OverLimit { limit, max }) } else { Ok(()) }
}

/// Inside a nested document, until dropped.
#[derive(Debug)]
pub struct Inside<'b>(&'b Budget);

impl Drop for Inside<'_> {
    fn drop(&mut self) {
        self.0.depth.set(self.0.depth.get() - 1);
    }
}

/// A decompressor whose output is charged to a [`Budget`].
#[derive(Debug)]
pub struct BudgetedReader<'b, R> {
    budget: &'b Budget,
    inner: R,
    compressed_bytes: u64,
    produced: u64,
    refusal: Option<Error>,
}

impl<R> BudgetedReader<'_, R> {
    /// The limit that ended the reading, if one did. [`Read`] can only carry an [`io::Error`], so a caller that got
    /// one looks here first.
    pub fn refusal(&mut self) -> Option<Error> {
        self.refusal.take()
    }
}

impl<R: Read> Read for BudgetedReader<'_, R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let count = self.inner.read(buffer)?;
        self.produced = self.produced.saturating_add(count as u64);
        let charged = self
            .budget
            .check_time()
            .and_then(|()| self.budget.expanded(count))
            .and_then(|()| self.budget.ratio(self.produced, self.compressed_bytes));
        charged.map(|()| count).map_err(|refusal| {
            let complaint = io::Error::other(refusal.to_string());
            self.refusal = Some(refusal);
            complaint
        })
    }
}
