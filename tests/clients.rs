//! Other people's clients, unchanged, against the real daemon: they take it for the Hub, and get proven bytes.

use std::{
    fs,
    path::{Path, PathBuf},
    process::Command,
};

use base::{CommitId, Sha256};
use bytes::Bytes;
use serde_json::json;

use crate::support::{
    daemon::Daemon,
    host::{Entry, Host, digest, entry_in, names},
    hub::{FixtureHub, noise},
    peers,
};

const REPO: &str = "sentence-transformers/all-MiniLM-L6-v2";
const MINILM: &str = "vishuddha-minilm-v1";
/// Large enough for several ranges at once.
const LARGE_BYTES: usize = 24 << 20;
const LARGE: &str = "ajna-large-v1";

/// A daemon that serves a real model and a large file, and the hub it had them from.
struct Registry {
    hub: FixtureHub,
    host: Host,
    daemon: Daemon,
}

/// Starts one, unless the real model's files are missing.
async fn registry(what: &str) -> Option<Registry> {
    let folder = peers::require("artifacts/minilm", what)?;
    let hub = FixtureHub::start().await;
    for name in walk(&folder) {
        hub.put(REPO, &name, &Bytes::from(fs::read(folder.join(&name)).unwrap()));
    }
    let large = noise(7, LARGE_BYTES);
    hub.put("org/large", "model.bin", &large);
    let ours = fs::read(Path::new(env!("CARGO_MANIFEST_DIR")).join("../../index.json")).unwrap();
    let ours: serde_json::Value = serde_json::from_slice(&ours).unwrap();
    let minilm = ours["models"].as_array().unwrap().iter().find(|it| it["id"] == MINILM).unwrap();
    let pinned = minilm["artifact"]["revision"].as_str().unwrap();
    hub.commit(REPO, CommitId::parse(pinned).unwrap());
    let mut host = Host::of(&hub);
    host.wants(&[Entry(minilm.clone()), entry_in(LARGE, "org/large", "model.bin", &large)]);
    let daemon = Daemon::start(&host);
    for id in [MINILM, LARGE] {
        daemon.until(id, "deployed").await;
    }
    Some(Registry { hub, host, daemon })
}

/// Lists the files below a folder by their paths in it.
fn walk(folder: &Path) -> Vec<String> {
    let mut found = Vec::new();
    for name in names(folder) {
        let path = folder.join(&name);
        if path.is_dir() {
            found.extend(walk(&path).into_iter().map(|it| format!("{name}/{it}")));
        } else {
            found.push(name);
        }
    }
    found
}

/// The files that the entry lists, with their digests.
fn files(host: &Host) -> Vec<(String, Sha256)> {
    let index: serde_json::Value =
        serde_json::from_slice(&fs::read(host.path("index.json")).unwrap()).unwrap();
    Entry(index["models"][0].clone()).files()
}

/// A command of a client, in an environment that knows nothing but this registry.
struct Client {
    home: tempfile::TempDir,
    endpoint: String,
}

impl Client {
    fn of(daemon: &Daemon) -> Self {
        Self { home: tempfile::tempdir().unwrap(), endpoint: daemon.url() }
    }

    fn command(&self, program: &Path) -> Command {
        let mut command = Command::new(program);
        command.env_clear().current_dir(self.home.path());
        command.env("PATH", std::env::var_os("PATH").unwrap_or_default());
        command.env("HOME", self.home.path()).env("HF_HOME", self.home.path().join("hf"));
        command.env("HF_ENDPOINT", &self.endpoint).env("HF_HUB_DISABLE_TELEMETRY", "1");
        command.env("HF_HUB_DISABLE_PROGRESS_BARS", "1").env("DO_NOT_TRACK", "1");
        command
    }

    /// Runs it to its end, which has to be a good one, and returns what it printed.
    #[expect(clippy::unused_self, reason = "the client's home has to be there as long as it runs")]
    fn done(&self, command: &mut Command) -> String {
        let output = command.output().unwrap();
        let said =
            format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
        assert!(output.status.success(), "{command:?}: {said}");
        String::from_utf8(output.stdout).unwrap()
    }
}

/// The folder that a client of Python prints as its last line.
fn folder_in(said: &str) -> PathBuf {
    let line =
        said.lines().rev().find(|it| it.contains('/')).unwrap_or_else(|| panic!("no path in {said:?}"));
    let path = line.trim().trim_start_matches("path:").trim_start_matches("path=").trim();
    PathBuf::from(path.trim_start_matches("✓ Downloaded").trim())
}

#[tokio::test(flavor = "multi_thread")]
async fn three_generations_of_hf_download_a_file_and_a_snapshot_and_verify_their_cache() {
    let Some(it) = registry("downloads by the Hub's Python clients").await else { return };
    let asked = it.hub.seen().len();
    for version in ["hf-0.36", "hf-1", "hf-2"] {
        let Some(venv) = peers::require(version, "downloads by the Hub's Python client") else { continue };
        let hf = venv.join("bin/hf");
        for repo in [REPO.to_owned(), format!("hallmark/{MINILM}")] {
            let client = Client::of(&it.daemon);
            let said = client.done(client.command(&hf).args(["download", &repo, "config.json"]));
            let wanted = files(&it.host);
            let config = wanted.iter().find(|it| it.0 == "config.json").unwrap();
            assert_eq!(digest(&folder_in(&said)), config.1, "{version}: {said}");
            let said = client.done(client.command(&hf).args(["download", &repo]));
            let folder = folder_in(&said);
            for (path, wanted) in &wanted {
                assert_eq!(digest(&folder.join(path)), *wanted, "{version}: {path}");
            }
            if version != "hf-0.36" {
                client.done(client.command(&hf).args(["cache", "verify", &repo]));
            }
        }
    }
    assert_eq!(it.hub.seen().len(), asked, "all of it came from the registry");
}

#[tokio::test(flavor = "multi_thread")]
async fn python_clients_get_typed_errors_for_what_is_not_there() {
    let Some(it) = registry("typed errors of the Hub's Python clients").await else { return };
    let script = "
import sys
from huggingface_hub import hf_hub_download
from huggingface_hub.utils import EntryNotFoundError, RepositoryNotFoundError, RevisionNotFoundError
repo = sys.argv[1]
for arguments, error in [
    (dict(repo_id=repo, filename='none.bin'), EntryNotFoundError),
    (dict(repo_id=repo, filename='config.json', revision='no-such-branch'), RevisionNotFoundError),
    (dict(repo_id='nobody/nothing', filename='config.json'), RepositoryNotFoundError),
]:
    try:
        hf_hub_download(**arguments)
    except error:
        continue
    sys.exit(f'{arguments} did not raise {error}')
";
    for version in ["hf-0.36", "hf-1", "hf-2"] {
        let Some(venv) = peers::require(version, "typed errors of the Hub's Python client") else { continue };
        let client = Client::of(&it.daemon);
        client.done(client.command(&venv.join("bin/python")).args(["-c", script, REPO]));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn transformers_loads_tokenizer_and_config_online_and_then_offline() {
    let Some(it) = registry("loading a model with transformers").await else { return };
    let Some(venv) = peers::require("transformers", "loading a model with transformers") else { return };
    let script = "
import sys
from transformers import AutoConfig, AutoTokenizer
config, tokenizer = AutoConfig.from_pretrained(sys.argv[1]), AutoTokenizer.from_pretrained(sys.argv[1])
assert config.hidden_size == 384, config
tokens = tokenizer('proven bytes')['input_ids']
print(tokens)
assert tokens == [101, 10003, 27507, 102] or len(tokens) >= 4, tokens
";
    let client = Client::of(&it.daemon);
    let python = venv.join("bin/python");
    let online = client.done(client.command(&python).args(["-c", script, REPO]));
    let url = it.daemon.url();
    drop(it.daemon);
    let mut offline = client.command(&python);
    offline.args(["-c", script, REPO]).env("HF_HUB_OFFLINE", "1");
    assert_eq!(client.done(&mut offline), online, "the daemon at {url} is gone by now");
}

#[tokio::test(flavor = "multi_thread")]
async fn the_javascript_client_downloads_a_file_and_a_snapshot() {
    let Some(it) = registry("downloads by the Hub's JavaScript client").await else { return };
    let what = "downloads by the Hub's JavaScript client";
    let Some(package) = peers::require("npm/node_modules/@huggingface/hub", what) else { return };
    let Some(node) = peers::program("node", what) else { return };
    let script = "
const { downloadFile, snapshotDownload, listFiles } = await import(process.argv[1]);
const { createHash } = await import('node:crypto');
const [repo, hubUrl, cacheDir] = process.argv.slice(2);
const blob = await downloadFile({ repo, path: 'model.safetensors', hubUrl, xet: false });
const hash = createHash('sha256').update(Buffer.from(await blob.arrayBuffer())).digest('hex');
const paths = [];
for await (const it of listFiles({ repo, hubUrl, recursive: true })) if (it.type === 'file') paths.push(it.path);
const folder = await snapshotDownload({ repo, hubUrl, cacheDir });
console.log(JSON.stringify({ hash, paths: paths.sort(), folder }));
";
    let client = Client::of(&it.daemon);
    let cache = client.home.path().join("js");
    let mut command = client.command(&node);
    command.args(["--input-type=module", "-e", script, "--"]);
    command.arg(package.join("dist/index.mjs")).args([REPO, &it.daemon.url()]).arg(&cache);
    let said = client.done(&mut command);
    // The client prints what it does as well.
    let last = said.lines().last().unwrap_or_default();
    let said: serde_json::Value =
        serde_json::from_str(last).unwrap_or_else(|error| panic!("{error}: {said}"));
    let wanted = files(&it.host);
    let main = wanted.iter().find(|it| it.0 == "model.safetensors").unwrap();
    assert_eq!(said["hash"], json!(main.1.to_string()));
    let listed = wanted.iter().map(|it| json!(it.0));
    let mut paths = said["paths"].as_array().unwrap().clone();
    paths.retain(|path| wanted.iter().all(|it| json!(it.0) != *path));
    assert!(paths.is_empty(), "{paths:?} are listed and not promised");
    assert_eq!(listed.count(), wanted.len());
    for (path, wanted) in wanted {
        assert_eq!(digest(&Path::new(said["folder"].as_str().unwrap()).join(&path)), wanted, "{path}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_rust_client_of_today_and_of_yesterday_get_every_file() {
    let Some(it) = registry("downloads by the Hub's Rust clients").await else { return };
    let (owner, name) = REPO.split_once('/').unwrap();
    let home = tempfile::tempdir().unwrap();
    let builder = hf_hub::HFClient::builder().endpoint(it.daemon.url()).cache_dir(home.path().join("1.0"));
    let client = builder.token("\n").build().unwrap();
    let folder = client.model(owner, name).snapshot_download().send().await.unwrap();
    for (path, wanted) in files(&it.host) {
        assert_eq!(digest(&folder.join(&path)), wanted, "{path}");
    }
    // The earlier one asks for ten ranges at once, the last of them one byte too long.
    let cache = hf_hub_of_yesterday::Cache::new(home.path().join("0.5"));
    let builder = hf_hub_of_yesterday::api::tokio::ApiBuilder::from_cache(cache.clone());
    let api = builder.with_endpoint(it.daemon.url()).with_progress(false).with_token(None).build().unwrap();
    let repo = api.model(REPO.to_owned());
    assert!(!repo.info().await.unwrap().siblings.is_empty());
    for (path, wanted) in files(&it.host) {
        assert_eq!(digest(&repo.get(&path).await.unwrap()), wanted, "{path}");
    }
    let large = api.model(format!("hallmark/{LARGE}")).get("model.bin").await.unwrap();
    assert_eq!(digest(&large), Sha256::of(&noise(7, LARGE_BYTES)));
}

#[tokio::test(flavor = "multi_thread")]
async fn curl_resumes_and_aria2_takes_eight_ranges_at_once() {
    let Some(it) = registry("downloads by curl and aria2").await else { return };
    let (bytes, client) = (noise(7, LARGE_BYTES), Client::of(&it.daemon));
    let urls = [
        format!("{}/org/large/resolve/main/model.bin", it.daemon.url()),
        format!("{}/v1/models/{LARGE}/artifact", it.daemon.url()),
        format!("{}/sha256/{}", it.daemon.url(), Sha256::of(&bytes)),
    ];
    for (at, url) in urls.iter().enumerate() {
        let file = client.home.path().join(format!("{at}.bin"));
        if let Some(curl) = peers::program("curl", "a download that curl resumes") {
            fs::write(&file, &bytes[..LARGE_BYTES / 3]).unwrap();
            client.done(client.command(&curl).args(["-sS", "--fail", "-C", "-", url, "-o"]).arg(&file));
            assert_eq!(digest(&file), Sha256::of(&bytes), "{url}");
            fs::remove_file(&file).unwrap();
        }
        if let Some(aria2) = peers::program("aria2c", "a download that aria2 splits") {
            let checksum = format!("--checksum=sha-256={}", Sha256::of(&bytes));
            let split = ["-q", "-x8", "-s8", "-k1M", "--no-conf", &checksum, "-o"];
            client.done(client.command(&aria2).args(split).arg(file.file_name().unwrap()).arg(url));
            assert_eq!(digest(&file), Sha256::of(&bytes), "{url}");
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_second_hallmark_takes_this_one_for_its_hub_and_for_its_mirror() {
    let Some(it) = registry("a second hallmark").await else { return };
    let index = fs::read(it.host.path("index.json")).unwrap();
    let asked = it.hub.seen().len();
    // As a hub: the same index, another endpoint.
    let mut second = Host::at(&it.daemon.url());
    second.write("index.json", &index);
    second.declares(&[MINILM, LARGE]);
    second.done(&["sync"]).says(&[MINILM, "deployed, verified"]).says(&[LARGE, "deployed, verified"]);
    // As a mirror: nothing else can be reached.
    let mut third = Host::at("http://127.0.0.1:9");
    third.vault.push(format!("mirrors = [\"{}\"]", it.daemon.url()));
    third.write("index.json", &index);
    third.declares(&[MINILM, LARGE]);
    third.done(&["sync"]).says(&[MINILM, "deployed, verified"]).says(&[LARGE, "deployed, verified"]);
    for host in [&second, &third] {
        for (path, wanted) in files(host) {
            assert_eq!(digest(&host.view(MINILM, &path)), wanted, "{path}");
        }
    }
    assert_eq!(it.hub.seen().len(), asked, "all of it came from the first hallmark");
}
