//! Jupyter notebooks.

use std::borrow::Cow;
use std::fmt;

use serde::Deserialize;
use serde::de::{DeserializeSeed, Deserializer, IgnoredAny, MapAccess, SeqAccess, Visitor};
use serde_json::Value;

use crate::charset::decode;
use crate::draft::{Draft, Source};
use crate::error::{Error, Result};
use crate::extract::Extractor;
use crate::extract::html::Html;
use crate::extract::json::Json;
use crate::extract::markdown::Markdown;

/// Notebooks of nbformat 3 and 4: Markdown cells as Markdown, code as it is, and what the code printed.
///
/// Cells are read one by one as the JSON goes by, so a notebook that breaks off gives those before the break.
pub(crate) struct Ipynb;

impl Extractor for Ipynb {
    fn extract(&self, source: &Source<'_>, draft: &mut Draft<'_>) -> Result<()> {
        let (text, encoding) = decode(&source.bytes, None, draft.budget())?;
        let mut json = serde_json::Deserializer::from_str(&text);
        let mut reader = Reader { draft, cells: 0, refusal: None };
        let read = Notebook { reader: &mut reader, sheets: true }.deserialize(&mut json);
        if let Some(refusal) = reader.refusal {
            return Err(refusal);
        }
        match read {
            _ if reader.cells == 0 => return Json.extract(source, draft),
            Err(error) => {
                let cells = reader.cells;
                draft.warn(format!("the notebook breaks off after cell {cells}: {error}"));
            }
            Ok(()) => {}
        }
        draft.metadata().encoding = Some(encoding.to_owned());
        draft.title_from_heading();
        Ok(())
    }
}

struct Reader<'d, 'b> {
    draft: &'d mut Draft<'b>,
    cells: usize,
    /// Serde carries only its own errors, so ours waits here.
    refusal: Option<Error>,
}

impl Reader<'_, '_> {
    fn keep<E: serde::de::Error>(&mut self, read: Result<()>) -> Result<(), E> {
        read.map_err(|refusal| {
            let error = E::custom(&refusal);
            self.refusal = Some(refusal);
            error
        })
    }

    fn cell(&mut self, cell: Cell) -> Result<()> {
        self.cells += 1;
        self.draft.budget().tick()?;
        self.draft.end_block()?;
        match cell.kind.0.as_str() {
            "markdown" => Markdown::read_fragment(&cell.source.0, self.draft)?,
            "heading" => self.draft.heading(cell.level, &cell.source.0)?,
            "html" => Html { main_text_only: false }.read(&cell.source.0, self.draft)?,
            _ => {
                self.draft.push(&cell.source.0)?;
                self.draft.push(&cell.input.0)?;
            }
        }
        for output in cell.outputs {
            self.draft.end_block()?;
            self.output(&output)?;
        }
        self.draft.end_block()
    }

    fn output(&mut self, output: &Output) -> Result<()> {
        let data = &output.data;
        let shows_picture = data.png.0 || data.jpeg.0 || data.svg.0;
        if !data.markdown.0.is_empty() {
            return Markdown::read_fragment(&data.markdown.0, self.draft);
        }
        let printed = [&output.text, &data.plain].into_iter().find(|lines| !lines.0.is_empty());
        if let Some(printed) = printed {
            // `<Figure size 432x288 with 1 Axes>` only stands in for the picture.
            if shows_picture && printed.0.starts_with('<') {
                return Ok(());
            }
            return self.draft.push(&without_escapes(&printed.0));
        }
        if !data.html.0.is_empty() {
            return Html { main_text_only: false }.read(&data.html.0, self.draft);
        }
        for line in &output.traceback {
            self.draft.end_line()?;
            self.draft.push(&without_escapes(&line.0))?;
        }
        Ok(())
    }

    fn metadata(&mut self, of: &Value) {
        let at = |pointer: &str| of.pointer(pointer).and_then(Value::as_str).unwrap_or_default();
        let metadata = self.draft.metadata();
        metadata.set_title(at("/title"));
        metadata.set_title(at("/name"));
        metadata.set_author(at("/authors/0/name"));
        metadata.set_property("programming_language", at("/language_info/name"));
        metadata.set_property("programming_language", at("/kernelspec/language"));
    }
}

/// The text without the colours of a terminal (ECMA-48 control sequences).
fn without_escapes(text: &str) -> Cow<'_, str> {
    if !text.contains('\u{1b}') {
        return Cow::Borrowed(text);
    }
    let mut plain = String::with_capacity(text.len());
    let mut pieces = text.split("\u{1b}[");
    plain.push_str(pieces.next().unwrap_or_default());
    for piece in pieces {
        let end = piece.find(|c| matches!(c, '@'..='~')).map_or(piece.len(), |at| at + 1);
        plain.push_str(piece.get(end..).unwrap_or_default());
    }
    Cow::Owned(plain)
}

/// The root of the notebook, or a worksheet, in which no further `sheets` are looked for.
struct Notebook<'r, 'd, 'b> {
    reader: &'r mut Reader<'d, 'b>,
    sheets: bool,
}

impl<'de> DeserializeSeed<'de> for Notebook<'_, '_, '_> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, from: D) -> Result<(), D::Error> {
        from.deserialize_map(self)
    }
}

impl<'de> Visitor<'de> for Notebook<'_, '_, '_> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a notebook")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut entries: A) -> Result<(), A::Error> {
        while let Some(key) = entries.next_key::<Cow<'_, str>>()? {
            match &*key {
                "cells" => entries.next_value_seed(Cells(self.reader))?,
                // nbformat 3 has sheets of cells, of which all but its drafts had one.
                "worksheets" if self.sheets => entries.next_value_seed(Worksheets(self.reader))?,
                "metadata" => {
                    let about = entries.next_value()?;
                    self.reader.metadata(&about);
                }
                _ => {
                    entries.next_value::<IgnoredAny>()?;
                }
            }
        }
        Ok(())
    }
}

struct Worksheets<'r, 'd, 'b>(&'r mut Reader<'d, 'b>);

impl<'de> DeserializeSeed<'de> for Worksheets<'_, '_, '_> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, from: D) -> Result<(), D::Error> {
        from.deserialize_seq(self)
    }
}

impl<'de> Visitor<'de> for Worksheets<'_, '_, '_> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a list of worksheets")
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut sheets: A) -> Result<(), A::Error> {
        while sheets.next_element_seed(Notebook { reader: self.0, sheets: false })?.is_some() {}
        Ok(())
    }
}

struct Cells<'r, 'd, 'b>(&'r mut Reader<'d, 'b>);

impl<'de> DeserializeSeed<'de> for Cells<'_, '_, '_> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, from: D) -> Result<(), D::Error> {
        from.deserialize_seq(self)
    }
}

impl<'de> Visitor<'de> for Cells<'_, '_, '_> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a list of cells")
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut cells: A) -> Result<(), A::Error> {
        while let Some(cell) = cells.next_element::<Cell>()? {
            let read = self.0.cell(cell);
            self.0.keep(read)?;
        }
        Ok(())
    }
}

#[derive(Deserialize, Default)]
#[serde(default)]
struct Cell {
    #[serde(rename = "cell_type")]
    kind: Lines,
    source: Lines,
    /// The source of a code cell in nbformat 3.
    input: Lines,
    level: u8,
    outputs: Vec<Output>,
}

/// What a cell printed; in nbformat 3 the text of a result stands where that of a stream does.
#[derive(Deserialize, Default)]
#[serde(default)]
struct Output {
    text: Lines,
    data: Bundle,
    /// What went wrong, in lines without ends.
    traceback: Vec<Lines>,
}

/// One result in several forms.
#[derive(Deserialize, Default)]
#[serde(default)]
struct Bundle {
    #[serde(rename = "text/plain")]
    plain: Lines,
    #[serde(rename = "text/markdown")]
    markdown: Lines,
    #[serde(rename = "text/html")]
    html: Lines,
    #[serde(rename = "image/png")]
    png: Present,
    #[serde(rename = "image/jpeg")]
    jpeg: Present,
    #[serde(rename = "image/svg+xml")]
    svg: Present,
}

/// Something that is there and need not be read.
#[derive(Default)]
struct Present(bool);

impl<'de> Deserialize<'de> for Present {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        IgnoredAny::deserialize(from).map(|_| Self(true))
    }
}

/// A text, or a list of its lines with their ends. Anything else is no text.
#[derive(Deserialize, Default)]
#[serde(from = "Written")]
struct Lines(String);

#[derive(Deserialize)]
#[serde(untagged)]
enum Written {
    Whole(String),
    Lines(Vec<String>),
    Otherwise(IgnoredAny),
}

impl From<Written> for Lines {
    fn from(written: Written) -> Self {
        Self(match written {
            Written::Whole(text) => text,
            Written::Lines(lines) => lines.concat(),
            Written::Otherwise(_) => String::new(),
        })
    }
}
