//! `hallmark publish`: a model of the index goes to the Hub in one commit, and comes back as it was promised.

use std::{
    fs,
    path::Path,
    process::{Command, Output},
};

use base::{CommitId, Sha256};
use bytes::Bytes;
use serde_json::{Value, json};

use crate::support::{
    host,
    hub::{Fault, FixtureHub, Rule, Side, noise},
    peers,
};

const REPO: &str = "org/ajna-voice-v1";
const TOKEN: &str = "hf_write";

/// A folder with a model, the index that lists it, and a config that names the hub.
struct Desk {
    folder: tempfile::TempDir,
    weights: Bytes,
}

impl Desk {
    fn new(hub: &FixtureHub) -> Self {
        let desk = Self { folder: tempfile::tempdir().unwrap(), weights: noise(5, 300_000) };
        hub.make(REPO, TOKEN);
        desk.write("out/model.bin", &desk.weights);
        desk.write("out/config.json", b"{\"a\": 1}\n");
        desk.write("token", format!("{TOKEN}\n").as_bytes());
        desk.configure(hub, "token_file = \"token\"");
        let file = |bytes: &[u8]| (Sha256::of(bytes), bytes.len());
        let ((weights, size), (config, config_size)) = (file(&desk.weights), file(b"{\"a\": 1}\n"));
        let index = json!({ "models": [{
            "id": "ajna-voice-v1", "version": "1.0.0", "chakra": "ajna", "frequencyHz": 396,
            "geometry": { "pattern": "cube", "dimensions": 3 }, "temporalScope": "eternal", "semanticTags": ["voice"],
            "dataset": { "id": "org/corpus", "commit": "1".repeat(40),
                "url": "https://huggingface.co/datasets/org/corpus/tree/1111111" },
            "training": { "repo": "https://example.org/training", "commit": "2".repeat(40), "command": "train" },
            "artifact": { "filename": "model.bin", "sha256": weights, "sizeBytes": size,
                "files": [{ "path": "sub/config.json", "sha256": config, "sizeBytes": config_size }] },
            "license": "Apache-2.0",
            "provenance": { "runId": "run-1", "metrics": { "loss": 0.5 } }
        }]});
        desk.write("index.json", serde_json::to_string_pretty(&index).unwrap().as_bytes());
        desk
    }

    fn configure(&self, hub: &FixtureHub, token: &str) {
        let config = format!("[hub]\nendpoint = \"{}\"\n{token}\n[vault]\ntries_max = 3\n", hub.url());
        self.write("hallmark.toml", config.as_bytes());
    }

    fn path(&self) -> &Path {
        self.folder.path()
    }

    fn write(&self, name: &str, bytes: &[u8]) {
        host::write(self.path(), name, bytes);
    }

    fn index(&self) -> Value {
        serde_json::from_slice(&fs::read(self.path().join("index.json")).unwrap()).unwrap()
    }

    fn publish(&self, files: &[&str]) -> Output {
        self.publish_to(REPO, files)
    }

    fn publish_to(&self, repository: &str, files: &[&str]) -> Output {
        let mut command = Command::new(env!("CARGO_BIN_EXE_hallmark"));
        command.current_dir(self.path()).arg("publish").args(files).args([
            "--repo",
            repository,
            "--config",
            "hallmark.toml",
        ]);
        command.output().unwrap()
    }
}

fn said(output: &Output) -> String {
    String::from_utf8_lossy(&[&output.stdout[..], &output.stderr[..]].concat()).into_owned()
}

#[track_caller]
fn done(output: &Output) -> String {
    assert_eq!(output.status.code(), Some(0), "{}", said(output));
    said(output)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_model_goes_up_in_one_commit_and_the_index_learns_where_it_is() {
    let hub = FixtureHub::start().await;
    let desk = Desk::new(&hub);
    let before = hub.tip(REPO).0;
    let text = done(&desk.publish(&["out"]));
    let (commit, commits) = hub.tip(REPO);
    assert_eq!(commits, 1);
    assert_ne!(commit, before);
    assert!(text.contains(&format!("{REPO} has a new commit {commit}")), "{text}");
    assert!(text.contains("Fetched back and verified: 2 files."), "{text}");
    assert_eq!(hub.file(REPO, "model.bin").unwrap(), desk.weights);
    assert_eq!(hub.file(REPO, "sub/config.json").unwrap(), "{\"a\": 1}\n");
    let artifact = &desk.index()["models"][0]["artifact"];
    assert_eq!(artifact["revision"], json!(commit));
    assert_eq!(
        artifact["downloadUrl"],
        json!(format!("https://huggingface.co/{REPO}/resolve/{commit}/model.bin"))
    );
    let metadata: Value = serde_json::from_slice(&hub.file(REPO, "metadata.json").unwrap()).unwrap();
    let mut expected = desk.index()["models"][0].clone();
    for name in ["downloadUrl", "revision"] {
        expected["artifact"].as_object_mut().unwrap().remove(name);
    }
    assert_eq!(metadata, expected);
    let card = String::from_utf8(hub.file(REPO, "README.md").unwrap().to_vec()).unwrap();
    assert!(
        card.starts_with("---\nlicense: apache-2.0\ntags:\n- voice\ndatasets:\n- org/corpus\n---\n"),
        "{card}"
    );
    // The token goes to the hub alone, and never where the large files are.
    let seen = hub.seen();
    let sent = seen.iter().filter(|it| it.header("authorization").is_some());
    assert!(sent.clone().all(|it| it.side == Side::Hub) && sent.count() > 0);
    assert!(seen.iter().any(|it| it.side == Side::Cdn && it.method == "PUT"));
    // What an operator's host makes of the index now.
    let mut sync = Command::new(env!("CARGO_BIN_EXE_hallmark"));
    sync.current_dir(desk.path()).args([
        "sync",
        "ajna-voice-v1",
        "--config",
        "hallmark.toml",
        "--index",
        "index.json",
    ]);
    let text = done(&sync.output().unwrap());
    assert!(text.contains("ajna-voice-v1 1.0.0: deployed, verified"), "{text}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_repeat_makes_no_commit_and_changes_nothing() {
    let hub = FixtureHub::start().await;
    let desk = Desk::new(&hub);
    done(&desk.publish(&["out"]));
    let (index, tip) = (desk.index(), hub.tip(REPO));
    let puts = hub.count(Side::Cdn, "PUT");
    let text = done(&desk.publish(&["out/model.bin", "out/config.json"]));
    assert!(text.contains("has all of this already") && text.contains("names this place already"), "{text}");
    assert_eq!((desk.index(), hub.tip(REPO), hub.count(Side::Cdn, "PUT")), (index.clone(), tip, puts));
    // Somebody wrote on the card: it is theirs, and the model is still where the index says.
    hub.put(
        REPO,
        "README.md",
        &Bytes::from("---\nlicense: apache-2.0\ntags: [voice]\ndatasets: org/corpus\n---\nMore.\n"),
    );
    hub.commit(REPO, CommitId::from_bytes([0xcd; 20]));
    done(&desk.publish(&["out"]));
    assert_eq!((desk.index(), hub.tip(REPO).1), (index, 1));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_card_that_is_there_keeps_its_words() {
    let hub = FixtureHub::start().await;
    let desk = Desk::new(&hub);
    hub.put(REPO, "README.md", &Bytes::from("---\nlanguage: en\nlicense: mit\n---\n# Ours\n"));
    done(&desk.publish(&["out"]));
    assert_eq!(
        hub.file(REPO, "README.md").unwrap(),
        "---\nlanguage: en\nlicense: apache-2.0\ntags:\n- voice\ndatasets:\n- org/corpus\n---\n# Ours\n"
    );
    // One that comes with the model is used where the hub has none.
    let other = FixtureHub::start().await;
    let desk = Desk::new(&other);
    desk.write("out/README.md", b"# Theirs\n");
    done(&desk.publish(&["out"]));
    let card = other.file(REPO, "README.md").unwrap();
    assert!(card.ends_with(b"---\n# Theirs\n"), "{card:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_large_file_goes_up_in_the_parts_that_the_hub_wants() {
    let hub = FixtureHub::start().await;
    let desk = Desk::new(&hub);
    hub.wants_parts(100_000);
    done(&desk.publish(&["out"]));
    assert_eq!(hub.count(Side::Cdn, "PUT"), 3);
    assert_eq!(hub.file(REPO, "model.bin").unwrap(), desk.weights);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_the_index_does_not_promise_stays_here() {
    let hub = FixtureHub::start().await;
    let desk = Desk::new(&hub);
    let before = desk.index();
    let check = |files: &[&str], code: i32, words: &str| {
        let output = desk.publish(files);
        assert!(output.status.code() == Some(code) && said(&output).contains(words), "{}", said(&output));
    };
    check(&["out/model.bin"], 1, "sub/config.json (9 bytes, sha256");
    desk.write("other", b"other");
    check(&["out", "other"], 1, "is here, but not in the entry");
    check(&["other"], 2, "no entry with the digest of any of these files");
    check(&["other", "--id=ajna-none-v1"], 2, "no entry 'ajna-none-v1'");
    desk.write("out/model.bin", b"changed");
    check(&["out", "--id=ajna-voice-v1"], 1, "model.bin (300000 bytes, sha256");
    assert_eq!((hub.tip(REPO).1, desk.index()), (0, before));
    assert!(hub.seen().iter().all(|it| it.method != "POST"));
}

#[tokio::test(flavor = "multi_thread")]
async fn who_may_not_write_is_told_what_is_missing() {
    let hub = FixtureHub::start().await;
    let desk = Desk::new(&hub);
    let check = |words: &str| {
        let output = desk.publish(&["out"]);
        assert!(output.status.code() == Some(2) && said(&output).contains(words), "{}", said(&output));
        assert!(!said(&output).contains("hf_"), "no token is shown");
    };
    desk.configure(&hub, "");
    check("wants a token that may write");
    desk.write("token", b"hf_read\n");
    desk.configure(&hub, "token_file = \"token\"");
    check("may not write there, saying \"you may only read\"");
    let nowhere = desk.publish_to("org/absent", &["out"]);
    assert!(said(&nowhere).contains("the hub knows no such repository or branch"), "{}", said(&nowhere));
    assert_eq!(hub.tip(REPO).1, 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_hub_with_a_bad_day_is_asked_again_and_nothing_is_sent_twice() {
    let hub = FixtureHub::start().await;
    let desk = Desk::new(&hub);
    hub.play(Rule::times(1, Fault::Status(503, &[("retry-after", "0")])).on("POST"));
    hub.play(Rule::times(1, Fault::Status(500, &[])).on("PUT"));
    done(&desk.publish(&["out"]));
    assert_eq!((hub.count(Side::Cdn, "PUT"), hub.tip(REPO).1), (2, 1));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_hub_that_gives_other_bytes_back_does_not_get_into_the_index() {
    let hub = FixtureHub::start().await;
    let desk = Desk::new(&hub);
    let before = desk.index();
    hub.play(Rule::always(Fault::Flip(1000)).on("GET"));
    let output = desk.publish(&["out"]);
    assert_eq!(output.status.code(), Some(2), "{}", said(&output));
    assert!(said(&output).contains("fetch model.bin back from"), "{}", said(&output));
    assert_eq!(desk.index(), before);
}

/// The hub of these stories is held to what the Hub's own client does: it uploads to it too.
#[tokio::test(flavor = "multi_thread")]
async fn the_hubs_own_client_can_upload_to_the_hub_of_these_stories() {
    let hub = FixtureHub::start().await;
    let desk = Desk::new(&hub);
    for (venv, parts) in [("hf-0.36", None), ("hf-1", Some(100_000)), ("hf-2", None)] {
        let Some(python) = peers::require(&format!("{venv}/bin/python"), "uploads by the Hub's own client")
        else {
            return;
        };
        desk.write("out/model.bin", &noise(venv.len() as u64 * 31 + u64::from(parts.is_some()), 300_000));
        desk.write("out/venv.txt", venv.as_bytes());
        if let Some(parts) = parts {
            hub.wants_parts(parts);
        }
        let script = format!(
            "from huggingface_hub import HfApi\nHfApi().upload_folder(repo_id='{REPO}', folder_path='out', commit_message='x')"
        );
        let before = hub.tip(REPO).1;
        let mut command = Command::new(python);
        command
            .current_dir(desk.path())
            .args(["-c", &script])
            .env("HF_ENDPOINT", hub.url().as_str().trim_end_matches('/'));
        command.env("HF_TOKEN", TOKEN).env("HF_HUB_DISABLE_XET", "1").env("HF_HOME", desk.path().join("hf"));
        done(&command.output().unwrap());
        assert_eq!(hub.tip(REPO).1, before + 1, "{venv}");
        assert_eq!(hub.file(REPO, "venv.txt").unwrap(), venv);
        assert_eq!(
            hub.file(REPO, "model.bin").unwrap(),
            fs::read(desk.path().join("out/model.bin")).unwrap()
        );
    }
}
