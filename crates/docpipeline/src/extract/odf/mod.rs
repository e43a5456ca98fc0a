//! `OpenDocument` (ISO/IEC 26300): text, spreadsheets and presentations, in packages or as flat XML.

mod body;
mod repeated;
mod styles;
mod table;

use crate::charset::decode;
use crate::draft::{Draft, Source};
use crate::error::{Error, Result};
use crate::extract::Extractor;
use crate::extract::package::Package;
use crate::extract::xml::{Node, XmlReader, declared_encoding};
use crate::format::Format;
use body::Body;
use repeated::read_repeated;
use styles::Styles;

/// `OpenDocument` of one of its three kinds: they share their elements, so one reader reads them all.
pub(in crate::extract) struct Odf(pub(in crate::extract) Format);

impl Extractor for Odf {
    fn extract(&self, source: &Source<'_>, draft: &mut Draft<'_>) -> Result<()> {
        if !source.bytes.starts_with(b"PK") {
            let declared = declared_encoding(&source.bytes);
            let (text, _) = decode(&source.bytes, declared.as_deref(), draft.budget())?;
            let styles = Styles::read(&text, "the document", draft.budget())?;
            metadata(&text, "the document", draft)?;
            return Body::new(self.0, styles).read(&text, "the document", draft);
        }
        let mut package = Package::open(source.bytes.clone(), self.0, draft.budget())?;
        if let Some(manifest) = package.xml("META-INF/manifest.xml", draft)?
            && manifest.contains("encryption-data")
        {
            return Err(Error::Encrypted { format: self.0 });
        }
        if let Some(xml) = package.xml("meta.xml", draft)? {
            metadata(&xml, "meta.xml", draft)?;
        }
        let content = package.required_xml("content.xml", draft)?;
        let mut styles = Styles::read(&content, "content.xml", draft.budget())?;
        if self.0 == Format::Odt {
            let common = package.xml("styles.xml", draft)?.unwrap_or_default();
            styles.extend(Styles::read(&common, "styles.xml", draft.budget())?);
            read_repeated(&common, "header", draft)?;
            Body::new(self.0, styles).read(&content, "content.xml", draft)?;
            read_repeated(&common, "footer", draft)?;
        } else {
            Body::new(self.0, styles).read(&content, "content.xml", draft)?;
        }
        read_objects(&mut package, draft)
    }
}

/// Charts and other objects that stand in the document as documents of their own.
fn read_objects(package: &mut Package<'_>, draft: &mut Draft<'_>) -> Result<()> {
    let is_object = |name: &&String| name.starts_with("Object ") && name.ends_with("/content.xml");
    let objects: Vec<String> = package.names().iter().filter(is_object).cloned().collect();
    for path in objects {
        let Some(xml) = package.xml(&path, draft)? else { continue };
        draft.end_block()?;
        match Body::new(Format::Odt, Styles::default()).read(&xml, &path, draft) {
            Err(error) if error.concerns_only_this_part() => draft.warn(format!("{path}: {error}")),
            read => read?,
        }
    }
    Ok(())
}

/// Title, author, dates and the like from `office:meta`, wherever it stands.
fn metadata(xml: &str, part: &str, draft: &mut Draft<'_>) -> Result<()> {
    let mut reader = XmlReader::new(xml, part, draft.budget());
    let mut inside = false;
    let mut authors: (String, String) = Default::default();
    while let Some(node) = reader.next()? {
        let element = match node {
            Node::Start(element) if element.name() == "meta" => {
                inside = true;
                continue;
            }
            Node::Start(element) if inside => element,
            Node::End("meta") => break,
            _ => continue,
        };
        let metadata = draft.metadata();
        match element.name() {
            "document-statistic" => {
                if let Some(pages) = element.number("page-count") {
                    metadata.pages = Some(pages);
                }
            }
            "title" => metadata.set_title(&reader.text()?),
            "initial-creator" => authors.0 = reader.text()?,
            "creator" => authors.1 = reader.text()?,
            "creation-date" => metadata.set_created(&reader.text()?),
            "date" => metadata.set_modified(&reader.text()?),
            "generator" => metadata.set_property("producer", &reader.text()?),
            "keyword" => {
                let keyword = reader.text()?;
                let all = match metadata.properties.remove("keywords") {
                    Some(others) => format!("{others}, {keyword}"),
                    None => keyword,
                };
                metadata.set_property("keywords", &all);
            }
            name @ ("subject" | "description") => metadata.set_property(name, &reader.text()?),
            _ => {}
        }
    }
    // The one who wrote it, or else the one who saved it last.
    draft.metadata().set_author(&authors.0);
    draft.metadata().set_author(&authors.1);
    Ok(())
}
