//! Workflows: what a job does, as people write it.
//!
//! A workflow is YAML or JSON. [`Flow::parse`] reads it into typed [`Step`]s and says everything that is wrong with
//! it at once, each error with its field, its line and a remedy. [`Compiled`] is a checked workflow, shared by all
//! its runs and kept in a [`FlowCache`]; [`Compiled::bind`] gives a run its [`Scope`] of variables, from which the
//! steps' [`Template`]s and [`TargetTemplate`]s are filled in. Nothing here touches a network or a browser.
//!
//! ```
//! use browser::flow::Compiled;
//!
//! let flow = Compiled::parse(
//!     "name: look\n\
//!      inputs: { base: 'http://127.0.0.1:8000' }\n\
//!      steps:\n\
//!      - goto: '{{base}}/quotes'\n\
//!      - extract: { name: titles, from: h2, as: texts }\n",
//! )?;
//! let scope = flow.bind(serde_json::Map::new())?;
//! assert_eq!(flow.step_count(), 2);
//! assert_eq!(scope.get("base").and_then(|base| base.as_str()), Some("http://127.0.0.1:8000"));
//!
//! let wrong = Compiled::parse("name: look\nsteps:\n- clik: '#go'\n").unwrap_err();
//! assert_eq!(wrong.to_string(), "line 3: steps[0].clik: is not an action; did you mean `click`?");
//! # Ok::<(), browser::flow::FlowErrors>(())
//! ```

use std::time::Duration;

mod cache;
mod check;
mod compile;
mod error;
mod fields;
mod key;
mod model;
mod names;
mod node;
mod read;
mod read_action;
mod read_look;
mod scope;
mod step;
mod suggest;
mod target;
mod template;
mod value;

pub use cache::FlowCache;
pub use compile::{Compiled, MAX_INPUTS};
pub use error::{FlowError, FlowErrors};
pub use key::{Key, Modifier};
pub use model::Flow;
pub use names::check_address;
pub(crate) use names::is_name;
pub use node::MAX_TEXT;
pub use scope::{Path, Scope};
pub use step::{Action, Assert, Dialog, Extract, Form, State, Step, Wait};
pub(crate) use suggest::nearest;
pub use target::{MAX_TARGET, Target, TargetError, TargetTemplate};
pub use template::{MAX_RENDERED, Template, TemplateError};
pub use value::ValueTemplate;

/// The most items that a loop goes through.
pub const MAX_ITEMS: usize = 1_000;
/// The most steps that a run takes, those of loops counted as often as they are run.
pub const MAX_EXPANDED: usize = 10_000;
/// How deep `for_each`, `frame` and `when` may lie in one another.
pub const MAX_NESTING: usize = 5;
/// The time limit of a run whose workflow names none.
pub const USUAL_TIME: Duration = Duration::from_mins(5);
