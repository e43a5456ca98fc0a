//! Input turned into types that cannot hold an attack.
//!
//! A function that takes a [`SafeFileName`] need not ask whether somebody has checked it. Each type is made in one way only, by
//! parsing; what it refuses it says with a [`Code`], the place, and what would do, and never repeats the value ([`Invalid`]).
//! All of them are read by serde with the same checks, so a request's body is checked where it is parsed.
//!
//! ```
//! use buttress_validate::{Identifier, PlainText, SafeFileName};
//!
//! #[derive(serde::Deserialize)]
//! struct Export {
//!     title: PlainText,
//!     file: SafeFileName,
//!     sort_by: Identifier,
//! }
//!
//! let body = r#"{"title": "Q3", "file": "q3.csv", "sort_by": "created_at"}"#;
//! let export: Export = serde_json::from_str(body)?;
//! assert_eq!(export.file.extension(), Some("csv"));
//! assert!(serde_json::from_str::<Export>(&body.replace("q3.csv", "../../etc/cron.d/x")).is_err());
//! # Ok::<(), serde_json::Error>(())
//! ```
//!
//! # Which type against what
//!
//! | attack | type | how |
//! |---|---|---|
//! | path traversal, races with links | [`SafePath`], `Root` | only down; resolved by the kernel below a folder, links never followed |
//! | server-side request forgery, DNS rebinding | `SafeUrl` | every spelling of an address, all addresses of a name, pinned; redirects |
//! | hostile file names | [`SafeFileName`] | valid on every system; `sanitize` always gives one |
//! | hostile files | `UploadPolicy` | kind by content, size and ratio as they stream, archives that lie |
//! | SQL injection | [`Identifier`] | for names; values go into parameters |
//! | command injection | [`CommandArg`] | no option, no NUL; started without a shell |
//! | header injection by mail | `Email` | no line break, no second recipient |
//! | tricks with Unicode | [`PlainText`], [`Handle`] | NFC, nothing unseen, no direction changed; no mixed scripts |
//! | cross-site scripting | `SafeHtml` | markup by a closed vocabulary; text is escaped |
//! | JSON that is deep, large or ambiguous | [`json`] | one pass before anything is built, with the place of what is wrong |
//! | requests that are large | `layer` | head first, body as it streams |
//!
//! # What they cost
//!
//! Each text is looked at once or twice and kept once. The JSON limiter reads a body once before `serde_json` does; `benches/validate.rs`
//! compares both with `serde_json` alone.
//!
//! Free text that looks like an attack is scored by [`detect`], for logs and bans; it is no defence.
//!
//! # Features
//!
//! | feature | default | adds |
//! |---|---|---|
//! | `html` | no | `SafeHtml`, `HtmlPolicy`: markup that executes nothing |
//! | `json` | no | [`json`]`::from_json`: a body within limits into a type; the limiter itself is always there |
//! | `path` | no | `Root`: a folder that paths cannot leave (Unix) |
//! | `tower` | no | `layer`: limits in front of an HTTP service |
//! | `upload` | no | `upload`: files judged by their content while they stream |
//! | `url` | no | `url`, `SafeUrl`, `Email` |
//! | `validator` | no | `json::rules`: what the crate `validator` finds, with JSON pointers, and functions for its derive |

#[macro_use]
mod string;

mod chars;
mod command_arg;
mod component;
pub mod detect;
#[cfg(feature = "url")]
mod email;
mod error;
mod file_name;
mod handle;
#[cfg(feature = "html")]
mod html;
mod identifier;
pub mod json;
#[cfg(feature = "tower")]
pub mod layer;
pub mod metrics;
pub mod path;
mod text;
#[cfg(feature = "upload")]
pub mod upload;
#[cfg(feature = "url")]
pub mod url;

pub use command_arg::CommandArg;
#[cfg(feature = "url")]
pub use email::Email;
pub use error::{Code, Error, Invalid, Result};
pub use file_name::SafeFileName;
pub use handle::Handle;
#[cfg(feature = "html")]
pub use html::{HtmlConfig, HtmlPolicy, HtmlPreset, ImageSource, SafeHtml};
pub use identifier::{Dialect, Identifier};
#[cfg(all(feature = "path", unix))]
pub use path::Root;
pub use path::SafePath;
pub use text::{PlainText, TextPolicy};
#[cfg(feature = "url")]
pub use url::{SafeUrl, UrlPolicy};
