//! browser: workflows for a web browser, run by pooled Chromium as durable jobs.

pub mod chromium;
pub mod config;
pub mod fleet;
pub mod flow;
pub mod guard;
pub mod jobs;
pub mod language;
pub mod report;
pub mod run;
pub mod serve;
