//! `hallmark lineage eval --batch`: cases in, results out, one a line, in order, while they come.

use std::{
    io::{self, BufWriter, Write as _},
    path::Path,
};

use anyhow::Context as _;

use super::events::Lines;
use crate::Outcome;

pub(super) fn run(path: &Path) -> anyhow::Result<Outcome> {
    if path == Path::new("-") { answer(Lines::of(io::stdin().lock())) } else { answer(Lines::open(path)?) }
}

fn answer(mut lines: Lines<impl io::BufRead>) -> anyhow::Result<Outcome> {
    let mut stdout = BufWriter::new(io::stdout().lock());
    while let Some((number, line)) = lines.next()? {
        let result = ::lineage::case::run_line(line).with_context(|| format!("case in line {number}"));
        let written = match result {
            Ok(result) => writeln!(stdout, "{result}").and_then(|()| stdout.flush()),
            Err(error) => {
                // What was answered so far stays answered.
                let _ = stdout.flush();
                return Err(error);
            }
        };
        match written {
            Err(error) if error.kind() == io::ErrorKind::BrokenPipe => return Ok(Outcome::Holds),
            result => result.context("write to standard output")?,
        }
    }
    Ok(Outcome::Holds)
}
