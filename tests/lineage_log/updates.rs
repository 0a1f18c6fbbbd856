//! UPDATEs: done again before they are let in, signed where the card wants it, and what stands of a card after them.

use super::*;

#[tokio::test(flavor = "multi_thread")]
async fn an_update_is_done_again_before_it_is_let_in() {
    let hub = FixtureHub::start().await;
    let (host, daemon) = nobody_wants_anything(&hub).await;
    let (author, other) = (key(1), key(2));
    let first = let_in(&daemon, &signed(&author, 30405, &[&["weight", "1.5"]], "", 1)).await;
    let_in(&daemon, &signed(&author, 30405, &[&["parent", &first], &["weight", "2"]], "", 2)).await;
    let_in(&daemon, &model_event(&author, &model(), 3)).await;
    // Somebody else's model of the same name is not the one that is meant.
    let mut heavier = model();
    heavier["w"] = json!(["100", "100"]);
    let_in(&daemon, &model_event(&other, &heavier, 4)).await;
    let id = let_in(&daemon, &card_event(&author, &card(&first), 5)).await;

    let (status, answer) = post(&daemon, "/v1/lineage/evaluate", &json!({ "card": id })).await;
    assert_eq!(status, 200, "{answer:#}");
    let update = answer["update"].clone();
    assert_eq!(update["result"], json!({ "score": 3.502 }), "{answer:#}");
    assert_eq!(
        (&update["n"], &update["stop"], &update["item"]),
        (&json!(2), &json!("exhausted"), &json!(id))
    );
    assert!(update["cid"].as_str().unwrap().starts_with("bafkrei"), "{update:#}");
    let log = daemon.json("/v1/log").await;
    assert_eq!(
        update["at"],
        json!({ "seq": log["size"], "root": format!("0x{}", log["root"].as_str().unwrap()) })
    );
    // The past stays what it was, however the log grows.
    let_in(&daemon, &signed(&author, 30405, &[&["parent", &first], &["weight", "9"]], "", 6)).await;
    let written = let_in(&daemon, &update_event(&author, &id, &update, 7)).await;
    let attested = let_in(&daemon, &update_event(&other, &id, &update, 8)).await;

    for (second, (key, value, words)) in (10..).zip([
        ("gas", json!(1), "E_MISMATCH at /gas: it says 1, the evaluation gives"),
        ("n", json!(3), "E_MISMATCH at /n: "),
        ("feature_hash", json!(format!("0x{}", "0".repeat(64))), "E_MISMATCH at /feature_hash: "),
        ("result", json!({ "score": 3.6 }), "E_MISMATCH at /result: "),
        ("stop", json!("e"), "E_MISMATCH at /stop: "),
        ("cid", Value::Null, "E_MISMATCH at /cid: "),
        ("at", json!({ "seq": 1000, "root": "0x00" }), "E_MISMATCH at /at/seq: the log has"),
        (
            "at",
            json!({ "seq": update["at"]["seq"], "root": format!("0x{}", "0".repeat(64)) }),
            "E_MISMATCH at /at: ",
        ),
        ("at", json!({ "seq": 1, "root": update["at"]["root"] }), "E_MODEL at /j/mod: "),
        ("item", json!("ab".repeat(32)), "E_ITEM at /item: the log has no card"),
    ]) {
        let mut wrong = update.clone();
        wrong[key] = value;
        refused(&daemon, &update_event(&author, &id, &wrong, second), words).await;
    }
    let mut bare = update.clone();
    bare.as_object_mut().unwrap().remove("gas");
    refused(&daemon, &update_event(&author, &id, &bare, 30), "E_MISMATCH at /gas").await;
    let elsewhere = signed(&author, 30408, &[&["item_id", &id]], &update.to_string(), 31);
    refused(&daemon, &elsewhere, "E_MISMATCH at /item: a tag parent").await;
    // What validates in other words is nobody's UPDATE.
    let_in(&daemon, &signed(&author, 30408, &[&["valid_result", "verified"], &["parent", &first]], "", 32))
        .await;

    let state = host.path("state");
    let verify = |what: &str| -> Said {
        let mut command = Command::new(env!("CARGO_BIN_EXE_hallmark"));
        command.args(["lineage", "verify", what, "--state", state.to_str().unwrap()]);
        command.output().unwrap().into()
    };
    verify(&written).says(&["holds, bit for bit. It is a value of its card."]);
    verify(&attested).says(&["holds, bit for bit. It is an attestation"]);
    let mut wrong = update.clone();
    wrong["gas"] = json!(1);
    let file = host.write("update.json", wrong.to_string().as_bytes());
    let said = verify(file.to_str().unwrap());
    assert_eq!(said.code, Some(1), "{said:#?}");
    said.says(&["does not hold: E_MISMATCH at /gas"]);
    let file = host.write("update.json", update.to_string().as_bytes());
    verify(file.to_str().unwrap()).says(&["holds, bit for bit.\n".trim_end()]);
    assert_eq!(verify(&first).code, Some(1), "a dataset is no UPDATE");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_card_that_asks_for_a_signature_gets_one_or_nothing() {
    let hub = FixtureHub::start().await;
    let (_host, daemon) = nobody_wants_anything(&hub).await;
    let (author, other) = (key(1), key(2));
    let first = let_in(&daemon, &signed(&author, 30405, &[&["weight", "1"]], "", 1)).await;
    let_in(&daemon, &model_event(&author, &model(), 2)).await;
    let mut strict = card(&first);
    strict["o"]["sig"] = json!(true);
    let id = let_in(&daemon, &card_event(&author, &strict, 3)).await;
    let (_, answer) = post(&daemon, "/v1/lineage/evaluate", &json!({ "card": id })).await;
    let bare = answer["update"].clone();
    refused(&daemon, &update_event(&author, &id, &bare, 4), "E_MISMATCH at /sig: ").await;
    let sign = |key: &SecretKey| {
        let update = lineage::Update::read(&bare.to_string()).unwrap().with_time(1_700_000_000);
        let signature = key.sign_text(&update.message());
        serde_json::from_str::<Value>(&update.with_signature(&signature).canonical()).unwrap()
    };
    refused(&daemon, &update_event(&author, &id, &sign(&other), 5), "E_MISMATCH at /sig: ").await;
    let_in(&daemon, &update_event(&author, &id, &sign(&author), 6)).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_cards_value_is_the_newest_by_someone_who_may_write_and_others_attest_it() {
    let hub = FixtureHub::start().await;
    let (host, daemon) = nobody_wants_anything(&hub).await;
    let (author, other) = (key(1), key(2));
    let first = let_in(&daemon, &signed(&author, 30405, &[&["weight", "1.5"]], "", 1)).await;
    let_in(&daemon, &model_event(&author, &model(), 2)).await;
    let id = let_in(&daemon, &card_event(&author, &card(&first), 3)).await;
    let state = host.path("state");
    let value = |more: &[&str]| -> Said {
        let mut command = Command::new(env!("CARGO_BIN_EXE_hallmark"));
        command.args(["lineage", "value", &id, "--state", state.to_str().unwrap()]).args(more);
        command.output().unwrap().into()
    };
    let bare = value(&[]);
    assert_eq!(bare.code, Some(1), "{bare:#?}");
    bare.says(&["no value yet"]);

    let evaluated = async || {
        let (status, answer) = post(&daemon, "/v1/lineage/evaluate", &json!({ "card": id })).await;
        assert_eq!(status, 200, "{answer:#}");
        answer["update"].clone()
    };
    let early = evaluated().await;
    let_in(&daemon, &signed(&author, 30405, &[&["parent", &first], &["weight", "2"]], "", 4)).await;
    let late = evaluated().await;
    assert_ne!(early["result"], late["result"]);
    // The newer one comes first, and the one of somebody else is the newest in the log.
    let counts = let_in(&daemon, &update_event(&author, &id, &late, 5)).await;
    let_in(&daemon, &update_event(&author, &id, &early, 6)).await;
    let attests = let_in(&daemon, &update_event(&other, &id, &late, 7)).await;
    let check = async |daemon: &Daemon| {
        let view = daemon.json(&format!("/v1/lineage/cards/{id}")).await;
        assert_eq!(view["value"]["event"], json!(counts), "{view:#}");
        assert_eq!(view["value"]["result"], late["result"]);
        assert_eq!(view["value"]["update"], late);
        assert_eq!(view["attestation_count"], 1);
        assert_eq!(
            view["attestations"],
            json!([{ "event": attests, "author": pubkey(&other), "seq": late["at"]["seq"] }])
        );
        assert_eq!((&view["jid"], &view["model"]), (&json!("J"), &json!("sum:1")));
        assert_eq!(view["item_hash"], late["item_hash"]);
    };
    check(&daemon).await;
    let said = value(&[]);
    assert_eq!(said.code, Some(0), "{said:#?}");
    for words in
        [&[r#"value {"score":3.502}"#][..], &["event", &counts], &["attested once"], &["event", &attests]]
    {
        said.says(words);
    }
    let json: Value = serde_json::from_str(&value(&["--json"]).out).unwrap();
    assert_eq!(json["value"]["seq"], late["at"]["seq"]);

    for (path, status, kind) in [
        (first.as_str(), 404, "no-such-card"),
        (&"ab".repeat(32), 404, "no-such-card"),
        ("x", 400, "bad-request"),
    ] {
        let answer = daemon.get(&format!("/v1/lineage/cards/{path}")).await;
        crate::http_api::problem(answer, status, kind).await;
    }
    // What stands is read out of the log again.
    assert_eq!(daemon.stop().0, Some(0));
    let daemon = Daemon::start(&host);
    check(&daemon).await;
}
