//! JSON within limits, checked before anything is built from it.
//!
//! [`JsonLimiter`] reads each byte once, in pieces of any size, and holds the limits of [`JsonLimits`]; what it takes is JSON
//! (RFC 8259) in UTF-8. [`from_json`] makes a type of it, or tells all that is known to be wrong, each with a JSON pointer
//! (RFC 6901).
//!
//! ```
//! use buttress_validate::json::{JsonLimiter, JsonLimits};
//!
//! let mut limiter = JsonLimiter::new(JsonLimits::default());
//! limiter.push(br#"{"user": {"name": "a", "#)?;
//! let problem = limiter.push(br#""name": "b"}}"#).unwrap_err();
//! assert_eq!((&*problem.pointer, problem.code.as_str()), ("/user/name", "duplicate"));
//! # Ok::<(), buttress_validate::json::Problem>(())
//! ```

mod bytes;
mod keys;
mod limiter;
mod limits;
mod number;
mod problem;
#[cfg(feature = "json")]
mod read;
#[cfg(feature = "validator")]
pub mod rules;

pub use limiter::{JsonLimiter, check_json};
pub use limits::JsonLimits;
pub use problem::{Problem, Problems};
#[cfg(feature = "json")]
pub use read::from_json;
