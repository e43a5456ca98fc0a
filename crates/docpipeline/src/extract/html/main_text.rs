//! The text that a page is about, apart from what surrounds it.
//!
//! Blocks are judged by where they stand (in `main` or `article`, or in navigation and the like) and by the share of their
//! characters that are links, as in Kohlschütter, Fankhauser and Nejdl, "Boilerplate detection using shallow text
//! features", 2010. When the judgement leaves hardly anything, the page was of another kind, and all of it is kept.

use super::blocks::{Block, Content};

/// Less text than this is not what a page is about.
const LEAST_CHARACTERS: usize = 200;

/// The main text of a page, or all blocks where none can be told.
pub(super) fn select(blocks: Vec<Block>) -> Vec<Block> {
    let all = total(&blocks, |_| true);
    // A header inside an article is its title; elsewhere it is the site's.
    let inside =
        |block: &Block| block.in_main && (!block.in_boilerplate || is_heading(block)) && !is_links(block);
    let around = |block: &Block| !block.in_boilerplate && !is_links(block);
    let in_main = total(&blocks, inside);
    if in_main >= LEAST_CHARACTERS.max(all / 5) {
        return blocks.into_iter().filter(inside).collect();
    }
    if total(&blocks, around) >= LEAST_CHARACTERS.min(all / 2) {
        return blocks.into_iter().filter(around).collect();
    }
    blocks
}

fn total(blocks: &[Block], wanted: impl Fn(&Block) -> bool) -> usize {
    blocks.iter().filter(|block| wanted(block)).map(|block| block.content.len()).sum()
}

fn is_heading(block: &Block) -> bool {
    matches!(block.content, Content::Heading(..))
}

/// More link than text: a menu, a list of other pages.
fn is_links(block: &Block) -> bool {
    !is_heading(block) && block.link_characters * 2 > block.content.len()
}
