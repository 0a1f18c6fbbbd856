//! The shelf: where verified objects stand, each under its digest.
//!
//! - Only [`Shelf::place`] puts an object here, and it takes nothing but a [`Verified`].
//! - An object appears and leaves by one rename; it is never written to. To look for it is one `stat`.
//! - Unverified bytes stand under `unverified/`, as another type, so that nothing serves them by mistake.
//!
//! ```text
//! objects/sha256/<aa>/<hex>     0440, the bytes            partials/      downloads, and files that are being written
//! chunks/<aa>/<hex>             to check pieces alone      quarantine/    bytes that are not what was promised
//! unverified/<aa>/<hex>         never served               leases/<hex>   file locks of readers; the last use
//! <model id>/…                  views: links into objects
//! ```

use std::{
    fs::{self, File, Permissions},
    io,
    os::unix::fs::PermissionsExt as _,
    path::{Path, PathBuf},
};

use base::Sha256;

use crate::{
    DiskError, Unverified, Verified,
    durable::{self, at},
    lease,
};

/// Readable for the services in the store's group, writable for nobody.
pub(crate) const FILE_MODE: u32 = 0o440;
/// Folders that the group may walk.
pub(crate) const FOLDER_MODE: u32 = 0o750;
/// Folders that are nobody else's business.
const PRIVATE_MODE: u32 = 0o700;

const OBJECTS: &str = "objects";
const CHUNKS: &str = "chunks";
const PARTIALS: &str = "partials";
const QUARANTINE: &str = "quarantine";
const LEASES: &str = "leases";
const UNVERIFIED: &str = "unverified";

/// Names in the store's folder that no model may have, since the shelf itself needs them.
pub const RESERVED: [&str; 6] = [OBJECTS, CHUNKS, PARTIALS, QUARANTINE, LEASES, UNVERIFIED];

/// The store's folder. Several processes may have it open at once.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Shelf {
    root: PathBuf,
}

/// Verified bytes under their digest.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Object {
    digest: Sha256,
    size_bytes: u64,
    path: PathBuf,
}

/// Bytes that nobody proved, under the digest that was found. For this host alone, never to be served.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Loose {
    digest: Sha256,
    size_bytes: u64,
    path: PathBuf,
}

impl Shelf {
    /// Opens the store's folder, and makes what is missing of it.
    pub fn open(root: impl AsRef<Path>) -> Result<Self, DiskError> {
        let root = root.as_ref();
        durable::folder(root, FOLDER_MODE)?;
        // Links between folders are computed from this path, so it must be the one that the kernel resolves.
        let root = root.canonicalize().map_err(at("find", root))?;
        for name in [OBJECTS, CHUNKS, UNVERIFIED, LEASES] {
            durable::folder(&root.join(name), FOLDER_MODE)?;
        }
        for name in [PARTIALS, QUARANTINE] {
            durable::folder(&root.join(name), PRIVATE_MODE)?;
        }
        Ok(Self { root })
    }

    /// Returns the store's folder.
    pub fn root(&self) -> &Path {
        &self.root
    }

    /// Returns where downloads grow. A file becomes an object by a rename, so it has to grow here.
    pub fn partials(&self) -> PathBuf {
        self.root.join(PARTIALS)
    }

    /// Puts verified bytes on the shelf. If the object stands there already, the newly proven bytes replace it.
    #[expect(clippy::needless_pass_by_value, reason = "what was placed cannot be placed again")]
    pub fn place(&self, verified: Verified) -> Result<Object, DiskError> {
        let object = self.expected(verified.digest(), verified.size_bytes());
        // The lease keeps gc away until the object carries a new time.
        let _lease = self.lease(&object.digest)?;
        self.keep_chunks(verified.chunks())?;
        stand(verified.path(), &object.path)?;
        Ok(object)
    }

    /// Keeps bytes that the operator wants unverified, apart from the objects.
    #[expect(clippy::needless_pass_by_value, reason = "what was placed cannot be placed again")]
    pub fn place_unverified(&self, unverified: Unverified) -> Result<Loose, DiskError> {
        let (digest, size_bytes) = (unverified.found(), unverified.size_bytes());
        let loose = Loose { digest, size_bytes, path: self.loose_path(&digest) };
        let _lease = self.lease(&digest)?;
        stand(unverified.path(), &loose.path)?;
        Ok(loose)
    }

    /// Looks for an object: one `stat`, nothing is opened.
    pub fn object(&self, digest: &Sha256) -> Result<Option<Object>, DiskError> {
        let path = self.object_path(digest);
        Ok(size(&path)?.map(|size_bytes| Object { digest: *digest, size_bytes, path }))
    }

    /// Looks for an object of a known size. One of another size is damaged and counts as absent.
    pub fn object_of_size(&self, digest: &Sha256, size_bytes: u64) -> Result<Option<Object>, DiskError> {
        Ok(self.object(digest)?.filter(|it| it.size_bytes == size_bytes))
    }

    /// Looks for unverified bytes.
    pub fn loose(&self, digest: &Sha256) -> Result<Option<Loose>, DiskError> {
        let path = self.loose_path(digest);
        Ok(size(&path)?.map(|size_bytes| Loose { digest: *digest, size_bytes, path }))
    }

    /// Goes through all objects in the order of their digests.
    pub fn objects(&self) -> Result<impl Iterator<Item = Result<Object, DiskError>> + use<>, DiskError> {
        let this = self.clone();
        let digests = standing_in(self.root.join(OBJECTS).join("sha256"))?;
        Ok(digests.filter_map(move |found| found.and_then(|it| this.object(&it)).transpose()))
    }

    /// Goes through all unverified files in the order of their digests.
    pub fn loose_ones(&self) -> Result<impl Iterator<Item = Result<Loose, DiskError>> + use<>, DiskError> {
        let this = self.clone();
        let digests = standing_in(self.root.join(UNVERIFIED))?;
        Ok(digests.filter_map(move |found| found.and_then(|it| this.loose(&it)).transpose()))
    }

    /// Returns where an object of this digest would stand.
    pub(crate) fn expected(&self, digest: Sha256, size_bytes: u64) -> Object {
        Object { digest, size_bytes, path: self.object_path(&digest) }
    }

    /// Removes an object, its chunk list too unless a repair may still need it.
    pub(crate) fn remove_object(&self, digest: &Sha256) -> Result<bool, DiskError> {
        let removed = durable::remove(&self.object_path(digest))?;
        durable::remove(&self.chunks_path(digest))?;
        Ok(removed)
    }

    pub(crate) fn remove_loose(&self, digest: &Sha256) -> Result<bool, DiskError> {
        durable::remove(&self.loose_path(digest))
    }

    pub(crate) fn object_path(&self, digest: &Sha256) -> PathBuf {
        under(&self.root.join(OBJECTS).join("sha256"), digest)
    }

    pub(crate) fn chunks_path(&self, digest: &Sha256) -> PathBuf {
        under(&self.root.join(CHUNKS), digest)
    }

    pub(crate) fn lease_path(&self, digest: &Sha256) -> PathBuf {
        self.root.join(LEASES).join(digest.to_string())
    }

    pub(crate) fn views_lock(&self) -> PathBuf {
        self.root.join(LEASES).join("views.lock")
    }

    pub(crate) fn quarantine_folder(&self) -> PathBuf {
        self.root.join(QUARANTINE)
    }

    pub(crate) fn loose_path(&self, digest: &Sha256) -> PathBuf {
        under(&self.root.join(UNVERIFIED), digest)
    }
}

macro_rules! standing {
    ($type:ident) => {
        impl $type {
            /// Returns the digest of the bytes.
            pub fn digest(&self) -> Sha256 {
                self.digest
            }

            /// Returns how many bytes there are.
            pub fn size_bytes(&self) -> u64 {
                self.size_bytes
            }

            /// Returns where the bytes are.
            pub fn path(&self) -> &Path {
                &self.path
            }
        }
    };
}

standing!(Object);
standing!(Loose);

/// Gives finished bytes their final name, rights and time.
fn stand(from: &Path, to: &Path) -> Result<(), DiskError> {
    durable::folder(to.parent().unwrap_or(to), FOLDER_MODE)?;
    fs::set_permissions(from, Permissions::from_mode(FILE_MODE)).map_err(at("set the rights of", from))?;
    let file = File::open(from).map_err(at("open", from))?;
    lease::mark_used(&file).and_then(|()| file.sync_all()).map_err(at("sync", from))?;
    durable::rename(from, to)?;
    // The name that went away has to stay away after a power cut as well, or a partial would come back.
    from.parent().map_or(Ok(()), durable::sync_folder)
}

fn under(folder: &Path, digest: &Sha256) -> PathBuf {
    let hex = digest.to_string();
    folder.join(&hex[..2]).join(hex)
}

/// Returns the size of a plain file, or `None` if there is none. A link is not followed.
fn size(path: &Path) -> Result<Option<u64>, DiskError> {
    match fs::symlink_metadata(path) {
        Ok(it) => Ok(it.is_file().then_some(it.len())),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(at("look at", path)(error)),
    }
}

/// Goes through `<aa>/<hex>` under a folder; names of another form are not ours and are passed over.
fn standing_in(folder: PathBuf) -> Result<impl Iterator<Item = Result<Sha256, DiskError>>, DiskError> {
    let prefixes = durable::names(&folder)?.into_iter().filter(|it| it.len() == 2);
    Ok(prefixes.flat_map(move |prefix| {
        let (names, error) = match durable::names(&folder.join(&prefix)) {
            Ok(names) => (names, None),
            Err(error) => (Vec::new(), Some(error)),
        };
        let digest = |name: std::ffi::OsString| name.to_str().and_then(|it| Sha256::parse(it).ok());
        error.map(Err).into_iter().chain(names.into_iter().filter_map(digest).map(Ok))
    }))
}

#[cfg(test)]
pub(crate) mod testing {
    use super::*;
    use crate::{Checked, Promise, check_file, verify_file};

    /// Opens a shelf in a new folder.
    pub(crate) fn shelf() -> (tempfile::TempDir, Shelf) {
        let folder = tempfile::tempdir().unwrap();
        let shelf = Shelf::open(folder.path().join("store")).unwrap();
        (folder, shelf)
    }

    /// Writes a partial that ends up verified.
    pub(crate) fn verified(shelf: &Shelf, bytes: &[u8]) -> Verified {
        let path = durable::temporary(&shelf.partials());
        fs::write(&path, bytes).unwrap();
        verify_file(&path, Sha256::of(bytes), bytes.len() as u64).unwrap()
    }

    /// Takes bytes in although they are not what was promised.
    pub(crate) fn unverified(path: &Path) -> Unverified {
        match check_file(path, Sha256::of(b"promised"), 8, Promise::Waived).unwrap() {
            Checked::Unverified(it) => it,
            Checked::Verified(it) => panic!("{it:?} is what was promised"),
        }
    }

    pub(crate) fn placed(shelf: &Shelf, bytes: &[u8]) -> Object {
        shelf.place(verified(shelf, bytes)).unwrap()
    }
}

#[cfg(test)]
mod tests {
    use super::{testing::*, *};

    #[test]
    fn a_placed_object_is_read_only_under_its_digest_and_its_partial_is_gone() {
        let (_folder, shelf) = shelf();
        let object = placed(&shelf, b"weights");
        let hex = Sha256::of(b"weights").to_string();
        assert_eq!(object.path(), shelf.root().join("objects/sha256").join(&hex[..2]).join(&hex));
        assert_eq!(fs::metadata(object.path()).unwrap().permissions().mode() & 0o777, 0o440);
        assert_eq!(durable::names(&shelf.partials()).unwrap().len(), 0);
        assert_eq!(shelf.object(&object.digest()).unwrap(), Some(object));
    }

    #[test]
    fn to_place_the_same_bytes_again_heals_what_stood_there() {
        let (_folder, shelf) = shelf();
        let object = placed(&shelf, b"weights");
        fs::remove_file(object.path()).unwrap();
        fs::write(object.path(), b"wEights").unwrap();
        assert_eq!(placed(&shelf, b"weights"), object);
        assert_eq!(fs::read(object.path()).unwrap(), b"weights");
    }

    #[test]
    fn an_object_of_another_size_or_kind_counts_as_absent() {
        let (_folder, shelf) = shelf();
        let object = placed(&shelf, b"weights");
        let digest = object.digest();
        assert_eq!(shelf.object_of_size(&digest, 7).unwrap(), Some(object.clone()));
        assert_eq!(shelf.object_of_size(&digest, 8).unwrap(), None);
        fs::remove_file(object.path()).unwrap();
        std::os::unix::fs::symlink("/etc/passwd", object.path()).unwrap();
        assert_eq!(shelf.object(&digest).unwrap(), None);
    }

    #[test]
    fn objects_come_in_the_order_of_their_digests_and_strange_files_are_passed_over() {
        let (_folder, shelf) = shelf();
        let mut wanted = (0..20_u8).map(|it| placed(&shelf, &[it]).digest()).collect::<Vec<_>>();
        wanted.sort_unstable();
        fs::write(shelf.root().join("objects/sha256/README"), b"").unwrap();
        let found = shelf.objects().unwrap().map(|it| it.unwrap().digest()).collect::<Vec<_>>();
        assert_eq!(found, wanted);
    }

    #[test]
    fn unverified_bytes_are_no_object() {
        let (_folder, shelf) = shelf();
        let path = shelf.partials().join("x");
        fs::write(&path, b"who knows").unwrap();
        let loose = shelf.place_unverified(unverified(&path)).unwrap();
        assert_eq!(shelf.object(&loose.digest()).unwrap(), None);
        assert_eq!(shelf.objects().unwrap().count(), 0);
        assert_eq!(shelf.loose(&loose.digest()).unwrap(), Some(loose));
    }

    #[test]
    fn a_full_disk_is_told_from_other_trouble() {
        let full = at("write", Path::new("x"))(io::ErrorKind::StorageFull.into());
        assert!(matches!(full, DiskError::Full { .. }), "{full}");
        let other = at("write", Path::new("x"))(io::ErrorKind::PermissionDenied.into());
        assert_eq!(other.to_string(), "write x");
    }
}
