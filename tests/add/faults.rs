//! What goes wrong on the way to an entry, and what is said then.

use super::*;

#[test]
fn a_file_that_grows_while_it_is_hashed_is_noticed() {
    let desk = Desk::new();
    let path = desk.path().join("model.bin");
    // Sparse, and large enough that hashing it takes longer than the first write to it.
    fs::File::create(&path).unwrap().set_len(1 << 30).unwrap();
    let mut child = desk
        .command(&[&["model.bin", "--id=ajna-whisper-v1"]])
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    while !has_open(child.id(), &path) {
        assert!(child.try_wait().unwrap().is_none(), "it ended before it opened the file");
        std::thread::yield_now();
    }
    let mut file = fs::OpenOptions::new().append(true).open(&path).unwrap();
    file.write_all(b"more").unwrap();
    let output = child.wait_with_output().unwrap();
    assert_eq!(output.status.code(), Some(2), "{output:?}");
    assert!(complained(&output).contains("model.bin changed while it was hashed"), "{output:?}");
}

fn has_open(process: u32, path: &Path) -> bool {
    let open = fs::read_dir(format!("/proc/{process}/fd")).into_iter().flatten().flatten();
    open.filter_map(|it| fs::read_link(it.path()).ok()).any(|it| it == path)
}

#[test]
fn a_file_that_no_client_can_load_is_refused() {
    let desk = Desk::new();
    let mut bytes = safetensors(8);
    bytes.truncate(bytes.len() - 1);
    desk.write("model.safetensors", &bytes);
    let (code, page) = desk.told(&[ID, CHOSEN, MEASURED, &[DATASET]]);
    assert_eq!((code, &page["written"]), (Some(1), &json!(false)));
    assert!(page["objections"][0].as_str().unwrap().contains("its header speaks of"), "{page}");
}

#[test]
fn an_entry_that_breaks_a_rule_is_shown_and_not_written() {
    let desk = Desk::new();
    let before = desk.index();
    let output = desk.add(&[
        ID,
        CHOSEN,
        MEASURED,
        &[DATASET, "--set=license=Apache 2", "--url=http://host.example/m"],
    ]);
    assert_eq!(output.status.code(), Some(1), "{output:?}");
    let text = said(&output);
    assert!(
        text.contains("should be an SPDX license expression") && text.contains("should be an https URL"),
        "{text}"
    );
    assert!(text.contains("index.json is as it was"), "{text}");
    assert_eq!(desk.index(), before);
}

#[test]
fn what_cannot_be_done_says_why() {
    let desk = Desk::new();
    let check = |arguments: &[&str], code: i32, words: &str| {
        let output = desk.add(&[arguments]);
        let text = said(&output) + &complained(&output);
        assert!(output.status.code() == Some(code) && text.contains(words), "{text}");
    };
    let id = "--id=ajna-whisper-v1";
    check(&["absent.safetensors", id], 2, "open absent.safetensors");
    check(&[".", id], 2, "no regular file");
    check(&["model.safetensors", "--id=Ajna"], 2, "lower-case letters");
    check(&["model.safetensors", id, "--bump=patch"], 1, "not in the index yet");
    check(&["model.safetensors", id, "--training-repo=/"], 2, "look for a git repository in /");
    check(&["model.safetensors", id, "--dataset=org/name@main"], 2, "\"main\" is no commit");
    check(&["model.safetensors", id, "--with=model.safetensors"], 2, "the main file itself");
    check(&["model.safetensors", id, "--set=chakra=root"], 2, "is none of muladhara");
    check(&["model.safetensors", id, "--index=absent.json"], 2, "absent.json does not exist");
    desk.write("index.json", b"{\"models\": [");
    check(&["model.safetensors", id], 2, "the index is not JSON");
}
