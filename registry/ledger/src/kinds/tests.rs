//! Every kind, written and read back; the forms that others write; what is reported and not refused.

use base::UnixSeconds;

use super::*;
use crate::{
    auth::Auth,
    event::{Draft, Scheme, Sid, TagView, Tags},
    key::SecretKey,
};

fn key() -> SecretKey {
    SecretKey::from_bytes([7; 32]).unwrap()
}

fn operation(content: &str) -> Operation {
    Operation {
        created_at: UnixSeconds(1_745_000_000),
        sid: Some(Sid::parse("0xMG").unwrap()),
        content: content.to_owned(),
        ..Operation::default()
    }
}

fn signed(draft: Draft) -> Signed {
    key().sign(draft, Scheme::SpecEip191)
}

#[expect(clippy::unnecessary_wraps, reason = "fields of views are optional, and every test fills some")]
fn text(it: &str) -> Option<String> {
    Some(it.to_owned())
}

fn tags(json: &str) -> Tags {
    serde_json::from_str(json).unwrap()
}

#[test]
fn a_draft_has_the_tags_of_the_specification_in_its_order() {
    let dataset = Dataset {
        project_id: text("proj_001"),
        task_id: text("task_001"),
        category: text("Sales"),
        format: text("jsonl"),
        contributors: vec!["first".to_owned(), "second".to_owned()],
    };
    let parent = signed(Post::default().draft(operation(""))).id();
    let auth = Some(Auth::write(Kind::DATASET, 500_000));
    let draft = dataset.draft(Operation { auth, parents: vec![parent], ..operation("{}") });
    let expected = format!(
        r#"[["auth","action=3","key=30405","exp=500000"],["d","subspace_op"],["sid","0xMG"],["op","dataset"],["project_id","proj_001"],["task_id","task_001"],["category","Sales"],["format","jsonl"],["contributors","first,second"],["parent","{parent}"]]"#
    );
    assert_eq!(serde_json::to_string(&draft.tags).unwrap(), expected);
    assert_eq!(draft.kind, Kind::DATASET);
    assert_eq!(View::of(&signed(draft)), View::Dataset(dataset));
}

#[test]
fn every_kind_is_read_as_it_was_written() {
    let operation = || operation("content");
    let tokens = || Operation { sid: None, ..operation() };
    let views = [
        (
            Subspace { ops: text("model=30404"), rules: text("energy>500"), ..Subspace::default() }
                .draft(operation()),
            30100,
        ),
        (Project { members: vec!["0xAlice".to_owned()], ..Project::default() }.draft(operation()), 30101),
        (Task { title: text("a"), ..Task::default() }.draft(operation()), 30102),
        (Join { rules: text("r") }.draft(operation()), 30200),
        (Post { content_type: text("text/plain") }.draft(operation()), 30300),
        (Propose { proposal_id: text("p"), rules: text("min_votes>5") }.draft(operation()), 30301),
        (Vote { proposal_id: text("p"), vote: text("yes") }.draft(operation()), 30302),
        (Invite { inviter_addr: text("a"), ..Invite::default() }.draft(operation()), 30303),
        (
            Mint { drop_ratio: vec!["30300:2".to_owned(), "30301:2".to_owned()], ..Mint::default() }
                .draft(operation()),
            30304,
        ),
        (TokenIssue { symbol: text("NOST"), ..TokenIssue::default() }.draft(tokens()), 30320),
        (TokenTransfer { amount: text("1"), ..TokenTransfer::default() }.draft(tokens()), 30321),
        (TokenApprove { spender: text("s"), ..TokenApprove::default() }.draft(tokens()), 30322),
        (TokenMintRules { threshold: text("3"), ..TokenMintRules::default() }.draft(tokens()), 30323),
        (Model { contrib: vec!["base:0.1".to_owned()], ..Model::default() }.draft(operation()), 30404),
        (Dataset { category: text("c"), ..Dataset::default() }.draft(operation()), 30405),
        (Compute { compute_type: text("c") }.draft(operation()), 30406),
        (Algo { algo_type: text("a") }.draft(operation()), 30407),
        (Valid { valid_result: text("verified"), ..Valid::default() }.draft(operation()), 30408),
        (Finetune { dataset_id: text("d"), ..Finetune::default() }.draft(operation()), 30409),
        (Conversation { session_id: text("s"), ..Conversation::default() }.draft(operation()), 30410),
        (Session { action: text("create"), ..Session::default() }.draft(operation()), 30411),
    ];
    assert_eq!(views.len(), NAMES.len(), "one for each kind");
    for (draft, kind) in views {
        assert_eq!(draft.kind, Kind(kind));
        let event = signed(draft.clone());
        let view = View::of(&event);
        assert_ne!(view, View::Other, "{kind}");
        assert_eq!(event.sid().is_some(), draft.kind.needs_subspace(), "{kind}");
        assert_eq!(warnings(&event), Vec::<String>::new(), "{kind}");
        // What is not empty must be seen in the view: a tag under another name would read as nothing.
        let last = draft.tags.iter().last().and_then(TagView::value).unwrap().to_owned();
        assert!(format!("{view:?}").contains(last.split(',').next().unwrap()), "{kind}: {view:?}");
    }
    let other = Draft { kind: Kind(1), ..Post::default().draft(operation()) };
    assert_eq!(View::of(&signed(other)), View::Other);
    assert!(Kind(30799).is_ledger() && !Kind(30800).is_ledger() && !Kind(1).is_ledger());
}

/// Reads tags as the specification prints them for a kind.
fn as_printed(kind: u16, json: &str) -> View {
    let draft = Draft { kind: Kind(kind), tags: tags(json), ..Post::default().draft(operation("")) };
    View::of(&signed(draft))
}

#[test]
fn the_specifications_own_examples_are_read() {
    let printed = as_printed(
        30100,
        r#"[["d","subspace_create"],["sid","0xMG"],["subspace_name","modelgraph"],["category","ai"],
            ["ops","project=30101,dataset=30405"],["rules","energy>500"]]"#,
    );
    let expected = Subspace {
        subspace_name: text("modelgraph"),
        category: text("ai"),
        ops: text("project=30101,dataset=30405"),
        rules: text("energy>500"),
    };
    assert_eq!(printed, View::Subspace(expected));
    let printed = as_printed(
        30101,
        r#"[["auth","action=3","key=30101","exp=500000"],["d","subspace_op"],["op","project"],["sid","0xMG"],
            ["project_id","proj_001"],["name","Sales Assistant Model"],["desc","Fine-tuned model"],
            ["members","0xAlice,0xBob"],["status","active"]]"#,
    );
    let expected = Project {
        project_id: text("proj_001"),
        name: text("Sales Assistant Model"),
        desc: text("Fine-tuned model"),
        members: vec!["0xAlice".to_owned(), "0xBob".to_owned()],
        status: text("active"),
    };
    assert_eq!(printed, View::Project(expected));
    let printed = as_printed(30301, r#"[["proposal_id","upgrade"],["rules","min_votes>5,min_energy>1000"]]"#);
    let expected = Propose { proposal_id: text("upgrade"), rules: text("min_votes>5,min_energy>1000") };
    assert_eq!(printed, View::Propose(expected));
    // With `model_name`, as one of its examples has it, and without, as its table and its flow have it.
    let tags = r#"["project_id","p"],["task_id","t"],["dataset_id","d"],["provider_id","q"]"#;
    let expected = Finetune {
        project_id: text("p"),
        task_id: text("t"),
        dataset_id: text("d"),
        provider_id: text("q"),
        model_name: None,
    };
    assert_eq!(as_printed(30409, &format!("[{tags}]")), View::Finetune(expected.clone()));
    let with = Finetune { model_name: text("Qwen/Qwen2.5"), ..expected };
    assert_eq!(
        as_printed(30409, &format!(r#"[{tags},["model_name","Qwen/Qwen2.5"]]"#)),
        View::Finetune(with)
    );
    let printed = as_printed(
        30410,
        r#"[["session_id","s"],["user_id","u"],["model_id","m"],["timestamp","1"],["interaction_hash","h"]]"#,
    );
    let expected = Conversation {
        session_id: text("s"),
        user_id: text("u"),
        model_id: text("m"),
        timestamp: text("1"),
        interaction_hash: text("h"),
    };
    assert_eq!(printed, View::Conversation(expected));
    let printed = as_printed(
        30411,
        r#"[["session_id","s"],["action","close"],["user_id","u"],["start_time","1"],["end_time","2"]]"#,
    );
    let expected = Session {
        session_id: text("s"),
        action: text("close"),
        user_id: text("u"),
        start_time: text("1"),
        end_time: text("2"),
    };
    assert_eq!(printed, View::Session(expected));
}

#[test]
fn an_invitation_names_whom_it_names_in_either_form() {
    let one = Invite { inviter_addr: text("a"), ..Invite::default() };
    let other = Invite { invitee_pubkey: text("b"), rules: text("r"), ..Invite::default() };
    assert_eq!(as_printed(30303, r#"[["inviter_addr","a"]]"#), View::Invite(one));
    assert_eq!(as_printed(30303, r#"[["invitee_pubkey","b"],["rules","r"]]"#), View::Invite(other));
}

#[test]
fn lists_are_read_in_both_forms() {
    let check = |json: &str| assert_eq!(Dataset::read(&tags(json)).contributors, ["a", "b", "c"], "{json}");
    check(r#"[["contributors","a,b,c"]]"#);
    check(r#"[["contributors","a","b","c"]]"#);
    check(r#"[["contributors"," a , b","","c"]]"#);
    check(r#"[["contributors","a"],["contributors","b,c"]]"#);
}

#[test]
fn weights_are_exact_or_not_there() {
    let weights = |json: &str| Model::read(&tags(json)).weights();
    let parsed = weights(r#"[["contrib","base:0.1","data:0.60","algo:3"]]"#).unwrap();
    let numbers: Vec<_> =
        parsed.iter().map(|it| (it.name.as_str(), it.weight.units, it.weight.scale)).collect();
    assert_eq!(numbers, [("base", 1, 1), ("data", 60, 2), ("algo", 3, 0)]);
    assert_eq!(weights(r#"[["contrib","base:0.1,data:0.6"]]"#).unwrap().len(), 2);
    assert_eq!(weights(r#"[["contrib","0.5,0.3,0.2"]]"#), None);
    assert_eq!(weights(r#"[["contrib","base:-1"]]"#), None);
    assert_eq!(weights(r#"[["contrib","base:1e3"]]"#), None);
    assert_eq!(weights(r#"[["contrib","base:."]]"#), None);
}

#[test]
fn operations_are_read_pair_by_pair() {
    let ops = |it: &str| Subspace { ops: text(it), ..Subspace::default() }.declared();
    assert_eq!(ops("post=30300, vote=30302").kinds.len(), 2);
    let typo = ops("post=30300,propose=303001,model=5,task=30102post=30300,x,post=1");
    assert_eq!(typo.kinds.keys().collect::<Vec<_>>(), ["model", "post"]);
    assert_eq!(typo.flaws.len(), 4, "{:?}", typo.flaws);
    let subspace = Subspace { ops: text("post=x"), ..Subspace::default() };
    assert_eq!(warnings(&signed(subspace.draft(operation("")))).len(), 1);
}

#[test]
fn the_kind_decides_and_another_op_is_said() {
    let mut draft = Model::default().draft(operation(""));
    draft.tags = tags(r#"[["d","subspace_op"],["sid","0xMG"],["op","mint"]]"#);
    let event = signed(draft);
    assert!(matches!(View::of(&event), View::Model(_)));
    assert_eq!(warnings(&event), ["op `mint` is not the name of kind 30404, `model`: the kind decides"]);
}

#[test]
fn votes_are_yes_or_no_in_any_case() {
    let choice = |it: &str| Vote { vote: text(it), ..Vote::default() }.choice();
    assert_eq!((choice("YES"), choice("No "), choice("maybe")), (Choice::Yes, Choice::No, Choice::Abstain));
    assert_eq!(Vote::default().choice(), Choice::Abstain);
    let event = signed(Post::default().draft(operation(""))).id();
    let vote = Vote { proposal_id: text(&event.to_string()), ..Vote::default() };
    assert_eq!(vote.proposal_event(), Some(event));
    assert_eq!(Vote { proposal_id: text("upgrade_001"), ..vote }.proposal_event(), None);
}

fn interaction(content: &str, hash: Option<String>) -> Signed {
    let view = Conversation { session_id: text("s"), interaction_hash: hash, ..Conversation::default() };
    signed(view.draft(operation(content)))
}

#[test]
fn interactions_form_a_chain_that_events_alone_can_prove() {
    let first_content = r#"{"messages":[{"role":"user","content":"Hello"}]}"#;
    let hash = Conversation::hash_of(first_content);
    let first = interaction(first_content, Some(format!("0x{hash}")));
    let named = interaction("{}", text("only-a-name"));
    let context =
        |names: &str| format!(r#"{{"messages":[],"context":{{"previous_interactions":[{names}]}}}}"#);
    let last = interaction(&context(&format!(r#""{hash}","only-a-name","nothing""#)), None);
    let chain = chain([&first, &named, &last]);
    let links =
        [Link::Verified(first.id()), Link::Unverified(named.id()), Link::Missing("nothing".to_owned())];
    assert_eq!(chain.links[2], (last.id(), links.to_vec()));

    let checked = |event: &Signed| Conversation::read(event.tags()).interaction(event.content());
    assert_eq!(checked(&first), Interaction::Verified);
    assert_eq!(checked(&named), Interaction::Unverified);
    assert_eq!(checked(&last), Interaction::Absent);
    assert_eq!(warnings(&named).len(), 1);
    assert_eq!(Conversation::messages(first_content)[0].content, "Hello");
    assert!(Conversation::previous("not JSON").is_empty());
}

#[test]
fn a_name_that_is_proved_is_not_taken_by_one_that_is_only_said() {
    let content = "{}";
    let hash = Conversation::hash_of(content);
    let liar = interaction(r#"{"other":1}"#, Some(hash.clone()));
    let owner = interaction(content, Some(hash.clone()));
    let next = interaction(&format!(r#"{{"context":{{"previous_interactions":["{hash}"]}}}}"#), None);
    assert_eq!(chain([&liar, &owner, &next]).links[2].1, [Link::Verified(owner.id())]);
    assert_eq!(chain([&owner, &liar, &next]).links[2].1, [Link::Verified(owner.id())]);
}

#[test]
fn a_session_refuses_nothing_and_reports_what_is_out_of_order() {
    let check = |actions: &[&str], stage: Stage, expected: &[&str]| {
        let mut lifecycle = Lifecycle::default();
        let found: Vec<String> =
            actions.iter().filter_map(|it| lifecycle.step(Some(it))).map(|it| it.to_string()).collect();
        assert_eq!((lifecycle.stage(), found), (stage, expected.iter().map(ToString::to_string).collect()));
    };
    check(&["create", "update", "close"], Stage::Closed, &[]);
    check(&["create", "create"], Stage::Open, &["created again"]);
    check(&["close"], Stage::Closed, &["`close` before it was created"]);
    check(&["update", "update"], Stage::Open, &["`update` before it was created"]);
    check(&["create", "close", "update"], Stage::Closed, &["`update` after it was closed"]);
    check(&["create", "close", "create"], Stage::Open, &["`create` after it was closed"]);
    check(&["start", "create"], Stage::Open, &["`start` is not create, update or close"]);
    assert!(Lifecycle::default().conversation().is_some());
}

#[test]
fn rules_for_minting_come_in_both_forms() {
    let one = tags(
        r#"[["symbol","N"],["mint_if","30023"],["tag_key","e"],["tag_value","any"],["threshold","10"],["mint_amount","1000000"]]"#,
    );
    let many = tags(
        r#"[["rule","symbol=N","mint_if=30023","tag_key=e","tag_value=any","threshold=10","mint_amount=1000000"],
            ["rule","symbol=N","mint_if=70000","threshold=1","mint_amount=1"],
            ["rule","symbol=N","mint_if=1","threshold=0","mint_amount=1"],
            ["rule","symbol=N","mint_if=1","threshold=1","mint_amount=-1"]]"#,
    );
    let expected = TokenRule {
        symbol: "N".to_owned(),
        mint_if: Kind(30023),
        tag: Some(("e".to_owned(), None)),
        threshold: 10,
        mint_amount: "1000000".to_owned(),
        repeats: false,
    };
    assert_eq!(TokenMintRules::rules(&one), [Ok(expected.clone())]);
    let rules = TokenMintRules::rules(&many);
    assert_eq!(rules[0], Ok(expected));
    assert!(rules[1..].iter().all(Result::is_err), "{rules:?}");
}

#[test]
fn the_contents_of_the_specification_are_read() {
    let dataset = Dataset::content(
        r#"{"dataset":[{"messages":[{"role":"user","content":"How?"}]}],"generate":{"topic":["AI"],"num_samples":3,"model_name":"Q","provider":"p","human_guidance":"g"}}"#,
    )
    .unwrap();
    assert_eq!(dataset.dataset[0].messages[0].content, "How?");
    assert_eq!(dataset.generate.unwrap().num_samples, 3);
    let space =
        Subspace::description(r#"{"desc":"Collaborative space", "img_url": "http://image_addr.png"}"#);
    assert_eq!(space.unwrap().desc, "Collaborative space");
    for result in ["verified", "mismatch", "deployed", "held", "withdrawn"] {
        assert_eq!(ValidResult::parse(result).unwrap().as_str(), result);
    }
    assert_eq!(ValidResult::parse("fine"), None);
}
