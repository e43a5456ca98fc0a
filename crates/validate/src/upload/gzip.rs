//! What is inflated, counted and dropped.

use flate2::{Decompress, FlushDecompress, Status};

use crate::error::{Code, Invalid};

/// How much has been inflated, and how much may be.
#[derive(Debug)]
pub(super) struct Count {
    /// Bytes of the upload so far.
    pub(super) sent: u64,
    pub(super) inflated: u64,
    pub(super) max_inflated: u64,
    pub(super) max_ratio: u64,
}

/// Below this nobody minds the ratio.
const SMALL: u64 = 1 << 20;

impl Count {
    fn add(&mut self, inflated: u64) -> Result<(), Invalid> {
        self.inflated = self.inflated.saturating_add(inflated);
        if self.inflated > self.max_inflated {
            return Err(wrong(Code::TooLong, "inflates to more than the limit", "send less"));
        }
        Ok(())
    }

    /// Compares what was inflated with what was sent so far.
    pub(super) fn check_ratio(&self) -> Result<(), Invalid> {
        if self.inflated > SMALL && self.inflated > self.sent.saturating_mul(self.max_ratio) {
            return Err(wrong(
                Code::Ratio,
                "inflates to far more than was sent",
                "send it without compression",
            ));
        }
        Ok(())
    }

    /// Counts what is not compressed.
    pub(super) fn stored(&mut self, bytes: usize) -> Result<(), Invalid> {
        self.add(bytes as u64)
    }
}

pub(super) fn wrong(code: Code, problem: &'static str, remedy: &'static str) -> Invalid {
    Invalid::new("upload", code, problem, remedy)
}

/// One deflated stream. What comes out is counted only.
#[derive(Debug)]
pub(super) struct Inflater(Box<Decompress>);

impl Inflater {
    /// A stream as in ZIP.
    pub(super) fn raw() -> Self {
        Self(Box::new(Decompress::new(false)))
    }

    fn gzip() -> Self {
        Self(Box::new(Decompress::new_gzip(15)))
    }

    pub(super) fn taken(&self) -> u64 {
        self.0.total_in()
    }

    pub(super) fn inflated(&self) -> u64 {
        self.0.total_out()
    }

    /// Inflates from `rest`; `true` when the stream has ended.
    pub(super) fn push(&mut self, rest: &mut &[u8], count: &mut Count) -> Result<bool, Invalid> {
        let mut scratch = [0_u8; 16 << 10];
        loop {
            let (took, made) = (self.0.total_in(), self.0.total_out());
            let status = self.0.decompress(rest, &mut scratch, FlushDecompress::None);
            let broken = || wrong(Code::Syntax, "is compressed wrongly", "send the file whole");
            let status = status.map_err(|_| broken())?;
            let (took, made) = (self.0.total_in() - took, self.0.total_out() - made);
            *rest = usize::try_from(took).ok().and_then(|took| rest.get(took..)).unwrap_or_default();
            count.add(made)?;
            match status {
                Status::StreamEnd => return Ok(true),
                // More comes out while the room for it was full.
                Status::Ok | Status::BufError if rest.is_empty() && made < scratch.len() as u64 => {
                    return Ok(false);
                }
                // It has both, and does nothing.
                _ if took == 0 && made == 0 => return Err(broken()),
                _ => {}
            }
        }
    }
}

/// A file of gzip (RFC 1952): members, one after the other.
#[derive(Debug)]
pub(super) struct Gzip {
    member: Option<Inflater>,
}

impl Gzip {
    pub(super) fn new() -> Self {
        Self { member: Some(Inflater::gzip()) }
    }

    pub(super) fn push(&mut self, mut rest: &[u8], count: &mut Count) -> Result<(), Invalid> {
        while let [first, ..] = rest {
            let member = match &mut self.member {
                Some(member) => member,
                None if *first == 0x1f => self.member.insert(Inflater::gzip()),
                // Files on tape are filled up with zeros.
                None if *first == 0 => {
                    rest = rest.get(1..).unwrap_or_default();
                    continue;
                }
                None => {
                    return Err(wrong(Code::Polyglot, "has something after its end", "send the file alone"));
                }
            };
            if member.push(&mut rest, count)? {
                self.member = None;
            }
        }
        Ok(())
    }

    pub(super) fn finish(&self) -> Result<(), Invalid> {
        match self.member {
            None => Ok(()),
            Some(_) => Err(wrong(Code::Syntax, "ends too early", "send the file whole")),
        }
    }
}
