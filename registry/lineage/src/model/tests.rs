use super::*;
use crate::selector::Agg;
use crate::{features::Extracted, value::Type};

fn vector(features: &[(&str, &str)]) -> FeatureVector {
    let one = |(name, value): &(&str, &str)| {
        let outcome = match Num::parse(value) {
            Some(number) => Outcome::One(Value::Num(number)),
            None if value.is_empty() => Outcome::Nothing,
            None if value.contains('=') => {
                let bins = value.split(',').filter_map(|it| it.split_once('='));
                Outcome::Bins(bins.map(|(bin, count)| (bin.to_owned(), count.parse().unwrap())).collect())
            }
            None => Outcome::One(Value::Text(value.to_string().into())),
        };
        Extracted { name: (*name).to_owned(), agg: Agg::First, kind: Type::Num, outcome }
    };
    FeatureVector(features.iter().map(one).collect())
}

/// Runs a model and says what comes out: score, label, action and gas, or the code.
fn run(model: &str, features: &[(&str, &str)]) -> String {
    let mut meter = Meter::new(1_000_000);
    let model = match Model::read(model) {
        Ok(model) => model,
        Err(flaws) => {
            return flaws.iter().map(|it| format!("{} {}", it.code, it.place)).collect::<Vec<_>>().join(", ");
        }
    };
    match model.judge(&vector(features), &mut meter) {
        Ok(it) => {
            let words = [it.label, it.action].map(|it| it.unwrap_or("-".to_owned()));
            format!("{} {} {} {}", it.score, words[0], words[1], meter.used())
        }
        Err(flaw) => flaw.code.to_string(),
    }
}

#[test]
fn each_engine_gives_score_label_action_and_gas() {
    let check = |model: &str, features: &[(&str, &str)], expected: &str| {
        assert_eq!(run(model, features), expected, "{model}");
    };
    let linear = r#"{"eng":"linreg","in":["a","b"],"b":"0.1","w":["0.5",2],"link":"id","imp":[null,"3"],"cls":[["0.7","ok","settle"],["-1000000000","bad"]]}"#;
    check(linear, &[("a", "1"), ("b", "0.05")], "0.7 ok settle 1010");
    check(linear, &[("a", "-1"), ("b", "0")], "-0.4 bad - 1010");
    check(linear, &[("a", "0"), ("b", "")], "6.1 ok settle 1010");
    check(linear, &[("a", ""), ("b", "1")], "E_MISSING");
    check(linear, &[("a", "x"), ("b", "1")], "E_FEATURE");
    check(linear, &[("a", "x=1"), ("b", "1")], "E_FEATURE");
    check(linear, &[("a", "1")], "E_FEATURE");
    check(&linear.replace("\"a\",", "\"a=x\","), &[("a", "x=4"), ("b", "0")], "2.1 ok settle 1010");
    check(&linear.replace("\"a\",", "\"a=y\","), &[("a", "x=4"), ("b", "0")], "0.1 bad - 1010");
    check(&linear.replace("\"id\"", "\"sigmoid\""), &[("a", "0"), ("b", "0")], "0.524979 bad - 1010");
    for (link, expected) in [("clamp01", "1"), ("relu", "4.1"), ("htanh", "1"), ("hsig", "1"), ("id", "4.1")]
    {
        let model = linear.replace("\"id\"", &format!("{link:?}"));
        check(&model, &[("a", "8"), ("b", "0")], &format!("{expected} ok settle 1010"));
    }
    let tree = r#"{"eng":"tree","in":["a","b"],"nodes":[{"f":0,"t":"12.5","y":1,"n":2},{"s":"0.25","l":"no","a":"block"},{"s":"0.9","l":"ok"}]}"#;
    check(tree, &[("a", "12.5"), ("b", "")], "0.25 no block 1010");
    check(tree, &[("a", "12.500000001"), ("b", "")], "0.9 ok - 1010");
    let forest = r#"{"eng":"gbt","in":["a"],"b":"0.5","link":"relu","trees":[[{"f":0,"t":0,"y":1,"n":2},{"s":"-1"},{"s":"1"}],[{"s":"0.25"}]]}"#;
    check(forest, &[("a", "1")], "1.75 - - 1015");
    check(forest, &[("a", "0")], "0 - - 1015");
    let rules = r#"{"eng":"rules","in":["a"],"rules":[{"if":[["a",">=","1"],["b","=","x"]],"score":"1","label":"ok","action":"deploy"},{"if":[["c=k","<",2]],"score":"0.5"}],"else":{"score":0,"label":"no","action":"block"}}"#;
    check(rules, &[("a", "1"), ("b", "x"), ("c", "k=1")], "1 ok deploy 1006");
    check(rules, &[("a", "1"), ("b", "y"), ("c", "k=1")], "0.5 - - 1009");
    check(rules, &[("a", ""), ("b", "x"), ("c", "k=2")], "0 no block 1006");
    let layers = r#"{"eng":"mlp","in":["a","b"],"l":[{"w":[["1","-1"],["0.5","0.5"]],"b":["0","1"],"act":"relu"},{"w":[["1","2"]],"b":["-1"],"act":"htanh"}]}"#;
    check(layers, &[("a", "1"), ("b", "3")], "1 - - 1021");
    check(layers, &[("a", "-3"), ("b", "-1")], "-1 - - 1021");
    check(r#"{"eng":"ext","artifact":"sha256:no","entry":"x"}"#, &[], "E_MODEL /artifact");
    let external = format!(r#"{{"eng":"ext","artifact":"{}","entry":"mlp-safetensors"}}"#, "ab".repeat(32));
    check(&external, &[], "E_MODEL");
}

#[test]
fn what_is_no_model_is_refused_with_its_place() {
    let check = |model: &str, expected: &str| assert_eq!(run(model, &[]), expected, "{model:.80}");
    check("", "E_MODEL ");
    check("[]", "E_MODEL /eng");
    check(r#"{"eng":"forest"}"#, "E_MODEL /eng");
    check(r#"{"eng":"linreg","in":["a"],"w":[NaN]}"#, "E_MODEL ");
    check(r#"{"eng":"linreg","in":["a"],"w":[1e400]}"#, "E_MODEL ");
    check(r#"{"eng":"linreg","in":["a"],"in":["b"],"w":[1]}"#, "E_MODEL ");
    check(r#"{"eng":"linreg","in":["a"],"w":["1."]}"#, "E_MODEL /w/0");
    check(r#"{"eng":"linreg","in":["a"],"w":[1e18]}"#, "E_MODEL /w/0");
    check(r#"{"eng":"linreg","in":["a"],"w":[1,2]}"#, "E_MODEL /w");
    check(r#"{"eng":"linreg","in":["a"],"w":[1],"x":1}"#, "E_MODEL /x");
    check(r#"{"eng":"linreg","in":["a"],"w":[1],"b":null}"#, "E_MODEL /b");
    check(r#"{"eng":"linreg","in":["a"],"w":[1],"link":"tanh"}"#, "E_MODEL /link");
    check(r#"{"eng":"linreg","in":["a"],"w":[1],"imp":[]}"#, "E_MODEL /imp");
    check(r#"{"eng":"linreg","in":["a"],"w":[1],"cls":[["x"]]}"#, "E_MODEL /cls/0/0");
    check(r#"{"eng":"linreg","in":["a"],"w":[1],"cls":[[]]}"#, "E_MODEL /cls/0");
    check(r#"{"eng":"linreg","in":["a"],"w":[1],"v":2}"#, "E_MODEL /v");
    check(r#"{"eng":"linreg","in":["a"],"w":[1],"id":"x"}"#, "E_MODEL /id");
    check(r#"{"eng":"tree","in":["a"],"nodes":[]}"#, "E_MODEL /nodes");
    check(r#"{"eng":"tree","in":["a"],"nodes":[{"f":0,"t":0,"y":0,"n":1},{"s":1}]}"#, "E_MODEL /nodes/0/y");
    check(
        r#"{"eng":"tree","in":["a"],"nodes":[{"f":1,"t":0,"y":1,"n":2},{"s":1}]}"#,
        "E_MODEL /nodes/0/f, E_MODEL /nodes/0/n",
    );
    check(r#"{"eng":"tree","in":["a"],"nodes":[{"f":0,"t":0,"y":1,"n":-1},{"s":1}]}"#, "E_MODEL /nodes/0/n");
    check(r#"{"eng":"gbt","in":["a"],"trees":[1]}"#, "E_MODEL /trees/0");
    check(
        r#"{"eng":"rules","rules":[{"if":[["a","~",1]],"score":1}],"else":{"score":0}}"#,
        "E_MODEL /rules/0/if/0",
    );
    check(r#"{"eng":"rules","rules":[]}"#, "E_MODEL /else");
    check(r#"{"eng":"mlp","in":["a"],"l":[]}"#, "E_MODEL /l");
    check(r#"{"eng":"mlp","in":["a"],"l":[{"w":[[1,2]],"b":[0]}]}"#, "E_MODEL /l/0/w/0");
    check(r#"{"eng":"mlp","in":["a"],"l":[{"w":[[1],[1]],"b":[0]}]}"#, "E_MODEL /l/0/b");
    check(r#"{"eng":"mlp","in":["a"],"l":[{"w":[[1],[1]],"b":[0,0]}]}"#, "E_MODEL /l");
    let leaves = vec![r#"{"s":1}"#; NODES_MAX + 1].join(",");
    check(&format!(r#"{{"eng":"tree","in":["a"],"nodes":[{leaves}]}}"#), "E_MODEL /nodes");
    let long = format!(r#"{{"eng":"linreg","in":["{}"],"w":[1]}}"#, "a".repeat(TEXT_BYTES_MAX));
    check(&long, "E_MODEL ");
}
