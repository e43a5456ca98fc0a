//! All tags, attributes, schemes and CSS properties that a policy can ever allow: what is not here, no configuration lets through.
//!
//! None of them runs a script, loads a document, submits a form or draws outside of its own box, and no tag's content is
//! anything but markup, so that a browser reads the output as it was meant.

/// Text and what stands in its line.
pub(super) const INLINE: &[&str] = &[
    "a", "abbr", "b", "bdi", "bdo", "br", "cite", "code", "del", "dfn", "em", "i", "ins", "kbd", "mark", "q",
    "s", "samp", "small", "span", "strong", "sub", "sup", "time", "u", "var", "wbr",
];

/// What an article has beside [`INLINE`].
pub(super) const BLOCKS: &[&str] = &[
    "article",
    "aside",
    "blockquote",
    "caption",
    "col",
    "colgroup",
    "dd",
    "details",
    "div",
    "dl",
    "dt",
    "figcaption",
    "figure",
    "footer",
    "h1",
    "h2",
    "h3",
    "h4",
    "h5",
    "h6",
    "header",
    "hr",
    "img",
    "li",
    "ol",
    "p",
    "pre",
    "rp",
    "rt",
    "ruby",
    "section",
    "summary",
    "table",
    "tbody",
    "td",
    "tfoot",
    "th",
    "thead",
    "tr",
    "ul",
];

/// What mails have beside [`BLOCKS`].
pub(super) const MAIL: &[&str] = &["big", "center", "font", "strike", "tt"];

/// What only a configuration adds.
const FURTHER: &[&str] =
    &["acronym", "address", "data", "dir", "hgroup", "main", "menu", "meter", "nav", "nobr", "progress"];

/// Elements whose content is no text for people; it goes with them.
pub(super) const WITH_CONTENT: &[&str] = &[
    "applet",
    "audio",
    "canvas",
    "datalist",
    "embed",
    "frameset",
    "iframe",
    "math",
    "noembed",
    "noframes",
    "noscript",
    "object",
    "plaintext",
    "script",
    "select",
    "style",
    "svg",
    "template",
    "textarea",
    "title",
    "video",
    "xmp",
];

/// Attributes of any element.
pub(super) const GENERAL: &[&str] = &["dir", "lang", "title"];

/// Attributes of articles, by tag.
pub(super) const BY_TAG: &[(&str, &[&str])] = &[
    ("a", &["href", "hreflang", "id", "rel", "target"]),
    ("col", &["span"]),
    ("colgroup", &["span"]),
    ("del", &["datetime"]),
    ("details", &["open"]),
    ("h1", &["id"]),
    ("h2", &["id"]),
    ("h3", &["id"]),
    ("h4", &["id"]),
    ("h5", &["id"]),
    ("h6", &["id"]),
    ("img", &["alt", "height", "loading", "src", "width"]),
    ("ins", &["datetime"]),
    ("li", &["id", "value"]),
    ("ol", &["reversed", "start", "type"]),
    ("p", &["id"]),
    ("sup", &["id"]),
    ("td", &["colspan", "rowspan"]),
    ("th", &["abbr", "colspan", "rowspan", "scope"]),
    ("time", &["datetime"]),
];

/// Attributes of mails, by tag.
pub(super) const MAIL_BY_TAG: &[(&str, &[&str])] = &[
    ("div", &["align"]),
    ("font", &["color", "face", "size"]),
    ("h1", &["align"]),
    ("h2", &["align"]),
    ("h3", &["align"]),
    ("hr", &["align", "color", "size", "width"]),
    ("img", &["align", "border", "hspace", "vspace"]),
    ("p", &["align"]),
    ("table", &["align", "bgcolor", "border", "cellpadding", "cellspacing", "height", "summary", "width"]),
    ("td", &["align", "bgcolor", "height", "nowrap", "valign", "width"]),
    ("th", &["align", "bgcolor", "height", "nowrap", "valign", "width"]),
    ("tr", &["align", "bgcolor", "height", "valign"]),
];

/// Attributes that a configuration may add to any tag. None holds a URL, a script, a style, a form's target or a name that
/// scripts of the page look up; `data-*` is not here since frameworks act on it.
const ATTRIBUTES: &[&str] = &[
    "abbr",
    "align",
    "alt",
    "aria-hidden",
    "aria-label",
    "bgcolor",
    "border",
    "cellpadding",
    "cellspacing",
    "color",
    "colspan",
    "datetime",
    "dir",
    "face",
    "height",
    "high",
    "hreflang",
    "hspace",
    "id",
    "lang",
    "loading",
    "low",
    "max",
    "min",
    "nowrap",
    "open",
    "optimum",
    "reversed",
    "role",
    "rowspan",
    "scope",
    "size",
    "span",
    "start",
    "summary",
    "title",
    "translate",
    "type",
    "valign",
    "value",
    "vspace",
    "width",
];

/// Schemes of links. A browser hands each of them to a person or another program; none runs anything in the page.
const SCHEMES: &[&str] = &[
    "ftp", "ftps", "geo", "http", "https", "irc", "ircs", "magnet", "mailto", "matrix", "sftp", "sip",
    "sips", "sms", "tel", "webcal", "xmpp",
];

/// CSS properties that paint inside of the element's own box: none positions, fixes, animates, generates content or loads.
const PROPERTIES: &[&str] = &[
    "background-color",
    "border",
    "border-bottom",
    "border-collapse",
    "border-color",
    "border-left",
    "border-radius",
    "border-right",
    "border-spacing",
    "border-style",
    "border-top",
    "border-width",
    "color",
    "direction",
    "font",
    "font-family",
    "font-size",
    "font-style",
    "font-variant",
    "font-weight",
    "height",
    "letter-spacing",
    "line-height",
    "list-style-type",
    "margin",
    "margin-bottom",
    "margin-left",
    "margin-right",
    "margin-top",
    "max-width",
    "padding",
    "padding-bottom",
    "padding-left",
    "padding-right",
    "padding-top",
    "table-layout",
    "text-align",
    "text-decoration",
    "text-indent",
    "text-transform",
    "vertical-align",
    "white-space",
    "width",
    "word-break",
    "word-spacing",
];

/// What mails style unless the configuration says otherwise.
pub(super) const MAIL_PROPERTIES: &[&str] = PROPERTIES;

fn find(name: &str, lists: &[&[&'static str]]) -> Option<&'static str> {
    lists.iter().flat_map(|list| list.iter()).copied().find(|known| *known == name)
}

/// The tag as a constant, if a policy may allow it.
pub(super) fn tag(name: &str) -> Option<&'static str> {
    find(name, &[INLINE, BLOCKS, MAIL, FURTHER])
}

/// The attribute as a constant, if a policy may allow it on `tag`.
pub(super) fn attribute(tag: &str, name: &str) -> Option<&'static str> {
    match (tag, name) {
        ("a", "href") => Some("href"),
        ("a", "target") => Some("target"),
        ("img", "src") => Some("src"),
        _ => find(name, &[ATTRIBUTES]),
    }
}

pub(super) fn scheme(name: &str) -> Option<&'static str> {
    find(name, &[SCHEMES])
}

pub(super) fn property(name: &str) -> Option<&'static str> {
    find(name, &[PROPERTIES])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_tag_is_both_kept_and_dropped_with_its_content() {
        for name in WITH_CONTENT {
            assert_eq!(tag(name), None, "{name}");
        }
    }

    #[test]
    fn what_the_presets_use_is_known() {
        for (name, attributes) in BY_TAG.iter().chain(MAIL_BY_TAG) {
            assert_eq!(tag(name), Some(*name));
            for attribute in *attributes {
                assert!(
                    *attribute == "rel" || super::attribute(name, attribute).is_some(),
                    "{name} {attribute}"
                );
            }
        }
        assert!(ATTRIBUTES.iter().all(|name| !name.starts_with("on") && !name.contains("style")));
    }
}
