//! Whatever a client sends: the session answers, within its bounds, and does not panic.
#![no_main]

use std::sync::Arc;

use base::UnixSeconds;
use ledger::relay::{Relay, Session, Step};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    let Ok(text) = std::str::from_utf8(bytes) else {
        return;
    };
    let relay = Relay { private_kinds: [ledger::Kind::CONVERSATION].into(), ..Relay::default() };
    let (mut session, _) = Session::new(Arc::new(relay), "challenge".to_owned(), UnixSeconds(1));
    for frame in text.lines() {
        for step in session.receive(frame, UnixSeconds(1)) {
            match step {
                Step::Send(reply) | Step::Refuse(_, reply) => {
                    let reply: serde_json::Value = serde_json::from_str(&reply).expect("a reply is JSON");
                    assert!(reply[0].is_string(), "{reply}");
                }
                Step::Read(id, filters) => {
                    assert!(!filters.is_empty() && filters.len() <= 20);
                    session.begin(&id, 0);
                    assert!(Session::end_of_stored(&id).starts_with("[\"EOSE\""));
                }
                Step::End(_) => return,
                Step::Verify(_) | Step::Count(..) => {}
            }
        }
    }
});
