use std::io::Cursor;

use base::UnixSeconds;
use proptest::prelude::*;

use super::*;

fn run(log: impl AsRef<[u8]>) -> Run {
    read(Cursor::new(log.as_ref())).unwrap()
}

fn wrong(log: impl AsRef<[u8]>) -> String {
    read(Cursor::new(log.as_ref())).unwrap_err().to_string()
}

/// Says a run in a line: its format, its metrics, what was kept out.
fn line(run: &Run) -> String {
    let metrics = run.metrics.iter().map(|(name, value)| format!("{name}={value}"));
    let left_out = run.left_out.iter().map(|it| format!("{}:{}", it.name, it.value));
    let words = metrics.chain(left_out).collect::<Vec<_>>().join(" ");
    format!("{}: {words}", run.format)
}

#[test]
fn text_gives_the_last_value_of_what_looks_like_a_metric() {
    let check = |log: &str, metrics: &str| assert_eq!(line(&run(log)), format!("text: {metrics}"), "{log}");
    check("step 1 loss=2.5\nstep 2 loss=1.25\n", "loss=1.25");
    check("Epoch 3/10 | loss: 0.5 | val_acc: 86.7% | lr: 1e-4 | port: 80", "loss=0.5 val_acc=0.867");
    check("2024-01-01 12:00:00 INFO train:loss = 2.143, (f1=0.5), batch_size=8", "f1=0.5 loss=2.143");
    check("a\rloss=1\rloss=0.5\r\n", "loss=0.5");
    check("\u{1b}[32mloss=0.5\u{1b}[0m done", "loss=0.5");
    check("loss=nan acc=0.5\nppl: inf", "acc=0.5 loss:NaN ppl:Infinity");
    check("loss=nan\nloss=0.5", "loss=0.5");
    check("http://host:8080/loss:80x loss=1", "loss=1");
    let found = run("starting run_id: abc-1\nseed=7\nloss: 1.");
    assert_eq!((found.run_id.as_deref(), found.seed), (Some("abc-1"), Some(7)));
    assert_eq!(line(&found), "text: loss=1");
}

#[test]
fn what_the_trainer_prints_is_read_in_its_old_and_its_new_form() {
    let old = "loading\n{'loss': 2.5, 'grad_norm': 1.0, 'learning_rate': 5e-05, 'epoch': 0.5}\n 50%|##   | 1/2\r\
        {'eval_loss': 2.25, 'eval_accuracy': 0.75, 'eval_runtime': 1.5, 'epoch': 1.0}\n\
        {'train_runtime': 12.5, 'train_samples_per_second': 8.0, 'train_loss': 2.375, 'epoch': 1.0}\n";
    let found = run(old);
    assert_eq!(
        line(&found),
        "the Hugging Face Trainer's output: eval_accuracy=0.75 eval_loss=2.25 loss=2.5 train_loss=2.375"
    );
    assert_eq!(found.duration_seconds, Some(12.5));
    let new = run(
        "{'loss': '2.5', 'grad_norm': 'nan', 'epoch': '1'}\n{'loss': 'nan', 'x': {'a': 1}, \"f1\": None}",
    );
    assert_eq!(line(&new), "the Hugging Face Trainer's output: loss:NaN");
}

#[test]
fn the_trainers_state_gives_its_logs_and_not_its_settings() {
    let state = r#"{"best_metric": 0.5, "epoch": 2.0, "log_history": [
        {"loss": 2.5, "step": 1}, {"eval_loss": 2.0, "eval_custom": 3, "step": 1}, {"loss": NaN, "eval_x": -Infinity}],
        "max_steps": 2, "score": 5, "stateful_callbacks": {"a": {"loss": 1}}}"#;
    let found = run(state);
    assert_eq!(
        line(&found),
        "the Hugging Face Trainer's state: eval_custom=3 eval_loss=2 eval_x:-Infinity loss:NaN"
    );
    assert!(wrong(&state[..60]).contains("ends in the middle"), "{}", wrong(&state[..60]));
    assert!(wrong(state.replace("\"step\": 1}", "\"step\" 1}")).contains("broken: expected `:`"));
}

#[test]
fn a_table_of_steps_gives_the_last_filled_cell_of_each_column() {
    let found = run("epoch,lr-Adam,step,train_loss,val_acc\n0,0.1,1,2.5,\n0,,2,,0.5\n1,0.1,3,NaN,\n");
    assert_eq!(line(&found), "a table of steps in CSV: val_acc=0.5 train_loss:NaN");
    let cut = run("epoch,step,loss,f1\n0,1,2.5,0.5\n0,2,1.");
    assert_eq!(line(&cut), "a table of steps in CSV: f1=0.5 loss=2.5");
    assert!(cut.remarks[0].contains("ends in the middle of a record"), "{cut:?}");
    assert!(wrong("epoch,step,loss\n0,1").contains("ends in the middle"));
    // A sentence with commas is none.
    assert_eq!(line(&run("first epoch, then step, loss=1")), "text: loss=1");
}

#[test]
fn json_lines_give_every_number_that_is_not_bookkeeping() {
    let found = run(
        "{\"step\": 1, \"custom\": 5, \"ts\": 1700000000.5, \"eval\": {\"f1\": 0.5}}\nnoise\n{\"loss\": NaN, \"run_id\": \"r-1\"}\n{\"cus",
    );
    assert_eq!(line(&found), "JSON lines: custom=5 eval.f1=0.5 loss:NaN");
    assert_eq!((found.run_id.as_deref(), found.written_at), (Some("r-1"), Some(UnixSeconds(1_700_000_000))));
    assert_eq!(found.remarks, ["its last line ends in the middle"]);
    let dated = run("{\"loss\": 1, \"time\": \"2024-11-08T12:00:00Z\"}\n{}");
    assert_eq!(dated.written_at, Some(UnixSeconds(1_731_067_200)));
}

#[test]
fn one_json_object_gives_what_is_named_like_a_metric() {
    assert_eq!(
        line(&run(r#"{"eval_accuracy": 0.5, "perplexity": 8.5, "train_samples": 100, "hidden_size": 64}"#)),
        "JSON: eval_accuracy=0.5 perplexity=8.5"
    );
    assert_eq!(line(&run("{\n \"results\": {\"f1\": 0.5}\n}")), "JSON: results.f1=0.5");
    assert!(wrong(r#"{"hidden_size": 64}"#).contains("holds no metric"));
    assert!(wrong("{\"loss\": ").contains("ends in the middle"));
}

#[test]
fn weights_and_biases_files_are_told_from_others() {
    let summary = r#"{"_runtime": 3.5, "_step": 2, "_timestamp": 1700000000.5, "odd": 4, "f1": "NaN",
        "best": {"loss": 1}, "hist": {"_type": "histogram", "loss": 3}, "_wandb": {"runtime": 3}}"#;
    let found = run(summary);
    assert_eq!(line(&found), "a Weights & Biases summary: best.loss=1 odd=4 f1:NaN");
    assert_eq!((found.duration_seconds, found.written_at), (Some(3.5), Some(UnixSeconds(1_700_000_000))));
    let config = "wandb_version: 1\n\n_wandb:\n  desc: null\n  value:\n    cli_version: 0.12\nseed:\n  desc: null\n  value: 42\nlr:\n  value: 0.1\n";
    assert_eq!(run(config).seed, Some(42));
    let metadata = r#"{"os": "Linux", "python": "3.11.7", "startedAt": "2024-11-08T12:00:00Z", "program": "train.py",
        "args": ["--lr", "1e-4", "it's"], "git": {"remote": "https://git.example/r", "commit": "0123abc"}, "gpu": "A100"}"#;
    let found = run(metadata);
    assert_eq!(found.command.as_deref(), Some(r"python train.py --lr 1e-4 'it'\''s'"));
    assert_eq!(found.environment.as_deref(), Some("Python 3.11.7 on Linux"));
    assert_eq!((found.commit.as_deref(), found.hardware.as_deref()), (Some("0123abc"), Some("A100")));
}

#[test]
fn yaml_gives_what_is_named_like_a_metric_and_lines_that_only_look_like_it_are_text() {
    assert_eq!(line(&run("loss: 0.5\nhidden: 3\nseed: 1\n")), "YAML: loss=0.5");
    assert_eq!(line(&run("loss: 2\nloss: 1\n")), "text: loss=1");
    assert_eq!(line(&run("epoch: 1 loss: 2\nx: 1 loss: 1\n")), "text: loss=1");
}

#[test]
fn what_is_no_log_says_so() {
    assert_eq!(wrong(""), "it is empty");
    assert_eq!(wrong(" \n\n"), "it is empty");
    assert!(wrong(b"loss=1\n\xff\xfe").contains("not UTF-8 at byte 7"));
    let mut late = vec![b'a'; 300 << 10];
    late.extend(b"\n\xff");
    assert!(wrong(late).contains(&format!("not UTF-8 at byte {}", (300 << 10) + 1)));
    assert!(wrong("hello\nworld\n").contains("holds no metric"));
    assert!(wrong(b":W&B\xe1\xbe\x00abc").contains("ends in the middle"));
}

#[test]
fn a_line_without_end_is_passed_over_and_what_follows_is_read() {
    let log = format!("loss=1\n{}\nloss=0.5\n", "x".repeat(3 << 20));
    let found = run(log);
    assert_eq!(line(&found), "text: loss=0.5");
    assert!(found.remarks[0].starts_with("1 of its lines are longer"), "{found:?}");
}

#[test]
fn a_log_with_too_many_names_keeps_the_first_and_says_so() {
    let log = (0..3000).map(|it| format!("{{\"m{it}\": 1}}")).collect::<Vec<_>>().join("\n");
    let found = run(log);
    assert_eq!(found.metrics.len(), 1000);
    assert!(found.remarks[0].contains("2000 values of others"), "{found:?}");
}

#[test]
fn the_usual_metrics_are_found_under_the_names_that_tools_give_them() {
    let usual = |log: &str, name: Usual| run(log).usual(name).map(|it| it.0.to_owned());
    assert_eq!(
        usual("{'eval_accuracy': 0.5, 'accuracy': 0.25}", Usual::Accuracy).as_deref(),
        Some("accuracy")
    );
    assert_eq!(usual("{'val/acc': 0.5, 'train/acc': 0.25}", Usual::Accuracy).as_deref(), Some("val/acc"));
    assert_eq!(usual("{'train/loss': 0.5, 'eval/loss': 0.25}", Usual::Loss).as_deref(), Some("train/loss"));
    assert_eq!(usual("{'eval/loss': 0.25}", Usual::Loss), None);
    assert_eq!(usual("{'eval_ppl': 8}", Usual::Perplexity).as_deref(), Some("eval_ppl"));
}

proptest! {
    #[test]
    fn no_bytes_make_it_panic(bytes: Vec<u8>, start in prop::sample::select(vec![
        &b""[..], b"{\"log_history\": [{\"loss\": ", b"{'loss': ", b"epoch,step\n", b":W&B\xe1\xbe\x00", b"a: ", b"{\"a\": 1}\n{",
    ])) {
        let _ = read(Cursor::new([start, &bytes].concat()));
    }

    #[test]
    fn no_text_makes_it_panic(text in "[a-z{}'\":,=\\[\\] \n\r0-9.%é-]{0,80}") {
        let _ = read(Cursor::new(text));
    }
}
