//! The records of a presentation: atoms with data, and containers of records.

use super::super::numbers_at::{u16_at, usize_at};

/// A record; shorter than it says where what it stands in ends.
#[derive(Debug, Clone, Copy)]
pub(super) struct Record<'s> {
    pub(super) kind: u16,
    /// Tells records of one kind in one container apart.
    pub(super) instance: u16,
    pub(super) data: &'s [u8],
}

/// The kinds that are asked for ([MS-PPT] 2.13.24, [MS-ODRAW] 2.1).
pub(super) mod kind {
    pub(in super::super) const DOCUMENT: u16 = 0x03e8;
    pub(in super::super) const SLIDE: u16 = 0x03ee;
    pub(in super::super) const SLIDE_ATOM: u16 = 0x03ef;
    pub(in super::super) const NOTES: u16 = 0x03f0;
    pub(in super::super) const SLIDE_PERSIST: u16 = 0x03f3;
    pub(in super::super) const DRAWING: u16 = 0x040c;
    pub(in super::super) const PLACEHOLDER: u16 = 0x0bc3;
    pub(in super::super) const OUTLINE_REFERENCE: u16 = 0x0f9e;
    pub(in super::super) const TEXT_HEADER: u16 = 0x0f9f;
    pub(in super::super) const TEXT_CHARS: u16 = 0x0fa0;
    pub(in super::super) const TEXT_STYLE: u16 = 0x0fa1;
    pub(in super::super) const TEXT_BYTES: u16 = 0x0fa8;
    pub(in super::super) const STRING: u16 = 0x0fba;
    pub(in super::super) const SLIDE_NUMBER: u16 = 0x0fd8;
    pub(in super::super) const SLIDE_LIST: u16 = 0x0ff0;
    pub(in super::super) const USER_EDIT: u16 = 0x0ff5;
    pub(in super::super) const DATE_TIME: u16 = 0x0ff7;
    pub(in super::super) const FOOTER: u16 = 0x0ffa;
    pub(in super::super) const RTF_DATE_TIME: u16 = 0x1015;
    pub(in super::super) const TAGS: u16 = 0x1388;
    pub(in super::super) const BINARY_TAG: u16 = 0x138a;
    pub(in super::super) const BINARY_TAG_DATA: u16 = 0x138b;
    pub(in super::super) const PERSIST_DIRECTORY: u16 = 0x1772;
    pub(in super::super) const COMMENT: u16 = 0x2ee0;
    pub(in super::super) const DRAWING_CONTAINER: u16 = 0xf002;
    pub(in super::super) const GROUP: u16 = 0xf003;
    pub(in super::super) const SHAPE: u16 = 0xf004;
    pub(in super::super) const TEXT_BOX: u16 = 0xf00d;
    pub(in super::super) const CHILD_ANCHOR: u16 = 0xf00f;
    pub(in super::super) const CLIENT_DATA: u16 = 0xf011;
    pub(in super::super) const TABLE_PROPERTIES: u16 = 0xf122;
}

impl<'s> Record<'s> {
    /// The record at the beginning of these bytes.
    pub(super) fn first(bytes: &'s [u8]) -> Option<Self> {
        Records(bytes).next()
    }

    /// The records of a container.
    pub(super) fn children(self) -> Records<'s> {
        Records(self.data)
    }

    /// The first record of this kind in a container.
    pub(super) fn child(self, kind: u16) -> Option<Self> {
        self.children().find(|child| child.kind == kind)
    }
}

/// Records one after another.
#[derive(Debug, Clone)]
pub(super) struct Records<'s>(pub(super) &'s [u8]);

impl<'s> Iterator for Records<'s> {
    type Item = Record<'s>;

    fn next(&mut self) -> Option<Record<'s>> {
        let instance = u16_at(self.0, 0)? >> 4;
        let kind = u16_at(self.0, 2)?;
        let length = usize_at(self.0, 4)?;
        let body = self.0.get(8..)?;
        let (data, rest) = body.split_at(length.min(body.len()));
        self.0 = rest;
        Some(Record { kind, instance, data })
    }
}
