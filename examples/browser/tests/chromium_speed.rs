//! How long the driver's steps take. Nothing is asserted; run it with `--run-ignored only --no-capture`.
#![allow(clippy::unwrap_used, clippy::indexing_slicing, clippy::print_stdout, missing_docs)]
#![allow(clippy::disallowed_methods, reason = "a measurement reads the clock")]

mod chromium_site;

use std::time::{Duration, Instant};

use browser::chromium::Extract;
use chromium_site::{LONG, Site, launch, target};

const ROUNDS: usize = 15;

/// Times by step, in the order in which steps first came.
#[derive(Default)]
struct Times(Vec<(&'static str, Vec<Duration>)>);

impl Times {
    async fn of<T>(&mut self, step: &'static str, work: impl Future<Output = T>) -> T {
        let begun = Instant::now();
        let result = work.await;
        let taken = begun.elapsed();
        match self.0.iter_mut().find(|(known, _)| *known == step) {
            Some((_, times)) => times.push(taken),
            None => self.0.push((step, vec![taken])),
        }
        result
    }
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "a measurement"]
async fn medians_of_the_steps() {
    let (site, mut times) = (Site::start(), Times::default());
    for _ in 0..ROUNDS {
        let browser = times.of("launch", launch()).await;
        times.of("probe", browser.probe(LONG)).await.unwrap();
        times.of("memory", browser.memory()).await;
        let page = times.of("context and page", async {
            let context = browser.context().await.unwrap();
            (context.page().await.unwrap(), context)
        });
        let (page, context) = page.await;
        times.of("goto and title", page.goto(&site.url("/form"))).await.unwrap();
        for _ in 0..5 {
            times.of("title", page.title()).await.unwrap();
            times.of("evaluate", page.evaluate("1")).await.unwrap();
            times.of("extract", page.extract(&target("label"), &Extract::Texts, LONG)).await.unwrap();
            times.of("type", page.type_text(&target("#name"), "Ada", true, LONG)).await.unwrap();
            times.of("click", page.click(&target("#agree"), LONG)).await.unwrap();
            times.of("screenshot", page.screenshot(false, None)).await.unwrap();
        }
        times.of("pdf", page.pdf()).await.unwrap();
        times.of("click that opens a page", page.click(&target("#send"), LONG)).await.unwrap();
        times.of("goto again", page.goto(&site.url("/form"))).await.unwrap();
        times.of("dispose", context.dispose()).await.unwrap();
        let second = times.of("next context and page", async {
            let context = browser.context().await.unwrap();
            (context.page().await.unwrap(), context)
        });
        drop(second.await);
        times.of("close", browser.close()).await.unwrap();
    }
    for (step, mut taken) in times.0 {
        taken.sort_unstable();
        let (least, median) = (taken[0], taken[taken.len() / 2]);
        println!("{step:24} median {median:>10.2?}   least {least:>10.2?}   of {}", taken.len());
    }
}
