//! From tokens to blocks of text.

use html5ever::tokenizer::{Tag, TagKind};

use crate::budget::Budget;
use crate::document::Metadata;
use crate::draft::Table;
use crate::error::Result;

/// Open elements that are kept; deeper ones are read as if they were not there.
const DEEPEST: usize = 512;

/// A cell with more text than this is part of a page's layout, not of a table of data.
const LONGEST_CELL: usize = 1000;

/// Columns that one cell may span; pages of data have fewer.
const WIDEST_SPAN: usize = 64;

/// A piece of the page between two block boundaries.
#[derive(Debug)]
pub(super) struct Block {
    pub(super) content: Content,
    /// Characters of it that are the text of links.
    pub(super) link_characters: usize,
    /// Whether it stands in `main` or `article`.
    pub(super) in_main: bool,
    /// Whether it stands in an element that is navigation, a banner, a footer or the like.
    pub(super) in_boilerplate: bool,
}

#[derive(Debug)]
pub(super) enum Content {
    Heading(u8, String),
    Paragraph(String),
    Item { depth: usize, marker: String, text: String },
    Table(Table),
}

impl Content {
    /// The length of the text, roughly for tables.
    pub(super) fn len(&self) -> usize {
        match self {
            Self::Heading(_, text) | Self::Paragraph(text) | Self::Item { text, .. } => text.len(),
            Self::Table(table) => table.text_len(),
        }
    }
}

/// An open element.
struct Open {
    name: String,
    hides: bool,
    boilerplate: bool,
    main: bool,
}

/// A table whose end has not come. Its cells hold blocks until it is known whether it holds data or the page.
#[derive(Default)]
struct OpenTable {
    rows: Vec<Vec<Vec<Block>>>,
    in_cell: bool,
}

/// Takes tokens, gives blocks.
pub(super) struct Reader<'b> {
    budget: &'b Budget,
    open: Vec<Open>,
    hidden: usize,
    preformatted: usize,
    links: usize,
    blocks: Vec<Block>,
    tables: Vec<OpenTable>,
    /// The next number of each open list; `None` for bullets.
    lists: Vec<Option<u64>>,
    /// The mark of the list item that has had no text yet.
    item: Option<(usize, String)>,
    heading: Option<u8>,
    text: String,
    link_characters: usize,
    in_title: bool,
    title: String,
    /// The title that the page asks others to show (Open Graph).
    shared_title: String,
    metadata: Metadata,
}

impl<'b> Reader<'b> {
    pub(super) fn new(budget: &'b Budget) -> Self {
        Self {
            budget,
            open: Vec::new(),
            hidden: 0,
            preformatted: 0,
            links: 0,
            blocks: Vec::new(),
            tables: Vec::new(),
            lists: Vec::new(),
            item: None,
            heading: None,
            text: String::new(),
            link_characters: 0,
            in_title: false,
            title: String::new(),
            shared_title: String::new(),
            metadata: Metadata::default(),
        }
    }

    /// The blocks, and what the page says of itself.
    pub(super) fn finish(mut self) -> (Vec<Block>, Metadata) {
        self.flush();
        while !self.tables.is_empty() {
            self.end_table();
        }
        self.metadata.set_title(&self.title);
        self.metadata.set_title(&self.shared_title);
        (self.blocks, self.metadata)
    }

    pub(super) fn text(&mut self, text: &str) -> Result<()> {
        self.budget.tick()?;
        if self.in_title {
            self.title.push_str(text);
            return Ok(());
        }
        if self.hidden > 0 {
            return Ok(());
        }
        let before = self.text.len();
        if self.preformatted > 0 {
            self.text.push_str(text);
        } else {
            self.push_collapsed(text);
        }
        if self.links > 0 {
            self.link_characters += self.text.len() - before;
        }
        Ok(())
    }

    /// Outside `pre`, a line end is a space like any other.
    fn push_collapsed(&mut self, text: &str) {
        let mut rest = text;
        while !rest.is_empty() {
            let word = rest.find(|c: char| c.is_ascii_whitespace()).unwrap_or(rest.len());
            let (visible, tail) = rest.split_at(word);
            self.text.push_str(visible);
            rest = tail.trim_start_matches(|c: char| c.is_ascii_whitespace());
            if rest.len() < tail.len() && !self.text.is_empty() && !self.text.ends_with([' ', '\n']) {
                self.text.push(' ');
            }
        }
    }

    pub(super) fn tag(&mut self, tag: &Tag) -> Result<()> {
        self.budget.tick()?;
        match tag.kind {
            TagKind::StartTag => {
                self.budget.attributes(tag.attrs.len())?;
                self.start(tag)
            }
            TagKind::EndTag => {
                self.end(&tag.name);
                Ok(())
            }
        }
    }

    fn start(&mut self, tag: &Tag) -> Result<()> {
        let name = &*tag.name;
        self.close_implied(name);
        if has_optional_end(name) && is_hidden(tag) && self.open.len() < DEEPEST {
            self.flush();
            self.hidden += 1;
            self.open.push(Open { name: name.to_owned(), hides: true, boilerplate: false, main: false });
            return Ok(());
        }
        if self.hidden > 0 {
            // What is not seen begins no block, item or cell of what is; only where it ends is of interest.
            self.open(tag);
            return Ok(());
        }
        match name {
            "title" => self.in_title = self.title.is_empty() && self.hidden == 0,
            "meta" => self.meta(tag),
            "html" => {
                if let Some(lang) = attribute(tag, "lang") {
                    self.metadata.set_property("lang", lang);
                }
            }
            "br" => self.line_end(),
            "hr" => self.flush(),
            "img" | "area" => {
                if let Some(alt) = attribute(tag, "alt") {
                    // A picture touches no word.
                    self.text(" ")?;
                    self.text(alt)?;
                    self.text(" ")?;
                }
            }
            // The parts of a formula are not the letters of a word.
            "mi" | "mn" | "mo" | "mtext" | "ms" => self.text(" ")?,
            "p" | "dt" | "dd" | "option" | "figcaption" | "caption" | "legend" | "summary" | "address" => {
                self.flush();
            }
            "h1" | "h2" | "h3" | "h4" | "h5" | "h6" => {
                self.flush();
                self.heading = name.get(1..).and_then(|level| level.parse().ok());
            }
            "li" => self.start_item(),
            "tr" => {
                self.flush();
                if let Some(table) = self.tables.last_mut() {
                    self.budget.cells(1)?;
                    table.rows.push(Vec::new());
                    table.in_cell = false;
                }
            }
            "td" | "th" => self.start_cell(tag)?,
            _ => self.open(tag),
        }
        Ok(())
    }

    /// A hidden paragraph, item or cell ends where the next begins, if nothing ends it before.
    fn close_implied(&mut self, next: &str) {
        self.close_hidden(|open| ends_before(open, next));
    }

    /// Closes the innermost hidden element of those `wanted` whose end may be left out, and what stands open in it;
    /// tells whether there was one. It is looked for in the innermost container only.
    fn close_hidden(&mut self, wanted: impl Fn(&str) -> bool) -> bool {
        if self.hidden == 0 {
            return false;
        }
        let container = self.open.iter().rposition(|open| is_container(&open.name));
        let at = self.open.iter().rposition(|open| has_optional_end(&open.name) && wanted(&open.name));
        match at.filter(|at| Some(*at) > container) {
            Some(at) => {
                self.close_down_to(at);
                true
            }
            None => false,
        }
    }

    fn close_down_to(&mut self, at: usize) {
        while self.open.len() > at {
            self.close();
        }
    }

    /// Elements that must be closed, and so can be told to be open.
    fn open(&mut self, tag: &Tag) {
        let name = &*tag.name;
        let inline = matches!(
            name,
            "a" | "span" | "pre" | "code" | "b" | "i" | "em" | "strong" | "small" | "sup" | "sub"
        );
        if !inline && is_container(name) {
            self.flush();
        } else if !inline && !hides(name) {
            return;
        }
        if tag.self_closing || self.open.len() >= DEEPEST {
            return;
        }
        let open = Open {
            hides: hides(name) || is_hidden(tag),
            boilerplate: is_boilerplate(tag),
            main: matches!(name, "main" | "article") || attribute(tag, "role") == Some("main"),
            name: name.to_owned(),
        };
        self.hidden += usize::from(open.hides);
        match name {
            "a" => self.links += 1,
            "pre" => {
                self.flush();
                self.preformatted += 1;
            }
            "ul" | "menu" => self.lists.push(None),
            "ol" => {
                let first = attribute(tag, "start").and_then(|start| start.trim().parse().ok());
                self.lists.push(Some(first.unwrap_or(1)));
            }
            "table" if self.hidden == 0 => self.tables.push(OpenTable::default()),
            _ => {}
        }
        self.open.push(open);
    }

    fn end(&mut self, name: &str) {
        if self.close_hidden(|open| open == name) {
            return;
        }
        match name {
            "title" => self.in_title = false,
            "p" | "li" | "dt" | "dd" | "option" | "figcaption" | "caption" | "legend" | "summary"
            | "address" | "tr" | "h1" | "h2" | "h3" | "h4" | "h5" | "h6" => self.flush(),
            "td" | "th" => {
                self.flush();
                if let Some(table) = self.tables.last_mut() {
                    table.in_cell = false;
                }
            }
            _ => {
                if let Some(at) = self.open.iter().rposition(|open| open.name == name) {
                    self.close_down_to(at);
                }
            }
        }
    }

    /// Closes the element opened last.
    fn close(&mut self) {
        if self.open.last().is_some_and(|open| is_container(&open.name) || open.name == "pre") {
            self.flush();
        }
        let Some(open) = self.open.pop() else { return };
        match open.name.as_str() {
            "a" => self.links = self.links.saturating_sub(1),
            "pre" => self.preformatted = self.preformatted.saturating_sub(1),
            "ul" | "ol" | "menu" => {
                self.lists.pop();
                self.item = None;
            }
            "table" if self.hidden == 0 => self.end_table(),
            _ => {}
        }
        self.hidden -= usize::from(open.hides);
    }

    fn line_end(&mut self) {
        if self.hidden == 0 && !self.text.is_empty() {
            while self.text.ends_with(' ') {
                self.text.pop();
            }
            self.text.push('\n');
        }
    }

    fn start_item(&mut self) {
        self.flush();
        let depth = self.lists.len().saturating_sub(1);
        let marker = match self.lists.last_mut() {
            Some(Some(number)) => {
                let marker = format!("{number}.");
                *number = number.saturating_add(1);
                marker
            }
            _ => "-".to_owned(),
        };
        self.item = Some((depth, marker));
    }

    fn start_cell(&mut self, tag: &Tag) -> Result<()> {
        self.flush();
        let span = attribute(tag, "colspan").and_then(|span| span.trim().parse::<usize>().ok()).unwrap_or(1);
        let span = span.clamp(1, WIDEST_SPAN);
        let Some(table) = self.tables.last_mut() else { return Ok(()) };
        // Charged here and not where the table is written: many may be open, and their ends need never come.
        self.budget.cells(span)?;
        if table.rows.is_empty() {
            table.rows.push(Vec::new());
        }
        if let Some(row) = table.rows.last_mut() {
            row.push(Vec::new());
            table.in_cell = true;
            // The cell that spans columns is the first of them; the others are empty.
            if span > 1 {
                let filled = row.pop().unwrap_or_default();
                row.extend(std::iter::repeat_with(Vec::new).take(span - 1));
                row.push(filled);
            }
        }
        Ok(())
    }

    /// Ends the present block, if it has any text.
    fn flush(&mut self) {
        let text = std::mem::take(&mut self.text);
        let link_characters = std::mem::take(&mut self.link_characters);
        let heading = self.heading.take();
        if text.trim().is_empty() {
            return;
        }
        let text = text.trim_end().to_owned();
        let content = match (heading, self.item.take()) {
            (Some(level), _) => Content::Heading(level, text),
            (None, Some((depth, marker))) => Content::Item { depth, marker, text },
            (None, None) => Content::Paragraph(text),
        };
        let block = Block {
            content,
            link_characters,
            in_main: self.open.iter().any(|open| open.main),
            in_boilerplate: self.open.iter().any(|open| open.boilerplate),
        };
        self.place(block);
    }

    /// Puts a block where it belongs: into the cell that is open, or on the page.
    fn place(&mut self, block: Block) {
        let cell = self
            .tables
            .last_mut()
            .filter(|table| table.in_cell)
            .and_then(|table| table.rows.last_mut()?.last_mut());
        match cell {
            Some(cell) => cell.push(block),
            None => self.blocks.push(block),
        }
    }

    /// Makes a table of what holds data, and a part of the page of what only lays it out.
    fn end_table(&mut self) {
        self.flush();
        let Some(open) = self.tables.pop() else { return };
        let columns = open.rows.iter().map(Vec::len).max().unwrap_or(0);
        let lays_out = |cell: &Vec<Block>| {
            let structured =
                |block: &Block| matches!(block.content, Content::Table(_) | Content::Heading(..));
            cell.iter().any(structured)
                || cell.iter().map(|block| block.content.len()).sum::<usize>() > LONGEST_CELL
        };
        if columns < 2 || open.rows.iter().flatten().any(lays_out) {
            for block in open.rows.into_iter().flatten().flatten() {
                self.place(block);
            }
            return;
        }
        let (mut table, mut link_characters) = (Table::new(), 0);
        for row in open.rows {
            let mut cells = Vec::with_capacity(row.len());
            for cell in row {
                link_characters += cell.iter().map(|block| block.link_characters).sum::<usize>();
                cells.push(cell.into_iter().map(text_of).collect::<Vec<_>>().join(" "));
            }
            if !cells.is_empty() {
                table.charged_row(cells);
            }
        }
        let block = Block {
            content: Content::Table(table),
            link_characters,
            in_main: self.open.iter().any(|open| open.main),
            in_boilerplate: self.open.iter().any(|open| open.boilerplate),
        };
        self.place(block);
    }

    fn meta(&mut self, tag: &Tag) {
        let name = attribute(tag, "name").or_else(|| attribute(tag, "property")).unwrap_or_default();
        let Some(content) = attribute(tag, "content") else { return };
        match name.to_ascii_lowercase().as_str() {
            "author" | "article:author" | "dc.creator" | "dcterms.creator" => {
                self.metadata.set_author(content);
            }
            "date" | "article:published_time" | "dc.date" | "dcterms.created" | "dcterms.issued" => {
                self.metadata.set_created(content);
            }
            "last-modified" | "article:modified_time" | "dcterms.modified" => {
                self.metadata.set_modified(content);
            }
            "description" | "keywords" | "generator" => {
                self.metadata.set_property(&name.to_ascii_lowercase(), content);
            }
            "og:title" => content.clone_into(&mut self.shared_title),
            "og:description" => self.metadata.set_property("description", content),
            _ => {}
        }
    }
}

fn text_of(block: Block) -> String {
    match block.content {
        Content::Item { marker, text, .. } if marker != "-" => format!("{marker} {text}"),
        Content::Heading(_, text) | Content::Paragraph(text) | Content::Item { text, .. } => text,
        Content::Table(_) => String::new(),
    }
}

fn attribute<'t>(tag: &'t Tag, name: &str) -> Option<&'t str> {
    tag.attrs.iter().find(|attribute| &*attribute.name.local == name).map(|attribute| &*attribute.value)
}

/// Elements that begin and end blocks and must be closed.
fn is_container(name: &str) -> bool {
    matches!(
        name,
        "div"
            | "section"
            | "article"
            | "main"
            | "nav"
            | "header"
            | "footer"
            | "aside"
            | "ul"
            | "ol"
            | "menu"
            | "table"
            | "form"
            | "figure"
            | "details"
            | "blockquote"
            | "dl"
            | "fieldset"
            | "center"
            | "body"
            | "hgroup"
            | "dialog"
    )
}

/// Elements that may be left unclosed; they are kept as open only while they hide something.
fn has_optional_end(name: &str) -> bool {
    matches!(
        name,
        "p" | "li"
            | "dt"
            | "dd"
            | "tr"
            | "td"
            | "th"
            | "h1"
            | "h2"
            | "h3"
            | "h4"
            | "h5"
            | "h6"
            | "figcaption"
    )
}

/// Whether an element whose end was left out ends where `next` begins (WHATWG HTML, 13.1.2.4).
fn ends_before(open: &str, next: &str) -> bool {
    match open {
        "li" => next == "li",
        "dt" | "dd" => matches!(next, "dt" | "dd"),
        "td" | "th" => matches!(next, "td" | "th" | "tr" | "tbody" | "tfoot"),
        "tr" => matches!(next, "tr" | "tbody" | "tfoot"),
        _ => has_optional_end(next) || is_container(next),
    }
}

/// Elements whose content is not read.
fn hides(name: &str) -> bool {
    matches!(
        name,
        "script"
            | "style"
            | "template"
            | "noscript"
            | "svg"
            | "annotation"
            | "annotation-xml"
            | "select"
            | "textarea"
            | "button"
            | "iframe"
            | "object"
            | "canvas"
            | "noembed"
            | "noframes"
            | "audio"
            | "video"
            | "datalist"
    )
}

fn is_hidden(tag: &Tag) -> bool {
    attribute(tag, "hidden").is_some()
        || attribute(tag, "aria-hidden") == Some("true")
        || attribute(tag, "style").is_some_and(|style| {
            let style: String =
                style.chars().filter(|c| !c.is_whitespace()).collect::<String>().to_ascii_lowercase();
            style.contains("display:none") || style.contains("visibility:hidden")
        })
}

/// Elements that are around a page's text rather than in it, by their name, their role, or the class that nearly every
/// site gives them.
fn is_boilerplate(tag: &Tag) -> bool {
    const ROLES: [&str; 5] = ["navigation", "banner", "contentinfo", "complementary", "search"];
    const HINTS: [&str; 23] = [
        "nav",
        "navbar",
        "navheader",
        "navfooter",
        "navigation",
        "pagination",
        "pager",
        "menu",
        "sidebar",
        "footer",
        "breadcrumb",
        "breadcrumbs",
        "cookie",
        "banner",
        "share",
        "social",
        "related",
        "promo",
        "advert",
        "ads",
        "newsletter",
        "subscribe",
        "masthead",
    ];
    let name = &*tag.name;
    if matches!(name, "nav" | "footer" | "aside" | "header" | "form" | "menu") {
        return true;
    }
    if attribute(tag, "role").is_some_and(|role| ROLES.contains(&role)) {
        return true;
    }
    let hinted = |value: &str| {
        let value = value.to_ascii_lowercase();
        let mut words = value.split(|c: char| !c.is_ascii_alphanumeric());
        words.any(|word| HINTS.contains(&word))
    };
    is_container(name)
        && name != "body"
        && (attribute(tag, "class").is_some_and(hinted) || attribute(tag, "id").is_some_and(hinted))
}
