//! Any bytes as the deadline that a caller sends along: never more than allowed, and what is printed reads back as no
//! more than it was.

#![no_main]

use std::time::Duration;

use buttress_resilience::deadline::header::Form;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|input: (&[u8], u32)| {
    let (bytes, most) = input;
    let most = Duration::from_millis(most.into());
    for form in [Form::Millis, Form::Grpc] {
        let Ok(left) = form.parse(bytes, most) else { continue };
        assert!(left <= most);
        let printed = form.print(left);
        let again = form.parse(printed.as_bytes(), most).expect("what is printed can be read");
        assert!(again <= left, "{printed}");
    }
});
