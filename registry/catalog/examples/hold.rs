//! Takes an index into memory as the daemon does, and ends: `tests/bench/catalog` looks at what that takes.

use std::{env, error::Error, path::PathBuf};

use catalog::{Contract, Hashed, check_again, watch::read_index_file};

fn main() -> Result<(), Box<dyn Error>> {
    let path = env::args_os().nth(1).map(PathBuf::from).ok_or("which index?")?;
    let found = Hashed::of(read_index_file(&path)?);
    let index = check_again(found, &Contract::ours(), None).index.ok_or("the index does not hold")?;
    let entries = index.entries().len();
    if entries == 0 { Err("there is nothing in it".into()) } else { Ok(()) }
}
