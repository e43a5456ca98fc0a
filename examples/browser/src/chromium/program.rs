//! Which executable is started, and with which arguments.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};

use super::config::ChromiumConfig;
use super::error::{Error, Result};

/// The executable of Debian's `chromium-headless-shell`. What stands under that name in `PATH` is a script that stays
/// as its parent, and would be killed in its place.
const HEADLESS_SHELL: &str = "/usr/lib/chromium/chromium-headless-shell";
/// Full browsers, in the order in which they are preferred. Their scripts replace themselves.
const NAMES: [&str; 3] = ["chromium", "chromium-browser", "google-chrome"];

/// Features that talk to somebody, or cost memory, and serve no page.
const FLAGS: [&str; 19] = [
    "--remote-debugging-pipe",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--no-default-browser-check",
    "--disable-background-networking",
    "--disable-background-timer-throttling",
    "--disable-component-update",
    "--disable-extensions",
    "--disable-sync",
    "--disable-breakpad",
    "--disable-crash-reporter",
    // Containers give /dev/shm 64 MB, on which a large page crashes the renderer.
    "--disable-dev-shm-usage",
    "--disable-features=Translate,MediaRouter,OptimizationHints",
    "--hide-scrollbars",
    "--mute-audio",
    // Calls between browsers would go around the proxy.
    "--webrtc-ip-handling-policy=disable_non_proxied_udp",
    "--force-webrtc-ip-handling-policy",
    "--password-store=basic",
];

/// The executable to start.
pub(super) fn find(config: &ChromiumConfig) -> Result<PathBuf> {
    if let Some(program) = &config.program {
        return if program.is_file() {
            Ok(program.clone())
        } else {
            Err(Error::ProgramMissing { looked: program.display().to_string() })
        };
    }
    let path = std::env::var_os("PATH").unwrap_or_default();
    let folders: Vec<PathBuf> = std::env::split_paths(&path).collect();
    let in_path = NAMES.iter().flat_map(|name| folders.iter().map(move |folder| folder.join(name)));
    std::iter::once(PathBuf::from(HEADLESS_SHELL))
        .chain(in_path)
        .find(|program| program.is_file())
        .ok_or_else(|| Error::ProgramMissing {
            looked: format!("{HEADLESS_SHELL}, or {} in PATH", NAMES.join(", ")),
        })
}

/// The arguments after the executable.
pub(super) fn arguments(
    config: &ChromiumConfig,
    program: &Path,
    profile: &str,
    proxy: Option<SocketAddr>,
) -> Vec<String> {
    let mut arguments: Vec<String> = FLAGS.iter().map(|&flag| flag.to_owned()).collect();
    if !program.ends_with("chromium-headless-shell") {
        arguments.push("--headless".to_owned());
    }
    if rustix::process::geteuid().is_root() {
        // The browser's sandbox refuses root.
        arguments.push("--no-sandbox".to_owned());
    }
    arguments.push(format!("--window-size={},{}", config.window.width, config.window.height));
    arguments.push(profile.to_owned());
    if let Some(agent) = &config.user_agent {
        arguments.push(format!("--user-agent={agent}"));
    }
    arguments.extend(proxy.into_iter().flat_map(proxy_flags));
    arguments.extend(config.args.iter().cloned());
    arguments.push("about:blank".to_owned());
    arguments
}

/// The flags with which Chromium reaches the network through `proxy` and in no other way.
#[must_use]
pub fn proxy_flags(proxy: SocketAddr) -> [String; 5] {
    [
        format!("--proxy-server=http://{proxy}"),
        // Loopback addresses go around a proxy unless this says that they do not.
        "--proxy-bypass-list=<-loopback>".to_owned(),
        // The proxy looks names up. A name that the browser looked up itself would be a way around it.
        format!("--host-resolver-rules=MAP * ~NOTFOUND , EXCLUDE {}", proxy.ip()),
        "--dns-prefetch-disable".to_owned(),
        "--disable-quic".to_owned(),
    ]
}

/// The argument that names a profile's folder; also how a browser's processes are found again.
pub(super) fn profile_argument(profile: &Path) -> String {
    format!("--user-data-dir={}", profile.display())
}
