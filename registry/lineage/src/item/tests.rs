use super::*;

/// The spec's example, quotes mended.
pub(crate) const EXAMPLE: &str = r#"{"v":"1","s":"txStart123","e":"txStop999","j":{"jid":"J1","m":"OP_AI_EVAL","mod":"linreg:v1","seed":"0xabc","limit":500,"spec":[{"n":"wt_sum","sel":"meta.items.w","agg":"sum","t":"num"},{"n":"price_avg","sel":"meta.price","agg":"avg","t":"num"},{"n":"tx_cnt","sel":"txid","agg":"count","t":"num"}]},"o":{"ut":"UPDATE","ref":"item_id","fields":["score","action","cid"],"sig":true},"p":{"creator":"addr1","ts":1728000000,"nonce":"42"},"ctl":{"det":true,"maxN":200,"gas":200000}}"#;

#[test]
fn the_example_of_the_spec_has_the_golden_hash() {
    let item = Item::admit(EXAMPLE).unwrap();
    assert_eq!(item.hash_text(), "0x2c3e3788c5a652ca00b5f5424b0be46cd3abc265033164a3b7bb1c68e9745698");
    assert_eq!(item.notes(), Vec::<String>::new());
    let typographic = EXAMPLE.replacen('"', "“", 1).replacen('"', "”", 1);
    assert!(Item::read(&typographic).unwrap_err()[0].text.contains("--fix"));
    assert_eq!(Item::admit(&lint::fix(&typographic).unwrap()).unwrap().hash(), item.hash());
}

/// Replaces one part of the example and lists what is wrong then.
fn flaws(from: &str, to: &str) -> Vec<String> {
    assert!(EXAMPLE.contains(from), "{from}");
    let text = EXAMPLE.replacen(from, to, 1);
    let flaws = Item::admit(&text).err().unwrap_or_default();
    flaws.iter().map(|it| format!("{} {}", it.code, it.place)).collect()
}

#[test]
fn every_static_rule_has_its_code_and_its_place() {
    let check =
        |from: &str, to: &str, expected: &[&str]| assert_eq!(flaws(from, to), expected, "{from} → {to}");
    check(r#""v":"1""#, r#""v":"2""#, &["E_ITEM /v"]);
    check(r#""v":"1","#, "", &["E_ITEM /v"]);
    check(r#""v":"1""#, r#""v":1"#, &["E_ITEM /v"]);
    check(r#""v":"1""#, r#""v":"1","x":1"#, &["E_ITEM /x"]);
    check(r#""v":"1""#, r#""v":"1","v":"1""#, &["E_ITEM "]);
    check(r#""s":"txStart123","#, "", &["E_ITEM /s"]);
    check(r#""s":"txStart123""#, r#""s":"a","q":{}"#, &["E_ITEM /q"]);
    check(r#""s":"txStart123""#, r#""q":{"kinds":[1],"pk":["a"],"tag":{"k":"v"}}"#, &[]);
    check(
        r#""s":"txStart123""#,
        r#""q":{"kinds":["1"],"tag":{"k":1}}"#,
        &["E_ITEM /q/kinds", "E_ITEM /q/tag/k"],
    );
    check("OP_AI_EVAL", "OP_EVAL", &["E_ENGINE /j/m"]);
    check("linreg:v1", "linreg", &["E_MODEL /j/mod"]);
    check(r#""limit":500"#, r#""limit":0"#, &["E_LIMITS /j/limit"]);
    check(r#""limit":500"#, r#""limit":1.5"#, &["E_LIMITS /j/limit"]);
    check(r#""limit":500"#, r#""limit":"500""#, &["E_LIMITS /j/limit"]);
    check(
        r#""maxN":200,"gas":200000"#,
        r#""x":1"#,
        &["E_ITEM /ctl/x", "E_LIMITS /ctl/maxN", "E_LIMITS /ctl/gas"],
    );
    check("meta.items.w", "meta", &["E_SEL /j/spec/0/sel"]);
    check(r#""agg":"sum","t":"num""#, r#""t":"num""#, &["E_AGG /j/spec/0/agg"]);
    check(r#""agg":"sum""#, r#""agg":"mode""#, &["E_AGG /j/spec/0/agg"]);
    check(r#""agg":"sum","t":"num""#, r#""agg":"sum","t":"cat""#, &["E_TYPE /j/spec/0/t"]);
    check(r#""agg":"sum","t":"num""#, r#""agg":"sum","t":"int""#, &["E_TYPE /j/spec/0/t"]);
    check(r#""agg":"sum","t":"num""#, r#""agg":"hist","t":"text""#, &["E_TYPE /j/spec/0/t"]);
    check(r#""agg":"sum","t":"num""#, r#""agg":"sum","t":"num","w":"0h""#, &["E_WINDOW /j/spec/0/w"]);
    check(r#""agg":"sum","t":"num""#, r#""agg":"sum","t":"num","d":"abc""#, &["E_DEFAULT /j/spec/0/d"]);
    check(r#""agg":"sum","t":"num""#, r#""agg":"sum","t":"num","d":{}"#, &["E_DEFAULT /j/spec/0/d"]);
    check(r#""agg":"sum","t":"num""#, r#""agg":"hist","t":"num","b":[2,1]"#, &["E_HIST /j/spec/0/b"]);
    check(r#""agg":"sum","t":"num""#, r#""agg":"sum","t":"num","b":[1,2]"#, &["E_HIST /j/spec/0/b"]);
    check(r#""agg":"sum","t":"num""#, r#""agg":"hist","t":"num","b":[1,"2.5"]"#, &[]);
    check(r#""n":"wt_sum""#, r#""n":"tx_cnt""#, &["E_ITEM /j/spec/2/n"]);
    check(r#""n":"wt_sum""#, r#""n":"a=b""#, &["E_ITEM /j/spec/0/n"]);
    check(r#""fields":["score","action","cid"]"#, r#""fields":["scores"]"#, &["E_ITEM /o/fields"]);
    check(
        r#""fields":["score","action","cid"]"#,
        r#""fields":{"score":"s","label":"s"}"#,
        &["E_ITEM /o/fields"],
    );
    check(r#""fields":["score","action","cid"]"#, r#""fields":{"score":"s"},"wl":["a"]"#, &[]);
    check(r#""sig":true"#, r#""sig":"yes""#, &["E_ITEM /o/sig"]);
    check(r#""creator":"addr1""#, r#""creator":"""#, &["E_ITEM /p/creator"]);
    check(r#""det":true"#, r#""det":true,"dir":"sideways""#, &["E_ITEM /ctl/dir"]);
    check(r#""det":true"#, r#""det":true,"f":{"kinds":[1],"pk":[]},"eps":"0.5","dir":"up""#, &[]);
    check(r#""det":true"#, r#""det":false,"eps":-1"#, &["E_ITEM /ctl/eps"]);
}

#[test]
fn cards_that_are_no_cards_are_refused_in_bounded_time() {
    let check = |text: &str| assert_eq!(Item::read(text).unwrap_err()[0].code, Code::EItem, "{text:.40}");
    check("");
    check("[]");
    check("null");
    check(&"[".repeat(TEXT_BYTES_MAX));
    check(&" ".repeat(TEXT_BYTES_MAX + 1));
    check(&format!(r#"{{"v":{}1{}}}"#, "[".repeat(70), "]".repeat(70)));
}

#[test]
fn all_that_is_wrong_is_said_at_once_and_what_an_evaluation_meets_first_comes_first() {
    let text = EXAMPLE
        .replace("OP_AI_EVAL", "x")
        .replace(r#""limit":500"#, r#""limit":0"#)
        .replace(r#""v":"1""#, r#""v":"9""#);
    let codes: Vec<Code> = Item::read(&text).unwrap_err().iter().map(|it| it.code).collect();
    assert_eq!(codes, [Code::EItem, Code::EEngine, Code::ELimits]);
}

#[test]
fn a_long_card_is_accepted_and_noted() {
    let item = Item::admit(&EXAMPLE.replace("\"42\"", &format!("{:?}", "4".repeat(128)))).unwrap();
    assert_eq!(item.notes(), Vec::<String>::new());
    let long = EXAMPLE.replace("txid", &format!("meta.{}.{}", "\\\"a\\\".".repeat(10), "b".repeat(64)));
    let long = long.replace("addr1", &"a".repeat(128)).replace("\"42\"", &format!("{:?}", "4".repeat(128)));
    let long = long.replace("..", ".");
    assert_eq!(Item::admit(&long).unwrap().notes().len(), 1);
}
