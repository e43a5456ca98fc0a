//! The pictures of a page (ISO 32000-1, 8.9) as files for OCR. Their coding is not undone here: JPEG and JPEG 2000 streams
//! are files as they stand, and fax codes become TIFF files, as bare pixels do.

use std::borrow::Cow;

use hayro_font::kurbo::Affine;
use hayro_syntax::Filter;
use hayro_syntax::object::dict::keys::{
    BITS_PER_COMPONENT, BLACK_IS_1, COLORSPACE, COLUMNS, DECODE, ENCODED_BYTE_ALIGN, HEIGHT, IMAGE_MASK, K,
    N, WIDTH,
};
use hayro_syntax::object::{Array, Name, Object, Stream};
use hayro_syntax::page::Rotation;

use super::filters::{self, Undone};
use super::tiff::{Compression, Photometric, Tiff};
use crate::budget::Budget;
use crate::error::{Error, Limit};
use crate::ocr::{self, Unread};

/// A picture with a shorter side than this, in pixels, is a rule, a dot or a logo.
const LEAST_SIDE: u32 = 24;

/// The resolutions that tesseract believes.
const PIXELS_PER_INCH: (f64, f64) = (70.0, 2400.0);

/// A picture, and where a page shows it.
pub(super) struct Picture<'a> {
    stream: Stream<'a>,
    width: u32,
    height: u32,
    /// From the unit square to the page.
    placed: Affine,
}

impl<'a> Picture<'a> {
    /// The picture, unless it is too small to hold text.
    pub(super) fn new(stream: Stream<'a>, placed: Affine) -> Option<Self> {
        let side = |key: &[u8]| stream.dict().get::<u32>(key).filter(|side| *side >= LEAST_SIDE);
        let (width, height) = (side(WIDTH)?, side(HEIGHT)?);
        Some(Self { stream, width, height, placed })
    }

    /// The picture as a file, and how it is seen on a page that is turned by `rotation`.
    pub(super) fn for_ocr(&self, rotation: Rotation, budget: &Budget) -> Result<ocr::Picture<'a>, Unread> {
        let [right_x, right_y, up_x, up_y, ..] = self.placed.as_coeffs();
        let (width, height) = (right_x.hypot(right_y), up_x.hypot(up_y));
        let (right, up) = match rotation {
            Rotation::None => (right_x, up_y),
            Rotation::Horizontal => (right_y, -up_x),
            Rotation::Flipped => (-right_x, -up_y),
            Rotation::FlippedHorizontal => (-right_y, up_x),
        };
        let (least, most) = PIXELS_PER_INCH;
        // The greater of the least and what is not a number is the least.
        let pixels_per_inch = (f64::from(self.width) * 72.0 / width).max(least).min(most);
        Ok(ocr::Picture {
            file: self.file(budget)?,
            #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss)] // It is 70 to 2400.
            pixels_per_inch: pixels_per_inch as u32,
            upright: right > 0.9 * width && up > 0.9 * height,
        })
    }

    fn file(&self, budget: &Budget) -> Result<Cow<'a, [u8]>, Unread> {
        match self.stream.filters().last() {
            Some(Filter::DctDecode | Filter::JpxDecode) => Ok(self.undone(budget.expandable(), budget)?.data),
            Some(Filter::CcittFaxDecode) => self.fax(budget),
            Some(Filter::Jbig2Decode) => Err(unsuited("it is a JBIG2 picture, and these are not read")),
            _ => self.pixels(budget),
        }
    }

    /// The stream after its filters of bytes, of which at most `most` may come out.
    fn undone(&self, most: u64, budget: &Budget) -> Result<Undone<'a>, Unread> {
        let mut produced = 0_u64;
        let mut charge = |bytes: usize| {
            budget.tick()?;
            produced = produced.saturating_add(bytes as u64);
            let over = Error::OverLimit { limit: Limit::ExpandedBytes, max: most };
            if produced > most { Err(over) } else { Ok(()) }
        };
        let undone = filters::undo(&self.stream, &mut charge);
        budget.expanded(usize::try_from(produced.min(most)).unwrap_or(usize::MAX))?;
        undone.map_err(|error| match error {
            Error::OverLimit { .. } => self.too_large(),
            error => Unread::Ended(error),
        })
    }

    fn too_large(&self) -> Unread {
        let (width, height) = (self.width, self.height);
        unsuited(format!(
            "it is larger than limits.expanded_bytes allows, {width} x {height} pixels by its own account"
        ))
    }

    /// Fax codes (7.4.6), in a TIFF file.
    fn fax(&self, budget: &Budget) -> Result<Cow<'a, [u8]>, Unread> {
        let Undone { data, remaining } = self.undone(budget.expandable(), budget)?;
        let parameters = remaining.map(|(_, parameters)| parameters).unwrap_or_default();
        let flag = |key: &[u8]| parameters.get::<bool>(key).unwrap_or(false);
        if flag(ENCODED_BYTE_ALIGN) {
            return Err(unsuited("it is a fax whose rows are aligned to bytes, and these are not read"));
        }
        let (_, colours) = self.colours(1, budget)?;
        let black_is_dark = flag(BLACK_IS_1) == colours.one_is_dark();
        let compression = match parameters.get::<i32>(K).unwrap_or(0) {
            ..0 => Compression::Group4,
            k => Compression::Group3 { two_dimensions: k > 0 },
        };
        let tiff = Tiff {
            width: parameters.get::<u32>(COLUMNS).unwrap_or(1728),
            height: self.height,
            bits: 1,
            samples: 1,
            photometric: if black_is_dark { Photometric::WhiteIsZero } else { Photometric::BlackIsZero },
            compression,
        };
        tiff.file(&data).map(Cow::Owned).ok_or_else(|| self.too_large())
    }

    /// Pixels that no coding of pictures is left of, in a TIFF file.
    fn pixels(&self, budget: &Budget) -> Result<Cow<'a, [u8]>, Unread> {
        let is_mask = self.stream.dict().get::<bool>(IMAGE_MASK).unwrap_or(false);
        let bits = self.stream.dict().get::<u16>(BITS_PER_COMPONENT).unwrap_or(8);
        let bits = if is_mask { 1 } else { bits };
        if !matches!(bits, 1 | 2 | 4 | 8 | 16) {
            return Err(unsuited(format!("its pixels are of {bits} bits, and 1, 2, 4, 8 and 16 are read")));
        }
        let (samples, photometric) = self.colours(bits, budget)?;
        let row = (u64::from(self.width) * u64::from(samples) * u64::from(bits)).div_ceil(8);
        let all = row * u64::from(self.height);
        let left = budget.expandable();
        if all > left {
            return Err(self.too_large());
        }
        // Twice: a filter before the last one has its own output.
        let Undone { data, remaining } = self.undone(left.min(2 * all + (64 << 10)), budget)?;
        if remaining.is_some() {
            return Err(unsuited("its filters are not in an order that is read"));
        }
        // A damaged stream has fewer rows.
        let height = (data.len() as u64 / row).min(u64::from(self.height));
        let pixels = usize::try_from(row * height).ok().and_then(|end| data.get(..end));
        let height = u32::try_from(height).ok().filter(|height| *height > 0);
        let (Some(pixels), Some(height)) = (pixels, height) else {
            return Err(unsuited("it is damaged: its stream ends within its first row"));
        };
        let tiff =
            Tiff { width: self.width, height, bits, samples, photometric, compression: Compression::None };
        tiff.file(pixels).map(Cow::Owned).ok_or_else(|| self.too_large())
    }

    /// How many samples a pixel has, and what they mean.
    fn colours(&self, bits: u16, budget: &Budget) -> Result<(u16, Photometric), Unread> {
        let unknown = || unsuited("its colour space is not read");
        let Some(space) = self.stream.dict().get::<Object<'_>>(COLORSPACE) else {
            // A stencil has none: what it paints is taken to be dark.
            return Ok((
                1,
                if self.is_inverted() { Photometric::WhiteIsZero } else { Photometric::BlackIsZero },
            ));
        };
        if let Object::Array(array) = &space {
            let mut items = array.flex_iter();
            let family = items.next::<Name<'_>>();
            if matches!(family.as_deref(), Some(b"Indexed" | b"I")) {
                let base =
                    items.next::<Object<'_>>().and_then(|base| Space::of(&base)).ok_or_else(unknown)?;
                let highest = items.next::<u16>().ok_or_else(unknown)?.min(255);
                let table = match items.next::<Object<'_>>().ok_or_else(unknown)? {
                    Object::String(string) => string.to_vec(),
                    Object::Stream(stream) => filters::decode(&stream, budget)?.into_owned(),
                    _ => return Err(unknown()),
                };
                let mut colours: Vec<_> = table
                    .chunks(base.samples().into())
                    .map(|c| base.rgb(c))
                    .take(usize::from(highest) + 1)
                    .collect();
                if bits == 1 && self.is_inverted() {
                    colours.reverse();
                }
                return Ok((1, Photometric::Palette(colours)));
            }
        }
        let space = Space::of(&space).ok_or_else(unknown)?;
        let photometric = match (space, self.is_inverted()) {
            (Space::Gray, false) | (Space::Ink, true) => Photometric::BlackIsZero,
            (Space::Gray, true) | (Space::Ink, false) => Photometric::WhiteIsZero,
            (Space::Rgb, _) => Photometric::Rgb,
            (Space::Cmyk, _) => Photometric::Cmyk,
        };
        Ok((space.samples(), photometric))
    }

    /// Whether the samples count downwards (8.9.5.2).
    fn is_inverted(&self) -> bool {
        let mut bounds =
            self.stream.dict().get::<Array<'_>>(DECODE).into_iter().flat_map(|array| array.iter::<f64>());
        matches!((bounds.next(), bounds.next()), (Some(low), Some(high)) if low > high)
    }
}

fn unsuited(problem: impl Into<String>) -> Unread {
    Unread::Unsuited(problem.into())
}

/// A colour space whose samples are colours, not numbers of colours (8.6).
#[derive(Clone, Copy)]
enum Space {
    Gray,
    Rgb,
    Cmyk,
    /// One ink, of which more is darker.
    Ink,
}

impl Space {
    fn of(space: &Object<'_>) -> Option<Self> {
        let named = |name: &[u8]| match name {
            b"DeviceGray" | b"G" | b"CalGray" => Some(Self::Gray),
            b"DeviceRGB" | b"RGB" | b"CalRGB" => Some(Self::Rgb),
            b"DeviceCMYK" | b"CMYK" => Some(Self::Cmyk),
            b"Separation" => Some(Self::Ink),
            _ => None,
        };
        let Object::Array(array) = space else {
            let Object::Name(name) = space else { return None };
            return named(name);
        };
        let mut items = array.flex_iter();
        let family = items.next::<Name<'_>>()?;
        if *family != *b"ICCBased" {
            return named(&family);
        }
        match items.next::<Stream<'_>>()?.dict().get::<i32>(N)? {
            1 => Some(Self::Gray),
            3 => Some(Self::Rgb),
            4 => Some(Self::Cmyk),
            _ => None,
        }
    }

    fn samples(self) -> u16 {
        match self {
            Self::Gray | Self::Ink => 1,
            Self::Rgb => 3,
            Self::Cmyk => 4,
        }
    }

    /// A colour of 8-bit samples; those that are missing are zero.
    fn rgb(self, samples: &[u8]) -> [u8; 3] {
        let sample = |at: usize| samples.get(at).copied().unwrap_or_default();
        match self {
            Self::Gray => [sample(0); 3],
            Self::Ink => [255 - sample(0); 3],
            Self::Rgb => [sample(0), sample(1), sample(2)],
            Self::Cmyk => [0, 1, 2].map(|ink| 255_u8.saturating_sub(sample(ink)).saturating_sub(sample(3))),
        }
    }
}
