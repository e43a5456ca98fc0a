//! XML: the reader that all formats made of it share, and documents that are XML and nothing more.

mod generic;
mod reader;

pub(super) use generic::Xml;
pub(crate) use reader::{Element, Node, XmlReader, declared_encoding, push_collapsed};
