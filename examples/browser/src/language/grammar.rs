//! Plain English commands turned into workflow steps by fixed rules.
//!
//! The same text always gives the same steps, and a clause outside of the forms below is an error that names it:
//! nothing is guessed. Upper and lower case are one in commands; `please` and articles are ignored.
//!
//! | form | step |
//! |---|---|
//! | `go to URL`, `open URL`, `visit URL`, `navigate to URL` | `goto`; without a scheme, `https` |
//! | `click [on] TARGET`, `tap TARGET` | `click` |
//! | `type "text" into TARGET`, `enter "text" in TARGET`, `fill in TARGET with "text"` | `type`; `and press enter` adds Enter |
//! | `press KEY`, `hit KEY` | `press` |
//! | `select "entry" from TARGET`, `choose "entry" in TARGET` | `select` |
//! | `wait [for] 2 seconds` | `wait` for a time |
//! | `wait for "text"`, `wait for TARGET [to appear \| to disappear]`, `wait until url contains "text"` | `wait` |
//! | `[take a] [full] screenshot [of TARGET] [as NAME]` | `screenshot`; named `page` |
//! | `save [the page] as pdf [NAME]`, `print to pdf [NAME]` | `pdf`; named `page` |
//! | `extract [all] SOURCE [as NAME]`, also `get`, `read`, `collect`, `scrape` | `extract`; of `all`, the texts |
//! | `extract links`, `extract title`, `extract url`, `extract the html of SOURCE`, `extract the attribute NAME of SOURCE`, `count SOURCE` | `extract` |
//! | `check that "text" is shown`, also `assert`, `verify`, `ensure` | `assert` |
//! | `check that title contains "text"`, `check that url contains "text"`, `check that TARGET is hidden`, `check that TARGET contains "text"` | `assert` |
//! | `accept dialogs [with "answer"]`, `dismiss dialogs` | `dialog` |
//!
//! A TARGET is text in quotes, bare words (text, without a noun such as `button` at the end), a CSS selector that
//! shows itself as such (`#id`, `.class`, `tag[...]`), or `css "any selector"`. A SOURCE is the same without bare
//! words, but with names of tags (`h2`, `table`).
//!
//! Clauses are joined by `then`, `and then`, `;`, a line's end, a full stop before a space, and by `and` or a comma
//! where the next word begins a command. Quotes protect what is between them.
//!
//! ```
//! use browser::language::grammar;
//!
//! let flow = grammar::parse("go to example.com, click 'Next' and take a screenshot")?;
//! let steps = serde_json::to_value(&flow.steps)?;
//! assert_eq!(steps[0]["goto"], "https://example.com");
//! assert_eq!(steps[1]["click"], "text=Next");
//! assert!(grammar::parse("find me a cheap flight").is_err());
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

use std::fmt;

use buttress_core::{Classify, ErrorClass};

use crate::flow::{Action, Flow, Key, Step};

mod cursor;
mod forms;
mod look;
mod words;

/// The longest text in bytes.
pub const MAX_TEXT: usize = 4 << 10;

/// A text of commands is not understood, or not in all its parts.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum NotUnderstood {
    /// There is no command in it.
    #[error("there is no command; write for instance: {}", forms::EXAMPLE)]
    Empty,
    /// The text is longer than 4 KiB.
    #[error("the commands have {0} bytes; at most {MAX_TEXT} may be given; a workflow in YAML may be longer")]
    TooLong(
        /// The text's bytes.
        usize,
    ),
    /// One clause is outside of the forms.
    #[error("`{clause}` was not understood: {reason}{}", Near(.near))]
    Clause {
        /// The clause as written, cut after 200 characters.
        clause: String,
        /// Why not.
        reason: String,
        /// Forms that are near.
        near: Vec<&'static str>,
    },
}

impl NotUnderstood {
    fn clause(clause: &str, reason: impl Into<String>, near: Vec<&'static str>) -> Self {
        let clause = clause.trim().chars().take(200).collect();
        Self::Clause { clause, reason: reason.into(), near }
    }
}

impl Classify for NotUnderstood {
    fn class(&self) -> ErrorClass {
        match self {
            Self::TooLong(_) => ErrorClass::TooLarge,
            _ => ErrorClass::Invalid,
        }
    }
}

struct Near<'a>(&'a [&'static str]);

impl fmt::Display for Near<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (i, form) in self.0.iter().enumerate() {
            f.write_str(if i == 0 { "; write it like: " } else { "; or: " })?;
            f.write_str(form)?;
        }
        Ok(())
    }
}

/// Turns commands of at most 4 KiB into a workflow called `commands`.
///
/// # Errors
///
/// [`NotUnderstood`] names the first clause that is outside of the forms, and the forms that are near.
pub fn parse(text: &str) -> Result<Flow, NotUnderstood> {
    if text.len() > MAX_TEXT {
        return Err(NotUnderstood::TooLong(text.len()));
    }
    let clauses = words::clauses(&words::tokens(text)?);
    let mut steps: Vec<Step> = Vec::new();
    let mut names = forms::Names::default();
    for clause in &clauses {
        let action = forms::action(text, clause, &mut names)?;
        // "type … and press enter" is one thing to do.
        if clause.with_previous
            && action == Action::Press(Key::enter())
            && let Some(Step { action: Action::Type { enter: enter @ false, .. }, .. }) = steps.last_mut()
        {
            *enter = true;
            continue;
        }
        steps.push(Step::new(action));
    }
    if steps.is_empty() {
        return Err(NotUnderstood::Empty);
    }
    Ok(Flow::new("commands", steps))
}
