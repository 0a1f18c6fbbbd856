//! Subspaces and what is organised in them: projects and tasks.

use std::collections::BTreeMap;

use super::content::Description;
use super::view::view;
use crate::event::{Kind, Sid};

view! {
    /// A subspace is made: its name, the operations it knows, the rules for joining (30100).
    Subspace = Kind::SUBSPACE;
    /// Its name.
    subspace_name: text,
    /// What it is about.
    category: text,
    /// The operations it declares, `name=kind` with commas between.
    ops: text,
    /// What it takes to join.
    rules: text,
}

view! {
    /// Somebody asks to be a member (30200).
    Join = Kind::JOIN;
    /// The rules that they agree to.
    rules: text,
}

view! {
    /// A project of a subspace (30101). Those named as members are not the subspace's members.
    Project = Kind::PROJECT;
    /// Its name for machines.
    project_id: text,
    /// Its name for people.
    name: text,
    /// What it is for.
    desc: text,
    /// Who works on it; not always addresses.
    members: list,
    /// How it stands.
    status: text,
}

view! {
    /// A task of a project (30102).
    Task = Kind::TASK;
    /// The project.
    project_id: text,
    /// The task's name for machines.
    task_id: text,
    /// Its name for people.
    title: text,
    /// Who is to do it.
    assignee: text,
    /// How it stands.
    status: text,
    /// By when, as text.
    deadline: text,
    /// How urgent it is, as text.
    priority: text,
}

/// The operations that a subspace declares, and what could not be read of them.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Ops {
    /// The kinds by name.
    pub kinds: BTreeMap<String, Kind>,
    /// What could not be read, in words. The event stands all the same.
    pub flaws: Vec<String>,
}

impl Subspace {
    /// Computes the sid that this subspace has if its sid is a digest.
    pub fn computed_sid(&self) -> Sid {
        let text = |it: &Option<String>| it.clone().unwrap_or_default();
        Sid::computed(&text(&self.subspace_name), &text(&self.ops), &text(&self.rules))
    }

    /// Reads the declared operations, pair by pair.
    pub fn declared(&self) -> Ops {
        let mut ops = Ops::default();
        for pair in self.ops.iter().flat_map(|it| it.split(',')).map(str::trim).filter(|it| !it.is_empty()) {
            let parsed = pair.split_once('=').map(|(name, kind)| (name.trim(), kind.trim().parse()));
            match parsed {
                Some((name, Ok(kind))) if !ops.kinds.contains_key(name) => {
                    ops.kinds.insert(name.to_owned(), Kind(kind));
                }
                Some((name, Ok(_))) => ops.flaws.push(format!("ops: `{name}` is there twice")),
                _ => ops.flaws.push(format!("ops: `{pair}` is not name=kind, with a kind up to 65535")),
            }
        }
        ops
    }

    /// Reads the description that stands in the content as JSON.
    pub fn description(content: &str) -> Option<Description> {
        serde_json::from_str(content).ok()
    }
}
