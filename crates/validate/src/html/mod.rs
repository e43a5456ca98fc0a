//! Markup that executes nothing.

mod bounds;
mod config;
mod policy;
mod references;
mod style;
mod vocabulary;

use std::fmt;
use std::sync::LazyLock;

pub use config::{HtmlConfig, HtmlPreset, ImageSource};
pub use policy::HtmlPolicy;
use serde::{Serialize, Serializer};

use crate::Invalid;

/// Markup that executes nothing in a browser, wherever in the body of an HTML page an element may stand.
///
/// It is made by a [policy](HtmlPolicy), by one of the presets below, or from plain text, and by nothing else: it cannot be
/// deserialised, since whoever writes the bytes would be its author.
///
/// It holds elements only: it is not safe inside an attribute, a script, a style sheet or a comment. And what it says is still
/// its author's: a link may deceive, an `https` image tells its server who reads.
///
/// ```
/// use buttress_validate::SafeHtml;
///
/// let html = SafeHtml::article("<h1 onclick=steal()>Hi</h1><script>steal()</script><a href=javascript:steal()>link")?;
/// assert_eq!(html.as_str(), r#"<h1>Hi</h1><a rel="noopener noreferrer">link</a>"#);
///
/// let text = SafeHtml::escaped("1 < 2");
/// assert_eq!(text.to_string(), "1 &lt; 2");
/// # Ok::<(), buttress_validate::Invalid>(())
/// ```
#[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Default)]
pub struct SafeHtml(String);

/// The policy of a preset, made at its first use.
macro_rules! preset {
    ($name:ident, $preset:expr, $doc:literal) => {
        #[doc = $doc]
        ///
        /// The defaults of [`HtmlConfig`] hold; another limit or another vocabulary is an [`HtmlPolicy`].
        pub fn $name(markup: &str) -> Result<Self, Invalid> {
            static POLICY: LazyLock<HtmlPolicy> = LazyLock::new(|| HtmlPolicy::of(&HtmlConfig::of($preset)));
            POLICY.clean(markup)
        }
    };
}

impl SafeHtml {
    preset!(text_only, HtmlPreset::TextOnly, "The text of `markup` without any markup.");
    preset!(inline, HtmlPreset::Inline, "Emphasis, code and links of `markup`: a line of a comment.");
    preset!(
        article,
        HtmlPreset::Article,
        "Headings, lists, tables, quotations, links and images over HTTPS of `markup`."
    );
    preset!(
        mail,
        HtmlPreset::Mail,
        "What an article may hold, and tables, fonts and styles of mails; images only from the mail itself."
    );

    /// `text` as it is, escaped: what looks like markup is seen, not applied.
    pub fn escaped(text: &str) -> Self {
        let mut html = String::with_capacity(text.len());
        for c in text.chars() {
            match c {
                '&' => html.push_str("&amp;"),
                '<' => html.push_str("&lt;"),
                '>' => html.push_str("&gt;"),
                '"' => html.push_str("&quot;"),
                '\'' => html.push_str("&#39;"),
                '\0' => html.push('\u{fffd}'),
                c => html.push(c),
            }
        }
        Self(html)
    }

    /// The markup.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The markup, as a string that is no longer known to be safe.
    pub fn into_string(self) -> String {
        self.0
    }

    /// Puts other safe markup after this.
    pub fn push(&mut self, other: &Self) {
        self.0.push_str(&other.0);
    }
}

impl AsRef<str> for SafeHtml {
    fn as_ref(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for SafeHtml {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Debug for SafeHtml {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("SafeHtml").field(&self.0).finish()
    }
}

impl Serialize for SafeHtml {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&self.0)
    }
}
