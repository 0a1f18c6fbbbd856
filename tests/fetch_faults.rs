//! What real hubs do wrong, and what becomes of a download then.

use std::{
    fs::File,
    sync::Arc,
    time::{Duration, SystemTime},
};

use base::{CommitId, Sha256, UnixSeconds};
use bytes::Bytes;
use vault::{
    FetchError, ObtainError, Partials, Shelf, SourceError, TokenFile, Verdict,
    gc::{Inventory, Keep, Limits, plan, sweep},
};

use crate::support::{
    hub::{Access, Fault, FixtureHub, Rule, Side, Way, noise},
    pull::{Alarm, Host, PATH, REPOSITORY, SmallRoom, want, want_from, web_want},
};

/// Long enough for eight parts and a bit.
const LENGTH: usize = (2 << 20) + 12_345;
/// Short enough to come in one piece.
const SHORT: usize = 300_000;

async fn hub_with(length: usize) -> (FixtureHub, Bytes) {
    let (hub, bytes) = (FixtureHub::start().await, noise(7, length));
    hub.put(REPOSITORY, PATH, &bytes);
    (hub, bytes)
}

/// Plays faults while a file is fetched, and expects it to be whole and right all the same.
async fn survives(length: usize, rules: impl IntoIterator<Item = Rule>) -> (FixtureHub, Host) {
    let (hub, bytes) = hub_with(length).await;
    rules.into_iter().for_each(|it| hub.play(it));
    let host = Host::of(&hub);
    let verified = host.fetch(&want(&hub, &bytes)).await.unwrap().verify(&want(&hub, &bytes)).unwrap();
    assert_eq!(std::fs::read(verified.path()).unwrap(), bytes);
    (hub, host)
}

/// Plays a fault while a file is fetched, and expects that the source gives up.
async fn fails(length: usize, rules: impl IntoIterator<Item = Rule>) -> (FixtureHub, Host, SourceError) {
    let (hub, bytes) = hub_with(length).await;
    rules.into_iter().for_each(|it| hub.play(it));
    let host = Host::of(&hub);
    let error = host.failure(&want(&hub, &bytes)).await;
    (hub, host, error)
}

fn start_of(range: &str) -> u64 {
    range
        .strip_prefix("bytes=")
        .and_then(|it| it.split('-').next())
        .and_then(|it| it.parse().ok())
        .unwrap_or(0)
}

#[tokio::test]
async fn a_whole_file_comes_in_ranges_and_each_is_asked_for_once() {
    let (hub, _) = survives(LENGTH, []).await;
    let mut starts = hub.ranges().iter().map(|it| start_of(it)).collect::<Vec<_>>();
    starts.sort_unstable();
    assert_eq!(starts, (0..9).map(|it| it * (256 << 10)).collect::<Vec<_>>());
}

#[tokio::test]
async fn a_short_file_comes_in_one_piece_without_a_range() {
    let (hub, _) = survives(SHORT, []).await;
    assert_eq!(hub.ranges(), ["-"]);
    assert_eq!((hub.count(Side::Hub, "HEAD"), hub.count(Side::Hub, "GET")), (1, 1));
}

#[tokio::test]
async fn an_empty_file_is_fetched_too() {
    survives(0, []).await;
}

#[tokio::test]
async fn any_header_may_be_left_out_and_the_file_still_comes() {
    for name in ["x-repo-commit", "etag", "accept-ranges", "content-length"] {
        for length in [SHORT, LENGTH] {
            survives(length, [Rule::always(Fault::Without(name))]).await;
        }
    }
}

#[tokio::test]
async fn a_range_answer_without_content_range_is_not_believed() {
    let (_, _, error) = fails(LENGTH, [Rule::always(Fault::Without("content-range"))]).await;
    assert!(error.to_string().contains("Content-Range"), "{error}");
}

#[tokio::test]
async fn a_cut_body_is_resumed_where_it_broke() {
    let (hub, _) = survives(SHORT, [Rule::times(1, Fault::Cut(200_000)).on("GET")]).await;
    let ranges = hub.ranges();
    assert_eq!(ranges.len(), 2, "{ranges:?}");
    assert!(start_of(&ranges[1]) > 0, "{ranges:?}");
}

#[tokio::test]
async fn parts_that_are_cut_again_and_again_still_make_a_whole_file() {
    survives(LENGTH, [Rule::times(10, Fault::Cut(100_000)).on("GET")]).await;
}

#[tokio::test]
async fn a_body_that_is_always_cut_ends_after_a_bounded_number_of_tries_and_the_next_fetch_goes_on() {
    let (hub, host, error) = fails(SHORT, [Rule::times(5, Fault::Cut(1000)).on("GET")]).await;
    assert!(!error.is_final() && matches!(error, SourceError::Broken { .. }), "{error}");
    assert_eq!(hub.count(Side::Hub, "GET"), 5);
    let host = host.restarted(&hub);
    let bytes = noise(7, SHORT);
    host.fetch(&want(&hub, &bytes)).await.unwrap().verify(&want(&hub, &bytes)).unwrap();
    let last = hub.ranges().pop().unwrap();
    assert!(start_of(&last) > 0, "the second fetch began at the start: {last}");
}

#[tokio::test]
async fn a_server_that_ignores_ranges_is_read_in_one_piece() {
    let (hub, _) = survives(LENGTH, [Rule::always(Fault::IgnoreRange)]).await;
    assert_eq!(hub.ranges().last().unwrap(), "-");
}

#[tokio::test]
async fn a_cut_body_of_a_server_that_ignores_ranges_is_read_from_the_start_again() {
    let rules = [Rule::always(Fault::IgnoreRange), Rule::times(1, Fault::Cut(200_000)).on("GET")];
    survives(SHORT, rules).await;
}

#[tokio::test]
async fn a_server_that_ignores_ranges_and_always_breaks_is_given_up_in_the_end() {
    let rules = [Rule::always(Fault::IgnoreRange), Rule::always(Fault::Cut(200_000)).on("GET")];
    let (hub, _, error) = fails(SHORT, rules).await;
    assert!(matches!(error, SourceError::Unsteady { .. }), "{error}");
    assert!(hub.count(Side::Hub, "GET") < 20);
}

#[tokio::test]
async fn a_range_that_was_not_asked_for_is_refused() {
    let (_, _, error) = fails(LENGTH, [Rule::always(Fault::WrongRange).after(3)]).await;
    assert!(error.to_string().contains("not asked for"), "{error}");
}

#[tokio::test]
async fn a_body_that_ends_early_without_saying_so_is_resumed() {
    let (hub, _) = survives(SHORT, [Rule::times(1, Fault::Short(50_000)).on("GET")]).await;
    assert_eq!(start_of(&hub.ranges()[1]), 50_000);
}

#[tokio::test]
async fn a_body_that_goes_on_after_its_end_is_refused() {
    let (_, _, error) = fails(SHORT, [Rule::always(Fault::Long(10)).on("GET")]).await;
    assert!(matches!(error, SourceError::Long { .. }), "{error}");
}

#[tokio::test]
async fn a_compressed_body_is_refused() {
    let (_, _, error) = fails(SHORT, [Rule::always(Fault::With("content-encoding", "gzip".into()))]).await;
    assert!(error.to_string().contains("compresses"), "{error}");
}

#[tokio::test]
async fn every_request_asks_for_plain_bytes() {
    let (hub, _) = survives(LENGTH, []).await;
    assert!(hub.seen().iter().all(|it| it.header("accept-encoding") == Some("identity")));
}

#[tokio::test]
async fn a_file_that_changed_between_two_fetches_is_fetched_from_its_start() {
    let (hub, old) = hub_with(SHORT).await;
    let new = noise(8, SHORT);
    let host = Host::with(&hub, |it| it.tries_max = 0);
    hub.play(Rule::times(1, Fault::Cut(200_000)));
    host.failure(&web_want(&hub, &new)).await;
    assert_ne!(old, new);
    hub.put(REPOSITORY, PATH, &new);
    let want = web_want(&hub, &new);
    host.fetch(&want).await.unwrap().verify(&want).unwrap();
    let seen = hub.seen();
    assert_eq!(seen[1].header("if-range"), Some(format!("\"{}\"", Sha256::of(&old)).as_str()));
    assert_eq!(hub.ranges().last().unwrap(), "-");
}

#[tokio::test]
async fn a_branch_that_moves_during_a_download_does_not_mix_two_files() {
    let (hub, bytes) = hub_with(LENGTH).await;
    let first = Host::with(&hub, |it| it.tries_max = 0);
    hub.play(Rule::always(Fault::Cut(1000)).on("GET").after(3));
    first.failure(&want(&hub, &bytes)).await;
    let pinned = CommitId::from_bytes([0xab; 20]).to_string();
    let gets = hub.seen().into_iter().filter(|it| it.method == "GET").collect::<Vec<_>>();
    assert!(gets.len() > 3 && gets.iter().all(|it| it.path.contains(&pinned)), "{gets:?}");
}

#[tokio::test]
async fn a_commit_that_is_gone_makes_the_branch_be_asked_anew() {
    let (hub, bytes) = hub_with(SHORT).await;
    let host = Host::with(&hub, |it| it.tries_max = 1);
    hub.play(Rule::times(2, Fault::Cut(1000)).on("GET"));
    host.failure(&want(&hub, &bytes)).await;
    let moved = CommitId::from_bytes([0xcd; 20]);
    hub.commit(REPOSITORY, moved);
    host.fetch(&want(&hub, &bytes)).await.unwrap().verify(&want(&hub, &bytes)).unwrap();
    assert!(hub.seen().pop().unwrap().path.contains(&moved.to_string()));
}

#[tokio::test]
async fn a_hub_that_already_announces_another_digest_is_refused_before_the_first_byte() {
    let (hub, bytes) = hub_with(SHORT).await;
    let other = noise(9, SHORT);
    let host = Host::of(&hub);
    let error = host.failure(&want(&hub, &other)).await;
    assert!(error.is_final() && error.to_string().contains(&Sha256::of(&bytes).to_string()), "{error}");
    assert_eq!(hub.count(Side::Hub, "GET"), 0);
}

#[tokio::test]
async fn a_hub_that_already_announces_another_size_is_refused_before_the_first_byte() {
    let (hub, _) = hub_with(SHORT).await;
    hub.play(Rule::always(Fault::Without("etag")));
    let host = Host::of(&hub);
    let error = host.failure(&want(&hub, &noise(7, SHORT + 1))).await;
    assert!(error.to_string().contains(&format!("{SHORT} bytes")), "{error}");
    assert_eq!(hub.count(Side::Hub, "GET"), 0);
}

#[tokio::test]
async fn a_plain_server_whose_file_has_another_size_is_refused_before_its_body_is_read() {
    let (hub, _) = hub_with(LENGTH).await;
    let host = Host::of(&hub);
    for more in [1, 2 << 20] {
        let error = host.failure(&web_want(&hub, &noise(7, LENGTH + more))).await;
        assert!(matches!(error, SourceError::Announced { size_bytes: Some(_), .. }), "{error}");
    }
    assert_eq!(host.meter.bytes(), 0);
}

#[tokio::test]
async fn a_busy_hub_is_asked_again_after_the_pause_that_its_rate_limit_names() {
    let headers =
        &[("ratelimit", "\"resolvers\";r=0;t=7"), ("ratelimit-policy", "\"fixed window\";q=1;w=300")];
    let (_, host) = survives(SHORT, [Rule::times(2, Fault::Status(429, headers)).on("GET")]).await;
    let long = host.pause.pauses().into_iter().filter(|it| *it >= Duration::from_secs(6)).count();
    assert!(long >= 2, "{:?}", host.pause.pauses());
}

#[tokio::test]
async fn a_head_that_answers_503_is_asked_again_after_its_retry_after() {
    let (hub, host) =
        survives(SHORT, [Rule::times(2, Fault::Status(503, &[("retry-after", "3")])).on("HEAD")]).await;
    assert_eq!(hub.count(Side::Hub, "HEAD"), 3);
    assert!(host.pause.pauses().iter().any(|it| *it >= Duration::from_secs(3)), "{:?}", host.pause.pauses());
}

#[tokio::test]
async fn a_server_that_asks_for_too_long_a_pause_is_left_for_later_at_once() {
    let never = &[("retry-after", "Fri, 01 Jan 2100 00:00:00 GMT")];
    let (hub, _, error) = fails(SHORT, [Rule::always(Fault::Status(503, never))]).await;
    assert!(!error.is_final() && error.to_string().contains("asks for a pause"), "{error}");
    assert_eq!(hub.seen().len(), 1);
}

#[tokio::test]
async fn a_hub_that_stays_broken_is_given_up_with_growing_pauses() {
    let (hub, host, error) = fails(SHORT, [Rule::always(Fault::Status(500, &[]))]).await;
    assert!(matches!(error, SourceError::Busy { .. }) && !error.is_final(), "{error}");
    assert_eq!(hub.seen().len(), 5);
    let millis = host.pause.pauses().iter().map(Duration::as_millis).collect::<Vec<_>>();
    assert_eq!(millis, [250, 500, 1000, 2000]);
}

#[tokio::test]
async fn an_error_page_after_a_good_head_is_never_taken_for_the_model() {
    for status in [404, 500] {
        let (_, host, _) = fails(SHORT, [Rule::always(Fault::Status(status, &[])).on("GET")]).await;
        assert_eq!(host.meter.bytes(), 0, "{status}");
    }
}

#[tokio::test]
async fn a_get_that_fails_after_a_good_head_is_asked_again() {
    let (hub, _) = survives(SHORT, [Rule::times(1, Fault::Status(500, &[])).on("GET")]).await;
    assert_eq!(hub.count(Side::Hub, "GET"), 2);
}

#[tokio::test]
async fn a_redirect_is_followed_whatever_headers_it_has() {
    for way in [Way::Cdn { linked: true }, Way::Cdn { linked: false }, Way::Relative] {
        for length in [SHORT, LENGTH] {
            let (hub, bytes) = hub_with(length).await;
            hub.change(REPOSITORY, PATH, |it| it.way = way);
            let (host, want) = (Host::of(&hub), want(&hub, &bytes));
            host.fetch(&want).await.unwrap().verify(&want).unwrap();
        }
    }
}

#[tokio::test]
async fn the_token_goes_to_the_hub_and_nowhere_else() {
    let (hub, bytes) = hub_with(LENGTH).await;
    hub.change(REPOSITORY, PATH, |it| it.way = Way::Cdn { linked: true });
    hub.close(REPOSITORY, Access::Gated("hf_right".into()));
    let folder = tempfile::tempdir().unwrap();
    let file = TokenFile(folder.path().join("token"));
    std::fs::write(&file.0, "hf_right\n").unwrap();
    let host = Host::with(&hub, |it| it.token = Some(file));
    let want = want(&hub, &bytes);
    host.fetch(&want).await.unwrap().verify(&want).unwrap();
    for seen in hub.seen() {
        let expected = (seen.side == Side::Hub).then_some("Bearer hf_right");
        assert_eq!(seen.header("authorization"), expected, "{seen:?}");
    }
    assert!(hub.count(Side::Cdn, "GET") >= 9);
}

#[tokio::test]
async fn a_token_that_was_rotated_is_used_without_a_restart_and_never_printed() {
    let (hub, bytes) = hub_with(SHORT).await;
    hub.close(REPOSITORY, Access::Gated("hf_new".into()));
    let folder = tempfile::tempdir().unwrap();
    let file = TokenFile(folder.path().join("token"));
    std::fs::write(&file.0, "hf_old").unwrap();
    let host = Host::with(&hub, |it| it.token = Some(file.clone()));
    let error = host.failure(&want(&hub, &bytes)).await;
    assert!(matches!(error, SourceError::Gated { .. }) && error.is_final(), "{error}");
    assert!(error.to_string().contains("visit https://huggingface.co/org/model"), "{error}");
    assert!(!format!("{error:?}").contains("hf_old"), "{error:?}");
    std::fs::write(&file.0, "hf_new").unwrap();
    host.fetch(&want(&hub, &bytes)).await.unwrap();
}

#[tokio::test]
async fn a_private_repository_without_a_token_says_that_one_is_needed_and_where() {
    let (hub, bytes) = hub_with(SHORT).await;
    hub.close(REPOSITORY, Access::Private("hf_right".into()));
    let error = Host::of(&hub).failure(&want(&hub, &bytes)).await;
    let text = error.to_string();
    assert!(text.contains("set tokenFile") && text.contains("https://huggingface.co/org/model"), "{text}");
    assert_eq!(hub.seen().len(), 1, "a refusal is final");
}

#[tokio::test]
async fn what_does_not_exist_is_final_and_named_as_the_hub_names_it() {
    let (hub, bytes) = hub_with(SHORT).await;
    hub.put(REPOSITORY, "other.bin", &bytes);
    let missing = want(&hub, &bytes);
    let host = Host::of(&hub);
    hub.play(Rule::always(Fault::Status(404, &[("x-error-code", "EntryNotFound")])));
    let error = host.failure(&missing).await;
    assert!(error.is_final() && error.to_string().contains("(EntryNotFound)"), "{error}");
    assert_eq!(hub.seen().len(), 1);
}

#[tokio::test]
async fn a_signed_address_that_expires_between_two_ranges_is_asked_for_anew() {
    let (hub, bytes) = hub_with(LENGTH).await;
    hub.change(REPOSITORY, PATH, |it| it.way = Way::Cdn { linked: true });
    hub.play(Rule::times(1, Fault::Status(403, &[])).at(Side::Cdn).after(5));
    let host = Host::with(&hub, |it| it.parts_max = 2);
    let want = want(&hub, &bytes);
    let before = host.fetch(&want).await.unwrap().verify(&want).unwrap();
    assert_eq!(before.size_bytes(), LENGTH as u64);
    assert!(hub.count(Side::Hub, "GET") >= 2, "the hub was not asked again");
}

#[tokio::test]
async fn a_place_that_always_refuses_its_own_signed_addresses_is_given_up() {
    let (hub, bytes) = hub_with(SHORT).await;
    hub.change(REPOSITORY, PATH, |it| it.way = Way::Cdn { linked: true });
    hub.play(Rule::always(Fault::Status(403, &[])).at(Side::Cdn));
    let error = Host::of(&hub).failure(&want(&hub, &bytes)).await;
    assert!(matches!(error, SourceError::Expired { .. }), "{error}");
    assert!(!error.to_string().contains("signature="), "{error}");
}

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

#[tokio::test]
async fn a_trickling_server_is_cut_and_asked_again() {
    let (hub, bytes) = hub_with(SHORT).await;
    let slow = Fault::Trickle(1000, Duration::from_millis(30));
    hub.play(Rule::times(1, slow.clone()).on("GET"));
    let host = Host::with(&hub, |it| {
        (it.bytes_per_second_min, it.slow_time_max) = (1 << 20, Duration::from_millis(300));
    });
    host.fetch(&want(&hub, &bytes)).await.unwrap().verify(&want(&hub, &bytes)).unwrap();
    assert!(start_of(&hub.ranges()[1]) > 0);
}

#[tokio::test]
async fn a_server_that_only_trickles_is_given_up() {
    let (hub, bytes) = hub_with(SHORT).await;
    hub.play(Rule::always(Fault::Trickle(100, Duration::from_millis(30))).on("GET"));
    let host = Host::with(&hub, |it| {
        (it.bytes_per_second_min, it.slow_time_max) = (1 << 20, Duration::from_millis(100));
    });
    let error = host.failure(&want(&hub, &bytes)).await;
    assert!(matches!(error, SourceError::Slow { .. }), "{error}");
}

#[tokio::test]
async fn a_server_that_hangs_is_left_after_the_idle_time_and_asked_again() {
    for fault in [Fault::Hang, Fault::HangAfter(1000)] {
        let (hub, bytes) = hub_with(SHORT).await;
        hub.play(Rule::times(1, fault).on("GET"));
        let host = Host::with(&hub, |it| it.idle_time_max = Duration::from_millis(300));
        host.fetch(&want(&hub, &bytes)).await.unwrap().verify(&want(&hub, &bytes)).unwrap();
        assert_eq!(hub.count(Side::Hub, "GET"), 2);
    }
}

#[tokio::test]
async fn a_download_that_takes_too_long_in_all_says_so_and_keeps_what_came() {
    let (hub, bytes) = hub_with(SHORT).await;
    hub.play(Rule::times(1, Fault::HangAfter(100_000)).on("GET"));
    let host = Host::with(&hub, |it| it.whole_time_max = Duration::from_millis(500));
    let error = host.fetch(&want(&hub, &bytes)).await.unwrap_err();
    assert!(matches!(error, FetchError::Late { .. }) && !error.is_final(), "{error}");
    host.restarted(&hub).fetch(&want(&hub, &bytes)).await.unwrap();
    assert!(start_of(&hub.ranges()[1]) > 0, "{:?}", hub.ranges());
}

#[tokio::test]
async fn a_server_that_is_not_there_is_tried_a_bounded_number_of_times() {
    let (hub, bytes) = hub_with(SHORT).await;
    let host = Host::of(&hub);
    let want = want(&hub, &bytes);
    drop(hub);
    let error = host.failure(&want).await;
    assert!(matches!(error, SourceError::Broken { .. }) && !error.is_final(), "{error}");
    assert_eq!(host.pause.pauses().len(), 4);
}

#[tokio::test]
async fn a_host_name_that_does_not_resolve_is_tried_again_like_any_broken_connection() {
    let hub = FixtureHub::start().await;
    let host = Host::of(&hub);
    let nowhere = vault::Source::Web("http://no-such-host.invalid/model".parse().unwrap());
    let error = host.failure(&want_from(&noise(1, 10), vec![nowhere])).await;
    assert!(matches!(error, SourceError::Broken { .. }), "{error}");
    assert_eq!(host.pause.pauses().len(), 4);
}

#[tokio::test]
async fn a_dropped_download_goes_on_where_it_was() {
    let (hub, bytes) = hub_with(SHORT).await;
    hub.play(Rule::times(1, Fault::HangAfter(200_000)).on("GET"));
    let (host, want, alarm) = (Host::of(&hub), want(&hub, &bytes), Alarm::at(100_000));
    let progress: Arc<dyn vault::Progress> = Arc::clone(&alarm) as _;
    tokio::select! {
        _ = host.downloader.fetch(&want, &host.partials, &progress) => panic!("the hub hangs"),
        () = alarm.rings() => {}
    }
    // The writer of the dropped download still syncs; the next one waits for its lock.
    let host = Host::restarted(host, &hub);
    let partial = loop {
        match host.fetch(&want).await {
            Ok(partial) => break partial,
            Err(FetchError::Busy { .. }) => tokio::task::yield_now().await,
            Err(error) => panic!("{error}"),
        }
    };
    partial.verify(&want).unwrap();
    assert!(start_of(hub.ranges().last().unwrap()) >= 100_000, "{:?}", hub.ranges());
}

#[tokio::test]
async fn a_disk_without_room_is_noticed_before_the_first_byte_and_resumed_once_there_is_some() {
    let (hub, bytes) = hub_with(SHORT).await;
    let room = Arc::new(SmallRoom { looks: vec![u64::MAX, 1000].into() });
    let host = Host::with_room(&hub, room, |_| ());
    let error = host.fetch(&want(&hub, &bytes)).await.unwrap_err();
    let FetchError::NoRoom { needed_bytes, free_bytes, .. } = error else { panic!("{error}") };
    assert_eq!((needed_bytes, free_bytes), (SHORT as u64, 1000));
    assert!(hub.seen().is_empty());
    host.fetch(&want(&hub, &bytes)).await.unwrap().verify(&want(&hub, &bytes)).unwrap();
}

#[tokio::test]
async fn a_disk_that_fills_up_on_the_way_keeps_what_came_and_goes_on_from_there() {
    let (hub, bytes) = hub_with(LENGTH).await;
    let room = Arc::new(SmallRoom { looks: vec![u64::MAX, 10, u64::MAX, u64::MAX].into() });
    let host = Host::with_room(&hub, room, |it| (it.keep_free_bytes, it.parts_max) = (1000, 1));
    let error = host.fetch(&want(&hub, &bytes)).await.unwrap_err();
    assert!(matches!(error, FetchError::NoRoom { free_bytes: 10, .. }) && !error.is_final(), "{error}");
    host.fetch(&want(&hub, &bytes)).await.unwrap().verify(&want(&hub, &bytes)).unwrap();
    assert!(start_of(hub.ranges().last().unwrap()) > 0, "{:?}", hub.ranges());
}

#[tokio::test]
async fn a_file_announced_with_xet_is_taken_by_plain_get_where_that_works() {
    let (hub, bytes) = hub_with(SHORT).await;
    hub.change(REPOSITORY, PATH, |it| it.xet = true);
    let want = want(&hub, &bytes);
    Host::of(&hub).fetch(&want).await.unwrap().verify(&want).unwrap();
    assert!(hub.seen().iter().all(|it| !it.path.contains("xet")));
}

#[tokio::test]
async fn a_file_that_is_served_by_xet_only_is_asked_for_by_xet() {
    let (hub, bytes) = hub_with(SHORT).await;
    hub.change(REPOSITORY, PATH, |it| it.xet = true);
    hub.play(Rule::always(Fault::Status(404, &[])).on("GET"));
    let error = Host::of(&hub).failure(&want(&hub, &bytes)).await;
    assert!(matches!(error, SourceError::Xet { .. }), "{error}");
    let asked = hub.seen().into_iter().find(|it| it.path.contains("xet-read-token"));
    assert_eq!(asked.expect("the chunk protocol").header("authorization"), None);
}
