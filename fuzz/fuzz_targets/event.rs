//! Whatever the bytes: no panic, and what is taken for an event is given back as it was signed.
#![no_main]

use ledger::{Claimed, Leniency, Limits, kinds::View, kinds::warnings};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    let Ok(text) = std::str::from_utf8(bytes) else {
        return;
    };
    let lenient = Leniency { accept_id_text: true, accept_eip2098: true };
    let Ok(claimed) = Claimed::parse(text, &Limits::default()) else {
        return;
    };
    let id = claimed.id();
    let Ok(event) = claimed.verify(lenient) else {
        return;
    };
    assert_eq!(event.id(), id);
    let again = Claimed::parse(&event.to_json(), &Limits::default()).expect("what was taken is an event");
    assert_eq!(again.verify(lenient).as_ref(), Ok(&event), "what was taken is taken again");
    let (_, _) = (View::of(&event), warnings(&event));
});
