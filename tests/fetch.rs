//! Downloads that go well: where bytes come from, how they are shared, and what they may cost.

use std::{
    num::NonZeroU64,
    time::{Duration, Instant},
};

use base::Sha256;
use vault::{CHUNK_BYTES, Checked, FetchError, Promise, Source, SourceError};

use crate::support::{
    hub::{Fault, FixtureHub, Rule, Side, Way, noise},
    pull::{Host, PATH, REPOSITORY, want, want_from, web_want},
};

const LENGTH: usize = (1 << 20) + 17;

#[tokio::test]
async fn a_mirror_that_has_the_digest_is_asked_first_and_the_hub_not_at_all() {
    let (hub, mirror, bytes) = (FixtureHub::start().await, FixtureHub::start().await, noise(1, LENGTH));
    hub.put(REPOSITORY, PATH, &bytes);
    mirror.put("any/name", "any.bin", &bytes);
    let mut want = want(&hub, &bytes);
    want.sources.insert(0, Source::Mirror(mirror.url().clone()));
    Host::of(&hub).fetch(&want).await.unwrap().verify(&want).unwrap();
    assert!(hub.seen().is_empty());
    assert!(mirror.seen().iter().all(|it| it.path == format!("/sha256/{}", want.digest)));
}

#[tokio::test]
async fn a_mirror_without_the_file_leaves_it_to_the_next_source() {
    let (hub, mirror, bytes) = (FixtureHub::start().await, FixtureHub::start().await, noise(1, LENGTH));
    hub.put(REPOSITORY, PATH, &bytes);
    let mut want = want(&hub, &bytes);
    want.sources.insert(0, Source::Mirror(mirror.url().clone()));
    Host::of(&hub).fetch(&want).await.unwrap().verify(&want).unwrap();
    assert_eq!(mirror.seen().len(), 1);
}

#[tokio::test]
async fn a_mirror_that_breaks_half_way_leaves_the_rest_to_the_hub() {
    let (hub, mirror, bytes) = (FixtureHub::start().await, FixtureHub::start().await, noise(1, 400_000));
    hub.put(REPOSITORY, PATH, &bytes);
    mirror.put("any/name", "any.bin", &bytes);
    mirror.play(Rule::times(1, Fault::Cut(300_000)));
    mirror.play(Rule::always(Fault::Status(500, &[])).after(1));
    let mut want = want(&hub, &bytes);
    want.sources.insert(0, Source::Mirror(mirror.url().clone()));
    Host::of(&hub).fetch(&want).await.unwrap().verify(&want).unwrap();
    let ranges = hub.ranges();
    assert!(
        ranges.len() == 1 && ranges[0].starts_with("bytes=") && ranges[0] != "bytes=0-399999",
        "{ranges:?}"
    );
}

#[tokio::test]
async fn a_mirror_with_wrong_bytes_is_caught_and_the_hub_gives_the_right_ones() {
    let (hub, mirror, bytes) = (FixtureHub::start().await, FixtureHub::start().await, noise(1, 400_000));
    hub.put(REPOSITORY, PATH, &bytes);
    mirror.put("any/name", "any.bin", &bytes);
    mirror.play(Rule::times(1, Fault::Flip(5)));
    mirror.play(Rule::times(1, Fault::Flip(6)).after(1));
    let mut want = want(&hub, &bytes);
    want.sources.insert(0, Source::Mirror(mirror.url().clone()));
    let host = Host::of(&hub);
    let verified = host.obtain(&want).await.unwrap();
    assert_eq!(std::fs::read(verified.path()).unwrap(), bytes);
}

#[tokio::test]
async fn a_file_on_this_machine_is_copied_and_stays() {
    let hub = FixtureHub::start().await;
    let (host, bytes) = (Host::of(&hub), noise(1, LENGTH));
    let path = host.write("usb/model.bin", &bytes);
    let want = want_from(&bytes, vec![Source::File(path.clone())]);
    let verified = host.fetch(&want).await.unwrap().verify(&want).unwrap();
    assert_eq!(std::fs::read(verified.path()).unwrap(), bytes);
    assert_eq!(std::fs::read(path).unwrap(), bytes);
}

#[tokio::test]
async fn a_seed_is_known_by_its_digest_and_not_by_its_name() {
    let hub = FixtureHub::start().await;
    let (host, bytes) = (Host::of(&hub), noise(1, LENGTH));
    host.write("seeds/a/model.safetensors", &noise(2, LENGTH));
    host.write("seeds/b/c/whatever.tmp", &bytes);
    let want = want_from(&bytes, vec![Source::Seeds(host.path("seeds"))]);
    host.fetch(&want).await.unwrap().verify(&want).unwrap();
}

#[tokio::test]
async fn a_seed_may_be_a_link_or_a_single_file() {
    let hub = FixtureHub::start().await;
    let (host, bytes) = (Host::of(&hub), noise(1, LENGTH));
    let file = host.write("store/file", &bytes);
    // As a folder of the Nix store is made: links only. One of them leads nowhere, one in a circle.
    std::fs::create_dir(host.path("links")).unwrap();
    for (target, name) in
        [(file.as_path(), "model.bin"), ("/no/such/file".as_ref(), "lost"), (".".as_ref(), "self")]
    {
        std::os::unix::fs::symlink(target, host.path("links").join(name)).unwrap();
    }
    for seed in ["links", "store/file", "links/model.bin"] {
        let want = want_from(&bytes, vec![Source::Seeds(host.path(seed))]);
        let verified = host.fetch(&want).await.unwrap().verify(&want).unwrap();
        assert_eq!(std::fs::read(verified.path()).unwrap(), bytes);
        drop(verified);
    }
}

#[tokio::test]
async fn a_folder_without_the_seed_says_how_many_came_close() {
    let hub = FixtureHub::start().await;
    let (host, bytes) = (Host::of(&hub), noise(1, LENGTH));
    host.write("seeds/model.safetensors", &noise(2, LENGTH));
    let error = host.failure(&want_from(&bytes, vec![Source::Seeds(host.path("seeds"))])).await;
    assert!(matches!(error, SourceError::NoSeed { candidates: 1, .. }), "{error}");
}

#[tokio::test]
async fn a_want_whose_sources_all_fail_says_what_each_of_them_said() {
    let hub = FixtureHub::start().await;
    let (host, bytes) = (Host::of(&hub), noise(1, 100));
    let mut want = want(&hub, &bytes);
    want.sources.push(Source::File("/no/such/file".into()));
    let error = host.fetch(&want).await.unwrap_err();
    assert!(error.is_final());
    let text = error.to_string();
    assert!(text.contains("set tokenFile") && text.contains("/no/such/file: No such file"), "{text}");
}

#[tokio::test]
async fn a_download_in_parts_leaves_what_checks_each_chunk_of_sixteen_mebibytes_alone() {
    let chunk = usize::try_from(CHUNK_BYTES).unwrap();
    let (hub, bytes) = (FixtureHub::start().await, noise(3, chunk * 2 + 1));
    hub.put(REPOSITORY, PATH, &bytes);
    let want = web_want(&hub, &bytes);
    let verified =
        Host::with(&hub, |it| it.part_bytes = 4 << 20).fetch(&want).await.unwrap().verify(&want).unwrap();
    let list = verified.chunks();
    assert_eq!((list.digest(), list.size_bytes(), list.midstates().len()), (want.digest, want.size_bytes, 2));
    for (index, good) in bytes.chunks(chunk).enumerate() {
        assert!(list.holds(index, good), "chunk {index}");
        let mut bad = good.to_vec();
        bad[0] ^= 1;
        assert!(!list.holds(index, &bad), "chunk {index}");
    }
}

#[tokio::test]
async fn one_chunk_is_fetched_for_a_repair_and_nothing_more() {
    let (hub, bytes) = (FixtureHub::start().await, noise(1, LENGTH));
    hub.put(REPOSITORY, PATH, &bytes);
    hub.change(REPOSITORY, PATH, |it| it.way = Way::Cdn { linked: true });
    hub.play(Rule::times(1, Fault::Cut(10)).at(Side::Cdn));
    let (host, want) = (Host::of(&hub), want(&hub, &bytes));
    let span = host.downloader.fetch_span(&want, 1000..300_000).await.unwrap();
    assert_eq!(span, bytes.slice(1000..300_000));
    assert!(hub.ranges().iter().all(|it| it == "bytes=1000-299999"), "{:?}", hub.ranges());
    for bad in [5..5, 0..(LENGTH as u64 + 1), 0..(CHUNK_BYTES + 1)] {
        let error = host.downloader.fetch_span(&want, bad).await.unwrap_err();
        assert!(matches!(error, FetchError::BadSpan { .. }), "{error}");
    }
}

#[tokio::test]
async fn a_whole_file_found_on_disk_is_hashed_again_and_costs_no_request() {
    let (hub, bytes) = (FixtureHub::start().await, noise(1, LENGTH));
    hub.put(REPOSITORY, PATH, &bytes);
    let (host, want) = (Host::of(&hub), want(&hub, &bytes));
    drop(host.fetch(&want).await.unwrap());
    let requests = hub.seen().len();
    let host = host.restarted(&hub);
    host.fetch(&want).await.unwrap().verify(&want).unwrap();
    assert_eq!(hub.seen().len(), requests);
}

#[tokio::test]
async fn bytes_damaged_on_disk_between_two_fetches_are_noticed() {
    let (hub, bytes) = (FixtureHub::start().await, noise(1, LENGTH));
    hub.put(REPOSITORY, PATH, &bytes);
    let (host, want) = (Host::of(&hub), want(&hub, &bytes));
    drop(host.fetch(&want).await.unwrap());
    let path = host.partials.path(&want.digest);
    let mut damaged = bytes.to_vec();
    damaged[1000] ^= 1;
    std::fs::write(&path, damaged).unwrap();
    host.fetch(&want).await.unwrap().verify(&want).unwrap_err();
    host.fetch(&want).await.unwrap().verify(&want).unwrap();
}

#[tokio::test]
async fn a_waived_promise_lets_other_bytes_through_but_marks_them() {
    let (hub, bytes) = (FixtureHub::start().await, noise(1, 1000));
    hub.put(REPOSITORY, PATH, &noise(2, 1000));
    let want = web_want(&hub, &bytes);
    let host = Host::of(&hub);
    let refused = host.fetch(&want).await.unwrap().check(&want, Promise::Kept).unwrap_err();
    let partial = host.fetch(&want).await.unwrap();
    let Checked::Unverified(unverified) = partial.check(&want, Promise::Waived).unwrap() else {
        panic!("other bytes were called verified");
    };
    assert_eq!((unverified.promised(), unverified.found()), (want.digest, refused.found));
    drop(unverified);
    hub.put(REPOSITORY, PATH, &bytes);
    std::fs::remove_file(host.partials.path(&want.digest)).unwrap();
    let partial = host.fetch(&want).await.unwrap();
    assert!(matches!(partial.check(&want, Promise::Waived).unwrap(), Checked::Verified(_)));
}

#[tokio::test]
async fn once_verified_bytes_have_moved_on_nothing_of_them_stays_behind() {
    let (hub, bytes) = (FixtureHub::start().await, noise(1, LENGTH));
    hub.put(REPOSITORY, PATH, &bytes);
    let (host, want) = (Host::of(&hub), want(&hub, &bytes));
    let verified = host.obtain(&want).await.unwrap();
    std::fs::rename(verified.path(), host.path("object")).unwrap();
    drop(verified);
    assert_eq!(std::fs::read_dir(host.partials.folder()).unwrap().count(), 0);
}

#[tokio::test]
async fn a_second_download_of_the_same_file_waits_and_then_says_that_the_first_one_has_it() {
    let (hub, bytes) = (FixtureHub::start().await, noise(1, LENGTH));
    hub.put(REPOSITORY, PATH, &bytes);
    let (first, want) = (Host::of(&hub), want(&hub, &bytes));
    let verified = first.obtain(&want).await.unwrap();
    let settings = first.downloader.settings().clone();
    let (clock, room) = (std::sync::Arc::new(base::SystemClock), std::sync::Arc::new(vault::DiskRoom));
    let second = vault::Downloader::new(settings, clock, room);
    let (waiting, waits) = tokio::sync::oneshot::channel();
    let progress: std::sync::Arc<dyn vault::Progress> = std::sync::Arc::new(Waits(Some(waiting).into()));
    let shelve = async {
        waits.await.unwrap();
        std::fs::rename(verified.path(), first.path("object")).unwrap();
        drop(verified);
    };
    let (fetched, ()) = tokio::join!(second.fetch(&want, &first.partials, &progress), shelve);
    assert!(matches!(fetched, Err(FetchError::TakenOver { .. })), "{fetched:?}");
    assert_eq!(std::fs::read_dir(first.partials.folder()).unwrap().count(), 0);
}

/// Tells once that a download waits.
struct Waits(std::sync::Mutex<Option<tokio::sync::oneshot::Sender<()>>>);

impl vault::Progress for Waits {
    fn phase(&self, phase: &vault::Phase) {
        if let vault::Phase::Waiting { why, .. } = phase
            && let Some(sender) = self.0.lock().unwrap().take()
        {
            assert_eq!(*why, format!("process {} is fetching it", std::process::id()));
            sender.send(()).unwrap();
        }
    }
}

#[tokio::test]
async fn all_downloads_together_stay_under_the_bandwidth_limit() {
    let hub = FixtureHub::start().await;
    let host = Host::with(&hub, |it| it.bytes_per_second_max = NonZeroU64::new(1 << 20));
    let files = [noise(1, LENGTH / 2), noise(2, LENGTH / 2)];
    let wants = files.each_ref().map(|bytes| {
        hub.put(REPOSITORY, &Sha256::of(bytes).to_string(), bytes);
        want_from(bytes, vec![Source::Mirror(hub.url().clone())])
    });
    let begun = Instant::now();
    let (one, two) = tokio::join!(host.fetch(&wants[0]), host.fetch(&wants[1]));
    one.unwrap().verify(&wants[0]).unwrap();
    two.unwrap().verify(&wants[1]).unwrap();
    assert!(begun.elapsed() >= Duration::from_millis(700), "{:?}", begun.elapsed());
}

#[tokio::test]
async fn no_more_files_are_fetched_at_once_than_allowed() {
    let hub = FixtureHub::start().await;
    let host = Host::with(&hub, |it| it.files_max = 1);
    let files = [noise(1, 1000), noise(2, 1000)];
    let wants = files.each_ref().map(|bytes| {
        hub.put(REPOSITORY, &Sha256::of(bytes).to_string(), bytes);
        want_from(bytes, vec![Source::Mirror(hub.url().clone())])
    });
    hub.play(Rule::times(1, Fault::Hang));
    tokio::select! {
        biased;
        _ = host.fetch(&wants[0]) => panic!("the first one hangs"),
        _ = host.fetch(&wants[1]) => panic!("the second one did not wait"),
        () = until(|| hub.seen().len() == 1) => {}
    }
    host.fetch(&wants[1]).await.unwrap();
}

/// Waits for a condition that something else brings about.
async fn until(condition: impl Fn() -> bool) {
    let deadline = Instant::now() + Duration::from_secs(20);
    while !condition() {
        assert!(Instant::now() < deadline, "it never came about");
        tokio::task::yield_now().await;
    }
}

#[tokio::test]
async fn the_hub_lists_a_repository_with_the_digests_of_its_files() {
    let (hub, bytes) = (FixtureHub::start().await, noise(1, 1000));
    let digest = hub.put(REPOSITORY, PATH, &bytes);
    let entries = Host::of(&hub).downloader.hub().tree(REPOSITORY, "main").await.unwrap();
    assert_eq!(entries.len(), 1);
    assert_eq!(
        (entries[0].path.as_str(), entries[0].size_bytes, entries[0].digest),
        (PATH, 1000, Some(digest))
    );
    assert!(hub.seen().iter().all(|it| it.header("authorization").is_none()));
}
