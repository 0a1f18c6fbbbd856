//! What a hub says in place of the bytes: not now, not here, not for you, over there.

use super::*;

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
