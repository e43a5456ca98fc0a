//! Paths as text, and a root that nobody leads us out of.
#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    missing_docs,
    reason = "a failing expectation fails the test"
)]
#![cfg(unix)]

use std::fs;
use std::io::{Read, Write};
use std::os::unix::fs::symlink;
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};

use buttress_core::{Classify, ErrorClass};
use buttress_validate::path::EntryKind;
use buttress_validate::{Code, Root, SafePath};
use proptest::prelude::*;

fn path(text: &str) -> SafePath {
    text.parse().unwrap()
}

/// Ways out of a folder, of Unix and Windows, plain and encoded: families of OWASP's and others' lists.
#[test]
fn no_way_out_is_taken() {
    let ups = [
        "..",
        "..;",
        "...",
        "....",
        "%2e%2e",
        "%252e%252e",
        "%c0%ae%c0%ae",
        "..%00",
        "..\0",
        ".. ",
        "..\u{200b}",
        "\u{ff0e}\u{ff0e}\u{ff0f}x",
        "%uff0e%uff0e%2f",
        "..%01",
        "\u{2024}\u{2024}\u{2215}x",
        "..%c0%af",
    ];
    let slashes = [
        "/", "\\", "//", "/./", "\\/", "%2f", "%5c", "%252f", "\u{2215}", "\u{2044}", "\u{ff0f}", "\u{ff3c}",
    ];
    let ends = ["etc/passwd", "windows\\win.ini", "boot.ini"];
    for up in ups {
        for slash in slashes {
            for end in ends {
                for depth in [1, 2, 8] {
                    let text = format!("{}{end}", format!("{up}{slash}").repeat(depth));
                    assert!(text.parse::<SafePath>().is_err(), "{text:?}");
                    assert!(format!("a/{text}").parse::<SafePath>().is_err(), "a/{text:?}");
                }
            }
        }
    }
    for text in [
        "/etc/passwd",
        "//server/share",
        "\\\\server\\share",
        "C:\\x",
        "C:x",
        "c:/x",
        "a/C:/x",
        "file:///etc/passwd",
        "a\0b",
        "a/..",
        "..",
        ".",
        "./",
        "",
        "a/b/../../..",
        "nul",
        "a/NUL.txt",
        "aux",
        "COM1",
        "lpt9.log",
        "com\u{b9}",
        "a/con .txt",
        "a:stream",
        "a::$DATA",
        "a.",
        "a ",
        "a./b",
        "a /b",
        "a\nb",
        "a/\u{202e}b",
        "a/b\u{7f}",
        "?",
        "*",
        "a|b",
        "<a>",
        "\"a\"",
        "conin$",
        "a/ b",
        "%41",
        "e\u{301}",
    ] {
        assert!(text.parse::<SafePath>().is_err(), "{text:?}");
    }
    for text in [
        "a",
        "a/b/c.txt",
        ".well-known/x",
        "a-b_c/d e.txt",
        "Grüße/日本.txt",
        "100%",
        "a%zz",
        "x.y.z",
        "con1/nulx",
        "comma",
        "-a",
    ] {
        assert_eq!(path(text).as_str(), text);
    }
    assert_eq!(path("a//b/./c/").as_str(), "a/b/c");
}

proptest! {
    #[test]
    fn what_is_taken_stays_below(text in "([a-cA.:%25e/\\\\ ~\u{ff0f}\u{202e}-]{0,3}/?){0,6}|\\PC{0,20}") {
        let Ok(path) = text.parse::<SafePath>() else { return Ok(()) };
        prop_assert_eq!(path.to_string().parse(), Ok(path.clone()));
        // The standard library agrees that it only goes down.
        let parts: Vec<_> = AsRef::<Path>::as_ref(&path).components().collect();
        prop_assert!(parts.iter().all(|part| matches!(part, std::path::Component::Normal(_))));
        prop_assert_eq!(parts.len(), path.parts().count());
        let json = serde_json::to_string(&path).unwrap();
        prop_assert_eq!(serde_json::from_str::<SafePath>(&json).unwrap(), path);
    }
}

fn roots(folder: &Path) -> [Root; 2] {
    [Root::open(folder).unwrap(), Root::open_without_openat2(folder).unwrap()]
}

fn text(root: &Root, at: &str) -> Result<String, ErrorClass> {
    let mut text = String::new();
    root.read(&path(at)).map_err(|error| error.class())?.read_to_string(&mut text).unwrap();
    Ok(text)
}

#[test]
fn files_are_made_read_moved_and_removed() {
    for n in 0..2 {
        let folder = tempfile::tempdir().unwrap();
        let root = &roots(folder.path())[n];
        root.create_folder(&path("a")).unwrap();
        root.create_folder(&path("a/b")).unwrap();
        root.create(&path("a/b/c")).unwrap().write_all(b"one").unwrap();
        assert_eq!(root.create(&path("a/b/c")).unwrap_err().class(), ErrorClass::Conflict);
        assert_eq!(text(root, "a/b/c").unwrap(), "one");
        root.write(&path("a/b/c"), true).unwrap().write_all(b" two").unwrap();
        root.rename(&path("a/b/c"), &path("d")).unwrap();
        root.sync(None).unwrap();
        assert_eq!(text(root, "d").unwrap(), "one two");
        assert_eq!(text(root, "a/b/c").unwrap_err(), ErrorClass::NotFound);
        let (mut entries, more) = root.list(None, 10).unwrap();
        entries.sort_by(|one, other| one.name.cmp(&other.name));
        let told: Vec<_> = entries.iter().map(|entry| (entry.name.to_str().unwrap(), entry.kind)).collect();
        assert_eq!((told, more), (vec![("a", EntryKind::Folder), ("d", EntryKind::File)], false));
        assert_eq!(root.list(None, 1).unwrap().0.len(), 1);
        assert!(root.list(None, 1).unwrap().1);
        root.remove(&path("d")).unwrap();
        assert_eq!(root.remove_folder(&path("a")).unwrap_err().class(), ErrorClass::Conflict);
        root.remove_folder(&path("a/b")).unwrap();
        assert!(root.list(Some(&path("a")), 10).unwrap().0.is_empty());
    }
}

#[test]
fn links_pipes_and_folders_are_no_files() {
    let outside = tempfile::tempdir().unwrap();
    fs::write(outside.path().join("secret"), "secret").unwrap();
    let folder = tempfile::tempdir().unwrap();
    fs::write(folder.path().join("own"), "own").unwrap();
    symlink(outside.path(), folder.path().join("out")).unwrap();
    symlink(outside.path().join("secret"), folder.path().join("file")).unwrap();
    symlink("own", folder.path().join("inside")).unwrap();
    symlink("/proc/self/root", folder.path().join("magic")).unwrap();
    fs::create_dir(folder.path().join("folder")).unwrap();
    let pipe = folder.path().join("pipe");
    assert!(std::process::Command::new("mkfifo").arg(&pipe).status().unwrap().success());
    for root in roots(folder.path()) {
        for at in ["out/secret", "file", "inside", "magic/etc/passwd", "pipe", "folder"] {
            assert!(text(&root, at).is_err(), "{at}");
            assert!(root.write(&path(at), true).is_err(), "{at}");
        }
        assert!(root.create(&path("out/new")).is_err());
        assert!(root.create_folder(&path("out/new")).is_err());
        assert!(root.rename(&path("own"), &path("out/own")).is_err());
        assert!(root.rename(&path("out/secret"), &path("mine")).is_err());
        assert!(root.remove(&path("out/secret")).is_err());
        assert!(root.list(Some(&path("out")), 10).is_err());
    }
    assert_eq!(fs::read_dir(outside.path()).unwrap().count(), 1);
    // A link itself can be moved away, and what it led to stays.
    let root = Root::open(folder.path()).unwrap();
    root.remove(&path("file")).unwrap();
    assert!(outside.path().join("secret").exists());
}

/// Stops the other thread, also when an expectation fails.
struct Stop<'a>(&'a AtomicBool);

impl Drop for Stop<'_> {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
    }
}

/// Somebody swaps a folder for a link to the outside, and back, as fast as it goes, while we read and write.
#[test]
fn a_link_that_comes_and_goes_leads_nowhere() {
    let outside = tempfile::tempdir().unwrap();
    fs::create_dir(outside.path().join("deep")).unwrap();
    fs::write(outside.path().join("deep/file"), "outside").unwrap();
    let folder = tempfile::tempdir().unwrap();
    fs::create_dir_all(folder.path().join("real/deep")).unwrap();
    fs::write(folder.path().join("real/deep/file"), "inside").unwrap();
    symlink(outside.path(), folder.path().join("link")).unwrap();
    let stop = AtomicBool::new(false);
    std::thread::scope(|scope| {
        scope.spawn(|| {
            let base = swap(folder.path());
            while !stop.load(Ordering::Relaxed) {
                base();
            }
        });
        let stopping = Stop(&stop);
        let mut seen = [0_u32; 2];
        for round in 0..6000 {
            let root = &roots(folder.path())[round % 2];
            match text(root, "now/deep/file") {
                Ok(text) => {
                    assert_eq!(text, "inside");
                    seen[0] += 1;
                }
                Err(_) => seen[1] += 1,
            }
            let name = format!("now/deep/new{round}");
            if root.create(&path(&name)).is_ok() {
                let _ = root.remove(&path(&name));
            }
        }
        drop(stopping);
        assert!(seen[0] > 0 && seen[1] > 0, "both were met: {seen:?}");
    });
    assert_eq!(fs::read_dir(outside.path().join("deep")).unwrap().count(), 1, "nothing was made outside");
}

/// `now` is the real folder, then the link, by plain renames.
fn swap(base: &Path) -> impl Fn() {
    let [now, real, link] = ["now", "real", "link"].map(|name| base.join(name));
    move || {
        fs::rename(&real, &now).unwrap();
        fs::rename(&now, &real).unwrap();
        fs::rename(&link, &now).unwrap();
        fs::rename(&now, &link).unwrap();
    }
}

#[test]
fn what_is_refused_is_said_without_the_path() {
    let error = "reports/../../secret".parse::<SafePath>().unwrap_err();
    assert_eq!((error.code(), error.at()), (Code::Traversal, Some(8)));
    assert!(!error.to_string().contains("secret"));
}
