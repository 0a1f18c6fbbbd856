use std::{fs, os::unix::fs::PermissionsExt as _, sync::atomic::AtomicU64};

use super::*;
use crate::{CHUNK_BYTES, chunks::span, durable, shelf::testing::*};

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
fn of_several_damaged_pieces_each_is_named_and_the_good_ones_between_them_are_not() {
    let chunk = usize::try_from(CHUNK_BYTES).unwrap();
    let good = (0..5 * chunk + 77).map(|it| u8::try_from(it % 241).unwrap()).collect::<Vec<_>>();
    let (_folder, shelf) = shelf();
    let object = placed(&shelf, &good);
    let mut bad = good.clone();
    // The first and last byte of a piece, a whole piece, and the short piece at the end.
    (bad[0], bad[2 * chunk - 1]) = (255, 255);
    bad[3 * chunk..4 * chunk].fill(0);
    bad[5 * chunk + 76] ^= 1;
    overwrite(object.path(), &bad);
    let (record, chunks) = damaged(scrub_one(&shelf, object.digest()));
    assert_eq!(chunks, Some(vec![0, 1, 3, 5]));

    let mut repair = Repair::begin(&shelf, &record).unwrap();
    let pieces = good.chunks(chunk).collect::<Vec<_>>();
    let swapped = repair.patch(1, pieces[2]).unwrap_err();
    assert!(matches!(swapped, RepairError::WrongPiece { index: 1, .. }), "{swapped}");
    for index in [5, 0, 3, 1] {
        repair.patch(index, pieces[index]).unwrap();
    }
    assert_eq!(repair.finish().unwrap(), object);
    assert_eq!(fs::read(object.path()).unwrap(), good);
}

#[test]
fn a_damaged_list_names_nothing_and_the_next_good_scrub_writes_it_anew() {
    let (_folder, shelf) = shelf();
    let good = three_pieces();
    let object = placed(&shelf, &good);
    let (digest, path) = (object.digest(), shelf.chunks_path(&object.digest()));
    let list = shelf.chunks(&digest).unwrap().unwrap();
    let stored = fs::read(&path).unwrap();
    let spoilt = {
        let mut it = stored.clone();
        it[60] ^= 1;
        it
    };
    // One bit, an earlier format, half of it, nothing: all count as no list.
    for spoilt in [&spoilt[..], b"HMCHUNK1 and what it had", &stored[..stored.len() / 2], b""] {
        overwrite(&path, spoilt);
        assert_eq!(shelf.chunks(&digest).unwrap(), None);
        let mut bad = good.clone();
        bad[5] ^= 1;
        overwrite(object.path(), &bad);
        assert_eq!(damaged(scrub_one(&shelf, digest)).1, None);

        fs::write(object.path(), &good).unwrap();
        assert!(matches!(scrub_one(&shelf, digest), Health::Whole { .. }));
        assert_eq!(shelf.chunks(&digest).unwrap().as_ref(), Some(&list));
    }
}

#[test]
fn a_list_that_lies_makes_no_wrong_bytes_whole_and_a_good_object_corrects_it() {
    let (_folder, shelf) = shelf();
    let good = three_pieces();
    let object = placed(&shelf, &good);
    let digest = object.digest();
    let list = shelf.chunks(&digest).unwrap().unwrap();
    let mut bad = good.clone();
    bad[5] ^= 1;
    // Sealed and well-formed, and it says of other bytes that they are the object's.
    let other = verified(&shelf, &bad);
    shelf.keep_chunks(&ChunkList { digest, ..other.chunks().clone() }).unwrap();
    overwrite(object.path(), &bad);
    let (record, chunks) = damaged(scrub_one(&shelf, digest));
    assert_eq!(chunks, Some(vec![2]), "by the lying list all is well until the digest decides");

    let piece = |index| {
        let place = span(record.promised_size_bytes, index).unwrap();
        &good[usize::try_from(place.start).unwrap()..usize::try_from(place.end).unwrap()]
    };
    let mut repair = Repair::begin(&shelf, &record).unwrap();
    let error = repair.patch(2, piece(2)).unwrap_err();
    assert!(matches!(error, RepairError::WrongPiece { index: 2, .. }), "{error}");
    let error = repair.finish().unwrap_err();
    assert!(matches!(error, RepairError::StillDamaged { .. }), "{error}");
    assert_eq!(shelf.object(&digest).unwrap(), None);

    // The whole, fetched again, brings a true list; a scrub would correct a lying one as well.
    placed(&shelf, &good);
    assert_eq!(shelf.chunks(&digest).unwrap().as_ref(), Some(&list));
    shelf.keep_chunks(&ChunkList { digest, ..other.chunks().clone() }).unwrap();
    assert!(matches!(scrub_one(&shelf, digest), Health::Whole { .. }));
    assert_eq!(shelf.chunks(&digest).unwrap(), Some(list));
}

#[test]
fn the_list_of_another_object_is_no_list() {
    let (_folder, shelf) = shelf();
    let good = three_pieces();
    let mut other = good.clone();
    other[0] ^= 1;
    let (object, other) = (placed(&shelf, &good), placed(&shelf, &other));
    fs::copy(shelf.chunks_path(&other.digest()), shelf.chunks_path(&object.digest()).with_extension("new"))
        .unwrap();
    fs::rename(
        shelf.chunks_path(&object.digest()).with_extension("new"),
        shelf.chunks_path(&object.digest()),
    )
    .unwrap();
    assert_eq!(shelf.chunks(&object.digest()).unwrap(), None);
    assert!(shelf.chunks(&other.digest()).unwrap().is_some());
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
