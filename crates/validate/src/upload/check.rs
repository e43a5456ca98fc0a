//! One upload while it streams.

use super::gzip::{Count, Gzip, wrong};
use super::kind::Kind;
use super::notes::{Finder, Note};
use super::policy::UploadPolicy;
use super::sniff::{HEAD, is_binary, sniff};
use super::zip::Zip;
use crate::error::{Code, Invalid};
use crate::file_name::SafeFileName;

/// An upload that was taken.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Upload {
    /// Its name.
    pub name: SafeFileName,
    /// What it is, by its content.
    pub kind: Kind,
    /// Its bytes as sent.
    pub bytes: u64,
    /// What an archive inflates to; 0 for other kinds.
    pub inflated: u64,
    /// What else is in it, in order and once each.
    pub notes: Vec<Note>,
}

/// Judges one upload, piece by piece. See the [module](crate::upload).
#[derive(Debug)]
pub struct UploadCheck {
    policy: UploadPolicy,
    name: SafeFileName,
    mime: Option<Box<str>>,
    /// Until its kind is known.
    head: Vec<u8>,
    body: Option<Body>,
    count: Count,
    notes: Vec<Note>,
    finder: Finder,
    failed: Option<Invalid>,
}

#[derive(Debug)]
enum Body {
    Zip(Box<Zip>),
    Gzip(Gzip),
    Text,
    /// Text in UTF-16, whose bytes tell nothing.
    Wide,
    Other(Kind),
}

/// How much is taken between two looks at the ratio: a bomb is found before more than some dozens of MiB were inflated for nothing.
const STRIDE: u64 = 64 << 10;
/// The longest media type that is looked at.
const LONGEST_MIME: usize = 256;

impl UploadCheck {
    pub(super) fn begin(
        policy: UploadPolicy,
        name: SafeFileName,
        mime: Option<&str>,
    ) -> Result<Self, Invalid> {
        let claims = |kind: &Kind| {
            (!policy.match_type || mime.is_none_or(|mime| kind.has_mime(mime)))
                && (!policy.match_name
                    || name.extension().is_none_or(|extension| kind.has_extension(extension)))
        };
        if mime.is_some_and(|mime| mime.len() > LONGEST_MIME) {
            return Err(wrong(Code::TooLong, "has a media type of more than 256 bytes", "use a shorter one"));
        }
        if !policy.kinds.iter().any(claims) {
            let problem = "has a name or media type that is of no kind that is taken";
            return Err(Invalid::new("upload", Code::Kind, problem, takes(&policy)));
        }
        let count = Count {
            sent: 0,
            inflated: 0,
            max_inflated: policy.max_inflated.bytes(),
            max_ratio: policy.max_ratio,
        };
        let mime = mime.map(Box::from);
        let (head, body, notes, finder) = (Vec::new(), None, Vec::new(), Finder::default());
        Ok(Self { policy, name, mime, head, body, count, notes, finder, failed: None })
    }

    /// Takes the next piece of the content.
    ///
    /// # Errors
    ///
    /// The first thing that is wrong; the same again when asked again.
    pub fn push(&mut self, piece: &[u8]) -> Result<(), Invalid> {
        if let Some(failed) = &self.failed {
            return Err(failed.clone());
        }
        let taken = self.take(piece);
        self.failed = taken.as_ref().err().cloned();
        taken
    }

    /// Judges the ratio at the same places of the content, however it is cut into pieces.
    fn take(&mut self, mut piece: &[u8]) -> Result<(), Invalid> {
        while !piece.is_empty() {
            let until = STRIDE - self.count.sent % STRIDE;
            let part = usize::try_from(until).unwrap_or(usize::MAX).min(piece.len());
            let (part, rest) = piece.split_at_checked(part).unwrap_or((piece, &[]));
            self.take_part(part)?;
            if self.count.sent.is_multiple_of(STRIDE) {
                self.count.check_ratio()?;
            }
            piece = rest;
        }
        Ok(())
    }

    fn take_part(&mut self, piece: &[u8]) -> Result<(), Invalid> {
        self.count.sent += piece.len() as u64;
        if self.count.sent > self.policy.max_bytes.bytes() {
            let problem = format!("is larger than {}", self.policy.max_bytes);
            return Err(Invalid::new("upload", Code::TooLong, problem, "send less"));
        }
        if self.body.is_some() {
            return self.judge(piece);
        }
        let missing = HEAD.saturating_sub(self.head.len()).min(piece.len());
        let (start, rest) = piece.split_at_checked(missing).unwrap_or((piece, &[]));
        self.head.extend_from_slice(start);
        if self.head.len() < HEAD {
            return Ok(());
        }
        self.open()?;
        self.judge(rest)
    }

    /// Looks at the beginning, and what belongs to it.
    fn open(&mut self) -> Result<(), Invalid> {
        let head = std::mem::take(&mut self.head);
        let kind = sniff(&head);
        self.body = Some(match kind {
            Kind::Zip => Body::Zip(Box::new(Zip::new(self.policy.max_entries))),
            Kind::Gzip => Body::Gzip(Gzip::new()),
            _ if kind.is_text() && !matches!(*head, [0xfe, 0xff, ..] | [0xff, 0xfe, ..]) => {
                self.check_kind(kind)?;
                if kind == Kind::Text { Body::Text } else { Body::Other(kind) }
            }
            Kind::Text => Body::Wide,
            _ => Body::Other(kind),
        });
        // Which kind of archive it is, its entries tell.
        if kind != Kind::Zip || !self.policy.kinds.iter().any(|kind| kind.is_zip()) {
            self.check_kind(kind)?;
        }
        self.judge(&head)
    }

    fn judge(&mut self, piece: &[u8]) -> Result<(), Invalid> {
        let Some(body) = &mut self.body else { return Ok(()) };
        match body {
            Body::Zip(zip) => zip.push(piece, &mut self.count)?,
            Body::Gzip(gzip) => gzip.push(piece, &mut self.count)?,
            Body::Text if piece.iter().any(|byte| is_binary(*byte)) => {
                return Err(wrong(
                    Code::Mismatch,
                    "begins as text and goes on as something else",
                    "send text alone",
                ));
            }
            Body::Text | Body::Wide => {}
            Body::Other(kind) => {
                let notes = &mut self.notes;
                self.finder.push(*kind, piece, |note| {
                    if let Err(at) = notes.binary_search(&note) {
                        notes.insert(at, note);
                    }
                });
            }
        }
        self.check_notes()
    }

    fn check_notes(&self) -> Result<(), Invalid> {
        match self.notes.iter().find(|note| self.policy.refuse.contains(note)) {
            Some(Note::Script | Note::Macros) => {
                Err(wrong(Code::Polyglot, "has scripts or macros in it", "send it without them"))
            }
            Some(_) => {
                Err(wrong(Code::Polyglot, "has content of a second kind in it", "send a file of one kind"))
            }
            None => Ok(()),
        }
    }

    fn check_kind(&self, kind: Kind) -> Result<(), Invalid> {
        if !self.policy.kinds.contains(&kind) {
            let problem = format!("is of the kind `{kind}`, which is not taken");
            return Err(Invalid::new("upload", Code::Kind, problem, takes(&self.policy)));
        }
        if self.policy.match_type && self.mime.as_ref().is_some_and(|mime| !kind.has_mime(mime)) {
            let problem = format!("is of the kind `{kind}`, and not of the media type that it was sent with");
            return Err(Invalid::new("upload", Code::Mismatch, problem, "send it with its own media type"));
        }
        let extension = self.name.extension().filter(|_| self.policy.match_name);
        if extension.is_some_and(|extension| !kind.has_extension(extension)) {
            let problem = format!("is of the kind `{kind}`, and not of its name's");
            return Err(Invalid::new(
                "upload",
                Code::Mismatch,
                problem,
                "give it a name with its own extension",
            ));
        }
        Ok(())
    }

    /// Says that this was all.
    ///
    /// # Errors
    ///
    /// What is wrong with the whole.
    pub fn finish(mut self) -> Result<Upload, Invalid> {
        if let Some(failed) = self.failed {
            return Err(failed);
        }
        if self.count.sent == 0 {
            return Err(wrong(Code::Empty, "is empty", "send a file"));
        }
        if self.body.is_none() {
            self.open()?;
        }
        let kind = match &self.body {
            Some(Body::Zip(zip)) => {
                zip.finish()?;
                if zip.has_macros() {
                    self.notes.push(Note::Macros);
                }
                zip.kind()
            }
            Some(Body::Gzip(gzip)) => gzip.finish().map(|()| Kind::Gzip)?,
            Some(Body::Other(kind)) => *kind,
            Some(Body::Text | Body::Wide) | None => Kind::Text,
        };
        self.check_kind(kind)?;
        self.check_notes()?;
        self.count.check_ratio()?;
        let (bytes, inflated) = (self.count.sent, self.count.inflated);
        Ok(Upload { name: self.name, kind, bytes, inflated, notes: self.notes })
    }
}

fn takes(policy: &UploadPolicy) -> String {
    let kinds: Vec<_> = policy.kinds.iter().map(|kind| kind.as_str()).collect();
    format!("send one of {}", kinds.join(", "))
}
