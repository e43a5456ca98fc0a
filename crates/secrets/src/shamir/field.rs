//! GF(2^8) with the polynomial of AES, in constant time: no table, no branch and no loop that depends on a value.

/// x^8 + x^4 + x^3 + x + 1, without its highest term.
const REDUCTION: u8 = 0x1b;

/// `a` times `b`.
pub(super) fn multiply(mut a: u8, mut b: u8) -> u8 {
    let mut product = 0;
    for _ in 0..8 {
        product ^= a & (b & 1).wrapping_neg();
        a = (a << 1) ^ (REDUCTION & (a >> 7).wrapping_neg());
        b >>= 1;
    }
    product
}

/// 1 divided by `a`, as its 254th power; of 0 it is 0.
fn inverse(a: u8) -> u8 {
    // 254 = 0b1111_1110: six times square and multiply, and a square.
    let power127 = (0..6).fold(a, |power, _| multiply(multiply(power, power), a));
    multiply(power127, power127)
}

/// The polynomial whose constant coefficient is `constant`, and whose others are `rest` from the lowest, at `x` (Horner).
pub(super) fn value_at(x: u8, constant: u8, rest: &[u8]) -> u8 {
    multiply(rest.iter().rev().fold(0, |value, coefficient| multiply(value, x) ^ coefficient), x) ^ constant
}

/// How much the value at each of the places `xs`, which differ, counts in the value at `x` of the polynomial of lowest degree through
/// them (Lagrange). Places are no secret: they are the numbers of the shares.
pub(super) fn weights(x: u8, xs: &[u8]) -> Vec<u8> {
    let weight = |own: &u8| {
        let others = xs.iter().filter(|other| *other != own);
        others.fold(1, |product, other| multiply(product, multiply(x ^ other, inverse(own ^ other))))
    };
    xs.iter().map(weight).collect()
}

/// The value of that polynomial.
pub(super) fn interpolate(weights: &[u8], values: impl Iterator<Item = u8>) -> u8 {
    weights.iter().zip(values).fold(0, |sum, (weight, value)| sum ^ multiply(value, *weight))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::expect_used)] // A failing expectation fails the test.
    use super::*;

    /// Multiplication as in a textbook: polynomials over GF(2), and the remainder.
    fn slow(a: u8, b: u8) -> u8 {
        let mut product =
            (0..8).filter(|bit| b >> bit & 1 == 1).fold(0_u16, |sum, bit| sum ^ (u16::from(a) << bit));
        for bit in (8..16).rev() {
            if product >> bit & 1 == 1 {
                product ^= 0x11b << (bit - 8);
            }
        }
        u8::try_from(product).expect("a remainder of degree below 8")
    }

    #[test]
    fn products_are_those_of_the_textbook() {
        for a in 0..=255 {
            for b in 0..=255 {
                assert_eq!(multiply(a, b), slow(a, b), "{a} times {b}");
            }
        }
        assert_eq!(multiply(0x53, 0xca), 1); // FIPS 197
        assert_eq!(multiply(0x57, 0x83), 0xc1); // FIPS 197, 4.2
    }

    #[test]
    fn a_number_times_its_inverse_is_one() {
        assert!((1..=255).all(|a| multiply(a, inverse(a)) == 1));
        assert_eq!(inverse(0), 0);
    }

    #[test]
    fn a_polynomial_is_known_from_as_many_places_as_it_has_coefficients() {
        let value = |x| value_at(x, 7, &[90, 200]);
        let xs = [3, 77, 250];
        for x in 0..=255 {
            assert_eq!(interpolate(&weights(x, &xs), xs.into_iter().map(value)), value(x));
        }
    }
}
