//! Tables in Markdown, of cells that are escaped already.

use std::fmt::Write as _;

use super::ROWS_MAX;

/// Writes a table; rows beyond what anybody reads are counted.
pub(super) fn table(heads: &[&str], rows: impl IntoIterator<Item = Vec<String>>) -> String {
    let line = |cells: &[String]| format!("| {} |\n", cells.join(" | "));
    let heads = heads.iter().map(|it| (*it).to_owned()).collect::<Vec<_>>();
    let mut text = line(&heads) + &line(&vec!["---".to_owned(); heads.len()]);
    let mut left_out = 0_usize;
    for (number, row) in rows.into_iter().enumerate() {
        if number < ROWS_MAX {
            text.push_str(&line(&row));
        } else {
            left_out += 1;
        }
    }
    if left_out > 0 {
        // Writing to a string cannot fail.
        let _ = writeln!(text, "\n{left_out} more are not shown.");
    }
    text
}
