//! Chromium, driven over the DevTools protocol.
//!
//! [`Browser::launch`] starts a Chromium of its own and speaks to it over two pipes; no port is opened. A
//! [`Context`] is a browser within the browser, with cookies and storage of its own, and a [`Page`] is a tab in it.
//! A page's elements are named by a [`Target`] and used as a person would: [`Frame::click`] moves a mouse, and only
//! where the element can be seen.
//!
//! Nothing waits without a limit. What the browser does not answer in time is an [`Error::Limit`], a renderer that
//! dies is an [`Error::PageCrashed`] at once, and a browser that dies fails every call with [`Error::Gone`].
//! No browser outlives its [`Browser`]: a drop kills its process group, closed pipes end it when this process dies,
//! and [`Leftovers`] finds at the next start what neither could reach.

mod browser;
mod config;
mod connection;
mod context;
mod dialog;
mod download;
mod error;
mod leftovers;
mod message;
mod page;
mod process;
pub mod processes;
mod program;
mod session;
mod stderr;
mod target;

pub use browser::Browser;
pub use config::{ChromiumConfig, WindowSize};
pub use context::Context;
pub use dialog::{Dialog, DialogPolicy};
pub use download::Download;
pub use error::{Error, Result};
pub use leftovers::Leftovers;
pub use page::{Frame, Navigated, Page};
pub use program::proxy_flags;
pub use target::{Extract, State, Target};
