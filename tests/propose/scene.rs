//! What the stories need: a repository that holds an index, and somebody who trains models.

use std::{
    fs,
    path::{Path, PathBuf},
    process::{Command, Output},
};

use base::Sha256;
use serde_json::{Value, json};
use tokio::runtime::Runtime;

use super::forge::{Plays, StandIn, TOKEN};
use crate::support::{
    git_server::{Doors, GitServer},
    host::{Host, Said, entry},
    hub::FixtureHub,
    peers,
};

pub(super) const ID: &str = "ajna-insight-v2";
pub(super) const BRANCH: &str = "ci/model-update-ajna-insight-v2";

/// What a client sends for "x-access-token:write" and "x-access-token:read".
pub(super) const WRITE: &str = "Basic eC1hY2Nlc3MtdG9rZW46d3JpdGU=";
pub(super) const READ: &str = "Basic eC1hY2Nlc3MtdG9rZW46cmVhZA==";

/// A repository that holds an index, and a clone of somebody who works on it.
pub(super) struct Repository {
    folder: tempfile::TempDir,
}

impl Repository {
    /// Makes a repository with one commit that holds an index.
    pub(super) fn holding(index: &str) -> Self {
        let it = Self { folder: tempfile::tempdir().unwrap() };
        fs::create_dir(it.path("work")).unwrap();
        it.git(&["init", "-q", "-b", "main", "."]);
        it.git(&["init", "-q", "--bare", "-b", "main", it.path("models.git").to_str().unwrap()]);
        it.git(&["remote", "add", "origin", it.path("models.git").to_str().unwrap()]);
        fs::write(it.path("work/README"), "models\n").unwrap();
        it.push("main", index);
        it
    }

    pub(super) fn folder(&self) -> &Path {
        self.folder.path()
    }

    pub(super) fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// Runs git in the clone.
    pub(super) fn git(&self, words: &[&str]) -> String {
        let output = git(&self.path("work"), words);
        assert!(output.status.success(), "git {words:?}: {}", String::from_utf8_lossy(&output.stderr));
        String::from_utf8(output.stdout).unwrap().trim().to_owned()
    }

    /// Commits an index on a branch and pushes it.
    pub(super) fn push(&self, branch: &str, text: &str) -> String {
        fs::write(self.path("work/index.json"), text).unwrap();
        self.git(&["add", "-A"]);
        self.git(&["commit", "-q", "--allow-empty", "-m", text.lines().next().unwrap()]);
        self.git(&["push", "-q", "origin", &format!("+HEAD:{branch}")]);
        self.git(&["rev-parse", "HEAD"])
    }

    /// Asks the repository itself.
    pub(super) fn bare(&self, words: &[&str]) -> String {
        let place = self.path("models.git");
        self.git(&[&["--git-dir", place.to_str().unwrap()], words].concat())
    }

    pub(super) fn file(&self) -> String {
        format!("git+file://{}", self.path("models.git").display())
    }

    /// Gives the repository a hook.
    pub(super) fn hook(&self, name: &str, script: &str) {
        use std::os::unix::fs::PermissionsExt as _;
        let path = self.path("models.git/hooks").join(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(&path, format!("#!/bin/sh\n{script}\n")).unwrap();
        fs::set_permissions(path, fs::Permissions::from_mode(0o755)).unwrap();
    }

    /// Merges the proposal's branch into main, as a forge does when somebody presses the button.
    pub(super) fn merge(&self, branch: &str) {
        self.git(&["fetch", "-q", "origin"]);
        self.git(&["checkout", "-q", "-B", "merging", "origin/main"]);
        self.git(&["merge", "-q", "--no-ff", "-m", "merge", &format!("origin/{branch}")]);
        self.git(&["push", "-q", "origin", "HEAD:main"]);
    }

    /// Returns an entry as it stands on a branch, or null.
    pub(super) fn entry(&self, branch: &str, id: &str) -> Value {
        let index: Value =
            serde_json::from_str(&self.bare(&["show", &format!("{branch}:index.json")])).unwrap();
        let models = index["models"].as_array().unwrap();
        models.iter().find(|it| it["id"] == id).cloned().unwrap_or_default()
    }
}

pub(super) fn git(folder: &Path, words: &[&str]) -> Output {
    let names = ["-c", "user.name=Ada", "-c", "user.email=ada@example.org", "-c", "commit.gpgsign=false"];
    let mut command = Command::new("git");
    command.args(names).args(words).current_dir(folder).env("GIT_CONFIG_NOSYSTEM", "1");
    command.env("HOME", folder).output().unwrap()
}

/// Somebody who has trained a model, with a repository on a forge and a hub that has the model's bytes.
pub(super) struct Scene {
    pub(super) repository: Repository,
    pub(super) server: GitServer,
    pub(super) forge: StandIn,
    pub(super) hub: FixtureHub,
    pub(super) host: Host,
    pub(super) runtime: Runtime,
}

impl Scene {
    /// Prepares all of it, unless the forge's description is missing.
    pub(super) fn on(plays: Plays) -> Option<Self> {
        let first = entry("ajna-insight-v1", b"first").pinned(&"a".repeat(40));
        let index = json!({ "models": [first.0] });
        let repository = Repository::holding(&(serde_json::to_string_pretty(&index).unwrap() + "\n"));
        let forge = StandIn::start(plays, &repository.path("models.git"))?;
        let doors = Doors { writer: Some(WRITE.to_owned()), reader: Some(READ.to_owned()) };
        let server = GitServer::start_with(repository.folder(), doors, "127.0.0.1:0".parse().unwrap());
        let runtime = Runtime::new().unwrap();
        let hub = runtime.block_on(FixtureHub::start());
        let host = Host::of(&hub);
        host.write("git-token", b"write\n");
        host.write("forge-token", format!("{TOKEN}\n").as_bytes());
        let scene = Self { repository, server, forge, hub, host, runtime };
        scene.trains(8);
        Some(scene)
    }

    /// Trains a model of so many numbers, and uploads it.
    pub(super) fn trains(&self, numbers: usize) -> Sha256 {
        let bytes = safetensors(numbers);
        self.host.write("model.safetensors", &bytes);
        self.hub.put(&format!("org/{ID}"), "model.safetensors", &bytes.into())
    }

    /// Returns what somebody says who proposes the model, with more words behind.
    pub(super) fn words(&self, more: &[&str]) -> Vec<String> {
        let url =
            format!("--url=https://huggingface.co/org/{ID}/resolve/{}/model.safetensors", "ab".repeat(20));
        let mut words = [
            "propose",
            "model.safetensors",
            "--id",
            ID,
            "--set=frequencyHz=852",
            "--set=geometry.pattern=merkaba",
            "--set=geometry.dimensions=3",
            "--set=temporalScope=eternal",
            "--set=semanticTags=insight",
            "--set=license=Apache-2.0",
            "--set=training.repo=https://git.example.org/team/train",
            "--set=training.commit=2222222222222222222222222222222222222222",
            "--set=training.command=python train.py",
            "--set=provenance.runId=run-7",
            "--set=provenance.metrics.loss=0.25",
            "--dataset=org/data@0123456789abcdef0123456789abcdef01234567",
            "--author=Training CI <ci@example.org>",
            "--token-file=git-token",
            "--forge-token-file=forge-token",
        ]
        .map(str::to_owned)
        .to_vec();
        words.extend([url, format!("--repo={}", self.server.place(""))]);
        words.extend(self.forge.flags());
        // What is said again replaces what was said, as far as it can be said only once.
        let name = |it: &str| it.split_once('=').map(|it| it.0.to_owned()).filter(|it| it != "--set");
        let again = more.iter().filter_map(|it| name(it)).collect::<Vec<_>>();
        words.retain(|it| name(it).is_none_or(|it| !again.contains(&it)));
        words.extend(more.iter().map(|it| (*it).to_owned()));
        words
    }

    pub(super) fn run(&self, more: &[&str]) -> Said {
        let words = self.words(more);
        self.host.run(&words.iter().map(String::as_str).collect::<Vec<_>>())
    }

    /// Proposes, and expects it to be well.
    pub(super) fn done(&self, more: &[&str]) -> Said {
        let said = self.run(more);
        assert_eq!(said.code, Some(0), "{said:#?}");
        said
    }

    /// Leaves the folder of a run: the model, its config, the log of a real trainer, and the code in a repository.
    /// Returns what somebody says who proposes that, and who says nothing by hand that stands there.
    pub(super) fn leaves_a_run(&self) -> Option<Vec<String>> {
        let python = peers::require("transformers/bin/python", "the story of a run's folder")?;
        let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tests/peers/logs.py");
        let run = self.host.path("run");
        fs::create_dir(&run).unwrap();
        fs::rename(self.host.path("model.safetensors"), run.join("model.safetensors")).unwrap();
        fs::write(run.join("config.json"), "{}").unwrap();
        self.hub.put(&format!("org/{ID}"), "config.json", &b"{}".to_vec().into());
        let logged =
            Command::new(python).arg("-Wignore").arg(script).arg("trainer").current_dir(&run).output();
        let logged = logged.unwrap();
        assert!(logged.status.success(), "{logged:?}");
        let code = self.repository.path("code");
        fs::create_dir(&code).unwrap();
        fs::write(code.join("train.py"), "train()\n").unwrap();
        for words in [
            &["init", "-q", "-b", "main", "."][..],
            &["remote", "add", "origin", "https://git.example.org/team/train.git"],
            &["add", "-A"],
            &["commit", "-q", "-m", "train"],
        ] {
            assert!(git(&code, words).status.success());
        }
        let mut words = self.words(&[]);
        "run/model.safetensors".clone_into(&mut words[1]);
        words.retain(|it| !it.starts_with("--set=training.repo") && !it.starts_with("--set=training.commit"));
        words.retain(|it| !it.starts_with("--set=provenance.metrics"));
        words.extend(["--with=run/config.json", "--log=run/trainer_state.json"].map(str::to_owned));
        words.push(format!("--training-repo={}", code.display()));
        Some(words)
    }

    /// Returns the newest commit of a branch, or nothing.
    pub(super) fn tip(&self, branch: &str) -> String {
        self.repository.bare(&["for-each-ref", "--format=%(objectname)", &format!("refs/heads/{branch}")])
    }
}

/// A safetensors file with one tensor of so many numbers.
fn safetensors(numbers: usize) -> Vec<u8> {
    let header = json!({
        "__metadata__": {"format": "pt"},
        "w": {"dtype": "F32", "shape": [numbers], "data_offsets": [0, numbers * 4]},
    })
    .to_string();
    let mut bytes = (header.len() as u64).to_le_bytes().to_vec();
    bytes.extend(header.as_bytes());
    bytes.resize(bytes.len() + numbers * 4, 7);
    bytes
}
