//! Takes bytes from this machine: a named file, or a folder whose files are known by their digest.

use std::{
    fs::{self, File},
    io,
    ops::Range,
    os::unix::fs::FileExt as _,
    path::{Path, PathBuf},
    sync::Arc,
};

use base::Sha256;
use bytes::Bytes;
use tokio::task::spawn_blocking;

use crate::{
    fault::{Fault, Shown, SourceError},
    scribe::Scribe,
    want::Want,
};

const READ_BYTES: u64 = 1 << 20;
const DEPTH_MAX: usize = 8;
const ENTRIES_MAX: usize = 100_000;

/// Copies what is missing from a file.
pub(crate) async fn copy(path: &Path, want: &Want, scribe: &Scribe) -> Result<(), Fault> {
    let local = |source| Fault::Final(SourceError::Local { path: path.into(), source });
    let opened = path.to_path_buf();
    let file = spawn_blocking(move || File::open(opened)).await.map_err(io::Error::other);
    let file = Arc::new(file.and_then(|it| it).map_err(local)?);
    let size = file.metadata().map_err(local)?.len();
    if size != want.size_bytes {
        let url = url::Url::from_file_path(path).map(|it| Shown::of(&it));
        let url = url.map_err(|()| local(io::Error::other("not an absolute path")))?;
        return Err(Fault::Final(SourceError::Announced { url, size_bytes: Some(size), digest: None }));
    }
    let mut next = 0;
    while let Some(gap) = scribe.gap(next, READ_BYTES) {
        let (file, at) = (Arc::clone(&file), gap.start);
        let mut buffer = vec![0; usize::try_from(gap.end - gap.start).unwrap_or(usize::MAX)];
        let read = spawn_blocking(move || file.read_exact_at(&mut buffer, at).map(|()| buffer)).await;
        let bytes = read.map_err(io::Error::other).and_then(|it| it).map_err(local)?;
        scribe.put(at, Bytes::from(bytes)).await?;
        next = gap.end;
    }
    Ok(())
}

/// Finds the file of a folder that has the promised digest, whatever its name is.
pub(crate) async fn find_seed(folder: &Path, want: &Want) -> Result<PathBuf, Fault> {
    let (root, digest, size) = (folder.to_path_buf(), want.digest, want.size_bytes);
    let found = spawn_blocking(move || search(&root, digest, size)).await;
    let found = found.map_err(io::Error::other).and_then(|it| it);
    let local = |source| Fault::Final(SourceError::Local { path: folder.into(), source });
    match found.map_err(local)? {
        (Some(path), _) => Ok(path),
        (None, candidates) => Err(Fault::Final(SourceError::NoSeed { folder: folder.into(), candidates })),
    }
}

fn search(root: &Path, digest: Sha256, size: u64) -> io::Result<(Option<PathBuf>, usize)> {
    let mut candidates = 0;
    for path in files_of_size(root, size)? {
        candidates += 1;
        // A candidate that cannot be read is no seed; the count tells that there was one.
        if let Ok((found, _)) = File::open(&path).and_then(Sha256::of_reader)
            && found == digest
        {
            return Ok((Some(path), candidates));
        }
    }
    Ok((None, candidates))
}

/// Walks a folder within bounds and returns its files of one size, in the order of their names. Links are followed,
/// since folders of the Nix store are made of them; a seed may be a single file too.
fn files_of_size(root: &Path, size: u64) -> io::Result<Vec<PathBuf>> {
    let (mut found, mut seen) = (Vec::new(), 0);
    let standing = fs::metadata(root)?;
    if standing.is_file() {
        return Ok(if standing.len() == size { vec![root.to_path_buf()] } else { found });
    }
    let mut folders = vec![(root.to_path_buf(), 0)];
    while let Some((folder, depth)) = folders.pop() {
        for entry in fs::read_dir(&folder)? {
            let entry = entry?;
            seen += 1;
            if seen > ENTRIES_MAX {
                return Err(io::Error::other(format!(
                    "more than {ENTRIES_MAX} files: name a smaller seed folder"
                )));
            }
            // A link that leads nowhere is no seed. One that leads in a circle ends at the bounds.
            let Ok(standing) = fs::metadata(entry.path()) else { continue };
            if standing.is_dir() && depth < DEPTH_MAX {
                folders.push((entry.path(), depth + 1));
            } else if standing.is_file() && standing.len() == size {
                found.push(entry.path());
            }
        }
    }
    found.sort_unstable();
    Ok(found)
}

/// Reads a short range of a file.
pub(crate) async fn read_span(path: &Path, span: &Range<u64>) -> Result<Bytes, Fault> {
    let (opened, span) = (path.to_path_buf(), span.clone());
    let read = spawn_blocking(move || {
        let mut buffer = vec![0; usize::try_from(span.end - span.start).unwrap_or(usize::MAX)];
        File::open(opened)?.read_exact_at(&mut buffer, span.start).map(|()| buffer)
    });
    let read = read.await.map_err(io::Error::other).and_then(|it| it);
    read.map(Bytes::from).map_err(|source| Fault::Final(SourceError::Local { path: path.into(), source }))
}
