//! A policy, made once from its configuration and used for every text.

use std::borrow::Cow;
use std::collections::{HashMap, HashSet};

use ammonia::{Builder, UrlRelative};
use buttress_core::Validate;
use url::Url;

use super::bounds::Bounds;
use super::config::{HtmlConfig, HtmlPreset, ImageSource};
use super::vocabulary::{self, BLOCKS, BY_TAG, GENERAL, INLINE, MAIL, MAIL_BY_TAG, WITH_CONTENT};
use super::{SafeHtml, references, style};
use crate::{Code, Error, Invalid};

/// What a value was to be, in errors.
pub(super) const WHAT: &str = "HTML";

/// Character references that are read one by one: `&amp;`, `&lt;` and their like. Of those to letters there may be any number.
const MAX_REFERENCES: usize = 8_192;

/// What may stand in a `data:` image. SVG is not among them: it is a document, not a picture.
const PICTURES: [&str; 5] = ["png;", "jpeg;", "gif;", "webp;", "avif;"];

/// What markup may hold, made once and used for every text. Cleaning takes time in proportion to the text.
#[derive(Debug)]
pub struct HtmlPolicy {
    cleaner: Builder<'static>,
    bounds: Bounds,
    max_bytes: usize,
}

impl HtmlPolicy {
    /// The policy that `config` describes.
    pub fn new(config: &HtmlConfig) -> Result<Self, Error> {
        config.validate().map_err(Error::Config)?;
        Ok(Self::of(config))
    }

    /// The policy of a configuration that is known to be right.
    pub(super) fn of(config: &HtmlConfig) -> Self {
        let bounds = Bounds {
            depth: config.max_depth,
            attributes: config.max_attributes,
            elements: config.max_elements,
        };
        Self { cleaner: cleaner(config), bounds, max_bytes: config.max_bytes.as_usize() }
    }

    /// Of `markup`, what the policy allows.
    ///
    /// Broken markup is repaired as browsers do it; elements that are not allowed go and their text stays, except where the
    /// content is none for people (scripts, styles, frames, SVG, …). Only what exceeds a limit is refused.
    pub fn clean(&self, markup: &str) -> Result<SafeHtml, Invalid> {
        if markup.len() > self.max_bytes {
            let problem = format!("has more than {} bytes", self.max_bytes);
            return Err(Invalid::new(WHAT, Code::TooLong, problem, "send less"));
        }
        if !markup.contains(['<', '>', '&', '\r', '\0', '\u{a0}']) {
            return Ok(SafeHtml(markup.to_owned())); // Nothing to parse, and nothing to escape.
        }
        let markup = references::written_out(markup);
        if references::count(&markup) > MAX_REFERENCES {
            let problem = format!("has more than {MAX_REFERENCES} character references");
            return Err(Invalid::new(WHAT, Code::TooMany, problem, "write the characters themselves"));
        }
        self.bounds.check(&markup)?;
        Ok(SafeHtml(self.cleaner.clean(&markup).to_string()))
    }
}

fn cleaner(config: &HtmlConfig) -> Builder<'static> {
    let preset = config.preset;
    let tags = tags(config);
    let mut attributes: HashMap<&'static str, HashSet<&'static str>> = HashMap::new();
    let mut general: HashSet<&'static str> = HashSet::new();
    if preset != HtmlPreset::TextOnly {
        general.extend(GENERAL);
    }
    let mail = if preset == HtmlPreset::Mail { MAIL_BY_TAG } else { &[] };
    for (tag, names) in BY_TAG.iter().chain(mail) {
        if tags.contains(tag) {
            attributes.entry(tag).or_default().extend(*names);
        }
    }
    for (tag, names) in &config.attributes {
        let known = names.iter().filter_map(|name| vocabulary::attribute(tag, name));
        match vocabulary::tag(tag) {
            Some(tag) => attributes.entry(tag).or_default().extend(known),
            None => general.extend(known),
        }
    }
    let styles: Vec<&'static str> = match &config.styles {
        Some(names) => names.iter().filter_map(|name| vocabulary::property(name)).collect(),
        None if preset == HtmlPreset::Mail => vocabulary::MAIL_PROPERTIES.to_vec(),
        None => Vec::new(),
    };
    if !styles.is_empty() {
        general.insert("style");
    }
    if !config.classes.is_empty() {
        general.insert("class");
    }
    let filter = Filter {
        styles,
        classes: config.classes.clone(),
        schemes: config.link_schemes.clone(),
        relative_links: config.relative_links,
        images: images(config),
        id_prefix: config.id_prefix.clone(),
    };
    let schemes: HashSet<&'static str> = config
        .link_schemes
        .iter()
        .filter_map(|scheme| vocabulary::scheme(scheme))
        .chain(["https", "http", "data", "cid"]) // Who may have which, the filter decides.
        .collect();
    let rel = if config.nofollow { "nofollow ugc noopener noreferrer" } else { "noopener noreferrer" };
    let mut cleaner = Builder::empty();
    cleaner
        .tags(tags)
        .clean_content_tags(WITH_CONTENT.iter().copied().collect())
        .tag_attributes(attributes)
        .generic_attributes(general)
        .url_schemes(schemes)
        .url_relative(UrlRelative::PassThrough)
        // Set like this, not by `link_rel`, the order of the attributes stays.
        .link_rel(None)
        .set_tag_attribute_value("a", "rel", rel)
        .attribute_filter(move |tag: &str, name: &str, value: &str| {
            filter.keep(tag, name, value).map(Cow::into_owned).map(Cow::Owned)
        })
        .strip_comments(true);
    cleaner
}

fn tags(config: &HtmlConfig) -> HashSet<&'static str> {
    let preset: &[&[&'static str]] = match config.preset {
        HtmlPreset::TextOnly => &[],
        HtmlPreset::Inline => &[INLINE],
        HtmlPreset::Article => &[INLINE, BLOCKS],
        HtmlPreset::Mail => &[INLINE, BLOCKS, MAIL],
    };
    let further = config.tags.iter().filter_map(|tag| vocabulary::tag(tag));
    preset.iter().flat_map(|list| list.iter().copied()).chain(further).collect()
}

fn images(config: &HtmlConfig) -> Vec<ImageSource> {
    match &config.images {
        Some(sources) => sources.clone(),
        None if config.preset == HtmlPreset::Mail => vec![ImageSource::Data, ImageSource::Cid],
        None => vec![ImageSource::Https],
    }
}

/// Decides about the values of attributes whose names are allowed.
#[derive(Debug)]
struct Filter {
    styles: Vec<&'static str>,
    classes: Vec<String>,
    schemes: Vec<String>,
    relative_links: bool,
    images: Vec<ImageSource>,
    id_prefix: String,
}

impl Filter {
    fn keep<'v>(&self, tag: &str, name: &str, value: &'v str) -> Option<Cow<'v, str>> {
        match (tag, name) {
            ("a", "href") => self.link(value),
            ("img", "src") => self.image(value).then_some(Cow::Borrowed(value)),
            (_, "href" | "src") => None,
            (_, "target") => value.eq_ignore_ascii_case("_blank").then_some(Cow::Borrowed("_blank")),
            (_, "id") => self.id(value),
            (_, "style") => style::filter(value, &self.styles).map(Cow::Owned),
            (_, "class") => {
                let known = |class: &&str| self.classes.iter().any(|kept| kept == class);
                let kept: Vec<&str> = value.split_ascii_whitespace().filter(known).collect();
                (!kept.is_empty()).then(|| Cow::Owned(kept.join(" ")))
            }
            _ => Some(Cow::Borrowed(value)),
        }
    }

    fn link<'v>(&self, value: &'v str) -> Option<Cow<'v, str>> {
        if let Some(id) = value.strip_prefix('#') {
            return Some(Cow::Owned(format!("#{}", self.id(id)?)));
        }
        let allowed = match Url::parse(value) {
            Ok(url) => self.schemes.iter().any(|scheme| scheme == url.scheme()),
            // A scheme behind odd white space is one to a browser of another age.
            Err(url::ParseError::RelativeUrlWithoutBase) => {
                let beginning = value.split(['/', '?', '#']).next().unwrap_or_default();
                self.relative_links && !beginning.contains(':')
            }
            Err(_) => false,
        };
        allowed.then_some(Cow::Borrowed(value))
    }

    fn image(&self, value: &str) -> bool {
        let source = match Url::parse(value) {
            Ok(url) => match url.scheme() {
                "https" => ImageSource::Https,
                "http" => ImageSource::Http,
                "cid" => ImageSource::Cid,
                "data" => {
                    let Some(picture) = url.path().strip_prefix("image/") else { return false };
                    let Some(kind) = PICTURES.iter().find(|kind| picture.starts_with(**kind)) else {
                        return false;
                    };
                    let base64 = picture.get(kind.len()..).is_some_and(|rest| rest.starts_with("base64,"));
                    return base64 && self.images.contains(&ImageSource::Data);
                }
                _ => return false,
            },
            Err(url::ParseError::RelativeUrlWithoutBase) => ImageSource::Relative,
            Err(_) => return false,
        };
        self.images.contains(&source)
    }

    fn id<'v>(&self, value: &'v str) -> Option<Cow<'v, str>> {
        if value.is_empty() || value.contains(|c: char| c.is_whitespace() || c.is_control()) {
            None
        } else if value.starts_with(&self.id_prefix) {
            Some(Cow::Borrowed(value))
        } else {
            Some(Cow::Owned(format!("{}{value}", self.id_prefix)))
        }
    }
}
