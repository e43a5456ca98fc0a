//! Pages that show pictures and no text: read by OCR, or told why not.

use std::collections::HashMap;

use hayro_syntax::page::Rotation;

use super::layout;
use super::picture::Picture;
use crate::config::{OcrConfig, OcrMode};
use crate::draft::Draft;
use crate::error::Result;
use crate::ocr::{self, Unread};

/// A page of pictures.
pub(super) struct Scan<'a> {
    /// Its number; the first is 0.
    pub(super) page: usize,
    pub(super) rotation: Rotation,
    pub(super) pictures: Vec<Picture<'a>>,
}

/// The paragraphs of pages by their numbers; what could not be read is a warning.
pub(super) fn read(
    scans: &[Scan<'_>],
    config: &OcrConfig,
    draft: &mut Draft<'_>,
) -> Result<HashMap<usize, Vec<String>>> {
    let budget = draft.budget();
    let mut recognised: HashMap<usize, Vec<String>> = HashMap::new();
    let mut unread = Reasons::default();
    let mut gathered = 0;
    // What keeps one page from being read and will keep all that follow.
    let mut obstacle = (config.mode == OcrMode::Off).then_some(Unread::Off);
    for (index, scan) in scans.iter().enumerate() {
        if index >= config.max_pages {
            obstacle.get_or_insert(Unread::TooMany(config.max_pages));
        }
        if let Some(reason) = &obstacle {
            unread.note(scan.page, reason.clone());
            continue;
        }
        for picture in &scan.pictures {
            let text = picture
                .for_ocr(scan.rotation, budget)
                .and_then(|picture| ocr::read(&picture, config, budget));
            match text {
                Ok(text) => {
                    gathered += text.len();
                    budget.room(gathered)?;
                    recognised.entry(scan.page).or_default().extend(paragraphs(&text));
                }
                Err(Unread::Ended(error)) => return Err(error),
                Err(reason) => {
                    unread.note(scan.page, reason.clone());
                    if reason.concerns_all() {
                        obstacle = Some(reason);
                        break;
                    }
                }
            }
        }
    }
    for (reason, pages) in unread.0 {
        let (has, its) =
            if pages.len() == 1 { ("has", "its picture was") } else { ("have", "their pictures were") };
        draft.warn(format!("{} {has} no text, and {its} not read: {reason}", named(&pages)));
    }
    Ok(recognised)
}

/// The pages that each reason kept from being read.
#[derive(Default)]
struct Reasons(Vec<(Unread, Vec<usize>)>);

impl Reasons {
    fn note(&mut self, page: usize, reason: Unread) {
        match self.0.iter_mut().find(|(known, _)| *known == reason) {
            Some((_, pages)) if pages.last() == Some(&page) => {}
            Some((_, pages)) => pages.push(page),
            None => self.0.push((reason, vec![page])),
        }
    }
}

/// Pages as readers count them: `"pages 1, 3 to 5"`.
fn named(pages: &[usize]) -> String {
    let runs = pages.chunk_by(|page, next| page + 1 == *next);
    let runs: Vec<_> = runs
        .map(|run| match run {
            [first, .., last] => format!("{} to {}", first + 1, last + 1),
            _ => run.iter().map(|page| (page + 1).to_string()).collect(),
        })
        .collect();
    format!("{} {}", if pages.len() == 1 { "page" } else { "pages" }, runs.join(", "))
}

/// Lines with an empty one between paragraphs, as paragraphs.
fn paragraphs(text: &str) -> Vec<String> {
    let lines: Vec<_> = text.lines().map(str::trim).collect();
    let blocks = lines.split(|line| line.is_empty()).filter(|block| !block.is_empty());
    blocks
        .map(|lines| {
            let mut paragraph = String::new();
            for line in lines {
                layout::append(&mut paragraph, line);
            }
            paragraph
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::{named, paragraphs};

    #[test]
    fn pages_are_named_as_readers_count_them() {
        assert_eq!(named(&[2]), "page 3");
        assert_eq!(named(&[0, 2, 3, 4, 8]), "pages 1, 3 to 5, 9");
    }

    #[test]
    fn empty_lines_part_paragraphs_and_divided_words_are_whole() {
        assert_eq!(paragraphs("One\ntwo thir-\nteen.\n\n\n Four. \n"), ["One\ntwo thirteen.", "Four."]);
    }
}
