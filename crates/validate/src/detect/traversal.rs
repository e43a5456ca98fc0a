//! Paths that lead out of their folder.

use super::Best;
use super::decode::Decoded;
use super::text::{find, is_space, starts_with};

/// Where attacks go, in the order in which they are looked for. `/` is either separator.
const TARGETS: &[&str] = &[
    "etc/passwd",
    "etc/shadow",
    "etc/group",
    "etc/hosts",
    "etc/issue",
    "etc/sudoers",
    "etc/ssh",
    "etc/my.cnf",
    "etc/apache",
    "etc/nginx",
    "etc/httpd",
    "etc/mysql",
    "etc/crontab",
    "etc/fstab",
    "etc/profile",
    "etc/motd",
    "proc/self",
    "proc/version",
    "proc/1/",
    "proc/cmdline",
    "proc/mounts",
    "proc/net",
    "var/log",
    "var/www",
    "var/mail",
    "var/lib/",
    "root/.",
    ".ssh/",
    "id_rsa",
    ".bash_history",
    ".git/config",
    ".git/head",
    ".htaccess",
    ".htpasswd",
    ".aws/",
    ".env",
    "windows/win.ini",
    "winnt/",
    "windows/system",
    "system32",
    "boot.ini",
    "win.ini",
    "autoexec.bat",
    "web-inf",
    "meta-inf/",
    "web.config",
    "wp-config",
    "php.ini",
    "config.php",
    "inetpub/",
    "access.log",
    "error.log",
    "docker.sock",
    "kube/config",
    "secrets/kubernetes",
    "usr/local/",
    "etc/",
];

pub(super) fn read(text: &[u8], decoded: Option<&Decoded>, best: &mut Best) {
    let steps = steps(text);
    if let Some(steps) = &steps {
        let span = steps.start..steps.end;
        let after = text.get(steps.end..).unwrap_or_default();
        let target = target(after.get(..160).unwrap_or(after));
        let encoded = decoded.is_some_and(|decoded| {
            let (from, to) = (decoded.place(steps.start), decoded.place(steps.end.saturating_sub(1)));
            // Three bytes of the original for one here: the dots or the separators were encoded.
            to.saturating_sub(from) >= steps.end - steps.start
        });
        let devious = encoded && decoded.is_some_and(|decoded| decoded.devious);
        let alone = !text.iter().any(|byte| is_space(*byte));
        let nul = contains_nul(text, steps.end);
        let score = match (target, steps.count) {
            _ if devious => 88,
            _ if steps.odd => 80,
            (true, _) if encoded || steps.count >= 2 => 92,
            (true, _) => 78,
            _ if encoded => 76,
            _ if nul => 72,
            (_, 6..) => 74,
            (_, 4..) if alone => 66,
            (_, 3..) if alone && steps.start == 0 && text.len() < 24 => 62,
            (_, 2) if alone && steps.end - steps.start == text.len() => 62,
            _ => 20,
        };
        best.note(score, span, "steps out of a folder");
    }
    absolute(text, best);
}

struct Steps {
    start: usize,
    end: usize,
    count: usize,
    /// `....//`, `..;/`: forms that come through a filter which takes `../` away.
    odd: bool,
}

/// The longest run of `../` in its forms.
fn steps(text: &[u8]) -> Option<Steps> {
    let is_separator = |byte: u8| byte == b'/' || byte == b'\\';
    let mut longest: Option<Steps> = None;
    let mut at = 0;
    while let Some(found) = text.get(at..).and_then(|rest| memchr::memmem::find(rest, b"..")) {
        let start = at + found;
        // `a..b`, `1...5`: no path.
        let begins = start
            .checked_sub(1)
            .and_then(|before| text.get(before))
            .is_none_or(|byte| !byte.is_ascii_alphanumeric() && *byte != b'.');
        let mut run = Steps { start, end: start, count: 0, odd: false };
        loop {
            let rest = text.get(run.end..).unwrap_or_default();
            let dots = rest.iter().take(5).take_while(|byte| **byte == b'.').count();
            if dots < 2 {
                break;
            }
            let parameter = rest.get(dots) == Some(&b';');
            let separators = rest
                .iter()
                .skip(dots + usize::from(parameter))
                .take_while(|byte| is_separator(**byte))
                .count();
            if separators == 0 {
                break;
            }
            run.odd |=
                (dots == 4 && separators >= 2) || (parameter && dots == 2) || (dots == 3 && separators >= 2);
            run.end += dots + usize::from(parameter) + separators;
            run.count += 1;
        }
        // A row of dots is looked at once.
        let dots = text.iter().skip(start).take_while(|byte| **byte == b'.').count();
        at = run.end.max(start + dots);
        if begins && run.count > 0 && longest.as_ref().is_none_or(|longest| longest.count < run.count) {
            longest = Some(run);
        }
    }
    // A path that ends in `..` has one more.
    if let Some(run) = &mut longest
        && text.get(run.end..) == Some(b"..")
    {
        run.end += 2;
        run.count += 1;
    }
    longest
}

fn target(path: &[u8]) -> bool {
    let path = path.get(..path.iter().position(|byte| is_space(*byte)).unwrap_or(path.len())).unwrap_or(path);
    TARGETS
        .iter()
        .any(|target| (0..path.len()).any(|at| path.get(at..).is_some_and(|rest| leads(rest, target))))
}

/// Whether `path` begins with `target`, with any separators, however often.
fn leads(path: &[u8], target: &str) -> bool {
    let mut path = path;
    let mut separator = false;
    for wanted in target.bytes() {
        let Some((first, rest)) = path.split_first() else { return false };
        let found = if *first == b'\\' { b'/' } else { first.to_ascii_lowercase() };
        if found != wanted {
            return false;
        }
        path = rest;
        separator = wanted == b'/';
        if separator {
            while let Some((b'/' | b'\\' | b'.', rest)) =
                path.split_first().filter(|(byte, _)| **byte != b'.')
            {
                path = rest;
            }
        }
    }
    let _ = separator;
    true
}

/// A NUL that was decoded to a space, before an extension.
fn contains_nul(text: &[u8], from: usize) -> bool {
    text.get(from..).is_some_and(|rest| rest.contains(&0))
}

/// Addresses that name what attacks want, with nothing else in the text.
fn absolute(text: &[u8], best: &mut Best) {
    let start = text.iter().position(|byte| !is_space(*byte)).unwrap_or_default();
    let path = text.get(start..).unwrap_or_default();
    let alone = !path.trim_ascii_end().iter().any(|byte| is_space(*byte));
    if !text.contains(&b':') && !path.starts_with(b"/") && !path.starts_with(b"\\") {
        return;
    }
    for (scheme, score) in [
        ("php://filter", 78),
        ("php://input", 78),
        ("expect://", 72),
        ("phar://", 64),
        ("zip://", 50),
        ("file:///", 40),
        ("file:/", 30),
    ] {
        if let Some(at) = find(path, scheme).filter(|at| *at == 0 || alone) {
            let rest = path.get(at..).unwrap_or_default();
            let score = if target(rest.get(..160).unwrap_or(rest)) { 78 } else { score };
            best.note(score, start + at..text.len(), "an address of a file");
        }
    }
    if !alone || path.len() > 200 {
        return;
    }
    let rooted = path.first().is_some_and(|byte| matches!(byte, b'/' | b'\\'))
        || (path.first().is_some_and(u8::is_ascii_alphabetic)
            && path.get(1) == Some(&b':')
            && path.get(2).is_some_and(|byte| matches!(byte, b'/' | b'\\')));
    if !rooted {
        return;
    }
    let names = [
        "etc/passwd",
        "etc/shadow",
        "proc/self/",
        "windows/win.ini",
        "boot.ini",
        "winnt/",
        "windows/system32",
        "etc/sudoers",
        "etc/group",
        "web-inf/",
        "root/.ssh",
        "root/.bash_history",
    ];
    let named = names
        .iter()
        .any(|name| (0..path.len().min(24)).any(|at| path.get(at..).is_some_and(|rest| leads(rest, name))));
    if named {
        best.note(66, start..text.len(), "a path that attacks want");
    } else if starts_with(path, "/%") {
        best.note(20, start..text.len(), "an odd path");
    }
}
