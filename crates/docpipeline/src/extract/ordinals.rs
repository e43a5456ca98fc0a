//! Numbers of list items and notes as they are printed.

/// How the items of a list are counted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(in crate::extract) enum Counting {
    /// With a bullet.
    #[default]
    Bullet,
    /// Not at all.
    None,
    /// 1, 2, 3.
    Decimal,
    /// a, b, c.
    LowerLetter,
    /// A, B, C.
    UpperLetter,
    /// i, ii, iii.
    LowerRoman,
    /// I, II, III.
    UpperRoman,
}

impl Counting {
    /// The number as it is printed; empty where it is not counted.
    pub(in crate::extract) fn print(self, number: u32) -> String {
        match self {
            Self::Bullet | Self::None => String::new(),
            Self::Decimal => number.to_string(),
            Self::LowerLetter => letters(number, b'a'),
            Self::UpperLetter => letters(number, b'A'),
            Self::LowerRoman => roman(number).to_lowercase(),
            Self::UpperRoman => roman(number),
        }
    }
}

/// a to z, then aa to zz, as word processors count.
fn letters(number: u32, first: u8) -> String {
    let Some(index) = number.checked_sub(1) else { return number.to_string() };
    let letter = char::from(first + u8::try_from(index % 26).unwrap_or(0));
    // Nobody reads a marker of hundreds of letters.
    let times = usize::try_from(index / 26 + 1).unwrap_or(1);
    if times > 8 { number.to_string() } else { letter.to_string().repeat(times) }
}

fn roman(number: u32) -> String {
    const DIGITS: [(u32, &str); 13] = [
        (1000, "M"),
        (900, "CM"),
        (500, "D"),
        (400, "CD"),
        (100, "C"),
        (90, "XC"),
        (50, "L"),
        (40, "XL"),
        (10, "X"),
        (9, "IX"),
        (5, "V"),
        (4, "IV"),
        (1, "I"),
    ];
    if !(1..4000).contains(&number) {
        return number.to_string();
    }
    let mut rest = number;
    let mut text = String::new();
    for (value, digit) in DIGITS {
        while rest >= value {
            text.push_str(digit);
            rest -= value;
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::Counting;

    #[test]
    fn numbers_are_printed_as_word_processors_do() {
        assert_eq!(Counting::Decimal.print(12), "12");
        assert_eq!(Counting::LowerLetter.print(2), "b");
        assert_eq!(Counting::UpperLetter.print(28), "BB");
        assert_eq!(Counting::LowerLetter.print(0), "0");
        assert_eq!(Counting::UpperRoman.print(1994), "MCMXCIV");
        assert_eq!(Counting::LowerRoman.print(4000), "4000");
        assert_eq!(Counting::Bullet.print(3), "");
    }
}
