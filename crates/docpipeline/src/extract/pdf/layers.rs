//! Optional content (ISO 32000-1, 8.11): layers that are switched off are not read.

use std::collections::HashSet;

use hayro_syntax::object::dict::keys::{BASE_STATE, D, OCGS, OCPROPERTIES, OFF, ON, P};
use hayro_syntax::object::{Array, Dict, Name, ObjectIdentifier};
use hayro_syntax::xref::XRef;

/// The layers that the document shows with some switched off.
#[derive(Debug, Default)]
pub(super) struct Layers {
    off: HashSet<ObjectIdentifier>,
}

impl Layers {
    pub(super) fn read(xref: &XRef) -> Self {
        let catalog = xref.get::<Dict<'_>>(xref.root_id()).unwrap_or_default();
        let properties = catalog.get::<Dict<'_>>(OCPROPERTIES).unwrap_or_default();
        let config = properties.get::<Dict<'_>>(D).unwrap_or_default();
        let mut off = HashSet::new();
        if config.get::<Name<'_>>(BASE_STATE).is_some_and(|state| *state == *OFF) {
            off.extend(groups(&properties, OCGS));
            for group in groups(&config, ON) {
                off.remove(&group);
            }
        }
        off.extend(groups(&config, OFF));
        Self { off }
    }

    /// Whether the content that names the entry `key` of `owner` as its group or membership is to be seen.
    pub(super) fn shows(&self, owner: &Dict<'_>, key: &[u8]) -> bool {
        if self.off.is_empty() {
            return true;
        }
        let is_off = |group: &ObjectIdentifier| self.off.contains(group);
        let membership = owner.get::<Dict<'_>>(key).unwrap_or_default();
        let members: Vec<_> = match membership.get_ref(OCGS) {
            Some(one) if membership.get::<Array<'_>>(OCGS).is_none() => vec![one.into()],
            _ => groups(&membership, OCGS).collect(),
        };
        if members.is_empty() {
            return !owner.get_ref(key).is_some_and(|group| is_off(&group.into()));
        }
        match membership.get::<Name<'_>>(P).as_deref() {
            Some(b"AllOn") => !members.iter().any(is_off),
            Some(b"AnyOff") => members.iter().any(is_off),
            Some(b"AllOff") => members.iter().all(is_off),
            _ => !members.iter().all(is_off),
        }
    }
}

fn groups(dict: &Dict<'_>, key: &[u8]) -> impl Iterator<Item = ObjectIdentifier> {
    let array = dict.get::<Array<'_>>(key).unwrap_or_default();
    let groups: Vec<_> = array.raw_iter().filter_map(|item| item.as_obj_ref()).map(Into::into).collect();
    groups.into_iter()
}
