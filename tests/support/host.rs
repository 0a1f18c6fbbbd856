//! A host as an operator has it: a folder with a config, an index and the state, and the real `hallmark` run on it.

use std::{
    fs,
    path::{Path, PathBuf},
    process::{Child, Command, Output, Stdio},
    time::{Duration, Instant},
};

use base::Sha256;
use serde_json::{Value, json};
use tempfile::TempDir;

use super::hub::FixtureHub;

/// Folders of the store that are no model.
const SHELF: [&str; 6] = ["objects", "chunks", "partials", "quarantine", "leases", "unverified"];

/// How long a story waits for something before it fails.
const PATIENCE: Duration = Duration::from_mins(1);

/// A host that has a hub, an index and a config.
pub(crate) struct Host {
    folder: TempDir,
    /// `key = value` lines for each section.
    pub(crate) hub: Vec<String>,
    pub(crate) vault: Vec<String>,
    pub(crate) deploy: Vec<String>,
    pub(crate) policy: Vec<String>,
    pub(crate) ledger: Vec<String>,
    pub(crate) http: Vec<String>,
    /// What every command finds in its environment.
    pub(crate) environment: Vec<(&'static str, PathBuf)>,
}

/// What a command said and how it ended.
#[derive(Debug)]
pub(crate) struct Said {
    pub(crate) code: Option<i32>,
    pub(crate) out: String,
    pub(crate) err: String,
}

/// An entry of the index that is being written.
#[derive(Clone, Debug)]
pub(crate) struct Entry(pub(crate) Value);

/// Makes an entry for a file of the hub, in the repository `org/<id>`.
pub(crate) fn entry(id: &str, bytes: &[u8]) -> Entry {
    entry_in(id, &format!("org/{id}"), "model.bin", bytes)
}

/// Makes an entry for a file of a repository, on its main branch.
pub(crate) fn entry_in(id: &str, repository: &str, filename: &str, bytes: &[u8]) -> Entry {
    let url = format!("https://huggingface.co/{repository}/resolve/main/{filename}");
    Entry(json!({
        "id": id, "version": "1.0.0", "chakra": id.split('-').next(), "frequencyHz": 396,
        "geometry": { "pattern": "cube", "dimensions": 3 },
        "temporalScope": "eternal", "semanticTags": ["story"],
        "dataset": { "id": "example/corpus", "commit": "1".repeat(40), "url": "https://example.org/corpus" },
        "training": { "repo": "https://example.org/training", "commit": "2".repeat(40), "command": "train" },
        "artifact": {
            "filename": filename, "sha256": Sha256::of(bytes).to_string(), "sizeBytes": bytes.len(),
            "downloadUrl": url
        },
        "license": "Apache-2.0",
        "provenance": { "runId": "run-1", "metrics": { "loss": 0.5 } }
    }))
}

impl Entry {
    /// Adds a companion that names no URL of its own.
    pub(crate) fn with(mut self, path: &str, bytes: &[u8]) -> Self {
        let file = json!({ "path": path, "sha256": Sha256::of(bytes).to_string(), "sizeBytes": bytes.len() });
        let artifact = self.0["artifact"].as_object_mut().unwrap();
        artifact.entry("files").or_insert_with(|| json!([])).as_array_mut().unwrap().push(file);
        self
    }

    /// Changes one field of the artifact; `null` removes it.
    pub(crate) fn artifact(mut self, key: &str, value: Value) -> Self {
        let artifact = self.0["artifact"].as_object_mut().unwrap();
        if value.is_null() {
            artifact.remove(key);
        } else {
            artifact.insert(key.to_owned(), value);
        }
        self
    }

    /// Pins it to a commit.
    pub(crate) fn pinned(self, commit: &str) -> Self {
        self.artifact("revision", json!(commit))
    }

    pub(crate) fn id(&self) -> &str {
        self.0["id"].as_str().unwrap()
    }

    /// Lists the paths and digests that its view has to show.
    pub(crate) fn files(&self) -> Vec<(String, Sha256)> {
        let artifact = &self.0["artifact"];
        let digest = |it: &Value| Sha256::parse(it["sha256"].as_str().unwrap()).unwrap();
        let mut files = vec![(artifact["filename"].as_str().unwrap().to_owned(), digest(artifact))];
        for file in artifact["files"].as_array().into_iter().flatten() {
            files.push((file["path"].as_str().unwrap().to_owned(), digest(file)));
        }
        files.sort();
        files
    }
}

impl Host {
    /// Makes a host that knows this hub and wants nothing yet.
    pub(crate) fn of(hub: &FixtureHub) -> Self {
        Self::at(hub.url().as_str())
    }

    /// Makes a host whose hub has this address.
    pub(crate) fn at(endpoint: &str) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let hub = vec![format!("endpoint = \"{endpoint}\"")];
        let vault = vec!["keep_free_bytes = 0".to_owned(), "tries_max = 3".to_owned()];
        let (deploy, policy, ledger, http) = (Vec::new(), Vec::new(), Vec::new(), Vec::new());
        Self { folder, hub, vault, deploy, policy, ledger, http, environment: Vec::new() }
    }

    /// Writes the index.
    pub(crate) fn index(&self, entries: &[Entry]) {
        let models = entries.iter().map(|it| it.0.clone()).collect::<Vec<_>>();
        self.write(
            "index.json",
            serde_json::to_string_pretty(&json!({ "models": models })).unwrap().as_bytes(),
        );
    }

    /// Writes an index of these entries and wants all of them.
    pub(crate) fn wants(&mut self, entries: &[Entry]) {
        self.index(entries);
        self.declares(&entries.iter().map(Entry::id).collect::<Vec<_>>());
    }

    /// Wants these models.
    pub(crate) fn declares(&mut self, ids: &[&str]) {
        self.deploy = vec![format!("models = {}", json!(ids))];
    }

    /// Returns a path in the host's folder.
    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// Returns the model store.
    pub(crate) fn store(&self) -> PathBuf {
        self.path("state/models")
    }

    /// Returns the Hugging Face cache.
    pub(crate) fn cache(&self) -> PathBuf {
        self.path("state/hf-cache")
    }

    /// Returns where an object stands, if it does.
    pub(crate) fn object(&self, digest: &Sha256) -> PathBuf {
        under(&self.store().join("objects/sha256"), digest)
    }

    /// Returns a file of a model's view.
    pub(crate) fn view(&self, id: &str, file: &str) -> PathBuf {
        self.store().join(id).join(file)
    }

    /// Returns what a client of the hub finds in the cache on the main branch.
    pub(crate) fn cached(&self, repository: &str, file: &str) -> PathBuf {
        let repo = self.cache().join(format!("models--{}", repository.replace('/', "--")));
        let commit = fs::read_to_string(repo.join("refs/main")).unwrap_or_default();
        assert!(commit.is_empty() || commit.len() == 40, "{commit:?}");
        repo.join("snapshots").join(commit).join(file)
    }

    /// Writes a file into the host's folder.
    pub(crate) fn write(&self, name: &str, bytes: &[u8]) -> PathBuf {
        write(&self.path(""), name, bytes)
    }

    /// Prepares a command: its words, then config, index and state.
    pub(crate) fn command(&self, words: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_hallmark"));
        command.args(self.arguments(words)).current_dir(self.folder.path()).stdin(Stdio::null());
        command.envs(self.environment.iter().map(|it| (it.0, &it.1)));
        command
    }

    /// Returns all that follows the program's name, with the config as it is now.
    pub(crate) fn arguments(&self, words: &[&str]) -> Vec<String> {
        let section = |name, lines: &[String]| format!("[{name}]\n{}\n", lines.join("\n"));
        let config = section("catalog", &["index = \"index.json\"".to_owned()])
            + &section("hub", &self.hub)
            + &section("vault", &self.vault)
            + &section("deploy", &self.deploy)
            + &section("policy", &self.policy)
            + &section("ledger", &self.ledger)
            + &section("http", &self.http);
        self.write("hallmark.toml", config.as_bytes());
        let place = ["--config", "hallmark.toml", "--state", "state"];
        words.iter().chain(&place).map(|it| (*it).to_owned()).collect()
    }

    /// Runs a command to its end.
    pub(crate) fn run(&self, words: &[&str]) -> Said {
        self.command(words).output().unwrap().into()
    }

    /// Starts a command whose output nobody reads but the story.
    pub(crate) fn start(&self, words: &[&str]) -> Child {
        self.command(words).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap()
    }

    /// Runs a command that has to do its work: any other end is shown.
    pub(crate) fn done(&self, words: &[&str]) -> Said {
        let said = self.run(words);
        assert_eq!(said.code, Some(0), "{said:#?}");
        said
    }

    /// Sets all times in the store that gc looks at to the beginning of time.
    pub(crate) fn ages(&self) {
        let store = self.store();
        for path in
            ["objects", "leases", "partials", "unverified"].iter().flat_map(|it| files(&store.join(it)))
        {
            let file = fs::File::open(&path).unwrap();
            file.set_modified(std::time::UNIX_EPOCH + Duration::from_secs(1)).unwrap();
        }
    }

    /// Looks at everything that is visible, and complains of what is not proven or not whole.
    pub(crate) fn check(&self, entries: &[Entry]) {
        let objects = files(&self.store().join("objects"));
        for path in &objects {
            assert_eq!(
                digest(path).to_string(),
                path.file_name().unwrap().to_str().unwrap(),
                "an unproven object"
            );
        }
        for name in names(&self.store()).iter().filter(|it| !SHELF.contains(&it.as_str())) {
            if let Some(entry) = entries.iter().find(|it| it.id() == name) {
                let folder = self.store().join(name);
                assert_eq!(shown(&folder), entry.files(), "half a view of {name}");
            }
        }
        for repo in names(&self.cache()).iter().filter(|it| it.starts_with("models--")) {
            let folder = self.cache().join(repo);
            for name in names(&folder.join("refs")) {
                let commit = fs::read_to_string(folder.join("refs").join(name)).unwrap();
                let found = shown(&folder.join("snapshots").join(&commit));
                let whole = entries.iter().any(|it| it.files() == found);
                assert!(whole, "{repo} resolves to {commit}, which shows {found:?}");
            }
        }
    }
}

impl From<Output> for Said {
    fn from(output: Output) -> Self {
        let text = |bytes: Vec<u8>| String::from_utf8(bytes).unwrap();
        Self { code: output.status.code(), out: text(output.stdout), err: text(output.stderr) }
    }
}

impl Said {
    /// Returns standard output as one JSON value a line.
    pub(crate) fn events(&self) -> Vec<Value> {
        self.out
            .lines()
            .map(|it| serde_json::from_str(it).unwrap_or_else(|_| panic!("{it:?} is no JSON")))
            .collect()
    }

    /// Returns standard output as one JSON value.
    pub(crate) fn json(&self) -> Value {
        serde_json::from_str(&self.out).unwrap_or_else(|error| panic!("{error}: {self:#?}"))
    }

    /// Returns how a model ended, out of the JSON lines of a sync.
    pub(crate) fn model(&self, id: &str) -> Value {
        let events = self.events();
        let found = events.iter().find(|it| it["event"] == "model" && it["model"] == id);
        found.cloned().unwrap_or_else(|| panic!("{id} is not in {self:#?}"))
    }

    /// Makes sure that standard output has all of this on one line.
    pub(crate) fn says(&self, parts: &[&str]) -> &Self {
        let said = self.out.lines().any(|line| parts.iter().all(|it| line.contains(it)));
        assert!(said, "no line says {parts:?}: {self:#?}");
        self
    }
}

/// Waits until something is so.
pub(crate) fn until(what: &str, mut is_so: impl FnMut() -> bool) {
    let begun = Instant::now();
    while !is_so() {
        assert!(begun.elapsed() < PATIENCE, "waited in vain for {what}");
        std::thread::sleep(Duration::from_millis(1));
    }
}

/// Returns the plain files below a folder, in order.
pub(crate) fn files(folder: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for name in names(folder) {
        let path = folder.join(name);
        let Ok(kind) = fs::symlink_metadata(&path).map(|it| it.file_type()) else { continue };
        if kind.is_dir() {
            found.extend(files(&path));
        } else if kind.is_file() {
            found.push(path);
        }
    }
    found
}

/// Returns the names in a folder, in order; none if there is no folder.
pub(crate) fn names(folder: &Path) -> Vec<String> {
    let Ok(entries) = fs::read_dir(folder) else { return Vec::new() };
    let mut names = entries.map(|it| it.unwrap().file_name().into_string().unwrap()).collect::<Vec<_>>();
    names.sort();
    names
}

/// Returns the digest of what is at a path, through links.
pub(crate) fn digest(path: &Path) -> Sha256 {
    let file = fs::File::open(path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
    Sha256::of_reader(file).unwrap().0
}

/// Lists what a folder of links shows, and hashes it.
pub(crate) fn shown(folder: &Path) -> Vec<(String, Sha256)> {
    fn walk(folder: &Path, prefix: &str, found: &mut Vec<(String, Sha256)>) {
        for name in names(folder) {
            let path = folder.join(&name);
            if path.is_dir() {
                walk(&path, &format!("{prefix}{name}/"), found);
            } else {
                found.push((format!("{prefix}{name}"), digest(&path)));
            }
        }
    }
    let mut found = Vec::new();
    walk(folder, "", &mut found);
    found.sort();
    found
}

fn under(folder: &Path, digest: &Sha256) -> PathBuf {
    let hex = digest.to_string();
    folder.join(&hex[..2]).join(hex)
}

/// Writes a file below a folder, which it makes if need be.
pub(crate) fn write(folder: &Path, name: &str, bytes: &[u8]) -> PathBuf {
    let path = folder.join(name);
    fs::create_dir_all(path.parent().unwrap()).unwrap();
    fs::write(&path, bytes).unwrap();
    path
}
