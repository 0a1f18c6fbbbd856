//! A report for people: each flaw with its lines and a caret, as good compilers do.

use std::ops::Range;

use annotate_snippets::{AnnotationKind, Element, Group, Level, Origin, Renderer, Snippet};
use catalog::{Flaw, Report, Severity, flaw::Place};

use crate::out;

/// The most bytes of a line, to each side of a flaw, that are worth showing.
const EXCERPT_BYTES_MAX: usize = 160;

pub(super) fn render(name: &str, bytes: &[u8], report: &Report, strict: bool) -> String {
    let text = String::from_utf8_lossy(bytes);
    // Spans count bytes of the file; where it is no UTF-8, the text is another one and has none of them.
    let text = (text.len() == bytes.len()).then_some(&*text);
    let renderer = if out::in_colour() { Renderer::styled() } else { Renderer::plain() };
    let mut page = String::new();
    for flaw in &report.flaws {
        page.push_str(&renderer.render(&[group(name, text, flaw, strict)]));
        page.push_str("\n\n");
    }
    page + &summary(name, report, strict)
}

fn group<'r>(name: &'r str, text: Option<&'r str>, flaw: &'r Flaw, strict: bool) -> Group<'r> {
    let level = match flaw.severity {
        Severity::Warning if !strict => Level::WARNING,
        _ => Level::ERROR,
    };
    let found = flaw.found.as_deref().unwrap_or_default();
    let title = level.primary_title(flaw.message.as_str()).id(flaw.rule.as_ref());
    let mut group = title.elements(excerpt(name, text, &flaw.place, AnnotationKind::Primary, found));
    for related in &flaw.related {
        group =
            group.elements(excerpt(name, text, &related.place, AnnotationKind::Context, &related.message));
    }
    if let Some(model) = &flaw.model {
        group = group.element(Level::NOTE.message(format!("in model '{model}', at {}", flaw.pointer)));
    }
    group.elements(flaw.help.iter().map(|it| Level::HELP.message(it.as_str())))
}

/// Shows the line of a place; of a line without end, as in a minified file, the part around it.
fn excerpt<'r>(
    name: &'r str,
    text: Option<&'r str>,
    place: &Place,
    kind: AnnotationKind,
    label: &'r str,
) -> Vec<Element<'r>> {
    let origin = Origin::path(name).line(place.line).char_column(place.column);
    let Some(text) = text else {
        let label = (!label.is_empty()).then(|| Element::from(Level::NOTE.message(label)));
        return std::iter::once(origin.into()).chain(label).collect();
    };
    let window = window(text, &place.span);
    let marked =
        place.span.start - window.start..place.span.end.clamp(place.span.start, window.end) - window.start;
    let is_cut = window.start > 0 && text.as_bytes()[window.start - 1] != b'\n';
    let annotation = kind.span(marked);
    let annotation = if label.is_empty() { annotation } else { annotation.label(label) };
    let snippet = Snippet::source(&text[window]).line_start(place.line).fold(false).annotation(annotation);
    // Of a whole line the renderer knows the column itself, and says it in fewer lines.
    if is_cut { vec![origin.into(), snippet.into()] } else { vec![snippet.path(name).into()] }
}

/// Returns the line of a span, or the part of it that fits.
fn window(text: &str, span: &Range<usize>) -> Range<usize> {
    let line_start = text[..span.start].rfind('\n').map_or(0, |it| it + 1);
    let line_end = text[span.start..].find('\n').map_or(text.len(), |it| span.start + it);
    let start = boundary(text, line_start.max(span.start.saturating_sub(EXCERPT_BYTES_MAX)));
    let end = boundary(text, line_end.min(span.start + EXCERPT_BYTES_MAX).min(text.len()));
    start.min(span.start)..end.max(span.start)
}

fn boundary(text: &str, mut at: usize) -> usize {
    while !text.is_char_boundary(at) {
        at -= 1;
    }
    at
}

fn summary(name: &str, report: &Report, strict: bool) -> String {
    let Report { errors, warnings, models, stubs, .. } = report;
    let mut counted = vec![plural(*models, "model")];
    counted.extend((*stubs > 0).then(|| plural(*stubs, "stub")));
    counted.extend((*errors > 0).then(|| plural(*errors, "error")));
    counted.extend((*warnings > 0).then(|| plural(*warnings, "warning")));
    let verdict = match (report.holds(strict), report.holds(false)) {
        (true, _) => "valid",
        (false, true) => "not valid (strict: warnings count)",
        (false, false) => "not valid",
    };
    let left_out = match report.left_out() {
        0 => String::new(),
        more => format!("The first {} flaws are shown, {more} more are not.\n", report.flaws.len()),
    };
    let unexamined = match report.unexamined {
        0 => String::new(),
        more => format!("{} after them not looked at: mend these first.\n", plural(more, "model")),
    };
    format!("{left_out}{unexamined}{name}: {verdict}: {}\n", counted.join(", "))
}

fn plural(count: usize, noun: &str) -> String {
    format!("{count} {noun}{}", if count == 1 { "" } else { "s" })
}
