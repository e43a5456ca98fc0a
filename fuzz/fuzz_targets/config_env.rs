//! Lines of `name=value` as variables and as flags, over a file that sets most keys.

#![no_main]

#[path = "shared/settings.rs"]
mod settings;

use buttress_config::Loader;
use libfuzzer_sys::fuzz_target;

const FILE: &str = "text = \"a\"\nnumber = 3\nlist = [1, 2]\n[engine]\nkind = \"redis\"\nurl = \"redis://u:p@h\"\n\
    [by_number.7]\nneeded = \"x\"\n[flags.new-x]\nenabled = true\n";

fuzz_target!(|text: &str| {
    let pairs = || text.lines().filter_map(|line| line.split_once('='));
    let variables = pairs().map(|(name, value)| (format!("FUZZ_{name}"), value.to_owned()));
    let loader = Loader::new("fuzz").embedded("fuzz.toml", FILE);
    settings::load_and_look(&loader.clone().variables(variables));
    settings::load_and_look(&loader.flags(text.lines()));
});
