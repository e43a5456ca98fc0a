//! The config of a repository.

use serde::{Deserialize, Serialize};

use super::Malformed;

/// What is true of a repository for as long as it lives.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct RepositoryConfig {
    pub(crate) version: u32,
    /// 64 hexadecimal digits.
    pub(crate) id: String,
    /// For restic's own chunker, an irreducible polynomial of degree 53.
    pub(crate) chunker_polynomial: String,
}

/// The version that is written.
pub(crate) const VERSION: u32 = 2;

impl RepositoryConfig {
    /// That it is of a version that is understood.
    pub(crate) fn check(&self) -> Result<(), Malformed> {
        match self.version {
            VERSION => Ok(()),
            1 => Err(Malformed::new(
                "version 1 has no compression; `restic migrate upgrade_repo_v2` makes it version 2",
            )),
            0 => Err(Malformed::new("it says version 0, which no program has ever written")),
            newer => {
                Err(Malformed::new(format!("version {newer} is newer than {VERSION}, the newest known here")))
            }
        }
    }
}

/// Whether a polynomial over the field of two elements has no divisors, by Rabin's test.
pub(crate) fn is_irreducible(polynomial: u64) -> bool {
    let Some(degree) = polynomial.checked_ilog2() else { return false };
    if degree == 0 {
        return false;
    }
    // x^(2^k) mod p, for k the degree divided by each of its prime factors, minus x, must share nothing with p.
    let no_common_part = prime_factors(degree)
        .into_iter()
        .all(|prime| greatest_common_divisor(polynomial, frobenius(degree / prime, polynomial) ^ 2) == 1);
    no_common_part && reduce(u128::from(frobenius(degree, polynomial) ^ 2), polynomial) == 0
}

/// x^(2^times) mod `modulus`.
fn frobenius(times: u32, modulus: u64) -> u64 {
    (0..times).fold(reduce(2, modulus), |power, _| reduce(square(power), modulus))
}

fn square(polynomial: u64) -> u128 {
    (0..64).filter(|bit| polynomial >> bit & 1 == 1).fold(0, |sum, bit| sum | 1 << (2 * bit))
}

fn reduce(mut polynomial: u128, modulus: u64) -> u64 {
    let degree = modulus.ilog2();
    while let Some(above) = polynomial.checked_ilog2()
        && above >= degree
    {
        polynomial ^= u128::from(modulus) << (above - degree);
    }
    // Of lower degree than the modulus, which fits.
    u64::try_from(polynomial).unwrap_or_default()
}

fn greatest_common_divisor(mut a: u64, mut b: u64) -> u64 {
    while b != 0 {
        (a, b) = (b, reduce(u128::from(a), b));
    }
    a
}

fn prime_factors(mut number: u32) -> Vec<u32> {
    let mut factors = Vec::new();
    let mut candidate = 2;
    while number > 1 {
        if number.is_multiple_of(candidate) {
            factors.push(candidate);
            while number.is_multiple_of(candidate) {
                number /= candidate;
            }
        }
        candidate += 1;
    }
    factors
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn other_versions_are_refused() {
        for (version, told) in [(0, Some("no program")), (1, Some("migrate")), (2, None), (3, Some("newer"))]
        {
            let config = RepositoryConfig { version, id: String::new(), chunker_polynomial: String::new() };
            match (config.check(), told) {
                (Ok(()), None) => {}
                (Err(Malformed(problem)), Some(told)) => assert!(problem.contains(told), "{problem}"),
                (checked, _) => unreachable!("version {version}: {checked:?}"),
            }
        }
    }

    #[test]
    fn polynomials_are_told_apart() {
        // x^2+x+1, x^3+x+1, x^8+x^4+x^3+x+1 (AES), and the one that restic's documentation shows.
        for irreducible in [0b111, 0b1011, 0x11b, 0x3d_a335_8b4d_c173] {
            assert!(is_irreducible(irreducible), "{irreducible:x}");
        }
        // x^2, x^2+1 = (x+1)^2, (x^2+x+1)(x^3+x+1), 1, 0.
        for reducible in [0b100, 0b101, 0b11_0001, 1, 0] {
            assert!(!is_irreducible(reducible), "{reducible:x}");
        }
    }
}
