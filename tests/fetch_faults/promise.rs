//! Whole files that are not what was promised.

use super::*;

#[tokio::test]
async fn one_flipped_byte_is_refused_with_both_digests() {
    let (hub, bytes) = hub_with(SHORT).await;
    hub.play(Rule::always(Fault::Flip(99)).on("GET"));
    let (host, want) = (Host::of(&hub), want(&hub, &bytes));
    let refused = host.fetch(&want).await.unwrap().verify(&want).unwrap_err();
    let text = refused.to_string();
    assert!(text.contains("Model checksum verification failed"), "{text}");
    assert!(text.contains(&want.digest.to_string()) && text.contains(&refused.found.to_string()), "{text}");
    assert_eq!(Sha256::of(&std::fs::read(&refused.path).unwrap()), refused.found);
}

#[tokio::test]
async fn refused_bytes_that_nobody_quarantined_age_out_with_the_partials() {
    let (hub, bytes) = hub_with(SHORT).await;
    hub.play(Rule::always(Fault::Flip(99)).on("GET"));
    let (mut host, want) = (Host::of(&hub), want(&hub, &bytes));
    let shelf = Shelf::open(host.path("store")).unwrap();
    host.partials = Partials::new(shelf.partials());
    let partial = host.fetch(&want).await.unwrap();
    // The last byte came long ago; the days count from the refusal all the same.
    let file = File::options().write(true).open(host.partials.path(&want.digest)).unwrap();
    file.set_modified(SystemTime::UNIX_EPOCH).unwrap();
    let refused = partial.verify(&want).unwrap_err();

    let inventory = Inventory::take(&shelf).unwrap();
    let [leftover] = &inventory.partials[..] else { panic!("{:?}", inventory.partials) };
    assert_eq!((leftover.path.file_name(), leftover.size_bytes), (refused.path.file_name(), SHORT as u64));
    let plan_at = |partials_since| {
        let (long_ago, budget_bytes) = (UnixSeconds(0), None);
        let (unused_since, fresh_since, quarantine_since) = (long_ago, long_ago, long_ago);
        let limits = Limits { unused_since, fresh_since, budget_bytes, partials_since, quarantine_since };
        plan(&inventory, &Keep::default(), &limits)
    };
    let written = leftover.last_written;
    assert!(written > UnixSeconds(1_000_000_000));
    assert_eq!(sweep(&shelf, &plan_at(written)).partials, 0);
    assert!(refused.path.exists());
    let swept = sweep(&shelf, &plan_at(UnixSeconds(written.0 + 1)));
    assert_eq!((swept.partials, swept.freed_bytes, swept.failed.len()), (1, SHORT as u64, 0));
    assert!(!refused.path.exists());
}

#[tokio::test]
async fn a_byte_that_was_flipped_once_costs_a_second_try_and_nothing_else() {
    let (hub, bytes) = hub_with(LENGTH).await;
    hub.play(Rule::times(1, Fault::Flip(99)).on("GET"));
    let want = want(&hub, &bytes);
    let verified = Host::of(&hub).obtain(&want).await.unwrap();
    assert_eq!(verified.digest(), want.digest);
}

#[tokio::test]
async fn the_same_wrong_bytes_twice_blame_the_index_and_different_ones_the_transfer() {
    for (second, index) in [(99, true), (100, false)] {
        let (hub, bytes) = hub_with(SHORT).await;
        hub.play(Rule::times(1, Fault::Flip(99)).on("GET"));
        hub.play(Rule::times(1, Fault::Flip(second)).on("GET").after(1));
        let host = Host::of(&hub);
        let error = host.obtain(&want(&hub, &bytes)).await.unwrap_err();
        let ObtainError::Mismatch { verdict, refused } = &error else { panic!("{error}") };
        assert_eq!(matches!(verdict, Verdict::Index { .. }), index, "{error}");
        assert_eq!(error.to_string().contains("the index is wrong"), index, "{error}");
        assert_eq!(refused.len(), if index { 1 } else { 2 });
        assert!(refused.iter().all(|it| it.path.exists()));
    }
}
