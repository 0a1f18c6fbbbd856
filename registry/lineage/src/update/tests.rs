use super::*;
use crate::{Caps, Checkpoint, Event, Graph, Model, evaluate, item::tests::EXAMPLE};

/// The ledger of the reference: five events from txStart123 to txStop999, and one that came later.
const LEDGER: &str = r#"{"id":"txStart123","pubkey":"0xa","created_at":1728003600,"kind":30405,"tags":[["d","subspace_op"]],"content":"{\"price\":10.1,\"items\":[{\"w\":0.1,\"cat\":\"grain\",\"q\":3},{\"w\":0.2,\"cat\":\"oil\",\"q\":1}]}","seq":1}
{"id":"txA","pubkey":"0xa","created_at":1728007200,"kind":30405,"tags":[["d","subspace_op"],["parent","txStart123"]],"content":"{\"price\":\"20.2\",\"items\":[{\"w\":\"0.3\",\"cat\":\"grain\",\"q\":4}]}","seq":2}
{"id":"txB","pubkey":"0xa","created_at":1728010800,"kind":30405,"tags":[["d","subspace_op"],["parent","txStart123"]],"content":"{\"items\":[]}","seq":3}
{"id":"txC","pubkey":"0xa","created_at":1728014400,"kind":30405,"tags":[["d","subspace_op"],["parent","txA","txB"]],"content":"{\"price\":null,\"items\":{\"w\":2,\"cat\":\"grain\",\"q\":5}}","seq":4}
{"id":"txStop999","pubkey":"0xa","created_at":1728018000,"kind":30321,"tags":[["d","subspace_op"],["parent","txC"],["amount","1000000"]],"content":"{\"price\":30}","seq":5}
{"id":"txLate","pubkey":"0xa","created_at":1728021600,"kind":30405,"tags":[["d","subspace_op"],["parent","txStop999"]],"content":"{\"price\":1000000.0}","seq":6}"#;

const MODEL: &str = r#"{"v":1,"id":"linreg:v1","eng":"linreg","in":["wt_sum","price_avg","tx_cnt"],"b":"0.1","w":["0.05","0.02","0.0125"],"link":"id","cls":[["0.7","ok","settle"],["0.3","review","hold"],["-1000000000","bad","reject"]]}"#;

fn golden() -> (Evaluation, Item) {
    let events: Vec<Event> = LEDGER.lines().map(|it| serde_json::from_str(it).unwrap()).collect();
    let graph = Graph::of(&events).unwrap();
    let item = Item::admit(EXAMPLE).unwrap();
    let model = Model::read(MODEL);
    (evaluate(&graph, &item, &model, Checkpoint::at(6), Caps::DAEMON).unwrap(), item)
}

#[test]
fn the_example_of_the_spec_gives_the_golden_update() {
    let (evaluation, item) = golden();
    let hash = "0x72239e7c157a20727b0b2587807df376e6e729852d2d78d00a23fc5f6b6316bc";
    assert_eq!(evaluation.features.hash_text(), hash);
    assert_eq!((evaluation.gas, evaluation.visited.len(), evaluation.stop.name()), (1634, 5, "e"));
    let update = Update::of(&evaluation, &item, "abc", "0x00");
    assert_eq!(update.result().unwrap().canonical(), r#"{"action":"hold","score":0.6945}"#);
    assert!(update.cid().unwrap().starts_with("bafkrei"));
    let digest = Sha256::of(payload(&evaluation).as_bytes());
    assert_eq!(parse_cid(update.cid().unwrap()), Some(Some(digest)));
    insta::assert_snapshot!(update.canonical(), @r#"
        {"at":{"root":"0x00","seq":6},"cid":"bafkreielqlujrootmzlnexuqrddnynk3xqskvxxa42c6oyolzu5lo6lboq","feature_hash":"0x72239e7c157a20727b0b2587807df376e6e729852d2d78d00a23fc5f6b6316bc","gas":1634,"item":"abc","item_hash":"0x2c3e3788c5a652ca00b5f5424b0be46cd3abc265033164a3b7bb1c68e9745698","jid":"J1","miss":0,"model":"linreg:v1","model_hash":"0x127cf261863793591ea5e5c6f8104f30d550c8ab7afa4d26fd0bdd03bd3cca8c","n":5,"result":{"action":"hold","score":0.6945},"stop":"e","visit_hash":"0xae756ade746f0a09bd57dc403303e0e7ff2348989fb92702e2e6cc7227bb1e14"}
        "#);
}

#[test]
fn what_is_written_is_read_back_and_time_and_signature_are_outside_the_core() {
    let (evaluation, item) = golden();
    let bare = Update::of(&evaluation, &item, "abc", "0x00");
    let timed = bare.clone().with_time(1_728_000_000);
    let signed = timed.clone().with_signature("0xff");
    assert_eq!(Update::read(&signed.canonical()).unwrap(), signed);
    assert_eq!(signed.core(), bare.core());
    assert_eq!(signed.message(), timed.message());
    assert_ne!(timed.message(), bare.message());
    assert_eq!(signed.verify(&bare), Ok(()));
    let older = signed.canonical().replace("feature_hash", "feat_hash").replace("\"jid\"", "\"job\"");
    assert_eq!(Update::read(&older).unwrap(), signed);
}

#[test]
fn a_core_that_differs_is_refused_with_the_key() {
    let (evaluation, item) = golden();
    let update = Update::of(&evaluation, &item, "abc", "0x00");
    let check = |from: &str, to: &str, place: &str| {
        let other = Update::read(&update.canonical().replace(from, to)).unwrap();
        let flaw = other.verify(&update).unwrap_err();
        assert_eq!((flaw.code, flaw.place.as_str()), (Code::EMismatch, place));
    };
    check("0.6945", "0.7", "/result");
    check("1634", "1635", "/gas");
    check("\"seq\":6", "\"seq\":5", "/at");
    check("\"abc\"", "\"abd\"", "/item");
}

#[test]
fn what_is_no_update_is_refused_with_the_place() {
    let (evaluation, item) = golden();
    let update = Update::of(&evaluation, &item, "abc", "0x00").canonical();
    let check = |from: &str, to: &str, place: &str| {
        assert!(update.contains(from), "{from}");
        assert_eq!(Update::read(&update.replacen(from, to, 1)).unwrap_err()[0].place, place);
    };
    check("\"gas\":1634", "\"gas\":\"1634\"", "/gas");
    check("\"jid\":\"J1\",", "", "/jid");
    check("bafkrei", "bafkrei!", "/cid");
    check("{\"root\":\"0x00\",\"seq\":6}", "6", "/at");
    check("\"item\"", "\"x\":1,\"item\"", "/x");
    check("0x72239e7c", "72239e7c", "/feature_hash");
    assert_eq!(Update::read("[]").unwrap_err()[0].place, "");
    assert_eq!(Update::read("{").unwrap_err()[0].code, Code::EMismatch);
}

#[test]
fn a_cid_is_the_digest_in_another_spelling() {
    // The CID that IPFS gives these five bytes as a raw leaf.
    assert_eq!(cid_of(b"hello"), "bafkreibm6jg3ux5qumhcn2b3flc3tyu6dmlb4xa7u5bf44yegnrjhc4yeq");
    assert_eq!(parse_cid(&cid_of(b"x")), Some(Some(Sha256::of(b"x"))));
    assert_eq!(parse_cid("hello"), None);
    assert!(parse_cid("QmYwAPJzv5CZsnA625s3Xf2nemtYgPpHdWEz79ojWnPbdG").is_some());
}
