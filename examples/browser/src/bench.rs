//! `browser bench`: what pooling gains, and what the service adds to the browser's own time.

use std::net::Ipv4Addr;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, anyhow, ensure};
use browser::chromium::{Browser, Extract, Target, processes};
use browser::config::BrowserConfig;
use browser::fleet::Fleet;
use browser::flow::Compiled;
use browser::run::{Folder, run as run_flow};
use buttress_core::{ByteSize, Ctx};
use serde::Serialize;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;

/// A page like many: a heading, a form, a table.
const PAGE: &str = "<!doctype html><title>Bench</title><h1>Tide tables</h1><form><input id=q><button>Go</button></form>\
    <table><tr><th>Port<th>High</tr><tr><td>Brest</td><td>06:12</td></tr></table>";

/// What was measured.
#[derive(Debug, Serialize)]
struct Figures {
    /// From nothing to a browser that takes commands; median.
    cold_launch_ms: f64,
    /// From nothing to the title of a page; median.
    cold_first_page_ms: f64,
    /// A context of one's own from the pool, its probe included; median.
    pooled_checkout_ms: f64,
    /// From the pool to the title of a page; median.
    pooled_first_page_ms: f64,
    /// One `extract` by the driver alone, median and 99th percentile.
    driver_command_ms: [f64; 2],
    /// The same as a step of a workflow.
    step_ms: [f64; 2],
    /// Workflows run one after the other.
    workflows: usize,
    /// How many a minute.
    workflows_per_minute: f64,
    /// What all browsers held after the first twenty of them, and after the last.
    browsers_bytes: [u64; 2],
    /// What this process held at the same times.
    own_bytes: [u64; 2],
    /// Processes of all browsers there were that still run.
    processes_left: usize,
}

/// Measures, and prints the figures.
pub(crate) async fn bench(config: BrowserConfig, rounds: usize, workflows: usize, json: bool) -> Result<()> {
    let figures = measure(config, rounds.max(1), workflows.max(20)).await?;
    if json {
        println!("{}", serde_json::to_string_pretty(&figures)?);
        return Ok(());
    }
    let Figures { driver_command_ms: driver, step_ms: step, browsers_bytes, own_bytes, .. } = &figures;
    let mib = |bytes: u64| ByteSize::b(bytes).human();
    let ratio = |slow: f64, fast: f64| format!("{:.0}x", slow / fast);
    let rows = [
        ("launch a browser", format!("{:.1} ms", figures.cold_launch_ms), String::new()),
        (
            "take a context from the pool, probed",
            format!("{:.2} ms", figures.pooled_checkout_ms),
            ratio(figures.cold_launch_ms, figures.pooled_checkout_ms),
        ),
        (
            "launch, open a page, read its title",
            format!("{:.1} ms", figures.cold_first_page_ms),
            String::new(),
        ),
        (
            "the same from the pool",
            format!("{:.1} ms", figures.pooled_first_page_ms),
            ratio(figures.cold_first_page_ms, figures.pooled_first_page_ms),
        ),
        (
            "a command by the driver, p50 and p99",
            format!("{:.2} / {:.2} ms", driver[0], driver[1]),
            String::new(),
        ),
        (
            "the same as a step of a workflow",
            format!("{:.2} / {:.2} ms", step[0], step[1]),
            format!("{:.2}x / {:.2}x", step[0] / driver[0], step[1] / driver[1]),
        ),
        (
            "workflows in a row",
            format!("{} at {:.0} a minute", figures.workflows, figures.workflows_per_minute),
            String::new(),
        ),
        (
            "memory of the browsers",
            format!("{} to {}", mib(browsers_bytes[0]), mib(browsers_bytes[1])),
            String::new(),
        ),
        ("memory of the service", format!("{} to {}", mib(own_bytes[0]), mib(own_bytes[1])), String::new()),
        ("browser processes left", figures.processes_left.to_string(), String::new()),
    ];
    for (what, value, gain) in rows {
        println!("{what:<38}  {value:>24}  {gain}");
    }
    Ok(())
}

async fn measure(mut config: BrowserConfig, rounds: usize, workflows: usize) -> Result<Figures> {
    let url = serve_page().await?;
    let host = url.trim_start_matches("http://").trim_end_matches('/').to_owned();
    config.guard.allow.push(host.parse().context("the page's address")?);
    let ctx = Ctx::default();

    let (mut launches, mut first_pages) = (Vec::new(), Vec::new());
    for _ in 0..rounds {
        let start = Instant::now();
        let browser = Browser::launch(&config.chromium, None, &ctx).await?;
        launches.push(millis(start));
        let context = browser.context().await?;
        let page = context.page().await?;
        page.goto(&url).await?;
        ensure!(page.title().await? == "Bench", "the page did not open");
        first_pages.push(millis(start));
        browser.close().await?;
    }

    let fleet = Fleet::new(config.chromium, config.fleet, config.guard, &ctx).await?;
    let (mut checkouts, mut pooled_pages) = (Vec::new(), Vec::new());
    for round in 0..=rounds {
        ready(&fleet).await;
        let start = Instant::now();
        let tab = fleet.tab().await?;
        let checkout = millis(start);
        tab.page.goto(&url).await?;
        ensure!(tab.page.title().await? == "Bench", "the page did not open");
        // The first one found no browser at all.
        if round > 0 {
            checkouts.push(checkout);
            pooled_pages.push(millis(start));
        }
    }

    let commands = 300;
    let mut driver = Vec::new();
    {
        let tab = fleet.tab().await?;
        tab.page.goto(&url).await?;
        let heading = Target::parse("h1")?;
        for _ in 0..commands {
            let start = Instant::now();
            tab.page.extract(&heading, &Extract::Text, Duration::from_secs(5)).await?;
            driver.push(millis(start));
        }
    }
    let extracts = "  - extract: { name: heading, from: h1 }\n".repeat(commands);
    let flow = flow(&format!("  - goto: {url}\n{extracts}"))?;
    let folder = tempfile::tempdir()?;
    let shelf = Folder(folder.path().to_owned());
    let report = {
        let tab = fleet.tab().await?;
        run_flow(
            &flow,
            flow.bind(serde_json::Map::new()).map_err(|errors| anyhow!("{errors}"))?,
            &tab,
            &shelf,
            &ctx,
        )
        .await
    };
    ensure!(report.failure.is_none(), "the workflow failed: {:?}", report.failure);
    let steps: Vec<f64> = report.steps.iter().skip(1).map(|step| step.took.as_secs_f64() * 1e3).collect();

    let small = self::flow(&format!(
        "  - goto: {url}\n  - type: {{ into: '#q', text: tide }}\n  - extract: {{ name: rows, from: table, as: table }}\n  - screenshot: page\n"
    ))?;
    let (mut groups, mut early) = (std::collections::BTreeSet::new(), (0, 0));
    let start = Instant::now();
    for number in 0..workflows {
        let tab = fleet.tab().await?;
        let scope = small.bind(serde_json::Map::new()).map_err(|errors| anyhow!("{errors}"))?;
        let report = run_flow(&small, scope, &tab, &shelf, &ctx).await;
        ensure!(report.failure.is_none(), "workflow {number} failed: {:?}", report.failure);
        groups.insert(tab.group());
        if number == 19 {
            early = (memory_of(&fleet).await, own_memory());
        }
    }
    let took = start.elapsed();
    let late = (memory_of(&fleet).await, own_memory());
    fleet.drain().await;
    let processes_left = groups.iter().map(|group| processes::members(*group).len()).sum();
    Ok(Figures {
        cold_launch_ms: quantile(launches, 0.5),
        cold_first_page_ms: quantile(first_pages, 0.5),
        pooled_checkout_ms: quantile(checkouts, 0.5),
        pooled_first_page_ms: quantile(pooled_pages, 0.5),
        driver_command_ms: [0.5, 0.99].map(|share| quantile(driver.clone(), share)),
        step_ms: [0.5, 0.99].map(|share| quantile(steps.clone(), share)),
        workflows,
        workflows_per_minute: workflows as f64 * 60.0 / took.as_secs_f64(),
        browsers_bytes: [early.0, late.0],
        own_bytes: [early.1, late.1],
        processes_left,
    })
}

/// Waits until a context is ready in the pool, as it mostly is between two jobs.
async fn ready(fleet: &Fleet) {
    for _ in 0..500 {
        let (tabs, _) = fleet.status();
        if tabs.idle > 0 || tabs.size + tabs.creating == 0 {
            return;
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
}

fn flow(steps: &str) -> Result<Compiled> {
    Compiled::parse(&format!("name: bench\nsteps:\n{steps}")).map_err(|errors| anyhow!("{errors}"))
}

/// What the browsers hold now.
async fn memory_of(fleet: &Fleet) -> u64 {
    let groups: Vec<i32> = fleet.browsers().iter().map(|browser| browser.group).collect();
    let sum = move || groups.into_iter().map(|group| processes::memory(group).bytes()).sum();
    tokio::task::spawn_blocking(sum).await.unwrap_or_default()
}

fn own_memory() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
    line.and_then(|line| line.trim().trim_end_matches(" kB").parse::<u64>().ok()).unwrap_or_default() * 1024
}

/// Serves the page to whoever asks for anything, and gives its address.
async fn serve_page() -> Result<String> {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await?;
    let address = listener.local_addr()?;
    tokio::spawn(async move {
        while let Ok((mut client, _)) = listener.accept().await {
            tokio::spawn(async move {
                let mut request = [0; 4096];
                let _asked = client.read(&mut request).await;
                let head = format!(
                    "HTTP/1.1 200 OK\r\ncontent-type: text/html\r\ncontent-length: {}\r\nconnection: close\r\n\r\n",
                    PAGE.len()
                );
                let _answered = client.write_all(format!("{head}{PAGE}").as_bytes()).await;
            });
        }
    });
    Ok(format!("http://{address}/"))
}

fn millis(since: Instant) -> f64 {
    since.elapsed().as_secs_f64() * 1e3
}

/// The nearest rank.
fn quantile(mut values: Vec<f64>, share: f64) -> f64 {
    values.sort_by(f64::total_cmp);
    #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "a rank, within the length")]
    let rank = (share * values.len() as f64).ceil() as usize;
    values.get(rank.saturating_sub(1)).copied().unwrap_or(f64::NAN)
}
