//! What a working copy says about the code in it: where it comes from, which commit, and whether it was changed since.

use std::path::{Path, PathBuf};

use base::CommitId;
use git2::{BranchType, ErrorCode, Oid, Repository, StatusOptions};
use url::Url;

use crate::watch::INDEX_BYTES_MAX;

/// How many branches of remotes are asked whether they have a commit.
const BRANCHES_MAX: usize = 1_000;

/// A working copy, as it is now.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct WorkTree {
    /// Where others find the repository, without user and password; `None` if it has no remote.
    pub url: Option<String>,
    /// The commit that is checked out.
    pub commit: CommitId,
    /// Whether every file that git follows is as it was committed. Files that git does not follow do not count.
    pub clean: bool,
    /// Whether a branch of a remote is known to have the commit, so that others can find it.
    pub published: bool,
}

/// Why a folder says nothing.
#[derive(Debug, thiserror::Error)]
pub enum WorkTreeError {
    /// There is no working copy. Name the folder of the training code.
    #[error("look for a git repository in {folder}: name the folder that holds the training code")]
    None {
        /// Where it was looked for.
        folder: PathBuf,
        /// What git said.
        source: git2::Error,
    },
    /// Nothing was committed yet. Commit the training code.
    #[error("{folder} has no commit yet: commit the training code first")]
    Unborn {
        /// The folder.
        folder: PathBuf,
    },
    /// Git did not answer. Look at the cause.
    #[error("ask git about {folder}")]
    Git {
        /// The folder.
        folder: PathBuf,
        /// What git said.
        source: git2::Error,
    },
}

/// Looks at the working copy that a folder belongs to. Nothing is changed in it, and no network is used.
pub fn look(folder: &Path) -> Result<WorkTree, WorkTreeError> {
    let failed = |source| WorkTreeError::Git { folder: folder.into(), source };
    let repository = Repository::discover(folder)
        .map_err(|source| WorkTreeError::None { folder: folder.into(), source })?;
    let head = match repository.head().and_then(|it| it.peel_to_commit()) {
        Ok(commit) => commit.id(),
        Err(error) if matches!(error.code(), ErrorCode::UnbornBranch | ErrorCode::NotFound) => {
            return Err(WorkTreeError::Unborn { folder: folder.into() });
        }
        Err(source) => return Err(failed(source)),
    };
    let commit = CommitId::parse(&head.to_string())
        .map_err(|error| failed(git2::Error::from_str(&error.to_string())))?;
    Ok(WorkTree {
        url: url(&repository).map_err(failed)?,
        commit,
        clean: is_clean(&repository).map_err(failed)?,
        published: is_published(&repository, head).map_err(failed)?,
    })
}

/// Returns where a clone comes from, as a URL without user and password: a folder of this machine, too.
pub fn origin(folder: &Path) -> Result<Option<String>, WorkTreeError> {
    let failed = |source| WorkTreeError::Git { folder: folder.into(), source };
    let repository = Repository::discover(folder)
        .map_err(|source| WorkTreeError::None { folder: folder.into(), source })?;
    let Some(address) = address(&repository).map_err(failed)? else { return Ok(None) };
    if let Some(url) = public(&address) {
        return Ok(Some(url));
    }
    // A path is seen from where the clone is.
    let root = repository.workdir().unwrap_or_else(|| repository.path());
    let path = std::path::absolute(root.join(&address)).ok().and_then(|it| it.canonicalize().ok());
    Ok(path.and_then(|it| Url::from_file_path(it).ok()).map(Into::into))
}

/// Reads a file as it was when a branch left another one: at the newest commit that both have. `None` if it was not
/// there. Nothing is changed in the working copy, and no network is used.
pub fn before(folder: &Path, reference: &str, file: &Path) -> Result<Option<Vec<u8>>, BeforeError> {
    let failed = |source| WorkTreeError::Git { folder: folder.into(), source };
    let repository = Repository::discover(folder)
        .map_err(|source| WorkTreeError::None { folder: folder.into(), source })?;
    let named = repository.revparse_single(reference).and_then(|it| it.peel_to_commit());
    let missing = |source| BeforeError::Reference { reference: reference.to_owned(), source };
    let base = named.map_err(missing)?.id();
    let head = repository.head().and_then(|it| it.peel_to_commit()).map_err(failed)?.id();
    // Where the history is cut short, the commit that was named has to do.
    let shared = repository.merge_base(base, head).unwrap_or(base);
    let root = repository.workdir().unwrap_or_else(|| repository.path());
    let outside = || BeforeError::Outside { file: file.into() };
    let whole = std::path::absolute(file).ok().and_then(|it| {
        let folder = it.parent()?.canonicalize().ok()?;
        Some(folder.join(it.file_name()?))
    });
    let whole = whole.ok_or_else(outside)?;
    let root = root.canonicalize().map_err(|_| outside())?;
    let path = whole.strip_prefix(root).map_err(|_| outside())?;
    let tree = repository.find_commit(shared).and_then(|it| it.tree()).map_err(failed)?;
    let entry = match tree.get_path(path) {
        Ok(entry) => entry,
        Err(error) if error.code() == ErrorCode::NotFound => return Ok(None),
        Err(error) => return Err(failed(error).into()),
    };
    let size_bytes = repository.odb().and_then(|it| it.read_header(entry.id())).map_err(failed)?.0 as u64;
    if size_bytes > INDEX_BYTES_MAX {
        return Err(BeforeError::TooLarge { file: file.into(), size_bytes });
    }
    let blob = repository.find_blob(entry.id()).map_err(failed)?;
    Ok(Some(blob.content().to_owned()))
}

/// Why it is not known what a file was.
#[derive(Debug, thiserror::Error)]
pub enum BeforeError {
    /// The working copy cannot be looked at.
    #[error(transparent)]
    Tree(#[from] WorkTreeError),
    /// There is no such branch or commit here. Fetch it.
    #[error(
        "find {reference}: fetch it first, and check its name; in a workflow, check out with enough history"
    )]
    Reference {
        /// What was named.
        reference: String,
        /// What git said.
        source: git2::Error,
    },
    /// The file is not in the working copy.
    #[error("find {file} in the working copy: it is not inside it")]
    Outside {
        /// The file.
        file: PathBuf,
    },
    /// The file was longer than any index.
    #[error("read what {file} was: it had {size_bytes} bytes, and an index may have {INDEX_BYTES_MAX}")]
    TooLarge {
        /// The file.
        file: PathBuf,
        /// Its size.
        size_bytes: u64,
    },
}

fn is_clean(repository: &Repository) -> Result<bool, git2::Error> {
    let mut options = StatusOptions::new();
    options.include_untracked(false).include_ignored(false).update_index(false);
    Ok(repository.statuses(Some(&mut options))?.is_empty())
}

fn is_published(repository: &Repository, commit: Oid) -> Result<bool, git2::Error> {
    for branch in repository.branches(Some(BranchType::Remote))?.take(BRANCHES_MAX) {
        // What a branch such as origin/HEAD points at may be gone.
        let Some(tip) = branch?.0.into_reference().resolve().ok().and_then(|it| it.target()) else {
            continue;
        };
        if tip == commit || repository.graph_descendant_of(tip, commit)? {
            return Ok(true);
        }
    }
    Ok(false)
}

/// Returns the address of the remote that the branch follows, of `origin`, or of the only one there is.
fn url(repository: &Repository) -> Result<Option<String>, git2::Error> {
    Ok(address(repository)?.as_deref().and_then(public))
}

fn address(repository: &Repository) -> Result<Option<String>, git2::Error> {
    // Nothing may be checked out yet.
    let head = repository.find_reference("HEAD")?;
    let name = head.symbolic_target().ok().flatten();
    let followed = name.and_then(|it| repository.branch_upstream_remote(it).ok());
    let followed = followed.and_then(|it| it.as_str().ok().map(str::to_owned));
    let remotes = repository.remotes()?;
    let mut names = Vec::new();
    for name in &remotes {
        names.extend(name?.map(str::to_owned));
    }
    let origin = names.iter().find(|it| *it == "origin").cloned();
    let only = (names.len() == 1).then(|| names[0].clone());
    let Some(name) = followed.or(origin).or(only) else { return Ok(None) };
    let remote = repository.find_remote(&name)?;
    Ok(remote.url().ok().map(str::to_owned))
}

/// Turns a remote's address into a URI that everybody may read. `None` if it is a path on some machine.
pub fn public(address: &str) -> Option<String> {
    if let Ok(mut url) = Url::parse(address)
        && (url.has_host() || url.scheme() == "file")
    {
        // Who asks by ssh asks as somebody, mostly as `git`; over https a user's name is part of the secret.
        if url.scheme() != "ssh" && !url.username().is_empty() {
            url.set_username("").ok()?;
        }
        if url.password().is_some() {
            url.set_password(None).ok()?;
        }
        url.set_query(None);
        url.set_fragment(None);
        return Some(url.into());
    }
    let (host, path) = address.split_once(':')?;
    // `host:path`, as scp writes it; a slash before the colon makes it a path on this machine.
    if host.contains('/') || path.is_empty() {
        return None;
    }
    Url::parse(&format!("ssh://{host}/{}", path.trim_start_matches('/'))).ok().map(Into::into)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs;

    #[test]
    fn an_address_is_shown_without_its_secrets_and_as_a_uri() {
        let check =
            |address: &str, shown: Option<&str>| assert_eq!(public(address).as_deref(), shown, "{address}");
        check("https://github.com/o/r.git", Some("https://github.com/o/r.git"));
        check("https://me:secret@host.example/o/r?token=x", Some("https://host.example/o/r"));
        check("git@github.com:o/r.git", Some("ssh://git@github.com/o/r.git"));
        check("ssh://git:secret@host:2222/o/r", Some("ssh://git@host:2222/o/r"));
        check("file:///srv/code", Some("file:///srv/code"));
        check("/srv/code", None);
        check("../code", None);
        check("./a:b", None);
    }

    #[test]
    fn a_working_copy_says_its_commit_and_whether_it_was_changed() {
        let folder = tempfile::tempdir().unwrap();
        assert!(matches!(look(folder.path()), Err(WorkTreeError::None { .. })));
        let repository = Repository::init(folder.path()).unwrap();
        assert!(matches!(look(folder.path()), Err(WorkTreeError::Unborn { .. })));
        fs::write(folder.path().join("train.py"), "train()\n").unwrap();
        let mut index = repository.index().unwrap();
        index.add_path(Path::new("train.py")).unwrap();
        index.write().unwrap();
        let tree = repository.find_tree(index.write_tree().unwrap()).unwrap();
        let author = git2::Signature::now("a", "a@example.org").unwrap();
        let commit = repository.commit(Some("HEAD"), &author, &author, "train", &tree, &[]).unwrap();
        fs::create_dir(folder.path().join("runs")).unwrap();
        fs::write(folder.path().join("runs/log"), "loss=1\n").unwrap();
        let found = look(&folder.path().join("runs")).unwrap();
        let commit = CommitId::parse(&commit.to_string()).unwrap();
        assert_eq!(found, WorkTree { url: None, commit, clean: true, published: false });
        repository.remote("origin", "git@host.example:team/code.git").unwrap();
        fs::write(folder.path().join("train.py"), "train(more=True)\n").unwrap();
        let found = look(folder.path()).unwrap();
        assert_eq!(
            (found.url.as_deref(), found.clean),
            (Some("ssh://git@host.example/team/code.git"), false)
        );
        let tip = Oid::from_str(&commit.to_string()).unwrap();
        repository.reference("refs/remotes/origin/main", tip, true, "fetch").unwrap();
        assert!(look(folder.path()).unwrap().published);
    }
}
