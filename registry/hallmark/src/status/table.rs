//! The table that a person reads at a glance. Pure: the width, the colours and the time are given.

use base::UnixSeconds;
use console::{Term, measure_text_width, truncate_str};
use indicatif::HumanBytes;

use super::Row;
use crate::{
    out::{self, Tone},
    state::State,
};

/// Between two columns.
const GAP: &str = "  ";
/// With less room than that beside the other columns, reasons stand below them.
const WHY_WIDTH_MIN: usize = 30;
const HEAD: [&str; 6] = ["ID", "VERSION", "STATE", "SIZE", "PROGRESS", "WHY"];

/// What a table is drawn on.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Sheet {
    /// How many columns there are; nothing is cut where it is not known, as in a pipe.
    pub(crate) width: Option<usize>,
    /// How many lines a reason may take.
    pub(crate) why_lines_max: usize,
    pub(crate) in_colour: bool,
}

impl Sheet {
    /// Returns the sheet that standard output is.
    pub(crate) fn of_terminal() -> Self {
        let term = Term::stdout();
        let width = term.is_term().then(|| term.size_checked()).flatten();
        Self {
            width: width.map(|(_, columns)| columns.into()),
            why_lines_max: 4,
            in_colour: out::in_colour(),
        }
    }

    /// Draws the rows under a head.
    pub(crate) fn table(&self, rows: &[Row], now: UnixSeconds) -> String {
        if rows.is_empty() {
            return "the index has no models\n".to_owned();
        }
        let cells = rows.iter().map(|it| (cells(it, now), Some(it.state))).collect::<Vec<_>>();
        let has_progress = rows.iter().any(|it| it.progress.is_some());
        let columns = [true, true, true, true, has_progress];
        let lines = std::iter::once((HEAD.map(str::to_owned), None)).chain(cells).collect::<Vec<_>>();
        let width = |at: usize| lines.iter().map(|(it, _)| measure_text_width(&it[at])).max().unwrap_or(0);
        let widths = std::array::from_fn::<_, 5, _>(|at| columns[at].then(|| width(at)));
        lines.iter().map(|(cells, state)| self.line(cells, *state, widths)).collect()
    }

    fn line(&self, cells: &[String; 6], state: Option<State>, widths: [Option<usize>; 5]) -> String {
        let mut line = String::new();
        for (at, width) in widths.iter().enumerate() {
            let Some(width) = width else { continue };
            let pad = " ".repeat(width - measure_text_width(&cells[at]));
            let text = match state.filter(|_| self.in_colour && at == 2) {
                Some(state) => out::paint(tone(state), &cells[at]),
                None => cells[at].clone(),
            };
            // Sizes are compared by their right ends.
            let cell = if at == 3 { format!("{pad}{text}") } else { format!("{text}{pad}") };
            line = line + &cell + GAP;
        }
        let before = widths.iter().flatten().map(|it| it + GAP.len()).sum::<usize>();
        let Some(width) = self.width else {
            return format!("{line}{}", cells[5]).trim_end().to_owned() + "\n";
        };
        let beside = width.saturating_sub(before);
        let (indent, room) = if beside >= WHY_WIDTH_MIN { (before, beside) } else { (4, width.max(12) - 4) };
        let whys = wrap(&cells[5], room, self.why_lines_max);
        let mut text = line.trim_end().to_owned();
        for (number, why) in whys.iter().enumerate() {
            if number == 0 && indent == before {
                text = line.clone() + why;
            } else {
                text = text + "\n" + &" ".repeat(indent) + why;
            }
        }
        text + "\n"
    }
}

fn cells(row: &Row, now: UnixSeconds) -> [String; 6] {
    let unverified = if row.verified == Some(false) { " UNVERIFIED" } else { "" };
    let progress = row.progress.as_ref();
    let percent = |bytes: u64, of: u64| u128::from(bytes) * 100 / u128::from(of.max(1));
    [
        row.id.clone(),
        row.version.clone().unwrap_or_default(),
        format!("{}{unverified}", row.state.name()),
        row.size_bytes.map(|it| HumanBytes(it).to_string()).unwrap_or_default(),
        progress.map(|it| format!("{} %", percent(it.bytes, it.size_bytes))).unwrap_or_default(),
        why(row, now),
    ]
}

fn why(row: &Row, now: UnixSeconds) -> String {
    let phase = row.progress.as_ref().and_then(|it| it.phase.clone());
    let again = row.retry_at.map(|at| again(at, now));
    let whys = row.why.iter().map(|it| one_line(it));
    phase.into_iter().chain(whys).chain(again).collect::<Vec<_>>().join("; ")
}

/// Says when it is tried again.
pub(crate) fn again(at: UnixSeconds, now: UnixSeconds) -> String {
    match at.since(now).as_secs() {
        0 => "again now".to_owned(),
        seconds @ 1..=119 => format!("again in {seconds} s"),
        seconds @ 120..=7199 => format!("again in {} min", seconds / 60),
        seconds => format!("again in {} h", seconds / 3600),
    }
}

/// Puts a reason on one line. That no source gave the file is clear from the state; what each said is not.
pub(crate) fn one_line(why: &str) -> String {
    let mut lines = why.lines().map(str::trim).collect::<Vec<_>>();
    if lines.len() > 1 && lines[0].starts_with("no source gave") {
        lines.remove(0);
    }
    lines.join("; ")
}

/// Breaks a text into lines at its spaces; what does not fit in so many lines is cut, and shows it.
fn wrap(text: &str, width: usize, lines_max: usize) -> Vec<String> {
    let mut lines: Vec<String> = Vec::new();
    for word in text.split(' ') {
        let count = lines.len();
        match lines.last_mut() {
            Some(line) if measure_text_width(line) + 1 + measure_text_width(word) <= width => {
                *line = format!("{line} {word}");
            }
            Some(line) if count == lines_max => {
                *line = truncate_str(&format!("{line} {word} …"), width, "…").into_owned();
                break;
            }
            _ => lines.push(truncate_str(word, width, "…").into_owned()),
        }
    }
    lines.retain(|it| !it.is_empty());
    lines
}

/// Returns how a state is coloured.
pub(crate) fn tone(state: State) -> Tone {
    match state {
        State::Deployed => Tone::Good,
        State::Failed | State::Quarantined => Tone::Bad,
        State::Held | State::Missing | State::Withdrawn => Tone::Doubtful,
        State::Queued | State::Fetching => Tone::Busy,
        State::Stub | State::Available => Tone::Quiet,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::status::row::Progress;

    fn rows() -> Vec<Row> {
        let why = "no source gave m/model.bin\n  https://hub/m: 503 Service Unavailable";
        vec![
            Row {
                version: Some("1.0.0".to_owned()),
                size_bytes: Some(2048),
                verified: Some(true),
                ..Row::bare("ajna-good-v1".to_owned(), State::Deployed)
            },
            Row {
                version: Some("2.0.0".to_owned()),
                size_bytes: Some(1 << 20),
                why: vec![why.to_owned()],
                retry_at: Some(UnixSeconds(140)),
                ..Row::bare("ajna-flaky-v2".to_owned(), State::Failed)
            },
        ]
    }

    fn sheet(width: Option<usize>) -> Sheet {
        Sheet { width, why_lines_max: 2, in_colour: false }
    }

    #[test]
    fn a_reason_stands_on_its_models_line_where_nothing_limits_it() {
        let expected = "\
ID             VERSION  STATE         SIZE  WHY
ajna-good-v1   1.0.0    deployed  2.00 KiB
ajna-flaky-v2  2.0.0    failed    1.00 MiB  https://hub/m: 503 Service Unavailable; again in 40 s
";
        assert_eq!(sheet(None).table(&rows(), UnixSeconds(100)), expected);
    }

    #[test]
    fn a_reason_is_wrapped_beside_the_columns_or_below_them_and_what_is_cut_shows() {
        let text = sheet(Some(76)).table(&rows(), UnixSeconds(100));
        let expected = "\
ajna-flaky-v2  2.0.0    failed    1.00 MiB  https://hub/m: 503 Service
                                            Unavailable; again in 40 s
";
        assert!(text.ends_with(expected), "{text}");
        let text = sheet(Some(34)).table(&rows(), UnixSeconds(100));
        assert!(
            text.ends_with("1.00 MiB\n    https://hub/m: 503 Service\n    Unavailable; again in 40 s\n"),
            "{text}"
        );
        let cut = wrap("one two three four five", 9, 2);
        assert_eq!(cut, ["one two", "three fo…"]);
    }

    #[test]
    fn what_comes_shows_how_far_it_is() {
        let mut rows = rows();
        rows[1].state = State::Fetching;
        rows[1].why.clear();
        rows[1].retry_at = None;
        let phase = Some("from https://hub".to_owned());
        rows[1].progress = Some(Progress { bytes: 1 << 19, size_bytes: 1 << 20, phase });
        let text = sheet(None).table(&rows, UnixSeconds(100));
        assert!(text.contains("PROGRESS  WHY\n"), "{text}");
        assert!(text.ends_with("fetching  1.00 MiB  50 %      from https://hub\n"), "{text}");
    }

    #[test]
    fn the_next_try_is_told_in_words() {
        let check = |at: u64, expected: &str| assert_eq!(again(UnixSeconds(at), UnixSeconds(1000)), expected);
        check(900, "again now");
        check(1040, "again in 40 s");
        check(1000 + 600, "again in 10 min");
        check(1000 + 3 * 3600, "again in 3 h");
    }
}
