//! What a client may do wrong, and how often.

use super::*;

#[test]
fn frames_that_say_nothing_are_answered_and_too_many_end_the_session() {
    let host = Host::new(Relay { subscriptions_max: 2, filters_max: 2, ..Relay::default() });
    let (mut session, _) = host.session();
    let mut check = |frame: &str, verb: &str, expected: &str| {
        let replies = host.send(&mut session, frame);
        let text = replies[0].as_array().unwrap().last().unwrap().as_str().unwrap();
        assert!(replies[0][0] == verb && text.contains(expected), "{frame}: {replies:?}");
    };
    check("", "NOTICE", "not a frame");
    check("{}", "NOTICE", "not a frame");
    check("[]", "NOTICE", "an empty frame");
    check("[1]", "NOTICE", "begins with a word");
    check(r#"["NEG-OPEN","x"]"#, "NOTICE", "`NEG-OPEN` is not known here");
    check(r#"["REQ"]"#, "NOTICE", "REQ with 1 elements");
    check(r#"["REQ","",{}]"#, "NOTICE", "1 to 64 characters");
    check(&format!(r#"["REQ","{}",{{}}]"#, "s".repeat(65)), "NOTICE", "1 to 64 characters");
    check(r#"["REQ","s"]"#, "CLOSED", "1 to 2 filters, not 0");
    check(r#"["REQ","s",{},{},{}]"#, "CLOSED", "1 to 2 filters, not 3");
    check(r#"["REQ","s",{"search":"x"}]"#, "CLOSED", "no `search` here");
    check(r#"["EVENT",{"id":"x"}]"#, "NOTICE", "not an event");
    for id in ["1", "2"] {
        host.send(&mut session, &format!(r#"["REQ","{id}",{{}}]"#));
    }
    let third = host.send(&mut session, r#"["REQ","3",{}]"#);
    assert!(third[0][2].as_str().unwrap().starts_with("rate-limited: a session has at most 2"), "{third:?}");
    assert_eq!(host.send(&mut session, r#"["REQ","2",{"limit":0}]"#), [json!(["EOSE", "2"])], "replaced");

    let endings = (0..30).find_map(|_| host.send(&mut session, "nonsense").pop().filter(|it| it[0] == "end"));
    assert_eq!(endings, Some(json!(["end", "too many mistakes"])));
    let (mut other, _) = host.session();
    let long = format!("[\"EVENT\",\"{}\"]", "x".repeat(1 << 20));
    assert_eq!(host.send(&mut other, &long).pop(), Some(json!(["end", "a frame that is too long"])));
}

#[test]
fn a_flood_of_bad_signatures_is_cut_off_and_heals_with_time() {
    let host = Host::new(Relay { bad_signatures_max: 3, ..Relay::default() });
    let (mut session, _) = host.session();
    let good = post("1");
    let bad = |number: usize| {
        let other = post(&format!("other {number}")).to_json();
        let sig = |it: &str| it.split(r#""sig":"#).nth(1).unwrap().to_owned();
        format!("[\"EVENT\",{}]", good.to_json().replace(&sig(&good.to_json()), &sig(&other)))
    };
    let mut verified = 0;
    for number in 0..50 {
        for step in session.receive(&bad(number), NOW) {
            verified += usize::from(matches!(step, Step::Verify(_)));
            host.step(&mut session, step);
        }
    }
    assert_eq!(verified, 3, "the rest cost no curve arithmetic");
    let reply = host.publish(&mut session, &good).remove(0);
    assert!(reply[3].as_str().unwrap().starts_with("rate-limited"), "{reply}");
    assert!(matches!(session.receive(&bad(1), UnixSeconds(NOW.0 + 1))[..], [Step::Verify(_)]));
}
