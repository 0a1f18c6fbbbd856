//! The workflows that other repositories call, the examples in the docs, and the hook before a commit.

use std::{
    fs,
    path::{Path, PathBuf},
    process::Command,
};

use super::scene::git;
use crate::support::{host::entry, peers};

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..").canonicalize().unwrap()
}

#[test]
fn the_workflows_and_the_examples_of_workflows_are_what_a_linter_accepts() {
    let Some(lint) = peers::require("lint/bin/actionlint", "linting workflows") else { return };
    let folder = tempfile::tempdir().unwrap();
    let docs = fs::read_to_string(root().join("docs/repositories.md")).unwrap();
    let mut files = fs::read_dir(root().join(".github/workflows"))
        .unwrap()
        .map(|it| it.unwrap().path())
        .collect::<Vec<_>>();
    let blocks = docs.split("```yaml\n").skip(1).map(|it| it.split("```").next().unwrap());
    for (number, block) in blocks.enumerate().filter(|it| it.1.contains("\njobs:\n")) {
        let file = folder.path().join(format!("{number}.yml"));
        fs::write(&file, block).unwrap();
        files.push(file);
    }
    assert_eq!(files.len(), 6, "{files:?}");
    // The runner of the example is the operator's own.
    let output = Command::new(&lint)
        .args(["-no-color", "-shellcheck=", "-pyflakes=", "-ignore", "label \"docker\" is unknown"])
        .args(&files)
        .current_dir(root())
        .output()
        .unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stdout));
}

#[test]
fn the_hook_refuses_a_commit_of_an_index_that_does_not_hold() {
    let Some(pre_commit) = peers::require("lint/bin/pre-commit", "the hook before a commit") else { return };
    let folder = tempfile::tempdir().unwrap();
    let index = |license: &str| {
        let mut entry = entry("ajna-insight-v1", b"bytes").pinned(&"a".repeat(40));
        entry.0["license"] = license.into();
        let text = serde_json::json!({ "models": [entry.0] }).to_string();
        fs::write(folder.path().join("index.json"), text).unwrap();
    };
    index("Apache-2.0");
    for words in [&["init", "-q", "."][..], &["add", "-A"], &["commit", "-q", "-m", "index"]] {
        assert!(git(folder.path(), words).status.success());
    }
    let program = Path::new(env!("CARGO_BIN_EXE_hallmark")).parent().unwrap();
    let path = format!("{}:{}", program.display(), std::env::var("PATH").unwrap());
    let hook = |files: &[&str]| {
        let mut command = Command::new(&pre_commit);
        command
            .args(["try-repo", "--color=never"])
            .arg(root())
            .arg("hallmark-validate")
            .arg("--files")
            .args(files);
        command.current_dir(folder.path()).env("HOME", folder.path()).env("PATH", &path);
        let output = command.env("XDG_CACHE_HOME", folder.path().join(".cache")).output().unwrap();
        (output.status.success(), String::from_utf8_lossy(&output.stdout).into_owned())
    };
    let (holds, said) = hook(&["index.json"]);
    assert!(holds && said.contains("hallmark validate") && said.contains("Passed"), "{said}");
    index("Apache 2");
    let (holds, said) = hook(&["index.json"]);
    assert!(!holds && said.contains("Failed") && said.contains("license"), "{said}");
}
