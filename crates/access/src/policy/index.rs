//! Which rules are about a permission: a tree of segments.

use super::permission::{Pattern, Permission};

/// Rules by the pattern that they are about. Names are looked up by halving, so no choice of names makes it slow.
#[derive(Debug, Clone, Default)]
pub(super) struct Index {
    root: Node,
}

#[derive(Debug, Clone, Default)]
struct Node {
    /// By segment, in order.
    named: Vec<(Box<str>, Node)>,
    /// After `*`.
    any: Option<Box<Node>>,
    /// Rules that end here.
    here: Vec<u32>,
    /// Rules that end in `**` after this.
    rest: Vec<u32>,
}

impl Index {
    pub(super) fn insert(&mut self, pattern: &Pattern, rule: u32) {
        let mut node = &mut self.root;
        for segment in pattern.segments() {
            node = match segment {
                "**" => {
                    node.rest.push(rule);
                    return;
                }
                "*" => node.any.get_or_insert_default(),
                segment => node.named(segment),
            };
        }
        node.here.push(rule);
    }

    /// Shows `visit` all rules about `permission`, in no certain order. At most 8 segments: at most 2^8 nodes.
    pub(super) fn about(&self, permission: &Permission, visit: &mut impl FnMut(u32)) {
        self.root.about(permission.segments(), visit);
    }
}

impl Node {
    fn named(&mut self, segment: &str) -> &mut Self {
        let place = match self.named.binary_search_by(|(name, _)| (**name).cmp(segment)) {
            Ok(place) => place,
            Err(place) => {
                self.named.insert(place, (segment.into(), Self::default()));
                place
            }
        };
        #[allow(clippy::indexing_slicing, reason = "it was found, or put there just now")]
        &mut self.named[place].1
    }

    fn about<'s>(&self, mut segments: impl Iterator<Item = &'s str> + Clone, visit: &mut impl FnMut(u32)) {
        let Some(segment) = segments.next() else {
            self.here.iter().for_each(|rule| visit(*rule));
            return;
        };
        self.rest.iter().for_each(|rule| visit(*rule));
        if let Some(any) = &self.any {
            any.about(segments.clone(), visit);
        }
        if let Ok(place) = self.named.binary_search_by(|(name, _)| (**name).cmp(segment))
            && let Some((_, node)) = self.named.get(place)
        {
            node.about(segments, visit);
        }
    }
}
