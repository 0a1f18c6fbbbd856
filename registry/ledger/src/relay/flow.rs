//! The specification's complete flow, its section 6: seven signed events through a session, read back as what they say.

use super::{tests::Host, *};
use crate::{
    Auth, Filter, Query, SecretKey,
    event::{EventId, Kind, Scheme, Sid, Signed},
    kinds::{
        Conversation, Dataset, Finetune, Interaction, Lifecycle, Link, Operation, Project, Propose,
        Session as Chat, Stage, View, chain, warnings,
    },
    rules::Rules,
};
use base::UnixSeconds;

const DATASET: &str = r#"{
    "dataset": [
      {"messages": [
        {"role": "system", "content": "You are a customer service assistant"},
        {"role": "user", "content": "How to change delivery address?"},
        {"role": "assistant", "content": "You can follow these steps:\n1. Go to order details\n2. Click 'Change Address'"}
      ]}
    ],
    "generate": {
      "topic": ["AI Applications"],
      "num_samples": 3,
      "model_name": "Qwen/Qwen2.5-72B-Instruct-Turbo",
      "provider": "together_ai",
      "human_guidance": "Generate samples about AI applications in healthcare"
    }
  }"#;

const TALK: &str = r#"{"messages":[{"role":"user","content":"How can I improve my sales pitch?"}],"context":{"previous_interactions":[]}}"#;

struct Flow {
    host: Host,
    session: Session,
    key: SecretKey,
    clock: u64,
}

impl Flow {
    fn operation(&mut self, kind: Kind, sid: &str, content: &str, parents: &[EventId]) -> Operation {
        self.clock += 1;
        Operation {
            created_at: UnixSeconds(self.clock),
            sid: Sid::parse(sid).ok(),
            auth: Some(Auth::write(kind, 500_000)),
            parents: parents.to_vec(),
            content: content.to_owned(),
        }
    }

    /// Publishes an event as text and as the specification prints it, with its content as an object.
    fn publish(&mut self, draft: crate::event::Draft) -> Signed {
        let event = self.key.sign(draft, Scheme::SpecEip191);
        let mut text = event.to_json();
        if event.content().starts_with('{') {
            text = text.replace(&serde_json::to_string(event.content()).unwrap(), event.content());
        }
        let reply = self.host.send(&mut self.session, &format!("[\"EVENT\",{text}]"));
        assert_eq!(reply[0][2], true, "{reply:?}");
        event
    }
}

#[expect(clippy::unnecessary_wraps, reason = "fields of views are optional, and every step fills some")]
fn text(it: &str) -> Option<String> {
    Some(it.to_owned())
}

#[test]
fn the_specifications_seven_steps_go_through_the_relay() {
    let host = Host::new(Relay::default());
    let (session, _) = host.session();
    let mut flow = Flow { host, session, key: SecretKey::from_bytes([5; 32]).unwrap(), clock: 0 };
    let (project_id, task_id) = (text("proj_001"), text("task_001"));

    let operation = flow.operation(Kind::PROJECT, "0xMG", "", &[]);
    let members = vec!["0xAlice".to_owned(), "0xBob".to_owned()];
    let project =
        Project { project_id: project_id.clone(), members, status: text("active"), ..Project::default() };
    let project = flow.publish(project.draft(operation));

    let operation = flow.operation(Kind::DATASET, "0xMG", DATASET, &[project.id()]);
    let contributors = vec!["contributor_hash_fir".to_owned(), "contributor_hash_sec".to_owned()];
    let category = text("Sales");
    let dataset = Dataset {
        project_id: project_id.clone(),
        task_id: task_id.clone(),
        category,
        format: text("jsonl"),
        contributors,
    };
    let dataset = flow.publish(dataset.draft(operation));

    let operation = flow.operation(
        Kind::FINETUNE,
        "0xFT",
        r#"{"name":"Experiment 1","hyperparameters":{"learning_rate":0.001}}"#,
        &[dataset.id()],
    );
    let dataset_id = text(&dataset.id().to_string());
    let finetune =
        Finetune { project_id, task_id, dataset_id, provider_id: text("provider"), ..Finetune::default() };
    let finetune = flow.publish(finetune.draft(operation));

    let chat = |action: &str| Chat {
        session_id: text("session_001"),
        action: text(action),
        user_id: text("user"),
        ..Chat::default()
    };
    let operation =
        flow.operation(Kind::SESSION, "0xMG", r#"{"description":"Session for sales training"}"#, &[]);
    flow.publish(chat("create").draft(operation));

    let talk = |content: &str| Conversation {
        session_id: text("session_001"),
        interaction_hash: text(&Conversation::hash_of(content)),
        ..Conversation::default()
    };
    let operation = flow.operation(Kind::CONVERSATION, "0xMG", TALK, &[]);
    let first = flow.publish(talk(TALK).draft(operation));
    let next = TALK.replace("[]}}", &format!("[\"{}\"]}}}}", Conversation::hash_of(TALK)));
    let operation = flow.operation(Kind::CONVERSATION, "0xMG", &next, &[first.id()]);
    let second = flow.publish(talk(&next).draft(operation));

    let operation =
        flow.operation(Kind::SESSION, "0xMG", r#"{"description":"Session for sales training closed"}"#, &[]);
    flow.publish(chat("close").draft(operation));

    let operation = flow.operation(Kind::PROPOSE, "0xMG", "Proposal to upgrade the model architecture", &[]);
    let rules = text("min_votes>5,min_energy>1000");
    let proposal = Propose { proposal_id: text("model_upgrade_001"), rules: rules.clone() };
    let proposal = flow.publish(Propose { rules, ..proposal }.draft(operation));

    let View::Dataset(view) = View::of(&dataset) else { panic!() };
    assert_eq!(view.contributors, ["contributor_hash_fir", "contributor_hash_sec"]);
    let content = Dataset::content(dataset.content()).unwrap();
    assert_eq!((content.dataset.len(), content.generate.unwrap().num_samples), (1, 3));
    let View::Propose(view) = View::of(&proposal) else { panic!() };
    assert_eq!(Rules::parse(&view.rules.unwrap()).unwrap().clauses.len(), 2);

    let log = &flow.host.log;
    let of_session = Filter::default().tag("session_id", "session_001");
    let mut found = log.query(&Query { filter: of_session, ..Query::default() }).unwrap();
    found.reverse();
    let events: Vec<Signed> = found.iter().map(|it| it.event().unwrap().event).collect();
    let mut lifecycle = Lifecycle::default();
    for event in &events {
        assert_eq!(warnings(event), Vec::<String>::new());
        let disorder = match View::of(event) {
            View::Session(it) => lifecycle.step(it.action.as_deref()),
            View::Conversation(it) => {
                assert_eq!(it.interaction(event.content()), Interaction::Verified);
                lifecycle.conversation()
            }
            other => panic!("{other:?}"),
        };
        assert_eq!(disorder, None);
    }
    assert_eq!((events.len(), lifecycle.stage()), (4, Stage::Closed));
    let talks = events.iter().filter(|it| it.kind() == Kind::CONVERSATION);
    assert_eq!(chain(talks).links[1], (second.id(), vec![Link::Verified(first.id())]));

    let depth = |event: &Signed| log.by_id(event.id()).unwrap().unwrap().at.depth;
    assert_eq!(
        [&project, &dataset, &finetune].map(depth),
        [0, 1, 2],
        "the model's origin is a path of parents"
    );
    let space = log.space(Sid::parse("0xMG").ok().as_ref(), None).unwrap().unwrap();
    assert_eq!((space.tick, space.clock[&Kind::CONVERSATION], space.clock[&Kind::SESSION]), (7, 2, 2));
    let children = Filter::default().tag("parent", &dataset.id().to_string());
    let children = log.query(&Query { filter: children, ..Query::default() }).unwrap();
    assert_eq!(children.iter().map(|it| it.id).collect::<Vec<_>>(), [finetune.id()]);
}
