//! Any text as a path, and as the name of a file: what is taken only goes down, and reads back.

#![no_main]

use std::path::{Component, Path};

use buttress_validate::SafePath;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|text: &str| {
    let Ok(path) = text.parse::<SafePath>() else { return };
    assert_eq!(path.to_string().parse::<SafePath>().as_ref(), Ok(&path));
    let parts: Vec<_> = Path::new(path.as_str()).components().collect();
    assert!(parts.iter().all(|part| matches!(part, Component::Normal(_))));
    assert_eq!(parts.len(), path.parts().count());
    // Whoever decodes or folds the path once more does not find a way out.
    let folded = path.as_str().replace('\\', "/").replace("%2e", ".").replace("%2f", "/");
    assert!(folded.split('/').all(|part| part.trim_end_matches(['.', ' ']).len() == part.len()));
});
