//! Sessions against a log, frame by frame: what a client sends and what it gets.

mod auth;
mod bounds;

use std::{
    ops::ControlFlow,
    path::Path,
    sync::{Arc, Mutex},
};

use base::{UnixSeconds, time::HandClock};
use serde_json::{Value, json};

use super::*;
use crate::{
    Log, Options, Policy, SecretKey,
    event::{Accepted, Draft, Scheme, Sid, Tag},
    kinds::{Conversation, Dataset, Operation, Post},
    log::{Observer, Outcome, Told},
};

const NOW: UnixSeconds = UnixSeconds(1_000_000);

/// A host: does what sessions ask for, on one thread.
pub(super) struct Host {
    pub(super) log: Log,
    relay: Arc<Relay>,
    live: Arc<Mutex<Vec<Arc<Accepted>>>>,
    _folder: tempfile::TempDir,
}

impl Host {
    pub(super) fn new(relay: Relay) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let live: Arc<Mutex<Vec<Arc<Accepted>>>> = Arc::default();
        let heard = live.clone();
        let hear = move |it: Told<'_>| {
            if let Told::New(new) = it {
                heard.lock().unwrap().extend_from_slice(new);
            }
        };
        let log = open(folder.path(), Box::new(hear));
        Self { log, relay: Arc::new(relay), live, _folder: folder }
    }

    pub(super) fn session(&self) -> (Session, Vec<Value>) {
        let (session, steps) = Session::new(self.relay.clone(), "a challenge".to_owned(), NOW);
        (session, steps.iter().map(sent).collect())
    }

    /// Does all that follows from a frame, and returns what the client gets.
    pub(super) fn send(&self, session: &mut Session, frame: &str) -> Vec<Value> {
        let steps = session.receive(frame, NOW);
        steps.into_iter().flat_map(|it| self.step(session, it)).collect()
    }

    fn step(&self, session: &mut Session, step: Step) -> Vec<Value> {
        let parsed = |it: String| serde_json::from_str::<Value>(&it).unwrap();
        match step {
            Step::Send(frame) | Step::Refuse(_, frame) => vec![parsed(frame)],
            Step::End(why) => vec![json!(["end", why])],
            Step::Verify(claimed) => {
                let next = match claimed.verify(self.relay.leniency) {
                    Ok(event) => match session.verified(event.into()) {
                        Ok(prepared) => {
                            let id = prepared.event().id();
                            let outcome = self.log.append(vec![prepared]).map(|mut it| it.remove(0));
                            return vec![parsed(Session::outcome(id, &outcome))];
                        }
                        Err(step) => vec![step],
                    },
                    Err(error) => session.rejected(&error, NOW),
                };
                next.into_iter().flat_map(|it| self.step(session, it)).collect()
            }
            Step::Read(id, filters) => {
                let (size, _) = self.log.head();
                session.begin(&id, size);
                let mut frames = Vec::new();
                stored(&self.log, &self.relay, &filters, size, session.proved(), |it| {
                    frames.push(parsed(Session::stored(&id, it)));
                    ControlFlow::Continue(())
                })
                .unwrap();
                frames.push(parsed(Session::end_of_stored(&id)));
                frames
            }
            Step::Count(id, filters) => {
                let (found, is_all) = count(&self.log, &self.relay, &filters, session.proved()).unwrap();
                vec![parsed(Session::counted(&id, found, is_all))]
            }
        }
    }

    fn publish(&self, session: &mut Session, event: &crate::event::Signed) -> Vec<Value> {
        self.send(session, &format!("[\"EVENT\",{}]", event.to_json()))
    }
}

fn open(folder: &Path, observer: Observer) -> Log {
    let options = Options {
        policy: Policy::default(),
        clock: Arc::new(HandClock::at(NOW)),
        folds: vec![],
        observer: Some(observer),
    };
    Log::open(&folder.join("ledger.sqlite"), options).unwrap()
}

fn sent(step: &Step) -> Value {
    let Step::Send(frame) = step else { panic!("{step:?}") };
    serde_json::from_str(frame).unwrap()
}

fn key(number: u8) -> SecretKey {
    SecretKey::from_bytes([number; 32]).unwrap()
}

fn operation(content: &str) -> Operation {
    let sid = Sid::parse("0xMG").ok();
    Operation { created_at: NOW, sid, content: content.to_owned(), ..Operation::default() }
}

fn post(content: &str) -> crate::event::Signed {
    key(1).sign(Post::default().draft(operation(content)), Scheme::Sdk)
}

#[test]
fn an_event_is_answered_with_its_place_and_a_second_time_with_the_first() {
    let host = Host::new(Relay::default());
    let (mut session, hello) = host.session();
    assert!(hello.is_empty(), "clients that know no AUTH are not asked for it");
    let event = post("1");
    let id = event.id().to_string();
    assert_eq!(host.publish(&mut session, &event), [json!(["OK", id, true, "seq=0 clock=30300:1"])]);
    let again = format!("duplicate: stored as {id} seq=0 clock=30300:1");
    assert_eq!(host.publish(&mut session, &event), [json!(["OK", id, true, again])]);
}

#[test]
fn an_event_is_the_same_however_its_frame_is_spaced() {
    let host = Host::new(Relay::default());
    let (mut session, _) = host.session();
    let json = post("1").to_json();
    let frames = [
        format!("[\"EVENT\",{json}]"),
        format!("[\"EVENT\", {json} ]"),
        format!(" [ \"EVENT\" ,{json}]\n"),
        format!("[\"\\u0045VENT\",{json}]"),
    ];
    for frame in frames {
        assert_eq!(host.send(&mut session, &frame)[0][2], json!(true), "{frame}");
    }
    for frame in
        [format!("[\"EVENT\",{json},{json}]"), format!("[\"EVENT\",{json}]]"), "[\"EVENT\",]".to_owned()]
    {
        let reply = host.send(&mut session, &frame).remove(0);
        assert_eq!(reply[0], json!("NOTICE"), "{frame}: {reply}");
    }
    assert_eq!(host.log.head().0, 1);
}

#[test]
fn what_does_not_hold_is_answered_by_its_id_with_a_reason() {
    let host = Host::new(Relay::default());
    let (mut session, _) = host.session();
    let event = post("1");
    let id = event.id().to_string();
    let mut check = |from: &str, to: &str, expected: &str| {
        let text = event.to_json().replacen(from, to, 1);
        let replies = host.send(&mut session, &format!("[\"EVENT\",{text}]"));
        assert_eq!(
            (&replies[0][0], &replies[0][1], &replies[0][2]),
            (&json!("OK"), &json!(id), &json!(false))
        );
        assert!(replies[0][3].as_str().unwrap().starts_with(expected), "{replies:?}");
    };
    check(r#""content":"1""#, r#""content":"2""#, "invalid: id ");
    check(r#""kind":30300"#, r#""kind":"30300""#, "invalid: not an event: invalid type");
    check(r#""sig":""#, r#""sig":"0x"#, "invalid: sig is not valid: a signature is 128 or 130");
    let late = key(1).sign(
        Draft { created_at: UnixSeconds(NOW.0 + 9999), ..Post::default().draft(operation("")) },
        Scheme::Sdk,
    );
    let reply = host.publish(&mut session, &late).remove(0);
    assert!(reply[3].as_str().unwrap().starts_with("invalid: created_at 1009999 is 9999 s ahead"), "{reply}");
    assert_eq!(host.log.head().0, 0);
}

#[test]
fn a_subscription_gets_what_is_stored_then_what_comes_each_once() {
    let host = Host::new(Relay::default());
    let (mut session, _) = host.session();
    host.publish(&mut session, &post("before"));
    let asked = r##"["REQ","s",{"#sid":["0xMG"]},{"kinds":[30300]}]"##;
    let steps = session.receive(asked, NOW);
    // Something comes in between the frame and the look at the log: it must come once.
    host.publish(&mut session, &post("between"));
    let early: Vec<String> = host.live.lock().unwrap().drain(..).flat_map(|it| session.live(&it)).collect();
    assert!(early.is_empty(), "it will be among what is stored");
    let replies: Vec<Value> = steps.into_iter().flat_map(|it| host.step(&mut session, it)).collect();
    let contents: Vec<&str> = replies.iter().filter_map(|it| it[2]["content"].as_str()).collect();
    assert_eq!(contents.len(), 2, "two filters, each event once: {replies:?}");
    assert_eq!(replies.last().unwrap(), &json!(["EOSE", "s"]));

    host.publish(&mut session, &post("after"));
    let live = |session: &Session| -> Vec<String> {
        host.live.lock().unwrap().drain(..).flat_map(|it| session.live(&it)).collect()
    };
    let frames = live(&session);
    assert_eq!(frames.len(), 1);
    assert!(frames[0].starts_with(r#"["EVENT","s",{"id":""#), "{}", frames[0]);
    assert!(frames[0].contains("after"));

    assert!(host.send(&mut session, r#"["CLOSE","s"]"#).is_empty());
    host.publish(&mut session, &post("closed"));
    assert!(live(&session).is_empty());
}

#[test]
fn counts_limits_and_order_are_those_of_the_protocol() {
    let host = Host::new(Relay { limit_default: 3, limit_max: 5, ..Relay::default() });
    let (mut session, _) = host.session();
    for number in 0..9 {
        let draft = Post::default().draft(Operation { created_at: UnixSeconds(number), ..operation("") });
        host.publish(&mut session, &key(1).sign(draft, Scheme::SpecEip191));
    }
    let mut check = |filters: &str, expected: &[u64]| {
        let replies = host.send(&mut session, &format!(r#"["REQ","s",{filters}]"#));
        let found: Vec<u64> = replies.iter().filter_map(|it| it[2]["created_at"].as_u64()).collect();
        assert_eq!(found, expected, "{filters}");
    };
    check("{}", &[8, 7, 6]);
    check(r#"{"limit":2}"#, &[8, 7]);
    check(r#"{"limit":100}"#, &[8, 7, 6, 5, 4]);
    check(r#"{"limit":0}"#, &[]);
    check(r#"{"since":2,"until":3}"#, &[3, 2]);
    check(r#"{"until":1},{"since":8}"#, &[8, 1, 0]);
    let count =
        |session: &mut Session, filters: &str| host.send(session, &format!(r#"["COUNT","c",{filters}]"#));
    assert_eq!(count(&mut session, "{}"), [json!(["COUNT", "c", {"count": 9}])]);
    assert_eq!(
        count(&mut session, r#"{"until":1,"limit":1},{"until":2}"#),
        [json!(["COUNT", "c", {"count": 3}])]
    );
}

#[test]
fn the_document_tells_the_bounds_that_are_in_force() {
    let relay = Relay { filters_max: 7, ..Relay::default() };
    let document = Document::of(&relay, &Policy::default(), "name", "what for", key(1).address());
    let json = serde_json::to_value(&document).unwrap();
    assert_eq!(json["supported_nips"], json!([1, 11, 42, 45, 70]));
    assert_eq!(json["limitation"]["max_filters"], 7);
    assert_eq!(json["limitation"]["max_subid_length"], 64);
    assert_eq!(json["limitation"]["auth_required"], false);
    assert_eq!(json["pubkey"].as_str().unwrap().len(), 40);
}

#[test]
fn failures_of_the_disk_are_not_told_to_strangers() {
    let error = crate::StoreError::Row { table: "event", row: "7".to_owned(), what: "secret".to_owned() };
    let failed: Result<Outcome, _> = Err(crate::AppendError::Store(Arc::new(error)));
    let text = Session::outcome(post("1").id(), &failed);
    assert!(text.contains("error: the event could not be stored") && !text.contains("secret"), "{text}");
    assert!(
        Session::outcome(post("1").id(), &Err(crate::AppendError::Busy)).contains("error: the event log has")
    );
}
