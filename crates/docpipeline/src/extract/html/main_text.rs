//! The text that a page is about, apart from what surrounds it.
//!
//! Blocks are judged by where they stand (in `main` or `article`, or in navigation and the like), by the share of their
//! characters that are links, and by their neighbours, as in Kohlschütter, Fankhauser and Nejdl, "Boilerplate detection
//! using shallow text features", 2010. When the judgement leaves hardly anything, the page was of another kind (a table
//! of contents, say), and more of it is kept.

use super::blocks::{Block, Content};

/// Less text than this is not what a page is about.
const LEAST_CHARACTERS: usize = 200;

/// A block of this length without links is text for sure.
const PROSE: usize = 60;

/// More blocks of links than these, one after another, are no aside in a text.
const LONGEST_ASIDE: usize = 3;

/// The main text of a page, or all blocks where none can be told.
pub(super) fn select(blocks: Vec<Block>) -> Vec<Block> {
    let linked = navigation(&blocks);
    let judged: Vec<(Block, bool)> = blocks.into_iter().zip(linked).collect();
    let all = total(&judged, |_, _| true);
    // A header inside an article is its title; elsewhere it is the site's.
    let inside =
        |block: &Block, links: bool| block.in_main && (!block.in_boilerplate || is_heading(block)) && !links;
    let around = |block: &Block, links: bool| !block.in_boilerplate && !links;
    let with_links = |block: &Block, _: bool| !block.in_boilerplate;
    if total(&judged, inside) >= LEAST_CHARACTERS.max(all / 5) {
        return keep(judged, inside);
    }
    let (text, more) = (total(&judged, around), total(&judged, with_links));
    let is_list_of_links = text < more / 8 || text < (more / 3).min(5 * LEAST_CHARACTERS);
    if text >= LEAST_CHARACTERS.min(all / 2) && !is_list_of_links {
        return keep(judged, around);
    }
    if more >= LEAST_CHARACTERS.min(all / 2) {
        return keep(judged, with_links);
    }
    keep(judged, |_, _| true)
}

fn keep(judged: Vec<(Block, bool)>, wanted: impl Fn(&Block, bool) -> bool) -> Vec<Block> {
    let kept = judged.into_iter().filter(|(block, links)| wanted(block, *links));
    kept.map(|(block, _)| block).collect()
}

fn total(judged: &[(Block, bool)], wanted: impl Fn(&Block, bool) -> bool) -> usize {
    let kept = judged.iter().filter(|(block, links)| wanted(block, *links));
    kept.map(|(block, _)| block.content.len()).sum()
}

fn is_heading(block: &Block) -> bool {
    matches!(block.content, Content::Heading(..))
}

/// For each block, whether it is there to lead elsewhere: more link than text, and not an aside in a text.
fn navigation(blocks: &[Block]) -> Vec<bool> {
    let links: Vec<bool> = blocks.iter().map(is_links).collect();
    let mut navigation = Vec::with_capacity(blocks.len());
    let mut after_prose = false;
    for run in links.chunk_by(|a, b| a == b) {
        let start = navigation.len();
        let is_link_run = run.first() == Some(&true);
        let text_follows = start + run.len() < blocks.len();
        let aside = is_link_run && after_prose && text_follows && run.len() <= LONGEST_ASIDE;
        navigation.extend(run.iter().map(|_| is_link_run && !aside));
        if let Some(last) = blocks.get(..navigation.len()).and_then(<[Block]>::last) {
            after_prose = aside || !is_link_run && !is_heading(last) && last.content.len() >= PROSE;
        }
    }
    navigation
}

/// More link than text.
fn is_links(block: &Block) -> bool {
    !is_heading(block) && block.link_characters * 2 > block.content.len()
}
