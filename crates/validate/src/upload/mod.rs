//! Files that somebody sends, judged by their content while they stream.
//!
//! A name and a `Content-Type` are what the sender says. What counts is the content: its kind by its magic numbers, its size, what
//! it inflates to, and whether it is a second kind too. Nothing is kept but a beginning of 4 KiB and a few numbers for each
//! entry of an archive, so the bytes can go to their place while they are judged; throw them away where the judgement fails.
//!
//! ```
//! use buttress_validate::Code;
//! use buttress_validate::upload::{Kind, UploadPolicy};
//!
//! let policy = UploadPolicy::default();
//! let mut check = policy.begin("photo.png".parse()?, Some("image/png"))?;
//! check.push(b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR...")?;
//! assert_eq!(check.finish()?.kind, Kind::Png);
//!
//! let mut check = policy.begin("photo.png".parse()?, None)?;
//! let error = check.push(b"<svg onload=alert(1)>").and_then(|()| check.finish()).unwrap_err();
//! assert_eq!(error.code(), Code::Kind); // an SVG, whatever its name
//! # Ok::<(), buttress_validate::Invalid>(())
//! ```
//!
//! Archives in archives are counted as they lie there; whoever unpacks them counts on. An upload that was taken is safe to keep, and to
//! hand out with its own kind, `Content-Disposition: attachment` and `X-Content-Type-Options: nosniff`; it is not safe to run.

mod check;
mod gzip;
mod kind;
mod notes;
mod policy;
mod sniff;
mod zip;
mod zip_record;

pub use check::{Upload, UploadCheck};
pub use kind::Kind;
pub use notes::Note;
pub use policy::UploadPolicy;
