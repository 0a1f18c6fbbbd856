//! Texts of entries in Markdown: shown as they are, never obeyed.
//!
//! Entries are made from training logs and flags, so they may hold anything: markup, mentions of people, commands to
//! bots, characters that turn the direction of reading.

/// How long a text may be in a table.
const CHARS_MAX: usize = 300;
/// How long a description may be.
const PROSE_CHARS_MAX: usize = 2_000;

/// Writes a text as code, on one line, fit for a table.
pub(super) fn code(text: &str) -> String {
    let text = plain(text, CHARS_MAX);
    if text.is_empty() {
        return "–".to_owned();
    }
    let fence = "`".repeat(longest_run(&text) + 1);
    // A text that begins or ends with a backtick needs room, which Markdown takes away again.
    let room = if text.starts_with('`') || text.ends_with('`') { " " } else { "" };
    // In a table the bar has to be escaped even in code.
    format!("{fence}{room}{}{room}{fence}", text.replace('|', "\\|"))
}

/// Writes a text as prose, on one line.
pub(super) fn prose(text: &str) -> String {
    let mut shown = String::new();
    for it in plain(text, PROSE_CHARS_MAX).chars() {
        match it {
            // A mention or a reference needs its word right behind.
            '@' | '#' | '!' => shown.extend(['\\', it, '\u{200b}']),
            // These make neither markup nor links where they stand alone.
            '.' | ',' | ';' | '\'' | '"' | '(' | ')' | '-' | '/' | '?' | '%' | '=' => shown.push(it),
            _ if it.is_ascii_punctuation() => shown.extend(['\\', it]),
            _ => shown.push(it),
        }
    }
    // Bare addresses become links by themselves.
    shown.replace("www.", "www\u{200b}.").replace("\\://", "\\:\u{200b}//")
}

/// Writes a web address as a link, and anything else as code.
pub(super) fn link(url: &str) -> String {
    let is_web = url.starts_with("https://") || url.starts_with("http://");
    let harmless =
        |it: char| it.is_ascii_graphic() && !matches!(it, '<' | '>' | '|' | '`' | '\\' | '*' | '"');
    if is_web && url.len() <= CHARS_MAX && url.chars().all(harmless) { format!("<{url}>") } else { code(url) }
}

/// Cuts a text, puts it on one line, and shows what cannot be seen.
fn plain(text: &str, chars_max: usize) -> String {
    let shown = |it: char| match it {
        '\n' | '\r' | '\t' => ' ',
        _ if it.is_control() || is_steering(it) => '\u{fffd}',
        _ => it,
    };
    let mut line = text.trim().chars().take(chars_max).map(shown).collect::<String>();
    if text.trim().chars().nth(chars_max).is_some() {
        line.push('…');
    }
    line
}

/// Says whether a character cannot be seen and changes how others are read.
fn is_steering(it: char) -> bool {
    matches!(it, '\u{200b}'..='\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2060}'..='\u{206f}' | '\u{feff}')
}

fn longest_run(text: &str) -> usize {
    text.split(|it| it != '`').map(str::len).max().unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn code_holds_whatever_it_is_given() {
        let check = |text: &str, shown: &str| assert_eq!(code(text), shown, "{text:?}");
        check("train --lr 1e-4", "`train --lr 1e-4`");
        check("", "–");
        check("a|b", "`a\\|b`");
        check("a`b", "``a`b``");
        check("``", "``` `` ```");
        check("two\nlines", "`two lines`");
        check("\u{202e}evil\u{7}", "`\u{fffd}evil\u{fffd}`");
        assert_eq!(code(&"x".repeat(400)).chars().count(), CHARS_MAX + 3);
    }

    #[test]
    fn prose_is_no_markup_no_mention_and_no_link() {
        let check = |text: &str, shown: &str| assert_eq!(prose(text), shown, "{text:?}");
        check("A calm model.", "A calm model.");
        check("<b>*x*</b> [y](z)", "\\<b\\>\\*x\\*\\</b\\> \\[y\\](z)");
        check("@ada fixes #12", "\\@\u{200b}ada fixes \\#\u{200b}12");
        check("see https://a.b and www.c.d", "see https\\:\u{200b}//a.b and www\u{200b}.c.d");
    }

    #[test]
    fn only_a_plain_web_address_becomes_a_link() {
        assert_eq!(link("https://example.org/a?b=c"), "<https://example.org/a?b=c>");
        assert_eq!(link("javascript:alert(1)"), "`javascript:alert(1)`");
        assert_eq!(link("https://x/>|<b>"), "`https://x/>\\|<b>`");
    }
}
