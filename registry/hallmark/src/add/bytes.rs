//! A file's digest, size and header, all of the same bytes.

use std::{
    fs::{File, Metadata},
    os::unix::fs::MetadataExt as _,
    path::Path,
};

use anyhow::{Context as _, bail, ensure};
use base::Sha256;
use vault::inspect::{Inspected, inspect_reader};

/// What a file turned out to be.
#[derive(Clone, Debug)]
pub(crate) struct Measured {
    pub(crate) digest: Sha256,
    pub(crate) size_bytes: u64,
    pub(crate) inspected: Inspected,
}

/// Hashes a file in one pass and looks at its header. One that changes meanwhile is refused.
pub(crate) fn measure(path: &Path) -> anyhow::Result<Measured> {
    let shown = path.display();
    let file = File::open(path).with_context(|| format!("open {shown}"))?;
    let before = file.metadata().with_context(|| format!("look at {shown}"))?;
    ensure!(before.is_file(), "{shown} is no regular file: name the file that the training left");
    let (digest, size_bytes) = Sha256::of_reader(&file).with_context(|| format!("read {shown}"))?;
    let name = path.file_name().map_or_else(String::new, |it| it.to_string_lossy().into_owned());
    use_from_start(&file).with_context(|| format!("read {shown} again"))?;
    let inspected =
        inspect_reader(&file, size_bytes, &name).with_context(|| format!("look inside {shown}"))?;
    let after = file.metadata().with_context(|| format!("look at {shown}"))?;
    let named = path.metadata().with_context(|| format!("look at {shown} again"))?;
    if size_bytes != before.len() || state(&before) != state(&after) || state(&after) != state(&named) {
        bail!("{shown} changed while it was hashed: wait until whatever writes it is done, then try again");
    }
    Ok(Measured { digest, size_bytes, inspected })
}

fn use_from_start(mut file: &File) -> std::io::Result<()> {
    use std::io::{Seek as _, SeekFrom};
    file.seek(SeekFrom::Start(0)).map(drop)
}

/// What is different afterwards if somebody wrote to the file or put another one in its place.
fn state(metadata: &Metadata) -> (u64, u64, u64, i64, i64, i64, i64) {
    let it = metadata;
    (it.dev(), it.ino(), it.len(), it.mtime(), it.mtime_nsec(), it.ctime(), it.ctime_nsec())
}
