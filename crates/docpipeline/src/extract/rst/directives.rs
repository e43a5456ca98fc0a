//! What begins with `..`: directives, footnotes, targets and comments.

use std::ops::Range;

use csv::ReaderBuilder;

use super::{Reader, adornment_of, list_marker};
use crate::draft::Table;
use crate::error::Result;

/// What a directive's content is.
enum Content {
    /// Blocks under this title.
    Titled(&'static str),
    /// Blocks; the argument belongs to them.
    Blocks,
    /// Blocks that describe what the argument names.
    Description,
    Verbatim,
    Table,
    Image,
    Figure,
    Nothing,
    Unknown,
}

fn content(name: &str) -> Content {
    match name {
        "note" => Content::Titled("Note"),
        "warning" => Content::Titled("Warning"),
        "tip" => Content::Titled("Tip"),
        "important" => Content::Titled("Important"),
        "hint" => Content::Titled("Hint"),
        "caution" => Content::Titled("Caution"),
        "danger" => Content::Titled("Danger"),
        "error" => Content::Titled("Error"),
        "attention" => Content::Titled("Attention"),
        "seealso" => Content::Titled("See also"),
        "todo" => Content::Titled("Todo"),
        "versionadded" => Content::Titled("New in version"),
        "versionchanged" => Content::Titled("Changed in version"),
        "deprecated" => Content::Titled("Deprecated since version"),
        "admonition" | "topic" | "sidebar" | "rubric" | "centered" | "epigraph" | "highlights"
        | "pull-quote" | "compound" | "line-block" | "glossary" | "hlist" | "header" | "footer"
        | "impl-detail" | "title" => Content::Blocks,
        "code-block" | "code" | "sourcecode" | "math" | "parsed-literal" | "prompt" | "doctest"
        | "testcode" | "testoutput" | "productionlist" | "ipython" | "graphviz" | "digraph"
        | "command-output" | "literal" => Content::Verbatim,
        "table" | "csv-table" | "list-table" => Content::Table,
        "image" => Content::Image,
        "figure" => Content::Figure,
        "toctree" | "include" | "literalinclude" | "contents" | "index" | "raw" | "meta" | "default-role"
        | "role" | "highlight" | "currentmodule" | "module" | "sectnum" | "target-notes"
        | "tabularcolumns" | "testsetup" | "testcleanup" | "sectionauthor" | "moduleauthor"
        | "codeauthor" | "date" | "program" | "highlightlang" => Content::Nothing,
        "function" | "class" | "method" | "attribute" | "data" | "exception" | "option" | "envvar"
        | "describe" | "object" | "cmdoption" | "confval" | "property" | "staticmethod" | "classmethod"
        | "decorator" | "macro" | "type" | "struct" | "enum" | "member" | "var" | "opcode" | "pdbcommand" => {
            Content::Description
        }
        // Names with a domain: `py:function`, `c:macro`.
        name if name.contains(':') => Content::Description,
        _ => Content::Unknown,
    }
}

impl Reader<'_, '_, '_> {
    /// Reads what begins with `..` at `at`; gives where it ends.
    pub(super) fn explicit(&mut self, at: usize, end: usize, base: usize) -> Result<usize> {
        let text = self.line(at).text.get(3..).unwrap_or_default().trim_start();
        let stop = self.indented_end(at + 1, end, base);
        if let Some((label, rest)) = text.strip_prefix('[').and_then(|inner| inner.split_once(']')) {
            let label = format!("[{}] ", label.trim_start_matches('#'));
            self.draft.end_block()?;
            self.draft.push(&label)?;
            self.fresh_item = true;
            let width = self.line(at).text.len() - rest.len();
            let stop = self.hang(at, stop, base, width)?;
            self.fresh_item = false;
            self.draft.end_block()?;
            return Ok(stop);
        }
        let directive = text.split_once("::").filter(|(name, rest)| {
            let is_name = name
                .bytes()
                .all(|b| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_' | b'.' | b':' | b'+'));
            is_name && !name.is_empty() && (rest.is_empty() || rest.starts_with(' '))
        });
        match directive {
            Some((name, argument)) => self.directive(name, argument.trim(), at + 1..stop)?,
            // A target, a substitution's definition, or a comment; one of its first line alone ends there.
            None if text.is_empty() && self.line(at + 1).is_blank() => return Ok(at + 1),
            None => {}
        }
        Ok(stop)
    }

    fn directive(&mut self, name: &str, argument: &str, body: Range<usize>) -> Result<()> {
        // Lines of the argument, then options, then an empty line, then the content.
        let is_option =
            |i: usize| self.line(i).text.starts_with(':') && super::field_marker(self.line(i).text).is_some();
        let head_end = body.clone().find(|i| self.line(*i).is_blank()).unwrap_or(body.end);
        let options_start = (body.start..head_end).find(|i| is_option(*i)).unwrap_or(head_end);
        let mut options_end = options_start;
        while options_end < head_end
            && (is_option(options_end) || self.line(options_end).indent > self.line(options_start).indent)
        {
            options_end += 1;
        }
        let options = options_start..options_end;
        let has_options = !options.is_empty();
        match content(name) {
            Content::Nothing => Ok(()),
            Content::Titled(title) => {
                let version = title.ends_with("version");
                let whole = if version { format!("{title} {argument}") } else { title.to_owned() };
                self.write(&whole)?;
                if !version && !argument.is_empty() {
                    let text = [argument, &self.joined(body.start..options_start)].join(" ");
                    let text = self.inline.text(text.trim())?;
                    self.write(&text)?;
                    return self.content(options_end..body.end);
                }
                self.content(if has_options { options_end } else { body.start }..body.end)
            }
            Content::Blocks => {
                let text = self.inline.text(argument)?;
                if name == "title" {
                    self.draft.metadata().set_title(&text);
                    return Ok(());
                }
                self.write(&text)?;
                self.content(if has_options { options_end } else { body.start }..body.end)
            }
            Content::Description => {
                let signatures =
                    [&[argument.to_owned()][..], &self.texts(body.start..options_start)].concat();
                for signature in signatures.iter().filter(|signature| !signature.is_empty()) {
                    let plain = signature.replace('\\', "");
                    self.write(&plain)?;
                }
                self.content(options_end..body.end)
            }
            Content::Verbatim => {
                if matches!(name, "math" | "parsed-literal") {
                    self.write(argument)?;
                }
                let start = if has_options { options_end } else { body.start };
                if start < body.end { self.verbatim(start..body.end, 0) } else { Ok(()) }
            }
            Content::Image | Content::Figure => {
                let alt = self.option("alt", options);
                let caption = (options_end..body.end).any(|i| !self.line(i).is_blank());
                if !caption {
                    let alt = self.inline.text(&alt)?;
                    self.write(&alt)?;
                }
                self.content(options_end..body.end)
            }
            Content::Table => {
                let title = self.inline.text(argument)?;
                self.write(&title)?;
                let rest = options_end..body.end;
                match name {
                    "csv-table" => self.csv_table(options, rest),
                    "list-table" => self.list_table(rest),
                    _ => self.content(rest),
                }
            }
            Content::Unknown => {
                let start = if has_options { options_end } else { body.start };
                if (start..body.end).any(|i| !self.line(i).is_blank()) {
                    let text = self.inline.text(argument)?;
                    self.write(&text)?;
                }
                self.content(start..body.end)
            }
        }
    }

    fn content(&mut self, range: Range<usize>) -> Result<()> {
        let least = self.least_indent(range.clone());
        self.blocks(range, least)
    }

    fn texts(&self, range: Range<usize>) -> Vec<String> {
        self.lines.get(range).unwrap_or_default().iter().map(|line| line.text.to_owned()).collect()
    }

    /// The value of an option, over all its lines.
    fn option(&self, name: &str, options: Range<usize>) -> String {
        let mut value = String::new();
        let mut inside = false;
        for line in self.lines.get(options).unwrap_or_default() {
            let own = line.text.strip_prefix(':').and_then(|rest| rest.split_once(':'));
            match own {
                Some((found, text)) => {
                    inside = found == name;
                    if inside {
                        value.push_str(text.trim());
                    }
                }
                None if inside => {
                    value.push(' ');
                    value.push_str(line.text);
                }
                None => {}
            }
        }
        value
    }

    fn csv_table(&mut self, options: Range<usize>, rows: Range<usize>) -> Result<()> {
        let delimiter = match self.option("delim", options.clone()).as_str() {
            "tab" => b'\t',
            given => given.bytes().next().unwrap_or(b','),
        };
        let mut text = self.option("header", options);
        for line in self.texts(rows) {
            text.push('\n');
            text.push_str(&line);
        }
        // Space before a quote is none of the cell's.
        let separator = char::from(delimiter);
        let text = text.replace(&format!("{separator} \""), &format!("{separator}\""));
        let mut reader = ReaderBuilder::new()
            .has_headers(false)
            .flexible(true)
            .delimiter(delimiter)
            .trim(csv::Trim::All)
            .from_reader(text.as_bytes());
        let mut table = Table::new();
        for record in reader.records() {
            // Text in memory gives no errors but those of decoding, and it is UTF-8.
            let Ok(record) = record else { break };
            let cells = record.iter().map(|cell| self.inline.text(cell)).collect::<Result<_>>()?;
            table.row(cells, self.draft.budget())?;
        }
        self.draft.table(&table)
    }

    /// A list of rows, each a list of cells.
    fn list_table(&mut self, range: Range<usize>) -> Result<()> {
        let base = self.least_indent(range.clone());
        let mut table = Table::new();
        let mut row: Vec<String> = Vec::new();
        let mut cell_column = usize::MAX;
        for line in self.lines.get(range).unwrap_or_default().to_vec() {
            self.draft.budget().tick()?;
            let (mut indent, mut text) = (line.indent, line.text);
            if indent == base
                && let Some((_, width)) = list_marker(text, "")
            {
                if !row.is_empty() {
                    table.row(std::mem::take(&mut row), self.draft.budget())?;
                }
                let rest = text.get(width..).unwrap_or_default();
                text = rest.trim_start();
                indent = base + width + (rest.len() - text.len());
                cell_column = indent;
            }
            if indent == cell_column
                && let Some((_, width)) = list_marker(text, "")
            {
                row.push(String::new());
                text = text.get(width..).unwrap_or_default();
            }
            if let Some(cell) = row.last_mut().filter(|_| adornment_of(text).is_none() || text.len() < 4) {
                let text = self.inline.text(text.trim())?;
                cell.push_str(if cell.is_empty() { "" } else { " " });
                cell.push_str(&text);
            }
        }
        if !row.is_empty() {
            table.row(row, self.draft.budget())?;
        }
        self.draft.table(&table)
    }
}
