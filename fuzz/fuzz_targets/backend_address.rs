//! Any text as the address of a back end: what is taken reads back as it is written, and no password is shown.

#![no_main]

use buttress_connect::{Address, Backend};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|text: &str| {
    const SECRET: &str = "hunter2-hunter2";
    for written in [text.to_owned(), text.replace('#', &format!("user:{SECRET}@"))] {
        match written.parse::<Address>() {
            // The name of a file is no secret.
            Ok(address) if address.backend() == Backend::Sqlite => {}
            Ok(address) => {
                assert_eq!(address.expose(), written);
                let shown = format!("{address} {address:?}");
                // Only where it stands as a login does.
                assert!(!shown.contains(&format!(":{SECRET}@")), "{shown}");
            }
            Err(error) => assert!(!error.to_string().contains(&format!(":{SECRET}@")), "{error}"),
        }
    }
});
