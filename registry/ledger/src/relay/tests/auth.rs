//! Who somebody is, and what only some may read or say.

use super::*;

fn auth(number: u8, change: impl FnOnce(&mut Draft)) -> String {
    let tags = [Tag::pair("relay", "wss://relay.example:8420/relay"), Tag::pair("challenge", "a challenge")];
    let mut draft = Draft {
        created_at: NOW,
        kind: Kind::AUTHENTICATION,
        tags: tags.into_iter().collect(),
        content: String::new(),
    };
    change(&mut draft);
    format!("[\"AUTH\",{}]", key(number).sign(draft, Scheme::Sdk).to_json())
}

#[test]
fn closed_kinds_are_for_their_parties_and_the_operator() {
    let relay = Relay {
        private_kinds: [Kind::CONVERSATION].into(),
        operator: Some(key(9).address()),
        hosts: ["relay.example".to_owned()].into(),
        ..Relay::default()
    };
    let host = Host::new(relay);
    let (mut session, hello) = host.session();
    assert_eq!(hello, [json!(["AUTH", "a challenge"])]);
    let user = Some(key(2).address().to_string());
    let view = Conversation { user_id: user, ..Conversation::default() };
    let talk = key(1).sign(view.draft(operation("secret")), Scheme::Sdk);
    let data = key(1).sign(Dataset::default().draft(operation("open")), Scheme::Sdk);
    host.publish(&mut session, &talk);
    host.publish(&mut session, &data);
    host.live.lock().unwrap().clear();

    let closed = host.send(&mut session, r#"["REQ","s",{"kinds":[30410]}]"#);
    assert!(closed[1][2].as_str().unwrap().starts_with("auth-required:"), "{closed:?}");
    let seen_by = |session: &mut Session, filter: &str| {
        let replies = host.send(session, &format!(r#"["REQ","s",{filter}]"#));
        replies.iter().filter_map(|it| it[2]["content"].as_str().map(str::to_owned)).collect::<Vec<_>>()
    };
    assert_eq!(seen_by(&mut session, "{}"), ["open"], "what is not asked for by name is passed over");
    assert_eq!(seen_by(&mut session, r#"{"limit":1}"#), ["open"]);
    let counted = host.send(&mut session, r#"["COUNT","c",{}]"#);
    assert_eq!(counted, [json!(["COUNT", "c", {"count": 1}])], "a count tells nothing either");

    for (who, sees) in [(1, true), (2, true), (3, false), (9, true)] {
        let (mut session, _) = host.session();
        let said = host.send(&mut session, &auth(who, |_| ()));
        assert_eq!(said[0][2], json!(true), "{said:?}");
        assert_eq!(!seen_by(&mut session, r#"{"kinds":[30410]}"#).is_empty(), sees, "{who}");
        let more = view.clone().draft(operation(&format!("for {who}")));
        host.publish(&mut session, &key(1).sign(more, Scheme::Sdk));
        let live: Vec<String> =
            host.live.lock().unwrap().drain(..).flat_map(|it| session.live(&it)).collect();
        assert_eq!(live.len(), usize::from(sees), "{who}, live");
    }
    assert!(host.live.lock().unwrap().is_empty());
}

#[test]
fn an_auth_is_for_this_session_this_relay_and_this_hour() {
    let host = Host::new(Relay { hosts: ["relay.example".to_owned()].into(), ..Relay::default() });
    let check = |frame: &str, expected: &str| {
        let (mut session, _) = host.session();
        let reply = host.send(&mut session, frame).remove(0);
        assert!(reply[3].as_str().unwrap().starts_with(expected), "{reply}");
        assert_eq!(session.proved().is_empty(), !expected.is_empty());
    };
    let tag = |name: &'static str, value: &'static str| {
        move |it: &mut Draft| {
            let others = it.tags.iter().filter(|it| it.name() != name).map(Tag::from);
            it.tags = others.chain([Tag::pair(name, value)]).collect();
        }
    };
    check(&auth(1, |_| ()), "");
    check(&auth(1, |it| it.kind = Kind::POST), "invalid: AUTH needs kind 22242");
    check(&auth(1, |it| it.created_at = UnixSeconds(NOW.0 - 601)), "invalid: created_at is too far");
    check(&auth(1, |it| it.created_at = UnixSeconds(NOW.0 + 601)), "invalid: created_at is too far");
    check(&auth(1, tag("challenge", "another")), "invalid: tag `challenge`");
    check(&auth(1, tag("relay", "wss://other.example")), "invalid: tag `relay`");
    check(&auth(1, tag("relay", "wss://relay.example.evil/")), "invalid: tag `relay`");
    check(&auth(1, tag("relay", "wss://relay.example@evil/")), "invalid: tag `relay`");
    check(&auth(1, |_| ()).replacen("a challenge", "b challenge", 1), "invalid: id ");
    assert_eq!(host.log.head().0, 0, "an AUTH is never stored");
    let (mut session, _) = host.session();
    let event = auth(1, |_| ()).replacen("AUTH", "EVENT", 1);
    assert!(host.send(&mut session, &event)[0][3].as_str().unwrap().starts_with("blocked"));
}

#[test]
fn a_protected_event_is_taken_from_its_author_alone() {
    let host = Host::new(Relay::default());
    let (mut session, _) = host.session();
    let mut draft = Post::default().draft(operation("mine"));
    draft.tags.push(Tag::list("-", []));
    let event = key(1).sign(draft, Scheme::Sdk);
    let refused = host.publish(&mut session, &event).remove(0);
    assert!(refused[3].as_str().unwrap().starts_with("auth-required"), "{refused}");
    host.send(&mut session, &auth(1, |_| ()));
    assert_eq!(host.publish(&mut session, &event)[0][2], json!(true));
}
