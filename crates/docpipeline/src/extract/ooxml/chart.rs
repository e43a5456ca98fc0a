//! Charts: their titles, and the numbers that they show.

use crate::draft::{Draft, Table};
use crate::error::Result;
use crate::extract::xml::{Node, XmlReader};

/// What a value of a series is there for.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Part {
    Name,
    Category,
    Value,
}

/// One line, or one set of bars.
#[derive(Default)]
struct Series {
    name: String,
    categories: Vec<String>,
    values: Vec<String>,
}

/// Writes the text of a chart as paragraphs, then its series as the columns of a table.
///
/// The values are those kept with the chart, so the sheet that they come from need not be there.
pub(super) fn read_chart(xml: &str, path: &str, draft: &mut Draft<'_>) -> Result<()> {
    let mut reader = XmlReader::new(xml, path, draft.budget());
    let mut series: Vec<Series> = Vec::new();
    let mut part = None;
    let mut text = String::new();
    draft.end_block()?;
    while let Some(node) = reader.next()? {
        match node {
            Node::Start(element) => match element.name() {
                "ser" => series.push(Series::default()),
                "tx" => part = Some(Part::Name),
                "cat" | "xVal" => part = Some(Part::Category),
                "val" | "yVal" => part = Some(Part::Value),
                "t" => reader.text_into(&mut text)?,
                "v" => {
                    let value = reader.text()?;
                    draft.budget().tick()?;
                    match (series.last_mut(), part) {
                        (Some(series), Some(Part::Name)) => series.name = value,
                        (Some(series), Some(Part::Category)) => series.categories.push(value),
                        (Some(series), Some(Part::Value)) => series.values.push(value),
                        _ => {}
                    }
                }
                _ => {}
            },
            Node::End("p") if !text.is_empty() => {
                draft.paragraph(&text)?;
                text.clear();
            }
            Node::End("tx" | "cat" | "val" | "xVal" | "yVal") => part = None,
            _ => {}
        }
    }
    reader.finish(draft);
    draft.table(&table(&series, draft)?)
}

/// The categories of the first series name the rows; those of the others are the same in all but rare charts.
fn table(series: &[Series], draft: &Draft<'_>) -> Result<Table> {
    let mut table = Table::new();
    let names = series.iter().map(|series| series.name.clone());
    table.row(std::iter::once(String::new()).chain(names).collect(), draft.budget())?;
    let categories = series.first().map_or(&[][..], |first| &first.categories);
    let longest = series.iter().map(|series| series.values.len()).max().unwrap_or(0);
    for row in 0..longest.max(categories.len()) {
        let cell = |values: &[String]| values.get(row).cloned().unwrap_or_default();
        let values = series.iter().map(|series| cell(&series.values));
        table.row(std::iter::once(cell(categories)).chain(values).collect(), draft.budget())?;
    }
    Ok(table)
}
