//! Bytes that come cut, twice, compressed, or from another file than was asked for.

use super::*;

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
