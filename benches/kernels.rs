//! Text in blocks: counting, tidying, cutting and `MinHash`, on prose of two sizes: one that stays in the processor's
//! cache, and one that comes from memory.

#![allow(clippy::unwrap_used, clippy::indexing_slicing, missing_docs)] // a bench that cannot run should stop; criterion has no docs

use std::hint::black_box;
use std::path::Path;
use std::time::Duration;

use buttress_docpipeline::testing::Kernels;
use buttress_docpipeline::{
    ChunkConfig, Pipeline, PipelineConfig, SIGNATURE_LENGTH, Source, Statistics, chunk, count_tokens,
    normalise,
};
use criterion::measurement::WallTime;
use criterion::{
    BatchSize, BenchmarkGroup, Criterion, SamplingMode, Throughput, criterion_group, criterion_main,
};
use gaoya::minhash::{MinHasher, MinHasher32};
use unicode_segmentation::UnicodeSegmentation;

/// The text of one size.
struct Text {
    size: &'static str,
    /// Words, sentences and lines; one space between words, no empty lines, ASCII.
    tidy: String,
    /// The same with more white space.
    untidy: String,
}

impl Text {
    fn both() -> [Self; 2] {
        let sentences = sentences();
        [Self::new("200 KB", 200_000, &sentences), Self::new("45 MB", 45_000_000, &sentences)]
    }

    /// The sentences in an order that does not repeat, with numbers and places of their own.
    fn new(size: &'static str, bytes: usize, sentences: &[String]) -> Self {
        let mut random = Random(bytes as u64);
        let (mut tidy, mut untidy) = (String::new(), String::new());
        while tidy.len() < bytes {
            for word in sentences[random.below(sentences.len())].split(' ') {
                let word = if random.below(40) == 0 { &random.below(100_000).to_string() } else { word };
                tidy.push_str(word);
                untidy.push_str(word);
                tidy.push(' ');
                untidy.push_str([" ", " ", " ", "  ", "   ", " \t", "\t"][random.below(7)]);
            }
            if random.below(3) == 0 {
                tidy.pop();
                tidy.push('\n');
                untidy.push_str(["\n", " \n", "\r\n"][random.below(3)]);
            }
        }
        Self { size, tidy, untidy }
    }
}

/// A generator of numbers by multiplication (Knuth's MMIX), so that every run measures the same text.
struct Random(u64);

impl Random {
    fn below(&mut self, end: usize) -> usize {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        usize::try_from(self.0 >> 33).unwrap() % end
    }
}

/// The English sentences of the application's sample documents.
fn sentences() -> Vec<String> {
    let samples = Path::new(env!("CARGO_MANIFEST_DIR")).join("../examples/docproc/samples");
    let pipeline = Pipeline::new(PipelineConfig::default());
    let mut sentences = Vec::new();
    for folder in ["html", "docx", "epub", "odt"] {
        let mut paths: Vec<_> =
            samples.join(folder).read_dir().unwrap().map(|entry| entry.unwrap().path()).collect();
        paths.sort();
        for path in paths {
            let bytes = std::fs::read(&path).unwrap().into();
            let Ok(read) = pipeline.process(&Source { name: None, bytes }) else { continue };
            let lines =
                read.document.text.lines().map(|line| line.trim_matches(['#', '|', '-', ' ']).to_owned());
            let prose = lines.filter(|line| line.is_ascii() && line.contains(' '));
            sentences.extend(prose.flat_map(|line| {
                line.split_inclusive(". ").map(|sentence| sentence.trim().to_owned()).collect::<Vec<_>>()
            }));
        }
    }
    sentences
}

/// Opens a case whose subjects all read `text`.
fn case<'c>(criterion: &'c mut Criterion, name: &str, text: &str) -> BenchmarkGroup<'c, WallTime> {
    let mut group = criterion.benchmark_group(name);
    group.throughput(Throughput::Bytes(text.len() as u64));
    group.sampling_mode(SamplingMode::Flat).sample_size(10);
    group.warm_up_time(Duration::from_millis(200)).measurement_time(Duration::from_millis(600));
    group
}

/// One pass that a programmer would write first.
fn scalar_statistics(text: &str) -> (usize, usize, usize) {
    let (mut characters, mut words, mut lines) = (0, 0, 0);
    let (mut in_word, mut in_line) = (false, false);
    for byte in text.bytes() {
        characters += usize::from(byte & 0xc0 != 0x80);
        let is_space = matches!(byte, b' ' | b'\t'..=b'\r');
        words += usize::from(in_word && is_space);
        in_word = !is_space;
        lines += usize::from(in_line && byte == b'\n');
        in_line = byte != b'\n';
    }
    (characters, words + usize::from(in_word), lines + usize::from(in_line))
}

fn ours(counts: Statistics) -> (usize, usize, usize) {
    (counts.characters, counts.words, counts.lines)
}

fn counting(criterion: &mut Criterion) {
    for Text { size, tidy, .. } in &Text::both() {
        let expected = ours(Statistics::of(tidy));
        assert_eq!(scalar_statistics(tidy), expected);

        let mut group = case(criterion, &format!("count characters, words and lines, {size}"), tidy);
        group.bench_function("buttress", |b| b.iter(|| Statistics::of(black_box(tidy))));
        for kernels in Kernels::all().skip(1) {
            group.bench_function(kernels.name(), |b| b.iter(|| kernels.statistics(black_box(tidy))));
        }
        group.bench_function("scalar loop", |b| b.iter(|| scalar_statistics(black_box(tidy))));
        let by_std = |text: &str| {
            let lines = text.lines().filter(|line| !line.is_empty()).count();
            (text.chars().count(), text.split_ascii_whitespace().count(), lines)
        };
        assert_eq!(by_std(tidy), expected);
        group.bench_function("std (split_ascii_whitespace)", |b| b.iter(|| by_std(black_box(tidy))));
        group.finish();

        // What a library that only counts characters and line ends takes for its share of the work.
        let mut group = case(criterion, &format!("count characters and lines, {size}"), tidy);
        let by_bytecount =
            |text: &str| (bytecount::num_chars(text.as_bytes()), bytecount::count(text.as_bytes(), b'\n'));
        assert_eq!(by_bytecount(tidy).0, expected.0);
        group.bench_function("buttress", |b| b.iter(|| Statistics::of(black_box(tidy))));
        group.bench_function("bytecount", |b| b.iter(|| by_bytecount(black_box(tidy))));
        group.finish();
    }
}

/// One space between words, none at the ends of lines: as a programmer would write it first.
fn scalar_collapse(text: &str, tidy: &mut Vec<u8>) {
    tidy.clear();
    let (mut after_space, mut lines) = (false, 0);
    for byte in text.bytes() {
        match byte {
            b'\n' => lines += 1,
            b' ' | b'\t'..=b'\r' => after_space = true,
            0..b' ' | 0x7f => {}
            _ => {
                if !tidy.is_empty() && lines > 0 {
                    tidy.extend_from_slice(if lines > 1 { b"\n\n" } else { b"\n" });
                } else if after_space && !tidy.is_empty() {
                    tidy.push(b' ');
                }
                (after_space, lines) = (false, 0);
                tidy.push(byte);
            }
        }
    }
}

/// The same with the standard library.
fn split_and_join(text: &str, tidy: &mut String) {
    tidy.clear();
    for line in text.lines() {
        let before = tidy.len();
        for word in line.split_ascii_whitespace() {
            if tidy.len() > before {
                tidy.push(' ');
            }
            tidy.push_str(word);
        }
        tidy.push('\n');
    }
    tidy.truncate(tidy.trim_end().len());
}

fn tidying(criterion: &mut Criterion) {
    for Text { size, tidy, untidy } in &Text::both() {
        for (name, text) in [("collapse white space", untidy), ("collapse what is tidy", tidy)] {
            // All subjects write into memory that is there: taking it from the system would be most of the time.
            let (mut bytes, mut string) = (Vec::with_capacity(text.len()), String::with_capacity(text.len()));
            let expected = normalise(text.clone(), &mut []);
            scalar_collapse(text, &mut bytes);
            split_and_join(text, &mut string);
            assert!(bytes == expected.as_bytes() && string == expected);

            let mut group = case(criterion, &format!("{name}, {size}"), text);
            for (i, kernels) in Kernels::all().enumerate() {
                let name = if i == 0 { "buttress" } else { kernels.name() };
                group.bench_function(name, |b| {
                    let fresh = || text.clone();
                    b.iter_batched(fresh, |text| kernels.normalise(text, &mut []), BatchSize::PerIteration);
                });
            }
            group.bench_function("scalar loop", |b| b.iter(|| scalar_collapse(black_box(text), &mut bytes)));
            group.bench_function("split_ascii_whitespace", |b| {
                b.iter(|| split_and_join(black_box(text), &mut string));
            });
            group.finish();
        }
    }
}

/// Rivals cut at the rules of Unicode, which need tables and know more cases; ours at rules of its own.
fn cutting(criterion: &mut Criterion) {
    for Text { size, tidy, .. } in &Text::both() {
        let config = ChunkConfig::default();
        // The rival takes seconds for the long text, and is as fast on the short one.
        let is_short = tidy.len() < 1_000_000;

        let mut group = case(criterion, &format!("cut at sentences, {size}"), tidy);
        group.bench_function("buttress", |b| b.iter(|| chunk(black_box(tidy), &config)));
        if is_short {
            for kernels in Kernels::all().skip(1) {
                group.bench_function(kernels.name(), |b| b.iter(|| kernels.chunk(black_box(tidy), &config)));
            }
            group.bench_function("unicode-segmentation", |b| {
                b.iter(|| black_box(tidy).split_sentence_bounds().count());
            });
        }
        group.finish();

        let mut group = case(criterion, &format!("count tokens, {size}"), tidy);
        group.bench_function("buttress", |b| b.iter(|| count_tokens(black_box(tidy))));
        if is_short {
            group.bench_function("unicode-segmentation", |b| {
                b.iter(|| black_box(tidy).split_word_bounds().filter(|word| *word != " ").count());
            });
        }
        group.finish();
    }
}

/// Rivals hash with functions of their own: the signatures differ, the work is the same.
fn signing(criterion: &mut Criterion) {
    for Text { size, tidy, .. } in &Text::both() {
        let is_short = tidy.len() < 1_000_000;
        let mut group = case(criterion, &format!("MinHash of a text, {size}"), tidy);
        let [best, others @ ..] = &*Kernels::all().collect::<Vec<_>>() else { return };
        group.bench_function("buttress", |b| b.iter(|| best.min_hash(black_box(tidy)).unwrap()));
        if is_short {
            for kernels in others {
                group.bench_function(kernels.name(), |b| {
                    b.iter(|| kernels.min_hash(black_box(tidy)).unwrap());
                });
            }
            let hasher = MinHasher32::new(SIGNATURE_LENGTH);
            group.bench_function("gaoya", |b| {
                b.iter(|| {
                    let words: Vec<String> =
                        tidy.split_ascii_whitespace().map(str::to_ascii_lowercase).collect();
                    hasher.create_signature(words.windows(3))
                });
            });
        }
        group.finish();
    }

    let shingles: Vec<u32> = (0..20_000_u32).map(|i| i.wrapping_mul(0x9e37_79b9)).collect();
    let mut group = criterion.benchmark_group("MinHash of 20,000 shingles");
    group.throughput(Throughput::Elements(shingles.len() as u64));
    group.sampling_mode(SamplingMode::Flat).sample_size(10);
    group.warm_up_time(Duration::from_millis(200)).measurement_time(Duration::from_millis(600));
    for (i, kernels) in Kernels::all().enumerate() {
        let name = if i == 0 { "buttress" } else { kernels.name() };
        let mut smallest = [u32::MAX; SIGNATURE_LENGTH];
        group.bench_function(name, |b| b.iter(|| kernels.hash_down(black_box(&shingles), &mut smallest)));
    }
    group.finish();
}

criterion_group!(benches, counting, tidying, cutting, signing);
criterion_main!(benches);
