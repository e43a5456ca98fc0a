//! What pages may reach: a proxy that refuses addresses of private networks.
//!
//! Users say which pages a browser opens, and pages load what they like: by redirects, frames, scripts, `fetch` and
//! WebSocket connections. Left alone, a page reaches whatever the browser's machine reaches: other services on loopback,
//! databases of the private network, the address at which a cloud hands out the machine's credentials. To look at
//! the first URL does not help, and to look at a name's address before the browser resolves it again does not either
//! (the second answer may differ).
//!
//! So a browser has one way out, a [`Proxy`] on loopback (given to it by [`proxy_flags`](crate::chromium::proxy_flags)), and resolves no names. For
//! each connection the proxy
//!
//! 1. reads the head of the request strictly ([`HeadReader`]), and writes it anew for the server;
//! 2. judges name and port ([`Guard::check_target`]);
//! 3. resolves the name once ([`Resolve`]), and judges every address ([`Guard::check_address`], [`classify`]): one
//!    that is refused refuses the name;
//! 4. connects to one of those very addresses, and carries bytes within limits of time and size.
//!
//! What is refused is answered with 403, the header `x-guard-refused` and a text that says why; it is counted, and
//! the last refusals can be asked for ([`Proxy::refusals`]). Behind `CONNECT` Chromium shows its own error page.
//!
//! The proxy guards against pages, not against the machine's other users: whoever may connect to loopback may use it.
//! It does not replace a firewall around the browser, should a page break out of the browser itself.

mod answer;
mod config;
mod connection;
mod error;
mod head;
mod policy;
mod proxy;
mod refusals;
mod relay;

pub use buttress_validate::url::{Reach, Reason, Resolve, Rule, RuleError, SystemResolver, classify};
pub use config::GuardConfig;
pub use error::{Error, Result};
pub use head::{Ask, HeadError, HeadReader, LONGEST_HEAD, RequestHead};
pub use policy::Guard;
pub use proxy::Proxy;
pub use refusals::Refusal;
pub use url::{Host, Url};
