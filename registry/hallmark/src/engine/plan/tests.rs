//! The plan as a table: how a model stands, and what is done about it.

use serde_json::{Value, json};

use super::*;
use crate::config::Config;

const NOW: UnixSeconds = UnixSeconds(1000);

fn entry(id: &str, digest: char) -> Value {
    json!({
        "id": id, "version": "1.0.0", "chakra": "ajna", "frequencyHz": 396,
        "geometry": { "pattern": "cube", "dimensions": 3 },
        "temporalScope": "eternal", "semanticTags": ["test"],
        "dataset": { "id": "example/corpus", "commit": "1".repeat(40), "url": "https://example.org/corpus" },
        "training": { "repo": "https://example.org/training", "commit": "2".repeat(40), "command": "train" },
        "artifact": {
            "filename": "model.bin", "sha256": digest.to_string().repeat(64), "sizeBytes": 10,
            "downloadUrl": format!("https://huggingface.co/org/{id}/resolve/main/model.bin")
        },
        "license": "Apache-2.0", "provenance": { "runId": "run-1", "metrics": { "loss": 0.5 } }
    })
}

fn id(text: &str) -> ModelId {
    ModelId::parse(text).unwrap()
}

/// The ground that each case changes a little: one model, asked for.
struct Case {
    entries: Vec<Value>,
    wants: Wants,
    policy: &'static str,
    changed: bool,
    look_again: bool,
    here: Option<Model>,
    /// The model was looked at with the entry as it reads now.
    noted: bool,
}

impl Case {
    fn new() -> Self {
        let wants = Wants { ids: BTreeSet::from([id("ajna-one-v1")]), ..Wants::default() };
        let (policy, entries) = ("", vec![entry("ajna-one-v1", 'a')]);
        Self { entries, wants, policy, changed: false, look_again: false, here: None, noted: false }
    }

    /// A model that was ruled on under the config in force.
    fn at(state: State) -> Self {
        let model = Model { wanted: true, ruled_by: 1, ..Model::new(id("ajna-one-v1"), state, NOW) };
        Self { here: Some(model), ..Self::new() }
    }

    fn with(mut self, change: impl FnOnce(&mut Self)) -> Self {
        change(&mut self);
        self
    }

    fn retry_at(self, seconds: u64) -> Self {
        self.with(|it| {
            if let Some(model) = &mut it.here {
                model.retry_at = Some(UnixSeconds(seconds));
            }
        })
    }
}

fn check(case: &Case, expected: &str) {
    let text = json!({ "models": case.entries }).to_string();
    let index =
        catalog::check(text.as_bytes(), &catalog::Contract::ours()).index.expect("an index that holds");
    let config: Config = toml::from_str(case.policy).unwrap();
    let places = Places::of(&config).unwrap();
    let changed = if case.changed { case.wants.ids.clone() } else { BTreeSet::new() };
    let grounds = Grounds {
        index: &index,
        wants: &case.wants,
        places: &places,
        policy: &config.policy,
        config: 1,
        changed: &changed,
        look_again: case.look_again,
        now: NOW,
    };
    let noted = |it: &Model| index.entry(&it.id).filter(|_| case.noted).cloned();
    let here = case.here.iter().map(|it| Model { listed: noted(it), ..it.clone() });
    let here = here.map(|it| (it.id.clone(), Arc::new(it))).collect();
    let plan = plan(&grounds, &here);
    let said = plan.iter().map(|(id, action)| format!("{id}: {}", word(action))).collect::<Vec<_>>();
    assert_eq!(said.join(", "), expected);
}

fn word(action: &Action) -> String {
    match action {
        Action::Note => "note".to_owned(),
        Action::Begin(_) => "begin".to_owned(),
        Action::Hold(_, why) => {
            let rules = why.iter().map(|it| it.rule.as_str()).collect::<Vec<_>>();
            format!("hold for {}", rules.join(" and "))
        }
        Action::Refuse(why) => format!("refuse: {why}"),
        Action::Stub { wanted } => format!("stub, {}", if *wanted { "asked for" } else { "not asked for" }),
        Action::Leave => "leave".to_owned(),
        Action::Forget => "forget".to_owned(),
    }
}

#[test]
fn what_is_asked_for_and_not_here_begins() {
    check(&Case::new(), "ajna-one-v1: begin");
    check(&Case::new().with(|it| it.wants.ids.clear()), "ajna-one-v1: leave");
    check(
        &Case::new().with(|it| it.entries.push(entry("ajna-two-v1", 'b'))),
        "ajna-one-v1: begin, ajna-two-v1: leave",
    );
}

#[test]
fn what_is_well_or_at_work_is_left_alone_until_something_changes() {
    for state in [State::Queued, State::Fetching, State::Deployed, State::Held] {
        check(&Case::at(state), "ajna-one-v1: note");
        check(&Case::at(state).with(|it| it.changed = true), "ajna-one-v1: begin");
        check(&Case::at(state).with(|it| it.here.as_mut().unwrap().ruled_by = 0), "ajna-one-v1: begin");
    }
    // A look at everything disturbs nobody who works.
    check(&Case::at(State::Deployed).with(|it| it.look_again = true), "ajna-one-v1: begin");
    check(&Case::at(State::Held).with(|it| it.look_again = true), "ajna-one-v1: begin");
    check(&Case::at(State::Fetching).with(|it| it.look_again = true), "ajna-one-v1: note");
}

#[test]
fn what_went_wrong_waits_for_its_time() {
    for state in [State::Failed, State::Quarantined] {
        check(&Case::at(state).retry_at(1001), "ajna-one-v1: note");
        check(&Case::at(state).retry_at(1000), "ajna-one-v1: begin");
        check(&Case::at(state), "ajna-one-v1: note");
        check(&Case::at(state).retry_at(1001).with(|it| it.look_again = true), "ajna-one-v1: note");
    }
}

#[test]
fn what_is_no_longer_asked_for_or_listed_goes() {
    for state in [State::Deployed, State::Fetching, State::Failed] {
        check(&Case::at(state).with(|it| it.wants.ids.clear()), "ajna-one-v1: leave");
        check(&Case::at(state).with(|it| it.entries.clear()), "ajna-one-v1: forget");
    }
    check(&Case::at(State::Withdrawn), "ajna-one-v1: begin");
}

#[test]
fn what_was_done_about_an_entry_that_reads_as_before_is_not_done_again() {
    let noted = |state, wanted| {
        Case::at(state).with(|it| {
            it.noted = true;
            it.here.as_mut().unwrap().wanted = wanted;
            if !wanted {
                it.wants.ids.clear();
            }
        })
    };
    for state in [State::Queued, State::Fetching, State::Deployed, State::Held] {
        check(&noted(state, true), "");
    }
    check(&noted(State::Deployed, true).with(|it| it.changed = true), "ajna-one-v1: begin");
    for state in [State::Available, State::Withdrawn] {
        check(&noted(state, false), "");
        check(&noted(state, false).with(|it| it.noted = false), "ajna-one-v1: leave");
        check(&noted(state, false).with(|it| it.here.as_mut().unwrap().wanted = true), "ajna-one-v1: leave");
        check(&noted(state, false).with(|it| it.wants = Case::new().wants), "ajna-one-v1: begin");
        check(&noted(state, false).with(|it| it.entries.clear()), "ajna-one-v1: forget");
    }
    let stub = |it: &mut Case| it.entries = vec![entry("ajna-one-v1", '0')];
    check(&noted(State::Stub, true).with(stub), "");
    check(&noted(State::Stub, true).with(stub).with(|it| it.changed = true), "ajna-one-v1: stub, asked for");
    check(&noted(State::Stub, false).with(stub), "");
    check(
        &noted(State::Stub, true).with(stub).with(|it| it.wants.ids.clear()),
        "ajna-one-v1: stub, not asked for",
    );
}

#[test]
fn what_cannot_be_had_is_refused_or_a_stub_whatever_it_was() {
    let refused = |it: &mut Case| drop(it.wants.refused.insert(id("ajna-one-v1"), "misfiled".to_owned()));
    check(&Case::new().with(refused), "ajna-one-v1: refuse: misfiled");
    check(&Case::at(State::Deployed).with(refused), "ajna-one-v1: refuse: misfiled");
    let stub = |it: &mut Case| it.entries = vec![entry("ajna-one-v1", '0')];
    check(&Case::new().with(stub), "ajna-one-v1: stub, asked for");
    check(&Case::at(State::Deployed).with(stub), "ajna-one-v1: stub, asked for");
    check(&Case::new().with(stub).with(|it| it.wants.ids.clear()), "ajna-one-v1: stub, not asked for");
    let nowhere =
        |it: &mut Case| drop(it.entries[0]["artifact"].as_object_mut().unwrap().remove("downloadUrl"));
    let why = "ajna-one-v1/model.bin has no source: give its entry a downloadUrl, or set [vault] mirrors or seeds \
        where its digest is known";
    check(&Case::new().with(nowhere), &format!("ajna-one-v1: refuse: {why}"));
}

#[test]
fn the_policy_forbids_some_fetches_and_lets_others_come() {
    let policy = |text: &'static str| Case::new().with(|it| it.policy = text);
    check(&policy("[policy]\nsize_bytes_max = 10"), "ajna-one-v1: begin");
    check(&policy("[policy]\nsize_bytes_max = 9"), "ajna-one-v1: hold for size_bytes_max");
    check(&policy("[policy]\nsources = [\"https://example.org\"]"), "ajna-one-v1: hold for sources");
    check(&policy("[policy]\nlicenses = [\"MIT\"]"), "ajna-one-v1: begin");
    check(
        &policy("[policy]\nlicenses = [\"MIT\"]\nsize_bytes_max = 9"),
        "ajna-one-v1: hold for licenses and size_bytes_max",
    );
    check(&policy("[policy]\nsources = [\"https://huggingface.co\"]"), "ajna-one-v1: begin");
}
