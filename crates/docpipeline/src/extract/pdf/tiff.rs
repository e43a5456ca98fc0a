//! TIFF files (revision 6.0) around the pixels of a picture, compressed or not.

/// What stands in the directory of a picture.
pub(super) struct Tiff {
    pub(super) width: u32,
    pub(super) height: u32,
    pub(super) bits: u16,
    pub(super) samples: u16,
    pub(super) photometric: Photometric,
    pub(super) compression: Compression,
}

/// What the numbers of pixels mean (section 3, `PhotometricInterpretation`).
pub(super) enum Photometric {
    WhiteIsZero,
    BlackIsZero,
    Rgb,
    /// The colours by number, 8 bits for each of red, green and blue.
    Palette(Vec<[u8; 3]>),
    Cmyk,
}

impl Photometric {
    /// Whether a pixel of one bit is darker when it is set.
    pub(super) fn one_is_dark(&self) -> bool {
        match self {
            Self::WhiteIsZero => true,
            Self::BlackIsZero | Self::Rgb | Self::Cmyk => false,
            Self::Palette(colours) => {
                let light = |colour: &[u8; 3]| colour.iter().map(|sample| u32::from(*sample)).sum::<u32>();
                matches!(colours.as_slice(), [zero, one, ..] if light(one) < light(zero))
            }
        }
    }
}

/// How the pixels are compressed.
pub(super) enum Compression {
    None,
    /// Fax, group 3, every row ended by a code of its own; in two dimensions or one.
    Group3 {
        two_dimensions: bool,
    },
    /// Fax, group 4.
    Group4,
}

/// The value of an entry.
enum Value {
    Short(Vec<u16>),
    Long(u32),
}

impl Tiff {
    /// The file: header, directory, long values, pixels. `None` if it would be longer than such a file can be.
    pub(super) fn file(&self, pixels: &[u8]) -> Option<Vec<u8>> {
        let entries = self.entries(u32::try_from(pixels.len()).ok()?);
        let count = u16::try_from(entries.len()).ok()?;
        let after_directory = 8 + 2 + entries.len() * 12 + 4;
        let longer: usize = entries.iter().map(|(_, value)| value.bytes().len()).filter(|len| *len > 4).sum();
        let begin = after_directory + longer;
        u32::try_from(begin + pixels.len()).ok()?;

        let mut file = Vec::with_capacity(begin + pixels.len());
        file.extend_from_slice(b"II*\0");
        file.extend(8_u32.to_le_bytes());
        file.extend(count.to_le_bytes());
        let mut values = Vec::with_capacity(longer);
        for (tag, value) in &entries {
            let mut bytes = value.bytes();
            file.extend(tag.to_le_bytes());
            file.extend(value.kind().to_le_bytes());
            file.extend(value.count().to_le_bytes());
            if *tag == STRIP_OFFSETS {
                bytes = u32::try_from(begin).ok()?.to_le_bytes().to_vec();
            } else if bytes.len() > 4 {
                let at = u32::try_from(after_directory + values.len()).ok()?;
                values.append(&mut bytes);
                bytes = at.to_le_bytes().to_vec();
            }
            bytes.resize(4, 0);
            file.append(&mut bytes);
        }
        // There is no other directory.
        file.extend(0_u32.to_le_bytes());
        file.append(&mut values);
        file.extend_from_slice(pixels);
        Some(file)
    }

    /// The entries, by tag.
    fn entries(&self, bytes: u32) -> Vec<(u16, Value)> {
        let (compression, options) = match self.compression {
            Compression::None => (1, None),
            Compression::Group3 { two_dimensions } => (3, Some((292, u32::from(two_dimensions)))),
            Compression::Group4 => (4, Some((293, 0))),
        };
        let photometric = match self.photometric {
            Photometric::WhiteIsZero => 0,
            Photometric::BlackIsZero => 1,
            Photometric::Rgb => 2,
            Photometric::Palette(_) => 3,
            Photometric::Cmyk => 5,
        };
        let mut entries = vec![
            (256, Value::Long(self.width)),
            (257, Value::Long(self.height)),
            (258, Value::Short(vec![self.bits; self.samples.into()])),
            (259, Value::Short(vec![compression])),
            (262, Value::Short(vec![photometric])),
            (STRIP_OFFSETS, Value::Long(0)),
            (277, Value::Short(vec![self.samples])),
            (278, Value::Long(self.height)),
            (279, Value::Long(bytes)),
        ];
        entries.extend(options.map(|(tag, options)| (tag, Value::Long(options))));
        if let Photometric::Palette(colours) = &self.photometric {
            // All red values, all green, all blue, in 16 bits, and as many as the pixels have numbers.
            let all = 1_usize << self.bits.min(16);
            let channel = |pick: fn(&[u8; 3]) -> u8| {
                let values = colours.iter().map(move |colour| u16::from(pick(colour)) * 257);
                values.chain(std::iter::repeat(0)).take(all)
            };
            let map = channel(|c| c[0]).chain(channel(|c| c[1])).chain(channel(|c| c[2]));
            entries.push((320, Value::Short(map.collect())));
        }
        entries
    }
}

/// The entry whose value is known when all else is laid out.
const STRIP_OFFSETS: u16 = 273;

impl Value {
    fn kind(&self) -> u16 {
        match self {
            Self::Short(_) => 3,
            Self::Long(_) => 4,
        }
    }

    fn count(&self) -> u32 {
        match self {
            Self::Short(values) => u32::try_from(values.len()).unwrap_or(u32::MAX),
            Self::Long(_) => 1,
        }
    }

    fn bytes(&self) -> Vec<u8> {
        match self {
            Self::Short(values) => values.iter().flat_map(|value| value.to_le_bytes()).collect(),
            Self::Long(value) => value.to_le_bytes().to_vec(),
        }
    }
}
