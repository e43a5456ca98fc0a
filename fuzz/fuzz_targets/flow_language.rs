//! Any text as commands: not understood, or a workflow that compiles; the same each time.

#![no_main]

use browser::flow::Compiled;
use browser::language::grammar;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    let text = String::from_utf8_lossy(bytes);
    match grammar::parse(&text) {
        Ok(flow) => {
            let compiled = Compiled::new(&flow).expect("what is understood is whole");
            let again = grammar::parse(&text).expect("it is understood each time");
            assert_eq!(compiled.flow(), &again);
        }
        Err(error) => assert!(!error.to_string().is_empty()),
    }
});
