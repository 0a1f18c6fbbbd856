//! A daemon that is killed over and over: what was acknowledged is there, once.

use super::*;

/// How many times the daemon is killed in the middle of its work.
const KILLS: u64 = 50;

#[tokio::test(flavor = "multi_thread")]
async fn no_acknowledged_event_is_lost_or_doubled_however_often_the_daemon_is_killed() {
    let hub = FixtureHub::start().await;
    let host = Host::of(&hub);
    host.index(&[]);
    let key = SecretKey::from_bytes([9; 32]).unwrap();
    let mut acknowledged: BTreeMap<String, u64> = BTreeMap::new();
    let mut number = 0;
    for round in 0..KILLS {
        let daemon = Daemon::start(&host);
        let events = (number..number + 64).map(|it| post(&key, it)).collect::<Vec<_>>();
        number += 60;
        let clients = events.chunks(8).map(|chunk| {
            let (client, url, chunk) = (daemon.client().clone(), daemon.url(), chunk.to_vec());
            tokio::spawn(async move {
                let mut taken = Vec::new();
                for event in chunk {
                    let sent =
                        client.post(format!("{url}/v1/events")).header("content-type", "application/json");
                    let sent = sent.body(event).send().await;
                    // What is not answered may or may not be in the log: nobody was told.
                    let Ok(answer) = sent else { break };
                    let Ok(text) = answer.text().await else { break };
                    let answer: Value = serde_json::from_str(&text).unwrap();
                    let seq = answer["position"]["seq"].as_u64().unwrap_or_else(|| panic!("{answer}"));
                    taken.push((answer["id"].as_str().unwrap().to_owned(), seq));
                }
                taken
            })
        });
        let clients = clients.collect::<Vec<_>>();
        // Another moment in each round, in and between commits.
        let wait = (round * 7919) % 60;
        tokio::time::sleep(std::time::Duration::from_millis(wait)).await;
        daemon.signal(Signal::SIGKILL);
        for client in clients {
            for (id, seq) in client.await.unwrap() {
                let before = acknowledged.insert(id.clone(), seq);
                assert!(before.is_none_or(|it| it == seq), "{id} moved from {before:?} to {seq}");
            }
        }
    }
    assert!(!acknowledged.is_empty(), "the daemon was always killed before it answered");
    let daemon = Daemon::start(&host);
    for (id, seq) in &acknowledged {
        let event = daemon.json(&format!("/v1/events/{id}")).await;
        assert_eq!(event["position"]["seq"], json!(seq), "{id}");
    }
    assert_eq!(daemon.stop().0, Some(0));

    // The file itself, read by nobody but this test: each event once, the tree and the folds as a replay has them.
    let members = Arc::new(Live::<Membership>::default());
    let options = Options {
        policy: Policy::default(),
        clock: Arc::new(SystemClock),
        folds: vec![members.clone()],
        observer: None,
    };
    let log = Log::open(&host.path("state/ledger.sqlite"), options).unwrap();
    let (size, root) = log.head();
    let (mut bodies, mut replayed, mut leaves) = (BTreeSet::new(), Membership::default(), Vec::new());
    log.range(0, size, |it| {
        assert!(bodies.insert(it.body), "{} is there twice", it.id);
        assert_eq!(it.at.seq, leaves.len() as u64);
        replayed.apply(&it.event()?);
        leaves.push(it);
        Ok(())
    })
    .unwrap();
    assert_eq!(leaves.len() as u64, size);
    assert_eq!(members.read(|it, _| it.digest()), replayed.digest());
    assert_eq!(members.size(), size);
    let mut tree = ct_merkle::mem_backed_tree::MemoryBackedTree::<sha2::Sha256, Vec<u8>>::new();
    for stored in &leaves {
        tree.push(log.leaf(stored).unwrap().to_bytes());
    }
    assert_eq!(tree.root().as_bytes()[..], root.as_bytes()[..], "the tree is the replay's");
}
