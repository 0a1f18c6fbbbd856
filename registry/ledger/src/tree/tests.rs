//! Proofs made by one log and checked without it; `ct-merkle` as the independent word on the tree.

use std::{os::unix::fs::PermissionsExt as _, sync::Arc};

use base::{Sha256, UnixSeconds, time::HandClock};
use proptest::prelude::*;

use super::*;
use crate::{
    Log, Options, Policy, Prepared, SecretKey,
    event::{Leniency, Scheme, Sid, Signed},
    kinds::{Operation, Post},
};

fn event(number: u64) -> Signed {
    let operation = Operation {
        created_at: UnixSeconds(number),
        sid: Sid::parse(if number.is_multiple_of(3) { "0xA" } else { "0xB" }).ok(),
        content: number.to_string(),
        ..Operation::default()
    };
    SecretKey::from_bytes([7; 32]).unwrap().sign(Post::default().draft(operation), Scheme::SpecEip191)
}

fn log(folder: &std::path::Path, events: u64) -> Log {
    let options = Options {
        policy: Policy::default(),
        clock: Arc::new(HandClock::at(UnixSeconds(1_000_000))),
        folds: vec![],
        observer: None,
    };
    let log = Log::open(&folder.join("ledger.sqlite"), options).unwrap();
    log.append((0..events).map(|it| Prepared::from(event(it))).collect()).unwrap();
    log
}

fn key(folder: &std::path::Path) -> CheckpointKey {
    CheckpointKey::read_or_create(&folder.join("checkpoint.key"), "log.example/one").unwrap()
}

#[test]
fn a_bundle_is_checked_with_a_public_key_and_nothing_else() {
    let folder = tempfile::tempdir().unwrap();
    let (log, key) = (log(folder.path(), 300), key(folder.path()));
    let public = key.public().to_owned();
    let bundle = log.prove(event(123).id(), &key).unwrap().unwrap().to_json();
    drop((log, key, folder));

    let proved = ProofBundle::parse(&bundle).unwrap().verify(&public, Leniency::default()).unwrap();
    assert_eq!(proved.event, event(123));
    assert_eq!((proved.leaf.at.seq, proved.checkpoint.size), (123, 300));
    assert_eq!(proved.checkpoint.origin, "log.example/one");

    let check = |from: &str, to: &str, expected: &str| {
        let changed = bundle.replacen(from, to, 1);
        assert_ne!(changed, bundle);
        let error = ProofBundle::parse(&changed).unwrap().verify(&public, Leniency::default()).unwrap_err();
        assert_eq!(error.to_string(), expected, "{from} -> {to}");
    };
    check(r#""content":"123""#, r#""content":"124""#, "the bundle's event does not hold");
    check(r#"\"seq\":123"#, r#"\"seq\":124"#, "the tree of 300 leaves does not have this leaf at 124");
    check(r#"\"t\":1000000"#, r#"\"t\":1000001"#, "the tree of 300 leaves does not have this leaf at 123");
    check(r#"\"v\":1"#, r#"\"v\": 1"#, "the bundle's leaf is not the event's");
    check(r#"\"sid\":\"0xA"#, r#"\"sid\":\"0xB"#, "the bundle's leaf is not the event's");
    check(r"\n300\n", r"\n301\n", "the bundle's checkpoint does not hold");
    let other = tempfile::tempdir().unwrap();
    let other = CheckpointKey::read_or_create(&other.path().join("key"), "log.example/one").unwrap();
    assert!(ProofBundle::parse(&bundle).unwrap().verify(other.public(), Leniency::default()).is_err());
}

#[test]
fn every_leaf_of_every_size_is_proved_and_every_size_leads_to_the_next() {
    let folder = tempfile::tempdir().unwrap();
    let (log, key) = (log(folder.path(), 520), key(folder.path()));
    let mut oracle = ct_merkle::mem_backed_tree::MemoryBackedTree::<sha2::Sha256, Vec<u8>>::new();
    let mut checkpoints = vec![];
    for seq in 0..520 {
        let stored = log.by_seq(seq).unwrap().unwrap();
        oracle.push(log.leaf(&stored).unwrap().to_bytes());
        let root = log.root_at(seq + 1).unwrap().unwrap();
        assert_eq!(root.as_bytes().as_slice(), oracle.root().as_bytes().as_slice(), "{seq}");
        checkpoints.push(Checkpoint { origin: String::new(), size: seq + 1, root });
    }
    assert_eq!(log.head().1, checkpoints[519].root);
    for (seq, size) in [(0, 1), (0, 520), (255, 256), (256, 257), (255, 520), (519, 520), (300, 400)] {
        let proof = log.inclusion(seq, size).unwrap().unwrap();
        let checkpoint = &checkpoints[usize::try_from(size - 1).unwrap()];
        let leaf = log.by_seq(seq).unwrap().unwrap().leaf;
        check_inclusion(&proof, leaf, seq, checkpoint).unwrap();
        assert!(check_inclusion(&proof, Sha256::of(b"other"), seq, checkpoint).is_err());
        assert!(seq == 0 || check_inclusion(&proof, leaf, seq - 1, checkpoint).is_err());
    }
    for (old, new) in [(1, 2), (1, 520), (256, 520), (255, 257), (519, 520), (520, 520)] {
        let proof = log.consistency(old, new).unwrap().unwrap();
        let at = |size: u64| &checkpoints[usize::try_from(size - 1).unwrap()];
        check_consistency(&proof, at(old), at(new)).unwrap();
        let forged = Checkpoint { root: Sha256::of(b"other"), ..at(old).clone() };
        assert!(check_consistency(&proof, &forged, at(new)).is_err());
    }
    assert_eq!(log.root_at(521).unwrap(), None);
    assert_eq!(log.inclusion(520, 520).unwrap(), None);
    assert_eq!(log.inclusion(0, 521).unwrap(), None);
    assert_eq!((log.consistency(0, 5).unwrap(), log.consistency(6, 5).unwrap()), (None, None));
    let signed = Checkpoint::verify(&log.checkpoint(&key), key.public()).unwrap();
    assert_eq!((signed.size, signed.root), (520, checkpoints[519].root));
}

#[test]
fn tiles_are_static_files_with_the_hashes_of_the_tree() {
    let folder = tempfile::tempdir().unwrap();
    let log = log(folder.path(), 520);
    let tile = |path: &str| log.tile(path).unwrap();
    assert_eq!(tile("tile/0/000").unwrap().len(), 256 * 32);
    assert_eq!(tile("tile/0/001").unwrap().len(), 256 * 32);
    assert_eq!(tile("tile/0/002.p/8").unwrap().len(), 8 * 32);
    assert_eq!(tile("tile/1/000.p/2").unwrap().len(), 2 * 32);
    let upper = tile("tile/1/000.p/2").unwrap();
    let first = tlog_tiles::tile::Tile::subtree_hash(&tile("tile/0/000").unwrap());
    assert_eq!(upper[..32], first.0, "a tile's hash is the root of the tile below");
    let leaf = log.by_seq(0).unwrap().unwrap().leaf;
    assert_eq!(tile("tile/0/000").unwrap()[..32], *leaf.as_bytes());

    let entries = tile("tile/entries/002.p/8").unwrap();
    let length = usize::from(u16::from_be_bytes([entries[0], entries[1]]));
    assert_eq!(leaf_hash(&entries[2..2 + length]), log.by_seq(512).unwrap().unwrap().leaf);

    for absent in [
        "tile/0/002",
        "tile/0/002.p/9",
        "tile/0/002.p/0",
        "tile/0/002.p/00",
        "tile/0/002.p/+0",
        "tile/0/003",
        "tile/1/000",
        "tile/2/000",
        "tile/9/000",
        "tile/0/2",
        "tile/0/x000/002",
        "tile/entries/003",
        "tile/8/0/000",
        "tile/",
        "",
        "tile/data/000",
        "../tile/0/000",
    ] {
        assert!(tile(absent).is_none(), "{absent}");
    }
}

#[test]
fn an_auditor_walks_back_to_the_genesis_and_sees_what_is_left_out() {
    let folder = tempfile::tempdir().unwrap();
    let log = log(folder.path(), 60);
    let sid = Sid::parse("0xA").ok();
    let (leaves, rest) = log.chain(sid.as_ref(), None, 1000).unwrap();
    assert_eq!((leaves.len(), rest), (20, None));
    assert_eq!(check_chain(&leaves), Ok(None));
    let (part, rest) = log.chain(sid.as_ref(), None, 5).unwrap();
    assert_eq!(check_chain(&part).unwrap(), part[4].at.prev);
    assert_eq!(log.chain(sid.as_ref(), rest, 100).unwrap().0.len(), 15);

    let mut short = leaves.clone();
    short.remove(7);
    assert!(matches!(check_chain(&short), Err(ChainError::Link { .. })));
    let mut changed = leaves.clone();
    changed[7].at.received = UnixSeconds(1);
    assert!(matches!(check_chain(&changed), Err(ChainError::Link { .. })));
    let mut headless = leaves.clone();
    headless[0].at.n += 1;
    assert!(matches!(check_chain(&headless), Err(ChainError::Counter { .. })));
    let (others, _) = log.chain(Sid::parse("0xB").ok().as_ref(), None, 1).unwrap();
    assert!(matches!(check_chain(&[leaves[0].clone(), others[0].clone()]), Err(ChainError::Sid { .. })));
}

#[test]
fn the_key_is_made_once_and_checkpoints_are_its_own() {
    let folder = tempfile::tempdir().unwrap();
    let made = key(folder.path());
    let path = folder.path().join("checkpoint.key");
    assert_eq!(std::fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
    assert_eq!(key(folder.path()).public(), made.public());
    let text = made.sign(7, Sha256::of(b"root"));
    assert!(text.starts_with("log.example/one\n7\n"), "{text}");
    assert_eq!(Checkpoint::verify(&text, made.public()).unwrap().size, 7);
    let check = |text: &str, public: &str, expected: &str| {
        let error = Checkpoint::verify(text, public).unwrap_err().to_string();
        assert!(error.contains(expected), "{error}");
    };
    check(&text.replace("\n7\n", "\n8\n"), made.public(), "is not signed by log.example/one");
    check("nothing", made.public(), "not a signed note");
    check(&text, "nobody", "`nobody` is not a log's public key");
    assert!(CheckpointKey::read_or_create(&folder.path().join("other"), "two words").is_err());
}

proptest! {
    #[test]
    fn no_path_makes_the_tiles_panic(path in "(tile/)?([0-9]{1,3}|entries|data|x[0-9]{1,3}|/|\\.p|.){0,12}") {
        let _ = super::prove::parse_path(&path);
    }

    #[test]
    fn no_bundle_makes_the_checks_panic(proof in prop::collection::vec(any::<[u8; 32]>(), 0..70), seq: u64, size: u64, old: u64) {
        let proof: Vec<Sha256> = proof.into_iter().map(Sha256::from_bytes).collect();
        let at = |size| Checkpoint { origin: String::new(), size, root: Sha256::of(b"") };
        let _ = check_inclusion(&proof, Sha256::of(b"leaf"), seq, &at(size));
        let _ = check_consistency(&proof, &at(old), &at(size));
    }
}
