use std::{fs, os::unix::fs::PermissionsExt as _, sync::atomic::AtomicU64};

use super::*;
use crate::{chunks::span, durable, shelf::testing::*};

const NOW: UnixSeconds = UnixSeconds(1_000);

/// Bytes of three pieces, the last one short.
fn three_pieces() -> Vec<u8> {
    let bytes = usize::try_from(2 * CHUNK_BYTES + 1000).unwrap();
    (0..bytes).map(|it| u8::try_from(it % 251).unwrap()).collect()
}

fn overwrite(path: &std::path::Path, bytes: &[u8]) {
    fs::set_permissions(path, fs::Permissions::from_mode(0o600)).unwrap();
    fs::write(path, bytes).unwrap();
}

fn scrub_one(shelf: &Shelf, digest: Sha256) -> Health {
    scrub(shelf, &[digest], Pace::default(), NOW, &()).remove(0).health
}

fn damaged(health: Health) -> (Quarantined, Option<Vec<usize>>) {
    match health {
        Health::Damaged { quarantined, chunks } => (quarantined, chunks),
        other => panic!("{other:?}"),
    }
}

#[test]
fn a_flipped_byte_takes_the_object_off_the_shelf_and_its_piece_is_named_and_mended() {
    let (_folder, shelf) = shelf();
    let good = three_pieces();
    let object = placed(&shelf, &good);
    let mut bad = good.clone();
    bad[usize::try_from(CHUNK_BYTES).unwrap() + 5] ^= 1;
    overwrite(object.path(), &bad);

    let (record, chunks) = damaged(scrub_one(&shelf, object.digest()));
    assert_eq!(chunks, Some(vec![1]));
    assert_eq!(shelf.object(&object.digest()).unwrap(), None);

    let mut repair = Repair::begin(&shelf, &record).unwrap();
    let place = span(record.promised_size_bytes, 1).unwrap();
    let place = usize::try_from(place.start).unwrap()..usize::try_from(place.end).unwrap();
    let piece = |bytes: &[u8]| bytes[place.clone()].to_vec();
    let refused = repair.patch(1, &piece(&bad)).unwrap_err();
    assert!(matches!(refused, RepairError::WrongPiece { index: 1, .. }), "{refused}");
    repair.patch(1, &piece(&good)).unwrap();
    assert_eq!(repair.finish().unwrap(), object);
    assert_eq!(fs::read(object.path()).unwrap(), good);
    assert!(matches!(scrub_one(&shelf, object.digest()), Health::Whole { .. }));
    assert_eq!(shelf.quarantined(&object.digest()).unwrap(), []);
    assert_eq!(durable::names(&shelf.partials()).unwrap().len(), 0);
}

#[test]
fn a_repair_that_does_not_suffice_changes_nothing() {
    let (_folder, shelf) = shelf();
    let good = three_pieces();
    let object = placed(&shelf, &good);
    let mut bad = good.clone();
    (bad[0], bad[good.len() - 1]) = (255, 255);
    overwrite(object.path(), &bad);
    let (record, chunks) = damaged(scrub_one(&shelf, object.digest()));
    assert_eq!(chunks, Some(vec![0, 2]));
    let mut repair = Repair::begin(&shelf, &record).unwrap();
    repair.patch(0, &good[..usize::try_from(CHUNK_BYTES).unwrap()]).unwrap();
    let error = repair.finish().unwrap_err();
    assert!(matches!(error, RepairError::StillDamaged { .. }), "{error}");
    assert_eq!(shelf.object(&object.digest()).unwrap(), None);
    assert_eq!(shelf.quarantined(&object.digest()).unwrap(), [record]);
    assert_eq!(durable::names(&shelf.partials()).unwrap().len(), 0);
}

#[test]
fn a_cut_object_lacks_its_last_pieces_and_a_longer_one_lacks_none() {
    let (_folder, shelf) = shelf();
    let good = three_pieces();
    let object = placed(&shelf, &good);
    overwrite(object.path(), &good[..usize::try_from(CHUNK_BYTES).unwrap() + 9]);
    assert_eq!(damaged(scrub_one(&shelf, object.digest())).1, Some(vec![1, 2]));

    placed(&shelf, &good);
    overwrite(object.path(), &[&good[..], b"more"].concat());
    let (record, chunks) = damaged(scrub_one(&shelf, object.digest()));
    assert_eq!(chunks, Some(vec![]));
    Repair::begin(&shelf, &record).unwrap().finish().unwrap();
    assert!(matches!(scrub_one(&shelf, object.digest()), Health::Whole { .. }));
}

#[test]
fn a_small_object_that_was_cut_is_mended_by_its_only_piece() {
    let (_folder, shelf) = shelf();
    let object = placed(&shelf, b"weights");
    overwrite(object.path(), b"wei");
    let (record, chunks) = damaged(scrub_one(&shelf, object.digest()));
    assert_eq!(chunks, Some(vec![0]));
    let mut repair = Repair::begin(&shelf, &record).unwrap();
    repair.patch(0, b"wEights").unwrap_err();
    repair.patch(0, b"weights").unwrap();
    assert_eq!(repair.finish().unwrap(), object);
}

#[test]
fn a_lost_chunk_list_comes_back_with_the_next_scrub() {
    let (_folder, shelf) = shelf();
    let object = placed(&shelf, &three_pieces());
    let list = shelf.chunks(&object.digest()).unwrap().unwrap();
    fs::remove_file(shelf.chunks_path(&object.digest())).unwrap();
    assert_eq!(shelf.chunks(&object.digest()).unwrap(), None);
    assert!(matches!(scrub_one(&shelf, object.digest()), Health::Whole { .. }));
    assert_eq!(shelf.chunks(&object.digest()).unwrap(), Some(list));
}

#[test]
fn every_object_is_reported_once_in_order_and_to_scrub_is_no_use() {
    struct Count(AtomicU64);
    impl Onlooker for Count {
        fn hashed(&self, _: &Sha256, bytes: u64) {
            self.0.fetch_add(bytes, Ordering::SeqCst);
        }
    }
    let (_folder, shelf) = shelf();
    let mut digests = (0..20_u8).map(|it| placed(&shelf, &[it; 100]).digest()).collect::<Vec<_>>();
    digests.insert(7, Sha256::of(b"missing"));
    for digest in &digests {
        durable::remove(&shelf.lease_path(digest)).unwrap();
    }
    let count = Count(AtomicU64::new(0));
    let pace = Pace { threads: NonZeroUsize::new(4).unwrap(), bytes_per_second: None };
    let seen = scrub(&shelf, &digests, pace, NOW, &count);
    assert_eq!(seen.iter().map(|it| it.digest).collect::<Vec<_>>(), digests);
    for (index, it) in seen.iter().enumerate() {
        assert_eq!(matches!(it.health, Health::Missing), index == 7, "{it:?}");
    }
    assert_eq!(count.0.into_inner(), 2000);
    assert_eq!(shelf.last_lease(&digests[0]).unwrap(), Some(UnixSeconds(0)));
}

#[test]
fn a_cancelled_scrub_leaves_the_rest_unchecked() {
    struct Enough;
    impl Onlooker for Enough {
        fn is_cancelled(&self) -> bool {
            true
        }
    }
    let (_folder, shelf) = shelf();
    let object = placed(&shelf, b"weights");
    let seen = scrub(&shelf, &[object.digest()], Pace::default(), NOW, &Enough);
    assert!(matches!(seen[0].health, Health::Unchecked));
}

#[test]
fn the_rate_holds_over_all_threads() {
    let pacer = Pacer::new(NonZeroU64::new(1_000_000));
    let started = std::time::Instant::now();
    std::thread::scope(|scope| {
        for _ in 0..2 {
            scope.spawn(|| (0..10).for_each(|_| pacer.spent(10_000)));
        }
    });
    // 200 kB at 1 MB/s, less what a burst may be ahead.
    assert!(started.elapsed() >= std::time::Duration::from_millis(140), "{:?}", started.elapsed());
}
