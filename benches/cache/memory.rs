//! Prints how many bytes each cache takes for one of a million entries of `u64` under `u64`, in a room for as many:
//! `cargo run --release -p buttress-benches --example cache_memory`.

#![allow(clippy::unwrap_used, clippy::print_stdout, missing_docs)] // what it is for is to print

mod subjects;

use buttress_cache::EngineKind;
use subjects::Subject;

const ENTRIES: u64 = 1_000_000;

fn bytes<S: Subject>(make: impl FnOnce(usize) -> S) -> f64 {
    let mut kept = None;
    let mut there = 0;
    let measured = allocation_counter::measure(|| {
        let subject = make(1_000_000);
        (0..ENTRIES).for_each(|key| subject.insert(key, key));
        there = (0..ENTRIES).filter(|key| subject.get(*key).is_some()).count();
        kept = Some(subject);
    });
    measured.bytes_current as f64 / there as f64
}

fn main() {
    println!("| cache | bytes for an entry |");
    println!("|---|---|");
    println!("| buttress | {:.0} |", bytes(|room| subjects::buttress(room, EngineKind::Duel)));
    println!(
        "| buttress on quick_cache | {:.0} |",
        bytes(|room| subjects::buttress(room, EngineKind::QuickCache))
    );
    println!("| buttress on moka | {:.0} |", bytes(|room| subjects::buttress(room, EngineKind::Moka)));
    println!("| buttress on lru | {:.0} |", bytes(|room| subjects::buttress(room, EngineKind::Lru)));
    println!("| quick_cache | {:.0} |", bytes(subjects::quick));
    println!("| moka | {:.0} |", bytes(subjects::moka));
    println!("| moka with ttl | {:.0} |", bytes(subjects::moka_ttl));
    println!("| lru | {:.0} |", bytes(subjects::lru));
    println!("| foyer | {:.0} |", bytes(subjects::foyer));
    println!("| TinyUFO | {:.0} |", bytes(subjects::ufo));
}
