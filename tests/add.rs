//! `hallmark add`: from a trained file to an entry of the index.

use std::{
    fs,
    io::Write as _,
    os::unix::fs::PermissionsExt as _,
    path::Path,
    process::{Command, Output, Stdio},
};

use base::Sha256;
use serde_json::{Value, json};

use crate::support::host;

mod faults;
mod logs;
mod revise;

/// A folder with an index and a trained model.
struct Desk {
    folder: tempfile::TempDir,
}

/// What every entry needs and no file says.
const CHOSEN: &[&str] = &[
    "--set=frequencyHz=741",
    "--set=geometry.pattern=cube",
    "--set=geometry.dimensions=3",
    "--set=temporalScope=eternal",
    "--set=semanticTags=speech,small",
    "--set=license=MIT",
    "--set=training.repo=https://git.example/team/train",
    "--set=training.command=python train.py",
];

const MEASURED: &[&str] = &["--set=provenance.runId=run-7", "--set=provenance.metrics.loss=0.25"];

const DATASET: &str = "--dataset=org/data@0123456789abcdef0123456789abcdef01234567";

impl Desk {
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let desk = Self { folder };
        let index = fs::read(Path::new(env!("CARGO_MANIFEST_DIR")).join("../../index.json")).unwrap();
        desk.write("index.json", &index);
        desk.write("model.safetensors", &safetensors(8));
        desk
    }

    fn path(&self) -> &Path {
        self.folder.path()
    }

    fn write(&self, name: &str, bytes: &[u8]) {
        host::write(self.path(), name, bytes);
    }

    fn index(&self) -> String {
        fs::read_to_string(self.path().join("index.json")).unwrap()
    }

    fn entry(&self, id: &str) -> Value {
        let index: Value = serde_json::from_str(&self.index()).unwrap();
        index["models"].as_array().unwrap().iter().find(|it| it["id"] == id).cloned().unwrap()
    }

    fn command(&self, arguments: &[&[&str]]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_hallmark"));
        command.current_dir(self.path()).arg("add").args(arguments.concat());
        command
    }

    fn add(&self, arguments: &[&[&str]]) -> Output {
        self.command(arguments).stdin(Stdio::null()).output().unwrap()
    }

    /// Adds, and returns what was said as JSON.
    fn told(&self, arguments: &[&[&str]]) -> (Option<i32>, Value) {
        let output = self.add(&[arguments, &[&["--json"]]].concat());
        let page = serde_json::from_slice(&output.stdout).unwrap_or_else(|_| panic!("{output:?}"));
        (output.status.code(), page)
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

fn said(output: &Output) -> String {
    String::from_utf8(output.stdout.clone()).unwrap()
}

fn complained(output: &Output) -> String {
    String::from_utf8(output.stderr.clone()).unwrap()
}

const ID: &[&str] = &["model.safetensors", "--id=ajna-whisper-v1"];

#[test]
fn a_trained_file_becomes_an_entry_and_the_diff_shows_nothing_else() {
    let desk = Desk::new();
    desk.write("config.json", b"{}");
    let before = desk.index();
    fs::set_permissions(desk.path().join("index.json"), fs::Permissions::from_mode(0o640)).unwrap();
    let output = desk.add(&[
        ID,
        CHOSEN,
        MEASURED,
        &[DATASET, "--with=config.json", "--url=https://host.example/m/model.safetensors"],
    ]);
    assert_eq!(output.status.code(), Some(0), "{output:?}");
    assert!(
        said(&output).contains("index.json has a new entry: ajna-whisper-v1 1.0.0."),
        "{}",
        said(&output)
    );
    let after = desk.index();
    let end = before.rfind("\n  ]\n}").unwrap();
    let rest = after.strip_prefix(&before[..end]).unwrap();
    assert!(
        rest.starts_with(",\n    {\n      \"id\": \"ajna-whisper-v1\",\n      \"version\": \"1.0.0\",\n"),
        "{rest}"
    );
    assert!(rest.ends_with("\n    }\n  ]\n}\n"));
    let bytes = safetensors(8);
    assert_eq!(
        desk.entry("ajna-whisper-v1"),
        json!({
            "id": "ajna-whisper-v1", "version": "1.0.0", "chakra": "ajna", "frequencyHz": 741,
            "geometry": {"pattern": "cube", "dimensions": 3}, "temporalScope": "eternal",
            "semanticTags": ["speech", "small"],
            "dataset": {
                "id": "org/data", "commit": "0123456789abcdef0123456789abcdef01234567",
                "url": "https://huggingface.co/datasets/org/data/tree/0123456789abcdef0123456789abcdef01234567",
            },
            "training": {"repo": "https://git.example/team/train", "command": "python train.py"},
            "artifact": {
                "filename": "model.safetensors", "sha256": Sha256::of(&bytes), "sizeBytes": bytes.len(),
                "format": "safetensors", "parameters": 8, "dtypes": ["F32"],
                "downloadUrl": "https://host.example/m/model.safetensors",
                "files": [{"path": "config.json", "sha256": Sha256::of(b"{}"), "sizeBytes": 2}],
            },
            "license": "MIT",
            "provenance": {"runId": "run-7", "metrics": {"loss": 0.25}},
        })
    );
    let mode = fs::metadata(desk.path().join("index.json")).unwrap().permissions().mode();
    assert_eq!(mode & 0o777, 0o640);
    let names = fs::read_dir(desk.path()).unwrap().count();
    assert_eq!(names, 3, "nothing stays behind");
}

#[test]
fn what_is_missing_is_listed_in_the_schemas_words_and_nothing_is_written() {
    let desk = Desk::new();
    let before = desk.index();
    let output = desk.add(&[ID]);
    assert_eq!(output.status.code(), Some(1), "{output:?}");
    let text = said(&output);
    assert!(text.contains("12 fields missing"), "{text}");
    assert!(
        text.contains("  frequencyHz: The resonant frequency assigned to the model, in hertz.\n"),
        "{text}"
    );
    assert!(text.contains("    one of ephemeral, session, daily"), "{text}");
    assert!(text.ends_with("Nothing was written.\n"), "{text}");
    assert_eq!(desk.index(), before);
    let (code, page) = desk.told(&[ID, CHOSEN, &[DATASET]]);
    let missing = page["missing"].as_array().unwrap().iter().map(|it| it["field"].as_str().unwrap());
    assert_eq!(
        (code, missing.collect::<Vec<_>>()),
        (Some(1), vec!["provenance.runId", "provenance.metrics"])
    );
    assert_eq!((&page["written"], desk.index()), (&json!(false), before));
}

#[test]
fn placeholders_stand_only_where_they_cannot_be_taken_for_facts() {
    let desk = Desk::new();
    let (code, page) = desk.told(&[ID, &["--allow-stub"]]);
    let missing = page["missing"].as_array().unwrap().iter().map(|it| it["field"].as_str().unwrap());
    let missing = missing.collect::<Vec<_>>();
    assert_eq!(
        (code, missing),
        (Some(1), vec!["frequencyHz", "geometry.dimensions", "temporalScope", "semanticTags"])
    );
    let chosen = &CHOSEN[..5];
    let output = desk.add(&[ID, chosen, &["--allow-stub"]]);
    assert_eq!(output.status.code(), Some(0), "{output:?}");
    let entry = desk.entry("ajna-whisper-v1");
    assert_eq!(
        entry["provenance"],
        json!({"runId": "TODO-STUB-provenance-runId", "metrics": {"status": "TODO-STUB-metrics"}})
    );
    assert_eq!(
        (&entry["license"], &entry["dataset"]["url"]),
        (&json!("LicenseRef-TODO-STUB-license"), &json!("TODO-STUB-dataset-url:unknown"))
    );
    // Valid as a draft, and refused where it counts.
    let validate = |strict: &[&str]| {
        let mut command = Command::new(env!("CARGO_BIN_EXE_hallmark"));
        command.current_dir(desk.path()).arg("validate").args(strict).output().unwrap().status.code()
    };
    assert_eq!((validate(&[]), validate(&["--strict"])), (Some(0), Some(1)));
}

#[test]
fn a_person_is_asked_for_what_is_missing_until_the_answer_fits() {
    let desk = Desk::new();
    let mut child = desk
        .command(&[ID, CHOSEN, &[DATASET, "--set=temporalScope=daily", "--interactive"]])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    child.stdin.take().unwrap().write_all(b"run-9\nnot json\n{\"accuracy\": 0.5}\n").unwrap();
    let output = child.wait_with_output().unwrap();
    assert_eq!(output.status.code(), Some(0), "{output:?}");
    let asked = complained(&output);
    assert!(
        asked.contains("What identifies the training run") && asked.contains("provenance.runId: "),
        "{asked}"
    );
    assert!(asked.contains("\"not json\" is no object in JSON"), "{asked}");
    let entry = desk.entry("ajna-whisper-v1");
    assert_eq!(entry["provenance"], json!({"runId": "run-9", "metrics": {"accuracy": 0.5}}));
    // Who says nothing is asked once for each field, and gets the list.
    let silent = Desk::new().add(&[ID, CHOSEN, &[DATASET, "--interactive"]]);
    assert_eq!(silent.status.code(), Some(1));
    assert!(said(&silent).contains("2 fields missing"));
}

#[test]
fn a_dry_run_says_what_it_would_do_and_does_nothing() {
    let desk = Desk::new();
    let before = desk.index();
    let output = desk.add(&[ID, CHOSEN, MEASURED, &[DATASET, "--dry-run"]]);
    assert_eq!(output.status.code(), Some(0), "{output:?}");
    assert!(said(&output).contains("index.json would have a new entry"));
    assert_eq!(desk.index(), before);
}

#[test]
fn what_the_file_states_about_itself_fills_what_nobody_said() {
    let desk = Desk::new();
    let header = json!({"__metadata__": {"modelspec.license": "mit", "modelspec.author": "The Team",
        "modelspec.architecture": "whisper"}, "w": {"dtype": "F16", "shape": [2], "data_offsets": [0, 4]}});
    let header = header.to_string();
    let bytes = [&(header.len() as u64).to_le_bytes()[..], header.as_bytes(), &[0; 4]].concat();
    desk.write("model.safetensors", &bytes);
    let without_license = CHOSEN.iter().copied().filter(|it| !it.contains("license")).collect::<Vec<_>>();
    let (code, page) = desk.told(&[ID, &without_license, MEASURED, &[DATASET, "--dry-run"]]);
    let entry = &page["entry"];
    assert_eq!(
        (code, &entry["license"], &entry["provenance"]["creator"]),
        (Some(0), &json!("MIT"), &json!("The Team"))
    );
    assert_eq!(
        (&entry["artifact"]["architecture"], &entry["artifact"]["dtypes"]),
        (&json!("whisper"), &json!(["F16"]))
    );
    // Who says otherwise is not contradicted in silence.
    assert_eq!(desk.add(&[ID, CHOSEN, MEASURED, &[DATASET, "--set=license=ISC"]]).status.code(), Some(0));
    let (_, page) = desk.told(&[ID, &["--dry-run"]]);
    assert_eq!(
        page["remarks"],
        json!(["model.safetensors states the licence \"mit\", but the entry says \"ISC\""])
    );
}

#[test]
fn the_training_codes_repository_says_its_address_and_commit() {
    let desk = Desk::new();
    let code = desk.path().join("code");
    fs::create_dir(&code).unwrap();
    let git = |arguments: &[&str]| {
        let mut command = Command::new("git");
        command
            .current_dir(&code)
            .args(["-c", "user.name=a", "-c", "user.email=a@example.org"])
            .args(arguments);
        let output = command.output().unwrap();
        assert!(output.status.success(), "{output:?}");
        String::from_utf8(output.stdout).unwrap().trim().to_owned()
    };
    git(&["init", "-q"]);
    desk.write("code/train.py", b"train()\n");
    git(&["add", "."]);
    git(&["commit", "-qm", "train"]);
    git(&["remote", "add", "origin", "https://me:secret@git.example/team/code.git"]);
    let commit = git(&["rev-parse", "HEAD"]);
    let (code, page) = desk.told(&[ID, CHOSEN, MEASURED, &[DATASET, "--dry-run", "--training-repo=code"]]);
    assert_eq!(code, Some(0), "{page}");
    assert_eq!(page["entry"]["training"]["commit"], json!(commit));
    assert_eq!(page["entry"]["training"]["treeClean"], json!(true));
    assert!(page["remarks"][0].as_str().unwrap().contains("push it"), "{page}");
    desk.write("code/train.py", b"train(more=True)\n");
    let (_, page) = desk.told(&[
        ID,
        &CHOSEN[..6],
        MEASURED,
        &[DATASET, "--dry-run", "--training-repo=code", "--set=training.command=x"],
    ]);
    assert_eq!(page["entry"]["training"]["repo"], json!("https://git.example/team/code.git"));
    assert_eq!(page["entry"]["training"]["treeClean"], json!(false));
    assert!(!page.to_string().contains("secret"));
}
