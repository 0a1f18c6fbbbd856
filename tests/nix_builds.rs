//! Nix as a client: fixed outputs that come from a running hallmark, by its own route and as a hashed mirror.

use std::{fs, path::PathBuf, process::Command};

use base::Sha256;
use tempfile::TempDir;

use crate::support::{
    daemon::Daemon,
    host::{Host, Said, entry},
    hub::{FixtureHub, noise},
    peers,
};

const ID: &str = "ajna-insight-v1";
/// Nobody listens there.
const DEAD: &str = "http://127.0.0.1:9/gone/model.bin";

/// A Nix with a store of its own.
struct Nix {
    program: PathBuf,
    folder: TempDir,
}

impl Nix {
    fn find(what_is_skipped: &str) -> Option<Self> {
        let program = peers::program("nix-build", what_is_skipped)?;
        let folder = tempfile::tempdir().unwrap();
        let conf = folder.path().join("conf");
        fs::create_dir(&conf).unwrap();
        // A fetch that fails once has failed: the default is to wait and try again.
        let lines = "sandbox = false\nbuild-users-group =\nsubstituters =\ndownload-attempts = 1\n";
        fs::write(conf.join("nix.conf"), lines).unwrap();
        Some(Self { program, folder })
    }

    /// Builds the file with a digest from a URL; on success, standard output has its path.
    fn build(&self, url: &str, digest: &Sha256, options: &[&str]) -> Said {
        let file = concat!(env!("CARGO_MANIFEST_DIR"), "/../../modules/lib/file.nix");
        let expression =
            format!("import {file} {{ name = \"model.bin\"; url = \"{url}\"; sha256 = \"{digest}\"; }}");
        self.run(&expression, options)
    }

    fn run(&self, expression: &str, options: &[&str]) -> Said {
        let place = |name| self.folder.path().join(name);
        let mut command = Command::new(&self.program);
        command.args(["--no-out-link", "--expr", expression]).args(options);
        command.env("NIX_STORE_DIR", place("store")).env("NIX_STATE_DIR", place("var"));
        command.env("NIX_LOG_DIR", place("log")).env("NIX_CONF_DIR", place("conf"));
        command.env("XDG_CACHE_HOME", place("cache")).env_remove("NIX_REMOTE").env_remove("NIX_PATH");
        command.output().unwrap().into()
    }
}

impl Drop for Nix {
    fn drop(&mut self) {
        // A store is read-only, and so are the folders in it.
        let made_writable = Command::new("chmod").arg("-R").arg("u+w").arg(self.folder.path()).status();
        drop(made_writable);
    }
}

/// A hallmark that has deployed one model.
async fn registry() -> (FixtureHub, Host, Daemon, bytes::Bytes) {
    let (hub, bytes) = (FixtureHub::start().await, noise(7, 300_000));
    hub.put(&format!("org/{ID}"), "model.bin", &bytes);
    let mut host = Host::of(&hub);
    host.wants(&[entry(ID, &bytes)]);
    let daemon = Daemon::start(&host);
    daemon.until(ID, "deployed").await;
    (hub, host, daemon, bytes)
}

fn same_bytes(said: &Said, bytes: &[u8]) {
    assert_eq!(said.code, Some(0), "{said:#?}");
    assert_eq!(fs::read(said.out.trim()).unwrap(), bytes);
}

#[tokio::test(flavor = "multi_thread")]
async fn nix_builds_a_model_from_the_route_of_its_artifact() {
    let Some(nix) = Nix::find("fixed outputs from a hallmark") else { return };
    let (_hub, _host, daemon, bytes) = registry().await;
    let url = format!("{}/v1/models/{ID}/artifact", daemon.url());
    same_bytes(&nix.build(&url, &Sha256::of(&bytes), &[]), &bytes);

    let promised = Sha256::of(b"something else");
    let said = nix.build(&url, &promised, &[]);
    assert_ne!(said.code, Some(0));
    assert!(said.err.contains("hash mismatch"), "{said:#?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn nix_finds_a_model_by_its_digest_when_its_origin_is_gone() {
    let Some(nix) = Nix::find("hallmark as a hashed mirror") else { return };
    let (_hub, _host, daemon, bytes) = registry().await;
    let mirror = format!("{}/", daemon.url());
    let options = ["--option", "hashed-mirrors", &mirror];
    same_bytes(&nix.build(DEAD, &Sha256::of(&bytes), &options), &bytes);

    let unknown = Sha256::of(b"nobody has this");
    let said = nix.build(DEAD, &unknown, &options);
    assert_ne!(said.code, Some(0));
    assert!(said.err.contains("unable to download"), "{said:#?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn fetch_model_takes_an_entry_of_the_index_from_a_hallmark() {
    let Some(nix) = Nix::find("fetchModel") else { return };
    let Some(lib) = nixpkgs_lib() else {
        return peers::pass_over("fetchModel", "NIXPKGS_LIB names no checkout of nixpkgs' lib");
    };
    let (_hub, host, daemon, bytes) = registry().await;
    let modules = concat!(env!("CARGO_MANIFEST_DIR"), "/../../modules/lib");
    let fetch = |id: &str| {
        format!(
            "(import {modules} {{ lib = import {}; }}).fetchModel {{ index = {}; id = \"{id}\"; from = \"{}\"; }}",
            lib.display(),
            host.path("index.json").display(),
            daemon.url()
        )
    };
    same_bytes(&nix.run(&fetch(ID), &[]), &bytes);
    let said = nix.run(&fetch("ajna-insigth-v1"), &[]);
    assert!(
        said.err.contains("Model 'ajna-insigth-v1' not found in index; did you mean 'ajna-insight-v1'?"),
        "{said:#?}"
    );
}

/// Returns nixpkgs' lib: where `tests/nix/check` looks for it too.
fn nixpkgs_lib() -> Option<PathBuf> {
    let given = std::env::var_os("NIXPKGS_LIB").filter(|it| !it.is_empty()).map(PathBuf::from);
    let given = given.unwrap_or_else(|| peers::cache().join("hallmark-tools/nixpkgs"));
    [given.join("lib"), given].into_iter().find(|it| it.join("default.nix").is_file())
}
