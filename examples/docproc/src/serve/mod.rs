//! The service: documents over HTTP, kept before they are acknowledged.

mod api;
mod page;
mod queue;
pub mod store;
mod time;
mod upload;
