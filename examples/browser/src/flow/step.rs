//! One step of a workflow, and everything it can do.

use std::time::Duration;

use buttress_core::units;
use serde::{Serialize, Serializer};

use super::key::Key;
use super::target::TargetTemplate;
use super::template::Template;
use super::value::ValueTemplate;

/// One step: what is done, and how a failure of it is treated.
#[derive(Debug, Clone, Serialize)]
#[non_exhaustive]
pub struct Step {
    /// What people call the step.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// What is done.
    #[serde(flatten)]
    pub action: Action,
    /// The step's own time limit, for all its tries together.
    #[serde(skip_serializing_if = "Option::is_none", with = "units::optional_duration")]
    pub within: Option<Duration>,
    /// A failure is noted and the run goes on.
    #[serde(skip_serializing_if = "is_false")]
    pub optional: bool,
    /// How often the step is tried again when it fails, at most 10.
    #[serde(skip_serializing_if = "is_zero")]
    pub retries: u8,
    /// The line of the text it begins on; 0 when there was no text.
    #[serde(skip)]
    pub line: u64,
}

#[allow(clippy::trivially_copy_pass_by_ref, reason = "the shape that serde asks for")]
fn is_zero(number: &u8) -> bool {
    *number == 0
}

#[allow(clippy::trivially_copy_pass_by_ref, reason = "the shape that serde asks for")]
fn is_false(is: &bool) -> bool {
    !*is
}

impl Step {
    /// A step without a name, tried once, whose failure ends the run.
    #[must_use]
    pub fn new(action: Action) -> Self {
        Self { name: None, action, within: None, optional: false, retries: 0, line: 0 }
    }
}

impl PartialEq for Step {
    /// Where a step stands in a text is no part of what it does.
    fn eq(&self, other: &Self) -> bool {
        self.name == other.name
            && self.action == other.action
            && self.within == other.within
            && self.optional == other.optional
            && self.retries == other.retries
    }
}

/// What a step does.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum Action {
    /// Opens an address, which must be `http` or `https`; check it with [`check_address`](super::check_address)
    /// after the variables are filled in.
    Goto(Template),
    /// Clicks an element.
    Click(TargetTemplate),
    /// Types text into a field.
    Type {
        /// The field.
        into: TargetTemplate,
        /// What is typed.
        text: Template,
        /// The field is emptied first.
        clear: bool,
        /// Enter is pressed afterwards.
        enter: bool,
    },
    /// Presses a key on whatever has the focus.
    Press(Key),
    /// Chooses an entry of a drop-down list.
    Select {
        /// The list.
        from: TargetTemplate,
        /// The entry's value, or else the text it shows.
        value: Template,
    },
    /// Puts a small file of text into a file field.
    Upload {
        /// The field.
        to: TargetTemplate,
        /// The file's name, without folders.
        name: String,
        /// What is in it.
        text: Template,
    },
    /// Waits.
    Wait(Wait),
    /// Reads something off the page into a variable, which is a result of the run.
    Extract {
        /// The variable.
        name: String,
        /// What is read.
        #[serde(flatten)]
        what: Extract,
    },
    /// Gives a variable a value.
    Set {
        /// The variable.
        name: String,
        /// The value.
        value: ValueTemplate,
    },
    /// Takes a picture of the page.
    Screenshot {
        /// What the picture is called; a name used again is numbered.
        name: String,
        /// The whole page, not only what the window shows.
        full: bool,
        /// One element only.
        #[serde(skip_serializing_if = "Option::is_none")]
        of: Option<TargetTemplate>,
    },
    /// Prints the page.
    Pdf {
        /// What the file is called; a name used again is numbered.
        name: String,
    },
    /// Clicks an element and keeps the file that is downloaded thereupon.
    Download {
        /// The element.
        click: TargetTemplate,
        /// What the file is called; a name used again is numbered.
        name: String,
    },
    /// Fails unless something holds.
    Assert(Assert),
    /// What happens to dialogs (`alert`, `confirm`, `prompt`) from here on.
    Dialog(Dialog),
    /// Runs steps inside of a frame.
    Frame {
        /// The `iframe` element.
        of: TargetTemplate,
        /// The steps.
        steps: Vec<Step>,
    },
    /// Runs steps once for each item of a list.
    ForEach {
        /// The list; see [`ValueTemplate::items`].
        #[serde(rename = "in")]
        items: ValueTemplate,
        /// The variable that holds the item.
        #[serde(rename = "as")]
        variable: String,
        /// The steps.
        steps: Vec<Step>,
    },
    /// Runs steps only if an element is in a state now.
    When {
        /// The element.
        target: TargetTemplate,
        /// The state.
        state: State,
        /// The steps.
        steps: Vec<Step>,
    },
}

impl Action {
    /// The action's key in a workflow: `"for_each"`.
    pub fn key(&self) -> &'static str {
        match self {
            Self::Goto(_) => "goto",
            Self::Click(_) => "click",
            Self::Type { .. } => "type",
            Self::Press(_) => "press",
            Self::Select { .. } => "select",
            Self::Upload { .. } => "upload",
            Self::Wait(_) => "wait",
            Self::Extract { .. } => "extract",
            Self::Set { .. } => "set",
            Self::Screenshot { .. } => "screenshot",
            Self::Pdf { .. } => "pdf",
            Self::Download { .. } => "download",
            Self::Assert(_) => "assert",
            Self::Dialog(_) => "dialog",
            Self::Frame { .. } => "frame",
            Self::ForEach { .. } => "for_each",
            Self::When { .. } => "when",
        }
    }

    /// The steps inside of the action, if it is of the kind that has some.
    pub fn steps(&self) -> Option<&[Step]> {
        match self {
            Self::Frame { steps, .. } | Self::ForEach { steps, .. } | Self::When { steps, .. } => Some(steps),
            _ => None,
        }
    }
}

/// What a `wait` waits for.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(untagged)]
#[non_exhaustive]
pub enum Wait {
    /// A time to pass.
    Time(#[serde(with = "units::duration")] Duration),
    /// An element to come into a state.
    For {
        /// The element.
        #[serde(rename = "for")]
        target: TargetTemplate,
        /// The state.
        state: State,
    },
    /// The page to show a text.
    Text {
        /// The text.
        text: Template,
    },
    /// The page's address to contain a text.
    Url {
        /// The text.
        url: Template,
    },
}

/// What an `assert` demands.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(untagged)]
#[non_exhaustive]
pub enum Assert {
    /// An element, or the page, shows a text.
    Text {
        /// The element; the whole page if there is none.
        #[serde(skip_serializing_if = "Option::is_none")]
        target: Option<TargetTemplate>,
        /// The text.
        text: Template,
    },
    /// So many elements match.
    Count {
        /// The elements.
        target: TargetTemplate,
        /// How many.
        count: u64,
    },
    /// An element is in a state.
    State {
        /// The element.
        target: TargetTemplate,
        /// The state.
        state: State,
    },
    /// The page's address contains a text.
    Url {
        /// The text.
        url: Template,
    },
    /// The page's title contains a text.
    Title {
        /// The text.
        title: Template,
    },
}

/// The state of an element.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
#[allow(missing_docs, reason = "each is what it says")]
pub enum State {
    Visible,
    Hidden,
    Attached,
    Detached,
}

impl State {
    /// All states by name.
    pub(crate) const ALL: [(&'static str, Self); 4] = [
        ("visible", Self::Visible),
        ("hidden", Self::Hidden),
        ("attached", Self::Attached),
        ("detached", Self::Detached),
    ];
}

/// What an `extract` reads.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub enum Extract {
    /// Something of one element, or of all that match.
    From {
        /// The element or elements.
        from: TargetTemplate,
        /// What of them.
        form: Form,
    },
    /// The page's title.
    Title,
    /// The page's address.
    Url,
}

impl Serialize for Extract {
    fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        use serde::ser::SerializeMap;
        let mut map = to.serialize_map(None)?;
        match self {
            Self::Title => map.serialize_entry("title", &true)?,
            Self::Url => map.serialize_entry("url", &true)?,
            Self::From { from, form } => {
                map.serialize_entry("from", from)?;
                map.serialize_entry("as", form.as_str())?;
                if let Form::Attribute(name) | Form::Attributes(name) = form {
                    map.serialize_entry("attribute", name)?;
                }
            }
        }
        map.end()
    }
}

/// In which form elements are read.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum Form {
    /// The text that the first shows.
    Text,
    /// The HTML of the first, itself included.
    Html,
    /// The value of the first, a form's field.
    Value,
    /// The texts of all, a list.
    Texts,
    /// The rows of the first, a `table`: a list of maps by the names of the columns.
    Table,
    /// How many there are.
    Count,
    /// An attribute of the first, by name.
    Attribute(String),
    /// An attribute of all, by name; a list.
    Attributes(String),
}

impl Form {
    /// The form's name in a workflow.
    pub fn as_str(&self) -> &'static str {
        match self {
            Self::Text => "text",
            Self::Html => "html",
            Self::Value => "value",
            Self::Texts => "texts",
            Self::Table => "table",
            Self::Count => "count",
            Self::Attribute(_) => "attribute",
            Self::Attributes(_) => "attributes",
        }
    }

    /// All forms by name.
    pub(crate) const NAMES: [&'static str; 8] =
        ["text", "html", "value", "texts", "table", "count", "attribute", "attributes"];
}

/// What happens to dialogs.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub enum Dialog {
    /// They are accepted; a `prompt` with this answer.
    Accept(Option<Template>),
    /// They are dismissed.
    Dismiss,
}

impl Serialize for Dialog {
    fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        use serde::ser::SerializeMap;
        match self {
            Self::Accept(None) => to.serialize_str("accept"),
            Self::Dismiss => to.serialize_str("dismiss"),
            Self::Accept(Some(answer)) => {
                let mut map = to.serialize_map(Some(1))?;
                map.serialize_entry("accept", answer)?;
                map.end()
            }
        }
    }
}
