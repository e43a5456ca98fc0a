//! LaTeX: the text that it sets, without typesetting it.
//!
//! The source is read once, as a stream. Macros that the document defines are put in where they are called, within
//! limits of depth and size; of others the arguments are text unless they are known not to be. No other file is read.

mod input;
mod macros;
mod math;
pub(in crate::extract) mod symbols;
mod writer;

use input::Input;
use macros::{Macros, hidden_arguments, hidden_environment_arguments};
use writer::{Capture, Writer};

use crate::charset::decode;
use crate::draft::{Draft, Source};
use crate::error::Result;
use crate::extract::Extractor;

/// Code inside of a line is no longer than this.
const LONGEST_CODE: usize = 4096;

/// Documents and parts of documents in LaTeX.
pub(crate) struct Latex;

impl Extractor for Latex {
    fn extract(&self, source: &Source<'_>, draft: &mut Draft<'_>) -> Result<()> {
        let (text, encoding) = decode(&source.bytes, None, draft.budget())?;
        draft.metadata().encoding = Some(encoding.to_owned());
        let mut reader = Reader {
            input: Input::new(&text, draft.budget()),
            macros: Macros::default(),
            writer: Writer::new(draft),
            open: Vec::new(),
            pending: None,
            preamble: has_preamble(&text),
            short_verb: None,
            looped: false,
        };
        reader.read()?;
        let looped = reader.looped;
        reader.writer.finish()?;
        if looped {
            draft.warn("macros call each other without end; what they stand for is left out");
        }
        draft.title_from_heading();
        Ok(())
    }
}

/// Whether what stands before `\begin{document}` is a preamble: a manual about LaTeX may show one in the middle of its text.
fn has_preamble(text: &str) -> bool {
    let Some((before, _)) = text.split_once("\\begin{document}") else { return false };
    let is_text = |line: &str| {
        ["\\section", "\\subsection", "\\chapter", "\\begin{verbatim}", "\\begin{itemize}"]
            .iter()
            .any(|begin| line.starts_with(begin))
    };
    !before.lines().any(|line| is_text(line.trim_start()))
}

/// Something that has begun and not ended.
enum Open {
    /// A group between braces; what it holds may go elsewhere than the text around it.
    Group {
        captures: bool,
    },
    Environment {
        name: String,
        kind: Kind,
    },
}

/// What an environment is.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Kind {
    Block,
    List,
    Table,
}

struct Reader<'d, 'b> {
    input: Input<'b>,
    macros: Macros,
    writer: Writer<'d, 'b>,
    open: Vec<Open>,
    /// Where the text of the group that comes next goes.
    pending: Option<Capture>,
    /// Whether the document proper is still to come.
    preamble: bool,
    /// The character that begins and ends code inside a line.
    short_verb: Option<char>,
    /// Whether a macro was left out because it calls itself.
    looped: bool,
}

impl Reader<'_, '_> {
    fn read(&mut self) -> Result<()> {
        while let Some(c) = self.input.next() {
            self.writer.budget().tick()?;
            match c {
                '\\' => {
                    let name = self.input.name();
                    self.command(&name)?;
                }
                '%' => self.input.skip_comment(),
                '{' => self.begin_group()?,
                '}' => self.end_group()?,
                '$' => self.dollars()?,
                '&' => self.writer.next_cell()?,
                '~' => self.text(" ")?,
                '\n' => self.line_end()?,
                '`' | '\'' | '-' => self.typewritten(c)?,
                _ if self.short_verb == Some(c) => {
                    let code = self.up_to(c);
                    self.text(&code)?;
                }
                _ => {
                    let special = |c: char| "\\%{}$&~\n`'-".contains(c);
                    let short = self.short_verb;
                    let rest = self.input.rest();
                    let length = rest.find(|c| special(c) || Some(c) == short).unwrap_or(rest.len());
                    let mut run = c.to_string();
                    run.push_str(&self.input.take(length));
                    self.text(&run)?;
                }
            }
        }
        while let Some(open) = self.open.pop() {
            self.close(&open)?;
        }
        Ok(())
    }

    fn text(&mut self, text: &str) -> Result<()> {
        if self.preamble && self.writer.is_outside() {
            return Ok(());
        }
        self.writer.push(text)
    }

    /// An empty line ends a paragraph; any other line end is a space.
    fn line_end(&mut self) -> Result<()> {
        let rest = self.input.rest();
        let blank = rest.len() - rest.trim_start_matches([' ', '\t', '\r']).len();
        let ends = rest.as_bytes().get(blank) == Some(&b'\n');
        self.input.skip(blank);
        if ends { self.paragraph() } else { self.text(" ") }
    }

    fn paragraph(&mut self) -> Result<()> {
        if self.preamble && self.writer.is_outside() { Ok(()) } else { self.writer.end_paragraph() }
    }

    /// Quotes and dashes, as they are typed.
    fn typewritten(&mut self, c: char) -> Result<()> {
        let same = self.input.rest().chars().take(3).take_while(|next| *next == c).count();
        let (sign, taken) = match (c, same) {
            ('`', 0) => ("‘", 0),
            ('`', _) => ("“", 1),
            ('\'', 0) => ("’", 0),
            ('\'', _) => ("”", 1),
            (_, 1) => ("–", 1),
            (_, 2) => ("—", 2),
            // One is a hyphen, and more than three a rule.
            _ => ("-", 0),
        };
        self.input.skip(taken);
        self.text(sign)
    }

    fn begin_group(&mut self) -> Result<()> {
        let capture = self.pending.take();
        let captures = capture.is_some();
        if let Some(capture) = capture {
            self.writer.begin(capture);
        }
        self.push(Open::Group { captures })
    }

    fn push(&mut self, open: Open) -> Result<()> {
        self.open.push(open);
        self.writer.budget().nesting(self.open.len())
    }

    fn end_group(&mut self) -> Result<()> {
        // An end that closes nothing is left out.
        match self.open.pop_if(|open| matches!(open, Open::Group { .. })) {
            Some(group) => self.close(&group),
            None => Ok(()),
        }
    }

    fn close(&mut self, open: &Open) -> Result<()> {
        match open {
            Open::Group { captures: false } => Ok(()),
            Open::Group { captures: true } => self.writer.end(),
            Open::Environment { kind, .. } => match kind {
                Kind::Block => self.writer.end_paragraph(),
                Kind::List => self.writer.end_list(),
                Kind::Table => self.writer.end_table(),
            },
        }
    }

    /// A formula between dollars.
    fn dollars(&mut self) -> Result<()> {
        let displayed = self.input.peek() == Some('$');
        self.input.skip(usize::from(displayed));
        let formula = self.formula(if displayed { "$$" } else { "$" });
        self.formula_text(&formula, displayed)
    }

    /// The source of a formula up to `end`; an empty line ends one that was not closed.
    fn formula(&mut self, end: &str) -> String {
        let mut formula = String::new();
        while let Some(c) = self.input.peek() {
            let rest = self.input.rest();
            if rest.starts_with(end) {
                self.input.skip(end.len());
                break;
            }
            if rest.starts_with("\n\n") {
                break;
            }
            self.input.skip(c.len_utf8());
            match c {
                '%' => self.input.skip_comment(),
                '\\' => {
                    formula.push(c);
                    formula.extend(self.input.next());
                }
                _ => formula.push(c),
            }
        }
        formula
    }

    fn formula_text(&mut self, formula: &str, displayed: bool) -> Result<()> {
        if self.preamble && self.writer.is_outside() {
            return Ok(());
        }
        let readable = math::readable(formula);
        if !displayed {
            return self.writer.push(&readable);
        }
        self.writer.end_paragraph()?;
        self.writer.push_lines(&readable)?;
        self.writer.end_paragraph()
    }

    /// Code inside a line, up to the character that began it.
    fn up_to(&mut self, end: char) -> String {
        let rest = self.input.rest();
        let near = rest.get(..rest.floor_char_boundary(LONGEST_CODE)).unwrap_or_default();
        let line = near.split('\n').next().unwrap_or_default();
        let length = line.find(end);
        let code = self.input.take(length.unwrap_or_default());
        self.input.skip(length.map_or(0, |_| end.len_utf8()));
        code
    }

    fn command(&mut self, name: &str) -> Result<()> {
        let is_word = name.starts_with(|c: char| c.is_ascii_alphabetic());
        let caller = self.input.caller();
        if let Some(defined) = self.macros.get(name) {
            if is_word {
                self.skip_space_behind_name();
            }
            let text = defined.text(&mut self.input)?;
            self.looped |= !self.input.expand(&text, defined.at_is_letter, caller)?;
            return Ok(());
        }
        if let Some(mark) = symbols::accent(name) {
            let letters = self.input.argument()?;
            return self.text(&symbols::accented(&letters, mark));
        }
        if !is_word {
            return self.sign(name);
        }
        if self.macros.define(name, &mut self.input)? {
            return Ok(());
        }
        if let Some(symbol) = symbols::symbol(name) {
            self.skip_space_behind_name();
            return self.text(symbol);
        }
        self.word(name)
    }

    /// The space behind the name of a macro only ends the name.
    fn skip_space_behind_name(&mut self) {
        let rest = self.input.rest();
        let space = rest.len() - rest.trim_start_matches([' ', '\t']).len();
        self.input.skip(space);
    }

    /// A macro whose name is no letter.
    fn sign(&mut self, name: &str) -> Result<()> {
        match name {
            "\\" => {
                self.input.star();
                self.input.option()?;
                self.writer.end_row()
            }
            "(" => {
                let formula = self.formula("\\)");
                self.formula_text(&formula, false)
            }
            "[" => {
                let formula = self.formula("\\]");
                self.formula_text(&formula, true)
            }
            " " | "," | ";" | ":" | "\n" | ">" | "\r" | "\t" => self.text(" "),
            "-" | "/" | "!" | "@" | ")" | "]" | "<" | "+" => Ok(()),
            other => self.text(other),
        }
    }

    fn word(&mut self, name: &str) -> Result<()> {
        if let Some(level) = heading_level(name) {
            self.input.star();
            self.input.option()?;
            self.pending = Some(Capture::Heading(level));
            return Ok(());
        }
        match name {
            "begin" => {
                let name = self.input.argument()?;
                self.begin(name.trim())
            }
            "end" => {
                let name = self.input.argument()?;
                self.end(name.trim())
            }
            "par" | "newline" | "bigskip" | "medskip" | "smallskip" | "newpage" | "clearpage"
            | "maketitle" => {
                if name == "maketitle" {
                    self.writer.title()?;
                }
                self.paragraph()
            }
            "item" => {
                let label = self.input.option()?;
                self.writer.item(label.as_deref())
            }
            "bibitem" => {
                let label = self.input.option()?;
                let key = self.input.argument()?;
                self.paragraph()?;
                self.text(&format!("[{}] ", label.as_deref().unwrap_or(&key)))
            }
            "title" | "author" | "date" => {
                self.input.option()?;
                self.pending = Some(match name {
                    "title" => Capture::Title,
                    "author" => Capture::Author,
                    _ => Capture::Date,
                });
                Ok(())
            }
            "and" if self.preamble => self.text("; "),
            "footnote" | "footnotetext" | "thanks" | "endnote" => {
                self.input.option()?;
                self.pending = Some(Capture::Note);
                Ok(())
            }
            "caption" => {
                self.input.star();
                self.input.option()?;
                self.pending = Some(Capture::Paragraph);
                Ok(())
            }
            "mintinline" => {
                self.input.argument()?;
                self.verb()
            }
            "url" | "path" | "nolinkurl" if self.input.peek() == Some('{') => {
                let address = self.input.argument()?;
                self.text(&address.replace('\\', ""))
            }
            "verb" | "lstinline" | "Verb" | "url" | "path" | "nolinkurl" => self.verb(),
            "multicolumn" => {
                let columns = self.input.argument()?;
                self.input.argument()?;
                self.writer.span(columns.trim().parse().unwrap_or(1))
            }
            "ref" | "eqref" | "pageref" | "autoref" | "cref" | "Cref" | "vref" | "nameref" => {
                self.input.star();
                let label = self.input.argument()?;
                self.text(&format!("[{label}]"))
            }
            _ if is_citation(name) => self.citation(),
            _ => self.setting(name),
        }
    }

    /// A macro that says how the text is read or set, or one that is not known.
    fn setting(&mut self, name: &str) -> Result<()> {
        match name {
            "makeatletter" | "makeatother" => {
                self.input.at_is_letter = name == "makeatletter";
                Ok(())
            }
            "MakeShortVerb" => {
                self.input.star();
                self.short_verb = self.input.argument()?.chars().last();
                Ok(())
            }
            "DeleteShortVerb" => {
                self.input.argument()?;
                self.short_verb = None;
                Ok(())
            }
            // What follows `\iftrue` or a condition that is not known is read; the other branch is not.
            "iffalse" | "else" => {
                self.skip_branch();
                Ok(())
            }
            "endinput" => {
                self.input.finish();
                Ok(())
            }
            "char" => self.character(),
            "hbox" | "vbox" | "vtop" | "hskip" | "vskip" | "kern" | "mskip" => {
                self.skip_dimension();
                Ok(())
            }
            _ => {
                self.input.star();
                for _ in 0..hidden_arguments(name) {
                    self.input.option()?;
                    self.input.argument()?;
                }
                self.input.option()?;
                if self.input.peek() != Some('{') {
                    self.skip_space_behind_name();
                }
                Ok(())
            }
        }
    }

    /// Skips to the `\else` or `\fi` that belongs to the condition before.
    fn skip_branch(&mut self) {
        let mut depth = 0_usize;
        while let Some(c) = self.input.next() {
            match c {
                '%' => self.input.skip_comment(),
                '\\' => match self.input.name().as_str() {
                    "fi" | "else" if depth == 0 => return,
                    "fi" => depth -= 1,
                    "newif" => {
                        self.input.skip(1);
                        self.input.name();
                    }
                    name if name.starts_with("if") && name != "iff" && name != "ifthenelse" => depth += 1,
                    _ => {}
                },
                _ => {}
            }
        }
    }

    /// Skips a length: `to 2in`, `1em plus 2pt`.
    fn skip_dimension(&mut self) {
        self.skip_space_behind_name();
        let rest = self.input.rest();
        let rest = rest.get(..rest.floor_char_boundary(200)).unwrap_or_default();
        let mut length = 0;
        for word in rest.split_inclusive(' ').take(8) {
            let is_number = word.starts_with(|c: char| c.is_ascii_digit() || matches!(c, '.' | '-' | '+'));
            if !is_number && !matches!(word.trim_end(), "to" | "spread" | "plus" | "minus") {
                break;
            }
            let end = word.find(|c: char| !(c.is_ascii_alphanumeric() || "+-. ".contains(c)));
            length += end.unwrap_or(word.len());
            if end.is_some() {
                break;
            }
        }
        self.input.skip(length);
    }

    /// `\char"2014`, `\char8212`, `` \char`\x ``.
    fn character(&mut self) -> Result<()> {
        if self.input.peek() == Some('`') {
            self.input.skip(1);
            let escaped = self.input.peek() == Some('\\');
            self.input.skip(usize::from(escaped));
            let character = self.input.next().map(String::from);
            return self.text(character.unwrap_or_default().as_str());
        }
        let hexadecimal = self.input.peek() == Some('"');
        self.input.skip(usize::from(hexadecimal));
        let radix = if hexadecimal { 16 } else { 10 };
        let rest = self.input.rest();
        let length = rest.find(|c: char| !c.is_digit(radix)).unwrap_or(rest.len()).min(8);
        let digits = self.input.take(length);
        let character = u32::from_str_radix(&digits, radix).ok().and_then(char::from_u32);
        self.text(character.map(String::from).unwrap_or_default().as_str())
    }

    /// Citations are their keys: what they look like is in no source.
    fn citation(&mut self) -> Result<()> {
        self.input.star();
        let mut note = self.input.option()?.unwrap_or_default();
        if let Some(behind) = self.input.option()? {
            note = behind;
        }
        let keys = self.input.argument()?;
        let keys: Vec<&str> = keys.split(',').map(str::trim).collect();
        let separator = if note.is_empty() { "" } else { ", " };
        self.text(&format!("[{}{separator}{note}]", keys.join(", ")))
    }

    fn verb(&mut self) -> Result<()> {
        self.input.star();
        self.input.option()?;
        let code = match self.input.next() {
            Some('{') => {
                let code = self.up_to('}');
                code.replace('\\', "")
            }
            Some(end) => self.up_to(end),
            None => String::new(),
        };
        self.text(&code)
    }

    fn begin(&mut self, name: &str) -> Result<()> {
        if name == "document" {
            self.preamble = false;
            return Ok(());
        }
        if is_verbatim(name) || is_left_out(name) {
            return self.verbatim(name);
        }
        if is_formula(name) {
            let formula = self.raw(name);
            return self.formula_text(&formula, true);
        }
        self.input.option()?;
        for _ in 0..hidden_environment_arguments(name) {
            self.input.argument()?;
            self.input.option()?;
        }
        let kind = match name {
            "enumerate" | "compactenum" | "inparaenum" | "asparaenum" => {
                self.writer.begin_list(Some(1));
                Kind::List
            }
            "itemize" | "compactitem" | "description" | "list" | "trivlist" | "compactdesc" => {
                self.writer.begin_list(None);
                Kind::List
            }
            "tabular" | "tabular*" | "tabularx" | "tabulary" | "longtable" | "supertabular" | "array"
            | "xltabular" | "tabu" | "longtabu" => {
                self.writer.begin_table();
                Kind::Table
            }
            _ => {
                self.writer.end_paragraph()?;
                Kind::Block
            }
        };
        self.push(Open::Environment { name: name.to_owned(), kind })
    }

    fn end(&mut self, name: &str) -> Result<()> {
        if name == "document" {
            self.input.finish();
            return Ok(());
        }
        let is_it = |open: &Open| matches!(open, Open::Environment { name: open, .. } if open == name);
        let Some(at) = self.open.iter().rposition(is_it) else { return Ok(()) };
        while self.open.len() > at {
            if let Some(open) = self.open.pop() {
                self.close(&open)?;
            }
        }
        Ok(())
    }

    /// What stands before the end of the environment, as it is.
    fn raw(&mut self, name: &str) -> String {
        let end = format!("\\end{{{name}}}");
        let rest = self.input.rest();
        let found = memchr::memmem::find(rest.as_bytes(), end.as_bytes());
        let length = found.unwrap_or(rest.len());
        let content = self.input.take(length);
        self.input.skip(found.map_or(0, |_| end.len()));
        content
    }

    fn verbatim(&mut self, name: &str) -> Result<()> {
        let content = self.raw(name);
        if is_left_out(name) || self.preamble {
            return Ok(());
        }
        // What stands on the line of the beginning are options.
        let (first, rest) = content.split_once('\n').unwrap_or(("", &content));
        let content = if first.trim().is_empty() || first.starts_with(['[', '{']) { rest } else { &content };
        self.writer.end_paragraph()?;
        self.writer.push_lines(content)?;
        self.writer.end_paragraph()
    }
}

fn heading_level(name: &str) -> Option<u8> {
    Some(match name {
        "part" | "chapter" | "addchap" => 1,
        "section" | "addsec" | "frametitle" => 2,
        "subsection" | "framesubtitle" => 3,
        "subsubsection" => 4,
        "paragraph" => 5,
        "subparagraph" => 6,
        _ => return None,
    })
}

fn is_citation(name: &str) -> bool {
    (name.starts_with("cite") || name.ends_with("cite") || matches!(name, "citet" | "citep"))
        && name != "nocite"
}

fn is_verbatim(name: &str) -> bool {
    matches!(
        name,
        "verbatim"
            | "verbatim*"
            | "lstlisting"
            | "minted"
            | "Verbatim"
            | "alltt"
            | "macrocode"
            | "BVerbatim"
            | "LVerbatim"
            | "semiverbatim"
            | "listing"
            | "lstcode"
            | "console"
            | "program"
            | "typewriter"
    )
}

/// Environments whose content is no text: pictures, and what the author took out.
fn is_left_out(name: &str) -> bool {
    matches!(
        name,
        "comment"
            | "filecontents"
            | "filecontents*"
            | "tikzpicture"
            | "pgfpicture"
            | "picture"
            | "pspicture"
            | "asy"
            | "luacode"
            | "luacode*"
            | "CCSXML"
    )
}

fn is_formula(name: &str) -> bool {
    matches!(
        name.trim_end_matches('*'),
        "equation"
            | "align"
            | "gather"
            | "multline"
            | "eqnarray"
            | "displaymath"
            | "math"
            | "flalign"
            | "alignat"
            | "dmath"
            | "subequations"
    )
}
