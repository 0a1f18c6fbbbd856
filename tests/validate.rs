//! `hallmark validate` as its users meet it: what it prints, how it exits, what it makes of bad input.

use std::{
    fs,
    os::unix::fs::PermissionsExt as _,
    path::Path,
    process::{Command, Output},
};

use serde_json::{Value, json};

fn hallmark(arguments: &[&str], folder: &Path) -> Output {
    Command::new(env!("CARGO_BIN_EXE_hallmark")).args(arguments).current_dir(folder).output().unwrap()
}

fn root() -> &'static Path {
    Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/../.."))
}

fn our_index() -> Value {
    serde_json::from_slice(&fs::read(root().join("index.json")).unwrap()).unwrap()
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8(bytes.to_vec()).unwrap()
}

#[test]
fn our_own_index_is_valid_and_says_what_it_lacks_when_asked_strictly() {
    let relaxed = hallmark(&["validate"], root());
    assert_eq!(relaxed.status.code(), Some(0), "{relaxed:?}");
    assert!(text(&relaxed.stdout).ends_with("index.json: valid: 2 models, 2 warnings\n"), "{relaxed:?}");
    let strict = hallmark(&["validate", "--strict"], root());
    assert_eq!(strict.status.code(), Some(1));
    assert!(text(&strict.stdout).contains("not valid (strict: warnings count)"));
}

#[test]
fn a_broken_index_is_explained_line_by_line() {
    let folder = tempfile::tempdir().unwrap();
    let mut index = our_index();
    let models = index["models"].as_array_mut().unwrap();
    models.truncate(1);
    let entry = models[0].as_object_mut().unwrap();
    entry.remove("frequencyHz");
    entry["chakra"] = json!("vishudda");
    entry["artifact"]["sha256"] = json!("53AA51172d142c89d9012cce15ae4d6cc0ca6895895114379cacb4fab128d9db");
    entry["artifact"]["files"] =
        json!([{ "path": "../config.json", "sha256": "ab".repeat(32), "sizeBytes": 6.5 }]);
    entry["license"] = json!("Apache 2.0");
    entry.insert("frequencyhz".to_owned(), json!(741));
    fs::write(folder.path().join("index.json"), serde_json::to_string_pretty(&index).unwrap()).unwrap();
    let output = hallmark(&["validate"], folder.path());
    assert_eq!(output.status.code(), Some(1));
    insta::assert_snapshot!(text(&output.stdout));
}

#[test]
fn programs_get_every_flaw_with_pointer_line_and_column() {
    let folder = tempfile::tempdir().unwrap();
    fs::write(
        folder.path().join("index.json"),
        "{\n  \"models\": [\n    {\"id\": \"äö\", \"id\": 1}\n  ]\n}\n",
    )
    .unwrap();
    let output = hallmark(&["validate", "--format", "json"], folder.path());
    assert_eq!(output.status.code(), Some(1));
    let report: Value = serde_json::from_slice(&output.stdout).unwrap();
    let flaw = &report["flaws"][0];
    assert_eq!(
        (&report["valid"], &flaw["rule"], &flaw["pointer"]),
        (&json!(false), &json!("key-unique"), &json!("/models/0"))
    );
    // Columns count characters: the two letters before the second key are two bytes each.
    assert_eq!((&flaw["line"], &flaw["column"]), (&json!(3), &json!(18)));
    assert_eq!((&flaw["related"][0]["line"], &flaw["related"][0]["column"]), (&json!(3), &json!(6)));
}

#[test]
fn a_workflow_gets_one_annotation_for_each_flaw_and_no_name_can_forge_another() {
    let folder = tempfile::tempdir().unwrap();
    let index = json!({ "models": [], "x\n::error::forged": 1 });
    fs::write(folder.path().join("index.json"), index.to_string()).unwrap();
    let output = hallmark(&["validate", "--format", "github"], folder.path());
    let lines = text(&output.stdout);
    assert_eq!(lines.lines().count(), 1, "{lines}");
    assert!(
        lines.starts_with("::error file=index.json,line=1,col=14,title=schema/additionalProperties::"),
        "{lines}"
    );
}

#[test]
fn a_name_in_the_file_cannot_steer_the_terminal() {
    let folder = tempfile::tempdir().unwrap();
    fs::write(folder.path().join("index.json"), r#"{"models": [], "\u001b[2Jgone": 1}"#).unwrap();
    let output = hallmark(&["validate"], folder.path());
    assert!(!output.stdout.contains(&0x1b), "{output:?}");
}

#[test]
fn what_does_not_hold_exits_1_and_says_where() {
    let folder = tempfile::tempdir().unwrap();
    let check = |bytes: &[u8], message: &str| {
        fs::write(folder.path().join("index.json"), bytes).unwrap();
        let output = hallmark(&["validate"], folder.path());
        assert_eq!(output.status.code(), Some(1), "{message}: {output:?}");
        let stdout = text(&output.stdout);
        assert!(stdout.contains(message) && stdout.contains("index.json:"), "{message}: {stdout}");
    };
    check(b"", "the file is empty");
    check(b"\xef\xbb\xbf{\"models\": []}", "byte order mark");
    check(b"{\"models\": [\0]}", "expected value");
    check(b"\0\0\0\0", "expected value");
    check(b"{\"models\": [\"\xff\"]}", "these bytes are not UTF-8");
    check(b"models:\n  - id: a\n", "expected");
    check(b"{\"models\": [", "EOF while parsing");
    check(b"[]", "data should be object");
    check(b"null", "data should be object");
    check(b"{}", "data should have required property 'models'");
    check(&b"[".repeat(100 << 20), "nested deeper than 128 levels");
    check(&b"{\"a\":".repeat(20 << 20), "nested deeper than 128 levels");
}

#[test]
fn what_cannot_be_looked_at_exits_2_and_says_what_to_do() {
    let folder = tempfile::tempdir().unwrap();
    let check = |name: &str, message: &str| {
        let output = hallmark(&["validate", name], folder.path());
        assert_eq!(output.status.code(), Some(2), "{name}: {output:?}");
        assert!(text(&output.stderr).contains(message), "{name}: {output:?}");
        assert!(output.stdout.is_empty(), "{output:?}");
    };
    check("nothing.json", "does not exist");
    fs::create_dir(folder.path().join("folder")).unwrap();
    check("folder", "it is a directory");
    nix::unistd::mkfifo(&folder.path().join("fifo"), nix::sys::stat::Mode::S_IRWXU).unwrap();
    check("fifo", "it is a fifo");
    check("/dev/zero", "it is a device");
    fs::write(folder.path().join("secret.json"), "{}").unwrap();
    fs::set_permissions(folder.path().join("secret.json"), fs::Permissions::from_mode(0o0)).unwrap();
    if !nix::unistd::geteuid().is_root() {
        check("secret.json", "no permission");
    }
    let schema = hallmark(&["validate", "--schema", "nothing.json", "folder"], folder.path());
    assert!(text(&schema.stderr).contains("read the schema nothing.json"), "{schema:?}");
}

#[test]
fn another_organisation_brings_its_own_taxonomy() {
    let folder = tempfile::tempdir().unwrap();
    let schema = json!({
        "$schema": "http://json-schema.org/draft-07/schema#",
        "type": "object",
        "properties": { "models": { "type": "array", "uniqueItems": true, "items": { "$ref": "#/definitions/model" } } },
        "definitions": { "model": { "type": "object", "required": ["team"], "properties": {
            "team": { "enum": ["vision", "language"] }, "artifact": true, "id": true
        } } }
    });
    fs::write(folder.path().join("schema.json"), schema.to_string()).unwrap();
    let mut entry = our_index()["models"][0].clone();
    entry.as_object_mut().unwrap().remove("chakra");
    entry["team"] = json!("vision");
    let write = |entry: &Value| {
        fs::write(folder.path().join("index.json"), json!({ "models": [entry] }).to_string()).unwrap();
    };
    write(&entry);
    let arguments = ["validate", "--schema", "schema.json"];
    assert_eq!(hallmark(&arguments, folder.path()).status.code(), Some(0));
    entry["team"] = json!("vison");
    write(&entry);
    let output = hallmark(&arguments, folder.path());
    assert!(text(&output.stdout).contains("did you mean \"vision\"?"), "{output:?}");
    entry["team"] = json!("vision");
    entry["artifact"]["sha256"] = json!("short");
    write(&entry);
    let output = hallmark(&arguments, folder.path());
    assert!(text(&output.stdout).contains("data.artifact.sha256 should match pattern"), "{output:?}");
}

#[test]
fn the_printed_schema_is_the_one_in_the_repository() {
    let output = hallmark(&["schema"], root());
    assert_eq!(output.stdout, fs::read(root().join("schema/schema.json")).unwrap());
}

#[test]
fn a_reader_who_closes_the_pipe_is_no_error() {
    let folder = tempfile::tempdir().unwrap();
    let models = vec![json!({}); 500];
    fs::write(folder.path().join("index.json"), json!({ "models": models }).to_string()).unwrap();
    let program = env!("CARGO_BIN_EXE_hallmark");
    let script =
        format!("set -o pipefail; '{program}' validate | head -c 10 >/dev/null; exit ${{PIPESTATUS[0]}}");
    let output = Command::new("bash").args(["-c", &script]).current_dir(folder.path()).output().unwrap();
    assert_eq!((output.status.code(), text(&output.stderr)), (Some(1), String::new()));
}
