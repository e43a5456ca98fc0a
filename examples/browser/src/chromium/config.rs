//! Which browser is started, and how long it may take.

use std::fmt;
use std::path::PathBuf;
use std::str::FromStr;
use std::time::Duration;

use buttress_core::{Validate, Violations, units};
use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// Which browser is started, and how long it may take.
///
/// | field | default | |
/// |---|---|---|
/// | `program` | none | the browser's executable; searched for when not given |
/// | `args` | none | more arguments for it |
/// | `window` | `"1280x900"` | width and height of a page in CSS pixels |
/// | `user_agent` | none | what the browser calls itself to servers |
/// | `leftovers` | none | a folder in which running browsers are noted; see [`Leftovers`](super::Leftovers) |
/// | `launch_within` | `"10s"` | from the start to the first answer |
/// | `answer_within` | `"10s"` | one command, one script |
/// | `navigate_within` | `"30s"` | from a navigation's start to the page's `load` event |
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
#[non_exhaustive]
pub struct ChromiumConfig {
    /// The browser's executable; searched for when not given.
    pub program: Option<PathBuf>,
    /// More arguments for it.
    pub args: Vec<String>,
    /// Width and height of a page in CSS pixels.
    pub window: WindowSize,
    /// What the browser calls itself to servers.
    pub user_agent: Option<String>,
    /// A folder in which running browsers are noted.
    pub leftovers: Option<PathBuf>,
    /// From the start to the first answer.
    #[serde(with = "units::duration")]
    pub launch_within: Duration,
    /// One command, one script.
    #[serde(with = "units::duration")]
    pub answer_within: Duration,
    /// From a navigation's start to the page's `load` event.
    #[serde(with = "units::duration")]
    pub navigate_within: Duration,
}

impl Default for ChromiumConfig {
    fn default() -> Self {
        Self {
            program: None,
            args: Vec::new(),
            window: WindowSize { width: 1280, height: 900 },
            user_agent: None,
            leftovers: None,
            launch_within: Duration::from_secs(10),
            answer_within: Duration::from_secs(10),
            navigate_within: Duration::from_secs(30),
        }
    }
}

impl Validate for ChromiumConfig {
    fn validate(&self) -> Result<(), Violations> {
        let mut wrong = Violations::new();
        let side = 100..=10_000;
        let window = side.contains(&self.window.width) && side.contains(&self.window.height);
        wrong.require(window, "window", self.window, "each side must be 100 to 10000; \"1280x900\" is usual");
        for arg in &self.args {
            // The program stands before its arguments; anything else would be opened as a page.
            wrong.require(arg.starts_with("--"), "args", arg, "must begin with `--`");
        }
        let agent = self.user_agent.as_deref().is_none_or(|name| {
            (1..=1024).contains(&name.len()) && name.chars().all(|c| c == ' ' || c.is_ascii_graphic())
        });
        let shown = self.user_agent.as_deref().unwrap_or_default();
        wrong.require(agent, "user_agent", shown, "must be 1 to 1024 printable ASCII characters");
        for (field, limit, usual) in [
            ("launch_within", self.launch_within, "10s"),
            ("answer_within", self.answer_within, "10s"),
            ("navigate_within", self.navigate_within, "30s"),
        ] {
            let fits = (Duration::from_millis(10)..=Duration::from_hours(1)).contains(&limit);
            let remedy = format!("must be \"10ms\" to \"1h\"; \"{usual}\" is usual");
            wrong.require(fits, field, units::format_duration(limit), remedy);
        }
        wrong.into_result()
    }
}

/// A window's size in CSS pixels, written `"1280x900"`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct WindowSize {
    /// From left to right.
    pub width: u32,
    /// From top to bottom.
    pub height: u32,
}

impl fmt::Display for WindowSize {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}x{}", self.width, self.height)
    }
}

impl FromStr for WindowSize {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let sides = text.split_once('x').and_then(|(width, height)| {
            Some(Self { width: width.trim().parse().ok()?, height: height.trim().parse().ok()? })
        });
        sides.ok_or_else(|| format!("`{text}` is not a window's size; write it like \"1280x900\""))
    }
}

impl Serialize for WindowSize {
    fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        to.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for WindowSize {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        let text = String::deserialize(from)?;
        text.parse().map_err(serde::de::Error::custom)
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn a_configuration_reads_back_as_it_was_written() {
        let config = ChromiumConfig { user_agent: Some("probe/1".to_owned()), ..ChromiumConfig::default() };
        assert_eq!(
            serde_json::from_str::<ChromiumConfig>(&serde_json::to_string(&config).unwrap()).unwrap(),
            config
        );
        assert!(serde_json::from_str::<ChromiumConfig>(r#"{"widow": "1x1"}"#).is_err());
        assert!(serde_json::from_str::<ChromiumConfig>(r#"{"window": "1280"}"#).is_err());
    }

    #[test]
    fn every_wrong_field_is_named() {
        let config = ChromiumConfig {
            args: vec!["http://example.com".to_owned()],
            window: WindowSize { width: 1, height: 900 },
            user_agent: Some("two\nlines".to_owned()),
            answer_within: Duration::ZERO,
            ..ChromiumConfig::default()
        };
        let wrong = config.validate().unwrap_err();
        let fields: Vec<_> = wrong.as_slice().iter().map(|violation| violation.field.as_str()).collect();
        assert_eq!(fields, ["window", "args", "user_agent", "answer_within"]);
        assert!(ChromiumConfig::default().validate().is_ok());
    }
}
