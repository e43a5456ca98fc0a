//! Composite fonts: codes of one to four bytes that name characters of a collection (ISO 32000-1, 9.7).

use hayro_cmap::{CMap, CMapName, CidFamily, WritingMode};
use hayro_syntax::object::dict::keys::{
    CIDSYSTEMINFO, DESCENDANT_FONTS, DW, DW2, ENCODING, ORDERING, REGISTRY, W, W2,
};
use hayro_syntax::object::{Array, Dict, Object, String as PdfString};

use super::super::filters;
use super::{UNITS_PER_EM, said};
use crate::budget::Budget;
use crate::error::Result;

/// Widths of more ranges than this are not kept.
const MOST_RANGES: usize = 1 << 17;

pub(super) struct Composite {
    codes: Codes,
    /// From characters of a known collection to Unicode.
    collection: Option<CMap>,
    default_width: f64,
    /// The widths of characters, by range, in order.
    widths: Vec<Range<1>>,
    default_vertical: [f64; 2],
    /// For vertical writing: the advance, and where the origin for it is.
    verticals: Vec<Range<3>>,
}

/// How strings are cut into codes, and codes made characters.
enum Codes {
    /// Two bytes each, which are the character.
    Identity {
        vertical: bool,
    },
    Map(Box<CMap>),
}

/// Characters from `first` to `last` have these metrics.
#[derive(Debug, PartialEq)]
struct Range<const N: usize> {
    first: u32,
    last: u32,
    metrics: [f64; N],
}

impl Composite {
    pub(super) fn read(dict: &Dict<'_>, budget: &Budget) -> Result<Self> {
        let codes = codes(dict, budget)?;
        let descendant =
            dict.get::<Array<'_>>(DESCENDANT_FONTS).and_then(|all| all.iter::<Dict<'_>>().next());
        let descendant = descendant.unwrap_or_default();
        Ok(Self {
            collection: collection(&codes, &descendant),
            codes,
            default_width: descendant.get::<f64>(DW).unwrap_or(UNITS_PER_EM),
            widths: ranges(descendant.get::<Array<'_>>(W).as_ref(), budget)?,
            default_vertical: descendant.get::<[f64; 2]>(DW2).unwrap_or([880.0, -UNITS_PER_EM]),
            verticals: ranges(descendant.get::<Array<'_>>(W2).as_ref(), budget)?,
        })
    }

    pub(super) fn is_vertical(&self) -> bool {
        match &self.codes {
            Codes::Identity { vertical } => *vertical,
            Codes::Map(map) => map.metadata().writing_mode == Some(WritingMode::Vertical),
        }
    }

    pub(super) fn next_code(&self, string: &[u8]) -> Option<(u32, usize)> {
        let first = u32::from(*string.first()?);
        match &self.codes {
            Codes::Identity { .. } => match string.get(1) {
                Some(second) => Some((first << 8 | u32::from(*second), 2)),
                None => Some((first, 1)),
            },
            Codes::Map(map) => {
                let mut code = 0;
                for (byte, length) in string.iter().zip(1_u8..=4) {
                    code = code << 8 | u32::from(*byte);
                    if map.lookup_cid_code(code, length).is_some() {
                        return Some((code, length.into()));
                    }
                }
                Some((0, 1))
            }
        }
    }

    fn character(&self, code: u32) -> u32 {
        match &self.codes {
            Codes::Identity { .. } => code,
            Codes::Map(map) => (1..=4).find_map(|length| map.lookup_cid_code(code, length)).unwrap_or(0),
        }
    }

    /// What the character of a code is in its collection.
    pub(super) fn text(&self, code: u32) -> Option<Box<str>> {
        self.collection.as_ref()?.lookup_bf_string(self.character(code)).and_then(said)
    }

    /// The advance of a code and the shift of its origin, in units of the font's size.
    pub(super) fn metrics(&self, code: u32) -> (f64, (f64, f64)) {
        let character = self.character(code);
        let width = find(&self.widths, character).map_or(self.default_width, |[width]| width) / UNITS_PER_EM;
        if !self.is_vertical() {
            return (width, (0.0, 0.0));
        }
        let [height, advance] = self.default_vertical;
        let [advance, x, y] = find(&self.verticals, character).unwrap_or([advance, width * 500.0, height]);
        (advance / UNITS_PER_EM, (-x / UNITS_PER_EM, -y / UNITS_PER_EM))
    }
}

fn codes(dict: &Dict<'_>, budget: &Budget) -> Result<Codes> {
    let parse = |data: &[u8]| CMap::parse(data, hayro_cmap::load_embedded);
    let map = match dict.get::<Object<'_>>(ENCODING) {
        Some(Object::Name(name)) => match CMapName::from_bytes(&name) {
            CMapName::IdentityV => return Ok(Codes::Identity { vertical: true }),
            CMapName::IdentityH => None,
            name => hayro_cmap::load_embedded(name).and_then(parse),
        },
        Some(Object::Stream(stream)) => parse(&filters::decode(&stream, budget)?),
        _ => None,
    };
    Ok(map.map_or(Codes::Identity { vertical: false }, |map| Codes::Map(Box::new(map))))
}

/// The map of the collection that the encoding or the font names.
fn collection(codes: &Codes, descendant: &Dict<'_>) -> Option<CMap> {
    let of_codes = match codes {
        Codes::Map(map) => {
            map.metadata().character_collection.as_ref().map(|collection| collection.family.clone())
        }
        Codes::Identity { .. } => None,
    };
    let of_font = || {
        let info = descendant.get::<Dict<'_>>(CIDSYSTEMINFO)?;
        let part = |key| info.get::<PdfString<'_>>(key);
        Some(CidFamily::from_registry_ordering(&part(REGISTRY)?, &part(ORDERING)?))
    };
    let family = of_codes.filter(|family| *family != CidFamily::AdobeIdentity).or_else(of_font)?;
    let data = hayro_cmap::load_embedded(family.ucs2_cmap()?)?;
    CMap::parse(data, hayro_cmap::load_embedded)
}

/// `first [metrics…]` gives one range a character, `first last metrics` one for all.
fn ranges<const N: usize>(array: Option<&Array<'_>>, budget: &Budget) -> Result<Vec<Range<N>>> {
    let mut ranges = Vec::new();
    let mut items = array.into_iter().flat_map(Array::iter::<Object<'_>>);
    while let Some(first) = items.next() {
        budget.tick()?;
        let Some(first) = character(&first) else { continue };
        match items.next() {
            Some(Object::Array(all)) => {
                let all: Vec<f64> = all.iter::<f64>().take(MOST_RANGES).collect();
                let (all, _rest) = all.as_chunks::<N>();
                let characters = first..=u32::from(u16::MAX);
                let each =
                    characters.zip(all).map(|(at, metrics)| Range { first: at, last: at, metrics: *metrics });
                ranges.extend(each);
            }
            Some(last) => {
                let mut metrics = [0.0; N];
                for metric in &mut metrics {
                    let value = items.next().and_then(Object::into_f32);
                    *metric = value.map(f64::from).unwrap_or_default();
                }
                ranges.extend(character(&last).map(|last| Range { first, last, metrics }));
            }
            None => break,
        }
        if ranges.len() > MOST_RANGES {
            break;
        }
    }
    ranges.sort_by_key(|range| range.first);
    Ok(ranges)
}

fn character(object: &Object<'_>) -> Option<u32> {
    object.clone().into_i32().and_then(|value| u32::try_from(value).ok())
}

fn find<const N: usize>(ranges: &[Range<N>], character: u32) -> Option<[f64; N]> {
    let after = ranges.partition_point(|range| range.first <= character);
    let range = ranges.get(after.checked_sub(1)?)?;
    (range.last >= character).then_some(range.metrics)
}

#[cfg(test)]
mod tests {
    use super::{Range, find};

    #[test]
    fn a_character_has_the_metrics_of_the_range_that_it_is_in() {
        let ranges =
            [Range { first: 3, last: 3, metrics: [500.0] }, Range { first: 10, last: 20, metrics: [250.0] }];
        assert_eq!(find(&ranges, 3), Some([500.0]));
        assert_eq!(find(&ranges, 15), Some([250.0]));
        assert_eq!(find(&ranges, 2), None);
        assert_eq!(find(&ranges, 4), None);
        assert_eq!(find(&ranges, 21), None);
    }
}
