//! The answer of the service, and the workflow in it.

use serde_json::Value;

use super::error::ModelError;
use crate::flow::{Compiled, Flow};

/// What the service answered.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Answer {
    /// The model's text; may be empty.
    pub(crate) text: String,
    /// Whether it stopped at the limit.
    pub(crate) is_cut: bool,
    /// Tokens that the service counted, as it says.
    pub(crate) prompt: Option<u64>,
    pub(crate) completion: Option<u64>,
}

/// What the model's text comes to.
pub(crate) enum Plan {
    /// A checked workflow.
    Flow(Flow),
    /// The model says that there is none, and why.
    Impossible(String),
}

impl Answer {
    /// Reads the body of a chat completion. What is missing in it beside the text is no error.
    pub(crate) fn read(body: &[u8]) -> Result<Self, ModelError> {
        let invalid = |problem: String| ModelError::Invalid { problem };
        let body: Value = serde_json::from_slice(body).map_err(|error| invalid(error.to_string()))?;
        let choice = body.pointer("/choices/0").ok_or_else(|| invalid("it has no `choices`".to_owned()))?;
        let message =
            choice.get("message").ok_or_else(|| invalid("its choice has no `message`".to_owned()))?;
        let text = message.get("content").and_then(Value::as_str).unwrap_or_default().to_owned();
        let is_cut = choice.get("finish_reason").and_then(Value::as_str) == Some("length");
        let usage = |name: &str| body.get("usage")?.get(name)?.as_u64();
        Ok(Self { text, is_cut, prompt: usage("prompt_tokens"), completion: usage("completion_tokens") })
    }

    /// The workflow that the text is.
    ///
    /// # Errors
    ///
    /// Everything that is wrong with it, for the model and for people.
    pub(crate) fn plan(&self) -> Result<Plan, String> {
        if self.is_cut {
            return Err("it was cut at the longest answer; make it shorter".to_owned());
        }
        let text = unfenced(self.text.trim());
        if text.is_empty() {
            return Err("it is empty".to_owned());
        }
        let value: Value = serde_json::from_str(text).map_err(|error| format!("it is not JSON: {error}"))?;
        if let Some(reason) = value.get("cannot") {
            let reason = reason.as_str().unwrap_or("it does not say why");
            return Ok(Plan::Impossible(reason.chars().filter(|c| !c.is_control()).take(300).collect()));
        }
        let flow = Flow::from_value(value).map_err(|errors| errors.to_string())?;
        Compiled::new(&flow).map_err(|errors| errors.to_string())?;
        Ok(Plan::Flow(flow))
    }
}

/// What is inside of a fence of Markdown: some models cannot do without.
fn unfenced(text: &str) -> &str {
    let inside = || {
        let (_, inside) = text.strip_prefix("```")?.strip_suffix("```")?.split_once('\n')?;
        Some(inside.trim())
    };
    inside().unwrap_or(text)
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::{Answer, Plan};

    fn read(body: &str) -> Answer {
        Answer::read(body.as_bytes()).unwrap()
    }

    #[test]
    fn what_is_missing_beside_the_text_is_no_error() {
        let answer = read(r#"{"choices":[{"message":{"content":"x"}}],"usage":{"prompt_tokens":-1}}"#);
        assert_eq!(answer, Answer { text: "x".to_owned(), is_cut: false, prompt: None, completion: None });
        let cut = read(r#"{"choices":[{"message":{"content":null},"finish_reason":"length"}]}"#);
        assert!(cut.is_cut && cut.plan().is_err_and(|problem| problem.contains("shorter")));
        for wrong in ["", "[]", "{}", r#"{"choices":[]}"#, r#"{"choices":[{"text":"old"}]}"#] {
            assert!(Answer::read(wrong.as_bytes()).is_err(), "{wrong}");
        }
    }

    #[test]
    fn a_fence_is_taken_off() {
        let text = "```json\n{\"name\":\"a\",\"steps\":[{\"press\":\"Enter\"}]}\n```";
        let answer = Answer { text: text.to_owned(), is_cut: false, prompt: None, completion: None };
        assert!(matches!(answer.plan(), Ok(Plan::Flow(flow)) if flow.name == "a"));
    }
}
