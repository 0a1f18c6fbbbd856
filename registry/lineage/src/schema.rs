//! The JSON Schemas of cards and updates, which say what every short key means.

/// The schema of a card.
pub const ITEM_SCHEMA: &str = include_str!("../../../schema/item.json");
/// The schema of an UPDATE.
pub const UPDATE_SCHEMA: &str = include_str!("../../../schema/update.json");

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;
    use crate::{
        Item, Update,
        item::{
            CONTROL_KEYS, FEATURE_KEYS, FILTER_KEYS, JOB_KEYS, KEYS, OUTPUT_KEYS, PROVENANCE_KEYS, QUERY_KEYS,
        },
        json::Json,
        update,
    };

    const CARD: &str = r#"{"v":"1","id":"a","s":"x","e":"y","j":{"jid":"J","m":"OP_AI_EVAL","mod":"m:1","seed":"s","limit":5,"spec":[{"n":"f","sel":"meta.a","agg":"hist","t":"num","w":"1d","d":0,"b":[1]}]},"o":{"ut":"UPDATE","ref":"item_id","fields":["score"],"sig":true,"wl":["0xa"]},"p":{"creator":"0xa","ts":1,"nonce":"1"},"ctl":{"det":true,"maxN":1,"gas":1,"dir":"up","f":{"kinds":[1],"pk":["a"]},"st":{"kinds":[1],"pk":["a"]},"eps":"0.1"}}"#;

    fn at<'j>(json: &'j Json, path: &str) -> &'j Json {
        path.split('/').filter(|it| !it.is_empty()).fold(json, |json, key| match json {
            Json::List(list) => &list[key.parse::<usize>().unwrap()],
            _ => json.get(key).unwrap_or_else(|| panic!("{path}: no {key}")),
        })
    }

    fn at_mut<'j>(json: &'j mut Json, path: &str) -> &'j mut Json {
        path.split('/').filter(|it| !it.is_empty()).fold(json, |json, key| match json {
            Json::List(list) => &mut list[key.parse::<usize>().unwrap()],
            Json::Map(map) => map.get_mut(key).unwrap(),
            _ => panic!("{path}"),
        })
    }

    fn keys(json: &Json) -> BTreeSet<&str> {
        let Json::Map(map) = json else { panic!("expected an object") };
        map.keys().map(String::as_str).collect()
    }

    /// Checks that an object of the schema has the code's keys, a sentence for each, and no others.
    fn check_object(schema: &Json, path: &str, expected: &[&str]) {
        let object = at(schema, path);
        let properties = at(object, "properties");
        assert_eq!(keys(properties), expected.iter().copied().collect(), "{path}");
        assert_eq!(object.get("additionalProperties"), Some(&Json::Bool(false)), "{path}");
        for key in expected {
            let sentence = at(properties, key).get("description").and_then(Json::as_text).unwrap_or_default();
            assert!(sentence.ends_with('.') && sentence.len() > 10, "{path}: {key} has no sentence");
        }
    }

    #[test]
    fn the_schemas_have_the_keys_of_the_code_and_a_sentence_for_each() {
        let schema = Json::parse(ITEM_SCHEMA).unwrap();
        check_object(&schema, "", &KEYS);
        check_object(&schema, "properties/q", &QUERY_KEYS);
        check_object(&schema, "properties/j", &JOB_KEYS);
        check_object(&schema, "properties/j/properties/spec/items", &FEATURE_KEYS);
        check_object(&schema, "properties/o", &OUTPUT_KEYS);
        check_object(&schema, "properties/p", &PROVENANCE_KEYS);
        check_object(&schema, "properties/ctl", &CONTROL_KEYS);
        check_object(&schema, "properties/ctl/properties/f", &FILTER_KEYS);
        check_object(&schema, "properties/ctl/properties/st", &FILTER_KEYS);
        let schema = Json::parse(UPDATE_SCHEMA).unwrap();
        check_object(&schema, "", &update::KEYS);
        check_object(&schema, "properties/at", &["root", "seq"]);
    }

    #[test]
    fn what_the_schema_requires_the_code_requires_and_nothing_else() {
        let schema = Json::parse(ITEM_SCHEMA).unwrap();
        let parts = [
            ("", ""),
            ("properties/j", "j"),
            ("properties/j/properties/spec/items", "j/spec/0"),
            ("properties/o", "o"),
            ("properties/p", "p"),
            ("properties/ctl", "ctl"),
            ("properties/ctl/properties/f", "ctl/f"),
            ("properties/ctl/properties/st", "ctl/st"),
        ];
        Item::admit(CARD).unwrap();
        for (path, place) in parts {
            let object = at(&schema, path);
            let required: Vec<&str> =
                at(object, "required").as_list().unwrap().iter().filter_map(Json::as_text).collect();
            for key in keys(at(object, "properties")) {
                let mut card = Json::parse(CARD).unwrap();
                let Json::Map(map) = at_mut(&mut card, place) else { panic!("{place}") };
                if map.remove(key).is_none() {
                    continue;
                }
                let refused = Item::admit(&card.canonical()).is_err();
                // A start is one of two keys, an aggregation one of two places, and statements belong to one direction:
                // the schema says so elsewhere.
                let needed = required.contains(&key) || ["s", "agg", "dir"].contains(&key);
                assert_eq!(refused, needed, "{place}/{key}");
            }
        }
    }

    #[test]
    fn an_update_lacks_nothing_that_the_schema_requires() {
        let schema = Json::parse(UPDATE_SCHEMA).unwrap();
        let hash = format!("0x{}", "ab".repeat(32));
        let text = format!(
            r#"{{"at":{{"root":"0x","seq":1}},"feature_hash":"{hash}","gas":1,"item":"a","item_hash":"{hash}","jid":"J","miss":0,"model":"m:1","model_hash":"{hash}","n":1,"result":{{}},"stop":"e","visit_hash":"{hash}"}}"#
        );
        Update::read(&text).unwrap();
        let update = Json::parse(&text).unwrap();
        let required = at(&schema, "required").as_list().unwrap().iter().filter_map(Json::as_text);
        assert_eq!(keys(&update), required.collect());
        for key in keys(&update) {
            let mut less = update.clone();
            let Json::Map(map) = &mut less else { panic!("an object") };
            map.remove(key);
            assert!(Update::read(&less.canonical()).is_err(), "{key}");
        }
    }
}
