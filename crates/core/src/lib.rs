//! The vocabulary that every buttress crate shares, and nothing else.
//!
//! The capability crates (configuration, health, document pipeline, …) never depend on one another: they meet
//! through the types and traits below. A component reads time through [`Clock`], reports a failure as an
//! [`ErrorClass`], refuses work with a [`Rejection`], tells the world what happened with an [`Event`], answers
//! "are you well?" as a [`Probe`], and stops when [`Shutdown`] asks. The application builds one [`Ctx`] and hands
//! it to each component, so there are no globals.
//!
//! ```
//! use buttress_core::{Ctx, ErrorClass, Key};
//!
//! let ctx = Ctx::default(); // system clock, events dropped, a shutdown nobody has asked for yet
//! let started = ctx.clock.now();
//!
//! let key = Key::new("tenant-42")?;
//! assert_eq!(key.as_str(), "tenant-42");
//! assert!(ErrorClass::Unavailable.is_transient());
//! assert!(ctx.clock.now() >= started);
//! # Ok::<(), buttress_core::KeyError>(())
//! ```
//!
//! # Features
//!
//! | feature | default | adds |
//! |---|---|---|
//! | `test-util` | no | [`TestClock`], whose time moves only when the test says so, and [`EventLog`], a sink that remembers |

mod cidr;
mod clock;
mod ctx;
mod error;
mod event;
mod key;
mod outage;
mod probe;
mod random;
mod rejection;
mod shutdown;
#[cfg(feature = "test-util")]
mod test_util;
pub mod units;
mod validate;

pub use cidr::{Cidr, CidrError};
pub use clock::{BoxFuture, Clock, SharedClock, SystemClock, timeout};
pub use ctx::Ctx;
pub use error::{Classify, Elapsed, ErrorClass, chain};
pub use event::{Event, Events, Outcome, Sink};
pub use key::{Key, KeyError};
pub use outage::Outage;
pub use probe::{DynProbe, Probe, Vitality};
pub use random::{Random, unique_number};
pub use rejection::{Rejection, RejectionReason};
pub use shutdown::Shutdown;
#[cfg(feature = "test-util")]
pub use test_util::{EventLog, TestClock};
pub use units::ByteSize;
pub use validate::{Validate, Violation, Violations};
