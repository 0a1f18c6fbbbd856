//! Whatever the bytes: a report and no panic, and the report and the index say the same.
#![no_main]

use std::sync::LazyLock;

use catalog::{Contract, Severity};
use libfuzzer_sys::fuzz_target;

static CONTRACT: LazyLock<Contract> = LazyLock::new(Contract::ours);

fuzz_target!(|bytes: &[u8]| {
    let checked = catalog::check(bytes, &CONTRACT);
    assert_eq!(checked.index.is_some(), checked.report.holds(false));
    if checked.index.is_some() {
        assert!(catalog::check_typed(bytes), "what holds fits the types");
    }
    let lines = bytes.split(|byte| *byte == b'\n').count();
    for flaw in &checked.report.flaws {
        assert!((1..=lines).contains(&flaw.place.line), "{flaw:?} lies outside the text");
        assert!(flaw.place.column >= 1 && !flaw.message.is_empty(), "{flaw:?}");
        assert!(flaw.rule != "type", "the types refuse what schema and rules accept: {flaw:?}");
    }
    let errors = checked.report.flaws.iter().filter(|it| it.severity == Severity::Error).count();
    assert!(errors <= checked.report.errors);
});
