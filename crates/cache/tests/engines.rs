//! Every engine keeps the contract.
#![allow(missing_docs)]

use buttress_cache::contract;
use buttress_cache::engine::{Duel, Lru, Moka, QuickCache};

#[test]
fn duel() {
    contract::holds::<Duel<u64, contract::Item>>();
}

#[test]
fn quick_cache() {
    contract::holds::<QuickCache<u64, contract::Item>>();
}

#[test]
fn moka() {
    contract::holds::<Moka<u64, contract::Item>>();
}

#[test]
fn lru() {
    contract::holds::<Lru<u64, contract::Item>>();
}
