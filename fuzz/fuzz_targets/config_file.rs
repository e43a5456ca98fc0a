//! Any bytes as a configuration file: a configuration or an error, never a panic.

#![no_main]

#[path = "shared/settings.rs"]
mod settings;

use buttress_config::Loader;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    // A file's bytes are checked for UTF-8 first; what is interesting lies behind that.
    let text = String::from_utf8_lossy(bytes);
    settings::load_and_look(&Loader::new("fuzz").embedded("fuzz.toml", &*text));
});
