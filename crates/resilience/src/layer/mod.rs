//! Policies as tower layers: [`PolicyLayer`] around a client, [`DeadlineLayer`] around a server's handlers.
//!
//! A layer's error is [`Failure`](crate::Failure) of the inner service's. The other way, to keep the inner type and ask it for
//! `From<Rejection>`, leaves out the errors that are not the caller's to extend, such as a client's, and `Infallible`,
//! which every handler of an HTTP router has. Where layers are stacked, [`Failure::flatten`](crate::Failure::flatten) takes two failures for one.
//!
//! ```
//! use buttress_core::{Ctx, Elapsed};
//! use buttress_resilience::layer::PolicyLayer;
//! use buttress_resilience::{Policy, ResilienceConfig};
//! use tower::{Service, ServiceBuilder, ServiceExt, service_fn};
//!
//! # #[tokio::main(flavor = "current_thread")]
//! # async fn main() -> Result<(), Box<dyn std::error::Error>> {
//! let policy = Policy::new(&ResilienceConfig::default(), &Ctx::default())?;
//! let mut client = ServiceBuilder::new()
//!     .layer(PolicyLayer::new(policy.idempotent()))
//!     .service(service_fn(|name: String| async move { Ok::<_, Elapsed>(name.len()) }));
//! assert_eq!(client.ready().await?.call("Ada".to_owned()).await?, 3);
//! # Ok(())
//! # }
//! ```

mod deadline;
mod policy;

pub use self::deadline::{DeadlineLayer, DeadlineService};
pub use self::policy::{ByClass, Cloning, Judge, Once, PolicyLayer, PolicyService, Repeat};
