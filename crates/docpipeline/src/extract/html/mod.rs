//! HTML, read as the stream of tokens that it is.
//!
//! The tokenizer of html5ever follows the standard (WHATWG HTML, section 13.2.5), with its errors mended as browsers
//! mend them. No tree is built: text needs none, and a tree of hostile nesting costs quadratic time. What a tree would
//! tell, which elements are open, is kept as a stack bounded in depth; elements beyond the bound are read as if they
//! were not there, so nesting of any depth costs linear time.

mod blocks;
mod main_text;

use std::cell::RefCell;

use html5ever::tendril::StrTendril;
use html5ever::tokenizer::states::RawKind;
use html5ever::tokenizer::{
    BufferQueue, Tag, TagKind, Token, TokenSink, TokenSinkResult, Tokenizer, TokenizerOpts,
};

use crate::charset::decode;
use crate::document::Metadata;
use crate::draft::{Draft, Source};
use crate::error::{Error, Result};
use crate::extract::Extractor;
use blocks::{Block, Content, Reader};

/// How much is fed to the tokenizer between two looks at the budget.
const PIECE_BYTES: usize = 64 << 10;

/// HTML: headings, paragraphs, lists and tables; scripts, styles, hidden elements and form controls left out.
pub(crate) struct Html {
    /// Whether navigation, banners, footers and the like are left out too.
    pub(crate) main_text_only: bool,
}

impl Extractor for Html {
    fn extract(&self, source: &Source<'_>, draft: &mut Draft<'_>) -> Result<()> {
        let declared = declared_charset(&source.bytes);
        let (text, encoding) = decode(&source.bytes, declared.as_deref(), draft.budget())?;
        draft.metadata().encoding = Some(encoding.to_owned());
        self.read(&text, draft)
    }
}

impl Html {
    /// Reads HTML that is text already.
    pub(crate) fn read(&self, html: &str, draft: &mut Draft<'_>) -> Result<()> {
        let sink = Sink { reader: RefCell::new(Reader::new(draft.budget())), refusal: RefCell::new(None) };
        let tokenizer = Tokenizer::new(sink, TokenizerOpts::default());
        let queue = BufferQueue::default();
        let mut rest = html;
        while !rest.is_empty() {
            let (piece, tail) = rest.split_at(rest.floor_char_boundary(PIECE_BYTES).max(1));
            rest = tail;
            queue.push_back(StrTendril::from(piece));
            // It hands back after some tokens, for a browser to act on, and goes on where it stopped.
            while !queue.is_empty() {
                let _ = tokenizer.feed(&queue);
            }
            tokenizer.sink.refused()?;
            draft.budget().check_time()?;
        }
        tokenizer.end();
        tokenizer.sink.refused()?;
        let (blocks, metadata) = tokenizer.sink.reader.into_inner().finish();
        write_metadata(&metadata, draft.metadata());
        let blocks = if self.main_text_only { main_text::select(blocks) } else { blocks };
        write_blocks(&blocks, draft)
    }
}

/// What the document says of itself comes first; what its container says (a mail's subject) stays.
fn write_metadata(found: &Metadata, metadata: &mut Metadata) {
    for (value, set) in [
        (&found.title, Metadata::set_title as fn(&mut Metadata, &str)),
        (&found.author, Metadata::set_author),
        (&found.created, Metadata::set_created),
        (&found.modified, Metadata::set_modified),
    ] {
        if let Some(value) = value {
            set(metadata, value);
        }
    }
    for (name, value) in &found.properties {
        metadata.set_property(name, value);
    }
}

fn write_blocks(blocks: &[Block], draft: &mut Draft<'_>) -> Result<()> {
    for block in blocks {
        match &block.content {
            Content::Heading(level, text) => draft.heading(*level, text)?,
            Content::Paragraph(text) => draft.paragraph(text)?,
            Content::Item { depth, marker, text } => {
                draft.begin_list_item(*depth, marker)?;
                draft.push(text)?;
                draft.end_line()?;
            }
            Content::Table(table) => draft.table(table)?,
        }
    }
    draft.end_block()
}

struct Sink<'b> {
    reader: RefCell<Reader<'b>>,
    /// The tokenizer carries no errors, so ours waits here; nothing more is read once it is set.
    refusal: RefCell<Option<Error>>,
}

impl Sink<'_> {
    fn refused(&self) -> Result<()> {
        self.refusal.borrow_mut().take().map_or(Ok(()), Err)
    }
}

impl TokenSink for Sink<'_> {
    type Handle = ();

    fn process_token(&self, token: Token, _line: u64) -> TokenSinkResult<()> {
        if self.refusal.borrow().is_some() {
            return TokenSinkResult::Continue;
        }
        let mut raw = None;
        let read = match token {
            Token::TagToken(tag) => {
                raw = raw_kind(&tag);
                let read = self.reader.borrow_mut().tag(&tag);
                match raw {
                    // XHTML writes `<title/>`; taken at its word as HTML, it would swallow the whole page.
                    Some(_) if tag.self_closing => {
                        raw = None;
                        let end =
                            Tag { kind: TagKind::EndTag, self_closing: false, attrs: Vec::new(), ..tag };
                        read.and_then(|()| self.reader.borrow_mut().tag(&end))
                    }
                    _ => read,
                }
            }
            Token::CharacterTokens(text) => self.reader.borrow_mut().text(&text),
            _ => Ok(()),
        };
        if let Err(error) = read {
            *self.refusal.borrow_mut() = Some(error);
        }
        raw.map_or(TokenSinkResult::Continue, TokenSinkResult::RawData)
    }
}

/// Elements whose content is no markup: the tree builder would tell the tokenizer (13.2.6.2).
fn raw_kind(tag: &Tag) -> Option<RawKind> {
    if tag.kind != TagKind::StartTag {
        return None;
    }
    match &*tag.name {
        "title" | "textarea" => Some(RawKind::Rcdata),
        "style" | "xmp" | "iframe" | "noembed" | "noframes" => Some(RawKind::Rawtext),
        "script" => Some(RawKind::ScriptData),
        _ => None,
    }
}

/// The encoding that a `meta` element names in the first two kilobytes.
fn declared_charset(bytes: &[u8]) -> Option<String> {
    let head =
        String::from_utf8_lossy(bytes.get(..2048.min(bytes.len())).unwrap_or_default()).to_ascii_lowercase();
    if let Some(encoding) = crate::extract::xml::declared_encoding(bytes) {
        return Some(encoding);
    }
    let value = head.split("charset").nth(1)?.trim_start().strip_prefix('=')?.trim_start();
    let value = value.trim_start_matches(['"', '\'']);
    let label: String = value
        .chars()
        .take_while(|c| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | ':' | '.'))
        .collect();
    (!label.is_empty()).then_some(label)
}
