//! The report as one remark: begins with a mark by which it is found again, and ends before it is too long for a forge.

use base::ModelId;

/// What the remark begins with. Nobody sees it.
pub(super) const MARK: &str = "<!-- hallmark review -->";

/// How long a remark may be: GitHub takes 65,536 characters.
const CHARS_MAX: usize = 60_000;

/// The report as far as it is written.
pub(super) struct Page {
    text: String,
    length: usize,
    left_out: usize,
}

impl Page {
    pub(super) fn new() -> Self {
        let mut page = Self { text: String::new(), length: 0, left_out: 0 };
        page.say(&format!("{MARK}\n## Changes of the index\n\n"));
        page
    }

    /// Adds a text, if there is room.
    pub(super) fn say(&mut self, text: &str) {
        self.length += text.chars().count();
        self.text.push_str(text);
    }

    /// Says what changes as a whole.
    pub(super) fn open(&mut self, changed: &[&ModelId], removed: &[ModelId]) {
        if changed.is_empty() && removed.is_empty() {
            self.say("No entry is new or says something else.\n");
        }
        let named = |ids: Vec<&ModelId>| {
            let shown = ids.iter().take(50).map(|it| format!("`{it}`")).collect::<Vec<_>>().join(", ");
            if ids.len() > 50 { format!("{shown} and {} more", ids.len() - 50) } else { shown }
        };
        if !removed.is_empty() {
            let text = format!("Removes {}.\n", named(removed.iter().collect()));
            self.say(&text);
        }
        if changed.len() > 1 {
            let text = format!("New or changed: {}.\n", named(changed.to_vec()));
            self.say(&text);
        }
    }

    /// Adds what is known of an entry, whole or not at all.
    pub(super) fn entry(&mut self, text: &str) {
        if self.length + text.chars().count() > CHARS_MAX {
            self.left_out += 1;
        } else {
            self.say("\n");
            self.say(text);
        }
    }

    /// Returns the report.
    pub(super) fn text(&self) -> String {
        if self.left_out == 0 {
            return self.text.clone();
        }
        format!(
            "{}\n{} more entries are not shown: the remark would be too long.\n",
            self.text, self.left_out
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_does_not_fit_is_counted() {
        let mut page = Page::new();
        for _ in 0..10 {
            page.entry(&"x".repeat(10_000));
        }
        let text = page.text();
        assert!(text.starts_with(MARK) && text.chars().count() < 65_536);
        assert!(
            text.ends_with("5 more entries are not shown: the remark would be too long.\n"),
            "{}",
            page.left_out
        );
    }
}
