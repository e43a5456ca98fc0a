//! Markdown: its text without its marks.

use pulldown_cmark::{Event, HeadingLevel, MetadataBlockKind, Options, Parser, Tag, TagEnd};

use crate::charset::decode;
use crate::draft::{Draft, Source, Table};
use crate::error::Result;
use crate::extract::Extractor;
use crate::extract::html::Html;

/// `CommonMark` with tables, footnotes, task lists and front matter. Blocks of HTML are read as HTML.
pub(crate) struct Markdown;

impl Extractor for Markdown {
    fn extract(&self, source: &Source<'_>, draft: &mut Draft<'_>) -> Result<()> {
        let (text, encoding) = decode(&source.bytes, None, draft.budget())?;
        draft.metadata().encoding = Some(encoding.to_owned());
        let front_matter =
            Options::ENABLE_YAML_STYLE_METADATA_BLOCKS | Options::ENABLE_PLUSES_DELIMITED_METADATA_BLOCKS;
        read(&text, front_matter, draft)?;
        draft.title_from_heading();
        Ok(())
    }
}

impl Markdown {
    /// Reads Markdown that is a part of something else.
    pub(crate) fn read_fragment(text: &str, draft: &mut Draft<'_>) -> Result<()> {
        read(text, Options::empty(), draft)
    }
}

fn read(text: &str, front_matter: Options, draft: &mut Draft<'_>) -> Result<()> {
    let options = Options::ENABLE_TABLES
        | Options::ENABLE_FOOTNOTES
        | Options::ENABLE_STRIKETHROUGH
        | Options::ENABLE_TASKLISTS;
    let mut writer =
        Writer { draft, lists: Vec::new(), table: None, html: String::new(), front_matter: false };
    for event in Parser::new_ext(text, options | front_matter) {
        writer.event(event)?;
    }
    Ok(())
}

struct Writer<'d, 'b> {
    draft: &'d mut Draft<'b>,
    /// The next number of each open list; `None` for bullets.
    lists: Vec<Option<u64>>,
    table: Option<OpenTable>,
    /// The block of HTML in the making.
    html: String,
    front_matter: bool,
}

#[derive(Default)]
struct OpenTable {
    table: Table,
    row: Vec<String>,
}

impl Writer<'_, '_> {
    fn event(&mut self, event: Event<'_>) -> Result<()> {
        match event {
            Event::Start(tag) => self.start(&tag),
            Event::End(tag) => self.end(tag),
            Event::Text(text) if self.front_matter => {
                self.front_matter_lines(&text);
                Ok(())
            }
            Event::Text(text) | Event::Code(text) | Event::InlineMath(text) | Event::DisplayMath(text) => {
                self.text(&text)
            }
            Event::SoftBreak => self.text(" "),
            Event::HardBreak => self.text("\n"),
            Event::Rule => self.draft.end_block(),
            Event::TaskListMarker(done) => self.text(if done { "[x] " } else { "[ ] " }),
            Event::FootnoteReference(label) => self.text(&format!("[{label}]")),
            Event::Html(html) => {
                self.draft.budget().tick()?;
                self.html.push_str(&html);
                Ok(())
            }
            Event::InlineHtml(tag) if tag.starts_with("<br") => self.text("\n"),
            Event::InlineHtml(_) => Ok(()),
        }
    }

    fn text(&mut self, text: &str) -> Result<()> {
        if let Some(cell) = self.table.as_mut().and_then(|table| table.row.last_mut()) {
            self.draft.budget().tick()?;
            cell.push_str(text);
            return Ok(());
        }
        self.draft.push(text)
    }

    fn start(&mut self, tag: &Tag<'_>) -> Result<()> {
        match tag {
            Tag::Heading { level, .. } => self.draft.begin_heading(depth(*level)),
            Tag::Paragraph if self.lists.is_empty() => self.draft.end_block(),
            Tag::CodeBlock(_) | Tag::BlockQuote(_) => self.draft.end_block(),
            Tag::List(first) => {
                if self.lists.is_empty() {
                    self.draft.end_block()?;
                }
                self.lists.push(*first);
                Ok(())
            }
            Tag::Item => {
                let depth = self.lists.len().saturating_sub(1);
                let marker = match self.lists.last_mut() {
                    Some(Some(number)) => {
                        let marker = format!("{number}.");
                        *number += 1;
                        marker
                    }
                    _ => "-".to_owned(),
                };
                self.draft.begin_list_item(depth, &marker)
            }
            Tag::FootnoteDefinition(label) => {
                self.draft.end_block()?;
                self.draft.push(&format!("[{label}] "))
            }
            Tag::Table(_) => {
                self.table = Some(OpenTable::default());
                Ok(())
            }
            Tag::TableCell => {
                if let Some(table) = &mut self.table {
                    table.row.push(String::new());
                }
                Ok(())
            }
            Tag::MetadataBlock(MetadataBlockKind::YamlStyle | MetadataBlockKind::PlusesStyle) => {
                self.front_matter = true;
                Ok(())
            }
            _ => Ok(()),
        }
    }

    fn end(&mut self, tag: TagEnd) -> Result<()> {
        match tag {
            TagEnd::Heading(_) => self.draft.end_heading(),
            TagEnd::Paragraph if self.lists.is_empty() => self.draft.end_block(),
            TagEnd::Paragraph | TagEnd::Item => self.draft.end_line(),
            TagEnd::CodeBlock | TagEnd::BlockQuote(_) | TagEnd::FootnoteDefinition => self.draft.end_block(),
            TagEnd::List(_) => {
                self.lists.pop();
                if self.lists.is_empty() { self.draft.end_block() } else { Ok(()) }
            }
            TagEnd::TableHead | TagEnd::TableRow => {
                let budget = self.draft.budget();
                match &mut self.table {
                    Some(table) => table.table.row(std::mem::take(&mut table.row), budget),
                    None => Ok(()),
                }
            }
            TagEnd::Table => match self.table.take() {
                Some(table) => self.draft.table(&table.table),
                None => Ok(()),
            },
            TagEnd::MetadataBlock(_) => {
                self.front_matter = false;
                Ok(())
            }
            TagEnd::HtmlBlock => {
                let html = std::mem::take(&mut self.html);
                Html { main_text_only: false }.read(&html, self.draft)
            }
            _ => Ok(()),
        }
    }

    /// `key: value` and `key = "value"`, as far as one line tells.
    fn front_matter_lines(&mut self, text: &str) {
        for line in text.lines() {
            let Some((key, value)) = line.split_once([':', '=']) else { continue };
            let value = value.trim().trim_matches(['"', '\'', '[', ']']);
            let metadata = self.draft.metadata();
            match key.trim().to_ascii_lowercase().as_str() {
                "title" => metadata.set_title(value),
                "author" | "authors" => metadata.set_author(value),
                "date" | "created" => metadata.set_created(value),
                "modified" | "updated" | "lastmod" => metadata.set_modified(value),
                key if key.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_' || b == b'-') => {
                    metadata.set_property(key, value);
                }
                _ => {}
            }
        }
    }
}

fn depth(level: HeadingLevel) -> u8 {
    match level {
        HeadingLevel::H1 => 1,
        HeadingLevel::H2 => 2,
        HeadingLevel::H3 => 3,
        HeadingLevel::H4 => 4,
        HeadingLevel::H5 => 5,
        HeadingLevel::H6 => 6,
    }
}
