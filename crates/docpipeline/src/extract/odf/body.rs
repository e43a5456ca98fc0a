//! The body of an `OpenDocument`, read in one pass.

use std::collections::HashMap;

use super::styles::{LEVELS, Styles};
use super::table::OpenTable;
use crate::draft::Draft;
use crate::error::Result;
use crate::extract::ordinals::Counting;
use crate::extract::pictures::described;
use crate::extract::xml::{Element, Node, XmlReader, push_collapsed};
use crate::format::Format;

/// Reads paragraphs, headings, lists, tables, sheets and slides, wherever they stand in one another.
pub(super) struct Body {
    format: Format,
    styles: Styles,
    /// Paragraphs stand in text boxes and notes, which stand in paragraphs.
    paragraphs: Vec<Paragraph>,
    tables: Vec<OpenTable>,
    lists: Vec<List>,
    /// Where counting stopped in lists of each style, for lists that continue.
    stopped: HashMap<String, [u32; LEVELS]>,
    outline: [u32; LEVELS],
    notes: Vec<String>,
    /// The notes being read.
    open_notes: Vec<OpenNote>,
    slides: usize,
    frames: Vec<Role>,
    speaker_notes: SpeakerNotes,
}

/// Where the reader stands as to the notes of a slide.
#[derive(Clone, Copy, PartialEq, Eq)]
enum SpeakerNotes {
    Outside,
    /// Inside, and nothing written yet.
    Begun,
    Inside,
}

#[derive(Default)]
struct Paragraph {
    text: String,
    /// The level of a heading.
    level: Option<usize>,
    numbered: bool,
    style: Option<String>,
}

struct List {
    style: String,
    counts: [u32; LEVELS],
    /// Whether the next paragraph is the first of its item.
    fresh: bool,
    /// Whether the item is without number or bullet.
    header: bool,
}

struct OpenNote {
    label: String,
    text: String,
    /// How many paragraphs stand around it.
    paragraphs: usize,
}

/// What a frame on a slide is there for.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Role {
    Text,
    Title,
    /// Number, date, header and footer of the slide.
    Furniture,
}

impl Body {
    pub(super) fn new(format: Format, styles: Styles) -> Self {
        Self {
            format,
            styles,
            paragraphs: Vec::new(),
            tables: Vec::new(),
            lists: Vec::new(),
            stopped: HashMap::new(),
            outline: [0; LEVELS],
            notes: Vec::new(),
            open_notes: Vec::new(),
            slides: 0,
            frames: Vec::new(),
            speaker_notes: SpeakerNotes::Outside,
        }
    }

    /// Reads what stands in `office:body`, then the notes.
    pub(super) fn read(mut self, xml: &str, part: &str, draft: &mut Draft<'_>) -> Result<()> {
        let mut reader = XmlReader::new(xml, part, draft.budget());
        let mut inside = false;
        while let Some(node) = reader.next()? {
            match node {
                Node::Start(element) if inside => self.start(&element, &mut reader, draft)?,
                Node::Start(element) => inside = element.name() == "body",
                Node::End("body") => inside = false,
                Node::End(name) if inside => self.end(name, draft)?,
                Node::Text(text) if inside => self.text(&text),
                _ => {}
            }
        }
        self.write_notes(draft)?;
        reader.finish_main(self.format, draft)
    }

    fn start(
        &mut self,
        element: &Element<'_>,
        reader: &mut XmlReader<'_, '_>,
        draft: &mut Draft<'_>,
    ) -> Result<()> {
        match element.name() {
            // Deleted text, form controls, pictures, and how to pronounce a word.
            "tracked-changes"
            | "forms"
            | "binary-data"
            | "ruby-text"
            | "event-listeners"
            | "note-citation"
            | "settings"
            | "notes-configuration" => reader.skip()?,
            "title" if element.qualified() == "svg:title" => reader.skip()?,
            "desc" if element.qualified() == "svg:desc" => {
                if let Some(description) = described(&reader.text()?) {
                    self.push(&description);
                }
            }
            "p" | "h" => self.begin_paragraph(element),
            "s" => {
                let count = element.number::<usize>("c").unwrap_or(1).min(256);
                if let Some(paragraph) = self.paragraphs.last_mut() {
                    paragraph.text.extend(std::iter::repeat_n(' ', count));
                }
            }
            "tab" => self.push("\t"),
            "line-break" => self.push("\n"),
            "list" => self.begin_list(element, draft)?,
            "list-item" | "list-header" => {
                let depth = self.lists.len().min(LEVELS).saturating_sub(1);
                if let Some(list) = self.lists.last_mut() {
                    list.fresh = true;
                    list.header = element.name() == "list-header";
                    if let Some(start) = element.number::<u32>("start-value")
                        && let Some(count) = list.counts.get_mut(depth)
                    {
                        *count = start.saturating_sub(1);
                    }
                }
            }
            "table" => self.begin_table(element, draft)?,
            "table-row" => {
                if let Some(table) = self.tables.last_mut() {
                    table.begin_row(element);
                }
            }
            "table-cell" | "covered-table-cell" => {
                if let Some(table) = self.tables.last_mut() {
                    table.begin_cell(element);
                }
            }
            "note" => {
                let label = format!("[{}]", self.notes.len() + self.open_notes.len() + 1);
                self.push(&label);
                self.begin_note(label);
            }
            "annotation" => self.begin_note("Comment:".to_owned()),
            "creator" | "date" | "date-string" | "sender-initials" | "creator-initials"
                if !self.in_paragraph() =>
            {
                let text = reader.text()?;
                if element.name() == "creator"
                    && let Some(note) = self.open_notes.last_mut()
                {
                    note.label = format!("Comment ({}):", text.trim());
                }
            }
            "page" if element.qualified() == "draw:page" => {
                self.slides += 1;
                draft.begin_page()?;
            }
            "notes" => {
                self.speaker_notes = SpeakerNotes::Begun;
                draft.end_block()?;
            }
            "frame" | "custom-shape" => self.frames.push(match element.attribute("class").as_deref() {
                Some("title") => Role::Title,
                Some("page-number" | "date-time" | "header" | "footer") => Role::Furniture,
                _ => Role::Text,
            }),
            _ => {}
        }
        Ok(())
    }

    fn end(&mut self, name: &str, draft: &mut Draft<'_>) -> Result<()> {
        match name {
            "p" | "h" => {
                if let Some(paragraph) = self.paragraphs.pop() {
                    self.end_paragraph(paragraph, draft)?;
                }
            }
            "list" => {
                if let Some(list) = self.lists.pop() {
                    self.stopped.insert(list.style, list.counts);
                }
                if self.lists.is_empty() && self.tables.is_empty() && self.open_notes.is_empty() {
                    draft.end_block()?;
                }
            }
            "table-cell" | "covered-table-cell" => {
                if let Some(table) = self.tables.last_mut() {
                    table.end_cell(draft)?;
                }
            }
            "table-row" => {
                if let Some(table) = self.tables.last_mut() {
                    table.end_row(draft)?;
                }
            }
            "table" => self.end_table(draft)?,
            "note" | "annotation" => {
                if let Some(note) = self.open_notes.pop()
                    && !note.text.trim().is_empty()
                {
                    self.notes.push(format!("{} {}", note.label, note.text.trim()));
                }
            }
            "page" => draft.end_block()?,
            "notes" => self.speaker_notes = SpeakerNotes::Outside,
            "frame" | "custom-shape" => {
                self.frames.pop();
                if self.format == Format::Odp && self.tables.is_empty() {
                    draft.end_block()?;
                }
            }
            _ => {}
        }
        Ok(())
    }

    /// Whether the innermost thing that text can stand in is a paragraph.
    fn in_paragraph(&self) -> bool {
        self.paragraphs.len() > self.open_notes.last().map_or(0, |note| note.paragraphs)
    }

    fn text(&mut self, text: &str) {
        if self.in_paragraph()
            && let Some(paragraph) = self.paragraphs.last_mut()
        {
            push_collapsed(&mut paragraph.text, text);
        }
    }

    fn push(&mut self, text: &str) {
        if let Some(paragraph) = self.paragraphs.last_mut() {
            paragraph.text.push_str(text);
        }
    }

    fn begin_paragraph(&mut self, element: &Element<'_>) {
        let heading = element.name() == "h";
        self.paragraphs.push(Paragraph {
            text: String::new(),
            level: heading.then(|| element.number("outline-level").unwrap_or(1)),
            numbered: element.attribute("is-list-header").as_deref() != Some("true"),
            style: element.attribute("style-name").map(String::from),
        });
    }

    fn end_paragraph(&mut self, paragraph: Paragraph, draft: &mut Draft<'_>) -> Result<()> {
        let Paragraph { text, level, numbered, style } = paragraph;
        let role = self.frames.last().copied().unwrap_or(Role::Text);
        if text.trim().is_empty() || role == Role::Furniture {
            return Ok(());
        }
        if let Some(note) = self.open_notes.last_mut() {
            join(&mut note.text, &text);
            return draft.budget().tick();
        }
        if let Some(cell) = self.tables.last_mut().and_then(OpenTable::cell) {
            join(cell, &text);
            return draft.budget().tick();
        }
        if self.speaker_notes == SpeakerNotes::Begun {
            self.speaker_notes = SpeakerNotes::Inside;
            draft.paragraph("Notes:")?;
        }
        if let Some(level) = level {
            let number = if numbered { self.outline_number(level) } else { String::new() };
            draft.begin_heading(u8::try_from(level).unwrap_or(6))?;
            draft.push(&number)?;
            draft.space()?;
            draft.push(text.trim())?;
            return draft.end_heading();
        }
        if role == Role::Title && self.speaker_notes == SpeakerNotes::Outside {
            return draft.heading(if self.slides <= 1 { 1 } else { 2 }, &text);
        }
        if style.as_deref().is_some_and(|style| self.styles.is_title(style)) {
            return draft.heading(1, &text);
        }
        if self.lists.is_empty() {
            return draft.paragraph(&text);
        }
        self.list_paragraph(&text, style.as_deref(), draft)
    }

    fn list_paragraph(&mut self, text: &str, style: Option<&str>, draft: &mut Draft<'_>) -> Result<()> {
        let depth = self.lists.len().min(LEVELS) - 1;
        let Some(list) = self.lists.last_mut() else { return Ok(()) };
        if list.style.is_empty()
            && let Some(style) = style.and_then(|style| self.styles.of_paragraph(style))
        {
            style.clone_into(&mut list.style);
        }
        if !std::mem::take(&mut list.fresh) || list.header {
            draft.end_line()?;
            for _ in 0..=depth {
                draft.push("  ")?;
            }
            draft.push(text.trim())?;
            return draft.end_line();
        }
        if let Some(count) = list.counts.get_mut(depth) {
            *count = count.saturating_add(1);
        }
        let counting = self.styles.level(&list.style, depth).map_or(Counting::Bullet, |level| level.counting);
        let marker = match self.styles.marker(&list.style, depth, &list.counts) {
            _ if counting == Counting::Bullet => "-".to_owned(),
            number => number,
        };
        if marker.is_empty() {
            draft.end_line()?;
        } else {
            draft.begin_list_item(depth, &marker)?;
        }
        draft.push(text.trim())?;
        draft.end_line()
    }

    /// Counts a heading and gives its number, if the document numbers its headings.
    fn outline_number(&mut self, level: usize) -> String {
        let depth = level.clamp(1, LEVELS) - 1;
        for (i, count) in self.outline.iter_mut().enumerate().skip(depth) {
            *count = if i == depth { *count + 1 } else { 0 };
        }
        self.styles.marker("", depth, &self.outline)
    }

    fn begin_list(&mut self, element: &Element<'_>, draft: &mut Draft<'_>) -> Result<()> {
        let depth = self.lists.len();
        let outer = self.lists.last();
        let style = match (element.attribute("style-name"), outer) {
            (Some(name), _) => name.into_owned(),
            (None, Some(outer)) => outer.style.clone(),
            (None, None) => String::new(),
        };
        let mut counts = outer.map_or([0; LEVELS], |outer| outer.counts);
        let continues = element.attribute("continue-numbering").as_deref() == Some("true")
            || element.attribute("continue-list").is_some();
        let stopped = if continues { self.stopped.get(&style) } else { None };
        let start = self.styles.level(&style, depth).map_or(1, |level| level.start);
        for (i, count) in counts.iter_mut().enumerate().skip(depth) {
            let before = stopped.and_then(|counts| counts.get(i)).copied();
            *count = before.unwrap_or(if i == depth { start.saturating_sub(1) } else { 0 });
        }
        self.lists.push(List { style, counts, fresh: true, header: false });
        if depth == 0 && self.tables.is_empty() && self.open_notes.is_empty() {
            draft.end_block()
        } else {
            Ok(())
        }
    }

    fn begin_table(&mut self, element: &Element<'_>, draft: &mut Draft<'_>) -> Result<()> {
        let is_sheet = self.format == Format::Ods && self.tables.is_empty();
        if is_sheet {
            draft.begin_page()?;
            draft.heading(1, &element.attribute("name").unwrap_or_default())?;
        }
        self.tables.push(OpenTable::new(is_sheet));
        Ok(())
    }

    fn end_table(&mut self, draft: &mut Draft<'_>) -> Result<()> {
        let Some(done) = self.tables.pop() else { return Ok(()) };
        let (is_sheet, table) = (done.is_sheet, done.finish(draft.budget())?);
        if let Some(cell) = self.tables.last_mut().and_then(OpenTable::cell) {
            // A table cannot stand in a Markdown table: its text goes into the cell.
            table.flatten_into(cell);
            return Ok(());
        }
        draft.table(&table)?;
        if is_sheet { self.write_notes(draft) } else { Ok(()) }
    }

    fn begin_note(&mut self, label: String) {
        self.open_notes.push(OpenNote { label, text: String::new(), paragraphs: self.paragraphs.len() });
    }

    fn write_notes(&mut self, draft: &mut Draft<'_>) -> Result<()> {
        for note in std::mem::take(&mut self.notes) {
            draft.paragraph(&note)?;
        }
        Ok(())
    }
}

/// Appends a paragraph to others that share one line with it.
fn join(line: &mut String, text: &str) {
    if !line.is_empty() {
        line.push(' ');
    }
    line.push_str(text.trim());
}
