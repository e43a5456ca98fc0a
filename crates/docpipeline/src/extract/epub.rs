//! EPUB 2 and 3.

use std::collections::{HashMap, HashSet};

use bytes::Bytes;

use crate::draft::{Draft, Source};
use crate::error::{Error, Result};
use crate::extract::Extractor;
use crate::extract::package::Package;
use crate::extract::xml::{Node, XmlReader};
use crate::format::Format;

/// Books: the chapters in reading order, each read as the XHTML that it is.
pub(in crate::extract) struct Epub;

impl Extractor for Epub {
    fn extract(&self, source: &Source<'_>, draft: &mut Draft<'_>) -> Result<()> {
        let mut package = Package::open(source.bytes.clone(), Format::Epub, draft.budget())?;
        let book = match root_file(&mut package, draft)? {
            Some(path) => {
                let xml = package.required_xml(&path, draft)?;
                Book::read(&xml, &path, draft)?
            }
            None => Book::default(),
        };
        let mut chapters = book.chapters;
        if chapters.is_empty() {
            draft.warn("the book has no reading order; its pages are read in that of the package");
            let pages = package.names().iter().filter(|name| is_page(name));
            chapters = pages.cloned().collect();
        }
        let encrypted = encrypted_members(&mut package, draft)?;
        for path in chapters {
            if encrypted.contains(&path) {
                return Err(Error::Encrypted { format: Format::Epub });
            }
            draft.budget().check_time()?;
            match package.read(&path, draft)? {
                Some(bytes) => chapter(&path, bytes.into(), draft)?,
                None => draft.warn(format!("{path} is missing")),
            }
        }
        if draft.text().trim().is_empty() {
            return Err(Error::malformed(Format::Epub, "no page of it can be read"));
        }
        Ok(())
    }
}

fn chapter(path: &str, bytes: Bytes, draft: &mut Draft<'_>) -> Result<()> {
    draft.end_block()?;
    let source = Source { name: Some(path), bytes };
    match draft.extractors().extract(Format::Html, &source, draft) {
        Err(error) if error.concerns_only_this_part() => draft.warn(format!("{path}: {error}")),
        read => read?,
    }
    draft.end_block()
}

fn is_page(name: &str) -> bool {
    let name = name.to_ascii_lowercase();
    [".xhtml", ".html", ".htm"].iter().any(|extension| name.ends_with(extension))
}

/// The file that describes the book: what the container names, or any that looks like it, for containers that are
/// missing.
fn root_file(package: &mut Package<'_>, draft: &mut Draft<'_>) -> Result<Option<String>> {
    if let Some(xml) = package.xml("META-INF/container.xml", draft)? {
        let mut reader = XmlReader::new(&xml, "META-INF/container.xml", draft.budget());
        while let Some(node) = reader.next()? {
            if let Node::Start(element) = node
                && element.name() == "rootfile"
                && let Some(path) = element.attribute("full-path")
                && package.names().iter().any(|name| *name == path)
            {
                return Ok(Some(path.into_owned()));
            }
        }
    }
    Ok(package.names().iter().find(|name| name.to_ascii_lowercase().ends_with(".opf")).cloned())
}

/// Members that only a reader with the key can read. Fonts are often scrambled, which is no matter here.
fn encrypted_members(package: &mut Package<'_>, draft: &mut Draft<'_>) -> Result<HashSet<String>> {
    let mut members = HashSet::new();
    let Some(xml) = package.xml("META-INF/encryption.xml", draft)? else { return Ok(members) };
    let mut reader = XmlReader::new(&xml, "META-INF/encryption.xml", draft.budget());
    while let Some(node) = reader.next()? {
        if let Node::Start(element) = node
            && element.name() == "CipherReference"
            && let Some(path) = element.attribute("URI")
        {
            members.insert(decode_percent(&path));
        }
    }
    Ok(members)
}

/// What the package document says.
#[derive(Default)]
struct Book {
    /// The paths of the pages in reading order.
    chapters: Vec<String>,
}

impl Book {
    fn read(xml: &str, path: &str, draft: &mut Draft<'_>) -> Result<Self> {
        let folder = path.rsplit_once('/').map_or("", |(folder, _)| folder);
        let mut items: HashMap<String, String> = HashMap::new();
        let mut book = Self::default();
        let mut authors: Vec<String> = Vec::new();
        let mut seen: HashSet<String> = HashSet::new();
        let mut reader = XmlReader::new(xml, path, draft.budget());
        while let Some(node) = reader.next()? {
            let Node::Start(element) = node else { continue };
            let metadata = draft.metadata();
            match element.name() {
                "title" => metadata.set_title(&reader.text()?),
                "creator" => authors.push(reader.text()?.trim().to_owned()),
                "date" => metadata.set_created(&reader.text()?),
                "meta" if element.attribute("property").as_deref() == Some("dcterms:modified") => {
                    metadata.set_modified(&reader.text()?);
                }
                name @ ("language" | "publisher" | "subject" | "identifier" | "rights" | "description") => {
                    metadata.set_property(name, &reader.text()?);
                }
                "item" => {
                    let navigation = element
                        .attribute("properties")
                        .is_some_and(|properties| properties.split_whitespace().any(|p| p == "nav"));
                    let media = element.attribute("media-type").unwrap_or_default();
                    let readable = media.contains("html") || media.contains("xml") && !media.contains("svg");
                    if let (Some(id), Some(href)) = (element.attribute("id"), element.attribute("href"))
                        && readable
                        && !navigation
                    {
                        items.insert(id.into_owned(), resolve(folder, &href));
                    }
                }
                "itemref" => {
                    let chapter = element.attribute("idref").and_then(|id| items.get(&*id));
                    if let Some(chapter) = chapter.filter(|chapter| !seen.contains(*chapter)) {
                        seen.insert(chapter.clone());
                        book.chapters.push(chapter.clone());
                    }
                }
                _ => {}
            }
        }
        draft.metadata().set_author(&authors.join("; "));
        reader.finish(draft);
        Ok(book)
    }
}

/// The member that a reference in `folder` means, without its fragment.
fn resolve(folder: &str, href: &str) -> String {
    let path = href.split('#').next().unwrap_or_default();
    super::package::resolve(folder, &decode_percent(path))
}

/// `%20` and the like (RFC 3986, 2.1).
fn decode_percent(path: &str) -> String {
    if !path.contains('%') {
        return path.to_owned();
    }
    let mut bytes = Vec::with_capacity(path.len());
    let mut rest = path.as_bytes();
    while let Some((first, tail)) = rest.split_first() {
        let code = tail.get(..2).filter(|_| *first == b'%').and_then(|digits| {
            let digits = std::str::from_utf8(digits).ok()?;
            u8::from_str_radix(digits, 16).ok()
        });
        bytes.push(code.unwrap_or(*first));
        rest = if code.is_some() { tail.get(2..).unwrap_or_default() } else { tail };
    }
    String::from_utf8_lossy(&bytes).into_owned()
}

#[cfg(test)]
mod tests {
    use super::resolve;

    #[test]
    fn references_are_resolved_from_their_folder() {
        assert_eq!(resolve("OEBPS/text", "../a%20b.xhtml#c"), "OEBPS/a b.xhtml");
        assert_eq!(resolve("", "a%2.html"), "a%2.html");
        assert_eq!(resolve("x", "/y/z"), "y/z");
    }
}
