//! The prompt of a command, shrunk to what it may cost.
//!
//! The command goes along as it is, since what is in its quotes is typed. What is shrunk is the page: its HTML to an
//! [`outline`], its address and title to their beginnings. A repair needs room for the answer that was wrong and for
//! what is wrong with it; the page gets less then.

use super::error::{Error, Result};
use super::outline::outline;
use super::prompt;
use super::scan::plain;
use super::tokens::{cut, estimate_tokens};

/// What is known of the page that the browser shows when the command is given.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct PageHint {
    /// Its address.
    pub url: Option<String>,
    /// Its title.
    pub title: Option<String>,
    /// Its HTML; empty if it is not known.
    pub html: String,
}

impl PageHint {
    /// A page of which only the HTML is known.
    #[must_use]
    pub fn of_html(html: impl Into<String>) -> Self {
        Self { html: html.into(), ..Self::default() }
    }

    /// Adds its address.
    #[must_use]
    pub fn url(mut self, url: impl Into<String>) -> Self {
        self.url = Some(url.into());
        self
    }

    /// Adds its title.
    #[must_use]
    pub fn title(mut self, title: impl Into<String>) -> Self {
        self.title = Some(title.into());
        self
    }
}

/// One message to the model.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize)]
pub(crate) struct Message {
    pub(crate) role: &'static str,
    pub(crate) content: String,
}

/// A prompt that fits.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Prompt {
    pub(crate) messages: Vec<Message>,
    /// Estimated tokens of command and page as given, with the fixed part.
    pub(crate) before: u64,
    /// Estimated tokens of the messages.
    pub(crate) after: u64,
}

/// What was wrong with an answer.
#[derive(Debug)]
pub(crate) struct Wrong {
    pub(crate) answer: String,
    pub(crate) problems: String,
}

const MOST_URL: usize = 200;
const MOST_TITLE: usize = 120;
const HEADING: &str = "PAGE:\n";

/// The prompt for a command, of at most `most` tokens.
///
/// # Errors
///
/// [`Error::TooLong`] when the command does not fit beside the fixed part.
pub(crate) fn prompt(
    command: &str,
    page: Option<&PageHint>,
    wrong: Option<&Wrong>,
    most: u64,
) -> Result<Prompt> {
    let system = prompt::system();
    let command = command.trim();
    let mut user = format!("COMMAND: {command}\n");
    let fixed = estimate_tokens(&system);
    let needed = fixed + estimate_tokens(&user);
    let nothing = PageHint::default();
    let page = page.unwrap_or(&nothing);
    let shown = [page.url.as_deref(), page.title.as_deref()];
    let before = needed
        + shown.iter().flatten().map(|text| estimate_tokens(text)).sum::<u64>()
        + estimate_tokens(&page.html);
    // A repair must fit too, with a little of what was wrong.
    let frame = estimate_tokens(&prompt::repair(""));
    let Some(mut left) = most.checked_sub(needed).filter(|left| *left >= 2 * frame) else {
        let tokens = needed - fixed;
        return Err(Error::TooLong { tokens, most: most.saturating_sub(fixed + 2 * frame) });
    };

    let repair = wrong.map(|wrong| {
        // Its beginning says enough of a long answer; the errors say where the rest is wrong.
        let answer = cut(&wrong.answer, left / 3).to_owned();
        let problems = prompt::repair(cut(&wrong.problems, (left / 3).saturating_sub(frame)));
        [Message { role: "assistant", content: answer }, Message { role: "user", content: problems }]
    });
    for message in repair.iter().flatten() {
        left = left.saturating_sub(estimate_tokens(&message.content));
    }

    for (name, text, most) in [("PAGE URL", &page.url, MOST_URL), ("PAGE TITLE", &page.title, MOST_TITLE)] {
        let Some(text) = text else { continue };
        let line = format!("{name}: {}\n", plain(text, most));
        let tokens = estimate_tokens(&line);
        if tokens <= left {
            left -= tokens;
            user.push_str(&line);
        }
    }
    let outlined = match left.checked_sub(estimate_tokens(HEADING)) {
        Some(room) if !page.html.is_empty() => outline(&page.html, command, room),
        _ => String::new(),
    };
    if !outlined.is_empty() {
        user.push_str(HEADING);
        user.push_str(&outlined);
    }
    let mut messages =
        vec![Message { role: "system", content: system }, Message { role: "user", content: user }];
    messages.extend(repair.into_iter().flatten());
    let after = messages.iter().map(|message| estimate_tokens(&message.content)).sum();
    Ok(Prompt { messages, before, after })
}

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::indexing_slicing)]
mod tests {
    use proptest::prelude::*;

    use super::{PageHint, Wrong, prompt};

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(128))]
        #[test]
        fn no_prompt_is_over_its_limit(
            command in "[a-z \"'é登]{0,200}",
            html in "(<a href=x>|<button id=b1>|</a>|</button>|[a-z ]{1,9}|<h1>|<p class=price>){0,120}",
            url in proptest::option::of(".{0,300}"),
            wrong in proptest::option::of((".{0,400}", ".{0,400}")),
            most in 1_000_u64..2_600,
        ) {
            let page = PageHint { url, title: None, html };
            let wrong = wrong.map(|(answer, problems)| Wrong { answer, problems });
            match prompt(&command, Some(&page), wrong.as_ref(), most) {
                Ok(made) => {
                    prop_assert!(made.after <= most, "{} of {most}", made.after);
                    prop_assert!(made.messages[1].content.contains(command.trim()));
                    prop_assert_eq!(made, prompt(&command, Some(&page), wrong.as_ref(), most).unwrap());
                }
                Err(error) => prop_assert!(error.to_string().contains("shorten it")),
            }
        }
    }
}
