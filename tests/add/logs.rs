//! Training logs: what the real tools write, and what no tool should.

use std::{fs::File, path::PathBuf, process::Child};

use super::*;
use crate::support::peers;

/// Everything but what logs say.
const REST: &[&[&str]] = &[ID, CHOSEN, &[DATASET]];

/// Lets a tool write its logs into a folder; what it prints is returned.
fn real(desk: &Desk, venv: &str, tool: &str) -> Option<String> {
    let python = peers::require(&format!("{venv}/bin/python"), &format!("the logs of {tool}"))?;
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tests/peers/logs.py");
    let mut command = Command::new(python);
    command.current_dir(desk.path()).arg("-Wignore").arg(script).arg(tool).env("WANDB_SILENT", "true");
    let output =
        command.env("WANDB_CACHE_DIR", desk.path()).env("WANDB_CONFIG_DIR", desk.path()).output().unwrap();
    assert!(output.status.success(), "{output:?}");
    Some(said(&output))
}

/// Finds the one file in a folder whose name has these words in it.
fn find(folder: &Path, words: &str) -> PathBuf {
    let entries = fs::read_dir(folder).unwrap().map(|it| it.unwrap());
    let found = entries.filter(|it| !it.file_type().unwrap().is_symlink()).map(|it| it.path());
    let mut found = found.filter(|it| it.file_name().unwrap().to_str().unwrap().contains(words));
    let first = found.next().unwrap_or_else(|| panic!("{words} in {}", folder.display()));
    assert_eq!(found.next(), None);
    first
}

fn with_log(desk: &Desk, log: &Path, more: &[&str]) -> (Option<i32>, Value) {
    let log = format!("--log={}", log.display());
    desk.told(&[REST, &[&["--dry-run", log.as_str()], more]].concat())
}

fn remarks(page: &Value) -> Vec<&str> {
    page["remarks"].as_array().unwrap().iter().map(|it| it.as_str().unwrap()).collect()
}

#[test]
fn the_hugging_face_trainers_state_and_output_are_read() {
    let desk = Desk::new();
    let Some(printed) = real(&desk, "transformers", "trainer") else { return };
    desk.write("train.log", printed.as_bytes());
    let metrics = json!({"loss": 0.5, "accuracy": 0.875, "eval_accuracy": 0.875});
    for name in ["trainer_state.json", "train.log"] {
        let (code, page) = with_log(&desk, &desk.path().join(name), &["--set=provenance.runId=r"]);
        assert_eq!((code, &page["entry"]["provenance"]["metrics"]), (Some(0), &metrics), "{page}");
        assert!(remarks(&page)[0].ends_with("eval_odd ended as NaN, so it was kept out"), "{page}");
    }
}

#[test]
fn tensorboards_event_files_are_read_whoever_wrote_them() {
    let desk = Desk::new();
    if real(&desk, "logs", "tensorboard").is_none() {
        return;
    }
    for writer in ["torch", "tensorflow", "tensorboardx"] {
        let log = find(&desk.path().join(writer), "tfevents");
        let (code, page) = with_log(&desk, &log, &["--set=provenance.runId=r"]);
        let metrics = json!({"loss": 0.5, "accuracy": 0.875, "train/loss": 0.5, "eval/accuracy": 0.875});
        assert_eq!((code, &page["entry"]["provenance"]["metrics"]), (Some(0), &metrics), "{page}");
        assert!(remarks(&page)[0].contains("eval/odd ended as NaN"), "{page}");
        // A run that was killed leaves half a record: what came before it counts.
        let bytes = fs::read(&log).unwrap();
        fs::write(&log, &bytes[..bytes.len() - 3]).unwrap();
        let (_, page) = with_log(&desk, &log, &[]);
        assert!(remarks(&page).iter().any(|it| it.contains("ends in the middle of a record")), "{page}");
        // One flipped bit is noticed.
        let mut broken = bytes.clone();
        let at = broken.len() / 2;
        broken[at] ^= 1;
        fs::write(&log, broken).unwrap();
        let output = desk.add(&[ID, &["--log", log.to_str().unwrap()]]);
        assert!(complained(&output).contains("does not match its checksum"), "{output:?}");
    }
}

#[test]
fn an_offline_run_of_weights_and_biases_is_read_from_the_log_that_is_all_it_leaves() {
    let desk = Desk::new();
    let Some(printed) = real(&desk, "logs", "wandb") else { return };
    let id = printed.lines().find(|it| !it.starts_with("wandb:")).unwrap().trim();
    let log = find(&find(&desk.path().join("wandb"), "offline-run"), ".wandb");
    let more = ["--set=training.repo=https://git.example/team/train"];
    let log = format!("--log={}", log.display());
    let (code, page) = desk.told(&[ID, &CHOSEN[..6], &[DATASET, "--dry-run", log.as_str()], &more]);
    assert_eq!(code, Some(0), "{page}");
    let provenance = &page["entry"]["provenance"];
    assert_eq!(provenance["runId"], json!(id));
    assert_eq!(provenance["metrics"], json!({"loss": 0.5, "accuracy": 0.875, "train/loss": 0.5}));
    assert_eq!(provenance["reproducibility"]["seed"], json!(42));
    let environment = provenance["reproducibility"]["environment"].as_str().unwrap();
    assert!(environment.starts_with("Python 3."), "{environment}");
    assert!(page["entry"]["training"]["command"].as_str().unwrap().ends_with("logs.py wandb"), "{page}");
    assert!(remarks(&page)[0].contains("odd ended as NaN"), "{page}");
}

#[test]
fn lightnings_table_is_read() {
    let desk = Desk::new();
    if real(&desk, "logs", "lightning").is_none() {
        return;
    }
    let log = desk.path().join("lightning_logs/version_0/metrics.csv");
    let (code, page) = with_log(&desk, &log, &["--set=provenance.runId=r"]);
    let metrics = json!({"loss": 0.5, "accuracy": 0.875, "train_loss": 0.5, "val_acc": 0.875});
    assert_eq!((code, &page["entry"]["provenance"]["metrics"]), (Some(0), &metrics), "{page}");
}

#[test]
fn of_several_logs_the_later_one_counts_and_what_is_given_counts_most() {
    let desk = Desk::new();
    desk.write("a.log", b"loss=2 acc=0.25 run_id=one\n");
    desk.write("b.log", b"{'loss': 1.0, 'eval_f1': 0.5}\n");
    let logs = &["--log=a.log", "--log=b.log", "--set=provenance.metrics.eval_f1=0.75", "--dry-run"][..];
    let (code, page) = desk.told(&[REST, &[logs]].concat());
    assert_eq!(code, Some(0), "{page}");
    assert_eq!(
        page["entry"]["provenance"],
        json!({"runId": "one", "metrics": {"loss": 1.0, "acc": 0.25, "accuracy": 0.25, "eval_f1": 0.75}})
    );
    let gave = |source: &str| {
        let used = page["used"].as_array().unwrap().iter().find(|it| it["source"] == source).unwrap();
        used["fields"].to_string()
    };
    assert!(gave("b.log (the Hugging Face Trainer's output)").contains("/provenance/metrics/loss"), "{page}");
    assert!(gave("a.log (text)").contains("/provenance/runId"), "{page}");
}

#[test]
fn the_commit_that_a_run_noted_counts_more_than_what_is_checked_out_now() {
    let desk = Desk::new();
    let metadata = json!({"os": "Linux", "python": "3.11", "startedAt": "2024-11-08T12:00:00Z", "program": "train.py",
        "git": {"remote": "git@git.example:team/code.git", "commit": "0123456789abcdef0123456789abcdef01234567"}});
    desk.write("wandb/run-20241108_120000-abc123/files/wandb-metadata.json", metadata.to_string().as_bytes());
    let log = desk.path().join("wandb/run-20241108_120000-abc123/files/wandb-metadata.json");
    let log = format!("--log={}", log.display());
    let (_, page) = desk.told(&[ID, &["--dry-run", log.as_str()]]);
    let training = json!({"repo": "ssh://git@git.example/team/code.git", "command": "python train.py",
        "commit": "0123456789abcdef0123456789abcdef01234567"});
    assert_eq!(page["entry"]["training"], training, "{page}");
    assert_eq!(page["entry"]["provenance"]["runId"], json!("abc123"));
    assert_eq!(page["entry"]["provenance"]["timestamp"], json!("2024-11-08T12:00:00Z"));
}

#[test]
fn a_log_that_says_nothing_says_why() {
    let desk = Desk::new();
    let check = |bytes: &[u8], words: &str| {
        desk.write("log", bytes);
        let output = desk.add(&[ID, &["--log=log"]]);
        assert_eq!(output.status.code(), Some(2), "{output:?}");
        let text = complained(&output);
        assert!(text.contains("read the log log") && text.contains(words), "{text}");
    };
    check(b"", "it is empty");
    check(b"loss=1\n\xff\xfe\n", "it is not UTF-8 at byte 7");
    check(b"hello\n", "holds no metric");
    check(b"{\"log_history\": [{\"loss\": 1}", "ends in the middle");
    let output = desk.add(&[ID, &["--log=absent"]]);
    assert!(complained(&output).contains("open absent"), "{output:?}");
}

#[test]
fn a_run_in_which_nothing_came_out_as_a_number_has_no_metric_and_the_report_says_which() {
    let desk = Desk::new();
    desk.write("train.log", b"loss=1\nloss=nan acc=inf run_id=r\n");
    let output = desk.add(&[REST, &[&["--log=train.log"]]].concat());
    assert_eq!(output.status.code(), Some(0), "{output:?}");
    assert_eq!(desk.entry("ajna-whisper-v1")["provenance"]["metrics"], json!({}));
    assert!(
        said(&output).contains("note: train.log (text): loss ended as NaN, so it was kept out"),
        "{output:?}"
    );
}

/// Two gigabytes come through a pipe, and the last line counts. Memory is looked at while the pipe is still open.
#[test]
fn a_log_of_two_gigabytes_streams_by_in_little_memory() {
    let desk = Desk::new();
    let pipe = desk.path().join("train.log");
    let made = Command::new("mkfifo").arg(&pipe).status().unwrap();
    assert!(made.success());
    let more = ["--log=train.log", "--set=provenance.runId=r", "--json"];
    let child = desk.command(&[REST, &[&more[..]]].concat()).stdout(Stdio::piped()).spawn().unwrap();
    let mut to = File::create(&pipe).unwrap();
    let words = "as much as a library has to say in each step ".repeat(4);
    let lines = (0..20_000)
        .map(|it| format!("[12:00:00] step {it} | loss: 2.5 | lr 1e-4 | 120 tokens/s | {words}\n"));
    let block = lines.collect::<String>();
    let mut written = 0_u64;
    while written < 2 << 30 {
        to.write_all(block.as_bytes()).unwrap();
        written += block.len() as u64;
    }
    // All but what a pipe holds has been read by now.
    let most = peak_bytes(&child);
    to.write_all(b"loss: 0.125\n").unwrap();
    drop(to);
    let output = child.wait_with_output().unwrap();
    assert_eq!(output.status.code(), Some(0), "{output:?}");
    assert_eq!(desk.entry("ajna-whisper-v1")["provenance"]["metrics"], json!({"loss": 0.125}));
    assert!(most < 64 << 20, "{most} bytes");
}

fn peak_bytes(child: &Child) -> u64 {
    let status = fs::read(format!("/proc/{}/status", child.id())).unwrap();
    let line = status.split(|it| *it == b'\n').find_map(|it| it.strip_prefix(b"VmHWM:")).unwrap();
    let digits = std::str::from_utf8(line).unwrap().trim().trim_end_matches(" kB");
    digits.parse::<u64>().unwrap() << 10
}
