//! Sources that are slow, silent or gone, disks that fill up, and downloads that are given up.

use super::*;

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
