//! Times what a reload is made of, for `tests/bench/reload`: one line for each step, the wall clock's milliseconds and
//! those of this process on all cores together.

use std::{
    env,
    error::Error,
    path::PathBuf,
    time::{Duration, Instant},
};

use catalog::{Checked, Contract, Hashed, check_again, diff, watch::read_index_file};
use rustix::time::{ClockId, clock_gettime};

fn main() -> Result<(), Box<dyn Error>> {
    let arguments = env::args_os().skip(1).collect::<Vec<_>>();
    let [before, after, rounds] = &arguments[..] else {
        return Err("usage: reload BEFORE AFTER ROUNDS".into());
    };
    let (before, after) = (PathBuf::from(before), PathBuf::from(after));
    let rounds: usize = rounds.to_string_lossy().parse()?;
    let contract = Contract::ours();
    for _ in 0..rounds {
        let bytes = time("read", || read_index_file(&before))?;
        let found = time("sha256", || Hashed::of(bytes));
        let old = time("full check", || check_again(found, &contract, None));
        let found = Hashed::of(read_index_file(&after)?);
        let new = time("check again", || check_again(found, &contract, Some(&old)));
        let (Checked { index: Some(old), .. }, Checked { index: Some(new), .. }) = (&old, &new) else {
            return Err("an index does not hold".into());
        };
        let changes = time("diff", || diff(old, new));
        if changes.is_empty() {
            return Err("nothing changed".into());
        }
    }
    Ok(())
}

#[expect(clippy::print_stdout, reason = "the figures are what this program is for")]
fn time<T>(what: &str, step: impl FnOnce() -> T) -> T {
    let (started, worked) = (Instant::now(), worked());
    let result = step();
    let (took, work) = (started.elapsed(), self::worked().saturating_sub(worked));
    println!("{what}\t{:.3}\t{:.3}", took.as_secs_f64() * 1e3, work.as_secs_f64() * 1e3);
    result
}

/// Returns the time that this process has spent on processors.
fn worked() -> Duration {
    let spent = clock_gettime(ClockId::ProcessCPUTime);
    Duration::new(spent.tv_sec.unsigned_abs(), u32::try_from(spent.tv_nsec).unwrap_or_default())
}
