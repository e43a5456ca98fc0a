//! Any text as a workflow: errors, or a workflow that compiles and reads back as it is shown.

#![no_main]

use browser::flow::{Compiled, Flow};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    let text = String::from_utf8_lossy(bytes);
    let flow = match Flow::parse(&text) {
        Ok(flow) => flow,
        Err(errors) => {
            assert!(!errors.as_slice().is_empty());
            assert!(!errors.of_file("flow.yaml").to_string().is_empty());
            return;
        }
    };
    let compiled = Compiled::new(&flow).expect("what is read is whole");
    let shown = serde_json::to_string(&flow).expect("a workflow is JSON");
    let again = Flow::parse(&shown).expect("what is shown reads back");
    assert_eq!(again, flow);
    let again = Compiled::new(&again).expect("what reads back is whole");
    assert_eq!(again.digest(), compiled.digest());
    let _ = compiled.bind(serde_json::Map::new());
});
