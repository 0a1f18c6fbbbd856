//! A report as GitHub workflow commands: each flaw becomes an annotation in the pull request.

use std::fmt::Write as _;

use catalog::{Report, Severity};

pub(super) fn render(name: &str, report: &Report, strict: bool) -> String {
    let mut commands = String::new();
    for flaw in &report.flaws {
        let command = if flaw.severity == Severity::Error || strict { "error" } else { "warning" };
        let parts = [Some(flaw.message.as_str()), flaw.found.as_deref(), flaw.help.as_deref()];
        let message = parts.into_iter().flatten().collect::<Vec<_>>().join("\n");
        // Writing to a string cannot fail.
        let _ = writeln!(
            commands,
            "::{command} file={},line={},col={},title={}::{}",
            property(name),
            flaw.place.line,
            flaw.place.column,
            property(&flaw.rule),
            escape(&message)
        );
    }
    if report.left_out() > 0 {
        let _ = writeln!(
            commands,
            "::notice file={}::{} more flaws are not shown",
            property(name),
            report.left_out()
        );
    }
    commands
}

/// Writes what would end a command's message early as its escape.
fn escape(text: &str) -> String {
    text.replace('%', "%25").replace('\r', "%0D").replace('\n', "%0A")
}

/// Writes what would end a property early as its escape.
fn property(text: &str) -> String {
    escape(text).replace(':', "%3A").replace(',', "%2C")
}
