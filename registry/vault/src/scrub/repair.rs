//! Mending a damaged object from good pieces.

use std::{
    fs::{self, File, OpenOptions},
    io::{self, Read as _, Seek as _, SeekFrom},
    os::unix::fs::{FileExt as _, OpenOptionsExt as _},
    path::PathBuf,
};

use base::Sha256;

use crate::{
    CHUNK_BYTES, DiskError, Object, Quarantined, Shelf, VerifyError,
    chunks::span,
    durable::{self, at},
};

/// A copy of a damaged object that is being mended. Dropped before [`Repair::finish`], it leaves nothing behind.
#[derive(Debug)]
pub struct Repair {
    shelf: Shelf,
    damaged: Quarantined,
    size_bytes: u64,
    list: Option<crate::chunks::ChunkList>,
    copy: File,
    path: PathBuf,
}

/// Why an object was not mended. The shelf is as it was.
#[derive(Debug, thiserror::Error)]
pub enum RepairError {
    /// The piece that was fetched is wrong as well. Try another source for it.
    #[error("piece {index} of {digest} is not the right one; its source has other bytes")]
    WrongPiece {
        /// Which object.
        digest: Sha256,
        /// Which piece of it.
        index: usize,
    },
    /// With all pieces in place the whole is still another. Fetch the object from its start.
    #[error("{digest} cannot be mended: with the new pieces its bytes are {found}; fetch the whole again")]
    StillDamaged {
        /// Which object.
        digest: Sha256,
        /// What its mended bytes are.
        found: Sha256,
    },
    /// The disk said no.
    #[error(transparent)]
    Disk(#[from] DiskError),
}

impl Repair {
    /// Copies the damaged bytes, sharing them where the file system can.
    pub fn begin(shelf: &Shelf, damaged: &Quarantined) -> Result<Self, RepairError> {
        let from = shelf.quarantined_path(&damaged.promised, &damaged.found);
        let source = File::open(&from).map_err(at("open the damaged", &from))?;
        let path = durable::temporary(&shelf.partials());
        let copy = OpenOptions::new().read(true).write(true).create_new(true).mode(0o600).open(&path);
        let copy = copy.map_err(at("make", &path))?;
        let list = shelf.chunks(&damaged.promised)?;
        let (shelf, damaged, size_bytes) = (shelf.clone(), damaged.clone(), damaged.promised_size_bytes);
        let repair = Self { shelf, damaged, size_bytes, list, copy, path };
        if rustix::fs::ioctl_ficlone(&repair.copy, &source).is_err() {
            // No shared extents here (or another reason that a plain copy will name).
            io::copy(&mut &source, &mut &repair.copy)
                .map_err(at("copy the damaged bytes to", &repair.path))?;
        }
        repair.copy.set_len(size_bytes).map_err(at("set the size of", &repair.path))?;
        Ok(repair)
    }

    /// Puts a good piece in place.
    pub fn patch(&mut self, index: usize, bytes: &[u8]) -> Result<(), RepairError> {
        let digest = self.damaged.promised;
        if index == 0 && self.list.is_none() && Sha256::of(bytes) == digest {
            // The piece is the whole. How long that is, nobody knew: what was cut has no list to tell.
            self.size_bytes = bytes.len() as u64;
            self.copy.set_len(self.size_bytes).map_err(at("set the size of", &self.path))?;
        }
        let wrong = || RepairError::WrongPiece { digest, index };
        let place = span(self.size_bytes, index).ok_or_else(wrong)?;
        // Without a list nobody can tell until the whole is hashed.
        let other = self.list.as_ref().is_some_and(|it| !it.holds(index, bytes));
        if other || bytes.len() as u64 != place.end - place.start {
            return Err(wrong());
        }
        self.copy.write_all_at(bytes, place.start).map_err(at("write", &self.path))?;
        Ok(())
    }

    /// Hashes the whole again and puts it back on the shelf, where every view finds it.
    pub fn finish(self) -> Result<Object, RepairError> {
        let (promised, size_bytes) = (self.damaged.promised, self.size_bytes);
        self.copy.sync_all().map_err(at("sync", &self.path))?;
        match crate::verify_file(&self.path, promised, size_bytes) {
            Ok(verified) => {
                let object = self.shelf.place(verified)?;
                self.shelf.release(&self.damaged)?;
                Ok(object)
            }
            Err(VerifyError::Refused(refused)) => {
                Err(RepairError::StillDamaged { digest: promised, found: refused.found })
            }
            Err(VerifyError::Read { path, source }) => {
                Err(DiskError::Io { doing: "read", path, source }.into())
            }
        }
    }
}

impl Drop for Repair {
    fn drop(&mut self) {
        // Gone already when the repair succeeded; what stays by another mishap ages out with the partials.
        if let Err(error) = fs::remove_file(&self.path)
            && error.kind() != io::ErrorKind::NotFound
        {
            tracing::debug!(path = %self.path.display(), %error, "A copy stays until gc");
        }
    }
}

/// Names the wrong pieces of damaged bytes, or returns `None` where no chunk list tells.
///
/// None are wrong where the bytes only have something appended: then a repair needs no piece at all.
pub fn damaged_chunks(shelf: &Shelf, damaged: &Quarantined) -> Result<Option<Vec<usize>>, DiskError> {
    if damaged.promised_size_bytes <= CHUNK_BYTES {
        // One piece, which is the whole.
        return Ok(Some(vec![0]));
    }
    let Some(list) = shelf.chunks(&damaged.promised)? else { return Ok(None) };
    let path = shelf.quarantined_path(&damaged.promised, &damaged.found);
    let mut file = File::open(&path).map_err(at("open the damaged", &path))?;
    let mut buffer = vec![0; super::BUFFER_BYTES];
    let mut wrong = Vec::new();
    for index in 0.. {
        let (Some(place), Some(mut chunk)) = (list.span(index), list.begin(index)) else { break };
        file.seek(SeekFrom::Start(place.start)).map_err(at("seek in", &path))?;
        let mut piece = (&mut file).take(place.end - place.start);
        loop {
            match piece.read(&mut buffer).map_err(at("read", &path))? {
                0 => break,
                length => chunk.update(&buffer[..length]),
            }
        }
        if !list.ends(index, chunk) {
            wrong.push(index);
        }
    }
    Ok(Some(wrong))
}
