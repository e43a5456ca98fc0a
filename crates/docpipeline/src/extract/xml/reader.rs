//! XML, read within the budget.

use std::borrow::Cow;

use quick_xml::Reader;
use quick_xml::errors::Error as Complaint;
use quick_xml::events::Event;
use quick_xml::events::attributes::Attributes;

use crate::budget::Budget;
use crate::draft::Draft;
use crate::error::{Error, Result};
use crate::format::Format;

/// A piece of an XML document. Names are without their prefix: writers choose prefixes as they like.
#[derive(Debug)]
pub(crate) enum Node<'t> {
    /// An element begins; an empty element begins and ends.
    Start(Element<'t>),
    /// The element of this name ends.
    End(&'t str),
    /// Text, with references resolved.
    Text(Cow<'t, str>),
}

/// The beginning of an element.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Element<'t> {
    /// The name with its prefix.
    qualified: &'t str,
    attributes: &'t str,
}

impl<'t> Element<'t> {
    /// The name without its prefix.
    pub(crate) fn name(&self) -> &'t str {
        local(self.qualified)
    }

    /// The name with its prefix, for the few names that two vocabularies of one document share.
    pub(crate) fn qualified(&self) -> &'t str {
        self.qualified
    }

    /// All attributes, by their full names, values with references resolved.
    pub(crate) fn attributes(&self) -> impl Iterator<Item = (&'t str, Cow<'t, str>)> + use<'t> {
        let mut attributes = Attributes::new(self.attributes, 0);
        attributes.with_checks(false);
        attributes.flatten().map(|attribute| {
            let value = match attribute.value {
                Cow::Borrowed(raw) if raw.contains('&') => unescape(raw),
                value => value,
            };
            (attribute.key.into_inner(), value)
        })
    }

    /// The value of the attribute of this name, whatever its prefix.
    pub(crate) fn attribute(&self, name: &str) -> Option<Cow<'t, str>> {
        self.attributes().find(|(qualified, _)| is_local(qualified, name)).map(|(_, value)| value)
    }

    /// The value of the attribute of this name that has a prefix: `r:id` beside `id`.
    pub(crate) fn prefixed(&self, name: &str) -> Option<Cow<'t, str>> {
        self.attributes()
            .find(|(qualified, _)| qualified.len() > name.len() && is_local(qualified, name))
            .map(|(_, value)| value)
    }

    /// The attribute as a number.
    pub(crate) fn number<T: std::str::FromStr>(&self, name: &str) -> Option<T> {
        self.attribute(name)?.trim().parse().ok()
    }
}

/// Reads XML one [`Node`] at a time, and charges nesting, attributes and time.
///
/// Every start has its end, whatever the text: ends that belong to nothing are passed over, missing ones are
/// supplied. Where the text cannot be read on, all open elements end, and [`finish`](XmlReader::finish) tells why.
///
/// Entities that a document defines are not expanded, so nothing multiplies, and external ones are never read: such
/// a reference stands in the text as it is written.
pub(crate) struct XmlReader<'t, 'b> {
    reader: Reader<&'t [u8]>,
    text: &'t str,
    part: &'t str,
    budget: &'b Budget,
    /// The full names of the elements that are open.
    open: Vec<&'t str>,
    /// How many of them are to end before more is read.
    ending: usize,
    damage: Option<String>,
}

impl<'t, 'b> XmlReader<'t, 'b> {
    /// Reads `text`, which is called `part` where it is found wanting.
    pub(crate) fn new(text: &'t str, part: &'t str, budget: &'b Budget) -> Self {
        let text = text.trim_start_matches('\u{feff}');
        let mut reader = Reader::from_str(text);
        let config = reader.config_mut();
        config.check_end_names = false;
        config.allow_unmatched_ends = true;
        config.allow_dangling_amp = true;
        Self { reader, text, part, budget, open: Vec::new(), ending: 0, damage: None }
    }

    /// The next node; `None` at the end.
    pub(crate) fn next(&mut self) -> Result<Option<Node<'t>>> {
        loop {
            self.budget.tick()?;
            if self.ending > 0 {
                self.ending -= 1;
                if let Some(name) = self.open.pop() {
                    return Ok(Some(Node::End(local(name))));
                }
            }
            let event = match self.reader.read_event() {
                Ok(event) => event,
                // What cannot be well-formed is passed already.
                Err(Complaint::IllFormed(_)) => continue,
                Err(complaint) => {
                    let at = self.reader.error_position();
                    self.damage.get_or_insert_with(|| format!("{} at byte {at}: {complaint}", self.part));
                    Event::Eof
                }
            };
            match event {
                Event::Start(start) => return self.start(start.len(), 1, start.name().into_inner().len()),
                Event::Empty(start) => {
                    self.ending = 1;
                    return self.start(start.len(), 2, start.name().into_inner().len());
                }
                Event::End(end) => {
                    let name = end.name().into_inner();
                    // Innermost first, so that well-formed text costs one comparison.
                    if let Some(inner) = self.open.iter().rev().position(|open| *open == name) {
                        self.ending = inner + 1;
                    } else {
                        let at = self.reader.buffer_position();
                        let damage = || format!("{} at byte {at}: an end of what has not begun", self.part);
                        self.damage.get_or_insert_with(damage);
                    }
                }
                Event::Text(text) => return Ok(Some(Node::Text(text.into_inner()))),
                Event::CData(text) => return Ok(Some(Node::Text(text.into_inner()))),
                Event::GeneralRef(reference) => {
                    return Ok(Some(Node::Text(resolve(&reference.into_inner()))));
                }
                Event::Eof if self.open.is_empty() => return Ok(None),
                Event::Eof => {
                    let at = self.text.len();
                    let innermost = self.open.last().copied().unwrap_or_default();
                    self.damage.get_or_insert_with(|| {
                        format!("{} at byte {at}: <{innermost}> does not end", self.part)
                    });
                    self.ending = self.open.len();
                }
                Event::Comment(_) | Event::Decl(_) | Event::PI(_) | Event::DocType(_) => {}
            }
        }
    }

    /// An element whose tag ends at the present position: `length` bytes between the brackets, of which the last one
    /// or two are `closing`.
    fn start(&mut self, length: usize, closing: usize, name: usize) -> Result<Option<Node<'t>>> {
        let position = usize::try_from(self.reader.buffer_position()).unwrap_or(usize::MAX);
        let end = position.saturating_sub(closing);
        let tag = self.text.get(end.saturating_sub(length)..end).unwrap_or_default();
        let (qualified, attributes) = tag.split_at_checked(name).unwrap_or((tag, ""));
        self.open.push(qualified);
        self.budget.nesting(self.open.len())?;
        // Each attribute has an equals sign, so a short element need not be counted.
        if attributes.len() as u64 > self.budget.limits().attributes {
            self.budget.attributes(memchr::memchr_iter(b'=', attributes.as_bytes()).count())?;
        }
        Ok(Some(Node::Start(Element { qualified, attributes })))
    }

    /// How many elements are open.
    pub(crate) fn depth(&self) -> usize {
        self.open.len()
    }

    /// Passes over everything up to the end of the element begun last; its end is passed over too.
    pub(crate) fn skip(&mut self) -> Result<()> {
        let inside = self.open.len();
        while self.open.len() >= inside && self.next()?.is_some() {}
        Ok(())
    }

    /// Appends the text of the element begun last to `text`; its end is passed over.
    pub(crate) fn text_into(&mut self, text: &mut String) -> Result<()> {
        let inside = self.open.len();
        while self.open.len() >= inside {
            match self.next()? {
                Some(Node::Text(piece)) => text.push_str(&piece),
                Some(_) => {}
                None => break,
            }
        }
        Ok(())
    }

    /// The text of the element begun last; its end is passed over.
    pub(crate) fn text(&mut self) -> Result<String> {
        let mut text = String::new();
        self.text_into(&mut text)?;
        Ok(text)
    }

    /// Notes damage that was met as a warning.
    pub(crate) fn finish(self, draft: &mut Draft<'_>) {
        if let Some(damage) = self.damage {
            draft.warn(damage);
        }
    }

    /// As [`finish`](XmlReader::finish), for the part that holds the text: damage that left none of it is an error.
    pub(crate) fn finish_main(self, format: Format, draft: &mut Draft<'_>) -> Result<()> {
        match self.damage {
            Some(damage) if draft.text().trim().is_empty() => Err(Error::malformed(format, damage)),
            damage => {
                if let Some(damage) = damage {
                    draft.warn(damage);
                }
                Ok(())
            }
        }
    }
}

/// A name without its prefix.
fn local(qualified: &str) -> &str {
    let colon = memchr::memchr(b':', qualified.as_bytes());
    colon.and_then(|colon| qualified.get(colon + 1..)).unwrap_or(qualified)
}

/// Whether this is the name, with or without a prefix.
fn is_local(qualified: &str, name: &str) -> bool {
    qualified.strip_suffix(name).is_some_and(|prefix| prefix.is_empty() || prefix.ends_with(':'))
}

/// What a reference stands for; the reference itself where that cannot be known.
fn resolve(name: &str) -> Cow<'static, str> {
    if let Some(digits) = name.strip_prefix('#') {
        let code = match digits.strip_prefix(['x', 'X']) {
            Some(hex) => u32::from_str_radix(hex, 16),
            None => digits.parse(),
        };
        return code.ok().and_then(char::from_u32).unwrap_or(char::REPLACEMENT_CHARACTER).to_string().into();
    }
    match quick_xml::escape::resolve_predefined_entity(name) {
        Some(text) => text.into(),
        // The one name of XHTML that is common where no document type defines it.
        None if name == "nbsp" => "\u{a0}".into(),
        None => format!("&{name};").into(),
    }
}

/// A value with its references resolved.
fn unescape(value: &str) -> Cow<'_, str> {
    let mut text = String::with_capacity(value.len());
    let mut rest = value;
    while let Some((before, after)) = rest.split_once('&') {
        text.push_str(before);
        match after.split_once(';') {
            Some((name, tail)) if !name.contains(['&', ' ']) => {
                text.push_str(&resolve(name));
                rest = tail;
            }
            _ => {
                text.push('&');
                rest = after;
            }
        }
    }
    text.push_str(rest);
    text.into()
}

/// Appends `text` with each run of white space as one space, and none at the beginning of a line: for vocabularies in
/// which line ends and indentation belong to the file, not to the text.
pub(crate) fn push_collapsed(line: &mut String, text: &str) {
    let mut spaced = text.starts_with(char::is_whitespace);
    for word in text.split_whitespace() {
        if spaced && !line.is_empty() && !line.ends_with(char::is_whitespace) {
            line.push(' ');
        }
        line.push_str(word);
        spaced = true;
    }
    if text.ends_with(char::is_whitespace) && !line.is_empty() && !line.ends_with(char::is_whitespace) {
        line.push(' ');
    }
}

/// The encoding that an XML declaration names.
pub(crate) fn declared_encoding(bytes: &[u8]) -> Option<String> {
    let head = String::from_utf8_lossy(bytes.get(..200.min(bytes.len())).unwrap_or_default());
    let declaration =
        head.trim_start_matches('\u{feff}').strip_prefix("<?xml")?.split("?>").next()?.to_owned();
    let value = declaration.split("encoding").nth(1)?.trim_start().strip_prefix('=')?.trim_start();
    let quote = value.chars().next().filter(|c| matches!(c, '"' | '\''))?;
    value.get(1..)?.split(quote).next().map(str::to_owned)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)] // A failed step is a failed test.

    use buttress_core::SystemClock;

    use super::{Node, XmlReader, unescape};
    use crate::budget::{Budget, CancelToken};
    use crate::config::Limits;

    fn budget() -> Budget {
        Budget::open(&Limits::default(), 1, SystemClock::shared(), CancelToken::default()).unwrap()
    }

    fn nodes(text: &str) -> String {
        let budget = budget();
        let mut reader = XmlReader::new(text, "a", &budget);
        let mut seen = String::new();
        while let Some(node) = reader.next().unwrap() {
            match node {
                Node::Start(element) => {
                    seen.push('<');
                    seen.push_str(element.name());
                    for (name, value) in element.attributes() {
                        seen.extend([" ", name, "=", &value]);
                    }
                    seen.push('>');
                }
                Node::End(name) => seen.extend(["</", name, ">"]),
                Node::Text(text) => seen.push_str(&text),
            }
        }
        seen
    }

    #[test]
    fn every_start_has_its_end() {
        assert_eq!(nodes("<x:a b='1' c=\"&lt;\"><b/>t</x:a>"), "<a b=1 c=<><b></b>t</a>");
        assert_eq!(nodes("<a><b>t</a>u"), "<a><b>t</b></a>u");
        assert_eq!(nodes("<a></c>t</a>"), "<a>t</a>");
        assert_eq!(nodes("<a><b>t<c"), "<a><b>t</b></a>");
    }

    proptest::proptest! {
        #[test]
        fn starts_and_ends_are_balanced_in_any_text(
            text in "(<a>|</a>|<b x='1'>|</b>|<c/>|<!--|-->|&|;|t|<|>|]]>|<!\\[CDATA\\[){0,40}"
        ) {
            let budget = budget();
            let mut reader = XmlReader::new(&text, "a", &budget);
            let mut open = Vec::new();
            while let Some(node) = reader.next().unwrap() {
                match node {
                    Node::Start(element) => open.push(element.name()),
                    Node::End(name) => proptest::prop_assert_eq!(open.pop(), Some(name)),
                    Node::Text(_) => {}
                }
                proptest::prop_assert_eq!(open.len(), reader.depth());
            }
            proptest::prop_assert!(open.is_empty());
        }
    }

    #[test]
    fn references_are_resolved_as_far_as_they_can_be() {
        assert_eq!(nodes("<a>&amp;&#x41;&#66;&own; & b</a>"), "<a>&AB&own; & b</a>");
        assert_eq!(unescape("a &amp; b & c &quot;&#65;"), "a & b & c \"A");
    }

    #[test]
    fn entities_do_not_multiply() {
        let text = "<!DOCTYPE a [<!ENTITY x 'yy'><!ENTITY z '&x;&x;'>]><a>&z;</a>";
        assert_eq!(nodes(text), "<a>&z;</a>");
    }
}
