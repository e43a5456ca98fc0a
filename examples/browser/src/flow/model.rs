//! A workflow as people write it, checked field by field.

use std::time::Duration;

use buttress_core::units;
use serde::Serialize;
use serde_json::{Map, Value};

use super::error::FlowErrors;
use super::step::Step;
use super::{node, read};

/// A workflow: steps, and the inputs they use.
///
/// [`Flow::parse`] checks all of it; one put together by hand is checked by [`Compiled::new`](super::Compiled::new).
#[derive(Debug, Clone, PartialEq, Serialize)]
#[non_exhaustive]
pub struct Flow {
    /// What people call it, 1 to 64 characters.
    pub name: String,
    /// The variables that a run may be given, each with its default; `null` must be given.
    #[serde(skip_serializing_if = "Map::is_empty")]
    pub inputs: Map<String, Value>,
    /// The time limit of a whole run, 1 second to 1 hour.
    #[serde(with = "units::duration")]
    pub time: Duration,
    /// What is done, in this order.
    pub steps: Vec<Step>,
}

impl Flow {
    /// A workflow without inputs, with the usual time limit of 5 minutes.
    #[must_use]
    pub fn new(name: impl Into<String>, steps: Vec<Step>) -> Self {
        Self { name: name.into(), inputs: Map::new(), time: super::USUAL_TIME, steps }
    }

    /// Reads a workflow from YAML or JSON of at most 256 KiB.
    ///
    /// # Errors
    ///
    /// Everything that is wrong with it, each with its field, its line and a remedy.
    pub fn parse(text: &str) -> Result<Self, FlowErrors> {
        read::flow(&node::from_text(text)?)
    }

    /// Reads a workflow from a value that was parsed elsewhere, such as a part of a request.
    ///
    /// # Errors
    ///
    /// As [`parse`](Self::parse), without lines.
    pub fn from_value(value: Value) -> Result<Self, FlowErrors> {
        read::flow(&node::from_value(value)?)
    }
}
