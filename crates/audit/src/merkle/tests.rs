#![allow(clippy::unwrap_used, clippy::indexing_slicing)]

use proptest::prelude::*;

use super::super::{CompactRange, leaf_hash, verify_consistency, verify_inclusion};
use super::*;

struct Stored(Vec<Hash>);

impl Nodes for Stored {
    fn at(&self, position: u64) -> Result<Hash, Error> {
        Ok(self.0[usize::try_from(position).unwrap()])
    }
}

/// The leaves of the test vectors of certificate-transparency-go and of many others since.
const LEAVES: [&str; 8] =
    ["", "00", "10", "2021", "3031", "40414243", "5051525354555657", "606162636465666768696a6b6c6d6e6f"];
const ROOTS: [&str; 9] = [
    "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855",
    "6e340b9cffb37a989ca544e6bb780a2c78901d3fb33738768511a30617afa01d",
    "fac54203e7cc696cf0dfcb42c92a1d9dbaf70ad9e621f4bd8d98662f00e3c125",
    "aeb6bcfe274b70a14fb067a5e5578264db0fa9b51af5e0ba159158f329e06e77",
    "d37ee418976dd95753c1c73862b9398fa2a2cf9b4ff0fdfe8b30cd95209614b7",
    "4e3bbb1f7b478dcfe71fb631631519a3bca12c9aefca1612bfce4c13a86264d4",
    "76e67dadbcdf1e10e1b74ddc608abd2f98dfb16fbce75277b5232a127f2087ef",
    "ddb89be403809e325750d3d263cd78929c2942b7942a34b77e122c9594a74c8c",
    "5dc9da79a70659a9ad559cb701ded9a2ab9d823aad2f4960cfe370eff4604328",
];

fn leaves() -> Vec<Vec<u8>> {
    LEAVES.iter().map(|hex| data_encoding::HEXLOWER.decode(hex.as_bytes()).unwrap()).collect()
}

fn grown(leaves: impl IntoIterator<Item = Vec<u8>>) -> (Stored, Vec<CompactRange>) {
    let (mut range, mut stored) = (CompactRange::default(), Vec::new());
    let mut all = vec![range.clone()];
    for leaf in leaves {
        range.push_into(leaf_hash(&leaf), |node| stored.push(*node));
        all.push(range.clone());
    }
    (Stored(stored), all)
}

/// The definition of RFC 6962, section 2.1, word for word.
fn by_definition(leaves: &[Vec<u8>]) -> Hash {
    match leaves {
        [] => Hash::of(&[]),
        [leaf] => leaf_hash(leaf),
        more => {
            let mut k = 1;
            while k * 2 < more.len() {
                k *= 2;
            }
            node_hash(&by_definition(&more[..k]), &by_definition(&more[k..]))
        }
    }
}

/// `PATH(m, D[n])` of the same section.
fn path(m: usize, leaves: &[Vec<u8>]) -> Vec<Hash> {
    if leaves.len() <= 1 {
        return Vec::new();
    }
    let mut k = 1;
    while k * 2 < leaves.len() {
        k *= 2;
    }
    let (mut proof, last) = if m < k {
        (path(m, &leaves[..k]), by_definition(&leaves[k..]))
    } else {
        (path(m - k, &leaves[k..]), by_definition(&leaves[..k]))
    };
    proof.push(last);
    proof
}

/// `SUBPROOF(m, D[n], b)`.
fn subproof(m: usize, leaves: &[Vec<u8>], whole: bool) -> Vec<Hash> {
    if m == leaves.len() {
        return if whole { Vec::new() } else { vec![by_definition(leaves)] };
    }
    let mut k = 1;
    while k * 2 < leaves.len() {
        k *= 2;
    }
    let (mut proof, last) = if m <= k {
        (subproof(m, &leaves[..k], whole), by_definition(&leaves[k..]))
    } else {
        (subproof(m - k, &leaves[k..], false), by_definition(&leaves[..k]))
    };
    proof.push(last);
    proof
}

#[test]
fn roots_are_those_of_the_known_vectors() {
    let (stored, ranges) = grown(leaves());
    for (size, root) in ROOTS.iter().enumerate() {
        assert_eq!(ranges[size].root().to_string(), *root, "size {size}");
        assert_eq!(root_at(&stored, size as u64).unwrap().to_string(), *root, "size {size}");
    }
}

#[test]
fn proofs_are_those_of_the_known_vectors() {
    let (stored, ranges) = grown(leaves());
    let shown = |proof: Vec<Hash>| proof.iter().map(ToString::to_string).collect::<Vec<_>>();
    let root = ranges[8].root();
    let proof = inclusion(&stored, 5, 8).unwrap();
    verify_inclusion(&leaf_hash(&leaves()[5]), 5, 8, &proof, &root).unwrap();
    assert_eq!(
        shown(proof),
        [
            "bc1a0643b12e4d2d7c77918f44e0f4f79a838b6cf9ec5b5c283e1f4d88599e6b",
            "ca854ea128ed050b41b35ffc1b87b8eb2bde461e9e3b5596ece6b9d5975a0ae0",
            "d37ee418976dd95753c1c73862b9398fa2a2cf9b4ff0fdfe8b30cd95209614b7",
        ]
    );
    let proof = consistency(&stored, 6, 8).unwrap();
    verify_consistency(6, &ranges[6].root(), 8, &root, &proof).unwrap();
    assert_eq!(
        shown(proof),
        [
            "0ebc5d3437fbe2db158b9f126a1d118e308181031d0a949f8dededebc558ef6a",
            "ca854ea128ed050b41b35ffc1b87b8eb2bde461e9e3b5596ece6b9d5975a0ae0",
            "d37ee418976dd95753c1c73862b9398fa2a2cf9b4ff0fdfe8b30cd95209614b7",
        ]
    );
}

#[test]
fn every_proof_of_small_trees_is_as_defined_and_no_other_holds() {
    let leaves: Vec<Vec<u8>> = (0..40_u8).map(|n| vec![n]).collect();
    let (stored, ranges) = grown(leaves.clone());
    for size in 1..=40_usize {
        let (size64, root) = (size as u64, ranges[size].root());
        assert_eq!(root, by_definition(&leaves[..size]));
        for index in 0..size {
            let proof = inclusion(&stored, index as u64, size64).unwrap();
            assert_eq!(proof, path(index, &leaves[..size]));
            let leaf = leaf_hash(&leaves[index]);
            verify_inclusion(&leaf, index as u64, size64, &proof, &root).unwrap();
            for other in (0..size + 2).filter(|other| *other != index) {
                assert!(verify_inclusion(&leaf, other as u64, size64, &proof, &root).is_err());
            }
            let longer = [proof.clone(), vec![leaf]].concat();
            assert!(verify_inclusion(&leaf, index as u64, size64, &longer, &root).is_err());
        }
        for (old, range) in ranges.iter().enumerate().take(size + 1) {
            let (old64, old_root) = (old as u64, range.root());
            let proof = consistency(&stored, old64, size64).unwrap();
            if old > 0 {
                assert_eq!(proof, subproof(old, &leaves[..size], true));
            }
            verify_consistency(old64, &old_root, size64, &root, &proof).unwrap();
            let another = leaf_hash(b"another");
            assert!(verify_consistency(old64, &another, size64, &root, &proof).is_err());
            if old != size && old != 0 {
                assert!(verify_consistency(old64, &old_root, size64, &another, &proof).is_err());
                assert!(verify_consistency(old64, &old_root, size64, &root, &proof[1..]).is_err());
            }
        }
    }
}

proptest! {
    #[test]
    fn checking_any_proof_answers(
        numbers in any::<[u64; 4]>(),
        small in 0_u64..70,
        hashes in prop::collection::vec(any::<[u8; 32]>(), 0..70),
    ) {
        let proof: Vec<Hash> = hashes.into_iter().map(Hash).collect();
        let hash = leaf_hash(b"x");
        for (a, b) in [(numbers[0], numbers[1]), (small, numbers[2]), (numbers[3], small), (small, u64::MAX)] {
            let _ = verify_inclusion(&hash, a, b, &proof, &hash);
            let _ = verify_consistency(a, &hash, b, &hash, &proof);
        }
    }
}
