//! Votes and validations: visited on the way up, and followed nowhere.

use super::*;

fn visited(control: &str, job: &str, at: u64) -> Vec<String> {
    run(&story(), &card("model", "", control, job), CONSTANT, at).unwrap().visited
}

#[test]
fn statements_are_visited_on_the_way_up_and_nothing_is_followed_from_them() {
    let all = r#","dir":"up","st":{"kinds":[30302,30408]}"#;
    let expected = ["model", "verified", "no", "again", "run", "data", "revoked"];
    assert_eq!(
        visited(all, "", 10),
        expected,
        "the later of two votes counts, and `other` is drawn in by nobody"
    );
    assert_eq!(visited(all, "", 7), ["model", "verified", "yes", "run", "data"], "as it was then");
    let some = r#","dir":"up","st":{"kinds":[30302,30408],"pk":["a","c"]}"#;
    assert_eq!(visited(some, "", 10), ["model", "verified", "again", "run", "data"]);
    assert_eq!(visited(r#","dir":"up""#, "", 10), ["model", "run", "data"]);
    // The filter of links is not that of statements.
    let both = r#","dir":"up","f":{"pk":["a"]},"st":{"pk":["d"]}"#;
    assert_eq!(visited(both, "", 10), ["model", "run", "data", "revoked"]);
}

#[test]
fn a_statement_that_a_link_leads_to_as_well_is_visited_once_and_followed() {
    let mut events = story();
    // The run rests on a validation of the model's dataset, which rests on something else.
    events.push(told(11, "check", 30408, "a", &["data", "tool"], &[]));
    events.push(told(12, "tool", 30407, "a", &[], &[]));
    events.push(told(13, "last", 30404, "a", &["data", "check"], &[]));
    let control = r#","dir":"up","st":{"kinds":[30408]}"#;
    let found = run(&events, &card("last", "", control, ""), CONSTANT, 13).unwrap();
    let mut ids = found.visited.clone();
    ids.sort();
    assert_eq!(ids, ["check", "data", "last", "revoked", "tool"]);
    // Statements alone are not followed.
    let found = run(&events, &card("data", "", control, ""), CONSTANT, 13).unwrap();
    assert_eq!(found.visited, ["data", "revoked", "check"]);
}

#[test]
fn statements_belong_to_crawls_that_go_up() {
    let flaws = Item::read(&card("a", "", r#","st":{"kinds":[1]}"#, "")).unwrap_err();
    assert_eq!((flaws[0].code, flaws[0].place.as_str()), (Code::EItem, "/ctl/st"));
}
