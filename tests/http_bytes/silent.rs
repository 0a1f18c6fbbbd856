//! Clients that go away, read nothing or say nothing.

use super::*;

#[tokio::test(flavor = "multi_thread")]
async fn a_client_that_goes_away_half_way_leaves_nothing_open() {
    let story = Story::of(40_000_000, &[]).await;
    for _ in 0..20 {
        let mut stream = TcpStream::connect(story.daemon.address()).await.unwrap();
        stream.write_all(format!("GET {MAIN} HTTP/1.1\r\nHost: x\r\n\r\n").as_bytes()).await.unwrap();
        stream.read_exact(&mut vec![0; 10_000]).await.unwrap();
    }
    until("nothing is open any more", || story.open_objects() == 0);
    assert!(bytes_of(&story.daemon, MAIN).await == story.large);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_client_that_never_reads_is_let_go() {
    let story = Story::of(60_000_000, &["write_seconds_max = 1"]).await;
    let mut stream = TcpStream::connect(story.daemon.address()).await.unwrap();
    stream.write_all(format!("GET {MAIN} HTTP/1.1\r\nHost: x\r\n\r\n").as_bytes()).await.unwrap();
    stream.readable().await.unwrap();
    until("it is let go", || story.open_objects() == 0);
    let mut rest = Vec::new();
    let ended = stream.read_to_end(&mut rest).await;
    assert!(ended.is_err() || rest.len() < story.large.len(), "all {} bytes came", rest.len());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_client_that_reads_nothing_of_one_answer_is_let_go_over_http_2_as_well() {
    let story = Story::of(60_000_000, &["write_seconds_max = 1"]).await;
    let client = Client::builder().no_proxy().http2_prior_knowledge().build().unwrap();
    let mut answer = client.get(format!("{}{MAIN}", story.daemon.url())).send().await.unwrap();
    assert_eq!((answer.status().as_u16(), answer.version()), (200, reqwest::Version::HTTP_2));
    until("it is let go", || story.open_objects() == 0);
    let ended = loop {
        match answer.chunk().await {
            Ok(Some(_)) => {}
            ended => break ended,
        }
    };
    assert!(ended.is_err(), "a short body was taken for whole");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_client_that_does_not_speak_is_let_go() {
    let story = Story::of(1000, &["header_seconds_max = 1"]).await;
    for opening in ["", "P", "PRI * HTTP", "GET / HT", "GET /healthz HTTP/1.1\r\nHost: x\r\n"] {
        let mut stream = TcpStream::connect(story.daemon.address()).await.unwrap();
        stream.write_all(opening.as_bytes()).await.unwrap();
        let mut rest = Vec::new();
        let ended = tokio::time::timeout(Duration::from_secs(30), stream.read_to_end(&mut rest)).await;
        assert!(ended.is_ok(), "{opening:?} still stands");
    }
    // Between two requests the same limit holds.
    let mut stream = TcpStream::connect(story.daemon.address()).await.unwrap();
    stream.write_all(b"GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n").await.unwrap();
    let mut rest = Vec::new();
    let begun = Instant::now();
    stream.read_to_end(&mut rest).await.unwrap();
    assert!(rest.ends_with(b"ok\n") && begun.elapsed() < Duration::from_secs(30));
}
