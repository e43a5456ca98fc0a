//! Whether markup can be parsed in time that is in proportion to its length.
//!
//! Three things make parsers slow: elements nested so deep that each tag is compared with all that are open, attributes so many
//! that each is compared with all of its tag, and formatting that is not closed, which is repeated in every block. The first
//! and last are found by running the parser itself on a tree that only counts, and stopping it in time.

use std::borrow::Cow;
use std::cell::{Cell, RefCell};
use std::rc::Rc;

use html5ever::interface::{ElementFlags, NodeOrText, QuirksMode, TreeSink};
use html5ever::tendril::{StrTendril, TendrilSink};
use html5ever::{Attribute, ExpandedName, ParseOpts, QualName, local_name, ns, parse_fragment};

use super::policy::WHAT;
use crate::{Code, Invalid};

/// How much is parsed between two looks at the counts.
const STEP: usize = 1_024;

/// The limits of a policy that are not its length.
#[derive(Debug, Clone, Copy)]
pub(super) struct Bounds {
    pub(super) depth: usize,
    pub(super) attributes: usize,
    pub(super) elements: usize,
}

impl Bounds {
    /// Checks `markup`, without building anything of it.
    pub(super) fn check(&self, markup: &str) -> Result<(), Invalid> {
        // An attribute takes two bytes at least.
        if markup.len() / 2 > self.attributes && attributes(markup.as_bytes()) > self.attributes {
            let problem = format!("has a tag with more than {} attributes", self.attributes);
            return Err(Invalid::new(WHAT, Code::TooMany, problem, "send fewer"));
        }
        // Each tag makes one element, and repeats at most those before it.
        let tags = markup.bytes().filter(|byte| *byte == b'<').count();
        if tags <= self.depth && tags.saturating_mul(tags) <= self.elements {
            return Ok(());
        }
        let context = QualName::new(None, ns!(html), local_name!("div"));
        let mut parser = parse_fragment(Counter::default(), ParseOpts::default(), context, Vec::new(), false);
        let mut rest = markup;
        while !rest.is_empty() {
            let (step, after) = rest.split_at(rest.floor_char_boundary(STEP).max(1).min(rest.len()));
            parser.process(StrTendril::from_slice(step));
            let counts = &parser.tokenizer.sink.sink;
            // The document, and the element in whose place the markup stands.
            if counts.depth.get() > self.depth + 2 {
                let problem = format!("nests deeper than {} elements", self.depth);
                return Err(Invalid::new(WHAT, Code::TooDeep, problem, "send it flatter"));
            }
            if counts.elements.get() > self.elements + 2 {
                let problem = format!("makes more than {} elements", self.elements);
                return Err(Invalid::new(WHAT, Code::TooMany, problem, "send fewer, and close them"));
            }
            rest = after;
        }
        Ok(())
    }
}

/// Where a tag's reader is, in the terms of the HTML standard, 13.2.5.8 and 13.2.5.32 to 39.
#[derive(Clone, Copy)]
enum State {
    TagName,
    BeforeName,
    Name,
    AfterName,
    BeforeValue,
    DoubleQuoted,
    SingleQuoted,
    Unquoted,
    AfterQuoted,
}

const STATES: [State; 9] = [
    State::TagName,
    State::BeforeName,
    State::Name,
    State::AfterName,
    State::BeforeValue,
    State::DoubleQuoted,
    State::SingleQuoted,
    State::Unquoted,
    State::AfterQuoted,
];

impl State {
    /// The state after `byte` and whether an attribute begins with it, or `None` if the tag ends.
    fn next(self, byte: u8) -> Option<(Self, bool)> {
        let space = matches!(byte, b' ' | b'\t' | b'\n' | b'\r' | b'\x0c');
        let between = space || byte == b'/';
        Some(match (self, byte) {
            (Self::DoubleQuoted, b'"') | (Self::SingleQuoted, b'\'') => (Self::AfterQuoted, false),
            (Self::DoubleQuoted | Self::SingleQuoted, _) => (self, false),
            (_, b'>') => return None,
            (Self::BeforeValue, b'"') => (Self::DoubleQuoted, false),
            (Self::BeforeValue, b'\'') => (Self::SingleQuoted, false),
            (Self::BeforeValue, _) if space => (self, false),
            (Self::Unquoted, _) if space => (Self::BeforeName, false),
            (Self::BeforeValue | Self::Unquoted, _) => (Self::Unquoted, false),
            (Self::Name | Self::AfterName, b'=') => (Self::BeforeValue, false),
            (Self::Name | Self::AfterName, _) if space => (Self::AfterName, false),
            (_, _) if between => (Self::BeforeName, false),
            (Self::TagName | Self::Name, _) => (self, false),
            (Self::BeforeName | Self::AfterName | Self::AfterQuoted, _) => (Self::Name, true),
        })
    }
}

/// The most attributes that a tag can have, wherever tags begin: a `<` before a letter may stand in a comment, a script or an
/// attribute, and this must not have to know. So it reads all possible tags at once, of which those in the same state differ
/// only in their count.
fn attributes(markup: &[u8]) -> usize {
    let mut most = 0;
    let mut counts: [Option<usize>; STATES.len()] = [None; STATES.len()];
    let mut live = false;
    let mut before = 0;
    for &byte in markup {
        if live {
            let mut next = [None; STATES.len()];
            live = false;
            for (state, count) in STATES.into_iter().zip(counts) {
                let Some(count) = count else { continue };
                let Some((state, begins)) = state.next(byte) else { continue };
                let count = count + usize::from(begins);
                most = most.max(count);
                live = true;
                if let Some(slot) = next.get_mut(state as usize) {
                    *slot = (*slot).max(Some(count));
                }
            }
            counts = next;
        }
        if before == b'<' && byte.is_ascii_alphabetic() {
            if let Some(slot) = counts.get_mut(State::TagName as usize) {
                *slot = (*slot).max(Some(0));
            }
            live = true;
        }
        before = byte;
    }
    most
}

/// A tree of which only names and depths are kept, and only of elements that are open.
#[derive(Default)]
struct Counter {
    depth: Cell<usize>,
    elements: Cell<usize>,
    document: RefCell<Option<Handle>>,
}

type Handle = Rc<Node>;

struct Node {
    name: QualName,
    depth: Cell<usize>,
    placed: Cell<bool>,
    integration_point: bool,
}

impl Counter {
    fn node(name: QualName, integration_point: bool) -> Handle {
        Rc::new(Node { name, depth: Cell::new(0), placed: Cell::new(false), integration_point })
    }

    fn place(&self, child: NodeOrText<Handle>, depth: usize) {
        if let NodeOrText::AppendNode(node) = child {
            node.depth.set(depth);
            node.placed.set(true);
            self.depth.set(self.depth.get().max(depth));
        }
    }
}

impl TreeSink for Counter {
    type Handle = Handle;
    type Output = ();
    type ElemName<'a> = ExpandedName<'a>;

    fn finish(self) {}

    fn parse_error(&self, _: Cow<'static, str>) {}

    fn get_document(&self) -> Handle {
        let new = || Self::node(QualName::new(None, ns!(), local_name!("")), false);
        self.document.borrow_mut().get_or_insert_with(new).clone()
    }

    fn elem_name<'a>(&'a self, target: &'a Handle) -> ExpandedName<'a> {
        target.name.expanded()
    }

    fn create_element(&self, name: QualName, _: Vec<Attribute>, flags: ElementFlags) -> Handle {
        self.elements.set(self.elements.get() + 1);
        Self::node(name, flags.mathml_annotation_xml_integration_point)
    }

    fn create_comment(&self, _: StrTendril) -> Handle {
        Self::node(QualName::new(None, ns!(), local_name!("")), false)
    }

    fn create_pi(&self, _: StrTendril, data: StrTendril) -> Handle {
        self.create_comment(data)
    }

    fn append(&self, parent: &Handle, child: NodeOrText<Handle>) {
        self.place(child, parent.depth.get() + 1);
    }

    fn append_based_on_parent_node(&self, element: &Handle, previous: &Handle, child: NodeOrText<Handle>) {
        if element.placed.get() {
            self.append_before_sibling(element, child);
        } else {
            self.append(previous, child);
        }
    }

    fn append_doctype_to_document(&self, _: StrTendril, _: StrTendril, _: StrTendril) {}

    fn get_template_contents(&self, target: &Handle) -> Handle {
        Rc::clone(target)
    }

    fn same_node(&self, one: &Handle, other: &Handle) -> bool {
        Rc::ptr_eq(one, other)
    }

    fn set_quirks_mode(&self, _: QuirksMode) {}

    fn append_before_sibling(&self, sibling: &Handle, new: NodeOrText<Handle>) {
        // Fostered out of a table it stands beside it, and counts as inside, as it does for the parser.
        self.place(new, sibling.depth.get() + 1);
    }

    fn add_attrs_if_missing(&self, _: &Handle, _: Vec<Attribute>) {}

    fn remove_from_parent(&self, target: &Handle) {
        target.placed.set(false);
    }

    fn reparent_children(&self, _: &Handle, _: &Handle) {}

    fn is_mathml_annotation_xml_integration_point(&self, handle: &Handle) -> bool {
        handle.integration_point
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn attributes_are_counted_as_a_parser_does() {
        for (markup, count) in [
            ("plain text, it's \"quoted\"", 0),
            ("<p>", 0),
            ("<p a>", 1),
            ("<p a b=c d = 'e f' g=\"h i\"j/k>text more words", 6),
            ("<p =a>", 1),
            ("<p a='<b c d e f>'>", 4),
            ("<p/a/b/c>", 3),
            ("</p a b c>", 0),
            ("<p a=b/c/d e>", 2),
        ] {
            assert_eq!(attributes(markup.as_bytes()), count, "{markup}");
        }
    }
}
