//! Macros: those that a document defines, and what is known of others.

use std::collections::HashMap;
use std::rc::Rc;

use super::input::Input;
use crate::error::Result;

/// A macro that the document defines.
#[derive(Clone)]
pub(super) struct Macro {
    /// How many arguments it takes.
    arguments: usize,
    /// What the first is where it is left out; it stands between brackets, then.
    default: Option<String>,
    body: Rc<str>,
    /// Whether `@` was a letter of names where it was defined.
    pub(super) at_is_letter: bool,
}

/// The macros of a document, by their names.
#[derive(Default)]
pub(super) struct Macros(HashMap<String, Macro>);

impl Macros {
    pub(super) fn get(&self, name: &str) -> Option<Macro> {
        self.0.get(name).cloned()
    }

    /// Reads the rest of a definition that `command` begins; `false` if it begins none.
    pub(super) fn define(&mut self, command: &str, input: &mut Input<'_>) -> Result<bool> {
        let at_is_letter = input.at_is_letter;
        match command {
            "newcommand" | "renewcommand" | "providecommand" | "DeclareRobustCommand" => {
                self.new_command(input)?;
            }
            "NewDocumentCommand"
            | "RenewDocumentCommand"
            | "ProvideDocumentCommand"
            | "DeclareDocumentCommand" => {
                let name = defined_name(input)?;
                let arguments = input.argument()?;
                let body = input.argument()?.into();
                let count = arguments.chars().filter(|c| *c == 'm').count();
                // Optional arguments have a grammar of their own; a macro with such is known by what it is called with.
                if arguments.split_whitespace().all(|kind| kind.bytes().all(|b| b == b'm')) {
                    self.insert(name, Macro { arguments: count, default: None, body, at_is_letter });
                }
            }
            "def" | "gdef" | "edef" | "xdef" => self.def(input)?,
            "let" => {
                let name = defined_name(input)?;
                input.skip_space();
                if input.peek() == Some('=') {
                    input.skip(1);
                }
                let same = defined_name(input)?;
                let body = format!("\\{same} ").into();
                if same.chars().all(|c| c.is_ascii_alphabetic()) && same != name {
                    self.insert(name, Macro { arguments: 0, default: None, body, at_is_letter });
                }
            }
            _ => return Ok(false),
        }
        Ok(true)
    }

    fn new_command(&mut self, input: &mut Input<'_>) -> Result<()> {
        input.star();
        let name = defined_name(input)?;
        let arguments = input.option()?.and_then(|count| count.trim().parse().ok()).unwrap_or(0);
        let default = input.option()?;
        let body = input.argument()?.into();
        self.insert(name, Macro { arguments, default, body, at_is_letter: input.at_is_letter });
        Ok(())
    }

    /// `\def\name#1#2{body}`. One with other text between its parameters is not known by that name.
    fn def(&mut self, input: &mut Input<'_>) -> Result<()> {
        let name = defined_name(input)?;
        let rest = input.rest();
        let line = rest.get(..rest.find(['{', '\n']).unwrap_or(rest.len())).unwrap_or_default();
        let (length, arguments) = (line.len(), line.matches('#').count());
        let plain = line.trim().chars().all(|c| c == '#' || c.is_ascii_digit());
        input.skip(length);
        let body = input.argument()?.into();
        if plain {
            self.insert(name, Macro { arguments, default: None, body, at_is_letter: input.at_is_letter });
        }
        Ok(())
    }

    fn insert(&mut self, name: String, defined: Macro) {
        // What this reader knows better than the tricks that a document plays with it.
        let known =
            matches!(name.as_str(), "" | "begin" | "end" | "item" | "par" | "section" | "footnote" | "verb");
        if !known && defined.arguments <= 9 {
            self.0.insert(name, defined);
        }
    }
}

impl Macro {
    /// The text of the macro with the arguments that `input` brings.
    pub(super) fn text(&self, input: &mut Input<'_>) -> Result<Rc<str>> {
        if self.arguments == 0 {
            return Ok(Rc::clone(&self.body));
        }
        let mut arguments = Vec::with_capacity(self.arguments);
        if let Some(default) = &self.default {
            arguments.push(input.option()?.unwrap_or_else(|| default.clone()));
        }
        while arguments.len() < self.arguments {
            arguments.push(input.argument()?);
        }
        let mut text = String::with_capacity(self.body.len());
        let mut pieces = self.body.split('#');
        text.push_str(pieces.next().unwrap_or_default());
        for piece in pieces {
            let index = piece
                .chars()
                .next()
                .and_then(|digit| digit.to_digit(10))
                .and_then(|digit| digit.checked_sub(1));
            let argument = index.and_then(|index| arguments.get(usize::try_from(index).ok()?));
            if let Some(argument) = argument {
                input.charge(argument.len() + 1)?;
                if ends_in_name(&text) && argument.starts_with(is_letter) {
                    // The argument does not go on with the name.
                    text.push(' ');
                }
                text.push_str(argument);
            }
            text.push_str(if index.is_some() { piece.get(1..).unwrap_or_default() } else { piece });
        }
        Ok(text.into())
    }
}

/// Whether a character may go on with the name of a macro, here or elsewhere.
fn is_letter(c: char) -> bool {
    c.is_ascii_alphabetic() || c == '@'
}

/// Whether a text ends in the name of a macro.
fn ends_in_name(text: &str) -> bool {
    let before = text.trim_end_matches(is_letter);
    before.len() < text.len() && before.ends_with('\\') && !before.ends_with("\\\\")
}

/// The name in `\newcommand{\name}` or `\def\name`.
fn defined_name(input: &mut Input<'_>) -> Result<String> {
    input.skip_space();
    if input.peek() == Some('\\') {
        input.skip(1);
        return Ok(input.name());
    }
    Ok(input.argument()?.trim().trim_start_matches('\\').to_owned())
}

/// How many arguments of a macro are no text, and stand before any that is.
pub(super) fn hidden_arguments(name: &str) -> usize {
    match name {
        "label" | "index" | "vspace" | "hspace" | "includegraphics" | "usepackage" | "documentclass"
        | "input" | "include" | "bibliographystyle" | "bibliography" | "addbibresource" | "pagestyle"
        | "thispagestyle" | "newcounter" | "newlength" | "color" | "hypersetup" | "graphicspath"
        | "geometry" | "phantom" | "hphantom" | "vphantom" | "hyphenation" | "RequirePackage"
        | "markright" | "nocite" | "cline" | "cmidrule" | "textcolor" | "colorbox" | "raisebox"
        | "parbox" | "scalebox" | "rotatebox" | "href" | "hyperref" | "foreignlanguage" | "hyperlink"
        | "hypertarget" | "selectlanguage" | "setstretch" | "linespread" | "pagenumbering"
        | "refstepcounter" | "stepcounter" | "usetheme" | "usecolortheme" | "tikzset" | "lstset"
        | "captionsetup" | "newif" | "ProvidesPackage" | "ProvidesFile" | "NeedsTeXFormat"
        | "includeonly" | "fontsize" | "value" | "arabic" | "usetikzlibrary" | "DisableCrossrefs"
        | "EnableCrossrefs" | "OnlyDescription" | "glsadd" | "enlargethispage" | "newcolumntype"
        | "theoremstyle" | "newsavebox" | "usebox" | "savebox" | "sbox" | "pgfimage" => 1,
        "setlength"
        | "addtolength"
        | "setcounter"
        | "addtocounter"
        | "newtheorem"
        | "rule"
        | "DeclareMathOperator"
        | "markboth"
        | "resizebox"
        | "fcolorbox"
        | "multirow"
        | "setkomafont"
        | "settowidth"
        | "numberwithin"
        | "DeclareUnicodeCharacter"
        | "pdfbookmark"
        | "addtokomafont"
        | "AtBeginEnvironment" => 2,
        "newenvironment" | "renewenvironment" | "addcontentsline" | "definecolor" | "contentsline" => 3,
        _ => 0,
    }
}

/// How many arguments stand behind the name of an environment and are no text.
pub(super) fn hidden_environment_arguments(name: &str) -> usize {
    match name {
        "tabular" | "longtable" | "array" | "supertabular" | "minipage" | "multicols" | "thebibliography"
        | "subfigure" | "adjustbox" | "minted" | "subtable" | "otherlanguage" | "spacing" | "column" => 1,
        "tabularx" | "tabulary" | "tabular*" | "wrapfigure" | "wraptable" | "list" | "adjustwidth"
        | "xltabular" => 2,
        _ => 0,
    }
}
