//! The listing of a snapshot that clients from 1.18 on keep for themselves.
//!
//! Without it, clients of the 1.x line that are offline and are asked for a snapshot by its commit try to fetch
//! the listing and fail, although every file is there. It says of each file what the hub says of large ones: the
//! sha256 and the size, and as blob id that of the pointer that stands for such a file in git.

use serde_json::{Map, Value, json};

use super::{
    Snapshot,
    repo::{git_id, lfs_pointer},
};
use crate::view::ViewFile;

/// Returns the listing, the same bytes for the same files.
pub(super) fn listing(snapshot: &Snapshot) -> Vec<u8> {
    let file = |it: &ViewFile| {
        let (digest, size_bytes) = (it.digest().to_string(), it.size_bytes());
        let about = json!({ "size": size_bytes, "blob_id": pointer(it), "lfs_sha256": digest, "lfs_size": size_bytes });
        (it.path().to_string(), about)
    };
    let files = snapshot.files.iter().map(file).collect::<Map<String, Value>>();
    json!({ "format_version": 1, "files": files }).to_string().into_bytes()
}

/// Returns the git blob id of a large file's pointer.
fn pointer(file: &ViewFile) -> String {
    git_id("blob", lfs_pointer(&file.digest(), file.size_bytes()).as_bytes()).to_string()
}
