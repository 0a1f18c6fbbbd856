//! The way to a file: each folder that holds a name on the way, through every symbolic link.

use std::{
    collections::{BTreeSet, VecDeque},
    ffi::{OsStr, OsString},
    fs::Metadata,
    io,
    os::unix::fs::MetadataExt as _,
    path::{Component, Path, PathBuf},
};

/// As many links as the kernel itself follows.
const LINKS_MAX: u32 = 40;

/// What lies between the root and a file, as it stood when somebody walked there.
///
/// Two equal trails lead to the same file with the same stamp through the same folders and links.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Trail {
    /// The folders, and the file itself if there is one: what has to be watched.
    pub(super) places: BTreeSet<Place>,
    /// The names looked up in those folders: what to listen for.
    pub(super) names: BTreeSet<OsString>,
    /// The targets of the links on the way, and the stamp of the file at its end.
    links: Vec<PathBuf>,
    end: Option<Stamp>,
    /// Set by whoever armed the watches: the way was the same before and after.
    pub(super) settled: bool,
}

/// A folder or file by path and identity: another one under the same path is another place.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Place {
    pub(super) path: PathBuf,
    device: u64,
    inode: u64,
}

/// What tells two states of a file apart without reading it. A change of the inode shows even where the
/// modification time is always the same, as in a Nix store.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Stamp {
    device: u64,
    inode: u64,
    size_bytes: u64,
    modified: (i64, i64),
    changed: (i64, i64),
    mode: u32,
}

impl Stamp {
    fn of(metadata: &Metadata) -> Self {
        Self {
            device: metadata.dev(),
            inode: metadata.ino(),
            size_bytes: metadata.size(),
            modified: (metadata.mtime(), metadata.mtime_nsec()),
            changed: (metadata.ctime(), metadata.ctime_nsec()),
            mode: metadata.mode(),
        }
    }
}

impl Trail {
    /// Walks to an absolute path, as far as there is a way.
    pub(super) fn walk(path: &Path) -> Self {
        let mut trail = Self { settled: true, ..Self::default() };
        // Whatever is in the way (a missing name, a loop, no permission) is where the trail ends.
        let _ = trail.follow(path);
        trail
    }

    /// Returns the first name on the way to a path that leads nowhere.
    pub(super) fn broken_at(path: &Path) -> Option<PathBuf> {
        Self::default().follow(path).err()
    }

    fn follow(&mut self, path: &Path) -> Result<(), PathBuf> {
        let mut ahead = VecDeque::new();
        enqueue(&mut ahead, path);
        let mut here = PathBuf::from("/");
        let mut links = 0;
        while let Some(name) = ahead.pop_front() {
            if name == ".." {
                here.pop();
                continue;
            }
            let next = here.join(&name);
            self.enter(&here).map_err(|_| here.clone())?;
            self.names.insert(name);
            let metadata = next.symlink_metadata().map_err(|_| next.clone())?;
            if metadata.is_symlink() {
                links += 1;
                let target = next.read_link().map_err(|_| next.clone())?;
                if links > LINKS_MAX {
                    return Err(next);
                }
                if target.is_absolute() {
                    here = PathBuf::from("/");
                }
                enqueue(&mut ahead, &target);
                self.links.push(target);
            } else if metadata.is_dir() {
                here = next;
            } else if ahead.is_empty() {
                self.end = Some(Stamp::of(&metadata));
                self.places.insert(Place::of(&next, &metadata));
            } else {
                return Err(next);
            }
        }
        Ok(())
    }

    fn enter(&mut self, folder: &Path) -> io::Result<()> {
        self.places.insert(Place::of(folder, &folder.symlink_metadata()?));
        Ok(())
    }

    /// Says whether an event at a path can have to do with this trail.
    pub(super) fn concerns(names: &BTreeSet<OsString>, path: &Path) -> bool {
        // The root has no name; nothing but the root is above all.
        path.file_name().is_none_or(|name| names.contains(name))
    }
}

impl Place {
    fn of(path: &Path, metadata: &Metadata) -> Self {
        Self { path: path.to_owned(), device: metadata.dev(), inode: metadata.ino() }
    }
}

fn enqueue(ahead: &mut VecDeque<OsString>, path: &Path) {
    let name = |it| match it {
        Component::Normal(name) => Some(name),
        Component::ParentDir => Some(OsStr::new("..")),
        Component::RootDir | Component::CurDir | Component::Prefix(_) => None,
    };
    path.components().rev().filter_map(name).for_each(|it| ahead.push_front(it.to_owned()));
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::{fs, os::unix::fs::symlink};

    #[test]
    fn every_link_on_the_way_gives_its_folder_and_a_swap_gives_another_trail() {
        let folder = tempfile::tempdir().unwrap();
        let root = folder.path().canonicalize().unwrap();
        fs::create_dir_all(root.join("one/deep")).unwrap();
        fs::create_dir_all(root.join("two/deep")).unwrap();
        fs::write(root.join("one/deep/index.json"), "1").unwrap();
        fs::write(root.join("two/deep/index.json"), "2").unwrap();
        symlink("one", root.join("current")).unwrap();
        symlink("current/deep/../deep", root.join("by")).unwrap();
        let path = root.join("by/index.json");

        let before = Trail::walk(&path);
        let places: Vec<_> = before.places.iter().filter_map(|it| it.path.strip_prefix(&root).ok()).collect();
        assert_eq!(places, ["", "one", "one/deep", "one/deep/index.json"].map(Path::new));
        assert_eq!(before, Trail::walk(&path));

        symlink("two", root.join("next")).unwrap();
        fs::rename(root.join("next"), root.join("current")).unwrap();
        assert_ne!(before, Trail::walk(&path));
    }

    #[test]
    fn a_way_that_breaks_off_is_watched_as_far_as_it_goes_and_names_what_is_missing() {
        let folder = tempfile::tempdir().unwrap();
        let root = folder.path().canonicalize().unwrap();
        let trail = Trail::walk(&root.join("gone/deep/index.json"));
        assert!(trail.places.iter().any(|it| it.path == root), "{trail:?}");
        assert!(trail.names.contains(OsStr::new("gone")) && !trail.names.contains(OsStr::new("deep")));
        assert_eq!(Trail::broken_at(&root.join("gone/deep/index.json")), Some(root.join("gone")));

        symlink("b", root.join("a")).unwrap();
        symlink("a", root.join("b")).unwrap();
        assert!(Trail::broken_at(&root.join("a/index.json")).is_some());
    }
}
