//! Worker processes that crash, hang and run out of memory, and what becomes of the other documents.
//!
//! Not the usual harness: this program is started again as the worker process, with extractors that misbehave.
#![allow(clippy::unwrap_used, clippy::panic, clippy::print_stdout, missing_docs)] // A failed unwrap is a failed test.

use std::hint::black_box;
use std::time::Duration;

use buttress_core::{ByteSize, Classify, Ctx, ErrorClass, SystemClock, timeout};
use buttress_docpipeline::{
    Draft, Error, Extractor, Extractors, Format, Isolation, Pipeline, PipelineConfig, Processed, Result,
    Source, Workers, WorkersConfig, is_worker, serve_worker,
};
use bytes::Bytes;
use libtest_mimic::{Arguments, Failed, Trial};

/// Does what the text of the document says.
struct Misbehave;

impl Extractor for Misbehave {
    fn extract(&self, source: &Source<'_>, draft: &mut Draft<'_>) -> Result<()> {
        match std::str::from_utf8(&source.bytes).unwrap().trim() {
            // What this program is for.
            #[allow(clippy::disallowed_methods)]
            "abort" => std::process::abort(),
            "panic" => panic!("as the document said"),
            "hang" => loop {
                black_box(0);
            },
            "overflow" => draft.push(&recurse(1).to_string()),
            "eat" => {
                let memory = black_box(vec![1_u8; 8 << 30]);
                draft.push(&memory.len().to_string())
            }
            "who" => draft.paragraph(&std::process::id().to_string()),
            text => draft.paragraph(text),
        }
    }
}

#[allow(unconditional_recursion)] // That is the point.
fn recurse(depth: u64) -> u64 {
    black_box(recurse(black_box(depth + 1))) + black_box([depth; 64]).iter().sum::<u64>()
}

fn pipeline(config: PipelineConfig) -> Pipeline {
    Pipeline::new(config).with_extractors(Extractors::none().with(Format::Text, Misbehave))
}

fn workers(count: usize, queue: ByteSize) -> Workers {
    let mut config = PipelineConfig::default();
    config.limits.time = Duration::from_millis(500);
    let mut workers = WorkersConfig::default();
    workers.count = count;
    workers.isolation = Isolation::Process;
    workers.queue_bytes = queue;
    workers.grace = Duration::from_millis(100);
    Workers::new(config, workers, &Ctx::default())
}

async fn read(workers: &Workers, text: &'static str) -> Result<Processed> {
    workers.process(Some("a.txt"), Bytes::from_static(text.as_bytes())).await
}

/// `text` fails, and so does nothing that is read beside or after it.
async fn costs_one_document(text: &'static str) -> Error {
    let workers = workers(2, ByteSize::mib(64));
    let (bad, good) = tokio::join!(read(&workers, text), read(&workers, "a good neighbour"));
    assert_eq!(good.unwrap().document.text, "a good neighbour");
    for _ in 0..3 {
        assert_eq!(read(&workers, "the next one").await.unwrap().document.text, "the next one");
    }
    bad.unwrap_err()
}

async fn an_abort_costs_one_document() {
    let error = costs_one_document("abort").await;
    assert!(matches!(&error, Error::WorkerDied { how } if how.contains("signal: 6")), "{error}");
}

async fn a_stack_overflow_costs_one_document() {
    let error = costs_one_document("overflow").await;
    assert!(matches!(&error, Error::WorkerDied { how } if how.contains("overflow")), "{error}");
}

async fn running_out_of_memory_costs_one_document() {
    let error = costs_one_document("eat").await;
    assert!(matches!(&error, Error::WorkerDied { how } if how.contains("memory allocation")), "{error}");
    assert_eq!(error.class(), ErrorClass::Unavailable);
}

async fn a_hang_ends_at_the_deadline() {
    let error = costs_one_document("hang").await;
    assert_eq!(error, Error::TimedOut { limit: Duration::from_millis(500) });
}

async fn a_panic_is_an_error_with_its_message() {
    let error = costs_one_document("panic").await;
    let expected =
        Error::Panicked { stage: "extract".to_owned(), message: "as the document said".to_owned() };
    assert_eq!(error, expected);
}

async fn giving_a_document_up_frees_its_worker() {
    let workers = workers(1, ByteSize::mib(64));
    let hang = read(&workers, "hang");
    let clock = SystemClock;
    assert!(timeout(&clock, Duration::from_millis(50), hang).await.is_err());
    assert_eq!(read(&workers, "next").await.unwrap().document.text, "next");
}

/// Whatever is given up, and whenever: its worker may be killed, its neighbours and followers must not notice.
async fn what_is_given_up_costs_nobody_else() {
    let workers = workers(2, ByteSize::mib(64));
    let mut tasks = tokio::task::JoinSet::new();
    for i in 0..300_u64 {
        let workers = workers.clone();
        tasks.spawn(async move {
            match i % 3 {
                0 => {
                    let patience = Duration::from_micros(i * 37 % 5000);
                    let text = if i % 2 == 0 { "hang" } else { "short" };
                    // Given up before it begins, while it is read, or not at all.
                    let _ = timeout(&SystemClock, patience, read(&workers, text)).await;
                }
                _ => assert_eq!(read(&workers, "a good one").await.unwrap().document.text, "a good one"),
            }
        });
    }
    while let Some(task) = tasks.join_next().await {
        task.unwrap();
    }
}

async fn a_worker_that_did_its_share_is_replaced() {
    let mut config = WorkersConfig::default();
    (config.count, config.recycle_after) = (1, 2);
    let workers = Workers::new(PipelineConfig::default(), config, &Ctx::default());
    let mut processes = std::collections::BTreeSet::new();
    for _ in 0..6 {
        processes.insert(read(&workers, "who").await.unwrap().document.text);
    }
    assert_eq!(processes.len(), 3, "{processes:?}");
}

async fn documents_beyond_the_queue_are_refused_or_wait() {
    let workers = workers(1, ByteSize::mib(1));
    let first = workers.try_reserve(700 << 10).unwrap();
    let refusal = workers.try_reserve(700 << 10).unwrap_err();
    assert_eq!(refusal.class(), ErrorClass::Overloaded);
    assert!(refusal.retry_after().is_some());
    let waiting = tokio::spawn({
        let workers = workers.clone();
        async move { workers.reserve(700 << 10).await }
    });
    tokio::task::yield_now().await;
    assert!(!waiting.is_finished());
    drop(first);
    drop(waiting.await.unwrap());
    // A document larger than the whole queue goes alone; it does not wait for ever.
    drop(workers.reserve(8 << 20).await);
}

async fn the_text_crosses_the_pipe_as_it_is() {
    let workers = workers(1, ByteSize::mib(64));
    let text = "Zwölf Boxkämpfer — 漢字 \"quoted\" \\ 🦀";
    assert_eq!(read(&workers, text).await.unwrap().document.text, text);
    assert!(workers.peak_memory() > ByteSize::mib(1));
}

fn trial(name: &str, test: impl Future<Output = ()> + Send + 'static) -> Trial {
    Trial::test(name, move || {
        let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
        runtime.block_on(test);
        Ok::<(), Failed>(())
    })
}

fn main() -> std::io::Result<()> {
    if is_worker() {
        return serve_worker(pipeline);
    }
    let tests = vec![
        trial("an_abort_costs_one_document", an_abort_costs_one_document()),
        trial("a_stack_overflow_costs_one_document", a_stack_overflow_costs_one_document()),
        trial("running_out_of_memory_costs_one_document", running_out_of_memory_costs_one_document()),
        trial("a_hang_ends_at_the_deadline", a_hang_ends_at_the_deadline()),
        trial("a_panic_is_an_error_with_its_message", a_panic_is_an_error_with_its_message()),
        trial("giving_a_document_up_frees_its_worker", giving_a_document_up_frees_its_worker()),
        trial(
            "documents_beyond_the_queue_are_refused_or_wait",
            documents_beyond_the_queue_are_refused_or_wait(),
        ),
        trial("what_is_given_up_costs_nobody_else", what_is_given_up_costs_nobody_else()),
        trial("a_worker_that_did_its_share_is_replaced", a_worker_that_did_its_share_is_replaced()),
        trial("the_text_crosses_the_pipe_as_it_is", the_text_crosses_the_pipe_as_it_is()),
    ];
    libtest_mimic::run(&Arguments::from_args(), tests).exit();
}
