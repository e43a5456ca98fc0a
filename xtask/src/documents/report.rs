//! The page: what was measured and how, a table for each format, the cost, the truth.

use std::fmt::Write;

use super::compare::{Compared, Comparison, Side};
use super::engines::machine;
use super::{Findings, OURS, Options, STANDARD};

/// `documents.md`.
pub(super) fn page(findings: &Findings, args: &Options) -> String {
    let comparisons = findings.comparisons();
    let mut page = String::from(
        "# The document pipeline beside its rivals\n\nMade by `cargo xtask bench documents`; change the command, not \
         this page.\n\n![Times the CPU time of buttress, by format and rival](documents.svg)\n",
    );
    page += &method(findings, args);
    page += "\n## By format\n\nPairs are ours / theirs, over the files that both have read. Ratio: of CPU time, above 1 we \
             are ahead; usual: of each file by itself, in the median. p50, p90 and p99 are wall time of a document. \
             Failed: files without text. F1: how alike the texts are, in the median, and where the worst 5 % end.\n";
    for set in &findings.sets {
        page += &format_table(set);
    }
    page += &truth_tables(findings);
    page += &cost_table(&comparisons, args.vcpu_hour);
    page
}

fn method(findings: &Findings, args: &Options) -> String {
    let source = if args.corpus.is_some() {
        "real documents of a corpus that is not in the repository"
    } else {
        "the samples in `examples/docproc/samples`: few and small, for a first look"
    };
    let engines: Vec<_> = findings
        .ready
        .engines
        .iter()
        .filter(|(engine, _)| engine.name == OURS || !engine.is_ours())
        .map(|(engine, version)| format!("{} {version}", engine.name))
        .collect();
    let mut text = format!(
        "\n## How\n\n- {}. {}.\n- Input: {source}; at most {} of a format, drawn with seed {}; standard ones: \
         of {STANDARD} characters of text or more, or as a table of classes says.\n- One warm worker process for each engine, one engine at a time, in turns; {} runs, \
         the median for each file. At most {} s for an engine on a format, {} s for a document.\n- CPU is user and \
         system time of all threads and children, from the path to the text. A file without text is a failure, and \
         no success.\n- Ours ends with tidy text, as the rivals do; `{OURS}, all stages` adds statistics, language, \
         chunks and fingerprint. Kreuzberg without its cache, no engine with OCR, all else as they come; pdftotext \
         and pandoc are started for each document.\n- F1 counts words in lower case and compatibility form, with \
         words joined that are cut at a line's end. It says nothing of tables, and of the order only where it says \
         pairs.\n",
        machine(),
        engines.join(", "),
        args.files,
        args.seed,
        args.runs,
        args.budget,
        args.deadline,
    );
    for remark in &findings.remarks {
        let _ = writeln!(text, "- Left out: {remark}.");
    }
    text
}

fn format_table(set: &Compared) -> String {
    let columns =
        ["beside", "files", "docs per CPU-minute", "ratio", "usual", "p50 ms", "p90 ms", "p99 ms", "failed"];
    let head = columns.join(" | ");
    let mut text =
        format!("\n### {}\n\n| {head} | F1 | worst 5 % |\n|---{}|\n", set.set.name, "|--:".repeat(10));
    for Comparison { rival, common, ours, theirs, ratio, usual_ratio, f1, .. } in set.comparisons() {
        let pair = |of: fn(&Side) -> f64, digits: usize| {
            format!("{:.digits$} / {:.digits$}", of(&ours), of(&theirs))
        };
        let cells = [
            rival.to_owned(),
            common.to_string(),
            pair(|side| side.documents_per_cpu_minute, 0),
            format!("**{ratio:.2}**"),
            format!("{usual_ratio:.2}"),
            pair(|side| side.p50, 1),
            pair(|side| side.p90, 1),
            pair(|side| side.p99, 1),
            format!("{} / {}", ours.failures, theirs.failures),
            format!("{:.3}", f1.median),
            format!("{:.3}", f1.worst),
        ];
        let _ = writeln!(text, "| {} |", cells.join(" | "));
    }
    let all = set.set.files.len();
    let runs = set.measured.iter().map(|engine| engine.runs).max().unwrap_or_default();
    for engine in &set.measured {
        if engine.reached() < all {
            let _ = writeln!(
                text,
                "\n{}: the budget ended after {} of {all} files.",
                engine.engine,
                engine.reached()
            );
        } else if engine.runs < runs {
            let _ = writeln!(text, "\n{}: the budget ended in run {}.", engine.engine, engine.runs + 1);
        }
    }
    text
}

fn truth_tables(findings: &Findings) -> String {
    let mut text = String::new();
    for set in findings.sets.iter().filter(|set| set.set.truths.is_some()) {
        let rows = set.truths();
        let files = rows.first().map_or(0, |row| row.files);
        let _ = write!(
            text,
            "\n## PDF beside the text it was made of\n\n{files} documents that `benches/documents/truth.py` wrote for \
             LaTeX beside their plain text, and that every engine has read. Columns: F1 of words; of pairs of \
             neighbours, which tells of the order; of words as they come, those cut at a line's end not joined.\n\n\
             | engine | F1 | worst 5 % | pairs | worst 5 % | as they come | worst 5 % |\n|---{}|\n",
            "|--:".repeat(6)
        );
        for row in rows {
            let _ = writeln!(
                text,
                "| {} | {:.4} | {:.4} | {:.4} | {:.4} | {:.4} | {:.4} |",
                row.engine,
                row.f1.median,
                row.f1.worst,
                row.pairs_f1.median,
                row.pairs_f1.worst,
                row.plain_f1.median,
                row.plain_f1.worst,
            );
        }
    }
    text
}

fn cost_table(comparisons: &[Comparison], vcpu_hour: f64) -> String {
    let mut text = format!(
        "\n## Cost\n\nCPU seconds for 1,000 documents, and dollars for a million at ${vcpu_hour} a vCPU-hour, over the \
         files that both have read.\n\n| format | beside | CPU s | theirs | $ | theirs |\n|---|---|--:|--:|--:|--:|\n"
    );
    for Comparison { set, rival, ours, theirs, .. } in comparisons {
        let dollars = |cpu_seconds: f64| cpu_seconds * 1e3 / 3600.0 * vcpu_hour;
        let _ = writeln!(
            text,
            "| {set} | {rival} | {:.2} | {:.2} | {:.3} | {:.3} |",
            ours.cpu_seconds,
            theirs.cpu_seconds,
            dollars(ours.cpu_seconds),
            dollars(theirs.cpu_seconds),
        );
    }
    text
}
