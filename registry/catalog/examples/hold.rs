//! Takes an index into memory as the daemon does, and ends: `tests/bench/catalog` looks at what that takes.

use std::{env, error::Error, path::PathBuf};

use catalog::{Contract, check, watch::read_index_file};

fn main() -> Result<(), Box<dyn Error>> {
    let path = env::args_os().nth(1).map(PathBuf::from).ok_or("which index?")?;
    let bytes = read_index_file(&path)?;
    let index = check(&bytes, &Contract::ours()).index.ok_or("the index does not hold")?;
    // What was read is let go, as after a reload; the index stays.
    drop(bytes);
    let entries = index.entries().len();
    if entries == 0 { Err("there is nothing in it".into()) } else { Ok(()) }
}
