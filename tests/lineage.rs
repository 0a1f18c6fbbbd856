//! `hallmark lineage` as its users meet it, over plain files and without a daemon.

use std::{
    fs,
    io::Write as _,
    path::{Path, PathBuf},
    process::{Command, Output, Stdio},
};

use serde_json::Value;

fn hallmark(arguments: &[&str], folder: &Path) -> Output {
    Command::new(env!("CARGO_BIN_EXE_hallmark")).args(arguments).current_dir(folder).output().unwrap()
}

fn vectors(name: &str) -> PathBuf {
    Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/../lineage/tests/vectors")).join(name)
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8(bytes.to_vec()).unwrap()
}

/// A folder with the reference's ledger of six events, a card over it and its model: the last vector.
fn desk() -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    let cases = fs::read_to_string(vectors("lineage-in.jsonl")).unwrap();
    let case: Value = serde_json::from_str(cases.lines().last().unwrap()).unwrap();
    let events: Vec<String> = case["events"].as_array().unwrap().iter().map(ToString::to_string).collect();
    fs::write(folder.path().join("events.jsonl"), events.join("\n")).unwrap();
    fs::write(folder.path().join("item.json"), case["item"].to_string()).unwrap();
    fs::write(folder.path().join("model.json"), case["model"].to_string()).unwrap();
    folder
}

#[test]
fn a_batch_of_all_vectors_gives_the_expected_bytes_in_order() {
    let expected = fs::read(vectors("lineage-out.jsonl")).unwrap();
    let input = vectors("lineage-in.jsonl");
    let output = hallmark(&["lineage", "eval", "--batch", input.to_str().unwrap()], Path::new("."));
    assert_eq!(output.status.code(), Some(0), "{}", text(&output.stderr));
    assert!(output.stdout == expected, "the bytes differ");
    let piped = Command::new(env!("CARGO_BIN_EXE_hallmark"))
        .args(["lineage", "eval", "--batch", "-"])
        .stdin(fs::File::open(input).unwrap())
        .output()
        .unwrap();
    assert!(piped.stdout == expected, "the bytes differ through a pipe");
}

#[test]
fn a_batch_answers_each_case_before_the_next_one_comes() {
    use std::io::{BufRead as _, BufReader};
    let cases = fs::read_to_string(vectors("lineage-in.jsonl")).unwrap();
    let expected = fs::read_to_string(vectors("lineage-out.jsonl")).unwrap();
    let mut child = Command::new(env!("CARGO_BIN_EXE_hallmark"))
        .args(["lineage", "eval", "--batch", "-"])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let (mut stdin, mut stdout) = (child.stdin.take().unwrap(), BufReader::new(child.stdout.take().unwrap()));
    for (case, expected) in cases.lines().zip(expected.lines()).take(5) {
        writeln!(stdin, "{case}").unwrap();
        let mut line = String::new();
        stdout.read_line(&mut line).unwrap();
        assert_eq!(line.trim_end(), expected);
    }
    drop(stdin);
    assert!(child.wait().unwrap().success());
}

#[test]
fn a_line_that_is_no_case_stops_the_batch_and_is_named() {
    let folder = tempfile::tempdir().unwrap();
    let cases = fs::read_to_string(vectors("lineage-in.jsonl")).unwrap();
    let first = cases.lines().next().unwrap();
    fs::write(folder.path().join("cases.jsonl"), format!("{first}\n\n{{\"events\":[]}}\n{first}\n")).unwrap();
    let output = hallmark(&["lineage", "eval", "--batch", "cases.jsonl"], folder.path());
    assert_eq!(output.status.code(), Some(2));
    assert_eq!(text(&output.stdout), "{\"err\":\"E_TYPE\"}\n");
    assert!(text(&output.stderr).contains("case in line 3"), "{}", text(&output.stderr));
}

#[test]
fn a_card_over_files_is_evaluated_for_people_and_for_programs() {
    let desk = desk();
    let eval =
        ["lineage", "eval", "--ledger", "events.jsonl", "--item", "item.json", "--model", "model.json"];
    let json = hallmark(&[&eval[..], &["--at", "6", "--json"]].concat(), desk.path());
    let expected = fs::read_to_string(vectors("lineage-out.jsonl")).unwrap();
    assert_eq!(text(&json.stdout).trim_end(), expected.lines().last().unwrap());
    let people = hallmark(&eval, desk.path());
    insta::assert_snapshot!(text(&people.stdout), @r#"
        score 0.6945, review → hold
          wt_sum = 2.6
          price_avg = 20.1
          tx_cnt = 5
        visited 5, stop e, missing 0, gas 1604, at 6
        feature_hash 0x72239e7c157a20727b0b2587807df376e6e729852d2d78d00a23fc5f6b6316bc
        visit_hash 0x566f6b734617e80afa0a8808c6e8d70e543ece2020417f28f9449997ecc08f3d
        "#);
    // What came after the checkpoint is not there.
    let early = hallmark(&[&eval[..], &["--at", "4"]].concat(), desk.path());
    assert_eq!(early.status.code(), Some(1));
    let message = "item.json: E_START at /s: no event \"txStop999\" is visible at 4\n";
    assert_eq!(text(&early.stdout), message);
}

#[test]
fn the_order_of_the_ledger_file_changes_no_bit() {
    let desk = desk();
    let eval = [
        "lineage",
        "eval",
        "--ledger",
        "events.jsonl",
        "--item",
        "item.json",
        "--model",
        "model.json",
        "--json",
    ];
    let before = hallmark(&eval, desk.path());
    let ledger = fs::read_to_string(desk.path().join("events.jsonl")).unwrap();
    let turned: Vec<&str> = ledger.lines().rev().collect();
    fs::write(desk.path().join("events.jsonl"), turned.join("\n")).unwrap();
    assert_eq!(hallmark(&eval, desk.path()).stdout, before.stdout);
    assert_eq!(before.status.code(), Some(0));
}

#[test]
fn a_crawl_is_listed_drawn_and_printed_as_json() {
    let desk = desk();
    let crawl = ["lineage", "crawl", "item.json", "--ledger", "events.jsonl"];
    let list = hallmark(&crawl, desk.path());
    assert!(
        text(&list.stdout).ends_with("visited 5, stop e, missing 0, gas 525\n"),
        "{}",
        text(&list.stdout)
    );
    let dot = text(&hallmark(&[&crawl[..], &["--dot"]].concat(), desk.path()).stdout);
    assert!(dot.starts_with("digraph lineage {\n") && dot.contains("  \"txC\" -> \"txB\";\n"), "{dot}");
    let json = hallmark(&[&crawl[..], &["--json"]].concat(), desk.path());
    let json: Value = serde_json::from_slice(&json.stdout).unwrap();
    assert_eq!(json["visited"][0]["id"], "txStop999");
    assert_eq!(json["stop"], "e");
}

#[test]
fn a_card_is_checked_with_code_place_and_caret() {
    let desk = desk();
    let good = hallmark(&["lineage", "check", "item.json"], desk.path());
    assert_eq!(good.status.code(), Some(0));
    assert!(
        text(&good.stdout).starts_with("item.json: valid: item_hash 0x6df944dd"),
        "{}",
        text(&good.stdout)
    );
    let card = fs::read_to_string(desk.path().join("item.json")).unwrap();
    let bad = card.replace("meta.price", "meta..price").replace("\"maxN\":200", "\"maxN\":0");
    fs::write(desk.path().join("bad.json"), bad).unwrap();
    let limits = hallmark(&["lineage", "check", "bad.json"], desk.path());
    assert_eq!(limits.status.code(), Some(1));
    assert!(
        text(&limits.stdout).starts_with("bad.json: E_LIMITS at /ctl/maxN: "),
        "{}",
        text(&limits.stdout)
    );
    fs::write(desk.path().join("bad.json"), card.replace("meta.price", "meta..price")).unwrap();
    let selector = hallmark(&["lineage", "check", "bad.json"], desk.path());
    insta::assert_snapshot!(text(&selector.stdout), @r#"
        bad.json: E_SEL at /j/spec/1/sel: expected a name
            meta..price
                 ^
        "#);
    let json = hallmark(&["lineage", "check", "--json", "bad.json"], desk.path());
    let json: Value = serde_json::from_slice(&json.stdout).unwrap();
    assert_eq!((&json["valid"], &json["flaws"][0]["code"]), (&Value::Bool(false), &Value::from("E_SEL")));
}

#[test]
fn typographic_quotes_are_answered_with_a_hint_and_mended_in_a_draft() {
    let desk = desk();
    let card = fs::read_to_string(desk.path().join("item.json")).unwrap();
    fs::write(desk.path().join("draft.json"), card.replace('"', "”")).unwrap();
    let check = hallmark(&["lineage", "check", "draft.json"], desk.path());
    assert!(text(&check.stdout).contains("hallmark lineage lint --fix"), "{}", text(&check.stdout));
    assert_eq!(hallmark(&["lineage", "lint", "draft.json"], desk.path()).status.code(), Some(1));
    assert_eq!(hallmark(&["lineage", "lint", "--fix", "draft.json"], desk.path()).status.code(), Some(0));
    assert_eq!(fs::read_to_string(desk.path().join("draft.json")).unwrap(), card);
    assert_eq!(hallmark(&["lineage", "check", "draft.json"], desk.path()).status.code(), Some(0));
    fs::write(desk.path().join("broken.json"), "{“v”:").unwrap();
    let broken = hallmark(&["lineage", "lint", "--fix", "broken.json"], desk.path());
    assert_eq!(broken.status.code(), Some(1));
    assert_eq!(fs::read_to_string(desk.path().join("broken.json")).unwrap(), "{“v”:");
}

#[test]
fn a_card_is_explained_and_its_schemas_are_printed() {
    let desk = desk();
    let explained = text(&hallmark(&["lineage", "explain", "item.json"], desk.path()).stdout);
    assert!(explained.contains("price_avg = the mean of `meta.price`, taken as numbers\n"), "{explained}");
    for (name, title) in
        [("item", "Lineage card (ITEM)"), ("update", "UPDATE of a lineage card"), ("index", "Model index")]
    {
        let schema: Value = serde_json::from_slice(&hallmark(&["schema", name], desk.path()).stdout).unwrap();
        assert_eq!(schema["title"], title);
    }
    let default: Value = serde_json::from_slice(&hallmark(&["schema"], desk.path()).stdout).unwrap();
    assert_eq!(default["title"], "Model index");
}

#[test]
fn files_that_are_not_there_or_not_events_end_with_two() {
    let desk = desk();
    let absent = hallmark(&["lineage", "check", "no.json"], desk.path());
    assert_eq!(absent.status.code(), Some(2));
    assert!(text(&absent.stderr).contains("open no.json"));
    fs::write(desk.path().join("events.jsonl"), "{\"id\":1}\n").unwrap();
    let broken = hallmark(&["lineage", "crawl", "item.json", "--ledger", "events.jsonl"], desk.path());
    assert_eq!(broken.status.code(), Some(2));
    assert!(text(&broken.stderr).contains("events.jsonl, line 1"), "{}", text(&broken.stderr));
}
