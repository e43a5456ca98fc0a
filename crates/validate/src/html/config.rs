//! What markup may hold, as an operator writes it.

use std::collections::BTreeMap;

use buttress_core::{ByteSize, Validate, Violations};
use serde::{Deserialize, Serialize};

use super::vocabulary;

/// What a policy begins with.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum HtmlPreset {
    /// No markup at all: the text that people would have read.
    TextOnly,
    /// A line of a comment: emphasis, code, links; no blocks, no images.
    Inline,
    /// An article: headings, lists, tables, quotations, images over HTTPS.
    #[default]
    Article,
    /// A mail: an article, and tables and fonts as mails are drawn with; only images that came with it.
    Mail,
}

/// Where images may come from.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum ImageSource {
    /// `https:` addresses. Their server learns who reads and when.
    Https,
    /// `http:` addresses.
    Http,
    /// Addresses relative to the page.
    Relative,
    /// `data:` with a PNG, JPEG, GIF, WebP or AVIF in base64.
    Data,
    /// `cid:`, a part of the same mail.
    Cid,
}

/// What markup may hold, and how much of it.
///
/// A configuration widens or narrows its preset, and never lets through scripts, handlers, forms, frames, objects, style sheets,
/// SVG or `MathML`, `javascript:` or `data:` links, names that scripts of the page look up, or anything else
/// that is not in the crate's own table.
///
/// | field | default | |
/// |---|---|---|
/// | `preset` | `"article"` | what is allowed to begin with, see [`HtmlPreset`] |
/// | `tags` | none | further tags |
/// | `attributes` | none | further attributes by tag; `"*"` is every tag |
/// | `classes` | none | class names that are kept |
/// | `link_schemes` | `http`, `https`, `mailto` | what links may begin with |
/// | `relative_links` | true | whether links may be relative to the page |
/// | `images` | by preset: `https`; mail: `data`, `cid` | where images may come from |
/// | `styles` | by preset: none; mail: what paints inside its box | CSS properties that are kept in `style` |
/// | `id_prefix` | `"user-"` | put before every `id` that does not begin with it, and links to it, so that none can stand for an object of the page's scripts |
/// | `nofollow` | false | whether links also get `rel=nofollow ugc` |
/// | `max_bytes` | 256 KiB | bytes of the text |
/// | `max_depth` | 128 | elements inside one another |
/// | `max_attributes` | 256 | attributes of a tag |
/// | `max_elements` | 50000 | elements a parser makes of it, with those it repeats to repair it |
///
/// ```
/// use buttress_validate::{HtmlConfig, HtmlPolicy};
///
/// let config: HtmlConfig = toml::from_str(
///     r#"
///     preset = "inline"
///     tags = ["img"]
///     images = ["data"]
///     classes = ["note"]
///     "#,
/// )?;
/// let html = HtmlPolicy::new(&config)?.clean("<i class='note x' onclick=f()>hi</i><img src=https://evil.example/>")?;
/// assert_eq!(html.as_str(), r#"<i class="note">hi</i><img>"#);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
#[non_exhaustive]
pub struct HtmlConfig {
    /// What is allowed to begin with.
    pub preset: HtmlPreset,
    /// Further tags.
    pub tags: Vec<String>,
    /// Further attributes by tag; `"*"` is every tag.
    pub attributes: BTreeMap<String, Vec<String>>,
    /// Class names that are kept.
    pub classes: Vec<String>,
    /// What links may begin with.
    pub link_schemes: Vec<String>,
    /// Whether links may be relative to the page.
    pub relative_links: bool,
    /// Where images may come from, if not where the preset says.
    pub images: Option<Vec<ImageSource>>,
    /// CSS properties that are kept in `style`, if not those of the preset.
    pub styles: Option<Vec<String>>,
    /// Put before every `id`.
    pub id_prefix: String,
    /// Whether links also get `rel=nofollow ugc`.
    pub nofollow: bool,
    /// Bytes of the text.
    pub max_bytes: ByteSize,
    /// Elements inside one another.
    pub max_depth: usize,
    /// Attributes of a tag.
    pub max_attributes: usize,
    /// Elements a parser makes of it.
    pub max_elements: usize,
}

impl HtmlConfig {
    /// The configuration of a preset.
    #[must_use]
    pub fn of(preset: HtmlPreset) -> Self {
        Self { preset, ..Self::default() }
    }
}

impl Default for HtmlConfig {
    fn default() -> Self {
        Self {
            preset: HtmlPreset::default(),
            tags: Vec::new(),
            attributes: BTreeMap::new(),
            classes: Vec::new(),
            link_schemes: ["http", "https", "mailto"].map(str::to_owned).to_vec(),
            relative_links: true,
            images: None,
            styles: None,
            id_prefix: "user-".to_owned(),
            nofollow: false,
            max_bytes: ByteSize::kib(256),
            max_depth: 128,
            max_attributes: 256,
            max_elements: 50_000,
        }
    }
}

impl Validate for HtmlConfig {
    fn validate(&self) -> Result<(), Violations> {
        let mut wrong = Violations::new();
        for tag in &self.tags {
            let known = vocabulary::tag(tag).is_some();
            wrong.require(known, "tags", tag, "is no tag that is safe to allow; leave it out");
        }
        for (tag, names) in &self.attributes {
            let known = tag == "*" || vocabulary::tag(tag).is_some();
            wrong.require(known, "attributes", tag, "is no tag that is safe to allow; \"*\" is every tag");
            for name in names {
                let known = vocabulary::attribute(tag, name).is_some();
                let field = format!("attributes.{tag}");
                wrong.require(
                    known,
                    &field,
                    name,
                    "is no attribute that is safe to allow here; leave it out",
                );
            }
        }
        for scheme in &self.link_schemes {
            let known = vocabulary::scheme(scheme).is_some();
            wrong.require(
                known,
                "link_schemes",
                scheme,
                "is no scheme that is safe to link; \"https\" is usual",
            );
        }
        for property in self.styles.iter().flatten() {
            let known = vocabulary::property(property).is_some();
            wrong.require(
                known,
                "styles",
                property,
                "is no property that is safe to allow; \"color\" would do",
            );
        }
        let is_name = |c: char| c.is_ascii_alphanumeric() || c == '-' || c == '_';
        for class in &self.classes {
            let good = !class.is_empty() && class.chars().all(is_name);
            wrong.require(good, "classes", class, "must be letters, digits, `-` and `_`");
        }
        let prefixed = self.id_prefix.ends_with(['-', '_']) && self.id_prefix.chars().all(is_name);
        let remedy = "must be letters, digits, `-` and `_`, and end with one of the last two, as \"user-\"";
        wrong.require(prefixed, "id_prefix", &self.id_prefix, remedy);
        // Above these a parser's work is no longer in proportion to the text.
        let within = |value: usize, most: usize| (1..=most).contains(&value);
        wrong.require(
            within(self.max_depth, 1_024),
            "max_depth",
            self.max_depth,
            "must be 1 to 1024; 128 is usual",
        );
        let remedy = "must be 1 to 4096; 256 is usual";
        wrong.require(within(self.max_attributes, 4_096), "max_attributes", self.max_attributes, remedy);
        wrong.require(
            self.max_elements >= 1,
            "max_elements",
            self.max_elements,
            "must be at least 1; 50000 is usual",
        );
        wrong.require(
            self.max_bytes.bytes() >= 1,
            "max_bytes",
            self.max_bytes,
            "must be at least 1; 256KiB is usual",
        );
        wrong.into_result()
    }
}
