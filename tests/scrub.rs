//! `hallmark verify`: bytes that rot on the disk are found, shown to nobody, and mended for what they cost.

use std::{
    fs,
    os::unix::fs::{FileExt as _, PermissionsExt as _},
};

use base::Sha256;
use bytes::Bytes;
use serde_json::json;
use vault::CHUNK_BYTES;

use crate::support::{
    host::{Host, digest, entry, names},
    hub::{FixtureHub, noise},
};

const PIECE: usize = 16 << 20;

/// A host that has deployed a model of three pieces, and the small ones beside it.
async fn deployed() -> (FixtureHub, Host, Bytes) {
    let (hub, bytes, small) = (FixtureHub::start().await, noise(1, PIECE * 2 + 5000), noise(2, 4000));
    hub.put("org/ajna-big-v1", "model.bin", &bytes);
    hub.put("org/ajna-small-v1", "model.bin", &small);
    let mut host = Host::of(&hub);
    host.wants(&[entry("ajna-big-v1", &bytes), entry("ajna-small-v1", &small)]);
    host.done(&["sync"]);
    (hub, host, bytes)
}

/// Turns one bit of an object, as a tired disk does.
fn rot(host: &Host, digest: &Sha256, at: usize) {
    let path = host.object(digest);
    fs::set_permissions(&path, fs::Permissions::from_mode(0o640)).unwrap();
    let file = fs::OpenOptions::new().read(true).write(true).open(&path).unwrap();
    let mut byte = [0];
    file.read_exact_at(&mut byte, at as u64).unwrap();
    file.write_all_at(&[byte[0] ^ 0x20], at as u64).unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_whole_is_said_to_be_whole_without_a_request() {
    let (hub, host, _) = deployed().await;
    let asked = hub.seen().len();
    assert_eq!(host.done(&["verify"]).out, "2 objects hashed: all whole\n");
    assert_eq!(host.done(&["verify", "ajna-small-v1"]).out, "1 object hashed: all whole\n");
    assert_eq!(hub.seen().len(), asked);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_rotten_byte_is_named_by_model_file_and_piece_and_leaves_every_view_until_just_that_piece_is_fetched()
 {
    let (hub, host, bytes) = deployed().await;
    let right = Sha256::of(&bytes);
    rot(&host, &right, PIECE + 17);
    let rotten = digest(&host.object(&right));
    let said = host.run(&["verify"]);
    assert_eq!(said.code, Some(1), "{said:#?}");
    said.says(&["ajna-big-v1/model.bin", "Model checksum verification failed", "piece 1 of 16 MiB"])
        .says(&[&rotten.to_string(), "hallmark verify --repair"])
        .says(&["2 objects hashed: NOT all whole"]);
    for path in [host.view("ajna-big-v1", "model.bin"), host.cached("org/ajna-big-v1", "model.bin")] {
        assert!(fs::read(&path).is_err(), "{} still shows it", path.display());
    }
    host.done(&["status"]).says(&["ajna-big-v1", "quarantined", "damaged or gone", "verify --repair"]);
    assert_eq!(host.run(&["verify"]).code, Some(1), "a second look must miss it as well");
    let before = hub.served_bytes();
    host.done(&["verify", "--repair"]).says(&["ajna-big-v1/model.bin", "mended with 16.00 MiB of new bytes"]);
    assert_eq!(hub.served_bytes() - before, CHUNK_BYTES);
    for path in [host.view("ajna-big-v1", "model.bin"), host.cached("org/ajna-big-v1", "model.bin")] {
        assert_eq!(digest(&path), right);
    }
    assert_eq!(host.done(&["verify"]).out, "2 objects hashed: all whole\n");
    host.done(&["status"]).says(&["ajna-big-v1", "deployed"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn two_rotten_pieces_cost_two_pieces_and_programs_are_told_which() {
    let (hub, host, bytes) = deployed().await;
    rot(&host, &Sha256::of(&bytes), 0);
    rot(&host, &Sha256::of(&bytes), PIECE * 2 + 4999);
    let before = hub.served_bytes();
    let said = host.done(&["verify", "--repair", "--json", "ajna-big-v1"]);
    let seen = &said.events()[0];
    assert_eq!((&seen["health"], &seen["chunks"]), (&json!("damaged"), &json!([0, 2])), "{seen}");
    assert_eq!(
        (&seen["mended"]["result"], &seen["mended"]["bytes"]),
        (&json!("pieces"), &json!(CHUNK_BYTES + 5000))
    );
    assert_eq!(seen["names"], json!(["ajna-big-v1/model.bin"]));
    assert_eq!(hub.served_bytes() - before, CHUNK_BYTES + 5000);
    assert_eq!(digest(&host.view("ajna-big-v1", "model.bin")), Sha256::of(&bytes));
}

#[tokio::test(flavor = "multi_thread")]
async fn an_object_that_is_gone_is_missed_and_fetched_whole() {
    let (_hub, host, bytes) = deployed().await;
    fs::remove_file(host.object(&Sha256::of(&bytes))).unwrap();
    for words in [&["verify"][..], &["verify", "ajna-big-v1"]] {
        let said = host.run(words);
        assert_eq!(said.code, Some(1), "{said:#?}");
        said.says(&["ajna-big-v1/model.bin", "not on the shelf", "verify --repair"]);
    }
    host.done(&["verify", "--repair"]).says(&["ajna-big-v1/model.bin", "fetched again"]);
    assert_eq!(digest(&host.view("ajna-big-v1", "model.bin")), Sha256::of(&bytes));
}

#[tokio::test(flavor = "multi_thread")]
async fn damage_without_a_list_of_pieces_is_mended_by_the_whole_file() {
    let (_hub, host, bytes) = deployed().await;
    fs::remove_dir_all(host.store().join("chunks")).unwrap();
    rot(&host, &Sha256::of(&bytes), 3);
    host.done(&["verify", "--repair"])
        .says(&["damaged in an unknown part", "fetched again, 32.00 MiB in all"]);
    assert_eq!(digest(&host.view("ajna-big-v1", "model.bin")), Sha256::of(&bytes));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_sync_after_the_damage_was_found_fetches_the_file_again() {
    let (_hub, host, bytes) = deployed().await;
    rot(&host, &Sha256::of(&bytes), 3);
    host.run(&["verify"]);
    host.done(&["sync"]);
    assert_eq!(digest(&host.view("ajna-big-v1", "model.bin")), Sha256::of(&bytes));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_repair_that_the_hub_cannot_give_says_why_and_shows_nothing() {
    let (hub, host, bytes) = deployed().await;
    rot(&host, &Sha256::of(&bytes), 3);
    hub.put("org/ajna-big-v1", "model.bin", &noise(7, PIECE * 2 + 5000));
    let said = host.run(&["verify", "--repair"]);
    assert_eq!(said.code, Some(1));
    said.says(&["not mended"]);
    assert!(!host.view("ajna-big-v1", "model.bin").exists());
    let strays = names(&host.store().join("partials"));
    assert!(strays.iter().all(|it| it.starts_with(&Sha256::of(&bytes).to_string())), "{strays:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_not_in_the_index_cannot_be_verified_by_name() {
    let (_hub, host, _) = deployed().await;
    let said = host.run(&["verify", "ajna-big-v2"]);
    assert_eq!(said.code, Some(2));
    assert!(said.err.contains("Model 'ajna-big-v2' not found in index"), "{said:#?}");
    assert!(said.err.contains("did you mean 'ajna-big-v1'?"), "{said:#?}");
}
