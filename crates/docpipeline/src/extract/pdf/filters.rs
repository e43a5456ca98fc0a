//! The filters of streams that hold text, fonts and maps (ISO 32000-1, 7.4), every byte of their output counted.

use std::borrow::Cow;

use flate2::{Decompress, FlushDecompress, Status};
use hayro_syntax::Filter;
use hayro_syntax::object::dict::keys::{DECODE_PARMS, DP};
use hayro_syntax::object::{Array, Dict, Stream};

use crate::budget::Budget;
use crate::error::Result;

/// A stream with more filters than this is made to be slow.
const MOST_FILTERS: usize = 8;

/// By how much the output of a decoder grows at a time.
const STEP_BYTES: usize = 32 << 10;

/// The decoded data of a stream; nothing for an image, and what came before the damage for a damaged one.
pub(super) fn decode<'a>(stream: &Stream<'a>, budget: &Budget) -> Result<Cow<'a, [u8]>> {
    let mut charge = |bytes| budget.tick().and_then(|()| budget.expanded(bytes));
    let Undone { data, remaining } = undo(stream, &mut charge)?;
    Ok(if remaining.is_none() { data } else { Cow::default() })
}

/// A stream after its filters of bytes.
pub(super) struct Undone<'a> {
    pub(super) data: Cow<'a, [u8]>,
    /// The filter of an image that is left, and its parameters.
    pub(super) remaining: Option<(Filter, Dict<'a>)>,
}

/// Undoes the filters of a stream up to that of an image.
pub(super) fn undo<'a>(stream: &Stream<'a>, charge: Charge<'_>) -> Result<Undone<'a>> {
    let filters = stream.filters();
    let mut data = stream.raw_data();
    for (index, filter) in filters.iter().take(MOST_FILTERS).enumerate() {
        if index == 0 && *filter == Filter::Crypt {
            continue;
        }
        let parameters = parameters(stream.dict(), index);
        let Some(coding) = Coding::of(*filter) else {
            return Ok(Undone { data, remaining: Some((*filter, parameters.unwrap_or_default())) });
        };
        let decoded = coding.decode(&data, charge)?;
        data = match parameters {
            Some(parameters) => predicted(decoded, &parameters).into(),
            None => decoded.into(),
        };
    }
    Ok(Undone { data, remaining: None })
}

fn parameters<'a>(dict: &Dict<'a>, index: usize) -> Option<Dict<'a>> {
    [DECODE_PARMS, DP].into_iter().find_map(|key| {
        let single = || dict.get::<Dict<'a>>(key).filter(|_| index == 0);
        dict.get::<Array<'a>>(key).map_or_else(single, |all| all.iter::<Dict<'a>>().nth(index))
    })
}

/// A filter whose output is bytes, not pixels.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) enum Coding {
    Flate,
    Lzw,
    RunLength,
    Ascii85,
    AsciiHex,
}

/// Told of every piece of output; its refusal ends the decoding.
pub(super) type Charge<'c> = &'c mut dyn FnMut(usize) -> Result<()>;

impl Coding {
    fn of(filter: Filter) -> Option<Self> {
        match filter {
            Filter::FlateDecode => Some(Self::Flate),
            Filter::LzwDecode => Some(Self::Lzw),
            Filter::RunLengthDecode => Some(Self::RunLength),
            Filter::Ascii85Decode => Some(Self::Ascii85),
            Filter::AsciiHexDecode => Some(Self::AsciiHex),
            _ => None,
        }
    }

    /// Decodes as far as the data is sound.
    pub(super) fn decode(self, data: &[u8], charge: Charge<'_>) -> Result<Vec<u8>> {
        match self {
            Self::Flate => inflate(data, charge),
            Self::Lzw => lzw(data, charge),
            Self::RunLength => run_length(data, charge),
            Self::Ascii85 => charged(ascii_85(data), charge),
            Self::AsciiHex => charged(ascii_hex(data), charge),
        }
    }
}

fn charged(output: Vec<u8>, charge: Charge<'_>) -> Result<Vec<u8>> {
    charge(output.len()).map(|()| output)
}

fn inflate(data: &[u8], charge: Charge<'_>) -> Result<Vec<u8>> {
    let output = inflate_as(data, true, charge)?;
    if !output.is_empty() || data.len() <= 2 {
        return Ok(output);
    }
    // Where the two bytes of the header are damaged, what follows them may be sound.
    inflate_as(data.get(2..).unwrap_or_default(), false, charge)
}

fn inflate_as(data: &[u8], with_header: bool, charge: Charge<'_>) -> Result<Vec<u8>> {
    let mut state = Decompress::new(with_header);
    let mut output = Vec::with_capacity(data.len().saturating_mul(3).min(4 * STEP_BYTES));
    loop {
        if output.len() == output.capacity() {
            output.reserve(STEP_BYTES.max(output.len()));
        }
        let (before_in, before_out) = (state.total_in(), output.len());
        let read = usize::try_from(before_in).unwrap_or(usize::MAX);
        let rest = data.get(read..).unwrap_or_default();
        let status = state.decompress_vec(rest, &mut output, FlushDecompress::None);
        charge(output.len() - before_out)?;
        let moved = state.total_in() > before_in || output.len() > before_out;
        if !(matches!(status, Ok(Status::Ok | Status::BufError)) && moved) {
            return Ok(output);
        }
    }
}

/// LZW as TIFF has it: codes of 9 to 12 bits, most significant bit first, 256 clears, 257 ends, and widths change one
/// code early.
fn lzw(data: &[u8], charge: Charge<'_>) -> Result<Vec<u8>> {
    const CLEAR: usize = 256;
    const END: usize = 257;
    // Each entry is a piece of the output: where the code before it was written, and one byte more.
    let mut entries: Vec<(usize, usize)> = Vec::with_capacity(4096);
    let mut output: Vec<u8> = Vec::new();
    let (mut bits, mut count, mut width) = (0_u32, 0_u32, 9_u32);
    let mut last: Option<(usize, usize)> = None;
    let mut charged = 0;
    for byte in data {
        bits = bits << 8 | u32::from(*byte);
        count += 8;
        if count < width {
            continue;
        }
        count -= width;
        let code = (bits >> count) as usize & ((1 << width) - 1);
        let start = output.len();
        match code {
            CLEAR => {
                entries.clear();
                width = 9;
                last = None;
                continue;
            }
            END => break,
            0..CLEAR => output.extend(u8::try_from(code)),
            _ => match entries.get(code - END - 1).copied() {
                Some((from, length)) => output.extend_from_within(from..from + length),
                // The entry in the making: the last piece and its own first byte.
                None => match last {
                    Some((from, length)) if code - END - 1 == entries.len() => {
                        output.extend_from_within(from..from + length);
                        output.extend_from_within(from..=from);
                    }
                    _ => break,
                },
            },
        }
        if let Some((from, length)) = last
            && entries.len() < 4096 - END - 1
        {
            // What follows the last piece in the output is the first byte of this one.
            entries.push((from, length + 1));
        }
        last = Some((start, output.len() - start));
        width = match entries.len() + END + 1 + usize::from(last.is_some()) {
            0..512 => 9,
            512..1024 => 10,
            1024..2048 => 11,
            _ => 12,
        };
        if output.len() - charged >= STEP_BYTES {
            charge(output.len() - charged)?;
            charged = output.len();
        }
    }
    charge(output.len() - charged)?;
    Ok(output)
}

fn run_length(data: &[u8], charge: Charge<'_>) -> Result<Vec<u8>> {
    let mut output = Vec::new();
    let mut rest = data;
    while let Some((length, tail)) = rest.split_first() {
        let length = usize::from(*length);
        rest = match length {
            0..128 => {
                let literal = tail.get(..=length).unwrap_or(tail);
                output.extend_from_slice(literal);
                tail.get(literal.len()..).unwrap_or_default()
            }
            128 => break,
            _ => {
                let Some((byte, tail)) = tail.split_first() else { break };
                output.resize(output.len() + 257 - length, *byte);
                tail
            }
        };
    }
    // At most 64 times the input: the charge may come late.
    charged(output, charge)
}

fn ascii_85(data: &[u8]) -> Vec<u8> {
    let mut output = Vec::with_capacity(data.len() / 5 * 4);
    let mut group = [0_u8; 5];
    let mut filled = 0;
    let mut write = |group: &[u8; 5], kept: usize| {
        let value =
            group.iter().fold(0_u32, |value, digit| value.wrapping_mul(85).wrapping_add((*digit).into()));
        output.extend(value.to_be_bytes().into_iter().take(kept));
    };
    for byte in data {
        match byte {
            b'!'..=b'u' => {
                if let Some(slot) = group.get_mut(filled) {
                    *slot = byte - b'!';
                }
                filled += 1;
                if filled == 5 {
                    write(&group, 4);
                    filled = 0;
                }
            }
            b'z' if filled == 0 => write(&[0; 5], 4),
            b'~' => break,
            _ => {}
        }
    }
    if filled > 1 {
        // A short group is filled up with the highest digit.
        group.iter_mut().skip(filled).for_each(|slot| *slot = 84);
        write(&group, filled - 1);
    }
    output
}

fn ascii_hex(data: &[u8]) -> Vec<u8> {
    let digits = data.iter().take_while(|byte| **byte != b'>').filter_map(|byte| hex_digit(*byte));
    let digits: Vec<u8> = digits.collect();
    digits.chunks(2).map(|pair| pair.first().unwrap_or(&0) << 4 | pair.get(1).unwrap_or(&0)).collect()
}

/// The value of a hexadecimal digit.
pub(super) fn hex_digit(byte: u8) -> Option<u8> {
    char::from(byte).to_digit(16).and_then(|digit| u8::try_from(digit).ok())
}

/// Undoes the predictor (7.4.4.4), if there is one.
fn predicted(data: Vec<u8>, parameters: &Dict<'_>) -> Vec<u8> {
    let number = |key: &[u8], default: usize| {
        parameters.get::<i32>(key).and_then(|value| usize::try_from(value).ok()).unwrap_or(default)
    };
    let predictor = number(b"Predictor", 1);
    if predictor < 2 {
        return data;
    }
    let bits = number(b"Colors", 1).saturating_mul(number(b"BitsPerComponent", 8));
    let pixel = bits.div_ceil(8).max(1);
    let row = bits.saturating_mul(number(b"Columns", 1)).div_ceil(8);
    if row == 0 || row > data.len() {
        return data;
    }
    if predictor == 2 { tiff_rows(data, pixel, row) } else { png_rows(&data, pixel, row) }
}

fn tiff_rows(mut data: Vec<u8>, pixel: usize, row: usize) -> Vec<u8> {
    for row in data.chunks_mut(row) {
        for at in pixel..row.len() {
            let left = row.get(at - pixel).copied().unwrap_or_default();
            if let Some(byte) = row.get_mut(at) {
                *byte = byte.wrapping_add(left);
            }
        }
    }
    data
}

fn png_rows(data: &[u8], pixel: usize, row: usize) -> Vec<u8> {
    let mut output: Vec<u8> = Vec::with_capacity(data.len());
    for line in data.chunks(row + 1) {
        let Some((kind, line)) = line.split_first() else { break };
        let begin = output.len();
        for (at, byte) in line.iter().enumerate() {
            let back =
                |distance: usize| output.len().checked_sub(distance).and_then(|at| output.get(at)).copied();
            let left = if at < pixel { 0 } else { back(pixel).unwrap_or_default() };
            let above = if begin == 0 { 0 } else { back(row).unwrap_or_default() };
            let corner = if at < pixel || begin == 0 { 0 } else { back(row + pixel).unwrap_or_default() };
            let guess = match kind {
                1 => left,
                2 => above,
                3 => left.midpoint(above),
                4 => paeth(left, above, corner),
                _ => 0,
            };
            output.push(byte.wrapping_add(guess));
        }
    }
    output
}

/// The neighbour nearest to the plane through all three (PNG, 9.4).
fn paeth(left: u8, above: u8, corner: u8) -> u8 {
    let estimate = i16::from(left) + i16::from(above) - i16::from(corner);
    let distance = |neighbour: u8| (estimate - i16::from(neighbour)).abs();
    let (to_left, to_above, to_corner) = (distance(left), distance(above), distance(corner));
    if to_left <= to_above && to_left <= to_corner {
        left
    } else if to_above <= to_corner {
        above
    } else {
        corner
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::indexing_slicing)] // tests
    use super::{Coding, png_rows};

    fn decoded(coding: Coding, data: &[u8]) -> Vec<u8> {
        coding.decode(data, &mut |_| Ok(())).unwrap()
    }

    #[test]
    fn the_examples_of_the_standard_decode() {
        // ISO 32000-1, 7.4.4.2.
        let lzw = [0x80, 0x0b, 0x60, 0x50, 0x22, 0x0c, 0x0c, 0x85, 0x01];
        assert_eq!(decoded(Coding::Lzw, &lzw), [45, 45, 45, 45, 45, 65, 45, 45, 45, 66]);
        assert_eq!(decoded(Coding::AsciiHex, b"48 65 6C6c 6F2>x"), b"Hello ");
        assert_eq!(decoded(Coding::Ascii85, b"87cUR\nD]i,\"Ebo80z!!~>x"), b"Hello World!\0\0\0\0\0");
        assert_eq!(decoded(Coding::RunLength, &[2, b'a', b'b', b'c', 254, b'-', 128, 9]), b"abc---");
    }

    #[test]
    fn damage_leaves_what_came_before_it() {
        use std::io::Write;
        let mut encoder = flate2::write::ZlibEncoder::new(Vec::new(), flate2::Compression::default());
        let text = "a text that is longer than its half ".repeat(50);
        encoder.write_all(text.as_bytes()).unwrap();
        let whole = encoder.finish().unwrap();
        assert_eq!(decoded(Coding::Flate, &whole), text.as_bytes());
        assert!(text.as_bytes().starts_with(&decoded(Coding::Flate, &whole[..whole.len() - 6])));
        let mut headless = whole;
        headless[0] = 0;
        assert_eq!(decoded(Coding::Flate, &headless), text.as_bytes());
    }

    #[test]
    fn rows_build_on_the_rows_above() {
        assert_eq!(png_rows(&[1, 1, 1, 1, 2, 1, 1, 1], 1, 3), [1, 2, 3, 2, 3, 4]);
        assert_eq!(png_rows(&[0, 10, 20, 4, 1, 1, 3, 1, 1], 1, 2), [10, 20, 11, 21, 6, 14]);
    }

    #[test]
    fn a_refusal_ends_the_decoding() {
        use std::io::Write;
        let mut encoder = flate2::write::ZlibEncoder::new(Vec::new(), flate2::Compression::default());
        encoder.write_all(&vec![0; 8 << 20]).unwrap();
        let bomb = encoder.finish().unwrap();
        let mut produced = 0;
        let refused = Coding::Flate.decode(&bomb, &mut |bytes| {
            produced += bytes;
            if produced > 1 << 20 { Err(crate::Error::Cancelled) } else { Ok(()) }
        });
        assert!(refused.is_err() && produced < 3 << 20);
    }
}
